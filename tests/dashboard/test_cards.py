"""Cards through the pages: nothing is imported before the yes, a broken file stops no other, and what was imported goes
out as it came."""

import base64
import io
import json
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from PIL import Image as Picture
from werkzeug.test import TestResponse

from dashboard import uploads
from store import Store
from store.cards import read_card
from store.errors import DatabaseError, StorageFullError
from tests.dashboard.entering import Visitor, token_in
from tests.factories import make_character, make_image, make_tag, make_user
from tests.store.cards.making import make_card_png, make_png, make_v2, make_v3


def card(name: str, *tags: str) -> bytes:
    data = {"name": name, "description": f"about {name}", "tags": list(tags), "extensions": {"weight": 1}}
    return json.dumps({"spec": "chara_card_v2", "spec_version": "2.0", "data": data}).encode()


def upload(visitor: Visitor, **files: bytes) -> TestResponse:
    token = token_in(visitor.get("/admin/cards/"))
    sent = [(io.BytesIO(data), f"{name}.json") for name, data in files.items()]
    fields = {"csrf_token": token, "files": sent}
    return visitor.post("/admin/cards/upload", fields, content_type="multipart/form-data")


def upload_files(visitor: Visitor, *files: tuple[bytes, str]) -> TestResponse:
    token = token_in(visitor.get("/admin/cards/"))
    fields = {"csrf_token": token, "files": [(io.BytesIO(data), name) for data, name in files]}
    return visitor.post("/admin/cards/upload", fields, content_type="multipart/form-data")


def run(visitor: Visitor, preview: TestResponse, *chosen: int, **fields: str) -> TestResponse:
    batch = preview.request.args["batch"]
    token = token_in(preview)
    sent = {"csrf_token": token, "batch": batch, "card": [str(one) for one in chosen], **fields}
    return visitor.post("/admin/cards/run", sent)


def test_the_preview_shows_what_is_new_and_what_cannot_be_read_and_writes_nothing(
    editor: Visitor, store: Store
) -> None:
    make_tag(store, "Elf")
    preview = editor.get(upload(editor, lyra=card("Lyra", "elf", "Druid"), broken=b"{").headers["Location"])
    assert "Lyra" in preview.text
    assert "Druid (new)" in preview.text
    assert "elf (new)" not in preview.text
    assert "broken.json" in preview.text
    assert store.characters.find_all() == []


def test_only_the_chosen_cards_are_imported_with_their_tags(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    preview = editor.get(upload(editor, lyra=card("Lyra", "Elf"), bram=card("Bram")).headers["Location"])
    answer = run(editor, preview, 0, user=user.id)
    assert answer.status_code == 303
    (character,) = store.characters.find_all()
    assert character.name == "Lyra"
    assert character.sillyTavernData is not None
    assert character.sillyTavernData["data"]["extensions"] == {"weight": 1}
    (tag,) = store.tags.find_all()
    assert character.tags == (tag.id,)
    assert "Imported 1 card." in editor.get(answer.headers["Location"]).text


def test_the_first_import_makes_the_user_it_asks_for(editor: Visitor, store: Store) -> None:
    preview = editor.get(upload(editor, lyra=card("Lyra")).headers["Location"])
    assert "Whose characters are these?" in preview.text
    refused = run(editor, preview, 0, email="nobody")
    assert refused.status_code == 422
    assert "it needs an e-mail address that Quilltap accepts" in refused.text
    assert run(editor, preview, 0, email="mira@example.org").status_code == 303
    (character,) = store.characters.find_all()
    found = store.users.find_by_email("mira@example.org")
    assert found is not None
    assert character.userId == found.id


def test_without_a_choice_or_a_file_nothing_happens_and_the_page_says_so(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    assert "Choose at least one" in editor.get(upload(editor).headers["Location"]).text
    preview = editor.get(upload(editor, lyra=card("Lyra")).headers["Location"])
    again = editor.get(run(editor, preview, user=user.id).headers["Location"])
    assert "No card was chosen" in again.text
    assert "Lyra" in again.text
    assert store.characters.find_all() == []


def test_the_same_card_twice_is_left_out_unless_it_is_chosen(editor: Visitor, store: Store) -> None:
    make_user(store)
    preview = editor.get(upload(editor, one=card("Lyra"), two=card("Lyra")).headers["Location"])
    assert "The same card as one.json" in preview.text
    assert preview.text.count(" checked>") == 1


def test_the_picture_of_a_card_is_kept_as_the_picture_of_its_character(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    data = make_card_png(make_png((60, 40), color="teal"), ccv3=make_v3(name="Lyra"))
    place = upload_files(editor, (data, "lyra.png"), (data, "again.png"))
    preview = editor.get(place.headers["Location"])
    assert "with its picture" in preview.text
    assert "picture not yet" not in preview.text
    assert run(editor, preview, 0, 1, user=user.id).status_code == 303
    first, second = store.characters.find_all()
    (image,) = store.images.find_all()  # both cards have the same
    assert first.defaultImageId == second.defaultImageId == image.id
    assert (image.filename, image.source, image.width, image.height) == ("lyra.png", "import", 60, 40)
    bytes_kept = store.public.read(image.relativePath)
    assert bytes_kept.startswith(b"\x89PNG")
    assert b"ccv3" not in bytes_kept
    assert f"/admin/images/thumb/?id={image.id}" in editor.get("/admin/characters/").text


def test_a_picture_that_cannot_be_kept_stops_no_character(
    editor: Visitor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(store)
    refusal = Mock(side_effect=StorageFullError("No space is left."))
    monkeypatch.setattr(store.public, "save", refusal)
    data = make_card_png(chara=make_v2(name="Lyra"))
    preview = editor.get(upload_files(editor, (data, "lyra.png")).headers["Location"])
    answer = run(editor, preview, 0, user=user.id)
    (character,) = store.characters.find_all()
    assert character.defaultImageId is None
    assert "Without its picture: 1 character. lyra.png: No space is left." in editor.get(answer.location).text


def test_a_character_that_is_refused_leaves_no_image(
    editor: Visitor, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = make_user(store)
    monkeypatch.setattr(store.characters, "create", Mock(side_effect=DatabaseError("The database is gone.")))
    data = make_card_png(chara=make_v2(name="Lyra"))
    preview = editor.get(upload_files(editor, (data, "lyra.png")).headers["Location"])
    run(editor, preview, 0, user=user.id)
    assert store.images.find_all() == []
    assert [path for path in store.settings.public_dir.rglob("*") if path.is_file()] == []


# What other programs write that Quilltap has no field for, numbers that a float would change among it.
RICH = {
    "tags": ["Elf", "elf", " Druid "],
    "extensions": {"depth_prompt": {"depth": 4, "weight": 0.10}, "big": 12345678901234567890123},
    "alternate_greetings": ["Hello.", ""],
    "creator": "Größe 🌿",
    "future_field": [1.50, None, {"kept": True}],
}


@pytest.mark.parametrize("form", ["png", "json"])
@pytest.mark.parametrize(("keyword", "make"), [("chara", make_v2), ("ccv3", make_v3)])
def test_a_card_that_is_imported_and_exported_untouched_holds_the_same(
    editor: Visitor, viewer: Visitor, store: Store, keyword: str, make: Callable[..., dict[str, Any]], form: str
) -> None:
    user, source = make_user(store), make(name="Lyra “of the Glade”", **RICH)
    picture = make_png((60, 40), color="teal")
    preview = editor.get(upload_files(editor, (make_card_png(picture, **{keyword: source}), "a.png")).location)
    run(editor, preview, 0, user=user.id)
    (character,) = store.characters.find_all()
    page = viewer.get(f"/admin/characters/details/?id={character.id}").text
    address = f"/admin/characters/card/?id={character.id}&format={form}"
    assert address.replace("&", "&amp;") in page
    answer = viewer.get(address)
    assert answer.headers["Content-Type"].partition(";")[0] == {"png": "image/png", "json": "application/json"}[form]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="Lyra _of the Glade_')
    if form == "png":
        assert Picture.open(io.BytesIO(answer.data)).getpixel((5, 5)) == Picture.open(io.BytesIO(picture)).getpixel(
            (5, 5)
        )
        texts = Picture.open(io.BytesIO(answer.data)).text  # type: ignore[attr-defined]
        assert texts.keys() == {"chara", "ccv3"}
        exported = json.loads(base64.b64decode(texts[keyword]), parse_float=str, parse_int=str)
    else:
        exported = json.loads(answer.data, parse_float=str, parse_int=str)
    original = json.loads(json.dumps(source), parse_float=str, parse_int=str)
    if form == "json" and keyword == "chara":  # the JSON is always V3: what a V2 card said is all in it
        assert {key: exported["data"][key] for key in original["data"]} == original["data"]
        assert exported["spec"] == "chara_card_v3"
    else:
        assert exported == original
    again = read_card(answer.data, "again")
    assert (again.fields["name"], again.tags) == (character.name, ["Elf", "Druid"])


def test_a_character_without_a_picture_has_a_card_too(viewer: Visitor, store: Store) -> None:
    character = make_character(store, "Lyra")
    answer = viewer.get(f"/admin/characters/card/?id={character.id}")
    assert read_card(answer.data, "lyra.png").fields["name"] == "Lyra"
    gone = make_character(store, "Bram", defaultImageId=make_image(store).id)
    assert viewer.get(f"/admin/characters/card/?id={gone.id}").status_code == 200
    assert viewer.get("/admin/characters/card/?id=nobody").status_code == 404
    nameless = make_character(store, " ")
    assert viewer.get(f"/admin/characters/card/?id={nameless.id}").status_code == 422


def test_files_of_somebody_else_are_not_shown(editor: Visitor, sign_in: Callable[[str], Visitor]) -> None:
    place = upload(editor, lyra=card("Lyra")).headers["Location"]
    assert sign_in("admin").get(place).status_code == 404
    assert editor.get(place).status_code == 200
    assert editor.get("/admin/cards/preview?batch=../../etc").status_code == 404


def test_files_nobody_said_yes_to_are_forgotten_after_a_day(store: Store) -> None:
    kept = uploads.Uploads(store.settings.instance_dir / "imports")
    token = kept.put("ada", [("one.json", b"{}")])
    folder = store.settings.instance_dir / "imports" / token
    assert kept.get(token, "ada") == [("one.json", b"{}")]
    os.utime(folder, (0, 0))
    kept.put("ada", [])
    assert not folder.exists()
