"""The pages before one is inside: set-up on the first start, sign-in with a second step for who has one, sign-out."""

from typing import Any

from flask import (
    Blueprint,
    abort,
    current_app,
    flash,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField

from dashboard.accounts import Account
from dashboard.auth import HOME, current_account, people, requires, sign_in, sign_out
from dashboard.events import Event, happened
from dashboard.security import PageForm, local_path
from dashboard.throttle import SETUP, TooManyAttemptsError
from dashboard.trials import account_called, count, forgive, try_code, try_password
from store.errors import InvalidRecordError, NotFoundError, SecretError

entrance = Blueprint("entrance", __name__)

SECOND_STEP = "second_step"  # in the page's signed cookie, from the right password until the right code
SECOND_STEP_LASTS = 300  # seconds


class LoginForm(PageForm):
    name = StringField("Name")
    password = PasswordField("Password")


class OneTimeField(StringField):  # type: ignore[misc]
    """A field for a code that counts once: it never shows what was sent."""

    def _value(self) -> str:
        return ""


class CodeForm(PageForm):
    code = OneTimeField("Code from your app")
    recovery = OneTimeField("Recovery code")


class SetupForm(PageForm):
    token = StringField("Set-up token")
    name = StringField("Name")
    password = PasswordField("Password")
    again = PasswordField("Password again")


@entrance.route("/login", methods=["GET", "POST"])
def login() -> Response:
    """Sign in, and go on to the page one wanted; with a second factor, to the page that asks for the code."""
    wanted = local_path(request.values.get("next"), HOME)
    form = LoginForm()
    if request.method != "POST":
        if current_account() is not None:
            return redirect(wanted)
        if not people().accounts.any():
            return redirect(url_for("entrance.setup"))
        return _page("login", form, wanted)
    try:
        account = try_password(form.name.data or "", form.password.data or "")
    except TooManyAttemptsError as error:
        return _page("login", form, wanted, error.sentence, 429, {"Retry-After": error.retry_after})
    if account is None:
        whom = account_called(form.name.data or "")
        happened(Event.SIGN_IN_FAILED, whom=whom, where=request.remote_addr or "")
        return _page("login", form, wanted, "This name and password do not belong together.", 401)
    if account.two_factor_since:
        session[SECOND_STEP] = _second_steps().dumps([account.id, account.changed_at])
        return redirect(url_for("entrance.code", next=None if wanted == HOME else wanted))
    return _let_in(account, wanted)


@entrance.route("/login/code", methods=["GET", "POST"])
def code() -> Response:
    """The second step. Until it is done nobody is signed in: there is no session, only the mark of the first step."""
    wanted = local_path(request.values.get("next"), HOME)
    account = _after_first_step()
    if account is None:
        session.pop(SECOND_STEP, None)
        return redirect(url_for("entrance.login", next=None if wanted == HOME else wanted))
    form = CodeForm()
    if request.method != "POST":
        return _page("code", form, wanted)
    try:
        right = try_code(account, form.code.data or "", form.recovery.data or "")
    except TooManyAttemptsError as error:
        return _page("code", form, wanted, error.sentence, 429, {"Retry-After": error.retry_after})
    except SecretError as error:
        return _page("code", form, wanted, error.sentence, 422)
    if right:
        return _let_in(account, wanted)
    happened(Event.CODE_FAILED, whom=account.name, where=request.remote_addr or "")
    return _page("code", form, wanted, "This code is not right, or was used before.", 401)


@entrance.route("/logout", methods=["GET", "POST"])
@requires("viewer")
def logout() -> Response:
    """Ask (nothing changes by a link alone), then sign out."""
    if request.method != "POST":
        return make_response(render_template("auth/logout.html"))
    if (account := current_account()) is not None:
        happened(Event.SIGNED_OUT, who=account.name, where=request.remote_addr or "")
    session.clear()
    flash("You are signed out.", "info")
    response = redirect(url_for("entrance.login"))
    sign_out(response)
    return response


@entrance.route("/setup", methods=["GET", "POST"])
def setup() -> Response:
    """Make the first account, an admin; there is no such page once there is one."""
    if people().accounts.any():
        abort(404)
    form = SetupForm()
    if request.method != "POST":
        return make_response(render_template("auth/setup.html", form=form))
    if form.password.data != form.again.data:
        form.again.errors = ["The two passwords are not the same"]
        return make_response(render_template("auth/setup.html", form=form), 422)
    try:
        account = _first_account(form)
    except TooManyAttemptsError as error:
        page = render_template("auth/setup.html", form=form, problem=error.sentence)
        return make_response(page, 429, {"Retry-After": error.retry_after})
    except InvalidRecordError as error:
        for field, problem in error.problems.items():
            form[field].errors = [problem[:1].upper() + problem[1:]]
        return make_response(render_template("auth/setup.html", form=form), 422)
    happened(Event.SET_UP, who=account.name, where=request.remote_addr or "")
    return _let_in(account, HOME)


def _first_account(form: SetupForm) -> Account:
    count(SETUP, "")
    try:
        account = people().accounts.create_first(form.token.data or "", form.name.data or "", form.password.data or "")
    except InvalidRecordError as error:
        if "token" in error.problems:
            happened(Event.SET_UP_FAILED, where=request.remote_addr or "")
        else:  # the token was right: whoever corrects a name does not guess
            forgive(SETUP, "")
        raise
    forgive(SETUP, "")
    return account


def _after_first_step() -> Account | None:
    """Who gave the right password in this browser not long ago, when nothing of the account was changed since."""
    try:
        account_id, changed_at = _second_steps().loads(session.get(SECOND_STEP, ""), max_age=SECOND_STEP_LASTS)
        account = people().accounts.get(account_id)
    except (BadSignature, NotFoundError):
        return None
    return account if account.changed_at == changed_at and not account.disabled else None


def _second_steps() -> URLSafeTimedSerializer:
    """Signs for this one purpose: what another page signed with the same key is no first step."""
    return URLSafeTimedSerializer(current_app.config["SECRET_KEY"], salt="tandem: the first step of a sign-in")


def _page(
    name: str,
    form: PageForm,
    wanted: str,
    problem: str | None = None,
    status: int = 200,
    headers: dict[str, Any] | None = None,
) -> Response:
    # The name stays typed in; a password field and a code never show what was sent.
    page = render_template(f"auth/{name}.html", form=form, next=wanted, problem=problem)
    return make_response(page, status, headers or {})


def _let_in(account: Account, wanted: str) -> Response:
    """Sign in and go on. The page's cookie, and the CSRF token in it, starts anew too.

    Unless this browser had it as the same person before: then a form that stayed open in another tab can still be sent.
    """
    session.pop(SECOND_STEP, None)
    if session.get("account") != account.id:
        session.clear()
        session["account"] = account.id
    if account.two_factor_since and (left := people().two_factor.codes_left(account)) < 3:
        told = f"You have {left or 'no'} recovery code{'' if left == 1 else 's'} left. Make new ones: see your account."
        flash(told, "warning")
    response = redirect(wanted)
    sign_in(response, account)
    people().throttle.came_in(account.name, request.remote_addr or "")
    happened(Event.SIGNED_IN, who=account.name, where=request.remote_addr or "")
    return response
