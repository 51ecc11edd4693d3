"""Characters: the row, its tags, its personas, and the avatars it wears in single chats."""

from collections.abc import Iterable
from typing import Any

from store.documents.base import derived_id
from store.documents.characters import Character
from store.mapping.base import (
    Child,
    Mapping,
    Record,
    Row,
    Rows,
    by_creation,
    free_form,
    raw_or,
    set_tags,
    tag_links,
    tag_rows,
    with_extras,
)
from store.tables import characters as tables
from store.tables.avatars import chat_avatar_overrides

_PLAIN = ("id", "userId", "name", "title", "description", "personality", "scenario", "firstMessage")
_PLAIN_TOO = ("exampleDialogues", "systemPrompt", "avatarUrl", "defaultImageId")
_COLUMNS = (*_PLAIN, *_PLAIN_TOO, "isFavorite", "createdAt", "updatedAt")


def to_record(rows: Rows) -> Record:
    """The record of a character's rows, in Quilltap's key order."""
    row = rows["characters"][0]
    raw: Record = {}
    record: Record = {key: row[key] for key in (*_PLAIN, *_PLAIN_TOO)}
    record["sillyTavernData"] = free_form(row, "sillyTavernData", raw)
    record["isFavorite"] = row["isFavorite"]
    personas = sorted(rows["character_personas"], key=lambda link: link["personaId"])
    record["personaLinks"] = [{"personaId": link["personaId"], "isDefault": link["isDefault"]} for link in personas]
    links = tag_links(rows["character_tags"])
    record["tags"] = [link["tagId"] for link in links]
    overrides = [
        {"id": one["id"], "chatId": one["chatId"], "imageId": one["imageId"], "createdAt": one["createdAt"]}
        for one in by_creation(rows["chat_avatar_overrides"])
    ]
    record["avatarOverrides"] = [{"chatId": one["chatId"], "imageId": one["imageId"]} for one in overrides]
    record["createdAt"], record["updatedAt"] = row["createdAt"], row["updatedAt"]
    return with_extras(record, tagLinks=links, avatarOverrides=overrides, raw=raw)


def to_rows(record: Record) -> Rows:
    """The rows of a character's record. Links whose ``extras`` Quilltap dropped get derived ids."""
    character_id = record["id"]
    known = {one["chatId"]: one for one in (record.get("extras") or {}).get("avatarOverrides", ())}
    overrides: list[Row] = []
    for override in record.get("avatarOverrides", ()):
        chat_id, image_id = override["chatId"], override["imageId"]
        link = known.get(chat_id) or {
            "id": derived_id("avatar-override", chat_id, character_id),
            "createdAt": record["updatedAt"],
        }
        overrides.append(
            {
                "id": link["id"],
                "chatId": chat_id,
                "characterId": character_id,
                "imageId": image_id,
                "createdAt": link["createdAt"],
            }
        )
    main = {column: record.get(column) for column in _COLUMNS}
    main["sillyTavernData"] = raw_or(record, "sillyTavernData")
    main["isFavorite"] = record.get("isFavorite", False)
    return {
        "characters": [main],
        "character_personas": [_persona_row(character_id, link) for link in record.get("personaLinks", ())],
        "character_tags": tag_rows(record, "characterId"),
        "chat_avatar_overrides": overrides,
    }


def _persona_row(character_id: str, link: Any) -> Row:
    return {
        "characterId": character_id,
        "personaId": link["personaId"],
        "isDefault": link.get("isDefault", False),
    }


def _set_persona_links(rows: Rows, links: Iterable[dict[str, Any]], moment: str) -> None:
    """Set the field ``personaLinks``: a sequence of ``{"personaId", "isDefault"}``."""
    character_id = rows["characters"][0]["id"]
    rows["character_personas"] = [_persona_row(character_id, link) for link in links]


CHARACTERS = Mapping(
    kind="character",
    model="Character",
    main=tables.characters,
    document=Character,
    to_record=to_record,
    to_rows=to_rows,
    children=(
        Child(tables.character_personas, "characterId"),
        Child(tables.character_tags, "characterId"),
        Child(chat_avatar_overrides, "characterId"),
    ),
    links={
        "tags": set_tags("character_tags", "characterId", "characters"),
        "personaLinks": _set_persona_links,
    },
)
