"""``accounts``: people who may sign in to Tandem. Whoever has the machine may do all of this, unasked."""

import sys

import click

from dashboard.accounts import ROLES, Account
from dashboard.auth import people
from dashboard.commands.base import Group, json_option, print_json
from dashboard.events import Event, happened
from dashboard.formatters import browser, counted
from store.documents.base import now

accounts = Group("accounts", help="People who may sign in to Tandem.")

password_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@accounts.command()
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the account may do.")
@password_option
def create(name: str, role: str, password_stdin: bool) -> None:
    """Make an account called NAME."""
    account = people().accounts.create(name, role, _password(password_stdin))
    happened(Event.ACCOUNT_MADE, whom=account.name, detail=role)
    click.echo(f"Made the account “{account.name}” with the role {account.role}.")


@accounts.command("list")
@json_option
def list_accounts(as_json: bool) -> None:
    """Show every account."""
    found, sessions = people().accounts.list(), people().sessions.counts()
    if as_json:
        print_json({"accounts": [_told(account, sessions.get(account.id, 0)) for account in found]})
        return
    for account in found:
        state = "disabled" if account.disabled else "may sign in"
        factor = "two-factor" if account.two_factor_since else "password  "
        seen = f"last {account.last_sign_in_at[:10]}" if account.last_sign_in_at else "never here"
        click.echo(
            f"{account.role:<6}  {state:<11}  {factor}  since {account.created_at[:10]}  {seen:<15}  {account.name}"
        )
    if not found:
        click.echo("There is no account yet. Make one: flask --app app accounts create NAME --role admin")


def _told(account: Account, sessions: int) -> dict[str, object]:
    return {
        "name": account.name,
        "role": account.role,
        "disabled": account.disabled,
        "createdAt": account.created_at,
        "twoFactorSince": account.two_factor_since,
        "lastSignInAt": account.last_sign_in_at,
        "sessions": sessions,
    }


@accounts.command()
@click.argument("name")
def disable(name: str) -> None:
    """Let nobody sign in as NAME any more, and sign NAME out everywhere."""
    account = people().accounts.disable(name)
    happened(Event.ACCOUNT_DISABLED, whom=account.name)
    click.echo(f"Disabled the account “{account.name}”; it is signed out everywhere.")


@accounts.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let NAME sign in again, with the password of before."""
    account = people().accounts.enable(name)
    happened(Event.ACCOUNT_ENABLED, whom=account.name)
    click.echo(f"“{account.name}” may sign in again.")


@accounts.command("change-role")
@click.argument("name")
@click.option("--role", type=click.Choice(ROLES), required=True, help="What the account may do from now on.")
def change_role(name: str, role: str) -> None:
    """Give NAME another role, and sign NAME out everywhere."""
    before = people().accounts.find(name)
    account = people().accounts.change_role(name, role)
    if before.role == account.role:
        click.echo(f"“{account.name}” has the role {account.role} already; nothing was changed.")
        return
    happened(Event.ROLE_CHANGED, whom=account.name, detail=f"{before.role} to {account.role}")
    click.echo(f"“{account.name}” has the role {account.role} now, instead of {before.role}.")


@accounts.command("reset-password")
@click.argument("name")
@password_option
def reset_password(name: str, password_stdin: bool) -> None:
    """Give NAME a new password, and sign NAME out everywhere."""
    account = people().accounts.find(name)
    people().accounts.set_password(account.name, _password(password_stdin))
    people().throttle.forget(account.name)
    happened(Event.PASSWORD_RESET, whom=account.name)
    note = " The account is still disabled." if account.disabled else ""
    click.echo(f"“{account.name}” has a new password and is signed out everywhere.{note}")


@accounts.command("reset-two-factor")
@click.argument("name")
def reset_two_factor(name: str) -> None:
    """Let NAME sign in with the password alone, when app and recovery codes are lost, and sign NAME out everywhere."""
    account = people().accounts.find(name)
    if account.two_factor_since is None:
        click.echo(f"“{account.name}” has no second factor; nothing was changed.")
        return
    people().two_factor.switch_off(account)
    happened(Event.TWO_FACTOR_RESET, whom=account.name)
    click.echo(f"“{account.name}” signs in with the password alone now, and is signed out everywhere.")


@accounts.command()
@click.argument("name")
@json_option
def sessions(name: str, as_json: bool) -> None:
    """Show where NAME is signed in."""
    account = people().accounts.find(name)
    found = people().sessions.of(account)
    if as_json:
        rows = [
            {
                "startedAt": session.started_at,
                "lastSeenAt": session.last_seen_at,
                "address": session.address,
                "userAgent": session.user_agent,
            }
            for session in found
        ]
        print_json({"name": account.name, "at": now(), "sessions": rows})
        return
    for session in found:
        started, seen = (moment[:16].replace("T", " ") for moment in (session.started_at, session.last_seen_at))
        click.echo(f"since {started} UTC  seen {seen} UTC  {session.address:<15}  {browser(session.user_agent)}")
    if not found:
        click.echo(f"“{account.name}” is signed in nowhere.")


@accounts.command("end-sessions")
@click.argument("name")
def end_sessions(name: str) -> None:
    """Sign NAME out everywhere."""
    account = people().accounts.find(name)
    ended = people().sessions.end_all(account)
    happened(Event.SESSIONS_ENDED, whom=account.name, detail=str(ended))
    click.echo(f"Ended {counted(ended, 'session') if ended else 'no session'} of “{account.name}”.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.buffer.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
    typed: str = click.prompt("Password", hide_input=True, confirmation_prompt="Password again", err=True)
    return typed
