"""In ``json`` mode SQL follows the files: whatever changed there, by whatever hand, is in the database soon after.

What both sides changed is in ``test_following_conflicts``.
"""

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from store import Store, open_store
from store.database import Database
from store.errors import DatabaseError, NotInStepError, StoreError
from store.files import logs
from tests import nasty
from tests.crash.world import (
    CHAT,
    CLOAK,
    ELF,
    FIRST,
    HERO,
    KING,
    OPERATIONS,
    SQUIRE,
    World,
    make_world,
    populate,
)
from tests.factories import (
    assert_everything_is_equal,
    lay_database,
    make_account,
    make_chat,
    make_image,
    make_image_profile,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_session,
    make_token,
    make_user,
    open_test_store,
)
from tests.store.both_sides import behind, differences, file_of, in_sql, lay, mend, names, same_rows, started_anew

pytestmark = pytest.mark.slow  # each looks through two whole sides


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Some of every noun, in the files and in SQLite."""
    path = tmp_path_factory.mktemp("following")
    lay_database(path / "live" / "quilltap.sqlite")
    return make_world(path, "json")


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    world.restore()
    opened = world.open()
    yield opened
    opened.close()


# ------------------------------------------------------------------ whatever changed
def make_one_of_each(store: Store) -> dict[str, str]:
    """Kind -> id of a new record."""
    user = make_user(store)
    made: dict[str, Any] = {"user": user, "account": make_account(store), "session": make_session(store)}
    made |= {"token": make_token(store), "tag": store.tags.find_or_create(user.id, "New").value}
    made |= {"key": make_key(store, userId=user.id), "profile": make_profile(store, userId=user.id)}
    made |= {"image_profile": make_image_profile(store, userId=user.id), "image": make_image(store, userId=user.id)}
    made |= {"persona": make_persona(store, tags=[made["tag"].id]), "chat": make_chat(store, userId=user.id)}
    made["message"] = make_message(store, made["chat"], rawResponse={"z": [1, 2.50, None], "a": {}})
    file = {"filename": "f.txt", "filepath": "uploads/f.txt", "mimeType": "text/plain", "size": 1}
    made["attachment"] = store.attachments.create({"chatId": made["chat"].id, **file}).value
    made["character"] = store.characters.find_by_id(made["chat"].characterId)
    store.attachments.attach(made["message"].id, [made["attachment"].id])
    store.chats.set_avatar_override(made["chat"].id, made["character"].id, made["image"].id)
    return {kind: record.id for kind, record in made.items()}


CHANGES: dict[str, dict[str, Any]] = {
    "user": {"name": "Countess"},
    "account": {"scope": "less"},
    "session": {"expires": "2030-01-01T00:00:00.000Z"},
    "token": {"expires": "2030-01-01T00:00:00.000Z"},
    "tag": {"name": "Ent"},
    "key": {"label": "Second", "isActive": False},
    "profile": {"parameters": {"b": [1e2], "a": None}, "isDefault": True},
    "image_profile": {"modelName": "n", "tags": [ELF]},
    "image": {"filename": "other.png"},
    "persona": {"title": "Majesty", "tags": []},
    "character": {"sillyTavernData": {"z": 1, "a": "Größe\u2028🔑"}},
    "chat": {"title": "Supper", "tags": [ELF, KING]},
    "attachment": {"filename": "other.txt"},
}


def test_an_edit_of_every_noun_arrives(tmp_path: Path, ready_url: str) -> None:
    store = open_test_store(tmp_path, ready_url, "json")
    populate(store)
    assert behind(store) == []
    made = make_one_of_each(store)
    assert differences(store) != []
    assert behind(store) == []
    assert CHANGES.keys() == store.repositories.keys() <= made.keys()
    for kind, fields in CHANGES.items():
        store.repositories[kind].update(made[kind], fields)
    store.chats.update_message(made["message"], {"content": "Listen!"})
    store.chats.add_swipe(made["message"], {"content": "Or this"})
    assert behind(store) == []
    assert in_sql(store, "SELECT filename FROM chat_files WHERE id = :a", made["attachment"]) == ["other.txt"]
    store.chats.delete_message(made["message"])
    assert behind(store) == []
    for kind in reversed(CHANGES):
        with contextlib.suppress(StoreError):  # some went with what they belonged to
            store.repositories[kind].delete(made[kind])
    assert behind(store) == []
    assert in_sql(store, "SELECT id FROM users WHERE id = :a", made["user"]) == []
    dual = started_anew(store, "dual")
    assert dual.step.in_step
    assert_everything_is_equal(dual)
    dual.close()


def test_every_operation_arrives_row_by_row(world: World, store: Store) -> None:
    for name in ("message-add", "message-update", "tag-delete", "default-switch", "image-delete", "user-create"):
        OPERATIONS[name](store)
        store.catch_up()
        assert same_rows(store), name
    assert store.problems() == []
    dual = started_anew(store, "dual")
    assert dual.step.in_step
    assert_everything_is_equal(dual)
    dual.close()


def test_what_another_program_wrote_to_the_files_arrives(store: Store) -> None:
    mend(store, f"characters/{HERO}.json", '"name": "Hero"', '"name": "Foreign"')
    file_of(store, f"characters/{SQUIRE}.json").unlink()
    log = file_of(store, logs.log_path(CHAT))
    event = b'{"type":"message","id":"new","role":"USER","content":"two","createdAt":"2099-01-01T00:00:00.000Z"}\n'
    with log.open("ab") as file:
        file.write(event)
    store.catch_up()
    assert store.problems() == []
    assert same_rows(store)
    assert "Foreign" in names(store)
    assert in_sql(store, "SELECT id FROM characters WHERE id = :a", SQUIRE) == []
    assert in_sql(store, "SELECT content FROM messages WHERE id = 'new'") == ["two"]


def test_two_tags_that_change_places(store: Store) -> None:
    path = "tags/tags.json"
    whole = json.loads(file_of(store, path).read_bytes())
    elf, king = (next(tag for tag in whole["tags"] if tag["id"] == one) for one in (ELF, KING))
    for name in ("name", "nameLower"):
        elf[name], king[name] = king[name], elf[name]
    lay(store, path, json.dumps(whole))
    store.catch_up()
    assert store.problems() == []
    assert same_rows(store)
    assert in_sql(store, "SELECT name FROM tags WHERE id IN (:a, :b) ORDER BY id", ELF, KING) == ["König", "Elf"]


def test_the_background_loop_does_it_by_itself(world: World) -> None:
    world.restore()
    store = open_store(world.settings, follow=True)
    store.characters.update(HERO, {"name": "Soon"})
    mend(store, f"characters/{SQUIRE}.json", '"name": "Hero"', '"name": "Foreign"')
    deadline = time.monotonic() + 20
    while not {"Soon", "Foreign"} <= names(store) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {"Soon", "Foreign"} <= names(store)
    assert store.problems() == []
    store.close()


# ------------------------------------------------------------------ a database that is away, another one, an older one
def test_a_database_that_is_away_holds_up_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Database) -> Any:
        if self is store.database:
            raise DatabaseError("The database is away.")
        return real(self)

    real = Database.session
    monkeypatch.setattr(Database, "session", away)
    for name in ("character-update", "message-add", "tag-delete"):
        assert OPERATIONS[name](store).sources.json
    with pytest.raises(DatabaseError, match="away"):
        store.catch_up()
    assert [problem.message for problem in store.problems()] == ["The database is away."]
    assert store.following.pending() > 3
    monkeypatch.undo()
    assert behind(store) == []
    assert "Renamed" in names(store)


def test_a_database_with_other_records_is_never_touched(tmp_path: Path, world: World) -> None:
    other = open_test_store(tmp_path, backend="sql")
    make_user(other, name="Somebody else")
    other.close()
    before = nasty.raw_rows(other.settings.database_url)
    world.restore()
    store = open_store(replace(world.settings, database_url=other.settings.database_url), follow=False)
    assert isinstance(store.following.apart, NotInStepError)
    store.characters.update(HERO, {"name": "Renamed"})
    store.catch_up()
    with pytest.raises(NotInStepError):
        store.following.apply()
    assert [problem.message for problem in store.problems()] == [store.following.apart.message]
    store.close()
    assert nasty.raw_rows(other.settings.database_url) == before


def test_that_it_is_apart_is_told_without_being_asked(tmp_path: Path, world: World) -> None:
    other = open_test_store(tmp_path, backend="sql")
    make_user(other)
    other.close()
    world.restore()
    store = open_store(replace(world.settings, database_url=other.settings.database_url), follow=False)
    assert [type(problem) for problem in store.problems()] == [NotInStepError]
    store.close()


def test_an_empty_database_is_filled(tmp_path: Path, world: World, ready_url: str) -> None:
    world.restore()
    store = open_store(replace(world.settings, database_url=ready_url), follow=False)
    assert behind(store) == []
    store.close()


def test_each_empty_database_is_filled(tmp_path: Path) -> None:
    """Also the second: what the index knows of the first says nothing about it."""
    store = open_test_store(tmp_path, backend="json")
    make_user(store)
    assert behind(store) == []
    store.close()
    lay_database(tmp_path / "another.sqlite")
    store = open_store(replace(store.settings, database_url=f"sqlite:///{tmp_path / 'another.sqlite'}"), follow=False)
    assert behind(store) == []
    assert in_sql(store, "SELECT name FROM users") == ["Ada"]
    store.close()


def test_without_the_index_everything_is_compared(world: World, store: Store) -> None:
    store.close()
    for path in store.side.own_dir.glob("index.sqlite*"):
        path.unlink()
    mend(store, f"characters/{HERO}.json", '"name": "Hero"', '"name": "Foreign"')
    file_of(store, f"characters/{SQUIRE}.json").unlink()
    store = world.open()
    assert behind(store) == []
    assert "Foreign" in names(store)
    store.close()


@pytest.mark.parametrize("part", ["database", "files"])
def test_what_was_put_back_from_an_older_copy_is_compared(world: World, store: Store, part: str) -> None:
    """Whichever it was, SQL then says what the files say."""
    database = Path(store.settings.database_url.removeprefix("sqlite:///"))
    copied = database if part == "database" else store.settings.data_dir
    store.close()
    older = copied.with_name("older")
    (shutil.copytree if copied.is_dir() else shutil.copy)(copied, older)
    store = world.open()
    for name in ("character-update", "message-delete", "chat-delete", "user-create"):
        OPERATIONS[name](store)
    assert behind(store) == []
    store.close()
    if copied.is_dir():
        shutil.rmtree(copied)
    older.rename(copied)
    store = world.open()
    assert differences(store) != []
    assert behind(store) == []
    assert len(in_sql(store, "SELECT id FROM chats WHERE id = :a", CHAT)) == (part == "files")
    store.close()


# ------------------------------------------------------------------ what cannot be read is not missing
@pytest.mark.parametrize(
    ("path", "table"),
    [
        (f"characters/{HERO}.json", "characters"),
        ("tags/tags.json", "tags"),
        ("settings/general.json", "users"),
        ("settings/connection-profiles.json", "connection_profiles"),
        ("chats/index.jsonl", "chats"),
        (logs.log_path(CHAT), "messages"),
    ],
)
def test_a_file_that_cannot_be_read_deletes_nothing(store: Store, path: str, table: str) -> None:
    before, good = in_sql(store, f"SELECT id FROM {table}"), file_of(store, path).read_text()
    lay(store, path, "{\n" + good)
    store.personas.update(CLOAK, {"title": "Dr"})
    store.catch_up()
    assert any(path in problem.message for problem in store.problems())
    assert in_sql(store, f"SELECT id FROM {table}") == before
    assert in_sql(store, "SELECT title FROM personas WHERE id = :a", CLOAK) == ["Dr"]
    lay(store, path, good)
    assert behind(store) == []


def test_a_bad_line_of_a_chat_keeps_its_message_in_sql(store: Store) -> None:
    path = logs.log_path(CHAT)
    first, *rest = file_of(store, path).read_bytes().splitlines(keepends=True)
    lay(store, path, b"".join([first.replace(b"USER", b"user"), *rest]))
    store.catch_up()
    assert FIRST in in_sql(store, "SELECT id FROM messages")
    assert store.problems() != []
    lay(store, path, b"".join([first, *rest]))
    assert behind(store) == []
