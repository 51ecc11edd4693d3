"""``audit``: who did what, when and from where."""

import contextlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click
from flask import current_app

from dashboard import entries
from dashboard.commands.base import Group, json_option, print_json
from store import Store
from store.audit import OUTCOMES, Entry, Question, start_of
from store.errors import StoreError

audit = Group("audit", help="Who did what, when and from where.")
Command = TypeVar("Command", bound=Callable[..., Any])

_day = click.DateTime(["%Y-%m-%d"])
_OPTIONS = (
    click.option("--who", default="", metavar="NAME", help="Only what this account, or command:USER, did."),
    click.option("--action", default="", help="Only this action, such as update, delete or sign-in."),
    click.option("--about", default="", metavar="KIND", help="Only records of this kind, such as character."),
    click.option("--record", default="", metavar="ID", help="Only what was done with this record."),
    click.option("--outcome", default="", type=click.Choice(["", *OUTCOMES]), help="Only with this outcome."),
    click.option("--since", type=_day, help="Only from this day on (UTC)."),
    click.option("--until", type=_day, help="Only up to the end of this day (UTC)."),
    click.option("--search", default="", metavar="TEXT", help="Only where a name or remark holds this text."),
)


def filters(command: Command) -> Command:
    """The options that narrow what is shown."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@audit.command("list")
@filters
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@json_option
def list_entries(limit: int, as_json: bool, **asked: Any) -> None:
    """Show what was done, the newest first. A change of many records is one line."""
    store = _store()
    found = store.audit.newest(_question(**asked), limit=limit)
    if as_json:
        print_json({"entries": [entries.plain(entry) for entry in found]})
        return
    for entry in found:
        click.echo(_line(entry))
    if not found:
        click.echo("Nothing answers to that." if any(asked.values()) else "Nothing was done yet.")


@audit.command()
@filters
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
def export(form: str, **asked: Any) -> None:
    """Write everything that answers to standard output, each record of a change of many too."""
    store, question = _store(), _question(**asked)
    told = ", ".join(f"{name}: {value}" for name, value in asked.items() if value)
    store.audit.note("export", "audit", message=f"As {form}. {told}".strip())
    for line in (entries.as_csv if form == "csv" else entries.as_lines)(store.audit.each(question)):
        click.echo(line, nl=False)


def _store() -> Store:
    store: Store = current_app.extensions["tandem_store"]
    with contextlib.suppress(StoreError):  # in `json` mode some may lie beside the files still
        store.bring_audit_over()
    return store


def _question(
    who: str,
    action: str,
    about: str,
    record: str,
    outcome: str,
    since: datetime | None,
    until: datetime | None,
    search: str,
) -> Question:
    return Question(
        actor=who,
        action=action,
        kind=about,
        record_id=record,
        outcome=outcome,
        since=start_of(since.date()) if since else "",
        until=start_of(until.date() + timedelta(days=1)) if until else "",
        text=search,
    )


def _line(entry: Entry) -> str:
    what = entries.parts(entry) or f"{entries.noun(entry.kind)} {entry.title}".strip()
    names = ", ".join(entries.field_names(entry)) if entry.action == "update" else ""
    outcome = entries.OUTCOMES[entry.outcome][0] if entry.outcome in entries.OUTCOMES else ""
    told = "; ".join(part for part in (outcome, names, entry.message) if part)
    line = f"{entry.at[:19].replace('T', ' ')}  {entry.actor}  {entries.verb(entry)} {what}"
    return f"{line.rstrip()}{f'  ({told})' if told else ''}"
