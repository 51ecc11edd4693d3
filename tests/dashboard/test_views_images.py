"""The gallery through its pages: what is shown, what is served and how, uploads, tags, edits, deletes."""

import io
from typing import Any

import pytest
from PIL import Image as Picture
from werkzeug.test import TestResponse

from store import Store
from store.uploads import add_image
from tests.dashboard.browsing import messages, submit, told, words
from tests.dashboard.entering import Visitor, token_in
from tests.factories import make_character, make_chat, make_image, make_persona, make_tag, make_user, put

pytestmark = pytest.mark.slow  # draws pictures


def png(colour: str = "teal", size: tuple[int, int] = (640, 320), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def an_image(store: Store, colour: str = "teal", filename: str = "lyra.png", **fields: Any) -> Any:
    user = store.users.get_current_user() or make_user(store)
    return add_image(store, user.id, png(colour), filename, **fields).value


def upload(visitor: Visitor, user_id: str, *files: tuple[bytes, str]) -> TestResponse:
    token = token_in(visitor.get("/admin/images/new/"))
    sent = {"csrf_token": token, "userId": user_id, "files": [(io.BytesIO(data), name) for data, name in files]}
    return visitor.post("/admin/images/new/", sent, content_type="multipart/form-data")


def details(visitor: Visitor, image: Any) -> TestResponse:
    return visitor.get(f"/admin/images/details/?id={image.id}")


# ------------------------------------------------------------------ gallery
def test_the_gallery_shows_small_pictures_and_says_whose_bytes_are_missing(viewer: Visitor, store: Store) -> None:
    there, gone = an_image(store), make_image(store, "gone.png")
    page = viewer.get("/admin/images/")
    assert f"/admin/images/thumb/?id={there.id}" in page.text
    assert f"thumb/?id={gone.id}" not in page.text
    assert "640 × 320" in page.text
    assert page.text.count("bytes missing") == 1
    assert 'type="file"' not in page.text  # a viewer adds nothing


def test_the_gallery_is_searched_filtered_and_sorted(viewer: Visitor, store: Store) -> None:
    bo = make_user(store, "Bo")
    names = {"one.png": "upload", "two.png": "import", "three.png": "generated"}
    for number, (name, source) in enumerate(names.items()):
        prompt = "a lighthouse at dusk" if source == "generated" else None
        make_image(store, name, source=source, generationPrompt=prompt, size=number, userId=bo.id)
    make_user(store)

    def shown(question: str) -> list[str]:
        text = viewer.get(f"/admin/images/?{question}").text
        found = [name for name in names if f">{name}</a>" in text]
        return sorted(found, key=lambda name: text.index(f">{name}</a>"))

    assert set(shown("")) == set(names)
    assert shown("search=LIGHTHOUSE") == ["three.png"]
    assert shown("search=two") == ["two.png"]
    assert shown("source=import") == ["two.png"]
    assert shown("source=nonsense") == []
    assert shown(f"user={bo.id}&sort=filename") == ["one.png", "three.png", "two.png"]
    assert shown("sort=size&desc=1") == ["three.png", "two.png", "one.png"]
    page = viewer.get("/admin/images/?source=import&search=two")
    assert "source Imported" in words(page.text)
    assert 'value="import" selected' in page.text


# ------------------------------------------------------------------ bytes
def test_a_picture_is_served_as_what_its_bytes_are(viewer: Visitor, store: Store) -> None:
    image = an_image(store, filename="größe “1”.png")
    answer = viewer.get(f"/admin/images/picture/?id={image.id}")
    assert answer.data == store.public.read(image.relativePath)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Disposition"] == (
        "inline; filename=\"gr__e _1_.png\"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%E2%80%9C1%E2%80%9D.png"
    )
    assert (
        viewer.get(f"/admin/images/picture/?id={image.id}&download=1")
        .headers["Content-Disposition"]
        .startswith("attachment")
    )


@pytest.mark.parametrize("size", ["small", "large", "", "9999"])
def test_a_thumbnail_is_small(viewer: Visitor, store: Store, size: str) -> None:
    image = an_image(store)
    answer = viewer.get(f"/admin/images/thumb/?id={image.id}&size={size}")
    assert answer.headers["Content-Type"] == "image/webp"
    assert Picture.open(io.BytesIO(answer.data)).size == ((128, 64) if size == "small" else (480, 240))


@pytest.mark.parametrize(
    "data",
    [b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", b"<!doctype html><script>alert(1)</script>"],
)
def test_what_is_no_picture_is_only_handed_out_as_a_file(viewer: Visitor, store: Store, data: bytes) -> None:
    image = make_image(store, "nice.svg", filepath="uploads/nice.svg", mimeType="image/svg+xml")
    put(store.settings.public_dir, "uploads/nice.svg", data)
    answer = viewer.get(f"/admin/images/picture/?id={image.id}")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert viewer.get(f"/admin/images/thumb/?id={image.id}").status_code == 404


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hosts", "uploads/nothing.png", "uploads"])
def test_nothing_outside_is_served(viewer: Visitor, store: Store, path: str) -> None:
    put(store.settings.public_dir.parent, "secret.png", png())
    put(store.settings.public_dir, "uploads/else.png", png())
    image = make_image(store, filepath=path)
    for address in ("picture", "thumb"):
        answer = viewer.get(f"/admin/images/{address}/?id={image.id}")
        assert answer.status_code in (404, 422, 503)
        assert not answer.data.startswith(b"\x89PNG")
    page = details(viewer, image)
    assert page.status_code == 200
    assert "The bytes of this image are missing" in page.text


def test_a_picture_that_changed_on_the_disk_is_drawn_anew(viewer: Visitor, store: Store) -> None:
    image = an_image(store)
    before = viewer.get(f"/admin/images/thumb/?id={image.id}").data
    put(store.settings.public_dir, image.relativePath, png("red", (30, 30)))
    after = viewer.get(f"/admin/images/thumb/?id={image.id}").data
    assert Picture.open(io.BytesIO(after)).size == (30, 30)
    assert before != after


# ------------------------------------------------------------------ details
def test_the_details_say_everything_and_who_shows_it(viewer: Visitor, store: Store) -> None:
    image = an_image(store, source="generated", generationPrompt="a lighthouse", generationModel="dall-e-3")
    character, persona = make_character(store, defaultImageId=image.id), make_persona(store, defaultImageId=image.id)
    chat = make_chat(store, "At the harbour", characterId=character.id)
    store.chats.set_avatar_override(chat.id, character.id, image.id)
    page = details(viewer, image)
    text = words(page.text)
    for told_ in (image.sha256, f"PUBLIC_DIR/{image.relativePath}", "640 × 320 pixels", "a lighthouse", "dall-e-3"):
        assert told_ in text
    assert f"/admin/characters/details/?id={character.id}" in page.text
    assert f"/admin/personas/details/?id={persona.id}" in page.text
    assert "At the harbour" in text
    assert "Both sides equal" in text


def test_tags_show_the_names_of_what_they_point_at_and_orphans_are_no_trouble(viewer: Visitor, store: Store) -> None:
    image, tag = an_image(store), make_tag(store, "Seaside")
    character, chat = make_character(store, "Lyra"), make_chat(store, "At the harbour")
    for tag_id, kind in (
        (character.id, "CHARACTER"),
        (chat.id, "CHAT"),
        (tag.id, "THEME"),
        ("a free word", "THEME"),
        ("00000000-0000-4000-8000-00000000dead", "PERSONA"),
    ):
        store.images.add_tag(image.id, tag_id, kind)
    text = words(details(viewer, image).text)
    for shown in ("character Lyra", "chat At the harbour", "theme Seaside", "theme a free word"):
        assert shown in text
    assert "persona (deleted persona) 00000000-0000-4000-8000-00000000dead" in text


def test_tags_are_added_by_type_and_taken_away(editor: Visitor, store: Store) -> None:
    image, character = an_image(store), make_character(store, "Lyra")
    page = f"/admin/images/details/?id={image.id}"
    said = messages(editor, submit_tags(editor, page, CHARACTER=character.id, THEME__new="Dusk, Sea"))
    assert said == ["“lyra.png” has 3 more tags."]
    tags = image_tags(store, image)
    assert [kind for kind, _ in tags] == ["CHARACTER", "THEME", "THEME"]
    assert [tag.name for tag in store.tags.find_all()] == ["Dusk", "Sea"]
    token = token_in(editor.get(page))
    answer = editor.post("/admin/images/untag/", {"csrf_token": token, "id": image.id, "tag": character.id})
    assert messages(editor, answer) == ["Took the tag away from “lyra.png”."]
    assert [kind for kind, _ in image_tags(store, image)] == ["THEME", "THEME"]


def submit_tags(visitor: Visitor, page: str, **chosen: str) -> TestResponse:
    form = {name.replace("__", "-"): value for name, value in chosen.items()}
    answer = visitor.get(page)
    sent = {"csrf_token": token_in(answer), "id": answer.request.args["id"], "url": page, **form}
    return visitor.post("/admin/images/tag/", sent)


def image_tags(store: Store, image: Any) -> list[tuple[str, str]]:
    found = store.images.find_by_id(image.id)
    assert found is not None
    return sorted((tag.tagType, tag.tagId) for tag in (found.extras.imageTags if found.extras else ()))


@pytest.mark.parametrize("chosen", [{}, {"CHARACTER": "nobody"}, {"CHAT": "nothing"}])
def test_a_tag_that_points_at_nothing_is_not_made(editor: Visitor, store: Store, chosen: dict[str, str]) -> None:
    image = an_image(store)
    answer = submit_tags(editor, f"/admin/images/details/?id={image.id}", **chosen)
    assert answer.status_code in (404, 422)
    assert image_tags(store, image) == []


# ------------------------------------------------------------------ upload
def test_each_file_has_its_own_result(editor: Visitor, store: Store) -> None:
    user = make_user(store)
    answer = upload(editor, user.id, (png(), "a.png"), (b"no picture", "b.png"), (png(kind="JPEG"), "c.jpg"))
    assert answer.status_code == 200
    text = words(answer.text)
    assert text.count("added") - text.count("not added") >= 2
    assert "b.png not added The file is no picture in PNG, JPEG, WebP or GIF." in text
    assert sorted(image.filename for image in store.images.find_all()) == ["a.png", "c.jpg"]
    again = upload(editor, user.id, (png(), "d.png"))
    assert "was there already" in again.text
    assert len(store.images.find_all()) == 2


def test_an_upload_of_nothing_or_for_nobody_is_refused(editor: Visitor, store: Store) -> None:
    assert upload(editor, "").status_code == 409  # there is no user yet
    user = make_user(store)
    nothing = upload(editor, user.id)
    assert nothing.status_code == 422
    assert "No file was chosen." in told(nothing)[0]
    assert upload(editor, "nobody", (png(), "a.png")).status_code == 404
    assert upload(editor, user.id, (b"GIF89a", "a.gif")).status_code == 422
    assert store.images.find_all() == []


def test_with_several_users_one_says_for_whom(editor: Visitor, store: Store) -> None:
    make_user(store)
    bo = make_user(store, "Bo")
    assert 'name="userId"' in editor.get("/admin/images/new/").text
    assert upload(editor, bo.id, (png(), "a.png")).status_code == 200
    assert [image.userId for image in store.images.find_all()] == [bo.id]


# ------------------------------------------------------------------ edit, delete
def test_name_and_address_are_edited(editor: Visitor, store: Store) -> None:
    image = an_image(store)
    answer = submit(editor, f"/admin/images/edit/?id={image.id}", filename="harbour.png", url="https://example.org/a")
    assert messages(editor, answer) == ["Saved “harbour.png”."]
    found = store.images.find_by_id(image.id)
    assert found is not None
    assert (found.filename, found.value("url")) == ("harbour.png", "https://example.org/a")
    assert found.relativePath == image.relativePath


def test_an_address_that_nobody_touched_stays_and_the_way_back_is_no_address(editor: Visitor, store: Store) -> None:
    image = an_image(store)
    store.images.update(image.id, {"url": "https://example.org/a"})
    answer = submit(editor, f"/admin/images/edit/?id={image.id}&url=/admin/tags/", filename="harbour.png")
    assert answer.location == "/admin/tags/"
    found = store.images.find_by_id(image.id)
    assert found is not None
    assert (found.filename, found.value("url")) == ("harbour.png", "https://example.org/a")


def test_a_delete_says_who_shows_it_and_takes_the_bytes_along(editor: Visitor, store: Store) -> None:
    image = an_image(store)
    character = make_character(store, "Lyra", defaultImageId=image.id)
    page = f"/admin/images/delete/?id={image.id}"
    asked = editor.get(page)
    assert "The character “Lyra” shows it and then shows none. Its file goes with it." in words(asked.text)
    path = store.settings.public_dir / image.relativePath
    assert path.exists()
    assert messages(editor, submit(editor, page, "confirmed")) == ["Deleted 1 image."]
    assert not path.exists()
    found = store.characters.find_by_id(character.id)
    assert found is not None
    assert found.defaultImageId is None


def test_several_are_deleted_with_their_bytes(editor: Visitor, store: Store) -> None:
    images = [an_image(store, colour) for colour in ("red", "green", "blue")]
    token = token_in(editor.get("/admin/images/"))
    chosen = {"csrf_token": token, "action": "delete", "rowid": [images[0].id, images[1].id]}
    asked = editor.post("/admin/images/action/", chosen)
    assert "Delete 2 images?" in words(asked.text)
    assert messages(editor, editor.post("/admin/images/action/", {**chosen, "confirmed": "1"})) == ["Deleted 2 images."]
    assert [image.id for image in store.images.find_all()] == [images[2].id]
    left = [path.name for path in store.settings.public_dir.rglob("*.png")]
    assert left == [images[2].relativePath.rpartition("/")[2]]


# ------------------------------------------------------------------ characters and personas
@pytest.mark.parametrize(("noun", "make"), [("characters", make_character), ("personas", make_persona)])
def test_a_picture_is_chosen_in_the_form_and_shown(editor: Visitor, store: Store, noun: str, make: Any) -> None:
    image, record = an_image(store), make(store, "Lyra")
    page = f"/admin/{noun}/edit/?id={record.id}"
    assert f'value="{image.id}"' in editor.get(page).text
    assert messages(editor, submit(editor, page, defaultImageId=image.id)) == ["Saved “Lyra”."]
    thumb = f"/admin/images/thumb/?id={image.id}&amp;size=small"
    assert thumb in editor.get(f"/admin/{noun}/").text
    shown = editor.get(f"/admin/{noun}/details/?id={record.id}").text
    assert thumb in shown
    assert f"/admin/images/details/?id={image.id}" in shown
    assert messages(editor, submit(editor, page, defaultImageId="")) == ["Saved “Lyra”."]
    assert thumb not in editor.get(f"/admin/{noun}/").text
    assert messages(editor, submit(editor, page, defaultImageId__other=image.id)) == ["Saved “Lyra”."]


def test_a_picture_that_is_not_there_is_refused_and_a_missing_one_shows_initials(editor: Visitor, store: Store) -> None:
    gone = make_image(store, "gone.png")
    character = make_character(store, "Lyra", defaultImageId=gone.id)
    assert "thumb" not in editor.get("/admin/characters/").text
    shown = editor.get(f"/admin/characters/details/?id={character.id}").text
    assert "its bytes are missing" in shown
    page = f"/admin/characters/edit/?id={character.id}"
    assert "gone.png" in editor.get(page).text
    assert submit(editor, page, defaultImageId="no-such-image").status_code == 422
