"""Files that need not be rendered once more: their bytes were made of a snapshot, and what lies on the disk is those
bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from store.files.pieces import Entry
from store.validation.report import Rejected
from store.validation.tally import Tally


@dataclass(frozen=True)
class Known:
    """What a file has to hold. ``rows``: how many of each table it was made of, in the order of the tables."""

    entry: Entry
    rows: tuple[int, ...]
    rejected: tuple[Rejected, ...] = ()


class Vouched:
    """Path -> what its file holds: that was seen."""

    def __init__(self, files: Mapping[str, Known]) -> None:
        self._files = files

    def take(self, path: str, tables: Iterable[Table], tally: Tally) -> bool:
        """Whether the file is known; then it goes into the tally."""
        if (known := self._files.get(path)) is None:
            return False
        for table, number in zip(tables, known.rows, strict=True):
            tally.equal(table, number)
        tally.reject(known.rejected)
        return True


NOTHING = Vouched({})
