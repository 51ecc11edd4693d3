"""A helper that takes part in even little work, and what it was seen to do."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from store import Store, chat_files, hands
from store.files.system import System
from store.helping import Helping
from tests.factories import make_character, make_chat, make_message

WAIT_S = 10.0
CHATS = 12
MAKE = chat_files.make


@dataclass
class Helped:
    """What the helpers of a test answered. ``when``: called with a helper before it is told something."""

    answers: list[Any] = field(default_factory=list)
    started: int = 0
    when: Callable[[Helping, str], None] = lambda helper, what: None


def _is_fed() -> bool:
    return any(thread.name == hands.FEEDER for thread in threading.enumerate())


def help_with_little(monkeypatch: pytest.MonkeyPatch) -> Helped:
    """Even little work has a helper, and this process leaves it time to take some."""
    seen = Helped()
    hear, tell, begin = Helping.hear, Helping.tell, Helping.__init__

    def make(system: System, *rest: Any) -> Any:
        until = time.monotonic() + WAIT_S
        while len(made(seen.answers)) < 2 and time.monotonic() < until and _is_fed():
            time.sleep(0.01)
        return MAKE(system, *rest)

    def heard(helper: Helping) -> Any:
        answer = hear(helper)
        seen.answers.append(answer)
        return answer

    def told(helper: Helping, what: str, data: object) -> None:
        seen.when(helper, what)
        tell(helper, what, data)

    def begun(helper: Helping, *rest: Any) -> None:
        seen.started += 1
        begin(helper, *rest)

    monkeypatch.setattr(hands, "FROM", 1)
    for module in ("store.hands", "store.generating", "store.validation.messages"):
        monkeypatch.setattr(f"{module}.AT_ONCE", 1)
    monkeypatch.setattr(hands, "FILES_AT_ONCE", 1)
    monkeypatch.setattr(hands, "_processors", lambda: 2)
    monkeypatch.setattr(chat_files, "make", make)
    monkeypatch.setattr(Helping, "hear", heard)
    monkeypatch.setattr(Helping, "tell", told)
    monkeypatch.setattr(Helping, "__init__", begun)
    return seen


def made(answers: list[Any]) -> list[Any]:
    """The chats that helpers told of."""
    return [one for answer in answers if isinstance(answer, list) for one in answer if isinstance(one, list)]


def write_something(store: Store) -> None:
    """As another program would."""
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql('UPDATE messages SET "tokenCount" = coalesce("tokenCount", 0) + 1')


def fill_with_chats(store: Store) -> None:
    """Some chats in SQL."""
    make_character(store)
    for _ in range(CHATS):
        chat = make_chat(store)
        for _ in range(3):
            make_message(store, chat)
