"""Signing in with a password and a code: nobody is in before both were right."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask
from itsdangerous import TimestampSigner, URLSafeTimedSerializer
from werkzeug.test import TestResponse

from dashboard.auth import People
from dashboard.entrance import SECOND_STEP, SECOND_STEP_LASTS
from tests.dashboard.entering import PASSWORD, SECRET_KEY, Visitor, a_tandem, cookies_set, make_account, token_in
from tests.dashboard.proving import Phone

CODE_PAGE = "/login/code"
INSIDE = "/admin/rules/"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path) as app:
        yield app


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def people(app: Flask) -> People:
    found: People = app.extensions["tandem_people"]
    return found


@pytest.fixture
def phone(app: Flask) -> Phone:
    return Phone(app, make_account(app))


def sessions_open(app: Flask) -> int:
    return sum(people(app).sessions.counts().values())


def give(visitor: Visitor, **fields: str) -> TestResponse:
    return visitor.send(CODE_PAGE, CODE_PAGE, fields)


def test_the_password_alone_starts_no_session(app: Flask, visitor: Visitor, phone: Phone) -> None:
    step = visitor.sign_in(next="/admin/tags/?page=2")
    assert (step.status_code, step.location) == (302, "/login/code?next=/admin/tags/?page%3D2")
    assert "tandem_session" not in cookies_set(step)
    assert sessions_open(app) == 0
    assert visitor.get(INSIDE).location.startswith("/login")
    assert people(app).accounts.find("Ada").last_sign_in_at is None
    page = visitor.get(step.location)
    assert 'autocomplete="one-time-code"' in page.text
    assert page.text.count("<h1") == 1


def test_password_and_code_lead_to_the_page_one_wanted(app: Flask, visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in()
    answer = visitor.send(CODE_PAGE, CODE_PAGE, {"code": phone.code(), "next": "/admin/tags/"})
    assert (answer.status_code, answer.location) == (302, "/admin/tags/")
    assert visitor.get(INSIDE).status_code == 200
    assert sessions_open(app) == 1
    assert visitor.get(CODE_PAGE).location == "/login"  # the first step counts for one sign-in


def test_a_code_that_was_used_lets_nobody_in_again(app: Flask, phone: Phone) -> None:
    code = phone.code()
    first, thief = Visitor(app), Visitor(app)
    first.sign_in()
    assert give(first, code=code).status_code == 302
    thief.sign_in()
    refused = give(thief, code=code)
    assert refused.status_code == 401
    assert "not right, or was used before" in refused.text
    assert code not in refused.text
    assert thief.get(INSIDE).status_code == 302


def test_without_the_password_there_is_no_second_step(app: Flask, visitor: Visitor, phone: Phone) -> None:
    assert visitor.get(CODE_PAGE).location == "/login"
    token = token_in(visitor.get("/login"))
    assert visitor.post(CODE_PAGE, {"csrf_token": token, "code": phone.code()}).location == "/login"
    assert sessions_open(app) == 0


def test_a_wrong_password_is_told_as_for_anybody_else(app: Flask, visitor: Visitor, phone: Phone) -> None:
    make_account(app, "Bob")
    told = [visitor.sign_in(name, "wrong wrong wrong") for name in ("Ada", "Bob", "Nobody")]
    assert {answer.status_code for answer in told} == {401}
    pages = [re.sub(r'value="[^"]*"|nonce="[^"]*"', "", answer.text) for answer in told]
    assert pages[0] == pages[1] == pages[2]


def test_the_sixth_wrong_code_has_to_wait_even_with_the_right_one(app: Flask, visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in()
    for _ in range(5):
        assert give(visitor, code="000000").status_code == 401
    refused = give(visitor, code=phone.code())
    assert refused.status_code == 429
    assert "Try again in 15 minutes" in refused.text
    assert visitor.sign_in().status_code == 302  # giving the password again is no way around
    assert give(visitor, recovery=phone.recovery_codes[0]).status_code == 429
    assert people(app).two_factor.codes_left(people(app).accounts.find("Ada")) == 10
    assert sessions_open(app) == 0


def test_a_recovery_code_lets_in_once_and_says_when_they_run_out(app: Flask, phone: Phone) -> None:
    for used, code in enumerate(phone.recovery_codes, 1):
        visitor = Visitor(app)
        visitor.sign_in()
        assert give(visitor, recovery=code.upper()).status_code == 302
        page = visitor.get(INSIDE).text
        assert ("recovery codes left" in page or "recovery code left" in page) is (used >= 8)
    visitor = Visitor(app)
    visitor.sign_in()
    assert give(visitor, recovery=phone.recovery_codes[0]).status_code == 401


def test_the_first_step_is_void_when_the_account_is_changed_meanwhile(app: Flask, phone: Phone) -> None:
    make_account(app, "Bob")
    accounts = people(app).accounts
    acts = (
        lambda: accounts.set_password("Ada", "a loud Friday morning"),
        lambda: accounts.disable("Ada"),
    )
    password = PASSWORD
    for act in acts:
        visitor = Visitor(app)
        assert visitor.sign_in("Ada", password).location == CODE_PAGE
        act()
        password = "a loud Friday morning"
        assert visitor.get(CODE_PAGE).location == "/login"
        token = token_in(visitor.get("/login"))
        assert visitor.post(CODE_PAGE, {"csrf_token": token, "code": phone.code()}).location == "/login"
    assert sessions_open(app) == 0


class Early(TimestampSigner):
    """Signs as it would have been done before the second step ran out."""

    def get_timestamp(self) -> int:
        return super().get_timestamp() - SECOND_STEP_LASTS - 1


def planted(visitor: Visitor, mark: str) -> str | None:
    """Where a browser is sent that has this mark of a first step."""
    with visitor.client.session_transaction() as page:
        page[SECOND_STEP] = mark
    return visitor.get(CODE_PAGE).location


def test_the_first_step_runs_out_and_nothing_else_that_is_signed_is_one(
    app: Flask, visitor: Visitor, phone: Phone
) -> None:
    ada = people(app).accounts.find("Ada")
    told, salt = [ada.id, ada.changed_at], "tandem: the first step of a sign-in"
    good = URLSafeTimedSerializer(SECRET_KEY, salt=salt).dumps(told)
    assert planted(visitor, good) is None  # a page: this is how the others below would have to be
    assert planted(visitor, URLSafeTimedSerializer(SECRET_KEY, salt=salt, signer=Early).dumps(told)) == "/login"
    assert planted(visitor, URLSafeTimedSerializer(SECRET_KEY, salt="another purpose").dumps(told)) == "/login"
    assert planted(visitor, URLSafeTimedSerializer("guessed", salt=salt).dumps(told)) == "/login"
    assert planted(visitor, URLSafeTimedSerializer(SECRET_KEY, salt=salt).dumps(["nobody", ""])) == "/login"
    assert planted(visitor, "") == "/login"


def test_after_the_code_nobody_is_sent_elsewhere(visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in(next="//evil.example")
    answer = visitor.send(CODE_PAGE, CODE_PAGE, {"code": phone.code(), "next": "https://evil.example"})
    assert answer.location == "/admin/"


def test_what_was_planted_in_the_cookies_before_is_gone_after_the_second_step(
    app: Flask, visitor: Visitor, phone: Phone
) -> None:
    visitor.client.set_cookie("tandem_session", "planted", domain="localhost")
    before = token_in(visitor.get("/login"))
    visitor.sign_in()
    give(visitor, code=phone.code())
    assert visitor.cookie("tandem_session") not in (None, "planted")
    assert visitor.post("/logout", {"csrf_token": before}).status_code == 400


def test_with_another_secret_key_one_reads_what_to_do(app: Flask, visitor: Visitor, phone: Phone) -> None:
    database = app.extensions["tandem_store"].database
    with database.write() as connection:  # as it looks from under another key
        connection.execute(sa.update(database.own.accounts).values(totp_secret="c29tZXRoaW5nIGVsc2UgYWx0b2dldGhlcg=="))
    visitor.sign_in()
    refused = give(visitor, code=phone.code())
    assert refused.status_code == 422
    assert "another SECRET_KEY" in refused.text
    assert give(visitor, recovery=phone.recovery_codes[0]).status_code == 302
    assert visitor.get("/account/two-factor").status_code == 200  # set up anew, without being asked for a code again


def test_proving_it_again_asks_for_the_code_too(app: Flask, visitor: Visitor, phone: Phone) -> None:
    visitor.sign_in()
    give(visitor, code=phone.code())
    page = "/reauth?next=/account/two-factor"
    assert 'name="code"' in visitor.get(page).text
    code = phone.code()
    assert visitor.send("/reauth", page, {"password": PASSWORD}).status_code == 401
    assert visitor.send("/reauth", page, {"password": "wrong wrong", "code": code}).status_code == 401
    fields = {"password": PASSWORD, "code": code, "next": "/account/two-factor"}
    assert visitor.send("/reauth", page, fields).location == "/account/two-factor"  # no code was used up before
    assert visitor.send("/reauth", page, fields).status_code == 401
    fields = {"password": PASSWORD, "recovery": phone.recovery_codes[3], "next": "/account/"}
    assert visitor.send("/reauth", page, fields).location == "/account/"


def test_no_log_line_holds_a_password_a_code_or_what_was_typed_as_a_name(
    app: Flask, visitor: Visitor, phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    code = phone.code()
    visitor.sign_in("hunter2hunter2", "wrong wrong wrong")
    visitor.sign_in()
    give(visitor, code="31415926")
    give(visitor, recovery="abcd-efgh-ijkl-mnop")
    give(visitor, code=code)
    told = caplog.text
    assert "a sign-in failed" in told
    assert "a code was wrong (account=Ada, from=127.0.0.1)" in told
    assert "signed in (by=Ada, from=127.0.0.1)" in told
    for secret in ("hunter2", "wrong wrong", "31415926", "abcd-efgh", code, PASSWORD, *phone.recovery_codes):
        assert secret not in told
