"""What people would move the same data with otherwise: Django's dumpdata, and sqlite-utils.

They are installed into a folder of their own that goes with the benchmark; where that cannot be, it is said and nothing
is measured. Both write one file for each table or for all, sync nothing and check nothing.
"""

import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

import sqlalchemy as sa

from store import open_store
from store.exporting import export
from store.tables import MODELS
from tests.bench.library import settings
from tests.bench.measure import Row
from tests.bench.moving import ROUNDS, fill_all

_TABLES = [table.name for table in MODELS.values() if "id" in table.c]  # Django wants one column as a key
_REQUIREMENTS = Path(__file__).with_name("peers.txt")
_INSTALL_S = 300
_DJANGO = """
import pathlib, sys
import django
from django.conf import settings
from django.core.management import call_command

step, folder, engine, name, user, password, host, port, *tables = sys.argv[1:]
server = {"USER": user, "PASSWORD": password, "HOST": host, "PORT": port} if user else {}
database = {"ENGINE": f"django.db.backends.{engine}", "NAME": name, **server}
settings.configure(INSTALLED_APPS=["library"], DATABASES={"default": database}, USE_TZ=False)
sys.path.insert(0, folder)
django.setup()
library = pathlib.Path(folder, "library")
if step == "models":
    with open(library / "models.py", "w") as file:
        call_command("inspectdb", *tables, stdout=file)
else:
    call_command("dumpdata", "library", output=f"{folder}/dump.json")
"""
_SQLITE_UTILS = """
import json, sys
from sqlite_utils import Database

path, folder, *tables = sys.argv[1:]
database = Database(path)
for table in tables:
    with open(f"{folder}/{table}.jsonl", "w") as file:
        for row in database[table].rows:
            file.write(json.dumps(row) + "\\n")
"""


def install(folder: Path) -> Path | None:
    """The Python that has them; None, and a sentence, where they cannot be installed."""
    try:
        venv.create(folder, with_pip=True)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", _REQUIREMENTS], check=True, capture_output=True, timeout=_INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "stderr", b"") or str(error).encode()
        last = reason.decode(errors="replace").strip().splitlines()[-1:]
        sys.stderr.write(f"Django and sqlite-utils cannot be installed here, and are left out: {' '.join(last)}\n")
        return None
    return folder / "bin/python"


def peers(folder: Path, url: str, name: str) -> list[Row]:
    """Our export to the files of a new generation, in turn with what the others write."""
    if (python := install(folder / "venv")) is None:
        return []
    fill_all(folder, url)
    commands = {"Django's dumpdata": _dumpdata(python, folder, url)}
    if name == "SQLite":
        path = url.removeprefix("sqlite:///")
        commands["sqlite-utils"] = [str(python), "-c", _SQLITE_UTILS, path, str(folder), *_TABLES]
    ours: list[float] = []
    theirs: dict[str, list[float]] = {peer: [] for peer in commands}
    for number in range(ROUNDS):
        for peer, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            theirs[peer].append(time.perf_counter() - began)
        store = open_store(settings(folder / f"round-{number}", url, "sql"), follow=False)
        began = time.perf_counter()
        assert export(store).switched
        ours.append(time.perf_counter() - began)
        store.close()
    return [_row(f"export against {peer}, {name}", ours, times, peer) for peer, times in theirs.items()]


def _row(item: str, ours: list[float], times: list[float], peer: str) -> Row:
    ratio = statistics.median(one / other for one, other in zip(ours, times, strict=True))
    goal = "0.25x" if peer.startswith("Django") else "-"
    return Row(item, statistics.median(ours), statistics.median(times), ratio, goal, "s ")


def _dumpdata(python: Path, folder: Path, url: str) -> list[str]:
    """The command, after the models are made from the database, as a person would."""
    (folder / "library").mkdir()
    (folder / "library/__init__.py").touch()
    at = sa.make_url(url)
    engine = "sqlite3" if at.get_backend_name() == "sqlite" else "postgresql"
    host = at.host or str(at.query.get("host") or "")
    place = [str(one or "") for one in (at.database, at.username, at.password, host, at.port or at.query.get("port"))]
    subprocess.run([python, "-c", _DJANGO, "models", folder, engine, *place, *_TABLES], check=True)
    return [str(python), "-c", _DJANGO, "dump", str(folder), engine, *place]
