"""A running Tandem and a person signed in to it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, StorageState, expect

from tests.browser.serving import PASSWORD, Running

expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="session")
def signed_in() -> dict[tuple[Path, str], StorageState]:
    """Who came in to which Tandem, with the cookie they got."""
    return {}


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fresh Tandem without any account."""
    tandem = Running(tmp_path_factory.mktemp("tandem"))
    yield tandem
    tandem.stop()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Tandem that has stopped, with the demo library and the accounts ada (admin) and vera (viewer)."""
    tandem = Running(tmp_path_factory.mktemp("library"))
    assert tandem.command("demo", "load").returncode == 0
    for name, role in (("ada", "admin"), ("vera", "viewer")):
        made = tandem.command("accounts", "create", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
        assert made.returncode == 0, made.stderr
    tandem.stop()
    return tandem.folder


@pytest.fixture(scope="module")
def furnished(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Tandem on a copy of the library; the tests of a module share it."""
    tandem = Running(shutil.copytree(library, tmp_path_factory.mktemp("furnished"), dirs_exist_ok=True))
    yield tandem
    tandem.stop()


@pytest.fixture
def enter(new_page: Callable[..., Page], signed_in: dict[tuple[Path, str], StorageState]) -> Callable[..., Page]:
    """Shows somebody the home page, in a window with Playwright's options; signs in where that was not done yet."""

    def come_in(tandem: Running, name: str = "ada", **options: object) -> Page:
        who = (tandem.folder, name)  # not its address: another may get the same port later
        page = new_page(**{"viewport": {"width": 1280, "height": 800}, "storage_state": signed_in.get(who), **options})
        if who not in signed_in:
            page.goto(f"{tandem.address}/login")
            page.get_by_label("Name").fill(name)
            page.get_by_label("Password").first.fill(PASSWORD)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/admin/")
            signed_in[who] = page.context.storage_state()
        page.goto(f"{tandem.address}/admin/")
        return page

    return come_in
