"""Accounts in SQLite and in PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from dashboard.accounts import Account, Accounts, reaches
from store.database import Database
from store.errors import DuplicateError, InvalidRecordError, NotFoundError, StillInUseError, StoreError
from tests.dashboard.entering import PASSWORD, a_database, cheap_passwords

OTHER = "a loud Friday morning"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    with a_database(database_url) as database:
        yield database


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, cheap_passwords())


def at_once(*calls: Callable[[], Account]) -> tuple[list[Account], list[StoreError]]:
    """What came of calls that began at the same moment."""
    ready = threading.Barrier(len(calls))

    def run(call: Callable[[], Account]) -> Account | StoreError:
        ready.wait()
        try:
            return call()
        except StoreError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        outcomes = list(pool.map(run, calls))
    made = [outcome for outcome in outcomes if isinstance(outcome, Account)]
    return made, [outcome for outcome in outcomes if isinstance(outcome, StoreError)]


def test_roles_are_ordered() -> None:
    assert reaches("admin", "viewer")
    assert reaches("editor", "editor")
    assert not reaches("viewer", "editor")
    assert not reaches("editor", "admin")


def test_an_account_can_be_made_found_and_listed(accounts: Accounts) -> None:
    assert not accounts.any()
    made = accounts.create("  Zoë ", "editor", PASSWORD)
    accounts.create("Ada", "admin", PASSWORD)
    assert accounts.any()
    assert (made.name, made.role, made.disabled) == ("Zoë", "editor", False)
    assert accounts.find("ZOË") == made
    assert [account.name for account in accounts.list()] == ["Ada", "Zoë"]


def test_the_password_itself_is_kept_nowhere(accounts: Accounts, database: Database) -> None:
    accounts.create("Ada", "admin", PASSWORD)
    with database.read() as connection:
        row = connection.execute(sa.select(database.own.accounts)).one()
    assert PASSWORD not in str(row)


@pytest.mark.parametrize("same", ["Zoë", "zoë", "ZOË", " Zoe\u0308 ", "ｚoë"])
def test_a_name_is_taken_whatever_its_case(accounts: Accounts, same: str) -> None:
    accounts.create("Zoë", "editor", PASSWORD)
    with pytest.raises(DuplicateError, match="already an account"):
        accounts.create(same, "viewer", OTHER)
    assert len(accounts.list()) == 1


@pytest.mark.parametrize(
    ("name", "role", "password", "field"),
    [
        ("", "viewer", PASSWORD, "name"),
        ("  ", "viewer", PASSWORD, "name"),
        ("x" * 81, "viewer", PASSWORD, "name"),
        ("a\0b", "viewer", PASSWORD, "name"),
        ("a\nb", "viewer", PASSWORD, "name"),
        ("a\u202eb", "viewer", PASSWORD, "name"),
        ("a\ud83db", "viewer", PASSWORD, "name"),
        ("Ada", "owner", PASSWORD, "role"),
        ("Ada", "viewer", "short", "password"),
        ("Ada Lovelace", "viewer", "ada lovelace", "password"),
    ],
)
def test_what_is_wrong_with_a_new_account_is_told_by_field(
    accounts: Accounts, name: str, role: str, password: str, field: str
) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        accounts.create(name, role, password)
    assert set(caught.value.problems) == {field}
    assert not accounts.any()


def test_a_name_that_is_no_name_is_simply_not_found(accounts: Accounts) -> None:
    for name in ("nobody", "", "a\0b", "a\ud83d"):
        with pytest.raises(NotFoundError):
            accounts.find(name)
        assert accounts.authenticate(name, PASSWORD) is None


def test_only_the_right_password_of_an_enabled_account_signs_in(accounts: Accounts) -> None:
    ada = accounts.create("Ada", "admin", PASSWORD)
    accounts.create("Bob", "admin", PASSWORD)
    assert accounts.authenticate("ada ", PASSWORD) == ada
    assert accounts.authenticate("ada", PASSWORD + " ") is None
    assert accounts.authenticate("ada", "") is None
    accounts.disable("ada")
    assert accounts.authenticate("ada", PASSWORD) is None


def test_a_new_password_takes_the_place_of_the_old(accounts: Accounts) -> None:
    accounts.create("Ada", "admin", PASSWORD)
    accounts.set_password("ada", OTHER)
    assert accounts.authenticate("Ada", PASSWORD) is None
    assert accounts.authenticate("Ada", OTHER) is not None
    with pytest.raises(InvalidRecordError, match="8 characters"):
        accounts.set_password("ada", "short")
    with pytest.raises(NotFoundError, match="nobody"):
        accounts.set_password("nobody", OTHER)
    assert accounts.authenticate("Ada", OTHER) is not None


def test_a_hash_of_another_cost_is_renewed_at_the_next_sign_in(accounts: Accounts, database: Database) -> None:
    dearer = Accounts(database, cheap_passwords(time_cost=2))
    accounts.create("Ada", "admin", PASSWORD)

    def kept() -> str:
        with database.read() as connection:
            return str(connection.scalar(sa.select(database.own.accounts.c.password_hash)))

    before = kept()
    assert dearer.authenticate("Ada", "wrong wrong wrong") is None
    assert kept() == before
    assert dearer.authenticate("Ada", PASSWORD) is not None
    assert "t=2" in kept()
    renewed = kept()
    assert dearer.authenticate("Ada", PASSWORD) is not None
    assert kept() == renewed


def test_the_last_admin_stays(accounts: Accounts) -> None:
    accounts.create("Ada", "admin", PASSWORD)
    accounts.create("Eve", "editor", PASSWORD)
    with pytest.raises(StillInUseError, match="last admin"):
        accounts.disable("ada")
    with pytest.raises(StillInUseError, match="last admin"):
        accounts.change_role("ada", "viewer")
    assert accounts.change_role("ada", "admin").role == "admin"
    accounts.create("Bob", "admin", PASSWORD)
    assert accounts.disable("Bob").disabled
    with pytest.raises(StillInUseError):  # Bob no longer counts
        accounts.disable("ada")
    accounts.disable("eve")


def test_a_role_can_be_changed(accounts: Accounts) -> None:
    accounts.create("Ada", "admin", PASSWORD)
    accounts.create("Eve", "viewer", PASSWORD)
    assert accounts.change_role("eve", "admin").role == "admin"
    assert accounts.change_role("ada", "viewer").role == "viewer"
    with pytest.raises(InvalidRecordError):
        accounts.change_role("ada", "owner")
    with pytest.raises(NotFoundError):
        accounts.change_role("nobody", "viewer")


def test_two_admins_who_disable_each_other_at_once_leave_one(accounts: Accounts) -> None:
    accounts.create("Ada", "admin", PASSWORD)
    accounts.create("Bob", "admin", PASSWORD)
    done, refused = at_once(lambda: accounts.disable("Ada"), lambda: accounts.disable("Bob"))
    assert (len(done), [type(error) for error in refused]) == (1, [StillInUseError])


def test_the_set_up_token_makes_one_admin(accounts: Accounts) -> None:
    token = accounts.offer_setup()
    assert token is not None
    made = accounts.create_first(f" {token}\n", "Ada", PASSWORD)
    assert (made.name, made.role) == ("Ada", "admin")
    assert accounts.offer_setup() is None
    with pytest.raises(InvalidRecordError):
        accounts.create_first(token, "Bob", PASSWORD)
    assert [account.name for account in accounts.list()] == ["Ada"]


def test_only_the_token_printed_last_counts_and_only_its_hash_is_kept(accounts: Accounts, database: Database) -> None:
    first, last = accounts.offer_setup(), accounts.offer_setup()
    assert first
    assert last
    assert last not in str(database.get_state("setup_token"))
    for wrong in (first, "", last[:-1], last + "x", "ü", "\ud83d"):
        with pytest.raises(InvalidRecordError) as caught:
            accounts.create_first(wrong, "Ada", PASSWORD)
        assert set(caught.value.problems) == {"token"}
    assert accounts.create_first(last, "Ada", PASSWORD)


def test_a_bad_name_or_password_does_not_use_the_token_up(accounts: Accounts) -> None:
    token = accounts.offer_setup()
    assert token
    with pytest.raises(InvalidRecordError) as caught:
        accounts.create_first(token, "", "short")
    assert set(caught.value.problems) == {"name", "password"}
    assert accounts.create_first(token, "Ada", PASSWORD)


def test_without_a_token_there_is_no_set_up(accounts: Accounts) -> None:
    with pytest.raises(InvalidRecordError):
        accounts.create_first("", "Ada", PASSWORD)


def test_two_set_ups_at_once_make_one_account(accounts: Accounts) -> None:
    token = accounts.offer_setup()
    assert token

    def set_up(name: str) -> Callable[[], Account]:
        return lambda: accounts.create_first(token, name, PASSWORD)

    made, refused = at_once(*map(set_up, ("Ada", "Bob", "Eve", "Joe")))
    assert len(made) == 1
    assert len(refused) == 3
    assert accounts.list() == made


def test_an_account_made_on_the_command_line_closes_the_set_up(accounts: Accounts, database: Database) -> None:
    token = accounts.offer_setup()
    assert token
    accounts.create("Ada", "viewer", PASSWORD)
    assert database.get_state("setup_token") is None
    with pytest.raises(StoreError):
        accounts.create_first(token, "Eve", PASSWORD)
