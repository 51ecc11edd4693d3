"""Chats: their list, their record, and the conversation itself. Single messages: ``messages.py``."""

from dataclasses import replace
from typing import Any

from flask import g, jsonify, request, url_for
from flask_admin import expose
from wtforms.fields.choices import SelectChoice

from dashboard import notices
from dashboard.formatters import counted, listed
from dashboard.forms import Filled, JsonObject, KeptChoice, Line, LongText, RecordForm, Sent, Tags
from dashboard.security import wants_page
from dashboard.views.bulk import ADD_TAG, DELETE, REMOVE_TAG, BulkAction
from dashboard.views.conversation import ROLES, Conversation, files_of, picture, speakers, swipes_asked
from dashboard.views.editing import Answer
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.messages import MessageForm, file_name
from dashboard.views.serving import PicturesOut
from dashboard.views.tagged import TaggedView
from store.documents import Chat
from store.errors import InvalidValueError, NotFoundError, StoreError, UnreadableError
from store.repositories.contract import Page, Query

OFFERED = 500  # records in one list to choose from; the store's longest page
IMAGES = 200
MEND = "Copy the file to a safe place; then mend line {line} in a text editor, or take that line out."


def told(problem: StoreError) -> notices.Notice:
    """What cannot be read of a conversation. A line of its file is one message among others: the file has to stay."""
    notice = notices.of_error(problem)
    if isinstance(problem, UnreadableError) and problem.line is not None:
        return replace(notice, hint=f"{MEND.format(line=problem.line)} The other messages stay as they are.")
    return notice


class ChatForm(RecordForm):
    title = Line("Title", validators=[Filled()])
    characterId = KeptChoice("Character", choices=[], validators=[Filled()])
    personaId = KeptChoice("Persona", choices=[])
    connectionProfileId = KeptChoice("Connection profile", choices=[], validators=[Filled()])
    imageProfileId = KeptChoice("Image profile", choices=[])
    tags = Tags("Tags")
    contextSummary = LongText("Context summary", nullable=True, rows=6)
    sillyTavernMetadata = JsonObject("SillyTavern metadata", description="A JSON object, or empty.")


# Field of the form -> (repository of the store, what choosing nothing means).
LINKS = {
    "characterId": ("characters", "Choose a character"),
    "personaId": ("personas", "No persona"),
    "connectionProfileId": ("profiles", "Choose a connection profile"),
    "imageProfileId": ("image_profiles", "No image profile"),
}


class ChatsView(PicturesOut, TaggedView):
    """The chats' pages."""

    noun = "chat"
    search_in = "titles"
    filters = Filters(
        by_tags=True, by_user=True, by_columns=("characterId", "personaId"), sort="lastMessageAt", descending=True
    )
    column_list = ("title", "characterId", "personaId", "tags", "messageCount", "lastMessageAt")
    column_labels = {
        "title": "Title",
        "characterId": "Character",
        "personaId": "Persona",
        "tags": "Tags",
        "messageCount": "Messages",
        "lastMessageAt": "Last message",
        "createdAt": "Created",
        "updatedAt": "Changed",
    }
    form = ChatForm
    cells_template, fields_template, body_template = "chats/cells.html", "chats/fields.html", "chats/body.html"
    details_template = "chats/details.html"
    bulk_actions = (ADD_TAG, REMOVE_TAG, DELETE)
    can_duplicate = False
    comes_back = "Its history can bring it back, but without its messages."
    goes_along = "All its messages go with it, and so do the records of its attachments."
    roles = {**TaggedView.roles, **PicturesOut.roles, "avatar": "editor"}

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.chats, Chat, "Chats", "chats", "chats")

    @property
    def extra_css(self) -> list[str]:
        return [*super().extra_css, url_for("static", filename="css/chats.css")]

    def title_of(self, document: Any) -> str:
        return document.title or "(without a title)"

    # -------------------------------------------------------------- list

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        named = {}
        for column in ("characterId", "personaId"):
            ids = {row[column] for row in page.rows if row[column]}
            named[column] = {one: self.called(column, one) for one in ids}
        return {**super().list_context(listing, page), "named": named}

    def called(self, column: str, record_id: str) -> str:
        """What the record is called that a column names."""
        return self.name_in(getattr(self.store, LINKS[column][0]), record_id, "(deleted)") or "(without a name)"

    def choices(self, column: str, user_id: str | None) -> list[tuple[str, str]]:
        """What a column may name: (id, name) by name."""
        query = Query(user_id=user_id, sort="name", page_size=OFFERED)
        rows = getattr(self.store, LINKS[column][0]).list(query).rows
        return [(row["id"], row["name"] or "(without a name)") for row in rows]

    def offered_filters(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        if "chat_filters" not in g:  # the list asks several times
            g.chat_filters = [self.column_filter(column, label) for column, label in self.filtered]
        found: list[tuple[str, str, list[tuple[str, str]]]] = g.chat_filters
        return found

    filtered = (("characterId", "Character"), ("personaId", "Persona"))

    def column_filter(self, column: str, label: str) -> tuple[str, str, list[tuple[str, str]]]:
        options = self.choices(column, clean(request.args.get("user", "")) or None)
        asked = clean(request.args.get(column, ""))
        if asked and asked not in dict(options):
            options = [(asked, self.called(column, asked)), *options]
        return column, label, options

    @expose("/suggest/")
    def suggest(self) -> Any:
        """Chats whose title holds ``q``, for a picker."""
        user_id = clean(request.args.get("user", "")) or None
        asked = Query(search=clean(request.args.get("q", ""), 100), user_id=user_id, sort="title", page_size=20)
        page = self.repository.list(asked)
        results = [{"id": row["id"], "name": row["title"] or "(without a title)"} for row in page.rows]
        return jsonify(results=results, more=page.more)

    # -------------------------------------------------------------- form

    def presets(self) -> dict[str, Any]:
        user = self.store.users.get_current_user()
        asked = {name: clean(request.args.get(name, "")) for name in LINKS}
        return {**({"userId": user.id} if user else {}), **{name: one for name, one in asked.items() if one}}

    def create_form(self, obj: Any = None) -> RecordForm:
        form = super().create_form(obj)
        return self.with_choices(form, form.data.get("userId") or self.current_user_id(), None)

    def edit_form(self, obj: Any = None, formdata: Any = None) -> RecordForm:
        return self.with_choices(super().edit_form(obj, formdata), obj.userId, obj)

    def with_choices(self, form: RecordForm, user_id: str | None, document: Any) -> RecordForm:
        """The form with what belongs to the owner, and what the chat has, be it what it may."""
        for name, (_, none) in LINKS.items():
            offered = self.choices(name, user_id) if user_id else []
            has = getattr(document, name, None)
            if has and has not in dict(offered):
                offered = [(has, self.called(name, has)), *offered]
            form[name].choices = [SelectChoice("", none), *(SelectChoice(one, called) for one, called in offered)]
            form[name].data = form[name].data or ""
        return form

    def shown(self, field: Any, sent: Sent | None) -> str:
        told = super().shown(field, sent)
        return self.called(field.short_name, told) if told and field.short_name in LINKS else told

    # -------------------------------------------------------------- delete

    def loses(self, document: Any) -> str:
        messages = document.messageCount
        files = self.store.attachments.count(Query(where=(("chatId", document.id),), sort="createdAt"), 100_000)
        going = [counted(count, what) for count, what in ((messages, "message"), (files, "attachment")) if count]
        if not going:
            return "It has no messages."
        told = f"{listed(going)} {'goes' if messages + files == 1 else 'go'} with it."
        return f"{told} The attached files themselves stay on the disk." if files else told

    def question(self, action: BulkAction, count: int) -> str:
        told = super().question(action, count)
        return f"{told} {self.goes_along}" if action.name == "delete" else told

    # -------------------------------------------------------------- the conversation

    @expose("/details/")
    def details_view(self) -> Answer:
        """The end of the conversation, or what is before ``before``; for the page itself only that part of it."""
        if wants_page():
            page: Answer = super().details_view()
            return page
        return self.render("chats/_messages.html", **self.said(self.wanted()))

    def details_context(self, document: Any) -> dict[str, Any]:
        form = MessageForm(data={"role": "USER"})
        named = {name: self.called(name, one) for name in LINKS if (one := document.value(name))}
        return {
            **super().details_context(document),
            **self.said(document),
            "named": named,
            "message_count": document.messageCount,
            "form": form,
            "files": files_of(self.store, document.id, ()) if self.allows("edit") else [],
            "worn": self.worn(document),
            "images": self.images(document) if self.allows("avatar") else [],
        }

    def said(self, document: Any) -> dict[str, Any]:
        """A stretch of the conversation, and who speaks in it."""
        conversation = Conversation(self.store, document.id)
        before = request.args.get("before") or None
        page = conversation.page(before)
        chosen = swipes_asked(request.args.getlist("swipe"))
        return {
            "chat": document,
            "chat_url": self.details_url(document.id),
            "entries": conversation.entries(page.messages, chosen),
            "problems": [told(problem) for problem in page.problems],
            "earlier": url_for(".details_view", id=document.id, before=page.before) if page.before else None,
            "before": before,
            "spot": url_for(".details_view", id=document.id, before=before),
            "speakers": speakers(self.store, document),
            "roles": ROLES,
        }

    # -------------------------------------------------------------- what characters wear

    def worn(self, document: Any) -> list[dict[str, Any]]:
        """The characters that wear another picture in this chat, with that picture."""
        worn = self.repository.avatar_overrides(document.id)
        return [
            {
                "character_id": character_id,
                "name": self.called("characterId", character_id),
                "image": self.name_in(self.store.images, image_id, "(deleted image)", file_name),
                "image_id": image_id,
                "src": picture(self.store, image_id),
            }
            for character_id, image_id in worn.items()
        ]

    def images(self, document: Any) -> list[tuple[str, str]]:
        """The newest images of the chat's user: (id, name)."""
        newest = Query(user_id=document.userId, sort="createdAt", descending=True, page_size=IMAGES)
        return [(row["id"], row["filename"]) for row in self.store.images.list(newest).rows]

    @expose("/avatar/", methods=("POST",))
    def avatar(self) -> Any:
        """Have a character wear an image in this chat; without an image its own picture again."""
        chat = self.get_one(request.form.get("id"))
        if chat is None:
            raise NotFoundError("This chat does not exist, or not any more.")
        character_id = clean(request.form.get("character", "")) or chat.characterId
        image_id = clean(request.form.get("image", ""))
        name = self.called("characterId", character_id)
        if not image_id:
            if request.form.get("remove") != "1":
                raise InvalidValueError("No image was chosen.", hint="Go back and choose one; nothing was changed.")
            result = self.repository.remove_avatar_override(chat.id, character_id)
            notices.tell_result(result, f"“{name}” has its own picture in this chat again.")
            return self.go(self.back())
        image = self.store.images.find_by_id(image_id)
        if image is None or image.userId != chat.userId:
            raise NotFoundError("This image does not exist, or belongs to another user.", hint="Choose another one.")
        result = self.repository.set_avatar_override(chat.id, character_id, image_id)
        notices.tell_result(result, f"“{name}” wears “{image.filename}” in this chat now.")
        return self.go(self.back())

    # -------------------------------------------------------------- attached files

    def asked(self) -> tuple[str, str]:
        """Path and name of the attachment the address names. Raises NotFoundError."""
        asked = request.args.get("id", "")
        found = self.store.attachments.find_by_id(asked) if asked and "\0" not in asked else None
        if found is None:
            raise NotFoundError("This attachment does not exist, or not any more.")
        return found.relativePath, found.filename
