"""Exports: a new generation of the JSON side, what came of each, and the way back to an earlier one."""

import logging
from typing import Any

from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.auth import current_account
from dashboard.views.jobs import JobPages
from store.errors import NotFoundError, NotInStepError
from store.files.contrast import contrast
from store.files.generations import Generations
from store.jobs import DONE, Job

log = logging.getLogger("tandem.dashboard")

KEEP = 5  # generations that pruning leaves
MOST_LISTED = 200  # files of each sort in the comparison before a roll back


class ExportsView(JobPages):
    """The pages of exports, generations and the import."""

    kinds = ("export", "dry-run", "rollback", "prune", "import")
    outcome_template = "exports/_outcome.html"
    roles = {
        **dict.fromkeys(("view", "job"), "viewer"),
        **dict.fromkeys(("start", "cancel", "download", "rollback", "prune", "import_page"), "admin"),
    }

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(name="Exports", endpoint="exports", url="/admin/exports", menu_icon_value="exports")

    @property
    def generations(self) -> Generations:
        return Generations(self.store.side)

    @expose("/")
    def index(self) -> str:
        """Export now, what is kept, what was done."""
        generations = self.generations
        return self.render(
            "exports/index.html",
            active=self.active(),
            last=self.store.jobs.last(("export",), (DONE,)),
            generations=generations.all(),
            in_use=generations.current(),
            history=self.history(),
            backend=self.store.settings.data_backend,
            keep=KEEP,
        )

    @expose("/start", methods=("POST",))
    def start(self) -> Response:
        """Export, or say what an export would change."""
        kind = request.form.get("kind", "")
        if kind not in ("export", "dry-run"):
            raise NotFoundError("There is no such export.", hint="Go back and press one of the buttons.")
        if self.store.settings.data_backend == "json":
            raise NotInStepError("The files are what counts here (DATA_BACKEND=json).", hint="Import them instead.")
        return self.begin(kind, {})

    def job_context(self, job: Job) -> dict[str, Any]:
        context = super().job_context(job)
        if job.kind == "import" and job.arguments.get("dry_run") and job.state == DONE:
            context["can_import"] = not job.summary.get("problems")
        return context

    @expose("/download")
    def download(self) -> Response:
        """A generation as a zip archive, made while it is sent."""
        generation = self.generations.get(request.args.get("generation", ""))
        account = current_account()
        log.warning("%s downloads the generation %s", account.name if account else "?", generation.name)
        self.store.audit.note("download", "generation", generation.name, title=generation.name)
        response = Response(
            self.generations.zipped(generation.name), mimetype="application/zip", direct_passthrough=True
        )
        response.headers["Content-Disposition"] = f'attachment; filename="tandem-{generation.name}.zip"'
        return response

    @expose("/rollback", methods=("GET", "POST"))
    def rollback(self) -> Any:
        """What would be other than now; and then the switch."""
        generation = self.generations.get(request.values.get("generation", ""))
        if request.method == "POST":
            return self.begin("rollback", {"generation": generation.name})
        if generation.current:
            notices.tell(f"{generation.name} is in use already.", notices.INFO)
            return self.go(url_for(".index"))
        difference = contrast(self.store.side, self.generations.folder / generation.name)
        return self.render(
            "exports/rollback.html",
            generation=generation,
            difference=difference,
            most=MOST_LISTED,
            backend=self.store.settings.data_backend,
        )

    @expose("/prune", methods=("POST",))
    def prune(self) -> Response:
        """Delete all but the newest generations, in the background."""
        return self.begin("prune", {"keep": KEEP})

    @expose("/import", methods=("GET", "POST"))
    def import_page(self) -> Any:
        """From the files to the database: first the plan, then the import."""
        if request.method == "POST":
            merge, dry_run = "merge" in request.form, "confirmed" not in request.form
            return self.begin("import", {"merge": merge, "dry_run": dry_run})
        return self.render("exports/import.html", backend=self.store.settings.data_backend)
