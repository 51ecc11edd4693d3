"""The JSON side as a whole: one folder, one lock, every shelf."""

import contextlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from store import codec
from store.errors import StoreError, UnreadableError
from store.files.layout import SHELVES
from store.files.lock import StoreLock
from store.files.replace import make_folders, remove_leftovers, write_all
from store.files.shelves import Changes, Entry, OwnFiles, Plan, file_name, read_or_none
from store.files.system import Signature, System, told_as_json_side
from store.files.user_files import UserFiles
from store.mapping import MAPPINGS, Record

# A kill may fall between any two files. So links that mirror another record's are written before those, which can then
# be repeated, and who points at others is written or removed before what it points at goes away.
_MIRRORS_FIRST = [kind for kind in MAPPINGS if isinstance(SHELVES[kind], OwnFiles)]
_POINTERS_FIRST = list(reversed(MAPPINGS))
Entity = tuple[str, str]  # kind, id


class JsonSide:
    """The files below ``data_dir``; what is Tandem's own lies below ``own_dir``."""

    def __init__(self, data_dir: Path, own_dir: Path, system: System | None = None) -> None:
        self.data_dir, self.own_dir = data_dir, own_dir
        self.system = system or System()
        self.lock = StoreLock(self.system, own_dir / "store.lock")

    def plan(self, changes: dict[str, Changes]) -> tuple[dict[str, bytes | None], dict[Entity, StoreError]]:
        """What to write for changes by kind, in the order to write it, and what is refused. The caller holds the
        lock."""
        files: dict[str, bytes | None] = {}
        refused: dict[Entity, StoreError] = {}
        plans: dict[str, Plan] = {}
        for kind in _POINTERS_FIRST:
            if some := changes.get(kind):
                with told_as_json_side(self.data_dir):
                    plans[kind] = SHELVES[kind].plan(self.system, self.data_dir, some)
                refused.update({(kind, record_id): error for record_id, error in plans[kind].refused.items()})
        for kind in _MIRRORS_FIRST:
            if kind in plans:
                files.update({path: data for path, data in plans[kind].files.items() if data is not None})
        for plan in plans.values():
            files.update(plan.files)
        return files, refused

    def write(self, files: dict[str, bytes | None]) -> None:
        """Replace and remove files, durably. Raises JsonSideError; then no file is half-written. The caller holds the
        lock."""
        with told_as_json_side(self.data_dir):
            write_all(self.system, self.data_dir, ((self.data_dir / path, data) for path, data in files.items()))

    def entry(self, kind: str, record_id: str) -> Entry | None:
        """The record as its file has it, None when there is none. Raises UnreadableError."""
        doubt: UnreadableError | None = None
        for path in SHELVES[kind].paths(record_id):
            data = read_or_none(self.system, self.data_dir, path)
            if data is None:
                continue
            entries, bad = SHELVES[kind].parse(path, data)
            for entry in entries:
                if entry.id == record_id:
                    return entry
            # A bad record whose id cannot be told may be the one.
            doubt = doubt or next((error for named, error in bad if named in (record_id, None)), None)
        if doubt:
            raise doubt
        return None

    def entries(self, kind: str) -> Iterator[Entry | UnreadableError]:
        """Every record of a kind, and an error for each that cannot be read."""
        for path, _ in self.files(kind):
            try:
                data = read_or_none(self.system, self.data_dir, path)
            except UnreadableError as error:
                yield error
                continue
            entries, bad = SHELVES[kind].parse(path, data) if data is not None else ([], [])
            yield from entries
            yield from (error for _, error in bad)

    def files(self, kind: str) -> Iterator[tuple[str, Signature]]:
        """Path (below the data folder) and signature of every file of a kind."""
        with told_as_json_side(self.data_dir):
            yield from SHELVES[kind].files(self.system, self.data_dir)

    def is_empty(self) -> bool:
        """Whether there is no record at all; a file that cannot be read counts as one."""
        return not any(True for kind in SHELVES for _ in self.entries(kind))

    def settle(self, kinds: Iterable[str], written: Iterable[str]) -> None:
        """Make sure of files that were as they should be already: whoever renamed them may have died before the folder
        was on the disk. The folders of files just ``written`` are. The caller holds the lock.
        """
        done = {path.rpartition("/")[0] for path in written}
        with told_as_json_side(self.data_dir):
            for folder in dict.fromkeys(folder for kind in kinds for folder in SHELVES[kind].folders()):
                if folder not in done and self.system.is_folder(self.data_dir / folder):
                    self.system.sync_folder(self.data_dir / folder)

    def make_folder(self) -> None:
        """Make the data folder when there is none."""
        with told_as_json_side(self.data_dir):
            for folder in make_folders(self.system, self.data_dir):
                self.system.sync_folder(folder)

    def write_own(self, name: str, data: bytes) -> None:
        """Replace a file of Tandem's own, durably. The caller holds the lock."""
        with told_as_json_side(self.own_dir):
            write_all(self.system, self.own_dir, [(self.own_dir / name, data)])

    def remove_own(self, name: str) -> None:
        """Remove a file of Tandem's own, durably. The caller holds the lock."""
        with told_as_json_side(self.own_dir):
            write_all(self.system, self.own_dir, [(self.own_dir / name, None)])

    def clean(self) -> None:
        """Take away what killed writes left, and put on the disk what they had not yet. The caller holds the lock."""
        folders = [self.data_dir / path for shelf in SHELVES.values() for path in shelf.folders()]
        with told_as_json_side(self.data_dir):
            remove_leftovers(self.system, [*folders, self.own_dir])
            with contextlib.suppress(UnreadableError):
                if double := UserFiles().double(self.system, self.data_dir):
                    self.system.remove(self.data_dir / double)
            for folder in (self.data_dir.parent, self.data_dir, *folders):
                if self.system.is_folder(folder):
                    self.system.sync_folder(folder)

    def set_aside(self, kind: str, ids: Iterable[str]) -> None:
        """Copy the files of records into the quarantine before they go. The caller holds the lock."""
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        folder = self.own_dir / "quarantine" / moment
        copies: dict[Path, bytes | None] = {}
        for record_id in ids:
            with contextlib.suppress(UnreadableError):
                if entry := self.entry(kind, record_id):
                    copies[folder / kind / file_name(record_id)] = codec.dumps_pretty(entry.record)
        if copies:
            with told_as_json_side(folder):
                write_all(self.system, self.own_dir, copies.items())


def record_of(entry: Entry) -> Record:
    """The record in canonical form: what its document understood, without what it did not know."""
    return entry.document.model_dump()
