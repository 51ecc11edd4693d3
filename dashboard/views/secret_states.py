"""What a page may say of an encrypted value: to viewers that it is there; to others also whether it can be read, and at
most a mask of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import url_for

from store.errors import StoreError
from store.peppers import DONE
from store.secrets import API_KEY, BACKUP_CODES, TOTP_SECRET, Cipher, Names, mask
from store.secrets_check import unfinished
from store.survey import Survey, Surveyed

SURVEY_S = 0.3  # a page waits so long for secrets that nobody has looked at yet
NAMED = 10  # failing secrets that a page names


@dataclass(frozen=True)
class SecretState:
    """Of a secret. ``problem`` says why it does not decrypt; ``masked`` is for those who may see that much.

    For those who may know no more than that it is there, ``is_told`` is False and nothing was decrypted.
    """

    is_set: bool
    problem: StoreError | None = None
    is_told: bool = True
    masked: str = field(default="", repr=False)

    @property
    def decrypts(self) -> bool:
        return self.is_set and self.is_told and self.problem is None

    @property
    def words(self) -> str:
        if not self.is_set:
            return "not set"
        if not self.is_told:
            return "set"
        return "set, decrypts" if self.decrypts else "set, does not decrypt"


def state_of(
    decrypt: Callable[[str, Cipher], Any],
    user_id: str,
    record: Mapping[str, Any],
    names: Names,
    *,
    tells: bool,
    shows_mask: bool = False,
) -> SecretState:
    """The state of the secret whose parts a record has under these names. Gives none of it away but the mask.

    Without ``tells`` it says only whether there is one.
    """
    cipher = Cipher.found_in(record, names)
    if cipher is None:
        return SecretState(False)
    if not tells:
        return SecretState(True, is_told=False)
    try:
        text = decrypt(user_id, cipher)
    except StoreError as error:
        return SecretState(True, error)
    return SecretState(True, masked=mask(text) if shows_mask else "")


@dataclass(frozen=True)
class Overview:
    """All secrets at a glance. ``failing``: name and address of some that do not decrypt; ``unfinished``: what to say
    of a rotation that is not over, and what to do next."""

    found: Surveyed
    failing: list[tuple[str, str]]
    unfinished: tuple[str, str] | None

    @property
    def more(self) -> int:
        """How many more do not decrypt than are named."""
        return len(self.found.failing) - len(self.failing)


def overview(survey: Survey) -> Overview | None:
    """How many secrets decrypt and which do not; None where that cannot be found out now."""
    try:
        found = survey.look(SURVEY_S)
    except StoreError:  # what stands in the way is told on its own
        return None
    failing = [
        (_SPOKEN[one.column].format(one.title or one.id), url_for(_PAGES[one.kind], id=one.id))
        for one in found.failing[:NAMED]
    ]
    change = found.change
    return Overview(found, failing, unfinished(change) if change and change.phase != DONE else None)


_PAGES = {"key": "keys.details_view", "user": "users.details_view"}
_SPOKEN = {
    API_KEY.ciphertext: "the API key “{}”",
    TOTP_SECRET.ciphertext: "the TOTP secret of {}",
    BACKUP_CODES.ciphertext: "the backup codes of {}",
}
