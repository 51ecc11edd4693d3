"""Who is here, and what they may do. The one place that decides: what nobody allowed is refused.

Every request passes ``guard`` first. A page needs a signed-in account, a request that may change something (anything
but GET, HEAD and OPTIONS) an editor, unless its view says otherwise with ``@requires``. Only ``OPEN`` is for all.
What is dear besides (keys, accounts) asks for the password once more when it was given longer ago than ``PROOF_LASTS``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

from flask import Flask, abort, current_app, g, redirect, request, url_for
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response

from dashboard import trail
from dashboard.accounts import ROLES, Account, Accounts
from dashboard.events import Event, happened
from dashboard.security import LARGEST_FROM_STRANGERS, cookie_name, wants_page
from dashboard.sessions import ABSOLUTE_LIMIT, Session, Sessions, SignedIn
from dashboard.throttle import Throttle
from dashboard.two_factor import TwoFactor
from store.database import Database

OPEN = frozenset({"static", "entrance.login", "entrance.code", "entrance.setup", "health.healthz", "health.readyz"})
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
    two_factor: TwoFactor

    @classmethod
    def of(cls, database: Database, secret_key: str) -> "People":
        """All of it; ``secret_key`` is what the keys of authenticator apps are encrypted under."""
        return cls(Accounts(database), Sessions(database), Throttle(database), TwoFactor(database, secret_key))


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


def requires_proof(view: View) -> View:
    """Let an endpoint ask for the password again when it was not given just now. Goes where ``@requires`` goes."""
    view.tandem_requires_proof = True  # type: ignore[attr-defined]
    return view


class Refused(Forbidden):
    """Who is here may not do this. ``needed`` is the role that may; None where the page offers it to nobody."""

    def __init__(self, needed: str | None = None) -> None:
        super().__init__()
        self.needed = needed


class ProofNeeded(Forbidden):
    """Who is here may do this once they have proved again who they are. ``dashboard.reauth`` makes the page of it."""


def signed_in() -> SignedIn | None:
    """Who is here, and in which session; None for a stranger. Looked up once per request."""
    if "signed_in" not in g:
        g.signed_in = None  # stays so when the lookup fails: the error page asks again
        if token := request.cookies.get(cookie_name(COOKIE)):
            g.signed_in = people().sessions.find(token)
    found: SignedIn | None = g.signed_in
    return found


def current_account() -> Account | None:
    """Who is signed in and asks for this page; None for a stranger."""
    here = signed_in()
    return here.account if here else None


def current_session() -> Session | None:
    """The session in which this page is asked for."""
    here = signed_in()
    return here.session if here else None


def allows(role: str) -> bool:
    """Whether who is here may do what asks for ``role``."""
    account = current_account()
    return account is not None and account.may(role)


def is_proved() -> bool:
    """Whether who is here gave the password (and the code where there is one) not long ago."""
    here = signed_in()
    return here is not None and here.proved


def guard() -> Response | None:
    """Before each request: None lets it pass, everything else is the refusal."""
    if request.endpoint in OPEN:
        request.max_content_length = LARGEST_FROM_STRANGERS
        return None
    account = current_account()
    if account is None:
        return refuse()
    trail.known(account)
    view = current_app.view_functions.get(request.endpoint or "")
    if not allows(needed := front_role(view, request.method)):
        return refuse(needed)
    return None


def guard_proof() -> None:
    """Before each request that ``guard`` lets pass, once its CSRF token was looked at. Raises ProofNeeded.

    After that token, because what is asked again here is sent once more afterwards, as this person's own wish.
    """
    view = current_app.view_functions.get(request.endpoint or "")
    of_a_view = isinstance(getattr(view, "__self__", None), GuardedView)  # asks by itself, after it looked at the role
    if not of_a_view and marked_for_proof(view) and not is_proved():
        raise ProofNeeded


def front_role(view: object, method: str) -> str:
    """The role that the guard in front asks for, before an endpoint's view is asked."""
    return _marked(view) or ("viewer" if method in _READING else "editor")


def marked_for_proof(view: object) -> bool:
    """Whether ``@requires_proof`` stands over an endpoint."""
    return getattr(view, "tandem_requires_proof", False)


def _marked(view: object) -> str | None:
    role: str | None = getattr(view, "tandem_role", None)
    return role


def refuse(needed: str | None = None) -> Response:
    """The answer to who may not: a stranger's browser is sent to sign in and comes back, others get 401 or 403."""
    account = current_account()
    if account is not None:
        what = f"{request.method} {request.path!r}"
        happened(Event.REFUSED, who=account.name, where=request.remote_addr or "", detail=f"{account.role}, {what}")
        raise Refused(needed)
    if request.method not in _READING or not wants_page():
        abort(401)
    return redirect(url_for("entrance.login", next=None if (wanted := this_address()) in {"/", HOME} else wanted))


def this_address() -> str:
    """The path and question of this request, as an address to come back to."""
    wanted = quote(request.path)
    if request.query_string:
        wanted += "?" + quote(request.query_string, safe="!$%&'()*+,-./:;=?@[]_~")
    return wanted


def sign_in(response: Response, account: Account) -> None:
    """Start a new session for the account and give the browser its cookie; the browser's old session ends."""
    sessions = people().sessions
    if old := request.cookies.get(cookie_name(COOKIE)):
        sessions.end(old)
    give_cookie(response, sessions.start(account, request.remote_addr or "", request.user_agent.string))


def prove(response: Response) -> bool:
    """Note that who is here has proved it again, under a new cookie; False when the session has ended meanwhile."""
    fresh = people().sessions.prove(request.cookies.get(cookie_name(COOKIE), ""))
    if fresh is not None:
        give_cookie(response, fresh)
    return fresh is not None


def give_cookie(response: Response, token: str) -> None:
    """Hand the browser the token of its session."""
    response.set_cookie(cookie_name(COOKIE), token, max_age=ABSOLUTE_LIMIT, **_cookie_options())
    g.pop("signed_in", None)


def sign_out(response: Response) -> None:
    """End the browser's session."""
    if token := request.cookies.get(cookie_name(COOKIE)):
        people().sessions.end(token)
    response.delete_cookie(cookie_name(COOKIE), **_cookie_options())
    g.signed_in = None


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

    ``asks_again`` names, in the same words, what asks for the password again (and the code of who has a second factor)
    when it was given longer ago than ``PROOF_LASTS``; a bulk delete asks for what ``delete`` asks for here too::

        asks_again = frozenset({"create", "edit", "delete", "bulk", "replace"})

    What was typed into a form that was open longer is kept meanwhile, but nothing typed into a field that
    ``ui.field(…, secret=true)`` drew.
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
    asks_again: ClassVar[frozenset[str]] = frozenset()

    def required_role(self, action: str) -> str:
        """The role that an exposed method, or one of the actions, asks for."""
        return self.roles.get(action) or self.roles.get(action_of(action)) or "admin"

    def allows(self, action: str) -> bool:
        """Whether who is here may do this and the view offers it; for buttons, and again before each method."""
        return self.offers(action) and allows(self.needed_role(action))

    def offers(self, action: str) -> bool:
        """Whether the view has this for anybody at all."""
        return bool(getattr(self, f"can_{action_of(action)}", True))

    def needed_role(self, action: str) -> str:
        """The role that decides: the method's own mark before what ``roles`` says."""
        return _marked(getattr(self, action, None)) or self.required_role(action)

    def asks_for_proof(self, action: str) -> bool:
        """Whether an exposed method, or one of the actions, asks for the password again."""
        named = {action, action_of(action)} & self.asks_again
        return bool(named) or marked_for_proof(getattr(self, action, None))

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
        if not self.allows(name):
            return refuse(self.needed_role(name) if self.offers(name) else None)
        deletes = action_of(name) == "bulk" and request.form.get("action") == "delete"
        if (self.asks_for_proof(name) or (deletes and self.asks_for_proof("delete"))) and not is_proved():
            raise ProofNeeded
        return None


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


def action_of(name: str) -> str:
    """Which of the actions a method belongs to; itself where it is one of its own."""
    return _ACTIONS.get(name, name)
