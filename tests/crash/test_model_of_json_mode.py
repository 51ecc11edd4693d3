"""The protocol of ``json`` mode, proven on a model: nothing that can happen breaks it, and each guard is needed.

The rules are told in ``docs/dual-write.md``. What is modelled, and how, is told in ``model_of_json_mode``.
"""

from typing import Any

import pytest

from tests.crash.model_checker import explore
from tests.crash.model_of_a_world import Left, Op
from tests.crash.model_of_json_mode import Model

DELETE_TAG = Op("M", (("put", "T"), ("put", "C")))
RENAME, RENAME_AGAIN = Op("S", (("put", "C"),)), Op("N", (("put", "C"),))
DELETE_CHARACTER = Op("R", (("put", "T"), ("cut", "C")))
SEND, SEND_AGAIN = Op("A", (("add", "L"), ("put", "T"))), Op("B", (("add", "L"), ("put", "T")))
REWRITE_LOG = Op("W", (("put", "L"),))

KILL_AND_CUT = Left(kills=1, cuts=1)
STORIES: dict[str, tuple[tuple[Op, ...], dict[str, Any]]] = {
    "a tag goes, its character is renamed": ((DELETE_TAG, RENAME), {"left": KILL_AND_CUT}),
    "recovery is killed too": ((DELETE_TAG,), {"left": Left(kills=3, cuts=1)}),
    "two power cuts": ((DELETE_TAG, RENAME), {"left": Left(cuts=2)}),
    "one record at a time reaches SQL": ((DELETE_TAG,), {"left": KILL_AND_CUT, "batch": 1}),
    "a call fails, then the power": ((DELETE_TAG, RENAME), {"left": Left(cuts=1, errors=1)}),
    "a call fails, then a kill": ((DELETE_TAG, RENAME), {"left": Left(kills=1, errors=1)}),
    "somebody replaces a file of the operation": ((DELETE_TAG,), {"left": KILL_AND_CUT, "foreign": ("C",)}),
    "somebody replaces the only file": ((RENAME,), {"left": KILL_AND_CUT, "foreign": ("C",)}),
    "somebody replaces a file of both": ((DELETE_TAG, RENAME), {"left": Left(kills=1), "foreign": ("C",)}),
    "somebody replaces another file": ((DELETE_TAG,), {"left": KILL_AND_CUT, "foreign": ("X",)}),
    "somebody moves an old file back": ((), {"left": KILL_AND_CUT, "foreign": ("C", "C back")}),
    "a character goes and comes again": ((DELETE_CHARACTER, RENAME), {"left": KILL_AND_CUT}),
    "a character goes while somebody replaces it": ((DELETE_CHARACTER,), {"left": KILL_AND_CUT, "foreign": ("C",)}),
    "two messages": ((SEND, SEND_AGAIN), {"left": Left(cuts=1, errors=1)}),
    "a message, while somebody replaces the log": ((SEND,), {"left": KILL_AND_CUT, "foreign": ("L",)}),
    "a message, and the log written anew": ((SEND, REWRITE_LOG), {"left": KILL_AND_CUT}),
    "the index is deleted, and a kill": ((DELETE_TAG, RENAME), {"left": Left(kills=1, deletions=1)}),
    "the index is deleted, and a power cut": ((DELETE_CHARACTER,), {"left": Left(cuts=1, deletions=1)}),
    "two appliers": ((RENAME, RENAME_AGAIN), {"left": Left(), "appliers": 2}),
    "two appliers, a kill, and the index is deleted": (
        (RENAME, RENAME_AGAIN),
        {"left": Left(kills=1, deletions=1), "appliers": 2},
    ),
    "a reader": ((DELETE_TAG,), {"left": KILL_AND_CUT, "reader": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("story", STORIES)
def test_whatever_happens_all_is_well_in_the_end(story: str) -> None:
    ops, more = STORIES[story]
    outcome = explore(Model(ops, **more))
    assert outcome.violation is None, "\n".join((outcome.violation, *outcome.trace))
    assert outcome.states > outcome.settled > 1


MUTANTS = {
    # The lock, and the journal.
    "lock": ("a reader", "shown half"),
    "lock for reading": ("a reader", "shown half"),
    "journal": ("a reader", "shown half"),
    "sync of the new files": ("a reader", "shown a torn file"),
    "sync of the new names": ("a reader", "shown half"),
    "sync of the journal": ("a reader", "shown half"),
    "settling before redoing": ("a reader", "shown half"),
    "sync before the journal goes": ("a reader", "answered, and gone"),
    # A journal that came back undoes a later operation.
    "sync of the removed journal": ("a character goes and comes again", "answered, and gone: ['S']"),
    "settling before a change": ("a character goes and comes again", "answered, and gone: ['S']"),
    "standing by the journal": ("a call fails, then a kill", "shown half"),
    "look before appending": ("a message, while somebody replaces the log", "shown a torn file"),
    # The index: what it says of a file is what it read of that very file.
    "commit after the files": ("a reader", "shown what may not come to be"),
    "signature of what was written": ("somebody replaces the only file", "nothing waits, and SQL has"),
    "look before reading": ("somebody replaces the only file", "nothing waits, and SQL has"),
    "reading before the look": ("somebody replaces the only file", "nothing waits, and SQL has"),
    # SQL.
    "marking with the taking in": ("somebody replaces the only file", "nothing waits, and SQL has"),
    "SQL before the acknowledgement": ("a reader", "nothing waits, and SQL has"),
    "exact rows": ("somebody replaces the only file", "nothing waits, and SQL has"),
    "lock for applying": ("two appliers", "nothing waits, and SQL has"),
    "marks": ("the index is deleted, and a power cut", "nothing waits, and SQL has"),
    "a mark for each attempt": ("somebody replaces another file", "nothing waits, and SQL has"),
}


@pytest.mark.parametrize("guard", MUTANTS)
def test_without_a_guard_something_breaks(guard: str) -> None:
    story, told = MUTANTS[guard]
    ops, more = STORIES[story]
    outcome = explore(Model(ops, **more, without=guard))
    print(f"without {guard}: {outcome.violation}", *outcome.trace, sep="\n    ")
    assert told in (outcome.violation or "it was not noticed")
