"""Users of Quilltap: looked at, and made where there is none yet. Secrets of theirs are never shown; of what they are,
only how avatars look in their chats is changed here.
"""

from itertools import starmap
from typing import Any

from flask import current_app, url_for
from wtforms import ValidationError
from wtforms.fields.choices import SelectChoice

from dashboard.formatters import counted
from dashboard.forms import KeptChoice, RecordForm, Sent, UserForm
from dashboard.views.base import COUNT_AT_MOST
from dashboard.views.editing import EditableView
from dashboard.views.listing import Filters
from dashboard.views.secret_states import SecretState, state_of
from store.documents import User
from store.quilltap import is_email
from store.repositories.contract import Query, Result
from store.secrets import BACKUP_CODES, TOTP_SECRET

MODES = {"ALWAYS": "always", "GROUP_ONLY": "in group chats only", "NEVER": "never"}
STYLES = {"CIRCULAR": "circular", "RECTANGULAR": "rectangular"}
OWNED = (
    "characters",
    "personas",
    "chats",
    "images",
    "tags",
    "profiles",
    "image_profiles",
    "keys",
    "accounts",
    "sessions",
)


class NewUserForm(UserForm):
    """Quilltap refuses an address of another form, and with it everything that is the user's."""

    def validate_email(self, field: Any) -> None:
        if not is_email(field.data):
            raise ValidationError("Quilltap takes no such e-mail address. Write one such as ada@example.org.")


class ChatSettingsForm(RecordForm):
    avatarDisplayMode = KeptChoice("Avatars are shown", choices=list(starmap(SelectChoice, MODES.items())))
    avatarDisplayStyle = KeptChoice("Style", choices=list(starmap(SelectChoice, STYLES.items())))


class UsersView(EditableView):
    """The users' pages."""

    noun = "user"
    search_in = "names and addresses"
    filters = Filters(sort="createdAt")
    column_list = ("email", "createdAt", "updatedAt")
    column_labels = {"email": "User", "createdAt": "Created", "updatedAt": "Changed"}
    form = ChatSettingsForm
    cells_template, fields_template, body_template = "users/cells.html", "users/fields.html", "users/body.html"
    can_delete = False
    owned = False
    unique_field = "email"
    delete_view = None  # no address at all
    has_avatar = True

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.users, User, "Users", "users", "users")

    def title_of(self, document: Any) -> str:
        return str(document.user.name or document.user.email)

    def presets(self) -> dict[str, Any]:
        return {}

    def values_of(self, document: Any) -> dict[str, Any]:
        settings = document.chatSettings
        return {"avatarDisplayMode": settings.avatarDisplayMode, "avatarDisplayStyle": settings.avatarDisplayStyle}

    def get_create_form(self) -> type[RecordForm]:
        return NewUserForm

    def write(self, model: Any, fields: dict[str, Any], version: str) -> Result[Any]:
        result: Result[Any] = self.repository.update_chat_settings(model.id, fields)
        return result

    def details_context(self, document: Any) -> dict[str, Any]:
        mine = Query(user_id=document.id)
        owned = []
        for name in OWNED:
            repository = getattr(self.store, name)
            count = repository.count(mine, at_most=COUNT_AT_MOST)
            more = "more than " if count > COUNT_AT_MOST else ""
            text = f"{more}{counted(min(count, COUNT_AT_MOST), repository.noun)}"
            endpoint = f"{name}.index_view"
            known = endpoint in current_app.view_functions
            owned.append({"text": text, "href": url_for(endpoint, user=document.id) if known else None})
        return {"owned": owned, "secrets": self.secrets(document), "modes": MODES, "styles": STYLES}

    def secrets(self, document: Any) -> dict[str, SecretState]:
        """Whether a user's encrypted values are there and, for who may edit, can be read; nothing of the values."""
        known = {name: document.value(name) for name in (*TOTP_SECRET, *BACKUP_CODES)}
        secrets, told = self.store.secrets, self.allows("edit")
        return {
            "TOTP secret": state_of(secrets.decrypt, document.id, known, TOTP_SECRET, tells=told),
            "Backup codes": state_of(secrets.decrypt_codes, document.id, known, BACKUP_CODES, tells=told),
        }

    def shown(self, field: Any, sent: Sent | None) -> str:
        told = super().shown(field, sent)
        return {**MODES, **STYLES}.get(told, told)
