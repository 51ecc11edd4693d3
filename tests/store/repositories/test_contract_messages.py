"""What every backend promises about messages: their order, their pages from the end, their swipes and attachments."""

import pytest

from store import Store
from store.documents import Chat
from store.errors import ConflictError, InvalidRecordError, InvalidValueError, MissingReferenceError, NotFoundError
from store.repositories.contract import Query
from tests.factories import make_chat, make_message
from tests.store.repositories.making import TIES, make_attachment

LATER = "2025-01-02T00:00:00.000Z"


def said(store: Store, chat: Chat) -> list[str]:
    found = store.chats.get_messages(chat.id)
    assert found.problems == []
    return [message.content for message in found]


def counted(store: Store, chat: Chat) -> tuple[int, str | None]:
    """The same wherever it is asked for."""
    found, (row,) = store.chats.find_by_id(chat.id), store.chats.list(Query(sort="title", search=chat.title)).rows
    told = {(found.messageCount, found.lastMessageAt), (row["messageCount"], row["lastMessageAt"])}
    assert len(told) == 1
    assert store.chats.get_message_count(chat.id) == found.messageCount
    return told.pop()


def test_a_message_is_found_as_it_was_made(store: Store) -> None:
    chat = make_chat(store)
    given = {
        "role": "ASSISTANT",
        "content": "a\u2028b\r\n😀",
        "rawResponse": {"usage": {"total": 1}, "none": None},
        "tokenCount": 0,
        "swipeGroupId": "swipe-1",
        "swipeIndex": 0,
        "createdAt": TIES,
    }
    made = store.chats.add_message(chat.id, given).value
    assert {name: getattr(made, name) for name in given} == given
    assert (made.type, made.attachments) == ("message", ())
    assert store.chats.find_message(made.id) == (chat.id, made)
    assert list(store.chats.get_messages(chat.id)) == [made]
    assert store.chats.find_message("nobody") is None
    assert list(store.chats.get_messages("nobody")) == []
    assert store.chats.get_message_count("nobody") == 0


def test_what_is_said_at_one_moment_is_in_order(store: Store) -> None:
    """Without a swipeIndex first, then by it, then by id."""
    chat = make_chat(store)
    for content, index in (("2b", 2), ("0a", 0), ("10", 10), ("None b", None), ("2a", 2), ("None a", None), ("-1", -1)):
        make_message(store, chat, content, id=f"m-{content}", swipeIndex=index, createdAt=TIES)
    make_message(store, chat, "first", createdAt="2024-01-01T00:00:00.000Z")
    in_order = ["first", "None a", "None b", "-1", "0a", "2a", "2b", "10"]
    assert said(store, chat) == in_order
    page = store.chats.messages_page(chat.id)
    assert [message.content for message in page.messages] == in_order
    assert page.before is None


def test_pages_come_from_the_end_without_gap_or_repeat(store: Store) -> None:
    chat, other = make_chat(store), make_chat(store, title="Other")
    new = [{"role": "USER", "content": f"{number}", "createdAt": TIES} for number in range(7)]
    store.chats.add_messages(chat.id, new)
    make_message(store, other)
    pages, before = [], None
    while True:
        page = store.chats.messages_page(chat.id, before=before, limit=3)
        pages.append([message.content for message in page.messages])
        assert list(page.problems) == []
        if (before := page.before) is None:
            break
    assert pages == [["4", "5", "6"], ["1", "2", "3"], ["0"]]
    assert store.chats.messages_page(chat.id, limit=7).before is None
    assert len(store.chats.messages_page(chat.id, limit=0).messages) == 1
    assert list(store.chats.messages_page("nobody").messages) == []


def test_a_page_stays_where_it_was_while_messages_come_and_go(store: Store) -> None:
    chat = make_chat(store)
    made = store.chats.add_messages(chat.id, [{"role": "USER", "content": f"{number}"} for number in range(6)]).value
    before = store.chats.messages_page(chat.id, limit=2).before
    make_message(store, chat, "new")
    store.chats.delete_message(made[4].id)  # the very one that the page began with
    above = store.chats.messages_page(chat.id, before=before, limit=2)
    assert [message.content for message in above.messages] == ["2", "3"]


@pytest.mark.parametrize("place", ["x", "~", "yesterday~0~a", f"{TIES}~first~a", f"{TIES}~0~\0"])
def test_a_place_that_is_none_is_refused(store: Store, place: str) -> None:
    chat = make_chat(store)
    with pytest.raises(InvalidValueError, match="no place in a chat") as refused:
        store.chats.messages_page(chat.id, before=place)
    assert refused.value.hint


def test_several_are_added_as_one_unit_in_their_order(store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, "before")
    new = [{"role": "USER", "content": f"{number}"} for number in range(30)]
    made = store.chats.add_messages(chat.id, new).value
    assert [message.content for message in made] == [one["content"] for one in new]
    make_message(store, chat, "after")
    assert said(store, chat) == ["before", *(one["content"] for one in new), "after"]
    with pytest.raises(InvalidRecordError, match="role"):
        store.chats.add_messages(chat.id, [{"role": "USER", "content": "x"}, {"role": "ROBOT", "content": "y"}])
    with pytest.raises(MissingReferenceError):
        store.chats.add_messages(chat.id, [{"role": "USER", "content": "x", "attachments": ["no file"]}])
    assert len(said(store, chat)) == 32
    assert store.chats.add_messages(chat.id, iter(())).value == []


def test_words_that_follow_each_other_at_once_stay_in_order(store: Store) -> None:
    chat = make_chat(store)
    for number in range(12):
        make_message(store, chat, f"{number}")
    assert said(store, chat) == [f"{number}" for number in range(12)]


def test_a_message_of_the_past_comes_where_it_belongs(store: Store) -> None:
    chat = make_chat(store)
    make_message(store, chat, "today")
    make_message(store, chat, "then", createdAt=TIES)
    assert said(store, chat) == ["then", "today"]


def test_a_chat_that_is_gone_takes_no_message(store: Store) -> None:
    for write in (
        lambda: store.chats.add_message("gone", {"role": "USER", "content": "x"}),
        lambda: store.chats.clear_messages("gone"),
    ):
        with pytest.raises(NotFoundError, match="gone") as refused:
            write()
        assert refused.value.hint
    with pytest.raises(NotFoundError, match="gone"):
        store.chats.update_message("gone", {"content": "x"})
    with pytest.raises(NotFoundError, match="gone"):
        store.chats.add_swipe("gone", {"content": "x"})
    assert store.chats.delete_message("gone").value is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("content", None),
        ("content", "half \ud83d of it"),
        ("role", "ROBOT"),
        ("createdAt", "yesterday"),
        ("tokenCount", 1.5),
        ("swipeIndex", 2**31),
        ("rawResponse", {"x": float("nan")}),
        ("colour", "red"),
        ("id", "other"),
        ("chatId", "other"),
    ],
)
def test_a_wrong_value_is_refused_and_nothing_is_written(store: Store, field: str, value: object) -> None:
    chat = make_chat(store)
    made = make_message(store, chat)
    with pytest.raises(InvalidValueError):
        store.chats.update_message(made.id, {"content": "new", field: value})
    assert list(store.chats.get_messages(chat.id)) == [made]


def test_an_update_changes_what_is_named(store: Store) -> None:
    chat = make_chat(store)
    made = make_message(store, chat, tokenCount=5, createdAt=TIES)
    make_message(store, chat, "other", createdAt=LATER)
    changed = store.chats.update_message(made.id, {"content": "New."}).value
    assert changed == made.model_copy(update={"content": "New."})
    assert said(store, chat) == ["New.", "other"]
    moved = store.chats.update_message(made.id, {"createdAt": "2025-01-03T00:00:00.000Z"}).value
    assert moved.content == "New."
    assert said(store, chat) == ["other", "New."]


def test_who_saw_an_older_message_is_told_and_shown_the_new_one(store: Store) -> None:
    made = make_message(store, make_chat(store))
    seen = store.chats.message_version(made)
    theirs = store.chats.update_message(made.id, {"content": "Theirs"}, expected=seen).value
    with pytest.raises(ConflictError) as conflict:
        store.chats.update_message(made.id, {"content": "Mine"}, expected=seen)
    assert conflict.value.current == theirs
    assert store.chats.find_message(made.id)[1] == theirs
    assert store.chats.message_version(store.chats.find_message(made.id)[1]) == store.chats.message_version(theirs)


def test_messages_are_counted_and_the_last_is_told(store: Store) -> None:
    chat = make_chat(store)
    assert counted(store, chat) == (0, None)
    make_message(store, chat, createdAt=LATER)
    last = make_message(store, chat, createdAt=TIES)
    assert counted(store, chat) == (2, LATER)
    store.chats.delete_message(last.id)
    assert counted(store, chat) == (1, LATER)
    store.chats.clear_messages(chat.id)
    assert counted(store, chat) == (0, None)


def test_a_deleted_message_leaves_its_files_to_the_chat(store: Store) -> None:
    chat = make_chat(store)
    files = [make_attachment(store, chatId=chat.id).id for _ in range(2)]
    made = make_message(store, chat, attachments=files)
    assert sorted(made.attachments) == sorted(files)
    assert store.chats.delete_message(made.id).value is True
    assert store.chats.delete_message(made.id).value is False
    assert [store.attachments.find_by_id(one).messageId for one in files] == [None, None]
    assert said(store, chat) == []


def test_a_chat_is_cleared_and_keeps_its_files(store: Store) -> None:
    chat, other = make_chat(store), make_chat(store, title="Other")
    file = make_attachment(store, chatId=chat.id)
    make_message(store, chat, attachments=[file.id])
    make_message(store, chat)
    make_message(store, other, "stays")
    assert store.chats.clear_messages(chat.id).value == 2
    assert store.chats.clear_messages(chat.id).value == 0
    assert said(store, chat) == []
    assert said(store, other) == ["stays"]
    assert store.attachments.find_by_id(file.id).messageId is None
    make_message(store, chat, "again")
    assert said(store, chat) == ["again"]


def test_files_are_given_to_a_message_of_their_chat(store: Store) -> None:
    chat = make_chat(store)
    first, second = (make_attachment(store, chatId=chat.id, createdAt=moment).id for moment in (TIES, LATER))
    elsewhere = make_attachment(store).id
    made = make_message(store, chat, attachments=[second, first, second])
    assert made.attachments == (first, second)  # by their own dates
    assert [one.id for one in store.attachments.find_by_message_id(made.id)] == [first, second]
    changed = store.chats.update_message(made.id, {"attachments": [second]}).value
    assert changed.attachments == (second,)
    assert store.attachments.find_by_id(first).messageId is None
    assert store.attachments.attach(made.id, [first]).value == 2
    assert store.chats.find_message(made.id)[1].attachments == (first,)
    for attach in (
        lambda: store.attachments.attach(made.id, [elsewhere]),
        lambda: store.chats.update_message(made.id, {"content": "x", "attachments": ["nobody"]}),
        lambda: make_message(store, chat, attachments=[first, elsewhere]),
    ):
        with pytest.raises(MissingReferenceError):
            attach()
    for ids in ([first], []):
        with pytest.raises(NotFoundError, match="nobody"):
            store.attachments.attach("nobody", ids)
    for ids in (None, first, [5], [[]], ["half \ud83d"]):
        with pytest.raises(InvalidRecordError, match="attachments"):
            store.chats.update_message(made.id, {"attachments": ids})
        with pytest.raises(InvalidRecordError, match="attachments"):
            make_message(store, chat, attachments=ids)
    assert store.chats.find_message(made.id)[1].attachments == (first,)
    assert store.chats.update_message(made.id, {"attachments": []}).value.attachments == ()


# ------------------------------------------------------------------ swipes
@pytest.fixture
def answered(store: Store) -> Chat:
    chat = make_chat(store)
    make_message(store, chat, "Question", createdAt=TIES)
    make_message(store, chat, "Answer", id="answer", role="ASSISTANT", createdAt=LATER)
    make_message(store, chat, "Next", createdAt="2025-01-03T00:00:00.000Z")
    return chat


def test_a_swipe_stands_beside_what_it_is_another_version_of(store: Store, answered: Chat) -> None:
    second = store.chats.add_swipe("answer", {"content": "Other"}).value
    third = store.chats.add_swipe("answer", {"content": "Third", "tokenCount": 3}).value
    first = store.chats.find_message("answer")[1]
    assert {one.createdAt for one in (first, second, third)} == {LATER}
    assert {one.role for one in (first, second, third)} == {"ASSISTANT"}
    assert {one.swipeGroupId for one in (first, second, third)} == {"swipe-answer"}
    assert [one.swipeIndex for one in (first, second, third)] == [0, 1, 2]
    assert third.tokenCount == 3
    assert said(store, answered) == ["Question", "Answer", "Other", "Third", "Next"]
    assert list(store.chats.swipes(answered.id, "swipe-answer")) == [first, second, third]


def test_a_swipe_of_a_swipe_is_of_the_same_group(store: Store, answered: Chat) -> None:
    second = store.chats.add_swipe("answer", {"content": "Other"}).value
    store.chats.delete_message("answer")
    third = store.chats.add_swipe(second.id, {"content": "Third"}).value
    assert (third.swipeGroupId, third.swipeIndex) == ("swipe-answer", 2)
    assert [one.content for one in store.chats.swipes(answered.id, "swipe-answer")] == ["Other", "Third"]


def test_a_group_of_the_same_name_in_another_chat_is_another(store: Store, answered: Chat) -> None:
    """SillyTavern's import counts its groups anew in every chat."""
    other = make_chat(store, title="Other")
    for chat, content in ((answered, "here"), (other, "there")):
        make_message(store, chat, content, swipeGroupId="swipe-0", swipeIndex=4)
    assert [one.content for one in store.chats.swipes(answered.id, "swipe-0")] == ["here"]
    there = store.chats.swipes(other.id, "swipe-0")[0]
    assert store.chats.add_swipe(there.id, {"content": "more"}).value.swipeIndex == 5
    assert list(store.chats.swipes(answered.id, "nothing")) == []


def test_a_swipe_that_is_refused_leaves_no_group(store: Store, answered: Chat) -> None:
    file = make_attachment(store).id
    for fields in ({"content": None}, {"content": "x", "colour": "red"}, {"content": "x", "attachments": [file]}):
        with pytest.raises((InvalidRecordError, MissingReferenceError)):
            store.chats.add_swipe("answer", fields)
    assert store.chats.find_message("answer")[1].swipeGroupId is None
    assert len(said(store, answered)) == 3
