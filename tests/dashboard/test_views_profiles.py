"""Connection profiles and image profiles: the right keys, one default per user, and chats that stand in the way."""

from typing import Any

import pytest

from store import Store
from store.documents import ConnectionProfile
from tests.dashboard.browsing import form_in, messages, names_listed, resend, submit, told, words
from tests.dashboard.entering import Visitor
from tests.factories import (
    assert_everything_is_equal,
    make_chat,
    make_image_profile,
    make_key,
    make_profile,
    make_tag,
    make_user,
)

NEW, NEW_IMAGE = "/admin/profiles/new/", "/admin/image-profiles/new/"
BOTH = pytest.mark.parametrize(("noun", "make"), [("profiles", make_profile), ("image-profiles", make_image_profile)])


def repository(store: Store, noun: str) -> Any:
    return {"profiles": store.profiles, "image-profiles": store.image_profiles}[noun]


def keys_offered(page: str) -> list[str]:
    """The labels in the key's select."""
    select = page.partition('name="apiKeyId"')[2].partition("</select>")[0]
    return [words(f"<option {option}") for option in select.split("<option ")[1:]]


def now(store: Store, profile: ConnectionProfile) -> ConnectionProfile:
    found = store.profiles.find_by_id(profile.id)
    assert found is not None
    return found


def test_a_new_profile_is_on_both_sides(editor: Visitor, store: Store) -> None:
    key, tag = make_key(store, "Main"), make_tag(store, "Fast")
    made = submit(
        editor,
        NEW,
        "name",
        name="Everyday",
        provider="OPENAI",
        apiKeyId=key.id,
        modelName="gpt-4o",
        parameters='{"temperature": 0.70}',
        isDefault="1",
        tags=[tag.id],
        tags__new="Cheap",
    )
    assert messages(editor, made) == ["Created the connection profile “Everyday”."]
    [profile] = store.profiles.find_all()
    assert (profile.name, profile.provider, profile.apiKeyId, profile.modelName, profile.isDefault) == (
        "Everyday",
        "OPENAI",
        key.id,
        "gpt-4o",
        True,
    )
    assert str(profile.parameters["temperature"]) == "0.70", "to the last digit"
    assert {one.name for one in store.tags.find_all() if one.id in profile.tags} == {"Fast", "Cheap"}
    assert_everything_is_equal(store)


def test_only_active_keys_of_owner_and_provider_are_offered(editor: Visitor, store: Store) -> None:
    make_user(store, "Ada")
    bo = make_user(store, "Bo")
    make_key(store, "Main")
    make_key(store, "Idle", isActive=False)
    make_key(store, "Of Anthropic", provider="ANTHROPIC")
    make_key(store, "Of Bo", userId=bo.id)
    profile = make_profile(store, "Everyday")
    assert keys_offered(editor.get(f"/admin/profiles/edit/?id={profile.id}").text) == ["No key", "Main"]
    assert keys_offered(editor.get(NEW).text) == ["No key", "Main"]
    form = form_in(editor.get(NEW), "name")
    other = editor.post(NEW, {**form, "name": "Half typed", "provider": "ANTHROPIC", "_reload": "1"})
    assert other.status_code == 200
    assert keys_offered(other.text) == ["No key", "Of Anthropic"]
    assert form_in(other, "name")["name"] == "Half typed"
    assert told(other) == []
    of_bo = editor.post(NEW, {**form, "userId": bo.id, "provider": "OPENAI", "_reload": "1"})
    assert keys_offered(of_bo.text) == ["No key", "Of Bo"]
    asked = editor.get(f"/admin/profiles/keys/?user={bo.id}&provider=OPENAI").get_json()
    assert [key["name"] for key in asked["keys"]] == ["Of Bo"]
    assert [one.name for one in store.profiles.find_all()] == ["Everyday"], "asking for keys saves nothing"


def test_a_key_of_another_user_or_provider_is_refused(editor: Visitor, store: Store) -> None:
    bo = make_user(store, "Ada") and make_user(store, "Bo")
    wrong = [make_key(store, "Of Bo", userId=bo.id), make_key(store, "Other", provider="GROK"), make_key(store, "Idle")]
    store.keys.update(wrong[2].id, {"isActive": False})
    profile = make_profile(store, "Everyday")
    for key in wrong:
        answer = submit(editor, f"/admin/profiles/edit/?id={profile.id}", apiKeyId=key.id)
        assert answer.status_code == 422
        assert "no active key of the owner for this provider" in answer.text
        made = submit(editor, NEW, "name", name="New", provider="OPENAI", modelName="m", apiKeyId=key.id)
        assert made.status_code == 422
    assert now(store, profile).apiKeyId is None
    assert len(store.profiles.find_all()) == 1


def test_a_key_that_is_not_offered_any_more_stays_until_somebody_chooses(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main")
    profile = make_profile(store, "Everyday", apiKeyId=key.id)
    store.keys.update(key.id, {"isActive": False})
    page = f"/admin/profiles/edit/?id={profile.id}"
    assert keys_offered(editor.get(page).text) == ["No key", "Main (not offered any more)"]
    assert submit(editor, page, modelName="gpt-5").status_code == 303
    assert now(store, profile).apiKeyId == key.id
    assert "is not active" in editor.get(f"/admin/profiles/details/?id={profile.id}").text
    assert submit(editor, page, apiKeyId="").status_code == 303
    assert now(store, profile).apiKeyId is None


def test_another_provider_needs_another_key(editor: Visitor, store: Store) -> None:
    key, grok = make_key(store, "Main"), make_key(store, "Of Grok", provider="GROK")
    profile = make_profile(store, "Everyday", apiKeyId=key.id)
    page = f"/admin/profiles/edit/?id={profile.id}"
    refused = submit(editor, page, provider="GROK")
    assert refused.status_code == 422
    assert "choose another one, or none" in refused.text
    assert resend(editor, refused, page, apiKeyId=grok.id).status_code == 303
    assert (now(store, profile).provider, now(store, profile).apiKeyId) == ("GROK", grok.id)


@pytest.mark.parametrize("provider", ["OLLAMA", "OPENAI_COMPATIBLE"])
def test_some_providers_need_an_address(editor: Visitor, store: Store, provider: str) -> None:
    make_user(store)
    refused = submit(editor, NEW, "name", name="Home", provider=provider, modelName="llama3")
    assert refused.status_code == 422
    assert "needs one, such as http://localhost:11434" in refused.text
    wrong = resend(editor, refused, NEW, "name", baseUrl="localhost:11434")
    assert wrong.status_code == 422
    assert "The base URL is no address" in wrong.text
    assert resend(editor, wrong, NEW, "name", baseUrl="http://localhost:11434").status_code == 303
    [profile] = store.profiles.find_all()
    assert profile.baseUrl == "http://localhost:11434"


def test_an_image_profile_of_google_may_use_any_key_of_its_owner(editor: Visitor, store: Store) -> None:
    make_user(store, "Ada")
    bo = make_user(store, "Bo")
    make_key(store, "Main")
    claude = make_key(store, "Claude", provider="ANTHROPIC")
    make_key(store, "Of Bo", userId=bo.id)
    form = form_in(editor.get(NEW_IMAGE), "name")
    google = {**form, "provider": "GOOGLE_IMAGEN"}
    page = editor.post(NEW_IMAGE, {**google, "_reload": "1"})
    assert keys_offered(page.text) == ["No key", "Claude (Anthropic)", "Main (OpenAI)"]
    made = editor.post(NEW_IMAGE, {**google, "name": "Painter", "modelName": "imagen-3", "apiKeyId": claude.id})
    assert made.status_code == 303
    [profile] = store.image_profiles.find_all()
    assert (profile.provider, profile.apiKeyId) == ("GOOGLE_IMAGEN", claude.id)
    assert_everything_is_equal(store)


def test_a_name_of_an_image_profile_is_taken_once(editor: Visitor, store: Store) -> None:
    make_image_profile(store, "Painter")
    refused = submit(editor, NEW_IMAGE, "name", name="Painter", provider="OPENAI", modelName="m")
    assert refused.status_code == 422
    assert "there is already an image profile “Painter”" in refused.text
    assert len(store.image_profiles.find_all()) == 1


def test_the_list_tells_provider_model_key_and_default(viewer: Visitor, store: Store) -> None:
    key = make_key(store, "Main key")
    elf = make_tag(store, "Fast")
    make_profile(store, "Everyday", apiKeyId=key.id, isDefault=True, tags=[elf.id])
    make_profile(store, "Local", provider="OLLAMA", modelName="llama3", baseUrl="http://localhost:11434")
    page = viewer.get("/admin/profiles/")
    assert names_listed(page) == ["Everyday", "Local"]
    text = words(page.text)
    for told_of in ("Everyday default", "OpenAI", "gpt-4o", "Main key", "Fast", "Ollama", "llama3", "no key", "no tag"):
        assert told_of in text
    assert names_listed(viewer.get(f"/admin/profiles/?tag={elf.id}")) == ["Everyday"]
    assert "Make default" not in viewer.get(f"/admin/profiles/details/?id={store.profiles.find_all()[1].id}").text


@BOTH
def test_there_is_one_default_per_user(editor: Visitor, store: Store, noun: str, make: Any) -> None:
    one, two = make(store, "One", isDefault=True), make(store, "Two")
    bo = make_user(store, "Bo")
    theirs = make(store, "Of Bo", userId=bo.id, isDefault=True)

    def defaults() -> set[str]:
        return {profile.id for profile in repository(store, noun).find_all() if profile.isDefault}

    page = editor.get(f"/admin/{noun}/details/?id={two.id}")
    assert "Make default" in page.text
    assert "Make default" not in editor.get(f"/admin/{noun}/details/?id={one.id}").text
    assert "Make Two the default" in editor.get(f"/admin/{noun}/").text
    token = form_in(page, "csrf_token")["csrf_token"]
    made = editor.post(f"/admin/{noun}/make-default/", {"csrf_token": token, "id": two.id})
    assert messages(editor, made) == ["“Two” is the default now."]
    assert defaults() == {two.id, theirs.id}
    assert submit(editor, f"/admin/{noun}/edit/?id={one.id}", isDefault="1").status_code == 303
    assert defaults() == {one.id, theirs.id}
    assert submit(editor, f"/admin/{noun}/edit/?id={one.id}", isDefault=None).status_code == 303
    assert defaults() == {theirs.id}
    gone = editor.post(f"/admin/{noun}/make-default/", {"csrf_token": token, "id": "gone"})
    assert gone.status_code == 404
    assert_everything_is_equal(store)


def test_a_copy_is_no_default(editor: Visitor, store: Store) -> None:
    key = make_key(store, "Main")
    profile = make_profile(store, "Everyday", isDefault=True, apiKeyId=key.id, parameters={"a": 1})
    form = form_in(editor.get(f"{NEW}?from={profile.id}"), "name")
    assert (form["name"], form["apiKeyId"], "isDefault" in form) == ("Everyday (copy)", key.id, False)
    assert '"a": 1' in form["parameters"]


@BOTH
def test_parameters_are_an_object(editor: Visitor, store: Store, noun: str, make: Any) -> None:
    profile = make(store, "One", parameters={"a": 1})
    page = f"/admin/{noun}/edit/?id={profile.id}"
    refused = submit(editor, page, parameters="[1]")
    assert refused.status_code == 422
    assert "It has to be a JSON object" in refused.text
    assert submit(editor, page, parameters="").status_code == 303
    assert repository(store, noun).find_by_id(profile.id).parameters == {}


def test_a_profile_that_chats_use_is_not_deleted_and_the_page_says_which(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "Everyday")
    tea = make_chat(store, "Tea", connectionProfileId=profile.id)
    make_chat(store, "Dinner", connectionProfileId=profile.id)
    details = editor.get(f"/admin/profiles/details/?id={profile.id}").text
    assert "chat Dinner" in words(details)
    assert "chat Tea" in words(details)
    page = f"/admin/profiles/delete/?id={profile.id}"
    asked = editor.get(page)
    assert "It cannot be deleted while 2 chats use it: “Dinner” and “Tea”." in asked.text
    refused = resend(editor, asked, page, "confirmed")
    assert refused.status_code == 422
    assert "Who stands in the way" in refused.text
    assert "chat Tea" in words(refused.text)
    assert f'href="/admin/chats/details/?id={tea.id}"' in refused.text
    assert now(store, profile) == profile


def test_a_bulk_delete_is_refused_with_the_same_page(editor: Visitor, store: Store) -> None:
    used, free = make_profile(store, "Used"), make_profile(store, "Free")
    make_chat(store, "Tea", connectionProfileId=used.id)
    form = form_in(editor.get("/admin/profiles/"), "all_matching")
    form.setlist("rowid", [used.id, free.id])
    form["action"], form["confirmed"] = "delete", "1"
    refused = editor.post("/admin/profiles/action/", form)
    assert refused.status_code == 422
    assert "chat Tea" in words(refused.text)
    assert {one.id for one in store.profiles.find_all()} >= {used.id, free.id}, "one unit"


def test_a_chat_goes_on_without_its_image_profile(editor: Visitor, store: Store) -> None:
    profile = make_image_profile(store, "Painter")
    chat = make_chat(store, "Tea", imageProfileId=profile.id)
    page = f"/admin/image-profiles/delete/?id={profile.id}"
    asked = editor.get(page)
    assert "1 chat goes on without one: “Tea”." in asked.text
    told = messages(editor, resend(editor, asked, page, "confirmed"))
    assert told == ["Deleted the image profile “Painter”. History"]
    found = store.chats.find_by_id(chat.id)
    assert found is not None
    assert found.imageProfileId is None
    assert_everything_is_equal(store)


def test_two_people_editing_a_profile_see_names_and_not_ids(editor: Visitor, store: Store) -> None:
    one, two = make_key(store, "Key one"), make_key(store, "Key two")
    profile = make_profile(store, "Everyday")
    page = f"/admin/profiles/edit/?id={profile.id}"
    mine = form_in(editor.get(page), "seen")
    store.profiles.update(profile.id, {"apiKeyId": one.id})
    mine["apiKeyId"] = two.id
    answer = editor.post(page, mine)
    assert answer.status_code == 409
    marked = words(answer.text.replace("<mark>", "").replace("</mark>", ""))
    assert "Now saved Key one" in marked
    assert "Yours Key two" in marked
    saved = resend(editor, answer, page, "theirs", choice__apiKeyId="mine")
    assert messages(editor, saved) == ["Saved “Everyday”."]
    assert now(store, profile).apiKeyId == two.id


def test_tags_say_which_profiles_carry_them(viewer: Visitor, store: Store) -> None:
    tag = make_tag(store, "Fast")
    make_profile(store, "Everyday", tags=[tag.id])
    make_image_profile(store, "Painter", tags=[tag.id])
    page = viewer.get("/admin/tags/")
    assert f'<a href="/admin/profiles/?tag={tag.id}">1 connection profile</a>' in page.text
    assert f'<a href="/admin/image-profiles/?tag={tag.id}">1 image profile</a>' in page.text
