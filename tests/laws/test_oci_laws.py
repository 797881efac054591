"""Laws of the OCI nouns: reading undoes writing, nothing is read that breaks an invariant, nothing else is raised."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.errors import Malformed, RequestError
from wingo.oci.config import ContainerConfig, History, ImageConfig, RootFs, decode_config
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import parse_digest
from wingo.oci.manifest import IndexManifest, Manifest, decode_index, decode_manifest, media_type_of
from wingo.oci.media_types import ACCEPTED, OCI_INDEX, OCI_MANIFEST
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.oci.platform import Platform, parse_platform
from wingo.oci.reference import Reference, parse_reference
from wingo.oci.wire import encode

# What is tried counts, not how long it takes on a machine that has other work.
calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
maps = st.dictionaries(texts, texts, max_size=3)
digests = st.integers(0, (1 << 256) - 1).map("sha256:{:064x}".format) | st.integers(0, 9).map("sha512:{:0128x}".format)
words = st.from_regex(r"[a-z0-9_.-]{1,12}", fullmatch=True)
versions = st.just("") | st.from_regex(r"[A-Za-z0-9_.-]{1,20}", fullmatch=True)
platforms = st.builds(
    Platform,
    os=words,
    architecture=words,
    os_version=versions,
    os_features=st.lists(texts, max_size=2).map(tuple),
    variant=st.just("") | words,
)
descriptors = st.builds(
    Descriptor,
    media_type=st.from_regex(r"[ -~]{0,30}", fullmatch=True),
    digest=digests,
    size=st.integers(0, (1 << 63) - 1),
    urls=st.lists(texts, max_size=2).map(tuple),
    annotations=maps,
    platform=st.none() | platforms,
    artifact_type=texts,
    data=texts,
)
many = st.lists(descriptors, max_size=3).map(tuple)
heads = {"schema_version": st.just(2), "artifact_type": texts, "annotations": maps, "subject": st.none() | descriptors}
manifests = st.builds(Manifest, media_type=st.just(OCI_MANIFEST), config=descriptors, layers=many, **heads)
indexes = st.builds(IndexManifest, media_type=st.just(OCI_INDEX), manifests=many, **heads)
word_lists = st.none() | st.lists(texts, max_size=3).map(tuple)
sets = st.none() | st.dictionaries(texts, st.just({}), max_size=2)
configs = st.builds(
    ImageConfig,
    created=st.none() | texts,
    author=texts,
    architecture=texts,
    variant=texts,
    os=texts,
    os_version=texts,
    os_features=word_lists,
    config=st.none()
    | st.builds(
        ContainerConfig,
        user=texts,
        exposed_ports=sets,
        env=word_lists,
        entrypoint=word_lists,
        cmd=word_lists,
        volumes=sets,
        working_dir=texts,
        labels=st.none() | maps,
        stop_signal=texts,
        args_escaped=st.booleans(),
        shell=word_lists,
    ),
    rootfs=st.builds(RootFs, diff_ids=st.none() | st.lists(digests, max_size=3).map(tuple)),
    history=st.none()
    | st.lists(
        st.builds(History, created=texts, created_by=texts, author=texts, comment=texts, empty_layer=st.booleans()),
        max_size=3,
    ).map(tuple),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@calmly
@given(manifests)
def test_a_manifest_is_read_as_it_was_written(manifest):
    assert decode_manifest(encode(manifest)) == manifest
    assert media_type_of(encode(manifest)) == OCI_MANIFEST


@calmly
@given(indexes)
def test_an_index_is_read_as_it_was_written(index):
    assert decode_index(encode(index)) == index
    assert media_type_of(encode(index)) == OCI_INDEX


@calmly
@given(configs)
def test_a_config_is_read_as_it_was_written(config):
    assert decode_config(encode(config)) == config


@calmly
@given(manifests | indexes | configs)
def test_what_is_written_is_compact_json_and_the_same_each_time(noun):
    written = encode(noun)
    assert written == encode(noun)
    assert written == json.dumps(json.loads(written), ensure_ascii=False, separators=(",", ":")).encode()


@calmly
@given(maps)
def test_the_order_of_a_map_does_not_matter(annotations):
    def index(items):
        return IndexManifest(schema_version=2, manifests=(), annotations=items)

    assert encode(index(annotations)) == encode(index(dict(reversed(annotations.items()))))


@calmly
@given(manifests, st.dictionaries(texts.map("x-".__add__), json_values, max_size=3))
def test_unknown_members_change_nothing_in_the_view(manifest, unknown):
    finite = json.loads(json.dumps(unknown).replace("NaN", "0").replace("-Infinity", "0").replace("Infinity", "0"))
    extended = json.dumps({**json.loads(encode(manifest)), **finite}).encode()
    assert decode_manifest(extended) == manifest


@calmly
@given(st.binary(max_size=80), st.sampled_from(["", *ACCEPTED]))
def test_random_bytes_are_refused_or_read_never_anything_else(data, claimed):
    for read in (decode_manifest, decode_index, decode_config, lambda raw: media_type_of(raw, claimed)):
        try:
            read(data)
        except Malformed:
            pass


@calmly
@given(
    st.dictionaries(
        st.sampled_from(
            ["schemaVersion", "mediaType", "config", "layers", "manifests", "fsLayers", "rootfs", "history"]
        ),
        json_values,
    ),
    st.sampled_from(["", "application/json", *ACCEPTED]),
)
def test_random_members_are_refused_or_read_never_anything_else(document, claimed):
    data = json.dumps(document).encode()
    for read in (decode_manifest, decode_index, decode_config):
        try:
            read(data)
        except Malformed:
            pass
    try:
        found = media_type_of(data, claimed)
    except Malformed:
        return
    assert found in ACCEPTED
    # Whatever is let through is one thing alone.
    is_index = document.get("manifests") is not None
    is_image = document.get("config") is not None or document.get("layers") is not None
    assert not (is_index and is_image)


parts = st.from_regex(r"[a-z0-9]{1,5}((\.|_|__|-{1,3})[a-z0-9]{1,5}){0,2}", fullmatch=True)
hosts = st.sampled_from(
    ["docker.io", "localhost", "r.io", "localhost:5000", "127.0.0.1:1", "[::1]:443", "Host", "a-b.c"]
)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
references = st.builds(
    Reference,
    registry=hosts,
    repository=st.lists(parts, min_size=2, max_size=4).map("/".join),
    tag=st.just("") | tags,
    digest=st.just("") | digests,
)


@calmly
@given(references)
def test_a_reference_is_read_as_it_was_written(reference):
    assert parse_reference(str(reference)) == reference
    assert parse_place(str(reference)) == Place(PlaceKind.REGISTRY, reference=reference)


@calmly
@given(st.text(max_size=40) | st.text("aA/:@.-_[]0 ", max_size=20))
def test_whatever_is_read_as_a_reference_can_be_written_and_read_again(text):
    try:
        reference = parse_reference(text)
    except RequestError:
        return
    assert parse_reference(str(reference)) == reference
    assert reference.repository
    assert "/../" not in f"/{reference.repository}/"
    if reference.digest:
        parse_digest(reference.digest)


@calmly
@given(platforms)
def test_a_platform_is_read_as_it_was_written(platform):
    known = parse_platform(str(platform))
    assert parse_platform(str(known)) == known
    assert (known.os, known.variant, known.os_version) == (platform.os, platform.variant, platform.os_version)


@calmly
@given(platforms)
def test_both_spellings_mean_the_same(platform):
    version = f"({platform.os_version})" if platform.os_version else ""
    variant = f"/{platform.variant}" if platform.variant else ""
    other = f"{platform.os}{version}/{platform.architecture}{variant}"
    assert parse_platform(other) == parse_platform(str(platform))


@calmly
@given(st.text(max_size=30) | st.text("ab/:().1 ", max_size=20))
def test_whatever_is_read_as_a_platform_can_be_written_and_read_again(text):
    try:
        platform = parse_platform(text)
    except RequestError:
        return
    assert parse_platform(str(platform)) == platform


@calmly
@given(
    st.sampled_from([kind for kind in PlaceKind if kind.value]),
    st.from_regex(r"([A-Z]:\\)?[a-z./-]{2,12}", fullmatch=True),
    st.just("") | tags,
)
def test_a_local_place_is_read_as_it_was_written(kind, path, tag):
    place = Place(kind, path, "" if kind is PlaceKind.FILES or path.startswith("//") else tag)
    if not path.startswith("//"):
        assert parse_place(str(place)) == place


@calmly
@given(st.text(max_size=30) | st.text("oci:-archivefles/\\Cab@", max_size=25))
def test_whatever_is_read_as_a_place_can_be_written_and_read_again(text):
    try:
        place = parse_place(text)
    except RequestError:
        return
    assert parse_place(str(place)) == place
