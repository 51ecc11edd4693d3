"""Export now, watched and cancelled; a difference made by hand, found, shown down to its characters, and repaired."""

import json
import re
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import WIDE, serious, shut_out, too_wide
from tests.browser.serving import Running

MANY = 1_200  # characters
# Starts Tandem with jobs that go on only as far as a file says, from 0 to 1: so a cancel arrives before the end and the
# bar is seen to move however fast the machine is. A job that waits still hears that it is cancelled.
HELD = """
import runpy, time
from pathlib import Path
from store import jobs

tell, gate = jobs._Pulse.tell, Path("gate")

def held(self, moment):
    tell(self, moment)
    while moment.overall > float(gate.read_text()) and not self.cancelled:
        time.sleep(0.02)

jobs._Pulse.tell, jobs.BEAT_S = held, 0.1
runpy.run_path("app.py", run_name="__main__")
"""
# Each thing that the page says about how far it is.
WATCH = """() => {
    window.seen = {bar: [], numbers: []};
    const look = () => {
        const bar = document.querySelector("progress")?.value;
        const numbers = document.querySelector("[data-part=numbers]")?.textContent.trim();
        if (bar !== undefined && bar !== seen.bar.at(-1)) seen.bar.push(bar);
        if (numbers && numbers !== seen.numbers.at(-1)) seen.numbers.push(numbers);
    };
    const all = {subtree: true, childList: true, attributes: true, characterData: true};
    look();
    new MutationObserver(look).observe(document, all);
}"""
TITLE, MISTAKE = "Keeper of the lamp", "Keeper of the lump"


def with_many_characters(running: Running) -> None:
    """Rows that Tandem has to bring over, written as another program would."""
    with closing(sqlite3.connect(running.folder / "instance" / "tandem.sqlite", timeout=30)) as connection, connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM characters LIMIT 1").fetchone())
        names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" * len(row))
        rows = [{**row, "id": str(uuid.UUID(int=number + 1)), "name": f"Copy {number}"} for number in range(MANY)]
        for one in rows:
            one["defaultImageId"] = None
        insert = f"INSERT INTO characters ({names}) VALUES ({marks})"
        connection.executemany(insert, [tuple(one.values()) for one in rows])


def let_go(folder: Path, far: float) -> None:
    """How far jobs may go, from 0 to 1. The file is never half written."""
    (folder / "gate.new").write_text(str(far))
    (folder / "gate.new").replace(folder / "gate")


def spoil(running: Running) -> Path:
    """Change one character's file by hand; where it is."""
    path = max((running.folder / "data" / "characters").glob("*.json"), key=lambda one: one.name)
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "title": MISTAKE}, ensure_ascii=False, indent=2))
    return path


@pytest.fixture(scope="module")
def large(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Tandem with many characters, of which the files do not know yet, and whose jobs wait at the gate."""
    folder = shutil.copytree(library, tmp_path_factory.mktemp("large"), dirs_exist_ok=True)
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "data.tandem")
    (folder / "held.py").write_text(HELD)
    let_go(folder, 0)
    tandem = Running(folder, "held.py", DATA_BACKEND="sql")
    with_many_characters(tandem)
    yield tandem
    tandem.stop()


def test_an_export_is_watched_cancelled_and_made(large: Running, enter: Callable[..., Page]) -> None:
    page = enter(large)
    page.goto(f"{large.address}/admin/exports/")
    page.get_by_role("button", name="Export now").click()
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator(".notice", has_text="was cancelled.")).to_be_visible()
    data = large.folder / "data"
    assert not data.is_symlink(), "nothing of a cancelled export is in use"

    page.goto(f"{large.address}/admin/exports/")
    page.get_by_role("button", name="Export now").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.evaluate(WATCH)
    assert serious(page) + too_wide(page) == []
    for far in (0.3, 0.6):
        let_go(large.folder, far)
        page.wait_for_function(f"() => document.querySelector('progress')?.value > {far}")
    let_go(large.folder, 1)
    expect(page.locator(".notice", has_text="checked, and in use: gen-")).to_be_visible(timeout=90_000)
    expect(page.locator("#job-line")).to_contain_text("done")
    bar, numbers = page.evaluate("[window.seen.bar, window.seen.numbers]")  # no longer there had the page reloaded
    assert len(bar) > 2, bar
    assert bar == sorted(bar), "it moves, and never back"
    assert all(re.fullmatch(r"[\d,]+ of [\d,]+ · \d+ %|\d+ %", one) for one in numbers), numbers
    expect(page.get_by_role("row", name=re.compile("^Character 1,2"))).to_contain_text("all of them")
    assert data.is_symlink()
    assert len(list((data / "characters").glob("*.json"))) > MANY
    assert serious(page) + too_wide(page) == []
    page.goto(f"{large.address}/admin/exports/")
    expect(page.get_by_text("in use", exact=True)).to_be_visible()
    with page.expect_download() as downloading:
        page.get_by_role("link", name=re.compile("Download gen-")).first.click()
    assert Path(downloading.value.path()).read_bytes()[:2] == b"PK"


def test_a_difference_made_by_hand_is_shown_and_repaired(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished, viewport=WIDE, color_scheme="light")
    wait_until_nothing_waits(page, furnished)
    path = spoil(furnished)
    before = path.read_bytes()
    page.goto(f"{furnished.address}/admin/exports/")
    looks = shut_out(page)

    page.goto(f"{furnished.address}/admin/validation/")
    looks += shut_out(page)
    page.get_by_role("button", name="Validate now").click()
    expect(page.locator(".notice", has_text="Both sides differ.")).to_be_visible()
    looks += shut_out(page)
    page.get_by_role("link", name="1 different").click()
    page.get_by_role("link", name=path.stem).click()
    expect(page.get_by_role("heading", name="title")).to_be_visible()
    expect(page.locator(".diff-text").last).to_have_text(MISTAKE)
    assert page.locator(".diff-text mark").count() >= 1
    looks += shut_out(page)
    page.get_by_role("button", name="The database is right…").click()
    expect(page.get_by_text("The files have something else.")).to_be_visible()
    looks += shut_out(page)
    assert path.read_bytes() == before, "the plan writes nothing"
    page.get_by_role("button", name="Repair 1 record").click()
    expect(page.locator(".notice", has_text="Both sides hold the same.")).to_be_visible()
    assert json.loads(path.read_bytes())["title"] != MISTAKE

    page.goto(f"{furnished.address}/admin/validation/")
    page.get_by_role("button", name="Validate now").click()
    expect(page.locator(".notice", has_text="Both sides hold the same.")).to_be_visible()
    page.goto(f"{furnished.address}/admin/validation/")
    expect(page.get_by_role("group", name=re.compile("found wrong"))).to_be_visible()
    looks += shut_out(page)
    page.goto(f"{furnished.address}/admin/")
    expect(page.get_by_text("everything equal")).to_be_visible()
    looks += shut_out(page)
    assert not looks, "\n".join(looks)


def test_without_scripts_a_reload_shows_how_far_it_is(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished, java_script_enabled=False)
    page.goto(f"{furnished.address}/admin/validation/")
    page.get_by_role("button", name="Quick look").click()
    for _ in range(200):
        if page.locator(".notice", has_text="Both sides hold the same records and as many messages.").count():
            break
        page.wait_for_timeout(100)
        page.reload()
    expect(page.locator(".notice", has_text="Both sides hold the same records and as many messages.")).to_be_visible()


def wait_until_nothing_waits(page: Page, running: Running) -> None:
    """The demo library may still be on its way into the files."""
    for _ in range(100):
        page.goto(f"{running.address}/admin/")
        if page.get_by_text("Nothing waits").count():
            return
        page.wait_for_timeout(200)
    raise AssertionError("something waits for ever")
