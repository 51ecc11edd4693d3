"""The way from one database to plain files: six phases, what each asks for, and what does it."""

from dataclasses import dataclass
from typing import Any, Final

from flask import url_for
from flask_admin import expose

from dashboard.auth import allows
from dashboard.views.base import StoreView
from store import phases
from store.phases import By


@dataclass(frozen=True)
class Way:
    """What does it: a page, a command, or a line in the settings and then a start."""

    label: str = ""
    endpoint: str = ""
    command: str = ""
    setting: str = ""


WAYS: Final[dict[By, Way]] = {
    "inventory": Way(command="flask --app app data inventory"),
    "schema": Way(command="npx prisma migrate deploy"),
    "secrets": Way("API keys", "keys.index_view", command="flask --app app secrets check"),
    "export": Way("Exports", "exports.index", command="flask --app app data export"),
    "fill": Way("Home", "admin.index"),
    "public": Way(setting="PUBLIC_DIR=…/public"),
    "dual": Way(setting="DATA_BACKEND=dual"),
    "json": Way(setting="DATA_BACKEND=json"),
    "capture": Way(command="flask --app app data capture on"),
    "validate": Way("Validation", "validation.index", command="flask --app app data validate"),
    "repair": Way("Validation", "validation.index", command="flask --app app data repair --from sql|json"),
}


class MigrationView(StoreView):
    """The page of the phases."""

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(name="Migration", endpoint="migration", url="/admin/migration", menu_icon_value="migration")

    @expose("/")
    def index(self) -> str:
        """Where this installation stands, and what comes next."""
        backend = self.store.settings.data_backend
        # How many secrets there are is told to those only who may change records.
        found = phases.look(self.store, with_secrets=allows("editor"))
        asks = [ask for phase in found for ask in phase.asks if ask.fulfilled is False]
        return self.render(
            "migration/index.html",
            first=next((ask for ask in asks if ask.by), None),
            phases=found,
            here=phases.STANDS_AT[backend],
            backend=backend,
            ways=WAYS,
            pages={by: url_for(way.endpoint) for by, way in WAYS.items() if way.endpoint},
        )
