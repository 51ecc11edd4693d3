"""`json` mode: a chat that cannot be read, or that another program writes to at this moment, keeps its messages."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from store import Store
from store.documents import now
from store.errors import ConflictError, UnreadableError
from store.files.system import Handle, Signature, System
from tests.factories import files_below, make_character, make_chat, make_message, open_test_store, put
from tests.store.files.conftest import Opener
from tests.store.files.lines_of_chats import by_quilltap, contents, message


class Refusing(System):
    """Refuses to read one file, once or so often as is said."""

    name, times = "", 1.0

    def open_to_read(self, path: Path) -> Handle:
        if self.times > 0 and path.name == self.name:
            self.times -= 1
            raise OSError(5, "Input/output error", str(path))
        return super().open_to_read(path)


@pytest.mark.parametrize("name", ["clear_messages", "delete"])
def test_a_chat_that_could_not_be_read_for_a_moment_is_not_written_anew(tmp_path: Path, name: str) -> None:
    system = Refusing()
    store = open_test_store(tmp_path, backend="json", system=system)
    chat = make_chat(store)
    make_message(store, chat)
    before = files_below(tmp_path / "data")[f"chats/{chat.id}.jsonl"]
    for path in (tmp_path / "data.tandem").glob("index.sqlite*"):
        path.unlink()  # so that every file is read
    system.name = f"{chat.id}.jsonl"
    with pytest.raises(UnreadableError, match="Input/output"):
        getattr(store.chats, name)(chat.id)
    assert files_below(tmp_path / "data")[f"chats/{chat.id}.jsonl"] == before
    assert getattr(store.chats, name)(chat.id).value in (1, True)
    store.close()


@pytest.fixture
def refusing(opener: Opener, tmp_path: Path) -> Callable[..., None]:
    """Forgets the index, so that every file is read, and refuses to read one of them."""

    def refuse(store: Store, name: str, times: float = 1) -> None:
        for path in (tmp_path / "data.tandem").glob("index.sqlite*"):
            path.unlink()
        system = store.side.system
        assert isinstance(system, Refusing)
        system.name, system.times = name, times

    return refuse


@pytest.mark.parametrize("damage", ["refused for a moment", "torn"])
def test_a_chat_whose_line_cannot_be_read_keeps_its_messages(
    opener: Opener, data: Path, refusing: Callable[..., None], damage: str
) -> None:
    store = opener(system=Refusing())
    chat = make_chat(store)
    first, second = make_message(store, chat, "one"), make_message(store, chat, "two")
    if damage == "torn":
        put(data, "chats/index.jsonl", (data / "chats/index.jsonl").read_bytes()[:-9] + b"\n")
    else:
        refusing(store, "index.jsonl")
    assert store.chats.update_message(first.id, {"content": "changed"}).sources.consistent
    assert contents(store.side.read_log(chat.id)) == ["changed", "two"]
    assert store.chats.delete_message(second.id).value
    assert store.chats.delete_message(first.id).value
    assert contents(store.side.read_log(chat.id)) == []
    assert (data / f"chats/{chat.id}.jsonl").exists()


def test_a_chat_that_could_not_be_read_is_not_known_by_what_was_added_to_it(
    opener: Opener, refusing: Callable[..., None]
) -> None:
    store = opener(system=Refusing())
    chat = make_chat(store)
    make_message(store, chat, "one")
    refusing(store, f"{chat.id}.jsonl")
    added = store.chats.add_message(chat.id, {"role": "USER", "content": "two"}).value
    store.chats.update_message(added.id, {"content": "changed"})
    assert contents(store.side.read_log(chat.id)) == ["one", "changed"]
    assert store.problems() == []


def test_a_message_with_the_id_of_another_chats_stays_when_one_is_added(opener: Opener, data: Path) -> None:
    store = opener()
    one, other = make_chat(store), make_chat(store, title="Other")
    there, first = make_message(store, one, "there"), make_message(store, other, "first")
    twin = (data / f"chats/{one.id}.jsonl").read_bytes()
    path = data / f"chats/{other.id}.jsonl"
    put(data, f"chats/{other.id}.jsonl", path.read_bytes() + twin)
    make_message(store, other, "added")
    with pytest.raises(UnreadableError, match=there.id):
        store.chats.update_message(first.id, {"content": "changed"})
    assert contents(store.side.read_log(other.id)) == ["first", "there", "added"]


def test_the_database_follows_to_an_end_while_a_file_stays_unreadable(
    opener: Opener, refusing: Callable[..., None]
) -> None:
    store = opener(system=Refusing())
    alice = make_character(store)
    chat = make_chat(store, characterId=alice.id)
    make_message(store, chat)
    store.following.apply(1)
    refusing(store, f"{chat.id}.jsonl", math.inf)
    store.following.apply(1)
    with store.index.database.read() as connection:
        waiting = connection.exec_driver_sql("SELECT count(*) FROM index_behind").scalar()
    for _ in range(3):
        store.index.refresh(full=True)
    with store.index.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM index_behind").scalar() == waiting
    with store.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM messages").scalar() == 1
    refusing(store, "")
    store.following.apply(1)
    assert store.following.pending() == 0


class Overtaken(System):
    """Another program adds a line to a file before the call named, once."""

    path, call, line = Path(), "", b""

    def signature(self, path: Path) -> Signature:
        self._meet("signature", path)
        return super().signature(path)

    def read(self, path: Path) -> bytes:
        self._meet("read", path)
        return super().read(path)

    def open_to_append(self, path: Path) -> Handle:
        self._meet("open_to_append", path)
        return super().open_to_append(path)

    def _meet(self, call: str, path: Path) -> None:
        if (call, path) == (self.call, self.path):
            self.call = ""
            with path.open("ab") as file:
                file.write(self.line)


@pytest.mark.parametrize("call", ["signature", "open_to_append"])
def test_a_line_that_another_program_adds_while_ours_is_added_stays(opener: Opener, data: Path, call: str) -> None:
    system = Overtaken()
    store = opener(system=system)
    chat = make_chat(store)
    make_message(store, chat, "first")
    system.path, system.call = data / f"chats/{chat.id}.jsonl", call
    system.line = by_quilltap(message(7, "theirs", createdAt=now()))
    make_message(store, chat, "ours")
    assert contents(store.side.read_log(chat.id)) == ["first", "theirs", "ours"]
    first = store.chats.get_messages(chat.id)[0]
    store.chats.update_message(first.id, {"content": "changed"})
    assert contents(store.side.read_log(chat.id)) == ["changed", "theirs", "ours"]


def test_a_chat_that_another_program_writes_to_at_this_very_moment_is_not_written_anew(
    opener: Opener, data: Path
) -> None:
    system = Overtaken()
    store = opener(system=system)
    chat = make_chat(store)
    first = make_message(store, chat, "first")
    system.path, system.call = data / f"chats/{chat.id}.jsonl", "read"  # the index was asked before
    system.line = by_quilltap(message(7, "theirs", createdAt=now()))
    with pytest.raises(ConflictError, match="another program") as raised:
        store.chats.update_message(first.id, {"content": "changed"})
    assert "again" in raised.value.hint
    assert store.chats.update_message(first.id, {"content": "changed"}).value.content == "changed"
    assert contents(store.side.read_log(chat.id)) == ["changed", "theirs"]
