"""Chats' files: what a line is, and what of a file can be read, whatever happened to it."""

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.files import logs
from store.files.system import System
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
    by_quilltap,
    contents,
    message,
)

pytestmark = pytest.mark.slow  # many examples


# ------------------------------------------------------------------ a line
def test_a_line_ends_with_the_checksum_of_what_is_before_it() -> None:
    bare = by_quilltap(FIRST)[:-1]
    crc = f"{zlib.crc32(bare):08x}".encode()
    assert logs.line(FIRST) == bare[:-1] + b',"extras":{"crc":"' + crc + b'"}}\n'


def test_the_checksum_is_the_last_of_what_else_is_told() -> None:
    record = message(extras={"raw": {"rawResponse": [1]}})
    bare = by_quilltap(record)[:-1]
    crc = f"{zlib.crc32(bare):08x}".encode()
    assert logs.line(record) == bare[:-2] + b',"crc":"' + crc + b'"}}\n'


def test_a_checksum_that_a_record_had_counts_for_nothing() -> None:
    assert logs.line(message(extras={"crc": "00000000"})) == logs.line(message())


def test_a_checksum_has_eight_digits_also_when_it_begins_with_zeros() -> None:
    told = {json.loads(logs.line(message(content=str(number))))["extras"]["crc"] for number in range(600)}
    assert {len(one) for one in told} == {8}
    assert any(one.startswith("0") for one in told)


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_whatever_a_message_says_is_read_again(content: str) -> None:
    data = logs.line(message(content=content))
    assert data.count(b"\n") == 1
    log = logs.parse(PATH, data)
    assert contents(log) == [content]
    assert (log.bad, log.torn, log.good_bytes) == ([], b"", len(data))


LOOKS_LIKE_OURS = ['","extras":{"crc":"00000000"}}', '\u2028"crc":"deadbeef"}}', "}}\r\n"]


@pytest.mark.parametrize("content", LOOKS_LIKE_OURS)
def test_a_text_that_looks_like_a_checksum_is_a_text(content: str) -> None:
    for data in (logs.line(message(content=content)), by_quilltap(message(content=content))):
        log = logs.parse(PATH, data)
        assert (contents(log), log.bad) == ([content], [])


def test_what_another_program_calls_crc_is_its_own(put_chat: PutChat) -> None:
    """A key that Quilltap may add one day: the line has no checksum of ours."""
    line = by_quilltap({**FIRST, "meta": {"a": 1, "crc": "0badf00d"}})
    log = logs.parse(PATH, line)
    assert (contents(log), log.bad) == (["no. 1"], [])


# ------------------------------------------------------------------ reading
def test_the_lines_of_quilltap_have_no_checksum_and_are_as_good() -> None:
    log = logs.parse(PATH, logs.line(FIRST) + by_quilltap(SECOND) + logs.line(THIRD))
    assert contents(log) == ["no. 1", "no. 2", "no. 3"]
    assert [event.line for event in log.events] == [1, 2, 3]


def test_a_key_that_quilltap_added_is_passed_over_and_a_default_is_filled_in() -> None:
    record = {**FIRST, "mood": "glad"}
    for key in ("rawResponse", "tokenCount", "attachments"):
        del record[key]
    (event,) = logs.parse(PATH, logs.line(record)).messages
    assert event.document.attachments == ()  # type: ignore[union-attr]
    assert event.record["mood"] == "glad"


def test_events_that_are_no_messages_are_events() -> None:
    log = logs.parse(PATH, logs.line(FIRST) + by_quilltap(SUMMARY) + by_quilltap(FROM_LATER) + logs.line(SECOND))
    assert log.bad == []
    assert [event.record["type"] for event in log.events] == ["message", "context-summary", "reaction", "message"]
    assert log.events[2].document is None
    assert contents(log) == ["no. 1", "no. 2"]


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_a_bad_line_is_told_by_its_number_and_its_neighbours_are_read(data: bytes) -> None:
    log = logs.parse(PATH, logs.line(FIRST) + data + logs.line(THIRD))
    assert contents(log) == ["no. 1", "no. 3"]
    (error,) = log.bad
    assert (error.path, error.line) == (PATH, 2)
    assert log.torn == b""


@pytest.mark.parametrize("how", [0x01, 0x04, 0x20, 0x80])
def test_a_byte_that_changed_is_told_or_changes_nothing(how: int) -> None:
    """Wherever in the middle of a file it is, and whatever of its bits; the messages around it stay."""
    before, middle, after = (logs.line(one) for one in (FIRST, SECOND, THIRD))
    (wanted,) = logs.parse(PATH, middle).messages
    for place in range(len(middle) - 1):
        flipped = bytearray(middle)
        flipped[place] ^= how
        log = logs.parse(PATH, before + bytes(flipped) + after)
        assert {"no. 1", "no. 3"} <= set(contents(log)), place
        if log.bad:
            assert log.bad[0].line == 2, place
            assert len(log.messages) == 2
        else:  # only the name of the checksum was hit
            told = [event.document.model_dump(exclude={"extras"}) for event in log.messages if event.document]
            assert told[1] == wanted.document.model_dump(exclude={"extras"}), place  # type: ignore[union-attr]
        assert log.torn == b""


def test_a_newline_that_changed_hides_the_two_lines_it_was_between() -> None:
    lines = [logs.line(one) for one in (FIRST, SECOND, THIRD)]
    log = logs.parse(PATH, lines[0] + lines[1][:-1] + b"\x0b" + lines[2] + logs.line(message(4, "no. 4")))
    assert contents(log) == ["no. 1", "no. 4"]
    assert [error.line for error in log.bad] == [2]


# ------------------------------------------------------------------ torn tails
def test_an_append_that_was_torn_at_any_byte_leaves_what_was_before(put_chat: PutChat, tmp_path: Path) -> None:
    lines = [logs.line(one) for one in (FIRST, SECOND, message(3, "Größe\u2028🔑"))]
    whole = b"".join(lines)
    for cut in range(len(lines[0]), len(whole) + 1):
        complete = whole[:cut].count(b"\n")
        # A line that lacks only its newline is whole, as its checksum shows.
        almost = cut + 1 in (len(lines[0] + lines[1]), len(whole))
        good = cut if almost else len(b"".join(lines[:complete]))
        log = logs.parse(PATH, whole[:cut], known_good=len(lines[0]))
        assert log.bad == []
        assert len(log.messages) == complete + almost
        assert (log.good_bytes, log.torn) == (good, whole[good:cut])
        put_chat(whole[:cut])
        end = logs.tail(System(), tmp_path, CHAT)
        assert end is not None
        assert end.torn is (whole[cut - 1 : cut] != b"\n")
        assert (logs.plan_append(end, [message(9)]) is None) is end.torn
        assert end.size == len(b"".join(lines[:complete]))


def test_the_torn_tail_is_given_back_to_be_set_aside(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, logs.line(SECOND)[:-9])
    plan, torn = logs.plan_whole(System(), tmp_path, CHAT, [FIRST, SECOND])
    assert plan.files == {PATH: logs.line(FIRST) + logs.line(SECOND)}
    assert torn == logs.line(SECOND)[:-9]


@pytest.mark.parametrize("tail", [b"half of a li", bytes(64), b"\n", b"{}", b"\xff\xfe"], ids=repr)
def test_whatever_lies_behind_the_last_line_hides_nothing(tail: bytes) -> None:
    log = logs.parse(PATH, logs.line(FIRST) + tail, known_good=len(logs.line(FIRST)))
    assert (contents(log), log.bad, log.torn) == (["no. 1"], [], tail)


def test_a_last_line_whose_checksum_is_right_only_lacks_its_newline(put_chat: PutChat, tmp_path: Path) -> None:
    """Every byte of it is as it was written: in `json` mode this file is all there is of the message."""
    data = logs.line(FIRST) + logs.line(SECOND)[:-1]
    assert contents(logs.parse(PATH, data)) == ["no. 1", "no. 2"]
    put_chat(data)
    plan, torn = logs.plan_whole(System(), tmp_path, CHAT, [FIRST, SECOND])
    assert (plan.files, torn) == ({PATH: data + b"\n"}, b"")


def test_a_last_line_without_newline_and_checksum_may_be_cut_short_and_is_torn() -> None:
    """Quilltap, too, writes a newline with every line."""
    log = logs.parse(PATH, logs.line(FIRST) + by_quilltap(SECOND)[:-1])
    assert (contents(log), log.torn) == (["no. 1"], by_quilltap(SECOND)[:-1])


def test_behind_what_the_index_vouches_for_a_bad_line_and_what_follows_is_a_torn_tail() -> None:
    """Blocks reach the disk in any order: the first may be missing, and the last be there with its newline."""
    good, bad, last = logs.line(FIRST), bytes(30) + b"\n", logs.line(THIRD)
    log = logs.parse(PATH, good + bad + last, known_good=len(good))
    assert (contents(log), log.bad, log.torn, log.good_bytes) == (["no. 1"], [], bad + last, len(good))


@pytest.mark.parametrize("known", [None, "within", "behind"])
def test_before_that_it_is_damage(known: str | None) -> None:
    good, bad, last = logs.line(FIRST), bytes(30) + b"\n", logs.line(THIRD)
    vouched = {None: None, "within": len(good) + 1, "behind": len(good + bad + last)}[known]
    log = logs.parse(PATH, good + bad + last, known_good=vouched)
    assert contents(log) == ["no. 1", "no. 3"]
    assert [error.line for error in log.bad] == [2]


def test_what_was_lost_of_the_end_is_damage_when_the_index_vouched_for_it() -> None:
    good = logs.line(FIRST) + logs.line(SECOND)
    log = logs.parse(PATH, good + logs.line(THIRD)[:-5], known_good=len(good))
    assert (log.bad, log.good_bytes) == ([], len(good))


def test_an_empty_file_holds_nothing() -> None:
    assert logs.parse(PATH, b"") == logs.Log()
