"""Records that do not lie in their place, in each file of many."""

from collections.abc import Callable
from typing import Any

from store.validation import shown_id
from tests.nasty import uid
from tests.store.validation.damaging import (
    ACCOUNTS,
    BINARIES,
    INDEX,
    KEYS,
    PAINTERS,
    SESSIONS,
    TAGS,
    TOKENS,
    Damage,
    lines,
    place,
    records,
    shifted,
)
from tests.store.validation.world import MARKER


def _swapped(name: str) -> Callable[[Any], None]:
    """Put the third of a list, or of the lists' one of that name, before the second."""

    def do(record: Any) -> None:
        several = record[name] if name else record
        several.insert(1, several.pop(2))

    return do


def _last(record_id: str) -> Callable[[list[str]], None]:
    return lambda several: several.append(several.pop(place(several, record_id)))


DAMAGES_OF_ORDER: list[Damage] = [
    *(
        Damage(f"order of records: {model}", [(model, uid(table, 1), "order")], records(path, _swapped(name)))
        for model, table, path, name in (
            ("Tag", "tags", TAGS, "tags"),
            ("Account", "accounts", ACCOUNTS, ""),
            ("ApiKey", "api_keys", KEYS, "apiKeys"),
            ("ConnectionProfile", "connection_profiles", KEYS, "llmProfiles"),
            ("ImageProfile", "image_profiles", PAINTERS, "profiles"),
        )
    ),
    *(
        Damage(f"order of lines: {model}", [(model, record_id, "order")], shifted(path))
        for model, record_id, path in (
            ("Session", uid("sessions", 1), SESSIONS),
            ("VerificationToken", shown_id("token", f"{MARKER}-1"), TOKENS),
            ("Chat", uid("chats", 1), INDEX),
        )
    ),
    *(
        Damage(f"order of lines about bytes: {model}", [(model, one, "order")], lines(BINARIES, _last(one)))
        for model, one in (
            ("Image", uid("images", 1)),
            ("ChatFile", uid("chat_files", 1)),
            ("ChatAvatarOverride", uid("chat_avatar_overrides", 1)),
        )
    ),
]
