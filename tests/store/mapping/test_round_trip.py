"""Whatever Quilltap's schema admits goes from SQL to a file and back and is the same, to the last digit."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from store import codec, rows
from store.database import Database
from store.mapping import Mapping, Rows
from store.quilltap import rejection
from store.tables import MODELS
from tests import quilltap_shapes as shapes
from tests.factories import with_driver
from tests.postgres import PostgresServer
from tests.quilltap_reader import misspelled_line, misspelling, parse, refusal
from tests.store.mapping.making import ALL, ROWS, Pool, exactly, fixed_id

pytestmark = pytest.mark.slow  # many examples

KINDS = sorted(ALL)
SHAPES = {
    "user": shapes.GENERAL,
    "account": shapes.ACCOUNT,
    "session": shapes.SESSION,
    "token": shapes.TOKEN,
    "tag": shapes.TAG,
    "key": shapes.API_KEY,
    "profile": shapes.PROFILE,
    "image_profile": shapes.IMAGE_PROFILE,
    "image": shapes.BINARY,
    "persona": shapes.PERSONA,
    "character": shapes.CHARACTER,
    "chat": shapes.CHAT,
    "attachment": shapes.BINARY,
    "avatar": shapes.BINARY,
    "message": shapes.MESSAGE,
}
LINES = {"session", "token", "image", "chat", "attachment", "avatar", "message"}  # the others are indented
any_rows = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), ROWS[kind]()))


def to_bytes(mapping: Mapping, loaded: Rows) -> bytes:
    record = mapping.check(loaded)[1]
    return codec.dumps(record) if mapping.kind in LINES else codec.dumps_pretty(record)


def from_bytes(mapping: Mapping, data: bytes, before: Rows) -> Rows:
    """As a file is read: bytes, record, document, rows. What other records show here comes from them, as does a derived
    record as a whole; in which chat a message is, the file's name says."""
    made = mapping.to_rows(mapping.document.check(codec.loads(data)).model_dump())
    if mapping.derived:
        assert made == {}
        made = own(mapping, before)
    if mapping.kind == "message":
        made["messages"][0]["chatId"] = before["messages"][0]["chatId"]
    return {child.table.name: made.get(child.table.name, []) for child in mapping.tables}


def own(mapping: Mapping, loaded: Rows) -> Rows:
    return {child.table.name: loaded[child.table.name] for child in (mapping.tables[0], *mapping.children)}


@settings(max_examples=settings().max_examples * 4)
@given(any_rows)
def test_rows_become_a_file_and_the_same_rows_again(example: tuple[str, Rows]) -> None:
    kind, before = example
    mapping = ALL[kind]
    data = to_bytes(mapping, before)
    after = from_bytes(mapping, data, before)
    assert exactly(own(mapping, after)) == exactly(own(mapping, before))
    shown = {name: table for name, table in before.items() if name not in own(mapping, before)}
    assert to_bytes(mapping, {**after, **shown}) == data


@given(any_rows)
def test_the_order_in_which_rows_come_changes_no_byte(example: tuple[str, Rows]) -> None:
    kind, before = example
    other_way = {name: table[::-1] for name, table in before.items()}
    assert to_bytes(ALL[kind], other_way) == to_bytes(ALL[kind], before)


@given(any_rows)
def test_quilltap_takes_every_record_but_those_that_are_named(example: tuple[str, Rows]) -> None:
    kind, before = example
    record = ALL[kind].check(before)[1]
    if kind == "user":  # as the file has it
        dates = {name: record["user"][name] for name in ("createdAt", "updatedAt")}
        record = {"version": 1, **record, **dates}
    data = codec.dumps(record) if kind in LINES else codec.dumps_pretty(record)
    assert (misspelled_line if kind in LINES else misspelling)(SHAPES[kind], data) == ""
    reason = rejection(kind, record)
    refused = refusal(SHAPES[kind], parse(data))
    assert reason is not None or refused == ""
    if reason is not None and "email" not in reason:  # of addresses the description tells only the outline
        assert refused != ""


GOOD = fixed_id(1)
FREE_FORM = {"sillyTavernData", "parameters", "sillyTavernMetadata", "rawResponse"}
REFUSED = {
    "id": {"id": "user-123"},
    "userId": {"userId": GOOD.replace("-", "")},
    "defaultImageId": {"defaultImageId": ""},
    "tags": {"tags": [GOOD, "theme"]},
    "personaLinks": {"personaLinks": [{"personaId": "p", "isDefault": False}]},
    "avatarOverrides": {"avatarOverrides": [{"chatId": GOOD, "imageId": "i"}]},
}


@pytest.mark.parametrize("field", REFUSED)
def test_what_quilltap_would_refuse_is_named_by_field(field: str) -> None:
    lists: dict[str, Any] = {"tags": [GOOD], "personaLinks": [], "avatarOverrides": []}
    record = {"id": GOOD.upper(), "userId": GOOD, "defaultImageId": None, **lists}
    assert rejection("character", record) is None
    assert field in str(rejection("character", {**record, **REFUSED[field]}))


ADDRESSES = {"ada@example.org": True, "a.b+c'd@x-y.example.org": True} | dict.fromkeys(
    ["user@localhost", "a@b", "ä@example.org", "a@exämple.org", "a b@example.org", "@example.org", "a", ".a@b.org"],
    False,
)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_quilltap_would_refuse_is_named(address: str) -> None:
    record = {"user": {"id": GOOD, "email": address}, "chatSettings": {"id": GOOD, "userId": GOOD}}
    assert (rejection("user", record) is None) is ADDRESSES[address]


@given(any_rows)
def test_a_document_answers_with_the_values_of_the_columns(example: tuple[str, Rows]) -> None:
    kind, before = example
    mapping = ALL[kind]
    document, row = mapping.check(before)[0], before[mapping.main.name][0]
    elsewhere = {("message", "chatId"), ("avatar", "imageId")}
    columns = [name for name in row if name not in FREE_FORM and (kind, name) not in elsewhere]
    assert document.id == row[mapping.key]
    assert {name: document.value(name) for name in columns} == {name: row[name] for name in columns}


# ---------------------------------------------------------------------- through real databases
_POOLS = (
    "users",
    "tags",
    "personas",
    "characters",
    "chats",
    "images",
    "profiles",
    "keys",
    "image_profiles",
    "messages",
)
POOL = {name: [fixed_id(100 * place + number) for number in (1, 2, 3)] for place, name in enumerate(_POOLS, start=1)}
_MOMENTS = {"createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": "2025-01-01T00:00:00.000Z"}


def _fill(connection: sa.Connection) -> None:
    """Records that links can point at."""
    owner = {"userId": POOL["users"][0], **_MOMENTS}
    empty = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")
    cipher = dict.fromkeys(("label", "keyEncrypted", "keyIv", "keyAuthTag"), "")
    ends = {"characterId": POOL["characters"][0], "connectionProfileId": POOL["profiles"][0], "title": ""}
    said = {"chatId": POOL["chats"][0], "role": "USER", "content": "", "createdAt": _MOMENTS["createdAt"]}
    reached = {"modelName": "", **owner}
    filled: dict[str, tuple[str, dict[str, Any]]] = {
        "Tag": ("tags", owner),
        "Persona": ("personas", {"name": "", "description": "", **owner}),
        "Character": ("characters", {"name": "", **empty, **owner}),
        "ApiKey": ("keys", {"provider": "OLLAMA", **cipher, **owner}),
        "ConnectionProfile": ("profiles", {"name": "", "provider": "OLLAMA", **reached}),
        "ImageProfile": ("image_profiles", {"provider": "GROK", **reached}),
        "Image": ("images", {"filename": "", "filepath": "", "mimeType": "", "size": 1, **owner}),
        "Chat": ("chats", {**ends, **owner}),
        "Message": ("messages", said),
    }
    users = [{"id": one, "email": one, **_MOMENTS} for one in POOL["users"]]
    connection.execute(sa.insert(MODELS["User"]), users)
    for model, (pool, values) in filled.items():
        table = MODELS[model]
        unique = [name for name in ("name", "nameLower") if name in table.c and name not in values]
        connection.execute(
            sa.insert(table), [{"id": one, **dict.fromkeys(unique, one), **values} for one in POOL[pool]]
        )


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One for many examples, each of which is rolled back."""
    url = f"sqlite:///{tmp_path_factory.mktemp('trip') / 'trip.sqlite'}"
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = with_driver(server.url(server.create()))
    opened = Database(url)
    opened.prepare()
    with opened.write() as connection:
        _fill(connection)
    yield opened
    opened.close()


def made_there(kind: str) -> st.SearchStrategy[Rows]:
    """Rows whose links the database knows, and whose unique values nobody else has."""
    new = st.uuids(version=4).map(str) | st.sampled_from(["user-123", "..", "a/b", "ü 😀"])
    if kind == "user":
        return ROWS["user"](ids=new)
    if kind == "tag":
        return ROWS["tag"](ids=new, owners=st.sampled_from(POOL["users"]))
    return ROWS[kind](ids=new, pool=Pool(**POOL))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=max(15, settings().max_examples // 5))
@given(data=st.data())
def test_a_real_database_gives_back_what_it_was_given(kind: str, database: Database, data: st.DataObject) -> None:
    mapping, before = ALL[kind], data.draw(made_there(kind))
    record_id = before[mapping.main.name][0][mapping.key]
    # What is derived is put beside the rows by who loads them; a parent is there with other values.
    beside = {name: table for name, table in before.items() if name in ("message_totals", "public_bytes")}
    before = {child.table.name: before[child.table.name] for child in mapping.tables}
    with database.engine.connect() as connection:
        connection = connection.execution_options(tandem_write=True)
        with connection.begin() as transaction:
            rows.insert(connection, mapping, before)
            for child in mapping.reads:
                if before[child.table.name]:
                    connection.execute(sa.insert(child.table), before[child.table.name])
            stored = rows.load(connection, mapping, [record_id])[record_id]
            assert exactly({name: stored[name] for name in before}) == exactly(before)
            assert all(len(stored[parent.table.name]) == 1 for parent in mapping.parents)
            read = from_bytes(mapping, to_bytes(mapping, {**stored, **beside}), stored)
            connection.execute(sa.delete(mapping.main).where(mapping.main.c[mapping.key] == record_id))
            rows.insert(connection, mapping, read)
            again = rows.load(connection, mapping, [record_id])[record_id]
            assert exactly(own(mapping, again)) == exactly(own(mapping, before))
            transaction.rollback()


def test_what_the_first_of_several_records_lacks_the_others_keep(database: Database) -> None:
    mapping = ALL["character"]
    dated = {"createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": "2025-01-01T00:00:00.000Z"}
    texts = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "…")
    alike = {"userId": POOL["users"][0], "isFavorite": False, **texts, **dated}
    told = [{**alike, "id": "one", "name": "One"}, {**alike, "id": "two", "name": "Two", "title": "Dr"}]
    with database.engine.connect() as connection:
        connection = connection.execution_options(tandem_write=True)
        with connection.begin() as transaction:
            rows.insert(connection, mapping, *({"characters": [row]} for row in told))
            stored = rows.load(connection, mapping, ["one", "two"])
            transaction.rollback()
    assert [stored[one]["characters"][0]["title"] for one in ("one", "two")] == [None, "Dr"]
