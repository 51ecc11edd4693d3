"""Messages: the row, and the files attached to it. They are no noun with files of its own: a chat's file holds them."""

from store.documents.messages import Message
from store.files.lines import event
from store.mapping.base import Child, Mapping, Record, Rows, by_creation, free_form, raw_or, with_extras
from store.tables.attachments import chat_files
from store.tables.messages import messages

_BEFORE = ("id", "role", "content")
_AFTER = ("tokenCount", "swipeGroupId", "swipeIndex")


def to_record(rows: Rows) -> Record:
    """The event of a message, without the checksum of its line."""
    row = rows["messages"][0]
    raw: Record = {}
    value, files = free_form(row, "rawResponse", raw), [file["id"] for file in by_creation(rows["chat_files"])]
    told, swipe = (row["id"], row["role"], row["content"]), (row["swipeGroupId"], row["swipeIndex"])
    return with_extras(event(*told, value, row["tokenCount"], *swipe, files, row["createdAt"]), raw=raw)


def to_rows(record: Record) -> Rows:
    """The row of a message, without ``chatId``: the file's name says it. Its attachments are rows of their own."""
    row = {key: record.get(key) for key in (*_BEFORE, *_AFTER, "createdAt")}
    row["rawResponse"] = raw_or(record, "rawResponse")
    return {"messages": [row]}


MESSAGES = Mapping(
    kind="message",
    model="Message",
    main=messages,
    document=Message,
    to_record=to_record,
    to_rows=to_rows,
    reads=(Child(chat_files, "messageId"),),
)
