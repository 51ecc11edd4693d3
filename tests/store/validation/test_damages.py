"""Every damage of the table is found, named by model, id and field, and its neighbours are compared all the same."""

from pathlib import Path

import pytest

from store.tables import MODELS
from store.validation import Report
from tests.store.validation import world as worlds
from tests.store.validation.damages import DAMAGES
from tests.store.validation.damaging import Damage, Named
from tests.store.validation.world import World


def told(report: Report) -> set[Named]:
    """What a report names: as different, or as unreadable."""
    found: set[Named] = {(one.model, one.id, one.field) for one in report.differences}
    for one in report.unreadable:
        if one.id is not None:
            found |= {(one.model, one.id, name) for name in one.fields} or {(one.model, one.id, None)}
    return found


def assert_found(report: Report, damage: Damage) -> None:
    assert report.exit_status == damage.status, report.as_text()
    named = told(report)
    assert named >= set(damage.wrong), report.as_text()
    assert {one[:2] for one in named if one[0] not in damage.rows} <= {one[:2] for one in damage.wrong}
    if damage.unread:
        assert report.unreadable
        assert not [one for one in report.differences if not one.unreadable]
    dangling = {(one.model, one.id, one.field) for one in report.dangling if one.side == "json"}
    assert {(model, one, name) for model, one, name in damage.dangling if one} <= dangling
    assert len(dangling) == len(report.dangling) == len(damage.dangling)
    wrong: dict[str, set[str]] = {}
    for model, one, _ in damage.wrong:
        wrong.setdefault(model, set()).add(one)
    rows = {model: len(ids) for model, ids in wrong.items()} | damage.rows
    for model, count in report.models.items():
        assert count.checked - count.equal == rows.get(model, 0), f"{model}: {count}\n{report.as_text()}"
        assert count.equal >= worlds.ROWS - 1 or model in damage.rows


def test_equal_sides_are_equal(world: World, tmp_path: Path) -> None:
    report = world.validated(world.copy(tmp_path))
    assert report.exit_status == 0, report.as_text()
    assert report.checked == report.consistent == sum(1 for _ in worlds.rows())
    assert report.secrets.checked == 3 * 3 * 2


@pytest.mark.parametrize(
    "damage",
    # While working, some of each sort will do.
    [pytest.param(one, id=one.name, marks=[pytest.mark.slow] * bool(n % 8)) for n, one in enumerate(DAMAGES)],
)
def test_a_damage_is_found(world: World, tmp_path: Path, damage: Damage) -> None:
    data = world.copy(tmp_path)
    damage.do(data)
    assert_found(world.validated(data), damage)


def test_every_model_has_a_damage() -> None:
    named = {model for damage in DAMAGES for model, _, _ in damage.wrong}
    assert set(MODELS) - named == set()
