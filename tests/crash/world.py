"""A small world of linked records, what is done to it, and how it is brought back to how it was."""

import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from store import Settings, Store, open_store
from store.files.index import SETTLED_NS
from store.files.system import System
from tests.crash import reader, reader_of_audit
from tests.factories import files_below, settings_for


def _id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


ADA, BOB, NEW_USER = _id(1), _id(2), _id(3)
ELF, KING, BOBS_TAG, NEW_TAG = _id(11), _id(12), _id(13), _id(14)
LEGACY = "legacy.tag"  # not a UUID, so it lies beside tags.json
MASK, CLOAK, BOBS_MASK = _id(21), _id(22), _id(23)
HERO, SQUIRE, BOBS_HERO, NEW_HERO = _id(31), _id(32), _id(33), _id(34)
KEY, PROFILE, OTHER_PROFILE, DRAWING, BOBS_PROFILE = _id(41), _id(42), _id(43), _id(44), _id(45)
CHAT, BOBS_CHAT, PICTURE, FILE, NEW_CHAT = _id(51), _id(52), _id(53), _id(54), _id(55)
FIRST, SECOND, SWIPE, NEW_MESSAGE = _id(61), _id(62), _id(63), _id(64)
EMPTY = dict.fromkeys(("personality", "scenario", "firstMessage"), "")
Operation = Callable[[Store], Any]


def populate(store: Store) -> None:
    """Two users, and some of every noun, hanging together."""
    populate_characters(store)
    _populate_chats(store)


def populate_characters(store: Store) -> None:
    """Two users; tags, personas and characters that hang together."""
    store.users.create({"id": ADA, "email": "ada@example.org", "name": "Ada", "createdAt": "2025-01-01T00:00:00.000Z"})
    store.users.update_chat_settings(ADA, {"avatarDisplayStyle": "SQUARE"})
    store.users.create({"id": BOB, "email": "bob@example.org", "name": "Bob", "createdAt": "2025-02-01T00:00:00.000Z"})
    for tag_id, owner, name in ((ELF, ADA, "Elf"), (KING, ADA, "König"), (LEGACY, ADA, "Alt"), (BOBS_TAG, BOB, "Elf")):
        store.tags.create({"id": tag_id, "userId": owner, "name": name})
    for persona_id, owner, tags in ((MASK, ADA, [ELF]), (CLOAK, ADA, []), (BOBS_MASK, BOB, [BOBS_TAG])):
        fields = {"id": persona_id, "userId": owner, "name": "Mask", "description": "d", "tags": tags}
        store.personas.create(fields)
    for character_id, owner, tags, personas in (
        (HERO, ADA, [ELF, KING, LEGACY], [MASK]),
        (SQUIRE, ADA, [ELF], []),
        (BOBS_HERO, BOB, [BOBS_TAG], [BOBS_MASK]),
    ):
        links = [{"personaId": one, "isDefault": True} for one in personas]
        fields = {"id": character_id, "userId": owner, "name": "Hero", "description": "Größe\u2028🔑" * 20, **EMPTY}
        fields["sillyTavernData"] = {"z": [1, {"b": None, "a": "é"}], "a": {}}
        store.characters.create({**fields, "tags": tags, "personaLinks": links})


def _populate_chats(store: Store) -> None:
    """Keys, profiles, a picture, and chats with messages, swipes and a file."""
    cipher = {"keyEncrypted": "00", "keyIv": "11", "keyAuthTag": "22"}
    store.keys.create({"id": KEY, "userId": ADA, "label": "Key", "provider": "OPENAI", **cipher})
    model = {"userId": ADA, "provider": "OPENAI", "modelName": "m", "apiKeyId": KEY, "tags": [ELF]}
    store.profiles.create({"id": PROFILE, "name": "One", "isDefault": True, "parameters": {"b": 1, "a": 2}, **model})
    store.profiles.create({"id": OTHER_PROFILE, "name": "Other", **model})
    store.profiles.create({"id": BOBS_PROFILE, "name": "Bob's", **model, "userId": BOB, "tags": [], "apiKeyId": None})
    store.image_profiles.create({"id": DRAWING, "name": "Painter", **model})
    file = {"filename": "f.png", "mimeType": "image/png", "size": 1}
    picture = {"id": PICTURE, "userId": ADA, "filepath": "uploads/p.png", **file}
    store.images.create({**picture, "imageTags": [{"tagType": "THEME", "tagId": "rain"}]})
    store.characters.update(HERO, {"defaultImageId": PICTURE})
    links = {"characterId": HERO, "personaId": MASK, "connectionProfileId": PROFILE, "imageProfileId": DRAWING}
    store.chats.create({"id": CHAT, "userId": ADA, "title": "Tea", "tags": [ELF], **links})
    bobs = {"characterId": BOBS_HERO, "personaId": BOBS_MASK, "connectionProfileId": BOBS_PROFILE}
    store.chats.create({"id": BOBS_CHAT, "userId": BOB, "title": "Ale", **bobs})
    store.attachments.create({"id": FILE, "chatId": CHAT, "filepath": "uploads/f.png", **file})
    said = {"role": "USER", "content": "Größe\u2028🔑" * 9, "createdAt": "2025-03-01T00:00:00.000Z"}
    swiped = {"createdAt": "2025-03-01T00:00:01.000Z", "role": "ASSISTANT", "swipeGroupId": "g"}
    several = [
        {"id": FIRST, **said, "attachments": [FILE]},
        {"id": SECOND, "content": "a", "swipeIndex": 0, "rawResponse": {"z": 1, "a": {}}, **swiped},
        {"id": SWIPE, "content": "b", "swipeIndex": 1, **swiped},
    ]
    store.chats.add_messages(CHAT, several)
    store.chats.set_avatar_override(CHAT, HERO, PICTURE)


def _add_message(store: Store) -> Any:
    fields = {"id": NEW_MESSAGE, "role": "USER", "content": "new " * 50, "createdAt": "2025-04-01T00:00:00.000Z"}
    return store.chats.add_message(CHAT, fields)


def _create_character(store: Store) -> Any:
    links = [{"personaId": MASK, "isDefault": True}]
    fields = {"id": NEW_HERO, "userId": ADA, "name": "New", "description": "new " * 50, **EMPTY}
    return store.characters.create({**fields, "tags": [KING, LEGACY], "personaLinks": links})


def _update_character(store: Store) -> Any:
    links = [{"personaId": MASK, "isDefault": False}, {"personaId": CLOAK, "isDefault": True}]
    fields = {"name": "Renamed", "description": "changed " * 90, "tags": [KING, BOBS_TAG], "personaLinks": links}
    return store.characters.update(HERO, fields)


# A user older than all others, so that it takes the place of the oldest in settings/general.json.
_OLDER = {"id": NEW_USER, "email": "eve@example.org", "name": "Eve", "createdAt": "2024-01-01T00:00:00.000Z"}

OPERATIONS: dict[str, Operation] = {
    "character-create": _create_character,
    "character-update": _update_character,
    "character-rename": lambda store: store.characters.update(HERO, {"name": "Renamed", "description": "x" * 900}),
    "character-delete": lambda store: store.characters.delete(HERO),
    "tag-create": lambda store: store.tags.create({"id": NEW_TAG, "userId": ADA, "name": "New"}),
    "tag-update": lambda store: store.tags.update(ELF, {"name": "Dwarf"}),
    "tag-delete": lambda store: store.tags.delete(ELF),
    "message-add": _add_message,
    "message-update": lambda store: store.chats.update_message(FIRST, {"content": "changed"}),
    "message-delete": lambda store: store.chats.delete_message(SECOND),
    "chat-delete": lambda store: store.chats.delete(CHAT),
    "image-delete": lambda store: store.images.delete(PICTURE),
    "default-switch": lambda store: store.profiles.set_default(OTHER_PROFILE),
    "user-create": lambda store: store.users.create(dict(_OLDER)),
    "user-update": lambda store: store.users.update(ADA, {"name": "Ada Lovelace"}),
    "user-delete": lambda store: store.users.delete(ADA),
}
# One file each: there is nothing in between.
SINGLE_FILE = {"character-rename", "tag-create", "tag-update", "user-update"}
# Schema and name, in the order in which they can be filled.
_TABLES = [*(("public", table) for table in reader.TABLES), ("tandem", "audit"), ("tandem", "outbox")]
# The audit only grows: it takes its owner to make it what it was.
_FORGET = ("ALTER TABLE tandem.audit DISABLE TRIGGER tandem_audit_only_grows", "TRUNCATE tandem.audit")
_GROW = "ALTER TABLE tandem.audit ENABLE ALWAYS TRIGGER tandem_audit_only_grows"


@dataclass
class World:
    """A populated store that is closed, and copies of everything from which it is made anew."""

    settings: Settings
    kept: Path

    @property
    def on_sqlite(self) -> bool:
        return self.settings.database_url.startswith("sqlite")

    def open(self, system: System | None = None) -> Store:
        return open_store(self.settings, follow=False, system=system)

    def keep(self, name: str = "populated") -> None:
        """Remember how everything is now. The store is closed."""
        for part in self._parts():
            _copy(part, self.kept / name / part.name)
        if not self.on_sqlite:
            copies = (f'CREATE TABLE {name}."{table}" AS TABLE {schema}."{table}"' for schema, table in _TABLES)
            self._on_postgres(f"CREATE SCHEMA {name}", *copies)

    def restore(self, name: str = "populated") -> None:
        """Bring everything back to how it was kept. The store is closed."""
        for part in self._parts():
            _copy(self.kept / name / part.name, part)
        if not self.on_sqlite:  # the outbox comes last, because triggers write to it meanwhile
            fills = [f'INSERT INTO {schema}."{table}" SELECT * FROM {name}."{table}"' for schema, table in _TABLES]
            self._on_postgres(
                "TRUNCATE users CASCADE", *_FORGET, *fills[:-1], _GROW, "DELETE FROM tandem.outbox", fills[-1]
            )

    def left_now(self) -> object:
        """What a kill now would leave; equal answers mean that not a byte was written in between."""
        if not self.on_sqlite:
            return object()  # that is not seen from here
        databases = [path for path in self._parts() if path.is_file() and not path.name.endswith("-shm")]
        found: list[tuple[object, ...]] = [(str(path), zlib.crc32(path.read_bytes())) for path in databases]
        for folder in filter(Path.exists, (self.settings.data_dir, self.settings.own_dir)):
            found.append((str(folder), os.lstat(folder).st_ino))  # an export puts a link in its place
            for path, status in _below(str(folder)):
                if not path.startswith(str(self.settings.own_dir / "index.sqlite")):
                    found.append((path, status.st_ino, status.st_size))  # nothing is written over in place
                elif not path.endswith("-shm"):
                    found.append((path, zlib.crc32(Path(path).read_bytes())))
        return frozenset(found)

    def sqlite_files(self) -> dict[Path, bytes | None]:
        """What the database's files hold now. Without the one that readers share: it is made anew from the log."""
        return {path: path.read_bytes() if path.exists() else None for path in self._sqlite_paths("", "-wal")}

    def lay_sqlite(self, files: dict[Path, bytes | None]) -> None:
        """Bring the database alone back to how it was; nobody has it open."""
        for path in self._sqlite_paths("", "-wal", "-shm"):
            if (data := files.get(path)) is None:
                path.unlink(missing_ok=True)
            else:
                path.write_bytes(data)

    def _sqlite_paths(self, *suffixes: str) -> list[Path]:
        database = Path(self.settings.database_url.removeprefix("sqlite:///"))
        return [database.with_name(database.name + suffix) for suffix in suffixes]

    def _on_postgres(self, *statements: str) -> None:
        with psycopg.connect(self.settings.database_url.replace("+psycopg", "")) as connection:
            for statement in statements:
                connection.execute(statement)

    def _parts(self) -> list[Path]:
        sides = [self.settings.data_dir, self.settings.own_dir]
        if not self.on_sqlite:
            return sides
        return [*sides, *self._sqlite_paths("", "-wal", "-shm")]

    def look(self) -> "Seen":
        """What another program sees of it now."""
        dual = self.settings.data_backend == "dual"
        index = f"sqlite:///{self.settings.own_dir / 'index.sqlite'}"
        sql = reader.read_sql(self.settings.database_url if dual else index)
        left = reader.leftovers(self.settings.data_dir, self.settings.own_dir)
        followed = sql if dual else reader.read_sql(self.settings.database_url)
        audit = reader_of_audit.entries(self.settings.database_url)
        waiting = reader_of_audit.waiting(self.settings.own_dir)
        return Seen(dual, sql, files_below(self.settings.data_dir), left, followed, audit, waiting)


@dataclass(frozen=True)
class Seen:
    """Both sides at one moment. ``sql`` is the database; in ``json`` mode the derived index, and ``followed`` the
    database that follows the files. ``audit``: its entries; ``waiting``: what of it the database does not have yet."""

    dual: bool
    sql: reader.Sql
    files: dict[str, bytes]
    left: list[str]
    followed: reader.Sql
    audit: list[reader_of_audit.Entry]
    waiting: list[str]

    def violations(self) -> list[str]:
        """What is not as it has to be once nothing goes on: both sides equal, nothing waiting, nothing left behind."""
        different = reader.differences(self.followed, self.files)
        return [*self.left, *different, *reader.dangling(reader.records(self.files))]

    def records(self) -> dict[reader.Entity, reader.Row]:
        """What is there by the side that counts: SQL in ``dual``, the files in ``json`` mode."""
        return reader.records(reader.expected_files(self.sql) if self.dual else self.files)

    def outline(self) -> str:
        """The same text for states that differ only by what clocks and chance made. Raises when a file is torn."""
        sides = [reader.records(self.files), reader.records(reader.expected_files(self.sql))]
        left, told = (
            sorted(re.sub(r"\.tandem-\w+", "", one) for one in which)
            for which in (self.left, reader.differences(self.sql, self.files))
        )
        rest = [left, told if self.dual else len(self.sql.waiting), self.audit, self.waiting]
        return repr([sorted(side.items()) for side in sides] + rest)


def _below(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Every file below a folder, and every link, wherever it leads."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            else:
                yield entry.path, entry.stat(follow_symlinks=False)


def _copy(source: Path, target: Path) -> None:
    """Make ``target`` what ``source`` is, also when that is nothing.

    JSON files are linked and not copied, so that the index still knows them: the store never writes into a file.
    """
    if not source.is_dir():
        if target.is_dir():
            shutil.rmtree(target)
        if not source.exists():
            target.unlink(missing_ok=True)
        elif not target.exists() or not source.samefile(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            whole = source.suffix == ".json" or source.name == "index.jsonl"  # a chat's file is written to in place
            (os.link if whole else shutil.copy2)(source, target)
        return
    target.mkdir(parents=True, exist_ok=True)
    for name in {part.name for folder in (source, target) for part in folder.iterdir()}:
        _copy(source / name, target / name)


def make_world(path: Path, backend: str = "dual", url: str = "") -> World:
    """A populated world on a new SQLite file, or in the empty PostgreSQL database named."""
    world = World(settings_for(path / "live", url, backend), path / "kept")
    store = world.open()
    populate(store)
    if backend == "json":
        time.sleep(2 * SETTLED_NS / 1e9)  # so that the index need not read every file once more
        store.index.refresh(full=True)
    store.close()
    world.keep()
    return world
