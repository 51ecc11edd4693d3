"""One SQLite dialect and one PostgreSQL dialect per process, instead of one per engine.

The tests open stores by the thousand, and each engine would work out anew how the same statements are spelled. What a
statement does is not touched: only its text is kept, under the key by which SQLAlchemy itself keeps it per engine.
"""

import functools
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache

import store.database

_spelled: LRUCache[Any, Any] = LRUCache(3000)


class _Once:
    """A class whose first object is also every later one that is made alike."""

    _made: ClassVar[dict[Any, Any]] = {}

    def __new__(cls, **how: Any) -> Any:
        key = (cls, repr(sorted(how.items())))
        if key not in cls._made:
            cls._made[key] = super().__new__(cls)
        return cls._made[key]

    def __init__(self, **how: Any) -> None:
        if not vars(self):
            super().__init__(**how)


class Sqlite(_Once, SQLiteDialect_pysqlite):
    supports_statement_cache = True


class Postgres(_Once, PGDialect_psycopg):
    supports_statement_cache = True


def share() -> None:
    """From now on every engine of this process has its dialect, and the spelled statements, in common."""
    registry.register("sqlite", __name__, Sqlite.__name__)
    registry.register("postgresql.psycopg", __name__, Postgres.__name__)
    # Statements on Tandem's own tables are only the same when the tables are.
    store.database.own_tables = functools.cache(store.database.own_tables)
    event.listen(sa.Engine, "engine_connect", _keep_spelled)


def _keep_spelled(connection: sa.Connection) -> None:
    connection.execution_options(compiled_cache=_spelled)
