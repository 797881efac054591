"""Build and push: cold, nothing changed, one line changed; wingo, ko and the bare `go build` calls in turns."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.programs import Program
from bench.runs import Command, Contestant, take_turns

COLD, NO_CHANGE, ONE_LINE = "cold Go cache", "no change", "one line changed"
Work = Callable[[str], Sequence[Command]]
_FLAGS = ["-trimpath", "-ldflags", "-s -w -buildid="]
_NUMBERS = itertools.count(1001)


class Versions(NamedTuple):
    """Which platforms are built, as each tool spells them."""

    label: str
    wingo: str
    ko: str


ONE = Versions("1 Windows + 1 Linux", "ltsc2022,linux/amd64", "windows/amd64:10.0.20348,linux/amd64")
THREE = Versions("3 Windows + 1 Linux", "ltsc2019,ltsc2022,ltsc2025,linux/amd64", "windows/amd64,linux/amd64")


class Bench(NamedTuple):
    """What all contestants share."""

    scratch: Path
    port: int
    program: Program
    versions: Versions
    module_cache: str

    def contestants(self, state: str) -> list[Contestant]:
        """The tools for a state, each with caches of its own."""
        tools = {"wingo": self._wingo, "ko": self._ko("none"), "go build": self._go("go build", _FLAGS)}
        if state == NO_CHANGE:
            tools["ko with SBOM"] = self._ko("spdx")
            tools["go build, one system"] = self._go("go build", _FLAGS, systems=1)
            tools["go build, build id kept"] = self._go("go build, build id kept", ["-trimpath", "-ldflags", "-s -w"])
        return [
            Contestant(name, self._named(work, name, state), self._prepare(name, state)) for name, work in tools.items()
        ]

    def fill(self, contestants: Sequence[Contestant]) -> None:
        """Compiles the program once and gives every contestant a copy of that Go build cache."""
        bare = next(contestant for contestant in contestants if contestant.name == "go build")
        take_turns([bare], 1)
        filled = self._home(bare.name) / "go-build"
        for contestant in contestants:
            cache = self._home(contestant.name) / "go-build"
            if cache != filled:
                shutil.copytree(filled, cache, dirs_exist_ok=True)

    def _home(self, name: str) -> Path:
        """Where a contestant keeps its caches."""
        return self.scratch / "homes" / name.replace(" ", "-").replace(",", "")

    def _prepare(self, name: str, state: str) -> Callable[[int], None]:
        home = self._home(name)

        def prepare(_: int) -> None:
            if state == COLD:
                shutil.rmtree(home, ignore_errors=True)
            home.mkdir(parents=True, exist_ok=True)
            if state == ONE_LINE:  # an edit of one's own: nobody finds what another has compiled
                self.program.edit(next(_NUMBERS))

        return prepare

    def _named(self, work: Work, name: str, state: str) -> Callable[[int], Sequence[Command]]:
        def commands(_: int) -> Sequence[Command]:
            # A cold run pushes to a repository that nobody has pushed to.
            suffix = f"-{next(_NUMBERS)}" if state == COLD else ""
            return work(f"{name}-{self.program.name}{suffix}".replace(" ", "-").replace(",", "").lower())

        return commands

    def _environment(self, name: str) -> dict[str, str]:
        home = self._home(name)
        return {
            "CGO_ENABLED": "0",
            "GOCACHE": str(home / "go-build"),
            "GOMODCACHE": self.module_cache,
            "GOTOOLCHAIN": "local",
            "XDG_CACHE_HOME": str(home),
        }

    def _wingo(self, repository: str) -> Sequence[Command]:
        name = f"127.0.0.1:{self.port}/{repository}" + ("/{name}" if len(self.program.targets) > 1 else "")
        argv = ["wingo", "build", *self.program.targets, "--quiet", "--push", "-t", f"{name}:latest"]
        argv += ["--base", f"127.0.0.1:{self.port}/base:multi", "--platform", self.versions.wingo]
        return [Command(argv, str(self.program.directory), self._environment("wingo"))]

    def _ko(self, sbom: str) -> Work:
        def work(repository: str) -> Sequence[Command]:
            name = "ko" if sbom == "none" else "ko with SBOM"
            environment = self._environment(name) | {
                "KOCACHE": str(self._home(name) / "ko"),
                "KO_DOCKER_REPO": f"127.0.0.1:{self.port}/{repository}",
                "KO_DEFAULTBASEIMAGE": f"127.0.0.1:{self.port}/base:multi",
            }
            argv = ["ko", "build", f"--sbom={sbom}", f"--platform={self.versions.ko}", *self.program.targets]
            return [Command(argv, str(self.program.directory), environment)]

        return work

    def _go(self, name: str, flags: list[str], systems: int = 2) -> Work:
        def work(_: str) -> Sequence[Command]:
            commands = []
            for system in ("windows", "linux")[:systems]:
                out = str(self._home(name) / f"out-{system}") + "/"
                environment = self._environment(name) | {"GOOS": system, "GOARCH": "amd64"}
                argv = ["go", "build", *flags, "-o", out, *self.program.targets]
                commands.append(Command(argv, str(self.program.directory), environment))
            return commands

        return work


def measure(bench: Bench, state: str, rounds: int) -> dict[str, list[float]]:
    """Seconds of every contestant in every round, in one state."""
    contestants = bench.contestants(state)
    if state != COLD:
        bench.fill(contestants)
        take_turns(contestants, 2)  # so that the first counted round finds what the tools themselves keep
    return take_turns(contestants, rounds)
