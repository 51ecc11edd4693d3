"""The same SQL state gives the same bytes, whichever database holds it and in whatever order its rows were written."""

import json
from pathlib import Path

import pytest

from tests.factories import files_below, open_test_store
from tests.store.mapping import golden_rows
from tests.store.mapping.by_hand import InsertedRows, filled

ADA, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "user-123"
ELF, FOX, ODD = "cccccccc-0000-4000-8000-000000000001", "cccccccc-0000-4000-8000-000000000002", "tag/ü"
ALICE, EVE = "dddddddd-0000-4000-8000-000000000001", "Eve.json"
QUEEN, KING = "eeeeeeee-0000-4000-8000-00000000000b", "eeeeeeee-0000-4000-8000-00000000000a"
EARLY, LATE = "2024-12-31 23:59:59.999", "2025-02-03 04:05:06.100"

# As a person would type it: JSON in any order and spelling, dates with a space, what has a default left out.
DATA = r"""{"b": 1.0, "a": [1, 0.1234567890123456789012, 18446744073709551616], "": null, "é": "\u2028",
    "zz": 1, "zz": 2, "aaa": {"y": 1.50, "x": 1e3}}"""
ROWS: InsertedRows = [
    ("users", {"id": BOB, "email": "bob@localhost", "createdAt": LATE, "updatedAt": LATE, "totpSecret": "aa"}),
    ("users", {"id": ADA, "email": "ada@example.org", "createdAt": EARLY, "updatedAt": LATE, "name": "Ada 😀"}),
    ("chat_settings", {"id": "settings 1", "userId": BOB, "createdAt": EARLY, "updatedAt": LATE}),
    ("tags", {"id": FOX, "userId": ADA, "name": "Fox", "nameLower": "fox", "createdAt": LATE, "updatedAt": LATE}),
    ("tags", {"id": ELF, "userId": ADA, "name": "Elf", "nameLower": "elf", "createdAt": LATE, "updatedAt": LATE}),
    ("tags", {"id": ODD, "userId": ADA, "name": "Ü", "nameLower": "ü", "createdAt": EARLY, "updatedAt": LATE}),
    (
        "personas",
        {"id": QUEEN, "userId": ADA, "name": "Queen", "description": "", "createdAt": LATE, "updatedAt": LATE},
    ),
    (
        "personas",
        {"id": KING, "userId": ADA, "name": "K\u2028", "description": "\n", "createdAt": LATE, "updatedAt": LATE},
    ),
    *(
        (
            "characters",
            {
                "id": record_id,
                "userId": ADA,
                "name": record_id,
                **dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "\ttext"),
                "sillyTavernData": free_form,
                "createdAt": EARLY,
                "updatedAt": LATE,
            },
        )
        for record_id, free_form in ((ALICE, DATA), (EVE, "null"))
    ),
    ("character_personas", {"characterId": ALICE, "personaId": QUEEN}),
    ("character_personas", {"characterId": ALICE, "personaId": KING}),
    ("character_tags", {"id": "2", "characterId": ALICE, "tagId": ELF, "createdAt": LATE}),
    ("character_tags", {"id": "10", "characterId": ALICE, "tagId": ODD, "createdAt": LATE}),
    ("character_tags", {"id": "3", "characterId": ALICE, "tagId": FOX, "createdAt": EARLY}),
    ("persona_tags", {"id": "1", "personaId": KING, "tagId": ELF, "createdAt": LATE}),
]


@pytest.fixture
def on_sqlite(tmp_path: Path) -> dict[str, bytes]:
    return filled(tmp_path / "sqlite", "", ROWS)


def test_both_databases_give_the_same_files(
    tmp_path: Path, on_sqlite: dict[str, bytes], ready_postgres_url: str
) -> None:
    assert filled(tmp_path / "postgresql", ready_postgres_url, ROWS) == on_sqlite
    assert set(on_sqlite) == {
        f"characters/{ALICE}.json",
        "characters/Eve%2Ejson.json",
        "extras/tags.jsonl",
        f"personas/{KING}.json",
        f"personas/{QUEEN}.json",
        "settings/general.json",
        "settings/users/user-123.json",
        "tags/tags.json",
    }


def backwards(rows: InsertedRows) -> InsertedRows:
    """The rows of each table the other way round."""
    tables = list(dict.fromkeys(table for table, _ in rows))
    return [row for name in tables for row in reversed([one for one in rows if one[0] == name])]


def test_the_order_of_inserts_changes_no_byte(tmp_path: Path, on_sqlite: dict[str, bytes]) -> None:
    assert backwards(ROWS) != ROWS
    assert filled(tmp_path / "backwards", "", backwards(ROWS)) == on_sqlite


def test_on_postgresql_every_kind_of_file_is_as_it_was_written_by_hand(tmp_path: Path, ready_postgres_url: str) -> None:
    """Test_files_by_hand shows the same of SQLite."""
    files = filled(tmp_path, ready_postgres_url, backwards(golden_rows.ROWS), golden_rows.PUBLIC)
    assert files == files_below(Path(__file__).with_name("golden"))


def test_filling_again_changes_no_byte(tmp_path: Path, on_sqlite: dict[str, bytes]) -> None:
    again = open_test_store(tmp_path / "sqlite")
    with again.database.write() as connection:
        again.outbox.mark_everything(connection, again.repositories)
    again.outbox.apply()
    assert files_below(again.settings.data_dir) == on_sqlite
    again.close()


def test_what_was_typed_is_what_the_file_says(on_sqlite: dict[str, bytes]) -> None:
    alice = on_sqlite[f"characters/{ALICE}.json"].decode()
    assert json.loads(alice)["personaLinks"] == [
        {"personaId": KING, "isDefault": False},
        {"personaId": QUEEN, "isDefault": False},
    ]
    assert json.loads(alice)["tags"] == [FOX, ODD, ELF]
    shown = alice[alice.index('"sillyTavernData"') : alice.index('"isFavorite"')]
    wanted = """"sillyTavernData": {
    "": null,
    "a": [
      1,
      0.1234567890123456789012,
      18446744073709551616
    ],
    "aaa": {
      "x": 1000,
      "y": 1.50
    },
    "b": 1.0,
    "zz": 2,
    "é": "\u2028"
  },
  """
    assert shown == wanted
    assert json.loads(on_sqlite["characters/Eve%2Ejson.json"])["extras"] == {"raw": {"sillyTavernData": None}}
