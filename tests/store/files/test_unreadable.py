"""Unreadable is not empty: what cannot be parsed is never taken for missing or written over, and hides no neighbour."""

from pathlib import Path

import orjson
import pytest

from store import Store
from store.errors import InvalidRecordError, StoreError, UnreadableError
from tests.factories import (
    files_below,
    make_character,
    make_persona,
    make_tag,
    make_user,
    put,
)
from tests.store.files.conftest import Opener

BOM = b"\xef\xbb\xbf"


@pytest.fixture(params=["json", "dual"])
def store(request: pytest.FixtureRequest, opener: Opener) -> Store:
    opened = opener(request.param)
    make_user(opened, createdAt="2025-01-01T00:00:00.000Z")
    return opened


def refused(store: Store, write: object, *args: object, match: str = "") -> UnreadableError:
    """The refusal of a write by its files: raised in ``json``, told by the result in ``dual``, where SQL holds it."""
    if store.settings.data_backend == "json":
        with pytest.raises(UnreadableError, match=match or None) as raised:
            write(*args)  # type: ignore[operator]
        error: StoreError = raised.value
    else:
        sources = write(*args).sources  # type: ignore[operator]
        assert (sources.sql, sources.json, sources.consistent) == (True, False, False)
        error = sources.error
    assert isinstance(error, UnreadableError)
    assert match in error.message
    assert error.hint
    assert error in store.problems() or error.message in [one.message for one in store.problems()]
    return error


def tag_fields(store: Store, name: str) -> dict[str, object]:
    return {"userId": store.users.find_all()[0].id, "name": name}


TORN = {
    "cut short": lambda data: data[: len(data) // 2],
    "of zero bytes": lambda data: b"",
    "no list": lambda data: b'{"version": 1, "tags": {"a": 1}}',
    "no object": lambda data: b"[]",
    "with NaN": lambda data: data.replace(b'"version": 1', b'"version": NaN'),
    "with a byte order mark": lambda data: BOM + data,
    "in UTF-16": lambda data: data.decode().encode("utf-16"),
    "zeros after a power cut": lambda data: b"\0" * len(data),
}


@pytest.mark.parametrize("how", TORN)
def test_a_torn_tags_file_is_not_written_over(store: Store, data: Path, how: str) -> None:
    for name in ("Elf", "Fox"):
        make_tag(store, name=name)
    put(data, "tags/tags.json", TORN[how]((data / "tags/tags.json").read_bytes()))
    files = files_below(data)
    error = refused(store, store.tags.create, tag_fields(store, "New"), match="tags/tags.json")
    assert error.path == "tags/tags.json"
    assert files_below(data) == files
    assert make_character(store, name="Alice").name == "Alice"  # whose files have nothing to do with it


def test_a_torn_tags_file_is_told_and_its_records_are_not_missing(opener: Opener, data: Path) -> None:
    store = opener("json")
    tag = make_tag(store)
    put(data, "tags/tags.json", b'{"tags": [')
    assert list(store.tags.find_all()) == []
    assert len(store.tags.find_all().problems) == 1
    for question in (store.tags.find_by_id, store.tags.delete):
        with pytest.raises(UnreadableError, match=r"tags/tags\.json"):
            question(tag.id)
    with pytest.raises(UnreadableError):
        store.tags.update(tag.id, {"name": "x"})


def test_a_torn_file_is_asked_about_first_thing_after_a_start(opener: Opener, data: Path) -> None:
    first = opener("json")
    alice = make_character(first)
    put(data, f"characters/{alice.id}.json", b"{")
    for question in ("delete", "find_by_id"):
        with pytest.raises(UnreadableError, match=alice.id):
            getattr(opener("json").characters, question)(alice.id)
    assert (data / f"characters/{alice.id}.json").read_bytes() == b"{"


def test_a_mended_tags_file_is_used_again(store: Store, data: Path) -> None:
    elf = make_tag(store, name="Elf")
    whole = put(data, "tags/tags.json", (data / "tags/tags.json").read_bytes()).read_bytes()
    put(data, "tags/tags.json", whole[:-5])
    refused(store, store.tags.create, tag_fields(store, "New"))
    put(data, "tags/tags.json", whole)
    make_tag(store, name="After")
    names = {tag.name for tag in store.tags.find_all()}
    assert {"Elf", "After"} <= names
    assert store.problems() == []
    assert store.pending() == 0
    assert store.tags.find_by_id(elf.id) == elf


def test_one_bad_tag_stays_in_the_file_and_its_neighbours_are_usable(store: Store, data: Path) -> None:
    elf, fox = make_tag(store, name="Elf"), make_tag(store, name="Fox")
    path = data / "tags/tags.json"
    bad = path.read_bytes().replace(b'"nameLower": "fox"', b'"nameLower": 5')
    path.write_bytes(bad)
    assert store.tags.update(elf.id, {"name": "Ent"}).sources.consistent
    assert store.tags.create(tag_fields(store, "New")).sources.consistent
    text = path.read_text()
    assert '"name": "Ent"' in text
    assert '"name": "New"' in text
    assert '"nameLower": 5' in text
    error = refused(store, store.tags.update, fox.id, {"name": "Vixen"}, match=fox.id)
    assert "nameLower" in error.message
    assert '"nameLower": 5' in path.read_text()
    assert "Vixen" not in path.read_text()


@pytest.mark.parametrize("junk", ["5", "null", '"text"', "[]", "{}", '{"id": 7}', '{"id": "x", "name": "no owner"}'])
def test_what_is_no_tag_at_all_stays_in_the_file(store: Store, data: Path, junk: str) -> None:
    make_tag(store, name="Elf")
    path = data / "tags/tags.json"
    path.write_text(path.read_text().replace('"tags": [', f'"tags": [{junk},'))
    assert store.tags.create(tag_fields(store, "New")).sources.consistent
    assert "".join(junk.split()) in "".join(path.read_text().split())
    names = {entry.document.name for entry in store.side.entries("tag") if not isinstance(entry, Exception)}
    assert names == {"Elf", "New"}


def test_two_tags_with_one_id_both_stay_in_the_file(store: Store, data: Path) -> None:
    make_tag(store, id="cccccccc-0000-4000-8000-00000000000e", name="Elf")
    path = data / "tags/tags.json"
    start = path.read_text().index("    {")
    end = path.read_text().index("    }") + len("    }")
    twin = path.read_text()[start:end].replace("Elf", "Twin").replace("elf", "twin")
    path.write_text(path.read_text()[:end] + ",\n" + twin + path.read_text()[end:])
    store.tags.create(tag_fields(store, "New"))
    assert all(f'"name": "{name}"' in path.read_text() for name in ("Elf", "Twin", "New"))


def test_a_bad_line_beside_the_tags_stays_and_its_neighbours_are_usable(store: Store, data: Path) -> None:
    make_tag(store, id="theme-1", name="Odd")
    path = data / "extras/tags.jsonl"
    line = path.read_bytes()
    path.write_bytes(b'{"torn": \n' + line + b'{"id": "theme-9", "name": 5}\n')
    assert store.tags.update("theme-1", {"name": "Odder"}).sources.consistent
    make_tag(store, id="theme-2", name="New")
    lines = path.read_bytes().splitlines()
    assert b'{"torn": ' in lines
    assert b'{"id": "theme-9", "name": 5}' in lines
    assert len(lines) == 4
    refused(store, store.tags.create, {**tag_fields(store, "Nine"), "id": "theme-9"}, match="extras/tags.jsonl, line")
    assert path.read_bytes().splitlines() == lines
    if store.settings.data_backend == "json":
        problems = [problem.message for problem in store.tags.find_all().problems]
        assert len(problems) == 2
        assert any("line 3" in one for one in problems)


def test_an_unreadable_character_is_left_alone_and_others_are_fine(store: Store, data: Path) -> None:
    alice, eve = make_character(store, name="Alice"), make_character(store, name="Eve")
    path = data / f"characters/{alice.id}.json"
    path.write_bytes(path.read_bytes()[:-20])
    torn = path.read_bytes()
    refused(store, store.characters.update, alice.id, {"name": "Alicia"}, match=alice.id)
    assert path.read_bytes() == torn
    assert store.characters.update(eve.id, {"name": "Eva"}).sources.consistent
    assert make_character(store, name="Third") in store.characters.find_all()


def test_a_character_in_the_wrong_file_is_told(opener: Opener, data: Path) -> None:
    store = opener("json")
    alice = make_character(store)
    put(data, "characters/copy.json", (data / f"characters/{alice.id}.json").read_bytes())
    found = store.characters.find_all()
    assert list(found) == [alice]
    assert "copy" in found.problems[0].message
    assert store.characters.update(alice.id, {"name": "Alicia"}).value.name == "Alicia"
    assert b"Alicia" not in (data / "characters/copy.json").read_bytes()


def test_an_unreadable_persona_does_not_lose_its_link(store: Store, data: Path) -> None:
    persona, alice = make_persona(store), make_character(store)
    store.characters.add_persona(alice.id, persona.id)
    path = data / f"personas/{persona.id}.json"
    path.write_bytes(b"{")
    assert [link.personaId for link in store.characters.find_by_id(alice.id).personaLinks] == [persona.id]
    store.characters.update(alice.id, {"name": "Alicia"})
    assert path.read_bytes() == b"{"
    assert persona.id.encode() in (data / f"characters/{alice.id}.json").read_bytes()


def test_an_unreadable_first_user_is_not_replaced_by_the_next(store: Store, data: Path) -> None:
    second = make_user(store, name="Bob", createdAt="2025-06-01T00:00:00.000Z")
    put(data, "settings/general.json", b'{"version": 1, "user": null')
    files = files_below(data)
    refused(store, store.users.create, {"email": "new@example.org"}, match="settings/general.json")
    refused(store, store.users.update, second.id, {"name": "Robert"}, match="settings/general.json")
    assert files_below(data) == files


def test_who_the_first_user_is_cannot_be_told_from_a_torn_file(opener: Opener, data: Path) -> None:
    store = opener("json")
    make_user(store, createdAt="2025-01-01T00:00:00.000Z")
    second = make_user(store, name="Bob", createdAt="2025-06-01T00:00:00.000Z")
    put(data, "settings/general.json", b"")
    with pytest.raises(UnreadableError, match=r"settings/general\.json"):
        store.users.get_current_user()
    assert store.users.find_by_id(second.id) == second


def test_an_unreadable_second_user_hinders_no_other(store: Store, data: Path) -> None:
    first = store.users.find_all()[0]
    second = make_user(store, name="Bob", createdAt="2025-06-01T00:00:00.000Z")
    path = put(data, f"settings/users/{second.id}.json", b"{}")
    assert store.users.update(first.id, {"name": "Ada L"}).sources.consistent
    make_user(store, name="Third")
    refused(store, store.users.update, second.id, {"name": "Robert"}, match=second.id)
    assert path.read_bytes() == b"{}"


RAW = [
    {"nonsense": 1},
    {"totpSecret": {"a": 1}},
    {"totpVerifiedAt": "yesterday"},
    {"totpEnabled": "yes"},
    {"id": "somebody else"},
    {"totpSecretIv": 2**70},
]


@pytest.mark.parametrize("raw", RAW, ids=str)
def test_a_user_with_impossible_raw_values_hides_no_neighbour(
    opener: Opener, data: Path, raw: dict[str, object]
) -> None:
    store = opener("json")
    first = make_user(store, createdAt="2025-01-01T00:00:00.000Z")
    second = make_user(store, name="Bob", createdAt="2025-06-01T00:00:00.000Z")
    path = data / f"settings/users/{second.id}.json"
    record = orjson.loads(path.read_bytes())
    record["user"]["extras"]["raw"] = {key: str(value) if value == 2**70 else value for key, value in raw.items()}
    text = orjson.dumps(record, option=orjson.OPT_INDENT_2).replace(f'"{2**70}"'.encode(), str(2**70).encode())
    path.write_bytes(text)
    found = store.users.find_all()
    assert list(found) == [first]
    assert second.id in found.problems[0].message
    assert path.read_bytes() == text


def test_a_record_sql_cannot_give_to_a_file_waits_and_hinders_no_other(opener: Opener) -> None:
    store = opener("dual")
    alice, eve = make_character(store, name="Alice"), make_character(store, name="Eve")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE characters SET title = 'a' || char(0) WHERE id = '{alice.id}'")
    assert store.characters.update(eve.id, {"name": "Eva"}).sources.consistent
    assert store.pending() == 1
    assert store.pending("character", alice.id) == 1
    (problem,) = store.problems()
    assert isinstance(problem, InvalidRecordError)
    assert alice.id in problem.message
    assert "title" in problem.problems
    assert store.compare("character", alice.id).state == "pending"
    store.characters.update(alice.id, {"title": "Dr"})
    assert store.pending() == 0
    assert store.problems() == []
    assert store.compare("character", alice.id).state == "equal"


def test_a_folder_where_a_file_should_be_is_no_missing_file(opener: Opener, data: Path) -> None:
    store = opener("dual")
    alice = make_character(store)
    (data / f"characters/{alice.id}.json").unlink()
    (data / f"characters/{alice.id}.json").mkdir()
    refused(store, store.characters.update, alice.id, {"name": "x"}, match=alice.id)
    assert make_character(store, name="Eve") in store.characters.find_all()
