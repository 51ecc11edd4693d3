"""What came of testing API keys, remembered in Tandem's own table: when, how it went, and why; nothing of a key.

A result counts for the value it was about. When the value is another one, by whomever, the key counts as never tested.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from store.database import Database
from store.documents import now
from store.providers import Outcome
from store.secrets import API_KEY

KEPT: Final = 10  # results of each key


@dataclass(frozen=True)
class KeyTest:
    """One result: ``valid``, ``refused`` or ``unreachable``."""

    at: str
    outcome: str
    reason: str


def value_version(parts: Mapping[str, Any]) -> str:
    """A short text that is another one for another encrypted value, and says nothing of it."""
    spelled = "\0".join(str(parts.get(name)) for name in API_KEY)
    return hashlib.blake2b(spelled.encode("utf-8", "surrogateescape"), digest_size=12, person=b"key-test").hexdigest()


class KeyTests:
    """The results in a database."""

    def __init__(self, database: Database, clock: Callable[[], str] = now) -> None:
        self._database, self._clock, self._table = database, clock, database.own.key_tests

    def note(self, key_id: str, parts: Mapping[str, Any], outcome: Outcome) -> None:
        """Remember a result for the value that these three parts are; the oldest ones go."""
        columns = self._table.c
        row = {"key_id": key_id, "value_version": value_version(parts), "at": self._clock()}
        with self._database.write() as connection:
            connection.execute(sa.insert(self._table).values(**row, outcome=outcome.state, reason=outcome.reason))
            newest = sa.select(columns.id).where(columns.key_id == key_id).order_by(columns.id.desc()).limit(KEPT)
            kept = connection.scalars(newest).all()
            connection.execute(sa.delete(self._table).where(columns.key_id == key_id, columns.id.not_in(kept)))

    def of(self, key_id: str, parts: Mapping[str, Any]) -> Sequence[KeyTest]:
        """The results for the value that these parts are, the newest first."""
        columns = self._table.c
        asked = sa.select(columns.at, columns.outcome, columns.reason).order_by(columns.id.desc())
        mine = asked.where(columns.key_id == key_id, columns.value_version == value_version(parts))
        with self._database.read() as connection:
            return [KeyTest(**row._mapping) for row in connection.execute(mine)]

    def carry(self, key_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
        """What came of the old three parts came of the new ones: the same value is encrypted anew."""
        here = (self._table.c.key_id == key_id, self._table.c.value_version == value_version(old))
        with self._database.write() as connection:
            connection.execute(sa.update(self._table).where(*here).values(value_version=value_version(new)))

    def forget(self, key_ids: Iterable[str]) -> None:
        """Forget keys that are gone."""
        with self._database.write() as connection:
            connection.execute(sa.delete(self._table).where(self._table.c.key_id.in_(list(key_ids))))
