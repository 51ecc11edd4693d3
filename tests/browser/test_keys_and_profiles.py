"""Four journeys over keys and profiles in Chromium, against a real provider; after each, both sides are read by
somebody outside who decrypts by Quilltap's recipe.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.looking import serious
from tests.browser.serving import Running
from tests.conftest import absent
from tests.outside import BothSides
from tests.provider import MODEL, CannotInstall, a_real_provider

RIGHT, WRONG = "sk-right-7Jq2ZlTfX0-of-this-provider-aGx9Pq", "sk-wrong-0000000000-of-nobody-at-all-000000"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a real provider that takes RIGHT."""
    try:
        with a_real_provider("openai", RIGHT, tmp_path_factory.mktemp("provider")) as address:
            yield f"{address}/v1"
    except CannotInstall as error:
        absent(f"no provider to test against: {error}")


@pytest.fixture(scope="module")
def local(library: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A Tandem that may ask providers on this machine."""
    folder = shutil.copytree(library, tmp_path_factory.mktemp("local"), dirs_exist_ok=True)
    tandem = Running(folder, ALLOW_LOCAL_PROVIDERS="true")
    yield tandem
    tandem.stop()


@pytest.fixture
def both(local: Running) -> BothSides:
    return BothSides(local.folder)


def add_key(page: Page, tandem: Running, label: str, value: str, called: str = "OpenAI-compatible") -> None:
    page.goto(f"{tandem.address}/admin/keys/")
    page.get_by_role("link", name="New API key").first.click()
    page.get_by_label("Label").fill(label)
    page.get_by_label("Provider").select_option(called)
    page.get_by_label("The key's value").fill(value)
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/keys/details/**")


def add_profile(page: Page, tandem: Running, name: str, key: str, address: str, model: str = MODEL) -> None:
    page.goto(f"{tandem.address}/admin/profiles/new/")
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Provider").select_option("OpenAI-compatible")
    expect(page.get_by_label("API key").get_by_text(key, exact=True)).to_have_count(1)
    page.get_by_label("API key").select_option(key)
    page.get_by_label("Base URL").fill(address)
    page.get_by_label("Model").fill(model)
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/profiles/details/**")


def connection_tested(page: Page) -> Locator:
    """Press the button, and give back what came of it."""
    page.wait_for_load_state()  # without its script the same button leads to a page
    page.get_by_role("button", name="Test connection").click()
    outcome = page.locator("[data-test-result] [data-outcome]")
    expect(outcome).to_be_visible()
    return outcome


def of_key(page: Page, tandem: Running, label: str) -> None:
    page.goto(f"{tandem.address}/admin/keys/")
    page.get_by_role("link", name=label, exact=True).click()
    page.wait_for_url("**/admin/keys/details/**")


def test_a_key_is_added_tested_and_its_health_seen_and_its_value_replaced_in_place(
    local: Running, enter: Callable[..., Page], provider: str, both: BothSides
) -> None:
    page = enter(local)
    add_key(page, local, "Home server", WRONG)
    expect(page.get_by_text("sk-wrong••••0000")).to_be_visible()
    expect(page.locator("#health-now")).to_contain_text("never tested")
    assert WRONG not in page.content()
    added = both.keys()["Home server"]
    assert added["value"] == WRONG
    add_profile(page, local, "Home", "Home server", provider)

    of_key(page, local, "Home server")
    refused = connection_tested(page)
    expect(refused).to_contain_text("The key is refused.")
    expect(refused).to_contain_text("127.0.0.1 does not take the key.")
    expect(page.locator("#health-now")).to_contain_text("refused by provider")
    assert not serious(page)
    page.goto(f"{local.address}/admin/keys/")
    expect(page.locator("tr", has_text="Home server")).to_contain_text("refused by provider")

    page.get_by_role("link", name="Home server", exact=True).click()
    page.get_by_role("link", name="Replace the value").click()
    page.get_by_label("The key's value").fill(RIGHT)
    page.get_by_role("button", name="Replace").click()
    expect(page.locator("#flashes")).to_contain_text("“Home server” has a new value.")
    expect(page.locator("#health-now")).to_contain_text("never tested")
    expect(connection_tested(page)).to_contain_text("The connection works.")
    expect(page.locator("#health-now")).to_contain_text("valid")
    replaced = both.keys()["Home server"]
    assert (replaced["value"], replaced["id"]) == (RIGHT, added["id"])
    assert replaced["keyIv"] != added["keyIv"]

    page.get_by_role("link", name="Home", exact=True).last.click()
    page.wait_for_url("**/admin/profiles/details/**")
    works = connection_tested(page)
    expect(works).to_contain_text("The connection works. 127.0.0.1 took the key and lists 1 model.")
    works.get_by_text("The 1 model it lists").click()
    expect(works.get_by_role("listitem")).to_have_text([MODEL])
    assert both.profiles()["Home"]["apiKeyId"] == added["id"], "the profile goes on with the very same key"
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert RIGHT[8:-4] not in kept + page.content()


def test_a_profile_is_made_with_parameters_and_a_found_model_and_becomes_the_default(
    local: Running, enter: Callable[..., Page], provider: str, both: BothSides
) -> None:
    page = enter(local)
    add_key(page, local, "For finding", RIGHT)
    before = both.profiles()
    [old] = [name for name, profile in before.items() if profile["isDefault"]]
    page.goto(f"{local.address}/admin/profiles/new/")
    page.get_by_label("Name", exact=False).first.fill("Found")
    page.get_by_label("Provider").select_option("Anthropic")
    expect(page.get_by_label("Frequency penalty")).to_have_count(0)
    page.get_by_label("Temperature").fill("1.5")
    page.get_by_label("Provider").select_option("OpenAI-compatible")
    expect(page.get_by_label("Frequency penalty")).to_be_visible()
    expect(page.get_by_label("Temperature")).to_have_value("1.5")
    page.get_by_label("API key").select_option("For finding")
    page.get_by_label("Base URL").fill(provider)
    page.get_by_role("button", name="Find models").click()
    expect(page.locator("#models")).to_contain_text("127.0.0.1 took the key and lists 1 model.")
    expect(page.locator("#models-found option")).to_have_count(1)
    expect(page.get_by_label("Model")).to_be_focused()
    page.get_by_label("Model").fill(page.locator("#models-found option").first.get_attribute("value") or "")
    page.get_by_label("Temperature").fill("0.70")
    page.get_by_label("Max tokens").fill("2048")
    page.get_by_label("Further parameters").fill(
        '{"seed": 12345678901234567890123, "mirostat_tau": 5.0, "stop": ["\\n"]}'
    )
    page.get_by_role("button", name="Create", exact=True).click()
    page.wait_for_url("**/admin/profiles/details/**")
    found = both.profiles()["Found"]
    assert (found["modelName"], found["baseUrl"], found["isDefault"]) == (MODEL, provider, False)
    assert {name: str(value) for name, value in found["parameters"].items()} == {
        "temperature": "0.70",
        "max_tokens": "2048",
        "seed": "12345678901234567890123",
        "mirostat_tau": "5.0",
        "stop": "['\\n']",
    }
    page.get_by_role("button", name="Make default").click()
    expect(page.locator("#flashes")).to_contain_text("“Found” is the default now.")
    after = both.profiles()
    assert [name for name, profile in after.items() if profile["isDefault"]] == ["Found"]
    assert not after[old]["isDefault"], "the default before is none any more, on both sides"

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Temperature").fill("9")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#parameters-temperature-error")).to_have_text("Temperature has to be from 0 to 5.")
    assert not serious(page)
    page.get_by_label("Temperature").fill("")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#flashes")).to_contain_text("Saved “Found”.")
    parameters = both.profiles()["Found"]["parameters"]
    assert "temperature" not in parameters
    assert parameters["mirostat_tau"] == Decimal("5.0")


def choose(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_label(f"Select {name}", exact=True).check()


def test_many_profiles_get_another_model_and_key_and_keys_go(
    local: Running, enter: Callable[..., Page], both: BothSides
) -> None:
    page = enter(local)
    add_key(page, local, "Old one", WRONG)
    add_key(page, local, "New one", RIGHT)
    for name in ("First", "Second"):
        add_profile(page, local, name, "Old one", "http://127.0.0.1:8999/v1", "tiny")
    page.goto(f"{local.address}/admin/profiles/")
    choose(page, "First", "Second")
    page.get_by_role("button", name="Set model").first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Give 2 connection profiles another model?")
    dialog.get_by_label("Model").fill("large")
    dialog.get_by_role("button", name="Set model").click()
    expect(page.locator("#flashes")).to_contain_text("Gave 2 connection profiles the model “large”.")
    found = both.profiles()
    assert [found[name]["modelName"] for name in ("First", "Second")] == ["large", "large"]

    local_model = next(name for name, profile in found.items() if profile["provider"] == "OLLAMA")
    choose(page, "First", "Second", local_model)
    page.get_by_role("button", name="Set key").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("API key").select_option("New one (OpenAI-compatible)")
    dialog.get_by_role("button", name="Set key").click()
    flashes = page.locator("#flashes")
    expect(flashes).to_contain_text("Gave 2 connection profiles the key “New one”.")
    expect(flashes).to_contain_text(
        f"Left alone, because it is no active key of their owner and provider: “{local_model}”"
    )
    keys, now = both.keys(), both.profiles()
    assert {now[name]["apiKeyId"] for name in ("First", "Second")} == {keys["New one"]["id"]}
    assert now[local_model] == found[local_model]
    assert keys["New one"]["value"] == RIGHT

    page.goto(f"{local.address}/admin/keys/")
    page.get_by_role("button", name="Delete New one").click()
    asked = page.get_by_role("alertdialog")
    expect(asked).to_contain_text("“First”")
    expect(asked).to_contain_text("“Second”")
    expect(asked).to_contain_text("lose it and go on without a key")
    asked.get_by_role("button", name="Cancel").click()
    choose(page, "New one", "Old one")
    page.locator(".bulk-actions").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Delete 2 API keys?")
    expect(page.get_by_text(re.compile("“First” and .*“Second” lose their keys"))).to_be_visible()
    assert not serious(page)
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#flashes")).to_contain_text("Deleted 2 API keys.")
    left, profiles = both.keys(), both.profiles()
    assert not {"Old one", "New one"} & left.keys()
    assert {profiles[name]["apiKeyId"] for name in ("First", "Second")} == {None}


def test_without_scripts_a_connection_is_tested_on_a_page_of_its_own(
    local: Running, enter: Callable[..., Page], provider: str
) -> None:
    page = enter(local, java_script_enabled=False)
    page.goto(f"{local.address}/admin/profiles/")
    page.get_by_role("link", name="Local model", exact=True).click()
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Connection of “Local model”")
    expect(page.locator("[data-outcome=unreachable]")).to_be_visible()
    page.get_by_role("link", name="Go back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Local model")
