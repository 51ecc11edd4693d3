"""The tree of errors is drawn in one place, and everybody who is refused is told what to do next."""

import importlib
import inspect
import pkgutil
import re

import pytest

import store
from store import errors
from store.errors import ConflictError, InvalidRecordError, StoreError, UnreadableError

for module in pkgutil.walk_packages(store.__path__, "store."):
    if ".migrations" not in module.name:  # Alembic's, which only run inside a migration
        importlib.import_module(module.name)


def subclasses(kind: type[StoreError]) -> list[type[StoreError]]:
    below = [one for direct in kind.__subclasses__() for one in (direct, *subclasses(direct))]
    return list(dict.fromkeys(below))


def drawn(text: str) -> dict[str, tuple[int, str]]:
    """Name -> depth in the tree and what is written beside it."""
    lines = re.findall(r"^    ([│ ]*)[├└]── (\w+)\s+(\S.*)$", text, re.MULTILINE)
    return {name: (len(indent) // 4, told) for indent, name, told in lines}


TREE = drawn(inspect.getdoc(errors) or "") or drawn(errors.__doc__ or "")
ALL = [one for one in subclasses(StoreError) if one.__module__.startswith("store.")]


def test_every_error_is_drawn_and_nothing_else() -> None:
    assert TREE.keys() == {kind.__name__ for kind in ALL}
    assert len(TREE) >= 14


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_it_hangs_where_it_is_drawn(kind: type[StoreError]) -> None:
    depth = len(kind.__mro__) - len(StoreError.__mro__) - 1
    assert TREE[kind.__name__][0] == depth
    names = list(TREE)
    above = [name for name in names[: names.index(kind.__name__)] if TREE[name][0] == depth - 1]
    assert (above[-1] if depth else "StoreError") == kind.__mro__[1].__name__


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_has_a_docstring_and_a_hint_of_its_own(kind: type[StoreError]) -> None:
    assert kind.__doc__
    made = make(kind)
    assert made.hint.endswith((".", "!"))
    assert made.hint[0].isupper()
    assert made.hint != StoreError.hint_by_default
    assert made.sentence == f"{made.message} {made.hint}"
    assert str(made) == made.message


def make(kind: type[StoreError]) -> StoreError:
    if kind.__name__ == "JsonSyntaxError":
        return kind("Expecting value", 1, 2)  # type: ignore[call-arg]
    if issubclass(kind, InvalidRecordError):
        return kind("The tag", {"name": "it is empty"})
    if issubclass(kind, UnreadableError):
        return kind("tags/tags.json", "it is torn")
    return kind("Something is wrong.")


def test_a_hint_can_be_given() -> None:
    assert StoreError("No.", hint="Do this.").sentence == "No. Do this."


def test_the_special_ones_carry_what_they_promise() -> None:
    record = InvalidRecordError("The tag “x” (1)", {"name": "it is empty", "userId": "it is missing"})
    assert record.message == "The tag “x” (1) is not valid: name: it is empty; userId: it is missing."
    assert record.problems == {"name": "it is empty", "userId": "it is missing"}
    line = UnreadableError("extras/tags.jsonl", "it is torn", line=3)
    assert line.message == "extras/tags.jsonl, line 3, cannot be read: it is torn."
    assert UnreadableError("a.json", "it is torn").message == "a.json cannot be read: it is torn."
    assert ConflictError("Changed.", current="now").current == "now"
