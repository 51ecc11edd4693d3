"""The command line (``flask --app app …``): the functions and sentences of the pages. One file per group."""

from flask import Flask

from dashboard.commands.accounts import accounts
from dashboard.commands.cards import cards
from dashboard.commands.data import data
from dashboard.commands.demo import demo


def register(app: Flask) -> None:
    """Add every group to the application's commands."""
    for group in (accounts, cards, data, demo):
        app.cli.add_command(group)
