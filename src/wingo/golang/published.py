"""Published programs, `github.com/traefik/whoami@latest`: fetched and built as `go install` does.

`go install` takes no -o and refuses GOBIN for another platform, so it gets a GOPATH of its own, with the user's module
and build caches kept, and its programs are taken from there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.golang.environment import env_file, settings
from wingo.golang.failures import go_failed
from wingo.golang.git import VcsFacts, rfc3339, timestamp, web_address
from wingo.golang.packages import MainPackage
from wingo.golang.targets import binary_name

if TYPE_CHECKING:
    from wingo.golang.runner import Runner
    from wingo.golang.toolchain import Toolchain


class Origin(msgspec.Struct, frozen=True, rename="pascal"):
    """Where the module proxy got a version from."""

    url: str = msgspec.field(default="", name="URL")
    hash: str = ""


class _Problem(msgspec.Struct, frozen=True, rename="pascal"):
    err: str = ""


class PublishedModule(msgspec.Struct, frozen=True, rename="pascal"):
    """A module version, as `go list -m -json` prints it."""

    path: str = ""
    version: str = ""
    query: str = ""
    origin: Origin | None = None
    time: str = ""
    error: _Problem | None = None

    @property
    def vcs(self) -> VcsFacts | None:
        """The commit that it was made from, when the proxy tells."""
        if self.origin is None or not self.origin.hash:
            return None
        return VcsFacts(self.origin.hash, False, web_address(self.origin.url))


def module_cache(environment: Mapping[str, str]) -> str:
    """The directory of fetched modules, as `go env GOMODCACHE`; "" when nothing tells."""
    known = settings(environment)
    if known.get("GOMODCACHE"):
        return known["GOMODCACHE"]
    home = environment.get("HOME") or environment.get("USERPROFILE", "")
    gopath = known.get("GOPATH", "").split(os.pathsep)[0] or (os.path.join(home, "go") if home else "")
    return os.path.join(gopath, "pkg", "mod") if gopath else ""


def install_environment(build: Mapping[str, str], given: Mapping[str, str], scratch: str) -> dict[str, str]:
    """The environment of `go install` into `<scratch>/gopath/bin`.

    Args:
        build: the environment of the build.
        given: the user's.
        scratch: a directory of our own; a copy of the go/env file without GOBIN is put there when that has one.
    """
    env = {**build, "GOPATH": os.path.join(scratch, "gopath"), "GOWORK": "off"}
    env.pop("GOBIN", None)
    if cache := module_cache(given):
        env["GOMODCACHE"] = cache
    path = env_file(given)
    if path and settings({"GOENV": path}).get("GOBIN"):
        with open(path, "rb") as file:
            lines = file.read(1 << 20).splitlines()
        copy = os.path.join(scratch, "go.env")
        with open(copy, "wb") as file:
            file.write(b"\n".join(line for line in lines if not line.startswith(b"GOBIN=")) + b"\n")
        env["GOENV"] = copy
    return env


def query(
    patterns: Sequence[str],
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
    scratch: str,
) -> dict[str, PublishedModule]:
    """Asks which module and version published packages are; one `go list -m`, by pattern.

    Raises:
        RequestError: no module has the package, or the version is unknown.
        RemoteError: the proxy cannot be reached.
    """
    candidates: dict[str, list[str]] = {}
    for pattern in patterns:
        path, _, version = pattern.partition("@")
        elements = path.split("/")
        candidates[pattern] = [f"{'/'.join(elements[:count])}@{version}" for count in range(len(elements), 0, -1)]
        if len(elements) > 1 and elements[0] in ("github.com", "gitlab.com", "bitbucket.org"):
            candidates[pattern] = candidates[pattern][:-2] or candidates[pattern]
    asked = list(dict.fromkeys(name for names in candidates.values() for name in names))
    found = ask_modules(asked, toolchain=toolchain, runner=runner, environment=environment, scratch=scratch)
    result: dict[str, PublishedModule] = {}
    for pattern, names in candidates.items():
        good = [found[name] for name in names if name in found and found[name].error is None]
        if not good:
            said = "\n".join(dict.fromkeys(m.error.err for m in map(found.get, names) if m and m.error))
            raise go_failed(("go", "list"), 1, said.encode(), cgo_enabled=True, directories=lambda _: ())
        result[pattern] = good[0]
    return result


def ask_modules(
    names: Sequence[str],
    *,
    toolchain: Toolchain,
    runner: Runner,
    environment: Mapping[str, str],
    scratch: str,
) -> dict[str, PublishedModule]:
    """What `path@version` names are; unknown ones have an error.

    Raises:
        RequestError: go cannot answer at all.
    """
    env = {**environment, "GOWORK": "off", "GO111MODULE": "on"}
    argv = (toolchain.path, "list", "-m", "-e", "-mod=mod", "-json", "--", *names)
    done = runner.run(argv, cwd=scratch, env=env)
    parts = done.stdout.replace(b"\r\n", b"\n").split(b"\n}\n")
    try:
        modules = [msgspec.json.decode(part + b"\n}", type=PublishedModule) for part in parts if part.strip()]
    except msgspec.DecodeError as error:
        raise RequestError(f"go list -m printed something unexpected: {error}") from error
    if done.status != 0 and not modules:
        raise go_failed(argv, done.status, done.stderr, cgo_enabled=True, directories=lambda _: ())
    result: dict[str, PublishedModule] = {}
    for module in modules:
        for name in names:
            path, _, version = name.partition("@")
            if module.path == path and version in (module.query, module.version):
                result[name] = module
        if module.query == "" and module.error is not None:
            result.update(
                {name: module for name in names if name.partition("@")[0] == module.path and name not in result}
            )
    return result


def source_directory(module: PublishedModule, package: str, cache: str) -> str:
    """Where the sources of a package of a fetched module are; "" when they are not there."""
    escaped = re.sub(r"[A-Z]", lambda letter: "!" + letter[0].lower(), f"{module.path}@{module.version}")
    rest = package[len(module.path) :].strip("/")
    folder = os.path.join(cache, *escaped.split("/"), *rest.split("/")) if cache else ""
    return os.path.normpath(folder) if folder and os.path.isdir(folder) else ""


def main_of(pattern: str, module: PublishedModule, cache: str) -> MainPackage:
    """What is known of a published program without reading it."""
    path = pattern.partition("@")[0]
    return MainPackage(path, source_directory(module, path, cache), module.path, module.version, binary_name(path))


def template_values_of(module: PublishedModule, names: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of templates that a module version has.

    Raises:
        RequestError: one is asked for that only a checkout has, or that the proxy does not tell.
    """
    values = {
        "Version": module.version,
        "Tag": module.version,
        "IsDirty": "false",
        "IsClean": "true",
        "TreeState": "clean",
    }
    seconds = timestamp(environment.get("SOURCE_DATE_EPOCH", "") or "0")
    values |= {"Timestamp": seconds, "Date": rfc3339(int(seconds))}
    if module.time:
        values["CommitDate"] = module.time
        if not environment.get("SOURCE_DATE_EPOCH"):
            values["Date"] = module.time
    if module.vcs is not None:
        values |= {"Commit": module.vcs.revision, "ShortCommit": module.vcs.revision[:7]}
    missing = sorted(set(names) - values.keys())
    if missing:
        raise RequestError(
            f"nothing tells {{{{.{missing[0]}}}}} of {module.path}@{module.version}",
            hint="Use {{.Version}}, or build from a checkout.",
        )
    return values
