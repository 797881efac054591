"""Writes `src/wingo/binary/wrappers.py`: which functions of Go's syscall packages call into which Windows library.

    scripts/run python scripts/generate_wrappers.py

Reads the `zsyscall_windows.go` files of the Go on PATH and of golang.org/x/sys at the version below, and writes names only.
Names that newer releases drop stay: programs are built with older ones, too; so the old table is read first.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "src" / "wingo" / "binary" / "wrappers.py"
X_SYS = "golang.org/x/sys@v0.47.0"
STANDARD = ("syscall", "internal/syscall/windows", "internal/syscall/windows/registry")
OTHERS = ("windows", "windows/registry", "windows/svc", "windows/svc/eventlog", "windows/svc/mgr")
_MODULE = re.compile(r'^\s*(mod\w+)\s*=.*?"([^"]+)"', re.MULTILINE)
_PROCEDURE = re.compile(r"^\s*(proc\w+)\s*=\s*(mod\w+)\.NewProc", re.MULTILINE)
_FUNCTION = re.compile(r"^func (\w+)\((?:.*\n)+?^}", re.MULTILINE)


def main() -> int:
    """Writes the table."""
    goroot = Path(output("go", "env", "GOROOT"))
    folders = {package: goroot / "src" / package for package in STANDARD}
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "go.mod").write_text("module example/wrappers\n\ngo 1.24\n", "utf-8")
        module = Path(json.loads(output("go", "mod", "download", "-json", X_SYS, cwd=scratch))["Dir"])
    folders |= {f"golang.org/x/sys/{package}": module / package for package in OTHERS}
    found = old()
    for package, folder in folders.items():
        for path in sorted(folder.glob("z*_windows.go")):
            for function, library in functions(path.read_text("utf-8")):
                found.setdefault(library, {}).setdefault(package, set()).add(function)
    lines = [HEAD, "_TABLE: dict[str, dict[str, str]] = {\n"]
    for library in sorted(found):
        lines.append(f'    "{library}": {{\n')
        for package in sorted(found[library]):
            names = " ".join(sorted(found[library][package]))
            lines.append(f'        "{package}": (\n')
            lines += [f'            "{part}"\n' for part in wrapped(names)]
            lines.append("        ),\n")
        lines.append("    },\n")
    TARGET.write_text("".join([*lines, "}\n", TAIL]), "utf-8")
    print(
        f"{sum(len(f) for p in found.values() for f in p.values())} functions of {len(found)} libraries",
        file=sys.stderr,
    )
    return 0


def functions(source: str) -> list[tuple[str, str]]:
    """(function, library) of a `zsyscall_windows.go`."""
    modules = {name: library.lower() for name, library in _MODULE.findall(source)}
    procedures = {name: modules[module] for name, module in _PROCEDURE.findall(source) if module in modules}
    return [
        (match[1], procedures[name])
        for match in _FUNCTION.finditer(source)
        for name in sorted(set(re.findall(r"\bproc\w+", match[0])))
        if name in procedures
    ]


def old() -> dict[str, dict[str, set[str]]]:
    """The table as it is."""
    sys.path.insert(0, str(ROOT / "src"))
    try:
        from wingo.binary.wrappers import WRAPPERS
    except ImportError:
        return {}
    found: dict[str, dict[str, set[str]]] = {}
    for function, library in WRAPPERS.items():
        package, _, name = function.rpartition(".")
        found.setdefault(library, {}).setdefault(package, set()).add(name)
    return found


def wrapped(names: str) -> list[str]:
    """The names in lines that are not too long; all but the last end with a space."""
    lines = [""]
    for name in names.split():
        if len(lines[-1]) + len(name) > 100:
            lines.append("")
        lines[-1] += f"{name} "
    lines[-1] = lines[-1].rstrip()
    return lines


def output(*argv: str, cwd: str | None = None) -> str:
    """What a program prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=cwd).stdout.strip()


HEAD = '''"""Which functions of Go's own syscall packages call into which Windows library.

Written by `scripts/generate_wrappers.py` from Go's and golang.org/x/sys' `zsyscall_windows.go`; do not edit.
"""

from __future__ import annotations

'''
TAIL = '''
WRAPPERS: dict[str, str] = {
    f"{package}.{name}": library
    for library, packages in _TABLE.items()
    for package, names in packages.items()
    for name in names.split()
}
"""Libraries in lower case by function: `syscall.NetUserGetInfo` calls `netapi32.dll`."""
'''

if __name__ == "__main__":
    sys.exit(main())
