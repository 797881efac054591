"""The shell scripts: each is one that a shell can read, so that no apostrophe in a list stops `make test`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_a_shell_reads_it(script):
    done = subprocess.run(["sh", "-n", script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_list_of_packages_is_read_to_its_end(tmp_path):
    done = subprocess.run(
        ["/bin/sh", SCRIPTS / "system-packages.sh", "--check"],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": str(tmp_path)},
    )
    text = (SCRIPTS / "system-packages.sh").read_text()
    listed = [line.partition(":")[0] for line in text.partition("needed='\n")[2].partition("\n'")[0].splitlines()]
    missing = [line.split()[0] for line in done.stdout.splitlines()[1:]]
    assert (done.returncode, missing[-1]) == (1, listed[-1])
    assert set(missing) <= set(listed)
