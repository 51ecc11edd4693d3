"""A stretch of a chat as a person reads it: one entry per message, and one for all versions (swipes) of an answer.

The versions of a group stand where the last of them has its place. So a group that lies across two pages is shown once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import url_for

from store.documents import Attachment, Chat, Message
from store.errors import StoreError
from store.files.public import Found as Bytes
from store.repositories.contract import Found, MessagesPage, Query

LONGEST = 8_000  # characters of a message shown in the conversation; its own page shows all
PAGE_SIZE = 50  # messages
OFFERED = 200  # files of a chat among which one chooses
ROLES = {"USER": "User", "ASSISTANT": "Assistant", "SYSTEM": "System", "TOOL": "Tool"}


@dataclass(frozen=True)
class Entry:
    """A message to show. ``place`` is the version's number in its group, from 0; ``versions`` are all of them."""

    message: Message
    versions: Sequence[Message]
    place: int
    attachments: Found[Attachment]

    @property
    def text(self) -> str:
        return self.message.content[:LONGEST]

    @property
    def is_cut(self) -> bool:
        return len(self.message.content) > LONGEST

    @property
    def group(self) -> str:
        return self.message.swipeGroupId or ""

    @property
    def before(self) -> Message | None:
        return self.versions[self.place - 1] if self.place else None

    @property
    def after(self) -> Message | None:
        return self.versions[self.place + 1] if self.place + 1 < len(self.versions) else None

    @property
    def raw(self) -> Any:
        return self.message.value("rawResponse")


class Conversation:
    """The messages of a chat, as pages of entries."""

    def __init__(self, store: Any, chat_id: str) -> None:
        self._store, self._chat_id = store, chat_id
        self._groups: dict[str, Sequence[Message]] = {}

    def page(self, before: str | None) -> MessagesPage:
        """The last messages, or those before a place in the chat. Raises InvalidValueError when it is none."""
        page: MessagesPage = self._store.chats.messages_page(self._chat_id, before=before, limit=PAGE_SIZE)
        return page

    def entries(self, messages: Iterable[Message], chosen: Mapping[str, int]) -> list[Entry]:
        """What is shown of these messages. ``chosen``: group -> the version to show instead of the last one."""
        found = []
        for message in messages:
            versions = self.versions(message)
            if versions[-1].id != message.id:
                continue
            place = chosen.get(message.swipeGroupId or "", len(versions) - 1)
            place = min(max(place, 0), len(versions) - 1)
            found.append(self._entry(versions, place))
        return found

    def entry(self, message: Message) -> Entry:
        """One message with its place among its versions."""
        versions = self.versions(message)
        return self._entry(versions, next(at for at, one in enumerate(versions) if one.id == message.id))

    def versions(self, message: Message) -> Sequence[Message]:
        """The message and what else was said in its place, in their order."""
        group = message.swipeGroupId
        if not group:
            return [message]
        if group not in self._groups:
            self._groups[group] = self._store.chats.swipes(self._chat_id, group)
        versions = self._groups[group]
        # Another person may have deleted it between the two questions.
        return versions if any(one.id == message.id for one in versions) else [message]

    def _entry(self, versions: Sequence[Message], place: int) -> Entry:
        message = versions[place]
        none: Found[Attachment] = Found()
        files = self._store.attachments.find_by_message_id(message.id) if message.attachments else none
        return Entry(message, versions, place, files)


@dataclass(frozen=True)
class Speaker:
    """Who says the messages of a role: the name, and the address of a small picture where there is one."""

    name: str
    src: str | None


def speakers(store: Any, chat: Chat) -> dict[str, Speaker]:
    """role -> who speaks. The character may wear another picture in this chat than its own."""
    worn = store.chats.avatar_overrides(chat.id)
    found = {"ASSISTANT": _speaker(store, store.characters, chat.characterId, worn.get(chat.characterId))}
    if chat.personaId:
        found["USER"] = _speaker(store, store.personas, chat.personaId, None)
    return found


def _speaker(store: Any, repository: Any, record_id: str, worn: str | None) -> Speaker:
    try:
        record = repository.find_by_id(record_id)
    except StoreError:
        record = None
    image_id = worn or (record.defaultImageId if record else None)
    return Speaker(record.name if record else "", picture(store, image_id) if image_id else None)


def picture(store: Any, image_id: str) -> str | None:
    """The address of an image's small copy, where its bytes are there."""
    path = store.images.paths([image_id]).get(image_id)
    is_there = path is not None and isinstance(store.public.find(path), Bytes)
    return url_for("images.thumb", id=image_id, size="small") if is_there else None


def swipes_asked(values: Iterable[str]) -> dict[str, int]:
    """group -> version, of addresses with ``swipe=GROUP:NUMBER``; what makes no sense is left out."""
    asked = {}
    for value in values:
        group, _, number = value.rpartition(":")
        if group and number.isdecimal() and number.isascii() and len(number) < 7:
            asked[group] = int(number)
    return asked


def files_of(store: Any, chat_id: str, chosen: Iterable[str]) -> list[dict[str, Any]]:
    """The files of a chat that a message can have: those it has, and the newest that no message has."""
    wanted = list(dict.fromkeys(chosen))
    query = Query(where=(("chatId", chat_id),), sort="createdAt", descending=True, page_size=OFFERED)
    rows = {row["id"]: row for row in store.attachments.list(query).rows}
    offered = [rows[one] if one in rows else _named(store, one) for one in wanted]
    free = [row for row in rows.values() if row["messageId"] is None and row["id"] not in wanted]
    return [{**row, "chosen": row["id"] in wanted} for row in [*offered, *free]]


def _named(store: Any, file_id: str) -> dict[str, Any]:
    """A file that is not among the newest."""
    try:
        found = store.attachments.find_by_id(file_id)
    except StoreError:
        return {"id": file_id, "filename": "(cannot be read)", "size": None}
    name = found.filename if found else "(deleted file)"
    return {"id": file_id, "filename": name, "size": found.size if found else None}
