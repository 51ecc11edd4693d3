"""Connection profiles, and what they have in common with image profiles."""

from typing import Any, ClassVar, get_args

from flask import jsonify, request, url_for
from flask_admin import expose
from wtforms import ValidationError
from wtforms.fields.choices import SelectChoice

from dashboard import notices
from dashboard.formatters import counted, listed, provider
from dashboard.forms import Filled, Flag, KeptChoice, Line, RecordForm, Sent, Tags
from dashboard.parameter_fields import Parameters
from dashboard.views.bulk import ADD_TAG, DELETE, REMOVE_TAG, BulkAction
from dashboard.views.connections import ConnectionView
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.places import page_of, places_of
from dashboard.views.tagged import TaggedView
from store.documents import ApiKey, ConnectionProfile
from store.documents.profiles import Provider
from store.errors import InvalidRecordError, ProviderError, StoreError
from store.providers import NEEDS_BASE_URL, Outcome, Subject
from store.providers.addresses import parse
from store.providers.parameters import LANGUAGE
from store.repositories.contract import Page, Query

KEY_PROVIDERS = frozenset(get_args(Provider))
NOT_OFFERED = "it is no active key of the owner for this provider; choose another one, or none"
SET_MODEL = BulkAction(
    "set_model",
    "Set model",
    "edit",
    "Give {n} {noun} another model?",
    "Set model",
    "bulk_set_model",
    asks="profiles/_ask_model.html",
)
SET_KEY = BulkAction(
    "set_key",
    "Set key",
    "keys",
    "Give {n} {noun} another API key?",
    "Set key",
    "bulk_set_key",
    asks="profiles/_ask_key.html",
)
NO_KEY = "none"


class ProfileForm(RecordForm):
    """Every profile's form; ``provider`` is the noun's own."""

    name = Line("Name", validators=[Filled()])
    apiKeyId = KeptChoice("API key", choices=[], invalid_choice_message=f"API key: {NOT_OFFERED}.")
    baseUrl = Line("Base URL", nullable=True, longest=2000)
    modelName = Line("Model", validators=[Filled()])
    isDefault = Flag("Default")
    tags = Tags("Tags")

    def validate_baseUrl(self, field: Any) -> None:  # WTForms finds it by the field's name
        try:
            parse(field.data or "https://empty.example")
        except ProviderError as error:
            raise ValidationError(f"{error.message} {error.hint}") from error


class ConnectionProfileForm(ProfileForm):
    provider = KeptChoice("Provider", choices=[SelectChoice(name, provider(name)) for name in get_args(Provider)])
    parameters = Parameters("Parameters", LANGUAGE, description="A JSON object, or empty.")


class ProfilePages(ConnectionView, TaggedView):
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
    bulk_actions = (ADD_TAG, REMOVE_TAG, SET_MODEL, SET_KEY, DELETE)
    roles = {
        **TaggedView.roles,
        **dict.fromkeys(("make_default", "keys", "parameters", "test"), "editor"),
    }
    asks_again: ClassVar[frozenset[str]] = frozenset(
        {"create", "edit", "delete", "bulk", "make_default", "test", "undo"}
    )
    address_hint: ClassVar[str]
    may_ask: ClassVar[bool] = False  # whether the smallest question to a model costs next to nothing

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
        if not address and form["provider"].data in NEEDS_BASE_URL and {"provider", "baseUrl"} & {*names}:
            problems["baseUrl"] = f"{provider(form['provider'].data)} needs one, such as http://localhost:11434"
        if {"provider", "parameters"} & {*names}:
            called, every = form["provider"].data, "provider" in names
            problems["parameters"] = form["parameters"].out_of_bounds(called, all_of_them=every)
        problems = {name: told for name, told in problems.items() if told}
        if problems:
            raise InvalidRecordError(f"The {self.noun}", problems)
        return super().fields_from(form, names, user_id)

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        user_id = document.userId if document is not None else self.current_user_id()
        return {
            **super().form_context(form, document),
            "keys_url": url_for(".keys"),
            "keys_of": user_id or "",
            "parts": form["parameters"].parts(form["provider"].data),
            "found": self.models_for(form, document) if "_models" in request.form else None,
        }

    @staticmethod
    def is_saving() -> bool:
        return TaggedView.is_saving() and "_models" not in request.form

    @expose("/parameters/")
    def parameters(self) -> str:
        """The empty fields of the parameters that ``provider`` takes, for the form."""
        form = self._create_form_class(data={"parameters": {}})
        return self.render("profiles/_parameters.html", parts=form["parameters"].parts(request.args.get("provider")))

    def shown(self, field: Any, sent: Sent | None) -> str:
        if sent is not None and field.short_name == "parameters":
            return str(field.as_text(sent))
        told = super().shown(field, sent)
        if told and field.short_name == "apiKeyId":
            return self.key_named(told)
        return provider(told) if told and field.short_name == "provider" else told

    # -------------------------------------------------------------- test

    def subject_of(self, document: Any) -> tuple[Subject, ApiKey | None]:
        key = self.key_or_none(document.value("apiKeyId"))
        return self.subject(document.provider, key, document.baseUrl, document.modelName, ask=self.may_ask)

    def models_for(self, form: RecordForm, document: Any) -> Outcome:
        """What a provider says to a form as it stands: with a key that the form offers, or the one the profile has."""
        asked = form["apiKeyId"].data
        has = document is not None and document.value("apiKeyId") == asked
        key = self.key_or_none(asked) if has or asked in form.offered else None
        address = form["baseUrl"].data
        try:
            return self.outcome_of(lambda: self.subject(form["provider"].data or "", key, address))
        except ProviderError as error:
            return Outcome("unreachable", error.sentence, 0.0)

    # -------------------------------------------------------------- many at once

    def missing(self, action: BulkAction) -> str:
        if action is SET_MODEL and not self.model_asked():
            return "Write the name of the model."
        if action is SET_KEY and not request.form.get("set-key"):
            return "Choose a key, or none."
        return super().missing(action)

    @staticmethod
    def model_asked() -> str:
        return clean(request.form.get("set-model", ""))

    def asked_context(self) -> dict[str, Any]:
        owners = dict(self.users())
        rows = self.store.keys.list(Query(sort="label", page_size=500)).rows if self.allows("bulk") else []
        named = [
            (row["id"], f"{row['label']} ({provider(row['provider'])})", owners.get(row["userId"], ""))
            for row in rows
            if row["isActive"]
        ]
        several = len(owners) > 1
        offered = [(key_id, f"{label} of {owner}" if several and owner else label) for key_id, label, owner in named]
        return {"keys_to_set": [(NO_KEY, "No key"), *offered], "key_asked": request.form.get("set-key", "")}

    def bulk_set_model(self, ids: list[str]) -> None:
        model = self.model_asked()
        result = self.repository.update_many(ids, {"modelName": model})
        notices.tell_result(result, notices.given(result.value, len(ids), f"the model “{model}”", self.noun))

    def bulk_set_key(self, ids: list[str]) -> None:
        """Give the profiles a key of their own user and provider; the others are left alone, and named."""
        key_id = request.form.get("set-key", "")
        profiles = [found for one in ids if (found := self.repository.find_by_id(one)) is not None]
        fitting = profiles if key_id == NO_KEY else [one for one in profiles if self.fits(one, key_id)]
        if fitting:
            value = None if key_id == NO_KEY else key_id
            result = self.repository.update_many([one.id for one in fitting], {"apiKeyId": value})
            named = "no key" if value is None else f"the key “{self.key_named(value)}”"
            notices.tell_result(result, notices.given(result.value, len(fitting), named, self.noun))
        if left := [f"“{one.name}” ({provider(one.provider)})" for one in profiles if one not in fitting]:
            told = f"Left alone, because it is no active key of their owner and provider: {listed(left, 10)}."
            notices.tell(told, notices.WARNING)

    def fits(self, profile: Any, key_id: str) -> bool:
        """Whether a key is one that the profile's form would offer."""
        return key_id in dict(self.keys_for(profile.userId, profile.provider))

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
    may_ask = True
    goes_along = "One that a chat uses is not deleted."

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.profiles, ConnectionProfile, "Connection profiles", "profiles", "profiles")

    def loses(self, document: Any) -> str:
        count, named = self.users_named(document)
        if not named:
            return "No chat uses it."
        return f"It cannot be deleted while {count} {'uses' if count == '1 chat' else 'use'} it: {named}."
