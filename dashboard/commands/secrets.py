"""``secrets``: whether API keys, TOTP secrets and backup codes decrypt, and a new pepper for all of them."""

import sys

import click
from flask import current_app

from dashboard.commands.base import Group, json_option
from dashboard.commands.telling import print_json, told
from store import Store, rotating, secrets_check
from store.errors import PepperError
from store.rotating import RotationReport

secrets = Group("secrets", help="API keys, TOTP secrets and backup codes, and the pepper they are under.")


def _store() -> Store:
    store: Store = current_app.extensions["tandem_store"]
    return store


@secrets.command()
@json_option
def check(as_json: bool) -> None:
    """Decrypt every secret on both sides, and name each that does not.

    The exit status adds up: 0 all decrypt, 1 could not run, 4 something could not be read, 16 some do not decrypt. One
    that was never complete is told and counts as nothing.
    """
    with told(quiet=as_json) as progress:
        report = secrets_check.check(_store(), progress)
    if as_json:
        print_json(report.as_json())
    else:
        click.echo(report.as_text())
    sys.exit(report.exit_status)


@secrets.command()
@click.option("--new-pepper-stdin", is_flag=True, help="Read the new pepper from standard input; else one is made.")
@click.option("--skip-unreadable", is_flag=True, help="Leave what does not decrypt, or cannot be written, as it is.")
@click.option("--abort", is_flag=True, help="Take an unfinished rotation back: everything under the pepper of before.")
@json_option
def rotate(new_pepper_stdin: bool, skip_unreadable: bool, abort: bool, as_json: bool) -> None:
    """Encrypt every secret anew under a new pepper, on both sides. An unfinished rotation is gone on with.

    Stop Quilltap before: it knows one pepper only. Tandem itself may go on running.
    """
    if abort and new_pepper_stdin:
        raise PepperError("--abort takes no new pepper.", hint="Leave --new-pepper-stdin out.")
    new = sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n") if new_pepper_stdin else None
    with told(quiet=as_json) as progress:
        if abort:
            report = rotating.take_back(_store(), skip_unreadable=skip_unreadable, progress=progress)
        else:
            report = rotating.rotate(_store(), new, skip_unreadable=skip_unreadable, progress=progress)
    _tell(report, as_json)


@secrets.command()
@json_option
def mend(as_json: bool) -> None:
    """Encrypt anew what is under a pepper of before that is kept, or for an id its user had before."""
    with told(quiet=as_json) as progress:
        report = rotating.mend(_store(), progress)
    _tell(report, as_json)


def _tell(report: RotationReport, as_json: bool) -> None:
    if as_json:
        print_json(report.as_json())
    else:
        click.echo(report.as_text())
