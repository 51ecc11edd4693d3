"""``cards``: character cards for other programs, in and out."""

from pathlib import Path
from typing import Literal

import click
from flask import current_app

from dashboard.commands.base import Group
from store import Store
from store.cards import ImportPlan, PlannedCard, export_card, known_tags, owner, plan_import, save_card
from store.errors import DuplicateError, NotFoundError, StoreError

cards = Group("cards", help="Character cards of other programs, in and out.")


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


@cards.command("export")
@click.argument("character_id", metavar="ID")
@click.option("--format", "form", type=click.Choice(["png", "json"]), default="png", help="A picture, or bare JSON.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to write it; - is standard output.")
def export(character_id: str, form: Literal["png", "json"], output: Path | None) -> None:
    """Write the card of the character ID: by default here, under the character's name. No file is overwritten."""
    store: Store = current_app.extensions["tandem_store"]
    character = store.characters.find_by_id(character_id)
    if character is None:
        raise NotFoundError(f"There is no character {character_id}.", hint="Its page shows its id.")
    card = export_card(store, character, form)
    if card.note:
        click.echo(card.note, err=True)
    if output == Path("-"):
        click.echo(card.data, nl=False)
        return
    path = output or Path(card.name)
    try:
        with path.open("xb") as file:
            file.write(card.data)
    except FileExistsError as error:
        raise DuplicateError(f"There is a file {path} already.", hint="Move it away, or use --output.") from error
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.", hint="Choose another --output.") from error
    click.echo(f"Wrote {path}.")


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
            result = save_card(planned.card, user_id, store)
        except StoreError as error:
            failed += 1
            click.echo(f"{planned.card.filename}: {error.sentence}", err=True)
            continue
        if result.no_picture:
            click.echo(f"{planned.card.filename} is saved without its picture: {result.no_picture.sentence}", err=True)
        if problem := result.sources.error:
            click.echo(f"{planned.card.filename} is saved; the JSON side waits: {problem.sentence}", err=True)
    return failed


def _told(planned: PlannedCard) -> str:
    card = planned.card
    if planned.duplicate_of is not None:
        return f"{card.filename}: the same as {planned.duplicate_of}, left out."
    tags = ", ".join([*planned.known_tags, *(f"{name} (new)" for name in planned.new_tags)]) or "no tags"
    return " ".join([f"{card.filename}: “{card.fields['name']}” ({card.spec}), {tags}.", *card.notes])
