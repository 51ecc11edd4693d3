"""A family of pages over one repository: list, details, new, edit, delete. Knows no backend and no noun.

Flask-Admin's ``BaseModelView`` carries it; what it exposes and we do not use (export, inline edit, look-ups) is taken
out of the address map, so that there is nothing to forget to guard. Who may do what stands in ``roles``.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from operator import attrgetter
from typing import Any, ClassVar

from flask import redirect, request, url_for
from flask_admin import BaseView, expose
from flask_admin.form import BaseForm
from flask_admin.model import BaseModelView
from werkzeug.wrappers import Response

from dashboard import formatters, notices
from dashboard.auth import GuardedView, current_account
from dashboard.error_pages import status_of
from dashboard.forms import RecordForm
from dashboard.security import local_path, wants_page
from dashboard.views.listing import PAGE_SIZES, Filters, Listing, read_query
from dashboard.views.places import places_of
from store.errors import NotFoundError, StoreError
from store.repositories.contract import Page, Query

log = logging.getLogger("tandem.dashboard")

COUNT_AT_MOST = 1000


@dataclass(frozen=True)
class Present:
    """Who is here, as the frame shows it."""

    name: str
    role: str
    account_id: str
    is_authenticated: bool = True

    def get_id(self) -> str:
        """Keeps the drafts in one browser apart."""
        return self.account_id

    @classmethod
    def here(cls) -> "Present | None":
        account = current_account()
        return cls(account.name, account.role, account.id) if account else None


class StoreView(GuardedView, BaseView):
    """What every page over the store shares: the store, plain errors, refusals as pages, ways back."""

    store: Any

    @property
    def extra_css(self) -> list[str]:
        return [url_for("static", filename=f"css/{sheet}.css") for sheet in ("pages", "images")]

    def _run_view(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A refusal of the store becomes a page; a TypeError stays what it is (Flask-Admin would hide it)."""
        try:
            return fn(self, *args, **kwargs)
        except StoreError as error:
            if not wants_page():
                raise
            return self.refused(error)

    def render(self, template: str, **context: Any) -> str:
        """A template with what all of them may use."""
        context.setdefault("fmt", formatters)
        context.setdefault("may", self.allows)
        context.setdefault("current_user", Present.here())
        context.setdefault("palette_url", url_for("admin.jump"))
        context.setdefault("account_url", url_for("account.index"))
        rendered: str = super().render(template, **context)
        return rendered

    def back(self) -> str:
        """Where the person came from, when that is within this site; the list otherwise."""
        # In a record's form ``url`` may be a field of the record.
        wanted = request.form.get("_back") or request.values.get("url")
        return local_path(wanted, url_for(f"{self.endpoint}.{self._default_view}"))

    def go(self, address: str) -> Response:
        """The end of a POST."""
        return redirect(address, HTTPStatus.SEE_OTHER)

    def refused(self, error: StoreError) -> tuple[str, int]:
        """A page that says what the store said."""
        status = status_of(error)
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.error("The store refused: %s", error, exc_info=error)
        notice = notices.of_error(error)
        page = self.render("refused.html", notice=notice, places=places_of(notice.users), back=self.back())
        return page, status


GONE = "This cannot be undone."


class RepositoryView(StoreView, BaseModelView):
    """The pages of one noun. A subclass says which columns, filters and form; the repository does the rest."""

    noun: ClassVar[str]
    filters: ClassVar[Filters] = Filters()
    cells_template: ClassVar[str]
    body_template: ClassVar[str]
    search_in: ClassVar[str] = "names"  # empty: there is nothing to search in
    menu_group: ClassVar[str | None] = None
    has_avatar: ClassVar[bool] = False  # whether the details show initials
    shows_id: ClassVar[bool] = True
    offers_new: ClassVar[bool] = True  # whether the list has a button for a new record
    inside: ClassVar[str] = ""  # whose entry of the menu one is in, where these pages have none
    delete_word: ClassVar[tuple[str, str]] = ("Delete", "Deleted")  # what a delete means to people, and once it is done
    goes_along: ClassVar[str] = ""  # what goes with any record of this noun, in a sentence
    comes_back: ClassVar[str] = "Its history can bring it back."  # what of a deleted one does
    can_view_details = True
    can_export = False
    fast_mass_delete = False
    simple_list_pager = True
    form_base_class = BaseForm
    list_template, details_template = "admin/model/list.html", "admin/model/details.html"
    can_create = can_edit = can_delete = False

    # Exposed by Flask-Admin, without a use here: no address, no hole. ``editing.py`` and ``bulk.py`` have their own.
    ajax_update = ajax_lookup = export = action_view = create_view = edit_view = delete_view = None

    def __init__(self, store: Any, repository: Any, document: type, name: str, endpoint: str, icon: str) -> None:
        self.store, self.repository = store, repository
        super().__init__(
            document,
            name=name,
            category=self.menu_group,
            endpoint=endpoint,
            url=f"/admin/{endpoint.replace('_', '-')}",
            menu_icon_value=icon,
        )

    # -------------------------------------------------------------- what BaseModelView asks a backend for

    def get_pk_value(self, model: Any) -> str:
        return str(model["id"] if isinstance(model, Mapping) else model.id)

    def store_id(self, document: Any) -> str:
        """The id by which the store knows a record; an address may name it by another."""
        return self.get_pk_value(document)

    def title_of(self, document: Any) -> str:
        """What a record is called in a sentence."""
        return str(document.name)

    def scaffold_list_columns(self) -> list[str]:
        return list(self.column_list or ("name",))

    def scaffold_sortable_columns(self) -> dict[str, str]:
        return {column: column for column in self.repository.sortable}

    def scaffold_form(self) -> type[RecordForm]:
        return RecordForm

    def scaffold_list_form(self, widget: Any = None, validators: Any = None) -> type[BaseForm]:
        return BaseForm

    def init_search(self) -> bool:
        return True

    def search_placeholder(self) -> str:
        return f"Search {self.search_in}"

    def get_list(
        self,
        page: int | None,
        sort_field: Any,
        sort_desc: bool,
        search: str | None,
        filters: Any,
        page_size: int | None = None,
    ) -> tuple[None, list[Any]]:
        """Flask-Admin's question, asked of the repository. There is no count: see ``Query`` and ``count``."""
        query = replace(self.listing().query, page=max(page or 0, 0), search=search or "")
        if sort_field in self.repository.sortable:
            query = replace(query, sort=sort_field, descending=bool(sort_desc))
        if page_size:
            query = replace(query, page_size=page_size)
        return None, self.repository.list(query).rows

    def get_one(self, id: Any) -> Any:
        # No record's id holds a NUL, and PostgreSQL refuses the question.
        return self.repository.find_by_id(str(id)) if id and "\0" not in str(id) else None

    # -------------------------------------------------------------- list

    def listing(self) -> Listing:
        """The question this address asks."""
        query = read_query(request.args, self.filters, self.repository.sortable)
        return Listing(query, self.filters, f"{self.endpoint}.index_view")

    @expose("/")
    def index_view(self) -> str:
        listing = self.listing()
        page: Page = self.repository.list(listing.query)
        count = self.repository.count(listing.query, at_most=COUNT_AT_MOST)
        return self.render(
            self.list_template,
            listing=listing,
            rows=page.rows,
            has_next=page.more,
            count=min(count, COUNT_AT_MOST),
            count_is_more=count > COUNT_AT_MOST,
            columns=self._list_columns,
            page_sizes=PAGE_SIZES,
            **self.bulk_context(listing, count, count > COUNT_AT_MOST),
            **self.list_context(listing, page),
        )

    def bulk_context(self, listing: Listing, count: int, count_is_more: bool) -> dict[str, Any]:
        """What the bar over a selection needs; nothing where there are no bulk actions."""
        return {}

    def other_ways(self) -> list[tuple[str, str, str]]:
        """Other ways to something new than the form: (label, address, icon)."""
        return []

    def list_context(self, listing: Listing, page: Page) -> dict[str, Any]:
        """What the noun's list shows beyond its rows."""
        return {}

    def users(self) -> list[tuple[str, str]]:
        """Every user as (id, name), for a filter and for the owner of something new."""
        rows = self.store.users.list(Query(sort="createdAt", page_size=200)).rows
        return [(row["id"], row.get("name") or row.get("email") or row["id"]) for row in rows]

    def owner_name(self, user_id: str) -> str:
        """Who a record belongs to; an unreadable user must not take the page along."""
        return dict(self.users()).get(user_id, "(unknown user)")

    def active_filters(self, listing: Listing) -> list[tuple[str, str]]:
        """What narrows the list now: (in words, the address without it)."""
        asked, active = listing.query, []
        if asked.search:
            active.append((f"“{asked.search}”", listing.to(search="")))
        for tag in self.tags_named(asked.tags):
            active.append((f"tag {tag['name']}", listing.without_tag(tag["id"])))
        if asked.without_tags:
            active.append(("without any tag", listing.to(without_tags=False)))
        if asked.favorite is not None:
            active.append(("favourites" if asked.favorite else "no favourites", listing.to(favorite=None)))
        if asked.user_id:
            name = dict(self.users()).get(asked.user_id, "unknown user")
            active.append((f"of {name}", listing.to(user_id=None)))
        for column, value in asked.where:
            active.append((self.narrowed_words(column, value), listing.without_column(column)))
        return active

    def offered_filters(self) -> list[tuple[str, str, list[tuple[str, str]]]]:
        """What can be chosen of the columns in ``filters.by_columns``: (column, label, [(value, in words)])."""
        return []

    def narrowed_words(self, column: str, value: str) -> str:
        """A value asked of a column, as the list says it."""
        told = {name: (label, dict(options)) for name, label, options in self.offered_filters()}
        label, options = told.get(column, (column, {}))
        return f"{label.lower()} {options.get(value, value)}"

    def tags_named(self, tag_ids: Sequence[str]) -> list[dict[str, str]]:
        """Tags with their names; one that is gone says so."""
        return [{"id": one, "name": self.name_in(self.store.tags, one, "(deleted tag)")} for one in tag_ids]

    @staticmethod
    def name_in(
        repository: Any, record_id: str, otherwise: str, called: Callable[[Any], str] = attrgetter("name")
    ) -> str:
        """What a record, as a rule of another noun, is called. An unreadable one must not take this page with it."""
        try:
            found = repository.find_by_id(record_id)
        except StoreError:
            return "(cannot be read)"
        return called(found) if found is not None else otherwise

    # -------------------------------------------------------------- details

    def wanted(self) -> Any:
        """The record the address names. Raises NotFoundError."""
        document = self.get_one(request.args.get("id"))
        if document is None:
            raise NotFoundError(f"This {self.noun} does not exist, or not any more.")
        return document

    @expose("/details/")
    def details_view(self) -> str:
        document = self.wanted()
        return self.render(
            self.details_template,
            model=document,
            compared=self.store.compare(self.repository.kind, self.store_id(document)),
            pending=self.store.pending(self.repository.kind, self.store_id(document)),
            return_url=self.back(),
            here=self.details_url(self.get_pk_value(document), self.back()),
            **self.recent(document),
            **self.details_context(document),
        )

    def recent(self, document: Any) -> dict[str, Any]:
        """The last of what was done with a record."""
        return {}

    def details_context(self, document: Any) -> dict[str, Any]:
        """What the noun's details show beyond the record."""
        return {}

    def details_url(self, record_id: str, back: str | None = None) -> str:
        return url_for(f"{self.endpoint}.details_view", id=record_id, url=back)
