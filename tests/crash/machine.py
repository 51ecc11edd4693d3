"""The state machine: random operations on ``sql``, ``json`` and ``dual``, with kills, restarts and other hands in
between."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from random import Random
from typing import Any, ClassVar

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.crash.machine_steps import Chance, Steps
from tests.crash.machine_stores import BACKENDS, Kill, Three, advanced
from tests.crash.machine_values import KINDS

LIGHTLY, FULLY = 10, 50  # rows are compared after so many steps, everything after so many
TICKS = (0, 0, 1, 5000)  # milliseconds between two steps
# Among which steps of an operation a process is killed, and before one of the first so many: one in three anywhere.
_COUNTING = frozenset({"rename", "remove", "commit", "committed", "open_to_append"})
AIMS = ((frozenset(), 45), (_COUNTING, 8), (_COUNTING, 12))
VICTIMS = ("json", "dual", "json", "dual", "sql")
SIDES = ("dual", "json")
# What a step is, as often as it stands here.
_SELDOM = ("kill_the_next", "kill_the_next", "restart", "catch_up", "kill_catching_up", "delete_the_index")
WHAT = (*("write",) * 38, *("ask",) * 8, *_SELDOM, "add_a_later_key", "do_by_another_hand")
_TABLES = {"user": "users", "account": "accounts", "session": "sessions", "tag": "tags", "key": "api_keys"}
_TABLES |= {"profile": "connection_profiles", "image_profile": "image_profiles", "image": "images"}
_TABLES |= {"persona": "personas", "character": "characters", "chat": "chats", "attachment": "chat_files"}
_TABLES |= {"message": "messages"}
_IDS = " UNION ALL ".join(f"SELECT '{kind}', id FROM {table}" for kind, table in _TABLES.items())
_IDS += " UNION ALL SELECT 'token', token FROM verification_tokens"


class Machine(RuleBasedStateMachine):
    """Three stores that have to stay equal, made once for all examples."""

    three: ClassVar[Three]

    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.doomed: Kill | None = None
        self.three.begin()

    def steps(self, chance: Chance) -> Steps:
        there: dict[str, list[str]] = {kind: [] for kind in (*KINDS, "message")}
        with closing(sqlite3.connect(self.three.database("sql"))) as connection:
            for kind, record_id in connection.execute(_IDS):
                there[kind].append(record_id)
        for ids in there.values():
            ids.sort()
        return Steps(chance, there, self.three.stores["sql"])

    # ------------------------------------------------------------------ operations
    def write(self, chance: Chance) -> None:
        advanced(self.three.clock, chance.pick(TICKS))
        operation = self.steps(chance).write()
        self._note(operation)
        doomed, self.doomed = self.doomed, None
        self.three.do(operation, doomed)

    def ask(self, chance: Chance) -> None:
        operation = self.steps(chance).question()
        self._note(operation)
        self.three.do(operation)

    def do_by_another_hand(self, chance: Chance) -> None:
        operation = self.steps(chance).write()
        self._note(operation)
        self.three.do_by_another_hand(operation)

    # ------------------------------------------------------------------ what else happens
    def kill_the_next(self, chance: Chance) -> None:
        self.doomed = self._kill(chance, chance.pick(VICTIMS))

    @staticmethod
    def _kill(chance: Chance, backend: str) -> Kill:
        among, limit = chance.pick(AIMS)
        return Kill(backend, chance.below(limit), among)

    def kill_between_two_files(self, chance: Chance) -> None:
        """The shortest way to a change that is half done: its journal is there, and not all of its files."""
        self.doomed = Kill("json", 1 + chance.below(3), frozenset({"rename"}))

    def restart(self, chance: Chance) -> None:
        self.three.restart(chance.pick(BACKENDS))

    def catch_up(self, chance: Chance) -> None:
        self.three.catch_up(chance.pick(SIDES))

    def kill_catching_up(self, chance: Chance) -> None:
        backend = chance.pick(SIDES)
        self.three.catch_up(backend, self._kill(chance, backend))

    def delete_the_index(self, chance: Chance) -> None:
        self.three.delete_index()

    def add_a_later_key(self, chance: Chance) -> None:
        place, line = chance.below(40), chance.below(6)
        self._note(self.three.add_a_later_key(place, line, in_place=bool(chance.below(2))))

    # ------------------------------------------------------------------ what has to hold
    @invariant()
    def all_three_are_equal(self) -> None:
        self.number += 1
        if self.number % FULLY == 0:
            self.three.check()
        elif self.number % LIGHTLY == 0:
            self.three.check_rows()

    def teardown(self) -> None:
        try:
            self.three.check()
            self.three.check_sides_of_dual()
        finally:
            self.three.close()

    def _note(self, what: Any) -> None:
        """Told with an example that fails."""
        note(f"# {what!r}")


def machine_for(stores: Three, weights: Sequence[str] = WHAT) -> type[Machine]:
    """The machine of these stores. There is one rule for all, so that what happens seldom does so in every example."""

    class Bound(Machine):
        three = stores

        @rule(drawn=st.randoms(use_true_random=False))
        def step(self, drawn: Random) -> None:
            chance = Chance(drawn, self.number)
            what = chance.pick(weights)
            self.three.seen[what] += 1
            getattr(self, what)(chance)

    return Bound
