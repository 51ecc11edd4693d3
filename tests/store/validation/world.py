"""A small library with rows in all 23 tables, several of each so that a damaged one has neighbours; ids tell the table
and the number. It is written by plain SQL, and brought to the files once; each test damages a copy."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from store import Store, open_store
from store.database import Database
from store.deriving import Loader
from store.files.public import PublicFiles
from store.files.side import JsonSide
from store.files.system import System
from store.secrets import API_KEY, BACKUP_CODES, TOTP_SECRET, Secrets
from store.validation import Report, validate_side
from tests import nasty
from tests.factories import open_test_store, put, settings_for
from tests.nasty import PEPPER, Json, Row, uid
from tests.store.tables.quilltap_database import ORDER

MARKER = "MARKER-of-a-secret-that-nobody-may-see"
ROWS = 3  # of each table
DAY = "2025-06-0{} 12:00:00.500"
_SECRETS = Secrets(PEPPER)  # keeps its keys, which take long to derive
BYTES = {f"uploads/images/{number}.png": f"picture {number}".encode() for number in range(ROWS)}
BYTES |= {f"uploads/chat-files/{number}.txt": f"text {number}".encode() for number in range(ROWS)}


def rows() -> Iterator[tuple[str, Row]]:
    """Table and row, parents first."""
    secrets = Secrets(PEPPER)
    for number in range(ROWS):
        yield from _people(number, secrets)
        yield from _tools(number)
        yield from _library(number)
    for number in range(ROWS):
        yield from _talk(number)
    for number in range(ROWS):
        yield from _links(number)


def _dated(table: str, number: int, **row: Any) -> tuple[str, Row]:
    day = DAY.format(number + 1)
    return table, {"id": uid(table, number), "createdAt": day, "updatedAt": DAY.format(number + 2), **row}


def _people(number: int, secrets: Secrets) -> Iterator[tuple[str, Row]]:
    user = uid("users", number)
    totp = secrets.encrypt(user, f"{MARKER} totp {number}").spelled(TOTP_SECRET)
    codes = secrets.encrypt_codes(user, [f"{MARKER} {number}"]).spelled(BACKUP_CODES)
    verified = {"totpEnabled": True, "totpVerifiedAt": DAY.format(1), "emailVerified": DAY.format(2)}
    person = {"email": f"user{number}@example.org", "name": f"User {number}", "passwordHash": f"{MARKER} {number}"}
    yield _dated("users", number, **person, **verified, **totp, **codes, image="/a.png")
    modes = {"avatarDisplayMode": "GROUP_ONLY", "avatarDisplayStyle": "CIRCULAR"}
    yield _dated("chat_settings", number, userId=user, **modes)
    google = {"type": "oauth", "provider": "google", "providerAccountId": f"g{number}", "expires_at": 1700000000}
    tokens = dict.fromkeys(("access_token", "refresh_token", "id_token"), f"{MARKER} {number}")
    yield "accounts", {"id": uid("accounts", number), "userId": user, "scope": "openid", **google, **tokens}
    session = {"sessionToken": f"{MARKER} {number}", "expires": DAY.format(9)}
    yield "sessions", {"id": uid("sessions", number), "userId": user, **session}
    token = {"identifier": f"user{number}@example.org", "token": f"{MARKER}-{number}"}
    yield "verification_tokens", {**token, "expires": DAY.format(9)}
    cipher = secrets.encrypt(user, f"{MARKER} key {number}").spelled(API_KEY)
    named = {"label": f"Key {number}", "provider": "OPENAI", "isActive": True, "lastUsed": DAY.format(5)}
    yield _dated("api_keys", number, userId=user, **named, **cipher)


def _tools(number: int) -> Iterator[tuple[str, Row]]:
    user = uid("users", number)
    local = {"provider": "GROK", "apiKeyId": uid("api_keys", number), "baseUrl": "http://x", "modelName": "m"}
    settings = Json('{"temperature": 1.0, "top": [1, null]}')
    for table, name in (("connection_profiles", "Profile"), ("image_profiles", "Painter")):
        yield _dated(table, number, userId=user, name=f"{name} {number}", **local, parameters=settings, isDefault=True)
    yield _dated("tags", number, userId=user, name=f"Tag {number}", nameLower=f"tag {number}")
    file = {"filename": f"{number}.png", "filepath": f"uploads/images/{number}.png", "mimeType": "image/png"}
    made = {"size": 9, "width": 640, "height": 480, "source": "generated", "url": f"http://x/{number}"}
    yield _dated("images", number, userId=user, **file, **made, generationPrompt="A cat", generationModel="d")


def _library(number: int) -> Iterator[tuple[str, Row]]:
    mine = {"userId": uid("users", number), "defaultImageId": uid("images", number), "title": "T", "avatarUrl": "/a"}
    texts = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "Some words.")
    free = Json('{"spec": "v2", "n": [1.0, true]}')
    yield _dated("characters", number, **mine, **texts, name=f"Alice {number}", isFavorite=True, sillyTavernData=free)
    persona = {"description": "Some words.", "personalityTraits": "Kind.", "name": f"Queen {number}"}
    yield _dated("personas", number, **mine, **persona, sillyTavernData=free)


def _talk(number: int) -> Iterator[tuple[str, Row]]:
    ends = {"connectionProfileId": "connection_profiles", "imageProfileId": "image_profiles"}
    ends |= {"userId": "users", "characterId": "characters", "personaId": "personas"}
    named = {column: uid(table, number) for column, table in ends.items()}
    free = Json('{"a": {"b": 0}}')
    yield _dated("chats", number, **named, title=f"Tea {number}", contextSummary="Sum", sillyTavernMetadata=free)
    for place in range(4):
        said = {"id": uid("messages", 10 * number + place), "chatId": uid("chats", number), "role": "ASSISTANT"}
        swipe = {"swipeGroupId": "s", "swipeIndex": place, "tokenCount": 7, "rawResponse": Json('{"id": 1.50}')}
        yield "messages", {**said, "content": f"Words {place}", "createdAt": DAY.format(1 + place), **swipe}
    sent = {"id": uid("chat_files", number), "chatId": uid("chats", number), "messageId": uid("messages", 10 * number)}
    file = {"filename": f"{number}.txt", "filepath": f"uploads/chat-files/{number}.txt", "mimeType": "text/plain"}
    told = {"size": 6, "width": 1, "sentToProvider": True, "providerError": "429", "createdAt": DAY.format(3)}
    yield "chat_files", {**sent, **file, **told}


def _links(number: int) -> Iterator[tuple[str, Row]]:
    tagged = {
        "character_tags": ("characterId", "characters"),
        "persona_tags": ("personaId", "personas"),
        "chat_tags": ("chatId", "chats"),
        "connection_profile_tags": ("connectionProfileId", "connection_profiles"),
        "image_profile_tags": ("imageProfileId", "image_profiles"),
    }
    for table, (column, owners) in tagged.items():
        for place in range(2):
            link = {"id": uid(table, 10 * number + place), column: uid(owners, number)}
            yield table, {**link, "tagId": uid("tags", place), "createdAt": DAY.format(place + 1)}
    pair = {"characterId": uid("characters", number), "personaId": uid("personas", number)}
    yield "character_personas", {**pair, "isDefault": True}
    theme = {"imageId": uid("images", number), "tagType": "THEME", "tagId": uid("tags", number)}
    yield "image_tags", {"id": uid("image_tags", number), **theme, "createdAt": DAY.format(4)}
    worn = {"chatId": uid("chats", number), "characterId": uid("characters", number), "imageId": uid("images", number)}
    yield "chat_avatar_overrides", {"id": uid("chat_avatar_overrides", number), **worn, "createdAt": DAY.format(5)}


@dataclass
class World:
    """A database, and the files made of it, which stay as they are: damage is done to copies."""

    folder: Path
    url: str

    def copy(self, target: Path) -> Path:
        """The data folder once more, and the bytes of images beside it."""
        for name in ("data", "public"):
            shutil.copytree(self.folder / name, target / name, symlinks=True)
        return target / "data"

    def opened(self, folder: Path) -> Store:
        """A store on copies of both sides; only of a world on SQLite."""
        self.copy(folder)
        with closing(sa.create_engine(self.url).raw_connection()) as source:
            source.driver_connection.execute(f"VACUUM INTO '{folder / 'quilltap.sqlite'}'")  # type: ignore[union-attr]
        store = open_store(settings_for(folder, encryption_master_pepper=PEPPER), follow=False)
        assert store.step.in_step, store.step
        return store

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """A connection whose changes are undone."""
        database = Database(self.url)
        with database.session() as session, session.read() as connection:
            if database.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            yield connection
            connection.rollback()
        database.close()

    def validated(self, data: Path, *statements: str, quick: bool = False, only: tuple[str, ...] = ()) -> Report:
        """Compare the database, changed by these statements, with a copy of the files."""
        public = PublicFiles(System(), data.parent / "public")
        side = JsonSide(data, data.parent / "data.tandem", public_dir=data.parent / "public")
        with self.snapshot() as connection:
            for statement in statements:
                assert connection.exec_driver_sql(statement).rowcount == 1
            return validate_side(connection, Loader(public), side, secrets=_SECRETS, quick=quick, only=only)


def make(folder: Path, url: str) -> World:
    """Fill an empty database that has its tables, and bring it to the files."""
    for path, data in BYTES.items():
        put(folder / "public", path, data)
    engine = sa.create_engine(url)
    by_table: dict[str, list[Row]] = {name: [] for name in ORDER}
    for table, row in rows():
        by_table[table].append({name: value for name, value in row.items() if name in _columns(table)})
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table, several in by_table.items():
            for row in several:
                nasty._insert(connection, table, row)
    engine.dispose()
    store = open_test_store(folder, url)
    store.fill_json_side()
    assert store.waiting() == 0, store.problems()
    store.close()
    return World(folder, url)


def _columns(table: str) -> set[str]:
    return set(nasty.TABLES[table].columns)
