"""Go build information and the function table, in the layouts of every Go since 1.2."""

from __future__ import annotations

import io

import pytest

from wingo.binary.buildinfo import Module, parse_build_info
from wingo.binary.functions import PackageCode, package_of, read_functions
from wingo.binary.read import build_info, open_program
from wingo.errors import Malformed
from wingo.testing.programs import (
    ELF_BASE,
    PE_BASE,
    go_build_info,
    go_build_info_pointers,
    go_functions,
    make_elf,
    make_fat,
    make_macho,
    make_pe,
)

MODULES = (
    "path\texample.com/app/cmd/app\n"
    "mod\texample.com/app\tv1.2.3\th1:abc=\n"
    "dep\texample.com/a\tv0.1.0\n"
    "=>\t../a\t(devel)\t\n"
    "\n"
    "dep\texample.com/b\tv2.0.0+incompatible\th1:def=\n"
    "build\t-compiler=gc\n"
    "build\t-ldflags=\"-s -w -X 'main.v=a\\tb'\"\n"
    "build\tCGO_ENABLED=0\n"
    "build\tvcs.modified=true\n"
)
FUNCTIONS = [
    ("runtime.main", 320),
    ("net/http.(*Server).Serve", 64),
    ("gopkg.in/yaml%2ev3.unmarshal", 96),
    ("slices.SortFunc[go.shape.[]string,go.shape.string/x.y]", 32),
    ("type:.eq.net/http.Header", 32),
    ("main.main", 16),
]


def check(info):
    assert info is not None
    assert info.go_version == "go1.26.1"
    assert info.path == "example.com/app/cmd/app"
    assert info.main == Module("example.com/app", "v1.2.3", "h1:abc=")
    assert info.deps == (
        Module("example.com/a", "v0.1.0", "", Module("../a", "(devel)")),
        Module("example.com/b", "v2.0.0+incompatible", "h1:def="),
    )
    assert info.setting("-ldflags") == "-s -w -X 'main.v=a\tb'"
    assert info.setting("missing") == ""
    assert info.text() == MODULES


@pytest.mark.parametrize("make", [make_pe, make_elf, make_macho])
def test_inline_texts(make):
    data = make(data=b"\0" * 16 + go_build_info("go1.26.1", MODULES))
    check(build_info(data))
    check(build_info(io.BytesIO(data)))
    assert build_info(make(data=b"\0" * 8 + go_build_info("go1.26.1", MODULES))) is None  # it must be aligned


@pytest.mark.parametrize("arch", ["amd64", "386", "ppc64", "s390x"])
def test_pointed_texts(arch):
    big, width = arch in ("ppc64", "s390x"), 4 if arch == "386" else 8
    data = go_build_info_pointers("go1.26.1", MODULES, ELF_BASE + 0x10000, big=big, width=width)
    check(build_info(make_elf(arch=arch, data=data)))


def test_pointed_texts_in_pe():
    check(build_info(make_pe(data=go_build_info_pointers("go1.26.1", MODULES, PE_BASE + 0x3000))))


def test_of_a_fat_file_the_first_program_counts():
    first = make_macho(arch="amd64", data=go_build_info("go1.26.1", MODULES))
    check(build_info(make_fat({"amd64": first, "arm64": make_macho()})))


def test_no_build_information():
    assert build_info(make_pe(data=b"x" * 64)) is None
    assert build_info(make_elf()) is None
    assert build_info(b"#!/bin/sh") is None
    assert build_info(make_elf(data=go_build_info("", MODULES))) is None


def test_a_length_beyond_the_end_is_no_build_information():
    data = go_build_info("go1.26.1", MODULES)
    assert build_info(make_elf(data=data[:-1])) is None


@pytest.mark.parametrize(
    "line",
    [
        "mod\tone\n",
        "dep\ta\tb\tc\td\n",
        "=>\ta\tb\tc\n",
        "build\tkey\n",
        "build\t=x\n",
        'build\tk="x\n',
        'build\tk="x"y\n',
        "build\tk=a b\n",
        'build\t"k"x\n',
        'build\tk="\\z"\n',
    ],
)
def test_lines_that_go_never_writes(line):
    with pytest.raises(Malformed, match="Go build information"):
        parse_build_info("go1.26.1", line)


@pytest.mark.parametrize(
    "value", ["a b", 'say "x"', "back`tick", "tab\t", "\\", "é", "\x01 ", "\udc80 ", "\U0001f600 "]
)
def test_settings_survive_quoting(value):
    info = parse_build_info("go1.26.1", "build\tk=x\n")
    quoted = type(info)("go1.26.1", settings=(("k", value), ("a=b", "1"))).text()
    assert parse_build_info("go1.26.1", quoted).settings == (("k", value), ("a=b", "1"))


def table(data):
    program = open_program(data)
    assert program is not None
    found = read_functions(program)
    assert read_functions(open_program(io.BytesIO(data))) == found
    return found


@pytest.mark.parametrize("since", [2, 16, 18, 20])
@pytest.mark.parametrize("place", ["elf section", "elf big", "elf 32", "pe search"])
def test_functions(since, place):
    functions = go_functions(
        FUNCTIONS, since, inlined=["strings.Cut"], big=place == "elf big", width=4 if place == "elf 32" else 8
    )
    if place == "pe search":
        data = make_pe(rdata=b"\xf1\xff\xff\xff\0\0\1\x08" + b"\xff" * 120 + functions)
    else:
        arch = {"elf big": "s390x", "elf 32": "386"}.get(place, "amd64")
        data = make_elf(arch=arch, sections={".gopclntab": functions})
    found = table(data)
    assert found.since == since
    assert list(found.names) == [name for name, _ in FUNCTIONS]
    assert found.code_bytes == sum(size for _, size in FUNCTIONS)
    packages = found.packages()
    assert packages["net/http"] == PackageCode(1, 64)
    assert packages["gopkg.in/yaml.v3"] == PackageCode(1, 96)
    assert packages["slices"] == PackageCode(1, 32)
    assert packages["main"] == PackageCode(1, 16)
    if since >= 16:
        assert found.inlined == {"strings.Cut"}
        assert packages["strings"] == PackageCode(0, 0)


def test_promoted_methods_are_of_the_package_that_has_them():
    functions = [
        ("a.b/c.F", 16),
        ("d.e/f.G", 16),
        ("a.b/c.T.d.e/f.m", 16),
        ("a.b/c.(*T).d.e/f.m", 16),
        ("x.y.z/w.H", 16),
    ]
    packages = table(make_elf(sections={".gopclntab": go_functions(functions)})).packages()
    assert packages == {"a.b/c": PackageCode(3, 48), "d.e/f": PackageCode(1, 16), "x.y.z/w": PackageCode(1, 16)}


def test_no_functions():
    assert table(make_pe(rdata=b"\xf1\xff\xff\xff\0\0\1\x08" + b"\xff" * 200)) is None
    assert table(make_elf()) is None


@pytest.mark.parametrize("at", [8, 32, 40, 64])
def test_a_damaged_table(at):
    functions = bytearray(go_functions(FUNCTIONS))
    functions[at : at + 8] = b"\xff" * 8
    with pytest.raises(Malformed, match="Go function table"):
        table(make_elf(sections={".gopclntab": bytes(functions)}))


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("main.main", "main"),
        ("net/http.(*Server).Serve.func1", "net/http"),
        ("github.com/a/b%2ec.F[...]", "github.com/a/b%2ec"),
        ("a.b/c.(*T).d.e/f.m", "a.b/c"),
        ("go:buildid", ""),
        ("go.buildid", ""),
        ("go.(*struct { sync.Mutex; net/http.x int }).Lock", ""),
        ("go.struct { x/y.Z }.Close", ""),
        ("go.uber.org/zap.(*Logger).Info", "go.uber.org/zap"),
        ("go.opentelemetry.io/otel/sdk/trace.(*span).End.func1", "go.opentelemetry.io/otel/sdk/trace"),
        ("go.example.com/a%2eb.F[go.shape.int]", "go.example.com/a%2eb"),
        ("__x86.get_pc_thunk.ax", ""),
        ("type:.hash.main.T", ""),
        ("_cgo_panic", ""),
        ("crosscall2", ""),
        ("slices.F[go.shape.struct { x/y.Z int }]", "slices"),
        ("gopkg.in/x%2ev1.init.0", "gopkg.in/x%2ev1"),
    ],
)
def test_package_of(name, package):
    assert package_of(name) == package
