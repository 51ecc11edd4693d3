"""Whether the two sides were ever brought together. Until they were, nothing is written over either."""

from dataclasses import dataclass

import sqlalchemy as sa

from store import capture, rows
from store.database import Database
from store.errors import NotInStepError
from store.files.side import JsonSide
from store.mapping import MAPPINGS
from store.outbox import Outbox, current_state

STATE_KEY = "in_step_with"  # remembers the data folder the database was brought together with


@dataclass(frozen=True)
class Step:
    """Where the two sides stand to each other, in words. ``can_fill_json``: SQL may be written to the empty JSON side
    now."""

    in_step: bool
    sentence: str
    hint: str = ""
    can_fill_json: bool = False


IN_STEP = Step(True, "Both sides are kept equal.")


def look(database: Database, side: JsonSide, outbox: Outbox) -> Step:
    """Find out, and remember when both sides are together. Changes no record and no file."""
    sql_empty, json_empty = _sql_is_empty(database), side.is_empty()
    together = database.get_state(STATE_KEY) == str(side.data_dir.resolve())
    if (sql_empty and json_empty) or (together and (sql_empty == json_empty or _only_pending(database, side))):
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
    elif different := count_differences(database, side):
        step = Step(
            False,
            f"Both sides hold records and {different} of them differ.",
            f"Move {side.data_dir} aside and write the JSON side from SQL, or work with DATA_BACKEND=sql or json.",
        )
    else:
        step = IN_STEP
    if step.in_step and not together:
        database.set_state(STATE_KEY, str(side.data_dir.resolve()))
    outbox.apart = None if step.in_step else NotInStepError(step.sentence, hint=step.hint)
    return step


def fill_json_side(database: Database, side: JsonSide, outbox: Outbox) -> None:
    """Write everything SQL has to a JSON side that holds nothing. Killed anywhere, the next start goes on with it.

    Raises NotInStepError when the JSON side holds records; JsonSideError when it cannot be written, and then the rest
    waits.
    """
    if not side.is_empty():
        raise NotInStepError("The JSON side holds records by now.")
    table, state = database.own.outbox, database.own.state
    with database.write() as connection:
        connection.execute(sa.delete(state).where(state.c.key == STATE_KEY))
        connection.execute(sa.insert(state).values(key=STATE_KEY, value=str(side.data_dir.resolve())))
        entries = [{"kind": kind, "entity_id": capture.EVERYTHING} for kind in MAPPINGS]
        connection.execute(sa.insert(table), entries)
    outbox.apart = None
    outbox.apply(timeout=15)


def _sql_is_empty(database: Database) -> bool:
    with database.read() as connection:
        return all(
            connection.execute(sa.select(mapping.main.c.id).limit(1)).first() is None for mapping in MAPPINGS.values()
        )


def _only_pending(database: Database, side: JsonSide) -> bool:
    """Whether every record of the fuller side waits in the outbox: then the emptier side is merely behind."""
    table = database.own.outbox
    with database.read() as connection:
        waiting = {(row.kind, row.entity_id) for row in connection.execute(sa.select(table))}
        ids = {(kind, one) for kind, mapping in MAPPINGS.items() for one in rows.all_ids(connection, mapping)}
    for kind in MAPPINGS:
        ids |= {(kind, entry.id) for entry in side.entries(kind) if not isinstance(entry, Exception)}
    return all(one in waiting or (one[0], capture.EVERYTHING) in waiting for one in ids)


def count_differences(database: Database, side: JsonSide) -> int:
    """How many records are not the same on both sides, counting what is there on one side only or cannot be read."""
    different = 0
    for kind, mapping in MAPPINGS.items():
        with database.read() as connection:
            ids = rows.all_ids(connection, mapping)
            entries = list(side.entries(kind))
            extra = {entry.id for entry in entries if not isinstance(entry, Exception)} - set(ids)
            unreadable, untouchable = sum(isinstance(entry, Exception) for entry in entries), 0
            for some in rows.chunks(ids):
                changes, unfit = current_state(connection, [(kind, one) for one in some])
                files, refused = side.plan(changes)
                # An aggregate is one file for many: one difference at least.
                different += len(files) + len(unfit)
                untouchable += len(refused)
            different += len(extra) + max(unreadable, untouchable)  # a bad file may be no record's that SQL has
    return different
