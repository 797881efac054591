"""`RUN --mount`, `--network` and `--security` as BuildKit has them: agents, caches that are shared or not, refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import need_tool
from tests.system.test_dockerfile import GO, Layout, Site, small_base
from wingo.testing.registry import RegistryServer

CLIENT = r"""package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

func ask(kind byte) []byte {
	stream, err := net.Dial("unix", os.Getenv("SSH_AUTH_SOCK"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	defer stream.Close()
	stream.Write([]byte{0, 0, 0, 1, kind})
	head := make([]byte, 4)
	io.ReadFull(stream, head)
	body := make([]byte, binary.BigEndian.Uint32(head))
	io.ReadFull(stream, body)
	return body
}

func main() {
	body := ask(11)
	size := binary.BigEndian.Uint32(body[5:])
	comment := body[9+size+4:]
	fmt.Printf("%d keys, %s, at %s\n", binary.BigEndian.Uint32(body[1:]), comment, os.Getenv("SSH_AUTH_SOCK"))
	fmt.Printf("remove all: %d\n", ask(19)[0])
}
"""
AGENT = (
    f"FROM golang:{GO} AS b\nCOPY client/main.go client/go.mod ./\nRUN CGO_ENABLED=0 go build -o /client .\n"
    "FROM alpine\nCOPY --from=b /client /client\n"
)


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.add("hub/library/alpine:latest", small_base())
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer) -> Site:
    site = Site(tmp_path, registry)
    site.write("client/main.go", CLIENT)
    site.write("client/go.mod", "module example.com/client\n\ngo 1.21\n")
    return site


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """A real agent with one key."""
    for tool in ("ssh-agent", "ssh-add", "ssh-keygen"):
        need_tool(tool)
    path = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        key = str(tmp_path / "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the key", "-f", key], check=True)
        while not os.path.exists(path):
            assert process.poll() is None
        subprocess.run(["ssh-add", "-q", key], env=os.environ | {"SSH_AUTH_SOCK": path}, check=True)
        yield path
    finally:
        process.terminate()
        process.wait()


def test_an_agent_signs_for_one_step_and_no_more(site: Site, agent: str) -> None:
    dockerfile = (
        AGENT
        + "RUN --mount=type=ssh /client > /found && stat -c %a:%u $SSH_AUTH_SOCK > /mode\n"
        + "RUN --mount=type=ssh,id=other,target=/a/sock,mode=0660,gid=50 /client > /other; stat -c %a:%g /a/sock >> /other\n"
        + 'RUN test -z "$SSH_AUTH_SOCK" && ! ls /run/buildkit > /dev/null 2>&1\n'
    )
    site.environment["SSH_AUTH_SOCK"] = agent
    layout = site.build(dockerfile, "--ssh", "default", "--ssh", f"other={agent}")
    assert layout.read(2, "found") == b"1 keys, the key, at /run/buildkit/ssh_agent.0\nremove all: 5\n"
    assert layout.read(2, "mode") == b"600:0\n"
    assert layout.read(3, "other") == b"1 keys, the key, at /a/sock\nremove all: 5\n660:50\n"
    everything = [name for number in range(len(layout.manifest["layers"])) for name in layout.names(number)]
    assert not [name for name in everything if "buildkit" in name or name.startswith("a/")]
    keys = subprocess.run(
        ["ssh-add", "-l"], env=os.environ | {"SSH_AUTH_SOCK": agent}, capture_output=True, text=True, check=True
    )
    assert "the key" in keys.stdout
    # Where the agent is, and whether there is one, is no part of what a step is remembered by.
    del site.environment["SSH_AUTH_SOCK"]
    again = site.build(dockerfile.replace("type=ssh ", "type=ssh,required ").replace(",required", ""))
    assert "nothing had changed" in site.said
    assert again.manifest == layout.manifest


def test_without_an_agent(site: Site, agent: str, tmp_path: Path) -> None:
    site.build('FROM alpine\nRUN --mount=type=ssh test -z "$SSH_AUTH_SOCK"\n')
    site.build("FROM alpine\nRUN --mount=type=ssh,required true\n", status=2)
    assert "the step needs the SSH agent default" in site.said
    assert "Give --ssh default." in site.said
    site.build("FROM alpine\nRUN true\n", "--ssh", "default", status=2)
    assert "no SSH agent runs here" in site.said
    site.build("FROM alpine\nRUN true\n", "--ssh", f"x={tmp_path / 'key'}", status=2)
    assert "is no agent's socket; wingo reads no keys" in site.said
    site.build("FROM alpine\nRUN true\n", "--ssh", f"x={tmp_path / 'nothing'}", status=3)
    site.build("FROM alpine\nRUN --mount=type=ssh false\n", "--ssh", f"default={agent}", status=2)
    assert "--debug-step" in site.said


def test_networks_and_security(site: Site) -> None:
    links = "grep -c : /proc/net/dev"
    layout = site.build(f"FROM alpine\nRUN {links} > /a\nRUN --network=none {links} > /b\n", "--allow-network")
    here = len([line for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line])
    assert (int(layout.read(1, "a")), int(layout.read(2, "b"))) == (here, 1)
    layout = site.build(f"FROM alpine\nRUN --network=host {links} > /a\n", "--allow-network")
    assert int(layout.read(1, "a")) == here
    site.build("FROM alpine\nRUN --network=host true\n", status=2)
    assert "Give --allow-network" in site.said
    site.build("FROM alpine\nRUN --network=bridge true\n", status=2)
    site.build("FROM alpine\nRUN --security=insecure true\n", status=2)
    assert "no step more rights" in site.said
    site.build("FROM alpine\nRUN --security=sandbox true\n")


def test_caches_begin_with_what_is_named_and_are_shared_or_not(site: Site) -> None:
    site.write("begin/file", "begun\n")
    layout = site.build(
        "FROM alpine AS seed\nCOPY begin /begin\n"
        "FROM alpine\n"
        "RUN --mount=type=cache,id=seeded,from=seed,source=/begin,target=/c cat /c/file > /a && echo more >> /c/file\n"
        "RUN --mount=type=cache,id=seeded,from=seed,source=/begin,target=/c cat /c/file > /b\n"
    )
    assert (layout.read(1, "a"), layout.read(2, "b")) == (b"begun\n", b"begun\nmore\n")
    for sharing in ("locked", "private"):
        (site.context / "Dockerfile").write_text(
            f"FROM alpine\nARG WHO\nRUN --mount=type=cache,id={sharing},sharing={sharing},target=/c "
            "mkdir /c/busy 2> /dev/null || echo busy > /seen; sleep 1; rmdir /c/busy; echo $WHO >> /seen\n"
        )
        argv = [Path(sys.executable).parent / "wingo", "build", "-f", "app/Dockerfile", "app"]
        argv += ["--mirrors", f"docker.io={site.registry.host}/hub"]
        environment = {**site.environment, "WINGO_CACHE_DIR": str(site.cache)}
        running = [
            subprocess.Popen(
                [*argv, "--build-arg", f"WHO={who}", "-o", f"oci:{site.folder}/{sharing}-{who}"],
                cwd=site.folder, env=environment, stderr=subprocess.PIPE, text=True,
            )
            for who in ("a", "b")
        ]  # fmt: skip
        for who, process in zip(("a", "b"), running, strict=True):
            assert process.communicate(timeout=60)[1] is not None
            assert process.returncode == 0
            assert Layout(site.folder / f"{sharing}-{who}").read(1, "seen") == f"{who}\n".encode()
