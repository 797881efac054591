r"""The hives of an image: taken out of its layers once, kept in the cache by the layer's digest, and merged.

The base's hives are `Windows\System32\config` of the lowest layer (or its `Hives/*_Base`); each layer above may have a
`Hives/*_Delta`. A hive that an upper layer puts into `System32\config` changes nothing on Windows: it is not read.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.archive.unpack import Member, MemberKind, open_tar, read_tar, safe_components
from wingo.errors import ContentError, Malformed, RequestError
from wingo.hive.keys import Key
from wingo.hive.logs import recover
from wingo.hive.merge import merge
from wingo.hive.paths import HIVES
from wingo.hive.read import Hive, open_hive, read_base_block
from wingo.image.model import Image, Layer
from wingo.oci.digest import Digest, encoded_of
from wingo.oci.wire import decoder
from wingo.stores.parallel import each
from wingo.stores.registry.blob import RegistryBlob
from wingo.windows.registry import LAYER_NAMES, Registry

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

MAX_HIVE_BYTES = 512 << 20
"""Bytes of one hive that are read; the largest SOFTWARE has about 150 MB."""

_KIND = "hives"
_CONFIG = ("FILES", "WINDOWS", "SYSTEM32", "CONFIG")
_LOGS = (".LOG", ".LOG1", ".LOG2")
_COPY = 1 << 20
_BASE, _DELTA = "base", "delta"


class LayerHives(msgspec.Struct, frozen=True):
    """The hives of one layer, as the cache keeps them: files by what they are (`SYSTEM base`, `SYSTEM delta`,
    `SYSTEM.LOG1 base`), each with the digest of its compressed bytes and its size.
    """

    files: dict[str, tuple[Digest, int]]

    def has(self, hive: str) -> bool:
        """Whether a layer above this one can change that hive."""
        return any(f"{hive} {kind}" in self.files for kind in (_BASE, _DELTA))

    @property
    def deltas(self) -> frozenset[str]:
        """The hives that this layer changes."""
        return frozenset(hive for hive in HIVES if f"{hive} {_DELTA}" in self.files)


class ImageHives(msgspec.Struct, frozen=True):
    """The hives of an image.

    Attributes:
        layers: what each layer has, lowest first.
        bases: the hive of the base, by name.
        uppers: the layers' hives, by name: (number of the layer, hive), lowest first.
        problems: why a hive cannot be read.
    """

    layers: tuple[LayerHives, ...]
    bases: Mapping[str, Hive]
    uppers: Mapping[str, Sequence[tuple[int, Hive]]]
    problems: Mapping[str, ContentError]

    def registry(self, layers: int | None = None) -> Registry:
        """The merged view of the lowest layers; of all by default."""
        views: dict[str, Key] = {}
        for hive, base in self.bases.items():
            uppers = [upper.root for number, upper in self.uppers.get(hive, ()) if layers is None or number < layers]
            views[hive] = merge(base.root, *uppers)
        return Registry(views)

    def without(self, number: int) -> ImageHives:
        """The same hives, but for those of one layer."""
        uppers = {hive: tuple(item for item in items if item[0] != number) for hive, items in self.uppers.items()}
        return msgspec.structs.replace(self, uppers=uppers)

    def raise_problem(self, wanted: Collection[str]) -> None:
        """Says why a hive that somebody needs cannot be read.

        Raises:
            ContentError: one of them cannot.
        """
        for hive in wanted:
            if hive in self.problems:
                raise self.problems[hive]


def read_image_hives(image: Image, places: Places, *, allow_dirty: bool = False) -> ImageHives:
    """Takes the hives out of an image's layers, or out of the cache.

    Args:
        image: a Windows image.
        places: opens its layers, and has the cache.
        allow_dirty: read what is there of a hive that is dirty and lacks its logs; never build on that.

    Raises:
        RequestError: it is no Windows image, or none of its layers has a hive.
        ContentError: a layer is not what it claims to be.
    """
    if image.platform.os != "windows":
        raise RequestError(f"the image for {image.platform} has no registry", hint="Name a Windows image.")
    layers = tuple(each(places.jobs, lambda layer: layer_hives(layer, places), image.layers))
    bases: dict[str, Hive] = {}
    uppers: dict[str, list[tuple[int, Hive]]] = {}
    problems: dict[str, ContentError] = {}
    for hive in HIVES:
        try:
            if not _has_base(layers, hive):
                continue
            logs = [_content(layers[0].files, f"{hive}{log} {_BASE}", places) for log in _LOGS]
            bases[hive] = open_hive(
                _needed(layers[0], f"{hive} {_BASE}", places), [log for log in logs if log], allow_dirty=allow_dirty
            )
            for number, layer in enumerate(layers):
                if hive in layer.deltas:
                    upper = open_hive(_needed(layer, f"{hive} {_DELTA}", places))
                    uppers.setdefault(hive, []).append((number, upper))
        except Malformed as error:
            bases.pop(hive, None)
            what = f"the hive {HIVES[hive]} of {image.platform}"
            problems[hive] = Malformed(what, error.problem, offset=error.offset, hint=_hint(error))
    if not bases and not problems:
        raise RequestError(
            f"the layers of {image.platform} have no registry hive",
            hint="A Windows image on a base of Microsoft's has them; one on scratch has none.",
        )
    return ImageHives(layers, bases, uppers, problems)


def hive_files(image: Image, places: Places) -> Iterator[tuple[str, bytes]]:
    """Every hive that an image's layers have, with a name for people; logs are left out."""
    for number, layer in enumerate(image.layers):
        found = layer_hives(layer, places)
        for name in found.files:
            hive, _, kind = name.partition(" ")
            if hive in HIVES:
                what = f"Hives/{LAYER_NAMES[hive]}_Delta" if kind == _DELTA else f"Windows/System32/config/{hive}"
                yield f"layer {number}: {what}", _needed(found, name, places)


def delta_files(layer: Layer, places: Places) -> dict[str, bytes]:
    """The hives of a layer that changes some, by name."""
    found = layer_hives(layer, places)
    return {hive: _needed(found, f"{hive} {_DELTA}", places) for hive in HIVES if hive in found.deltas}


def hives_at_hand(image: Image, places: Places) -> bool:
    """Whether an image's hives can be read without fetching a layer from a registry."""
    return all(
        _remembered(layer, places) is not None or not isinstance(layer.open, RegistryBlob) for layer in image.layers
    )


def layer_hives(layer: Layer, places: Places) -> LayerHives:
    """The hives of one layer; its bytes are read the first time only.

    Raises:
        ContentError: the layer is not what it claims to be.
        RemoteError, HostError: it cannot be read.
    """
    found = _remembered(layer, places)
    if found is None:
        found = LayerHives(_extract(layer, places))
        places.cache.keep_record(_KIND, encoded_of(layer.diff_id), msgspec.json.encode(found))
    return found


def _remembered(layer: Layer, places: Places) -> LayerHives | None:
    known = places.cache.record(_KIND, encoded_of(layer.diff_id))
    if known is None:
        return None
    try:
        found = decoder(LayerHives).decode(known)
        return found if all(places.cache.blobs.has(digest) for digest, _ in found.files.values()) else None
    except (msgspec.MsgspecError, ContentError):
        return None  # another version of wingo wrote it


def _extract(layer: Layer, places: Places) -> dict[str, tuple[Digest, int]]:
    task = places.progress.start(f"hives of {layer.descriptor.digest[7:19]}")
    files: dict[str, tuple[Digest, int]] = {}
    by_path: dict[tuple[str, ...], tuple[Digest, int]] = {}
    links: list[tuple[str, tuple[str, ...]]] = []
    with open_tar(layer) as tar:
        for member, content in read_tar(tar):
            path = tuple(part.upper() for part in safe_components(member.name))
            name = _hive_at(path)
            if not name:
                continue
            if member.kind is MemberKind.HARDLINK:
                links.append((name, tuple(part.upper() for part in safe_components(member.link_target))))
            elif member.kind is MemberKind.FILE and member.size:  # HostProcess bases have empty ones
                by_path[path] = _keep(member, content, places)
                _put(files, name, by_path[path])
    for name, target in links:
        if target in by_path:
            _put(files, name, by_path[target])
    _recover(files, places)
    task.done(f"{len(files)} found")
    return files


def _recover(files: dict[str, tuple[Digest, int]], places: Places) -> None:
    """Applies the logs of hives that are dirty, once; where that cannot be, the hive stays as it is, and is refused when read."""
    for hive in HIVES:
        name = f"{hive} {_BASE}"
        logs = [data for log in _LOGS if (data := _content(files, f"{hive}{log} {_BASE}", places))]
        data = _content(files, name, places) if logs else None
        try:
            if data is not None and read_base_block(data).is_dirty:
                clean = recover(data, logs)
                files[name] = _store(io.BytesIO(clean), len(clean), places), len(clean)
        except Malformed:
            continue


def _put(files: dict[str, tuple[Digest, int]], name: str, kept: tuple[Digest, int]) -> None:
    r"""`Hives\X_Base` counts where there is no `System32\config\X` alone: the importer makes the one of the other."""
    if name.endswith("?"):
        files.setdefault(name.removesuffix("?"), kept)
    else:
        files[name] = kept


def _keep(member: Member, content: BinaryIO, places: Places) -> tuple[Digest, int]:
    if member.size > MAX_HIVE_BYTES:
        raise Malformed("layer", f"{member.name[:80]} has {member.size} bytes, more than a hive is read of")
    return _store(content, member.size, places), member.size


def _store(content: BinaryIO, size: int, places: Places) -> Digest:
    from zstandard import ZstdCompressor

    compressor = ZstdCompressor(level=3).compressobj(size=size)
    with places.cache.blobs.writer() as writer:
        while data := content.read(_COPY):
            writer.write(compressor.compress(data))
        writer.write(compressor.flush())
        return writer.keep()


def _hive_at(path: tuple[str, ...]) -> str:
    """What a layer's file is: `SYSTEM base`, `SYSTEM delta`, `SYSTEM.LOG1 base`; with "?" when another is better; "" for none."""
    if len(path) == 2 and path[0] == "HIVES":
        for hive, name in LAYER_NAMES.items():
            for kind in (_BASE, _DELTA):
                if path[1] == f"{name}_{kind}".upper():
                    return f"{hive} {kind}" + ("?" if kind == _BASE else "")
    if len(path) == len(_CONFIG) + 1 and path[:-1] == _CONFIG:
        name, log = path[-1], ""
        for end in _LOGS:
            if name.endswith(end):
                name, log = name.removesuffix(end), end
        if name in HIVES:
            return f"{name}{log} {_BASE}"
    return ""


def _has_base(layers: Sequence[LayerHives], hive: str) -> bool:
    return bool(layers) and f"{hive} {_BASE}" in layers[0].files


def _needed(layer: LayerHives, name: str, places: Places) -> bytes:
    data = _content(layer.files, name, places)
    assert data is not None
    return data


def _content(files: Mapping[str, tuple[Digest, int]], name: str, places: Places) -> bytes | None:
    from zstandard import ZstdDecompressor

    if name not in files:
        return None
    digest, size = files[name]
    stored = places.cache.blobs.read(digest, MAX_HIVE_BYTES)
    if stored is None:
        raise RequestError("a hive has gone from the cache", hint="Run the same command again: it is fetched anew.")
    return ZstdDecompressor().decompress(stored, max_output_size=size)


def _hint(error: Malformed) -> str:
    if "dirty" in error.problem:
        return "The layer lacks the logs that belong to it; nothing can be built on such a hive."
    return error.hint
