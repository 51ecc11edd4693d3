"""Two processes edit the same and different characters, 200 writes each: no lost update, no error, both sides equal."""

import subprocess
import sys
from pathlib import Path

import pytest

from store import Settings, open_store
from tests.crash import reader
from tests.crash.world import HERO, SQUIRE, populate
from tests.factories import files_below, settings_for

WRITES = 200
# Each process counts up its own field of the shared character and its own character's title, and makes tags of its own.
WORKER = """
import sys
from pathlib import Path
from store import open_store
from tests.crash.world import ADA, HERO, SQUIRE
from tests.factories import settings_for

number, folder, url, backend = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
store = open_store(settings_for(folder, url, backend))
field = ("scenario", "personality")[number]
own = store.characters.create({**dict.fromkeys(("description", "personality", "scenario", "firstMessage"), ""),
                               "userId": ADA, "name": f"own {number}"}).value
for count in range(WRITES // 4):
    store.characters.update(HERO, {field: str(int(store.characters.find_by_id(HERO).value(field) or 0) + 1)})
    store.characters.update(own.id, {"title": str(count + 1)})
    tag = store.tags.create({"userId": ADA, "name": f"tag {number} {count}"}).value
    store.characters.add_tag(SQUIRE, tag.id)
store.close()
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "json"])
def test_neither_loses_what_the_other_wrote(tmp_path: Path, request: pytest.FixtureRequest, backend: str) -> None:
    url = request.getfixturevalue("postgres_url") if backend == "postgresql" else ""
    mode = "json" if backend == "json" else "dual"
    settings = settings_for(tmp_path, url, mode)
    fill(settings)
    workers = [start(number, tmp_path, url, mode) for number in (0, 1)]
    for worker in workers:
        told = worker.communicate(timeout=240)[1]
        assert worker.returncode == 0, told
    store = open_store(settings, follow=False)
    store_says(store.characters.find_by_id(HERO))
    squire = store.characters.find_by_id(SQUIRE)
    assert squire is not None
    assert len(squire.tags) == 1 + WRITES // 2
    own = [one for one in store.characters.find_all() if one.name.startswith("own")]
    assert [one.title for one in own] == [str(WRITES // 4)] * 2
    assert store.pending() == 0
    files = files_below(settings.data_dir)
    if mode == "dual":
        assert reader.differences(reader.read_sql(settings.database_url), files) == []
    assert reader.dangling(reader.records(files), derived=True) == []
    assert reader.leftovers(settings.data_dir, settings.own_dir) == []
    store.close()


def store_says(hero: object) -> None:
    assert (hero.scenario, hero.personality) == (str(WRITES // 4), str(WRITES // 4))  # type: ignore[attr-defined]


def fill(settings: Settings) -> None:
    store = open_store(settings, follow=False)
    populate(store)
    store.characters.update(HERO, {"scenario": "0", "personality": "0"})
    store.close()


def start(number: int, folder: Path, url: str, mode: str) -> "subprocess.Popen[str]":
    code = WORKER.replace("WRITES", str(WRITES))
    command = [sys.executable, "-W", "error", "-c", code, str(number), str(folder), url, mode]
    return subprocess.Popen(
        command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
