"""Programs that go builds, against what go itself says of them: `go version -m`, `go tool nm`, `go list -deps`."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.needs import need_tool
from wingo.binary.facts import Linking, Subsystem
from wingo.binary.functions import FunctionTable, package_of, read_functions, unescaped
from wingo.binary.lazy import Evidence, lazy_libraries
from wingo.binary.program import Program
from wingo.binary.read import open_program, read_build_info
from wingo.check.capabilities import capabilities

GO_MOD = """module example.com/probe

go 1.21

require example.com/lib v1.0.0

replace example.com/lib => ./lib
"""
SOURCES = {
    "go.mod": GO_MOD,
    "lib/go.mod": "module example.com/lib\n\ngo 1.21\n",
    "lib/run/run.go": 'package run\n\nimport "os/exec"\n\nfunc Do(name string) error { return exec.Command(name).Run() }\n',
    "hello/main.go": 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Println("hello") }\n',
    "exec/main.go": (
        'package main\n\nimport (\n\t"os"\n\n\t"example.com/lib/run"\n)\n\nfunc main() { _ = run.Do(os.Args[1]) }\n'
    ),
    "files/main.go": 'package main\n\nimport "os"\n\nfunc main() { _ = os.WriteFile(os.Args[1], nil, 0o600) }\n',
    "user/main.go": 'package main\n\nimport "os/user"\n\nfunc main() { u, _ := user.Lookup("x"); println(u.Name) }\n',
    "dll/main_windows.go": """package main

import "syscall"

var wlan = syscall.NewLazyDLL("wlanapi.dll").NewProc("WlanOpenHandle")

func main() { wlan.Call(); syscall.LoadLibrary("glu32.dll") }
""",
    "listen/main.go": (
        'package main\n\nimport "net"\n\nfunc main() { l, _ := net.Listen("tcp", ":0"); println(l.Addr().String()) }\n'
    ),
    "cgo/main.go": 'package main\n\n// #include <stdlib.h>\nimport "C"\n\nfunc main() { println(C.abs(-1)) }\n',
}
TARGETS = ("linux/amd64", "windows/amd64", "windows/arm64", "windows/386", "linux/s390x", "darwin/arm64")


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe")
    for name, text in SOURCES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def go(folder: Path, target: str, *argv: str, cgo: bool = False) -> str:
    os_name, arch = target.split("/")
    environment = {
        **os.environ,
        "GOOS": os_name,
        "GOARCH": arch,
        "CGO_ENABLED": str(int(cgo)),
        "GOFLAGS": "",
        "GOPROXY": "off",
    }
    done = subprocess.run(
        [need_tool("go"), *argv], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(folder: Path, target: str, package: str, *flags: str, cgo: bool = False) -> Path:
    output = folder / "out" / f"{package}-{target.replace('/', '-')}{'-'.join(flags).replace(' ', '')}"
    if not output.exists():
        go(folder, target, "build", *flags, "-o", str(output), f"./{package}", cgo=cgo)
    return output


def opened(path: Path) -> Program:
    program = open_program(path.read_bytes())
    assert program is not None
    return program


def functions(path: Path) -> FunctionTable:
    table = read_functions(opened(path))
    assert table is not None
    return table


def assert_as_go_says(path: Path) -> None:
    said = subprocess.run(
        [need_tool("go"), "version", "-m", str(path)], capture_output=True, text=True, check=True
    ).stdout
    info = read_build_info(opened(path))
    assert info is not None
    lines = [f"{path}: {info.go_version}", *(f"\t{line}" for line in info.text().splitlines())]
    assert said.splitlines() == lines


@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",)], ids=["whole", "stripped"])
@pytest.mark.parametrize("target", TARGETS)
def test_build_information_and_functions(probe: Path, target: str, flags: tuple[str, ...]) -> None:
    path = build(probe, target, "exec", *flags)
    assert_as_go_says(path)
    program = opened(path)
    assert program.facts.arch == target.partition("/")[2]
    if not target.startswith("linux"):
        assert program.facts.os == target.partition("/")[0]
    symbols = program.facts.symbols
    assert bool(symbols.debug_bytes) == (not flags)
    table = functions(path)
    names = {unescaped(name) for name in map(package_of, table.names) if name}
    listed = set(go(probe, target, "list", "-deps", "./exec").split())
    # The main package is listed by its path; Go's copies of x/… are below vendor/ in both.
    # A function of runtime may bear another package's name (go:linkname).
    assert names - {"main", "runtime/debug"} <= listed
    assert {"main", "runtime", "os/exec", "example.com/lib/run"} <= names


@pytest.mark.parametrize("target", ["linux/amd64", "windows/amd64", "windows/arm64", "linux/s390x"])
def test_functions_are_those_of_go_tool_nm(probe: Path, target: str) -> None:
    table = functions(build(probe, target, "exec"))
    assert table.text is not None
    said = go(probe, target, "tool", "nm", "-size", "-sort", "address", str(build(probe, target, "exec")))
    symbols = {}
    for line in said.splitlines():
        fields = line.split(None, 3)
        if len(fields) == 4 and fields[2] in "tT" and fields[3] not in ("runtime.text", "runtime.etext"):
            symbols[int(fields[0], 16)] = (int(fields[1]), fields[3].removesuffix(".abi0").replace("·", "."))
    ours = {table.text + start: name for start, name in zip(table.starts, table.names, strict=False)}
    ours = {address: name.replace("·", ".") for address, name in ours.items()}  # as nm writes it
    assert ours == {address: name for address, (_, name) in symbols.items()}
    for address, end, name in zip(table.starts, table.starts[1:], table.names, strict=False):
        if not name.startswith("go:textfips"):
            assert 0 <= end - address - symbols[table.text + address][0] < 64, name
    stripped = functions(build(probe, target, "exec", "-ldflags=-s -w"))
    assert (stripped.names, stripped.starts, stripped.inlined) == (table.names, table.starts, table.inlined)


@pytest.mark.parametrize("target", ["linux/amd64", "windows/amd64", "windows/arm64"])
def test_capabilities(probe: Path, target: str) -> None:
    def found(package: str) -> dict[str, tuple[str, ...]]:
        path = build(probe, target, package, "-ldflags=-s -w")
        program = opened(path)
        answer = capabilities(program, functions(path), read_build_info(program))
        return {each.name: each.packages for each in answer}

    assert found("hello") == {}
    assert found("exec")["exec"] == ("example.com/lib/run",)
    assert "net" not in found("exec")
    assert found("files") == {"write-files": ("main",)}
    if target.startswith("windows"):
        assert found("dll") == {"dll": ("main",)}


def test_listening(probe: Path) -> None:
    path = build(probe, "windows/amd64", "listen", "-ldflags=-s -w")
    found = {each.name: each.packages for each in capabilities(opened(path), functions(path), None)}
    assert found["listen"] == ("main",)
    assert "exec" not in found


def test_cgo(probe: Path) -> None:
    need_tool("gcc")
    path = build(probe, "linux/amd64", "cgo", cgo=True)
    assert_as_go_says(path)
    program = opened(path)
    assert program.facts.linking is Linking.DYNAMIC
    assert program.facts.elf is not None
    assert program.facts.elf.interpreter
    assert [each.library for each in program.facts.imports] == ["libc.so.6"]
    assert {each.name: each.packages for each in capabilities(program, functions(path), None)} == {"cgo": ("main",)}


@pytest.mark.parametrize("target", ["windows/amd64", "windows/arm64"])
@pytest.mark.parametrize("flags", [(), ("-ldflags=-s -w",)], ids=["whole", "stripped"])
def test_libraries_loaded_while_it_runs(probe: Path, target: str, flags: tuple[str, ...]) -> None:
    def found(package: str) -> dict[str, Evidence]:
        path = build(probe, target, package, *flags)
        return {each.name: each.evidence for each in lazy_libraries(opened(path), functions(path))}

    hello = found("hello")
    assert hello["kernel32.dll"] is hello["ntdll.dll"] is hello["bcryptprimitives.dll"] is Evidence.CALLED
    assert "netapi32.dll" not in hello
    assert found("user")["netapi32.dll"] is Evidence.CALLED
    dll = found("dll")
    assert dll["wlanapi.dll"] is dll["glu32.dll"] is Evidence.NAMED
    assert {name for name, evidence in dll.items() if evidence is not Evidence.CALLED} == {"wlanapi.dll", "glu32.dll"}


def test_pie(probe: Path) -> None:
    path = build(probe, "linux/amd64", "hello", "-buildmode=pie")
    assert_as_go_says(path)
    program = opened(path)
    assert program.facts.kind.value == "executable"
    table = functions(path)
    section = program.facts.section(".text")
    assert section is not None
    assert table.text is not None
    assert section.address <= table.text < section.address + section.size


def test_a_signed_program_says_the_same(probe: Path, tmp_path: Path) -> None:
    need_tool("openssl")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
    subprocess.run([*request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    plain, signed = build(probe, "windows/amd64", "hello"), tmp_path / "signed.exe"
    sign = [need_tool("osslsigncode"), "sign", "-certs", certificate, "-key", key, "-in", plain, "-out", signed]
    subprocess.run(sign, check=True, capture_output=True)
    assert_as_go_says(signed)
    before, after = opened(plain), opened(signed)
    assert before.facts.signature is None
    assert after.facts.signature is not None
    assert after.facts.signature.in_range
    assert after.facts.signature.offset + after.facts.signature.size == signed.stat().st_size
    assert functions(signed) == functions(plain)
    cut = tmp_path / "cut.exe"
    cut.write_bytes(signed.read_bytes()[:-16])
    damaged = opened(cut).facts.signature
    assert damaged is not None
    assert not damaged.in_range


def test_windows_facts(probe: Path) -> None:
    facts = opened(build(probe, "windows/amd64", "hello")).facts
    assert facts.pe is not None
    assert facts.pe.subsystem is Subsystem.CONSOLE
    assert facts.pe.aslr
    assert facts.pe.dep
    assert [each.library for each in facts.imports] == ["kernel32.dll"]
    assert "GetProcAddress" in facts.imports[0].names
    gui = opened(build(probe, "windows/amd64", "hello", "-ldflags=-H=windowsgui")).facts
    assert gui.pe is not None
    assert gui.pe.subsystem is Subsystem.GUI


@pytest.mark.parametrize("name", ["go", "docker-registry", "umoci", "skopeo", "buildah"])
def test_programs_of_others(name: str) -> None:
    """Go's own, and Debian's: another Go, position-independent or with C, stripped."""
    path = Path(need_tool(name)).resolve()
    assert_as_go_says(path)
    table = functions(path)
    assert table.packages()["runtime"].code_bytes > 100_000
