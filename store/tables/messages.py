"""The messages of chats."""

from sqlalchemy import Column, Integer

from store.tables.base import EnumName, FreeForm, created, db, identity, index, link, text

messages = db.Table(
    "messages",
    identity(),
    link("chatId", "chats", "CASCADE"),
    Column("role", EnumName("Role"), nullable=False),
    text("content"),
    Column("rawResponse", FreeForm, nullable=True),
    Column("tokenCount", Integer, nullable=True),
    text("swipeGroupId", nullable=True),
    Column("swipeIndex", Integer, nullable=True),
    created(),
    index("messages", "chatId", "createdAt"),
    index("messages", "swipeGroupId"),
)
