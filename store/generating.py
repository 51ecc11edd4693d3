"""What a snapshot of SQL makes of the files in use, put into a staging folder: what is new, what is another, what goes,
and what stays as it is.

Most files hold just what SQL does, or are not there yet: their bytes are made once and compared or written as they
come. What else a file holds besides our records needs a closer look, and stays with it.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import Connection

from store import Store, capture, chat_lines, rows
from store.chat_lines import Block
from store.deriving import current_state, plan_logs
from store.documents.quilltap import rejection
from store.errors import InvalidRecordError, JsonSideError, StoreError, UnreadableError
from store.export_report import ExportReport
from store.files import logs
from store.files.hashing import Hashed
from store.files.layout import SHELVES
from store.files.replace import Append, Write
from store.files.shelves import Changes, Entity, OwnFiles, Shelf, check_name, is_made_of, read_or_none
from store.files.staging import Staging
from store.mapping import MAPPINGS, Mapping, Rows
from store.mapping.messages import MESSAGES
from store.progress import Progress
from store.validation.reading import lost, record_bytes
from store.validation.report import Rejected
from store.validation.rows import own_tables
from store.validation.values import shown_id
from store.validation.vouching import Known

CHATS_AT_ONCE = 20


class Generating:
    """One snapshot, into one staging folder. ``known``: what became of files that hold just what SQL does."""

    def __init__(self, store: Store, staging: Staging, report: ExportReport, progress: Progress) -> None:
        self._store, self._side, self._staging = store, store.side, staging
        self._report, self._progress = report, progress
        self._sizes: dict[str, Write] = {}  # of chats' files, which the lines of chats tell
        self.known: dict[str, Known] = {}

    def run(self, connection: Connection) -> None:
        """Put everything there. Problems and warnings go into the report, and stop nothing else."""
        self._logs(connection)
        for shelf in {id(shelf): shelf for shelf in SHELVES.values()}.values():
            if isinstance(shelf, OwnFiles):
                self._own_files(connection, shelf)
            else:
                self._together(connection, shelf)

    # ------------------------------------------------------------------ chats' files
    def _logs(self, connection: Connection) -> None:
        ids, there = set(rows.all_ids(connection, MAPPINGS["chat"])), set(self._side.log_ids())
        left = dict.fromkeys(sorted(ids | there))
        self._progress.phase("Writing messages", len(left), share=0.4)
        for chat_id, blocks in chat_lines.blocks(connection):
            if chat_id in ids and self._log(chat_id, blocks, chat_id in there):
                del left[chat_id]
                self._progress.step()
        for some in rows.chunks(left, CHATS_AT_ONCE):
            self._logs_closely(connection, some)
            self._progress.step(len(some))

    def _log(self, chat_id: str, blocks: Iterator[Block], there: bool) -> bool:
        """A file that is just what SQL has, or is not there yet; whether it is one."""
        path, lines = logs.log_path(chat_id), _Lines(blocks)
        if there:
            try:
                if not is_made_of(self._side.system, self._side.data_dir, path, lines) or lines.odd:
                    return False
            except UnreadableError:
                return False
            self._staging.leave(path, lines.hashed.entry)
        else:
            try:
                check_name(path)
            except InvalidRecordError:
                return False
            self._staging.put_pieces(path, lines)
            if lines.odd:
                self._staging.take_back(path)
                return False
            self._note(capture.LOG, chat_id, before=False, after=True)
        self._sizes[path] = Append(lines.hashed.size, b"")
        rejected = tuple(Rejected(MESSAGES.model, shown_id("", one), reason) for one, reason in lines.rejected)
        self.known[path] = Known(lines.hashed.entry, (lines.count,), rejected)
        return True

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
        self._phase(mapping, len(ids) + len(extra))
        for some in rows.chunks(ids):
            loaded, sound = self._store.loader.load_judged(connection, mapping, some)
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
        entry = Hashed(data).entry
        if path in there:
            self._staging.leave(path, entry)
        else:
            self._staging.put_pieces(path, [data])
            self._note(shelf.kind, record_id, before=False, after=True)
        if not lost(mapping, loaded, record):
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
        self._phase(MAPPINGS[shelf.kinds[0]], len(entities))
        self._closely(connection, shelf, entities)
        self._progress.step(len(entities))

    def _closely(self, connection: Connection, shelf: Shelf, entities: list[Entity]) -> None:
        """Bring records into the files in use; what those hold besides our records stays with it."""
        changes, unfit = current_state(connection, self._store.loader, entities)
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
    def _phase(self, mapping: Mapping, total: int) -> None:
        self._progress.phase(f"Writing {mapping.document.noun} records", total, share=0.3 / len(SHELVES))

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


class _Lines:
    """The lines of a chat as they are compared or written. ``odd``: something needs a closer look."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self.count, self.odd, self.hashed = 0, False, Hashed()
        self.rejected: list[tuple[str, str]] = []

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if block.lines is None:
                self.odd = True
                return
            self.count += len(block.ids)
            self.rejected += block.rejected
            self.hashed.add(block.lines)
            yield block.lines


def _records(shelf: Shelf, path: str, data: bytes | None) -> dict[Entity, dict[str, Any]]:
    entries = shelf.parse(path, data)[0] if data is not None else []
    return {(one.kind, one.id): one.record for one in entries}
