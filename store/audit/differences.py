"""What became of a record's fields, as the audit keeps it: enough to show both sides, and to put the old one back.

Field -> one of

- ``{"before": …, "after": …}``, each left out where there was nothing to speak of (a new record, one that is gone);
- ``{"added": […], "removed": […]}`` for tags: other tags of the record do not matter to it;
- ``{"secret": true}``: it changed, and that is all that is told.

A delete also says what is no field: ``along`` (what went with it), and ``namedBy`` (who named it, to be tied again).

Of a long value only what differs is kept on the other side: ``"after": {…}`` becomes ``"splice": [start, end, text]``,
over the value's JSON text. What JSON cannot tell has a word beside it (``"beforeIs"``, ``"afterIs"``): ``json null``
as opposed to nothing, ``unusable`` for stored text that no document takes. A value of a new record that is long is
only measured: ``{"characters": n}``.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from store import codec
from store.audit.entries import Change, noted, room_for
from store.discretion import is_secret, plain, shown_id
from store.documents.base import NAMES
from store.errors import InvalidValueError
from store.mapping import MAPPINGS, Row, Rows
from store.mapping import Mapping as Noun
from store.mapping.base import by_creation
from store.rows import same
from store.tables import JSON_NULL, Unusable

LONG = 1_000  # characters of a value's JSON text from which only what differs is kept of its other side
SHOWN_OF_NEW = 500  # characters of a value that are kept of a new record
LONGEST_TITLE = 120
_FOLLOWS: Final = {"updatedAt": "", "nameLower": "name"}  # says nothing of its own; column -> what it follows from
NO_FIELDS: Final = ("along", "namedBy")
Changes = dict[str, dict[str, Any]]


def _tags(rows: Rows, table: str) -> list[str]:
    return [row["tagId"] for row in by_creation(rows[table])]


def _personas(rows: Rows) -> list[dict[str, Any]]:
    links = sorted(rows["character_personas"], key=lambda link: str(link["personaId"]))
    return [{"personaId": link["personaId"], "isDefault": link["isDefault"]} for link in links]


def _image_tags(rows: Rows) -> list[dict[str, Any]]:
    return [{"tagType": row["tagType"], "tagId": row["tagId"]} for row in by_creation(rows["image_tags"])]


def _setting(name: str) -> Callable[[Rows], Any]:
    return lambda rows: rows["chat_settings"][0][name] if rows["chat_settings"] else None


# What of a record lies in other tables: kind -> field -> its value.
_LINKS: Final[dict[str, dict[str, Callable[[Rows], Any]]]] = {
    "character": {"personaLinks": _personas},
    "image": {"imageTags": _image_tags},
    "user": {name: _setting(name) for name in ("avatarDisplayMode", "avatarDisplayStyle")},
    "message": {"attachments": lambda rows: [file["id"] for file in by_creation(rows["chat_files"])]},
}
TAG_TABLES: Final = {
    mapping.kind: child.table.name
    for mapping in MAPPINGS.values()
    for child in mapping.children
    if "tagId" in child.table.c and mapping.kind != "image"
}


# ------------------------------------------------------------------ noting
def note_created(noun: Noun, new: Rows) -> None:
    """A record was made. Long values are only measured: they are in the record itself, or before the next change."""
    noted(_about(noun, "create", new, _fields(noun, {}, new)))


def note_updated(noun: Noun, old: Rows, new: Rows) -> None:
    """A record was changed; nothing is noted when nothing of it was."""
    if changes := _fields(noun, old, new):
        noted(_about(noun, "update", new, changes))


def note_gone(
    noun: Noun, old: Rows, along: dict[str, Any] | None = None, named_by: Mapping[str, Any] | None = None
) -> None:
    """A record is gone, and ``along`` with it. Its values are kept as long as there is room for them."""
    changes, message = _fields(noun, old, {}), ""
    if named_by:
        changes["namedBy"] = {"before": dict(named_by)}
    if not room_for(sum(len(str(one.get("before", ""))) for one in changes.values())):
        changes, message = {}, "Too much went at once to keep what it said."
    if along:
        changes["along"] = along
    noted(_about(noun, "delete", old, changes, message))


def note_tied(kind: str, names: Mapping[str, str], tag_id: str, verb: str) -> None:
    """Records got a tag (``added``) or lost it (``removed``): id -> name."""
    for record_id, name in names.items():
        changes = {"tags": {verb: [tag_id]}}
        noted(Change("update", kind, shown_id(kind, record_id), _short(name), changes=changes))


def note_set(kind: str, names: Mapping[str, str], field: str, before: Any, after: Any) -> None:
    """The same field of several records became the same: id -> name."""
    for record_id, name in names.items():
        noted(Change("update", kind, shown_id(kind, record_id), _short(name), changes={field: pair(before, after)}))


def note_worn(chat: Rows, character_id: str, before: str | None, after: str | None) -> None:
    """A character wears another image in a chat, or its own picture again."""
    if before != after:
        worn = [{character_id: image_id} if image_id else {} for image_id in (before, after)]
        noted(_about(MAPPINGS["chat"], "update", chat, {"avatarOverrides": pair(*worn)}))


def _about(noun: Noun, action: str, rows: Rows, changes: Changes, message: str = "") -> Change:
    row = rows[noun.main.name][0]
    return Change(
        action,
        noun.kind,
        shown_id(noun.kind, row[noun.key]),
        title_of(row),
        message,
        changes=changes,
        within=row.get("chatId") if noun.kind in ("message", "attachment") else None,
    )


def title_of(row: Row) -> str:
    """What people call the record of a row; of a message how it begins."""
    found = next((row[name] for name in (*NAMES, "identifier", "content") if row.get(name)), "")
    return _short(found) if isinstance(found, str) else ""


def _short(text: str) -> str:
    line = " ".join(str(plain(text[: 4 * LONGEST_TITLE])).replace("\0", " ").split())
    return line if len(line) <= LONGEST_TITLE else f"{line[: LONGEST_TITLE - 1]}…"


# ------------------------------------------------------------------ fields
def _fields(noun: Noun, old: Rows, new: Rows) -> Changes:
    """What became of each field; ``old`` or ``new`` is empty where there is no record."""
    table = noun.main
    before, after = (next(iter(rows.get(table.name, ())), None) for rows in (old, new))
    changes: Changes = {}
    for name in (str(column.name) for column in table.c):
        one, other = before[name] if before else None, after[name] if after else None
        if before and after and (one is other or same(table, name, one, other)):
            continue
        if is_secret(table, name):
            if one is not None or other is not None:
                changes[name] = {"secret": True}
        elif told := _told(one, other, whole=before is not None, both=bool(before and after)):
            changes[name] = told
    if before and after:
        for name, origin in _FOLLOWS.items():
            if not origin or origin in changes:
                changes.pop(name, None)
    if noun.kind in TAG_TABLES:
        _compare_tags(changes, *(_tags(rows, TAG_TABLES[noun.kind]) if rows else [] for rows in (old, new)))
    for name, value_of in _LINKS.get(noun.kind, {}).items():
        one, other = (value_of(rows) if rows else None for rows in (old, new))
        if one != other and (told := _told(one, other, whole=before is not None, both=bool(before and after))):
            changes[name] = told
    return changes


def _told(before: Any, after: Any, *, whole: bool, both: bool) -> dict[str, Any]:
    if both:
        return pair(before, after)
    value, side = (before, "before") if whole else (after, "after")
    if value is None or value == []:
        return {}
    told = _side(side, value)
    text = codec.dumps(told[side])
    if not whole and len(text) > SHOWN_OF_NEW:
        return {"characters": len(text.decode())}
    return told


def _compare_tags(changes: Changes, before: Iterable[str], after: Iterable[str]) -> None:
    had, has = list(before), list(after)
    told = {"added": [one for one in has if one not in had], "removed": [one for one in had if one not in has]}
    if kept := {verb: ids for verb, ids in told.items() if ids}:
        changes["tags"] = kept


def _side(side: str, value: Any) -> dict[str, Any]:
    if value is JSON_NULL:
        return {side: None, f"{side}Is": "json null"}
    if isinstance(value, Unusable):
        return {side: plain(value.stored), f"{side}Is": "unusable"}
    try:
        codec.check(value)
    except InvalidValueError:  # a foreign hand's: shown, but never put back
        return {side: plain(value), f"{side}Is": "unusable"}
    return {side: value}


def pair(before: Any, after: Any) -> dict[str, Any]:
    """Both values of a field."""
    told = {**_side("before", before), **_side("after", after)}
    if "beforeIs" in told or "afterIs" in told:
        return told
    one, other = codec.dumps(before).decode(), codec.dumps(after).decode()
    if len(one) + len(other) < LONG:
        return told
    start = _common(one, other)
    end = _common(one[start:][::-1], other[start:][::-1])
    del told["after"]
    return {**told, "splice": [start, len(one) - end, other[start : len(other) - end]]}


def _common(one: str, other: str) -> int:
    """With how many characters both begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


# ------------------------------------------------------------------ reading
class NotKept(Exception):
    """The value was not kept: it is a secret, or was too long."""


def value_of(change: Mapping[str, Any], side: str) -> Any:
    """The value ``before`` or ``after``, as the store takes it; None where there was none. Raises NotKept."""
    if change.get("secret") or "characters" in change or change.get(f"{side}Is") == "unusable":
        raise NotKept
    if change.get(f"{side}Is") == "json null":
        return JSON_NULL
    if side == "after" and "splice" in change:
        start, end, middle = change["splice"]
        text = codec.dumps(change["before"]).decode()
        return codec.loads(text[:start] + middle + text[end:])
    return change.get(side)


def equal(one: Any, other: Any) -> bool:
    """Whether two values of a field are the same, to the last digit."""
    if one is JSON_NULL or other is JSON_NULL or isinstance(one, Unusable) or isinstance(other, Unusable):
        return one is other
    return codec.dumps(one) == codec.dumps(other)


def current(noun: Noun, rows: Rows) -> dict[str, Any]:
    """A record's fields as they are now, by the names that the audit uses; tags as a list of ids."""
    found = dict(rows[noun.main.name][0])
    if noun.kind in TAG_TABLES:
        found["tags"] = _tags(rows, TAG_TABLES[noun.kind])
    return found | {name: value_of(rows) for name, value_of in _LINKS.get(noun.kind, {}).items()}
