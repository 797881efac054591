"""The cache of `wingo build -f` under builds at once, builds that are killed, and caches that lie."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import missing, need_tool
from tests.system.test_dockerfile import MAIN, Layout, small_base
from wingo.stores.cache import Cache
from wingo.testing.registry import RegistryServer

_WINGO = [sys.executable, "-c", "from wingo.cli.main import entry; entry()"]
_COUNT = "--mount=type=cache,id=count,target=/count"


class Site:
    """A context, a registry with a small Linux, one cache, and builds in processes of their own."""

    def __init__(self, folder: Path, registry: RegistryServer) -> None:
        self.folder, self.registry = folder, registry
        self.context = folder / "app"
        self.context.mkdir()
        self.cache = folder / "cache"
        self.base = f"{registry.host}/library/alpine:latest"
        registry.add(self.base, small_base())

    def write(self, name: str, text: str) -> None:
        (self.context / name).write_text(text.replace("BASE", self.base))

    def begin(self, dockerfile: str, out: str, *flags: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "WINGO_CACHE_DIR": str(self.cache), "GOENV": "off"}
        argv = [*_WINGO, "build", "-f", dockerfile, ".", "-o", f"oci:{self.folder / out}:t", *flags]
        return subprocess.Popen(
            argv,
            cwd=self.context,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def end(self, process: subprocess.Popen[str]) -> str:
        """The digest."""
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        return out.strip()

    def build(self, dockerfile: str, out: str, *flags: str) -> str:
        return self.end(self.begin(dockerfile, out, *flags))

    def mounts(self) -> list[Path]:
        """The directories of cache mounts."""
        folder = self.cache / "dockerfile" / "mounts"
        return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []

    def runs(self) -> list[str]:
        """What steps wrote into the cache mount `count`."""
        return [
            line for path in self.mounts() if (path / "runs").exists() for line in (path / "runs").read_text().split()
        ]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if not Path("/bin/busybox").exists():
        missing("Debian's busybox-static")
    with RegistryServer() as registry:
        yield Site(tmp_path, registry)


def test_the_same_built_at_once(site: Site) -> None:
    need_tool("go")
    site.write("go.mod", "module example.com/app\n\ngo 1.21\n")
    site.write("main.go", MAIN)
    site.write(
        "Dockerfile",
        "FROM golang:1 AS build\nWORKDIR /app\nCOPY go.mod main.go ./\nRUN go build -o /server .\n"
        f"FROM BASE\nRUN {_COUNT} echo once >> /count/runs && sleep 1 && echo made > /made\nCOPY --from=build /server /\n",
    )
    builds = [site.begin("Dockerfile", f"out{number}") for number in range(4)]
    digests = {site.end(build) for build in builds}
    assert len(digests) == 1
    assert site.runs() == ["once"], "who builds the same waits, and takes what was made"
    for number in range(4):
        layout = Layout(site.folder / f"out{number}")
        assert layout.read(1, "made") == b"made\n"
        assert layout.read(2, "server")[:4] == b"\x7fELF"


def test_overlapping_ones_at_once(site: Site) -> None:
    for name in "abc":
        site.write(
            f"{name}.Dockerfile",
            f"FROM BASE\nRUN {_COUNT} echo common >> /count/runs && sleep 1 && echo common > /common\n"
            f"RUN {_COUNT} echo {name} >> /count/runs && echo {name} > /own\n",
        )
    builds = {name: site.begin(f"{name}.Dockerfile", name) for name in "abc"}
    digests = {site.end(build) for build in builds.values()}
    assert len(digests) == 3
    assert sorted(site.runs()) == ["a", "b", "c", "common"]
    for name in "abc":
        layout = Layout(site.folder / name)
        assert (layout.read(1, "common"), layout.read(2, "own")) == (b"common\n", f"{name}\n".encode())


def test_sharing_of_cache_mounts(site: Site) -> None:
    """Shared: both are in it at once, or neither would end. Locked: never both."""
    both = "for i in $(seq 600); do [ -e /s/OTHER ] && break; sleep 0.1; done; [ -e /s/OTHER ]"
    alone = "[ ! -e /l/busy ] && touch /l/busy && sleep 0.5 && rm /l/busy"
    for own, other in (("a", "b"), ("b", "a")):
        site.write(
            f"{own}.Dockerfile",
            f"FROM BASE\nRUN --mount=type=cache,target=/s touch /s/{own} && {both.replace('OTHER', other)}\n"
            f"RUN --mount=type=cache,target=/l,sharing=locked {alone}; echo {own}\n"
            f"RUN --mount=type=cache,target=/l,sharing=locked {alone}\n",
        )
    builds = [site.begin(f"{name}.Dockerfile", name) for name in "ab"]
    for build in builds:
        site.end(build)
    assert len(site.mounts()) == 2


def test_only_what_reads_a_changed_file_is_run_again(site: Site) -> None:
    stages = "".join(f"FROM BASE AS {name}\nCOPY {name} /\nRUN {_COUNT} echo {name} >> /count/runs\n" for name in "ab")
    site.write("Dockerfile", f"{stages}FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n")
    for name in "ab":
        site.write(name, "before")
    first = site.build("Dockerfile", "out")
    assert site.runs() == ["a", "b"]
    site.write("b", "after")
    second = site.build("Dockerfile", "out")
    assert second != first
    assert site.runs() == ["a", "b", "b"]
    site.write("b", "before")
    assert site.build("Dockerfile", "out") == first
    assert site.runs() == ["a", "b", "b"], "what was built before is not built again"


def _killed_in_the_second_step(site: Site) -> None:
    site.write("secret", "s3cret")
    site.write(
        "Dockerfile",
        f"FROM BASE\nRUN {_COUNT} echo one >> /count/runs && echo one > /one\n"
        f"RUN --mount=type=secret,id=key {_COUNT} echo two >> /count/runs && [ -e /count/go ] || sleep 600; echo two > /two\n",
    )
    build = site.begin("Dockerfile", "out", "--secret", "id=key,src=secret")
    until = time.monotonic() + 120
    while "two" not in site.runs():
        assert build.poll() is None, build.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)
    os.killpg(build.pid, signal.SIGKILL)
    build.communicate()


def test_a_build_that_was_killed(site: Site) -> None:
    _killed_in_the_second_step(site)
    assert not (site.folder / "out" / "index.json").exists()
    for path in site.mounts():
        (path / "go").touch()
    digest = site.build("Dockerfile", "out", "--secret", "id=key,src=secret")
    assert site.runs() == ["one", "two", "two"], "the step that ended is not run again, the other one is"
    assert Layout(site.folder / "out").read(2, "two") == b"two\n"
    assert site.build("Dockerfile", "again", "--no-cache", "--secret", "id=key,src=secret") == digest


def test_what_a_killed_build_left_goes(site: Site) -> None:
    memory = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else os.environ.get("TMPDIR", "/tmp"))
    before = set(memory.glob("wingo-step-*"))
    _killed_in_the_second_step(site)
    left = set(memory.glob("wingo-step-*")) - before
    steps = site.cache / "dockerfile" / "steps"
    assert any(file.is_file() and file.read_bytes() == b"s3cret" for path in left for file in path.rglob("*"))
    for path in left:
        os.utime(path, (time.time() - 3600,) * 2)
    for path in site.mounts():
        (path / "go").touch()
    until = time.monotonic() + 60
    while list(steps.iterdir()):  # the killed step's keeper may need a moment to be gone
        assert time.monotonic() < until
        site.build("Dockerfile", "out", "--no-cache", "--secret", "id=key,src=secret")
        time.sleep(0.2)
    assert not [path for path in left if path.exists()], "a secret is left in memory"


@pytest.mark.parametrize("where", ["layout", "registry", "own"])
def test_a_cache_whose_bytes_are_not_what_it_says(site: Site, where: str) -> None:
    site.write("Dockerfile", f"FROM BASE\nRUN {_COUNT} echo run >> /count/runs && echo right > /file\n")
    place = f"oci:{site.folder / 'kept'}" if where == "layout" else f"{site.registry.host}/team/cache:main"
    first = site.build("Dockerfile", "out", "--cache-to", place)
    layer = Layout(site.folder / "out").manifest["layers"][-1]["digest"]
    own = site.cache
    if where == "registry":
        from wingo.testing.registry_http import held

        repository = site.registry.repository("team/cache")
        (digest,) = [found for found in repository.blobs if found == layer]
        data = bytearray(site.registry.blob("team/cache", digest) or b"")
        data[len(data) // 2] ^= 1
        repository.blobs[digest] = held(bytes(data))
    else:
        root = site.folder / "kept" if where == "layout" else own
        path = root / "blobs" / layer.replace(":", "/")
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.chmod(0o644)
        path.write_bytes(data)
    if where != "own":
        site.cache = site.folder / "another"
        assert site.build("Dockerfile", "again", "--cache-from", place) == first
        assert site.runs() == ["run"], "it is not taken: the step is run"
    else:
        assert site.build("Dockerfile", "again") == first
    assert Layout(site.folder / "again").read(1, "file") == b"right\n"
    assert json.loads((site.folder / "again" / "index.json").read_bytes())["manifests"][0]["digest"] == first


def test_a_cache_from_elsewhere_is_all_that_is_needed(site: Site) -> None:
    site.write("Dockerfile", f"FROM BASE\nRUN {_COUNT} echo run >> /count/runs && echo right > /file\n")
    place = f"{site.registry.host}/team/cache:main"
    first = site.build("Dockerfile", "out", "--cache-to", place)
    site.cache = site.folder / "another"
    assert site.build("Dockerfile", "again", "--cache-from", place) == first
    assert site.runs() == []


def test_a_record_that_leads_out_of_the_stage(site: Site) -> None:
    need_tool("go")
    site.write("go.mod", "module example.com/app\n\ngo 1.21\n")
    site.write("main.go", MAIN)
    site.write(
        "Dockerfile",
        "FROM golang:1 AS build\nWORKDIR /app\nCOPY go.mod main.go ./\nRUN go build -o /server .\nRUN go vet .\n"
        "FROM scratch\nCOPY --from=build /server /\n",
    )
    first = site.build("Dockerfile", "out")
    cache = Cache(str(site.cache))
    keys = os.listdir(site.cache / "records" / "dockerfile-steps")
    for key in keys:
        record = json.loads(cache.record("dockerfile-steps", key) or b"")
        for item in record["found"]:
            item[0] = "../../../../evil"
        cache.keep_record("dockerfile-steps", key, json.dumps(record).encode())
    assert site.build("Dockerfile", "again", "--explain") == first
    assert not list(site.folder.rglob("evil"))
    assert json.loads(cache.record("dockerfile-steps", keys[0]) or b"")
