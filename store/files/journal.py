"""The redo journal of ``json`` mode: a change of several files is carried out wholly, or not at all.

Everything new lies on the disk under temporary names before the journal does, and the journal before the first name
changes. From then on the change counts: who finds a journal, carries it out, however often. ``docs/json-mode.md`` says
why each sync is where it is; ``tests/crash/model_of_json_mode.py`` shows what breaks without it.
"""

import contextlib
import logging
import secrets
import zlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from store import codec
from store.errors import JsonSideError, OutcomeUnknownError, StoreError
from store.files.replace import (
    SYNC_EACH_UP_TO,
    TEMPORARY,
    Append,
    CopyOf,
    Write,
    append,
    make_folders,
    write_all,
    write_new,
)
from store.files.system import Handle, Signature, System, told_as_json_side

log = logging.getLogger("tandem.journal")

JOURNAL = "journal"  # its name below the own folder
_VERSION = 1
_LOOK_BACK = 64 * 1024  # bytes before an append's place by which the file is known again


@dataclass(frozen=True)
class Step:
    """What becomes of one file; paths are below the data folder. ``temporary``: that file takes its place. ``data``:
    it is appended at ``offset``, behind bytes of which ``before`` is the checksum. Neither: it is removed."""

    path: str
    temporary: str | None = None
    data: str | None = None
    offset: int = 0
    before: int = 0


@dataclass(frozen=True)
class Written:
    """What a write left. ``signatures``: path -> of the file as it was written, None when it was removed. Not
    ``finished``: it counts, and whoever holds the lock next carries out the rest."""

    signatures: dict[str, Signature | None]
    finished: bool = True


class Journal:
    """The journal of one data folder. Every call is made by who holds the store lock."""

    def __init__(self, system: System, data_dir: Path, own_dir: Path) -> None:
        self._system, self._data, self._own = system, data_dir, own_dir
        self._path = own_dir / JOURNAL

    # ------------------------------------------------------------------ what a killed process left
    def recover(self, *, changing: bool) -> bool:
        """Carry out what is in the journal; whether there was something. ``changing``: the caller will write, so it is
        made sure that no journal of before can come back after a power cut. Raises JsonSideError."""
        with told_as_json_side(self._own):
            try:
                data = self._system.read(self._path)
            except FileNotFoundError:
                if changing and self._system.is_folder(self._own):
                    self._system.sync_folder(self._own)
                return False
            steps = self._steps(data)
            # It may be seen in the cache only: half of it done and itself lost would be half a change.
            self._system.sync_folder(self._own)
        with told_as_json_side(self._data):
            self._carry_out(steps)
        if steps:
            log.warning("A change of %d files that was cut short is carried out.", len(steps))
        return bool(steps)

    def is_there(self) -> bool:
        """Whether a change waits to be carried out."""
        with told_as_json_side(self._own):
            try:
                self._system.signature(self._path)
            except FileNotFoundError:
                return False
        return True

    def _steps(self, data: bytes) -> list[Step]:
        told, _, body = data.rstrip(b"\n").partition(b" ")
        if told != _crc(body):
            raise JsonSideError(
                f"{self._path} cannot be read: its checksum is wrong.",
                hint="Move it out of the folder, then validate: the files it was about may be old or new.",
            )
        content = codec.loads(body)
        if content["folder"] != self._system.signature(self._data).inode:
            # Its files are elsewhere. Kept, for whoever puts the other folder back.
            aside = self._path.with_name(f"{JOURNAL}-of-folder-{content['folder']}")
            self._system.rename(self._path, aside)
            log.error("%s is about another data folder; it is set aside as %s.", self._path, aside.name)
            return []
        return [Step(**step) for step in content["steps"]]

    # ------------------------------------------------------------------ writing
    def write(self, files: dict[str, Write]) -> Written:
        """Make one change of all these files, durably. The caller has called ``recover`` under this very lock.

        Raises JsonSideError; then nothing has changed, and nothing will. Raises OutcomeUnknownError when that could not
        be made sure of.
        """
        with told_as_json_side(self._data):
            # Copies are named by what they hold: one that nobody names does no harm.
            copies = {path: data for path, data in files.items() if isinstance(data, CopyOf)}
            write_all(self._system, self._data, ((self._data / path, data) for path, data in copies.items()))
            steps, signatures = self._prepare({path: data for path, data in files.items() if path not in copies})
        if len(steps) == 1:
            return Written(self._at_once(steps[0], signatures))
        if steps:
            self._commit(steps)
            try:
                with told_as_json_side(self._data):
                    signatures.update(self._carry_out(steps))
            except StoreError as error:
                log.error("The change counts, and its rest is carried out later: %s", error.message)
                return Written(signatures, finished=False)
        return Written(signatures)

    def _prepare(self, files: dict[str, Write]) -> tuple[list[Step], dict[str, Signature | None]]:
        """Put everything new on the disk under temporary names."""
        signatures: dict[str, Signature | None] = {}
        steps: list[Step] = []
        folders: dict[Path, None] = {}
        new = sum(isinstance(data, bytes) for data in files.values())
        try:
            for path, data in files.items():
                target = self._data / path
                if data is not None:
                    folders.update(dict.fromkeys(make_folders(self._system, target.parent)))
                if isinstance(data, bytes):
                    temporary = f"{path.rpartition('/')[0]}/{TEMPORARY}{secrets.token_hex(8)}".lstrip("/")
                    steps.append(Step(path, temporary=temporary))
                    sync = new <= SYNC_EACH_UP_TO
                    signatures[path] = write_new(self._system, self._data / temporary, data, sync=sync)
                    folders[target.parent] = None
                elif isinstance(data, Append):
                    before = zlib.crc32(self._before(target, data.offset))
                    steps.append(Step(path, data=data.data.decode(), offset=data.offset, before=before))
                else:
                    signatures[path] = None
                    steps.append(Step(path))
            if len(steps) > 1:  # their names have to last as well: one that is gone means that it took its place
                if new > SYNC_EACH_UP_TO:
                    self._system.sync_all(self._data)
                else:
                    self._sync(folders)
            elif folders.keys() - {self._data / one.rpartition("/")[0] for one in files}:
                self._sync(folders)
        except OSError:
            self._remove_temporaries(steps)
            raise
        return steps, signatures

    def _at_once(self, step: Step, signatures: dict[str, Signature | None]) -> dict[str, Signature | None]:
        """One file: there is nothing in between."""
        target, changed = self._data / step.path, False
        with told_as_json_side(self._data):
            try:
                signatures.update(self._take(step))
                changed = step.data is None  # an append is on the disk by now
                if changed:
                    self._system.sync_folder(target.parent)
            except OSError as error:
                if changed:
                    raise self._unknown(target) from error
                self._remove_temporaries([step])
                raise
        return signatures

    def _commit(self, steps: list[Step]) -> None:
        """Write the journal. Afterwards the change counts."""
        temporary = self._own / f"{TEMPORARY}{secrets.token_hex(8)}"
        renamed = False
        with told_as_json_side(self._own):
            try:
                folder = self._system.signature(self._data).inode
                body = codec.dumps({"v": _VERSION, "folder": folder, "steps": [asdict(step) for step in steps]})
                write_new(self._system, temporary, b"%s %s\n" % (_crc(body), body), sync=True)
                self._system.rename(temporary, self._path)
                renamed = True
                self._system.sync_folder(self._own)
            except OSError as error:
                if renamed:  # it may be on the disk: taking it back now could be undone by a power cut
                    raise self._unknown(self._path) from error
                with contextlib.suppress(OSError):
                    self._system.remove(temporary)
                self._remove_temporaries(steps)
                raise

    @staticmethod
    def _unknown(path: Path) -> OutcomeUnknownError:
        return OutcomeUnknownError(f"{path} was written, but the disk did not confirm it.")

    # ------------------------------------------------------------------ carrying out
    def _carry_out(self, steps: Iterable[Step]) -> dict[str, Signature | None]:
        """Every step, however much of it was done before; then the journal goes."""
        signatures: dict[str, Signature | None] = {}
        folders: dict[Path, None] = {}
        for step in steps:
            signatures.update(self._take(step))
            folders[(self._data / step.path).parent] = None
        self._sync(folders)
        with contextlib.suppress(FileNotFoundError):
            self._system.remove(self._path)
        self._system.sync_folder(self._own)
        return signatures

    def _take(self, step: Step) -> dict[str, Signature | None]:
        """One step; the signature of what was appended to."""
        target = self._data / step.path
        if step.temporary is not None:
            with contextlib.suppress(FileNotFoundError):  # it took its place before
                self._system.rename(self._data / step.temporary, target)
        elif step.data is not None:
            return {step.path: self._append(target, step, step.data.encode())}
        else:
            with contextlib.suppress(FileNotFoundError):
                self._system.remove(target)
        return {}

    def _append(self, target: Path, step: Step, data: bytes) -> Signature:
        """Append unless it is there. Who died may have written a part, and another program may have come since."""
        known = zlib.crc32(self._before(target, step.offset)) == step.before
        there = self._from(target, step.offset)
        if known and there.startswith(data):
            return self._make_sure(target)
        if known and data.startswith(there):
            return append(self._system, target, Append(step.offset + len(there), data[len(there) :]))
        # Somebody else has written here: what is theirs stays, but for a line that was not written to its end.
        whole = self._from(target, 0)
        if data in whole:
            return self._make_sure(target)
        return append(self._system, target, Append(whole.rfind(b"\n") + 1, data))

    def _make_sure(self, target: Path) -> Signature:
        handle: Handle = self._system.open_to_append(target)
        try:
            self._system.sync(handle)
            return self._system.signature_of(handle)
        finally:
            with contextlib.suppress(OSError):
                self._system.close(handle)

    def _before(self, target: Path, offset: int) -> bytes:
        start = max(0, offset - _LOOK_BACK)
        return self._from(target, start, offset - start)

    def _from(self, target: Path, start: int, size: int | None = None) -> bytes:
        try:
            if size is None:
                size = max(0, self._system.signature(target).size - start)
            return self._system.read_from(target, start, size)
        except FileNotFoundError:
            return b""

    def _sync(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                self._system.sync_folder(folder)

    def _remove_temporaries(self, steps: Iterable[Step]) -> None:
        for step in steps:
            if step.temporary is not None:
                with contextlib.suppress(OSError):
                    self._system.remove(self._data / step.temporary)


def _crc(body: bytes) -> bytes:
    return f"{zlib.crc32(body):08x}".encode()
