"""`[policy]`, the database of vulnerabilities, and the rules over them."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.checks.policies import CALLS, EXEC, GRAPH, KEY, database_files, image
from wingo.binary.buildinfo import BuildInfo, read_build_info
from wingo.binary.functions import package_of, unescaped
from wingo.binary.read import open_program
from wingo.check.capabilities import Packages
from wingo.check.demands import Demands, is_below, read_demands
from wingo.check.finding import Severity
from wingo.check.imports import ImportGraph
from wingo.check.policy import Policy
from wingo.check.vulnerabilities import Contents, Vulnerabilities, go_version, reached, semantic
from wingo.errors import ContentError, RequestError
from wingo.image.model import Image
from wingo.pipeline.checking import check_artifact
from wingo.pipeline.demanding import open_vulnerabilities
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.host import FakeHost
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_pe

Find = Callable[[Image, Demands], dict[str, str]]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))

    def found(image: Image, demands: Demands) -> dict[str, str]:
        with Places(host, Settings()) as places:
            report = check_artifact("a test", image, places, Policy(), 1_700_000_000.0, (), demands)
        return {each.rule: each.message for each in report.findings if each.rule[:4] in ("WGO6", "WGO3")}

    return found


def test_a_denied_capability_with_the_way_to_it(find: Find) -> None:
    demands = Demands(("exec",), imports={KEY: GRAPH})
    found = find(image(*EXEC, calls=CALLS), demands)
    assert found["WGO601"] == (
        "app starts other programs (exec), which the policy denies; brought by "
        "example.com/app → example.com/app/internal → example.com/lib/run"
    )
    assert find(image(*EXEC, calls=CALLS), Demands(("exec",)))["WGO601"].endswith("brought by example.com/lib/run")
    assert find(image("main.main"), demands) == {}


def test_an_allowed_package(find: Find) -> None:
    assert find(image(*EXEC, calls=CALLS), Demands(("exec",), {"exec": ("example.com/lib",)})) == {}
    assert "WGO601" in find(image(*EXEC, calls=CALLS), Demands(("exec",), {"exec": ("example.com/library",)}))
    # Nobody is seen to call it: then nobody is allowed.
    assert "WGO601" in find(image(*EXEC), Demands(("exec",), {"exec": ("example.com/lib",)}))


def test_denied_packages_and_modules(find: Find) -> None:
    functions = ("main.main", "net/http/pprof.Index", "example.com/lib/run.Do")
    assert find(image(*functions), Demands(("net/http/pprof",)))["WGO602"] == (
        "app has the package net/http/pprof, which the policy denies"
    )
    found = find(image(*functions), Demands(("example.com/lib",), imports={KEY: GRAPH}))
    assert found["WGO602"] == (
        "app has the module example.com/lib v1.2.0 "
        "(example.com/app → example.com/app/internal → example.com/lib/run), which the policy denies"
    )
    assert find(image(*functions), Demands(("net/http/pprofx", "example.com/li"))) == {}


def test_a_name_that_the_runtime_lends_is_no_package(find: Find) -> None:
    program = make_pe(
        rdata=go_functions([("main.main", 16)], text=PE_BASE + 0x1000, inlined=["os/signal.signal_recv", "a.b/c.F"]),
        data=go_build_info("go1.27.1", "path\texample.com/app\n"),
    )
    assert find(image(raw=program), Demands(("os/signal",))) == {}
    assert set(find(image(raw=program), Demands(("a.b/c",)))) == {"WGO602"}


def test_unsafe_needs_sources(find: Find) -> None:
    with_sources = Demands(("unsafe",), imports={KEY: GRAPH})
    assert find(image("main.main"), with_sources)["WGO601"].endswith(
        "import unsafe, which the policy denies: example.com/app → example.com/app/internal → example.com/lib/run"
    )
    assert (
        find(image("main.main"), Demands(("unsafe",), {"unsafe": ("example.com/lib",)}, None, with_sources.imports))
        == {}
    )
    assert set(find(image("main.main"), Demands(("unsafe",)))) == {"WGO603"}


def test_a_program_that_cannot_be_judged(find: Find) -> None:
    assert set(find(image(raw=make_elf()), Demands(("exec",)))) == {"WGO603"}
    assert find(image(raw=make_elf()), Demands()) == {}


def test_the_table() -> None:
    demands = read_demands(
        {"deny": ["exec", "net/http/pprof", "expvar", "example.com/x/..."], "allow": {"exec": ["a.b/c"]}}
    )
    assert demands.capabilities == ("exec",)
    assert demands.paths == ("net/http/pprof", "expvar", "example.com/x/...")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"deny": ["exce"]}, "Did you mean 'exec'?"),
        ({"deny": ["nonsense"]}, "Capabilities are exec, net"),
        ({"deny": ["a b/c"]}, "anything else is a path"),
        ({"allow": {"exek": []}}, "Did you mean 'exec'?"),
    ],
)
def test_a_wrong_table(table: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_demands(table)
    assert said in caught.value.hint


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"deny": "exec"}, "'deny' is a text, and must be a list"),
        ({"denny": []}, "did you mean 'deny'"),
        ({"allow": {"exec": "x"}}, "'allow.…' is a text, and must be a list"),
        ({"allow": {"exec": ["a b"]}}, "'a b' is no package"),
    ],
)
def test_a_table_of_the_wrong_shape(table: dict[str, object], said: str) -> None:
    with pytest.raises(RequestError, match="policy") as caught:
        read_demands(table)
    assert said in str(caught.value)


def test_below() -> None:
    assert is_below("a/b", "a")
    assert is_below("a", "a/...")
    assert not is_below("ab", "a")


def test_chains() -> None:
    assert GRAPH.chain("os") == ("example.com/app", "fmt", "os")
    assert GRAPH.chain("main") == ("example.com/app",)
    assert GRAPH.chain("nowhere") == ()
    assert GRAPH.importers("unsafe") == ("example.com/lib/run",)
    # What only another program imports is not this one's.
    assert ImportGraph("a", {"a": ("b",), "c": ("unsafe",)}).importers("unsafe") == ()


# The database of vulnerabilities.


def database(folder: Path) -> Path:
    for name, data in database_files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in folder.rglob("*.json"):
            archive.write(file, str(file.relative_to(folder)))
    return path


@pytest.mark.parametrize("pack", [lambda folder: folder, zipped], ids=["directory", "zip"])
def test_a_vulnerable_standard_library(find: Find, tmp_path: Path, pack: Callable[[Path], Path]) -> None:
    demands = Demands(vulnerabilities=open_vulnerabilities(str(pack(database(tmp_path / "db")))))
    bad = image("main.main", "net/http.(*Server).Serve")
    assert find(bad, demands)["WGO311"] == (
        "app: GO-2026-0001, CVE-2026-1 in go1.27.1: GO-2026-0001 is bad; it has net/http.(*Server).Serve"
    )
    assert "WGO311" in find(image("main.main", "net/http.Get", version="go1.26.4"), demands)
    assert find(image("main.main", "net/http.Post"), demands) == {}  # none of its functions
    for version in ("go1.26.5", "go1.27.2", "go1.27.2 X:jsonv2"):
        assert find(image("main.main", "net/http.Get", version=version), demands) == {}
    assert find(image("main.main", "os.X"), demands) == {}  # on Windows only
    assert find(bad, Demands()) == {}


def test_a_vulnerable_module(find: Find, tmp_path: Path) -> None:
    demands = Demands(vulnerabilities=open_vulnerabilities(str(database(tmp_path / "db"))))
    functions = ("main.main", "gopkg.in/yaml%2ev3.Unmarshal")
    found = find(image(*functions, deps="dep\tgopkg.in/yaml.v3\tv3.0.0\th1:x=\n"), demands)
    assert "GO-2026-0004 in gopkg.in/yaml.v3 v3.0.0" in found["WGO312"]
    assert find(image(*functions, deps="dep\tgopkg.in/yaml.v3\tv3.0.1\th1:x=\n"), demands) == {}
    assert find(image("main.main", deps="dep\tgopkg.in/yaml.v3\tv3.0.0\th1:x=\n"), demands) == {}
    replaced = "dep\tgopkg.in/yaml.v3\tv3.0.0\n=>\texample.com/yaml\tv3.0.0\th1:x=\n"
    assert find(image(*functions, deps=replaced), demands) == {}


def found_in(document: dict[str, object], functions: tuple[str, ...], build: str) -> bool:
    read = database_files([{"id": "GO-2026-0009", **document}]).get
    info = decoded(build)
    instead = info.deps[0].replace.path if info.deps[0].replace is not None else ""
    packages = frozenset(unescaped(package_of(name)) for name in functions)
    modules = frozenset(map(Packages(info).module_of, packages)) - {""}
    contents = Contents(frozenset(functions), packages, modules, info.path, "linux", "amd64")
    used = info.deps[0].replace or info.deps[0]
    matches = Vulnerabilities(read).matches(used.path, used.version)
    return any(reached(match, contents, info.deps[0].path, instead) for match in matches)


def decoded(build: str) -> BuildInfo:
    program = open_program(make_pe(data=go_build_info("go1.26.1", build)))
    assert program is not None
    info = read_build_info(program)
    assert info is not None
    return info


OLD = "path\texample.com/app/cmd\nmod\texample.com/app\tv1.0.0\t\ndep\texample.com/old\tv1.0.0\th1:x=\n"
FORKED = OLD.replace("\th1:x=", "") + "=>\texample.com/fork\tv1.0.0\th1:x=\n"
ALL = [{"type": "SEMVER", "events": [{"introduced": "0"}]}]


def affected(module: str, imports: list[dict[str, object]] | None = None, ranges: object = ALL) -> dict[str, object]:
    specific = {} if imports is None else {"imports": imports}
    return {"affected": [{"package": {"name": module}, "ranges": ranges, "ecosystem_specific": specific}]}


def test_a_vulnerability_without_packages_is_of_what_was_compiled_in() -> None:
    """As govulncheck has it: go.mod may name a module of which nothing is in the program."""
    document = affected("example.com/old")
    assert found_in(document, ("main.main", "example.com/old/sub.F"), OLD)
    assert not found_in(document, ("main.main", "example.com/older.F"), OLD)


def test_what_takes_a_modules_place_goes_by_the_modules_name() -> None:
    document = affected("example.com/fork", [{"path": "example.com/fork/sub", "symbols": ["F"]}])
    assert found_in(document, ("main.main", "example.com/old/sub.F"), FORKED)
    assert not found_in(document, ("main.main", "example.com/old.F"), FORKED)
    assert found_in(affected("example.com/fork"), ("example.com/old.F",), FORKED)


def test_the_main_package_is_main_in_the_table() -> None:
    document = affected("example.com/old", [{"path": "example.com/app/cmd", "symbols": ["Run"]}])
    assert found_in(document, ("main.main", "main.Run"), OLD)
    assert not found_in(document, ("main.main", "main.Walk"), OLD)


@pytest.mark.parametrize("ranges", [[], [{"type": "ECOSYSTEM", "events": [{"introduced": "9"}]}], [{"type": "SEMVER"}]])
def test_without_versions_all_are_meant(ranges: object) -> None:
    assert found_in(affected("example.com/old", ranges=ranges), ("example.com/old.F",), OLD)


def test_the_main_modules_own_vulnerabilities(find: Find) -> None:
    document = {"id": "GO-2026-0009", "summary": "bad", **affected("example.com/app")}
    demands = Demands(vulnerabilities=Vulnerabilities(database_files([document]).get))
    own = "mod\texample.com/app\t{}\th1:x=\n"
    assert (
        "GO-2026-0009 in example.com/app v1.2.3"
        in find(image("main.main", main=own.format("v1.2.3")), demands)["WGO312"]
    )
    assert find(image("main.main", main=own.format("(devel)")), demands) == {}


def test_without_functions_it_is_a_note(tmp_path: Path) -> None:
    demands = Demands(vulnerabilities=open_vulnerabilities(str(database(tmp_path / "db"))))
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))
    program = make_pe(data=go_build_info("go1.27.1", "path\tx\n"))
    with Places(host, Settings()) as places:
        report = check_artifact("a test", image(raw=program), places, Policy(), 0.0, (), demands)
    severities = {each.rule: each.severity for each in report.findings}
    assert severities["WGO311"] is Severity.NOTE


def test_no_database(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as caught:
        open_vulnerabilities(str(tmp_path / "nowhere.zip"))
    assert "vulndb.zip" in caught.value.hint
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(ContentError, match="no zip file"):
        open_vulnerabilities(str(tmp_path / "text.zip"))
    with pytest.raises(ContentError, match=r"no index/modules\.json"):
        open_vulnerabilities(str(tmp_path))
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "modules.json").write_text("{")
    with pytest.raises(ContentError, match="its index"):
        open_vulnerabilities(str(tmp_path))


def test_a_damaged_document(tmp_path: Path) -> None:
    folder = database(tmp_path / "db")
    (folder / "ID" / "GO-2026-0001.json").write_text('{"id": 1}')
    with pytest.raises(ContentError, match="GO-2026-0001"):
        list(open_vulnerabilities(str(folder)).matches("stdlib", "go1.27.1"))


def test_names_that_lead_out_of_the_database(tmp_path: Path) -> None:
    read: list[str] = []

    def reader(name: str) -> bytes | None:
        read.append(name)
        return b'[{"path":"stdlib","vulns":[{"id":"../../secret"}]}]' if name == "index/modules.json" else None

    assert list(Vulnerabilities(reader).matches("stdlib", "go1.27.1")) == []
    assert read == ["index/modules.json"]


def test_the_order_of_versions() -> None:
    ordered = [
        "0.0.0-0",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "v1.0.1",
        "1.10.0",
    ]
    versions = [semantic(text) for text in ordered]
    assert None not in versions
    assert versions == sorted(versions)
    assert semantic("(devel)") is None
    assert semantic("v2.0.0+incompatible") == semantic("2.0.0")
    assert go_version("go1.22rc1") == semantic("1.22.0-rc.1")
    assert go_version("go1.21") == semantic("1.21.0")
    assert go_version("devel go1.28-abc") == semantic("1.28.0")
    assert go_version("unknown") is None
