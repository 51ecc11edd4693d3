"""The sign-in records of Quilltap and its users: looked at and revoked, and no token is anywhere to be read."""

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from store import Store
from store.secrets import BACKUP_CODES, TOTP_SECRET, Secrets
from tests.dashboard.browsing import form_in, messages, names_listed, resend, submit, words
from tests.dashboard.entering import Visitor
from tests.factories import (
    assert_everything_is_equal,
    make_account,
    make_character,
    make_key,
    make_session,
    make_token,
    make_user,
)

MARKER = "marker-4Gh81-never-to-be-seen"
TOKENS = ("refresh_token", "access_token", "id_token", "session_state")
NOUNS = ("accounts", "sessions", "tokens")


@pytest.fixture
def records(store: Store) -> dict[str, Any]:
    """One of each, with a marker in everything secret."""
    ada = make_user(store, "Ada")
    secrets = {name: f"{MARKER}-{name}" for name in TOKENS}
    return {
        "accounts": make_account(store, userId=ada.id, providerAccountId="1234", expires_at=1_900_000_000, **secrets),
        "sessions": make_session(store, userId=ada.id, sessionToken=f"{MARKER}-session"),
        "tokens": make_token(store, "ada@example.org", token=f"{MARKER}-token"),
    }


def details_of(visitor: Visitor, noun: str) -> str:
    """The address of the first record in a list."""
    found = re.findall(r'data-href="([^"]+)"', visitor.get(f"/admin/{noun}/").text)
    return str(found[0]).replace("&amp;", "&")


def every(store: Store, noun: str) -> list[Any]:
    return list(getattr(store, noun).find_all())


def test_lists_and_details_tell_what_is_there(viewer: Visitor, store: Store, records: dict[str, Any]) -> None:
    told = {noun: words(viewer.get(details_of(viewer, noun)).text) for noun in NOUNS}
    for said in ("google 1234", "User Ada", "there is an access token", "there is a refresh token", "2030-03-17"):
        assert said in told["accounts"]
    for said in ("session of Ada", "there is a session token", "2099-01-01"):
        assert said in told["sessions"]
    for said in ("For ada@example.org", "there is a token", "2099-01-01"):
        assert said in told["tokens"]
    assert names_listed(viewer.get("/admin/accounts/?search=goog")) == ["google"]
    assert names_listed(viewer.get("/admin/tokens/?search=ada")) == ["ada@example.org"]
    assert names_listed(viewer.get("/admin/sessions/?search=nobody")) == ["Ada"]
    assert "Revoke" not in words(viewer.get("/admin/sessions/").text)


def test_what_has_expired_is_told(viewer: Visitor, store: Store) -> None:
    make_session(store, "2020-01-01T00:00:00.000Z")
    assert "expired" in viewer.get("/admin/sessions/").text
    assert "expired" in viewer.get(details_of(viewer, "sessions")).text


@pytest.mark.parametrize("noun", NOUNS)
def test_a_record_is_revoked_after_asking(editor: Visitor, store: Store, records: dict[str, Any], noun: str) -> None:
    page = details_of(editor, noun).replace("details", "delete")
    asked = editor.get(page)
    assert asked.status_code == 200
    assert "Revoke the" in asked.text
    assert len(every(store, noun)) == 1
    [said] = messages(editor, resend(editor, asked, page, "confirmed"))
    assert said.startswith("Revoked the ")
    assert every(store, noun) == []
    assert_everything_is_equal(store)
    assert editor.get(page).status_code == 404


@pytest.mark.parametrize("noun", NOUNS)
@pytest.mark.parametrize("everything", [False, True])
def test_several_are_revoked_at_once(
    editor: Visitor, store: Store, records: dict[str, Any], noun: str, everything: bool
) -> None:
    {"accounts": make_account, "sessions": make_session, "tokens": make_token}[noun](store)
    page = editor.get(f"/admin/{noun}/")
    form = form_in(page, "all_matching")
    form["action"] = "delete"
    if everything:
        form["all_matching"] = "1"
    else:
        form.setlist("rowid", re.findall(r'name="rowid" value="([^"]+)"', page.text))
    asked = editor.post(f"/admin/{noun}/action/", form)
    assert "Revoke 2 " in asked.text
    [said] = messages(editor, resend(editor, asked, f"/admin/{noun}/action/", "confirmed"))
    assert said.startswith("Revoked 2 ")
    assert every(store, noun) == []


@pytest.mark.parametrize("noun", NOUNS)
def test_nothing_is_made_or_edited_here(editor: Visitor, store: Store, records: dict[str, Any], noun: str) -> None:
    record_id = details_of(editor, noun).partition("id=")[2].partition("&")[0]
    for path in ("new", "edit"):
        assert editor.get(f"/admin/{noun}/{path}/?id={record_id}").status_code == 404
    page = editor.get(f"/admin/{noun}/").text
    assert f"/admin/{noun}/new" not in page
    assert f"/admin/{noun}/edit" not in page


@pytest.mark.parametrize("noun", NOUNS)
def test_an_empty_list_offers_nothing_to_make(editor: Visitor, noun: str) -> None:
    text = words(editor.get(f"/admin/{noun}/").text)
    assert "There is no " in text
    assert "An editor can make one" not in text


def test_the_menu_groups_them(viewer: Visitor) -> None:
    menu = words(viewer.get("/admin/").text)
    assert "Connections Connection profiles Image profiles API keys" in menu
    assert "Sign-in records OAuth accounts Sessions Verification tokens" in menu
    found = [one["title"] for one in viewer.get("/admin/jump?q=tokens").get_json()["results"]]
    assert found == ["Verification tokens"]


def test_no_page_and_no_log_line_holds_a_token(
    sign_in: Callable[[str], Visitor], store: Store, records: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    people = {role: sign_in(role) for role in ("viewer", "editor", "admin")}
    with caplog.at_level(logging.DEBUG, "tandem"):
        answers: list[TestResponse] = []
        pages = ["/admin/", "/admin/counts"]
        pages += [f"/admin/{noun}/{query}" for noun in NOUNS for query in ("", "?search=a", "?page=2")]
        pages += [details_of(people["editor"], noun) for noun in NOUNS]
        pages += [page.replace("details", "delete") for page in pages if "details" in page]
        pages += [f"/admin/jump?q={MARKER[:4]}", f"/admin/users/details/?id={records['accounts'].userId}"]
        answers = [visitor.get(page) for visitor in people.values() for page in pages]
        for noun in NOUNS:
            delete = details_of(people["editor"], noun).replace("details", "delete")
            answers.append(submit(people["editor"], delete, "confirmed"))
            answers.append(people["editor"].get(answers[-1].location))
    everything = "\n".join(f"{one.request.url}\n{one.headers}\n{one.text}" for one in answers)
    assert [one.status_code for one in answers if one.status_code >= 500] == []
    assert "ada@example.org" in everything
    assert MARKER not in everything
    assert MARKER not in caplog.text


# ------------------------------------------------------------------ users


def page_of(user: Any) -> str:
    return f"/admin/users/details/?id={user.id}"


def test_a_users_page_counts_what_belongs_to_it(viewer: Visitor, store: Store) -> None:
    ada, bo = make_user(store, "Ada"), make_user(store, "Bo")
    make_character(store, userId=ada.id)
    make_key(store, userId=ada.id)
    make_key(store, "Two", userId=ada.id)
    make_session(store, userId=ada.id)
    told = words(viewer.get(page_of(ada)).text)
    for said in ("1 character", "0 personas", "2 API keys", "1 session", "0 connection profiles", "0 chats"):
        assert said in told
    assert f'href="/admin/keys/?user={ada.id}"' in viewer.get(page_of(ada)).text
    assert "0 API keys" in words(viewer.get(page_of(bo)).text)


def test_a_users_secrets_are_told_without_their_values(editor: Visitor, store: Store) -> None:
    user = make_user(store, "Ada")
    assert words(editor.get(page_of(user)).text).count("not set") == 3  # and no password
    own, foreign = store.secrets, Secrets("another pepper, as long as a pepper has to be")
    store.users.update(user.id, own.encrypt(user.id, MARKER).spelled(TOTP_SECRET))
    store.users.update(user.id, foreign.encrypt_codes(user.id, [MARKER]).spelled(BACKUP_CODES))
    page = editor.get(page_of(user))
    told = words(page.text)
    assert "TOTP secret set, decrypts" in told
    assert "Backup codes set, does not decrypt" in told
    assert MARKER not in page.text
    store.users.update(user.id, own.encrypt_codes(user.id, [MARKER]).spelled(BACKUP_CODES))
    store.users.update(user.id, {"totpSecretIv": None})
    told = words(editor.get(page_of(user)).text)
    assert "Backup codes set, decrypts" in told
    assert "TOTP secret set, does not decrypt" in told


def test_a_viewer_learns_of_a_users_secrets_that_they_are_there(viewer: Visitor, store: Store) -> None:
    user = make_user(store, "Ada")
    foreign = Secrets("another pepper, as long as a pepper has to be")
    store.users.update(user.id, foreign.encrypt(user.id, MARKER).spelled(TOTP_SECRET))
    told = words(viewer.get(page_of(user)).text)
    assert "TOTP secret set Backup codes not set" in told
    assert "decrypt" not in told


def test_chat_settings_are_edited(editor: Visitor, store: Store) -> None:
    user = make_user(store, "Ada")
    page = f"/admin/users/edit/?id={user.id}"
    saved = submit(editor, page, avatarDisplayMode="GROUP_ONLY", email="other@example.org", name="Other")
    assert messages(editor, saved) == ["Saved “Ada”."]
    found = store.users.find_by_id(user.id)
    assert found is not None
    assert (found.chatSettings.avatarDisplayMode, found.chatSettings.avatarDisplayStyle) == ("GROUP_ONLY", "CIRCULAR")
    assert (found.user.email, found.user.name) == (user.user.email, "Ada"), "nothing but the settings"
    assert submit(editor, page, avatarDisplayStyle="RECTANGULAR").status_code == 303
    told = words(editor.get(page_of(user)).text)
    assert "Shown in group chats only" in told
    assert "Style rectangular" in told
    assert submit(editor, page, avatarDisplayMode="SOMETIMES").status_code == 422
    assert_everything_is_equal(store)


def test_a_style_nobody_would_choose_stays(editor: Visitor, store: Store) -> None:
    user = make_user(store, "Ada")
    store.users.update_chat_settings(user.id, {"avatarDisplayStyle": "HEXAGONAL"})
    page = f"/admin/users/edit/?id={user.id}"
    assert form_in(editor.get(page), "seen")["avatarDisplayStyle"] == "HEXAGONAL"
    assert submit(editor, page, avatarDisplayMode="NEVER").status_code == 303
    found = store.users.find_by_id(user.id)
    assert found is not None
    assert found.chatSettings.avatarDisplayStyle == "HEXAGONAL"


def test_two_people_editing_chat_settings_get_the_merge_page(editor: Visitor, store: Store) -> None:
    user = make_user(store, "Ada")
    page = f"/admin/users/edit/?id={user.id}"
    mine = form_in(editor.get(page), "seen")
    store.users.update_chat_settings(user.id, {"avatarDisplayMode": "NEVER"})
    mine["avatarDisplayMode"] = "GROUP_ONLY"
    answer = editor.post(page, mine)
    assert answer.status_code == 409
    assert "in group chats only" in words(answer.text.replace("<mark>", "").replace("</mark>", ""))
    saved = resend(editor, answer, page, "theirs", choice__avatarDisplayMode="mine")
    assert messages(editor, saved) == ["Saved “Ada”."]


def test_no_log_line_holds_a_token_while_the_json_side_lags(
    editor: Visitor, store: Store, records: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A token is the id of its record, and ids are what a log of waiting writes would name."""
    auth = store.settings.data_dir / "auth"
    for path in list(auth.iterdir()):
        path.unlink()
        path.mkdir()  # what no program can write over
    answers = []
    with caplog.at_level(logging.DEBUG, "tandem"):
        for noun in NOUNS:
            answers.append(editor.get(details_of(editor, noun)))
            delete = details_of(editor, noun).replace("details", "delete")
            answers.append(submit(editor, delete, "confirmed"))
            answers.append(editor.get(answers[-1].location))
        answers.append(editor.get("/admin/"))
    assert [every(store, noun) for noun in NOUNS] == [[], [], []]
    assert store.pending() == 3
    assert MARKER not in "\n".join(one.text for one in answers)
    assert MARKER not in caplog.text
