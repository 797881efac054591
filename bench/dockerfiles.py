"""`python -m bench.dockerfiles`: a multi-stage Go Dockerfile, `wingo build -f` beside Debian's `buildah bud`, in turns.

Both get the same Dockerfile, with a cache mount for Go's build cache, so that the peer need not compile the standard library
each time; the same bases from a registry in this process (a toolchain image of busybox and this machine's Go, a final one
of busybox); and write an OCI layout. Cold: nothing is stored anywhere, but for Go's modules, of which there are none.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

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
_BOUNDS = {"cold": 0.9, "one source line changed": 0.5, "nothing changed": 0.2}


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


def main() -> None:
    """Prints a row for each state."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--driver", default="overlay", help="buildah's storage driver")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wingo-bench-") as folder, RegistryServer() as server:
        scratch = Path(folder)
        goroot = run(Command(["go", "env", "GOROOT"], folder, {})).strip()
        version = run(Command(["go", "env", "GOVERSION"], folder, {})).strip().removeprefix("go")
        server.add(f"{server.host}/library/golang:{version}", toolchain(goroot, scratch))
        server.add(f"{server.host}/library/alpine:latest", busybox())
        context = scratch / "app"
        context.mkdir()
        (context / "go.mod").write_text("module bench.example/server\n\ngo 1.22\n")
        (context / "Dockerfile").write_text(_DOCKERFILE.format(registry=server.host, version=version))
        for state, bound in _BOUNDS.items():
            print(_measure(state, bound, scratch, context, options.rounds, options.driver), flush=True)


def _measure(state: str, bound: float, scratch: Path, context: Path, rounds: int, driver: str) -> str:
    ours, theirs = scratch / "wingo", scratch / "buildah"

    def prepare(kept: Path, number: int) -> None:
        if state == "cold":
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir()
        text = "hello" if state == "nothing changed" else f"{state} {number}"
        (context / "main.go").write_text(_MAIN.format(text=text))

    env = {"WINGO_CACHE_DIR": str(ours), "GOCACHE": str(ours / "go-build"), "GOENV": "off"}
    argv = [*_WINGO, "build", "-f", "Dockerfile", ".", "-q", "-o", f"oci:{scratch / 'out-wingo'}:t"]
    wingo = Contestant("wingo", lambda _: [Command(argv, str(context), env)], lambda number: prepare(ours, number))
    storage = f"--root {theirs / 'root'} --runroot {theirs / 'run'} --storage-driver {driver}"
    script = (
        f"buildah {storage} bud -q --isolation chroot --layers --tls-verify=false -t localhost/x . >/dev/null"
        f" && buildah {storage} push -q localhost/x oci:{scratch / 'out-buildah'}:t"
    )
    shell = Command(["sh", "-c", script], str(context), {"TMPDIR": str(scratch)})
    peer = Contestant("buildah", lambda _: [shell], lambda number: prepare(theirs, number))
    if state != "cold":
        take_turns([wingo, peer], 1)  # what was there before
    times = take_turns([wingo, peer], rounds)
    row = compared(f"Dockerfile, {state}", times["wingo"], "buildah", times["buildah"], bound)
    return f"{row.work}: {row.ours} | buildah {row.theirs} | {row.ratio} {row.target} {'met' if row.met else 'NOT MET'}"


if __name__ == "__main__":
    if shutil.which("buildah") is None or not os.path.exists("/bin/busybox"):
        sys.exit("this needs buildah and busybox-static")
    main()
