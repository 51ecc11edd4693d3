"""Chats' files: what is appended, what is written anew, what is left alone."""

import os
from pathlib import Path
from typing import Any

import pytest

from store.errors import InvalidRecordError, UnreadableError
from store.files import logs
from store.files.replace import Append, Write
from store.files.side import JsonSide
from store.files.system import System
from tests.crash.stops import run_apart
from tests.store.files.conftest import PutChat
from tests.store.files.lines_of_chats import (
    BAD,
    CHAT,
    FIRST,
    FROM_LATER,
    PATH,
    SECOND,
    SUMMARY,
    THIRD,
    Record,
    by_quilltap,
    contents,
    message,
)

pytestmark = pytest.mark.slow  # many examples


def planned(root: Path, *records: Record, known_good: int | None = None) -> Write:
    """The one thing that becomes of the chat's file."""
    plan, _ = logs.plan_whole(System(), root, CHAT, records, known_good)
    assert plan.refused == {}
    ((path, data),) = plan.files.items()
    assert path == PATH
    return data


# ------------------------------------------------------------------ the end of a file
class Metered(System):
    """Counts the bytes that are read."""

    read_bytes = 0

    def read_from(self, path: Path, offset: int, size: int) -> bytes:
        self.read_bytes += size
        return super().read_from(path, offset, size)

    def read(self, path: Path) -> bytes:
        raise AssertionError("the whole file is read")


def test_the_end_is_read_without_the_rest(put_chat: PutChat, tmp_path: Path) -> None:
    path = put_chat(*(message(number, "x" * 300) for number in range(1000)))
    system = Metered()
    end = logs.tail(system, tmp_path, CHAT)
    assert end == logs.Tail(path.stat().st_size, False, logs.order(message(999)))
    assert system.read_bytes <= logs.BLOCK
    assert path.stat().st_size > 4 * logs.BLOCK


@pytest.mark.parametrize("torn", [b"", b"y" * 3 * logs.BLOCK], ids=["whole", "torn"])
def test_a_line_longer_than_a_block_is_read_whole(put_chat: PutChat, tmp_path: Path, torn: bytes) -> None:
    long = message(2, "x" * 3 * logs.BLOCK)
    put_chat(FIRST, long, torn)
    end = logs.tail(Metered(), tmp_path, CHAT)
    assert end is not None
    assert end.size == len(logs.line(FIRST) + logs.line(long))
    assert end.key == logs.order(long)
    assert end.torn is bool(torn)


def test_without_a_file_there_is_no_end(tmp_path: Path) -> None:
    assert logs.tail(System(), tmp_path, CHAT) is None


def test_a_later_message_is_appended(put_chat: PutChat, tmp_path: Path) -> None:
    path = put_chat(FIRST)
    end = logs.tail(System(), tmp_path, CHAT)
    assert end is not None
    assert logs.plan_append(end, [SECOND, THIRD]) == Append(path.stat().st_size, logs.line(SECOND) + logs.line(THIRD))


def test_to_an_empty_file_anything_is_appended(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat()
    end = logs.tail(System(), tmp_path, CHAT)
    assert end == logs.Tail(0, False, None)
    assert logs.plan_append(end, [FIRST]) == Append(0, logs.line(FIRST))


@pytest.mark.parametrize("record", [FIRST, SECOND, message(2, swipeIndex=None)])
def test_a_message_that_is_there_or_belongs_further_up_is_not_appended(
    put_chat: PutChat, tmp_path: Path, record: Record
) -> None:
    put_chat(FIRST, SECOND)
    end = logs.tail(System(), tmp_path, CHAT)
    assert end is not None
    assert logs.plan_append(end, [record, THIRD]) is None


def test_swipes_are_in_the_order_of_their_index_and_the_first_has_none() -> None:
    moment = FIRST["createdAt"]
    none, zero, one, ten = (
        message(number, swipeIndex=swipe, createdAt=moment) for number, swipe in ((9, None), (8, 0), (7, 1), (6, 10))
    )
    same = message(5, swipeIndex=1, createdAt=moment)
    assert sorted([ten, one, zero, none, same], key=logs.order) == [none, zero, same, one, ten]


@pytest.mark.parametrize("event", [SUMMARY, FROM_LATER, b"{broken}\n"], ids=["summary", "unknown", "bad"])
def test_behind_what_is_no_message_nothing_is_appended_without_a_look_at_the_whole(
    put_chat: PutChat, tmp_path: Path, event: Any
) -> None:
    put_chat(FIRST, event)
    try:
        end = logs.tail(System(), tmp_path, CHAT)
    except UnreadableError:
        return
    assert end is not None
    assert logs.plan_append(end, [SECOND]) is None


def test_the_last_messages_are_read_from_the_end(put_chat: PutChat, tmp_path: Path) -> None:
    records = [message(number, f"no. {number} " + "x" * 300) for number in range(2000)]
    put_chat(*records)
    for count in (1, 2, 50, 500, 2000, 5000):
        found = logs.last(Metered(), tmp_path, CHAT, count)
        assert [one.id for one in found] == [one["id"] for one in records[-count:]]
    system = Metered()
    logs.last(system, tmp_path, CHAT, 50)
    assert system.read_bytes <= logs.BLOCK


def test_the_last_messages_are_there_also_before_a_torn_tail(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, SECOND, logs.line(THIRD)[:-4])
    assert [one.content for one in logs.last(System(), tmp_path, CHAT, 2)] == ["no. 1", "no. 2"]


def test_of_a_chat_without_a_file_there_are_no_last_messages(tmp_path: Path) -> None:
    assert logs.last(System(), tmp_path, CHAT, 5) == []


# ------------------------------------------------------------------ a file as a whole
def test_a_new_file_has_every_message_in_order(tmp_path: Path) -> None:
    assert planned(tmp_path, FIRST, SECOND) == logs.line(FIRST) + logs.line(SECOND)
    assert planned(tmp_path) == b""  # a chat without messages has an empty file


def test_what_is_equal_is_not_written(put_chat: PutChat, tmp_path: Path) -> None:
    path = put_chat(FIRST, SUMMARY, SECOND)
    assert planned(tmp_path, FIRST, SECOND) == Append(path.stat().st_size, b"")


def test_a_line_of_quilltap_gets_its_checksum_when_the_file_is_written_anew(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(by_quilltap(FIRST), by_quilltap(SECOND))
    assert planned(tmp_path, FIRST, SECOND) == logs.line(FIRST) + logs.line(SECOND)


def test_a_change_further_up_keeps_everything_else(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, by_quilltap(SUMMARY), by_quilltap(FROM_LATER), {**SECOND, "mood": "glad"}, THIRD)
    changed = {**FIRST, "content": "changed"}
    assert planned(tmp_path, changed, SECOND) == b"".join(
        [logs.line(changed), by_quilltap(SUMMARY), by_quilltap(FROM_LATER), logs.line({**SECOND, "mood": "glad"})]
    )


def test_a_message_that_comes_in_between_stands_in_order_around_other_events(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, by_quilltap(SUMMARY), THIRD)
    before = message(7, "before", createdAt="2025-01-01T00:00:01.400Z")
    after = message(8, "after", createdAt="2025-01-01T00:00:01.600Z")
    new = planned(tmp_path, FIRST, before, after, THIRD)
    assert new == b"".join(
        [logs.line(FIRST), logs.line(before), by_quilltap(SUMMARY), logs.line(after), logs.line(THIRD)]
    )


def test_a_chat_that_is_gone_takes_its_file_along(put_chat: PutChat, tmp_path: Path) -> None:
    assert logs.plan_whole(System(), tmp_path, CHAT, None)[0].files == {}
    put_chat(FIRST)
    assert logs.plan_whole(System(), tmp_path, CHAT, None)[0].files == {PATH: None}


@pytest.mark.parametrize("records", [[FIRST], [], None], ids=["written", "emptied", "removed"])
@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_damaged_file_is_left_alone(
    put_chat: PutChat, tmp_path: Path, data: bytes, records: list[Record] | None
) -> None:
    put_chat(FIRST, data, THIRD)
    plan, torn = logs.plan_whole(System(), tmp_path, CHAT, records)
    assert (plan.files, torn) == ({}, b"")
    (error,) = plan.refused.values()
    assert list(plan.refused) == [("log", CHAT)]
    assert isinstance(error, UnreadableError)
    assert (error.path, error.line) == (PATH, 2)


def test_a_file_that_cannot_be_read_is_no_missing_one(tmp_path: Path) -> None:
    (tmp_path / PATH).mkdir(parents=True)
    plan, _ = logs.plan_whole(System(), tmp_path, CHAT, [FIRST])
    assert plan.files == {}
    assert isinstance(plan.refused["log", CHAT], UnreadableError)


def test_an_id_too_long_for_a_name_is_refused(tmp_path: Path) -> None:
    plan, _ = logs.plan_whole(System(), tmp_path, "x" * 300, [FIRST])
    assert plan.files == {}
    assert isinstance(plan.refused["log", "x" * 300], InvalidRecordError)
    assert logs.plan_whole(System(), tmp_path, "x" * 300, None)[0].refused == {}


@pytest.mark.parametrize("chat_id", [CHAT, "../escape", "a/b", "index", "ä.~", "…"])
def test_a_name_stands_for_one_chat(chat_id: str) -> None:
    path = logs.log_path(chat_id)
    assert path.count("/") == 1
    assert ".." not in path
    assert logs.chat_of(path) == chat_id


def test_no_chat_has_the_name_of_the_index() -> None:
    assert logs.log_path("index") != logs.INDEX


# ------------------------------------------------------------------ many at once
def test_twenty_who_append_at_once_lose_nothing_of_each_other(tmp_path: Path) -> None:
    side = JsonSide(tmp_path / "data", tmp_path / "own")
    side.make_folder()
    side.write({PATH: b""})

    def append() -> None:
        own = JsonSide(tmp_path / "data", tmp_path / "own")
        for _ in range(2):
            with own.lock.hold(60):
                end = logs.tail(own.system, own.data_dir, CHAT)
                assert end is not None
                count = (own.data_dir / PATH).read_bytes().count(b"\n")
                change = logs.plan_append(end, [message(count, f"by {os.getpid()}")])
                assert change is not None
                own.write({PATH: change})

    parent, children = os.getpid(), []
    for _ in range(20):
        child = os.fork()
        if child == 0:
            os._exit(run_apart(append))
        children.append(child)
    assert os.getpid() == parent
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 20
    log = logs.parse(PATH, (tmp_path / "data" / PATH).read_bytes())
    assert (log.bad, log.torn) == ([], b"")
    assert len(log.messages) == 40
    assert sorted(contents(log)) == sorted(text for text in set(contents(log)) for _ in range(2))
