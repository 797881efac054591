"""Test images are what they claim, and the same every time."""

from __future__ import annotations

import gzip

import pytest

from wingo.image.model import Image, Index, images_of, make_image
from wingo.oci.digest import sha256_digest
from wingo.oci.manifest import media_type_of
from wingo.oci.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST, Family
from wingo.oci.platform import Platform
from wingo.testing.images import index_of, random_image, random_index, random_layer


def assert_true(image: Image) -> None:
    """Every claim of an image against its bytes."""
    assert media_type_of(image.manifest_bytes) == image.media_type
    manifest = image.manifest
    assert manifest.config.digest == sha256_digest(image.config_bytes)
    assert manifest.config.size == len(image.config_bytes)
    assert manifest.layers == tuple(layer.descriptor for layer in image.layers)
    assert image.config.diff_ids == tuple(layer.diff_id for layer in image.layers)
    history = image.config.history or ()
    assert sum(not line.empty_layer for line in history) == len(image.layers)
    for layer in image.layers:
        with layer.open() as stream:
            data = stream.read()
        assert (sha256_digest(data), len(data)) == (layer.descriptor.digest, layer.descriptor.size)
        if layer.descriptor.media_type.endswith("gzip"):
            assert sha256_digest(gzip.decompress(data)) == layer.diff_id
    assert make_image(image.manifest_bytes, image.media_type, image.config_bytes, lambda _: image.layers[0].open)


@pytest.mark.parametrize("family", list(Family))
@pytest.mark.parametrize("layers", [0, 1, 3])
def test_random_images_are_true(family: Family, layers: int) -> None:
    image = random_image(5, layers=layers, family=family, platform=Platform("linux", "arm", variant="v7"))
    assert_true(image)
    assert image.media_type == (DOCKER_MANIFEST if family is Family.DOCKER else OCI_MANIFEST)
    assert str(image.platform) == "linux/arm/v7"
    assert len(image.layers) == layers


@pytest.mark.parametrize("family", list(Family))
def test_random_indexes_are_true(family: Family) -> None:
    index = random_index(5, family=family, depth=1)
    assert media_type_of(index.manifest_bytes) == index.media_type
    assert index.media_type == (DOCKER_LIST if family is Family.DOCKER else OCI_INDEX)
    assert index.complete
    assert [entry.digest for entry in index.manifest.manifests] == [child.digest for child in index.children]
    assert isinstance(index.children[-1], Index)
    images = list(images_of(index))
    assert len({image.digest for image in images}) == len(images) == 6
    for image in images:
        assert_true(image)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert random_image(1).digest == random_image(1).digest != random_image(2).digest
    assert random_index(1).digest == random_index(1).digest != random_index(2).digest
    assert random_layer(1, size=10).diff_id != random_layer(1, size=11).diff_id


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_layers_come_in_every_compression(compression: str) -> None:
    layer = random_layer(compression=compression)
    assert layer.descriptor.media_type.endswith({"gzip": "tar+gzip", "zstd": "tar+zstd", "none": ".tar"}[compression])
    assert layer.diff_id == random_layer().diff_id


def test_indexes_keep_annotations_and_spacing() -> None:
    image = random_image()
    assert index_of([image], annotations={"a": "b"}).manifest.annotations == {"a": "b"}
    assert b'\n   "schemaVersion": 2' in index_of([image], indent=3).manifest_bytes
