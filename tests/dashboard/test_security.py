"""What every answer carries, what is refused before a view sees it, and what a person then reads."""

import logging
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, abort, request
from werkzeug.exceptions import Conflict
from werkzeug.test import TestResponse

from dashboard.auth import requires
from dashboard.security import LARGEST_FORM, LARGEST_FROM_STRANGERS, LARGEST_REQUEST, MOST_FORM_PARTS, RequestIds
from store.errors import (
    ConflictError,
    DatabaseError,
    InvalidRecordError,
    NotFoundError,
    StorageFullError,
    StoreError,
)
from tests.dashboard.entering import HTTPS, PAGE, Visitor, a_tandem, make_account, token_in

REFUSALS = {
    "gone": (404, NotFoundError("There is no such tag.")),
    "conflict": (409, ConflictError("Somebody changed it.")),
    "invalid": (422, InvalidRecordError("The tag “x”", {"name": "it is <empty>"})),
    "full": (503, StorageFullError("There is no room left.")),
    "down": (503, DatabaseError("The database did not answer.")),
    "odd": (500, StoreError("Something odd.")),
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path) as app:
        make_account(app)
        app.add_url_rule("/abort/<int:code>", "abort", abort)
        app.add_url_rule("/fail/<how>", "fail", _fail)
        app.add_url_rule("/length", "length", _length, methods=["POST"])
        yield app


def _fail(how: str) -> str:
    if how in REFUSALS:
        error = REFUSALS[how][1]
        raise error from sqlite3.OperationalError("SELECT secret_driver_text")
    if how == "merge":
        raise Conflict(response=("<h1>Merge</h1>", 409))
    raise RuntimeError("secret_driver_text")


@requires("viewer")
def _length() -> str:
    return str(sum(len(value) for value in request.form.values()) + len(request.form))


@pytest.fixture
def ada(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in()
    return visitor


def checked(response: TestResponse) -> dict[str, list[str]]:
    """The content security policy, after all other headers were found in place."""
    headers = response.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert re.fullmatch(r"[0-9a-f]{12}", headers["X-Request-Id"])
    parts = (part.split() for part in headers["Content-Security-Policy"].split(";"))
    return {name: values for name, *values in parts}


@pytest.mark.parametrize(
    "path",
    ["/login", "/logout", "/setup", "/healthz", "/readyz", "/", "/nothing", "/abort/403", "/fail/hard", "/fail/full"],
)
def test_every_answer_has_every_header(app: Flask, ada: Visitor, path: str) -> None:
    for visitor in (ada, Visitor(app)):
        response = visitor.get(path)
        policy = checked(response)
        nonce = policy["script-src"][1]
        assert re.fullmatch(r"'nonce-[\w-]{22}'", nonce)
        assert policy == {
            "default-src": ["'none'"],
            "script-src": ["'self'", nonce],
            "style-src": ["'self'", nonce],
            "img-src": ["'self'", "data:"],
            "font-src": ["'self'"],
            "connect-src": ["'self'"],
            "manifest-src": ["'self'"],
            "form-action": ["'self'"],
            "base-uri": ["'none'"],
            "frame-ancestors": ["'none'"],
            "object-src": ["'none'"],
        }
        assert response.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in response.headers
        # Every inline script of the page has the nonce, and no tag has a handler or a style of its own.
        for script in re.findall(r"<script[^>]*>", response.text):
            assert f'nonce="{nonce[7:-1]}"' in script
        assert not re.search(r"<[^>]+\s(on\w+|style)=", response.text)


def test_every_page_has_its_own_nonce_and_request_id(app: Flask) -> None:
    one, other = (Visitor(app).get("/login").headers for _ in range(2))
    assert one["Content-Security-Policy"] != other["Content-Security-Policy"]
    assert one["X-Request-Id"] != other["X-Request-Id"]


def test_files_of_the_program_may_be_cached_and_carry_the_headers_too(app: Flask) -> None:
    with Visitor(app).get("/static/icon.svg") as response:
        assert response.status_code == 200
        assert "script-src" in checked(response)
        assert response.headers["Cache-Control"] != "no-store"
        assert "Set-Cookie" not in response.headers


def test_over_https_the_browser_shall_stay_there(app: Flask) -> None:
    response = Visitor(app, HTTPS).get("/login")
    assert response.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_over_https_a_form_from_another_site_is_refused(app: Flask) -> None:
    visitor = Visitor(app, HTTPS)
    visitor.sign_in()
    token = token_in(visitor.get("/logout"))
    for referrer in ("https://evil.example/", "http://tandem.example/"):
        headers = PAGE | {"Referer": referrer}
        assert visitor.post("/logout", {"csrf_token": token}, headers=headers).status_code == 400
    assert visitor.get("/logout").status_code == 200


@pytest.mark.parametrize("token", [None, "", "made up", "made.up.too"])
def test_a_form_without_its_token_says_what_to_do(app: Flask, token: str | None) -> None:
    response = Visitor(app).post("/login", {"name": "Ada", "password": "x" * 10, "csrf_token": token or ""})
    assert response.status_code == 400
    assert "Go back, reload the page and send it again" in response.text


def test_a_script_sends_the_token_in_a_header(ada: Visitor) -> None:
    token = token_in(ada.get("/logout"))
    headers = {"X-CSRFToken": token, "Accept": "application/json"}
    assert ada.client.post("/length", data={"a": "b"}, headers=headers).text == "2"
    refused = ada.client.post("/length", data={"a": "b"}, headers={"Accept": "application/json"})
    assert refused.status_code == 400
    assert "Go back" in refused.json["hint"]


def test_a_token_of_yesterday_still_counts(app: Flask) -> None:
    assert app.config["WTF_CSRF_TIME_LIMIT"] is None


def multipart(fields: dict[str, str]) -> dict[str, Any]:
    """A form as a browser with a file field sends it."""
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in fields.items()]
    body = "".join([*parts, "--edge--\r\n"]).encode()
    return {"data": body, "content_type": "multipart/form-data; boundary=edge", "headers": PAGE}


def test_a_long_card_and_a_large_selection_pass(ada: Visitor) -> None:
    token = token_in(ada.get("/logout"))
    long = ada.client.post("/length", **multipart({"csrf_token": token, "text": "x" * (LARGEST_FORM - 100_000)}))
    assert long.status_code == 200
    parts = {"csrf_token": token, **{f"row{number}": "x" for number in range(MOST_FORM_PARTS - 1)}}
    many = ada.client.post("/length", **multipart(parts))
    assert many.status_code == 200


def test_what_is_too_large_gets_a_page(ada: Visitor) -> None:
    token = token_in(ada.get("/logout"))
    form = {"csrf_token": token, "text": "x" * (LARGEST_FORM + 1)}
    text = ada.client.post("/length", **multipart(form))
    parts = {"csrf_token": token, **{f"row{number}": "x" for number in range(MOST_FORM_PARTS)}}
    many = ada.client.post("/length", **multipart(parts))
    whole = ada.client.post("/length", **multipart({}), environ_overrides={"CONTENT_LENGTH": str(LARGEST_REQUEST + 1)})
    for response in (text, many, whole):
        assert response.status_code == 413
        assert "64 MiB" in response.text
        checked(response)


def test_a_stranger_may_send_a_name_and_a_password_and_not_much_more(app: Flask) -> None:
    stranger = Visitor(app)
    token = token_in(stranger.get("/login"))
    long = {"csrf_token": token, "name": "x", "password": "x" * LARGEST_FROM_STRANGERS}
    assert stranger.post("/login", long).status_code == 413
    assert stranger.post("/login", long | {"password": "x" * 10_000}).status_code == 401


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/abort/400", 400, "could not be understood"),
        ("/abort/401", 401, "not signed in"),
        ("/abort/403", 403, "role does not allow"),
        ("/nothing", 404, "no such page"),
        ("/abort/405", 405, "does not take such a request"),
        ("/abort/409", 409, "changed this meanwhile"),
        ("/abort/413", 413, "more than Tandem takes"),
        ("/abort/429", 429, "Too many attempts"),
        ("/abort/410", 410, "Gone."),
        ("/fail/hard", 500, "Something went wrong"),
        *((f"/fail/{how}", status, error.message.split("<")[0]) for how, (status, error) in REFUSALS.items()),
    ],
)
def test_an_error_is_a_page_with_a_sentence_and_the_requests_id(
    ada: Visitor, path: str, status: int, sentence: str
) -> None:
    page = ada.get(path)
    assert page.status_code == status
    assert sentence in page.text
    assert page.headers["X-Request-Id"] in page.text
    assert page.text.count("<h1") == 1
    script = ada.get(path, headers={"Accept": "application/json"})
    assert script.status_code == status
    assert sentence in script.json["error"]
    assert script.json["requestId"] == script.headers["X-Request-Id"]
    for answer in (page, script):
        assert "secret_driver_text" not in answer.text
        assert "Traceback" not in answer.text


def test_what_a_sentence_quotes_is_no_markup(ada: Visitor) -> None:
    assert "it is &lt;empty&gt;" in ada.get("/fail/invalid").text


def test_a_405_says_what_goes(ada: Visitor) -> None:
    response = ada.get("/length")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]


def test_a_view_can_bring_the_page_of_a_conflict_itself(ada: Visitor) -> None:
    response = ada.get("/fail/merge")
    assert (response.status_code, response.text) == (409, "<h1>Merge</h1>")
    checked(response)


def test_the_log_names_the_request(ada: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RequestIds())
    for path in ("/fail/hard", "/fail/full"):
        response = ada.get(path)
        record = caplog.records[-1]
        assert record.levelno == logging.ERROR
        assert record.request_id == response.headers["X-Request-Id"]  # type: ignore[attr-defined]
        assert record.exc_info
    logging.getLogger("tandem").warning("outside of any request")
    assert caplog.records[-1].request_id == "-"  # type: ignore[attr-defined]


def test_without_its_database_tandem_says_so_in_a_sentence(app: Flask, ada: Visitor, tmp_path: Path) -> None:
    app.extensions["tandem_store"].close()
    database = tmp_path / "instance" / "tandem.sqlite"
    for file in database.parent.glob("tandem.sqlite*"):
        file.unlink()
    database.mkdir()
    for path in ("/", "/login", "/logout"):
        response = ada.get(path)
        assert response.status_code == 503, path
        assert "The database did not carry it out" in response.text
        assert "sqlite" not in response.text.lower()
    assert ada.get("/healthz").status_code == 200


def test_an_error_page_that_cannot_be_drawn_still_says_the_sentence(app: Flask, ada: Visitor) -> None:
    app.jinja_env.globals["csp_nonce"] = None
    response = ada.get("/fail/full")
    assert response.status_code == 503
    assert response.mimetype == "text/plain"
    assert "There is no room left" in response.text


def test_healthz_and_readyz_are_for_everybody(app: Flask) -> None:
    stranger = Visitor(app)
    assert stranger.get("/healthz").json == {"up": True}
    ready = stranger.get("/readyz")
    assert ready.status_code == 200
    assert ready.json == {"ready": True, "database": True, "jsonSide": True, "queue": True}


def test_readyz_tells_a_json_side_that_cannot_be_used(app: Flask, tmp_path: Path) -> None:
    data = tmp_path / "data"
    if data.exists():
        data.rename(tmp_path / "elsewhere")
    data.write_text("a file in its place")
    response = Visitor(app).get("/readyz")
    assert response.status_code == 503
    assert response.json == {"ready": False, "database": True, "jsonSide": False, "queue": True}


def test_readyz_tells_a_database_that_cannot_be_used(app: Flask, tmp_path: Path) -> None:
    app.extensions["tandem_store"].close()
    for file in (tmp_path / "instance").glob("tandem.sqlite*"):
        file.unlink()
    (tmp_path / "instance" / "tandem.sqlite").mkdir()
    response = Visitor(app).get("/readyz")
    assert (response.status_code, response.json["database"]) == (503, False)


def test_with_sql_alone_there_is_no_json_side_to_ask(tmp_path: Path) -> None:
    with a_tandem(tmp_path, DATA_BACKEND="sql") as app:
        assert Visitor(app).get("/readyz").json == {
            "ready": True,
            "database": True,
            "jsonSide": None,
            "queue": True,
        }
