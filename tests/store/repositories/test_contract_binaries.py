"""What every backend promises about images and attachments: their bytes, their tags, and who wears them."""

import hashlib

import pytest

from store import Store
from store.errors import DuplicateError, InvalidRecordError, InvalidValueError, MissingReferenceError, NotFoundError
from store.repositories.contract import Query
from tests.factories import make_character, make_chat, make_image, make_message, make_persona, make_tag, make_user, put
from tests.store.repositories.making import make_attachment

NO_BYTES = "0" * 64


def lay(store: Store, path: str, data: bytes) -> str:
    """Put bytes where Quilltap serves them; their hash."""
    put(store.settings.public_dir, path, data)
    return hashlib.sha256(data).hexdigest()


def test_an_image_tells_the_hash_of_its_real_bytes(store: Store) -> None:
    sha256 = lay(store, "uploads/images/real.png", b"picture")
    made = make_image(store, filepath="uploads/images/real.png", size=7)
    assert (made.sha256, made.relativePath, made.type) == (sha256, "uploads/images/real.png", "image")
    assert made.extras is None
    assert store.images.find_by_id(made.id) == made
    missing = make_image(store, filepath="uploads/images/none.png")
    assert missing.sha256 == NO_BYTES
    assert missing.extras.bytesMissing is True


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.png", "uploads/../../x", "", "a\\b"])
def test_a_path_that_leads_elsewhere_is_kept_and_not_opened(store: Store, path: str) -> None:
    made = make_image(store, filepath=path)
    assert (made.relativePath, made.sha256) == (path, NO_BYTES)
    assert store.images.find_by_id(made.id) == made


def test_twins_are_found_by_their_bytes(store: Store) -> None:
    sha256 = lay(store, "uploads/one.png", b"the same")
    lay(store, "uploads/two.png", b"the same")
    lay(store, "uploads/other.png", b"another")
    chat = make_chat(store)
    one, two = (make_image(store, filepath=f"uploads/{name}.png", size=8) for name in ("one", "two"))
    make_image(store, filepath="uploads/other.png", size=7)
    missing = make_image(store)
    attached = make_attachment(store, chatId=chat.id, filepath="uploads/two.png", size=8)
    assert [found.id for found in store.images.find_by_sha256(sha256)] == [one.id, two.id, attached.id]
    assert [found.id for found in store.images.find_by_sha256(sha256, size=8)] == [one.id, two.id]
    assert list(store.images.find_by_sha256(sha256, size=9)) == []
    assert [found.id for found in store.attachments.find_by_sha256(sha256)] == [attached.id]
    # Bytes that were not found are nobody's twins.
    assert list(store.images.find_by_sha256(NO_BYTES)) == []
    assert store.images.delete_by_sha256(NO_BYTES).value == 0
    assert store.images.delete_by_sha256(sha256).value == 2
    assert store.images.delete_by_sha256(sha256).value == 0
    assert len(store.images.find_all()) == 2
    assert store.images.find_by_id(missing.id) == missing
    assert [found.id for found in store.images.find_by_sha256(sha256)] == [attached.id]


def test_an_image_keeps_what_quilltap_has_no_home_for(store: Store) -> None:
    made = make_image(
        store,
        url="https://example.org/a.png",
        source="pasted",
        width=None,
        height=0,
        generationPrompt="",
        generationModel="dall-e-3",
        size=2**31 - 1,
    )
    found = store.images.find_by_id(made.id)
    assert (found.value("url"), found.value("source"), found.source) == (made.extras.url, "pasted", "upload")
    assert (found.width, found.height, found.generationPrompt, found.size) == (None, 0, "", 2**31 - 1)
    changed = store.images.update(made.id, {"url": "", "source": "generated"}).value
    assert (changed.value("url"), changed.source, changed.extras.raw) == ("", "generated", None)
    with pytest.raises(InvalidRecordError, match="size"):
        store.images.update(made.id, {"size": 2**31})


def test_an_image_is_tagged_with_any_kind_and_with_free_words(store: Store) -> None:
    image, other = make_image(store), make_image(store, filename="b.png")
    character, persona, tag = make_character(store), make_persona(store), make_tag(store)
    store.images.add_tag(image.id, character.id, "CHARACTER")
    store.images.add_tag(image.id, persona.id, "PERSONA")
    store.images.add_tag(image.id, tag.id)
    tagged = store.images.add_tag(image.id, "Sunset, “by the sea”").value
    assert store.images.add_tag(image.id, tag.id).value == tagged
    assert {(one.tagType, one.tagId) for one in tagged.extras.imageTags} == {
        ("CHARACTER", character.id),
        ("PERSONA", persona.id),
        ("THEME", tag.id),
        ("THEME", "Sunset, “by the sea”"),
    }
    assert set(tagged.tags) == {character.id, persona.id, tag.id}
    for word in (character.id, "Sunset, “by the sea”"):
        assert [one.id for one in store.images.find_by_tag(word)] == [image.id]
    assert list(store.images.find_by_tag("sunset")) == []
    assert store.images.remove_tag(image.id, "nothing").value == tagged
    assert len(store.images.remove_tag(image.id, "Sunset, “by the sea”").value.extras.imageTags) == 3
    assert store.images.find_by_id(other.id) == other


def test_one_id_may_be_a_tag_of_several_types(store: Store) -> None:
    image, character = make_image(store), make_character(store)
    store.images.add_tag(image.id, character.id, "CHARACTER")
    tagged = store.images.add_tag(image.id, character.id, "THEME").value
    assert len(tagged.extras.imageTags) == 2
    assert tagged.tags == (character.id,)
    assert store.images.remove_tag(image.id, character.id).value.tags == ()


def test_a_tag_of_an_image_that_cannot_be_is_refused(store: Store) -> None:
    image = make_image(store)
    with pytest.raises(InvalidValueError, match="COLOUR") as refused:
        store.images.add_tag(image.id, "red", "COLOUR")
    assert "THEME" in refused.value.hint
    with pytest.raises(NotFoundError, match="nobody"):
        store.images.add_tag("nobody", "red")
    with pytest.raises(NotFoundError, match="nobody"):
        store.images.remove_tag("nobody", "red")
    assert store.images.find_by_id(image.id) == image


def test_tags_set_as_a_field_keep_those_that_stay(store: Store) -> None:
    pair = {"tagType": "THEME", "tagId": "sea"}
    made = make_image(store, imageTags=[pair, {"tagType": "THEME", "tagId": "sun"}, pair])
    stays = next(tag for tag in made.extras.imageTags if tag.tagId == "sea")
    changed = store.images.update(made.id, {"imageTags": [pair, {"tagType": "CHAT", "tagId": "sea"}]}).value
    assert stays in changed.extras.imageTags
    assert [(tag.tagType, tag.tagId) for tag in changed.extras.imageTags].count(("CHAT", "sea")) == 1
    with pytest.raises(InvalidRecordError):
        store.images.update(made.id, {"imageTags": [{"tagType": "COLOUR", "tagId": "red"}]})
    assert store.images.find_by_id(made.id) == changed


def test_image_tags_of_what_is_gone_stay(store: Store) -> None:
    """Nothing ties them to what they name; Quilltap has such orphans."""
    image, tag, character = make_image(store), make_tag(store), make_character(store)
    store.images.add_tag(image.id, tag.id)
    tagged = store.images.add_tag(image.id, character.id, "CHARACTER").value
    store.tags.delete(tag.id)
    store.characters.delete(character.id)
    assert store.images.find_by_id(image.id) == tagged


def test_binaries_are_found_by_type_chat_and_message(store: Store) -> None:
    chat = make_chat(store)
    image, file, sent = make_image(store), *(make_attachment(store, chatId=chat.id).id for _ in range(2))
    message = make_message(store, chat, attachments=[sent])
    assert [one.id for one in store.images.find_by_type("image")] == [image.id]
    assert {one.id for one in store.images.find_by_type("chat_file")} == {file, sent}
    assert list(store.images.find_by_type("avatar")) == []
    assert {one.id for one in store.images.find_by_chat_id(chat.id)} == {file, sent}
    assert [one.id for one in store.images.find_by_message_id(message.id)] == [sent]
    assert list(store.images.find_by_chat_id("nobody")) == list(store.images.find_by_message_id("nobody")) == []
    with pytest.raises(InvalidValueError, match="video"):
        store.images.find_by_type("video")


def test_an_attachment_is_its_chats_and_its_users(store: Store) -> None:
    chat = make_chat(store)
    sha256 = lay(store, "uploads/chat-files/notes.txt", b"notes")
    made = make_attachment(
        store, chatId=chat.id, filepath="uploads/chat-files/notes.txt", sentToProvider=True, providerError=""
    )
    assert (made.type, made.userId, made.chatId, made.messageId) == ("chat_file", chat.userId, chat.id, None)
    assert (made.sha256, made.source, made.tags, made.updatedAt) == (sha256, "upload", (), made.createdAt)
    assert (made.value("sentToProvider"), made.value("providerError")) == (True, "")
    changed = store.attachments.update(made.id, {"sentToProvider": False, "providerError": None, "width": 3}).value
    assert (changed.width, changed.extras) == (3, None)
    bob = make_user(store, name="Bob")
    store.chats.update(chat.id, {"userId": bob.id})
    assert store.attachments.find_by_id(made.id).userId == bob.id
    assert [one.id for one in store.attachments.find_by_user_id(bob.id)] == [made.id]
    with pytest.raises(MissingReferenceError):
        store.attachments.update(made.id, {"messageId": "nobody"})
    with pytest.raises(MissingReferenceError):
        make_attachment(store, chatId="nobody")


def test_attachments_of_one_chat_are_listed(store: Store) -> None:
    chat, other = make_chat(store), make_chat(store, title="Other")
    for name in ("b.txt", "a.txt"):
        make_attachment(store, name, chatId=chat.id)
    make_attachment(store, "c.txt", chatId=other.id)
    query = Query(where=(("chatId", chat.id),), sort="filename")
    assert [row["filename"] for row in store.attachments.list(query).rows] == ["a.txt", "b.txt"]
    assert store.attachments.count(Query(user_id=chat.userId, sort="size")) == 3


# ------------------------------------------------------------------ who wears an image
def test_a_deleted_image_is_nobodys_picture_any_more(store: Store) -> None:
    image, kept = make_image(store), make_image(store, filename="kept.png")
    character, persona = make_character(store, defaultImageId=image.id), make_persona(store, defaultImageId=image.id)
    other = make_character(store, name="Other", defaultImageId=kept.id)
    chat = make_chat(store, title="Tea", characterId=character.id)
    store.images.add_tag(image.id, "sea")
    store.chats.set_avatar_override(chat.id, character.id, image.id)
    store.chats.set_avatar_override(chat.id, other.id, kept.id)
    assert store.images.used_by(image.id) == [
        ("character", character.id, "Alice"),
        ("chat", chat.id, "Tea"),
        ("persona", persona.id, "Traveller"),
    ]
    assert store.images.delete(image.id).value is True
    assert store.characters.find_by_id(character.id).defaultImageId is None
    assert store.personas.find_by_id(persona.id).defaultImageId is None
    assert store.characters.find_by_id(character.id).avatarOverrides == ()
    assert store.chats.avatar_overrides(chat.id) == {other.id: kept.id}
    assert store.characters.find_by_id(other.id).defaultImageId == kept.id
    assert store.images.used_by(image.id) == []


def test_what_a_character_wears_in_a_chat_is_set_changed_and_taken_away(store: Store) -> None:
    first, second = make_image(store), make_image(store, filename="b.png")
    chat, other = make_chat(store), make_chat(store, title="Other")
    store.chats.set_avatar_override(chat.id, chat.characterId, first.id)
    worn = store.characters.find_by_id(chat.characterId)
    assert [(one.chatId, one.imageId) for one in worn.avatarOverrides] == [(chat.id, first.id)]
    store.chats.set_avatar_override(chat.id, chat.characterId, second.id)
    again = store.characters.find_by_id(chat.characterId)
    assert again.extras.avatarOverrides[0].id == worn.extras.avatarOverrides[0].id
    assert store.chats.avatar_overrides(chat.id) == {chat.characterId: second.id}
    assert store.chats.avatar_overrides(other.id) == {}
    for pair in ((chat.id, "nobody", first.id), (chat.id, chat.characterId, "nobody")):
        with pytest.raises(MissingReferenceError):
            store.chats.set_avatar_override(*pair)
    with pytest.raises(NotFoundError, match="nobody"):
        store.chats.set_avatar_override("nobody", chat.characterId, first.id)
    for _ in range(2):
        store.chats.remove_avatar_override(chat.id, chat.characterId)
        assert store.characters.find_by_id(chat.characterId).avatarOverrides == ()


def test_an_image_whose_record_changes_is_worn_as_it_is_now(store: Store) -> None:
    """The line of the index that follows from both has to follow; the fixture compares it in the end."""
    image, chat = make_image(store), make_chat(store)
    store.chats.set_avatar_override(chat.id, chat.characterId, image.id)
    store.images.update(image.id, {"filename": "new.png", "filepath": "uploads/worn.png"})
    if store.settings.data_backend != "sql":
        (line,) = [entry.record for entry in store.side.entries("avatar")]
        assert (line["filename"], line["relativePath"]) == ("new.png", "uploads/worn.png")
    store.characters.delete(chat.characterId)
    if store.settings.data_backend != "sql":
        assert list(store.side.entries("avatar")) == []
    assert store.images.find_by_id(image.id).filename == "new.png"


def test_an_override_is_one_per_chat_and_character(store: Store) -> None:
    image, chat = make_image(store), make_chat(store)
    store.chats.set_avatar_override(chat.id, chat.characterId, image.id)
    assert len(store.characters.find_by_id(chat.characterId).avatarOverrides) == 1
    with pytest.raises(DuplicateError):
        make_image(store, id=image.id)
