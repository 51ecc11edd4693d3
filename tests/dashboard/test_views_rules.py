"""The page of who may do what."""

import re

from tests.dashboard.browsing import words
from tests.dashboard.entering import Visitor


def rows_under(page: str, noun: str) -> dict[str, str]:
    """Action -> the rest of its row, of one noun."""
    part = next(body for body in re.findall(r"<tbody>.*?</tbody>", page, re.DOTALL) if f">{noun}</th>" in body)
    rows = re.findall(r'<tr>\s*<th scope="row">(.*?)</th>(.*?)</tr>', part, re.DOTALL)
    return {words(action): words(rest) for action, rest in rows}


def test_a_viewer_reads_why_not(viewer: Visitor) -> None:
    keys = rows_under(viewer.get("/admin/rules/").text, "Connections: API keys")
    assert keys["Look"].endswith("Yes, everybody with an account may.")
    assert keys["Make new ones"].endswith("No: it needs the role editor, and you are a viewer.")


def test_an_editor_reads_that_keys_ask_for_the_password(editor: Visitor) -> None:
    page = editor.get("/admin/rules/").text
    keys = rows_under(page, "Connections: API keys")
    assert keys["Make new ones"].endswith("Yes, you are an editor, once you have given your password again.")
    exports = rows_under(page, "Exports")
    assert any(row.endswith("No: it needs the role admin, and you are an editor.") for row in exports.values())


def test_every_action_is_told_in_words(editor: Visitor) -> None:
    actions = re.findall(r'<th scope="row">(.*?)</th>', editor.get("/admin/rules/").text, re.DOTALL)
    assert len(actions) > 80
    odd = [told for action in actions if re.search(r"[`_]|^[a-z]|\.$", told := words(action))]
    assert odd == []
