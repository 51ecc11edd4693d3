"""A second factor from its first code to a recovery code, and the question before a key is added, in a real browser."""

import sqlite3
import time

import pyotp
from playwright.sync_api import Page, expect

from tests.browser.serving import PASSWORD, Running

SECRET = "sk-nobody-may-see-this-again-7Jq2"


def forget_proofs(tandem: Running) -> None:
    """As if everybody had given the password long ago."""
    connection = sqlite3.connect(tandem.folder / "instance" / "tandem.sqlite", timeout=20)
    with connection:
        connection.execute("UPDATE tandem_sessions SET proved_at = '2020-01-01 00:00:00.000000'")
    connection.close()


def give_password(page: Page, tandem: Running) -> None:
    page.goto(f"{tandem.address}/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/code")


def sign_out(page: Page, tandem: Running) -> None:
    page.goto(f"{tandem.address}/logout")
    page.get_by_role("button", name="Sign out").first.click()
    page.wait_for_url("**/login")


def test_a_second_factor_is_set_up_and_lets_in_by_app_and_by_recovery_code(furnished: Running, page: Page) -> None:
    tandem, problems = furnished, []
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{tandem.address}/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")

    page.locator("details.account > summary").click()
    page.get_by_role("link", name="Your account").click()
    page.get_by_role("link", name="Set it up").click()
    page.get_by_role("button", name="Set it up").click()
    drawn = page.get_by_role("img", name="QR code with the key below").locator("svg path")
    expect(drawn).to_be_visible()
    key = page.locator(".key code").inner_text().replace(" ", "")
    app = pyotp.TOTP(key)
    page.get_by_label("Code that the app shows now").fill("000000")
    page.get_by_role("button", name="Switch it on").click()
    expect(page.get_by_label("Code that the app shows now")).to_be_focused()
    expect(page.get_by_text("It is not the code that the app shows now")).to_be_visible()
    first = int(time.time()) // 30
    page.get_by_label("Code that the app shows now").fill(app.generate_otp(first))
    page.get_by_role("button", name="Switch it on").click()
    shown = page.locator("ol.codes code")
    expect(shown).to_have_count(10)
    codes = shown.all_inner_texts()
    assert len(set(codes)) == 10
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.path().read_text().split() == codes
    page.get_by_role("link", name="I have kept them").click()

    sign_out(page, tandem)
    give_password(page, tandem)
    expect(page.get_by_label("Code from your app")).to_be_focused()
    page.keyboard.type(app.generate_otp(first))  # counts once, and it was given before
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("not right, or was used before")
    page.get_by_label("Code from your app").fill(app.generate_otp(max(first + 1, int(time.time()) // 30)))
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")

    sign_out(page, tandem)
    give_password(page, tandem)
    page.get_by_text("I do not have my app at hand").click()
    page.get_by_label("Recovery code").fill(codes[0].upper())
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/admin/")
    page.goto(f"{tandem.address}/account/two-factor")
    expect(page.get_by_text("9 codes left")).to_be_visible()

    ask_before_a_key(page, tandem, codes[1:])
    # The browser itself reports the refusals as errors; nothing else may be one.
    assert [problem for problem in problems if "the server responded with a status of" not in problem] == []


def ask_before_a_key(page: Page, tandem: Running, codes: list[str]) -> None:
    """Adding a key asks for password and code; a form that was sent too late keeps what was typed, but no secret."""

    def prove() -> None:
        expect(page.get_by_role("heading", name="Is it still you, ada?")).to_be_visible()
        assert SECRET not in page.content()
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_text("I do not have my app at hand").click()
        page.get_by_label("Recovery code").fill(codes.pop())
        page.get_by_role("button", name="Go on").click()

    forget_proofs(tandem)
    page.goto(f"{tandem.address}/admin/keys/")
    page.get_by_role("link", name="New API key").first.click()
    prove()
    page.wait_for_url("**/admin/keys/new/**")
    page.get_by_label("Label").fill("Typed once")
    page.get_by_label("Provider").select_option("OPENAI")
    page.get_by_label("The key's value").fill(SECRET)
    forget_proofs(tandem)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("What you typed is kept.")).to_be_visible()
    prove()
    expect(page.get_by_label("Label")).to_have_value("Typed once")
    expect(page.get_by_label("Provider")).to_have_value("OPENAI")
    expect(page.get_by_label("The key's value")).to_have_value("")
    page.get_by_label("The key's value").fill(SECRET)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("Created the API key “Typed once”.")).to_be_visible()
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert SECRET not in stored
    log = (tandem.folder / "server.log").read_text()
    assert not any(secret in log for secret in (SECRET, PASSWORD, *codes))
