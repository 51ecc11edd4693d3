"""Lists: one neutral question turned into SQL, the same for the database and for the derived index."""

from collections.abc import Mapping as Mapping_
from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection, Table, Text

from store.database import containing
from store.errors import InvalidValueError
from store.mapping import MAPPINGS, Mapping
from store.repositories.contract import Page, Query
from store.tables.tags import tags

MAX_PAGE_SIZE = 500


class Listed(Protocol):
    """What a repository says about its lists."""

    kind: str
    noun: str
    short: Sequence[str]
    sortable: Sequence[str]
    searched: Sequence[str]

    @property
    def derived(self) -> Mapping_[str, sa.ColumnElement[Any]]:
        """What its lists show besides columns."""


def page(connection: Connection, noun: Listed, query: Query) -> Page:
    """One page; one row more than wanted is asked for, which tells whether another page follows."""
    mapping = MAPPINGS[noun.kind]
    size = min(max(query.page_size, 1), MAX_PAGE_SIZE)
    columns = [noun.derived[name].label(name) if name in noun.derived else mapping.main.c[name] for name in noun.short]
    statement = _ordered(connection, noun, query, sa.select(*columns).where(*_conditions(connection, noun, query)))
    statement = statement.limit(size + 1).offset(max(query.page, 0) * size)
    found = [{name: _shown(value) for name, value in row.items()} for row in connection.execute(statement).mappings()]
    listed = found[:size]
    if link := tag_link(mapping):
        _add_tags(connection, listed, *link)
    return Page(listed, more=len(found) > size)


def count(connection: Connection, noun: Listed, query: Query, at_most: int) -> int:
    """How many answer, counted no further than ``at_most`` + 1."""
    some = sa.select(sa.literal(1)).select_from(MAPPINGS[noun.kind].main).where(*_conditions(connection, noun, query))
    return int(connection.scalar(sa.select(sa.func.count()).select_from(some.limit(at_most + 1).subquery())) or 0)


def ids(connection: Connection, noun: Listed, query: Query, at_most: int) -> list[str]:
    """The ids of all that answer, in the list's order."""
    mapping = MAPPINGS[noun.kind]
    statement = sa.select(mapping.main.c[mapping.key]).where(*_conditions(connection, noun, query))
    return list(connection.scalars(_ordered(connection, noun, query, statement).limit(at_most)))


def tag_link(mapping: Mapping) -> tuple[Table, str] | None:
    """The table that ties tags to a noun's records and the column that names the record; None for an untagged noun."""
    for child in mapping.children:
        if "tagId" in child.table.c:
            return child.table, child.column
    return None


def _conditions(connection: Connection, noun: Listed, query: Query) -> list[sa.ColumnElement[bool]]:
    mapping = MAPPINGS[noun.kind]
    main = mapping.main
    conditions: list[sa.ColumnElement[bool]] = []
    if search := query.search.strip():
        conditions.append(sa.or_(sa.false(), *(containing(connection, main.c[name], search) for name in noun.searched)))
    if query.user_id is not None:
        conditions.append(_belongs(mapping, query.user_id))
    for column, value in query.where:
        if column not in main.c:
            raise InvalidValueError(f"A list of {noun.noun}s cannot be narrowed by “{column}”.")
        conditions.append(main.c[column] == value)
    if query.favorite is not None and "isFavorite" in main.c:
        conditions.append(main.c.isFavorite == query.favorite)
    if link := tag_link(mapping):
        table, column = link
        for tag_id in query.tags:
            tied = sa.select(table.c[column]).where(table.c.tagId == tag_id)
            conditions.append(main.c.id.in_(tied))
        if query.without_tags:
            conditions.append(~sa.exists().where(table.c[column] == main.c.id))
    return conditions


def _belongs(mapping: Mapping, user_id: str) -> sa.ColumnElement[bool]:
    """Whether a record is a user's; one that names no user is its parent's owner's, or nobody's."""
    if mapping.kind == "user":  # it belongs to itself
        return mapping.main.c[mapping.key] == user_id
    if "userId" in mapping.main.c:
        return mapping.main.c.userId == user_id
    owned = [parent for parent in mapping.parents if "userId" in parent.table.c]
    theirs = ((one, sa.select(one.table.c.id).where(one.table.c.userId == user_id)) for one in owned)
    return sa.or_(sa.false(), *(mapping.main.c[one.column].in_(ids) for one, ids in theirs))


def _ordered(connection: Connection, noun: Listed, query: Query, statement: sa.Select[Any]) -> sa.Select[Any]:
    if query.sort not in noun.sortable:
        raise InvalidValueError(
            f"A list of {noun.noun}s cannot be sorted by “{query.sort}”.", hint=f"Choose {', '.join(noun.sortable)}."
        )
    main = MAPPINGS[noun.kind].main
    key: sa.ColumnElement[Any] = noun.derived[query.sort] if query.sort in noun.derived else main.c[query.sort]
    if isinstance(key.type, Text):
        # Without regard to the case of ASCII, then by code point: the same order on both databases.
        key = key.collate("NOCASE") if connection.dialect.name == "sqlite" else sa.func.lower(key.collate("C"))
    # Nothing comes before something, as it does on SQLite anyway.
    first, last = (
        (key, key.desc()) if connection.dialect.name == "sqlite" else (key.nulls_first(), key.desc().nulls_last())
    )
    record_id = main.c[MAPPINGS[noun.kind].key]
    tie = record_id if connection.dialect.name == "sqlite" else record_id.collate("C")
    return statement.order_by(*((last, tie.desc()) if query.descending else (first, tie)))


def _shown(value: Any) -> Any:
    """Text that can be shown: what in SQLite is no UTF-8 becomes a question mark."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) and not value.isascii() else value


def _add_tags(connection: Connection, listed: list[dict[str, Any]], table: Table, column: str) -> None:
    by_id: dict[str, list[dict[str, str]]] = {row["id"]: [] for row in listed}
    if by_id:
        statement = (
            sa.select(table.c[column], tags.c.id, tags.c.name)
            .join(tags, tags.c.id == table.c.tagId)
            .where(table.c[column].in_(by_id))
            .order_by(tags.c.nameLower, tags.c.id)
        )
        for record_id, tag_id, name in connection.execute(statement):
            by_id[record_id].append({"id": tag_id, "name": name})
    for row in listed:
        row["tags"] = by_id[row["id"]]
