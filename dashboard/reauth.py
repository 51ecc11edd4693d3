"""Proving again who one is, before what is dear: keys, accounts, the second factor.

A page is left for the question and come back to. A form that was sent too late is held in the question's own page,
nowhere else, and sent once more with the answer; what was typed into its secret fields is not held.
"""

import json
import re
from typing import Final

from flask import Blueprint, Flask, abort, jsonify, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField, PasswordField

from dashboard.accounts import Account
from dashboard.auth import HOME, ProofNeeded, current_account, guard_proof, prove, requires, this_address
from dashboard.entrance import OneTimeField
from dashboard.events import Event, happened
from dashboard.security import PageForm, local_path, request_id, wants_page
from dashboard.throttle import TooManyAttemptsError
from dashboard.trials import try_both
from store.errors import SecretError

reauth = Blueprint("reauth", __name__)

SENTENCE: Final = "Tandem asks again who you are before it does this."
HINT: Final = "Give your password on the page that this answer names, then do it again."
ADDRESS_HEADER: Final = "X-Reauthenticate"  # where a script's person can prove it
# A form says which of its fields are secret (see ``ui.field``); a name that sounds like one is not held either.
SECRET_FIELDS: Final = "_secret"  # noqa: S105  # a field's name
_SOUNDS_SECRET: Final = re.compile(r"pass|secret|token|api.?key|cipher|pepper|credential", re.IGNORECASE)
Held = list[tuple[str, str]]


class ProofForm(PageForm):
    password = PasswordField("Password")
    code = OneTimeField("Code from your app")
    recovery = OneTimeField("Recovery code")
    next = HiddenField()
    held = HiddenField()


def mount(app: Flask) -> None:
    """Ask again where it is asked for. To be called after ``security.mount``: see ``guard_proof``."""
    app.before_request(guard_proof)
    app.register_error_handler(ProofNeeded, ask)
    app.register_blueprint(reauth)


@reauth.route("/reauth", methods=["GET", "POST"])
@requires("viewer")
def page() -> Response:
    """Ask for the password, and for the code of who has one; then go back to what was wanted."""
    account, form = _who(), ProofForm()
    if request.method != "POST":
        form.next.data = request.args.get("next", "")
        return _show(form)
    try:
        right = try_both(account, form.password.data or "", form.code.data or "", form.recovery.data or "")
    except TooManyAttemptsError as error:
        response = _show(form, error.sentence, 429)
        response.headers["Retry-After"] = error.retry_after
        return response
    except SecretError as error:
        return _show(form, error.sentence, 422)
    if not right:
        happened(Event.PROOF_FAILED, who=account.name, where=request.remote_addr or "")
        return _show(form, _wrong(bool(account.two_factor_since)), 401)
    happened(Event.PROVED, who=account.name, where=request.remote_addr or "")
    return _go_on(form)


def ask(error: ProofNeeded) -> Response:
    """The answer to who has to prove it first: a page is left and come back to, a form is held, a script is told."""
    if not wants_page():
        back = local_path((request.referrer or "").removeprefix(request.host_url.rstrip("/")), HOME)
        address = url_for("reauth.page", next=back)
        body = {"error": SENTENCE, "hint": HINT, "reauthenticate": address, "requestId": request_id()}
        return make_response(jsonify(body), 403, {ADDRESS_HEADER: address})
    if request.method != "POST":
        return redirect(url_for("reauth.page", next=this_address()))
    form = ProofForm(formdata=None)
    form.next.data, form.held.data = this_address(), json.dumps(held())
    return _show(form, status=403)


def held() -> Held:
    """What this request's form holds, but its secrets. With a secret taken out it is shown again and not saved."""
    said = {*request.form.getlist(SECRET_FIELDS), SECRET_FIELDS, "csrf_token"}
    kept, lost = [], False
    for name, text in request.form.items(multi=True):
        if name not in said and not _SOUNDS_SECRET.search(name):
            kept.append((name, text))
        elif name not in (SECRET_FIELDS, "csrf_token"):
            lost = lost or bool(text)
    return [*kept, ("_reload", "1")] if lost else kept


def _go_on(form: ProofForm) -> Response:
    wanted = local_path(form.next.data, HOME)
    fields = _read_held(form.held.data or "")
    if fields is None:
        response = redirect(wanted)
    else:
        response = make_response(render_template("auth/resend.html", address=wanted, fields=fields))
    if not prove(response):
        abort(401)  # the session was ended in this very moment
    return response


def _read_held(text: str) -> Held | None:
    """The form that was held; None where none was."""
    try:
        pairs = json.loads(text)
        kept = [(str(name), str(value)) for name, value in pairs]
        "".join(text for pair in kept for text in pair).encode()  # no half of a character: no page could show it
        return kept
    except (ValueError, TypeError, RecursionError):
        return None


def _show(form: ProofForm, problem: str | None = None, status: int = 200) -> Response:
    told = {
        "form": form,
        "problem": problem,
        "account": _who(),
        "holds": _read_held(form.held.data or "") is not None,
        "lost_files": any(request.files.values()) if request.files else False,
        "cancel": HOME,
    }
    return make_response(render_template("auth/reauth.html", **told), status)


def _who() -> Account:
    account = current_account()
    if account is None:  # the guard lets no stranger come as far as this
        abort(401)
    return account


def _wrong(with_code: bool) -> str:
    return "This password or this code is not right." if with_code else "This is not your password."
