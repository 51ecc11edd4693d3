"""The command line (``flask --app app …``): the functions and sentences of the pages. One file per group."""

from flask import Flask

from dashboard.commands.accounts import accounts
from dashboard.commands.audit import audit
from dashboard.commands.cards import cards
from dashboard.commands.data import data
from dashboard.commands.demo import demo
from dashboard.commands.generations import moving
from dashboard.commands.jobs import jobs
from dashboard.commands.secrets import secrets


def register(app: Flask) -> None:
    """Add every group to the application's commands."""
    for command in moving:
        data.add_command(command)
    for group in (accounts, audit, cards, data, demo, jobs, secrets):
        app.cli.add_command(group)
