"""What was changed in SQL alone, by plain statements: each found, by model, id and field, and nothing else."""

from pathlib import Path

import pytest

from store.tables import MODELS
from store.validation import shown_id
from tests.nasty import uid
from tests.store.validation.test_damages import told
from tests.store.validation.world import MARKER, World

pytestmark = pytest.mark.slow  # a hundred statements, on two databases
_PAIR = f"{uid('characters', 1)}:{uid('personas', 1)}"
_TOKEN = shown_id("token", f"{MARKER}-1")
# model, column, and what it is set to
_UPDATES = (
    *(("User", "email", "'other@example.org'"), ("User", "totpEnabled", "false"), ("User", "emailVerified", "NULL")),
    *(("ChatSettings", "avatarDisplayMode", "'NEVER'"), ("ChatSettings", "avatarDisplayStyle", "''")),
    *(("Account", "expires_at", "NULL"), ("Account", "session_state", "'x'"), ("Account", "scope", "'openid  '")),
    *(("Session", "expires", "'2025-06-09 12:00:00.501000'"), ("Session", "sessionToken", "'x'")),
    *(("ApiKey", "label", "'key 1'"), ("ApiKey", "provider", "'GROK'"), ("ApiKey", "isActive", "false")),
    *(("ConnectionProfile", "parameters", "'{\"temperature\": 1}'"), ("ConnectionProfile", "apiKeyId", "NULL")),
    ("ConnectionProfileTag", "createdAt", "'2025-06-01 12:00:00.499000'"),
    *(("Character", "name", "'Alice 1 '"), ("Character", "isFavorite", "false"), ("Character", "title", "''")),
    *(("Character", "sillyTavernData", "'null'"), ("Character", "sillyTavernData", "NULL")),
    ("CharacterTag", "createdAt", "'2025-06-01 12:00:00.499000'"),
    *(("Persona", "description", "'x'"), ("Persona", "sillyTavernData", "'[]'")),
    ("Persona", "personalityTraits", "NULL"),
    ("PersonaTag", "createdAt", "'2025-06-01 12:00:00.499000'"),
    *(("Chat", "contextSummary", "NULL"), ("Chat", "sillyTavernMetadata", "'{\"a\": {\"b\": null}}'")),
    *(("Message", "content", "'x'"), ("Message", "role", "'TOOL'"), ("Message", "tokenCount", "0")),
    *(("Message", "rawResponse", "'{\"id\": 1.5}'"), ("Message", "swipeGroupId", "NULL")),
    *(("ChatFile", "sentToProvider", "false"), ("ChatFile", "providerError", "NULL"), ("ChatFile", "size", "7")),
    ("ChatTag", "createdAt", "'2025-06-01 12:00:00.499000'"),
    *(("Image", "url", "NULL"), ("Image", "source", "'scanned'"), ("Image", "width", "0"), ("Image", "filename", "''")),
    *(("ImageTag", "tagType", "'CHAT'"), ("ImageTag", "createdAt", "'2025-06-04 12:00:00.499000'")),
    *(("ChatAvatarOverride", "createdAt", "'2025-06-05 12:00:00.499000'"), ("ImageProfile", "name", "'painter 1'")),
    ("ImageProfileTag", "createdAt", "'2025-06-01 12:00:00.499000'"),
    *(("Tag", "name", "'TAG 1'"), ("Tag", "nameLower", "'tag l'")),
    ("Tag", "updatedAt", "'2025-06-03 12:00:00.501000'"),
)  # fmt: skip
_TEN = {"Message": 11} | dict.fromkeys(
    ("ConnectionProfileTag", "CharacterTag", "PersonaTag", "ChatTag", "ImageProfileTag"), 10
)


def _id(model: str) -> str:
    return uid(MODELS[model].name, _TEN.get(model, 1))


@pytest.mark.parametrize(("model", "column", "value"), _UPDATES, ids=lambda told: str(told)[:40])
def test_a_value(either_world: World, tmp_path: Path, model: str, column: str, value: str) -> None:
    data = either_world.copy(tmp_path)
    statement = f'UPDATE "{MODELS[model].name}" SET "{column}" = {value} WHERE id = \'{_id(model)}\''
    report = either_world.validated(data, statement)
    assert told(report) == {(model, _id(model), column)}, report.as_text()
    assert (report.exit_status, report.inconsistent, report.checked) == (2, 1, report.consistent + 1)


@pytest.mark.parametrize(
    ("statement", "wrong"),
    [
        (
            f"UPDATE verification_tokens SET expires = '2025-06-09 12:00:00.501000' WHERE token = '{MARKER}-1'",
            {("VerificationToken", _TOKEN, "expires")},
        ),
        (f"DELETE FROM verification_tokens WHERE token = '{MARKER}-1'", {("VerificationToken", _TOKEN, None)}),
        (
            f'UPDATE character_personas SET "isDefault" = false WHERE "characterId" = \'{uid("characters", 1)}\'',
            {("CharacterPersona", _PAIR, "isDefault")},
        ),
        (
            f'DELETE FROM character_personas WHERE "characterId" = \'{uid("characters", 1)}\'',
            {("CharacterPersona", _PAIR, None)},
        ),
        *(
            (f"DELETE FROM {MODELS[model].name} WHERE id = '{_id(model)}'", {(model, _id(model), None)})
            for model in ("ChatSettings", "Account", "CharacterTag", "ImageTag", "ChatAvatarOverride", "ChatFile")
        ),
        *(
            (f"DELETE FROM {MODELS[model].name} WHERE id = '{_id(model)}'", {(model, _id(model), None)})
            for model in ("Message", "PersonaTag")
        ),
        (
            f"INSERT INTO messages (id, \"chatId\", role, content, \"createdAt\") VALUES "
            f"('new', '{uid('chats', 1)}', 'USER', '', '2025-06-02 12:00:00.500000')",
            {("Message", "new", None)},
        ),
        (
            f"INSERT INTO tags VALUES ('new', '{uid('users', 0)}', 'n', 'n', "
            "'2025-06-02 12:00:00.500000', '2025-06-02 12:00:00.500000')",
            {("Tag", "new", None)},
        ),
        (
            f"UPDATE messages SET \"chatId\" = '{uid('chats', 2)}' WHERE id = '{uid('messages', 13)}'",
            {("Message", uid("messages", 13), "chatId")},
        ),
        (
            f"UPDATE messages SET \"createdAt\" = '2025-06-09 12:00:00.500000' WHERE id = '{uid('messages', 11)}'",
            {("Message", uid("messages", 11), "createdAt")},
        ),
    ],
    ids=lambda told: told[:60] if isinstance(told, str) else "",
)  # fmt: skip
def test_a_row(either_world: World, tmp_path: Path, statement: str, wrong: set[tuple[str, str, str | None]]) -> None:
    report = either_world.validated(either_world.copy(tmp_path), statement)
    assert told(report) == wrong, report.as_text()
    assert report.exit_status & ~8 == 2
    assert report.inconsistent == 1


@pytest.mark.parametrize(
    ("statement", "wrong", "status"),
    [
        (
            f"UPDATE messages SET role = 'NARRATOR' WHERE id = '{uid('messages', 11)}'",
            ("Message", uid("messages", 11), "role"),
            2,
        ),
        (
            f"UPDATE tags SET \"createdAt\" = 'soon' WHERE id = '{uid('tags', 1)}'",
            ("Tag", uid("tags", 1), "createdAt"),
            2,
        ),
        (
            f"UPDATE characters SET \"sillyTavernData\" = '{{' WHERE id = '{uid('characters', 1)}'",
            ("Character", uid("characters", 1), "sillyTavernData"),
            2,
        ),
        (
            f"UPDATE personas SET name = CAST(X'ff' AS TEXT) WHERE id = '{uid('personas', 1)}'",
            ("Persona", uid("personas", 1), "name"),
            2,
        ),
        (
            f"UPDATE characters SET \"defaultImageId\" = 'gone' WHERE id = '{uid('characters', 1)}'",
            ("Character", uid("characters", 1), "defaultImageId"),
            10,
        ),
        (
            f"INSERT INTO chat_tags VALUES ('new', 'no chat', '{uid('tags', 1)}', '2025-06-02 12:00:00.500000')",
            ("ChatTag", "new", None),
            10,
        ),
        (
            "INSERT INTO messages (id, \"chatId\", role, content, \"createdAt\") VALUES "
            "('new', 'no chat', 'USER', '', '2025-06-02 12:00:00.500000')",
            ("Message", "new", None),
            10,
        ),
    ],
    ids=lambda told: told[:60] if isinstance(told, str) else "",
)  # fmt: skip
def test_what_only_sqlite_lets_happen(
    world: World, data: Path, statement: str, wrong: tuple[str, str, str | None], status: int
) -> None:
    report = world.validated(data, statement)
    assert told(report) == {wrong}, report.as_text()
    assert (report.exit_status, report.inconsistent, report.errors) == (status, 1, 0)
    if status == 10:
        assert [one.side for one in report.dangling] == ["sql"]


def test_every_model_has_a_damage() -> None:
    named = {model for model, _, _ in _UPDATES} | {"VerificationToken", "CharacterPersona"}
    assert set(MODELS) - named == set()
