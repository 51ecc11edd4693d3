"""Two folders of the JSON side, file by file: for whoever wants to know what a roll back would bring."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from store.errors import NotFoundError
from store.files.side import JsonSide
from store.files.system import told_as_json_side

_AT_ONCE = 1 << 20


@dataclass
class Contrast:
    """Paths that the other folder has besides, has no more, and has with other bytes; how many are the same."""

    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    same: int = 0

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.removed or self.changed)


def contrast(side: JsonSide, other: Path) -> Contrast:
    """What ``other`` has differently from the files in use. Files that both share by a link are not even read."""
    with told_as_json_side(other):
        if not other.is_dir():
            raise NotFoundError(f"There is no folder {other.name}.", hint="Look at the list of generations.")
        now, then = _files(side.data_dir), _files(other)
        found = Contrast(sorted(then.keys() - now.keys()), sorted(now.keys() - then.keys()))
        for path in sorted(now.keys() & then.keys()):
            if _are_equal(side.data_dir / path, now[path], other / path, then[path]):
                found.same += 1
            else:
                found.changed.append(path)
    return found


def _files(folder: Path) -> dict[str, os.stat_result]:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            found[path.relative_to(folder).as_posix()] = path.stat()
    return found


def _are_equal(one: Path, one_is: os.stat_result, other: Path, other_is: os.stat_result) -> bool:
    if os.path.samestat(one_is, other_is):
        return True
    if one_is.st_size != other_is.st_size:
        return False
    with one.open("rb") as first, other.open("rb") as second:
        while data := first.read(_AT_ONCE):
            if data != second.read(_AT_ONCE):
                return False
    return True
