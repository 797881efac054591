"""Places: where an image is read from or written to, written the same way in every command.

`registry.example/app:tag`, `…@sha256:…`, `oci:DIR[:tag]`, `oci-archive:FILE[:tag]`, `docker-archive:FILE[:tag]`, `files:DIR`.
"""

from __future__ import annotations

from enum import Enum

import msgspec

from wingo.errors import RequestError
from wingo.oci.reference import Reference, parse_reference


class PlaceKind(Enum):
    """What sort of place it is; the value is its prefix."""

    REGISTRY = ""
    LAYOUT = "oci"
    OCI_ARCHIVE = "oci-archive"
    DOCKER_ARCHIVE = "docker-archive"
    FILES = "files"


class Place(msgspec.Struct, frozen=True):
    """One place.

    Attributes:
        kind: which store it belongs to.
        path: the file or directory, as written; "" for a registry.
        tag: the name inside a layout or archive; for a docker-archive a whole reference may stand here; "" when none.
        reference: for a registry.
    """

    kind: PlaceKind
    path: str = ""
    tag: str = ""
    reference: Reference | None = None

    def __str__(self) -> str:
        if self.reference is not None:
            return str(self.reference)
        return f"{self.kind.value}:{self.path}" + (f":{self.tag}" if self.tag else "")


_LOCAL = {kind.value: kind for kind in PlaceKind if kind.value}


def parse_place(text: str, *, default_tag: str = "") -> Place:
    """Reads a place.

    Args:
        text: as a user writes it.
        default_tag: for a registry reference without tag and digest.

    Raises:
        RequestError: it is none.
    """
    prefix, colon, rest = text.partition(":")
    kind = _LOCAL.get(prefix)
    if not colon or kind is None or rest.startswith("//"):
        return Place(PlaceKind.REGISTRY, reference=parse_reference(text, default_tag=default_tag))
    if kind is PlaceKind.FILES:
        path, tag = rest, ""
    else:
        path, tag = _split_tag(rest)
    if rest.endswith(":") and kind is not PlaceKind.FILES:
        raise RequestError(f"{text!r} ends with a colon but names no tag", hint=f"Write {text[:-1]}, or add the tag.")
    if not path:
        raise RequestError(f"{text!r} names no path", hint=f"Write {prefix}:PATH, for instance {prefix}:out.")
    return Place(kind, path=path, tag=tag)


def _split_tag(rest: str) -> tuple[str, str]:
    r"""Splits a tag from a path; the colon of a Windows drive (`C:\out`) is not one."""
    start = 2 if len(rest) > 2 and rest[1] == ":" and rest[0].isalpha() and rest[2] in "\\/" else 0
    path, _, tag = rest[start:].partition(":")
    return rest[:start] + path, tag
