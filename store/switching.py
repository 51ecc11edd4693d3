"""Going over from one backend to another: what the side that counted has to give the other first."""

from store import steps
from store.database import Database
from store.errors import NotInStepError, StoreError
from store.files.side import JsonSide
from store.following import STATE_KEY, Following
from store.outbox import Outbox


def follows_files(database: Database) -> bool:
    """Whether the database was last kept as the files of some folder."""
    return database.get_state(STATE_KEY) is not None


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
    following.begin()
    return None


def catch_up_with_files(database: Database, following: Following) -> StoreError | None:
    """Give the database what the files were changed by while they counted; what still stands in the way of that."""
    if not follows_files(database):
        return None
    if following.belongs():
        following.apply(1)
        if not following.pending():
            return None
    problems = following.problems()
    reason = problems[0].message if problems else "It was taken from another folder."
    return NotInStepError(
        f"The files hold changes that the database does not have. {reason}",
        hint="Start with DATA_BACKEND=json, mend what is told there, and go over again.",
    )
