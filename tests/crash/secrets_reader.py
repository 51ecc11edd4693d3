"""A reader of secrets that knows Quilltap's recipe and nothing of the store's code: both sides, and every pepper that a
person could find in the instance folder."""

import functools
import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.factories import files_below

_KEYS = 'SELECT \'key\', id, "userId", "keyEncrypted", "keyIv", "keyAuthTag" FROM api_keys'
_TOTP = 'SELECT \'totp\', id, id, "totpSecret", "totpSecretIv", "totpSecretAuthTag" FROM users'
_CODES = 'SELECT \'codes\', id, id, "backupCodes", "backupCodesIv", "backupCodesAuthTag" FROM users'


class Found(NamedTuple):
    """A secret as it lies on one side."""

    side: str
    what: str
    id: str
    owner: str
    ciphertext: str
    iv: str
    tag: str


@functools.cache
def _key(user_id: str, pepper: str) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", user_id.encode(), pepper.encode(), 100_000, 32)


def opened(one: Found, pepper: str) -> str | None:
    """The text of a secret under a pepper; None when it is not under that one."""
    if not len(one.iv) == len(one.tag) == 32:
        return None
    packed = bytes.fromhex(one.ciphertext) + bytes.fromhex(one.tag)
    try:
        return AESGCM(_key(one.owner, pepper)).decrypt(bytes.fromhex(one.iv), packed, None).decode()
    except InvalidTag:
        return None


def peppers_in(folder: Path) -> dict[str, str]:
    """File name -> pepper, of every file that is a pepper's by its name."""
    return {path.name: path.read_text("utf-8").strip() for path in sorted(folder.glob("encryption-master-pepper*"))}


def in_sql(url: str) -> list[Found]:
    def read(execute: Callable[[str], Any]) -> list[Found]:
        rows = [row for query in (_KEYS, _TOTP, _CODES) for row in execute(query).fetchall()]
        return [Found("sql", *row) for row in rows if row[3] is not None]

    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return read(connection.execute)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as postgres:
        return read(postgres.execute)


def in_files(folder: Path) -> list[Found]:
    return in_bytes(files_below(folder))


def in_bytes(files: dict[str, bytes]) -> list[Found]:
    """The secrets in files by their paths below the data folder."""
    return [Found("json", *one) for one in _in_bytes(files)]


def _in_bytes(files: dict[str, bytes]) -> Iterator[tuple[str, ...]]:
    def parts(block: dict[str, str]) -> tuple[str, str, str]:
        return block["ciphertext"], block["iv"], block["authTag"]

    for path in sorted(files):
        if path == "settings/general.json" or path.startswith("settings/users/"):
            user = json.loads(files[path])["user"]
            yield from (
                (what, user["id"], user["id"], *parts(user[block]))
                for what, block in (("totp", "totp"), ("codes", "backupCodes"))
                if user.get(block)
            )
    for key in json.loads(files.get("settings/connection-profiles.json", b'{"apiKeys": []}'))["apiKeys"]:
        yield ("key", key["id"], key["extras"]["userId"], *parts(key))


class Expected(NamedTuple):
    """What every secret says, whatever it is under: (what, id) -> text."""

    texts: dict[tuple[str, str], str]

    def violations(self, found: Iterable[Found], peppers: Iterable[str]) -> list[str]:
        """What is lost, says something else, or opens under none or several of the peppers."""
        told, seen = [], set()
        known = dict.fromkeys(peppers)
        for one in found:
            seen.add((one.what, one.id))
            texts = [text for pepper in known if (text := opened(one, pepper)) is not None]
            if texts != [self.texts[one.what, one.id]]:
                told.append(f"{one.side}: {one.what} of {one.id} opens under {len(texts)} peppers")
        return told + [f"{one} is gone" for one in self.texts.keys() - seen]
