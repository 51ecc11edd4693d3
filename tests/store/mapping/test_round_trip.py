"""Whatever Quilltap's schema admits goes from SQL to a file and back and is the same, to the last digit."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from store import codec, rows
from store.database import Database
from store.documents.quilltap import rejection
from store.mapping import MAPPINGS, Mapping, Rows
from store.tables import MODELS
from tests.factories import with_driver
from tests.postgres import PostgresServer
from tests.quilltap_reader import CHARACTER, GENERAL, PERSONA, TAG, misspelling, parse, refusal
from tests.store.mapping.making import ROWS, Pool, exactly, fixed_id

KINDS = sorted(MAPPINGS)
SHAPES = {"user": GENERAL, "tag": TAG, "persona": PERSONA, "character": CHARACTER}
any_rows = st.sampled_from(KINDS).flatmap(lambda kind: st.tuples(st.just(kind), ROWS[kind]()))


def to_bytes(mapping: Mapping, loaded: Rows) -> bytes:
    return codec.dumps_pretty(mapping.check(loaded)[1])


def from_bytes(mapping: Mapping, data: bytes) -> Rows:
    """As a file is read: bytes, record, document, rows. What other records show here comes from them."""
    made = mapping.to_rows(mapping.document.check(codec.loads(data)).model_dump())
    return {child.table.name: made.get(child.table.name, []) for child in mapping.tables}


def own(mapping: Mapping, loaded: Rows) -> Rows:
    return {child.table.name: loaded[child.table.name] for child in (mapping.tables[0], *mapping.children)}


@settings(max_examples=settings().max_examples * 4)
@given(any_rows)
def test_rows_become_a_file_and_the_same_rows_again(example: tuple[str, Rows]) -> None:
    kind, before = example
    mapping = MAPPINGS[kind]
    data = to_bytes(mapping, before)
    after = from_bytes(mapping, data)
    assert exactly(own(mapping, after)) == exactly(own(mapping, before))
    shown = {child.table.name: before[child.table.name] for child in mapping.reads}
    assert to_bytes(mapping, {**after, **shown}) == data


@given(any_rows)
def test_the_order_in_which_rows_come_changes_no_byte(example: tuple[str, Rows]) -> None:
    kind, before = example
    other_way = {name: table[::-1] for name, table in before.items()}
    assert to_bytes(MAPPINGS[kind], other_way) == to_bytes(MAPPINGS[kind], before)


@given(any_rows)
def test_quilltap_takes_every_record_but_those_that_are_named(example: tuple[str, Rows]) -> None:
    kind, before = example
    record = MAPPINGS[kind].check(before)[1]
    if kind == "user":  # as the file has it
        dates = {name: record["user"][name] for name in ("createdAt", "updatedAt")}
        record = {"version": 1, **record, **dates}
    data = codec.dumps_pretty(record)
    assert misspelling(SHAPES[kind], data) == ""
    reason = rejection(kind, record)
    refused = refusal(SHAPES[kind], parse(data))
    assert reason is not None or refused == ""
    if reason is not None and "email" not in reason:  # of addresses the description tells only the outline
        assert refused != ""


GOOD = fixed_id(1)
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
    mapping = MAPPINGS[kind]
    document, row = mapping.check(before)[0], before[mapping.main.name][0]
    columns = [name for name in row if name != "sillyTavernData"]
    assert {name: document.value(name) for name in columns} == {name: row[name] for name in columns}


# ---------------------------------------------------------------------- through real databases
POOL = {
    name: [fixed_id(100 * place + number) for number in (1, 2, 3)]
    for place, name in enumerate(("users", "tags", "personas", "characters", "chats", "images", "profiles"), start=1)
}
_MOMENTS = {"createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": "2025-01-01T00:00:00.000Z"}


def _fill(connection: sa.Connection) -> None:
    """Records that links can point at."""
    owner = {"userId": POOL["users"][0], **_MOMENTS}
    empty = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")
    filled: dict[str, Any] = {
        "User": [{"id": one, "email": one, **_MOMENTS} for one in POOL["users"]],
        "Tag": [{"id": one, "name": one, "nameLower": one, **owner} for one in POOL["tags"]],
        "Persona": [{"id": one, "name": one, "description": "", **owner} for one in POOL["personas"]],
        "Character": [{"id": one, "name": one, **empty, **owner} for one in POOL["characters"]],
        "ConnectionProfile": [
            {"id": one, "name": one, "provider": "OLLAMA", "modelName": "", **owner} for one in POOL["profiles"]
        ],
        "Image": [
            {"id": one, "filename": "", "filepath": "", "mimeType": "", "size": 1, **owner} for one in POOL["images"]
        ],
    }
    ends = {"characterId": POOL["characters"][0], "connectionProfileId": POOL["profiles"][0], "title": ""}
    filled["Chat"] = [{"id": one, **ends, **owner} for one in POOL["chats"]]
    for model, values in filled.items():
        connection.execute(sa.insert(MODELS[model]), values)


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
    mapping, before = MAPPINGS[kind], data.draw(made_there(kind))
    record_id = before[mapping.main.name][0]["id"]
    with database.engine.connect() as connection:
        connection = connection.execution_options(tandem_write=True)
        with connection.begin() as transaction:
            rows.insert(connection, mapping, before)
            for child in mapping.reads:
                if before[child.table.name]:
                    connection.execute(sa.insert(child.table), before[child.table.name])
            stored = rows.load(connection, mapping, [record_id])[record_id]
            assert exactly(stored) == exactly(before)
            rows.insert(
                connection, mapping, _moved(from_bytes(mapping, to_bytes(mapping, stored)), connection, mapping)
            )
            again = rows.load(connection, mapping, [record_id])[record_id]
            assert exactly(own(mapping, again)) == exactly(own(mapping, before))
            transaction.rollback()


def _moved(read: Rows, connection: sa.Connection, mapping: Mapping) -> Rows:
    """What was read from the file, into a database in which the record is no more."""
    connection.execute(sa.delete(mapping.main).where(mapping.main.c.id == read[mapping.main.name][0]["id"]))
    return read
