"""What every backend promises about chats: their links, what they are found by, and what goes with them."""

import pytest

from store import Store
from store.errors import MissingReferenceError
from tests.factories import (
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_message,
    make_persona,
    make_profile,
)
from tests.store.repositories.making import make_attachment

LINKS = ("characterId", "personaId", "connectionProfileId", "imageProfileId")


def test_a_chat_is_found_by_who_is_in_it(store: Store) -> None:
    character, persona, profile = make_character(store), make_persona(store), make_profile(store)
    links = {"characterId": character.id, "connectionProfileId": profile.id}
    both = make_chat(store, personaId=persona.id, **links)
    alone = make_chat(store, title="Alone", **links)
    make_chat(store, title="Other")
    assert {one.id for one in store.chats.find_by_character_id(character.id)} == {both.id, alone.id}
    assert list(store.chats.find_by_persona_id(persona.id)) == [both]
    assert list(store.chats.find_by_character_id(persona.id)) == []
    assert store.personas.update(persona.id, {"name": "New"}).value.id == both.personaId


def test_a_new_chat_has_no_message(store: Store) -> None:
    made = make_chat(store)
    assert (made.messageCount, made.lastMessageAt, made.tags) == (0, None, ())
    assert list(store.chats.get_messages(made.id)) == []
    if store.settings.data_backend != "sql":
        assert (store.settings.data_dir / f"chats/{made.id}.jsonl").read_bytes() == b""


@pytest.mark.parametrize("link", LINKS)
def test_a_link_to_nothing_is_refused(store: Store, link: str) -> None:
    made = make_chat(store)
    with pytest.raises(MissingReferenceError):
        store.chats.update(made.id, {link: "nobody"})
    with pytest.raises(MissingReferenceError):
        make_chat(store, title="Other", **{link: "nobody"})
    assert list(store.chats.find_all()) == [made]


def test_what_a_chat_counts_cannot_be_set(store: Store) -> None:
    made = make_chat(store)
    for fields in ({"messageCount": 5}, {"lastMessageAt": made.createdAt}):
        with pytest.raises(Exception, match="there is no such field"):
            store.chats.update(made.id, fields)
    assert store.chats.find_by_id(made.id) == made


def test_a_message_does_not_change_the_chats_own_date_nor_hinder_who_edits_it(store: Store) -> None:
    made = make_chat(store, updatedAt="2025-01-01T00:00:00.000Z")
    make_message(store, made)
    found = store.chats.find_by_id(made.id)
    assert (found.updatedAt, found.messageCount) == (made.updatedAt, 1)
    changed = store.chats.update(made.id, {"title": "New", "contextSummary": ""}).value
    assert (changed.title, changed.contextSummary, changed.messageCount) == ("New", "", 1)
    assert store.chats.find_by_id(made.id) == changed


def test_a_deleted_chat_takes_its_messages_files_and_overrides_along(store: Store) -> None:
    chat, kept = make_chat(store), make_chat(store, title="Kept")
    image = make_image(store)
    for one in (chat, kept):
        message = make_message(store, one, attachments=[make_attachment(store, chatId=one.id).id])
        store.chats.set_avatar_override(one.id, one.characterId, image.id)
    assert store.chats.delete(chat.id).value is True
    assert [one.chatId for one in store.attachments.find_all()] == [kept.id]
    assert store.chats.find_message(message.id) == (kept.id, store.chats.get_messages(kept.id)[0])
    assert list(store.chats.get_messages(chat.id)) == []
    assert store.characters.find_by_id(chat.characterId).avatarOverrides == ()
    assert len(store.characters.find_by_id(kept.characterId).avatarOverrides) == 1
    assert store.profiles.delete(chat.connectionProfileId).value is True


def test_links_that_may_be_empty_are_emptied(store: Store) -> None:
    persona, image_profile = make_persona(store), make_image_profile(store)
    chat = make_chat(store, personaId=persona.id, imageProfileId=image_profile.id)
    store.personas.delete(persona.id)
    store.image_profiles.delete(image_profile.id)
    found = store.chats.find_by_id(chat.id)
    assert (found.personaId, found.imageProfileId) == (None, None)


def test_several_chats_are_deleted_with_their_files(store: Store) -> None:
    chats = [make_chat(store, title=f"N{number}") for number in range(3)]
    for chat in chats:
        make_message(store, chat)
    assert store.chats.delete_many([chats[0].id, chats[1].id]).value == 2
    if store.settings.data_backend != "sql":
        assert store.side.log_ids() == [chats[2].id]
    assert store.chats.get_message_count(chats[2].id) == 1


def test_an_id_that_is_no_uuid_names_a_file_of_its_own(store: Store) -> None:
    for record_id in ("a/b", "..", "index", "ü ö", "x" * 80):
        chat = make_chat(store, id=record_id, title=record_id)
        make_message(store, chat, record_id)
        assert [one.content for one in store.chats.get_messages(record_id)] == [record_id]
    assert store.chats.delete("index").value is True
    assert len(store.chats.find_all()) == 4
