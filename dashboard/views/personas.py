"""Personas."""

from typing import Any

from flask import jsonify, request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.formatters import counted
from dashboard.forms import PersonaForm
from dashboard.views.bulk import ADD_TAG, DELETE, REMOVE_TAG
from dashboard.views.listing import Filters, clean
from dashboard.views.tagged import TaggedView
from store.documents import Persona
from store.errors import InvalidValueError
from store.repositories.contract import Query

SHOWN_LINKS = 100


class PersonasView(TaggedView):
    """The personas' pages."""

    noun = "persona"
    search_in = "names and titles"
    filters = Filters(by_tags=True, by_user=True)
    column_list = ("name", "tags", "updatedAt")
    column_labels = {"name": "Name", "tags": "Tags", "updatedAt": "Changed", "createdAt": "Created"}
    form = PersonaForm
    cells_template, fields_template = "personas/cells.html", "personas/fields.html"
    body_template = "personas/body.html"
    bulk_actions = (ADD_TAG, REMOVE_TAG, DELETE)
    roles = {**TaggedView.roles, "link": "editor", "unlink": "editor", "suggest": "viewer"}

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.personas, Persona, "Personas", "personas", "personas")

    # -------------------------------------------------------------- details

    def details_context(self, document: Any) -> dict[str, Any]:
        characters = [
            {
                "id": one,
                "name": self.name_in(self.store.characters, one, "(deleted character)"),
                "href": url_for("characters.details_view", id=one),
            }
            for one in document.characterLinks[:SHOWN_LINKS]
        ]
        return {
            **super().details_context(document),
            "characters": sorted(characters, key=lambda one: one["name"].casefold()),
            "more_characters": max(len(document.characterLinks) - SHOWN_LINKS, 0),
        }

    def loses(self, document: Any) -> str:
        count = len(document.characterLinks)
        linked = f"{counted(count, 'character')} {'loses' if count == 1 else 'lose'} the link to it. " if count else ""
        return f"{linked}Chats that were led with it stay, without a persona."

    # -------------------------------------------------------------- links to characters

    @expose("/unlink/", methods=("POST",))
    def unlink(self) -> Any:
        """Take the link between this persona and a character away."""
        result = self.repository.remove_character_link(request.form.get("id", ""), request.form.get("character", ""))
        notices.tell_result(result, f"Took the link away from “{result.value.name}”.")
        return self.go(self.back())

    @expose("/link/", methods=("POST",))
    def link(self) -> Any:
        """Link characters to this persona."""
        wanted = [one for one in request.form.getlist("characters") if one]
        if not wanted:
            raise InvalidValueError("No character was chosen.", hint="Go back and choose one; nothing was changed.")
        for one in wanted:
            result = self.repository.add_character_link(request.form.get("id", ""), one)
        notices.tell_result(result, f"Linked {counted(len(wanted), 'character')} to “{result.value.name}”.")
        return self.go(self.back())

    # -------------------------------------------------------------- look-ups

    @expose("/suggest/")
    def suggest(self) -> Any:
        """Personas whose name holds ``q``, for a picker."""
        user_id = clean(request.args.get("user", "")) or None
        query = Query(search=clean(request.args.get("q", ""), 100), user_id=user_id, page_size=20)
        page = self.repository.list(query)
        results = [{"id": row["id"], "name": row["name"]} for row in page.rows]
        return jsonify(results=results, more=page.more)
