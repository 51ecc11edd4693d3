"""What SQL and the files hold while SQL follows the files, and what other programs do to either."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from store import Store, open_store
from tests import nasty
from tests.crash import reader
from tests.factories import files_below, put


def differences(store: Store) -> list[str]:
    """What is not the same in SQL and in the files, by a reader that knows nothing of the store."""
    return reader.differences(reader.read_sql(store.settings.database_url), files_below(store.settings.data_dir))


def behind(store: Store) -> list[str]:
    """What is still not the same once SQL had time to follow, or is said to be not."""
    store.catch_up()
    told = [problem.message for problem in store.problems()]
    return [*differences(store), *told, *["something waits"][: store.following.pending()]]


def by_another_program(store: Store, statement: str, *values: Any) -> None:
    """A change of the database that no Tandem made."""
    with store.database.engine.begin() as connection:
        connection.execute(sa.text(statement), dict(zip("abc", values, strict=False)))


def in_sql(store: Store, statement: str, *values: Any) -> list[Any]:
    with store.database.read() as connection:
        return list(connection.scalars(sa.text(statement), dict(zip("abc", values, strict=False))))


def names(store: Store) -> set[str]:
    """The names of characters in SQL."""
    return set(in_sql(store, "SELECT name FROM characters"))


def file_of(store: Store, path: str) -> Path:
    return store.settings.data_dir / path


def lay(store: Store, path: str, data: bytes | str) -> None:
    """Put another file in the place of this one. Writing into it would write into the copy that a world keeps."""
    put(store.settings.data_dir, f"{path}.tmp.0", data).replace(file_of(store, path))


def mend(store: Store, path: str, old: str, new: str) -> None:
    """Another program's edit of a file."""
    text = file_of(store, path).read_text()
    assert old in text
    lay(store, path, text.replace(old, new))


def started_anew(store: Store, backend: str = "json") -> Store:
    store.close()
    return open_store(replace(store.settings, data_backend=backend), follow=False)  # type: ignore[arg-type]


def same_rows(store: Store) -> bool:
    """Whether every row in SQLite is as the index has it, which was read from the files."""
    index = f"sqlite:///{store.side.own_dir / 'index.sqlite'}"
    return nasty.raw_rows(store.settings.database_url) == nasty.raw_rows(index)
