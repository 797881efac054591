"""What the tests of `wingo run` share: wingo as root and as an ordinary user, an image to run, and a look at what is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.needs import missing
from wingo.launch.machine import TOOLS

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).parent / "go"
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
NOBODY = 65534


class Wingo:
    """wingo, run by some user, with a cache and a state of its own."""

    def __init__(self, who: str, folder: Path) -> None:
        self.who = who
        self.folder = folder
        self.uid = os.geteuid() if who == "own" else 0 if who == "root" else NOBODY
        self.environment = {
            "HOME": str(folder),
            "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
            "WINGO_CACHE_DIR": str(folder / "cache"),
            "WINGO_STATE_DIR": str(folder / "state"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), *(path for path in sys.path if "site-packages" in path)]),
            "LC_ALL": "C.UTF-8",
        }
        self.python = sys.executable if self.uid == os.geteuid() else interpreter()

    def command(self, *argv: str) -> list[str]:
        return [self.python, "-c", "from wingo.cli.main import entry; entry()", *argv]

    def user(self) -> dict[str, object]:
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    def start(self, *argv: str, **options: object) -> subprocess.Popen[str]:
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(
            self.command(*argv), env=self.environment, cwd=self.folder, **{**settings, **self.user(), **options}
        )

    def __call__(self, *argv: str, input: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*argv),
            env=self.environment,
            cwd=self.folder,
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **self.user(),
        )

    @property
    def containers(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(os.listdir(self.folder / "state" / "containers"))
        return []


class Alone(Wingo):
    """wingo where none of the programs is installed that it uses when they are: they are covered, for it alone."""

    def command(self, *argv: str) -> list[str]:
        found = {os.path.realpath(os.path.join(folder, tool)) for folder in FOLDERS for tool in TOOLS}
        cover = "".join(f"mount --bind /dev/null {path}; " for path in sorted(found) if os.path.exists(path))
        become = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"] if self.uid else []
        return ["unshare", "-m", "sh", "-ec", f'{cover}exec "$@"', "sh", *become, *super().command(*argv)]

    def user(self) -> dict[str, object]:
        return {}


class Delegated(Wingo):
    """wingo in cgroups that were given to its account, as systemd does for a user's session."""

    def __init__(self, who: str, folder: Path, directories: Sequence[str]) -> None:
        super().__init__(who, folder)
        self._directories = directories

    def command(self, *argv: str) -> list[str]:
        enter = "".join(f"echo $$ > {directory}/cgroup.procs; " for directory in self._directories)
        become = ["setpriv", "--reuid", str(self.uid), "--regid", str(self.uid), "--clear-groups"]
        return ["sh", "-ec", f'{enter}exec "$@"', "sh", *become, *super().command(*argv)]

    def user(self) -> dict[str, object]:
        return {}


@contextmanager
def delegated_cgroups(uid: int, controllers: Sequence[str]) -> Iterator[list[str]]:
    """Cgroups of an account's own, in the version that this machine has; empty where even root may make none.

    Under version 2 the account's processes are in a leaf, as a cgroup that gives controllers on has no processes itself
    (cgroup-v2.rst, "No Internal Process Constraint").
    """
    made: list[Path] = []
    inside: list[str] = []
    root = Path("/sys/fs/cgroup")
    try:
        if (root / "cgroup.controllers").exists():
            given = root / f"{MARK}-given"
            made += [given, given / "leaf"]
            given.mkdir()
            (given / "leaf").mkdir()
            (root / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in controllers))
            for path in (
                given,
                given / "cgroup.procs",
                given / "cgroup.subtree_control",
                given / "leaf" / "cgroup.procs",
            ):
                os.chown(path, uid, uid)
            inside.append(str(given / "leaf"))
        else:
            lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
            own = dict(line.split(":", 2)[1:] for line in lines)
            for name in controllers:
                given = root / name / own[name].strip("/") / f"{MARK}-given"
                made.append(given)
                given.mkdir()
                for path in (given, given / "cgroup.procs"):
                    os.chown(path, uid, uid)
                inside.append(str(given))
    except (OSError, KeyError):
        inside.clear()
    try:
        yield inside
    finally:
        for path in reversed(made):
            with suppress(OSError):
                path.rmdir()


def interpreter() -> str:
    """A Python that another user may execute, with the packages that this one has."""
    check = f"import sys; assert sys.version_info[:2] == {sys.version_info[:2]!r}"
    candidates = [sys.executable, f"/usr/bin/python3.{sys.version_info[1]}", "/usr/bin/python3"]

    def works(python: str) -> bool:
        other: dict[str, object] = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": "/"}
        try:
            return not subprocess.run([python, "-c", check], capture_output=True, check=False, **other).returncode
        except OSError:
            return False

    found = next(filter(works, candidates), None)
    return found or missing(f"a Python 3.{sys.version_info[1]} that other users may execute (Debian: python3)")


@contextmanager
def folder_for(uid: int) -> Iterator[Path]:
    """A directory that a user owns and everybody may enter; pytest's are root's alone."""
    folder = Path(tempfile.mkdtemp(prefix=f"{MARK}-"))
    folder.chmod(0o755)
    os.chown(folder, uid, uid if uid != os.geteuid() else -1)
    try:
        yield folder
    finally:
        for path, folders, _ in os.walk(folder):
            for name in folders:
                with suppress(OSError):
                    os.chmod(os.path.join(path, name), 0o700)
        shutil.rmtree(folder, ignore_errors=True)


def build(source: Path, target: Path, *arguments: str) -> str:
    """Builds a program for this machine's processor into a layout, readable by all; the place."""
    from tests.needs import need_tool

    need_tool("go")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    environment = os.environ | {"WINGO_CACHE_DIR": str(target.parent / "build-cache")}
    argv = [sys.executable, "-c", "from wingo.cli.main import entry; entry()", "build", *(arguments or ["."])]
    argv += ["--platform", f"linux/{machine}", "-o", f"oci:{target}"]
    done = subprocess.run(argv, cwd=source, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for path in [target, *target.rglob("*")]:
        path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    return f"oci:{target}"


MARK = f"probe{os.getpid()}"
"""Stands in the name of every image, container and directory of this test run: others may run beside it."""


def leftovers() -> dict[str, object]:
    """What a container must not leave on this machine, as far as it is this test run's."""
    processes = []
    for entry in os.listdir("/proc"):
        with suppress(OSError):
            if entry.isdigit() and int(entry) != os.getpid():
                told = Path("/proc", entry, "environ").read_bytes() + Path("/proc", entry, "cmdline").read_bytes()
                if f"{MARK}-".encode() in told:
                    processes.append(entry)
    cgroups = [
        os.path.join(folder, name)
        for folder, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"wingo-{MARK}")
    ]
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    return {
        "processes": processes,
        "cgroups": cgroups,
        "mounts": [line for line in mounts.splitlines() if MARK in line],
    }


def settles(before: dict[str, object], seconds: float = 5.0) -> None:
    """Asserts that everything is as it was; the kernel may need a moment to take processes down."""
    deadline = time.monotonic() + seconds
    while (after := leftovers()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert after == before, after


def fetch(address: str, *, data: bytes | None = None, seconds: float = 5.0) -> str:
    """An answer over HTTP; waits until something listens."""
    deadline = time.monotonic() + seconds
    request = urllib.request.Request(address, data=data, method="PUT" if data is not None else "GET")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(request, timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def listening(text: str) -> dict[str, int]:
    """The ports of this machine in wingo's notes, by the program's."""
    found = {}
    for line in text.splitlines():
        if line.startswith("listening on "):
            here, _, there = line.removeprefix("listening on ").partition("->")
            found[there] = int(here.rpartition(":")[2])
    return found


def who_can(wanted: Sequence[str] = ("root", "ordinary")) -> list[str]:
    """The users that tests can be run as here."""
    return list(wanted) if os.geteuid() == 0 else ["own"]


WHO = pytest.mark.parametrize("wingo", who_can(), indirect=True)
ENGINES = pytest.mark.parametrize("engine", ["crun", "runc", "bubblewrap", "wingo"])
TWO_ENGINES = pytest.mark.parametrize("engine", ["crun", "wingo"])
"""An OCI runtime and wingo's own: what they differ in shows between these two."""
