"""A chat in Chromium: what loads in place, what keys do, and that it shuts nobody out."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import WIDE, shut_out
from tests.browser.serving import Running

COUNT = 130  # messages of the long chat, the last three of them versions of one answer
INSERT = (
    "INSERT INTO messages (id, chatId, role, content, rawResponse, swipeGroupId, swipeIndex, createdAt) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


@pytest.fixture(scope="module")
def chat(furnished: Running) -> str:
    """The address of a long chat, written by another program."""
    with closing(sqlite3.connect(furnished.folder / "instance" / "tandem.sqlite", timeout=30)) as connection:
        (chat_id,) = connection.execute("SELECT id FROM chats ORDER BY id").fetchone()
        connection.execute("DELETE FROM messages WHERE chatId = ?", (chat_id,))
        for n in range(COUNT):
            at = min(n, COUNT - 3)
            group = ("g", n - at) if n >= COUNT - 3 else (None, None)
            text = "long " * 4000 if n == COUNT - 4 else f"Line {n}."
            raw = '{"model": "of-the-tests"}' if n == COUNT - 5 else None
            moment = f"2026-01-01 {at // 60:02d}:{at % 60:02d}:00.000000"
            role = "ASSISTANT" if n % 2 or group[0] else "USER"
            connection.execute(INSERT, (f"message-{n}", chat_id, role, text, raw, *group, moment))
        connection.commit()
    return f"{furnished.address}/admin/chats/details/?id={chat_id}"


def test_earlier_messages_come_in_place(furnished: Running, enter: Callable[..., Page], chat: str) -> None:
    page = enter(furnished)
    page.goto(chat)
    expect(page.locator("article")).to_have_count(48)
    page.get_by_role("link", name="Earlier messages").scroll_into_view_if_needed()
    seen = page.locator("article").first
    text = seen.inner_text()
    before = seen.bounding_box()
    page.get_by_role("link", name="Earlier messages").click()
    expect(page.locator("article")).to_have_count(98)
    after = page.locator("article", has_text=text.splitlines()[-1]).last.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 60, "what one reads stays where it is"
    expect(page.locator("article:focus")).to_have_count(1)
    page.get_by_role("link", name="Earlier messages").click()
    expect(page.locator("article")).to_have_count(128)
    expect(page.get_by_text("The chat begins here.")).to_be_visible()
    assert page.url == chat


def test_versions_flip_in_place(furnished: Running, enter: Callable[..., Page], chat: str) -> None:
    page = enter(furnished)
    page.goto(chat)
    answer = page.locator("article").last
    expect(answer).to_contain_text(f"Line {COUNT - 1}.")
    answer.get_by_role("link", name="Previous version").click()
    expect(answer).to_contain_text(f"Line {COUNT - 2}.")
    expect(answer.get_by_role("link", name="Previous version")).to_be_focused()
    page.keyboard.press("Enter")
    expect(answer).to_contain_text(f"Line {COUNT - 3}.")
    expect(page.locator("article")).to_have_count(48)
    assert page.url == chat


def test_long_texts_and_raw_data_come_when_asked(furnished: Running, enter: Callable[..., Page], chat: str) -> None:
    page = enter(furnished)
    page.goto(chat)
    long = page.locator(f"[id='m-message-{COUNT - 4}']")
    long.get_by_role("link", name="Show all 20,000 characters").click()
    expect(long.get_by_role("link", name=re.compile("Show all"))).to_have_count(0)
    expect(long.locator(".message-text")).to_have_count(1)
    assert len(long.locator(".message-text").inner_text()) > 19_000
    raw = page.locator(f"[id='m-message-{COUNT - 5}']")
    raw.get_by_role("link", name="Raw response").click()
    expect(raw.get_by_text("of-the-tests")).to_be_visible()


def test_one_walks_writes_edits_and_deletes_with_the_keyboard(
    furnished: Running, enter: Callable[..., Page], chat: str
) -> None:
    page = enter(furnished)
    page.goto(chat)
    page.get_by_role("textbox", name="Text").fill("Typed here.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Added the message.")).to_be_visible()
    assert re.search(r"#m-[0-9a-f-]{36}$", page.url)
    expect(page.get_by_role("textbox", name="Text")).to_have_value("")

    page.wait_for_load_state()  # from then on there are keys
    page.locator("h1").click()
    page.keyboard.press("k")
    last = page.locator("article").last
    expect(last).to_be_focused()
    page.keyboard.press("k")
    expect(last).not_to_be_focused()
    page.keyboard.press("j")
    expect(last).to_be_focused()
    page.keyboard.press("e")
    page.wait_for_url("**/admin/messages/edit/**")
    page.get_by_role("textbox", name="Text").fill("Typed anew.")
    page.keyboard.press("Control+s")
    expect(page.get_by_text("Saved “Typed anew.”.")).to_be_visible()
    page.wait_for_load_state()

    last = page.locator("article").last
    expect(last).to_contain_text("Typed anew.")
    last.get_by_role("button", name="Delete this message").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted the message “Typed anew.”.")).to_be_visible()
    expect(page.locator("article").last).to_contain_text(f"Line {COUNT - 1}.")


def test_no_page_of_a_chat_shuts_anybody_out(furnished: Running, enter: Callable[..., Page], chat: str) -> None:
    page = enter(furnished, color_scheme="light", viewport=WIDE)
    record = chat.partition("?id=")[2]
    told = []
    for path in (
        "/admin/chats/",
        "/admin/chats/new/",
        f"/admin/chats/edit/?id={record}",
        f"/admin/chats/delete/?id={record}",
        f"/admin/chats/details/?id={record}",
        f"/admin/messages/new/?version_of=message-{COUNT - 1}",
        f"/admin/messages/edit/?id=message-{COUNT - 5}",
        f"/admin/messages/details/?id=message-{COUNT - 5}",
    ):
        page.goto(furnished.address + path)
        assert page.locator("h1").count() == 1, path
        page.evaluate("for (const fold of document.querySelectorAll('details.section')) fold.open = true")
        told += shut_out(page)
    assert not told, "\n".join(told)
