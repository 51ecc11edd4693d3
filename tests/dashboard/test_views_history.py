"""What was done with a record, on its own pages; and the undo of a change."""

import re
from collections.abc import Callable

import pytest

from store import Store
from store.audit import Question
from tests.dashboard.browsing import form_in, messages, resend, submit, words
from tests.dashboard.entering import Visitor
from tests.factories import (
    assert_everything_is_equal,
    make_account,
    make_character,
    make_chat,
    make_message,
    make_session,
    make_tag,
    make_token,
    make_user,
)


def last(store: Store, **asked: str) -> int:
    return store.audit.newest(Question(**asked))[0].id


def change(entry: int, noun: str = "characters") -> str:
    return f"/admin/{noun}/change/?entry={entry}"


def undo(visitor: Visitor, entry: int, noun: str = "characters", **choices: str) -> object:
    page = visitor.get(change(entry, noun))
    told = {f"choice-{name}": value for name, value in choices.items()}
    return visitor.post(f"/admin/{noun}/undo/", {**form_in(page, "entry"), **told})


def test_the_details_tell_who_changed_what(viewer: Visitor, editor: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice")
    submit(editor, f"/admin/characters/edit/?id={hero.id}", description="new", firstMessage="Hello.")
    page = words(viewer.get(f"/admin/characters/details/?id={hero.id}").text)
    assert "Changed: Description, First message" in page
    assert "by an-editor" in page
    shown = viewer.get(change(last(store)))
    assert "Hello." in shown.text
    assert "Undo" not in shown.text
    assert "127.0.0.1" not in shown.text  # from where is for admins


def test_a_long_history_goes_on_on_a_page_of_its_own(viewer: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice")
    for number in range(60):
        store.characters.update(hero.id, {"title": f"title {number}"})
    assert "All of its history" in viewer.get(f"/admin/characters/details/?id={hero.id}").text
    first = viewer.get(f"/admin/characters/history/?id={hero.id}")
    assert first.text.count("Changed: Title") == 50
    older = store.audit.of_record("character", hero.id, 100)[49].id
    assert f"before={older}" in first.text
    second = viewer.get(f"/admin/characters/history/?id={hero.id}&before={older}")
    assert (second.text.count("Changed: Title"), second.text.count(">Made<")) == (10, 1)
    store.characters.delete(hero.id)
    assert viewer.get(f"/admin/characters/history/?id={hero.id}").status_code == 200
    assert viewer.get("/admin/characters/history/?id=unknown%00").status_code == 404


def test_an_editor_undoes_a_change_and_the_undo(editor: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice", description="old")
    store.characters.update(hero.id, {"description": "new"})
    changed = last(store)
    answer = undo(editor, changed)
    assert answer.location == f"/admin/characters/details/?id={hero.id}"
    assert messages(editor, answer) == ["Undid what was done with “Alice”."]
    assert store.characters.find_by_id(hero.id).description == "old"
    assert "This change was undone." in editor.get(change(changed)).text
    assert "as it was before already" in editor.get(change(changed)).text
    undone = store.audit.get(last(store))
    assert (undone.actor, undone.undoes) == ("an-editor", changed)
    undo(editor, undone.id)
    assert store.characters.find_by_id(hero.id).description == "new"
    assert_everything_is_equal(store)


def test_where_somebody_was_faster_a_person_chooses_field_by_field(editor: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice", title="Queen", scenario="rain")
    store.characters.update(hero.id, {"title": "King", "scenario": "snow"})
    changed = last(store)
    store.characters.update(hero.id, {"title": "Empress"})
    page = editor.get(change(changed))
    assert "changed since" in page.text
    for word in ("Queen", "Empress", "As it is now"):
        assert word in page.text
    undecided = undo(editor, changed)
    assert undecided.status_code == 409
    assert "choose one" in undecided.text
    assert store.characters.find_by_id(hero.id).scenario == "snow"
    # Chosen over a value that is another by now: asked once more.
    store.characters.update(hero.id, {"title": "Duchess"})
    old = editor.post("/admin/characters/undo/", {**form_in(page, "entry"), "choice-title": "mine"})
    assert old.status_code == 409
    undo(editor, changed, title="mine")
    now = store.characters.find_by_id(hero.id)
    assert (now.title, now.scenario) == ("Queen", "rain")


def test_a_deleted_record_comes_back_from_its_history(editor: Visitor, store: Store) -> None:
    elf = make_tag(store)
    hero = make_character(store, "Alice", tags=[elf.id])
    make_message(store, make_chat(store, characterId=hero.id))
    store.characters.delete(hero.id)
    page = editor.get(change(last(store)))
    assert "With it went 1 chat, 1 message." in page.text
    assert "It is made anew, with the same id and dates." in page.text
    messages(editor, undo(editor, last(store)))
    assert store.characters.find_by_id(hero.id).tags == (elf.id,)
    messages(editor, undo(editor, last(store)))
    assert store.characters.find_by_id(hero.id) is None
    again = editor.post(
        "/admin/characters/undo/", {**form_in(editor.get("/logout"), "csrf_token"), "entry": last(store)}
    )
    assert messages(editor, again) == ["Undid what was done with “Alice”."]


def test_who_deletes_a_record_is_shown_the_way_back(editor: Visitor, store: Store) -> None:
    elf = make_tag(store)
    page = f"/admin/tags/delete/?id={elf.id}"
    assert "Its history can bring it back." in words(editor.get(page).text)
    after = editor.get(submit(editor, page, "confirmed").location)
    history = re.search(r'href="(/admin/tags/history/[^"]+)"', after.text)
    assert history
    shown = editor.get(history[1])
    assert f'href="{change(last(store), "tags")}"' in shown.text
    messages(editor, undo(editor, last(store), "tags"))
    assert store.tags.find_by_id(elf.id) == elf


@pytest.mark.parametrize("role", ["viewer"])
def test_nobody_else_undoes(sign_in: Callable[[str], Visitor], store: Store, role: str) -> None:
    hero = make_character(store, "Alice")
    store.characters.update(hero.id, {"name": "Bob"})
    visitor = sign_in(role)
    entry = last(store, kind="character")
    assert visitor.send("/admin/characters/undo/", "/logout", {"entry": str(entry)}).status_code == 403
    assert store.characters.find_by_id(hero.id).name == "Bob"


def test_a_change_of_another_noun_is_none_here(editor: Visitor, store: Store) -> None:
    make_character(store)
    for noun in ("tags", "messages", "keys"):
        assert editor.get(change(last(store), noun)).status_code == 404
    assert editor.get(change(10**17)).status_code == 404


def test_a_message_has_its_history_and_so_has_its_chat(editor: Visitor, store: Store) -> None:
    chat = make_chat(store, "Tea")
    message = make_message(store, chat, "one")
    store.chats.update_message(message.id, {"content": "two"})
    assert "Changed: Text" in editor.get(f"/admin/messages/details/?id={message.id}").text
    assert "Changed a message" in words(editor.get(f"/admin/chats/history/?id={chat.id}").text)
    messages(editor, undo(editor, last(store), "messages"))
    assert store.chats.find_message(message.id)[1].content == "one"


def test_sign_in_records_tell_no_secret(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    token = make_token(store, token="marker-verify")
    session, account = (
        make_session(store, sessionToken="marker-token"),
        make_account(store, access_token="marker-token"),
    )
    store.sessions.update(session.id, {"sessionToken": "marker-token 2"})
    handle = editor.get("/admin/tokens/").text.split("/admin/tokens/details/?id=")[1].partition('"')[0]
    told = [editor.get(f"/admin/tokens/details/?id={handle.partition('&')[0]}")]
    told += [
        editor.get(f"/admin/{noun}/details/?id={one.id}")
        for noun, one in (("sessions", session), ("accounts", account))
    ]
    told.append(editor.get(change(last(store, kind="session", action="update"), "sessions")))
    store.tokens.delete(token.id)
    told.append(editor.get(change(last(store, kind="token"), "tokens")))
    for page in told:
        assert page.status_code == 200
        assert "marker" not in page.text
        assert "History" in page.text
    assert user


def test_the_merge_page_of_an_edit_stays_what_it_was(editor: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice", title="Queen")
    page = f"/admin/characters/edit/?id={hero.id}"
    mine = editor.get(page)
    store.characters.update(hero.id, {"title": "King"})
    assert resend(editor, mine, page, title="Empress").status_code == 409
