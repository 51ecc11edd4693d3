"""The dual write under Quilltap's names: what each side did is told, and checked on both."""

import logging
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from store import Store, compare_entities, dual_write, log_consistency_issue, validate_dual_write_result
from store.comparing import Comparison
from tests.factories import make_character, make_chat, make_profile, make_user, open_test_store

FILE = {"filename": "new.png", "filepath": "uploads/new.png", "mimeType": "image/png", "size": 1}
# What a new record of each kind needs besides its owner; and below, a change that shows in it.
NEW: dict[str, dict[str, Any]] = {
    "user": {"email": "new@example.org"},
    "account": {"type": "oauth", "provider": "google", "providerAccountId": "1"},
    "session": {"sessionToken": "abc", "expires": "2099-01-01T00:00:00.000Z"},
    "token": {"token": "abc", "identifier": "new@example.org", "expires": "2099-01-01T00:00:00.000Z"},
    "tag": {"name": "New"},
    "key": {"label": "New", "provider": "OPENAI", "keyEncrypted": "aa", "keyIv": "bb", "keyAuthTag": "cc"},
    "profile": {"name": "New", "provider": "OPENAI", "modelName": "gpt-4o"},
    "image_profile": {"name": "New", "provider": "GROK", "modelName": "aurora"},
    "image": FILE,
    "persona": {"name": "New", "description": ""},
    "character": {"name": "New", **dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")},
    "chat": {"title": "New"},
    "attachment": FILE,
}
CHANGED = {
    "account": "scope",
    "session": "sessionToken",
    "token": "identifier",
    "key": "label",
    "image": "filename",
    "chat": "title",
    "attachment": "filename",
}


def fields_for(store: Store, kind: str) -> dict[str, Any]:
    """A new record's fields, with links to records that are there."""
    if kind in ("user", "token"):
        return NEW[kind]
    if kind == "attachment":
        return {**NEW[kind], "chatId": make_chat(store).id}
    fields = {**NEW[kind], "userId": make_user(store).id}
    if kind == "chat":
        fields |= {"characterId": make_character(store).id, "connectionProfileId": make_profile(store).id}
    return fields


@pytest.fixture
def store(tmp_path: Path, database_url: str) -> Iterator[Store]:
    opened = open_test_store(tmp_path, database_url)
    yield opened
    opened.close()


@pytest.mark.parametrize("kind", NEW)
def test_a_record_is_created_changed_and_deleted_on_both_sides(store: Store, kind: str) -> None:
    made = getattr(dual_write, f"create_{kind}_with_dual_write")(store, fields_for(store, kind))
    assert validate_dual_write_result(made) == []
    assert (made.sources.sql, made.sources.json, made.sources.consistent) == (True, True, True)
    change = {CHANGED.get(kind, "name"): "Changed"}
    changed = getattr(dual_write, f"update_{kind}_with_dual_write")(store, made.value.id, change)
    assert changed.value != made.value
    assert validate_dual_write_result(changed) == []
    assert store.compare(kind, made.value.id).state == "equal"
    gone = getattr(dual_write, f"delete_{kind}_with_dual_write")(store, made.value.id)
    assert gone.value is True
    assert validate_dual_write_result(gone) == []
    assert store.repositories[kind].find_by_id(made.value.id) is None


def test_every_kind_has_its_named_writes(store: Store) -> None:
    assert list(store.repositories) == list(NEW)
    named = {name for name in vars(dual_write) if name.endswith("_with_dual_write")}
    assert named == {f"{verb}_{kind}_with_dual_write" for kind in NEW for verb in ("create", "update", "delete")}
    with pytest.raises(AttributeError, match="create_avatar_with_dual_write"):
        dual_write.create_avatar_with_dual_write  # noqa: B018


def test_a_side_that_does_not_hold_what_was_written_is_told_and_logged(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    character = make_character(store)
    path = store.settings.data_dir / "characters" / f"{character.id}.json"

    class Liar(type(store.side)):  # type: ignore[misc]
        """Says that it has written."""

        def write(self, files: dict[str, bytes | None]) -> None:
            return None

    store.side.__class__ = Liar
    before = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        result = dual_write.update_character_with_dual_write(store, character.id, {"name": "Secret name"})
    assert path.read_bytes() == before
    assert result.sources.consistent is False
    assert validate_dual_write_result(result) == ["Both sides were written, and they are not the same."]
    assert f"character {character.id} is not the same on both sides: name, updatedAt" in caplog.text
    assert "Secret name" not in caplog.text


def test_a_json_side_that_lags_is_told_with_its_reason(store: Store) -> None:
    character = make_character(store)
    (store.settings.data_dir / "characters" / f"{character.id}.json").write_bytes(b"{torn")
    result = dual_write.update_character_with_dual_write(store, character.id, {"name": "New"})
    told = validate_dual_write_result(result)
    assert told[0] == "The JSON side has not followed yet."
    assert "cannot be read" in told[1]
    assert store.compare("character", character.id).state == "pending"


def test_without_a_database_side_that_is_said_too(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="json")
    made = dual_write.create_user_with_dual_write(store, NEW["user"])
    assert validate_dual_write_result(made) == ["The database did not take part in this write."]
    store.close()


def test_two_records_are_compared_to_the_last_digit() -> None:
    one = {"a": 1, "b": Decimal("1.0"), "c": None, "d": True, "e": [1]}
    other = {"a": 1, "b": Decimal("1.00"), "d": 1, "e": [1], "f": ""}
    found = {difference.field: (difference.sql, difference.json) for difference in compare_entities(one, other)}
    assert found == {"b": (Decimal("1.0"), Decimal("1.00")), "c": (None, ...), "d": (True, 1), "f": (..., "")}
    assert compare_entities(one, dict(one)) == []


def test_an_issue_without_fields_names_its_state(caplog: pytest.LogCaptureFixture) -> None:
    log_consistency_issue("tag", "t", Comparison("only_sql"))
    assert "tag t is not the same on both sides: only_sql" in caplog.text
