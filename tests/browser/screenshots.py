"""Takes the pictures of the documentation: ``make screenshots``. Nine pages, light and dark, wide and on a phone; only
those whose names are given, where some are."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.making import pictures, png_card
from tests.browser.serving import PASSWORD, ROOT, Running

TARGET = ROOT / "docs" / "screenshots"
SIZES = {"wide": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}


def sign_in(browser: Browser, tandem: Running, scheme: str, size: str) -> Page:
    page = browser.new_context(viewport=SIZES[size], color_scheme=scheme, locale="en-GB").new_page()  # type: ignore[arg-type]
    page.goto(f"{tandem.address}/login")
    page.get_by_label("Name").fill("mira")
    page.get_by_label("Password").first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
    return page


def shoot(page: Page, name: str) -> None:
    if sys.argv[1:] and not name.startswith(tuple(sys.argv[1:])):
        return
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    page.screenshot(path=TARGET / f"{name}.png")


def furnish(browser: Browser, tandem: Running) -> None:
    """Pictures for the gallery, and one for whom the pictures show most."""
    page = sign_in(browser, tandem, "light", "wide")
    page.goto(f"{tandem.address}/admin/images/")
    page.get_by_label("Pictures to add").set_input_files(pictures())  # type: ignore[arg-type]
    page.get_by_role("button", name="Add", exact=True).click()
    page.wait_for_load_state()
    page.goto(f"{tandem.address}/admin/characters/")
    page.get_by_role("link", name="Edit Lyra Fenwick").click()
    page.locator(".image-choice", has_text="lyra.png").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_load_state()
    page.context.close()


def take(browser: Browser, tandem: Running, scheme: str, size: str) -> None:
    page = sign_in(browser, tandem, scheme, size)
    shoot(page, f"home-{size}-{scheme}")
    page.goto(f"{tandem.address}/admin/characters/")
    shoot(page, f"characters-{size}-{scheme}")
    page.get_by_role("link", name="Edit Lyra Fenwick").click()
    shoot(page, f"character-form-{size}-{scheme}")
    page.goto(f"{tandem.address}/admin/chats/")
    page.get_by_role("link", name="Eleven minutes", exact=True).click()
    shoot(page, f"conversation-{size}-{scheme}")
    page.goto(f"{tandem.address}/admin/images/")
    shoot(page, f"gallery-{size}-{scheme}")
    export_and_validate(page, tandem, size, scheme)
    page.goto(f"{tandem.address}/admin/cards/")
    files = [
        {"name": "seraphina.png", "mimeType": "image/png", "buffer": png_card()},
        {"name": "half.png", "mimeType": "image/png", "buffer": png_card()[:400]},
    ]
    page.get_by_label("Files").set_input_files(files)  # type: ignore[arg-type]
    page.get_by_role("button", name="Show what they hold").click()
    page.wait_for_url("**/preview?**")
    shoot(page, f"import-preview-{size}-{scheme}")
    page.context.close()


def export_and_validate(page: Page, tandem: Running, size: str, scheme: str) -> None:
    """A difference made by hand, found; and an export that puts it right."""
    path = max((tandem.folder / "data" / "characters").glob("*.json"))
    record = json.loads(path.read_bytes())
    path.write_text(json.dumps({**record, "description": record["description"].replace("the", "a", 1)}))
    page.goto(f"{tandem.address}/admin/validation/")
    page.get_by_role("button", name="Validate now").click()
    page.locator(".notice", has_text="Both sides differ").wait_for()
    page.locator("#job-line", has_text="done").wait_for()
    shoot(page, f"validation-{size}-{scheme}")
    page.get_by_role("link", name="1 different").click()
    page.get_by_role("link", name=path.stem).click()
    shoot(page, f"difference-{size}-{scheme}")
    page.goto(f"{tandem.address}/admin/exports/")
    page.get_by_role("button", name="Export now").click()
    page.locator(".notice", has_text="in use: gen-").wait_for()
    page.goto(f"{tandem.address}/admin/exports/")
    shoot(page, f"exports-{size}-{scheme}")


def main() -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("Pictures need Chromium: install it (apt install chromium) and try again.")
    TARGET.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        tandem = Running(Path(folder))
        tandem.command("demo", "load")
        tandem.command("accounts", "create", "mira", "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        furnish(browser, tandem)
        for scheme in ("light", "dark"):
            for size in SIZES:
                take(browser, tandem, scheme, size)
        browser.close()
        tandem.stop()


if __name__ == "__main__":
    main()
