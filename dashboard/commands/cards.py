"""``cards``: character cards of other programs."""

from pathlib import Path

import click
from flask import current_app

from dashboard.commands.base import Group
from store import Store
from store.cards import ImportPlan, PlannedCard, known_tags, owner, plan_import, save_card
from store.errors import StoreError

cards = Group("cards", help="Character cards of other programs.")


@cards.command("import")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and import nothing.")
@click.option("--user", "email", help="E-mail of the user the characters belong to; made when there is none.")
def import_cards(files: tuple[Path, ...], dry_run: bool, email: str | None) -> None:
    """Make a character of every card: PNG or JSON, Character Card V1, V2 or V3.

    A file that cannot be read is named and stops no other; the exit status is then 1.
    """
    store: Store = current_app.extensions["tandem_store"]
    found, unreadable = _read(files)
    user = None if dry_run and email else owner(store.users, email)
    lookup = known_tags(store.tags, user.id) if user else lambda names: set()
    plan = plan_import(found, lookup)
    for planned in plan.cards:
        click.echo(_told(planned))
    failed = len(unreadable) + len(plan.unreadable)
    if not dry_run and user:
        failed += _save(store, plan, user.id)
    for sentence in [*unreadable, *(f"{one.reason} {one.hint}" for one in plan.unreadable)]:
        click.echo(sentence, err=True)
    wanted = [planned for planned in plan.cards if planned.duplicate_of is None]
    click.echo(f"{len(wanted)} cards {'would be imported' if dry_run else 'read'}, {failed} files failed.")
    if failed:
        raise SystemExit(1)


def _read(files: tuple[Path, ...]) -> tuple[list[tuple[str, bytes]], list[str]]:
    found, unreadable = [], []
    for path in files:
        try:
            found.append((path.name, path.read_bytes()))
        except OSError as error:
            unreadable.append(f"{path} cannot be opened: {error.strerror}.")
    return found, unreadable


def _save(store: Store, plan: ImportPlan, user_id: str) -> int:
    """Import what was planned, each card by itself; how many failed."""
    failed = 0
    for planned in plan.cards:
        if planned.duplicate_of is not None:
            continue
        try:
            result = save_card(planned.card, user_id, store.characters, store.tags)
        except StoreError as error:
            failed += 1
            click.echo(f"{planned.card.filename}: {error.sentence}", err=True)
            continue
        if problem := result.sources.error:
            click.echo(f"{planned.card.filename} is saved; the JSON side waits: {problem.sentence}", err=True)
    return failed


def _told(planned: PlannedCard) -> str:
    card = planned.card
    if planned.duplicate_of is not None:
        return f"{card.filename}: the same as {planned.duplicate_of}, left out."
    tags = ", ".join([*planned.known_tags, *(f"{name} (new)" for name in planned.new_tags)]) or "no tags"
    return " ".join([f"{card.filename}: “{card.fields['name']}” ({card.spec}), {tags}.", *card.notes])
