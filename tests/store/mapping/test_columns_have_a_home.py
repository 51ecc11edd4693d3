"""Completeness: no column of Quilltap's tables is forgotten on the way to a file or on the way back, and no field of a
document is there for nothing."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table

from store import codec
from store.documents.base import Part, _inner_parts
from store.enums import ENUMS
from store.mapping import MAPPINGS, Child, Mapping, Row, Rows
from store.tables import MODELS
from store.tables.base import EnumName, FreeForm, Moment
from tests.store.mapping.making import ALL

NOUNS = {
    "user": {"users", "chat_settings"},
    "account": {"accounts"},
    "session": {"sessions"},
    "token": {"verification_tokens"},
    "tag": {"tags"},
    "key": {"api_keys"},
    "profile": {"connection_profiles", "connection_profile_tags"},
    "image_profile": {"image_profiles", "image_profile_tags"},
    "image": {"images", "image_tags"},
    "persona": {"personas", "persona_tags"},
    "character": {"characters", "character_personas", "character_tags", "chat_avatar_overrides"},
    "chat": {"chats", "chat_tags"},
    "attachment": {"chat_files"},
    "avatar": {"chat_avatar_overrides"},
    "message": {"messages"},
}
OWN = {kind: mapping for kind, mapping in ALL.items() if not mapping.derived}
# Columns that show in no record, and why nothing is lost.
NOT_IN_THE_RECORD = {"messages.chatId": "the name of the chat's file"}

# Fields that follow from no column, and why they are there all the same.
_RAW = "what Quilltap refuses; test_round_trip makes such values"
_ALWAYS_THE_SAME = "tells what kind of line it is"
_BYTES = "follows from the bytes below PUBLIC_DIR"
_QUILLTAPS = "Quilltap's, and says nothing here"
_BINARY = {"sha256": _BYTES, "type": _ALWAYS_THE_SAME, "extras.bytesMissing": _BYTES}
_NO_SOURCE = dict.fromkeys(("source", "generationPrompt", "generationModel"), _QUILLTAPS)
_CRC = "follows from the line's own bytes, which store.files.logs makes"
FIELDS_WITHOUT_A_COLUMN: dict[str, dict[str, str]] = {
    "user": {
        "user.extras.raw": _RAW,
        "user.extras.syntheticChatSettings": "there is no row of chat settings",
    },
    "profile": {"extras.raw": _RAW},
    "image_profile": {"extras.raw": _RAW},
    "persona": {"extras.raw": _RAW},
    "character": {"extras.raw": _RAW},
    "chat": {
        "extras.raw": _RAW,
        "messageCount": "follows from the messages",
        "lastMessageAt": "follows from the messages",
        "extras.log.bytes": "follows from the chat's file",
    },
    "image": {
        **_BINARY,
        **dict.fromkeys(("chatId", "characterId", "messageId"), _QUILLTAPS),
        "tags": "the UUIDs among extras.imageTags; test_binaries",
        "extras.raw": _RAW,
    },
    "attachment": {**_BINARY, **_NO_SOURCE, "characterId": _QUILLTAPS, "tags": _QUILLTAPS},
    "avatar": {
        **_BINARY,
        "messageId": _QUILLTAPS,
        "tags": _QUILLTAPS,
        "extras.derived": "tells it from what Quilltap itself wrote",
    },
    "message": {"type": _ALWAYS_THE_SAME, "extras.raw": _RAW, "extras.crc": _CRC},
}


def value_of(column: Column[Any], variant: int) -> Any:
    """Two values of a column that differ, none of them its default."""
    kind = column.type
    if isinstance(kind, Moment):
        return f"2025-01-0{variant}T00:00:00.00{variant}Z"
    if isinstance(kind, FreeForm):
        return {"variant": variant}
    if isinstance(kind, EnumName):
        return ENUMS[kind.name][variant]
    if column is MODELS["Image"].c.source:
        return ("import", "generated")[variant - 1]
    if kind.python_type is int:
        return variant
    return bool(variant - 1) if kind.python_type is bool else f"{column.name} {variant}"


def one_row(table: Table, **given: Any) -> Row:
    return {column.name: given.get(column.name, value_of(column, 1)) for column in table.c}


def rows_with(mapping: Mapping, changed: Column[Any] | None = None, record_id: str = "its id") -> Rows:
    """One row in each table, all of one record; in ``changed`` another value than usual."""
    made: Rows = {
        "message_totals": [{"messageCount": 3, "lastMessageAt": "2025-01-03T00:00:00.003Z"}],
        "public_bytes": [{"sha256": "ab" * 32}],
    }
    parents = [Child(parent.table, "id") for parent in mapping.parents]
    for child in (*mapping.tables, *parents):
        row = one_row(child.table, **({} if child in parents else {child.column: record_id}))
        if changed is not None and changed.table is child.table:
            row[changed.name] = value_of(changed, 2)
        made[child.table.name] = [row]
    return made


def homeless(mapping: Mapping) -> set[str]:
    """Columns of the noun's own tables that do not show in its record, or do not come back from it."""
    lost = set()
    usual = codec.dumps(mapping.to_record(rows_with(mapping)))
    for child in (mapping.tables[0], *mapping.children):
        for column in child.table.c:
            if column.name == child.column:
                continue  # the record's own id; the round trip looks at it
            rows = rows_with(mapping, column)
            record = mapping.to_record(rows)
            back = mapping.to_rows(record).get(child.table.name) or [{}]
            value = rows[child.table.name][0][column.name]
            if codec.dumps(record) == usual or back[0].get(column.name, ...) != value:
                lost.add(f"{child.table.name}.{column.name}")
    return lost


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every value in a record with the names of the fields that lead to it."""
    if isinstance(value, dict) and "variant" not in value:
        for key, member in value.items():
            yield from leaves(member, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for member in value:
            yield from leaves(member, path)
    else:
        yield path, repr(value)


def fields_of(part: type[Part], path: str = "") -> Iterator[str]:
    """Every field of a document that is made of no others."""
    for name, inner in _inner_parts(part).items():
        place = f"{path}.{name}" if path else name
        yield from fields_of(inner, place) if inner else (place,)


def idle_fields(mapping: Mapping) -> set[str]:
    """Fields of the document in which no change of any column shows."""
    usual = set(leaves(mapping.to_record(rows_with(mapping))))
    changed = [rows_with(mapping, record_id="its other id")]
    for child in (*mapping.tables, *(Child(parent.table, "id") for parent in mapping.parents)):
        changed += [rows_with(mapping, column) for column in child.table.c if column.name != child.column]
    moved = {path for rows in changed for path, _ in usual ^ set(leaves(mapping.to_record(rows)))}
    return set(fields_of(mapping.document)) - moved


def test_every_table_of_the_nouns_belongs_to_one_record() -> None:
    own = {kind: {child.table.name for child in (m.tables[0], *m.children)} for kind, m in ALL.items()}
    assert own == NOUNS
    homes = [child.table.name for mapping in OWN.values() for child in (mapping.tables[0], *mapping.children)]
    assert sorted(homes) == sorted(table.name for table in MODELS.values())


def test_every_column_of_quilltap_is_looked_at() -> None:
    columns = [
        column for mapping in OWN.values() for t in (mapping.tables[0], *mapping.children) for column in t.table.c
    ]
    assert len(columns) == 186


@pytest.mark.parametrize("kind", sorted(OWN))
def test_every_column_shows_in_the_record_and_comes_back(kind: str) -> None:
    assert homeless(OWN[kind]) == NOT_IN_THE_RECORD.keys() & {
        f"{OWN[kind].main.name}.{c.name}" for c in OWN[kind].main.c
    }


@pytest.mark.parametrize("kind", sorted(OWN))
def test_the_rows_that_come_back_have_exactly_the_columns_of_the_tables(kind: str) -> None:
    mapping = OWN[kind]
    back = mapping.to_rows(mapping.to_record(rows_with(mapping)))
    tables = {child.table.name: child.table for child in (mapping.tables[0], *mapping.children)}
    assert {name: set(table[0]) for name, table in back.items()} == {
        name: {column.name for column in table.c if f"{name}.{column.name}" not in NOT_IN_THE_RECORD}
        for name, table in tables.items()
    }


@pytest.mark.parametrize("kind", sorted(ALL))
def test_every_field_has_a_column_or_a_reason(kind: str) -> None:
    assert idle_fields(ALL[kind]) == FIELDS_WITHOUT_A_COLUMN.get(kind, {}).keys()


def test_a_field_without_a_column_is_noticed() -> None:
    mapping = MAPPINGS["chat"]

    def to_record(rows: Rows) -> Row:
        return {**mapping.to_record(rows), "title": "always the same"}

    assert "title" in idle_fields(replace(mapping, to_record=to_record))


def test_a_column_that_is_forgotten_is_noticed() -> None:
    mapping = MAPPINGS["character"]

    def to_record(rows: Rows) -> Row:
        return {key: value for key, value in mapping.to_record(rows).items() if key != "title"}

    def to_rows(record: Row) -> Rows:
        rows = mapping.to_rows(record)
        rows["character_tags"] = [{**row, "createdAt": "now"} for row in rows["character_tags"]]
        return rows

    assert homeless(replace(mapping, to_record=to_record)) == {"characters.title"}
    assert homeless(replace(mapping, to_rows=to_rows)) == {"character_tags.createdAt"}


def test_a_column_that_a_later_schema_adds_is_noticed() -> None:
    tags = MODELS["Tag"]
    later = Table("later_tags", MetaData())
    for column in tags.c:
        later.append_column(Column(column.name, column.type))
    later.append_column(Column("quickHide", tags.c.name.type))
    mapping = MAPPINGS["tag"]
    fake = replace(
        mapping,
        main=later,
        to_record=lambda rows: mapping.to_record({"tags": rows["later_tags"]}),
        to_rows=lambda record: {"later_tags": mapping.to_rows(record)["tags"]},
    )
    assert homeless(fake) == {"later_tags.quickHide"}
