"""One bad message, line or key hides no neighbour, is told, and stays as it is: in SQL as in files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.documents import Chat
from store.errors import InvalidRecordError, StoreError, UnreadableError
from tests.factories import (
    files_below,
    make_character,
    make_chat,
    make_image,
    make_key,
    make_message,
    make_profile,
    make_tag,
    make_user,
    open_test_store,
)
from tests.store.repositories.conftest import KINDS

BAD = "00000000-0000-4000-8000-00000000000b"


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """One of its own for every test."""
    backend, _, database = request.param.partition("-")
    url = request.getfixturevalue("ready_postgres_url" if database == "postgresql" else "ready_sqlite_url")
    opened = open_test_store(tmp_path, url, backend)
    yield opened
    opened.close()


@pytest.fixture
def chat(store: Store) -> Chat:
    """With a bad message between two good ones, as another program could leave it; and a chat beside it."""
    made = make_chat(store)
    make_message(store, make_chat(store, title="Other"), "elsewhere")
    for number, name in enumerate(("first", "bad", "last")):
        record_id = {"id": BAD} if name == "bad" else {}
        make_message(store, made, name, createdAt=f"2025-01-0{number + 1}T00:00:00.000Z", **record_id)
    if store.settings.data_backend == "json":
        path = store.settings.data_dir / f"chats/{made.id}.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"bad"', b'"BAD"'))  # the checksum tells
        return made
    values = {"sqlite": '"rawResponse" = \'{"n": NaN}\'', "postgresql": "\"createdAt\" = '-infinity'"}
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE messages SET {values[store.database.dialect]} WHERE id = '{BAD}'")
    return made


def test_the_neighbours_of_a_bad_message_are_read_and_it_is_told(store: Store, chat: Chat) -> None:
    found, page = store.chats.get_messages(chat.id), store.chats.messages_page(chat.id)
    for messages, problems in ((found, found.problems), (page.messages, page.problems)):
        assert [message.content for message in messages] == ["first", "last"]
        (problem,) = problems
        assert problem.hint
        if store.settings.data_backend == "json":
            assert isinstance(problem, UnreadableError)
            assert (problem.path, problem.line) == (f"chats/{chat.id}.jsonl", 2)
        else:
            assert BAD in problem.message
    assert store.chats.find_by_id(chat.id).title == "Tea"
    other = next(one for one in store.chats.find_all() if one.title == "Other")
    assert [message.content for message in store.chats.get_messages(other.id)] == ["elsewhere"]
    assert store.chats.get_messages(other.id).problems == []
    assert make_message(store, other, "more").content == "more"


def test_a_bad_message_is_not_taken_for_gone(store: Store, chat: Chat) -> None:
    if store.settings.data_backend == "json":  # which message a bad line is cannot be told
        assert store.chats.find_message(BAD) is None
        return
    with pytest.raises(InvalidRecordError, match=BAD):
        store.chats.find_message(BAD)


def test_what_would_write_a_bad_line_anew_is_refused(store: Store, chat: Chat) -> None:
    files, good = files_below(store.settings.data_dir), store.chats.get_messages(chat.id)[0]
    if store.settings.data_backend == "json":
        for write in (
            lambda: store.chats.update_message(good.id, {"content": "new"}),
            lambda: store.chats.delete_message(good.id),
            lambda: store.chats.clear_messages(chat.id),
            lambda: store.chats.delete(chat.id),
        ):
            with pytest.raises(UnreadableError, match="line 2"):
                write()
        assert files_below(store.settings.data_dir) == files
        assert make_message(store, chat, "appended").content == "appended"
        assert [one.content for one in store.chats.get_messages(chat.id)] == ["first", "last", "appended"]
        return
    assert store.chats.update_message(good.id, {"content": "new"}).value.content == "new"
    assert store.chats.delete_message(BAD).value is True
    assert store.chats.get_messages(chat.id).problems == []
    if store.settings.data_backend == "dual":
        store.catch_up()
        assert store.problems() == []
        assert store.compare("chat", chat.id).state == "equal"


def json_store(tmp_path: Path) -> Store:
    return open_test_store(tmp_path, backend="json")


def test_a_key_that_names_no_owner_is_the_one_users(tmp_path: Path) -> None:
    """As Quilltap writes it."""
    store = json_store(tmp_path)
    ada = make_user(store, createdAt="2025-01-01T00:00:00.000Z")
    make_user(store, name="Bob")
    key = make_key(store, userId=ada.id)
    path = store.settings.data_dir / "settings/connection-profiles.json"
    text = path.read_text()
    path.write_text(text[: text.index(',\n      "extras"')] + text[text.index("}", text.index('"extras"')) + 1 :])
    assert "extras" not in path.read_text()
    assert store.keys.find_by_id(key.id) == key
    assert [one.id for one in store.keys.find_by_user_id(ada.id)] == [key.id]
    assert store.keys.find_all().problems == []
    store.close()


def test_what_cannot_be_read_of_one_kind_is_no_trouble_of_another(tmp_path: Path) -> None:
    store = json_store(tmp_path)
    tag, key, profile = make_tag(store), make_key(store), make_profile(store)
    path = store.settings.data_dir / "settings/connection-profiles.json"
    path.write_text(path.read_text().replace('"label": "Main"', '"label": 5'))
    assert list(store.tags.find_all()) == [tag]
    assert store.tags.find_all().problems == []
    assert store.keys.find_all() == []
    assert len(store.keys.find_all().problems) == 1
    with pytest.raises(UnreadableError, match="label"):
        store.keys.find_by_id(key.id)
    with pytest.raises(UnreadableError):
        store.keys.update(key.id, {"label": "New"})
    assert list(store.profiles.find_all()) == [profile]
    assert store.profiles.update(profile.id, {"name": "New"}).value.name == "New"
    assert '"label": 5' in path.read_text()
    store.close()


@pytest.mark.parametrize("path", ["chats/index.jsonl", "binaries/index.jsonl", "auth/accounts.json"])
def test_a_file_that_is_torn_is_not_empty(tmp_path: Path, path: str) -> None:
    store = json_store(tmp_path)
    make_chat(store, characterId=make_character(store).id)
    make_image(store)
    store.accounts.create(
        {"userId": make_user(store).id, "type": "oauth", "provider": "google", "providerAccountId": "1"}
    )
    file = store.settings.data_dir / path
    file.write_bytes(file.read_bytes()[:-10])
    repository = {"chats": store.chats, "binaries": store.images, "auth": store.accounts}[path.partition("/")[0]]
    found, before = repository.find_all(), file.read_bytes()
    assert found == []
    assert path in found.problems[0].message
    with pytest.raises(StoreError):
        store.users.delete_many([user.id for user in store.users.find_all()])
    assert file.read_bytes() == before
    store.close()
