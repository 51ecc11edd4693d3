"""What stands around the code: pinned libraries, a Makefile that explains itself, CI that runs what a person runs."""

import os
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app import create_app
from dashboard.commands.base import Group

ROOT = Path(__file__).resolve().parents[1]
LISTS = ("requirements.txt", "tests/requirements.txt")


def entries(name: str) -> list[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [entry for line in lines if (entry := line.partition("#")[0].strip())]


def pinned(name: str) -> dict[str, Requirement]:
    found = map(Requirement, (entry for entry in entries(name) if not entry.startswith("-r ")))
    return {canonicalize_name(requirement.name): requirement for requirement in found}


@pytest.mark.parametrize("name", [*LISTS, "tests/provider/requirements.txt"])
def test_every_library_has_one_exact_version_and_no_address(name: str) -> None:
    loose = [e for e in entries(name) if not re.fullmatch(r"[a-z0-9-]+(\[[a-z]+\])?==[0-9][0-9.]*", e)]
    assert loose == (["-r ../requirements.txt"] if name == "tests/requirements.txt" else [])


@pytest.mark.parametrize("name", LISTS)
def test_what_a_library_needs_is_pinned_too(name: str) -> None:
    known = {*pinned("requirements.txt"), *pinned(name), "pip"}  # pip is what installs, and in every environment
    missing = {
        f"{library} needs {needed.name}"
        for library, entry in pinned(name).items()
        for needed in map(Requirement, requires(library) or [])
        if any(not needed.marker or needed.marker.evaluate({"extra": extra}) for extra in entry.extras or {""})
        and canonicalize_name(needed.name) not in known
    }
    assert missing == set()


def test_ci_runs_what_a_person_runs() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text("utf-8").splitlines()[-1] == "exec make test"


def test_make_explains_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE)
    # A `make` around this test must not pass its own flags (-j, -n) on.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    shown = subprocess.run(["make"], cwd=ROOT, env=environ, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^make ([a-z-]+) +\S+ \S+", shown, re.MULTILINE) == targets
    assert {"run", "test", "quick", "lint", "bench", "screenshots", "help"} == set(targets)


README = (ROOT / "README.md").read_text("utf-8")


def test_the_readme_names_every_setting() -> None:
    code = (ROOT / "store" / "settings.py").read_text("utf-8")
    read = set(re.findall(r"(?:given\.get|choice|flag|folder)\(\"([A-Z_]+)\"", code))
    assert len(read) == 14
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_the_readme_names_every_command_with_its_options(tmp_path: Path) -> None:
    app = create_app({"DATA_BACKEND": "sql"}, tmp_path)
    try:
        groups = [group for group in app.cli.commands.values() if isinstance(group, Group)]
        assert groups
        missing = [words for group in groups for words in spoken(group, group.name or "") if words not in README]
    finally:
        app.extensions["tandem_store"].close()
    assert missing == []


def spoken(group: Group, path: str) -> Iterator[str]:
    """What the README has to say of a group: each command by its words, each option by its name."""
    for name, command in group.commands.items():
        if isinstance(command, Group):
            yield f"{path} {name} " + r"\|".join(command.commands)
            continue
        yield f"{path} {name}"
        yield from (option.opts[0] for option in command.params if isinstance(option, click.Option))


def test_the_readme_names_every_target_of_make() -> None:
    targets = re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert [target for target in targets if target != "help" and f"`make {target}`" not in README] == []


def test_the_pictures_of_the_documents_are_there() -> None:
    for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", document.read_text("utf-8")):
            assert (document.parent / picture).is_file(), f"{document.name} shows {picture}"
