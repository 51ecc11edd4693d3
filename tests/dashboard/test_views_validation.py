"""Validation in the dashboard: both sides compared, a difference shown down to its characters, repaired either way."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dashboard.findings import Findings, bar, trend
from dashboard.views.marking import both_marked
from dashboard.views.marking import told as value_told
from store import Store
from store.jobs import DONE, Job, Outcome
from store.secrets import API_KEY, Secrets
from store.tables import MODELS
from store.validation.report import Dangling, Difference, ModelCount, Rejected, Report, Unreadable
from tests.dashboard.browsing import form_in, messages, resend, told, words
from tests.dashboard.entering import Visitor, token_in
from tests.dashboard.test_views_exports import press
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    make_character,
    make_key,
    make_session,
    make_tag,
    make_user,
    put,
)

PAGE = "/admin/validation/"


@pytest.fixture
def admin(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("admin")


def validate_now(visitor: Visitor, **fields: Any) -> Any:
    return press(visitor, f"{PAGE}start", page=PAGE, **fields)


def edit(store: Store, path: str, **changes: Any) -> None:
    """Change a file by hand."""
    file = store.settings.data_dir / path
    file.write_text(json.dumps({**json.loads(file.read_bytes()), **changes}, ensure_ascii=False))


def damaged(store: Store) -> str:
    """A character whose file says something else than the database; its id."""
    alice = make_character(store, "Alice", title="A quiet library")
    make_character(store, "Bram")
    edit(store, f"characters/{alice.id}.json", title="A quirt library")
    return alice.id


def last(store: Store) -> Job:
    found = store.jobs.last(("validate", "quick-validate", "repair"), (DONE,))
    assert found
    return found


# ---------------------------------------------------------------------- looking


def test_two_equal_sides_are_told_so_model_by_model(editor: Visitor, store: Store) -> None:
    make_character(store, "Alice", tags=[make_tag(store).id])
    page = validate_now(editor)
    assert "Both sides hold the same." in page.text
    for model in MODELS:
        assert f">{model}</th>" in page.text
    assert 'aria-label="CharacterTag: 1 equal"' in page.text
    assert "Repair" not in page.text
    assert "Last validation everything equal" in words(editor.get("/admin/").text)


def test_a_difference_is_followed_down_to_its_characters(editor: Visitor, store: Store) -> None:
    alice = damaged(store)
    report = validate_now(editor)
    job = last(store)
    assert "1 different" in words(report.text)
    assert "Last validation 1 row not equal" in words(editor.get("/admin/").text)
    model = editor.get(f"{PAGE}model?id={job.id}&model=Character")
    assert alice in model.text
    assert f"{alice} Alice different title" in words(model.text)
    record = editor.get(f"{PAGE}record?id={job.id}&row=0")
    assert "A qui<mark>e</mark>t library" in record.text
    assert "A qui<mark>r</mark>t library" in record.text
    assert f"/admin/characters/details/?id={alice}" in record.text
    assert f"different {alice} Alice" in words(record.text)


def test_some_models_and_a_quick_look(editor: Visitor, store: Store) -> None:
    damaged(store)
    only = validate_now(editor, model=["Tag", "Persona", "Nonsense"])
    assert "Only these models were looked at: Tag, Persona." in only.text or "Persona, Tag" in only.text
    assert "Both sides hold the same." in only.text
    quick = validate_now(editor, quick="1")
    assert last(store).kind == "quick-validate"
    assert "Counts and links were looked at" in quick.text


def test_a_secret_is_said_to_differ_and_never_shown(admin: Visitor, store: Store) -> None:
    key = make_key(store, "Main", "sk-hunter2")
    session = make_session(store, sessionToken="a-token-of-hunter2")
    path = store.settings.data_dir / "settings" / "connection-profiles.json"
    stored = str(key.ciphertext)
    broken = stored[:-2] + ("00" if stored[-2:] != "00" else "11")
    path.write_text(path.read_text().replace(stored, broken))
    sessions = store.settings.data_dir / "auth" / "sessions.jsonl"
    sessions.write_text(sessions.read_text().replace("a-token-of-hunter2", "another-of-hunter2"))
    validate_now(admin)
    job = last(store)
    rows = Findings(Report.from_json(store.jobs.result(job.id) or {})).rows
    pages = [admin.get(f"{PAGE}job?id={job.id}")]
    pages += [admin.get(f"{PAGE}{page}?id={job.id}&model={one}") for page, one in (("model", "ApiKey"),)]
    pages += [admin.get(f"{PAGE}record?id={job.id}&row={row.number}") for row in rows]
    pages += [admin.get(f"{PAGE}report?id={job.id}&format={form}") for form in ("json", "text")]
    assert {(row.model, row.id) for row in rows} >= {("ApiKey", key.id), ("Session", session.id)}
    assert "It is a secret: both sides have different ones." in words(pages[2].text)
    for page in pages:
        assert page.status_code == 200
        for secret in (stored, broken, "hunter2"):
            assert secret not in page.text


def test_a_viewer_does_not_learn_which_secrets_can_be_read(viewer: Visitor, editor: Visitor, store: Store) -> None:
    user = make_user(store)
    parts = Secrets("another pepper, as long as a pepper has to be").encrypt(user.id, "sk-hunter2").spelled(API_KEY)
    key = make_key(store, "Foreign", userId=user.id, **parts)
    validate_now(editor)
    validate_now(editor)
    job = last(store)
    pages = (PAGE, f"{PAGE}job?id={job.id}", *(f"{PAGE}report?id={job.id}&format={form}" for form in ("json", "text")))
    told = [editor.get(page).text for page in pages]
    assert "2 secrets not decrypted" in words(told[0])
    assert "Validation 1: 2 wrong" in told[0]
    assert all(key.id in one for one in told[1:])
    for page in pages:
        text = viewer.get(page).text
        assert key.id not in text
        assert "decrypt" not in text
        assert ": 2 wrong" not in text


def test_a_file_that_cannot_be_read_is_named_with_its_line(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    put(store.settings.data_dir, f"characters/{alice.id}.json", "{ not json")
    page = validate_now(editor)
    job = last(store)
    assert "1 unreadable" in words(page.text)
    model = words(editor.get(f"{PAGE}model?id={job.id}&model=Character").text)
    assert "unreadable" in model
    [row] = Findings(Report.from_json(store.jobs.result(job.id) or {})).of_model("Character")
    record = editor.get(f"{PAGE}record?id={job.id}&row={row.number}")
    assert f"characters/{alice.id}.json" in record.text


def test_a_report_is_kept_as_json_and_as_text(viewer: Visitor, editor: Visitor, store: Store) -> None:
    alice = damaged(store)
    validate_now(editor)
    job = last(store)
    as_json = viewer.get(f"{PAGE}report?id={job.id}&format=json")
    assert as_json.headers["Content-Disposition"] == f'attachment; filename="tandem-validation-{job.id}.json"'
    report = as_json.get_json()
    assert [(one["model"], one["id"], one["field"]) for one in report["differences"]] == [("Character", alice, "title")]
    text = viewer.get(f"{PAGE}report?id={job.id}&format=text").text
    assert text.splitlines()[-4].startswith("Total Checked: ")


def test_the_history_has_a_trend(viewer: Visitor, editor: Visitor, store: Store) -> None:
    validate_now(editor)
    damaged(store)
    validate_now(editor)
    page = viewer.get(PAGE).text
    assert "What each of the last 2 validations found wrong" in page
    assert "Validation 1: 0 wrong" in page
    assert "Validation 2: 1 wrong" in page
    assert "Validate now" not in page


def test_what_is_not_there_is_said_so(editor: Visitor, store: Store) -> None:
    validate_now(editor)
    job = last(store).id
    for path in ("job", "model", "record", "report"):
        for query in ("", "?id=x", "?id=99"):
            assert editor.get(f"{PAGE}{path}{query}").status_code == 404, path
    assert editor.get(f"{PAGE}record?id={job}&row=5").status_code == 404
    assert editor.get(f"{PAGE}record?id={job}&row=-1").status_code == 404
    assert editor.get(f"{PAGE}model?id={job}&model=Nonsense").status_code == 404
    assert "All rows of it are equal." in editor.get(f"{PAGE}model?id={job}&model=Tag").text
    asked = store.jobs.start("validate", {}, "Ada")
    assert editor.get(f"{PAGE}report?id={asked.id}").status_code == 404


# ---------------------------------------------------------------------- repairing


@pytest.mark.parametrize(("source", "title"), [("sql", "A quiet library"), ("json", "A quirt library")])
def test_a_record_is_repaired_from_either_side_after_its_plan_was_shown(
    admin: Visitor, store: Store, source: str, title: str
) -> None:
    alice = damaged(store)
    validate_now(admin)
    job = last(store)
    record = admin.get(f"{PAGE}record?id={job.id}&row=0")
    before = files_below(store.settings.data_dir)
    plan = admin.post(f"{PAGE}plan", form_in(record, "row") | {"source": source})
    assert plan.status_code == 200, told(plan)
    assert alice in plan.text
    assert ("in the files" if source == "sql" else "in the database") in words(plan.text)
    assert files_below(store.settings.data_dir) == before, "looking at a plan writes nothing"
    done = resend(admin, plan, f"{PAGE}repair", "plan")
    page = admin.get(done.location)
    assert "Both sides hold the same." in page.text
    assert store.characters.find_by_id(alice).title == title  # type: ignore[union-attr]
    assert json.loads((store.settings.data_dir / "characters" / f"{alice}.json").read_bytes())["title"] == title
    assert_everything_is_equal(store)


def test_chosen_rows_are_repaired_and_the_others_stay(admin: Visitor, store: Store) -> None:
    damaged(store)
    bram = make_character(store, "Cleo", title="One")
    edit(store, f"characters/{bram.id}.json", title="Two")
    validate_now(admin)
    job = last(store)
    rows = {row.id: row.number for row in Findings(Report.from_json(store.jobs.result(job.id) or {})).rows}
    model = admin.get(f"{PAGE}model?id={job.id}&model=Character")
    fields = {"csrf_token": token_in(model), "id": str(job.id), "row": str(rows[bram.id]), "source": "sql"}
    plan = admin.post(f"{PAGE}plan", fields)
    done = resend(admin, plan, f"{PAGE}repair", "plan")
    assert "1 different" in words(admin.get(done.location).text)
    nothing = admin.post(f"{PAGE}plan", {**fields, "row": "", "url": f"{PAGE}model?id={job.id}&model=Character"})
    assert messages(admin, nothing)[0] == "Choose at least one record."


def test_everything_is_repaired_at_once_unreadable_files_too(admin: Visitor, store: Store) -> None:
    damaged(store)
    dora = make_character(store, "Dora")
    put(store.settings.data_dir, f"characters/{dora.id}.json", "{ not json")
    page = validate_now(admin)
    plan = admin.post(f"{PAGE}plan", form_in(page, "all") | {"source": "sql"})
    assert "set aside and made anew" in words(plan.text)
    done = resend(admin, plan, f"{PAGE}repair", "plan")
    assert "Both sides hold the same." in admin.get(done.location).text
    assert_everything_is_equal(store)


def test_a_plan_that_is_not_true_any_more_is_not_carried_out(admin: Visitor, store: Store) -> None:
    alice = damaged(store)
    page = validate_now(admin)
    plan = admin.post(f"{PAGE}plan", form_in(page, "all") | {"source": "json"})
    (store.settings.data_dir / "characters" / f"{alice}.json").unlink()
    done = resend(admin, plan, f"{PAGE}repair", "plan")
    assert "not any more as they were when the plan was shown" in told(admin.get(done.location))[0]
    assert store.characters.find_by_id(alice) is not None


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_who_is_no_admin_repairs_nothing(
    role: str, sign_in: Callable[[str], Visitor], admin: Visitor, store: Store
) -> None:
    damaged(store)
    validate_now(admin)
    job = last(store).id
    visitor = sign_in(role)
    page = visitor.get(f"{PAGE}job?id={job}")
    assert "Repair" not in page.text
    token = token_in(page)
    for path in ("plan", "repair"):
        answer = visitor.post(f"{PAGE}{path}", {"csrf_token": token, "id": str(job), "all": "1", "source": "sql"})
        assert answer.status_code == 403
    started = visitor.post(f"{PAGE}start", {"csrf_token": token})
    assert started.status_code == (403 if role == "viewer" else 303)


def test_a_repair_without_a_side_or_a_record_is_refused(admin: Visitor, store: Store) -> None:
    damaged(store)
    page = validate_now(admin)
    fields = form_in(page, "all").to_dict()
    assert admin.post(f"{PAGE}plan", {**fields, "source": "both"}).status_code == 404
    assert admin.post(f"{PAGE}repair", {**fields, "source": "both"}).status_code == 404
    assert admin.post(f"{PAGE}repair", {**fields, "all": "", "source": "sql"}).status_code == 404


# ---------------------------------------------------------------------- what pages make of a report


@pytest.mark.parametrize(
    ("one", "other", "marked"),
    [
        ("same", "same", ("same", "same")),
        ("colour", "color", ("colo<mark>u</mark>r", "color")),
        ("", "a", ("", "<mark>a</mark>")),
        ("a b", "a  b", ("a b", "a<mark> </mark> b")),
        ("a", "a\n", ("a", "a<mark>↵\n</mark>")),
        ("<b>", "<i>", ("&lt;<mark>b</mark>&gt;", "&lt;<mark>i</mark>&gt;")),
    ],
)
def test_the_characters_that_differ_are_marked(one: str, other: str, marked: tuple[str, str]) -> None:
    left, right = both_marked(one, other)
    assert (str(left), str(right).replace("a <mark> </mark>b", "a<mark> </mark> b")) == marked


def test_long_texts_are_marked_by_word_and_very_long_ones_only_where_they_differ() -> None:
    word = "an evening in the library " * 60
    left, right = both_marked(word + "begins", word + "ends")
    assert str(left).endswith("<mark>begins</mark>")
    assert str(right).endswith("<mark>ends</mark>")
    long = "x" * 50_000
    left, right = both_marked(f"{long}A{long}", f"{long}B{long}")
    assert str(left) == f"…{'x' * 200}<mark>A</mark>{'x' * 200}…"
    assert str(right) == f"…{'x' * 200}<mark>B</mark>{'x' * 200}…"
    left, right = both_marked(long, long + "x")
    assert (str(left), str(right)) == (f"…{'x' * 200}", f"…{'x' * 200}<mark>x</mark>")


@pytest.mark.parametrize(
    ("value", "sort", "text"),
    [
        (None, "nothing", ""),
        ("", "text", ""),
        (0, "number", "0"),
        (True, "yes or no", "true"),
        ({"a": [1]}, "JSON", '{\n  "a": [\n    1\n  ]\n}'),
    ],
)
def test_nothing_empty_and_zero_are_not_the_same(value: object, sort: str, text: str) -> None:
    told_ = value_told(value)
    assert (told_.sort, told_.text) == (sort, text)


def test_a_single_wrong_row_among_many_is_seen_in_the_bar() -> None:
    segments = bar(ModelCount(equal=100_000, different=1))
    assert [one.name for one in segments] == ["equal", "different"]
    assert segments[1].width > 0.7
    assert sum(one.width for one in segments) == pytest.approx(100, abs=0.05)
    assert segments[1].start == pytest.approx(segments[0].width, abs=0.05)
    assert bar(ModelCount()) == []


def test_rows_are_put_together_from_what_a_report_says_of_them() -> None:
    report = Report(
        differences=[
            Difference("Character", "c1", "title", "a", "b", "character", "c1"),
            Difference("Character", "c1", "name", "a", "b", "character", "c1"),
            Difference("CharacterTag", "l1", None, True, None, "character", "c1"),
            Difference("Tag", "t1", None, None, True, "tag", "t1"),
        ],
        unreadable=[
            Unreadable("tags/tags.json", 3, "tag", "t2", "no JSON"),
            Unreadable("characters/c1.json", None, "character", "c1", "torn"),
            Unreadable("stray.txt", None, "", None, "nobody knows it"),
        ],
        affected=[("character", "c1"), ("chat", "x")],
        dangling=[Dangling("sql", "Chat", "x", "personaId", "p")],
        rejected=[Rejected("Tag", "t9", "no UUID")],
    )
    findings = Findings(report)
    assert [(row.number, row.model, row.id, row.state) for row in findings.rows] == [
        (0, "Character", "c1", "unreadable"),
        (1, "CharacterTag", "l1", "only_sql"),
        (2, "Tag", "t1", "only_json"),
        (3, "Tag", "t2", "unreadable"),
        (4, "", "", "unreadable"),
    ]
    stray = ("file", "stray.txt")
    assert findings.entities() == [("character", "c1"), ("tag", "t1"), ("tag", "t2"), stray, ("chat", "x")]
    assert findings.entities([1, 4, 99]) == [("character", "c1"), stray]
    assert [row.place for row in findings.without_model] == ["stray.txt"]


def test_the_trend_begins_with_the_oldest(store: Store) -> None:
    for wrong in (9, 0, 1):
        asked = store.jobs.start("validate", {}, "Ada")
        found = {"inconsistent": wrong, "errors": 0}
        store.jobs.carry_out(asked.id, lambda *_, found=found: Outcome({}, found))
    runs = trend(list(store.jobs.list()))
    assert [run.wrong for run in runs] == [9, 0, 1]
    assert [run.height for run in runs] == [100.0, 0.0, 33.3]


def test_more_rows_than_a_page_are_paged(editor: Visitor, store: Store, tmp_path: Path) -> None:
    report = Report(models={"Tag": ModelCount(different=60)})
    report.differences = [Difference("Tag", f"t{n}", "name", "a", "b", "tag", f"t{n}") for n in range(60)]
    asked = store.jobs.start("validate", {}, "Ada")
    store.jobs.carry_out(asked.id, lambda *_: Outcome({**report.as_json(), "cut": {"differences": 70}}, {"exit": 2}))
    first = editor.get(f"{PAGE}model?id={asked.id}&model=Tag")
    assert "1–50 of 60 rows" in words(first.text)
    second = editor.get(f"{PAGE}model?id={asked.id}&model=Tag&page=1")
    assert "51–60 of 60 rows" in words(second.text)
    assert "There is no such page." in editor.get(f"{PAGE}model?id={asked.id}&model=Tag&page=9").text
    assert "the first 60 of 70 differences" in words(editor.get(f"{PAGE}job?id={asked.id}").text)
