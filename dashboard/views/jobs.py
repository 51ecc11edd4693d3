"""What pages about background work share: beginning it, watching it, stopping it. A page without scripts shows how far
it was when it was loaded; with scripts it keeps up."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.auth import current_account
from dashboard.jobs import workshop
from dashboard.views.base import StoreView
from store.errors import NotFoundError
from store.jobs import ACTIVE, CANCELLED, DONE, FAILED, Job

NAMES = {
    "export": "Export",
    "dry-run": "Dry run",
    "validate": "Validation",
    "quick-validate": "Quick validation",
    "repair": "Repair",
    "import": "Import",
    "rollback": "Roll back",
    "prune": "Deleting old generations",
}
BADGES = {
    "queued": ("waits for its turn", "plain", "clock"),
    "running": ("running", "info", "play"),
    "done": ("done", "ok", "check"),
    "failed": ("failed", "error", "error"),
    "cancelled": ("cancelled", "plain", "stop"),
}
HISTORY = 30


class JobPages(StoreView):
    """Pages over some kinds of jobs. The page of one is ``job``; what it shows at the end is ``outcome_template``."""

    kinds: ClassVar[tuple[str, ...]]
    outcome_template: ClassVar[str]

    @property
    def extra_css(self) -> list[str]:
        return [*super().extra_css, url_for("static", filename="css/jobs.css")]

    def render(self, template: str, **context: Any) -> str:
        return super().render(template, job_names=NAMES, job_badges=BADGES, **context)

    # ------------------------------------------------------------------ one job
    @expose("/job")
    def job(self) -> str:
        """How far a job is and what came of it: a page, or with ``part`` what of it changes."""
        job = self.asked_job()
        template = "jobs/_job.html" if request.args.get("part") else "jobs/job.html"
        return self.render(template, job=job, **self.job_context(job))

    @expose("/cancel", methods=("POST",))
    def cancel(self) -> Response:
        """Ask a job to stop."""
        job = self.store.jobs.cancel(self.asked_job().id)
        name = NAMES[job.kind]
        if job.state in (DONE, FAILED):
            notices.tell(f"{name} {job.id} had ended before.", notices.INFO)
        elif job.state == CANCELLED:
            notices.tell(f"{name} {job.id} is cancelled.")
        else:
            notices.tell(f"{name} {job.id} stops as soon as it can.", notices.INFO)
        return self.go(url_for(".job", id=job.id))

    def asked_job(self) -> Job:
        """The job that the address names, when it is one of these pages'."""
        asked = request.values.get("id", "")
        job = self.store.jobs.find(int(asked)) if asked.isdecimal() and len(asked) < 18 else None
        if job is None or job.kind not in self.kinds:
            raise NotFoundError("There is no such job (any more).", hint="Look at the history.")
        self._see_to_it([job])
        return job

    def job_context(self, job: Job) -> dict[str, Any]:
        """What the page of a job shows besides the job."""
        result = None if job.is_active else self.store.jobs.result(job.id)
        return {"result": result, "outcome_template": self.outcome_template}

    # ------------------------------------------------------------------ all of them
    def active(self) -> Job | None:
        """The job under way, or the next one."""
        found = self.store.jobs.list(self.kinds, states=ACTIVE)
        self._see_to_it(found)
        return found[-1] if found else None

    @staticmethod
    def _see_to_it(found: Sequence[Job]) -> None:
        """A job that waits since before this process was started: somebody looks at it, so it is time to work."""
        if workshop().mode == "embedded" and any(job.is_active for job in found):
            workshop().open()

    def history(self) -> list[Job]:
        """What was done, the newest first."""
        return list(self.store.jobs.list(self.kinds, HISTORY))

    def begin(self, kind: str, arguments: Mapping[str, Any]) -> Response:
        """Have it done, and show how far it is. One that is under way already is shown instead."""
        if running := next((job for job in self.store.jobs.list((kind,), states=ACTIVE)), None):
            notices.tell(f"{NAMES[kind]} {running.id} is under way already; this is it.", notices.INFO)
            return self.go(url_for(".job", id=running.id))
        account = current_account()
        job = workshop().start(kind, arguments, account.name if account else "")
        return self.go(url_for(".job", id=job.id))
