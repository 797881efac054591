"""Media types."""

from __future__ import annotations

import pytest

from wingo.oci import media_types as types
from wingo.oci.media_types import Family, family_of, in_family, is_foreign, is_index, is_manifest

PAIRS = [
    (types.OCI_INDEX, types.DOCKER_LIST),
    (types.OCI_MANIFEST, types.DOCKER_MANIFEST),
    (types.OCI_CONFIG, types.DOCKER_CONFIG),
    (types.OCI_LAYER, types.DOCKER_LAYER),
    (types.OCI_LAYER_GZIP, types.DOCKER_LAYER_GZIP),
    (types.OCI_LAYER_ZSTD, types.DOCKER_LAYER_ZSTD),
]


@pytest.mark.parametrize(("oci", "docker"), PAIRS)
def test_the_two_vocabularies(oci, docker):
    assert in_family(oci, Family.DOCKER) == docker
    assert in_family(docker, Family.OCI) == oci
    assert in_family(oci, Family.OCI) == oci
    assert in_family(docker, Family.DOCKER) == docker
    assert (family_of(oci), family_of(docker)) == (Family.OCI, Family.DOCKER)


@pytest.mark.parametrize("other", [types.DOCKER_FOREIGN_LAYER, types.OCI_EMPTY, "application/x", ""])
@pytest.mark.parametrize("family", Family)
def test_what_exists_once_is_kept(other, family):
    assert in_family(other, family) == other


def test_what_is_what():
    every = {name for pair in PAIRS for name in pair} | {types.DOCKER_FOREIGN_LAYER, types.DOCKER_SCHEMA1, ""}
    assert {name for name in every if is_index(name)} == {types.OCI_INDEX, types.DOCKER_LIST}
    assert {name for name in every if is_manifest(name)} == {types.OCI_MANIFEST, types.DOCKER_MANIFEST}
    assert {name for name in every if is_foreign(name)} == {types.DOCKER_FOREIGN_LAYER}


@pytest.mark.parametrize("suffix", ["", "+gzip", "+zstd"])
def test_ocis_foreign_layers(suffix):
    assert is_foreign(f"application/vnd.oci.image.layer.nondistributable.v1.tar{suffix}")
    assert not is_foreign(f"application/vnd.oci.image.layer.v1.tar{suffix}")


def test_we_ask_for_everything_that_we_read_and_nothing_else():
    assert set(types.ACCEPTED) == types.INDEXES | types.MANIFESTS
    assert len(types.ACCEPTED) == len(set(types.ACCEPTED))
