"""`wingo run --debug-step`: where a RUN failed, as root and as an ordinary user, with everything that can be given again."""

from __future__ import annotations

import json
import os
import pty
import re
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.containers import NOBODY, WHO, Wingo, folder_for, leftovers, settles, who_can
from tests.system.test_dockerfile import small_base
from wingo.archive.entry import Entry, EntryKind
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.testing.registry import RegistryServer

BASE = "FROM alpine\nWORKDIR /w\nENV GREETING=hi\nUSER me\nUSER root\n"
FAILS = (
    "RUN --mount=type=cache,target=/c --mount=type=tmpfs,target=/t --mount=type=secret,id=key "
    "--mount=type=bind,source=given,target=/given echo kept > /w/kept; rm /etc/group; echo cached > /c/x; "
    "cat /run/secrets/key > /dev/null; exit 7\n"
)


@pytest.fixture(scope="module")
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.add("hub/library/alpine:latest", small_base())
        bare = image_of(
            [
                layer_of(
                    [
                        directory_entry("bin"),
                        file_entry("bin/false", Path("/bin/busybox").read_bytes(), mode=0o755),
                        directory_entry("tmp", mode=0o1777),
                        Entry("bin/true", EntryKind.SYMLINK, 0o777, link_target="false"),
                    ]
                )
            ],
            {"os": "linux", "architecture": "amd64", "config": {}},
        )
        server.add("hub/library/bare:latest", bare)
        yield server


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
    assert failed(wingo) == []
    assert os.listdir(wingo.folder / "cache" / "dockerfile" / "steps") == []
    assert wingo.containers == []


def failed(wingo: Wingo) -> list[str]:
    folder = wingo.folder / "cache" / "dockerfile" / "failed"
    return sorted(os.listdir(folder)) if folder.exists() else []


def build(wingo: Wingo, registry: RegistryServer, dockerfile: str, *flags: str, status: int = 2) -> str:
    """Builds; what was said."""
    context = wingo.folder / "app"
    (context / "given").mkdir(parents=True, exist_ok=True)
    (context / "given" / "file").write_text("given\n")
    (context / "key").write_text("s3cret")
    (context / "Dockerfile").write_text(dockerfile)
    for path in [context, *context.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = wingo("build", "-f", "app/Dockerfile", "app", "--mirrors", f"docker.io={registry.host}/hub", *flags)
    assert done.returncode == status, done.stderr
    return done.stderr


def name_in(said: str) -> str:
    matched = re.search(r"wingo run --debug-step (step-[0-9a-f]{8})", said)
    assert matched is not None, said
    return matched[1]


@WHO
def test_a_shell_where_it_failed(wingo: Wingo, registry: RegistryServer) -> None:
    name = name_in(build(wingo, registry, BASE + FAILS, "--secret", "id=key,src=app/key"))
    assert failed(wingo) == [name]
    script = (
        "pwd; echo $GREETING; cat /w/kept /given/file /c/x; ls /etc/group; ls /run/secrets; mount | grep -c ' /t '; "
        "touch /given/no; id -u; echo more > /w/more; exit 5\n"
    )
    done = wingo("run", "--debug-step", name, input=script)
    assert done.returncode == 5, done.stderr
    assert done.stdout.splitlines() == ["/w", "hi", "kept", "given", "cached", "key", "1", "0"]
    assert "failed with exit code 7" in done.stderr
    assert "not given again: the secret key" in done.stderr
    assert "/etc/group: No such file" in done.stderr
    assert "/given/no: Read-only file system" in done.stderr
    # No name: the newest. A program of one's own, other variables, user and directory.
    words = ("-e", "GREETING=hello", "-u", "1000", "-w", "/tmp")
    if wingo.who == "root":
        done = wingo("run", "--debug-step", *words, "--", "sh", "-c", "echo $GREETING; id -u; pwd; cat /w/more")
        assert done.stdout.splitlines() == ["hello", "1000", "/tmp", "more"]
    done = wingo("run", "--debug-step", "--json", "--", "cat", "/w/more")
    assert json.loads(done.stdout)["exitCode"] == 0
    everything = b"".join(
        path.read_bytes()
        for path in (wingo.folder / "cache" / "dockerfile" / "failed").rglob("*")
        if path.is_file() and os.access(path, os.R_OK)
    )
    assert b"GREETING=hi" in everything
    assert b"s3cret" not in everything
    listed = wingo("ps", "-a", "--json")
    assert [(item["name"], item["status"]) for item in json.loads(listed.stdout)] == [(name, "exited")]
    assert json.loads(listed.stdout)[0]["image"] == "app/Dockerfile:6"
    refused = wingo("commit", name, "oci:x")
    assert (refused.returncode, "has no image" in refused.stderr) == (2, True)
    assert wingo("stop", "--rm", name).returncode == 0
    gone = wingo("run", "--debug-step", name)
    assert (gone.returncode, f"there is no container '{name}'" in gone.stderr) == (2, True)
    none = wingo("run", "--debug-step")
    assert (none.returncode, "there is no failed step" in none.stderr) == (2, True)


@pytest.mark.parametrize("wingo", who_can()[:1], indirect=True)
def test_few_are_kept_and_none_when_it_builds(wingo: Wingo, registry: RegistryServer) -> None:
    names = [name_in(build(wingo, registry, f"{BASE}RUN exit {code}\n")) for code in (1, 2, 3, 4)]
    assert failed(wingo) == sorted(names[1:])
    done = wingo("run", "--debug-step", input="echo $0\n")
    assert f"{names[3]}: app/Dockerfile:6 failed with exit code 4" in done.stderr
    assert done.stdout == "/bin/sh\n"
    build(wingo, registry, f"{BASE}RUN true\n", status=0)


@WHO
def test_two_people_and_a_terminal(wingo: Wingo, registry: RegistryServer) -> None:
    name = name_in(build(wingo, registry, f"{BASE}RUN false\n"))
    ours, theirs = pty.openpty()
    process = wingo.start("run", "--debug-step", stdin=theirs, stdout=theirs)
    text = b""
    for wanted, typed in ((b"# ", b"echo at $((40+2))\n"), (b"at 42", b"")):
        while wanted not in text and select.select([ours], [], [], 20)[0]:
            text += os.read(ours, 10_000)
        os.write(ours, typed)
    assert b"at 42" in text
    second = wingo("run", "--debug-step", name)
    assert (second.returncode, "somebody looks at" in second.stderr) == (2, True)
    beside = wingo("exec", name, "--", "sh", "-c", "pwd")
    assert beside.stdout == "/w\n", beside.stderr
    os.write(ours, b"exit 3\n")
    process.communicate(timeout=20)
    assert process.returncode == 3
    os.close(ours)
    os.close(theirs)
    done = wingo("run", "--debug-step", "--rm", input="exit 0\n")
    assert done.returncode == 0, done.stderr


@WHO
def test_without_a_shell(wingo: Wingo, registry: RegistryServer) -> None:
    name = name_in(build(wingo, registry, 'FROM bare\nRUN ["/bin/false"]\n'))
    done = wingo("run", "--debug-step")
    assert done.returncode == 127
    assert "the image has no program '/bin/sh'" in done.stderr
    hint = "wingo run --debug-step " + name + " -v /bin/busybox:/busybox:ro -- /busybox sh"
    assert hint in done.stderr
    done = wingo(*hint.split()[1:], "-c", "echo here")
    assert (done.returncode, done.stdout) == (0, "here\n"), done.stderr
    for words in (("-d",), ("--name", "x"), ("-p", "80"), ("--platform", "linux/amd64")):
        done = wingo("run", "--debug-step", name, *words)
        assert (done.returncode, "means nothing with --debug-step" in done.stderr) == (2, True)
    assert wingo("stop", "--rm", name).returncode == 0
    assert wingo("run").returncode == 2
