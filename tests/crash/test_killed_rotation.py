"""A rotation of the pepper that is killed anywhere: every secret opens under exactly one pepper that is kept, on each
side, by a reader that knows Quilltap's recipe alone; and the next run finishes."""

import contextlib
import os
import random
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from store import Settings, Store, rotating, secrets_check
from store.errors import StoreError
from store.files.system import Handle
from store.peppers import DONE, WAITING, PepperFiles
from store.secrets import Cipher, Secrets
from store.validation import validate_all_data
from tests.crash.disk import Disk, disk_of
from tests.crash.families import members
from tests.crash.rotating_world import (
    NEW,
    OLD,
    SecretWorld,
    make_secret_world,
    opened,
    populate_secrets,
    secret_settings,
    violations,
)
from tests.crash.secrets_reader import Expected, in_bytes, in_files, in_sql, peppers_in
from tests.crash.secrets_reader import opened as opened_by_hand
from tests.crash.stops import SteppedSystem, Steps, ended, start_apart
from tests.crash.test_kill_at_every_call import Rehearsal
from tests.crash.test_power_cut import Moments

pytestmark = pytest.mark.slow


class Rotation(Rehearsal):
    """A rotation of a small store, killed before each of its steps."""

    world: SecretWorld

    def __init__(self, world: SecretWorld, work: Callable[[Store], object], *, after: str = "populated") -> None:
        self.world, self.name, self.after_what, self.work = world, "a rotation", after, work
        self.steps, self.outlines, self.repeated = Steps(), set(), set()
        world.restore(after)
        self.store = opened(world.settings, SteppedSystem(self.steps), start=False)
        engines = {self.store.database.engine}
        if world.settings.data_backend == "json":
            engines.add(self.store.index.database.engine)
        for engine in engines:
            self.steps.listen(engine)
        self.store.start(follow=False)
        self.store.close()

    def perform(self) -> None:
        self.work(self.store)

    def check(self) -> bool:
        """Nothing is lost; what runs next brings it to its end. False when just this state was checked before."""
        settings, expected = self.world.settings, self.world.expected
        assert violations(settings, expected) == []
        if (outline := self.secret_outline()) in self.outlines:
            return False
        self.outlines.add(outline)
        store = opened(settings)
        if store.peppers.change() is None or store.peppers.change().phase != DONE:  # type: ignore[union-attr]
            self.work(store)
        assert store.peppers.change().phase in (DONE, WAITING)  # type: ignore[union-attr]
        report = validate_all_data(store)
        assert report.secrets.failed == 0
        assert report.exit_status == 0 or settings.data_backend == "sql"
        store.close()
        assert violations(settings, expected) == []
        return True

    def secret_outline(self) -> str:
        """Which secret is under which pepper, and which peppers lie where."""
        settings = self.world.settings
        kept = peppers_in(settings.instance_dir)
        under = [
            (one.side, one.what, one.id, next((p for p in (OLD, NEW) if opened_by_hand(one, p)), None))
            for one in in_sql(settings.database_url) + in_files(settings.data_dir)
        ]
        state = (settings.own_dir / "pepper").read_text() if (settings.own_dir / "pepper").exists() else ""
        return repr((sorted(kept.items()), under, state.partition('"began"')[0]))


def rotate(store: Store) -> object:
    return rotating.rotate(store, NEW)


# With the pepper in its file, or in the environment: that is also how it is taken back, and how the power is cut.
WAYS = [("dual", False), ("dual", True), ("json", False), ("sql", False)]


@pytest.mark.parametrize(("backend", "given"), members(WAYS, [WAYS[0], *WAYS[2:]]), ids=str)
def test_killed_at_any_step_no_secret_is_lost_and_the_next_run_finishes(
    memory_path: Path, backend: str, given: bool
) -> None:
    world = make_secret_world(memory_path, backend, given=given)
    rotation = Rotation(world, rotate)
    states = rotation.kill_everywhere(rotation.perform, looks=False)
    assert len(states) >= 7
    # Wholly done, every secret is under the new pepper, and the other one is kept.
    world.restore()
    store = opened(world.settings)
    rotate(store)
    store.close()
    found = in_sql(world.settings.database_url) + (in_files(world.settings.data_dir) if backend != "sql" else [])
    assert all(opened_by_hand(one, NEW) == world.expected.texts[one.what, one.id] for one in found)
    kept = peppers_in(world.settings.instance_dir)
    assert kept["encryption-master-pepper.kept-1"] == OLD
    assert kept["encryption-master-pepper.next" if given else "encryption-master-pepper"] == NEW


@pytest.mark.parametrize("backend", members(["dual", "json"], ["dual"]))
def test_taking_it_back_may_be_killed_as_well(memory_path: Path, backend: str) -> None:
    world = make_secret_world(memory_path, backend, given=True)
    store = opened(world.settings)
    rotate(store)
    store.close()
    world.keep("rotated")

    def take_back(store: Store) -> object:
        return rotating.take_back(store)

    rotation = Rotation(world, take_back, after="rotated")
    states = rotation.kill_everywhere(rotation.perform, "rotated", looks=False)
    assert len(states) >= 6
    world.restore("rotated")
    store = opened(world.settings)
    take_back(store)
    store.close()
    found = in_sql(world.settings.database_url) + in_files(world.settings.data_dir)
    assert all(opened_by_hand(one, OLD) for one in found)
    assert NEW in peppers_in(world.settings.instance_dir).values()


# ------------------------------------------------------------------ the power is cut
class WithoutFileSync(Disk):
    def sync(self, handle: Handle) -> None:
        self._step()


class WithoutFolderSync(Disk):
    def sync_folder(self, folder: Path) -> None:
        self._step()


def lost_by_a_power_cut(world: SecretWorld, model: str, kind: type[Disk] = Disk) -> Iterator[str]:
    """Cut the power at every call of a rotation, and tell what is then wrong, before and after the next run."""
    settings, expected, chance = world.settings, world.expected, random.Random(model)
    world.restore()
    there = disk_of(settings.data_dir, settings.own_dir, settings.instance_dir)
    disk = kind(there.files, there.folders, there.bytes_of)
    moments = Moments(world, disk)
    store = opened(settings, disk)
    rotate(store)
    store.close()
    moments.keep()
    looked_at = set()
    for number, cut, _ in moments:
        for left in cut.after_power_cuts(model, chance):
            found = [*in_sql(settings.database_url), *in_bytes(left.below(settings.data_dir))]
            kept = left.below(settings.instance_dir)
            peppers = [data.decode() for name, data in kept.items() if name.startswith("encryption-master-pepper")]
            told = expected.violations(found, [*peppers, *[OLD][: settings.pepper_given]])
            yield from (f"call {number}: {one}" for one in told)
            state = (frozenset(kept.items()), *(opened_by_hand(one, NEW) is None for one in found))
            if state not in looked_at and not told:
                looked_at.add(state)
                yield from (f"call {number}, after the next run: {one}" for one in lost_by_the_next(world, left))


def lost_by_the_next(world: SecretWorld, disk: Disk) -> list[str]:
    before = world.sqlite_files()
    in_use = disk.below(world.settings.instance_dir).get("encryption-master-pepper", OLD.encode()).decode()
    store = opened(replace(world.settings, encryption_master_pepper=in_use), disk, read=False)
    if (change := store.peppers.change()) is None or change.phase != DONE:
        rotate(store)
    store.close()
    found = [*in_sql(world.settings.database_url), *in_bytes(disk.below(world.settings.data_dir))]
    world.lay_sqlite(before)
    return world.expected.violations(found, [NEW])


@pytest.mark.parametrize("model", ["ordered", "weak"])
@pytest.mark.parametrize("given", [False, True])
def test_a_power_cut_at_any_call_loses_no_secret(memory_path: Path, given: bool, model: str) -> None:
    assert list(lost_by_a_power_cut(make_secret_world(memory_path, "dual", given=given), model)) == []


# ------------------------------------------------------------------ without the guard the check fails
@pytest.mark.parametrize("mutant", [WithoutFileSync, WithoutFolderSync], ids=lambda mutant: mutant.__name__)
def test_without_this_sync_a_power_cut_loses_secrets(memory_path: Path, mutant: type[Disk]) -> None:
    world = make_secret_world(memory_path, "dual")
    with contextlib.suppress(ValueError, StoreError):  # a torn file is no JSON any more, or no pepper that is known
        assert next(lost_by_a_power_cut(world, "weak", mutant), None) is not None


class ForgetsTheOld(PepperFiles):
    """The new pepper takes its place at once, and the old one is kept nowhere."""

    def keep(self, pepper: str) -> None:
        pass

    def keep_next(self, pepper: str) -> None:
        super().keep_next(pepper)
        self.use_next()


class WritesTwice(Secrets):
    """A secret that is not encrypted anew, but said to be."""

    def seal(self, user_id: str, plain: bytes) -> Cipher:
        return super().seal(user_id, plain[:-1])


@pytest.mark.parametrize("mutant", [ForgetsTheOld, WritesTwice], ids=lambda mutant: mutant.__name__)
def test_without_this_guard_a_kill_loses_secrets(memory_path: Path, mutant: type) -> None:
    world = make_secret_world(memory_path, "dual")
    rotation = Rotation(world, rotate)
    if mutant is ForgetsTheOld:
        rotation.store.peppers.files.__class__ = ForgetsTheOld
    else:
        rotation.work = with_secrets(mutant)
    with pytest.raises(AssertionError):
        rotation.kill_everywhere(rotation.perform, looks=False)


def with_secrets(mutant: type) -> Callable[[Store], object]:
    def work(store: Store) -> object:
        before, secrets_check.Secrets = secrets_check.Secrets, mutant  # type: ignore[misc]
        try:
            return rotate(store)
        finally:
            secrets_check.Secrets = before  # type: ignore[misc]

    return work


# ------------------------------------------------------------------ a large store, and real processes
# TANDEM_KILLS=20 kills so often on each, and a large store instead of one that is just large enough.
KILLS = int(os.environ.get("TANDEM_KILLS", "0"))
N_KEYS, N_USERS, LONGEST_S = (300, 20, 2.5) if KILLS else (60, 3, 0.4)


@pytest.mark.parametrize(
    ("database", "backend", "kills"),
    [("sqlite", "dual", 4), ("sqlite", "json", 2), ("postgresql", "dual", 1), ("postgresql", "json", 1)],
)
def test_a_process_killed_at_random_moments_loses_nothing(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, backend: str, kills: int
) -> None:
    url = request.getfixturevalue("postgres_url") if database == "postgresql" else ""
    settings, chance = secret_settings(tmp_path, url, backend), random.Random(f"{database} {backend}")
    store = opened(settings)
    expected = populate_secrets(store, keys=N_KEYS, users=N_USERS)
    store.close()
    assert violations(settings, expected) == []
    killed = begun = 0
    while killed < (KILLS or kills):
        pepper = f"{begun} {chance.getrandbits(200):x} of the tests".ljust(32, "-")
        code = rotate_apart(settings, pepper, chance.uniform(0, LONGEST_S))
        begun += code == 0
        killed += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL)
        assert violations(settings, expected) == []
    assert rotate_apart(settings, "p" * 40, 60) == 0
    finish_and_compare(settings, expected)


def rotate_apart(settings: Settings, pepper: str, seconds: float) -> int:
    """A process that rotates, and is killed so long after it has opened everything; how it ended."""
    ends, at_its_end = os.pipe()

    def work() -> None:
        store = opened(settings)
        os.write(at_its_end, b"ready")
        change = store.peppers.change()
        rotating.rotate(store, pepper if change is None or change.phase == DONE else None)
        store.close()

    child = start_apart(work)
    os.close(at_its_end)  # the child has the other end
    assert os.read(ends, 5) == b"ready"
    select.select([ends], [], [], seconds)
    os.kill(child, signal.SIGKILL)
    os.close(ends)
    return ended(child)


def finish_and_compare(settings: Settings, expected: Expected) -> None:
    """Both sides are equal, every secret decrypts, and all are under the one pepper that is in use."""
    store = opened(settings)
    report = validate_all_data(store)
    assert (report.exit_status, report.secrets.checked, report.secrets.failed) == (0, 2 * len(expected.texts), 0)
    store.close()
    in_use = peppers_in(settings.instance_dir)["encryption-master-pepper"]
    assert expected.violations(in_sql(settings.database_url), [in_use]) == []
    assert expected.violations(in_files(settings.data_dir), [in_use]) == []
