"""Forms that no page of Tandem made: forged, broken, too deep, with fields that are nobody's to send."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from dashboard.views.marking import are_comparable, both_marked, in_pieces
from dashboard.views.merging import marked
from store import Store
from store.audit import Question
from store.documents import User
from store.repositories.contract import Query
from tests.dashboard.browsing import form_in
from tests.dashboard.entering import PAGE, PASSWORD, Visitor, a_tandem, make_account, token_in
from tests.dashboard.proving import time_passes
from tests.factories import make_character, make_chat, make_image, make_key, make_profile, make_tag, make_user

pytestmark = pytest.mark.slow  # sends many requests

DEEP = "[" * 20_000
HALF = '"\\ud83d"'  # half of a character, as JSON spells it
NASTY = (
    *("", "{", "1", "[1]", "[[1]]", '{"name": 1}', '{"name": [1]}', '{"name": {"name": 1}}', "\0", DEEP, HALF),
    *(f"[[{HALF}, {HALF}]]", f'{{"name": {{"name": [{HALF}]}}}}'),
)


@pytest.fixture(scope="module")
def tandem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with a_tandem(tmp_path_factory.mktemp("forms")) as app:
        make_user(app.extensions["tandem_store"])
        for role in ("viewer", "editor", "admin"):
            make_account(app, role, role)
        yield app


@pytest.fixture(scope="module")
def store(tandem: Flask) -> Store:
    found: Store = tandem.extensions["tandem_store"]
    return found


@pytest.fixture(scope="module")
def admin(tandem: Flask) -> Visitor:
    visitor = Visitor(tandem)
    visitor.sign_in("admin")
    return visitor


@pytest.fixture(autouse=True)
def _nobody_has_to_wait(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(sa.delete(store.database.own.attempts))


def own_token(visitor: Visitor) -> str:
    return token_in(visitor.get("/logout"))


def is_calm(answer: TestResponse) -> bool:
    """Whether it is an answer that was meant: no fault of ours, and nothing told of our inside."""
    return answer.status_code < 500 and "Traceback" not in answer.text and "/dashboard/" not in answer.text


# ------------------------------------------------------------------ forged


def test_a_token_counts_for_its_own_browser_only_and_in_no_address(tandem: Flask, admin: Visitor, store: Store) -> None:
    other = Visitor(tandem)
    other.sign_in("editor")
    theirs, mine = own_token(other), own_token(admin)
    assert admin.post("/admin/tags/new/", {"csrf_token": theirs, "name": "Forged"}).status_code == 400
    assert admin.post(f"/admin/tags/new/?csrf_token={mine}", {"name": "Forged"}).status_code == 400
    header = PAGE | {"X-CSRFToken": theirs}
    assert admin.post("/admin/tags/new/", {"name": "Forged"}, headers=header).status_code == 400
    assert "Forged" not in admin.get("/admin/tags/").text


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_get_stays_a_get_whatever_it_says_it_is(admin: Visitor, store: Store, header: str) -> None:
    tag = make_tag(store, f"Stays {header}")
    address = f"/admin/tags/delete/?id={tag.id}&confirmed=1&_method=POST&method=post"
    for method in ("GET", "HEAD", "OPTIONS"):
        admin.client.open(address, method=method, headers=PAGE | {header: "POST"}, base_url="http://localhost")
    assert store.tags.find_by_id(tag.id) == tag


# ------------------------------------------------------------------ broken

BROKEN: dict[str, tuple[str, bytes]] = {
    "a multipart without a boundary": ("multipart/form-data", b"--x\r\n\r\n"),
    "a multipart that ends in the middle": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nhalf',
    ),
    "a multipart within a multipart": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n'
        b"--y\r\n\r\n--y--\r\n--x--\r\n",
    ),
    "a part without a name": ("multipart/form-data; boundary=x", b"--x\r\nA: b\r\n\r\nvalue\r\n--x--\r\n"),
    "a part with a long header": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="' + b"n" * 200_000 + b'"\r\n\r\nv\r\n--x--\r\n',
    ),
    "a part in an encoding nobody knows": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"\r\nContent-Type: text/plain; charset=nobody\r\n\r\nv\r\n'
        b"--x--\r\n",
    ),
    "a file where a text is expected": (
        "multipart/form-data; boundary=x",
        b'--x\r\nContent-Disposition: form-data; name="name"; filename="../../a\x00b"\r\n\r\nv\r\n--x--\r\n',
    ),
    "a boundary of control characters": ('multipart/form-data; boundary="\\"\t"', b"--\r\n"),
    "JSON": ("application/json", b'{"name": 1, "password": [2], "held": {}, "token": null}'),
    "JSON that is a list": ("application/json", b'["name", 1]'),
    "JSON that is none": ("application/json", b"{" * 10_000),
    "XML with an entity": ("text/xml", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
    "nothing that was ever registered": ("a/b; c=\xff".encode("latin-1").decode("latin-1"), b"\xff\xfe\0"),
    "halves of characters": ("application/x-www-form-urlencoded", b"name=%ED%A0%BD&id=%ED%A0%BD&description=%ff%fe"),
    "NULs": ("application/x-www-form-urlencoded", b"name=a%00b&%00=%00&id=%00&url=%00&version=%00&tags=%00"),
    "everything twice": (
        "application/x-www-form-urlencoded",
        b"name=one&name=two&id=1&id=2&url=/a&url=//b&seen={}&seen=1",
    ),
    "names that mean something elsewhere": (
        "application/x-www-form-urlencoded",
        b"__proto__=1&__class__=2&name[]=3&name[a]=4&name.x=5&self=6&form=7&formdata=8",
    ),
}
FORMS = ("/login", "/reauth", "/account/password", "/admin/people/new", "/admin/tags/new/", "/admin/characters/new/")
FORMS += ("/admin/keys/new/", "/admin/profiles/new/", "/admin/chats/new/", "/admin/images/new/", "/admin/cards/upload")
FORMS += (
    "/admin/cards/run",
    "/admin/tags/action/",
    "/admin/exports/start",
    "/admin/validation/start",
    "/admin/users/new/",
)


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_form_is_refused_and_breaks_nothing(admin: Visitor, kind: str) -> None:
    content_type, body = BROKEN[kind]
    token = own_token(admin)
    headers = PAGE | {"X-CSRFToken": token, "Content-Type": content_type}
    for path in FORMS:
        answer = admin.client.post(path, data=body, headers=headers, base_url="http://localhost")
        assert is_calm(answer), f"{path}: {answer.status_code}"
        assert "root:" not in answer.text
    for length in ("-1", "x", ""):
        environ = {"CONTENT_LENGTH": length}
        answer = admin.client.post("/login", headers=headers, base_url="http://localhost", environ_overrides=environ)
        assert is_calm(answer), length


def test_hidden_fields_that_were_tampered_with_break_nothing(tandem: Flask, admin: Visitor, store: Store) -> None:
    hero, profile = make_character(store, "Alice"), make_profile(store)
    pages = (f"/admin/characters/edit/?id={hero.id}", f"/admin/profiles/edit/?id={profile.id}")
    for page in pages:
        form = form_in(admin.get(page), "seen")
        for field in ("seen", "theirs", "version", "sillyTavernData", "parameters", "tags", "personaLinks", "apiKeyId"):
            for nasty in NASTY:
                sent = MultiDict(form)
                sent.setlist(field, [nasty])
                answer = admin.post(page, sent)
                assert is_calm(answer), f"{page} {field}: {nasty[:40]!r}"


def test_a_held_form_that_was_tampered_with_breaks_nothing(tandem: Flask, admin: Visitor) -> None:
    token = own_token(admin)
    for nasty in NASTY:
        answer = admin.post("/reauth", {"csrf_token": token, "password": PASSWORD, "held": nasty, "next": "/admin/"})
        assert is_calm(answer), repr(nasty[:40])
        wrong = admin.post("/reauth", {"csrf_token": token, "password": "", "held": nasty, "next": nasty})
        assert is_calm(wrong), repr(nasty[:40])
        tandem.extensions["tandem_people"].throttle.forget("admin")


# ------------------------------------------------------------------ fields that are nobody's to send

OTHERS: dict[str, Any] = {
    "id": "00000000-0000-4000-8000-00000000dead",
    "userId": "00000000-0000-4000-8000-00000000dead",
    "createdAt": "1999-01-01T00:00:00.000Z",
    "updatedAt": "1999-01-01T00:00:00.000Z",
    "nameLower": "forged",
    "lastUsed": "1999-01-01T00:00:00.000Z",
    "provider": "ANTHROPIC",
    "ciphertext": "forged",
    "keyEncrypted": "forged",
    "keyIv": "forged",
    "keyAuthTag": "forged",
    "passwordHash": "forged",
    "email": "forged@example.org",
    "totpSecret": "forged",
    "totp_secret": "forged",
    "role": "admin",
    "disabled": "1",
    "password_hash": "forged",
    "filepath": "../../forged",
    "source": "forged",
    "sha256": "forged",
}


@pytest.mark.parametrize("noun", ["characters", "tags", "keys", "chats", "images", "users"])
def test_a_form_writes_its_own_fields_and_no_others(admin: Visitor, store: Store, noun: str) -> None:
    makers = {"characters": make_character, "tags": make_tag, "keys": make_key, "chats": make_chat}
    record = {**makers, "images": make_image, "users": make_user}[noun](store)
    document: Any = record.user if noun == "users" and hasattr(record, "user") else record
    repository = getattr(store, noun)
    values = repository.values(document.id)
    page = f"/admin/{noun}/edit/?id={document.id}"
    form = form_in(admin.get(page), "seen")
    sent = {name: value for name, value in OTHERS.items() if name not in form}
    known = {name: {name: ["was"]} for name in sent}
    answer = admin.post(page, {**form, **sent, "seen": json.dumps({**json.loads(form["seen"]), **known})})
    assert is_calm(answer)
    after = repository.values(document.id)
    changed = {name for name in values if values[name] != after.get(name)}
    assert not changed - {"updatedAt"}
    assert after.get("updatedAt") != OTHERS["updatedAt"]
    assert repository.values(OTHERS["id"]) is None


def test_a_new_record_gets_its_id_and_its_owner_from_the_server(admin: Visitor, store: Store) -> None:
    owner: User | None = store.users.get_current_user()
    assert owner
    form = form_in(admin.get("/admin/tags/new/"), "name")
    assert admin.post("/admin/tags/new/", {**OTHERS, **form, "name": "Own"}).status_code == 303
    [made] = store.tags.list(Query(search="Own", sort="name")).rows
    tag = store.tags.find_by_id(made["id"])
    assert tag is not None
    assert (tag.userId, tag.id == OTHERS["id"], tag.createdAt[:4] == "1999") == (owner.id, False, False)


def test_nobody_gives_themselves_a_role(tandem: Flask, store: Store) -> None:
    people = tandem.extensions["tandem_people"]
    viewer = Visitor(tandem)
    viewer.sign_in("viewer", role="admin", id="x")
    admin_id = people.accounts.find("admin").id
    sent = {**OTHERS, "csrf_token": own_token(viewer), "old": PASSWORD}
    sent |= dict.fromkeys(("password", "again"), "another quiet evening")
    assert viewer.post("/account/password", {**sent, "id": admin_id, "name": "admin"}).status_code == 303
    changed = people.accounts.find("viewer")
    assert (changed.role, changed.disabled, changed.name) == ("viewer", False, "viewer")
    assert people.accounts.authenticate("admin", PASSWORD), "the password was the viewer's own"
    for path in ("role", "disable", "password", "two-factor", "sessions"):
        answer = viewer.post(
            f"/admin/people/{path}", {"csrf_token": own_token(viewer), "id": changed.id, "role": "admin"}
        )
        assert answer.status_code == 403
    assert people.accounts.find("viewer").role == "viewer"


def test_whoever_may_not_edit_without_the_password_may_not_undo_without_it(tandem: Flask) -> None:
    [flask_admin] = tandem.extensions["admin"]
    views = [view for view in flask_admin._views if getattr(view, "asks_again", None)]
    asking = [view for view in views if view.asks_for_proof("edit_view") or view.asks_for_proof("delete_view")]
    assert {view.endpoint for view in asking} >= {"keys", "profiles", "image_profiles"}
    assert [view.endpoint for view in asking if not view.asks_for_proof("undo_view")] == []


def test_no_other_spelling_of_an_address_goes_around_the_password(tandem: Flask, store: Store) -> None:
    late = Visitor(tandem)
    late.sign_in("admin")
    time_passes(tandem, visitor=late)
    key = make_key(store, "Asked for")
    for path in (
        "/admin/keys/new",
        "/admin/keys/edit",
        "/admin/keys/replace",
        "/admin/people/new",
        "/account/two-factor",
    ):
        for spelled in (
            path,
            f"{path}/",
            f"{path}//",
            f"/{path}/",
            f"{path}/.",
            f"{path};x/",
            path.upper(),
            f"{path}%2f",
        ):
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                options: Any = {"data": {"csrf_token": own_token(late)}} if method == "POST" else {}
                answer = late.client.open(
                    f"{spelled}?id={key.id}", method=method, headers=PAGE, base_url="http://localhost", **options
                )
                told = f"{method} {spelled}: {answer.status_code}"
                assert answer.status_code != 200 or (method == "OPTIONS" and not answer.data), told


def test_the_same_word_over_and_over_keeps_nobody_waiting(admin: Visitor, store: Store) -> None:
    """Comparing it word by word would take minutes of a thread, for anybody who looks at the change."""
    laughing, crying = "ha ho " * 1600, "ho ha " * 1600
    assert not are_comparable(in_pieces(laughing), in_pieces(crying))
    assert are_comparable(
        in_pieces("A page of prose, as people write it. " * 5), in_pieces("Another page of it. " * 10)
    )
    for told in (both_marked(laughing, f"{laughing}ha", by_word=True), both_marked(laughing, f"{laughing}ha")):
        assert str(told[1]).endswith("<mark>ha</mark>")
    assert marked(laughing, crying) == crying
    hero = make_character(store, "Ha", description=laughing)
    store.characters.update(hero.id, {"description": crying})
    entry = store.audit.newest(Question(kind="character"))[0]
    assert "<mark>" in admin.get(f"/admin/audit/entry?id={entry.id}").text
