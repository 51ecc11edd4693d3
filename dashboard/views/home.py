"""Home: both sides at a glance, what is pending, what to do next."""

from typing import Any

from flask import jsonify, request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.security import wants_page
from dashboard.views.base import StoreView
from dashboard.views.listing import clean
from dashboard.views.secret_states import overview
from store.errors import StoreError
from store.jobs import DONE
from store.phases import PHASES, STANDS_AT
from store.repositories.contract import Query

BACKENDS = {
    "sql": "Tandem works on the database alone; the JSON side is not written.",
    "dual": "Every change goes to the database first, and from there to the JSON side.",
    "json": "Every change goes to the JSON files first, and from there to the database.",
}
# Nouns that the palette finds, and the column they are called by.
JUMPED_TO = {
    "characters": "name",
    "personas": "name",
    "tags": "name",
    "profiles": "name",
    "image_profiles": "name",
    "keys": "label",
    "images": "filename",
    "chats": "title",
}
VALIDATIONS = ("validate", "quick-validate", "repair")  # a repair ends in one
COUNTED_PAGES = {
    "Character": "characters.index_view",
    "Persona": "personas.index_view",
    "Chat": "chats.index_view",
    "Tag": "tags.index_view",
    "User": "users.index_view",
    "Image": "images.index_view",
    "ApiKey": "keys.index_view",
    "ConnectionProfile": "profiles.index_view",
    "ImageProfile": "image_profiles.index_view",
    "Account": "accounts.index_view",
    "Session": "sessions.index_view",
    "VerificationToken": "tokens.index_view",
}


class HomeView(StoreView):
    """The first page, and what every page asks it for."""

    roles = {"index": "viewer", "counts": "viewer", "jump": "viewer", "fill": "editor"}

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(name="Home", endpoint="admin", url="/admin", menu_icon_value="home")

    @expose("/")
    def index(self) -> str:
        settings = self.store.settings
        return self.render(
            "home.html",
            step=self.store.step,
            waiting=self.store.waiting(),
            following={"dual": "the JSON side", "json": "the database"}.get(settings.data_backend),
            problems=[notices.of_error(problem, notices.WARNING) for problem in self.store.problems()],
            settings=settings,
            backend_sentence=BACKENDS[settings.data_backend],
            # Never the whole address: it may hold a password.
            database_kind="PostgreSQL" if settings.database_url.startswith("postgresql") else "SQLite",
            phases=[(phase.name, phase.what, self.phase_state(place)) for place, phase in enumerate(PHASES)],
            last_export=self.store.jobs.last(("export",), (DONE,)),
            last_validation=self.store.jobs.last(VALIDATIONS, (DONE,)),
            secrets=overview(self.store.survey) if self.allows("fill") else None,
            has_user=bool(self.store.users.list(Query(sort="createdAt", page_size=1)).rows),
        )

    def phase_state(self, place: int) -> str:
        stands = STANDS_AT[self.store.settings.data_backend]
        return "current" if place == stands else "done" if place < stands else "ahead"

    @expose("/counts")
    def counts(self) -> str:
        """How many records of the 23 models each side holds: a fragment for the home page, or a page by itself."""
        rows = [
            {
                "model": model,
                "sql": sides.sql,
                "json": sides.json,
                "href": url_for(COUNTED_PAGES[model]) if model in COUNTED_PAGES else None,
            }
            for model, sides in self.store.counts().items()
        ]
        return self.render("counts.html" if wants_page() else "home/_counts.html", rows=rows)

    @expose("/fill/", methods=("POST",))
    def fill(self) -> Any:
        """Write the JSON side from SQL, where it is empty."""
        try:
            self.store.fill_json_side()
        except StoreError as error:
            notices.tell_error(error)
        else:
            notices.tell("The JSON side is written. From now on both sides are kept equal.")
        return self.go(url_for("admin.index"))

    @expose("/jump")
    def jump(self) -> Any:
        """Pages and records whose name holds ``q``, for the palette."""
        asked = clean(request.args.get("q", ""), 100)
        results = [
            {"title": item.name, "subtitle": "Page", "url": item.get_url(), "kind": "page"}
            for entry in self.admin.menu()
            for item in (entry.get_children() if entry.is_category() else [entry])
            if item.is_accessible() and item.is_visible() and asked.casefold() in item.name.casefold()
        ]
        if asked:
            for kind, name in JUMPED_TO.items():
                repository = getattr(self.store, kind)
                page = repository.list(Query(search=asked, sort=name, page_size=6))
                results += [
                    {
                        "title": row[name],
                        "subtitle": f"{repository.noun[0].upper()}{repository.noun[1:]}",
                        "url": url_for(f"{kind}.details_view", id=row["id"]),
                        "kind": repository.kind,
                    }
                    for row in page.rows
                ]
        return jsonify(results=results)
