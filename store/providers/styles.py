"""How providers are asked for their models, and how their answers are read. One small class for each style of address.

A key goes into a header and nowhere else. Of what a provider answers only names of models are kept, and no name that
repeats a piece of the key.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote

import orjson

from store.errors import ProviderError
from store.providers.transport import Answer, Line

MOST_MODELS, LONGEST_NAME = 2000, 200
PIECE: Final = 12  # characters of a key in a row that no name may hold


class RefusedError(ProviderError):
    """The provider answered, and it does not take the key."""

    hint_by_default = "Make a new key at the provider, and replace this one's value."


class NoListError(ProviderError):
    """The provider answered, and has no list of models at this address."""

    hint_by_default = "Check the base URL: for most providers it ends in /v1."


class Style(Protocol):
    """One way of being asked. ``base_url`` is None where every installation has its own."""

    @property
    def base_url(self) -> str | None: ...

    def headers(self, key: str) -> dict[str, str]:
        """What every request carries; with a key, also what shows it."""

    def models(self, line: Line, headers: Mapping[str, str]) -> list[str]:
        """The names of the models. Raises RefusedError, NoListError, ProviderError."""

    def question(self, model: str) -> tuple[str, dict[str, Any]] | None:
        """The smallest question: path and body; None where even the smallest would be work."""


@dataclass(frozen=True)
class OpenAiStyle:
    """``GET /models`` with the key as a bearer token. ``key_path``: where the key itself is asked about, because the
    list is for everybody."""

    base_url: str | None
    key_path: str = ""

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def models(self, line: Line, headers: Mapping[str, str]) -> list[str]:
        if self.key_path and headers:
            read(line.send(self.key_path, headers), line)
        return named(read(line.send("/models", headers), line), "data", "id")

    def question(self, model: str) -> tuple[str, dict[str, Any]] | None:
        return "/chat/completions", {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class AnthropicStyle:
    """``GET /v1/models`` with the key in a header of its own."""

    base_url: str | None

    def headers(self, key: str) -> dict[str, str]:
        version = {"anthropic-version": "2023-06-01"}
        return {**version, "x-api-key": key} if key else version

    def models(self, line: Line, headers: Mapping[str, str]) -> list[str]:
        return named(read(line.send("/v1/models?limit=1000", headers), line), "data", "id")

    def question(self, model: str) -> tuple[str, dict[str, Any]] | None:
        return "/v1/messages", {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}


@dataclass(frozen=True)
class GoogleStyle:
    """``GET /models`` with the key in a header: as a parameter it would stand in addresses and logs."""

    base_url: str | None

    def headers(self, key: str) -> dict[str, str]:
        return {"x-goog-api-key": key} if key else {}

    def models(self, line: Line, headers: Mapping[str, str]) -> list[str]:
        answer = line.send("/models?pageSize=1000", headers)
        if answer.status == 400 and b"API_KEY_INVALID" in answer.body:
            raise _refused(line)
        return [name.removeprefix("models/") for name in named(read(answer, line), "models", "name")]

    def question(self, model: str) -> tuple[str, dict[str, Any]] | None:
        return None


@dataclass(frozen=True)
class OllamaStyle:
    """``GET /api/tags``. There is no key, unless something stands before it that asks for one."""

    base_url: str | None = None

    def headers(self, key: str) -> dict[str, str]:
        return bearer(key)

    def models(self, line: Line, headers: Mapping[str, str]) -> list[str]:
        return named(read(line.send("/api/tags", headers), line), "models", "name")

    def question(self, model: str) -> tuple[str, dict[str, Any]] | None:
        return None


STYLES: Final[dict[str, Style]] = {
    "OPENAI": OpenAiStyle("https://api.openai.com/v1"),
    "ANTHROPIC": AnthropicStyle("https://api.anthropic.com"),
    "OLLAMA": OllamaStyle(),
    "OPENROUTER": OpenAiStyle("https://openrouter.ai/api/v1", key_path="/key"),
    "OPENAI_COMPATIBLE": OpenAiStyle(None),
    "GROK": OpenAiStyle("https://api.x.ai/v1"),
    "GAB_AI": OpenAiStyle("https://gab.ai/v1"),
    "GOOGLE_IMAGEN": GoogleStyle("https://generativelanguage.googleapis.com/v1beta"),
}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


# ---------------------------------------------------------------------- answers
def read(answer: Answer, line: Line) -> Any:
    """The JSON of an answer that says yes. Raises RefusedError, NoListError, ProviderError for the others."""
    host, status = line.endpoint.host, answer.status
    if status in (401, 403):
        raise _refused(line)
    if status == 402:
        raise RefusedError(f"{host} knows the key, but its account has no credit.", hint="Top it up at the provider.")
    if status in (404, 405, 501):
        raise NoListError(f"There is no list of models at this address of {host} (status {status}).")
    if status == 429:
        raise ProviderError(
            f"{host} asks to wait: too many requests, or nothing is left of the account's quota (status 429).",
            hint="Test again in a few minutes; if it stays, look at the account at the provider.",
        )
    if 300 <= status < 400:
        raise ProviderError(
            f"{host} sends on to another address, and a key is not carried after it (status {status}).",
            hint="Enter the address it leads to as the base URL.",
        )
    if not 200 <= status < 300:
        raise ProviderError(f"{host} answered with an error (status {status}).", hint="Test again in a few minutes.")
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        pass  # the error holds the answer
    raise NoListError(f"{host} answered, but not as this sort of provider does.")


def _refused(line: Line) -> RefusedError:
    return RefusedError(f"{line.endpoint.host} does not take the key.")


def named(told: Any, list_key: str, name_key: str) -> list[str]:
    """The names in a list of models. Raises NoListError when it is none."""
    entries = told.get(list_key) if isinstance(told, dict) else None
    if entries is None or not isinstance(entries, list):
        raise NoListError("The provider answered, but not with a list of models.")
    names = [entry.get(name_key) for entry in entries[: 10 * MOST_MODELS] if isinstance(entry, dict)]
    sound = (name for name in names if isinstance(name, str) and name.isprintable() and 0 < len(name) <= LONGEST_NAME)
    return list(dict.fromkeys(sound))[:MOST_MODELS]


def without_echoes(names: Iterable[str], key: str) -> list[str]:
    """The names that repeat no piece of the key, plainly or in one of the usual encodings."""
    raw = key.encode()
    encoded = [key, quote(key, safe=""), raw.hex()]
    encoded += [base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
    pieces = {text[at : at + PIECE].lower() for text in encoded for at in range(max(1, len(text) - PIECE + 1)) if text}
    return [name for name in names if not any(piece in name.lower() for piece in pieces)]


def spell(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body).encode()
