"""Small providers on this machine, each with one bad habit, and what they were asked."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

Habit = Callable[["Guest"], None]


@dataclass
class Guest:
    """One connection: the request that came over it, and the way to answer."""

    connection: socket.socket
    line: str
    headers: dict[str, str]
    body: bytes
    stopped: threading.Event

    def say(self, data: bytes) -> bool:
        """Whether it could be sent."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return True

    def answer(self, body: bytes | str, status: int = 200, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        told = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in told.items())]
        self.say("\r\n".join(lines).encode() + b"\r\n\r\n" + data)


@dataclass
class Provider:
    """A running one. ``guests``: everybody who asked."""

    port: int
    guests: list[Guest] = field(default_factory=list)
    scheme: str = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/v1"


@contextlib.contextmanager
def a_provider(habit: Habit, tls: ssl.SSLContext | None = None) -> Iterator[Provider]:
    """Serves every connection with the habit, until the end."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        provider = Provider(listener.getsockname()[1], scheme="https" if tls else "http")
        listener.settimeout(0.05)

        def serve(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                connection.settimeout(10)
                spoken = tls.wrap_socket(connection, server_side=True) if tls else connection
                with spoken, spoken.makefile("rb") as reader:
                    line = reader.readline().decode("latin-1").strip()
                    headers = {}
                    while text := reader.readline().decode("latin-1").strip():
                        name, _, value = text.partition(":")
                        headers[name.lower()] = value.strip()
                    body = reader.read(int(headers.get("content-length", "0")))
                    guest = Guest(spoken, line, headers, body, stopped)
                    provider.guests.append(guest)
                    habit(guest)

        def listen() -> None:
            while not stopped.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        try:
            yield provider
        finally:
            stopped.set()
            thread.join(5)


@dataclass(frozen=True)
class Certificate:
    """Signed by itself; who trusts it is a matter of the context."""

    path: Path

    def serving(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path)
        return context

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.path))


def a_certificate(folder: Path, name: str = "models.example", days: int = 2) -> Certificate:
    """For a name (and 127.0.0.1 when that is the name); already expired with ``days`` below zero."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    called = x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    today = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=9))
        .not_valid_after(today + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([called]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / f"{name}{days}.pem"
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return Certificate(path)
