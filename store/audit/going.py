"""What goes with a record, by the database's own rules: counted before it goes, and who named it is kept."""

from collections.abc import Mapping as Mapping_
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Table

from store import rows
from store.audit.differences import TAG_TABLES, note_gone
from store.audit.entries import is_noting, sum_up
from store.audit.table import GROUPED_FROM
from store.mapping import MAPPINGS, Mapping
from store.mapping.messages import MESSAGES
from store.tables.base import db

MOST_POINTERS = 5_000  # records that named a record which goes, and are kept to be tied to it again
LINKED, DEFAULT = "character.personaLinks", "character.defaultPersona"
_NOUNS: Final = {mapping.main: mapping for mapping in (*MAPPINGS.values(), MESSAGES) if not mapping.derived}
_TAGGED: Final = {table: kind for kind, table in TAG_TABLES.items()}


@dataclass
class _Along:
    """``gone``: noun -> how many records; ``cut``: how many links of others."""

    gone: dict[str, int] = field(default_factory=dict)
    cut: int = 0

    def add(self, other: "_Along") -> None:
        for noun, count in other.gone.items():
            self.gone[noun] = self.gone.get(noun, 0) + count
        self.cut += other.cut

    @property
    def told(self) -> dict[str, Any]:
        """As an entry keeps it; empty when nothing went along."""
        return {name: value for name, value in vars(self).items() if value}


def along_in_words(along: Mapping_[str, Any], what: str = "it") -> str:
    """``With it went 3 chats, 57 messages. 1 link of another record to it was cut.``"""
    told = []
    if gone := along.get("gone"):
        counts = [f"{count:,} {noun if count == 1 else f'{noun}s'}" for noun, count in gone.items()]
        told.append(f"With {what} went {', '.join(counts)}.")
    if cut := along.get("cut"):
        one = f"1 link of another record to {what} was"
        told.append(f"{one if cut == 1 else f'{cut:,} links of other records to {what} were'} cut.")
    return " ".join(told)


def note_deleted(connection: Connection, noun: Mapping, ids: Sequence[str]) -> None:
    """Note that records are about to be deleted, within the transaction that does it: what they say, what goes along,
    who names them. Records that are not there are passed over."""
    if not is_noting():
        return
    single, total = len(ids) < GROUPED_FROM, _Along()
    for some in rows.chunks(filter(rows.is_sound, ids)):
        found = rows.load(connection, noun, some)
        if not single and found:
            total.add(_along(connection, noun, list(found)))
        for record_id, old in found.items():
            along = _along(connection, noun, [record_id]).told if single else None
            note_gone(noun, old, along, _pointers(connection, noun, record_id) if single else None)
    sum_up(along_in_words(total.told, "them"))


def _along(connection: Connection, noun: Mapping, ids: Sequence[str]) -> _Along:
    """Follow the foreign keys from the records: what they delete, and what they set to nothing."""
    going: dict[Table, sa.ColumnElement[bool]] = {}
    found, own = _Along(), {child.table for child in noun.children}
    for table in db.metadata.sorted_tables:
        conditions: dict[str, list[sa.ColumnElement[bool]]] = {"CASCADE": [], "SET NULL": []}
        for key in table.foreign_keys:
            parent, rule = key.column.table, str(key.ondelete)
            if parent is noun.main and table is not noun.main:
                conditions.setdefault(rule, []).append(key.parent.in_(ids))
            elif parent in going:
                conditions.setdefault(rule, []).append(key.parent.in_(sa.select(key.column).where(going[parent])))
        if conditions["CASCADE"]:
            going[table] = sa.or_(*conditions["CASCADE"])
        for rule, several in conditions.items():
            if several and table not in own and rule in ("CASCADE", "SET NULL"):
                counted = sa.select(sa.func.count()).select_from(table).where(sa.or_(*several))
                if not (count := connection.scalar(counted) or 0):
                    continue
                if rule == "CASCADE" and table in _NOUNS:
                    found.gone[_NOUNS[table].document.noun] = count
                elif rule == "SET NULL" or not _is_of_gone(table, going, noun):
                    found.cut += count
    return found


def _is_of_gone(table: Table, going: dict[Table, Any], noun: Mapping) -> bool:
    """Whether a table of links belongs to records that go themselves; those links are nobody's loss."""
    owners = {key.column.table for key in table.foreign_keys} - {noun.main}
    return bool(owners & going.keys())


def _pointers(connection: Connection, noun: Mapping, record_id: str) -> dict[str, list[str]]:
    """``kind.field`` -> the records that name this one there, and lose it."""
    found: dict[str, list[str]] = {}
    left = MOST_POINTERS
    for table in db.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table is not noun.main:
                continue
            if key.ondelete == "SET NULL" and table in _NOUNS:
                name, ids = f"{_NOUNS[table].kind}.{key.parent.name}", sa.select(table.c[_NOUNS[table].key])
            elif noun.kind == "persona" and "isDefault" in table.c and "characterId" in table.c:
                found.update(_linked(connection, table, record_id, left))
                left -= sum(len(ids) for name, ids in found.items() if name in (LINKED, DEFAULT))
                continue
            elif noun.kind == "tag" and table.name in _TAGGED:
                kind = _TAGGED[table.name]
                name, ids = f"{kind}.tags", sa.select(table.c[MAPPINGS[kind].children[_place(kind, table)].column])
            else:
                continue
            if named := list(connection.scalars(ids.where(key.parent == record_id).limit(left + 1))):
                found[name], left = named, left - len(named)
            if left < 0:  # too many to be tied to it again
                return {}
    return found


def _linked(connection: Connection, table: Table, persona_id: str, at_most: int) -> dict[str, list[str]]:
    """The characters that link to a persona, by what it is to them."""
    links = sa.select(table.c.characterId, table.c.isDefault).where(table.c.personaId == persona_id).limit(at_most + 1)
    found: dict[str, list[str]] = {}
    for character_id, is_default in connection.execute(links):
        found.setdefault(DEFAULT if is_default else LINKED, []).append(character_id)
    return found


def _place(kind: str, table: Table) -> int:
    return [child.table for child in MAPPINGS[kind].children].index(table)
