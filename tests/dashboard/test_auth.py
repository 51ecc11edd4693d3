"""What nobody allowed is refused: on every address there is, and on those somebody adds and forgets to guard."""

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask_admin import Admin, BaseView, expose
from flask_admin.actions import ActionsMixin, action

from dashboard.auth import OPEN, GuardedView, allows, current_account, requires
from dashboard.error_pages import status_of
from tests.dashboard.entering import PAGE, Visitor, a_tandem, make_account, token_in

ROLES = ("viewer", "editor", "admin")


class Drawer(GuardedView, BaseView):
    """A view as Flask-Admin's are, with one method of each kind and one that is named nowhere."""

    can_create = False
    roles: ClassVar[Mapping[str, str]] = {**GuardedView.roles, "delete": "admin", "stamp": "viewer"}

    @expose("/")
    def index(self) -> str:
        return "list"

    @expose("/details/")
    def details_view(self) -> str:
        return "details"

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> str:
        return "new"

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> str:
        return "edit"

    @expose("/update/", methods=("POST",))
    def ajax_update(self) -> str:
        return "update"

    @expose("/delete/", methods=("POST",))
    def delete_view(self) -> str:
        return "delete"

    @expose("/action/", methods=("POST",))
    def action_view(self) -> str:
        return "action"

    @expose("/stamp/", methods=("GET", "POST"))
    def stamp(self) -> str:
        return "stamp"

    @expose("/quiet/", methods=("POST",))
    @requires("viewer")
    def quiet(self) -> str:
        return "quiet"

    @expose("/forgotten/", methods=("GET", "POST"))
    def forgotten(self) -> str:
        return "forgotten"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    with a_tandem(tmp_path) as app:
        app.add_url_rule("/new-page", "new_page", lambda: "in", methods=["GET", "POST", "DELETE"])
        app.add_url_rule("/for-admins", "for_admins", requires("admin")(lambda: "in"))
        app.add_url_rule("/send", "send", requires("viewer")(lambda: "in"), methods=["POST"])
        app.add_url_rule("/who", "who", lambda: f"{current_account()}; {allows('editor')}")
        drawers = Admin(app, name="Drawers", url="/drawers", endpoint="drawers", index_view=_index())
        drawers.add_view(Drawer(name="Drawer", endpoint="drawer", url="/drawer"))
        for role in ROLES:
            make_account(app, role.capitalize(), role)
        yield app


def _index() -> Any:
    class Index(GuardedView, BaseView):
        @expose("/")
        def index(self) -> str:
            return "index"

    return Index(name="Index", endpoint="drawers", url="/drawers")


def signed_in(app: Flask, role: str) -> Visitor:
    visitor = Visitor(app)
    assert visitor.sign_in(role.capitalize()).status_code == 302
    return visitor


def ask(visitor: Visitor, method: str, path: str) -> int:
    """The status of a request that has a valid CSRF token if one is to be had."""
    if method == "GET":
        return visitor.get(path).status_code
    page = "/logout" if visitor.cookie("tandem_session") else "/login"
    fields = {"csrf_token": token_in(visitor.get(page))}
    return visitor.client.open(path, method=method, data=fields, headers=PAGE).status_code


def addresses(app: Flask) -> list[tuple[str, str]]:
    """Every address and method, with something in the place of variables."""
    found = []
    for rule in app.url_map.iter_rules():
        path = rule.rule
        for argument in rule.arguments:
            path = path.replace(f"<path:{argument}>", "x").replace(f"<{argument}>", "x")
        assert "<" not in path, f"{rule} has a kind of variable this test does not know"
        if rule.endpoint not in OPEN:
            found += [(method, path) for method in sorted(rule.methods or ()) if method not in {"HEAD", "OPTIONS"}]
    return found


def test_a_stranger_gets_nowhere_with_and_without_a_csrf_token(app: Flask) -> None:
    stranger = Visitor(app)
    everything = addresses(app)
    assert ("GET", "/new-page") in everything
    assert ("POST", "/drawer/forgotten/") in everything
    for method, path in everything:
        response = stranger.client.open(path, method=method, headers=PAGE)
        if method == "GET":
            assert (response.status_code, response.location[:6]) == (302, "/login"), path
        else:
            assert response.status_code == 401, path
            assert ask(stranger, method, path) == 401, path
        script = stranger.client.open(path, method=method, headers={"Accept": "application/json"})
        assert script.status_code == 401, path
        assert set(script.json) == {"error", "hint", "requestId"}
        assert stranger.client.open(path, method="HEAD", headers=PAGE).status_code in {302, 401}
        assert stranger.client.open(path, method="OPTIONS").status_code in {302, 401}


def test_a_stranger_does_not_learn_which_addresses_there_are(app: Flask) -> None:
    stranger = Visitor(app)
    assert stranger.get("/nothing/here?a=b").location == "/login?next=/nothing/here?a%3Db"
    assert stranger.post("/nothing/here").status_code == 401
    assert stranger.post("/healthz").status_code == 401


def test_a_strangers_script_is_told_and_not_sent_to_a_page(app: Flask) -> None:
    stranger = Visitor(app)
    for headers in (
        {"Accept": "application/json"},
        {"Accept": "*/*", "Sec-Fetch-Mode": "cors"},
        {"Accept": "image/avif,*/*", "Sec-Fetch-Mode": "no-cors"},
    ):
        assert stranger.get("/new-page", headers=headers).status_code == 401


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_without_a_csrf_token_nothing_is_changed_whoever_asks(app: Flask, method: str) -> None:
    for role in ROLES[1:]:
        response = signed_in(app, role).client.open("/new-page", method=method, headers=PAGE)
        assert response.status_code == 400
        assert "not sent from a page of Tandem" in response.text
        assert "Go back, reload the page" in response.text


def test_a_new_route_that_nobody_marked_asks_for_an_editor_before_it_changes_anything(app: Flask) -> None:
    viewer, editor = signed_in(app, "viewer"), signed_in(app, "editor")
    assert ask(viewer, "GET", "/new-page") == 200
    for method in ("POST", "DELETE"):
        assert ask(viewer, method, "/new-page") == 403
        assert ask(editor, method, "/new-page") == 200


def test_a_mark_on_a_route_counts(app: Flask) -> None:
    assert [ask(signed_in(app, role), "GET", "/for-admins") for role in ROLES] == [403, 403, 200]
    assert ask(signed_in(app, "viewer"), "POST", "/send") == 200


def test_a_role_that_does_not_exist_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="no role"):
        requires("owner")


def test_a_refused_person_reads_why(app: Flask) -> None:
    viewer = signed_in(app, "viewer")
    response = viewer.get("/for-admins")
    assert response.status_code == 403
    assert "Your role does not allow this" in response.text
    assert "It needs the role “admin”; yours is “viewer”." in html.unescape(response.text)
    assert 'href="/admin/rules/"' in response.text
    edit = html.unescape(viewer.get("/drawer/edit/").text)
    assert "It needs the role “editor”; yours is “viewer”." in edit
    never = signed_in(app, "admin").get("/drawer/new/").text
    assert "Nobody may do this here, whatever their role." in never
    script = viewer.get("/for-admins", headers={"Accept": "application/json"}).json
    assert "It needs the role “admin”" in script["hint"]


def test_a_view_can_ask_who_is_here(app: Flask) -> None:
    said = signed_in(app, "editor").get("/who").text
    assert "name='Editor'" in said
    assert said.endswith("True")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/drawer/", "viewer editor admin"),
        ("GET", "/drawer/details/", "viewer editor admin"),
        ("GET", "/drawer/new/", ""),  # can_create is False
        ("POST", "/drawer/new/", ""),
        ("GET", "/drawer/edit/", "editor admin"),
        ("POST", "/drawer/edit/", "editor admin"),
        ("POST", "/drawer/update/", "editor admin"),
        ("POST", "/drawer/delete/", "admin"),
        ("POST", "/drawer/action/", "editor admin"),
        ("GET", "/drawer/stamp/", "viewer editor admin"),
        ("POST", "/drawer/stamp/", "editor admin"),  # the guard in front asks for an editor
        ("POST", "/drawer/quiet/", "viewer editor admin"),
        ("GET", "/drawer/forgotten/", "admin"),
        ("POST", "/drawer/forgotten/", "admin"),
    ],
)
def test_every_exposed_method_of_a_view_asks_for_its_role(app: Flask, method: str, path: str, allowed: str) -> None:
    assert [role for role in ROLES if ask(signed_in(app, role), method, path) == 200] == allowed.split()


def test_a_bulk_delete_asks_for_what_a_delete_asks_for(app: Flask) -> None:
    class Many(GuardedView, ActionsMixin):
        roles: ClassVar[Mapping[str, str]] = {**GuardedView.roles, "delete": "admin"}

        def __init__(self) -> None:
            self.init_actions()

        @action("delete", "Delete")
        def delete_all(self, ids: list[str]) -> None: ...

        @action("tag", "Tag")
        def tag_all(self, ids: list[str]) -> None: ...

    def offered() -> str:
        return " ".join(name for name, _ in Many().get_actions_list()[0])

    app.add_url_rule("/offered", "offered", offered)
    assert [signed_in(app, role).get("/offered").text for role in ROLES] == ["", "tag", "delete tag"]


def test_a_view_that_offers_no_delete_offers_none_in_bulk(app: Flask) -> None:
    class Kept(GuardedView):
        can_delete = False

    app.add_url_rule("/bulk", "bulk", lambda: f"{Kept().is_action_allowed('delete')} {Kept().is_action_allowed('tag')}")
    assert signed_in(app, "admin").get("/bulk").text == "False True"


def test_the_menu_shows_only_what_one_may_see(app: Flask) -> None:
    class ForAdmins(GuardedView, BaseView):
        roles: ClassVar[Mapping[str, str]] = {"view": "admin"}

        @expose("/")
        def index(self) -> str:
            return ""

    view = ForAdmins()
    app.add_url_rule("/menu", "menu_test", lambda: str(view.is_accessible()))
    assert [signed_in(app, role).get("/menu").text for role in ROLES] == ["False", "False", "True"]


def test_refusals_of_the_store_have_a_status() -> None:
    from store import errors

    assert status_of(errors.NotFoundError("gone")) == 404
    assert status_of(errors.ConflictError("changed")) == 409
    assert status_of(errors.DuplicateError("taken")) == 422
    assert status_of(errors.InvalidRecordError("It", {"name": "empty"})) == 422
    assert status_of(errors.StillInUseError("needed")) == 422
    assert status_of(errors.StorageFullError("full")) == 503
    assert status_of(errors.DatabaseError("down")) == 503
    assert status_of(errors.StoreError("odd")) == 500
