"""Moving everything: export, validation, and an export without changes, of 10,000 characters and 1,000 chats of 200
messages, against reading the rows and writing the files with nothing checked."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa

from store import Store, open_store
from store.exporting import export
from store.tables import MODELS
from store.validation import validate_all_data
from tests.bench.library import fill, settings
from tests.bench.measure import Row
from tests.bench.memory import peak

CHARACTERS, CHATS, MESSAGES = 10_000, 1_000, 200


def fill_all(folder: Path, url: str) -> None:
    """A library of the size that is measured."""
    store = open_store(settings(folder, url, "sql"), follow=False)
    fill(store, CHARACTERS)
    with store.database.write() as connection:
        character, user = connection.execute(sa.text('SELECT id, "userId" FROM characters LIMIT 1')).one()
        moment = "2025-01-01T00:00:00.000Z"
        profile = {"id": "p", "userId": user, "name": "p", "provider": "OPENAI", "modelName": "m", "parameters": {}}
        made = {"createdAt": moment, "updatedAt": moment}
        connection.execute(sa.insert(MODELS["ConnectionProfile"]), [{**profile, "isDefault": True, **made}])
        chats = [
            {"id": f"chat-{one}", "userId": user, "characterId": character, "connectionProfileId": "p", "title": "t"}
            for one in range(CHATS)
        ]
        connection.execute(sa.insert(MODELS["Chat"]), [{**chat, **made} for chat in chats])
        for chat in chats:
            connection.execute(sa.insert(MODELS["Message"]), [_message(chat["id"], one) for one in range(MESSAGES)])
    store.close()


def _message(chat: str, number: int) -> dict[str, Any]:
    moment = f"2025-01-01T{number // 60:02}:{number % 60:02}:00.000Z"
    role = "USER" if number % 2 else "ASSISTANT"
    return {"id": f"{chat}-{number:03}", "chatId": chat, "role": role, "content": "word " * 60, "createdAt": moment}


def product(folder: Path, url: str) -> dict[str, float]:
    """Seconds of each step, and the peak of memory in MB."""
    store = open_store(settings(folder, url, "sql"), follow=False)
    steps: dict[str, float] = {}
    for name, work in (
        ("export", lambda: export(store)),
        ("validate", lambda: validate_all_data(store)),
        ("export again", lambda: export(store)),
    ):
        began = time.perf_counter()
        done = work()
        steps[name] = time.perf_counter() - began
        assert done.exit_status == 0, done.as_text()[-500:]
        if name == "export again":
            steps["written again"] = float(done.written)  # type: ignore[union-attr]
    store.close()
    return {**steps, "memory": peak() / 1e3}


def floor(folder: Path, url: str) -> dict[str, float]:
    """Read every row once, write every file once, one sync; nothing compared."""
    began, target = time.perf_counter(), folder / "floor"
    target.mkdir()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        for row in connection.exec_driver_sql("SELECT * FROM characters").mappings():
            (target / f"{row['id']}.json").write_bytes(orjson.dumps(dict(row), default=str, option=orjson.OPT_INDENT_2))
        chat, lines = None, []
        order = 'SELECT * FROM messages ORDER BY "chatId", "createdAt", id'
        for row in connection.exec_driver_sql(order).mappings():
            if chat not in (None, row["chatId"]):
                (target / f"{chat}.jsonl").write_bytes(b"\n".join(lines))
                lines = []
            chat = row["chatId"]
            lines.append(orjson.dumps(dict(row), default=str))
        (target / f"{chat}.jsonl").write_bytes(b"\n".join(lines))
    os.sync()
    engine.dispose()
    return {"floor": time.perf_counter() - began, "memory": peak() / 1e3}


def index(folder: Path, url: str) -> dict[str, float]:
    """The index of `json` mode, filled from the files that were exported: processor seconds, and the peak in MB."""
    store = Store(settings(folder, f"sqlite:///{folder}/follower.sqlite", "json"))
    began = time.process_time()
    store.index.refresh(full=True)
    took = time.process_time() - began
    with store.index.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(MODELS["Message"])) == CHATS * MESSAGES
    store.index.close()
    store.database.close()
    return {"fill": took, "memory": peak() / 1e3}


def moving(folder: Path, url: str, name: str) -> list[Row]:
    """Each in a process of its own, once: it takes minutes, which even out what a moment does."""
    fill_all(folder, url)
    base, took = _apart("floor", folder, url)["floor"], _apart("product", folder, url)
    rows = [
        Row(f"export of everything, {name}", took["export"], base, took["export"] / base, "1.5", "s "),
        Row(f"validation of it, {name}", took["validate"], base, took["validate"] / base, "1.3", "s "),
        Row(f"export without a change, {name}", took["export again"], base, took["export again"] / base, "-", "s "),
    ]
    written, memory = took["written again"], took["memory"]
    assert written == 0, "nothing had changed"
    rows.append(Row(f"peak of memory meanwhile, {name}", memory, memory, 1.0, "200 MB", "MB"))
    filled = _apart("index", folder, url)
    rows.append(
        Row("filling the index from the files, processor", filled["fill"], base, filled["fill"] / base, "-", "s ")
    )
    return [*rows, Row("peak of memory meanwhile", filled["memory"], filled["memory"], 1.0, "200 MB", "MB")]


def _apart(what: str, folder: Path, url: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.moving", what, str(folder), url]
    told: dict[str, float] = orjson.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return told


if __name__ == "__main__":
    done = {"product": product, "floor": floor, "index": index}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3])
    sys.stdout.write(orjson.dumps(done).decode())
