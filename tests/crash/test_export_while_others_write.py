"""An export while another program writes: nothing it writes is lost, and it never waits for the export."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from store import generating, hands
from store.exporting import export
from tests.crash.world import World, make_world
from tests.factories import assert_everything_is_equal

pytestmark = pytest.mark.slow
# 200 changes a second by plain SQL: texts, new rows, deletes. Prints how long the slowest took, in seconds.
_SQLITE = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], timeout=15, isolation_level=None)
connection.create_function("tandem_casefold", 1, lambda text: text and text.casefold(), deterministic=True)
run = lambda text, *values: connection.execute(text.replace("%s", "?"), values)
"""
_POSTGRESQL = """
import psycopg, sys, time
connection = psycopg.connect(sys.argv[1], autocommit=True)
run = lambda text, *values: connection.execute(text, values)
"""
_WRITER = """
(owner,) = run("SELECT id FROM users ORDER BY id LIMIT 1").fetchone()
print("ready", flush=True)
end, slowest, number = time.monotonic() + 2.5, 0.0, 0
while time.monotonic() < end:
    began, number = time.monotonic(), number + 1
    if number % 3 == 0:
        run('UPDATE characters SET title = %s', f"title {number}")
    elif number % 3 == 1:
        columns, day = 'id, "userId", name, "nameLower", "createdAt", "updatedAt"', "2026-01-01 00:00:00"
        values = (f"t{number}", owner, f"n{number}", f"n{number}", day, day)
        run(f"INSERT INTO tags ({columns}) VALUES (%s, %s, %s, %s, %s, %s)", *values)
    else:
        run('DELETE FROM tags WHERE id = %s', f"t{number - 4}")
    slowest = max(slowest, time.monotonic() - began)
    time.sleep(max(0.0, 0.005 - (time.monotonic() - began)))
print(number, slowest)
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request: pytest.FixtureRequest, memory_path: Path) -> World:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return make_world(memory_path, "dual", url)


@pytest.mark.parametrize("helped", [False, True], ids=["alone", "with a helper"])
def test_afterwards_both_sides_are_equal(world: World, helped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if helped:
        monkeypatch.setattr(hands, "FROM", 1)
        monkeypatch.setattr(hands, "_processors", lambda: 2)
        monkeypatch.setattr(generating, "AT_ONCE", 1)
    url = world.settings.database_url
    script = (_SQLITE if world.on_sqlite else _POSTGRESQL) + _WRITER
    where = url.removeprefix("sqlite:///") if world.on_sqlite else url.replace("+psycopg", "")
    store = world.open()
    writer = subprocess.Popen([sys.executable, "-c", script, where], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    assert writer.stdout.readline() == "ready\n"
    exports = 0
    while writer.poll() is None:
        report = export(store)
        assert report.problems == [], report.as_text()
        exports += 1
        time.sleep(0.05)
    written, slowest = writer.stdout.read().split()
    writer.stdout.close()
    assert (exports >= 2, int(written) > 50) == (True, True)
    assert float(slowest) < 5
    store.catch_up()
    assert store.step.in_step
    assert (store.pending(), store.problems()) == (0, [])
    assert_everything_is_equal(store)
    store.close()
