"""Statements on the way of every write and every read: compiled once per dialect, and given straight to the driver.

SQLAlchemy builds and looks up a statement anew for each call, which here would cost more than what the database does.
"""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import psycopg
import sqlalchemy as sa
from sqlalchemy import Column, Connection, Dialect
from sqlalchemy.sql.base import Executable
from sqlalchemy.types import UserDefinedType

from store import codec
from store.spelling import all_spelled, spelled
from store.streaming import driver_of

Process = Callable[[Any], Any]


class _Form(NamedTuple):
    """A statement in one dialect: its text, its parameters with what a value goes through on its way in, and what the
    values of some columns go through on their way out. ``places``: the parameters' names where the driver wants an
    order, each as often as it is asked for."""

    text: str
    parameters: tuple[tuple[str, Any, Process | None], ...]
    places: tuple[str, ...] | None
    results: tuple[tuple[int, Process], ...]

    def arguments(self, given: dict[str, Any]) -> Any:
        """The values as the driver wants them."""
        values = {name: given.get(name, default) for name, default, _ in self.parameters}
        values.update((name, process(values[name])) for name, _, process in self.parameters if process)
        return values if self.places is None else tuple(values[name] for name in self.places)


class _Several(UserDefinedType[Sequence[Any]]):
    """A list as one parameter."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Process | None:
        return (lambda values: codec.dumps(values).decode()) if dialect.name == "sqlite" else None


def among(dialect: Dialect, column: Column[Any], name: str) -> sa.TextClause:
    """The condition that a column's value is one of a list that is given by name, however long."""
    if dialect.name == "sqlite":
        # Put in are the names of a column and of a parameter, which are our own; the values are bound.
        condition = f'"{column.name}" IN (SELECT value FROM json_each(:{name}))'  # noqa: S608  # our own names
    else:
        kind = column.type.compile(dialect)
        condition = f'"{column.name}" = ANY(CAST(:{name} AS {kind}[]))'
    return sa.text(condition).bindparams(sa.bindparam(name, type_=_Several()))


def listed(dialect: Dialect, column: Column[Any], name: str) -> sa.TextualSelect:
    """A list that is given by name, as rows of one column that is called like this one."""
    if dialect.name == "sqlite":
        text = f'SELECT value AS "{column.name}" FROM json_each(:{name})'  # noqa: S608  # our own names, as above
    else:
        text = f'SELECT unnest(CAST(:{name} AS {column.type.compile(dialect)}[])) AS "{column.name}"'
    return sa.text(text).bindparams(sa.bindparam(name, type_=_Several())).columns(sa.column(column.name, column.type))


class Statement:
    """One statement. What varies is an ``sa.bindparam`` in it, and given by name."""

    def __init__(self, build: Callable[[Dialect], Executable]) -> None:
        """``build`` says it in a dialect; it is asked once for each."""
        self._build = build
        self._forms: dict[str, _Form] = {}

    def read(self, connection: Connection, **given: Any) -> list[list[Any]]:
        """Its rows."""
        return read(connection, (self, given))[0]

    def value(self, connection: Connection, **given: Any) -> Any:
        """The first value of its first row; None where there is no row."""
        found = self.read(connection, **given)
        return found[0][0] if found else None

    def change(self, connection: Connection, **given: Any) -> None:
        """Carry it out where it changes rows and gives none."""
        form = self.form(connection.dialect)
        connection.exec_driver_sql(form.text, form.arguments(given))

    def form(self, dialect: Dialect) -> _Form:
        """What it is in a dialect."""
        if (form := self._forms.get(dialect.name)) is None:
            form = self._forms[dialect.name] = _compiled(self._build(dialect), dialect)
        return form


def read(connection: Connection, *asked: tuple[Statement, dict[str, Any]]) -> list[list[list[Any]]]:
    """The rows of each statement. On PostgreSQL all of them take one round trip."""
    driver = driver_of(connection)
    forms = [statement.form(connection.dialect) for statement, _ in asked]
    if len(asked) > 1 and connection.dialect.name == "postgresql":
        several: Any = psycopg.ClientCursor(driver)
        with several as cursor:
            cursor.execute("; ".join(spell(connection, *one) for one in asked))
            return [_fetched(form, cursor) for form, _ in zip(forms, cursor.results(), strict=True)]
    found = []
    for form, (_, given) in zip(forms, asked, strict=True):
        with contextlib.closing(driver.cursor()) as cursor:
            cursor.execute(form.text, form.arguments(given))
            found.append(_fetched(form, cursor))
    return found


def spell(connection: Connection, statement: Statement, given: dict[str, Any]) -> str:
    """A statement for PostgreSQL with its values in it, as the driver spells them: several can be sent as one."""
    driver = driver_of(connection)
    form = statement.form(connection.dialect)
    text: Any = form.text
    return psycopg.ClientCursor(driver).mogrify(text, form.arguments(given))


def _fetched(form: _Form, cursor: Any) -> list[list[Any]]:
    found = [list(values) for values in cursor.fetchall()]
    for place, process in form.results:
        if process is spelled:
            for row, moment in zip(found, all_spelled([row[place] for row in found]), strict=True):
                row[place] = moment
        else:
            for row in found:
                row[place] = process(row[place])
    return found


def _compiled(statement: Executable, dialect: Dialect) -> _Form:
    compiled: Any = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    parameters = tuple(
        (name, bound.value, bound.type.dialect_impl(dialect).bind_processor(dialect))
        for name, bound in compiled.binds.items()
    )
    columns = list(statement.selected_columns) if isinstance(statement, sa.Select) else []
    processors = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    results = tuple((place, process) for place, process in enumerate(processors) if process)
    places = tuple(compiled.positiontup) if dialect.positional else None
    return _Form(compiled.string, parameters, places, results)
