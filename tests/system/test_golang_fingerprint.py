"""Never "unchanged" when `go build` would make other bytes: random edits of a real module, compared with go itself."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.needs import need_tool
from wingo.errors import WingoError
from wingo.golang import Binary, Completed, Go, GoFlags, find_toolchain
from wingo.processes import ProcessRunner

PLATFORM = ("windows", "amd64", "")
TICK = 0.012
"""More than the kernel's clock tick: an edit in the tick of a build's begin is never taken for settled."""

MAIN = """// A program that shows all that it is made of.
package main

import (
	"embed"
	"fmt"

	"example.com/app/lib"
	"example.com/dep"
)

//go:embed all:static texts/*.txt literal/sub/file
var files embed.FS

var extra string

func main() {
	fmt.Println("main 1", lib.Name, dep.Name, extra, files)
}
"""


class CountingRunner(ProcessRunner):
    """Remembers what it ran; can do something while go compiles."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[tuple[str, ...]] = []
        self.meanwhile: Callable[[], None] | None = None

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        self.ran.append((os.path.basename(argv[0]), *argv[1:]))
        done = super().run(argv, cwd=cwd, env=env, input=input)
        if self.meanwhile is not None and argv[1] == "build":
            self.meanwhile()
        return done

    def count(self, *words: str) -> int:
        return sum(1 for argv in self.ran if argv[: len(words)] == words)


class Project:
    """A module with a replaced dependency, embedded files and build tags, and what has been done to it."""

    def __init__(self, top: Path) -> None:
        need_tool("go")
        self.top = top
        self.app = top / "project" / "app"
        self.environment = {**os.environ, "GOPROXY": "off", "GOENV": str(top / "goenv")}
        self.environment.pop("GOFLAGS", None)
        self.flags = GoFlags()
        self.runner = CountingRunner()
        write(self.app / "go.mod", "module example.com/app\n\ngo 1.21\n\nrequire example.com/dep v0.0.0\n\n"
              "replace example.com/dep => ../dep\n")  # fmt: skip
        write(self.app / "main.go", MAIN)
        write(self.app / "lib" / "lib.go", 'package lib\n\nvar Name = "lib 1"\n')
        write(self.app / "lib" / "tagged.go", '//go:build special\n\npackage lib\n\nfunc init() { Name = "tagged" }\n')
        write(self.app / "static" / "one", "1")
        write(self.app / "static" / ".hidden", "1")
        write(self.app / "static" / "deep" / "two", "2")
        write(self.app / "texts" / "a.txt", "a")
        write(self.app / "literal" / "sub" / "file", "literal 1")
        write(self.app / "README.md", "read me")
        for name in ("dep", "other"):
            write(top / "project" / name / "go.mod", "module example.com/dep\n\ngo 1.21\n")
            write(top / "project" / name / "dep.go", f'package dep\n\nvar Name = "{name} 1"\n')
        time.sleep(TICK)

    def go(self) -> Go:
        toolchain = find_toolchain(self.environment, self.runner, python_path=sys.path)
        return Go(toolchain, runner=self.runner, environment=self.environment, cache=str(self.top / "cache"))

    def wingo(self) -> tuple[Binary, ...] | None:
        """What wingo says the program is; None when it cannot be built."""
        try:
            go = self.go()
            (checked,) = go.check(go.requests(["."], str(self.app), [PLATFORM], self.flags))
            return checked.binaries if checked.fresh else go.build(checked).binaries
        except WingoError:
            return None

    def fresh(self) -> bool:
        go = self.go()
        return go.check(go.requests(["."], str(self.app), [PLATFORM], self.flags))[0].fresh

    def reference(self) -> str | None:
        """The digest of what `go build` makes now; None when it fails."""
        out = self.top / "reference.exe"
        flags = ["-trimpath", "-ldflags=" + " ".join(("-s -w -buildid=", *self.flags.ldflags))]
        if self.flags.tags:
            flags.append("-tags=" + ",".join(self.flags.tags))
        done = subprocess.run(
            [need_tool("go"), "build", *flags, "-o", str(out), "."],
            cwd=self.app,
            env={**self.environment, "CGO_ENABLED": "0", "GOOS": "windows", "GOARCH": "amd64"},
            capture_output=True,
            check=False,
        )
        return hashlib.sha256(out.read_bytes()).hexdigest() if done.returncode == 0 else None

    def agree(self) -> None:
        """wingo's program is go's, and when wingo has nothing, go fails, too."""
        made = self.wingo()
        assert (made[0].sha256 if made else None) == self.reference()
        if made:
            assert hashlib.sha256(Path(made[0].path).read_bytes()).hexdigest() == made[0].sha256


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def replaced(path: Path, old: str, new: str) -> None:
    if path.exists():
        path.write_text(path.read_text().replace(old, new))


def toggle(path: Path, text: str) -> None:
    if path.exists():
        path.unlink()
    else:
        write(path, text)


def swap(path: Path, one: str, other: str) -> None:
    """An edit that keeps the size, and puts the old modification time back."""
    if path.exists():
        times = path.stat()
        text = path.read_text()
        path.write_text(text.replace(one, other) if one in text else text.replace(other, one))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def moved(path: Path, name: str) -> None:
    other = path.with_name(name)
    if path.exists():
        path.rename(other)
    elif other.exists():
        other.rename(path)


def linked(path: Path, top: Path) -> None:
    if path.is_symlink() or not path.exists():
        return
    copy = top / f"copy-{path.name}"
    shutil.copy(path, copy)
    path.unlink()
    path.symlink_to(copy)


def change_environment(project: Project, name: str, value: str) -> None:
    if project.environment.get(name) == value:
        del project.environment[name]
    else:
        project.environment[name] = value


def change_flags(project: Project, **new: tuple[str, ...]) -> None:
    field, value = next(iter(new.items()))
    now: tuple[str, ...] = () if getattr(project.flags, field) else value
    project.flags = GoFlags(**{"tags": project.flags.tags, "ldflags": project.flags.ldflags, field: now})


def vendored(project: Project) -> None:
    vendor = project.app / "vendor"
    if vendor.exists():
        shutil.rmtree(vendor)
    else:
        shutil.copytree(project.top / "project" / "dep", vendor / "example.com" / "dep")
        write(vendor / "modules.txt", "# example.com/dep v0.0.0 => ../dep\n## explicit; go 1.21\nexample.com/dep\n"
              "# example.com/dep => ../dep\n")  # fmt: skip


def linked_directory(project: Project) -> None:
    """`dep` becomes a link to one directory, then to another."""
    dep = project.top / "project" / "dep"
    if dep.is_symlink():
        target = dep.readlink()
        dep.unlink()
        dep.symlink_to("other" if target.name == "dep.real" else "dep.real")
    else:
        dep.rename(dep.with_name("dep.real"))
        dep.symlink_to("dep.real")


def damage(project: Project) -> None:
    for record in (project.top / "cache").glob("*/record"):
        data = bytearray(record.read_bytes())
        data[len(data) // 2] ^= 1
        record.write_bytes(data)


def lose(project: Project) -> None:
    for program in (project.top / "cache").glob("*/*/*.exe"):
        program.unlink()


def spoil(project: Project) -> None:
    for program in (project.top / "cache").glob("*/*/*.exe"):
        program.write_bytes(b"MZ" + bytes(program.stat().st_size - 2))


ACTIONS: dict[str, Callable[[Project], None]] = {
    "nothing": lambda p: None,
    "edit main": lambda p: replaced(p.app / "main.go", '"main 1"', '"main 2"'),
    "revert main": lambda p: replaced(p.app / "main.go", '"main 2"', '"main 1"'),
    "edit lib unseen": lambda p: swap(p.app / "lib" / "lib.go", '"lib 1"', '"lib 2"'),
    "edit dep unseen": lambda p: swap(p.top / "project" / "dep" / "dep.go", " 1", " 2"),
    "edit the other dep": lambda p: swap(p.top / "project" / "other" / "dep.go", " 1", " 2"),
    "import more": lambda p: replaced(p.app / "lib" / "lib.go", "package lib\n", 'package lib\n\nimport _ "os/user"\n'),
    "break": lambda p: replaced(p.app / "lib" / "lib.go", "var Name", "var Name 1"),
    "mend": lambda p: replaced(p.app / "lib" / "lib.go", "var Name 1", "var Name"),
    "a file more": lambda p: toggle(p.app / "lib" / "more.go", 'package lib\n\nfunc init() { Name += "more" }\n'),
    "a test more": lambda p: toggle(p.app / "lib" / "more_test.go", "package lib\n"),
    "a file for another system": lambda p: toggle(p.app / "lib" / "x_linux.go", 'package lib\n\nvar Name = "2"\n'),
    "rename into the build": lambda p: moved(p.app / "lib" / "x_linux.go", "x_windows.go"),
    "rename out of the build": lambda p: moved(p.app / "lib" / "more.go", "more.txt"),
    "touch": lambda p: os.utime(p.app / "main.go") if (p.app / "main.go").exists() else None,
    "mode": lambda p: (p.app / "main.go").chmod(0o600),
    "constraint": lambda p: swap(p.app / "lib" / "tagged.go", "//go:build special", "//go:build windows"),
    "no constraint": lambda p: replaced(p.app / "lib" / "tagged.go", "//go:build special", "// go:build special"),
    "tag": lambda p: change_flags(p, tags=("special",)),
    "ldflags": lambda p: change_flags(p, ldflags=("-X main.extra=x",)),
    "GOFLAGS": lambda p: change_environment(p, "GOFLAGS", "-tags=special"),
    "GOAMD64": lambda p: change_environment(p, "GOAMD64", "v3"),
    "a variable that means nothing": lambda p: change_environment(p, "LANGUAGE", "eo"),
    "go/env": lambda p: toggle(p.top / "goenv", "GOFLAGS=-tags=special\n"),
    "embedded edit": lambda p: swap(p.app / "static" / "one", "1", "2"),
    "embedded more": lambda p: toggle(p.app / "static" / "deep" / ".more", "more"),
    "embedded deeper": lambda p: toggle(p.app / "static" / "new" / "er" / "file", "more"),
    "glob more": lambda p: toggle(p.app / "texts" / "b.txt", "b"),
    "glob other": lambda p: toggle(p.app / "texts" / "b.md", "b"),
    "glob rename": lambda p: moved(p.app / "texts" / "a.txt", "c.txt"),
    "module in embedded": lambda p: toggle(p.app / "static" / "deep" / "go.mod", "module example.com/deep\n"),
    "literal edit": lambda p: swap(p.app / "literal" / "sub" / "file", " 1", " 2"),
    "module above a literal": lambda p: toggle(p.app / "literal" / "go.mod", "module example.com/literal\n"),
    "readme": lambda p: toggle(p.app / "README.md", "other"),
    "go.mod version": lambda p: swap(p.app / "go.mod", "go 1.21", "go 1.22"),
    "go.mod debug": lambda p: replaced(p.app / "go.mod", "go 1.21\n", "go 1.21\n\ngodebug panicnil=1\n"),
    "replace": lambda p: replaced(p.app / "go.mod", "../dep", "../other"),
    "replace back": lambda p: replaced(p.app / "go.mod", "../other", "../dep"),
    "dep needs newer go": lambda p: replaced(p.top / "project" / "dep" / "go.mod", "go 1.21", "go 1.22"),
    "nested module": lambda p: toggle(p.app / "lib" / "go.mod", "module example.com/nested\n"),
    "workspace": lambda p: toggle(p.top / "project" / "go.work", "go 1.22\n\nuse (\n\t./app\n\t./other\n)\n"),
    "workspace far": lambda p: toggle(p.top / "go.work", "go 1.22\n\nuse ./project/app\n"),
    "GOWORK off": lambda p: change_environment(p, "GOWORK", "off"),
    "vendor": vendored,
    "vendor edit": lambda p: swap(p.app / "vendor" / "example.com" / "dep" / "dep.go", " 1", " 2"),
    "link": lambda p: linked(p.app / "lib" / "lib.go", p.top),
    "edit behind the link": lambda p: swap(p.top / "copy-lib.go", '"lib 1"', '"lib 2"'),
    "dep is a link": linked_directory,
    "shadow directory": lambda p: toggle(p.app / "lib" / "deeper" / "x.go", "package deeper\n"),
    "profile": lambda p: toggle(p.app / "default.pgo", "not a profile"),
    "damaged record": damage,
    "lost program": lose,
    "damaged program": spoil,
}


@pytest.mark.timeout(1800)
@settings(
    max_examples=int(os.environ.get("GOLANG_EXAMPLES", "8")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(st.lists(st.sampled_from(sorted(ACTIONS)), min_size=1, max_size=6), st.booleans())
def test_random_edits(tmp_path_factory: pytest.TempPathFactory, actions: list[str], patient: bool) -> None:
    project = Project(tmp_path_factory.mktemp("edits"))
    project.agree()
    for action in actions:
        ACTIONS[action](project)
        if patient:
            time.sleep(TICK)
        project.agree()
    shutil.rmtree(project.top)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_each_edit_from_a_known_state(project: Project, action: str) -> None:
    assert project.wingo()
    assert project.fresh()
    ACTIONS[action](project)
    time.sleep(TICK)
    project.agree()
    ACTIONS[action](project)
    time.sleep(TICK)
    project.agree()


def test_an_unchanged_build_runs_no_process(project: Project) -> None:
    assert project.wingo()
    project.runner.ran.clear()
    assert project.wingo()
    assert project.runner.ran == []


@pytest.mark.parametrize("action", ["touch", "mode", "readme", "a test more", "a variable that means nothing"])
def test_what_cannot_matter_runs_no_process(project: Project, action: str) -> None:
    assert project.wingo()
    project.runner.ran.clear()
    ACTIONS[action](project)
    assert project.wingo()
    assert project.runner.ran == []


@pytest.mark.parametrize("action", ["edit main", "edit lib unseen", "embedded edit", "edit dep unseen"])
def test_an_edit_of_contents_runs_one_go_build_and_no_go_list(project: Project, action: str) -> None:
    assert project.wingo()
    project.runner.ran.clear()
    ACTIONS[action](project)
    time.sleep(TICK)
    assert project.wingo()
    assert [argv[:2] for argv in project.runner.ran] == [("go", "build")]
    project.runner.ran.clear()
    project.agree()
    assert project.runner.ran == []


def test_an_edit_during_the_build_is_seen_by_the_next(project: Project) -> None:
    project.runner.meanwhile = lambda: swap(project.app / "lib" / "lib.go", '"lib 1"', '"lib 2"')
    assert project.wingo()
    project.runner.meanwhile = None
    assert not project.fresh()
    project.agree()


def test_an_edit_during_a_rebuild_is_seen_by_the_next(project: Project) -> None:
    assert project.wingo()
    ACTIONS["edit main"](project)
    time.sleep(TICK)
    project.runner.meanwhile = lambda: swap(project.app / "static" / "one", "1", "2")
    assert project.wingo()
    project.runner.meanwhile = None
    assert not project.fresh()
    project.agree()


def test_the_stamp_follows_version_control(project: Project) -> None:
    git = need_tool("git")
    # Only what is asked of git itself matters here: a person who commits, not their configuration.
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main")

    def run(*arguments: str) -> None:
        subprocess.run([git, *identity, *arguments], cwd=project.app, check=True, capture_output=True)

    project.environment["GOPROXY"] = "direct"  # with "off", go makes no version from tags
    run("init")
    run("add", ".")
    run("commit", "-m", "one")
    time.sleep(TICK)
    steps: tuple[Callable[[], object], ...] = (
        lambda: None,
        lambda: write(project.app / "notes.txt", "untracked: the stamp says modified"),
        (project.app / "notes.txt").unlink,
        lambda: run("tag", "v1.2.3"),  # Go 1.24 and newer make the version of it
        lambda: run("commit", "--allow-empty", "-m", "two"),
        lambda: run("tag", "-d", "v1.2.3"),
        lambda: run("checkout", "HEAD~1"),
    )
    seen = set()
    for step in steps:
        step()
        time.sleep(TICK)
        project.agree()
        project.runner.ran.clear()
        project.agree()
        assert [argv[:2] for argv in project.runner.ran] == [("git", "status")]
        made = project.wingo()
        assert made is not None
        assert made[0].vcs is not None
        seen.add(made[0].sha256)
    assert len(seen) == 5
    change_environment(project, "GOFLAGS", "-buildvcs=false")
    project.agree()
    project.runner.ran.clear()
    project.agree()
    assert project.runner.ran == []
