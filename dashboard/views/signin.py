"""The sign-in records of Quilltap: looked at, and revoked. No page holds a token; an address holds none either."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from flask import url_for

from dashboard.views.base import GONE
from dashboard.views.bulk import BulkAction, BulkView
from dashboard.views.editing import EditableView
from dashboard.views.listing import Filters, Listing
from store.documents import Account, Session, VerificationToken, now
from store.repositories.contract import Page, Query, Result

MOST_TOKENS = 100_000  # looked through for the one that a handle stands for

REVOKE = BulkAction(
    "delete", "Revoke", "trash", "Revoke {n} {noun}? This cannot be undone.", "Revoke", "bulk_delete", kind="danger"
)


class SignInView(EditableView, BulkView):
    """The pages of one sort of sign-in records."""

    menu_group = "Sign-in records"
    form = None
    can_create = can_edit = False
    owned = False
    create_view = edit_view = None  # no address at all
    delete_word = ("Revoke", "Revoked")
    comes_back = GONE
    bulk_actions = (REVOKE,)
    cells_template, body_template = "signin/cells.html", "signin/body.html"

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        return {"users": self.users(), "now": now()}

    def details_context(self, document: Any) -> dict[str, Any]:
        return {"rows": self.told(document), "now": now()}

    def told(self, document: Any) -> list[dict[str, Any]]:
        """What the details say, row by row: a label with ``text`` or ``moment``, and perhaps an address."""
        raise NotImplementedError

    def user_row(self, user_id: str) -> dict[str, Any]:
        href = url_for("users.details_view", id=user_id)
        return {"label": "User", "text": self.owner_name(user_id), "href": href}

    @staticmethod
    def presence(label: str, value: Any, article: str = "a") -> dict[str, Any]:
        """Says that a token is there, and nothing of it."""
        return {"label": label, "text": f"there is {article} {label.lower()}" if value else "none"}


class AccountsView(SignInView):
    """The pages of accounts at other services by which users sign in to Quilltap."""

    noun = "OAuth account"
    search_in = "providers and account ids"
    filters = Filters(by_user=True, sort="provider")
    column_list = ("providerAccountId", "userId", "type", "expires_at")
    column_labels = {"providerAccountId": "Account", "userId": "User", "type": "Type", "expires_at": "Token expires"}
    goes_along = "The user cannot sign in to Quilltap with it until it is linked again."

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.accounts, Account, "OAuth accounts", "accounts", "accounts")

    def title_of(self, document: Any) -> str:
        return f"{document.provider} {document.providerAccountId}"

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        for row in page.rows:
            row["expires_at"] = from_seconds(row["expires_at"])
        return super().list_context(listing, page)

    def told(self, document: Any) -> list[dict[str, Any]]:
        return [
            self.user_row(document.userId),
            {"label": "Provider", "text": document.provider},
            {"label": "Account there", "text": document.providerAccountId},
            {"label": "Type", "text": document.type},
            {"label": "Scope", "text": document.scope},
            self.presence("Access token", document.access_token, "an"),
            self.presence("Refresh token", document.refresh_token),
            self.presence("ID token", document.id_token, "an"),
            self.presence("Session state", document.session_state),
            {"label": "Access token expires", "moment": from_seconds(document.expires_at)},
        ]


class SessionsView(SignInView):
    """The pages of who is signed in to Quilltap."""

    noun = "session"
    search_in = ""
    filters = Filters(by_user=True, sort="expires", descending=True)
    column_list = ("userId", "expires")
    column_labels = {"userId": "User", "expires": "Expires"}
    goes_along = "Who uses it has to sign in to Quilltap again."

    def __init__(self, store: Any) -> None:
        super().__init__(store, store.sessions, Session, "Sessions", "sessions", "clock")

    def listing(self) -> Listing:
        listing = super().listing()
        return replace(listing, query=replace(listing.query, search=""))

    def title_of(self, document: Any) -> str:
        return f"session of {self.owner_name(document.userId)}"

    def told(self, document: Any) -> list[dict[str, Any]]:
        return [
            self.user_row(document.userId),
            self.presence("Session token", document.sessionToken),
            {"label": "Expires", "moment": document.expires},
        ]


class BehindHandles:
    """The verification tokens' repository as pages may use it. A token's id is the token itself, and who reads it could
    use it: here each goes by a handle that is good for nothing else.
    """

    def __init__(self, repository: Any, secret: str) -> None:
        self._repository, self._secret = repository, hashlib.sha256(secret.encode()).digest()
        self.kind, self.noun, self.sortable = repository.kind, repository.noun, repository.sortable

    def handle(self, token: str) -> str:
        return hashlib.blake2b(token.encode(), key=self._secret, digest_size=16).hexdigest()

    def tokens(self, handles: Iterable[str]) -> Sequence[str]:
        """The tokens behind handles; one that is gone is left out."""
        wanted = set(handles)
        known = self._repository.matching_ids(Query(sort="expires"), MOST_TOKENS)
        return [token for token in known if self.handle(token) in wanted]

    def list(self, query: Query) -> Page:
        page = self._repository.list(query)
        rows = [
            {"id": self.handle(row["token"]), "identifier": row["identifier"], "expires": row["expires"]}
            for row in page.rows
        ]
        return Page(rows, page.more)

    def count(self, query: Query, at_most: int = 1000) -> int:
        return int(self._repository.count(query, at_most))

    def matching_ids(self, query: Query, at_most: int) -> Sequence[str]:
        return [self.handle(token) for token in self._repository.matching_ids(query, at_most)]

    def find_by_id(self, handle: str) -> Any:
        return next((self._repository.find_by_id(token) for token in self.tokens([handle])), None)

    def delete(self, handle: str) -> Result[bool]:
        result = self.delete_many([handle])
        return Result(result.value == 1, result.sources)

    def delete_many(self, handles: Iterable[str]) -> Result[int]:
        result: Result[int] = self._repository.delete_many(self.tokens(handles))
        return result


class TokensView(SignInView):
    """The pages of tokens by which an address is proved to be somebody's."""

    noun = "verification token"
    search_in = "addresses"
    filters = Filters(sort="expires", descending=True)
    column_list = ("identifier", "expires")
    column_labels = {"identifier": "For", "expires": "Expires"}
    shows_id = False  # it is the token
    goes_along = "The link that was sent with it does not work any more."

    def __init__(self, store: Any) -> None:
        self.behind = BehindHandles(store.tokens, store.settings.secret_key)
        super().__init__(store, self.behind, VerificationToken, "Verification tokens", "tokens", "audit")

    def get_pk_value(self, model: Any) -> str:
        return str(model["id"]) if isinstance(model, dict) else self.behind.handle(model.token)

    def store_id(self, document: Any) -> str:
        return str(document.token)

    def title_of(self, document: Any) -> str:
        return str(document.identifier)

    def told(self, document: Any) -> list[dict[str, Any]]:
        return [
            {"label": "For", "text": document.identifier},
            {"label": "Token", "text": "there is a token"},
            {"label": "Expires", "moment": document.expires},
        ]


def from_seconds(value: int | None) -> str | None:
    """A moment that OAuth tells in seconds since 1970."""
    return None if value is None else datetime.fromtimestamp(value, UTC).isoformat()
