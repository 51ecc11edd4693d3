"""From SQL to the files and back into an empty database: nothing of the nasty database is lost or changed on the way.

What the files hold is judged by readers written from the description of the layout alone (``tests.quilltap_reader``,
``tests.homes``), not by the store's own mapping.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import Store
from store.files.side import JsonSide, record_of
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.quilltap import rejection
from store.secrets import Cipher, Secrets
from store.tables import MODELS
from tests import homes, homes_derived, nasty, nasty_rows
from tests.factories import files_below, lay_database, open_test_store, with_driver
from tests.nasty_rows import ADA, BOB, CODES, EVE, KEY, KEY_OF_BOB, PUBLIC, SAID, TEA, TOTP
from tests.quilltap_reader import read_folder, refusal
from tests.store.mapping.test_round_trip import SHAPES
from tests.store.tables.quilltap_database import ORDER
from tests.store.tables.schema_0_7_0 import ENUMS, TABLES

pytestmark = pytest.mark.slow  # hundreds of records of every kind, several times
OWN_FILES = ("characters/", "personas/", "settings/general.json", "settings/users/")


@dataclass
class World:
    """The nasty database, and the JSON side made of it."""

    folder: Path
    url: str
    tables: dict[str, list[nasty.Row]]
    files: dict[str, bytes]
    store: Store


def _fresh(request: pytest.FixtureRequest, dialect: str, folder: Path) -> str:
    """A database with every table and no row."""
    if dialect == "sqlite":
        lay_database(folder / "quilltap.sqlite")
        return f"sqlite:///{folder / 'quilltap.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    return with_driver(server.url(server.create(request.getfixturevalue("postgres_template"))))


def _opened(folder: Path, url: str) -> Store:
    store = open_test_store(folder, url)
    assert store.step.can_fill_json
    store.fill_json_side()
    return store


def _world(request: pytest.FixtureRequest, dialect: str, folder: Path) -> World:
    url = _fresh(request, dialect, folder)
    nasty.fill(url, folder / "public")
    tables = nasty.raw_rows(url)
    store = _opened(folder, url)
    return World(folder, url, tables, files_below(folder / "data"), store)


@pytest.fixture(scope="module")
def on_sqlite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = _world(request, "sqlite", tmp_path_factory.mktemp("sqlite"))
    yield world
    world.store.close()


@pytest.fixture(scope="module")
def on_postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = _world(request, "postgresql", tmp_path_factory.mktemp("postgresql"))
    yield world
    world.store.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest) -> World:
    made: World = request.getfixturevalue(f"on_{request.param}")
    return made


# ---------------------------------------------------------------------- the database is as nasty as it says
def test_every_column_has_each_kind_of_value(on_sqlite: World) -> None:
    """So that a column which is forgotten somewhere, or mixed up with another, cannot stay unseen."""
    assert sorted(on_sqlite.tables) == sorted(TABLES)
    dull = set()
    for table, told in TABLES.items():
        for name, column in told.columns.items():
            values = {row[name] for row in on_sqlite.tables[table]}
            wanted: set[Any] = {None} if column.null else set()
            wanted |= {"bool": {0, 1}, "int": set(nasty.INTEGERS)}.get(column.type, set(ENUMS.get(column.type, ())))
            if column.type == "json":
                wanted |= set(map(nasty.as_sqlite_keeps, nasty.JSONS))
            elif column.type == "text" and not name.endswith(("id", "Id")) and name not in ("email", "nameLower"):
                wanted |= {"", "\ufeffbyte order mark"}
            if not wanted <= values or len(values) < 2:
                dull.add(f"{table}.{name}")
    once = {"sessions.sessionToken", "image_profiles.name", "verification_tokens.token"}
    assert dull == once  # what is unique has a number behind it, and a token is an id


def test_nothing_waits_and_nothing_is_wrong(world: World) -> None:
    assert (world.store.pending(), world.store.problems(), world.store.step.in_step) == (0, [], True)
    assert nasty.raw_rows(world.url) == world.tables


# ---------------------------------------------------------------------- what the files hold
def test_quilltap_takes_everything_but_the_records_that_are_told(world: World) -> None:
    """Each record that its validator would refuse is told, no other is, and none of them hides a neighbour."""
    told = {
        (entry.kind, entry.id)
        for kind in MAPPINGS
        for entry in world.store.side.entries(kind)
        if not isinstance(entry, Exception) and rejection(entry.kind, entry.record)
    }
    folder = _folder(world)
    places = {entity: place for entity, place in folder.places.items() if entity[0] != "message"}
    refused = {(kind, one) for kind, one in places if refusal(SHAPES[kind], folder.of(kind, one))}
    assert refused == told
    assert len(told) > 100
    alone = {places[entity] for entity in refused if places[entity].startswith(OWN_FILES)}
    beside = {path for path in world.files if path.startswith("extras/")}
    assert {places[entity] for entity in refused} - alone == beside
    assert [entity for entity, place in places.items() if place in beside and entity not in refused] == []
    talk = {path: list(events.values()) for path, events in folder.talk.items()}
    bad = {path for path, events in talk.items() if any(refusal(SHAPES["message"], one) for one in events)}
    assert bad == {path for path, events in talk.items() if any(rejection("message", one) for one in events)}
    assert read_folder(world.files).refused.keys() == alone | bad


_folders: dict[Path, homes.Folder] = {}


def _folder(world: World) -> homes.Folder:
    if world.folder not in _folders:
        _folders[world.folder] = homes.Folder(world.files)
    return _folders[world.folder]


def test_every_column_of_every_row_is_at_its_home(world: World) -> None:
    folder = _folder(world)
    told = [one for table, rows in world.tables.items() for row in rows for one in homes.untold(folder, table, row)]
    assert told == []
    assert homes_derived.wrong(world.files, world.tables, PUBLIC) == []


def test_the_look_for_homes_sees_every_column(on_sqlite: World) -> None:
    """Of no row another value could be taken for the one in the files."""
    folder, others = _folder(on_sqlite), {"time": "2001-01-01 00:00:00.000", "int": 4711, "json": '{"x":1}'}
    columns = [(table, name, column.type) for table, told in TABLES.items() for name, column in told.columns.items()]
    assert len(columns) == 186
    for table, name, kind in columns:
        for row in on_sqlite.tables[table][-3:]:
            other = (not row[name]) if kind == "bool" else others.get(kind, "another")
            assert homes.untold(folder, table, {**row, name: other}) != [], f"{table}.{name}"
            assert row[name] is None or homes.untold(folder, table, {**row, name: None}) != [], f"{table}.{name}"


def test_the_look_at_what_is_derived_is_not_blind(on_sqlite: World) -> None:
    """A byte that changes in any file, lines in another order, a row less: each is told."""

    def told(path: str, data: bytes) -> int:
        return len(homes_derived.wrong({**on_sqlite.files, path: data}, on_sqlite.tables, PUBLIC))

    talk, index = f"chats/{TEA}.jsonl", "chats/index.jsonl"
    for path, old, new in (
        (talk, b'"crc":"', b'"crc":"0'),
        (talk, b'"tokenCount":null', b'"tokenCount":1'),
        (index, b'"bytes":', b'"bytes":1'),
        (index, b'"messageCount":', b'"messageCount":1'),
        ("binaries/index.jsonl", b'"bytesMissing":true', b'"bytesMissing":false'),
        ("settings/general.json", b"2025-12-31", b"2025-12-30"),
        ("tags/tags.json", b'"createdAt": "0001', b'"createdAt": "0002'),
    ):
        assert old in on_sqlite.files[path]
        assert told(path, on_sqlite.files[path].replace(old, new, 1)) > 0
    lines = on_sqlite.files[index].splitlines(keepends=True)
    assert told(index, b"".join(reversed(lines))) > 0
    folder = _folder(on_sqlite)
    for table, rows in on_sqlite.tables.items():
        assert list(homes_derived.counts(folder, {**on_sqlite.tables, table: rows[:-1]})) != []


def test_secrets_are_read_from_the_files_as_quilltap_reads_them(world: World) -> None:
    secrets, folder = Secrets(nasty.PEPPER), _folder(world)
    users = {user: folder.of("user", user)["user"] for user in (ADA, EVE, BOB)}
    assert [secrets.decrypt(one, _cipher(users[one]["totp"])) for one in (ADA, EVE)] == [TOTP, TOTP]
    assert [users[one]["totp"]["enabled"] for one in (ADA, EVE)] == [True, False]  # being set up
    assert secrets.decrypt_codes(ADA, _cipher(users[ADA]["backupCodes"])) == CODES
    assert users[BOB].keys() & {"totp", "backupCodes"} == set()
    for key, owner in ((KEY, ADA), (KEY_OF_BOB, BOB)):
        assert secrets.decrypt(owner, _cipher(folder.of("key", key))) == nasty_rows.API


def _cipher(block: dict[str, str]) -> Cipher:
    return Cipher(block["ciphertext"], block["iv"], block["authTag"])


def test_moments_are_rounded_as_the_schema_says_and_swipes_in_order(world: World) -> None:
    moments = {one[:23].removesuffix(".000") for row in world.tables["users"] if (one := row["emailVerified"])}
    assert {"2025-01-02 03:04:05.124", "2025-01-01 00:00:00", "9999-12-31 23:59:59.999"} <= moments
    talk = [event["id"] for event in _folder(world).talk[f"chats/{TEA}.jsonl"].values()]
    assert talk == [SAID[place] for place in (9, 3, 7, 0, 1, 2, 5, 4, 6, 8)]


# ---------------------------------------------------------------------- and back
def read_into(side: JsonSide, url: str) -> None:
    """Put what the files hold into an empty database, parents before children."""
    found: dict[str, list[dict[str, Any]]] = {table: [] for table in ORDER}
    for kind, mapping in MAPPINGS.items():
        for entry in side.entries(kind):
            assert not isinstance(entry, Exception)
            for table, rows in ({} if mapping.derived else mapping.to_rows(record_of(entry))).items():
                found[table] += rows
    for chat_id in side.log_ids():
        log = side.read_log(chat_id)
        assert log is not None
        assert (log.bad, log.torn) == ([], b"")
        for event in log.messages:
            assert event.document is not None
            (row,) = MESSAGES.to_rows(event.document.model_dump())["messages"]
            found["messages"].append({**row, "chatId": chat_id})
    by_name = {table.name: table for table in MODELS.values()}
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table, rows in found.items():
            connection.execute(sa.insert(by_name[table]), rows)
    engine.dispose()


def test_the_files_become_the_same_rows_in_an_empty_database_and_those_the_same_files(
    request: pytest.FixtureRequest, tmp_path: Path, world: World
) -> None:
    url = _fresh(request, world.store.database.dialect, tmp_path)
    read_into(world.store.side, url)
    again = nasty.raw_rows(url)
    assert {table: len(rows) for table, rows in again.items()} == {
        table: len(rows) for table, rows in world.tables.items()
    }
    for table, rows in world.tables.items():
        assert [after for before, after in zip(rows, again[table], strict=True) if before != after] == [], table
    (tmp_path / "public").symlink_to(world.folder / "public")
    store = _opened(tmp_path, url)
    assert (store.pending(), store.problems()) == (0, [])
    store.close()
    assert_same_files(files_below(tmp_path / "data"), world.files)


def assert_same_files(found: dict[str, bytes], wanted: dict[str, bytes]) -> None:
    assert sorted(found) == sorted(wanted)
    assert [path for path in wanted if found[path] != wanted[path]] == []


def test_both_databases_give_the_same_bytes(on_sqlite: World, on_postgresql: World) -> None:
    """Although the rows came in another order, and JSON is kept in another spelling."""
    assert_same_files(on_postgresql.files, on_sqlite.files)
