"""Runs the sections of `make test` in order, all of them whatever fails, and says what each gave and took.

`test.py` runs everything; `test.py NAME...` runs these sections. The closing line counts the tests of all sections.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
REPORTS = ROOT / ".tools" / "reports"

Command = list[str]


def pytest(folder: str, *options: str, workers: int = 2) -> Command:
    """The command that runs one folder of tests."""
    spread = ["-n", str(workers), "--dist", "worksteal"] if workers > 1 else []
    report = f"--junit-xml={REPORTS / folder.replace('/', '-')}.xml"
    return [sys.executable, "-m", "pytest", "-q", f"tests/{folder}", report, *spread, *options]


SECTIONS: dict[str, list[Command]] = {
    "lint": [["ruff", "check", "."], ["ruff", "format", "--check", "."]],
    "types": [["mypy"]],
    "imports": [["lint-imports"]],
    "unit": [pytest("unit")],
    "laws": [pytest("laws")],
    "contracts": [pytest("contracts")],
    "golden": [pytest("golden", workers=1)],
    "cli": [pytest("cli", workers=1)],
    "docs": [
        [sys.executable, "scripts/generate_reference.py", "--check"],
        [sys.executable, "scripts/check_links.py"],
    ],
    "system": [pytest("system", "--durations=10")],
    "peers": [pytest("system", "-m", "peers", workers=1)],
}
"""Every section and its commands, in the order in which the cheapest failure comes first."""

NOT_BY_DEFAULT = {"peers"}


def main(names: list[str]) -> int:
    """Runs sections; returns the exit code."""
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        print(f"no section {unknown[0]!r}; there are: {' '.join(SECTIONS)}", file=sys.stderr)
        return 2
    chosen = names or [name for name in SECTIONS if name not in NOT_BY_DEFAULT]
    REPORTS.mkdir(parents=True, exist_ok=True)
    for report in REPORTS.glob("*.xml"):
        report.unlink()
    results = [(name, *run_section(name)) for name in chosen]
    print(f"\n{' summary ':=^80}")
    for name, status, seconds in results:
        print(f"{'ok    ' if status == 0 else 'FAILED'}  {name:<10} {seconds:7.1f} s")
    print(f"        {'in all':<10} {sum(seconds for *_, seconds in results):7.1f} s")
    passed, failed, skipped = count_tests()
    if passed or failed or skipped:
        print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return int(any(status for _, status, _ in results))


def run_section(name: str) -> tuple[int, float]:
    """Runs a section's commands: the first exit code that is not 0, and the seconds it took."""
    print(f"\n{f' {name} ':=^80}", flush=True)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    start, status = time.monotonic(), 0
    for command in SECTIONS[name]:
        status = subprocess.call(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL) or status
    return status, time.monotonic() - start


def count_tests() -> tuple[int, int, int]:
    """The tests that passed, failed and were skipped, by the reports that pytest wrote."""
    passed = failed = skipped = 0
    for report in REPORTS.glob("*.xml"):
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            left = int(suite.get("skipped", 0))
            passed += int(suite.get("tests", 0)) - bad - left
            failed, skipped = failed + bad, skipped + left
    return passed, failed, skipped


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
