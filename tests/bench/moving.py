"""Moving everything: 10,000 characters with 300 tags and 40,000 links to them, and 1,000 chats of 200 messages.

Export, validation, an export without a change and its rehearsal, in turn with the least that does the same; the way
back; and how much memory it takes, in a process of its own.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import func, insert, select

from store import Store, open_store
from store.documents.base import derived_id, spell_moment
from store.exporting import export
from store.helping import Helping
from store.importing import import_json
from store.tables.chats import chats
from store.tables.messages import messages
from store.tables.profiles import connection_profiles
from store.validation import validate_all_data
from tests.bench import moving_floors as floors
from tests.bench.library import BEGIN, DATES, USER, character_id, fill, settings
from tests.bench.measure import Row
from tests.bench.memory import peak

CHARACTERS, CHATS, MESSAGES = 10_000, 1_000, 200
ROUNDS = 3  # each takes long enough to even out what a moment does
TOTAL = CHARACTERS * 5 + CHATS * (MESSAGES + 1) + 300 + 2


def fill_all(folder: Path, url: str, length: int = MESSAGES) -> None:
    """A library of the size that is measured. ``length``: messages of each chat."""
    store = open_store(settings(folder, url, "sql"), follow=False)
    fill(store, CHARACTERS)
    profile = derived_id("bench", "profile")
    with store.database.write() as connection:
        local = {"id": profile, "name": "Local", "provider": "OLLAMA", "modelName": "llama", "parameters": {}}
        connection.execute(insert(connection_profiles).values(**local, isDefault=True, userId=USER, **DATES))
        for number in range(CHATS):
            chat = {"id": derived_id("bench", "chat", str(number)), "characterId": character_id(number)}
            told = {"userId": USER, "connectionProfileId": profile, "title": f"Chat {number}"}
            connection.execute(insert(chats).values(**chat, **told, **DATES))
            connection.execute(insert(messages), [_message(chat["id"], one) for one in range(length)])
        if store.database.dialect == "postgresql":  # as any that is not new does by itself
            connection.exec_driver_sql("ANALYZE")
    store.close()


def _message(chat: str, number: int) -> dict[str, Any]:
    """A message whose line has about 575 bytes."""
    moment = spell_moment(BEGIN.replace(microsecond=number % 1000 * 1000) + number * _MINUTE)
    role = "USER" if number % 2 else "ASSISTANT"
    content = (f"{number} “quoted”, and\na second line " + "word " * 80)[:318]
    return {
        "id": derived_id(chat, str(number)),
        "chatId": chat,
        "role": role,
        "content": content,
        "tokenCount": 70 + number,
        "createdAt": moment,
    }


_MINUTE = (BEGIN.replace(minute=1)) - BEGIN


# ------------------------------------------------------------------ in a process of its own
def rounds(folder: Path, url: str) -> dict[str, list[float]]:
    """Seconds of each step, product and floor in turn."""
    took: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        done = work()
        took.setdefault(name, []).append(time.perf_counter() - began)
        return done

    for number in range(ROUNDS):
        home = folder / f"round-{number}"
        least = home / "floor"
        least.mkdir(parents=True)
        timed("floor of export", lambda: floors.export(url, least))  # noqa: B023
        store = open_store(settings(home, url, "sql"), follow=False)
        _well(timed("export", lambda: export(store)))  # noqa: B023
        _assert_same(least, home / "data")
        assert timed("floor of validate", lambda: floors.differing(url, least)) == []  # noqa: B023
        report = _well(timed("validate", lambda: validate_all_data(store)))  # noqa: B023
        assert sum(one.equal for one in report.models.values()) == TOTAL
        again = _well(timed("export again", lambda: export(store)))  # noqa: B023
        assert (again.unchanged, again.written) == (True, 0), "nothing had changed"
        assert _well(timed("dry run", lambda: export(store, dry_run=True))).changes == []  # noqa: B023
        assert timed("floor of quick", lambda: floors.references(url)) == []
        _well(timed("quick", lambda: validate_all_data(store, quick=True)))  # noqa: B023
        store.close()
        if number == 0:  # it takes longest
            timed("floor of import", lambda: floors.insert(home / "data", home / "floor.sqlite"))  # noqa: B023
            back = _back(home)
            _well(timed("import", lambda: import_json(back)))  # noqa: B023
            back.close()
    return took


def _well(done: Any) -> Any:
    assert done.exit_status == 0, done.as_text()[-500:]
    return done


def _back(home: Path) -> Store:
    """The same files, and an empty database."""
    (home / "back").mkdir()
    (home / "back/data").symlink_to((home / "data").resolve())
    return open_store(settings(home / "back", f"sqlite:///{home}/back/quilltap.sqlite", "sql"), follow=False)


def _assert_same(least: Path, data: Path) -> None:
    """The floor does the same work: its characters and chats are those of the export."""
    for kind in ("characters", "chats"):
        names = {path.name for path in (data / kind).iterdir()} - {"index.jsonl"}
        assert names == {path.name for path in (least / kind).iterdir()}
        for name in sorted(names)[::50]:
            assert (data / kind / name).read_bytes() == (least / kind / name).read_bytes(), name


def memory(folder: Path, url: str) -> dict[str, list[float]]:
    """The peak in MB after opening the store, an export, a validation, and an export without a change; with that of
    the helper beside this process, as if both had theirs at once."""
    store = open_store(settings(folder / "memory", url, "sql"), follow=False)
    peaks, beside = [peak() / 1024], [0.0]
    close = Helping.close

    def closed(helper: Helping) -> None:
        if helper.is_there:
            beside.append(peak(helper._process.pid) / 1024)
        close(helper)

    Helping.close = closed  # type: ignore[method-assign]
    for work in (export, validate_all_data, export):
        _well(work(store))
        peaks.append(peak() / 1024 + max(beside))
    store.close()
    return {"memory": peaks}


def index(folder: Path, url: str) -> dict[str, list[float]]:
    """The index of `json` mode, filled from the files that were exported: processor seconds, and the peak in MB."""
    store = Store(settings(folder / "round-0", f"sqlite:///{folder}/follower.sqlite", "json"))
    began = time.process_time()
    store.index.refresh(full=True)
    took = time.process_time() - began
    with store.index.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(messages)) == CHATS * MESSAGES
    store.index.close()
    store.database.close()
    began = time.process_time()
    floors.insert(folder / "round-0/data", folder / "floor.sqlite")
    return {"fill": [took], "floor": [time.process_time() - began], "memory": [peak() / 1024]}


# ------------------------------------------------------------------ the table
def moving(folder: Path, url: str, name: str) -> list[Row]:
    """Every step, from one database."""
    fill_all(folder, url)
    took = _apart("rounds", folder, url)

    def row(item: str, step: str, base: str, goal: str) -> Row:
        ratios = [one / other for one, other in zip(took[step], took[base], strict=True)]
        of = (statistics.median(took[one]) for one in (step, base))
        return Row(f"{item}, {name}", *of, statistics.median(ratios), goal, "s ")

    filled = {what: one for what, (one,) in _apart("index", folder, url).items()}
    return [
        row("export of everything", "export", "floor of export", "1.5x" if name == "SQLite" else "1.3x"),
        row("validation of it", "validate", "floor of validate", "1.3x"),
        row("export without a change (to a validation)", "export again", "validate", "1.3x"),
        row("rehearsal of one (to a validation)", "dry run", "validate", "1.2x"),
        row("quick validation (to SQL alone)", "quick", "floor of quick", "-"),
        row("import into an empty SQLite", "import", "floor of import", "-"),
        *peaks(folder, url, name),
        Row(
            "filling the index, processor", filled["fill"], filled["floor"], filled["fill"] / filled["floor"], "", "s "
        ),
        Row("peak of memory meanwhile", filled["memory"], filled["memory"], 1.0, "200 MB", "MB"),
    ]


def peaks(folder: Path, url: str, name: str) -> list[Row]:
    """How much memory that takes."""
    before, *after = _apart("memory", folder, url)["memory"]
    return [Row(f"peak of memory of all that, {name}", max(after), before, max(after) / before, "200 MB", "MB")]


def large(folder: Path, url: str, name: str) -> list[Row]:
    """The memory that ten times the messages take."""
    fill_all(folder, url, 10 * MESSAGES)
    return peaks(folder, url, f"{name}, {10 * MESSAGES * CHATS:,} messages")


def _apart(what: str, folder: Path, url: str) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "tests.bench.moving", what, str(folder), url]
    told: dict[str, list[float]] = orjson.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return told


if __name__ == "__main__":
    done = {"rounds": rounds, "memory": memory, "index": index}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
    sys.stdout.write(orjson.dumps(done).decode())
