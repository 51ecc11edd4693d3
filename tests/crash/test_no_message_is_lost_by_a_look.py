"""`json` mode: whatever look at the files fails, while the index is filled, before a write or while it is planned, no
message goes from the files but those that were meant to.

The rows from which a chat's file is written anew were read from files. Were a look that failed forgotten, they would
lack what is there.
"""

import contextlib
import errno
import functools
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.backends import JsonBackend
from store.errors import DuplicateError, NotFoundError, OutcomeUnknownError, StoreError
from store.files import logs
from store.files.journal import Written
from store.files.replace import Append, Write
from store.files.system import Handle, System
from tests.crash import reader
from tests.crash.families import THOROUGH, members
from tests.crash.faults import Fault, FaultySystem
from tests.crash.world import CHAT, FILE, FIRST, NEW_MESSAGE, OPERATIONS, SECOND, SWIPE, Operation, World, make_world
from tests.factories import files_below

FOREIGN = "00000000-0000-4000-8000-000000000069"
LOG, INDEX, BINARIES = f"chats/{CHAT}.jsonl", "chats/index.jsonl", "binaries/index.jsonl"
LOOKS = frozenset(
    ["read", "read_from", "signature", "signature_of", "open_to_read", "read_some", "list", "is_folder", "close"]
)
Messages = dict[str, str]  # id -> content


def _added(**fields: Any) -> Operation:
    return lambda store: store.chats.add_message(CHAT, {"id": NEW_MESSAGE, "role": "USER", "content": "new", **fields})


QUICK: dict[str, Operation] = {
    **{name: OPERATIONS[name] for name in ("message-add", "message-update", "message-delete", "chat-delete")},
    "message-add-further-up": _added(createdAt="2025-01-15T00:00:00.000Z"),
    "message-add-with-file": _added(attachments=[FILE]),
    "swipe-add": lambda store: store.chats.add_swipe(SECOND, {"id": NEW_MESSAGE, "content": "c"}),
    "clear": lambda store: store.chats.clear_messages(CHAT),
}
ALL: dict[str, Operation] = {
    **QUICK,
    **{name: OPERATIONS[name] for name in ("character-delete", "user-delete", "image-delete", "character-update")},
    "chat-update": lambda store: store.chats.update(CHAT, {"title": "Coffee"}),
    "file-delete": lambda store: store.attachments.delete(FILE),
}


# ------------------------------------------------------------------ how things are before
def _replace(world: World, path: str, data: bytes) -> None:
    """As another program does: the files here are second names of those that were kept."""
    target = world.settings.data_dir / path
    beside = target.with_name("new")
    beside.write_bytes(data)
    beside.replace(target)


def _read(world: World, path: str) -> bytes:
    return (world.settings.data_dir / path).read_bytes()


def _index_is_gone(world: World) -> None:
    for path in world.settings.own_dir.glob("index.sqlite*"):
        path.unlink()


def _messages_are_edited(world: World) -> None:
    said = {"type": "message", "id": FOREIGN, "role": "USER", "content": "foreign", "rawResponse": None}
    rest = {"tokenCount": None, "swipeGroupId": None, "swipeIndex": None, "attachments": []}
    line = logs.line({**said, **rest, "createdAt": "2025-03-02T00:00:00.000Z"})
    _replace(world, LOG, _read(world, LOG) + line)


def _line_is_edited(world: World) -> None:
    _replace(world, INDEX, _read(world, INDEX).replace(b'"Tea"', b'"Mate"'))


BEFORE: dict[str, Callable[[World], None]] = {
    "as it was": lambda world: None,
    "without its index": _index_is_gone,
    "with messages edited": _messages_are_edited,
    "with a chat's line edited": _line_is_edited,
}

EACH = [(how, name) for how in BEFORE for name in ALL]
# Everything on an index that is gone, from which each message is read anew; the rest for what writes a file anew.
SOME = [("without its index", name) for name in QUICK]
SOME += [(how, name) for how in BEFORE for name in ("message-add-further-up", "message-delete") if how != SOME[0][0]]


# ------------------------------------------------------------------ trials
class Blind(System):
    """Cannot read one file, below any folder, so often."""

    path, often = "", 0.0

    def open_to_read(self, path: Path) -> Handle:
        self._look(path)
        return super().open_to_read(path)

    def read(self, path: Path) -> bytes:
        self._look(path)
        return super().read(path)

    def read_from(self, path: Path, offset: int, size: int) -> bytes:
        self._look(path)
        return super().read_from(path, offset, size)

    def _look(self, path: Path) -> None:
        if self.often and path.as_posix().endswith("/" + self.path):
            self.often -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))


class Trial:
    """One store on a world that is brought back before each try."""

    def __init__(self, world: World, system: System) -> None:
        self.world = world
        world.restore()
        self.store = Store(world.settings, system)
        self.store.start(follow=False)

    def begin(self, how: str) -> None:
        self.store.database.close()
        self.store.index.close()
        self.world.restore()
        BEFORE[how](self.world)

    def messages(self) -> Messages:
        """What another program finds in the files."""
        found = reader.records(files_below(self.world.settings.data_dir))
        return {one: record["content"] for (kind, one), record in found.items() if kind == "message"}

    @functools.cache  # noqa: B019  # as many as there are operations
    def expected(self, how: str, name: str) -> tuple[Messages, Messages]:
        """The messages before the operation, and after it when nothing fails."""
        self.begin(how)
        before = self.messages()
        assert attempt(self.store, ALL[name]) is None
        return before, self.messages()

    def endure(self, how: str, name: str, heal: Callable[[], None]) -> None:
        """The operation while something fails; it heals; it is repeated if it was refused; every message is changed."""
        before, after = self.expected(how, name)  # by heart, from the second time on
        error = attempt(self.store, ALL[name])
        with contextlib.suppress(StoreError):
            self.store.following.apply(1)
        in_sql = self._in_sql()
        heal()
        self.store.index.refresh(full=True)  # carries out what was begun
        there = self.messages()
        assert in_sql >= {FIRST, SECOND, SWIPE} & after.keys(), "gone from the database"
        if error is None:
            assert there == after
        else:
            assert error.hint
            assert there == before or (there == after and isinstance(error, OutcomeUnknownError))
            error = attempt(self.store, ALL[name])
            assert error is None or (there == after and isinstance(error, DuplicateError | NotFoundError))
            assert self.messages() == after
        for one in after.keys() & {FIRST, NEW_MESSAGE, SWIPE}:
            self.store.chats.update_message(one, {"content": f"{one} later"})
            after = {**after, one: f"{one} later"}
            assert self.messages() == after
        self.store.following.apply(1)
        assert self._in_sql() == after.keys()

    def _in_sql(self) -> set[str]:
        return {row["id"] for row in reader.read_sql(self.world.settings.database_url).tables["messages"]}


def attempt(store: Store, operation: Operation) -> StoreError | None:
    try:
        operation(store)
    except StoreError as error:
        return error
    return None


@pytest.fixture(scope="module")
def world(lasting_memory_path: Path) -> World:
    return make_world(lasting_memory_path, "json")


@pytest.fixture(scope="module")
def blind(world: World) -> Iterator[Trial]:
    trial = Trial(world, Blind())
    yield trial
    trial.store.close()


@pytest.mark.slow
@pytest.mark.parametrize(("how", "name"), members(EACH, SOME))
def test_a_file_that_cannot_be_read_costs_no_message(blind: Trial, how: str, name: str) -> None:
    go_blind(blind, how, name)


def go_blind(blind: Trial, how: str, name: str) -> None:
    system = blind.store.side.system
    assert isinstance(system, Blind)
    blind.world.restore()
    every = files_below(blind.world.settings.data_dir)
    blind.expected(how, name)
    # While it is taken in, which reads a file once, or twice when it was known.
    moment = 1 if BEFORE[how] is _index_is_gone else 2
    for path in every if THOROUGH else (LOG, INDEX, BINARIES):
        for often in (1, 2, 3, math.inf) if THOROUGH else (moment,):
            blind.begin(how)
            system.path, system.often = path, often
            try:
                blind.endure(how, name, lambda: setattr(system, "often", 0))
            finally:
                system.often = 0


@pytest.mark.slow
@pytest.mark.parametrize(("how", "name"), members(EACH, [("with messages edited", "message-add-with-file")]))
def test_whichever_look_fails_once_it_costs_no_message(world: World, how: str, name: str) -> None:
    system = FaultySystem()
    trial = Trial(world, system)
    trial.expected(how, name)
    at = 0
    while True:
        trial.begin(how)
        system.arm(Fault(errno.EIO, LOOKS), at)
        trial.endure(how, name, system.disarm)
        if not system.failed:
            break
        at += 1 if THOROUGH else 5
    assert at > 10
    trial.store.close()


# ------------------------------------------------------------------ without the guards
class AnyMissingRow(JsonBackend):
    """Takes a chat without a row for one that was deleted."""

    def _gone(self, marked: set[tuple[str, str]]) -> set[str]:
        return {one for _, one in marked}


class AnyFile(JsonBackend):
    """Writes a chat's file anew whatever the index knows of it."""

    def _check_logs(self, connection: Any, files: dict[str, Write]) -> None:
        pass


class AnyAppend(JsonBackend):
    """Takes a file it has appended to for one that it has read."""

    def _note(self, connection: Any, marked: Any, files: dict[str, Write], written: Written) -> None:
        grown = {path: b"" if isinstance(data, Append) else data for path, data in files.items()}
        super()._note(connection, marked, grown, written)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "how", "name"),
    [
        (AnyMissingRow, "without its index", "message-update"),
        (AnyFile, "without its index", "message-add-further-up"),
        (AnyAppend, "without its index", "message-add"),
    ],
)
def test_without_this_guard_messages_are_lost(blind: Trial, mutant: type, how: str, name: str) -> None:
    backend = blind.store.json_backend
    backend.__class__ = mutant
    try:
        with pytest.raises(AssertionError):
            go_blind(blind, how, name)
    finally:
        backend.__class__ = JsonBackend
