"""The pages of the audit: for admins, narrowed by filters that stay in the address, exported as files."""

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from store import Store
from store.audit import Actor, Question, acting_as
from tests.dashboard.browsing import messages, submit, words
from tests.dashboard.entering import Visitor
from tests.factories import make_character, make_key, make_tag, make_user


@pytest.fixture
def admin(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("admin")


def rows(response: TestResponse) -> list[str]:
    """What each row of the list says under “What”."""
    assert response.status_code == 200
    return [words(cell) for cell in re.findall(r'<td class="cell-main">(.*?)</td>', response.text, re.DOTALL)]


def test_a_change_on_a_page_is_there_with_who_and_from_where(admin: Visitor, store: Store) -> None:
    hero = make_character(store, "Alice", description="old")
    submit(admin, f"/admin/characters/edit/?id={hero.id}", description="new <b>")
    listed = admin.get("/admin/audit/")
    assert rows(listed)[0] == "Changed character Alice"
    assert "an-admin" in listed.text
    assert "127.0.0.1" in listed.text
    entry = store.audit.newest(Question())[0]
    assert (entry.actor, entry.role, entry.address) == ("an-admin", "admin", "127.0.0.1")
    page = admin.get(f"/admin/audit/entry?id={entry.id}")
    assert entry.request_id in page.text
    assert "old" in words(page.text)
    assert "new &lt;" in page.text.replace("<mark>", "").replace("</mark>", "")
    assert "<b>" not in page.text


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_it_is_for_admins(sign_in: Callable[[str], Visitor], role: str) -> None:
    visitor = sign_in(role)
    assert "/admin/audit/" not in visitor.get("/admin/").text
    for path in ("", "entry?id=1", "export"):
        assert visitor.get(f"/admin/audit/{path}").status_code == 403


def test_filters_combine_and_stay_in_the_address(admin: Visitor, store: Store) -> None:
    make_user(store)
    with acting_as(Actor("Bob")):
        make_tag(store, "Elf")
        king = make_tag(store, "King")
        store.tags.update(king.id, {"name": "Queen"})
        store.audit.note("sign-in", "tandem account", outcome="failed", title="Bob")
    assert rows(admin.get("/admin/audit/?actor=Bob&kind=tag")) == [
        "Changed tag Queen",
        "Made tag King",
        "Made tag Elf",
    ]
    assert rows(admin.get("/admin/audit/?actor=Bob&action=create&search=kin")) == ["Made tag King"]
    assert rows(admin.get(f"/admin/audit/?record={king.id}")) == ["Changed tag Queen", "Made tag King"]
    assert rows(admin.get("/admin/audit/?outcome=failed")) == ["Tried to sign in account Bob failed"]
    assert rows(admin.get("/admin/audit/?from=2020-01-01&actor=Bob&kind=tag&action=update")) == ["Changed tag Queen"]
    nothing = admin.get("/admin/audit/?to=2020-01-01&actor=Bob")
    assert rows(nothing) == []
    assert "Nothing answers to that." in nothing.text
    assert 'href="/admin/audit/?actor=Bob"' in nothing.text  # without the other filter
    for nonsense in (
        "?from=yesterday&to=9999-12-31&part_of=x&before=-1",
        "?actor=%00&search=%25&before=99999999999999",
    ):
        assert admin.get(f"/admin/audit/{nonsense}").status_code == 200


def test_older_ones_follow_and_a_change_of_many_is_one_line(admin: Visitor, store: Store) -> None:
    ids = [make_character(store, f"Hero {number}").id for number in range(60)]
    store.characters.set_favorite_of_many(ids, True)
    first = admin.get("/admin/audit/?kind=character")
    assert len(rows(first)) == 50
    assert rows(first)[0] == "Changed 60 characters"
    older = re.search(r'href="([^"]*before=\d+)"', first.text)
    assert older
    second = admin.get(older[1].replace("&amp;", "&"))
    assert len(rows(second)) == 11
    assert set(rows(first)) & set(rows(second)) == set()
    head = store.audit.newest(Question())[0]
    parts = admin.get(f"/admin/audit/?part_of={head.id}&search=Hero 7")
    assert rows(parts) == ["Changed character Hero 7"]
    assert "60 characters" in admin.get(f"/admin/audit/entry?id={head.id}").text


def test_it_is_exported_as_csv_without_formulas(admin: Visitor, store: Store) -> None:
    make_user(store)
    for name in ("=HYPERLINK(1)", "+1", "-1", "@x", "＝1", "plain, with “quotes”"):
        make_tag(store, name)
    answer = admin.get("/admin/audit/export?format=csv&kind=tag")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="tandem-audit.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["title"] for row in found] == ["plain, with “quotes”", "'＝1", "'@x", "'-1", "'+1", "'=HYPERLINK(1)"]
    assert json.loads(found[0]["changes"])["name"] == {"after": "plain, with “quotes”"}
    assert store.audit.newest(Question(action="export"))[0].message == "As csv. kind: tag"


def test_it_is_exported_as_json_lines_whole(admin: Visitor, store: Store) -> None:
    ids = [make_character(store, f"Hero {number}").id for number in range(600)]
    store.characters.set_favorite_of_many(ids, True)
    answer = admin.get("/admin/audit/export?format=jsonl&kind=character")
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert len(found) == 600 + 600 + 1
    assert found[0]["changes"] == {"isFavorite": {"before": False, "after": True}}
    assert admin.get("/admin/audit/export?format=xml").status_code == 404


SECRET = "sk-marker-0123456789"


def test_no_page_and_no_export_holds_a_secret(admin: Visitor, store: Store) -> None:
    key = make_key(store, "Main", SECRET)
    submit(admin, f"/admin/keys/replace/?id={key.id}", "value", value=SECRET + "-2")
    told = store.keys.values(key.id)
    assert told is not None
    hidden = [SECRET, *(told[name] for name in ("keyEncrypted", "keyIv", "keyAuthTag"))]
    entry = store.audit.newest(Question(kind="key"))[0]
    paths = ["/admin/audit/", f"/admin/audit/entry?id={entry.id}", f"/admin/keys/change/?entry={entry.id}"]
    paths += [f"/admin/keys/history/?id={key.id}", f"/admin/keys/details/?id={key.id}"]
    paths += ["/admin/audit/export?format=csv", "/admin/audit/export?format=jsonl"]
    for path in paths:
        page = admin.get(path)
        assert page.status_code == 200
        assert [one for one in hidden if one in page.text] == [], path
    assert "It is a secret" in admin.get(paths[1]).text
    assert messages(admin, admin.send(f"/admin/keys/delete/?id={key.id}", "/logout", {"confirmed": "1"}))
    assert "nobody can bring it back" in admin.get(f"/admin/keys/change/?entry={_last(store)}").text


def _last(store: Store) -> int:
    return store.audit.newest(Question(kind="key"))[0].id


def run(tandem: Flask, *told: str) -> str:
    result = tandem.test_cli_runner().invoke(args=["audit", *told])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_commands_show_and_write_it(tandem: Flask, store: Store, tmp_path: Path) -> None:
    make_user(store)
    with acting_as(Actor("Bob")):
        king = make_tag(store, "King")
        store.tags.update(king.id, {"name": "Queen"})
    lines = run(tandem, "list", "--who", "Bob").splitlines()
    assert [re.sub(r"^[-\d]+ [:\d]+ +", "", line) for line in lines] == [
        "Bob  Changed tag Queen  (name)",
        "Bob  Made tag King",
    ]
    found = json.loads(run(tandem, "list", "--about", "tag", "--action", "update", "--json"))["entries"]
    assert [one["record_id"] for one in found] == [king.id]
    assert run(tandem, "list", "--until", "2020-01-01") == "Nothing answers to that.\n"
    assert run(tandem, "list", "--limit", "1").count("\n") == 1
    written = run(tandem, "export", "--format", "jsonl", "--record", king.id).splitlines()
    assert [json.loads(line)["action"] for line in written] == ["update", "create"]
    assert [",tag," in line for line in run(tandem, "export", "--search", "queen").splitlines()] == [
        False,
        False,
        True,
    ]  # the header, this export, the change
    exported = store.audit.newest(Question(action="export"))[0]
    assert exported.actor.startswith("command:")
