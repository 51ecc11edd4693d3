"""The gallery in Chromium: pictures that are dropped, pasted or chosen, with and without scripts; nobody shut out."""

import base64
import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.looking import WIDE, shut_out
from tests.browser.making import png_card
from tests.browser.serving import Running


def picture(colour: str, size: tuple[int, int] = (320, 200)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def a_file(name: str, colour: str, **options: Any) -> Any:
    return {"name": name, "mimeType": "image/png", "buffer": picture(colour, **options)}


# Hands files to an element as a mouse or a clipboard would; neither can be driven from outside.
HAND_OVER = """
([selector, event, files]) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    data.items.add(new File([Uint8Array.from(atob(text), (c) => c.charCodeAt(0))], name, { type }));
  }
  const made = event === 'paste'
    ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
    : new DragEvent(event, { dataTransfer: data, bubbles: true, cancelable: true });
  document.querySelector(selector).dispatchEvent(made);
}
"""


def hand_over(page: Page, selector: str, event: str, *files: tuple[str, str, bytes]) -> None:
    told = [[name, kind, base64.b64encode(data).decode()] for name, kind, data in files]
    page.evaluate(HAND_OVER, [selector, event, told])


def all_shown(page: Page) -> None:
    """Every picture of the page was drawn."""
    for shown in page.locator("main img").all():
        shown.scroll_into_view_if_needed()
        expect(shown).to_have_js_property("complete", True)
        assert shown.evaluate("one => one.naturalWidth") > 0


def one_id(running: Running, question: str) -> str:
    with closing(sqlite3.connect(running.folder / "instance" / "tandem.sqlite")) as connection:
        return str(connection.execute(question).fetchone()[0])


def test_pictures_are_chosen_dropped_and_pasted(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished)
    page.goto(f"{furnished.address}/admin/images/")
    page.get_by_label("Pictures to add").set_input_files([a_file("red.png", "red"), a_file("blue.png", "blue")])
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("added", exact=True)).to_have_count(2)
    all_shown(page)

    page.goto(f"{furnished.address}/admin/images/")
    hand_over(page, "[data-drop]", "dragenter", ("green.png", "image/png", picture("green")))
    expect(page.locator("[data-drop][data-over]")).to_be_visible()
    hand_over(page, "[data-drop]", "drop", ("green.png", "image/png", picture("green")))
    expect(page.get_by_role("link", name="green.png", exact=True)).to_be_visible()

    page.wait_for_load_state()
    hand_over(page, "body", "paste", ("notes.txt", "text/plain", b"no picture"))
    expect(page.get_by_text("That is no PNG, JPEG, WebP or GIF.")).to_be_visible()
    hand_over(page, "body", "paste", ("image.png", "image/png", picture("red")))
    expect(page.get_by_text("was there already")).to_be_visible()

    page.goto(f"{furnished.address}/admin/images/?search=red.png")
    all_shown(page)
    page.get_by_role("link", name="red.png", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("red.png")
    expect(page.get_by_text("Both sides equal")).to_be_visible()
    all_shown(page)


def test_a_picture_is_chosen_for_a_character_and_a_delete_asks(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished)
    page.goto(f"{furnished.address}/admin/images/new/")
    page.get_by_label("Pictures to add").set_input_files([a_file("portrait.png", "purple")])
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("added", exact=True)).to_be_visible()
    character = one_id(furnished, "SELECT id FROM characters ORDER BY id")
    page.goto(f"{furnished.address}/admin/characters/edit/?id={character}")
    page.locator(".image-choice", has_text="portrait.png").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{furnished.address}/admin/characters/details/?id={character}")
    expect(page.locator(".page-head img.avatar")).to_be_visible()
    all_shown(page)
    page.goto(f"{furnished.address}/admin/images/?search=portrait.png")
    page.get_by_role("link", name="portrait.png", exact=True).click()
    page.wait_for_url("**/details/**")  # with the script that asks first
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("alertdialog").filter(has_text="Delete the image")
    expect(dialog).to_contain_text("shows it and then shows none")
    dialog.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Deleted 1 image.")).to_be_visible()
    page.goto(f"{furnished.address}/admin/characters/details/?id={character}")
    expect(page.locator(".page-head img.avatar")).to_have_count(0)


def test_everything_works_without_scripts(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished, java_script_enabled=False)
    page.goto(f"{furnished.address}/admin/images/")
    page.get_by_label("Pictures to add").set_input_files([a_file("orange.png", "orange")])
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("added", exact=True)).to_be_visible()
    persona = one_id(furnished, "SELECT id FROM personas ORDER BY id")
    page.goto(f"{furnished.address}/admin/personas/edit/?id={persona}")
    page.locator(".image-choice", has_text="orange.png").locator("input").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(f"{furnished.address}/admin/images/?search=orange.png")
    page.get_by_role("link", name="orange.png", exact=True).click()
    page.get_by_label("New ones, separated by commas").fill("Sunset")
    page.get_by_role("button", name="Add tags").click()
    expect(page.get_by_text("has 1 more tag.")).to_be_visible()
    expect(page.get_by_role("link", name="Sunset")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("shows it and then shows none")).to_be_visible()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Deleted 1 image.")).to_be_visible()


def test_a_card_brings_its_picture_and_takes_it_along(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished)
    page.goto(f"{furnished.address}/admin/cards/")
    card: Any = {"name": "seraphina.png", "mimeType": "image/png", "buffer": png_card()}
    page.get_by_label("Files").set_input_files([card])
    page.get_by_role("button", name="Show what they hold").click()
    page.get_by_role("button", name="Import the chosen cards").click()
    expect(page.get_by_text("Imported 1 card.")).to_be_visible()
    row = page.locator("tr", has_text="Seraphina").first
    expect(row.locator("img.avatar")).to_be_visible()
    all_shown(page)
    row.get_by_role("link", name="Seraphina", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Card as PNG").click()
    assert waiting.value.suggested_filename == "Seraphina.png"
    exported = Image.open(waiting.value.path())
    assert exported.size == (400, 600)
    assert {"chara", "ccv3"} <= exported.text.keys()  # type: ignore[attr-defined]


def test_no_page_of_the_gallery_shuts_anybody_out(furnished: Running, enter: Callable[..., Page]) -> None:
    page, told = enter(furnished, color_scheme="light", viewport=WIDE), []
    page.goto(f"{furnished.address}/admin/images/")
    files = [a_file("one-with-a-rather-long-name-of-a-file.png", "#500abc")]
    files.append({"name": "broken.png", "mimeType": "image/png", "buffer": b"\x89PNG"})
    page.get_by_label("Pictures to add").set_input_files(files)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_text("not added")).to_be_visible()
    told += shut_out(page)
    image = one_id(furnished, "SELECT id FROM images ORDER BY createdAt DESC")
    character = one_id(furnished, "SELECT id FROM characters ORDER BY id")
    for path in (
        "/admin/images/",
        "/admin/images/?source=upload&search=long&sort=size",
        "/admin/images/?search=nothing-like-this",
        f"/admin/images/details/?id={image}",
        f"/admin/images/edit/?id={image}",
        f"/admin/images/delete/?id={image}",
        "/admin/images/new/",
        f"/admin/characters/edit/?id={character}",
        f"/admin/characters/details/?id={character}",
    ):
        page.goto(furnished.address + path)
        told += shut_out(page)
    assert not told, "\n".join(told)
