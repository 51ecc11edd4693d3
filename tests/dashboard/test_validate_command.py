"""``data validate``: its exit status, its one JSON object, its report, its words."""

import json
import logging
from pathlib import Path

import pytest
from flask import Flask

from store import Store
from tests.dashboard.test_commands import call
from tests.factories import make_character, make_key, make_tag, put
from tests.store.both_sides import mend

KEY = "sk-a-marker-that-nobody-may-see"


def test_equal_sides(tandem: Flask, store: Store) -> None:
    make_character(store)
    make_key(store, value=KEY)
    told = call(tandem, "data", "validate")
    assert told.exit_code == 0, told.output
    assert "Both sides hold the same." in told.stdout
    lines = told.stdout.splitlines()[-4:]
    assert lines == ["Total Checked: 3", "Consistent: 3", "Inconsistent: 0", "Errors: 0"]
    assert "Comparing characters" in told.stderr  # plain lines, for it is no terminal
    assert "\r" not in told.stderr
    assert call(tandem, "data", "validate", "--quick").exit_code == 0


def test_a_difference_as_json_and_in_a_report(
    tandem: Flask, store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    character, tag, key = make_character(store, "Alice"), make_tag(store), make_key(store, value=KEY)
    mend(store, f"characters/{character.id}.json", '"Alice"', '"Alicia"')
    mend(store, "settings/connection-profiles.json", key.authTag, key.authTag[::-1])
    path = tmp_path / "report.json"
    told = call(tandem, "data", "validate", "--json", "--report", str(path))
    assert told.exit_code == 2 | 16
    found = json.loads(told.stdout)
    assert told.stderr == ""
    assert found == json.loads(path.read_text())
    assert (found["checked"], found["consistent"], found["inconsistent"], found["errors"], found["skipped"]) == (
        *(4, 2, 2, 0),
        0,
    )
    names = {(one["model"], one["id"], one["field"]): (one["sql"], one["json"]) for one in found["differences"]}
    assert names[("Character", character.id, "name")] == ("Alice", "Alicia")
    assert names[("ApiKey", key.id, "keyAuthTag")] == (None, None)
    assert found["secrets"]["failed"] == 1
    assert found["models"]["Tag"] == {
        "sql": 1,
        "json": 1,
        "equal": 1,
        "different": 0,
        **dict.fromkeys(("only_sql", "only_json", "unreadable"), 0),
    }
    only = call(tandem, "data", "validate", "--only", "Tag", "--only", "User", "--json")
    assert (only.exit_code, list(json.loads(only.stdout)["models"])) == (0, ["User", "Tag"])
    text = call(tandem, "data", "validate")
    for secret in (KEY, key.authTag, key.authTag[::-1], key.ciphertext):
        assert secret not in text.output + told.stdout + path.read_text() + caplog.text
    assert f"Character {character.id}, name: 'Alice' in SQL, 'Alicia' in the files" in text.stdout
    assert tag.id not in text.stdout


def test_each_bit(tandem: Flask, store: Store) -> None:
    tag = make_tag(store)
    make_character(store, tags=[tag.id])
    put(store.settings.data_dir, "characters/x.json", "{")
    assert call(tandem, "data", "validate").exit_code == 4
    (store.settings.data_dir / "characters/x.json").unlink()
    mend(store, "tags/tags.json", tag.id, "ffffffff-0000-4000-8000-00000000ffff")
    assert call(tandem, "data", "validate").exit_code == 2 | 8


def test_what_cannot_run(tandem: Flask, store: Store, tmp_path: Path) -> None:
    told = call(tandem, "data", "validate", "--only", "Person")
    assert (told.exit_code, told.stdout) == (1, "")
    assert "There is no model Person" in told.stderr
    told = call(tandem, "data", "validate", "--report", str(tmp_path / "no folder" / "report.json"))
    assert told.exit_code == 1
    assert "cannot be written" in told.stderr
