"""``accounts``: people who may sign in to Tandem."""

import sys

import click

from dashboard.accounts import ROLES
from dashboard.auth import people
from dashboard.commands.base import Group, json_option, print_json

accounts = Group("accounts", help="People who may sign in to Tandem.")

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@accounts.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the account may do.")
@password_option
def create(name: str, role: str, password_stdin: bool) -> None:
    """Make an account called NAME."""
    account = people().accounts.create(name, role, _password(password_stdin))
    click.echo(f"Made the account “{account.name}” with the role {account.role}.")


@accounts.command("list")
@json_option
def list_accounts(as_json: bool) -> None:
    """Show every account."""
    found = people().accounts.list()
    if as_json:
        keys = ("name", "role", "disabled")
        rows = [{key: getattr(account, key) for key in keys} | {"createdAt": account.created_at} for account in found]
        print_json({"accounts": rows})
        return
    for account in found:
        state = "disabled" if account.disabled else "may sign in"
        click.echo(f"{account.role:<6}  {state:<11}  since {account.created_at[:10]}  {account.name}")
    if not found:
        click.echo("There is no account yet. Make one: flask --app app accounts create NAME --role admin")


@accounts.command()
@click.argument("name")
def disable(name: str) -> None:
    """Let nobody sign in as NAME any more, and sign NAME out everywhere."""
    account = people().accounts.disable(name)
    click.echo(f"Disabled the account “{account.name}”; it is signed out everywhere.")


@accounts.command("reset-password")
@click.argument("name")
@password_option
def reset_password(name: str, password_stdin: bool) -> None:
    """Give NAME a new password, and sign NAME out everywhere."""
    account = people().accounts.find(name)
    people().accounts.set_password(account.name, _password(password_stdin))
    people().throttle.forget(account.name)
    note = " The account is still disabled." if account.disabled else ""
    click.echo(f"“{account.name}” has a new password and is signed out everywhere.{note}")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt="Password again", err=True)
    return typed
