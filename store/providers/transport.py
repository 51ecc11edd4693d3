"""Asking one provider: requests over urllib3 to an address that was judged, with an end to everything.

No redirect is followed, no proxy of the environment is used, no name is looked up again. A deadline counts for the
whole test, however slowly an answer drips, and an answer has a greatest size. What a provider said is in no error.
"""

import contextlib
import errno
import functools
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from store.errors import ProviderError
from store.providers import addresses
from store.providers.addresses import Endpoint, Place, Resolve

AGENT: Final = "Tandem"
_BY_VERIFY_CODE: Final = {
    10: "its certificate has expired",
    18: "its certificate was signed by nobody but itself",
    19: "its certificate was signed by nobody this machine trusts",
    20: "its certificate was signed by nobody this machine trusts",
    62: "its certificate is for another name",
    64: "its certificate is for another address",
}


@dataclass(frozen=True)
class Limits:
    """Seconds to look up and to connect, seconds for everything, bytes of one answer."""

    connect_s: float = 5.0
    total_s: float = 15.0
    answer_bytes: int = 4 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. The body may hold anything, also what was sent."""

    status: int
    body: bytes = field(repr=False)


class Transport:
    """The way out. ``resolve`` and ``tls`` stand in for the system's resolver and the certificates it trusts."""

    def __init__(
        self,
        allow_local: bool,
        *,
        limits: Limits | None = None,
        resolve: Resolve = addresses.look_up,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._allow_local, self._limits, self._resolve = allow_local, limits or Limits(), resolve
        self._given_tls = tls

    def open(self, base_url: str) -> "Line":
        """A line to a provider; its time runs from now. Raises ProviderError when it is not to be asked."""
        deadline = time.monotonic() + self._limits.total_s
        endpoint = addresses.parse(base_url)
        found = self._resolve(endpoint.host, endpoint.port, self._limits.connect_s)
        where = addresses.place(endpoint, found, self._allow_local)
        return Line(where, self._limits, deadline, self._tls)

    @functools.cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._given_tls or ssl.create_default_context()


class Line:
    """One provider at one address, until the deadline."""

    def __init__(self, place: Place, limits: Limits, deadline: float, tls: ssl.SSLContext) -> None:
        self._place, self._limits, self._deadline, self._tls = place, limits, deadline, tls

    @property
    def endpoint(self) -> Endpoint:
        return self._place.endpoint

    def send(self, path: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
        """One request: GET, or POST with a body. Raises ProviderError when no whole answer came back in time."""
        cut = threading.Event()
        with self._understood(cut), contextlib.closing(self._connected()) as connection:
            # Of an answer without a length the connection forgets its socket, so it is held on to here.
            watch = threading.Timer(self._left(), _cut, [connection.sock, cut])
            watch.daemon = True
            watch.start()
            try:
                return self._ask(connection, path, headers, body)
            finally:
                watch.cancel()

    def _connected(self) -> HTTPConnection:
        """A connection to the first of the addresses that lets one in: “localhost” has two, and a server often one."""
        failed: Exception | None = None
        for address in self._place.addresses:
            connection = self._connection(address)
            try:
                connection.connect()
            except urllib3.exceptions.ConnectTimeoutError as error:  # also when nothing listens there
                failed = error
                connection.close()
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        assert failed is not None
        raise failed

    def _connection(self, address: str) -> HTTPConnection:
        endpoint, wait = self.endpoint, min(self._limits.connect_s, self._left())
        if endpoint.scheme == "http":
            return HTTPConnection(address, endpoint.port, timeout=wait)
        return HTTPSConnection(
            address, endpoint.port, timeout=wait, server_hostname=endpoint.host, ssl_context=self._tls
        )

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise self._too_slow()
        return left

    def _ask(self, connection: HTTPConnection, path: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
        assert connection.sock is not None
        connection.sock.settimeout(self._left())
        told = {"Host": self.endpoint.authority, "User-Agent": AGENT, "Accept": "application/json"}
        told |= {"Accept-Encoding": "identity", "Connection": "close", **headers}
        if body is not None:
            told["Content-Type"] = "application/json"
        connection.request(
            "GET" if body is None else "POST",
            self.endpoint.path + path,
            body=body,
            headers=told,
            preload_content=False,
            decode_content=False,
        )
        response = connection.getresponse()
        most = self._limits.answer_bytes
        data = bytearray()
        while len(data) <= most and (some := response.read(min(65_536, most + 1 - len(data)))):
            data += some
        if len(data) > most:
            raise ProviderError(f"{self.endpoint.host} answered with more than {most:,} bytes, and was not heard out.")
        return Answer(response.status, bytes(data))

    @contextlib.contextmanager
    def _understood(self, cut: threading.Event) -> Iterator[None]:
        """Turn what can go wrong on the way into a sentence. Nothing hangs on ``__cause__``: it could hold what was
        sent or what was answered."""
        try:
            yield
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            refusal = self._too_slow() if cut.is_set() else self._refusal(error)
        else:
            if cut.is_set():  # an answer without a length ends where the connection was cut
                raise self._too_slow()
            return
        raise refusal

    def _too_slow(self) -> ProviderError:
        return ProviderError(f"{self.endpoint.host} did not answer to the end within {self._limits.total_s:g} seconds.")

    def _refusal(self, error: Exception) -> ProviderError:
        host = self.endpoint.host
        # urllib3 counts a connection that was refused among its time-outs; what the system said hangs on it.
        refused = isinstance(error, urllib3.exceptions.NewConnectionError)
        cause = error.__cause__ if refused else error
        if not refused and isinstance(error, urllib3.exceptions.TimeoutError | TimeoutError):
            return ProviderError(f"{host} did not answer within {self._limits.connect_s:g} seconds.")
        if isinstance(error, ssl.SSLError):
            why = _BY_VERIFY_CODE.get(getattr(error, "verify_code", 0), "no encrypted connection came about")
            hint = "Check the base URL, https or http, and the provider's certificate."
            return ProviderError(f"{host} cannot be trusted: {why}.", hint=hint)
        if isinstance(error, http.client.LineTooLong) or "headers" in str(error):
            return ProviderError(f"{host} answered with headers that are too long, and was not heard out.")
        code = getattr(cause, "errno", None)
        if code == errno.ECONNREFUSED:
            hint = "Start it there, or correct the base URL."
            return ProviderError(f"Nothing listens at {self.endpoint.authority}.", hint=hint)
        if code in (errno.ENETUNREACH, errno.EHOSTUNREACH):
            return ProviderError(f"There is no way from here to {host}.", hint="Check this machine's network.")
        return ProviderError(f"{host} broke the connection off before it had answered.")


def _cut(sock: socket.socket, cut: threading.Event) -> None:
    cut.set()
    with contextlib.suppress(OSError):
        # The plain socket's: that of TLS would say good-bye first, and wait for the answer.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
