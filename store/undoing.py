"""Undoing a change that is in the audit, by a new change: what it would set, what stands in the way, what cannot come
back.

It goes the way of every other write: through the repositories, on both sides, and into the audit. So an undo can be
undone as well.
"""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from store import Store
from store.audit import DONE, Entry, because
from store.audit.differences import NO_FIELDS, NotKept, equal, value_of
from store.audit.going import DEFAULT, LINKED, along_in_words
from store.errors import ConflictError, NotFoundError, StoreError
from store.files.public import Found
from store.mapping import MAPPINGS
from store.mapping.messages import MESSAGES
from store.repositories.contract import Result
from store.uploads import remove_image

How = Literal["set", "create", "delete"]
SETTINGS: Final = frozenset(["avatarDisplayMode", "avatarDisplayStyle"])  # of a user, in a table of their own
_DERIVED: Final = frozenset(["nameLower", "updatedAt", *NO_FIELDS])
_SECRET: Final = {"key": "key", "account": "tokens", "session": "token", "token": "token"}
_NOUN_OF: Final = {mapping.main: mapping.kind for mapping in MAPPINGS.values() if not mapping.derived}


@dataclass(frozen=True)
class Conflict:
    """A field that somebody changed since: what it was before, what the change made of it, what it is now."""

    name: str
    before: Any
    after: Any
    now: Any


@dataclass
class UndoPlan:
    """What undoing an entry would do. ``fields`` will be set to these values; about ``conflicts`` a person decides;
    ``left`` says what does not come back, in sentences; ``impossible`` why nothing can be done at all."""

    entry: Entry
    how: How = "set"
    fields: dict[str, Any] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    impossible: str = ""
    version: str = ""

    @property
    def is_nothing(self) -> bool:
        """Whether everything is as it was before the change already."""
        return self.how == "set" and not (self.impossible or self.fields or self.conflicts)


def can_be_undone(entry: Entry) -> bool:
    """Whether there is anything to undo: a change of one record."""
    return entry.action in _PLANS and entry.kind in (*MAPPINGS, MESSAGES.kind) and bool(entry.record_id)


def plan_undo(store: Store, entry: Entry) -> UndoPlan:
    """What undoing it would do now. Nothing is written. Raises NotFoundError for what is no change of a record."""
    if not can_be_undone(entry):
        raise NotFoundError("This is no change of a record: there is nothing to undo.", hint="Go back to the list.")
    plan = UndoPlan(entry)
    if entry.outcome != DONE:
        plan.impossible = "It is not known whether this change was made at all: compare, and edit the record."
    else:
        _PLANS[entry.action](store, plan)
    return plan


def undo(store: Store, plan: UndoPlan, choices: Mapping[str, str]) -> Result[Any]:
    """Carry out a plan. ``choices``: for each field with a conflict ``mine`` (set it back) or ``theirs`` (leave it).

    Raises ConflictError when a conflict is not decided, or when somebody was faster; NotFoundError when it is
    impossible; and what the repositories raise. Then nothing was written.
    """
    if plan.impossible:
        raise NotFoundError(plan.impossible, hint="Nothing was written.")
    if undecided := [one.name for one in plan.conflicts if choices.get(one.name) not in ("mine", "theirs")]:
        raise ConflictError(f"Decide about {', '.join(undecided)} first.")
    fields = plan.fields | {one.name: one.before for one in plan.conflicts if choices[one.name] == "mine"}
    with because(f"Undoes the change {plan.entry.id}.", undoes=plan.entry.id):
        if plan.how == "delete":
            return _delete(store, plan.entry)
        if plan.how == "create":
            return _create(store, plan.entry, fields)
        return _set(store, plan, fields)


# ------------------------------------------------------------------ a change
def _plan_set(store: Store, plan: UndoPlan) -> None:
    entry = plan.entry
    now = _values(store, entry)
    if now is None:
        plan.impossible = "The record does not exist any more. Undo its delete first."
        return
    plan.version = _version(store, entry)
    for name, change in entry.changes.items():
        if name in _DERIVED:
            continue
        if name == "tags":
            _plan_tags(store, plan, change, now["tags"])
            continue
        try:
            before, after = value_of(change, "before"), value_of(change, "after")
        except NotKept:
            plan.left.append(f"The former value of {name} was not kept, so it stays as it is.")
            continue
        there = _now(store, entry, now, name, before, after)
        if equal(there, before):
            continue
        if equal(there, after):
            plan.fields[name] = before
        else:
            plan.conflicts.append(Conflict(name, before, after, there))


def _now(store: Store, entry: Entry, now: dict[str, Any], name: str, before: Any, after: Any) -> Any:
    """What a field is now. What characters wear in a chat is no field: there the one character counts."""
    if name != "avatarOverrides":
        return now.get(name)
    worn = store.chats.avatar_overrides(entry.record_id)
    return {character: worn[character] for character in {**before, **after} if character in worn}


def _plan_tags(store: Store, plan: UndoPlan, change: Mapping[str, Any], now: Iterable[str]) -> None:
    added, removed = set(change.get("added", ())), list(change.get("removed", ()))
    back = [tag_id for tag_id in removed if store.tags.values(tag_id) is not None]
    if gone := len(removed) - len(back):
        plan.left.append(f"{gone} of its former tags {'does' if gone == 1 else 'do'} not exist any more.")
    had = list(now)
    wanted = [*(one for one in had if one not in added), *(one for one in back if one not in had)]
    if wanted != had:
        plan.fields["tags"] = wanted


def _set(store: Store, plan: UndoPlan, fields: dict[str, Any]) -> Result[Any]:
    entry = plan.entry
    if entry.kind == MESSAGES.kind:
        return store.chats.update_message(entry.record_id, fields, expected=plan.version)
    if "avatarOverrides" in fields:
        return _wear(store, entry, fields["avatarOverrides"])
    if entry.kind == "user" and fields.keys() <= SETTINGS:
        return store.users.update_chat_settings(entry.record_id, fields)
    result: Result[Any] = store.repositories[entry.kind].update(entry.record_id, fields, expected=plan.version)
    return result


def _wear(store: Store, entry: Entry, worn: dict[str, str]) -> Result[Any]:
    character_id = next(iter({**worn, **value_of(entry.changes["avatarOverrides"], "after")}))
    if image_id := worn.get(character_id):
        return store.chats.set_avatar_override(entry.record_id, character_id, image_id)
    return store.chats.remove_avatar_override(entry.record_id, character_id)


# ------------------------------------------------------------------ a new record
def _plan_delete(store: Store, plan: UndoPlan) -> None:
    entry = plan.entry
    plan.how = "delete"
    now = _values(store, entry)
    made = entry.changes.get("updatedAt", {}).get("after")
    newest = next(iter(store.audit.of_record(entry.kind, entry.record_id, 1)), entry)
    if now is None:
        plan.impossible = "The record does not exist any more."
    elif entry.kind == "user":
        plan.impossible = "With a user goes everything that is theirs: delete it on its own page."
    elif (newest.id != entry.id and newest.record_id == entry.record_id) or made not in (None, now.get("updatedAt")):
        plan.impossible = "It was changed since it was made. Delete it on its own page, if that is meant."


def _delete(store: Store, entry: Entry) -> Result[Any]:
    if entry.kind == MESSAGES.kind:
        return store.chats.delete_message(entry.record_id)
    if entry.kind == "image":
        return remove_image(store, entry.record_id)
    result: Result[Any] = store.repositories[entry.kind].delete(entry.record_id)
    return result


# ------------------------------------------------------------------ a record that is gone
def _plan_create(store: Store, plan: UndoPlan) -> None:
    entry = plan.entry
    plan.how = "create"
    if _values(store, entry) is not None:
        plan.impossible = "There is such a record again."
    elif entry.kind in _SECRET:
        plan.impossible = f"Its {_SECRET[entry.kind]} was not kept when it was deleted, and nobody can bring it back."
    elif entry.changes.keys() <= _DERIVED:
        plan.impossible = "What it said was not kept: too much was deleted at once."
    else:
        _plan_fields(store, plan)
        _check_links(store, plan)
        if along := entry.changes.get("along"):
            plan.left.append(
                f"{along_in_words(along)} What went does not come back; links are tied again where they can."
            )


def _plan_fields(store: Store, plan: UndoPlan) -> None:
    for name, change in plan.entry.changes.items():
        if name == "tags":
            plan.fields["tags"] = [one for one in change["removed"] if store.tags.values(one) is not None]
            if len(plan.fields["tags"]) < len(change["removed"]):
                plan.left.append("Not all of its tags exist any more.")
        elif name == "personaLinks":
            plan.fields[name] = [one for one in change["before"] if store.personas.values(one["personaId"])]
        elif name == "updatedAt" or name not in (_DERIVED | SETTINGS):
            try:
                plan.fields[name] = value_of(change, "before")
            except NotKept:
                plan.left.append(f"Its {name} was not kept.")


def _check_links(store: Store, plan: UndoPlan) -> None:
    """What it points at has to be there; and the bytes of a picture."""
    entry = plan.entry
    table = (MESSAGES if entry.kind == MESSAGES.kind else MAPPINGS[entry.kind]).main
    for key in table.foreign_keys:
        name, kind = str(key.parent.name), _NOUN_OF.get(key.column.table)
        named = plan.fields.get(name)
        if named is None or kind is None or store.repositories[kind].values(named) is not None:
            continue
        noun = MAPPINGS[kind].document.noun
        if key.parent.nullable:
            plan.fields[name] = None
            plan.left.append(f"The {noun} that it names does not exist any more.")
        else:
            plan.impossible = f"The {noun} it belongs to does not exist any more. Undo the delete of that one first."
    path = plan.fields.get("filepath")
    if path is not None and not isinstance(store.public.find(path), Found):
        plan.impossible = "Its file was deleted with it, and is in no audit. Upload it again."


def _create(store: Store, entry: Entry, fields: dict[str, Any]) -> Result[Any]:
    if entry.kind == MESSAGES.kind:
        chat_id = fields.pop("chatId")
        there = [one for one in fields.get("attachments", ()) if store.attachments.values(one) is not None]
        return store.chats.add_message(chat_id, {**fields, "attachments": there})
    result: Result[Any] = store.repositories[entry.kind].create(fields)
    if settings := {name: value_of(entry.changes[name], "before") for name in SETTINGS & entry.changes.keys()}:
        store.users.update_chat_settings(entry.record_id, settings)
    for place, ids in entry.changes.get("namedBy", {}).get("before", {}).items():
        kind, _, name = place.partition(".")
        _tie_again(store, kind, name, ids, entry)
    return result


def _tie_again(store: Store, kind: str, name: str, ids: Iterable[str], entry: Entry) -> None:
    """Have others name the record again, where nothing has taken its place. What is refused stays as it is."""
    repository: Any = store.repositories[kind]
    there = {one: values for one in ids if (values := repository.values(one)) is not None}
    if name == "tags":
        repository.add_tag_to_many(there, entry.record_id)
        return
    for one, values in there.items():
        with contextlib.suppress(StoreError):
            if f"{kind}.{name}" in (LINKED, DEFAULT):
                store.characters.add_persona(one, entry.record_id, f"{kind}.{name}" == DEFAULT)
            elif values.get(name) is None:
                repository.update(one, {name: entry.record_id})


# ------------------------------------------------------------------ both sorts of records
def _values(store: Store, entry: Entry) -> dict[str, Any] | None:
    if entry.kind == MESSAGES.kind:
        return store.chats.message_values(entry.record_id)
    values: dict[str, Any] | None = store.repositories[entry.kind].values(entry.record_id)
    return values


def _version(store: Store, entry: Entry) -> str:
    if entry.kind == MESSAGES.kind:
        found = store.chats.find_message(entry.record_id)
        return store.chats.message_version(found[1]) if found else ""
    repository = store.repositories[entry.kind]
    document = repository.find_by_id(entry.record_id)
    return repository.version(document) if document is not None else ""


_PLANS: Final = {"update": _plan_set, "create": _plan_delete, "delete": _plan_create}
