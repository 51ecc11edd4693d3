"""Addresses and headers that somebody made up: other hosts, ways out of a folder, lines that end too early, and cookies
and names that shall go around a limit."""

import io
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from dashboard.auth import People
from dashboard.throttle import PER_PLACE
from store import Store
from store.demo import load_demo
from tests.dashboard.browsing import form_in, submit
from tests.dashboard.entering import PAGE, PASSWORD, Visitor, a_tandem, make_account, token_in
from tests.dashboard.proving import Phone
from tests.dashboard.test_every_address import READ, addresses
from tests.factories import files_below, make_character, make_image, make_tag, put

pytestmark = pytest.mark.slow  # sends many requests

ELSEWHERE = ("//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "/\t/evil.example")
ELSEWHERE += ("javascript:alert(1)", "data:text/html,x", "https:evil.example", "/%0a/evil.example\n", " //evil.example")
ELSEWHERE += ("///evil.example", "http://localhost@evil.example/", "/\u2215/evil.example", "\u2028//evil.example")
OUT = ("../../../../etc/passwd", "/etc/..%2f..\\..%5cetc/passwd", "a\0\ud83d\r\nA: '; DROP TABLE tags; --")


@pytest.fixture(scope="module")
def tandem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with a_tandem(tmp_path_factory.mktemp("addresses")) as app:
        load_demo(app.extensions["tandem_store"])
        make_account(app, "admin", "admin")
        yield app


@pytest.fixture(scope="module")
def store(tandem: Flask) -> Store:
    found: Store = tandem.extensions["tandem_store"]
    return found


@pytest.fixture(autouse=True)
def _nobody_has_to_wait(store: Store) -> None:
    with store.database.write() as connection:
        connection.execute(sa.delete(store.database.own.attempts))


@pytest.fixture(scope="module")
def admin(tandem: Flask) -> Visitor:
    visitor = Visitor(tandem)
    visitor.sign_in("admin")
    return visitor


def pages(tandem: Flask) -> list[str]:
    found = addresses(tandem, "GET")
    return [found[endpoint] for endpoint in READ] + ["/login", "/login/code", "/setup", "/nowhere"]


def ask(visitor: Visitor, path: str, headers: dict[str, str]) -> TestResponse:
    return visitor.client.get(path, headers=PAGE | headers, base_url="http://localhost")


# ------------------------------------------------------------------ other hosts


def test_no_page_and_no_redirect_is_built_from_what_a_request_says_the_host_is(tandem: Flask, admin: Visitor) -> None:
    lies = {
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Server": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Prefix": "/evil.example",
        "X-Original-URL": "/evil.example",
        "X-Rewrite-URL": "/evil.example",
        "Forwarded": "host=evil.example;proto=https",
    }
    for visitor in (admin, Visitor(tandem)):
        for path in pages(tandem):
            answer = ask(visitor, path, lies)
            assert "evil.example" not in answer.text, path
            assert "evil.example" not in str(answer.headers), path
            assert "Strict-Transport-Security" not in answer.headers
    stranger = tandem.test_client()
    for path in ("/", "/login", "/setup", "/admin/", "/nowhere"):
        answer = stranger.get(path, headers=PAGE, base_url="http://evil.example")
        assert "evil.example" not in answer.text + (answer.location or ""), path


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
def test_no_address_leads_elsewhere(tandem: Flask, admin: Visitor, store: Store, elsewhere: str) -> None:
    asked = {"url": elsewhere, "next": elsewhere, "_back": elsewhere, "return_url": elsewhere}
    told = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogatepass'))}" for name, value in asked.items())
    hero, tag = store.characters.find_all()[0], make_tag(store, f"Goes {ELSEWHERE.index(elsewhere)}")
    for path in ("/login", "/reauth", "/logout", f"/admin/characters/details/?id={hero.id}", "/admin/tags/new/"):
        answer = admin.get(f"{path}{'&' if '?' in path else '?'}{told}")
        assert_leads_nowhere(answer)
    answers = [
        submit(admin, f"/admin/tags/edit/?id={tag.id}", name=f"{tag.name} on", **asked),
        submit(admin, f"/admin/tags/edit/?id={tag.id}&{told}", name=f"{tag.name} and on", url=None, _back=None),
        admin.send(f"/admin/tags/delete/?id={tag.id}&{told}", "/logout", {"confirmed": "1", **asked}),
        admin.send("/admin/characters/favorite/", "/logout", {"id": hero.id, "favorite": "1", **asked}),
        admin.send(f"/reauth?{told}", "/logout", {"password": PASSWORD, **asked}),
        Visitor(tandem).sign_in("admin", **asked),
    ]
    for answer in answers:
        assert answer.status_code in (302, 303)
        assert_leads_nowhere(answer)
    assert store.tags.find_by_id(tag.id) is None


def assert_leads_nowhere(answer: TestResponse) -> None:
    assert "evil.example" not in (answer.location or "")
    assert answer.location is None or answer.location.startswith("/"), answer.location
    for attribute in ('href="', 'action="', 'src="', 'formaction="'):
        for part in answer.text.split(attribute)[1:]:
            value = part.partition('"')[0]
            assert value[:1] in ("/", "#", "?", ""), f"{answer.request.path} has {attribute}{value[:60]}"
            assert value[:2] not in ("//", "/\\"), value[:60]


# ------------------------------------------------------------------ ways out


def test_no_id_and_no_name_leads_out_of_the_data(tandem: Flask, admin: Visitor, store: Store) -> None:
    names = ("id", "generation", "batch", "entry", "model", "record", "chat", "from", "version_of", "user", "size")
    for way in OUT:
        spelled = quote(way.encode("utf-8", "surrogatepass"))
        told = "&".join(f"{name}={spelled}" for name in names)
        for path in pages(tandem):
            answer = admin.get(f"{path}?{told}")
            assert answer.status_code < 500, f"{path}: {way[:40]!r}"
            assert "root:" not in answer.text
            assert "Traceback" not in answer.text
        for path in (f"/static/{spelled}", f"/static/../{spelled}", f"/admin/static/{spelled}"):
            assert admin.get(path).status_code in (302, 308, 400, 404), path
    assert len(store.tags.find_all()) > 3, "no table went"


def test_an_uploaded_name_is_no_place_on_the_disk(tandem: Flask, admin: Visitor, store: Store) -> None:
    root = store.settings.instance_dir.parent
    before = set(files_below(root))
    for name in ("../../../evil.json", "/tmp/evil.json", "..\\..\\evil.json", "evil.json\0.png", "evil\r\nX: y.json"):
        token = token_in(admin.get("/logout"))
        fields = {"csrf_token": token, "files": (io.BytesIO(b"{}"), name)}
        answer = admin.client.post(
            "/admin/cards/upload",
            data=fields,
            headers=PAGE | {"Referer": "http://localhost/"},
            base_url="http://localhost",
        )
        assert answer.status_code == 303, name
        assert admin.get(answer.location).status_code == 200
    new = {path for path in set(files_below(root)) - before if "sqlite" not in path and "audit" not in path}
    assert new
    assert all("instance/imports/" in path and path.rsplit("/", 1)[1] in ("0", "about.json") for path in new), new


def test_a_downloaded_archive_writes_nothing_outside_the_folder_it_is_unpacked_in(admin: Visitor, store: Store) -> None:
    """Ids become names of files; these are none that a file could simply have."""
    for record_id in ("../../evil", "/etc/evil", "..", "a\\..\\b", "C:evil"):
        store.tags.create({"id": record_id, "userId": store.users.get_current_user().id, "name": f"Of {record_id}"})  # type: ignore[union-attr]
    put(store.settings.public_dir, "beside.txt", "x")
    admin.send("/admin/exports/start", "/logout", {"kind": "export"})
    text = admin.get("/admin/exports/").text
    name = text.split("download?generation=")[1].partition('"')[0]
    with zipfile.ZipFile(io.BytesIO(admin.get(f"/admin/exports/download?generation={name}").data)) as archive:
        names = archive.namelist()
    assert len(names) > 5
    outside = [one for one in names if one.startswith("/") or "\\" in one or ".." in one.split("/") or ":" in one[:3]]
    assert outside == []


def test_nothing_that_a_person_wrote_ends_a_header(admin: Visitor, store: Store) -> None:
    broken = 'a"\r\nSet-Cookie: evil=1\r\n\r\n<script>'
    hero = make_character(store, broken)
    image = make_image(store, broken)
    put(store.settings.public_dir, image.relativePath, b"no picture")
    paths = [f"/admin/characters/card/?id={hero.id}&format={form}" for form in ("png", "json")]
    paths += [f"/admin/images/picture/?id={image.id}", f"/admin/images/picture/?id={image.id}&download=1"]
    for path in (*paths, "/login?next=/%0d%0aSet-Cookie:%20evil=1", "/nowhere%0d%0aSet-Cookie:%20evil=1"):
        answer = ask(admin, path, {"X-Request-Id": "evil"})
        assert answer.status_code < 500, path
        assert "evil" not in answer.headers.get("Set-Cookie", "")
        assert "evil" not in answer.headers["X-Request-Id"]
        assert all("\r" not in value and "\n" not in value for _, value in answer.headers), path


# ------------------------------------------------------------------ cookies and names

Act = Callable[[Flask, Visitor], object]


def _people(app: Flask) -> People:
    found: People = app.extensions["tandem_people"]
    return found


def _changes_password(app: Flask, ada: Visitor) -> None:
    new = {"old": PASSWORD, "password": "another quiet evening", "again": "another quiet evening"}
    assert ada.send("/account/password", "/account/password", new).status_code == 303


def _switches_two_factor_on(app: Flask, ada: Visitor) -> None:
    Phone(app, _people(app).accounts.find("ada"))


ENDS: dict[str, Act] = {
    "she signs out": lambda app, ada: ada.sign_out(),
    "she changes her password": _changes_password,
    "she proves who she is": lambda app, ada: ada.send("/reauth", "/reauth", {"password": PASSWORD}),
    "she signs in anew": lambda app, ada: ada.send("/login", "/logout", {"name": "ada", "password": PASSWORD}),
    "she switches two-factor sign-in on": _switches_two_factor_on,
    "her role is another": lambda app, ada: _people(app).accounts.change_role("ada", "viewer"),
    "she is disabled": lambda app, ada: _people(app).accounts.disable("ada"),
    "her password is reset": lambda app, ada: _people(app).accounts.set_password("ada", "another quiet evening"),
    "her sessions are ended": lambda app, ada: _people(app).sessions.end_all(_people(app).accounts.find("ada")),
}


@pytest.mark.parametrize("what", ENDS)
def test_a_copied_cookie_is_worth_nothing_when(tandem: Flask, store: Store, what: str) -> None:
    own = store.database.own
    with store.database.write() as connection:
        for table in (own.sessions, own.recovery_codes, own.accounts):
            column = table.c.id if table is own.accounts else table.c.account_id
            named = sa.select(own.accounts.c.id).where(own.accounts.c.name == "ada").scalar_subquery()
            connection.execute(sa.delete(table).where(column == named))
    make_account(tandem, "ada", "editor")
    ada, thief = Visitor(tandem), Visitor(tandem)
    ada.sign_in("ada")
    for name in ("tandem_session", "tandem_page"):
        thief.client.set_cookie(name, ada.cookie(name) or "", domain="localhost")
    assert thief.get("/admin/").status_code == 200, "as long as it is hers"
    token = token_in(thief.get("/logout"))
    ENDS[what](tandem, ada)
    answer = thief.get("/admin/")
    assert (answer.status_code, "/login" in (answer.location or "")) == (302, True)
    assert thief.post("/admin/tags/new/", {"csrf_token": token, "name": "Stolen"}).status_code == 401


def test_no_spelling_of_a_name_and_no_header_goes_around_the_wait(tandem: Flask) -> None:
    make_account(tandem, "Straße Ålice", "viewer")
    spellings = ("straße ålice", "STRASSE ÅLICE", "  Straße Ålice\t", "ｓｔｒａßｅ Ålice", "Strasse A\u030alice")
    stranger = Visitor(tandem)
    statuses = []
    for number in range(PER_PLACE + 2):
        lies = dict.fromkeys(("X-Forwarded-For", "X-Real-IP", "Client-IP", "True-Client-IP"), f"10.0.0.{number}")
        fields = {"name": spellings[number % len(spellings)], "password": "wrong again and again"}
        fields["csrf_token"] = token_in(stranger.get("/login"))
        headers = PAGE | lies | {"Forwarded": f"for=10.0.0.{number}"}
        statuses.append(
            stranger.client.post("/login", data=fields, headers=headers, base_url="http://localhost").status_code
        )
    assert statuses == [401] * PER_PLACE + [429, 429]
    assert Visitor(tandem).sign_in("straße ålice").status_code == 429, "with the right password too"


def test_recovery_codes_are_guessed_no_oftener_than_codes(tandem: Flask) -> None:
    phone = Phone(tandem, make_account(tandem, "bo", "viewer"))
    stranger = Visitor(tandem)
    assert stranger.sign_in("bo").location == "/login/code"
    kinds = ("recovery", "code")
    statuses = [
        stranger.send("/login/code", "/login/code", {kinds[number % 2]: f"aaaa-bbbb-cccc-ddd{number}"}).status_code
        for number in range(PER_PLACE + 1)
    ]
    assert statuses == [401] * PER_PLACE + [429]
    assert stranger.send("/login/code", "/login/code", {"recovery": phone.recovery_codes[0]}).status_code == 429
    assert stranger.get("/admin/").status_code == 302
    assert _people(tandem).two_factor.codes_left(_people(tandem).accounts.find("bo")) == 10, "none was used up"


def test_the_code_of_one_account_finishes_the_sign_in_of_no_other(tandem: Flask) -> None:
    make_account(tandem, "cy", "admin")
    victim, attacker = Phone(tandem, _people(tandem).accounts.find("cy")), make_account(tandem, "di", "viewer")
    phone = Phone(tandem, attacker)
    stranger = Visitor(tandem)
    stranger.sign_in("cy")
    form: Any = form_in(stranger.get("/login/code"), "csrf_token")
    answer = stranger.post(
        "/login/code", {**form, "recovery": phone.recovery_codes[0], "name": "di", "id": attacker.id}
    )
    assert answer.status_code == 401
    assert len(victim.recovery_codes) == 10
