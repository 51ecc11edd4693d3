"""The records of one shelf: as SQL has them, and as the files have them."""

from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy import Connection

from store import codec, rows
from store.deriving import Loader
from store.documents.base import Document
from store.errors import StoreError, UnreadableError
from store.files.logs import log_path
from store.files.shelves import Entity, Entry, OwnFiles, Record, Shelf, read_or_none
from store.files.side import JsonSide, record_of
from store.mapping import MAPPINGS, Mapping, Rows
from store.mapping.base import with_owner
from store.quilltap import rejection
from store.validation.bytes import BytesCheck
from store.validation.order import Places, misplaced
from store.validation.reading import (
    Facts,
    Found,
    compare_wrapper,
    kind_of,
    lost,
    read_shelf,
    record_bytes,
    rendered,
    told,
)
from store.validation.report import Difference, Unreadable
from store.validation.rows import (
    compare_documents,
    compare_rows,
    links_of,
    one_side,
    own_tables,
    without,
)
from store.validation.secrets import SecretsCheck
from store.validation.tally import FILE, SQL, Derived, Outcome, Tally
from store.validation.values import shown_id
from store.validation.vouching import NOTHING, Vouched

_WRAPPER = ("version", "createdAt", "updatedAt")
Wanted = dict[str, set[str]]  # kind -> ids; of a kind that is not named, none


class Records:
    """Compares the nouns. ``facts``: of chats' files, which were looked at before. ``owner``: whose API keys are that
    name nobody, where the files are what counts."""

    def __init__(
        self,
        side: JsonSide,
        loader: Loader,
        secrets: SecretsCheck | None,
        public: BytesCheck,
        owner: str | None = None,
        vouched: Vouched = NOTHING,
    ) -> None:
        self._vouched = vouched
        self._side, self._loader, self._secrets, self._public, self._owner = side, loader, secrets, public, owner
        self.facts: dict[str, Facts] = {}
        self._misplaced: dict[Entity, Places] = {}

    # ------------------------------------------------------------------ a shelf
    def compare(
        self,
        connection: Connection,
        shelf: Shelf,
        wanted: Wanted | None,
        tally: Tally,
        step: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Outcome]:
        """What is not equal; what is goes straight into the tally. ``wanted``: only these records."""
        if isinstance(shelf, OwnFiles):
            yield from self._own_files(connection, shelf, wanted, tally, step)
        else:
            yield from self._together(connection, shelf, wanted, tally, step)

    def _ids(self, connection: Connection, mapping: Mapping, wanted: Wanted | None) -> tuple[list[str], list[Outcome]]:
        """The ids that SQL has, and what cannot be looked at because of its id."""
        if wanted is not None:
            return sorted(wanted.get(mapping.kind, ())), []
        found, strange = [], []
        for record_id in connection.scalars(sa.select(mapping.main.c[mapping.key])).all():
            if rows.is_sound(record_id):
                found.append(record_id)
                continue
            out = Outcome((mapping.kind, ""), settled=True)
            shown = shown_id(mapping.kind, record_id)
            out.rows.append((mapping.model, shown, "unreadable"))
            reason = rows.unsound(mapping.kind, record_id).message.rstrip(".")
            out.unreadable.append(Unreadable(SQL, None, mapping.kind, shown, reason))
            strange.append(out)
        return found, strange

    # ------------------------------------------------------------------ one file per record
    def _own_files(
        self,
        connection: Connection,
        shelf: OwnFiles,
        wanted: Wanted | None,
        tally: Tally,
        step: Callable[[int], None],
    ) -> Iterator[Outcome]:
        mapping = MAPPINGS[shelf.kind]
        ids, strange = self._ids(connection, mapping, wanted)
        yield from strange
        tables = own_tables(mapping)
        looked: set[str] = set()
        for some in rows.chunks(ids):
            paths = {record_id: shelf.paths(record_id)[0] for record_id in some}
            looked.update(paths.values())
            unsure = [one for one in some if not self._vouched.take(paths[one], tables, tally)]
            loaded, sound = self._loader.load_judged(connection, mapping, unsure)
            for record_id in unsure:
                path = paths[record_id]
                if out := self._own_file(shelf, mapping, record_id, path, loaded.get(record_id), sound, tally):
                    yield out
            step(len(some))
        if wanted is not None:
            return
        for path, _ in self._side.files(shelf.kind):
            if path not in looked and (out := self._extra_file(shelf, mapping, path)):
                yield out

    def _own_file(
        self,
        shelf: OwnFiles,
        mapping: Mapping,
        record_id: str,
        path: str,
        loaded: Rows | None,
        sound: bool,
        tally: Tally,
    ) -> Outcome | None:
        entity = (mapping.kind, record_id)
        try:
            data = read_or_none(self._side.system, self._side.data_dir, path)
        except UnreadableError as error:
            return self._unreadable(mapping, record_id, loaded, error)
        if loaded is not None and data is not None:
            made = record_bytes(mapping, loaded, sound)
            if made and made[1] == data and not lost(mapping, loaded, record := made[0]):
                tally.equal_rows(own_tables(mapping), loaded)
                if not rejection(mapping.kind, record):
                    return None
                out = Outcome(entity)
                out.judge(mapping.kind, record_id, record)
                return out
        if data is None:
            return self._compare(mapping, record_id, loaded, None, tally)
        entries, bad = shelf.parse(path, data)
        if bad:
            return self._unreadable(mapping, record_id, loaded, bad[0][1])
        return self._compare(mapping, record_id, loaded, entries[0], tally)

    def _extra_file(self, shelf: OwnFiles, mapping: Mapping, path: str) -> Outcome | None:
        try:
            data = read_or_none(self._side.system, self._side.data_dir, path)
        except UnreadableError as error:
            return self._unreadable(mapping, None, None, error)
        if data is None:  # gone meanwhile
            return None
        entries, bad = shelf.parse(path, data)
        record_id, problem = bad[0] if bad else (entries[0].id, None)
        if record_id is None or shelf.paths(record_id) != (path,):
            problem = UnreadableError(path, "its name is not how the id of a record is spelled there")
            record_id = None
        if problem:
            return self._unreadable(mapping, record_id, None, problem)
        return self._compare(mapping, entries[0].id, None, entries[0], None)

    # ------------------------------------------------------------------ one file for many records
    def _together(
        self,
        connection: Connection,
        shelf: Shelf,
        wanted: Wanted | None,
        tally: Tally,
        step: Callable[[int], None],
    ) -> Iterator[Outcome]:
        found = read_shelf(self._side, shelf)
        self._misplaced = misplaced(connection, shelf, found)
        in_file = Outcome((FILE, shelf.kinds[0]))
        missing: dict[str, list[str]] = {}
        loaded_rows: dict[tuple[str, str], Rows] = {}
        for kind in shelf.kinds:
            mapping = MAPPINGS[kind]
            ids, strange = self._ids(connection, mapping, wanted)
            yield from strange
            for some in rows.chunks(ids):
                for record_id, loaded in self._loader.load(connection, mapping, some).items():
                    here = found.entries.pop((kind, record_id), None)
                    if here is None:
                        missing.setdefault(kind, []).append(record_id)
                        loaded_rows[kind, record_id] = loaded
                    elif out := self._compare(mapping, record_id, loaded, here[0], tally):
                        yield out
                step(len(some))
        unreadable = self._explained(shelf, found, missing, in_file)
        for kind, several in missing.items():
            for record_id in several:
                loaded = loaded_rows[kind, record_id]
                if (problem := unreadable.get((kind, record_id))) is not None:
                    # Of a file that as a whole cannot be read it is said once.
                    say = not any(problem is one for one in found.whole)
                    yield self._unreadable(MAPPINGS[kind], record_id, loaded, problem, say=say)
                else:
                    yield self._compare(MAPPINGS[kind], record_id, loaded, None, tally) or Outcome((kind, record_id))
        for (kind, record_id), (entry, _) in found.entries.items():
            if wanted is None or record_id in wanted.get(kind, ()):
                yield self._compare(MAPPINGS[kind], record_id, None, entry, tally) or Outcome((kind, record_id))
        compare_wrapper(shelf, found, in_file)
        yield in_file

    def _explained(
        self, shelf: Shelf, found: Found, missing: dict[str, list[str]], in_file: Outcome
    ) -> dict[tuple[str, str], UnreadableError]:
        """Which records that seem to be missing are there and cannot be read. What else is bad goes to ``in_file``."""
        known = {(kind, one): error for _, one, error in found.bad for kind in missing if one in missing[kind]}
        for whole in found.whole:
            known.update({(kind, one): whole for kind in missing for one in missing[kind] if (kind, one) not in known})
            in_file.unreadable.append(told(whole, shelf.kinds[0], None))
        nameless = [error for _, one, error in found.bad if one is None]
        left = [(kind, one) for kind in missing for one in missing[kind] if (kind, one) not in known]
        known.update(dict(zip(left, nameless, strict=False)))
        explaining = set(map(id, known.values()))
        for _, record_id, error in found.bad:
            if id(error) not in explaining:
                mapping = MAPPINGS[kind_of(shelf, record_id, found)]
                shown = None if record_id is None else shown_id(mapping.kind, record_id)
                in_file.rows.append((mapping.model, f"{error.path}, {shown} ({error.line or ''})", "unreadable"))
                in_file.unreadable.append(told(error, mapping.kind, shown))
        return known

    # ------------------------------------------------------------------ one record
    def _compare(
        self, mapping: Mapping, record_id: str, loaded: Rows | None, entry: Entry | None, tally: Tally | None
    ) -> Outcome | None:
        """What is not equal of a record; None when nothing is, and nothing else is to be said of it."""
        if loaded is None and entry is None:
            return None
        kind, shown = mapping.kind, shown_id(mapping.kind, record_id)
        out = Outcome((kind, record_id))
        back = self._rows_of(mapping, entry) if entry else None
        if entry and not mapping.derived:
            out.judge(kind, record_id, entry.record)
        document: Document | None = None
        if loaded is not None:
            document, record, unfit = rendered(mapping, loaded)
            if document is None and entry is None and unfit is not None:
                return self._unreadable(mapping, record_id, loaded, unfit)
            if entry and document is not None and self._is_same(mapping, record, entry):
                self._look_at_secrets(out, mapping, shown, loaded, back)
                self._beside(out, mapping, shown, entry)
                if tally and out.is_clean and not out.links and not lost(mapping, loaded, record):
                    tally.equal_rows(own_tables(mapping), loaded)
                    return out if out.rejected or out.secrets.checked else None
        if mapping.derived:
            return self._derived(out, mapping, shown, loaded, entry, document)
        if loaded is None or back is None:
            one_side(out, mapping, record_id, loaded or back or {}, in_sql=loaded is not None)
            self._look_at_secrets(out, mapping, shown, loaded, back)
        else:
            out.notes = []
            same = self._look_at_secrets(out, mapping, shown, loaded, back)
            wrong = compare_rows(out, mapping, shown, loaded, back, same)
            if document is not None and entry is not None:
                out.derived = []
                self._beside(out, mapping, shown, entry)
                compare_documents(out, mapping, shown, document, entry.document, wrong | same, loaded)
                out.derived = [one for one in out.derived if not self._follows_from_file(record_id, entry, one)]
            elif not wrong and unfit is not None:
                return self._unreadable(mapping, record_id, loaded, unfit)
            elif unfit is not None:
                out.notes.append(f"SQL: {unfit.message}")
        if back is not None:
            links_of(out, mapping, back)
        return out

    def _rows_of(self, mapping: Mapping, entry: Entry) -> Rows:
        back = mapping.to_rows(record_of(entry))
        return with_owner(back, self._owner) if self._owner and mapping.kind == "key" else back

    def _is_same(self, mapping: Mapping, record: Record, entry: Entry) -> bool:
        there = entry.record
        if mapping.kind == "user":
            there = without(there, *_WRAPPER)
        elif mapping.kind == "chat":
            extras = without(there.get("extras") or {}, "log")
            there = {**without(there, "extras"), **({"extras": extras} if extras else {})}
        return codec.dumps(record) == codec.dumps(there)

    def _look_at_secrets(
        self, out: Outcome, mapping: Mapping, shown: str, sql: Rows | None, json: Rows | None
    ) -> frozenset[str]:
        if self._secrets is None:
            return frozenset()
        main = mapping.main.name
        looked = self._secrets.look(
            mapping.kind, mapping.model, shown, sql[main][0] if sql else None, json[main][0] if json else None
        )
        out.secrets = looked.count
        out.notes += looked.notes
        return looked.same

    def _beside(self, out: Outcome, mapping: Mapping, shown: str, entry: Entry) -> None:
        """What only files can say: a record's place, dates around a user, the bytes of an image."""
        if places := self._misplaced.get((entry.kind, entry.id)):
            causes = (("ChatAvatarOverride", shown),) if mapping.derived else ()
            out.derived.append(Derived(Difference(mapping.model, shown, "order", *places, mapping.kind, shown), causes))
        if mapping.kind == "user":
            user, settings = entry.record["user"], entry.record["chatSettings"]
            dates = {"createdAt": min, "updatedAt": max}
            for name, choose in dates.items():
                wanted, there = choose(user[name], settings[name]), entry.record.get(name)
                if wanted != there:
                    difference = Difference(mapping.model, shown, f"file.{name}", wanted, there, "user", shown)
                    out.derived.append(Derived(difference))
        elif mapping.kind == "chat":
            self._look_at_size(out, mapping, shown, entry)
        elif mapping.bytes_path is not None and not mapping.derived:
            self._public.look(out, mapping, shown, entry.record)

    def _look_at_size(self, out: Outcome, mapping: Mapping, shown: str, entry: Entry) -> None:
        """A chat's line tells how long its file is."""
        told = ((entry.record.get("extras") or {}).get("log") or {}).get("bytes")
        facts = self.facts.get(entry.id)
        try:
            size = facts.size if facts else self._side.system.signature(self._side.data_dir / log_path(entry.id)).size
        except OSError:
            return
        if told != size and not (facts and told == facts.wanted):
            difference = Difference(mapping.model, shown, "extras.log.bytes", size, told, "chat", shown)
            out.derived.append(Derived(difference))

    def _follows_from_file(self, chat_id: str, entry: Entry, one: Derived) -> bool:
        """Whether a chat's line says of its messages what its file says."""
        facts = self.facts.get(chat_id) if entry.kind == "chat" else None
        if facts is None:
            return False
        wanted = {"messageCount": facts.count, "lastMessageAt": facts.last}
        field = one.difference.field or ""
        return field in wanted and wanted[field] == one.difference.json

    def _derived(
        self,
        out: Outcome,
        mapping: Mapping,
        shown: str,
        loaded: Rows | None,
        entry: Entry | None,
        document: Document | None,
    ) -> Outcome:
        """A line that follows from rows of other records."""
        causes = [("ChatAvatarOverride", shown)]
        if loaded is not None and entry is not None and document is not None:
            out.derived = []
            self._beside(out, mapping, shown, entry)
            compare_documents(out, mapping, shown, document, entry.document, set(), loaded)
            return out
        causes += [("Image", row["id"]) for row in (loaded or {}).get("images", ())]
        there = None if entry is None else "a line in binaries/index.jsonl"
        here = None if loaded is None else "a line in binaries/index.jsonl"
        difference = Difference(mapping.model, shown, "avatar", here, there, mapping.kind, shown)
        out.derived.append(Derived(difference, tuple(causes)))
        return out

    def _unreadable(
        self, mapping: Mapping, record_id: str | None, loaded: Rows | None, error: StoreError, *, say: bool = True
    ) -> Outcome:
        """A record that is there and cannot be read: nothing of its rows can be compared."""
        shown = None if record_id is None else shown_id(mapping.kind, record_id)
        out = Outcome((mapping.kind, record_id or ""), settled=record_id is None)
        for table in own_tables(mapping):
            for row in (loaded or {}).get(table.name, ()):
                out.put(table, row, "unreadable")
        if not loaded:
            named = shown or (error.path if isinstance(error, UnreadableError) else SQL)
            out.rows.append((mapping.model, named, "unreadable"))
        if say:
            out.unreadable.append(told(error, mapping.kind, shown))
        return out
