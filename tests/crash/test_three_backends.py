"""Random operations on ``sql``, ``json`` and ``dual`` side by side, with kills, restarts and other programs' writes in
between: all three give the same answers and hold the same, down to the bytes of the files.

TANDEM_EXAMPLES=1 takes more than 10,000 steps, other ones each time; every further 20 examples add one of 200 steps.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from store import Store
from store.errors import InvalidValueError
from store.files.journal import Journal
from store.files.shelves import Changes
from store.files.side import JsonSide
from tests.crash.conftest import folder_in_memory
from tests.crash.machine import WHAT, machine_for
from tests.crash.machine_stores import Three
from tests.crash.machine_values import TAGGED
from tests.crash.world import populate
from tests.factories import files_below, make_chat, make_message, open_test_store

pytestmark = pytest.mark.slow
STEPS = 200  # of an example
AT_LEAST = 10_000  # steps, where TANDEM_EXAMPLES asks for more
EXAMPLES = 5 if "TANDEM_EXAMPLES" not in os.environ else 52 + int(os.environ["TANDEM_EXAMPLES"]) // 20


@pytest.fixture
def three() -> Iterator[Three]:
    with folder_in_memory() as folder:
        stores = Three(folder)
        yield stores
        stores.close()


def run(three: Three, examples: int, weights: Sequence[str] = WHAT) -> None:
    """Make the stores and let the machine loose on them. What fails is told as it was drawn: to make 200 steps fewer,
    with a kill among them, takes longer than to read them."""
    three.make(populate)
    long = [HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large]
    several = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=long,
    )
    run_state_machine_as_test(machine_for(three, weights), settings=several)


def test_all_three_stay_equal(three: Three) -> None:
    run(three, EXAMPLES)
    steps = sum(three.seen[what] for what in set(WHAT))
    assert steps >= (AT_LEAST if "TANDEM_EXAMPLES" in os.environ else 900)
    # It is not for nothing: all of this happened.
    refusals = ("NotFoundError", "DuplicateError", "MissingReferenceError", "StillInUseError", "ConflictError")
    kills = [f"killed in {name}: {how}" for name in ("dual", "json") for how in ("it was done", "it was not done")]
    assert [one for one in ("done", "InvalidRecordError", *refusals, *kills, *WHAT) if not three.seen[one]] == []


# ------------------------------------------------------------------ it can fail
class LosesTagLinks(JsonSide):
    """Whoever is written anew has no tags in its file any more."""

    def plan(self, changes: dict[str, Changes], *arguments: Any) -> Any:
        for kind in TAGGED:
            for record in changes.get(kind, {}).values():
                if record and record["updatedAt"] != record["createdAt"]:
                    record["tags"] = []
                    record.get("extras", {}).pop("tagLinks", None)
        return super().plan(changes, *arguments)


class NeverRedone(Journal):
    """What was cut short is dropped."""

    def recover(self, *, changing: bool) -> bool:
        if self._path.exists():
            self._path.unlink()
        return super().recover(changing=changing)


def lose_tag_links(store: Store) -> None:
    if store.settings.data_backend == "dual":
        store.side.__class__ = LosesTagLinks


def never_redo(store: Store) -> None:
    store.side.journal.__class__ = NeverRedone


@pytest.mark.parametrize("mutant", [lose_tag_links, never_redo], ids=lambda one: one.__name__)
def test_the_machine_finds(three: Three, mutant: Any) -> None:
    three.remake = mutant
    often = ("write", "kill_between_two_files") if mutant is not lose_tag_links else WHAT
    with pytest.raises(AssertionError):
        run(three, 10, often)


# ------------------------------------------------------------------ what it found
@pytest.mark.parametrize("name", ["update", "delete", "find_by_user_id"])
def test_an_id_that_no_side_can_spell_is_refused_by_the_store(tmp_path: Path, name: str) -> None:
    store = open_test_store(tmp_path, backend="sql")
    try:
        with pytest.raises(InvalidValueError, match="half a character"):
            getattr(store.tags, name)("half a pair \ud83d", *([{}] if name == "update" else []))
        assert store.tags.find_by_id("half a pair \ud83d") is None
    finally:
        store.close()


def test_a_text_that_no_side_can_spell_is_refused_by_the_store(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    file = {"chatId": make_chat(store).id, "filename": "half \ud83d", "filepath": "f", "mimeType": "m", "size": 1}
    try:
        with pytest.raises(InvalidValueError):
            store.attachments.create(file)
    finally:
        store.close()


def test_a_message_can_follow_one_of_the_last_moment_there_is(tmp_path: Path) -> None:
    store = open_test_store(tmp_path, backend="sql")
    try:
        chat = make_chat(store)
        make_message(store, chat, createdAt="9999-12-31T23:59:59.999Z")
        make_message(store, chat)
    finally:
        store.close()


@pytest.mark.parametrize("backend", ["dual", "json"])
@pytest.mark.parametrize("how", ["deleted", "detached"])
def test_the_line_of_a_chat_follows_when_an_attachment_goes(tmp_path: Path, backend: str, how: str) -> None:
    store = open_test_store(tmp_path, backend=backend)
    try:
        message = make_message(store, chat := make_chat(store))
        file = {"id": "f", "chatId": chat.id, "filename": "f", "filepath": "f", "mimeType": "text/plain", "size": 1}
        store.attachments.create(file)
        store.attachments.attach(message.id, ["f"])
        store.catch_up()
        store.attachments.delete("f") if how == "deleted" else store.attachments.attach(message.id, [])
        store.catch_up()
        files = files_below(store.settings.data_dir)
        told = json.loads(files["chats/index.jsonl"])["extras"]["log"]["bytes"]
        assert told == len(files[f"chats/{chat.id}.jsonl"])
    finally:
        store.close()
