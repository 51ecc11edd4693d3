"""Codes of an app and recovery codes, in SQLite and in PostgreSQL, with a clock that the test sets."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import sqlalchemy as sa

from dashboard.accounts import Account, Accounts
from dashboard.sessions import Sessions
from dashboard.two_factor import RECOVERY_CODES, TwoFactor, provisioning_address, qr_code
from store.database import Database
from store.errors import InvalidRecordError, SecretError
from tests.dashboard.entering import PASSWORD, SECRET_KEY, a_database, cheap_passwords

STEP = timedelta(seconds=30)
KEY = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2025, 11, 20, 12, 0, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with a_database(database_url) as database:
        yield database


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, cheap_passwords())


@pytest.fixture
def ada(accounts: Accounts) -> Account:
    return accounts.create("Ada", "admin", PASSWORD)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def two_factor(database: Database, clock: Clock) -> TwoFactor:
    return TwoFactor(database, SECRET_KEY, clock)


def code(key: str, clock: Clock, steps: int = 0) -> str:
    return pyotp.TOTP(key).at(clock.now + steps * STEP)


def switched_on(two_factor: TwoFactor, account: Account, clock: Clock) -> tuple[str, list[str]]:
    """The app's key, and the recovery codes; the code of this very moment is used up by it."""
    two_factor.begin(account)
    key = two_factor.pending(account)
    assert key is not None
    return key, two_factor.confirm(account, code(key, clock))


def columns(database: Database) -> str:
    with database.read() as connection:
        accounts = connection.execute(sa.select(database.own.accounts)).all()
        return str((accounts, connection.execute(sa.select(database.own.recovery_codes)).all()))


def test_nothing_is_on_before_the_first_code(two_factor: TwoFactor, accounts: Accounts, ada: Account) -> None:
    assert two_factor.pending(ada) is None
    assert not two_factor.is_right(ada, "000000")
    two_factor.begin(ada)
    with pytest.raises(InvalidRecordError, match="not the code that the app shows now"):
        two_factor.confirm(ada, "wrong")
    assert accounts.find("Ada").two_factor_since is None
    assert two_factor.pending(ada) is not None  # the app that was set up by it may try again


def test_without_a_key_there_is_nothing_to_confirm(two_factor: TwoFactor, ada: Account) -> None:
    with pytest.raises(InvalidRecordError, match="begin anew"):
        two_factor.confirm(ada, "000000")


def test_the_first_code_switches_it_on_and_ends_the_other_sessions(
    two_factor: TwoFactor, accounts: Accounts, ada: Account, clock: Clock, database: Database
) -> None:
    sessions = Sessions(database, clock)
    here, elsewhere = sessions.start(ada, "", ""), sessions.start(ada, "", "")
    found = sessions.find(here)
    assert found is not None
    two_factor.begin(ada)
    key = two_factor.pending(ada)
    assert key is not None
    codes = two_factor.confirm(ada, code(key, clock), keep=found.session.fingerprint)
    assert accounts.find("Ada").two_factor_since == "2025-11-20T12:00:05.000Z"
    assert two_factor.pending(ada) is None
    assert len(set(codes)) == RECOVERY_CODES == two_factor.codes_left(ada)
    assert sessions.find(here) is not None
    assert sessions.find(elsewhere) is None


def test_a_code_counts_once_and_none_before_it_any_more(two_factor: TwoFactor, ada: Account, clock: Clock) -> None:
    key, _ = switched_on(two_factor, ada, clock)
    assert not two_factor.is_right(ada, code(key, clock))  # the one that switched it on
    clock.now += 2 * STEP
    assert two_factor.is_right(ada, code(key, clock))
    assert not two_factor.is_right(ada, code(key, clock))
    assert not two_factor.is_right(ada, code(key, clock, -1))
    assert two_factor.is_right(ada, code(key, clock, +1))


def test_clocks_may_differ_by_half_a_minute_and_no_more(two_factor: TwoFactor, ada: Account, clock: Clock) -> None:
    key, _ = switched_on(two_factor, ada, clock)
    clock.now += 10 * STEP
    assert not two_factor.is_right(ada, code(key, clock, -2))
    assert not two_factor.is_right(ada, code(key, clock, +2))
    assert two_factor.is_right(ada, code(key, clock, -1))
    assert two_factor.is_right(ada, code(key, clock, +1))


@pytest.mark.parametrize("typed", ["123 456", " 123-456 ", "123456"])
def test_how_a_code_is_typed_does_not_matter(two_factor: TwoFactor, ada: Account, clock: Clock, typed: str) -> None:
    key, _ = switched_on(two_factor, ada, clock)
    clock.now += 5 * STEP
    right = code(key, clock)
    assert two_factor.is_right(ada, typed.replace("123", right[:3]).replace("456", right[3:]))


@pytest.mark.parametrize("typed", ["", "\ud83d", "١٢٣٤٥٦", "0" * 5000, "-"])
def test_what_is_no_code_is_wrong(two_factor: TwoFactor, ada: Account, clock: Clock, typed: str) -> None:
    switched_on(two_factor, ada, clock)
    assert not two_factor.is_right(ada, typed)
    assert not two_factor.use_recovery_code(ada, typed)


def test_of_many_who_give_the_same_code_at_once_one_is_let_in(
    two_factor: TwoFactor, ada: Account, clock: Clock, database: Database
) -> None:
    key, codes = switched_on(two_factor, ada, clock)
    clock.now += 5 * STEP
    processes = [TwoFactor(database, SECRET_KEY, clock) for _ in range(6)]
    right = code(key, clock)
    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(lambda one: one.is_right(ada, right), processes)) == 1
        assert sum(pool.map(lambda one: one.use_recovery_code(ada, codes[0]), processes)) == 1


def test_a_recovery_code_counts_once_for_its_own_account(
    two_factor: TwoFactor, accounts: Accounts, ada: Account, clock: Clock
) -> None:
    _, codes = switched_on(two_factor, ada, clock)
    bob = accounts.create("Bob", "viewer", PASSWORD)
    switched_on(two_factor, bob, clock)
    assert not two_factor.use_recovery_code(bob, codes[0])
    assert two_factor.use_recovery_code(ada, f" {codes[0].upper().replace('-', ' ')} ")
    assert not two_factor.use_recovery_code(ada, codes[0])
    assert two_factor.codes_left(ada) == RECOVERY_CODES - 1
    assert two_factor.codes_left(bob) == RECOVERY_CODES


def test_new_recovery_codes_take_the_place_of_the_old(two_factor: TwoFactor, ada: Account, clock: Clock) -> None:
    _, codes = switched_on(two_factor, ada, clock)
    new = two_factor.renew_codes(ada)
    assert not set(new) & set(codes)
    assert not two_factor.use_recovery_code(ada, codes[0])
    assert two_factor.use_recovery_code(ada, new[0])


def test_another_app_takes_over_only_with_its_first_code(two_factor: TwoFactor, ada: Account, clock: Clock) -> None:
    old, _ = switched_on(two_factor, ada, clock)
    two_factor.begin(ada)
    new = two_factor.pending(ada)
    assert new not in (None, old)
    clock.now += 5 * STEP
    assert two_factor.is_right(ada, code(old, clock))
    assert new is not None
    two_factor.confirm(ada, code(new, clock))
    clock.now += 5 * STEP
    assert not two_factor.is_right(ada, code(old, clock))
    assert two_factor.is_right(ada, code(new, clock))


def test_switching_it_off_leaves_nothing(
    two_factor: TwoFactor, accounts: Accounts, ada: Account, clock: Clock, database: Database
) -> None:
    key, codes = switched_on(two_factor, ada, clock)
    sessions = Sessions(database, clock)
    token = sessions.start(ada, "", "")
    two_factor.begin(ada)
    two_factor.switch_off(ada)
    clock.now += 5 * STEP
    assert accounts.find("Ada").two_factor_since is None
    assert not two_factor.is_right(ada, code(key, clock))
    assert not two_factor.use_recovery_code(ada, codes[0])
    assert two_factor.pending(ada) is None
    assert sessions.find(token) is None


def test_neither_key_nor_codes_can_be_read_from_the_database(
    two_factor: TwoFactor, ada: Account, clock: Clock, database: Database
) -> None:
    key, codes = switched_on(two_factor, ada, clock)
    two_factor.begin(ada)
    pending = two_factor.pending(ada)
    kept = columns(database)
    for secret in (key, str(pending), *codes, *(one.replace("-", "") for one in codes)):
        assert secret not in kept


def test_a_key_moved_to_another_account_is_worth_nothing(
    two_factor: TwoFactor, accounts: Accounts, ada: Account, clock: Clock, database: Database
) -> None:
    """Who can write to the database cannot give an admin the app of somebody else."""
    key, _ = switched_on(two_factor, ada, clock)
    bob = accounts.create("Bob", "admin", PASSWORD)
    table = database.own.accounts
    with database.write() as connection:
        [kept] = connection.scalars(sa.select(table.c.totp_secret).where(table.c.id == ada.id))
        connection.execute(sa.update(table).where(table.c.id == bob.id).values(totp_secret=kept))
    clock.now += 5 * STEP
    with pytest.raises(SecretError):
        two_factor.is_right(bob, code(key, clock))


def test_with_another_secret_key_recovery_codes_count_still_and_it_can_be_set_up_anew(
    two_factor: TwoFactor, ada: Account, clock: Clock, database: Database
) -> None:
    key, codes = switched_on(two_factor, ada, clock)
    two_factor.begin(ada)
    moved = TwoFactor(database, "another secret key", clock)
    clock.now += 5 * STEP
    with pytest.raises(SecretError, match="another SECRET_KEY") as told:
        moved.is_right(ada, code(key, clock))
    assert "recovery code" in told.value.hint
    assert key not in f"{told.value!r}{told.value.__cause__!r}"
    assert moved.pending(ada) is None
    assert moved.use_recovery_code(ada, codes[0])
    key, _ = switched_on(moved, ada, clock)
    clock.now += 5 * STEP
    assert moved.is_right(ada, code(key, clock))


def test_the_qr_code_says_to_the_app_whose_key_it_is(accounts: Accounts, clock: Clock) -> None:
    odd = accounts.create('Zoë <&"> O’Neil', "viewer", PASSWORD)
    address = provisioning_address(odd, KEY)
    parts = urlsplit(address)
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parse_qs(parts.query) == {"secret": [KEY], "issuer": ["Tandem"]}
    assert pyotp.parse_uri(address).now() == pyotp.TOTP(KEY).now()
    drawn = qr_code(address)
    assert drawn.startswith("<svg ")
    assert "style" not in drawn
    assert "Zo" not in drawn
