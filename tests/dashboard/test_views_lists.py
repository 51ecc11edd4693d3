"""Lists: search, filters that combine and stay, sorting, pages, what a list says when it is empty."""

import re

import pytest
from werkzeug.test import TestResponse

from store import Store
from store.repositories.contract import Query
from store.tables.characters import characters
from tests.dashboard.browsing import names_listed, words
from tests.dashboard.entering import Visitor
from tests.factories import make_character, make_persona, make_tag, make_user

CHARACTERS = "/admin/characters/"


def open_list(visitor: Visitor, question: str = "", noun: str = "characters") -> TestResponse:
    response = visitor.get(f"/admin/{noun}/?{question}")
    assert response.status_code == 200, response.text
    return response


def test_a_search_finds_names_and_titles_without_regard_to_case(viewer: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    make_character(store, "Bram", title="Friend of ALICE")
    make_character(store, "Calliope")
    assert names_listed(open_list(viewer, "search=aLiCe")) == ["Alice", "Bram"]


@pytest.mark.parametrize("search", ["%", "_", "'", '"', "\\", "<script>", "é", "%00"])
def test_a_search_for_signs_is_only_a_search(viewer: Visitor, store: Store, search: str) -> None:
    make_character(store, "Alice")
    make_character(store, f"Bram {search}")
    names = names_listed(open_list(viewer, f"search={search.replace('%', '%25')}"))
    assert names == [f"Bram {search}"]


def test_filters_combine(viewer: Visitor, store: Store) -> None:
    elf, hero = make_tag(store, "Elf").id, make_tag(store, "Hero").id
    make_character(store, "Alice", tags=[elf, hero], isFavorite=True)
    make_character(store, "Bram", tags=[elf], isFavorite=True)
    make_character(store, "Calliope", tags=[elf, hero])
    make_character(store, "Dorian")
    assert names_listed(open_list(viewer, f"tag={elf}")) == ["Alice", "Bram", "Calliope"]
    assert names_listed(open_list(viewer, f"tag={elf}&tag={hero}")) == ["Alice", "Calliope"]
    assert names_listed(open_list(viewer, f"tag={elf}&tag={hero}&favorite=1")) == ["Alice"]
    assert names_listed(open_list(viewer, f"tag={elf}&favorite=0&search=call")) == ["Calliope"]
    assert names_listed(open_list(viewer, "untagged=1")) == ["Dorian"]


def test_a_list_says_what_narrows_it_and_how_to_widen_it(viewer: Visitor, store: Store) -> None:
    elf = make_tag(store, "Elf")
    make_character(store, "Alice", tags=[elf.id])
    text = open_list(viewer, f"tag={elf.id}&search=ali").text
    assert "tag Elf" in text
    assert f"/admin/characters/?tag={elf.id}" in text  # without the search
    assert "/admin/characters/?search=ali" in text  # without the tag
    assert "Clear all" in text


def test_a_filter_by_a_deleted_tag_says_so(viewer: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    response = open_list(viewer, "tag=gone")
    assert names_listed(response) == []
    assert "tag (deleted tag)" in response.text
    assert "No character answers this." in response.text


def test_the_users_can_be_told_apart_where_there_are_several(viewer: Visitor, store: Store) -> None:
    ada, bo = make_user(store, "Ada"), make_user(store, "Bo")
    make_character(store, "Alice", userId=ada.id)
    make_character(store, "Bram", userId=bo.id)
    response = open_list(viewer, f"user={bo.id}")
    assert names_listed(response) == ["Bram"]
    assert "of Bo" in response.text


def test_a_list_has_pages_without_a_full_count(viewer: Visitor, store: Store) -> None:
    for number in range(45):
        make_character(store, f"C{number:02}")
    first, second = open_list(viewer, "page_size=20"), open_list(viewer, "page_size=20&page=2")
    third = open_list(viewer, "page_size=20&page=3")
    assert names_listed(first)[0] == "C00"
    assert names_listed(second)[0] == "C20"
    assert len(names_listed(third)) == 5
    assert "21–40 of 45 characters" in words(second.text)
    assert 'rel="next"' in second.text
    assert 'rel="next"' not in third.text


def test_more_than_can_be_counted_quickly_is_told_as_more(viewer: Visitor, store: Store) -> None:
    pattern = make_character(store, "Alice")
    columns = ("userId", "description", "personality", "scenario", "firstMessage", "createdAt", "updatedAt")
    same = {name: getattr(pattern, name) for name in columns}
    with store.database.write() as connection:
        many = [{**same, "id": f"c{number}", "name": f"C{number:04}"} for number in range(1000)]
        connection.execute(characters.insert(), many)
    assert store.characters.count(Query()) == 1001
    assert "1–50 of more than 1,000 characters" in words(open_list(viewer).text)


@pytest.mark.parametrize("question", ["page=-1", "page=0", "page=x", "name=x", "endpoint=x&id=1", "sort=nothing"])
def test_a_mistyped_address_still_shows_the_list(viewer: Visitor, store: Store, question: str) -> None:
    make_character(store, "Alice")
    assert names_listed(open_list(viewer, question)) == ["Alice"]


def test_a_page_past_the_end_leads_back(viewer: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    response = open_list(viewer, "page=7")
    assert "There is no page 7." in response.text
    assert 'href="/admin/characters/"' in response.text


def test_sorting_turns_around_on_the_second_click(viewer: Visitor, store: Store) -> None:
    for name in ("Bram", "Alice", "Calliope"):
        make_character(store, name)
    first = open_list(viewer)
    assert names_listed(first) == ["Alice", "Bram", "Calliope"]
    again = re.search(r'aria-sort="ascending"><a class="sort" href="([^"]+)"', first.text)
    assert again is not None
    assert names_listed(viewer.get(again[1].replace("&amp;", "&"))) == ["Calliope", "Bram", "Alice"]


def test_the_way_back_from_a_record_leads_to_the_same_list(viewer: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    row = re.search(r'data-href="([^"]+)"', open_list(viewer, "search=ali&page_size=20").text)
    assert row is not None
    assert 'href="/admin/characters/?search=ali&amp;page_size=20"' in viewer.get(row[1].replace("&amp;", "&")).text


def test_names_are_text_and_never_markup(viewer: Visitor, store: Store) -> None:
    tag = make_tag(store, "<i>tag</i>")
    make_character(store, "<img src=x onerror=alert(1)>", title="<script>alert(2)</script>", tags=[tag.id])
    text = open_list(viewer).text
    assert "<img" not in text
    assert "<script>alert" not in text
    assert "<i>tag" not in text


def test_a_viewer_sees_no_button_that_would_be_refused(viewer: Visitor, store: Store) -> None:
    make_character(store, "Alice")
    text = open_list(viewer).text
    for word in ("New character", "/edit/", "/delete/", "/favorite/", 'name="rowid"'):
        assert word not in text


@pytest.mark.parametrize(("noun", "sentence"), [("characters", "character"), ("personas", "persona"), ("tags", "tag")])
def test_an_empty_list_offers_the_first_step(editor: Visitor, noun: str, sentence: str) -> None:
    text = open_list(editor, noun=noun).text
    assert f"There is no {sentence} yet." in text
    assert f'href="/admin/{noun}/new/' in text


def test_tags_and_personas_are_listed_too(viewer: Visitor, store: Store) -> None:
    tag = make_tag(store, "Elf")
    make_character(store, "Alice", tags=[tag.id])
    make_persona(store, "Traveller", tags=[tag.id])
    tags = open_list(viewer, noun="tags")
    assert names_listed(tags) == ["Elf"]
    assert "1 character" in words(tags.text)
    assert "1 persona" in words(tags.text)
    assert names_listed(open_list(viewer, f"tag={tag.id}", noun="personas")) == ["Traveller"]


def test_a_record_that_cannot_be_read_is_listed_and_says_why_when_opened(editor: Visitor, store: Store) -> None:
    alice = make_character(store, "Alice")
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE characters SET \"createdAt\" = 'yesterday'")
    assert names_listed(open_list(editor)) == ["Alice"]
    page = editor.get(f"/admin/characters/details/?id={alice.id}")
    assert page.status_code == 422
    assert "createdAt" in page.text
