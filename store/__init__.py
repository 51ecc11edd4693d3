"""The one door to where things are kept: ``open_store`` and the ``Store`` it gives."""

import contextlib
import logging
from typing import Any, Final

from store import capture, comparing, flags, inventory, steps
from store.backends import Backend, DualBackend, JsonBackend, SqlBackend
from store.comparing import Comparison, compare_entities
from store.database import Database
from store.deriving import Loader
from store.dual_write import log_consistency_issue, validate_dual_write_result
from store.errors import InvalidRecordError, NotInStepError, StoreError
from store.files.index import JsonIndex
from store.files.public import PublicFiles
from store.files.side import JsonSide
from store.files.system import System
from store.mapping import MAPPINGS
from store.outbox import Follower, Outbox
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
from store.settings import Settings, read_settings
from store.steps import Step

log = logging.getLogger("tandem")

START_WAIT_S = 15.0  # a start waits so long for another process that is writing the JSON side


class Store:
    """Everything that is kept. Made by ``open_store``; ``close`` it in the end."""

    def __init__(self, settings: Settings, system: System | None = None) -> None:
        self.settings = settings
        self.database = Database(settings.database_url)
        self.side = JsonSide(settings.data_dir, settings.own_dir, system, public_dir=settings.public_dir)
        self.public = PublicFiles(self.side.system, settings.public_dir)
        self.secrets = Secrets(settings.encryption_master_pepper)
        self.loader = Loader(self.public)
        self.outbox = Outbox(self.database, self.side, self.loader)
        self._index: JsonIndex | None = None
        self._follower: Follower | None = None
        self._step, self._looked = steps.IN_STEP, False
        backend = self._backend()
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
        by_kind = {one.kind: one for one in vars(self).values() if isinstance(one, Repository)}
        # In the order in which links point; derived lines have no repository.
        self.repositories: Final[dict[str, Repository[Any]]] = {
            kind: by_kind[kind] for kind in MAPPINGS if kind in by_kind
        }

    def _backend(self) -> Backend:
        if self.settings.data_backend == "json":
            return JsonBackend(self.index, self.side, self.loader)
        if flags.is_dual_mode(self.settings):
            return DualBackend(self.database, self.outbox, verbose=self.settings.verbose)
        return SqlBackend(self.database, self.loader)

    @property
    def index(self) -> JsonIndex:
        """The derived index of the JSON side, made when it is first asked for."""
        if self._index is None:
            self._index = JsonIndex(self.side)
        return self._index

    # ------------------------------------------------------------------ life
    def start(self, *, follow: bool = True) -> None:
        """Make ready: Quilltap's tables where there are none, our own up to date, triggers in place, what waits
        applied.

        ``follow`` starts the background loop. A JSON side that cannot be written stops nothing: what waits goes on
        waiting.
        """
        flags.log_backend_config(self.settings)
        self.database.prepare()
        if self.settings.data_backend == "json":
            with self.side.lock.hold(START_WAIT_S):
                self.side.clean()
                self.side.remove_own(steps.BOND_FILE)  # SQL stays behind: the next dual start compares everything
            return
        if self.settings.data_backend == "sql":
            return
        self.capture_on()
        self.outbox.apart = NotInStepError("The two sides were not looked at yet.")
        try:
            self.catch_up()
        except StoreError as error:
            log.warning("The JSON side does not follow yet: %s", error.sentence)
        if follow:
            self._follower = Follower(self.outbox, self.catch_up)
            self._follower.start()

    def catch_up(self, totals: bool = True) -> None:
        """Look at both sides where that was not possible yet, and bring over what waits; without ``totals`` not what
        the lines of chats say about their messages. Raises JsonSideError."""
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
        if self._follower:
            self._follower.stop()
        if self.outbox.bond and not self.outbox.apart:
            with contextlib.suppress(StoreError):
                self.outbox.apply(1)
            with contextlib.suppress(StoreError), self.side.lock.hold(1):
                self.outbox.bond.renew()
        if self._index:
            self._index.close()
        self.database.close()

    # ------------------------------------------------------------------ capture and step
    def capture_on(self) -> int:
        """Put missing triggers in place; how many were. Records they missed meanwhile are all looked at anew."""
        with self.database.write() as connection:
            absent = capture.install(connection)
            known = self.database.own.state
            together = connection.execute(known.select().where(known.c.key == steps.STATE_KEY)).first()
            if absent and together:
                log.warning("%d triggers were missing; every record is compared anew.", len(absent))
                kinds = {kind for trigger in absent for kind in trigger.kinds}
                self.outbox.mark_everything(connection, sorted(kinds))
        return len(absent)

    def capture_off(self) -> None:
        """Take every trigger away. Changes are no longer noticed until ``capture_on``."""
        with self.database.write() as connection:
            capture.remove(connection)

    def captured(self) -> bool:
        """Whether every trigger is in place."""
        with self.database.read() as connection:
            return not capture.missing(connection)

    def look(self) -> Step:
        """Find out anew whether both sides are in step. Raises JsonSideError when that cannot be found out."""
        with self.side.lock.hold(START_WAIT_S):
            self.side.clean()
            self._step = steps.look(self.database, self.side, self.outbox)
        self._looked = True
        return self._step

    @property
    def step(self) -> Step:
        """Whether both sides are in step; looked at anew while they are not, for a person may have done something."""
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
        """How many records wait for the JSON side; 0 or 1 for a single one. Only ``dual`` has any."""
        return self.outbox.pending(kind, record_id) if flags.is_dual_mode(self.settings) else 0

    def problems(self) -> list[StoreError]:
        """What a person should know: why the JSON side lags, and what in the files cannot be read (in ``json``
        mode)."""
        if self.settings.data_backend == "json":
            return list(self.index.problems())
        return self.outbox.problems() if flags.is_dual_mode(self.settings) else []

    def counts(self) -> dict[str, inventory.SideCounts]:
        """Model -> how many records each side holds."""

        def json_rows() -> dict[str, int]:
            self.index.refresh()
            with self.index.database.read() as connection:
                return inventory.count_rows(connection)

        return inventory.counts(self.database, json_rows)

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
