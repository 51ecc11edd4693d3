"""Characters, with their tags and personas."""

from sqlalchemy import Column

from store.tables.base import FreeForm, created, db, flag, identity, link, moment, owner, tag_links, text

characters = db.Table(
    "characters",
    identity(),
    owner(),
    text("name"),
    text("description"),
    text("personality"),
    text("scenario"),
    text("firstMessage"),
    text("exampleDialogues", nullable=True),
    text("systemPrompt", nullable=True),
    text("avatarUrl", nullable=True),
    Column("sillyTavernData", FreeForm, nullable=True),
    created(),
    moment("updatedAt"),
    link("defaultImageId", "images", "SET NULL", nullable=True),
    flag("isFavorite"),
    text("title", nullable=True),
)

character_personas = db.Table(
    "character_personas",
    link("characterId", "characters", "CASCADE", primary_key=True),
    link("personaId", "personas", "CASCADE", primary_key=True),
    flag("isDefault"),
)

character_tags = tag_links("character_tags", "characterId", "characters")
