"""Rows <-> record, one file per noun: pure functions, and the declaration of where a noun's columns lie."""

from typing import Final

from store.mapping.attachments import ATTACHMENTS
from store.mapping.avatars import AVATARS
from store.mapping.base import Child, Mapping, Record, Row, Rows
from store.mapping.characters import CHARACTERS
from store.mapping.chats import CHATS
from store.mapping.image_profiles import IMAGE_PROFILES
from store.mapping.images import IMAGES
from store.mapping.keys import KEYS
from store.mapping.personas import PERSONAS
from store.mapping.profiles import PROFILES
from store.mapping.signin import ACCOUNTS, SESSIONS, TOKENS
from store.mapping.tags import TAGS
from store.mapping.users import USERS

_IN_ORDER = (
    *(USERS, ACCOUNTS, SESSIONS, TOKENS, TAGS, KEYS, PROFILES, IMAGE_PROFILES),
    *(IMAGES, PERSONAS, CHARACTERS, CHATS, ATTACHMENTS, AVATARS),
)
# Every noun by its kind, in the order in which links point: later ones may name earlier ones. Messages are no such
# noun: they lie in the files of chats (``store.mapping.messages``).
MAPPINGS: Final[dict[str, Mapping]] = {mapping.kind: mapping for mapping in _IN_ORDER}


def spoken(kind: str, record_id: str) -> str:
    """How a log line names a record: by kind and id, unless the id is a secret."""
    secret = kind in MAPPINGS and MAPPINGS[kind].document.secret_id
    return f"{kind} (its id is not shown)" if secret else f"{kind} {record_id}"


__all__ = ["MAPPINGS", "Child", "Mapping", "Record", "Row", "Rows", "spoken"]
