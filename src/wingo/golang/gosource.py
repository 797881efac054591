"""Just enough Go syntax to tell which edits cannot change what a build depends on."""

from __future__ import annotations

import hashlib
import re

_SPACE = re.compile(rb"(?:[ \t\r\n;]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_PACKAGE = re.compile(rb"package[ \t]+[^\W\d]\w*")
_IMPORT = re.compile(rb"import(?=[\s\"`(/._\w])")
_SPEC = re.compile(rb"(?:(?:\.|[^\W\d]\w*)\s*)?(\"[^\"\n]*\"|`[^`]*`)")
_EMBED = re.compile(rb"^[^\n]*//go:embed[^\n]*", re.MULTILINE)
_ZONES = re.compile(rb"\bLoadLocation\b")
_IMPORTS_C = re.compile(rb'^\s*(?:import\s+)?"C"\s*(?:;|//|$)', re.MULTILINE)


def head(source: bytes) -> str:
    """A digest of all in a Go file that decides what is compiled with it.

    That is everything up to the end of the imports (build constraints, package clause, imports with their cgo
    comments), each `//go:embed` line, and whether time zones are looked up. A file that is not understood is digested
    whole.
    """
    end = _end_of_imports(source)
    digest = hashlib.sha256(source[:end])
    digest.update(b"zones" if mentions_zones(source) else b"none")
    for line in _EMBED.findall(source, end):
        digest.update(b"\n" + line)
    return digest.hexdigest()[:32]


def _end_of_imports(source: bytes) -> int:
    position = _skip(source, 3 if source.startswith(b"\xef\xbb\xbf") else 0)
    matched = _PACKAGE.match(source, position)
    if matched is None:
        return len(source)
    end = matched.end()
    while True:
        position = _skip(source, end)
        matched = _IMPORT.match(source, position)
        if matched is None:
            return end
        position = _skip(source, matched.end())
        if source[position : position + 1] != b"(":
            matched = _SPEC.match(source, position)
            if matched is None:
                return len(source)
            end = matched.end()
            continue
        position = _skip(source, position + 1)
        while source[position : position + 1] != b")":
            matched = _SPEC.match(source, position)
            if matched is None:
                return len(source)
            position = _skip(source, matched.end())
        end = position + 1


def _skip(source: bytes, position: int) -> int:
    matched = _SPACE.match(source, position)
    return matched.end() if matched else position


def mentions_zones(source: bytes) -> bool:
    """Whether a Go file of a package outside the standard library looks time zones up by name."""
    return _ZONES.search(source) is not None and b'"time"' in source


def imports_c(source: bytes) -> bool:
    """Whether a Go file is cgo."""
    return _IMPORTS_C.search(source[: _end_of_imports(source)]) is not None
