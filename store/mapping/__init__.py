"""Rows <-> record, one file per noun: pure functions, and the declaration of where a noun's columns lie."""

from typing import Final

from store.mapping.base import Child, Mapping, Record, Row, Rows
from store.mapping.characters import CHARACTERS
from store.mapping.personas import PERSONAS
from store.mapping.tags import TAGS
from store.mapping.users import USERS

# Every noun by its kind, in the order in which links point: later ones may name earlier ones.
MAPPINGS: Final[dict[str, Mapping]] = {m.kind: m for m in (USERS, TAGS, PERSONAS, CHARACTERS)}

__all__ = ["MAPPINGS", "Child", "Mapping", "Record", "Row", "Rows"]
