"""Who may do what, read from the declarations that the guard itself goes by: nothing here could say otherwise."""

from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from flask import Flask

from dashboard.accounts import ROLES, Account, reaches
from dashboard.auth import OPEN, GuardedView, action_of, front_role, marked_for_proof
from dashboard.security import is_static

# What the five actions and some methods are called; the others are called by what their docstrings promise.
WORDS: Final = {
    "view": "Look",
    "create": "Make new ones",
    "edit": "Change",
    "delete": "Delete",
    "bulk": "Work on many at once",
    "card": "Export as a character card",
    "counts": "Count the records of both sides",
    "history": "See what was done with a record",
    "home": "Go to the home page",
    "job": "Watch how far the work is",
    "jump": "Jump to a page or a record by its name",
    "keys": "See which keys a profile may use",
    "logout": "Sign out",
    "page": "Give the password again",
    "parameters": "See which parameters a provider takes",
    "picture": "See a picture",
    "suggest": "Search by name, in pickers",
    "test": "Test a connection",
    "thumb": "See a small picture",
    "undo": "Undo a change",
}
ITSELF: Final = "Tandem itself"  # what belongs to no page of the menu


@dataclass(frozen=True)
class Rule:
    """What an action on a noun asks for. ``role`` is None where the page offers it to nobody."""

    noun: str
    action: str
    role: str | None
    asks_again: bool
    requests: tuple[tuple[str, str], ...]  # the endpoints that this is about, each with its method

    def admits(self, role: str) -> bool:
        """Whether somebody with this role may do it."""
        return self.role is not None and reaches(role, self.role)

    def verdict(self, account: Account) -> str:
        """Whether this person may, and why or why not, in a sentence."""
        if self.role is None:
            return "No: the page offers it to nobody."
        if not self.admits(account.role):
            return f"No: it needs the role {self.role}, and you are {_a(account.role)}."
        why = "everybody with an account may" if self.role == ROLES[0] else f"you are {_a(account.role)}"
        proof = ", once you have given your password again" if self.asks_again else ""
        return f"Yes, {why}{proof}."


def rules_of(app: Flask) -> dict[str, list[Rule]]:
    """Every noun with its rules, in the order of the pages: what anybody may at first, then what asks for more."""
    found: dict[str, dict[tuple[Any, ...], list[tuple[str, str]]]] = {}
    for noun, action, role, asks_again, asked in _requests(app):
        found.setdefault(noun, {}).setdefault((action, role, asks_again), []).append(asked)
    return {
        noun: sorted(
            (Rule(noun, *about, tuple(sorted(requests))) for about, requests in rules.items()),
            key=lambda rule: (ROLES.index(rule.role) if rule.role else len(ROLES), rule.requests),
        )
        for noun, rules in found.items()
    }


def _requests(app: Flask) -> Iterator[tuple[str, str, str | None, bool, tuple[str, str]]]:
    """Noun, action, role, whether it asks again, and what is asked: of each endpoint and method there is."""
    order = {name: place for place, name in enumerate(app.blueprints)}
    pages = sorted(app.url_map.iter_rules(), key=attrgetter("endpoint"))
    for rule in sorted(pages, key=lambda page: order.get(page.endpoint.partition(".")[0], len(order))):
        if rule.endpoint in OPEN or is_static(rule.endpoint):
            continue
        for method in sorted({"GET", "POST"} & (rule.methods or set())):
            function: Any = app.view_functions[rule.endpoint]
            front = front_role(function, method)
            view, name = getattr(function, "__self__", None), function.__name__
            if not isinstance(view, GuardedView):
                yield ITSELF, _words(function), front, marked_for_proof(function), (rule.endpoint, method)
                continue
            role = max(front, view.needed_role(name), key=ROLES.index) if view.offers(name) else None
            yield _noun(view), _words(function), role, view.asks_for_proof(name), (rule.endpoint, method)


def _noun(view: Any) -> str:
    """What a view is about, with the part of the menu it stands in."""
    return f"{view.category}: {view.name}" if view.category else str(view.name)


def _words(function: Any) -> str:
    """What a method does, in a few words: those above, or the first sentence of its docstring."""
    if known := WORDS.get(action_of(function.__name__).lstrip("_")):
        return known
    told = " ".join((function.__doc__ or function.__name__).split("\n\n")[0].split())
    return told.partition(". ")[0].rstrip(".")


def _a(role: str) -> str:
    return f"{'an' if role[0] in 'aeiou' else 'a'} {role}"
