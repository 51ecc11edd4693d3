"""Every start says how many secrets there are and which do not decrypt, without being held up by it."""

import logging
import threading
from pathlib import Path

import pytest

from store import Store
from store.secrets import API_KEY, Secrets
from tests.crash.rotating_world import KEYS, opened, populate_secrets, secret_settings
from tests.factories import make_key, open_test_store

FOREIGN = {"keyEncrypted": "ab" * 9, "keyIv": "cd" * 16, "keyAuthTag": "ef" * 16}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return opened(secret_settings(tmp_path))


def say_at_start(store: Store) -> None:
    store.survey.start()
    store.survey._thread.join()
    store.close()


def test_a_start_says_in_one_line_that_all_decrypt(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "tandem.secrets")
    populate_secrets(store)
    say_at_start(store)
    assert [record.getMessage() for record in caplog.records] == ["All 4 secrets decrypt."]


def test_a_start_warns_in_one_line_and_names_what_does_not(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    populate_secrets(store)
    user = store.users.find_all()[0]
    bad = make_key(store, "bad", userId=user.id, **FOREIGN)
    make_key(store, "half", userId=user.id, keyEncrypted="ab", keyIv="", keyAuthTag="")
    say_at_start(store)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"1 of 5 secrets does not decrypt with this pepper. ApiKey {bad.id}: keyEncrypted (of the user {user.id}). "
        "See: flask --app app secrets check"
    )


def test_a_database_with_another_pepper_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = opened(secret_settings(tmp_path))
    populate_secrets(store, keys=30)
    store.close()
    (tmp_path / "instance" / "encryption-master-pepper").write_text("x" * 40)
    say_at_start(opened(secret_settings(tmp_path, laid=True)))
    assert "32 of 32 secrets do not decrypt" in caplog.text
    assert "and 12 more" in caplog.text


def test_opening_does_not_wait_for_it(tmp_path: Path) -> None:
    """However many users there are: what takes its time is done beside."""
    first = open_test_store(tmp_path)
    populate_secrets(first, keys=1)
    first.close()
    store = open_test_store(tmp_path)
    asked = threading.Event()

    class Slow(Secrets):
        def open(self, *_: object, **__: object) -> tuple[bytes, int]:
            asked.wait(10)
            return b"", 0

    store.survey._secrets.__class__ = Slow
    store.survey.start()
    assert store.users.find_all()  # it is open, and answers
    found = store.survey.look(seconds=0)
    assert (found.total, found.unchecked) == (3, 3)
    assert found.sentence == "3 of 3 secrets were not looked at yet."
    asked.set()
    store.survey._thread.join()
    assert store.survey.look(seconds=0).unchecked == 0  # what it found, every page knows
    store.close()


def test_each_secret_is_decrypted_once(store: Store) -> None:
    populate_secrets(store)
    store.survey.look()
    store.secrets.use("another pepper " * 3)  # so that whatever is opened from here on fails
    assert store.survey.look().failing == ()
    user = store.users.find_all()[0]
    parts = Secrets("o" * 40, keys=KEYS).encrypt(user.id, "sk-new").spelled(API_KEY)
    key = make_key(store, "new", userId=user.id, **parts)
    assert [one.id for one in store.survey.look().failing] == [key.id]
    store.keys.delete(key.id)
    assert store.survey.look().failing == ()
    store.close()


def test_a_database_that_does_not_answer_stops_no_start(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("DROP TABLE api_keys")
    say_at_start(store)
    assert "could not be found out" in caplog.text
