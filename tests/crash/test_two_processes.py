"""Two processes edit the same and different characters, 200 writes each: no lost update, no error, both sides equal."""

import functools
from pathlib import Path

import pytest

from store import Settings, open_store
from tests.crash import reader
from tests.crash.stops import ended, start_apart
from tests.crash.world import ADA, HERO, SQUIRE, populate
from tests.factories import files_below, settings_for

WRITES = 200
# Each process counts up its own field of the shared character and its own character's title, and makes tags of its own.
NEW = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")


def work(number: int, settings: Settings) -> None:
    store = open_store(settings)
    field = ("scenario", "personality")[number]
    own = store.characters.create({**NEW, "userId": ADA, "name": f"own {number}"}).value
    for count in range(WRITES // 4):
        hero = store.characters.find_by_id(HERO)
        assert hero is not None
        store.characters.update(HERO, {field: str(int(hero.value(field) or 0) + 1)})
        store.characters.update(own.id, {"title": str(count + 1)})
        tag = store.tags.create({"userId": ADA, "name": f"tag {number} {count}"}).value
        store.characters.add_tag(SQUIRE, tag.id)
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "json"])
def test_neither_loses_what_the_other_wrote(tmp_path: Path, request: pytest.FixtureRequest, backend: str) -> None:
    url = request.getfixturevalue("postgres_url") if backend == "postgresql" else ""
    mode = "json" if backend == "json" else "dual"
    settings = settings_for(tmp_path, url, mode)
    fill(settings)
    workers = [start_apart(functools.partial(work, number, settings)) for number in (0, 1)]
    assert [ended(worker) for worker in workers] == [0, 0]
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
