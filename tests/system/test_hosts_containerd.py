"""Which images a Windows host takes: our simulator beside containerd's own matcher, in each version that behaves differently."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest

from tests.needs import need_tool
from wingo.oci.platform import Platform
from wingo.windows.hosts import HostProfile, Runtime, picks

MODULE = "github.com/containerd/platforms"
VERSIONS = {
    "v1.0.0-rc.1": Runtime.CONTAINERD_1_7,
    "v1.0.0-rc.2": Runtime.CONTAINERD_2_2,
    "v1.0.0-rc.4": Runtime.CONTAINERD_2_3,
    "v1.0.0-rc.5": Runtime.CONTAINERD_NEXT,
}
PROGRAM = """\
package main

import (
	"encoding/json"
	"os"

	"github.com/containerd/platforms"
	specs "github.com/opencontainers/image-spec/specs-go/v1"
)

func main() {
	var pairs [][2]specs.Platform
	if err := json.NewDecoder(os.Stdin).Decode(&pairs); err != nil {
		panic(err)
	}
	matched := make([]bool, len(pairs))
	for i, pair := range pairs {
		matched[i] = platforms.NewMatcher(pair[0]).Match(pair[1])
	}
	json.NewEncoder(os.Stdout).Encode(matched)
}
"""
BUILDS = (
    0,
    14393,
    17763,
    17764,
    19042,
    20347,
    20348,
    20349,
    22000,
    22621,
    25398,
    26099,
    26100,
    26101,
    26200,
    28000,
    65535,
)
ODD = ("", "10", "10.0", "10.0.x.1", "ltsc2022", "10.1.20348.1", "6.3.9600.1", "10.0.70000.1", "010.00.20348.1")


def candidates() -> list[Platform]:
    versions = [f"10.0.{build}.{revision}" for build in BUILDS for revision in (1, 4000)]
    found = [Platform("windows", "amd64", os_version=version) for version in (*versions, *ODD)]
    found += [Platform("windows", "arm64", os_version="10.0.26100.1"), Platform("linux", "amd64")]
    found += [
        Platform("windows", "amd64", os_version="10.0.20348.1", os_features=each) for each in (("win32k",), ("gpu",))
    ]
    return found


def document(platform: Platform) -> dict[str, object]:
    fields = {"os": platform.os, "architecture": platform.architecture, "os.version": platform.os_version}
    return {**fields, "os.features": list(platform.os_features)}


@pytest.mark.parametrize("version", VERSIONS)
def test_containerd_takes_what_we_say(tmp_path: Path, version: str) -> None:
    go = need_tool("go")
    (tmp_path / "main.go").write_text(PROGRAM)
    environment = {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0", "GOWORK": "off"}

    def run(*argv: str, data: str = "") -> str:
        import os

        done = subprocess.run(
            argv,
            cwd=tmp_path,
            env={**os.environ, **environment},
            input=data,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(go, "mod", "init", "example.com/matcher")
    run(go, "mod", "edit", f"-require={MODULE}@{version}")
    run(go, "build", "-o", "matcher", ".")
    images = candidates()
    hosts = [Platform("windows", "amd64", os_version=f"10.0.{build}") for build in BUILDS if build]
    pairs = list(itertools.product(hosts, images))
    answer = json.loads(run(str(tmp_path / "matcher"), data=json.dumps([[document(a), document(b)] for a, b in pairs])))
    ours = []
    for machine, image in pairs:
        [pick] = picks([image], HostProfile(name="x", platform=machine, runtime=VERSIONS[version]))
        ours.append(pick.taken is not None)
    differing = [
        (str(a), str(b), theirs) for (a, b), theirs, mine in zip(pairs, answer, ours, strict=True) if theirs != mine
    ]
    assert not differing
    assert any(answer)
    assert not all(answer)
