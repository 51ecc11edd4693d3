"""Who is here, and what they may do. The one place that decides: what nobody allowed is refused.

Every request passes ``guard`` first. A page needs a signed-in account, a request that may change something (anything but GET,
HEAD and OPTIONS) an editor, unless its view says otherwise with ``@requires``. Only the endpoints in ``OPEN`` are for all.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from flask import Flask, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from dashboard.accounts import ROLES, Account, Accounts
from dashboard.security import cookie_name, wants_page
from dashboard.sessions import ABSOLUTE_LIMIT, Sessions
from dashboard.throttle import Throttle
from store.database import Database

log = logging.getLogger("tandem.auth")

OPEN = frozenset({"static", "entrance.login", "entrance.setup", "health.healthz", "health.readyz"})
COOKIE = "tandem_session"
HOME = "/admin/"
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class People:
    """Everything about who may come in, over one database."""

    accounts: Accounts
    sessions: Sessions
    throttle: Throttle

    @classmethod
    def of(cls, database: Database) -> "People":
        return cls(Accounts(database), Sessions(database), Throttle(database))


def mount(app: Flask, people: People) -> None:
    """Put the guard in front of every endpoint, those of Flask-Admin and those added later too."""
    app.extensions["tandem_people"] = people
    app.before_request(guard)
    app.jinja_env.globals.update(current_account=current_account, allows=allows)


def people() -> People:
    """The accounts, sessions and attempts of this application."""
    found: People = current_app.extensions["tandem_people"]
    return found


def requires(role: str) -> Callable[[View], View]:
    """Let an endpoint ask for this role instead of the default. Goes below ``@expose`` or ``@app.route``.

    ::

        @expose("/lookup/", methods=["POST"])
        @requires("viewer")
        def lookup(self): ...
    """
    if role not in ROLES:
        raise ValueError(f"{role!r} is no role; there are {', '.join(ROLES)}")

    def mark(view: View) -> View:
        view.required_role = role  # type: ignore[attr-defined]
        return view

    return mark


def current_account() -> Account | None:
    """Who is signed in and asks for this page; None for a stranger. Looked up once per request."""
    if "account" not in g:
        g.account = None  # stays so when the lookup fails: the error page asks again
        if token := request.cookies.get(cookie_name(COOKIE)):
            g.account = people().sessions.find(token)
    account: Account | None = g.account
    return account


def allows(role: str) -> bool:
    """Whether who is here may do what asks for ``role``."""
    account = current_account()
    return account is not None and account.may(role)


def guard() -> AnyResponse | None:
    """Before each request: None lets it pass, everything else is the refusal."""
    if request.endpoint in OPEN:
        return None
    if current_account() is None:
        return refuse()
    if not allows(_needed()):
        return refuse()
    return None


def _needed() -> str:
    view = current_app.view_functions.get(request.endpoint or "")
    marked: str | None = getattr(view, "required_role", None)
    return marked or ("viewer" if request.method in _READING else "editor")


def refuse() -> AnyResponse:
    """The answer to who may not: a stranger's browser is sent to sign in and comes back; everyone else gets 401 or 403."""
    account = current_account()
    if account is not None:
        log.warning("%s (%s) may not %s %r", account.name, account.role, request.method, request.path)
        abort(403)
    if request.method not in _READING or not wants_page():
        abort(401)
    query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
    wanted = quote(request.path) + query
    return redirect(url_for("entrance.login", next=None if wanted in {"/", HOME} else wanted))


def sign_in(response: AnyResponse, account: Account) -> None:
    """Start a new session for the account and give the browser its cookie; the browser's old session ends."""
    sessions = people().sessions
    if old := request.cookies.get(cookie_name(COOKIE)):
        sessions.end(old)
    token = sessions.start(account, request.remote_addr or "", request.user_agent.string)
    response.set_cookie(cookie_name(COOKIE), token, max_age=ABSOLUTE_LIMIT, **_cookie_options())
    g.account = account


def sign_out(response: AnyResponse) -> None:
    """End the browser's session."""
    if token := request.cookies.get(cookie_name(COOKIE)):
        people().sessions.end(token)
    response.delete_cookie(cookie_name(COOKIE), **_cookie_options())
    g.account = None


def _cookie_options() -> dict[str, Any]:
    return {"path": "/", "secure": request.is_secure, "httponly": True, "samesite": "Lax"}


class GuardedView:
    """Put before Flask-Admin's BaseView or BaseModelView: ``class BaseView(GuardedView, BaseModelView)``.

    Every exposed method is one of five actions, and asks for that action's role: ``view`` (list, details, export, lookups),
    ``create``, ``edit`` (the form and inline edits), ``delete``, ``bulk`` (the actions over selected rows; the bulk action
    named ``delete`` asks for ``delete`` as well). A view with other rules says so::

        roles = {"view": "viewer", "create": "admin", "edit": "admin", "delete": "admin", "bulk": "admin"}

    A method that Flask-Admin does not know counts as ``view`` for GET and ``edit`` for everything else; ``actions_of_methods``
    names another action for it, ``@requires`` a role. ``can_create``, ``can_edit`` and ``can_delete`` set to False refuse the
    method itself, not only its button. Templates and row actions ask ``may("edit")``.
    """

    roles: ClassVar[dict[str, str]] = {
        "view": "viewer",
        "create": "editor",
        "edit": "editor",
        "delete": "editor",
        "bulk": "editor",
    }
    actions_of_methods: ClassVar[dict[str, str]] = {}
    _known: ClassVar[dict[str, str]] = {
        "index": "view",
        "index_view": "view",
        "details_view": "view",
        "export": "view",
        "ajax_lookup": "view",
        "create_view": "create",
        "edit_view": "edit",
        "ajax_update": "edit",
        "delete_view": "delete",
        "action_view": "bulk",
    }

    def required_role(self, action: str) -> str:
        """The role that ``view``, ``create``, ``edit``, ``delete`` or ``bulk`` asks for; an admin's for what is not named."""
        return self.roles.get(action, "admin")

    def may(self, action: str) -> bool:
        """Whether who is here may do this: their role reaches and the view offers it."""
        return bool(getattr(self, f"can_{action}", True)) and allows(self.required_role(action))

    def is_accessible(self) -> bool:
        """Whether the view shows in the menu; Flask-Admin asks."""
        return self.may("view")

    def inaccessible_callback(self, name: str, **kwargs: Any) -> AnyResponse:
        """The answer to who may not."""
        return refuse()

    def is_action_allowed(self, name: str) -> bool:
        """Whether the bulk action shows and may run."""
        return self.may("bulk") and (name != "delete" or self.may("delete"))

    def _handle_view(self, name: str, **kwargs: Any) -> AnyResponse | None:
        # Flask-Admin comes by here before every exposed method; what this returns takes the method's place.
        method = getattr(type(self), name, None)
        if marked := getattr(method, "required_role", None):
            return None if allows(marked) else refuse()
        by_method = "view" if request.method in _READING else "edit"
        action = self.actions_of_methods.get(name) or self._known.get(name) or by_method
        if action == "bulk" and not self.is_action_allowed(request.form.get("action", "")):
            return refuse()
        return None if self.may("view") and self.may(action) else refuse()
