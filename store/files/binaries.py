"""The two indexes whose lines say something about other files: of chats, and of images and attachments."""

import contextlib
import re
from pathlib import Path
from typing import Any

from store.documents import Attachment, Avatar, Chat, Image
from store.errors import UnreadableError
from store.files import logs
from store.files.aggregates import Aggregate, Section
from store.files.forms import LinesForm
from store.files.public import Found, PublicFiles
from store.files.replace import CopyOf, Write
from store.files.shelves import Changes, Context, Entity, Plan, Record, read_or_none
from store.files.system import System

NO_BYTES = "0" * 64  # the hash of bytes that were not found
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(rb'"id"\s*:\s*"([^"]*)"')
_NAMED = re.compile(rb'"sha256"\s*:\s*"([0-9a-f]{64})"')


def _is_derived(record: Record) -> bool:
    extras = record.get("extras")
    return record.get("type") == "avatar" and isinstance(extras, dict) and extras.get("derived") is True


class ChatsIndex(Aggregate):
    """``chats/index.jsonl``: each line also tells how long the chat's file is, so that a lost end is noticed."""

    def __init__(self) -> None:
        super().__init__(logs.INDEX, LinesForm(), Section("chat", Chat), side_name="chats-index")

    def prepared(
        self, entity: Entity, record: Record, before: Record, system: System, root: Path, context: Context
    ) -> Record:
        size = context.sizes.get(logs.log_path(entity[1]))
        if size is None:
            known_good = ((before.get("extras") or {}).get("log") or {}).get("bytes")
            size = logs.good_size(system, root, entity[1], known_good)
        extras = dict(record.get("extras") or {})
        raw = {"raw": extras.pop("raw")} if "raw" in extras else {}
        return {**record, "extras": {**extras, "log": {"bytes": size}, **raw}}


class Binaries(Aggregate):
    """``binaries/index.jsonl``; beside it the bytes themselves, once per hash."""

    def __init__(self) -> None:
        super().__init__(
            "binaries/index.jsonl",
            LinesForm(),
            Section("image", Image, owns=lambda record: record.get("type") == "image"),
            Section("attachment", Attachment, owns=lambda record: record.get("type") == "chat_file"),
            Section("avatar", Avatar, owns=_is_derived),
            side_name="binaries-index",
        )

    def is_foreign(self, record: Any) -> bool:
        # What the avatar page of Quilltap itself wrote.
        return isinstance(record, dict) and record.get("type") == "avatar"

    def plan(self, system: System, root: Path, changes: dict[str, Changes], context: Context) -> Plan:
        plan = super().plan(system, root, changes, context)
        if context.public is None:
            return plan
        copies: dict[str, Write] = {}
        for kind, records in changes.items():
            for record_id, record in records.items():
                if record is not None and (kind, record_id) not in plan.refused:
                    copies.update(_copy(system, root, record, context.public))
        # Bytes are there before the line that names them, and as long as any does.
        gone = self._no_longer_named(system, root, plan)
        return Plan({**copies, **plan.files, **dict.fromkeys(map(_raw, gone))}, plan.refused)

    def _no_longer_named(self, system: System, root: Path, plan: Plan) -> set[str]:
        """Hashes that no line will name any more, be it good or bad, a record's or Quilltap's own. While a record stays
        and its bytes are not found, those it had are kept: they may be the last there are."""
        before: list[tuple[bytes, str]] = []
        after: list[tuple[bytes, str]] = []
        for path in (self.path, self.side_path):
            if path not in plan.files:
                with contextlib.suppress(UnreadableError):  # so there was nothing to plan
                    after += _hashes(read_or_none(system, root, path))
                continue
            before += _hashes(read_or_none(system, root, path))
            new = plan.files[path]
            after += _hashes(new if isinstance(new, bytes) else None)
        missing = {record_id for record_id, sha256 in after if sha256 == NO_BYTES}
        named = {sha256 for _, sha256 in after} | {sha256 for record_id, sha256 in before if record_id in missing}
        return {sha256 for _, sha256 in before} - named - {NO_BYTES}


def _hashes(data: bytes | None) -> list[tuple[bytes, str]]:
    """The id and the hash in each line that names one."""
    found = []
    for line in (data or b"").splitlines():
        record_id = _ID.search(line)
        found += [(record_id[1] if record_id else b"", match.decode()) for match in _NAMED.findall(line)]
    return found


def _raw(sha256: str) -> str:
    return f"binaries/{sha256}/raw"


def _copy(system: System, root: Path, record: Record, public: PublicFiles) -> dict[str, Write]:
    """What keeps the bytes of a record; nothing when they are kept, or not found, or not those of the hash: another
    program may have written anything there."""
    sha256, path = record["sha256"], record["relativePath"]
    if not _HASH.fullmatch(sha256) or sha256 == NO_BYTES or _is_there(system, root / _raw(sha256)):
        return {}
    found = public.find(path)
    if not isinstance(found, Found) or found.sha256 != sha256:
        return {}
    return {_raw(sha256): CopyOf(public.path_of(path))}


def _is_there(system: System, path: Path) -> bool:
    try:
        system.signature(path)
    except FileNotFoundError:
        return False
    return True
