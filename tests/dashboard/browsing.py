"""What a browser without scripts makes of a page: its forms with the values they would send, its messages, its rows."""

import re
from html.parser import HTMLParser
from typing import Any

from werkzeug.datastructures import MultiDict
from werkzeug.test import TestResponse

from tests.dashboard.entering import Visitor


class _Forms(HTMLParser):
    """Collects every form's action and values, by the rules of the HTML standard."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[dict[str, Any], MultiDict[str, str]]] = []
        self.open: MultiDict[str, str] | None = None
        self.textarea: list[str] | None = None
        self.name = self.select = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.open = MultiDict()
            self.forms.append((given, self.open))
        elif self.open is None or "disabled" in given:
            return
        elif tag == "input" and given.get("name"):
            kind = given.get("type", "text")
            if kind in ("submit", "button") or (kind in ("checkbox", "radio") and "checked" not in given):
                return
            self.open.add(given["name"], _sent(given.get("value", "on" if kind == "checkbox" else "")))
        elif tag == "textarea":
            self.textarea, self.name = [], given.get("name", "")
        elif tag == "select":
            self.select = given.get("name", "")
        elif tag == "option" and self.select and "selected" in given:
            self.open.add(self.select, given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.textarea.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.open = None
        elif tag == "select":
            self.select = ""
        elif tag == "textarea" and self.textarea is not None and self.open is not None:
            # The parser of a browser drops one line end right after the tag.
            text = re.sub(r"^(\r\n|\n|\r)", "", "".join(self.textarea), count=1)
            self.open.add(self.name, _sent(text))
            self.textarea = None


def _sent(value: str) -> str:
    """Browsers send every line end as CR LF."""
    return re.sub(r"\r\n|\n|\r", "\r\n", value)


def form_in(response: TestResponse, field: str) -> MultiDict[str, str]:
    """What the page's form with this field would send as it stands."""
    parser = _Forms()
    parser.feed(response.text)
    found = [values for _, values in parser.forms if field in values]
    assert found, f"no form with {field} on {response.request.path}: {response.status}"
    return found[0]


def submit(visitor: Visitor, page: str, field: str = "seen", **changes: Any) -> TestResponse:
    """Open a page, change some fields of its form and send it. None takes a field out, a list sends several values."""
    return resend(visitor, visitor.get(page), page, field, **changes)


def resend(visitor: Visitor, response: TestResponse, page: str, field: str = "seen", **changes: Any) -> TestResponse:
    """The same from an answer that holds the form."""
    return visitor.post(page, filled(form_in(response, field), **changes))


def filled(form: MultiDict[str, str], **changes: Any) -> MultiDict[str, str]:
    for name, value in changes.items():
        name = name.replace("__", "-")
        form.poplist(name)
        for one in value if isinstance(value, list) else [] if value is None else [value]:
            form.add(name, one)
    return form


def messages(visitor: Visitor, response: TestResponse) -> list[str]:
    """Follow the redirect and read what the next page says."""
    assert response.status_code == 303, f"{response.status}\n{told(response)}"
    return told(visitor.get(response.location))


def told(response: TestResponse) -> list[str]:
    """Every notice on a page, in plain words."""
    found = re.findall(r'<div class="(?:flash )?notice [^"]*"[^>]*>(.*?)</div>', response.text, re.DOTALL)
    return [words(re.sub(r"<(button|svg).*?</\1>", "", one, flags=re.DOTALL)) for one in found]


def words(html: str) -> str:
    """The text of a piece of HTML."""
    plain = re.sub(r"<[^>]+>", " ", html)
    for name, sign in (("&#34;", '"'), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        plain = plain.replace(name, sign)
    return " ".join(plain.split())


def names_listed(response: TestResponse) -> list[str]:
    """The names in the rows of a list, in its order."""
    cells = re.findall(r'<td class="cell-main">(.*?)</td>', response.text, re.DOTALL)
    return [words(re.findall(r"<a [^>]*>(.*?)</a>", cell, re.DOTALL)[0]) for cell in cells]
