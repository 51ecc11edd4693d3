"""What Quilltap encrypted is read, what Tandem encrypts Quilltap reads, and nothing of it is ever told."""

import hashlib
import logging
import pickle
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from store import secrets as module
from store.errors import InvalidValueError, SecretError, StoreError
from store.secrets import API_KEY, BACKUP_CODES, IN_JSON, TOTP_SECRET, Cipher, Secrets, mask

pytestmark = pytest.mark.slow  # derives keys, which is slow on purpose

USER = "9b2d1c3e-0000-4000-8000-000000000001"
PEPPER = "test-pepper-for-unit-tests-32-chars-long!"
TEXT = "sk-tëst-🔑"
CIPHER = Cipher("3f502d28983e1b1dd86c921459", "ab60649bfb8e00fcf489d8435e54b390", "f104fd4a506e9a8c92c0e711bd5215e9")

SECRETS = Secrets(PEPPER)  # deriving a key is slow, so the tests share it


def refusal(work: Callable[[], Any], kind: type[StoreError] = SecretError) -> StoreError:
    with pytest.raises(kind) as caught:
        work()
    return caught.value


def everything_told(error: BaseException | None) -> str:
    """What a log, a debugger or an error reporter could show of an error and all it hangs on."""
    told = ""
    while error is not None:
        told += f"{error} {error!r} {vars(error)} {''.join(traceback.format_exception(error))}"
        error = error.__cause__ or error.__context__
    return told


def test_what_quilltap_encrypted_is_read() -> None:
    assert Secrets(PEPPER).decrypt(USER, CIPHER) == TEXT


def test_what_is_encrypted_has_the_shape_quilltap_reads() -> None:
    cipher = SECRETS.encrypt(USER, TEXT)
    assert [len(part) for part in (cipher.ciphertext, cipher.iv, cipher.auth_tag)] == [26, 32, 32]
    assert all(part == part.lower() for part in (cipher.ciphertext, cipher.iv, cipher.auth_tag))
    # The recipe, once more and by hand.
    key = hashlib.pbkdf2_hmac("sha256", USER.encode(), PEPPER.encode(), 100_000, 32)
    packed = bytes.fromhex(cipher.ciphertext + cipher.auth_tag)
    assert AESGCM(key).decrypt(bytes.fromhex(cipher.iv), packed, None).decode() == TEXT


def test_the_same_text_never_becomes_the_same_cipher() -> None:
    assert len({SECRETS.encrypt(USER, TEXT) for _ in range(20)}) == 20


@settings(max_examples=30)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=100))
def test_a_text_comes_back(text: str) -> None:
    assert SECRETS.decrypt(USER, SECRETS.encrypt(USER, text)) == text


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=10), max_size=10))
def test_backup_codes_come_back(codes: list[str]) -> None:
    assert SECRETS.decrypt_codes(USER, SECRETS.encrypt_codes(USER, codes)) == codes


def test_backup_codes_are_spelled_as_quilltap_spells_them() -> None:
    assert SECRETS.decrypt(USER, SECRETS.encrypt_codes(USER, ["A1B2C3D4", "é"])) == '["A1B2C3D4","é"]'


def test_capital_hex_is_read_too() -> None:
    parts = (CIPHER.ciphertext.upper(), CIPHER.iv.upper(), CIPHER.auth_tag.upper())
    assert SECRETS.decrypt(USER, Cipher(*parts)) == TEXT


def test_an_empty_text_is_refused() -> None:
    assert "empty" in refusal(lambda: SECRETS.encrypt(USER, ""), InvalidValueError).message


@pytest.mark.parametrize(
    ("pepper", "user"),
    [(PEPPER + "x", USER), (PEPPER, USER.upper()), (PEPPER, "another"), (PEPPER, "")],
)
def test_another_pepper_or_another_user_cannot_read_it(pepper: str, user: str) -> None:
    error = refusal(lambda: Secrets(pepper).decrypt(user, CIPHER))
    assert error.message == "The secret cannot be decrypted with this pepper for this user."
    assert "ENCRYPTION_MASTER_PEPPER" in error.hint


@pytest.mark.parametrize("part", ["ciphertext", "iv", "auth_tag"])
@pytest.mark.parametrize("bad", ["", None, 5, "xyz", "abc", "ab cd", " ab", "ab\n", "éé", "ab" * 15 + "ag"])
def test_a_damaged_part_is_refused(part: str, bad: Any) -> None:
    error = refusal(lambda: SECRETS.decrypt(USER, replace(CIPHER, **{part: bad})))
    assert "has no" in error.message or "is damaged" in error.message
    assert not bad or str(bad) not in error.message


@pytest.mark.parametrize("part", ["iv", "auth_tag"])
@pytest.mark.parametrize("length", [8, 24, 30, 34])
def test_a_part_of_another_length_is_refused(part: str, length: int) -> None:
    assert "is damaged" in refusal(lambda: SECRETS.decrypt(USER, replace(CIPHER, **{part: "ab" * length}))).message


@pytest.mark.parametrize("part", ["ciphertext", "iv", "auth_tag"])
def test_one_changed_bit_is_noticed(part: str) -> None:
    data = bytearray.fromhex(getattr(CIPHER, part))
    data[3] ^= 1
    refusal(lambda: SECRETS.decrypt(USER, replace(CIPHER, **{part: data.hex()})))


def encrypted(data: bytes) -> Cipher:
    """Bytes encrypted as Tandem would never do it."""
    packed = AESGCM(hashlib.pbkdf2_hmac("sha256", USER.encode(), PEPPER.encode(), 100_000, 32)).encrypt(
        bytes(16), data, None
    )
    return Cipher(packed[:-16].hex(), bytes(16).hex(), packed[-16:].hex())


def test_bytes_that_are_no_text_are_refused() -> None:
    cipher = encrypted(b"hidden\xff")
    error = refusal(lambda: SECRETS.decrypt(USER, cipher))
    assert "not text" in error.message
    assert "hidden" not in everything_told(error)


@pytest.mark.parametrize("data", ['{"hidden": 1}', '["hidden", 1]', '"hidden"', "hidden", '["hidden"', "[" * 99_999])
def test_what_is_no_list_of_codes_is_refused(data: str) -> None:
    cipher = SECRETS.encrypt(USER, data)
    error = refusal(lambda: SECRETS.decrypt_codes(USER, cipher))
    assert "no list of codes" in error.message
    assert "hidden" not in everything_told(error)


# --- nothing is told


def test_no_repr_tells_anything() -> None:
    own = Secrets(PEPPER)
    own.decrypt(USER, CIPHER)
    for told in (repr(own), str(own), repr(CIPHER), str(CIPHER), f"{[CIPHER]}"):
        assert not any(secret in told for secret in (PEPPER, TEXT, CIPHER.ciphertext, CIPHER.iv, CIPHER.auth_tag))


def test_no_error_and_no_log_tells_anything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hidden = "hidden-\ud83d"
    errors = [
        refusal(lambda: SECRETS.encrypt(USER, hidden), InvalidValueError),
        refusal(lambda: Secrets(hidden), InvalidValueError),
        refusal(lambda: SECRETS.encrypt(hidden, TEXT), InvalidValueError),
        refusal(lambda: SECRETS.decrypt("another", CIPHER)),
        refusal(lambda: SECRETS.decrypt(USER, replace(CIPHER, auth_tag="ab" * 15))),
    ]
    for error in errors:
        # Source lines in the traceback name variables only, as long as no test spells a secret in its call.
        told = everything_told(error)
        assert not any(secret in told for secret in ("hidden-", PEPPER, TEXT, CIPHER.ciphertext, CIPHER.auth_tag))
    assert caplog.text == ""


def test_it_cannot_be_pickled_by_mistake() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(SECRETS)


# --- the keys


def counted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The users whose key was derived, in order; a quick derivation takes the place of the slow one."""
    asked: list[bytes] = []

    def derive(name: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
        assert (name, iterations, length) == ("sha256", 100_000, 32)
        asked.append(password)
        return hashlib.sha256(password + salt).digest()

    monkeypatch.setattr(module.hashlib, "pbkdf2_hmac", derive)
    return asked


def test_a_key_is_derived_once_per_user(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    own = Secrets(PEPPER)
    ciphers = {user: own.encrypt(user, TEXT) for user in ("a", "b", "a", "b")}
    assert own.decrypt("a", ciphers["a"]) == TEXT
    assert asked == [b"a", b"b"]


def test_the_keys_of_the_users_seen_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    own = Secrets(PEPPER)
    for user in ("first", "second", *map(str, range(module.KEPT_KEYS - 2)), "first", "one more", "first"):
        own.encrypt(user, TEXT)
    assert asked.count(b"first") == 1
    own.encrypt("second", TEXT)
    assert asked.count(b"second") == 2


def test_threads_share_one_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = counted(monkeypatch)
    own, start = Secrets(PEPPER), threading.Barrier(8)

    def work(_: int) -> Cipher:
        start.wait(5)
        return own.encrypt(USER, TEXT)

    with ThreadPoolExecutor(8) as pool:
        ciphers = list(pool.map(work, range(8)))
    assert asked == [USER.encode()]
    assert {own.decrypt(USER, cipher) for cipher in ciphers} == {TEXT}


# --- where ciphers stand, and how secrets are shown


@pytest.mark.parametrize("names", [API_KEY, TOTP_SECRET, BACKUP_CODES, IN_JSON])
def test_a_cipher_is_found_where_it_was_put(names: Any) -> None:
    assert Cipher.found_in({"id": 1, **CIPHER.spelled(names)}, names) == CIPHER


def test_a_cipher_that_is_not_there_is_none_and_half_a_one_is_damaged() -> None:
    assert Cipher.found_in({"totpSecret": None}, TOTP_SECRET) is None
    half = Cipher.found_in({"totpSecret": CIPHER.ciphertext, "totpSecretIv": None}, TOTP_SECRET)
    assert half == Cipher(CIPHER.ciphertext, "", "")
    assert refusal(lambda: SECRETS.decrypt(USER, half)).message == "The secret has no IV."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", "••••••••••••"),
        ("12345678901", "••••••••••••"),
        ("123456789012", "12345678••••9012"),
        ("sk-proj-abcdefghijklmnop", "sk-proj-••••mnop"),
    ],
)
def test_a_secret_is_shown_masked(text: str, shown: str) -> None:
    assert mask(text) == shown
