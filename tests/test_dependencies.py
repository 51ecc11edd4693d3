"""A known vulnerability of a library stops ``make lint``; a machine without a way to the database of them goes on."""

import json
import os
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.dependencies import GOOD_FOR_S, audit

pytestmark = pytest.mark.slow  # starts pip-audit a few times

ADVISORY = {
    "id": "PYSEC-2026-1",
    "aliases": ["CVE-2026-1"],
    "summary": "It opens the door.",
    "details": "To everybody.",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "ajar", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
            "versions": ["1.0"],
        }
    ],
}


class Osv(BaseHTTPRequestHandler):
    """Answers as https://api.osv.dev does; knows of one library that is not safe."""

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(question["package"]["name"])  # type: ignore[attr-defined]
        told: dict[str, Any] = {"vulns": [ADVISORY]} if question["package"]["name"] == "ajar" else {}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_a_known_vulnerability_fails_until_a_reason_is_given(osv: ThreadingHTTPServer, tmp_path: Path) -> None:
    service, kept = f"http://127.0.0.1:{osv.server_port}/v1/query", tmp_path / "audited"
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("ajar==1.0\nshut==2.0\n")
    goes_on, told = audit(requirements, kept, {}, service)
    assert not goes_on
    assert "ajar 1.0: PYSEC-2026-1 CVE-2026-1, mended in 1.1" in told
    assert osv.asked == ["ajar", "shut"]  # type: ignore[attr-defined]

    accepted = {"CVE-2026-1": "The door leads nowhere."}
    assert audit(requirements, kept, accepted, service) == (True, "")
    # What was found to be good is not asked about again for a day, unless the list is another one.
    osv.asked.clear()  # type: ignore[attr-defined]
    assert audit(requirements, kept, accepted, service) == (True, "")
    assert osv.asked == []  # type: ignore[attr-defined]
    assert not audit(requirements, kept, {}, service)[0]
    long_ago = time.time() - GOOD_FOR_S - 1
    os.utime(kept, (long_ago, long_ago))
    osv.asked.clear()  # type: ignore[attr-defined]
    assert audit(requirements, kept, accepted, service) == (True, "")
    assert osv.asked == ["ajar", "shut"]  # type: ignore[attr-defined]


def test_without_a_way_to_the_database_the_checks_go_on_and_say_so(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("ajar==1.0\n")
    goes_on, told = audit(tmp_path / "requirements.txt", tmp_path / "audited", {}, "http://127.0.0.1:9/v1/query")
    assert goes_on
    assert told.startswith("Known vulnerabilities were not looked for, OSV does not answer: ")
    assert len(told.splitlines()) == 1
    assert not (tmp_path / "audited").exists()
