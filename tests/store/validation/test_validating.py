"""A validation of an open store: equal sides, a control run, others who go on writing, secrets, and the quick look."""

import contextlib
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import store.validation as validation
from store import Store, open_store
from store.errors import CancelledError, InvalidValueError, NotInStepError
from store.files.index import JsonIndex
from store.progress import Moment, Progress
from store.tables import MODELS
from store.validation import Report, validate_all_data, validate_side
from tests import nasty
from tests.factories import lay_database, make_character, make_chat, make_message, make_tag, settings_for, with_driver
from tests.nasty import PEPPER, uid
from tests.store.both_sides import by_another_program
from tests.store.validation.damages import DAMAGES
from tests.store.validation.damaging import KEYS, TAGS, TALK, Damage, edit, lines, records
from tests.store.validation.world import MARKER, World


def _url(request: pytest.FixtureRequest, dialect: str, folder: Path) -> str:
    if dialect == "sqlite":
        lay_database(folder / "quilltap.sqlite")
        return f"sqlite:///{folder / 'quilltap.sqlite'}"
    server = request.getfixturevalue("postgres_server")
    return with_driver(server.url(server.create(request.getfixturevalue("postgres_template"))))


@pytest.fixture(params=["sqlite", "postgresql"])
def nasty_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = _url(request, request.param, tmp_path)
    nasty.fill(url, tmp_path / "public")
    made = open_store(settings_for(tmp_path, url, encryption_master_pepper=PEPPER), follow=False)
    made.fill_json_side()
    yield made
    made.close()


@pytest.fixture
def small(world: World, tmp_path: Path) -> Iterator[Store]:
    """A store on a copy of the small library."""
    made = world.opened(tmp_path)
    yield made
    made.close()


# ---------------------------------------------------------------------- equal
@pytest.mark.slow
def test_the_nasty_database_and_its_files_are_equal(nasty_store: Store) -> None:
    report = validate_all_data(nasty_store)
    assert report.exit_status == 0, report.as_text()
    with nasty_store.database.read() as connection:
        for model, table in MODELS.items():
            rows = connection.scalar(sa.select(sa.func.count()).select_from(table))
            count = report.models[model]
            assert (count.sql, count.json, count.equal) == (rows, rows, rows), model
    assert report.rejected  # and told, but no error
    assert any("image tags" in note for note in report.notes)
    assert any("not complete from the start" in note for note in report.notes)
    assert validate_all_data(nasty_store, quick=True).exit_status == 0


@pytest.mark.slow
def test_a_side_compared_with_itself_finds_nothing(nasty_store: Store) -> None:
    """The files against what was read from them: whatever were found there would be the comparer's own noise."""
    index = JsonIndex(nasty_store.side)
    index.refresh(full=True)
    with index.database.read() as connection:
        report = validate_side(connection, nasty_store.loader, nasty_store.side, secrets=nasty_store.secrets)
    index.close()
    assert report.exit_status == 0, report.as_text()
    assert report.checked == validate_all_data(nasty_store).checked > 1000


def test_each_backend_validates(small: Store) -> None:
    assert validate_all_data(small).exit_status == 0
    for backend in ("json", "sql"):
        small.close()
        small = open_store(replace(small.settings, data_backend=backend), follow=False)  # type: ignore[arg-type]
        report = validate_all_data(small)
        assert (report.exit_status, report.checked) == (0, 93), report.as_text()
        name = small.users.find_all()[0].user.name
        by_another_program(small, "UPDATE users SET name = 'X' WHERE name = :a", name)
        report = validate_all_data(small)
        assert [(one.model, one.field) for one in report.differences] == [("User", "name")]
        by_another_program(small, "UPDATE users SET name = :a WHERE name = 'X'", name)
    small.close()


def test_what_waits_is_no_difference(small: Store) -> None:
    by_another_program(small, "UPDATE tags SET name = 'Other' WHERE id = :a", uid("tags", 1))
    assert small.pending() == 1
    assert validate_all_data(small).exit_status == 0
    assert small.pending() == 0


def test_an_edited_file_is_a_difference_of_the_open_store(small: Store) -> None:
    for damage in DAMAGES[::17]:
        before = {path: path.read_bytes() for path in small.settings.data_dir.rglob("*") if path.is_file()}
        damage.do(small.settings.data_dir)
        report = validate_all_data(small)
        assert report.exit_status == damage.status, f"{damage.name}: {report.as_text()}"
        for path, data in before.items():
            path.unlink(missing_ok=True)
            path.write_bytes(data)
    assert validate_all_data(small).exit_status == 0


# ---------------------------------------------------------------------- others go on writing
def test_writes_meanwhile_give_no_false_difference(small: Store) -> None:
    stop, wrote = threading.Event(), []
    chat = small.chats.find_all()[0]
    foreign = sa.create_engine(small.settings.database_url)

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            make_message(small, chat, f"Words {number}")
            character = make_character(small, f"New {number}")
            make_tag(small, f"New {number}")
            if number % 2:
                small.characters.delete(character.id)
            with foreign.begin() as connection:
                connection.exec_driver_sql(f"UPDATE personas SET name = 'N{number}' WHERE id = '{uid('personas', 1)}'")
                connection.exec_driver_sql(
                    f"UPDATE messages SET content = '{number}' WHERE id = '{uid('messages', 11)}'"
                )
            wrote.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        reports = [validate_all_data(small) for _ in range(6)]
    finally:
        stop.set()
        writer.join()
    assert wrote
    for report in reports:
        assert report.differences == [], report.as_text()
        assert report.exit_status & ~4 == 0  # what changed all the while may have to be passed over
        assert report.checked == report.consistent + report.skipped
    foreign.dispose()
    report = validate_all_data(small)
    assert report.exit_status == 0, report.as_text()


def test_a_real_difference_is_found_while_others_write(small: Store) -> None:
    edit(KEYS, uid("api_keys", 1), '"Key 1"', '"Key l"')(small.settings.data_dir)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            make_tag(small, f"New {number}")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        report = validate_all_data(small)
    finally:
        stop.set()
        writer.join()
    assert [(one.model, one.id, one.field) for one in report.differences] == [("ApiKey", uid("api_keys", 1), "label")]


def test_it_can_be_cancelled_and_tells_how_far_it_is(small: Store) -> None:
    told: list[Moment] = []
    validate_all_data(small, progress=Progress(told.append))
    assert [one.overall for one in told] == sorted(one.overall for one in told)
    assert 0.95 < told[-1].overall <= 1.0
    assert "Comparing messages" in {one.phase for one in told}
    with pytest.raises(CancelledError):
        validate_all_data(small, progress=Progress(cancelled=lambda: len(told) > 0))


# ---------------------------------------------------------------------- secrets
def _everything(report: Report) -> str:
    return f"{report!r}{report.as_text()}{json.dumps(report.as_json(), default=str)}"


@pytest.mark.slow
def test_no_secret_is_told(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ciphers = {line for line in (world.folder / "data" / KEYS).read_text().split('"') if len(line) >= 32}
    for number, damage in enumerate(DAMAGES):
        if not any(
            model in ("User", "Account", "Session", "VerificationToken", "ApiKey") for model, _, _ in damage.wrong
        ):
            continue
        data = world.copy(tmp_path / str(number))
        damage.do(data)
        for quick in (False, True):
            told = _everything(world.validated(data, quick=quick))
            assert MARKER not in told, damage.name
            assert not [one for one in ciphers if one in told and "-" not in one], damage.name
    statements = (
        f"UPDATE sessions SET \"sessionToken\" = '{MARKER}!'",
        f"UPDATE verification_tokens SET token = '{MARKER}!' WHERE token = '{MARKER}-1'",
        f"UPDATE users SET \"passwordHash\" = '{MARKER}!' WHERE id = '{uid('users', 0)}'",
    )
    for statement in (statements[1], statements[2]):
        assert MARKER not in _everything(world.validated(world.copy(tmp_path / statement[7:12]), statement))
    assert MARKER not in caplog.text


def test_another_pepper_decrypts_nothing(small: Store) -> None:
    other = replace(small.settings, encryption_master_pepper=PEPPER[::-1])
    small.close()
    with contextlib.closing(open_store(other, follow=False)) as opened:
        report = validate_all_data(opened)
    assert (report.exit_status, report.secrets.failed) == (16, 18)
    assert {one.side for one in report.secrets.failures} == {"sql", "json"}


def test_a_secret_that_is_encrypted_anew_says_the_same(small: Store) -> None:
    user, key = uid("users", 1), uid("api_keys", 1)
    cipher = small.secrets.encrypt(user, f"{MARKER} key 1")
    for old, new in zip(_cipher(small, key), (cipher.ciphertext, cipher.iv, cipher.auth_tag), strict=True):
        edit(KEYS, key, old, new)(small.settings.data_dir)
    report = validate_all_data(small)
    assert (report.exit_status, report.differences) == (0, []), report.as_text()
    assert any("says the same" in note for note in report.notes)


def _cipher(store: Store, key_id: str) -> tuple[str, str, str]:
    key = store.keys.find_by_id(key_id)
    assert key is not None
    return key.ciphertext, key.iv, key.authTag


# ---------------------------------------------------------------------- quick, and some models only
@pytest.mark.parametrize(
    "name",
    [
        *("missing line", "extra line", "torn line", "missing record", "missing file", "extra file", "bad JSON file"),
        *("dangling default image", "dangling tag", "a tag that others name is gone", "missing file of a chat"),
        *("extra file of a chat", "bad file of many", "a record twice"),
    ],
)
def test_the_quick_look_sees_what_is_there_and_where_links_lead(world: World, tmp_path: Path, name: str) -> None:
    damage = next(one for one in DAMAGES if one.name == name)
    data = world.copy(tmp_path)
    damage.do(data)
    report = world.validated(data, quick=True)
    wanted = 8 if name == "dangling default image" else damage.status  # no value is compared
    assert report.exit_status == wanted, report.as_text()


def test_the_quick_look_compares_no_value(world: World, data: Path) -> None:
    edit(TALK, uid("messages", 11), "Words 1", "Words l", checksum=True)(data)
    report = world.validated(data, quick=True)
    assert (report.exit_status, report.checked, report.consistent, report.quick) == (0, 93, 93, True)


def test_only_some_models(world: World, data: Path) -> None:
    next(one for one in DAMAGES if one.name == "missing file").do(data)
    report = world.validated(data, only=("personatag", "Chat"))
    assert list(report.models) == ["PersonaTag", "Chat"]
    assert {one.model for one in report.differences} == {"PersonaTag"}
    assert report.models["Chat"].equal == 3
    # The persona, of a model that was not chosen, is gone from the files.
    assert told_dangling(report) == {("json", "Chat", uid("chats", 1), "personaId")}
    with pytest.raises(InvalidValueError, match="no model Persons"):
        world.validated(data, only=("Persons",))


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize(
    "damage", [pytest.param(one, id=one.name) for one in DAMAGES if one.dangling and one.name != "extra file of a chat"]
)
def test_links_into_models_that_were_not_chosen_are_followed_on_both_sides(
    world: World, data: Path, damage: Damage, quick: bool
) -> None:
    damage.do(data)
    whole = told_dangling(world.validated(data, quick=quick))
    assert whole
    for model in {model for model, _, _ in damage.dangling}:
        alone = world.validated(data, only=(model,), quick=quick)
        assert told_dangling(alone) == {one for one in whole if one[1] == model}, alone.as_text()
        assert alone.exit_status & 8


def told_dangling(report: Report) -> set[tuple[str, ...]]:
    return {(one.side, one.model, one.id, one.field) for one in report.dangling}


def test_a_link_to_what_only_waits_for_the_files_is_none_to_nothing(small: Store) -> None:
    data = small.settings.data_dir
    records(TAGS, lambda record: record["tags"].pop(1))(data)
    lines(TALK, lambda several: several.pop(0))(data)
    for model in ("CharacterTag", "ChatFile"):
        assert validate_all_data(small, only=(model,)).dangling
    small.outbox.apart = NotInStepError("Nobody brings it over.")
    by_another_program(small, f"UPDATE tags SET name = 'New' WHERE id = '{uid('tags', 1)}'")
    by_another_program(small, f"UPDATE messages SET content = 'New' WHERE id = '{uid('messages', 10)}'")
    for model in ("CharacterTag", "ChatFile"):
        assert validate_all_data(small, only=(model,)).dangling == []


def test_each_model_has_a_function_of_its_own(small: Store) -> None:
    for model, table in MODELS.items():
        report: Report = getattr(validation, f"validate_{table.name}")(small)
        assert (list(report.models), report.exit_status) == ([model], 0)
        assert report.models[model].equal == report.checked > 0


def test_a_report_survives_as_json(world: World, data: Path) -> None:
    for damage in (DAMAGES[0], DAMAGES[-1], *(one for one in DAMAGES if one.unread or one.status == 18)):
        with contextlib.suppress(
            ValueError, OSError, IndexError, KeyError
        ):  # several damages may be in each other's way
            damage.do(data)
    report = world.validated(data)
    told: dict[str, Any] = json.loads(json.dumps(report.as_json(), default=str))
    again = Report.from_json(told)
    assert json.loads(json.dumps(again.as_json(), default=str)) == told
    assert again.exit_status == report.exit_status
    assert again.as_text() == report.as_text()
    lines = report.as_text().splitlines()[-4:]
    assert [line.partition(":")[0] for line in lines] == ["Total Checked", "Consistent", "Inconsistent", "Errors"]
    assert report.checked == report.consistent + report.inconsistent + report.errors + report.skipped


def test_a_message_in_two_chats_files(world: World, data: Path) -> None:
    line = (data / TALK).read_text().splitlines(keepends=True)[1]
    with (data / f"chats/{uid('chats', 0)}.jsonl").open("a") as file:
        file.write(line)
    report = world.validated(data)
    assert report.exit_status == 4, report.as_text()
    assert [(one.model, one.id) for one in report.unreadable] == [("Message", uid("messages", 11))]
    assert report.models["Message"].equal == 12


def test_events_that_are_no_messages_are_no_error(world: World, data: Path) -> None:
    chat = f"chats/{uid('chats', 0)}.jsonl"
    with (data / chat).open("a") as file:
        summary = {
            "type": "context-summary",
            "id": uid("tags", 9),
            "context": "x",
            "createdAt": "2025-06-01T00:00:00.000Z",
        }
        file.write(json.dumps(summary) + "\n")
        file.write('{"type":"mood","value":1}\n')
    size = (data / chat).stat().st_size
    lines = (data / "chats/index.jsonl").read_text().splitlines(keepends=True)
    record = json.loads(lines[0])
    record["extras"]["log"]["bytes"] = size
    (data / "chats/index.jsonl").write_text("".join([json.dumps(record) + "\n", *lines[1:]]))
    report = world.validated(data)
    assert report.exit_status == 0, report.as_text()


def test_a_chat_without_messages_has_a_file(small: Store) -> None:
    chat = make_chat(small, "Silence")
    small.catch_up()
    assert validate_all_data(small).exit_status == 0
    (small.settings.data_dir / f"chats/{chat.id}.jsonl").unlink()
    assert [(one.model, one.id, one.field) for one in validate_all_data(small).differences] == [
        ("Chat", chat.id, "file")
    ]


def test_what_no_writer_can_have_left_is_told_of_an_open_store(small: Store) -> None:
    """A file under another spelling of an id."""
    folder = small.settings.data_dir
    persona = uid("personas", 1)
    (folder / f"personas/%30{persona[1:]}.json").write_bytes((folder / f"personas/{persona}.json").read_bytes())
    report = validate_all_data(small)
    assert report.exit_status == 4, report.as_text()
    assert [one.path for one in report.unreadable] == [f"personas/%30{persona[1:]}.json"]
    assert report.models["Persona"].equal == 3


def test_a_nameless_record_and_a_date_of_one_file(small: Store) -> None:
    def change(whole: Any) -> None:
        whole["tags"][1]["id"] = 1
        whole["tags"].append(dict(whole["tags"][0]))
        whole["updatedAt"] = "2020-01-01T00:00:00.000Z"

    records("tags/tags.json", change)(small.settings.data_dir)
    report = validate_all_data(small)
    assert report.exit_status == 4, report.as_text()
    assert {one.id for one in report.unreadable} == {uid("tags", 0), uid("tags", 1)}
    count = report.models["Tag"]
    assert (count.sql, count.equal, count.unreadable) == (3, 2, 2)
