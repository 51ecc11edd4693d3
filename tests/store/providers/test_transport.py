"""Asking a provider that behaves badly: everything has an end, goes to one address, and repeats nothing."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from store.errors import ProviderError, StoreError
from store.providers import Outcome, Providers, Subject
from store.providers.transport import Limits, Transport
from tests.store.providers.serving import Certificate, Guest, a_certificate, a_provider

KEY = "sk-marker-7Jq2ZlTfX0-never-to-be-seen-aGx9Pq"
LIST = '{"object": "list", "data": [{"id": "small"}, {"id": "Large"}]}'
QUICK = Limits(connect_s=1.0, total_s=1.0, answer_bytes=20_000)


class Resolver:
    """Says another address each time it is asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, host: str, port: int, seconds: float) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1].split()


def tried(url: str, transport: Transport | None = None, **subject: object) -> Outcome:
    """Test a connection to an OpenAI-compatible provider of this machine."""
    providers = Providers(True, transport or Transport(True, limits=QUICK))
    return providers.test(Subject("OPENAI_COMPATIBLE", **{"key": KEY, "base_url": url, **subject}))  # type: ignore[arg-type]


def test_a_provider_that_takes_the_key_lists_its_models() -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        outcome = tried(provider.url)
        assert (outcome.state, outcome.models) == ("valid", ("Large", "small"))
        assert outcome.reason == "127.0.0.1 took the key and lists 2 models."
        assert outcome.origin == f"http://127.0.0.1:{provider.port}"
        assert 0 < outcome.seconds < 1
        [guest] = provider.guests
    assert guest.line == "GET /v1/models HTTP/1.1"
    assert guest.headers["authorization"] == f"Bearer {KEY}"
    assert guest.headers["host"] == f"127.0.0.1:{provider.port}"
    assert "cookie" not in guest.headers


def redirecting(guest: Guest) -> None:
    guest.answer("", 302, Location=f"http://127.0.0.1:1/secrets?key={KEY}")


def endless(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\nContent-Type: application/json\r\n\r\n[")
    while not guest.stopped.is_set() and guest.say(b"1," * 4000):
        pass


def endless_in_chunks(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not guest.stopped.is_set() and guest.say(b"1000\r\n" + b"1" * 4096 + b"\r\n"):
        pass


def dripping_body(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\nContent-Length: 500\r\n\r\n")
    while not guest.stopped.wait(0.05) and guest.say(b"1"):
        pass


def dripping_without_length(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\n\r\n")
    while not guest.stopped.wait(0.05) and guest.say(b" "):
        pass


def dripping_headers(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\nX-Slow: ")
    while not guest.stopped.wait(0.05) and guest.say(b"1"):
        pass


def silent(guest: Guest) -> None:
    guest.stopped.wait(10)


def huge_header(guest: Guest) -> None:
    guest.answer("{}", X_Huge=KEY * 3000)


def many_headers(guest: Guest) -> None:
    guest.answer("{}", **{f"X-{number}": KEY for number in range(300)})


def resetting(guest: Guest) -> None:
    guest.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    guest.connection.close()


def hanging_up(guest: Guest) -> None:
    guest.say(b"HTTP/1.1 200 Said\r\nContent-Length: 500\r\n\r\n{")


def talking_nonsense(guest: Guest) -> None:
    guest.say(f"{KEY}\r\n\r\n".encode())


HABITS = {
    "a redirect": (redirecting, "unreachable", "sends on to another address"),
    "an endless answer": (endless, "unreachable", "more than 20,000 bytes"),
    "an endless answer in chunks": (endless_in_chunks, "unreachable", "more than 20,000 bytes"),
    "a dripping answer": (dripping_body, "unreachable", "did not answer to the end within 1 seconds"),
    "a dripping answer without length": (dripping_without_length, "unreachable", "did not answer to the end"),
    "dripping headers": (dripping_headers, "unreachable", "did not answer to the end within 1 seconds"),
    "silence": (silent, "unreachable", "did not answer"),
    "a huge header": (huge_header, "unreachable", "headers that are too long"),
    "many headers": (many_headers, "unreachable", "headers that are too long"),
    "a reset": (resetting, "unreachable", "broke the connection off"),
    "half an answer": (hanging_up, "unreachable", "broke the connection off"),
    "no HTTP at all": (talking_nonsense, "unreachable", "broke the connection off"),
    "no JSON": (lambda guest: guest.answer(f"<html>{KEY}"), "unreachable", "not as this sort of provider does"),
    "deep JSON": (lambda guest: guest.answer("[" * 9000), "unreachable", "not as this sort of provider does"),
    "other JSON": (lambda guest: guest.answer(f'"{KEY}"'), "unreachable", "not with a list of models"),
    "a list of nothing known": (lambda guest: guest.answer('{"data": [1, {"id": 2}]}'), "valid", "lists 0 models"),
    "zipped JSON": (lambda guest: guest.answer(b"\x1f\x8b", Content_Encoding="gzip"), "unreachable", "not as this"),
    "401": (lambda guest: guest.answer(f'{{"error": "{KEY}"}}', 401), "refused", "does not take the key"),
    "402": (lambda guest: guest.answer(KEY, 402), "refused", "has no credit"),
    "403": (lambda guest: guest.answer(KEY, 403), "refused", "does not take the key"),
    "404": (lambda guest: guest.answer(KEY, 404), "unreachable", "no list of models at this address"),
    "429": (lambda guest: guest.answer(KEY, 429), "unreachable", "asks to wait"),
    "500": (lambda guest: guest.answer(KEY, 500), "unreachable", "an error (status 500)"),
}


@pytest.mark.parametrize(("habit", "state", "told"), HABITS.values(), ids=HABITS.keys())
def test_every_bad_habit_becomes_a_sentence(habit: object, state: str, told: str) -> None:
    began = time.monotonic()
    with a_provider(habit) as provider:  # type: ignore[arg-type]
        outcome = tried(provider.url)
    assert (outcome.state, told in outcome.reason) == (state, True), outcome
    assert KEY[:12] not in repr(outcome)
    assert len(provider.guests) == 1, "nobody is asked twice, and no redirect is followed"
    assert time.monotonic() - began < 30, "it ended by itself"


def test_the_deadline_counts_for_several_requests_together() -> None:
    """Each answer comes in time; both together do not."""

    def slowly(guest: Guest) -> None:
        guest.stopped.wait(0.6)
        guest.answer(LIST)

    with a_provider(slowly) as provider:
        providers = Providers(True, Transport(True, limits=QUICK))
        outcome = providers.test(Subject("OPENROUTER", KEY, provider.url))
    assert (outcome.state, len(provider.guests)) == ("unreachable", 2)
    assert "did not answer to the end" in outcome.reason


def test_nothing_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = tried(f"http://127.0.0.1:{port}/v1")
    assert outcome.state == "unreachable"
    assert outcome.reason.startswith(f"Nothing listens at 127.0.0.1:{port}.")


def test_without_the_setting_nothing_of_this_machine_is_asked() -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        for host in ("127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"):
            url = f"http://{host}:{provider.port}/v1"
            outcome = tried(url, Transport(False, limits=QUICK))
            assert (outcome.state, "private network" in outcome.reason) == ("unreachable", True), outcome
    assert provider.guests == []


def test_the_connection_goes_to_the_address_that_was_judged() -> None:
    """A name whose address changes between the question and the connection leads nowhere else."""
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        turning = Resolver("127.0.0.1", "169.254.169.254")
        url = f"http://models.example:{provider.port}/v1"
        assert tried(url, Transport(True, limits=QUICK, resolve=turning)).state == "valid"
        assert turning.asked == 1
        [guest] = provider.guests
        assert guest.headers["host"] == f"models.example:{provider.port}"
        bad_first = Resolver("169.254.169.254", "127.0.0.1")
        assert tried(url, Transport(True, limits=QUICK, resolve=bad_first)).state == "unreachable"
        assert len(provider.guests) == 1


def test_a_name_with_several_addresses_is_tried_at_each() -> None:
    """“localhost” is ::1 before it is 127.0.0.1, where most servers listen."""
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        url = f"http://models.example:{provider.port}/v1"
        several = Resolver("127.0.0.2 127.0.0.3 127.0.0.1")
        assert tried(url, Transport(True, limits=QUICK, resolve=several)).state == "valid"
        nowhere = Resolver("127.0.0.2 127.0.0.3")
        outcome = tried(url, Transport(True, limits=QUICK, resolve=nowhere))
        assert outcome.reason.startswith(f"Nothing listens at models.example:{provider.port}.")
        assert tried(f"http://localhost:{provider.port}/v1").state == "valid"


@pytest.fixture
def proxies_everywhere() -> Iterator[None]:
    names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "http://127.0.0.1:9/"))
    yield
    for name, value in before.items():
        os.environ.pop(name)
        if value is not None:
            os.environ[name] = value


@pytest.mark.usefixtures("proxies_everywhere")
def test_a_proxy_of_the_environment_is_not_used() -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        assert tried(provider.url).state == "valid"


# ---------------------------------------------------------------------- TLS
@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return a_certificate(tmp_path)


def over_tls(trusted: Certificate, served: Certificate, host: str = "models.example") -> Outcome:
    with a_provider(lambda guest: guest.answer(LIST), served.serving()) as provider:
        transport = Transport(True, limits=QUICK, resolve=Resolver("127.0.0.1"), tls=trusted.trusting())
        outcome = tried(f"https://{host}:{provider.port}/v1", transport)
        assert bool(provider.guests) is (outcome.state == "valid"), "no key is sent to whom one cannot trust"
    return outcome


def test_the_certificate_has_to_be_for_the_name_although_the_address_is_connected_to(certificate: Certificate) -> None:
    assert over_tls(certificate, certificate).state == "valid"
    other = over_tls(certificate, certificate, "other.example")
    assert "certificate is for another name" in other.reason
    by_address = over_tls(certificate, certificate, "127.0.0.1")
    assert "certificate is for another address" in by_address.reason


def test_a_certificate_that_nobody_trusts_is_refused(certificate: Certificate, tmp_path: Path) -> None:
    stranger = a_certificate(tmp_path, "stranger.example")
    assert "signed by nobody but itself" in over_tls(stranger, certificate).reason
    old = a_certificate(tmp_path, days=-1)
    assert "has expired" in over_tls(old, old).reason


def test_a_server_without_tls_is_not_trusted_with_a_key() -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        outcome = tried(provider.url.replace("http://", "https://"))
    assert outcome.state == "unreachable"
    assert not any(KEY in str(guest.headers) for guest in provider.guests)


# ---------------------------------------------------------------------- the key
@pytest.mark.parametrize("key", ["sk-two\r\nX-Evil: 1", "sk-schlüssel-der-nicht-geht", "sk with a blank", "sk-\x7f"])
def test_a_key_that_no_header_carries_is_never_sent(key: str) -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        outcome = tried(provider.url, key=key)
    assert (outcome.state, provider.guests) == ("refused", [])
    assert "holds a character that no provider's key has" in outcome.reason
    assert key not in repr(outcome)


def test_too_many_tests_at_once_are_refused() -> None:
    with a_provider(lambda guest: guest.answer(LIST)) as provider:
        transport = Transport(True, limits=QUICK)
        providers = Providers(True, transport)
        inside: list[StoreError] = []

        def nested(left: int) -> Sequence[str]:
            if left:
                try:
                    Providers.test(providers, Subject("OPENAI_COMPATIBLE", KEY, provider.url))
                except ProviderError as error:
                    inside.append(error)
            return ["127.0.0.1"]

        depth = iter([1, 1, 1, 1, 0, 0, 0])
        transport._resolve = lambda host, port, seconds: nested(next(depth))
        assert providers.test(Subject("OPENAI_COMPATIBLE", KEY, provider.url)).state == "valid"
        assert ["Several connections" in error.message for error in inside] == [True]
        transport._resolve = lambda host, port, seconds: ["127.0.0.1"]
        assert providers.test(Subject("OPENAI_COMPATIBLE", KEY, provider.url)).state == "valid", "their places are free"
