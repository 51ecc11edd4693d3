"""Exports in the dashboard: made, watched, cancelled, compared, taken back; who may do what."""

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from dashboard.jobs import Workshop
from store import Store
from store.jobs import DONE, FAILED, QUEUED, RUNNING, Advance
from store.tables import MODELS
from tests.dashboard.browsing import messages, resend, told, words
from tests.dashboard.entering import Visitor, a_tandem, make_account, token_in
from tests.factories import files_below, make_character, make_tag, put

PAGE = "/admin/exports/"


@pytest.fixture
def admin(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("admin")


def press(visitor: Visitor, path: str, page: str = PAGE, **fields: str) -> Any:
    """Send a form of the page, and look at what it leads to."""
    answer = visitor.post(path, {"csrf_token": token_in(visitor.get(page)), **fields})
    assert answer.status_code == 303, told(answer)
    return visitor.get(answer.location)


def export_now(visitor: Visitor) -> Any:
    return press(visitor, f"{PAGE}start", kind="export")


def spoil(store: Store, record_id: str, title: str = "by hand") -> None:
    """Change a character's file, so that an export has something to do: in dual mode the files follow by themselves."""
    put(store.settings.data_dir, f"characters/{record_id}.json", changed_title(store, record_id, title))


def changed_title(store: Store, record_id: str, title: str) -> str:
    record = json.loads((store.settings.data_dir / "characters" / f"{record_id}.json").read_bytes())
    return json.dumps({**record, "title": title})


def test_export_now_makes_a_generation_and_tells_every_model(admin: Visitor, store: Store) -> None:
    for name in ("Alice", "Bram"):
        character = make_character(store, name, tags=[make_tag(store, name).id])
    spoil(store, character.id)
    page = export_now(admin)
    assert "checked, and in use: gen-000001" in words(page.text)
    assert "Every record was read back" in page.text
    for model in MODELS:
        assert f">{model}</th>" in page.text
    assert re.search(r"Character 2 2 2 [\d.]+ (bytes|KiB) – all of them", words(page.text))
    assert "CharacterTag 2 2 in its record – – all of them" in words(page.text)
    index = words(admin.get(PAGE).text)
    assert "gen-000001 in use" in index
    assert "was there before" in index, "the folder that was there is kept as the first generation"
    assert store.settings.data_dir.is_symlink()
    again = export_now(admin)
    assert "Nothing to do: the files in use hold just this." in words(again.text)
    home = words(admin.get("/admin/").text)
    assert "Last export nothing to do" in home


def test_a_dry_run_tells_record_by_record_and_changes_nothing(admin: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    spoil(store, alice.id)
    before = files_below(store.settings.data_dir)
    page = press(admin, f"{PAGE}start", kind="dry-run")
    assert f"character {alice.id} changed" in words(page.text)
    assert "1 record would change." in words(page.text)
    assert files_below(store.settings.data_dir) == before
    assert not store.settings.data_dir.is_symlink()


def test_a_job_shows_how_far_it_is_and_is_cancelled(
    admin: Visitor, store: Store, tandem: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workshop, "start", lambda self, kind, given, by: store.jobs.start(kind, given, by))
    page = export_now(admin)
    assert "It waits until a worker is free." in page.text
    [job] = store.jobs.list()
    assert job.state == QUEUED
    again = export_now(admin)
    assert told(again)[0] == f"Export {job.id} is under way already; this is it."
    assert len(store.jobs.list()) == 1
    assert store.jobs._claim(job.id, "me")
    store.jobs._beat(job.id, "me", Advance("Writing messages", 1204, 9000, 0.25, 10.0, 120.0))
    part = admin.get(f"{PAGE}job?id={job.id}&part=1").text
    assert "<html" not in part
    assert "Writing messages 1,204 of 9,000 · 25 %" in words(part)
    assert "120 a second, about 30 seconds left" in part
    assert "data-live" in part
    assert 'value="0.25"' in part
    whole = admin.get(f"{PAGE}job?id={job.id}").text
    assert "1,204 of 9,000" in whole, "without scripts a reload shows it"
    assert "Look again" in whole
    assert "1,204 of 9,000" in admin.get(PAGE).text
    stopping = press(admin, f"{PAGE}cancel", id=str(job.id))
    assert told(stopping)[0] == f"Export {job.id} stops as soon as it can."
    assert store.jobs.get(job.id).cancel_requested
    assert f'action="{PAGE}cancel"' not in stopping.text
    store.jobs._finish(job, "me", {"state": "cancelled", "ended_at": "2026-01-01T00:00:00.000Z"})
    assert "was cancelled" in admin.get(f"{PAGE}job?id={job.id}").text
    assert "had ended" in told(press(admin, f"{PAGE}cancel", id=str(failed_job(store))))[0]


def failed_job(store: Store) -> int:
    asked = store.jobs.start("export", {}, "Ada")
    store.jobs._claim(asked.id, "me")
    ended = {"state": FAILED, "error": "The disk is full.", "hint": "Free some space."}
    store.jobs._finish(asked, "me", {**ended, "ended_at": "2026-01-01T00:00:00.000Z"})
    return asked.id


def test_a_failed_export_says_why_and_what_to_do(viewer: Visitor, store: Store) -> None:
    page = viewer.get(f"{PAGE}job?id={failed_job(store)}")
    assert told(page) == ["The disk is full. Free some space."]
    assert "The disk is full." in viewer.get(PAGE).text


def test_a_generation_is_downloaded_whole(admin: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    spoil(store, alice.id)
    export_now(admin)
    answer = admin.get(f"{PAGE}download?generation=gen-000001")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="tandem-gen-000001.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.data)) as archive:
        assert archive.testzip() is None
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed == files_below(store.settings.data_dir)
    assert f"characters/{alice.id}.json" in packed
    assert admin.get(f"{PAGE}download?generation=../../etc").status_code == 404


def test_a_roll_back_shows_first_what_would_be_other(admin: Visitor, store: Store) -> None:
    alice, bram = make_character(store, "Alice"), make_character(store, "Bram")
    spoil(store, alice.id)
    export_now(admin)
    spoil(store, alice.id)  # in the first generation
    (store.settings.data_dir / "characters" / f"{bram.id}.json").unlink()
    export_now(admin)
    assert (store.settings.data_dir / "characters" / f"{bram.id}.json").exists()
    page = admin.get(f"{PAGE}rollback?generation=gen-000001")
    text = words(page.text)
    assert "The database stays as it is." in text
    assert f"characters/{alice.id}.json" in page.text
    assert f"characters/{bram.id}.json" in page.text
    done = resend(admin, page, f"{PAGE}rollback", "generation")
    assert done.status_code == 303
    assert "gen-000001 is in use again." in words(admin.get(done.location).text)
    assert not (store.settings.data_dir / "characters" / f"{bram.id}.json").exists()
    assert "gen-000001 in use" in words(admin.get(PAGE).text)
    now = admin.get(f"{PAGE}rollback?generation=gen-000001")
    assert now.status_code == 303, "it is in use: there is nothing to compare"


def test_old_generations_are_deleted_in_the_background(admin: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    for _ in range(7):
        spoil(store, alice.id)
        export_now(admin)
    page = press(admin, f"{PAGE}prune")
    assert "2 generations deleted." in words(page.text)
    index = admin.get(PAGE).text
    assert '<strong class="mono">gen-000002<' not in index
    assert '<strong class="mono">gen-000007<' in index


def test_an_import_shows_its_plan_first(admin: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    spoil(store, alice.id, "Queen")
    form = f"{PAGE}import"
    plan = press(admin, form, form, merge="1")
    assert "1 changed" in plan.text
    assert store.characters.find_by_id(alice.id).title != "Queen"  # type: ignore[union-attr]
    done = resend(admin, plan, form, "confirmed")
    page = admin.get(done.location)
    assert "Imported: 0 new, 1 changed." in words(page.text)
    assert store.characters.find_by_id(alice.id).title == "Queen"  # type: ignore[union-attr]
    refused = press(admin, form, form)
    assert "The database holds records already." in told(refused)[0]


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_who_is_no_admin_looks_and_does_nothing(
    role: str, sign_in: Callable[[str], Visitor], admin: Visitor, store: Store
) -> None:
    spoil(store, make_character(store, "Alice").id)
    export_now(admin)
    job = store.jobs.last(("export",), (DONE,))
    assert job
    visitor = sign_in(role)
    page = visitor.get(PAGE)
    assert "gen-000001" in page.text
    for word in ("Export now", "Dry run", "Download", "Roll back…", "Import…"):
        assert word not in words(page.text), word
    assert visitor.get(f"{PAGE}job?id={job.id}").status_code == 200
    token = token_in(page)
    for path in ("start", "cancel", "rollback", "prune", "import"):
        answer = visitor.post(f"{PAGE}{path}", {"csrf_token": token, "kind": "export", "id": str(job.id)})
        assert answer.status_code == 403, path
    assert visitor.get(f"{PAGE}download?generation=gen-000001").status_code == 403
    assert visitor.get(f"{PAGE}rollback?generation=gen-000001").status_code == 403


def test_what_is_not_there_is_said_so(admin: Visitor, store: Store) -> None:
    validation = store.jobs.start("validate", {}, "Ada")
    for query in ("", "?id=", "?id=x", "?id=99", f"?id={validation.id}", f"?id={'9' * 30}", "?id=%00"):
        assert admin.get(f"{PAGE}job{query}").status_code == 404, query
    assert admin.post(f"{PAGE}start", {"csrf_token": token_in(admin.get(PAGE))}).status_code == 404
    assert admin.get(f"{PAGE}rollback?generation=gen-1").status_code == 404


def test_in_json_mode_there_is_nothing_to_export_to(tmp_path: Path, ready_sqlite_url: str) -> None:
    settings = {"DATABASE_URL": ready_sqlite_url, "DATA_DIR": str(tmp_path / "data"), "DATA_BACKEND": "json"}
    with a_tandem(tmp_path, **settings) as app:
        make_account(app, "Ada", "admin")
        visitor = Visitor(app)
        visitor.sign_in("Ada")
        page = visitor.get(PAGE)
        assert "Tandem works on the files here" in page.text
        assert "Export now" not in page.text
        answer = visitor.post(f"{PAGE}start", {"csrf_token": token_in(page), "kind": "export"})
        assert "The files are what counts here" in told(answer)[0]
        assert app.extensions["tandem_store"].jobs.list() == []


def test_a_job_that_runs_is_told_on_the_index(viewer: Visitor, store: Store) -> None:
    asked = store.jobs.start("export", {}, "Ada")
    store.jobs._claim(asked.id, "me")
    assert store.jobs.get(asked.id).state == RUNNING
    assert f"Export {asked.id}" in viewer.get(PAGE).text


def test_settings_name_a_wrong_queue_without_its_password(tmp_path: Path) -> None:
    from store.errors import SettingsError
    from store.settings import read_settings

    with pytest.raises(SettingsError, match="JOBS_QUEUE") as refused:
        read_settings({"JOBS_QUEUE": "amqp://ada:hunter2@example"}, tmp_path)
    assert "hunter2" not in refused.value.message


def test_messages_after_pressing_are_read(admin: Visitor, store: Store) -> None:
    asked = store.jobs.start("export", {}, "Ada")
    answer = admin.post(f"{PAGE}cancel", {"csrf_token": token_in(admin.get(PAGE)), "id": str(asked.id)})
    assert messages(admin, answer)[0] == f"Export {asked.id} is cancelled."
