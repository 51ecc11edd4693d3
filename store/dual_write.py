"""Dual writes under the names Quilltap's code knows. Each looks at both sides afterwards and says what it found.

The repositories do the same writes without that second look; it costs a read of both sides.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from store.comparing import Comparison
from store.documents import Character, Persona, Tag, User
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
    log.warning("%s %s is not the same on both sides: %s", kind, record_id, what)


def _checked(store: Both, kind: str, record_id: str, result: Result[Any]) -> Result[Any]:
    """The result, corrected by a look at both sides."""
    found = store.compare(kind, record_id)
    if found.state in ("equal", "one_side", "pending"):
        return result
    log_consistency_issue(kind, record_id, found)
    return Result(result.value, replace(result.sources, consistent=False))


def _create(store: Both, kind: str, fields: dict[str, Any]) -> Result[Any]:
    result = store.repositories[kind].create(fields)
    return _checked(store, kind, result.value.id, result)


def _update(store: Both, kind: str, record_id: str, fields: dict[str, Any]) -> Result[Any]:
    return _checked(store, kind, record_id, store.repositories[kind].update(record_id, fields))


def _delete(store: Both, kind: str, record_id: str) -> Result[bool]:
    return _checked(store, kind, record_id, store.repositories[kind].delete(record_id))


def create_user_with_dual_write(store: Both, fields: dict[str, Any]) -> Result[User]:
    return _create(store, "user", fields)


def update_user_with_dual_write(store: Both, user_id: str, fields: dict[str, Any]) -> Result[User]:
    return _update(store, "user", user_id, fields)


def delete_user_with_dual_write(store: Both, user_id: str) -> Result[bool]:
    return _delete(store, "user", user_id)


def create_tag_with_dual_write(store: Both, fields: dict[str, Any]) -> Result[Tag]:
    return _create(store, "tag", fields)


def update_tag_with_dual_write(store: Both, tag_id: str, fields: dict[str, Any]) -> Result[Tag]:
    return _update(store, "tag", tag_id, fields)


def delete_tag_with_dual_write(store: Both, tag_id: str) -> Result[bool]:
    return _delete(store, "tag", tag_id)


def create_persona_with_dual_write(store: Both, fields: dict[str, Any]) -> Result[Persona]:
    return _create(store, "persona", fields)


def update_persona_with_dual_write(store: Both, persona_id: str, fields: dict[str, Any]) -> Result[Persona]:
    return _update(store, "persona", persona_id, fields)


def delete_persona_with_dual_write(store: Both, persona_id: str) -> Result[bool]:
    return _delete(store, "persona", persona_id)


def create_character_with_dual_write(store: Both, fields: dict[str, Any]) -> Result[Character]:
    return _create(store, "character", fields)


def update_character_with_dual_write(store: Both, character_id: str, fields: dict[str, Any]) -> Result[Character]:
    return _update(store, "character", character_id, fields)


def delete_character_with_dual_write(store: Both, character_id: str) -> Result[bool]:
    return _delete(store, "character", character_id)
