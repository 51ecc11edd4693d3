"""Whole files, written by hand from the description of Quilltap's layout: Tandem has to write these very bytes."""

import json
from pathlib import Path

import pytest

from store.files.shelves import file_name
from tests.factories import files_below, open_test_store, put
from tests.quilltap_reader import read_folder
from tests.store.mapping.by_hand import InsertedRows, filled

ADA, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"
ELF, FOX = "cccccccc-0000-4000-8000-00000000000e", "cccccccc-0000-4000-8000-00000000000f"
ALICE, QUEEN = "dddddddd-0000-4000-8000-000000000001", "eeeeeeee-0000-4000-8000-00000000000b"
KING, PROFILE = "eeeeeeee-0000-4000-8000-00000000000a", "ffffffff-0000-4000-8000-000000000001"
CHAT, CHAT_2 = "99999999-0000-4000-8000-000000000001", "99999999-0000-4000-8000-000000000002"
IMAGE = "77777777-0000-4000-8000-000000000001"
DAY_1, DAY_2, DAY_3 = "2025-01-01 00:00:00.001", "2025-01-02 00:00:00.020", "2025-01-03 03:04:05.600"

_OWNED = {"userId": ADA, "createdAt": DAY_1, "updatedAt": DAY_2}
ROWS: InsertedRows = [
    (
        "users",
        {
            "id": ADA,
            "email": "ada@example.org",
            "emailVerified": f"{DAY_1}000",
            "passwordHash": "$2b$12$x/y",
            "totpSecret": "aa",
            "totpSecretIv": "bb",
            "totpSecretAuthTag": "cc",
            "totpEnabled": True,
            "backupCodes": "dd",
            "backupCodesIv": "ee",
            "backupCodesAuthTag": "ff",
            "createdAt": DAY_1,
            "updatedAt": DAY_2,
        },
    ),
    (
        "users",
        {"id": BOB, "email": "bob@example.org", "name": "", "totpSecretIv": "", "createdAt": DAY_2, "updatedAt": DAY_2},
    ),
    (
        "chat_settings",
        {
            "id": "12121212-0000-4000-8000-000000000001",
            "userId": BOB,
            "avatarDisplayMode": "GROUP_ONLY",
            "avatarDisplayStyle": "",
            "createdAt": DAY_3,
            "updatedAt": DAY_3,
        },
    ),
    ("tags", {**_OWNED, "id": FOX, "name": "Fox", "nameLower": "fox"}),
    ("tags", {**_OWNED, "id": ELF, "name": "Ëlf / \u2028", "nameLower": "ëlf / \u2028", "updatedAt": DAY_3}),
    ("tags", {**_OWNED, "id": "theme-1", "name": "Odd", "nameLower": "odd"}),
    ("tags", {**_OWNED, "id": "theme-0", "name": "Odder", "nameLower": "odder"}),
    ("images", {**_OWNED, "id": IMAGE, "filename": "", "filepath": "", "mimeType": "", "size": 1}),
    ("connection_profiles", {**_OWNED, "id": PROFILE, "name": "", "provider": "OLLAMA", "modelName": ""}),
    (
        "characters",
        {
            **_OWNED,
            "id": ALICE,
            "name": 'Alice "A" \\',
            "title": None,
            "description": "",
            "personality": "é 😀",
            "scenario": "line\nline\ttab",
            "firstMessage": "\x01\x7f",
            "exampleDialogues": "",
            "isFavorite": True,
            "sillyTavernData": "[1.0]",
            "defaultImageId": IMAGE,
        },
    ),
    ("personas", {**_OWNED, "id": QUEEN, "name": "Queen", "description": "", "sillyTavernData": '{"b": {}, "a": []}'}),
    ("personas", {**_OWNED, "id": KING, "name": "King", "description": ""}),
    ("character_personas", {"characterId": ALICE, "personaId": QUEEN, "isDefault": True}),
    ("character_personas", {"characterId": ALICE, "personaId": KING}),
    ("character_tags", {"id": "link 2", "characterId": ALICE, "tagId": ELF, "createdAt": DAY_2}),
    ("character_tags", {"id": "link 10", "characterId": ALICE, "tagId": FOX, "createdAt": DAY_2}),
    ("persona_tags", {"id": "link 3", "personaId": QUEEN, "tagId": FOX, "createdAt": DAY_1}),
    *(
        ("chats", {**_OWNED, "id": one, "characterId": ALICE, "connectionProfileId": PROFILE, "title": ""})
        for one in (CHAT, CHAT_2)
    ),
    (
        "chat_avatar_overrides",
        {"id": "override 2", "chatId": CHAT, "characterId": ALICE, "imageId": IMAGE, "createdAt": DAY_2},
    ),
    (
        "chat_avatar_overrides",
        {"id": "override 1", "chatId": CHAT_2, "characterId": ALICE, "imageId": IMAGE, "createdAt": DAY_2},
    ),
]
GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return filled(tmp_path_factory.mktemp("golden"), "", ROWS)


def test_every_file_is_as_it_was_written_by_hand(files: dict[str, bytes]) -> None:
    by_hand = files_below(GOLDEN)
    assert {path: files[path] for path in sorted(files)} == {path: by_hand[path] for path in sorted(by_hand)}


def test_a_json_file_ends_without_a_newline_and_a_line_with_one(files: dict[str, bytes]) -> None:
    ends = {path: data[-1:] for path, data in files.items()}
    assert {end for path, end in ends.items() if path.endswith(".json")} == {b"}"}
    assert ends["extras/tags.jsonl"] == b"\n"


def test_quilltap_reads_every_file(files: dict[str, bytes]) -> None:
    reading = read_folder(files)
    assert reading.refused == {}
    assert {kind: sorted(found) for kind, found in reading.records.items()} == {
        "user": [ADA, BOB],
        "tag": [ELF, FOX],
        "persona": sorted([QUEEN, KING]),
        "character": [ALICE],
    }


def test_the_files_written_by_hand_are_read_to_the_same_records(tmp_path: Path) -> None:
    """In json mode they are the truth; writing one record leaves every other file as it is."""
    for path, data in files_below(GOLDEN).items():
        put(tmp_path / "data", path, data)
    store = open_test_store(tmp_path, backend="json")
    try:
        alice = store.characters.find_by_id(ALICE)
        assert alice.value("sillyTavernData") == [json.loads("1.0")]
        assert alice.extras.tagLinks[0].id == "link 10"
        assert [one.chatId for one in alice.extras.avatarOverrides] == [CHAT_2, CHAT]
        assert store.users.find_by_id(BOB).value("totpSecretIv") == ""
        assert store.users.find_by_id(ADA).user.extras.syntheticChatSettings is True
        assert {tag.id for tag in store.tags.find_all()} == {ELF, FOX, "theme-0", "theme-1"}
        assert store.problems() == []
        store.personas.update(KING, {"name": "Kong", "updatedAt": "2025-01-02T00:00:00.020Z"})
        changed = files_below(tmp_path / "data")
        king = changed.pop(f"personas/{KING}.json")
        assert king == files_below(GOLDEN)[f"personas/{KING}.json"].replace(b"King", b"Kong")
        assert changed == {path: data for path, data in files_below(GOLDEN).items() if KING not in path}
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
