"""What goes with what: the delete table of Quilltap's schema, on both databases."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from store.database import Database
from store.enums import ENUMS
from store.errors import StillInUseError, StoreError
from store.tables import MODELS
from store.tables.base import EnumName, FreeForm, Moment

TABLES = {table.name: table for table in MODELS.values()}
MOMENT = "2025-01-01T00:00:00.000Z"
# deleting -> goes with it; is set to null; as the description has it
GOES = {
    "users": "accounts sessions api_keys connection_profiles characters personas chats images tags chat_settings "
    "image_profiles character_personas messages chat_files chat_tags chat_avatar_overrides character_tags persona_tags "
    "connection_profile_tags image_profile_tags image_tags",
    "characters": "character_personas chats messages chat_files chat_tags chat_avatar_overrides character_tags",
    "personas": "character_personas persona_tags",
    "chats": "messages chat_files chat_avatar_overrides chat_tags",
    "messages": "",
    "images": "image_tags chat_avatar_overrides",
    "tags": "character_tags persona_tags chat_tags connection_profile_tags image_profile_tags",
    "api_keys": "",
    "image_profiles": "image_profile_tags",
}
NULLED = {
    "personas": "chats.personaId",
    "messages": "chat_files.messageId",
    "images": "characters.defaultImageId personas.defaultImageId",
    "api_keys": "connection_profiles.apiKeyId image_profiles.apiKeyId",
    "image_profiles": "chats.imageProfileId",
}


def one_row(table: sa.Table) -> dict[str, Any]:
    """A row without a null; every link names the one row of its table, whose id is the table's name."""
    row: dict[str, Any] = {}
    for column in table.c:
        if column.foreign_keys:
            (key,) = column.foreign_keys
            row[column.name] = key.column.table.name
        elif isinstance(column.type, Moment):
            row[column.name] = MOMENT
        elif isinstance(column.type, EnumName):
            row[column.name] = ENUMS[column.type.name][0]
        elif isinstance(column.type, FreeForm):
            row[column.name] = {}
        else:
            row[column.name] = {bool: True, int: 0, str: table.name}[column.type.python_type]
    return row


@pytest.fixture
def database(ready_url: str) -> Iterator[Database]:
    """One row in each of the 23 tables, all linked."""
    opened = Database(ready_url)
    with opened.write() as connection:
        for table in MODELS["User"].metadata.sorted_tables:
            connection.execute(sa.insert(table).values(one_row(table)))
    yield opened
    opened.close()


def state(database: Database) -> dict[str, dict[str, Any] | None]:
    with database.read() as connection:
        found = {name: connection.execute(sa.select(table)).mappings().first() for name, table in TABLES.items()}
    return {name: dict(row) if row else None for name, row in found.items()}


def delete(database: Database, table: str) -> None:
    with database.write() as connection:
        connection.execute(sa.delete(TABLES[table]))


@pytest.mark.parametrize("table", GOES)
def test_a_delete_takes_along_and_sets_to_null_what_the_table_says(database: Database, table: str) -> None:
    before = state(database)
    assert None not in before.values()
    delete(database, table)
    after = state(database)
    assert {name for name, row in after.items() if row is None} == {table, *GOES[table].split()}
    nulled = {
        f"{name}.{column}"
        for name, row in after.items()
        if row is not None
        for column, value in row.items()
        if value != before[name][column]  # type: ignore[index]
    }
    assert nulled == set(NULLED.get(table, "").split())


def test_a_profile_that_a_chat_uses_is_not_deleted(database: Database) -> None:
    before = state(database)
    with pytest.raises(StoreError) as refused:
        delete(database, "connection_profiles")
    assert refused.value.hint
    assert state(database) == before
    if database.dialect == "postgresql":  # SQLite does not say in which direction the link broke
        assert isinstance(refused.value, StillInUseError)
    delete(database, "chats")
    delete(database, "connection_profiles")
    assert state(database)["connection_profile_tags"] is None


def test_what_was_never_a_foreign_key_is_left_alone(database: Database) -> None:
    delete(database, "chats")
    after = state(database)
    assert after["image_tags"] is not None
    assert after["verification_tokens"] is not None


def test_a_changed_id_is_followed_everywhere(database: Database) -> None:
    with database.write() as connection:
        connection.execute(sa.update(TABLES["users"]).values(id="new"))
    owners = {name: row["userId"] for name, row in state(database).items() if row and "userId" in row}
    assert len(owners) == 11
    assert set(owners.values()) == {"new"}


def test_a_link_to_nothing_is_refused_with_a_sentence(database: Database) -> None:
    with pytest.raises(StoreError) as refused, database.write() as connection:
        connection.execute(sa.update(TABLES["chats"]).values(characterId="nobody"))
    assert re.fullmatch(r"A linked record does not exist \(any more\)\.", refused.value.message)
    with pytest.raises(StoreError, match="required value is missing"), database.write() as connection:
        connection.execute(sa.update(TABLES["chats"]).values(title=None))
    with (
        pytest.raises(StoreError, match=r"already a record with this userId, nameLower\."),
        database.write() as connection,
    ):
        connection.execute(sa.insert(TABLES["tags"]).values({**one_row(TABLES["tags"]), "id": "other"}))
