"""How much memory it takes to page through a very long chat, each in a process of its own.

Run by itself with ``product`` or ``floor`` it tells the peak before and after in KB.
"""

import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

from store import open_store
from tests.bench.library import LONG, chat_id, settings
from tests.bench.measure import Row

PAGE = 500


def peak(process: int | str = "self") -> int:
    """In KB. Where the system tells it, of this program alone: ``getrusage`` begins with what its parent had."""
    try:
        told = Path(f"/proc/{process}/status").read_text().partition("VmHWM:")[2].split()
    except OSError:
        told = []
    return int(told[0]) if told else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def product(folder: Path, backend: str) -> None:
    """Lists the chats, then reads every page of the long one, from its end."""
    store = open_store(settings(folder, f"sqlite:///{folder}/quilltap.sqlite", backend), follow=False)
    cursor, seen = store.chats.messages_page(chat_id(LONG)).before, 50
    before = peak()
    while cursor:
        page = store.chats.messages_page(chat_id(LONG), before=cursor, limit=PAGE)
        cursor, seen = page.before, seen + len(page.messages)
    assert seen >= LONG
    store.close()
    sys.stdout.write(f"{before} {peak()}\n")


def floor(folder: Path, backend: str) -> None:
    """The driver's rows of the same pages."""
    database = sqlite3.connect(folder / "quilltap.sqlite")
    statement = (
        'SELECT * FROM messages WHERE "chatId" = ? AND "createdAt" < ? ORDER BY "createdAt" DESC, id DESC LIMIT ?'
    )
    columns = [row[1] for row in database.execute("PRAGMA table_info(messages)")]
    last, seen = "9", 0
    before = peak()
    while rows := [
        dict(zip(columns, row, strict=True)) for row in database.execute(statement, (chat_id(LONG), last, PAGE))
    ]:
        last, seen = rows[-1]["createdAt"], seen + len(rows)
    assert seen >= LONG
    sys.stdout.write(f"{before} {peak()}\n")


def paging(folder: Path) -> list[Row]:
    """What paging adds to the peak, and the peak itself, in MB."""
    rows = []
    for backend in ("dual", "json"):
        grown, whole = _run("product", folder, backend)
        least, whole_floor = _run("floor", folder, backend)
        rows += [
            Row(
                f"paging through {LONG:,} messages, {backend}: growth", grown, least, grown / max(least, 0.1), "-", "MB"
            ),
            Row("the same: peak of the process", whole, whole_floor, whole / whole_floor, "<= 200 MB", "MB"),
        ]
    return rows


def _run(what: str, folder: Path, backend: str) -> tuple[float, float]:
    words = [sys.executable, "-m", "tests.bench.memory", what, str(folder), backend]
    before, after = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return (int(after) - int(before)) / 1024, int(after) / 1024


if __name__ == "__main__":
    {"product": product, "floor": floor}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
