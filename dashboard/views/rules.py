"""Who may do what, for everybody to read: one table, and why one may or may not."""

from typing import Any

from flask import current_app
from flask_admin import expose

from dashboard.accounts import ROLES
from dashboard.auth import current_account
from dashboard.rules import rules_of
from dashboard.sessions import PROOF_LASTS
from dashboard.views.base import StoreView
from dashboard.views.people import MEANINGS


class RulesView(StoreView):
    """The page of the rules."""

    def __init__(self, store: Any) -> None:
        self.store = store
        super().__init__(
            name="Who may do what", category="Access", endpoint="rules", url="/admin/rules", menu_icon_value="info"
        )

    @expose("/")
    def index(self) -> str:
        """Read who may do what."""
        return self.render(
            "rules.html",
            person=current_account(),
            rules=rules_of(current_app._get_current_object()),  # type: ignore[attr-defined]
            roles=ROLES,
            meanings=MEANINGS,
            minutes=int(PROOF_LASTS.total_seconds() // 60),
        )
