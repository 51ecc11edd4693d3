"""Users of Quilltap: looked at, and made where there is none yet. Secrets of theirs are never shown."""

from typing import Any

from wtforms import ValidationError

from dashboard.forms import RecordForm, UserForm
from dashboard.views.editing import EditableView
from dashboard.views.listing import Filters
from store.documents import User
from store.documents.quilltap import is_email
from store.repositories.contract import Query


class NewUserForm(UserForm):
    """Quilltap refuses an address of another form, and with it everything that is the user's."""

    def validate_email(self, field: Any) -> None:
        if not is_email(field.data):
            raise ValidationError("Quilltap takes no such e-mail address. Write one such as ada@example.org.")


class UsersView(EditableView):
    """The users' pages."""

    noun = "user"
    search_in = "names and addresses"
    filters = Filters(sort="createdAt")
    column_list = ("email", "createdAt", "updatedAt")
    column_labels = {"email": "User", "createdAt": "Created", "updatedAt": "Changed"}
    form = NewUserForm
    cells_template, fields_template, body_template = "users/cells.html", "users/fields.html", "users/body.html"
    can_edit = can_delete = False
    owned = False
    unique_field = "email"
    edit_view = delete_view = None  # no address at all

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.users, User, "Users", "users", "users")

    def title_of(self, document: Any) -> str:
        return str(document.user.name or document.user.email)

    def presets(self) -> dict[str, Any]:
        return {}

    def values_of(self, document: Any) -> dict[str, Any]:
        return {"email": document.user.email, "name": document.user.name}

    def details_context(self, document: Any) -> dict[str, Any]:
        mine = Query(user_id=document.id)
        counts = {
            name: repository.count(mine, at_most=100_000)
            for name, repository in (
                ("characters", self.store.characters),
                ("personas", self.store.personas),
                ("tags", self.store.tags),
            )
        }
        return {"counts": counts}

    def fields_from(self, form: RecordForm, names: list[str], user_id: str) -> dict[str, Any]:
        return form.fields([name for name in names if name in ("email", "name")])
