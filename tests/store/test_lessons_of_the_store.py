"""What was seen to go wrong in Quilltap 1.3's own store, fault by fault: none of it happens here.

Most are shown elsewhere already, on every backend there is; here is what is left, on ``json`` and ``dual``.

| fault of Quilltap's store | shown by |
|---|---|
| of 20 parallel creates one is kept | files/test_together::test_twenty_tags_made_at_once_are_all_kept, \
repositories/test_contract_together::test_twenty_who_create_at_once_make_twenty (every noun), \
files/test_together::test_three_processes_lose_nothing_of_each_other |
| an update undoes a create beside it | here for chats; files/test_together::test_one_is_changed_while_others_are_made |
| 20 parallel messages | repositories/test_contract_together::test_twenty_who_speak_at_once_are_all_heard |
| a file cut short is taken for empty | files/test_unreadable::test_a_torn_tags_file_is_not_written_over |
| one bad value in a file hides all its records | here for a provider; repositories/test_contract_damage_of_chats |
| a torn last line hides all messages | here; files/test_logs, files/test_log_plans |
| a date with an offset hides all chats | here; files/test_foreign_changes, test_foreign_hands |
| a second user replaces the first | here the files; repositories/test_contract_people |
| two processes serve stale data, revert each other | here; files/test_foreign_changes, crash/test_two_processes |
| a left-over lock stops all writing | here; files/test_together::test_a_lock_whose_holder_was_killed_blocks_nobody |
| the documented form of accounts.json is overwritten | here; files/test_aggregates |
| a delete of nothing says true | repositories/test_contract_deletes::\
test_what_is_deleted_is_gone_and_what_was_not_there_is_false (every noun) |
| deletes leave ids of what is gone | here for every file; repositories/test_contract_deletes |
| a profile that a chat uses is deleted | repositories/test_contract_profiles::\
test_a_connection_profile_that_chats_use_is_not_deleted_and_they_are_named |
| a crash while a message is edited costs the chat | here the edit; crash/test_kill_at_every_call |
| the first of a group of swipes has no group | here; repositories/test_contract_messages |
| backup codes are not kept, used ones stay | repositories/test_contract_people::test_a_secret_is_kept_as_it_is |
| an avatar override is not stored | here; repositories/test_contract_binaries |
| hashes are made up, so doubles are not found | here; repositories/test_contract_binaries, test_uploads |
| swipeIndex 0 becomes null; dates of imports are lost | here; mapping/test_records, \
repositories/test_contract::test_given_ids_and_dates_are_kept |
| what the provider said of an attachment is dropped | here; mapping/test_binaries |
| no sync: an empty file after a power cut | crash/test_power_cut, crash/test_power_cut_in_json_mode |
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from store.documents import Chat
from tests.factories import (
    files_below,
    make_account,
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_tag,
    make_user,
    open_test_store,
    put,
)
from tests.store.repositories.making import make_attachment

Reopen = Callable[[], Store]
ROOT = Path(__file__).resolve().parents[2]
DAY = "2025-01-01T00:00:00.000Z"


@pytest.fixture(params=["json", "dual"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Closes the store, if there is one, and opens it again: what was not kept is gone then."""
    opened: list[Store] = []

    def again() -> Store:
        for store in opened:
            store.close()
        opened[:] = [open_test_store(tmp_path, backend=request.param)]
        return opened[0]

    yield again
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: Reopen) -> Store:
    return reopen()


def settled(store: Store) -> Path:
    """The folder, once what a chat's line says of its messages has followed, too."""
    store.catch_up()
    assert (store.pending(), store.problems()) == (0, [])
    return store.settings.data_dir


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def contents(store: Store, chat: Chat) -> list[str]:
    return [message.content for message in store.chats.get_messages(chat.id)]


def edit(path: Path, old: str, new: str) -> None:
    """As another program does."""
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_what_the_table_names_is_there() -> None:
    here = Path(__file__).parent
    for path, name in re.findall(r"([\w/]+)::(\w+)", str(__doc__)):
        assert f"def {name}(" in (here / f"{path}.py").read_text(), f"{path}::{name}"
    for path in re.findall(r"(?:\w+/)?test_\w+", re.sub(r"::\w+", "", str(__doc__))):
        assert (here / f"{path}.py").exists() or (here.parent / f"{path}.py").exists(), path


# ---------------------------------------------------------------------- many at once
def test_a_chat_that_is_made_while_another_is_changed_is_kept(store: Store) -> None:
    first = make_chat(store)
    links = {"characterId": first.characterId, "connectionProfileId": first.connectionProfileId}
    work = [lambda: store.chats.update(first.id, {"title": "Supper"}), lambda: make_chat(store, title="New", **links)]
    threads = [threading.Thread(target=one) for one in work * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    titles = ["New"] * 3 + ["Supper"]
    assert sorted(chat.title for chat in store.chats.find_all()) == titles
    assert sorted(line["title"] for line in lines(settled(store) / "chats/index.jsonl")) == titles


CHANGES_TAGS = """
import sys, pathlib
from tests.factories import open_test_store
folder, backend, tag, owner = sys.argv[1:]
store = open_test_store(pathlib.Path(folder), backend=backend)
store.tags.update(tag, {"name": "Changed there"})
store.tags.create({"userId": owner, "name": "Made there"})
store.close()
"""


@pytest.mark.slow
def test_what_another_process_changed_is_seen_and_not_reverted(store: Store, tmp_path: Path) -> None:
    tag = make_tag(store, name="Elf")
    assert [one.name for one in store.tags.find_all()] == ["Elf"]  # Quilltap keeps that in mind
    command = [sys.executable, "-W", "error", "-c", CHANGES_TAGS, str(tmp_path), store.settings.data_backend]
    subprocess.run([*command, tag.id, tag.userId], cwd=ROOT, env={}, check=True, timeout=60)
    assert store.tags.find_by_id(tag.id).name == "Changed there"
    make_tag(store, name="Made here", userId=tag.userId)
    names = {"Changed there", "Made there", "Made here"}
    assert {one.name for one in store.tags.find_all()} == names
    assert {one["name"] for one in json.loads((settled(store) / "tags/tags.json").read_bytes())["tags"]} == names


def test_two_stores_do_not_revert_each_other(store: Store, tmp_path: Path) -> None:
    other = open_test_store(tmp_path, backend=store.settings.data_backend)
    tag = make_tag(store)
    assert other.tags.find_by_id(tag.id) == tag
    store.tags.update(tag.id, {"name": "Changed here"})
    made = make_tag(other, name="Made there", userId=tag.userId)
    assert {one.name for one in store.tags.find_all()} == {"Changed here", made.name}
    assert [one.name for one in other.tags.find_all()] == [one.name for one in store.tags.find_all()]
    other.close()


def test_a_lock_that_was_left_behind_blocks_nobody(reopen: Reopen, tmp_path: Path) -> None:
    """Neither ours, of a process that is gone, nor one of Quilltap's."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    for path, text in (("data.tandem/store.lock", f"{gone.pid}\n"), ("data/tags/tags.json.lock", "")):
        os.utime(put(tmp_path, path, text), (1, 1))
    store = reopen()
    written = store.tags.create({"userId": make_user(store).id, "name": "Elf"})
    assert written.sources.consistent
    assert "Elf" in (settled(store) / "tags/tags.json").read_text()


# ---------------------------------------------------------------------- what cannot be read, or looks so
def test_an_unknown_provider_in_one_key_costs_no_other_key_and_no_profile(store: Store) -> None:
    bad, good = make_key(store, label="Bad"), make_key(store, label="Good")
    make_profile(store, name="Old")
    path = settled(store) / "settings/connection-profiles.json"
    whole = json.loads(path.read_bytes())
    (key,) = [one for one in whole["apiKeys"] if one["id"] == bad.id]
    key["provider"] = "GOOGLE"
    path.write_text(json.dumps(whole))
    make_profile(store, name="New")
    found = json.loads(path.read_bytes())
    assert {one["id"]: one["provider"] for one in found["apiKeys"]} == {bad.id: "GOOGLE", good.id: "OPENAI"}
    assert sorted(one["name"] for one in found["llmProfiles"]) == ["New", "Old"]
    assert {one.name for one in store.profiles.find_all()} == {"New", "Old"}
    assert good in store.keys.find_all()


@pytest.mark.parametrize("torn", [b'{"type":"message","id":"4', b'{"type"', b"\x00\x00"])
def test_a_torn_last_line_costs_no_message_and_the_next_is_a_line_of_its_own(store: Store, torn: bytes) -> None:
    chat = make_chat(store)
    for content in ("one", "two"):
        make_message(store, chat, content)
    path = settled(store) / f"chats/{chat.id}.jsonl"
    path.write_bytes(path.read_bytes() + torn)
    assert contents(store, chat) == ["one", "two"]
    make_message(store, chat, "three")
    assert contents(store, chat) == ["one", "two", "three"]
    settled(store)
    assert [line["content"] for line in lines(path)] == ["one", "two", "three"]
    assert store.chats.find_by_id(chat.id).messageCount == 3
    assert lines(path.with_name("index.jsonl"))[0]["messageCount"] == 3


def test_a_last_line_that_is_cut_short_costs_no_other(store: Store, reopen: Reopen) -> None:
    chat = make_chat(store)
    for content in ("one", "two"):
        make_message(store, chat, content)
    path = settled(store) / f"chats/{chat.id}.jsonl"
    path.write_bytes(path.read_bytes()[:-10])
    kept = ["one", "two"] if store.settings.data_backend == "dual" else ["one"]  # SQL has it still
    again = reopen()
    assert contents(again, chat) == kept
    make_message(again, chat, "three")
    settled(again)
    assert [line["content"] for line in lines(path)] == contents(again, chat) == [*kept, "three"]
    assert again.chats.find_by_id(chat.id).messageCount == len(kept) + 1


def test_a_date_with_an_offset_hides_no_chat_and_updates_work(store: Store) -> None:
    chat, other = make_chat(store, createdAt=DAY), make_chat(store, title="Other")
    index = settled(store) / "chats/index.jsonl"
    edit(index, DAY, DAY.replace("Z", "+00:00"))
    assert {one.id for one in store.chats.find_all()} == {chat.id, other.id}
    assert store.chats.find_by_id(chat.id).createdAt == DAY
    assert store.chats.update(chat.id, {"title": "Supper"}).value.title == "Supper"
    assert store.chats.update(other.id, {"title": "Lunch"}).value.title == "Lunch"
    settled(store)
    assert {line["title"]: line["createdAt"] for line in lines(index)}["Supper"] == DAY


def test_accounts_in_the_documented_object_are_not_overwritten(store: Store) -> None:
    account = make_account(store)
    path = settled(store) / "auth/accounts.json"
    wrapped = {"version": 1, "accounts": json.loads(path.read_bytes()), "createdAt": DAY, "updatedAt": DAY}
    path.write_text(json.dumps(wrapped))
    assert list(store.accounts.find_all()) == [account]
    second = make_account(store)
    assert {one["id"] for one in json.loads(path.read_bytes())} == {account.id, second.id}  # as Quilltap's code reads


def test_a_second_user_gets_a_file_and_the_first_keeps_theirs(store: Store, reopen: Reopen) -> None:
    first = make_user(store)
    store.users.update_chat_settings(first.id, {"avatarDisplayMode": "NEVER"})
    general = settled(store) / "settings/general.json"
    before = general.read_bytes()
    second = make_user(store, name="Bob")
    assert general.read_bytes() == before
    assert json.loads(before)["chatSettings"]["userId"] == first.id
    assert (general.parent / f"users/{second.id}.json").exists()
    assert {user.id for user in reopen().users.find_all()} == {first.id, second.id}


# ---------------------------------------------------------------------- deletes
def test_what_is_deleted_is_named_in_no_file_any_more(store: Store) -> None:
    key, tag, image = make_key(store), make_tag(store), make_image(store)
    profile, painter = make_profile(store, apiKeyId=key.id, tags=[tag.id]), make_image_profile(store, apiKeyId=key.id)
    persona = make_persona(store, tags=[tag.id], defaultImageId=image.id)
    links = {"tags": [tag.id], "defaultImageId": image.id, "personaLinks": [{"personaId": persona.id}]}
    character = make_character(store, **links)
    ends = {"characterId": character.id, "personaId": persona.id, "imageProfileId": painter.id}
    chat = make_chat(store, connectionProfileId=profile.id, tags=[tag.id], **ends)
    store.chats.set_avatar_override(chat.id, character.id, image.id)
    file = make_attachment(store, chatId=chat.id)
    message = make_message(store, chat, attachments=[file.id])
    assert store.chats.delete_message(message.id).value
    told = {message.id}
    for kind, record in (
        *(("tag", tag), ("image", image), ("key", key), ("image_profile", painter), ("persona", persona)),
        *(("character", character), ("profile", profile)),
    ):
        assert store.repositories[kind].delete(record.id).value is True
        told |= {record.id, chat.id, file.id} if kind == "character" else {record.id}
        files = files_below(settled(store))
        named = {path for path, data in files.items() for one in told if one in path or one.encode() in data}
        assert named == set(), kind


# ---------------------------------------------------------------------- chats
def test_an_edited_and_a_deleted_message_leave_all_others_as_they_are(store: Store, reopen: Reopen) -> None:
    chat, other = make_chat(store), make_chat(store, title="Other")
    made = [make_message(store, chat, f"{number}") for number in range(6)]
    make_message(store, other, "elsewhere")
    before = (settled(store) / f"chats/{chat.id}.jsonl").read_bytes().splitlines()
    store.chats.update_message(made[1].id, {"content": "new"})
    store.chats.delete_message(made[4].id)
    after = (settled(store) / f"chats/{chat.id}.jsonl").read_bytes().splitlines()
    assert [after[place] for place in (0, 2, 3, 4)] == [before[place] for place in (0, 2, 3, 5)]
    again = reopen()
    assert contents(again, chat) == ["0", "new", "2", "3", "5"]
    assert contents(again, other) == ["elsewhere"]


def test_the_first_of_a_group_of_swipes_is_saved_as_such(store: Store, reopen: Reopen) -> None:
    chat = make_chat(store)
    first = make_message(store, chat, "one", role="ASSISTANT")
    second = store.chats.add_swipe(first.id, {"content": "two"}).value
    told = [(first.id, f"swipe-{first.id}", 0), (second.id, f"swipe-{first.id}", 1)]
    log = lines(settled(store) / f"chats/{chat.id}.jsonl")
    assert [(line["id"], line["swipeGroupId"], line["swipeIndex"]) for line in log] == told
    again = reopen().chats.swipes(chat.id, f"swipe-{first.id}")
    assert [(one.id, one.swipeGroupId, one.swipeIndex) for one in again] == told


def test_zero_is_not_null_nor_today_the_day_of_an_import(store: Store, reopen: Reopen) -> None:
    chat = make_chat(store, createdAt=DAY, updatedAt=DAY)
    message = make_message(store, chat, swipeIndex=0, tokenCount=0, swipeGroupId="", createdAt=DAY)
    (line,) = lines(settled(store) / f"chats/{chat.id}.jsonl")
    assert [line[name] for name in ("swipeIndex", "tokenCount", "swipeGroupId")] == [0, 0, ""]
    again = reopen()
    assert list(again.chats.get_messages(chat.id)) == [message]
    found = again.chats.find_by_id(chat.id)
    assert (found.createdAt, found.updatedAt, found.lastMessageAt) == (DAY, DAY, DAY)


# ---------------------------------------------------------------------- images and attachments
def test_an_avatar_override_is_stored_where_both_pages_look_for_it(store: Store, reopen: Reopen) -> None:
    chat, image = make_chat(store), make_image(store)
    store.chats.set_avatar_override(chat.id, chat.characterId, image.id)
    data = settled(store)
    character = json.loads((data / f"characters/{chat.characterId}.json").read_bytes())
    assert character["avatarOverrides"] == [{"chatId": chat.id, "imageId": image.id}]
    (avatar,) = [line for line in lines(data / "binaries/index.jsonl") if line["type"] == "avatar"]
    assert (avatar["chatId"], avatar["characterId"]) == (chat.id, chat.characterId)
    assert reopen().chats.avatar_overrides(chat.id) == {chat.characterId: image.id}


def test_the_hash_is_that_of_the_real_bytes_and_finds_doubles(store: Store, reopen: Reopen) -> None:
    for name in ("a.png", "b.png"):
        put(store.settings.public_dir, name, b"the same bytes")
    images = [make_image(store, filepath=name) for name in ("a.png", "b.png", "missing.png")]
    sha256 = hashlib.sha256(b"the same bytes").hexdigest()
    found = [line["sha256"] for line in lines(settled(store) / "binaries/index.jsonl")]
    assert sorted(found) == sorted([sha256, sha256, "0" * 64])
    assert {one.id for one in reopen().images.find_by_sha256(sha256)} == {images[0].id, images[1].id}


def test_what_the_provider_said_of_an_attachment_is_kept(store: Store, reopen: Reopen) -> None:
    chat = make_chat(store)
    status = {"sentToProvider": True, "providerError": "413: too large"}
    file = make_attachment(store, chatId=chat.id, **status)
    message = make_message(store, chat, attachments=[file.id])
    (line,) = lines(settled(store) / "binaries/index.jsonl")
    assert {**status, "bytesMissing": True} == line["extras"]
    found = reopen().attachments.find_by_id(file.id)
    assert {name: found.value(name) for name in status} == status
    assert found.messageId == message.id
