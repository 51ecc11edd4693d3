"""The indexes whose lines speak of other files: of images with their bytes, and of chats with their messages."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from store.errors import UnreadableError
from store.files import logs
from store.files.replace import Append, CopyOf
from store.files.side import JsonSide
from store.files.system import System
from tests.factories import files_below, put
from tests.store.files.lines_of_chats import FIRST, SECOND
from tests.store.files.test_aggregates import USER, chat, dated, moment, uuid

pytestmark = pytest.mark.slow  # writes many files

Record = dict[str, Any]
INDEX = "binaries/index.jsonl"
BESIDE = "extras/binaries-index.jsonl"
PNG, JPG = b"\x89PNG", b"\xff\xd8\xff"
MISSING = "0" * 64


def hash_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def raw(data: bytes) -> str:
    return f"binaries/{hash_of(data)}/raw"


def binary(number: int, data: bytes = PNG, path: str = "uploads/images/a.png", **what_matters: Any) -> Record:
    start = {"id": uuid(number), "sha256": hash_of(data), "type": "image", "userId": USER, "filename": "a.png"}
    about = {"relativePath": path, "mimeType": "image/png", "size": len(data), "width": None, "height": None}
    made = {"source": "upload", "generationPrompt": None, "generationModel": None}
    links = {"chatId": None, "characterId": None, "messageId": None, "tags": []}
    return {**start, **about, **made, **links, **dated(number), **what_matters}


def avatar(number: int, **what_matters: Any) -> Record:
    links = {"chatId": uuid(81), "characterId": uuid(82)}
    return binary(number, type="avatar", **{**links, "extras": {"derived": True}, **what_matters})


def attachment(number: int, **what_matters: Any) -> Record:
    return binary(number, **{"type": "chat_file", "chatId": uuid(81), **what_matters})


@pytest.fixture
def side(tmp_path: Path) -> JsonSide:
    put(tmp_path / "public", "uploads/images/a.png", PNG)
    put(tmp_path / "public", "uploads/images/b.jpg", JPG)
    return JsonSide(tmp_path / "data", tmp_path / "own", public_dir=tmp_path / "public")


def change(side: JsonSide, **records: dict[str, Record | None]) -> None:
    """Make it so, by kind."""
    files, refused = side.plan({kind: dict(some) for kind, some in records.items()})
    assert refused == {}
    side.write(files)


def lay_lines(side: JsonSide, *records: Record | bytes) -> None:
    """The index as another program left it."""
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in records]
    put(side.data_dir, INDEX, b"".join(line + b"\n" for line in lines))


def raws(side: JsonSide) -> dict[str, bytes]:
    return {path: data for path, data in files_below(side.data_dir).items() if path.endswith("/raw")}


# ------------------------------------------------------------------ kinds of lines
def test_one_index_holds_images_attachments_and_avatars(side: JsonSide) -> None:
    change(side, image={uuid(1): binary(1)}, attachment={uuid(3): attachment(3)}, avatar={uuid(2): avatar(2)})
    lines = (side.data_dir / INDEX).read_bytes().splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["image", "avatar", "chat_file"]  # by their dates
    for kind, number in (("image", 1), ("avatar", 2), ("attachment", 3)):
        assert [entry.id for entry in side.entries(kind)] == [uuid(number)]  # type: ignore[union-attr]


def test_an_avatar_of_quilltaps_own_is_no_record_and_no_problem_and_stays(side: JsonSide) -> None:
    own = {**avatar(5), "mood": "glad"}
    del own["extras"]
    line = json.dumps(own).encode()
    lay_lines(side, line)
    assert [list(side.entries(kind)) for kind in ("image", "avatar", "attachment")] == [[], [], []]
    change(side, image={uuid(1): binary(1)}, avatar={uuid(2): avatar(2)})
    assert line in (side.data_dir / INDEX).read_bytes().splitlines()
    change(side, image={uuid(1): None}, avatar={uuid(2): None})
    assert (side.data_dir / INDEX).read_bytes() == line + b"\n"


def test_a_line_of_an_unknown_type_is_told_and_stays(side: JsonSide) -> None:
    lay_lines(side, binary(1), {**binary(2), "type": "video"})
    (error,) = [one for one in side.entries("image") if isinstance(one, UnreadableError)]
    assert (error.path, error.line) == (INDEX, 2)
    change(side, image={uuid(3): binary(3)})
    assert (side.data_dir / INDEX).read_text().count('"video"') == 1


def test_an_index_that_cannot_be_read_is_refused_and_hinders_no_other(side: JsonSide) -> None:
    (side.data_dir / INDEX).mkdir(parents=True)
    files, refused = side.plan({"image": {uuid(1): binary(1)}, "chat": {uuid(2): chat(2)}})
    assert list(refused) == [("image", uuid(1))]
    assert list(files) == [logs.INDEX]


# ------------------------------------------------------------------ the bytes
def test_the_bytes_of_an_image_are_kept_by_their_hash(side: JsonSide, tmp_path: Path) -> None:
    change(side, image={uuid(1): binary(1)})
    assert raws(side) == {raw(PNG): PNG}
    assert (side.data_dir / raw(PNG)).samefile(tmp_path / "public/uploads/images/a.png")
    assert side.plan({"image": {uuid(1): binary(1)}}) == ({}, {})


def test_bytes_that_several_have_are_kept_until_the_last_of_them_goes(side: JsonSide) -> None:
    change(side, image={uuid(1): binary(1)}, attachment={uuid(2): attachment(2)}, avatar={uuid(3): avatar(3)})
    for kind, number in (("image", 1), ("avatar", 3)):
        change(side, **{kind: {uuid(number): None}})
        assert raws(side) == {raw(PNG): PNG}
    change(side, attachment={uuid(2): None})
    assert raws(side) == {}
    assert (side.data_dir.parent / "public/uploads/images/a.png").read_bytes() == PNG


@pytest.mark.parametrize("how", ["quilltap's avatar", "a record Quilltap refuses", "a bad line", "a torn line"])
def test_bytes_that_any_line_names_are_kept(side: JsonSide, how: str) -> None:
    change(side, image={uuid(1): binary(1)})
    lines = [(side.data_dir / INDEX).read_bytes()[:-1]]
    if how == "quilltap's avatar":
        lines.append(json.dumps({**avatar(5), "extras": {}}).encode())
    elif how == "a bad line":
        lines.append(json.dumps({**binary(5), "size": "big"}).encode())
    elif how == "a torn line":
        lines.append(json.dumps(binary(5)).encode()[:-9])
    else:
        change(side, image={"odd": binary(5, id="odd")})
    lay_lines(side, *lines)
    change(side, image={uuid(1): None})
    assert raws(side) == {raw(PNG): PNG}


def test_bytes_of_a_record_that_quilltap_would_refuse_are_kept_too(side: JsonSide) -> None:
    change(side, image={"odd": binary(1, id="odd")})
    assert (side.data_dir / BESIDE).exists()
    assert raws(side) == {raw(PNG): PNG}
    change(side, image={"odd": None})
    assert raws(side) == {}


def test_a_new_picture_of_a_record_takes_the_place_of_the_old(side: JsonSide) -> None:
    change(side, image={uuid(1): binary(1)})
    change(side, image={uuid(1): binary(1, JPG, "uploads/images/b.jpg")})
    assert raws(side) == {raw(JPG): JPG}


def test_the_last_bytes_are_kept_while_the_public_folder_does_not_have_them(side: JsonSide, tmp_path: Path) -> None:
    change(side, image={uuid(1): binary(1)}, attachment={uuid(2): attachment(2, data=JPG, path="uploads/images/b.jpg")})
    for name in ("a.png", "b.jpg"):
        (tmp_path / f"public/uploads/images/{name}").unlink()
    lost = {"sha256": MISSING, "extras": {"bytesMissing": True}}
    change(side, image={uuid(1): binary(1, **lost)}, attachment={uuid(2): attachment(2, **lost)})
    assert raws(side) == {raw(PNG): PNG, raw(JPG): JPG}
    change(side, image={uuid(1): binary(1, **lost, filename="b.png")})
    assert raws(side) == {raw(PNG): PNG, raw(JPG): JPG}


def test_without_bytes_there_is_nothing_to_keep(side: JsonSide) -> None:
    missing = binary(1, path="uploads/gone.png", sha256=MISSING, extras={"bytesMissing": True})
    change(side, image={uuid(1): missing})
    assert set(files_below(side.data_dir)) == {INDEX}


def test_bytes_that_went_missing_meanwhile_hinder_nobody(side: JsonSide) -> None:
    """They were found when the record was made."""
    change(side, image={uuid(1): binary(1, path="uploads/gone.png"), uuid(2): binary(2, JPG, "uploads/images/b.jpg")})
    assert raws(side) == {raw(JPG): JPG}


def test_a_neighbour_whose_bytes_are_gone_hinders_nobody(side: JsonSide) -> None:
    lay_lines(side, binary(1, b"gone", "uploads/gone.png"))
    change(side, image={uuid(2): binary(2)})
    assert raws(side) == {raw(PNG): PNG}


def test_a_hash_that_is_not_that_of_the_bytes_names_no_copy(side: JsonSide) -> None:
    """For what is uploaded to the gallery Quilltap writes two random ids as the hash."""
    lay_lines(side, binary(1, sha256="ab" * 32))
    change(side, image={uuid(2): binary(2, JPG, "uploads/images/b.jpg")})
    assert raws(side) == {raw(JPG): JPG}


OUTSIDE = ["../" * 21 + "x", "a/../../" + "b" * 56, "/" * 64, "A" * 64, "g" * 64, "é" * 64]


@pytest.mark.parametrize("sha256", OUTSIDE, ids=lambda sha256: ascii(sha256[:12]))
def test_a_hash_that_is_none_leads_nowhere(side: JsonSide, tmp_path: Path, sha256: str) -> None:
    """64 characters are all that Quilltap asks of it."""
    lay_lines(side, binary(1, sha256=sha256))
    before = files_below(tmp_path)
    files, _ = side.plan({"image": {uuid(1): None}})
    assert set(files) == {INDEX}
    files, _ = side.plan({"image": {uuid(1): binary(1, sha256=sha256, filename="b.png")}})
    assert set(files) <= {INDEX, raw(PNG)}
    assert files_below(tmp_path) == before


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "uploads/../../secret", "uploads/link"])
def test_bytes_outside_the_public_folder_are_not_copied(side: JsonSide, tmp_path: Path, path: str) -> None:
    put(tmp_path, "secret", b"secret")
    os.symlink("../../secret", tmp_path / "public/uploads/link")
    change(side, image={uuid(1): binary(1, b"secret", path)})
    assert raws(side) == {}


def test_a_link_within_the_public_folder_is_followed(side: JsonSide, tmp_path: Path) -> None:
    os.symlink("images/a.png", tmp_path / "public/uploads/link")
    change(side, image={uuid(1): binary(1, path="uploads/link")})
    assert raws(side) == {raw(PNG): PNG}
    assert not (side.data_dir / raw(PNG)).is_symlink()


def test_a_copy_that_is_there_before_its_line_is_left_as_it_is(side: JsonSide) -> None:
    put(side.data_dir, raw(PNG), PNG)
    change(side, image={uuid(1): binary(1)})
    assert set(files_below(side.data_dir)) == {INDEX, raw(PNG)}


def test_a_copy_that_was_deleted_comes_back_with_the_next_write_of_its_record(side: JsonSide) -> None:
    change(side, image={uuid(1): binary(1)})
    (side.data_dir / raw(PNG)).unlink()
    change(side, image={uuid(1): binary(1)})
    assert raws(side) == {raw(PNG): PNG}


def test_bytes_come_before_their_line_and_go_after_it(side: JsonSide) -> None:
    files, _ = side.plan({"image": {uuid(1): binary(1)}})
    assert list(files) == [raw(PNG), INDEX]
    assert isinstance(files[raw(PNG)], CopyOf)
    side.write(files)
    files, _ = side.plan({"image": {uuid(1): None}})
    assert list(files) == [INDEX, raw(PNG)]


def test_without_a_public_folder_no_bytes_are_kept(tmp_path: Path) -> None:
    side = JsonSide(tmp_path / "data", tmp_path / "own")
    change(side, image={uuid(1): binary(1)})
    assert set(files_below(side.data_dir)) == {INDEX}


def test_what_a_killed_write_left_beside_the_bytes_is_taken_away(side: JsonSide) -> None:
    class Killed(System):
        def rename(self, source: Path, target: Path) -> None:
            raise KeyboardInterrupt

    files, _ = side.plan({"image": {uuid(1): binary(1)}})
    killed = JsonSide(side.data_dir, side.own_dir, Killed())
    with pytest.raises(KeyboardInterrupt):
        killed.write({raw(PNG): files[raw(PNG)]})
    assert len(files_below(side.data_dir)) == 1
    side.clean()
    assert files_below(side.data_dir) == {}


# ------------------------------------------------------------------ chats
def log_of(side: JsonSide, number: int) -> Any:
    entry = side.entry("chat", uuid(number))
    assert entry is not None
    return entry.record.get("extras", {}).get("log")


def test_the_line_of_a_chat_tells_how_long_its_file_is(side: JsonSide) -> None:
    put(side.data_dir, logs.log_path(uuid(1)), b"x" * 30)
    change(side, chat={uuid(1): chat(1)})
    assert log_of(side, 1) == {"bytes": 30}


def test_of_a_chat_without_a_file_it_tells_zero(side: JsonSide) -> None:
    change(side, chat={uuid(1): chat(1)})
    assert log_of(side, 1) == {"bytes": 0}


@pytest.mark.parametrize(("data", "size"), [(b"abc", 3), (Append(30, b"abc"), 33), (Append(10, b""), 10), (b"", 0)])
def test_what_is_written_with_it_counts(side: JsonSide, data: Any, size: int) -> None:
    path = logs.log_path(uuid(1))
    put(side.data_dir, path, b"x" * 30)
    files, _ = side.plan({"chat": {uuid(1): chat(1)}}, {path: data})
    side.write({**files, path: data})
    assert log_of(side, 1) == {"bytes": size}
    assert (side.data_dir / path).stat().st_size == size


def test_it_stands_where_the_layout_has_it(side: JsonSide) -> None:
    link = {"id": uuid(7), "tagId": uuid(8), "createdAt": moment(1)}
    extras = {"tagLinks": [link], "raw": {"sillyTavernMetadata": None}}
    change(side, chat={uuid(1): chat(1, tags=[uuid(8)], extras=extras)})
    entry = side.entry("chat", uuid(1))
    assert entry is not None
    assert list(entry.record["extras"]) == ["tagLinks", "log", "raw"]


def test_it_vouches_for_nothing_that_a_crash_left(side: JsonSide) -> None:
    """A bad line that the index vouches for is damage, which is not cut off."""
    path = logs.log_path(uuid(1))
    put(side.data_dir, path, logs.line(FIRST))
    change(side, chat={uuid(1): chat(1)})
    put(side.data_dir, path, logs.line(FIRST) + bytes(40) + b"\n")
    change(side, chat={uuid(1): chat(1, title="changed")})
    plan = side.plan_log(uuid(1), [FIRST, SECOND])
    assert plan.refused == {}
    assert plan.files == {path: logs.line(FIRST) + logs.line(SECOND)}
    (kept,) = [data for name, data in files_below(side.own_dir).items() if name.startswith("quarantine/")]
    assert kept == bytes(40) + b"\n"
