"""``data``: the two sides and what keeps them equal."""

from datetime import UTC, datetime
from pathlib import Path

import click
from flask import current_app

from dashboard.commands.base import Group, json_option
from dashboard.commands.telling import BY_COMMAND, print_json, told
from store import Store, codec, work
from store.errors import StoreError

data = Group("data", help="The two sides, and what keeps them equal.")


@data.group("capture", cls=Group)
def capture() -> None:
    """The triggers that notice changes made by others."""


@capture.command()
def status() -> None:
    """Say whether changes are noticed, and what waits for the JSON side."""
    store: Store = current_app.extensions["tandem_store"]
    click.echo(f"Capture is {'on' if store.captured() else 'off'}.")
    click.echo(f"{store.outbox.pending()} records wait for the JSON side.")
    click.echo(store.step.sentence)
    for problem in store.problems():
        click.echo(problem.sentence)


@capture.command()
def on() -> None:
    """Put the triggers in place."""
    store: Store = current_app.extensions["tandem_store"]
    click.echo(f"Capture is on; {store.capture_on()} triggers were put in place.")


@capture.command()
def off() -> None:
    """Take the triggers away: changes are not noticed until capture is on again, or Tandem starts in dual mode."""
    store: Store = current_app.extensions["tandem_store"]
    store.capture_off()
    click.echo("Capture is off; every trigger named tandem_… is gone.")


@data.command()
@click.option("--only", "models", multiple=True, metavar="MODEL", help="Look at this model; may be given again.")
@click.option("--quick", is_flag=True, help="Counts and relations only: no value is compared.")
@json_option
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Also write the report, as JSON, here.")
def validate(models: tuple[str, ...], quick: bool, as_json: bool, report: Path | None) -> None:
    """Compare both sides: counts, every field, relations, secrets, what Quilltap would reject.

    The exit status adds up: 0 equal, 1 could not run, 2 differences, 4 something could not be read or was skipped,
    8 dangling relations, 16 a secret does not decrypt.
    """
    store: Store = current_app.extensions["tandem_store"]
    began = datetime.now(UTC)
    with told(quiet=as_json) as progress:
        found, outcome = work.validate(store, models, quick, progress)
    kind = "quick-validate" if quick else "validate"
    store.jobs.note(kind, {"only": list(models)}, BY_COMMAND, outcome, began)
    if report:
        try:
            report.write_bytes(codec.dumps_pretty(found.as_json()) + b"\n")
        except OSError as error:
            raise StoreError(
                f"{report} cannot be written: {error.strerror}.", hint="Choose another --report."
            ) from error
    if as_json:
        print_json(found.as_json())
    else:
        click.echo(found.as_text())
    raise SystemExit(found.exit_status)
