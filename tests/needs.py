"""What a test needs of the machine: loud when missing here, a failure in CI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

VECTORS = Path(__file__).resolve().parents[2] / "shared" / "vectors"


def missing(what: str) -> NoReturn:
    """Skips the test where a person runs it; fails it in CI, where everything must be there."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing, and in CI nothing may be", pytrace=False)
    pytest.skip(f"{what} is missing on this machine (make test installs it)")


def need_tool(name: str) -> str:
    """The path of a program on PATH or in the project's own .tools/bin."""
    root = Path(__file__).resolve().parents[1]
    found = shutil.which(name, path=f"{root / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if found is None:
        missing(f"the program {name}")
    return found


def need_vectors(folder: str) -> Path:
    """A folder of the third-party test vectors that live outside the repository."""
    path = VECTORS / folder
    if not path.is_dir():
        missing(f"the vector folder {folder}")
    return path
