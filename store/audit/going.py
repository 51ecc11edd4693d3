"""What goes with a record, by the database's own rules: counted before it goes, and who named it is kept."""

from collections.abc import Mapping as Mapping_
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Dialect, Table

from store import rows
from store.audit.differences import TAG_TABLES, note_gone
from store.audit.entries import is_noting, sum_up
from store.audit.table import GROUPED_FROM
from store.mapping import MAPPINGS, Mapping
from store.mapping.messages import MESSAGES
from store.statements import Statement, among
from store.tables.base import db

MOST_POINTERS = 5_000  # records that named a record which goes, and are kept to be tied to it again
LINKED, DEFAULT = "character.personaLinks", "character.defaultPersona"
_NOUNS: Final = {mapping.main: mapping for mapping in (*MAPPINGS.values(), MESSAGES) if not mapping.derived}
_KINDS: Final = {mapping.kind: mapping for mapping in (*MAPPINGS.values(), MESSAGES)}
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
    found = _Along()
    for _, count, name, lost in sorted(_counting(noun.kind).read(connection, ids=ids)):
        if name and count:
            found.gone[name] = count
        elif lost:
            found.cut += count
    return found


@cache
def _counting(kind: str) -> Statement:
    """How many rows of each table go with ``ids`` or are cut: its place in the order, the count, the noun when records
    of one are deleted, and whether it is a loss of somebody who stays. One statement, because asking table by table
    takes longer than the delete itself."""
    return Statement(lambda dialect: _count(dialect, _KINDS[kind]))


def _count(dialect: Dialect, noun: Mapping) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    first = sa.select(*_named(noun.main)).where(among(dialect, noun.main.c[noun.key], "ids"))
    going = {noun.main: first.cte("going")}
    own = {child.table for child in noun.children}
    selects: list[Any] = []
    for table in db.metadata.sorted_tables:
        conditions: dict[str, list[sa.ColumnElement[bool]]] = {"CASCADE": [], "SET NULL": []}
        for key in table.foreign_keys if table is not noun.main else ():
            if (parent := going.get(key.column.table)) is not None:
                named = key.parent.in_(sa.select(parent.c[key.column.name]))
                conditions.setdefault(str(key.ondelete), []).append(named)
        for rule in ("CASCADE", "SET NULL"):
            if conditions[rule] and table not in own:
                name = _NOUNS[table].document.noun if rule == "CASCADE" and table in _NOUNS else ""
                lost = int(not name and (rule == "SET NULL" or not _is_of_gone(table, going, noun)))
                asked = sa.literal(len(selects)), sa.func.count(), sa.literal(name), sa.literal(lost)
                selects.append(sa.select(*asked).select_from(table).where(sa.or_(*conditions[rule])))
        if conditions["CASCADE"] and (columns := _named(table)):
            going[table] = sa.select(*columns).where(sa.or_(*conditions["CASCADE"])).cte(f"going_{table.name}")
    return sa.union_all(*selects) if selects else sa.select(sa.literal(0)).where(sa.false())


def _named(table: Table) -> list[sa.Column[Any]]:
    """The columns of a table that foreign keys name."""
    keys = (key for other in db.metadata.sorted_tables for key in other.foreign_keys)
    return list(dict.fromkeys(key.column for key in keys if key.column.table is table))


def _is_of_gone(table: Table, going: Mapping_[Table, Any], noun: Mapping) -> bool:
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
