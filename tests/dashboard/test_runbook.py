"""docs/runbook.md, run as it is written: each command, and what it prints."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import nasty
from tests.factories import open_test_store

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each command, and the lines that it prints, in order."""
    for block in re.findall(r"```console\n(.*?)```", (ROOT / "docs/runbook.md").read_text(), re.DOTALL):
        command, lines = "", []
        for line in block.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, lines
                command, lines = line[2:], []
            else:
                lines.append(line)
        yield command, lines


def fits(printed: str, wanted: list[str]) -> bool:
    """Whether these lines come in this order. ``…`` is anything, and so is the space between words."""
    rest = iter(printed.splitlines())
    for line in wanted:
        words = [re.escape(word).replace("…", ".*") for word in line.split()]
        pattern = re.compile(r"\s*".join(words))
        if not any(pattern.match(one.strip()) for one in rest):
            return False
    return True


def test_each_command_prints_what_the_page_says(tmp_path: Path, postgres_url: str) -> None:
    open_test_store(tmp_path / "laid", postgres_url, "sql").close()
    nasty.fill(postgres_url, tmp_path / "public")
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    environment = {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        "DATABASE_URL": postgres_url,
        "DATA_DIR": str(tmp_path / "data"),
        "PUBLIC_DIR": str(tmp_path / "public"),
        "ENCRYPTION_MASTER_PEPPER": nasty.PEPPER,
        "SECRET_KEY": "a secret of the tests, long enough for anybody",
        "DATA_BACKEND": "sql",
        "NEW_DATABASE": str(tmp_path / "new.sqlite"),
        "JOBS": "inline",
    }

    def run(command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )

    commands = list(steps())
    assert len(commands) >= 12
    for command, wanted in commands:
        done = run(command)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        assert fits(done.stdout, wanted), (command, wanted, done.stdout[-3000:])

    # The step for CI, in a folder of its own, because it leaves a report there.
    environment["PYTHONPATH"] = str(ROOT)
    for status in (0, 2):
        done = run(step_for_ci(), tmp_path)
        assert done.returncode == status, done.stderr
        report = json.loads((tmp_path / "validation.json").read_text())
        assert report == json.loads(done.stdout)
        assert (report["checked"] > 500, len(report["differences"])) == (True, status // 2)
        path = next((tmp_path / "data/personas").iterdir())
        path.write_text(path.read_text().replace('"name": "', '"name": "!', 1))


def step_for_ci() -> str:
    (command,) = re.findall(r"^  run: (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    return str(command)
