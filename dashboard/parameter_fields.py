"""One object of parameters, edited in two ways: a field each for those that most people set, and JSON for the rest.

Nothing is lost between them: a value that a field cannot carry exactly (text where a number belongs, null) stays in the
JSON, numbers keep the spelling they have, and a parameter may be moved from the JSON to its field and back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wtforms import ValidationError
from wtforms.validators import StopValidation

from dashboard.forms import JsonObject, Sent, plain_lines
from store import codec
from store.errors import InvalidValueError
from store.providers.parameters import LABELS, Number, Table, Taken, Words, names, problems


@dataclass(frozen=True)
class Part:
    """One parameter's field, as a page shows it."""

    name: str  # as a request carries it
    id: str
    label: str
    text: str
    hint: str
    taken: Taken | None  # None: not by this provider
    error: str

    @property
    def is_number(self) -> bool:
        return isinstance(self.taken, Number)

    @property
    def options(self) -> tuple[str, ...]:
        """What to choose from; also what is there although nobody would offer it."""
        offered = self.taken.offered if isinstance(self.taken, Words) else ()
        return (*offered, self.text) if offered and self.text and self.text not in offered else offered


class Parameters(JsonObject):
    """``<name>`` is the rest as JSON, ``<name>-<parameter>`` the others. ``table`` says which providers take what."""

    def __init__(self, label: str, table: Table, **rest: Any) -> None:
        self.table, self.known = table, names(table)
        self.texts: dict[str, str] = {}
        self.part_errors: dict[str, str] = {}
        self.json_errors: list[str] = []
        super().__init__(label, nullable=False, **rest)

    def process(self, formdata: Any, data: Any = None, *rest: Any, **named: Any) -> None:
        super().process(formdata, data, *rest, **named)
        if formdata:
            # A field that was not on the page says nothing about its parameter.
            sent = {name: formdata.get(self._request_name(name), self.texts[name]) for name in self.known}
            self.texts = {name: " ".join(plain_lines(text).split()) for name, text in sent.items()}

    def process_data(self, value: Any) -> None:
        apart = {}
        if isinstance(value, Mapping):
            apart = {name: value[name] for name in self.known if name in value and self._fits(name, value[name])}
            value = {name: member for name, member in value.items() if name not in apart}
        self.texts = {name: _spelled(apart[name]) if name in apart else "" for name in self.known}
        super().process_data(value if value or not isinstance(value, Mapping) else None)

    def _fits(self, name: str, value: Any) -> bool:
        """Whether the parameter's field can carry the value and give it back as it is."""
        if self._is_number(name):
            return isinstance(value, int | Decimal) and not isinstance(value, bool) and len(_spelled(value)) <= 100
        return isinstance(value, str) and 0 < len(value) <= 500 and value == " ".join(value.split())

    def _is_number(self, name: str) -> bool:
        return any(isinstance(taken.get(name), Number) for taken in self.table.values())

    def _request_name(self, name: str) -> str:
        return f"{self.name}-{name}"

    # -------------------------------------------------------------- what was sent

    def pre_validate(self, form: Any) -> None:
        self.part_errors, self.json_errors = {}, []
        if form.seen.get(self.short_name) == self.sent():
            return
        try:
            super().pre_validate(form)
        except ValidationError as error:
            self.json_errors = [str(error)]
            raise
        rest, parts = self.parsed or {}, {}
        for name in self.known:
            if not (text := self.texts.get(name, "")):
                continue
            try:
                parts[name] = codec.loads(text) if self._is_number(name) else codec.check_text(text)
            except InvalidValueError:
                parts[name] = None
            if not self._fits(name, parts[name]):
                self.part_errors[name] = _NO_NUMBER if self._is_number(name) else _TOO_LONG
            elif name in rest and rest[name] != parts[name]:
                self.part_errors[name] = "It stands in the JSON too, with another value. Keep one of the two."
        self.parsed = {**rest, **parts}
        if self.part_errors:
            told = " ".join(f"{LABELS[name]}: {reason}" for name, reason in self.part_errors.items())
            raise StopValidation(told)

    def sent(self) -> Sent:
        return {**super().sent(), **{self._request_name(name): [self.texts.get(name, "")] for name in self.known}}

    def out_of_bounds(self, provider: str, *, all_of_them: bool) -> str:
        """What the provider does not take of the parameters as they stand, as a half sentence, and beside each field;
        empty when it takes everything. Unless it is about ``all_of_them``, those as they were before are not judged."""
        before = self.object_data if isinstance(self.object_data, Mapping) else {}
        now = before if self.parsed is None else self.parsed
        judged = {name: value for name, value in now.items() if all_of_them or value != before.get(name)}
        found = problems(self.table, provider, judged)
        self.part_errors = {name: f"{LABELS[name]} {reason}." for name, reason in found.items()}
        return "; ".join(sentence[:-1] for sentence in self.part_errors.values())

    # -------------------------------------------------------------- what a page shows

    def parts(self, provider: str | None) -> list[Part]:
        """The fields for a provider: what it takes, and what is there all the same."""
        taken = self.table.get(provider or "", {})
        shown = [name for name in self.known if name in taken or self.texts.get(name)]
        return [
            Part(
                name=self._request_name(name),
                id=self._request_name(name),
                label=LABELS[name],
                text=self.texts.get(name, ""),
                hint=_bounds(taken.get(name)),
                taken=taken.get(name),
                error=self.part_errors.get(name, ""),
            )
            for name in shown
        ]

    def as_text(self, sent: Sent) -> str:
        """What was sent, in lines that a person can compare."""
        lines = [
            f"{LABELS[name]}: {text}" for name in self.known for text in sent.get(self._request_name(name), []) if text
        ]
        return "\n".join([*lines, *(text for text in sent.get(self.name, []) if text)])


_NO_NUMBER = "This is no number. Write one such as 0.7."
_TOO_LONG = "This is longer than 500 characters."


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else codec.dumps(value).decode()


def _bounds(taken: Taken | None) -> str:
    if taken is None:
        return "This provider does not take it."
    if isinstance(taken, Words):
        return ""
    if taken.high >= 1_000_000:
        return f"{taken.low:,} or more."
    return f"From {str(taken.low).replace('-', '−')} to {taken.high:,}."
