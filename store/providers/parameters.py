"""What providers take of the parameters that most people set: which ones, and within which bounds.

The names are those that Quilltap hands on to the providers. Everything else a profile's ``parameters`` may hold is the
provider's business, and passes through untouched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final


@dataclass(frozen=True)
class Number:
    """A number from ``low`` to ``high``, both included."""

    low: Decimal
    high: Decimal
    whole: bool = False

    def problem(self, value: Any) -> str:
        """Why a number is none of these, as a half sentence; empty when it is one, and for what is no number at all:
        that was written as JSON, by somebody who knows why."""
        if not isinstance(value, int | Decimal) or isinstance(value, bool):
            return ""
        if self.whole and value != int(value):
            return "has to be a whole number"
        return "" if self.low <= value <= self.high else f"has to be from {self.low:,} to {self.high:,}"


@dataclass(frozen=True)
class Words:
    """A text; these are offered, if there are any. A provider may know more of them than Tandem."""

    offered: tuple[str, ...] = ()

    def problem(self, value: Any) -> str:
        """Nothing: what is offered is no bound."""
        return ""


Taken = Number | Words
Table = Mapping[str, Mapping[str, Taken]]  # provider -> parameter -> what it takes


def _number(low: str, high: str) -> Number:
    return Number(Decimal(low), Decimal(high))


_TOKENS: Final = Number(Decimal(1), Decimal(10_000_000), whole=True)
_SHARE, _PENALTY = _number("0", "1"), _number("-2", "2")
_OPENAI: Final[Mapping[str, Taken]] = {
    "temperature": _number("0", "2"),
    "max_tokens": _TOKENS,
    "top_p": _SHARE,
    "frequency_penalty": _PENALTY,
    "presence_penalty": _PENALTY,
}
# Servers of one's own take what OpenAI takes, and hotter.
_OWN: Final[Mapping[str, Taken]] = {**_OPENAI, "temperature": _number("0", "5")}

LANGUAGE: Final[Table] = {
    "OPENAI": _OPENAI,
    "ANTHROPIC": {"temperature": _number("0", "1"), "max_tokens": _TOKENS, "top_p": _SHARE},
    "OLLAMA": _OWN,
    "OPENROUTER": _OPENAI,
    "OPENAI_COMPATIBLE": _OWN,
    "GROK": _OPENAI,
    "GAB_AI": _OPENAI,
}
IMAGE: Final[Table] = {
    "OPENAI": {
        "size": Words(("auto", "1024x1024", "1536x1024", "1024x1536", "1792x1024", "1024x1792", "512x512", "256x256")),
        "quality": Words(("auto", "standard", "hd", "low", "medium", "high")),
        "style": Words(("vivid", "natural")),
        "n": Number(Decimal(1), Decimal(10), whole=True),
    },
    "GROK": {"n": Number(Decimal(1), Decimal(10), whole=True)},
    "GOOGLE_IMAGEN": {
        "aspectRatio": Words(("1:1", "3:4", "4:3", "9:16", "16:9")),
        "negativePrompt": Words(),
        "n": Number(Decimal(1), Decimal(4), whole=True),
    },
}
LABELS: Final = {
    "temperature": "Temperature",
    "max_tokens": "Max tokens",
    "top_p": "Top P",
    "frequency_penalty": "Frequency penalty",
    "presence_penalty": "Presence penalty",
    "size": "Size",
    "quality": "Quality",
    "style": "Style",
    "n": "Images at once",
    "aspectRatio": "Aspect ratio",
    "negativePrompt": "Negative prompt",
}


def names(table: Table) -> tuple[str, ...]:
    """Every parameter of a table, in the order of its providers."""
    return tuple(dict.fromkeys(name for taken in table.values() for name in taken))


def problems(table: Table, provider: str, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Parameter -> why this provider does not take its value, for those the table knows."""
    taken = table.get(provider, {})
    there = {name: parameters[name] for name in names(table) if parameters.get(name) is not None}
    told = {
        name: taken[name].problem(value) if name in taken else "is none that this provider takes"
        for name, value in there.items()
    }
    return {name: reason for name, reason in told.items() if reason}
