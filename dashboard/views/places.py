"""Where the records that use another one are shown: links to their pages, whatever their noun."""

from collections.abc import Iterable
from typing import Any

from flask import current_app, url_for

from store.mapping import MAPPINGS

# Kind -> the pages of its noun.
PAGES = {
    "message": "messages",
    "account": "accounts",
    "session": "sessions",
    "token": "tokens",
    "tag": "tags",
    "key": "keys",
    "profile": "profiles",
    "image_profile": "image_profiles",
    "image": "images",
    "persona": "personas",
    "character": "characters",
    "chat": "chats",
    "user": "users",
}


def places_of(users: Iterable[tuple[str, str, str]]) -> list[dict[str, Any]]:
    """(kind, id, name) of records as what a list of links shows: the noun, the name, the address."""
    return [
        {
            "noun": MAPPINGS[kind].document.noun if kind in MAPPINGS else kind,
            "name": name or "(without a name)",
            "href": page_of(kind, record_id),
        }
        for kind, record_id, name in users
    ]


def list_of(kind: str, tag_id: str) -> str | None:
    """The list of a noun's records that carry a tag; None where there is none."""
    endpoint = f"{PAGES.get(kind)}.index_view"
    return url_for(endpoint, tag=tag_id) if endpoint in current_app.view_functions else None


def page_of(kind: str, record_id: str) -> str | None:
    """The details page of a record; None where its noun has no pages here."""
    endpoint = f"{PAGES.get(kind)}.details_view"
    return url_for(endpoint, id=record_id) if endpoint in current_app.view_functions else None
