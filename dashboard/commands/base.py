"""What all groups share: refusals as a sentence, results as JSON."""

import os
import pwd
from typing import Any

import click
from flask.cli import AppGroup

from store import codec
from store.audit import Actor, acting_as
from store.errors import StoreError


def _user() -> str:
    """Who runs the command, as the system knows them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user without an entry, as in containers
        return str(os.getuid())


class Group(AppGroup):
    """A group of commands. A refusal of the store is told in a sentence on standard error, and the exit status is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with acting_as(Actor(f"command:{_user()}")):
                return super().invoke(ctx)
        except StoreError as error:
            click.echo(error.sentence, err=True)
            ctx.exit(1)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(codec.dumps(value))
