"""Replacing the pepper: every secret is encrypted anew on both sides, and none is ever under neither pepper.

Both peppers are on the disk before the first secret changes; each secret changes with one ordinary write of its record.
Killed anywhere, the next run goes on. ``docs/secrets.md`` has the protocol.
"""

import contextlib
import secrets as chance
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from store import Store, secrets_check
from store.audit import STARTED, because
from store.errors import (
    ConflictError,
    InvalidRecordError,
    LockedError,
    NotInStepError,
    PepperError,
    StoreError,
    UnreadableError,
)
from store.files.shelves import Entity
from store.peppers import DONE, NEXT_FILE, VARIABLE, WAITING, Change, sound
from store.progress import Progress
from store.secrets import API_KEY, CIPHERS, Cipher
from store.secrets_check import DECRYPTS, FAILS, SIDES, STAYS, Held, Judge, Judged
from store.settings import PEPPER_FILE

ROUNDS = 3  # looks at both sides, until nothing is left to do
ATTEMPTS = 20  # of one record that others change all the while
_AGAIN = (
    "Every secret opens under one of the peppers that are kept. Mend what is told, and run it again. --skip-unreadable "
    "leaves behind what cannot be read or written."
)
_PHASES = {
    DONE: "Every secret that decrypts is under the pepper in use.",
    WAITING: "Every secret that decrypts is under the new pepper; the environment does not name it yet.",
}
_NEW_BYTES = 36  # of chance in a pepper that is made


@dataclass
class RotationReport:
    """What a run did. ``left``: secrets that nothing opens, or whose record cannot be written: they are as they
    were."""

    change: Change | None = None
    encrypted: int = 0
    left: list[Judged] = field(default_factory=list)
    advice: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        phase = self.change.phase if self.change else None
        told = {"phase": phase, "back": bool(self.change and self.change.back), "encrypted": self.encrypted}
        left = [one.as_json() for one in self.left]
        return {**told, "left": left, "advice": self.advice, "seconds": round(self.seconds, 3)}

    def as_text(self) -> str:
        lines = [f"Left as it is: {one.sentence}" for one in self.left]
        what = "1 secret was" if self.encrypted == 1 else f"{self.encrypted} secrets were"
        return "\n".join([*lines, f"{what} encrypted anew.", *self.advice])


def rotate(
    store: Store, new: str | None = None, *, skip_unreadable: bool = False, progress: Progress | None = None
) -> RotationReport:
    """Bring every secret under a new pepper: the one given, or one that is made. An unfinished rotation is gone on
    with.

    Raises PepperError when secrets do not decrypt to begin with (unless they are to be skipped), and while something
    stays under the old pepper; NotInStepError; CancelledError. What was done by then stands, and both peppers are kept.
    """
    with _alone(store):
        change = store.peppers.change()
        if change is None or change.phase == DONE:
            change = _begin(store, new, skip_unreadable)
        elif new is not None and store.peppers.fingerprint(new) != change.new:
            raise PepperError(
                "A rotation to another pepper is unfinished.",
                hint="Finish it first (secrets rotate, without a new pepper), or take it back with --abort.",
            )
        return _Run(store, skip_unreadable, progress or Progress()).go(change)


def take_back(store: Store, *, skip_unreadable: bool = False, progress: Progress | None = None) -> RotationReport:
    """Bring every secret back under the pepper of before. Raises PepperError when no rotation is unfinished, and else
    as ``rotate`` does."""
    with _alone(store):
        peppers, change = store.peppers, store.peppers.change()
        if change is None or change.phase == DONE:
            raise PepperError(
                "No rotation is unfinished, so there is nothing to take back.",
                hint="To go back to the pepper of before, rotate to it: secrets rotate --new-pepper-stdin",
            )
        if not change.back:
            new, old = peppers.find(change.old), peppers.find(change.new)
            if new is None or old is None:
                raise PepperError(
                    f"One of the two peppers is not in {peppers.files.folder} any more.",
                    hint="Put its file back there; nothing was changed.",
                )
            change = peppers.begin(new, old, back=True)
            store.audit.note("take back", "pepper", outcome=STARTED)
        return _Run(store, skip_unreadable, progress or Progress()).go(change)


def mend(store: Store, progress: Progress | None = None) -> RotationReport:
    """Encrypt anew, under the pepper in use and for the id its user has now, what is under a kept pepper or was for an
    id its user had before. Raises PepperError while a rotation is unfinished."""
    with _alone(store):
        if (change := store.peppers.change()) and change.phase != DONE:
            sentence, remedy = secrets_check.unfinished(change)
            raise PepperError(sentence, hint=remedy)
        store.peppers.check(change)
        run = _Run(store, False, progress or Progress())
        run.over_all()
        run.report.change = change
        return run.report


@contextlib.contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One at a time, and only where both sides can follow."""
    try:
        lock = store.peppers.lock.hold()
        with lock:
            if not store.step.in_step:
                raise NotInStepError(store.step.sentence, hint=store.step.hint)
            yield
    except LockedError as error:
        raise PepperError(
            "Another process is encrypting the secrets anew, or holds the store.",
            hint="Wait for it to finish, and look at: secrets check",
        ) from error


def _begin(store: Store, new: str | None, skip_unreadable: bool) -> Change:
    peppers = store.peppers
    old = next(iter(peppers.known()[0]))
    if new is None:
        new = peppers.files.read(NEXT_FILE) or chance.token_urlsafe(_NEW_BYTES)  # of a run that was killed early
    sound(new)
    if new == old:
        raise PepperError("The new pepper is the one in use.", hint="Give another one; nothing was changed.")
    if not skip_unreadable and (unreadable := _unreadable(store)):
        count = len(unreadable)
        raise PepperError(
            f"{count} {'secret does' if count == 1 else 'secrets do'} not decrypt: {unreadable[0]}",
            hint="Look at all of them: secrets check. Enter them anew, or leave them as they are: --skip-unreadable",
        )
    change = peppers.begin(new, old)
    store.audit.note("rotate", "pepper", outcome=STARTED)
    return change


def _unreadable(store: Store) -> list[str]:
    """What could not be brought under a new pepper, as sentences."""
    found, problems, present = store.held()
    judge = Judge(store.peppers, secrets_check.former_owners(store.database, present))
    told = [judged.sentence for one in found if (judged := judge.judge(one)).state == FAILS]
    problems += [problem for kind in CIPHERS for problem in store.repositories[kind].find_all().problems]
    return [*told, *dict.fromkeys(problem.message for problem in problems)]


class _Run:
    """One run over all secrets."""

    def __init__(self, store: Store, skip_unreadable: bool, progress: Progress) -> None:
        self._store, self._skip, self._progress = store, skip_unreadable, progress
        self._refused: dict[Entity, StoreError] = {}
        self._judge: Judge | None = None
        self._began = time.monotonic()
        self.report = RotationReport()

    def go(self, change: Change) -> RotationReport:
        """To the end of a rotation, or to the step that a person has to take."""
        peppers = self._store.peppers
        peppers.check(change)
        self.over_all()
        done = peppers.finish(change)
        self.report.change, self.report.advice = done, self._advice(done)
        self._store.audit.note("rotate", "pepper", message=_PHASES[done.phase])
        return self.report

    def over_all(self) -> None:
        """Until both sides hold nothing that could still be brought along. Raises PepperError when that stays so."""
        for round_ in range(ROUNDS):
            judged, problems = self._look()
            todo = dict.fromkeys((one.held.kind, one.held.id) for one in judged if one.state not in STAYS)
            todo = {one: None for one in todo if one not in self._refused}
            if not todo or round_ == ROUNDS - 1:
                break
            self._progress.phase("Encrypting anew", len(todo), share=1 / ROUNDS)
            with because("Encrypted anew: the same secret, another pepper or id."):
                for kind, record_id in todo:
                    self._renew(kind, record_id)
                    self._progress.step()
            if self._store.settings.data_backend != "sql":
                self._store.catch_up()
        self.report.seconds = time.monotonic() - self._began
        self.report.left = [one for one in judged if one.state != DECRYPTS]
        owners = {one.held.owner for one in judged if one.state == DECRYPTS}
        secrets_check.remember_owners(self._store.database, owners)
        self._check(len(judged), problems)

    def _look(self) -> tuple[list[Judged], list[StoreError]]:
        found, problems, present = self._store.held()
        if self._judge is None:
            self._judge = Judge(self._store.peppers, secrets_check.former_owners(self._store.database, present))
        return [self._judge.judge(one) for one in found], problems

    def _check(self, count: int, problems: list[StoreError]) -> None:
        """Raise when something was not brought along that was not to be skipped."""
        stuck = [one for one in self.report.left if one.state not in STAYS]
        waits = [one for one in stuck if (one.held.kind, one.held.id) not in self._refused]
        if self._skip and not waits:
            return
        if not stuck:
            for problem in problems:  # what is in there is not seen
                raise PepperError(f"Not everything could be read: {problem.message}", hint=_AGAIN)
            return
        first = (waits or stuck)[0]
        reasons = [self._refused.get((first.held.kind, first.held.id)), *self._store.problems(), *problems]
        reason = next((f" {one.message}" for one in reasons if one), "")
        raise PepperError(
            f"{len(stuck)} of {count} secrets could not be brought along yet: {first.held.name}, "
            f"{SIDES[first.held.side]}.{reason}",
            hint=_AGAIN,
        )

    def _renew(self, kind: str, record_id: str) -> None:
        """One write of one record. What changed meanwhile is looked at again."""
        repository = self._store.repositories[kind]
        for _ in range(ATTEMPTS):
            try:
                document = repository.find_by_id(record_id)
                if document is None:
                    return
                fields, count = self._fields(kind, document)
                if not fields:
                    return
                # The record was not edited: its date stays.
                fields["updatedAt"] = document.value("updatedAt")
                repository.update(record_id, fields, expected=repository.version(document))
                if kind == "key":
                    old = {name: document.value(name) for name in API_KEY}
                    self._store.key_tests.carry(record_id, old, fields)
            except ConflictError:
                continue
            except (InvalidRecordError, UnreadableError) as error:
                self._refused[kind, record_id] = error
                return
            self.report.encrypted += count
            return

    def _fields(self, kind: str, document: Any) -> tuple[dict[str, Any], int]:
        """The columns to write, and how many secrets they are."""
        fields: dict[str, Any] = {}
        judge, count = self._judge, 0
        assert judge is not None  # made by the look that named this record
        for names, owner in CIPHERS[kind]:
            cipher = Cipher.found_in({name: document.value(name) for name in names}, names)
            if cipher is None:
                continue
            user_id = document.id if kind == "user" else document.value(owner) or self._only_user()
            held = Held(kind, document.id, names.ciphertext, user_id, "sql", cipher)
            plain, state, _ = judge.open(held)
            if plain is not None and state != DECRYPTS:
                fields |= judge.seal(user_id, plain).spelled(names)
                count += 1
        return fields, count

    def _only_user(self) -> str:
        user = self._store.users.get_current_user()
        return user.id if user else ""

    def _advice(self, change: Change) -> list[str]:
        """What a person has to do next."""
        peppers, files = self._store.peppers, self._store.peppers.files
        every = "Every other secret" if self.report.left else "Every secret"
        told = []
        if change.phase == WAITING:
            told += [
                f"{every} is under the new pepper. It is in {files.path(NEXT_FILE)}.",
                f"Now set {VARIABLE} to it, in Tandem's environment or .env and in Quilltap's own, and start both "
                "again. Until then a start with the old one is refused.",
            ]
        elif change.back:
            told.append(f"{every} is under the pepper of before; nothing has to be set anew.")
        elif not peppers.given:
            told += [
                f"{every} is under the new pepper, which is in {files.path(PEPPER_FILE)} now.",
                f"Now set {VARIABLE} to it in Quilltap's own environment, and start Quilltap again.",
            ]
        else:
            told.append(f"{every} is under the new pepper, and the environment names it.")
        side = self._store.side
        if self._store.settings.data_backend == "sql" and side.system.is_folder(side.data_dir):
            told.append(f"The files in {side.data_dir} are not in use and were left as they are: data export.")
        if place := files.kept().get(peppers.find(change.old) or ""):
            told.append(
                f"The other pepper is kept in {place}: earlier generations and backups need it. Delete the file when "
                "they are gone."
            )
        return told
