"""A marker is planted as the value of an API key; then everything that answers, logs or keeps something is searched for
it, as it is and in the encodings in which a program might carry it.
"""

import base64
import html
import io
import itertools
import json
import logging
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from store import Store
from store.secrets import API_KEY
from tests.dashboard.browsing import form_in, submit
from tests.dashboard.entering import Visitor, a_tandem, make_account
from tests.dashboard.test_commands import call
from tests.factories import files_below, make_chat, make_image_profile, make_profile, make_user
from tests.store.both_sides import mend
from tests.store.providers.serving import Guest, Provider, a_provider

pytestmark = pytest.mark.slow  # sends many requests

MARKER = "sk-m@rker+7Jq2/ZlTfX0=never&to%be<seen>aGx9Pq'Tz\"4vB"
INSIDE = MARKER[8:-4]  # what a mask leaves out
THOROUGH = os.environ.get("TANDEM_THOROUGH") == "1"
ROLES = ("viewer", "editor", "admin")


def shapes(secret: str) -> dict[str, bytes]:
    """The secret as it is, and as programs spell it on their way through pages, logs and files."""
    raw = secret.encode()
    found = {
        "plain": secret,
        "backwards": secret[::-1],
        "hex": raw.hex(),
        "in an address": quote(secret, safe=""),
        "in an address, but for slashes": quote(secret),
        "in a form": quote_plus(secret),
        "in a page": html.escape(secret),
        "in a page, as Jinja does": html.escape(secret).replace("&quot;", "&#34;").replace("&#x27;", "&#39;"),
        "in JSON": json.dumps(secret)[1:-1],
        "as Python shows it": secret.replace("'", "\\'"),
    }
    for shift in range(3):  # where the secret begins within a longer text that is encoded
        encoded = base64.b64encode(b"\0" * shift + raw)[4 if shift else 0 : -4]
        found[f"base64, from byte {shift}"] = encoded.decode()
        found[f"base64 for addresses, from byte {shift}"] = encoded.translate(bytes.maketrans(b"+/", b"-_")).decode()
    return {name: text.encode() for name, text in found.items()}


SHAPES = shapes(INSIDE)


def found_in(data: bytes) -> list[str]:
    lower = data.lower()
    return [name for name, shape in SHAPES.items() if shape in data or (name == "hex" and shape in lower)]


class Searched:
    """Everything that was told so far, and what of it holds the secret."""

    def __init__(self) -> None:
        self.seen, self.leaks = 0, []

    def look(self, where: str, data: bytes | str) -> None:
        self.seen += 1
        self.leaks += [f"{where}: {name}" for name in found_in(data.encode() if isinstance(data, str) else data)]

    def answer(self, answer: TestResponse) -> TestResponse:
        path = answer.request.path
        data = answer.data
        if answer.mimetype == "application/zip":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for name in archive.namelist():
                    self.look(f"{path} {name}", archive.read(name))
        self.look(
            f"{answer.request.method} {path} {answer.status}", f"{answer.status}\n{answer.headers}\n".encode() + data
        )
        return answer


@pytest.mark.parametrize("name", SHAPES)
def test_the_search_would_find_it(name: str) -> None:
    long = b"prefix" + SHAPES[name] + b"suffix"
    assert name in found_in(long)


def test_the_search_finds_base64_wherever_the_secret_begins() -> None:
    for before in range(6):
        assert found_in(base64.b64encode(b"x" * before + MARKER.encode() + b"rest"))
        assert found_in(base64.urlsafe_b64encode(b"x" * before + MARKER.encode()))
    assert found_in(f"the log says {MARKER!r}".encode())
    assert not found_in(MARKER[:8].encode() + b"\xe2\x80\xa2" * 4 + MARKER[-4:].encode()), "a mask is none"


def echoing() -> Callable[[Guest], None]:
    """Says everything it was told back, in every place an answer has; each guest gets another status."""
    statuses = itertools.cycle((200, 401, 403, 404, 429, 500, 302, 200))

    def habit(guest: Guest) -> None:
        told = guest.headers.get("authorization", "").removeprefix("Bearer ")
        models = [{"id": told}, {"id": quote(told)}, {"id": "honest"}]
        body = json.dumps({"data": models, "error": {"message": told}})
        place = f"http://127.0.0.1:9/{quote(told, safe='')}"
        guest.answer(body, next(statuses), X_Echo=quote(told), Location=place)

    return habit


@pytest.fixture
def provider() -> Iterator[Provider]:
    with a_provider(echoing()) as running:
        yield running


@pytest.fixture
def tandem(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path, DATA_DIR=str(tmp_path / "data"), ALLOW_LOCAL_PROVIDERS="true", VERBOSE="true") as app:
        yield app


@pytest.fixture
def heard(tandem: Flask, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that was logged, down to the last detail and with every error's story."""
    names = ("", "tandem", "sqlalchemy.engine", "werkzeug", "urllib3", "alembic")
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        caplog.set_level(logging.DEBUG, name or None)
    yield lambda: caplog.text + "".join(str(record.args) + str(record.exc_info) for record in caplog.records)
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def plant(editor: Visitor, store: Store, searched: Searched, provider: Provider) -> dict[str, str]:
    """Put the marker in by every door there is; which record is which afterwards."""
    user = make_user(store, "Ada")
    new, label = "/admin/keys/new/", {"provider": "OPENAI_COMPATIBLE"}
    searched.answer(submit(editor, new, "label", label="", value=MARKER, **label))
    searched.answer(submit(editor, new, "label", label="Main", value=f"{MARKER}\0", **label))
    searched.answer(submit(editor, new, "label", label="Main", value=MARKER * 100, **label))
    searched.answer(submit(editor, new, "label", label="Main", value=MARKER, **label))
    [key] = store.keys.find_all()
    address = {"provider": "OPENAI_COMPATIBLE", "baseUrl": provider.url}
    profile = make_profile(store, "Everyday", apiKeyId=key.id, modelName="honest", **address)
    painter = make_image_profile(store, "Painter", apiKeyId=key.id)
    chat = make_chat(store, "Tea", connectionProfileId=profile.id)
    replace = f"/admin/keys/replace/?id={key.id}"
    form = form_in(editor.get(replace), "version")
    store.keys.update(key.id, {"label": "Main one"})
    searched.answer(editor.post(replace, {**form, "value": MARKER}))
    searched.answer(submit(editor, replace, "version", value=MARKER))
    searched.answer(editor.post(replace, {"value": MARKER}))  # without a token
    searched.answer(editor.post("/admin/keys/replace/?id=gone", {**form, "value": MARKER}))
    records = {"users": user, "keys": key, "profiles": profile, "image-profiles": painter, "chats": chat}
    return {noun: record.id for noun, record in records.items()}


def try_connections(editor: Visitor, searched: Searched, ids: dict[str, str]) -> None:
    """Test the key and the profile against somebody who repeats everything."""
    token = {"csrf_token": form_in(editor.get("/admin/keys/new/"), "csrf_token")["csrf_token"]}
    part = {"X-Tandem-Part": "1", "Accept": "text/html", "Referer": "http://localhost/"}
    for _ in range(4):
        searched.answer(editor.post("/admin/keys/test/", {**token, "id": ids["keys"]}))
        searched.answer(editor.post("/admin/profiles/test/", {**token, "id": ids["profiles"]}, headers=part))
    for _ in range(3):
        searched.answer(submit(editor, f"/admin/profiles/edit/?id={ids['profiles']}", _models="1"))


def work_in_the_background(admin: Visitor, searched: Searched) -> None:
    token = {"csrf_token": form_in(admin.get("/admin/exports/"), "csrf_token")["csrf_token"]}
    for address, fields in (
        ("/admin/validation/start", {}),  # before an export takes the differences away
        ("/admin/validation/start", {"quick": "1"}),
        ("/admin/exports/start", {"kind": "dry-run"}),
        ("/admin/exports/start", {"kind": "export"}),
        ("/admin/exports/import", {"merge": "1"}),
        ("/admin/validation/plan", {"source": "sql", "from": "sql"}),
    ):
        searched.answer(admin.post(address, {**token, **fields}))


def questions(path: str, ids: dict[str, str], jobs: list[str], compared: str) -> list[str]:
    """What an address is asked about: everything that it can find, and everywhere the key. That another noun's ids find
    nothing, in a page that says so, the key's shows; all of them are asked for with TANDEM_THOROUGH=1."""
    noun = path.removeprefix("/admin/").partition("/")[0]
    numbers = jobs if THOROUGH or noun in ("exports", "validation", "audit") else jobs[:1]
    found = [one for name, one in ids.items() if THOROUGH or name in ("keys", noun)]
    asked = ["", "?search=sk", "?model=ApiKey&q=main&user=x&provider=OPENAI_COMPATIBLE&generation=000001"]
    asked += [f"?id={one}" for one in (*found, *numbers)]
    return [*asked, f"?generation=1&model=ApiKey&id={ids['keys']}", f"?id={compared}&model=ApiKey&row=0"]


def walk(tandem: Flask, people: dict[str, Visitor], ids: dict[str, str], searched: Searched) -> None:
    """Every address that can be read, by everybody."""
    done = tandem.extensions["tandem_store"].jobs.list(limit=20)
    jobs, compared = [str(job.id) for job in done], next(str(job.id) for job in done if job.kind == "validate")
    assert people["admin"].get(f"/admin/validation/record?id={compared}&row=0").status_code == 200, "a difference"
    rules = [rule.rule for rule in tandem.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]
    for path in rules:
        if path == "/static/<path:filename>":
            continue
        for question in questions(path, ids, jobs, compared):
            searched.answer(people["admin"].get(f"{path}{question}"))
        for role in ("viewer", "editor"):
            for question in ("", f"?id={ids['keys']}"):
                searched.answer(people[role].get(f"{path}{question}"))


def test_the_value_of_a_key_is_nowhere(
    tandem: Flask, heard: Callable[[], str], provider: Provider, tmp_path: Path
) -> None:
    store: Store = tandem.extensions["tandem_store"]
    searched, people = Searched(), {}
    for role in ROLES:
        make_account(tandem, f"an-{role}", role)
        people[role] = Visitor(tandem)
        assert people[role].sign_in(f"an-{role}").status_code == 302
    ids = plant(people["editor"], store, searched, provider)
    try_connections(people["editor"], searched, ids)
    assert len(provider.guests) >= 11
    assert all(MARKER in guest.headers["authorization"] for guest in provider.guests), "the provider did get it"
    work_in_the_background(people["admin"], searched)
    mend(store, "settings/connection-profiles.json", '"label": "Main one"', '"label": "Another"')
    work_in_the_background(people["admin"], searched)  # now with a difference in the key's own record
    walk(tandem, people, ids, searched)
    report = tmp_path / "report.json"
    for words in ("validate --json", f"validate --report {report}", "inventory --json", "export --dry-run --json"):
        told = call(tandem, "data", *words.split())
        searched.look(f"data {words}", told.stdout + told.stderr)
    searched.look("jobs list", call(tandem, "jobs", "list", "--json").stdout)
    with store.database.read() as connection:
        for table in store.database.own.metadata.sorted_tables:
            for row in connection.execute(table.select()):
                searched.look(f"table {table.name}", str(row))
    for path, data in files_below(tmp_path).items():  # both sides, generations, Tandem's own files, the report
        searched.look(path, data)
    searched.look("the log", heard())
    assert searched.leaks == []
    assert searched.seen > 800, "or the walk has become a short one"
    log = heard()
    assert "key_tests" in log, "the log was listened to down to the statements"
    secrets = [
        store.settings.encryption_master_pepper,
        *(one.value(part) for one in store.keys.find_all() for part in API_KEY),
    ]
    assert [secret for secret in secrets if secret in log] == []
