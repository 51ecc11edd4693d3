"""Whole chats at once: every line is the one that its message has by itself, and what is in any way unusual is left to
a closer look, never written another way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from store import Store, chat_lines
from store.database import Database
from store.deriving import log_records
from store.errors import StoreError
from store.files import logs
from store.quilltap import rejection
from store.streaming import driver_of
from tests import nasty
from tests.factories import lay_database, make_chat, open_test_store


def at_once(connection: Connection, chat_ids: list[str] | None = None) -> dict[str, list[chat_lines.Block]]:
    return {chat_id: list(blocks) for chat_id, blocks in chat_lines.blocks(driver_of(connection), chat_ids)}


def one_by_one(connection: Connection, chat_id: str) -> bytes:
    unfit: list[StoreError] = []
    return b"".join(map(logs.line, log_records(connection, chat_id, unfit)))


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_of_a_database_with_every_nasty_case(tmp_path: Path, request: pytest.FixtureRequest, dialect: str) -> None:
    url = f"sqlite:///{tmp_path / 'quilltap.sqlite'}"
    if dialect == "sqlite":
        lay_database(tmp_path / "quilltap.sqlite")
    else:
        url = request.getfixturevalue("postgres_url")
        open_test_store(tmp_path, url, "sql").close()
    nasty.fill(url, tmp_path / "public")
    database = Database(url.replace("postgresql://", "postgresql+psycopg://"))
    with database.read() as connection:
        chats = at_once(connection)
        assert set(chats) == set(connection.scalars(sa.text('SELECT DISTINCT "chatId" FROM messages')))
        plain = {chat_id: blocks for chat_id, blocks in chats.items() if all(one.lines is not None for one in blocks)}
        assert plain, "some are as they should be"
        for chat_id, blocks in plain.items():
            assert b"".join(one.lines or b"" for one in blocks) == one_by_one(connection, chat_id), chat_id
        assert at_once(connection, list(plain)[:1]).keys() == set(list(plain)[:1])
    database.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path, backend="sql")
    yield opened
    opened.close()


def put_messages(store: Store, *several: dict[str, Any]) -> str:
    """A chat with messages, written by somebody else."""
    chat_id = make_chat(store).id
    plain = {"role": "USER", "content": "Hello.", "createdAt": "2025-01-01 10:00:00.000000"}
    with store.database.engine.begin() as connection:
        for number, one in enumerate(several):
            row = {"id": f"{number:08}-0000-4000-8000-000000000000", "chatId": chat_id, **plain, **one}
            names = ", ".join(f'"{name}"' for name in row)
            connection.exec_driver_sql(
                f"INSERT INTO messages ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values())
            )
    return chat_id


ORDINARY: list[dict[str, Any]] = [
    {"content": "“quoted”, \\u0000 in letters, 😀\n\x01"},
    {"tokenCount": 2**31 - 1, "swipeGroupId": "g", "swipeIndex": 0},
    {"rawResponse": '{"b": 1.50, "a": [1e3, 18446744073709551616, null], "": {}}'},
    {"createdAt": "2024-02-29T23:59:59.5Z"},
    {"role": "TOOL", "content": ""},
]
UNUSUAL: list[dict[str, Any]] = [
    {"content": "a\0b"},
    {"content": b"\xff"},
    {"role": "WIZARD"},
    {"tokenCount": 2**31},
    {"tokenCount": "many"},
    {"swipeIndex": 0.5},
    {"swipeGroupId": b"g"},
    {"rawResponse": "[1]"},
    {"rawResponse": "null"},
    {"rawResponse": "{"},
    {"rawResponse": 5},
    {"createdAt": "2025-02-30 10:00:00.000000"},
    {"createdAt": "soon"},
    {"createdAt": 1735725600000},
    {"createdAt": "2025-W01-1 10:00:00.000000"},
    {"id": ""},
]


def test_what_is_ordinary_is_told_at_once(store: Store) -> None:
    chat_id = put_messages(store, *ORDINARY)
    with store.database.read() as connection:
        (block,) = at_once(connection, [chat_id])[chat_id]
        assert block.lines == one_by_one(connection, chat_id)
        assert (len(block.ids), block.rejected) == (len(ORDINARY), [])


@pytest.mark.parametrize("unusual", UNUSUAL, ids=str)
def test_what_is_unusual_gets_a_closer_look(store: Store, unusual: dict[str, Any]) -> None:
    beside = put_messages(store, *ORDINARY)  # its neighbours do not
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE messages SET id = 'b' || id")
    chat_id = put_messages(store, {}, unusual, {})
    with store.database.read() as connection:
        found = at_once(connection)
        assert [one.lines for one in found[chat_id]] == [None]
        assert [one.lines for one in found[beside]] == [one_by_one(connection, beside)]


def test_text_that_is_no_utf_8_hides_no_chat(store: Store) -> None:
    chats = [put_messages(store, {"id": f"{number}-{one}"}, {"id": f"{one}-"}) for number, one in enumerate("abc")]
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE messages SET content = CAST(X'61ff' AS TEXT) WHERE id = 'b-'")
    with store.database.read() as connection:
        found = at_once(connection)
        for chat_id in (chats[0], chats[2]):
            assert b"".join(one.lines or b"" for one in found[chat_id]) == one_by_one(connection, chat_id)
        assert found[chats[1]][-1].lines is None


def test_swipes_of_one_moment_come_in_their_order(store: Store) -> None:
    swipes = [{"swipeIndex": one} for one in (2, None, 0, 10, 1)]
    chat_id = put_messages(store, *swipes, {"createdAt": "2025-01-01 09:00:00.000000"})
    with store.database.read() as connection:
        (block,) = at_once(connection)[chat_id]
        assert block.lines == one_by_one(connection, chat_id)


def test_moments_that_only_look_alike_are_put_in_order_by_a_closer_look(store: Store) -> None:
    later, sooner = "2025-01-01 10:00:00.000900", "2025-01-01 10:00:00.000100"  # the same to the millisecond
    chat_id = put_messages(store, {"createdAt": later}, {"createdAt": sooner})
    with store.database.read() as connection:
        assert [one.lines for one in at_once(connection)[chat_id]] == [None]


def test_attachments_and_what_quilltap_would_refuse_are_told(store: Store) -> None:
    chat_id = put_messages(store, {"id": "no uuid"}, {})
    file = {"chatId": chat_id, "filename": "f", "filepath": "p", "mimeType": "m", "size": 1, "sentToProvider": False}
    with store.database.engine.begin() as connection:
        for name, moment in (("late", "12"), ("soon", "11")):
            row = {**file, "id": name, "messageId": "no uuid", "createdAt": f"2025-01-01 {moment}:00:00.000000"}
            names = ", ".join(f'"{one}"' for one in row)
            marks = ", ".join("?" * len(row))
            connection.exec_driver_sql(f"INSERT INTO chat_files ({names}) VALUES ({marks})", tuple(row.values()))
    with store.database.read() as connection:
        (block,) = at_once(connection)[chat_id]
        assert block.lines == one_by_one(connection, chat_id)
        assert b'"attachments":["soon","late"]' in (block.lines or b"")
        refused = rejection("message", {"id": "no uuid", "attachments": ["soon", "late"]})
        assert block.rejected == [("no uuid", refused)]
