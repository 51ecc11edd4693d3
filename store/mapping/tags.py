"""Tags: one row, one record."""

from store.documents.tags import Tag
from store.mapping.base import Mapping, Record, Rows
from store.tables.tags import tags

_KEYS = ("id", "userId", "name", "nameLower", "createdAt", "updatedAt")


def to_record(rows: Rows) -> Record:
    """The record of a tag's row."""
    row = rows["tags"][0]
    return {key: row[key] for key in _KEYS}


def to_rows(record: Record) -> Rows:
    """The row of a tag's record."""
    return {"tags": [{key: record[key] for key in _KEYS}]}


TAGS = Mapping(kind="tag", model="Tag", main=tags, document=Tag, to_record=to_record, to_rows=to_rows)
