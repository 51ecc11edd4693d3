"""A Quilltap database that is there already is used as it is: Tandem adds triggers and its own tables, nothing else."""

import sqlite3
from pathlib import Path

import pytest

from store import Store
from store.database import Database
from store.errors import DatabaseError, StillInUseError
from tests.factories import assert_everything_is_equal, make_character, make_tag, open_test_store, with_driver
from tests.store.tables.quilltap_database import added, catalogue, ddl, rows

NOW = "2025-01-01 00:00:00.000"
QUILLTAPS_ROWS = [
    f"INSERT INTO users (id, email, \"updatedAt\", \"createdAt\") VALUES ('u', 'a@example.org', '{NOW}', '{NOW}')",
    f"""INSERT INTO characters (id, "userId", name, description, personality, scenario, "firstMessage", "createdAt",
        "updatedAt", "sillyTavernData")
        VALUES ('c', 'u', 'Alice', '', '', '', '', '{NOW}', '{NOW}', '{{"b":1.0,"a":[]}}')""",
    f'INSERT INTO api_keys (id, "userId", provider, label, "keyEncrypted", "keyIv", "keyAuthTag", "updatedAt") '
    f"VALUES ('k', 'u', 'GROK', '', 'aa', 'bb', 'cc', '{NOW}')",
]


def plain(url: str, statements: list[str]) -> None:
    """Carry out SQL by the driver alone, as another program does."""
    database = Database(with_driver(url))
    with database.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    database.close()


@pytest.fixture
def quilltap(database_url: str) -> str:
    """The address of a database that Prisma made and Quilltap filled."""
    dialect = database_url.partition(":")[0]
    plain(database_url, [*ddl(dialect), *QUILLTAPS_ROWS])
    return database_url


def looked_at(url: str) -> tuple[object, object]:
    database = Database(with_driver(url))
    with database.engine.connect() as connection:
        seen = catalogue(connection), rows(connection)
    database.close()
    return seen


def test_it_is_not_altered(tmp_path: Path, quilltap: str) -> None:
    before = looked_at(quilltap)
    store = open_test_store(tmp_path, quilltap)
    store.fill_json_side()
    assert_everything_is_equal(store)
    with store.database.engine.connect() as connection:
        assert len(added(connection)) == len(set(added(connection))) >= 24
    store.capture_off()
    assert store.captured() is False
    with store.database.engine.connect() as connection:
        assert added(connection) == []
    store.close()
    assert looked_at(quilltap) == before


def test_it_is_used(tmp_path: Path, quilltap: str) -> None:
    store = open_test_store(tmp_path, quilltap)
    store.fill_json_side()
    assert str(store.characters.find_by_id("c").sillyTavernData["b"]) == "1.0"
    tag = make_tag(store, name="Elf", userId="u")
    store.characters.add_tag("c", tag.id)
    assert_everything_is_equal(store)
    store.close()


def test_whatever_another_program_writes_reaches_the_files(tmp_path: Path, quilltap: str) -> None:
    store = open_test_store(tmp_path, quilltap)
    store.fill_json_side()
    plain(
        quilltap,
        [
            "UPDATE characters SET name = 'Alicia' WHERE id = 'c'",
            'INSERT INTO tags (id, "userId", name, "nameLower", "updatedAt") '
            f"VALUES ('t', 'u', 'T', 't', '{NOW}')",
            "INSERT INTO character_tags (id, \"characterId\", \"tagId\") VALUES ('l', 'c', 't')",
            "UPDATE users SET id = 'u2' WHERE id = 'u'",
        ],
    )
    assert store.pending() > 0
    store.outbox.apply()
    assert_everything_is_equal(store)
    plain(quilltap, ["DELETE FROM users"])
    store.outbox.apply()
    assert_everything_is_equal(store)
    assert {kind for kind, repository in store.repositories.items() if list(repository.find_all())} == set()
    store.close()


def test_triggers_that_were_lost_are_put_back_and_everything_is_looked_at(tmp_path: Path, quilltap: str) -> None:
    """A Prisma migration on SQLite rebuilds the table and drops them."""
    store = open_test_store(tmp_path, quilltap)
    store.fill_json_side()
    store.capture_off()
    store.close()
    plain(quilltap, ["UPDATE characters SET name = 'Missed' WHERE id = 'c'"])
    store = open_test_store(tmp_path, quilltap)
    assert store.captured()
    assert store.capture_on() == 0
    assert_everything_is_equal(store)
    assert b"Missed" in (tmp_path / "data/characters/c.json").read_bytes()
    store.close()


def test_sql_mode_adds_no_trigger(tmp_path: Path, quilltap: str) -> None:
    before = looked_at(quilltap)
    store: Store = open_test_store(tmp_path, quilltap, "sql")
    with store.database.engine.connect() as connection:
        assert added(connection) == []
    store.close()
    assert looked_at(quilltap) == before


def test_half_a_schema_is_refused_with_a_sentence(tmp_path: Path, quilltap: str) -> None:
    plain(
        quilltap, ["DROP TABLE chat_avatar_overrides", "DROP TABLE messages" + " CASCADE" * ("postgresql" in quilltap)]
    )
    with pytest.raises(DatabaseError, match="messages, chat_avatar_overrides") as refused:
        open_test_store(tmp_path, quilltap)
    assert "0.7.0" in refused.value.hint
    assert not (tmp_path / "data").exists()
    database = Database(with_driver(quilltap))
    with database.engine.connect() as connection:
        assert added(connection) == []
        assert not any("tandem" in repr(one) for one in catalogue(connection))
    database.close()


@pytest.fixture
def made_profiles_last(sqlite_url: str) -> str:
    """SQLite deletes from the table made last to the first: a chat made earlier still needs its profile."""
    made = ddl("sqlite")
    profiles = next(statement for statement in made if statement.startswith('CREATE TABLE "connection_profiles"'))
    made.remove(profiles)
    chat = [
        'INSERT INTO connection_profiles (id, "userId", name, provider, "modelName", "updatedAt") '
        f"VALUES ('p', 'u', '', 'GROK', '', '{NOW}')",
        'INSERT INTO chats (id, "userId", "characterId", "connectionProfileId", title, "updatedAt") '
        f"VALUES ('ch', 'u', 'c', 'p', '', '{NOW}')",
    ]
    plain(sqlite_url, [*made, profiles, *QUILLTAPS_ROWS, *chat])
    return sqlite_url


def test_a_user_goes_with_chats_and_profiles_in_whatever_order_the_tables_were_made(
    tmp_path: Path, made_profiles_last: str
) -> None:
    store = open_test_store(tmp_path, made_profiles_last, "sql")
    store.users.delete("u")
    assert {kind for kind, repository in store.repositories.items() if list(repository.find_all())} == set()
    store.close()


def test_a_user_whose_profile_another_users_chat_needs_stays_and_the_reason_is_told(
    tmp_path: Path, made_profiles_last: str
) -> None:
    plain(
        made_profiles_last,
        [
            f"INSERT INTO users (id, email, \"updatedAt\") VALUES ('v', 'v@example.org', '{NOW}')",
            f"""INSERT INTO characters (id, "userId", name, description, personality, scenario, "firstMessage",
            "updatedAt") VALUES ('d', 'v', 'Bob', '', '', '', '', '{NOW}')""",
            "UPDATE chats SET \"userId\" = 'v', \"characterId\" = 'd'",
        ],
    )
    store = open_test_store(tmp_path, made_profiles_last, "sql")
    with pytest.raises(StillInUseError, match="still need this user") as refused:
        store.users.delete("u")
    assert refused.value.hint
    assert store.users.find_by_id("u") is not None
    assert sorted(one.id for one in store.characters.find_all()) == ["c", "d"]
    store.close()


def test_a_database_of_something_else_gets_the_tables_beside_its_own(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE recipes (name TEXT)")
    connection.execute("INSERT INTO recipes VALUES ('soup')")
    connection.commit()
    connection.close()
    store = open_test_store(tmp_path, f"sqlite:///{path}")
    make_character(store)
    with store.database.engine.connect() as opened:
        assert opened.exec_driver_sql("SELECT name FROM recipes").scalar() == "soup"
    store.close()


def test_a_schema_named_as_prisma_names_it_is_used(tmp_path: Path, postgres_url: str) -> None:
    plain(postgres_url, ["CREATE SCHEMA quilltap"])
    address = postgres_url + "&schema=quilltap&connection_limit=5&pool_timeout=2&pgbouncer=true"
    store = open_test_store(tmp_path, address)
    make_character(store)
    assert_everything_is_equal(store)
    store.close()
    database = Database(with_driver(postgres_url))
    with database.engine.connect() as connection:
        asked = (
            "SELECT table_schema, count(*) FROM information_schema.tables "
            "WHERE table_schema IN ('public', 'quilltap') GROUP BY 1"
        )
        assert connection.exec_driver_sql(asked).all() == [("quilltap", 23)]
    database.close()
    again = open_test_store(tmp_path, address)
    assert len(again.characters.find_all()) == 1
    assert again.captured()
    again.close()


def test_the_public_schema_spelled_out_is_the_usual_one(tmp_path: Path, postgres_url: str) -> None:
    plain(postgres_url, [*ddl("postgresql"), *QUILLTAPS_ROWS])
    store = open_test_store(tmp_path, postgres_url + "&schema=public")
    assert [one.id for one in store.characters.find_all()] == ["c"]
    store.close()
