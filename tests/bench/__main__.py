"""``make bench``: one table, product against floor."""

import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import psycopg

from store import Settings, Store, open_store
from store.repositories.contract import Query
from tests.bench.library import character_id, fill
from tests.bench.measure import Row, compare, table
from tests.postgres import PostgresServer, find_programs

QUERY = Query(search="bl", sort="name", page=4, page_size=50)
LIST = "list 50 of 10,000, filtered and sorted, {}"
SHORT = 'id, "userId", name, title, "avatarUrl", "defaultImageId", "isFavorite", "createdAt", "updatedAt"'


def settings(folder: Path, url: str, backend: str) -> Settings:
    return Settings(url, folder / "data", folder / "public", folder, backend)  # type: ignore[arg-type]


def replace_file(folder: Path, data: bytes) -> None:
    """The least that makes a replaced file durable: two barriers."""
    temporary = folder / "floor.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    os.replace(temporary, folder / "floor.json")
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


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


def list_sqlite(store: Store, path: str) -> Row:
    """The floor is the driver's rows of the same question."""
    database = sqlite3.connect(path)

    def floor(number: int) -> None:
        where = "name LIKE '%bl%' OR title LIKE '%bl%'"
        order = "ORDER BY name COLLATE NOCASE, id LIMIT 51 OFFSET 200"
        assert len(database.execute(f"SELECT {SHORT} FROM characters WHERE {where} {order}").fetchall()) == 51

    return compare(LIST.format("SQLite"), "-", lambda number: store.characters.list(QUERY), floor, 20)


def list_postgresql(store: Store, url: str) -> Row:
    """The same on PostgreSQL."""
    database = psycopg.connect(url, autocommit=True)

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


def on_sqlite(base: Path) -> list[Row]:
    """Everything on SQLite, and then the same library in `json` mode."""
    url = f"sqlite:///{base}/quilltap.sqlite"
    store = open_store(settings(base, url, "dual"), follow=False)
    fill(store)
    store.outbox.apply(60)
    rows = [update_sqlite(store, base), list_sqlite(store, str(base / "quilltap.sqlite"))]
    store.close()
    store = open_store(settings(base, url, "json"), follow=False)
    rows.append(list_json(store))
    store.close()
    return rows


def on_postgresql(base: Path, url: str) -> list[Row]:
    """Everything on PostgreSQL."""
    store = open_store(settings(base, url.replace("postgresql://", "postgresql+psycopg://"), "dual"), follow=False)
    fill(store)
    store.outbox.apply(60)
    rows = [update_postgresql(store, base, url), list_postgresql(store, url)]
    store.close()
    return rows


def main() -> None:
    """Print the table. Works below ``$BENCH_DIR``, or in the system's temporary folder."""
    base = Path(tempfile.mkdtemp(prefix="tandem-bench-", dir=os.environ.get("BENCH_DIR")))
    server = PostgresServer(programs) if (programs := find_programs()) else None
    try:
        for name in ("sqlite", "postgresql"):
            (base / name).mkdir()
        rows = on_sqlite(base / "sqlite")
        if server:
            rows += on_postgresql(base / "postgresql", server.url(server.create()))
    finally:
        if server:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
