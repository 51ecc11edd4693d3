"""Rows in plain SQL, as another program writes them, and the files Tandem makes of them."""

from pathlib import Path

import sqlalchemy as sa

from store import Store
from tests.factories import assert_everything_is_equal, assert_quilltap_reads, files_below, open_test_store, put

FREE_FORM = {"sillyTavernData", "sillyTavernMetadata", "parameters", "rawResponse"}
MOMENTS = {"createdAt", "updatedAt", "expires", "lastUsed"}
InsertedRows = list[tuple[str, dict[str, object]]]


def insert_by_hand(store: Store, rows: InsertedRows) -> None:
    """Without the store's types, as another program does."""
    on_sqlite = store.database.dialect == "sqlite"
    with store.database.engine.begin() as connection:
        for table, row in rows:
            values = dict(row)
            for name in MOMENTS & values.keys():
                if on_sqlite:
                    values[name] = f"{values[name]}000"
            columns = ", ".join(f'"{name}"' for name in values)
            places = ", ".join(f"CAST(:{n} AS jsonb)" if n in FREE_FORM and not on_sqlite else f":{n}" for n in values)
            connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), values)


def filled(tmp_path: Path, url: str, rows: InsertedRows, public: dict[str, bytes] | None = None) -> dict[str, bytes]:
    for path, data in (public or {}).items():
        put(tmp_path / "public", path, data)
    store = open_test_store(tmp_path, url, "sql")
    insert_by_hand(store, rows)
    store.close()
    store = open_test_store(tmp_path, url)
    try:
        store.fill_json_side()
        assert_everything_is_equal(store)
        assert_quilltap_reads(store.settings.data_dir)
        return files_below(store.settings.data_dir)
    finally:
        store.close()
