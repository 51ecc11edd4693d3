"""Who points at a record: for the question before a delete, and for saying who stands in its way."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.repositories.contract import Users
from store.tables.avatars import chat_avatar_overrides
from store.tables.characters import characters
from store.tables.chats import chats
from store.tables.image_profiles import image_profiles
from store.tables.personas import personas
from store.tables.profiles import connection_profiles

# kind -> (kind of the user, its table, the column that points, what the user is called by)
_POINTERS: Final = {
    "key": (
        ("profile", connection_profiles, "apiKeyId", "name"),
        ("image_profile", image_profiles, "apiKeyId", "name"),
    ),
    "profile": (("chat", chats, "connectionProfileId", "title"),),
    "image_profile": (("chat", chats, "imageProfileId", "title"),),
    "image": (
        ("character", characters, "defaultImageId", "name"),
        ("persona", personas, "defaultImageId", "name"),
    ),
    "character": (("chat", chats, "characterId", "title"),),
    "persona": (("chat", chats, "personaId", "title"),),
}


def users_of(connection: Connection, kind: str, ids: Sequence[str], at_most: int = 200) -> Users:
    """Who points at any of these records: (kind, id, name), at most so many of each kind, by name."""
    found: Users = []
    for user, table, column, name in _POINTERS.get(kind, ()):
        for some in rows.chunks(ids):
            pointing = sa.select(table.c.id, table.c[name]).where(table.c[column].in_(some)).limit(at_most)
            found += [(user, record_id, called) for record_id, called in connection.execute(pointing)]
    if kind == "image":
        for some in rows.chunks(ids):
            worn = (
                sa.select(chats.c.id, chats.c.title)
                .join(chat_avatar_overrides, chat_avatar_overrides.c.chatId == chats.c.id)
                .where(chat_avatar_overrides.c.imageId.in_(some))
                .limit(at_most)
            )
            found += [("chat", record_id, title) for record_id, title in connection.execute(worn)]
    return sorted(dict.fromkeys(found), key=lambda one: (one[0], one[2].casefold(), one[1]))
