"""`wingo build -f Dockerfile` from end to end: what only a whole build can show (the five: test_dockerfile_five.py).

Bases come from a registry in this process: Windows ones as Microsoft's, a Linux one made of Debian's static busybox.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.needs import missing, need_tool
from tests.verifier import verify_layout
from wingo.dockerfile.bases import LINUX_PATH
from wingo.image.model import Image
from wingo.testing.bases import microsoft_catalogue, windows_base
from wingo.testing.downloads import DownloadProxy, certificate_for
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of_tar
from wingo.testing.registry import RegistryServer
from wingo.testing.stand_ins import busybox_base, system_hive

MAIN = 'package main\n\nimport "net"\n\nfunc main() { println("hello"); _ = net.IPv4len }\n'
CA = '#!/bin/sh\n[ "$1 $2 $3" = "--no-cache add ca-certificates" ] || exit 2\nmkdir -p /etc/ssl/certs\necho certificates > /etc/ssl/certs/ca\n'


def small_base() -> Image:
    """A small Linux like Alpine: busybox, and an `apk` that knows one package."""
    program = Path("/bin/busybox")
    if not program.exists():
        missing("Debian's busybox-static")
    names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return busybox_base(program.read_bytes(), names, files=[file_entry("bin/apk", CA.encode(), mode=0o755)])


@pytest.fixture(scope="module")
def catalogue() -> dict[str, Any]:
    found: dict[str, Any] = {f"mcr/{name}": artifact for name, artifact in microsoft_catalogue().items()}
    found["mcr/windows/servercore:ltsc2022"] = windows_base(
        "servercore",
        "ltsc2022",
        hives={"SYSTEM": system_hive()},
        files=[r"Windows/System32/WindowsPowerShell/v1.0/powershell.exe"],
    )
    found["hub/library/alpine:latest"] = found["hub/library/busybox:latest"] = small_base()
    return found


@pytest.fixture
def registry(catalogue: Mapping[str, Any]) -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        for name, artifact in catalogue.items():
            server.add(name, artifact)
        yield server


class Site:
    """A directory with a Go program and a Dockerfile, a machine, a registry."""

    def __init__(self, folder: Path, registry: RegistryServer) -> None:
        need_tool("go")
        self.folder, self.registry = folder, registry
        self.context = folder / "app"
        self.context.mkdir()
        self.write("go.mod", "module example.com/app\n\ngo 1.21\n")
        self.write("main.go", MAIN)
        names = ("PATH", "HOME", "GOPATH", "GOMODCACHE", "GOCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS")
        self.environment = {name: os.environ[name] for name in names if name in os.environ}
        self.environment |= {"GOENV": "off"}
        self.cache = folder / "cache"
        self.host = self.new_host()
        self.outputs = 0

    def new_host(self) -> FakeHost:
        return FakeHost(str(self.folder), str(self.cache), self.environment)

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        path = self.context / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def run(self, *words: str) -> int:
        self.host = self.new_host()
        mirrors = [f"mcr.microsoft.com={self.registry.host}/mcr", f"docker.io={self.registry.host}/hub"]
        flags = [word for mirror in mirrors for word in ("--mirrors", mirror)]
        return self.host.wingo(*words, *flags)

    def build(self, dockerfile: str, *flags: str, status: int = 0) -> Layout:
        self.write("Dockerfile", dockerfile)
        self.outputs += 1
        out = self.folder / f"out{self.outputs}"
        code = self.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{out}:t", *flags)
        assert code == status, self.host.err.getvalue()
        return Layout(out)

    @property
    def said(self) -> str:
        return self.host.err.getvalue()


class Layout:
    """An OCI layout, read with the standard library."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def blob(self, digest: str) -> bytes:
        return (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()

    @property
    def manifest(self) -> dict[str, Any]:
        index = json.loads((self.folder / "index.json").read_bytes())
        found: dict[str, Any] = json.loads(self.blob(index["manifests"][0]["digest"]))
        return found

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.manifest["config"]["digest"]))
        return found

    def layer(self, number: int) -> tarfile.TarFile:
        data = gzip.decompress(self.blob(self.manifest["layers"][number]["digest"]))
        return tarfile.open(fileobj=io.BytesIO(data))

    def names(self, number: int) -> list[str]:
        with self.layer(number) as tar:
            return tar.getnames()

    def read(self, number: int, name: str) -> bytes:
        with self.layer(number) as tar:
            file = tar.extractfile(name)
            assert file is not None
            return file.read()


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer) -> Site:
    return Site(tmp_path, registry)


def program_of(layout: Layout, number: int, name: str, tmp_path: Path) -> str:
    """What Go itself says of a program."""
    path = tmp_path / "program"
    path.write_bytes(layout.read(number, name))
    return subprocess.run(["go", "version", "-m", path], capture_output=True, text=True, check=True).stdout


def faults(layout: Layout) -> list[object]:
    r"""What the independent reader finds wrong.

    An image that only has a CMD is as its Dockerfile says; and what a step makes below `C:\` gets what Windows would give it
    there, where users may add files.
    """
    meant = ("entrypoint-missing", "writable-by-users")
    return [finding for finding in verify_layout(layout.folder) if finding.code not in meant]


GO = os.environ.get("WINGO_TEST_GO_TAG", "1")


POWERSHELL = 'FROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL ["powershell"]\n'
FOURTH = (
    f"FROM golang:{GO} AS builder\nWORKDIR /app\nCOPY go.mod ./\nRUN go mod download\nCOPY . .\n"
    "RUN go build -o server main.go\n"
    "FROM alpine:latest\nRUN apk --no-cache add ca-certificates\nWORKDIR /root/\n"
    'COPY --from=builder /app/server .\nEXPOSE 8080\nCMD ["./server"]\n'
)


def test_nothing_is_run_again(site: Site) -> None:
    first = site.build(FOURTH)
    began = sorted(site.cache.rglob("*"))
    again = site.build(FOURTH)
    assert "nothing had changed" in site.said
    assert "done" not in site.said
    assert again.manifest == first.manifest
    assert sorted(site.cache.rglob("*")) == began
    site.write("main.go", MAIN.replace("hello", "changed"))
    changed = site.build(FOURTH)
    assert "apk" not in site.said.replace("apk --no-cache add ca-certificates\n", "")
    assert [layer["digest"] for layer in changed.manifest["layers"]][:2] == [
        layer["digest"] for layer in first.manifest["layers"]
    ][:2]
    assert changed.manifest["layers"][-1] != first.manifest["layers"][-1]
    site.build(FOURTH, "--no-cache")
    assert "built in" in site.said


def test_a_build_cache_travels(site: Site) -> None:
    first = site.build(
        FOURTH, "--cache-to", f"{site.registry.host}/team/cache:main", "--cache-to", f"oci:{site.folder}/kept"
    )
    for source in (f"{site.registry.host}/team/cache:main", f"oci:{site.folder}/kept"):
        site.cache = site.folder / f"cache-{len(source)}-{source[:3]}"
        again = site.build(FOURTH, "--cache-from", source, "--cache-from", f"oci:{site.folder}/nothing-there")
        assert "built from the cache in" in site.said, site.said
        assert again.manifest == first.manifest
    site.build(FOURTH, "--cache-from", f"oci:{first.folder}:t", status=2)
    assert "is no build cache" in site.said


def test_sandbox_steps(site: Site) -> None:
    site.write("secret", "s3cret")
    layout = site.build(
        "FROM alpine AS base\nRUN mkdir /d && echo one > /d/one && echo two > /d/two && chown 1000:1000 /d/two && ln /d/one /d/hard && ln -s one /d/soft\n"
        "FROM base\nARG WHO=me\nENV GREETING=hi\nUSER me\nWORKDIR /home/me\n"
        "RUN echo $GREETING $WHO $(id -u) > x && pwd >> x\nUSER root\n"
        "RUN rm /d/one && rm -r /etc/group && mkdir -m 700 /d/private\n"
        "RUN --mount=type=secret,id=key --mount=type=tmpfs,target=/t --mount=type=cache,target=/c "
        "--mount=type=bind,source=main.go,target=/main.go wc -c < /run/secrets/key > /n && cp /main.go /t/ && echo x >> /c/count && cat /c/count > /count\n"
        "RUN <<EOF\nset -e\necho heredoc > /h\nEOF\nRUN <<X\n#!/bin/sh\necho script > /s\nX\n"
        "RUN true\n",
        "--secret", "id=key,src=app/secret",
    )  # fmt: skip
    with layout.layer(1) as tar:
        owners = {member.name: (member.uid, member.gid) for member in tar.getmembers()}
        assert owners["d/two"] == (1000, 1000)
        assert tar.getmember("d/soft").linkname == "one"
        assert {tar.getmember("d/hard").islnk(), tar.getmember("d/one").islnk()} == {True, False}
    with layout.layer(2) as tar:
        assert {(member.name, member.uid) for member in tar.getmembers()} == {("home", 1000), ("home/me", 1000)}
    assert layout.read(3, "home/me/x") == b"hi me 1000\n/home/me\n"
    assert {"d/.wh.one", "etc/.wh.group", "d/private"} <= set(layout.names(4))
    assert layout.read(5, "n").strip() == b"6"
    assert layout.read(5, "count") == b"x\n"
    everything = b"".join(layout.blob(layer["digest"]) for layer in layout.manifest["layers"])
    assert b"s3cret" not in everything
    assert not any("run/secrets" in name or name.startswith(("t/", "c/")) for name in layout.names(5))
    assert layout.read(6, "h") == b"heredoc\n"
    assert layout.read(7, "s") == b"script\n"
    # `RUN true` made no layer, and its line says so.
    assert len(layout.manifest["layers"]) == 8
    assert layout.config["history"][-1]["empty_layer"]


def test_the_network_is_off(site: Site) -> None:
    site.build(
        "FROM alpine\nRUN wget -q -O /x http://127.0.0.1:9/ || ip link | grep -c UP > /links; ! grep -q eth /proc/net/dev\n"
    )
    layout = site.build("FROM alpine\nRUN wget -T 2 http://192.0.2.1/\n", status=2)
    assert "exit code 1" in site.said
    assert "--allow-network" in site.said
    assert not layout.folder.exists()


def test_a_step_that_fails(site: Site) -> None:
    layout = site.build("FROM alpine\nRUN echo before; echo it broke >&2; exit 7\n", status=2)
    assert "Dockerfile:2: the step failed with exit code 7" in site.said
    assert "it broke" in site.said
    assert "RUN echo before" in site.said
    assert not layout.folder.exists()


def test_a_compiler_error(site: Site) -> None:
    site.write("main.go", "package main\n\nfunc main() { undefined() }\n")
    site.build(f"FROM golang:{GO} AS b\nCOPY . .\nRUN go build -o /x .\nFROM scratch\nCOPY --from=b /x /x\n", status=2)
    assert "undefined: undefined" in site.said
    assert str(site.cache) not in site.said


def test_copy_semantics(site: Site) -> None:
    site.write("a.txt", "a")
    site.write("dir/b.txt", "b")
    site.write("dir/sub/c.sh", "c", mode=0o755)
    site.write("dir/skip.md", "no")
    site.write(".dockerignore", "secret*\n**/*.tmp\n")
    site.write("secret.txt", "no")
    site.write("dir/x.tmp", "no")
    (site.context / "dir/link").symlink_to("b.txt")
    layout = site.build(
        "FROM alpine\nWORKDIR /w\n"
        "COPY a.txt one\nCOPY a.txt two/\nCOPY dir three\nCOPY dir/*.txt a.txt four/\nCOPY --chown=me:staff --chmod=640 a.txt /five/\n"
        "COPY --parents dir/sub/c.sh /six/\nCOPY --exclude=*.md --exclude=sub dir/ /seven\nCOPY a.txt /bin\nCOPY a.txt /usr/bin/\n"
        "COPY nothing* /eight/\nCOPY <<EOF /nine/\nhello $HOME ${USER:-nobody}\nEOF\n"
    )  # fmt: skip
    named = [layout.names(number) for number in range(1, len(layout.manifest["layers"]))]
    assert named == [
        ["w"],
        ["w/one"],
        ["w/two", "w/two/a.txt"],
        ["w/three", "w/three/b.txt", "w/three/link", "w/three/skip.md", "w/three/sub", "w/three/sub/c.sh"],
        ["w/four", "w/four/a.txt", "w/four/b.txt"],
        ["five", "five/a.txt"],
        ["six", "six/dir", "six/dir/sub", "six/dir/sub/c.sh"],
        ["seven", "seven/b.txt", "seven/link"],
        ["bin/a.txt"],
        ["bin/a.txt"],
        ["nine", "nine/EOF"],
    ]
    with layout.layer(6) as tar:
        member = tar.getmember("five/a.txt")
        assert (member.uid, member.gid, member.mode) == (1000, 50, 0o640)
    assert layout.read(11, "nine/EOF") == b"hello  nobody\n"


def test_deep_directories_are_copied_in_time(site: Site) -> None:
    """Deeper than Python calls itself, and each directory looked up once."""
    deep = "/".join(["d"] * 900)
    for name, path in (("deep.tar", f"{deep}/{deep}/f"), ("endless.tar", f"{deep}/{deep}/{deep}/f")):
        with tarfile.open(site.context / name, "w", format=tarfile.PAX_FORMAT) as tar:
            tar.addfile(tarfile.TarInfo(path))
    folder = os.open(site.context, os.O_RDONLY)
    for _ in range(900):
        os.mkdir("d", dir_fd=folder)
        below = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    layout = site.build("FROM scratch\nCOPY d /y\n")
    subprocess.run(["rm", "-r", site.context / "d"], check=True)  # pytest cannot
    assert layout.names(0)[-1] == "/".join(["y", *["d"] * 899])
    site.build("FROM scratch\nADD deep.tar /x/\n", status=2)
    assert "nested in more than 1000 directories" in site.said
    site.build("FROM scratch\nADD endless.tar /x/\n", status=2)
    assert "has more than 4096 characters" in site.said


def test_add_leaves_devices_out_and_says_so(site: Site) -> None:
    with tarfile.open(site.context / "root.tar", "w") as tar:
        for name, kind in (
            ("dev/null", tarfile.CHRTYPE),
            ("dev/pipe", tarfile.FIFOTYPE),
            ("etc/empty", tarfile.REGTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type = kind
            tar.addfile(member)
    layout = site.build("FROM scratch\nADD root.tar /\n")
    assert layout.names(0) == ["etc", "etc/empty"]
    assert "Dockerfile:2: devices and pipes of an archive are left out: dev/null and 1 more" in site.said


def test_add_unpacks(site: Site) -> None:
    for name, mode in (("a.tar", "w"), ("b.tar.gz", "w:gz"), ("c.tar.xz", "w:xz"), ("d.tbz2", "w:bz2")):
        with tarfile.open(site.context / name, mode) as tar:  # type: ignore[call-overload]
            member = tarfile.TarInfo(f"in/{name}.txt")
            member.size, member.uid = 2, 7
            tar.addfile(member, io.BytesIO(b"hi"))
    site.write("plain.txt", "x")
    layout = site.build("FROM scratch\nADD a.tar b.tar.gz c.tar.xz d.tbz2 plain.txt /x/\nCOPY a.tar /y/\n")
    assert layout.names(0) == [
        "x", "x/in", "x/in/a.tar.txt", "x/in/b.tar.gz.txt", "x/in/c.tar.xz.txt", "x/in/d.tbz2.txt", "x/plain.txt",
    ]  # fmt: skip
    assert layout.names(1) == ["y", "y/a.tar"]
    with layout.layer(0) as tar:
        assert tar.getmember("x/in/a.tar.txt").uid == 7


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [
        ("FROM alpine\nCOPY missing.txt /x\n", "Dockerfile:2: there is no missing.txt in the context"),
        ("FROM alpine\nCOPY ../../etc/passwd /x\n", "Dockerfile:2: there is no etc/passwd in the context"),
        ("FROM alpine\nCOPY escape /x\n", "Dockerfile:2: there is no escape in the context"),
        ("FROM alpine\nCOPY main.g /x\n", "Did you mean main.go?"),
        ("FROM alpine\nCOPY secret /x\n", "is left out of the context"),
        ("FROM alpine\nCOPY --from=alpine /nothing /x\n", "there is no nothing in docker.io/library/alpine:latest"),
        ("FROM alpine\nUSER nobody-here\nRUN true\n", "no user 'nobody-here'"),
        ("FROM alpine\nCOPY --chown=who main.go /x\n", "no user 'who'"),
        ("FROM alpine\nCOPY --chmod=rwx main.go /x\n", "no octal mode"),
        ("FROM missing-image\n", "missing-image"),
        ("FROM alpine\nADD bomb.tar.gz /x\n", "bomb"),
        ("FROM alpine\nADD evil.tar /x\n", "leads out of"),
        ("FROM alpine\nCOPY pipe /x\n", "pipe is a socket, a pipe or a device"),
        ("FROM alpine\nCOPY out/passwd /x\n", "hint: out is a link that leads nowhere, or out of there."),
        ("FROM alpine\nCOPY --from=missing-image /x /x\n", "Dockerfile:2: reading the manifest of"),
        ('FROM alpine\nRUN ["/bin/none", "x"]\n', "exit code 127: /bin/none x\n    the image has no program"),
        (f"{POWERSHELL}COPY evil.zip C:/\nRUN Expand-Archive C:/evil.zip C:/out\n", "Dockerfile:4: "),
        ("FROM alpine\nADD https://registry.example/x /x\n", "Give --allow-network."),
        ("FROM alpine\nRUN --mount=type=secret,id=a,required=true cat /run/secrets/a\n", "the step needs the secret a"),
        ("FROM alpine\nCOPY main.go /etc\nCOPY main.go /etc/passwd/x\n", "/etc/passwd"),
        ("FROM mcr.microsoft.com/windows/servercore:ltsc2022\nRUN msiexec /i x.msi\n", "this step is impossible"),
        ("FROM --platform=linux/arm64 mcr.microsoft.com/windows/nanoserver:ltsc2022\n", "has no image for linux/arm64"),
    ],
)  # fmt: skip
def test_bad_builds(site: Site, dockerfile: str, message: str) -> None:
    site.write(".dockerignore", "secret\n")
    site.write("secret", "x")
    (site.context / "escape").symlink_to("../../../../etc/passwd")
    (site.context / "out").symlink_to("/etc")
    os.mkfifo(site.context / "pipe")
    with zipfile.ZipFile(site.context / "evil.zip", "w") as archive:
        archive.writestr("../../evil.txt", "x")
    with tarfile.open(site.context / "bomb.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("zeros")
        member.size = 3 << 30 if "bomb" in dockerfile else 1
        if "bomb" in dockerfile:
            tar.fileobj.write(member.tobuf())  # type: ignore[union-attr]
            for _ in range(1100):
                tar.fileobj.write(bytes(1 << 20))  # type: ignore[union-attr]
            tar.offset = 0
    with tarfile.open(site.context / "evil.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("../../evil"))
    layout = site.build(dockerfile, status=4 if "missing-image" in dockerfile else 2)
    assert message in site.said
    assert "Dockerfile:" in site.said
    assert not layout.folder.exists()
    assert "Traceback" not in site.said


def test_files_of_a_windows_base_can_be_copied(site: Site) -> None:
    layout = site.build(
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS core\n"
        "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
        "COPY --from=core /windows/system32/WindowsPowerShell/v1.0/POWERSHELL.exe /Windows/System32/\n"
        "COPY --from=mcr.microsoft.com/windows/servercore:ltsc2022 /Windows/System32/WindowsPowerShell/v1.0/powershell.exe C:/x.exe\n"
    )  # fmt: skip
    assert any(name.lower() == "files/windows/system32/powershell.exe" for name in layout.names(1))
    assert "Files/x.exe" in layout.names(2)
    site.build(
        "FROM mcr.microsoft.com/windows/servercore:ltsc2022 AS core\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
        "COPY --from=core /Windows/System32/nothing.dll C:/\n", status=2,
    )  # fmt: skip
    assert "there is no Windows/System32/nothing.dll in stage core" in site.said


class _Answers(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = io.BytesIO()
        with zipfile.ZipFile(body, "w") as archive:
            archive.writestr(zipfile.ZipInfo("in/tool.exe"), b"tool")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body.getvalue())))
        self.end_headers()
        self.wfile.write(body.getvalue())

    def log_message(self, *_: object) -> None:
        pass


def test_downloads_are_recorded_and_not_fetched_again(site: Site) -> None:
    _Answers.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        dockerfile = (
            "FROM mcr.microsoft.com/windows/servercore:ltsc2022\n"
            "SHELL [\"powershell\", \"-Command\", \"$ErrorActionPreference = 'Stop';\"]\n"
            f"RUN Invoke-WebRequest -UseBasicParsing -Uri {url}/a.zip -OutFile a.zip; Expand-Archive a.zip -DestinationPath C:/tools; Remove-Item a.zip\n"
        )  # fmt: skip
        first = site.build(dockerfile, "--allow-network")
        assert first.read(-1, "Files/tools/in/tool.exe") == b"tool"
        assert not any(name.endswith("a.zip") for name in first.names(-1))
        assert f"downloaded {url}/a.zip: sha256:" in site.said
        again = site.build(dockerfile)
        assert again.manifest == first.manifest
        assert _Answers.asked == ["/a.zip"]
        added = site.build(f"FROM scratch\nADD {url}/b/c.zip?x=1 /d/\nADD --unpack {url}/c.zip /e\n", "--allow-network")
        assert added.names(0) == ["d", "d/c.zip"]
        wrong = "sha256:" + "0" * 64
        site.build(f"FROM scratch\nADD --checksum={wrong} {url}/b.zip /\n", "--allow-network", status=2)
        assert "and --checksum says" in site.said
        server.shutdown()


def test_downloads_go_through_a_proxy_with_its_own_authority(site: Site) -> None:
    """As in a company's network: HTTPS_PROXY, NO_PROXY and --ca-file hold for downloads too."""
    need_tool("openssl")
    secure, plain, missed = (
        "https://files.example/a.txt",
        "http://files.example/b.txt",
        "https://files.example/none.txt",
    )
    authority, tls = certificate_for([secure], site.folder)
    text = "FROM scratch\nADD {} /\n"
    with DownloadProxy({secure: b"secure", plain: b"plain"}, tls) as proxy:
        site.environment |= {"HTTPS_PROXY": proxy.url, "http_proxy": proxy.url}
        layout = site.build(text.format(f"{secure} {plain}"), "--allow-network", "--ca-file", str(authority))
        assert (layout.read(0, "a.txt"), layout.read(0, "b.txt")) == (b"secure", b"plain")
        assert proxy.asked == [secure, plain]
        site.build(text.format(missed), "--allow-network", "--ca-file", str(authority), status=4)
        assert f"Dockerfile:2: downloading {missed}: files.example says 404" in site.said
        site.build(text.format(missed), "--allow-network", status=4)
        assert "certificate" in site.said
        site.environment["NO_PROXY"] = "files.example"
        site.build(text.format(missed), "--allow-network", "--ca-file", str(authority), status=4)
        assert "the host files.example is not known" in site.said
    site.build(text.format("http://user:word@files.example/x"), "--allow-network", status=2)
    assert "it carries a user name" in site.said
    assert "word" not in site.said


def test_several_platforms(site: Site) -> None:
    layout = site.build(
        f"FROM --platform=$BUILDPLATFORM golang:{GO} AS b\nARG TARGETOS TARGETARCH\nCOPY . .\n"
        "RUN GOOS=$TARGETOS GOARCH=$TARGETARCH go build -o /out/ .\n"
        'FROM scratch AS linux\nCOPY --from=b /out/app /app\nENTRYPOINT ["/app"]\n'
        'FROM mcr.microsoft.com/windows/nanoserver:$TARGETOSVERSION AS windows\nCOPY --from=b /out/app.exe /app.exe\nENTRYPOINT ["C:\\\\app.exe"]\n'
        "FROM $TARGETOS\n".replace("nanoserver:$TARGETOSVERSION", "nanoserver:ltsc2022"),
        "--platform", "linux/amd64,linux/arm64,ltsc2022",
    )  # fmt: skip
    index = json.loads((layout.folder / "index.json").read_bytes())
    listed = json.loads(layout.blob(index["manifests"][0]["digest"]))["manifests"]
    assert [(item["platform"]["os"], item["platform"]["architecture"]) for item in listed] == [
        ("windows", "amd64"), ("linux", "amd64"), ("linux", "arm64"),
    ]  # fmt: skip


def test_config_of_linux(site: Site) -> None:
    config = site.build(
        'FROM alpine\nENV A=1 A=2 B="x y"\nLABEL l=v\nHEALTHCHECK --interval=5s CMD true\nONBUILD RUN x\nSTOPSIGNAL SIGINT\n'
        'VOLUME /v\nENTRYPOINT top -b\nMAINTAINER someone\nSHELL ["/bin/ash", "-c"]\nCMD ls\n',
        "--label", "more=1",
    ).config  # fmt: skip
    found = config["config"]
    assert found["Env"] == [f"PATH={LINUX_PATH}", "A=2", "B=x y"]
    assert found["Labels"] == {"l": "v", "more": "1"}
    assert found["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000}
    assert found["OnBuild"] == ["RUN x"]
    assert (found["StopSignal"], found["Volumes"]) == ("SIGINT", {"/v": {}})
    assert found["Entrypoint"] == ["/bin/sh", "-c", "top -b"]
    assert found["Cmd"] == ["/bin/ash", "-c", "ls"]
    assert config["author"] == "someone"
    assert len(config["history"]) == 1 + 9


def test_the_report_tells_own_layers_from_the_bases(site: Site) -> None:
    site.write("Dockerfile", "FROM mcr.microsoft.com/windows/servercore:ltsc2022\nCOPY main.go C:/x/\n")
    out = site.folder / "out"
    assert site.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{out}:t", "--json") == 0, site.said
    layers = Layout(out).manifest["layers"]
    [program] = json.loads(site.host.out.getvalue())["programs"]
    [image] = program["platforms"]
    assert image["base"] == "mcr.microsoft.com/windows/servercore:ltsc2022"
    assert image["baseDigest"].startswith("sha256:")
    assert image["layers"] == [layers[-1]["digest"]]
    assert program["layerBytes"] == layers[-1]["size"]


@pytest.mark.parametrize(
    "entrypoint",
    [
        "ENTRYPOINT app.exe --serve",
        'ENTRYPOINT ["app.exe"]',
        'SHELL ["powershell"]\nENTRYPOINT app.exe',
    ],
)
def test_the_shell_form_of_entrypoint_is_a_command_line(site: Site, entrypoint: str) -> None:
    layout = site.build(f"FROM mcr.microsoft.com/windows/servercore:ltsc2022\nCOPY main.go C:/app.exe\n{entrypoint}\n")
    site.run("check", f"oci:{layout.folder}:t", "--json")
    rules = [item["rule"] for place in json.loads(site.host.out.getvalue())["places"] for item in place["findings"]]
    assert "WGO168" not in rules
    assert bool(layout.config["config"].get("ArgsEscaped")) == ("[" not in entrypoint.splitlines()[-1])


@pytest.mark.parametrize(
    ("entrypoint", "severity"), [("C:/app/main", "note"), ("C:/main", "error"), ("C:/app/main.exe", "")]
)
def test_windows_finds_the_exe_that_an_entrypoint_does_not_name(site: Site, entrypoint: str, severity: str) -> None:
    word = json.dumps([entrypoint.replace("/", "\\")])
    layout = site.build(
        f"FROM golang:{GO} AS b\nCOPY . .\nRUN go build -o main.exe .\nFROM mcr.microsoft.com/windows/servercore:ltsc2022\n"
        f"COPY --from=b /go/main.exe C:/app/\nENTRYPOINT {word}\n"
    )
    site.run("check", f"oci:{layout.folder}:t", "--json")
    found = [item for place in json.loads(site.host.out.getvalue())["places"] for item in place["findings"]]
    assert [item["severity"] for item in found if item["rule"] == "WGO203"] == ([severity] if severity else [])


def test_push_and_plan(site: Site) -> None:
    site.write("Dockerfile", "FROM alpine\nCOPY main.go /x\n")
    code = site.run(
        "build", "-f", "app/Dockerfile", "app", "--push", "-t", f"{site.registry.host}/team/app:v1", "--json"
    )
    assert code == 0, site.said
    report = json.loads(site.host.out.getvalue())
    assert report["programs"][0]["references"][0].startswith(f"{site.registry.host}/team/app:v1@sha256:")
    assert site.run("plan", "app", "--json") == 0
    planned = json.loads(site.host.out.getvalue())
    assert planned[0]["stages"][0]["steps"][0]["kind"] == "files"
    assert not planned[0]["stages"][0].get("assumed", False)
    assert site.run("plan", "nowhere") == 3
    assert site.run("build", "app", "--no-cache") == 2
    assert "Name it: -f Dockerfile." in site.said
    assert site.run("build", "-f", "app/Dockerfile", "app", "--user", "x") == 2


@pytest.mark.peers
def test_fifth_cross_compiler_image(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A real distribution, made by debootstrap; its packages come through apt, from inside the sandbox.

    It took 163 s, 69 of them of processors, on two that were busy (November 2026).
    """
    need_tool("debootstrap")
    root = tmp_path_factory.mktemp("debian")
    subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root], check=True, stdout=subprocess.DEVNULL)
    for name in sorted(Path("/etc/apt/apt.conf.d").glob("99*")):
        shutil.copy(name, root / "etc/apt/apt.conf.d")
    packed = subprocess.run(
        ["tar", "-C", root, "--numeric-owner", "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", "-c", "."],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    config: dict[str, Any] = {"os": "linux", "architecture": "amd64", "config": {"Env": [path]}}
    site.registry.add(f"{site.registry.host}/hub/library/ubuntu:22.04", image_of([layer_of_tar(packed)], config))
    layout = site.build(
        "FROM ubuntu:22.04\nRUN apt-get update && apt-get install -y gcc-arm-linux-gnueabihf libc6-dev-armhf-cross\n"
        "ENV CC=arm-linux-gnueabihf-gcc\nRUN echo 'int main(){return 0;}' > /x.c && $CC -o /x /x.c\n",
        "--allow-network",
    )  # fmt: skip
    assert layout.read(2, "x")[:4] == b"\x7fELF"
    assert layout.read(2, "x")[18:20] == (40).to_bytes(2, "little")  # EM_ARM
    assert "CC=arm-linux-gnueabihf-gcc" in layout.config["config"]["Env"]
    script = "echo 'int main(){return 7;}' > /tmp/y.c && $CC -static -o /tmp/y /tmp/y.c && $CC -dumpmachine && od -An -tx1 -j18 -N1 /tmp/y"
    done = subprocess.run(
        [Path(sys.executable).parent / "wingo", "run", f"oci:{layout.folder}:t", "--", "sh", "-ec", script],
        env={**site.environment, "WINGO_CACHE_DIR": str(site.cache), "WINGO_STATE_DIR": str(site.folder / "state")},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout.split()) == (0, ["arm-linux-gnueabihf", "28"]), done.stderr


def test_file_capabilities_travel(site: Site) -> None:
    setcap = shutil.which("setcap", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if setcap is None:
        missing("setcap (libcap2-bin)")
    linked = subprocess.run(["ldd", setcap], capture_output=True, text=True, check=False).stdout
    for number, library in enumerate(word for word in linked.split() if word.startswith("/")):
        target = site.context / f"lib{number}" / library.lstrip("/")
        target.parent.mkdir(parents=True)
        shutil.copy(library, target)
    shutil.copy(setcap, site.context / "setcap")
    layout = site.build(
        "FROM alpine\nCOPY lib* /\nCOPY setcap /setcap\nRUN cp /bin/busybox /t && /setcap cap_net_bind_service=ep /t\n"
    )
    with layout.layer(-1) as tar:
        value = tar.getmember("t").pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape")
    assert value[:4] == b"\x01\x00\x00\x02"
