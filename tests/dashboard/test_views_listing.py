"""An address asks one question, survives mistyping, and leads to its neighbours."""

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from werkzeug.datastructures import MultiDict

from dashboard.views.listing import Filters, Listing, parse_query, read_query
from store.repositories.contract import Query

FILTERS = Filters(by_tags=True, by_favorite=True, by_user=True)
SORTABLE = ("name", "updatedAt")


def ask(text: str) -> Query:
    return parse_query(text, FILTERS, SORTABLE)


def test_every_filter_is_read_from_the_address() -> None:
    asked = ask("search=elf&tag=a&tag=b&favorite=1&user=u&sort=updatedAt&desc=1&page=3&page_size=100")
    assert asked == Query(
        search="elf",
        user_id="u",
        tags=("a", "b"),
        favorite=True,
        sort="updatedAt",
        descending=True,
        page=2,
        page_size=100,
    )


@pytest.mark.parametrize(
    "nonsense",
    [
        "page=-1",
        "page=0",
        "page=x",
        "page=",
        "page_size=7",
        "page_size=-5",
        "page_size=x",
        "sort=passwordHash",
        "sort=",
        "favorite=maybe",
        "desc=1",
        "tag=",
        "user=",
        "name=x&endpoint=y&flt0_1=z&url=//evil.example",
        "search=%00%01",
    ],
)
def test_nonsense_asks_for_the_plain_list(nonsense: str) -> None:
    assert ask(nonsense) == Query()


def test_a_page_beyond_counting_is_moved_into_bounds() -> None:
    assert ask("page=99999999999999999999999999").page == 99_999


def test_without_any_tag_and_with_a_tag_cannot_both_be_asked() -> None:
    assert ask("untagged=1").without_tags
    assert not ask("untagged=1&tag=a").without_tags


def test_a_noun_without_tags_ignores_filters_by_tag() -> None:
    args = MultiDict([("tag", "a"), ("untagged", "1"), ("favorite", "1"), ("user", "u")])
    assert read_query(args, Filters(), SORTABLE) == Query()


@pytest.fixture
def listing(tandem: Flask) -> Listing:
    query = ask("search=a b&tag=x&tag=y&favorite=0&sort=updatedAt&page=4&page_size=20")
    return Listing(query, FILTERS, "characters.index_view")


def args_of(address: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(address).query)


def test_filters_stay_in_the_address_through_paging_and_sorting(tandem: Flask, listing: Listing) -> None:
    with tandem.test_request_context():
        kept = {"search": ["a b"], "tag": ["x", "y"], "favorite": ["0"], "page_size": ["20"]}
        assert args_of(listing.page(4)) == {**kept, "sort": ["updatedAt"], "page": ["5"]}
        assert args_of(listing.sorted_by("updatedAt")) == {**kept, "sort": ["updatedAt"], "desc": ["1"]}
        assert args_of(listing.sorted_by("name")) == kept
        assert args_of(listing.without_tag("x")) == {**kept, "tag": ["y"], "sort": ["updatedAt"]}
        assert args_of(listing.here)["page"] == ["4"]


def test_what_an_address_says_is_what_it_reads(tandem: Flask, listing: Listing) -> None:
    assert ask(listing.query_string) == listing.query


def test_a_column_says_how_it_is_sorted(listing: Listing) -> None:
    assert (listing.direction("updatedAt"), listing.direction("name")) == ("ascending", None)
