"""The bytes of pictures and attachments: found, hashed, written, and never outside PUBLIC_DIR."""

import contextlib
import errno
import hashlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store.errors import InvalidValueError, JsonSideError, NotFoundError, ReadOnlyError, StorageFullError
from store.files import public as module
from store.files.public import Found, Missing, PublicFiles
from store.files.system import Handle, System

pytestmark = pytest.mark.slow  # writes many files

PATH = "uploads/images/u/u_1_x.png"


class Counting(System):
    """The real system. Remembers its calls; ``at`` may do something before one, or refuse it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.read_bytes = 0
        self.at: dict[str, Callable[[], None]] = {}

    def read_some(self, handle: Handle, size: int) -> bytes:
        self.at.get("read_some", lambda: None)()
        data = super().read_some(handle, size)
        self.read_bytes += len(data)
        return data


def _counted(name: str) -> Any:
    def call(self: Counting, subject: Path | Handle, *rest: Path) -> Any:
        self.calls.append(name if name != "sync_folder" else f"sync {subject.name}")  # type: ignore[union-attr]
        self.at.get(name, lambda: None)()
        return getattr(System, name)(self, subject, *rest)

    return call


for _name in ("open_below", "create", "sync", "rename", "sync_folder"):
    setattr(Counting, _name, _counted(_name))


def refuse(number: int) -> Callable[[], None]:
    def call() -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.fixture
def system() -> Counting:
    return Counting()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "public"


@pytest.fixture
def files(system: Counting, root: Path) -> PublicFiles:
    return PublicFiles(system, root)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "public2"  # begins as the folder itself does
    path.mkdir()
    (path / "secret.txt").write_bytes(b"secret")
    return path


@pytest.fixture(autouse=True)
def no_descriptor_stays_open(tmp_path: Path) -> Any:
    yield
    left = []
    for name in Path("/proc/self/fd").glob("*"):  # Linux only
        with contextlib.suppress(OSError):  # the one that lists them
            left.append(os.readlink(name))
    assert not [target for target in left if target.startswith(str(tmp_path))]


def found(data: bytes) -> Found:
    return Found(hashlib.sha256(data).hexdigest(), len(data))


def put(root: Path, data: bytes, path: str = PATH) -> Path:
    """A file that was written long ago."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data)
    os.utime(target, (1_700_000_000, 1_700_000_000))
    return target


# --- what is there


@pytest.mark.parametrize("size", [0, 1, module._PIECE, 2 * module._PIECE + 7])
def test_a_file_is_found_with_its_hash_and_size(files: PublicFiles, root: Path, size: int) -> None:
    put(root, b"x" * size)
    assert files.find(PATH) == found(b"x" * size)


@pytest.mark.parametrize(
    "name", ["Grüße 🦊.png", "a%2e%2e%2fb", "..a", "a..", "-rf", "~", "a:b", "a/./b", "a//b", "a/a"]
)
def test_strange_names_that_stay_inside_are_found(files: PublicFiles, root: Path, name: str) -> None:
    put(root, b"here", name)
    assert files.find(name) == found(b"here")
    assert files.path_of(name) == root / name


def test_links_that_stay_inside_are_followed(files: PublicFiles, root: Path) -> None:
    put(root, b"here", "uploads/real/a.png")
    (root / "uploads/alias").symlink_to("real")
    (root / "uploads/b.png").symlink_to("alias/a.png")
    assert files.find("uploads/alias/a.png") == files.find("uploads/b.png") == found(b"here")
    assert files.read("uploads/b.png") == b"here"


def test_the_folder_itself_may_be_a_link(system: Counting, tmp_path: Path) -> None:
    put(tmp_path / "disk", b"here")
    (tmp_path / "public").symlink_to("disk")
    files = PublicFiles(system, tmp_path / "public")
    assert files.find(PATH) == found(b"here")
    files.save("uploads/b", b"new")
    assert (tmp_path / "disk/uploads/b").read_bytes() == b"new"


# --- what is not


def test_a_file_that_is_not_there_is_missing(files: PublicFiles, root: Path) -> None:
    assert files.find(PATH) == Missing("there is no such file")
    put(root, b"", "uploads")
    assert files.find("uploads/a.png") == Missing("there is no such file")  # a file where a folder should be


HOSTILE = {
    "": "it is empty",
    "/etc/passwd": "it is an absolute path",
    "//etc/passwd": "it is an absolute path",
    "..": "it leads upwards with “..”",
    "../public2/secret.txt": "it leads upwards with “..”",
    "uploads/../../public2/secret.txt": "it leads upwards with “..”",
    "uploads/../uploads/a.png": "it leads upwards with “..”",
    "uploads/..": "it leads upwards with “..”",
    "..\\public2\\secret.txt": "it holds a backslash",
    "C:\\secret.txt": "it holds a backslash",
    "\\\\host\\share": "it holds a backslash",
    "uploads/a.png\0.txt": "it holds a character that no file name can have",
    "uploads/\udcff.png": "it holds a character that no file name can have",
    "uploads/": "it names a folder",
}


@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_elsewhere_is_never_opened(
    files: PublicFiles, system: Counting, root: Path, outside: Path, path: str
) -> None:
    put(root, b"here", "uploads/a.png")
    before = sorted(root.parent.rglob("*"))
    system.at = {"open_below": lambda: pytest.fail("it was opened"), "create": lambda: pytest.fail("it was made")}
    assert files.find(path) == Missing(HOSTILE[path])
    for refused in (files.path_of, files.read, files.remove, lambda path: files.save(path, b"x")):
        with pytest.raises(InvalidValueError, match="is no path of a file below") as caught:
            refused(path)
        assert HOSTILE[path] in caught.value.message
        caught.value.message.encode()
    assert sorted(root.parent.rglob("*")) == before


@pytest.mark.parametrize("make", ["file", "folder", "chain", "absolute"])
def test_a_link_that_leads_outside_is_never_opened(
    files: PublicFiles, system: Counting, root: Path, outside: Path, make: str
) -> None:
    (root / "uploads").mkdir(parents=True)
    link, path = root / "uploads/link", "uploads/link"
    if make == "file":
        link.symlink_to("../../public2/secret.txt")
    elif make == "absolute":
        link.symlink_to(outside / "secret.txt")
    else:
        link.symlink_to(outside if make == "folder" else "second")
        (root / "uploads/second").symlink_to("../../public2")
        path = "uploads/link/secret.txt"
    system.at["open_below"] = lambda: pytest.fail("it was opened")
    assert files.find(path) == Missing("it leaves PUBLIC_DIR through a link")
    for refused in (files.path_of, files.read, files.remove, lambda path: files.save(path, b"x")):
        with pytest.raises(InvalidValueError, match="through a link"):
            refused(path)
    with pytest.raises(InvalidValueError, match="through a link"):
        files.save("uploads/link/new/file" if "secret" in path else path, b"x")
    assert [(p.name, p.read_bytes()) for p in outside.iterdir()] == [("secret.txt", b"secret")]


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_put_there_after_the_look_is_not_followed(
    files: PublicFiles, system: Counting, root: Path, outside: Path, what: str
) -> None:
    put(root, b"here", "uploads/secret.txt")

    def swap() -> None:
        system.at = {}
        (root / "uploads").rename(root / "before")
        if what == "folder":
            (root / "uploads").symlink_to(outside)
        else:
            (root / "uploads").mkdir()
            (root / "uploads/secret.txt").symlink_to(outside / "secret.txt")

    system.at["open_below"] = swap
    assert isinstance(files.find("uploads/secret.txt"), Missing)
    assert system.read_bytes == 0


def test_a_circle_of_links_is_missing_and_replaced_by_a_file(files: PublicFiles, root: Path) -> None:
    root.mkdir()
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    assert isinstance(files.find("a"), Missing)
    with pytest.raises(JsonSideError):
        files.save("a/file", b"x")
    files.save("a", b"x")
    assert files.find("a") == found(b"x")


def test_what_is_no_plain_file_is_missing(files: PublicFiles, root: Path) -> None:
    (root / "folder").mkdir(parents=True)
    os.mkfifo(root / "pipe")  # nobody writes into it: opening it must not wait
    with socket.socket(socket.AF_UNIX) as own:
        own.bind(str(root / "socket"))
        for name in ("folder", "folder/.", ".", "pipe"):
            assert files.find(name) == Missing("it cannot be read (Not a plain file)")
        told = files.find("socket")
    assert isinstance(told, Missing)
    assert told.reason.startswith("it cannot be read (")


@pytest.mark.parametrize("call", ["open_below", "read_some"])
@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_a_file_that_cannot_be_read_is_missing_and_says_why(
    files: PublicFiles, system: Counting, root: Path, call: str, number: int
) -> None:
    put(root, b"here")
    system.at[call] = refuse(number)
    assert files.find(PATH) == Missing(f"it cannot be read ({os.strerror(number)})")
    with pytest.raises(JsonSideError, match=f"could not be read: {os.strerror(number)}"):
        files.read(PATH)


def test_a_name_that_is_too_long_is_missing(files: PublicFiles, root: Path) -> None:
    root.mkdir()
    assert files.find("x" * 300) == Missing("it cannot be read (File name too long)")
    with pytest.raises(JsonSideError, match="File name too long"):
        files.save("x/" + "x" * 300 + "/x", b"")


# --- remembered hashes


def test_a_hash_is_remembered_until_the_file_changes(files: PublicFiles, system: Counting, root: Path) -> None:
    path = put(root, b"first")
    assert files.find(PATH) == files.find(PATH) == found(b"first")
    assert system.read_bytes == 5
    path.write_bytes(b"other")
    os.utime(path, ns=(0, 1_700_000_000_000_000_001))
    assert files.find(PATH) == found(b"other")
    put(root, b"longer")
    assert files.find(PATH) == found(b"longer")
    times = (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    replacement = put(root, b"anothe", "x")
    os.utime(replacement, ns=times)
    replacement.rename(path)  # same time, same size: another inode
    assert files.find(PATH) == found(b"anothe")


def test_a_file_that_changed_just_now_is_not_trusted_yet(files: PublicFiles, system: Counting, root: Path) -> None:
    files.save(PATH, b"first")
    assert files.find(PATH) == files.find(PATH) == found(b"first")
    assert system.read_bytes == 10


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    files: PublicFiles, system: Counting, root: Path
) -> None:
    path = put(root, b"first")

    def change() -> None:
        system.at = {}
        path.write_bytes(b"other")
        os.utime(path, (1_600_000_000, 1_600_000_000))

    system.at["read_some"] = change
    files.find(PATH)
    assert files.find(PATH) == found(b"other")


def test_only_so_many_hashes_are_kept(
    files: PublicFiles, system: Counting, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_HASHES", 2)
    for name in "abc":
        put(root, name.encode(), name)
    for name in ("a", "b", "a", "c", "a"):
        files.find(name)
    assert system.read_bytes == 3
    files.find("b")
    assert system.read_bytes == 4
    assert len(files._hashes) == 2


def test_threads_may_ask_at_once(files: PublicFiles, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_HASHES", 3)
    for number in range(8):
        put(root, b"x" * number, str(number))
    wrong: list[object] = []

    def work() -> None:
        for number in list(range(8)) * 20:
            if files.find(str(number)) != found(b"x" * number):
                wrong.append(number)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


# --- writing


def test_a_file_is_written_read_replaced_and_removed(files: PublicFiles, root: Path) -> None:
    assert not root.exists()
    files.save(PATH, b"first")
    assert files.read(PATH) == b"first"
    files.save(PATH, b"second")
    assert (files.read(PATH), files.find(PATH)) == (b"second", found(b"second"))
    files.remove(PATH)
    files.remove(PATH)
    files.remove("no/such/folder/a.png")
    assert [p.name for p in root.rglob("*")] == ["uploads", "images", "u"]
    with pytest.raises(NotFoundError, match="There is no file") as caught:
        files.read(PATH)
    assert "upload it anew" in caught.value.hint


def test_a_link_is_replaced_or_removed_itself(files: PublicFiles, root: Path) -> None:
    real = put(root, b"here", "real")
    for name in ("a", "b"):
        (root / name).symlink_to("real")
    files.save("a", b"new")
    files.remove("b")
    assert (real.read_bytes(), sorted(p.name for p in root.iterdir())) == (b"here", ["a", "real"])
    assert not (root / "a").is_symlink()


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StorageFullError), (errno.EROFS, ReadOnlyError)])
def test_a_disk_that_refuses_leaves_everything_as_it_was(
    files: PublicFiles, system: Counting, root: Path, number: int, kind: type[JsonSideError]
) -> None:
    put(root, b"here")
    system.at["create"] = refuse(number)
    with pytest.raises(kind):
        files.save(PATH, b"new")
    assert (root / PATH).read_bytes() == b"here"
    assert [p.name for p in (root / PATH).parent.iterdir()] == ["u_1_x.png"]


def test_a_folder_is_not_replaced_by_a_file(files: PublicFiles, root: Path) -> None:
    put(root, b"here")
    for work in (lambda: files.save("uploads", b"x"), lambda: files.remove("uploads")):
        with pytest.raises(JsonSideError):
            work()
    assert files.find(PATH) == found(b"here")
    with pytest.raises(InvalidValueError, match="it names the folder itself"):
        files.save(".", b"x")


def test_what_is_written_is_on_the_disk_before_it_has_its_name(
    files: PublicFiles, system: Counting, root: Path
) -> None:
    root.mkdir()
    files.save("uploads/a.png", b"x")
    assert system.calls == ["create", "sync", "rename", "sync public", "sync uploads"]
