"""The look at pages sees what is wrong in one of the two looks only, whichever comes first, and nothing half faded."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, ViewportSize

from tests.browser.looking import PHONE, WIDE, shut_out

PAGE = """<!doctype html><html lang=en><title>A page</title><main><h1>A page</h1><p>Grey on <b>grey</b>.</p>
<button><span>Save</span></button><div></div></main><style>
  * { transition: color .1s; }
  body { background: #fff; color: #111; } button { background: #fff; color: #111; }
  @media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } }
</style>"""
FAULTS = """<style>
  @media (prefers-color-scheme: dark) { body { color: #222; } }
  @media (max-width: 799px) { button span { display: none; } }
  @media (min-width: 800px) { div { width: 2000px; height: 1px; } }
</style>"""


@pytest.mark.parametrize(("viewport", "scheme"), [(WIDE, "light"), (PHONE, "dark")], ids=["wide first", "phone first"])
def test_a_fault_of_one_look_is_seen(new_page: Callable[..., Page], viewport: ViewportSize, scheme: str) -> None:
    page = new_page(viewport=viewport, color_scheme=scheme)
    page.set_content(PAGE + FAULTS)
    told = "\n".join(shut_out(page))
    assert "color-contrast" in told
    assert "button-name" in told
    assert told.count("px too wide") == 1
    page.set_content(PAGE)
    assert shut_out(page) == []
