"""API keys: one row, one record; the owner lies in ``extras``, because Quilltap's shape names none."""

from store.documents.keys import ApiKey
from store.mapping.base import Mapping, Record, Rows, with_extras
from store.tables.keys import api_keys

_CIPHER = {"ciphertext": "keyEncrypted", "iv": "keyIv", "authTag": "keyAuthTag"}
_KEYS = ("id", "label", "provider", *_CIPHER, "isActive", "lastUsed", "createdAt", "updatedAt")


def to_record(rows: Rows) -> Record:
    """The record of an API key's row: the same bytes, not encrypted anew."""
    row = rows["api_keys"][0]
    return with_extras({key: row[_CIPHER.get(key, key)] for key in _KEYS}, userId=row["userId"])


def to_rows(record: Record) -> Rows:
    """The row of an API key's record. Without ``extras`` (Quilltap drops them) its owner is not known: None."""
    row = {_CIPHER.get(key, key): record.get(key) for key in _KEYS}
    row["isActive"] = record.get("isActive", True)
    return {"api_keys": [{**row, "userId": (record.get("extras") or {}).get("userId")}]}


KEYS = Mapping(kind="key", model="ApiKey", main=api_keys, document=ApiKey, to_record=to_record, to_rows=to_rows)
