"""`ADD` of Git repositories and of URLs with a checksum, from servers on loopback."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.needs import need_tool
from tests.system.test_dockerfile import Site, small_base
from wingo.testing.bases import windows_base
from wingo.testing.registry import RegistryServer

FROM = "FROM alpine\n"


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.add("hub/library/alpine:latest", small_base())
        server.add("mcr/windows/nanoserver:ltsc2022", windows_base("nanoserver", "ltsc2022"))
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer) -> Site:
    return Site(tmp_path, registry)


class Repositories:
    """Repositories, and a git daemon that serves them."""

    def __init__(self, root: Path) -> None:
        need_tool("git")
        self.root = root
        self.work = root / "work"
        self.work.mkdir(parents=True)
        self.git("init", "--quiet", "-b", "main", ".")
        self.write("a.txt", "one\n")
        self.write("sub/run.sh", "#!/bin/sh\n", mode=0o755)
        (self.work / "link").symlink_to("a.txt")
        self.first = self.commit("first")
        self.git("tag", "-a", "v1", "-m", "v1")
        self.write("a.txt", "two\n")
        self.second = self.commit("second")
        self.publish()
        with socket.socket() as made:
            made.bind(("127.0.0.1", 0))
            self.port = made.getsockname()[1]
        argv = [
            "git",
            "daemon",
            "--base-path=" + str(root),
            "--export-all",
            "--listen=127.0.0.1",
            f"--port={self.port}",
        ]
        self.daemon = subprocess.Popen([*argv, "--reuseaddr", str(root)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.socket() as made:
                if made.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.02)

    @property
    def url(self) -> str:
        return f"git://127.0.0.1:{self.port}/app.git"

    def git(self, *words: str) -> str:
        environment = os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        names = ("-c", "user.name=me", "-c", "user.email=me@example.com")
        done = subprocess.run(
            ["git", *names, *words], cwd=self.work, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str, *, mode: int = 0o644) -> None:
        path = self.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def commit(self, text: str) -> str:
        self.git("add", "-A")
        self.git("commit", "--quiet", "-m", text)
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        self.git("clone", "--quiet", "--mirror", ".", str(self.root / "app.git")) if not (
            self.root / "app.git"
        ).exists() else self.git("push", "--quiet", "--mirror", str(self.root / "app.git"))
        subprocess.run(["git", "update-server-info"], cwd=self.root / "app.git", check=True)

    def close(self) -> None:
        self.daemon.terminate()
        self.daemon.wait()


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[Repositories]:
    made = Repositories(tmp_path / "git")
    yield made
    made.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """Files over plain HTTP, git's dumb protocol too."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "git"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_a_repository_its_references_and_directories(site: Site, repositories: Repositories) -> None:
    url, flags = repositories.url, ("--allow-network",)
    layout = site.build(
        f"{FROM}ADD {url} /all\nADD {url}#v1 /tag/\nADD --chown=1000:1000 {url}#main:sub /sub\n", *flags
    )
    assert layout.read(1, "all/a.txt") == b"two\n"
    with layout.layer(1) as tar:
        assert tar.getmember("all/link").linkname == "a.txt"
        assert (tar.getmember("all/sub/run.sh").mode, tar.getmember("all/a.txt").mode) == (0o755, 0o644)
        assert not [name for name in tar.getnames() if ".git" in name]
    assert layout.read(2, "tag/a.txt") == b"one\n"
    with layout.layer(3) as tar:
        assert {(member.name, member.uid) for member in tar.getmembers()} == {("sub", 1000), ("sub/run.sh", 1000)}
    comments = [line.get("comment", "") for line in layout.config["history"]]
    assert comments[1:] == [
        f"commit {commit}" for commit in (repositories.second, repositories.first, repositories.second)
    ]
    assert f"#v1: commit {repositories.first}" in site.said
    # Nothing is fetched again, but a branch is asked for.
    again = site.build(f"{FROM}ADD {url} /all\nADD {url}#v1 /tag/\nADD --chown=1000:1000 {url}#main:sub /sub\n", *flags)
    assert "nothing had changed" in site.said
    assert again.manifest == layout.manifest
    repositories.write("a.txt", "three\n")
    third = repositories.commit("third")
    repositories.publish()
    layout = site.build(
        f"{FROM}ADD {url} /all\nADD {url}#{repositories.second} /b\nADD {url}#{third[:12]} /c\n", *flags
    )
    assert [layout.read(number, f"{name}/a.txt") for number, name in ((1, "all"), (2, "b"), (3, "c"))] == [
        b"three\n", b"two\n", b"three\n",
    ]  # fmt: skip


def test_git_directories_checksums_and_windows(site: Site, repositories: Repositories) -> None:
    url, flags = repositories.url, ("--allow-network",)
    layout = site.build(f"{FROM}ADD --keep-git-dir=true --checksum={repositories.second} {url} /all\n", *flags)
    assert "all/.git/HEAD" in layout.names(1)
    layout = site.build(f"FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nADD {url}#v1 C:/src/\nCMD cmd\n", *flags)
    assert layout.read(-1, "Files/src/sub/run.sh") == b"#!/bin/sh\n"
    site.build(f"{FROM}ADD --checksum={repositories.first} {url} /all\n", *flags, status=2)
    assert f"is at {repositories.second}, and --checksum says" in site.said


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("#nothing", "has no branch or tag nothing"),
        ("#main:nowhere", "has no directory nowhere"),
        ("#main:../..", "leads out of the repository"),
        ("#--upload-pack=x", "is no branch, tag or commit"),
        ("#ffffffffffffffffffffffffffffffffffffffff", "git cannot fetch"),
    ],
)
def test_what_is_not_there_is_said(site: Site, repositories: Repositories, source: str, words: str) -> None:
    site.build(f"{FROM}ADD {repositories.url}{source} /x\n", "--allow-network", status=2)
    assert words in site.said


def test_nothing_is_fetched_without_the_network(site: Site, repositories: Repositories) -> None:
    site.build(f"{FROM}ADD {repositories.url} /x\n", status=2)
    assert "Give --allow-network." in site.said
    site.build(f"{FROM}COPY {repositories.url} /x\n", status=2)
    assert site.run("plan", "-f", "app/Dockerfile", "app") in (0, 1)


def test_plain_http_has_no_shallow_fetch_and_works(site: Site, repositories: Repositories, web: str) -> None:
    layout = site.build(f"{FROM}ADD {web}/app.git#v1 /x\n", "--allow-network")
    assert layout.read(1, "x/a.txt") == b"one\n"


def test_downloads_with_a_checksum(site: Site, repositories: Repositories, web: str) -> None:
    (repositories.root / "file.txt").write_text("a file\n")
    digest = hashlib.sha256(b"a file\n").hexdigest()
    layout = site.build(f"{FROM}ADD --checksum=sha256:{digest} {web}/file.txt /x/\n", "--allow-network")
    assert layout.read(1, "x/file.txt") == b"a file\n"
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    site.build(f"{FROM}ADD --checksum=sha256:{wrong} {web}/file.txt /x/\n", "--allow-network", status=2)
    assert f"sha256:{digest}" in site.said
