"""In json mode the files are the truth, whoever wrote them: changes are noticed, later keys kept."""

import os
import time
from pathlib import Path

import orjson
import pytest

from store import Store
from store.repositories.contract import Query
from tests.factories import (
    assert_quilltap_reads,
    files_below,
    make_character,
    make_chat,
    make_message,
    make_persona,
    make_tag,
    make_user,
    put,
)
from tests.store.files.conftest import Opener


def file_of(data: Path, record_id: str) -> Path:
    return data / f"characters/{record_id}.json"


def replace_whole(path: Path, old: bytes, new: bytes) -> None:
    """As Quilltap writes: another file under the same name."""
    other = path.with_name(f"{path.name}.tmp.0123abcd")
    other.write_bytes(path.read_bytes().replace(old, new))
    os.replace(other, path)


def edit_in_place(path: Path, old: bytes, new: bytes) -> None:
    """The same inode and the same length: only the time tells."""
    assert len(old) == len(new)
    with open(path, "r+b") as file:
        text = file.read()
        file.seek(0)
        file.write(text.replace(old, new))


@pytest.mark.parametrize("change", [replace_whole, edit_in_place])
def test_a_changed_file_is_seen_at_once(opener: Opener, data: Path, change: object) -> None:
    store = opener()
    alice = make_character(store, name="Alice")
    for name in ("Alixx", "Alizz"):  # twice: the second within the same tick of the clock
        change(file_of(data, alice.id), store.characters.find_by_id(alice.id).name.encode(), name.encode())  # type: ignore[operator]
        assert store.characters.find_by_id(alice.id).name == name
    assert store.characters.update(alice.id, {"title": "Dr"}).value.name == "Alizz"


def test_a_message_edited_in_place_is_seen_at_once(opener: Opener, data: Path) -> None:
    store = opener()
    chat = make_chat(store)
    message = make_message(store, chat, "Hello.")
    time.sleep(0.2)  # the folder has settled
    assert store.chats.find_message(message.id) == (chat.id, message)
    edit_in_place(data / f"chats/{chat.id}.jsonl", b"Hello.", b"Jello.")  # and its checksum is wrong now
    assert store.chats.find_message(message.id) is None
    assert "checksum" in store.chats.get_messages(chat.id).problems[0].message


def test_a_replaced_new_or_removed_file_is_seen_in_lists_at_once(opener: Opener, data: Path) -> None:
    store = opener()
    alice, eve = make_character(store, name="Alice"), make_character(store, name="Eve")

    def names() -> list[str]:
        assert store.characters.count(Query()) == len(store.characters.find_all())
        return [row["name"] for row in store.characters.list(Query()).rows]

    assert names() == ["Alice", "Eve"]
    replace_whole(file_of(data, alice.id), b"Alice", b"Alicia")
    assert names() == ["Alicia", "Eve"]
    copy = file_of(data, eve.id).read_bytes().replace(eve.id.encode(), b"eve-2").replace(b"Eve", b"Eve 2")
    put(data, "characters/eve-2.json", copy)
    assert names() == ["Alicia", "Eve", "Eve 2"]
    file_of(data, eve.id).unlink()
    assert names() == ["Alicia", "Eve 2"]
    assert store.characters.find_by_id(eve.id) is None


@pytest.mark.slow
def test_a_file_edited_in_place_is_seen_in_lists_within_seconds(opener: Opener, data: Path) -> None:
    store = opener()
    alice = make_character(store, name="Alice")
    time.sleep(0.2)  # the folder has settled
    assert len(store.characters.find_all()) == 1
    edit_in_place(file_of(data, alice.id), b"Alice", b"Alixx")
    deadline = time.monotonic() + 10
    while [one.name for one in store.characters.find_all()] != ["Alixx"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_two_stores_on_one_folder_never_serve_stale_data(opener: Opener) -> None:
    """Quilltap's cache never looked at the file: its next write took the other's change back."""
    one, two = opener(), opener()
    elf = make_tag(one, name="Elf")
    assert two.tags.find_by_id(elf.id) == elf
    two.tags.update(elf.id, {"name": "Ent"})
    fox = make_tag(one, name="Fox")
    assert {tag.name for tag in two.tags.find_all()} == {"Ent", "Fox"} == {tag.name for tag in one.tags.find_all()}
    one.tags.delete(elf.id)
    assert list(two.tags.find_all()) == [fox]
    assert two.tags.find_by_id(elf.id) is None


def test_a_removed_persona_file_leaves_the_link_as_it_is(opener: Opener, data: Path) -> None:
    """A file may name what is not there; it is read, and rewritten, with what it names."""
    store = opener()
    persona = make_persona(store)
    alice = make_character(store, personaLinks=[{"personaId": persona.id}])
    (data / f"personas/{persona.id}.json").unlink()
    assert [link.personaId for link in store.characters.find_by_id(alice.id).personaLinks] == [persona.id]
    changed = store.characters.update(alice.id, {"title": "Dr"}).value
    assert [link.personaId for link in changed.personaLinks] == [persona.id]


def test_a_record_quilltap_rewrote_loses_its_extras_and_is_read(opener: Opener, data: Path) -> None:
    store = opener()
    tag = make_tag(store)
    alice = make_character(store, tags=[tag.id])
    record = orjson.loads(file_of(data, alice.id).read_bytes())
    del record["extras"]
    put(data, f"characters/{alice.id}.json", orjson.dumps(record, option=orjson.OPT_INDENT_2))
    read = store.characters.find_by_id(alice.id)
    assert read.tags == (tag.id,)
    assert store.problems() == []
    link = store.characters.update(alice.id, {"title": "Dr"}).value.extras.tagLinks[0]
    assert link.tagId == tag.id
    assert store.characters.update(alice.id, {"title": "M"}).value.extras.tagLinks[0] == link


LATER_KEYS = {
    "a tag": ("tags/tags.json", '"nameLower": "elf",', '"nameLower": "elf", "quickHide": true,'),
    "the wrapper of the tags": ("tags/tags.json", '"version": 1,', '"version": 1, "format": {"a": 1},'),
    "the wrapper of the user": ("settings/general.json", '"version": 1,', '"version": 1, "theme": "dark",'),
    "the user": ("settings/general.json", '"name": "Ada",', '"name": "Ada", "pronouns": "she",'),
    "the chat settings": (
        "settings/general.json",
        '"avatarDisplayStyle": "CIRCULAR",',
        '"avatarDisplayStyle": "CIRCULAR", "tagStyles": {"x": {"emoji": "😀"}},',
    ),
    "a character": ("characters/", '"isFavorite": false,', '"isFavorite": false, "talkativeness": 0.50,'),
}


@pytest.mark.parametrize("backend", ["json", "dual"])
@pytest.mark.parametrize("where", LATER_KEYS)
def test_a_key_of_a_later_quilltap_is_kept_by_a_rewrite(opener: Opener, data: Path, where: str, backend: str) -> None:
    folder, old, new = LATER_KEYS[where]
    store = opener(backend)
    user = make_user(store, name="Ada")
    store.users.update_chat_settings(user.id, {"avatarDisplayMode": "NEVER"})
    tag, alice = make_tag(store, name="Elf"), make_character(store)
    (path,) = [path for path in files_below(data) if path.startswith(folder)]
    assert (data / path).read_text().count(old) == 1
    put(data, path, (data / path).read_text().replace(old, new))
    assert store.problems() == []
    store.tags.update(tag.id, {"name": "Ent"})
    store.users.update(user.id, {"image": "a.png"})
    store.users.update_chat_settings(user.id, {"avatarDisplayMode": "ALWAYS"})
    store.characters.update(alice.id, {"title": "Dr"})
    added = new.removeprefix(old).strip().rstrip(",")
    text = (data / path).read_text()
    assert "".join(added.split()) in "".join(text.split())
    assert any(changed in text for changed in ("Ent", "a.png", '"Dr"'))
    assert store.problems() == []
    assert store.pending() == 0


@pytest.mark.parametrize(
    ("spelled", "read"),
    [
        ("2025-01-02T03:04:05.006+00:00", "2025-01-02T03:04:05.006Z"),
        ("2025-01-02T05:04:05.006+02:00", "2025-01-02T03:04:05.006Z"),
        ("2025-01-02T03:04:05Z", "2025-01-02T03:04:05.000Z"),
        ("2025-01-02T03:04Z", "2025-01-02T03:04:00.000Z"),
        ("2025-01-02T03:04:05.1239999Z", "2025-01-02T03:04:05.124Z"),
    ],
)
def test_a_moment_in_another_spelling_makes_no_record_vanish(
    opener: Opener, data: Path, spelled: str, read: str
) -> None:
    store = opener()
    alice = make_character(store, createdAt="2025-01-01T00:00:00.000Z")
    tag = make_tag(store, createdAt="2025-01-01T00:00:00.000Z")
    for path in (file_of(data, alice.id), data / "tags/tags.json"):
        put(data, path.relative_to(data).as_posix(), path.read_text().replace("2025-01-01T00:00:00.000Z", spelled))
    assert store.characters.find_by_id(alice.id).createdAt == read == store.tags.find_by_id(tag.id).createdAt
    assert store.characters.find_all().problems == [] == store.tags.find_all().problems
    assert store.characters.update(alice.id, {"title": "Dr"}).value.createdAt == read
    store.tags.update(tag.id, {"name": "New"})
    assert f'"createdAt": "{read}"' in file_of(data, alice.id).read_text()
    assert_quilltap_reads(data)


def test_of_double_keys_the_last_counts(opener: Opener, data: Path) -> None:
    store = opener()
    alice = make_character(store, name="Alice")
    path = file_of(data, alice.id)
    path.write_text(path.read_text().replace('"name": "Alice",', '"name": "First", "name": "Last",'))
    assert store.characters.find_by_id(alice.id).name == "Last"


def test_a_record_with_quilltaps_defaults_left_out_is_read(opener: Opener, data: Path) -> None:
    store: Store = opener()
    owner = make_user(store)
    texts = dict.fromkeys(("name", "description", "personality", "scenario", "firstMessage"), "x")
    dates = dict.fromkeys(("createdAt", "updatedAt"), "2025-01-01T00:00:00.000Z")
    put(data, "characters/short.json", orjson.dumps({"id": "short", "userId": owner.id, **texts, **dates}))
    found = store.characters.find_by_id("short")
    assert (found.title, found.isFavorite, found.tags, found.personaLinks) == (None, False, (), ())
    assert store.characters.set_favorite("short", True).value.isFavorite is True
    assert orjson.loads((data / "characters/short.json").read_bytes())["title"] is None


def test_an_empty_folder_of_quilltaps_own_is_no_trouble(opener: Opener, data: Path) -> None:
    for name in ("cache", "image-profiles", "auth", "characters"):
        (data / name).mkdir(parents=True)
    put(data, "characters/notes.txt", "mine")
    put(data, "characters/x.json.lock", "")
    store = opener()
    make_character(store)
    assert len(store.characters.find_all()) == 1
    assert store.problems() == []
    assert (data / "characters/notes.txt").read_text() == "mine"
    assert (data / "characters/x.json.lock").exists()
