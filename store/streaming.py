"""Very many rows, straight from a database's driver. Nothing is imported here that takes time to load."""

import functools
import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

Driver = Any  # a connection of sqlite3 or of psycopg
# SQLite keeps any bytes as text. What is no UTF-8 comes out as lone surrogates, which the document then refuses by
# name; as an error of the driver it would hide every neighbour.
TEXT: Final = functools.partial(str, encoding="utf-8", errors="surrogateescape")
_numbers = itertools.count()


def driver_of(connection: Any) -> Driver:
    """The driver's own connection below one of SQLAlchemy's."""
    return connection.connection.driver_connection


def is_postgresql(driver: Driver) -> bool:
    """Whose connection it is."""
    return not isinstance(driver, sqlite3.Connection)


def stream(driver: Driver, sql: str, parameters: Sequence[Any] = (), size: int = 400) -> Iterator[Sequence[Any]]:
    """The driver's own rows of a statement, at most ``size`` at a time: no more of them are held."""
    if not is_postgresql(driver):
        yield from _stream_sqlite(driver, sql, parameters, size)
        return
    cursor = driver.cursor(name=f"tandem_{next(_numbers)}")  # else all of it comes at once
    try:
        cursor.execute(sql, parameters)
        while batch := cursor.fetchmany(size):
            yield batch
            if len(batch) < size:
                break
    finally:
        cursor.close()


def fetch(driver: Driver, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a statement at once, where there are few."""
    cursor = driver.execute(sql, parameters)
    try:
        return list(cursor.fetchall())
    finally:
        cursor.close()


def _stream_sqlite(driver: Driver, sql: str, parameters: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The driver's own way with text is the fastest, but it gives up on what is no UTF-8: then it is begun again."""
    careful, given = driver.text_factory, 0
    for factory in (str, careful):
        cursor, skipped = driver.execute(sql, parameters), 0
        try:
            while True:
                driver.text_factory = factory
                try:
                    batch = cursor.fetchmany(size)
                finally:
                    driver.text_factory = careful
                if not batch:
                    return
                skipped += len(batch)
                if skipped > given:  # always in whole batches
                    given = skipped
                    yield batch
        except sqlite3.OperationalError as error:
            if factory is careful or "UTF-8" not in str(error):
                raise
        finally:
            cursor.close()
