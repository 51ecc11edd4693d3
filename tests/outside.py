"""Both sides as somebody outside sees them: the tables through sqlite3, the files through json, and secrets by
Quilltap's recipe. Written from the recipe alone: nothing here is of the store.
"""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Record = dict[str, Any]
_IN_FILES = {
    "api_keys": ("connection-profiles.json", "apiKeys"),
    "connection_profiles": ("connection-profiles.json", "llmProfiles"),
    "image_profiles": ("image-profiles.json", "profiles"),
}


def opened(user_id: str, pepper: str, ciphertext: str, iv: str, tag: str) -> str:
    """The text of a secret: AES-256-GCM, its key from the user's id and the pepper."""
    key = hashlib.pbkdf2_hmac("sha256", user_id.encode(), pepper.encode(), 100_000, 32)
    machine = Cipher(algorithms.AES(key), modes.GCM(bytes.fromhex(iv), bytes.fromhex(tag))).decryptor()
    return (machine.update(bytes.fromhex(ciphertext)) + machine.finalize()).decode()


@dataclass(frozen=True)
class BothSides:
    """A Tandem's folder, with the database and the files where they lie by default."""

    folder: Path

    def sql(self, table: str) -> dict[str, Record]:
        """id -> row."""
        with closing(sqlite3.connect(self.folder / "instance" / "tandem.sqlite")) as connection:
            connection.row_factory = sqlite3.Row
            rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
        for row in rows:
            if "parameters" in row:
                row["parameters"] = json.loads(row["parameters"], parse_float=Decimal)
        return {row["id"]: row for row in rows}

    def json(self, table: str) -> dict[str, Record]:
        """id -> record."""
        file, key = _IN_FILES[table]
        text = (self.folder / "data" / "settings" / file).read_text("utf-8")
        return {record["id"]: record for record in json.loads(text, parse_float=Decimal)[key]}

    def profiles(self, table: str = "connection_profiles") -> dict[str, Record]:
        """name -> what both sides agree on. Fails where they do not."""
        names = ("id", "userId", "name", "provider", "apiKeyId", "baseUrl", "modelName", "parameters", "isDefault")
        sql, files = self.sql(table), self.json(table)
        assert sql.keys() == files.keys()
        for record_id, row in sql.items():
            row["isDefault"] = bool(row["isDefault"])
            there = {name: files[record_id].get(name) for name in names}
            assert {name: row[name] for name in names} == there, f"the sides differ on {row['name']}"
        return {row["name"]: row for row in sql.values()}

    def keys(self) -> dict[str, Record]:
        """label -> the row, with ``value``: what both sides decrypt to. Fails where they do not agree."""
        pepper = (self.folder / "instance" / "encryption-master-pepper").read_text().strip()
        sql, files = self.sql("api_keys"), self.json("api_keys")
        assert sql.keys() == files.keys()
        for record_id, row in sql.items():
            record = files[record_id]
            parts = [row[name] for name in ("keyEncrypted", "keyIv", "keyAuthTag")]
            row["value"] = opened(row["userId"], pepper, *parts)
            of_file = [record[name] for name in ("ciphertext", "iv", "authTag")]
            assert opened(record["extras"]["userId"], pepper, *of_file) == row["value"]
            assert (record["label"], record["provider"], record["isActive"]) == (
                row["label"],
                row["provider"],
                bool(row["isActive"]),
            )
        return {row["label"]: row for row in sql.values()}
