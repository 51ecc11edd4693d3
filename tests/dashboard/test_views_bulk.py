"""One action on many records: asked first, with the number, and told in one sentence."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from store import Store
from tests.dashboard.browsing import form_in, messages, resend, told, words
from tests.dashboard.entering import Visitor
from tests.factories import assert_everything_is_equal, make_character, make_persona, make_tag, make_user

LIST = "/admin/characters/"
ACTION = "/admin/characters/action/"


def act(visitor: Visitor, action: str, ids: list[str], page: str = LIST, **fields: Any) -> TestResponse:
    """Tick rows on a list and press a button of its bar."""
    form = form_in(visitor.get(page), "all_matching")
    form["action"] = action
    form.setlist("rowid", ids)
    for name, value in fields.items():
        form.setlist(name.replace("__", "-"), value if isinstance(value, list) else [value])
    return visitor.post(page.partition("?")[0] + "action/", form)


def names(store: Store) -> list[str]:
    return sorted(one.name for one in store.characters.find_all())


def test_a_delete_asks_with_the_number_and_then_tells_it(editor: Visitor, store: Store) -> None:
    ids = [make_character(store, name).id for name in ("Alice", "Bram", "Calliope")]
    asked = act(editor, "delete", ids[:2])
    assert asked.status_code == 200
    assert "Delete 2 characters? There is no undo for all at once." in words(asked.text)
    assert "Alice and Bram" in words(asked.text)
    assert len(names(store)) == 3, "asking deletes nothing"
    done = resend(editor, asked, ACTION, "confirmed")
    assert messages(editor, done) == ["Deleted 2 characters."]
    assert names(store) == ["Calliope"]
    assert_everything_is_equal(store)


def test_what_a_dialog_has_confirmed_is_done_at_once(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    assert messages(editor, act(editor, "delete", [alice.id], confirmed="1")) == ["Deleted 1 character."]


def test_rows_that_are_gone_by_then_are_told(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    done = act(editor, "delete", [alice.id, "gone", alice.id], confirmed="1")
    assert messages(editor, done) == ["Deleted 1 character (1 was already gone)."]


def test_many_get_a_tag_and_the_sentence_tells_who_had_it(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    ids = [make_character(store, f"C{number}", tags=[elf.id] if number < 2 else []).id for number in range(5)]
    done = act(editor, "add_tag", ids, confirmed="1", tag__add_tag=elf.id)
    assert messages(editor, done) == ["Tagged 3 characters with “Elf” (2 had it already)."]
    assert {one.tags for one in store.characters.find_all()} == {(elf.id,)}
    assert_everything_is_equal(store)


def test_many_lose_a_tag(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    ids = [make_character(store, "Alice", tags=[elf.id]).id, make_character(store, "Bram").id]
    done = act(editor, "remove_tag", ids, confirmed="1", tag__remove_tag=elf.id)
    assert messages(editor, done) == ["Removed “Elf” from 1 character (1 did not have it)."]


def test_a_new_tag_is_made_on_the_way(editor: Visitor, store: Store) -> None:
    ids = [make_character(store, name).id for name in ("Alice", "Bram")]
    done = act(editor, "add_tag", ids, confirmed="1", tag__add_tag__new="Sea  Elf")
    assert messages(editor, done) == ["Tagged 2 characters with “Sea Elf”."]


def test_without_scripts_a_page_asks_which_tag(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    alice = make_character(store, "Alice")
    asked = act(editor, "add_tag", [alice.id])
    assert "Add tags to 1 character?" in asked.text
    assert f'<option value="{elf.id}">Elf</option>' in asked.text
    missing = resend(editor, asked, ACTION, "confirmed")
    assert missing.status_code == 422
    assert told(missing) == ["Choose a tag, or write the name of a new one. Nothing was changed yet."]
    done = resend(editor, missing, ACTION, "confirmed", tag__add_tag=elf.id)
    assert messages(editor, done) == ["Tagged 1 character with “Elf”."]


def test_a_tag_goes_to_its_users_records_only(editor: Visitor, store: Store) -> None:
    ada, bo = make_user(store, "Ada"), make_user(store, "Bo")
    elf = make_tag(store, "Elf", userId=ada.id)
    ids = [make_character(store, "Alice", userId=ada.id).id, make_character(store, "Bram", userId=bo.id).id]
    said = messages(editor, act(editor, "add_tag", ids, confirmed="1", tag__add_tag=elf.id))
    assert said == [
        "Tagged 1 character with “Elf”.",
        "“Elf” belongs to another user than 1 character; those were left alone.",
    ]
    made = messages(editor, act(editor, "add_tag", ids, confirmed="1", tag__add_tag__new="Hero"))
    assert made == ["Tagged 1 character with “Hero”."] * 2
    assert {tag.userId for tag in store.tags.find_all() if tag.name == "Hero"} == {ada.id, bo.id}


def test_a_tag_that_is_gone_is_told(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    said = messages(editor, act(editor, "add_tag", [alice.id], confirmed="1", tag__add_tag="gone"))
    assert said == ["This tag does not exist, or not any more. Choose another one and try again."]


def test_favourites(editor: Visitor, store: Store) -> None:
    ids = [make_character(store, "Alice", isFavorite=True).id, make_character(store, "Bram").id]
    said = messages(editor, act(editor, "favorite", ids, confirmed="1"))
    assert said == ["Marked 1 character as favourite (1 was already)."]
    said = messages(editor, act(editor, "unfavorite", ids, confirmed="1"))
    assert said == ["Took 2 characters off the favourites."]
    assert not any(one.isFavorite for one in store.characters.find_all())


def test_all_that_match_means_the_lists_question(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    for number in range(30):
        make_character(store, f"C{number:02}", tags=[elf.id] if number % 2 else [])
    page = f"{LIST}?tag={elf.id}&page_size=20"
    asked = act(editor, "delete", [], page, all_matching="1", expected="")
    assert "Delete 15 characters?" in asked.text
    done = resend(editor, asked, ACTION, "confirmed")
    assert messages(editor, done) == ["Deleted 15 characters."]
    assert done.location == page
    assert len(names(store)) == 15


def test_when_other_records_match_by_now_it_asks_again(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", isFavorite=True)
    bram = make_character(store, "Bram")
    asked = act(editor, "delete", [], "/admin/characters/?favorite=1", all_matching="1")
    store.characters.set_favorite(alice.id, False)
    store.characters.set_favorite(bram.id, True)
    again = resend(editor, asked, ACTION, "confirmed")
    assert again.status_code == 422
    assert sorted(names(store)) == ["Alice", "Bram"]


def test_when_the_number_has_changed_it_asks_again(editor: Visitor, store: Store) -> None:
    for name in ("Alice", "Bram"):
        make_character(store, name)
    asked = act(editor, "delete", [], all_matching="1")
    make_character(store, "Calliope")
    again = resend(editor, asked, ACTION, "confirmed")
    assert again.status_code == 422
    assert "Delete 3 characters?" in again.text
    assert told(again) == [
        "You were asked about 2; by now other characters match. Look again. Nothing was changed yet."
    ]
    assert len(names(store)) == 3
    assert messages(editor, resend(editor, again, ACTION, "confirmed")) == ["Deleted 3 characters."]


def test_nothing_selected_says_what_to_do(editor: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    assert messages(editor, act(editor, "delete", [])) == ["Nothing was selected. Tick some rows first."]


@pytest.mark.parametrize("action", ["", "drop", "bulk_delete", "__init__"])
def test_an_unknown_action_does_nothing(editor: Visitor, store: Store, action: str) -> None:
    alice = make_character(store, "Alice")
    response = act(editor, action, [alice.id], confirmed="1")
    assert response.status_code == 422
    assert names(store) == ["Alice"]


def test_a_long_selection_fits_into_one_form(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(3000)]
    done = act(editor, "delete", [*ids, alice.id], confirmed="1")
    assert messages(editor, done) == ["Deleted 1 character (3,000 were already gone)."]


def test_tags_and_personas_are_deleted_in_bulk_too(editor: Visitor, store: Store) -> None:
    tag, persona = make_tag(store, "Elf"), make_persona(store, "Traveller")
    asked = act(editor, "delete", [tag.id], "/admin/tags/")
    question = "Delete 1 tag? There is no undo for all at once. Every record that carries one of them loses it."
    assert question in words(asked.text)
    assert messages(editor, act(editor, "delete", [tag.id], "/admin/tags/", confirmed="1")) == ["Deleted 1 tag."]
    assert messages(editor, act(editor, "delete", [persona.id], "/admin/personas/", confirmed="1")) == [
        "Deleted 1 persona."
    ]
