"""Who came in, who did not, and what was refused: in the audit, and never so much of it that a disk fills up."""

from collections.abc import Callable

import pytest
from flask import Flask

from dashboard.events import Event, happened
from dashboard.trail import FROM_ALL, MINUTE_S, PER_SUBJECT, Flood
from store import Store
from store.audit import TANDEM, Actor, Entry, Question, act_as, actor
from store.errors import DatabaseError
from tests.dashboard.entering import PASSWORD, Visitor, make_account, token_in
from tests.factories import make_character


def entries(store: Store, **asked: str) -> list[Entry]:
    return list(store.audit.newest(Question(**asked), limit=500))


def test_sign_in_and_sign_out_are_written_down(tandem: Flask, store: Store) -> None:
    account = make_account(tandem, "Ada")
    visitor = Visitor(tandem)
    visitor.sign_in()
    visitor.sign_out()
    out, into, made = entries(store)[:3]
    assert [one.action for one in (out, into, made)] == ["sign-out", "sign-in", "create"]
    for one in (out, into):
        assert (one.actor, one.account_id, one.address, one.outcome) == ("Ada", account.id, "127.0.0.1", "done")
    assert PASSWORD not in str(entries(store))


def test_a_failed_sign_in_names_the_account_but_never_what_else_was_typed(tandem: Flask, store: Store) -> None:
    make_account(tandem, "Ada")
    visitor = Visitor(tandem)
    visitor.sign_in("Ada", "wrong")
    visitor.sign_in(PASSWORD, "typed into the wrong field")
    other, known = entries(store, action="sign-in")
    assert (known.title, known.outcome, known.actor) == ("Ada", "failed", "(nobody)")
    assert other.title == "(unknown name)"
    assert PASSWORD not in str(entries(store))


def test_attempts_that_are_not_even_tried_are_refused(tandem: Flask, store: Store) -> None:
    make_account(tandem, "Ada")
    visitor = Visitor(tandem)
    for _ in range(6):
        visitor.sign_in("Ada", "wrong")
    tandem.extensions["tandem_flood"].flush()
    found = entries(store, action="sign-in")
    assert {one.outcome for one in found} <= {"failed", "refused"}
    assert found[0].outcome == "refused"


def test_what_a_role_does_not_allow_is_refused_and_written_down(viewer: Visitor, store: Store) -> None:
    viewer.send("/admin/characters/new/", "/logout", {"name": "x"})
    viewer.get("/admin/audit/")
    page, form = entries(store, outcome="refused")
    assert (form.actor, form.title) == ("an-viewer", "POST /admin/characters/new/")
    assert (page.title, page.message) == ("GET /admin/audit/", "The role does not allow it.")


def test_a_forged_form_is_written_down(editor: Visitor, store: Store) -> None:
    assert editor.post("/admin/characters/new/", {"name": "x"}).status_code == 400
    (entry,) = entries(store, outcome="refused")
    assert (entry.actor, entry.message) == ("an-editor", "It came without a valid CSRF token.")


def test_a_change_that_failed_is_written_down(editor: Visitor, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    hero = make_character(store)

    def away(*_: object) -> None:
        raise DatabaseError("The database is away.")

    token = token_in(editor.get("/logout"))
    monkeypatch.setattr(store.characters, "delete", away)
    fields = {"csrf_token": token, "confirmed": "1"}
    assert editor.post(f"/admin/characters/delete/?id={hero.id}", fields).status_code == 503
    (entry,) = entries(store, outcome="failed")
    assert (entry.actor, entry.title) == ("an-editor", "POST /admin/characters/delete/")


def test_between_requests_nobody_acts(editor: Visitor) -> None:
    editor.get("/admin/")
    assert actor() is TANDEM


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def flood(store: Store, clock: Clock) -> Callable[[str], None]:
    made = Flood(store.audit, clock)

    def attempt(address: str) -> None:
        act_as(Actor("(nobody)", address=address))
        made.note("sign-in", outcome="failed", title="(unknown name)")
        act_as(TANDEM)

    return attempt


def test_what_happens_often_is_counted(flood: Callable[[str], None], clock: Clock, store: Store) -> None:
    for _ in range(1000):
        flood("192.0.2.1")
    assert len(entries(store, action="sign-in")) == PER_SUBJECT
    clock.now += MINUTE_S
    flood("192.0.2.1")
    newest, counted = entries(store, action="sign-in")[:2]
    assert (newest.message, counted.message) == ("", "995 more within the same minute.")
    assert counted.address == "192.0.2.1"


def test_not_even_a_crowd_fills_the_disk(flood: Callable[[str], None], clock: Clock, store: Store) -> None:
    for number in range(5000):
        flood(f"2001:db8::{number:x}")
    clock.now += MINUTE_S
    flood("192.0.2.1")
    found = entries(store, action="sign-in")
    assert len(found) <= 2 * FROM_ALL + 2
    counted = sum(int(one.message.split()[0].replace(",", "")) for one in found if one.message)
    assert counted + sum(not one.message for one in found) == 5001


def test_every_event_of_people_is_in_the_audit_once(tandem: Flask, store: Store) -> None:
    """Of itself, or by the change of an account that it is about."""
    make_account(tandem, "Ada")
    people = tandem.extensions["tandem_people"]
    people.accounts.set_password("Ada", "another quiet evening")
    people.accounts.create("Bob", "admin", PASSWORD)
    people.accounts.change_role("Ada", "viewer")
    people.accounts.disable("Ada")
    people.accounts.disable("Ada")
    people.accounts.enable("Ada")
    by_change = entries(store, kind="tandem account")
    assert [(one.action, *one.changes) for one in by_change] == [
        ("update", "disabled"),
        ("update", "disabled"),
        ("update", "role"),
        ("create", "role"),
        ("update", "password"),
        ("create", "role"),
    ]
    told_by_changes = {"ACCOUNT_MADE", "ACCOUNT_DISABLED", "ACCOUNT_ENABLED", "ROLE_CHANGED", "SET_UP"}
    told_by_changes |= {"PASSWORD_CHANGED", "PASSWORD_RESET"}
    for event in Event:
        before = len(entries(store))
        with tandem.test_request_context("/admin/"):
            happened(event, who="Ada", whom="Bob")
        assert len(entries(store)) - before == (event.name not in told_by_changes), event
    assert {one.title for one in entries(store, action="sign-in")} == {"Bob"}
