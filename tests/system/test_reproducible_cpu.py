"""The same recipe gives the same digests on other processors, in other environments, and since it was frozen."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import missing, need_tool

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "tests" / "data" / "frozen_layer.py")
FROZEN = {
    "key": "4bf0fb9a387f71ebe53053525dddf68943ec03bb9e8a8390cdb30a40e0da0730",
    "gzip": "sha256:6e237d750cde9bfed218102eedae03c8997e5d06e92e6bc8470eb7a0c8a83b3d 3240040",
    "diff_id": "sha256:cd367e3f20843bb76651ef09f70c010739621066b60dd4db52593dfe6c182647",
    "zstd": "sha256:d8587ca4eb8d1712611d8a1f9cd7f429325682b08bd8036373d6aa879988f1b1 2672550",
    "none": "sha256:cd367e3f20843bb76651ef09f70c010739621066b60dd4db52593dfe6c182647 6066688",
}
"""When `gzip` or `zstd` alone differ, the encoder makes other bytes than before: users' layers get new digests, which is
a change to announce. When `diff_id` differs, the tar writer does: that should not happen at all."""
REAL = (str(ROOT / ".venv" / "bin" / "ruff"), sys.executable)


def pack(*command: str, cwd: Path = ROOT, umask: int = -1, **environment: str) -> dict[str, str]:
    result = subprocess.run(
        command,
        check=True,
        capture_output=True,
        text=True,
        cwd=cwd,
        umask=umask,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **environment},
    )
    return json.loads(result.stdout)


def real_program(tmp_path: Path) -> str:
    """A few MB of a real program of this machine; the interpreter is one, if nothing else."""
    source = next(path for path in REAL if os.path.exists(path))
    part = tmp_path / "program"
    with open(source, "rb") as file:
        part.write_bytes(file.read(4_000_000))
    return str(part)


def test_the_frozen_recipe_has_the_digests_that_it_had() -> None:
    assert pack(sys.executable, SCRIPT, "1") == FROZEN


@pytest.mark.timeout(600)
@pytest.mark.parametrize("processor", ["Nehalem", "Haswell"])
def test_another_x86_processor(processor, tmp_path) -> None:
    """Nehalem (2008) has neither AVX nor BMI nor PCLMUL: libdeflate's plain code runs."""
    if os.uname().machine != "x86_64":
        missing("an x86-64 machine")
    emulator, program = need_tool("qemu-x86_64"), real_program(tmp_path)
    native = pack(sys.executable, SCRIPT, "1", program)
    assert pack(emulator, "-cpu", processor, sys.executable, SCRIPT, "2", program) == native


@pytest.mark.timeout(600)
def test_an_arm64_processor(tmp_path) -> None:
    need_tool("qemu-aarch64")
    python = ROOT / ".tools" / "arm64" / "python"
    if not python.exists():
        missing("an arm64 Python (scripts/arm64-python.sh)")
    program = real_program(tmp_path)
    native = pack(sys.executable, SCRIPT, "1", program)
    where = pack(str(python), "-c", "import json, platform; print(json.dumps([platform.machine()]))")
    assert where == ["aarch64"]
    assert pack(str(python), SCRIPT, "2", program) == native


@pytest.mark.parametrize(
    ("umask", "environment"),
    [
        (0o077, {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
        (0o000, {"TZ": "America/New_York", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "4242", "PYTHONUTF8": "0"}),
        (0o022, {"HOME": "/nowhere", "USER": "somebody", "SOURCE_DATE_EPOCH": "12345", "PYTHONOPTIMIZE": "2"}),
    ],
)
def test_another_environment(tmp_path, umask, environment) -> None:
    """Another umask, time zone, locale, hash seed, home, directory, path of the script and number of threads."""
    copy = tmp_path / "elsewhere" / "script.py"
    copy.parent.mkdir()
    shutil.copy(SCRIPT, copy)
    assert pack(sys.executable, str(copy), "3", cwd=tmp_path, umask=umask, **environment) == FROZEN


def test_a_clock_that_is_wrong() -> None:
    """Packing does not look at the clock at all: with one that raises it gives the same."""
    code = (
        "import sys, time, runpy\n"
        "def stop(*_): raise AssertionError('the clock was read')\n"
        "time.time = time.time_ns = time.localtime = time.gmtime = stop\n"
        f"sys.argv[1:] = ['1']; runpy.run_path({SCRIPT!r}, run_name='__main__')"
    )
    assert pack(sys.executable, "-c", code) == FROZEN
