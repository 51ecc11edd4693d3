"""Quilltap's users and their chat settings."""

from sqlalchemy import Column

from store.tables.base import EnumName, created, db, flag, identity, link, moment, text, unique

users = db.Table(
    "users",
    identity(),
    text("email"),
    text("name", nullable=True),
    text("image", nullable=True),
    moment("emailVerified", nullable=True),
    created(),
    moment("updatedAt"),
    text("backupCodes", nullable=True),
    text("backupCodesAuthTag", nullable=True),
    text("backupCodesIv", nullable=True),
    text("passwordHash", nullable=True),
    flag("totpEnabled"),
    text("totpSecret", nullable=True),
    text("totpSecretAuthTag", nullable=True),
    text("totpSecretIv", nullable=True),
    moment("totpVerifiedAt", nullable=True),
    unique("users", "email"),
)

chat_settings = db.Table(
    "chat_settings",
    identity(),
    link("userId", "users", "CASCADE"),
    Column("avatarDisplayMode", EnumName("AvatarDisplayMode"), nullable=False, server_default="ALWAYS"),
    created(),
    moment("updatedAt"),
    text("avatarDisplayStyle", default="CIRCULAR"),
    unique("chat_settings", "userId"),
)
