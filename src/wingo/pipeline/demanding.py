"""What is demanded of programs, gathered: the `[policy]` table, the database of vulnerabilities, the imports of sources at hand."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.check.demands import Demands, imports_key, read_demands
from wingo.check.imports import ImportGraph
from wingo.check.vulnerabilities import MAX_DOCUMENT, Vulnerabilities
from wingo.errors import ContentError, HostError, RequestError, WingoError

if TYPE_CHECKING:
    from wingo.binary.buildinfo import BuildInfo
    from wingo.golang.packages import Package
    from wingo.host import Host
    from wingo.pipeline.settings import Settings

_MAX_ZIP = 256 << 20
"""Bytes of the database; in 2026 it has about ten million."""


def demands_of(settings: Settings, directory: str = "") -> Demands:
    """The demands of wingo.toml and the flags, without imports; opens the database, if one is named.

    Args:
        settings: all of them.
        directory: that relative paths of flags are seen from; "" is the current one.

    Raises:
        RequestError: the table is wrong, or the database is not there.
        ContentError: it is none.
    """
    demands = read_demands(settings.policy)
    if settings.vuln_db:
        database = open_vulnerabilities(os.path.join(directory, settings.vuln_db) if directory else settings.vuln_db)
        demands = msgspec.structs.replace(demands, vulnerabilities=database)
    return demands


def open_vulnerabilities(path: str) -> Vulnerabilities:
    """Opens a copy of Go's vulnerability database: its zip or its directory.

    Raises:
        RequestError: nothing is there.
        ContentError: it is no such database.
        HostError: it cannot be read.
    """
    if os.path.isdir(path):
        return Vulnerabilities(_in_directory(path))
    if not os.path.exists(path):
        hint = "Download https://vuln.go.dev/vulndb.zip once, and name the file."
        raise RequestError(f"the vulnerability database {path} is not there", hint=hint)
    return Vulnerabilities(_in_zip(path))


def with_sources(demands: Demands, programs: Iterable[BuildInfo], targets: Sequence[str], host: Host) -> Demands:
    """Adds the imports of programs whose sources are at hand, each as it was built; runs `go list` once for each kind of build.

    Args:
        demands: what is denied; if nothing is, nothing is run.
        programs: what they say of their builds.
        targets: the main packages that they were made of, as for `wingo build`.
        host: where go is.

    Raises:
        RequestError: a target is none.
        HostError: there is no Go toolchain.
    """
    if not targets or not demands.deny:
        return demands
    from wingo.golang.imports import deciding_settings, list_imports
    from wingo.golang.targets import group_targets
    from wingo.golang.toolchain import find_toolchain

    toolchain = find_toolchain(host.environment, host.runner, python_path=sys.path, directory=host.directory)
    groups = [group for group in group_targets(targets, host.directory, host.environment) if not group.published]
    listed: dict[tuple[int, tuple[tuple[str, str], ...]], dict[str, ImportGraph]] = {}
    graphs: dict[str, ImportGraph] = {}
    for info in programs:
        settings = deciding_settings(info)
        for number, group in enumerate(groups):
            key = number, tuple(settings.items())
            if key not in listed:
                try:
                    packages = list_imports(
                        group, settings, toolchain=toolchain, runner=host.runner, environment=host.environment
                    )
                except WingoError:
                    packages = ()  # the program was built; what go list lacks, only the ways lack
                listed[key] = _graphs(packages)
            if info.path in listed[key]:
                graphs.setdefault(imports_key(info), listed[key][info.path])
    return msgspec.structs.replace(demands, imports=graphs)


def _graphs(packages: Sequence[Package]) -> dict[str, ImportGraph]:
    """The imports of each program among packages, by its main package."""
    imports = {each.import_path: each.imports for each in packages}
    standard = frozenset(each.import_path for each in packages if each.standard)
    mains = [each.import_path for each in packages if each.name == "main" and not each.dep_only]
    return {main: ImportGraph(main, imports, standard) for main in mains}


def _in_directory(path: str) -> Callable[[str], bytes | None]:
    def read(name: str) -> bytes | None:
        try:
            with open(os.path.join(path, *name.split("/")), "rb") as file:
                return _limited(file.read(MAX_DOCUMENT + 1), name)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"cannot read {name} of the vulnerability database: {error.strerror}") from error

    return read


def _in_zip(path: str) -> Callable[[str], bytes | None]:
    import zipfile
    import zlib

    hint = "Give a copy of https://vuln.go.dev/vulndb.zip, or the directory that it unpacks to."
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_ZIP + 1)
        if len(data) > _MAX_ZIP:
            raise ContentError(f"the vulnerability database {path} is larger than {_MAX_ZIP} bytes", hint=hint)
        archive = zipfile.ZipFile(io.BytesIO(data))
    except OSError as error:
        raise HostError(f"cannot read the vulnerability database {path}: {error.strerror}") from error
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise ContentError(f"the vulnerability database {path} is no zip file", hint=hint) from error

    def read(name: str) -> bytes | None:
        try:
            with archive.open(name) as file:
                return _limited(file.read(MAX_DOCUMENT + 1), name)
        except KeyError:
            return None
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
            raise ContentError(f"{name} of the vulnerability database cannot be unpacked: {error}") from error

    return read


def _limited(data: bytes, name: str) -> bytes:
    if len(data) > MAX_DOCUMENT:
        raise ContentError(f"{name} of the vulnerability database is larger than {MAX_DOCUMENT} bytes")
    return data
