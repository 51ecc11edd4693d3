"""``data`` commands that count, move everything, and take it back."""

import sys
from datetime import UTC, datetime

import click
from flask import current_app
from flask.cli import with_appcontext

from dashboard.commands.telling import BY_COMMAND, print_json, told
from store import Store, exporting, importing, work
from store.files.generations import Generations
from store.repair_plan import Side, plan_repair
from store.repairing import repair as carry_out
from store.validation import validate_all_data

_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")


def _store() -> Store:
    store: Store = current_app.extensions["tandem_store"]
    return store


@click.command("inventory")
@_JSON
@with_appcontext
def inventory(as_json: bool) -> None:
    """Count all 23 models on both sides, and say how the database differs from Quilltap's schema 0.7.0."""
    taken = _store().inventory()
    if as_json:
        print_json(taken.as_json())
    else:
        click.echo(taken.as_text())
    sys.exit(1 if taken.unlike else 0)


@click.command("export")
@click.option("--dry-run", is_flag=True, help="Do everything but writing, and say what would change.")
@click.option("--no-switch", is_flag=True, help="Make and check the generation, and do not put it in use.")
@_JSON
@with_appcontext
def export(dry_run: bool, no_switch: bool, as_json: bool) -> None:
    """Write everything SQL has to a new generation of the JSON side, check it, and put it in use."""
    store, began = _store(), datetime.now(UTC)
    with told(quiet=as_json) as progress:
        report = exporting.export(store, dry_run=dry_run, switch=not no_switch, progress=progress)
    outcome = work.of_export(store, report, dry_run=dry_run)
    store.jobs.note("dry-run" if dry_run else "export", {}, BY_COMMAND, outcome, began)
    if as_json:
        print_json(report.as_json())
    else:
        click.echo(report.as_text())
    sys.exit(report.exit_status)


@click.command("import")
@click.option(
    "--merge", is_flag=True, help="Also into a database that holds records: what both have becomes the files'."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@_JSON
@with_appcontext
def import_(merge: bool, dry_run: bool, as_json: bool) -> None:
    """Bring the JSON side to the database: every id, date and link returns."""
    store, began = _store(), datetime.now(UTC)
    plan = importing.plan_import(store, merge=merge)
    if not dry_run:
        if merge and not as_json:
            click.echo(plan.as_text())
        with told(quiet=as_json) as progress:
            plan = importing.import_json(store, merge=merge, progress=progress)
        store.jobs.note("import", {"merge": merge}, BY_COMMAND, work.of_import(plan), began)
    if as_json:
        print_json(plan.as_json())
    else:
        click.echo(plan.as_text())
    sys.exit(plan.exit_status)


@click.command("repair")
@click.option("--from", "source", type=click.Choice(["sql", "json"]), required=True, help="The side that is right.")
@click.option("--only", multiple=True, metavar="MODEL", help="Only records of this model; may be given again.")
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@_JSON
@with_appcontext
def repair(source: Side, only: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Make the other side equal, record by record."""
    store, began = _store(), datetime.now(UTC)
    with told(quiet=as_json) as progress:
        report = validate_all_data(store, only=only, progress=progress)
    plan = plan_repair(report.affected, source, store)
    if not dry_run:
        if not as_json:
            click.echo(plan.as_text())
        with told(quiet=as_json) as progress:
            report = carry_out(store, plan, only=only, progress=progress)
        store.jobs.note("repair", {"source": source, "only": list(only)}, BY_COMMAND, work.of_report(report), began)
    if as_json:
        print_json({"plan": plan.as_json(), **report.as_json()})
    else:
        click.echo(plan.as_text() if dry_run else report.as_text())
    sys.exit(report.exit_status)


@click.command()
@_JSON
@with_appcontext
def generations(as_json: bool) -> None:
    """List the generations of the JSON side, the newest first."""
    found = Generations(_store().side).all()
    if as_json:
        print_json({"generations": [vars(one) for one in found]})
        return
    for one in found:
        mark = "in use" if one.current else "as it was found" if one.adopted else ""
        click.echo(f"{one.name}  {one.made_at}  {one.files} files  {one.bytes} bytes  {mark}".rstrip())
    if not found:
        click.echo("There is none yet; data export makes the first.")


@click.command()
@click.argument("generation", required=False)
@with_appcontext
def rollback(generation: str | None) -> None:
    """Put an earlier generation in use; without a name, the one before."""
    store, began = _store(), datetime.now(UTC)
    all_of_them = Generations(store.side)
    if generation is None:
        names = [one.name for one in all_of_them.all()]
        current = all_of_them.current()
        older = names[names.index(current) + 1 :] if current in names else names
        if not older:
            raise click.ClickException("There is no earlier generation. List them with: data generations")
        generation = older[0]
    step, outcome = work.put_back(store, generation)
    store.jobs.note("rollback", {"generation": generation}, BY_COMMAND, outcome, began)
    click.echo(f"In use: {generation}. {step.sentence} {step.hint}".rstrip())


moving = (inventory, export, import_, repair, generations, rollback)
