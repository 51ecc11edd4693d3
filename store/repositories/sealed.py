"""Records with secrets: whatever a process had encrypted before, it is written under the pepper that is in use."""

from typing import TypeVar

from sqlalchemy import Connection

from store import rows
from store.documents import Document
from store.mapping import Rows
from store.peppers import Peppers
from store.repositories.base import Repository
from store.secrets import CIPHERS, Cipher

D = TypeVar("D", bound=Document)


class SealedRepository(Repository[D]):
    """A noun whose records hold secrets. Without ``peppers`` they are written as they are given."""

    peppers: Peppers | None = None

    def _before_write(self, connection: Connection, new: Rows) -> None:
        super()._before_write(connection, new)
        row = new[self._main.name][0]
        ciphers = [(names, owner, Cipher.found_in(row, names)) for names, owner in CIPHERS[self.kind]]
        if self.peppers is None or not any(found for *_, found in ciphers) or not self.peppers.heed(connection):
            return
        there = rows.load(connection, self._mapping, [row[self._mapping.key]]).get(row[self._mapping.key])
        before = there[self._main.name][0] if there else {}
        for names, owner, cipher in ciphers:
            if cipher and cipher != Cipher.found_in(before, names):
                row.update(self.peppers.sealed(row[owner], cipher).spelled(names))
