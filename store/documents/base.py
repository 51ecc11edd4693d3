"""What all documents share: field types, and the error that names record and field.

A document is a record in Quilltap's JSON shape: Quilltap's keys in Quilltap's order, then ``extras``. It is frozen, and
checks what both sides can hold; what only Quilltap 1.3 would refuse is told by ``store.quilltap``.
"""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from store import codec
from store.errors import InvalidRecordError, InvalidValueError

EPOCH = "1970-01-01T00:00:00.000Z"
NAMES = ("name", "email", "title", "label", "filename", "provider")  # keys by which people know a record
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)")
_CANONICAL_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def now() -> str:
    """This moment in UTC, to the millisecond, as documents spell it."""
    return spell_moment(datetime.now(UTC))


def spell_moment(moment: datetime) -> str:
    """An aware datetime as ``YYYY-MM-DDTHH:MM:SS.mmmZ`` in UTC, rounded to the millisecond as PostgreSQL's
    TIMESTAMP(3) rounds."""
    rounded = moment.astimezone(UTC) + timedelta(microseconds=500)
    return f"{rounded:%Y-%m-%dT%H:%M:%S}.{rounded.microsecond // 1000:03d}Z".rjust(24, "0")


def canonical_moment(text: str) -> str:
    """The canonical spelling of a moment. An offset is turned into UTC. Raises ValueError, also without a zone."""
    is_canonical = _CANONICAL_MOMENT.fullmatch(text)
    if (match := is_canonical or _MOMENT.fullmatch(text)) is None:
        raise ValueError(f"“{text[:40]}” is not a moment such as 2025-11-20T12:34:56.789Z")
    try:
        if is_canonical:
            datetime.fromisoformat(text)  # a real calendar date?
            return text
        minutes, seconds, fraction, zone = match.groups()
        whole = datetime.fromisoformat(f"{minutes}:{seconds or '00'}{zone}")
        return spell_moment(whole + timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6])))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"“{text[:40]}” is not a day and time that exists") from error


def derived_id(*parts: str) -> str:
    """An id that follows from what it stands for, for a record whose own id is not known."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, ":".join(("tandem", *parts))))


def _checked(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A check of the codec as pydantic wants it: its refusal becomes a ValueError."""

    def checked(value: Any) -> Any:
        try:
            return check(value)
        except InvalidValueError as error:
            raise ValueError(error.message) from error

    return checked


def _text(text: str) -> str:
    """Most text is plain, and needs no closer look."""
    return text if text.isascii() and "\0" not in text else str(_sound_text(text))


def _object_or_none(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise ValueError("it has to be a JSON object or null")
    return codec.canonical(value)


_sound_text = _checked(codec.check_text)
Text = Annotated[str, AfterValidator(_text)]
Id = Annotated[Text, Field(min_length=1)]
Moment = Annotated[str, AfterValidator(canonical_moment)]
Integer = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]  # what PostgreSQL's INTEGER holds
FreeForm = Annotated[Any, BeforeValidator(_checked(codec.canonical))]
FreeFormObject = Annotated[dict[str, Any] | None, BeforeValidator(_checked(_object_or_none))]
Parameters = Annotated[dict[str, Any], BeforeValidator(_checked(codec.canonical))]

_Item = TypeVar("_Item")
# JSON has lists, a frozen document holds tuples; its members are as strict as ever.
Many = Annotated[tuple[_Item, ...], Field(strict=False)]


class Part(BaseModel):
    """A part of a document: frozen, strict about types, no unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", arbitrary_types_allowed=True)


def _part_in(annotation: Any) -> type[Part] | None:
    """The part that a field is made of, directly, as an alternative to null, or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    return next((part for one in get_args(annotation) if (part := _part_in(one))), None)


@lru_cache
def _inner_parts(part: type[Part]) -> dict[str, type[Part] | None]:
    """Field -> the part it is made of, if it is."""
    return {name: _part_in(field.annotation) for name, field in part.model_fields.items()}


def known(part: type[Part], record: Any) -> Any:
    """The record without the keys, on any level, that ``part`` does not have: what a later Quilltap added."""
    if not isinstance(record, dict):
        return record
    kept = {}
    for name, inner in _inner_parts(part).items():
        if name in record:
            value = record[name]
            if inner and isinstance(value, list):
                kept[name] = [known(inner, one) for one in value]
            else:
                kept[name] = known(inner, value) if inner else value
    return kept


def with_unknown(part: type[Part], new: dict[str, Any], old: dict[str, Any]) -> dict[str, Any]:
    """The new record with the keys of the old one that ``part`` does not have, before ``extras``."""
    merged = dict(new)
    for name, inner in _inner_parts(part).items():
        before = old.get(name)
        if inner and isinstance(before, dict) and isinstance(new.get(name), dict):
            merged[name] = with_unknown(inner, new[name], before)
    unknown = {key: value for key, value in old.items() if key not in part.model_fields}
    if not unknown:
        return merged
    extras = {"extras": merged.pop("extras")} if "extras" in merged else {}
    return {**merged, **unknown, **extras}


class TagLink(Part):
    """A row of one of the five tag link tables, beyond the tag's id that Quilltap keeps."""

    id: Text
    tagId: Id
    createdAt: Moment


class Document(Part):
    """One record. ``kind`` is its noun in the singular, as the outbox names it, ``noun`` the words for people.

    Every document has an ``id``. ``renamed`` and ``in_extras`` tell where it has a column that Quilltap calls otherwise
    or has no key for; ``in_extras`` with the value that a record without it means.
    """

    kind: ClassVar[str]
    noun: ClassVar[str]
    renamed: ClassVar[dict[str, str]] = {}
    in_extras: ClassVar[dict[str, Any]] = {}
    secret_id: ClassVar[bool] = False  # whether no log line and no sentence may name the record by its id

    if TYPE_CHECKING:

        @property
        def id(self) -> str:
            """A field of most documents, and otherwise told by what is unique in them."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "kind" in vars(cls) and "noun" not in vars(cls):
            cls.noun = cls.kind

    @classmethod
    def check(cls, record: dict[str, Any]) -> Self:
        """The document of a record in Quilltap's shape. Raises InvalidRecordError that names record and field."""
        try:
            return cls.model_validate(record)
        except ValidationError as error:
            raise InvalidRecordError(cls.called(record), _problems(error)) from error

    @classmethod
    def completed(cls, record: dict[str, Any]) -> dict[str, Any]:
        """A record as a file has it, with what Quilltap leaves out and what follows from the rest."""
        return record

    @classmethod
    def id_of(cls, record: Any) -> str | None:
        """The id of a record that may not be valid; None where it cannot be told."""
        record_id = record.get("id") if isinstance(record, dict) else None
        return record_id if isinstance(record_id, str) and record_id else None

    @classmethod
    def called(cls, record: dict[str, Any]) -> str:
        """How a sentence names a record that may not be valid."""
        name = next((record[key] for key in NAMES if record.get(key)), None)
        told = f" “{name}”" if isinstance(name, str) else ""
        label = f"The {cls.noun}{told} ({record.get('id', 'without an id')})"
        return label.encode("utf-8", "replace").decode()  # a lone surrogate could be neither shown nor logged

    def value(self, column: str) -> Any:
        """The value of a SQL column: where Quilltap's validator would refuse it, it lies in ``extras.raw``."""
        extras = getattr(self, "extras", None)
        raw = getattr(extras, "raw", None) or {}
        if column in raw:
            return raw[column]
        if column in self.in_extras:
            return getattr(extras, column, self.in_extras[column])
        return getattr(self, self.renamed.get(column, column))


def _problems(error: ValidationError) -> dict[str, str]:
    """Field -> what is wrong, in words; the first problem of a field is told."""
    told: dict[str, str] = {}
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = ".".join(str(step) for step in problem["loc"]) or "record"
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ").rstrip(".")
        told.setdefault(field, message[0].lower() + message[1:] if message else "it is not valid")
    return told
