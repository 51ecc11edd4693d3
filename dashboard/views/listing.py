"""The address of a list: one question, kept through paging, sorting, editing and the way back.

``?search=…&tag=ID&tag=ID2&untagged=1&favorite=1&user=ID&sort=name&desc=1&page=2&page_size=50``; ``page`` counts from 1.
What makes no sense is ignored, so an old or mistyped address still shows a list.
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import url_for
from werkzeug.datastructures import MultiDict

from store.repositories.contract import Query

PAGE_SIZES = (20, 50, 100, 200)
LAST_PAGE = 100_000  # an offset beyond this is no page anybody looks at, and some databases refuse it
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class Filters:
    """What a noun's list can be narrowed by, and how it is sorted when the address says nothing."""

    by_tags: bool = False
    by_favorite: bool = False
    by_user: bool = False
    by_columns: tuple[str, ...] = ()  # columns of which the address may name one value each
    sort: str = "name"
    descending: bool = False
    page_size: int = 50


def clean(text: str, length: int = LONGEST_SEARCH) -> str:
    """Text from an address, without the control characters no database takes, and not endless."""
    return "".join(c for c in text if c >= " " and not "\ud800" <= c <= "\udfff").strip()[:length]


def whole_number(text: str | None, default: int, lowest: int, highest: int) -> int:
    """A number from an address, moved into its bounds; the default where it is none."""
    try:
        return min(max(int((text or "")[:12]), lowest), highest)
    except ValueError:
        return default


def read_query(args: MultiDict[str, str], filters: Filters, sortable: Any) -> Query:
    """The question an address asks. Nothing in an address is an error."""
    sort = args.get("sort", "")
    if sort not in sortable:
        sort, descending = filters.sort, filters.descending
    else:
        descending = args.get("desc") == "1"
    size = whole_number(args.get("page_size"), filters.page_size, 1, PAGE_SIZES[-1])
    favorite = {"1": True, "0": False}.get(args.get("favorite", "")) if filters.by_favorite else None
    where = tuple((name, value) for name in filters.by_columns if (value := clean(args.get(name, ""))))
    tags = tuple(dict.fromkeys(clean(tag) for tag in args.getlist("tag") if clean(tag))) if filters.by_tags else ()
    return Query(
        search=clean(args.get("search", "")),
        user_id=(clean(args.get("user", "")) or None) if filters.by_user else None,
        tags=tags,
        without_tags=filters.by_tags and not tags and args.get("untagged") == "1",
        favorite=favorite,
        where=where,
        sort=sort,
        descending=descending,
        page=whole_number(args.get("page"), 1, 1, LAST_PAGE) - 1,
        page_size=size if size in PAGE_SIZES else filters.page_size,
    )


def parse_query(text: str, filters: Filters, sortable: Any) -> Query:
    """The question of an address that came as text (without the ``?``), as the bulk actions send it."""
    return read_query(MultiDict(parse_qsl(text[:20_000], keep_blank_values=True)), filters, sortable)


@dataclass(frozen=True)
class Listing:
    """A question together with the addresses that lead from it to its neighbours."""

    query: Query
    filters: Filters
    endpoint: str

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The address's parameters in their one order; what is the default is left out."""
        asked, pairs = self.query, []
        if asked.search:
            pairs.append(("search", asked.search))
        pairs += [("tag", tag) for tag in asked.tags]
        if asked.without_tags:
            pairs.append(("untagged", "1"))
        if asked.favorite is not None:
            pairs.append(("favorite", "1" if asked.favorite else "0"))
        if asked.user_id:
            pairs.append(("user", asked.user_id))
        pairs += asked.where
        if (asked.sort, asked.descending) != (self.filters.sort, self.filters.descending):
            pairs.append(("sort", asked.sort))
            if asked.descending:
                pairs.append(("desc", "1"))
        if asked.page:
            pairs.append(("page", str(asked.page + 1)))
        if asked.page_size != self.filters.page_size:
            pairs.append(("page_size", str(asked.page_size)))
        return pairs

    @property
    def query_string(self) -> str:
        return urlencode(self.pairs)

    @property
    def here(self) -> str:
        """This very list."""
        base = url_for(self.endpoint)
        return f"{base}?{self.query_string}" if self.pairs else base

    def to(self, **changes: Any) -> str:
        """The list with something else asked; any change but of the page leads to the first page."""
        changes.setdefault("page", 0)
        return replace(self, query=replace(self.query, **changes)).here

    def page(self, number: int) -> str:
        return self.to(page=max(number, 0))

    def sized(self, size: int) -> str:
        return self.to(page_size=size)

    def sorted_by(self, column: str) -> str:
        """Sorted by a column; once more turns the order around."""
        again = self.query.sort == column
        return self.to(sort=column, descending=again and not self.query.descending)

    def direction(self, column: str) -> str | None:
        """What ``aria-sort`` says of a column."""
        if self.query.sort != column:
            return None
        return "descending" if self.query.descending else "ascending"

    def without_tag(self, tag_id: str) -> str:
        return self.to(tags=tuple(tag for tag in self.query.tags if tag != tag_id))

    def with_tag(self, tag_id: str) -> str:
        return self.to(tags=tuple(dict.fromkeys((*self.query.tags, tag_id))), without_tags=False)

    def asked_of(self, column: str) -> str:
        """The value asked of a column; empty when any will do."""
        return dict(self.query.where).get(column, "")

    def without_column(self, column: str) -> str:
        return self.to(where=tuple(pair for pair in self.query.where if pair[0] != column))

    def kept(self, *names: str) -> list[tuple[str, str]]:
        """The parameters a form has to carry along that asks for others itself; never the page."""
        return [pair for pair in self.pairs if pair[0] not in (*names, "page")]

    @property
    def is_narrowed(self) -> bool:
        asked = self.query
        narrowed = asked.search or asked.tags or asked.without_tags or asked.user_id or asked.where
        return bool(narrowed) or asked.favorite is not None

    @property
    def everything(self) -> str:
        return self.to(search="", tags=(), without_tags=False, favorite=None, user_id=None, where=())
