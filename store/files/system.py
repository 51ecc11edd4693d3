"""Every operating-system call of the JSON side goes through one small object, so that a test can stop, fail or lie at
call N."""

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from store.errors import JsonSideError, ReadOnlyError, StorageFullError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EFBIG}
_HERE, _EXCHANGE = -100, 2  # of the C library: paths from the working folder; let two names change places
_READ_ONLY = {errno.EROFS, errno.EACCES, errno.EPERM}


class Signature(NamedTuple):
    """What changes whenever a file does: nanoseconds, bytes, inode."""

    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True)
class Handle:
    """An open file."""

    descriptor: int
    path: Path


class System:
    """The real operating system. Paths are absolute; errors are OSError, as the system gives them."""

    def read(self, path: Path) -> bytes:
        """The whole file. FileNotFoundError when there is none: that, and only that, means missing."""
        with open(path, "rb") as file:
            return file.read()

    def signature(self, path: Path) -> Signature:
        """mtime, size and inode, following links."""
        status = os.stat(path)
        return Signature(status.st_mtime_ns, status.st_size, status.st_ino)

    def signature_of(self, handle: Handle) -> Signature:
        """mtime, size and inode of an open file."""
        status = os.fstat(handle.descriptor)
        return Signature(status.st_mtime_ns, status.st_size, status.st_ino)

    def open_to_read(self, path: Path) -> Handle:
        """Open a file for reading, following links. FileNotFoundError when there is none."""
        return Handle(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path)

    def resolve(self, path: Path) -> Path:
        """Where the path leads once every link is followed; of what is not there, as far as it is."""
        return Path(os.path.realpath(path))

    def open_below(self, folder: Path, path: Path) -> Handle:
        """Open a plain file for reading. ``path`` is relative to ``folder``; no step of it may be a link, so that
        what was resolved before cannot be turned elsewhere meanwhile."""
        step = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)  # no O_PATH on macOS
        descriptor = os.open(folder, step)
        # Without O_NONBLOCK, opening a pipe waits for somebody to write into it.
        kinds = [step] * (len(path.parts) - 1) + [os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK]
        for part, flags in zip(path.parts, kinds, strict=False):  # the folder itself has no part
            try:
                inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = inner
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "Not a plain file", str(folder / path))
        return Handle(descriptor, folder / path)

    def read_some(self, handle: Handle, size: int) -> bytes:
        """The next bytes of an open file, at most ``size``; none at its end."""
        return os.read(handle.descriptor, size)

    def is_folder(self, path: Path) -> bool:
        """Whether there is such a folder, following links."""
        return path.is_dir()

    def list(self, folder: Path) -> Iterator[tuple[str, Signature]]:
        """Names and signatures of the plain files in a folder; nothing when it does not exist."""
        with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                try:
                    if not entry.is_file():
                        continue
                    status = entry.stat()
                except FileNotFoundError:  # gone since its name was read: another writer's temporary file
                    continue
                except OSError:  # a loop of links: reading it will say what is wrong
                    yield entry.name, Signature(0, 0, 0)
                    continue
                yield entry.name, Signature(status.st_mtime_ns, status.st_size, status.st_ino)

    def make_folder(self, folder: Path) -> None:
        """Make one folder; its parent exists."""
        os.mkdir(folder)

    def create(self, path: Path) -> Handle:
        """Open a new, empty file for writing."""
        return Handle(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), path)

    def create_private(self, path: Path) -> Handle:
        """The same, for a file that its owner alone may read."""
        return Handle(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path)

    def open_to_append(self, path: Path) -> Handle:
        """Open a file whose end will be written to; made empty when there is none."""
        return Handle(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644), path)

    def truncate(self, handle: Handle, size: int) -> None:
        """Cut the file to ``size`` bytes."""
        os.ftruncate(handle.descriptor, size)

    def read_from(self, path: Path, offset: int, size: int) -> bytes:
        """At most ``size`` bytes of a file from ``offset`` on. FileNotFoundError when there is none."""
        with open(path, "rb", buffering=0) as file:
            file.seek(offset)
            return file.read(size)

    def link(self, source: Path, target: Path) -> None:
        """Give a file a second, new name on the same disk."""
        os.link(source, target)

    def link_to(self, target: str, path: Path) -> None:
        """Make a symbolic link at ``path``; it need not lead anywhere yet."""
        os.symlink(target, path)

    def read_link(self, path: Path) -> str | None:
        """What a symbolic link says; None for whatever is none."""
        try:
            return os.readlink(path)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT):
                return None
            raise

    def exchange(self, one: Path, other: Path) -> None:
        """Let two names change places, at once. Raises OSError where the disk cannot."""
        library = ctypes.CDLL(None, use_errno=True)
        if hasattr(library, "renameat2"):
            failed = library.renameat2(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE)
        elif hasattr(library, "renamex_np"):  # macOS
            failed = library.renamex_np(os.fsencode(one), os.fsencode(other), _EXCHANGE)
        else:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(other))
        if failed:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(other))

    def free_space(self, folder: Path) -> int:
        """How many bytes may still be written to the disk of a folder."""
        told = os.statvfs(folder)
        return told.f_bavail * told.f_frsize

    def is_one_disk(self, one: Path, other: Path) -> bool:
        """Whether files of one folder can have second names in the other. Both are there."""
        return os.stat(one).st_dev == os.stat(other).st_dev

    def sizes(self, folder: Path, ending: str = "") -> Iterator[int]:
        """The sizes of all files below a folder whose names end so, in bytes."""
        for place, _, names in os.walk(folder):
            for name in names:
                if name.endswith(ending):
                    with contextlib.suppress(FileNotFoundError):
                        yield os.stat(os.path.join(place, name)).st_size

    def write(self, handle: Handle, data: bytes) -> int:
        """Write some of the bytes; how many."""
        return os.write(handle.descriptor, data)

    def sync(self, handle: Handle) -> None:
        """The file's bytes are on the disk when this returns."""
        os.fsync(handle.descriptor)

    def close(self, handle: Handle) -> None:
        os.close(handle.descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put ``source`` in the place of ``target``, at once."""
        os.replace(source, target)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def sync_folder(self, folder: Path) -> None:
        """Renames and removals in the folder are on the disk when this returns."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def sync_all(self, folder: Path) -> None:
        """Everything written to the folder's file system is on the disk: five to ten times faster than many syncs."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            library = ctypes.CDLL(None, use_errno=True)
            if not hasattr(library, "syncfs"):  # not on macOS
                os.sync()
            elif library.syncfs(descriptor) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), str(folder))
        finally:
            os.close(descriptor)

    def lock(self, path: Path) -> Handle | None:
        """Take the exclusive lock of a lock file; None when another holds it. The kernel frees it when the holder
        dies."""
        handle = Handle(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644), path)
        try:
            fcntl.flock(handle.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close(handle)
            return None
        except BaseException:
            self.close(handle)
            raise
        holder = f"{os.getpid()}\n".encode()
        # Who holds it, for a person to read: a disk too full for that must not cost us the lock we hold.
        with contextlib.suppress(OSError):
            if os.pread(handle.descriptor, 32, 0) != holder:
                os.ftruncate(handle.descriptor, 0)
                os.pwrite(handle.descriptor, holder, 0)
        return handle

    def unlock(self, handle: Handle) -> None:
        """Free the lock."""
        self.close(handle)


@contextlib.contextmanager
def told_as_json_side(folder: Path) -> Iterator[None]:
    """Turn the system's refusals into the store's sentences."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        if error.errno in _FULL:
            raise StorageFullError(f"There is no room left to write {place}.") from error
        if error.errno in _READ_ONLY:
            raise ReadOnlyError(f"Tandem may not write {place}.") from error
        raise JsonSideError(f"{place} could not be written: {error.strerror or error}.") from error
