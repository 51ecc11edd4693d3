"""Chats: their list and record, and the conversation as it is read."""

import re

import pytest
import sqlalchemy as sa

from store import Store
from tests.dashboard.browsing import filled, form_in, messages, names_listed, resend, submit, told, words
from tests.dashboard.chatting import (
    FRAGMENT,
    a_long_chat,
    address,
    assert_both_sides_are_equal,
    attach_file,
    link,
    said,
)
from tests.dashboard.entering import Visitor
from tests.factories import (
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_message,
    make_persona,
    make_profile,
    make_tag,
    make_user,
)

# ------------------------------------------------------------------ list


def test_the_list_tells_who_talks_how_much_and_when(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store, "Tea", personaId=make_persona(store, "Traveller").id)
    make_message(store, chat, createdAt="2026-01-02T03:04:05.000Z")
    make_message(store, chat, createdAt="2026-01-02T03:05:05.000Z")
    page = viewer.get("/admin/chats/")
    row = words(re.findall(r"<tr data-row.*?</tr>", page.text, re.DOTALL)[0])
    for word in ("Tea", "Alice", "Traveller", "no tag", "2 2026-01-02 03:05 UTC"):
        assert word in row
    assert "Edit Tea" not in page.text


def test_the_list_is_narrowed_by_character_persona_tag_and_user(viewer: Visitor, store: Store) -> None:
    bob, ann, elf = make_character(store, "Bob"), make_persona(store, "Ann"), make_tag(store, "Elf")
    make_chat(store, "With Bob", characterId=bob.id)
    make_chat(store, "As Ann", personaId=ann.id)
    make_chat(store, "Tagged", tags=[elf.id])
    other = make_user(store, "Bea")
    make_chat(store, "Of Bea", userId=other.id)
    for query, name in (
        (f"characterId={bob.id}", "With Bob"),
        (f"personaId={ann.id}", "As Ann"),
        (f"tag={elf.id}", "Tagged"),
        (f"user={other.id}", "Of Bea"),
        ("search=with", "With Bob"),
    ):
        assert names_listed(viewer.get(f"/admin/chats/?{query}")) == [name], query
    narrowed = viewer.get(f"/admin/chats/?characterId={bob.id}")
    assert "character Bob" in narrowed.text
    assert f'<option value="{bob.id}" selected>Bob</option>' in narrowed.text


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["New", "Old", "Silent"]),
        ("sort=title", ["New", "Old", "Silent"]),
        ("sort=title&desc=1", ["Silent", "Old", "New"]),
        ("sort=lastMessageAt", ["Silent", "Old", "New"]),
        ("sort=createdAt", ["Old", "New", "Silent"]),
    ],
)
def test_the_list_is_sorted(viewer: Visitor, store: Store, query: str, names: list[str]) -> None:
    character, profile = make_character(store), make_profile(store)
    for number, (name, day) in enumerate((("Old", "01"), ("New", "02"), ("Silent", ""))):
        created = f"2025-01-0{number + 1}T00:00:00.000Z"
        ids = {"characterId": character.id, "connectionProfileId": profile.id, "createdAt": created}
        chat = make_chat(store, name, **ids)
        if day:
            make_message(store, chat, createdAt=f"2026-01-{day}T00:00:00.000Z")
    assert names_listed(viewer.get(f"/admin/chats/?{query}")) == names


def test_chats_are_tagged_and_deleted_in_bulk(editor: Visitor, store: Store) -> None:
    chats, elf = [make_chat(store, name) for name in ("A", "B", "C")], make_tag(store, "Elf")
    token = form_in(editor.get("/admin/chats/"), "all_matching")["csrf_token"]
    common = {"csrf_token": token, "confirmed": "1", "rowid": [chats[0].id, chats[1].id], "url": "/admin/chats/"}
    done = editor.post("/admin/chats/action/", {**common, "action": "add_tag", "tag-add_tag": elf.id})
    assert messages(editor, done) == ["Tagged 2 chats with “Elf”."]
    assert [store.chats.find_by_id(one.id).tags for one in chats] == [(elf.id,), (elf.id,), ()]  # type: ignore[union-attr]
    asked = editor.post("/admin/chats/action/", {**common, "action": "delete", "confirmed": ""})
    assert "All its messages go with it" in words(asked.text)
    gone = editor.post("/admin/chats/action/", {**common, "action": "delete"})
    assert messages(editor, gone) == ["Deleted 2 chats."]
    assert [one.id for one in store.chats.find_all()] == [chats[2].id]
    assert_both_sides_are_equal(store)


# ------------------------------------------------------------------ the record


def test_a_chat_is_made_with_everything_it_can_have(editor: Visitor, store: Store) -> None:
    character, persona, profile = make_character(store), make_persona(store), make_profile(store)
    painter = make_image_profile(store)
    made = submit(
        editor,
        "/admin/chats/new/",
        "title",
        title="Tea at four",
        characterId=character.id,
        personaId=persona.id,
        connectionProfileId=profile.id,
        imageProfileId=painter.id,
        tags__new="Cosy",
        contextSummary="They met.",
        sillyTavernMetadata='{"scale": 1.50}',
    )
    assert messages(editor, made) == ["Created the chat “Tea at four”."]
    (chat,) = store.chats.find_all()
    assert (chat.characterId, chat.personaId) == (character.id, persona.id)
    assert (chat.connectionProfileId, chat.imageProfileId) == (profile.id, painter.id)
    assert (chat.contextSummary, len(chat.tags)) == ("They met.", 1)
    assert str(chat.sillyTavernMetadata["scale"]) == "1.50"
    assert_both_sides_are_equal(store)


def test_a_chat_needs_a_character_and_a_profile_of_its_owner(editor: Visitor, store: Store) -> None:
    make_user(store)
    foreign = make_character(store, "Foreign", userId=make_user(store, "Bea").id)
    refused = submit(editor, "/admin/chats/new/", "title", title="Tea")
    assert refused.status_code == 422
    assert "Character is empty." in words(refused.text)
    assert "There is no connection profile yet" in words(refused.text)
    again = resend(editor, refused, "/admin/chats/new/", "title", characterId=foreign.id)
    assert again.status_code == 422, "a character of another user is not offered, and not taken"


def test_another_owner_has_other_characters_to_choose_from(editor: Visitor, store: Store) -> None:
    mine = make_character(store, "Mine")
    bea = make_user(store, "Bea")
    hers, profile = make_character(store, "Hers", userId=bea.id), make_profile(store, userId=bea.id)
    page = editor.get("/admin/chats/new/")
    assert mine.id in page.text
    assert hers.id not in page.text
    offered = resend(editor, page, "/admin/chats/new/", "title", title="Kept", userId=bea.id, _reload="1")
    assert (offered.status_code, mine.id in offered.text, hers.id in offered.text) == (200, False, True)
    fields = {"characterId": hers.id, "connectionProfileId": profile.id, "_reload": None}
    made = resend(editor, offered, "/admin/chats/new/", "title", **fields)
    assert messages(editor, made) == ["Created the chat “Kept”."]


def test_two_edits_of_one_chat_are_merged(editor: Visitor, store: Store) -> None:
    chat, bob = make_chat(store, "Tea"), make_character(store, "Bob")
    page = f"/admin/chats/edit/?id={chat.id}"
    mine = form_in(editor.get(page), "seen")
    store.chats.update(chat.id, {"title": "Coffee"})
    answer = editor.post(page, filled(mine, title="Cocoa", characterId=bob.id))
    assert answer.status_code == 409
    for word in ("Coffee", "Cocoa", "Bob"):
        assert word in answer.text
    saved = resend(editor, answer, page, "theirs", choice__title="theirs")
    assert saved.status_code == 303
    now = store.chats.find_by_id(chat.id)
    assert now is not None
    assert (now.title, now.characterId) == ("Coffee", bob.id)


def test_a_delete_says_what_goes_along(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat)
    make_message(store, chat)
    attach_file(store, chat)
    page = f"/admin/chats/delete/?id={chat.id}"
    assert "2 messages and 1 attachment go with it." in words(editor.get(page).text)
    gone = submit(editor, page, "confirmed")
    assert messages(editor, gone) == ["Deleted the chat “Tea”. History"]
    assert store.attachments.find_by_chat_id(chat.id) == []
    assert_both_sides_are_equal(store)


def test_pickers_find_chats_by_their_title(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store, "Tea")
    assert viewer.get("/admin/chats/suggest/?q=te").json == {"results": [{"id": chat.id, "name": "Tea"}], "more": False}


# ------------------------------------------------------------------ reading


def test_a_message_is_shown_as_it_was_written(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, "<script>alert(1)</script>\n   two  spaces", tokenCount=7)
    page = viewer.get(address(chat))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\n   two  spaces</div>" in page.text
    assert "7 tokens" in page.text


def test_a_viewer_reads_only(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, role="ASSISTANT")
    make_image(store)
    page = viewer.get(address(chat)).text
    for word in (
        "Edit this message",
        "Delete this message",
        "another version",
        "New message",
        "Wear it",
        "Add message",
    ):
        assert word not in page
    for path in (f"edit/?id={message.id}", f"delete/?id={message.id}", f"new/?chat={chat.id}"):
        assert viewer.get(f"/admin/messages/{path}").status_code == 403
    assert viewer.get(f"/admin/messages/details/?id={message.id}").status_code == 200


def test_one_reads_backwards_page_by_page(viewer: Visitor, store: Store) -> None:
    chat = a_long_chat(store, 120)
    last = viewer.get(address(chat))
    assert said(last) == [f"Line {n}." for n in range(70, 120)]
    middle = viewer.get(link(last, "Earlier messages"))
    assert said(middle) == [f"Line {n}." for n in range(20, 70)]
    assert link(middle, "Back to the latest messages") == f"{address(chat)}#end"
    first = viewer.get(link(middle, "Earlier messages"))
    assert said(first) == [f"Line {n}." for n in range(20)]
    assert "Earlier messages" not in first.text
    assert "The chat begins here." in first.text


def test_a_script_gets_the_messages_without_the_page_around_them(viewer: Visitor, store: Store) -> None:
    chat = a_long_chat(store, 60)
    part = viewer.get(link(viewer.get(address(chat)), "Earlier messages"), headers=FRAGMENT)
    assert said(part) == [f"Line {n}." for n in range(10)]
    assert "<html" not in part.text


def test_an_address_that_is_no_place_in_the_chat_is_refused_in_words(viewer: Visitor, store: Store) -> None:
    answer = viewer.get(f"{address(make_chat(store))}&before=nonsense")
    assert answer.status_code == 422
    assert "This is no place in a chat." in words(answer.text)


def test_a_long_message_is_cut_and_shown_whole_when_asked(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, "x" * 100_000)
    page = viewer.get(address(chat))
    assert len(said(page)[0]) == 8_001
    assert "x" * 100_000 in viewer.get(link(page, "Show all 100,000 characters")).text
    part = viewer.get(f"/admin/messages/details/?id={message.id}&part=text", headers=FRAGMENT)
    assert said(part) == ["x" * 100_000]


def test_the_raw_response_is_shown_when_asked(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, rawResponse={"model": "of-the-tests"})
    page = viewer.get(address(chat))
    assert "of-the-tests" not in page.text
    assert "of-the-tests" in viewer.get(link(page, "Raw response").partition("#")[0]).text
    part = viewer.get(f"/admin/messages/details/?id={message.id}&part=raw", headers=FRAGMENT)
    assert "of-the-tests" in part.text
    assert viewer.get(f"/admin/messages/details/?id={message.id}&part=all", headers=FRAGMENT).status_code == 404


def test_an_unreadable_message_is_named_and_hides_no_other(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, "sound")
    broken = make_message(store, chat, "broken")
    with store.database.write() as connection:
        connection.execute(sa.text("UPDATE messages SET tokenCount = 'many' WHERE id = :id"), {"id": broken.id})
    page = viewer.get(address(chat))
    assert page.status_code == 200
    assert said(page) == ["sound"]
    assert any(broken.id in one for one in told(page)), told(page)


def test_a_message_that_is_gone_says_so(viewer: Visitor, editor: Visitor) -> None:
    assert viewer.get("/admin/messages/details/?id=gone").status_code == 404
    assert editor.get("/admin/messages/new/?chat=gone").status_code == 404
    assert editor.get("/admin/messages/new/?version_of=gone").status_code == 404
    assert viewer.get("/admin/messages/").location == "/admin/chats/"
