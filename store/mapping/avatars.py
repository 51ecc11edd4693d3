"""The derived lines of avatar overrides: the override's ids and date, the image's own fields."""

from typing import Final

from store.documents.avatars import Avatar
from store.mapping.base import Child, Mapping, Record, Row, Rows, with_extras
from store.mapping.images import SOURCES, file_part, hash_in
from store.tables.avatars import chat_avatar_overrides
from store.tables.images import images

_NO_IMAGE: Final[Row] = dict.fromkeys(images.c.keys())  # the document then says what is missing


def to_record(rows: Rows) -> Record:
    """The line that follows from an override and its image."""
    override, sha256 = rows["chat_avatar_overrides"][0], hash_in(rows)
    image = rows["images"][0] if rows.get("images") else _NO_IMAGE
    record = {
        **file_part(image, "avatar", sha256, image["userId"]),
        "source": image["source"] if image["source"] in SOURCES else "upload",
        "generationPrompt": image["generationPrompt"],
        "generationModel": image["generationModel"],
        "chatId": override["chatId"],
        "characterId": override["characterId"],
        "messageId": None,
        "tags": [],
        "createdAt": override["createdAt"],
        "updatedAt": override["createdAt"],
    }
    return with_extras({**record, "id": override["id"]}, derived=True, bytesMissing=sha256 is None)


def to_rows(record: Record) -> Rows:
    """No rows: the override is a character's, the image is its own."""
    return {}


AVATARS = Mapping(
    kind="avatar",
    model="ChatAvatarOverride",
    main=chat_avatar_overrides,
    document=Avatar,
    to_record=to_record,
    to_rows=to_rows,
    parents=(Child(images, "imageId"),),
    bytes_path=lambda rows: rows["images"][0]["filepath"] if rows.get("images") else None,
    derived=True,
)
