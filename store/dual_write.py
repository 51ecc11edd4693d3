"""Dual writes under the names Quilltap's code knows. Each looks at both sides afterwards and says what it found.

The repositories do the same writes without that second look; it costs a read of both sides.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from store.comparing import Comparison
from store.mapping import MAPPINGS, spoken
from store.repositories.contract import Result

log = logging.getLogger("tandem.dual_write")


class Both(Protocol):
    """What a dual write needs of a store."""

    @property
    def repositories(self) -> Mapping[str, Any]: ...

    def compare(self, kind: str, record_id: str) -> Comparison: ...


def validate_dual_write_result(result: Result[Any]) -> list[str]:
    """What is not as it has to be after a dual write, as sentences; nothing when both sides hold the same."""
    sources, told = result.sources, []
    if not sources.sql:
        told.append("The database did not take part in this write.")
    if not sources.json:
        told.append("The JSON side has not followed yet.")
    if sources.sql and sources.json and not sources.consistent:
        told.append("Both sides were written, and they are not the same.")
    return [*told, sources.error.sentence] if sources.error else told


def log_consistency_issue(kind: str, record_id: str, found: Comparison) -> None:
    """Write down which fields of a record are not the same on both sides; never their values: they may be secrets."""
    what = ", ".join(found.differences) or (found.error.message if found.error else found.state)
    log.warning("%s is not the same on both sides: %s", spoken(kind, record_id), what)


def _checked(store: Both, kind: str, record_id: str, result: Result[Any]) -> Result[Any]:
    """The result, corrected by a look at both sides."""
    found = store.compare(kind, record_id)
    if found.state in ("equal", "one_side", "pending"):
        return result
    log_consistency_issue(kind, record_id, found)
    return Result(result.value, replace(result.sources, consistent=False))


class _Writes:
    """The three dual writes of one kind."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def create(self, store: Both, fields: dict[str, Any]) -> Result[Any]:
        """Create a record on both sides."""
        result = store.repositories[self._kind].create(fields)
        return _checked(store, self._kind, result.value.id, result)

    def update(self, store: Both, record_id: str, fields: dict[str, Any]) -> Result[Any]:
        """Change a record on both sides."""
        return _checked(store, self._kind, record_id, store.repositories[self._kind].update(record_id, fields))

    def delete(self, store: Both, record_id: str) -> Result[bool]:
        """Delete a record on both sides."""
        return _checked(store, self._kind, record_id, store.repositories[self._kind].delete(record_id))


# <verb>_<kind>_with_dual_write, for every kind there is a repository of.
for _kind, _mapping in MAPPINGS.items():
    if not _mapping.derived:
        for _verb in ("create", "update", "delete"):
            globals()[f"{_verb}_{_kind}_with_dual_write"] = getattr(_Writes(_kind), _verb)


def __getattr__(name: str) -> Any:
    """For type checkers: the names made above are all there are."""
    raise AttributeError(f"There is no dual write called {name}.")
