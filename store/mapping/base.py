"""What all mappings share: how a noun is spread over tables, and the pieces both directions are made of.

Both directions are pure functions over plain values. ``Rows`` are the rows of one record: table name -> list of rows.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Boolean, Column, Table
from sqlalchemy.sql.elements import True_

from store import codec
from store.documents.base import Document, canonical_moment, derived_id
from store.errors import InvalidRecordError
from store.tables.base import JSON_NULL, FreeForm, Moment, Unusable

Row = dict[str, Any]
Rows = dict[str, list[Row]]
Record = dict[str, Any]


@dataclass(frozen=True)
class Child:
    """A table whose rows belong to a record; ``column`` names the record's id there."""

    table: Table
    column: str


@dataclass(frozen=True)
class Mapping:
    """One noun: where its columns lie, and the two pure functions between rows and record.

    ``children`` are written with the record; ``reads`` are tables of other records that show in this one. A change in
    any of them is a change of this record. ``links`` sets a field that is no column: (rows, value, moment) -> None.

    ``key`` is the column of the main table that is the record's id. ``parents``: of each of these tables the record
    also needs the row that the main table names in ``column``. ``bytes_path``: where below PUBLIC_DIR the bytes lie
    that the record stands for; their hash then lies beside the rows as ``public_bytes``. ``derived``: the record is no
    row of its own, only a line that follows from others; it is not counted, and nothing is read from it.
    """

    kind: str
    model: str
    main: Table
    document: type[Document]
    to_record: Callable[[Rows], Record]
    to_rows: Callable[[Record], Rows]
    children: tuple[Child, ...] = ()
    reads: tuple[Child, ...] = ()
    links: dict[str, Callable[[Rows, Any, str], None]] = field(default_factory=dict)
    key: str = "id"
    parents: tuple[Child, ...] = ()
    bytes_path: Callable[[Rows], Any] | None = None
    derived: bool = False

    @property
    def tables(self) -> tuple[Child, ...]:
        """Every table that shows in the record, its own first."""
        return (Child(self.main, self.key), *self.children, *self.reads)

    def check(self, rows: Rows) -> tuple[Document, Record]:
        """The document and the record of rows. Raises InvalidRecordError that names record and field."""
        problems = {
            column: value.error.message.rstrip(".")
            for row in rows[self.main.name]
            for column, value in row.items()
            if value.__class__ is Unusable
        }
        if problems:
            raise InvalidRecordError(self.document.called(rows[self.main.name][0]), problems)
        record = self.to_record(rows)
        return self.document.check(record), record

    def with_fields(self, rows: Rows, fields: dict[str, Any], moment: str) -> Rows:
        """The rows with some fields set: columns of the main table and the noun's links. The given rows are left alone.

        Raises InvalidRecordError for a field the noun does not have and for links that are none.
        """
        changed = {name: [dict(row) for row in table] for name, table in rows.items()}
        main = changed[self.main.name][0]
        for name, value in fields.items():
            if name in self.links:
                try:
                    self.links[name](changed, value, moment)
                except (TypeError, KeyError, AttributeError) as error:
                    raise InvalidRecordError(self.document.called(main), {name: "it is not a list of links"}) from error
            elif name in self.main.c:
                main[name] = plain(self.main.c[name].type, value)
            else:
                raise InvalidRecordError(self.document.called(main), {name: "there is no such field"})
        return changed

    def blank(self, record_id: str, moment: str) -> Rows:
        """The rows of a record in which nothing is set but its id and its dates."""
        main: Row = {column.name: _default(column) if not column.nullable else None for column in self.main.c}
        main[self.key] = record_id
        main.update({name: moment for name in ("createdAt", "updatedAt") if name in main})
        return {self.main.name: [main], **{child.table.name: [] for child in (*self.children, *self.reads)}}


def with_owner(rows: Rows, user_id: str | None) -> Rows:
    """The rows of a record, with this owner where the record names none, as Quilltap's API keys do not."""
    return {
        name: [{**row, "userId": user_id} if row.get("userId", user_id) is None else row for row in table]
        for name, table in rows.items()
    }


def plain(kind: object, value: Any) -> Any:
    """The value as the database will give it back."""
    if isinstance(kind, FreeForm) and value is not None and value is not JSON_NULL:
        return codec.canonical(value)
    if isinstance(kind, Moment) and isinstance(value, str):
        with contextlib.suppress(ValueError):  # the document will say what is wrong with it
            return canonical_moment(value)
    return value


def _default(column: Column[Any]) -> Any:
    """What the database would give a column: the forms of its defaults are those of the documents but for a boolean."""
    default = getattr(column.server_default, "arg", None)
    if isinstance(column.type, Boolean):
        return isinstance(default, True_)
    if not isinstance(default, str):
        return None
    return codec.loads(default) if isinstance(column.type, FreeForm) else default


def by_creation(rows: Iterable[Row]) -> list[Row]:
    """In the order links have in a file: (createdAt, id) by code point."""
    return sorted(rows, key=lambda row: (row["createdAt"], row["id"]))


def free_form(row: Row, column: str, raw: Record) -> Any:
    """The value of Quilltap's key; one that Quilltap would refuse goes to ``raw`` and null stands in for it."""
    value = row[column]
    if value is None or isinstance(value, dict):
        return value
    raw[column] = None if value is JSON_NULL else value
    return None


def raw_or(record: Record, column: str) -> Any:
    """The column's value from a record: from ``extras.raw`` where it lies there, where null means JSON null."""
    raw = (record.get("extras") or {}).get("raw") or {}
    if column not in raw:
        return record.get(column)
    return JSON_NULL if raw[column] is None else raw[column]


def with_extras(record: Record, **members: Any) -> Record:
    """The record with ``extras`` as its last key, where any member says something."""
    extras = {name: value for name, value in members.items() if value}
    if "raw" in extras:
        extras["raw"] = {column: extras["raw"][column] for column in sorted(extras["raw"])}
    if extras:
        record["extras"] = extras
    return record


def tag_links(rows: Iterable[Row]) -> list[Record]:
    """``extras.tagLinks`` of a record, in the order of its ``tags``."""
    return [{"id": row["id"], "tagId": row["tagId"], "createdAt": row["createdAt"]} for row in by_creation(rows)]


def tag_rows(record: Record, column: str) -> list[Row]:
    """The rows of a tag link table. A tag without its link (Quilltap drops ``extras``) gets a derived one."""
    known = {link["tagId"]: link for link in (record.get("extras") or {}).get("tagLinks", ())}
    rows = []
    for tag_id in dict.fromkeys(record.get("tags", ())):
        link = known.get(tag_id) or {
            "id": derived_id(column, record["id"], tag_id),
            "createdAt": record["updatedAt"],
        }
        rows.append({"id": link["id"], column: record["id"], "tagId": tag_id, "createdAt": link["createdAt"]})
    return rows


def set_tags(table: str, column: str, owner_table: str) -> Callable[[Rows, Any, str], None]:
    """How the field ``tags`` (a sequence of tag ids) is set: links that stay keep their id and date."""

    def set_links(rows: Rows, tag_ids: Iterable[str], moment: str) -> None:
        owner_id = rows[owner_table][0]["id"]
        known = {row["tagId"]: row for row in rows[table]}
        rows[table] = [
            known.get(tag_id) or {"id": str(uuid.uuid4()), column: owner_id, "tagId": tag_id, "createdAt": moment}
            for tag_id in dict.fromkeys(tag_ids)
        ]

    return set_links
