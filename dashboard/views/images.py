"""Images: the gallery, what is known of one, uploads, what an image is tagged with. Their bytes: ``serving.py``."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from flask import current_app, request, url_for
from flask_admin import expose

from dashboard import notices
from dashboard.formatters import counted, listed
from dashboard.forms import ImageForm, tags_sent
from dashboard.views.base import GONE
from dashboard.views.bulk import DELETE, BulkAction, BulkView
from dashboard.views.editing import Answer, EditableView
from dashboard.views.listing import Filters, Listing, clean
from dashboard.views.places import PAGES, page_of, places_of
from dashboard.views.serving import PicturesOut
from store.documents import Image
from store.errors import InvalidValueError, NotFoundError, StoreError
from store.files.public import Found, Missing
from store.repositories.contract import Page, Query, Result
from store.uploads import Removed, add_image, remove_images

SOURCES = [("upload", "Uploaded"), ("import", "Imported"), ("generated", "Generated")]
MOST_FILES = 200  # in one upload
OPTIONS = 200  # names in the plain list that a page without scripts shows
TYPES = {"CHARACTER": "character", "PERSONA": "persona", "CHAT": "chat", "THEME": "tag"}  # of image tags: their kind


class ImagesView(PicturesOut, EditableView, BulkView):
    """The images' pages."""

    noun = "image"
    search_in = "file names and prompts"
    filters = Filters(by_user=True, by_columns=("source",), sort="createdAt", descending=True)
    column_list = ("filename", "size", "createdAt")
    column_labels = {"filename": "Name", "size": "Size", "source": "Source", "createdAt": "Added"}
    form = ImageForm
    list_template = "images/list.html"
    cells_template, fields_template, body_template = "images/cells.html", "images/fields.html", "images/body.html"
    bulk_actions = (DELETE,)
    can_duplicate = False
    offers_new = False  # the gallery has a place for new ones
    comes_back = GONE
    goes_along = "Its file goes with it. Characters and personas that show it have no picture then."
    roles = {**EditableView.roles, **PicturesOut.roles, "tag": "editor", "untag": "editor"}

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.images, Image, "Images", "images", "images")

    def title_of(self, document: Any) -> str:
        return str(document.filename)

    def offered_filters(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        return [("source", "Source", SOURCES)]

    # -------------------------------------------------------------- gallery

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        paths = self.store.images.paths([row["id"] for row in page.rows])
        found = {one: self.store.public.find(path) for one, path in paths.items()}
        return {
            "users": self.users(),
            "missing": {one: told.reason for one, told in found.items() if isinstance(told, Missing)},
            "sources": dict(SOURCES),
            **self.upload_context(listing.query.user_id),
        }

    # -------------------------------------------------------------- details

    def details_context(self, document: Any) -> dict[str, Any]:
        there = self.store.public.find(document.relativePath)
        return {
            "owner": dict(self.users()).get(document.userId, "(unknown user)"),
            "missing": there.reason if isinstance(there, Missing) else "",
            "differs": self.differing(document, there),
            "source": dict(SOURCES).get(document.value("source"), document.value("source")),
            "places": places_of(self.store.images.used_by(document.id)),
            "image_tags": [self.tag_shown(tag) for tag in image_tags(document)],
            **(self.tag_pickers(document) if self.allows("tag") else {}),
        }

    @staticmethod
    def differing(document: Any, there: Found | Missing) -> str:
        """What the file is other than the record says, in words."""
        if isinstance(there, Found) and there.size != document.size:
            return f"The record says {document.size:,} bytes, the file has {there.size:,}."
        return ""

    def tag_shown(self, tag: Any) -> dict[str, Any]:
        """An image tag with the name of what it points at. Quilltap keeps tags of what was deleted."""
        kind = TYPES[tag.tagType]
        name = self.name_of(kind, tag.tagId)
        gone = "" if kind == "tag" else f"(deleted {kind})"
        return {
            "type": tag.tagType.lower(),
            "id": tag.tagId,
            "name": name or gone or tag.tagId,
            "href": page_of(kind, tag.tagId) if name else None,
            "orphan": not name and kind != "tag",
        }

    def name_of(self, kind: str, record_id: str) -> str:
        """What a record is called; empty where there is none."""
        if "\0" in record_id:
            return ""
        named = "title" if kind == "chat" else "name"
        return self.name_in(self.store.repositories[kind], record_id, "", lambda one: getattr(one, named) or "")

    def tag_pickers(self, document: Any) -> dict[str, Any]:
        """What can be chosen as a tag, per type: its label, where a script asks, and names for pages without one."""
        pickers = []
        for kind, label, named in (
            ("CHARACTER", "Characters", "name"),
            ("PERSONA", "Personas", "name"),
            ("CHAT", "Chats", "title"),
            ("THEME", "Themes", "name"),
        ):
            repository = self.store.repositories[TYPES[kind]]
            had = {tag.tagId for tag in image_tags(document) if tag.tagType == kind}
            rows = repository.list(Query(user_id=document.userId, page_size=OPTIONS, sort=named)).rows
            options = [(row["id"], row[named] or "(without a name)") for row in rows if row["id"] not in had]
            suggest = f"{PAGES[TYPES[kind]]}.suggest"
            url = url_for(suggest, user=document.userId) if suggest in current_app.view_functions else None
            if options or kind == "THEME":
                pickers.append({"type": kind, "label": label, "url": url, "options": options})
        return {"pickers": pickers}

    @expose("/tag/", methods=("POST",))
    def tag(self) -> Any:
        """Tag an image with characters, personas, chats and themes."""
        document = self.named()
        wanted = [(kind, one) for kind in TYPES for one in self.chosen(kind, document.userId)]
        if not wanted:
            raise InvalidValueError("Nothing was chosen.", hint="Go back and choose something; nothing was changed.")
        for kind, one in wanted:
            if not self.name_of(TYPES[kind], one):
                raise NotFoundError(f"This {TYPES[kind]} does not exist, or not any more.", hint="Choose another one.")
        result: Result[Any] | None = None
        for kind, one in wanted:
            result = self.store.images.add_tag(document.id, one, kind)
        assert result is not None
        notices.tell_result(result, f"“{document.filename}” has {counted(len(wanted), 'more tag')}.")
        return self.go(self.back())

    def chosen(self, kind: str, user_id: str) -> list[str]:
        """The ids a picker sent. A theme that is not there yet becomes a tag of the user."""
        known, new = tags_sent(request.form, kind)
        if kind == "THEME":
            known += [self.store.tags.find_or_create(user_id, name).value.id for name in new]
        return known

    @expose("/untag/", methods=("POST",))
    def untag(self) -> Any:
        """Take a tag away from an image."""
        document = self.named()
        result = self.store.images.remove_tag(document.id, request.form.get("tag", ""))
        notices.tell_result(result, f"Took the tag away from “{document.filename}”.")
        return self.go(self.back())

    def named(self) -> Any:
        """The image a form names. Raises NotFoundError."""
        document = self.get_one(request.form.get("id"))
        if document is None:
            raise NotFoundError("This image does not exist, or not any more.")
        return document

    # -------------------------------------------------------------- upload

    def upload_context(self, user_id: str | None = None) -> dict[str, Any]:
        """What the form for new images asks."""
        users = self.users()
        current = self.store.users.get_current_user()
        return {"owners": users, "owner_id": user_id or (current.id if current else ""), "most_files": MOST_FILES}

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Answer:
        """Choose files; afterwards what became of each. Sent once more, the same files make nothing new."""
        if not self.users():
            return self.render("no_user.html", noun=self.noun, back=self.back()), HTTPStatus.CONFLICT
        asked = clean(request.form.get("userId", ""))
        context = {"return_url": self.back(), **self.upload_context(asked)}
        if request.method == "GET":
            return self.render("images/upload.html", results=[], **context)
        if asked not in dict(self.users()):
            raise NotFoundError("This user does not exist, or not any more.", hint="Choose another user.")
        files = [file for file in request.files.getlist("files") if file.filename]
        results = [self.keep(asked, file.filename or "", file.read()) for file in files[:MOST_FILES]]
        problem = "" if files else "No file was chosen."
        if len(files) > MOST_FILES:
            problem = f"Only the first {MOST_FILES} files were looked at. Send the others by themselves."
        status = HTTPStatus.OK if any("image" in one for one in results) else HTTPStatus.UNPROCESSABLE_ENTITY
        return self.render("images/upload.html", results=results, problem=problem, **context), status

    def keep(self, user_id: str, filename: str, data: bytes) -> dict[str, Any]:
        """What became of one file: the image, or why there is none."""
        try:
            added = add_image(self.store, user_id, data, filename)
        except StoreError as error:
            return {"filename": filename, "error": notices.of_error(error)}
        told = {"filename": filename, "image": added.value, "is_new": added.is_new, "notes": added.notes}
        return {**told, "lags": added.sources.error}

    # -------------------------------------------------------------- edit, delete

    def delete_model(self, model: Any) -> bool:
        self.told_of_removal(remove_images(self.store, [model.id]), 1)
        return True

    def bulk_delete(self, ids: list[str]) -> None:
        self.told_of_removal(remove_images(self.store, ids), len(ids))

    def told_of_removal(self, result: Result[Removed], asked: int) -> None:
        notices.tell_result(result, notices.deleted(result.value.count, asked, self.noun))
        for error in result.value.left[:3]:
            notices.tell(f"A file of a deleted image is still there: {error.sentence}", notices.WARNING)

    def loses(self, document: Any) -> str:
        return f"{self.who_loses([document.id])}Its file goes with it."

    def who_loses(self, ids: Sequence[str]) -> str:
        """Who shows these images, in a sentence that ends in a space; empty when nobody does."""
        users = dict.fromkeys(one for image_id in ids for one in self.store.images.used_by(image_id))
        if not users:
            return ""
        told = listed([f"the {kind} “{name}”" for kind, _, name in users])
        lose = "shows it and then shows none." if len(users) == 1 else "show it and then show none."
        return f"{told[0].upper()}{told[1:]} {lose} "

    def question(self, action: BulkAction, count: int) -> str:
        return f"{super().question(action, count)} Characters, personas and chats that show one of them show none then."


def image_tags(document: Any) -> Sequence[Any]:
    """Everything an image is tagged with."""
    return document.extras.imageTags if document.extras else ()
