"""API keys: their values go in and never come out, and one that cannot be read stays what it is."""

import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from store import Store
from store.documents import ApiKey
from store.secrets import API_KEY, TOTP_SECRET, Cipher, Secrets
from tests.dashboard.browsing import form_in, messages, names_listed, resend, submit, told, words
from tests.dashboard.entering import PAGE, Visitor, a_tandem, make_account
from tests.factories import (
    assert_everything_is_equal,
    make_image_profile,
    make_key,
    make_profile,
    make_token,
    make_user,
)

NEW = "/admin/keys/new/"
MARKER = "sk-marker-7Jq2ZlTfX0-never-to-be-seen-aGx9Pq"
INSIDE = MARKER[8:-4]  # what a mask leaves out


def value_of(store: Store, key: ApiKey) -> str:
    found = store.keys.find_by_id(key.id)
    assert found is not None
    return store.secrets.decrypt(found.value("userId"), cipher_of(found))


def cipher_of(key: ApiKey) -> Cipher:
    cipher = Cipher.found_in({name: key.value(name) for name in API_KEY}, API_KEY)
    assert cipher is not None
    return cipher


def foreign_key(store: Store, label: str = "Foreign") -> ApiKey:
    """A key that was encrypted with another pepper."""
    user_id = (store.users.get_current_user() or make_user(store)).id
    parts = Secrets("another pepper, as long as a pepper has to be").encrypt(user_id, MARKER).spelled(API_KEY)
    return make_key(store, label, userId=user_id, **parts)


def test_a_new_key_is_encrypted_for_its_owner_and_on_both_sides(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    made = submit(editor, NEW, "label", label="Main", provider="ANTHROPIC", value=f" {MARKER}\r\n")
    assert messages(editor, made) == ["Created the API key “Main”."]
    [key] = store.keys.find_all()
    assert (key.value("label"), key.provider, key.isActive, key.value("userId")) == ("Main", "ANTHROPIC", True, user.id)
    assert value_of(store, key) == MARKER
    assert_everything_is_equal(store)


def test_with_several_users_the_form_asks_for_whom(editor: Visitor, store: Store) -> None:
    make_user(store, "Ada")
    bo = make_user(store, "Bo")
    submit(editor, NEW, "userId", label="Main", provider="OPENAI", value=MARKER, userId=bo.id)
    [key] = store.keys.find_all()
    assert key.value("userId") == bo.id
    assert value_of(store, key) == MARKER


@pytest.mark.parametrize(
    ("typed", "told_of"),
    [
        ({"value": ""}, "The key's value is empty"),
        ({"value": "   "}, "The key's value is empty"),
        ({"value": f"{MARKER}\0"}, "NUL"),
        ({"value": MARKER * 200}, "4000 characters at most"),
        ({"value": MARKER, "label": ""}, "Label is empty"),
        ({"value": MARKER, "provider": "NOBODY"}, "Not a valid choice"),
    ],
)
def test_a_refused_form_gives_back_everything_but_the_value(
    editor: Visitor, store: Store, typed: dict[str, str], told_of: str
) -> None:
    make_user(store)
    response = submit(editor, NEW, "label", **{"label": "Main", "provider": "GROK", **typed})
    assert response.status_code == 422
    assert told_of in words(response.text)
    assert INSIDE not in response.text
    form = form_in(response, "label")
    assert form["value"] == ""
    assert form.get("provider") == (None if "provider" in typed else "GROK")
    assert store.keys.find_all() == []


def test_label_and_active_are_edited_and_nothing_else(editor: Visitor, store: Store) -> None:
    bo = make_user(store, "Bo")
    key = make_key(store, "Main", MARKER)
    page = f"/admin/keys/edit/?id={key.id}"
    text = words(editor.get(page).text)
    assert "The key belongs to Ada" not in text
    assert "The key belongs to Bo" in text
    assert "cannot be changed, because its encryption hangs on the owner" in text
    other = make_user(store, "Cy")
    saved = submit(editor, page, label="Spare", isActive=None, userId=other.id, provider="GROK", value="sk-other-value")
    assert messages(editor, saved) == ["Saved “Spare”."]
    found = store.keys.find_by_id(key.id)
    assert found is not None
    assert (found.value("label"), found.isActive, found.provider) == ("Spare", False, "OPENAI")
    assert found.value("userId") == bo.id
    assert value_of(store, found) == MARKER
    assert_everything_is_equal(store)


def test_two_people_editing_a_key_get_the_merge_page(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main", MARKER)
    page = f"/admin/keys/edit/?id={key.id}"
    mine = form_in(editor.get(page), "seen")
    store.keys.update(key.id, {"label": "Theirs"})
    mine["label"] = "Mine"
    answer = editor.post(page, mine)
    assert answer.status_code == 409
    assert INSIDE not in answer.text
    assert messages(editor, resend(editor, answer, page, "theirs", choice__label="mine")) == ["Saved “Mine”."]
    assert value_of(store, key) == MARKER


def test_a_value_is_replaced_on_its_own_page(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main", "sk-the-old-value-of-it")
    page = f"/admin/keys/replace/?id={key.id}"
    for nothing in ("", "  "):
        refused = submit(editor, page, "version", value=nothing)
        assert refused.status_code == 422
        assert value_of(store, key) == "sk-the-old-value-of-it"
    replaced = submit(editor, page, "version", value=MARKER)
    assert messages(editor, replaced) == ["“Main” has a new value."]
    assert value_of(store, key) == MARKER
    assert_everything_is_equal(store)


def test_a_replacement_does_not_write_over_another_one(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main", "sk-the-old-value-of-it")
    page = f"/admin/keys/replace/?id={key.id}"
    form = form_in(editor.get(page), "version")
    theirs = store.secrets.encrypt(key.value("userId"), "sk-the-value-of-others").spelled(API_KEY)
    store.keys.update(key.id, theirs)
    form["value"] = MARKER
    answer = editor.post(page, form)
    assert answer.status_code == 409
    assert "Somebody else changed this key" in answer.text
    assert INSIDE not in answer.text
    assert value_of(store, key) == "sk-the-value-of-others"
    assert resend(editor, answer, page, "version", value=MARKER).status_code == 303
    assert value_of(store, key) == MARKER


def test_the_list_says_what_uses_a_key_and_whether_it_decrypts(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main", MARKER)
    make_profile(store, "Everyday", apiKeyId=key.id)
    make_image_profile(store, "Painter", apiKeyId=key.id)
    make_key(store, "Idle", isActive=False)
    foreign_key(store)
    page = editor.get("/admin/keys/")
    assert names_listed(page) == ["Foreign", "Idle", "Main"]
    rows = [words(row) for row in re.findall(r"<tr data-row.*?</tr>", page.text, re.DOTALL)]
    assert "does not decrypt" in rows[0]
    assert "there is a key" in rows[0]
    assert "not active" in rows[1]
    assert "Painter , Everyday" in rows[2]
    assert "sk-marke••••x9Pq decrypts" in rows[2]
    assert "The image profile “Painter” and the connection profile “Everyday” lose it and go on without" in page.text


def test_a_viewer_sees_that_there_is_a_key_and_no_mask(viewer: Visitor, store: Store) -> None:
    key = make_key(store, "Main", MARKER)
    for page in ("/admin/keys/", f"/admin/keys/details/?id={key.id}"):
        text = viewer.get(page).text
        assert "there is a key" in text
        assert MARKER[:8] not in text
        assert MARKER[-4:] not in text
        assert "decrypts" not in text
    for page in (NEW, f"/admin/keys/edit/?id={key.id}", f"/admin/keys/replace/?id={key.id}"):
        assert viewer.get(page).status_code == 403


def test_a_viewer_does_not_learn_whether_a_key_can_be_read(viewer: Visitor, editor: Visitor, store: Store) -> None:
    key = foreign_key(store)
    for page in ("/admin/keys/", f"/admin/keys/details/?id={key.id}"):
        assert "does not decrypt" in editor.get(page).text
        text = viewer.get(page).text
        assert "there is a key" in text
        assert "decrypt" not in text


@pytest.mark.slow
def test_no_page_tells_a_viewer_more_than_that_there_is_a_secret(
    tandem: Flask, viewer: Visitor, editor: Visitor, store: Store
) -> None:
    """Every address that can be read, with the ids of what has secrets: a key's everywhere, each at its own noun."""
    user = make_user(store)
    store.users.update(user.id, store.secrets.encrypt(user.id, MARKER).spelled(TOTP_SECRET))
    good, foreign = make_key(store, "Main", MARKER), foreign_key(store)
    used = [make_profile(store, "Everyday", apiKeyId=good.id), make_image_profile(store, apiKeyId=foreign.id)]
    editor.send("/admin/validation/start", "/admin/validation/")
    own = dict(zip(("users", "profiles", "image-profiles"), (user.id, *(one.id for one in used)), strict=True))
    readable = sorted(rule.rule for rule in tandem.url_map.iter_rules() if "GET" in (rule.methods or ()))
    pages = []
    for path in (one for one in readable if "<" not in one and one != "/login"):
        ids = ["", good.id, foreign.id if "/keys/" in path else "1"]
        ids += [record_id for noun, record_id in own.items() if path.startswith(f"/admin/{noun}/")]
        pages += [f"{path}?id={one}&q=a&row=0" for one in ids]
    for headers in (PAGE, {"Accept": "application/json", "Sec-Fetch-Mode": "cors"}):
        told = {page: viewer.get(page, headers=headers).text for page in pages}
        assert {p: t for p, t in told.items() if MARKER[:6] in t or MARKER[-4:] in t or "decrypt" in t} == {}
        assert sum("there is a key" in text for text in told.values()) >= 3


def test_a_key_that_does_not_decrypt_stays_what_it_is_until_somebody_types_a_new_value(
    editor: Visitor, store: Store
) -> None:
    key = foreign_key(store)
    before = cipher_of(key)
    details = editor.get(f"/admin/keys/details/?id={key.id}")
    assert details.status_code == 200
    assert any("cannot be decrypted" in notice for notice in told(details))
    assert submit(editor, f"/admin/keys/edit/?id={key.id}", label="Still foreign").status_code == 303
    found = store.keys.find_by_id(key.id)
    assert found is not None
    assert cipher_of(found) == before
    page = f"/admin/keys/replace/?id={key.id}"
    assert "does not decrypt" in editor.get(page).text
    assert submit(editor, page, "version", value="sk-typed-anew-by-ada").status_code == 303
    assert value_of(store, key) == "sk-typed-anew-by-ada"


@pytest.mark.parametrize("damage", [{"keyIv": ""}, {"keyAuthTag": "zz"}, {"keyEncrypted": "00"}, {"keyIv": "00" * 12}])
def test_a_damaged_key_crashes_no_page(editor: Visitor, store: Store, damage: dict[str, str]) -> None:
    key = make_key(store, "Main", MARKER, **damage)
    for page in ("", f"details/?id={key.id}", f"edit/?id={key.id}", f"replace/?id={key.id}"):
        answer = editor.get(f"/admin/keys/{page}")
        assert answer.status_code == 200
        assert "does not decrypt" in answer.text or "edit" in page


def test_a_delete_says_which_profiles_lose_the_key(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main", MARKER)
    everyday = make_profile(store, "Everyday", apiKeyId=key.id)
    page = f"/admin/keys/delete/?id={key.id}"
    asked = editor.get(page)
    assert "The connection profile “Everyday” loses it and goes on without a key." in asked.text
    assert store.keys.find_by_id(key.id) is not None
    assert messages(editor, resend(editor, asked, page, "confirmed")) == ["Deleted the API key “Main”."]
    assert store.keys.find_by_id(key.id) is None
    found = store.profiles.find_by_id(everyday.id)
    assert found is not None
    assert found.apiKeyId is None
    assert_everything_is_equal(store)


def test_several_keys_are_deleted_after_asking(editor: Visitor, store: Store) -> None:
    keys = [make_key(store, label) for label in ("One", "Two")]
    form = form_in(editor.get("/admin/keys/"), "all_matching")
    form.setlist("rowid", [key.id for key in keys])
    form["action"] = "delete"
    asked = editor.post("/admin/keys/action/", form)
    assert "Delete 2 API keys?" in asked.text
    assert "One and Two" in asked.text
    assert messages(editor, resend(editor, asked, "/admin/keys/action/", "confirmed")) == ["Deleted 2 API keys."]


@pytest.fixture
def heard(tandem: Flask, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[], str]]:
    """Everything that was logged, down to the last detail."""
    with caplog.at_level(logging.DEBUG):
        for name in ("tandem", "sqlalchemy.engine", "werkzeug"):
            caplog.set_level(logging.DEBUG, name)
        yield lambda: caplog.text
    for name in ("tandem", "sqlalchemy.engine", "werkzeug"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_no_page_and_no_log_line_holds_a_value(
    sign_in: Callable[[str], Visitor], store: Store, heard: Callable[[], str]
) -> None:
    """One walk through everything that knows a value, with an ear at every answer and at the log."""
    user = make_user(store, "Ada")
    people = {role: sign_in(role) for role in ("viewer", "editor", "admin")}
    editor, answers = people["editor"], []

    def keep(answer: TestResponse) -> TestResponse:
        answers.append(f"{answer.status}\n{answer.headers}\n{answer.text}")
        return answer

    keep(submit(editor, NEW, "label", label="", provider="OPENAI", value=MARKER))
    keep(submit(editor, NEW, "label", label="Main", provider="OPENAI", value=f"{MARKER}\0"))
    keep(submit(editor, NEW, "label", label="Main", provider="OPENAI", value=MARKER))
    [key] = store.keys.find_all()
    make_profile(store, "Everyday", apiKeyId=key.id)
    foreign = foreign_key(store)
    replace = f"/admin/keys/replace/?id={key.id}"
    form = form_in(editor.get(replace), "version")
    store.keys.update(key.id, {"label": "Main one"})
    keep(editor.post(replace, {**form, "value": MARKER}))
    keep(submit(editor, replace, "version", value=MARKER))
    keep(editor.post(replace, {"value": MARKER}))  # without a token
    keep(people["viewer"].post(replace, {"value": MARKER}))
    keep(editor.post("/admin/keys/replace/?id=gone", {**form, "value": MARKER}))
    pages = ["/admin/", "/admin/jump?q=main", "/admin/profiles/", "/admin/profiles/new/"]
    pages += [f"/admin/users/details/?id={user.id}", "/admin/profiles/keys/?provider=OPENAI"]
    for one in (key.id, foreign.id):
        pages += [f"/admin/keys/{page}/?id={one}" for page in ("details", "edit", "replace", "delete")]
    pages += ["/admin/keys/", f"/admin/keys/?search={MARKER[:6]}", "/admin/counts"]
    for visitor in people.values():
        for page in pages:
            keep(visitor.get(page))

    ciphertexts = [one.value(part) for one in store.keys.find_all() for part in API_KEY]
    everything = "\n".join(answers)
    assert MARKER[:8] in everything, "editors see a mask"
    for secret in (INSIDE, store.settings.encryption_master_pepper, *ciphertexts):
        assert secret not in everything
    assert INSIDE not in heard()
    assert store.settings.encryption_master_pepper not in heard()


@pytest.mark.parametrize("backend", ["sql", "json"])
def test_keys_and_profiles_are_kept_on_the_other_backends_too(tmp_path: Path, backend: str) -> None:
    with a_tandem(tmp_path, DATA_BACKEND=backend, DATA_DIR=str(tmp_path / "data")) as app:
        make_account(app, "an-editor", "editor")
        editor, store = Visitor(app), app.extensions["tandem_store"]
        editor.sign_in("an-editor")
        make_user(store, "Ada")
        assert submit(editor, NEW, "label", label="Main", provider="OPENAI", value=MARKER).status_code == 303
        [key] = store.keys.find_all()
        fields = {"provider": "OPENAI", "modelName": "gpt-4o", "apiKeyId": key.id, "isDefault": "1"}
        for name in ("One", "Two"):
            assert submit(editor, "/admin/profiles/new/", "name", name=name, **fields).status_code == 303
        assert [one.name for one in store.profiles.find_all() if one.isDefault] == ["Two"]
        assert "sk-marke••••x9Pq" in editor.get("/admin/keys/").text
        assert (
            submit(editor, f"/admin/keys/replace/?id={key.id}", "version", value="sk-another-value").status_code == 303
        )
        assert value_of(store, key) == "sk-another-value"
        make_token(store, token="a-token-of-its-own")
        assert "a-token-of-its-own" not in editor.get("/admin/tokens/").text
        assert submit(editor, f"/admin/keys/delete/?id={key.id}", "confirmed").status_code == 303
        assert [one.apiKeyId for one in store.profiles.find_all()] == [None, None]
