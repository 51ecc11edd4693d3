"""JSON -> SQL, the way back: every id, date, link and what ``extras`` keeps for SQL.

Into a database that holds nothing, or as a merge: what both sides hold becomes what the files say, and what only the
database holds stays.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store import Store, identity, rows, steps
from store.audit import Change
from store.discretion import shown_id
from store.errors import NotInStepError, StoreError
from store.files.shelves import Entity
from store.giving import GIVEN, KINDS, Giving, Records
from store.keeping import keep
from store.mapping import Rows, spoken
from store.progress import Progress

LOCK_WAIT_S = 15.0
MOST_TOLD = 50  # records named in the text of a plan


@dataclass
class ImportPlan:
    """What an import does, or did, record by record. ``only_sql``: how many records of each kind stay that only the
    database has. ``problems``: what could not be read, or not be taken."""

    inserts: list[Entity] = field(default_factory=list)
    updates: list[Entity] = field(default_factory=list)
    unchanged: int = 0
    only_sql: dict[str, int] = field(default_factory=dict)
    problems: list[StoreError] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 when everything that is in the files is, or could be, in the database."""
        return 1 if self.problems else 0

    def as_json(self) -> dict[str, Any]:
        """The plan as one JSON object; ids that are secrets are not shown."""
        return {
            "inserts": [_named(*one) for one in self.inserts],
            "updates": [_named(*one) for one in self.updates],
            "unchanged": self.unchanged,
            "onlySql": self.only_sql,
            "problems": [problem.sentence for problem in self.problems],
        }

    def as_text(self) -> str:
        """The plan for a person."""
        lines = []
        for verb, several in (("New", self.inserts), ("Changed", self.updates)):
            lines += [f"{verb}: {spoken(*one)}" for one in several[:MOST_TOLD]]
            if len(several) > MOST_TOLD:
                lines.append(f"{verb}: {len(several) - MOST_TOLD} more")
        lines += [f"Only in the database, stays: {count} of {kind}" for kind, count in self.only_sql.items()]
        lines += [f"Problem: {problem.sentence}" for problem in self.problems]
        return "\n".join(
            [*lines, f"{len(self.inserts)} new, {len(self.updates)} changed, {self.unchanged} the same already."]
        )


def plan_import(store: Store, *, merge: bool = False) -> ImportPlan:
    """What an import would do. Raises NotInStepError when the database holds records and it is no merge."""
    plan, _ = _Import(store, merge, Progress()).look()
    return plan


def import_json(store: Store, *, merge: bool = False, progress: Progress | None = None) -> ImportPlan:
    """Carry it out, as one transaction. Raises NotInStepError, DatabaseError, CancelledError; then nothing was written.

    A record that the database does not take is told in ``problems`` and stops no other.
    """
    return _Import(store, merge, progress or Progress()).run()


class _Import:
    def __init__(self, store: Store, merge: bool, progress: Progress) -> None:
        self._store, self._merge, self._progress = store, merge, progress

    def look(self) -> tuple[ImportPlan, dict[str, list[str]]]:
        """The plan, and kind -> the ids that are to be written."""
        store = self._store
        if not self._merge and not steps.sql_is_empty(store.database):
            raise NotInStepError(
                "The database holds records already.", hint="Look at the plan of a merge: data import --merge --dry-run"
            )
        store.index.refresh(thorough=True)
        plan = ImportPlan(problems=list(store.index.problems()))
        wanted: dict[str, list[str]] = {}
        with store.index.database.read() as files, store.database.read() as sql:
            changed = identity.changed_ids(files, sql)
            plan.problems += [identity.refusal(new, old) for new, old in changed.items()]
            for kind in KINDS:
                here, there = set(_ids(files, kind)), set(_ids(sql, kind))
                if extra := len(there - here):
                    plan.only_sql[kind] = extra
                changes: list[str] = []
                self._progress.phase(f"Comparing {kind} records", len(here & there), share=0.4 / len(KINDS))
                for some in rows.chunks(sorted(here & there)):
                    changes += self._differing(kind, files, sql, some)
                    self._progress.step(len(some))
                plan.inserts += [(kind, one) for one in sorted(here - there)]
                plan.updates += [(kind, one) for one in changes]
                plan.unchanged += len(here & there) - len(changes)
                wanted[kind] = sorted([*(here - there), *changes])
        plan.inserts = [one for one in plan.inserts if one[0] != "user" or one[1] not in changed]
        wanted["user"] = [one for one in wanted["user"] if one not in changed]
        return plan, wanted

    @staticmethod
    def _differing(kind: str, files: Connection, sql: Connection, some: list[str]) -> list[str]:
        here, there = rows.load(files, GIVEN[kind], some), rows.load(sql, GIVEN[kind], some)
        return [one for one in some if rows.differ(GIVEN[kind], there[one], here[one])]

    def run(self) -> ImportPlan:
        store = self._store
        with store.side.lock.hold(LOCK_WAIT_S):
            store.side.journal.recover(changing=False)
            store.index.take_in()
        plan, wanted = self.look()
        keep(store, plan.updates)
        refused: dict[Entity, StoreError] = {}
        with store.index.database.read() as files, store.database.write() as sql:
            store.turn.check(sql)
            outbox = store.database.own.outbox
            total = sum(map(len, wanted.values()))
            self._progress.phase("Writing to the database", total, share=0.6)
            for given in self._batches(files, wanted):
                refused.update(Giving(sql, outbox, given, heed=False).give())
                self._progress.step(len(given))
            # What named something that came later: once more, now that everything is there.
            for some in rows.chunks(sorted(refused)):
                again: Records = {one: _load(files, *one) for one in some}
                still = Giving(sql, outbox, again, heed=False).give()
                for one in some:
                    del refused[one]
                refused.update(still)
            plan.inserts = [one for one in plan.inserts if one not in refused]
            plan.updates = [one for one in plan.updates if one not in refused]
            self._note(sql, plan, refused)
        plan.problems += refused.values()
        if store.settings.data_backend == "dual":
            store.look()
        elif store.settings.data_backend == "json" and not plan.problems and not plan.only_sql:
            store.following.begin()  # both hold the same now
            store.following.apart = None
        return plan

    def _note(self, sql: Connection, plan: ImportPlan, refused: Mapping[Entity, StoreError]) -> None:
        """Have it in the audit, record by record, within the same transaction."""
        verbs = (("Made from the files.", plan.inserts), ("Became what the files say.", plan.updates))
        noted = [
            Change("import", kind, shown_id(kind, one), message=told)
            for told, several in verbs
            for kind, one in several
        ]
        summary = f"{len(plan.inserts):,} new, {len(plan.updates):,} changed, {len(refused):,} refused."
        self._store.audit.write_many(sql, noted, summary)

    @staticmethod
    def _batches(files: Connection, wanted: dict[str, list[str]]) -> Iterator[Records]:
        for kind in KINDS:
            for some in rows.chunks(wanted[kind]):
                yield {(kind, one): loaded for one, loaded in rows.load(files, GIVEN[kind], some).items()}


def _ids(connection: Connection, kind: str) -> list[str]:
    mapping = GIVEN[kind]
    found = connection.scalars(sa.select(mapping.main.c[mapping.key]))
    return [one for one in found if rows.is_sound(one)]


def _load(connection: Connection, kind: str, record_id: str) -> Rows | None:
    return rows.load(connection, GIVEN[kind], [record_id]).get(record_id)


def _named(kind: str, record_id: str) -> dict[str, str]:
    return {"kind": kind, "id": "" if GIVEN[kind].document.secret_id else record_id}
