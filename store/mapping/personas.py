"""Personas: the row, its tags, and (read only) the characters that link to it."""

from store.documents.personas import Persona
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
from store.tables.characters import character_personas
from store.tables.personas import persona_tags, personas

_PLAIN = ("id", "userId", "name", "title", "description", "personalityTraits", "avatarUrl", "defaultImageId")
_COLUMNS = (*_PLAIN, "createdAt", "updatedAt")


def to_record(rows: Rows) -> Record:
    """The record of a persona's rows, in Quilltap's key order."""
    row = rows["personas"][0]
    raw: Record = {}
    record: Record = {key: row[key] for key in _PLAIN}
    record["sillyTavernData"] = free_form(row, "sillyTavernData", raw)
    record["characterLinks"] = sorted(link["characterId"] for link in rows["character_personas"])
    links = tag_links(rows["persona_tags"])
    record["tags"] = [link["tagId"] for link in links]
    record["createdAt"], record["updatedAt"] = row["createdAt"], row["updatedAt"]
    return with_extras(record, tagLinks=links, raw=raw)


def to_rows(record: Record) -> Rows:
    """The rows of a persona's record. ``characterLinks`` are rows of the characters and come from there."""
    main = {column: record.get(column) for column in _COLUMNS}
    main["sillyTavernData"] = raw_or(record, "sillyTavernData")
    return {"personas": [main], "persona_tags": tag_rows(record, "personaId")}


PERSONAS = Mapping(
    kind="persona",
    model="Persona",
    main=personas,
    document=Persona,
    to_record=to_record,
    to_rows=to_rows,
    children=(Child(persona_tags, "personaId"),),
    reads=(Child(character_personas, "personaId"),),
    links={"tags": set_tags("persona_tags", "personaId", "personas")},
)
