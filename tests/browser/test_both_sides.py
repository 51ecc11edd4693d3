"""Each thing one does in the browser, and what then lies on both sides: rows from the driver, files as they are.

The store has no part in the checks.
"""

import hashlib
import json
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import Running
from tests.browser.test_connections import MARKER, make_key
from tests.browser.test_gallery import hand_over, picture
from tests.crash.reader import differences, read_sql
from tests.factories import files_below

CHAT = "Eleven minutes"  # of the demo library: five messages, two of them versions of one answer


class Sides:
    """Both sides of a running Tandem, read plainly."""

    def __init__(self, running: Running) -> None:
        self.running, self.data = running, running.folder / "data"

    def rows(self, question: str, *values: object) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.running.folder / "instance" / "tandem.sqlite", timeout=30)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(question, values)]

    def row(self, question: str, *values: object) -> dict[str, Any]:
        [found] = self.rows(question, *values)
        return found

    def lines(self, path: str) -> list[dict[str, Any]]:
        data = (self.data / path).read_bytes()
        assert data.endswith(b"\n")
        return [json.loads(line) for line in data.splitlines()]

    def json(self, path: str) -> Any:
        return json.loads((self.data / path).read_bytes())

    def settled(self) -> None:
        """Waits until nothing waits any more; then every file is what the rows ask for."""
        deadline = time.monotonic() + 20
        while (sql := read_sql(self.running.sqlite_url)).waiting and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sql.waiting == {}
        told = differences(sql, files_below(self.data))
        # It looks at no bytes of pictures: those are checked by themselves.
        assert [one for one in told if not one.startswith("binaries/")] == []

    def chat(self, chat_id: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The rows and the lines of a chat's messages, after it was checked that they say the same."""
        self.settled()
        rows = self.rows("SELECT * FROM messages WHERE chatId = ? ORDER BY createdAt, swipeIndex, id", chat_id)
        lines = self.lines(f"chats/{chat_id}.jsonl")
        assert [line["id"] for line in lines] == [row["id"] for row in rows]
        for row, line in zip(rows, lines, strict=True):
            for key in ("role", "content", "tokenCount", "swipeGroupId", "swipeIndex"):
                assert line[key] == row[key], key
            assert line["createdAt"] == moment(row["createdAt"])
        for data in (self.data / "chats" / f"{chat_id}.jsonl").read_bytes().splitlines():
            bare, _, end = data.rpartition(b',"extras":{"crc":"')
            assert f"{zlib.crc32(bare + b'}'):08x}" == end[:8].decode()
        [told] = [line for line in self.lines("chats/index.jsonl") if line["id"] == chat_id]
        assert (told["messageCount"], told["lastMessageAt"]) == (len(rows), lines[-1]["createdAt"])
        return rows, lines


def moment(text: str) -> str:
    return f"{text[:10]}T{text[11:23]}Z"


@pytest.fixture(scope="module")
def sides(furnished: Running) -> Iterator[Sides]:
    """Both sides, once the demo library is on both; every test leaves them equal."""
    both = Sides(furnished)
    both.settled()
    yield both
    both.settled()


@pytest.fixture
def chat_id(sides: Sides) -> str:
    return str(sides.row("SELECT id FROM chats WHERE title = ?", CHAT)["id"])


def shown(page: Page, sides: Sides, chat_id: str) -> None:
    page.goto(f"{sides.running.address}/admin/chats/details/?id={chat_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(CHAT)


def test_a_conversation_is_read(sides: Sides, enter: Callable[..., Page], chat_id: str) -> None:
    before = sides.chat(chat_id), (sides.data / "chats" / f"{chat_id}.jsonl").read_bytes()
    page = enter(sides.running)
    page.goto(f"{sides.running.address}/admin/chats/")
    page.get_by_role("link", name=CHAT, exact=True).click()
    (rows, _), _ = before
    spoken = [row["content"] for row in rows if row["swipeIndex"] in (None, 1)]
    expect(page.locator("article .message-text")).to_have_text([text.strip() for text in spoken])
    expect(page.get_by_text("Both sides equal")).to_be_attached()
    assert (sides.chat(chat_id), (sides.data / "chats" / f"{chat_id}.jsonl").read_bytes()) == before


def test_a_message_is_added(sides: Sides, enter: Callable[..., Page], chat_id: str) -> None:
    old = (sides.data / "chats" / f"{chat_id}.jsonl").read_bytes()
    rows, _ = sides.chat(chat_id)
    page = enter(sides.running)
    shown(page, sides, chat_id)
    page.get_by_role("textbox", name="Text").fill("“Über\nthe edge” 🗺")
    page.get_by_role("button", name="Add message").click()
    expect(page.get_by_text("Added the message.")).to_be_visible()
    now, lines = sides.chat(chat_id)
    assert now[:-1] == rows
    assert (now[-1]["role"], now[-1]["content"].replace("\r\n", "\n")) == ("USER", "“Über\nthe edge” 🗺")
    assert lines[-1]["content"] == now[-1]["content"]
    data = (sides.data / "chats" / f"{chat_id}.jsonl").read_bytes()
    assert data.startswith(old), "what was there is not written anew"


def test_a_swipe_is_flipped_and_another_one_written(sides: Sides, enter: Callable[..., Page], chat_id: str) -> None:
    before = sides.chat(chat_id)
    first, second = (row for row in before[0] if row["swipeGroupId"])
    page = enter(sides.running)
    shown(page, sides, chat_id)
    answer = page.locator(f"[id='m-{second['id']}']")
    answer.get_by_role("link", name="Previous version").click()
    answer = page.locator(f"[id='m-{first['id']}']")
    expect(answer.locator(".message-text")).to_have_text(first["content"])
    assert sides.chat(chat_id) == before, "looking at a version changes nothing"

    answer.get_by_role("link", name="Write another version").click()
    page.get_by_role("textbox", name="Text").fill("“Twelve.”")
    page.get_by_role("button", name="Add version").click()
    expect(page.get_by_text("Added another version.")).to_be_visible()
    rows, lines = sides.chat(chat_id)
    made = [row for row in rows if row["swipeGroupId"] == first["swipeGroupId"]]
    assert [(row["swipeIndex"], row["content"]) for row in made[2:]] == [(2, "“Twelve.”")]
    assert {row["createdAt"] for row in made} == {first["createdAt"]}
    assert [line["swipeIndex"] for line in lines if line["swipeGroupId"]] == [0, 1, 2]


def test_an_image_is_dropped(sides: Sides, enter: Callable[..., Page]) -> None:
    page = enter(sides.running)
    page.goto(f"{sides.running.address}/admin/images/")
    page.wait_for_load_state()
    hand_over(page, "[data-drop]", "drop", ("teal.png", "image/png", picture("teal")))
    expect(page.get_by_role("link", name="teal.png", exact=True)).to_be_visible()
    sides.settled()
    row = sides.row("SELECT * FROM images WHERE filename = 'teal.png'")
    [line] = [one for one in sides.lines("binaries/index.jsonl") if one["id"] == row["id"]]
    for key in ("userId", "filename", "mimeType", "size", "width", "height", "source"):
        assert line[key] == row[key], key
    assert (line["type"], line["relativePath"]) == ("image", row["filepath"])
    assert (line["createdAt"], line["updatedAt"]) == (moment(row["createdAt"]), moment(row["updatedAt"]))
    data = (sides.running.folder / "public" / row["filepath"]).read_bytes()
    assert (row["size"], row["width"], row["height"], row["source"]) == (len(data), 320, 200, "upload")
    assert line["sha256"] == hashlib.sha256(data).hexdigest()
    assert (sides.data / "binaries" / line["sha256"] / "raw").read_bytes() == data


def test_a_key_is_added(sides: Sides, enter: Callable[..., Page]) -> None:
    page = enter(sides.running)
    make_key(page, sides.running.address, "For both sides", "OPENAI")
    sides.settled()
    row = sides.row("SELECT * FROM api_keys WHERE label = 'For both sides'")
    [record] = [one for one in sides.json("settings/connection-profiles.json")["apiKeys"] if one["id"] == row["id"]]
    named = {"ciphertext": "keyEncrypted", "iv": "keyIv", "authTag": "keyAuthTag"}
    for key in ("id", "label", "provider", "lastUsed", *named):
        assert record[key] == row[named.get(key, key)], key
    assert record["isActive"] is bool(row["isActive"]) is True
    assert record["extras"] == {"userId": row["userId"]}
    assert (record["createdAt"], record["updatedAt"]) == (moment(row["createdAt"]), moment(row["updatedAt"]))
    check_that_nobody_wrote_it_down(sides.running.folder)


def check_that_nobody_wrote_it_down(folder: Path) -> None:
    """The key's value lies in no file in the clear: not in the database, not in the files, not in the log."""
    for path in folder.rglob("*"):
        if path.is_file():
            assert MARKER.encode() not in path.read_bytes(), path


def test_a_profile_is_made_default(sides: Sides, enter: Callable[..., Page]) -> None:
    page = enter(sides.running)
    page.goto(f"{sides.running.address}/admin/profiles/new/")
    page.get_by_label("Provider").select_option("OLLAMA")
    page.get_by_label("Name", exact=False).first.fill("Second")
    page.get_by_label("Model").fill("qwen3")
    page.get_by_label("Base URL").fill("http://localhost:11434")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/profiles/details/**")
    sides.settled()
    assert defaults(sides) == ["Local model"]
    page.get_by_role("button", name="Make default").click()
    expect(page.locator("#flashes")).to_contain_text("“Second” is the default now.")
    sides.settled()
    assert defaults(sides) == ["Second"]


def defaults(sides: Sides) -> list[str]:
    """The names of the default profiles, which are the same on both sides."""
    rows = sides.rows("SELECT * FROM connection_profiles ORDER BY createdAt, id")
    records = sides.json("settings/connection-profiles.json")["llmProfiles"]
    assert [record["id"] for record in records] == [row["id"] for row in rows]
    for row, record in zip(rows, records, strict=True):
        for key in ("userId", "name", "provider", "apiKeyId", "baseUrl", "modelName"):
            assert record[key] == row[key], key
        assert record["isDefault"] is bool(row["isDefault"])
        assert record["parameters"] == json.loads(row["parameters"])
        assert record["updatedAt"] == moment(row["updatedAt"])
    return [row["name"] for row in rows if row["isDefault"]]
