"""Users: the oldest lies in ``settings/general.json``, which is all Quilltap 1.3 knows; every other one has a file of
its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from store import codec
from store.documents.base import with_unknown
from store.documents.users import User
from store.errors import StoreError, UnreadableError
from store.files.replace import Write
from store.files.shelves import (
    Bad,
    Changes,
    Context,
    Entry,
    Plan,
    Record,
    check_name,
    file_name,
    parse_object,
    read_or_none,
    understand,
)
from store.files.system import Signature, System

GENERAL = "settings/general.json"
FOLDER = "settings/users"
_WRAPPER = ("version", "createdAt", "updatedAt")


class UserFiles:
    """The shelf of users."""

    kind = "user"
    kinds = (kind,)

    def folders(self) -> tuple[str, ...]:
        return ("settings", FOLDER)

    def owns(self, path: str) -> bool:
        return path == GENERAL or path.startswith(f"{FOLDER}/")

    def files(self, system: System, root: Path) -> Iterator[tuple[str, Signature]]:
        with contextlib.suppress(FileNotFoundError):
            yield GENERAL, system.signature(root / GENERAL)
        for name, signature in system.list(root / FOLDER):
            if name.endswith(".json"):
                yield f"{FOLDER}/{name}", signature

    def paths(self, record_id: str) -> tuple[str, ...]:
        return (GENERAL, f"{FOLDER}/{file_name(record_id)}")

    def parse(self, path: str, data: bytes) -> tuple[list[Entry], list[Bad]]:
        named = None if path == GENERAL else _named(path)
        try:
            record, document = understand(User, path, parse_object(path, data))
            assert isinstance(document, User)
            if named not in (None, document.id):
                raise UnreadableError(path, f"it holds the id {document.id}, which is not its name")
        except UnreadableError as error:
            return [], [(named, error)]
        return [Entry(self.kind, document.id, record, document)], []

    def double(self, system: System, root: Path) -> str | None:
        """The file of the oldest user that a killed move left: the same bytes lie in ``general.json``."""
        general = read_or_none(system, root, GENERAL)
        entries = self.parse(GENERAL, general)[0] if general is not None else []
        paths = [path for entry in entries for path in self.paths(entry.id)[1:]]
        return next((path for path in paths if read_or_none(system, root, path) == general), None)

    def plan(self, system: System, root: Path, changes: dict[str, Changes], context: Context) -> Plan:
        files, refused = self._planned(system, root, changes[self.kind])
        return Plan(files, {(self.kind, record_id): error for record_id, error in refused.items()})

    def _planned(self, system: System, root: Path, changes: Changes) -> tuple[dict[str, Write], dict[str, StoreError]]:
        refused: dict[str, StoreError] = {}
        files: dict[str, bytes] = {}
        users: dict[str, Record] = {}
        oldest = ("", "")
        for path, _ in self.files(system, root):
            data, entries, bad = self._read(system, root, path)
            if bad and path == GENERAL:  # who is the oldest cannot be told: nothing may be written
                return {}, dict.fromkeys(changes, bad[0][1])
            for record_id, error in bad:
                refused[record_id or ""] = error
            for entry in entries:
                files[path], users[entry.id] = data, entry.record
                oldest = _age(entry.record) if path == GENERAL else oldest
        for record_id, record in changes.items():
            if record_id in refused:
                continue
            try:
                check_name(self.paths(record_id)[1])
            except StoreError as error:
                if record is not None:
                    refused[record_id] = error
                    continue
            if record is None:
                users.pop(record_id, None)
            else:
                users[record_id] = with_unknown(User, record, _inner(users.get(record_id, {})))
        # One that cannot be read is younger than who was the oldest, but perhaps not than who would be next.
        if refused and min(map(_age, users.values()), default=("~", "")) > oldest:
            return {}, dict.fromkeys(changes, next(iter(refused.values())))
        try:
            placed = self._placed(files, users)
        except StoreError as error:
            return {}, dict.fromkeys(changes, error)
        return placed, {key: error for key, error in refused.items() if key in changes}

    def _read(self, system: System, root: Path, path: str) -> tuple[bytes, list[Entry], list[Bad]]:
        try:
            data = read_or_none(system, root, path) or b""
        except UnreadableError as error:
            return b"", [], [(None if path == GENERAL else _named(path), error)]
        return data, *self.parse(path, data)

    def _placed(self, files: dict[str, bytes], users: dict[str, Record]) -> dict[str, Write]:
        """Every user where it belongs now; the oldest may have changed."""
        placed: dict[str, Write] = {}
        oldest_first = sorted(users, key=lambda one: _age(users[one]))
        wanted = {
            GENERAL if place == 0 else f"{FOLDER}/{file_name(record_id)}": _render(users[record_id])
            for place, record_id in enumerate(oldest_first)
        }
        # A user that moves is written to its new place before the old one is given to another or removed.
        for path in sorted(wanted, key=lambda one: one == GENERAL):
            if files.get(path) != wanted[path]:
                placed[path] = wanted[path]
        for path in files:
            if path not in wanted:
                placed[path] = None
        return placed


def _named(path: str) -> str:
    return unquote(path.rpartition("/")[2].removesuffix(".json"))


def _age(record: Record) -> tuple[str, str]:
    return record["user"]["createdAt"], record["user"]["id"]


def _inner(record: Record) -> Record:
    return {key: value for key, value in record.items() if key not in _WRAPPER}


def _render(record: Record) -> bytes:
    user, settings = record["user"], record["chatSettings"]
    known = (*_WRAPPER, "user", "chatSettings")
    return codec.dumps_pretty(
        {
            "version": record.get("version", 1),
            "user": user,
            "chatSettings": settings,
            "createdAt": min(user["createdAt"], settings["createdAt"]),
            "updatedAt": max(user["updatedAt"], settings["updatedAt"]),
            **{key: value for key, value in record.items() if key not in known},
        }
    )
