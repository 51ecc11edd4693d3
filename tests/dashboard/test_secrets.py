"""Secrets at a glance for who may edit, and the ``secrets`` commands; nothing of a secret or a pepper is ever told."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask

from app import create_app
from store import Store, read_settings
from store.errors import PepperError
from store.secrets import BACKUP_CODES
from tests.crash.rotating_world import NEW, OLD, opened, populate_secrets
from tests.crash.secrets_reader import in_files, in_sql, peppers_in
from tests.dashboard.browsing import words
from tests.dashboard.entering import Visitor
from tests.dashboard.test_commands import call
from tests.dashboard.test_start import settings_below
from tests.factories import make_key

FOREIGN = {"keyEncrypted": "ab" * 9, "keyIv": "cd" * 16, "keyAuthTag": "ef" * 16}
ROOT = Path(__file__).resolve().parents[2]


# ------------------------------------------------------------------ pages
def test_the_home_page_tells_editors_how_many_decrypt(
    sign_in: Callable[[str], Visitor], store: Store, tandem: Flask
) -> None:
    editor, viewer = sign_in("editor"), sign_in("viewer")
    assert "There is none." in words(editor.get("/admin/").text)
    make_key(store, "one")
    make_key(store, "two")
    assert "All 2 secrets decrypt." in words(editor.get("/admin/").text)
    page = viewer.get("/admin/").text
    assert 'id="secrets"' not in page
    assert "decrypt" not in page


def test_what_does_not_decrypt_is_linked(sign_in: Callable[[str], Visitor], store: Store) -> None:
    editor, viewer = sign_in("editor"), sign_in("viewer")
    bad = make_key(store, "bad", **FOREIGN)
    owner = store.users.find_all()[0]
    store.users.update(owner.id, dict(zip(BACKUP_CODES, FOREIGN.values(), strict=True)))
    for address in ("/admin/", "/admin/keys/"):
        page = editor.get(address).text
        assert "2 of 2 secrets do not decrypt with this pepper." in words(page)
        assert f'href="/admin/keys/details/?id={bad.id}">the API key “bad”</a>' in page
        assert f'href="/admin/users/details/?id={owner.id}">the backup codes of Ada</a>' in page
        assert "do not decrypt with this pepper" not in viewer.get(address).text
        assert not any(part in page for part in FOREIGN.values())


def test_an_unfinished_rotation_is_told_with_its_command(sign_in: Callable[[str], Visitor], store: Store) -> None:
    editor, viewer = sign_in("editor"), sign_in("viewer")
    make_key(store)
    store.peppers.begin(NEW, store.peppers.own)
    for address in ("/admin/", "/admin/keys/"):
        told = words(editor.get(address).text)
        assert "A rotation of the pepper is unfinished since" in told
        assert "flask --app app secrets rotate" in told
        assert "is unfinished since" not in viewer.get(address).text
    assert "decrypts" in words(editor.get("/admin/keys/").text)


# ------------------------------------------------------------------ commands
def test_check_says_what_does_not_decrypt(tandem: Flask, store: Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert call(tandem, "secrets", "check").stdout == "There is no secret.\n"
    make_key(store, value="sk-a-marker")
    told = call(tandem, "secrets", "check")
    assert (told.exit_code, told.stdout) == (0, "All 2 secrets decrypt.\n")
    bad = make_key(store, "bad", **FOREIGN)
    told = call(tandem, "secrets", "check")
    assert told.exit_code == 16
    lines = told.stdout.splitlines()
    owner = bad.userId
    assert lines == [
        f"ApiKey {bad.id}: keyEncrypted (of the user {owner}), in the files: does not decrypt.",
        f"ApiKey {bad.id}: keyEncrypted (of the user {owner}), in the database: does not decrypt.",
        "Of 4 secrets 2 decrypt, 2 do not decrypt.",
    ]
    told = call(tandem, "secrets", "check", "--json")
    assert (told.exit_code, told.stderr) == (16, "")
    found = json.loads(told.stdout)
    assert (found["checked"], found["failed"], found["rotation"], found["unreadable"]) == (4, 2, None, [])
    assert {(one["model"], one["id"], one["field"], one["owner"], one["state"]) for one in found["secrets"]} == {
        ("ApiKey", bad.id, "keyEncrypted", owner, "does not decrypt")
    }
    assert {one["side"] for one in found["secrets"]} == {"sql", "json"}
    assert "sk-a-marker" not in told.stdout + caplog.text


def test_check_says_what_cannot_be_read(tandem: Flask, store: Store) -> None:
    make_key(store)
    path = store.settings.data_dir / "settings" / "connection-profiles.json"
    path.write_text("{ torn")
    told = call(tandem, "secrets", "check")
    assert told.exit_code == 4
    assert "connection-profiles.json cannot be read" in told.stdout


def test_rotate_tells_its_progress_and_what_to_do_next(tandem: Flask, store: Store) -> None:
    make_key(store, value="sk-a-marker")
    told = tandem.test_cli_runner().invoke(args=["secrets", "rotate", "--new-pepper-stdin"], input=f"{NEW}\n")
    assert told.exit_code == 0, told.output
    assert "Encrypting anew: 0 of 1" in told.stderr  # plain lines, for it is no terminal
    assert told.stdout.startswith("1 secret was encrypted anew.")
    assert "Now set ENCRYPTION_MASTER_PEPPER to it in Quilltap's own environment" in told.stdout
    assert not any(text in told.output for text in (NEW, "sk-a-marker"))
    told = call(tandem, "secrets", "rotate", "--json")
    assert (told.exit_code, told.stderr) == (0, "")
    found = json.loads(told.stdout)
    assert (found["phase"], found["encrypted"], found["left"]) == ("done", 1, [])
    validation = json.loads(call(tandem, "data", "validate", "--json").stdout)
    assert validation["secrets"] == {"checked": 2, "failed": 0, "failures": []}


def test_rotate_refuses_in_a_sentence(tandem: Flask, store: Store) -> None:
    bad = make_key(store, "bad", **FOREIGN)
    told = call(tandem, "secrets", "rotate")
    assert told.exit_code == 1
    assert bad.id in told.stderr
    assert "--skip-unreadable" in told.stderr
    assert call(tandem, "secrets", "rotate", "--abort").exit_code == 1
    told = call(tandem, "secrets", "rotate", "--abort", "--new-pepper-stdin")
    assert "takes no new pepper" in told.stderr
    told = tandem.test_cli_runner().invoke(args=["secrets", "rotate", "--new-pepper-stdin"], input="short\n")
    assert told.exit_code == 1
    assert call(tandem, "secrets", "rotate", "--skip-unreadable").exit_code == 0
    assert "1 of" not in call(tandem, "secrets", "mend").stdout


# ------------------------------------------------------------------ the program itself
@pytest.mark.slow
def test_the_program_is_told_exactly_what_to_set_and_starts_only_with_it(tmp_path: Path) -> None:
    """Run in the project's folder, as a person does; everything lies below another one."""
    given = {"DATABASE_URL": f"sqlite:///{tmp_path / 'quilltap.sqlite'}", "DATA_DIR": str(tmp_path / "data")}
    root = tmp_path / "tandem"
    root.mkdir()
    environ = {**given, "ENCRYPTION_MASTER_PEPPER": OLD, "SECRET_KEY": "of the tests"}
    store = opened(read_settings(environ, root))
    expected = populate_secrets(store)
    store.close()
    told = command(root, environ, "rotate", "--new-pepper-stdin", typed=f"{NEW}\n")
    assert told.returncode == 0, told.stderr
    kept = root / "instance" / "encryption-master-pepper.next"
    assert f"It is in {kept}." in told.stdout
    with pytest.raises(PepperError) as raised:
        create_app(environ, root)
    assert str(kept) in raised.value.sentence
    told = command(root, environ, "check")  # commands still run
    assert (told.returncode, "All 8 secrets decrypt." in told.stdout) == (0, True)
    assert "the environment does not name the new one yet" in told.stdout
    environ["ENCRYPTION_MASTER_PEPPER"] = kept.read_text()
    app = create_app(environ, root)
    app.extensions["tandem_store"].close()
    found = [*in_sql(given["DATABASE_URL"]), *in_files(tmp_path / "data")]
    assert expected.violations(found, [NEW]) == []
    assert set(peppers_in(root / "instance").values()) == {OLD, NEW}


COMMAND = """
import sys
from pathlib import Path
import os
from flask.cli import FlaskGroup
from app import create_app
root = Path(sys.argv.pop(1))
FlaskGroup(create_app=lambda: create_app(dict(os.environ), root)).main()
"""


def command(root: Path, environ: dict[str, str], *words_: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    """A ``secrets`` command in a process of its own, as ``flask --app app`` runs it, with its files below ``root``."""
    line = [sys.executable, "-c", COMMAND, str(root), "secrets", *words_]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(
        line, cwd=ROOT, env=environ, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
def test_make_run_ends_with_the_sentence(tmp_path: Path) -> None:
    settings = settings_below(tmp_path, ENCRYPTION_MASTER_PEPPER=OLD)
    store = opened(read_settings(settings, tmp_path))
    populate_secrets(store)
    store.peppers.begin(NEW, OLD)
    change = store.peppers.finish(store.peppers.change())  # type: ignore[arg-type]
    assert change.phase == "waiting"
    store.close()
    # The instance folder of the program is the project's own: it knows the old pepper from the environment alone.
    result = subprocess.run(
        [sys.executable, "app.py"], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert "All secrets are under the new pepper" in result.stderr
    assert "Traceback" not in result.stderr
