"""API keys. The value of a key goes in and never comes out: people who may edit see a mask of it, others that it is
there.
"""

from http import HTTPStatus
from typing import Any, get_args

from flask import request, url_for
from flask_admin import expose
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from dashboard import notices
from dashboard.formatters import listed, provider
from dashboard.forms import Choice, Filled, Flag, Line, RecordForm, Secret
from dashboard.views.bulk import DELETE, BulkView
from dashboard.views.editing import Answer, EditableView
from dashboard.views.listing import Filters, Listing
from dashboard.views.places import places_of
from dashboard.views.secret_states import SecretState, state_of
from store.documents import ApiKey
from store.documents.profiles import Provider
from store.errors import ConflictError, StoreError
from store.repositories.contract import Page, Users
from store.secrets import API_KEY

PARTS = API_KEY


class KeyForm(RecordForm):
    """What can be changed of a key that is there. Its value has a page of its own."""

    label = Line("Label", validators=[Filled()])
    isActive = Flag("Active")


class ValueForm(RecordForm):
    value = Secret("The key's value", validators=[Filled()])


class NewKeyForm(RecordForm):
    label = Line("Label", validators=[Filled()])
    provider = Choice(
        "Provider",
        choices=[SelectChoice(name, provider(name)) for name in get_args(Provider)],
        validators=[InputRequired("Choose the provider it is for.")],
    )
    value = Secret("The key's value", validators=[Filled()])
    isActive = Flag("Active")


class KeysView(EditableView, BulkView):
    """The API keys' pages."""

    noun = "API key"
    search_in = "labels"
    menu_group = "Connections"
    filters = Filters(by_user=True, sort="label", page_size=20)
    column_list = ("label", "provider", "value", "usage", "lastUsed")
    column_labels = {
        "label": "Label",
        "provider": "Provider",
        "value": "Value",
        "usage": "Used by",
        "lastUsed": "Last used",
    }
    form = KeyForm
    cells_template, fields_template, body_template = "keys/cells.html", "keys/fields.html", "keys/body.html"
    bulk_actions = (DELETE,)
    can_duplicate = False
    goes_along = "Profiles that use it go on without a key."
    roles = {**EditableView.roles, "replace": "editor"}
    asks_again = frozenset({"create", "edit", "delete", "bulk", "replace", "undo"})

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.keys, ApiKey, "API keys", "keys", "keys")

    def title_of(self, document: Any) -> str:
        return str(document.value("label"))

    def owner_id(self, document: Any) -> str:
        """The user whose id is part of what the key is encrypted with."""
        user_id = document.value("userId")
        if user_id is None and (user := self.store.users.get_current_user()) is not None:
            user_id = user.id
        return str(user_id or "")

    # -------------------------------------------------------------- what may be told of the value

    def state(self, document: Any) -> SecretState:
        parts = {name: document.value(name) for name in PARTS}
        told = self.allows("edit")
        return state_of(self.store.secrets.decrypt, self.owner_id(document), parts, PARTS, tells=told, shows_mask=told)

    def state_in_list(self, key_id: str) -> SecretState:
        """The same for a row; a record that cannot be read must not take the list along."""
        try:
            document = self.repository.find_by_id(key_id)
        except StoreError as error:
            return SecretState(True, error, is_told=self.allows("edit"))
        return self.state(document) if document is not None else SecretState(False)

    # -------------------------------------------------------------- list and details

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        used = {row["id"]: self.repository.used_by(row["id"]) for row in page.rows}
        return {
            "users": self.users(),
            "states": {row["id"]: self.state_in_list(row["id"]) for row in page.rows},
            "usage": {key_id: places_of(users) for key_id, users in used.items()},
            "losses": {key_id: self.lost_by(users) for key_id, users in used.items()},
        }

    def details_context(self, document: Any) -> dict[str, Any]:
        return {
            "owner": self.owner_name(self.owner_id(document)),
            "state": self.state(document),
            "usage": places_of(self.repository.used_by(document.id)),
        }

    def loses(self, document: Any) -> str:
        return self.lost_by(self.repository.used_by(document.id))

    def lost_by(self, users: Users) -> str:
        """Which profiles lose a key when it goes, in a sentence."""
        if not users:
            return "No profile uses it."
        named = [f"the {place['noun']} “{place['name']}”" for place in places_of(users)]
        verb = "loses it and goes on without a key" if len(named) == 1 else "lose it and go on without a key"
        told = listed(named)
        return f"{told[0].upper()}{told[1:]} {verb}."

    # -------------------------------------------------------------- form

    def get_create_form(self) -> type[RecordForm]:
        return NewKeyForm

    def presets(self) -> dict[str, Any]:
        user = self.store.users.get_current_user()
        return {"isActive": True, "userId": user.id if user else None}

    def fields_from(self, form: RecordForm, names: list[str], user_id: str) -> dict[str, Any]:
        fields = form.fields(names)
        if (value := fields.pop("value", None)) is not None:
            fields.update(self.encrypted(user_id, value))
        return fields

    def encrypted(self, user_id: str, value: str) -> dict[str, str]:
        """The three columns of a value."""
        return dict(self.store.secrets.encrypt(user_id, value).spelled(PARTS))

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        return {"owner": self.owner_name(self.owner_id(document)) if document is not None else ""}

    # -------------------------------------------------------------- another value

    @expose("/replace/", methods=("GET", "POST"))
    def replace(self) -> Answer:
        """Type a new value for a key. Only this page writes over one, and never with an empty one."""
        document = self.wanted()
        if request.method == "GET":
            return self.show_value_form(ValueForm(), document)
        form = ValueForm(request.form)
        if not form.validate():
            return self.show_value_form(form, document)
        try:
            new = self.encrypted(self.owner_id(document), form["value"].value())
            result = self.repository.update(document.id, new, expected=request.form.get("version", ""))
        except ConflictError:
            told = (
                "Somebody else changed this key in the meantime. Look at it, and type the value again if it is right."
            )
            form.refusals, form.status = (told,), HTTPStatus.CONFLICT
            return self.show_value_form(form, self.wanted())
        except StoreError as error:
            self.explain(form, error)
            return self.show_value_form(form, document)
        notices.tell_result(result, f"“{self.title_of(result.value)}” has a new value.")
        return self.go(self.back())

    def show_value_form(self, form: RecordForm, document: Any) -> Answer:
        page = self.render(
            "keys/replace.html",
            form=form,
            model=document,
            state=self.state(document),
            owner=self.owner_name(self.owner_id(document)),
            version=self.repository.version(document),
            return_url=self.back(),
            replace_url=url_for(".replace", id=document.id),
        )
        status = HTTPStatus.OK if request.method == "GET" else HTTPStatus.UNPROCESSABLE_ENTITY
        return page, getattr(form, "status", status)
