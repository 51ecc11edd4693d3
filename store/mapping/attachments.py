"""Attachments: the row, and from its chat the user."""

from store.documents.attachments import Attachment
from store.mapping.base import Child, Mapping, Record, Row, Rows
from store.mapping.images import file_part, hash_in
from store.tables.attachments import chat_files
from store.tables.chats import chats

_SAME = ("id", "chatId", "messageId", "filename", "mimeType", "size", "width", "height", "createdAt")


def to_record(rows: Rows) -> Record:
    """The line of an attachment."""
    row, sha256 = rows["chat_files"][0], hash_in(rows)
    chat = rows["chats"][0] if rows.get("chats") else {}
    record = {
        **file_part(row, "chat_file", sha256, chat.get("userId") or ""),
        "source": "upload",
        "generationPrompt": None,
        "generationModel": None,
        "chatId": row["chatId"],
        "characterId": None,
        "messageId": row["messageId"],
        "tags": [],
        "createdAt": row["createdAt"],
        "updatedAt": row["createdAt"],
    }
    extras: Record = {"sentToProvider": True} if row["sentToProvider"] else {}
    if row["providerError"] is not None:  # the empty text too
        extras["providerError"] = row["providerError"]
    if sha256 is None:
        extras["bytesMissing"] = True
    return {**record, "extras": extras} if extras else record


def to_rows(record: Record) -> Rows:
    """The row of an attachment's line."""
    extras = record.get("extras") or {}
    row: Row = {key: record.get(key) for key in _SAME}
    row["filepath"] = record["relativePath"]
    row["sentToProvider"], row["providerError"] = bool(extras.get("sentToProvider")), extras.get("providerError")
    return {"chat_files": [row]}


ATTACHMENTS = Mapping(
    kind="attachment",
    model="ChatFile",
    main=chat_files,
    document=Attachment,
    to_record=to_record,
    to_rows=to_rows,
    parents=(Child(chats, "chatId"),),
    bytes_path=lambda rows: rows["chat_files"][0]["filepath"],
)
