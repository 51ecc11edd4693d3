"""Many records in one file, in each of its forms: what is changed, and all that stays as it was."""

import json
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreError, UnreadableError
from store.files.layout import SHELVES
from store.files.shelves import Entity
from store.files.side import JsonSide
from tests.factories import files_below, put

pytestmark = pytest.mark.slow  # many examples

Record = dict[str, Any]
USER = "00000000-0000-4000-8000-00000000000a"


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


def moment(number: int) -> str:
    return f"2025-01-{number:02d}T00:00:00.000Z"


def dated(number: int) -> Record:
    return {"createdAt": moment(number), "updatedAt": moment(number + 1)}


def tag(number: int, **what_matters: Any) -> Record:
    start = {"id": uuid(number), "userId": USER, "name": f"T{number}", "nameLower": f"t{number}"}
    return {**start, **dated(number), **what_matters}


def key(number: int, **what_matters: Any) -> Record:
    cipher = {"ciphertext": "ab", "iv": "cd", "authTag": "ef"}
    start = {"id": uuid(number), "label": f"K{number}", "provider": "OPENAI", **cipher, "isActive": True}
    return {**start, "lastUsed": None, **dated(number), "extras": {"userId": USER}, **what_matters}


def profile(number: int, **what_matters: Any) -> Record:
    start = {"id": uuid(number), "userId": USER, "name": f"P{number}", "provider": "OPENAI", "apiKeyId": None}
    rest = {"baseUrl": None, "modelName": "m", "parameters": {}, "isDefault": False, "tags": []}
    return {**start, **rest, **dated(number), **what_matters}


def account(number: int, **what_matters: Any) -> Record:
    start = {"id": uuid(number), "userId": USER, "type": "oauth", "provider": "google"}
    nulls = ("refresh_token", "access_token", "expires_at", "token_type", "scope", "id_token", "session_state")
    return {**start, "providerAccountId": str(number), **dict.fromkeys(nulls), **what_matters}


def session(number: int, **what_matters: Any) -> Record:
    return {"id": uuid(number), "sessionToken": f"s{number}", "userId": USER, "expires": moment(9), **what_matters}


def token(number: int, **what_matters: Any) -> Record:
    return {"identifier": "a@example.org", "token": f"t{number}", "expires": moment(9), **what_matters}


def chat(number: int, **what_matters: Any) -> Record:
    links = {"characterId": uuid(91), "personaId": None, "connectionProfileId": uuid(92), "imageProfileId": None}
    rest = {"title": f"C{number}", "contextSummary": None, "sillyTavernMetadata": None, "tags": []}
    totals = {"messageCount": 0, "lastMessageAt": None}
    return {"id": uuid(number), "userId": USER, **links, **rest, **totals, **dated(number), **what_matters}


# kind: how a record is made, its file, the file of those that Quilltap would refuse, and one of those
CASES: dict[str, tuple[Any, str, str, Record]] = {
    "tag": (tag, "tags/tags.json", "extras/tags.jsonl", {"id": "odd"}),
    "key": (key, "settings/connection-profiles.json", "extras/connection-profiles.jsonl", {"id": "odd"}),
    "profile": (profile, "settings/connection-profiles.json", "extras/connection-profiles.jsonl", {"id": "odd"}),
    "image_profile": (profile, "settings/image-profiles.json", "extras/image-profiles.jsonl", {"id": "odd"}),
    "chat": (chat, "chats/index.jsonl", "extras/chats-index.jsonl", {"id": "odd"}),
}
SIGN_IN: dict[str, tuple[Any, str]] = {
    "account": (account, "auth/accounts.json"),
    "session": (session, "auth/sessions.jsonl"),
    "token": (token, "auth/verification-tokens.jsonl"),
}
ALL = {**{kind: case[:2] for kind, case in CASES.items()}, **SIGN_IN}
EVERY_KIND = pytest.mark.parametrize("kind", ALL)
# The kinds whose files are made of lines.
IN_LINES = pytest.mark.parametrize("kind", ["session", "token", "chat"])


def id_of(kind: str, record: Record) -> str:
    return str(record["token" if kind == "token" else "id"])


def another(kind: str) -> Record:
    """A field of the kind with a new value."""
    if kind == "token":
        return {"identifier": "b@example.org"}
    return {"label": "new"} if kind == "key" else {"userId": uuid(77)}


@pytest.fixture
def side(tmp_path: Path) -> JsonSide:
    return JsonSide(tmp_path / "data", tmp_path / "own")


def change(side: JsonSide, kind: str, *records: Record, gone: tuple[str, ...] = ()) -> dict[Entity, StoreError]:
    """Make it so; what was refused."""
    wanted: dict[str, Record | None] = {id_of(kind, record): record for record in records}
    wanted.update(dict.fromkeys(gone))
    files, refused = side.plan({kind: wanted})
    side.write(files)
    return refused


def there(side: JsonSide, kind: str) -> set[str]:
    return {entry.id for entry in side.entries(kind) if not isinstance(entry, UnreadableError)}


def told(side: JsonSide, kind: str) -> list[UnreadableError]:
    return [one for one in side.entries(kind) if isinstance(one, UnreadableError)]


# ------------------------------------------------------------------ what is written
@EVERY_KIND
def test_records_are_made_changed_and_taken_away(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    assert change(side, kind, make(2), make(1)) == {}
    assert there(side, kind) == {id_of(kind, make(1)), id_of(kind, make(2))}
    first = (side.data_dir / path).read_bytes()
    assert side.plan({kind: {id_of(kind, make(1)): make(1)}}) == ({}, {})
    changed = make(1, **another(kind))
    change(side, kind, changed)
    assert (side.data_dir / path).read_bytes() != first
    entry = side.entry(kind, id_of(kind, make(1)))
    assert entry is not None
    assert (entry.kind, entry.id) == (kind, id_of(kind, make(1)))
    assert {key: value for key, value in entry.record.items() if key != "extras"} == {
        key: value for key, value in changed.items() if key != "extras"
    }
    change(side, kind, gone=(id_of(kind, make(1)), id_of(kind, make(2))))
    assert there(side, kind) == set()
    assert side.is_empty()
    assert (side.data_dir / path).exists()  # Quilltap's file, now without a record


def test_an_object_has_the_dates_of_its_records_and_two_lists(side: JsonSide) -> None:
    change(side, "profile", profile(4), profile(3))
    change(side, "key", key(2), key(7))
    found = json.loads((side.data_dir / "settings/connection-profiles.json").read_bytes())
    assert list(found) == ["version", "apiKeys", "llmProfiles", "createdAt", "updatedAt"]
    assert found["version"] == 1
    assert [one["id"] for one in found["apiKeys"]] == [uuid(2), uuid(7)]
    assert [one["id"] for one in found["llmProfiles"]] == [uuid(3), uuid(4)]
    assert (found["createdAt"], found["updatedAt"]) == (moment(2), moment(8))
    assert not (side.data_dir / "settings/connection-profiles.json").read_bytes().endswith(b"\n")
    change(side, "key", gone=(uuid(2), uuid(7)))
    change(side, "profile", gone=(uuid(3), uuid(4)))
    empty = json.loads((side.data_dir / "settings/connection-profiles.json").read_bytes())
    epoch = "1970-01-01T00:00:00.000Z"
    assert empty == {"version": 1, "apiKeys": [], "llmProfiles": [], "createdAt": epoch, "updatedAt": epoch}


def test_both_kinds_of_one_file_are_written_at_once(side: JsonSide) -> None:
    files, refused = side.plan({"key": {uuid(1): key(1)}, "profile": {uuid(2): profile(2, apiKeyId=uuid(1))}})
    assert refused == {}
    assert list(files) == ["settings/connection-profiles.json"]
    side.write(files)
    assert (there(side, "key"), there(side, "profile")) == ({uuid(1)}, {uuid(2)})


@IN_LINES
def test_lines_each_end_with_a_newline_and_none_make_an_empty_file(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    change(side, kind, make(2), make(1))
    data = (side.data_dir / path).read_bytes()
    assert data.endswith(b"}\n")
    assert data.count(b"\n") == 2
    assert b": " not in data
    change(side, kind, gone=(id_of(kind, make(1)), id_of(kind, make(2))))
    assert (side.data_dir / path).read_bytes() == b""


def test_the_order_is_that_of_the_layout(side: JsonSide) -> None:
    change(side, "account", account(3), account(1), account(2))
    assert [one["id"] for one in json.loads((side.data_dir / "auth/accounts.json").read_bytes())] == [
        uuid(1),
        uuid(2),
        uuid(3),
    ]
    change(side, "session", session(3), session(1))
    assert [entry.id for entry in side.entries("session")] == [uuid(1), uuid(3)]  # type: ignore[union-attr]
    change(side, "token", token(1, identifier="b"), token(2, identifier="a"), token(0, identifier="b"))
    assert [entry.id for entry in side.entries("token")] == ["t2", "t0", "t1"]  # type: ignore[union-attr]
    change(side, "chat", chat(1, createdAt=moment(5)), chat(3, createdAt=moment(2)), chat(2, createdAt=moment(2)))
    assert [entry.id for entry in side.entries("chat")] == [uuid(2), uuid(3), uuid(1)]  # type: ignore[union-attr]


# ------------------------------------------------------------------ what Quilltap would refuse
@pytest.mark.parametrize("kind", CASES)
def test_a_record_quilltap_would_refuse_lies_beside_and_moves_back(side: JsonSide, kind: str) -> None:
    make, path, beside, odd = CASES[kind]
    change(side, kind, make(1), make(2, **odd))
    assert b'"odd"' not in (side.data_dir / path).read_bytes()
    (line,) = (side.data_dir / beside).read_bytes().splitlines()
    assert json.loads(line)["id"] == "odd"
    assert there(side, kind) == {uuid(1), "odd"}
    entry = side.entry(kind, "odd")
    assert entry is not None
    assert entry.kind == kind
    change(side, kind, gone=("odd",))
    assert not (side.data_dir / beside).exists()
    assert there(side, kind) == {uuid(1)}


def test_beside_the_profiles_lie_keys_too_and_each_is_known(side: JsonSide) -> None:
    change(side, "key", key(1, id="odd key"))
    change(side, "profile", profile(2, id="odd profile"))
    assert (there(side, "key"), there(side, "profile")) == ({"odd key"}, {"odd profile"})


def test_of_the_records_of_sign_in_quilltap_refuses_none(side: JsonSide) -> None:
    for kind, (make, _) in SIGN_IN.items():
        change(side, kind, make(1, **({"userId": "nobody"} if kind != "token" else {"identifier": "no mail"})))
    assert set(files_below(side.data_dir)) == {path for _, path in SIGN_IN.values()}


# ------------------------------------------------------------------ unreadable is not empty
@EVERY_KIND
def test_one_bad_record_stays_as_it_is_and_its_neighbours_can_be_changed(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    bad_id = id_of(kind, make(2))
    change(side, kind, make(1), make(2))
    data = (side.data_dir / path).read_bytes()
    field = "identifier" if kind == "token" else "provider" if kind in ("key", "account") else "userId"
    spelled = json.dumps(make(2)[field]).encode()
    spoilt = data.rpartition(f'"{field}":'.encode())
    after = spoilt[2].lstrip().removeprefix(spelled)
    (side.data_dir / path).write_bytes(spoilt[0] + spoilt[1] + b" 5" + after)
    (error,) = told(side, kind)
    assert error.path == path
    refused = change(side, kind, make(3), make(2))
    assert set(refused) == {(kind, bad_id)}
    assert path in refused[kind, bad_id].message
    assert there(side, kind) == {id_of(kind, make(1)), id_of(kind, make(3))}
    assert json.dumps(field).encode() + b":5" in (side.data_dir / path).read_bytes().replace(b" ", b"")
    assert set(change(side, kind, gone=(bad_id,))) == {(kind, bad_id)}
    with pytest.raises(UnreadableError):
        side.entry(kind, bad_id)


WHOLE = {"cut short": b'{"tags": [', "empty": b"", "zeros": bytes(30), "of another kind": b'"text"', "nan": b"[NaN]"}


@pytest.mark.parametrize("kind", [kind for kind, (_, path) in ALL.items() if path.endswith(".json")])
@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_a_file_that_is_bad_as_a_whole_is_not_written_over(side: JsonSide, kind: str, data: bytes) -> None:
    make, path = ALL[kind]
    put(side.data_dir, path, data)
    refused = change(side, kind, make(1))
    assert set(refused) == {(kind, id_of(kind, make(1)))}
    assert files_below(side.data_dir) == {path: data}
    assert not side.is_empty()
    with pytest.raises(UnreadableError):
        side.entry(kind, id_of(kind, make(1)))


@EVERY_KIND
def test_a_file_that_the_system_will_not_give_is_not_missing(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    (side.data_dir / path).mkdir(parents=True)
    assert set(change(side, kind, make(1))) == {(kind, id_of(kind, make(1)))}


@IN_LINES
@pytest.mark.parametrize("line", [b'{"torn": ', b"\0\0\0", b"5", b"[]", b"\xff", b"{}"], ids=repr)
def test_a_bad_line_stays_byte_for_byte_and_is_told_by_its_number(side: JsonSide, kind: str, line: bytes) -> None:
    make, path = ALL[kind]
    change(side, kind, make(1), make(3))
    first, last = (side.data_dir / path).read_bytes().splitlines(keepends=True)
    (side.data_dir / path).write_bytes(first + line + b"\n" + last)
    (error,) = told(side, kind)
    assert error.line == 2
    assert change(side, kind, make(2)) == {}
    lines = (side.data_dir / path).read_bytes().split(b"\n")
    assert line in lines
    assert len(lines) == 5
    assert there(side, kind) == {id_of(kind, make(number)) for number in (1, 2, 3)}


@IN_LINES
def test_a_bad_line_stays_in_its_place(side: JsonSide, kind: str) -> None:
    """So that what is said of it, by its number, stays true, and a person finds it where it was."""
    make, path = ALL[kind]
    change(side, kind, make(1), make(3))
    first, last = (side.data_dir / path).read_bytes().splitlines(keepends=True)
    (side.data_dir / path).write_bytes(first + b"{torn\n" + last)
    change(side, kind, make(4))
    assert (side.data_dir / path).read_bytes().splitlines()[1] == b"{torn"


@EVERY_KIND
def test_of_two_with_one_id_neither_is_changed_and_both_stay(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    change(side, kind, make(1))
    data = (side.data_dir / path).read_bytes()
    if path.endswith(".jsonl"):
        doubled = data + data
    else:
        text = data.decode()
        start, end = text.rindex("{", 0, text.index('"id"')), text.rindex("}", 0, text.rindex("]")) + 1
        if kind == "key":
            end = text.index("\n    }", start) + 6
        doubled = f"{text[:end]},{text[start:end]}{text[end:]}".encode()
    put(side.data_dir, path, doubled)
    spelled = json.dumps(id_of(kind, make(1))).encode()
    assert set(change(side, kind, make(1), make(2))) == {(kind, id_of(kind, make(1)))}
    assert (side.data_dir / path).read_bytes().count(spelled) == doubled.count(spelled) == 2
    assert "twice" in told(side, kind)[0].message


@EVERY_KIND
def test_keys_that_quilltap_added_stay(side: JsonSide, kind: str) -> None:
    make, path = ALL[kind]
    change(side, kind, make(1), make(2))
    text = (side.data_dir / path).read_text()
    spelled = json.dumps(id_of(kind, make(1)))
    name = "token" if kind == "token" else "id"
    at = text.index(f'"{name}":')
    assert spelled in text[at : at + 60]
    (side.data_dir / path).write_text(f'{text[:at]}"mood":"glad",{text[at:]}')
    change(side, kind, make(1, **another(kind)), make(3))
    assert (side.data_dir / path).read_text().count('"mood"') == 1
    entry = side.entry(kind, id_of(kind, make(1)))
    assert entry is not None
    assert entry.record["mood"] == "glad"


def test_keys_of_the_file_itself_stay(side: JsonSide) -> None:
    put(side.data_dir, "tags/tags.json", json.dumps({"version": 3, "tags": [], "owner": {"a": 1}}))
    change(side, "tag", tag(1))
    found = json.loads((side.data_dir / "tags/tags.json").read_bytes())
    assert (found["version"], found["owner"]) == (3, {"a": 1})


# ------------------------------------------------------------------ accounts
def test_accounts_in_the_documented_object_are_read_and_kept_in_the_list_that_quilltap_reads(side: JsonSide) -> None:
    wrapped = {"version": 1, "accounts": [account(1)], "createdAt": moment(1), "updatedAt": moment(1)}
    put(side.data_dir, "auth/accounts.json", json.dumps(wrapped))
    assert there(side, "account") == {uuid(1)}
    change(side, "account", account(2))
    found = json.loads((side.data_dir / "auth/accounts.json").read_bytes())
    assert found == [account(1), account(2)]


@pytest.mark.parametrize("value", [{"version": 1}, {"accounts": {}}, {"accounts": None}, {}, None], ids=str)
def test_an_object_without_a_list_of_accounts_is_not_empty(side: JsonSide, value: Any) -> None:
    put(side.data_dir, "auth/accounts.json", json.dumps(value))
    before = files_below(side.data_dir)
    assert set(change(side, "account", account(1))) == {("account", uuid(1))}
    assert files_below(side.data_dir) == before


def test_an_account_as_quilltap_stores_it_has_no_id_and_can_be_changed(side: JsonSide) -> None:
    bare = {key: value for key, value in account(1).items() if key not in ("id", "scope")} | {"oauth_token": "x"}
    put(side.data_dir, "auth/accounts.json", json.dumps([bare]))
    (entry,) = side.entries("account")
    assert not isinstance(entry, UnreadableError)
    assert change(side, "account", {**account(1), "id": entry.id, "scope": "mail"}) == {}
    (found,) = json.loads((side.data_dir / "auth/accounts.json").read_bytes())
    assert (found["scope"], found["oauth_token"], found["id"]) == ("mail", "x", entry.id)


# ------------------------------------------------------------------ shelves
def test_every_kind_has_a_shelf_and_no_file_two() -> None:
    shelves = list({id(shelf): shelf for shelf in SHELVES.values()}.values())
    for kind, shelf in SHELVES.items():
        assert kind in shelf.kinds
        for path in shelf.paths("00000000-0000-4000-8000-000000000001"):
            assert [one for one in shelves if one.owns(path)] == [shelf]
    assert not any(shelf.owns("chats/00000000-0000-4000-8000-000000000001.jsonl") for shelf in shelves)
    assert not any(shelf.owns("binaries/" + "0" * 64 + "/raw") for shelf in shelves)
