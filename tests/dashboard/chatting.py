"""Chats for the tests of their pages, and what a page of one says."""

import io
import re
from typing import Any

from PIL import Image as Pillow
from werkzeug.test import TestResponse

from store import Store
from store.documents import Attachment, Chat, Message
from tests.dashboard.browsing import words
from tests.factories import assert_everything_is_equal, make_chat, make_message

FRAGMENT = {"Accept": "*/*", "Sec-Fetch-Mode": "cors"}


def address(chat: Chat) -> str:
    return f"/admin/chats/details/?id={chat.id}"


def said(response: TestResponse) -> list[str]:
    """The texts of the messages on a page, in their order."""
    found = re.findall(r'<div class="message-text[^>]*>(.*?)</div>', response.text, re.DOTALL)
    return [words(one) for one in found]


def link(response: TestResponse, label: str) -> str:
    """Where a link of this name leads."""
    for target, inside in re.findall(r'<a href="([^"]*)"[^>]*>(.*?)</a>', response.text, re.DOTALL):
        if words(inside) == label:
            return str(target.replace("&amp;", "&"))
    raise AssertionError(f"no link “{label}”")


def assert_both_sides_are_equal(store: Store) -> None:
    """Also in what a chat's line says of its messages, which is written a little later."""
    store.catch_up()
    assert_everything_is_equal(store)


def picture() -> bytes:
    target = io.BytesIO()
    Pillow.new("RGB", (30, 20), "#2f5d50").save(target, "PNG")
    return target.getvalue()


def attach_file(
    store: Store, chat: Chat, filename: str = "map.png", data: bytes | None = None, **rest: Any
) -> Attachment:
    """A file of a chat; with ``data`` its bytes are there."""
    path = f"uploads/chat-files/{chat.id}-{filename}"
    if data is not None:
        store.public.save(path, data)
    fields = {"chatId": chat.id, "filename": filename, "filepath": path, "mimeType": "image/png", "size": 3, **rest}
    made: Attachment = store.attachments.create(fields).value
    return made


def a_long_chat(store: Store, count: int) -> Chat:
    chat = make_chat(store, "Long")
    moment = "2026-01-01T{:02d}:{:02d}:00.000Z"
    several = [
        {"role": "USER", "content": f"Line {n}.", "createdAt": moment.format(n // 60, n % 60)} for n in range(count)
    ]
    store.chats.add_messages(chat.id, several)
    return chat


def a_swiped_chat(store: Store) -> tuple[Chat, list[Message]]:
    chat = make_chat(store)
    make_message(store, chat, "Question?")
    first = make_message(store, chat, "one", role="ASSISTANT")
    rest = [store.chats.add_swipe(first.id, {"content": text}).value for text in ("two", "three")]
    return chat, [first, *rest]
