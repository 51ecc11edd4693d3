"""``flask --app app accounts …``."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from dashboard.auth import People
from tests.dashboard.entering import PASSWORD, Visitor, a_tandem, make_account
from tests.dashboard.proving import Phone

OTHER = "a loud Friday morning"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path, DATA_BACKEND="sql") as app:
        yield app


def run(app: Flask, *words: str, typed: str | bytes = "") -> Result:
    return app.test_cli_runner().invoke(args=["accounts", *words], input=typed)


def accounts(app: Flask) -> list[tuple[str, str, bool]]:
    people: People = app.extensions["tandem_people"]
    return [(account.name, account.role, account.disabled) for account in people.accounts.list()]


def test_an_account_is_made_with_a_password_typed_twice(app: Flask) -> None:
    result = run(app, "create", "Ada", "--role", "admin", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert result.exit_code == 0, result.output
    assert result.stdout == "Made the account “Ada” with the role admin.\n"
    assert PASSWORD not in result.output
    assert accounts(app) == [("Ada", "admin", False)]
    assert Visitor(app).sign_in().status_code == 302


def test_two_different_passwords_make_none(app: Flask) -> None:
    result = run(app, "create", "Ada", "--role", "admin", typed=f"{PASSWORD}\n{OTHER}\n")
    assert result.exit_code == 1
    assert accounts(app) == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nsecond line\n"])
def test_a_script_hands_the_password_in(app: Flask, end: str) -> None:
    result = run(app, "create", "Eve", "--role", "viewer", "--password-stdin", typed=PASSWORD + end)
    assert result.exit_code == 0, result.output
    assert Visitor(app).sign_in("Eve").status_code == 302


@pytest.mark.parametrize(
    ("words", "typed", "told"),
    [
        (["create", "ADA", "--role", "viewer"], PASSWORD, "There is already an account called “ADA”."),
        (["create", "Eve", "--role", "viewer"], "short", "password: it needs 8 characters or more"),
        (["create", "Eve", "--role", "viewer"], b"\xff" * 12, "password: it holds bytes that are not text"),
        (["create", " ", "--role", "viewer"], PASSWORD, "name: it is empty"),
        (["reset-password", "Eve"], PASSWORD, "There is no account called “Eve”."),
        (["reset-password", "Ada"], "password1", "guessed first"),
    ],
)
def test_a_refusal_is_a_sentence_on_standard_error(app: Flask, words: list[str], typed: str | bytes, told: str) -> None:
    make_account(app)
    result = run(app, *words, "--password-stdin", typed=typed)
    assert result.exit_code == 1
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert accounts(app) == [("Ada", "admin", False)]


def test_a_role_is_one_of_three(app: Flask) -> None:
    for words in (["create", "Ada"], ["create", "Ada", "--role", "owner"]):
        assert run(app, *words, "--password-stdin", typed=PASSWORD).exit_code == 2
    assert accounts(app) == []


def test_the_list_is_for_people_and_for_scripts(app: Flask) -> None:
    assert "There is no account yet" in run(app, "list").stdout
    make_account(app)
    make_account(app, "Żaneta", "viewer")
    run(app, "disable", "żaneta")
    told = run(app, "list").stdout.splitlines()
    assert [(line.split()[0], line.split()[-1]) for line in told] == [("admin", "Ada"), ("viewer", "Żaneta")]
    assert "disabled" in told[1]
    result = run(app, "list", "--json")
    assert result.stderr == ""
    listed = json.loads(result.stdout)["accounts"]
    assert [(entry["name"], entry["role"], entry["disabled"]) for entry in listed] == accounts(app)
    facts = {"createdAt", "twoFactorSince", "lastSignInAt", "sessions"}
    assert set(listed[0]) == {"name", "role", "disabled", *facts}
    assert "argon2" not in result.stdout


def test_disabling_signs_out_and_the_last_admin_stays(app: Flask) -> None:
    make_account(app)
    make_account(app, "Bob", "editor")
    bob = Visitor(app)
    bob.sign_in("Bob")
    assert run(app, "disable", "bob").exit_code == 0
    assert bob.get("/logout").status_code == 302
    result = run(app, "disable", "Ada")
    assert result.exit_code == 1
    assert "“Ada” is the last admin" in result.stderr
    assert "accounts create NAME --role admin" in result.stderr


def test_a_new_password_signs_out_and_lifts_the_wait(app: Flask) -> None:
    make_account(app)
    ada, guesser = Visitor(app), Visitor(app)
    ada.sign_in()
    for _ in range(5):
        guesser.sign_in("Ada", "wrong wrong wrong")
    assert guesser.sign_in().status_code == 429
    result = run(app, "reset-password", "ada", "--password-stdin", typed=OTHER)
    assert result.exit_code == 0, result.output
    assert ada.get("/logout").status_code == 302
    assert guesser.sign_in().status_code == 401
    assert guesser.sign_in("Ada", OTHER).status_code == 302


def test_a_new_password_for_a_disabled_account_says_that_it_stays_so(app: Flask) -> None:
    make_account(app)
    make_account(app, "Bob")
    run(app, "disable", "Bob")
    assert "still disabled" in run(app, "reset-password", "Bob", "--password-stdin", typed=OTHER).stdout


def test_a_disabled_account_is_enabled_again(app: Flask) -> None:
    make_account(app)
    make_account(app, "Bob", "editor")
    run(app, "disable", "Bob")
    assert run(app, "enable", "bob").stdout == "“Bob” may sign in again.\n"
    assert Visitor(app).sign_in("Bob").location == "/admin/"


def test_another_role_signs_out_and_the_last_admin_keeps_it(app: Flask) -> None:
    make_account(app)
    make_account(app, "Bob", "viewer")
    bob = Visitor(app)
    bob.sign_in("Bob")
    assert "already" in run(app, "change-role", "Bob", "--role", "viewer").stdout
    assert bob.get("/admin/").status_code == 200
    told = run(app, "change-role", "bob", "--role", "editor").stdout
    assert told == "“Bob” has the role editor now, instead of viewer.\n"
    assert bob.get("/admin/").status_code == 302
    assert ("Bob", "editor", False) in accounts(app)
    refused = run(app, "change-role", "Ada", "--role", "viewer")
    assert refused.exit_code == 1
    assert "“Ada” is the last admin" in refused.stderr
    assert run(app, "change-role", "Ada", "--role", "owner").exit_code == 2


def test_a_lost_second_factor_is_reset(app: Flask) -> None:
    ada = make_account(app)
    assert "nothing was changed" in run(app, "reset-two-factor", "Ada").stdout
    phone = Phone(app, ada)
    told = run(app, "list")
    assert "two-factor" in told.stdout
    assert json.loads(run(app, "list", "--json").stdout)["accounts"][0]["twoFactorSince"]
    assert Visitor(app).sign_in().location == "/login/code"
    told = run(app, "reset-two-factor", "ada")
    assert told.exit_code == 0
    assert Visitor(app).sign_in().location == "/admin/"
    assert not any(code in told.output for code in phone.recovery_codes)


def test_sessions_are_shown_and_ended(app: Flask) -> None:
    make_account(app)
    assert "signed in nowhere" in run(app, "sessions", "Ada").stdout
    ada = Visitor(app)
    ada.sign_in()
    token = ada.cookie("tandem_session")
    listed = json.loads(run(app, "sessions", "Ada", "--json").stdout)
    [session] = listed["sessions"]
    assert set(session) == {"startedAt", "lastSeenAt", "address", "userAgent"}
    assert session["address"] == "127.0.0.1"
    told = run(app, "sessions", "ada")
    assert "127.0.0.1" in told.stdout
    assert token not in told.output + json.dumps(listed)
    assert run(app, "end-sessions", "Ada").stdout == "Ended 1 session of “Ada”.\n"
    assert ada.get("/admin/").status_code == 302
    assert run(app, "end-sessions", "Ada").stdout == "Ended no session of “Ada”.\n"


@pytest.mark.parametrize("command", ["enable", "reset-two-factor", "sessions", "end-sessions", "disable"])
def test_who_is_not_there_is_told_with_the_way_to_who_is(app: Flask, command: str) -> None:
    result = run(app, command, "Nobody")
    assert result.exit_code == 1
    assert "There is no account called “Nobody”. See all of them" in result.stderr


def test_every_command_explains_itself(app: Flask) -> None:
    commands = ("create", "list", "disable", "enable", "change-role", "reset-password", "reset-two-factor")
    for words in ([], *([command] for command in (*commands, "sessions", "end-sessions"))):
        result = run(app, *words, "--help")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) > 3
