"""Which records a delete would reach, by the database's own rules: what goes with it, and what only loses a link."""

from collections.abc import Collection
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

from store import rows
from store.files.shelves import Entity
from store.giving import GIVEN
from store.statements import Statement, listed
from store.tables.base import db

_NOUNS: Final = {mapping.main: (mapping.kind, mapping.key) for mapping in GIVEN.values() if not mapping.derived}
_OWNERS: Final = {child.table: (mapping.kind, child.column) for mapping in GIVEN.values() for child in mapping.children}


def reached(connection: Connection, kind: str, ids: Collection[str]) -> tuple[set[Entity], set[Entity]]:
    """The other records that would go when these are deleted, and those that would lose a link to one of all that go.
    Asked by ids alone, so that it can be asked of a side that does not have these: then it is who still names them."""
    gone: set[Entity] = set()
    cut: set[Entity] = set()
    for some in rows.chunks(filter(rows.is_sound, ids)):
        for goes, of, one in _reaching(kind).read(connection, ids=some):
            (gone if goes else cut).add((of, one))
    own = {(kind, one) for one in ids}
    return gone - own, cut - gone - own


@cache
def _reaching(kind: str) -> Statement:
    return Statement(lambda dialect: _reach(dialect, kind))


def _reach(dialect: Dialect, kind: str) -> Any:
    mapping = GIVEN[kind]
    going: dict[Table, Any] = {mapping.main: listed(dialect, mapping.main.c[mapping.key], "ids").cte("going")}
    selects: list[Any] = []
    for table in db.metadata.sorted_tables:
        goes: list[sa.ColumnElement[bool]] = []
        cut: list[sa.ColumnElement[bool]] = []
        for key in table.foreign_keys if table is not mapping.main else ():
            if key.column.table in going and str(key.ondelete) in ("CASCADE", "SET NULL"):
                named = key.parent.in_(sa.select(going[key.column.table].c[key.column.name]))
                (goes if str(key.ondelete) == "CASCADE" and table in _NOUNS else cut).append(named)
        if owner := _NOUNS.get(table) or _OWNERS.get(table):
            told = ((1, goes), (0, cut))
            selects += [
                sa.select(sa.literal(flag), sa.literal(owner[0]), table.c[owner[1]]).where(sa.or_(*some))
                for flag, some in told
                if some
            ]
        if goes:
            going[table] = sa.select(table.c[_NOUNS[table][1]]).where(sa.or_(*goes)).cte(f"going_{table.name}")
    return sa.union_all(*selects) if selects else sa.select(sa.literal("")).where(sa.false())
