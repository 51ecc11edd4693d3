"""Coming in, with a real browser and the real program."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.serving import PASSWORD, Running


def test_the_printed_address_leads_to_an_account_and_keeps_its_token_to_itself(running: Running, page: Page) -> None:
    printed = running.welcome.split()[-1]
    token = printed.partition("#token=")[2]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(printed)
    expect(page.get_by_label("Set-up token")).to_have_value(token)
    expect(page.get_by_label("Name")).to_be_focused()
    assert page.url == f"{running.address}/setup"
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password again").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    page.wait_for_url(f"{running.address}/admin/")
    assert [url for url in asked if token in url] == []


def test_one_signs_in_with_the_keyboard_alone_and_out_again(furnished: Running, page: Page) -> None:
    address = furnished.address
    page.goto(f"{address}/logout")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("vera")
    page.keyboard.press("Tab")
    page.keyboard.type("wrong wrong wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("do not belong together")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/logout")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{address}/login")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    page.goto(f"{address}/admin/tags/")
    assert page.url.startswith(f"{address}/login?next=")


@pytest.mark.parametrize("path", ["/login", "/setup"])
def test_the_first_pages_fit_a_phone(running: Running, furnished: Running, page: Page, path: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{(furnished if path == '/login' else running).address}{path}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
