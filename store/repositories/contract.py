"""What every backend promises. One test suite runs over all of them: ``sql``, ``json`` and ``dual``, on SQLite and
PostgreSQL.

The names are Quilltap's, in Python's spelling. A write returns a ``Result``: the record as it now is, and what each
side did. A refusal is a ``StoreError``, and then nothing was written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from store.documents import (
    ApiKey,
    Attachment,
    Character,
    Chat,
    ConnectionProfile,
    Document,
    Image,
    ImageProfile,
    Message,
    Persona,
    Tag,
    User,
)
from store.errors import StoreError

T = TypeVar("T")
D = TypeVar("D", bound=Document)
D_co = TypeVar("D_co", bound=Document, covariant=True)


@dataclass(frozen=True)
class Sources:
    """What each side did. None: the side has no part in this backend.

    ``consistent`` is True when both sides hold the same now (with one side only: when it was written). ``error`` says
    why the JSON side could not follow; the change is then safe in SQL, waits in the outbox, and is applied as soon as
    that can be.
    """

    sql: bool | None
    json: bool | None
    consistent: bool
    error: StoreError | None = None


@dataclass(frozen=True)
class Result(Generic[T]):
    """What a write brought about."""

    value: T
    sources: Sources


class Found(list[T]):
    """Records found. ``problems`` tells, one error each, of records that are there but cannot be read."""

    def __init__(self, items: Iterable[T] = (), problems: Iterable[StoreError] = ()) -> None:
        super().__init__(items)
        self.problems = list(problems)


@dataclass(frozen=True)
class Query:
    """One question to a list, the same for every backend.

    ``search`` is looked for in the noun's names, without regard to case. ``tags``: only records with all of these tag
    ids; ``where``: only those with this value in this column. ``page`` counts from 0.
    """

    search: str = ""
    user_id: str | None = None
    tags: tuple[str, ...] = ()
    without_tags: bool = False
    favorite: bool | None = None
    where: tuple[tuple[str, str], ...] = ()
    sort: str = "name"
    descending: bool = False
    page: int = 0
    page_size: int = 50


# Who points at a record: (kind, id, name).
Users = list[tuple[str, str, str]]


@dataclass(frozen=True)
class MessagesPage:
    """A stretch of a chat, oldest first. ``before`` leads to the page above it; None at the chat's beginning."""

    messages: Sequence[Message]
    problems: Sequence[StoreError]
    before: str | None


@dataclass(frozen=True)
class Page:
    """One page of a list. ``rows`` hold the short columns by name and, for tagged nouns, ``tags`` as ``[{"id",
    "name"}]``.

    ``more`` says that further pages follow. There is no total: counting is a question of its own.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    more: bool = False


class Repository(Protocol[D_co]):
    """The records of one noun."""

    @property
    def kind(self) -> str: ...

    @property
    def noun(self) -> str:
        """What a person calls one of its records."""

    @property
    def sortable(self) -> Sequence[str]:
        """The columns a list can be sorted by."""

    def find_by_id(self, record_id: str) -> D_co | None:
        """The record, or None. Raises InvalidRecordError or UnreadableError when it is there and cannot be read."""

    def find_all(self) -> Found[Any]:
        """Every record, by (createdAt, id)."""

    def list(self, query: Query) -> Page:
        """One page. Records that would not pass their document's check are listed all the same."""

    def count(self, query: Query, at_most: int = 1000) -> int:
        """How many records answer the query; counting stops at ``at_most`` + 1, so a big table costs no more."""

    def matching_ids(self, query: Query, at_most: int) -> Sequence[str]:
        """The ids of every record that answers the query, for "all N matching"; at most so many."""

    def create(self, fields: dict[str, Any]) -> Result[Any]:
        """A new record. What is not given gets its default; a given id and date are kept."""

    def update(self, record_id: str, fields: dict[str, Any], *, expected: str | None = None) -> Result[Any]:
        """Change some fields, leave the others. ``updatedAt`` becomes now unless it is given.

        ``expected`` is the ``version()`` the caller saw: when the record changed since, ConflictError and nothing
        written. Raises NotFoundError when it is gone.
        """

    def delete(self, record_id: str) -> Result[bool]:
        """Delete it and what SQL's rules say goes with it. False when there was none."""

    def delete_many(self, record_ids: Iterable[str]) -> Result[int]:
        """Delete several as one unit; how many there were."""

    def values(self, record_id: str) -> dict[str, Any] | None:
        """Every field by the name that ``update`` knows it by; None without the record."""

    def version(self, document: Any) -> str:
        """A short text that changes whenever the record does."""


class OwnedRepository(Repository[D_co], Protocol[D_co]):
    """A noun whose records belong to users."""

    def find_by_user_id(self, user_id: str) -> Found[Any]: ...


class TaggedRepository(OwnedRepository[D_co], Protocol[D_co]):
    """A noun whose records carry tags."""

    def find_by_tag(self, tag_id: str) -> Found[Any]: ...

    def add_tag(self, record_id: str, tag_id: str) -> Result[Any]:
        """Tie a tag to the record; nothing changes when it has it. Raises NotFoundError, MissingReferenceError."""

    def remove_tag(self, record_id: str, tag_id: str) -> Result[Any]: ...

    def add_tag_to_many(self, record_ids: Iterable[str], tag_id: str) -> Result[int]:
        """Tie a tag to several records as one unit; how many did not have it."""

    def remove_tag_from_many(self, record_ids: Iterable[str], tag_id: str) -> Result[int]: ...


class CharactersRepository(TaggedRepository[Character], Protocol):
    def add_persona(self, character_id: str, persona_id: str, is_default: bool = False) -> Result[Character]:
        """Link a persona; a new default takes the place of the old one."""

    def remove_persona(self, character_id: str, persona_id: str) -> Result[Character]: ...

    def set_favorite(self, character_id: str, is_favorite: bool) -> Result[Character]: ...

    def set_favorite_of_many(self, character_ids: Iterable[str], is_favorite: bool) -> Result[int]: ...


class PersonasRepository(TaggedRepository[Persona], Protocol):
    def add_character_link(self, persona_id: str, character_id: str) -> Result[Persona]: ...

    def remove_character_link(self, persona_id: str, character_id: str) -> Result[Persona]: ...


class TagsRepository(OwnedRepository[Tag], Protocol):
    def find_by_name(self, user_id: str, name: str) -> Tag | None:
        """The user's tag of this name, without regard to case."""

    def find_or_create(self, user_id: str, name: str) -> Result[Tag]:
        """The user's tag of this name; made when there is none."""

    def usage(self, tag_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """tag id -> kind -> how many records carry it."""


class UsersRepository(Repository[User], Protocol):
    def find_by_email(self, email: str) -> User | None: ...

    def get_current_user(self) -> User | None:
        """The oldest user, whom Quilltap 1.3 takes for the only one."""

    def get_chat_settings(self, user_id: str) -> Any:
        """The user's chat settings; made-up defaults where SQL has no row. None without the user."""

    def update_chat_settings(self, user_id: str, fields: dict[str, Any]) -> Result[User]: ...


class KeysRepository(OwnedRepository[ApiKey], Protocol):
    def record_usage(self, key_id: str) -> Result[ApiKey]: ...

    def used_by(self, key_id: str) -> Users:
        """The profiles of both sorts that use the key."""

    def active(self, user_id: str, provider: str) -> list[tuple[str, str]]:
        """The user's keys for a provider that are in use: (id, label)."""


class ProfileRepository(TaggedRepository[D_co], Protocol[D_co]):
    """What both sorts of profiles can do."""

    def find_default(self, user_id: str) -> Any: ...

    def set_default(self, profile_id: str) -> Result[Any]:
        """Make a profile its user's default; the one before is none any more, as one unit."""

    def update_many(self, profile_ids: Iterable[str], fields: dict[str, Any]) -> Result[int]:
        """Change the same fields of several as one unit; how many were different before."""

    def unset_all_defaults(self, user_id: str) -> Result[int]: ...

    def used_by(self, profile_id: str) -> Users: ...


class ConnectionProfilesRepository(ProfileRepository[ConnectionProfile], Protocol):
    def get_all_api_keys(self) -> Found[ApiKey]: ...

    def find_api_key_by_id(self, key_id: str) -> ApiKey | None: ...

    def create_api_key(self, fields: dict[str, Any]) -> Result[ApiKey]: ...

    def update_api_key(self, key_id: str, fields: dict[str, Any]) -> Result[ApiKey]: ...

    def delete_api_key(self, key_id: str) -> Result[bool]: ...

    def record_api_key_usage(self, key_id: str) -> Result[ApiKey]: ...


class ImageProfilesRepository(ProfileRepository[ImageProfile], Protocol):
    def find_by_name(self, user_id: str, name: str) -> ImageProfile | None: ...


class AttachmentsRepository(OwnedRepository[Attachment], Protocol):
    def find_by_chat_id(self, chat_id: str) -> Found[Attachment]: ...

    def find_by_message_id(self, message_id: str) -> Found[Attachment]: ...

    def attach(self, message_id: str, attachment_ids: Iterable[str]) -> Result[int]:
        """Give a message these attachments of its chat, and no others."""


class ImagesRepository(OwnedRepository[Image], Protocol):
    def find_by_type(self, binary_type: str) -> Found[Any]: ...

    def find_by_chat_id(self, chat_id: str) -> Found[Attachment]: ...

    def find_by_message_id(self, message_id: str) -> Found[Attachment]: ...

    def find_by_tag(self, tag_id: str) -> Found[Image]: ...

    def find_by_sha256(self, sha256: str, size: int | None = None) -> Found[Any]: ...

    def delete_by_sha256(self, sha256: str) -> Result[int]: ...

    def add_tag(self, image_id: str, tag_id: str, tag_type: str = "THEME") -> Result[Image]: ...

    def remove_tag(self, image_id: str, tag_id: str) -> Result[Image]: ...

    def used_by(self, image_id: str) -> Users: ...


class ChatsRepository(TaggedRepository[Chat], Protocol):
    def find_by_character_id(self, character_id: str) -> Found[Chat]: ...

    def find_by_persona_id(self, persona_id: str) -> Found[Chat]: ...

    def get_messages(self, chat_id: str) -> Found[Message]: ...

    def get_message_count(self, chat_id: str) -> int: ...

    def messages_page(self, chat_id: str, *, before: str | None = None, limit: int = 50) -> MessagesPage: ...

    def find_message(self, message_id: str) -> tuple[str, Message] | None: ...

    def swipes(self, chat_id: str, group_id: str) -> Found[Message]: ...

    def message_values(self, message_id: str) -> dict[str, Any] | None: ...

    def message_version(self, message: Message) -> str: ...

    def add_message(self, chat_id: str, fields: dict[str, Any]) -> Result[Message]: ...

    def add_messages(self, chat_id: str, several: Iterable[dict[str, Any]]) -> Result[list[Message]]: ...

    def update_message(
        self, message_id: str, fields: dict[str, Any], *, expected: str | None = None
    ) -> Result[Message]: ...

    def delete_message(self, message_id: str) -> Result[bool]: ...

    def clear_messages(self, chat_id: str) -> Result[int]: ...

    def add_swipe(self, message_id: str, fields: dict[str, Any]) -> Result[Message]: ...

    def avatar_overrides(self, chat_id: str) -> dict[str, str]: ...

    def set_avatar_override(self, chat_id: str, character_id: str, image_id: str) -> Result[Any]: ...

    def remove_avatar_override(self, chat_id: str, character_id: str) -> Result[Any]: ...
