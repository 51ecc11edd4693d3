"""The pages before one is inside: set-up on the first start, sign-in, sign-out."""

import contextlib
import logging
import math
from datetime import timedelta

from flask import Blueprint, abort, flash, make_response, redirect, render_template, request, session, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import PasswordField, StringField

from dashboard import trail
from dashboard.accounts import Account
from dashboard.auth import HOME, current_account, people, requires, sign_in, sign_out
from dashboard.security import local_path
from store.audit import REFUSED
from store.errors import InvalidRecordError, NotFoundError

log = logging.getLogger("tandem.entrance")

entrance = Blueprint("entrance", __name__)


class LoginForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF is untyped
    name = StringField("Name")
    password = PasswordField("Password")


class SetupForm(FlaskForm):  # type: ignore[misc]
    token = StringField("Set-up token")
    name = StringField("Name")
    password = PasswordField("Password")
    again = PasswordField("Password again")


@entrance.route("/login", methods=["GET", "POST"])
def login() -> Response:
    """Sign in, and go on to the page one wanted."""
    wanted = local_path(request.values.get("next"), HOME)
    if request.method != "POST":
        if current_account() is not None:
            return redirect(wanted)
        if not people().accounts.any():
            return redirect(url_for("entrance.setup"))
    form = LoginForm()
    if request.method == "POST":
        name, password = form.name.data or "", form.password.data or ""
        address = request.remote_addr or ""
        if (wait := people().throttle.begin(name, address)) is not None:
            log.warning("Too many failed sign-ins from %s", address)
            trail.sign_in_failed(_called(name), "Too many had failed before: it was not even tried.", REFUSED)
            page = _login_page(form, wanted, f"Too many sign-ins have failed. Try again in {in_words(wait)}.", 429)
            page.headers["Retry-After"] = str(math.ceil(wait.total_seconds()))
            return page
        account = people().accounts.authenticate(name, password)
        if account is not None:
            people().throttle.succeeded(name, address)
            return _let_in(account, wanted)
        log.warning("A sign-in from %s failed", address)
        trail.sign_in_failed(_called(name), "Name and password do not belong together.")
        return _login_page(form, wanted, "This name and password do not belong together.", 401)
    return _login_page(form, wanted, None, 200)


@entrance.route("/logout", methods=["GET", "POST"])
@requires("viewer")
def logout() -> Response:
    """Ask (nothing changes by a link alone), then sign out."""
    if request.method != "POST":
        return make_response(render_template("auth/logout.html"))
    session.clear()
    flash("You are signed out.", "info")
    response = redirect(url_for("entrance.login"))
    sign_out(response)
    return response


@entrance.route("/setup", methods=["GET", "POST"])
def setup() -> Response:
    """Make the first account, an admin; there is no such page once there is one."""
    accounts = people().accounts
    if accounts.any():
        abort(404)
    form = SetupForm()
    if request.method != "POST":
        return make_response(render_template("auth/setup.html", form=form))
    if form.password.data != form.again.data:
        form.again.errors = ["The two passwords are not the same"]
        return make_response(render_template("auth/setup.html", form=form), 422)
    try:
        account = accounts.create_first(form.token.data or "", form.name.data or "", form.password.data or "")
    except InvalidRecordError as error:
        for field, problem in error.problems.items():
            form[field].errors = [problem[:1].upper() + problem[1:]]
        return make_response(render_template("auth/setup.html", form=form), 422)
    log.warning("The first account was made from %s", request.remote_addr)
    return _let_in(account, HOME)


def _called(name: str) -> Account | None:
    """Whose name was typed."""
    with contextlib.suppress(NotFoundError):
        return people().accounts.find(name)
    return None


def _login_page(form: LoginForm, wanted: str, problem: str | None, status: int) -> Response:
    # The name stays typed in; a password field never shows what was sent.
    return make_response(render_template("auth/login.html", form=form, next=wanted, problem=problem), status)


def _let_in(account: Account, wanted: str) -> Response:
    """Sign in and go on. The page's cookie, and the CSRF token in it, starts anew too.

    Unless this browser had it as the same person before: then a form that stayed open in another tab can still be sent.
    """
    if session.get("account") != account.id:
        session.clear()
        session["account"] = account.id
    response = redirect(wanted)
    sign_in(response, account)
    return response


def in_words(wait: timedelta) -> str:
    """How long to wait, rounded up to minutes."""
    minutes = max(1, math.ceil(wait.total_seconds() / 60))
    return "a minute" if minutes == 1 else f"{minutes} minutes"
