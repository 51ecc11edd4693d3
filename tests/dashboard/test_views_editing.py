"""New, edit, delete: what was typed is never lost, only what changed is written, and both sides have it."""

import pytest
from werkzeug.datastructures import MultiDict

from store import Store
from tests.dashboard.browsing import form_in, messages, resend, submit, told
from tests.dashboard.entering import PAGE, Visitor
from tests.factories import assert_everything_is_equal, make_character, make_persona, make_tag, make_user

NEW = "/admin/characters/new/"


def edit(record_id: str, noun: str = "characters") -> str:
    return f"/admin/{noun}/edit/?id={record_id}"


def test_a_new_character_is_on_both_sides(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    elf, traveller = make_tag(store, "Elf"), make_persona(store, "Traveller")
    response = submit(
        editor,
        NEW,
        "name",
        name="Alice",
        title="",
        tags=[elf.id],
        tags__new="Hero",
        isFavorite="1",
        description="One.\r\nTwo.",
        personaLinks=[traveller.id],
        personaLinks__default=traveller.id,
        sillyTavernData='{"talkativeness": 0.50}',
    )
    assert messages(editor, response) == ["Created the character “Alice”."]
    [alice] = store.characters.find_all()
    assert (alice.userId, alice.title, alice.description, alice.isFavorite) == (user.id, None, "One.\nTwo.", True)
    assert [tag.name for tag in store.tags.find_all()] == ["Elf", "Hero"]
    assert set(alice.tags) == {tag.id for tag in store.tags.find_all()}
    assert [(link.personaId, link.isDefault) for link in alice.personaLinks] == [(traveller.id, True)]
    assert str(alice.sillyTavernData["talkativeness"]) == "0.50"
    assert_everything_is_equal(store)


def test_without_a_user_the_page_says_what_to_do_first(editor: Visitor, store: Store) -> None:
    page = editor.get(NEW)
    assert page.status_code == 409
    assert "There is no user yet" in page.text
    made = submit(editor, "/admin/users/new/?url=/admin/characters/new/", "email", email="ada@example.org", name="Ada")
    assert made.status_code == 303
    [user] = store.users.find_all()
    assert (user.user.email, user.user.name) == ("ada@example.org", "Ada")
    assert editor.get(NEW).status_code == 200


def test_with_several_users_the_form_asks_for_whom(editor: Visitor, store: Store) -> None:
    ada, bo = make_user(store, "Ada"), make_user(store, "Bo")
    assert form_in(editor.get(NEW), "userId")["userId"] == ada.id
    submit(editor, NEW, "userId", name="Alice", userId=bo.id)
    assert [one.userId for one in store.characters.find_all()] == [bo.id]
    refused = submit(editor, NEW, "userId", name="Bram", userId="somebody")
    assert refused.status_code == 422


def test_a_refused_form_gives_everything_back(editor: Visitor, store: Store) -> None:
    make_user(store)
    elf = make_tag(store, "Elf")
    typed = {"name": "", "description": "\r\nLong\r\ntext", "tags": [elf.id], "tags__new": "Sea elf", "isFavorite": "1"}
    response = submit(editor, NEW, "name", **typed, sillyTavernData='{"a": }')
    assert response.status_code == 422
    form = form_in(response, "name")
    assert (form["description"], form["sillyTavernData"], form["isFavorite"]) == ("\r\nLong\r\ntext", '{"a": }', "1")
    assert form.getlist("tags") == [elf.id, "new:Sea elf"]
    assert "(line 1, column 7)" in response.text
    assert store.characters.find_all() == []
    again = resend(editor, response, NEW, "name", name="Alice", sillyTavernData="")
    assert again.status_code == 303
    assert {tag.name for tag in store.tags.find_all()} == {"Elf", "Sea elf"}


def test_what_the_store_refuses_stands_beside_the_field_with_the_text_kept(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    response = submit(editor, edit(alice.id), description="typed for an hour", defaultImageId="no-such-image")
    assert response.status_code == 422
    assert any("no image" in one.lower() or "not there" in one.lower() or "exist" in one for one in told(response))
    assert form_in(response, "seen")["description"] == "typed for an hour"
    assert store.characters.find_by_id(alice.id) == alice


def test_an_edit_writes_only_what_changed(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice", description="one\r\ntwo", title="Queen", exampleDialogues="")
    response = submit(editor, edit(alice.id), title="King")
    assert messages(editor, response) == ["Saved “Alice”."]
    now = store.characters.find_by_id(alice.id)
    assert now is not None
    assert (now.title, now.description, now.exampleDialogues) == ("King", "one\r\ntwo", "")
    assert now.updatedAt > alice.updatedAt
    assert_everything_is_equal(store)


def test_saving_without_a_change_changes_nothing(editor: Visitor, store: Store) -> None:
    data = {"b": [1, {"a": None}]}
    alice = make_character(store, "Alice", description="\n\n one\r\ntwo \u2028", sillyTavernData=data)
    response = submit(editor, edit(alice.id))
    assert messages(editor, response) == ["Nothing was changed in “Alice”."]
    assert store.characters.find_by_id(alice.id) == alice


def test_data_that_is_no_object_survives_an_edit_of_something_else(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE characters SET \"sillyTavernData\" = '[1, 2.50]'")
    assert "2.50" in form_in(editor.get(edit(alice.id)), "seen")["sillyTavernData"]
    submit(editor, edit(alice.id), title="Queen")
    with store.database.read() as connection:
        kept = connection.exec_driver_sql('SELECT title, "sillyTavernData" FROM characters').one()
    assert tuple(kept) == ("Queen", "[1, 2.50]")


def test_save_and_go_on_stays_on_the_form(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    response = submit(editor, edit(alice.id), title="Queen", _continue_editing="1")
    assert response.status_code == 303
    assert "/admin/characters/edit/" in response.location


@pytest.mark.parametrize("url", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_after_saving_nobody_is_sent_elsewhere(editor: Visitor, store: Store, url: str) -> None:
    alice = make_character(store, "Alice")
    response = submit(editor, edit(alice.id), title="Queen", url=url, _back=url)
    assert response.location == "/admin/characters/"


def test_a_copy_starts_with_everything_and_makes_another_record(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    alice = make_character(store, "Alice", tags=[elf.id], description="Long")
    page = f"{NEW}?from={alice.id}"
    assert submit(editor, page, "name").status_code == 303
    first, second = store.characters.find_all()
    assert (second.name, second.description, second.tags) == ("Alice (copy)", "Long", (elf.id,))
    assert first.id != second.id


@pytest.mark.parametrize("page", ["edit", "details", "delete"])
@pytest.mark.parametrize("noun", ["characters", "personas", "tags"])
def test_a_record_that_is_gone_is_told_so(editor: Visitor, store: Store, noun: str, page: str) -> None:
    for question in ("?id=gone", "?id=", "", "?id=a&id=b", "?name=x", "?id=%00"):
        response = editor.get(f"/admin/{noun}/{page}/{question}")
        assert response.status_code == 404
        assert "does not exist, or not any more." in response.text


def test_a_delete_asks_first_and_says_what_goes_along(editor: Visitor, store: Store) -> None:
    tag = make_tag(store, "Elf")
    alice = make_character(store, "Alice", tags=[tag.id])
    make_character(store, "Bram", tags=[tag.id])
    page = f"/admin/tags/delete/?id={tag.id}"
    asked = editor.get(page)
    assert "Delete the tag “Elf”?" in asked.text
    assert "2 characters lose it." in asked.text
    assert store.tags.find_by_id(tag.id) == tag, "looking at the question deletes nothing"
    unasked = resend(editor, editor.get("/admin/tags/"), page, "url")
    assert "Delete the tag “Elf”?" in unasked.text, "a button that no script has asked about asks on a page"
    assert store.tags.find_by_id(tag.id) == tag
    assert messages(editor, resend(editor, asked, page, "confirmed")) == ["Deleted the tag “Elf”. History"]
    assert store.tags.find_all() == []
    now = store.characters.find_by_id(alice.id)
    assert now is not None
    assert now.tags == ()
    assert_everything_is_equal(store)


def test_the_favourite_is_set_by_post_only(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    assert editor.get(f"/admin/characters/favorite/?id={alice.id}&favorite=1").status_code == 405
    token = form_in(editor.get("/admin/characters/"), "id")
    response = editor.post("/admin/characters/favorite/", MultiDict(token))
    assert messages(editor, response) == ["“Alice” is a favourite now."]
    assert store.characters.find_by_id(alice.id).isFavorite  # type: ignore[union-attr]


def test_a_tag_is_renamed_and_a_taken_name_refused(editor: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    make_tag(store, "Hero")
    assert submit(editor, edit(elf.id, "tags"), name="Sea Elf").status_code == 303
    now = store.tags.find_by_id(elf.id)
    assert now is not None
    assert (now.name, now.nameLower) == ("Sea Elf", "sea elf")
    refused = submit(editor, edit(elf.id, "tags"), name="HERO")
    assert refused.status_code == 422
    assert form_in(refused, "seen")["name"] == "HERO"
    assert "there is already a tag “HERO”. Choose another value, or edit the record that has it" in refused.text
    assert store.tags.find_by_id(elf.id) == now


def test_only_an_address_that_quilltap_takes_becomes_a_user(editor: Visitor, store: Store) -> None:
    refused = submit(editor, "/admin/users/new/", "email", email="ada@localhost", name="Ada")
    assert refused.status_code == 422
    assert "Write one such as ada@example.org." in refused.text
    assert store.users.find_all() == []


def test_a_user_shows_no_secret(viewer: Visitor, store: Store) -> None:
    totp = {"totpSecret": "c0ffee", "totpSecretIv": "11", "totpSecretAuthTag": "22"}
    user = make_user(store, passwordHash="$2b$12$verysecret", **totp)
    text = viewer.get(f"/admin/users/details/?id={user.id}").text
    assert "verysecret" not in text
    assert "c0ffee" not in text


def test_details_show_texts_links_and_whether_both_sides_agree(viewer: Visitor, store: Store) -> None:
    tag, persona = make_tag(store, "Elf"), make_persona(store, "Traveller")
    links = [{"personaId": persona.id, "isDefault": True}]
    alice = make_character(store, "Alice", tags=[tag.id], personaLinks=links, description="Grew up by the sea.")
    text = viewer.get(f"/admin/characters/details/?id={alice.id}").text
    for word in ("Grew up by the sea.", "Elf", "Traveller", "default", "Both sides equal", alice.id):
        assert word in text
    assert "Alice" in viewer.get(f"/admin/personas/details/?id={persona.id}").text


def test_characters_are_linked_and_unlinked_on_the_persona(editor: Visitor, store: Store) -> None:
    persona, alice = make_persona(store, "Traveller"), make_character(store, "Alice")
    page = f"/admin/personas/details/?id={persona.id}"
    form = form_in(editor.get(page), "csrf_token")
    fields = {"csrf_token": form["csrf_token"], "id": persona.id, "url": page}
    linked = editor.post("/admin/personas/link/", {**fields, "characters": alice.id}, headers=PAGE)
    assert messages(editor, linked) == ["Linked 1 character to “Traveller”."]
    assert store.personas.find_by_id(persona.id).characterLinks == (alice.id,)  # type: ignore[union-attr]
    unlinked = editor.post("/admin/personas/unlink/", {**fields, "character": alice.id}, headers=PAGE)
    assert messages(editor, unlinked) == ["Took the link away from “Traveller”."]
    assert store.personas.find_by_id(persona.id).characterLinks == ()  # type: ignore[union-attr]
    assert_everything_is_equal(store)
