"""The avatars that characters wear in single chats."""

from store.tables.base import created, db, identity, link, unique

chat_avatar_overrides = db.Table(
    "chat_avatar_overrides",
    identity(),
    link("chatId", "chats", "CASCADE"),
    link("characterId", "characters", "CASCADE"),
    link("imageId", "images", "CASCADE"),
    created(),
    unique("chat_avatar_overrides", "chatId", "characterId"),
)
