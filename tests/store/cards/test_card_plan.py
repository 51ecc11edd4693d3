"""Before an import a person sees what it will do, file by file."""

from collections.abc import Iterator

import pytest

from store.cards import DEFAULT_LIMITS, ImportPlan, Limits, plan_import

from .making import as_json, make_card_png, make_png, make_v1, make_v2


def plan(*files: tuple[str, bytes], known: tuple[str, ...] = (), limits: Limits = DEFAULT_LIMITS) -> ImportPlan:
    return plan_import(files, lambda names: {k for k in known if k.lower() in {n.lower() for n in names}}, limits)


def test_a_broken_file_between_two_good_ones_stops_neither() -> None:
    made = plan(
        ("ada.json", as_json(make_v1())),
        ("notes.txt", b"Dear diary"),
        ("eve.png", make_card_png(chara=make_v2(name="Eve"))),
    )
    assert [p.card.fields["name"] for p in made.cards] == ["Ada", "Eve"]
    assert [(u.filename, u.reason) for u in made.unreadable] == [("notes.txt", "notes.txt is neither a PNG nor JSON.")]
    assert made.unreadable[0].hint == "Export the card as PNG or as JSON."


def test_no_files_make_an_empty_plan_and_ask_nothing() -> None:
    def ask(names: list[str]) -> set[str]:
        raise AssertionError("nobody should be asked")

    assert plan_import([], ask) == ImportPlan([], [])
    assert plan_import([("ada.json", as_json(make_v1()))], ask).cards[0].new_tags == []


def test_the_tags_of_each_card_are_parted_into_new_and_known_ones() -> None:
    first, second = plan(
        ("a.json", as_json(make_v2(name="A", tags=["elf", "Wizard"]))),
        ("b.json", as_json(make_v2(name="B", tags=["wizard", "Fox"]))),
        known=("ELF", "fox"),
    ).cards
    assert (first.new_tags, first.known_tags) == (["Wizard"], ["elf"])
    assert (second.new_tags, second.known_tags) == (["wizard"], ["Fox"])


def test_all_tags_are_asked_for_at_once_and_each_once() -> None:
    asked: list[list[str]] = []

    def ask(names: list[str]) -> set[str]:
        asked.append(sorted(name.lower() for name in names))
        return set()

    plan_import([(f"{n}.json", as_json(make_v2(tags=["Elf", "elf", f"tag {n}"]))) for n in range(3)], ask)
    assert asked == [["elf", "tag 0", "tag 1", "tag 2"]]


def test_a_card_that_came_before_is_named_as_the_one_it_repeats() -> None:
    made = plan(
        ("a.json", as_json(make_v1())),
        ("other.json", as_json(make_v1(name="Eve"))),
        ("b.json", as_json(dict(reversed(make_v1().items())))),
        ("c.json", b"\n" + as_json(make_v1())),
    )
    assert [p.duplicate_of for p in made.cards] == [None, None, "a.json", "a.json"]


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, 1.0), (None, 0)])
def test_cards_that_differ_only_in_the_kind_of_a_value_are_not_the_same(one: object, other: object) -> None:
    made = plan(("a.json", as_json(make_v1(x=one))), ("b.json", as_json(make_v1(x=other))))
    assert made.cards[1].duplicate_of is None


def test_the_same_text_with_another_picture_is_another_card() -> None:
    red, blue = (make_card_png(make_png(color=c), chara=make_v2()) for c in ("red", "blue"))
    text = as_json(make_v2())
    made = plan(("json", text), ("red", red), ("blue", blue), ("again", red), ("text", text))
    assert [p.duplicate_of for p in made.cards] == [None, None, None, "red", "json"]


def test_files_beyond_the_number_are_listed_as_not_read() -> None:
    files = [(f"{n}.json", as_json(make_v1(x=n))) for n in range(4)]
    made = plan(*files, limits=Limits(max_files=2))
    assert [p.card.filename for p in made.cards] == ["0.json", "1.json"]
    assert [u.reason for u in made.unreadable] == [
        "2.json was not read: one import takes 2 files.",
        "3.json was not read: one import takes 2 files.",
    ]


def test_a_file_that_would_make_the_import_too_large_is_left_out_and_a_small_one_still_fits() -> None:
    small, large = as_json(make_v1()), as_json(make_v1(description="x" * 5000))
    made = plan(("a", small), ("b", large), ("c", b"{}"), ("d", small), limits=Limits(max_total_bytes=2 * len(small)))
    assert [p.card.filename for p in made.cards] == ["a", "d"]
    assert made.unreadable[0].reason.startswith("b was not read: with it the import would be larger than ")


def test_files_may_come_one_by_one() -> None:
    def files() -> Iterator[tuple[str, bytes]]:
        yield "a.json", as_json(make_v1())

    assert len(plan_import(files(), lambda _: set()).cards) == 1


def test_a_bug_in_what_is_asked_is_not_hidden() -> None:
    def ask(names: list[str]) -> set[str]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        plan_import([("a.json", as_json(make_v2(tags=["elf"])))], ask)
