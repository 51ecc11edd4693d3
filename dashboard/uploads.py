"""Files that were uploaded and wait for a yes: between the preview of an import and the import."""

import contextlib
import json
import re
import secrets
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from store.errors import NotFoundError

KEPT_S = 24 * 3600  # then nobody will say yes any more
_TOKEN = re.compile(r"[0-9a-f]{32}")


class Uploads:
    """Batches of files below one folder; only the account that uploaded a batch gets it back."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, account_id: str, files: Sequence[tuple[str, bytes]]) -> str:
        """Keep a batch for a day; the token that names it."""
        self._prune()
        token = secrets.token_hex(16)
        batch = self._folder / token
        batch.mkdir(parents=True, mode=0o700)
        # Names are the server's own: what the browser called the files is only text to show.
        for number, (_, data) in enumerate(files):
            (batch / str(number)).write_bytes(data)
        about = {"account": account_id, "names": [name for name, _ in files]}
        (batch / "about.json").write_text(json.dumps(about), "utf-8")
        return token

    def get(self, token: str, account_id: str) -> list[tuple[str, bytes]]:
        """The batch's (name, content). Raises NotFoundError when it is gone or somebody else's."""
        gone = NotFoundError("These files are not kept any more.", hint="Choose the files once more.")
        if not _TOKEN.fullmatch(token):
            raise gone
        batch = self._folder / token
        try:
            about = json.loads((batch / "about.json").read_text("utf-8"))
            if about["account"] != account_id:
                raise gone
            return [(name, (batch / str(number)).read_bytes()) for number, name in enumerate(about["names"])]
        except FileNotFoundError as error:
            raise gone from error

    def drop(self, token: str) -> None:
        """Forget a batch."""
        if _TOKEN.fullmatch(token):
            shutil.rmtree(self._folder / token, ignore_errors=True)

    def _prune(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            for batch in self._folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - batch.stat().st_mtime > KEPT_S:
                        shutil.rmtree(batch, ignore_errors=True)
