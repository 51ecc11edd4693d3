"""Keys, profiles and sign-in records in Chromium: whom they shut out, and what stays in the browser."""

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looking import WIDE, shut_out
from tests.browser.serving import Running

MARKER = "sk-marker-7Jq2ZlTfX0-never-to-be-seen-aGx9Pq"


def make_key(page: Page, address: str, label: str, provider: str) -> None:
    page.goto(f"{address}/admin/keys/new/")
    page.get_by_label("Label").fill(label)
    page.get_by_label("Provider").select_option(provider)
    page.get_by_label("The key's value").fill(MARKER)
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/keys/details/**")


@pytest.fixture(scope="module")
def connected(furnished: Running) -> Running:
    """The furnished Tandem with one of each sign-in record."""
    with closing(sqlite3.connect(furnished.folder / "instance" / "tandem.sqlite")) as connection, connection:
        [user] = connection.execute("SELECT id FROM users ORDER BY id LIMIT 1").fetchone()
        moment = "2099-01-01 00:00:00.000000"
        connection.execute(
            "INSERT INTO accounts (id, userId, type, provider, providerAccountId, access_token)"
            " VALUES (?, ?, 'oauth', 'google', '1234567890', ?)",
            ("8b1f5a6e-0000-4000-8000-000000000001", user, MARKER),
        )
        connection.execute(
            "INSERT INTO sessions (id, sessionToken, userId, expires) VALUES (?, ?, ?, ?)",
            ("8b1f5a6e-0000-4000-8000-000000000002", MARKER, user, moment),
        )
        connection.execute(
            "INSERT INTO verification_tokens (identifier, token, expires) VALUES (?, ?, ?)",
            ("ada@example.org", MARKER, moment),
        )
    return furnished


def test_no_page_shuts_anybody_out(connected: Running, enter: Callable[..., Page]) -> None:
    page = enter(connected, color_scheme="light", viewport=WIDE)
    make_key(page, connected.address, "Key to look at", "OPENAI")
    key = page.url.partition("id=")[2].partition("&")[0]
    paths = [f"/admin/keys/{name}/?id={key}" for name in ("details", "edit", "replace", "delete")]
    paths += [f"/admin/{noun}/{name}" for noun in ("keys", "profiles", "image-profiles") for name in ("", "new/")]
    told = []
    for noun in ("profiles", "image-profiles", "accounts", "sessions", "tokens", "users"):
        page.goto(f"{connected.address}/admin/{noun}/")
        details = page.locator("tr[data-href]").first.get_attribute("data-href")
        assert details is not None, noun
        paths += [f"/admin/{noun}/", details]
        paths += [] if noun == "users" else [details.replace("details", "delete")]
        paths += [details.replace("details", "edit")] if noun in ("profiles", "image-profiles", "users") else []
    for path in dict.fromkeys(paths):
        page.goto(connected.address + path)
        assert page.locator("h1").count() == 1, path
        assert MARKER not in page.content(), path
        told += shut_out(page)
    assert not told, "\n".join(told)


def test_the_keys_to_choose_from_follow_the_provider(connected: Running, enter: Callable[..., Page]) -> None:
    page = enter(connected)
    make_key(page, connected.address, "For Grok", "GROK")
    page.goto(f"{connected.address}/admin/profiles/new/")
    keys = page.get_by_label("API key")
    expect(keys.get_by_text("For Grok")).to_have_count(0)
    page.get_by_label("Provider").select_option("GROK")
    expect(keys.get_by_text("For Grok")).to_have_count(1)
    keys.select_option("For Grok")
    page.get_by_label("Provider").select_option("ANTHROPIC")
    expect(keys.get_by_text("For Grok")).to_have_count(0)
    expect(keys).to_have_value("")
    page.get_by_label("Provider").select_option("GROK")
    expect(keys.get_by_text("For Grok")).to_have_count(1)
    keys.select_option("For Grok")
    page.get_by_label("Name", exact=False).first.fill("Witty")
    page.get_by_label("Model").fill("grok-4")
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/profiles/details/**")
    expect(page.get_by_role("link", name="For Grok")).to_be_visible()
    page.get_by_role("button", name="Make default").click()
    expect(page.locator("#flashes")).to_contain_text("“Witty” is the default now.")


def test_the_value_of_a_key_is_kept_nowhere_in_the_browser(connected: Running, enter: Callable[..., Page]) -> None:
    page = enter(connected)
    page.goto(f"{connected.address}/admin/keys/new/")
    page.get_by_label("Label").fill("Half typed")
    value = page.get_by_label("The key's value")
    expect(value).to_have_attribute("type", "password")
    expect(value).to_have_attribute("autocomplete", "new-password")
    value.fill(MARKER)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(f"{connected.address}/admin/keys/new/")
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert "Half typed" in kept
    assert MARKER not in kept
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_label("Label")).to_have_value("Half typed")
    expect(page.get_by_label("The key's value")).to_have_value("")
    page.get_by_label("The key's value").fill(MARKER)
    page.get_by_label("Label").fill("")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("For safety it is not kept")).to_be_visible()
    expect(page.get_by_label("The key's value")).to_have_value("")
    assert MARKER not in page.content()


def test_a_session_is_revoked_after_a_dialog_asked(connected: Running, enter: Callable[..., Page]) -> None:
    page = enter(connected)
    page.goto(f"{connected.address}/admin/sessions/")
    page.get_by_role("button", name=re.compile("Revoke session of")).first.click()
    dialog = page.get_by_role("alertdialog")
    expect(dialog).to_contain_text("has to sign in to Quilltap again")
    dialog.get_by_role("button", name="Revoke").click()
    expect(page.locator("#flashes")).to_contain_text("Revoked the session")
    expect(page.get_by_text("There is no session.")).to_be_visible()
