"""Tags."""

from collections.abc import Sequence
from typing import Any

from flask import jsonify, request
from flask_admin import expose

from dashboard.formatters import counted, listed
from dashboard.forms import TagForm
from dashboard.views.bulk import DELETE, BulkAction, BulkView
from dashboard.views.editing import EditableView
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.places import list_of
from store.documents import Tag
from store.mapping import MAPPINGS
from store.repositories.contract import Page, Query

SUGGESTED = 20


class TagsView(EditableView, BulkView):
    """The tags' pages."""

    noun = "tag"
    filters = Filters(by_user=True)
    column_list = ("name", "usage", "updatedAt")
    column_labels = {"name": "Name", "usage": "Used by", "updatedAt": "Changed", "createdAt": "Created"}
    form = TagForm
    cells_template, fields_template, body_template = "tags/cells.html", "tags/fields.html", "tags/body.html"
    bulk_actions = (DELETE,)
    unique_field = "name"
    goes_along = "Every record that carries it loses it. No other record is deleted."
    roles = {**EditableView.roles, "suggest": "viewer"}

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.tags, Tag, "Tags", "tags", "tags")

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        return {"users": self.users(), "usage": self.usage([row["id"] for row in page.rows])}

    def usage(self, tag_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """tag id -> where it is used: in words, and the list that shows it."""
        counts = self.store.tags.usage(tag_ids)
        return {
            tag_id: [
                {
                    "text": counted(number, MAPPINGS[kind].document.noun),
                    "href": list_of(kind, tag_id),
                }
                for kind, number in counts.get(tag_id, {}).items()
                if number
            ]
            for tag_id in tag_ids
        }

    def details_context(self, document: Any) -> dict[str, Any]:
        owner = dict(self.users()).get(document.userId, "(unknown user)")
        return {"usage": self.usage([document.id])[document.id], "owner": owner}

    def loses(self, document: Any) -> str:
        used = [place["text"] for place in self.usage([document.id])[document.id]]
        verb = "loses" if len(used) == 1 and used[0].startswith("1 ") else "lose"
        told = f"{listed(used)} {verb} it. " if used else ""
        return f"{told}{self.goes_along}"

    def question(self, action: BulkAction, count: int) -> str:
        return f"{super().question(action, count)} Every record that carries one of them loses it."

    @expose("/suggest/")
    def suggest(self) -> Any:
        """Tags whose name holds ``q``, those that begin with it first, for the tag picker."""
        asked = clean(request.args.get("q", ""), 100)
        page = self.repository.list(
            Query(search=asked, user_id=clean(request.args.get("user", "")) or None, sort="name", page_size=SUGGESTED)
        )
        counts = self.store.tags.usage([row["id"] for row in page.rows])
        begins = asked.casefold()
        rows = sorted(page.rows, key=lambda row: not row["name"].casefold().startswith(begins))
        results = [
            {"id": row["id"], "name": row["name"], "count": sum(counts.get(row["id"], {}).values())} for row in rows
        ]
        return jsonify(results=results, more=page.more)
