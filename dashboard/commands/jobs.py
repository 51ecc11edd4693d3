"""``jobs``: background work, and a process of its own that does it."""

import signal
import threading
from typing import Any

import click
from flask import current_app

from dashboard.commands.base import Group, json_option, print_json
from dashboard.jobs import workshop
from store import Store
from store.errors import SettingsError
from store.jobs import ACTIVE, CANCELLED, KINDS, Job

jobs = Group("jobs", help="Background work: exports, validations, repairs.")


def _store() -> Store:
    store: Store = current_app.extensions["tandem_store"]
    return store


@jobs.command()
def worker() -> None:
    """Do what is asked for, one job after the other, until Ctrl-C or SIGTERM. For JOBS=worker; there may be several."""
    shop = workshop()
    if shop.mode == "inline":
        raise SettingsError("With JOBS=inline there is nothing for a worker to do.", hint="Set JOBS=worker.")
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    shop.on_end = lambda job: click.echo(_line(job))
    shop.open()
    click.echo("Waiting for jobs. Stop with Ctrl-C.")
    over.wait()
    shop.close()


@jobs.command("list")
@click.option("--kind", type=click.Choice(KINDS), help="Only jobs of this kind.")
@click.option("--active", is_flag=True, help="Only jobs that wait or run.")
@json_option
def list_jobs(kind: str | None, active: bool, as_json: bool) -> None:
    """Show the newest jobs, the newest first."""
    found = _store().jobs.list((kind,) if kind else KINDS, states=ACTIVE if active else None)
    if as_json:
        print_json({"jobs": [_as_json(job) for job in found]})
        return
    for job in found:
        click.echo(_line(job))
    if not found:
        click.echo("There is no job.")


@jobs.command()
@click.argument("job_id", metavar="ID", type=int)
def cancel(job_id: int) -> None:
    """Ask the job ID to stop."""
    job = _store().jobs.cancel(job_id)
    if job.is_active:
        click.echo(f"Job {job.id} stops as soon as it can.")
    elif job.state == CANCELLED:
        click.echo(f"Job {job.id} is cancelled.")
    else:
        click.echo(f"Job {job.id} had ended before ({job.state}).")


def _line(job: Job) -> str:
    told = job.error or ""
    if job.state == "running":
        told = f"{job.progress.phase} {100 * job.progress.overall:.0f} %".strip()
    line = f"{job.id:>5}  {job.kind:<14}  {job.state:<9}  {job.created_at[:16].replace('T', ' ')}  {job.requested_by}"
    return f"{line}  {told}".rstrip()


def _as_json(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "state": job.state,
        "requestedBy": job.requested_by,
        "createdAt": job.created_at,
        "startedAt": job.started_at,
        "endedAt": job.ended_at,
        "progress": vars(job.progress),
        "summary": job.summary,
        "error": job.error,
        "hint": job.hint,
    }
