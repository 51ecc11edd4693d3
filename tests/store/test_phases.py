"""The six phases as an installation goes through them: each ask becomes fulfilled by what it names, and by nothing
else."""

from pathlib import Path

import pytest

from store import Store, open_store, phases, work
from store.jobs import Outcome
from store.phases import PHASES, Phase
from tests.factories import make_character, make_image, open_test_store, settings_for

WAYS = {
    "inventory": "An inventory was taken",
    "export": "The files hold a library",
    "dual": "Tandem writes both sides",
    "capture": "Changes by other programs are noticed",
    "validate": "A validation of everything found both sides equal",
    "json": "The files are what counts",
}


SINCE = "Nothing was moved or changed on one side only since"


def asks(store: Store) -> dict[str, tuple[bool | None, str]]:
    """Text -> whether it is fulfilled, and how it stands."""
    return {ask.text: (ask.fulfilled, ask.told) for phase in phases.look(store) for ask in phase.asks}


def fulfilled(store: Store) -> set[str]:
    return {text for text, (done, _) in asks(store).items() if done}


def do(store: Store, kind: str, **arguments: object) -> Outcome:
    """A job, done at once."""
    job = store.jobs.start(kind, arguments, "Ada")
    assert work.run(store, job.id)
    return Outcome(store.jobs.get(job.id).summary, {})


def test_from_a_database_to_files(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    assert [phase.name for phase in phases.look(store)] == [phase.name for phase in PHASES]
    seen = asks(store)
    assert {seen[text][0] for text in WAYS.values()} == {False}
    assert seen["The data folder can be written"][0]
    assert seen["Every secret decrypts with this pepper"] == (True, "There is none.")
    assert seen["The database is as Quilltap 0.7.0 makes it"][0] is None
    assert {seen[text][0] for text in seen if "Only you can know" in seen[text][1]} == {None}

    store.inventory()
    assert asks(store)["The database is as Quilltap 0.7.0 makes it"][0]
    assert WAYS["inventory"] in fulfilled(store)

    do(store, "export")
    now = fulfilled(store)
    assert {WAYS["export"], WAYS["capture"]} <= now
    assert not {WAYS["dual"], WAYS["validate"], WAYS["json"]} & now
    store.close()

    store = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'quilltap.sqlite'}", "dual")
    assert {WAYS["dual"], "Both sides belong together", "Nothing waits for the other side"} <= fulfilled(store)
    do(store, "validate", only=["User"])
    assert WAYS["validate"] not in fulfilled(store), "of one model alone it says too little"
    do(store, "validate")
    assert {WAYS["validate"], SINCE} <= fulfilled(store)
    do(store, "export")  # without a change
    assert SINCE in fulfilled(store)
    make_character(store)
    store.close()

    store = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'quilltap.sqlite'}", "json")
    make_character(store)
    assert asks(store)["The database follows the files"][0] is False
    store.catch_up()
    assert asks(store)["The database follows the files"] == (True, "It has every change: going back takes one restart.")
    assert {WAYS["json"], WAYS["dual"]} <= fulfilled(store)
    assert all(phase.open == 0 for phase in phases.look(store) if phase.name in ("Dual write", "Cutover"))
    store.close()


def test_what_was_moved_later_has_to_be_validated_anew(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    do(store, "export")
    do(store, "validate")
    assert SINCE in fulfilled(store)
    make_character(store)
    do(store, "export")
    told = asks(store)
    assert told[SINCE] == (False, "There was a later export: validate again.")
    assert told["An earlier state of the files can be put back"] == (True, "1 earlier generation is kept.")
    do(store, "validate")
    assert SINCE in fulfilled(store)
    store.close()


def test_a_validation_that_found_something_says_what(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    alice = make_character(store, "Alice")
    do(store, "export")
    file = store.settings.data_dir / "characters" / f"{alice.id}.json"
    file.write_bytes(file.read_bytes().replace(b"Alice", b"Malice"))
    do(store, "validate")
    done, told = asks(store)[WAYS["validate"]]
    assert (done, told.startswith("1 row differs (")) == (False, True), told
    store.close()


def test_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    store.inventory()
    (newest,) = (store.side.own_dir / "inventories").iterdir()
    newest.write_bytes(b"{")
    seen = asks(store)
    assert seen[WAYS["inventory"]] == (False, f"{newest.name} cannot be read.")
    newest.write_bytes(b'{"madeAt": "2025-01-01T10:00:00.000Z", "schema": {"differences": ["A table is missing."]}}')
    seen = asks(store)
    assert seen["The database is as Quilltap 0.7.0 makes it"] == (False, "A table is missing.")
    assert seen[WAYS["inventory"]] == (True, "The last one is of 2025-01-01 10:00 UTC.")
    assert seen["Quilltap's folder of images is there"] == (True, "There are no images.")
    make_image(store)
    done, told = asks(store)["Quilltap's folder of images is there"]
    assert (done, "and not there" in told) == (False, True)
    (tmp_path / "public").mkdir()
    assert asks(store)["Quilltap's folder of images is there"][0]
    store.close()
    dual = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'quilltap.sqlite'}", "dual")
    seen = asks(dual)
    assert seen["Both sides belong together"][0] is False
    assert "The database holds records, the JSON side none." in seen["Both sides belong together"][1]
    dual.close()


def test_what_is_edited_in_the_database_alone_makes_a_validation_old(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    alice = make_character(store)
    do(store, "export")
    do(store, "validate")
    assert asks(store)[SINCE] == (True, "It is about what is there.")
    store.characters.update(alice.id, {"title": "Another"})
    assert asks(store)[SINCE] == (False, "1 record was changed in the database alone: export again.")
    do(store, "export")
    do(store, "validate")
    assert asks(store)[SINCE][0]
    store.capture_off()
    assert asks(store)[SINCE][0] is None
    store.close()
    elsewhere = open_store(settings_for(tmp_path, backend="sql", data_dir=tmp_path / "other"), follow=False)
    assert asks(elsewhere)[WAYS["validate"]] == (False, "None was made yet."), "of these files"
    elsewhere.close()


def test_the_empty_folder_of_before_the_first_export_is_no_way_back(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    do(store, "export")
    text = "An earlier state of the files can be put back"
    assert asks(store)[text] == (False, "None is kept: each export but the first leaves one.")
    make_character(store)
    do(store, "export")
    assert asks(store)[text] == (True, "1 earlier generation is kept.")
    store.close()


def test_only_quick_looks_are_no_validation(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    make_character(store)
    do(store, "export")
    do(store, "quick-validate")
    assert asks(store)[WAYS["validate"]] == (False, "Only quick or partial ones were made.")
    (tmp_path / "data.tandem/inventories").write_bytes(b"no folder")
    assert asks(store)[WAYS["inventory"]] == (False, "The folder of inventories cannot be listed.")
    store.close()


def test_open_and_done_are_counted() -> None:
    asks = (phases.Ask("a", True), phases.Ask("b", False), phases.Ask("c", None))
    assert (Phase("P", "w", asks).done, Phase("P", "w", asks).open) == (1, 1)


@pytest.mark.parametrize("backend", ["sql", "dual", "json"])
def test_each_backend_stands_at_a_phase(backend: str) -> None:
    assert 0 <= phases.STANDS_AT[backend] < len(PHASES)
