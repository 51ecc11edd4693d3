"""Quilltap's encryption of API keys, TOTP secrets and backup codes: what one program wrote the other can read.

AES-256-GCM with a 16-byte IV; the key comes from the user's id and the pepper (PBKDF2-HMAC-SHA256), so a secret is lost
when its user's id changes. Nothing of a plaintext, a key or the pepper is in a message, a repr or a chained error.
"""

import contextlib
import hashlib
import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import InvalidValueError, SecretError

ITERATIONS = 100_000
KEPT_KEYS = 256  # a derivation costs tens of milliseconds, so the keys of the users seen last are kept
_BYTES_OF_IV = _BYTES_OF_TAG = 16
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_BULLET = "•"


class Names(NamedTuple):
    """What the three parts of a cipher are called in one place."""

    ciphertext: str
    iv: str
    auth_tag: str


API_KEY = Names("keyEncrypted", "keyIv", "keyAuthTag")
TOTP_SECRET = Names("totpSecret", "totpSecretIv", "totpSecretAuthTag")
BACKUP_CODES = Names("backupCodes", "backupCodesIv", "backupCodesAuthTag")
IN_JSON = Names("ciphertext", "iv", "authTag")
# Kind -> the ciphers of its records, and the column that names the user they are encrypted for.
CIPHERS: Final[dict[str, tuple[tuple[Names, str], ...]]] = {
    "user": ((TOTP_SECRET, "id"), (BACKUP_CODES, "id")),
    "key": ((API_KEY, "userId"),),
}


@dataclass(frozen=True)
class Cipher:
    """An encrypted text: three lower-case hex strings, the tag apart from the ciphertext."""

    ciphertext: str = field(repr=False)
    iv: str = field(repr=False)
    auth_tag: str = field(repr=False)

    @classmethod
    def found_in(cls, record: Mapping[str, Any], names: Names) -> Self | None:
        """The cipher in a row or a JSON object; None where all three parts are null or absent."""
        parts = [record.get(name) for name in names]
        if all(part is None for part in parts):
            return None
        # One part without the others is a damaged cipher; decrypt says so.
        return cls(*("" if part is None else part for part in parts))

    @property
    def is_whole(self) -> bool:
        """Whether it has all its parts, in the forms they must have: only then some pepper can have made it."""
        parts = (self.ciphertext, self.iv, self.auth_tag)
        if not all(isinstance(part, str) and _HEX.fullmatch(part) for part in parts):
            return False
        return len(self.iv) == 2 * _BYTES_OF_IV and len(self.auth_tag) == 2 * _BYTES_OF_TAG

    def spelled(self, names: Names) -> dict[str, str]:
        """The three parts under the names of a row or a JSON object."""
        return dict(zip(names, (self.ciphertext, self.iv, self.auth_tag), strict=True))


class Keys:
    """The derived keys that were asked for last. May be shared by threads, and by all who encrypt."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[bytes, str], bytes] = OrderedDict()
        self._made: dict[tuple[bytes, str], threading.Lock] = {}  # those that somebody derives just now
        self._lock = threading.Lock()

    def derive(self, pepper: bytes, user_id: str) -> bytes:
        """The key of a user under a pepper."""
        asked, password = (pepper, user_id), _as_bytes(user_id, "The user's id")
        with self._lock:
            made = self._made.setdefault(asked, threading.Lock())
        with made:  # whoever comes second has no use for a derivation of their own; other keys wait for none
            with self._lock:
                key = self._kept.get(asked)
            if key is None:
                key = hashlib.pbkdf2_hmac("sha256", password, pepper, ITERATIONS, 32)
            with self._lock:
                self._made.pop(asked, None)
                self._kept[asked] = key
                self._kept.move_to_end(asked)
                if len(self._kept) > KEPT_KEYS:
                    self._kept.popitem(last=False)
        return key


class Secrets:
    """Encrypts under one pepper, and reads what is under it or under others. May be shared by threads."""

    def __init__(self, *peppers: str, keys: Keys | None = None) -> None:
        self.keys = keys or Keys()
        self._peppers: tuple[tuple[bytes, ...], tuple[bytes, ...]] = ((), ())  # in use, and retired
        # Asked when a secret does not decrypt: whether other peppers are known since (then it is tried again).
        self.look_again: Callable[[], bool] = lambda: False
        self.use(*peppers)

    def use(self, *peppers: str, retired: Sequence[str] = ()) -> bool:
        """From now on encrypt under the first of these peppers, and read what is under any of them. What is under a
        retired one is read only by who asks for that. Whether the peppers are other ones now."""
        before = self._peppers
        read = tuple(dict.fromkeys(_as_bytes(pepper, "The pepper") for pepper in peppers))
        late = dict.fromkeys(_as_bytes(pepper, "The pepper") for pepper in retired)
        self._peppers = read, tuple(one for one in late if one not in read)
        return self._peppers != before

    def encrypt(self, user_id: str, text: str) -> Cipher:
        """Encrypt an API key or a TOTP secret for a user; never twice the same cipher.

        Raises InvalidValueError for an empty text and for half of a surrogate pair.
        """
        if not text:
            raise InvalidValueError("An empty secret cannot be encrypted.", hint="Give the secret, or remove it.")
        return self.seal(user_id, _as_bytes(text, "The secret"))

    def seal(self, user_id: str, plain: bytes) -> Cipher:
        """Encrypt bytes for a user, under the pepper in use."""
        iv = secrets.token_bytes(_BYTES_OF_IV)
        packed = AESGCM(self.keys.derive(self._peppers[0][0], user_id)).encrypt(iv, plain, None)
        return Cipher(packed[:-_BYTES_OF_TAG].hex(), iv.hex(), packed[-_BYTES_OF_TAG:].hex())

    def open(self, user_id: str, cipher: Cipher, *, retired: bool = False) -> tuple[bytes, int]:
        """What is encrypted, and the place of the pepper it is under: 0 for the one that is written under. ``retired``
        ones come last. Raises SecretError as ``decrypt`` does."""
        ciphertext = _part(cipher.ciphertext, "ciphertext")
        iv = _part(cipher.iv, "IV", _BYTES_OF_IV)
        tag = _part(cipher.auth_tag, "tag", _BYTES_OF_TAG)
        in_use, late = self._peppers
        for place, pepper in enumerate((*in_use, *late) if retired else in_use):
            with contextlib.suppress(InvalidTag):
                return AESGCM(self.keys.derive(pepper, user_id)).decrypt(iv, ciphertext + tag, None), place
        if self.look_again():
            return self.open(user_id, cipher, retired=retired)
        raise SecretError("The secret cannot be decrypted with this pepper for this user.")

    def decrypt(self, user_id: str, cipher: Cipher) -> str:
        """The text of an API key or a TOTP secret.

        Raises SecretError when a part is missing or damaged, and when the pepper or the user's id is another one.
        """
        plain, _ = self.open(user_id, cipher)
        try:
            return plain.decode("utf-8")
        except UnicodeDecodeError:
            pass  # the error holds the bytes: the refusal is raised where it cannot hang on it
        raise SecretError("The secret was decrypted, but it is not text.", hint=_ANEW)

    def encrypt_codes(self, user_id: str, codes: Sequence[str]) -> Cipher:
        """Encrypt backup codes: together, as a JSON array of strings. There may be none left."""
        return self.encrypt(user_id, json.dumps(list(codes), ensure_ascii=False, separators=(",", ":")))

    def decrypt_codes(self, user_id: str, cipher: Cipher) -> list[str]:
        """The backup codes. Raises SecretError as ``decrypt`` does, and when they are no JSON array of strings."""
        text = self.decrypt(user_id, cipher)
        try:
            codes = json.loads(text)
        except (ValueError, RecursionError):
            codes = None  # the error holds the text
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            raise SecretError("The backup codes were decrypted, but they are no list of codes.", hint=_ANEW)
        return codes


_ANEW = "Enter the secret anew."


def mask(text: str) -> str:
    """A secret as it may be shown: its first eight and last four characters; nothing of one shorter than twelve."""
    return _BULLET * 12 if len(text) < 12 else f"{text[:8]}{_BULLET * 4}{text[-4:]}"


def _as_bytes(text: str, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        pass  # the error holds the text
    raise InvalidValueError(f"{what} holds half of a surrogate pair, which UTF-8 cannot spell.")


def _part(text: str, what: str, size: int | None = None) -> bytes:
    if not isinstance(text, str) or not text:  # a row of a foreign hand
        raise SecretError(f"The secret has no {what}.", hint=_ANEW)
    if not _HEX.fullmatch(text) or (size is not None and len(text) != 2 * size):
        raise SecretError(f"The secret's {what} is damaged.", hint=_ANEW)
    return bytes.fromhex(text)
