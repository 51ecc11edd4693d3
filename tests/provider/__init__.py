"""A real provider for connection tests: llm-katan, which serves OpenAI's and Anthropic's addresses and checks keys.

It may need other versions than Tandem, so it has an environment of its own beside that of the tests, made once for each
list of requirements.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import time
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

from tests.browser.serving import free_port

LIST = Path(__file__).with_name("requirements.txt")
MODEL = "tandem-small"
STARTS_IN_S = 90.0  # on a machine that does much else


class CannotInstall(Exception):
    """The environment could not be made: there is no package index, or not this package."""


def environment() -> Path:
    """The folder of the environment; made when there is none yet for this list. Raises CannotInstall."""
    folder = Path(sys.prefix) / f"provider-{crc32(LIST.read_bytes()):08x}"
    if sys.prefix == sys.base_prefix:  # no environment of the tests: beside nothing of the system's
        folder = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "tandem-tests" / folder.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready"
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # pytest runs in several processes
        if not ready.exists():
            for old in folder.parent.glob("provider-????????"):
                shutil.rmtree(old)
            venv.create(folder)
            pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
            command = [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", LIST]
            done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise CannotInstall(done.stderr.strip().splitlines()[-1])
            ready.touch()
    return folder


@contextlib.contextmanager
def a_real_provider(kind: str, key: str, folder: Path) -> Iterator[str]:
    """A running one for ``openai`` or ``anthropic`` that takes this key; its address, without a path."""
    port = free_port()
    options = {"model": MODEL, "backend": "echo", "host": "127.0.0.1", "port": str(port), "providers": kind}
    options |= {"api-keys": f"{kind}={key}", "stats-file": str(folder / f"{kind}.json"), "log-level": "WARNING"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    log = folder / f"{kind}.log"
    with open(log, "w") as out:
        command = [environment() / "bin" / "llm-katan", "--validate-keys", "--disable-dashboard", *words]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
        process = subprocess.Popen(command, cwd=folder, env=clean, stdout=out, stderr=out)
    try:
        until = time.monotonic() + STARTS_IN_S
        while not _is_up(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, f"it does not start: {log.read_text()}"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _is_up(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
        return True
    return False
