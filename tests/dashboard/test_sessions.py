"""Sessions and counted attempts in SQLite and in PostgreSQL, with a clock that the test sets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from dashboard.accounts import Account, Accounts
from dashboard.sessions import ABSOLUTE_LIMIT, IDLE_LIMIT, PROOF_LASTS, Sessions
from dashboard.throttle import CODE, KNOWN_FOR, PER_ADDRESS, PER_NAME, PER_PLACE, WINDOW, Throttle
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


def who(sessions: Sessions, token: str) -> Account | None:
    found = sessions.find(token)
    return found.account if found else None


def test_a_session_says_who_is_here_until_it_ends(sessions: Sessions, ada: Account) -> None:
    here, elsewhere = (sessions.start(ada, "127.0.0.1", "Firefox") for _ in range(2))
    assert here != elsewhere
    assert who(sessions, here) == ada
    sessions.end(here)
    sessions.end(here)
    assert sessions.find(here) is None
    assert who(sessions, elsewhere) == ada


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
    assert who(sessions, token) == ada
    clock.later(IDLE_LIMIT - SECOND)  # counted anew from the last visit
    assert who(sessions, token) == ada
    clock.later(IDLE_LIMIT)
    assert sessions.find(token) is None


def test_a_session_runs_out_in_the_end_however_often_one_comes(sessions: Sessions, ada: Account, clock: Clock) -> None:
    token = sessions.start(ada, "", "")
    begun = clock.now
    while clock.now - begun < ABSOLUTE_LIMIT - timedelta(hours=6):
        clock.later(timedelta(hours=6))
        last = who(sessions, token)
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
    assert who(sessions, other) == bob
    assert sessions.find(sessions.start(ada, "", "")) is None  # one that began in the same moment counts no more


def test_a_new_password_ends_all_sessions(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    token = sessions.start(ada, "", "")
    accounts.set_password("Ada", "a loud Friday morning")
    assert sessions.find(token) is None


def test_another_role_ends_the_sessions_that_had_the_old_one(
    sessions: Sessions, accounts: Accounts, ada: Account
) -> None:
    token = sessions.start(ada, "", "")
    accounts.change_role("Ada", "admin")  # the one she has
    assert who(sessions, token) == ada
    accounts.change_role("Ada", "viewer")
    assert who(sessions, token) is None
    found = who(sessions, sessions.start(ada, "", ""))
    assert found is not None
    assert found.role == "viewer"


def begin(throttle: Throttle, name: str, address: str = "10.0.0.1", what: str = "password") -> timedelta | None:
    return throttle.begin(what, name, address)


def test_the_sixth_failure_from_one_place_has_to_wait(throttle: Throttle, clock: Clock) -> None:
    for _ in range(PER_PLACE):
        assert begin(throttle, "Ada") is None
        clock.later(timedelta(minutes=1))
    assert begin(throttle, " ADA") == WINDOW - timedelta(minutes=5)
    assert begin(throttle, "Bob") is None
    clock.later(WINDOW - timedelta(minutes=5))
    assert begin(throttle, "Ada") is None
    assert begin(throttle, "Ada") is not None  # only the first of the five has been forgotten


def test_strangers_who_guess_from_many_places_have_to_wait_and_the_person_at_home_has_not(
    throttle: Throttle, clock: Clock
) -> None:
    throttle.came_in("Ada", "192.0.2.7")
    for number in range(PER_NAME):
        assert begin(throttle, "Ada", f"10.0.1.{number}") is None
    assert begin(throttle, "ada", "10.0.2.1") == WINDOW
    assert begin(throttle, "Ada", "192.0.2.7") is None
    assert begin(throttle, "Bob", "10.0.2.1") is None
    clock.later(KNOWN_FOR)
    for number in range(PER_NAME):
        begin(throttle, "Ada", f"10.0.1.{number}")
    assert begin(throttle, "Ada", "192.0.2.7") is not None  # not seen there for a month


def test_where_one_is_at_home_guessing_has_to_wait_as_well(throttle: Throttle) -> None:
    throttle.came_in("Ada", "192.0.2.7")
    waits = [begin(throttle, "Ada", "192.0.2.7") for _ in range(PER_PLACE + 1)]
    assert waits == [None] * PER_PLACE + [WINDOW]


def test_passwords_and_codes_are_counted_apart(throttle: Throttle) -> None:
    for _ in range(PER_PLACE):
        begin(throttle, "Ada")
    assert begin(throttle, "Ada", what=CODE) is None
    assert begin(throttle, "Ada") is not None


def test_an_address_has_twenty_tries_whatever_names_it_tries(throttle: Throttle) -> None:
    for number in range(PER_ADDRESS):
        assert begin(throttle, f"name {number}") is None
    assert begin(throttle, "yet another") == WINDOW
    assert begin(throttle, "yet another", "10.0.0.2") is None


def test_all_addresses_of_one_ipv6_network_count_together(throttle: Throttle) -> None:
    for number in range(PER_ADDRESS):
        assert begin(throttle, f"name {number}", f"2001:db8:1:2::{number:x}") is None
    assert begin(throttle, "yet another", "2001:db8:1:2:ffff::1") == WINDOW
    assert begin(throttle, "yet another", "2001:db8:1:3::1") is None


def test_who_signs_in_starts_anew_and_the_others_failures_stay(throttle: Throttle, database: Database) -> None:
    for name in ("Ada", "Ada", "Bob", "Ada"):
        begin(throttle, name)
    throttle.succeeded("password", "Ada", "10.0.0.1")
    counted = [str(row.subject).partition(":")[0] for row in rows(database, database.own.attempts)]
    assert counted.count("address") == 3  # but the one that succeeded
    for _ in range(PER_PLACE):
        assert begin(throttle, "Ada") is None


def test_a_new_password_forgets_the_failures(throttle: Throttle) -> None:
    for _ in range(PER_PLACE):
        begin(throttle, "Ada")
    throttle.forget("ADA")
    assert begin(throttle, "Ada") is None


def test_old_attempts_are_thrown_away(throttle: Throttle, clock: Clock, database: Database) -> None:
    begin(throttle, "Ada")
    clock.later(WINDOW)
    begin(throttle, "Bob", "10.0.0.2")
    assert "10.0.0.1" not in str(rows(database, database.own.attempts))


def test_a_name_is_not_kept_in_clear_for_it_may_be_a_password(throttle: Throttle, database: Database) -> None:
    begin(throttle, "hunter2hunter2")
    assert "hunter2" not in str(rows(database, database.own.attempts))


def test_many_tries_at_the_same_moment_are_no_way_around(throttle: Throttle) -> None:
    with ThreadPoolExecutor(8) as pool:
        waits = list(pool.map(lambda _: begin(throttle, "Ada"), range(16)))
    assert waits.count(None) == PER_PLACE


# ---------------------------------------------------------------------------------------------- proof and lists


def test_signing_in_is_a_proof_for_ten_minutes_and_a_password_given_again_for_ten_more(
    sessions: Sessions, ada: Account, clock: Clock
) -> None:
    def proved(token: str) -> bool:
        found = sessions.find(token)
        assert found is not None
        return found.proved

    token = sessions.start(ada, "", "")
    clock.later(PROOF_LASTS - SECOND)
    assert proved(token)
    clock.later(SECOND)
    assert not proved(token)
    fresh = sessions.prove(token)
    assert fresh is not None
    assert proved(fresh)
    assert sessions.find(token) is None  # whoever had stolen it gains nothing
    clock.later(PROOF_LASTS)
    assert not proved(fresh)


def test_a_session_that_has_ended_proves_nothing(sessions: Sessions, ada: Account, clock: Clock) -> None:
    ended, old = sessions.start(ada, "", ""), sessions.start(ada, "", "")
    sessions.end(ended)
    clock.later(IDLE_LIMIT)
    assert [sessions.prove(token) for token in (ended, old, "made up")] == [None, None, None]


def test_a_session_from_before_proofs_were_kept_has_to_prove_it(
    sessions: Sessions, ada: Account, database: Database
) -> None:
    token = sessions.start(ada, "", "")
    with database.write() as connection:
        connection.execute(sa.update(database.own.sessions).values(proved_at=None))
    found = sessions.find(token)
    assert found is not None
    assert not found.proved


def test_sessions_are_listed_and_ended_one_by_one_or_all_others(
    sessions: Sessions, accounts: Accounts, ada: Account, clock: Clock
) -> None:
    bob = accounts.find("Bob")
    first = sessions.start(ada, "10.0.0.1", "Firefox")
    clock.later(timedelta(minutes=2))
    second, third = sessions.start(ada, "10.0.0.2", "Chromium"), sessions.start(ada, "10.0.0.3", "Safari")
    others = sessions.start(bob, "", "")
    listed = sessions.of(ada)
    assert {session.address for session in listed} == {"10.0.0.1", "10.0.0.2", "10.0.0.3"}
    assert listed[-1].user_agent == "Firefox"
    assert listed[-1].started_at == "2025-11-20T12:00:00.000Z"
    assert sessions.counts() == {ada.id: 3, bob.id: 1}
    assert not sessions.end_one(bob, listed[-1].handle)  # nobody ends another one's by its handle
    assert sessions.end_one(ada, listed[-1].handle)
    assert who(sessions, first) is None
    here = sessions.find(second)
    assert here is not None
    assert sessions.end_all(ada, keep=here.session.fingerprint) == 1
    assert [who(sessions, token) for token in (second, third, others)] == [ada, None, bob]
    assert sessions.end_all(ada) == 1
    assert sessions.of(ada) == []


def test_the_account_knows_when_it_was_last_signed_in_to(sessions: Sessions, accounts: Accounts, ada: Account) -> None:
    assert ada.last_sign_in_at is None
    sessions.start(ada, "", "")
    assert accounts.find("Ada").last_sign_in_at == "2025-11-20T12:00:00.000Z"


def test_an_account_may_do_something_only_so_often(throttle: Throttle, clock: Clock) -> None:
    for _ in range(3):
        assert throttle.take("test", "ada", 3) is None
        clock.later(timedelta(minutes=1))
    assert throttle.take("test", "ada", 3) == WINDOW - timedelta(minutes=3)
    assert throttle.take("test", "ada", 3) == WINDOW - timedelta(minutes=3), "what was refused does not count"
    assert throttle.take("test", "bob", 3) is None
    assert throttle.take("other", "ada", 3) is None
    assert begin(throttle, "ada") is None
    clock.later(timedelta(minutes=12, seconds=1))
    assert throttle.take("test", "ada", 3) is None
