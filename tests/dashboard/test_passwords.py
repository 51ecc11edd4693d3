import pytest

from dashboard.passwords import LONGEST, common_passwords, made_password, weakness
from tests.dashboard.entering import PASSWORD, cheap_passwords


@pytest.mark.parametrize(
    "good", [PASSWORD, "ẞpätzle!", "        x", "tab\tand\0nul", "密码密码密码密码", "x" * 127 + "y", "👩‍👩‍👧‍👦" * 3]
)
def test_any_characters_make_a_password(good: str) -> None:
    assert weakness(good, "Ada") is None
    passwords = cheap_passwords()
    kept = passwords.hash(good)
    assert kept.startswith("$argon2id$")
    assert passwords.right(good, kept)
    assert not passwords.right(good + "x", kept)


def test_a_password_that_is_made_here_is_a_good_one_and_another_each_time() -> None:
    made = {made_password() for _ in range(200)}
    assert len(made) == 200
    assert {len(one) for one in made} == {24}
    assert [one for one in made if weakness(one, "Ada")] == []


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("", "8 characters"),
        ("1234567", "8 characters"),
        ("x" * (LONGEST + 1), "at most 128"),
        ("Ada Lovelace", "same as the name"),
        ("ada lovelace", "same as the name"),
        ("Password1", "guessed first"),
        ("qwertyuiop", "guessed first"),
        ("half a \ud83d smiley", "not text"),
    ],
)
def test_a_bad_password_is_told_in_words(bad: str, told: str) -> None:
    problem = weakness(bad, "Ada Lovelace")
    assert problem is not None
    assert told in problem


def test_the_same_characters_typed_on_another_keyboard_are_the_same_password() -> None:
    passwords = cheap_passwords()
    assert passwords.right("u\u0308bermorgen", passwords.hash("übermorgen"))


def test_without_an_account_no_password_is_right() -> None:
    assert not cheap_passwords().right("the password of nobody", None)


def test_a_damaged_hash_lets_nobody_in() -> None:
    assert not cheap_passwords().right(PASSWORD, "no hash at all")
    assert not cheap_passwords().right("", "")


def test_an_overlong_guess_is_no_work_and_is_wrong() -> None:
    passwords = cheap_passwords()
    assert not passwords.right("x" * 10_000_000, passwords.hash("x" * 128))


def test_the_common_passwords_are_ones_that_could_be_chosen() -> None:
    assert len(common_passwords()) > 200
    assert [word for word in common_passwords() if len(word) < 8 or word != word.casefold()] == []
