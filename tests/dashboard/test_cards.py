"""Importing cards through the pages: nothing is written before the yes, and a broken file stops no other."""

import io
import json
import os
from collections.abc import Callable

from werkzeug.test import TestResponse

from dashboard import uploads
from store import Store
from tests.dashboard.entering import Visitor, token_in
from tests.factories import make_tag, make_user


def card(name: str, *tags: str) -> bytes:
    data = {"name": name, "description": f"about {name}", "tags": list(tags), "extensions": {"weight": 1}}
    return json.dumps({"spec": "chara_card_v2", "spec_version": "2.0", "data": data}).encode()


def upload(visitor: Visitor, **files: bytes) -> TestResponse:
    token = token_in(visitor.get("/admin/cards/"))
    sent = [(io.BytesIO(data), f"{name}.json") for name, data in files.items()]
    fields = {"csrf_token": token, "files": sent}
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
