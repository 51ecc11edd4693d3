"""Secrets on both sides: decrypted in memory, compared by what they say, and never told."""

from dataclasses import dataclass

from store.errors import SecretError
from store.mapping import Row
from store.secrets import CIPHERS, Cipher, Secrets
from store.validation.report import FailedSecret, SecretCount


@dataclass(frozen=True)
class Looked:
    """What became of a record's secrets. ``same``: columns that are spelled otherwise and say the same."""

    count: SecretCount
    same: frozenset[str]
    notes: tuple[str, ...]


class SecretsCheck:
    """Decrypts with one installation's pepper."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def look(self, kind: str, model: str, shown: str, sql: Row | None, json: Row | None) -> Looked:
        """Decrypt what a record has of secrets on both sides."""
        count, same, notes = SecretCount(), set[str](), []
        for names, owner in CIPHERS.get(kind, ()):
            user = next((row[owner] for row in (sql, json) if row is not None and row.get(owner)), None)
            ciphers = {
                side: found
                for side, row in (("sql", sql), ("json", json))
                if row is not None and (found := Cipher.found_in(row, names))
            }
            count.checked += len(ciphers)
            texts = {side: self._text(user, one) for side, one in ciphers.items()}
            failed = [side for side, text in texts.items() if text is None]
            if failed and _never_was_one(list(ciphers.values())):
                notes.append(f"{model} {shown}: {names.ciphertext} was not complete from the start.")
                continue
            count.failures += [FailedSecret(model, shown, names.ciphertext, side) for side in failed]
            if len(texts) == 2 and not failed and texts["sql"] == texts["json"] and ciphers["sql"] != ciphers["json"]:
                same |= set(names)
                notes.append(f"{model} {shown}: {names.ciphertext} is encrypted otherwise, and says the same.")
        return Looked(count, frozenset(same), tuple(notes))

    def _text(self, user: object, cipher: Cipher) -> str | None:
        try:
            return self._secrets.decrypt(user, cipher) if isinstance(user, str) else None
        except SecretError:
            return None


def _never_was_one(ciphers: list[Cipher]) -> bool:
    """Whether every side has the same parts, and those are none of a cipher."""
    return all(one == ciphers[0] for one in ciphers) and not ciphers[0].is_whole
