"""Compares what wingo says of real programs with what go says: `go version -m`, `go tool nm`, `go list -deps`.

    scripts/run python scripts/compare_programs.py [--folder DIR] [--page FILE] [NAME...]

Builds each program for Windows and Linux, stripped and not (the first time takes half an hour; DIR keeps them), and writes a table.
The exit code is 1 when anything differs. `tests/system/test_compare_programs.py` does one of them, and all under `make test-peers`;
`tests/system/test_binary.py` holds the same on small programs of our own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from wingo.binary.buildinfo import read_build_info
from wingo.binary.functions import FunctionTable, read_functions
from wingo.binary.program import Program
from wingo.binary.read import open_program
from wingo.check.capabilities import BY_NAME, Found, capabilities

ROOT = Path(__file__).resolve().parents[1]
BOTH = ("windows", "linux")


class Source(NamedTuple):
    """A program in a pinned version."""

    name: str
    module: str
    version: str
    package: str = "."
    systems: tuple[str, ...] = BOTH
    tags: str = ""


SOURCES = (
    Source("age", "filippo.io/age", "v1.2.1", "cmd/age"),
    Source("age-keygen", "filippo.io/age", "v1.2.1", "cmd/age-keygen"),
    Source("blackbox_exporter", "github.com/prometheus/blackbox_exporter", "v0.28.0"),
    Source("caddy", "github.com/caddyserver/caddy/v2", "v2.11.9", "cmd/caddy"),
    Source("coredns", "github.com/coredns/coredns", "v1.15.0"),
    Source("crane", "github.com/google/go-containerregistry", "v0.22.1", "cmd/crane"),
    Source("dlv", "github.com/go-delve/delve", "v1.25.2", "cmd/dlv"),
    Source("go-httpbin", "github.com/mccutchen/go-httpbin/v2", "v2.15.0", "cmd/go-httpbin"),
    Source("gopls", "golang.org/x/tools/gopls", "v0.20.0"),
    Source("ko", "github.com/google/ko", "v0.19.1"),
    Source("nats-server", "github.com/nats-io/nats-server/v2", "v2.15.2"),
    Source("olareg", "github.com/olareg/olareg", "v0.1.2", "cmd/olareg"),
    Source("registry", "github.com/google/go-containerregistry", "v0.22.1", "cmd/registry"),
    Source("windows_exporter", "github.com/prometheus-community/windows_exporter", "v0.27.2", ".", ("windows",)),
)


class Row(NamedTuple):
    """One program for one system."""

    name: str
    system: str
    megabytes: float
    modules: int
    functions: int
    packages: int
    found: tuple[Found, ...]
    problems: tuple[str, ...]
    through: tuple[str, ...] = ()


class Builder:
    """Builds programs in modules of their own, as scripts/go-peers.sh does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def go(self, source: Source, system: str, *argv: str) -> str:
        """Runs go for a system in the program's module."""
        module = self.folder / "mods" / source.name
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=mod",
            "GOWORK": "off",
            "GOOS": system,
            "GOTOOLCHAIN": "auto",
        }
        if not (module / "go.mod").exists():
            module.mkdir(parents=True, exist_ok=True)
            run(["go", "mod", "init", "example/peer"], module, environment)
            run(["go", "mod", "edit", f"-require={source.module}@{source.version}"], module, environment)
        return run(["go", *argv], module, environment)

    def build(self, source: Source, system: str, *, stripped: bool) -> Path:
        """A program, built once."""
        suffix = ("-stripped" if stripped else "") + (".exe" if system == "windows" else "")
        path = self.folder / "out" / f"{source.name}-{system}{suffix}"
        if not path.exists():
            flags = ["-ldflags", "-s -w"] if stripped else []
            self.go(source, system, "build", "-trimpath", "-tags", source.tags, *flags, "-o", str(path), target(source))
        return path


def target(source: Source) -> str:
    """The main package's import path."""
    return f"{source.module}/{source.package}".removesuffix("/.")


def run(argv: list[str], folder: Path, environment: dict[str, str]) -> str:
    """What a program prints."""
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stderr[-2000:]}")
    return done.stdout


def compare(builder: Builder, source: Source, system: str) -> Row:
    """Builds and compares one program for one system."""
    problems: list[str] = []
    tables: list[FunctionTable] = []
    answers: list[tuple[Found, ...]] = []
    path, program = Path(), None
    for stripped in (True, False):
        path = builder.build(source, system, stripped=stripped)
        program = opened(path)
        said = run(["go", "version", "-m", str(path)], builder.folder, dict(os.environ))
        info = read_build_info(program)
        lines = [f"{path}: {info.go_version}", *(f"\t{each}" for each in info.text().splitlines())] if info else []
        if said.splitlines() != lines:
            problems.append(f"build information differs ({'stripped' if stripped else 'whole'})")
        table = read_functions(program)
        if table is None:
            raise SystemExit(f"{path} has no function table")
        tables.append(table)
        answers.append(capabilities(program, table, info))
    table, info = tables[1], read_build_info(program) if program else None
    if (tables[0].names, tables[0].starts) != (table.names, table.starts):
        problems.append("functions differ between stripped and whole")
    if answers[0] != answers[1]:
        problems.append("capabilities differ between stripped and whole")
    symbols = names_by_nm(path)
    problems += against_nm(table, symbols)
    listed = packages_by_list(builder, source, system)
    problems += against_list(table, answers[1], listed)
    problems += proofs_by_nm(answers[1], set(symbols.values()), table)
    through, strange = indirect(answers[1], listed, target(source))
    problems += [f"brought without an import for it: {', '.join(strange[:3])}"] if strange else []
    modules = len(info.deps) + 1 if info else 0
    packages = len([name for name in table.packages() if name])
    return Row(
        source.name,
        system,
        path.stat().st_size / 1e6,
        modules,
        len(table.names),
        packages,
        answers[1],
        tuple(problems),
        tuple(through),
    )


def opened(path: Path) -> Program:
    """A program's bytes and facts."""
    program = open_program(path.read_bytes())
    if program is None:
        raise SystemExit(f"{path} is no program")
    return program


def names_by_nm(path: Path) -> dict[int, str]:
    """Functions by address, as `go tool nm` has them."""
    found = {}
    for line in run(
        ["go", "tool", "nm", "-size", "-sort", "address", str(path)], path.parent, dict(os.environ)
    ).splitlines():
        fields = line.split(None, 3)
        if len(fields) == 4 and fields[2] in "tT" and fields[3] not in ("runtime.text", "runtime.etext"):
            found[int(fields[0], 16)] = fields[3].removesuffix(".abi0").replace("·", ".")
    return found


def packages_by_list(builder: Builder, source: Source, system: str) -> dict[str, set[str]]:
    """Imports by package, as `go list -deps` has them."""
    arguments = ("list", "-deps", "-tags", source.tags, "-json=ImportPath,Imports", target(source))
    text, found, at = builder.go(source, system, *arguments), {}, 0
    decoder = json.JSONDecoder()
    while at < len(text.rstrip()):
        each, at = decoder.raw_decode(text, at)
        found[each["ImportPath"]] = set(each.get("Imports") or ())
        at += len(text[at:]) - len(text[at:].lstrip())
    return found


def against_nm(table: FunctionTable, symbols: dict[int, str]) -> list[str]:
    """Every function is at the same address under the same name."""
    start = table.text or 0
    ours = {start + at: name.replace("·", ".") for at, name in zip(table.starts, table.names, strict=False)}
    different = [address for address in ours.keys() | symbols.keys() if ours.get(address) != symbols.get(address)]
    # Where the runtime's own mark stands first, nm shows that in the function's place.
    different = [address for address in different if address in symbols or address != start]
    return [f"{len(different)} functions differ from go tool nm"] if different else []


def against_list(table: FunctionTable, found: tuple[Found, ...], listed: dict[str, set[str]]) -> list[str]:
    """Every package is one that go lists, and who brings a capability imports something for it."""
    problems = []
    # A function of runtime may bear another package's name (go:linkname), compiled into others above all.
    packages = {name for name, code in table.packages().items() if code.functions} - {"", "main", "runtime/debug"}
    unknown = sorted(name for name in packages - listed.keys() if name.partition("/")[0] != "vendor")
    if unknown:
        problems.append(f"packages that go does not list: {', '.join(unknown[:3])}")
    for each in found:
        foreign = [name for name in each.packages if name != "main" and name not in listed]
        if foreign:
            problems.append(f"{each.name} is brought by {foreign[0]}, which go does not list")
    return problems


def indirect(found: tuple[Found, ...], listed: dict[str, set[str]], main: str) -> tuple[list[str], list[str]]:
    """Who is said to bring a capability, and imports no package that has its functions.

    Returns:
        Those that import one which does, of which the compiler put a small function into them; and those that do not.
    """
    through: list[str] = []
    strange: list[str] = []
    for each in found:
        row = BY_NAME[each.name]
        wanted = {
            name.removesuffix("*").rpartition("/")[0] + "/" + name.rpartition("/")[2].partition(".")[0]
            for name in (*row.proofs, *row.entries)
        }
        wanted = {name.removeprefix("/") for name in wanted}
        if each.name == "cgo":
            continue
        for package in each.packages:
            imported = listed.get(main if package == "main" else package, set())
            if imported.isdisjoint(wanted):
                between = sorted(other for other in imported if not listed.get(other, set()).isdisjoint(wanted))
                (through if between else strange).append(f"{each.name}: {package}")
    return through, strange


def proofs_by_nm(found: tuple[Found, ...], symbols: set[str], table: FunctionTable) -> list[str]:
    """A capability is found exactly when nm shows one of its proofs, or one was inlined."""
    names = {each.name for each in found}
    return [
        f"{name} is {'' if name in names else 'not '}found, and nm says otherwise"
        for name, row in BY_NAME.items()
        if row.proofs
        and (not symbols.isdisjoint(row.proofs) or not table.inlined.isdisjoint(row.proofs))
        and name not in names
    ] + [
        f"{each.name} is found, and nm shows none of its proofs"
        for each in found
        if BY_NAME[each.name].proofs
        and each.name not in ("signal", "registry")
        and symbols.isdisjoint(BY_NAME[each.name].proofs)
        and table.inlined.isdisjoint(BY_NAME[each.name].proofs)
    ]


def page(rows: list[Row]) -> str:
    """The table as Markdown."""
    lines = [
        "| program | for | MB | modules | functions | packages | can | through a function compiled in | differs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        can = ", ".join(f"{each.name} ({len(each.packages)})" for each in row.found)
        numbers = f"{row.megabytes:.1f} | {row.modules} | {row.functions} | {row.packages}"
        through = ", ".join(row.through)
        lines.append(
            f"| {row.name} | {row.system} | {numbers} | {can} | {through} | {'; '.join(row.problems) or 'nothing'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Compares all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="these programs only")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / ".tools" / "programs", help="where they are built and kept"
    )
    parser.add_argument("--page", type=Path, help="write the table there as well")
    options = parser.parse_args()
    builder = Builder(options.folder.resolve())
    rows = []
    for source in SOURCES:
        if options.names and source.name not in options.names:
            continue
        for system in source.systems:
            rows.append(compare(builder, source, system))
            print(f"{source.name} {system}: {'; '.join(rows[-1].problems) or 'the same'}", file=sys.stderr)
    text = page(rows)
    print(text, end="")
    if options.page:
        options.page.write_text(text, "utf-8")
    return int(any(row.problems for row in rows))


if __name__ == "__main__":
    sys.exit(main())
