"""`wingo build` from end to end: real go, a real HTTP registry of ours with bases as Microsoft's, no network beyond."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.needs import need_tool
from tests.verifier import verify_layout
from wingo.testing.bases import microsoft_catalogue
from wingo.testing.host import FakeHost
from wingo.testing.registry import Fault, RegistryServer

MAIN = 'package main\n\nfunc main() { println("hello") }\n'
VERSIONS = "ltsc2019,ltsc2022,ltsc2025"


@pytest.fixture(scope="module")
def bases():
    return microsoft_catalogue()


@pytest.fixture
def registry(bases):
    with RegistryServer() as server:
        for name, artifact in bases.items():
            server.add(name, artifact)
        yield server


class Site:
    """A module, a machine, a registry."""

    def __init__(self, folder: Path, registry: RegistryServer):
        self.folder, self.registry = folder, registry
        self.module = folder / "hello"
        self.module.mkdir()
        self.write("go.mod", "module example.com/hello\n\ngo 1.21\n")
        self.write("main.go", MAIN)
        need_tool("go")
        self.environment = {
            name: os.environ[name] for name in ("PATH", "HOME", "GOPATH", "GOMODCACHE", "GOCACHE") if name in os.environ
        }
        self.environment |= {
            "GOENV": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "",
            "WINGO_MIRRORS": f"mcr.microsoft.com={registry.host}",
        }
        self.cache = folder / "cache"
        self.runs: list[tuple[str, ...]] = []

    def write(self, name: str, text: str) -> None:
        path = self.module / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def name(self, tag: str = "v1") -> str:
        return f"{self.registry.host}/team/hello:{tag}"

    def host(self, **environment: str) -> FakeHost:
        host = FakeHost(str(self.module), str(self.cache), self.environment | environment)
        run = host.runner.run
        self.runs.clear()

        def watched(argv, **more):
            self.runs.append(tuple(argv))
            return run(argv, **more)

        host.runner.run = watched
        return host

    def go_runs(self) -> list[tuple[str, ...]]:
        return [argv for argv in self.runs if os.path.basename(argv[0]).startswith("go")]

    def build(self, *argv: str, expect: int = 0, **environment: str) -> FakeHost:
        host = self.host(**environment)
        code = host.wingo("build", *argv)
        assert code == expect, host.err.getvalue()
        return host

    def report(self, *argv: str, **environment: str) -> dict:
        return json.loads(self.build(*argv, "--json", **environment).out.getvalue())


@pytest.fixture
def site(tmp_path, registry):
    return Site(tmp_path, registry)


def test_three_versions_of_windows_share_one_compilation_and_one_layer(site):
    host = site.build(".", "--push", "-t", site.name(), "--platform", f"{VERSIONS},linux/amd64", "-o", "oci:out")
    reference = host.out.getvalue().strip()
    assert reference.startswith(f"{site.name()}@sha256:")
    builds = [argv for argv in site.go_runs() if argv[1] == "build"]
    assert len(builds) == 2
    index = json.loads((site.module / "out" / "index.json").read_bytes())
    digest = index["manifests"][-1]["digest"]
    assert reference.endswith(digest)
    document = _blob(site.module / "out", digest)
    versions = [entry["platform"].get("os.version", "") for entry in document["manifests"]]
    assert [version.rpartition(".")[0] for version in versions] == ["10.0.26100", "10.0.20348", "10.0.17763", ""]
    manifests = [_blob(site.module / "out", entry["digest"]) for entry in document["manifests"][:3]]
    assert len({manifest["layers"][-1]["digest"] for manifest in manifests}) == 1
    assert verify_layout(site.module / "out") == []


def _blob(layout: Path, digest: str) -> dict:
    return json.loads((layout / "blobs" / "sha256" / digest.partition(":")[2]).read_bytes())


def test_a_second_build_runs_no_go_and_asks_the_registry_once_a_tag(site):
    arguments = (".", "--push", "-t", site.name(), "--platform", f"{VERSIONS},linux/amd64")
    first = site.build(*arguments)
    site.registry.forget()
    second = site.build(*arguments)
    assert second.out.getvalue() == first.out.getvalue()
    assert site.go_runs() == []
    asked = site.registry.asked()
    assert sorted(request.method for request in asked) == ["HEAD"] * 4
    assert len({request.path for request in asked}) == 4
    assert "nothing had changed" in second.err.getvalue()


def test_the_memo_does_not_hide_a_moved_base(site):
    before = site.report(".", "--push", "-t", site.name())
    for name, artifact in microsoft_catalogue(month=1).items():
        site.registry.add(name, artifact)
    after = site.report(".", "--push", "-t", site.name())
    assert site.go_runs() == []
    assert after["programs"][0]["digest"] != before["programs"][0]["digest"]
    old, new = (report["programs"][0]["platforms"][0] for report in (before, after))
    assert old["layers"] == new["layers"]
    assert old["osVersion"] != new["osVersion"]


def test_a_tag_that_moved_away_is_pushed_again_without_go(site):
    site.build(".", "--push", "-t", site.name())
    site.build(".", "--push", "-t", site.name("v2"))
    assert site.go_runs() == []
    path = "team/hello"
    assert site.registry.tag(path, "v2") == site.registry.tag(path, "v1")


@pytest.mark.parametrize("change", ["source", "copied", "wingodata", "epoch", "label"])
def test_every_input_counts(site, change):
    site.write("conf/a.txt", "one")
    site.write("wingodata/b.txt", "one")
    arguments = [".", "-o", "oci:out", "--copy", "conf:conf"]
    environment = {}
    before = site.report(*arguments)
    time.sleep(0.02)
    if change == "source":
        site.write("main.go", MAIN.replace("hello", "other"))
    elif change == "copied":
        site.write("conf/a.txt", "two")
    elif change == "wingodata":
        site.write("wingodata/sub/c.txt", "new")
    elif change == "epoch":
        environment["SOURCE_DATE_EPOCH"] = "1700000000"
    else:
        arguments += ["--label", "a=b"]
    after = site.report(*arguments, **environment)
    assert after["programs"][0]["digest"] != before["programs"][0]["digest"]
    again = site.report(*arguments, **environment)
    assert again["programs"][0]["digest"] == after["programs"][0]["digest"]


def test_the_same_sources_elsewhere_have_the_same_digest(site, tmp_path, registry, monkeypatch):
    first = site.report(".", "--platform", "ltsc2022,linux/arm64")
    other = tmp_path / "elsewhere"
    other.mkdir()
    umask = os.umask(0o077)
    try:
        second = Site(other, registry).report(
            ".", "--platform", "ltsc2022,linux/arm64", TZ="Pacific/Auckland", LC_ALL="tr_TR.UTF-8"
        )
    finally:
        os.umask(umask)
    assert second["programs"][0]["digest"] == first["programs"][0]["digest"]


def test_an_unchanged_build_on_a_local_base_can_be_pushed_elsewhere(site):
    assert site.host().wingo("pull", "mcr.microsoft.com/windows/nanoserver:ltsc2022", "oci:base") == 0
    arguments = (".", "--platform", "ltsc2022,linux/amd64", "--base", "windows=oci:base")
    site.build(*arguments)
    site.build(*arguments, "--push", "-t", site.name())
    assert site.go_runs() == []
    assert site.registry.tag("team/hello", "v1")


def test_an_unchanged_build_on_scratch_and_on_a_base_can_be_pushed_elsewhere(site):
    linux = f"{site.registry.host}/team/linux:v1"
    site.build(".", "--platform", "linux/amd64", "--push", "-t", linux)
    arguments = (".", "--platform", "ltsc2022,linux/amd64", "--base", "windows=scratch", "--base", f"linux={linux}")
    site.build(*arguments)
    site.build(*arguments, "--push", "-t", site.name())
    assert site.registry.tag("team/hello", "v1")


@pytest.mark.parametrize("place", ["oci:thin", "oci-archive:thin.tar"])
def test_a_thin_output_is_pushed_with_the_layers_of_its_base(site, place):
    site.build(".", "--platform", "ltsc2022", "--thin", "-o", place)
    assert site.host().wingo("push", place, site.name()) == 0
    manifests = site.registry.repository("team/hello").manifests.values()
    images = [json.loads(data) for data, media_type in manifests if media_type.endswith("manifest.v1+json")]
    assert len(images) == 1
    for layer in images[0]["layers"]:
        assert site.registry.blob("team/hello", layer["digest"])


def test_a_program_that_rots_in_the_cache_is_built_again(site):
    arguments = (".", "--platform", "ltsc2022,linux/amd64", "-o", "oci:out")
    before = site.report(*arguments)
    for program in [*(site.cache / "go").rglob("hello"), *(site.cache / "go").rglob("hello.exe")]:
        status, data = program.stat(), bytearray(program.read_bytes())
        data[len(data) // 2] ^= 1
        program.chmod(0o755)
        program.write_bytes(data)
        program.chmod(status.st_mode)
        os.utime(program, ns=(status.st_atime_ns, status.st_mtime_ns))
    shutil.rmtree(site.cache / "packed")
    shutil.rmtree(site.cache / "blobs")
    shutil.rmtree(site.cache / "records")
    host = site.build(*arguments, "--json")
    assert host.err.getvalue().count("was damaged in the cache") == 2
    assert json.loads(host.out.getvalue())["programs"] == before["programs"]
    assert verify_layout(site.module / "out") == []


def test_an_unchanged_build_says_its_notes_again(site):
    first = site.build(".", "--base", "scratch")
    second = site.build(".", "--base", "scratch")
    assert site.go_runs() == []
    for host in (first, second):
        assert host.err.getvalue().count("it cannot start by itself") == 1


def test_a_thin_docker_archive_says_what_it_lacks(site):
    site.build(".", "--platform", "ltsc2022", "--thin", "-o", "docker-archive:thin.tar", "-t", "hello:v1")
    host = site.host()
    assert host.wingo("push", "docker-archive:thin.tar", site.name()) == 2
    assert "was written without the layer" in host.err.getvalue()
    assert site.registry.tag("team/hello", "v1") is None


def test_offline_after_a_base_pull(site):
    site.build(".")
    host = site.host()
    assert host.wingo("base", "pull", "nanoserver", "--platform", "ltsc2022,ltsc2025") == 0
    site.registry.stop()
    site.write("main.go", MAIN.replace("hello", "offline"))
    site.build(".", "--offline", "-o", "docker-archive:hello.tar", "-t", "hello:v1")
    assert (site.module / "hello.tar").stat().st_size > 0
    missing = site.build(".", "--offline", "--platform", "ltsc2019", expect=2)
    assert "wingo base pull" in missing.err.getvalue()


def test_a_thin_layout_is_pushed_where_the_base_is_already(site):
    site.build(".", "--push", "-t", site.name())
    site.write("main.go", MAIN.replace("hello", "thin"))
    report = site.report(".", "--thin", "-o", "oci:out")
    own = {layer for platform in report["programs"][0]["platforms"] for layer in platform["layers"]}
    manifests = [_blob(site.module / "out", item["digest"]) for item in report["programs"][0]["platforms"]]
    layers = {layer["digest"] for manifest in manifests for layer in manifest["layers"]}
    there = {f"sha256:{path.name}" for path in (site.module / "out" / "blobs" / "sha256").iterdir()}
    assert layers & there == own
    assert site.host().wingo("push", "oci:out", site.name("thin")) == 0
    elsewhere = site.host(WINGO_MIRRORS="mcr.microsoft.com=127.0.0.1:1")
    assert elsewhere.wingo("push", "oci:out", f"{site.registry.host}/other/place:v1") == 4
    assert "127.0.0.1:1" in elsewhere.err.getvalue()
    assert site.registry.tag("other/place", "v1") is None


def test_several_programs_of_one_module_are_compiled_together(site):
    for name in ("one", "two"):
        site.write(f"cmd/{name}/main.go", MAIN)
    host = site.build("./cmd/...", "--push", "-t", f"{site.registry.host}/team/{{name}}:v1", "-o", "oci:out")
    listed = json.loads((site.module / "out" / "index.json").read_bytes())["manifests"]
    assert [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in listed] == ["one", "two"]
    assert [line.partition("@")[0].rpartition("/")[2] for line in host.out.getvalue().splitlines()] == [
        "one:v1",
        "two:v1",
    ]
    assert len([argv for argv in site.go_runs() if argv[1] == "build"]) == 1
    refused = site.build("./cmd/...", "--push", "-t", site.name(), expect=2)
    assert "{name}" in refused.err.getvalue()


def test_a_tag_of_the_checkout_is_the_images_version(site):
    site.environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ["-c", "user.name=t", "-c", "user.email=t@t.example"]

    def git(*argv):
        subprocess.run([need_tool("git"), *who, *argv], cwd=site.module, check=True, capture_output=True)

    def built(output):
        digest = site.report(".", "-o", f"oci:../{output}")["programs"][0]["digest"]
        annotations = _blob(site.folder / output, digest)["annotations"]
        return annotations.get("org.opencontainers.image.version", "")

    git("init", "-q")
    git("remote", "add", "origin", "https://user:secret@forge.example/team/hello.git")
    git("add", "-A")
    git("commit", "-qm", "one")
    git("tag", "v1.2.3")
    assert built("one") == "v1.2.3"
    assert built("one") == "v1.2.3"
    site.write("main.go", MAIN.replace("hello", "later"))
    git("commit", "-qam", "two")
    git("tag", "v1.3.0")
    assert built("two") == "v1.3.0"
    printed = (site.folder / "two" / "blobs").rglob("*")
    assert not any(b"secret" in path.read_bytes() for path in printed if path.is_file())


def test_ko_users_can_switch(site):
    site.write("kodata/page.html", "<p>hello</p>")
    (site.module / "kodata" / "HEAD").symlink_to("../main.go")
    site.write(
        ".ko.yaml",
        "defaultPlatforms: [windows/amd64, linux/arm64]\nbuilds:\n- id: hello\n  ldflags: ['-X main.version=1']\n"
        "baseImageOverrides: {a: b}\n",
    )
    host = site.build(".", "-o", "files:tree", "--json")
    report = json.loads(host.out.getvalue())
    assert [item["platform"].partition(":")[0] for item in report["programs"][0]["platforms"]] == [
        "windows/amd64",
        "windows/amd64",
        "linux/arm64",
    ]
    assert "-X main.version=1" in " ".join(" ".join(argv) for argv in site.go_runs())
    assert "baseImageOverrides is not used" in host.err.getvalue()
    assert (site.module / "tree/linux-arm64/var/run/ko/HEAD").read_text() == MAIN


BAD_INPUT = [
    (["--platform", "windows/amd64:ltsc2023"], 2, "ltsc202", "Did you mean"),
    (["--platform", "solaris/amd64"], 2, "solaris", ""),
    (["--base", "nanosever"], 2, "no base called", "nanoserver"),
    (["--base", "linux=nanoserver", "--platform", "linux/amd64"], 2, "Windows base", ""),
    (["--frobnicate"], 2, "--frobnicate", "--help"),
    (["--expose", "99999"], 2, "not a port", ""),
    (["--copy", "missing:x"], 2, "does not exist", ""),
    (["--copy", "go.mod:C:\\con"], 2, "name of a device", ""),
    (["--copy", "go.mod:app.txt", "--copy", "main.go:APP.txt"], 2, "main.go", ""),
    (["--push"], 2, "needs a name", "-t"),
    (["--ldflags", "-X main.v={{.Versoin}}"], 2, "Versoin", "Version"),
    (["./nowhere"], 3, "nowhere", ""),
    (["main.go"], 2, "main.go", ""),
    (["-o", "oci:/proc/nothing/out"], 3, "/proc/nothing", ""),
    (["--user", "root", "--push", "-t", "x"], 2, "one for Linux", ""),
]


@pytest.mark.parametrize(("argv", "code", "message", "hint"), BAD_INPUT, ids=[" ".join(case[0]) for case in BAD_INPUT])
def test_wrong_requests_are_explained(site, argv, code, message, hint):
    host = site.build(*argv, expect=code)
    printed = host.err.getvalue()
    assert message in printed
    assert hint in printed
    assert "Traceback" not in printed
    assert host.out.getvalue() == ""


def test_broken_code_shows_the_compilers_lines(site):
    site.write("main.go", "package main\n\nfunc main() { undefined() }\n")
    printed = site.build(".", expect=2).err.getvalue()
    assert "main.go:3:15" in printed
    assert "Traceback" not in printed


def test_a_library_is_no_program(site):
    site.write("main.go", "package hello\n")
    printed = site.build(".", expect=2).err.getvalue()
    assert "is a library (package hello), not a program" in printed


def test_a_base_without_the_version_lists_what_there_is(site, bases):
    name = next(name for name in bases if name.endswith("nanoserver:ltsc2019"))
    printed = site.build(".", "--base", f"mcr.microsoft.com/{name}", "--platform", "ltsc2025", expect=2).err.getvalue()
    assert "10.0.17763" in printed


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"status": 401}, "wingo login"),
        ({"status": 403}, "403"),
        ({"status": 404}, "404"),
        ({"status": 500}, "500"),
    ],
)
def test_a_registry_that_refuses_is_explained(site, fault, message):
    site.registry.fail(Fault(path="nanoserver", times=1000, **fault))
    printed = site.build(".", expect=4).err.getvalue()
    assert message in printed
    assert "Traceback" not in printed


def test_a_missing_base_is_told_without_waiting_for_the_compiler(site):
    slow = site.folder / "bin"
    slow.mkdir()
    (slow / "go").write_text(f'#!/bin/sh\n[ "$1" = build ] && sleep 60\nexec {need_tool("go")} "$@"\n')
    (slow / "go").chmod(0o755)
    site.environment["PATH"] = f"{slow}{os.pathsep}{site.environment['PATH']}"
    began = time.monotonic()
    printed = site.build(".", "--base", "mcr.microsoft.com/windows/nanoserver:ltsc2032", expect=4).err.getvalue()
    assert time.monotonic() - began < 30
    assert "nanoserver:ltsc2032" in printed


def test_a_registry_that_is_down_is_explained(site):
    site.registry.stop()
    printed = site.build(".", expect=4).err.getvalue()
    assert site.registry.host in printed


@pytest.mark.parametrize("least", [0, 100_000], ids=["everything", "the layer"])
def test_a_damaged_cache_is_healed_and_said(site, least):
    first = site.build(".", "-o", "oci:out")
    damaged = 0
    for path in (site.cache / "blobs" / "sha256").iterdir():
        if path.stat().st_size < least:
            continue
        path.chmod(0o644)
        path.write_bytes(b"x" + path.read_bytes()[1:])
        damaged += 1
    assert damaged
    second = site.build(".", "-o", "oci:again")
    assert second.out.getvalue() == first.out.getvalue()
    assert "damaged" in second.err.getvalue()
    assert verify_layout(site.module / "again") == []


def test_a_full_disk_leaves_nothing_half_made(site, monkeypatch):
    import errno

    from wingo.stores.blobs import NewFile

    write = NewFile.write

    def full(self, data):
        if len(data) > 4096:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(self, data)

    site.build(".")
    with monkeypatch.context() as patch:
        patch.setattr("wingo.stores.blobs.NewFile.write", full)
        printed = site.build(".", "-o", "oci-archive:out.tar", "-o", "oci:out", expect=3).err.getvalue()
    assert "No space left" in printed
    assert not (site.module / "out.tar").exists()
    assert not (site.module / "out").exists()
    assert not [name for name in os.listdir(site.module) if "wingo" in name and name != "wingo.toml"]


def _start(site: Site, *argv: str) -> subprocess.Popen[bytes]:
    environment = site.environment | {"WINGO_CACHE_DIR": str(site.cache)}
    command = [sys.executable, "-c", "from wingo.cli.main import entry; entry()", "build", *argv]
    return subprocess.Popen(command, cwd=site.module, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_two_builds_at_once_in_one_cache(site):
    running = [_start(site, ".", "--platform", "ltsc2022,linux/amd64", "-o", f"oci:out{number}") for number in (1, 2)]
    printed = [process.communicate(timeout=600) for process in running]
    assert [process.returncode for process in running] == [0, 0], printed
    assert printed[0][0] == printed[1][0]


@pytest.mark.parametrize("delay", [0.5, 1.0, 2.0])
def test_an_interrupt_leaves_nothing_half_made(site, delay):
    """The compiler is a slow one, so that every delay falls into it."""
    slow = site.folder / "bin"
    slow.mkdir()
    (slow / "go").write_text(f'#!/bin/sh\n[ "$1" = build ] && sleep 30\nexec {need_tool("go")} "$@"\n')
    (slow / "go").chmod(0o755)
    site.environment["GOROOT"] = subprocess.run(
        [need_tool("go"), "env", "GOROOT"], capture_output=True, text=True, check=True
    ).stdout.strip()
    path = site.environment["PATH"]
    site.environment["PATH"] = f"{slow}{os.pathsep}{path}"
    process = _start(site, ".", "--platform", "ltsc2022,linux/amd64", "-o", "oci:out", "--push", "-t", site.name("cut"))
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert b"interrupted" in stderr
    assert b"Traceback" not in stderr
    assert not (site.module / "out").exists()
    assert site.registry.tag("team/hello", "cut") is None
    site.environment["PATH"] = path
    site.build(".", "--platform", "ltsc2022,linux/amd64", "-o", "oci:out", "--push", "-t", site.name("cut"))
    assert verify_layout(site.module / "out") == []


@pytest.mark.parametrize("method", ["PUT", "POST", "HEAD"])
def test_an_interrupt_while_pushing_leaves_no_tag(site, method):
    site.build(".")
    site.registry.fail(Fault(method=method, path="team/hello", delay=30, times=1000))
    process = _start(site, ".", "--push", "-t", site.name("cut"))
    time.sleep(2.5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr
    assert site.registry.tag("team/hello", "cut") is None
    site.registry.heal()
    site.build(".", "--push", "-t", site.name("cut"))
    assert site.registry.tag("team/hello", "cut") is not None
