"""API keys. The value of a key goes in and never comes out: people who may edit see a mask of it, others that it is
there.
"""

import dataclasses
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar, get_args

from flask import request, url_for
from flask_admin import expose
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired

from dashboard import notices
from dashboard.formatters import listed, provider
from dashboard.forms import Choice, Filled, Flag, Line, RecordForm, Secret
from dashboard.views.base import GONE
from dashboard.views.bulk import DELETE, BulkView
from dashboard.views.connections import ConnectionView, parts_of
from dashboard.views.editing import Answer, EditableView
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.places import places_of
from dashboard.views.secret_states import SecretState, overview, state_of
from store.documents import ApiKey
from store.documents.profiles import Provider
from store.errors import ConflictError, StoreError
from store.providers import NEEDS_BASE_URL, Subject
from store.providers.health import KeyTest
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


class KeysView(ConnectionView, EditableView, BulkView):
    """The API keys' pages."""

    noun = "API key"
    search_in = "labels"
    menu_group = "Connections"
    filters = Filters(by_user=True, sort="label", page_size=20)
    column_list = ("label", "provider", "value", "health", "usage", "lastUsed")
    column_labels = {
        "label": "Label",
        "provider": "Provider",
        "value": "Value",
        "health": "Health",
        "usage": "Used by",
        "lastUsed": "Last used",
    }
    form = KeyForm
    cells_template, fields_template, body_template = "keys/cells.html", "keys/fields.html", "keys/body.html"
    list_template = "keys/list.html"
    bulk_actions = (dataclasses.replace(DELETE, asks_page=True),)  # a page has room to say which profiles lose them
    can_duplicate = False
    comes_back = GONE
    goes_along = "Profiles that use it go on without a key."
    roles = {**EditableView.roles, "replace": "editor", "activate": "editor", "test": "editor"}
    asks_again: ClassVar[frozenset[str]] = frozenset(
        {"create", "edit", "replace", "activate", "delete", "bulk", "test", "undo"}
    )

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.keys, ApiKey, "API keys", "keys", "keys")

    def title_of(self, document: Any) -> str:
        return str(document.value("label"))

    # -------------------------------------------------------------- what may be told of the value

    def state(self, document: Any) -> SecretState:
        told = self.allows("edit")
        decrypt, owner = self.store.secrets.decrypt, self.owner_of_key(document)
        return state_of(decrypt, owner, parts_of(document), PARTS, tells=told, shows_mask=told)

    def state_in_list(self, key_id: str) -> SecretState:
        """The same for a row; a record that cannot be read must not take the list along."""
        try:
            document = self.repository.find_by_id(key_id)
        except StoreError as error:
            return SecretState(True, error, is_told=self.allows("edit"))
        return self.state(document) if document is not None else SecretState(False)

    def tests_in_list(self, key_id: str) -> Sequence[KeyTest]:
        key = self.key_or_none(key_id)
        return self.tests_of(key) if key is not None else ()

    def tests_of(self, document: Any) -> Sequence[KeyTest]:
        """What came of testing the value that the key has now, the newest first; nothing for those who may not know."""
        return self.store.key_tests.of(document.id, parts_of(document)) if self.allows("test") else ()

    # -------------------------------------------------------------- test

    def subject_of(self, document: Any) -> tuple[Subject, ApiKey | None]:
        return self.subject(document.provider, document, self.base_url_of(document))

    def base_url_of(self, document: Any) -> str | None:
        """Where a key without an address of its own is tried: at that of the first profile that uses it."""
        if document.provider not in NEEDS_BASE_URL:
            return None
        for kind, record_id, _ in self.repository.used_by(document.id):
            profile = self.store.repositories[kind].find_by_id(record_id)
            if profile is not None and profile.baseUrl and profile.provider in NEEDS_BASE_URL:
                return str(profile.baseUrl)
        return None

    # -------------------------------------------------------------- list and details

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        used = {row["id"]: self.repository.used_by(row["id"]) for row in page.rows}
        return {
            "users": self.users(),
            "secrets": overview(self.store.survey) if self.allows("edit") else None,
            "states": {row["id"]: self.state_in_list(row["id"]) for row in page.rows},
            "tests": {row["id"]: self.tests_in_list(row["id"]) for row in page.rows},
            "usage": {key_id: places_of(users) for key_id, users in used.items()},
            "losses": {key_id: self.lost_by(users) for key_id, users in used.items()},
        }

    def details_context(self, document: Any) -> dict[str, Any]:
        return {
            "owner": self.owner_name(self.owner_of_key(document)),
            "state": self.state(document),
            "tests": self.tests_of(document),
            "usage": places_of(self.repository.used_by(document.id)),
            "buttons": self.buttons(document),
        }

    def buttons(self, document: Any) -> list[dict[str, Any]]:
        """What can be done with a key besides editing it."""
        if not self.allows("activate"):
            return []
        fields = {"id": document.id, "url": self.details_url(document.id, self.back())}
        label, active, icon = ("Deactivate", "", "close") if document.isActive else ("Activate", "1", "check")
        address = url_for(".activate")
        return [{"label": label, "action": address, "fields": {**fields, "active": active}, "icon": icon}]

    @expose("/activate/", methods=("POST",))
    def activate(self) -> Answer:
        """Offer a key to profiles, or do so no more. Profiles that use it go on using it."""
        active = request.form.get("active") == "1"
        result = self.repository.update(clean(request.form.get("id", "")), {"isActive": active})
        told = "is active again." if active else "is not offered to profiles any more; those that use it keep it."
        notices.tell_result(result, f"“{self.title_of(result.value)}” {told}")
        return self.go(self.back())

    def loses(self, document: Any) -> str:
        return self.lost_by(self.repository.used_by(document.id))

    def loses_together(self, ids: Sequence[str]) -> str:
        users = list(dict.fromkeys(user for one in ids for user in self.repository.used_by(one)))
        return self.lost_by(users, several=len(ids) > 1)

    def delete_model(self, model: Any) -> bool:
        gone = super().delete_model(model)
        self.store.key_tests.forget([model.id])
        return gone

    def bulk_delete(self, ids: list[str]) -> None:
        super().bulk_delete(ids)
        self.store.key_tests.forget(ids)

    def lost_by(self, users: Users, *, several: bool = False) -> str:
        """Which profiles lose a key when it goes, or ``several`` go, in a sentence."""
        if not users:
            return "No profile uses them." if several else "No profile uses it."
        named = [f"the {place['noun']} “{place['name']}”" for place in places_of(users)]
        one = len(named) == 1
        lost = ("its key" if one else "their keys") if several else "it"
        verb = f"loses {lost} and goes on without a key" if one else f"lose {lost} and go on without a key"
        told = listed(named, 20)
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
        return {"owner": self.owner_name(self.owner_of_key(document)) if document is not None else ""}

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
            new = self.encrypted(self.owner_of_key(document), form["value"].value())
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
            tests=self.tests_of(document),
            owner=self.owner_name(self.owner_of_key(document)),
            version=self.repository.version(document),
            return_url=self.back(),
            replace_url=url_for(".replace", id=document.id),
        )
        status = HTTPStatus.OK if request.method == "GET" else HTTPStatus.UNPROCESSABLE_ENTITY
        return page, getattr(form, "status", status)
