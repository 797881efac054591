"""Manifests, indexes and configs from bytes that nobody vouches for."""

from __future__ import annotations

import json

import pytest

from wingo.errors import Malformed
from wingo.oci.config import decode_config
from wingo.oci.manifest import decode_index, decode_manifest, media_type_of
from wingo.oci.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from wingo.oci.platform import Platform
from wingo.oci.wire import MAX_CHILDREN, MAX_CONFIG_BYTES, MAX_LAYERS, MAX_MANIFEST_BYTES

DIGEST = "sha256:" + "ab" * 32
DESCRIPTOR = {"mediaType": OCI_CONFIG, "digest": DIGEST, "size": 7}
IMAGE = {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [DESCRIPTOR]}
INDEX = {"schemaVersion": 2, "manifests": [DESCRIPTOR]}


def data(document, **changes):
    return json.dumps({**document, **changes}).encode()


def descriptor(**changes):
    return {**DESCRIPTOR, **changes}


def test_an_image_manifest_is_read():
    manifest = decode_manifest(
        data(
            IMAGE,
            mediaType=OCI_MANIFEST,
            annotations={"a": "b"},
            subject=DESCRIPTOR,
            artifactType="application/x",
            layers=[descriptor(mediaType=OCI_LAYER_GZIP, size=0, urls=["https://x/y"], annotations={"c": "d"})],
            unknown={"any": ["thing"]},
        )
    )
    assert (manifest.schema_version, manifest.media_type, manifest.artifact_type) == (2, OCI_MANIFEST, "application/x")
    assert manifest.annotations == {"a": "b"}
    assert manifest.config.digest == DIGEST
    assert manifest.subject == manifest.config
    layer = manifest.layers[0]
    assert (layer.media_type, layer.size, layer.urls, layer.annotations) == (
        OCI_LAYER_GZIP,
        0,
        ("https://x/y",),
        {"c": "d"},
    )


def test_an_index_is_read_with_the_members_that_have_a_dot():
    platform = {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1", "os.features": ["win32k"]}
    index = decode_index(data(INDEX, manifests=[descriptor(platform=platform)]))
    assert index.manifests[0].platform == Platform("windows", "amd64", "10.0.20348.1", ("win32k",))


@pytest.mark.parametrize(
    "changes",
    [
        {"config": None},
        {"config": []},
        {"config": "x"},
        {"layers": None},
        {"layers": {}},
        {"layers": [None]},
        {"layers": [[]]},
        {"annotations": {"a": 1}},
        {"annotations": []},
        {"mediaType": 7},
        {"schemaVersion": "2"},
        {"schemaVersion": 2.5},
        {"schemaVersion": None},
        {"subject": 3},
        *(
            {"layers": [descriptor(**change)]}
            for change in (
                {"digest": 5},
                {"digest": None},
                {"digest": ""},
                {"digest": "sha256:../../../etc/passwd"},
                {"digest": DIGEST.upper()},
                {"size": -1},
                {"size": "7"},
                {"size": 7.5},
                {"size": True},
                {"size": None},
                {"size": 1 << 63},
                {"size": 10**400},
                {"mediaType": None},
                {"mediaType": "a/b\r\nX: y"},
                {"mediaType": "a/\u00e4"},
                {"mediaType": "a/\0"},
                {"urls": "https://x"},
                {"urls": [1]},
                {"platform": "linux/amd64"},
                {"platform": {"os": "linux"}},
                {"platform": {"os": "linux", "architecture": 5}},
            )
        ),
    ],
)
def test_a_manifest_of_wrong_types_or_values_is_refused(changes):
    decode_manifest(data(IMAGE))
    with pytest.raises(Malformed, match="malformed manifest"):
        decode_manifest(data(IMAGE, **changes))


@pytest.mark.parametrize("member", ["config", "subject"])
def test_every_descriptor_of_a_manifest_is_checked(member):
    with pytest.raises(Malformed, match="has the size -1"):
        decode_manifest(data(IMAGE, **{member: descriptor(size=-1)}))


@pytest.mark.parametrize(
    "changes", [{"manifests": [descriptor(size=-1)]}, {"subject": descriptor(digest="x")}, {"manifests": None}]
)
def test_a_broken_index_is_refused(changes):
    decode_index(data(INDEX))
    with pytest.raises(Malformed, match="malformed index"):
        decode_index(data(INDEX, **changes))


@pytest.mark.parametrize("member", ["config", "layers", "schemaVersion"])
def test_a_manifest_without_a_member_is_refused(member):
    lacking = {name: value for name, value in IMAGE.items() if name != member}
    with pytest.raises(Malformed, match=f"missing required field `{member}`"):
        decode_manifest(data(lacking))


def test_the_largest_size_is_read():
    assert decode_manifest(data(IMAGE, config=descriptor(size=(1 << 63) - 1))).config.size == (1 << 63) - 1


HOSTILE_JSON = [
    b"",
    b" ",
    b"null",
    b"true",
    b"7",
    b'"text"',
    b"[]",
    b"{",
    b"{}x",
    b"{} {}",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b"{'a': 1}",
    b'{"schemaVersion": NaN}',
    b'{"schemaVersion": Infinity}',
    b'{"schemaVersion": 1e999}',
    b'{"schemaVersion": 02}',
    b'{"mediaType": "\xff"}',
    b'{"mediaType": "\\ud800"}',
    b'{"mediaType": "a\nb"}',
    b'{"layers": [1,]}',
    b"/* */ {}",
    b"<html>",
    b"\x1f\x8b\x08",
]


@pytest.mark.parametrize("hostile", HOSTILE_JSON)
@pytest.mark.parametrize("read", [decode_manifest, decode_index, media_type_of])
def test_what_is_no_json_object_is_refused(read, hostile):
    with pytest.raises(Malformed):
        read(hostile)


@pytest.mark.parametrize("hostile", [item for item in HOSTILE_JSON if b'": ' not in item])
def test_a_config_that_is_no_json_object_is_refused(hostile):
    with pytest.raises(Malformed, match="malformed config"):
        decode_config(hostile)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("member", ["unknown", "annotations", "layers", "manifests", "config", "history", "rootfs"])
@pytest.mark.parametrize("read", [decode_manifest, decode_index, media_type_of, decode_config])
def test_deep_nesting_is_refused_not_suffered(read, member, opening):
    depth = 200_000
    closing = "]" if opening == "[" else "}"
    bomb = f'{{"schemaVersion":2,"{member}":{opening * depth}1{closing * depth}}}'.encode()
    with pytest.raises(Malformed):
        read(bomb)


@pytest.mark.parametrize(
    ("read", "limit"),
    [
        (decode_manifest, MAX_MANIFEST_BYTES),
        (decode_index, MAX_MANIFEST_BYTES),
        (media_type_of, MAX_MANIFEST_BYTES),
        (decode_config, MAX_CONFIG_BYTES),
    ],
)
def test_a_document_that_is_too_large_is_not_even_parsed(read, limit):
    with pytest.raises(Malformed, match="more than the"):
        read(b" " * (limit + 1))


def test_the_largest_document_is_read():
    small = data(IMAGE)
    assert decode_manifest(small + b" " * (MAX_MANIFEST_BYTES - len(small))) == decode_manifest(small)


def test_layers_and_children_are_counted():
    assert len(decode_manifest(data(IMAGE, layers=[DESCRIPTOR] * MAX_LAYERS)).layers) == MAX_LAYERS
    with pytest.raises(Malformed, match=f"{MAX_LAYERS + 1} layers"):
        decode_manifest(data(IMAGE, layers=[DESCRIPTOR] * (MAX_LAYERS + 1)))
    assert len(decode_index(data(INDEX, manifests=[DESCRIPTOR] * MAX_CHILDREN)).manifests) == MAX_CHILDREN
    with pytest.raises(Malformed, match=f"{MAX_CHILDREN + 1} manifests"):
        decode_index(data(INDEX, manifests=[DESCRIPTOR] * (MAX_CHILDREN + 1)))


def test_the_last_of_two_members_with_one_name_counts_as_for_every_other_reader():
    # Go's encoding/json, Python's json and registries take the last; taking the first would be another image.
    twice = data(IMAGE)[:-1] + b', "layers": []}'
    assert decode_manifest(twice).layers == ()
    assert json.loads(twice)["layers"] == []


@pytest.mark.parametrize(
    ("document", "claimed", "found"),
    [
        (INDEX, "", OCI_INDEX),
        (IMAGE, "", OCI_MANIFEST),
        (INDEX, DOCKER_LIST, DOCKER_LIST),
        (IMAGE, DOCKER_MANIFEST, DOCKER_MANIFEST),
        (IMAGE, DOCKER_MANIFEST + "; charset=utf-8", DOCKER_MANIFEST),
        (IMAGE, "application/json", OCI_MANIFEST),
        (INDEX, "text/plain; charset=utf-8", OCI_INDEX),
        (INDEX, "application/octet-stream", OCI_INDEX),
        ({**INDEX, "mediaType": DOCKER_LIST}, "", DOCKER_LIST),
        ({**INDEX, "mediaType": DOCKER_LIST}, "application/json", DOCKER_LIST),
        ({**IMAGE, "mediaType": OCI_MANIFEST}, OCI_MANIFEST, OCI_MANIFEST),
        ({**IMAGE, "mediaType": OCI_MANIFEST}, OCI_MANIFEST + ";x=y", OCI_MANIFEST),
        # null is absent, as Go reads it
        ({**IMAGE, "manifests": None}, "", OCI_MANIFEST),
        ({**INDEX, "config": None, "layers": None}, "", OCI_INDEX),
    ],
)
def test_what_a_document_is(document, claimed, found):
    assert media_type_of(data(document), claimed) == found


@pytest.mark.parametrize(
    ("document", "claimed"),
    [
        # CVE-2021-41190: one document that two readers take for different things
        ({**IMAGE, **INDEX}, ""),
        ({**IMAGE, **INDEX}, OCI_INDEX),
        ({**IMAGE, **INDEX}, OCI_MANIFEST),
        ({**IMAGE, **INDEX, "mediaType": OCI_INDEX}, OCI_INDEX),
        ({**IMAGE, **INDEX, "mediaType": OCI_MANIFEST}, OCI_MANIFEST),
        ({**INDEX, "layers": []}, ""),
        ({**INDEX, "config": {}}, ""),
        ({**IMAGE, "manifests": []}, ""),
        # its word against its members
        ({**IMAGE, "mediaType": OCI_INDEX}, ""),
        ({**INDEX, "mediaType": OCI_MANIFEST}, ""),
        (IMAGE, OCI_INDEX),
        (INDEX, OCI_MANIFEST),
        (INDEX, DOCKER_MANIFEST),
        # its word against the header's
        ({**IMAGE, "mediaType": OCI_MANIFEST}, DOCKER_MANIFEST),
        ({**IMAGE, "mediaType": OCI_MANIFEST}, OCI_INDEX),
        ({**INDEX, "mediaType": DOCKER_LIST}, OCI_INDEX),
        ({**INDEX, "mediaType": DOCKER_LIST}, OCI_INDEX + "; charset=utf-8"),
        # neither
        ({"schemaVersion": 2, "mediaType": OCI_INDEX}, ""),
        ({**IMAGE, "mediaType": "application/vnd.example"}, ""),
        (IMAGE, "text/html"),
        (IMAGE, OCI_CONFIG),
        ({**IMAGE, "mediaType": 5}, ""),
    ],
)
def test_a_document_that_contradicts_itself_is_refused(document, claimed):
    with pytest.raises(Malformed):
        media_type_of(data(document), claimed)


@pytest.mark.parametrize("version", [0, 1, 3, -2, 10**30])
def test_another_schema_is_refused(version):
    with pytest.raises(Malformed):
        media_type_of(data(IMAGE, schemaVersion=version))


def test_a_document_without_a_schema_is_refused():
    with pytest.raises(Malformed, match="schemaVersion is 0"):
        media_type_of(json.dumps({"manifests": []}).encode())


@pytest.mark.parametrize("document", [{"schemaVersion": 1, "fsLayers": []}, {"schemaVersion": 2, "fsLayers": []}])
def test_dockers_schema_1_is_refused_with_the_way_to_mend_it(document):
    with pytest.raises(Malformed, match="schema 1") as caught:
        media_type_of(json.dumps(document).encode())
    assert "Push the image again" in caught.value.hint


def test_a_huge_type_makes_a_short_message():
    with pytest.raises(Malformed) as caught:
        media_type_of(data(IMAGE, mediaType="x" * 100_000))
    assert len(str(caught.value)) < 300


CONFIG = {"os": "windows", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": [DIGEST]}}


def test_a_config_is_read():
    config = decode_config(
        data(
            CONFIG,
            **{
                "os.version": "10.0.20348.1",
                "os.features": ["win32k"],
                "variant": "v2",
                "config": {
                    "User": "u",
                    "ExposedPorts": {"80/tcp": {}},
                    "Env": ["A=b"],
                    "Entrypoint": ["e"],
                    "Cmd": ["c"],
                    "Volumes": {"/v": {}},
                    "WorkingDir": "/w",
                    "Labels": {"l": "m"},
                    "StopSignal": "SIGTERM",
                    "ArgsEscaped": True,
                    "Shell": ["s"],
                    "Healthcheck": {"Test": ["NONE"]},
                },
                "history": [{"created_by": "x", "empty_layer": True}],
            },
        )
    )
    assert config.platform == Platform("windows", "amd64", "10.0.20348.1", ("win32k",), "v2")
    settings = config.settings
    assert (settings.user, settings.env, settings.entrypoint, settings.cmd) == ("u", ("A=b",), ("e",), ("c",))
    assert (settings.exposed_ports, settings.volumes) == ({"80/tcp": {}}, {"/v": {}})
    assert (settings.working_dir, settings.labels, settings.stop_signal) == ("/w", {"l": "m"}, "SIGTERM")
    assert (settings.args_escaped, settings.shell) == (True, ("s",))
    assert config.diff_ids == (DIGEST,)
    assert config.history is not None
    assert config.history[0].empty_layer


def test_a_config_with_nothing_in_it():
    config = decode_config(b"{}")
    assert config.diff_ids == ()
    assert config.settings == decode_config(b'{"config": null}').settings
    assert config.platform == Platform("", "")


@pytest.mark.parametrize(
    "changes",
    [
        {"rootfs": {"diff_ids": ["sha256:x"]}},
        {"rootfs": {"diff_ids": [DIGEST, ""]}},
        {"rootfs": {"diff_ids": DIGEST}},
        {"rootfs": []},
        {"os": 5},
        {"history": {}},
        {"history": [{"empty_layer": "yes"}]},
        {"config": []},
        {"config": {"Env": "A=b"}},
        {"config": {"Env": [1]}},
        {"config": {"Cmd": "run"}},
        {"config": {"Labels": {"a": 1}}},
    ],
)
def test_a_broken_config_is_refused(changes):
    decode_config(data(CONFIG))
    with pytest.raises(Malformed, match="malformed config"):
        decode_config(data(CONFIG, **changes))
