"""Test connection in the dashboard: who may, how often, what is remembered of it, and what never leaves the house."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from store import Store
from store.providers import Providers
from store.providers.transport import Limits, Transport
from store.secrets import API_KEY
from tests.dashboard.browsing import form_in, messages, resend, submit, told, words
from tests.dashboard.entering import Visitor, a_tandem, make_account
from tests.dashboard.proving import time_passes
from tests.factories import make_image_profile, make_key, make_profile, make_user
from tests.store.providers.serving import Guest, Provider, a_provider

KEY = "sk-right-7Jq2ZlTfX0-of-the-tests-aGx9Pq"
LIST = json.dumps({"data": [{"id": "small"}, {"id": "large"}]})
PART = {"X-Tandem-Part": "1", "Accept": "text/html", "Sec-Fetch-Mode": "cors"}


def checking(guest: Guest) -> None:
    """Takes one key and no other."""
    known = guest.headers.get("authorization") == f"Bearer {KEY}"
    guest.answer(LIST if known else json.dumps({"error": guest.headers.get("authorization")}), 200 if known else 401)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with a_provider(checking) as running:
        yield running


@pytest.fixture
def tandem(tmp_path: Path, ready_sqlite_url: str) -> Iterator[Flask]:
    with a_tandem(
        tmp_path, DATABASE_URL=ready_sqlite_url, DATA_DIR=str(tmp_path / "data"), ALLOW_LOCAL_PROVIDERS="true"
    ) as app:
        yield app


def try_out(visitor: Visitor, noun: str, record_id: str, **options: object) -> TestResponse:
    form = form_in(visitor.get(f"/admin/{noun}/details/?id={record_id}"), "csrf_token")
    return visitor.post(f"/admin/{noun}/test/", {"csrf_token": form["csrf_token"], "id": record_id}, **options)


def own(store: Store, value: str = KEY, label: str = "Home") -> str:
    return make_key(store, label, value, provider="OPENAI_COMPATIBLE").id


def test_a_profile_is_tested_with_its_key_and_its_address(editor: Visitor, store: Store, provider: Provider) -> None:
    key_id = own(store)
    fields = {"provider": "OPENAI_COMPATIBLE", "apiKeyId": key_id, "baseUrl": provider.url}
    profile = make_profile(store, "Everyday", modelName="small", **fields)
    answer = try_out(editor, "profiles", profile.id)
    assert answer.status_code == 200
    text = words(answer.text)
    assert "The connection works. 127.0.0.1 took the key and lists 2 models." in text
    assert f"OpenAI-compatible was asked at http://127.0.0.1:{provider.port} ; it took" in text
    assert "large small" in text
    assert "is none of those it lists" not in text
    other = make_profile(store, "Other", modelName="huge", **fields)
    assert "The model huge is none of those it lists." in words(try_out(editor, "profiles", other.id).text)
    assert store.profiles.find_by_id(profile.id) == profile, "testing changes nothing"


def test_a_script_gets_the_outcome_alone(editor: Visitor, store: Store, provider: Provider) -> None:
    profile = make_profile(store, "Local", provider="OLLAMA", baseUrl=provider.url.removesuffix("/v1"))
    part = try_out(editor, "profiles", profile.id, headers=PART | {"Referer": "http://localhost/"})
    assert part.text.strip().startswith('<div class="outcome" data-outcome="refused">')
    whole = try_out(editor, "profiles", profile.id)
    assert part.text.strip().split("it took")[0] in whole.text, "the very same part"


def test_the_health_of_a_key_is_remembered_and_told(editor: Visitor, store: Store, provider: Provider) -> None:
    key_id = own(store, "sk-wrong-key-of-the-tests")
    make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=key_id)
    details = f"/admin/keys/details/?id={key_id}"
    assert "never tested" in words(editor.get(details).text)
    assert "The key is refused." in words(try_out(editor, "keys", key_id).text)
    for page in ("/admin/keys/", details):
        assert "decrypts refused by provider" in words(editor.get(page).text)
    assert "does not take the key" in editor.get(details).text
    replaced = submit(editor, f"/admin/keys/replace/?id={key_id}", "version", value=KEY)
    assert replaced.status_code == 303
    assert "decrypts never tested" in words(editor.get("/admin/keys/").text), "another value, another health"
    assert "The connection works." in words(try_out(editor, "keys", key_id).text)
    assert "decrypts valid" in words(editor.get("/admin/keys/").text)
    assert "What the last test said" in editor.get(details).text
    store.keys.update(key_id, store.secrets.encrypt(_owner(store, key_id), "sk-by-quilltap-0001").spelled(API_KEY))
    assert "decrypts never tested" in words(editor.get("/admin/keys/").text), "also when another program replaces it"


def _owner(store: Store, key_id: str) -> str:
    key = store.keys.find_by_id(key_id)
    assert key is not None
    return str(key.value("userId"))


def test_testing_a_profile_tells_the_health_of_its_key(editor: Visitor, store: Store, provider: Provider) -> None:
    key_id = own(store)
    gone = {"provider": "OPENAI_COMPATIBLE", "baseUrl": "http://127.0.0.1:9/v1", "apiKeyId": key_id}
    profile = make_profile(store, "Astray", **{**gone, "baseUrl": "http://127.0.0.1:8999/v1"})
    assert "There was no useful answer." in words(try_out(editor, "profiles", profile.id).text)
    assert "decrypts unreachable" in words(editor.get("/admin/keys/").text)
    store.profiles.update(profile.id, {"baseUrl": provider.url})
    try_out(editor, "profiles", profile.id)
    assert "decrypts valid" in words(editor.get("/admin/keys/").text)
    rows = editor.get(f"/admin/keys/details/?id={key_id}").text
    assert "What the last 2 tests said" in rows


def test_a_key_that_is_deleted_leaves_no_health_behind(editor: Visitor, store: Store) -> None:
    keys = [own(store, label=label) for label in ("One", "Two", "Three")]
    for key_id in keys:
        try_out(editor, "keys", key_id)
    table = store.database.own.key_tests

    def remembered() -> set[str]:
        with store.database.read() as connection:
            return set(connection.scalars(table.select().with_only_columns(table.c.key_id)))

    assert remembered() == set(keys)
    submit(editor, f"/admin/keys/delete/?id={keys[0]}", "confirmed")
    assert remembered() == set(keys[1:])
    form = form_in(editor.get("/admin/keys/"), "all_matching")
    form.setlist("rowid", keys[1:])
    editor.post("/admin/keys/action/", {**form.to_dict(flat=False), "action": "delete", "confirmed": "1"})
    assert remembered() == set()


def test_ten_results_of_a_key_are_kept(editor: Visitor, store: Store) -> None:
    key_id = own(store)
    for _ in range(12):
        try_out(editor, "keys", key_id)
    assert "What the last 10 tests said" in editor.get(f"/admin/keys/details/?id={key_id}").text


def test_a_key_without_an_address_says_what_to_do(editor: Visitor, store: Store) -> None:
    text = words(try_out(editor, "keys", own(store)).text)
    assert "needs a base URL" in text
    assert "Enter one in a profile that uses the key" in text


def test_a_value_that_does_not_decrypt_is_not_sent(editor: Visitor, store: Store, provider: Provider) -> None:
    key = make_key(store, "Foreign", provider="OPENAI_COMPATIBLE", keyAuthTag="00" * 16)
    make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=key.id)
    text = words(try_out(editor, "keys", key.id).text)
    assert "Nothing was sent. The secret cannot be decrypted" in text
    assert provider.guests == []
    page = words(editor.get("/admin/keys/").text)
    assert "does not decrypt" in page
    assert "unreachable" not in page, "nothing was learned of the provider"


class _Elsewhere:
    """A resolver that leads every name to this machine, and notes which were asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, seconds: float) -> Sequence[str]:
        self.asked.append(host)
        return ["127.0.0.1"]


def test_a_key_of_a_provider_goes_to_that_provider_and_nowhere_else(
    editor: Visitor, store: Store, provider: Provider
) -> None:
    """A base URL in a profile of OpenAI is none that Quilltap would use, and would be a way to read the key."""
    names = _Elsewhere()
    store.providers = Providers(True, Transport(True, limits=Limits(1, 1), resolve=names))
    key = make_key(store, "Main", KEY)
    profile = make_profile(store, "Everyday", provider="OPENAI", baseUrl=provider.url, apiKeyId=key.id)
    painter = make_image_profile(store, "Painter", provider="GROK", baseUrl=provider.url)
    try_out(editor, "profiles", profile.id)
    try_out(editor, "keys", key.id)
    try_out(editor, "image-profiles", painter.id)
    form = form_in(editor.get(f"/admin/profiles/edit/?id={profile.id}"), "seen")
    editor.post(f"/admin/profiles/edit/?id={profile.id}", {**form, "_models": "1"})
    assert names.asked == ["api.openai.com", "api.openai.com", "api.x.ai", "api.openai.com"]
    assert provider.guests == []


def test_without_the_setting_this_machine_is_not_asked(editor: Visitor, store: Store, provider: Provider) -> None:
    store.providers = Providers(False)
    profile = make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=own(store))
    text = words(try_out(editor, "profiles", profile.id).text)
    assert "leads to this machine or a private network, and the settings do not allow that" in text
    assert "ALLOW_LOCAL_PROVIDERS=true" in text
    assert provider.guests == []


def test_models_are_found_for_a_form_that_is_not_saved(editor: Visitor, store: Store, provider: Provider) -> None:
    key_id = own(store)
    new = "/admin/profiles/new/"
    form = form_in(editor.get(new), "name")
    form = form_in(editor.post(new, {**form, "provider": "OPENAI_COMPATIBLE", "_reload": "1"}), "name")
    typed = {"name": "Half", "apiKeyId": key_id, "baseUrl": provider.url, "parameters-temperature": "0.5"}
    found = editor.post(new, {**form, **typed, "_models": "1"})
    assert found.status_code == 200
    assert '<option value="large"></option><option value="small"></option>' in found.text
    assert told(found) == [
        "127.0.0.1 took the key and lists 2 models. Choose one in the field “Model”: type a part of its name."
    ]
    again = form_in(found, "name")
    assert {name: again[name] for name in typed} == typed, "what was typed is still there"
    assert store.profiles.find_all() == []
    made = resend(editor, found, new, "name", modelName="large")
    assert messages(editor, made) == ["Created the connection profile “Half”."]
    [profile] = store.profiles.find_all()
    page = f"/admin/profiles/edit/?id={profile.id}"
    lost = submit(editor, page, baseUrl="http://127.0.0.1:8999/v1", _models="1")
    assert (lost.status_code, "Nothing listens at 127.0.0.1:8999" in lost.text) == (200, True)


def test_only_a_key_that_the_form_offers_is_used_to_find_models(
    editor: Visitor, store: Store, provider: Provider
) -> None:
    """Somebody else's key, or one of another provider, is not sent to an address that was typed into a form."""
    make_user(store, "Ada")
    bo = make_user(store, "Bo")
    theirs = make_key(store, "Of Bo", KEY, provider="OPENAI_COMPATIBLE", userId=bo.id)
    openai = make_key(store, "Main", KEY)
    form = form_in(editor.get("/admin/profiles/new/"), "name")
    for key in (theirs, openai):
        typed = {"provider": "OPENAI_COMPATIBLE", "apiKeyId": key.id, "baseUrl": provider.url, "_models": "1"}
        assert editor.post("/admin/profiles/new/", {**form, **typed}).status_code == 200
    assert ["authorization" in guest.headers for guest in provider.guests] == [False, False]


@pytest.mark.parametrize("how", ["found", "tested"])
def test_a_key_of_a_provider_goes_to_no_address_that_was_typed_beside_it(
    editor: Visitor, store: Store, provider: Provider, how: str
) -> None:
    """Whoever may edit profiles, and not read keys, would otherwise read any of them on a server of their own."""
    openai = make_key(store, "Main", KEY)
    if how == "found":
        profile = make_profile(store, "Everyday", apiKeyId=openai.id)
        form = form_in(editor.get(f"/admin/profiles/edit/?id={profile.id}"), "seen")
        typed = {"provider": "OPENAI_COMPATIBLE", "baseUrl": provider.url, "_models": "1"}
        answer = editor.post(f"/admin/profiles/edit/?id={profile.id}", {**form, **typed})
    else:  # as an undo of the provider alone leaves it, or another program
        fields = {"provider": "OPENAI_COMPATIBLE", "baseUrl": provider.url, "apiKeyId": openai.id}
        answer = try_out(editor, "profiles", make_profile(store, "Everyday", **fields).id)
    text = words(answer.text)
    assert "Nothing was sent. The key is for OpenAI, and goes to no address that was typed in." in text
    assert provider.guests == []


def test_viewers_and_forged_forms_test_nothing(
    editor: Visitor, viewer: Visitor, store: Store, provider: Provider
) -> None:
    key_id = own(store)
    profile = make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=key_id)
    for noun, record_id in (("keys", key_id), ("profiles", profile.id)):
        page = viewer.get(f"/admin/{noun}/details/?id={record_id}")
        assert "Test connection" not in page.text
        token = form_in(page, "csrf_token")["csrf_token"]
        assert viewer.post(f"/admin/{noun}/test/", {"csrf_token": token, "id": record_id}).status_code == 403
        assert editor.post(f"/admin/{noun}/test/", {"id": record_id}).status_code == 400
        assert editor.get(f"/admin/{noun}/test/?id={record_id}").status_code == 405
    assert provider.guests == []
    assert status_of_a_lost_one(editor) == 404


def status_of_a_lost_one(editor: Visitor) -> int:
    token = form_in(editor.get("/admin/keys/new/"), "csrf_token")["csrf_token"]
    return editor.post("/admin/keys/test/", {"csrf_token": token, "id": "gone"}).status_code


def test_after_a_while_the_password_is_asked_for_before_a_key_is_sent_anywhere(
    tandem: Flask, editor: Visitor, store: Store, provider: Provider
) -> None:
    key_id = own(store)
    profile = make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=key_id)
    token = form_in(editor.get(f"/admin/keys/details/?id={key_id}"), "csrf_token")["csrf_token"]
    sent = {"csrf_token": token, "id": key_id, "active": ""}
    time_passes(tandem)
    for path in ("keys/test", "keys/activate", "profiles/test", "profiles/make-default"):
        answer = editor.post(f"/admin/{path}/", {**sent, "id": profile.id if "profiles" in path else key_id})
        assert "password" in answer.text.lower() or answer.status_code == 303, path
        assert "data-outcome" not in answer.text
    part = editor.post("/admin/keys/test/", sent, headers=PART | {"Referer": "http://localhost/"})
    assert "data-outcome" not in part.text, "then the script sends the form as it is, and the page asks"
    assert provider.guests == []
    found = store.keys.find_by_id(key_id)
    assert found is not None
    assert found.isActive


def test_viewers_see_no_health(editor: Visitor, viewer: Visitor, store: Store) -> None:
    key_id = own(store)
    make_key(store, "Broken", keyAuthTag="00" * 16)
    try_out(editor, "keys", key_id)
    for page in ("/admin/keys/", f"/admin/keys/details/?id={key_id}"):
        text = words(viewer.get(page).text)
        assert "there is a key" in text
        assert not any(word in text for word in ("decrypt", "unreachable", "never tested"))


def test_an_account_tests_only_so_often(
    editor: Visitor, sign_in: Callable[[str], Visitor], store: Store, provider: Provider
) -> None:
    profile = make_profile(store, "Local", provider="OLLAMA", baseUrl=provider.url)
    token = form_in(editor.get(f"/admin/profiles/details/?id={profile.id}"), "csrf_token")["csrf_token"]
    sent = {"csrf_token": token, "id": profile.id}
    statuses = [editor.post("/admin/profiles/test/", sent).status_code for _ in range(31)]
    assert statuses == [*[200] * 30, 429]
    refused = editor.post("/admin/profiles/test/", sent)
    assert "That were many tests in a short time. Test again in 15 minutes." in words(refused.text)
    assert len(provider.guests) == 30
    assert try_out(sign_in("admin"), "profiles", profile.id).status_code == 200, "others may go on"
    typed = submit(editor, "/admin/profiles/new/", "name", provider="OLLAMA", baseUrl=provider.url, _models="1")
    assert "That were many tests" in typed.text
    assert len(provider.guests) == 31


@pytest.mark.parametrize("backend", ["sql", "json"])
def test_health_is_told_on_the_other_backends_too(tmp_path: Path, provider: Provider, backend: str) -> None:
    data = str(tmp_path / "data")
    with a_tandem(tmp_path, DATA_BACKEND=backend, DATA_DIR=data, ALLOW_LOCAL_PROVIDERS="true") as app:
        make_account(app, "an-editor", "editor")
        editor, store = Visitor(app), app.extensions["tandem_store"]
        editor.sign_in("an-editor")
        key_id = own(store)
        make_profile(store, "Home", provider="OPENAI_COMPATIBLE", baseUrl=provider.url, apiKeyId=key_id)
        assert "The connection works." in words(try_out(editor, "keys", key_id).text)
        assert "decrypts valid" in words(editor.get("/admin/keys/").text)


def test_a_key_is_taken_out_of_use_and_back(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main")
    profile = make_profile(store, "Everyday", apiKeyId=key.id)
    page = f"/admin/keys/details/?id={key.id}"
    done = resend(editor, editor.get(page), "/admin/keys/activate/", "active")
    assert messages(editor, done) == ["“Main” is not offered to profiles any more; those that use it keep it."]
    assert store.keys.active(key.value("userId"), "OPENAI") == []
    found = store.profiles.find_by_id(profile.id)
    assert found is not None
    assert found.apiKeyId == key.id
    assert messages(editor, resend(editor, editor.get(page), "/admin/keys/activate/", "active")) == [
        "“Main” is active again."
    ]
    assert store.keys.active(key.value("userId"), "OPENAI") == [(key.id, "Main")]
