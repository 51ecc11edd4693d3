"""Many profiles get another model or key at once; what does not fit is left alone and named."""

from typing import Any

import pytest
from werkzeug.test import TestResponse

from store import Store
from tests.dashboard.browsing import form_in, messages, resend, told, words
from tests.dashboard.entering import Visitor
from tests.factories import assert_everything_is_equal, make_image_profile, make_key, make_profile, make_user

BOTH = pytest.mark.parametrize(("noun", "make"), [("profiles", make_profile), ("image-profiles", make_image_profile)])


def act(visitor: Visitor, noun: str, action: str, ids: list[str], **fields: str) -> TestResponse:
    form = form_in(visitor.get(f"/admin/{noun}/"), "all_matching")
    form.setlist("rowid", ids)
    for name, value in {"action": action, **fields}.items():
        form[name.replace("__", "-")] = value
    return visitor.post(f"/admin/{noun}/action/", form)


def repository(store: Store, noun: str) -> Any:
    return store.profiles if noun == "profiles" else store.image_profiles


@BOTH
def test_several_profiles_get_another_model(editor: Visitor, store: Store, noun: str, make: Any) -> None:
    some = [make(store, name, modelName=model) for name, model in (("A", "one"), ("B", "two"), ("C", "three"))]
    ids = [profile.id for profile in some]
    asked = act(editor, noun, "set_model", ids[:2])
    called = "image profiles" if noun == "image-profiles" else "connection profiles"
    assert f"Give 2 {called} another model?" in asked.text
    assert "A and B" in words(asked.text)
    nothing = resend(editor, asked, f"/admin/{noun}/action/", "confirmed")
    assert nothing.status_code == 422
    assert "Write the name of the model." in nothing.text
    done = resend(editor, nothing, f"/admin/{noun}/action/", "confirmed", set__model=" two ")
    assert messages(editor, done) == [f"Gave 1 {called[:-1]} the model “two” (1 had it already)."]
    found = {one.name: one.modelName for one in repository(store, noun).find_all()}
    assert found == {"A": "two", "B": "two", "C": "three"}
    assert_everything_is_equal(store)


def test_a_key_goes_to_profiles_of_its_provider_and_owner_only(editor: Visitor, store: Store) -> None:
    make_user(store, "Ada")
    bo = make_user(store, "Bo")
    key = make_key(store, "Main")
    fitting = make_profile(store, "Fits")
    foreign = make_profile(store, "Of Bo", userId=bo.id)
    other = make_profile(store, "Clever", provider="ANTHROPIC")
    ids = [fitting.id, foreign.id, other.id]
    asked = act(editor, "profiles", "set_key", ids)
    assert "Main (OpenAI) of Ada" in words(asked.text)
    assert "Choose a key, or none." in act(editor, "profiles", "set_key", ids, confirmed="1").text
    done = resend(editor, asked, "/admin/profiles/action/", "confirmed", set__key=key.id)
    given, left = messages(editor, done)
    assert given == "Gave 1 connection profile the key “Main”."
    assert left.startswith("Left alone, because it is no active key of their owner and provider: ")
    assert left.endswith(": “Of Bo” (OpenAI) and “Clever” (Anthropic).")
    assert {one.name: one.apiKeyId for one in store.profiles.find_all()} == {
        "Fits": key.id,
        "Of Bo": None,
        "Clever": None,
    }
    assert_everything_is_equal(store)


def test_an_inactive_key_and_one_that_is_gone_go_to_nobody(editor: Visitor, store: Store) -> None:
    idle = make_key(store, "Idle", isActive=False)
    profile = make_profile(store, "Everyday")
    assert "Idle" not in act(editor, "profiles", "set_key", [profile.id]).text
    for key_id in (idle.id, "gone"):
        done = act(editor, "profiles", "set_key", [profile.id], confirmed="1", set__key=key_id)
        assert [message.partition(":")[0] for message in messages(editor, done)] == [
            "Left alone, because it is no active key of their owner and provider"
        ]
    assert [one.apiKeyId for one in store.profiles.find_all()] == [None]


@BOTH
def test_the_key_is_taken_from_several_profiles(editor: Visitor, store: Store, noun: str, make: Any) -> None:
    key = make_key(store, "Main")
    ids = [make(store, name, apiKeyId=key.id).id for name in ("A", "B")]
    done = act(editor, noun, "set_key", ids, confirmed="1", set__key="none")
    assert messages(editor, done)[0].startswith("Gave 2 ")
    assert [one.apiKeyId for one in repository(store, noun).find_all()] == [None, None]
    assert_everything_is_equal(store)


def test_a_profile_that_has_gone_meanwhile_stops_nobody(editor: Visitor, store: Store) -> None:
    key, profile = make_key(store, "Main"), make_profile(store, "Everyday")
    done = act(editor, "profiles", "set_key", [profile.id, "gone"], confirmed="1", set__key=key.id)
    assert messages(editor, done) == ["Gave 1 connection profile the key “Main”."]
    lost = act(editor, "profiles", "set_model", [profile.id, "gone"], confirmed="1", set__model="gpt-5")
    assert "There is no connection profile gone (any more)." in messages(editor, lost)[0]
    found = store.profiles.find_by_id(profile.id)
    assert found is not None
    assert found.modelName == "gpt-4o", "one unit: all of them, or none"


def test_deleting_several_keys_names_every_profile_that_loses_one(editor: Visitor, store: Store) -> None:
    keys = [make_key(store, label) for label in ("One", "Two")]
    make_profile(store, "Everyday", apiKeyId=keys[0].id)
    make_image_profile(store, "Painter", apiKeyId=keys[1].id)
    asked = act(editor, "keys", "delete", [key.id for key in keys])
    [notice] = told(asked)
    assert notice.endswith("lose their keys and go on without a key.")
    assert {"image profile “Painter”", "connection profile “Everyday”"} == {
        one for one in ("image profile “Painter”", "connection profile “Everyday”") if one in notice
    }
    page = editor.get("/admin/keys/").text
    bar = page.partition('class="bulk-bar"')[2]
    assert "data-confirm=" not in bar, "no dialog is in the way of that page"
    done = resend(editor, asked, "/admin/keys/action/", "confirmed")
    assert messages(editor, done) == ["Deleted 2 API keys."]
    assert_everything_is_equal(store)
