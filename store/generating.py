"""What a snapshot of SQL makes of the files in use, put into a staging folder: what is new, what is another, what goes,
and what stays as it is.

Most files hold just what SQL does, or are not there yet: their bytes are made once and compared or written as they
come. What else a file holds besides our records needs a closer look, and stays with it.
"""

from collections.abc import Container, Iterable
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from store import Store, capture, rows
from store.chat_files import Batch, Made
from store.deriving import Loader, current_state, plan_logs
from store.errors import InvalidRecordError, JsonSideError, StoreError, UnreadableError
from store.export_report import ExportReport
from store.files import logs
from store.files.layout import SHELVES
from store.files.pieces import Hashed
from store.files.replace import Append, Write
from store.files.shelves import Changes, Entity, OwnFiles, Shelf, check_name, read_or_none
from store.files.side import JsonSide
from store.files.staging import Staging
from store.files.system import told_as_json_side
from store.hands import AT_ONCE, Hands, Work
from store.mapping import MAPPINGS, Mapping, Row, Rows
from store.mapping.messages import MESSAGES
from store.progress import Progress
from store.quilltap import rejection
from store.validation.reading import lost, record_bytes
from store.validation.report import Rejected
from store.validation.rows import own_tables
from store.validation.values import MODEL_OF, shown_id
from store.validation.vouching import Known


class Generating:
    """One snapshot, into one staging folder. ``known``: what became of files that hold just what SQL does; of those
    that were written ``reading_back`` tells which do. ``loader`` knows what was seen of chats."""

    def __init__(
        self, store: Store, staging: Staging, report: ExportReport, progress: Progress, workers: Hands
    ) -> None:
        self._store, self._side, self._staging = store, store.side, staging
        self._report, self._progress, self._hands = report, progress, workers
        self._totals: dict[str, Row] = {}
        self.loader = Loader(store.public, self._totals)
        self._sizes: dict[str, Write] = {}  # of chats' files, which the lines of chats tell
        self.known: dict[str, Known] = {}
        self.reading_back: Work[Any, str] | None = None

    def run(self, connection: Connection, counted: dict[str, int]) -> None:
        """Put everything there. Problems and warnings go into the report, and stop nothing else. ``counted``: the rows
        of each model."""
        self._counted = counted
        logs_begun = _Logs(connection, self._side, self._staging, self._hands)
        for shelf in {id(shelf): shelf for shelf in SHELVES.values()}.values():
            if "chat" in shelf.kinds:
                self._logs(connection, logs_begun)
            if isinstance(shelf, OwnFiles):
                self._own_files(connection, shelf)
            else:
                self._together(connection, shelf)

    # ------------------------------------------------------------------ chats' files
    def _logs(self, connection: Connection, begun: "_Logs") -> None:
        left = dict.fromkeys(begun.ids)
        self._progress.phase("Writing messages", len(left), share=self._part([MESSAGES.model]))
        with told_as_json_side(self._staging.path):
            for several in begun.work.results():
                for made in several:
                    if made.good:
                        del left[made.chat_id]
                        self._log(made, begun.there)
                self._progress.step(sum(made.good for made in several))
        for chat_id in begun.ids:
            if chat_id not in left and chat_id not in begun.there:
                self._note(capture.LOG, chat_id, before=False, after=True)
        if not self._report.dry_run:
            self._hands.begin_to_sync(self._staging.path)
            written = {path: one.entry for path, one in self.known.items() if path in self._staging.changed}
            self.reading_back = self._hands.begin_to_read_back(self._staging.path, written)
        for some in rows.chunks(left, AT_ONCE):
            self._logs_closely(connection, some)
            self._progress.step(len(some))

    def _log(self, made: Made, there: Container[str]) -> None:
        """A file that is just what SQL has, be it new or not."""
        path, entry = logs.log_path(made.chat_id), made.entry
        assert entry is not None
        if made.chat_id in there:
            self._staging.leave(path, entry)
        else:
            self._staging.written(path, entry)
        self._sizes[path] = Append(entry[0], b"")
        self._totals[made.chat_id] = made.totals
        rejected = tuple(Rejected(MESSAGES.model, shown_id("", one), reason) for one, reason in made.rejected)
        self.known[path] = Known(entry, (made.messages,), rejected)

    def _logs_closely(self, connection: Connection, chat_ids: list[str]) -> None:
        files, refused = plan_logs(connection, self._side, [(capture.LOG, one) for one in chat_ids])
        unreadable = [entity for entity, error in refused.items() if isinstance(error, JsonSideError)]
        if unreadable:  # made anew; as they were, they stay in the generation before
            self._report.warnings += [f"{refused.pop(entity).message} It is made anew." for entity in unreadable]
            fresh, still = plan_logs(connection, self._staging.side, unreadable)
            refused.update(still)
            files.update(fresh)
        self._report.problems += refused.values()
        for path, data in files.items():
            if isinstance(data, bytes):
                self._sizes[path] = Append(len(data), b"")
            elif isinstance(data, Append):  # as it is
                self._sizes[path] = data
                continue
            self._note(capture.LOG, logs.chat_of(path), before=self._is_there(path), after=data is not None)
            self._staging.put(path, data)

    # ------------------------------------------------------------------ one file per record
    def _own_files(self, connection: Connection, shelf: OwnFiles) -> None:
        mapping = MAPPINGS[shelf.kind]
        ids = sorted(rows.all_ids(connection, mapping))
        there = {path for path, _ in self._side.files(shelf.kind)}
        extra = sorted(there.difference(path for one in ids for path in shelf.paths(one)))
        self._phase(shelf, len(ids) + len(extra))
        for some in rows.chunks(ids):
            loaded, sound = self.loader.load_judged(connection, mapping, some)
            plain = {one for one in loaded if self._own_file(shelf, mapping, one, loaded[one], sound, there)}
            odd = [one for one in some if one not in plain]
            self._closely(connection, shelf, [(shelf.kind, one) for one in odd])
            self._progress.step(len(some))
        for path in extra:  # one that cannot be read is nobody's, and stays
            data = None
            with suppress(UnreadableError):
                data = read_or_none(self._side.system, self._side.data_dir, path)
            for entry in shelf.parse(path, data)[0] if data is not None else ():
                self._closely(connection, shelf, [(entry.kind, entry.id)])
            self._progress.step()

    def _own_file(
        self, shelf: OwnFiles, mapping: Mapping, record_id: str, loaded: Rows, sound: bool, there: set[str]
    ) -> bool:
        """A file that is just what SQL has, or is not there yet; whether it is one."""
        if (made := record_bytes(mapping, loaded, sound)) is None:
            return False
        (record, data), (path,) = made, shelf.paths(record_id)
        try:
            if path not in there:
                check_name(path)
            elif read_or_none(self._side.system, self._side.data_dir, path) != data:
                return False
        except StoreError:
            return False
        is_known = not lost(mapping, loaded, record)
        if path in there:
            entry = Hashed(data).entry
            self._staging.leave(path, entry)
        else:
            entry = self._staging.put_new(path, data, known=is_known)
            self._note(shelf.kind, record_id, before=False, after=True)
        if is_known:
            reason = rejection(mapping.kind, record)
            told = (Rejected(mapping.model, shown_id(mapping.kind, record_id), reason),) if reason else ()
            counts = tuple(len(loaded.get(table.name, ())) for table in own_tables(mapping))
            self.known[path] = Known(entry, counts, told)
        return True

    # ------------------------------------------------------------------ one file for many records
    def _together(self, connection: Connection, shelf: Shelf) -> None:
        wanted = [(kind, one) for kind in shelf.kinds for one in sorted(rows.all_ids(connection, MAPPINGS[kind]))]
        found = [(kind, one) for kind in shelf.kinds for one in self._side.entries(kind)]
        there = {(kind, one.id) for kind, one in found if not isinstance(one, StoreError)}
        entities = [*wanted, *sorted(there - set(wanted))]
        self._phase(shelf, len(entities))
        self._closely(connection, shelf, entities)
        self._progress.step(len(entities))

    def _closely(self, connection: Connection, shelf: Shelf, entities: list[Entity]) -> None:
        """Bring records into the files in use; what those hold besides our records stays with it."""
        changes, unfit = current_state(connection, self.loader, entities)
        self._report.problems += unfit.values()
        files, refused = self._side.plan(changes, self._sizes)
        unreadable = {entity for entity, error in refused.items() if isinstance(error, JsonSideError)}
        if unreadable:
            told = {refused.pop(entity).message for entity in unreadable}
            self._report.warnings += [f"{message} It is made anew." for message in sorted(told)]
            again: dict[str, Changes] = {
                kind: {one: record for one, record in records.items() if (kind, one) in unreadable}
                for kind, records in changes.items()
            }
            fresh, still = self._staging.side.plan(again, self._sizes)
            refused.update(still)
            files.update(fresh)
        self._report.problems += refused.values()
        for path, data in files.items():
            if self._report.dry_run and shelf.owns(path):
                self._note_records(shelf, path, data)
            self._staging.put(path, data)

    # ------------------------------------------------------------------ what becomes of each record
    def _phase(self, shelf: Shelf, total: int) -> None:
        tables = [table for kind in shelf.kinds for table in own_tables(MAPPINGS[kind])]
        noun = MAPPINGS[shelf.kinds[0]].document.noun
        self._progress.phase(f"Writing {noun} records", total, share=self._part(MODEL_OF[one.name] for one in tables))

    def _part(self, models: Iterable[str]) -> float:
        """How much of all rows is of these models, from 0 to 1."""
        return sum(self._counted[model] for model in models) / max(sum(self._counted.values()), 1)

    def _note_records(self, shelf: Shelf, path: str, data: Write) -> None:
        with suppress(JsonSideError):
            old = read_or_none(self._side.system, self._side.data_dir, path)
            before, after = _records(shelf, path, old), _records(shelf, path, data if isinstance(data, bytes) else None)
            for kind, one in sorted(before.keys() | after.keys()):
                if before.get((kind, one)) != after.get((kind, one)):
                    self._note(kind, one, before=(kind, one) in before, after=(kind, one) in after)

    def _note(self, kind: str, record_id: str, *, before: bool, after: bool) -> None:
        if self._report.dry_run:
            what = "changed" if before and after else "added" if after else "removed"
            self._report.note(kind, record_id, what)

    def _is_there(self, path: str) -> bool:
        return read_or_none(self._side.system, self._side.data_dir, path) is not None


class _Logs:
    """Chats' files, as the work on them begins. ``ids``: of every chat, and of every file; ``there``: of the files."""

    def __init__(self, connection: Connection, side: JsonSide, staging: Staging, workers: Hands) -> None:
        self.there = frozenset(side.log_ids())
        chats = rows.all_ids(connection, MAPPINGS["chat"])
        self.ids = sorted({*chats, *self.there})
        batches = []
        for some in rows.chunks(sorted(filter(_fits, chats)), AT_ONCE):
            paths = {one: logs.log_path(one) for one in some}
            there = {one: path for one, path in paths.items() if one in self.there}
            fresh = {one: path for one, path in paths.items() if one not in self.there}
            root = staging.root_for(logs.FOLDER) if fresh else None
            batches.append(Batch(str(side.data_dir), str(root) if root else None, there, fresh, True))
        self.work = workers.begin_to_make(batches)


def _fits(chat_id: str) -> bool:
    """Whether a file can have the name of the chat's."""
    try:
        check_name(logs.log_path(chat_id))
    except InvalidRecordError:
        return False
    return True


def _records(shelf: Shelf, path: str, data: bytes | None) -> dict[Entity, dict[str, Any]]:
    entries = shelf.parse(path, data)[0] if data is not None else []
    return {(one.kind, one.id): one.record for one in entries}
