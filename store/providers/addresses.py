"""Where a provider may be asked. A base URL is typed by a person and asked by the server, so it decides nothing by
itself: the name is looked up once, every address it has is judged, and the connection goes to one of those very ones.
"""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from store.errors import ProviderError

Resolve = Callable[[str, int, float], Sequence[str]]
IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

LONGEST_URL = 2000
MOST_ADDRESSES = 4  # of one name that are tried; the others are judged all the same
SETTING = "ALLOW_LOCAL_PROVIDERS"
# Services that are no web servers, and would take a request for commands of their own.
_NO_WEB: Final = frozenset({1433, 1521, 1719, 1720, 1723, 2049, 3306, 3659, 4045, 4190, 5060, 5061, 5432, 6000, 6379})
_NO_WEB_EITHER: Final = frozenset({6566, *range(6665, 6670), 6679, 6697, 9200, 9300, 10080, 11211, 27017})
_WEB_BELOW_1024: Final = frozenset({80, 443})
_EXAMPLE = "Write one such as https://api.example.com/v1, or http://localhost:11434 for a model of your own."

# What hands out a cloud machine's own credentials, beside the link-local addresses, which are refused as a whole.
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "192.0.0.192", "fd00:ec2::254")))
_LOCAL: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "127.0.0.0/8",
            "10.0.0.0/8",
            "172.16.0.0/12",
            "192.168.0.0/16",
            "100.64.0.0/10",  # carriers' networks, and those that join a person's own machines
            "::1/128",
            "fc00::/7",
        ),
    )
)
_GLOBAL_V6: Final = ipaddress.ip_network("2000::/3")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Endpoint:
    """A base URL taken apart. ``path`` has no slash at its end."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port: as it stands in an address and in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True)
class Place:
    """Where a connection goes: the endpoint, and the addresses that were judged, in their order."""

    endpoint: Endpoint
    addresses: tuple[str, ...]


def parse(base_url: str) -> Endpoint:
    """Take a base URL apart. Raises ProviderError for what is no address of a web server, and for user and password in
    one."""
    text = base_url.strip()
    if len(text) > LONGEST_URL or any(sign <= " " or sign in '\\"<>^`{|}\x7f' for sign in text):
        raise _no_address()
    try:
        parts = urlsplit(text)
        port = parts.port
        host = (parts.hostname or "").rstrip(".")
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError):
        raise _no_address() from None
    if parts.scheme not in ("http", "https") or not host or "%" in host:
        raise _no_address()
    _refuse_extras(parts)
    port = {"http": 80, "https": 443}[parts.scheme] if port is None else port
    if (port < 1024 and port not in _WEB_BELOW_1024) or port in _NO_WEB | _NO_WEB_EITHER:
        raise ProviderError(
            f"Port {port} belongs to services that are no web servers, so nothing is sent there.",
            hint="Let the provider listen on another port, such as 8080.",
        )
    return Endpoint(parts.scheme, host, port, parts.path.rstrip("/"))


def _refuse_extras(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ProviderError(
            "The base URL holds a user name or a password.",
            hint="Take it out of the address; what is secret belongs into an API key.",
        )
    if parts.query or parts.fragment:
        raise ProviderError(
            "The base URL goes on behind a “?” or a “#”.", hint="End it with the path, such as https://example.com/v1."
        )


def _no_address() -> ProviderError:
    return ProviderError("The base URL is no address of a web server.", hint=_EXAMPLE)


def look_up(host: str, port: int, seconds: float) -> Sequence[str]:
    """Every address of a name, in the order of the system's resolver. Raises ProviderError, also when that takes longer
    than so many seconds."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(address[0]) for *_, address in found])
        except (OSError, UnicodeError) as error:
            answers.put(error if isinstance(error, OSError) else OSError())

    # The system's resolver cannot be interrupted; a thread that nobody waits for any more may end when it likes.
    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise ProviderError(f"Looking up the name {host} took too long.") from None
    if isinstance(answer, OSError) or not answer:
        raise ProviderError(f"The name {host} cannot be looked up.", hint="Check the base URL for a typing mistake.")
    return list(dict.fromkeys(answer))


def place(endpoint: Endpoint, addresses: Sequence[str], allow_local: bool) -> Place:
    """The place to connect to. Raises ProviderError unless every address of the name is allowed: one that is not would
    be reached by asking often enough."""
    judged = [_judge(address) for address in addresses]
    if any(verdict == "never" for verdict in judged):
        raise ProviderError(
            f"{endpoint.host} leads to an address that no provider has (such as 0.0.0.0, or one of the machine's own"
            " network service), so nothing is sent there.",
            hint="Enter the provider's own address.",
        )
    is_local = any(verdict == "local" for verdict in judged)
    if is_local and not allow_local:
        raise ProviderError(
            f"{endpoint.host} leads to this machine or a private network, and the settings do not allow that.",
            hint=f"If a model of your own runs there, set {SETTING}=true and start Tandem again.",
        )
    if endpoint.scheme == "http" and not all(verdict == "local" for verdict in judged):
        raise ProviderError(
            f"{endpoint.host} would be asked without encryption, and the key could be read on the way.",
            hint="Let the base URL begin with https://.",
        )
    return Place(endpoint, tuple(addresses[:MOST_ADDRESSES]))


def _judge(text: str) -> str:
    """``public``, ``local``, or ``never``."""
    try:
        address = _plain(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return "never"
    if address in _METADATA or address.is_unspecified or address.is_multicast or address.is_link_local:
        return "never"
    if any(address in network for network in _LOCAL):
        return "local"
    if address.version == 4:
        return "public" if address.is_global else "never"
    # Addresses that carry another one inside lead to that one: by a gateway that nobody here has judged.
    carries = address.sixtofour or address.teredo
    return "public" if address.is_global and address in _GLOBAL_V6 and not carries else "never"


def _plain(address: IpAddress) -> IpAddress:
    """The IPv4 address that stands inside an IPv6 one, where the system or a gateway would connect to that."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
