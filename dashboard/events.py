"""What happens around signing in, and to accounts: the one place that every such event comes by, on its way to the log
and to the audit.

A password, a code, a token or what was typed as a name is never part of an event.
"""

import logging
from enum import StrEnum
from typing import Final

from dashboard import trail
from store.audit import DONE, FAILED, REFUSED

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
    PASSWORD_CHANGED = "changed the own password"  # noqa: S105  # a sentence about one
    PASSWORD_RESET = "reset a password"  # noqa: S105  # and another
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


# Event -> what was done, its outcome, and a remark, as the audit has it. What changes an account is written down in the
# transaction that does it.
_IN_AUDIT: Final = {
    Event.SIGNED_IN: ("sign-in", DONE, ""),
    Event.SIGNED_OUT: ("sign-out", DONE, ""),
    Event.SIGN_IN_FAILED: ("sign-in", FAILED, "Name and password do not belong together."),
    Event.CODE_FAILED: ("sign-in", FAILED, "The password was right, and the code was wrong."),
    Event.THROTTLED: ("sign-in", REFUSED, "Too many attempts have failed before: it was not even tried."),
    Event.PROVED: ("prove", DONE, ""),
    Event.PROOF_FAILED: ("prove", FAILED, "The password that was given again was wrong."),
    Event.RECOVERY_CODE_USED: ("recovery code", DONE, ""),
    Event.SET_UP_FAILED: ("set-up", FAILED, "The set-up token was wrong."),
    Event.TWO_FACTOR_ON: ("two-factor on", DONE, ""),
    Event.TWO_FACTOR_OFF: ("two-factor off", DONE, ""),
    Event.TWO_FACTOR_RESET: ("two-factor reset", DONE, ""),
    Event.RECOVERY_CODES_MADE: ("recovery codes", DONE, ""),
    Event.SESSIONS_ENDED: ("end sessions", DONE, ""),
}


def happened(event: Event, *, who: str = "", whom: str = "", where: str = "", detail: str = "") -> None:
    """Note an event: ``who`` did it (empty: a stranger, or the command line), to ``whom``, from which address."""
    told = ", ".join(
        f"{name}={value}"
        for name, value in (("by", who), ("account", whom), ("from", where), ("detail", detail))
        if value
    )
    if event is Event.REFUSED:
        trail.refused("The role does not allow it.")
    elif event in _IN_AUDIT:
        action, outcome, remark = _IN_AUDIT[event]
        trail.tell(action, outcome, who=who, whom=whom, message=remark or detail)
    log.log(logging.WARNING if event in _ALARMING else logging.INFO, "%s (%s)", event.value, told)
