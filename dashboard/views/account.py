"""One's own account: password, two-factor sign-in, and where one is signed in."""

from http import HTTPStatus
from typing import Any

from flask import request, session, url_for
from flask_admin import expose
from markupsafe import Markup
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response
from wtforms import PasswordField

from dashboard import notices
from dashboard.accounts import Account
from dashboard.auth import current_account, current_session, people, prove, requires
from dashboard.entrance import OneTimeField
from dashboard.events import Event, happened
from dashboard.formatters import counted
from dashboard.security import PageForm
from dashboard.sessions import ABSOLUTE_LIMIT, IDLE_LIMIT, Session
from dashboard.throttle import CODE, TooManyAttemptsError
from dashboard.trials import count, forgive, try_both
from dashboard.two_factor import provisioning_address, qr_code
from dashboard.views.base import StoreView
from dashboard.views.editing import Answer
from store.errors import InvalidRecordError, SecretError


class NewPasswordForm(PageForm):
    old = PasswordField("Password of now")
    code = OneTimeField("Code from your app")
    recovery = OneTimeField("Recovery code")
    password = PasswordField("New password")
    again = PasswordField("New password again")


class FirstCodeForm(PageForm):
    code = OneTimeField("Code that the app shows now")


class AccountView(StoreView):
    """The pages of who is here, about themselves; everybody has them, whatever their role."""

    roles = dict.fromkeys(
        ("view", "password", "two_factor", "begin", "confirm", "switch_off", "codes", "end_session", "end_others"),
        "viewer",
    )
    asks_again = frozenset({"two_factor", "begin", "confirm", "switch_off", "codes"})

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(name="Your account", endpoint="account", url="/account", menu_icon_value="accounts")

    def is_visible(self) -> bool:
        """Not in the menu: it hangs on one's name, below it."""
        return False

    @expose("/")
    def index(self) -> str:
        """Look at the own account."""
        account, here = self.here()
        return self.render(
            "account/index.html",
            person=account,
            here=here.handle,
            sessions=people().sessions.of(account),
            codes_left=people().two_factor.codes_left(account),
            idle_hours=int(IDLE_LIMIT.total_seconds() // 3600),
            most_days=ABSOLUTE_LIMIT.days,
        )

    @expose("/password", methods=("GET", "POST"))
    @requires("viewer")
    def password(self) -> Answer:
        """Change the own password; the one of now is asked for."""
        account, here = self.here()
        form = NewPasswordForm()
        if request.method == "POST":
            status = self.change_password(account, here, form)
            if status is None:
                happened(Event.PASSWORD_CHANGED, who=account.name, where=request.remote_addr or "")
                notices.tell("You have a new password. Everywhere else you have to sign in again.")
                response = self.go(url_for("account.index"))
                return response if prove(response) else self.go(url_for("entrance.login"))
            return self.render("account/password.html", person=account, form=form), status
        return self.render("account/password.html", person=account, form=form)

    def change_password(self, account: Account, here: Session, form: NewPasswordForm) -> HTTPStatus | None:
        """The status of a refusal, which then stands beside its field; None when the password is another one."""
        if form.password.data != form.again.data:
            form.again.errors = ["The two passwords are not the same"]
            return HTTPStatus.UNPROCESSABLE_ENTITY
        try:
            right = try_both(account, form.old.data or "", form.code.data or "", form.recovery.data or "")
            if right:
                people().accounts.set_password(account.name, form.password.data or "", keep=here.fingerprint)
                return None
        except InvalidRecordError as error:
            form.password.errors = [f"{problem[:1].upper()}{problem[1:]}" for problem in error.problems.values()]
            return HTTPStatus.UNPROCESSABLE_ENTITY
        except (TooManyAttemptsError, SecretError) as error:
            form.old.errors = [error.sentence]
            too_many = isinstance(error, TooManyAttemptsError)
            return HTTPStatus.TOO_MANY_REQUESTS if too_many else HTTPStatus.UNPROCESSABLE_ENTITY
        happened(Event.PROOF_FAILED, who=account.name, where=request.remote_addr or "")
        form.old.errors = ["This is not right" + (", or the code is not" if account.two_factor_since else "")]
        return HTTPStatus.UNPROCESSABLE_ENTITY

    # ------------------------------------------------------------------ two-factor sign-in

    @expose("/two-factor")
    def two_factor(self) -> Answer:
        """Look at the own two-factor sign-in, and set it up."""
        return self.show_two_factor(FirstCodeForm())

    @expose("/two-factor/begin", methods=("POST",))
    @requires("viewer")
    def begin(self) -> Response:
        """Begin to set up two-factor sign-in: make a key for the app."""
        people().two_factor.begin(self.here()[0])
        return self.go(url_for("account.two_factor"))

    @expose("/two-factor/confirm", methods=("POST",))
    @requires("viewer")
    def confirm(self) -> Answer:
        """Switch two-factor sign-in on, with the first code of the app."""
        account, here = self.here()
        form = FirstCodeForm()
        try:
            count(CODE, account.name)
            codes = people().two_factor.confirm(account, form.code.data or "", keep=here.fingerprint)
        except TooManyAttemptsError as error:
            form.code.errors = [error.sentence]
            return self.show_two_factor(form, HTTPStatus.TOO_MANY_REQUESTS)
        except InvalidRecordError as error:
            form.code.errors = [f"{problem[:1].upper()}{problem[1:]}" for problem in error.problems.values()]
            return self.show_two_factor(form, HTTPStatus.UNPROCESSABLE_ENTITY)
        forgive(CODE, account.name)
        happened(Event.TWO_FACTOR_ON, who=account.name, where=request.remote_addr or "")
        notices.tell("Two-factor sign-in is on. Everywhere else you have to sign in again.")
        return self.render("account/codes.html", codes=codes)

    @expose("/two-factor/off", methods=("POST",))
    @requires("viewer")
    def switch_off(self) -> Response:
        """Switch the own two-factor sign-in off."""
        account, here = self.here()
        people().two_factor.switch_off(account, keep=here.fingerprint)
        happened(Event.TWO_FACTOR_OFF, who=account.name, where=request.remote_addr or "")
        notices.tell("Two-factor sign-in is off: your password alone lets you in.")
        return self.go(url_for("account.index"))

    @expose("/two-factor/codes", methods=("POST",))
    @requires("viewer")
    def codes(self) -> Answer:
        """Make new recovery codes in place of the old ones."""
        account, _ = self.here()
        if not account.two_factor_since:
            return self.go(url_for("account.two_factor"))
        codes = people().two_factor.renew_codes(account)
        happened(Event.RECOVERY_CODES_MADE, who=account.name, where=request.remote_addr or "")
        return self.render("account/codes.html", codes=codes)

    def show_two_factor(self, form: FirstCodeForm, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        account, _ = self.here()
        key = people().two_factor.pending(account)
        page = self.render(
            "account/two_factor.html",
            person=account,
            form=form,
            key=key,
            # Drawn by a library out of the two words, of which one is the name: escaped there, in a path of numbers.
            qr_code=Markup(qr_code(provisioning_address(account, key))) if key else "",  # noqa: S704  # see above
            codes_left=people().two_factor.codes_left(account),
        )
        return page, status

    # ------------------------------------------------------------------ sessions

    @expose("/sessions/end", methods=("POST",))
    @requires("viewer")
    def end_session(self) -> Response:
        """Sign out in one of the own browsers."""
        account, here = self.here()
        handle = request.form.get("session", "")
        ended = people().sessions.end_one(account, handle)
        happened(Event.SESSIONS_ENDED, who=account.name, where=request.remote_addr or "", detail=str(int(ended)))
        if handle == here.handle:
            session.clear()
            return self.go(url_for("entrance.login"))
        notices.tell("That session has ended." if ended else "That session had ended before.")
        return self.go(url_for("account.index"))

    @expose("/sessions/end-others", methods=("POST",))
    @requires("viewer")
    def end_others(self) -> Response:
        """Sign out everywhere but here."""
        account, here = self.here()
        ended = people().sessions.end_all(account, keep=here.fingerprint)
        happened(Event.SESSIONS_ENDED, who=account.name, where=request.remote_addr or "", detail=str(ended))
        notices.tell(f"Ended {counted(ended, 'other session') if ended else 'no other session'}.")
        return self.go(url_for("account.index"))

    @staticmethod
    def here() -> tuple[Account, Session]:
        """Who asks, and in which session."""
        account, here = current_account(), current_session()
        if account is None or here is None:  # the guard lets no stranger come as far as this
            raise Unauthorized
        return account, here
