"""The JSON spelling of every noun: the field names, the limits, decoding and the one encoding that we write.

Decoding is strict about types and lenient about what is not known: unknown members are ignored in the view and survive
in the raw bytes (image-spec `considerations.md`, "Extensibility").
"""

from __future__ import annotations

from threading import Lock
from typing import Any, TypeVar

import msgspec

from wingo.errors import Malformed

MAX_MANIFEST_BYTES = 4 << 20
"""A manifest or index; distribution-spec asks registries to take at least 4 MiB, and refuses to promise more."""
MAX_CONFIG_BYTES = 8 << 20
"""An image config; real ones have a few KB."""
MAX_LAYERS = 1024
"""Layers of one image; containerd and Docker stop at about 127."""
MAX_CHILDREN = 1024
"""Manifests of one index."""

_SPELLING = {"os_version": "os.version", "os_features": "os.features"}
_T = TypeVar("_T")

_decoders: dict[object, msgspec.json.Decoder[Any]] = {}
_preparing = Lock()


def rename(field: str) -> str:
    """The JSON name of a field: camelCase, but for the members with a dot."""
    if field in _SPELLING:
        return _SPELLING[field]
    first, *rest = field.split("_")
    return first + "".join(word.capitalize() for word in rest)


def rename_config(field: str) -> str:
    """The JSON name of a top-level field of a config: snake_case there, but for the members with a dot."""
    return _SPELLING.get(field, field)


def rename_settings(field: str) -> str:
    """The JSON name of a field of a config's `config`: PascalCase, as Docker wrote it first."""
    return "".join(word.capitalize() for word in field.split("_"))


def decoder(kind: type[_T]) -> msgspec.json.Decoder[_T]:
    """The JSON decoder of a type; every thread takes its decoders from here.

    msgspec (0.22) finds out about a struct when it first decodes one, and lets other threads see it half done: two that
    begin at the same moment end the process with a segmentation fault. Here, one thread at a time finds out.
    """
    found = _decoders.get(kind)
    if found is None:
        with _preparing:
            found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found


def decode(data: bytes, kind: type[_T], what: str, *, limit: int) -> _T:
    """Reads one JSON document as a noun.

    Args:
        data: the whole document.
        kind: the noun.
        what: the document's name for the error: "manifest", "index", "config".
        limit: the most bytes that it may have.

    Raises:
        Malformed: too large, not JSON, nested too deeply, or a member of the wrong type.
    """
    if len(data) > limit:
        raise Malformed(what, f"{len(data)} bytes, more than the {limit} that wingo reads")
    try:
        return decoder(kind).decode(data)
    except RecursionError as error:
        raise Malformed(what, "nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Malformed(what, str(error)[:300]) from error


def encode(noun: object) -> bytes:
    """Writes a noun as compact JSON: members in the order of the specification's tables, maps sorted by key."""
    return msgspec.json.encode(noun, order="deterministic")


def document(data: bytes, what: str, *, limit: int) -> dict[str, object]:
    """Reads a JSON object with every member that it has, for changing a few and writing it back.

    Raises:
        Malformed: too large, not JSON, or not an object.
    """
    return decode(data, dict[str, object], what, limit=limit)
