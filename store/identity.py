"""Users whose id is another one on the two sides. It is part of what encrypts their secrets, and everything that is
theirs hangs on it: Tandem carries no such change from the files to the database."""

import sqlalchemy as sa
from sqlalchemy import Connection

from store.errors import ConflictError
from store.tables.users import users


def changed_ids(files: Connection, sql: Connection) -> dict[str, str]:
    """New id -> old id, of users that only the files have and whose address a user has that only the database has."""
    wanted = sa.select(users.c.email, users.c.id)
    here = {row.email: row.id for row in files.execute(wanted)}
    there = {row.email: row.id for row in sql.execute(wanted)}
    both = set(here.values()) & set(there.values())
    pairs = ((here[email], there[email]) for email in here.keys() & there.keys())
    return {new: old for new, old in pairs if new != old and not {new, old} & both}


def refusal(new: str, old: str) -> ConflictError:
    """What to say of one."""
    return ConflictError(
        f"The user's id changed from {old} to {new} in the files; its secrets are encrypted for the old id, and "
        "everything that is the user's hangs on it.",
        hint=f"Put {old} back in the files; this user was left as it is in the database.",
    )
