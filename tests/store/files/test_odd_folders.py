"""A message whose row makes no line: the line that the file of its chat has stays."""

from pathlib import Path

import pytest

from store import Store
from store.files import logs
from store.files.replace import Append
from store.files.system import System
from store.repair_plan import plan_repair
from store.repairing import repair
from store.validation import validate_all_data
from tests.factories import make_chat, make_message
from tests.store.both_sides import by_another_program
from tests.store.files.conftest import Opener, PutChat
from tests.store.files.lines_of_chats import CHAT, FIRST, FROM_LATER, PATH, SECOND, SUMMARY, THIRD, by_quilltap, message

STAYS = logs.as_it_is(SECOND["id"])


# ------------------------------------------------------------------ a line that stays
def rewritten(root: Path, *records: logs.Record) -> bytes | None:
    """What becomes of the chat's file; None when it stays as it is."""
    plan, _ = logs.plan_whole(System(), root, CHAT, records)
    assert plan.refused == {}
    new = plan.files[PATH]
    assert isinstance(new, bytes) or new == Append((root / PATH).stat().st_size, b"")
    return new if isinstance(new, bytes) else None


@pytest.mark.parametrize("line", [logs.line(SECOND), by_quilltap(SECOND), by_quilltap({**SECOND, "new": [1.50]})])
def test_a_line_stays_byte_for_byte_between_its_neighbours(put_chat: PutChat, tmp_path: Path, line: bytes) -> None:
    put_chat(FIRST, line, by_quilltap(SUMMARY), THIRD)
    changed = {**FIRST, "content": "changed"}
    new = rewritten(tmp_path, changed, STAYS, THIRD, message(4))
    # What is no message keeps its place in time.
    together = [logs.line(changed), by_quilltap(SUMMARY), line, logs.line(THIRD), logs.line(message(4))]
    assert new == b"".join(together)


def test_a_file_of_which_only_a_line_has_to_stay_is_not_written(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, by_quilltap(SECOND), THIRD)
    assert rewritten(tmp_path, FIRST, STAYS, THIRD) is None


@pytest.mark.parametrize("place", range(3))
def test_a_line_stays_where_its_own_time_has_it(put_chat: PutChat, tmp_path: Path, place: int) -> None:
    """Wherever the row would have it."""
    put_chat(FIRST, SECOND, THIRD)
    others = [FIRST, THIRD]
    others.insert(place, STAYS)
    assert rewritten(tmp_path, *others) is None


def test_lines_stay_at_either_end(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST, by_quilltap(FROM_LATER), SECOND, THIRD)
    new = rewritten(tmp_path, *map(logs.as_it_is, (FIRST["id"], THIRD["id"])))
    assert new == b"".join([logs.line(FIRST), by_quilltap(FROM_LATER), logs.line(THIRD)])


def test_without_a_line_there_is_none_to_stay(put_chat: PutChat, tmp_path: Path) -> None:
    plan, _ = logs.plan_whole(System(), tmp_path, CHAT, [FIRST, STAYS])
    assert plan.files == {PATH: logs.line(FIRST)}
    put_chat(FIRST, THIRD)
    assert rewritten(tmp_path, FIRST, STAYS, THIRD) is None


@pytest.fixture(params=["validate", "repair"])
def look(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_message_that_another_program_spoiled_keeps_its_line(opener: Opener, tmp_path: Path, look: str) -> None:
    store = opener("dual")
    chat = make_chat(store)
    spoiled, *others = [make_message(store, chat, text) for text in ("one", "two", "three")]
    path = tmp_path / "data" / logs.log_path(chat.id)
    line = path.read_bytes().split(b"\n")[0]
    by_another_program(store, "UPDATE messages SET role = 'DEVELOPER' WHERE id = :a", spoiled.id)
    by_another_program(store, "UPDATE messages SET content = 'changed' WHERE id = :a", others[1].id)
    report = validate_all_data(store)
    if look == "repair":
        report = repair(store, plan_repair(report.affected, "sql", store))
    assert [(one.id, one.field, one.json) for one in report.differences] == [(spoiled.id, "role", "USER")]
    assert (report.exit_status, report.models["Message"].equal) == (2, 2), report.as_text()
    assert any(spoiled.id in note for note in report.notes)
    assert path.read_bytes().startswith(line + b"\n")
    assert said(store, chat.id) == ["one", "two", "changed"]
    make_message(store, chat, "four")
    store.catch_up()
    assert said(store, chat.id) == ["one", "two", "changed", "four"]
    assert any(spoiled.id in one.message for one in store.problems())
    by_another_program(store, "UPDATE messages SET role = 'USER' WHERE id = :a", spoiled.id)
    assert validate_all_data(store).exit_status == 0


def said(store: Store, chat_id: str) -> list[str]:
    log = store.side.read_log(chat_id)
    assert log is not None
    return [event.record["content"] for event in log.messages]
