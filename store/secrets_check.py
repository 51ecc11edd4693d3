"""Whether each secret can be decrypted: API keys, TOTP secrets and backup codes, on both sides.

What cannot is named by model, id and owner, and with all that can be known of why; its value and its text are never
told.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from store.backends import Backend
from store.database import Database
from store.errors import DatabaseError, StoreError
from store.files.side import JsonSide, record_of
from store.mapping import MAPPINGS, Row
from store.peppers import DONE, NEXT_FILE, VARIABLE, WAITING, Change, Peppers
from store.progress import Progress
from store.secrets import CIPHERS, Cipher, Secrets
from store.statements import Statement
from store.tables.users import users

UNDECRYPTABLE, UNREADABLE = 16, 4  # exit bits, as a validation has them
OWNERS_KEY = "secret_owners"  # whose secrets once decrypted: an id that changed is known by it
MOST_OWNERS = 2000
SIDES: Final = {"sql": "in the database", "json": "in the files"}

# What may be said of one.
DECRYPTS, UNDER_OLD, UNDER_KEPT, OF_FORMER, INCOMPLETE, FAILS = (
    "decrypts",
    "under the old pepper",
    "under another pepper",
    "for another id",
    "incomplete",
    "does not decrypt",
)
_TITLES: Final = {"user": ("name", "email"), "key": ("label",)}
STAYS = (DECRYPTS, INCOMPLETE, FAILS)  # what nothing can be done about


@dataclass(frozen=True)
class Held:
    """A secret in its place."""

    kind: str
    id: str
    column: str  # of the ciphertext
    owner: str
    side: str
    cipher: Cipher = field(repr=False)
    title: str = field(default="", compare=False, repr=False)  # what a person calls the record

    @property
    def model(self) -> str:
        return MAPPINGS[self.kind].model

    @property
    def name(self) -> str:
        """Model, field, id and owner."""
        whose = "" if self.kind == "user" else f" (of the user {self.owner})"
        return f"{self.model} {self.id}: {self.column}{whose}"


@dataclass(frozen=True)
class Judged:
    """What became of one. ``why`` is a sentence where there is more to say."""

    held: Held
    state: str
    why: str = ""

    @property
    def fails(self) -> bool:
        return self.state in (FAILS, UNDER_KEPT, OF_FORMER)

    @property
    def sentence(self) -> str:
        told = f"{self.held.name}, {SIDES[self.held.side]}: {self.state}."
        return f"{told} {self.why}".rstrip()

    def as_json(self) -> dict[str, Any]:
        one = self.held
        named = {"model": one.model, "id": one.id, "field": one.column, "owner": one.owner, "side": one.side}
        return {**named, "state": self.state, "why": self.why}


# ------------------------------------------------------------------ where they are
def held_in(connection: Connection, side: str) -> list[Held]:
    """The secrets in a database, those of one user after the other."""
    oldest = connection.scalar(sa.select(users.c.id).order_by(users.c.createdAt, users.c.id).limit(1))
    found: list[Held] = []
    for kind, ciphers in CIPHERS.items():
        table = MAPPINGS[kind].main
        parts = [table.c[part] for names, _ in ciphers for part in names]
        owners = dict.fromkeys((table.c.id, *(table.c[owner] for _, owner in ciphers)))
        there = sa.or_(*(part.is_not(None) for part in parts))
        columns = [*owners, *parts, *(table.c[name] for name in _TITLES[kind])]
        asked = sa.select(*columns).where(there)
        # Straight from the driver: SQLAlchemy writes each row it hands out to its own log, where that is asked for.
        for values in Statement(lambda _, asked=asked: asked).read(connection):  # type: ignore[misc]
            row = dict(zip((column.name for column in columns), values, strict=True))
            found += _held(kind, row, side, oldest)
    return sorted(found, key=lambda one: (one.owner, one.kind, one.id))


def held_in_files(side: JsonSide) -> Iterator[Held | StoreError]:
    """The secrets in the files, and an error for each record that cannot be read."""
    oldest: tuple[str, str] | None = None
    for kind in CIPHERS:
        for entry in side.entries(kind):
            if isinstance(entry, StoreError):
                yield entry
                continue
            mapping = MAPPINGS[kind]
            row = mapping.to_rows(record_of(entry))[mapping.main.name][0]
            if kind == "user":
                born = (row["createdAt"], row["id"])
                oldest = min(oldest, born) if oldest else born
            yield from _held(kind, row, "json", oldest[1] if oldest else None)


def _held(kind: str, row: Row, side: str, oldest: str | None) -> Iterator[Held]:
    for names, owner in CIPHERS[kind]:
        if cipher := Cipher.found_in(row, names):
            # Quilltap's files name no owner of a key: then the one user is meant.
            title = next((str(row[name]) for name in _TITLES[kind] if row.get(name)), "")
            yield Held(kind, str(row["id"]), names.ciphertext, str(row[owner] or oldest or ""), side, cipher, title)


def held_on_both_sides(
    database: Database, side: JsonSide, backend: str
) -> tuple[list[Held], list[StoreError], set[str]]:
    """The secrets of each side that is in use; what cannot be read; the ids of the users there are."""
    with database.read() as connection:
        found, present = held_in(connection, "sql"), set(connection.scalars(sa.select(users.c.id)))
    problems: list[StoreError] = []
    if backend != "sql":
        for one in held_in_files(side):
            if isinstance(one, Held):
                found.append(one)
            else:
                problems.append(one)
        present |= {entry.id for entry in side.entries("user") if not isinstance(entry, StoreError)}
    return sorted(found, key=lambda one: (one.owner, one.kind, one.id, one.side)), problems, present


class Sides(Protocol):
    """What of an open store a check needs."""

    @property
    def database(self) -> Database: ...
    @property
    def peppers(self) -> Peppers: ...

    def held(self) -> tuple[list[Held], list[StoreError], set[str]]: ...


# ------------------------------------------------------------------ judging
class Judge:
    """Opens what any pepper and any id that are known can open."""

    def __init__(self, peppers: Peppers, former: Iterable[str] = ()) -> None:
        """``former``: ids that users once had."""
        found, self._in_use = peppers.known()
        self._names = list(found.values())
        self._secrets, self._former = Secrets(*found, keys=peppers.secrets.keys), sorted(former)
        change = peppers.change()
        self._remedy = f"flask --app app secrets {'mend' if change is None or change.phase == DONE else 'rotate'}"

    def open(self, held: Held) -> tuple[bytes | None, str, str]:
        """What is encrypted (None when nothing opens it), what may be said of it, and why."""
        if not held.cipher.is_whole:
            return None, INCOMPLETE, ""
        for owner in (held.owner, *(one for one in self._former if one != held.owner)):
            try:
                plain, place = self._secrets.open(owner, held.cipher)
            except StoreError:
                continue
            if owner != held.owner:
                why = (
                    f"The user's id changed from {owner} to {held.owner}; it was encrypted for the old id. "
                    f"To encrypt it for the new one: {self._remedy}"
                )
                return plain, OF_FORMER, why
            if place == 0:
                return plain, DECRYPTS, ""
            if place < self._in_use:
                return plain, UNDER_OLD, ""
            why = f"It opens with {self._names[place]}. To bring it along: {self._remedy}"
            return plain, UNDER_KEPT, why
        return None, FAILS, ""

    def seal(self, owner: str, plain: bytes) -> Cipher:
        """Encrypt under the pepper in use."""
        return self._secrets.seal(owner, plain)

    def judge(self, held: Held) -> Judged:
        return Judged(held, *self.open(held)[1:])


def former_owners(database: Database, present: set[str]) -> set[str]:
    """Ids for which secrets were once encrypted, and which no user has any more."""
    return _remembered(database) - present


def remember_owners(database: Database, owners: Iterable[str]) -> None:
    """Remember whose secrets decrypted. It only helps to explain: a database that takes no note of it is no failure."""
    with contextlib.suppress(DatabaseError):
        known = _remembered(database)
        if new := set(owners) - known:
            database.set_state(OWNERS_KEY, json.dumps([*sorted(known), *sorted(new)][-MOST_OWNERS:]))


def _remembered(database: Database) -> set[str]:
    try:
        found = json.loads(database.get_state(OWNERS_KEY) or "[]")
    except ValueError:  # it only helps to explain
        return set()
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


# ------------------------------------------------------------------ the check
@dataclass
class SecretsReport:
    """What a check found. ``told``: each one of which there is more to say than that it decrypts."""

    checked: int = 0
    states: dict[str, int] = field(default_factory=dict)
    told: list[Judged] = field(default_factory=list)
    unreadable: list[StoreError] = field(default_factory=list)
    change: Change | None = None

    @property
    def failed(self) -> int:
        return sum(one.fails for one in self.told)

    @property
    def exit_status(self) -> int:
        """0: every secret decrypts; 16: some do not; 4: something could not be read. Added up."""
        return UNDECRYPTABLE * bool(self.failed) + UNREADABLE * bool(self.unreadable)

    def add(self, one: Judged) -> None:
        self.checked += 1
        self.states[one.state] = self.states.get(one.state, 0) + 1
        if one.state not in (DECRYPTS, UNDER_OLD):
            self.told.append(one)

    def as_json(self) -> dict[str, Any]:
        change = self.change and {"phase": self.change.phase, "began": self.change.began, "back": self.change.back}
        counts = {"checked": self.checked, "failed": self.failed, "states": self.states}
        unreadable = [problem.message for problem in self.unreadable]
        return {**counts, "secrets": [one.as_json() for one in self.told], "unreadable": unreadable, "rotation": change}

    def as_text(self) -> str:
        lines = [one.sentence for one in self.told]
        lines += [problem.sentence for problem in self.unreadable]
        if self.change and self.change.phase != DONE:
            lines.append(" ".join(unfinished(self.change)))
        return "\n".join([*lines, self.counts])

    @property
    def counts(self) -> str:
        """How many there are of each sort, as one sentence."""
        if not self.checked:
            return "There is no secret."
        if self.states == {DECRYPTS: self.checked}:
            return "The one secret decrypts." if self.checked == 1 else f"All {self.checked} secrets decrypt."
        sorts = (
            (self.states.get(DECRYPTS, 0), "decrypts", "decrypt"),
            (self.states.get(UNDER_OLD, 0), "is under the old pepper still", "are under the old pepper still"),
            (self.failed, "does not decrypt", "do not decrypt"),
            (self.states.get(INCOMPLETE, 0), "was never complete", "were never complete"),
        )
        told = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in sorts if count)
        return f"Of {self.checked} secrets {told}."


def unfinished(change: Change) -> tuple[str, str]:
    """What to say of a rotation that is not over, and what to do next."""
    if change.phase == WAITING:
        return (
            "The pepper was rotated, and the environment does not name the new one yet.",
            f"Set {VARIABLE}, here and in Quilltap's own environment, to what is in {NEXT_FILE} in the instance "
            "folder, and start both again.",
        )
    way = "A rotation back to the pepper of before" if change.back else "A rotation of the pepper"
    return (
        f"{way} is unfinished since {change.began[:10]}.",
        "Every secret can be read and written all the while. To go on: flask --app app secrets rotate",
    )


def check(store: Sides, progress: Progress | None = None) -> SecretsReport:
    """Look at every secret on each side in use. Raises StoreError when a side cannot be read at all."""
    progress = progress or Progress()
    report = SecretsReport(change=store.peppers.change())
    found, report.unreadable, present = store.held()
    judge = Judge(store.peppers, former_owners(store.database, present))
    owners = set()
    progress.phase("Checking secrets", len(found), share=1.0)
    for held in found:
        judged = judge.judge(held)
        report.add(judged)
        if judged.state == DECRYPTS:
            owners.add(held.owner)
        progress.step()
    remember_owners(store.database, owners)
    return report


def readable(backend: Backend) -> list[Held]:
    """The secrets on the side that counts."""
    with backend.reading() as connection:
        return held_in(connection, "sql")
