"""What ``docs/security.md`` promises is there: the files, the tests, and a reason for each exception."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text("utf-8")
LINES = [line for line in TEXT.splitlines() if line.startswith("|") and not re.match(r"\| (What|---) \|", line)]


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.split("|")[1].strip()[:40])
def test_every_line_names_tests_and_files_that_exist(line: str) -> None:
    _, _, how, shown, _ = re.split(r"\s*\|\s*", line)
    tests = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    assert tests, "no test shows it"
    assert len(tests) == shown.count("::")
    for path, name in tests:
        assert re.search(rf"^def {name}\(", (ROOT / path).read_text("utf-8"), re.MULTILINE), f"{path}::{name}"
    for path in re.findall(r"`([\w./]+/[\w./]+|[\w.]+\.(?:toml|txt))`", how):
        assert (ROOT / path).is_file(), path


def test_every_exception_from_bandits_rules_says_why() -> None:
    excepted = re.compile(r"# noqa: .*\bS\d{3}(.*)")
    found = {
        f"{path.name}:{number}": match[1]
        for path in (ROOT / "app.py", *(ROOT / "store").rglob("*.py"), *(ROOT / "dashboard").rglob("*.py"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (match := excepted.search(line))
    }
    assert found
    assert [place for place, reason in found.items() if not re.fullmatch(r"  # \w.+", reason)] == []
