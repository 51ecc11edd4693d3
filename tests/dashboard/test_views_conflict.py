"""Two people (or two tabs) edit one record: nothing is overwritten in silence, and nobody types twice."""

import re

from werkzeug.test import TestResponse

from store import Store
from store.documents import Character
from tests.dashboard.browsing import filled, form_in, messages, resend, submit, words
from tests.dashboard.entering import Visitor
from tests.factories import assert_everything_is_equal, make_character, make_persona, make_tag


def page_of(character: Character) -> str:
    return f"/admin/characters/edit/?id={character.id}&url=/admin/characters/?page%3D2"


def choices(response: TestResponse) -> dict[str, str | None]:
    """field -> side that is chosen on the merge page."""
    found: dict[str, str | None] = {}
    for tag in re.findall(r'<input type="radio" name="choice-[^>]*>', response.text):
        name, value = re.findall(r'name="choice-([^"]+)" value="([^"]+)"', tag)[0]
        found[name] = value if " checked" in tag else found.get(name)
    return found


def now(store: Store, character: Character) -> Character:
    found = store.characters.find_by_id(character.id)
    assert found is not None
    return found


def test_the_slower_one_is_asked_field_by_field(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", title="Queen", personality="dry", scenario="rain")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"title": "King", "scenario": "snow"})

    answer = editor.post(page_of(alice), filled(mine, title="Empress", personality="wry"))
    assert answer.status_code == 409
    assert now(store, alice).title == "King", "nothing was written"
    assert choices(answer) == {"title": None, "personality": "mine", "scenario": "theirs"}
    for word in ("Queen", "<mark>King</mark>", "<mark>Empress</mark>"):
        assert word in answer.text

    undecided = resend(editor, answer, page_of(alice), "theirs")
    assert undecided.status_code == 409
    assert "choose a version where both of you changed something" in undecided.text
    assert now(store, alice).title == "King"

    saved = resend(editor, undecided, page_of(alice), "theirs", choice__title="mine")
    assert messages(editor, saved) == ["Saved “Alice”."]
    assert saved.location == "/admin/characters/?page=2"
    merged = now(store, alice)
    assert (merged.title, merged.personality, merged.scenario) == ("Empress", "wry", "snow")
    assert_everything_is_equal(store)


def test_one_can_give_in(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", title="Queen")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"title": "King"})
    answer = editor.post(page_of(alice), filled(mine, title="Empress"))
    saved = resend(editor, answer, page_of(alice), "theirs", choice__title="theirs")
    assert messages(editor, saved) == ["Nothing was changed in “Alice”."]
    assert now(store, alice).title == "King"


def test_a_third_one_in_between_is_not_overwritten_either(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", title="Queen", personality="dry")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"title": "King"})
    answer = editor.post(page_of(alice), filled(mine, title="Empress"))
    store.characters.update(alice.id, {"personality": "kind"})
    again = resend(editor, answer, page_of(alice), "theirs", choice__title="mine")
    assert again.status_code == 409
    assert choices(again) == {"title": "mine", "personality": "theirs"}
    assert resend(editor, again, page_of(alice), "theirs").status_code == 303
    merged = now(store, alice)
    assert (merged.title, merged.personality) == ("Empress", "kind")


def test_tags_personas_and_flags_are_told_by_name(editor: Visitor, store: Store) -> None:
    elf, hero, persona = make_tag(store, "Elf"), make_tag(store, "Hero"), make_persona(store, "Traveller")
    alice = make_character(store, "Alice", tags=[elf.id])
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"tags": [elf.id, hero.id], "isFavorite": True})
    store.characters.add_persona(alice.id, persona.id, True)
    answer = editor.post(page_of(alice), filled(mine, tags=[], tags__new="Sea elf", title="Queen"))
    text = words(answer.text)
    assert "Elf , Hero" in text
    assert "Sea elf" in text
    assert "Traveller (default)" in text
    assert choices(answer) == {"tags": None, "isFavorite": "theirs", "personaLinks": "theirs", "title": "mine"}
    assert store.tags.find_by_name(alice.userId, "Sea elf") is None, "no tag is made for what is not saved"
    assert resend(editor, answer, page_of(alice), "theirs", choice__tags="mine").status_code == 303
    merged = now(store, alice)
    sea_elf = store.tags.find_by_name(alice.userId, "Sea elf")
    assert sea_elf is not None
    assert (merged.tags, merged.isFavorite, merged.title) == ((sea_elf.id,), True, "Queen")
    assert [link.personaId for link in merged.personaLinks] == [persona.id]


def test_long_texts_with_line_ends_survive_the_merge(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", description="old", firstMessage="\n\nfirst\r\nsecond")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"title": "King"})
    answer = editor.post(page_of(alice), filled(mine, description="\r\nnew\r\n\r\ntext\r\n"))
    assert resend(editor, answer, page_of(alice), "theirs").status_code == 303
    merged = now(store, alice)
    assert (merged.description, merged.firstMessage) == ("\nnew\n\ntext\n", "\n\nfirst\r\nsecond")


def test_a_form_without_its_version_overwrites_nothing(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", title="Queen")
    response = submit(editor, page_of(alice), title="Empress", version=None, seen="")
    assert response.status_code == 409
    assert now(store, alice).title == "Queen"


def test_what_was_typed_into_a_record_that_was_deleted_can_be_saved_as_a_new_one(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.delete(alice.id)
    answer = editor.post(page_of(alice), filled(mine, title="Empress"))
    assert answer.status_code == 409
    assert "Somebody deleted this character in the meantime" in answer.text
    assert 'action="/admin/characters/new/' in answer.text
    assert 'value="Empress"' in answer.text
    assert editor.post("/admin/characters/new/", form_in(answer, "title")).status_code == 303
    assert [one.title for one in store.characters.find_all()] == ["Empress"]


def test_two_tabs_that_change_the_same_to_the_same_agree(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", title="Queen")
    mine = form_in(editor.get(page_of(alice)), "seen")
    store.characters.update(alice.id, {"title": "King"})
    answer = editor.post(page_of(alice), filled(mine, title="King"))
    assert answer.status_code == 409
    assert "Both versions say the same by now." in answer.text
    assert resend(editor, answer, page_of(alice), "theirs").status_code == 303
