"""A Quilltap database in which every case is there that has ever gone wrong, or could: rows in all 23 tables.

They are written by plain SQL, as another program writes them, never through the store. ``ROWS`` says what is in them;
``fill`` puts them into an empty database of either kind, and the bytes they speak of below PUBLIC_DIR.
"""

import functools
import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from tests.factories import put
from tests.quilltap_reader import Number, spell_line
from tests.store.tables.quilltap_database import ORDER
from tests.store.tables.schema_0_7_0 import ENUMS, TABLES

Row = dict[str, Any]
PEPPER = "a-pepper-of-the-tests-with-more-than-32-characters"
MEGABYTE = "A very long text, é😀\u2028. " * 38_000
TEXTS: Sequence[str] = (
    *("", " ", "0", "null", "true", "[]", "a\u2028b\u2029c", "\ufeffbyte order mark", "\x01\x7f\x1b"),
    *('"\\/\\u0041', "\t\r\n", "é", "e\u0301", "İstanbul ı ß ſ", "👩‍👩‍👧‍👦 🏳️‍🌈"),
    *("\u202eright to left", "\U0010ffff\uffff\ue000", "</script><!--", "' OR 1=1; --", "%s %41 %%"),
    *("user-123", "../../etc/passwd", "2025-01-01T00:00:00+00:00", "\\0", "x" * 5000),
)
# No UUIDs: names of files have to be spelled otherwise, and two of them differ in case or in spelling only.
ODD_IDS: Sequence[str] = (
    *("clx9k2v0q0000ab12cd34ef56", "user-123", "a/b", "..", ".", "a.b.jsonl", "~", "%41", "A", "a", "é", "e\u0301"),
    *("ü 😀", "index", "general", "con", " x\ny ", "a:*?\\|<>", "\u2028", "{abcdefab-0000-4000-8000-000000000001}"),
    *("ABCDEFAB-0000-4000-8000-00000000000f", "abcdefab-0000-4000-8000-00000000000f"),
    "abcdefab00004000800000000000000f",
)
# As typed: TIMESTAMP(3) rounds what is finer than a millisecond.
MOMENTS: Sequence[str] = (
    *("2025-01-02 03:04:05.678", "1970-01-01 00:00:00", "9999-12-31 23:59:59.999", "0001-01-01 00:00:00.001"),
    *("1969-12-31 23:59:59.999", "2025-01-02 03:04:05.123999", "2024-12-31 23:59:59.999999", "2024-02-29 12:00:00.1"),
    *("2025-01-02 03:04:05.678", "2025-01-02 03:04:05.6781", "2038-01-19 03:14:08"),
)
INTEGERS: Sequence[int] = (0, 1, -1, 2**31 - 1, -(2**31), 400)
_DEEPEST = ('[{"a":' * 100 + "1.0" + "}]" * 100, '{"a":[' * 100 + "1.0" + "]}" * 100)  # 200 levels are kept
# As typed, in any order and spelling; the databases keep it in theirs.
JSONS: Sequence[str] = (
    '{"b": 1, "a": [], "aa": {}, "é": "\\u2028", "\\uffff": 1, "😀": 2, "": null, "B": 0, "10": 1, "9": 1}',
    '{"n": [1, 1.0, 1.00, -0, -0.0, 0.1, 0.30000000000000004, 1e300, 1e-7, 1E2, 100, -1.50]}',
    '{"n": [18446744073709551616, 9007199254740993, 9223372036854775807, -9223372036854775809]}',
    '{"n": 0.1234567890123456789012}',
    *("[]", "{}", "null", '""', '"text"', "0", "1.50", "true", "false"),
    *('[1, "a", null, {"b": [null]}]', '{"a": 1, "a": 2}', '{"crc": "0", "type": "message", "id": "x"}'),
    '{"extras": {"raw": {"rawResponse": 1}, "crc": "00000000"}}',
    '{"text": "\\ud83d\\ude00 \\" \\\\ \\/ \\u0001 \\u007f </script>"}',
    '{"name": null, "zero": 0, "no": false, "none": ""}',
    *_DEEPEST,
)


class Json(NamedTuple):
    """JSON as it was typed."""

    text: str


_LISTS: dict[str, Sequence[Any]] = {"text": TEXTS, "time": MOMENTS, "int": INTEGERS, "bool": (False, True), **ENUMS}
_LISTS["json"] = tuple(map(Json, JSONS))


def uid(table: str, number: int) -> str:
    """A UUID that says which table it is of; those of one table are in the order of their numbers."""
    return f"{list(TABLES).index(table):08x}-0000-4000-8000-{number:012x}"


def key_of(table: str) -> tuple[str, ...]:
    """The columns that tell a table's rows apart."""
    return TABLES[table].primary_key or ("token",)


def sweep(table: str, ids: Sequence[str], **given: Any) -> Iterator[tuple[str, Row]]:
    """A row for each id: in the first everything is null that may be, in the others each column goes through all the
    values there are for its type. What is given is a value, or a function of the row's number."""
    for number, record_id in enumerate(ids):
        row: Row = {}
        for place, (name, column) in enumerate(TABLES[table].columns.items()):
            if name in given:
                row[name] = given[name](number) if callable(given[name]) else given[name]
            elif name == key_of(table)[0]:
                row[name] = record_id
            elif column.null and number == 0:
                row[name] = None
            else:
                values = (*_LISTS[column.type], *((None,) if column.null else ()))
                row[name] = values[(number + place) % len(values)]
        yield table, row


# ---------------------------------------------------------------------- into a database
def fill(url: str, public_dir: Path) -> None:
    """Put all rows into a database that has its tables and nothing else, and the bytes below ``public_dir``. Within a
    table PostgreSQL gets them the other way round: in what order they came must not matter."""
    from tests.nasty_rows import PUBLIC, rows

    for path, data in PUBLIC.items():
        put(public_dir, path, data)
    engine = sa.create_engine(url)
    dialect = engine.dialect.name
    by_table: dict[str, list[Row]] = {name: [] for name in ORDER}
    for table, row in rows():
        by_table[table].append(row)
    with engine.begin() as connection:
        if dialect == "sqlite":
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        for table, several in by_table.items():
            for row in several if dialect == "sqlite" else reversed(several):
                _insert(connection, table, row)
        if dialect == "sqlite":
            assert connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
    engine.dispose()


def _insert(connection: sa.Connection, table: str, row: Row) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    values: Row = {}
    for name, value in row.items():
        kind = TABLES[table].columns[name].type
        if isinstance(value, Json):
            value = as_sqlite_keeps(value.text) if on_sqlite else value.text
        elif kind == "time" and value is not None and on_sqlite:
            value = rounded(value)
        values[name] = value
    kinds = {name: TABLES[table].columns[name].type for name in row}
    cast = "jsonb" if not on_sqlite else "text"
    places = ", ".join(f"CAST(:{name} AS {cast})" if kinds[name] == "json" else f":{name}" for name in row)
    columns = ", ".join(f'"{name}"' for name in row)
    connection.execute(sa.text(f'INSERT INTO "{table}" ({columns}) VALUES ({places})'), values)


def rounded(typed: str) -> str:
    """A moment as TIMESTAMP(3) would have it, spelled as SQLite keeps it."""
    moment = datetime.fromisoformat(typed)
    if moment.microsecond % 1000:  # the last moment there is cannot be rounded up
        moment += timedelta(microseconds=500)
    return f"{moment.isoformat(' ', timespec='milliseconds')}000"


@functools.cache
def as_sqlite_keeps(text: str) -> str:
    """JSON in the one form in which SQLite's text is told apart: keys sorted by code point, numbers as jsonb prints
    them, of double keys the last."""

    def number(spelled: str) -> Number:
        made = Number(spelled)
        made.spelling = format(Decimal(spelled), "f")
        if not made:
            made.spelling = made.spelling.lstrip("-")
        return made

    return spell_line(in_order(json.loads(text, parse_float=number, parse_int=number)))


def in_order(value: Any) -> Any:
    """Free-form JSON with its keys sorted by code point."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(one) for one in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------- out of a database
def raw_rows(url: str) -> dict[str, list[Row]]:
    """Table -> all of its rows, sorted by their keys, every value as the database itself spells it: moments and JSON
    as text."""
    engine = sa.create_engine(url)
    found: dict[str, list[Row]] = {}
    with engine.connect() as connection:
        for table, told in TABLES.items():
            columns = ", ".join(
                f'CAST("{name}" AS TEXT) AS "{name}"' if column.type in ("time", "json") else f'"{name}"'
                for name, column in told.columns.items()
            )
            several = connection.exec_driver_sql(f'SELECT {columns} FROM "{table}"').mappings()
            found[table] = sorted((dict(row) for row in several), key=lambda row: [row[name] for name in key_of(table)])
    engine.dispose()
    return found
