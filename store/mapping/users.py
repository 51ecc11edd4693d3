"""Users: the row and its chat settings, as one record ``{"user": …, "chatSettings": …}``."""

from store.documents.base import derived_id
from store.documents.users import BLOCK_COLUMNS, User
from store.mapping.base import Child, Mapping, Record, Row, Rows, with_extras
from store.tables.users import chat_settings, users

_PLAIN = ("id", "email", "name", "image", "emailVerified", "passwordHash")
_SETTINGS = ("id", "userId", "avatarDisplayMode", "avatarDisplayStyle", "createdAt", "updatedAt")
_BLOCKS = {
    block: {column: key for column, (of, key) in BLOCK_COLUMNS.items() if of == block}
    for block in ("totp", "backupCodes")
}
_CIPHER_KEYS = {"ciphertext", "iv", "authTag"}


def to_record(rows: Rows) -> Record:
    """The record of a user's rows. Without a row of chat settings the block is made up and marked as such."""
    row = rows["users"][0]
    raw: Record = {}
    user: Record = {key: row[key] for key in _PLAIN}
    for block, columns in _BLOCKS.items():
        _add_block(user, block, columns, row, raw)
    user["createdAt"], user["updatedAt"] = row["createdAt"], row["updatedAt"]
    if rows["chat_settings"]:
        settings: Record = {key: rows["chat_settings"][0][key] for key in _SETTINGS}
    else:
        settings = synthetic_settings(row)
    with_extras(user, syntheticChatSettings=not rows["chat_settings"], raw=raw)
    return {"user": user, "chatSettings": settings}


def synthetic_settings(user: Row) -> Record:
    """The block that stands in for chat settings SQL does not have: Quilltap requires one."""
    return {
        "id": derived_id("chat-settings", user["id"]),
        "userId": user["id"],
        "avatarDisplayMode": "ALWAYS",
        "avatarDisplayStyle": "CIRCULAR",
        "createdAt": user["createdAt"],
        "updatedAt": user["updatedAt"],
    }


def _add_block(user: Record, block: str, columns: dict[str, str], row: Row, raw: Record) -> None:
    """Quilltap takes a block with all three cipher parts, or none; what is in between goes to ``raw``, whole."""
    parts = [row[column] for column, key in columns.items() if key in _CIPHER_KEYS]
    if all(part is not None for part in parts):
        user[block] = {key: row[column] for column, key in columns.items()}
        if block == "backupCodes":  # SQL has no such column; Quilltap wants one
            user[block]["createdAt"] = row["createdAt"]
    elif any(row[column] not in (None, False) for column in columns):
        raw.update({column: row[column] for column in columns})


def to_rows(record: Record) -> Rows:
    """The rows of a user's record; a made-up block of chat settings becomes no row."""
    user, extras = record["user"], record["user"].get("extras") or {}
    row: Row = {key: user.get(key) for key in (*_PLAIN, "createdAt", "updatedAt")}
    for column, (block, key) in BLOCK_COLUMNS.items():
        row[column] = (user.get(block) or {}).get(key)
    row.update(extras.get("raw") or {})
    row["totpEnabled"] = bool(row["totpEnabled"])
    settings = record["chatSettings"]
    made_up = extras.get("syntheticChatSettings")
    return {"users": [row], "chat_settings": [] if made_up else [{key: settings[key] for key in _SETTINGS}]}


USERS = Mapping(
    kind="user",
    model="User",
    main=users,
    document=User,
    to_record=to_record,
    to_rows=to_rows,
    children=(Child(chat_settings, "userId"),),
)
