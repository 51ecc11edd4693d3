"""The messages of chats: a page for each, new ones and new versions, edit with a merge page, delete.

They have no list: ``chats.py`` shows them as a conversation.
"""

from dataclasses import dataclass
from typing import Any

from flask import abort, redirect, request, url_for
from flask_admin import expose
from werkzeug.wrappers import Response
from wtforms import Field
from wtforms.fields.choices import SelectChoice

from dashboard import notices
from dashboard.formatters import counted, excerpt
from dashboard.forms import Filled, KeptChoice, LongText, RecordForm, Sent
from dashboard.security import wants_page
from dashboard.views.conversation import ROLES, Conversation, files_of, speakers
from dashboard.views.editing import Answer, EditableView
from dashboard.views.listing import clean
from store.documents import Chat, Message
from store.errors import ConflictError, NotFoundError, StoreError
from store.repositories.contract import Result

PARTS = {"entry": "chats/_entry.html", "text": "chats/_text.html", "raw": "chats/_raw.html"}


class Files(Field):
    """Ids of files of the chat."""

    def process(self, formdata: Any, data: Any = None, extra_filters: Any = None) -> None:
        self.process_errors = []
        self.object_data = self.data = list(data or ())
        self.raw_data = None
        if formdata is not None and formdata:
            self.raw_data = formdata.getlist(self.name)
            self.data = list(dict.fromkeys(one for one in self.raw_data if one and "\0" not in one))

    def sent(self) -> Sent:
        return {self.name: sorted(self.data)}

    def value(self) -> list[str]:
        return list(self.data)


class MessageForm(RecordForm):
    role = KeptChoice("Who says it", choices=[SelectChoice(name, label) for name, label in ROLES.items()])
    content = LongText("Text", rows=6, validators=[Filled()])
    attachments = Files("Attachments")


@dataclass(frozen=True)
class Placed:
    """A message and the chat it is in."""

    chat_id: str
    message: Message

    @property
    def id(self) -> str:
        return self.message.id

    def value(self, name: str) -> Any:
        return self.message.value(name)


class PlacedMessages:
    """The messages of a repository of chats, as pages of a noun want them."""

    kind, noun, sortable = "message", "message", ()

    def __init__(self, chats: Any) -> None:
        self._chats = chats

    def find_by_id(self, message_id: str) -> Placed | None:
        found = self._chats.find_message(message_id)
        return Placed(*found) if found else None

    def version(self, document: Placed) -> str:
        version: str = self._chats.message_version(document.message)
        return version

    def update(self, message_id: str, fields: dict[str, Any], *, expected: str | None = None) -> Result[Placed]:
        result = self._chats.update_message(message_id, fields, expected=expected)
        chat_id, _ = self._chats.find_message(message_id) or ("", None)
        return Result(Placed(chat_id, result.value), result.sources)

    def delete(self, message_id: str) -> Result[bool]:
        result: Result[bool] = self._chats.delete_message(message_id)
        return result


class MessagesView(EditableView):
    """The messages' pages."""

    noun = "message"
    form = MessageForm
    owned = False
    inside = "chats"
    column_list = ("content",)
    cells_template = body_template = ""
    fields_template = "chats/message_fields.html"
    create_template, edit_template = "chats/message_new.html", "chats/message_edit.html"

    def __init__(self, store: Any) -> None:
        super().__init__(store, PlacedMessages(store.chats), Message, "Messages", "messages", "chats")

    @property
    def extra_css(self) -> list[str]:
        return [*super().extra_css, url_for("static", filename="css/chats.css")]

    def is_visible(self) -> bool:
        return False  # in no menu: one gets here through a chat

    def title_of(self, document: Any) -> str:
        return excerpt(document.message.content, 60) or "(empty)"

    # -------------------------------------------------------------- where one is

    def chat(self, chat_id: str) -> Chat:
        """Raises NotFoundError."""
        chat: Chat | None = self.store.chats.find_by_id(chat_id) if chat_id and "\0" not in chat_id else None
        if chat is None:
            raise NotFoundError("This chat does not exist, or not any more.")
        return chat

    def original(self) -> Placed | None:
        """The message of which a new version is asked for."""
        asked = request.values.get("version_of")
        if not asked:
            return None
        found: Placed | None = self.get_one(asked)
        if found is None:
            raise NotFoundError("The message does not exist any more of which this is a version.")
        return found

    def context(self, chat: Chat) -> dict[str, Any]:
        """What the conversation's templates need."""
        speaking = speakers(self.store, chat)
        return {
            "chat": chat,
            "speakers": speaking,
            "roles": ROLES,
            "chat_url": url_for("chats.details_view", id=chat.id),
        }

    @expose("/")
    def index_view(self) -> Response:
        """Messages are found through their chats."""
        return redirect(url_for("chats.index_view"))

    @expose("/details/")
    def details_view(self) -> Answer:
        """One message in full. For the page of its chat also a part of it: ``part=entry``, ``text`` or ``raw``."""
        placed = self.wanted()
        entry = Conversation(self.store, placed.chat_id).entry(placed.message)
        context = {**self.context(self.chat(placed.chat_id)), "entry": entry, "spot": self.back(), "before": None}
        if wants_page():
            history = self.recent(placed)
            return self.render("chats/message.html", model=placed, title=self.title_of(placed), **history, **context)
        template = PARTS.get(request.args.get("part", ""))
        if template is None:
            abort(404)
        return self.render(template, **context)

    # -------------------------------------------------------------- new

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """A message at the end of a chat; with ``version_of`` another version of one."""
        original = self.original()
        chat = self.chat(original.chat_id if original else clean(request.values.get("chat", "")))
        form = self.create_form()
        if self.is_saving() and form.validate():
            made = self.add(chat, original, form)
            if made is not None:
                place = self.back() if original else url_for("chats.details_view", id=chat.id)
                return self.go(f"{place.partition('#')[0]}#m-{made.id}")
        return self.show_form(self.create_template, form, None)

    def presets(self) -> dict[str, Any]:
        original = self.original()
        return {"role": original.message.role if original else "USER"}

    def add(self, chat: Chat, original: Placed | None, form: RecordForm) -> Message | None:
        """The new message; None when the store refused, and then the form says why."""
        fields = form.fields(form._fields)
        try:
            if original is None:
                result = self.store.chats.add_message(chat.id, fields)
            else:
                result = self.store.chats.add_swipe(original.id, {**fields, "role": original.message.role})
        except StoreError as error:
            self.explain(form, error)
            return None
        notices.tell_result(result, "Added the message." if original is None else "Added another version.")
        message: Message = result.value
        return message

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        original = None
        if document is not None:
            chat_id = document.chat_id
        elif self.is_orphan():
            chat_id = clean(request.form.get("chat", ""))
        else:
            original = self.original()
            chat_id = original.chat_id if original else clean(request.values.get("chat", ""))
        chat = self.chat(chat_id)
        files = files_of(self.store, chat.id, form["attachments"].data)
        return {**self.context(chat), "files": files, "original": original}

    @staticmethod
    def is_orphan() -> bool:
        """Whether a message was edited that somebody deleted meanwhile."""
        return request.endpoint == "messages.edit_view"

    # -------------------------------------------------------------- edit, delete

    def write(self, model: Any, fields: dict[str, Any], version: str) -> Result[Any]:
        try:
            return super().write(model, fields, version)
        except ConflictError as error:
            current = Placed(model.chat_id, error.current) if isinstance(error.current, Message) else None
            raise ConflictError(error.message, current=current, hint=error.hint) from error

    def shown(self, field: Any, sent: Sent | None) -> str:
        if sent is None:
            return ""
        if field.short_name == "attachments":
            named = (
                self.name_in(self.store.attachments, one, "(deleted file)", file_name) for one in sent["attachments"]
            )
            return "\n".join(named)
        told = super().shown(field, sent)
        return ROLES.get(told, told) if field.short_name == "role" else told

    def loses(self, document: Any) -> str:
        others = len(Conversation(self.store, document.chat_id).versions(document.message)) - 1
        kept = [f"{counted(others, 'other version')} of it {'stays' if others == 1 else 'stay'}."] if others else []
        if document.message.attachments:
            kept.append("Its attachments stay with the chat.")
        return " ".join(kept) or "Nothing else goes with it."


def file_name(document: Any) -> str:
    """What a file is called."""
    return str(document.filename)
