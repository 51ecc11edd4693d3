"""An image and its bytes are there together, or neither is; and bytes go with the last record that names them."""

import errno
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Picture

from store import Store
from store.errors import (
    DatabaseError,
    InvalidRecordError,
    MissingReferenceError,
    PictureError,
    ReadOnlyError,
    StorageFullError,
)
from store.files.system import Handle, System
from store.uploads import add_image, picture_of, remove_image, remove_images, shown_name
from tests.factories import (
    assert_everything_is_equal,
    files_below,
    make_character,
    make_chat,
    make_image,
    make_persona,
    make_user,
    open_test_store,
    put,
)

pytestmark = pytest.mark.slow  # draws pictures


def png(colour: str = "teal", size: tuple[int, int] = (6, 4), kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


class Moody(System):
    """A disk that refuses to sync or to remove while it is told to."""

    full = read_only = False

    def sync(self, handle: Handle) -> None:
        if self.full and "public" in str(handle.path):
            raise OSError(errno.ENOSPC, "No space left on device")
        super().sync(handle)

    def remove(self, path: Path) -> None:
        if self.read_only and "public" in str(path):
            raise OSError(errno.EROFS, "Read-only file system")
        super().remove(path)


@pytest.fixture
def disk() -> Moody:
    return Moody()


@pytest.fixture(params=["sql", "dual", "json"])
def store(request: pytest.FixtureRequest, tmp_path: Path, disk: Moody) -> Iterator[Store]:
    opened = open_test_store(tmp_path, backend=request.param, system=disk)
    yield opened
    if request.param == "dual":
        assert_everything_is_equal(opened)
    opened.close()


def lying(store: Store) -> dict[str, bytes]:
    """What lies below PUBLIC_DIR."""
    folder = store.settings.public_dir
    return files_below(folder) if folder.exists() else {}


def test_an_image_says_what_its_bytes_are_and_where_they_lie(store: Store) -> None:
    user = make_user(store)
    added = add_image(store, user.id, png(kind="JPEG"), r"C:\Bilder\größe.jpg", "import", url="https://example.org/a")
    image = added.value
    assert added.is_new
    assert added.sources.consistent
    assert (image.filename, image.mimeType, image.width, image.height) == ("größe.jpg", "image/jpeg", 6, 4)
    assert (image.source, image.value("url")) == ("import", "https://example.org/a")
    assert image.relativePath.startswith(f"uploads/images/{user.id}/{user.id}_")
    (data,) = lying(store).values()
    assert lying(store) == {image.relativePath: data}
    assert len(data) == image.size
    assert picture_of(store, image.id) == data
    assert store.images.find_by_id(image.id) == image


def test_bytes_are_on_the_disk_before_a_record_names_them(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    user, create, seen = make_user(store), store.images.create, []

    def look(fields: dict[str, Any]) -> Any:
        seen.append({path: len(data) for path, data in lying(store).items()} == {fields["filepath"]: fields["size"]})
        return create(fields)

    monkeypatch.setattr(store.images, "create", look)
    add_image(store, user.id, png(), "a.png")
    assert seen == [True]


def test_the_same_bytes_once_more_are_the_image_that_is_there(store: Store) -> None:
    ada, bo = make_user(store), make_user(store, "Bo")
    first = add_image(store, ada.id, png(kind="JPEG"), "a.jpg")
    for data in (png(kind="JPEG"), picture_of(store, first.value.id) or b""):  # as it came, and as it is kept
        again = add_image(store, ada.id, data, "b.jpg")
        assert not again.is_new
        assert again.value == first.value
    assert add_image(store, bo.id, png(kind="JPEG"), "a.jpg").is_new
    assert add_image(store, ada.id, png("red"), "c.png").is_new
    assert len(store.images.find_all()) == len(lying(store)) == 3


def test_an_image_whose_bytes_went_missing_is_uploaded_anew(store: Store) -> None:
    user = make_user(store)
    first = add_image(store, user.id, png(), "a.png").value
    (store.settings.public_dir / first.relativePath).unlink()
    assert add_image(store, user.id, png(), "a.png").is_new
    remove_image(store, first.id)


@pytest.mark.parametrize("data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", png()[:40]])
def test_what_is_no_picture_is_refused_and_leaves_nothing(store: Store, data: bytes) -> None:
    user = make_user(store)
    with pytest.raises(PictureError):
        add_image(store, user.id, data, "a.png")
    assert lying(store) == {}


def test_a_record_that_is_refused_leaves_no_file(store: Store) -> None:
    make_user(store)
    with pytest.raises(MissingReferenceError):
        add_image(store, "00000000-0000-4000-8000-000000000000", png(), "a.png")
    with pytest.raises(InvalidRecordError):
        add_image(store, make_user(store).id, png(), "a.png", nonsense=1)
    assert lying(store) == {}
    assert store.images.find_all() == []


def test_a_disk_that_is_full_leaves_no_record(store: Store, disk: Moody) -> None:
    user = make_user(store)
    disk.full = True
    with pytest.raises(StorageFullError):
        add_image(store, user.id, png(), "a.png")
    disk.full = False
    assert lying(store) == {}
    assert store.images.find_all() == []


def test_a_record_that_was_kept_without_an_answer_keeps_its_file(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    user, create = make_user(store), store.images.create

    def cut_off(fields: dict[str, Any]) -> None:
        create(fields)
        raise DatabaseError("The database did not answer.")

    monkeypatch.setattr(store.images, "create", cut_off)
    with pytest.raises(DatabaseError):
        add_image(store, user.id, png(), "a.png")
    (image,) = store.images.find_all()
    assert list(lying(store)) == [image.relativePath]


def test_an_image_goes_with_its_bytes_and_who_showed_it_stays(store: Store) -> None:
    user = make_user(store)
    image = add_image(store, user.id, png(), "a.png").value
    character, persona = make_character(store, defaultImageId=image.id), make_persona(store, defaultImageId=image.id)
    assert remove_image(store, image.id).value.count == 1
    assert lying(store) == {}
    for repository, one in ((store.characters, character), (store.personas, persona)):
        found = repository.find_by_id(one.id)
        assert found is not None
        assert found.defaultImageId is None
    assert remove_image(store, image.id).value.count == 0


def test_bytes_that_another_record_names_stay_until_it_goes_too(store: Store) -> None:
    first = add_image(store, make_user(store).id, png(), "a.png").value
    chat = make_chat(store)
    attached = {"chatId": chat.id, "filename": "a.png", "mimeType": "image/png", "size": first.size}
    store.attachments.create({**attached, "filepath": first.relativePath})
    second = make_image(store, filepath=first.relativePath, size=first.size)
    for image in (first, second):
        remove_image(store, image.id)
        assert list(lying(store)) == [first.relativePath]
    third = make_image(store, filepath=first.relativePath, size=first.size)
    store.chats.delete(chat.id)
    remove_image(store, third.id)
    assert lying(store) == {}


def test_several_go_as_one(store: Store) -> None:
    user = make_user(store)
    images = [add_image(store, user.id, png(colour), "a.png").value for colour in ("red", "green", "blue")]
    result = remove_images(store, [images[0].id, images[1].id, images[1].id, "nobody"])
    assert result.value.count == 2
    assert list(lying(store)) == [images[2].relativePath]


@pytest.mark.parametrize("path", ["favicon.ico", "../outside.png", "/etc/hosts", "uploads/../favicon.ico"])
def test_a_file_that_is_no_upload_is_never_taken_away(store: Store, path: str) -> None:
    folder = store.settings.public_dir
    put(folder, "favicon.ico", b"Quilltap's own")
    put(folder.parent, "outside.png", b"somebody's")
    image = make_image(store, filepath=path)
    assert remove_image(store, image.id).value.count == 1
    assert (folder / "favicon.ico").exists()
    assert (folder.parent / "outside.png").exists()


def test_a_file_that_cannot_be_removed_is_told_of(store: Store, disk: Moody) -> None:
    image = add_image(store, make_user(store).id, png(), "a.png").value
    disk.read_only = True
    removed = remove_image(store, image.id).value
    disk.read_only = False
    assert removed.count == 1
    assert [type(error) for error in removed.left] == [ReadOnlyError]
    assert store.images.find_by_id(image.id) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("a.png", "a.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\fakepath\\b c.jpg", "b c.jpg"),
        ("a\0b\n.png", "a b .png"),
        ("\ud800.png", ".png"),
        ("", "picture.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_name_is_kept_as_far_as_both_sides_can_hold_it(sent: str, kept: str) -> None:
    assert shown_name(sent, "picture.png") == kept
