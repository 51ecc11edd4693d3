"""``demo``: something to look at."""

import click
from flask import current_app

from dashboard.commands.base import Group
from store import Store
from store.audit import because
from store.demo import load_demo

demo = Group("demo", help="Something to look at.")


@demo.command()
def load() -> None:
    """Load a small library: a user, tags, personas and characters. What is there already is left as it is."""
    store: Store = current_app.extensions["tandem_store"]
    with because("The demo library."):
        made = load_demo(store)
    click.echo(f"Loaded {made} records." if made else "The demo library is there already.")
