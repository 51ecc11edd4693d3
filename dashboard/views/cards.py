"""Importing character cards: choose files, look at what they hold, say yes."""

from typing import Any

from flask import request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response

from dashboard import notices
from dashboard.auth import current_account
from dashboard.formatters import counted
from dashboard.uploads import Uploads
from dashboard.views.base import StoreView
from store.cards import ImportPlan, known_tags, owner, plan_import, save_card
from store.errors import InvalidRecordError, NotFoundError, StoreError
from store.quilltap import is_email
from store.repositories.contract import Query, Sources

MOST_TOLD = 4  # refusals; they travel in a cookie


class CardsView(StoreView):
    """The pages of an import. Nothing is written before the last one."""

    roles = {"view": "editor", "preview": "editor", "upload": "editor", "run": "editor"}

    def __init__(self, store: Any) -> None:
        self.store = store
        self._uploads = Uploads(store.settings.instance_dir / "imports")
        super().__init__(name="Import cards", endpoint="cards", url="/admin/cards", menu_icon_value="upload")

    @expose("/")
    def index(self) -> str:
        """Choose files."""
        return self.render("cards/upload.html", back=url_for("characters.index_view"))

    @expose("/upload", methods=["POST"])
    def upload(self) -> Response:
        """Keep the files, and show what they hold."""
        files = [(file.filename or "file", file.read()) for file in request.files.getlist("files") if file.filename]
        if not files:
            notices.tell("Choose at least one PNG or JSON file.", notices.ERROR)
            return self.go(url_for(".index"))
        return self.go(url_for(".preview", batch=self._uploads.put(self._account_id(), files)))

    @expose("/preview")
    def preview(self) -> str:
        """What each card holds, which tags are new, what cannot be read and why."""
        batch = request.args.get("batch", "")
        users = self.store.users.list(Query(sort="createdAt", page_size=200)).rows
        user_id = request.args.get("user") or (users[0]["id"] if users else None)
        plan = self._plan(batch, user_id)
        there = {
            planned.card.fields["name"]
            for planned in plan.cards
            if self._is_there(planned.card.fields["name"], user_id)
        }
        owners = [(user["id"], user["name"] or user["email"]) for user in users]
        return self.render(
            "cards/preview.html", plan=plan, batch=batch, users=users, owners=owners, user_id=user_id, there=there
        )

    @expose("/run", methods=["POST"])
    def run(self) -> Response:
        """Import the chosen cards, each by itself."""
        batch, chosen = request.form.get("batch", ""), set(request.form.getlist("card"))
        self._uploads.get(batch, self._account_id())  # gone? then say so before a user is made
        user_id = self._owner_id()
        plan = self._plan(batch, user_id)
        made, failed = 0, 0
        plain: list[str] = []  # cards that are imported without their picture, and why
        lagging: Sources | None = None
        for number, planned in enumerate(plan.cards):
            if str(number) not in chosen:
                continue
            try:
                result = save_card(planned.card, user_id, self.store)
            except StoreError as error:
                failed += 1
                if failed <= MOST_TOLD:
                    notices.tell(f"{planned.card.filename}: {error.sentence}", notices.ERROR)
                continue
            made += 1
            lagging = result.sources if result.sources.error else lagging
            if result.no_picture:
                plain.append(f"{planned.card.filename}: {result.no_picture.sentence}")
        if not chosen:
            notices.tell("No card was chosen, so none was imported.", notices.WARNING)
            return self.go(url_for(".preview", batch=batch, user=user_id))
        if failed > MOST_TOLD:
            notices.tell(f"{failed} cards were not imported; only the first {MOST_TOLD} are named.", notices.ERROR)
        if made:
            notices.tell(f"Imported {made} {'card' if made == 1 else 'cards'}.")
        if plain:
            told = f" {plain[0]}" if len(plain) == 1 else f" The first is {plain[0]}"
            notices.tell(f"Without its picture: {counted(len(plain), 'character')}.{told}", notices.WARNING)
        if lagging:
            notices.warn_of(lagging)
        self._uploads.drop(batch)
        return self.go(url_for("characters.index_view", sort="createdAt", desc=1))

    def _plan(self, batch: str, user_id: str | None) -> ImportPlan:
        files = self._uploads.get(batch, self._account_id())
        return plan_import(files, known_tags(self.store.tags, user_id) if user_id else lambda names: set())

    def _is_there(self, name: str, user_id: str | None) -> bool:
        """Whether the user has a character of this name already."""
        rows = self.store.characters.list(Query(search=name[:200], user_id=user_id, page_size=50)).rows
        return any(row["name"] == name for row in rows)

    def _owner_id(self) -> str:
        """The user the form names: one that is there, or a new one by its address."""
        if user_id := request.form.get("user", ""):
            if self.store.users.find_by_id(user_id) is None:
                raise NotFoundError("This user does not exist (any more).", hint="Choose another user.")
            return user_id
        email = request.form.get("email", "").strip()
        if not is_email(email):
            raise InvalidRecordError("The new user", {"email": "it needs an e-mail address that Quilltap accepts"})
        return owner(self.store.users, email).id

    @staticmethod
    def _account_id() -> str:
        account = current_account()
        return account.id if account else ""
