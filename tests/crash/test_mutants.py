"""Why the order of steps, the lock and the exact acknowledgement are needed: each is taken out, and a check fails.

In every case somebody writes at the worst moment: after an applier has read and before it has written. The checks are
the ones the real code passes right beside. (For syncs and files see ``test_power_cut.py``.)
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from store import Store
from store.database import Session
from store.errors import LockedError, StoreError
from store.files.shelves import Changes, Entity
from store.outbox import Outbox
from tests.crash import reader
from tests.crash.world import ADA, HERO, populate
from tests.factories import files_below, open_test_store


class Met(Outbox):
    """An outbox in whose way somebody comes: ``meeting`` happens once, between reading state and writing files."""

    meeting: Callable[[], None] | None = None

    def _state(self, session: Session, entities: set[Entity]) -> tuple[dict[str, Changes], dict[Entity, StoreError]]:
        found = super()._state(session, entities)
        self._meet()
        return found

    def _meet(self) -> None:
        if self.meeting:
            meeting, self.meeting = self.meeting, None
            meeting()


class AllEntriesOfTheRecord(Met):
    """Acknowledges whatever there is of the records it wrote."""

    def _acknowledge(self, session: Session, seqs: Iterable[int]) -> None:
        table = self._table
        with session.write(durable=False) as connection:
            these = sa.select(table.c.entity_id).where(table.c.seq.in_(list(seqs)))
            connection.execute(sa.delete(table).where(table.c.entity_id.in_(these)))


class StateBeforeEntries(Met):
    """Reads what is to be written first, and then what waits."""

    def _drain(self, totals: bool, at_hand: Session | None = None) -> dict[Entity, StoreError]:
        if self.is_empty():
            return {}
        with self._database.session() as session:
            state = Outbox._state(self, session, {("character", HERO)})
            self._meet()
            entries = self._entries(session, 0, totals)
            files, _ = self._side.plan(state[0])
            self._side.write(files)
            self._acknowledge(session, list(entries))
        return {}


class CursorOverNumbers(Met):
    """Never looks at a number below the highest it has seen."""

    seen = 0

    def _entries(self, session: Session, after: int, totals: bool) -> dict[int, Entity]:
        found = super()._entries(session, max(after, self.seen), totals)
        self.seen = max([self.seen, *found])
        return found


class Unlocked:
    """A lock that holds nobody off."""

    @contextlib.contextmanager
    def hold(self, timeout: float = 0) -> Iterator[None]:
        yield


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path)
    populate(opened)
    yield opened
    opened.close()


def write(store: Store, name: str) -> None:
    """A write by another program: nothing applies it."""
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE characters SET name = :name WHERE id = :id"), {"name": name, "id": HERO})


def wrong(store: Store) -> list[str]:
    """What is not as SQL says, once nobody writes any more and nothing waits."""
    store.outbox.apply()
    sql = reader.read_sql(str(store.database.engine.url.render_as_string(hide_password=False)))
    return reader.differences(sql, files_below(store.settings.data_dir))


def become(store: Store, kind: type[Outbox], meeting: Callable[[], None]) -> None:
    store.outbox.__class__ = kind
    store.outbox.meeting = meeting  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "holds"),
    [(Met, True), (AllEntriesOfTheRecord, False), (StateBeforeEntries, False)],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_a_write_between_reading_and_acknowledging_is_not_forgotten(
    store: Store, kind: type[Outbox], holds: bool
) -> None:
    write(store, "first")
    become(store, kind, lambda: write(store, "second"))
    store.outbox.apply()
    assert (wrong(store) == []) is holds


@pytest.mark.parametrize("locked", [True, False], ids=["with the lock", "without it"])
def test_an_older_state_is_never_written_over_a_newer_one(tmp_path: Path, store: Store, locked: bool) -> None:
    other = open_test_store(tmp_path)
    if not locked:
        for one in (store, other):
            one.side.lock = Unlocked()  # type: ignore[assignment]

    def overtake() -> None:
        write(other, "newer")
        with contextlib.suppress(LockedError):
            other.outbox.apply()

    write(store, "older")
    become(store, Met, overtake)
    store.outbox.apply()
    assert (wrong(store) == []) is locked
    other.close()


@pytest.mark.parametrize(
    ("kind", "holds"), [(Met, True), (CursorOverNumbers, False)], ids=lambda one: getattr(one, "__name__", str(one))
)
def test_an_entry_that_is_committed_late_is_not_passed_over(
    tmp_path: Path, postgres_url: str, kind: type[Outbox], holds: bool
) -> None:
    store = open_test_store(tmp_path, postgres_url)
    populate(store)
    become(store, kind, lambda: None)
    store.outbox.apply()
    with psycopg.connect(postgres_url) as slow:
        slow.execute("UPDATE users SET name = 'slow' WHERE id = %s", (ADA,))  # its number is drawn, it is not committed
        write(store, "fast")
        store.outbox.apply()
        slow.commit()
    assert (wrong(store) == []) is holds
    store.close()


def test_the_mutants_are_otherwise_sound(store: Store) -> None:
    """They fail for the guard they lack, not because they do nothing."""
    for kind in (AllEntriesOfTheRecord, StateBeforeEntries, CursorOverNumbers):
        write(store, kind.__name__)
        become(store, kind, lambda: None)
        before: Any = files_below(store.settings.data_dir)
        store.outbox.apply()
        assert files_below(store.settings.data_dir) != before
        assert wrong(store) == []
