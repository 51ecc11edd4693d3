"""A profile's parameters in two ways, fields and JSON: one object, of which nothing is lost."""

from decimal import Decimal
from typing import Any

import pytest

from store import Store
from store.providers.parameters import IMAGE, LABELS, LANGUAGE, names
from tests.dashboard.browsing import form_in, messages, resend, submit, told, words
from tests.dashboard.entering import Visitor
from tests.factories import assert_everything_is_equal, make_image_profile, make_profile

BIG = Decimal("12345678901234567890.123456789012345678901234567890")
RICH = {
    "temperature": Decimal("1.0"),
    "max_tokens": 2048,
    "seed": BIG,
    "stop": ["\n", "You:"],
    "top_p": None,
    "zeta": {"deep": [Decimal("0.10"), {"x": True}]},
}


def now(store: Store, profile_id: str) -> dict[str, Any]:
    found = store.profiles.find_by_id(profile_id)
    assert found is not None
    return dict(found.parameters)


def spelled(parameters: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in parameters.items()}


def test_each_common_parameter_has_a_field_and_the_rest_is_json(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters=RICH)
    form = form_in(editor.get(f"/admin/profiles/edit/?id={profile.id}"), "seen")
    assert (form["parameters-temperature"], form["parameters-max_tokens"]) == ("1.0", "2048")
    assert form["parameters-top_p"] == "", "null is no number: it stays in the JSON"
    rest = form["parameters"]
    assert '"top_p": null' in rest
    assert str(BIG) in rest
    assert "temperature" not in rest


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"modelName": "another"}, {}),
        ({"parameters-temperature": "0.70"}, {"temperature": "0.70"}),
        ({"parameters-temperature": " 2 "}, {"temperature": "2"}),
        ({"parameters-presence_penalty": "-1.50"}, {"presence_penalty": "-1.50"}),
        ({"parameters-temperature": ""}, {"temperature": None}),
        ({"parameters-max_tokens": "1e3"}, {"max_tokens": "1000"}),
    ],
)
def test_a_field_changes_its_parameter_and_no_other(
    editor: Visitor, store: Store, changes: dict[str, str], expected: dict[str, str | None]
) -> None:
    """Unknown keys, null, 1.0 and numbers of fifty digits come through a save untouched."""
    profile = make_profile(store, "One", parameters=RICH)
    page = f"/admin/profiles/edit/?id={profile.id}"
    form = form_in(editor.get(page), "seen")
    saved = editor.post(page, {**form, **changes})
    assert messages(editor, saved) == ["Saved “One”."]
    wanted = {**spelled(RICH), **expected}
    assert spelled(now(store, profile.id)) == {name: value for name, value in wanted.items() if value is not None}
    assert_everything_is_equal(store)


def test_a_form_without_the_fields_leaves_their_parameters_alone(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters=RICH)
    page = f"/admin/profiles/edit/?id={profile.id}"
    form = form_in(editor.get(page), "seen")
    bare = {name: value for name, value in form.items() if not name.startswith("parameters")}
    assert editor.post(page, {**bare, "name": "Two"}).status_code == 303
    assert spelled(now(store, profile.id)) == spelled(RICH)


def test_a_parameter_moves_between_its_field_and_the_json(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters={"temperature": Decimal("0.5"), "seed": 1})
    page = f"/admin/profiles/edit/?id={profile.id}"
    moved = '{"temperature": 0.9, "seed": 1}'
    assert submit(editor, page, **{"parameters-temperature": "", "parameters": moved}).status_code == 303
    assert spelled(now(store, profile.id)) == {"seed": "1", "temperature": "0.9"}
    assert form_in(editor.get(page), "seen")["parameters-temperature"] == "0.9"
    same = submit(editor, page, **{"parameters-temperature": "0.8", "parameters": '{"temperature": 0.8}'})
    assert same.status_code == 303, "both say the same"
    twice = submit(editor, page, **{"parameters-temperature": "0.7", "parameters": '{"temperature": 0.6}'})
    assert twice.status_code == 422
    assert "It stands in the JSON too, with another value. Keep one of the two." in twice.text
    assert spelled(now(store, profile.id)) == {"temperature": "0.8"}


@pytest.mark.parametrize(
    ("provider", "parameter", "value", "refusal"),
    [
        ("OPENAI", "temperature", "2.01", "Temperature has to be from 0 to 2."),
        ("ANTHROPIC", "temperature", "1.5", "Temperature has to be from 0 to 1."),
        ("OLLAMA", "temperature", "4", ""),
        ("OPENAI", "top_p", "-0.1", "Top P has to be from 0 to 1."),
        ("GROK", "frequency_penalty", "3", "Frequency penalty has to be from -2 to 2."),
        ("OPENROUTER", "max_tokens", "0", "Max tokens has to be from 1 to 10,000,000."),
        ("OPENROUTER", "max_tokens", "1.5", "Max tokens has to be a whole number."),
        ("ANTHROPIC", "presence_penalty", "1", "Presence penalty is none that this provider takes."),
        ("OPENAI", "temperature", "warm", "This is no number. Write one such as 0.7."),
        ("OPENAI", "temperature", "0,7", "This is no number. Write one such as 0.7."),
        ("OPENAI", "temperature", "NaN", "This is no number. Write one such as 0.7."),
        ("OPENAI", "temperature", "true", "This is no number. Write one such as 0.7."),
        ("OPENAI", "temperature", "1e999999", "This is no number. Write one such as 0.7."),
    ],
)
def test_what_a_provider_does_not_take_is_told_beside_its_field(
    editor: Visitor, store: Store, provider: str, parameter: str, value: str, refusal: str
) -> None:
    profile = make_profile(store, "One", provider=provider, baseUrl="https://models.example/v1")
    page = f"/admin/profiles/edit/?id={profile.id}"
    answer = submit(editor, page, **{f"parameters-{parameter}": value})
    if not refusal:
        assert answer.status_code == 303
        assert spelled(now(store, profile.id)) == {parameter: value}
        return
    assert answer.status_code == 422
    assert f'id="parameters-{parameter}-error"' in answer.text
    assert refusal in words(answer.text)
    assert form_in(answer, "seen")[f"parameters-{parameter}"] == value, "what was typed is still there"
    assert now(store, profile.id) == {}
    assert resend(editor, answer, page, **{f"parameters-{parameter}": ""}).status_code == 303


def test_a_value_from_elsewhere_is_judged_only_when_somebody_touches_it(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters={"temperature": 9, "presence_penalty": "much"})
    page = f"/admin/profiles/edit/?id={profile.id}"
    assert submit(editor, page, name="Two").status_code == 303
    assert now(store, profile.id) == {"temperature": 9, "presence_penalty": "much"}
    assert submit(editor, page, **{"parameters-top_p": "0.5"}).status_code == 303
    assert now(store, profile.id) == {"temperature": 9, "presence_penalty": "much", "top_p": Decimal("0.5")}
    refused = submit(editor, page, provider="GROK")
    assert refused.status_code == 422, "another provider: then everything has to fit"
    assert "Temperature has to be from 0 to 2." in words(refused.text)
    assert submit(editor, page, **{"parameters-temperature": "1", "parameters": "{}"}).status_code == 303
    assert spelled(now(store, profile.id)) == {"temperature": "1", "top_p": "0.5"}


def test_a_copy_has_the_same_parameters_and_can_have_others(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters=RICH)
    new = f"/admin/profiles/new/?from={profile.id}"
    assert submit(editor, new, "name").status_code == 303
    assert submit(editor, new, "name", **{"name": "Hot", "parameters-temperature": "1.9"}).status_code == 303
    found = {one.name: spelled(dict(one.parameters)) for one in store.profiles.find_all()}
    assert found["One (copy)"] == spelled(RICH)
    assert found["Hot"] == {**spelled(RICH), "temperature": "1.9"}


def test_broken_json_is_told_at_the_json_and_keeps_the_fields(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters={"seed": 1})
    page = f"/admin/profiles/edit/?id={profile.id}"
    answer = submit(editor, page, **{"parameters": '{"seed": }', "parameters-temperature": "0.4"})
    assert answer.status_code == 422
    assert 'id="parameters-error"' in answer.text
    assert 'id="parameters-temperature-error"' not in answer.text
    form = form_in(answer, "seen")
    assert (form["parameters"], form["parameters-temperature"]) == ('{"seed": }', "0.4")


def test_two_people_see_parameters_as_lines(editor: Visitor, store: Store) -> None:
    profile = make_profile(store, "One", parameters={"temperature": Decimal("0.5"), "seed": 1})
    page = f"/admin/profiles/edit/?id={profile.id}"
    mine = form_in(editor.get(page), "seen")
    store.profiles.update(profile.id, {"parameters": {"temperature": Decimal("0.6"), "seed": 2}})
    answer = editor.post(page, {**mine, "parameters-temperature": "0.90"})
    assert answer.status_code == 409
    text = words(answer.text.replace("<mark>", "").replace("</mark>", ""))
    assert "Temperature: 0.6" in text
    assert "Temperature: 0.90" in text
    saved = resend(editor, answer, page, "theirs", choice__parameters="mine")
    assert messages(editor, saved) == ["Saved “One”."]
    assert spelled(now(store, profile.id)) == {"temperature": "0.90", "seed": "1"}


def test_the_parameters_of_images_are_those_of_their_provider(editor: Visitor, store: Store) -> None:
    profile = make_image_profile(store, "Painter", parameters={"size": "640x640", "response_format": "url"})
    page = f"/admin/image-profiles/edit/?id={profile.id}"
    form = form_in(editor.get(page), "seen")
    assert form["parameters-size"] == "640x640", "a size that nobody offers stays what it is"
    changed = submit(editor, page, **{"parameters-size": "1792x1024", "parameters-quality": "hd", "parameters-n": "2"})
    assert changed.status_code == 303
    found = store.image_profiles.find_by_id(profile.id)
    assert found is not None
    assert found.parameters == {"size": "1792x1024", "quality": "hd", "n": 2, "response_format": "url"}
    google = editor.get("/admin/image-profiles/parameters/?provider=GOOGLE_IMAGEN").text
    assert "Aspect ratio" in google
    assert "Quality" not in google
    assert "Size" not in editor.get("/admin/image-profiles/parameters/?provider=GROK").text
    many = submit(editor, page, **{"provider": "GOOGLE_IMAGEN", "parameters-n": "5", "parameters-size": ""})
    assert "Images at once has to be from 1 to 4." in words(many.text)
    assert_everything_is_equal(store)


def test_an_unknown_provider_has_no_fields(editor: Visitor) -> None:
    for asked in ("", "?provider=", "?provider=NOBODY", "?provider=%00"):
        answer = editor.get(f"/admin/profiles/parameters/{asked}")
        assert answer.status_code == 200
        assert "<input" not in answer.text
        assert told(answer) == []


def test_every_parameter_has_a_label_and_every_table_a_provider() -> None:
    assert set(names(LANGUAGE)) | set(names(IMAGE)) == set(LABELS)
    assert all(LANGUAGE.values())
    assert all(IMAGE.values())
