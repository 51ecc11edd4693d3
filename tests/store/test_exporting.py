"""Export: everything of the nasty database is in a new generation, checked and switched to at once; a second one writes
nothing; what stands in the way is told, and the files in use stay as they are."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store import Store, open_store
from store.errors import JsonSideError, NotInStepError, StorageFullError
from store.exporting import export, roll_back
from store.files.generations import Generations
from store.files.system import System
from tests import homes, homes_derived, nasty
from tests.factories import (
    files_below,
    lay_database,
    make_character,
    make_chat,
    make_message,
    make_tag,
    open_test_store,
    put,
    settings_for,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path, backend="sql")
    yield opened
    opened.close()


@pytest.fixture
def small(store: Store) -> Store:
    """A few records in SQL, and nothing in the files."""
    make_character(store, tags=[make_tag(store).id])
    chat = make_chat(store)
    make_message(store, chat)
    return store


def everything_below(folder: Path) -> dict[str, bytes]:
    return files_below(folder) if folder.exists() else {}


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_every_column_of_every_row_is_exported(tmp_path: Path, request: pytest.FixtureRequest, dialect: str) -> None:
    if dialect == "sqlite":
        lay_database(tmp_path / "quilltap.sqlite")
        url = f"sqlite:///{tmp_path / 'quilltap.sqlite'}"
    else:
        url = request.getfixturevalue("postgres_url")
        open_test_store(tmp_path, url, "sql").close()
    nasty.fill(url, tmp_path / "public")
    tables = nasty.raw_rows(url)
    store = open_store(settings_for(tmp_path, url, encryption_master_pepper=nasty.PEPPER), follow=False)
    report = export(store)
    assert (report.problems, report.switched, report.exit_status) == ([], True, 0)
    assert {model: one["rows"] for model, one in report.models.items()} == {
        model: one["written"] for model, one in report.models.items()
    }
    refused = [one for one in report.warnings if one.startswith("Quilltap 1.3 would refuse")]
    assert (len(refused) > 3, report.models["Tag"]["warnings"] > 0) == (True, True), report.warnings
    files = files_below(tmp_path / "data")
    assert homes_derived.wrong(files, tables, files_below(tmp_path / "public")) == []
    folder = homes.Folder(files)
    assert [one for table, rows in tables.items() for row in rows for one in homes.untold(folder, table, row)] == []
    assert store.look().in_step
    again = export(store)
    assert (again.unchanged, again.written, again.generation, again.problems) == (True, 0, None, [])
    assert files_below(tmp_path / "data") == files
    store.close()


def test_a_generation_is_named_by_its_hash_and_can_be_verified(small: Store, tmp_path: Path) -> None:
    report = export(small)
    generations = Generations(small.side)
    (made, found) = generations.all()
    assert (made.name, made.current, made.counts["Message"]) == (report.generation, True, 1)
    assert (found.adopted, found.current) == (True, False)  # the empty folder that was there
    assert generations.verify(made.name) == []
    assert made.files == len(files_below(tmp_path / "data"))
    put(tmp_path / "data", "tags/tags.json", "{}")
    put(tmp_path / "data", "new.txt", "n")
    assert generations.verify(made.name) == ["tags/tags.json is not what was exported.", "new.txt was added."]
    assert b"".join(generations.zipped(made.name)).startswith(b"PK")


def test_a_folder_of_quilltaps_own_becomes_the_first_generation_and_loses_no_byte(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    make_character(store)
    put(tmp_path / "data", "notes.txt", "mine")
    put(tmp_path / "data", "plugins/a/b.bin", "theirs")
    before, inode = files_below(tmp_path / "data"), os.stat(tmp_path / "data/notes.txt").st_ino
    store.capture_off()  # so that the files do not follow
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE characters SET name = 'Changed'")
    report = export(store)
    assert report.switched
    adopted = tmp_path / "data.tandem/generations/gen-000000"
    assert files_below(adopted) == before
    assert os.stat(adopted / "notes.txt").st_ino == inode
    after = files_below(tmp_path / "data")
    assert (after["notes.txt"], after["plugins/a/b.bin"]) == (b"mine", b"theirs")
    assert {path for path in after if after[path] != before.get(path)} == {
        path for path in before if path.startswith("characters/")
    }
    make_tag(store)  # written into the new one only
    assert files_below(adopted) == before
    store.close()


@pytest.mark.parametrize("backend", ["sql", "dual"])
def test_also_of_files_that_hold_everything_already_the_first_export_makes_a_generation(
    tmp_path: Path, backend: str
) -> None:
    filled = open_test_store(tmp_path)
    make_message(filled, make_chat(filled))
    filled.close()
    before = files_below(tmp_path / "data")
    store = open_test_store(tmp_path, backend=backend)
    rehearsed = export(store, dry_run=True)
    assert (rehearsed.changes, "0 records would change" in rehearsed.as_text()) == ([], True)
    first = export(store)
    assert (first.switched, first.generation, first.written) == (True, "gen-000001", 0)
    assert (tmp_path / "data").is_symlink()
    made, found = Generations(store.side).all()
    assert (made.current, found.adopted) == (True, True)
    assert files_below(tmp_path / "data") == before
    assert files_below(Generations(store.side).folder / found.name) == before
    again = export(store)
    assert (again.unchanged, again.generation, again.written) == (True, None, 0)
    assert store.look().in_step
    roll_back(store, found.name)
    assert export(store).unchanged, "it holds just this"
    store.close()


def test_what_grows_in_place_is_no_second_name_of_the_old_file(small: Store, tmp_path: Path) -> None:
    export(small)
    chat = small.chats.find_all()[0]
    small.tags.update(small.tags.find_all()[0].id, {"name": "Ent"})
    report = export(small)
    (log,) = [path for path in files_below(tmp_path / "data") if path == f"chats/{chat.id}.jsonl"]
    new, old = (Generations(small.side).folder / name / log for name in (report.generation or "", "gen-000001"))
    assert new.read_bytes() == old.read_bytes()
    assert os.stat(new).st_ino != os.stat(old).st_ino


def test_a_dry_run_writes_nothing_and_names_every_record(small: Store, tmp_path: Path) -> None:
    export(small)
    tag = make_tag(small, name="New")
    small.chats.delete(small.chats.find_all()[0].id)
    before = everything_below(tmp_path / "data"), everything_below(tmp_path / "data.tandem")
    report = export(small, dry_run=True)
    assert (everything_below(tmp_path / "data"), everything_below(tmp_path / "data.tandem")) == before
    told = {(change.kind, change.what) for change in report.changes}
    assert ("tag", "added") in told
    assert ("chat", "removed") in told
    assert ("log", "removed") in told
    assert [change.id for change in report.changes if change.kind == "tag"] == [tag.id]
    assert (report.generation, report.switched) == (None, False)


def test_without_a_switch_it_waits_until_it_is_put_in_use(small: Store, tmp_path: Path) -> None:
    report = export(small, switch=False)
    assert (report.switched, files_below(tmp_path / "data")) == (False, {})
    roll_back(small, report.generation or "")
    assert files_below(tmp_path / "data") != {}


def test_an_earlier_generation_is_put_in_use_again(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    tag = make_tag(store, name="Old")
    assert export(store).switched
    assert store.step.in_step
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tags SET name = 'New', \"nameLower\" = 'new'")
    export(store)
    older = Generations(store.side).all()[-1].name
    step = roll_back(store, older)
    assert b'"Old"' in files_below(tmp_path / "data")["tags/tags.json"]
    assert not step.in_step, "nothing is written over either side now"
    assert store.tags.find_by_id(tag.id).name == "New"  # type: ignore[union-attr]
    export(store)
    assert store.step.in_step
    assert b'"New"' in files_below(tmp_path / "data")["tags/tags.json"]
    store.close()


def test_a_row_no_file_can_hold_is_told_stops_the_switch_and_no_neighbour(small: Store, tmp_path: Path) -> None:
    with small.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tags SET name = CAST(X'61ff' AS TEXT)")
    report = export(small)
    assert (report.switched, report.exit_status) == (False, 1)
    assert any(small.tags.find_all().problems[0].message[:20] in problem.message for problem in report.problems)
    assert files_below(tmp_path / "data") == {}
    assert "Not switched" in report.as_text()


def test_a_file_that_cannot_be_read_is_made_anew_and_kept_where_it_was(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    make_tag(store)
    chat = make_chat(store)
    make_message(store, chat)
    store.catch_up()
    for path in ("tags/tags.json", f"chats/{chat.id}.jsonl"):
        put(tmp_path / "data", path, b"{ torn\n{}\n")
    report = export(store)
    assert report.switched, report.as_text()
    assert len(report.warnings) == 2
    assert files_below(tmp_path / "data.tandem/generations/gen-000000")["tags/tags.json"] == b"{ torn\n{}\n"
    assert b"Elf" in files_below(tmp_path / "data")["tags/tags.json"]
    store.close()


# ------------------------------------------------------------------ what stands in the way, told beforehand too
ORPHAN = """INSERT INTO messages (id, "chatId", role, content, "createdAt")
VALUES ('bbbbbbbb-1111-4111-8111-999999999999', 'no-such-chat', 'USER', 'hi', '2025-01-01 00:00:00.000000')"""


def a_message_without_its_chat(store: Store, data: Path) -> str:
    with contextlib.closing(sqlite3.connect(store.database.engine.url.database or "")) as connection:
        connection.execute(ORPHAN)  # another program's connection, which watches no links
        connection.commit()
    return "2 rows of Message are in the database, and 1 "


def a_backup_beside_a_character(store: Store, data: Path) -> str:
    path = next((data / "characters").glob("*.json"))
    (data / "characters" / f"{path.name}.bak").write_bytes(path.read_bytes())
    return f"characters/{path.name}.bak is in the way of the export: "


def a_character_among_personas(store: Store, data: Path) -> str:
    path = next((data / "characters").glob("*.json"))
    put(data, "personas/copy.json", path.read_bytes())
    return "personas/copy.json is in the way of the export: "


def a_line_that_is_no_record(store: Store, data: Path) -> str:
    put(data, "auth/sessions.jsonl", "{ torn\n{}\n")
    return "auth/sessions.jsonl, line 1, is in the way of the export: "


@pytest.mark.parametrize("changed", [False, True], ids=["nothing else", "and a change"])
@pytest.mark.parametrize(
    "trouble",
    [
        a_message_without_its_chat,
        a_backup_beside_a_character,
        a_character_among_personas,
        a_line_that_is_no_record,
    ],
)
def test_what_stands_in_the_way_is_named_and_a_dry_run_says_the_same(
    small: Store, tmp_path: Path, trouble: Callable[[Store, Path], str], changed: bool
) -> None:
    assert export(small).switched
    expected = trouble(small, tmp_path / "data")
    if changed:
        make_tag(small, name="New")
        small.tags.update(small.tags.find_all()[0].id, {"name": "Other"})
        small.characters.update(small.characters.find_all()[0].id, {"name": "Other"})
        make_message(small, small.chats.find_all()[0] if "Message" not in expected else make_chat(small))
        expected = expected.replace("2 rows", "3 rows").replace("and 1 ", "and 2 ")
    before = everything_below(tmp_path / "data.tandem")
    rehearsed = export(small, dry_run=True)
    assert everything_below(tmp_path / "data.tandem") == before
    real = export(small)
    assert (rehearsed.exit_status, real.exit_status, real.switched) == (1, 1, False), real.as_text()
    assert [one for one in real.problems if one.message.startswith(expected)], real.as_text()
    assert [_as_done(one.sentence) for one in rehearsed.problems] == [one.sentence for one in real.problems]
    assert [_as_done(one) for one in rehearsed.warnings] == real.warnings
    assert rehearsed.as_text().find("would not switch") > 0
    if "is in the way" in expected:
        assert any(f"move it out of {tmp_path / 'data'}" in one.hint for one in real.problems)
        assert not any("0 rows differ" in one.message for one in real.problems)


def _as_done(sentence: str) -> str:
    return sentence.replace("would be", "were").replace("would not", "do not")


def test_of_very_many_files_in_the_way_some_are_named(small: Store, tmp_path: Path) -> None:
    export(small)
    for number in range(25):
        put(tmp_path / "data", f"characters/{number}.bak", "b")
    report = export(small)
    assert len(report.problems) == 21
    assert report.problems[-1].message == "So are 5 more files."


@pytest.mark.parametrize("backend", ["sql", "dual"])
def test_a_dry_run_finds_nothing_in_the_way_of_what_can_be_exported(tmp_path: Path, backend: str) -> None:
    lay_database(tmp_path / "quilltap.sqlite")
    url = f"sqlite:///{tmp_path / 'quilltap.sqlite'}"
    nasty.fill(url, tmp_path / "public")
    store = open_store(settings_for(tmp_path, url, encryption_master_pepper=nasty.PEPPER, backend="sql"), follow=False)
    for _ in range(2):
        rehearsed, real = export(store, dry_run=True), export(store)
        assert (rehearsed.problems, real.problems) == ([], []), rehearsed.as_text()
        assert [_as_done(one) for one in rehearsed.warnings] == real.warnings
        assert (rehearsed.files, rehearsed.bytes, rehearsed.written) == (real.files, real.bytes, real.written)
        if backend == "dual":  # every file is another, and some go
            for path in sorted((tmp_path / "data").rglob("*.json*"))[::2]:
                path.write_bytes(b"")
    store.close()


class Small(System):
    """A disk with little room."""

    def free_space(self, folder: Path) -> int:
        return 10_000


def test_a_disk_without_room_is_told_before_anything_is_written(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql", system=Small())
    make_tag(store)
    with pytest.raises(StorageFullError, match="free"):
        export(store)
    assert everything_below(tmp_path / "data") == {}
    store.close()


def test_where_the_files_count_there_is_nothing_to_export(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="json")
    with pytest.raises(NotInStepError, match="DATA_BACKEND=json"):
        export(store)
    store.close()


class Mounted(System):
    """A disk that lets no two names change places."""

    def exchange(self, one: Path, other: Path) -> None:
        raise OSError(16, "busy", str(other))


def test_a_folder_that_is_a_mount_is_told_with_what_to_do(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql", system=Mounted())
    make_tag(store)
    put(tmp_path / "data", "notes.txt", "mine")
    with pytest.raises(JsonSideError, match="mount"):
        export(store)
    assert files_below(tmp_path / "data") == {"notes.txt": b"mine"}
    store.close()


def test_old_generations_are_taken_away_but_never_what_is_in_use_or_was_found(small: Store) -> None:
    for name in "abcd":
        small.tags.update(small.tags.find_all()[0].id, {"name": name})
        assert export(small).switched
    generations = Generations(small.side)
    assert [one.name for one in generations.all()] == [f"gen-{number:06d}" for number in (4, 3, 2, 1, 0)]
    assert generations.prune(keep=2) == ["gen-000002", "gen-000001"]
    assert [one.name for one in generations.all()] == ["gen-000004", "gen-000003", "gen-000000"]
