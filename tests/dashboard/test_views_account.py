"""One's own account: password, two-factor sign-in, sessions. Everybody has it, a viewer too."""

import html
import re
from collections.abc import Callable

import pyotp
import pytest
from flask import Flask

from dashboard.auth import People
from tests.dashboard.browsing import messages
from tests.dashboard.entering import PASSWORD, Visitor
from tests.dashboard.proving import Phone, time_passes

pytestmark = pytest.mark.slow  # many people come in

PAGE, CHANGE, FACTOR = "/account/", "/account/password", "/account/two-factor"
OTHER = "a loud Friday morning"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
def people(tandem: Flask) -> People:
    found: People = tandem.extensions["tandem_people"]
    return found


def elsewhere(tandem: Flask, name: str = "an-viewer") -> Visitor:
    visitor = Visitor(tandem)
    visitor.client.environ_base["HTTP_USER_AGENT"] = FIREFOX
    assert visitor.sign_in(name).location == "/admin/"
    return visitor


def test_the_own_password_is_changed_with_the_one_of_now(tandem: Flask, viewer: Visitor, people: People) -> None:
    other, before = elsewhere(tandem), viewer.cookie("tandem_session")
    changed = viewer.send(CHANGE, CHANGE, {"old": PASSWORD, "password": OTHER, "again": OTHER})
    assert messages(viewer, changed) == ["You have a new password. Everywhere else you have to sign in again."]
    assert viewer.get(PAGE).status_code == 200
    assert viewer.cookie("tandem_session") != before
    assert other.get(PAGE).status_code == 302
    assert Visitor(tandem).sign_in("an-viewer").status_code == 401
    assert Visitor(tandem).sign_in("an-viewer", OTHER).location == "/admin/"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"old": "wrong wrong wrong"}, "This is not right"),
        ({"old": ""}, "This is not right"),
        ({"again": "x"}, "The two passwords are not the same"),
        ({"password": "short", "again": "short"}, "It needs 8 characters"),
        ({"password": "iloveyou", "again": "iloveyou"}, "guessed first"),
        ({"password": "an-viewer", "again": "an-viewer"}, "the same as the name"),
    ],
)
def test_a_refused_change_says_why_and_changes_nothing(
    tandem: Flask, viewer: Visitor, changed: dict[str, str], told: str
) -> None:
    refused = viewer.send(CHANGE, CHANGE, {"old": PASSWORD, "password": OTHER, "again": OTHER, **changed})
    assert refused.status_code == 422
    assert told in refused.text
    assert PASSWORD not in refused.text
    assert OTHER not in refused.text
    assert Visitor(tandem).sign_in("an-viewer").location == "/admin/"


def test_guessing_the_old_password_has_to_wait(viewer: Visitor) -> None:
    fields = {"old": "wrong wrong wrong", "password": OTHER, "again": OTHER}
    assert [viewer.send(CHANGE, CHANGE, fields).status_code for _ in range(6)] == [422] * 5 + [429]
    refused = viewer.send(CHANGE, CHANGE, {**fields, "old": PASSWORD})
    assert "Try again in 15 minutes" in refused.text


def test_a_long_password_is_taken_whole_and_in_any_script(tandem: Flask, viewer: Visitor) -> None:
    long = "Ein Satz, den nur ich kenne: グリーン ünd größer 🐦 " * 2 + "x" * 20
    assert 64 < len(long) <= 128
    assert viewer.send(CHANGE, CHANGE, {"old": PASSWORD, "password": long, "again": long}).status_code == 303
    assert Visitor(tandem).sign_in("an-viewer", long).location == "/admin/"
    assert Visitor(tandem).sign_in("an-viewer", long[:-1]).status_code == 401


def test_the_fields_help_a_password_manager_and_hold_nobody_from_pasting(viewer: Visitor) -> None:
    page = viewer.get(CHANGE).text
    assert page.count('autocomplete="current-password"') == 1
    assert page.count('autocomplete="new-password"') == 2
    assert 'autocomplete="username"' in page
    assert "onpaste" not in page


def key_on(page: str) -> str:
    found = re.search(r'<p class="key"><code>([A-Z2-7 ]+)</code>', page)
    assert found
    return found[1].replace(" ", "")


def test_two_factor_sign_in_is_set_up_with_a_first_code(tandem: Flask, viewer: Visitor, people: People) -> None:
    other = elsewhere(tandem)
    assert "It is off" in viewer.get(FACTOR).text
    assert viewer.send("/account/two-factor/begin", FACTOR).location == FACTOR
    page = viewer.get(FACTOR)
    key = key_on(page.text)
    assert '<svg viewBox="0 0 ' in page.text
    assert 'aria-label="QR code' in page.text
    assert people.accounts.find("an-viewer").two_factor_since is None
    wrong = viewer.send("/account/two-factor/confirm", FACTOR, {"code": "000000"})
    assert wrong.status_code == 422
    assert "not the code that the app shows now" in wrong.text
    assert key_on(wrong.text) == key
    done = viewer.send("/account/two-factor/confirm", FACTOR, {"code": pyotp.TOTP(key).now()})
    codes = re.findall(r"<li><code>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</code></li>", done.text)
    assert len(set(codes)) == 10
    assert key not in done.text
    assert other.get(PAGE).status_code == 302
    now_on = viewer.get(FACTOR).text
    assert "It is on" in now_on
    assert not any(secret in now_on for secret in (key, *codes))
    come = Visitor(tandem)
    assert come.sign_in("an-viewer").location == "/login/code"
    assert come.send("/login/code", "/login/code", {"recovery": codes[0]}).location == "/admin/"
    assert "9 codes left" in viewer.get(FACTOR).text


def test_new_recovery_codes_and_off_again(tandem: Flask, viewer: Visitor, people: People) -> None:
    ada = people.accounts.find("an-viewer")
    assert viewer.send("/account/two-factor/codes", FACTOR).location == FACTOR  # there are none without a factor
    phone = Phone(tandem, ada)
    viewer.sign_in("an-viewer")
    viewer.send("/login/code", "/login/code", {"code": phone.code()})
    page = viewer.send("/account/two-factor/codes", FACTOR).text
    codes = re.findall(r"<li><code>([a-z2-7-]+)</code></li>", page)
    assert not people.two_factor.use_recovery_code(ada, phone.recovery_codes[0])
    assert people.two_factor.use_recovery_code(ada, codes[0])
    off = viewer.send("/account/two-factor/off", FACTOR)
    assert messages(viewer, off) == ["Two-factor sign-in is off: your password alone lets you in."]
    assert elsewhere(tandem).get(PAGE).status_code == 200


def test_who_has_a_second_factor_is_asked_for_it_to_change_the_password(
    tandem: Flask, viewer: Visitor, people: People
) -> None:
    phone = Phone(tandem, people.accounts.find("an-viewer"))
    viewer.sign_in("an-viewer")
    viewer.send("/login/code", "/login/code", {"code": phone.code()})
    fields = {"old": PASSWORD, "password": OTHER, "again": OTHER}
    refused = viewer.send(CHANGE, CHANGE, fields)
    assert refused.status_code == 422
    assert "or the code is not" in refused.text
    assert viewer.send(CHANGE, CHANGE, {**fields, "code": phone.code()}).status_code == 303


def test_a_change_of_the_second_factor_asks_for_the_password_again(
    tandem: Flask, viewer: Visitor, people: People
) -> None:
    token = re.search(r'name="csrf_token" value="([^"]+)"', viewer.get("/logout").text)
    assert token
    time_passes(tandem)
    assert viewer.get(FACTOR).location == "/reauth?next=/account/two-factor"
    for step in ("begin", "confirm", "off", "codes"):
        assert viewer.post(f"{FACTOR}/{step}", {"csrf_token": token[1]}).status_code == 403, step
    assert people.two_factor.pending(people.accounts.find("an-viewer")) is None
    assert viewer.get(PAGE).status_code == 200
    assert viewer.get(CHANGE).status_code == 200  # it asks for the password itself


def test_the_own_sessions_are_listed_and_ended(tandem: Flask, viewer: Visitor, people: People) -> None:
    first, second = elsewhere(tandem), elsewhere(tandem)
    page = viewer.get(PAGE).text
    assert page.count("Firefox on Linux") == 2
    assert page.count("this browser") == 1
    handles = re.findall(r'name="session" value="([0-9a-f]{16})"', page)
    assert len(set(handles)) == 3
    here = people.sessions.find(viewer.cookie("tandem_session") or "")
    assert here is not None
    other = next(handle for handle in handles if handle != here.session.handle)
    assert messages(viewer, viewer.send("/account/sessions/end", PAGE, {"session": other})) == [
        "That session has ended."
    ]
    assert sorted((first.get(PAGE).status_code, second.get(PAGE).status_code)) == [200, 302]
    third = elsewhere(tandem)
    assert messages(viewer, viewer.send("/account/sessions/end-others", PAGE)) == ["Ended 2 other sessions."]
    assert {one.get(PAGE).status_code for one in (first, second, third)} == {302}
    assert viewer.send("/account/sessions/end", PAGE, {"session": here.session.handle}).location == "/login"
    assert viewer.get(PAGE).status_code == 302


def test_nobody_ends_the_session_of_somebody_else(
    tandem: Flask, viewer: Visitor, sign_in: Callable[[str], Visitor], people: People
) -> None:
    editor = sign_in("editor")
    [theirs] = people.sessions.of(people.accounts.find("an-editor"))
    told = viewer.send("/account/sessions/end", PAGE, {"session": theirs.handle})
    assert messages(viewer, told) == ["That session had ended before."]
    assert editor.get(PAGE).status_code == 200


def test_what_a_browser_says_of_itself_is_shown_as_text(tandem: Flask, viewer: Visitor) -> None:
    odd = Visitor(tandem)
    odd.client.environ_base["HTTP_USER_AGENT"] = "<script>alert(1)</script>"
    odd.sign_in("an-viewer")
    page = viewer.get(PAGE).text
    assert "<script>alert(1)" not in page
    assert "<script>alert(1)</script>" in html.unescape(page)


def test_the_page_hangs_on_ones_name_and_not_in_the_menu(viewer: Visitor) -> None:
    page = viewer.get("/admin/").text
    assert page.count('href="/account/"') == 1
    assert 'class="menu-item" href="/account/"' in page
