"""Test connection: whether a provider can be reached and takes a key, and which models it has.

::

    outcome = Providers(allow_local=False).test(Subject("OPENAI", key="sk-…"))
    outcome.state, outcome.reason, outcome.models

``addresses`` says where may be asked, ``transport`` how, ``styles`` what; ``health`` remembers what came of it.
"""

import threading
import time
from dataclasses import dataclass, field
from typing import Final, Literal

from store.errors import ProviderError
from store.providers.styles import STYLES, NoListError, RefusedError, Style, read, spell, without_echoes
from store.providers.transport import Line, Transport

State = Literal["valid", "refused", "unreachable"]
AT_ONCE: Final = 3  # tests under way in one process; each holds one of its threads
NEEDS_BASE_URL: Final = frozenset(name for name, style in STYLES.items() if style.base_url is None)


@dataclass(frozen=True)
class Subject:
    """What is tested. ``model``: the one that shall be there; with ``may_ask`` it is asked the smallest question where
    the provider has no list of its models."""

    provider: str
    key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    model: str | None = None
    may_ask: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of a test. ``reason`` is for people and holds no word of the provider; ``origin`` is who was asked."""

    state: State
    reason: str
    seconds: float
    models: tuple[str, ...] = ()
    origin: str = ""
    lacks: str = ""  # the model that was to be there, and is not in the list


class Providers:
    """Asks providers. May be shared by threads."""

    def __init__(self, allow_local: bool, transport: Transport | None = None) -> None:
        self._transport = transport or Transport(allow_local)
        self._free = threading.BoundedSemaphore(AT_ONCE)

    def test(self, subject: Subject) -> Outcome:
        """Ask the provider, and say what came of it. Raises ProviderError only when too many tests are under way."""
        if not self._free.acquire(blocking=False):
            raise ProviderError(
                "Several connections are being tested already.", hint="Wait a few seconds and test again."
            )
        began = time.monotonic()
        line: Line | None = None
        state: State = "unreachable"
        models: list[str] = []
        try:
            style, headers = _prepared(subject)
            line = self._transport.open(subject.base_url or style.base_url or "")
            models, reason = _asked(style, line, headers, subject)
            state = "valid"
        except RefusedError as error:
            state, reason = "refused", error.sentence
        except ProviderError as error:
            reason = error.sentence
        finally:
            self._free.release()
        lacks = subject.model if models and subject.model and not _is_among(subject.model, models) else ""
        origin = line.endpoint.origin if line else ""
        return Outcome(state, reason, time.monotonic() - began, tuple(models), origin, lacks)


def _prepared(subject: Subject) -> tuple[Style, dict[str, str]]:
    style = STYLES.get(subject.provider)
    if style is None:
        raise ProviderError(f"Tandem does not know how to ask {subject.provider}.", hint="Test it in Quilltap.")
    if not (subject.base_url or style.base_url):
        raise ProviderError(
            "There is no address to ask: this sort of provider needs a base URL.",
            hint="Enter one in a profile that uses the key, and test that.",
        )
    key = subject.key or ""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise RefusedError(
            "The key holds a character that no provider's key has (a blank, a line break, or one beyond ASCII).",
            hint="Copy it anew from the provider, and replace the value.",
        )
    return style, style.headers(key)


def _asked(style: Style, line: Line, headers: dict[str, str], subject: Subject) -> tuple[list[str], str]:
    """The models found and what to say; where there is no list, one question answers for it."""
    host, took = line.endpoint.host, "took the key" if subject.key else "needs no key"
    try:
        found = style.models(line, headers)
    except NoListError:
        asked = style.question(subject.model) if subject.may_ask and subject.model else None
        if asked is None:
            raise
        path, body = asked
        read(line.send(path, headers, spell(body)), line)
        return [], f"{host} {took} and answered a question. It has no list of its models."
    models = without_echoes(found, subject.key) if subject.key else found
    count = f"{len(models):,} {'model' if len(models) == 1 else 'models'}"
    return sorted(models, key=str.casefold), f"{host} {took} and lists {count}."


def _is_among(model: str, models: list[str]) -> bool:
    # Ollama lists “llama3:latest” for what people call “llama3”.
    return model in models or f"{model}:latest" in models


__all__ = ["NEEDS_BASE_URL", "Outcome", "Providers", "State", "Subject"]
