"""Quilltap's encryption of API keys, TOTP secrets and backup codes: what one program wrote the other can read.

AES-256-GCM with a 16-byte IV; the key comes from the user's id and the pepper (PBKDF2-HMAC-SHA256), so a secret is lost
when its user's id changes. Nothing of a plaintext, a key or the pepper is in a message, a repr or a chained error.
"""

import hashlib
import json
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from store.errors import InvalidValueError, SecretError

ITERATIONS = 100_000
KEPT_KEYS = 64  # a derivation costs tens of milliseconds, so the keys of the users seen last are kept
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

    def spelled(self, names: Names) -> dict[str, str]:
        """The three parts under the names of a row or a JSON object."""
        return dict(zip(names, (self.ciphertext, self.iv, self.auth_tag), strict=True))


class Secrets:
    """Encrypts and decrypts with one pepper. May be shared by threads."""

    def __init__(self, pepper: str) -> None:
        self._pepper = _as_bytes(pepper, "The pepper")
        self._keys: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def encrypt(self, user_id: str, text: str) -> Cipher:
        """Encrypt an API key or a TOTP secret for a user; never twice the same cipher.

        Raises InvalidValueError for an empty text and for half of a surrogate pair.
        """
        if not text:
            raise InvalidValueError("An empty secret cannot be encrypted.", hint="Give the secret, or remove it.")
        plain = _as_bytes(text, "The secret")
        iv = secrets.token_bytes(_BYTES_OF_IV)
        packed = AESGCM(self._key(user_id)).encrypt(iv, plain, None)
        return Cipher(packed[:-_BYTES_OF_TAG].hex(), iv.hex(), packed[-_BYTES_OF_TAG:].hex())

    def decrypt(self, user_id: str, cipher: Cipher) -> str:
        """The text of an API key or a TOTP secret.

        Raises SecretError when a part is missing or damaged, and when the pepper or the user's id is another one.
        """
        ciphertext = _part(cipher.ciphertext, "ciphertext")
        iv = _part(cipher.iv, "IV", _BYTES_OF_IV)
        tag = _part(cipher.auth_tag, "tag", _BYTES_OF_TAG)
        try:
            plain = AESGCM(self._key(user_id)).decrypt(iv, ciphertext + tag, None)
        except InvalidTag as error:
            raise SecretError("The secret cannot be decrypted with this pepper for this user.") from error
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

    def _key(self, user_id: str) -> bytes:
        with self._lock:  # also while deriving: whoever comes second has no use for a derivation of their own
            if user_id not in self._keys:
                password = _as_bytes(user_id, "The user's id")
                self._keys[user_id] = hashlib.pbkdf2_hmac("sha256", password, self._pepper, ITERATIONS, 32)
                if len(self._keys) > KEPT_KEYS:
                    self._keys.popitem(last=False)
            self._keys.move_to_end(user_id)
            return self._keys[user_id]


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
