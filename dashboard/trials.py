"""Giving a password or a code: counted first, then looked at. Sign-in, set-up and proving it again all come by here."""

import contextlib

from flask import request

from dashboard.accounts import Account
from dashboard.auth import people
from dashboard.events import Event, happened
from dashboard.throttle import CODE, PASSWORD, TooManyAttemptsError
from store.errors import NotFoundError


def count(what: str, name: str) -> None:
    """Count an attempt of this request's address. Raises TooManyAttemptsError, and then nothing is to be looked at."""
    address = request.remote_addr or ""
    if (wait := people().throttle.begin(what, name, address)) is not None:
        happened(Event.THROTTLED, whom=account_called(name), where=address, detail=what)
        raise TooManyAttemptsError(wait)


def account_called(name: str) -> str:
    """The name of the account that somebody typed; empty where there is none: people type their password there."""
    with contextlib.suppress(NotFoundError):
        return people().accounts.find(name).name
    return ""


def forgive(what: str, name: str) -> None:
    """What was counted last was none of guessing."""
    people().throttle.succeeded(what, name, request.remote_addr or "")


def try_password(name: str, password: str) -> Account | None:
    """Whose name and password these are; None when they do not belong together. Raises TooManyAttemptsError."""
    count(PASSWORD, name)
    account = people().accounts.authenticate(name, password)
    if account is not None:
        forgive(PASSWORD, name)
    return account


def try_both(account: Account, password: str, code: str, recovery_code: str) -> bool:
    """Whether it is this person: the password, and the code of who has a second factor.

    The code is looked at, and used up, only after a right password. Raises what the two raise.
    """
    if try_password(account.name, password) is None:
        return False
    return not account.two_factor_since or try_code(account, code, recovery_code)


def try_code(account: Account, code: str, recovery_code: str) -> bool:
    """Whether the app's code, or else the recovery code, is right; it is used up then.

    Raises TooManyAttemptsError, and SecretError when the app's code cannot be checked any more.
    """
    count(CODE, account.name)
    two_factor = people().two_factor
    if recovery_code.strip():
        right = two_factor.use_recovery_code(account, recovery_code)
        if right:
            left = two_factor.codes_left(account)
            happened(Event.RECOVERY_CODE_USED, who=account.name, where=request.remote_addr or "", detail=f"{left} left")
    else:
        right = two_factor.is_right(account, code)
    if right:
        forgive(CODE, account.name)
    return right
