"""A layer put between the layers of an image, and images of an index replaced: everything else stays as it is written."""

from __future__ import annotations

from collections.abc import Mapping

from wingo.image.derive import AddedLayer, history_below, in_family_of
from wingo.image.model import Image, Index
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.manifest import decode_index
from wingo.oci.media_types import family_of
from wingo.oci.wire import MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES, document, encode

_REFERS_TO = "vnd.docker.reference.digest"
"""The annotation by which BuildKit's attestations name the image that they are about."""


def insert_layer(image: Image, position: int, added: AddedLayer) -> Image:
    """An image with one more layer; its members, annotations and other layers stay.

    Args:
        image: what is changed.
        position: how many layers are below the new one; their number puts it on top.
        added: the layer, with its line of history.
    """
    layer = in_family_of(added.layer, family_of(image.media_type))
    layers = (*image.layers[:position], layer, *image.layers[position:])
    config = document(image.config_bytes, "config", limit=MAX_CONFIG_BYTES)
    rootfs = config.get("rootfs")
    config["rootfs"] = {
        **(rootfs if isinstance(rootfs, dict) else {"type": "layers"}),
        "diff_ids": [item.diff_id for item in layers],
    }
    config["history"] = _with_line(history_below(image), position, added)
    config_bytes = encode(config)
    manifest = document(image.manifest_bytes, "manifest", limit=MAX_MANIFEST_BYTES)
    described = manifest["layers"]
    assert isinstance(described, list)
    manifest["layers"] = [*described[:position], layer.descriptor, *described[position:]]
    old = manifest["config"]
    assert isinstance(old, dict)
    manifest["config"] = {**old, "digest": sha256_digest(config_bytes), "size": len(config_bytes)}
    return Image(encode(manifest), image.media_type, config_bytes, layers)


def _with_line(lines: list[object], position: int, added: AddedLayer) -> list[object]:
    """The history with one more line, right after that of the layer below."""
    found = 0
    for number, line in enumerate(lines):
        if found == position:
            return [*lines[:number], added.history, *lines[number:]]
        found += not (isinstance(line, dict) and line.get("empty_layer"))
    return [*lines, added.history]


def replace_images(artifact: Image | Index, changed: Mapping[Digest, Image]) -> Image | Index:
    """An image or index with some images in place of others; attestations about those that go are left out.

    Args:
        artifact: what is changed.
        changed: by the digest of what goes, what comes.
    """
    if isinstance(artifact, Image):
        return changed.get(artifact.digest, artifact)
    children = {child.digest: replace_images(child, changed) for child in artifact.children}
    index = document(artifact.manifest_bytes, "index", limit=MAX_MANIFEST_BYTES)
    entries = index["manifests"]
    assert isinstance(entries, list)
    kept: list[object] = []
    gone: set[str] = set()
    parsed: list[tuple[Descriptor, object]] = list(
        zip(decode_index(artifact.manifest_bytes).manifests, entries, strict=True)
    )
    for descriptor, entry in parsed:
        if descriptor.annotations.get(_REFERS_TO, "") in changed:
            gone.add(descriptor.digest)
            continue
        child = children.get(descriptor.digest)
        if child is None or child.digest == descriptor.digest:
            kept.append(entry)
            continue
        assert isinstance(entry, dict)
        kept.append({**entry, "digest": child.digest, "size": len(child.manifest_bytes)})
    index["manifests"] = kept
    remaining = tuple(child for digest, child in children.items() if digest not in gone)
    return Index(encode(index), artifact.media_type, remaining)
