"""Three stores side by side, one for each backend, to which the same things happen at the same moment.

Time and chance are frozen for each operation, so that whatever differs afterwards was made by a backend.
"""

import contextlib
import copy
import random
import re
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from store import Store, StoreError, codec
from store.documents import Document, base
from store.repositories.contract import Found, MessagesPage, Page, Result
from tests.crash import reader
from tests.crash.stops import KILLED, SteppedSystem, Steps, run_apart
from tests.factories import files_below, lay_database, put, settings_for

BACKENDS = ("sql", "dual", "json")
LATER = "laterQuilltap"  # the key that a later Quilltap added to a record
_LATER = re.compile(rb',\s*"laterQuilltap": ?"added"')
PUBLIC = {"uploads/p.png": b"p", "uploads/f.png": b"f", "uploads/\u00fc 1.png": b"p"}


@dataclass(frozen=True)
class Operation:
    """A call of a store's method, by name: what is printed is what has to be called to see it again."""

    name: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, store: Store) -> Any:
        method: Any = store
        for step in self.name.split("."):
            method = getattr(method, step)
        return method(*copy.deepcopy(self.arguments), **self.options)

    def __repr__(self) -> str:
        told = [*map(repr, self.arguments), *(f"{name}={value!r}" for name, value in self.options.items())]
        return f"store.{self.name}({', '.join(told)})"


def spelled(value: Any) -> Any:
    """A value in a form in which equal means equal to the byte: 1 is not True, and 1.0 is not 1.00."""
    if isinstance(value, Document):
        return codec.dumps(value.model_dump())
    if isinstance(value, Found):
        return [*map(spelled, value), *map(repr, value.problems)]
    if isinstance(value, list | tuple):
        return [*map(spelled, value)]
    if isinstance(value, Page | MessagesPage):
        return [(name, spelled(member)) for name, member in vars(value).items()]
    return repr(value)


@dataclass(frozen=True)
class Kill:
    """The end of a backend's process: before a step, of all steps or of those of some names only."""

    backend: str
    stop: int
    among: frozenset[str] = frozenset()


class AimedSteps(Steps):
    """Steps of which only some count."""

    among: frozenset[str] = frozenset()

    def take(self, name: str) -> None:
        if not self.among or name in self.among:
            super().take(name)


@dataclass
class Clock:
    """The moment of the operation that goes on, and the chance it draws its ids from."""

    number: int = 0
    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        moment, chance = self.moment, random.Random(self.number)

        class Frozen(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return moment

        real = base.datetime, uuid.uuid4
        base.datetime = Frozen  # type: ignore[misc]
        uuid.uuid4 = lambda: uuid.UUID(int=chance.getrandbits(128), version=4)
        try:
            yield
        finally:
            base.datetime, uuid.uuid4 = real  # type: ignore[misc]


def raw_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of Quilltap's tables in a SQLite file as the database itself spells it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("BEGIN")
        found = {table: connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in reader.TABLES}
    return {table: sorted(rows, key=repr) for table, rows in found.items()}


def differing(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Only what is not the same in both, as two alternatives."""
    told = {}
    for name in one.keys() | other.keys():
        mine, theirs = one.get(name), other.get(name)
        if mine != theirs:
            if isinstance(mine, list) and isinstance(theirs, list):
                mine, theirs = [x for x in mine if x not in theirs], [x for x in theirs if x not in mine]
            told[name] = (mine, theirs)
    return told


class Three:
    """The three stores. ``remake`` changes a store before it starts: for mutants. ``seen`` counts what was done."""

    def __init__(self, path: Path, remake: Callable[[Store], None] = lambda store: None) -> None:
        self.path, self.remake, self.clock = path, remake, Clock()
        self.stores: dict[str, Store] = {}
        self.steps = {name: AimedSteps() for name in BACKENDS}
        self.seen: Counter[str] = Counter()

    # ------------------------------------------------------------------ life
    def make(self, populate: Callable[[Store], None]) -> None:
        """Populate all three, and keep copies to begin with."""
        for name in BACKENDS:
            lay_database(self.path / "live" / name / "quilltap.sqlite")
            for path, data in PUBLIC.items():
                put(self.path / "live" / name / "public", path, data)
            self.open(name)
            with self.clock.frozen():
                populate(self.stores[name])
            self.stores.pop(name).close()
        shutil.copytree(self.path / "live", self.path / "kept")

    def begin(self) -> None:
        """All three as they were made, in the same folders."""
        self.clock = Clock()
        for name in BACKENDS:
            for part in (self.path / "live" / name).iterdir():
                if part.is_dir():
                    for inner in part.iterdir():
                        shutil.rmtree(inner) if inner.is_dir() else inner.unlink()
                else:
                    part.unlink()
            shutil.copytree(self.path / "kept" / name, self.path / "live" / name, dirs_exist_ok=True)
            self.open(name)

    def open(self, name: str) -> None:
        settings = settings_for(self.path / "live" / name, backend=name)
        store = Store(settings, SteppedSystem(self.steps[name]))
        self.remake(store)
        self.stores[name] = store
        store.start(follow=False)

    def close(self) -> None:
        while self.stores:
            self.stores.popitem()[1].close()

    def restart(self, name: str) -> None:
        self.stores.pop(name).close()
        self.open(name)

    def database(self, name: str) -> Path:
        """The database that a backend's repositories work on."""
        folder = self.path / "live" / name
        return folder / ("data.tandem/index.sqlite" if name == "json" else "quilltap.sqlite")

    def rows(self, name: str) -> dict[str, list[tuple[Any, ...]]]:
        if name == "json":
            self.stores["json"].index.refresh(full=True)
        return raw_rows(self.database(name))

    # ------------------------------------------------------------------ doing
    def outcome(self, name: str, operation: Operation) -> tuple[Any, ...]:
        """What came of it: the value, or the refusal. Anything but a refusal of the store is raised."""
        store = self.stores[name]
        with self.clock.frozen():
            try:
                value = operation(store)
            except StoreError as error:
                return type(error).__name__, error.message
        if isinstance(value, Result):
            assert value.sources.consistent, f"{name}: {value.sources.error}"
            value = value.value
        return "done", spelled(value)

    def do(self, operation: Operation, kill: Kill | None = None) -> None:
        """The same on all three; with ``kill`` one of them dies in it, and does it again if it did not come to be."""
        self.clock.number += 1
        victim = kill.backend if kill else ""
        others = [name for name in BACKENDS if name != victim]
        before = self.rows(others[0]) if kill else {}
        outcomes = {name: self.outcome(name, operation) for name in others}
        if kill and not self.happened_all_the_same(kill, operation, before, self.rows(others[0])):
            outcomes[victim] = self.outcome(victim, operation)
        assert len(set(map(repr, outcomes.values()))) == 1, f"{operation}: {outcomes}"
        self.seen[operation.name] += 1
        self.seen[outcomes[others[0]][0]] += 1

    def happened_all_the_same(self, kill: Kill, operation: Operation, before: Any, after: Any) -> bool:
        """Kill a backend's process in the operation and open it anew; whether the operation came to be."""
        code = self.kill(kill, operation)
        now = self.rows(kill.backend)
        where = f"{operation}, {kill} (exit code {code})"
        assert now in (before, after), f"{where}: neither {differing(now, before)} nor {differing(now, after)}"
        happened = bool(now == after)
        assert happened or code == KILLED, f"{where} is lost: {differing(now, after)}"
        how = "it would change nothing" if before == after else "it was done" if happened else "it was not done"
        self.seen[f"killed in {kill.backend}: {how}" if code == KILLED else "too late to be killed"] += 1
        return happened and before != after

    def kill(self, kill: Kill, operation: Operation) -> int:
        """Carry an operation out in a process that is killed in it, and open the store anew."""
        store, steps = self.stores.pop(kill.backend), self.steps[kill.backend]
        engines = [store.database.engine, *([store.index.database.engine] if kill.backend == "json" else [])]
        for engine in engines:  # no connection is carried over
            engine.dispose()

        def work() -> None:
            for engine in engines:
                steps.listen(engine)
            steps.among = kill.among
            with self.clock.frozen(), contextlib.suppress(StoreError):
                steps.begin(kill.stop, looks=False)
                operation(store)

        code = run_apart(work)
        assert code in (0, KILLED), f"{operation}, {kill}: the child failed, see what it printed"
        self.open(kill.backend)
        return code

    def catch_up(self, name: str, kill: Kill | None = None) -> None:
        if kill is not None:
            code = self.kill(kill, Operation("catch_up"))
            self.seen["killed catching up" if code == KILLED else "too late to be killed"] += 1
        self.stores[name].catch_up()

    def delete_index(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self.database("json").with_name(f"index.sqlite{suffix}").unlink(missing_ok=True)

    # ------------------------------------------------------------------ other hands
    def files(self, name: str) -> dict[str, bytes]:
        """What lies in a data folder, without the keys of a later Quilltap."""
        found = files_below(self.path / "live" / name / "data")
        return {path: _LATER.sub(b"", data) for path, data in found.items()}

    def add_a_later_key(self, place: int, line: int, *, in_place: bool) -> str:
        """A later Quilltap rewrites a file of the ``json`` backend, with a key in one of its records that Tandem does
        not know; the file's name."""
        folder = self.path / "live" / "json" / "data"
        own = [*folder.glob("[cp]*s/*.json"), *folder.glob("settings/**/*.json"), *folder.glob("tags/*.json")]
        paths = sorted([*own, *folder.glob("*/index.jsonl")])
        path = paths[place % len(paths)]
        if path.suffix == ".json":
            whole = codec.loads(path.read_bytes())
            lists = (
                [value for value in whole.values() if isinstance(value, list)]
                if path.parent.name != "characters"
                else []
            )
            records = [one for several in lists for one in several if isinstance(one, dict)]
            record = whole.get("user") or (records[line % len(records)] if records else whole)
            _add_later(record)
            data = codec.dumps_pretty(whole)
        else:
            lines = [codec.loads(one) for one in path.read_bytes().splitlines()]
            if lines:
                _add_later(lines[line % len(lines)])
            data = b"".join(codec.dumps(one) + b"\n" for one in lines)
        _put(path, data, in_place=in_place)
        return path.relative_to(folder).as_posix()

    def do_by_another_hand(self, operation: Operation) -> None:
        """An operation that the ``json`` backend sees only as files which another program has written."""
        self.clock.number += 1
        for name in ("dual", "json"):  # so that only what the operation changes is changed
            self.catch_up(name)
        theirs = self.stores["dual"].settings.data_dir
        before = files_below(theirs)
        outcomes = {name: self.outcome(name, operation) for name in ("sql", "dual")}
        assert outcomes["sql"] == outcomes["dual"], f"{operation}: {outcomes}"
        self.catch_up("dual")
        after = files_below(theirs)
        folder = self.path / "live" / "json" / "data"
        for path in before.keys() | after.keys():
            if before.get(path) == after.get(path):
                continue
            if path in after:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                _put(folder / path, after[path], in_place=False)
            else:
                (folder / path).unlink()

    # ------------------------------------------------------------------ comparing
    def check_rows(self) -> None:
        """The three databases that answer hold the same rows."""
        sql = self.rows("sql")
        for name in ("dual", "json"):
            assert (rows := self.rows(name)) == sql, f"{name} has, sql has: {differing(rows, sql)}"

    def check(self) -> None:
        """Everything is equal everywhere once nothing waits, and nothing lies about."""
        for name in ("dual", "json"):
            self.catch_up(name)
        self.check_rows()
        self.check_documents()
        dual, json = self.stores["dual"], self.stores["json"]
        assert (dual.pending(), json.following.pending()) == (0, 0)
        assert [one.message for store in self.stores.values() for one in store.problems()] == []
        followed = raw_rows(self.path / "live" / "json" / "quilltap.sqlite")
        assert followed == (rows := self.rows("sql")), f"SQL that follows has, sql has: {differing(followed, rows)}"
        files = {name: self.files(name) for name in ("dual", "json")}
        assert files["json"] == files["dual"], f"json has, dual has: {differing(files['json'], files['dual'])}"
        for name in ("dual", "json"):
            assert reader.leftovers(self.stores[name].settings.data_dir, self.stores[name].settings.own_dir) == []

    def check_documents(self) -> None:
        """Every repository gives the same of all three, and can read all of it."""
        for kind, repository in self.stores["sql"].repositories.items():
            found = {name: self.stores[name].repositories[kind].find_all() for name in BACKENDS}
            assert [one.message for several in found.values() for one in several.problems] == []
            sql = spelled(found["sql"])
            for name in ("dual", "json"):
                assert (mine := spelled(found[name])) == sql, f"{kind} of {name}: {differing({'': mine}, {'': sql})}"
            assert len(sql) == len(self.rows_of(repository)), f"{kind}: find_all does not find all"
        for chat in self.stores["sql"].chats.find_all():
            said = {name: spelled(self.stores[name].chats.get_messages(chat.id)) for name in BACKENDS}
            assert said["dual"] == said["json"] == said["sql"], f"messages of {chat.id}: {said}"

    def rows_of(self, repository: Any) -> list[Any]:
        with closing(sqlite3.connect(self.database("sql"))) as connection:
            return connection.execute(f'SELECT 1 FROM "{repository._main.name}"').fetchall()

    def check_sides_of_dual(self) -> None:
        """Each record of ``dual`` is, read from its file, what SQL says."""
        store = self.stores["dual"]
        for kind, repository in store.repositories.items():
            for record in repository.find_all():
                told = store.compare(kind, record.id)
                assert told.state == "equal", f"{kind} {record.id}: {told}"


def _add_later(record: dict[str, Any]) -> None:
    """Before ``extras``, where Tandem keeps it."""
    extras = {"extras": record.pop("extras")} if "extras" in record else {}
    record[LATER] = "added"
    record.update(extras)


def _put(path: Path, data: bytes, *, in_place: bool) -> None:
    if in_place:
        path.write_bytes(data)
    else:
        path.with_suffix(".tmp").write_bytes(data)
        path.with_suffix(".tmp").replace(path)


def advanced(clock: Clock, milliseconds: int) -> None:
    clock.moment += timedelta(milliseconds=milliseconds)
