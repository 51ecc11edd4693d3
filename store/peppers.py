"""Which pepper the secrets are under: the files that keep peppers, and the state that every process goes by.

While the pepper is replaced (``store/rotating.py``) each secret is under exactly one of two, and every process knows
both. ``docs/secrets.md`` has the protocol and what proves it.
"""

import json
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy import Connection

from store.database import Database
from store.documents import now
from store.errors import LockedError, PepperError, StoreError
from store.files.lock import StoreLock
from store.files.replace import TEMPORARY, make_folders, remove_leftovers, write_new
from store.files.side import JsonSide
from store.files.system import System, told_as_json_side
from store.secrets import Cipher, Secrets
from store.settings import PEPPER_FILE, PEPPER_LENGTH, Settings
from store.turns import Turn

STATE_KEY = "pepper"  # in SQL, and a file of the same name below the own folder
NEXT_FILE = f"{PEPPER_FILE}.next"
_ASKED = "tandem: which pepper"  # no user's id
_KEPT = f"{PEPPER_FILE}.kept-"
VARIABLE = "ENCRYPTION_MASTER_PEPPER"
LOCK_WAIT_S = 15.0
Phase = Literal["rotating", "waiting", "done"]
ROTATING: Final = "rotating"
WAITING: Final = "waiting"
DONE: Final = "done"


@dataclass(frozen=True)
class Change:
    """The last change of pepper. ``new`` and ``old`` are fingerprints; ``number`` counts every step.

    ``rotating``: secrets go over from the old to the new one. ``waiting``: all have gone, and the environment does not
    name the new one yet. ``done``.
    """

    number: int
    phase: Phase
    new: str
    old: str
    began: str
    back: bool = False  # to the pepper of before: the change was taken back

    def text(self) -> str:
        return json.dumps(asdict(self))


class PepperFiles:
    """The files in ``instance/`` that hold a pepper each, readable by their owner only. Nothing is ever written into
    one."""

    def __init__(self, system: System, folder: Path) -> None:
        self._system, self.folder = system, folder

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> str | None:
        """The pepper in a file; None when there is none."""
        with told_as_json_side(self.folder):
            try:
                return self._system.read(self.folder / name).decode("utf-8", "surrogateescape").strip()
            except FileNotFoundError:
                return None

    def all(self) -> dict[str, str]:
        """File name -> pepper."""
        with told_as_json_side(self.folder):
            names = sorted(name for name, _ in self._system.list(self.folder) if name.startswith(PEPPER_FILE))
        return {name: pepper for name in names if (pepper := self.read(name))}

    def kept(self) -> dict[str, Path]:
        """Pepper -> the file in which it is kept for what was encrypted once."""
        return {pepper: self.path(name) for name, pepper in self.all().items() if name.startswith(_KEPT)}

    def keep(self, pepper: str) -> None:
        """Keep a pepper until a person deletes its file, durably; where it is kept already, that stays."""
        kept = self.kept()
        if pepper not in kept:
            names = {path.name for path in kept.values()}
            self._write(next(name for n in range(1, len(names) + 2) if (name := f"{_KEPT}{n}") not in names), pepper)

    def keep_next(self, pepper: str) -> None:
        """Keep the pepper that will be the new one, durably. One that was there already is set aside."""
        there = self.read(NEXT_FILE)
        if there and there != pepper:
            self.keep(there)
        if there != pepper:
            self._write(NEXT_FILE, pepper)

    def use_next(self) -> None:
        """The new pepper takes the place of the one in use, at once."""
        with told_as_json_side(self.folder):
            self._system.rename(self.folder / NEXT_FILE, self.folder / PEPPER_FILE)
            self._system.sync_folder(self.folder)

    def drop_next(self) -> None:
        """The new pepper is kept elsewhere by now."""
        with told_as_json_side(self.folder):
            self._system.remove(self.folder / NEXT_FILE)
            self._system.sync_folder(self.folder)

    def _write(self, name: str, pepper: str) -> None:
        with told_as_json_side(self.folder):
            for folder in make_folders(self._system, self.folder):
                self._system.sync_folder(folder)
            remove_leftovers(self._system, [self.folder])
            temporary = self.folder / f"{TEMPORARY}{name}"
            write_new(self._system, temporary, pepper.encode("utf-8"), sync=True, private=True)
            self._system.rename(temporary, self.folder / name)
            self._system.sync_folder(self.folder)


class Peppers:
    """What one process knows of peppers. Gives ``secrets`` the ones to use."""

    def __init__(self, settings: Settings, database: Database, side: JsonSide, turn: Turn, secrets: Secrets) -> None:
        self._database, self._side, self._turn, self.secrets = database, side, turn, secrets
        self._files_count = settings.data_backend == "json"
        self.own, self.given = settings.encryption_master_pepper, settings.pepper_given
        self.files = PepperFiles(side.system, settings.instance_dir)
        self.lock = StoreLock(side.system, settings.instance_dir / "rotation.lock")  # one rotation at a time
        self._guard = threading.Lock()
        self._known: Change | None = None
        self._blocked: PepperError | None = None
        secrets.use(self.own)
        secrets.look_again = self._look_again

    # ------------------------------------------------------------------ what there is
    def fingerprint(self, pepper: str) -> str:
        """Tells peppers apart, and is as hard to guess a pepper from as a cipher."""
        return self.secrets.keys.derive(pepper.encode("utf-8", "surrogateescape"), _ASKED).hex()

    def change(self) -> Change | None:
        """The last change of pepper, by the side that counts. None: there never was one. Raises DatabaseError,
        JsonSideError."""
        return self._in_file() if self._files_count else self._in_sql()

    def find(self, fingerprint: str) -> str | None:
        """The pepper of this fingerprint, wherever this process can find it."""
        candidates = [self.own, *self.files.all().values()]
        return next((one for one in candidates if self.fingerprint(one) == fingerprint), None)

    def known(self) -> tuple[dict[str, str], int]:
        """Every pepper there is, by what a person may call it, the one in use first; and how many of them secrets may
        be under now."""
        change = self.change()
        self._adopt(change)
        new, old = (self.find(change.new), self.find(change.old)) if change else (None, None)
        going = [old] if change and change.phase == ROTATING and old is not None else []
        in_use = list(dict.fromkeys([new if new is not None else self.own, *going]))
        names = {pepper: f"the pepper in {self.files.path(name)}" for name, pepper in self.files.all().items()}
        names.update({pepper: f"the pepper in {path}" for pepper, path in self.files.kept().items()})
        names.setdefault(self.own, f"the pepper of {VARIABLE}")
        rest = [pepper for pepper in names if pepper not in in_use]
        return {pepper: names.get(pepper, "") for pepper in (*in_use, *rest)}, len(in_use)

    # ------------------------------------------------------------------ following
    def refresh(self) -> bool:
        """Look again where the change of pepper is; whether other peppers are in use now."""
        return self._adopt(self.change())

    def _look_again(self) -> bool:
        try:
            return self.refresh()
        except StoreError:  # then the secret is what cannot be told about
            return False

    def _adopt(self, change: Change | None) -> bool:
        with self._guard:
            if change is None or (change == self._known and not self._blocked):
                return False
            if self._known and change.number < self._known.number:  # read before another thread read a later one
                return False
            new, old = self.find(change.new), self.find(change.old)
            self._known, self._blocked = change, None if new else _unknown(change, self.files.folder)
            others = [one for one in (old, self.own) if one is not None]
            first = new or self.own
            if change.phase == DONE:  # nothing is under the old one any more but what comes late
                return self.secrets.use(first, retired=others)
            return self.secrets.use(first, *others)

    def heed(self, connection: Connection) -> bool:
        """Look where the change of pepper is, within the transaction that writes a secret: nobody goes on with the
        change before it ends. Whether there ever was one."""
        self._adopt(self._in_file() if self._files_count else self._in_sql(connection))
        return self._known is not None

    def sealed(self, owner: Any, cipher: Cipher) -> Cipher:
        """A cipher that is about to be written, under the pepper in use: whoever encrypted it may have known another.
        What opens under none stays as it is. Raises PepperError when this process does not know the one in use."""
        if self._blocked:
            raise self._blocked
        try:
            plain, place = self.secrets.open(owner, cipher, retired=True)
        except StoreError:
            return cipher
        return self.secrets.seal(owner, plain) if place else cipher

    def check(self, change: Change | None) -> None:
        """Raise PepperError when this process does not know the pepper that secrets go to."""
        self._adopt(change)
        if self._blocked:
            raise self._blocked

    # ------------------------------------------------------------------ the state
    def start(self) -> None:
        """At a start: both places say the same of the change, and one that waited for this process's pepper is done.
        Raises DatabaseError, JsonSideError."""
        found = [self._in_sql(), self._in_file()]
        newest = max((one for one in found if one), key=lambda one: one.number, default=None)
        if newest is None:
            return
        if found[0] != newest:
            self._write_sql(newest)
        if found[1] != newest:
            self._write_file(newest)
        self._adopt(newest)
        if newest.phase == WAITING and self.fingerprint(self.own) == newest.new:
            try:
                with self.lock.hold():
                    self.finish(newest)
            except LockedError:  # whoever works on it sees to it
                return

    def refusal(self) -> PepperError | None:
        """Why a server does not start: it was given another pepper than the one the secrets were rotated to, and that
        one is here."""
        change = self._known
        if change is None or change.phase == ROTATING or self.fingerprint(self.own) == change.new:
            return None
        new = self.find(change.new)
        place = next((self.files.path(name) for name, one in self.files.all().items() if one == new), None)
        if new is None and self.fingerprint(self.own) != change.old:
            return None  # the copy of a database, perhaps: everything but the secrets can be worked on
        given = VARIABLE if self.given else str(self.files.path(PEPPER_FILE))
        back = " To go back instead: flask --app app secrets rotate --abort" if change.phase == WAITING else ""
        return PepperError(
            f"All secrets are under the new pepper since the rotation of {change.began[:10]}, and {given} holds "
            "another one.",
            hint=f"Set {VARIABLE}, here and in Quilltap's own environment, to "
            f"{f'what is in {place}' if place else 'the one they were rotated to'}, and start again.{back}",
        )

    def begin(self, new: str, old: str, *, back: bool = False) -> Change:
        """Both peppers are kept, durably, and every process goes by them: when this returns, nobody writes under the
        old one. The caller holds ``lock``. Raises StoreError."""
        self.files.keep(old)
        if not back:
            self.files.keep_next(new)
        last = self.change()
        number, began = (last.number + 1, last.began) if last else (1, now())
        change = Change(number, ROTATING, self.fingerprint(new), self.fingerprint(old), began if back else now(), back)
        return self._become(change)

    def finish(self, change: Change) -> Change:
        """All secrets are under the new pepper: it becomes the one in use. Where the environment names the pepper,
        that is for a person to change, and the change waits for it. The caller holds ``lock``. Raises StoreError."""
        new, old, kept = self.find(change.new), self.find(change.old), self.files.read(NEXT_FILE)
        if new is None:
            raise _unknown(change, self.files.folder)
        phase: Phase = WAITING if self.given and self.own != new else DONE
        if phase == DONE and kept is not None:
            # What was exported meanwhile may be under either; and an environment may be one command's alone.
            for pepper in [one for one in (old, kept) if one and (one != new or self.given)]:
                self.files.keep(pepper)
            if kept == new and not self.given:
                self.files.use_next()
            else:
                self.files.drop_next()
        if phase == change.phase:
            return change
        return self._become(replace(change, number=change.number + 1, phase=phase))

    def _become(self, change: Change) -> Change:
        self._write(change)
        self._adopt(change)
        return change

    def _write(self, change: Change) -> None:
        # First where it counts: what lags behind is brought up to date by the next start.
        for write in (self._write_file, self._write_sql) if self._files_count else (self._write_sql, self._write_file):
            write(change)

    def _write_sql(self, change: Change) -> None:
        state = self._database.own.state
        with self._database.write() as connection:
            self._turn.check_alone(connection)
            here = state.c.key == STATE_KEY
            if not connection.execute(sa.update(state).where(here).values(value=change.text())).rowcount:
                connection.execute(sa.insert(state).values(key=STATE_KEY, value=change.text()))

    def _write_file(self, change: Change) -> None:
        if self._side.system.is_folder(self._side.own_dir):
            with self._side.lock.hold(LOCK_WAIT_S):
                self._turn.check_files()
                self._side.write_own(STATE_KEY, change.text().encode())

    def _in_sql(self, connection: Connection | None = None) -> Change | None:
        if connection is None:
            return _parsed(self._database.get_state(STATE_KEY))
        state = self._database.own.state
        return _parsed(connection.scalar(sa.select(state.c.value).where(state.c.key == STATE_KEY)))

    def _in_file(self) -> Change | None:
        with told_as_json_side(self._side.own_dir):
            try:
                return _parsed(self._side.system.read(self._side.own_dir / STATE_KEY).decode("utf-8", "replace"))
            except FileNotFoundError:
                return None


def _parsed(text: str | None) -> Change | None:
    if text is None:
        return None
    try:
        return Change(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise PepperError(
            f"What Tandem remembers of the last change of pepper (“{STATE_KEY}”) cannot be read.",
            hint="Restore it from a backup: until then no secret is written.",
        ) from error


def _unknown(change: Change, folder: Path) -> PepperError:
    if change.phase == DONE:
        return PepperError(
            f"The secrets are under another pepper since the rotation of {change.began[:10]}, and this process does "
            "not know it.",
            hint=f"Set {VARIABLE} to the one they were rotated to, and start anew; nothing was written.",
        )
    return PepperError(
        f"Since {change.began[:10]} the secrets go over to a new pepper, and this process does not know it.",
        hint=f"Copy {NEXT_FILE} into {folder} from where the rotation was begun, or set {VARIABLE} to it and start "
        "anew; nothing was written.",
    )


def sound(pepper: str) -> str:
    """A new pepper that a file, an environment and Quilltap can hold. Raises PepperError that does not repeat it."""
    problem = next(_problems(pepper), None)
    if problem:
        raise PepperError(f"The new pepper {problem}.", hint="Give another one; nothing was changed.")
    return pepper


def _problems(pepper: str) -> Iterator[str]:
    if len(pepper) < PEPPER_LENGTH:
        yield f"has {len(pepper)} characters, it needs {PEPPER_LENGTH} or more"
    if pepper != pepper.strip() or not pepper.isprintable():
        yield "begins or ends with a space, or holds a character that cannot be printed"
