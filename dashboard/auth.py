"""Who is here, and what they may do. The one place that decides: what nobody allowed is refused.

Every request passes ``guard`` first. A page needs a signed-in account, a request that may change something (anything
but GET, HEAD and OPTIONS) an editor, unless its view says otherwise with ``@requires``. Only ``OPEN`` is for all.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from flask import Flask, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from dashboard import trail
from dashboard.accounts import ROLES, Account, Accounts
from dashboard.security import LARGEST_FROM_STRANGERS, cookie_name, wants_page
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
        view.tandem_role = role  # type: ignore[attr-defined]
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


def guard() -> Response | None:
    """Before each request: None lets it pass, everything else is the refusal."""
    if request.endpoint in OPEN:
        request.max_content_length = LARGEST_FROM_STRANGERS
        return None
    account = current_account()
    if account is None:
        return refuse()
    trail.known(account)
    if not allows(_needed()):
        return refuse()
    return None


def _needed() -> str:
    view = current_app.view_functions.get(request.endpoint or "")
    return _marked(view) or ("viewer" if request.method in _READING else "editor")


def _marked(view: object) -> str | None:
    role: str | None = getattr(view, "tandem_role", None)
    return role


def refuse() -> Response:
    """The answer to who may not: a stranger's browser is sent to sign in and comes back, others get 401 or 403."""
    account = current_account()
    if account is not None:
        log.warning("%s (%s) may not %s %r", account.name, account.role, request.method, request.path)
        trail.refused(f"The role {account.role} does not allow it.")
        abort(403)
    if request.method not in _READING or not wants_page():
        abort(401)
    wanted = quote(request.path)
    if request.query_string:
        wanted += "?" + quote(request.query_string, safe="!$%&'()*+,-./:;=?@[]_~")
    return redirect(url_for("entrance.login", next=None if wanted in {"/", HOME} else wanted))


def sign_in(response: Response, account: Account) -> None:
    """Start a new session for the account and give the browser its cookie; the browser's old session ends."""
    sessions = people().sessions
    if old := request.cookies.get(cookie_name(COOKIE)):
        sessions.end(old)
    token = sessions.start(account, request.remote_addr or "", request.user_agent.string)
    trail.signed_in(account)
    response.set_cookie(cookie_name(COOKIE), token, max_age=ABSOLUTE_LIMIT, **_cookie_options())
    g.account = account


def sign_out(response: Response) -> None:
    """End the browser's session."""
    if token := request.cookies.get(cookie_name(COOKIE)):
        if (account := current_account()) is not None:
            trail.signed_out(account)
        people().sessions.end(token)
    response.delete_cookie(cookie_name(COOKIE), **_cookie_options())
    g.account = None


def _cookie_options() -> dict[str, Any]:
    return {"path": "/", "secure": request.is_secure, "httponly": True, "samesite": "Lax"}


class GuardedView:
    """Put before Flask-Admin's BaseView or BaseModelView: ``class StoreView(GuardedView, BaseView)``.

    ``roles`` says which role an exposed method asks for, by the method's name or by the action it belongs to: ``view``
    (list, details, export, look-ups), ``create``, ``edit`` (the form and inline edits), ``delete``, ``bulk`` (actions
    over selected rows; the one named ``delete`` asks for ``delete`` as well), ``history`` and ``undo``. The name of the
    method counts before its action, and what is named nowhere is an admin's::

        roles = {"view": "viewer", "edit": "editor", "merge_view": "editor"}

    ``can_create``, ``can_edit`` and ``can_delete`` set to False refuse the methods themselves, not only their buttons.
    A POST that a viewer may send needs ``@requires("viewer")`` on its method, for the guard in front of everything.
    """

    roles: ClassVar[Mapping[str, str]] = {
        "view": "viewer",
        "create": "editor",
        "edit": "editor",
        "delete": "editor",
        "bulk": "editor",
        "history": "viewer",
        "undo": "editor",
    }

    def required_role(self, action: str) -> str:
        """The role that an exposed method, or one of the actions, asks for."""
        return self.roles.get(action) or self.roles.get(_ACTIONS.get(action, action)) or "admin"

    def allows(self, action: str) -> bool:
        """Whether who is here may do this and the view offers it; for buttons, and again before each method."""
        offered = getattr(self, f"can_{_ACTIONS.get(action, action)}", True)
        return bool(offered) and allows(_marked(getattr(self, action, None)) or self.required_role(action))

    def is_accessible(self) -> bool:
        """Whether the view shows in the menu; Flask-Admin asks."""
        return self.allows(self._default_view)  # type: ignore[attr-defined]  # Flask-Admin sets it

    def inaccessible_callback(self, name: str, **kwargs: Any) -> Response:
        """The answer to who may not."""
        return refuse()

    def is_action_allowed(self, name: str) -> bool:
        """Whether a bulk action shows and may run; Flask-Admin asks at both moments."""
        return self.allows("bulk") and (name != "delete" or self.allows("delete"))

    def _handle_view(self, name: str, **kwargs: Any) -> Response | None:
        # Flask-Admin comes by here before every exposed method; what this returns takes the method's place.
        return None if self.allows(name) else refuse()


# Flask-Admin's methods and the actions they belong to.
_ACTIONS: Final = {
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
    "history_view": "history",
    "change_view": "history",
    "undo_view": "undo",
}
