"""What the nouns that carry tags share: filters by tag, the tag picker of their form, new tags by name."""

from typing import Any

from flask import jsonify, request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.forms import NEW, RecordForm, Sent
from dashboard.views.bulk import BulkView
from dashboard.views.editing import EditableView
from dashboard.views.listing import Listing, clean
from store.repositories.contract import Page, Query

OPTIONS = 200  # tags in the plain list that a page without scripts shows


class TaggedView(EditableView, BulkView):
    """A noun with tags."""

    roles = {**EditableView.roles, "suggest": "viewer"}

    @expose("/suggest/")
    def suggest(self) -> Any:
        """Records of this noun whose name holds ``q``, for a picker."""
        user_id = clean(request.args.get("user", "")) or None
        page = self.repository.list(Query(search=clean(request.args.get("q", ""), 100), user_id=user_id, page_size=20))
        results = [{"id": row["id"], "name": row["name"]} for row in page.rows]
        return jsonify(results=results, more=page.more)

    # -------------------------------------------------------------- list

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        users = self.users()
        return {
            "users": users,
            "tags_asked": self.tags_named(listing.query.tags),
            "tag_options": self.tag_options(listing.query.tags, listing.query.user_id),
            "suggest_url": self.suggest_url(listing.query.user_id),
        }

    @staticmethod
    def suggest_url(user_id: str | None = None) -> str:
        return url_for("tags.suggest", user=user_id)

    def tag_options(self, chosen: Any = (), user_id: str | None = None) -> list[tuple[str, str]]:
        """Tags to choose from where no script asks the server, without those that are chosen."""
        rows = self.store.tags.list(Query(user_id=user_id, sort="name", page_size=OPTIONS)).rows
        return [(row["id"], row["name"]) for row in rows if row["id"] not in chosen]

    # -------------------------------------------------------------- form

    def fields_from(self, form: RecordForm, names: list[str], user_id: str) -> dict[str, Any]:
        fields = form.fields(names)
        if "tags" in fields and form["tags"].new_names:
            made = [self.store.tags.find_or_create(user_id, name) for name in form["tags"].new_names]
            for result in made:
                notices.warn_of(result.sources)
            fields["tags"] = list(dict.fromkeys([*fields["tags"], *(result.value.id for result in made)]))
        return fields

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        user_id = getattr(document, "userId", None) or form.data.get("userId") or self.current_user_id()
        chosen = form["tags"].data
        new = [{"id": f"{NEW}{name}", "name": name} for name in form["tags"].new_names]
        return {
            "tags_chosen": self.tags_named(chosen) + new,
            "tag_options": self.tag_options(chosen, user_id),
            "suggest_url": self.suggest_url(user_id),
        }

    def current_user_id(self) -> str | None:
        user = self.store.users.get_current_user()
        return user.id if user else None

    def shown(self, field: Any, sent: Sent | None) -> str:
        if sent is not None and field.short_name == "tags":
            known = [tag["name"] for tag in self.tags_named(sent.get("tags", []))]
            return ", ".join(sorted([*known, *sent.get("tags-new", [])], key=str.casefold))
        return super().shown(field, sent)

    # -------------------------------------------------------------- details

    def details_context(self, document: Any) -> dict[str, Any]:
        named = self.tags_named(document.tags)
        tags = [{**tag, "href": url_for(f"{self.endpoint}.index_view", tag=tag["id"])} for tag in named]
        return {"tags": sorted(tags, key=lambda tag: tag["name"].casefold()), "owner": self.owner_name(document.userId)}
