"""The messages of a chat: their versions, new ones, edits, deletes, attachments, and what characters wear."""

import pytest

from store import Store
from tests.dashboard.browsing import filled, form_in, messages, resend, submit, words
from tests.dashboard.chatting import (
    FRAGMENT,
    a_swiped_chat,
    address,
    assert_both_sides_are_equal,
    attach_file,
    link,
    picture,
    said,
)
from tests.dashboard.entering import Visitor
from tests.factories import make_chat, make_image, make_message, make_user

# ------------------------------------------------------------------ versions


def test_versions_of_an_answer_are_one_message_to_flip_through(viewer: Visitor, store: Store) -> None:
    chat, _ = a_swiped_chat(store)
    page = viewer.get(address(chat))
    assert said(page) == ["Question?", "three"]
    assert "3 / of 3" in words(page.text)
    page = viewer.get(link(page, "Previous version"))
    assert said(page) == ["Question?", "two"]
    page = viewer.get(link(page, "Previous version"))
    assert said(page) == ["Question?", "one"]
    assert "Previous version" not in page.text
    assert said(viewer.get(link(page, "Next version"))) == ["Question?", "two"]


@pytest.mark.parametrize(("number", "shown"), [*((one, "three") for one in ("99", "x", "-1", "²")), ("0", "one")])
def test_a_mistyped_version_is_no_error(viewer: Visitor, store: Store, number: str, shown: str) -> None:
    chat, versions = a_swiped_chat(store)
    group = store.chats.find_message(versions[0].id)[1].swipeGroupId  # type: ignore[index]
    assert said(viewer.get(f"{address(chat)}&swipe={group}:{number}")) == ["Question?", shown]


def test_a_script_gets_one_version_by_itself(viewer: Visitor, store: Store) -> None:
    _, versions = a_swiped_chat(store)
    part = viewer.get(f"/admin/messages/details/?id={versions[1].id}&part=entry", headers=FRAGMENT)
    assert said(part) == ["two"]
    assert "2 / of 3" in words(part.text)


def test_a_group_that_lies_across_two_pages_is_shown_once(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    moment = "2026-01-01T00:{:02d}:00.000Z"
    group = {"role": "ASSISTANT", "swipeGroupId": "g", "createdAt": moment.format(0)}
    several = [{**group, "content": f"v{n}", "swipeIndex": n} for n in range(3)]
    several += [{"role": "USER", "content": f"{n}", "createdAt": moment.format(n)} for n in range(1, 50)]
    store.chats.add_messages(chat.id, several)
    last = viewer.get(address(chat))
    assert said(last) == ["v2", *(str(n) for n in range(1, 50))]
    assert said(viewer.get(link(last, "Earlier messages"))) == []


def test_a_version_is_added_and_shown(editor: Visitor, store: Store) -> None:
    chat, _ = a_swiped_chat(store)
    page = editor.get(address(chat))
    made = submit(editor, link(page, "Write another version"), "content", content="four")
    assert messages(editor, made) == ["Added another version."]
    assert made.location.startswith(f"{address(chat)}#m-")
    assert said(editor.get(address(chat))) == ["Question?", "four"]
    assert [one.role for one in store.chats.get_messages(chat.id)] == ["USER", *["ASSISTANT"] * 4]
    assert_both_sides_are_equal(store)


# ------------------------------------------------------------------ writing


def test_a_message_is_added_at_the_end(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, "first")
    file = attach_file(store, chat)
    values = form_in(editor.get(address(chat)), "content")
    done = editor.post(
        f"/admin/messages/new/?chat={chat.id}",
        filled(values, role="SYSTEM", content="It rains.\r\n  Still.", attachments=file.id),
    )
    assert messages(editor, done) == ["Added the message."]
    new = store.chats.get_messages(chat.id)[-1]
    assert (new.role, new.content, new.attachments) == ("SYSTEM", "It rains.\n  Still.", (file.id,))
    assert done.location == f"{address(chat)}#m-{new.id}"
    assert_both_sides_are_equal(store)


def test_a_message_that_says_nothing_is_not_added(editor: Visitor, store: Store) -> None:
    chat, other = make_chat(store), make_chat(store, "Other")
    page = f"/admin/messages/new/?chat={chat.id}"
    empty = submit(editor, page, "content", content="  ")
    assert empty.status_code == 422
    assert "Text is empty." in words(empty.text)
    foreign = submit(editor, page, "content", content="kept", attachments=attach_file(store, other).id)
    assert foreign.status_code == 422
    assert "has no attachment" in words(foreign.text)
    assert "kept" in foreign.text
    assert store.chats.get_message_count(chat.id) == 0


def test_a_message_is_edited_and_its_files_are_chosen(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    one, two = attach_file(store, chat, "one.png"), attach_file(store, chat, "two.png")
    message = make_message(store, chat, "Hello.", attachments=[one.id])
    page = editor.get(f"/admin/messages/edit/?id={message.id}&url={address(chat)}")
    assert form_in(page, "seen").getlist("attachments") == [one.id]
    saved = resend(editor, page, page.request.full_path, content="Hello!", attachments=[two.id])
    assert messages(editor, saved) == ["Saved “Hello!”."]
    assert saved.location == address(chat)
    now = store.chats.find_message(message.id)[1]  # type: ignore[index]
    assert (now.content, now.attachments, now.createdAt) == ("Hello!", (two.id,), message.createdAt)
    assert_both_sides_are_equal(store)


def test_two_edits_of_one_message_show_both_texts(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, "Hello.")
    page = f"/admin/messages/edit/?id={message.id}&url={address(chat)}"
    mine = form_in(editor.get(page), "seen")
    store.chats.update_message(message.id, {"content": "Good day."})
    answer = editor.post(page, filled(mine, content="Good night.", role="ASSISTANT"))
    assert answer.status_code == 409
    for word in ("Hello.", "day", "night"):
        assert word in answer.text
    saved = resend(editor, answer, page, "theirs", choice__content="mine")
    assert messages(editor, saved) == ["Saved “Good night.”."]
    now = store.chats.find_message(message.id)[1]  # type: ignore[index]
    assert (now.content, now.role) == ("Good night.", "ASSISTANT")


def test_a_message_deleted_meanwhile_keeps_what_was_typed(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    message = make_message(store, chat, "Hello.")
    page = f"/admin/messages/edit/?id={message.id}"
    mine = form_in(editor.get(page), "seen")
    store.chats.delete_message(message.id)
    answer = editor.post(page, filled(mine, content="Typed for an hour."))
    assert answer.status_code == 409
    saved = resend(editor, answer, f"/admin/messages/new/?chat={chat.id}", "content")
    assert messages(editor, saved) == ["Added the message."]
    assert [one.content for one in store.chats.get_messages(chat.id)] == ["Typed for an hour."]


def test_a_message_is_deleted_after_a_question(editor: Visitor, store: Store) -> None:
    chat, versions = a_swiped_chat(store)
    page = f"/admin/messages/delete/?id={versions[1].id}&url={address(chat)}"
    asked = editor.get(page)
    assert "2 other versions of it stay." in words(asked.text)
    assert "data-confirm" in editor.get(address(chat)).text
    gone = submit(editor, page, "confirmed")
    assert messages(editor, gone) == ["Deleted the message “two”. History"]
    assert [one.content for one in store.chats.get_messages(chat.id)] == ["Question?", "one", "three"]
    assert_both_sides_are_equal(store)


# ------------------------------------------------------------------ attachments and avatars


def test_attachments_show_what_they_are(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    there, missing = attach_file(store, chat, "there.png", picture()), attach_file(store, chat, "missing.png")
    make_message(store, chat, attachments=[there.id, missing.id])
    page = viewer.get(address(chat))
    assert f'<img src="/admin/chats/thumb/?id={there.id}&amp;size=small"' in page.text
    assert f"thumb/?id={missing.id}" not in page.text
    assert "missing.png its file is missing image/png" in words(page.text)
    thumb = viewer.get(f"/admin/chats/thumb/?id={there.id}&size=small")
    assert (thumb.status_code, thumb.mimetype) == (200, "image/webp")
    assert viewer.get(f"/admin/chats/picture/?id={there.id}").data == picture()
    assert viewer.get(f"/admin/chats/thumb/?id={missing.id}").status_code == 404
    assert viewer.get("/admin/chats/picture/?id=gone").status_code == 404


def test_a_file_that_is_no_picture_is_never_shown_as_a_page(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    file = attach_file(store, chat, "page.html", b"<script>alert(1)</script>", mimeType="text/html")
    answer = viewer.get(f"/admin/chats/picture/?id={file.id}")
    assert answer.mimetype == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")


def test_a_character_wears_another_picture_in_a_chat(editor: Visitor, store: Store) -> None:
    chat = make_chat(store)
    image = make_image(store, "red.png")
    foreign = make_image(store, "foreign.png", userId=make_user(store, "Bea").id)
    page = editor.get(address(chat))
    assert "foreign.png" not in page.text
    values = form_in(page, "character")
    done = editor.post("/admin/chats/avatar/", filled(values, image=image.id))
    assert messages(editor, done) == ["“Alice” wears “red.png” in this chat now."]
    assert store.chats.avatar_overrides(chat.id) == {chat.characterId: image.id}
    worn = editor.get(address(chat))
    assert "Alice wears red.png" in words(worn.text)
    assert editor.post("/admin/chats/avatar/", filled(values, image=foreign.id)).status_code == 404
    assert editor.post("/admin/chats/avatar/", filled(values, image="")).status_code == 422
    assert_both_sides_are_equal(store)
    gone = editor.post("/admin/chats/avatar/", form_in(worn, "remove"))
    assert messages(editor, gone) == ["“Alice” has its own picture in this chat again."]
    assert store.chats.avatar_overrides(chat.id) == {}


def test_a_worn_picture_is_shown_beside_the_messages(viewer: Visitor, store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, role="ASSISTANT")
    image = make_image(store)
    store.public.save(image.relativePath, picture())
    store.chats.set_avatar_override(chat.id, chat.characterId, image.id)
    assert f'<img class="avatar avatar-s" src="/admin/images/thumb/?id={image.id}' in viewer.get(address(chat)).text
