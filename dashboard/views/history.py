"""What was done with one record: on its details page, on a page of its own, and each change with its undo."""

import contextlib
from http import HTTPStatus
from typing import Any

from flask import request
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import entries, notices
from dashboard.entries import Shown, shown_field
from dashboard.error_pages import status_of
from dashboard.views.audit import called, page_of
from dashboard.views.base import RepositoryView
from dashboard.views.listing import whole_number
from dashboard.views.merging import choices_in
from store.audit import Entry
from store.audit.differences import pair
from store.discretion import shown_id
from store.errors import ConflictError, NotFoundError, StoreError
from store.undoing import UndoPlan, can_be_undone, plan_undo, undo

ON_DETAILS, ON_PAGE = 5, 50


class HistoryView(RepositoryView):
    """A noun whose records have a history."""

    def render(self, template: str, **context: Any) -> str:
        shared = {"told": entries, "outcomes": entries.OUTCOMES, "page_of": page_of}
        return super().render(template, **shared, **context)

    def recent(self, document: Any) -> dict[str, Any]:
        """The last of what was done with a record, for its details."""
        record_id = shown_id(self.repository.kind, self.store_id(document))
        found = self.history_of(record_id, ON_DETAILS + 1)
        return {"history": found[:ON_DETAILS], "history_more": len(found) > ON_DETAILS, "history_id": record_id}

    def history_of(self, record_id: str, limit: int, before: int | None = None) -> list[Entry]:
        with contextlib.suppress(StoreError):  # in `json` mode some may lie beside the files still
            self.store.bring_audit_over()
        return list(self.store.audit.of_record(self.repository.kind, record_id, limit, before=before))

    def labels(self) -> dict[str, str]:
        """What the form calls the fields."""
        return {name: field.label.text for name, field in self._edit_form_class()._fields.items()}

    @expose("/history/")
    def history_view(self) -> str:
        """Everything that was done with one record, also with one that is gone."""
        record_id = request.args.get("id", "").replace("\0", "")
        before = whole_number(request.args.get("before"), 0, 0, 2**62) or None
        found = self.history_of(record_id, ON_PAGE + 1, before)
        if not found and before is None:
            raise NotFoundError(f"Nothing is known of such a {self.noun}.", hint="Go back to the list.")
        return self.render(
            "history/index.html",
            entries=found[:ON_PAGE],
            older=found[ON_PAGE - 1].id if len(found) > ON_PAGE else None,
            record_id=record_id,
            title=next((entry.title for entry in found if entry.title), record_id),
            labels=self.labels(),
        )

    # -------------------------------------------------------------- one change
    def asked_entry(self) -> Entry:
        """The entry that the address names, when it is about a record of this noun."""
        entry: Entry = self.store.audit.get(whole_number(request.values.get("entry"), 0, 0, 2**62))
        if entry.kind != self.repository.kind or not entry.record_id:
            raise NotFoundError("There is no such change here.", hint="Go back to the record.")
        return entry

    @expose("/change/")
    def change_view(self) -> Any:
        """What one change did, field by field, and what undoing it would do."""
        return self.show_change(self.asked_entry())

    @expose("/undo/", methods=("POST",))
    def undo_view(self) -> Any:
        """Undo a change, by a new one. Where fields were changed since, a person says what happens to each."""
        entry = self.asked_entry()
        plan, choices = plan_undo(self.store, entry), choices_in(request.form)
        if plan.conflicts and request.form.get("version") != plan.version:
            choices = {}  # what was chosen was chosen over other values
        try:
            result = undo(self.store, plan, choices)
        except ConflictError as error:
            return self.show_change(entry, error, choices)
        except StoreError as error:
            return self.show_change(entry, error)
        notices.tell_result(result, f"Undid what was done with “{entry.title}”.")
        return self.after_undo(plan)

    def after_undo(self, plan: UndoPlan) -> Response:
        if plan.how == "delete":
            return self.go(self.get_url(".index_view"))
        return self.go(self.details_url(plan.entry.record_id))

    def show_change(self, entry: Entry, error: StoreError | None = None, choices: Any = None) -> Any:
        labels = self.labels()
        may_undo = self.allows("undo_view") and can_be_undone(entry)
        plan = plan_undo(self.store, entry) if may_undo else None
        page = self.render(
            "history/change.html",
            entry=entry,
            fields=list(entries.shown_fields(entry, self.called, labels)),
            plan=plan,
            conflicts=[self.conflict(one, labels) for one in plan.conflicts] if plan else [],
            labels=labels,
            choices=choices or {},
            error=notices.of_error(error) if error else None,
            undone_by=self.store.audit.undone_by([entry.id]).get(entry.id),
            is_there=plan is not None and plan.how == "set" and not plan.impossible,
        )
        return (page, status_of(error)) if error else (page, HTTPStatus.OK)

    def conflict(self, one: Any, labels: dict[str, str]) -> Shown:
        """A field that somebody changed since: what it is now (``before``) and what it would become (``after``)."""
        words = labels.get(one.name) or entries.label(one.name)
        return shown_field(one.name, pair(one.now, one.before), self.called, words)

    def called(self, kind: str, record_id: str) -> str:
        return called(self.store, kind, record_id)
