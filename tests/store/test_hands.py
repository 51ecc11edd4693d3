"""A helper beside this process: what both do together is what one does alone, whatever becomes of the helper."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store import Store, hands, open_store, rows
from store.chat_files import Batch
from store.exporting import export
from store.files import logs
from store.files.generations import Generations
from store.helper import Helper
from store.helping import Helping
from store.mapping import MAPPINGS
from store.validation import validate_all_data
from tests import nasty
from tests.factories import (
    files_below,
    lay_database,
    open_test_store,
    settings_for,
)
from tests.store.helped import CHATS, Helped, made, write_something

pytestmark = pytest.mark.slow


@pytest.fixture
def store(store_with_chats: Store) -> Store:
    return store_with_chats


def told_of(store: Store, report: Any) -> Any:
    told = report.as_json()
    del told["seconds"], told["generation"]
    return told


# ------------------------------------------------------------------ the same as one alone
@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_of_a_database_with_every_nasty_case(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, dialect: str
) -> None:
    if dialect == "sqlite":
        lay_database(tmp_path / "quilltap.sqlite")
        url = f"sqlite:///{tmp_path / 'quilltap.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
        open_test_store(tmp_path, url, "sql").close()
    nasty.fill(url, tmp_path / "public")
    public = {"public_dir": tmp_path / "public", "encryption_master_pepper": nasty.PEPPER}

    def both(name: str) -> tuple[Any, dict[str, bytes], Any, Any]:
        one = open_store(settings_for(tmp_path / name, url, "sql", **public), follow=False)
        rehearsed = told_of(one, export(one, dry_run=True))
        exported, files = told_of(one, export(one)), files_below(tmp_path / name / "data")
        assert export(one).unchanged
        for path in sorted((tmp_path / name / "data").glob("chats/*-*.jsonl"))[::2]:  # some are not as they were
            path.write_bytes(path.read_bytes().replace(b'"role":"', b'"role":"X', 1))
        report = validate_all_data(one).as_json()
        one.close()
        del report["seconds"], report["started_at"]
        return (
            rehearsed,
            files,
            exported,
            {key: sorted(map(repr, value)) if isinstance(value, list) else value for key, value in report.items()},
        )

    alone = both("alone")
    seen: Helped = request.getfixturevalue("helped")
    together = both("together")
    for one, other in zip(together, alone, strict=True):
        assert {key: value for key, value in one.items() if other.get(key, ...) != value} == {}
        assert one.keys() == other.keys()
    assert alone[3]["inconsistent"] + alone[3]["errors"] > 0
    assert (seen.started, len(made(seen.answers)) >= 4) == (4, True)


def test_it_takes_part_and_what_it_wrote_is_read_back(store: Store, helped: Helped, tmp_path: Path) -> None:
    report = export(store)
    assert (report.problems, report.switched) == ([], True)
    assert len(made(helped.answers)) > 1
    assert any(isinstance(one, str) for answer in helped.answers if isinstance(answer, list) for one in answer)
    assert len(list((tmp_path / "data/chats").glob("*-*.jsonl"))) == CHATS
    generations = Generations(store.side)
    assert generations.verify(generations.current() or "") == []
    helped.answers.clear()
    assert validate_all_data(store).exit_status == 0
    assert len(made(helped.answers)) > 1


def test_little_work_has_none(store: Store, helped: Helped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hands, "FROM", CHATS * 3 + 1)
    assert export(store).switched
    monkeypatch.setattr(hands, "FROM", 1)
    monkeypatch.setattr(hands, "_processors", lambda: 1)
    assert validate_all_data(store).exit_status == 0
    assert helped.started == 0
    monkeypatch.setattr(hands, "_processors", lambda: 2)
    assert validate_all_data(store, only=["Character"]).exit_status == 0, "of messages nothing is asked"
    assert helped.started == 0


# ------------------------------------------------------------------ one snapshot
def test_when_others_write_it_sees_the_same_all_the_same(store: Store, helped: Helped, tmp_path: Path) -> None:
    begun = 0

    def write(helper: Helping, told: str) -> None:
        nonlocal begun
        if told == "begin":
            begun += 1
            if begun < 3:
                write_something(store)

    helped.when = write
    report = export(store)
    assert (report.problems, report.switched, begun) == ([], True, 3)
    assert len(made(helped.answers)) > 1
    assert validate_all_data(store).exit_status == 0, "what was written last is in the files"


def test_when_others_never_stop_writing_it_is_done_without(store: Store, helped: Helped) -> None:
    begun = 0

    def write(helper: Helping, told: str) -> None:
        nonlocal begun
        if told == "begin":
            begun += 1
            write_something(store)

    helped.when = write
    report = export(store)
    assert (report.problems, report.switched, begun, made(helped.answers)) == ([], True, hands.TRIES, [])


# ------------------------------------------------------------------ the other process, from within
def test_what_it_does(store: Store, tmp_path: Path) -> None:
    helper = Helper()
    target = store.database.for_others()
    assert target
    helper.open(*target)
    assert helper.begin(None)
    with store.database.read() as connection:
        ids = rows.all_ids(connection, MAPPINGS["chat"])
    (tmp_path / "staged/chats").mkdir(parents=True)
    paths = {one: logs.log_path(one) for one in ids}
    batch = Batch(str(store.side.data_dir), str(tmp_path / "staged"), {}, paths, True)
    told = helper.make(list(batch))
    assert {one[0] for one in told} == set(ids)
    assert all(good and count == 3 for _, good, count, *_ in told)
    entries = [[paths[one], entry] for one, *_, entry in told]
    root = str(tmp_path / "staged")
    assert sorted(helper.holding([root, entries])) == sorted(paths.values())
    (tmp_path / "staged" / paths[ids[0]]).unlink()
    (tmp_path / "staged" / paths[ids[1]]).write_bytes(b"else")
    assert sorted(helper.holding([root, entries])) == sorted(list(paths.values())[2:])
    again = helper.make([root, None, paths, {}, False])
    assert {one for one, good, *_ in again if not good} == set(ids[:2])
    assert helper.begin(None)


def test_it_loads_only_what_it_needs() -> None:
    path = Path(hands.__file__).with_name("helper.py")
    heavy = "{'sqlalchemy', 'flask', 'pydantic', 'psycopg', 'cryptography'}"
    script = f"import runpy, sys; runpy.run_path({str(path)!r}); print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
