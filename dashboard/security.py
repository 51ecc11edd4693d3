"""What every answer carries and every request keeps to: headers, a nonce, one CSRF scheme, cookies, sizes, ids."""

import logging
import re
import secrets
from typing import Any

from flask import Flask, Response, g, has_request_context, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFProtect
from werkzeug.datastructures import MultiDict

# Flask's own limits (500 kB of form, 1,000 parts) would refuse a long character card or a large selection.
MIB = 1024 * 1024
LARGEST_REQUEST = 64 * MIB
LARGEST_FORM = 16 * MIB
MOST_FORM_PARTS = 20_000
LARGEST_FROM_STRANGERS = 64 * 1024
LONGEST_PATH = 4000

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
HSTS = "max-age=31536000"


def mount(app: Flask, secret_key: str) -> None:
    """Protect every page of the application. To be called after ``auth.mount``: a stranger's form is not even read."""
    app.config.update(
        SECRET_KEY=secret_key,
        MAX_CONTENT_LENGTH=LARGEST_REQUEST,
        MAX_FORM_MEMORY_SIZE=LARGEST_FORM,
        MAX_FORM_PARTS=MOST_FORM_PARTS,
        SESSION_COOKIE_NAME="tandem_page",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # A form that was open for a day is still saved; the token ends with the browser's session.
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.session_interface = PageSessions()
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    CSRFProtect(app)
    app.after_request(add_headers)


def csp_nonce() -> str:
    """The random word that lets this page's own scripts and styles run; a new one for each request."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = g.csp_nonce
    return nonce


def request_id() -> str:
    """The name of this request, in its log lines, its headers and on its error page."""
    if "request_id" not in g:
        g.request_id = secrets.token_hex(6)
    name: str = g.request_id
    return name


def content_security_policy() -> str:
    """What the browser may load and do on a page of ours: our own things, and nothing inline without the nonce."""
    nonce = f"'nonce-{csp_nonce()}'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {nonce}",
            f"style-src 'self' {nonce}",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "manifest-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
            "object-src 'none'",
        )
    )


def add_headers(response: Response) -> Response:
    """Put the headers on an answer, whatever made it."""
    response.headers.update(HEADERS)
    response.headers["Content-Security-Policy"] = content_security_policy()
    response.headers["X-Request-Id"] = request_id()
    if request.is_secure:
        response.headers["Strict-Transport-Security"] = HSTS
    if not is_static(request.endpoint):
        response.headers["Cache-Control"] = "no-store"
    return response


def is_static(endpoint: str | None) -> bool:
    """Whether an endpoint serves files of the program itself."""
    return endpoint is not None and (endpoint == "static" or endpoint.endswith(".static"))


def wants_page() -> bool:
    """Whether the request is a person's browser going to a page, and not a script that asks for data."""
    if request.headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return False
    return request.accept_mimetypes.best_match(["text/html", "application/json"], "text/html") == "text/html"


def cookie_name(name: str) -> str:
    """How a cookie is called on this connection: over https so that no other host can have set it."""
    return f"__Host-{name}" if has_request_context() and request.is_secure else name


def local_path(text: str | None, otherwise: str) -> str:
    """``text`` where it is the path of a page here, else ``otherwise``.

    Browsers read ``//host``, ``/\\host`` and the same with a tab in between as another host, so there is no backslash,
    no space and no control character in it, and no second slash at its start.
    """
    if text and len(text) <= LONGEST_PATH and re.fullmatch(r"/(?!/)[!-\[\]-~]*", text):
        return text
    return otherwise


class PageForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF is untyped
    """A form of texts: what a browser sent as such. A file, or JSON of any kind, in place of a text is not there."""

    class Meta(FlaskForm.Meta):  # type: ignore[misc]
        def wrap_formdata(self, form: FlaskForm, formdata: Any) -> Any:
            if formdata is None or isinstance(formdata, MultiDict):
                return formdata
            return request.form if request.method == "POST" else None


class PageSessions(SecureCookieSessionInterface):
    """Flask's signed cookie (messages to show, the CSRF token), as strict as the connection allows."""

    def get_cookie_name(self, app: Flask) -> str:
        return cookie_name(super().get_cookie_name(app))

    def get_cookie_secure(self, app: Flask) -> bool:
        return has_request_context() and request.is_secure


class RequestIds(logging.Filter):
    """Gives every log record its ``request_id``: that of the request it was written in, else ``-``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id() if has_request_context() else "-"
        return True
