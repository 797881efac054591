"""New images and indexes from old ones: nothing is changed in place, unknown members survive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, Layer
from wingo.oci.config import History, RootFs
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import sha256_digest
from wingo.oci.manifest import IndexManifest, Manifest
from wingo.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Family,
    in_family,
    is_foreign,
)
from wingo.oci.platform import Platform
from wingo.oci.wire import MAX_CONFIG_BYTES, document, encode, rename_config, rename_settings

_STALE = ("id", "parent", "container", "container_config", "docker_version")
"""What Docker's builder left in configs about its own machine; it would be false of a derived image."""


class ConfigPatch(msgspec.Struct, frozen=True, kw_only=True):
    """Changes to a config. A field that is None leaves the base's value; an empty one removes it.

    Attributes:
        os: with `architecture`, `variant` and `os_version`: only for an image without a base.
        created: RFC 3339 time.
        author: who made it.
        settings: members of the config's `config`, by their names in `ContainerConfig`; a value of None removes one.
        raw_settings: the whole `config` in its JSON spelling, in place of the base's; `settings` still apply to it.
    """

    os: str | None = None
    architecture: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] | None = None
    created: str | None = None
    author: str | None = None
    settings: Mapping[str, object] = {}
    raw_settings: Mapping[str, object] | None = None


class AddedLayer(msgspec.Struct, frozen=True):
    """A layer that goes on top, with its line of history."""

    layer: Layer
    history: History


def derive(
    base: Image | None,
    added: Sequence[AddedLayer],
    patch: ConfigPatch,
    *,
    family: Family = Family.OCI,
    annotations: Mapping[str, str] | None = None,
    history: Sequence[History] | None = None,
) -> Image:
    """An image that is `base` with layers on top and a changed config.

    Args:
        base: the image below; None: nothing is below.
        added: lowest first.
        patch: the config's changes.
        family: what the manifest, the config and the layers are called. Layer bytes are the same in both. Layers
            that must not be uploaded keep their type, whatever the family (they are "kept as found").
        annotations: of the manifest; Docker's schema 2 has none, and they are left out there.
        history: the lines above the base's, in place of those of `added`; as many that are not empty.
    """
    lines = [item.history for item in added] if history is None else list(history)
    config_bytes = encode(_patched(base, added, patch, lines))
    below = [] if base is None else [in_family_of(layer, family) for layer in base.layers]
    layers = (*below, *(in_family_of(item.layer, family) for item in added))
    docker = family is Family.DOCKER
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = Manifest(
        schema_version=2,
        media_type=media_type,
        config=Descriptor(DOCKER_CONFIG if docker else OCI_CONFIG, sha256_digest(config_bytes), len(config_bytes)),
        layers=tuple(layer.descriptor for layer in layers),
        annotations={} if docker else dict(annotations or {}),
    )
    return Image(encode(manifest), media_type, config_bytes, layers)


def in_family_of(layer: Layer, family: Family) -> Layer:
    """The layer as a family calls it; one that must not be uploaded keeps its type."""
    descriptor = layer.descriptor
    media_type = in_family(descriptor.media_type, family)
    if media_type == descriptor.media_type or is_foreign(descriptor.media_type):
        return layer
    return msgspec.structs.replace(layer, descriptor=msgspec.structs.replace(descriptor, media_type=media_type))


def _patched(
    base: Image | None, added: Sequence[AddedLayer], patch: ConfigPatch, history: Sequence[History]
) -> dict[str, object]:
    old = {} if base is None else document(base.config_bytes, "config", limit=MAX_CONFIG_BYTES)
    kept = {name: value for name, value in old.items() if name not in _STALE}
    for field in ("created", "author", "architecture", "variant", "os", "os_version", "os_features"):
        value = getattr(patch, field)
        if value is not None:
            _set(kept, rename_config(field), value)
    settings = dict(raw_settings(old) if patch.raw_settings is None else patch.raw_settings)
    for field, value in patch.settings.items():
        _set(settings, rename_settings(field), value)
    kept["config"] = settings
    diff_ids = () if base is None else tuple(layer.diff_id for layer in base.layers)
    kept["rootfs"] = RootFs(diff_ids=(*diff_ids, *(item.layer.diff_id for item in added)))
    kept["history"] = [*history_below(base), *history]
    return dict(sorted(kept.items()))


def raw_settings(config: Mapping[str, object]) -> dict[str, object]:
    """The `config` member of a config document, with everything in it; {} when there is none."""
    settings = config.get("config")
    return settings if isinstance(settings, dict) else {}


def history_below(base: Image | None) -> list[object]:
    """The base's lines, as many non-empty ones as it has layers (image-spec `config.md`).

    Where there are too few, lines are put before them; where there are too many, as in squashed images, the first ones
    are said to be empty: Docker shows no history at all otherwise.
    """
    if base is None:
        return []
    found = document(base.config_bytes, "config", limit=MAX_CONFIG_BYTES).get("history")
    lines = list(found) if isinstance(found, list) else []
    missing = len(base.layers) - sum(not line.empty_layer for line in base.config.history or ())
    for number, line in enumerate(lines):
        if missing < 0 and isinstance(line, dict) and not line.get("empty_layer"):
            lines[number] = {**line, "empty_layer": True}
            missing += 1
    padding: list[object] = [History(comment="a layer of the base, without history")] * missing
    return padding + lines


def _set(members: dict[str, object], name: str, value: object) -> None:
    if value in (None, "", (), [], {}, False):
        members.pop(name, None)
    else:
        members[name] = value


def make_index(
    images: Sequence[Image], *, family: Family = Family.OCI, annotations: Mapping[str, str] | None = None
) -> Index:
    """An index of images, in the order given: a reader may take the first that fits.

    Raises:
        RequestError: two images are for the same platform, so that nobody could tell which one is meant.
    """
    docker = family is Family.DOCKER
    seen: dict[Platform, Image] = {}
    for image in images:
        platform = msgspec.structs.replace(image.platform, os_features=())
        if platform in seen:
            raise RequestError(f"two images of the index are for {platform}")
        seen[platform] = image
    media_type = DOCKER_LIST if docker else OCI_INDEX
    listing = IndexManifest(
        schema_version=2,
        media_type=media_type,
        manifests=tuple(msgspec.structs.replace(image.descriptor, platform=image.platform) for image in images),
        annotations={} if docker else dict(annotations or {}),
    )
    return Index(encode(listing), media_type, tuple(images))


def common_family(bases: Sequence[Image | None]) -> Family:
    """The vocabulary for images on these bases: OCI, but for a base with Docker's foreign layers, which exist in
    Docker's alone.
    """
    layers = (layer for base in bases if base is not None for layer in base.layers)
    foreign = any(
        is_foreign(layer.descriptor.media_type) and layer.descriptor.media_type.startswith("application/vnd.docker.")
        for layer in layers
    )
    return Family.DOCKER if foreign else Family.OCI
