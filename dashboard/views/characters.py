"""Characters."""

from typing import Any

from flask import request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.forms import CharacterForm, RecordForm, Sent
from dashboard.views.bulk import ADD_TAG, DELETE, FAVORITE, REMOVE_TAG, UNFAVORITE
from dashboard.views.listing import Filters, clean
from dashboard.views.pictured import PicturedView
from dashboard.views.serving import file_response
from store.cards import export_card
from store.documents import Character
from store.errors import InvalidValueError
from store.repositories.contract import Query

FEW = 40  # personas of a user that fit on the form as a plain list


class CharactersView(PicturedView):
    """The characters' pages."""

    noun = "character"
    search_in = "names and titles"
    filters = Filters(by_tags=True, by_favorite=True, by_user=True)
    column_list = ("name", "tags", "updatedAt")
    column_labels = {"name": "Name", "tags": "Tags", "updatedAt": "Changed", "createdAt": "Created"}
    form = CharacterForm
    cells_template, fields_template = "characters/cells.html", "characters/fields.html"
    body_template = "characters/body.html"
    chats_column = "characterId"
    roles = {**PicturedView.roles, "favorite": "editor", "card": "viewer"}
    comes_back = "Its history can bring it back, but without its chats."
    goes_along = "Its chats with all their messages go with it, and so do its links to personas and tags."
    bulk_actions = (ADD_TAG, REMOVE_TAG, FAVORITE, UNFAVORITE, DELETE)
    has_avatar = True

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.characters, Character, "Characters", "characters", "characters")

    def other_ways(self) -> list[tuple[str, str, str]]:
        return [("Import cards", url_for("cards.index"), "upload")]

    # -------------------------------------------------------------- form

    def values_of(self, document: Any) -> dict[str, Any]:
        values = super().values_of(document)
        values["personaLinks"] = [link.model_dump() for link in document.personaLinks]
        return values

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        context = super().form_context(form, document)
        user_id = getattr(document, "userId", None) or form.data.get("userId") or self.current_user_id()
        found = self.store.personas.list(Query(user_id=user_id, sort="name", page_size=200)).rows
        links = {link["personaId"]: link["isDefault"] for link in form["personaLinks"].data}
        known = {row["id"]: row["name"] for row in found[:FEW]}
        rows = [
            {
                "id": one,
                "name": known.get(one) or self.name_in(self.store.personas, one, "(deleted persona)"),
                "linked": one in links,
                "default": links.get(one, False),
            }
            for one in dict.fromkeys([*links, *known])
        ]
        return {
            **context,
            "personas": rows,
            "more_personas": [(row["id"], row["name"]) for row in found[FEW:] if row["id"] not in links],
            "personas_url": url_for("personas.suggest", user=user_id),
        }

    def shown(self, field: Any, sent: Sent | None) -> str:
        if sent is None or field.short_name != "personaLinks":
            return super().shown(field, sent)
        default = sent.get("personaLinks-default", [""])[0]
        named = ((one, self.name_in(self.store.personas, one, "(deleted persona)")) for one in sent["personaLinks"])
        return "\n".join(f"{called}{' (default)' if one == default else ''}" for one, called in named)

    # -------------------------------------------------------------- details

    def details_context(self, document: Any) -> dict[str, Any]:
        personas = [
            {
                "name": self.name_in(self.store.personas, link.personaId, "(deleted persona)"),
                "href": url_for("personas.details_view", id=link.personaId),
                "is_default": link.isDefault,
            }
            for link in document.personaLinks
        ]
        links = [
            (f"Card as {label}", url_for(".card", id=document.id, format=form), "download")
            for label, form in (("PNG", "png"), ("JSON", "json"))
        ]
        return {**super().details_context(document), "personas": personas, "links": links}

    # -------------------------------------------------------------- card
    @expose("/card/")
    def card(self) -> Any:
        """The character as a card file for other programs."""
        document = self.wanted()
        file = export_card(self.store, document, "json" if request.args.get("format") == "json" else "png")
        return file_response(file.data, file.mime_type, file.name)

    # -------------------------------------------------------------- favourite

    @expose("/favorite/", methods=("POST",))
    def favorite(self) -> Any:
        """Make one character a favourite, or no longer."""
        record_id, wanted = clean(request.form.get("id", "")), request.form.get("favorite")
        if wanted not in ("0", "1"):
            raise InvalidValueError("Nobody said whether this shall be a favourite.", hint="Go back and use the star.")
        result = self.repository.set_favorite(record_id, wanted == "1")
        name = result.value.name
        notices.tell_result(
            result, f"“{name}” is a favourite now." if wanted == "1" else f"“{name}” is no favourite any more."
        )
        return self.go(self.back())
