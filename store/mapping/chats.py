"""Chats: the row, its tags, and how many messages it has."""

from store.documents.chats import Chat
from store.mapping.base import (
    Child,
    Mapping,
    Record,
    Rows,
    free_form,
    raw_or,
    set_tags,
    tag_links,
    tag_rows,
    with_extras,
)
from store.tables.chats import chat_tags, chats

_PLAIN = ("id", "userId", "characterId", "personaId", "connectionProfileId", "imageProfileId", "title")
_COLUMNS = (*_PLAIN, "contextSummary")


def to_record(rows: Rows) -> Record:
    """The line of a chat. How long its file is, only the files can tell: see ``store.files``."""
    row = rows["chats"][0]
    totals = next(iter(rows.get("message_totals") or ()), {"messageCount": 0, "lastMessageAt": None})
    raw: Record = {}
    record: Record = {key: row[key] for key in _COLUMNS}
    record["sillyTavernMetadata"] = free_form(row, "sillyTavernMetadata", raw)
    links = tag_links(rows["chat_tags"])
    record["tags"] = [link["tagId"] for link in links]
    record["messageCount"], record["lastMessageAt"] = totals["messageCount"], totals["lastMessageAt"]
    record["createdAt"], record["updatedAt"] = row["createdAt"], row["updatedAt"]
    return with_extras(record, tagLinks=links, raw=raw)


def to_rows(record: Record) -> Rows:
    """The rows of a chat's line; what follows from its messages becomes none."""
    main = {key: record.get(key) for key in (*_COLUMNS, "createdAt", "updatedAt")}
    main["sillyTavernMetadata"] = raw_or(record, "sillyTavernMetadata")
    return {"chats": [main], "chat_tags": tag_rows(record, "chatId")}


CHATS = Mapping(
    kind="chat",
    model="Chat",
    main=chats,
    document=Chat,
    to_record=to_record,
    to_rows=to_rows,
    children=(Child(chat_tags, "chatId"),),
    links={"tags": set_tags("chat_tags", "chatId", "chats")},
)
