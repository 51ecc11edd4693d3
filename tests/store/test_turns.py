"""Whose turn it is: who was started before the last switch of backend writes nothing any more, and may still read.

And going round all backends, with edits at each, loses nothing.
"""

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from store import Store
from store.errors import StoreError, SwitchedError
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    make_chat,
    make_message,
    make_tag,
    make_user,
    open_test_store,
)
from tests.store.both_sides import by_another_program, in_sql

pytestmark = pytest.mark.slow  # many starts, each with its look at both sides
BACKENDS = ("sql", "dual", "json")
Opener = Callable[..., Store]


@pytest.fixture
def opener(tmp_path: Path, ready_sqlite_url: str) -> Iterator[Opener]:
    """Opens stores on one folder and one database, and closes them in the end."""
    opened: list[Store] = []

    def open_one(backend: str, url: str = ready_sqlite_url, **options: Any) -> Store:
        opened.append(open_test_store(tmp_path, url, backend, **options))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


def go_over(store: Store, opener: Opener, backend: str) -> Store:
    store.close()
    return opener(backend, store.settings.database_url)


def state(store: Store) -> tuple[object, ...]:
    """Everything that another process could see of a write."""
    rows = [[tuple(row) for row in _rows(store, table)] for table in ("users", "tags")]
    return rows, files_below(store.settings.data_dir), files_below_own(store)


def _rows(store: Store, table: str) -> list[sa.Row[Any]]:
    with store.database.read() as connection:
        return list(connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY id")))


def files_below_own(store: Store) -> dict[str, bytes]:
    """What processes tell each other."""
    folder = store.settings.own_dir
    return {name: data for name, data in files_below(folder).items() if name in ("turn", "bond", "journal")}


# ------------------------------------------------------------------ who was started before
@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(BACKENDS, 2)))
def test_who_was_started_before_the_switch_writes_no_more(opener: Opener, first: str, second: str) -> None:
    opener("dual").close()
    old = opener(first)
    user, tag = make_user(old), make_tag(old)
    opener(second)
    before = state(old)
    for work in (
        lambda: old.users.update(user.id, {"name": "Late"}),
        lambda: old.tags.delete(tag.id),
        lambda: make_tag(old, name="Late", userId=user.id),
    ):
        with pytest.raises(SwitchedError) as raised:
            work()
        assert f"DATA_BACKEND={second}" in raised.value.message
        assert raised.value.hint
    assert [one.name for one in old.tags.find_all()] == ["Elf"]
    assert old.users.find_by_id(user.id).user.name == "Ada"
    assert state(old) == before


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_processes_with_one_backend_both_write(opener: Opener, backend: str) -> None:
    one, other = opener(backend), opener(backend)
    user = make_user(one)
    make_tag(other, "Elf", userId=user.id)
    make_tag(one, "König", userId=user.id)
    assert {tag.name for tag in other.tags.find_all()} == {"Elf", "König"}


def test_switching_back_does_not_wake_who_was_started_before(opener: Opener) -> None:
    old = opener("dual")
    user = make_user(old)
    opener("json").close()
    new = opener("dual")
    with pytest.raises(SwitchedError):
        old.users.update(user.id, {"name": "Late"})
    assert new.users.update(user.id, {"name": "New"}).sources.consistent
    assert_everything_is_equal(new)


@pytest.mark.parametrize("number", [1, 2])
def test_its_background_loop_writes_nothing_either(opener: Opener, number: int) -> None:
    """Neither what waited before the switch, nor what comes to SQL afterwards."""
    old = opener("dual")
    user = make_user(old)
    if number == 1:
        by_another_program(old, "UPDATE users SET name = 'Before' WHERE id = :a", user.id)
    opener("json")
    if number == 2:
        by_another_program(old, "UPDATE users SET name = 'After' WHERE id = :a", user.id)
    before = state(old)
    with pytest.raises(StoreError):
        old.outbox.apply()
    with contextlib.suppress(SwitchedError):
        old._follow()
    assert state(old) == before


def test_a_json_process_of_before_leaves_sql_alone(opener: Opener) -> None:
    old = opener("json")
    user = make_user(old)
    opener("dual")
    with old.side.lock.hold():  # a change of the files that the index has not seen yet
        name = "settings/general.json"
        path = old.settings.data_dir / name
        path.write_bytes(path.read_bytes().replace(b"Ada", b"Eve"))
    before = in_sql(old, "SELECT name FROM users")
    with pytest.raises(SwitchedError):
        old.catch_up()
    with pytest.raises(SwitchedError):
        old.following.apply()
    assert in_sql(old, "SELECT name FROM users") == before == ["Ada"]
    assert old.users.find_by_id(user.id)


def test_who_closes_after_the_switch_does_not_tie_the_sides_together(opener: Opener) -> None:
    """They would count as equal at the next start."""
    old = opener("dual")
    user = make_user(old)
    new = opener("json")
    old.close()
    new.users.update(user.id, {"name": "Ours"})
    by_another_program(new, "UPDATE users SET name = 'Theirs' WHERE id = :a", user.id)
    again = go_over(new, opener, "json")
    assert again.users.find_by_id(user.id).user.name == "Ours"


def test_sql_alone_takes_its_turn_too(opener: Opener) -> None:
    """Also where there was never a JSON side."""
    old = opener("sql")
    assert not old.settings.own_dir.exists()
    opener("json")
    with pytest.raises(SwitchedError):
        make_user(old)


# ------------------------------------------------------------------ at the same moment
def test_a_switch_waits_for_who_is_writing(opener: Opener, ready_postgres_url: str) -> None:
    old = opener("sql", ready_postgres_url)
    opener("dual", ready_postgres_url).close()
    old = go_over(old, opener, "dual")
    user = make_user(old)
    switched: list[Store] = []
    with old.database.write() as connection:
        old.turn.check(connection)
        thread = threading.Thread(target=lambda: switched.append(opener("json", ready_postgres_url)))
        thread.start()
        _wait_for_a_lock(old)
        assert switched == []
        connection.execute(sa.text("UPDATE users SET name = 'In time' WHERE id = :a"), {"a": user.id})
    thread.join()
    assert switched[0].users.find_by_id(user.id).user.name in ("In time", "Ada")
    with pytest.raises(SwitchedError):
        old.users.update(user.id, {"name": "Late"})


def test_who_checks_while_somebody_switches_is_told(opener: Opener, ready_postgres_url: str) -> None:
    """The row that says whose turn it is is never gone, not even for who waits for it."""
    old = opener("dual", ready_postgres_url)
    user, raised = make_user(old), list[BaseException]()

    def write_late() -> None:
        try:
            old.users.update(user.id, {"name": "Late"})
        except StoreError as error:
            raised.append(error)

    thread = threading.Thread(target=write_late)
    new = Store(old.settings.__class__(**{**vars(old.settings), "data_backend": "json"}))

    def while_switching(connection: sa.Connection) -> None:
        thread.start()
        _wait_for_a_lock(old)

    sa.event.listen(new.database.engine, "commit", while_switching, once=True)
    new.turn.take()
    thread.join()
    assert [type(error) for error in raised] == [SwitchedError]
    new.close()


def _wait_for_a_lock(store: Store) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    for _ in range(1000):
        if in_sql(store, waiting)[0]:
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


# ------------------------------------------------------------------ round and round
def test_going_round_loses_nothing(opener: Opener, ready_url: str) -> None:
    store = opener("dual", ready_url)
    user, chat = make_user(store), None
    kept, said = [make_tag(store, "gone", userId=user.id)], []
    for number, backend in enumerate(("dual", "json", "sql", "json", "dual")):
        store = go_over(store, opener, backend)
        kept.append(make_tag(store, f"of {backend} {number}", userId=user.id))
        if number == 0:
            chat = make_chat(store, userId=user.id)
        elif backend != "sql":
            said.append(make_message(store, chat, f"in {backend} {number}").content)
        if backend != "sql" and number < 3:
            store.tags.update(kept[0].id, {"name": f"seen by {backend}"})
    assert store.step.in_step, store.step
    assert {tag.name for tag in store.tags.find_all()} == {tag.name for tag in kept[1:]} | {"seen by json"}
    assert [one.content for one in store.chats.get_messages(chat.id)] == said
    store.catch_up()
    assert_everything_is_equal(store)


def test_what_sql_and_json_changed_in_turn_is_a_conflict_that_is_told(opener: Opener) -> None:
    store = opener("dual")
    tag = make_tag(store)
    for name, backend in (("first", "json"), ("theirs", "sql"), ("ours", "json")):
        store = go_over(store, opener, backend)
        store.tags.update(tag.id, {"name": name})
    store.catch_up()
    assert [tag.id in problem.message for problem in store.problems()] == [True]
    store = go_over(store, opener, "dual")
    assert not store.step.in_step
    assert tag.id in store.step.sentence
    assert in_sql(store, "SELECT name FROM tags") == ["theirs"]
    assert b'"ours"' in files_below(store.settings.data_dir)["tags/tags.json"]
