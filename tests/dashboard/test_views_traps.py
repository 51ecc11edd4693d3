"""What Flask-Admin 2.2.1 does to the unwary, each measured once, stays closed here."""

import re
from collections.abc import Callable

import pytest
from flask import Flask
from jinja2 import StrictUndefined

from dashboard.views.base import RepositoryView
from store import Store
from tests.dashboard.browsing import form_in, submit
from tests.dashboard.entering import PAGE, Visitor
from tests.factories import (
    make_account,
    make_character,
    make_image_profile,
    make_key,
    make_persona,
    make_profile,
    make_session,
    make_tag,
    make_token,
    make_user,
)

pytestmark = pytest.mark.slow  # sends many requests

NOUNS = ("characters", "personas", "tags", "users", "keys", "profiles", "image-profiles")
SIGN_IN = ("accounts", "sessions", "tokens")
FETCH = {"Accept": "*/*", "Sec-Fetch-Mode": "cors"}


@pytest.fixture
def pages(store: Store) -> list[str]:
    """Every page that a GET shows, over a library with one of each."""
    user, tag = make_user(store), make_tag(store, "Elf")
    persona = make_persona(store, "Traveller", tags=[tag.id])
    links = [{"personaId": persona.id, "isDefault": True}]
    alice = make_character(store, "Alice", tags=[tag.id], personaLinks=links, sillyTavernData={"a": 1})
    key = make_key(store)
    profile = make_profile(store, "Everyday", apiKeyId=key.id, tags=[tag.id], baseUrl="http://localhost:11434")
    painter = make_image_profile(store, "Painter", apiKeyId=key.id, isDefault=True)
    signed_in = (make_account(store).id, make_session(store).id, make_token(store).id)
    ids = dict(zip(NOUNS, (alice.id, persona.id, tag.id, user.id, key.id, profile.id, painter.id), strict=True))
    found = ["/admin/", "/admin/counts", f"/admin/keys/replace/?id={key.id}", f"/admin/users/edit/?id={user.id}"]
    for noun, record_id in zip(SIGN_IN, signed_in, strict=True):
        found += [f"/admin/{noun}/", f"/admin/{noun}/?page=9"]
        if noun != "tokens":  # an address names no token by itself
            found += [f"/admin/{noun}/{page}/?id={record_id}" for page in ("details", "delete")]
    for noun, record_id in ids.items():
        found += [f"/admin/{noun}/", f"/admin/{noun}/?search=nothing", f"/admin/{noun}/?page=9", f"/admin/{noun}/new/"]
        found.append(f"/admin/{noun}/details/?id={record_id}")
        if noun != "users":
            found += [f"/admin/{noun}/edit/?id={record_id}", f"/admin/{noun}/delete/?id={record_id}"]
    return found


def views(app: Flask) -> list[RepositoryView]:
    [admin] = app.extensions["admin"]
    return [view for view in admin._views if isinstance(view, RepositoryView)]


# 1. Inline handlers die under a strict policy, and a delete without its question deletes.


def test_no_page_has_anything_inline(editor: Visitor, pages: list[str]) -> None:
    for page in pages:
        response = editor.get(page)
        assert response.status_code == 200, page
        nonce = re.search(r"script-src [^;]*'nonce-([^']+)'", response.headers["Content-Security-Policy"])
        assert nonce is not None
        assert re.findall(r"<[^>]+\s(?:on[a-z]+|style)=", response.text) == [], page
        assert all(f'nonce="{nonce[1]}"' in tag for tag in re.findall(r"<script[^>]*>", response.text)), page
        assert re.findall(r'(?:src|href)="(?:https?:)?//', response.text) == [], "nothing from other hosts"


def test_every_page_has_one_heading_a_language_and_named_controls(editor: Visitor, pages: list[str]) -> None:
    for page in pages:
        text = editor.get(page).text
        assert text.count("<h1") == 1, page
        assert '<html lang="en"' in text
        assert "<main" in text
        ids = re.findall(r'\sid="([^"]+)"', text)
        assert len(ids) == len(set(ids)), f"{page}: {sorted(one for one in ids if ids.count(one) > 1)}"
        for target in re.findall(r'<label[^>]* for="([^"]+)"', text):
            assert target in ids, f"{page}: no field {target}"


# 2. What is not used has no address; what is used asks who is here.


@pytest.mark.parametrize("noun", NOUNS)
def test_inline_edit_lookup_and_export_have_no_address(editor: Visitor, noun: str) -> None:
    form = form_in(editor.get("/admin/users/new/"), "csrf_token")
    for path in ("ajax/update/", "ajax/lookup/", "ajax/lookup/?name=userId", "export/csv/"):
        assert editor.get(f"/admin/{noun}/{path}").status_code == 404, path
        assert editor.post(f"/admin/{noun}/{path}", {"csrf_token": form["csrf_token"]}).status_code == 404, path


def test_users_cannot_be_deleted_by_any_address(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    for path in ("delete", "action"):
        assert editor.get(f"/admin/users/{path}/?id={user.id}").status_code == 404


def test_a_viewer_changes_nothing_by_any_address(
    viewer: Visitor, editor: Visitor, store: Store, tandem: Flask, pages: list[str]
) -> None:
    token = {"csrf_token": form_in(viewer.get("/admin/"), "csrf_token")["csrf_token"]}
    before = (store.characters.find_all(), store.personas.find_all(), store.tags.find_all(), store.users.find_all())
    [alice] = store.characters.find_all()
    asked = {**token, "id": alice.id, "rowid": alice.id, "action": "delete", "confirmed": "1", "favorite": "1"}
    for rule in tandem.url_map.iter_rules():
        if str(rule).startswith("/admin/") and "POST" in (rule.methods or ()):
            response = viewer.post(f"{rule}?id={alice.id}", asked)
            assert response.status_code == 403, rule
    after = (store.characters.find_all(), store.personas.find_all(), store.tags.find_all(), store.users.find_all())
    assert after == before


def test_a_stranger_sees_no_page(tandem: Flask, pages: list[str]) -> None:
    stranger = Visitor(tandem)
    for page in pages:
        response = stranger.get(page)
        assert response.status_code == 302
        assert response.location.startswith("/login")


def test_every_address_of_a_view_says_who_may_call_it(tandem: Flask) -> None:
    [admin] = tandem.extensions["admin"]
    unnamed = [
        f"{view.endpoint}.{name}"
        for view in admin._views
        for _, name, _ in view._urls
        if view.required_role(name) == "admin" and name not in view.roles
    ]
    assert unnamed == []


# 3. One CSRF scheme, whose tokens live as long as the form is open.


def test_without_a_token_nothing_is_changed(editor: Visitor, store: Store, tandem: Flask, pages: list[str]) -> None:
    [alice] = store.characters.find_all()
    asked = {"id": alice.id, "rowid": alice.id, "action": "delete", "confirmed": "1", "favorite": "1"}
    for rule in tandem.url_map.iter_rules():
        if str(rule).startswith("/admin/") and "POST" in (rule.methods or ()):
            assert editor.post(f"{rule}?id={alice.id}", asked).status_code == 400, rule
    assert store.characters.find_all() == [alice]


def test_forms_are_not_secured_twice(tandem: Flask) -> None:
    assert tandem.config["WTF_CSRF_TIME_LIMIT"] is None
    for view in views(tandem):
        assert "csrf_token" not in view.get_delete_form()()._fields


# 4. Long cards and long selections fit.


def test_a_card_longer_than_flasks_own_limit_is_saved(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    text = "A long, long life. " * 60_000
    assert submit(editor, f"/admin/characters/edit/?id={alice.id}", description=text).status_code == 303
    assert store.characters.find_by_id(alice.id).description == text  # type: ignore[union-attr]


def test_more_parts_than_flasks_own_limit_are_read(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    form = form_in(editor.get("/admin/characters/"), "all_matching")
    form.setlist("rowid", [f"gone-{number}" for number in range(2000)])
    form["action"], form["confirmed"] = "delete", "1"
    assert editor.client.post("/admin/characters/action/", data=form, headers=PAGE).status_code == 303
    assert store.characters.find_by_id(alice.id) == alice


# 5. Small things that crash.


def test_an_error_inside_a_view_is_not_hidden_behind_another(tandem: Flask) -> None:
    [view] = [one for one in views(tandem) if one.endpoint == "tags"]

    def broken(self: object) -> str:
        return 1 + "one"  # type: ignore[operator,no-any-return]

    with tandem.test_request_context(), pytest.raises(TypeError, match="unsupported operand"):
        view._run_view(broken)


@pytest.mark.parametrize("noun", NOUNS)
def test_odd_parameters_crash_no_list(viewer: Visitor, noun: str) -> None:
    for question in ("name=x", "page=-1", "cls=x&self=y&endpoint=z&id=1", "desc=x&sort=0", "flt1_0=x"):
        assert viewer.get(f"/admin/{noun}/?{question}").status_code == 200, question


def test_no_template_leans_on_a_missing_name(tandem: Flask, editor: Visitor, pages: list[str]) -> None:
    tandem.jinja_env.undefined = StrictUndefined
    for page in pages:
        assert editor.get(page).status_code == 200, page


def test_no_page_says_none(editor: Visitor, pages: list[str]) -> None:
    for page in pages:
        assert not re.search(r'(?:placeholder|value|title)="None"|>\s*None\s*<', editor.get(page).text), page


# 6, 7. Writers and lists are ours, and there is no count.


def test_the_writers_are_our_own_and_no_mass_delete_goes_around_them(tandem: Flask) -> None:
    for view in views(tandem):
        assert view.fast_mass_delete is False
        assert view.simple_list_pager is True
        for hook in ("on_model_change", "after_model_change", "on_model_delete", "after_model_delete"):
            assert hook not in vars(type(view))


def test_flask_admins_own_question_is_answered_by_the_repository(tandem: Flask, store: Store) -> None:
    for name in ("Bram", "Alice", "Calliope"):
        make_character(store, name)
    [view] = [one for one in views(tandem) if one.endpoint == "characters"]
    with tandem.test_request_context():
        count, rows = view.get_list(-1, "name", True, "a", None, page_size=2)
        assert (count, [row["name"] for row in rows]) == (None, ["Calliope", "Bram"])
        rows = view.get_list(0, "nothing", False, None, None)[1]
        assert [row["name"] for row in rows] == ["Alice", "Bram", "Calliope"]


# What the pickers ask.


def test_a_picker_is_answered_with_the_users_tags(viewer: Visitor, store: Store) -> None:
    ada, bo = make_user(store, "Ada"), make_user(store, "Bo")
    shelf, elf = make_tag(store, "Shelf", userId=ada.id), make_tag(store, "Elf", userId=ada.id)
    make_tag(store, "Elfin", userId=bo.id)
    make_character(store, "Alice", tags=[elf.id], userId=ada.id)
    answer = viewer.get(f"/admin/tags/suggest/?user={ada.id}&q=elf", headers=FETCH).get_json()
    assert answer == {
        "results": [{"id": elf.id, "name": "Elf", "count": 1}, {"id": shelf.id, "name": "Shelf", "count": 0}],
        "more": False,
    }


@pytest.mark.parametrize("noun", ["characters", "personas"])
def test_other_pickers_are_answered_too(viewer: Visitor, store: Store, noun: str) -> None:
    make: dict[str, Callable[..., object]] = {"characters": make_character, "personas": make_persona}
    make[noun](store, "Traveller")
    answer = viewer.get(f"/admin/{noun}/suggest/?q=TRAV", headers=FETCH).get_json()
    assert [one["name"] for one in answer["results"]] == ["Traveller"]
