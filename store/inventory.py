"""How many records of Quilltap's 23 models each side holds."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from store.database import Database
from store.tables import MODELS


@dataclass(frozen=True)
class SideCounts:
    """Records of one model. None: that side could not be counted, or takes no part."""

    sql: int | None
    json: int | None


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
