"""What characters and personas share: their picture is shown in lists and on details and chosen in the form, and their
page leads to their chats."""

from collections.abc import Iterable
from typing import Any, ClassVar

from flask import url_for

from dashboard.forms import RecordForm, Sent
from dashboard.views.listing import Listing
from dashboard.views.tagged import TaggedView
from store.files.public import Found
from store.repositories.contract import Page, Query

OFFERED = 60  # images on the form, the newest first
RECENT = 5  # chats on the page of one who takes part in them


class PicturedView(TaggedView):
    """A noun with ``defaultImageId``, whose records take part in chats: ``chats_column`` of a chat names one."""

    chats_column: ClassVar[str]

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        return {**super().list_context(listing, page), "pictures": self.pictures(page.rows)}

    def pictures(self, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
        """id of a row -> the address of its small picture, where there is one to show."""
        named = {row["id"]: row["defaultImageId"] for row in rows if row["defaultImageId"]}
        thumbs = self.thumbs(named.values())
        return {one: thumbs[image_id] for one, image_id in named.items() if image_id in thumbs}

    def thumbs(self, image_ids: Iterable[str], size: str = "small") -> dict[str, str]:
        """image id -> the address of a small copy, of those whose bytes are there."""
        paths = self.store.images.paths(dict.fromkeys(image_ids))
        return {
            one: url_for("images.thumb", id=one, size=size)
            for one, path in paths.items()
            if isinstance(self.store.public.find(path), Found)
        }

    # -------------------------------------------------------------- details

    def details_context(self, document: Any) -> dict[str, Any]:
        image_id = document.defaultImageId
        return {
            **super().details_context(document),
            "avatar_src": self.thumbs([image_id]).get(image_id) if image_id else None,
            "picture_name": self.image_name(image_id) if image_id else "",
            "chats": self.store.chats.list(
                Query(
                    where=((self.chats_column, document.id),), sort="lastMessageAt", descending=True, page_size=RECENT
                )
            ),
            "chats_url": url_for("chats.index_view", **{self.chats_column: document.id}),
        }

    def image_name(self, image_id: str) -> str:
        """What an image is called; its id where there is none."""
        return self.name_in(self.store.images, image_id, f"{image_id} (deleted image)", lambda one: str(one.filename))

    # -------------------------------------------------------------- form

    def form_context(self, form: RecordForm, document: Any) -> dict[str, Any]:
        context = super().form_context(form, document)
        user_id = getattr(document, "userId", None) or form.data.get("userId") or self.current_user_id()
        newest = Query(user_id=user_id, sort="createdAt", descending=True, page_size=OFFERED)
        page = self.store.images.list(newest)
        rows = {row["id"]: row["filename"] for row in page.rows}
        chosen = form["defaultImageId"].data
        if chosen and chosen not in rows and "\0" not in chosen:
            rows = {chosen: self.image_name(chosen), **rows}
        thumbs = self.thumbs(rows)
        offered = [{"id": one, "name": name, "src": thumbs.get(one)} for one, name in rows.items()]
        return {**context, "images_offered": offered, "more_images": page.more}

    def shown(self, field: Any, sent: Sent | None) -> str:
        if sent is not None and field.short_name == "defaultImageId":
            (image_id,) = sent["defaultImageId"]
            return self.image_name(image_id) if image_id else ""
        return super().shown(field, sent)
