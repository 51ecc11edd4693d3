"""The three outer forms in which Quilltap keeps many records in one file: an object with lists, a bare list, lines."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from store import codec
from store.documents.base import EPOCH
from store.errors import UnreadableError
from store.files.shelves import Record, parse_json, parse_object


@dataclass(frozen=True)
class Piece:
    """A record as a file has it. ``list_name``: the list it lies in; ``line``: of a file of lines, from 1."""

    record: Any
    list_name: str = ""
    line: int | None = None
    data: bytes = b""  # the line itself
    error: UnreadableError | None = None  # a line that is no JSON


class Form(Protocol):
    """How records lie in a file."""

    def pieces(self, path: str, data: bytes) -> Iterator[Piece]:
        """Every record, good or bad. Raises UnreadableError when the file as a whole cannot be read."""

    def render(self, old: bytes | None, path: str, good: dict[str, list[Record]], rest: Sequence[Piece]) -> bytes:
        """The file's bytes. ``good``: list name -> records in order; ``rest``: what is kept as it was."""


class ObjectForm:
    """``{"version", <lists>, "createdAt", "updatedAt"}``, where the dates are those of the records."""

    def __init__(self, *lists: str) -> None:
        self.lists = lists

    def pieces(self, path: str, data: bytes) -> Iterator[Piece]:
        wrapper = parse_object(path, data)
        for name in self.lists:
            for record in _list(path, wrapper.get(name, []), name):
                yield Piece(record, name)

    def render(self, old: bytes | None, path: str, good: dict[str, list[Record]], rest: Sequence[Piece]) -> bytes:
        wrapper = parse_object(path, old) if old is not None else {}
        known = ("version", *self.lists, "createdAt", "updatedAt")
        records = [record for name in self.lists for record in good.get(name, ())]
        new = {
            "version": wrapper.get("version", 1),
            **{
                name: [*good.get(name, ()), *(piece.record for piece in rest if piece.list_name == name)]
                for name in self.lists
            },
            "createdAt": min((record["createdAt"] for record in records), default=EPOCH),
            "updatedAt": max((record["updatedAt"] for record in records), default=EPOCH),
            **{key: value for key, value in wrapper.items() if key not in known},
        }
        return codec.dumps_pretty(new)


class ListForm:
    """A bare list. Quilltap's own description names an object around it, which its code then takes for empty: the
    records of such an object are read and put into the list it reads."""

    def __init__(self, name: str) -> None:
        self._name = name

    def pieces(self, path: str, data: bytes) -> Iterator[Piece]:
        value = parse_json(path, data)
        if isinstance(value, dict) and self._name in value:
            value = value[self._name]
        for record in _list(path, value, self._name):
            yield Piece(record, self._name)

    def render(self, old: bytes | None, path: str, good: dict[str, list[Record]], rest: Sequence[Piece]) -> bytes:
        return codec.dumps_pretty([*good.get(self._name, ()), *(piece.record for piece in rest)])


class LinesForm:
    """One record per line."""

    def pieces(self, path: str, data: bytes) -> Iterator[Piece]:
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.strip():
                try:
                    yield Piece(parse_object(path, line, number), line=number, data=line)
                except UnreadableError as error:
                    yield Piece(None, line=number, data=line, error=error)

    def render(self, old: bytes | None, path: str, good: dict[str, list[Record]], rest: Sequence[Piece]) -> bytes:
        several = [codec.dumps(record) for records in good.values() for record in records]
        for piece in rest:  # in its place, so that what was said of it by its number stays true
            several.insert((piece.line or 1) - 1, piece.data)
        return lines(several)


def lines(several: Iterable[bytes]) -> bytes:
    """Lines, each with its newline."""
    return b"".join(one + b"\n" for one in several)


def _list(path: str, value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise UnreadableError(path, f"“{name}” is not a list" if name else "it is not a list")
    return value
