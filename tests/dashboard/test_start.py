"""The program itself, as a process: what it prints, how it refuses to start, how it stops."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app import create_app
from store.errors import SettingsError
from tests.dashboard.entering import make_account

pytestmark = pytest.mark.slow  # each starts processes

ROOT = Path(__file__).resolve().parents[2]


def settings_below(folder: Path, **given: str) -> dict[str, str]:
    """An environment in which everything lies below ``folder``."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": f"sqlite:///{folder / 'tandem.sqlite'}",
        "DATA_DIR": str(folder / "data"),
        "SECRET_KEY": "of the tests",
        "ENCRYPTION_MASTER_PEPPER": "p" * 40,
        "PORT": str(free_port()),
        **given,
    }


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(folder: Path, *words: str, **given: str) -> subprocess.CompletedProcess[str]:
    """Run a program of ours to its end."""
    command = [sys.executable, *words]
    environ = settings_below(folder, **given)
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def serving(folder: Path, **given: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``python app.py`` and the first line it printed."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "app.py"],
        cwd=ROOT,
        env=settings_below(folder, **given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell has what it starts in the background ignore Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout
        yield process, process.stdout.readline()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("command", [["app.py"], ["-m", "flask", "--app", "app", "accounts", "list"]])
def test_wrong_settings_are_told_in_one_sentence(tmp_path: Path, command: list[str]) -> None:
    secret = "mysql://ada:hunter2@example/db"
    result = run(tmp_path, *command, DATA_BACKEND="mongo", DATABASE_URL=secret)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Wrong settings: ")
    assert "DATA_BACKEND is “mongo”" in result.stderr
    assert "DATABASE_URL is neither" in result.stderr
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_words_after_the_program_are_no_command(tmp_path: Path) -> None:
    result = run(tmp_path, "app.py", "data", "validate")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.endswith("Commands begin with: flask --app app\n")
    assert list(tmp_path.iterdir()) == [], "nothing was made"


@pytest.mark.parametrize("command", [["app.py"], ["-m", "flask", "--app", "app", "accounts", "list"]])
def test_a_database_that_cannot_be_opened_is_told_without_the_drivers_words(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "folder").mkdir()
    result = run(tmp_path, *command, DATABASE_URL=f"sqlite:///{tmp_path / 'folder'}")
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.splitlines()[-1].startswith("The database")


def test_a_caller_with_an_environment_of_its_own_gets_the_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PORT is “0”"):
        create_app({"PORT": "0"}, tmp_path)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(tmp_path, "app.py", PORT=port)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"PORT {port} is in use by another program. Set PORT to a free one and start again.\n" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("host", ["203.0.113.1", "no.such.host.invalid"])
def test_a_host_that_is_not_here_is_named(tmp_path: Path, host: str) -> None:
    result = run(tmp_path, "app.py", HOST=host)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"HOST {host}" in result.stderr
    assert "Traceback" not in result.stderr


def first_start(folder: Path, number: signal.Signals) -> str:
    """A start without any account, stopped with a signal; the token that it printed."""
    with serving(folder) as (process, line):
        match = re.fullmatch(
            r"Tandem is ready\. Make the first account at: (http://127\.0\.0\.1:\d+)/setup#token=([\w-]{32})\n", line
        )
        assert match, line
        with urllib.request.urlopen(f"{match[1]}/setup", timeout=10) as page:
            assert b"Make the first account" in page.read()
            assert page.headers["Server"] == "Tandem"
        with urllib.request.urlopen(f"{match[1]}/healthz", timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(number)
        rest, errors = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")
    assert "Traceback" not in errors
    assert "Exception" not in errors
    return match[2]


def test_each_start_prints_one_line_with_a_new_token_until_there_is_an_account_and_stops_cleanly(
    tmp_path: Path,
) -> None:
    assert first_start(tmp_path, signal.SIGTERM) != first_start(tmp_path, signal.SIGINT)
    app = create_app(settings_below(tmp_path), tmp_path)
    make_account(app, "Ada")
    app.extensions["tandem_store"].close()
    with serving(tmp_path) as (_, line):
        match = re.fullmatch(r"Tandem is ready: (http://127\.0\.0\.1:\d+)/\n", line)
        assert match, line
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{match[1]}/setup", timeout=10)
        assert refused.value.code == 404
        refused.value.close()


@pytest.mark.parametrize("trusted", ["127.0.0.1", "10.0.0.1", ""])
def test_what_a_proxy_says_is_believed_of_the_trusted_one_alone(tmp_path: Path, trusted: str) -> None:
    """Whoever else says so would get around the wait, or have cookies set that no browser sends back."""
    lies = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    with serving(tmp_path, TRUSTED_PROXY=trusted) as (_, line):
        address = line.split(" at: ")[1].partition("/setup")[0]
        asked = urllib.request.Request(f"{address}/setup", headers=lies)
        with urllib.request.urlopen(asked, timeout=10) as answer:
            cookie, hsts = answer.headers["Set-Cookie"], answer.headers["Strict-Transport-Security"]
            assert b"evil.example" not in answer.read()
    believed = trusted == "127.0.0.1"
    assert cookie.startswith("__Host-tandem_page=" if believed else "tandem_page=")
    assert ("Secure" in cookie, hsts is not None) == (believed, believed)
