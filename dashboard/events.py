"""What happens around signing in, and to accounts: the one place that every such event comes by.

A password, a code, a token or what was typed as a name is never part of an event.
"""

import logging
from enum import StrEnum

log = logging.getLogger("tandem.people")


class Event(StrEnum):
    """What may happen, as the log says it."""

    SIGNED_IN = "signed in"
    SIGNED_OUT = "signed out"
    SIGN_IN_FAILED = "a sign-in failed"
    CODE_FAILED = "a code was wrong"
    THROTTLED = "too many attempts have failed"
    REFUSED = "was refused"
    PROVED = "gave the password again"
    PROOF_FAILED = "the password that was given again was wrong"
    RECOVERY_CODE_USED = "used a recovery code"
    SET_UP = "the first account was made"
    SET_UP_FAILED = "a set-up failed"
    ACCOUNT_MADE = "made an account"
    ACCOUNT_DISABLED = "disabled an account"
    ACCOUNT_ENABLED = "enabled an account"
    ROLE_CHANGED = "changed a role"
    PASSWORD_CHANGED = "changed the own password"
    PASSWORD_RESET = "reset a password"
    TWO_FACTOR_ON = "switched two-factor sign-in on"
    TWO_FACTOR_OFF = "switched two-factor sign-in off"
    TWO_FACTOR_RESET = "reset two-factor sign-in"
    RECOVERY_CODES_MADE = "made new recovery codes"
    SESSIONS_ENDED = "ended sessions"


_ALARMING = {
    Event.SIGN_IN_FAILED,
    Event.CODE_FAILED,
    Event.THROTTLED,
    Event.REFUSED,
    Event.PROOF_FAILED,
    Event.RECOVERY_CODE_USED,
    Event.SET_UP,
    Event.SET_UP_FAILED,
    Event.TWO_FACTOR_RESET,
}


def happened(event: Event, *, who: str = "", whom: str = "", where: str = "", detail: str = "") -> None:
    """Note an event: ``who`` did it (empty: a stranger, or the command line), to ``whom``, from which address."""
    told = ", ".join(
        f"{name}={value}"
        for name, value in (("by", who), ("account", whom), ("from", where), ("detail", detail))
        if value
    )
    log.log(logging.WARNING if event in _ALARMING else logging.INFO, "%s (%s)", event.value, told)
