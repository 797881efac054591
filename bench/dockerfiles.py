"""`python -m bench.dockerfiles`: a multi-stage Go Dockerfile, `wingo build -f` beside its peers, in turns.

The peers are Debian's `buildah bud` and, where `scripts/go-peers.sh buildkitd buildctl` has built it, BuildKit, whose daemon
runs before the clock does. All get the same Dockerfile, with a cache mount for Go's build cache, so that the peers need not
compile the standard library each time; the same bases from a registry in this process (a toolchain image of busybox and this
machine's Go, a final one of busybox); and write an OCI layout. Cold: nothing is stored anywhere, Go's build caches among it,
but for Go's modules, of which there are none. The target is of the faster peer in each round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import wingo
from bench.report import compared
from bench.runs import Command, Contestant, run, take_turns
from wingo.archive.entry import Entry, EntryKind
from wingo.image.model import Image
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of, layer_of_tar
from wingo.testing.registry import RegistryServer

_WINGO = [sys.executable, "-c", "from wingo.cli.main import entry; entry()"]
_DOCKERFILE = """\
FROM {registry}/library/golang:{version} AS builder
WORKDIR /app
COPY go.mod ./
COPY . .
ENV CGO_ENABLED=0
RUN --mount=type=cache,target=/root/.cache/go-build go build -o /out/server .
FROM {registry}/library/alpine:latest
RUN mkdir -p /data && echo ready > /data/state
WORKDIR /app
COPY --from=builder /out/server .
EXPOSE 8080
CMD ["./server"]
"""
_MAIN = """\
package main

import (
	"fmt"
	"net/http"
)

func main() {{
	fmt.Println("{text}")
	http.ListenAndServe(":8080", nil)
}}
"""
_COLD, _IMAGES_COLD, _LINE, _NOTHING = "cold", "cold but for Go's cache", "one source line changed", "nothing changed"
_BOUNDS = {_COLD: 0.9, _IMAGES_COLD: None, _LINE: 0.5, _NOTHING: 0.2}
_TOOLS = Path(__file__).resolve().parents[1] / ".tools" / "bin"
_BUILDKITD = """\
root = "{root}/root"
[grpc]
  address = ["unix://{root}/socket"]
[worker.oci]
  snapshotter = "overlayfs"
  networkMode = "host"
  gc = false
[worker.containerd]
  enabled = false
[registry."{registry}"]
  http = true
"""


def busybox() -> Image:
    """A small Linux."""
    program = Path("/bin/busybox")
    names = run(Command([str(program), "--list"], "/", {})).split()
    entries = [
        directory_entry("bin"),
        file_entry("bin/busybox", program.read_bytes(), mode=0o755),
        *(
            Entry(f"bin/{name}", EntryKind.SYMLINK, 0o777, link_target="busybox")
            for name in sorted(names)
            if name != "busybox"
        ),
        directory_entry("etc"),
        file_entry("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
        directory_entry("root"),
        directory_entry("tmp", mode=0o1777),
    ]
    return image_of([layer_of(entries)], _config(1, "PATH=/bin"))


def toolchain(goroot: str, scratch: Path) -> Image:
    """The same with this machine's Go in it, as docker-library's golang image has it."""
    path = scratch / "go.tar"
    with tarfile.open(path, "w") as tar:
        tar.add(goroot, "usr/local/go", filter=lambda item: None if "/test" in item.name[12:17] else item)
    base = busybox()
    config = _config(2, "PATH=/usr/local/go/bin:/bin", "GOPATH=/go", "GOTOOLCHAIN=local", "HOME=/root")
    return image_of([*base.layers, layer_of_tar(path.read_bytes())], config)


def _config(layers: int, *env: str) -> dict[str, object]:
    """A config whose history has a line for each layer: buildah takes no other."""
    return {
        "os": "linux",
        "architecture": "amd64",
        "config": {"Env": list(env), "Cmd": ["/bin/sh"]},
        "history": [{"created_by": "bench"}] * layers,
    }


class Buildkit:
    """A BuildKit daemon, and a client's commands to it."""

    def __init__(self, folder: Path, registry: str) -> None:
        self._folder, self._registry = folder, registry
        self._daemon: subprocess.Popen[bytes] | None = None

    def client(self, *words: str) -> list[str]:
        """A command of the client."""
        return [str(_TOOLS / "buildctl"), "--addr", f"unix://{self._folder}/socket", *words]

    def start(self) -> None:
        """Begins with nothing stored."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        config = self._folder / "buildkitd.toml"
        config.write_text(_BUILDKITD.format(root=self._folder, registry=self._registry))
        with open(self._folder / "log", "wb") as log:
            self._daemon = subprocess.Popen([_TOOLS / "buildkitd", "--config", config], stdout=log, stderr=log)
        until = time.monotonic() + 60
        while subprocess.run(self.client("debug", "workers"), capture_output=True, check=False).returncode:
            if time.monotonic() > until or self._daemon.poll() is not None:
                sys.exit(f"buildkitd does not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)

    def forget_images(self) -> None:
        """Removes everything but cache mounts."""
        kinds = ("regular", "source.local", "frontend", "internal")
        words = [word for kind in kinds for word in ("--filter", f"type=={kind}")]
        run(Command(self.client("prune", "--all", *words), "/", {}))

    def stop(self) -> None:
        """Ends the daemon."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait()
            self._daemon = None


class Bench:
    """The contestants over one context."""

    def __init__(self, scratch: Path, registry: str, driver: str) -> None:
        self._scratch, self.context, self._driver = scratch, scratch / "app", driver
        self.context.mkdir()
        self._edits = count()
        self.buildkit: Buildkit | None = None
        if (_TOOLS / "buildkitd").exists():
            self.buildkit = Buildkit(scratch / "buildkit", registry)

    def contestants(self, state: str) -> list[Contestant]:
        """Everybody, as a state wants them prepared."""
        found = [self._wingo(state), self._buildah(state)]
        return [*found, self._buildkit(state, self.buildkit)] if self.buildkit is not None else found

    def _edit(self, state: str) -> None:
        """A program that nobody has compiled yet, where something is to change."""
        text = "hello" if state == _NOTHING else f"{state} {next(self._edits)}"
        (self.context / "main.go").write_text(_MAIN.format(text=text))

    def _wingo(self, state: str) -> Contestant:
        cache, go = self._scratch / "wingo", self._scratch / "wingo-go"

        def prepare(_: int) -> None:
            _empty(*([cache] if state in (_COLD, _IMAGES_COLD) else []), *([go] if state == _COLD else []))
            self._edit(state)

        env = {"WINGO_CACHE_DIR": str(cache), "GOCACHE": str(go), "GOENV": "off"}
        argv = [*_WINGO, "build", "-f", "Dockerfile", ".", "-q", "-o", f"oci:{self._scratch / 'out-wingo'}:t"]
        return Contestant("wingo", lambda _: [Command(argv, str(self.context), env)], prepare)

    def _buildah(self, state: str) -> Contestant:
        storage, temporary = self._scratch / "buildah", self._scratch / "buildah-tmp"  # cache mounts are in the latter

        def prepare(_: int) -> None:
            _empty(*([storage] if state in (_COLD, _IMAGES_COLD) else []), *([temporary] if state == _COLD else []))
            temporary.mkdir(exist_ok=True)
            self._edit(state)

        where = f"--root {storage / 'root'} --runroot {storage / 'run'} --storage-driver {self._driver}"
        script = (
            f"buildah {where} bud -q --isolation chroot --layers --tls-verify=false -t localhost/x . >/dev/null"
            f" && buildah {where} push -q localhost/x oci:{self._scratch / 'out-buildah'}:t"
        )
        shell = Command(["sh", "-c", script], str(self.context), {"TMPDIR": str(temporary)})
        return Contestant("buildah", lambda _: [shell], prepare)

    def _buildkit(self, state: str, buildkit: Buildkit) -> Contestant:
        def prepare(_: int) -> None:
            if state == _COLD:
                buildkit.start()
            elif state == _IMAGES_COLD:
                buildkit.forget_images()
            self._edit(state)

        output = f"type=oci,tar=false,dest={self._scratch / 'out-buildkit'}"
        local = ["--local", "context=.", "--local", "dockerfile=."]
        argv = buildkit.client("build", "--frontend", "dockerfile.v0", *local, "--output", output)
        return Contestant("BuildKit", lambda _: [Command(argv, str(self.context), {})], prepare)

    def measure(self, state: str, rounds: int) -> Iterator[str]:
        """A row for each peer, and one for the faster."""
        contestants = self.contestants(state)
        if state not in (_COLD, _IMAGES_COLD):
            take_turns(contestants, 1)  # what was there before
        times = take_turns(contestants, rounds)
        ours = times.pop("wingo")
        if len(times) > 1:
            times["the faster"] = [min(each) for each in zip(*times.values(), strict=True)]
        for name, theirs in times.items():
            bound = _BOUNDS[state] if name == list(times)[-1] else None
            row = compared(f"Dockerfile, {state}", ours, name, theirs, bound)
            met = {None: "", True: f"{row.target} met", False: f"{row.target} NOT MET"}[row.met]
            yield f"{row.work}: {row.ours} | {name} {row.theirs} | {row.ratio} {met}".rstrip()


def _empty(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _bench(driver: str) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as folder, RegistryServer() as server:
        # As where wingo is installed: whoever installs it compiles its modules.
        run(Command([sys.executable, "-m", "compileall", "-q", *wingo.__path__], folder, {}))
        goroot = run(Command(["go", "env", "GOROOT"], folder, {})).strip()
        version = run(Command(["go", "env", "GOVERSION"], folder, {})).strip().removeprefix("go")
        server.add(f"{server.host}/library/golang:{version}", toolchain(goroot, Path(folder)))
        server.add(f"{server.host}/library/alpine:latest", busybox())
        bench = Bench(Path(folder), server.host, driver)
        (bench.context / "go.mod").write_text("module bench.example/server\n\ngo 1.22\n")
        (bench.context / "Dockerfile").write_text(_DOCKERFILE.format(registry=server.host, version=version))
        try:
            yield bench
        finally:
            if bench.buildkit is not None:
                bench.buildkit.stop()


def main() -> None:
    """Prints rows for each state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--driver", default="overlay", help="buildah's storage driver")
    parser.add_argument(
        "--only", action="append", choices=list(_BOUNDS), help="a state; by default all, one after another"
    )
    options = parser.parse_args()
    with _bench(options.driver) as bench:
        if bench.buildkit is None:
            print("without BuildKit: scripts/run scripts/go-peers.sh buildkitd buildctl builds it", file=sys.stderr)
        elif options.only and _COLD not in options.only:
            bench.buildkit.start()
        for state in options.only or _BOUNDS:
            for line in bench.measure(state, options.rounds):
                print(line, flush=True)


if __name__ == "__main__":
    if shutil.which("buildah") is None or not os.path.exists("/bin/busybox"):
        sys.exit("this needs buildah and busybox-static")
    main()
