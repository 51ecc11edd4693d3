"""What every backend promises to several who write at once: everything they wrote is there, once."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from store import Store
from store.errors import DuplicateError, StoreError
from tests.factories import make_character, make_chat, make_image, make_profile, make_tag, make_user
from tests.store.repositories.making import KINDS, make

WRITERS = 20


def at_once(work: Callable[[int], Any], number: int = WRITERS) -> list[Any]:
    """The values of so many threads that begin together; a refusal is a value too."""
    gate = threading.Barrier(number)

    def begin(one: int) -> Any:
        gate.wait()
        try:
            return work(one)
        except StoreError as error:
            return error

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(begin, range(number)))


@pytest.mark.parametrize("kind", KINDS)
def test_twenty_who_create_at_once_make_twenty(store: Store, kind: str) -> None:
    owner = {} if kind in ("user", "token") else {"userId": make_user(store).id}
    links: dict[str, Any] = {}
    if kind == "chat":
        links = {
            "characterId": make_character(store, **owner).id,
            "connectionProfileId": make_profile(store, **owner).id,
        }
    if kind == "attachment":
        links = {"chatId": make_chat(store, **owner).id}
    made = at_once(lambda number: make(kind, store, f"N{number}", **owner, **links))
    assert [one for one in made if isinstance(one, Exception)] == []
    found = {one.id: one for one in store.repositories[kind].find_all()}
    assert found == {one.id: one for one in made}
    assert len(found) == WRITERS
    if store.settings.data_backend == "dual":
        store.catch_up()  # who had to wait for the files leaves them to the next


def test_twenty_who_speak_at_once_are_all_heard(store: Store) -> None:
    chat = make_chat(store)
    said = at_once(lambda number: store.chats.add_message(chat.id, {"role": "USER", "content": f"{number}"}))
    assert [one for one in said if isinstance(one, Exception)] == []
    assert {one.content for one in store.chats.get_messages(chat.id)} == {f"{number}" for number in range(WRITERS)}
    assert store.chats.get_message_count(chat.id) == WRITERS


def test_twenty_swipes_at_once_have_twenty_numbers(store: Store) -> None:
    chat = make_chat(store)
    first = store.chats.add_message(chat.id, {"role": "ASSISTANT", "content": "first"}).value
    made = at_once(lambda number: store.chats.add_swipe(first.id, {"content": f"{number}"}).value)
    assert [one for one in made if isinstance(one, Exception)] == []
    swipes = store.chats.swipes(chat.id, f"swipe-{first.id}")
    assert [one.swipeIndex for one in swipes] == list(range(WRITERS + 1))


@pytest.mark.parametrize("kind", ["profile", "image_profile"])
def test_one_of_those_who_become_the_default_at_once_is(store: Store, kind: str) -> None:
    repository, owner = store.repositories[kind], make_user(store).id
    ids = [make(kind, store, f"N{number}", userId=owner).id for number in range(6)]
    told = at_once(lambda number: repository.set_default(ids[number]), len(ids))
    assert [one for one in told if isinstance(one, Exception)] == []
    assert len([one for one in repository.find_all() if one.isDefault]) == 1


def test_a_name_is_taken_once_by_whoever_comes_first(store: Store) -> None:
    owner = make_user(store).id
    told = at_once(lambda number: make_tag(store, name="Elf", userId=owner), 6)
    assert len([one for one in told if isinstance(one, DuplicateError)]) == 5
    assert len(store.tags.find_all()) == 1
    again = at_once(lambda number: store.tags.find_or_create(owner, "orc").value.id, 6)
    assert len(set(again)) == 1


def test_a_tag_is_tied_once_by_many(store: Store) -> None:
    image, character, tag = make_image(store), make_character(store), make_tag(store)
    told = at_once(lambda number: store.images.add_tag(image.id, "sea"), 6)
    told += at_once(lambda number: store.characters.add_tag(character.id, tag.id), 6)
    assert [one for one in told if isinstance(one, Exception)] == []
    assert len(store.images.find_by_id(image.id).extras.imageTags) == 1
    assert store.characters.find_by_id(character.id).tags == (tag.id,)


def test_who_edits_and_who_speaks_do_not_hinder_each_other(store: Store) -> None:
    chat = make_chat(store)

    def work(number: int) -> Any:
        if number % 2:
            return store.chats.update(chat.id, {"title": f"T{number}"})
        return store.chats.add_message(chat.id, {"role": "USER", "content": f"{number}"})

    assert [one for one in at_once(work, 8) if isinstance(one, Exception)] == []
    found = store.chats.find_by_id(chat.id)
    assert found.messageCount == 4
    assert found.title in {"T1", "T3", "T5", "T7"}
