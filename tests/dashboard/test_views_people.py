"""The page of people: who may sign in to Tandem, and help for who is locked out."""

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask

from dashboard.auth import People
from tests.dashboard.browsing import messages, words
from tests.dashboard.entering import PASSWORD, Visitor, make_account, token_in
from tests.dashboard.proving import Phone, time_passes

pytestmark = pytest.mark.slow  # many people come in

NEW = "/admin/people/new"
OTHER = "a loud Friday morning"


@pytest.fixture
def admin(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("admin")


@pytest.fixture
def people(tandem: Flask) -> People:
    found: People = tandem.extensions["tandem_people"]
    return found


def person(people: People, name: str) -> str:
    return f"/admin/people/person?id={people.accounts.find(name).id}"


def act(visitor: Visitor, people: People, name: str, action: str, **fields: str) -> list[str]:
    """Press a button on somebody's page; what the next page says."""
    account = people.accounts.find(name)
    answer = visitor.send(f"/admin/people/{action}", person(people, name), {"id": account.id, **fields})
    return messages(visitor, answer)


def rows_of(page: str) -> list[str]:
    return [words(row) for row in re.findall(r"<tr data-row.*?</tr>", page, re.DOTALL)]


def test_the_list_tells_who_may_do_what_and_was_here_when(tandem: Flask, admin: Visitor, people: People) -> None:
    Phone(tandem, make_account(tandem, "Bea", "editor"))
    make_account(tandem, "Cy", "viewer")
    people.accounts.disable("Cy")
    rows = rows_of(admin.get("/admin/people/").text)
    assert [row.split()[:3] for row in rows] == [
        ["A", "an-admin", "you"],
        ["B", "Bea", "editor"],
        ["C", "Cy", "viewer"],
    ]
    assert "yes on never 0" in rows[1]
    assert "disabled off never 0" in rows[2]
    assert re.search(r"admin yes off \d{4}-\d\d-\d\d \d\d:\d\d UTC 1$", rows[0])


def test_an_account_is_made_with_a_password_typed_twice(tandem: Flask, admin: Visitor, people: People) -> None:
    fields = {"name": "Bea", "role": "editor", "password": OTHER, "again": OTHER}
    made = admin.send(NEW, NEW, fields)
    assert made.location == person(people, "Bea")
    assert messages(admin, made) == ["Made the account “Bea” with the role editor."]
    assert Visitor(tandem).sign_in("Bea", OTHER).location == "/admin/"
    assert people.accounts.find("Bea").role == "editor"


def test_a_password_that_is_made_here_is_shown_once(tandem: Flask, admin: Visitor, people: People) -> None:
    page = admin.send(NEW, NEW, {"name": "Bea", "role": "viewer", "made": "y"}).text
    password = re.search(r"Password</dt><dd class=\"mono\">([a-z2-7-]+)", page)
    assert password
    assert len(password[1]) == 24
    assert "shown once" in page
    assert "The password of Bea" in page
    assert Visitor(tandem).sign_in("Bea", password[1]).location == "/admin/"
    assert password[1] not in admin.get(person(people, "Bea")).text
    reset = admin.send(
        "/admin/people/password", person(people, "Bea"), {"id": people.accounts.find("Bea").id, "made": "y"}
    )
    assert "The password of Bea" in reset.text
    assert password[1] not in reset.text
    assert Visitor(tandem).sign_in("Bea", password[1]).status_code == 401


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"name": " "}, "It is empty"),
        ({"name": "AN-ADMIN"}, "There is already an account called “AN-ADMIN”."),
        ({"role": "owner"}, "It is one of viewer, editor, admin"),
        ({"password": "short", "again": "short"}, "It needs 8 characters"),
        ({"password": "password1", "again": "password1"}, "guessed first"),
        ({"again": PASSWORD}, "The two passwords are not the same"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    admin: Visitor, people: People, changed: dict[str, str], told: str
) -> None:
    fields = {"name": "Bea", "role": "editor", "password": OTHER, "again": OTHER, **changed}
    refused = admin.send(NEW, NEW, fields)
    assert refused.status_code == 422
    assert told in html.unescape(refused.text)
    assert fields["name"].strip() in refused.text
    assert OTHER not in refused.text
    assert [account.name for account in people.accounts.list()] == ["an-admin"]


def test_the_fields_help_a_password_manager_to_keep_out(admin: Visitor) -> None:
    page = admin.get(NEW).text
    assert page.count('autocomplete="new-password"') == 2
    assert "current-password" not in page
    assert page.count('type="password"') == page.count('name="_secret"') == 2


def test_another_role_ends_the_sessions_of_before(tandem: Flask, admin: Visitor, people: People) -> None:
    make_account(tandem, "Bea", "viewer")
    bea = Visitor(tandem)
    bea.sign_in("Bea")
    assert act(admin, people, "Bea", "role", role="viewer") == ["“Bea” has the role viewer already."]
    assert bea.get("/admin/").status_code == 200
    assert act(admin, people, "Bea", "role", role="editor") == [
        "“Bea” has the role editor now, and has to sign in again."
    ]
    assert bea.get("/admin/").status_code == 302
    bea.sign_in("Bea")
    assert bea.get("/admin/users/new/").status_code == 200


def test_disabled_and_enabled_again(tandem: Flask, admin: Visitor, people: People) -> None:
    make_account(tandem, "Bea", "viewer")
    bea = Visitor(tandem)
    bea.sign_in("Bea")
    assert act(admin, people, "Bea", "disable") == ["“Bea” is disabled and signed out everywhere."]
    assert bea.get("/admin/").status_code == 302
    assert bea.sign_in("Bea").status_code == 401
    assert act(admin, people, "Bea", "enable") == ["“Bea” may sign in again, with the password of before."]
    assert bea.sign_in("Bea").location == "/admin/"


@pytest.mark.parametrize(("action", "fields"), [("disable", {}), ("role", {"role": "editor"})])
def test_the_last_admin_who_can_sign_in_stays(
    tandem: Flask, admin: Visitor, people: People, action: str, fields: dict[str, str]
) -> None:
    make_account(tandem, "Bea", "admin")
    act(admin, people, "Bea", "disable")
    account = people.accounts.find("an-admin")
    refused = admin.send(f"/admin/people/{action}", person(people, "an-admin"), {"id": account.id, **fields})
    assert refused.status_code == 422
    assert "“an-admin” is the last admin who can sign in." in html.unescape(refused.text)
    assert people.accounts.find("an-admin") == account
    assert admin.get("/admin/").status_code == 200


def test_a_new_password_signs_out_and_lifts_the_wait(tandem: Flask, admin: Visitor, people: People) -> None:
    make_account(tandem, "Bea", "viewer")
    bea = Visitor(tandem)
    bea.sign_in("Bea")
    for _ in range(5):
        Visitor(tandem).sign_in("Bea", "wrong wrong wrong")
    assert Visitor(tandem).sign_in("Bea").status_code == 429
    told = act(admin, people, "Bea", "password", password=OTHER, again=OTHER)
    assert told == ["“Bea” has a new password and is signed out everywhere."]
    assert bea.get("/admin/").status_code == 302
    assert bea.sign_in("Bea", OTHER).location == "/admin/"


def test_a_bad_new_password_changes_nothing(tandem: Flask, admin: Visitor, people: People) -> None:
    bea = make_account(tandem, "Bea", "viewer")
    for fields, told in (
        ({"password": OTHER, "again": "x"}, "not the same"),
        ({"password": "x", "again": "x"}, "8 cha"),
    ):
        refused = admin.send("/admin/people/password", person(people, "Bea"), {"id": bea.id, **fields})
        assert refused.status_code == 422
        assert told in refused.text
        assert OTHER not in refused.text
    assert Visitor(tandem).sign_in("Bea").location == "/admin/"


def test_a_lost_second_factor_is_reset(tandem: Flask, admin: Visitor, people: People) -> None:
    Phone(tandem, make_account(tandem, "Bea", "viewer"))
    bea = Visitor(tandem)
    assert bea.sign_in("Bea").location == "/login/code"
    [told] = act(admin, people, "Bea", "two-factor")
    assert "with the password alone" in told
    assert bea.get("/login/code").location == "/login"  # the step of before is void
    assert bea.sign_in("Bea").location == "/admin/"


def test_sessions_are_shown_and_ended_one_by_one_and_all(tandem: Flask, admin: Visitor, people: People) -> None:
    bea = make_account(tandem, "Bea", "viewer")
    browsers = [Visitor(tandem) for _ in range(3)]
    for browser in browsers:
        browser.sign_in("Bea")
    page = admin.get(person(people, "Bea")).text
    assert page.count("127.0.0.1") == 3
    handle = people.sessions.of(bea)[0].handle
    assert act(admin, people, "Bea", "sessions", session=handle) == ["Ended 1 session of “Bea”."]
    assert sorted(browser.get("/admin/").status_code for browser in browsers) == [200, 200, 302]
    assert act(admin, people, "Bea", "sessions") == ["Ended 2 sessions of “Bea”."]
    assert {browser.get("/admin/").status_code for browser in browsers} == {302}
    assert "signed in nowhere" in admin.get(person(people, "Bea")).text


def test_everything_but_the_list_asks_for_the_password_again(tandem: Flask, admin: Visitor, people: People) -> None:
    bea = make_account(tandem, "Bea", "viewer")
    token = token_in(admin.get("/logout"))
    time_passes(tandem)
    assert admin.get("/admin/people/").status_code == 200
    assert admin.get(NEW).location == "/reauth?next=/admin/people/new"
    assert admin.get(person(people, "Bea")).location.startswith("/reauth")
    for action in ("role", "disable", "enable", "password", "two-factor", "sessions", "new"):
        typed = {"password": OTHER, "again": OTHER, "_secret": ["password", "again"]}
        fields = {"csrf_token": token, "id": bea.id, "role": "admin", **typed}
        asked = admin.post(f"/admin/people/{action}", fields)
        assert asked.status_code == 403, action
        assert "Is it still you" in asked.text
        assert OTHER not in asked.text
    assert people.accounts.find("Bea") == bea
    assert len(people.accounts.list()) == 2


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_who_is_no_admin_sees_nobody(sign_in: Callable[[str], Visitor], people: People, role: str) -> None:
    visitor = sign_in(role)
    for path in ("/admin/people/", NEW, person(people, f"an-{role}")):
        refused = visitor.get(path)
        assert refused.status_code == 403
        assert f"It needs the role “admin”; yours is “{role}”." in html.unescape(refused.text)
        assert 'href="/admin/rules/"' in refused.text
    assert "/admin/people/" not in visitor.get("/admin/").text


def test_somebody_who_is_not_there_is_not_found(admin: Visitor) -> None:
    for asked in ("nobody", "", "\0"):
        assert admin.get("/admin/people/person", query_string={"id": asked}).status_code == 404
