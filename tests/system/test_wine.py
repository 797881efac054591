"""Windows images under a real Wine: real programs serve real requests, stop when asked, and leave nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.needs import missing, need_tool
from tests.system import containers
from tests.system.containers import MARK, NOBODY
from tests.verifier import verify_layout
from wingo.errors import HostError
from wingo.hive.keys import TreeKey
from wingo.hive.values import Value
from wingo.hive.write import write_delta
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.model import images_of
from wingo.launch.wine.finding import find_wine
from wingo.oci.config import History
from wingo.oci.media_types import Family
from wingo.processes import ProcessRunner
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.hives import SYSTEM_SECURITY
from wingo.testing.images import directory_entry, file_entry, layer_of
from wingo.testing.registry import RegistryServer
from wingo.windows.init_exe import init_exe
from wingo.windows.prng_dll import prng_dll

SOURCE = Path(__file__).parent / "go" / "served"
WINGO = [sys.executable, "-c", "from wingo.cli.main import entry; entry()"]


@pytest.fixture(scope="module")
def _wine() -> None:
    try:
        find_wine(os.environ, ProcessRunner())
    except HostError as error:
        missing(f"Wine ({error})")


class Wingo:
    """wingo with a cache and a state of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "WINGO_CACHE_DIR": str(folder / "cache"),
            "WINGO_STATE_DIR": str(folder / "state"),
            "HOME": str(folder),
        }

    @property
    def mark(self) -> str:
        """A variable that every process of this wingo's containers has, Wine's own included."""
        return f"MARK={self.folder.name}-{os.getpid()}"

    def _argv(self, *argv: str) -> list[str]:
        return [*WINGO, *argv[:1], *(["-e", self.mark] if argv[0] == "run" else []), *argv[1:]]

    def start(self, *argv: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(self._argv(*argv), env=self.environment, cwd=self.folder, text=True, **pipes)

    def __call__(self, *argv: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self._argv(*argv),
            env=self.environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    @property
    def containers(self) -> list[str]:
        with suppress(FileNotFoundError):
            return sorted(os.listdir(self.folder / "state" / "containers"))
        return []


@pytest.fixture(scope="module")
def wingo(tmp_path_factory: pytest.TempPathFactory, _wine: None) -> Wingo:
    """One for all tests here: its first start prepares the prefix."""
    return Wingo(tmp_path_factory.mktemp("wine"))


def build(wingo: Wingo, target: str, name: str, *options: str, cwd: Path = SOURCE) -> str:
    """Builds a program for Windows on a base like nanoserver's; the image's place."""
    need_tool("go")
    base = wingo.folder / "base"
    if not base.exists():
        Layout(str(base)).write(windows_base("nanoserver", files=("Windows/System32/only-here.dll",)), ("v1",))
    place = f"oci:{wingo.folder / name}"
    argv = ["build", target, "--platform", "ltsc2022", "--base", f"oci:{base}:v1", "-o", place, *options]
    done = subprocess.run(
        [*WINGO, *argv],
        env=wingo.environment | {"HOME": os.environ["HOME"]},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def served(wingo: Wingo) -> str:
    """The image of the program in tests/system/go/served."""
    options = ("--data-dir", r"C:\data", "--env", r"DATA=C:\data", "--env", "PORT=8000", "--workdir", r"C:\data")
    return build(wingo, ".", "served", *options)


def leftovers(wingo: Wingo) -> dict[str, object]:
    """What no start may leave on this machine: processes in its containers, mounts; the rest is in test_run."""
    processes = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if wingo.mark.encode() in Path("/proc", entry, "environ").read_bytes():
                processes.append((entry, Path("/proc", entry, "cmdline").read_bytes()))
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").count("\n")
    return {"processes": processes, "mounts": mounts}


@pytest.fixture(autouse=True)
def _nothing_left(wingo: Wingo) -> Iterator[None]:
    before = leftovers(wingo)
    yield
    deadline = time.monotonic() + 10
    while (leftovers(wingo) != before or wingo.containers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(wingo) == before
    assert wingo.containers == []


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def fetch(url: str, seconds: float = 60) -> bytes:
    """What a server answers, once it does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def said(text: str) -> dict[str, Any]:
    """What the program told, one JSON object a line."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if line.startswith("{"):
            found |= json.loads(line)
    return found


def test_it_serves_keeps_its_data_and_stops_gracefully(wingo: Wingo, served: str) -> None:
    port = free_port()
    started = wingo("run", served, "-d", "--name", "app", "-p", f"{port}:8000")
    try:
        assert started.returncode == 0, started.stderr
        assert "smoke test, not Windows" in started.stderr
        assert fetch(f"http://127.0.0.1:{port}/") == b"served\n"
        fetch(f"http://127.0.0.1:{port}/put?" + urllib.parse.urlencode({"name": "a.txt", "text": "kept"}))
        inside = wingo("exec", "app", "--", r"C:\app\served.exe", "args", "one two")
        assert said(inside.stdout)["args"][1:] == ["args", "one two"], inside.stderr
        began = time.monotonic()
        stopped = wingo("stop", "app", "--json")
        assert time.monotonic() - began < 8
        assert json.loads(stopped.stdout) == [{"name": "app", "exitCode": 0, "reason": ""}]
        logged = said(wingo("logs", "app").stdout)
        assert (logged["got"], logged["ended"]) == ("terminated", "gracefully")
        upper = wingo.folder / "state/containers/app/upper/prefix/drive_c/data"
        assert (upper / "a.txt").read_text() == "kept"
        assert (upper / "ended.txt").read_text() == "gracefully"
    finally:
        wingo("stop", "--rm", "app")


def test_ctrl_c_is_ctrl_c(wingo: Wingo, served: str) -> None:
    port = free_port()
    running = wingo.start("run", served, "-p", f"{port}:8000")
    fetch(f"http://127.0.0.1:{port}/")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)
    assert said(out)["got"] == "interrupt", err
    assert running.returncode == 0


def test_arguments_variables_and_directory_are_windows_own(wingo: Wingo, served: str) -> None:
    words = ["a b", 'say "hi"', "tail\\", "", "%PATH%", "ünïcode"]
    done = wingo("run", served, "-e", r"PATH=C:\app", "-e", "GREETING=a=b", "-w", r"c:\APP", "--", "args", *words)
    assert done.returncode == 0, done.stderr
    found = said(done.stdout)
    assert found["args"] == [r"C:\app\served.exe", "args", *words]
    assert found["directory"].lower() == r"c:\app"
    variables = dict(item.partition("=")[::2] for item in found["environment"])
    assert variables["PATH"] == r"C:\app"
    assert variables["GREETING"] == "a=b"
    assert variables["USERNAME"] == "ContainerUser"
    assert variables["USERPROFILE"] == r"C:\users\ContainerUser"
    assert not any(name.startswith("WINGO_") for name in variables)


def test_nothing_of_this_machine_is_seen(wingo: Wingo, served: str) -> None:
    secret = wingo.folder / "secret.txt"
    secret.write_text("x")
    unix = "\\\\?\\unix" + str(secret).replace("/", "\\")
    home = "\\\\?\\unix" + os.path.expanduser("~root").replace("/", "\\")
    paths = ["Z:\\", unix, home, r"\\?\unix\etc\shadow", r"C:\app\served.exe", r"C:\WINDOWS\System32\KERNEL32.dll"]
    done = wingo("run", served, "--", "stat", *paths)
    assert [said(done.stdout)[path] for path in paths] == [False, False, False, False, True, True], done.stderr


def test_a_bases_files_come_only_when_asked_for(wingo: Wingo, served: str) -> None:
    path = r"C:\Windows\System32\only-here.dll"
    assert said(wingo("run", served, "--", "stat", path).stdout) == {path: False}
    assert said(wingo("run", served, "--with-base", "--", "stat", path).stdout) == {path: True}


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [("0", 0, ""), ("7", 7, ""), ("255", 255, ""), ("256", 1, "256"), ("0xC0000005", 1, "access violation")],
)
def test_exit_codes(wingo: Wingo, served: str, code: str, status: int, says: str) -> None:
    done = wingo("run", served, "--", "exit", code)
    assert done.returncode == status
    assert says in done.stderr
    assert bool(says) == ("the program ended with" in done.stderr)


def test_random_numbers_are_random(wingo: Wingo, served: str) -> None:
    """A Go program on Wine 8 gets them, and starts at all, through the DLL that wingo writes."""
    assert said(wingo("run", served, "--", "random").stdout) == {"random": [256, True]}
    system32 = list(
        (wingo.folder / "cache" / "wine").glob("*/root/prefix/drive_c/windows/system32/bcryptprimitives.dll")
    )
    assert len(system32) == 1
    added = [path.read_text().split() for path in (wingo.folder / "cache" / "wine").glob("*/added")]
    assert (system32[0].read_bytes() == prng_dll()) == (added == [["bcryptprimitives.dll"]])


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (("--entrypoint", r"C:\app\none.exe"), 127, "no such file"),
        (("--entrypoint", r"C:\data"), 127, "cannot be started"),
        (("-w", r"C:\none"), 126, "working directory"),
        (("-u", "1000"), 2, "is one for Linux"),
        (("--read-only",), 2, "read-only"),
        (("-e", "WINEPREFIX=x"), 2, "Wine's own"),
    ],
)
def test_what_cannot_start_says_why(
    wingo: Wingo, served: str, options: tuple[str, ...], status: int, says: str
) -> None:
    done = wingo("run", served, *options)
    assert (done.returncode, says in done.stderr) == (status, True), done.stderr


def test_a_program_that_ignores_the_stop_is_killed(wingo: Wingo, served: str) -> None:
    began = time.monotonic()
    done = wingo("run", served, "--timeout", "6s", "--grace", "1s", "--", "hang")
    assert said(done.stdout) == {"hangs": True}
    assert done.returncode == 124
    assert time.monotonic() - began < 30


def test_a_killed_wingo_takes_everything_with_it(wingo: Wingo, served: str) -> None:
    port = free_port()
    running = wingo.start("run", served, "-p", f"{port}:8000")
    fetch(f"http://127.0.0.1:{port}/")
    running.kill()
    running.communicate()


def test_several_start_at_once_on_one_prefix(tmp_path: Path, wingo: Wingo, served: str) -> None:
    fresh = Wingo(tmp_path)
    runs = [fresh.start("run", served, "--", "args", str(number)) for number in range(3)]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], outputs
    assert [said(out)["args"][2] for out, _ in outputs] == ["0", "1", "2"]
    assert len(list((tmp_path / "cache/wine").glob("*/added"))) == 1
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_registry_values_of_the_image_are_there(wingo: Wingo, served: str) -> None:
    """Read back by Wine's own reg.exe, from a layer that wingo build made a hive for."""
    acme = TreeKey("Acme", SYSTEM_SECURITY, (Value("Level", 4, bytes([42, 0, 0, 0])),))
    delta = write_delta(TreeKey("ROOT", SYSTEM_SECURITY, (), (acme,)))
    image = next(images_of(Layout(served.removeprefix("oci:")).read()))
    layer = layer_of([directory_entry("Hives"), file_entry("Hives/Software_Delta", delta), directory_entry("Files")])
    changed = derive(image, [AddedLayer(layer, History())], ConfigPatch(), family=Family.OCI)
    Layout(str(wingo.folder / "changed")).write(changed, ("v1",))
    reg = (r"C:\Windows\System32\reg.exe", "query", r"HKLM\Software\Acme", "/v", "Level")
    done = wingo("run", f"oci:{wingo.folder / 'changed'}:v1", "--entrypoint", reg[0], "--", *reg[1:])
    assert "0x2a" in done.stdout, done.stderr
    assert wingo("run", served, "--entrypoint", reg[0], "--", *reg[1:]).returncode == 1


def test_objdump_reads_what_wingo_writes(tmp_path: Path) -> None:
    """An independent reader: sections, imports, exports, and every byte of code is an instruction."""
    for name, data, symbols in (
        ("prng.dll", prng_dll(), ("ProcessPrng", "SystemFunction036")),
        ("init.exe", init_exe(), ("CreateProcessW", "CtrlRoutine")),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        found = subprocess.run(
            [need_tool("objdump"), "-x", "-d", str(path)], capture_output=True, text=True, check=True
        ).stdout
        assert "pei-x86-64" in found
        assert all(symbol in found for symbol in symbols)
        assert "(bad)" not in found


def test_what_it_wrote_becomes_a_layer_of_the_image(wingo: Wingo, served: str) -> None:
    port = free_port()
    target = wingo.folder / "committed"
    wingo("run", served, "-d", "--name", "writer", "-p", f"{port}:8000")
    try:
        fetch(f"http://127.0.0.1:{port}/put?" + urllib.parse.urlencode({"name": "a.txt", "text": "kept"}))
        wingo("stop", "writer")
        done = wingo("commit", "writer", f"oci:{target}:v1")
        assert done.returncode == 0, done.stderr
    finally:
        wingo("stop", "--rm", "writer")
    # The entrypoint is in the layer below the new one, which counts as the base's here.
    found = verify_layout(target, base_layers=2, writable=["Files/data"])
    assert [finding for finding in found if finding.code != "entrypoint-not-in-layers"] == []
    listed = wingo("ls", f"oci:{target}:v1", r"C:\data", "--json")
    assert "a.txt" in listed.stdout, listed.stderr
    there = said(wingo("run", f"oci:{target}:v1", "--", "stat", r"C:\data\a.txt", r"C:\data\b.txt").stdout)
    assert there == {r"C:\data\a.txt": True, r"C:\data\b.txt": False}


def test_straight_from_a_registry_without_the_base(wingo: Wingo, served: str) -> None:
    """The base's layers are not fetched, as Wine has files of its own; what the program has is."""
    image = next(images_of(Layout(served.removeprefix("oci:")).read()))
    new = [directory_entry("Files"), directory_entry("Files/new"), file_entry("Files/new/x", os.urandom(100))]
    image = derive(image, [AddedLayer(layer_of(new), History())], ConfigPatch(), family=Family.OCI)
    with RegistryServer() as registry:
        registry.add("team/served:v1", image)
        done = wingo("run", f"{registry.host}/team/served:v1", "--", "stat", r"C:\new\x", r"C:\new\y")
        fetched = {request.path.rpartition("/")[2] for request in registry.asked("GET", "/blobs/")}
    assert said(done.stdout) == {r"C:\new\x": True, r"C:\new\y": False}, done.stderr
    assert image.layers[0].descriptor.digest not in fetched
    assert image.layers[-1].descriptor.digest in fetched


def test_an_ordinary_user_starts_it(served: str) -> None:
    """Rootless: a prefix of the account's own, one user, no rights; ports, data and the stop as for root."""
    before = containers.leftovers()
    uid = NOBODY if os.geteuid() == 0 else os.geteuid()
    with containers.folder_for(os.geteuid()) as shown, containers.folder_for(uid) as folder:
        image = shown / f"{MARK}-served"
        shutil.copytree(served.removeprefix("oci:"), image)
        for path in [image, *image.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        ordinary = containers.Wingo("ordinary" if os.geteuid() == 0 else "own", folder)
        name, port = f"{MARK}-rootless", free_port()
        flags = ["-d", "--name", name, "-p", f"{port}:8000", "-e", f"MARK={MARK}-wine"]
        started = ordinary("run", f"oci:{image}", *flags, timeout=180)
        try:
            assert started.returncode == 0, started.stderr
            assert fetch(f"http://127.0.0.1:{port}/") == b"served\n"
            fetch(f"http://127.0.0.1:{port}/put?" + urllib.parse.urlencode({"name": "a.txt", "text": "kept"}))
            assert said(ordinary("exec", name, "--", r"C:\app\served.exe", "args", "x").stdout)["args"][2] == "x"
            stopped = json.loads(ordinary("stop", name, "--json").stdout)
            assert stopped == [{"name": name, "exitCode": 0, "reason": ""}]
            assert said(ordinary("logs", name).stdout)["ended"] == "gracefully"
            data = folder / "state/containers" / name / "upper/prefix/drive_c/data"
            assert (data / "a.txt").read_text() == "kept"
            assert (data / "a.txt").stat().st_uid == uid
        finally:
            ordinary("stop", "--rm", name)
        assert ordinary.containers == []
        containers.settles(before, 10)


class Program(NamedTuple):
    """A published program: how it is started, what it answers, what it logs when it is asked to stop, and keeps."""

    name: str
    target: str
    port: int
    path: str
    answers: bytes
    args: tuple[str, ...] = ()
    stops: str = ""
    kept: str = ""


PROGRAMS = (
    Program(
        "go-httpbin",
        "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@v2.15.0",
        8080,
        "/base64/d2luZ28=",
        b"wingo",
        stops="shutting down",
    ),
    # Its collectors miss Windows' performance counters; that it serves, and as whom it runs, is what Wine can show.
    Program(
        "windows_exporter",
        "github.com/prometheus-community/windows_exporter@v0.27.2",
        9182,
        "/health",
        b'{"status":"ok"}',
        stops="Running as a preconfigured Windows Container user",
    ),
    Program(
        "nats-server",
        "github.com/nats-io/nats-server/v2@v2.15.2",
        8222,
        "/varz",
        b'"server_name"',
        ("-m", "8222", "-js", "-sd", r"C:\data"),
        "Initiating Shutdown",
        "data/jetstream",
    ),
    Program(
        "caddy",
        "github.com/caddyserver/caddy/v2/cmd/caddy@v2.11.9",
        8080,
        "/",
        b"from wine",
        ("respond", "--listen", ":8080", "--body", "from wine"),
    ),
)
BY_DEFAULT = {"go-httpbin", "windows_exporter"}
"""What other tests compile as well; `make test-peers` takes the others too."""


@pytest.mark.parametrize(
    "program",
    [
        pytest.param(program, id=program.name, marks=() if program.name in BY_DEFAULT else pytest.mark.peers)
        for program in PROGRAMS
    ],
)
def test_real_programs_serve(wingo: Wingo, program: Program) -> None:
    place = build(wingo, program.target, program.name, "--data-dir", r"C:\data", cwd=wingo.folder)
    port = free_port()
    started = wingo("run", place, "-d", "--name", program.name, "-p", f"{port}:{program.port}", "--", *program.args)
    try:
        assert started.returncode == 0, started.stderr
        assert program.answers in fetch(f"http://127.0.0.1:{port}{program.path}")
        began = time.monotonic()
        stopped = json.loads(wingo("stop", program.name, "--json").stdout)[0]
        logged = wingo("logs", program.name)
        assert time.monotonic() - began < 9, logged.stderr
        assert stopped["reason"] == "", (stopped, logged.stderr)
        assert program.stops in logged.stdout + logged.stderr
        upper = wingo.folder / "state/containers" / program.name / "upper/prefix/drive_c"
        assert not program.kept or (upper / program.kept).exists()
    finally:
        wingo("stop", "--rm", program.name)
