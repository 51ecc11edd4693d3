"""What every backend promises about lists: search, filters, sorting and paging, with the same answer everywhere."""

import pytest

from store import Store
from store.errors import InvalidValueError
from store.repositories.contract import Query
from tests.factories import (
    make_character,
    make_chat,
    make_image,
    make_message,
    make_persona,
    make_profile,
    make_tag,
    make_user,
)
from tests.store.repositories.making import KINDS, NOUNS, make, person


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
    user = make_user(store)
    links = {"characterId": make_character(store).id, "connectionProfileId": make_profile(store).id}
    chat = make_chat(store, **links)
    given = {"chat": {"id": "another", **links}, "attachment": {"chatId": chat.id}}
    for kind, repository in store.repositories.items():
        if kind not in ("user", "character", "profile"):
            make(kind, store, **given.get(kind, {}))
        noun = NOUNS[kind]
        found = {person(kind, one).model_dump()[noun.key]: one for one in repository.find_all()}
        for sort in repository.sortable:
            page = repository.list(Query(sort=sort))
            assert {row[noun.key] for row in page.rows} == found.keys()
            assert page.more is False
            assert set(page.rows[0]) - {"tags"} == set(repository.short)
            assert list(repository.matching_ids(Query(sort=sort), 9)) == [row[noun.key] for row in page.rows]
            assert repository.count(Query(sort=sort)) == len(found)
        mine = repository.count(Query(user_id=user.id, sort=repository.sortable[0]))
        assert mine == (0 if kind == "token" else len(found))
        assert repository.count(Query(user_id="nobody", sort=repository.sortable[0])) == 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "session"])
def test_every_kind_is_searched_by_what_it_is_called(store: Store, kind: str) -> None:
    repository, text = store.repositories[kind], NOUNS[kind].text
    make(kind, store, "Find 100% me")
    (row,) = repository.list(Query(search="nd 100% ME", sort=repository.sortable[0])).rows
    assert row[text] == "Find 100% me"
    assert repository.count(Query(search="ndX100", sort=repository.sortable[0])) == 0


def test_chats_are_sorted_by_their_last_message(store: Store) -> None:
    """Those in which nobody spoke come first."""
    for title, moment in (("late", "2025-02-01T00:00:00.000Z"), ("early", "2025-01-01T00:00:00.000Z"), ("none", "")):
        chat = make_chat(store, title=title)
        if moment:
            make_message(store, chat, createdAt=moment)
    titles = [row["title"] for row in store.chats.list(Query(sort="lastMessageAt")).rows]
    assert titles == ["none", "early", "late"]
    down = store.chats.list(Query(sort="lastMessageAt", descending=True)).rows
    assert [(row["title"], row["messageCount"]) for row in down] == [("late", 1), ("early", 1), ("none", 0)]


def test_a_list_is_narrowed_by_a_column(store: Store) -> None:
    image, other = make_image(store, source="import"), make_image(store, source="generated", filename="b.png")
    for where, expected in (
        ((("source", "import"),), [image.id]),
        ((("source", "generated"), ("filename", "b.png")), [other.id]),
        ((("source", "import"), ("filename", "b.png")), []),
    ):
        assert list(store.images.matching_ids(Query(where=where, sort="filename"), 9)) == expected
        assert store.images.count(Query(where=where, sort="filename")) == len(expected)
    with pytest.raises(InvalidValueError, match="colour"):
        store.images.list(Query(where=(("colour", "red"),), sort="filename"))


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
