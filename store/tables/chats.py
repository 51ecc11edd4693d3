"""Chats, their messages and the files attached to them."""

from sqlalchemy import Column, Integer

from store.tables.base import (
    EnumName,
    FreeForm,
    created,
    db,
    flag,
    identity,
    index,
    link,
    moment,
    owner,
    tag_links,
    text,
)

chats = db.Table(
    "chats",
    identity(),
    owner(),
    link("characterId", "characters", "CASCADE"),
    link("personaId", "personas", "SET NULL", nullable=True),
    link("connectionProfileId", "connection_profiles", "RESTRICT"),
    text("title"),
    text("contextSummary", nullable=True),
    Column("sillyTavernMetadata", FreeForm, nullable=True),
    created(),
    moment("updatedAt"),
    link("imageProfileId", "image_profiles", "SET NULL", nullable=True),
)

chat_tags = tag_links("chat_tags", "chatId", "chats")

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
