"""The records of NextAuth: OAuth accounts, sessions, verification tokens."""

from sqlalchemy import Column, Integer

from store.tables.base import db, identity, moment, owner, text, unique

accounts = db.Table(
    "accounts",
    identity(),
    owner(),
    text("type"),
    text("provider"),
    text("providerAccountId"),
    text("refresh_token", nullable=True),
    text("access_token", nullable=True),
    Column("expires_at", Integer, nullable=True),
    text("token_type", nullable=True),
    text("scope", nullable=True),
    text("id_token", nullable=True),
    text("session_state", nullable=True),
    unique("accounts", "provider", "providerAccountId"),
)

sessions = db.Table(
    "sessions",
    identity(),
    text("sessionToken"),
    owner(),
    moment("expires"),
    unique("sessions", "sessionToken"),
)

# No primary key, as Quilltap has it.
verification_tokens = db.Table(
    "verification_tokens",
    text("identifier"),
    text("token"),
    moment("expires"),
    unique("verification_tokens", "token"),
    unique("verification_tokens", "identifier", "token"),
)
