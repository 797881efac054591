"""Images for tests: random ones, the same for the same seed, and what is needed to make others by hand.

Everything is in memory. Layer streams are plain; they are not checked while they are read, as a store's are.
"""

from __future__ import annotations

import gzip
import io
import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import msgspec

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.pack import pack
from wingo.image.model import Image, Index, Layer
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import sha256_digest
from wingo.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Family,
    in_family,
)
from wingo.oci.platform import Platform
from wingo.oci.wire import encode

CREATED = "2024-01-09T00:00:00Z"
"""When test images say they were made."""
_EPOCH = 1_704_758_400

_ARCHITECTURES = ("amd64", "arm64", "s390x", "ppc64le", "riscv64", "386", "loong64", "mips64le")


def content_of(data: bytes, origin: str = "a test") -> Content:
    """Bytes as a file's content."""
    return Content(len(data), lambda: io.BytesIO(data), origin, sha256_digest(data))


def file_entry(name: str, data: bytes = b"", *, mode: int = 0o644, pax: Sequence[tuple[str, str]] = ()) -> Entry:
    """A file as it stands in a layer."""
    return Entry(name, EntryKind.FILE, mode=mode, content=content_of(data, name), pax=tuple(pax))


def directory_entry(name: str, *, mode: int = 0o755, pax: Sequence[tuple[str, str]] = ()) -> Entry:
    """A directory as it stands in a layer."""
    return Entry(name, EntryKind.DIRECTORY, mode=mode, pax=tuple(pax))


def layer_of(
    entries: Sequence[Entry],
    *,
    family: Family = Family.OCI,
    compression: str = "gzip",
    media_type: str = "",
    urls: Sequence[str] = (),
) -> Layer:
    """Packs entries into a layer that is held in memory.

    Args:
        entries: in the order in which they are written.
        family: which vocabulary the layer's media type is of.
        compression: "gzip", "zstd" or "none".
        media_type: instead of the family's, for instance that of a foreign layer.
        urls: where else the layer can be had.
    """
    buffer = io.BytesIO()
    packed = pack(LayerRecipe(tuple(entries), _EPOCH, "a test"), buffer, compression=compression)
    data = buffer.getvalue()
    descriptor = msgspec.structs.replace(
        packed.descriptor,
        media_type=media_type or in_family(packed.descriptor.media_type, family),
        urls=tuple(urls),
    )
    return Layer(descriptor, packed.diff_id, opener_of(data))


def layer_of_tar(tar: bytes, *, compression: str = "gzip") -> Layer:
    """A layer of a tar's bytes, whatever is in them: for what no recipe would write."""
    if compression == "gzip":
        data, media_type = gzip.compress(tar, 1, mtime=0), OCI_LAYER_GZIP
    else:
        data, media_type = tar, OCI_LAYER
    descriptor = Descriptor(media_type, sha256_digest(data), len(data))
    return Layer(descriptor, sha256_digest(tar), opener_of(data))


def opener_of(data: bytes) -> Callable[[], BinaryIO]:
    """Something that opens these bytes, again and again."""
    return lambda: io.BytesIO(data)


def image_of(
    layers: Sequence[Layer],
    config: Mapping[str, object],
    *,
    family: Family = Family.OCI,
    annotations: Mapping[str, str] | None = None,
    indent: int | None = None,
) -> Image:
    """An image of layers and a config document.

    Args:
        layers: base first.
        config: the document's members; `rootfs` is added.
        family: OCI or Docker.
        annotations: of the manifest.
        indent: spaces for a manifest over several lines, as Docker writes it; None: compact.
    """
    document = {**config, "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]}}
    config_bytes = json.dumps(document, separators=(",", ":")).encode()
    docker = family is Family.DOCKER
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    config_type = DOCKER_CONFIG if docker else OCI_CONFIG
    manifest: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _plain(Descriptor(config_type, sha256_digest(config_bytes), len(config_bytes))),
        "layers": [_plain(layer.descriptor) for layer in layers],
    }
    if annotations:
        manifest["annotations"] = dict(annotations)
    return Image(_written(manifest, indent), media_type, config_bytes, tuple(layers))


def index_of(
    children: Sequence[Image | Index],
    *,
    family: Family = Family.OCI,
    annotations: Mapping[str, str] | None = None,
    indent: int | None = None,
) -> Index:
    """An index of images and indexes, in the order given; `indent` as in `image_of`."""
    media_type = DOCKER_LIST if family is Family.DOCKER else OCI_INDEX
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            _plain(
                msgspec.structs.replace(child.descriptor, platform=child.platform)
                if isinstance(child, Image)
                else child.descriptor
            )
            for child in children
        ],
    }
    if annotations:
        document["annotations"] = dict(annotations)
    return Index(_written(document, indent), media_type, tuple(children))


def _plain(descriptor: Descriptor) -> object:
    return json.loads(encode(descriptor))


def _written(document: Mapping[str, object], indent: int | None) -> bytes:
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(document, indent=indent, separators=separators).encode()


def random_layer(
    seed: int = 0, *, size: int = 1024, family: Family = Family.OCI, compression: str = "gzip", media_type: str = ""
) -> Layer:
    """A layer with one file of random bytes.

    Args:
        seed: the same seed and arguments give the same layer.
        size: of the file, in bytes; the layer is a little larger, since the bytes do not compress.
        family: OCI or Docker.
        compression: "gzip", "zstd" or "none".
        media_type: instead of the family's.
    """
    # random.Random and not secrets: it is to be the same every time.
    source = random.Random(f"layer {seed}")
    entry = file_entry(f"random-{source.getrandbits(64):016x}", source.randbytes(size))
    return layer_of([entry], family=family, compression=compression, media_type=media_type)


def random_image(
    seed: int = 0,
    *,
    layers: int = 1,
    size: int = 1024,
    family: Family = Family.OCI,
    platform: Platform = Platform("linux", "amd64"),  # noqa: B008  (a frozen value)
    compression: str = "gzip",
) -> Image:
    """An image with random layers.

    Args:
        seed: the same seed and arguments give the same image.
        layers: how many.
        size: bytes of random content in each.
        family: OCI or Docker.
        platform: what the config claims.
        compression: of the layers.
    """
    history = [{"created": CREATED, "created_by": f"random layer {number}"} for number in range(layers)]
    config: dict[str, object] = {
        **json.loads(encode(platform)),
        "created": CREATED,
        "config": {"Labels": {"seed": str(seed)}},
        "history": history,
    }
    made = [
        random_layer(seed * 1000 + number, size=size, family=family, compression=compression)
        for number in range(layers)
    ]
    return image_of(made, config, family=family)


def random_index(
    seed: int = 0, *, count: int = 3, layers: int = 1, size: int = 1024, family: Family = Family.OCI, depth: int = 0
) -> Index:
    """An index of random images, each for another architecture.

    Args:
        seed: the same seed and arguments give the same index.
        count: how many images; 8 at most.
        layers: of each image.
        size: bytes of random content in each layer.
        family: OCI or Docker.
        depth: how many levels of index lie between this one and a further random index's images.
    """
    children: list[Image | Index] = [
        random_image(
            seed * 100 + number,
            layers=layers,
            size=size,
            family=family,
            platform=Platform("linux", _ARCHITECTURES[number]),
        )
        for number in range(count)
    ]
    if depth:
        children.append(
            random_index(seed + 7919, count=count, layers=layers, size=size, family=family, depth=depth - 1)
        )
    return index_of(children, family=family)
