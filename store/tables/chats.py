"""Chats and their tags."""

from sqlalchemy import Column

from store.tables.base import FreeForm, created, db, identity, link, moment, owner, tag_links, text

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
