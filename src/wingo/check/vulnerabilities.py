"""Known vulnerabilities of Go and its modules, from a copy of Go's own database: OSV documents in its own layout.

The layout is that of https://vuln.go.dev (`index/modules.json`, `ID/GO-….json`), as a directory or as its `vulndb.zip`; wingo
reads the copy that it is given and fetches nothing. As `govulncheck -mode=binary` does, a vulnerability counts when its module has a version
in range, and one of its functions is in the program.

Sources: https://go.dev/security/vuln/database; the OSV schema; semver.org.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import msgspec

from wingo.errors import ContentError, Malformed

MAX_DOCUMENT = 8 << 20
"""Bytes of one document; the index has some hundred KB."""
_ID = re.compile(r"GO-\d{4}-\d{4,8}\Z")
_SEMVER = re.compile(r"v?(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]*)?\Z")
_GO = re.compile(r"go(\d{1,3}(?:\.\d{1,3}){0,2})(?:(rc|beta)(\d{1,3}))?")
_WHAT = "vulnerability database"
_T = TypeVar("_T")

Version = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
"""A version in the order of semver: a release comes after what leads to it."""


class Event(msgspec.Struct, frozen=True):
    """A change along the versions: from here on it is vulnerable, or is not."""

    introduced: str = ""
    fixed: str = ""


class Range(msgspec.Struct, frozen=True):
    """Versions in which it is."""

    type: str = ""
    events: tuple[Event, ...] = ()


class Import(msgspec.Struct, frozen=True):
    """A package that is concerned: some functions of it, or all; on some systems, or all."""

    path: str = ""
    symbols: tuple[str, ...] = ()
    goos: tuple[str, ...] = ()
    goarch: tuple[str, ...] = ()


class Specific(msgspec.Struct, frozen=True):
    """What Go adds to OSV."""

    imports: tuple[Import, ...] = ()


class Package(msgspec.Struct, frozen=True):
    """The module, as OSV calls it."""

    name: str = ""


class Affected(msgspec.Struct, frozen=True):
    """A module that is concerned."""

    package: Package = Package()
    ranges: tuple[Range, ...] = ()
    ecosystem_specific: Specific = Specific()


class Vulnerability(msgspec.Struct, frozen=True):
    """An OSV document, so far as it is used.

    Attributes:
        id: "GO-2025-1234".
        aliases: CVE and GHSA numbers.
        summary: one sentence.
        withdrawn: when it was taken back; "" when it stands.
        affected: what is concerned.
    """

    id: str
    aliases: tuple[str, ...] = ()
    summary: str = ""
    withdrawn: str = ""
    affected: tuple[Affected, ...] = ()


class Match(msgspec.Struct, frozen=True):
    """A vulnerability that a module's version has.

    Attributes:
        vulnerability: which.
        fixed: the first version without it, or "".
        imports: the packages and functions concerned; () means all of the module.
    """

    vulnerability: Vulnerability
    fixed: str
    imports: tuple[Import, ...]


class _Indexed(msgspec.Struct, frozen=True):
    id: str


class _Module(msgspec.Struct, frozen=True):
    path: str
    vulns: tuple[_Indexed, ...] = ()


class Vulnerabilities:
    """A database.

    Reads the index at once, and each document when it is first asked for.
    """

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        """Opens one.

        Args:
            read: a file of the database by its name in it, at most `MAX_DOCUMENT` bytes; None when it is not there.

        Raises:
            ContentError: it has no index, or one that cannot be read.
        """
        self._read = read
        data = read("index/modules.json")
        if data is None:
            hint = "Give a copy of https://vuln.go.dev/vulndb.zip, or the directory that it unpacks to."
            raise ContentError("the vulnerability database has no index/modules.json", hint=hint)
        modules = _decode(data, tuple[_Module, ...], "its index")
        self._ids = {module.path: tuple(each.id for each in module.vulns) for module in modules}
        self._known: dict[str, Vulnerability | None] = {}

    def matches(self, module: str, version: str) -> Iterator[Match]:
        """What a version of a module has; "stdlib" with Go's own version, "go1.26.1".

        Raises:
            ContentError: a document cannot be read.
        """
        own = go_version(version) if module == "stdlib" else semantic(version)
        if own is None:
            return
        for identity in self._ids.get(module, ()):
            vulnerability = self._document(identity)
            if vulnerability is None or vulnerability.withdrawn:
                continue
            for affected in vulnerability.affected:
                if affected.package.name == module:
                    hit, fixed = _in_range(own, affected.ranges)
                    if hit:
                        yield Match(vulnerability, fixed, affected.ecosystem_specific.imports)

    def _document(self, identity: str) -> Vulnerability | None:
        if identity not in self._known:
            data = self._read(f"ID/{identity}.json") if _ID.match(identity) else None
            self._known[identity] = None if data is None else _decode(data, Vulnerability, identity)
        return self._known[identity]


class Contents(msgspec.Struct, frozen=True):
    """What is looked for vulnerable functions in: a program, so far as its own table of functions tells.

    Attributes:
        names: of all functions, as the function table has them.
        packages: of those functions.
        modules: of those packages, by the path that the program knows them by.
        main: the path of the main package, which is "main" in the table.
        goos: for which it is built.
        goarch: likewise.
    """

    names: frozenset[str]
    packages: frozenset[str]
    modules: frozenset[str] = frozenset()
    main: str = ""
    goos: str = ""
    goarch: str = ""


def reached(match: Match, contents: Contents, module: str = "", instead: str = "") -> tuple[str, ...]:
    """The functions or packages of a program that have a vulnerability; () when none is there.

    Where the database names no packages, one of the module's in the program is enough.

    Args:
        match: the vulnerability.
        contents: of the program.
        module: that has it, by the path that the program knows it by; "" for Go's own.
        instead: of a module that takes the place of another one: its own path, which the database knows it by.
    """
    found: list[str] = []
    for each in match.imports:
        if (each.goos and contents.goos not in each.goos) or (each.goarch and contents.goarch not in each.goarch):
            continue
        path = each.path
        if instead and (path == instead or path.startswith(f"{instead}/")):
            path = module + path[len(instead) :]
        path = "main" if path == contents.main else path
        if not each.symbols:
            found += [each.path] if path in contents.packages else []
        for symbol in each.symbols:
            found += [name for name in _spellings(_escaped(path), symbol) if name in contents.names][:1]
    if not match.imports and (not module or module in contents.modules):
        return (module,)
    return tuple(found)


def semantic(version: str) -> Version | None:
    """A semantic version, with or without "v"; None for what is none, "(devel)" for instance."""
    found = _SEMVER.match(version)
    if found is None:
        return None
    major, minor, patch, before = found.groups()
    # Without a pre-release it comes last; numbers come before words.
    rest: tuple[tuple[int, int, str], ...] = ((2, 0, ""),)
    if before:
        rest = tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in before[:200].split("."))
    return int(major), int(minor or 0), int(patch or 0), rest


def go_version(version: str) -> Version | None:
    """Go's version as a semantic one: "go1.22rc1" is 1.22.0-rc.1."""
    found = _GO.search(version)
    if found is None:
        return None
    numbers, word, number = found.groups()
    return semantic(numbers + (".0" * (2 - numbers.count(".")) + f"-{word}.{number}" if word else ""))


def _in_range(own: Version, ranges: tuple[Range, ...]) -> tuple[bool, str]:
    """Whether a version is in one of the ranges, and what mends it; without a range of versions, it is."""
    known = [each for each in ranges if each.type == "SEMVER"]
    if not known or any(not each.events for each in known):
        return True, ""
    for each in known:
        events: list[tuple[Version, bool, str]] = []
        for event in each.events:
            text = event.introduced or event.fixed
            version = semantic("0.0.0-0" if event.introduced == "0" else text)
            if version is not None:
                events.append((version, bool(event.introduced), text))
        inside, fixed = False, ""
        for version, starts, text in sorted(events):
            if version <= own:
                inside = starts
            elif inside and not starts:
                fixed = text
                break
        if inside:
            return True, fixed
    return False, ""


@lru_cache(maxsize=4096)
def _escaped(path: str) -> str:
    """A path as the function table has it: dots of the last element are written %2e."""
    folder, slash, last = path.rpartition("/")
    return folder + slash + last.replace(".", "%2e")


def _spellings(path: str, symbol: str) -> tuple[str, ...]:
    kind, dot, method = symbol.partition(".")
    return (f"{path}.(*{kind}).{method}", f"{path}.{symbol}") if dot else (f"{path}.{symbol}",)


def _decode(data: bytes, kind: type[_T], what: str) -> _T:
    from wingo.oci.wire import decode

    try:
        return decode(data, kind, _WHAT, limit=MAX_DOCUMENT)
    except Malformed as error:
        raise Malformed(_WHAT, f"{what}: {error.problem}") from error
