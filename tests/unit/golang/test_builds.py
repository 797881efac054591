"""The whole course of a build with a go that is a few lines of Python."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from wingo.errors import HostError, RequestError
from wingo.golang import Go, GoFlags, Toolchain
from wingo.golang.runner import Completed

LINUX = ("linux", "amd64", "")
WINDOWS = ("windows", "amd64", "")
TICK = 0.012


class FakeGo:
    """One module with one program, whose bytes are its source."""

    def __init__(self, app: Path) -> None:
        self.app = app
        self.ran: list[tuple[str, ...]] = []
        self.environments: list[dict[str, str]] = []
        self.cgo = False
        self.listed: Callable[[], Completed] | None = None
        self.building: Callable[[Path], Completed | None] = lambda output: None

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        self.ran.append(tuple(argv[1:]))
        self.environments.append(dict(env))
        package = {"Dir": str(self.app), "ImportPath": "example.com/app", "Name": "main", "Match": ["."]}
        package["Module"] = {
            "Path": "example.com/app",
            "Main": True,
            "Dir": str(self.app),
            "GoMod": str(self.app / "go.mod"),
        }
        if argv[1:3] == ("list", "-find"):
            return self._json(package)
        if argv[1:3] == ("list", "-deps"):
            if self.listed is not None:
                return self.listed()
            package["CgoFiles" if self.cgo else "GoFiles"] = ["main.go"]
            return self._json({"Dir": "/goroot/src/fmt", "ImportPath": "fmt", "Name": "fmt", "Standard": True}, package)
        if argv[1] == "env":
            return Completed(0, json.dumps({"GOMOD": str(self.app / "go.mod"), "GOROOT": "/goroot",
                                            "CGO_ENABLED": env["CGO_ENABLED"]}).encode(), b"")  # fmt: skip
        if argv[1] == "build":
            output = Path(argv[argv.index("-o") + 1])
            other = self.building(output)
            if other is not None:
                return other
            suffix = ".exe" if env["GOOS"] == "windows" else ""
            (output / f"app{suffix}").write_bytes((self.app / "main.go").read_bytes())
            return Completed(0, b"", b"")
        raise AssertionError(argv)

    @staticmethod
    def _json(*packages: object) -> Completed:
        return Completed(0, b"".join(json.dumps(package, indent="\t").encode() + b"\n" for package in packages), b"")

    def verbs(self) -> list[str]:
        return [" ".join(argv[:2]) if argv[0] == "list" else argv[0] for argv in self.ran]


class Bench:
    def __init__(self, top: Path) -> None:
        self.app = top / "app"
        self.app.mkdir()
        (self.app / "go.mod").write_text("module example.com/app\n")
        (self.app / "main.go").write_text("package main\n\nfunc main() {}\n")
        self.runner = FakeGo(self.app)
        self.cache = top / "cache"
        self.environment = {"PATH": "", "GOENV": "off"}
        self.toolchain = Toolchain("/go", "go1.26.8", "/goroot", "one")
        time.sleep(TICK)

    def go(self) -> Go:
        return Go(self.toolchain, runner=self.runner, environment=self.environment, cache=str(self.cache))

    def fresh(self, platform: tuple[str, str, str] = LINUX, flags: GoFlags = GoFlags()) -> bool:  # noqa: B008
        go = self.go()
        return go.check(go.requests((), str(self.app), [platform], flags))[0].fresh

    def build(self, platform: tuple[str, str, str] = LINUX, flags: GoFlags = GoFlags()) -> bytes:  # noqa: B008
        go = self.go()
        (checked,) = go.check(go.requests((), str(self.app), [platform], flags))
        binaries = checked.binaries if checked.fresh else go.build(checked).binaries
        return Path(binaries[0].path).read_bytes()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_second_build_runs_nothing(bench: Bench) -> None:
    assert bench.build() == (bench.app / "main.go").read_bytes()
    assert sorted(bench.runner.verbs()) == ["build", "env", "list -deps", "list -find"]
    bench.runner.ran.clear()
    assert bench.build() == (bench.app / "main.go").read_bytes()
    assert bench.runner.ran == []


def test_platforms_flags_environment_and_toolchain_are_apart(bench: Bench) -> None:
    bench.build()
    assert not bench.fresh(WINDOWS)
    assert not bench.fresh(flags=GoFlags(tags=("x",)))
    bench.environment["GOFLAGS"] = "-tags=x"
    assert not bench.fresh()
    del bench.environment["GOFLAGS"]
    assert bench.fresh()
    bench.toolchain = Toolchain("/go", "go1.26.9", "/goroot", "two")
    assert not bench.fresh()


def test_a_request_for_each_platform_once(bench: Bench) -> None:
    requests = bench.go().requests((), str(bench.app), [WINDOWS, LINUX, WINDOWS])
    assert [(request.goos, request.zones) for request in requests] == [("windows", True), ("linux", False)]
    assert bench.runner.ran == []


def test_an_edit_builds_and_an_edit_of_imports_lists(bench: Bench) -> None:
    bench.build()
    bench.runner.ran.clear()
    (bench.app / "main.go").write_text("package main\n\nfunc main() { }\n")
    time.sleep(TICK)
    bench.build()
    assert bench.runner.verbs() == ["build"]
    bench.runner.ran.clear()
    (bench.app / "main.go").write_text('package main\n\nimport _ "os"\n\nfunc main() { }\n')
    time.sleep(TICK)
    bench.build()
    assert sorted(bench.runner.verbs()) == ["build", "env", "list -deps", "list -find"]
    assert bench.fresh()


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), HostError("stopped"), OSError(28, "No space left")])
def test_an_interrupted_build_leaves_nothing_but_what_was(bench: Bench, interruption: BaseException) -> None:
    before = bench.build()
    source = (bench.app / "main.go").read_text()
    (bench.app / "main.go").write_text(source + "// more\n")

    def building(output: Path) -> None:
        (output / "app").write_bytes(b"half")
        raise interruption

    bench.runner.building = building
    with pytest.raises((KeyboardInterrupt, HostError)):
        bench.build()
    (record_folder,) = bench.cache.iterdir()
    assert not [name for name in os.listdir(record_folder) if name.startswith("work-")]
    (bench.app / "main.go").write_text(source)
    assert bench.fresh()
    assert bench.build() == before


def test_go_that_fails_is_told_in_its_words(bench: Bench) -> None:
    bench.runner.building = lambda output: Completed(1, b"", b"# example.com/app\n./main.go:3:1: broken\n")
    with pytest.raises(RequestError, match=r"\./main\.go:3:1: broken"):
        bench.build()
    assert not bench.fresh()


def test_go_that_makes_nothing_is_an_error(bench: Bench) -> None:
    bench.runner.building = lambda output: Completed(0, b"", b"")
    with pytest.raises(HostError, match="go made no app"):
        bench.build()


@pytest.mark.parametrize("stdout", [b"nonsense", b'{"ImportPath": 1}\n', b'{"ImportPath": "x"'])
def test_a_listing_that_is_not_understood_is_no_record(bench: Bench, stdout: bytes) -> None:
    bench.runner.listed = lambda: Completed(0, stdout, b"")
    assert bench.build()
    assert not bench.fresh()


def test_a_listing_that_fails_is_no_record(bench: Bench) -> None:
    bench.runner.listed = lambda: Completed(1, b"", b"go: no")
    assert bench.build()
    assert not bench.fresh()


def test_cgo_is_never_unchanged(bench: Bench) -> None:
    bench.runner.cgo = True
    flags = GoFlags(env=(("CGO_ENABLED", "1"),))
    bench.build(flags=flags)
    assert not bench.fresh(flags=flags)
    bench.build()
    assert bench.fresh()


@pytest.mark.parametrize("how", ["gone", "cut", "written"])
def test_a_damaged_program_is_built_again(bench: Bench, how: str) -> None:
    whole = bench.build()
    (program,) = bench.cache.glob("*/*/app")
    if how == "gone":
        program.unlink()
    else:
        program.write_bytes(whole[:-1] if how == "cut" else b"x" * len(whole))
    assert not bench.fresh()
    assert bench.build() == whole
    assert bench.fresh()


def test_what_was_built_longest_ago_is_forgotten(bench: Bench) -> None:
    bench.build(WINDOWS)
    (old,) = bench.cache.iterdir()
    work = old / "work-0123456789abcdef"
    work.mkdir()
    long_ago = time.time() - 40 * 24 * 3600
    for path in (old / "record", work):
        os.utime(path, (long_ago, long_ago))
    bench.build()
    assert old.exists(), "its directory was used today"
    os.utime(old, (long_ago, long_ago))
    (bench.app / "main.go").write_text("package main\n")
    bench.build()
    assert not old.exists()
    assert len(list(bench.cache.iterdir())) == 1


def test_the_environment_is_passed_on(bench: Bench) -> None:
    bench.environment |= {"GOPRIVATE": "example.com", "NETRC": "/n", "HOME": "/h"}
    bench.build()
    assert all(env["GOPRIVATE"] == "example.com" and env["HOME"] == "/h" for env in bench.runner.environments)
    assert {env["CGO_ENABLED"] for env in bench.runner.environments} == {"0"}
