"""Images of the gallery, and what they are tagged with."""

from sqlalchemy import Column, Integer

from store.tables.base import EnumName, created, db, identity, index, link, moment, owner, text, unique

images = db.Table(
    "images",
    identity(),
    owner(),
    text("filename"),
    text("filepath"),
    text("url", nullable=True),
    text("mimeType"),
    Column("size", Integer, nullable=False),
    Column("width", Integer, nullable=True),
    Column("height", Integer, nullable=True),
    created(),
    moment("updatedAt"),
    text("generationModel", nullable=True),
    text("generationPrompt", nullable=True),
    text("source", default="upload"),
)

# tagId names a character, persona, chat or theme and so is no foreign key: orphans are normal.
image_tags = db.Table(
    "image_tags",
    identity(),
    link("imageId", "images", "CASCADE"),
    Column("tagType", EnumName("ImageTagType"), nullable=False),
    text("tagId"),
    created(),
    unique("image_tags", "imageId", "tagType", "tagId"),
    index("image_tags", "tagType", "tagId"),
)
