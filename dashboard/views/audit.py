"""The audit: everything that was done, by whom, when and from where. For admins; nothing of it can be changed."""

import contextlib
from dataclasses import replace
from datetime import date, timedelta
from typing import Any, Final

from flask import request, url_for
from flask_admin import expose
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from dashboard import entries
from dashboard.views.base import StoreView
from dashboard.views.listing import clean, whole_number
from dashboard.views.places import PAGES
from store.audit import OUTCOMES, Entry, Question, start_of
from store.errors import NotFoundError, StoreError
from store.mapping import MAPPINGS

PAGE_SIZE = 50
_NAMES: Final = ("actor", "action", "kind", "outcome")  # filters that are one value each


class AuditView(StoreView):
    """The pages of the audit."""

    roles = dict.fromkeys(("index", "entry", "export"), "admin")

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(name="Audit", endpoint="audit", url="/admin/audit", menu_icon_value="history")

    def render(self, template: str, **context: Any) -> str:
        return super().render(template, told=entries, outcomes=entries.OUTCOMES, page_of=page_of, **context)

    @expose("/")
    def index(self) -> str:
        """The newest entries that answer, and the way to older ones. Nothing is counted: there may be millions."""
        question, before = read_question(request.args), whole_number(request.args.get("before"), 0, 0, 2**62) or None
        with contextlib.suppress(StoreError):  # in `json` mode some may lie beside the files still
            self.store.bring_audit_over()
        found = self.store.audit.newest(question, before=before, limit=PAGE_SIZE + 1)
        shown, older = found[:PAGE_SIZE], len(found) > PAGE_SIZE
        return self.render(
            "audit/index.html",
            entries=shown,
            question=question,
            asked=_spelled(question),
            before=before,
            older=url_for(".index", **_spelled(question), before=shown[-1].id) if older else None,
            newest=url_for(".index", **_spelled(question)),
            active=self.active(question),
            choices=self.choices(),
            head=self.store.audit.find(question.part_of) if question.part_of is not None else None,
        )

    def choices(self) -> dict[str, list[tuple[str, str]]]:
        """What each filter offers: (value, in words)."""
        audit = self.store.audit
        actions = [(one, entries.VERBS.get(one, one.capitalize())) for one in audit.values("action")]
        outcomes = [(one, entries.OUTCOMES[one][0] if one in entries.OUTCOMES else one) for one in OUTCOMES]
        return {
            "actor": [("", "Anybody"), *((one, one) for one in audit.values("actor"))],
            "action": [("", "Anything"), *sorted(actions, key=lambda one: one[1])],
            "kind": [("", "Any record"), *((one, entries.noun(one)) for one in audit.values("kind"))],
            "outcome": [("", "Any outcome"), *outcomes],
        }

    def active(self, question: Question) -> list[tuple[str, str]]:
        """What narrows the list now: (in words, the address without it)."""
        words = {"record": "record", "from": "from", "to": "to", "search": "", "part_of": "part of entry"}
        asked = _spelled(question)
        return [
            (
                f"{words.get(name, name)} {value}".strip(),
                url_for(".index", **{k: v for k, v in asked.items() if k != name}),
            )
            for name, value in asked.items()
        ]

    @expose("/entry")
    def entry(self) -> str:
        """One entry, with every field it tells of."""
        entry = self.store.audit.get(whole_number(request.args.get("id"), 0, 0, 2**62))
        return self.render(
            "audit/entry.html",
            entry=entry,
            fields=list(entries.shown_fields(entry, lambda kind, one: called(self.store, kind, one))),
            undone_by=self.store.audit.undone_by([entry.id]).get(entry.id),
        )

    @expose("/export")
    def export(self) -> Response:
        """Everything that answers, as CSV or as JSON lines, made while it is sent."""
        question, form = read_question(request.args), request.args.get("format", "csv")
        if form not in ("csv", "jsonl"):
            raise NotFoundError("There is no such format.", hint="Choose CSV or JSON lines.")
        asked = ", ".join(f"{name}: {value}" for name, value in _spelled(question).items())
        self.store.audit.note("export", "audit", message=f"As {form}. {asked}".strip())
        spell = entries.as_csv if form == "csv" else entries.as_lines
        mimetype = "text/csv; charset=utf-8" if form == "csv" else "application/jsonl"
        response = Response(spell(self.store.audit.each(question)), content_type=mimetype)
        response.headers["Content-Disposition"] = f'attachment; filename="tandem-audit.{form}"'
        return response


def read_question(args: MultiDict[str, str]) -> Question:
    """The question an address asks. Nothing in an address is an error."""
    question = Question(**{name: clean(args.get(name, "")) for name in _NAMES}, record_id=clean(args.get("record", "")))
    question = replace(question, text=clean(args.get("search", "")))
    with contextlib.suppress(ValueError):
        question = replace(question, since=start_of(date.fromisoformat(args.get("from", ""))))
    with contextlib.suppress(ValueError, OverflowError):
        question = replace(question, until=start_of(date.fromisoformat(args.get("to", "")) + timedelta(days=1)))
    part_of = whole_number(args.get("part_of"), 0, 0, 2**62)
    return replace(question, part_of=part_of) if part_of else question


def _spelled(question: Question) -> dict[str, str]:
    """The question as an address asks it; what is not asked is left out."""
    asked = {name: getattr(question, name) for name in _NAMES}
    asked |= {"record": question.record_id, "search": question.text, "from": question.since[:10]}
    if question.until:
        asked["to"] = (date.fromisoformat(question.until[:10]) - timedelta(days=1)).isoformat()
    if question.part_of is not None:
        asked["part_of"] = str(question.part_of)
    return {name: value for name, value in asked.items() if value}


def page_of(entry: Entry) -> str | None:
    """The page that shows a change of a record together with its undo, for who may see the record."""
    noun = PAGES.get(entry.kind)
    return url_for(f"{noun}.change_view", entry=entry.id) if noun and entry.record_id else None


def called(store: Any, kind: str, record_id: str) -> str:
    """What a record is called now; one that is gone, by what the audit knows of it."""
    try:
        values = store.repositories[kind].values(record_id) if kind in MAPPINGS else None
    except StoreError:
        values = None
    if values is not None:
        return str(values.get("name") or values.get("title") or record_id)
    gone = store.audit.of_record(kind, record_id, 1)
    return f"{gone[0].title} (deleted)" if gone else "(deleted)"
