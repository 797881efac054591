"""New images from old ones."""

from __future__ import annotations

import json

import pytest

from tests.unit.image.documents import WINDOWS, config_of, image, layer, manifest_of
from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, common_family, derive, make_index
from wingo.oci.config import History
from wingo.oci.digest import sha256_digest
from wingo.oci.media_types import (
    DOCKER_CONFIG,
    DOCKER_FOREIGN_LAYER,
    DOCKER_LAYER_GZIP,
    DOCKER_LAYER_ZSTD,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    Family,
)
from wingo.oci.platform import Platform

ONE, TWO, OURS = layer("one"), layer("two"), layer("ours")
LINE = {"created": "2020-01-01T00:00:00Z", "created_by": "somebody"}
ADDED = AddedLayer(OURS, History(created="1970-01-01T00:00:00Z", created_by="wingo build"))
OUR_LINE = {"created": "1970-01-01T00:00:00Z", "created_by": "wingo build"}
OCI_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def derived(base, patch=ConfigPatch(), added=(ADDED,), **options):  # noqa: B008  (it is frozen)
    return derive(base, added, patch, **options)


def types_of(made):
    return [item["mediaType"] for item in manifest_of(made)["layers"]]


def test_layers_go_on_top_and_the_documents_agree():
    base = image(ONE, TWO, history=[LINE, LINE])
    made = derived(base)
    assert [item.descriptor for item in made.layers] == [ONE.descriptor, TWO.descriptor, OURS.descriptor]
    assert [item["digest"] for item in manifest_of(made)["layers"]] == [item.descriptor.digest for item in made.layers]
    assert config_of(made)["rootfs"] == {"type": "layers", "diff_ids": [ONE.diff_id, TWO.diff_id, OURS.diff_id]}
    assert config_of(made)["history"] == [LINE, LINE, OUR_LINE]
    config = manifest_of(made)["config"]
    assert config == {
        "mediaType": OCI_CONFIG,
        "digest": sha256_digest(made.config_bytes),
        "size": len(made.config_bytes),
    }
    assert made.manifest.media_type == made.media_type == OCI_MANIFEST


def test_the_base_stays_as_it_was():
    base = image(ONE, history=[LINE], config={"Env": ["A=b"]})
    before = base.manifest_bytes, base.config_bytes, base.layers
    derived(base, ConfigPatch(settings={"env": ("A=c",)}))
    assert (base.manifest_bytes, base.config_bytes, base.layers) == before


def test_without_a_base_there_is_only_what_was_given():
    made = derived(None, ConfigPatch(os="linux", architecture="amd64", settings={"user": "1:1"}))
    assert config_of(made) == {
        "architecture": "amd64",
        "config": {"User": "1:1"},
        "history": [OUR_LINE],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [OURS.diff_id]},
    }
    assert len(made.layers) == 1


def test_the_same_inputs_give_the_same_bytes():
    def make():
        base = image(ONE, config={"Labels": {"b": "1", "a": "2"}})
        return derived(base, ConfigPatch(settings={"labels": {"z": "1", "y": "2"}}), annotations={"d": "1", "c": "2"})

    assert make().manifest_bytes == make().manifest_bytes
    swapped = derived(
        image(ONE, config={"Labels": {"b": "1", "a": "2"}}),
        ConfigPatch(settings={"labels": {"y": "2", "z": "1"}}),
        annotations={"c": "2", "d": "1"},
    )
    assert swapped.manifest_bytes == make().manifest_bytes


def test_members_that_wingo_does_not_know_survive():
    unknown = {"moby.buildkit.x": {"deep": [1, 2.5, None, True, "\u00e4"]}, "future": 12345678901234567890}
    base = image(ONE, config={"Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN x"]}, **unknown)
    made = config_of(derived(base, ConfigPatch(settings={"user": "u"})))
    assert {name: made[name] for name in unknown} == unknown
    assert made["config"] == {"Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN x"], "User": "u"}


def test_what_a_builder_said_of_its_own_machine_does_not():
    stale = {"id": "x", "parent": "y", "container": "z", "container_config": {"Cmd": ["x"]}, "docker_version": "1"}
    made = config_of(derived(image(ONE, **stale, author="me")))
    assert not set(stale) & set(made)
    assert made["author"] == "me"


def test_the_platform_is_taken_whole_from_the_base():
    made = derived(image(ONE, **WINDOWS, **{"os.features": ["win32k"]}))
    assert made.platform == Platform("windows", "amd64", "10.0.20348.1", ("win32k",))


@pytest.mark.parametrize(
    ("field", "member", "value"),
    [
        ("created", "created", "1970-01-01T00:00:00Z"),
        ("author", "author", "me"),
        ("os_version", "os.version", "10.0.1.2"),
        ("os_features", "os.features", ["f"]),
        ("variant", "variant", "v2"),
        ("architecture", "architecture", "arm64"),
        ("os", "os", "windows"),
    ],
)
def test_a_field_of_the_patch_replaces_the_bases(field, member, value):
    base = image(ONE, **{member: "old"} if member != "os.features" else {member: ["old"]})
    assert config_of(derived(base, ConfigPatch(**{field: value})))[member] == value
    assert config_of(derived(base))[member] in ("old", ["old"])


@pytest.mark.parametrize(("field", "member"), [("created", "created"), ("author", "author"), ("variant", "variant")])
def test_an_empty_field_removes_the_bases(field, member):
    assert member not in config_of(derived(image(ONE, **{member: "old"}), ConfigPatch(**{field: ""})))


def test_settings_are_set_replaced_and_removed_by_name():
    old = {"Cmd": ["sh"], "WorkingDir": "/", "Env": ["A=b"], "ArgsEscaped": True, "User": "old", "Labels": {"a": "b"}}
    patch = {"cmd": None, "working_dir": "/app", "env": ("C=d",), "args_escaped": False, "entrypoint": ("/x", "y")}
    made = config_of(derived(image(ONE, config=old), ConfigPatch(settings=patch)))["config"]
    assert made == {
        "WorkingDir": "/app",
        "Env": ["C=d"],
        "Entrypoint": ["/x", "y"],
        "User": "old",
        "Labels": {"a": "b"},
    }


def test_raw_settings_take_the_place_of_the_bases():
    base = image(ONE, config={"User": "old", "Cmd": ["sh"]})
    patch = ConfigPatch(raw_settings={"Healthcheck": {}, "User": "new"}, settings={"working_dir": "/w"})
    assert config_of(derived(base, patch))["config"] == {"Healthcheck": {}, "User": "new", "WorkingDir": "/w"}


@pytest.mark.parametrize("config", [None, {}])
def test_a_base_without_settings_is_a_base(config):
    assert config_of(derived(image(ONE, config=config), ConfigPatch(settings={"user": "u"})))["config"] == {"User": "u"}


EMPTY = {"created_by": "ENV A=b", "empty_layer": True}
UNTOLD = {"comment": "a layer of the base, without history"}


@pytest.mark.parametrize(
    ("lines", "below"),
    [
        ([LINE, LINE], [LINE, LINE]),
        ([LINE, EMPTY, LINE, EMPTY], [LINE, EMPTY, LINE, EMPTY]),
        ([LINE], [UNTOLD, LINE]),
        ([EMPTY], [UNTOLD, UNTOLD, EMPTY]),
        ([], [UNTOLD, UNTOLD]),
        (None, [UNTOLD, UNTOLD]),
        ([LINE, {**LINE, "x-unknown": 1}], [LINE, {**LINE, "x-unknown": 1}]),
    ],
)
def test_history_has_a_line_for_every_layer(lines, below):
    made = derived(image(ONE, TWO, history=lines))
    assert config_of(made)["history"] == [*below, OUR_LINE]
    assert sum(not line.empty_layer for line in made.config.history) == len(made.layers)


def test_a_base_without_the_member_history_gets_one():
    made = derived(image(ONE, TWO))
    assert config_of(made)["history"] == [UNTOLD, UNTOLD, OUR_LINE]


def test_a_base_with_more_history_than_layers_is_mended():
    # Squashed images have it; Docker then refuses to show the history at all ("too many non-empty layers").
    made = derived(image(ONE, history=[LINE, EMPTY, LINE, LINE]))
    assert sum(not line.empty_layer for line in made.config.history) == len(made.layers) == 2
    assert config_of(made)["history"] == [
        {**LINE, "empty_layer": True},
        EMPTY,
        {**LINE, "empty_layer": True},
        LINE,
        OUR_LINE,
    ]


def test_a_docker_base_becomes_oci_but_for_names_nothing_changes():
    base = image(
        layer("one", DOCKER_LAYER_GZIP),
        layer("two", DOCKER_LAYER_ZSTD),
        media_type=DOCKER_MANIFEST,
        config_type=DOCKER_CONFIG,
    )
    made = derived(base)
    assert types_of(made) == [OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_LAYER_GZIP]
    assert manifest_of(made)["mediaType"] == made.media_type == OCI_MANIFEST
    assert manifest_of(made)["config"]["mediaType"] == OCI_CONFIG
    assert [item.descriptor.digest for item in made.layers[:2]] == [item.descriptor.digest for item in base.layers]


def test_everything_becomes_dockers_when_asked():
    made = derived(image(ONE), family=Family.DOCKER, annotations={"a": "b"})
    assert types_of(made) == [DOCKER_LAYER_GZIP, DOCKER_LAYER_GZIP]
    assert manifest_of(made)["mediaType"] == made.media_type == DOCKER_MANIFEST
    assert manifest_of(made)["config"]["mediaType"] == DOCKER_CONFIG
    assert "annotations" not in manifest_of(made)
    assert made.layers[0].open().read() == b"one"


def test_annotations_are_the_manifests_own():
    made = derived(image(ONE, annotations={"base": "x"}), annotations={"a": "b"})
    assert manifest_of(made)["annotations"] == {"a": "b"}
    assert "annotations" not in manifest_of(derived(image(ONE, annotations={"base": "x"})))


@pytest.mark.parametrize("family", Family)
@pytest.mark.parametrize("foreign", [DOCKER_FOREIGN_LAYER, OCI_FOREIGN])
def test_foreign_layers_are_kept_as_found(foreign, family):
    below = layer("one", foreign, urls=("https://mcr.example/blob",))
    made = derived(image(below), family=family)
    assert made.layers[0] == below
    assert manifest_of(made)["layers"][0]["urls"] == ["https://mcr.example/blob"]
    assert types_of(made)[0] == foreign


def test_the_common_family_is_dockers_only_where_it_must_be():
    ours = image(ONE)
    dockers = image(layer("one", DOCKER_LAYER_GZIP), media_type=DOCKER_MANIFEST)
    foreign = image(ONE, layer("f", DOCKER_FOREIGN_LAYER))
    oci_foreign = image(layer("f", OCI_FOREIGN))
    assert common_family([]) is Family.OCI
    assert common_family([None]) is Family.OCI
    assert common_family([ours, dockers, oci_foreign, None]) is Family.OCI
    assert common_family([ours, foreign]) is Family.DOCKER


def test_an_index_lists_its_images_in_the_order_given():
    images = [image(ONE, **{**WINDOWS, "os.version": f"10.0.{build}.1"}) for build in (26100, 20348, 17763)]
    made = make_index([*images, image(ONE)], annotations={"a": "b"})
    listing = manifest_of(made)
    assert listing["mediaType"] == made.media_type == OCI_INDEX
    assert [entry["platform"] for entry in listing["manifests"]] == [
        *(
            {"os": "windows", "architecture": "amd64", "os.version": f"10.0.{build}.1"}
            for build in (26100, 20348, 17763)
        ),
        {"os": "linux", "architecture": "amd64"},
    ]
    assert [entry["digest"] for entry in listing["manifests"]] == [child.digest for child in made.children]
    assert [entry["size"] for entry in listing["manifests"]] == [len(child.manifest_bytes) for child in made.children]
    assert listing["annotations"] == {"a": "b"}
    assert made.complete


def test_a_docker_list_has_no_annotations():
    made = make_index([image(ONE)], family=Family.DOCKER, annotations={"a": "b"})
    assert made.media_type == manifest_of(made)["mediaType"] == DOCKER_LIST
    assert "annotations" not in json.loads(made.manifest_bytes)


@pytest.mark.parametrize("twins", [({}, {}), (WINDOWS, WINDOWS), ({**WINDOWS, "os.features": ["win32k"]}, WINDOWS)])
def test_two_images_for_one_platform_are_refused(twins):
    with pytest.raises(RequestError, match="two images of the index are for"):
        make_index([image(ONE, **twins[0]), image(TWO, **twins[1])])


@pytest.mark.parametrize(
    "pair",
    [({}, {"architecture": "arm64"}), ({"variant": "v2"}, {}), (WINDOWS, {**WINDOWS, "os.version": "10.0.20348.2"})],
)
def test_images_for_different_platforms_are_not(pair):
    assert len(make_index([image(ONE, **members) for members in pair]).children) == 2
