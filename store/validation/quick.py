"""The quick look: which records and links are there, on which side, and where links lead to. No value is compared."""

import functools
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection, Table

from store import capture, inventory
from store.errors import UnreadableError
from store.files import logs
from store.files.layout import SHELVES
from store.files.shelves import Entity, OwnFiles, Shelf, read_or_none
from store.files.side import JsonSide, record_of
from store.mapping import MAPPINGS, Mapping, Rows
from store.mapping.messages import MESSAGES
from store.progress import Progress
from store.tables import MODELS
from store.tables.messages import messages
from store.validation.relations import RowNames, check_relations, row_names
from store.validation.report import Difference, Report, Unreadable, model_of
from store.validation.rows import own_tables
from store.validation.tally import FILE, Outcome, Tally
from store.validation.values import MODEL_OF, row_id, shown_id


def validate(connection: Connection, side: JsonSide, models: tuple[str, ...], progress: Progress) -> Report:
    """Compare what is there."""
    tally = Tally(models, with_derived=False)
    looking = _Looking(connection, side, tally)
    shelves = list({id(shelf): shelf for shelf in SHELVES.values()}.values())
    progress.phase("Counting", len(shelves) + 1, share=0.9)
    tables: list[Table] = []
    for shelf in shelves:
        mine = [table for kind in shelf.kinds for table in own_tables(MAPPINGS[kind])]
        if any(MODEL_OF[table.name] in models for table in mine):
            tables += mine
            looking.shelf(shelf, mine)
        progress.step()
    if "Message" in models:
        tables.append(messages)
        looking.chats()
    progress.step()
    progress.phase("Following links", 1, share=0.1)
    check_relations(connection, tally, [*tables, *look_at_targets(connection, side, tally, tables)])
    tally.settle(inventory.count_rows(connection))
    progress.step()
    return tally.report


def look_at_targets(
    connection: Connection, side: JsonSide, tally: Tally, compared: Collection[Table], waits: Iterable[Entity] = ()
) -> list[Table]:
    """Note which records are on one side only that links lead to, of tables that were not compared; those tables. Of
    what ``waits`` nothing is noted: the other side will have it in a moment."""
    chosen = [MODELS[model] for model in tally.report.models]
    targets = {key.column.table.name for table in chosen for key in table.foreign_keys} - {one.name for one in compared}
    noted = Tally((), with_derived=False)
    looking = _Looking(connection, side, noted)
    for shelf in {id(shelf): shelf for shelf in SHELVES.values()}.values():
        mine = [table for kind in shelf.kinds for table in own_tables(MAPPINGS[kind])]
        if any(table.name in targets for table in mine):
            looking.shelf(shelf, mine)
    if messages.name in targets:
        looking.chats(by_name=True)
    found = {MODEL_OF[name]: noted.not_equal.get(MODEL_OF[name], {}) for name in targets}
    for kind, record_id in waits:
        model = MESSAGES.model if kind == capture.LOG else model_of(kind)
        if kind == capture.LOG or record_id == capture.EVERYTHING:
            found.pop(model, None)
        elif model in found:
            found[model].pop(record_id, None)
    tally.not_equal.update(found)
    return [MODELS[model] for model in found]


class _Looking:
    def __init__(self, connection: Connection, side: JsonSide, tally: Tally) -> None:
        self._connection, self._side, self._tally = connection, side, tally

    def shelf(self, shelf: Shelf, tables: list[Table]) -> None:
        """Compare the keys of the rows of a shelf."""
        in_sql = {table.name: row_names(self._connection, table) for table in tables}
        out = Outcome((FILE, shelf.kinds[0]))
        doubtful: dict[str, set[str]] = {}
        nameless = 0
        for kind, record_id, found in self._records(shelf, out):
            if found is None:
                if record_id is None:
                    nameless += 1
                else:
                    doubtful.setdefault(kind, set()).add(record_id)
                continue
            shown = shown_id(kind, record_id)
            for table in own_tables(MAPPINGS[kind]):
                for row in found.get(table.name, ()):
                    name = row_id(table, row)
                    known = in_sql[table.name].pop(name, None)
                    if known is None:
                        out.one_sided(table, row, "only_json", kind, shown)
                    else:
                        self._tally.equal(table, 1)
                    if known is None or any(row.get(column) != target for column, target in known[1].items()):
                        out.add_links(table, row)
        for kind in shelf.kinds:
            self._left(out, MAPPINGS[kind], in_sql, doubtful.get(kind, set()), nameless)
        self._tally.take(out)

    def _left(
        self, out: Outcome, mapping: Mapping, in_sql: dict[str, RowNames], doubtful: set[str], nameless: int
    ) -> None:
        """Rows that only SQL has; those of records that cannot be read are neither here nor there."""
        for table in own_tables(mapping):
            for name, (owner, _) in in_sql[table.name].items():
                shown = shown_id(mapping.kind, owner)
                model = MODEL_OF[table.name]
                if owner in doubtful or nameless:
                    out.rows.append((model, name, "unreadable"))
                    continue
                out.rows.append((model, name, "only_sql"))
                out.differences.append(Difference(model, name, None, True, None, mapping.kind, shown))

    def _records(self, shelf: Shelf, out: Outcome) -> Iterator[tuple[str, str | None, Rows | None]]:
        """Kind, id and rows of each record; None for the rows of one that cannot be read."""
        for path, _ in self._side.files(shelf.kinds[0]):
            try:
                data = read_or_none(self._side.system, self._side.data_dir, path)
            except UnreadableError as error:
                out.unreadable.append(Unreadable(path, None, shelf.kinds[0], None, error.reason))
                yield shelf.kinds[0], None, None
                continue
            if data is None:
                continue
            if isinstance(shelf, OwnFiles) and (quickly := _quickly(shelf, path, data)):
                yield quickly
                continue
            entries, bad = shelf.parse(path, data)
            for entry in entries:
                if not MAPPINGS[entry.kind].derived:
                    yield entry.kind, entry.id, MAPPINGS[entry.kind].to_rows(record_of(entry))
            for record_id, problem in bad:
                shown = None if record_id is None else shown_id(shelf.kinds[0], record_id)
                out.unreadable.append(Unreadable(path, problem.line, shelf.kinds[0], shown, problem.reason))
                for kind in shelf.kinds:
                    yield kind, record_id, None

    # ------------------------------------------------------------------ messages
    def chats(self, *, by_name: bool = False) -> None:
        """Count the messages of each chat, and name them where the numbers are not the same, or always."""
        column = messages.c.chatId
        counted = self._connection.execute(sa.select(column, sa.func.count()).group_by(column))
        in_sql: dict[str, int] = {row[0]: row[1] for row in counted}
        for path, _ in self._side.log_files():
            chat_id = logs.chat_of(path)
            try:
                data = read_or_none(self._side.system, self._side.data_dir, path) or b""
            except UnreadableError as error:
                out = Outcome((MESSAGES.kind, chat_id))
                out.unreadable.append(Unreadable(path, None, MESSAGES.kind, None, error.reason))
                out.rows += [(MESSAGES.model, one, "unreadable") for one in self._ids(chat_id)]
                self._tally.take(out)
                in_sql.pop(chat_id, None)
                continue
            number = in_sql.pop(chat_id, 0)
            if not by_name and data.count(b"\n") == number == _messages_in(data):
                self._tally.equal(messages, number)
            else:
                self._by_name(chat_id, path, data)
        for chat_id in in_sql:
            self._by_name(chat_id, logs.log_path(chat_id), b"")

    def _ids(self, chat_id: str) -> list[str]:
        return list(self._connection.scalars(sa.select(messages.c.id).where(messages.c.chatId == chat_id)))

    def _by_name(self, chat_id: str, path: str, data: bytes) -> None:
        out = Outcome(("log", chat_id))
        log = self._side.parse_log(chat_id, data)
        there = {event.record["id"] for event in log.messages}
        here = self._ids(chat_id)
        missing = [one for one in here if one not in there]
        bad = [(error.line, error.reason) for error in log.bad]
        if log.torn:
            bad.append((data.count(b"\n", 0, len(data) - len(log.torn)) + 1, "the file's end is torn"))
        for line, reason in bad:
            name = missing.pop() if missing else None
            out.rows.append((MESSAGES.model, name or f"{path}, line {line}", "unreadable"))
            out.unreadable.append(Unreadable(path, line, MESSAGES.kind, name, reason))
        out.rows += [(MESSAGES.model, one, "equal") for one in here if one in there]
        for one in missing:
            out.one_sided(messages, {"id": one}, "only_sql", MESSAGES.kind, shown_id("", one))
        for one in sorted(there - set(here)):
            out.one_sided(messages, {"id": one}, "only_json", MESSAGES.kind, shown_id("", one))
            out.add_links(messages, {"id": one, "chatId": chat_id})
        self._tally.take(out)


def _messages_in(data: bytes) -> int:
    start = b'{"type":"message",'
    return data.count(b"\n" + start) + data.startswith(start)


def _quickly(shelf: OwnFiles, path: str, data: bytes) -> tuple[str, str, Rows] | None:
    """The rows of a file that looks sound; None where it has to be read with care."""
    mapping = MAPPINGS[shelf.kind]
    with suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        record = orjson.loads(data)
        found = mapping.to_rows(record)
        if shelf.paths(record["id"]) == (path,) and all(_is_sound(table, found) for table in own_tables(mapping)):
            return mapping.kind, record["id"], found
    return None


def _is_sound(table: Table, found: Rows) -> bool:
    required = _required(table)
    return not any(row.get(name) is None for row in found.get(table.name, ()) for name in required)


@functools.cache
def _required(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.c if not column.nullable)
