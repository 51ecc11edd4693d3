"""What commands move is in the history of jobs, as what pages move is."""

from flask import Flask

from store import Store
from store.jobs import DONE
from tests.dashboard.test_commands import call
from tests.factories import make_character
from tests.store.both_sides import mend


def kinds(store: Store) -> list[str]:
    return [job.kind for job in reversed(store.jobs.list(limit=50, states=(DONE,)))]


def test_what_commands_move_is_noted(tandem: Flask, store: Store) -> None:
    alice = make_character(store, "Alice")
    assert call(tandem, "data", "export").exit_code == 0
    make_character(store, "Bram")
    assert call(tandem, "data", "export").exit_code == 0
    assert kinds(store) == ["export", "export"]
    assert call(tandem, "data", "import", "--merge", "--dry-run").exit_code == 0
    assert kinds(store) == ["export", "export"], "a rehearsal moves nothing"
    mend(store, f"characters/{alice.id}.json", '"Alice"', '"Alicia"')
    assert call(tandem, "data", "repair", "--from", "json", "--dry-run").exit_code == 2
    assert call(tandem, "data", "import", "--merge").exit_code == 0
    mend(store, f"characters/{alice.id}.json", '"Alicia"', '"Alice"')
    assert call(tandem, "data", "repair", "--from", "json").exit_code == 0
    assert call(tandem, "data", "rollback").exit_code == 0
    assert kinds(store) == ["export", "export", "import", "repair", "rollback"]
    last = store.jobs.list(limit=1)[0]
    assert last.summary["generation"] == last.arguments["generation"]


def test_a_validation_keeps_what_it_was_about(tandem: Flask, store: Store) -> None:
    make_character(store)
    assert call(tandem, "data", "validate").exit_code == 0
    summary = store.jobs.list(limit=1)[0].summary
    assert (summary["folder"], isinstance(summary["change"], int)) == (str(store.settings.data_dir), True)
