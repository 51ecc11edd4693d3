"""Reads what is in the audit, with plain drivers and not with the store's code: what each entry says, in its order."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

Entry = tuple[Any, ...]
_COLUMNS = "action, kind, record_id, title, outcome, message"


def entries(url: str) -> list[Entry]:
    """Every entry the database has, the oldest first."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            return connection.execute(f"SELECT {_COLUMNS} FROM tandem_audit ORDER BY id").fetchall()
    with psycopg.connect(url.replace("+psycopg", "")) as postgres:
        return postgres.execute(f"SELECT {_COLUMNS} FROM tandem.audit ORDER BY id").fetchall()


def waiting(own_dir: Path) -> list[str]:
    """The lines of the file in which entries wait for the database, but for what clocks and chance made of them."""
    path = own_dir / "audit"
    if not path.exists():
        return []
    told = []
    for line in path.read_bytes().split(b"\n"):
        try:
            content = json.loads(line.partition(b" ")[2])
        except ValueError:
            told.append(f"{len(line)} bytes of a line")
        else:
            rest = {key: value for key, value in content.items() if key not in ("files", "rows")}
            told.append(re.sub(r"[0-9a-f]{16}", "", repr(rest)))
    return told


def names(path: Path) -> set[str]:
    """The names of the entries in a SQLite database that came by the file."""
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT spooled FROM tandem_audit WHERE spooled IS NOT NULL")}


def counting(data: bytes) -> set[str]:
    """The names of what the file says counts; raises where it is not known."""
    verdicts = [json.loads(line.partition(b" ")[2]) for line in data.split(b"\n")[:-1]]
    assert not any("unknown" in one for one in verdicts)
    return {one["counts"] for one in verdicts if "counts" in one}
