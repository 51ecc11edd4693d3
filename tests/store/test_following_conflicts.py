"""While SQL follows the files: what others changed in SQL, and what SQL does not take. Each is told, neither side is
written over, and no other record is held up."""

import json
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from store import Store
from store.errors import ConflictError, DatabaseError
from tests import nasty
from tests.crash.world import (
    ADA,
    BOB,
    BOBS_HERO,
    BOBS_TAG,
    CHAT,
    ELF,
    FIRST,
    HERO,
    KING,
    NEW_HERO,
    OPERATIONS,
    SECOND,
    SQUIRE,
    World,
    make_world,
    populate,
)
from tests.factories import assert_everything_is_equal, files_below, lay_database, open_test_store
from tests.store.both_sides import (
    behind,
    by_another_program,
    file_of,
    in_sql,
    lay,
    mend,
    same_rows,
    started_anew,
)

pytestmark = pytest.mark.slow  # each looks through two whole sides
OTHER_ID = "99999999-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some of every noun, in the files and in SQLite."""
    path = tmp_path_factory.mktemp("conflicts")
    lay_database(path / "live" / "quilltap.sqlite")
    return make_world(path, "json")


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    world.restore()
    opened = world.open()
    yield opened
    opened.close()


def conflicts(store: Store) -> list[str]:
    """What is told once SQL had time to follow; each a conflict."""
    store.catch_up()
    assert {type(problem) for problem in store.problems()} <= {ConflictError}
    return [problem.message for problem in store.problems()]


def title(store: Store, record_id: str) -> object:
    return in_sql(store, "SELECT title FROM characters WHERE id = :a", record_id)[0]


# ------------------------------------------------------------------ both sides changed
def test_what_both_changed_is_told_and_both_are_kept(tmp_path: object, ready_url: str) -> None:
    store = open_test_store(tmp_path, ready_url, "json")  # type: ignore[arg-type]
    populate(store)
    store.catch_up()
    by_another_program(store, "UPDATE characters SET title = 'Theirs' WHERE id = :a", HERO)
    store.characters.update(HERO, {"title": "Ours"})
    store.characters.update(SQUIRE, {"title": "Dr"})
    (told,) = conflicts(store)
    assert HERO in told
    assert conflicts(store) == [told]  # until something is done about it
    assert (title(store, HERO), title(store, SQUIRE)) == ("Theirs", "Dr")
    assert b'"Ours"' in files_below(store.settings.data_dir)[f"characters/{HERO}.json"]
    dual = started_anew(store, "dual")
    assert not dual.step.in_step
    assert HERO in dual.step.sentence
    assert b'"Ours"' in files_below(store.settings.data_dir)[f"characters/{HERO}.json"]
    dual.close()


def test_once_both_say_the_same_it_is_none(store: Store) -> None:
    by_another_program(store, "UPDATE characters SET title = 'Theirs' WHERE id = :a", HERO)
    store.characters.update(HERO, {"title": "Ours"})
    assert len(conflicts(store)) == 1
    moment = nasty.raw_rows(f"sqlite:///{store.side.own_dir / 'index.sqlite'}")["characters"]
    moment = next(row["updatedAt"] for row in moment if row["id"] == HERO)
    by_another_program(store, "UPDATE characters SET title = 'Ours', \"updatedAt\" = :b WHERE id = :a", HERO, moment)
    assert behind(store) == []
    store.characters.update(HERO, {"title": "Later"})
    assert behind(store) == []
    assert title(store, HERO) == "Later"


def test_what_only_the_database_changed_is_kept_for_the_files(store: Store) -> None:
    """A dual start brings it over."""
    by_another_program(store, "UPDATE characters SET title = 'Theirs' WHERE id = :a", HERO)
    store.characters.update(SQUIRE, {"title": "Dr"})
    assert conflicts(store) == []
    dual = started_anew(store, "dual")
    assert dual.step.in_step
    assert_everything_is_equal(dual)
    assert (title(dual, HERO), title(dual, SQUIRE)) == ("Theirs", "Dr")
    dual.close()


@pytest.mark.parametrize("ours", ["message-update", "message-delete", "chat-delete", "user-delete"])
@pytest.mark.parametrize(
    "theirs",
    [
        f"UPDATE messages SET content = 'theirs' WHERE id IN ('{FIRST}', '{SECOND}')",
        f'INSERT INTO messages SELECT \'{OTHER_ID}\', "chatId", role, \'theirs\', "rawResponse", "tokenCount", '
        '"swipeGroupId", "swipeIndex", "createdAt" FROM messages LIMIT 1',
    ],
    ids=["changed", "added"],
)
def test_a_message_that_another_program_wrote_to_the_database_stays_there(store: Store, ours: str, theirs: str) -> None:
    by_another_program(store, theirs)
    OPERATIONS[ours](store)
    store.characters.update(BOBS_HERO, {"title": "Dr"})
    written = in_sql(store, "SELECT id FROM messages WHERE content = 'theirs'")
    store.catch_up()
    assert in_sql(store, "SELECT id FROM messages WHERE content = 'theirs'") == written != []
    assert title(store, BOBS_HERO) == "Dr"
    if "added" not in theirs:
        assert (store.problems() != []) or ours == "message-update"


def test_nothing_goes_with_what_the_files_deleted_that_another_program_wrote(store: Store) -> None:
    """By SQL's own rules a user's characters go with the user."""
    columns = (
        '"userId", name, description, personality, scenario, "firstMessage", "isFavorite", "createdAt", "updatedAt"'
    )
    by_another_program(
        store,
        f"INSERT INTO characters (id, {columns}) SELECT :a, {columns} FROM characters WHERE id = :b",
        NEW_HERO,
        HERO,
    )
    OPERATIONS["user-delete"](store)
    store.catch_up()
    told = [problem.message for problem in store.problems()]
    assert any(ADA in one and NEW_HERO in one for one in told)
    assert in_sql(store, "SELECT id FROM characters WHERE id = :a", NEW_HERO) == [NEW_HERO]
    assert in_sql(store, "SELECT id FROM users WHERE id = :a", ADA) == [ADA]
    by_another_program(store, "DELETE FROM characters WHERE id = :a", NEW_HERO)
    assert in_sql(store, "SELECT id FROM users WHERE id = :a", ADA) == [ADA]


# ------------------------------------------------------------------ what SQL does not take
def test_a_file_that_names_what_is_not_there_hinders_no_other(store: Store) -> None:
    path, good = f"characters/{HERO}.json", file_of(store, f"characters/{HERO}.json").read_text()
    mend(store, path, f'"userId": "{ADA}"', f'"userId": "{OTHER_ID}"')
    OPERATIONS["tag-create"](store)
    store.characters.update(SQUIRE, {"title": "Dr"})
    store.catch_up()
    assert [HERO in problem.message for problem in store.problems()] == [True]
    assert title(store, SQUIRE) == "Dr"
    assert in_sql(store, 'SELECT "userId" FROM characters WHERE id = :a', HERO) == [ADA]
    lay(store, path, good)
    assert behind(store) == []


def test_a_persona_whose_file_is_deleted_is_missed_by_who_names_it(store: Store) -> None:
    persona = next(row["id"] for row in nasty.raw_rows(store.settings.database_url)["personas"])
    path = f"personas/{persona}.json"
    good = file_of(store, path).read_text()
    file_of(store, path).unlink()
    store.catch_up()
    assert in_sql(store, "SELECT id FROM personas WHERE id = :a", persona) == []
    told = " ".join(problem.message for problem in store.problems())
    assert HERO in told
    assert title(store, SQUIRE) is None
    store.characters.update(SQUIRE, {"title": "Dr"})
    store.catch_up()
    assert title(store, SQUIRE) == "Dr"
    lay(store, path, good)
    assert behind(store) == []
    assert same_rows(store)


def test_what_went_with_a_user_whose_file_is_deleted_is_told_and_comes_back(store: Store) -> None:
    """In SQL everything of a user goes with the user; in the files it is still there."""
    path = f"settings/users/{BOB}.json"
    good, before = file_of(store, path).read_text(), nasty.raw_rows(store.settings.database_url)
    file_of(store, path).unlink()
    mend(store, f"characters/{BOBS_HERO}.json", '"title": null', '"title": "Dr"')  # in the same round
    store.catch_up()
    told = " ".join(problem.message for problem in store.problems())
    for table, kind in (("characters", BOBS_HERO), ("tags", BOBS_TAG)):
        assert (kind in told) or kind in in_sql(store, f"SELECT id FROM {table}")
    assert title(store, HERO) is None
    lay(store, path, good)
    mend(store, f"characters/{BOBS_HERO}.json", '"title": "Dr"', '"title": null')
    assert behind(store) == []
    assert same_rows(store)
    assert nasty.raw_rows(store.settings.database_url) == before


def test_messages_that_went_with_a_chat_come_back(store: Store) -> None:
    """Of a chat whose line was lost for a while."""
    before = nasty.raw_rows(store.settings.database_url)
    path = "chats/index.jsonl"
    good = file_of(store, path).read_bytes()
    lay(store, path, b"".join(one for one in good.splitlines(True) if CHAT.encode() not in one[:60]))
    store.catch_up()
    assert in_sql(store, "SELECT id FROM chats WHERE id = :a", CHAT) == []
    assert any(FIRST in problem.message for problem in store.problems())
    lay(store, path, good)
    assert behind(store) == []
    assert nasty.raw_rows(store.settings.database_url) == before


def test_what_is_refused_stays_as_it_was(store: Store) -> None:
    """Also where it would have to step aside for another."""
    before = nasty.raw_rows(store.settings.database_url)["tags"]
    path = "tags/tags.json"
    whole = json.loads(file_of(store, path).read_bytes())
    elf, king = (next(tag for tag in whole["tags"] if tag["id"] == one) for one in (ELF, KING))
    elf.update(name="König", nameLower="könig")
    king.update(name="New", nameLower="new", userId=OTHER_ID)
    lay(store, path, json.dumps(whole))
    store.catch_up()
    assert {type(problem) for problem in store.problems()} == {DatabaseError}
    assert len(store.problems()) == 2
    assert nasty.raw_rows(store.settings.database_url)["tags"] == before
    king.update(userId=ADA)
    lay(store, path, json.dumps(whole))
    store.catch_up()
    assert store.problems() == []
    assert same_rows(store)


def test_no_token_is_shown(store: Store) -> None:
    secret = "a-secret-token"
    by_another_program(store, "INSERT INTO verification_tokens VALUES ('x', :a, '2099-01-01 00:00:00.000000')", secret)
    store.tokens.create({"id": secret, "token": secret, "identifier": "y", "expires": "2099-01-01T00:00:00.000Z"})
    (told,) = conflicts(store)
    assert secret not in told


# ------------------------------------------------------------------ while another program has the database
def test_another_programs_transaction_is_neither_ended_nor_overtaken(tmp_path: object, ready_postgres_url: str) -> None:
    """On PostgreSQL two that wait for each other would be told by one of them being ended."""
    store = open_test_store(tmp_path, ready_postgres_url, "json")  # type: ignore[arg-type]
    populate(store)
    store.catch_up()
    with store.database.engine.begin() as theirs:
        theirs.execute(sa.text("UPDATE characters SET title = 'Theirs' WHERE id = :a"), {"a": HERO})
        store.characters.update(HERO, {"title": "Ours"})
        with pytest.raises(DatabaseError):
            store.catch_up()
        assert [type(problem) for problem in store.problems()] == [DatabaseError]
        theirs.execute(sa.text("UPDATE characters SET title = 'Theirs' WHERE id = :a"), {"a": SQUIRE})
    (told,) = conflicts(store)
    assert HERO in told
    assert (title(store, HERO), title(store, SQUIRE)) == ("Theirs", "Theirs")
    store.close()
