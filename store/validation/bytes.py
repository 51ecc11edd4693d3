"""The bytes of images and attachments: those that a line of the index names are kept beside it, whole."""

import hashlib
import os
import re
from pathlib import Path

from store.files.public import PublicFiles
from store.files.side import JsonSide
from store.mapping import Mapping, Record
from store.validation.report import Difference
from store.validation.tally import Derived, Outcome

_HASH = re.compile(r"[0-9a-f]{64}")
_NO_BYTES = "0" * 64


class BytesCheck:
    """Looks at ``binaries/<sha256>/raw``; each hash once."""

    def __init__(self, side: JsonSide, public: PublicFiles | None) -> None:
        self._side, self._public = side, public
        self._known: dict[str, str | None] = {}

    def look(self, out: Outcome, mapping: Mapping, shown: str, record: Record) -> None:
        """Whether the bytes that the record names are there."""
        sha256, path = record.get("sha256"), record.get("relativePath")
        if not isinstance(sha256, str) or not _HASH.fullmatch(sha256) or sha256 == _NO_BYTES:
            return
        if sha256 not in self._known:
            self._known[sha256] = self._wrong(sha256, path)
        if wrong := self._known[sha256]:
            difference = Difference(mapping.model, shown, "bytes", sha256, wrong, mapping.kind, shown)
            out.derived.append(Derived(difference))

    def _wrong(self, sha256: str, path: object) -> str | None:
        """What is wrong with the copy; None when nothing is."""
        raw = self._side.data_dir / "binaries" / sha256 / "raw"
        try:
            if self._is_one_file(raw, path):
                return None
            digest = hashlib.sha256()
            with open(raw, "rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            return f"not readable ({error.strerror})"
        return None if digest.hexdigest() == sha256 else digest.hexdigest()

    def _is_one_file(self, raw: Path, path: object) -> bool:
        """Whether the copy is another name of the file whose bytes were hashed just now."""
        if self._public is None or not isinstance(path, str):
            return False
        status = os.stat(raw)
        try:
            return os.path.samestat(status, os.stat(self._public.path_of(path)))
        except (OSError, ValueError) as _:
            return False
        except Exception:  # a path that leads elsewhere
            return False
