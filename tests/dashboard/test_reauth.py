"""What is dear asks again who one is; what was typed meanwhile is not lost, and no secret is held."""

import html
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from flask import Flask, request
from flask_admin import Admin, BaseView, expose
from werkzeug.test import TestResponse

from dashboard.auth import GuardedView, requires, requires_proof
from dashboard.sessions import PROOF_LASTS
from tests.dashboard.entering import PAGE, PASSWORD, Visitor, a_tandem, make_account, token_in
from tests.dashboard.proving import time_passes

WRONG = "wrong wrong wrong"
SECRET = "sk-a-secret-nobody-may-see-again"


class Safe(GuardedView, BaseView):
    """A view that asks again for one action and for one method."""

    roles: ClassVar[Mapping[str, str]] = {**GuardedView.roles, "open_box": "editor"}
    asks_again = frozenset({"delete", "open_box"})

    @expose("/")
    def index(self) -> str:
        return "list"

    @expose("/delete/", methods=("GET", "POST"))
    def delete_view(self) -> str:
        return f"deleted {dict(request.form)}"

    @expose("/action/", methods=("POST",))
    def action_view(self) -> str:
        return "done"

    @expose("/box/", methods=("GET", "POST"))
    def open_box(self) -> str:
        return f"box {sorted(request.form.items(multi=True))}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path) as app:
        app.add_url_rule("/dear", "dear", requires_proof(requires("viewer")(lambda: "dear")), methods=["GET", "POST"])
        index = Safe(url="/safes", endpoint="safes")
        admin = Admin(app, name="Safes", url="/safes", endpoint="safes", index_view=index)
        admin.add_view(Safe(name="Safe", endpoint="safe", url="/safe"))
        make_account(app)
        yield app


@pytest.fixture
def ada(app: Flask) -> Visitor:
    visitor = Visitor(app)
    assert visitor.sign_in().status_code == 302
    return visitor


def held_fields(page: str) -> list[tuple[str, str]]:
    """What a page would send on by itself."""
    found = re.findall(r'<textarea name="([^"]*)" hidden>\n(.*?)</textarea>', page, re.DOTALL)
    return [(html.unescape(name), html.unescape(text)) for name, text in found]


def answer(visitor: Visitor, page: str, password: str = PASSWORD) -> TestResponse:
    """Fill in the question that a page is."""
    hidden = {
        name: html.unescape(text)
        for name, text in re.findall(r'<input[^>]*name="(next|held|csrf_token)"[^>]*value="([^"]*)"', page)
    }
    assert "csrf_token" in hidden
    return visitor.post("/reauth", {**hidden, "password": password})


@pytest.mark.parametrize("path", ["/dear", "/safe/delete/", "/safe/box/?id=a%20b"])
def test_a_page_is_left_for_the_question_and_come_back_to(app: Flask, ada: Visitor, path: str) -> None:
    assert ada.get(path).status_code == 200  # signing in is a proof
    time_passes(app, PROOF_LASTS - timedelta(minutes=1))
    assert ada.get(path).status_code == 200
    time_passes(app)
    asked = ada.get(path)
    assert asked.status_code == 302
    assert asked.location.startswith("/reauth?next=")
    page = ada.get(asked.location)
    assert "Is it still you, Ada?" in page.text
    assert 'autocomplete="current-password"' in page.text
    back = ada.send("/reauth", asked.location, {"password": PASSWORD, "next": path})
    assert (back.status_code, back.location) == (302, path)
    assert ada.get(path).status_code == 200
    assert ada.get("/safe/").status_code == 200


def test_what_asks_for_nothing_goes_on_as_before(app: Flask, ada: Visitor) -> None:
    time_passes(app)
    token = token_in(ada.get("/logout"))
    assert ada.get("/safe/").text == "list"
    assert ada.post("/safe/action/", {"csrf_token": token, "action": "tag"}).text == "done"
    assert ada.post("/safe/action/", {"csrf_token": token, "action": "delete"}).status_code == 403  # as a delete does


def test_a_wrong_password_proves_nothing_and_is_counted(app: Flask, ada: Visitor) -> None:
    time_passes(app)
    for _ in range(5):
        refused = ada.send("/reauth", "/reauth?next=/dear", {"password": WRONG, "next": "/dear"})
        assert refused.status_code == 401
        assert "not your password" in refused.text
        assert WRONG not in refused.text
    refused = ada.send("/reauth", "/reauth?next=/dear", {"password": PASSWORD, "next": "/dear"})
    assert refused.status_code == 429
    assert "Try again in 15 minutes" in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert ada.get("/dear").status_code == 302
    assert ada.get("/safe/").status_code == 200  # and nobody is signed out by it
    assert Visitor(app).sign_in().status_code == 429  # guessing here and there is the same guessing


def test_another_ones_password_proves_nothing(app: Flask, ada: Visitor) -> None:
    make_account(app, "Bob", password="a loud Friday morning")
    time_passes(app)
    fields = {"password": "a loud Friday morning", "next": "/dear", "name": "Bob"}
    assert ada.send("/reauth", "/reauth", fields).status_code == 401


def test_the_cookie_is_another_one_after_the_proof(app: Flask, ada: Visitor) -> None:
    stolen = ada.cookie("tandem_session")
    assert stolen
    time_passes(app)
    ada.send("/reauth", "/reauth?next=/dear", {"password": PASSWORD, "next": "/dear"})
    assert ada.cookie("tandem_session") != stolen
    thief = Visitor(app)
    thief.client.set_cookie("tandem_session", stolen, domain="localhost")
    assert thief.get("/dear").location.startswith("/login")


@pytest.mark.parametrize("attack", ["//evil.example", "https://evil.example/", "/\\evil.example", ""])
def test_after_the_proof_nobody_is_sent_elsewhere(ada: Visitor, attack: str) -> None:
    assert ada.send("/reauth", "/reauth", {"password": PASSWORD, "next": attack}).location == "/admin/"


def test_a_form_sent_too_late_goes_on_after_the_proof_with_all_that_was_typed(app: Flask, ada: Visitor) -> None:
    token = token_in(ada.get("/logout"))
    time_passes(app)
    typed = {"csrf_token": token, "name": 'Ünï "<b>&', "text": "\nfirst\r\nsecond", "tags": ["a", "b"]}
    asked = ada.post("/safe/box/?id=1", typed)
    assert asked.status_code == 403
    assert "What you typed is kept" in asked.text
    assert answer(ada, asked.text, WRONG).status_code == 401
    page = answer(ada, answer(ada, asked.text, WRONG).text)
    assert page.status_code == 200
    text = page.text
    assert 'action="/safe/box/?id=1"' in text
    fields = held_fields(text)
    assert fields == [("name", 'Ünï "<b>&'), ("text", "\nfirst\r\nsecond"), ("tags", "a"), ("tags", "b")]
    sent: dict[str, list[str]] = {}
    for name, value in [*fields, ("csrf_token", token_in(page))]:
        sent.setdefault(name, []).append(value)
    done = ada.post("/safe/box/?id=1", sent)
    assert done.status_code == 200
    assert "second" in done.text


def test_no_secret_is_held_and_the_form_is_shown_again_instead_of_saved(app: Flask, ada: Visitor) -> None:
    token = token_in(ada.get("/logout"))
    time_passes(app)
    typed = {"csrf_token": token, "label": "mine", "value": SECRET, "_secret": "value", "apiKey": SECRET + "2"}
    asked = ada.post("/safe/box/", typed)
    page = answer(ada, asked.text)
    for response in (asked, page):
        assert SECRET not in response.text
        assert SECRET not in str(response.headers)
    assert held_fields(page.text) == [("label", "mine"), ("_reload", "1")]


def test_a_forged_form_is_not_held_and_sent_on_as_ones_own(app: Flask, ada: Visitor) -> None:
    time_passes(app)
    for path in ("/dear", "/safe/delete/", "/safe/box/"):
        forged = ada.post(path, {"id": "1"})
        assert forged.status_code == 400
        assert "held" not in forged.text


def test_a_script_is_told_where_its_person_can_prove_it(app: Flask, ada: Visitor) -> None:
    time_passes(app)
    token = token_in(ada.get("/logout"))
    headers = {"Accept": "application/json", "Sec-Fetch-Mode": "cors", "Referer": "http://localhost/safe/?page=2"}
    for response in (
        ada.get("/safe/box/", headers=headers),
        ada.post("/safe/box/", {"csrf_token": token}, headers=headers),
    ):
        assert response.status_code == 403
        assert response.headers["X-Reauthenticate"] == response.json["reauthenticate"] == "/reauth?next=/safe/?page%3D2"
        assert set(response.json) == {"error", "hint", "reauthenticate", "requestId"}
    elsewhere = ada.get("/dear", headers={**headers, "Referer": "http://evil.example/x"})
    assert elsewhere.headers["X-Reauthenticate"] == "/reauth?next=/admin/"


def test_the_role_is_looked_at_before_the_password_is_asked_for(app: Flask) -> None:
    make_account(app, "Vera", "viewer")
    vera = Visitor(app)
    vera.sign_in("Vera")
    time_passes(app)
    assert vera.get("/safe/box/").status_code == 403
    assert vera.get("/dear").status_code == 302
    assert Visitor(app).get("/dear", headers=PAGE).location.startswith("/login")


def test_adding_a_key_asks_again(app: Flask, ada: Visitor) -> None:
    time_passes(app)
    for path in ("/admin/keys/new/", "/admin/keys/replace/?id=x", "/admin/keys/delete/?id=x", "/admin/keys/edit/?id=x"):
        assert ada.get(path).location.startswith("/reauth"), path
    assert ada.get("/admin/keys/").status_code == 200
