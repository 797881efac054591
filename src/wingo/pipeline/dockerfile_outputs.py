"""`-o` of `wingo build -f` as people write it for buildx: `type=local,dest=DIR`, `type=oci,dest=FILE`, a directory, `-`.

Wingo's own places (`oci:DIR`) mean what they mean everywhere. Source: buildx `util/buildflags/export.go`, BuildKit `exporter`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.dockerfile.source import nearest
from wingo.errors import RequestError
from wingo.image.model import Image, Index, images_of
from wingo.oci.place import Place, PlaceKind
from wingo.pipeline.request import Export

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_PLACES = tuple(f"{kind.value}:" for kind in PlaceKind if kind.value)
_TYPES = ("local", "tar", "oci", "docker", "image", "registry", "cacheonly")
_KEYS = {
    "local": ("dest",),
    "tar": ("dest",),
    "oci": ("dest", "name", "tar"),
    "docker": ("dest", "name"),
    "image": ("name", "push"),
    "registry": ("name", "push"),
    "cacheonly": (),
}
_EVERYWHERE = {"compression": ("gzip",), "oci-mediatypes": ("true",), "force-compression": ("false",)}
"""Keys that wingo obeys anyway, and the values that it has."""
_STDOUT = "-"


class Outputs(msgspec.Struct, frozen=True):
    """Where a build's result goes.

    Attributes:
        places: as wingo writes them.
        exports: of the image's files.
        names: more names.
        push: whether it is pushed.
    """

    places: tuple[str, ...] = ()
    exports: tuple[Export, ...] = ()
    names: tuple[str, ...] = ()
    push: bool = False


def read_outputs(texts: Sequence[str]) -> Outputs:
    """Reads all of `-o`.

    Raises:
        RequestError: one is none.
    """
    found = [_output(text) for text in texts]
    outputs = Outputs(
        tuple(place for one in found for place in one.places),
        tuple(export for one in found for export in one.exports),
        tuple(name for one in found for name in one.names),
        any(one.push for one in found),
    )
    if [export.path for export in outputs.exports].count(_STDOUT) > 1:
        raise RequestError("-o writes to standard output twice", hint="Name a file for one of them.")
    return outputs


def _output(text: str) -> Outputs:
    if text == _STDOUT:
        return Outputs(exports=(Export(_STDOUT, tar=True),))
    fields = _fields(text)
    if "type" not in fields:
        return Outputs(places=(text,)) if text.startswith(_PLACES) else Outputs(exports=(Export(text),))
    kind = fields.pop("type")
    if kind not in _TYPES:
        hint = nearest(kind, _TYPES) or f"There are {', '.join(_TYPES)}."
        raise RequestError(f"-o {text[:120]!r}: there is no type {kind[:40]!r}", hint=hint)
    for key, value in fields.items():
        if key in _EVERYWHERE and value in _EVERYWHERE[key]:
            continue
        if key not in _KEYS[kind]:
            hint = nearest(key, _KEYS[kind]) or f"It has {', '.join(('type', *_KEYS[kind]))}."
            raise RequestError(f"-o {text[:120]!r}: type={kind} has no {key[:40]}={value[:40]} here", hint=hint)
    return _of_type(text, kind, fields)


def _fields(text: str) -> dict[str, str]:
    if "=" not in text:
        return {}
    import csv

    try:
        words = next(csv.reader([text], strict=True), [])
    except csv.Error as error:
        raise RequestError(f"-o {text[:120]!r}: {error}") from None
    pairs = [word.partition("=") for word in words]
    return {key.strip().lower(): value for key, equals, value in pairs if equals}


def _of_type(text: str, kind: str, fields: dict[str, str]) -> Outputs:
    dest = fields.get("dest", "")
    names = tuple(name.strip() for name in fields.get("name", "").split(",") if name.strip())
    if kind == "tar":
        return Outputs(exports=(Export(dest or _STDOUT, tar=True),))
    if kind in ("image", "registry"):
        push = _is_true(text, fields.get("push", "true" if kind == "registry" else "false"))
        return Outputs(names=names, push=push)
    if kind == "cacheonly":
        return Outputs()
    if kind == "docker" and not dest:
        raise RequestError(
            f"-o {text[:120]!r}: wingo has no Docker daemon to load the image into",
            hint="Write -o type=docker,dest=FILE, then docker load -i FILE.",
        )
    if not dest or dest == _STDOUT:
        raise RequestError(f"-o {text[:120]!r} needs a dest", hint=f"Write -o type={kind},dest=PATH.")
    if kind == "local":
        return Outputs(exports=(Export(dest),))
    if kind == "docker":
        return Outputs(places=(":".join(("docker-archive", dest, *names[:1])),))
    directory = not _is_true(text, fields.get("tar", "true"))
    return Outputs(places=(f"{'oci' if directory else 'oci-archive'}:{dest}",), names=names)


def _is_true(text: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0"):
        raise RequestError(f"-o {text[:120]!r}: {value[:40]!r} is neither true nor false")
    return value.lower() in ("true", "1")


def write_exports(artifact: Image | Index, exports: Sequence[Export], places: Places) -> None:
    """Writes the files of an image, the base's too: of several platforms each into a directory of its own.

    Raises:
        RequestError: several platforms cannot be one tar.
        HostError: something cannot be written.
        ContentError: a layer is damaged.
    """
    images = list(images_of(artifact))
    for export in exports:
        if export.tar:
            if len(images) > 1:
                raise RequestError(
                    f"one tar holds the files of one platform, not of {len(images)}", hint="Choose one: --platform."
                )
            _write_tar(images[0], export.path, places)
            continue
        for image in images:
            name = re.sub(r"[^A-Za-z0-9_.-]", "_", str(image.platform))
            path = os.path.join(export.path, name) if len(images) > 1 else export.path
            places.write(image, [Place(PlaceKind.FILES, path=path)], "latest")


def _write_tar(image: Image, path: str, places: Places) -> None:
    from wingo.pipeline.exporting import export_tar
    from wingo.pipeline.viewing import view_of

    pieces = export_tar(view_of(image, places, base_layers=True), progress=places.progress)
    places.write_pieces("" if path == _STDOUT else path, pieces)
