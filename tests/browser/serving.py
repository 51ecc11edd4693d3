"""A real Tandem in a process of its own, on a fresh copy of the program, as `make run` would start it."""

import compileall
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ("app.py", "dashboard", "store", "templates", "static")
PASSWORD = "seven quiet lanterns"
# What a test must not hand down: settings of the person who runs it.
SETTINGS = re.compile(
    r"ALLOW_LOCAL|DATA|PUBLIC_DIR|ENCRYPTION|SECRET_KEY|TRUSTED|JOBS|HOST$|PORT$|VERBOSE|COV_|COVERAGE"
)


class Running:
    """A served Tandem. ``folder`` is the program's folder with everything it makes, ``welcome`` the line it printed.
    ``start`` is a file in there that starts it otherwise than ``app.py``."""

    def __init__(self, folder: Path, start: str = "app.py", **settings: str) -> None:
        self.folder = folder
        if not (folder / "app.py").exists():
            for name in PROGRAM:
                source, target = ROOT / name, folder / name
                shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
            compileall.compile_dir(folder, quiet=1)  # once, and not in each of its processes
        self.port = free_port()
        self.environment = {key: value for key, value in os.environ.items() if not SETTINGS.match(key)}
        self.environment |= {"PORT": str(self.port), "PYTHONDONTWRITEBYTECODE": "1", **settings}
        self.log = open(folder / "server.log", "a")  # noqa: SIM115  # closed by stop()
        self._process = subprocess.Popen(
            [sys.executable, start],
            cwd=folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self._process.stdout
        self.welcome = self._process.stdout.readline().strip()
        assert self.welcome, (folder / "server.log").read_text()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def sqlite_url(self) -> str:
        return f"sqlite:///{self.folder / 'instance' / 'tandem.sqlite'}"

    def command(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run one of the program's commands on the same library."""
        return subprocess.run(
            [sys.executable, "-m", "flask", "--app", "app", *words],
            cwd=self.folder,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> None:
        """Stop as a service manager would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        assert self._process.stdout
        self._process.stdout.close()
        self.log.close()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
