"""Connection profiles, and what they have in common with image profiles."""

from typing import Any, ClassVar, get_args
from urllib.parse import urlsplit

from flask import jsonify, request, url_for
from flask_admin import expose
from wtforms import ValidationError
from wtforms.fields.choices import SelectChoice

from dashboard import notices
from dashboard.formatters import counted, listed, provider
from dashboard.forms import Filled, Flag, JsonObject, KeptChoice, Line, RecordForm, Sent, Tags
from dashboard.views.bulk import ADD_TAG, DELETE, REMOVE_TAG
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.places import page_of, places_of
from dashboard.views.tagged import TaggedView
from store.documents import ConnectionProfile
from store.documents.profiles import Provider
from store.errors import InvalidRecordError, StoreError
from store.repositories.contract import Page, Query

NEEDS_ADDRESS = frozenset({"OLLAMA", "OPENAI_COMPATIBLE"})
KEY_PROVIDERS = frozenset(get_args(Provider))
NOT_OFFERED = "it is no active key of the owner for this provider; choose another one, or none"


class ProfileForm(RecordForm):
    """Every profile's form; ``provider`` is the noun's own."""

    name = Line("Name", validators=[Filled()])
    apiKeyId = KeptChoice("API key", choices=[], invalid_choice_message=f"API key: {NOT_OFFERED}.")
    baseUrl = Line("Base URL", nullable=True, longest=2000)
    modelName = Line("Model", validators=[Filled()])
    parameters = JsonObject("Parameters", nullable=False, description="A JSON object, or empty.")
    isDefault = Flag("Default")
    tags = Tags("Tags")

    def validate_baseUrl(self, field: Any) -> None:  # WTForms finds it by the field's name
        if field.data and not is_web_address(field.data):
            raise ValidationError(
                "Base URL is no address. Write one such as http://localhost:11434, or leave it empty."
            )


class ConnectionProfileForm(ProfileForm):
    provider = KeptChoice("Provider", choices=[SelectChoice(name, provider(name)) for name in get_args(Provider)])


def is_web_address(text: str) -> bool:
    """Whether a program can send requests there."""
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


class ProfilePages(TaggedView):
    """The pages of one sort of profiles."""

    search_in = "names and models"
    menu_group = "Connections"
    filters = Filters(by_tags=True, by_user=True)
    column_list = ("name", "provider", "modelName", "apiKeyId", "tags", "updatedAt")
    column_labels = {
        "name": "Name",
        "provider": "Provider",
        "modelName": "Model",
        "apiKeyId": "API key",
        "tags": "Tags",
        "updatedAt": "Changed",
    }
    cells_template, fields_template = "profiles/cells.html", "profiles/fields.html"
    body_template = "profiles/body.html"
    bulk_actions = (ADD_TAG, REMOVE_TAG, DELETE)
    roles = {**TaggedView.roles, "make_default": "editor", "keys": "editor"}
    address_hint: ClassVar[str]

    # -------------------------------------------------------------- keys

    def keys_for(self, user_id: str | None, provider_name: str | None) -> list[tuple[str, str]]:
        """The keys a profile may use: (id, label). A provider without keys of its own may use any of the user's."""
        if not user_id:
            return []
        if provider_name in KEY_PROVIDERS:
            return list(self.store.keys.active(user_id, provider_name))
        rows = self.store.keys.list(Query(user_id=user_id, sort="label", page_size=500)).rows
        return [(row["id"], f"{row['label']} ({provider(row['provider'])})") for row in rows if row["isActive"]]

    def key_named(self, key_id: str) -> str:
        """What a key is called that a profile uses."""
        return self.name_in(self.store.keys, key_id, "(deleted key)", lambda key: str(key.value("label")))

    @expose("/keys/")
    def keys(self) -> Any:
        """The keys that a profile of ``user`` for ``provider`` may use, for the form."""
        found = self.keys_for(clean(request.args.get("user", "")), clean(request.args.get("provider", "")))
        return jsonify(keys=[{"id": key_id, "name": label} for key_id, label in found])

    # -------------------------------------------------------------- form

    def edit_form(self, obj: Any = None, formdata: Any = None) -> RecordForm:
        return self.with_keys(super().edit_form(obj, formdata), obj.userId, obj.value("apiKeyId"))

    def create_form(self, obj: Any = None) -> RecordForm:
        form = super().create_form(obj)
        return self.with_keys(form, form.data.get("userId") or self.current_user_id(), None)

    def with_keys(self, form: RecordForm, user_id: str | None, current: str | None) -> RecordForm:
        """The form with the keys it may offer, and the one the profile has, be it what it may."""
        offered = self.keys_for(user_id, form["provider"].data)
        form.offered = frozenset(key_id for key_id, _ in offered)
        choices = [SelectChoice("", "No key"), *(SelectChoice(key_id, label) for key_id, label in offered)]
        if current and current not in form.offered:
            choices.append(SelectChoice(current, f"{self.key_named(current)} (not offered any more)"))
        form["apiKeyId"].choices = choices
        form["apiKeyId"].data = form["apiKeyId"].data or ""
        return form

    def presets(self) -> dict[str, Any]:
        # A copy is no default: nobody asked to take that from the one it was copied from.
        return {"provider": "OPENAI", "parameters": {}, **super().presets(), "isDefault": False}

    def fields_from(self, form: RecordForm, names: list[str], user_id: str) -> dict[str, Any]:
        problems = {}
        key, address = form["apiKeyId"].value(), form["baseUrl"].value()
        if key and key not in form.offered and {"provider", "apiKeyId"} & {*names}:
            problems["apiKeyId"] = NOT_OFFERED
        if not address and form["provider"].data in NEEDS_ADDRESS and {"provider", "baseUrl"} & {*names}:
            problems["baseUrl"] = f"{provider(form['provider'].data)} needs one, such as http://localhost:11434"
        if problems:
            raise InvalidRecordError(f"The {self.noun}", problems)
        return super().fields_from(form, names, user_id)

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        user_id = document.userId if document is not None else self.current_user_id()
        return {**super().form_context(form, document), "keys_url": url_for(".keys"), "keys_of": user_id or ""}

    def shown(self, field: Any, sent: Sent | None) -> str:
        told = super().shown(field, sent)
        if told and field.short_name == "apiKeyId":
            return self.key_named(told)
        return provider(told) if told and field.short_name == "provider" else told

    # -------------------------------------------------------------- list and details

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        used = {row["apiKeyId"] for row in page.rows if row["apiKeyId"]}
        named = {key_id: {"name": self.key_named(key_id), "href": page_of("key", key_id)} for key_id in used}
        return {**super().list_context(listing, page), "keys_named": named}

    def details_context(self, document: Any) -> dict[str, Any]:
        key_id = document.value("apiKeyId")
        key = {"name": self.key_named(key_id), "href": page_of("key", key_id)} if key_id else None
        context = {**super().details_context(document), "key": key, "key_problem": self.key_problem(document)}
        context["usage"] = places_of(self.repository.used_by(document.id))
        if self.allows("make_default") and not document.isDefault:
            fields = {"id": document.id, "url": self.details_url(document.id, self.back())}
            context["buttons"] = [
                {"label": "Make default", "action": url_for(".make_default"), "fields": fields, "icon": "check"}
            ]
        return context

    def key_problem(self, document: Any) -> str:
        """Why the profile's key is none that would be offered to it; empty when all is well."""
        key_id = document.value("apiKeyId")
        try:
            key = self.store.keys.find_by_id(key_id) if key_id else None
        except StoreError:
            return "cannot be read"
        if key is None:
            return "is gone" if key_id else ""
        if not key.isActive:
            return "is not active"
        if document.provider in KEY_PROVIDERS and key.provider != document.provider:
            return f"is for {provider(key.provider)}"
        return ""

    def users_named(self, document: Any) -> tuple[str, str]:
        """The chats that use a profile: how many, and which."""
        places = places_of(self.repository.used_by(document.id))
        return counted(len(places), "chat"), listed([f"“{place['name']}”" for place in places], 3)

    # -------------------------------------------------------------- default

    @expose("/make-default/", methods=("POST",))
    def make_default(self) -> Any:
        """Make a profile its user's default; the one before is none any more."""
        result = self.repository.set_default(clean(request.form.get("id", "")))
        notices.tell_result(result, f"“{result.value.name}” is the default now.")
        return self.go(self.back())


class ProfilesView(ProfilePages):
    """The connection profiles' pages."""

    noun = "connection profile"
    form = ConnectionProfileForm
    address_hint = "Where requests go. Needed for Ollama and OpenAI-compatible; others have their own."
    goes_along = "One that a chat uses is not deleted."

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.profiles, ConnectionProfile, "Connection profiles", "profiles", "profiles")

    def loses(self, document: Any) -> str:
        count, named = self.users_named(document)
        if not named:
            return "No chat uses it."
        return f"It cannot be deleted while {count} {'uses' if count == '1 chat' else 'use'} it: {named}."
