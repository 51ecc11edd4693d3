"""What somebody did is written down, by whom and from where, and stays so."""

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from store.audit import Actor, Audit, Change, Question, acting_as
from store.database import Database

ADA = Actor("Ada", "id-of-ada", "admin", "192.0.2.7", "3f2a")


@pytest.fixture
def database(ready_url: str) -> Database:
    return Database(ready_url)


@pytest.fixture
def audit(database: Database) -> Audit:
    yield Audit(database)
    database.close()


def test_who_did_what_from_where_is_kept(audit: Audit) -> None:
    with acting_as(ADA):
        audit.note("sign-in", "tandem account", "id-of-ada", title="Ada")
    audit.note("capture off", message="60 triggers", outcome="failed")
    later, first = audit.newest(Question())
    assert (first.actor, first.account_id, first.role, first.address) == ("Ada", "id-of-ada", "admin", "192.0.2.7")
    assert (first.action, first.kind, first.record_id, first.title) == ("sign-in", "tandem account", "id-of-ada", "Ada")
    assert (later.actor, later.action, later.outcome, later.message) == (
        "Tandem",
        "capture off",
        "failed",
        "60 triggers",
    )


@pytest.mark.parametrize(
    "statement", ["UPDATE {t} SET actor = 'Eve'", "DELETE FROM {t}", "DELETE FROM {t} WHERE id = 1"]
)
def test_nobody_changes_or_deletes_an_entry(database: Database, audit: Audit, statement: str) -> None:
    audit.note("sign-in")
    with pytest.raises(DBAPIError, match="never changed or deleted"), database.engine.begin() as connection:
        connection.execute(sa.text(statement.format(t=database.own.audit.fullname)))
    assert [entry.actor for entry in audit.newest(Question())] == ["Tandem"]


def test_nor_by_the_ways_around_a_trigger(database: Database, audit: Audit) -> None:
    audit.note("sign-in")
    table = database.own.audit.fullname
    if database.dialect == "postgresql":
        ways = [f"TRUNCATE {table}", f"SET LOCAL session_replication_role = replica; DELETE FROM {table}"]
    else:
        columns = ", ".join(column.name for column in database.own.audit.c if column.name != "actor")
        ways = [f"INSERT OR REPLACE INTO {table} (actor, {columns}) SELECT 'Eve', {columns} FROM {table}"]
    for way in ways:
        with database.engine.begin() as connection:
            if database.dialect == "sqlite":
                connection.exec_driver_sql("PRAGMA recursive_triggers=OFF")
            with pytest.raises(DBAPIError, match="never changed or deleted"):
                connection.execute(sa.text(way))
    assert [entry.actor for entry in audit.newest(Question())] == ["Tandem"]


def test_an_entry_of_a_transaction_is_there_only_with_it(database: Database, audit: Audit) -> None:
    def fail() -> None:
        with database.write() as connection:
            audit.write(connection, [Change("create", "tandem account")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert audit.newest(Question()) == []


def test_what_no_database_takes_is_written_down_all_the_same(audit: Audit) -> None:
    audit.note("sign-in", title="half \ud83d", message="a\0b")
    (entry,) = audit.newest(Question())
    assert (entry.title, entry.message) == ("half ?", "a b")


def test_a_database_that_is_away_stops_nobody(tmp_path: object) -> None:
    audit = Audit(Database(f"sqlite:///{tmp_path}/empty.sqlite"))
    audit.note("sign-in")  # there is no such table


def test_a_change_of_many_is_one_entry_with_one_behind_it_for_each(database: Database, audit: Audit) -> None:
    with database.write() as connection:
        audit.write(connection, [Change("update", "character", f"id-{n}", title=f"Hero {n}") for n in range(5)])
    (head,) = audit.newest(Question())
    assert (head.action, head.kind, head.title, head.record_id) == ("update", "character", "5 records", "")
    assert [entry.title for entry in audit.newest(Question(part_of=head.id))] == [f"Hero {n}" for n in range(4, -1, -1)]
    assert [entry.part_of for entry in audit.of_record("character", "id-3")] == [head.id]
    assert [entry.title for entry in audit.newest(Question(text="hero 2"))] == ["Hero 2"]
    assert len(list(audit.each(Question()))) == 6


def test_questions_combine_and_go_on_from_where_they_stopped(audit: Audit) -> None:
    for name in ("Ada", "Bob"):
        with acting_as(Actor(name)):
            for outcome in ("done", "refused"):
                audit.note("edit", "tag", f"of-{name}", outcome=outcome, title=f"König {outcome}")
    assert len(audit.newest(Question(actor="Ada"))) == 2
    assert len(audit.newest(Question(actor="Ada", outcome="refused", action="edit", kind="tag"))) == 1
    assert len(audit.newest(Question(text="könig"))) == 4
    assert len(audit.newest(Question(text="100%"))) == 0
    assert len(audit.newest(Question(since="2020-01-01T00:00:00.000Z", until="2021-01-01T00:00:00.000Z"))) == 0
    assert len(audit.newest(Question(since="2020-01-01T00:00:00.000Z"))) == 4
    first = audit.newest(Question(), limit=3)
    assert [entry.actor for entry in audit.newest(Question(), before=first[-1].id)] == ["Ada"]
    assert audit.values("actor") == ["Ada", "Bob"]
