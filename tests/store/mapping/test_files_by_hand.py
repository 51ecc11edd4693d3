"""Whole files, written by hand from the description of Quilltap's layout: Tandem has to write these very bytes."""

import json
from pathlib import Path

import pytest

from store.documents.base import derived_id
from store.files.shelves import file_name
from tests.factories import files_below, open_test_store, put
from tests.quilltap_reader import read_folder
from tests.store.mapping.by_hand import filled
from tests.store.mapping.golden_rows import (
    ADA,
    ALICE,
    BOB,
    CHAT,
    CHAT_2,
    ELF,
    FILE,
    FIRST,
    FOX,
    IMAGE,
    IMAGE_2,
    KEY,
    KING,
    OTHER_FILE,
    OTHER_SECOND,
    OVERRIDE,
    PAINTER,
    PROFILE,
    PROFILE_2,
    PUBLIC,
    QUEEN,
    ROWS,
    SECOND,
)

GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return filled(tmp_path_factory.mktemp("golden"), "", ROWS, PUBLIC)


def test_every_file_is_as_it_was_written_by_hand(files: dict[str, bytes]) -> None:
    by_hand = files_below(GOLDEN)
    assert {path: files[path] for path in sorted(files)} == {path: by_hand[path] for path in sorted(by_hand)}


def test_a_json_file_ends_without_a_newline_and_a_line_with_one(files: dict[str, bytes]) -> None:
    ends = {path: data[-1:] for path, data in files.items()}
    assert {end for path, end in ends.items() if path.endswith(".json")} == {b"}", b"]"}
    assert {end for path, end in ends.items() if path.endswith(".jsonl")} == {b"\n", b""}
    assert files[f"chats/{CHAT_2}.jsonl"] == b""


def test_quilltap_reads_every_file(files: dict[str, bytes]) -> None:
    reading = read_folder(files)
    assert reading.refused == {"chats/chat%2E1.jsonl": "line 1: record.id is no uuid"}
    assert {kind: sorted(found) for kind, found in reading.records.items()} == {
        "user": [ADA, BOB],
        "account": ["google 1", "google 2"],
        "session": ["session 1", "session 2"],
        "token": ["t 0", "t 1", "t 2"],
        "tag": [ELF, FOX],
        "key": [KEY],
        "profile": [PROFILE, PROFILE_2],
        "image_profile": [PAINTER],
        "image": [IMAGE, IMAGE_2],
        "persona": sorted([QUEEN, KING]),
        "character": [ALICE],
        "chat": [CHAT, CHAT_2],
        "attachment": [FILE, OTHER_FILE],
        "avatar": [OVERRIDE],
    }
    told = {chat: [event["id"] for event in events] for chat, events in reading.events.items()}
    assert told == {CHAT: [FIRST, SECOND, OTHER_SECOND], CHAT_2: [], "chat%2E1": []}


@pytest.mark.parametrize(
    ("path", "bad", "kinds"),
    [
        ("chats/index.jsonl", b'{"id":"x"}', {"chat"}),
        ("binaries/index.jsonl", b"{", {"image", "attachment", "avatar"}),
        (f"chats/{CHAT}.jsonl", b'{"type":"note","id":"' + FIRST.encode() + b'"}', set()),
    ],
)
def test_one_bad_line_hides_all_others_from_quilltap(
    files: dict[str, bytes], path: str, bad: bytes, kinds: set[str]
) -> None:
    """The reader of these tests is as harsh as Quilltap: otherwise it would prove nothing."""
    whole = read_folder(files)
    reading = read_folder({**files, path: files[path] + bad + b"\n"})
    assert path in reading.refused
    assert whole.records.keys() - reading.records.keys() == kinds
    assert {chat for chat, events in whole.events.items() if events != reading.events[chat]} == (
        set() if kinds else {CHAT}
    )
    assert path in read_folder({**files, path: files[path] + files[path].splitlines()[0]}).refused


def test_the_files_written_by_hand_are_read_to_the_same_records(tmp_path: Path) -> None:
    """In json mode they are the truth; writing one record leaves every other file as it is."""
    for path, data in files_below(GOLDEN).items():
        put(tmp_path / "data", path, data)
    for path, data in PUBLIC.items():
        put(tmp_path / "public", path, data)
    store = open_test_store(tmp_path, backend="json")
    try:
        alice = store.characters.find_by_id(ALICE)
        assert alice.value("sillyTavernData") == [json.loads("1.0")]
        assert alice.extras.tagLinks[0].id == "link 10"
        assert [one.chatId for one in alice.extras.avatarOverrides] == [CHAT, CHAT_2]
        assert store.users.find_by_id(BOB).value("totpSecretIv") == ""
        assert store.users.find_by_id(ADA).user.extras.syntheticChatSettings is True
        assert {tag.id for tag in store.tags.find_all()} == {ELF, FOX, "theme-0", "theme-1"}
        assert store.keys.find_by_id(KEY).userId == BOB
        assert store.profiles.find_by_id(PROFILE_2).value("parameters") == [json.loads("1.50")]
        assert store.images.find_by_id(IMAGE_2).value("source") == "scan"
        assert [one.tagId for one in store.images.find_by_id(IMAGE_2).extras.imageTags] == [
            ALICE,
            ALICE,
            "fantasy",
            KING,
        ]
        assert [one.id for one in store.chats.get_messages(CHAT)] == [FIRST, SECOND, OTHER_SECOND]
        assert store.chats.find_by_id("chat.1").messageCount == 1
        assert store.attachments.find_by_id(FILE).value("providerError") == ""
        assert {one.token for one in store.tokens.find_all()} == {"t 0", "t 1", "t 2"}
        assert store.problems() == []
        store.personas.update(KING, {"name": "Kong", "updatedAt": "2025-01-02T00:00:00.020Z"})
        changed = files_below(tmp_path / "data")
        king = changed.pop(f"personas/{KING}.json")
        assert king == files_below(GOLDEN)[f"personas/{KING}.json"].replace(b"King", b"Kong")
        assert changed == {path: data for path, data in files_below(GOLDEN).items() if KING not in path}
    finally:
        store.close()


def test_what_quilltap_leaves_out_is_understood(tmp_path: Path) -> None:
    """Its API keys name no owner, and NextAuth's accounts have no id."""
    hand = files_below(GOLDEN)
    connections = json.loads(hand["settings/connection-profiles.json"])
    del connections["apiKeys"][0]["extras"]
    accounts = json.loads(hand["auth/accounts.json"])
    del accounts[0]["id"]
    accounts[0]["oauth_token"] = "kept"
    hand["settings/connection-profiles.json"] = json.dumps(connections).encode()
    hand["auth/accounts.json"] = json.dumps(accounts).encode()
    hand["auth/verification-tokens.jsonl"] *= 2
    for path, data in hand.items():
        put(tmp_path / "data", path, data)
    store = open_test_store(tmp_path, backend="json")
    try:
        assert store.keys.find_by_id(KEY).userId == ADA
        account_id = derived_id("account", "google", "1")
        assert {one.id for one in store.accounts.find_all()} == {"account 10", account_id}
        store.accounts.update(account_id, {"scope": "less"})
        written = json.loads((tmp_path / "data/auth/accounts.json").read_bytes())[1]
        assert (written["id"], written["scope"], written["oauth_token"]) == (account_id, "less", "kept")
        told = [problem.message for problem in store.problems()]
        assert len(told) == 3
        assert all("verification token “" in one and "t 1" not in one for one in told)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("record_id", "name"),
    [
        (ALICE, ALICE),
        ("AZaz09_-", "AZaz09_-"),
        ("a.b", "a%2Eb"),
        ("..", "%2E%2E"),
        ("a/b\\c", "a%2Fb%5Cc"),
        ("~ %", "%7E%20%25"),
        ("é", "%C3%A9"),
        ("😀", "%F0%9F%98%80"),
        ("a:*?", "a%3A%2A%3F"),
    ],
)
def test_a_file_name_is_the_id_percent_encoded(record_id: str, name: str) -> None:
    assert file_name(record_id) == f"{name}.json"
