"""Asks `go list` which main packages targets mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError, ToolFailed
from wingo.golang.command import build_environment, tag_list
from wingo.golang.failures import complaint, go_failed
from wingo.golang.targets import binary_name

if TYPE_CHECKING:
    from wingo.golang.command import GoFlags
    from wingo.golang.runner import Completed, Runner
    from wingo.golang.targets import TargetSet
    from wingo.golang.toolchain import Toolchain

_FIELDS = "Dir,ImportPath,Name,Module,Match,Error"
_MAX_OUTPUT_BYTES = 256 << 20


class Module(msgspec.Struct, frozen=True, rename="pascal"):
    """A module, as `go list -json` prints it."""

    path: str = ""
    version: str = ""
    main: bool = False
    dir: str = ""
    go_mod: str = ""
    replace: Module | None = None


class Problem(msgspec.Struct, frozen=True, rename="pascal"):
    """An error of a package, as `go list -e -json` prints it."""

    pos: str = ""
    err: str = ""


class Package(msgspec.Struct, frozen=True, rename="pascal"):
    """A package, as `go list -json` prints it; the fields that wingo asks for."""

    import_path: str = ""
    dir: str = ""
    name: str = ""
    standard: bool = False
    module: Module | None = None
    match: tuple[str, ...] = ()
    error: Problem | None = None
    go_files: tuple[str, ...] = ()
    cgo_files: tuple[str, ...] = ()
    ignored_go_files: tuple[str, ...] = ()
    ignored_other_files: tuple[str, ...] = ()
    c_files: tuple[str, ...] = msgspec.field(default=(), name="CFiles")
    cxx_files: tuple[str, ...] = msgspec.field(default=(), name="CXXFiles")
    m_files: tuple[str, ...] = msgspec.field(default=(), name="MFiles")
    h_files: tuple[str, ...] = msgspec.field(default=(), name="HFiles")
    f_files: tuple[str, ...] = msgspec.field(default=(), name="FFiles")
    s_files: tuple[str, ...] = msgspec.field(default=(), name="SFiles")
    swig_files: tuple[str, ...] = ()
    swig_cxx_files: tuple[str, ...] = msgspec.field(default=(), name="SwigCXXFiles")
    syso_files: tuple[str, ...] = ()
    embed_patterns: tuple[str, ...] = ()
    embed_files: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    dep_only: bool = False


class MainPackage(msgspec.Struct, frozen=True):
    """A program to build.

    Attributes:
        import_path: of the main package.
        directory: of its sources; "" when they were never on this machine's disk by themselves.
        module: the module's path.
        version: the module's version; "" in a checkout.
        name: what the program is called, without ".exe".
    """

    import_path: str
    directory: str
    module: str
    version: str
    name: str


def read_packages(stdout: bytes) -> list[Package]:
    """Reads the concatenated JSON objects that `go list -json` prints.

    Raises:
        ToolFailed: it is not what go prints.
    """
    if len(stdout) > _MAX_OUTPUT_BYTES:
        raise ToolFailed(("go", "list"), 0, f"printed {len(stdout)} bytes")
    # Objects end with a line that is "}" alone; inside, go indents with tabs.
    *parts, rest = stdout.replace(b"\r\n", b"\n").split(b"\n}\n")
    if rest.strip():
        raise ToolFailed(("go", "list"), 0, "printed half a package")
    try:
        return [_decode(part + b"\n}") for part in parts]
    except msgspec.DecodeError as error:
        raise ToolFailed(("go", "list"), 0, f"printed something unexpected: {error}") from error


_decode = msgspec.json.Decoder(Package).decode


def resolve(
    targets: TargetSet,
    goos: str,
    goarch: str,
    variant: str,
    flags: GoFlags,
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
) -> tuple[MainPackage, ...]:
    """The main packages that local targets mean on a platform; runs `go list` once.

    Raises:
        RequestError: no main package, an unknown package, or go.mod is wrong; go's own words.
    """
    env = build_environment(environment, goos, goarch, variant, flags)

    def run(arguments: Sequence[str]) -> Completed:
        tags = tag_list(flags, False, environment)
        options = (*([f"-tags={','.join(tags)}"] if tags else []), *list_flags(flags))
        return runner.run((toolchain.path, "list", *options, *arguments), cwd=targets.directory, env=env)

    done = run(("-find", "-e", f"-json={_FIELDS}", "--", *targets.patterns))
    if done.status != 0:
        raise go_failed(("go", "list"), done.status, done.stderr, cgo_enabled=True, directories=lambda _: ())
    packages = read_packages(done.stdout)
    mains = [package for package in packages if package.name == "main" and package.error is None]
    for pattern in targets.patterns:
        _must_have_main(pattern, packages, mains, env, run)
    if not mains:
        said = complaint(done.stderr)
        raise RequestError(
            f"{', '.join(targets.patterns)}: no main package for {goos}/{goarch}" + (f"\n{said}" if said else ""),
            hint="Name a directory with `package main`.",
        )
    return tuple(main_package(package) for package in mains)


def list_flags(flags: GoFlags) -> tuple[str, ...]:
    """Those of a build's other flags that `go list` must be given, too: which decide what a package is made of."""
    return tuple(
        flag for flag in flags.extra if flag.lstrip("-").partition("=")[0] in ("mod", "tags", "modfile", "race")
    )


def main_package(package: Package) -> MainPackage:
    """What the rest of wingo wants to know of a main package."""
    module = package.module or Module()
    return MainPackage(package.import_path, package.dir, module.path, module.version, binary_name(package.import_path))


def _must_have_main(
    pattern: str,
    packages: Sequence[Package],
    mains: Sequence[Package],
    env: Mapping[str, str],
    run: Callable[[Sequence[str]], Completed],
) -> None:
    matched = [package for package in packages if pattern in package.match]
    if any(package in mains for package in matched):
        return
    wide = "..." in pattern
    for package in matched:
        if package.error is not None and not (wide and "build constraints exclude" in package.error.err):
            where = f"{package.error.pos}: " if package.error.pos else ""
            raise go_failed(
                ("go", "list"),
                1,
                f"{where}{package.error.err}".encode(),
                cgo_enabled=env.get("CGO_ENABLED") == "1",
                directories=lambda _: (),
            )
    libraries = [package for package in matched if package.name]
    below = () if wide else _mains_below(pattern, run)
    if libraries and not wide:
        message = f"{pattern} is a library (package {libraries[0].name}), not a program"
    else:
        message = f"{pattern} has no main package"
    if below:
        message += f"; main packages below: {', '.join(below)}"
    raise RequestError(
        message, hint="Name a directory with `package main`" + (", for instance " + below[0] if below else "") + "."
    )


def _mains_below(pattern: str, run: Callable[[Sequence[str]], Completed]) -> tuple[str, ...]:
    done = run(("-find", "-e", f"-json={_FIELDS}", "--", f"{pattern.rstrip('/')}/..."))
    if done.status != 0:
        return ()
    found = [package.import_path for package in read_packages(done.stdout) if package.name == "main"]
    return (*found[:10], f"and {len(found) - 10} more") if len(found) > 10 else tuple(found)
