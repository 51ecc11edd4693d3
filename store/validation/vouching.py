"""Files that need not be rendered once more: their bytes were made of a snapshot, and what lies on the disk is those
bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Table

from store.files.hashing import Entry, entry_of
from store.files.side import JsonSide
from store.validation.report import Rejected
from store.validation.tally import Tally


@dataclass(frozen=True)
class Known:
    """What a file has to hold. ``rows``: how many of each table it was made of, in the order of the tables."""

    entry: Entry
    rows: tuple[int, ...]
    rejected: tuple[Rejected, ...] = ()


class Vouched:
    """Path -> what its file has to hold. ``seen``: the bytes on the disk were compared already."""

    def __init__(self, files: Mapping[str, Known], *, seen: bool = False) -> None:
        self._files, self._seen = files, seen

    def take(self, side: JsonSide, path: str, tables: Iterable[Table], tally: Tally) -> bool:
        """Whether the file is read back as what it was made of; then it goes into the tally."""
        known = self._files.get(path)
        if known is None or not (self._seen or self._is_there(side, path, known)):
            return False
        for table, number in zip(tables, known.rows, strict=True):
            tally.equal(table, number)
        tally.reject(known.rejected)
        return True

    @staticmethod
    def _is_there(side: JsonSide, path: str, known: Known) -> bool:
        try:
            return entry_of(side.system, side.data_dir / path) == known.entry
        except OSError:  # whoever looks closer will say what is wrong with it
            return False


NOTHING = Vouched({})
