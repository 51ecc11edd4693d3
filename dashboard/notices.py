"""What the store said, as a sentence with a next step. The only place where a page speaks of success or failure."""

from dataclasses import dataclass, field
from typing import Any

from flask import flash

from store.errors import StoreError
from store.repositories.contract import Result, Sources, Users

LONGEST = 600  # characters of a message
SUCCESS, WARNING, ERROR, INFO = "success", "warning", "error", "info"


@dataclass(frozen=True)
class Notice:
    """One message on a page: how grave it is, what happened, and what a person can do next."""

    category: str
    message: str
    hint: str = ""
    users: Users = field(default_factory=list)  # who stands in the way: (kind, id, name)


def of_error(error: StoreError, category: str = ERROR) -> Notice:
    """A refusal of the store as a notice."""
    return Notice(category, error.message, error.hint, getattr(error, "users", []))


def tell(message: str, category: str = SUCCESS, link: tuple[str, str] | None = None) -> None:
    """A sentence for the next page, and where it leads: an address and what the link says. It travels in a cookie, and
    browsers drop one that is too long."""
    text = message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"
    told: Any = {"text": text, "href": link[0], "action": link[1]} if link else text
    flash(told, category)


def tell_result(result: Result[object], message: str, link: tuple[str, str] | None = None) -> None:
    """Say what was done; and, where the JSON side could not follow, that the change is safe and what to do."""
    tell(message, link=link)
    warn_of(result.sources)


def warn_of(sources: Sources) -> None:
    """A warning when one side lags behind the other."""
    if sources.error is not None:
        tell(f"It is saved in the database, but the JSON side could not follow yet: {sources.error.sentence}", WARNING)


def tell_error(error: StoreError) -> None:
    """Say why nothing was done, and the next step."""
    tell(error.sentence, ERROR)


def tagged(count: int, asked: int, name: str, noun: str) -> str:
    """``Tagged 37 characters with “Elf” (3 had it already).``"""
    return f"Tagged {_of(count, noun)} with “{name}”{_rest(asked - count, 'had it already')}."


def untagged(count: int, asked: int, name: str, noun: str) -> str:
    """``Removed “Elf” from 37 characters (3 did not have it).``"""
    return f"Removed “{name}” from {_of(count, noun)}{_rest(asked - count, 'did not have it')}."


def favored(count: int, asked: int, favorite: bool, noun: str) -> str:
    """``Marked 37 characters as favourites (3 were already).``"""
    done = f"Marked {_of(count, noun)} as favourite" if favorite else f"Took {_of(count, noun)} off the favourites"
    were = "was already" if asked - count == 1 else "were already"
    return f"{done}{_rest(asked - count, were if favorite else were.replace('already', 'none'))}."


def given(count: int, asked: int, what: str, noun: str) -> str:
    """``Gave 3 connection profiles the model “gpt-5” (1 had it already).``"""
    return f"Gave {_of(count, noun)} {what}{_rest(asked - count, 'had it already')}."


def deleted(count: int, asked: int, noun: str, word: str = "Deleted") -> str:
    """``Deleted 37 characters (3 were already gone).``"""
    gone = "was already gone" if asked - count == 1 else "were already gone"
    return f"{word} {_of(count, noun)}{_rest(asked - count, gone)}."


def _of(count: int, noun: str) -> str:
    return f"{count:,} {noun if count == 1 else noun + 's'}" if count else f"no {noun}s"


def _rest(count: int, what: str) -> str:
    return f" ({count:,} {what})" if count > 0 else ""
