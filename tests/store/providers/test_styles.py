"""What each sort of provider is asked, how its answers are read, and that a real one says the same."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from store.providers import NEEDS_BASE_URL, Outcome, Providers, Subject
from store.providers.styles import STYLES, without_echoes
from tests.conftest import absent
from tests.provider import MODEL, CannotInstall, a_real_provider
from tests.store.providers.serving import Guest, Provider, a_provider

KEY = "sk-marker-7Jq2ZlTfX0-never-to-be-seen-aGx9Pq"
OPENAI_LIST = {"data": [{"id": "gpt-5"}, {"id": "gpt-5-mini"}]}


def asked(provider: str, base_url: str, key: str | None = KEY, **subject: object) -> Outcome:
    return Providers(True).test(Subject(provider, key, base_url, **subject))  # type: ignore[arg-type]


def answering(answers: dict[str, object]) -> Callable[[Guest], None]:
    """Answers each path with what is written for it; with 404 where nothing is."""

    def habit(guest: Guest) -> None:
        path = guest.line.split(" ")[1]
        guest.answer(json.dumps(answers.get(path)), 200 if path in answers else 404)

    return habit


def lines(provider: Provider) -> list[str]:
    return [guest.line.removesuffix(" HTTP/1.1") for guest in provider.guests]


@pytest.mark.parametrize("name", ["OPENAI", "OPENAI_COMPATIBLE", "GROK", "GAB_AI"])
def test_openai_and_its_likes_are_asked_with_a_bearer_token(name: str) -> None:
    with a_provider(answering({"/v1/models": OPENAI_LIST})) as provider:
        outcome = asked(name, provider.url)
        assert (outcome.state, outcome.models) == ("valid", ("gpt-5", "gpt-5-mini"))
        assert lines(provider) == ["GET /v1/models"]
        assert provider.guests[0].headers["authorization"] == f"Bearer {KEY}"


def test_openrouter_is_asked_about_the_key_because_its_list_is_for_everybody() -> None:
    def habit(guest: Guest) -> None:
        known = guest.headers.get("authorization") == f"Bearer {KEY}"
        if guest.line.startswith("GET /v1/key"):
            guest.answer('{"data": {"label": "sk-…"}}', 200 if known else 401)
        else:
            guest.answer(json.dumps(OPENAI_LIST))

    with a_provider(habit) as provider:
        assert asked("OPENROUTER", provider.url).state == "valid"
        assert lines(provider) == ["GET /v1/key", "GET /v1/models"]
        assert asked("OPENROUTER", provider.url, "sk-another").state == "refused"
        assert asked("OPENROUTER", provider.url, None).state == "valid", "without a key only the list is asked for"


def test_anthropic_has_headers_of_its_own() -> None:
    answers = {"/v1/v1/models?limit=1000": {"data": [{"id": "claude-sonnet", "type": "model"}]}}
    with a_provider(answering(answers)) as provider:
        outcome = asked("ANTHROPIC", provider.url)
        assert (outcome.state, outcome.models) == ("valid", ("claude-sonnet",))
        headers = provider.guests[0].headers
    assert (headers["x-api-key"], headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in headers


def test_google_gets_the_key_in_a_header_and_says_400_for_a_wrong_one() -> None:
    def habit(guest: Guest) -> None:
        if guest.headers.get("x-goog-api-key") == KEY:
            guest.answer('{"models": [{"name": "models/imagen-4"}, {"name": "models/gemini"}]}')
        else:
            reason = {"error": {"code": 400, "details": [{"reason": "API_KEY_INVALID"}]}}
            guest.answer(json.dumps(reason), 400)

    with a_provider(habit) as provider:
        outcome = asked("GOOGLE_IMAGEN", provider.url)
        assert (outcome.state, outcome.models) == ("valid", ("gemini", "imagen-4"))
        assert lines(provider) == ["GET /v1/models?pageSize=1000"], "the key is in no address"
        assert asked("GOOGLE_IMAGEN", provider.url, "AIza-another").state == "refused"
    with a_provider(lambda guest: guest.answer("{}", 400)) as provider:
        assert asked("GOOGLE_IMAGEN", provider.url).state == "unreachable"


def test_ollama_needs_no_key() -> None:
    with a_provider(answering({"/api/tags": {"models": [{"name": "llama3:latest"}, {"name": "qwen:4b"}]}})) as provider:
        home = provider.url.removesuffix("/v1")
        outcome = asked("OLLAMA", home, None, model="llama3")
        assert (outcome.state, outcome.models, outcome.lacks) == ("valid", ("llama3:latest", "qwen:4b"), "")
        assert outcome.reason == "127.0.0.1 needs no key and lists 2 models."
        assert "authorization" not in provider.guests[0].headers
        assert asked("OLLAMA", home, None, model="mistral").lacks == "mistral"


@pytest.mark.parametrize(("name", "path"), [("OPENAI_COMPATIBLE", "/chat/completions"), ("ANTHROPIC", "/v1/messages")])
def test_without_a_list_the_smallest_question_is_asked(name: str, path: str) -> None:
    with a_provider(answering({f"/v1{path}": {"choices": []}})) as provider:
        outcome = asked(name, provider.url, model="small", may_ask=True)
        assert (outcome.state, outcome.models, outcome.lacks) == ("valid", (), "")
        assert outcome.reason.endswith("answered a question. It has no list of its models.")
        assert lines(provider)[-1] == f"POST /v1{path}"
        assert json.loads(provider.guests[-1].body)["max_tokens"] == 1
        assert KEY.encode() not in provider.guests[-1].body
        provider.guests.clear()
        assert asked(name, provider.url, model="small").state == "unreachable", "asking was not allowed"
        assert asked(name, provider.url, may_ask=True).state == "unreachable", "there is nobody to ask"
        assert not any(line.startswith("POST") for line in lines(provider))


@pytest.mark.parametrize("name", sorted(NEEDS_BASE_URL))
def test_a_provider_without_an_address_of_its_own_needs_one(name: str) -> None:
    outcome = Providers(True).test(Subject(name, KEY))
    assert (outcome.state, "needs a base URL" in outcome.reason) == ("unreachable", True)


def test_every_provider_of_quilltap_is_known_and_asked_with_encryption() -> None:
    own = {name: style.base_url for name, style in STYLES.items() if style.base_url}
    assert own.keys() | NEEDS_BASE_URL == set(STYLES)
    assert all(address.startswith("https://") for address in own.values())
    unknown = Providers(True).test(Subject("SOMEBODY", KEY))
    assert (unknown.state, "does not know how to ask" in unknown.reason) == ("unreachable", True)


def test_a_provider_that_repeats_the_key_is_not_repeated() -> None:
    raw = KEY.encode()
    echoes = [KEY, f"model-{KEY}", KEY[8:-4], KEY.upper(), raw.hex(), base64.b64encode(raw).decode()]
    listed = {"data": [{"id": name} for name in ["honest", *echoes]]}
    with a_provider(answering({"/v1/models": listed})) as provider:
        assert asked("OPENAI_COMPATIBLE", provider.url).models == ("honest",)
    assert without_echoes(["gpt-4o", "sk"], "sk") == ["gpt-4o"]
    assert without_echoes(["gpt-4o"], "gpt-4") == [], "rather a name too few"


def test_names_that_are_none_are_left_out() -> None:
    odd = ["good", "", "x" * 500, "two\nlines", "\x1b[31mred", None, 7, {"id": "deep"}, "good"]
    listed = {"data": [{"id": name} for name in odd] + ["bare", None]}
    with a_provider(answering({"/v1/models": listed})) as provider:
        assert asked("OPENAI_COMPATIBLE", provider.url).models == ("good",)
    many = {"data": [{"id": f"m{number}"} for number in range(30_000)]}
    with a_provider(answering({"/v1/models": many})) as provider:
        assert len(asked("OPENAI_COMPATIBLE", provider.url).models) == 2000


# ---------------------------------------------------------------------- a real one
@pytest.fixture(scope="module", params=["openai", "anthropic"])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The provider's name in Quilltap, and the base URL of a real one that takes KEY."""
    folder: Path = tmp_path_factory.mktemp("provider")
    try:
        with a_real_provider(request.param, KEY, folder) as address:
            openai = request.param == "openai"
            yield ("OPENAI_COMPATIBLE", f"{address}/v1") if openai else ("ANTHROPIC", address)
    except CannotInstall as error:
        absent(f"no provider to test against: {error}")


@pytest.mark.slow
def test_a_real_provider_takes_its_key_and_no_other(real: tuple[str, str]) -> None:
    name, base_url = real
    outcome = asked(name, base_url, model=MODEL, may_ask=True)
    assert (outcome.state, outcome.lacks) == ("valid", ""), outcome
    assert outcome.models == ((MODEL,) if name == "OPENAI_COMPATIBLE" else ()), "it lists no models of Anthropic's"
    for wrong in ("sk-another-key-0123456789", KEY[:-1], None):
        refused = asked(name, base_url, wrong, model=MODEL, may_ask=True)
        assert refused.state == "refused", refused
        assert KEY[8:-4] not in repr(refused)


@pytest.mark.slow
def test_a_real_provider_at_another_path_is_told_from_a_refusal(real: tuple[str, str]) -> None:
    name, base_url = real
    astray = asked(name, f"{base_url}/astray", model=MODEL, may_ask=True)
    assert (astray.state, "status 404" in astray.reason) == ("unreachable", True), astray
