"""Sessions and counted attempts in SQLite and in PostgreSQL, with a clock that the test sets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dashboard.accounts import Account, Accounts
from dashboard.sessions import ABSOLUTE_LIMIT, IDLE_LIMIT, Sessions
from dashboard.throttle import PER_ADDRESS, PER_NAME, WINDOW, Throttle
from store.database import Database
from tests.dashboard.entering import PASSWORD, a_database, cheap_passwords

SECOND = timedelta(seconds=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2025, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def later(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with a_database(database_url) as database:
        yield database


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, cheap_passwords())


@pytest.fixture
def ada(accounts: Accounts) -> Account:
    accounts.create("Bob", "admin", PASSWORD)
    return accounts.create("Ada", "admin", PASSWORD)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(database: Database, clock: Clock) -> Sessions:
    return Sessions(database, clock)


@pytest.fixture
def throttle(database: Database, clock: Clock) -> Throttle:
    return Throttle(database, clock)


def rows(database: Database, table: sa.Table) -> list[sa.Row[tuple[object, ...]]]:
    with database.read() as connection:
        return list(connection.execute(sa.select(table)))


def test_a_session_says_who_is_here_until_it_ends(sessions: Sessions, ada: Account) -> None:
    here, elsewhere = (sessions.start(ada, "127.0.0.1", "Firefox") for _ in range(2))
    assert here != elsewhere
    assert sessions.find(here) == ada
    sessions.end(here)
    sessions.end(here)
    assert sessions.find(here) is None
    assert sessions.find(elsewhere) == ada


def test_the_token_cannot_be_read_from_the_database(sessions: Sessions, ada: Account, database: Database) -> None:
    token = sessions.start(ada, "127.0.0.1", "Firefox\0" + "x" * 1000)
    [row] = rows(database, database.own.sessions)
    assert len(token) >= 43  # 256 bits
    assert token not in str(row)
    assert len(row.user_agent) == 300
    assert sessions.find(row.token_hash) is None


@pytest.mark.parametrize("token", ["", "x", "\ud83d", "ü" * 5000])
def test_a_made_up_token_is_nobody(sessions: Sessions, ada: Account, token: str) -> None:
    sessions.start(ada, "", "")
    assert sessions.find(token) is None


def test_a_session_runs_out_when_nobody_comes(sessions: Sessions, ada: Account, clock: Clock) -> None:
    token = sessions.start(ada, "", "")
    clock.later(IDLE_LIMIT - SECOND)
    assert sessions.find(token) == ada
    clock.later(IDLE_LIMIT - SECOND)  # counted anew from the last visit
    assert sessions.find(token) == ada
    clock.later(IDLE_LIMIT)
    assert sessions.find(token) is None


def test_a_session_runs_out_in_the_end_however_often_one_comes(sessions: Sessions, ada: Account, clock: Clock) -> None:
    token = sessions.start(ada, "", "")
    begun = clock.now
    while clock.now - begun < ABSOLUTE_LIMIT - timedelta(hours=6):
        clock.later(timedelta(hours=6))
        last = sessions.find(token)
    assert last == ada
    clock.later(timedelta(hours=6))
    assert sessions.find(token) is None


def test_what_has_run_out_is_swept_away_at_the_next_sign_in(
    sessions: Sessions, ada: Account, clock: Clock, database: Database
) -> None:
    sessions.start(ada, "", "")
    clock.later(IDLE_LIMIT)
    sessions.start(ada, "", "")
    assert len(rows(database, database.own.sessions)) == 1


def test_the_last_visit_is_written_once_a_minute(
    sessions: Sessions, ada: Account, clock: Clock, database: Database
) -> None:
    token = sessions.start(ada, "", "")

    def seen() -> object:
        return rows(database, database.own.sessions)[0].last_seen_at

    clock.later(timedelta(seconds=59))
    sessions.find(token)
    assert seen() == "2025-11-20T12:00:00.000Z"
    clock.later(SECOND)
    sessions.find(token)
    assert seen() == "2025-11-20T12:01:00.000Z"


def test_disabling_ends_all_sessions_of_the_account_and_of_no_other(
    sessions: Sessions, accounts: Accounts, ada: Account
) -> None:
    tokens = [sessions.start(ada, "", "") for _ in range(2)]
    bob = accounts.find("Bob")
    other = sessions.start(bob, "", "")
    accounts.disable("Ada")
    assert [sessions.find(token) for token in tokens] == [None, None]
    assert sessions.find(other) == bob
    assert sessions.find(sessions.start(ada, "", "")) is None  # one that began in the same moment counts no more


def test_a_new_password_ends_all_sessions(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    token = sessions.start(ada, "", "")
    accounts.set_password("Ada", "a loud Friday morning")
    assert sessions.find(token) is None


def test_another_role_counts_at_the_next_request(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    token = sessions.start(ada, "", "")
    accounts.change_role("Ada", "viewer")
    found = sessions.find(token)
    assert found is not None
    assert not found.may("editor")


def test_a_name_has_five_tries_in_a_quarter_of_an_hour(throttle: Throttle, clock: Clock) -> None:
    for number in range(PER_NAME):
        assert throttle.begin("Ada", f"10.0.0.{number}") is None
        clock.later(timedelta(minutes=1))
    assert throttle.begin(" ADA", "10.0.0.99") == WINDOW - timedelta(minutes=5)
    assert throttle.begin("Bob", "10.0.0.99") is None
    clock.later(WINDOW - timedelta(minutes=5))
    assert throttle.begin("Ada", "10.0.0.99") is None
    assert throttle.begin("Ada", "10.0.0.99") is not None  # only the first of the five has been forgotten


def test_an_address_has_twenty_tries_whatever_names_it_tries(throttle: Throttle) -> None:
    for number in range(PER_ADDRESS):
        assert throttle.begin(f"name {number}", "10.0.0.1") is None
    assert throttle.begin("yet another", "10.0.0.1") == WINDOW
    assert throttle.begin("yet another", "10.0.0.2") is None


def test_all_addresses_of_one_ipv6_network_count_together(throttle: Throttle) -> None:
    for number in range(PER_ADDRESS):
        assert throttle.begin(f"name {number}", f"2001:db8:1:2::{number:x}") is None
    assert throttle.begin("yet another", "2001:db8:1:2:ffff::1") == WINDOW
    assert throttle.begin("yet another", "2001:db8:1:3::1") is None


def test_who_signs_in_starts_anew_and_the_others_failures_stay(throttle: Throttle, database: Database) -> None:
    for name in ("Ada", "Ada", "Bob", "Ada"):
        throttle.begin(name, "10.0.0.1")
    throttle.succeeded("Ada", "10.0.0.1")
    assert len(rows(database, database.own.attempts)) == 1 + 3  # Bob's, and the address's three failures
    for _ in range(PER_NAME):
        assert throttle.begin("Ada", "10.0.0.2") is None


def test_a_new_password_forgets_the_failures(throttle: Throttle) -> None:
    for _ in range(PER_NAME):
        throttle.begin("Ada", "10.0.0.1")
    throttle.forget("ADA")
    assert throttle.begin("Ada", "10.0.0.1") is None


def test_old_attempts_are_thrown_away(throttle: Throttle, clock: Clock, database: Database) -> None:
    throttle.begin("Ada", "10.0.0.1")
    clock.later(WINDOW)
    throttle.begin("Bob", "10.0.0.2")
    assert len(rows(database, database.own.attempts)) == 2


def test_a_name_is_not_kept_in_clear_for_it_may_be_a_password(throttle: Throttle, database: Database) -> None:
    throttle.begin("hunter2hunter2", "10.0.0.1")
    assert "hunter2" not in str(rows(database, database.own.attempts))


def test_many_tries_at_the_same_moment_are_no_way_around(throttle: Throttle) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda number: throttle.begin("Ada", f"10.0.0.{number}"), range(16)))
    assert waits.count(None) == PER_NAME
