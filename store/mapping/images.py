"""Images: the row and what it is tagged with."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from store.documents.base import derived_id
from store.documents.images import Image
from store.mapping.base import Child, Mapping, Record, Row, Rows, by_creation, with_extras
from store.quilltap import is_uuid
from store.tables.images import image_tags, images

NO_BYTES: Final = "0" * 64  # stands for the hash of bytes that were not found
SOURCES: Final = ("upload", "import", "generated")
_FILE = ("mimeType", "size", "width", "height")
_OTHER = ("generationPrompt", "generationModel")
_SAME = ("id", "userId", "filename", *_FILE, *_OTHER, "createdAt", "updatedAt")
_TAG = ("id", "tagType", "tagId", "createdAt")


def hash_in(rows: Rows) -> str | None:
    """The hash of the bytes the rows stand for; None where they were not found."""
    found = rows.get("public_bytes")
    return found[0]["sha256"] if found else None


def file_part(row: Row, kind: str, sha256: str | None, user_id: str) -> Record:
    """The first half of a line of the index of binaries, up to ``height``."""
    named = {"userId": user_id, "filename": row["filename"], "relativePath": row["filepath"]}
    return {"id": row["id"], "sha256": sha256 or NO_BYTES, "type": kind, **named, **{key: row[key] for key in _FILE}}


def to_record(rows: Rows) -> Record:
    """The line of an image. Its ``tags`` are the UUIDs among what it is tagged with, each once."""
    row, sha256 = rows["images"][0], hash_in(rows)
    known = row["source"] in SOURCES
    tags = [{key: tag[key] for key in _TAG} for tag in by_creation(rows["image_tags"])]
    record = {
        **file_part(row, "image", sha256, row["userId"]),
        "source": row["source"] if known else "upload",
        **{key: row[key] for key in _OTHER},
        **dict.fromkeys(("chatId", "characterId", "messageId")),
        "tags": list(dict.fromkeys(tag["tagId"] for tag in tags if is_uuid(tag["tagId"]))),
        "createdAt": row["createdAt"],
        "updatedAt": row["updatedAt"],
    }
    with_extras(record, imageTags=tags, bytesMissing=sha256 is None, raw={} if known else {"source": row["source"]})
    if row["url"] is not None:  # the empty text too
        record["extras"] = {"url": row["url"], **record.get("extras", {})}
    return record


def to_rows(record: Record) -> Rows:
    """The rows of an image's line. Tags whose ``extras`` Quilltap dropped come back as themes, as it reads them."""
    extras = record.get("extras") or {}
    main: Row = {key: record.get(key) for key in _SAME}
    main["filepath"], main["url"] = record["relativePath"], extras.get("url")
    main["source"] = (extras.get("raw") or {}).get("source", record.get("source", "upload"))
    listed = record.get("tags", ())
    known = [{**tag, "imageId": record["id"]} for tag in extras.get("imageTags", ())]
    named = {tag["tagId"] for tag in known}
    # What Quilltap took out of the list is gone; what it could not list is not.
    kept = [tag for tag in known if not is_uuid(tag["tagId"]) or tag["tagId"] in listed]
    new = [_theme(record, tag_id) for tag_id in dict.fromkeys(listed) if tag_id not in named]
    return {"images": [main], "image_tags": [*kept, *new]}


def _theme(record: Record, tag_id: str) -> Row:
    return {
        "id": derived_id("image-tag", record["id"], tag_id),
        "imageId": record["id"],
        "tagType": "THEME",
        "tagId": tag_id,
        "createdAt": record["updatedAt"],
    }


def _set_image_tags(rows: Rows, tags: Iterable[dict[str, Any]], moment: str) -> None:
    """Set the field ``imageTags``: a sequence of ``{"tagType", "tagId"}``; those that stay keep their id and date."""
    image_id = rows["images"][0]["id"]
    known = {(row["tagType"], row["tagId"]): row for row in rows["image_tags"]}
    wanted = dict.fromkeys((tag["tagType"], tag["tagId"]) for tag in tags)
    rows["image_tags"] = [
        known.get(pair)
        or {"id": str(uuid.uuid4()), "imageId": image_id, "tagType": pair[0], "tagId": pair[1], "createdAt": moment}
        for pair in wanted
    ]


IMAGES = Mapping(
    kind="image",
    model="Image",
    main=images,
    document=Image,
    to_record=to_record,
    to_rows=to_rows,
    children=(Child(image_tags, "imageId"),),
    links={"imageTags": _set_image_tags},
    bytes_path=lambda rows: rows["images"][0]["filepath"],
)
