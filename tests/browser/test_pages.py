"""Every page in Chromium: nothing the security policy stops, nothing that shuts people out, nothing too wide."""

import sqlite3
from collections.abc import Callable
from contextlib import closing

from playwright.sync_api import Page

from tests.browser.looking import PHONE, WIDE, shut_out
from tests.browser.making import png_card
from tests.browser.serving import Running

NOUNS = ("characters", "personas", "tags", "chats")  # profiles, keys and users: test_connections.py
EMPTY = ("images", "keys", "accounts", "sessions", "tokens")  # in the demo library; with records: the modules beside
PATHS = (
    "/admin/",
    *(f"/admin/{noun}/{page}" for noun in NOUNS for page in ("", "new/")),
    *(f"/admin/{noun}/{page}/?id={{{noun}}}" for noun in NOUNS for page in ("details", "edit", "delete")),
    *(f"/admin/{noun}/" for noun in EMPTY),
    "/admin/images/new/",
    *(f"/admin/messages/{page}/?id={{messages}}" for page in ("details", "edit", "delete")),
    "/admin/messages/new/?chat={chats}",
    "/admin/messages/new/?version_of={messages}",
    "/admin/characters/?tag={tags}&favorite=1&sort=updatedAt&desc=1&page_size=20",
    "/admin/characters/?search=nobody",
    "/admin/users/new/",
    "/admin/cards/",
    "/admin/exports/",
    "/admin/exports/import",
    "/admin/validation/",
    "/admin/audit/",
    "/admin/audit/entry?id={entry}",
    "/admin/characters/history/?id={characters}",
    "/admin/characters/change/?entry={entry}",
    "/admin/people/",
    "/admin/people/new",
    "/admin/people/person?id={accounts}",
    "/admin/migration/",
    "/admin/rules/",
    "/account/",
    "/account/password",
    "/account/two-factor",
    "/reauth?next=/account/",
    "/admin/nowhere",
)  # fmt: skip


def ids(running: Running) -> dict[str, str]:
    """A record of each noun."""
    with closing(sqlite3.connect(running.folder / "instance" / "tandem.sqlite")) as connection:
        tables = {name: name for name in ("characters", "personas", "tags", "users", "chats", "messages")}
        tables |= {"profiles": "connection_profiles", "image-profiles": "image_profiles"}
        tables |= {"accounts": "tandem_accounts", "entry": "tandem_audit WHERE kind = 'character'"}
        return {
            name: connection.execute(f"SELECT id FROM {table} ORDER BY id").fetchone()[0]
            for name, table in tables.items()
        }


def test_no_page_shuts_anybody_out(furnished: Running, enter: Callable[..., Page]) -> None:
    page = enter(furnished, color_scheme="light", viewport=WIDE)
    known, told = ids(furnished), []
    for path in PATHS:
        page.goto(furnished.address + path.format(**known))
        assert page.locator("h1").count() == 1, path
        told += shut_out(page)
    page.goto(f"{furnished.address}/admin/cards/")
    cards = [
        {"name": "lamp.png", "mimeType": "image/png", "buffer": png_card(name="Lamp")},
        {"name": "broken.json", "mimeType": "application/json", "buffer": b"{"},
    ]
    page.get_by_label("Files").set_input_files(cards)  # type: ignore[arg-type]
    page.get_by_role("button", name="Show what they hold").click()
    page.wait_for_url("**/preview?**")
    told += shut_out(page)
    assert not told, "\n".join(told)


def test_the_door_shuts_nobody_out(running: Running, new_page: Callable[..., Page]) -> None:
    page = new_page(color_scheme="dark", viewport=PHONE)
    page.goto(f"{running.address}/setup")
    told = shut_out(page)
    made = running.command("accounts", "create", "ada", "--role", "admin", "--password-stdin", stdin="a long phrase\n")
    assert made.returncode == 0, made.stderr
    page.goto(f"{running.address}/login")
    told += shut_out(page)
    assert not told, "\n".join(told)
