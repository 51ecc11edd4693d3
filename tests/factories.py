"""Stores and records for the tests: a test names only what matters to it."""

import functools
import itertools
import tempfile
from pathlib import Path
from typing import Any

from store import Settings, Store, open_store
from store.database import Database
from store.documents import (
    Account,
    ApiKey,
    Character,
    Chat,
    ConnectionProfile,
    Image,
    ImageProfile,
    Message,
    Persona,
    Session,
    Tag,
    User,
    VerificationToken,
)
from store.files import logs
from store.files.layout import SHELVES
from store.files.system import System
from store.quilltap import rejection
from store.secrets import API_KEY
from tests.quilltap_reader import read_folder

_numbers = itertools.count(1)


def settings_for(tmp_path: Path, url: str = "", backend: str = "dual", **changes: Any) -> Settings:
    """Everything below ``tmp_path``; a SQLite file there where no database is named."""
    values = {
        "database_url": with_driver(url or f"sqlite:///{tmp_path / 'quilltap.sqlite'}"),
        "data_dir": tmp_path / "data",
        "public_dir": tmp_path / "public",
        "instance_dir": tmp_path / "instance",
        "data_backend": backend,
    }
    return Settings(**{**values, **changes})


def open_test_store(
    tmp_path: Path, url: str = "", backend: str = "dual", *, follow: bool = False, system: System | None = None
) -> Store:
    """A store without its background loop, so that nothing happens which the test did not ask for."""
    if not url:
        lay_database(tmp_path / "quilltap.sqlite")
    return open_store(settings_for(tmp_path, url, backend), follow=follow, system=system)


@functools.cache
def prepared_database() -> bytes:
    """A SQLite file with every table and no row. Making the tables takes longer than most tests, so it is done once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quilltap.sqlite"
        database = Database(f"sqlite:///{path}")
        database.prepare()
        database.close()
        return path.read_bytes()


def lay_database(path: Path) -> None:
    """Put a database with every table where there is none yet."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(prepared_database())


def with_driver(url: str) -> str:
    """The spelling that ``read_settings`` gives a PostgreSQL address."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def make_user(store: Store, name: str = "Ada", **what_matters: Any) -> User:
    fields = {"name": name, "email": f"user{next(_numbers)}@example.org", **what_matters}
    user: User = store.users.create(fields).value
    return user


def make_tag(store: Store, name: str = "Elf", **what_matters: Any) -> Tag:
    tag: Tag = store.tags.create({"userId": _owner(store, what_matters), "name": name, **what_matters}).value
    return tag


def make_persona(store: Store, name: str = "Traveller", **what_matters: Any) -> Persona:
    fields = {"userId": _owner(store, what_matters), "name": name, "description": "", **what_matters}
    persona: Persona = store.personas.create(fields).value
    return persona


def make_character(store: Store, name: str = "Alice", **what_matters: Any) -> Character:
    empty = dict.fromkeys(("description", "personality", "scenario", "firstMessage"), "")
    fields = {"userId": _owner(store, what_matters), "name": name, **empty, **what_matters}
    character: Character = store.characters.create(fields).value
    return character


def make_key(store: Store, label: str = "Main", value: str = "sk-a-key-of-the-tests", **what_matters: Any) -> ApiKey:
    """An API key with this value, encrypted for its owner."""
    user_id = _owner(store, what_matters)
    parts = store.secrets.encrypt(user_id, value).spelled(API_KEY)
    fields = {"userId": user_id, "label": label, "provider": "OPENAI", "isActive": True, **parts, **what_matters}
    key: ApiKey = store.keys.create(fields).value
    return key


def make_profile(store: Store, name: str = "Everyday", **what_matters: Any) -> ConnectionProfile:
    fields = {"userId": _owner(store, what_matters), "name": name, "provider": "OPENAI", "modelName": "gpt-4o"}
    profile: ConnectionProfile = store.profiles.create({**fields, "parameters": {}, **what_matters}).value
    return profile


def make_image_profile(store: Store, name: str = "Painter", **what_matters: Any) -> ImageProfile:
    fields = {"userId": _owner(store, what_matters), "name": name, "provider": "OPENAI", "modelName": "dall-e-3"}
    profile: ImageProfile = store.image_profiles.create({**fields, "parameters": {}, **what_matters}).value
    return profile


def make_image(store: Store, filename: str = "alice.png", **what_matters: Any) -> Image:
    """An image's record; its bytes are where ``filepath`` says only if the test puts them there."""
    user_id, number = _owner(store, what_matters), next(_numbers)
    fields = {
        "userId": user_id,
        "filename": filename,
        "filepath": f"uploads/images/{user_id}/{number}_{filename}",
        "mimeType": "image/png",
        "size": 1,
        "source": "upload",
    }
    image: Image = store.images.create({**fields, **what_matters}).value
    return image


def make_chat(store: Store, title: str = "Tea", **what_matters: Any) -> Chat:
    """A chat; with a character and a profile of its own where the test names none."""
    user_id = _owner(store, what_matters)
    given = {"userId": user_id, "title": title, **what_matters}
    if "characterId" not in given:
        given["characterId"] = make_character(store, userId=user_id).id
    if "connectionProfileId" not in given:
        given["connectionProfileId"] = make_profile(store, userId=user_id).id
    chat: Chat = store.chats.create(given).value
    return chat


def make_message(store: Store, chat: Chat, content: str = "Hello.", **what_matters: Any) -> Message:
    message: Message = store.chats.add_message(chat.id, {"role": "USER", "content": content, **what_matters}).value
    return message


def make_account(store: Store, provider: str = "google", **what_matters: Any) -> Account:
    fields = {"userId": _owner(store, what_matters), "type": "oauth", "provider": provider}
    account: Account = store.accounts.create(
        {**fields, "providerAccountId": f"account-{next(_numbers)}", **what_matters}
    ).value
    return account


def make_session(store: Store, expires: str = "2099-01-01T00:00:00.000Z", **what_matters: Any) -> Session:
    fields = {"userId": _owner(store, what_matters), "sessionToken": f"session-{next(_numbers)}", "expires": expires}
    session: Session = store.sessions.create({**fields, **what_matters}).value
    return session


def make_token(store: Store, identifier: str = "ada@example.org", **what_matters: Any) -> VerificationToken:
    token = what_matters.pop("token", f"token-{next(_numbers)}")
    fields = {"id": token, "token": token, "identifier": identifier, "expires": "2099-01-01T00:00:00.000Z"}
    made: VerificationToken = store.tokens.create({**fields, **what_matters}).value
    return made


def _owner(store: Store, what_matters: dict[str, Any]) -> str:
    """The user named; otherwise the first there is, made when there is none."""
    if "userId" in what_matters:
        return str(what_matters["userId"])
    user = store.users.get_current_user() or make_user(store)
    return user.id


def files_below(folder: Path) -> dict[str, bytes]:
    """Relative path -> bytes of every file."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def put(folder: Path, path: str, data: bytes | str) -> Path:
    """Write a file as another program would."""
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data.encode() if isinstance(data, str) else data)
    return target


def assert_everything_is_equal(store: Store) -> None:
    """Nothing waits, every record is the same on both sides, and no file is left over."""
    assert store.pending() == 0, store.problems()
    for kind, repository in store.repositories.items():
        ids = {record.id for record in repository.find_all()}
        states = {record_id: store.compare(kind, record_id) for record_id in ids}
        assert {one: told for one, told in states.items() if told.state != "equal"} == {}
        assert {entry.id for entry in store.side.entries(kind)} == ids  # type: ignore[union-attr]


def assert_quilltap_reads(folder: Path) -> None:
    """Quilltap takes every file, but for records of which Tandem itself says that it would not."""
    files = files_below(folder)
    unexplained = {}
    for path, reason in read_folder(files).refused.items():
        if shelf := next((shelf for shelf in SHELVES.values() if shelf.owns(path)), None):
            found = [(entry.kind, entry.record) for entry in shelf.parse(path, files[path])[0]]
        else:  # a chat's file
            found = [("message", event.record) for event in logs.parse(path, files[path]).messages]
        if not any(rejection(kind, record) for kind, record in found):
            unexplained[path] = reason
    assert unexplained == {}
