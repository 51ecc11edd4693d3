"""People who may sign in to Tandem, for admins: who they are, what they may do, and help for who is locked out."""

from http import HTTPStatus
from typing import Any

from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response
from wtforms import BooleanField, PasswordField, RadioField, StringField
from wtforms.fields.choices import SelectChoice

from dashboard import notices
from dashboard.accounts import ROLES, Account
from dashboard.auth import current_account, people
from dashboard.events import Event, happened
from dashboard.formatters import counted
from dashboard.passwords import made_password
from dashboard.security import PageForm
from dashboard.views.base import StoreView
from dashboard.views.editing import Answer
from store.errors import DuplicateError, InvalidRecordError

# What a role means, beside its name.
MEANINGS = {
    "viewer": "looks at everything but secrets, and changes nothing",
    "editor": "changes the library, its profiles and keys",
    "admin": "everything, also exports, repairs and people",
}


class PasswordForm(PageForm):
    """A new password for somebody: typed twice, or made here."""

    made = BooleanField("Make a password for me")
    password = PasswordField("Password")
    again = PasswordField("Password again")

    def chosen(self) -> str | None:
        """The password; None where the two that were typed differ, and then the form says so."""
        if self.made.data:
            return made_password()
        if self.password.data != self.again.data:
            self.again.errors = ["The two passwords are not the same"]
            return None
        return self.password.data or ""

    def adopt(self, error: InvalidRecordError) -> None:
        """Hang the problems of a refusal on their fields."""
        for name, problem in error.problems.items():
            self[name].errors = [problem[:1].upper() + problem[1:]]


class PersonForm(PasswordForm):
    name = StringField("Name")
    role = RadioField(
        "Role", choices=[SelectChoice(role, f"{role}: {MEANINGS[role]}") for role in ROLES], default="viewer"
    )


class PeopleView(StoreView):
    """The pages of Tandem's own accounts. ``AccountsView`` is about those that Quilltap knows at other services."""

    roles = dict.fromkeys(
        ("index", "new", "person", "role", "disable", "enable", "password", "two_factor", "end_sessions"), "admin"
    )
    asks_again = frozenset(
        {"new", "person", "role", "disable", "enable", "password", "two_factor", "end_sessions"}
    )  # all but the list

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(
            name="People", category="Access", endpoint="people", url="/admin/people", menu_icon_value="users"
        )

    @expose("/")
    def index(self) -> str:
        """Everybody who has an account."""
        return self.render(
            "people/index.html", people=people().accounts.list(), open_sessions=people().sessions.counts()
        )

    @expose("/new", methods=("GET", "POST"))
    def new(self) -> Answer:
        """Make an account for somebody."""
        form = PersonForm()
        if request.method != "POST" or "_reload" in request.form:
            return self.render("people/new.html", form=form)
        password = form.chosen()
        if password is None:
            return self.render("people/new.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY
        try:
            account = people().accounts.create(form.name.data or "", form.role.data or "", password)
        except InvalidRecordError as error:
            form.adopt(error)
        except DuplicateError as error:
            form.name.errors = [error.sentence]
        else:
            self.note(Event.ACCOUNT_MADE, account, account.role)
            notices.tell(f"Made the account “{account.name}” with the role {account.role}.")
            return self.show_once(account, password) if form.made.data else self.go(self.address_of(account))
        return self.render("people/new.html", form=form), HTTPStatus.UNPROCESSABLE_ENTITY

    @expose("/person")
    def person(self) -> Answer:
        """One account: its role, its password, its sessions."""
        return self.show(self.asked(), PasswordForm())

    @expose("/role", methods=("POST",))
    def role(self) -> Response:
        """Give somebody another role."""
        account = self.asked()
        changed = people().accounts.change_role(account.name, request.form.get("role", ""))
        if changed.role == account.role:
            notices.tell(f"“{account.name}” has the role {account.role} already.", notices.INFO)
        else:
            self.note(Event.ROLE_CHANGED, account, f"{account.role} to {changed.role}")
            notices.tell(f"“{account.name}” has the role {changed.role} now, and has to sign in again.")
        return self.go(self.address_of(account))

    @expose("/disable", methods=("POST",))
    def disable(self) -> Response:
        """Let somebody sign in no more."""
        account = people().accounts.disable(self.asked().name)
        self.note(Event.ACCOUNT_DISABLED, account)
        notices.tell(f"“{account.name}” is disabled and signed out everywhere.")
        return self.go(self.address_of(account))

    @expose("/enable", methods=("POST",))
    def enable(self) -> Response:
        """Let somebody sign in again."""
        account = people().accounts.enable(self.asked().name)
        self.note(Event.ACCOUNT_ENABLED, account)
        notices.tell(f"“{account.name}” may sign in again, with the password of before.")
        return self.go(self.address_of(account))

    @expose("/password", methods=("POST",))
    def password(self) -> Answer:
        """Give somebody a new password."""
        account, form = self.asked(), PasswordForm()
        password = form.chosen()
        if "_reload" in request.form or password is None:
            return self.show(account, form, HTTPStatus.UNPROCESSABLE_ENTITY)
        try:
            people().accounts.set_password(account.name, password)
        except InvalidRecordError as error:
            form.adopt(error)
            return self.show(account, form, HTTPStatus.UNPROCESSABLE_ENTITY)
        people().throttle.forget(account.name)
        self.note(Event.PASSWORD_RESET, account)
        notices.tell(f"“{account.name}” has a new password and is signed out everywhere.")
        return self.show_once(account, password) if form.made.data else self.go(self.address_of(account))

    @expose("/two-factor", methods=("POST",))
    def two_factor(self) -> Response:
        """Switch off somebody's two-factor sign-in, when their app is lost."""
        account = self.asked()
        people().two_factor.switch_off(account)
        self.note(Event.TWO_FACTOR_RESET, account)
        notices.tell(f"“{account.name}” signs in with the password alone now, and is signed out everywhere.")
        return self.go(self.address_of(account))

    @expose("/sessions", methods=("POST",))
    def end_sessions(self) -> Response:
        """Sign somebody out, in one browser or everywhere."""
        account = self.asked()
        if handle := request.form.get("session"):
            ended = int(people().sessions.end_one(account, handle))
        else:
            ended = people().sessions.end_all(account)
        self.note(Event.SESSIONS_ENDED, account, str(ended))
        notices.tell(f"Ended {counted(ended, 'session') if ended else 'no session'} of “{account.name}”.")
        return self.go(self.address_of(account))

    # ------------------------------------------------------------------ what they share

    @staticmethod
    def asked() -> Account:
        """Whom the request names. Raises NotFoundError."""
        return people().accounts.get(request.values.get("id", ""))

    @staticmethod
    def address_of(account: Account) -> str:
        """The page of an account."""
        return url_for("people.person", id=account.id)

    @staticmethod
    def note(event: Event, account: Account, detail: str = "") -> None:
        """What an admin did to an account."""
        here = current_account()
        who = here.name if here else ""
        happened(event, who=who, whom=account.name, where=request.remote_addr or "", detail=detail)

    def show(self, account: Account, form: PasswordForm, status: HTTPStatus = HTTPStatus.OK) -> Answer:
        here = current_account()
        page = self.render(
            "people/person.html",
            person=account,  # the frame calls who is here ``account``
            form=form,
            sessions=people().sessions.of(account),
            roles=MEANINGS,
            is_oneself=here is not None and here.id == account.id,
        )
        return page, status

    def show_once(self, account: Account, password: str) -> str:
        """The one page that a password which was made here stands on."""
        return self.render("people/made.html", person=account, password=password)
