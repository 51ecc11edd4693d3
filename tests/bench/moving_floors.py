"""The least that makes the same files from the same rows: raw rows of the driver, orjson, one write per file, one sync.

Nothing is checked, nothing hashed, nothing read back; it knows what is in the library, and would be wrong with any
other data. For that library its characters and chats are byte for byte those of an export: the benchmark asserts it.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import psycopg

from store.files.system import System

COLUMNS = (
    *("id", "userId", "name", "title", "description", "personality", "scenario", "firstMessage", "exampleDialogues"),
    *("systemPrompt", "avatarUrl", "defaultImageId", "sillyTavernData", "isFavorite", "createdAt", "updatedAt"),
)
MESSAGE = ("id", "role", "content", "rawResponse", "tokenCount", "swipeGroupId", "swipeIndex", "createdAt")
MOMENTS, JSON = {"createdAt", "updatedAt"}, {"sillyTavernData", "rawResponse"}
Reader = Callable[[str], Iterator[tuple[Any, ...]]]


def rows_of(url: str) -> tuple[Reader, Callable[[], None], Callable[[str], str]]:
    """How to read rows of a database in one snapshot, how to leave it, and how to spell a column."""
    if url.startswith("sqlite"):
        lite = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        lite.execute("BEGIN")
        return lite.execute, lite.close, _in_sqlite
    server = psycopg.connect(url.replace("+psycopg", ""))
    server.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def read(sql: str) -> Iterator[tuple[Any, ...]]:
        with server.cursor("floor") as cursor:
            cursor.itersize = 2_000
            cursor.execute(sql)
            yield from cursor

    return read, server.close, _in_postgresql


def _in_sqlite(name: str) -> str:
    return f"substr(\"{name}\", 1, 10) || 'T' || substr(\"{name}\", 12, 12) || 'Z'" if name in MOMENTS else f'"{name}"'


def _in_postgresql(name: str) -> str:
    if name in MOMENTS:
        return f'to_char("{name}", \'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"\')'
    return f'"{name}"::text' if name in JSON else f'"{name}"'


def files(url: str) -> Iterator[tuple[str, bytes]]:
    """Path and bytes of every file."""
    read, close, spell = rows_of(url)
    links: dict[str, list[tuple[str, str, str]]] = {}
    order = "" if url.startswith("sqlite") else ' COLLATE "C"'
    sql = f'SELECT "characterId", id, "tagId", {spell("createdAt")} FROM character_tags ORDER BY "createdAt", id{order}'
    for owner, *link in read(sql):
        links.setdefault(owner, []).append(link)  # type: ignore[arg-type]
    for row in read(f"SELECT {', '.join(map(spell, COLUMNS))} FROM characters"):
        yield f"characters/{row[0]}.json", _character(row, links.get(row[0], []))
    sql = (
        f'SELECT "chatId", {", ".join(map(spell, MESSAGE))} FROM messages'
        f' ORDER BY "chatId", messages."createdAt", "swipeIndex", id{order}'
    )
    for chat, several in groupby(read(sql), key=itemgetter(0)):
        yield f"chats/{chat}.jsonl", b"".join(map(_line, several))
    for table, names in (("tags", "*"), ("chats", "id, title"), ("users", "id"), ("connection_profiles", "id, name")):
        yield f"{table}.json", orjson.dumps([list(map(str, row)) for row in read(f"SELECT {names} FROM {table}")])
    close()


def _character(row: tuple[Any, ...], links: list[tuple[str, str, str]]) -> bytes:
    *plain, data, favorite, created, updated = row
    record = dict(zip(COLUMNS, plain, strict=False))
    card = orjson.loads(data)
    inner = {name: card["data"][name] for name in ("creator", "tags")}  # in the order of a file
    record["sillyTavernData"] = {"data": inner, "spec": card["spec"]}
    record["isFavorite"], record["personaLinks"] = bool(favorite), []
    record["tags"] = [tag for _, tag, _ in links]
    record["avatarOverrides"], record["createdAt"], record["updatedAt"] = [], created, updated
    told = [{"id": one, "tagId": tag, "createdAt": moment} for one, tag, moment in links]
    record["extras"] = {"tagLinks": told}
    return orjson.dumps(record, option=orjson.OPT_INDENT_2)


def _line(row: tuple[Any, ...]) -> bytes:
    _, one, role, content, raw, tokens, group, swipe, moment = row
    bare = orjson.dumps(
        {
            "type": "message",
            "id": one,
            "role": role,
            "content": content,
            "rawResponse": raw,
            "tokenCount": tokens,
            "swipeGroupId": group,
            "swipeIndex": swipe,
            "attachments": (),
            "createdAt": moment,
        }
    )
    return b'%b,"extras":{"crc":"%08x"}}\n' % (bare[:-1], crc32(bare))


def export(url: str, target: Path) -> None:
    """Write them all, and sync once."""
    for folder in ("characters", "chats"):
        os.makedirs(target / folder)
    whole = str(target)
    for path, data in files(url):
        handle = os.open(f"{whole}/{path}", os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o644)
        os.write(handle, data)
        os.close(handle)
    System().sync_all(target)


def differing(url: str, target: Path) -> list[str]:
    """Read them all, and compare."""
    whole, found = str(target), []
    for path, data in files(url):
        handle = os.open(f"{whole}/{path}", os.O_RDONLY)
        there = os.read(handle, len(data) + 1)
        os.close(handle)
        if there != data:
            found.append(path)
    return found


def references(url: str) -> list[tuple[Any, ...]]:
    """Count every table, and look for links that lead nowhere, in the database alone."""
    read, close, _ = rows_of(url)
    tables = ("users", "tags", "characters", "character_tags", "chats", "messages", "connection_profiles")
    for table in tables:
        list(read(f"SELECT count(*) FROM {table}"))
    links = (
        *(("messages", "chatId", "chats"), ("chats", "characterId", "characters"), ("characters", "userId", "users")),
        *(("character_tags", "tagId", "tags"), ("character_tags", "characterId", "characters")),
    )
    found = []
    for table, column, target in links:
        there = f'SELECT 1 FROM {target} WHERE {target}.id = {table}."{column}"'
        found += list(read(f"SELECT 1 FROM {table} WHERE NOT EXISTS ({there})"))
    close()
    return found


def insert(folder: Path, target: Path) -> int:
    """Read the files of characters and chats, and insert their rows into a SQLite database; how many."""
    database = sqlite3.connect(target, isolation_level=None)
    names = ", ".join(f'"{name}"' for name in COLUMNS)
    database.execute(f"CREATE TABLE characters ({names}, PRIMARY KEY (id)) ")
    database.execute('CREATE TABLE character_tags (id PRIMARY KEY, "characterId", "tagId", "createdAt")')
    named = ", ".join(f'"{name}"' for name in MESSAGE)
    database.execute(f'CREATE TABLE messages ({named}, "chatId", PRIMARY KEY (id))')
    database.execute("BEGIN")
    count = 0
    for table, width, rows in (
        ("characters", len(COLUMNS), map(_character_row, _records(folder / "characters"))),
        ("character_tags", 4, (link for record in _records(folder / "characters") for link in _links(record))),
        ("messages", len(MESSAGE) + 1, _messages(folder / "chats")),
    ):
        count += database.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", rows).rowcount
    database.execute("COMMIT")
    database.close()
    return count


def _records(folder: Path) -> Iterable[dict[str, Any]]:
    return (orjson.loads((folder / name).read_bytes()) for name in os.listdir(folder))


def _character_row(record: dict[str, Any]) -> list[Any]:
    record["sillyTavernData"] = orjson.dumps(record["sillyTavernData"]).decode()
    return [record[name] for name in COLUMNS]


def _links(record: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for link in record["extras"]["tagLinks"]:
        yield link["id"], record["id"], link["tagId"], link["createdAt"]


def _messages(folder: Path) -> Iterator[list[Any]]:
    for name in os.listdir(folder):
        if name != "index.jsonl":
            for line in (folder / name).read_bytes().splitlines():
                record = orjson.loads(line)
                yield [*(record[column] for column in MESSAGE), name.removesuffix(".jsonl")]
