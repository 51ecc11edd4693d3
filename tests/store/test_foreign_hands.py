"""The files of the nasty database as another program may leave them: dates with an offset, keys in another order, keys
that nobody knows, no checksums. In ``json`` mode they are the same rows, and what nobody knows stays."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import Store
from tests import nasty
from tests.factories import (
    files_below,
    lay_database,
    make_chat,
    make_message,
    make_tag,
    make_user,
    open_test_store,
    put,
)
from tests.nasty_rows import ALICE, ELF, EVE, FILE, KEY, PAINTER_IN_SMALL, PICTURE, QUEEN, SAID, TEA, uid
from tests.quilltap_reader import parse, read_folder, spell, spell_line

pytestmark = pytest.mark.slow  # hundreds of records of every kind
FREE_FORM = ("sillyTavernData", "sillyTavernMetadata", "parameters", "rawResponse", "raw")
DATES = ("createdAt", "updatedAt", "lastMessageAt", "lastUsed", "emailVerified", "verifiedAt", "expires")
LATER = {"fromALaterQuilltap": {"b": True, "a": [None, "é", {}]}}
LATER_ON = "2099-01-01T00:00:00.000Z"
HOLDS_RECORDS = ("user", "chatSettings", "totp", "backupCodes", "apiKeys", "llmProfiles", "profiles", "tags")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[nasty.Row]]]:
    """A folder with the files Tandem writes and the bytes of images, and the rows they were made of."""
    folder = tmp_path_factory.mktemp("written")
    lay_database(folder / "quilltap.sqlite")
    nasty.fill(f"sqlite:///{folder / 'quilltap.sqlite'}", folder / "public")
    store = open_test_store(folder)
    store.fill_json_side()
    store.close()
    return folder, nasty.raw_rows(f"sqlite:///{folder / 'quilltap.sqlite'}")


def foreign(path: str, data: bytes) -> bytes:
    """The same records from another hand."""
    if path.endswith(".jsonl"):
        lines = [parse(line) for line in data.split(b"\n")[:-1]]
        return "".join(f"{spell_line(_other(one))}\n" for one in lines).encode()
    return f"{spell(_other(parse(data)))}\n".encode() if path.endswith(".json") else data


def _other(value: Any, *, known: bool = True) -> Any:
    """Keys the other way round, and in records one more."""
    if isinstance(value, list):
        return [_other(one, known=known) for one in value]
    if not isinstance(value, dict):
        return value
    turned: dict[str, Any] = dict(LATER) if known else {}
    for key in reversed(value):
        if key in DATES and value[key]:
            turned[key] = value[key].removesuffix("Z") + "+00:00"
        elif key not in FREE_FORM and key != "crc":
            turned[key] = _other(value[key], known=known and key in HOLDS_RECORDS)
        elif key != "crc":
            turned[key] = value[key]
    return {key: one for key, one in turned.items() if (key, one) != ("extras", {})}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, written: tuple[Path, Any]) -> Iterator[Store]:
    tmp_path = tmp_path_factory.mktemp("foreign")
    for path, data in files_below(written[0] / "data").items():
        put(tmp_path / "data", path, foreign(path, data))
    (tmp_path / "public").symlink_to(written[0] / "public")
    opened = open_test_store(tmp_path, backend="json")
    yield opened
    opened.close()


def rows_of(store: Store) -> dict[str, list[nasty.Row]]:
    """What `json` mode made of the files."""
    store.index.refresh(full=True)
    return nasty.raw_rows(f"sqlite:///{store.side.own_dir / 'index.sqlite'}")


def test_they_are_the_same_rows(store: Store, written: tuple[Path, dict[str, list[nasty.Row]]]) -> None:
    found = rows_of(store)
    for table, rows in written[1].items():
        assert [row for row in found[table] if row not in rows] == [], table
        assert len(found[table]) == len(rows)
    assert store.problems() == []


def unknown_keys(folder: Path) -> dict[str, int]:
    return {path: data.count(b"fromALaterQuilltap") for path, data in files_below(folder).items() if data}


def test_an_edit_of_every_kind_keeps_what_nobody_knows(store: Store) -> None:
    before, rows = unknown_keys(store.settings.data_dir), rows_of(store)
    ordinary = next(row["id"] for row in rows["connection_profiles"] if not row["isDefault"])  # of defaults one is left
    edits: dict[str, tuple[str, str, dict[str, Any]]] = {
        "user": ("users", EVE, {"name": "Countess"}),
        "account": ("accounts", uid("accounts", 1000), {"scope": "less"}),
        "session": ("sessions", "s0", {"expires": "2030-01-01T00:00:00.000Z"}),
        "token": ("verification_tokens", "v9", {"expires": "2030-01-01T00:00:00.000Z"}),
        "tag": ("tags", ELF, {"name": "Ent", "nameLower": "ent"}),
        "key": ("api_keys", KEY, {"label": "Second"}),
        "profile": ("connection_profiles", ordinary, {"modelName": "n"}),
        "image_profile": ("image_profiles", PAINTER_IN_SMALL, {"modelName": "n"}),
        "image": ("images", PICTURE, {"filename": "other.png"}),
        "persona": ("personas", QUEEN, {"title": "Majesty"}),
        "character": ("characters", ALICE, {"title": "Dr"}),
        "chat": ("chats", TEA, {"title": "Supper"}),
        "attachment": ("chat_files", FILE, {"filename": "other.txt"}),
    }
    for kind, (_, record_id, fields) in edits.items():
        store.repositories[kind].update(record_id, fields)
    store.chats.update_message(SAID[9], {"content": "Listen!"})
    edits["message"] = ("messages", SAID[9], {"content": "Listen!"})
    assert unknown_keys(store.settings.data_dir) == before
    assert store.problems() == []
    after = rows_of(store)
    changed = {table: [row for row in after[table] if row not in rows[table]] for table in after}
    assert {table: len(found) for table, found in changed.items() if found} == {one[0]: 1 for one in edits.values()}
    for table, record_id, fields in edits.values():
        (row,) = changed[table]
        assert row[nasty.key_of(table)[0]] == record_id
        assert {row[name] for name in fields if name != "expires"} <= set(fields.values())


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Store]:
    """A store of the test's own, without a record."""
    opened = open_test_store(tmp_path, backend="json")
    yield opened
    opened.close()


@pytest.mark.parametrize("spelled", ["2025-01-01T00:00:00.000+00:00", "2024-12-31T23:00:00.000-05:00"])
def test_the_oldest_user_stays_in_the_file_that_quilltap_reads(small: Store, spelled: str) -> None:
    """However the others' dates are spelled: two of one moment are told apart by their ids."""
    ada, bob = (make_user(small, id=uid("users", n), createdAt="2025-01-01T00:00:00.000Z") for n in (1, 2))
    path = small.settings.data_dir / f"settings/users/{bob.id}.json"
    path.write_text(path.read_text().replace("2025-01-01T00:00:00.000Z", spelled))
    small.users.update(ada.id, {"name": "Countess"})
    assert ada.id in (small.settings.data_dir / "settings/general.json").read_text()
    assert path.exists()


def test_a_message_that_another_program_appended_is_seen_at_once(small: Store) -> None:
    """As every other record is: appending changes no folder, so only a look at the file itself tells."""
    chat = make_chat(small)
    make_message(small, chat, "one")
    small.catch_up()
    time.sleep(0.1)  # the folder has settled
    assert [one.content for one in small.chats.get_messages(chat.id)] == ["one"]
    event = {"type": "message", "id": uid("messages", 1), "role": "USER", "content": "two", "createdAt": LATER_ON}
    with open(small.settings.data_dir / f"chats/{chat.id}.jsonl", "a") as file:
        file.write(f"{json.dumps(event)}\n")
    assert [one.content for one in small.chats.get_messages(chat.id)] == ["one", "two"]


@pytest.mark.parametrize("kind", ["chat", "tag"])
def test_a_file_that_is_written_anew_is_one_that_quilltap_reads(small: Store, kind: str) -> None:
    """A date with an offset has a spelling that it takes, and hides all others until it has it."""
    make = {"chat": make_chat, "tag": make_tag}[kind]
    dated, other = make(small, createdAt="2025-01-01T00:00:00.000Z"), make(small, "Other")
    path = small.settings.data_dir / {"chat": "chats/index.jsonl", "tag": "tags/tags.json"}[kind]
    path.write_text(path.read_text().replace("2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000+00:00"))
    small.repositories[kind].update(other.id, {{"chat": "title", "tag": "name"}[kind]: "New"})
    reading = read_folder(files_below(small.settings.data_dir))
    assert reading.refused == {}
    assert set(reading.records[kind]) == {dated.id, other.id}
