"""``data``: the two sides and what keeps them equal."""

import click
from flask import current_app

from dashboard.commands.base import Group
from store import Store

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
