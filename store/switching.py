"""Going over from one backend to another: what the side that counted has to give the other first."""

from collections.abc import Callable
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture, steps
from store.database import Database
from store.errors import NotInStepError, StoreError
from store.files import behind
from store.files.index import JsonIndex
from store.files.side import JsonSide
from store.following import Following
from store.giving import Giving, records_in_sql
from store.outbox import Outbox

OWED_KEY = "files_are_newer"  # set while the files count, until the database was given everything


class Writer(Protocol):
    """What changes the files, as one unit."""

    def changing(self, work: Callable[[Connection], None], entities: Callable[[None], list[Any]]) -> object: ...


def follows_files(database: Database) -> bool:
    """Whether the files have counted since the database was last given all they hold."""
    return database.get_state(OWED_KEY) is not None


def apart(
    database: Database, side: JsonSide, outbox: Outbox, following: Following, together: bool, lost: int
) -> StoreError | None:
    """Why the database cannot follow the files: it holds something else. None when it follows from now on.

    ``together``: both were kept equal until now; ``lost``: so many triggers were missing, so that it may have been
    changed unseen.
    """
    if not (
        (following.belongs() and not lost)
        or (together and not lost and outbox.is_empty())
        or steps.sql_is_empty(database)
        or not steps.count_differences(database, side, outbox.loader)
    ):
        return NotInStepError(
            "The database is left as it is: it holds other records than these files.",
            hint="To have it follow them, name an empty database in DATABASE_URL, or bring both sides together first.",
        )
    if side.is_empty() and not steps.sql_is_empty(database):  # a disk that is not there looks just like this
        return NotInStepError(
            f"{side.data_dir} holds no record, and the database does: it is left as it is.",
            hint="Is the right disk in its place? To begin anew, name an empty database in DATABASE_URL.",
        )
    following.begin()
    database.set_state(OWED_KEY, "yes")
    return None


def catch_up_with_files(database: Database, following: Following) -> StoreError | None:
    """Give the database what the files were changed by while they counted; what still stands in the way of that."""
    if following.belongs():
        following.apply(1)
        if not following.pending():
            _have_totals_told(database, following.index)
            database.set_state(OWED_KEY, None)
            return None
    problems = following.problems()
    reason = problems[0].message if problems else "It was taken from another folder."
    return NotInStepError(
        f"The files hold changes that the database does not have. {reason}",
        hint="Start with DATA_BACKEND=json, mend what is told there, and go over again.",
    )


def take_what_sql_got(database: Database, following: Following, files: Writer) -> None:
    """Bring to the files what was changed in the database while it counted, and the files did not: it was answered.
    What both sides changed stays as it is, and is told. Raises StoreError when the files do not take it."""
    outbox, own = database.own.outbox, following.index.database.own.outbox
    with database.read() as connection:
        waiting = {(row.kind, row.entity_id) for row in connection.execute(sa.select(outbox))}
        mark = following.mark(connection)
        with following.index.database.read() as there:
            if not behind.knows(there, mark):  # then it cannot be said what the files changed
                return
            entities = waiting - behind.entities(there)
        wanted = records_in_sql(connection, entities)
    if not wanted:
        return

    def work(connection: Connection) -> None:
        for problem in Giving(connection, own, wanted, heed=False).give().values():
            raise problem

    files.changing(work, lambda _: [])


def _have_totals_told(database: Database, index: JsonIndex) -> None:
    """What the lines of chats say about their messages may be old: who writes the files from now on has to look."""
    there, here = index.database.own.outbox, database.own.outbox
    old = sa.select(there.c.entity_id).where(there.c.kind == capture.TOTALS).distinct()
    waiting = sa.select(here.c.entity_id).where(here.c.kind == "chat")
    with index.database.read() as connection:
        chats = set(connection.scalars(old))
    with database.write() as connection:
        told = [{"kind": "chat", "entity_id": one} for one in chats - set(connection.scalars(waiting))]
        if told:
            connection.execute(sa.insert(here), told)
