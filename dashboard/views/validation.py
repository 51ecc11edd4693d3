"""Validation: are both sides the same? What is not, down to the characters, and repairing it either way."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.findings import STATES, Entity, Findings, trend
from dashboard.views.jobs import JobPages
from dashboard.views.marking import both_marked, told
from store import codec
from store.errors import NotFoundError
from store.jobs import DONE, Job
from store.mapping import MAPPINGS
from store.tables import MODELS
from store.validation.report import Report, SecretCount
from store.work import fingerprint, planned_repair

ROWS_ON_A_PAGE = 50
MOST_CHOSEN = 5_000
# Kind -> the column that people know its records by.
NAMED_BY = {
    **dict.fromkeys(("user", "tag", "profile", "image_profile", "persona", "character"), "name"),
    "key": "label",
    "image": "filename",
    "attachment": "filename",
    "chat": "title",
}
# Kind -> the pages that show its records.
DETAILS = {
    "user": "users",
    "account": "accounts",
    "session": "sessions",
    "tag": "tags",
    "key": "keys",
    "profile": "profiles",
    "image_profile": "image_profiles",
    "image": "images",
    "persona": "personas",
    "character": "characters",
    "chat": "chats",
    "log": "chats",
    "message": "messages",
}


class ValidationView(JobPages):
    """The pages of validations and repairs. A repair ends in a validation, and its page is that one's."""

    kinds = ("validate", "quick-validate", "repair")
    outcome_template = "validation/_outcome.html"
    roles = {
        **dict.fromkeys(("view", "job", "model", "record", "report"), "viewer"),
        **dict.fromkeys(("start", "cancel"), "editor"),
        **dict.fromkeys(("plan", "repair"), "admin"),
    }

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(
            name="Validation", endpoint="validation", url="/admin/validation", menu_icon_value="validation"
        )

    @expose("/")
    def index(self) -> str:
        """Validate now, what the last one found, and how it went over time."""
        history = self.history()
        last = self.store.jobs.last(self.kinds, (DONE,))
        result = self.store.jobs.result(last.id) if last else None
        return self.render(
            "validation/index.html",
            active=self.active(),
            last=last,
            findings=self.findings(result) if result else None,
            cut=result["cut"] if result else {},
            history=history,
            runs=trend(history, with_secrets=self.allows("start")),
            models=list(MODELS),
        )

    @expose("/start", methods=("POST",))
    def start(self) -> Response:
        """Compare both sides: everything, or the chosen models; quickly or thoroughly."""
        kind = "quick-validate" if request.form.get("quick") else "validate"
        only = [model for model in request.form.getlist("model") if model in MODELS]
        return self.begin(kind, {"only": only} if only else {})

    def job_context(self, job: Job) -> dict[str, Any]:
        context = super().job_context(job)
        if context["result"] is not None:
            context["findings"] = self.findings(context["result"])
            context["cut"] = context["result"].get("cut", {})
        return context

    # ------------------------------------------------------------------ down to the characters
    @expose("/model")
    def model(self) -> str:
        """The rows of one model that are not the same, to look at and to choose from."""
        job, findings = self.asked_findings()
        model = request.args.get("model", "")
        if model and model not in findings.report.models:
            raise NotFoundError("There is no such model in this report.", hint="Go back to the report.")
        rows = findings.of_model(model) if model else findings.without_model
        page = max(request.args.get("page", 0, type=int), 0)
        shown = rows[page * ROWS_ON_A_PAGE : (page + 1) * ROWS_ON_A_PAGE]
        return self.render(
            "validation/model.html",
            job=job,
            model=model,
            count=findings.report.models.get(model),
            rows=shown,
            names=self.names_of(row.entity for row in shown),
            total=len(rows),
            page=page,
            page_size=ROWS_ON_A_PAGE,
            page_url=lambda number: url_for(".model", id=job.id, model=model, page=number or None),
        )

    @expose("/record")
    def record(self) -> str:
        """One row: every field that differs, both values side by side."""
        job, findings = self.asked_findings()
        row = findings.row(request.args.get("row", -1, type=int))
        if row is None:
            raise NotFoundError("There is no such row in this report.", hint="Go back to the report.")
        fields = []
        for one in row.fields:
            sql, json = told(one.sql), told(one.json)
            marked = (None, None) if one.secret else both_marked(sql.text, json.text)
            fields.append((one, sql, json, *marked))
        address, name = self.address_of(row.entity), self.names_of([row.entity]).get(row.entity)
        return self.render("validation/record.html", job=job, row=row, fields=fields, address=address, name=name)

    @expose("/report")
    def report(self) -> Response:
        """The whole report as a file: JSON or text."""
        job, findings = self.asked_findings()
        if request.args.get("format") == "text":
            data, mimetype, ending = findings.report.as_text().encode(), "text/plain", "txt"
        else:
            data, mimetype, ending = codec.dumps_pretty(findings.report.as_json()), "application/json", "json"
        response = Response(data, mimetype=mimetype)
        response.headers["Content-Disposition"] = f'attachment; filename="tandem-validation-{job.id}.{ending}"'
        return response

    def asked_findings(self) -> tuple[Job, Findings]:
        """The job that the address names, and what it found."""
        job = self.asked_job()
        if (result := self.store.jobs.result(job.id)) is None:
            raise NotFoundError("The report of this validation was not kept.", hint="Validate anew.")
        return job, self.findings(result)

    def findings(self, result: dict[str, Any]) -> Findings:
        """What a validation found; for viewers without what became of secrets."""
        report = Report.from_json(result)
        return Findings(report if self.allows("start") else replace(report, secrets=SecretCount()))

    def names_of(self, entities: Iterable[Entity]) -> dict[Entity, str]:
        """What people call these records, as far as the database knows."""
        wanted: dict[str, set[str]] = {}
        for kind, record_id in entities:
            wanted.setdefault(kind, set()).add(record_id)
        found: dict[Entity, str] = {}
        with self.store.database.read() as connection:
            for kind, column in NAMED_BY.items():
                if kind in wanted:
                    table = MAPPINGS[kind].main
                    asked = sa.select(table.c.id, table.c[column]).where(table.c.id.in_(wanted[kind]))
                    found.update({(kind, row[0]): row[1] for row in connection.execute(asked) if row[1]})
        return found

    def address_of(self, entity: tuple[str, str]) -> str | None:
        """The page of a record, where there is one of it."""
        kind, record_id = entity
        if kind not in DETAILS or not record_id:
            return None
        return url_for(f"{DETAILS[kind]}.details_view", id=record_id)

    # ------------------------------------------------------------------ repair
    @expose("/plan", methods=("POST",))
    def plan(self) -> Any:
        """What a repair would write, from where, and why. Nothing is written."""
        job, findings = self.asked_findings()
        entities, numbers = self.chosen(findings)
        if not entities:
            notices.tell("Choose at least one record.", notices.WARNING)
            return self.go(self.back())
        plan = planned_repair(self.store, entities, request.form.get("source", ""))
        return self.render(
            "validation/plan.html",
            job=job,
            plan=plan,
            numbers=numbers,
            source=request.form["source"],
            fingerprint=fingerprint(plan),
            address_of=self.address_of,
            return_url=self.back(),
        )

    @expose("/repair", methods=("POST",))
    def repair(self) -> Response:
        """Carry out the plan that was shown, in the background."""
        job, findings = self.asked_findings()
        entities, _ = self.chosen(findings)
        source, plan = request.form.get("source", ""), request.form.get("plan")
        if source not in ("sql", "json") or not entities:
            raise NotFoundError("There is no such plan.", hint="Go back to the report and choose records.")
        return self.begin(
            "repair", {"source": source, "plan": plan, "report": job.id, "entities": [list(one) for one in entities]}
        )

    def chosen(self, findings: Findings) -> tuple[list[tuple[str, str]], list[int] | None]:
        """The records that the form names by their places in the report; all of them when it says so."""
        if request.form.get("all"):
            return findings.entities(), None
        numbers = [int(one) for one in request.form.getlist("row")[:MOST_CHOSEN] if one.isdecimal() and len(one) < 9]
        return findings.entities(numbers), numbers

    def render(self, template: str, **context: Any) -> str:
        return super().render(template, states=STATES, **context)
