"""What a page may say of an encrypted value: to viewers that it is there; to others also whether it can be read, and at
most a mask of it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from store.errors import StoreError
from store.secrets import Cipher, Names, mask


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
