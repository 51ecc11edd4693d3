"""The store as a whole: comparing a record, counting both sides, the loop that catches up, what the log is told."""

import logging
import time
from pathlib import Path

import pytest

from store import Store, open_store
from store.errors import DatabaseError, InvalidRecordError, StoreError, UnreadableError
from tests.factories import (
    assert_everything_is_equal,
    make_account,
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_session,
    make_tag,
    make_token,
    make_user,
    open_test_store,
    put,
    settings_for,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_test_store(tmp_path)
    yield opened  # type: ignore[misc]
    opened.close()


def test_a_record_is_compared_field_by_field(store: Store) -> None:
    alice = make_character(store, name="Alice")
    path = store.settings.data_dir / f"characters/{alice.id}.json"
    assert store.compare("character", alice.id).state == "equal"
    text = path.read_text()
    path.write_text(
        text.replace('"Alice"', '"Mallory"').replace('"title": null', '"title": ""').replace("false", "true")
    )
    told = store.compare("character", alice.id)
    assert (told.state, set(told.differences)) == ("different", {"name", "title", "isFavorite"})
    path.write_text(text.replace('  "title": null,\n', ""))
    assert store.compare("character", alice.id).differences == ("title",)  # absent is not null
    path.write_text("{")
    torn = store.compare("character", alice.id)
    assert torn.state == "unreadable"
    assert isinstance(torn.error, UnreadableError)
    path.unlink()
    assert store.compare("character", alice.id).state == "only_sql"
    put(store.settings.data_dir, "characters/x.json", text.replace(alice.id, "x"))
    assert store.compare("character", "x").state == "only_json"


def test_a_user_is_compared_without_the_files_own_dates(store: Store) -> None:
    user = make_user(store)
    assert store.compare("user", user.id).state == "equal"
    path = store.settings.data_dir / "settings/general.json"
    path.write_text(path.read_text().replace('"ALWAYS"', '"NEVER"'))
    assert store.compare("user", user.id).differences == ("chatSettings",)


def test_a_number_in_another_spelling_is_a_difference(store: Store) -> None:
    alice = make_character(store, sillyTavernData={"n": 1})
    path = store.settings.data_dir / f"characters/{alice.id}.json"
    path.write_text(path.read_text().replace('"n": 1', '"n": 1.0'))
    assert store.compare("character", alice.id).differences == ("sillyTavernData",)


def test_a_row_that_no_file_can_hold_is_told_by_the_comparison(store: Store) -> None:
    alice = make_character(store)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE characters SET \"createdAt\" = 'yesterday'")
        connection.exec_driver_sql("DELETE FROM tandem_outbox")
    told = store.compare("character", alice.id)
    assert told.state == "unreadable"
    assert isinstance(told.error, InvalidRecordError)


@pytest.mark.parametrize("backend", ["sql", "json"])
def test_one_side_has_nothing_to_be_compared_with(tmp_path: Path, backend: str) -> None:
    store = open_test_store(tmp_path, backend=backend)
    assert store.compare("user", make_user(store).id).state == "one_side"
    assert store.pending() == 0
    assert store.problems() == []
    store.close()


def test_both_sides_are_counted_model_by_model(store: Store) -> None:
    tag = make_tag(store)
    persona = make_persona(store, tags=[tag.id])
    character = make_character(store, tags=[tag.id], personaLinks=[{"personaId": persona.id}])
    store.users.update_chat_settings(tag.userId, {"avatarDisplayMode": "NEVER"})
    key, image = make_key(store), make_image(store)
    store.images.add_tag(image.id, tag.id)
    profile = make_profile(store, apiKeyId=key.id, tags=[tag.id])
    make_image_profile(store, tags=[tag.id])
    chat = make_chat(store, characterId=character.id, connectionProfileId=profile.id, tags=[tag.id])
    store.chats.set_avatar_override(chat.id, character.id, image.id)
    file = {"chatId": chat.id, "filename": "a.txt", "filepath": "uploads/a.txt", "mimeType": "text/plain", "size": 1}
    store.attachments.create(file)
    for make in (make_account, make_session, make_token):
        make(store)
    for _ in range(2):
        make_message(store, chat)
    counts = store.counts()
    assert len(counts) == 23
    assert {model: (told.sql, told.json) for model, told in counts.items() if model != "Message"} == {
        model: (1, 1) for model in counts if model != "Message"
    }
    assert (counts["Message"].sql, counts["Message"].json) == (2, 2)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM tandem_outbox")
    (store.settings.data_dir / f"chats/{chat.id}.jsonl").unlink()
    (store.settings.data_dir / "settings/connection-profiles.json").unlink()
    told = {model: (one.sql, one.json) for model, one in store.counts().items() if one.sql != one.json}
    assert told == {
        "Message": (2, 0),
        "ApiKey": (1, 0),
        "ConnectionProfile": (1, 0),
        "ConnectionProfileTag": (1, 0),
    }


def test_files_of_quilltaps_own_that_cannot_be_read_stop_no_count(store: Store) -> None:
    chat, data = make_chat(store), store.settings.data_dir
    put(data, "settings/connection-profiles.json", "{")
    put(data, "chats/index.jsonl", (data / "chats/index.jsonl").read_bytes() + b'{"id": "a"}\ntorn')
    put(data, f"chats/{chat.id}.jsonl", "torn")
    put(data, "chats/nobodys.jsonl", "[]\n")
    counts = store.counts()
    assert {model: (told.sql, told.json) for model, told in counts.items() if told.sql or told.json} == {
        "User": (1, 1),
        "Character": (1, 1),
        "ConnectionProfile": (1, 0),
        "Chat": (1, 1),
    }


def test_the_background_loop_brings_over_what_others_write(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, follow=True)
    alice = make_character(store, name="Alice")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE characters SET name = 'Alicia'")
    deadline = time.monotonic() + 20
    while store.pending():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert b"Alicia" in (tmp_path / f"data/characters/{alice.id}.json").read_bytes()
    assert_everything_is_equal(store)
    store.close()


def test_the_background_loop_tells_the_log_once_and_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_test_store(tmp_path, follow=True)
    alice, eve = make_character(store, name="Alice"), make_character(store, name="Eve")
    put(tmp_path / "data", f"characters/{alice.id}.json", "{")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE characters SET name = name || '!'")
    deadline = time.monotonic() + 20
    while b"Eve!" not in (tmp_path / f"data/characters/{eve.id}.json").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while alice.id not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    store.close()
    told = [record for record in caplog.records if "does not follow" in record.message]
    assert len(told) == 1
    assert told[0].levelno == logging.WARNING
    assert (tmp_path / f"data/characters/{alice.id}.json").read_text() == "{"


def test_every_dual_write_is_logged_where_that_is_wished(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tandem")
    store = open_store(settings_for(tmp_path, verbose=True), follow=False)
    user = make_user(store)
    assert f"dual write of user {user.id}: both sides hold the same" in caplog.text
    store.close()


def test_a_database_that_does_not_answer_is_told_as_a_sentence(tmp_path: Path) -> None:
    address = f"postgresql://postgres@/nobody?host={tmp_path}"
    with pytest.raises(DatabaseError) as refused:
        open_test_store(tmp_path, address)
    assert "DATABASE_URL" in refused.value.hint
    assert refused.value.__cause__ is not None
    assert "psycopg" not in refused.value.sentence


def test_a_database_that_goes_away_is_told_as_a_sentence(tmp_path: Path, ready_url: str) -> None:
    store = open_test_store(tmp_path, ready_url)
    alice = make_character(store)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE characters RENAME TO elsewhere")
    for question in (store.characters.find_all, lambda: store.characters.find_by_id(alice.id)):
        with pytest.raises(StoreError) as refused:
            question()
        assert refused.value.hint
        assert "elsewhere" not in refused.value.sentence
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "quilltap.sqlite", "this is a letter to my aunt, who lives in Kent. " * 50)
    with pytest.raises(DatabaseError):
        open_test_store(tmp_path)
    assert (tmp_path / "quilltap.sqlite").read_text().startswith("this is a letter")


def test_a_read_only_database_is_told_as_such(tmp_path: Path, ready_postgres_url: str) -> None:
    """Also: options that the address gives the server are passed on beside our own."""
    with pytest.raises(DatabaseError, match="read-only") as refused:
        open_test_store(tmp_path, ready_postgres_url + "&options=-c%20default_transaction_read_only%3Don", "sql")
    assert refused.value.hint


def test_files_without_a_row_are_set_aside_before_they_go(store: Store) -> None:
    alice = make_character(store)
    text = (store.settings.data_dir / f"characters/{alice.id}.json").read_text()
    put(store.settings.data_dir, "characters/stray.json", text.replace(alice.id, "stray"))
    with store.database.write() as connection:
        store.outbox.mark_everything(connection, ["character"])
    store.outbox.apply()
    assert_everything_is_equal(store)
    kept = list((store.settings.own_dir / "quarantine").rglob("*.json"))
    assert len(kept) == 1
    assert kept[0].name == "stray.json"
    assert '"stray"' in kept[0].read_text()
