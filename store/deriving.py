"""From rows to what the files have to hold: each record, and each chat's file, as SQL has them at one moment."""

from collections.abc import Collection, Iterable, Iterator, MutableMapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, rows
from store.errors import InvalidRecordError, JsonSideError, StoreError
from store.files import logs
from store.files.public import Found, PublicFiles
from store.files.replace import Write
from store.files.shelves import Changes, Entity
from store.files.side import JsonSide
from store.mapping import MAPPINGS, Mapping, Record, Row, Rows
from store.mapping.messages import MESSAGES
from store.tables.chats import chats
from store.tables.messages import messages

BLOCK = 1000  # messages that are looked at together


class Loader:
    """Loads rows of whole records with what is derived: how many messages a chat has, what bytes an image has."""

    def __init__(self, public: PublicFiles, totals: MutableMapping[str, Row] | None = None) -> None:
        """``totals``: what ``message_totals`` would say of chats, where that is known already. It may grow."""
        self.public = public
        self.totals: MutableMapping[str, Row] = {} if totals is None else totals

    def load(
        self, connection: Connection, mapping: Mapping, ids: Sequence[str], *, for_update: bool = False
    ) -> dict[str, Rows]:
        """id -> its rows, as ``rows.load`` gives them, and the derived ones; ids without a record are left out."""
        found = rows.load(connection, mapping, ids, for_update=for_update)
        if mapping.kind == "chat":
            others = message_totals(connection, [one for one in found if one not in self.totals])
            for record_id, loaded in found.items():
                told = self.totals.get(record_id) or others.get(record_id)
                loaded["message_totals"] = [told] if told else []
        if mapping.bytes_path is not None:
            for loaded in found.values():
                self.add_bytes(mapping, loaded)
        return found

    def load_judged(self, connection: Connection, mapping: Mapping, ids: Sequence[str]) -> tuple[dict[str, Rows], bool]:
        """The same, and whether each of them is known to make a valid record."""
        if mapping.kind == "chat" or mapping.bytes_path is not None:
            return self.load(connection, mapping, ids), False
        return rows.load_judged(connection, mapping, ids)

    def add_bytes(self, mapping: Mapping, loaded: Rows) -> None:
        """Put the hash of the bytes a record stands for beside its rows; nothing where they are not found."""
        if mapping.bytes_path is None:
            return
        path = mapping.bytes_path(loaded)
        there = self.public.find(path) if isinstance(path, str) else None
        loaded["public_bytes"] = [{"sha256": there.sha256}] if isinstance(there, Found) else []


def message_totals(connection: Connection, chat_ids: Sequence[str]) -> dict[str, Row]:
    """chat id -> how many messages it has and when the last one was; chats without any are left out."""
    totals: dict[str, Row] = {}
    for some in rows.chunks(chat_ids):
        counted = (
            sa.select(
                messages.c.chatId, sa.func.count(), sa.func.max(messages.c.createdAt, type_=messages.c.createdAt.type)
            )
            .where(messages.c.chatId.in_(some))
            .group_by(messages.c.chatId)
        )
        for chat_id, count, last in connection.execute(counted):
            totals[chat_id] = {"messageCount": count, "lastMessageAt": last}
    return totals


def current_state(
    connection: Connection, loader: Loader, entities: Iterable[Entity]
) -> tuple[dict[str, Changes], dict[Entity, StoreError]]:
    """Kind -> id -> the record as SQL has it now (None: no such row), and the records that no file can hold."""
    by_kind: dict[str, dict[str, None]] = {}
    for kind, record_id in sorted(entities):
        kind = capture.SHOWN_IN.get(kind, kind)
        if kind in MAPPINGS:
            by_kind.setdefault(kind, {})[record_id] = None
    changes: dict[str, Changes] = {}
    unfit: dict[Entity, StoreError] = {}
    for kind, ids in by_kind.items():
        mapping, changes[kind] = MAPPINGS[kind], {}
        loaded = loader.load(connection, mapping, list(ids))
        for record_id in ids:
            try:
                changes[kind][record_id] = mapping.check(loaded[record_id])[1] if record_id in loaded else None
            except InvalidRecordError as error:
                unfit[kind, record_id] = error
    return changes, unfit


# ------------------------------------------------------------------ chat files
def plan_logs(
    connection: Connection, side: JsonSide, entities: Iterable[Entity], *, gone: Collection[str] | None = None
) -> tuple[dict[str, Write], dict[Entity, StoreError]]:
    """What to write so that the chats' files hold what SQL has: new messages at the end are appended, everything else
    rewrites the file. The caller holds the store lock.

    ``gone``: the chats whose files may go. None: all that have no row. That is not enough where the rows come from the
    files: a chat whose line cannot be read has none either, and keeps its messages.
    """
    entities = set(entities)
    whole = {record_id for kind, record_id in entities if kind == "log"}
    files: dict[str, Write] = {}
    refused: dict[Entity, StoreError] = {}
    if capture.EVERYTHING in whole:
        whole = {*connection.scalars(sa.select(chats.c.id)), *side.log_ids()}
    added = _added(connection, [record_id for kind, record_id in entities if kind == "message"], refused)
    for chat_id, records in added.items():
        if chat_id in whole:
            continue
        try:
            tail = logs.tail(side.system, side.data_dir, chat_id)
            append = logs.plan_append(tail, records) if tail else None
        except StoreError:
            append = None  # reading the whole file will say what is wrong with it
        if append is None:
            whole.add(chat_id)
        else:
            files[logs.log_path(chat_id)] = append
    for chat_id in sorted(one for one in whole if rows.is_sound(one)):
        if error := _plan_whole(connection, side, chat_id, files, gone):
            refused["log", chat_id] = error
            refused.update({("message", record["id"]): error for record in added.get(chat_id, ())})
    return files, refused


def _plan_whole(
    connection: Connection, side: JsonSide, chat_id: str, files: dict[str, Write], gone: Collection[str] | None
) -> StoreError | None:
    there = connection.scalar(sa.select(chats.c.id).where(chats.c.id == chat_id)) is not None
    there = there or (gone is not None and chat_id not in gone)
    unfit: list[StoreError] = []
    records = log_records(connection, chat_id, unfit, in_their_place=True) if there else None
    try:
        plan = side.plan_log(chat_id, records)
    except JsonSideError as error:
        return error
    files.update(plan.files)
    return next(iter([*plan.refused.values(), *unfit]), None)


def _added(
    connection: Connection, message_ids: Sequence[str], refused: dict[Entity, StoreError]
) -> dict[str, list[Record]]:
    """chat id -> the records of new messages in their order; one that no file can hold is refused by itself."""
    by_chat: dict[str, list[Record]] = {}
    for message_id, loaded in rows.load(
        connection, MESSAGES, [one for one in message_ids if rows.is_sound(one)]
    ).items():
        try:
            record = MESSAGES.check(loaded)[1]
        except InvalidRecordError as error:
            refused["message", message_id] = error
            continue
        by_chat.setdefault(loaded["messages"][0]["chatId"], []).append(record)
    return {chat_id: sorted(records, key=logs.order) for chat_id, records in by_chat.items()}


def log_records(
    connection: Connection, chat_id: str, unfit: list[StoreError], *, in_their_place: bool = False
) -> Iterator[Record]:
    """Every message of a chat in its order, a block at a time; those that no file can hold go to ``unfit``.
    ``in_their_place``: of those it is said that the lines stay which the file has of them."""
    ids = sa.select(messages.c.id, messages.c.createdAt, messages.c.swipeIndex).where(messages.c.chatId == chat_id)
    keyed = [
        (str(made), (-1,) if swipe is None else (0, swipe), str(one), one)
        for one, made, swipe in connection.execute(ids)
    ]
    keyed.sort(key=lambda key: key[:3])
    for some in rows.chunks([key[3] for key in keyed], BLOCK):
        sound = [one for one in some if rows.is_sound(one)]
        unfit.extend(rows.unsound("message", one) for one in some if not rows.is_sound(one))
        loaded = rows.load(connection, MESSAGES, sound)
        for message_id in sound:
            try:
                yield MESSAGES.check(loaded[message_id])[1]
            except InvalidRecordError as error:
                unfit.append(error)
                if in_their_place:
                    yield logs.as_it_is(message_id)
