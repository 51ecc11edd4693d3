"""Tags; a name is unique per user, without regard to case."""

from store.tables.base import created, db, identity, index, moment, owner, text, unique

tags = db.Table(
    "tags",
    identity(),
    owner(),
    text("name"),
    text("nameLower"),
    created(),
    moment("updatedAt"),
    unique("tags", "userId", "nameLower"),
    index("tags", "userId", "nameLower"),
)
