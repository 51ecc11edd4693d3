"""What a newcomer does in the first hour, in a real browser, and what then lies on both sides."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.making import png_card
from tests.browser.serving import PASSWORD, Running
from tests.crash.reader import differences, read_sql
from tests.factories import files_below

KEYS = [
    "id", "userId", "name", "title", "description", "personality", "scenario", "firstMessage", "exampleDialogues",
    "systemPrompt", "avatarUrl", "defaultImageId", "sillyTavernData", "isFavorite", "personaLinks", "tags",
    "avatarOverrides", "createdAt", "updatedAt", "extras",
]  # fmt: skip


def make_first_account(page: Page, running: Running) -> None:
    address = re.search(r"http://\S+", running.welcome)
    assert address, running.welcome
    page.goto(address[0])
    page.get_by_label("Name").fill("mira")
    for box in page.locator("input[type=password]").all():
        if box.get_attribute("name") != "token":
            box.fill(PASSWORD)
    page.get_by_role("button", name=re.compile("account", re.IGNORECASE)).click()
    page.wait_for_url("**/admin/")


def test_a_card_is_imported_edited_and_tagged_and_both_sides_hold_the_same(
    running: Running, page: Page, tmp_path: Path
) -> None:
    (tmp_path / "seraphina.png").write_bytes(png_card())
    (tmp_path / "broken.png").write_bytes(png_card()[:300])
    make_first_account(page, running)

    page.goto(f"{running.address}/admin/characters/")
    page.get_by_role("link", name=re.compile("Import card")).first.click()
    page.get_by_label("Files").set_input_files([tmp_path / "seraphina.png", tmp_path / "broken.png"])
    page.get_by_role("button", name="Show what they hold").click()
    expect(page.get_by_text("Seraphina").first).to_be_visible()
    expect(page.get_by_text("Forest (new)")).to_be_visible()
    expect(page.get_by_text("broken.png").first).to_be_visible()
    page.get_by_label("E-mail").fill("mira@example.org")
    page.get_by_role("button", name="Import the chosen cards").click()
    expect(page.get_by_text("Imported 1 card.")).to_be_visible()

    page.get_by_role("link", name="Edit Seraphina").click()
    page.get_by_label("Name", exact=False).first.fill("Seraphina of the Glade")
    picker = page.locator("[data-tag-picker] input[role=combobox]").first
    picker.fill("Druid")
    page.get_by_role("option", name=re.compile("Create.*Druid")).click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("link", name="Seraphina of the Glade", exact=True).first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Seraphina of the Glade")
    expect(page.get_by_text("Both sides equal")).to_be_visible()

    sql, files = read_sql(running.sqlite_url), files_below(running.folder / "data")
    assert differences_without_numbers(sql, files) == []
    check_the_file(running)
    check_the_picture(running)


def differences_without_numbers(sql: object, files: dict[str, bytes]) -> list[str]:
    """The plain reader of tests/crash reads 1.50 as a float and looks at no bytes; those files are checked by
    themselves."""
    told = differences(sql, files)  # type: ignore[arg-type]
    return [one for one in told if not one.startswith(("characters/", "binaries/"))]


def check_the_file(running: Running) -> None:
    """Quilltap's key order, ``extras`` last, and every value of the row in its place, to the last digit."""
    (path,) = (running.folder / "data" / "characters").iterdir()
    record = json.loads(path.read_bytes(), parse_float=str, parse_int=str)
    with closing(sqlite3.connect(running.folder / "instance" / "tandem.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM characters").fetchone()
        links = connection.execute("SELECT * FROM character_tags ORDER BY createdAt, id").fetchall()
        names = {one["id"]: one["name"] for one in connection.execute("SELECT * FROM tags")}
    assert list(record) == KEYS
    assert record["name"] == row["name"] == "Seraphina of the Glade"
    for key in KEYS[:12]:
        assert record[key] == row[key], key
    assert record["sillyTavernData"] == json.loads(row["sillyTavernData"], parse_float=str, parse_int=str)
    assert record["sillyTavernData"]["data"]["future_field"] == {"kept": ["1.5", "12345678901234567890123"]}
    assert sorted(names[tag_id] for tag_id in record["tags"]) == ["Druid", "Forest", "Healer"]
    assert record["extras"]["tagLinks"] == [
        {"id": link["id"], "tagId": link["tagId"], "createdAt": moment(link["createdAt"])} for link in links
    ]
    assert (record["createdAt"], record["updatedAt"]) == (moment(row["createdAt"]), moment(row["updatedAt"]))
    assert not path.read_bytes().endswith(b"\n")


def check_the_picture(running: Running) -> None:
    """The card's picture lies where Quilltap serves it, its hash is told, and the JSON side has a copy."""
    (line,) = (running.folder / "data" / "binaries" / "index.jsonl").read_bytes().splitlines()
    record = json.loads(line)
    data = (running.folder / "public" / record["relativePath"]).read_bytes()
    assert (record["type"], record["source"], record["filename"]) == ("image", "import", "seraphina.png")
    assert (record["width"], record["height"], record["size"]) == (400, 600, len(data))
    assert record["sha256"] == hashlib.sha256(data).hexdigest()
    assert (running.folder / "data" / "binaries" / record["sha256"] / "raw").read_bytes() == data
    (character,) = (running.folder / "data" / "characters").iterdir()
    assert json.loads(character.read_bytes())["defaultImageId"] == record["id"]


def moment(text: str) -> str:
    return f"{text[:10]}T{text[11:23]}Z"
