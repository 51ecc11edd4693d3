"""Lines of the binary index: what Quilltap's shape cannot say, stand-ins, and what comes back when it dropped ours."""

from typing import Any

import pytest

from store.documents.base import derived_id
from store.errors import InvalidRecordError
from store.mapping import MAPPINGS, Row, Rows
from store.mapping.images import NO_BYTES
from tests.store.mapping.making import fixed_id

IMAGE, ALICE, CHAT, MISSING = fixed_id(1), fixed_id(2), fixed_id(3), fixed_id(4)
DAYS = [f"2025-01-0{day}T00:00:00.000Z" for day in range(1, 6)]
DATES = {"createdAt": DAYS[0], "updatedAt": DAYS[1]}
IMAGES, ATTACHMENTS, AVATARS = (MAPPINGS[kind] for kind in ("image", "attachment", "avatar"))


def image_rows(tags: list[Row] | None = None, **what_matters: Any) -> Rows:
    row = IMAGES.blank(IMAGE, DAYS[0])["images"][0]
    told = {"userId": ALICE, "filename": "a.png", "filepath": "uploads/a.png", "mimeType": "image/png", "size": 0}
    return {"images": [{**row, **told, **DATES, **what_matters}], "image_tags": tags or []}


def tag(number: int, tag_type: str, tag_id: str) -> Row:
    return {"id": f"tag {number}", "imageId": IMAGE, "tagType": tag_type, "tagId": tag_id, "createdAt": DAYS[number]}


# ---------------------------------------------------------------------- what an image is tagged with
TAGS = [
    tag(3, "THEME", "fantasy"),
    tag(2, "CHAT", ALICE),
    tag(1, "CHARACTER", ALICE),
    tag(4, "PERSONA", CHAT.upper()),
]


def test_the_list_has_the_uuids_each_once_and_extras_have_all_in_order() -> None:
    record = IMAGES.check(image_rows(TAGS))[1]
    assert record["tags"] == [ALICE, CHAT.upper()]
    assert [one["tagId"] for one in record["extras"]["imageTags"]] == [ALICE, ALICE, "fantasy", CHAT.upper()]
    assert list(record["extras"]["imageTags"][0]) == ["id", "tagType", "tagId", "createdAt"]


def test_without_extras_every_tag_is_a_theme_under_an_id_that_stays() -> None:
    record = IMAGES.check(image_rows(TAGS))[1]
    del record["extras"]
    tags = IMAGES.to_rows(record)["image_tags"]
    assert [(one["tagType"], one["tagId"], one["createdAt"]) for one in tags] == [
        ("THEME", ALICE, DAYS[1]),
        ("THEME", CHAT.upper(), DAYS[1]),
    ]
    assert IMAGES.to_rows(record)["image_tags"] == tags


def test_what_was_taken_out_of_the_list_is_gone_and_what_it_cannot_hold_is_not() -> None:
    record = IMAGES.check(image_rows(TAGS))[1]
    record["tags"] = [CHAT.upper(), MISSING]
    tags = {(one["tagType"], one["tagId"]) for one in IMAGES.to_rows(record)["image_tags"]}
    assert tags == {("THEME", "fantasy"), ("PERSONA", CHAT.upper()), ("THEME", MISSING)}


def test_tags_that_stay_keep_their_id_and_date() -> None:
    wanted = [{"tagType": "THEME", "tagId": "fantasy"}, {"tagType": "THEME", "tagId": "night"}]
    rows = IMAGES.with_fields(image_rows(TAGS), {"imageTags": [*wanted, wanted[0]]}, DAYS[4])
    kept, new = rows["image_tags"]
    assert kept == TAGS[0]
    assert (new["imageId"], new["tagId"], new["createdAt"]) == (IMAGE, "night", DAYS[4])


@pytest.mark.parametrize("value", [None, 3, ["fantasy"], [{"tagId": "fantasy"}]])
def test_image_tags_that_are_none_are_refused_by_name(value: Any) -> None:
    with pytest.raises(InvalidRecordError) as refused:
        IMAGES.with_fields(image_rows(), {"imageTags": value}, DAYS[4])
    assert list(refused.value.problems) == ["imageTags"]


# ---------------------------------------------------------------------- what has no home, and what stands in for it
def test_bytes_that_were_not_found_are_told() -> None:
    found = [{"sha256": "ab" * 32}]
    record = IMAGES.check({**image_rows(), "public_bytes": found})[1]
    assert (record["sha256"], "extras" in record) == ("ab" * 32, False)
    record = IMAGES.check(image_rows())[1]
    assert (record["sha256"], record["extras"]) == (NO_BYTES, {"bytesMissing": True})


def test_an_unknown_source_lies_in_raw() -> None:
    record = IMAGES.check(image_rows(source="scan"))[1]
    assert record["source"] == "upload"
    assert record["extras"] == {"bytesMissing": True, "raw": {"source": "scan"}}
    assert IMAGES.to_rows(record)["images"][0]["source"] == "scan"
    assert IMAGES.document.check(record).value("source") == "scan"
    assert IMAGES.check(image_rows(source="generated"))[1]["source"] == "generated"


def test_an_empty_address_is_not_no_address() -> None:
    record = IMAGES.check(image_rows(url=""))[1]
    assert record["extras"]["url"] == ""
    assert IMAGES.to_rows(record)["images"][0]["url"] == ""
    assert "url" not in IMAGES.check(image_rows())[1]["extras"]


def test_the_members_of_extras_have_one_order() -> None:
    record = IMAGES.check(image_rows(TAGS, url="https://example.org", source="scan"))[1]
    assert list(record["extras"]) == ["url", "imageTags", "bytesMissing", "raw"]


@pytest.fixture
def file_rows() -> Rows:
    row = ATTACHMENTS.blank("file 1", DAYS[0])["chat_files"][0]
    told = {"chatId": CHAT, "filename": "a.txt", "filepath": "uploads/a.txt", "mimeType": "text/plain", "size": 2}
    return {"chat_files": [{**row, **told}], "chats": [{"id": CHAT, "userId": ALICE}]}


def test_an_attachment_says_whose_its_chat_is(file_rows: Rows) -> None:
    record = ATTACHMENTS.check({**file_rows, "public_bytes": [{"sha256": "ab" * 32}]})[1]
    assert (record["type"], record["userId"], record["updatedAt"]) == ("chat_file", ALICE, DAYS[0])
    stand_ins = {name: record[name] for name in ("source", "tags", "generationPrompt", "generationModel")}
    assert stand_ins == {"source": "upload", "tags": [], "generationPrompt": None, "generationModel": None}
    assert "extras" not in record


def test_an_attachment_keeps_what_the_provider_answered(file_rows: Rows) -> None:
    file_rows["chat_files"][0].update(sentToProvider=True, providerError="")
    document, record = ATTACHMENTS.check(file_rows)
    assert record["extras"] == {"sentToProvider": True, "providerError": "", "bytesMissing": True}
    assert ATTACHMENTS.to_rows(record) == {"chat_files": file_rows["chat_files"]}
    assert (document.value("sentToProvider"), document.value("providerError")) == (True, "")


def test_an_attachment_without_its_chat_is_refused_by_name(file_rows: Rows) -> None:
    with pytest.raises(InvalidRecordError) as refused:
        ATTACHMENTS.check({**file_rows, "chats": []})
    assert list(refused.value.problems) == ["userId"]


def test_an_avatar_is_the_image_under_the_overrides_id_and_date() -> None:
    override = {"id": "o", "chatId": CHAT, "characterId": ALICE, "imageId": IMAGE, "createdAt": DAYS[3]}
    image = image_rows(TAGS, url="https://example.org", source="scan", generationPrompt="a hat")
    record = AVATARS.check({**image, "chat_avatar_overrides": [override]})[1]
    shown = IMAGES.check(image)[1]
    other = {"id": "o", "type": "avatar", "chatId": CHAT, "characterId": ALICE, "tags": []}
    dates = {"createdAt": DAYS[3], "updatedAt": DAYS[3]}
    assert record == {**shown, **other, **dates, "extras": {"derived": True, "bytesMissing": True}}
    assert list(record) == list(shown)
    assert AVATARS.to_rows(record) == {}
    assert AVATARS.bytes_path
    assert AVATARS.bytes_path(image) == "uploads/a.png"


def test_an_avatar_without_its_image_is_refused_by_name() -> None:
    override = {"id": "o", "chatId": CHAT, "characterId": ALICE, "imageId": IMAGE, "createdAt": DAYS[3]}
    rows: Rows = {"chat_avatar_overrides": [override], "images": []}
    assert AVATARS.bytes_path
    assert AVATARS.bytes_path(rows) is None
    with pytest.raises(InvalidRecordError) as refused:
        AVATARS.check(rows)
    assert "filename" in refused.value.problems


def test_an_id_that_is_derived_says_of_what() -> None:
    record = {**IMAGES.check(image_rows())[1], "tags": [ALICE]}
    assert IMAGES.to_rows(record)["image_tags"][0]["id"] == derived_id("image-tag", IMAGE, ALICE)
