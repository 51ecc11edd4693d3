"""API keys, encrypted with a key derived from their owner's id."""

from sqlalchemy import Column, true

from store.tables.base import EnumName, created, db, flag, identity, moment, owner, text

api_keys = db.Table(
    "api_keys",
    identity(),
    owner(),
    Column("provider", EnumName("Provider"), nullable=False),
    text("label"),
    text("keyEncrypted"),
    text("keyIv"),
    text("keyAuthTag"),
    flag("isActive", default=true()),
    moment("lastUsed", nullable=True),
    created(),
    moment("updatedAt"),
)
