"""`wingo --help` starts fast because of what it does not import: counted, not timed."""

import subprocess
import sys

import pytest

FORBIDDEN = (
    "asyncio",
    "concurrent.futures",
    "dataclasses",
    "http.client",
    "importlib.metadata",
    "inspect",
    "pathlib",
    "rich",
    "ssl",
    "subprocess",
    "tempfile",
    "tomllib",
    "urllib.request",
    "yaml",
    "zstandard",
)
PROGRAM = """
import sys
before = set(sys.modules)
from wingo.cli.main import main
try:
    status = main({argv!r})
except SystemExit as stop:
    status = stop.code
assert status in (0, None), status
loaded = set(sys.modules) - before
print("LOADED", *sorted(name for name in {forbidden!r} if name in loaded))
"""


def loaded_by(argv: list[str], *, first: str = "") -> list[str]:
    program = PROGRAM.format(argv=argv, forbidden=FORBIDDEN).replace("from wingo", f"{first}\nfrom wingo")
    # -I: without whatever the person's environment adds to Python
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1].split()[1:]


@pytest.mark.parametrize("argv", [["--help"], ["--version"], []], ids=["--help", "--version", "no arguments"])
def test_the_help_imports_nothing_slow(argv):
    assert loaded_by(argv) == []


def test_the_budget_would_notice():
    assert loaded_by(["--help"], first="import yaml, ssl") == ["ssl", "yaml"]
