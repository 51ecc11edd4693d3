"""What Quilltap 1.3's own validator would refuse, although both sides can hold it.

Such a record is never skipped: it is written as it is, and told by model and id as a warning.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_AS_ZERO = str.maketrans(dict.fromkeys("123456789abcdefABCDEF", "0"))
_SHAPE = "00000000-0000-0000-0000-000000000000\n"
_LOCAL_PART = re.compile(r"[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]")
_DOMAIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}")


def is_uuid(value: object) -> bool:
    """Any version, upper or lower case, with dashes."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def are_uuids(values: Sequence[str]) -> bool:
    """Whether each is a UUID: very many are told by their common shape."""
    if "\n".join([*values, ""]).translate(_HEX_AS_ZERO) == _SHAPE * len(values):
        return True
    return all(map(_UUID.fullmatch, values))


def is_email(value: str) -> bool:
    """ASCII, a local part without leading or double dots, a domain with a dot."""
    local, at, domain = value.rpartition("@")
    if not at or local.startswith(".") or ".." in value:
        return False
    return _LOCAL_PART.fullmatch(local) is not None and _DOMAIN.fullmatch(domain) is not None


def _uuids(record: dict[str, Any], *fields: str) -> str | None:
    for field in fields:
        value = record.get(field)
        for item in value if isinstance(value, list) else [value]:
            if item is not None and not is_uuid(item):
                return f"{field} “{item}” is not a UUID"
    return None


def _tag(record: dict[str, Any]) -> str | None:
    return _uuids(record, "id", "userId")


def _character(record: dict[str, Any]) -> str | None:
    if reason := _uuids(record, "id", "userId", "defaultImageId", "tags"):
        return reason
    for link in record.get("personaLinks", ()):
        if reason := _uuids(link, "personaId"):
            return f"personaLinks: {reason}"
    for link in record.get("avatarOverrides", ()):
        if reason := _uuids(link, "chatId", "imageId"):
            return f"avatarOverrides: {reason}"
    return None


def _persona(record: dict[str, Any]) -> str | None:
    return _uuids(record, "id", "userId", "defaultImageId", "characterLinks", "tags")


def _user(record: dict[str, Any]) -> str | None:
    if reason := _uuids(record["user"], "id") or _uuids(record["chatSettings"], "id", "userId"):
        return reason
    email = record["user"]["email"]
    return None if is_email(email) else f"email “{email}” is not an address Quilltap accepts"


def _binary(record: dict[str, Any]) -> str | None:
    return _uuids(record, "id", "userId", "chatId", "characterId", "messageId", "tags")


def _profile(record: dict[str, Any]) -> str | None:
    return _uuids(record, "id", "userId", "apiKeyId", "tags")


def _chat(record: dict[str, Any]) -> str | None:
    named = ("characterId", "personaId", "connectionProfileId", "imageProfileId")
    return _uuids(record, "id", "userId", *named, "tags")


_RULES: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "user": _user,
    # Of the records of NextAuth Quilltap checks nothing.
    "account": lambda record: None,
    "session": lambda record: None,
    "token": lambda record: None,
    "tag": _tag,
    "key": lambda record: _uuids(record, "id"),
    "profile": _profile,
    "image_profile": _profile,
    "image": _binary,
    "persona": _persona,
    "character": _character,
    "chat": _chat,
    "attachment": _binary,
    "avatar": _binary,
    "message": lambda record: _uuids(record, "id", "attachments"),
    "context-summary": lambda record: _uuids(record, "id"),
}


def rejection(kind: str, record: dict[str, Any]) -> str | None:
    """Why Quilltap 1.3 would refuse this valid record, as a half sentence; None when it would take it. A file may leave
    out what has a default."""
    return _RULES[kind](record)
