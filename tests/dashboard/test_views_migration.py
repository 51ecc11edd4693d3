"""The page of the six phases: what is fulfilled, and the button or command for what is not."""

from typing import get_args

from dashboard.views.migration import WAYS
from store import Store
from store.phases import PHASES, By
from tests.dashboard.browsing import words
from tests.dashboard.entering import Visitor
from tests.factories import make_character, make_key

PAGE = "/admin/migration/"


def test_every_way_is_known() -> None:
    assert set(WAYS) == set(get_args(By)) - {""}


def test_it_says_where_one_stands_and_what_comes_next(viewer: Visitor, store: Store) -> None:
    make_character(store)
    page = viewer.get(PAGE).text
    told = words(page)
    assert [phase.name for phase in PHASES if phase.name in told] == [phase.name for phase in PHASES]
    assert "here, DATA_BACKEND=dual" in told
    for command in ("flask --app app data inventory", "flask --app app data validate", "DATA_BACKEND=json"):
        assert f"<code>{command}</code>" in page
        assert f'data-copy="{command}"' in page
    assert "<code>flask --app app data capture on</code>" not in page, "that is fulfilled"
    assert 'href="/admin/validation/"' in page
    store.inventory()
    assert "flask --app app data inventory" not in viewer.get(PAGE).text


def test_without_triggers_the_command_that_puts_them_in_place_is_named(viewer: Visitor, store: Store) -> None:
    store.capture_off()
    page = viewer.get(PAGE).text
    assert "Triggers are missing" in page
    assert "<code>flask --app app data capture on</code>" in page


def test_of_secrets_viewers_learn_nothing(viewer: Visitor, editor: Visitor, store: Store) -> None:
    make_key(store)
    assert "secret decrypts" not in viewer.get(PAGE).text
    assert "secret decrypts" in editor.get(PAGE).text


def test_home_leads_there(viewer: Visitor) -> None:
    assert f'href="{PAGE}"' in viewer.get("/admin/").text
