"""Personas."""

from typing import Any

from flask import request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.formatters import counted
from dashboard.forms import PersonaForm
from dashboard.views.bulk import ADD_TAG, DELETE, REMOVE_TAG
from dashboard.views.listing import Filters, clean
from dashboard.views.pictured import PicturedView
from store.documents import Persona
from store.errors import InvalidValueError
from store.repositories.contract import Query

SHOWN_LINKS = 100


class PersonasView(PicturedView):
    """The personas' pages."""

    noun = "persona"
    search_in = "names and titles"
    filters = Filters(by_tags=True, by_user=True)
    column_list = ("name", "tags", "updatedAt")
    column_labels = {"name": "Name", "tags": "Tags", "updatedAt": "Changed", "createdAt": "Created"}
    form = PersonaForm
    cells_template, fields_template = "personas/cells.html", "personas/fields.html"
    body_template = "personas/body.html"
    chats_column = "personaId"
    bulk_actions = (ADD_TAG, REMOVE_TAG, DELETE)
    goes_along = "Chats that were led with it stay, without a persona."
    roles = {**PicturedView.roles, "link": "editor", "unlink": "editor"}
    has_avatar = True

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
            "characters_url": url_for("characters.suggest", user=document.userId),
            "character_options": self.linkable(document),
        }

    def linkable(self, document: Any) -> list[tuple[str, str]]:
        """Characters to choose from where no script asks the server."""
        rows = self.store.characters.list(Query(user_id=document.userId, page_size=200)).rows
        return [(row["id"], row["name"]) for row in rows if row["id"] not in document.characterLinks]

    def loses(self, document: Any) -> str:
        count = len(document.characterLinks)
        linked = f"{counted(count, 'character')} {'loses' if count == 1 else 'lose'} the link to it. " if count else ""
        return f"{linked}{self.goes_along}"

    # -------------------------------------------------------------- links to characters

    @expose("/unlink/", methods=("POST",))
    def unlink(self) -> Any:
        """Take the link between this persona and a character away."""
        persona_id, character_id = clean(request.form.get("id", "")), clean(request.form.get("character", ""))
        result = self.repository.remove_character_link(persona_id, character_id)
        notices.tell_result(result, f"Took the link away from “{result.value.name}”.")
        return self.go(self.back())

    @expose("/link/", methods=("POST",))
    def link(self) -> Any:
        """Link characters to this persona."""
        wanted = [one for one in map(clean, request.form.getlist("characters")) if one]
        if not wanted:
            raise InvalidValueError("No character was chosen.", hint="Go back and choose one; nothing was changed.")
        for one in wanted:
            result = self.repository.add_character_link(clean(request.form.get("id", "")), one)
        notices.tell_result(result, f"Linked {counted(len(wanted), 'character')} to “{result.value.name}”.")
        return self.go(self.back())
