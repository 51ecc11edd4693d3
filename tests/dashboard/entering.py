"""Helpers for everything about who may come in: an application on a fresh folder, people in it, and a browser."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from flask import Flask
from jinja2.bccache import Bucket, BytecodeCache
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from app import create_app
from dashboard.accounts import Account, Accounts
from dashboard.auth import People
from dashboard.passwords import Passwords
from dashboard.sessions import Sessions
from dashboard.throttle import Throttle
from dashboard.two_factor import TwoFactor
from store.database import Database
from tests.factories import lay_database

PASSWORD = "a quiet Tuesday evening"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate"}
HTTPS = "https://tandem.example"
SECRET_KEY = "of the tests"


def cheap_passwords(time_cost: int = 1) -> Passwords:
    """As safe as nothing, and done in no time."""
    return Passwords(PasswordHasher(time_cost=time_cost, memory_cost=8, parallelism=1))


def people_of(database: Database) -> People:
    second = TwoFactor(database, SECRET_KEY)
    return People(Accounts(database, cheap_passwords()), Sessions(database), Throttle(database), second)


class _Compiled(BytecodeCache):
    """Templates that one application of the tests compiled serve the next ones too."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_compiled = _Compiled()
_compile_builder = Rule._compile_builder
_builders: dict[tuple[object, ...], Any] = {}


def _builder(rule: Rule, append_unknown: bool = True) -> Any:
    """The same for the functions that werkzeug compiles, two for each address, to build it."""
    known = (rule.rule, *rule._trace, repr(rule.defaults), append_unknown)
    if known not in _builders:
        _builders[known] = _compile_builder(rule, append_unknown)
    return _builders[known]


Rule._compile_builder = _builder  # type: ignore[method-assign]


@contextmanager
def a_tandem(root: Path, **settings: str) -> Iterator[Flask]:
    """The application on an empty library below ``root``."""
    if "DATABASE_URL" not in settings:
        lay_database(root / "instance" / "tandem.sqlite")
    app = create_app({"DATA_BACKEND": "dual", "SECRET_KEY": SECRET_KEY, "JOBS": "inline", **settings}, root)
    store = app.extensions["tandem_store"]
    app.jinja_env.bytecode_cache = _compiled
    app.extensions["tandem_people"] = people_of(store.database)
    try:
        yield app
    finally:
        app.extensions["tandem_workshop"].close()
        store.close()


@contextmanager
def a_database(url: str) -> Iterator[Database]:
    """A database with all tables."""
    database = Database(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        database.prepare()
        yield database
    finally:
        database.close()


def make_account(app: Flask, name: str = "Ada", role: str = "admin", password: str = PASSWORD) -> Account:
    people: People = app.extensions["tandem_people"]
    return people.accounts.create(name, role, password)


class Visitor:
    """A person at a browser: keeps cookies, and sends a form with the token of the page it stands on."""

    def __init__(self, app: Flask, base_url: str = "http://localhost") -> None:
        self.app, self.base_url = app, base_url
        self.client = app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        options.setdefault("headers", PAGE)
        return self.client.get(path, base_url=self.base_url, **options)

    def send(self, path: str, page: str, fields: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        """Open ``page``, fill in its form and send it to ``path``."""
        token = token_in(self.get(page))
        return self.post(path, {"csrf_token": token, **(fields or {})}, **options)

    def post(self, path: str, fields: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        options.setdefault("headers", PAGE | {"Referer": f"{self.base_url}/"})
        return self.client.post(path, data=fields, base_url=self.base_url, **options)

    def sign_in(self, name: str = "Ada", password: str = PASSWORD, **fields: str) -> TestResponse:
        return self.send("/login", "/login", {"name": name, "password": password, **fields})

    def sign_out(self) -> TestResponse:
        return self.send("/logout", "/logout")

    def cookie(self, name: str) -> str | None:
        host = self.base_url.partition("://")[2]
        found = self.client.get_cookie(name, domain=host)
        return found.value if found else None


def token_in(response: TestResponse) -> str:
    """The CSRF token of the page's form."""
    match = re.search(r'name="csrf_token" value="([^"]+)"', response.text)
    assert match, f"no form on {response.request.path}: {response.status}\n{response.text[:500]}"
    return match[1]


def cookies_set(response: TestResponse) -> dict[str, str]:
    """Name -> the whole Set-Cookie line."""
    return {line.partition("=")[0]: line for line in response.headers.getlist("Set-Cookie")}
