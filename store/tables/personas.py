"""Personas: who the user is in a chat."""

from sqlalchemy import Column

from store.tables.base import FreeForm, created, db, identity, link, moment, owner, tag_links, text

personas = db.Table(
    "personas",
    identity(),
    owner(),
    text("name"),
    text("description"),
    text("personalityTraits", nullable=True),
    text("avatarUrl", nullable=True),
    Column("sillyTavernData", FreeForm, nullable=True),
    created(),
    moment("updatedAt"),
    text("title", nullable=True),
    link("defaultImageId", "images", "SET NULL", nullable=True),
)

persona_tags = tag_links("persona_tags", "personaId", "personas")
