"""Form fields that know what a browser sends for them, so that two versions of a record can be compared field by field.

``sent()`` is what a field would send as it stands, in one canonical spelling: request name -> values. A form's
``snapshot()`` is that of all its fields. Only fields whose snapshot differs from the one the person saw are written, so
that a value no form can carry exactly (Windows line ends, a JSON null) stays what it is as long as nobody touches it.
"""

import json
from collections.abc import Iterable
from typing import Any

from flask_admin.form import BaseForm
from wtforms import BooleanField, Field, PasswordField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length, StopValidation

from store import codec
from store.codec import JsonSyntaxError
from store.errors import InvalidValueError

Sent = dict[str, list[str]]
Snapshot = dict[str, Sent]


def plain_lines(text: str) -> str:
    """Text with the line ends of this house; browsers send ``\\r\\n`` for every one."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def storable(form: BaseForm, field: Field) -> None:
    """Refuse what no side can keep, beside the field and before anything is written."""
    try:
        codec.check_text(field.data or "")
    except InvalidValueError as error:
        raise ValidationError(f"{error.message} {error.hint}") from error


class Filled:
    """The field has to say something. The message names the field, for it is read in the summary too."""

    def __init__(self) -> None:
        self.field_flags = {"required": True}

    def __call__(self, form: BaseForm, field: Field) -> None:
        if not (field.data or "").strip():
            raise StopValidation(f"{field.label.text} is empty. Write something and save again.")


class Line(StringField):
    """One line of text. ``nullable``: empty means none."""

    nullable = False

    def __init__(self, label: str, *, nullable: bool = False, longest: int = 500, **rest: Any) -> None:
        self.nullable = nullable
        rules = [Length(max=longest, message=f"{label} may have %(max)d characters at most."), storable]
        super().__init__(label, validators=[*rest.pop("validators", ()), *rules], **rest)

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = " ".join(plain_lines(valuelist[0]).split("\n")).strip()

    def sent(self) -> Sent:
        # A one-line field of a browser drops line ends.
        return {self.name: [plain_lines(self.data or "").replace("\n", "").strip()]}

    def value(self) -> str | None:
        return (self.data or None) if self.nullable else (self.data or "")


class LongText(TextAreaField):
    """Text of many lines."""

    def __init__(self, label: str, *, nullable: bool = False, rows: int = 6, **rest: Any) -> None:
        self.nullable, self.rows = nullable, rows
        super().__init__(label, validators=[*rest.pop("validators", ()), storable], **rest)

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = plain_lines(valuelist[0])

    def sent(self) -> Sent:
        return {self.name: [plain_lines(self.data or "")]}

    def value(self) -> str | None:
        return (self.data or None) if self.nullable else (self.data or "")


class ImageChoice(Line):
    """The id of an image: one of those that the form shows, or, as ``<name>-other``, any other."""

    def process(self, formdata: Any, *rest: Any, **named: Any) -> None:
        super().process(formdata, *rest, **named)
        if formdata and (other := formdata.get(f"{self.name}-other", "").strip()):
            self.data = other


class Flag(BooleanField):
    """A tick box. Not sent means no, once a form was sent at all."""

    def sent(self) -> Sent:
        return {self.name: ["1"] if self.data else []}

    def value(self) -> bool:
        return bool(self.data)


class Choice(SelectField):
    """One of few."""

    def sent(self) -> Sent:
        return {self.name: [self.data or ""]}

    def value(self) -> str | None:
        return self.data or None


class KeptChoice(Choice):
    """One of few, or what the record says although nobody would offer it: it stays until somebody chooses."""

    told_of_others = "{} (as it is)"

    def process_data(self, value: Any) -> None:
        super().process_data(value)
        if self.data and self.data not in {choice.value for choice in self.choices}:
            self.choices = [*self.choices, SelectChoice(self.data, self.told_of_others.format(self.data))]


class Secret(PasswordField):
    """Something that is typed in and never comes back: in no form, no snapshot, no merge page."""

    def __init__(self, label: str, **rest: Any) -> None:
        rules = [*rest.pop("validators", ()), Length(max=4000, message=f"{label} may have %(max)d characters at most.")]
        super().__init__(label, validators=[*rules, storable], **rest)

    def process_formdata(self, valuelist: list[str]) -> None:
        # What is copied from a web page brings spaces and a line end along.
        self.data = valuelist[0].strip() if valuelist else ""

    def sent(self) -> Sent:
        return {}

    def value(self) -> str:
        return self.data or ""


NEW = "new:"  # stands before the name of a tag that a page gives back although it is not made yet


def tags_sent(formdata: Any, name: str) -> tuple[list[str], list[str]]:
    """What a tag picker sent: ids, and names of new tags."""
    values = [value.replace("\0", "") for value in formdata.getlist(name)]
    told = [value.removeprefix(NEW) for value in values if value.startswith(NEW)]
    told += [part for value in formdata.getlist(f"{name}-new") for part in value.split(",")]
    ids = dict.fromkeys(value for value in values if value and not value.startswith(NEW))
    return list(ids), list(dict.fromkeys(filter(None, (" ".join(part.split()) for part in told))))


class Tags(Field):
    """Tag ids. ``<name>-new`` holds names of tags that are to be made, several with commas between them."""

    new_names: tuple[str, ...] = ()

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        self.process_errors = []
        self.object_data = self.data = list(data or ())
        self.raw_data = None
        if formdata is not None and formdata:
            self.raw_data = formdata.getlist(self.name)
            self.data, new_names = tags_sent(formdata, self.name)
            self.new_names = tuple(new_names)

    def sent(self) -> Sent:
        return {self.name: sorted(self.data), f"{self.name}-new": list(self.new_names)}

    def value(self) -> list[str]:
        return list(self.data)


class PersonaLinks(Field):
    """Personas a character knows: ``<name>`` their ids, ``<name>-default`` the id of the one that is the default."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        self.process_errors = []
        self.object_data = self.data = [dict(link) for link in data or ()]
        self.raw_data = None
        if formdata is not None and formdata:
            default = formdata.get(f"{self.name}-default", "")
            self.raw_data = formdata.getlist(self.name)
            ids = dict.fromkeys(one for one in self.raw_data if one and "\0" not in one)
            self.data = [{"personaId": one, "isDefault": one == default} for one in ids]

    @property
    def default_persona(self) -> str:
        """The id of the default persona; empty when there is none."""
        return next((link["personaId"] for link in self.data if link["isDefault"]), "")

    def sent(self) -> Sent:
        ids = sorted(link["personaId"] for link in self.data)
        return {self.name: ids, f"{self.name}-default": [self.default_persona]}

    def value(self) -> list[dict[str, Any]]:
        return list(self.data)


class JsonObject(TextAreaField):
    """Free-form JSON as text. A wrong one tells its place (``line``, ``column``); an untouched one is not looked at."""

    line: int | None = None
    column: int | None = None

    def __init__(self, label: str, *, rows: int = 8, nullable: bool = True, **rest: Any) -> None:
        self.rows, self.nullable = rows, nullable
        self.parsed: Any = None
        super().__init__(label, **rest)

    def process_data(self, value: Any) -> None:
        self.data = "" if value is None else codec.dumps_pretty(value).decode()

    def process_formdata(self, valuelist: list[str]) -> None:
        if valuelist:
            self.data = plain_lines(valuelist[0])

    def pre_validate(self, form: Any) -> None:
        self.parsed = None
        if not self.data or not self.data.strip() or form.seen.get(self.short_name) == self.sent():
            return
        try:
            self.parsed = codec.loads(self.data)
        except JsonSyntaxError as error:
            self.line, self.column = error.line, error.column
            raise ValidationError(f"This is not JSON yet: {error.message} {error.hint}") from error
        except InvalidValueError as error:
            raise ValidationError(f"{error.message} {error.hint}") from error
        if not isinstance(self.parsed, dict):
            raise ValidationError('It has to be a JSON object, such as {"a": 1}, or empty. Put braces around it.')

    def sent(self) -> Sent:
        return {self.name: [plain_lines(self.data or "").strip("\n")]}

    def value(self) -> Any:
        return {} if self.parsed is None and not self.nullable else self.parsed


class RecordForm(BaseForm):
    """A form over a record. ``seen`` is the snapshot the person started from; empty for a new record."""

    seen: Snapshot
    refusals: tuple[str, ...] = ()  # what the store said of the record as a whole

    def __init__(self, formdata: Any = None, obj: Any = None, prefix: str = "", **rest: Any) -> None:
        self.seen = read_snapshot(formdata.get("seen", "")) if formdata else {}
        super().__init__(formdata, obj, prefix, **rest)

    def validate(self, extra_validators: Any = None) -> bool:
        """Whether every field is as it has to be. One the person did not touch is not judged: it is not written."""
        valid: bool = super().validate(extra_validators)
        for field in self:
            if field.errors and self.seen.get(field.short_name) == field.sent():
                field.errors = []
        return valid or not any(field.errors for field in self)

    def snapshot(self) -> Snapshot:
        """What each field would send as it stands."""
        return {field.short_name: field.sent() for field in self}

    def changed(self) -> list[str]:
        """The fields that differ from what the person saw."""
        return [name for name, sent in self.snapshot().items() if sent != self.seen.get(name)]

    def fields(self, names: Iterable[str]) -> dict[str, Any]:
        """The store's fields of some form fields."""
        return {name: self[name].value() for name in names}

    def adopt(self, problems: dict[str, str]) -> list[str]:
        """Hang the store's complaints on the fields they name; those of other fields come back as sentences."""
        left = []
        for name, reason in problems.items():
            field = self._fields.get(name.partition(".")[0])
            if field is None:
                left.append(f"{name}: {reason}.")
            else:
                field.errors = [*field.errors, f"{field.label.text}: {reason}."]
        return left


def read_snapshot(text: str) -> Snapshot:
    """A snapshot from a hidden field; empty when it is none. It decides what is compared, never what may be written."""
    try:
        told = json.loads(text or "{}")
        return {
            str(field): {str(name): [str(value) for value in values] for name, values in sent.items()}
            for field, sent in told.items()
        }
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}


def spell_snapshot(snapshot: Snapshot) -> str:
    """A snapshot as the hidden field ``seen`` carries it."""
    return json.dumps(snapshot, ensure_ascii=False, separators=(",", ":"))


class CharacterForm(RecordForm):
    name = Line("Name", validators=[Filled()])
    title = Line("Title", nullable=True, description="A short line under the name.")
    isFavorite = Flag("Favourite")
    tags = Tags("Tags")
    description = LongText("Description", rows=8)
    personality = LongText("Personality", rows=6)
    scenario = LongText("Scenario", rows=5)
    firstMessage = LongText("First message", rows=6, description="What the character says when a chat begins.")
    exampleDialogues = LongText("Example dialogues", nullable=True, rows=6)
    systemPrompt = LongText("System prompt", nullable=True, rows=5)
    personaLinks = PersonaLinks("Personas")
    avatarUrl = Line("Avatar address", nullable=True, longest=4000, description="Where the picture lies.")
    defaultImageId = ImageChoice("Picture", nullable=True)
    sillyTavernData = JsonObject("SillyTavern data", description="A JSON object, or empty.")


class PersonaForm(RecordForm):
    name = Line("Name", validators=[Filled()])
    title = Line("Title", nullable=True, description="A short line under the name.")
    tags = Tags("Tags")
    description = LongText("Description", rows=8)
    personalityTraits = LongText("Personality traits", nullable=True, rows=6)
    avatarUrl = Line("Avatar address", nullable=True, longest=4000, description="Where the picture lies.")
    defaultImageId = ImageChoice("Picture", nullable=True)
    sillyTavernData = JsonObject("SillyTavern data", description="A JSON object, or empty.")


class ImageForm(RecordForm):
    filename = Line("File name", longest=200, validators=[Filled()], description="How people find it; the file stays.")
    url = Line("Address", nullable=True, longest=4000, description="Where on the web it came from.")


class TagForm(RecordForm):
    name = Line("Name", longest=100, validators=[Filled()])


class UserForm(RecordForm):
    email = Line("E-mail", longest=320, validators=[Filled()])
    name = Line("Name", nullable=True)


def owner_field(choices: list[tuple[str, str]]) -> Choice:
    """Who a new record belongs to; asked only where there are several users."""
    told = [SelectChoice(value, label) for value, label in choices]
    return Choice("User", choices=told, validators=[InputRequired("Choose the user it belongs to.")])
