"""Every damage of the table is repaired from the side that is right, be it the database or the files, and afterwards
both sides are equal; where the files cannot be that side it is said why, and the database stays as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from store import Store
from store.repair_plan import plan_repair
from store.repairing import repair
from store.validation import Report, validate_all_data
from tests import nasty
from tests.factories import files_below
from tests.store.validation.damages import DAMAGES
from tests.store.validation.damaging import Damage
from tests.store.validation.test_damages import assert_found
from tests.store.validation.world import World

pytestmark = pytest.mark.slow


class Patient:
    """A store on the world, and its files as they were, to be brought back."""

    def __init__(self, store: Store, world: World) -> None:
        self.store, self.data = store, store.settings.data_dir
        self._sound = {name: files_below(world.folder / name) for name in ("data", "public")}
        self.rows = nasty.raw_rows(store.settings.database_url)

    def is_as_before(self) -> bool:
        return files_below(self.data) == self._sound["data"]

    def rows_are_as_before(self) -> bool:
        return nasty.raw_rows(self.store.settings.database_url) == self.rows

    def bring_files_back(self) -> None:
        """In place, for Tandem takes no other folder for its own."""
        for name, sound in self._sound.items():
            folder = self.data.parent / name
            there = files_below(folder)
            for path in there.keys() - sound.keys():
                (folder / path).unlink()
            for path in (path for path in sound if there.get(path) != sound[path]):
                (folder / path).unlink(missing_ok=True)
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_bytes(sound[path])

    def damage(self, damage: Damage) -> Report:
        damage.do(self.data)
        report = validate_all_data(self.store)
        assert_found(report, damage)
        return report

    def quarantined(self) -> set[bytes]:
        folder = self.store.side.own_dir / "quarantine"
        return set(files_below(folder).values()) if folder.exists() else set()


@pytest.fixture(scope="module")
def patient(world_on_sqlite: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    store = world_on_sqlite.opened(tmp_path_factory.mktemp("patient"))
    yield Patient(store, world_on_sqlite)
    store.close()


@pytest.mark.parametrize("damage", [pytest.param(one, id=one.name) for one in DAMAGES])
def test_a_damage_is_repaired_from_either_side(patient: Patient, damage: Damage) -> None:
    report = patient.damage(damage)
    from_the_database(patient, damage, report)
    patient.bring_files_back()
    damage.do(patient.data)
    plan = plan_repair(report.affected, "json", patient.store)
    after = repair(patient.store, plan)
    if damage.only_from_sql:
        assert plan.left or after.notes
        assert (after.exit_status, patient.rows_are_as_before()) == (report.exit_status, True)
    else:
        assert (plan.left, after.exit_status) == ([], 0), after.as_text()
    # The sound files come back; now it is the database that is damaged, if it took that over.
    patient.bring_files_back()
    if not patient.rows_are_as_before():
        report = validate_all_data(patient.store)
    back = repair(patient.store, plan_repair(report.affected, "json", patient.store))
    assert (back.exit_status, patient.rows_are_as_before()) == (0, True), back.as_text()
    assert patient.is_as_before()


def from_the_database(patient: Patient, damage: Damage, report: Report) -> None:
    before, quarantined = files_below(patient.data), patient.quarantined()
    plan = plan_repair(report.affected, "sql", patient.store)
    assert (plan.left, files_below(patient.data) == before) == ([], True), "a plan writes nothing"
    after = repair(patient.store, plan)
    assert (after.exit_status, patient.rows_are_as_before()) == (0, True), after.as_text()
    assert patient.is_as_before() is not damage.for_good
    if damage.unread:
        kept = patient.quarantined() - quarantined
        for one in report.unreadable:  # the file, or its torn end
            assert any(piece and piece in before[one.path] for piece in kept), one


def test_a_secret_that_decrypts_is_written_over_from_neither_side(patient: Patient) -> None:
    damage = next(one for one in DAMAGES if one.name == "ApiKey: a byte of keyEncrypted")
    good = patient.rows
    patient.damage(damage)
    ((_, key_id, _),) = damage.wrong
    with patient.store.database.engine.begin() as connection:
        connection.exec_driver_sql(
            'UPDATE api_keys SET "keyEncrypted" = \'00\' || "keyEncrypted" WHERE id = ?', (key_id,)
        )
    patient.store.outbox.bond = None
    patient.bring_files_back()
    plan = plan_repair([("key", key_id)], "sql", patient.store)
    assert plan.steps == []
    assert "that of the files does. Repair it from the files." in plan.left[0]
    assert repair(patient.store, plan_repair([("key", key_id)], "json", patient.store)).exit_status == 0
    assert nasty.raw_rows(patient.store.settings.database_url) == good
    assert Path(patient.data).exists()
