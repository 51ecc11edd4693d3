"""A model of the weakest disk POSIX allows: a power cut keeps any subset of the name changes whose folder was not
synced, and may lose or tear what was not synced of a file's content. See ``model_of_json_mode``."""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

Content = tuple[str, ...]  # the marks of the operations that made it; a journal's: its steps
TORN = "torn"


class Disk(NamedTuple):
    durable: tuple[tuple[str, str], ...]  # name -> inode, as it is on the disk
    pending: tuple[tuple[tuple[str, str | None], ...], ...]  # name changes not synced yet; what is inside one is atomic
    inodes: tuple[tuple[str, tuple[Content, Content]], ...]  # inode -> content, and what of it is synced


@cache
def names(disk: Disk) -> dict[str, str]:
    there: dict[str, str | None] = dict(disk.durable)
    for change in disk.pending:
        there.update(change)
    return {name: inode for name, inode in there.items() if inode}


def content(disk: Disk, name: str) -> Content | None:
    inode = names(disk).get(name)
    return dict(disk.inodes)[inode][0] if inode else None


def signature(disk: Disk, name: str) -> Any:
    return (names(disk)[name], content(disk, name)) if name in names(disk) else None


def changed(disk: Disk, *change: tuple[str, str | None]) -> Disk:
    return disk._replace(pending=(*disk.pending, change))


def with_inode(disk: Disk, inode: str, now: Content, kept: Content) -> Disk:
    return disk._replace(inodes=tuple(sorted({**dict(disk.inodes), inode: (now, kept)}.items())))


def synced(disk: Disk, name: str) -> Disk:
    inode = names(disk).get(name)
    return with_inode(disk, inode, *(dict(disk.inodes)[inode][0],) * 2) if inode else disk


def folder_synced(disk: Disk, folder: str) -> Disk:
    there: dict[str, str | None] = dict(disk.durable)
    for change in disk.pending:
        if change[0][0][0] == folder:
            there.update(change)
    pending = tuple(change for change in disk.pending if change[0][0][0] != folder)
    return _used(there, pending, dict(disk.inodes))


def _used(there: dict[str, Any], pending: tuple[Any, ...], inodes: dict[str, tuple[Content, Content]]) -> Disk:
    durable = tuple(sorted((name, inode) for name, inode in there.items() if inode))
    used = {inode for _, inode in durable} | {inode for change in pending for _, inode in change if inode}
    return Disk(durable, pending, tuple(sorted((inode, both) for inode, both in inodes.items() if inode in used)))


@cache
def after_power_cut(disk: Disk) -> frozenset[Disk]:
    return frozenset(_power_cuts(disk))


def _power_cuts(disk: Disk) -> Iterator[Disk]:
    for kept in product((False, True), repeat=len(disk.pending)):
        there: dict[str, str | None] = dict(disk.durable)
        for change, is_kept in zip(disk.pending, kept, strict=True):
            if is_kept:
                there.update(change)
        left = {inode for inode in there.values() if inode}
        inodes = [(inode, both) for inode, both in disk.inodes if inode in left]
        for contents in product(*(_after_cut(*both) for _, both in inodes)):
            found = {inode: (one, one) for (inode, _), one in zip(inodes, contents, strict=True)}
            yield _used(there, (), found)


def _after_cut(now: Content, kept: Content) -> set[Content]:
    torn = (*kept, TORN) if TORN not in kept else kept
    return {now, kept, torn} if now != kept else {now}
