"""Every address, asked by a stranger, a viewer, an editor and an admin, with and without a CSRF token."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from dashboard.rules import Rule, rules_of
from store.demo import load_demo
from tests.dashboard.entering import Visitor, a_tandem, make_account, token_in
from tests.dashboard.proving import time_passes

pytestmark = pytest.mark.slow  # sends many requests

ROLES = ("stranger", "viewer", "editor", "admin")
EVERYBODY = {"entrance.login", "entrance.code", "entrance.setup", "health.healthz", "health.readyz", "static"}
PROFILES = ("profiles", "image_profiles")
SIGN_IN = ("accounts", "sessions", "tokens")
# Endpoint -> who may GET it at least, who may POST it at least. A new endpoint has to be written down here.
READ = {
    **dict.fromkeys(
        ["home", "admin.index", "admin.counts", "admin.jump", "entrance.logout", "reauth.page", "users.index_view"],
        "viewer",
    ),
    **{f"{noun}.{page}": "viewer" for noun in ("characters", "personas", "tags") for page in ("index_view", "suggest")},
    **{f"{noun}.details_view": "viewer" for noun in ("characters", "personas", "tags", "users")},
    **{f"{noun}.create_view": "editor" for noun in ("characters", "personas", "tags", "users")},
    **{f"{noun}.{page}_view": "editor" for noun in ("characters", "personas", "tags") for page in ("edit", "delete")},
    **dict.fromkeys(["cards.index", "cards.preview", "users.edit_view", "keys.replace"], "editor"),
    **{f"{noun}.{page}_view": "viewer" for noun in (*PROFILES, "keys", *SIGN_IN) for page in ("index", "details")},
    **{f"{noun}.{page}_view": "editor" for noun in (*PROFILES, "keys") for page in ("create", "edit", "delete")},
    **{f"{noun}.delete_view": "editor" for noun in SIGN_IN},
    **{f"{noun}.{page}": "editor" for noun in PROFILES for page in ("keys", "parameters")},
    **{f"{noun}.suggest": "viewer" for noun in PROFILES},
}
READ |= {
    **dict.fromkeys([f"images.{page}" for page in ("index_view", "details_view", "picture", "thumb")], "viewer"),
    **{f"images.{page}_view": "editor" for page in ("create", "edit", "delete")},
    "characters.card": "viewer",
}
READ |= {
    **{f"chats.{page}": "viewer" for page in ("index_view", "details_view", "suggest", "picture", "thumb")},
    **{f"messages.{page}_view": "viewer" for page in ("index", "details")},
    **{f"{noun}.{page}_view": "editor" for noun in ("chats", "messages") for page in ("create", "edit", "delete")},
}
READ |= {
    **dict.fromkeys([f"exports.{page}" for page in ("index", "job")], "viewer"),
    **dict.fromkeys([f"exports.{page}" for page in ("download", "rollback", "import_page")], "admin"),
    **dict.fromkeys([f"validation.{page}" for page in ("index", "job", "model", "record", "report")], "viewer"),
}
READ |= {
    **dict.fromkeys(
        ["account.index", "account.password", "account.two_factor", "rules.index", "migration.index"], "viewer"
    ),
    **dict.fromkeys(["people.index", "people.new", "people.person"], "admin"),
}
NOUNS = ("characters", "personas", "tags", "users", "images", "chats", "messages", *PROFILES, "keys", *SIGN_IN)
READ |= {
    **{f"{noun}.{page}_view": "viewer" for noun in NOUNS for page in ("history", "change")},
    **dict.fromkeys([f"audit.{page}" for page in ("index", "entry", "export")], "admin"),
}
WRITE = {
    **{f"{noun}.undo_view": "editor" for noun in NOUNS},
    "entrance.logout": "viewer",
    "reauth.page": "viewer",
    "admin.fill": "editor",
    **dict.fromkeys(["users.create_view", "users.edit_view", "keys.replace"], "editor"),
    **{f"{noun}.{page}": "editor" for noun in PROFILES for page in ("make_default", "test")},
    **dict.fromkeys(["keys.activate", "keys.test"], "editor"),
    **{f"{noun}.{page}_view": "editor" for noun in SIGN_IN for page in ("delete", "action")},
    **{
        f"{noun}.{page}_view": "editor"
        for noun in ("characters", "personas", "tags", *PROFILES, "keys")
        for page in ("create", "edit", "delete", "action")
    },
    **dict.fromkeys(["characters.favorite", "personas.link", "personas.unlink", "cards.upload", "cards.run"], "editor"),
    **{f"images.{page}_view": "editor" for page in ("create", "edit", "delete", "action")},
    **dict.fromkeys(["images.tag", "images.untag", "chats.action_view", "chats.avatar"], "editor"),
    **{f"{noun}.{page}_view": "editor" for noun in ("chats", "messages") for page in ("create", "edit", "delete")},
    **{f"exports.{page}": "admin" for page in ("start", "cancel", "rollback", "prune", "import_page")},
    **dict.fromkeys(["validation.start", "validation.cancel"], "editor"),
    **dict.fromkeys(["validation.plan", "validation.repair"], "admin"),
    **dict.fromkeys([f"account.{page}" for page in ("password", "begin", "confirm", "switch_off", "codes")], "viewer"),
    **dict.fromkeys(["account.end_session", "account.end_others"], "viewer"),
    **dict.fromkeys([f"people.{page}" for page in ("new", "role", "disable", "enable", "password")], "admin"),
    **dict.fromkeys(["people.two_factor", "people.end_sessions"], "admin"),
}


@pytest.fixture(scope="module")
def tandem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """One library for all these tests; what they send changes nothing that matters to the next."""
    root: Path = tmp_path_factory.mktemp("addresses")
    with a_tandem(root) as app:
        store = app.extensions["tandem_store"]
        load_demo(store)
        for role in ROLES[1:]:
            make_account(app, role, role)
        yield app


@pytest.fixture(scope="module")
def visitors(tandem: Flask) -> dict[str, Visitor]:
    found = {role: Visitor(tandem) for role in ROLES}
    for role in ROLES[1:]:
        assert found[role].sign_in(role).status_code == 302
    return found


def addresses(tandem: Flask, method: str) -> dict[str, str]:
    """Endpoint -> path, of every endpoint that answers the method."""
    return {
        rule.endpoint: rule.rule
        for rule in tandem.url_map.iter_rules()
        if method in (rule.methods or ()) and rule.endpoint not in EVERYBODY
    }


def test_every_address_is_written_down_with_who_may_use_it(tandem: Flask) -> None:
    assert addresses(tandem, "GET").keys() == READ.keys()
    assert addresses(tandem, "POST").keys() == WRITE.keys()
    assert {rule.endpoint for rule in tandem.url_map.iter_rules()} >= EVERYBODY


def may(role: str, least: str) -> bool:
    return ROLES.index(role) >= ROLES.index(least)


def is_refused(answer: TestResponse, role: str) -> bool:
    if role == "stranger":
        sent_to_sign_in = answer.status_code == 302 and "/login" in answer.headers["Location"]
        return sent_to_sign_in or answer.status_code == 401
    return answer.status_code == 403


@pytest.fixture(scope="module")
def tokens(visitors: dict[str, Visitor]) -> Iterator[dict[str, str]]:
    """One for everything that somebody sends; nothing that was sent has signed anybody out."""
    pages = {role: "/login" if role == "stranger" else "/logout" for role in ROLES}
    yield {role: token_in(visitors[role].get(page)) for role, page in pages.items()}
    assert [visitors[role].get("/logout").status_code for role in ROLES[1:]] == [200] * 3


# One test for a role and not for each address: a thousand tests take longer than their requests.
@pytest.mark.parametrize("role", ROLES)
def test_an_address_is_read_by_those_who_may(tandem: Flask, visitors: dict[str, Visitor], role: str) -> None:
    wrong, paths = [], addresses(tandem, "GET")
    for endpoint, least in READ.items():
        answer = visitors[role].get(paths[endpoint])
        right = answer.status_code in (200, 302, 404)  # 404: without an id there is no record
        if is_refused(answer, role) is may(role, least) or (may(role, least) and not right) or answer.status_code > 499:
            wrong.append(f"{endpoint} answers {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_nothing_is_written_without_a_token(tandem: Flask, visitors: dict[str, Visitor], role: str) -> None:
    wrong, paths = [], addresses(tandem, "POST")
    for endpoint, least in WRITE.items():
        answer = visitors[role].post(paths[endpoint], {"id": "x"})
        if answer.status_code not in ((400,) if may(role, least) else (400, 401, 403)):
            wrong.append(f"{endpoint} answers {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("role", ROLES)
def test_an_address_is_written_by_those_who_may(
    tandem: Flask, visitors: dict[str, Visitor], tokens: dict[str, str], role: str
) -> None:
    wrong, paths = [], addresses(tandem, "POST")
    for endpoint in WRITE.keys() - {"entrance.logout"}:
        answer = visitors[role].post(paths[endpoint], {"csrf_token": tokens[role], "id": "no such record"})
        if answer.status_code > 499 or is_refused(answer, role) is may(role, WRITE[endpoint]):
            wrong.append(f"{endpoint} answers {answer.status_code}")
    assert wrong == []


def ask(tandem: Flask, visitor: Visitor, endpoint: str, method: str, token: str) -> TestResponse:
    path = addresses(tandem, method)[endpoint]
    if method == "GET":
        return visitor.get(path)
    return visitor.post(path, {"csrf_token": token, "id": "no such record"})


def rules_in_force(tandem: Flask) -> list[tuple[Rule, str, str]]:
    """Each rule of the page with each request it speaks of; signing out would end the test."""
    told = [rule for rules in rules_of(tandem).values() for rule in rules]
    return [(rule, *asked) for rule in told for asked in rule.requests if asked != ("entrance.logout", "POST")]


@pytest.mark.parametrize("role", ROLES[1:])
def test_the_page_of_rules_says_what_the_guard_does(
    tandem: Flask, visitors: dict[str, Visitor], tokens: dict[str, str], role: str
) -> None:
    wrong = [
        f"{rule.noun}, {rule.action}: {method} {endpoint} answers {answer.status_code}"
        for rule, endpoint, method in rules_in_force(tandem)
        if is_refused(answer := ask(tandem, visitors[role], endpoint, method, tokens[role]), role) is rule.admits(role)
    ]
    assert wrong == []
    page = visitors[role].get("/admin/rules/").text
    verdicts = re.findall(r'<td data-label="May you\?">(Yes|No)', page)
    assert verdicts == ["Yes" if rule.admits(role) else "No" for rules in rules_of(tandem).values() for rule in rules]


def test_the_page_of_rules_knows_no_other_addresses_than_there_are(tandem: Flask) -> None:
    rules = [rule for rules in rules_of(tandem).values() for rule in rules]
    told = {asked for rule in rules for asked in rule.requests}
    assert told == {(endpoint, method) for method in ("GET", "POST") for endpoint in addresses(tandem, method)}


def test_the_page_of_rules_says_what_asks_for_the_password_again(tandem: Flask) -> None:
    make_account(tandem, "late", "admin")
    late = Visitor(tandem)
    late.sign_in("late")
    time_passes(tandem, visitor=late)
    wrong, token = [], token_in(late.get("/logout"))
    for rule, endpoint, method in rules_in_force(tandem):
        answer = ask(tandem, late, endpoint, method, token)
        sent_there = (answer.location or "").startswith("/reauth")
        asked = sent_there if method == "GET" else "Is it still you" in answer.text and endpoint != "reauth.page"
        if asked is not rule.asks_again:
            wrong.append(f"{rule.noun}, {rule.action}: {method} {endpoint}")
    assert wrong == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_no_address_knows_another_method(tandem: Flask, visitors: dict[str, Visitor], method: str) -> None:
    for path in {*addresses(tandem, "GET").values(), *addresses(tandem, "POST").values()}:
        answer = visitors["admin"].client.open(path, method=method, base_url="http://localhost")
        assert answer.status_code in (400, 405), f"{method} {path}: {answer.status_code}"
