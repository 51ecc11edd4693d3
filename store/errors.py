"""The one tree of errors: every refusal of the store, as a sentence and a next step.

::

    StoreError
    ├── SettingsError               a setting is wrong; the program does not start
    ├── InvalidValueError           a value that one of the two sides cannot hold
    │   ├── JsonSyntaxError         text that is not JSON; names line and column (store.codec)
    │   └── InvalidRecordError      a record that is not what its document says; names record and field
    ├── NotFoundError               there is no such record
    ├── ConflictError               somebody else changed the record since it was read
    ├── DuplicateError              a value that has to be unique is taken
    ├── MissingReferenceError       a link names a record that is not there
    ├── StillInUseError             a delete is refused because others need the record
    ├── SecretError                 an encrypted value that cannot be decrypted
    ├── PepperError                 the pepper is being replaced, or is not the one the secrets are under
    ├── PictureError                bytes that are no picture Tandem keeps
    ├── CardError                   a character card that cannot be read (store.cards)
    │   └── PngError                a picture that cannot be read as PNG
    ├── ProviderError               a provider that is not asked, or whose answer is of no use
    │   ├── RefusedError            a provider that does not take the key (store.providers)
    │   └── NoListError             a provider that has no list of models there
    ├── CancelledError              long work was asked to stop
    ├── SwitchedError               another process has gone over to another backend
    ├── DatabaseError               the SQL side did not answer, or refused
    │   └── DatabaseHeldError       another program holds it
    └── JsonSideError               the JSON side could not be read or written
        ├── UnreadableError         a file or line that cannot be parsed or validated: never taken for missing
        ├── StorageFullError        no space (or quota) left
        ├── ReadOnlyError           not writable: read-only file system or missing rights
        ├── LockedError             another process holds the store lock
        ├── OutcomeUnknownError     the disk did not confirm a change: it may be there, or may still come
        └── NotInStepError          the two sides were never brought together, so nothing is written over either
"""

from collections.abc import Sequence


class StoreError(Exception):
    """A refusal of the store.

    ``message`` is one sentence for a person, without driver text; ``hint`` says what that person can do next.
    The lower library's error hangs on ``__cause__``.
    """

    hint_by_default = "Try again; if it happens again, look at the log."

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.hint_by_default

    def __str__(self) -> str:
        return self.message

    @property
    def sentence(self) -> str:
        """Message and next step in one text."""
        return f"{self.message} {self.hint}"


class SettingsError(StoreError):
    """A setting is wrong; the message names every wrong one."""

    hint_by_default = "Correct it in the environment or in .env and start again."


class InvalidValueError(StoreError):
    """A value that one of the two sides cannot hold (NaN, a NUL character, a lone surrogate, an endless number)."""

    hint_by_default = "Change the value and save again; nothing was written."


class InvalidRecordError(InvalidValueError):
    """A record is not what its document says. ``problems`` maps a field's name to what is wrong with it."""

    def __init__(self, record: str, problems: dict[str, str], *, hint: str | None = None) -> None:
        told = "; ".join(f"{field}: {reason}" for field, reason in problems.items())
        super().__init__(f"{record} is not valid: {told}.", hint=hint)
        self.record = record
        self.problems = problems


class NotFoundError(StoreError):
    """There is no such record (any more)."""

    hint_by_default = "Go back to the list and reload it."


class ConflictError(StoreError):
    """Somebody else changed the record since it was read. ``current`` is the record as it is now."""

    hint_by_default = "Compare both versions and choose what to keep; nothing was written."

    def __init__(self, message: str, *, current: object = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.current = current


class DuplicateError(StoreError):
    """A value that has to be unique is taken."""

    hint_by_default = "Choose another value, or edit the record that has it; nothing was written."


class MissingReferenceError(StoreError):
    """A link names a record that is not there."""

    hint_by_default = "Choose a record that exists; nothing was written."


class StillInUseError(StoreError):
    """A delete is refused because other records need this one. ``users``: who stands in the way, (kind, id, name)."""

    hint_by_default = "Change or delete those records first; nothing was deleted."

    def __init__(self, message: str, *, hint: str | None = None, users: Sequence[tuple[str, str, str]] = ()) -> None:
        super().__init__(message, hint=hint)
        self.users = list(users)


class SecretError(StoreError):
    """An encrypted value cannot be decrypted. The message names no value and no part of one."""

    hint_by_default = "Check that ENCRYPTION_MASTER_PEPPER is the one it was encrypted with, or enter the secret anew."


class PepperError(StoreError):
    """The pepper is being replaced, or is not the one the secrets are under."""

    hint_by_default = "See what flask --app app secrets check says, and try again; nothing was changed."


class PictureError(StoreError):
    """Bytes are no picture that Tandem keeps: another format, damaged, or too large."""

    hint_by_default = "Save it as PNG, JPEG, WebP or GIF in an image program, and choose that file."


class DatabaseError(StoreError):
    """The SQL side did not answer, or refused."""

    hint_by_default = "Check DATABASE_URL and that the database runs, then try again; nothing was written."


class DatabaseHeldError(DatabaseError):
    """Another program holds the database."""

    hint_by_default = "Wait for it and try again."


class ProviderError(StoreError):
    """A provider is not asked, or gave no answer that says anything. The message repeats nothing the provider said."""

    hint_by_default = "Check the base URL and that the provider can be reached from here, then test again."


class CancelledError(StoreError):
    """Long work was asked to stop, and did: what counted before still counts."""

    hint_by_default = "Start it again whenever you like."


class SwitchedError(StoreError):
    """Another process was started with another DATA_BACKEND; this one may only read."""

    hint_by_default = "Nothing was written. Start this process anew with the same DATA_BACKEND."


class JsonSideError(StoreError):
    """The JSON side could not be read or written."""

    hint_by_default = "Tandem tries again by itself; if it stays, check the folder named above."


class UnreadableError(JsonSideError):
    """A file or line that cannot be parsed or validated. ``line`` counts from 1; None where it is the whole file."""

    def __init__(self, path: str, reason: str, *, line: int | None = None, hint: str | None = None) -> None:
        place = path if line is None else f"{path}, line {line},"
        super().__init__(
            f"{place} cannot be read: {reason}.",
            hint=hint or "Mend the file or move it out of the folder; until then Tandem leaves it exactly as it is.",
        )
        self.path, self.line, self.reason = path, line, reason


class StorageFullError(JsonSideError):
    """No space, quota or file handles left for the JSON side."""

    hint_by_default = "Free some space; Tandem then writes what is missing by itself."


class ReadOnlyError(JsonSideError):
    """The JSON side is not writable."""

    hint_by_default = "Make the folder writable for Tandem; it then writes what is missing by itself."


class LockedError(JsonSideError):
    """Another process holds the store lock."""

    hint_by_default = "Wait for the other process to finish; Tandem then writes what is missing by itself."


class OutcomeUnknownError(JsonSideError):
    """The disk did not confirm a change: after a power cut it is wholly there or not at all."""

    hint_by_default = "Look whether the change is there before you make it again, and check the disk."


class NotInStepError(JsonSideError):
    """The two sides were never brought together, so nothing is written over either."""

    hint_by_default = "See the home page: it says which side holds what, and offers the way to bring them together."
