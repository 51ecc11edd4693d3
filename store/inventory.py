"""What there is: how many records of Quilltap's 23 models each side holds, whether the database is as Quilltap 0.7.0
makes it, and whether changes are noticed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from store import capture
from store.database import Database
from store.tables import MODELS

SCHEMA_VERSION: Final = "0.7.0"


@dataclass(frozen=True)
class SideCounts:
    """Records of one model. None: that side could not be counted, or takes no part."""

    sql: int | None
    json: int | None


@dataclass(frozen=True)
class Inventory:
    """What there was at a moment. ``unlike``: what in the database differs from Quilltap's schema, as sentences;
    ``capture``: the triggers that are in place, and those that are missing."""

    made_at: str
    models: dict[str, SideCounts]
    unlike: list[str]
    triggers: list[str]
    missing: list[str]
    waiting: int

    def as_json(self) -> dict[str, Any]:
        """The inventory as one JSON object."""
        return {
            "madeAt": self.made_at,
            "schema": {"version": SCHEMA_VERSION, "differences": self.unlike},
            "models": {model: {"sql": one.sql, "json": one.json} for model, one in self.models.items()},
            "capture": {"on": not self.missing, "triggers": self.triggers, "missing": self.missing},
            "waiting": self.waiting,
        }

    def as_text(self) -> str:
        """The inventory for a person."""
        lines = [f"{'Model':<22}{'SQL':>9}{'JSON':>9}"]
        lines += [f"{model:<22}{_told(one.sql):>9}{_told(one.json):>9}" for model, one in self.models.items()]
        lines.append(f"Schema {SCHEMA_VERSION}: {'as it should be' if not self.unlike else 'differs'}.")
        lines += [f"  {sentence}" for sentence in self.unlike]
        on = "on" if not self.missing else f"off ({len(self.missing)} triggers are missing)"
        lines.append(f"Capture is {on}; {len(self.triggers)} triggers named tandem_… are in place.")
        lines.append(f"{self.waiting} records wait for the other side.")
        return "\n".join(lines)


def count_rows(connection: Connection) -> dict[str, int]:
    """Model -> rows."""
    selects = [sa.select(sa.literal(model), sa.func.count()).select_from(table) for model, table in MODELS.items()]
    return {row[0]: row[1] for row in connection.execute(sa.union_all(*selects))}


def counts(database: Database | None, json_rows: Callable[[], dict[str, int]] | None) -> dict[str, SideCounts]:
    """Both sides, model by model. ``json_rows`` counts what lies in the files; None where they take no part."""
    sql: dict[str, int] = {}
    if database is not None:
        with database.read() as connection:
            sql = count_rows(connection)
    json = json_rows() if json_rows is not None else {}
    return {model: SideCounts(sql.get(model), json.get(model)) for model in MODELS}


def take(database: Database, models: dict[str, SideCounts], made_at: str, waiting: int) -> Inventory:
    """The inventory of a database, with counts of both sides."""
    with database.read() as connection:
        missing = [trigger.name for trigger in capture.missing(connection)]
        triggers = sorted(set(capture.installed(connection)) - set(missing))
        unlike = list(_unlike(connection))
    return Inventory(made_at, models, unlike, triggers, missing, waiting)


def _unlike(connection: Connection) -> Iterator[str]:
    """What is not as Quilltap's own migrations make it."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names())
    for table in MODELS.values():
        if table.name not in there:
            yield f"The table {table.name} is missing."
            continue
        columns = {column["name"]: column for column in inspector.get_columns(table.name)}
        for column in table.c:
            found = columns.pop(column.name, None)
            if found is None:
                yield f"The column {table.name}.{column.name} is missing."
            elif bool(found["nullable"]) != bool(column.nullable) and not column.primary_key:
                yield f"The column {table.name}.{column.name} {'may' if found['nullable'] else 'may not'} be NULL."
        for name in columns:
            yield f"The column {table.name}.{name} is not Quilltap's: it is left out of every move."


def _told(count: int | None) -> str:
    return "-" if count is None else str(count)
