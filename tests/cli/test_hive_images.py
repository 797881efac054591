"""`wingo hive` on images: found by themselves in their layers, read, and changed by one more layer."""

from __future__ import annotations

import json

import msgspec
import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.archive.unpack import open_tar, read_tar
from wingo.hive.fsck import fsck
from wingo.hive.write import write_hive
from wingo.image.model import images_of
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.hives import make_dirty, registry_trees, service_key
from wingo.testing.host import FakeHost
from wingo.testing.images import directory_entry, file_entry, image_of, index_of, layer_of

SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services"
HIVES = {name: write_hive(root, name=name) for name, root in registry_trees().items()}
BASE = windows_base(hives=HIVES)


def application(base=BASE):
    """An application on a base: its layer has no hives."""
    layer = layer_of([directory_entry("Hives"), directory_entry("Files"), file_entry("Files/app.exe", b"MZ")])
    config = json.loads(base.config_bytes)
    config["history"].append({"created_by": "an entrypoint", "empty_layer": True})
    config["history"].append({"created_by": "wingo build"})
    return image_of([*base.layers, layer], config, annotations={"org.example": "kept"})


@pytest.fixture
def host(tmp_path):
    Layout(str(tmp_path / "app")).write(application(), ["latest"])
    return FakeHost(str(tmp_path), str(tmp_path / "cache"))


def result(host, *argv) -> list[str]:
    assert host.wingo("hive", *argv) == 0, host.err.getvalue()
    lines = host.out.getvalue().splitlines()
    host.out.truncate(0)
    host.out.seek(0)
    return lines


def refused(host, *argv) -> str:
    assert host.wingo("hive", *argv) in (2, 3, 5)
    return host.err.getvalue()


def image_at(tmp_path, name, tag="latest"):
    return Layout(str(tmp_path / name), tag).read()


def test_an_images_registry_is_read(host):
    assert "Spooler\\" in result(host, "ls", "oci:app", SERVICES)
    assert result(host, "get", "oci:app", f"{SERVICES}\\spooler", "Start") == ["2"]
    assert result(host, "ls", "oci:app")[:2] == ["HKEY_LOCAL_MACHINE\\SYSTEM", "HKEY_LOCAL_MACHINE\\SOFTWARE"]
    assert "Windows Registry Editor" in result(host, "export", "oci:app", f"{SERVICES}\\Fax")[0]
    assert any("keys" in line for line in result(host, "stats", "oci:app"))
    assert result(host, "fsck", "oci:app") == []


def test_layers_are_read_once(host, tmp_path):
    result(host, "get", "oci:app", f"{SERVICES}\\spooler", "Start")
    for blob in (tmp_path / "app" / "blobs" / "sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.unlink()
    assert result(host, "get", "oci:app", f"{SERVICES}\\spooler", "Start") == ["2"]


def test_a_value_is_set(host, tmp_path):
    (reference,) = result(host, "set", "oci:app", f"{SERVICES}\\spooler", "Start", "dword:4", "-o", "oci:changed")
    before, after = image_at(tmp_path, "app"), image_at(tmp_path, "changed")
    assert reference == f"oci:changed@{after.digest}"
    assert [layer.diff_id for layer in before.layers] == [after.layers[number].diff_id for number in (0, 2)]
    assert after.manifest.annotations == {"org.example": "kept"}
    assert [line.created_by for line in after.config.history] == [
        *[line.created_by for line in before.config.history[:1]],
        "wingo hive",
        "an entrypoint",
        "wingo build",
    ]
    with open_tar(after.layers[1]) as tar:
        names = {member.name: content.read() for member, content in read_tar(tar)}
    assert list(names) == [
        "Hives",
        "Hives/DEFAULTUSER_DELTA",
        "Hives/SAM_DELTA",
        "Hives/SECURITY_DELTA",
        "Hives/SOFTWARE_DELTA",
        "Hives/SYSTEM_DELTA",
        "Files",
    ]
    assert all(fsck(data) == () for name, data in names.items() if name.endswith("DELTA"))
    assert result(host, "get", "oci:changed", f"{SERVICES}\\Spooler", "Start") == ["4"]
    assert result(host, "diff", "oci:app", "oci:changed") == [
        "+ HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services\\Spooler  Start  dword:0x4"
    ]


def test_another_layer_lies_on_the_first(host, tmp_path):
    result(host, "set", "oci:app", f"{SERVICES}\\spooler", "Start", "dword:4", "-o", "oci:one")
    result(host, "set", "oci:one", "HKLM\\SOFTWARE\\X", "a", "sz:b", "-o", "oci:two")
    result(host, "rm", "oci:two", f"{SERVICES}\\spooler", "Start", "-o", "oci:three")
    three = image_at(tmp_path, "three")
    assert len(three.layers) == 5
    assert three.layers[-1].diff_id == image_at(tmp_path, "app").layers[-1].diff_id
    assert result(host, "get", "oci:three", "HKLM\\SOFTWARE\\X", "a") == ["b"]
    assert "no value" in refused(host, "get", "oci:three", f"{SERVICES}\\spooler", "Start")


def test_a_reg_file_is_imported(host, tmp_path):
    (tmp_path / "a.reg").write_bytes(b'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\Y]\n"v"=dword:7\n')
    result(host, "import", "oci:app", "a.reg", "-o", "oci-archive:new.tar:v1")
    assert result(host, "get", "oci-archive:new.tar:v1", "HKLM\\SOFTWARE\\Y", "v") == ["7"]


def test_what_a_container_does_not_notice_is_said(host):
    result(host, "set", "oci:app", f"{SERVICES}\\Tcpip\\Parameters", "MaxUserPort", "dword:4", "-o", "oci:x")
    assert "a container does not notice it" in host.err.getvalue()


def test_every_windows_image_of_an_index_is_changed(host, tmp_path):
    other = windows_base(release="ltsc2025", hives=HIVES)
    linux = image_of([layer_of([file_entry("a", b"")])], {"os": "linux", "architecture": "amd64"})
    index = index_of([application(), other, linux], annotations={"a": "b"})
    Layout(str(tmp_path / "index")).write(index, ["latest"])
    assert "--platform" in refused(host, "get", "oci:index", SERVICES)
    assert result(host, "get", "oci:index", f"{SERVICES}\\Fax", "Start", "--platform", "ltsc2025") == ["3"]
    result(host, "set", "oci:index", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:changed")
    changed = image_at(tmp_path, "changed")
    assert changed.manifest.annotations == {"a": "b"}
    assert [len(image.layers) for image in images_of(changed)] == [3, 2, 1]
    assert [entry.platform for entry in changed.manifest.manifests] == [
        entry.platform for entry in index.manifest.manifests
    ]
    for release in ("ltsc2022", "ltsc2025"):
        assert result(host, "get", "oci:changed", f"{SERVICES}\\Fax", "Start", "--platform", release) == ["4"]


def test_attestations_about_changed_images_go(host, tmp_path):
    attestation = image_of([], {"os": "unknown", "architecture": "unknown"})
    index = index_of([application(), attestation])
    document = json.loads(index.manifest_bytes)
    document["manifests"][1]["annotations"] = {"vnd.docker.reference.digest": document["manifests"][0]["digest"]}
    from wingo.image.model import Index

    Layout(str(tmp_path / "index")).write(
        Index(json.dumps(document).encode(), index.media_type, index.children), ["latest"]
    )
    result(host, "set", "oci:index", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:changed")
    assert len(image_at(tmp_path, "changed").children) == 1


def test_a_base_of_two_layers(host, tmp_path):
    core = windows_base("servercore", hives=HIVES)
    Layout(str(tmp_path / "core")).write(application(core), ["latest"])
    result(host, "set", "oci:core", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:changed")
    changed = image_at(tmp_path, "changed")
    assert [layer.diff_id for layer in changed.layers[:2]] == [layer.diff_id for layer in core.layers]
    assert result(host, "get", "oci:changed", f"{SERVICES}\\Fax", "Start") == ["4"]


def test_a_hive_that_the_layer_below_has_not(host, tmp_path):
    update = layer_of(
        [directory_entry("Hives"), file_entry("Hives/SYSTEM_DELTA", write_hive(registry_trees()["SYSTEM"]))]
    )
    image = image_of([*BASE.layers, update], json.loads(BASE.config_bytes))
    Layout(str(tmp_path / "odd")).write(image, ["latest"])
    problem = refused(host, "set", "oci:odd", "HKLM\\SOFTWARE\\X", "a", "dword:4", "-o", "oci:x")
    assert "does not have it" in problem
    assert "CimFS" in problem


def test_a_layer_above_that_would_win(host, tmp_path):
    result(host, "set", "oci:app", f"{SERVICES}\\Fax", "Start", "dword:2", "-o", "oci:one")
    one = image_at(tmp_path, "one")
    swapped = image_of([one.layers[0], one.layers[2], one.layers[1]], json.loads(one.config_bytes))
    Layout(str(tmp_path / "swapped")).write(swapped, ["latest"])
    assert "it would win" in refused(host, "set", "oci:swapped", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:x")


def test_nothing_to_change(host, tmp_path):
    result(host, "set", "oci:app", f"{SERVICES}\\Fax", "Start", "dword:3", "-o", "oci:same")
    assert image_at(tmp_path, "same").digest == image_at(tmp_path, "app").digest
    assert "everything is so already" in host.err.getvalue()


def test_a_dirty_hive_is_refused(host, tmp_path):
    dirty = windows_base(hives={**HIVES, "SYSTEM": make_dirty(HIVES["SYSTEM"])})
    Layout(str(tmp_path / "dirty")).write(dirty, ["latest"])
    assert "left out" in "".join(result(host, "ls", "oci:dirty")) + host.err.getvalue()
    assert "dirty" in refused(host, "set", "oci:dirty", SERVICES, "a", "dword:4", "-o", "oci:x")
    assert host.wingo("hive", "fsck", "oci:dirty") == 1
    assert "dirty" in host.out.getvalue()
    host.out.truncate(0)
    host.out.seek(0)
    assert result(host, "get", "oci:dirty", f"{SERVICES}\\Fax", "Start", "--dirty") == ["3"]


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (("ls", "oci:nowhere"), "nowhere"),
        (("ls", "oci:app:v9"), "v9"),
        (("ls", "oci:linux"), "no Windows image"),
        (("ls", "oci:scratch"), "no registry hive"),
        (("set", "oci:linux", "HKLM\\SYSTEM\\x", "a", "dword:1", "-o", "oci:x"), "no Windows image"),
        (("set", "oci:app", "HKCU\\x", "a", "dword:1", "-o", "oci:x"), "HKCU"),
        (("set", "oci:app", "Select", "a", "dword:1", "-o", "oci:x"), "root"),
        (("set", "oci:app", "HKLM\\SYSTEM\\x", "a", "dword:1", "-o", "changed"), "Write oci:changed"),
        (("ls", "nothing/here"), "nothing/here"),
    ],
)
def test_wrong_use(host, tmp_path, argv, problem):
    linux = image_of([layer_of([file_entry("a", b"")])], {"os": "linux", "architecture": "amd64"})
    Layout(str(tmp_path / "linux")).write(linux, ["latest"])
    scratch = image_of([layer_of([file_entry("a", b"")])], {"os": "windows", "architecture": "amd64"})
    Layout(str(tmp_path / "scratch")).write(scratch, ["latest"])
    assert problem in refused(host, *argv)


CONFIG = "Files/Windows/System32/config"


@pytest.mark.parametrize(
    "entries",
    [
        [file_entry(f"{CONFIG}/SYSTEM", HIVES["SYSTEM"])],
        [file_entry("files/windows/system32/CONFIG/system", HIVES["SYSTEM"])],
        [file_entry("Hives/System_Base", HIVES["SYSTEM"])],
        [file_entry(f"{CONFIG}/SYSTEM", HIVES["SYSTEM"]), file_entry("Hives/SYSTEM_BASE", b"not looked at")],
        [
            file_entry("Hives/SYSTEM_BASE", HIVES["SYSTEM"]),
            Entry(f"{CONFIG}/SYSTEM", EntryKind.HARDLINK, link_target="Hives/SYSTEM_BASE"),
        ],
        [file_entry(f"{CONFIG}/SYSTEM", HIVES["SYSTEM"]), file_entry(f"{CONFIG}/SAM", b"")],
    ],
    ids=["no Hives", "any case", "Hives alone", "both", "a hard link", "an empty file"],
)
def test_wherever_a_base_keeps_its_hives(host, tmp_path, entries):
    Layout(str(tmp_path / "base")).write(image_of([layer_of(entries)], json.loads(BASE.config_bytes)), ["latest"])
    assert result(host, "ls", "oci:base") == ["ControlSet001\\", "Select\\"]
    result(host, "set", "oci:base", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:changed")
    assert result(host, "get", "oci:changed", f"{SERVICES}\\Fax", "Start") == ["4"]


def test_a_hive_in_an_upper_layers_config_changes_nothing(host, tmp_path):
    """As on Windows (kubernetes#109161)."""
    other = file_entry(f"{CONFIG}/SYSTEM", write_hive(registry_trees()["SOFTWARE"]))
    image = image_of([*BASE.layers, layer_of([other])], json.loads(BASE.config_bytes))
    Layout(str(tmp_path / "copied")).write(image, ["latest"])
    assert result(host, "get", "oci:copied", f"{SERVICES}\\Fax", "Start") == ["3"]
    result(host, "set", "oci:copied", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:changed")
    assert [len(layer.diff_id) for layer in image_at(tmp_path, "changed").layers] == [71] * 3
    assert image_at(tmp_path, "changed").layers[2].diff_id == image.layers[1].diff_id


@pytest.mark.parametrize("data", [b"not a hive", b"regf", HIVES["SYSTEM"][:5000]], ids=["text", "short", "cut off"])
def test_what_a_layer_calls_a_hive_and_is_none(host, tmp_path, data):
    bad = windows_base(hives={**HIVES, "SYSTEM": data})
    Layout(str(tmp_path / "bad")).write(bad, ["latest"])
    assert "HKEY_LOCAL_MACHINE\\SYSTEM" in refused(host, "set", "oci:bad", SERVICES, "a", "dword:4", "-o", "oci:x")
    assert result(host, "ls", "oci:bad")[0] == "HKEY_LOCAL_MACHINE\\SOFTWARE"
    delta = layer_of([file_entry("Hives/SYSTEM_DELTA", data)])
    Layout(str(tmp_path / "worse")).write(image_of([*BASE.layers, delta], json.loads(BASE.config_bytes)), ["latest"])
    assert "HKEY_LOCAL_MACHINE\\SYSTEM" in refused(host, "set", "oci:worse", SERVICES, "a", "dword:4", "-o", "oci:x")


def test_names_in_a_registry_do_not_steer_the_terminal(host, tmp_path):
    trees = registry_trees()
    current, select = trees["SYSTEM"].children
    control, services = current.children
    evil = service_key("x\x1b]0;y", start=2, depends_on=("Fax",))
    changed = msgspec.structs.replace(
        current, children=(control, msgspec.structs.replace(services, children=(*services.children, evil)))
    )
    system = write_hive(msgspec.structs.replace(trees["SYSTEM"], children=(changed, select)))
    Layout(str(tmp_path / "evil")).write(windows_base(hives={**HIVES, "SYSTEM": system}), ["latest"])
    lines = result(host, "ls", "oci:evil", SERVICES, "-r")
    result(host, "set", "oci:evil", f"{SERVICES}\\Fax", "Start", "dword:4", "-o", "oci:x")
    assert "could not start any more" in host.err.getvalue()
    assert "\x1b" not in host.err.getvalue() + "".join(lines)
