"""The five Dockerfiles that the Windows-Go articles teach: each is built as it stands, started, asked and stopped.

Their bases cannot be pulled everywhere, so stand-ins are served under a mirror setting: Windows ones without anything that
runs (the programs start under Wine), and in Alpine's place a busybox whose `apk` is a dozen lines of shell that fetch
real packages, in Alpine's format, from a repository on loopback.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.needs import missing, need_tool
from tests.system.test_dockerfile import Layout, Site, faults, program_of
from tests.system.test_wine import Wingo, fetch, free_port
from wingo.errors import HostError
from wingo.launch.wine.finding import find_wine
from wingo.oci.platform import Platform
from wingo.oci.reference import parse_reference
from wingo.processes import ProcessRunner
from wingo.testing.images import directory_entry, file_entry
from wingo.testing.registry import RegistryServer
from wingo.testing.stand_ins import busybox_base, stand_in

SOURCE = Path(__file__).parent / "go" / "answering"
NANOSERVER = "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
RUNTIME = (
    "FROM alpine:latest\nRUN apk --no-cache add ca-certificates\nWORKDIR /root/\n"
    'COPY --from=builder /app/server .\nEXPOSE 8080\nCMD ["./server"]\n'
)


class Five(NamedTuple):
    """One of them.

    Attributes:
        answer: how the program's answer begins.
        plan: what the plan says that matters.
        rule: what `wingo check -f` explains to those who build it elsewhere; "" for nothing.
    """

    dockerfile: str
    answer: str
    plan: str
    rule: str = ""


FIVE = {
    "1": Five(
        "FROM golang:1.21-windowsservercore-ltsc2022 AS builder\nWORKDIR /app\nCOPY . .\nRUN go build -o myapp.exe .\n\n"
        f'{NANOSERVER}WORKDIR /app\nCOPY --from=builder /app/myapp.exe .\nCMD ["myapp.exe"]\n',
        answer="windows go1.21.13 ",
        plan="golang:1.21-windowsservercore-ltsc2022 on windows/amd64",
    ),
    "2": Five(
        "FROM golang:1.21 AS builder\nWORKDIR /app\nCOPY . .\nRUN go build -o main.exe .\n\n"
        f'{NANOSERVER}COPY --from=builder /app/main.exe /main.exe\nCMD ["main.exe"]\n',
        answer="windows go1.21.13 ",
        plan="Docker would compile a Linux program here; wingo compiles for the final stage's windows/amd64",
        rule="WGO610",
    ),
    "3": Five(
        'FROM golang:1.21 AS builder\nWORKDIR /app\nCOPY . .\nRUN go build -ldflags "-s -w" -o main.exe .\n\n'
        'FROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL ["powershell", "-Command"]\n'
        'RUN Stop-Service -Name "WSearch" -Force\nRUN Set-Service -Name "WSearch" -StartupType Disabled\n'
        'COPY --from=builder /app/main.exe /main.exe\nCMD ["main.exe"]\n',
        answer="windows go1.21.13 ",
        plan="configure service WSearch: start disabled",
        rule="WGO610",
    ),
    "4": Five(
        "FROM golang:1.21 AS builder\nWORKDIR /app\nCOPY go.mod ./\nRUN go mod download\nCOPY . .\n"
        f"RUN go build -o server main.go\n\n{RUNTIME}",
        answer="linux go1.21.13 certificates=2",
        plan="compiled with CGO_ENABLED=0: the final image has musl",
        rule="WGO612",
    ),
    "5": Five(
        "FROM golang:1.21-alpine AS builder\nWORKDIR /app\nCOPY go.mod ./\nRUN go mod download\nCOPY . .\n"
        f"RUN go build -o server main.go\n\n{RUNTIME}",
        answer="linux go1.21.13 certificates=2",
        plan="the local Go compiles for linux/amd64 as Go 1.21",
    ),
}  # fmt: skip
WINDOWS = ("1", "2", "3")

APK = """#!/bin/sh
# Adds packages as Alpine's apk does, but for signatures, dependencies and scripts.
set -eu
[ "$1 $2" = "--no-cache add" ] || exit 2
shift 2
repository=$(cat /etc/apk/repositories)/$(cat /etc/apk/arch)
for name; do
    wget -q -O /tmp/index.tar.gz "$repository/APKINDEX.tar.gz"
    version=$(tar -xzOf /tmp/index.tar.gz APKINDEX | awk -v name="P:$name" '$0 == name { found = 1 } found && /^V:/ { print substr($0, 3); exit }')
    [ -n "$version" ] || { echo "ERROR: unable to select packages: $name (no such package)" >&2; exit 1; }
    wget -q -O /tmp/package.apk "$repository/$name-$version.apk"
    tar -xzf /tmp/package.apk -C /
    echo "P:$name" >> /lib/apk/db/installed
    rm /.PKGINFO /tmp/index.tar.gz /tmp/package.apk
done
"""


def packed(files: Mapping[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A repository with one package, of two certificates made here; its address."""
    openssl = need_tool("openssl")
    folder = tmp_path_factory.mktemp("packages")
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null"]
    roots = b"".join(
        subprocess.run([openssl, *made, "-subj", f"/CN=root {number}"], check=True, capture_output=True).stdout
        for number in range(2)
    )
    main = folder / "main" / "x86_64"
    main.mkdir(parents=True)
    index = b"P:other\nV:9-r9\n\nP:ca-certificates\nV:20240226-r0\nA:x86_64\n\n"
    main.joinpath("APKINDEX.tar.gz").write_bytes(packed({"DESCRIPTION": b"v3", "APKINDEX": index}))
    main.joinpath("ca-certificates-20240226-r0.apk").write_bytes(
        packed({".PKGINFO": b"pkgname = ca-certificates\n", "etc/ssl/certs/ca-certificates.crt": roots})
    )

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/main"
        server.shutdown()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, packages: str) -> Iterator[Site]:
    """One for all of them: what is compiled once is found again."""
    busybox = Path("/bin/busybox")
    if not busybox.exists():
        missing("Debian's busybox-static")
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    files = [
        directory_entry("etc/apk"),
        file_entry("bin/apk", APK.encode(), mode=0o755),
        file_entry("etc/apk/arch", b"x86_64\n"),
        file_entry("etc/apk/repositories", f"{packages}\n".encode()),
        *(directory_entry(name) for name in ("lib", "lib/apk", "lib/apk/db")),
    ]
    with RegistryServer() as server:
        for name, flavour in (("nanoserver", "mcr"), ("servercore", "mcr")):
            reference = parse_reference(f"mcr.microsoft.com/windows/{name}:ltsc2022")
            image = stand_in(reference, Platform("windows", "amd64", os_version="10.0.20348"))
            server.add(f"{server.host}/{flavour}/windows/{name}:ltsc2022", image)
        server.add(f"{server.host}/hub/library/alpine:latest", busybox_base(busybox.read_bytes(), applets, files=files))
        made = Site(tmp_path_factory.mktemp("five"), server)
        for name in ("go.mod", "main.go"):
            shutil.copy(SOURCE / name, made.context / name)
        yield made


@pytest.fixture(scope="module")
def wingo(tmp_path_factory: pytest.TempPathFactory) -> Wingo:
    return Wingo(tmp_path_factory.mktemp("started"))


def built(site: Site, which: str) -> Layout:
    """The image; its steps are remembered from the first time."""
    return site.build(FIVE[which].dockerfile, "--allow-network")


@pytest.mark.parametrize("which", FIVE)
def test_it_is_built_started_asked_and_stopped(site: Site, wingo: Wingo, which: str) -> None:
    if which in WINDOWS:
        try:
            find_wine(wingo.environment, ProcessRunner())
        except HostError as error:
            missing(f"Wine ({error})")
    layout = built(site, which)
    port = free_port()
    started = wingo("run", f"oci:{layout.folder}:t", "-d", "--name", f"five{which}", "-p", f"{port}:8080")
    try:
        assert started.returncode == 0, started.stderr
        assert fetch(f"http://127.0.0.1:{port}/").decode().startswith(FIVE[which].answer)
        stopped = wingo("stop", f"five{which}", "--json")
        assert json.loads(stopped.stdout) == [{"name": f"five{which}", "exitCode": 0, "reason": ""}]
        assert "ended in order" in wingo("logs", f"five{which}").stdout
    finally:
        wingo("stop", "--rm", f"five{which}")
    assert wingo.containers == []


@pytest.mark.parametrize("which", FIVE)
def test_its_plan_and_its_check_name_the_trap(site: Site, which: str) -> None:
    five = FIVE[which]
    site.write("Dockerfile", five.dockerfile)
    assert site.run("plan", "-f", "app/Dockerfile", "app") == 0
    assert five.plan in site.host.out.getvalue()
    assert "impossible" not in site.host.out.getvalue()
    assert site.run("check", "-f", "app/Dockerfile", "app", "--json") == 0
    found = {item["rule"] for place in json.loads(site.host.out.getvalue())["places"] for item in place["findings"]}
    assert found & {"WGO610", "WGO611", "WGO612"} == ({five.rule} if five.rule else set())


def checked(site: Site, layout: Layout) -> dict[str, str]:
    """The rules that an image breaks, with what is said."""
    site.run("check", f"oci:{layout.folder}:t", "--json")
    found = [item for place in json.loads(site.host.out.getvalue())["places"] for item in place["findings"]]
    return {item["rule"]: f"{item['severity']}: {item['message']}" for item in found}


def test_second_as_docker_builds_it_is_found_out(site: Site) -> None:
    """What others make of the second: a Linux program called main.exe."""
    good = checked(site, built(site, "2"))
    layout = site.build(FIVE["2"].dockerfile.replace("RUN go build", "RUN GOOS=linux go build"))
    assert layout.read(-1, "Files/main.exe")[:4] == b"\x7fELF"
    bad = checked(site, layout)
    more = {rule: text for rule, text in bad.items() if rule not in good}
    assert any(
        text.startswith("error: ") and "ELF file, and no program for Windows" in text for text in more.values()
    ), more


def test_fourth_as_docker_builds_it_is_found_out(site: Site, tmp_path: Path) -> None:
    """What others make of the fourth: a program that is linked with glibc, on musl."""
    need_tool("gcc")
    environment = site.environment | {"CGO_ENABLED": "1", "GOTOOLCHAIN": "local", "GOFLAGS": "-trimpath"}
    subprocess.run(["go", "build", "-o", site.context / "linked", "."], cwd=SOURCE, env=environment, check=True)
    try:
        layout = site.build('FROM alpine:latest\nCOPY linked /root/server\nWORKDIR /root/\nCMD ["./server"]\n')
    finally:
        (site.context / "linked").unlink()
    good = checked(site, built(site, "4"))
    more = {rule: text for rule, text in checked(site, layout).items() if rule not in good}
    assert any(text.startswith("error: ") and "ld-linux" in text for text in more.values()), more


def test_first_is_a_windows_image_as_docker_makes_one(site: Site, tmp_path: Path) -> None:
    layout = built(site, "1")
    said = program_of(layout, -1, "Files/app/myapp.exe", tmp_path)
    assert ": go1.21.13" in said
    assert "GOOS=windows" in said
    assert "-trimpath=true" in said
    config = layout.config
    assert (config["os"], config["os.version"]) == ("windows", "10.0.20348.2849")
    assert config["config"]["Cmd"] == ["myapp.exe"]
    assert config["config"]["WorkingDir"] == "C:\\app"
    assert not config["config"].get("ArgsEscaped")
    assert [line.get("empty_layer", False) for line in config["history"]] == [False, False, False, True]
    assert faults(layout) == []


def test_second_has_a_program_for_windows(site: Site, tmp_path: Path) -> None:
    layout = built(site, "2")
    assert layout.read(-1, "Files/main.exe")[:2] == b"MZ"
    assert "GOOS=windows" in program_of(layout, -1, "Files/main.exe", tmp_path)
    assert "Docker would compile a Linux program here" in site.said
    assert faults(layout) == []


def test_third_has_the_service_disabled(site: Site) -> None:
    layout = built(site, "3")
    place, key = f"oci:{layout.folder}:t", r"HKLM\SYSTEM\CurrentControlSet\Services\WSearch"
    assert site.run("hive", "get", place, key, "Start") == 0
    assert site.host.out.getvalue() == "4\n"
    assert site.run("hive", "get", "mcr.microsoft.com/windows/servercore:ltsc2022", key, "Start") == 0
    assert site.host.out.getvalue() == "2\n"
    assert layout.config["config"]["Shell"] == ["powershell", "-Command"]
    assert faults(layout) == []


def test_fourth_and_fifth_have_a_static_program_and_the_package(site: Site, tmp_path: Path) -> None:
    for which in ("4", "5"):
        layout = built(site, which)
        assert "CGO_ENABLED=0" in program_of(layout, -1, "root/server", tmp_path)
        assert ("compiled with CGO_ENABLED=0" in site.said) == (which == "4"), site.said
        assert sorted(layout.names(1)) == [
            *("etc", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt"),
            *("lib", "lib/apk", "lib/apk/db", "lib/apk/db/installed", "tmp"),
        ]
        with layout.layer(1) as tar:
            assert {(member.uid, member.gid, member.mtime) for member in tar.getmembers()} == {(0, 0, 0)}
        config = layout.config["config"]
        assert (config["WorkingDir"], config["ExposedPorts"], config["Cmd"]) == (
            "/root", {"8080/tcp": {}}, ["./server"],
        )  # fmt: skip


def test_a_package_that_is_not_there_ends_the_build(site: Site) -> None:
    site.build("FROM alpine:latest\nRUN apk --no-cache add nothing\n", "--allow-network", status=2)
    assert "unable to select packages: nothing (no such package)" in site.said
    site.build(FIVE["5"].dockerfile.replace("ca-certificates", "other"), status=2)
    assert "give --allow-network" in site.said
