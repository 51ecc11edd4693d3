"""Completeness: no column of these nouns' tables is forgotten on the way to a file or on the way back."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table

from store import codec
from store.mapping import MAPPINGS, Mapping, Row, Rows
from store.tables import MODELS
from store.tables.base import EnumName, FreeForm, Moment

NOUNS = {
    "user": {"users", "chat_settings"},
    "tag": {"tags"},
    "persona": {"personas", "persona_tags"},
    "character": {"characters", "character_personas", "character_tags", "chat_avatar_overrides"},
}


def value_of(column: Column[Any], variant: int) -> Any:
    """Two values of a column that differ, none of them its default."""
    kind = column.type
    if isinstance(kind, Moment):
        return f"2025-01-0{variant}T00:00:00.00{variant}Z"
    if isinstance(kind, FreeForm):
        return {"variant": variant}
    if isinstance(kind, EnumName):
        return ("GROUP_ONLY", "NEVER")[variant - 1]
    return bool(variant - 1) if kind.python_type is bool else f"{column.name} {variant}"


def one_row(table: Table, **given: Any) -> Row:
    return {column.name: given.get(column.name, value_of(column, 1)) for column in table.c}


def rows_with(mapping: Mapping, changed: Column[Any] | None = None) -> Rows:
    """One row in each table, all of one record; in ``changed`` another value than usual."""
    made: Rows = {}
    for child in mapping.tables:
        row = one_row(child.table, **{child.column: "its id"})
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


def test_every_table_of_the_nouns_belongs_to_one_record() -> None:
    own = {kind: {child.table.name for child in (m.tables[0], *m.children)} for kind, m in MAPPINGS.items()}
    assert own == NOUNS


@pytest.mark.parametrize("kind", sorted(MAPPINGS))
def test_every_column_shows_in_the_record_and_comes_back(kind: str) -> None:
    assert homeless(MAPPINGS[kind]) == set()


@pytest.mark.parametrize("kind", sorted(MAPPINGS))
def test_the_rows_that_come_back_have_exactly_the_columns_of_the_tables(kind: str) -> None:
    mapping = MAPPINGS[kind]
    back = mapping.to_rows(mapping.to_record(rows_with(mapping)))
    tables = {child.table.name: child.table for child in (mapping.tables[0], *mapping.children)}
    assert {name: set(table[0]) for name, table in back.items()} == {
        name: set(table.c.keys()) for name, table in tables.items()
    }


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
