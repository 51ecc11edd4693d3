"""The other new nouns: API keys without an owner, accounts without an id, parameters that are none, defaults."""

from typing import Any

import pytest

from store.documents import Account, ApiKey, Chat, ContextSummary, Message, Session, VerificationToken
from store.documents.base import derived_id
from store.errors import InvalidRecordError
from store.mapping import MAPPINGS, Rows
from store.mapping.base import with_owner
from store.mapping.messages import MESSAGES
from store.quilltap import rejection
from store.tables.base import JSON_NULL
from tests.store.mapping.making import ALL, fixed_id

ONE, TWO = fixed_id(1), fixed_id(2)
DAY = "2025-01-01T00:00:00.000Z"
DATES = {"createdAt": DAY, "updatedAt": DAY}

# ---------------------------------------------------------------------- API keys
KEY = {
    "id": ONE,
    "label": "Main",
    "provider": "OPENAI",
    "ciphertext": "aa",
    "iv": "bb",
    "authTag": "cc",
    "isActive": True,
    "lastUsed": None,
    **DATES,
}


def test_a_key_whose_owner_quilltap_dropped_is_the_one_users() -> None:
    document = ApiKey.check(KEY)
    assert document.userId is None
    assert document.value("userId") is None
    rows = MAPPINGS["key"].to_rows(document.model_dump())
    assert rows["api_keys"][0]["userId"] is None
    assert with_owner(rows, TWO)["api_keys"][0] == {**rows["api_keys"][0], "userId": TWO}


def test_an_owner_that_is_known_stays() -> None:
    document = ApiKey.check({**KEY, "extras": {"userId": ONE}})
    assert document.userId == document.value("userId") == ONE
    rows = MAPPINGS["key"].to_rows(document.model_dump())
    assert with_owner(rows, TWO) == rows
    tokens: Rows = {"verification_tokens": [{"identifier": "a", "token": "b", "expires": DAY}]}
    assert with_owner(tokens, TWO) == tokens


def test_a_key_names_its_secret_as_the_columns_do() -> None:
    document = ApiKey.check(KEY)
    assert [document.value(name) for name in ("keyEncrypted", "keyIv", "keyAuthTag")] == ["aa", "bb", "cc"]
    assert ApiKey.called(KEY) == f"The API key “Main” ({ONE})"


# ---------------------------------------------------------------------- records of NextAuth
ACCOUNT = {"userId": ONE, "type": "oauth", "provider": "google", "providerAccountId": "1", "expires_at": 1764000000}


def test_an_account_without_an_id_gets_one_that_stays() -> None:
    completed = Account.completed(ACCOUNT)
    assert completed["id"] == Account.id_of(ACCOUNT) == derived_id("account", "google", "1")
    assert Account.completed(completed) is completed
    assert Account.check(completed).refresh_token is None
    assert "id" not in ACCOUNT


@pytest.mark.parametrize("broken", [{}, {"provider": "google"}, {"provider": 1, "providerAccountId": "1"}])
def test_an_account_that_cannot_get_an_id_stays_as_it_is(broken: dict[str, Any]) -> None:
    assert Account.completed(broken) is broken
    assert Account.id_of(broken) is None
    with pytest.raises(InvalidRecordError):
        Account.check(broken)


def test_half_a_surrogate_pair_in_an_account_is_refused_by_name() -> None:
    record = {**ACCOUNT, "providerAccountId": "\ud800"}
    with pytest.raises(InvalidRecordError) as refused:
        Account.check(Account.completed(record))
    assert "providerAccountId" in refused.value.problems


def test_a_token_is_its_own_id_and_no_message_tells_it() -> None:
    record = {"identifier": "ada@example.org", "token": "secret", "expires": DAY}
    assert VerificationToken.check(record).id == VerificationToken.id_of(record) == "secret"
    with pytest.raises(InvalidRecordError) as refused:
        VerificationToken.check({**record, "expires": "soon"})
    assert "verification token “ada@example.org”" in refused.value.message
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("document", [Account, ApiKey, Session, VerificationToken])
@pytest.mark.parametrize("record", [None, [], "id", {"id": 3, "token": 3}, {"id": "", "token": ""}])
def test_the_id_of_what_has_none_is_none(document: Any, record: Any) -> None:
    assert document.id_of(record) is None


# ---------------------------------------------------------------------- free-form columns
@pytest.mark.parametrize(
    ("kind", "column", "stand_in"),
    [
        ("profile", "parameters", {}),
        ("image_profile", "parameters", {}),
        ("chat", "sillyTavernMetadata", None),
        ("message", "rawResponse", None),
    ],
)
@pytest.mark.parametrize(("value", "told"), [(JSON_NULL, None), ([1], [1]), ("", ""), (0, 0), (False, False)])
def test_what_is_no_object_lies_in_raw(kind: str, column: str, stand_in: Any, value: Any, told: Any) -> None:
    mapping = ALL[kind]
    rows = mapping.blank(ONE, DAY)
    rows[mapping.main.name][0][column] = value
    record = mapping.to_record(rows)
    assert record[column] == stand_in
    assert record["extras"] == {"raw": {column: told}}
    back = mapping.to_rows(record)[mapping.main.name][0][column]
    assert back is value or (type(back) is type(value) and back == value)


def test_nothing_is_not_json_null() -> None:
    record = MESSAGES.to_record(MESSAGES.blank(ONE, DAY))
    assert record["rawResponse"] is None
    assert "extras" not in record
    assert MESSAGES.to_rows(record)["messages"][0]["rawResponse"] is None


def test_a_record_in_which_nothing_is_set_has_the_defaults_of_the_database() -> None:
    defaults = {"profile": {"parameters": {}, "isDefault": False}, "key": {"isActive": True, "lastUsed": None}}
    defaults |= {"image": {"source": "upload", "url": None}, "attachment": {"sentToProvider": False}}
    for kind, wanted in defaults.items():
        row = ALL[kind].blank(ONE, DAY)[ALL[kind].main.name][0]
        assert {name: row[name] for name in wanted} == wanted
        assert (row["id"], row["createdAt"]) == (ONE, DAY)
    token = MAPPINGS["token"].blank("secret", DAY)["verification_tokens"][0]
    assert token == {"identifier": None, "token": "secret", "expires": None}


# ---------------------------------------------------------------------- chats and their events
def test_a_swipe_with_number_zero_is_not_one_without_a_number() -> None:
    rows = MESSAGES.blank(ONE, DAY)
    rows["messages"][0].update(swipeIndex=0, tokenCount=0, swipeGroupId="", role="USER", content="")
    record = MESSAGES.check(rows)[1]
    assert (record["swipeIndex"], record["tokenCount"], record["swipeGroupId"]) == (0, 0, "")
    back = MESSAGES.to_rows(record)["messages"][0]
    assert (back["swipeIndex"], back["tokenCount"], back["swipeGroupId"]) == (0, 0, "")


def test_attachments_are_in_the_order_in_which_they_came() -> None:
    files = [{"id": "b", "createdAt": DAY}, {"id": "c", "createdAt": DAYS_BEFORE}, {"id": "a", "createdAt": DAY}]
    record = MESSAGES.to_record({**MESSAGES.blank(ONE, DAY), "chat_files": files})
    assert record["attachments"] == ["c", "a", "b"]


DAYS_BEFORE = "2024-12-31T00:00:00.000Z"


def test_documents_take_what_only_the_files_tell() -> None:
    rows = MAPPINGS["chat"].blank(ONE, DAY)
    rows["chats"][0].update(userId=ONE, characterId=ONE, connectionProfileId=ONE, title="Tea")
    record = MAPPINGS["chat"].check(rows)[1]
    chat = Chat.check({**record, "extras": {"log": {"bytes": 0}}})
    assert chat.extras
    assert chat.extras.log
    assert chat.extras.log.bytes == 0
    said = {"type": "message", "id": ONE, "role": "TOOL", "content": "", "createdAt": DAY}
    assert Message.check({**said, "extras": {"crc": "00ff00ff"}}).attachments == ()
    summary = {"type": "context-summary", "id": ONE, "context": "", "createdAt": DAY}
    assert ContextSummary.check({**summary, "extras": {"crc": "00ff00ff"}}).noun == "context summary"
    for document, wrong in ((Message, {**said, "extras": {"crc": "FF"}}), (Message, summary), (ContextSummary, said)):
        with pytest.raises(InvalidRecordError):
            document.check(wrong)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 1.5, True, "3"])
def test_a_number_that_sql_cannot_hold_is_refused_by_name(value: Any) -> None:
    said = {"type": "message", "id": ONE, "role": "USER", "content": "", "createdAt": DAY, "tokenCount": value}
    with pytest.raises(InvalidRecordError) as refused:
        Message.check(said)
    assert list(refused.value.problems) == ["tokenCount"]


# ---------------------------------------------------------------------- what Quilltap would refuse
IDS = {
    "key": ("id",),
    "profile": ("id", "userId", "apiKeyId", "tags"),
    "image_profile": ("id", "userId", "apiKeyId", "tags"),
    "image": ("id", "userId", "tags"),
    "chat": ("id", "userId", "characterId", "personaId", "connectionProfileId", "imageProfileId", "tags"),
    "attachment": ("id", "userId", "chatId", "messageId"),
    "avatar": ("id", "userId", "chatId", "characterId"),
    "message": ("id", "attachments"),
    "context-summary": ("id",),
}


@pytest.mark.parametrize(("kind", "field"), [(kind, field) for kind, fields in IDS.items() for field in fields])
def test_an_id_that_is_no_uuid_is_named_by_field(kind: str, field: str) -> None:
    record: dict[str, Any] = {name: [ONE] if name in ("tags", "attachments") else ONE for name in IDS[kind]}
    assert rejection(kind, record) is None
    wrong: Any = [ONE, "user-123"] if isinstance(record[field], list) else "user-123"
    assert field in str(rejection(kind, {**record, field: wrong}))


@pytest.mark.parametrize("kind", ["account", "session", "token"])
def test_of_the_records_of_nextauth_quilltap_refuses_none(kind: str) -> None:
    assert rejection(kind, {"id": "user-123", "token": "", "userId": "ü"}) is None


def test_every_kind_has_words_for_people() -> None:
    words = {kind: mapping.document.noun for kind, mapping in ALL.items()}
    assert {kind: noun for kind, noun in words.items() if noun != kind} == {
        "token": "verification token",
        "key": "API key",
        "profile": "connection profile",
        "image_profile": "image profile",
    }
