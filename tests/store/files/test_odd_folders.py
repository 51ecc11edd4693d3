"""What chats' files cannot hold as it is: a message whose row makes no line, an id too long for a name."""

from pathlib import Path

import pytest

from store import Store
from store.exporting import export
from store.files import logs
from store.files.replace import Append
from store.files.shelves import Entry
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


# ------------------------------------------------------------------ an id too long for a name
LONG = "c" * 250  # with .jsonl behind it


def with_a_long_id(store: Store) -> None:
    """A chat with a message, and a neighbour that changes, all by another program."""
    chat = make_chat(store)
    neighbour = make_message(store, chat, "Hello.")
    columns = '"userId", "characterId", "connectionProfileId", title, "createdAt", "updatedAt"'
    by_another_program(store, f"INSERT INTO chats (id, {columns}) SELECT :a, {columns} FROM chats", LONG)
    columns = 'role, content, "createdAt"'
    told = f"INSERT INTO messages (id, \"chatId\", {columns}) SELECT 'm', :a, {columns} FROM messages"
    by_another_program(store, told, LONG)
    by_another_program(store, "UPDATE messages SET content = 'changed' WHERE id = :a", neighbour.id)


def test_neighbours_of_a_chat_with_too_long_an_id_follow_and_are_exported(opener: Opener, tmp_path: Path) -> None:
    store = opener("dual")
    with_a_long_id(store)
    store.catch_up()
    (chat_id,) = store.side.log_ids()
    assert said(store, chat_id) == ["changed"]
    assert {LONG, chat_id} == {one.id for one in store.side.entries("chat") if isinstance(one, Entry)}
    assert any(f"The chat {LONG[:40]}" in one.message and "too long" in one.message for one in store.problems())
    report = validate_all_data(store)
    assert [(one.model, one.id, one.field) for one in report.differences] == [("Message", "m", None)], report.as_text()
    assert repair(store, plan_repair(report.affected, "sql", store)).models["Message"].equal == 1
    exported = export(store, dry_run=True)
    assert any(f"The chat {LONG[:40]}" in one.message and "too long" in one.message for one in exported.problems)


def test_of_a_file_that_no_name_can_have_there_is_no_end(tmp_path: Path) -> None:
    system = System()
    assert logs.tail(system, tmp_path, LONG) is None
    assert logs.last(system, tmp_path, LONG, 3) == []
    assert logs.good_size(system, tmp_path, LONG, None) == 0


def test_what_else_hides_the_end_of_a_file_is_told(put_chat: PutChat, tmp_path: Path) -> None:
    put_chat(FIRST)
    with pytest.raises(NotADirectoryError):
        logs.tail(System(), tmp_path / PATH, CHAT)
