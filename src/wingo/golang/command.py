"""`go build` as a value: flags, environment, output."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.errors import RequestError
from wingo.golang.environment import flag_value, settings, split_flags

_OURS = frozenset({"GOOS", "GOARCH", "GOARM", "GOAMD64", "GOARM64", "GOBIN"})
_VARIANTS = {
    "arm": ("GOARM", {"v5": "5", "v6": "6", "v7": "7"}),
    "amd64": ("GOAMD64", {"v1": "v1", "v2": "v2", "v3": "v3", "v4": "v4"}),
    "arm64": ("GOARM64", {"v8": "v8.0", "v9": "v9.0"}),
}
_HARMLESS = frozenset({"mod", "buildvcs", "tags", "trimpath", "ldflags", "gcflags", "asmflags", "race", "v", "x", "p",
                       "modcacherw", "buildmode", "a", "msan", "asan", "cover", "covermode"})  # fmt: skip


class GoFlags(msgspec.Struct, frozen=True):
    """How to compile, the same for every platform.

    Attributes:
        tags: build tags.
        ldflags: more flags for the linker, each as on a command line.
        gcflags: more flags for the compiler.
        extra: other flags of `go build`, for instance "-mod=vendor".
        env: variables for the compilation, above the environment's.
        keep_symbols: keep the symbol table and DWARF.
    """

    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    gcflags: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    keep_symbols: bool = False

    def linker(self) -> str:
        """The value of -ldflags."""
        ours = ("-buildid=",) if self.keep_symbols else ("-s", "-w", "-buildid=")
        return " ".join((*ours, *self.ldflags))


class GoBuild(msgspec.Struct, frozen=True):
    """One `go build` (or `go install` of a published program) for one GOOS/GOARCH.

    Attributes:
        packages: import paths, all of one module or workspace; `path@version` when published.
        directory: where go runs; "" for a published program.
        goos: the operating system.
        goarch: the architecture.
        variant: of the architecture: "v7" for arm, "v3" for amd64; often "".
        flags: how to compile.
        zones: compile the time zone database in (the tag `timetzdata`).
    """

    packages: tuple[str, ...]
    directory: str
    goos: str
    goarch: str
    variant: str = ""
    flags: GoFlags = GoFlags()
    zones: bool = False

    @property
    def published(self) -> bool:
        """Whether `go install` fetches it."""
        return "@" in self.packages[0]

    def argv(self, go: str, output: str, environment: Mapping[str, str]) -> tuple[str, ...]:
        """The command line; `output` is the directory that gets the programs."""
        verb = ("install",) if self.published else ("build", "-o", output)
        return (go, *verb, *build_flags(self.flags, self.zones, environment), "--", *self.packages)

    def environment(self, given: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of the command: the given one and what this build sets in it.

        Raises:
            RequestError: the variant is unknown, or the flags set what only the platform may.
        """
        return build_environment(given, self.goos, self.goarch, self.variant, self.flags)


def build_flags(flags: GoFlags, zones: bool, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The flags that `go build`, `go install` and `go list` are given alike."""
    result = ["-trimpath", f"-ldflags={flags.linker()}"]
    if flags.gcflags:
        result.append(f"-gcflags={' '.join(flags.gcflags)}")
    tags = tag_list(flags, zones, environment)
    if tags:
        result.append(f"-tags={','.join(tags)}")
    return (*result, *flags.extra)


def tag_list(flags: GoFlags, zones: bool, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The build tags; those of GOFLAGS stay when the only one to add is ours."""
    tags = list(flags.tags)
    if zones:
        if not tags:
            value = flag_value(all_flags(flags, environment), "tags") or ""
            tags = [tag for tag in value.replace(",", " ").split() if tag]
        tags.append("timetzdata")
    return tuple(dict.fromkeys(tags))


def all_flags(flags: GoFlags, environment: Mapping[str, str]) -> list[str]:
    """GOFLAGS, wherever it was set, and the other flags of a build, which win."""
    return [*split_flags(settings({**environment, **dict(flags.env)}).get("GOFLAGS", "")), *flags.extra]


def build_environment(given: Mapping[str, str], goos: str, goarch: str, variant: str, flags: GoFlags) -> dict[str, str]:
    """The environment of the go command for a platform: the given one, cgo off unless asked for, the platform.

    Raises:
        RequestError: the variant is unknown, or the flags set what only the platform may.
    """
    env = {"CGO_ENABLED": "0", **given, **dict(flags.env), "GOOS": goos, "GOARCH": goarch}
    for name, _ in flags.env:
        if name in _OURS:
            raise RequestError(f"{name} cannot be set for the compilation", hint="Name the platform instead.")
    if variant:
        name, values = _VARIANTS.get(goarch, ("", {}))
        if variant not in values:
            known = f"There are: {', '.join(values)}." if values else f"Leave it out: {goarch} has none."
            raise RequestError(f"{goos}/{goarch} has no variant {variant!r}", hint=known)
        env[name] = values[variant]
    return env


def watchable(flags: GoFlags, effective: Mapping[str, str]) -> str:
    """Why the inputs of such a build cannot all be watched; "" when they can.

    Args:
        flags: how to compile.
        effective: the go command's settings, as `go env` says.
    """
    for flag in (*split_flags(effective.get("GOFLAGS", "")), *flags.extra):
        name = flag.lstrip("-").partition("=")[0]
        if flag.startswith("-") and name not in _HARMLESS:
            return f"the flag -{name}"
    if effective.get("GO111MODULE") == "off":
        return "GO111MODULE=off"
    if "path" in effective.get("GOTOOLCHAIN", ""):
        return "GOTOOLCHAIN finds toolchains on PATH"
    return ""
