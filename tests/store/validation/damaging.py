"""How a damage is done: by an editor, by a program, by a disk; and what is expected of a validation."""

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.nasty import uid

Named = tuple[str, str, str | None]  # model, id, field
CHARACTER, PERSONA = f"characters/{uid('characters', 1)}.json", f"personas/{uid('personas', 1)}.json"
USER, OTHER_USER = "settings/general.json", f"settings/users/{uid('users', 1)}.json"
KEYS, PAINTERS, TAGS = "settings/connection-profiles.json", "settings/image-profiles.json", "tags/tags.json"
INDEX, BINARIES, TALK = "chats/index.jsonl", "binaries/index.jsonl", f"chats/{uid('chats', 1)}.jsonl"
ACCOUNTS, SESSIONS, TOKENS = "auth/accounts.json", "auth/sessions.jsonl", "auth/verification-tokens.jsonl"
NOWHERE = "ffffffff-0000-4000-8000-00000000ffff"


@dataclass(frozen=True)
class Damage:
    """``wrong``: what is named; ``rows``: model -> how many of its rows are not equal, one for each named otherwise.
    Each other row has to be equal. ``unread``: named as unreadable. ``dangling``: links that lead to nothing.
    ``only_from_sql``: why the files cannot be the side that is right; empty where they can. ``for_good``: what is lost
    is on neither side any more, so that the files are not as they were."""

    name: str
    wrong: Sequence[Named]
    do: Callable[[Path], None]
    status: int = 2
    rows: dict[str, int] = field(default_factory=dict)
    unread: bool = False
    dangling: Sequence[Named] = ()
    only_from_sql: str = ""
    for_good: bool = False


# Why the files cannot be the side that is right.
NOT_READ = "what cannot be read says nothing"
NO_TARGET = "SQL keeps no link to nothing"
NO_SECRET = "it would put what does not decrypt in the place of a secret that does"
NOBODYS = "it is no record's, and SQL has no place for it"


def edit(path: str, at: str, old: str, new: str, *, checksum: bool = False) -> Callable[[Path], None]:
    """Replace the first ``old`` behind ``at``, as a person with an editor would. ``checksum``: one who also knows how
    the line's checksum is made."""

    def do(data: Path) -> None:
        text = (data / path).read_bytes().decode()
        start = text.index(at)
        place = text.index(old, start)
        text = text[:place] + new + text[place + len(old) :]
        if checksum:
            text = "".join(checked(line) for line in text.splitlines(keepends=True))
        (data / path).write_bytes(text.encode())

    return do


def checked(line: str) -> str:
    bare = re.sub(
        r'(,"extras":\{|,)"crc":"[0-9a-f]{8}"\}\}\n$', lambda match: "}" if "extras" in match[1] else "}}", line
    )
    crc = f"{zlib.crc32(bare.encode()):08x}"
    return f'{bare[:-1]},"extras":{{"crc":"{crc}"}}}}\n'


def lines(path: str, change: Callable[[list[str]], None]) -> Callable[[Path], None]:
    """Change the lines of a file."""

    def do(data: Path) -> None:
        several = (data / path).read_text().splitlines(keepends=True)
        change(several)
        (data / path).write_text("".join(several))

    return do


def records(path: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    """Change what a JSON file holds."""

    def do(data: Path) -> None:
        value = json.loads((data / path).read_text())
        change(value)
        (data / path).write_text(json.dumps(value, indent=2, ensure_ascii=False))

    return do


def shifted(path: str) -> Callable[[Path], None]:
    return lines(path, lambda several: several.insert(1, several.pop(2)))


def repeat(several: list[str]) -> None:
    several.append(several[1])


def place(several: list[str], word: str) -> int:
    return next(number for number, line in enumerate(several) if f'"id":"{word}"' in line)


def put(data: Path, path: str, text: str) -> None:
    (data / path).parent.mkdir(parents=True, exist_ok=True)
    (data / path).unlink(missing_ok=True)  # it may be another name of the public file
    (data / path).write_text(text)


def read(data: Path, path: str) -> Any:
    return json.loads((data / path).read_text())


def first_line(data: Path) -> str:
    """A line for a message that nobody has."""
    with (data / TALK).open() as file:
        return checked(file.readline().replace(uid("messages", 10), NOWHERE).replace(uid("chat_files", 1), NOWHERE))


def other(data: Path, path: str) -> str:
    record = read(data, path)
    record.update(id=NOWHERE, characterLinks=[])
    for number, link in enumerate(record["extras"]["tagLinks"]):
        link["id"] = f"link-{number}"
    return json.dumps(record)


def sha256_of(data: Path, record_id: str) -> str:
    line = next(line for line in (data / BINARIES).read_text().splitlines() if f'"id":"{record_id}"' in line)
    sha256: str = json.loads(line)["sha256"]
    return sha256


def flip(path: Path, block: str, part: str) -> None:
    text = path.read_text()
    place = text.index(f'"{part}": "', text.index(block)) + len(part) + 5
    path.write_text(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :])
