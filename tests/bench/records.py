"""Records: point updates, point reads, lists."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg
from sqlalchemy.orm import Session, registry

from store import Store
from store.repositories.contract import Query
from store.tables.characters import characters
from tests.bench.floors import replace_file
from tests.bench.library import character_id
from tests.bench.measure import Row, compare

QUERY = Query(search="bl", sort="name", page=4, page_size=50)
LIST = "list 50 of 10,000, filtered and sorted, {}"
SHORT = 'id, "userId", name, title, "avatarUrl", "defaultImageId", "isFavorite", "createdAt", "updatedAt"'


class Entity:
    """A character as SQLAlchemy's own mapper reads it, without what is linked to it."""


registry().map_imperatively(Entity, characters)


# ------------------------------------------------------------------ point updates
def update_sqlite(store: Store, folder: Path) -> Row:
    """A dual update, all durable; the floor is the driver, one durable commit, one replaced file, one lazy delete."""
    database = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
    database.executescript(
        "PRAGMA journal_mode=WAL; CREATE TABLE c (id TEXT PRIMARY KEY, description TEXT, updated TEXT);"
        "CREATE TABLE o (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT);"
    )
    text = "x" * 4000
    database.executemany("INSERT INTO c VALUES (?, ?, ?)", [(character_id(n), text, "") for n in range(1000)])

    def floor(number: int) -> None:
        one = character_id(number % 1000)
        database.execute("PRAGMA synchronous=FULL")
        database.execute("BEGIN IMMEDIATE")
        database.execute(
            "UPDATE c SET description = ?, updated = ? WHERE id = ?", (f"{number}{text}", str(number), one)
        )
        database.execute("INSERT INTO o (id) VALUES (?)", (one,))
        database.execute("COMMIT")
        (written,) = database.execute("SELECT description FROM c WHERE id = ?", (one,)).fetchone()
        replace_file(folder, written.encode())
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute("DELETE FROM o WHERE id = ?", (one,))

    return compare("point update, dual, SQLite, all durable", "<= 1.4x", _update(store), floor, 100)


def _update(store: Store) -> Callable[[int], None]:
    text = "y" * 4000

    def product(number: int) -> None:
        result = store.characters.update(character_id(number % 1000), {"description": f"{number}{text}"})
        assert result.sources.consistent

    return product


def update_postgresql(store: Store, folder: Path, url: str) -> Row:
    """The same on PostgreSQL."""
    database = psycopg.connect(url)
    database.execute("CREATE TABLE public.floor_c (id text PRIMARY KEY, description text, updated text)")
    database.execute("CREATE TABLE public.floor_o (seq bigserial PRIMARY KEY, id text)")
    text = "x" * 4000
    for number in range(1000):
        database.execute("INSERT INTO floor_c VALUES (%s, %s, '')", (character_id(number), text))
    database.commit()

    def floor(number: int) -> None:
        one = character_id(number % 1000)
        database.execute(
            "UPDATE floor_c SET description = %s, updated = %s WHERE id = %s", (f"{number}{text}", str(number), one)
        )
        database.execute("INSERT INTO floor_o (id) VALUES (%s)", (one,))
        database.commit()
        row = database.execute("SELECT description FROM floor_c WHERE id = %s", (one,)).fetchone()
        assert row
        replace_file(folder, row[0].encode())
        database.execute("SET LOCAL synchronous_commit = off")
        database.execute("DELETE FROM floor_o WHERE id = %s", (one,))
        database.commit()

    return compare("point update, dual, PostgreSQL, all durable", "<= 1.4x", _update(store), floor, 100)


# ------------------------------------------------------------------ point reads
def _read(store: Store) -> Callable[[int], None]:
    def product(number: int) -> None:
        assert store.characters.find_by_id(character_id(number % 5000)) is not None

    return product


def read_json(store: Store, folder: Path) -> Row:
    """In `json` mode; the floor opens, reads and parses the file."""
    files = [folder / "data" / "characters" / f"{character_id(number)}.json" for number in range(5000)]

    def floor(number: int) -> None:
        with open(files[number % 5000], "rb") as file:
            assert orjson.loads(file.read())

    return compare("point read, json", "<= 2x, <= 0.15 ms", _read(store), floor, 500)


def _select(database: Any, mark: str) -> Callable[[int], None]:
    statement = f"SELECT * FROM characters WHERE id = {mark}"

    def floor(number: int) -> None:
        assert database.execute(statement, (character_id(number % 5000),)).fetchone()

    return floor


def read_dual(store: Store, database: Any, mark: str, name: str) -> list[Row]:
    """SQL answers. The floors are the driver's one row, and SQLAlchemy's own mapper: one row, too."""

    def mapper(number: int) -> None:
        with Session(store.database.engine) as session:
            assert session.get(Entity, character_id(number % 5000)) is not None

    return [
        compare(f"point read, dual, {name}, floor: driver", "-", _read(store), _select(database, mark), 500),
        compare(f"point read, dual, {name}, floor: the ORM's get", "<= 1.3x", _read(store), mapper, 500),
    ]


# ------------------------------------------------------------------ lists
def list_sqlite(store: Store, database: sqlite3.Connection) -> Row:
    """The floor is the driver's rows of the same question."""

    def floor(number: int) -> None:
        where = "name LIKE '%bl%' OR title LIKE '%bl%'"
        order = "ORDER BY name COLLATE NOCASE, id LIMIT 51 OFFSET 200"
        assert len(database.execute(f"SELECT {SHORT} FROM characters WHERE {where} {order}").fetchall()) == 51

    return compare(LIST.format("SQLite"), "-", lambda number: store.characters.list(QUERY), floor, 20)


def list_postgresql(store: Store, database: psycopg.Connection) -> Row:
    """The same on PostgreSQL."""

    def floor(number: int) -> None:
        where = "name ILIKE '%bl%' OR title ILIKE '%bl%'"
        order = 'ORDER BY lower(name COLLATE "C"), id LIMIT 51 OFFSET 200'
        statement = f"SELECT {SHORT} FROM characters WHERE {where} {order}"
        assert len(database.execute(statement.encode()).fetchall()) == 51

    return compare(LIST.format("PostgreSQL"), "-", lambda number: store.characters.list(QUERY), floor, 20)


def list_json(store: Store) -> Row:
    """In `json` mode; the floor is names that are in memory already, folded."""
    rows = store.characters.list(Query(page_size=500)).rows
    for page in range(1, 20):
        rows += store.characters.list(Query(page=page, page_size=500)).rows
    names = [(row["name"].casefold(), row["id"]) for row in rows]

    def floor(number: int) -> None:
        assert len(sorted(pair for pair in names if "bl" in pair[0])[200:250]) == 50

    return compare(LIST.format("json, warm"), "2 ms", lambda number: store.characters.list(QUERY), floor, 20)
