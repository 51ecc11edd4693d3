"""Images of the gallery; under Quilltap's names also the attachments, which lie in the same index of binaries."""

import uuid
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from store import rows
from store.backends import Backend
from store.documents import Attachment, Image, now
from store.enums import ENUMS
from store.errors import InvalidValueError
from store.mapping.images import NO_BYTES
from store.repositories.attachments import AttachmentsRepository
from store.repositories.base import Repository
from store.repositories.contract import Found, Result, Users
from store.repositories.uses import users_of
from store.tables.images import image_tags

TYPES = ("image", "chat_file", "avatar")


class ImagesRepository(Repository[Image]):
    """Images. Deleting one leaves characters and personas without it, and chats without it as an avatar."""

    kind = "image"
    short = (
        "id",
        "userId",
        "filename",
        "filepath",
        "url",
        "mimeType",
        "size",
        "width",
        "height",
        "source",
        "createdAt",
        "updatedAt",
    )
    sortable = ("filename", "size", "source", "createdAt", "updatedAt")
    searched = ("filename", "generationPrompt")

    def __init__(self, backend: Backend, attachments: AttachmentsRepository) -> None:
        super().__init__(backend)
        self._attachments = attachments

    def find_by_type(self, binary_type: str) -> Found[Any]:
        """All binaries of a type: ``image`` and ``chat_file``. Of ``avatar`` there are derived lines only, so none."""
        if binary_type not in TYPES:
            raise InvalidValueError(f"There is no type of binary “{binary_type}”.", hint=f"It is {', '.join(TYPES)}.")
        if binary_type == "image":
            return self.find_all()
        return self._attachments.find_all() if binary_type == "chat_file" else Found()

    def find_by_chat_id(self, chat_id: str) -> Found[Attachment]:
        """The attachments of a chat."""
        return self._attachments.find_by_chat_id(chat_id)

    def find_by_message_id(self, message_id: str) -> Found[Attachment]:
        """The attachments of a message."""
        return self._attachments.find_by_message_id(message_id)

    def find_by_tag(self, tag_id: str) -> Found[Image]:
        """The images tagged with this character, persona, chat or theme."""
        return self._find(self._main.c.id.in_(sa.select(image_tags.c.imageId).where(image_tags.c.tagId == tag_id)))

    def find_by_path(self, path: str) -> Found[Image]:
        """The images whose bytes lie at this path below PUBLIC_DIR."""
        return self._find(self._main.c.filepath == path)

    def find_by_sha256(self, sha256: str, size: int | None = None) -> Found[Any]:
        """The images and attachments with these bytes. Every file is hashed once; with ``size`` (bytes) only images of
        that size are looked at."""
        if size is not None:
            found: Found[Any] = self._find(self._main.c.size == size)
        else:
            found = self.find_all()
            attached = self._attachments.find_by_sha256(sha256)
            found = Found([*found, *attached], [*found.problems, *attached.problems])
        # Of bytes that were not found nothing is known: they are nobody's twins.
        return Found([one for one in found if one.sha256 == sha256 != NO_BYTES], found.problems)

    def delete_by_sha256(self, sha256: str) -> Result[int]:
        """Delete the images with these bytes; how many there were."""
        return self.delete_many([one.id for one in self.find_by_sha256(sha256) if isinstance(one, Image)])

    def add_tag(self, image_id: str, tag_id: str, tag_type: str = "THEME") -> Result[Image]:
        """Tag the image with a character, persona, chat or theme; nothing changes when it is. No link is checked: a
        theme may be any text, and Quilltap keeps tags of what is gone."""
        if tag_type not in ENUMS["ImageTagType"]:
            raise InvalidValueError(
                f"There is no type of image tag “{tag_type}”.", hint=f"It is {', '.join(ENUMS['ImageTagType'])}."
            )

        def work(connection: Connection) -> Image:
            old = self._locked(connection, image_id)
            pair = {"imageId": image_id, "tagType": tag_type, "tagId": tag_id}
            if connection.execute(sa.select(image_tags.c.id).filter_by(**pair)).first() is None:
                connection.execute(sa.insert(image_tags).values(id=str(uuid.uuid4()), createdAt=now(), **pair))
            return self._relinked(connection, old)

        return self._change(work, [image_id])

    def remove_tag(self, image_id: str, tag_id: str) -> Result[Image]:
        """Take a tag away, whatever its type."""

        def work(connection: Connection) -> Image:
            old = self._locked(connection, image_id)
            table = image_tags.c
            connection.execute(sa.delete(image_tags).where(table.imageId == image_id, table.tagId == tag_id))
            return self._relinked(connection, old)

        return self._change(work, [image_id])

    def used_by(self, image_id: str) -> Users:
        """The characters and personas whose picture it is, and the chats in which it is worn."""
        with self._backend.reading() as connection:
            return users_of(connection, self.kind, [image_id])

    def paths(self, image_ids: Iterable[str]) -> dict[str, str]:
        """image id -> path below PUBLIC_DIR, of those that are there, also where a record would not pass its check."""
        found: dict[str, str] = {}
        with self._backend.reading() as connection:
            for some in rows.chunks(list(image_ids)):
                named = sa.select(self._main.c.id, self._main.c.filepath).where(self._main.c.id.in_(some))
                found.update({one: path for one, path in connection.execute(named) if isinstance(path, str)})
        return found

    def paths_in_use(self, paths: list[str]) -> set[str]:
        """Which of these paths below PUBLIC_DIR an image or attachment names."""
        found: set[str] = set()
        with self._backend.reading() as connection:
            for table in (self._main, self._attachments._main):
                for some in rows.chunks(paths):
                    found.update(connection.scalars(sa.select(table.c.filepath).where(table.c.filepath.in_(some))))
        return found
