"""The command line (``flask --app app …``): the same functions as the pages, and the same sentences. One file per group."""

from flask import Flask

from dashboard.commands.accounts import accounts


def register(app: Flask) -> None:
    """Add every group to the application's commands."""
    app.cli.add_command(accounts)
