"""Home tells both sides at a glance and what waits; every complaint of the store is a sentence with a next step."""

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from store import Store
from store.tables import MODELS
from tests.dashboard.browsing import messages, names_listed, resend, submit, told, words
from tests.dashboard.entering import Visitor, a_tandem, make_account
from tests.factories import make_character, make_tag, make_user, open_test_store, put

FETCH = {"Accept": "*/*", "Sec-Fetch-Mode": "cors"}


def test_home_is_there_at_once_and_asks_for_the_counts_afterwards(viewer: Visitor, store: Store) -> None:
    make_user(store)
    text = viewer.get("/admin/").text
    assert "Nothing waits" in text
    assert 'data-load="/admin/counts"' in text
    assert "here, DATA_BACKEND=dual" in text
    assert text.count("<h1") == 1


def test_the_counts_tell_all_23_models_on_both_sides(viewer: Visitor, store: Store) -> None:
    tag = make_tag(store)
    for name in ("Alice", "Bram"):
        make_character(store, name, tags=[tag.id])
    fragment = viewer.get("/admin/counts", headers=FETCH).text
    assert "<html" not in fragment
    for model in MODELS:
        assert f">{model}<" in fragment
    assert "Character 2 2 equal" in words(fragment)
    assert "CharacterTag 2 2 equal" in words(fragment)
    assert "<html" in viewer.get("/admin/counts").text, "without scripts it is a page"


def test_the_palette_finds_pages_and_records(viewer: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    found = viewer.get("/admin/jump?q=alice", headers=FETCH).get_json()["results"]
    assert [(one["title"], one["kind"]) for one in found] == [("Alice", "character")]
    assert alice.id in found[0]["url"]
    assert "Characters" in [one["title"] for one in viewer.get("/admin/jump?q=", headers=FETCH).get_json()["results"]]


def test_an_unreadable_file_does_not_stop_a_change_and_is_told_everywhere(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    put(store.settings.data_dir, f"characters/{alice.id}.json", "{ not json")
    response = submit(editor, f"/admin/characters/edit/?id={alice.id}", title="Queen")
    saved, warning = messages(editor, response)
    assert saved == "Saved “Alice”."
    assert warning.startswith("It is saved in the database, but the JSON side could not follow yet:")
    assert f"{alice.id}.json" in warning
    assert store.characters.find_by_id(alice.id).title == "Queen"  # type: ignore[union-attr]
    home = editor.get("/admin/").text
    assert "1 record waits for the JSON side" in words(home)
    assert f"{alice.id}.json" in home
    details = editor.get(f"/admin/characters/details/?id={alice.id}").text
    assert "Waiting for the JSON side" in details


def test_two_sides_that_were_never_brought_together_are_told_with_a_button(tmp_path: Path, sqlite_url: str) -> None:
    before = open_test_store(tmp_path, sqlite_url, "sql")
    make_character(before, "Alice")
    before.close()
    settings = {"DATABASE_URL": sqlite_url, "DATA_DIR": str(tmp_path / "data")}
    with a_tandem(tmp_path, **settings) as app:
        editor = signed_in(app, "editor")
        page = editor.get("/admin/")
        assert "The database holds records, the JSON side none." in page.text
        done = resend(editor, page, "/admin/fill/", "csrf_token")
        assert messages(editor, done) == ["The JSON side is written. From now on both sides are kept equal."]
        assert list((tmp_path / "data" / "characters").glob("*.json"))
        assert "Nothing waits" in editor.get("/admin/").text
        again = resend(editor, page, "/admin/fill/", "csrf_token")
        assert messages(editor, again)[0].startswith("The JSON side holds records by now.")


def test_a_viewer_is_not_offered_to_write_the_json_side(tmp_path: Path, sqlite_url: str) -> None:
    before = open_test_store(tmp_path, sqlite_url, "sql")
    make_character(before, "Alice")
    before.close()
    with a_tandem(tmp_path, DATABASE_URL=sqlite_url, DATA_DIR=str(tmp_path / "data")) as app:
        text = signed_in(app, "viewer").get("/admin/").text
        assert "The database holds records" in text
        assert "/admin/fill/" not in text


def test_without_a_user_home_offers_to_make_one(editor: Visitor, viewer: Visitor) -> None:
    assert 'href="/admin/users/new/"' in editor.get("/admin/").text
    assert 'href="/admin/users/new/"' not in viewer.get("/admin/").text


def test_a_database_that_does_not_answer_is_a_page_with_a_next_step(viewer: Visitor, store: Store) -> None:
    with store.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE characters RENAME TO elsewhere")
    page = viewer.get("/admin/characters/")
    assert page.status_code == 503
    assert "SELECT" not in page.text, "no driver text on the screen"
    assert "no such table" not in page.text
    assert "Check DATABASE_URL and that the database runs" in told(page)[0]


def test_one_side_alone_is_told_so(tmp_path: Path, sqlite_url: str) -> None:
    settings = {"DATABASE_URL": sqlite_url, "DATA_DIR": str(tmp_path / "data")}
    for backend, sentence in (("sql", "the database alone"), ("json", "goes to the JSON files first")):
        with a_tandem(tmp_path, DATA_BACKEND=backend, **settings) as app:
            account = f"a-{backend}-viewer"
            make_account(app, account, "viewer")
            visitor = Visitor(app)
            visitor.sign_in(account)
            text = visitor.get("/admin/").text
            assert sentence in text
            assert f"DATA_BACKEND={backend}" in text


def test_a_file_that_cannot_be_read_hides_no_neighbour(tmp_path: Path, sqlite_url: str) -> None:
    settings = {"DATABASE_URL": sqlite_url, "DATA_DIR": str(tmp_path / "data"), "DATA_BACKEND": "json"}
    with a_tandem(tmp_path, **settings) as app:
        store = app.extensions["tandem_store"]
        alice, _bram = make_character(store, "Alice"), make_character(store, "Bram")
        put(tmp_path / "data", f"characters/{alice.id}.json", "{ not json")
        editor = signed_in(app, "editor")
        assert names_listed(editor.get("/admin/characters/")) == ["Bram"]
        refused = editor.get(f"/admin/characters/edit/?id={alice.id}")
        assert refused.status_code == 503
        assert f"{alice.id}.json" in told(refused)[0]
        assert "Mend the file or move it out of the folder" in told(refused)[0]
        assert f"{alice.id}.json" in editor.get("/admin/").text


def signed_in(app: Flask, role: str) -> Visitor:
    make_account(app, f"the-{role}", role)
    visitor = Visitor(app)
    visitor.sign_in(f"the-{role}")
    return visitor


def test_the_database_address_is_never_shown(sign_in: Callable[[str], Visitor], store: Store) -> None:
    text = sign_in("admin").get("/admin/").text
    assert "sqlite:" not in text
    assert "SQLite" in text
