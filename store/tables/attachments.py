"""Files attached to chats; the message they were sent with is known once it was."""

from sqlalchemy import Column, Integer

from store.tables.base import created, db, flag, identity, index, link, text

chat_files = db.Table(
    "chat_files",
    identity(),
    link("chatId", "chats", "CASCADE"),
    link("messageId", "messages", "SET NULL", nullable=True),
    text("filename"),
    text("filepath"),
    text("mimeType"),
    Column("size", Integer, nullable=False),
    Column("width", Integer, nullable=True),
    Column("height", Integer, nullable=True),
    flag("sentToProvider"),
    text("providerError", nullable=True),
    created(),
    index("chat_files", "chatId"),
    index("chat_files", "messageId"),
)
