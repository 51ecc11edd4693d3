"""Links that lead to nothing, on either side. In the files only what is not equal has to be looked at: every other link
is one that SQL has, and leads to nothing only where its target is missing there."""

from collections.abc import Iterable, Iterator
from functools import cache
from operator import itemgetter
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Column, Connection, ForeignKey, Table

from store import rows
from store.mapping import MAPPINGS, Row
from store.quilltap import is_uuid
from store.tables import MODELS
from store.tables.images import image_tags
from store.validation.tally import Link, Outcome, Tally
from store.validation.values import MODEL_OF, row_id, shown_id

_ORPHANS: Final = {"CHARACTER": "characters", "PERSONA": "personas", "CHAT": "chats", "THEME": "tags"}
_NAMED = 5  # orphaned image tags that a note names


def check_relations(connection: Connection, tally: Tally, owners: Iterable[Table]) -> None:
    """Every link of every row. ``owners``: the tables whose rows were compared, so that it is known what the files
    miss."""
    compared = {table.name for table in owners}
    for model, table in MODELS.items():
        if tally.count_of(model) is None:
            continue
        for key in sorted(table.foreign_keys, key=lambda one: one.parent.name):
            for row in _dangling(connection, key):
                column = key.parent.name
                tally.dangle("sql", Link(model, row_id(table, row), column, key.column.table.name, str(row[column])))
            if key.column.table.name in compared:
                _in_files(connection, tally, model, table, key)
    for link in _suspects(connection, tally):
        tally.dangle("json", link)
    _note_orphans(connection, tally)


def _dangling(connection: Connection, key: ForeignKey) -> Iterator[Row]:
    """The rows whose link leads to nothing in SQL."""
    yield from (dict(row) for row in connection.execute(_without_target(key)).mappings())


@cache  # 38 keys, and to put one together takes longer than to ask it
def _without_target(key: ForeignKey) -> sa.Select[Any]:
    table, column = key.parent.table, key.parent
    target = key.column.table.alias("target")
    there = sa.select(sa.literal(1)).where(target.c[key.column.name] == column).exists()
    names = {*_key_names(table), column.name}
    return sa.select(*(table.c[name] for name in sorted(names))).where(column.is_not(None), ~there)


def _in_files(connection: Connection, tally: Tally, model: str, table: Table, key: ForeignKey) -> None:
    """The rows that are equal on both sides, and whose target the files do not have."""
    column: Column[Any] = key.parent
    missing = list(tally.in_state(MODEL_OF[key.column.table.name], "only_sql"))
    if not missing:
        return
    # Of a row that is not equal, the files' own links are known.
    states, known = tally.not_equal.get(model, {}), {link.id for link in tally.links if link.model == model}
    names = {*_key_names(table), column.name}
    for some in rows.chunks(missing):
        wanted = sa.select(*(table.c[name] for name in sorted(names))).where(column.in_(some))
        for row in connection.execute(wanted).mappings():
            name = row_id(table, dict(row))
            if states.get(name, "different") == "different" and name not in known:
                tally.dangle("json", Link(model, name, column.name, key.column.table.name, row[column.name]))


def _suspects(connection: Connection, tally: Tally) -> Iterator[Link]:
    """Links of records that are not equal, whose target the files do not have."""
    by_table: dict[str, dict[str, None]] = {}
    for link in tally.links:
        by_table.setdefault(link.table, {})[link.target] = None
    there: dict[str, set[str]] = {}
    for table, targets in by_table.items():
        model = MODEL_OF[table]
        states = tally.not_equal.get(model, {})
        column = MODELS[model].c.id
        known = there[table] = {one for one in targets if states.get(one, "only_sql") != "only_sql"}
        for some in rows.chunks(one for one in targets if one not in known and rows.is_sound(one)):
            found = connection.scalars(sa.select(column).where(column.in_(some)))
            known.update(one for one in found if states.get(one) != "only_sql")
    for link in tally.links:
        if link.target not in there[link.table]:
            yield link


def _key_names(table: Table) -> list[str]:
    names = [column.name for column in table.primary_key] or ["token"]
    return ["id"] if "id" in table.c else names


def _note_orphans(connection: Connection, tally: Tally) -> None:
    """Image tags that name what is not there: normal, for nothing in Quilltap takes them away."""
    if tally.count_of("ImageTag") is None:
        return
    column = image_tags.c
    orphans: list[str] = []
    for kind, name in _ORPHANS.items():
        target = MODELS[MODEL_OF[name]]
        there = sa.select(sa.literal(1)).where(target.c.id == column.tagId).exists()
        wanted = sa.select(column.id, column.tagId).where(column.tagType == kind, ~there)
        # A theme may be any words.
        found = ((one, tag) for one, tag in connection.execute(wanted) if kind != "THEME" or is_uuid(tag))
        orphans += [str(one) for one, _ in found]
    if orphans:
        named = ", ".join(sorted(orphans)[:_NAMED]) + (", …" if len(orphans) > _NAMED else "")
        tally.report.notes.append(
            f"{len(orphans)} image tags name what is not there any more ({named}): normal, and no error."
        )


def lost_rows(connection: Connection, tally: Tally) -> None:
    """Rows that belong to no record that is there: they were not seen with any."""
    for mapping in MAPPINGS.values():
        for child in () if mapping.derived else mapping.children:
            model = MODEL_OF[child.table.name]
            if tally.count_of(model) is None:
                continue
            column = child.table.c[child.column]
            there = sa.select(sa.literal(1)).where(mapping.main.c[mapping.key] == column).exists()
            for row in connection.execute(sa.select(child.table).where(~there)).mappings():
                tally.take(_lost(child.table, dict(row), mapping.kind, str(row[child.column])))


def _lost(table: Table, row: Row, kind: str, owner: str) -> Outcome:
    out = Outcome((kind, owner))
    out.one_sided(table, row, "only_sql", kind, shown_id(kind, owner))
    return out


# Row by its name in a report -> the id of the record that holds it, and where its links lead.
RowNames = dict[str, tuple[str, dict[str, Any]]]


def row_names(connection: Connection, table: Table) -> RowNames:
    """Every row of a table."""
    owner, links = _OWNERS[table.name], sorted({key.parent.name for key in table.foreign_keys})
    names = sorted({*_key_names(table), owner, *links})
    read = itemgetter(names.index(owner), *map(names.index, links))
    found: RowNames = {}
    for row in connection.execute(sa.select(*(table.c[name] for name in names))):
        held_by, *targets = read(row) if links else (row[names.index(owner)],)
        name = row_id(table, dict(zip(names, row, strict=True)))
        found[name] = (held_by, dict(zip(links, targets, strict=True)))
    return found


_OWNERS: Final = {
    **{child.table.name: child.column for mapping in MAPPINGS.values() for child in mapping.children},
    **{mapping.main.name: mapping.key for mapping in MAPPINGS.values() if not mapping.derived},
}
