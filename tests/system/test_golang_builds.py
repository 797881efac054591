"""Real builds: what go is given, what comes out, and what is said when it cannot be."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.needs import need_tool
from wingo.errors import HostError, RemoteError, RequestError
from wingo.golang import Binary, Built, Completed, Go, GoFlags, find_toolchain
from wingo.processes import ProcessRunner

LINUX = ("linux", "amd64", "")
WINDOWS = ("windows", "amd64", "")
MAIN = "package main\n\nfunc main() {}\n"


class Recorder(ProcessRunner):
    """Remembers what it ran."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[tuple[str, ...]] = []

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        self.ran.append((os.path.basename(argv[0]), *argv[1:]))
        return super().run(argv, cwd=cwd, env=env, input=input)


class World:
    """A directory of modules, a cache, an environment."""

    def __init__(self, top: Path) -> None:
        need_tool("go")
        self.top = top
        self.cache = top / "cache"
        self.environment = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-modcacherw", "GOSUMDB": "off"}
        self.runner = Recorder()

    def write(self, path: str, text: str) -> Path:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def go(self) -> Go:
        toolchain = find_toolchain(self.environment, self.runner, python_path=sys.path)
        return Go(toolchain, runner=self.runner, environment=self.environment, cache=str(self.cache))

    def build(
        self,
        where: str,
        *targets: str,
        platform: tuple[str, str, str] = LINUX,
        flags: GoFlags = GoFlags(),  # noqa: B008
    ) -> Built:
        go = self.go()
        (checked,) = go.check(go.requests(targets, str(self.top / where), [platform], flags))
        return Built(checked.binaries, checked.notes) if checked.fresh else go.build(checked)

    def refused(self, where: str, *targets: str, **options: object) -> RequestError:
        with pytest.raises(RequestError) as caught:
            self.build(where, *targets, **options)  # type: ignore[arg-type]
        assert "Traceback" not in str(caught.value)
        assert not list(self.cache.glob("*/work-*")), "nothing half-made stays"
        return caught.value


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.write("app/go.mod", "module example.com/app\n\ngo 1.21\n")
    made.write("app/main.go", MAIN)
    return made


def output_of(binary: Binary, **environment: str) -> str:
    done = subprocess.run([binary.path], check=True, capture_output=True, env=environment, text=True)
    return done.stdout + done.stderr


def build_info(binary: Binary) -> str:
    return subprocess.run(
        [need_tool("go"), "version", "-m", binary.path], check=True, capture_output=True, text=True
    ).stdout


def test_every_main_package_of_a_pattern_in_one_go_build(world: World) -> None:
    for name in ("one", "two"):
        world.write(f"app/cmd/{name}/main.go", MAIN)
    world.write("app/lib/lib.go", "package lib\n")
    built = world.build("app", "./...", platform=WINDOWS)
    assert [(binary.import_path, binary.name, os.path.basename(binary.path)) for binary in built.binaries] == [
        ("example.com/app", "app", "app.exe"),
        ("example.com/app/cmd/one", "one", "one.exe"),
        ("example.com/app/cmd/two", "two", "two.exe"),
    ]
    assert [argv[1] for argv in world.runner.ran].count("build") == 1
    assert {binary.module for binary in built.binaries} == {"example.com/app"}
    assert built.binaries[1].directory == str(world.top / "app" / "cmd" / "one")
    for binary in built.binaries:
        data = Path(binary.path).read_bytes()
        assert data.startswith(b"MZ")
        assert (len(data), hashlib.sha256(data).hexdigest()) == (binary.size, binary.sha256)


def test_a_new_main_package_of_a_pattern_is_noticed(world: World) -> None:
    world.write("app/cmd/one/main.go", MAIN)
    assert len(world.build("app", "./...").binaries) == 2
    world.write("app/cmd/deep/er/main.go", MAIN)
    assert len(world.build("app", "./...").binaries) == 3


def test_programs_of_one_name_do_not_overwrite_each_other(world: World) -> None:
    for name in ("a", "b"):
        world.write(f"app/{name}/server/main.go", f'package main\n\nfunc main() {{ print("{name}") }}\n')
    built = world.build("app", "./a/server", "./b/server")
    assert [output_of(binary) for binary in built.binaries] == ["a", "b"]


def test_targets_may_lie_in_other_modules_and_workspaces(world: World) -> None:
    world.write("ws/go.work", "go 1.21\n\nuse (\n\t./x\n\t./y\n)\n")
    world.write("ws/x/go.mod", "module example.com/x\n\ngo 1.21\n")
    world.write("ws/x/main.go", 'package main\n\nimport "example.com/y/lib"\n\nfunc main() { print(lib.Name) }\n')
    world.write("ws/y/go.mod", "module example.com/y\n\ngo 1.21\n")
    world.write("ws/y/lib/lib.go", 'package lib\n\nconst Name = "of y"\n')
    world.write("ws/y/cmd/main.go", MAIN)
    built = world.build("app", "../ws/x", "../ws/y/cmd")
    assert output_of(built.binaries[0]) == "of y"
    assert [binary.module for binary in built.binaries] == ["example.com/x", "example.com/y"]


def test_vendored_modules_are_used(world: World) -> None:
    world.write("app/go.mod", "module example.com/app\n\ngo 1.21\n\nrequire example.com/dep v1.0.0\n")
    world.write("app/vendor/modules.txt", "# example.com/dep v1.0.0\n## explicit; go 1.21\nexample.com/dep\n")
    world.write("app/vendor/example.com/dep/dep.go", 'package dep\n\nconst Name = "vendored"\n')
    world.write("app/main.go", 'package main\n\nimport "example.com/dep"\n\nfunc main() { print(dep.Name) }\n')
    assert output_of(world.build("app").binaries[0]) == "vendored"


def test_templates_and_flags_reach_the_program(world: World) -> None:
    git = need_tool("git")
    world.write(
        "app/main.go",
        'package main\n\nvar v, c, d, e string\n\nfunc main() { print(v, " ", c, " ", d, " ", e) }\n',
    )
    for arguments in (
        ("init", "-q"),
        ("add", "."),
        ("commit", "-q", "-m", "one"),
        ("tag", "v1.2.3"),
    ):
        subprocess.run(
            [git, "-c", "user.name=T", "-c", "user.email=t@example.com", *arguments],
            cwd=world.top / "app",
            check=True,
            env={**os.environ, "GIT_COMMITTER_DATE": "1700000000 +0000"},
        )
    commit = subprocess.run(
        [git, "rev-parse", "HEAD"], cwd=world.top / "app", check=True, capture_output=True, text=True
    ).stdout.strip()
    flags = GoFlags(
        ldflags=("-X main.v={{.Version}} -X main.c={{.Git.ShortCommit}}", "-X main.d={{.Date}} -X main.e={{.Env.E}}")
    )
    world.environment["E"] = "env"
    built = world.build("app", flags=flags)
    assert output_of(built.binaries[0]) == f"v1.2.3 {commit[:7]} 2023-11-14T22:13:20Z env"
    assert built.binaries[0].vcs is not None
    assert built.binaries[0].vcs.revision == commit
    assert f"vcs.revision={commit}" in build_info(built.binaries[0])
    world.environment["SOURCE_DATE_EPOCH"] = "0"
    assert "1970-01-01T00:00:00Z" in output_of(world.build("app", flags=flags).binaries[0])


def test_templates_outside_of_git_are_an_error_and_the_date_is_not(world: World) -> None:
    caught = world.refused("app", flags=GoFlags(ldflags=("-X main.v={{.Commit}}",)))
    assert "needs a git commit" in str(caught)
    assert world.build("app", flags=GoFlags(ldflags=("-X main.v={{.Date}}",))).binaries


def test_symbols_are_kept_when_asked_for(world: World) -> None:
    small, large = world.build("app").binaries[0], world.build("app", flags=GoFlags(keep_symbols=True)).binaries[0]
    assert large.size > small.size * 1.2


def test_broken_code_gives_the_compilers_lines(world: World) -> None:
    world.write("app/lib/lib.go", 'package lib\n\nfunc F() int { return "text" }\n')
    world.write("app/main.go", 'package main\n\nimport "example.com/app/lib"\n\nfunc main() { lib.G() }\n')
    caught = world.refused("app")
    assert "lib/lib.go:3:23: cannot use" in str(caught)
    world.write("app/main.go", "package main\n\nfunc main() {\n")
    assert "main.go:4:1: syntax error: unexpected EOF" in str(world.refused("app"))


def test_a_failed_build_keeps_the_last_programs_record(world: World) -> None:
    good = world.build("app").binaries[0]
    world.write("app/main.go", MAIN + "broken")
    world.refused("app")
    assert Path(good.path).is_file()
    world.write("app/main.go", MAIN)
    assert world.build("app").binaries[0].sha256 == good.sha256


def test_a_library_is_no_program_and_programs_below_are_named(world: World) -> None:
    (world.top / "app" / "main.go").unlink()
    world.write("app/lib.go", "package app\n")
    world.write("app/cmd/tool/main.go", MAIN)
    caught = world.refused("app")
    assert ". is a library (package app)" in str(caught)
    assert "example.com/app/cmd/tool" in str(caught)
    assert "has no main package" in str(world.refused("app", "./lib..."))
    world.write("app/docs/README.md", "nothing")
    assert "no Go files" in str(world.refused("app", "./docs"))


def test_an_unknown_import_path_is_gos_error(world: World) -> None:
    assert "example.com/elsewhere" in str(world.refused("app", "example.com/elsewhere/cmd"))


def test_no_module_is_said_with_a_hint(world: World) -> None:
    world.write("loose/main.go", MAIN)
    caught = world.refused("loose")
    assert "go.mod" in str(caught)
    assert caught.hint


def test_a_main_package_for_another_system_only(world: World) -> None:
    world.write("app/cmd/svc/main_windows.go", MAIN)
    assert len(world.build("app", "./...").binaries) == 1
    assert len(world.build("app", "./...", platform=WINDOWS).binaries) == 2
    assert "build constraints exclude" in str(world.refused("app", "./cmd/svc"))


@pytest.mark.parametrize("half", [False, True])
def test_cgo_that_is_needed_and_off(world: World, *, half: bool) -> None:
    world.write("app/c/c.go", 'package c\n\n// int x = 1;\nimport "C"\n\nvar X = int(C.x)\n')
    if half:
        world.write("app/c/pure.go", "package c\n\nvar Y = X\n")
    world.write("app/main.go", 'package main\n\nimport "example.com/app/c"\n\nfunc main() { print(c.X) }\n')
    caught = world.refused("app", platform=WINDOWS)
    assert "cgo" in str(caught)
    assert "CGO_ENABLED=1" in caught.hint


def test_a_build_with_cgo_is_never_taken_for_unchanged(world: World) -> None:
    need_tool("gcc")
    world.write("app/main.go", 'package main\n\n// int x = 1;\nimport "C"\n\nfunc main() { print(C.x) }\n')
    flags = GoFlags(env=(("CGO_ENABLED", "1"),))
    first = world.build("app", flags=flags)
    assert "cgo" in first.kept
    world.runner.ran.clear()
    world.build("app", flags=flags)
    assert "build" in [argv[1] for argv in world.runner.ran]


def test_zones_are_compiled_in_where_they_are_looked_up(world: World) -> None:
    world.write(
        "app/main.go",
        'package main\n\nimport "time"\n\nfunc main() { l, err := time.LoadLocation("Europe/Oslo"); print(l, err) }\n',
    )
    built = world.build("app", platform=WINDOWS)
    assert "-tags=timetzdata" in build_info(built.binaries[0])
    assert "timetzdata" in built.notes[0]
    assert "app" in built.notes[0]
    again = world.build("app", platform=WINDOWS)
    assert again.notes == built.notes, "said each time"
    assert not world.build("app").notes, "Linux images have their zones as files"
    source = (world.top / "app" / "main.go").read_text()
    world.write("app/main.go", source.replace('import "time"', 'import (\n\t"time"\n\t_ "time/tzdata"\n)'))
    assert not world.build("app", platform=WINDOWS).notes
    world.write("app/main.go", MAIN)
    built = world.build("app", platform=WINDOWS)
    assert not built.notes
    assert "timetzdata" not in build_info(built.binaries[0])
    world.write("app/main.go", MAIN.replace("package main\n", 'package main\n\nimport "time"\n').replace(
        "{}", "{ time.Sleep(1) }"))  # fmt: skip
    assert not world.build("app", platform=WINDOWS).notes
    world.write("app/main.go", source)
    assert world.build("app", platform=WINDOWS).notes


def test_a_newer_go_than_there_is(world: World) -> None:
    world.environment["GOTOOLCHAIN"] = "local"
    world.write("app/go.mod", "module example.com/app\n\ngo 1.999\n")
    with pytest.raises(HostError, match=r"go >= 1\.999") as caught:
        world.build("app")
    assert caught.value.hint


def test_a_cache_that_cannot_be_written(world: World) -> None:
    world.cache.write_text("in the way")
    with pytest.raises(HostError, match="cannot write to the cache"):
        world.build("app")


def test_builds_side_by_side_in_one_cache(world: World) -> None:
    world.write("app/cmd/tool/main.go", MAIN)
    results: list[Built | BaseException] = []

    def work() -> None:
        try:
            results.append(world.build("app", "./..."))
        except BaseException as error:  # noqa: BLE001  (told below)
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    digests = set()
    for result in results:
        assert isinstance(result, Built), result
        for binary in result.binaries:
            assert hashlib.sha256(Path(binary.path).read_bytes()).hexdigest() == binary.sha256
            digests.add(binary.sha256)
    assert len(results) == 4
    assert not list(world.cache.glob("*/work-*"))


# -- published programs, from a module proxy on disk ---------------------------------------------------------------------


def publish(world: World, module: str, version: str, files: dict[str, str]) -> None:
    """Puts a module version into the proxy."""
    folder = world.top / "proxy" / module / "@v"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{version}.info").write_text(
        f'{{"Version":"{version}","Time":"2026-01-02T03:04:05Z","Origin":{{"VCS":"git",'
        f'"URL":"https://user:secret@{module}.git","Hash":"{hashlib.sha1(version.encode()).hexdigest()}"}}}}'
    )
    (folder / f"{version}.mod").write_text(files["go.mod"])
    with zipfile.ZipFile(folder / f"{version}.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{module}@{version}/{name}", text)
    listed = folder / "list"
    old = listed.read_text() if listed.exists() else ""
    listed.write_text(f"{old}{version}\n")
    world.environment["GOPROXY"] = f"file://{world.top / 'proxy'}"
    world.environment["GOMODCACHE"] = str(world.top / "modcache")


PUBLISHED = {
    "go.mod": "module example.com/pub/v2\n\ngo 1.21\n",
    "main.go": 'package main\n\nvar v string\n\nfunc main() { print("pub ", v) }\n',
    "cmd/Tool/main.go": MAIN,
    "other/Tool/main.go": 'package main\n\nfunc main() { print("other") }\n',
    "lib/lib.go": "package lib\n",
}


def test_a_published_program_of_an_exact_version(world: World) -> None:
    publish(world, "example.com/pub/v2", "v2.0.1", PUBLISHED)
    flags = GoFlags(ldflags=("-X main.v={{.Version}}",))
    targets = ("example.com/pub/v2@v2.0.1", "example.com/pub/v2/cmd/Tool@v2.0.1")
    built = world.build("app", *targets, flags=flags)
    assert output_of(built.binaries[0]) == "pub v2.0.1"
    assert [(binary.name, binary.version, binary.module) for binary in built.binaries] == [
        ("pub", "v2.0.1", "example.com/pub/v2"),
        ("Tool", "v2.0.1", "example.com/pub/v2"),
    ]
    assert os.path.isdir(built.binaries[1].directory)
    vcs = built.binaries[0].vcs
    assert vcs is not None
    assert (len(vcs.revision), vcs.source) == (40, "https://example.com/pub/v2")
    world.runner.ran.clear()
    again = world.build("app", *targets)
    assert again.binaries
    world.runner.ran.clear()
    assert world.build("app", *targets) == again
    assert world.runner.ran == [], "an exact version needs no query"


@pytest.mark.parametrize("platform", [LINUX, WINDOWS, ("linux", "arm64", "")])
def test_a_published_program_for_any_platform_even_with_gobin(world: World, platform: tuple[str, str, str]) -> None:
    publish(world, "example.com/pub/v2", "v2.0.1", PUBLISHED)
    world.environment["GOBIN"] = str(world.top / "bin")
    env_file = world.write("goenv", f"GOBIN={world.top / 'bin'}\nGOFLAGS=-modcacherw\n")
    world.environment["GOENV"] = str(env_file)
    assert world.build("app", "example.com/pub/v2@v2.0.1", platform=platform).binaries[0].size > 100_000
    assert not (world.top / "bin").exists()


def test_published_programs_of_one_name_do_not_overwrite_each_other(world: World) -> None:
    publish(world, "example.com/pub/v2", "v2.0.1", PUBLISHED)
    targets = ("example.com/pub/v2/cmd/Tool@v2.0.1", "example.com/pub/v2/other/Tool@v2.0.1")
    assert [output_of(binary) for binary in world.build("app", *targets).binaries] == ["", "other"]


def test_latest_moves(world: World) -> None:
    publish(world, "example.com/pub/v2", "v2.0.1", PUBLISHED)
    assert world.build("app", "example.com/pub/v2@latest").binaries[0].version == "v2.0.1"
    world.runner.ran.clear()
    assert world.build("app", "example.com/pub/v2@latest").binaries[0].version == "v2.0.1"
    assert [argv[1:3] for argv in world.runner.ran] == [("list", "-m")], "one query and no build"
    publish(world, "example.com/pub/v2", "v2.1.0", PUBLISHED)
    assert world.build("app", "example.com/pub/v2@latest").binaries[0].version == "v2.1.0"


def test_a_published_program_gets_its_zones(world: World) -> None:
    source = 'package main\n\nimport "time"\n\nfunc main() { l, _ := time.LoadLocation("Asia/Tokyo"); print(l) }\n'
    publish(world, "example.com/pub/v2", "v2.0.1", {**PUBLISHED, "main.go": source})
    built = world.build("app", "example.com/pub/v2@v2.0.1", platform=WINDOWS)
    assert built.notes
    assert "-tags=timetzdata" in build_info(built.binaries[0])


def test_published_with_replace_is_refused_with_gos_words(world: World) -> None:
    files = {**PUBLISHED, "go.mod": PUBLISHED["go.mod"] + "\nreplace example.com/x => ../x\n"}
    publish(world, "example.com/pub/v2", "v2.0.1", files)
    caught = world.refused("app", "example.com/pub/v2@v2.0.1")
    assert "replace" in str(caught)
    assert "Clone the repository" in caught.hint


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("example.com/pub/v2/lib@v2.0.1", "not a main package"),
        ("example.com/pub/v2@v2.9.9", "v2.9.9"),
        ("example.com/pub/v2/nothing@v2.0.1", "nothing"),
        ("example.com/never/was@latest", "example.com/never/was"),
    ],
)
def test_published_programs_that_are_not_there(world: World, target: str, said: str) -> None:
    publish(world, "example.com/pub/v2", "v2.0.1", PUBLISHED)
    assert said in str(world.refused("app", target))


def test_a_proxy_that_is_down(world: World) -> None:
    world.environment |= {"GOPROXY": "http://127.0.0.1:9", "GOMODCACHE": str(world.top / "modcache")}
    with pytest.raises(RemoteError, match="could not fetch modules") as caught:
        world.build("app", "example.com/pub/v2@latest")
    assert caught.value.temporary
