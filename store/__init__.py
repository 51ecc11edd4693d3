"""The one door to where things are kept: ``open_store`` and the ``Store`` it gives."""

import contextlib
import logging
from typing import Any, Final

from store import capture, codec, comparing, flags, inventory, secrets_check, steps, switching
from store.audit import Audit, Change
from store.audit.spool import Spool
from store.backends import Backend, DualBackend, JsonBackend, SqlBackend
from store.comparing import Comparison, compare_entities
from store.database import Database
from store.deriving import Loader
from store.documents import now
from store.dual_write import log_consistency_issue, validate_dual_write_result
from store.errors import InvalidRecordError, NotInStepError, StoreError
from store.files.index import JsonIndex
from store.files.public import PublicFiles
from store.files.side import JsonSide
from store.files.system import System
from store.follower import Follower
from store.following import Following
from store.jobs import Jobs
from store.mapping import MAPPINGS
from store.outbox import Outbox
from store.peppers import Peppers
from store.providers import Providers
from store.providers.health import KeyTests
from store.repositories.attachments import AttachmentsRepository
from store.repositories.base import Repository
from store.repositories.characters import CharactersRepository
from store.repositories.chats import ChatsRepository
from store.repositories.image_profiles import ImageProfilesRepository
from store.repositories.images import ImagesRepository
from store.repositories.keys import KeysRepository
from store.repositories.personas import PersonasRepository
from store.repositories.profiles import ConnectionProfilesRepository
from store.repositories.signin import AccountsRepository, SessionsRepository, VerificationTokensRepository
from store.repositories.tags import TagsRepository
from store.repositories.users import UsersRepository
from store.secrets import Secrets
from store.secrets_check import Held
from store.settings import Settings, read_settings
from store.steps import Step
from store.survey import Survey
from store.turns import Turn

log = logging.getLogger("tandem")

START_WAIT_S = 15.0  # a start waits so long for another process that is writing the JSON side


class Store:
    """Everything that is kept. Made by ``open_store``; ``close`` it in the end."""

    def __init__(self, settings: Settings, system: System | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.audit = Audit(self.database)
        self.jobs = Jobs(self.database)
        self.side = JsonSide(settings.data_dir, settings.own_dir, system, public_dir=settings.public_dir)
        self.side.counts = settings.data_backend == "json"
        self.public = PublicFiles(self.side.system, settings.public_dir)
        self.spool = Spool(self.side)
        if self.side.counts:
            self.audit.otherwise = self.spool.keep
        self.secrets = Secrets(settings.encryption_master_pepper)
        self.providers = Providers(settings.allow_local_providers)
        self.key_tests = KeyTests(self.database)
        self.loader = Loader(self.public)
        self.turn = Turn(settings.data_backend, self.database, self.side)
        self.peppers = Peppers(settings, self.database, self.side, self.turn, self.secrets)
        self.outbox = Outbox(self.database, self.side, self.loader)
        self.outbox.check_turn = self.turn.check_files
        self._index: JsonIndex | None = None
        self._following: Following | None = None
        self._follower: Follower | None = None
        self._step, self._looked, self._started = steps.IN_STEP, False, False
        backend = self._backend()
        self.survey = Survey(backend, self.database, self.peppers, self.secrets)
        self.users = UsersRepository(backend)
        self.accounts = AccountsRepository(backend)
        self.sessions = SessionsRepository(backend)
        self.tokens = VerificationTokensRepository(backend)
        self.tags = TagsRepository(backend)
        self.keys = KeysRepository(backend)
        self.profiles = ConnectionProfilesRepository(backend, self.keys)
        self.image_profiles = ImageProfilesRepository(backend)
        self.attachments = AttachmentsRepository(backend)
        self.images = ImagesRepository(backend, self.attachments)
        self.personas = PersonasRepository(backend)
        self.characters = CharactersRepository(backend)
        self.chats = ChatsRepository(backend)
        self.users.peppers = self.keys.peppers = self.peppers
        by_kind = {one.kind: one for one in vars(self).values() if isinstance(one, Repository)}
        # In the order in which links point; derived lines have no repository.
        self.repositories: Final[dict[str, Repository[Any]]] = {
            kind: by_kind[kind] for kind in MAPPINGS if kind in by_kind
        }

    def _backend(self) -> Backend:
        if self.settings.data_backend == "json":
            self.json_backend = JsonBackend(self.index, self.side, self.loader, self.turn, self.spool)
            return self.json_backend
        if flags.is_dual_mode(self.settings):
            return DualBackend(self.database, self.outbox, self.turn, verbose=self.settings.verbose)
        return SqlBackend(self.database, self.loader, self.turn)

    @property
    def index(self) -> JsonIndex:
        """The derived index of the JSON side, made when it is first asked for."""
        if self._index is None:
            self._index = JsonIndex(self.side)
        return self._index

    @property
    def following(self) -> Following:
        """What brings to SQL what is newer in the files."""
        if self._following is None:
            self._following = Following(self.database, self.index, self.side, self.turn)
        return self._following

    # ------------------------------------------------------------------ life
    def start(self, *, follow: bool = True) -> None:
        """Make ready: Quilltap's tables where there are none, our own up to date, triggers in place, what waits
        applied. Processes that work with another backend write no more.

        ``follow`` starts the background loop. A side that cannot be written to follow stops nothing: what waits goes on
        waiting.
        """
        flags.log_backend_config(self.settings)
        self.database.prepare()
        if self.settings.data_backend == "json":
            self._start_json()
        else:
            self._start_sql()
        with contextlib.suppress(StoreError):  # from when the files were what counts; else with the next round
            self.bring_audit_over(START_WAIT_S)
        try:
            self.peppers.start()
        except StoreError as error:
            log.warning("Where the change of pepper is could not be found out everywhere: %s", error.sentence)
        self._started = True
        if follow:
            self.survey.start()
        if follow and self.settings.data_backend != "sql":
            self._follower = Follower(self._follow)
            self._follower.start()

    def _start_sql(self) -> None:
        dual = flags.is_dual_mode(self.settings)
        if dual:
            self.capture_on()
            self.outbox.apart = NotInStepError("The two sides were not looked at yet.")
        try:
            alone = not dual and not self.settings.own_dir.is_dir()  # then nobody has files to be told of
            with contextlib.nullcontext() if alone else self.side.lock.hold(START_WAIT_S):
                self.turn.take()
            if dual:
                self.catch_up()
            elif switching.follows_files(self.database) and (
                behind := switching.catch_up_with_files(self.database, self.following)
            ):
                raise behind
        except StoreError as error:
            if dual:
                self.outbox.apart = error  # told with each write, until the sides could be looked at
            log.warning("The other side does not follow yet: %s", error.sentence)

    def _start_json(self) -> None:
        with self.side.lock.hold(START_WAIT_S):
            self.side.clean()
            together = steps.FolderBond(self.database, self.side).holds()
            self.turn.take()
        if together:  # what waits in SQL was answered: the files have to have it before they are what counts
            with contextlib.suppress(StoreError):
                self.outbox.apply(START_WAIT_S)
        lost = self.capture_on(mark=False)
        self.following.apart = switching.apart(self.database, self.side, self.outbox, self.following, together, lost)
        with self.side.lock.hold(START_WAIT_S):
            self.side.remove_own(steps.BOND_FILE)  # the next dual start compares everything
        try:
            self.json_backend.bring_totals_over(START_WAIT_S)
            if not self.following.apart:
                switching.take_what_sql_got(self.database, self.following, self.json_backend)
        except StoreError as error:
            log.warning("The files do not say everything yet: %s", error.sentence)

    def _follow(self) -> list[StoreError]:
        """One round of the background loop."""
        if flags.is_dual_mode(self.settings):
            # With nothing waiting a problem is an old one: another process has applied what was in its way.
            if self.outbox.problems() or not self.outbox.is_empty():
                self.catch_up(self.outbox.totals_are_due())
            return self.outbox.problems()
        self.index.refresh()
        if self.json_backend.totals_wait():
            self.json_backend.bring_totals_over(1)
        try:
            if not self.following.apart and self.following.is_due():
                self.following.apply(1)
        finally:
            self.bring_audit_over(1)
        return self.following.problems()

    def bring_audit_over(self, timeout: float = 0) -> None:
        """Give the database what of the audit waits beside the files. Raises DatabaseError, JsonSideError; then it
        still waits."""
        self.spool.bring_over(self.database, timeout)

    def catch_up(self, totals: bool = True) -> None:
        """Look at both sides where that was not possible yet, and bring over what waits; without ``totals`` not what
        the lines of chats say about their messages. Raises JsonSideError, DatabaseError."""
        if self.settings.data_backend == "json":
            self.json_backend.bring_totals_over(START_WAIT_S)
            try:
                if not self.following.apart:
                    self.following.apply(START_WAIT_S)
            finally:
                self.bring_audit_over(START_WAIT_S)
            return
        if not self._looked:
            try:
                self.look()
            except StoreError as error:
                self.outbox.apart = error  # until the sides were looked at, nothing is written
                raise
        if not self.outbox.apart:
            self.outbox.apply(START_WAIT_S, totals=totals)

    def close(self) -> None:
        """Stop the background loop and close every connection."""
        self.survey.stop()
        if self._follower:
            self._follower.stop()
        if self.settings.data_backend == "json" and self._started:
            with contextlib.suppress(StoreError):
                self.catch_up()
        if self.outbox.bond and not self.outbox.apart:
            with contextlib.suppress(StoreError):
                self.outbox.apply(1)
            with contextlib.suppress(StoreError), self.side.lock.hold(1):
                self.turn.check_files()
                self.outbox.bond.renew()
        if self._index:
            self._index.close()
        self.database.close()

    # ------------------------------------------------------------------ capture and step
    def capture_on(self, *, mark: bool = True) -> int:
        """Put missing triggers in place; how many were. With ``mark``, records they missed meanwhile are all looked at
        anew."""
        with self.database.write() as connection:
            absent = capture.install(connection)
            known = self.database.own.state
            together = connection.execute(known.select().where(known.c.key == steps.STATE_KEY)).first()
            if absent and together and mark:
                log.warning("%d triggers were missing; every record is compared anew.", len(absent))
                kinds = {kind for trigger in absent for kind in trigger.kinds}
                self.outbox.mark_everything(connection, sorted(kinds))
            if absent:
                told = f"{len(absent)} triggers were put in place on Quilltap's tables."
                self.audit.write(connection, [Change("capture on", message=told)])
        return len(absent)

    def capture_off(self) -> None:
        """Take every trigger away. Changes are no longer noticed until ``capture_on``."""
        with self.database.write() as connection:
            capture.remove(connection)
            told = "The triggers on Quilltap's tables were taken away."
            self.audit.write(connection, [Change("capture off", message=told)])

    def captured(self) -> bool:
        """Whether every trigger is in place."""
        with self.database.read() as connection:
            return not capture.missing(connection)

    def look(self) -> Step:
        """Find out anew whether both sides are in step. Raises JsonSideError when that cannot be found out."""
        owed = switching.follows_files(self.database)
        if owed and (behind := switching.catch_up_with_files(self.database, self.following)):
            self.outbox.apart, self._step = behind, Step(False, behind.message, behind.hint)
            return self._step
        with self.side.lock.hold(START_WAIT_S):
            self.side.clean()
            self.turn.tell_files()
            self._step = steps.look(self.database, self.side, self.outbox)
        if owed and self._step.in_step:
            self.following.end()
        self._looked = True
        return self._step

    @property
    def step(self) -> Step:
        """Whether both sides are in step; looked at anew while they are not, for a person may have done something."""
        if self.settings.data_backend == "json" and (error := self.following.apart):
            return Step(False, error.message, error.hint)
        if flags.is_dual_mode(self.settings) and self.outbox.apart:
            try:
                return self.look()
            except StoreError as error:
                return Step(False, error.message, error.hint)
        return self._step

    def fill_json_side(self) -> None:
        """Write everything SQL has to the empty JSON side. Raises NotInStepError when it is not empty."""
        steps.fill_json_side(self.database, self.side, self.outbox)
        self.look()

    # ------------------------------------------------------------------ what a person wants to know
    def pending(self, kind: str | None = None, record_id: str | None = None) -> int:
        """How many records wait for the JSON side; 0 or 1 for a single one. Only ``dual`` has any: what waits for SQL
        in ``json`` mode, ``following.pending()`` tells."""
        return self.outbox.pending(kind, record_id) if flags.is_dual_mode(self.settings) else 0

    def waiting(self) -> int:
        """How many records wait for the side that follows, whichever that is."""
        return self.following.pending() if self.settings.data_backend == "json" else self.pending()

    def problems(self) -> list[StoreError]:
        """What a person should know: why the side that follows lags, and what in the files cannot be read (in ``json``
        mode)."""
        if self.settings.data_backend == "json":
            return [*self.index.problems(), *self.following.problems()]
        return self.outbox.problems() if flags.is_dual_mode(self.settings) else []

    def counts(self) -> dict[str, inventory.SideCounts]:
        """Model -> how many records each side holds."""

        def json_rows() -> dict[str, int]:
            self.index.refresh()
            with self.index.database.read() as connection:
                return inventory.count_rows(connection)

        return inventory.counts(self.database, json_rows)

    def inventory(self) -> inventory.Inventory:
        """What there is now; kept with its date below the own folder, where that can be written."""
        made_at = now()
        taken = inventory.take(self.database, self.counts(), made_at, self.waiting())
        with contextlib.suppress(StoreError), self.side.lock.hold(START_WAIT_S):
            name = made_at.replace(":", "").replace("-", "")
            self.side.write_own(f"inventories/{name}.json", codec.dumps_pretty(taken.as_json()))
        return taken

    def held(self) -> tuple[list[Held], list[StoreError], set[str]]:
        """The secrets on each side in use; what of them cannot be read; the ids of the users there are."""
        return secrets_check.held_on_both_sides(self.database, self.side, self.settings.data_backend)

    def compare(self, kind: str, record_id: str) -> Comparison:
        """One record on both sides, key by key; without two sides there is nothing to compare."""
        if not flags.is_dual_mode(self.settings):
            return Comparison("one_side")
        return comparing.compare(self.database, self.side, self.outbox, kind, record_id)


def open_store(settings: Settings, *, follow: bool = True, system: System | None = None) -> Store:
    """Open everything and make it ready. ``follow`` runs the background loop; ``system`` stands in for the operating
    system.

    Raises DatabaseError, JsonSideError. Afterwards both sides are in step, or ``store.step`` says why not.
    """
    store = Store(settings, system)
    try:
        store.start(follow=follow)
    except BaseException:
        store.close()
        raise
    return store


__all__ = [
    "MAPPINGS",
    "Comparison",
    "InvalidRecordError",
    "Settings",
    "Step",
    "Store",
    "StoreError",
    "compare_entities",
    "log_consistency_issue",
    "open_store",
    "read_settings",
    "validate_dual_write_result",
]
