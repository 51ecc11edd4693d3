"""Asks whether anything that Tandem runs with has a known vulnerability: ``make lint`` runs it as a program.

The database is OSV's (https://osv.dev), which holds what PyPI tells of its packages and GitHub's advisories. PyPI's own
answers are not used: pip-audit takes a 404 of a mirror for a package without vulnerabilities. A machine that cannot
reach OSV is told so in one line and goes on; what was found there fails, unless ``ACCEPTED`` says why it may stay.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
OSV: Final = "https://api.osv.dev/v1/query"
GOOD_FOR_S: Final = 24 * 3600  # then the same list of libraries is asked about again
TIMEOUT_S: Final = 5
# Id of a vulnerability -> why it does no harm here, and when to look again.
ACCEPTED: Final[dict[str, str]] = {}


def audit(
    requirements: Path, kept: Path, accepted: Mapping[str, str] = ACCEPTED, service: str = OSV
) -> tuple[bool, str]:
    """Whether the checks may go on, and what to tell a person (empty: nothing).

    ``kept``: where it is noted down which list was found to be good, and when.
    """
    content = hashlib.sha256(requirements.read_bytes() + repr(sorted(accepted)).encode()).hexdigest()
    if kept.exists() and kept.read_text() == content and time.time() - kept.stat().st_mtime < GOOD_FOR_S:
        return True, ""
    answer, problem = _ask(requirements, service)
    if answer is None:
        return True, f"Known vulnerabilities were not looked for, OSV does not answer: {problem}"
    found = {
        one["id"]: f"{library['name']} {library['version']}: {one['id']} {', '.join(one['aliases'])}, "
        f"mended in {', '.join(one['fix_versions']) or 'no version yet'}"
        for library in answer
        for one in library.get("vulns", ())
        if not accepted.keys() & {one["id"], *one["aliases"]}
    }
    if found:
        return False, "Known vulnerabilities (see tests/dependencies.py):\n" + "\n".join(found.values())
    if left_out := [library["name"] for library in answer if "skip_reason" in library]:
        return True, f"Known vulnerabilities of these were not looked for: {', '.join(left_out)}"
    kept.write_text(content)
    return True, ""


def _ask(requirements: Path, service: str) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit says of each library; None with the reason when it has no answer."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", service, "--timeout", str(TIMEOUT_S)]
    done = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off"], capture_output=True, text=True, check=False
    )
    try:
        answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None, (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1].partition(": ")[0][:200]
    return answer, ""


def main() -> int:
    goes_on, told = audit(ROOT / "requirements.txt", ROOT / ".venv" / "audited")
    if told:
        print(told, file=sys.stderr)
    return 0 if goes_on else 1


if __name__ == "__main__":
    sys.exit(main())
