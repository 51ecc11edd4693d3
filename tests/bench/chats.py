"""Chats: messages appended to a short one and to a very long one, and the end of a chat read."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import psycopg

from store import Store
from store.documents import Message
from store.files import logs
from store.files.system import System
from tests.bench.floors import append_file
from tests.bench.library import LONG, SHORT, chat_id, message
from tests.bench.measure import Row, compare

CALLS = 40  # a short chat must not grow long while it is measured
TAIL = 64 * 1024
COLUMNS = 'id, "chatId", role, content, "rawResponse", "tokenCount", "swipeGroupId", "swipeIndex", "createdAt"'
Insert = Callable[[int], None]


# ------------------------------------------------------------------ appending
def sqlite_insert(path: Path) -> Insert:
    """The driver's durable insert of a message into a table like Quilltap's, with as many rows."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute(f"CREATE TABLE messages ({COLUMNS}, PRIMARY KEY (id))")
    database.execute('CREATE INDEX by_moment ON messages ("chatId", "createdAt")')
    database.execute('CREATE INDEX by_swipe ON messages ("swipeGroupId")')
    statement = f"INSERT INTO messages ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
    database.execute("BEGIN")
    database.executemany(statement, [_plain(LONG, n) for n in range(LONG)])
    database.execute("COMMIT")

    def insert(number: int) -> None:
        database.execute(statement, _plain(LONG, LONG + number))

    return insert


def postgresql_insert(url: str) -> Insert:
    """The same on PostgreSQL."""
    database = psycopg.connect(url, autocommit=True)
    database.execute(
        'CREATE TABLE public.floor_m (id text PRIMARY KEY, "chatId" text, role text, content text, "rawResponse" jsonb,'
        ' "tokenCount" int, "swipeGroupId" text, "swipeIndex" int, "createdAt" timestamp(3))'
    )
    database.execute('CREATE INDEX ON public.floor_m ("chatId", "createdAt")')
    database.execute('CREATE INDEX ON public.floor_m ("swipeGroupId")')
    statement = f"INSERT INTO public.floor_m ({COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)".encode()
    with database.transaction(), database.cursor() as cursor:
        cursor.executemany(statement, [_plain(LONG, n) for n in range(LONG)])

    def insert(number: int) -> None:
        database.execute(statement, _plain(LONG, LONG + number))

    return insert


def _plain(size: int, number: int) -> tuple[Any, ...]:
    row = message(size, number)
    return tuple(row.get(name.strip('"')) for name in COLUMNS.split(", "))


def _append(store: Store, size: int) -> Callable[[int], None]:
    text = message(size, 0)["content"]

    def product(number: int) -> None:
        result = store.chats.add_message(chat_id(size), {"role": "USER", "content": f"{number} {text}"})
        assert result.sources.consistent

    return product


def appends(store: Store, folder: Path, name: str, insert: Insert) -> list[Row]:
    """One message more; the floor is one durable INSERT, one durable append of the same bytes, or in `dual` both."""
    row = message(LONG, 0)
    data = logs.line({"type": "message", **{key: value for key, value in row.items() if key != "chatId"}})
    backend = store.settings.data_backend
    numbers = iter(range(10**9))

    def floor(number: int) -> None:
        if backend != "json":
            insert(next(numbers))
        if backend != "sql":
            append_file(folder / "floor.jsonl", data)

    goal = "<= 1.4x" if backend == "dual" else "<= 1.5x"
    label = f"append to a chat of {{:,}}, {backend}, {name}"
    rows = [compare(label.format(size), goal, _append(store, size), floor, CALLS) for size in (SHORT, LONG)]
    flat = f"the same, {LONG:,} against {SHORT}"
    return [*rows, compare(flat, "<= 1.2x", _append(store, LONG), _append(store, SHORT), CALLS)]


# ------------------------------------------------------------------ the end of a chat
def _tail(path: Path) -> Callable[[int], None]:
    def floor(number: int) -> None:
        with open(path, "rb") as file:
            file.seek(-TAIL, 2)
            lines = file.read().split(b"\n")[-51:-1]
        assert len([orjson.loads(line) for line in lines]) == 50

    return floor


def _checked(floor: Callable[[int], None]) -> Callable[[int], None]:
    """The floor of who wants documents and not rows: 50 of them are checked besides."""
    kept = ("id", "role", "content", "createdAt")
    records = [{"type": "message", **{key: message(LONG, n)[key] for key in kept}} for n in range(50)]
    blank = dict.fromkeys(("rawResponse", "tokenCount", "swipeGroupId", "swipeIndex"))

    def checking(number: int) -> None:
        floor(number)
        assert all(Message.check({**blank, "attachments": [], **record}) for record in records)

    return checking


def _last(label: str, product: Callable[[int], None], floor: Callable[[int], None]) -> list[Row]:
    """Against what is least for anybody, and against what is least for documents that were checked."""
    return [
        compare(f"{label}, floor: unchecked", "-", product, floor, 100),
        compare(f"{label}, floor: documents", "<= 2x", product, _checked(floor), 100),
    ]


def last_in_file(folder: Path) -> list[Row]:
    """The last 50 messages of a chat's file; the floor parses the lines of its last 64 KB."""
    system, root = System(), folder / "data"

    def product(size: int) -> Callable[[int], None]:
        def read(number: int) -> None:
            assert len(logs.last(system, root, chat_id(size), 50)) == 50

        return read

    floor = _tail(root / logs.log_path(chat_id(LONG)))
    return [
        *_last(f"last 50 of {LONG:,}, the file", product(LONG), floor),
        compare(f"the same, {LONG:,} against {SHORT}", "<= 1.2x", product(LONG), product(SHORT), 100),
    ]


def _page(store: Store) -> Callable[[int], None]:
    def product(number: int) -> None:
        assert len(store.chats.messages_page(chat_id(LONG)).messages) == 50

    return product


def last_in_sql(store: Store, database: Any, mark: str, name: str) -> list[Row]:
    """The last page of a chat out of SQL; the floor is the driver's rows."""
    statement = f'SELECT {COLUMNS} FROM messages WHERE "chatId" = {mark} ORDER BY "createdAt" DESC, id DESC LIMIT 50'

    def floor(number: int) -> None:
        assert len(database.execute(statement, (chat_id(LONG),)).fetchall()) == 50

    return _last(f"last 50 of {LONG:,}, dual, {name}", _page(store), floor)


def last_in_json_mode(store: Store, folder: Path) -> list[Row]:
    """The last page in `json` mode; the floor as for the file."""
    floor = _tail(folder / "data" / logs.log_path(chat_id(LONG)))
    return _last(f"last 50 of {LONG:,}, json", _page(store), floor)
