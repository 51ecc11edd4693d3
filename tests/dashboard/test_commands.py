"""The command line: cards, the demo library, capture. The same functions as the pages, and the same sentences."""

import json
from pathlib import Path

import pytest
from click.testing import Result
from flask import Flask

from store import Store
from store.cards import read_card
from tests.crash.reader import differences, read_sql
from tests.dashboard.test_cards import card
from tests.factories import files_below, make_character, make_image, make_user
from tests.store.cards.making import make_card_png, make_v2


def call(tandem: Flask, *words: str) -> Result:
    return tandem.test_cli_runner().invoke(args=list(words))


def test_cards_are_imported_and_a_broken_one_stops_no_other(tandem: Flask, store: Store, tmp_path: Path) -> None:
    make_user(store)
    for name, data in (
        ("a", card("Lyra", "Elf")),
        ("b", b"no card"),
        ("c", card("Bram", "elf")),
        ("d", card("Bram", "elf")),
    ):
        (tmp_path / name).write_bytes(data)
    told = call(tandem, "cards", "import", *(str(tmp_path / name) for name in "abcde"))
    assert told.exit_code == 1
    assert "a: “Lyra” (V2), Elf (new)." in told.stdout
    assert "d: the same as c, left out." in told.stdout
    assert "2 files failed." in told.stdout
    assert "b " in told.stderr
    assert "cannot be opened" in told.stderr
    assert sorted(one.name for one in store.characters.find_all()) == ["Bram", "Lyra"]
    assert [tag.name for tag in store.tags.find_all()] == ["Elf"]


def test_a_card_is_exported_with_its_picture_and_overwrites_nothing(
    tandem: Flask, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_user(store)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").write_bytes(make_card_png(chara=make_v2(name="Lyra", tags=["Elf"])))
    assert call(tandem, "cards", "import", "a.png").exit_code == 0
    (character,) = store.characters.find_all()
    assert character.defaultImageId is not None
    told = call(tandem, "cards", "export", character.id)
    assert (told.exit_code, told.stdout) == (0, "Wrote Lyra.png.\n")
    card_ = read_card((tmp_path / "Lyra.png").read_bytes(), "Lyra.png")
    assert (card_.fields["name"], card_.tags, card_.image is not None) == ("Lyra", ["Elf"], True)
    again = call(tandem, "cards", "export", character.id)
    assert (again.exit_code, again.stdout) == (1, "")
    assert "There is a file Lyra.png already." in again.stderr
    assert call(tandem, "cards", "export", character.id, "--format", "json", "--output", "b.json").exit_code == 0
    assert json.loads((tmp_path / "b.json").read_bytes())["data"]["name"] == "Lyra"
    piped = call(tandem, "cards", "export", character.id, "--format", "json", "--output", "-")
    assert piped.stdout_bytes == (tmp_path / "b.json").read_bytes()
    assert call(tandem, "cards", "export", character.id, "--output", "no/such/folder").exit_code == 1


def test_who_is_not_there_or_has_no_picture_is_told_of(
    tandem: Flask, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = call(tandem, "cards", "export", "nobody")
    assert told.exit_code == 1
    assert "There is no character nobody." in told.stderr
    character = make_character(store, "Lyra", defaultImageId=make_image(store).id)
    told = call(tandem, "cards", "export", character.id)
    assert told.exit_code == 0
    assert "The picture of “Lyra” is missing" in told.stderr


def test_a_dry_run_imports_nothing(tandem: Flask, store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(card("Lyra"))
    told = call(tandem, "cards", "import", "--dry-run", "--user", "mira@example.org", str(tmp_path / "a"))
    assert told.exit_code == 0
    assert "1 cards would be imported" in told.stdout
    assert store.characters.find_all() == []
    assert store.users.find_all() == []


def test_an_import_needs_somebody_the_cards_belong_to(tandem: Flask, store: Store, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(card("Lyra"))
    told = call(tandem, "cards", "import", str(tmp_path / "a"))
    assert told.exit_code == 1
    assert "There is no user yet" in told.stderr
    assert call(tandem, "cards", "import", "--user", "mira@example.org", str(tmp_path / "a")).exit_code == 0
    assert store.users.find_by_email("mira@example.org") is not None


def test_the_demo_library_is_loaded_once_and_lies_on_both_sides(
    tandem: Flask, store: Store, sqlite_url: str, tmp_path: Path
) -> None:
    assert "Loaded 28 records." in call(tandem, "demo", "load").stdout
    assert "there already" in call(tandem, "demo", "load").stdout
    store.catch_up()  # also what the lines of chats say about their messages
    assert differences(read_sql(sqlite_url), files_below(tmp_path / "data")) == []


def test_capture_can_be_looked_at_and_switched(tandem: Flask, store: Store) -> None:
    assert "Capture is on." in call(tandem, "data", "capture", "status").stdout
    assert "gone" in call(tandem, "data", "capture", "off").stdout
    assert "Capture is off." in call(tandem, "data", "capture", "status").stdout
    assert "triggers were put in place" in call(tandem, "data", "capture", "on").stdout
    status = call(tandem, "data", "capture", "status").stdout
    assert "Capture is on." in status


@pytest.mark.parametrize("group", ["accounts", "cards", "data", "demo", "jobs"])
def test_every_command_explains_itself(tandem: Flask, group: str) -> None:
    told = call(tandem, group, "--help")
    assert told.exit_code == 0
    assert "Commands:" in told.stdout
    names = [line.split()[0] for line in told.stdout.partition("Commands:")[2].splitlines() if line.strip()]
    for name in names:
        assert call(tandem, group, name, "--help").exit_code == 0


def test_a_list_of_accounts_as_json_is_one_object_and_nothing_else(tandem: Flask) -> None:
    assert json.loads(call(tandem, "accounts", "list", "--json").stdout) == {"accounts": []}
