"""Images and indexes as values over their bytes."""

from __future__ import annotations

import json

import pytest

from tests.unit.image.documents import image, layer, manifest_of
from wingo.errors import Malformed
from wingo.image.derive import make_index
from wingo.image.model import Index, images_of, make_image
from wingo.oci.digest import sha256_digest
from wingo.oci.media_types import DOCKER_CONFIG, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from wingo.oci.platform import Platform

LAYERS = (layer("one"), layer("two"))


def opened(names):
    def open_layer(descriptor):
        names.append(descriptor.digest)
        return next(item.open for item in LAYERS if item.descriptor == descriptor)

    return open_layer


def test_the_digest_is_that_of_the_bytes_as_they_came():
    made = image(*LAYERS)
    assert made.digest == sha256_digest(made.manifest_bytes)
    assert made.descriptor.size == len(made.manifest_bytes)
    assert made.descriptor.media_type == OCI_MANIFEST
    assert made.descriptor.platform is None


def test_the_platform_is_the_configs():
    made = image(**{"os": "windows", "architecture": "arm64", "os.version": "1.2", "variant": "v8"})
    assert made.platform == Platform("windows", "arm64", os_version="1.2", variant="v8")


@pytest.mark.parametrize("config_type", [OCI_CONFIG, DOCKER_CONFIG])
def test_an_image_is_put_together_from_its_documents(config_type):
    source = image(*LAYERS, config_type=config_type)
    made = make_image(source.manifest_bytes, OCI_MANIFEST, source.config_bytes, opened([]))
    assert made == source
    assert made.layers[1].open().read() == b"two"


def test_no_layer_is_opened_before_it_is_asked_for():
    source = image(*LAYERS)
    asked = []
    made = make_image(source.manifest_bytes, OCI_MANIFEST, source.config_bytes, opened(asked))
    assert asked == [item.descriptor.digest for item in LAYERS]
    assert made.layers[0].open is LAYERS[0].open


@pytest.mark.parametrize("count", [0, 1, 3])
def test_layers_and_diff_ids_must_be_as_many(count):
    source = image(*LAYERS)
    other = image(*(layer(f"layer {number}") for number in range(count)))
    with pytest.raises(Malformed, match=f"has 2 layers, the config {count} diff_ids"):
        make_image(source.manifest_bytes, OCI_MANIFEST, other.config_bytes, opened([]))


def test_an_artifact_has_layers_without_diff_ids():
    source = image(*LAYERS, config_type="application/vnd.example.config")
    made = make_image(source.manifest_bytes, OCI_MANIFEST, b"not a config at all", opened([]))
    assert [item.diff_id for item in made.layers] == ["", ""]
    assert [item.descriptor for item in made.layers] == [item.descriptor for item in LAYERS]


@pytest.mark.parametrize("broken", [b"", b"{}", b'{"rootfs": {"diff_ids": ["x"]}}'])
def test_a_broken_config_is_refused_when_the_image_is_made(broken):
    source = image(*LAYERS)
    with pytest.raises(Malformed):
        make_image(source.manifest_bytes, OCI_MANIFEST, broken, opened([]))


def test_an_index_knows_which_of_its_children_are_at_hand():
    first, second = image(LAYERS[0]), image(LAYERS[1], architecture="arm64")
    whole = make_index([first, second])
    assert whole.complete
    partial = Index(whole.manifest_bytes, whole.media_type, (second,))
    assert not partial.complete
    assert partial.digest == whole.digest
    assert len(partial.manifest.manifests) == 2


def test_images_are_found_depth_first_in_order():
    images = [image(architecture=name) for name in ("amd64", "arm64", "arm")]
    inner = make_index(images[1:])
    listing = {"schemaVersion": 2, "manifests": [manifest_of(images[0])["config"]]}
    outer = Index(json.dumps(listing).encode(), OCI_INDEX, (images[0], inner))
    assert list(images_of(outer)) == images
    assert list(images_of(images[0])) == images[:1]
