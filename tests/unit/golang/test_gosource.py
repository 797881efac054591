"""Which edits of a Go file can change what is compiled with it."""

from __future__ import annotations

import pytest

from wingo.golang.gosource import head, imports_c, mentions_zones

SOURCE = b"""// Copyright
//go:build windows

/* about */ package main

import "fmt" // one
import (
	_ "embed"; x "example.com/x"
	. "strings"
	`raw/path`
)

//go:embed a.txt
var a string

func main() { fmt.Println("import", a) }
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Println", b"Print"),
        (b"func main() {", b"func main() {\n\t// import (\n"),
        (b'"import"', b'"import \\"os\\""'),
        (b"var a string", b"var a  string"),
    ],
)
def test_an_edit_of_the_body_keeps_the_head(old: bytes, new: bytes) -> None:
    assert old in SOURCE
    assert head(SOURCE.replace(old, new)) == head(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"//go:build windows", b"//go:build linux"),
        (b"//go:build windows", b"// go:build windows"),
        (b"package main", b"package other"),
        (b'import "fmt"', b'import "os"'),
        (b"`raw/path`", b"`raw/other`"),
        (b"raw/path`\n)", b'raw/path`\n)\nimport "os"'),
        (b"//go:embed a.txt", b"//go:embed b.txt"),
        (b"//go:embed a.txt", b"// go:embed a.txt"),
        (b"var a string", b"//go:embed c.txt\nvar a string"),
        (b"fmt.Println(", b"time.LoadLocation("),
    ],
)
def test_an_edit_of_the_head_is_seen(old: bytes, new: bytes) -> None:
    edited = SOURCE.replace(old, new)
    if b"LoadLocation" in new:
        edited = edited.replace(b'"fmt"', b'"time"')
        assert mentions_zones(edited)
        assert head(edited) != head(edited.replace(b"LoadLocation", b"ParseLocation"))
    assert edited != SOURCE
    assert head(edited) != head(SOURCE)


@pytest.mark.parametrize(
    "source", [b"", b"package", b"// only a comment", b'package p\nimport (\n"a" +', b"\xff\xfe\x00"]
)
def test_what_is_not_understood_counts_whole(source: bytes) -> None:
    assert head(source) != head(source + b" x y")


def test_zones_are_looked_up_by_name_only_with_package_time() -> None:
    assert mentions_zones(b'package p\nimport "time"\nvar l, _ = time.LoadLocation("UTC")')
    assert not mentions_zones(b'package p\nimport "time"\nvar l, _ = time.LoadLocationFromTZData("UTC", nil)')
    assert not mentions_zones(b'package p\nimport "x"\nvar l = x.LoadLocation()')


def test_cgo_is_the_import_of_c() -> None:
    assert imports_c(b'package p\n\n// #include <x.h>\nimport "C"\n')
    assert imports_c(b'package p\nimport (\n\t"fmt"\n\t"C"\n)\n')
    assert not imports_c(b'package p\nimport "fmt"\nvar s = "C"\n')
    assert not imports_c(b'package p\nimport "fmt"\nvar s = `\nimport "C"\n`\n')
