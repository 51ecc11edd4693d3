"""A running Tandem and a person signed in to it."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page

from tests.browser.serving import PASSWORD, Running


@pytest.fixture
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A fresh Tandem without any account."""
    tandem = Running(tmp_path_factory.mktemp("tandem"))
    yield tandem
    tandem.stop()


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Tandem with the demo library and the accounts ada (admin) and vera (viewer); the tests of a module share it."""
    tandem = Running(tmp_path_factory.mktemp("furnished"))
    assert tandem.command("demo", "load").returncode == 0
    for name, role in (("ada", "admin"), ("vera", "viewer")):
        made = tandem.command("accounts", "create", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
        assert made.returncode == 0, made.stderr
    yield tandem
    tandem.stop()


@pytest.fixture
def enter(new_page: Callable[..., Page]) -> Callable[..., Page]:
    """Signs somebody in, in a window with Playwright's options, and shows the home page."""

    def sign_in(tandem: Running, name: str = "ada", **options: object) -> Page:
        page = new_page(**{"viewport": {"width": 1280, "height": 800}, **options})
        page.goto(f"{tandem.address}/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").first.fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/admin/")
        return page

    return sign_in
