"""What a person sees when something is refused or fails: one sentence, what to do next, and the request's id."""

import logging
from typing import Any

from flask import Flask, Response, jsonify, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from dashboard import trail
from dashboard.auth import Refused, current_account
from dashboard.security import LARGEST_FORM, LARGEST_REQUEST, MIB, request_id, wants_page
from dashboard.throttle import TooManyAttemptsError
from store.cards.errors import CardError
from store.errors import (
    ConflictError,
    DatabaseError,
    DuplicateError,
    InvalidValueError,
    JsonSideError,
    MissingReferenceError,
    NotFoundError,
    PepperError,
    PictureError,
    ProviderError,
    StillInUseError,
    StoreError,
)

log = logging.getLogger("tandem.pages")

# Status -> what happened, and what to do next.
PAGES: dict[int, tuple[str, str]] = {
    400: ("The request could not be understood.", "Go back, reload the page and try again."),
    401: (
        "You are not signed in.",
        "Sign in in another tab, then reload this page and let the browser send the form again. Nothing you typed is "
        "lost as long as this page stays open.",
    ),
    403: ("Your role does not allow this.", "Ask an admin to do it, or to give you another role."),
    404: ("There is no such page.", "Check the address, or start from the home page."),
    405: ("This address does not take such a request.", "Start from the home page."),
    409: ("Somebody else changed this meanwhile.", "Go back, reload the page and compare before you save again."),
    413: (
        "This is more than Tandem takes at once.",
        f"It takes {LARGEST_REQUEST // MIB} MiB of files and {LARGEST_FORM // MIB} MiB of text. Nothing was saved: go "
        "back, take something out and send it again.",
    ),
    429: ("Too many attempts.", "Wait some minutes and try again."),
    500: ("Something went wrong in Tandem.", "Try again; if it happens again, look for the request's id in the log."),
}
CSRF_PAGE = (
    "This form was not sent from a page of Tandem that is still valid.",
    "Go back, reload the page and send it again. If that does not help, let your browser keep cookies of this address.",
)
STATUSES: dict[type[StoreError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    InvalidValueError: 422,
    DuplicateError: 422,
    MissingReferenceError: 422,
    StillInUseError: 422,
    PictureError: 422,
    CardError: 422,
    TooManyAttemptsError: 429,
    ProviderError: 429,
    PepperError: 503,
    DatabaseError: 503,
    JsonSideError: 503,
}


def mount(app: Flask) -> None:
    """Give the application its error pages."""
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(StoreError, _store_error)


def status_of(error: StoreError) -> int:
    """The HTTP status that says what kind of refusal it is."""
    return next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)


def error_response(status: int, sentence: str, hint: str) -> Response:
    """The page of an error, or the same as JSON for a script."""
    if not wants_page():
        body: dict[str, Any] = {"error": sentence, "hint": hint, "requestId": request_id()}
        return make_response(jsonify(body), status)
    told = {"status": status, "sentence": sentence, "hint": hint, "request_id": request_id()}
    try:
        page = render_template("errors/error.html", **told)
    except Exception:
        # The page's own frame may need what has just failed; the sentence must be read all the same.
        log.exception("The error page could not be made")
        plain = make_response(f"{sentence}\n{hint}\nRequest {request_id()}\n", status)
        plain.mimetype = "text/plain"
        return plain
    return make_response(page, status)


def _forged(error: CSRFError) -> Response:
    log.warning("Refused without a valid CSRF token: %s %r", request.method, request.path)
    trail.refused("It came without a valid CSRF token.")
    return error_response(400, *CSRF_PAGE)


def _http_error(error: HTTPException) -> Any:
    if error.response is not None:
        return error.response  # whoever raised it made the page: a conflict that keeps what was typed
    status = error.code or 500
    sentence, hint = PAGES.get(status) or (f"{error.name}.", "Go back and try again.")
    if isinstance(error, Refused):
        hint = why_refused(error)
    response = error_response(status, sentence, hint)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After", "Content-Range"}:
            response.headers[name] = value
    return response


def why_refused(error: Refused) -> str:
    """Which role would have been needed, and what to do."""
    account = current_account()
    if error.needed is None or account is None:
        return "Nobody may do this here, whatever their role."
    return f"It needs the role “{error.needed}”; yours is “{account.role}”. {PAGES[403][1]}"


def _store_error(error: StoreError) -> Response:
    status = status_of(error)
    if status >= 500:
        log.error("%s %r: %s", request.method, request.path, error, exc_info=error)
    return error_response(status, error.message, error.hint)
