"""What every backend promises about the records by which Quilltap knows who is signed in."""

import pytest

from store import Store
from store.errors import DuplicateError, InvalidRecordError
from store.repositories.contract import Query
from tests.factories import make_account, make_session, make_token, make_user


def test_an_account_keeps_all_its_tokens(store: Store) -> None:
    given = {
        "type": "oauth",
        "refresh_token": "r",
        "access_token": "",
        "expires_at": 2**31 - 1,
        "token_type": "bearer",
        "scope": "openid profile",
        "id_token": None,
        "session_state": "s",
    }
    made = make_account(store, **given)
    assert {name: getattr(store.accounts.find_by_id(made.id), name) for name in given} == given
    with pytest.raises(InvalidRecordError, match="expires_at"):
        store.accounts.update(made.id, {"expires_at": 2**31})


def test_an_account_of_a_provider_is_one_users(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    make_account(store, "github", providerAccountId="7", userId=ada.id)
    make_account(store, "google", providerAccountId="7", userId=ada.id)
    with pytest.raises(DuplicateError, match="provider"):
        make_account(store, "github", providerAccountId="7", userId=bob.id)
    assert [one.provider for one in store.accounts.find_by_user_id(ada.id)].count("github") == 1
    assert list(store.accounts.find_by_user_id(bob.id)) == []


def test_a_session_token_is_given_once(store: Store) -> None:
    made = make_session(store, sessionToken="abc")
    with pytest.raises(DuplicateError, match="sessionToken"):
        make_session(store, sessionToken="abc")
    later = store.sessions.update(made.id, {"expires": "2100-01-01T01:00:00+01:00"}).value
    assert later.expires == "2100-01-01T00:00:00.000Z"
    assert list(store.sessions.find_all()) == [later]


def test_a_list_never_shows_what_would_open_a_door(store: Store) -> None:
    make_account(store, access_token="secret-a", refresh_token="secret-r", id_token="secret-i")
    make_session(store, sessionToken="secret-s")
    shown = [*store.accounts.list(Query(sort="provider")).rows, *store.sessions.list(Query(sort="expires")).rows]
    assert len(shown) == 2
    assert "secret" not in repr(shown)


def test_sessions_are_listed_by_their_end(store: Store) -> None:
    late, early = make_session(store, "2099-02-01T00:00:00.000Z"), make_session(store, "2099-01-01T00:00:00.000Z")
    assert [row["id"] for row in store.sessions.list(Query(sort="expires")).rows] == [early.id, late.id]
    down = store.sessions.list(Query(sort="expires", descending=True)).rows
    assert [row["id"] for row in down] == [late.id, early.id]


def test_a_token_is_its_own_id(store: Store) -> None:
    made = store.tokens.create({"token": "a/b", "identifier": "ada@example.org", "expires": "2099-01-01T00:00Z"}).value
    assert (made.id, made.token, made.expires) == ("a/b", "a/b", "2099-01-01T00:00:00.000Z")
    assert store.tokens.find_by_id("a/b") == made
    make_token(store, identifier="ada@example.org")
    assert len(store.tokens.find_all()) == 2
    assert store.tokens.delete("a/b").value is True
    assert store.tokens.find_by_id("a/b") is None


def test_a_token_outlives_every_user(store: Store) -> None:
    ada = make_user(store, email="ada@example.org")
    token = make_token(store, identifier="ada@example.org")
    store.users.delete(ada.id)
    assert list(store.tokens.find_all()) == [token]


def test_a_refusal_does_not_spell_the_token(store: Store) -> None:
    made = make_token(store, token="secret-token")
    with pytest.raises(InvalidRecordError) as refused:
        store.tokens.update(made.id, {"expires": "soon"})
    assert "expires" in refused.value.problems
    assert "secret-token" not in refused.value.sentence


def test_what_belongs_to_a_user_is_counted_for_the_user(store: Store) -> None:
    ada, bob = make_user(store), make_user(store, name="Bob")
    make_session(store, userId=ada.id)
    make_account(store, userId=bob.id)
    make_token(store)
    assert [store.sessions.count(Query(user_id=user.id, sort="expires")) for user in (ada, bob)] == [1, 0]
    assert [store.accounts.count(Query(user_id=user.id, sort="provider")) for user in (ada, bob)] == [0, 1]
    assert store.tokens.count(Query(user_id=ada.id, sort="expires")) == 0
    assert store.sessions.count(Query(search="session", sort="expires")) == 0  # nothing of a session is searched
