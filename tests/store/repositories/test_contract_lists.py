"""What every backend promises about lists: search, filters, sorting and paging, with the same answer everywhere."""

import pytest

from store import Store
from store.errors import InvalidValueError
from store.repositories.contract import Query
from tests.factories import make_character, make_persona, make_tag, make_user


def names(store: Store, kind: str = "character", **query: object) -> list[str]:
    return [row["name"] for row in store.repositories[kind].list(Query(**query)).rows]  # type: ignore[arg-type]


def test_a_list_shows_short_rows_with_tags(store: Store) -> None:
    orc, elf = make_tag(store, name="orc"), make_tag(store, name="Elf")
    made = make_character(store, name="Alice", title="Dr", tags=[orc.id, elf.id], isFavorite=True)
    (row,) = store.characters.list(Query()).rows
    assert row.pop("tags") == [{"id": elf.id, "name": "Elf"}, {"id": orc.id, "name": "orc"}]
    assert row == {name: getattr(made, name) for name in store.characters.short}
    assert "description" not in row


def test_every_kind_has_a_list(store: Store) -> None:
    user, tag, persona = make_user(store), make_tag(store), make_persona(store)
    character = make_character(store)
    expected = {"user": user.id, "tag": tag.id, "persona": persona.id, "character": character.id}
    for kind, record_id in expected.items():
        sort = "email" if kind == "user" else "name"
        page = store.repositories[kind].list(Query(sort=sort))
        assert [row["id"] for row in page.rows] == [record_id]
        assert page.more is False


SEARCHES = {
    "alice": ["Alice", "Malice"],
    "ALICE": ["Alice", "Malice"],
    "  lic ": ["Alice", "Malice"],
    "élan": ["ÉLAN Vital"],
    "ωμέγα": ["Ωμέγα"],
    "жук": ["ЖУК"],
    "😀": ["smile 😀"],
    "%": ["100%"],
    "_": ["a_b"],
    "\\": ["back\\slash"],
    "a_b": ["a_b"],
    "0%": ["100%"],
    "'": ["O'Hara"],
    "nothing": [],
}


def test_search_finds_part_of_a_name_in_any_case_and_takes_signs_as_they_are(store: Store) -> None:
    owner = make_user(store).id
    for name in {name for found in SEARCHES.values() for name in found} | {"axb"}:
        make_tag(store, name=name, userId=owner)
    assert {search: names(store, "tag", search=search) for search in SEARCHES} == SEARCHES
    assert {search: store.tags.count(Query(search=search)) for search in SEARCHES} == {
        search: len(found) for search, found in SEARCHES.items()
    }
    assert len(store.tags.matching_ids(Query(search="alice"), 100)) == 2


def test_search_looks_at_titles_and_addresses_too(store: Store) -> None:
    make_user(store, name="Ada", email="countess@example.org")
    make_character(store, name="Alice", title="Queen")
    make_persona(store, name="Bob", title="King")
    assert names(store, "user", search="COUNTESS", sort="email") == ["Ada"]
    assert names(store, search="queen") == ["Alice"]
    assert names(store, "persona", search="king") == ["Bob"]


def test_sorting_is_the_same_everywhere(store: Store) -> None:
    """Without regard to the case of ASCII, then by code point; nothing comes before something."""
    titles = ["b", "B2", "a", "_", "Z", "Äa", "àb", None, "", "ä", "😀", "\ue000"]
    for number, title in enumerate(titles):
        make_character(store, id=f"{number:08x}-0000-4000-8000-000000000000", name=f"N{number:02}", title=title)
    in_order = [None, "", "_", "a", "b", "B2", "Z", "Äa", "àb", "ä", "\ue000", "😀"]
    rows = store.characters.list(Query(sort="title")).rows
    assert [row["title"] for row in rows] == in_order
    down = store.characters.list(Query(sort="title", descending=True)).rows
    assert [row["title"] for row in down] == in_order[::-1]


def test_equal_names_are_ordered_by_id(store: Store) -> None:
    ids = ["b", "A", "c", "a"]
    for record_id in ids:
        make_character(store, id=record_id, name="Same")
    assert [row["id"] for row in store.characters.list(Query()).rows] == ["A", "a", "b", "c"]
    assert list(store.characters.matching_ids(Query(descending=True), 9)) == ["c", "b", "a", "A"]


@pytest.mark.parametrize("sort", ["createdAt", "updatedAt", "isFavorite"])
def test_sorting_by_dates_and_flags(store: Store, sort: str) -> None:
    second = {"createdAt": "2025-01-02T00:00:00.000Z", "updatedAt": "2025-01-02T00:00:00.001Z", "isFavorite": True}
    first = {"createdAt": "2025-01-01T00:00:00.000Z", "updatedAt": "2025-01-02T00:00:00.000Z", "isFavorite": False}
    make_character(store, name="second", **second)
    make_character(store, name="first", **first)
    assert names(store, sort=sort) == ["first", "second"]
    assert names(store, sort=sort, descending=True) == ["second", "first"]


def test_a_column_that_cannot_be_sorted_by_is_refused_with_those_that_can(store: Store) -> None:
    with pytest.raises(InvalidValueError, match="description") as refused:
        store.characters.list(Query(sort="description"))
    assert all(name in refused.value.hint for name in store.characters.sortable)
    with pytest.raises(InvalidValueError):
        store.characters.matching_ids(Query(sort="id; DROP TABLE users"), 5)


def test_pages_follow_each_other_without_gap_or_repeat(store: Store) -> None:
    owner = make_user(store).id
    for number in range(7):
        make_tag(store, name=f"T{number}", userId=owner)
    pages = [store.tags.list(Query(page=number, page_size=3)) for number in range(4)]
    assert [[row["name"] for row in page.rows] for page in pages] == [
        ["T0", "T1", "T2"],
        ["T3", "T4", "T5"],
        ["T6"],
        [],
    ]
    assert [page.more for page in pages] == [True, True, False, False]
    assert store.tags.list(Query(page_size=7)).more is False
    assert len(store.tags.list(Query(page=-1, page_size=0)).rows) == 1


def test_filters_combine(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    elf, orc = make_tag(store, name="Elf", userId=ada.id), make_tag(store, name="Orc", userId=ada.id)
    make_character(store, name="Both", userId=ada.id, tags=[elf.id, orc.id], isFavorite=True)
    make_character(store, name="Elf only", userId=ada.id, tags=[elf.id])
    make_character(store, name="Plain", userId=ada.id, isFavorite=True)
    make_character(store, name="Bob's", userId=bob.id, tags=[orc.id])
    assert names(store, tags=(elf.id,)) == ["Both", "Elf only"]
    assert names(store, tags=(elf.id, orc.id)) == ["Both"]
    assert names(store, without_tags=True) == ["Plain"]
    assert names(store, favorite=True) == ["Both", "Plain"]
    assert names(store, favorite=False, user_id=ada.id) == ["Elf only"]
    assert names(store, user_id=bob.id, tags=(orc.id,)) == ["Bob's"]
    assert names(store, tags=(orc.id,), favorite=True, search="BOTH", user_id=ada.id) == ["Both"]
    assert names(store, tags=(orc.id,), search="elf") == []
    assert names(store, tags=("nobody",)) == []
    assert store.characters.count(Query(tags=(elf.id,), favorite=True)) == 1


def test_a_users_list_can_be_narrowed_to_one_user(store: Store) -> None:
    ada = make_user(store)
    make_user(store, name="Bob")
    assert names(store, "user", user_id=ada.id, sort="email") == ["Ada"]


def test_counting_stops_where_it_is_told(store: Store) -> None:
    owner = make_user(store).id
    for number in range(5):
        make_tag(store, name=f"T{number}", userId=owner)
    assert [store.tags.count(Query(), at_most=limit) for limit in (10, 5, 4, 2)] == [5, 5, 5, 3]
    assert store.tags.count(Query()) == 5
    first = store.tags.matching_ids(Query(sort="name"), 2)
    assert [store.tags.find_by_id(one).name for one in first] == ["T0", "T1"]
