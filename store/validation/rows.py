"""One record on both sides, row by row and column by column; and then what its file says beyond its rows."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import Table

from store import rows as sql_rows
from store.documents.base import Document
from store.mapping import MAPPINGS, Child, Mapping, Record, Row, Rows
from store.mapping.messages import MESSAGES
from store.tables.base import FreeForm
from store.validation.report import Difference
from store.validation.tally import Derived, Outcome, RowName
from store.validation.values import MODEL_OF, is_secret, plain, row_id, same, same_json, shown_id

# Key of a file -> the table whose rows it tells; where those differ, the key has nothing of its own to tell.
_TOLD_BY: Final[dict[tuple[str, str], str]] = {
    **{
        (kind, key): table
        for kind, table in (
            ("profile", "connection_profile_tags"),
            ("image_profile", "image_profile_tags"),
            ("persona", "persona_tags"),
            ("character", "character_tags"),
            ("chat", "chat_tags"),
        )
        for key in ("tags", "extras.tagLinks")
    },
    **{("image", key): "image_tags" for key in ("tags", "extras.imageTags")},
    **{("character", key): "chat_avatar_overrides" for key in ("avatarOverrides", "extras.avatarOverrides")},
    ("character", "personaLinks"): "character_personas",
    ("user", "chatSettings"): "chat_settings",
    ("user", "user.extras.syntheticChatSettings"): "chat_settings",
}
# Of the lines about bytes: key -> the column of their own that it follows from.
_FOLLOWS: Final = {"updatedAt": "createdAt", "sha256": "filepath", "extras.bytesMissing": "filepath"}
_OF_FILES = ("log", "crc")  # members of extras that only files can tell
_DEEPER = ("user", "extras", "user.extras", "user.totp", "user.backupCodes")


def mapping_of(kind: str) -> Mapping:
    """The mapping of a noun or of messages."""
    return MESSAGES if kind == MESSAGES.kind else MAPPINGS[kind]


@functools.cache
def _own_tables_of(main: Table, children: tuple[Child, ...]) -> tuple[Table, ...]:
    return (main, *(child.table for child in children))


def own_tables(mapping: Mapping) -> tuple[Table, ...]:
    """The tables whose rows a record holds."""
    return () if mapping.derived else _own_tables_of(mapping.main, mapping.children)


def compare_rows(
    out: Outcome, mapping: Mapping, shown: str, sql: Rows, json: Rows, equal: frozenset[str] = frozenset()
) -> set[str]:
    """Say what became of each row; the names of columns of the main table, and of other tables, that differ. Columns
    in ``equal`` are known to say the same."""
    wrong: set[str] = set()
    for table in own_tables(mapping):
        for row, other in _pairs(table, sql.get(table.name, ()), json.get(table.name, ())):
            if row is None or other is None:
                there = other if row is None else row
                assert there is not None
                out.one_sided(table, there, "only_json" if row is None else "only_sql", mapping.kind, shown)
                wrong.add(table.name)
                continue
            names = [column.name for column in table.c]
            fields = [
                name
                for name in names
                if name in other and name not in equal and not same(table, name, row[name], other[name])
            ]
            out.put(table, row, "different" if fields else "equal")
            out.differences += [_difference(table, name, row, other, mapping.kind, shown) for name in fields]
            if fields:
                wrong |= set(fields) if table is mapping.main else {table.name}
    return wrong


def _difference(table: Table, name: str, row: Row, other: Row, kind: str, shown: str) -> Difference:
    secret = is_secret(table, name)
    here, there = (None, None) if secret else (plain(row[name]), plain(other[name]))
    return Difference(MODEL_OF[table.name], row_id(table, row), name, here, there, kind, shown, secret)


def _pairs(table: Table, sql: Iterable[Row], json: Iterable[Row]) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows of both sides that are one: by their key, and of the rest by what else is unique in them: Quilltap does not
    keep the ids of links."""
    left, right = list(sql), list(json)
    for columns in _identities(table):
        others: dict[tuple[Any, ...], Row] = {tuple(row.get(name) for name in columns): row for row in reversed(right)}
        rest = []
        for row in left:
            other = others.pop(tuple(row[name] for name in columns), None)
            if other is None:
                rest.append(row)
            else:
                right.remove(other)
                yield row, other
        left = rest
    yield from ((row, None) for row in left)
    yield from ((None, row) for row in right)


def _identities(table: Table) -> Iterator[tuple[str, ...]]:
    yield tuple(column.name for column in table.primary_key) or ("token",)
    if "id" in table.c:
        yield from (tuple(index.columns.keys()) for index in table.indexes if index.unique)


def differ(mapping: Mapping, sql: Rows, json: Rows) -> bool:
    """Whether any row of the record is not the same."""
    return sql_rows.differ(mapping, sql, json)


# ------------------------------------------------------------------ beyond the rows
def compare_documents(
    out: Outcome, mapping: Mapping, shown: str, sql: Document, json: Document, wrong: set[str], rows: Rows
) -> None:
    """What the file says beyond its rows: order, and what follows from other records."""
    kind, model = mapping.kind, mapping.model
    for path, here, there in _leaves("", sql.model_dump(), json.model_dump()):
        if _is_told(mapping, path, wrong):
            continue
        hidden = kind == "user" and not path.startswith("chatSettings")
        one, other = (None, None) if hidden else (plain(here), plain(there))
        name = row_id(mapping.main, rows[mapping.main.name][0])
        difference = Difference(model, name, path, one, other, kind, shown, hidden)
        causes, all_of_them = _causes(kind, path, here, there, name, rows)
        out.derived.append(Derived(difference, causes, all_of_them))


def _leaves(path: str, here: Any, there: Any) -> Iterator[tuple[str, Any, Any]]:
    """The keys whose values are not the same. ``extras`` are gone into, with what lies in them."""
    if not isinstance(here, dict) and not isinstance(there, dict):
        yield path, here, there
        return
    one, other = here if isinstance(here, dict) else {}, there if isinstance(there, dict) else {}
    for key in {**one, **other}:
        name = f"{path}.{key}" if path else key
        if path.endswith("extras") and key in _OF_FILES:
            continue
        left, right = one.get(key), other.get(key)
        if path.endswith("extras"):  # where nothing is left out only because it says nothing
            left, right = (None if value in ((), False) else value for value in (left, right))
        if not same_json(left, right):
            yield from _leaves(name, left, right) if name in _DEEPER else ((name, left, right),)


def _is_told(mapping: Mapping, path: str, wrong: set[str]) -> bool:
    """Whether a difference in rows says it already."""
    if _TOLD_BY.get((mapping.kind, path)) in wrong:
        return True
    if path.endswith("extras.raw"):
        return any(
            isinstance(column.type, FreeForm) or mapping.kind in ("user", "image") for column in _named(mapping, wrong)
        )
    last = path.rpartition(".")[2]
    if mapping.kind == "user":
        block = path.split(".")[1] if path.startswith("user.") else ""
        if block in ("totp", "backupCodes"):
            start = "totp" if block == "totp" else "backupCodes"
            return any(column.name.startswith(start) for column in _named(mapping, wrong)) or (
                last == "createdAt" and "createdAt" in wrong
            )
        return path.startswith("user.") and last in wrong
    renamed = {key: column for column, key in mapping.document.renamed.items()}
    if renamed.get(last, last) in wrong:
        return True
    # What follows from a column of its own.
    follows = {
        "attachment": {"updatedAt": "createdAt"},
        "image": {"extras.bytesMissing": "filepath", "sha256": "filepath"},
    }
    follows["attachment"] |= follows["image"]
    return follows.get(mapping.kind, {}).get(path) in wrong


def _named(mapping: Mapping, wrong: set[str]) -> Iterator[Any]:
    return (mapping.main.c[name] for name in wrong if name in mapping.main.c)


def _causes(kind: str, path: str, here: Any, there: Any, name: str, rows: Rows) -> tuple[tuple[RowName, ...], bool]:
    """The rows of other records that a field follows from."""
    if kind == "persona" and path == "characterLinks":
        return tuple(("CharacterPersona", f"{one}:{name}") for one in _not_in_both(here, there)), True
    if kind == MESSAGES.kind and path == "attachments":
        return tuple(("ChatFile", one) for one in _not_in_both(here, there)), True
    if kind == "attachment" and path == "userId":
        return tuple(("Chat", row["id"]) for row in rows.get("chats", ())), False
    if kind == "avatar":
        return (("ChatAvatarOverride", name), *(("Image", row["id"]) for row in rows.get("images", ()))), False
    return (), False


def _not_in_both(here: Any, there: Any) -> list[str]:
    return sorted(set(here or ()) ^ set(there or ()))


def one_side(out: Outcome, mapping: Mapping, record_id: str, rows: Rows, *, in_sql: bool) -> None:
    """A record that is on one side only, with its rows."""
    shown = shown_id(mapping.kind, record_id)
    for table in own_tables(mapping):
        for row in rows.get(table.name, ()):
            out.one_sided(table, row, "only_sql" if in_sql else "only_json", mapping.kind, shown)


def links_of(out: Outcome, mapping: Mapping, rows: Rows) -> None:
    """Remember where the rows of a record of the files lead to."""
    for table in own_tables(mapping):
        for row in rows.get(table.name, ()):
            out.add_links(table, row)


def without(record: Record, *keys: str) -> Record:
    """The record without some keys."""
    return {key: value for key, value in record.items() if key not in keys}
