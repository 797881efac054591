"""Another base under an image's own layers."""

from __future__ import annotations

import pytest

from tests.unit.image.documents import WINDOWS, config_of, image, layer, manifest_of
from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.rebase import rebase
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.media_types import DOCKER_MANIFEST, OCI_MANIFEST, Family

OLD_LAYERS = (layer("old one"), layer("old two"))
NEW_LAYERS = (layer("new one"), layer("new two"), layer("new three"))
OURS = layer("ours")
NEW_VERSION = {**WINDOWS, "os.version": "10.0.20348.99"}


def lines(count, by):
    return [{"created_by": by} for _ in range(count)]


def old_base(**members):
    return image(*OLD_LAYERS, **{**WINDOWS, "history": lines(2, "old"), **members})


def new_base(**members):
    return image(*NEW_LAYERS, **{**NEW_VERSION, "history": lines(3, "new"), **members})


def built(base, family=Family.OCI, created="1970-01-01T00:00:00Z", **settings):
    patch = ConfigPatch(settings={"entrypoint": ("app.exe",), **settings}, created=created, author="me")
    added = [AddedLayer(OURS, History(created_by="wingo build"))]
    return derive(
        base, added, patch, family=family, annotations={"a": "b", BASE_DIGEST: base.digest, BASE_NAME: "old:1"}
    )


def rebased(made, old, new, **options):
    return rebase(made, old, new, new_name="new:1", **options)


def test_an_image_moves_to_a_new_base():
    old, new = old_base(), new_base()
    moved = rebased(built(old), old, new)
    assert moved.layers == (*NEW_LAYERS, OURS)
    config = config_of(moved)
    assert config["rootfs"]["diff_ids"] == [item.diff_id for item in moved.layers]
    assert config["os.version"] == "10.0.20348.99"
    assert config["history"] == [*lines(3, "new"), {"created_by": "wingo build"}]
    assert (config["created"], config["author"]) == ("1970-01-01T00:00:00Z", "me")
    assert manifest_of(moved)["annotations"] == {"a": "b", BASE_DIGEST: new.digest, BASE_NAME: "new:1"}


def test_moving_is_the_same_as_building_on_the_new_base():
    old, new = old_base(config={"Env": ["A=1"]}), new_base(config={"Env": ["A=2"]})
    moved, made = rebased(built(old), old, new), built(new)
    assert moved.config_bytes == made.config_bytes
    assert moved.layers == made.layers


def test_moving_back_gives_the_image_again():
    old, new = old_base(config={"Env": ["A=1"], "Labels": {"x": "y"}}), new_base(config={"Env": ["A=2"]})
    made = built(old, working_dir="C:\\app")
    there = rebased(made, old, new)
    back = rebase(there, new, old, new_name="old:1")
    assert back.manifest_bytes == made.manifest_bytes


@pytest.mark.parametrize(
    ("before", "own", "after", "result"),
    [
        (["A=1"], ["A=1"], ["A=2"], ["A=2"]),
        (["A=1"], ["A=mine"], ["A=2"], ["A=mine"]),
        (["A=1"], ["A=1", "B=mine"], ["A=2", "C=3"], ["A=2", "C=3", "B=mine"]),
        (["A=1"], ["A=1"], [], []),
        (["A=1"], ["B=mine"], ["A=2", "C=3"], ["C=3", "B=mine"]),
        ([], ["A=mine"], ["A=2"], ["A=mine"]),
        (None, ["A=mine=x"], None, ["A=mine=x"]),
    ],
)
def test_the_environment_is_merged_variable_by_variable(before, own, after, result):
    old, new = old_base(config={"Env": before}), new_base(config={"Env": after})
    moved = rebased(built(old, env=tuple(own)), old, new)
    assert config_of(moved)["config"].get("Env", []) == result


def test_labels_are_merged_key_by_key():
    old = old_base(config={"Labels": {"kept": "1", "dropped": "1", "changed": "1"}})
    new = new_base(config={"Labels": {"kept": "2", "dropped": "2", "changed": "2", "new": "2"}})
    moved = rebased(built(old, labels={"kept": "1", "changed": "mine", "own": "mine"}), old, new)
    assert config_of(moved)["config"]["Labels"] == {"kept": "2", "changed": "mine", "new": "2", "own": "mine"}


def test_members_that_wingo_does_not_know_are_merged_too():
    old = old_base(config={"Healthcheck": {"Test": ["old"]}, "Gone": 1})
    new = new_base(config={"Healthcheck": {"Test": ["new"]}, "Fresh": 2})
    settings = config_of(rebased(built(old), old, new))["config"]
    assert settings["Healthcheck"] == {"Test": ["new"]}
    assert settings["Fresh"] == 2
    assert "Gone" not in settings


def test_a_member_that_the_image_removed_stays_removed():
    old, new = old_base(config={"Cmd": ["cmd"]}), new_base(config={"Cmd": ["cmd"]})
    assert "Cmd" not in config_of(rebased(built(old, cmd=None), old, new))["config"]


@pytest.mark.parametrize("family", Family)
def test_the_family_stays(family):
    old, new = old_base(), new_base()
    assert rebased(built(old, family), old, new).media_type == (
        DOCKER_MANIFEST if family is Family.DOCKER else OCI_MANIFEST
    )
    assert rebased(built(old), old, new, family=Family.DOCKER).media_type == DOCKER_MANIFEST


@pytest.mark.parametrize(
    "stranger",
    [
        image(NEW_LAYERS[0], **WINDOWS),
        image(*reversed(OLD_LAYERS), **WINDOWS),
        image(*OLD_LAYERS, OURS, OURS, **WINDOWS),
    ],
)
def test_an_image_that_does_not_stand_on_the_old_base_is_refused(stranger):
    with pytest.raises(RequestError, match="does not begin with the layers") as caught:
        rebased(built(old_base()), stranger, new_base())
    assert caught.value.hint == "Build it again on the new base."


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"architecture": "arm64"}, "that is for windows/arm64"),
        ({"os": "linux", "os.version": ""}, "that is for linux/amd64"),
        ({"variant": "v3"}, "that is for windows/amd64/v3"),
        ({"os.version": "10.0.26100.1"}, "its Windows version is 10.0.26100.1, not 10.0.20348.1"),
        ({"os.version": ""}, "its Windows version is not known"),
        ({"os.features": []}, "it lacks win32k"),
    ],
)
def test_a_base_for_something_else_is_refused(members, problem):
    old = old_base(**{"os.features": ["win32k"]})
    new = new_base(**{"os.features": ["win32k", "more"], **members})
    with pytest.raises(RequestError, match="cannot be moved") as caught:
        rebased(built(old), old, new)
    assert problem in str(caught.value)
    rebased(built(old), old, new_base(**{"os.features": ["win32k", "more"]}))


@pytest.mark.parametrize(
    ("member", "field", "before", "after", "own"),
    [
        ("User", "user", "ContainerUser", "ContainerAdministrator", "Me"),
        ("WorkingDir", "working_dir", "C:\\a", "C:\\b", "C:\\mine"),
        ("Cmd", "cmd", ["a"], ["b"], ("mine",)),
        ("Shell", "shell", ["a"], ["b"], ("mine",)),
    ],
)
def test_a_change_of_how_it_starts_is_refused_unless_the_image_says_it_itself(member, field, before, after, own):
    old, new = old_base(config={member: before}), new_base(config={member: after})
    with pytest.raises(RequestError, match=f"takes {field} from its base") as caught:
        rebased(built(old), old, new)
    assert "what differs" in caught.value.hint
    moved = rebased(built(old, **{field: own}), old, new)
    assert config_of(moved)["config"][member] == (list(own) if isinstance(own, tuple) else own)


def test_an_old_base_without_history_costs_nothing():
    old, new = old_base(history=[]), new_base(history=[])
    moved = rebased(built(old), old, new)
    assert config_of(moved)["history"][-1] == {"created_by": "wingo build"}
    assert sum(not line.empty_layer for line in moved.config.history) == len(moved.layers)


def test_an_image_whose_history_is_short_still_moves():
    old, new = old_base(), new_base()
    foreign = image(*OLD_LAYERS, OURS, **WINDOWS, history=lines(2, "old"))
    moved = rebased(foreign, old, new)
    assert config_of(moved)["history"] == [*lines(3, "new"), {"comment": "a layer without history"}]
