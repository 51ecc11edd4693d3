"""The JSON side as a whole: one folder, one lock, every shelf."""

import contextlib
import functools
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from store import codec
from store.errors import StoreError, UnreadableError
from store.files import logs
from store.files.journal import Journal, Written
from store.files.layout import SHELVES
from store.files.lock import StoreLock
from store.files.public import PublicFiles
from store.files.replace import Append, CopyOf, Write, make_folders, remove_leftovers, write_all
from store.files.shelves import Changes, Context, Entity, Entry, OwnFiles, Plan, Shelf, file_name, read_or_none
from store.files.system import Signature, System, told_as_json_side
from store.files.user_files import UserFiles
from store.mapping import MAPPINGS, Record

# A kill may fall between any two files. So links that mirror another record's are written before those, which can then
# be repeated, and who points at others is written or removed before what it points at goes away.
_POINTERS_FIRST = list(reversed(MAPPINGS))

log = logging.getLogger("tandem.files")


class JsonSide:
    """The files below ``data_dir``; what is Tandem's own lies below ``own_dir``."""

    def __init__(
        self, data_dir: Path, own_dir: Path, system: System | None = None, *, public_dir: Path | None = None
    ) -> None:
        """``public_dir`` is where the bytes of images lie; without it none are kept beside their index."""
        self.data_dir, self.own_dir = data_dir, own_dir
        self.system = system or System()
        self.public = PublicFiles(self.system, public_dir) if public_dir else None
        self.lock = StoreLock(self.system, own_dir / "store.lock")
        self.counts = False  # whether the files are what counts (``json`` mode), and not SQL
        self.journal = Journal(self.system, data_dir, own_dir)

    def plan(
        self, changes: dict[str, Changes], beside: dict[str, Write] | None = None
    ) -> tuple[dict[str, Write], dict[Entity, StoreError]]:
        """What to write for changes by kind, in the order to write it, and what is refused. ``beside``: files of chats
        that will be written with it. The caller holds the lock."""
        sizes = {path: _size(data) for path, data in (beside or {}).items() if isinstance(data, bytes | Append)}
        context = Context(sizes, self.public)
        files: dict[str, Write] = {}
        refused: dict[Entity, StoreError] = {}
        plans: list[tuple[Shelf, Plan]] = []
        for shelf in _shelves(kind for kind in _POINTERS_FIRST if changes.get(kind)):
            some = {kind: changes[kind] for kind in shelf.kinds if changes.get(kind)}
            with told_as_json_side(self.data_dir):
                plan = shelf.plan(self.system, self.data_dir, some, context)
            plans.append((shelf, plan))
            refused.update(plan.refused)
        for shelf, plan in reversed(plans):  # personas before characters
            if isinstance(shelf, OwnFiles):
                files.update({path: data for path, data in plan.files.items() if data is not None})
        for _, plan in plans:
            files.update(plan.files)
        return files, refused

    def write(self, files: dict[str, Write]) -> None:
        """Replace, append to and remove files, durably. Raises JsonSideError; then no file is half-written. The caller
        holds the lock."""
        with told_as_json_side(self.data_dir):
            write_all(self.system, self.data_dir, ((self.data_dir / path, data) for path, data in files.items()))

    def commit(self, files: dict[str, Write]) -> Written:
        """The same as one unit: wholly or not at all, whatever is killed. The caller holds the lock and has carried out
        what was in the journal. Raises OutcomeUnknownError when the disk did not confirm it."""
        return self.journal.write(files)

    # ------------------------------------------------------------------ chats' files
    def log_ids(self) -> list[str]:
        """The ids of chats that have a file."""
        return [logs.chat_of(path) for path, _ in self.log_files()]

    def log_files(self) -> Iterator[tuple[str, Signature]]:
        """Path (below the data folder) and signature of every chat's file."""
        with told_as_json_side(self.data_dir):
            for name, signature in self.system.list(self.data_dir / logs.FOLDER):
                path = f"{logs.FOLDER}/{name}"
                if name.endswith(".jsonl") and path != logs.INDEX:
                    yield path, signature

    def read_log(self, chat_id: str) -> logs.Log | None:
        """A chat's file as it is; None when there is none. Raises UnreadableError."""
        path = logs.log_path(chat_id)
        data = read_or_none(self.system, self.data_dir, path)
        if data is None:
            return None
        return self.parse_log(chat_id, data)

    def parse_log(self, chat_id: str, data: bytes) -> logs.Log:
        """What the bytes of a chat's file hold."""
        path = logs.log_path(chat_id)
        found = logs.parse(path, data)
        # Only then is it worth a look at what the index says.
        return logs.parse(path, data, self.known_good(chat_id)) if found.bad else found

    def plan_log(self, chat_id: str, records: Iterable[Record] | None) -> Plan:
        """What to write so that a chat's file holds these messages; None: there is no chat. What a crash left at its
        end is set aside first. The caller holds the lock."""
        with told_as_json_side(self.data_dir):
            known_good = functools.partial(self.known_good, chat_id)
            plan, torn = logs.plan_whole(self.system, self.data_dir, chat_id, records, known_good)
            if torn:
                log.warning("The end of %s was torn: %d bytes are set aside.", logs.log_path(chat_id), len(torn))
                self.quarantine({f"chats/{file_name(chat_id)}l.torn": torn})
        return plan

    def known_good(self, chat_id: str) -> int | None:
        """How many bytes of a chat's file its line in the index vouches for; None where that does not say enough to
        cut off what follows: the line lags behind the file, and only SQL could give back what was good in it."""
        if self.counts:
            return None
        with contextlib.suppress(UnreadableError):
            if entry := self.entry("chat", chat_id):
                told = ((entry.record.get("extras") or {}).get("log") or {}).get("bytes")
                return told if isinstance(told, int) else None
        return None

    def set_logs_aside(self, chat_ids: Iterable[str]) -> None:
        """Copy chats' files into the quarantine before they go. The caller holds the lock."""
        copies = {}
        for chat_id in chat_ids:
            with contextlib.suppress(UnreadableError):
                data = read_or_none(self.system, self.data_dir, logs.log_path(chat_id))
                if data:
                    copies[logs.log_path(chat_id)] = data
        self.quarantine(copies)

    # ------------------------------------------------------------------ records
    def entry(self, kind: str, record_id: str) -> Entry | None:
        """The record as its file has it, None when there is none. Raises UnreadableError."""
        doubt: UnreadableError | None = None
        for path in SHELVES[kind].paths(record_id):
            data = read_or_none(self.system, self.data_dir, path)
            if data is None:
                continue
            entries, bad = SHELVES[kind].parse(path, data)
            for entry in entries:
                if (entry.kind, entry.id) == (kind, record_id):
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
            yield from (entry for entry in entries if entry.kind == kind)
            yield from (error for _, error in bad)

    def files(self, kind: str) -> Iterator[tuple[str, Signature]]:
        """Path (below the data folder) and signature of every file of a kind."""
        with told_as_json_side(self.data_dir):
            yield from SHELVES[kind].files(self.system, self.data_dir)

    def is_empty(self) -> bool:
        """Whether there is no record at all; a file that cannot be read counts as one."""
        return not any(True for kind in SHELVES for _ in self.entries(kind)) and not self.log_ids()

    def settle(self, kinds: Iterable[str], written: Iterable[str]) -> None:
        """Make sure of files that were as they should be already: whoever renamed them may have died before the folder
        was on the disk. The folders of files just ``written`` are. The caller holds the lock.
        """
        done = {path.rpartition("/")[0] for path in written}
        with told_as_json_side(self.data_dir):
            for folder in dict.fromkeys(folder for kind in kinds for folder in SHELVES[kind].folders()):
                if folder not in done and self.system.is_folder(self.data_dir / folder):
                    self.system.sync_folder(self.data_dir / folder)

    def room_for_copies(self) -> int:
        """How many bytes another generation of the same files takes. Only what grows in place is copied, and pictures
        that lie on another disk; all the rest gets a second name."""
        with told_as_json_side(self.data_dir):
            growing = sum(self.system.sizes(self.data_dir, ".jsonl"))
            if self.public is None or self.public.is_beside(self.own_dir):
                return growing
            there = sum(self.system.sizes(self.data_dir / "binaries"))
            return growing + max(self.public.size() - there, 0)

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
        self.journal.recover(changing=True)
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
        copies = {}
        for record_id in ids:
            with contextlib.suppress(UnreadableError):
                if entry := self.entry(kind, record_id):
                    copies[f"{kind}/{file_name(record_id)}"] = codec.dumps_pretty(entry.record)
        self.quarantine(copies)

    def quarantine(self, copies: Mapping[str, bytes | CopyOf]) -> None:
        """Keep what is about to go, below a folder named by this moment. The caller holds the lock."""
        if not copies:
            return
        folder = self.own_dir / "quarantine" / datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        with told_as_json_side(folder):
            write_all(self.system, self.own_dir, ((folder / name, data) for name, data in copies.items()))


def _shelves(kinds: Iterable[str]) -> list[Shelf]:
    """The shelves of kinds, each once."""
    return list({id(SHELVES[kind]): SHELVES[kind] for kind in kinds}.values())


def _size(data: bytes | Append) -> int:
    return len(data) if isinstance(data, bytes) else data.offset + len(data.data)


def record_of(entry: Entry) -> Record:
    """The record in canonical form: what its document understood, without what it did not know."""
    return entry.document.model_dump()
