"""One record of each noun, for tests that hold for all of them."""

import itertools
from dataclasses import dataclass
from typing import Any, Final, Protocol

from store import Store
from store.documents import Attachment
from tests import factories

_numbers = itertools.count(1)
TIES: Final = "2025-01-01T00:00:00.000Z"


class Make(Protocol):
    def __call__(self, store: Store, **what_matters: Any) -> Any: ...


def make_attachment(store: Store, filename: str = "notes.txt", **what_matters: Any) -> Attachment:
    """A file of a chat, not sent yet; of a chat of its own where the test names none."""
    chat_id = what_matters.get("chatId") or factories.make_chat(store, **_only(what_matters, "userId")).id
    fields = {
        "chatId": chat_id,
        "filename": filename,
        "filepath": f"uploads/chat-files/{chat_id}/{next(_numbers)}_{filename}",
        "mimeType": "text/plain",
        "size": 5,
    }
    given = {key: value for key, value in what_matters.items() if key != "userId"}
    attachment: Attachment = store.attachments.create({**fields, **given}).value
    return attachment


def _only(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if name in fields}


@dataclass(frozen=True)
class Noun:
    """How a record of a noun is made, the text by which people tell it from others, and the dates it has.

    ``key`` is what its id is called when it is given.
    """

    make: Make
    text: str = "name"
    dates: tuple[str, ...] = ("createdAt", "updatedAt")
    key: str = "id"


NOUNS: Final[dict[str, Noun]] = {
    "user": Noun(factories.make_user),
    "account": Noun(factories.make_account, "provider", ()),
    "session": Noun(factories.make_session, "sessionToken", ()),
    "token": Noun(factories.make_token, "identifier", (), "token"),
    "tag": Noun(factories.make_tag),
    "key": Noun(factories.make_key, "label"),
    "profile": Noun(factories.make_profile),
    "image_profile": Noun(factories.make_image_profile),
    "image": Noun(factories.make_image, "filename"),
    "persona": Noun(factories.make_persona),
    "character": Noun(factories.make_character),
    "chat": Noun(factories.make_chat, "title"),
    "attachment": Noun(make_attachment, "filename", ("createdAt",)),
}
KINDS: Final = sorted(NOUNS)
TAGGED: Final = ("profile", "image_profile", "persona", "character", "chat")


def make(kind: str, store: Store, called: str | None = None, **what_matters: Any) -> Any:
    """A record of the noun, by this name where one is given."""
    noun = NOUNS[kind]
    named = {} if called is None else {noun.text: called}
    return noun.make(store, **named, **what_matters)


def person(kind: str, record: Any) -> Any:
    """The part of a record that has its columns: a user's lies beside the settings."""
    return record.user if kind == "user" else record
