"""Script that somebody stored in every text a page shows: none of it runs, and none of it becomes part of a page."""

import base64
import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from playwright.sync_api import Page
from werkzeug.serving import make_server

from dashboard.auth import People
from store import Store
from store.audit import Question
from store.providers import Providers
from store.providers.transport import Limits, Transport
from tests.browser.making import DATA, png_card
from tests.dashboard.browsing import form_in, submit
from tests.dashboard.chatting import attach_file, picture
from tests.dashboard.entering import Visitor, a_tandem, make_account
from tests.factories import (
    make_account as make_oauth_account,
)
from tests.factories import (
    make_character,
    make_chat,
    make_image,
    make_image_profile,
    make_key,
    make_message,
    make_persona,
    make_profile,
    make_session,
    make_tag,
    make_token,
    make_user,
    put,
)
from tests.store.providers.serving import Guest, Provider, a_provider

PAYLOADS = (
    "<script>pwned()</script>",
    "<img src=x onerror=pwned() data-pwned>",
    "<svg/onload=pwned() data-pwned>",
    "\"'><b data-pwned onmouseover=pwned()>",
    "</textarea></title></script></style></noscript><i data-pwned>",
    "'-pwned()-'",
    "\\u003cu data-pwned\\u003e",
    "&lt;u data-pwned&gt;&#60;u data-pwned&#62;",
    "<iframe srcdoc='<script>parent.pwned()</script>' data-pwned></iframe>",
    "<a href=javascript:pwned() data-pwned>x</a><form action=javascript:pwned() data-pwned>",
    "<style>@import '//evil.example/x';</style><base href=//evil.example/ data-pwned>",
    "<meta http-equiv=refresh content='0;url=//evil.example/' data-pwned>",
    "{{ 1337 * 7331 }} {% raw %} ${1337*7331} #{1337*7331} <%= 1337*7331 %>",
    "<!--<b data-pwned> ]]> --!>",
    "![x](javascript:pwned()) [x](javascript:pwned())",
)
EVIL = " ".join(PAYLOADS)
SHORT = "<img src=x onerror=pwned() data-pwned>"  # for a name of a file or of an account
SCRIPT = "javascript:pwned()"
ROWS = """() => {
    const bad = [...document.querySelectorAll('[data-pwned], iframe, object, embed, base, meta[http-equiv]')];
    for (const one of document.querySelectorAll('*')) {
        for (const {name, value} of one.attributes) {
            const link = ['href', 'src', 'action', 'formaction', 'srcdoc', 'data', 'poster'].includes(name);
            const outside = link && !/^(https?:|blob:)?$/.test(new URL(value, location).protocol);
            if (name.startsWith('on') || (outside && !value.startsWith('data:image/'))) bad.push(one);
        }
    }
    return bad.map(one => one.outerHTML.slice(0, 200)).concat(window.wasPwned || []);
}"""


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    def answer(guest: Guest) -> None:
        guest.answer(json.dumps({"data": [{"id": f"{SHORT}{number}"} for number in range(3)]}))

    with a_provider(answer) as running:
        yield running


@pytest.fixture(scope="module")
def tandem(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    with a_tandem(tmp_path_factory.mktemp("stored"), ALLOW_LOCAL_PROVIDERS="true") as app:
        app.extensions["tandem_store"].providers = Providers(True, Transport(True, limits=Limits(2, 2)))
        make_account(app, SHORT, "admin")
        yield app


@pytest.fixture(scope="module")
def admin(tandem: Flask) -> Visitor:
    visitor = Visitor(tandem)
    assert visitor.sign_in(SHORT).status_code == 302
    return visitor


@pytest.fixture(scope="module")
def address(tandem: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, tandem, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def fill(store: Store, provider: Provider) -> list[str]:
    """A record of each noun whose every text is the payload; the addresses of their pages."""
    user = make_user(store, EVIL, email="evil@example.org")
    tag = make_tag(store, EVIL)
    image = make_image(store, SHORT, url=SCRIPT, generationPrompt=EVIL, generationModel=EVIL)
    store.public.save(image.relativePath, picture())
    texts = dict.fromkeys(("title", "description", "personality", "scenario", "firstMessage"), EVIL)
    texts |= dict.fromkeys(("exampleDialogues", "systemPrompt"), EVIL)
    persona = make_persona(store, EVIL, title=EVIL, description=EVIL, personalityTraits=EVIL, avatarUrl=SCRIPT)
    link = [{"personaId": persona.id, "isDefault": True}]
    raw = {EVIL: [EVIL, {EVIL: EVIL}]}
    shown = {"avatarUrl": SCRIPT, "sillyTavernData": raw, "tags": [tag.id], "personaLinks": link}
    hero = make_character(store, EVIL, **texts, **shown, defaultImageId=image.id)
    key = make_key(store, EVIL, provider="OPENAI_COMPATIBLE")
    local = {"provider": "OPENAI_COMPATIBLE", "baseUrl": provider.url, "apiKeyId": key.id}
    profile = make_profile(store, EVIL, modelName=EVIL, parameters=raw, tags=[tag.id], **local)
    painter = make_image_profile(store, EVIL, modelName=EVIL, parameters=raw)
    chat = make_chat(store, EVIL, characterId=hero.id, personaId=persona.id, connectionProfileId=profile.id)
    file = attach_file(store, chat, SHORT, picture())
    page = attach_file(store, chat, f"{SHORT}.html", EVIL.encode(), mimeType="text/html")
    message = make_message(store, chat, EVIL, rawResponse=raw, attachments=[file.id, page.id])
    answer = make_message(store, chat, EVIL, role="ASSISTANT")
    store.chats.add_swipe(answer.id, {"content": EVIL})
    store.chats.set_avatar_override(chat.id, hero.id, image.id)
    account = make_oauth_account(store, EVIL[:80], providerAccountId=EVIL, scope=EVIL, type=SHORT)
    session, _ = make_session(store), make_token(store, EVIL)
    store.characters.update(hero.id, {"title": f"{EVIL} more", "description": f"{SHORT}{EVIL}"})
    ids = {"characters": hero.id, "personas": persona.id, "tags": tag.id, "images": image.id, "chats": chat.id}
    ids |= {"profiles": profile.id, "image-profiles": painter.id, "keys": key.id, "messages": message.id}
    found = [f"/admin/{noun}/{part}/?id={one}" for noun, one in ids.items() for part in ("details", "edit")]
    found += [f"/admin/{noun}/delete/?id={ids[noun]}" for noun in ("characters", "keys", "chats")]
    found += [f"/admin/characters/history/?id={hero.id}"]
    found += [f"/admin/{noun}/" for noun in (*ids, "users", "accounts", "sessions", "tokens") if noun != "messages"]
    found += [f"/admin/accounts/details/?id={account.id}", f"/admin/sessions/details/?id={session.id}"]
    found += [f"/admin/users/{part}/?id={user.id}" for part in ("details", "edit")]
    found += [f"/admin/characters/?search={quote(EVIL[:150])}&tag={tag.id}", "/admin/characters/new/"]
    found += [f"/admin/messages/new/?version_of={answer.id}", f"/admin/profiles/new/?from={profile.id}"]
    return found


def compared(store: Store, admin: Visitor) -> list[str]:
    """The pages of a validation that found differences, and files that nobody can read."""
    hero = store.characters.find_all()[0]
    file = store.settings.data_dir / "characters" / f"{hero.id}.json"
    told = json.loads(file.read_bytes())
    file.write_text(json.dumps({**told, "title": f"other {EVIL}", "personality": SHORT}))
    put(store.settings.data_dir, f"characters/{SHORT}.json", EVIL)
    put(store.settings.data_dir, "characters/00000000-0000-4000-8000-00000000dead.json", f'{{"name": "{SHORT}"')
    answer = admin.send("/admin/validation/start", "/admin/validation/")
    job = answer.location.partition("id=")[2]
    rows = [f"/admin/validation/record?id={job}&row={row}" for row in range(2)]
    pages = [f"/admin/validation/model?id={job}&model=Character", *rows]
    assert [admin.get(page).status_code for page in pages] == [200] * 3
    return [answer.location, "/admin/validation/", *pages]


def previewed(admin: Visitor) -> list[str]:
    """The preview of cards whose every text is the payload, and of files that are none."""
    said = {name: EVIL for name, value in DATA.items() if isinstance(value, str)}
    said |= {"tags": [SHORT, EVIL], "alternate_greetings": [EVIL], "extensions": {EVIL: EVIL}}  # type: ignore[dict-item]
    card = png_card(**said)
    broken = base64.b64encode(EVIL.encode())
    files = [(io.BytesIO(card), SHORT), (io.BytesIO(EVIL.encode()), f"{SHORT}.json"), (io.BytesIO(broken), "b.png")]
    form: Any = form_in(admin.get("/admin/cards/"), "csrf_token")
    token = {"csrf_token": form["csrf_token"], "files": files}
    return [admin.post("/admin/cards/upload", token, content_type="multipart/form-data").location]


def told_of(store: Store) -> list[str]:
    """The audit's pages, of entries with differences most of all."""
    entries = store.audit.newest(Question(), limit=60)
    return ["/admin/audit/", *(f"/admin/audit/entry?id={one.id}" for one in entries if one.changes)][:6]


def test_no_script_in_any_text_becomes_part_of_a_page(
    tandem: Flask, admin: Visitor, address: str, provider: Provider, new_page: Callable[..., Page]
) -> None:
    store: Store = tandem.extensions["tandem_store"]
    paths = fill(store, provider)
    person = next(one for one in people(tandem).accounts.list())
    paths += compared(store, admin) + previewed(admin) + told_of(store)
    paths += ["/admin/people/", f"/admin/people/person?id={person.id}", "/account/", "/admin/exports/", "/admin/rules/"]
    paths += [f"/nowhere/{quote(SHORT)}", f"/login?next={quote(SHORT)}", "/admin/"]
    page = new_page(viewport={"width": 1280, "height": 900}, user_agent=EVIL)
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.add_init_script("window.pwned = () => { window.wasPwned = ['it ran']; };")
    token = people(tandem).sessions.start(person, "127.0.0.1", EVIL)
    page.context.add_cookies([{"name": "tandem_session", "value": token, "url": address}])
    seen = []
    for path in paths:
        page.goto(address + path, wait_until="load")
        seen += looked_at(page)
    # What scripts put into a page: the palette, an answer of a provider, a question, a version of a message.
    page.goto(f"{address}/admin/profiles/")
    page.keyboard.press("Control+k")
    page.keyboard.type("script")
    page.locator("#palette li", has_text="data-pwned").first.wait_for()
    seen += looked_at(page)
    for path in (one for one in paths if one.startswith("/admin/profiles/details")):
        page.goto(address + path)
        page.get_by_role("button", name="Test connection").click()
        page.get_by_text("onerror=pwned() data-pwned>1").first.wait_for(state="attached")
        seen += looked_at(page)
    page.goto(address + next(one for one in paths if one.startswith("/admin/tags/details")))
    page.get_by_role("button", name="Delete").first.click()
    page.locator("dialog[open]").wait_for()
    seen += looked_at(page)
    assert not seen, "\n".join(seen)
    assert dialogs == []


def looked_at(page: Page) -> list[str]:
    """What is on a page that should not be; with everything unfolded that is folded."""
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    found = [f"{page.url[:120]}: {one}" for one in page.evaluate(ROWS)]
    text = page.content()
    found += [f"{page.url[:120]}: a template was carried out"] if str(1337 * 7331) in text else []
    return found


def people(tandem: Flask) -> People:
    found: People = tandem.extensions["tandem_people"]
    return found


def test_a_refused_form_and_a_conflict_give_the_payload_back_as_text(admin: Visitor, tandem: Flask) -> None:
    store: Store = tandem.extensions["tandem_store"]
    tag = make_tag(store, "Plain")
    evil = EVIL * 2  # too long
    refused = submit(admin, f"/admin/tags/edit/?id={tag.id}", name=evil)
    page = admin.get(f"/admin/tags/edit/?id={tag.id}")
    store.tags.update(tag.id, {"name": SHORT})
    form = form_in(page, "seen")
    form.setlist("name", [PAYLOADS[3]])
    conflict = admin.post(f"/admin/tags/edit/?id={tag.id}", form)
    assert (refused.status_code, conflict.status_code) == (422, 409)
    for answer in (refused, conflict):
        assert "data-pwned" in answer.text
        assert "<img src=x" not in answer.text
        assert "<b data-pwned" not in answer.text
        assert "<script>pwned" not in answer.text
