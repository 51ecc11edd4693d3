"""Whether the two sides were ever brought together. Until they were, nothing is written over either."""

import functools
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from store import capture, rows
from store.database import Database
from store.deriving import Loader, current_state, plan_logs
from store.errors import NotInStepError
from store.files.replace import Append
from store.files.side import JsonSide
from store.files.system import told_as_json_side
from store.mapping import MAPPINGS
from store.outbox import LOGS_AT_ONCE, Outbox
from store.statements import Statement

STATE_KEY = "in_step_with"  # remembers which data folder the database was brought together with
BOND_FILE = "bond"  # the other half of it, below the own folder


@dataclass(frozen=True)
class Step:
    """Where the two sides stand to each other, in words. ``can_fill_json``: SQL may be written to the empty JSON side
    now."""

    in_step: bool
    sentence: str
    hint: str = ""
    can_fill_json: bool = False


IN_STEP = Step(True, "Both sides are kept equal.")


@dataclass(frozen=True)
class FolderBond:
    """One database and one folder. Each start and clean stop writes the same new token on both sides, so that a side
    that was put back from a backup, or made anew, is noticed: its token is another.
    """

    database: Database
    side: JsonSide

    def holds(self) -> bool:
        """Whether both sides bear the same token, and the folder is the one it was."""
        token, _, path = (self.database.get_state(STATE_KEY) or "").partition(" ")
        try:
            kept = self.side.system.read(self.side.own_dir / BOND_FILE).decode("ascii", "replace")
        except OSError:
            return False
        return bool(token) and path == self._path() and kept == f"{token} {self._folder()}"

    @functools.cached_property
    def known(self) -> Statement:
        """What asks the database which folder it knows."""
        state = self.database.own.state
        return Statement(lambda _: sa.select(state.c.value).where(state.c.key == STATE_KEY))

    def broken(self, known: str | None) -> str | None:
        """Why the two do not belong together any more, while running: the folder was replaced, or another is in use."""
        if (known or "").partition(" ")[2] != self._path():
            return "The database was brought together with another folder."
        try:
            kept = self.side.system.read(self.side.own_dir / BOND_FILE).decode("ascii", "replace")
        except OSError:
            return None  # may be deleted by hand; the next start compares everything
        if kept.partition(" ")[2] != self._folder():
            return f"{self.side.data_dir} is not the folder any more that it was."
        return None

    def renew(self, also: Callable[[sa.Connection], None] = lambda connection: None) -> None:
        """Write a new token on both sides. The caller holds the store lock. Killed in between, the next start compares.

        ``also`` is carried out in the same transaction.
        """
        token, state = secrets.token_hex(8), self.database.own.state
        with self.database.write() as connection:
            connection.execute(sa.delete(state).where(state.c.key == STATE_KEY))
            connection.execute(sa.insert(state).values(key=STATE_KEY, value=f"{token} {self._path()}"))
            also(connection)
        self.side.write_own(BOND_FILE, f"{token} {self._folder()}".encode())

    def _path(self) -> str:
        return str(self.side.data_dir.absolute())

    def _folder(self) -> str:
        with told_as_json_side(self.side.data_dir):
            return str(self.side.system.signature(self.side.data_dir).inode)


def look(database: Database, side: JsonSide, outbox: Outbox) -> Step:
    """Find out, and remember when both sides are together. Changes no record. The caller holds the store lock."""
    side.make_folder()
    sql_empty, json_empty = sql_is_empty(database), side.is_empty()
    bond = FolderBond(database, side)
    known = bool(database.get_state(STATE_KEY))
    together = bond.holds()
    if (
        (sql_empty and json_empty)
        or (together and sql_empty == json_empty)
        or (known and _only_pending(database, side))
    ):
        step = IN_STEP
    elif json_empty:
        step = Step(
            False,
            "The database holds records, the JSON side none.",
            "Write the JSON side from SQL now; until then changes are kept in SQL and wait.",
            can_fill_json=True,
        )
    elif sql_empty:
        step = Step(
            False,
            "The JSON side holds records, the database none.",
            "Start with DATA_BACKEND=json to work on these files, or give Tandem the database they came from.",
        )
    elif different := count_differences(database, side, outbox.loader):
        step = Step(
            False,
            f"Both sides hold records and {different} of them differ.",
            f"Move {side.data_dir} aside and write the JSON side from SQL, or work with DATA_BACKEND=sql or json.",
        )
    else:
        step = IN_STEP
    if step.in_step:
        bond.renew()
        outbox.bond = bond
    outbox.apart = None if step.in_step else NotInStepError(step.sentence, hint=step.hint)
    return step


def fill_json_side(database: Database, side: JsonSide, outbox: Outbox) -> None:
    """Write everything SQL has to a JSON side that holds nothing. Killed anywhere, the next start goes on with it.

    Raises NotInStepError when the JSON side holds records; JsonSideError when it cannot be written, and then the rest
    waits.
    """
    if not side.is_empty():
        raise NotInStepError("The JSON side holds records by now.")
    with side.lock.hold(15):
        side.make_folder()
        outbox.bond = FolderBond(database, side)
        outbox.bond.renew(also=lambda connection: outbox.mark_everything(connection, capture.KINDS))
    outbox.apart = None
    outbox.apply(timeout=15)


def sql_is_empty(database: Database) -> bool:
    """Whether Quilltap's tables hold no record."""
    with database.read() as connection:
        return all(
            connection.execute(sa.select(sa.literal(1)).select_from(mapping.main).limit(1)).first() is None
            for mapping in MAPPINGS.values()
        )


def _only_pending(database: Database, side: JsonSide) -> bool:
    """Whether every record of the fuller side waits in the outbox: then the emptier side is merely behind."""
    waits = _waiting(database)
    with database.read() as connection:
        ids = {(kind, one) for kind, mapping in MAPPINGS.items() for one in rows.all_ids(connection, mapping)}
    for kind in MAPPINGS:
        ids |= {(kind, entry.id) for entry in side.entries(kind) if not isinstance(entry, Exception)}
    return all(waits(*one) for one in ids)


def count_differences(database: Database, side: JsonSide, loader: Loader) -> int:
    """How many records are not the same on both sides, counting what is there on one side only or cannot be read.

    What waits in the outbox does not count: that it differs is known.
    """
    different = 0
    waits = _waiting(database)
    for kind, mapping in MAPPINGS.items():
        with database.read() as connection:
            ids = rows.all_ids(connection, mapping)
            entries = list(side.entries(kind))
            extra = {entry.id for entry in entries if not isinstance(entry, Exception)} - set(ids)
            unreadable, untouchable = sum(isinstance(entry, Exception) for entry in entries), 0
            for some in rows.chunks(one for one in ids if not waits(kind, one)):
                changes, unfit = current_state(connection, loader, [(kind, one) for one in some])
                files, refused = side.plan(changes)
                # An aggregate is one file for many: one difference at least.
                different += len(files) + len(unfit)
                untouchable += len(refused)
            different += sum(not waits(kind, one) for one in extra)
            different += max(unreadable, untouchable)  # a bad file may be no record's that SQL has
    return different + _different_logs(database, side, waits)


def _different_logs(database: Database, side: JsonSide, waits: Callable[[str, str], bool]) -> int:
    """How many chats' files do not hold the messages that SQL has."""
    different = 0
    with database.read() as connection:
        ids = {*rows.all_ids(connection, MAPPINGS["chat"]), *side.log_ids()}
        # A message that waits is not known by its chat, but then so do the totals of its chat.
        asked = [one for one in sorted(ids) if not waits(capture.LOG, one) and not waits(capture.TOTALS, one)]
        for some in rows.chunks(asked, LOGS_AT_ONCE):
            files, refused = plan_logs(connection, side, [(capture.LOG, one) for one in some])
            changed = [one for one in files.values() if not (isinstance(one, Append) and not one.data)]
            different += len(changed) + len(refused)
    return different


def _waiting(database: Database) -> Callable[[str, str], bool]:
    """Tells of a record whether it waits in the outbox."""
    with database.read() as connection:
        entries = {(row.kind, row.entity_id) for row in connection.execute(sa.select(database.own.outbox))}
    return lambda kind, record_id: (kind, record_id) in entries or (kind, capture.EVERYTHING) in entries
