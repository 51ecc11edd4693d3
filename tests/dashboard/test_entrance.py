"""Set-up, sign-in and sign-out, as a person at a browser meets them."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from flask import Flask

from dashboard.auth import People
from dashboard.security import local_path
from dashboard.throttle import in_words
from tests.dashboard.entering import HTTPS, PASSWORD, Visitor, a_tandem, cookies_set, make_account, token_in

WRONG = "wrong wrong wrong"
INSIDE = "/logout"  # a page for who is signed in; with GET it only asks


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


def setup_token(app: Flask) -> str:
    token = people(app).accounts.offer_setup()
    assert token
    return token


# ---------------------------------------------------------------------------------------------- set-up


def test_who_comes_first_is_led_to_the_set_up(visitor: Visitor) -> None:
    response = visitor.get("/admin/", follow_redirects=True)
    assert response.request.path == "/setup"
    assert "Make the first account" in response.text


def test_the_set_up_makes_an_admin_who_is_signed_in_and_then_is_closed(app: Flask, visitor: Visitor) -> None:
    fields = {"token": setup_token(app), "name": "Ada", "password": PASSWORD, "again": PASSWORD}
    response = visitor.send("/setup", "/setup", fields)
    assert (response.status_code, response.location) == (302, "/admin/")
    assert visitor.get(INSIDE).status_code == 200
    assert [(account.name, account.role) for account in people(app).accounts.list()] == [("Ada", "admin")]
    assert visitor.get("/setup").status_code == 404
    assert Visitor(app).send("/setup", "/login", fields).status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("token", "guessed", "not the token that was printed last"),
        ("name", " ", "It is empty"),
        ("password", "short", "It needs 8 characters"),
        ("password", "password1", "guessed first"),
        ("again", PASSWORD + "x", "not the same"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_made(
    app: Flask, visitor: Visitor, field: str, value: str, told: str
) -> None:
    fields = {"token": setup_token(app), "name": "Ada", "password": PASSWORD, "again": PASSWORD, field: value}
    if field == "password":
        fields["again"] = value
    response = visitor.send("/setup", "/setup", fields)
    assert response.status_code == 422
    assert told in response.text
    assert re.search(rf'<input[^>]*aria-describedby="{field}-error[^>]*name="{field}"', response.text)
    assert value.strip() == "" or PASSWORD not in response.text
    assert not people(app).accounts.any()


def test_who_guesses_the_set_up_token_has_to_wait_and_who_corrects_a_name_has_not(app: Flask, visitor: Visitor) -> None:
    fields = {"token": setup_token(app), "name": "Ada", "password": PASSWORD, "again": PASSWORD}
    for _ in range(8):
        assert visitor.send("/setup", "/setup", {**fields, "name": " "}).status_code == 422
    for _ in range(5):
        assert visitor.send("/setup", "/setup", {**fields, "token": "guessed"}).status_code == 422
    refused = visitor.send("/setup", "/setup", fields)
    assert refused.status_code == 429
    assert "Try again in 15 minutes" in refused.text
    assert int(refused.headers["Retry-After"]) > 0
    assert not people(app).accounts.any()


def test_looking_at_the_set_up_changes_nothing(visitor: Visitor) -> None:
    assert visitor.client.head("/setup").status_code == 200
    assert visitor.client.head("/login").location == "/setup"


def test_two_set_ups_at_once_make_one_account(app: Flask) -> None:
    token = setup_token(app)
    visitors = [Visitor(app) for _ in range(4)]
    pages = [token_in(visitor.get("/setup")) for visitor in visitors]

    def set_up(number: int) -> int:
        fields = {"token": token, "name": f"Ada {number}", "password": PASSWORD, "again": PASSWORD}
        return visitors[number].post("/setup", {"csrf_token": pages[number], **fields}).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(set_up, range(4)))
    assert statuses[0] == 302
    assert set(statuses[1:]) <= {404, 422}  # the set-up is closed, or its token is used up
    assert len(people(app).accounts.list()) == 1


def test_the_fields_of_the_set_up_help_a_password_manager(visitor: Visitor) -> None:
    page = visitor.get("/setup").text
    assert page.count('autocomplete="new-password"') == 2
    assert 'autocomplete="username"' in page
    assert page.count("<h1") == 1
    for name in ("token", "name", "password", "again"):
        assert f'<label for="{name}"' in page


# ---------------------------------------------------------------------------------------------- sign-in


def test_signing_in_leads_to_the_page_one_wanted(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    response = visitor.get("/admin/?search=a%20b&tag=ü")
    assert response.status_code == 302
    assert response.location.startswith("/login?next=")
    page = visitor.get(response.location)
    wanted = re.search(r'name="next" value="([^"]+)"', page.text)
    assert wanted
    fields = {"name": "ada", "password": PASSWORD, "next": wanted[1].replace("&amp;", "&")}
    response = visitor.post("/login", {"csrf_token": token_in(page), **fields})
    assert (response.status_code, response.location) == (302, "/admin/?search=a%20b&tag=%C3%BC")
    assert visitor.get(INSIDE).status_code == 200


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_the_name_stays(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    wrong, unknown = visitor.sign_in("Ada", WRONG), visitor.sign_in("Nobody <&>", WRONG)
    for response in (wrong, unknown):
        assert response.status_code == 401
        assert "do not belong together" in response.text
        assert WRONG not in response.text
        assert re.search(r'<input[^>]*aria-describedby="problem"[^>]*name="name"', response.text)
        assert "tandem_session" not in cookies_set(response)
    assert 'value="Nobody &lt;&amp;&gt;"' in unknown.text
    assert visitor.get(INSIDE).status_code == 302


def test_the_login_page_helps_a_password_manager(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    page = visitor.get("/login").text
    assert 'autocomplete="username"' in page
    assert 'autocomplete="current-password"' in page
    assert page.count("<h1") == 1


def test_a_disabled_account_cannot_sign_in(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    make_account(app, "Bob")
    people(app).accounts.disable("Bob")
    assert visitor.sign_in("Bob").status_code == 401


def test_who_is_signed_in_is_not_asked_again(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    visitor.sign_in()
    response = visitor.get("/login?next=/admin/tags/")
    assert (response.status_code, response.location) == (302, "/admin/tags/")


def test_the_sixth_failure_has_to_wait_even_with_the_right_password(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    for _ in range(5):
        assert visitor.sign_in("Ada", WRONG).status_code == 401
    response = visitor.sign_in("ADA")
    assert response.status_code == 429
    assert "Try again in 15 minutes" in response.text
    assert 0 < int(response.headers["Retry-After"]) <= 900
    assert 'value="ADA"' in response.text
    assert PASSWORD not in response.text
    make_account(app, "Bob")
    assert visitor.sign_in("Bob").status_code == 302


def test_signing_in_clears_earlier_failures(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    for _ in range(3):
        for _ in range(4):
            assert visitor.sign_in("Ada", WRONG).status_code == 401
        assert visitor.sign_in().status_code == 302
        visitor.sign_out()


def test_an_address_that_tries_many_names_has_to_wait(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    page = token_in(visitor.get("/login"))
    for number in range(20):
        visitor.post("/login", {"csrf_token": page, "name": f"n{number}", "password": WRONG})
    assert visitor.sign_in().status_code == 429


def test_a_forwarded_address_is_not_believed(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    page = token_in(visitor.get("/login"))
    for number in range(21):
        headers = {"X-Forwarded-For": f"10.0.0.{number}", "X-Forwarded-Proto": "https", "Accept": "text/html"}
        last = visitor.post("/login", {"csrf_token": page, "name": f"n{number}", "password": WRONG}, headers=headers)
    assert last.status_code == 429
    assert "Strict-Transport-Security" not in last.headers


@pytest.mark.parametrize(
    "attack",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "http://evil.example",
        "https:evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/admin/\r\nSet-Cookie: a=b",
        "/admin\\..\\..",
        "/\u2028/evil.example",
        "/" + "x" * 4000,
        "",
    ],
)
def test_after_signing_in_nobody_is_sent_elsewhere(app: Flask, attack: str) -> None:
    make_account(app)
    visitor = Visitor(app)
    response = visitor.sign_in(next=attack)
    assert (response.status_code, response.location) == (302, "/admin/")
    assert visitor.get("/login", query_string={"next": attack}).location == "/admin/"


@pytest.mark.parametrize("good", ["/", "/admin/tags/?page=2&search=%C3%BC", "/admin/tags/edit/?id=a-b_c~d&x=[1]#y"])
def test_a_path_of_ours_is_one_to_go_on_to(good: str) -> None:
    assert local_path(good, "/admin/") == good


def test_a_wait_is_told_in_words() -> None:
    told = [in_words(timedelta(seconds=seconds)) for seconds in (0, 60, 61, 900)]
    assert told == ["a minute", "a minute", "2 minutes", "15 minutes"]


# ---------------------------------------------------------------------------------------------- sessions and cookies


def test_a_session_planted_before_is_not_the_one_after_signing_in(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    visitor.client.set_cookie("tandem_session", "planted", domain="localhost")
    visitor.sign_in()
    assert visitor.cookie("tandem_session") not in (None, "planted")
    first = visitor.cookie("tandem_session")
    page = token_in(visitor.get("/logout"))
    visitor.post("/login", {"csrf_token": page, "name": "Ada", "password": PASSWORD})
    assert visitor.cookie("tandem_session") != first
    assert first is not None
    assert people(app).sessions.find(first) is None


def test_the_csrf_token_of_a_stranger_is_worth_nothing_after_signing_in(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    before = token_in(visitor.get("/login"))
    visitor.sign_in()
    assert visitor.post("/logout", {"csrf_token": before}).status_code == 400


def test_a_form_left_open_can_be_sent_after_signing_in_again_as_the_same_person(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    make_account(app, "Bob")
    visitor.sign_in()
    left_open = token_in(visitor.get("/logout"))
    visitor.client.delete_cookie("tandem_session", domain="localhost")  # the session ran out
    refused = visitor.post("/logout", {"csrf_token": left_open})
    assert refused.status_code == 401
    assert "Sign in in another tab" in refused.text
    visitor.sign_in()
    assert visitor.post("/logout", {"csrf_token": left_open}).status_code == 302
    visitor.sign_in("Bob")
    assert visitor.post("/logout", {"csrf_token": left_open}).status_code == 400


def test_signing_out_ends_the_session_on_the_server(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    visitor.sign_in()
    kept = visitor.cookie("tandem_session")
    assert kept
    for method in ("GET", "HEAD", "GET"):  # a link alone signs nobody out
        assert visitor.client.open("/logout", method=method).status_code == 200
    assert visitor.sign_out().location == "/login"
    assert visitor.cookie("tandem_session") is None
    visitor.client.set_cookie("tandem_session", kept, domain="localhost")
    assert visitor.get(INSIDE).status_code == 302


@pytest.mark.parametrize("act", ["disable", "set_password"])
def test_disabling_an_account_or_resetting_its_password_ends_its_visit(app: Flask, visitor: Visitor, act: str) -> None:
    make_account(app)
    make_account(app, "Bob")
    visitor.sign_in("Bob")
    assert visitor.get(INSIDE).status_code == 200
    if act == "disable":
        people(app).accounts.disable("Bob")
    else:
        people(app).accounts.set_password("Bob", "a loud Friday morning")
    assert visitor.get(INSIDE).status_code == 302


def test_cookies_over_http_are_for_the_server_only(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    lines = cookies_set(visitor.sign_in())
    assert set(lines) == {"tandem_session", "tandem_page"}
    for line in lines.values():
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
        assert "Secure" not in line
        assert "Domain" not in line
    assert "Max-Age=604800" in lines["tandem_session"]


def test_cookies_over_https_are_bound_to_this_host(app: Flask) -> None:
    make_account(app)
    visitor = Visitor(app, HTTPS)
    lines = cookies_set(visitor.sign_in())
    assert set(lines) == {"__Host-tandem_session", "__Host-tandem_page"}
    for line in lines.values():
        assert "Secure" in line
        assert "HttpOnly" in line
        assert "SameSite=Lax" in line
        assert "Path=/" in line
        assert "Domain" not in line
    assert visitor.get(INSIDE).status_code == 200
    gone = cookies_set(visitor.sign_out())["__Host-tandem_session"]
    assert "Secure" in gone
    assert "Max-Age=0" in gone


def test_over_https_a_cookie_without_the_prefix_is_not_believed(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    visitor.sign_in()
    kept = visitor.cookie("tandem_session")
    assert kept
    safe = Visitor(app, HTTPS)
    safe.client.set_cookie("tandem_session", kept, domain="tandem.example")
    assert safe.get(INSIDE).status_code == 302


def test_the_browsers_cookie_is_not_in_the_database(app: Flask, visitor: Visitor) -> None:
    make_account(app)
    visitor.sign_in()
    database = app.extensions["tandem_store"].database
    with database.read() as connection:
        [row] = connection.execute(sa.select(database.own.sessions))
    assert visitor.cookie("tandem_session") not in tuple(row)
    assert row.address == "127.0.0.1"
