"""Certificate authorities and time zones, from the packages that bring them: certifi (Mozilla's list) and tzdata (IANA's)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import HostError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_NOT_ZONES = ("right", "posix", "__pycache__")


class SystemData(msgspec.Struct, frozen=True):
    """What an image without a base gets.

    Attributes:
        certificates: a bundle in PEM.
        zones: compiled time zones and their tables, by name ("Europe/Paris").
        sources: the packages and their versions, for the layer's history.
    """

    certificates: bytes
    zones: dict[str, bytes]
    sources: str


def read_system_data() -> SystemData:
    """Reads the data of the installed packages.

    Raises:
        HostError: one of them is not installed, or damaged.
    """
    from importlib.resources import files

    try:
        import certifi
        import tzdata  # type: ignore[import-untyped]

        certificates = files("certifi").joinpath("cacert.pem").read_bytes()
        zones = dict(_read_zones(files("tzdata").joinpath("zoneinfo"), ""))
    except (ImportError, OSError) as error:
        raise HostError(
            f"the certificate authorities or time zones of wingo cannot be read: {error}",
            hint="Install wingo again; it brings the packages certifi and tzdata.",
        ) from error
    return SystemData(certificates, zones, f"certifi {certifi.__version__}, tzdata {tzdata.__version__}")


def system_data_stamp() -> str:
    """Says which data is installed, without reading it: another text when another version is."""
    return " ".join(_stamp(name) for name in ("certifi", "tzdata"))


def _stamp(package: str) -> str:
    spec = PathFinder.find_spec(package)
    if spec is None or spec.origin is None:
        return "none"
    try:
        status = os.stat(spec.origin)
    except OSError:
        return f"{spec.origin} unknown"
    return f"{spec.origin} {status.st_mtime_ns} {status.st_size} {status.st_ino}"


def _read_zones(folder: Traversable, below: str) -> Iterator[tuple[str, bytes]]:
    for item in folder.iterdir():
        name = item.name
        if item.is_dir():
            if name not in _NOT_ZONES:
                yield from _read_zones(item, f"{below}{name}/")
        elif not name.endswith((".py", ".pyc")):
            yield f"{below}{name}", item.read_bytes()
