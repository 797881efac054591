"""Runs the unit tests on every Python >= 3.11 of this machine, each in an environment of its own under .tools."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENTS = ROOT / ".tools" / "pythons"
OLDEST = (3, 11)


def main() -> int:
    """Tests each Python in turn; the exit code is that of the worst."""
    uv = shutil.which("uv") or str(ROOT / ".tools" / "uv" / "bin" / "uv")
    found = pythons(uv)
    print(f"Python {', '.join('.'.join(map(str, version)) for version in found)}")
    failed = []
    for version, python in found.items():
        name = ".".join(map(str, version))
        print(f"\n{f' Python {name} ':=^80}", flush=True)
        environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(ENVIRONMENTS / name)}
        environment.pop("VIRTUAL_ENV", None)
        command = [uv, "run", "--locked", "--python", python, "pytest", "-q", "-n", "2", "tests/unit"]
        if subprocess.call(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL) != 0:
            failed.append(name)
    if failed:
        print(f"\nfailed on Python {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def pythons(uv: str) -> dict[tuple[int, int], str]:
    """The newest of each minor version that uv or pyenv has on this machine, without fetching any."""
    listing = subprocess.run(
        [uv, "python", "list", "--only-installed", "--no-python-downloads"], check=True, capture_output=True, text=True
    ).stdout
    versions = [(key, path) for key, path in re.findall(r"^cpython-(\S+?)-\S+\s+(\S+)", listing, re.MULTILINE)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    versions += [(folder.name, str(folder / "bin" / "python3")) for folder in sorted(pyenv.glob("3.*"), reverse=True)]
    found: dict[tuple[int, int], str] = {}
    for name, path in versions:
        version = re.fullmatch(r"(\d+)\.(\d+)\.\d+", name)  # not the free-threaded ones, not pre-releases
        if version and (minor := (int(version[1]), int(version[2]))) >= OLDEST and not path.startswith(str(ROOT)):
            found.setdefault(minor, path)
    return dict(sorted(found.items()))


if __name__ == "__main__":
    sys.exit(main())
