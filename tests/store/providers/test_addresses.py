"""Which addresses a connection test opens a connection to, and which it never does."""

import pytest

from store.errors import ProviderError
from store.providers.addresses import look_up, parse, place

PUBLIC = ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"]
LOCAL = ["127.0.0.1", "127.9.9.9", "10.0.0.5", "172.16.0.1", "172.31.255.255", "192.168.1.20", "100.101.102.103"]
LOCAL_V6 = ["::1", "fd12:3456::1", "::ffff:127.0.0.1", "::ffff:10.0.0.5", "64:ff9b::7f00:1", "64:ff9b::c0a8:101"]
NEVER = ["0.0.0.0", "0.1.2.3", "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.0.192"]
NEVER += ["198.51.100.7", "198.18.0.1", "100.100.100.200", "not an address", ""]
NEVER_V6 = ["::", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "::ffff:169.254.169.254", "::ffff:0.0.0.0"]
NEVER_V6 += ["::7f00:1", "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b::a9fe:a9fe", "2001:db8::1"]
HTTPS, HTTP = parse("https://models.example/v1"), parse("http://models.example:11434")


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_asked_with_encryption_only(address: str) -> None:
    assert place(HTTPS, [address], allow_local=False).addresses == (address,)
    for allow_local in (False, True):
        with pytest.raises(ProviderError, match="without encryption"):
            place(HTTP, [address], allow_local)


@pytest.mark.parametrize("address", LOCAL + LOCAL_V6)
def test_a_local_address_is_asked_when_the_setting_allows_it(address: str) -> None:
    for endpoint in (HTTPS, HTTP):
        assert place(endpoint, [address], allow_local=True).addresses == (address,)
        with pytest.raises(ProviderError, match="private network") as refused:
            place(endpoint, [address], allow_local=False)
        assert "ALLOW_LOCAL_PROVIDERS=true" in refused.value.hint


@pytest.mark.parametrize("address", NEVER + NEVER_V6)
@pytest.mark.parametrize("allow_local", [False, True])
def test_some_addresses_are_never_asked(address: str, allow_local: bool) -> None:
    with pytest.raises(ProviderError, match="an address that no provider has"):
        place(HTTPS, [address], allow_local)


def test_one_bad_address_among_good_ones_is_enough() -> None:
    """Otherwise a name with two addresses would be asked until the bad one is taken."""
    for addresses in ([PUBLIC[0], "127.0.0.1"], ["127.0.0.1", PUBLIC[0]], [*PUBLIC, "::1"]):
        with pytest.raises(ProviderError, match="private network"):
            place(HTTPS, addresses, allow_local=False)
    for bad in ("169.254.169.254", "0.0.0.0"):
        with pytest.raises(ProviderError, match="no provider has"):
            place(HTTPS, [PUBLIC[0], bad], allow_local=True)
    with pytest.raises(ProviderError, match="without encryption"):
        place(HTTP, ["127.0.0.1", PUBLIC[0]], allow_local=True)


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://api.example.com/v1/", "https://api.example.com", "/v1"),
        (" https://API.example.com. ", "https://api.example.com", ""),
        ("http://localhost:11434", "http://localhost:11434", ""),
        ("https://host:443/a/b", "https://host", "/a/b"),
        ("http://[::1]:8080/v1", "http://[::1]:8080", "/v1"),
        ("https://bücher.example/v1", "https://xn--bcher-kva.example", "/v1"),
    ],
)
def test_a_base_url_is_taken_apart(url: str, origin: str, path: str) -> None:
    endpoint = parse(url)
    assert (endpoint.origin, endpoint.path) == (origin, path)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "no address"),
        ("localhost:11434", "no address"),
        ("ftp://host/v1", "no address"),
        ("file:///etc/passwd", "no address"),
        ("https://", "no address"),
        ("https://ho st/", "no address"),
        ("https://host/\r\nX-Evil: 1", "no address"),
        ("https://host\\@evil.example/", "no address"),
        ("https://host:99999/", "no address"),
        ("https://host:http/", "no address"),
        ("https://[fe80::1%25eth0]/", "no address"),
        ("https://[::1/", "no address"),
        ("https://" + "a" * 3000, "no address"),
        ("https://sk-secret@host/v1", "a user name or a password"),
        ("https://user:sk-secret@host/v1", "a user name or a password"),
        ("https://host/v1?key=sk-secret", "goes on behind"),
        ("https://host/v1#sk-secret", "goes on behind"),
        ("https://host:22/", "Port 22"),
        ("https://host:25/", "Port 25"),
        ("http://host:6379/", "Port 6379"),
        ("http://host:5432/", "Port 5432"),
        ("http://host:0/", "Port 0"),
    ],
)
def test_what_is_no_base_url_is_refused_without_being_repeated(url: str, told: str) -> None:
    with pytest.raises(ProviderError, match=told) as refused:
        parse(url)
    assert "sk-secret" not in refused.value.sentence
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"])
def test_every_spelling_of_this_machine_is_seen_through(host: str) -> None:
    endpoint = parse(f"https://{host}/v1")
    found = look_up(endpoint.host, endpoint.port, 5)
    with pytest.raises(ProviderError, match="private network"):
        place(endpoint, found, allow_local=False)


def test_a_name_that_nobody_has_is_said_so() -> None:
    with pytest.raises(ProviderError, match="cannot be looked up"):
        look_up("no-such-host.invalid", 443, 5)
