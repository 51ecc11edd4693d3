"""Whose turn it is: which backend the data is worked on with, for every process that works on it.

A process that was started before the last switch refuses to write. So no worker that is still on ``sql`` can change the
database while the files are what counts, nor the other way round.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store.database import Database
from store.errors import SwitchedError
from store.files.side import JsonSide
from store.files.system import told_as_json_side
from store.settings import Backend
from store.statements import Statement, read

STATE_KEY = "turn"  # "<backend> <number>", in SQL and in a file of the same name below the own folder


class Turn:
    """The turn of one process. Until ``take`` every check passes: then nothing was started yet."""

    def __init__(self, backend: Backend, database: Database, side: JsonSide) -> None:
        self._backend, self._database, self._side = backend, database, side
        self._mine: str | None = None
        state = database.own.state
        # Whoever takes the turn waits until who has asked is done.
        wanted = sa.select(state.c.value).where(state.c.key == STATE_KEY).with_for_update(read=True)
        self._whose = Statement(lambda dialect: wanted)

    def take(self) -> None:
        """Begin to work with this backend: processes that work with another write no more. The caller holds the store
        lock where there is one. Raises DatabaseError; JsonSideError when the files do not know it yet."""
        state = self._database.own.state
        with self._database.write() as connection:
            now = self._in_sql(connection) or self._in_file() or ""
            backend, _, number = now.partition(" ")
            if backend != self._backend:
                now = f"{self._backend} {int(number or 0) + 1}"
                # Updated in place: who waits for this row to check it, sees the new value and not that it is gone.
                here = state.c.key == STATE_KEY
                if not connection.execute(sa.update(state).where(here).values(value=now)).rowcount:
                    connection.execute(sa.insert(state).values(key=STATE_KEY, value=now))
        self._mine = now
        self.tell_files()

    def tell_files(self) -> None:
        """Write beside the files whose turn it is, where SQL says that it is this process's and the files do not know;
        nothing where there is no JSON side. A process that could not take its turn at its start takes it now. The
        caller holds the store lock. Raises JsonSideError."""
        if self._mine is None:
            self.take()
        if not self._side.system.is_folder(self._side.own_dir):
            return
        if self._mine is not None and self._database.get_state(STATE_KEY) == self._mine != self._in_file():
            self._side.write_own(STATE_KEY, self._mine.encode())

    def check(self, connection: Connection, *also: Statement) -> list[Any]:
        """Raise SwitchedError when it is another's turn. Within the transaction that writes to SQL: nobody takes the
        turn before it ends. What is asked ``also`` takes no round trip of its own; the first value of each."""
        asked: list[tuple[Statement, dict[str, Any]]] = [(one, {}) for one in (self._whose, *also)]
        turn, *others = (found[0][0] if found else None for found in read(connection, *asked))
        if self._mine is not None:
            self._compare(turn)
        return others

    def check_alone(self, connection: Connection) -> None:
        """The same, and everybody who checks waits until the transaction ends, as it waits for those who did."""
        state = self._database.own.state
        now = connection.scalar(sa.select(state.c.value).where(state.c.key == STATE_KEY).with_for_update())
        if self._mine is not None:
            self._compare(now)

    def check_files(self) -> None:
        """The same for who writes the files. The caller holds the store lock."""
        if self._mine is not None:
            self._compare(self._in_file())

    def _compare(self, now: str | None) -> None:
        if now is not None and now != self._mine:
            backend = now.partition(" ")[0]
            raise SwitchedError(f"Another process has gone over to DATA_BACKEND={backend}.")

    def _in_sql(self, connection: Connection) -> str | None:
        value: str | None = self._whose.value(connection)
        return value

    def _in_file(self) -> str | None:
        with told_as_json_side(self._side.own_dir):
            try:
                return self._side.system.read(self._side.own_dir / STATE_KEY).decode("ascii", "replace")
            except FileNotFoundError:
                return None
