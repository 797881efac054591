"""A second `wingo build -f` in which nothing changed is not a build; whatever changed makes it one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from wingo.pipeline import dockerfile
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of
from wingo.testing.registry import RegistryServer

_TICK = 0.03
"""Seconds in which the file system's clock goes on: what is as young as a build is not trusted."""
_CONFIG = {"os": "linux", "architecture": "amd64", "config": {"Env": ["A=1"]}}


class Site:
    """A context, a registry with a base, and a count of builds that had something to do."""

    def __init__(self, folder: Path, registry: RegistryServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.registry = folder, registry
        self.context = folder / "app"
        self.context.mkdir()
        self.flags: list[str] = []
        self.out = folder / "out"
        self.environment = {"TOKEN": "secret"}
        self.built, self.said = 0, ""
        run = dockerfile.Building.run

        def counted(building: dockerfile.Building) -> object:
            self.built += 1
            return run(building)

        monkeypatch.setattr(dockerfile.Building, "run", counted)
        self.base("first")
        self.write("Dockerfile", f"FROM {registry.host}/team/base:1\nCOPY data /data\nARG V=0\nENV V=$V\n")
        self.write("data/one", "1")
        self.write(".dockerignore", "*.log\n")

    def base(self, text: str) -> None:
        self.registry.add(
            f"{self.registry.host}/team/base:1", image_of([layer_of([file_entry("base", text.encode())])], _CONFIG)
        )

    def write(self, name: str, text: str) -> Path:
        path = self.context / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    def build(self, *flags: str) -> str:
        """The manifest's digest."""
        time.sleep(_TICK)
        host = FakeHost(str(self.folder), str(self.folder / "cache"), self.environment)
        argv = ["build", "-f", "app/Dockerfile", "app", "-o", f"oci:{self.out}:t", *self.flags, *flags]
        assert host.wingo(*argv) == 0, host.err.getvalue()
        self.said = host.err.getvalue()
        index = json.loads((self.out / "index.json").read_bytes())
        digest: str = index["manifests"][-1]["digest"]
        assert host.out.getvalue().strip() == digest
        return digest

    def changes(self, *flags: str) -> bool:
        """Whether another build had something to do."""
        before = self.built
        self.build(*flags)
        return self.built > before


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with RegistryServer() as registry:
        yield Site(tmp_path, registry, monkeypatch)


def test_nothing_changed(site: Site) -> None:
    first = site.build()
    site.registry.forget()
    assert site.build() == first
    assert site.built == 1
    assert [request.method for request in site.registry.asked()] == ["HEAD"], "only the base's tag is asked for"
    shutil.rmtree(site.out)
    assert site.build() == first
    assert site.built == 1
    assert (site.out / "blobs" / "sha256" / first[7:]).exists(), "the output is written where it is not"


def test_what_is_said(site: Site) -> None:
    """No program is run for this Dockerfile, first or last: what is told is whether the image is another."""
    site.build()
    assert "built in" in site.said
    site.build()
    assert "nothing had changed in" in site.said
    site.build("--explain")
    assert "nothing had changed in" in site.said, "every step was done, and led to the same"
    site.write("data/one", "2")
    site.build()
    assert "built in" in site.said
    site.build("--build-arg", "V=1")
    assert "built in" in site.said, "only the config is another"


def test_a_change_of_the_same_size_and_time(site: Site) -> None:
    first = site.build()
    path = site.context / "data" / "one"
    before = path.stat()
    path.write_text("2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert site.build() != first


def test_a_change_while_it_is_built(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """As git's "racily clean" files: what is as young as the build may have been read before it changed."""
    run = dockerfile.Building.run

    def and_then_it_changes(building: dockerfile.Building) -> object:
        report = run(building)
        path = site.context / "data" / "one"
        before = path.stat()
        path.write_text("2")
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        return report

    with monkeypatch.context() as patch:
        patch.setattr(dockerfile.Building, "run", and_then_it_changes)
        first = site.build()
    second = site.build()
    assert second != first
    assert site.build() == second
    assert site.built == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data/two", "new"),
        ("data/.hidden", "new"),
        ("Dockerfile", "FROM scratch\nCOPY data /data\n"),
        ("Dockerfile.dockerignore", "*.txt\n"),
        (".dockerignore", "one\n!data/one\n"),
        (".dockerignore", "data/*.txt\n"),
    ],
)
def test_a_file_changed(site: Site, name: str, text: str) -> None:
    site.build()
    site.write(name, text)
    assert site.changes()
    assert not site.changes()


def test_what_is_not_read_may_change(site: Site) -> None:
    site.write("README", "hello")
    site.build()
    site.write("README", "bye")
    site.write("other", "new")
    assert not site.changes()


def test_other_changes_of_files(site: Site) -> None:
    site.write("data/two", "2")
    (site.context / "data" / "link").symlink_to("one")
    (site.context / "data" / "folder").symlink_to(".")
    (site.context / "data" / "nowhere").symlink_to("gone")
    first = site.build()
    assert not site.changes()
    (site.context / "data" / "two").unlink()
    assert site.changes()
    site.write("data/two", "2")
    assert site.build() == first
    (site.context / "data" / "two").chmod(0o755)
    assert site.changes()
    (site.context / "data").chmod(0o700)
    assert site.changes(), "a directory's permissions are copied"
    for name in ("link", "folder", "nowhere"):
        (site.context / "data" / name).unlink()
        (site.context / "data" / name).symlink_to("two")
        assert site.changes()
    assert not site.changes()


def test_touching_changes_nothing(site: Site) -> None:
    site.build()
    os.utime(site.context / "data" / "one")
    assert not site.changes()


def test_flags(site: Site) -> None:
    first = site.build()
    assert site.changes("--build-arg", "V=1")
    assert not site.changes("--build-arg", "V=1")
    assert site.changes("--label", "a=b")
    assert site.changes("--no-cache")
    assert not site.changes()
    site.environment["SOURCE_DATE_EPOCH"] = "1700000000"
    assert site.build() != first


def test_the_value_of_a_build_argument_comes_from_the_environment(site: Site) -> None:
    site.flags = ["--build-arg", "V"]
    site.environment["V"] = "1"
    site.build()
    assert not site.changes()
    site.environment["V"] = "2"
    assert site.changes()


def test_another_base(site: Site) -> None:
    first = site.build()
    site.base("second")
    assert site.build() != first
    assert not site.changes()


def test_a_secrets_value_does_not_count(site: Site) -> None:
    site.flags = ["--secret", "id=token,env=TOKEN"]
    site.build()
    site.environment["TOKEN"] = "another"
    assert not site.changes(), "as BuildKit"
    site.flags = ["--secret", "id=other,env=TOKEN"]
    assert site.changes()


def test_where_an_agent_listens_does_not_count(site: Site) -> None:
    with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
        for number, listener in enumerate((one, other)):
            listener.bind(str(site.folder / f"agent{number}"))
        site.flags = ["--ssh", f"default={site.folder / 'agent0'}"]
        site.build()
        site.flags = ["--ssh", f"default={site.folder / 'agent1'}"]
        assert not site.changes()
        site.flags = []
        assert site.changes()


def test_a_part_of_the_result_is_gone(site: Site) -> None:
    first = site.build()
    blobs = site.folder / "cache" / "blobs" / "sha256"
    manifest = json.loads((blobs / first[7:]).read_bytes())
    for digest in (first, manifest["config"]["digest"], manifest["layers"][-1]["digest"]):
        (blobs / digest[7:]).unlink()
        shutil.rmtree(site.out)
        assert site.build() == first
        assert (site.out / "blobs" / "sha256" / digest[7:]).exists()


def test_a_damaged_part_of_the_result(site: Site) -> None:
    first = site.build()
    blobs = site.folder / "cache" / "blobs" / "sha256"
    manifest = json.loads((blobs / first[7:]).read_bytes())
    for digest in (first, manifest["layers"][-1]["digest"]):
        path = blobs / digest[7:]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
        shutil.rmtree(site.out)
        assert site.build() == first
        assert path.read_bytes() != bytes(data), "what is damaged is thrown away"


def test_a_named_context(site: Site) -> None:
    (site.folder / "more").mkdir()
    (site.folder / "more" / "file").write_text("1")
    site.write("Dockerfile", "FROM scratch\nCOPY --from=more file /\n")
    site.flags = ["--build-context", f"more={site.folder / 'more'}"]
    first = site.build()
    assert not site.changes()
    (site.folder / "more" / "file").write_text("2")
    assert site.build() != first


def test_memos_do_not_pile_up(site: Site) -> None:
    for number in range(3):
        site.write("Dockerfile", f"FROM scratch\nCOPY data /data\nLABEL number={number}\n")
        site.build("--build-arg", f"V={number}")
    records = os.listdir(site.folder / "cache" / "records" / "build")
    assert len(records) == 2, "the memo, and when the last build began"
