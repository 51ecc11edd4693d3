"""What all groups share: refusals as a sentence, results as JSON."""

from typing import Any

import click
from flask.cli import AppGroup

from store import codec
from store.errors import StoreError


class Group(AppGroup):
    """A group of commands. A refusal of the store is told in a sentence on standard error, and the exit status is 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except StoreError as error:
            click.echo(error.sentence, err=True)
            ctx.exit(1)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on standard output."""
    click.echo(codec.dumps(value))
