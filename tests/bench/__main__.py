"""``make bench``: one table, product against floor. ``python -m tests.bench chats`` measures a part."""

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import psycopg

from store import Store, open_store
from tests.bench import chats, memory, moving, peers, records
from tests.bench.library import fill, fill_chats, settings
from tests.bench.measure import Row, table
from tests.postgres import PostgresServer, find_programs


def open_at(folder: Path, url: str, backend: str) -> Store:
    folder.mkdir(exist_ok=True)
    return open_store(settings(folder, url, backend), follow=False)


def records_on_sqlite(base: Path) -> list[Row]:
    """10,000 characters on SQLite, and then the same library in `json` mode."""
    folder = base / "records"
    url = f"sqlite:///{folder}/quilltap.sqlite"
    store = open_at(folder, url, "dual")
    fill(store)
    store.outbox.apply(60)
    database = sqlite3.connect(folder / "quilltap.sqlite")
    rows = [records.update_sqlite(store, folder), *records.read_dual(store, database, "?", "SQLite")]
    rows.append(records.list_sqlite(store, database))
    store.close()
    store = open_at(folder, url, "json")
    rows += [records.read_json(store, folder), records.list_json(store)]
    store.close()
    return rows


def records_on_postgresql(base: Path, url: str) -> list[Row]:
    """The same on PostgreSQL."""
    folder = base / "records-postgresql"
    store = open_at(folder, url.replace("postgresql://", "postgresql+psycopg://"), "dual")
    fill(store)
    store.outbox.apply(60)
    database = psycopg.connect(url, autocommit=True)
    rows = [records.update_postgresql(store, folder, url), *records.read_dual(store, database, "%s", "PostgreSQL")]
    rows.append(records.list_postgresql(store, database))
    store.close()
    return rows


def chats_on_sqlite(base: Path) -> list[Row]:
    """A short and a very long chat: SQL alone, both sides, files alone."""
    folder = base / "chats"
    url = f"sqlite:///{folder}/quilltap.sqlite"
    rows = []
    for backend in ("sql", "dual"):
        store = open_at(folder, url, backend)
        insert = chats.sqlite_insert(folder / f"floor-{backend}.sqlite")
        if backend == "sql":
            fill_chats(store)
        else:
            store.fill_json_side()
            rows += chats.last_in_file(folder)
            rows += chats.last_in_sql(store, sqlite3.connect(folder / "quilltap.sqlite"), "?", "SQLite")
        rows += chats.appends(store, folder, "SQLite", insert)
        store.close()
    store = open_at(folder, url, "json")
    rows += chats.last_in_json_mode(store, folder)
    rows += chats.appends(store, folder, "files", lambda number: None)
    store.close()
    return rows + memory.paging(folder)


def chats_on_postgresql(base: Path, url: str) -> list[Row]:
    """Both sides, on PostgreSQL."""
    folder = base / "chats-postgresql"
    spelled = url.replace("postgresql://", "postgresql+psycopg://")
    store = open_at(folder, spelled, "sql")
    fill_chats(store)
    store.close()
    store = open_at(folder, spelled, "dual")
    store.fill_json_side()
    rows = chats.last_in_sql(store, psycopg.connect(url, autocommit=True), "%s", "PostgreSQL")
    rows += chats.appends(store, folder, "PostgreSQL", chats.postgresql_insert(url))
    store.close()
    return rows


def moving_on_sqlite(base: Path) -> list[Row]:
    """Everything at once, from SQLite."""
    (folder := base / "moving").mkdir()
    return moving.moving(folder, f"sqlite:///{folder}/quilltap.sqlite", "SQLite")


def moving_on_postgresql(base: Path, url: str) -> list[Row]:
    """The same from PostgreSQL."""
    (folder := base / "moving-postgresql").mkdir()
    return moving.moving(folder, url.replace("postgresql://", "postgresql+psycopg://"), "PostgreSQL")


def large_on_sqlite(base: Path) -> list[Row]:
    """The memory that ten times the messages take."""
    (folder := base / "large").mkdir()
    return moving.large(folder, f"sqlite:///{folder}/quilltap.sqlite", "SQLite")


def large_on_postgresql(base: Path, url: str) -> list[Row]:
    """The same from PostgreSQL."""
    (folder := base / "large-postgresql").mkdir()
    return moving.large(folder, url.replace("postgresql://", "postgresql+psycopg://"), "PostgreSQL")


def peers_on_sqlite(base: Path) -> list[Row]:
    """What people would use instead, with SQLite."""
    (folder := base / "peers").mkdir()
    return peers.peers(folder, f"sqlite:///{folder}/quilltap.sqlite", "SQLite")


def peers_on_postgresql(base: Path, url: str) -> list[Row]:
    """The same with PostgreSQL."""
    (folder := base / "peers-postgresql").mkdir()
    return peers.peers(folder, url.replace("postgresql://", "postgresql+psycopg://"), "PostgreSQL")


PARTS = {
    "records": (records_on_sqlite, records_on_postgresql),
    "chats": (chats_on_sqlite, chats_on_postgresql),
    "moving": (moving_on_sqlite, moving_on_postgresql),
}
ON_REQUEST = {  # they take many minutes, or install something
    "large": (large_on_sqlite, large_on_postgresql),
    "peers": (peers_on_sqlite, peers_on_postgresql),
}


def main() -> None:
    """Print the table. Works below ``$BENCH_DIR``, or in the system's temporary folder."""
    known = {**PARTS, **ON_REQUEST}
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description="Measure against the least work possible."
    )
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"what to measure: {', '.join(known)}; without: {', '.join(PARTS)}"
    )
    parts = parser.parse_args().parts or list(PARTS)
    if unknown := [part for part in parts if part not in known]:
        parser.error(f"there is no part {unknown[0]}: choose from {', '.join(known)}")
    base = Path(tempfile.mkdtemp(prefix="tandem-bench-", dir=os.environ.get("BENCH_DIR")))
    server = PostgresServer(programs) if (programs := find_programs()) else None
    rows: list[Row] = []
    try:
        for on_sqlite, on_postgresql in (known[part] for part in parts):
            rows += on_sqlite(base)
            if server:
                rows += on_postgresql(base, server.url(server.create()))
    finally:
        if server:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    sys.stdout.write(table(rows) + "\n")


if __name__ == "__main__":
    main()
