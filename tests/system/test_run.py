"""`wingo run` and its companions, on real namespaces: as root and as an ordinary user, with every engine."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import need_tool
from tests.system.containers import (
    ENGINES,
    MARK,
    NOBODY,
    PROGRAMS,
    TWO_ENGINES,
    WHO,
    Alone,
    Wingo,
    build,
    fetch,
    folder_for,
    leftovers,
    listening,
    settles,
)
from wingo.launch.usage import descendants

KEPT, WEB, NAMED, HELD = (f"{MARK}-{word}" for word in ("kept", "web", "named", "held"))
TOOL = {"crun": "crun", "runc": "runc", "bubblewrap": "bwrap"}


@pytest.fixture(scope="module")
def probe() -> Iterator[str]:
    """An image of the program in tests/system/go/probe."""
    with folder_for(os.geteuid()) as folder:
        yield build(PROGRAMS / "probe", folder / f"{MARK}-image", ".", "--data-dir", "/data")


@pytest.fixture(scope="module")
def wingo(request: pytest.FixtureRequest) -> Iterator[Wingo]:
    uid = {"root": 0, "own": os.geteuid()}.get(request.param, NOBODY)
    with folder_for(uid) as folder:
        yield Wingo(request.param, folder)


@pytest.fixture(autouse=True)
def _nothing_left(wingo: Wingo) -> Iterator[None]:
    before = leftovers()
    yield
    settles(before)
    deadline = time.monotonic() + 5
    while wingo.containers and time.monotonic() < deadline:
        time.sleep(0.05)
    assert wingo.containers == []


def needs(engine: str) -> None:
    if engine in TOOL:
        need_tool(TOOL[engine])


@WHO
@ENGINES
def test_nothing_gets_out(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    with tempfile.NamedTemporaryFile("w", prefix="canary-", dir="/var/tmp") as canary, socket.socket() as tcp:
        canary.write("outside")
        canary.flush()
        os.chmod(canary.name, 0o644)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        with socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind("\0" + (name := f"wingo-{os.getpid()}"))
            abstract.listen()
            volume = wingo.folder / "volume"
            volume.mkdir(exist_ok=True)
            volume.chmod(0o777)
            arguments = [canary.name, str(tcp.getsockname()[1]), name, str(os.getpid())]
            for user in ([], ["-u", "0"], ["-u", "1234:55"]):
                flags = ["--engine", engine, "-v", f"{volume}:/volume:ro", *user]
                done = wingo("run", probe, *flags, "--", "escape", *arguments)
                assert done.returncode == 0, done.stderr
                report = json.loads(done.stdout)
                assert report["tried"] > 35
                assert report["findings"] == {}
    assert os.listdir(volume) == []


@WHO
@ENGINES
def test_the_program_has_what_was_asked_for(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    flags = [
        "--engine",
        engine,
        "-e",
        "A=b c",
        "-e",
        "EMPTY=",
        "-e",
        "HERE",
        "-w",
        "/work",
        "--name",
        NAMED,
        "--rm",
        "-u",
        "77:88",
    ]
    wingo.environment["HERE"] = "as here"
    done = wingo("run", probe, *flags, "--network", "none", "--", "info", "one", "two words")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["uid"], found["gid"], found["pid"]) == (77, 88, 1)
    assert found["args"][1:] == ["info", "one", "two words"]
    assert {"A=b c", "EMPTY=", "HOME=/", "HERE=as here"} <= {*found["env"]}
    assert (found["cwd"], found["host"], found["terminal"]) == ("/work", NAMED, False)


@WHO
@TWO_ENGINES
def test_streams_and_exit_codes_pass_through(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    run = ["run", probe, "--engine", engine, "--network", "none", "--"]
    assert wingo(*run, "exit", "42").returncode == 42
    assert wingo(*run, "echo", input="line\n" * 10_000).stdout == "line\n" * 10_000
    printed = wingo(*run, "print", "x")
    assert (printed.stdout, printed.stderr) == ("[x]\n", "and this is an error\n")
    assert wingo(*run, "signal").returncode in (9, 137)  # process 1 of a namespace cannot kill itself


@WHO
@TWO_ENGINES
def test_a_server_answers_and_stops_gracefully(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    with wingo.start("run", probe, "--engine", engine, "-p", "8080", "-p", "8081/udp", "--explain") as process:
        lines = [process.stderr.readline() for _ in range(7)]
        ports = listening("".join(lines))
        assert fetch(f"http://127.0.0.1:{ports['8080/tcp']}/x") == "hello from /x as 65532"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.sendto(b"datagram", ("127.0.0.1", ports["8081/udp"]))
            assert udp.recv(100) == b"echo datagram"
        big = "y" * 3_000_000
        fetch(f"http://127.0.0.1:{ports['8080/tcp']}/big", data=big.encode())
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=20)
    assert out == "serving\nstopping on terminated\nstopped\n"
    assert process.returncode == 0
    steps = ["metadata", "layers", "writable layer", "namespaces", "entrypoint"]
    assert all(any(word in line for line in lines) for word in steps), lines


@WHO
def test_interrupts_stop_it_and_a_second_one_kills_it(wingo: Wingo, probe: str) -> None:
    with wingo.start("run", probe, "--", "ignore") as process:
        assert process.stdout.readline() == "ignoring\n"
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 137
    assert "it was asked a second time to end, and did not at once" in err


@WHO
def test_a_program_that_ignores_the_stop_is_killed_after_the_grace(wingo: Wingo, probe: str) -> None:
    with wingo.start("run", probe, "--grace", "0.5s", "--", "ignore") as process:
        process.stdout.readline()
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert process.returncode == 137
    assert "it did not end within 0.5 seconds of SIGTERM" in err


@WHO
def test_a_timeout_ends_it(wingo: Wingo, probe: str) -> None:
    done = wingo("run", probe, "--timeout", "0.5s", "--grace", "0.3s", "--", "ignore")
    assert done.returncode == 124
    assert "it ran longer than the 0.5 seconds allowed (--timeout)" in done.stderr


@WHO
@TWO_ENGINES
def test_when_wingo_is_killed_everything_ends(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    with wingo.start("run", probe, "--engine", engine, "-p", "8080") as process:
        assert process.stdout.readline() == "serving\n"
        process.kill()
    # _nothing_left waits for the rest


@WHO
def test_when_the_keeper_is_killed_everything_ends_too(wingo: Wingo, probe: str) -> None:
    assert wingo("run", probe, "-d", "--name", KEPT, "--", "sleep").returncode == 0
    keeper = json.loads(wingo("ps", "--json").stdout)[0]["keeper"]
    os.kill(keeper, signal.SIGKILL)
    time.sleep(0.3)
    listed = json.loads(wingo("ps", "-a", "--json").stdout)[0]
    assert (listed["status"], listed["exitCode"], listed["reason"]) == ("lost", 137, "wingo was killed")
    assert wingo("stop", "--rm", KEPT).returncode == 0


@WHO
def test_a_fork_bomb_is_contained(wingo: Wingo, probe: str) -> None:
    done = wingo("run", probe, "--pids", "60", "--network", "none", "--", "forkbomb")
    assert done.returncode in (2, 11), done.stdout + done.stderr  # Go itself may be what cannot start a thread
    assert "never refused" not in done.stdout


TOO_MUCH = "it used more memory than the 96 MiB allowed (--memory)"
HOG = ["--memory", "96m", "--network", "none"]


@WHO
@ENGINES
def test_a_memory_hog_is_contained(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    done = wingo("run", probe, "--json", "--engine", engine, *HOG, "--", "memory")
    report = json.loads(done.stdout)
    assert (report["exitCode"], report["reason"]) == (137, TOO_MUCH), done.stderr
    assert (done.returncode, TOO_MUCH in done.stderr) == (137, True)
    assert done.stderr.count("MiB\n") < 12, "it had more than 192 MiB"


@WHO
@TWO_ENGINES
def test_a_memory_hog_that_nobody_watches_is_contained(wingo: Wingo, probe: str, engine: str) -> None:
    """The watch is held up while the program grows, so that without a cgroup the kernel refuses it memory."""
    needs(engine)
    flags = ["--name", KEPT, "--engine", engine, *HOG, "--memory", "96m"]
    with wingo.start("run", probe, *flags, "--", "memory", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        keeper = json.loads(wingo("ps", "--json").stdout)[0]["keeper"]
        time.sleep(0.3)  # it has been looked at while it was small
        os.kill(keeper, signal.SIGSTOP)
        process.stdin.close()
        process.stdin = None
        deadline = time.monotonic() + 30
        while len(descendants(keeper)) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)  # until none but the holder is left, which waits to be seen
        os.kill(keeper, signal.SIGCONT)
        out, err = process.communicate(timeout=20)
    assert out.count("MiB") < 16, "it had more than 256 MiB"
    assert process.returncode in (2, 137, 139), err  # Go says so itself, or faults where it cannot even do that
    assert TOO_MUCH in err
    listed = json.loads(wingo("ps", "-a", "--json").stdout)[0]
    assert (listed["reason"], listed["exitCode"]) == (TOO_MUCH, process.returncode)
    assert wingo("stop", "--rm", KEPT).returncode == 0


@WHO
@TWO_ENGINES
def test_who_fails_by_itself_is_not_told_that_it_used_too_much(wingo: Wingo, probe: str, engine: str) -> None:
    """Neither when it is small, nor for the pages of a file that it looks at, which the kernel can take back."""
    needs(engine)
    large = wingo.folder / "large"
    large.write_bytes(b"\1" * (160 << 20))
    run = ["run", probe, "--json", "--engine", engine, "-v", f"{large}:/large:ro", *HOG, "--"]
    for words, code in ((["exit", "2"], 2), (["use", "20", "/large"], 5)):
        done = wingo(*run, *words)
        report = json.loads(done.stdout)
        assert (report["exitCode"], report["reason"], done.returncode) == (code, "", code), done.stderr
    small = wingo("run", probe, "--memory", "8m", "--network", "none", "--engine", engine, "--", "exit", "3")
    assert (small.returncode, "--memory)" in small.stderr) == (3, False), small.stderr


@WHO
def test_a_disk_filler_is_contained(wingo: Wingo, probe: str) -> None:
    done = wingo("run", probe, "--disk", "64m", "--network", "none", "--", "disk", "/data")
    assert done.returncode == 137, done.stdout + done.stderr
    assert "it wrote more than the 64 MiB allowed (--disk)" in done.stderr


@WHO
@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--entrypoint", "/nothing"], 127, "the image has no program '/nothing'"),
        (["--entrypoint", "nothing"], 127, "the image has no program 'nothing'"),
        (["--entrypoint", "/etc"], 126, "is no file that can be executed"),
        (["--entrypoint", "/etc/passwd"], 126, "is not executable"),
        (["-u", "somebody"], 2, "no user 'somebody'"),
        (["-v", "/nothing-here:/x"], 2, "does not exist"),
        (["-w", "relative"], 2, "not absolute"),
        (["-w", "/app/probe"], 126, "the working directory /app/probe is a file"),
        (["-e", "=x"], 2, "names no variable"),
        (["--memory", "10"], 2, "no program starts in 10 bytes"),
        (["--engine", "lxc"], 2, "there is no engine 'lxc'"),
        (["--storage", "zfs"], 2, "there is no storage 'zfs'"),
        (["--platform", "linux/s390x"], 2, "no images for linux/s390x"),
    ],
)
def test_what_cannot_start_says_why(wingo: Wingo, probe: str, flags: list[str], code: int, words: str) -> None:
    done = wingo("run", probe, *flags)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@WHO
@pytest.mark.parametrize("storage", ["overlay", "fuse-overlayfs", "copy"])
def test_every_storage_gives_the_same_layer(wingo: Wingo, probe: str, storage: str) -> None:
    if storage == "fuse-overlayfs":
        need_tool("fuse-overlayfs")
    flags = ["--name", KEPT, "--storage", storage, "--network", "none"]
    assert wingo("run", probe, *flags, "--", "write", "/data/new", "content").returncode == 0
    listed = json.loads(wingo("ps", "-a", "--json").stdout)[0]
    assert listed["storage"] == storage
    out = wingo.folder / f"committed-{storage}"
    done = wingo("commit", KEPT, f"oci:{out}", "-e", "X=y")
    assert done.returncode == 0, done.stderr
    assert wingo("stop", "--rm", KEPT).returncode == 0
    done = wingo("run", f"oci:{out}", "--", "read", "/data/new")
    assert done.stdout == "content<nil>\n"
    assert "X=y" in json.loads(wingo("run", f"oci:{out}", "--", "info").stdout)["env"]
    names = subprocess.run(
        ["tar", "tzf", str(newest_layer(out))], capture_output=True, text=True, check=True
    ).stdout.split()
    assert names == ["data/", "data/new"]


def newest_layer(layout: Path) -> Path:
    index = json.loads((layout / "index.json").read_bytes())
    manifest = json.loads(blob(layout, index["manifests"][0]["digest"]).read_bytes())
    return blob(layout, manifest["layers"][-1]["digest"])


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / "sha256" / digest.removeprefix("sha256:")


@WHO
def test_what_is_removed_stays_removed(wingo: Wingo, probe: str) -> None:
    assert wingo("run", probe, "--name", KEPT, "-u", "0", "--", "remove", "/etc/ssl").returncode == 0
    out = wingo.folder / "removed"
    assert wingo("commit", KEPT, f"oci:{out}").returncode == 0
    names = subprocess.run(["tar", "tzf", str(newest_layer(out))], capture_output=True, text=True, check=True).stdout
    assert names.split() == ["etc/", "etc/.wh.ssl"]
    assert wingo("run", probe, "--", "read", "/etc/ssl/certs/ca-certificates.crt").returncode == 0
    assert wingo("run", f"oci:{out}", "--", "read", "/etc/ssl/certs/ca-certificates.crt").returncode == 1
    assert wingo("stop", "--rm", KEPT).returncode == 0


@WHO
def test_a_detached_life(wingo: Wingo, probe: str) -> None:
    done = wingo("run", probe, "-d", "--name", WEB, "-p", "8080")
    assert (done.returncode, done.stdout) == (0, f"{WEB}\n"), done.stderr
    port = listening(done.stderr)["8080/tcp"]
    try:
        fetch(f"http://127.0.0.1:{port}/kept", data=b"what it wrote")
        assert "running" in wingo("ps").stdout
        again = wingo("run", probe, "-d", "--name", WEB)
        assert (again.returncode, again.stdout) == (2, "")
        assert f"there is a container '{WEB}' already" in again.stderr
        read = wingo("exec", WEB, "--", "/app/probe", "read", "/data/kept")
        assert (read.returncode, read.stdout) == (0, "what it wrote<nil>\n"), read.stderr
        found = json.loads(wingo("exec", WEB, "-e", "MORE=1", "--", "/app/probe", "info").stdout)
        assert (found["uid"], found["host"]) == (65532, WEB)
        assert "MORE=1" in found["env"]
        assert "NoNewPrivs:\t1" in found["status"]
        assert "Seccomp:\t2" in found["status"]
        assert wingo("exec", WEB, "--", "/app/probe", "exit", "5").returncode == 5
        assert wingo("exec", WEB, "--", "/nothing").returncode == 127
        escape = wingo("exec", WEB, "-u", "0", "--", "/app/probe", "escape", "/etc/hostname-of-nobody", "9", "x", "1")
        findings = json.loads(escape.stdout)["findings"]
        findings.pop("other processes", None)  # the server, and this one
        findings.pop("read-only volume")  # there is none here
        assert findings == {}
    finally:
        stopped = wingo("stop", WEB)
    assert stopped.returncode == 0, stopped.stderr
    logs = wingo("logs", WEB)
    assert (logs.stdout, logs.stderr) == ("serving\nstopping on terminated\nstopped\n", "")
    assert wingo("logs", WEB, "--tail", "1").stdout == "stopped\n"
    listed = json.loads(wingo("ps", "-a", "--json").stdout)[0]
    assert (listed["status"], listed["exitCode"]) == ("exited", 0)
    assert wingo("exec", WEB, "--", "/app/probe", "exit", "0").returncode == 2
    assert wingo("stop", "--rm", WEB).stdout == f"{WEB}\n"
    assert wingo("logs", WEB).returncode == 2


@WHO
def test_volumes(wingo: Wingo, probe: str) -> None:
    shared = wingo.folder / "shared"
    shared.mkdir()
    os.chown(shared, wingo.uid, -1)
    (shared / "given").write_text("given")
    flags = ["-u", "0", "-v", f"{shared}:/some/where", "-v", f"{shared / 'given'}:/etc/given:ro", "--network", "none"]
    assert wingo("run", probe, *flags, "--", "read", "/etc/given").stdout == "given<nil>\n"
    assert wingo("run", probe, *flags, "--", "write", "/etc/given", "x").returncode == 1
    assert wingo("run", probe, *flags, "--", "write", "/some/where/new", "x").returncode == 0
    assert (shared / "new").read_text() == "x"
    assert (shared / "new").stat().st_uid == wingo.uid


@WHO
@ENGINES
def test_read_only(wingo: Wingo, probe: str, engine: str) -> None:
    needs(engine)
    run = ["run", probe, "--engine", engine, "--read-only", "-u", "0", "--network", "none", "--"]
    assert wingo(*run, "exit", "0").returncode == 0
    refused = wingo(*run, "write", "/data/new", "x")
    assert (refused.returncode, refused.stderr) == (1, "open /data/new: read-only file system\n")


@WHO
def test_networks(wingo: Wingo, probe: str) -> None:
    with socket.socket() as outside:
        outside.bind(("127.0.0.1", 0))
        outside.listen()
        here = f"127.0.0.1:{outside.getsockname()[1]}"
        assert wingo("run", probe, "--network", "host", "--", "dial", "tcp", here).returncode == 0
        for network in ("none", "private"):
            assert wingo("run", probe, "--network", network, "--", "dial", "tcp", here).returncode == 1
    taken = wingo("run", probe, "-p", f"{outside_port()}:8080")
    assert taken.returncode == 3
    assert "cannot listen on" in taken.stderr


_HELD: list[socket.socket] = []


def outside_port() -> int:
    """A port that somebody has."""
    if not _HELD:
        _HELD.append(socket.create_server(("127.0.0.1", 0)))
    return int(_HELD[0].getsockname()[1])


@pytest.fixture(scope="module", autouse=True)
def _let_go() -> Iterator[None]:
    yield
    for held in _HELD:
        held.close()


@WHO
def test_a_terminal(wingo: Wingo, probe: str) -> None:
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "rows", "33", "cols", "77"], stdin=theirs, check=True)
    process = wingo.start("run", probe, "--network", "none", "--", "info", stdin=theirs, stdout=theirs)
    text = b""
    while b'"uid"' not in text and select.select([ours], [], [], 20)[0]:
        text += os.read(ours, 10_000)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    found = json.loads(text)
    assert (found["terminal"], found["rows"]) == (True, 33)
    assert any(item.startswith("TERM=") for item in found["env"]) == ("TERM" in wingo.environment)
    process = wingo.start("run", probe, "--network", "none", "--", "sleep", stdin=theirs, stdout=theirs)
    while select.select([ours], [], [], 20)[0] and b"sleeping" not in os.read(ours, 10_000):
        pass
    os.write(ours, b"\x03")
    process.communicate(timeout=20)
    assert process.returncode == 2  # Go's own end by SIGINT, in process 1
    os.close(ours)
    os.close(theirs)


@WHO
def test_without_any_other_tool(wingo: Wingo, probe: str) -> None:
    """Only root can cover what is installed; others test it where nothing is."""
    alone = wingo if wingo.who == "own" else Alone(wingo.who, wingo.folder)
    done = alone("run", probe, "--explain", "--", "exit", "4")
    assert done.returncode == 4, done.stderr
    if wingo.who == "own":
        return
    assert "network private, no way outside" in done.stderr
    assert [line.split()[-1] for line in done.stderr.splitlines() if "execute the entrypoint" in line] == ["wingo"]
    for engine, package in (("crun", "crun"), ("runc", "runc"), ("bubblewrap", "bubblewrap")):
        asked = alone("run", probe, "--engine", engine, "--", "exit", "4")
        assert (asked.returncode, f"apt-get install {package}" in asked.stderr) == (3, True), asked.stderr


@WHO
def test_many_at_once_unpack_once(wingo: Wingo, probe: str) -> None:
    environment = wingo.environment
    wingo.environment = environment | {"WINGO_CACHE_DIR": str(wingo.folder / "cache-of-many")}
    try:
        codes: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: codes.append(wingo("run", probe, "--network", "none", "--", "exit", "6").returncode)
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        wingo.environment = environment
    assert codes == [6, 6, 6, 6]


@WHO
def test_json(wingo: Wingo, probe: str) -> None:
    done = wingo("run", probe, "--json", "--network", "none", "--", "print", "x")
    report = json.loads(done.stdout)
    assert report["exitCode"] == 0
    assert [step["step"] for step in report["steps"]] == ["metadata", "layers", "writable", "namespaces", "execute"]
    assert "[x]" in done.stderr


POLICY = """
[roles.guest]
read = ["/data/public", "/volume"]
exec = ["/app"]

[roles.user]
extends = ["guest"]
write = ["/data/user-${uid}"]
listen = ["tcp/8080"]
connect = ["tcp/8080"]
network = "private"
deny = ["/data/public/secret"]
"""


@WHO
def test_a_policy_holds_and_tells_by_which_rule(wingo: Wingo, probe: str) -> None:
    volume = wingo.folder / "of-the-policy"
    (volume / "secret").mkdir(parents=True)
    (volume / "open").write_text("public")
    (volume / "secret" / "x").write_text("secret")
    mine = wingo.folder / "of-mine"
    mine.mkdir()
    for path in (volume, volume / "secret", mine):
        os.chown(path, wingo.uid, -1)
        path.chmod(0o777)
    table = wingo.folder / "policy.toml"
    table.write_text(POLICY)
    table.chmod(0o644)

    def run(role: str, *argv: str, flags: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        every = ["--policy", str(table), "--role", role, "-v", f"{volume}:/data/public:ro", *flags]
        return wingo("run", probe, *every, "--", *argv)

    none = ("--network", "none")
    assert run("guest", "exit", "5", flags=none).returncode == 5
    assert run("guest", "read", "/data/public/open", flags=none).stdout == "public<nil>\n"
    for argv, words in (
        (("read", "/etc/passwd"), "denied: read /etc/passwd, as no rule allows it (role guest)"),
        (("write", "/tmp/new", "x"), "denied: write /tmp/new, as no rule allows it (role guest)"),
        (("remove", "/app/probe"), "denied: write /app/probe, as no rule allows it (role guest)"),
        (("run", "/etc/passwd"), ""),
        (("dial", "udp", "127.0.0.1:53"), ""),
    ):
        done = run("guest", *argv, flags=none)
        assert done.returncode == 1, done.stdout
        assert words in done.stderr
    started = run("guest", "exit", "0")
    assert (started.returncode, "network private: denied as no rule allows it" in started.stderr) == (6, True)
    mount = run("user", "exit", "0", flags=("-v", f"{mine}:/data/elsewhere"))
    assert (mount.returncode, "write /data/elsewhere: denied" in mount.stderr) == (6, True)
    own = ("-v", f"{mine}:/data/user-65532")
    assert run("user", "write", "/data/user-65532/x", "y", flags=own).returncode in (0, 1)  # who owns it decides
    assert run("user", "write", "/data/user-0/x", "y", flags=("-v", f"{mine}:/data/user-0", "-u", "0")).returncode == 0
    assert (mine / "x").read_text() == "y"
    secret = run("user", "read", "/data/public/secret/x")
    assert secret.returncode == 1
    assert "by the rule user: deny: /data/public/secret" in secret.stderr
    assert run("user", "listen", ":8080").returncode == 0
    listen = run("user", "listen", ":8081")
    assert (listen.returncode, "denied: listen tcp/8081" in listen.stderr) == (1, True), listen.stderr
    assert "denied: connect tcp/443" in run("user", "dial", "tcp", "10.0.2.2:443").stderr
    published = run("user", "exit", "0", flags=("-p", "9:9"))
    assert (published.returncode, "listen tcp/9: denied" in published.stderr) == (6, True)
    # A change holds for the next start.
    table.write_text(POLICY.replace('exec = ["/app"]', ""))
    refused = run("guest", "exit", "5", flags=none)
    assert (refused.returncode, "exec /app/probe: denied as no rule allows it" in refused.stderr) == (126, True)


@WHO
def test_a_policy_holds_for_what_is_executed_later(wingo: Wingo, probe: str) -> None:
    table = wingo.folder / "later.toml"
    table.write_text('[roles.server]\nexec = ["/app"]\nlisten = ["tcp/8080", "udp/8081"]\nnetwork = "private"\n')
    table.chmod(0o644)
    flags = ["-d", "--name", HELD, "--policy", str(table), "--role", "server"]
    assert wingo("run", probe, *flags).returncode == 0
    try:
        assert wingo("exec", HELD, "--", "/app/probe", "exit", "4").returncode == 4
        assert wingo("exec", HELD, "--", "/app/probe", "read", "/etc/passwd").returncode == 1
        assert wingo("exec", HELD, "-u", "0", "--", "/app/probe", "write", "/data/x", "y").returncode == 1
        assert wingo("exec", HELD, "--", "/app/probe", "listen", ":8082").returncode == 1
        assert "read" in wingo("logs", HELD, "--denied").stdout
    finally:
        assert wingo("stop", "--rm", HELD).returncode == 0
