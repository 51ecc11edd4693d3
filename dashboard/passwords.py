"""Passwords: what a good one is, how it is kept, and whether it is the right one."""

import base64
import functools
import secrets
import unicodedata
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST, LONGEST = 8, 128  # characters, of any kind


@functools.cache
def common_passwords() -> frozenset[str]:
    """The passwords that guessing programs try first, in lower case."""
    text = Path(__file__).with_name("common_passwords.txt").read_text("utf-8")
    return frozenset(line for line in text.splitlines() if line and not line.startswith("#"))


def weakness(password: str, name: str) -> str | None:
    """What is wrong with a new password for the account ``name``, in words; None when nothing is."""
    if len(password) < SHORTEST:
        return f"it needs {SHORTEST} characters or more"
    if len(password) > LONGEST:
        return f"it has {len(password)} characters, at most {LONGEST} are allowed"
    if any("\ud800" <= character <= "\udfff" for character in password):
        return "it holds bytes that are not text"
    if password.casefold() == name.casefold():
        return "it is the same as the name"
    if password.casefold() in common_passwords():
        return "it is one of the passwords that are guessed first"
    return None


def made_password() -> str:
    """A new password that nobody guesses (100 random bits), in five groups that can be read out."""
    letters = base64.b32encode(secrets.token_bytes(13)).decode().lower()[:20]
    return "-".join(letters[at : at + 4] for at in range(0, 20, 4))


class Passwords:
    """Hashes with Argon2id. ``hasher`` carries its cost; a test takes a cheap one."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()

    def hash(self, password: str) -> str:
        """What is kept instead of the password; it says with which cost it was made."""
        return self._hasher.hash(_bytes(password))

    def right(self, password: str, kept: str | None) -> bool:
        """Whether ``password`` is the one that ``kept`` was made from.

        With None (there is no such account) it takes as long and says no: the time does not tell who has an account.
        """
        if len(password) > LONGEST:
            password = ""
        try:
            return self._hasher.verify(kept or self._nobody, _bytes(password)) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def outdated(self, kept: str) -> bool:
        """Whether the hash was made with another cost than today's."""
        return self._hasher.check_needs_rehash(kept)

    @functools.cached_property
    def _nobody(self) -> str:
        return self.hash("the password of nobody")


def _bytes(password: str) -> bytes:
    # One spelling of each character: keyboards differ in how they send an ü.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
