"""Tandem's own tables: schema ``tandem`` on PostgreSQL, prefix ``tandem_`` on SQLite. Made by ``store/migrations``."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, Table, Text, text
from sqlalchemy.schema import SchemaItem

from store.tables.base import Moment

SCHEMA = "tandem"
# SQLite counts rows up only in a column declared INTEGER PRIMARY KEY.
_Counter = BigInteger().with_variant(Integer, "sqlite")


@dataclass(frozen=True)
class OwnTables:
    """The tables under the names of one dialect."""

    metadata: MetaData
    outbox: Table
    state: Table
    accounts: Table
    sessions: Table
    recovery_codes: Table
    attempts: Table
    jobs: Table
    audit: Table
    key_tests: Table


def own_tables(dialect: str) -> OwnTables:
    """The declarations for ``postgresql`` or ``sqlite``."""
    schema, prefix = (SCHEMA, "") if dialect == "postgresql" else (None, f"{SCHEMA}_")
    metadata = MetaData(schema=schema)

    def table(name: str, *items: SchemaItem, **options: Any) -> Table:
        made: Table = Table(f"{prefix}{name}", metadata, *items, **options)
        return made

    # Append-only and without a unique key: a dedupe upsert would make writers wait for each other and lose entries.
    # AUTOINCREMENT, because a sequence number that came back would let an old acknowledgement delete a new entry.
    outbox = table(
        "outbox",
        Column("seq", _Counter, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("entity_id", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    state = table("state", Column("key", Text, primary_key=True), Column("value", Text, nullable=False))
    accounts = table(
        "accounts",
        Column("id", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("name_lower", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("password_hash", Text, nullable=False),
        Column("disabled", Boolean, nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("updated_at", Moment, nullable=False),
        Column("last_sign_in_at", Moment),
        # Keys of authenticator apps, encrypted under SECRET_KEY: the one in use, and one that waits for its first code.
        Column("totp_secret", Text),
        Column("totp_pending", Text),
        Column("totp_since", Moment),
        Column("totp_last_step", BigInteger),  # the time step of the last code taken; no code of it or before counts
        Index(f"{prefix}accounts_name_lower_key", "name_lower", unique=True),
    )
    sessions = table(
        "sessions",
        # A hash: who reads the database can still not sign in with what lies here.
        Column("token_hash", Text, primary_key=True),
        Column("account_id", Text, ForeignKey(accounts.c.id, ondelete="CASCADE"), nullable=False),
        Column("created_at", Moment, nullable=False),
        Column("last_seen_at", Moment, nullable=False),
        Column("address", Text, nullable=False),
        Column("user_agent", Text, nullable=False),
        Column("proved_at", Moment),  # when its person last gave the password, and the code where there is one
        Index(f"{prefix}sessions_account_id_idx", "account_id"),
    )
    recovery_codes = table(
        "recovery_codes",  # those not used yet
        Column("code_hash", Text, primary_key=True),
        Column("account_id", Text, ForeignKey(accounts.c.id, ondelete="CASCADE"), nullable=False),
        Index(f"{prefix}recovery_codes_account_id_idx", "account_id"),
    )
    attempts = table(
        "attempts",
        Column("id", _Counter, primary_key=True),
        Column("subject", Text, nullable=False),
        Column("at", Moment, nullable=False),
        Index(f"{prefix}attempts_subject_at_idx", "subject", "at"),
        sqlite_autoincrement=True,
    )
    # The truth about background work; a queue only carries the ids. What is told of it is JSON: ``progress`` while it
    # runs, ``summary`` (small, for lists) and ``result`` (may be long) when it has ended.
    jobs = table(
        "jobs",
        Column("id", _Counter, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("state", Text, nullable=False),
        Column("arguments", Text, nullable=False),
        Column("requested_by", Text, nullable=False),
        Column("cancel_requested", Boolean, nullable=False),
        Column("attempts", Integer, nullable=False),
        Column("owner", Text),
        Column("beat_at", Moment),
        Column("created_at", Moment, nullable=False),
        Column("started_at", Moment),
        Column("ended_at", Moment),
        Column("progress", Text),
        Column("summary", Text),
        Column("result", Text),
        Column("error", Text),
        Column("hint", Text),
        Index(f"{prefix}jobs_kind_id_idx", "kind", "id"),
        Index(f"{prefix}jobs_state_idx", "state"),
        sqlite_autoincrement=True,
    )
    # No secret, no word of a provider. ``value_version`` tells whether the key still has the value that was tested; a
    # key is Quilltap's record, so nothing here points at its table.
    key_tests = table(
        "key_tests",
        Column("id", _Counter, primary_key=True),
        Column("key_id", Text, nullable=False),
        Column("value_version", Text, nullable=False),
        Column("at", Moment, nullable=False),
        Column("outcome", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Index(f"{prefix}key_tests_key_id_idx", "key_id", "id"),
        sqlite_autoincrement=True,
    )
    audit = table("audit", *_audit_columns(), *_audit_indexes(f"{prefix}audit"))
    who_may_come_in = (accounts, sessions, recovery_codes, attempts)
    return OwnTables(metadata, outbox, state, *who_may_come_in, jobs, audit, key_tests)


def _audit_columns() -> list[Column[Any]]:
    """Who did what. Triggers refuse to change or delete a row (see the migration), so numbers never come back.

    ``within``: the chat of a message. ``part_of``: the entry that stands for a change of many records; this is one of
    them. ``undoes``: the entry whose values this change put back. ``spooled``: the name of an entry that came by the
    file in which ``json`` mode keeps it until the database takes it.
    """
    required = ("actor", "role", "address", "request_id", "action", "kind", "record_id", "title", "outcome", "message")
    return [
        Column("id", _Counter, primary_key=True),
        Column("at", Moment, nullable=False),
        *(Column(name, Text, nullable=False) for name in required),
        Column("account_id", Text),
        Column("changes", Text),
        Column("within", Text),
        Column("part_of", _Counter),
        Column("undoes", _Counter),
        Column("spooled", Text),
    ]


def _audit_indexes(table: str) -> list[Index]:
    """For each question that is asked newest first. What few entries have is indexed for those alone."""
    found = [Index(f"{table}_{name}_id_idx", name, "id") for name in ("record_id", "kind", "actor", "action")]
    found.append(Index(f"{table}_at_idx", "at"))
    for name, unique in (("within", False), ("part_of", False), ("undoes", False), ("spooled", True)):
        there = text(f"{name} IS NOT NULL")
        ending = "key" if unique else "idx"
        found.append(Index(f"{table}_{name}_{ending}", name, unique=unique, sqlite_where=there, postgresql_where=there))
    failed = text("outcome <> 'done'")
    return [*found, Index(f"{table}_outcome_id_idx", "outcome", "id", sqlite_where=failed, postgresql_where=failed)]
