"""The way back: JSON to SQL with every id, date and link; and repair of what differs, from either side."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store, codec, open_store
from store.errors import NotInStepError
from store.exporting import export
from store.importing import import_json, plan_import
from store.keeping import NAME
from store.repair_plan import plan_repair
from store.repairing import repair
from store.validation import validate_all_data
from tests import nasty
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    lay_database,
    make_character,
    make_chat,
    make_message,
    make_session,
    make_tag,
    open_test_store,
    put,
    settings_for,
    with_driver,
)

pytestmark = pytest.mark.slow


def fresh_url(request: pytest.FixtureRequest, dialect: str, folder: Path, name: str) -> str:
    """A database with every table and no row."""
    if dialect == "sqlite":
        lay_database(folder / f"{name}.sqlite")
        return f"sqlite:///{folder / f'{name}.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    return with_driver(server.url(server.create(request.getfixturevalue("postgres_template"))))


@pytest.mark.parametrize("dialect", ["sqlite", "postgresql"])
def test_exported_and_imported_into_an_empty_database_every_table_is_the_same(
    tmp_path: Path, request: pytest.FixtureRequest, dialect: str
) -> None:
    source = fresh_url(request, dialect, tmp_path, "first")
    nasty.fill(source, tmp_path / "public")
    first = open_store(settings_for(tmp_path, source, encryption_master_pepper=nasty.PEPPER), follow=False)
    assert export(first).switched
    rows = nasty.raw_rows(source)
    first.close()
    url = fresh_url(request, dialect, tmp_path, "second")
    second = open_store(settings_for(tmp_path, url, encryption_master_pepper=nasty.PEPPER), follow=False)
    plan = import_json(second)
    assert plan.problems == []
    assert nasty.raw_rows(url) == rows
    assert second.step.in_step
    report = validate_all_data(second)
    assert (report.exit_status, report.checked > 500) == (0, True)
    assert plan_import(second, merge=True).inserts == plan_import(second, merge=True).updates == []
    second.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_test_store(tmp_path)
    yield opened
    opened.close()


def test_into_a_database_with_records_only_as_a_merge_with_its_plan(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    elf, alice = make_tag(store, name="Elf"), make_character(store)
    store.close()
    lay_database(tmp_path / "second.sqlite")
    other = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'second.sqlite'}", "sql")
    own = make_tag(other, name="Own")
    with pytest.raises(NotInStepError, match="holds records"):
        import_json(other)
    plan = plan_import(other, merge=True)
    assert {("tag", elf.id), ("character", alice.id)} <= set(plan.inserts)
    assert plan.only_sql == {"user": 1, "tag": 1}
    assert "Only in the database" in plan.as_text()
    assert other.tags.find_by_id(elf.id) is None, "a plan writes nothing"
    assert import_json(other, merge=True).problems == []
    assert {tag.name for tag in other.tags.find_all()} == {"Elf", "Own"}
    assert other.tags.find_by_id(own.id) == own
    other.close()


def test_what_the_database_does_not_take_is_told_and_stops_no_other(tmp_path: Path) -> None:
    store = open_test_store(tmp_path)
    make_tag(store, name="Elf")
    alice = make_character(store)
    store.close()
    path = tmp_path / "data" / f"characters/{alice.id}.json"
    path.write_text(path.read_text().replace(alice.userId, "00000000-0000-4000-8000-00000000dead"))
    lay_database(tmp_path / "second.sqlite")
    other = open_test_store(tmp_path, f"sqlite:///{tmp_path / 'second.sqlite'}", "sql")
    plan = import_json(other)
    assert [alice.id in problem.message for problem in plan.problems] == [True]
    assert plan.exit_status == 1
    assert [tag.name for tag in other.tags.find_all()] == ["Elf"]
    other.close()


# ------------------------------------------------------------------ repair
def damaged(store: Store) -> dict[str, str]:
    """A character that differs, one that is gone, one too many; a message that differs, a tag file that is torn."""
    tag = make_tag(store)
    alice, bob, chat = (
        make_character(store, name="Alice", tags=[tag.id]),
        make_character(store, name="Bob"),
        make_chat(store),
    )
    hello = make_message(store, chat, "Hello.")
    store.catch_up()
    data = store.settings.data_dir
    path = data / f"characters/{alice.id}.json"
    path.write_text(path.read_text().replace('"Alice"', '"Alicia"'))
    extra = "00000000-0000-4000-8000-00000000beef"
    put(data, f"characters/{extra}.json", (data / f"characters/{bob.id}.json").read_text().replace(bob.id, extra))
    (data / f"characters/{bob.id}.json").unlink()
    put(data, f"chats/{chat.id}.jsonl", "")
    return {"alice": alice.id, "bob": bob.id, "extra": extra, "chat": chat.id, "hello": hello.id, "tag": tag.id}


def test_from_sql_the_files_become_what_the_database_says(store: Store) -> None:
    ids = damaged(store)
    put(store.settings.data_dir, "tags/tags.json", "{ torn")
    report = validate_all_data(store)
    assert report.exit_status & 6 == 6
    plan = plan_repair(report.affected, "sql", store)
    actions = {(step.kind, step.id): step.action for step in plan.steps}
    assert actions["character", ids["alice"]] == "write"
    assert actions["character", ids["bob"]] == "write"
    assert actions["character", ids["extra"]] == "delete"
    assert "set aside" in actions.values()
    assert "JSON side" in plan.as_text()
    assert repair(store, plan).exit_status == 0
    assert_everything_is_equal(store)
    assert store.characters.find_by_id(ids["alice"]).name == "Alice"  # type: ignore[union-attr]
    aside = {path.rpartition("/")[2]: data for path, data in files_below(store.side.own_dir / "quarantine").items()}
    assert aside["tags.json"] == b"{ torn"
    assert b"Bob" in aside[f"{ids['extra']}.json"]


def test_from_json_the_database_becomes_what_the_files_say(store: Store) -> None:
    ids = damaged(store)
    report = validate_all_data(store)
    plan = plan_repair(report.affected, "json", store)
    assert ("character", ids["bob"], "delete") in {(step.kind, step.id, step.action) for step in plan.steps}
    assert repair(store, plan).exit_status == 0
    assert_everything_is_equal(store)
    assert store.characters.find_by_id(ids["alice"]).name == "Alicia"  # type: ignore[union-attr]
    assert store.characters.find_by_id(ids["bob"]) is None
    assert store.characters.find_by_id(ids["extra"]) is not None
    assert store.chats.get_message_count(ids["chat"]) == 0


def test_what_cannot_be_read_cannot_be_repaired_from_there(store: Store) -> None:
    make_tag(store)
    put(store.settings.data_dir, "tags/tags.json", "{ torn")
    report = validate_all_data(store)
    plan = plan_repair(report.affected, "json", store)
    assert plan.steps == []
    assert "mend the file" in plan.left[0]


def test_a_conflict_of_json_mode_is_repaired_either_way(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="json")
    elf, ent = make_tag(store, name="Elf"), make_tag(store, name="Ent")
    store.catch_up()
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE tags SET name = name || '!', \"nameLower\" = \"nameLower\" || '!'")
    store.tags.update(elf.id, {"name": "Elves"})
    store.tags.update(ent.id, {"name": "Ents"})
    store.catch_up()
    assert len(store.problems()) == 2
    repair(store, plan_repair([("tag", elf.id)], "json", store))
    repair(store, plan_repair([("tag", ent.id)], "sql", store))
    store.catch_up()
    assert store.problems() == []
    assert {tag.name for tag in store.tags.find_all()} == {"Elves", "Ent!"}
    assert validate_all_data(store).exit_status == 0
    store.close()


@pytest.mark.parametrize("backend", ["json", "dual"])
def test_the_neighbours_of_a_record_that_cannot_be_read_stay_where_the_files_count_too(
    tmp_path: Path, backend: str
) -> None:
    store = open_test_store(tmp_path, backend=backend)
    elf, ent, orc = (make_tag(store, name=name) for name in ("Elf", "Ent", "Orc"))
    alice = make_character(store, tags=[elf.id, ent.id, orc.id])
    chat = make_chat(store, characterId=alice.id)
    make_message(store, chat)
    store.catch_up()
    before = files_below(tmp_path / "data")
    path = tmp_path / "data" / "tags/tags.json"
    for damaged in (before["tags/tags.json"].replace(b'"name": "Ent"', b'"name": 7'), b"{ torn"):
        path.write_bytes(damaged)
        put(tmp_path / "data", f"chats/{chat.id}.jsonl", b"{ torn\n{}\n")
        put(tmp_path / "data", "characters/nobody.json", b"{ torn")
        assert validate_all_data(store).exit_status & 4
        report = repair(store, plan_repair(validate_all_data(store).affected, "sql", store))
        assert report.exit_status == 0, report.as_text()
        assert files_below(tmp_path / "data") == before
        assert {tag.name for tag in store.tags.find_all()} == {"Elf", "Ent", "Orc"}
        with store.database.read() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM character_tags").scalar() == 3
            assert connection.exec_driver_sql("SELECT count(*) FROM messages").scalar() == 1
        assert damaged in files_below(store.side.own_dir / "quarantine").values()
    store.close()


def test_a_line_that_is_nobodys_is_set_aside_with_its_file(store: Store) -> None:
    make_session(store)
    store.catch_up()
    path = store.settings.data_dir / "auth/sessions.jsonl"
    before = path.read_bytes()
    path.write_bytes(before + b"no session\n")
    report = validate_all_data(store)
    assert report.exit_status == 4
    assert plan_repair(report.affected, "json", store).steps == []
    plan = plan_repair(report.affected, "sql", store)
    assert [(step.kind, step.id, step.action) for step in plan.steps] == [("file", "auth/sessions.jsonl", "set aside")]
    assert "the file auth/sessions.jsonl" in plan.as_text()
    assert (repair(store, plan).exit_status, path.read_bytes()) == (0, before)
    assert before + b"no session\n" in files_below(store.side.own_dir / "quarantine").values()


def test_a_record_that_the_database_does_not_take_stops_no_other(store: Store) -> None:
    alice, bob = make_character(store, name="Alice"), make_character(store, name="Bob")
    store.catch_up()
    for one, old, new in ((alice, alice.userId, "00000000-0000-4000-8000-00000000dead"), (bob, '"Bob"', '"Rob"')):
        path = store.settings.data_dir / f"characters/{one.id}.json"
        path.write_text(path.read_text().replace(old, new))
    report = repair(store, plan_repair(validate_all_data(store).affected, "json", store))
    assert report.exit_status == 2 | 8
    assert alice.id in report.notes[0]
    assert store.characters.find_by_id(bob.id).name == "Rob"  # type: ignore[union-attr]
    assert "dead" in (store.settings.data_dir / f"characters/{alice.id}.json").read_text(), "it is not written over"


@pytest.mark.parametrize("way", ["import", "repair"])
def test_a_file_that_changed_but_looks_as_it_did_is_read(store: Store, way: str) -> None:
    alice = make_character(store, name="Alice")
    path = store.settings.data_dir / f"characters/{alice.id}.json"
    os.utime(path, ns=(10**18, 10**18))
    store.index.refresh(full=True)
    with open(path, "r+b") as file:
        data = file.read()
        file.seek(data.index(b"Alice"))
        file.write(b"Alixx")
    os.utime(path, ns=(10**18, 10**18))
    if way == "import":
        assert import_json(store, merge=True).updates == [("character", alice.id)]
    else:
        assert repair(store, plan_repair([("character", alice.id)], "json", store)).exit_status == 0
    assert store.characters.find_by_id(alice.id).name == "Alixx"
    assert b"Alixx" in path.read_bytes()
    (kept,) = (store.side.own_dir / "quarantine").glob(f"*/{NAME}")
    (line,) = kept.read_bytes().splitlines()
    told = codec.loads(line)
    assert (told["kind"], told["id"], told["rows"]["characters"][0]["name"]) == ("character", alice.id, "Alice")


def test_what_the_database_refuses_is_not_counted_as_imported(store: Store) -> None:
    alice, bob = make_character(store, name="Alice"), make_character(store, name="Bob")
    nobody = "00000000-0000-4000-8000-00000000dead"
    for one in (alice, bob):
        path = store.settings.data_dir / f"characters/{one.id}.json"
        there = path.read_bytes().replace(b'"name": "', b'"name": "Dr ')
        path.write_bytes(there.replace(alice.userId.encode(), nobody.encode()) if one is bob else there)
    plan = import_json(store, merge=True)
    assert (plan.updates, len(plan.problems)) == ([("character", alice.id)], 1)
    assert "0 new, 1 changed" in plan.as_text()
