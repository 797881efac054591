"""The verifier itself: it passes a good image, and finds each fault alone, by its code."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.verifier import CODES, broken, security, verify_layer, verify_layout
from tests.verifier.__main__ import main
from tests.verifier.broken import (
    ADMINISTRATORS,
    BASES,
    EVERYONE,
    FULL,
    MODIFY,
    READ_EXECUTE,
    STRICT_FILE,
    SYSTEM,
    USERS,
    Fault,
    Item,
    ace,
    descriptor,
    file,
    folder,
    windows_item,
)

PROGRAM, FOLDER, SYMLINK, HARDLINK = "Files/app/whoami.exe", "Files/app/", "Files/app/latest.exe", "Files/app/hard.exe"
JUNCTION, DATA = "Files/app/state", "Files/data/"


def change(entry: str, /, **values: Any) -> Callable[[list[Item]], None]:
    """Sets fields of the entry of that name; `pax` is merged, None deletes a record."""

    def hook(items: list[Item]) -> None:
        item = next(item for item in items if item.name == entry)
        for key, value in values.items():
            if key != "pax":
                setattr(item, key, value)
                continue
            item.pax = {k: v for k, v in (item.pax | value).items() if v is not None}

    return hook


def rawsd(name: str, text: str) -> Fault:
    return Fault(items=change(name, pax={"MSWINDOWS.rawsd": text}))


def add(*items: Item, at: int = 10) -> Fault:
    """Entries put behind those of Files/app, or at another position."""
    return Fault(items=lambda all_items: all_items.__setitem__(slice(at, at), items))


def drop(name: str) -> Fault:
    return Fault(items=lambda items: items.remove(next(item for item in items if item.name == name)))


def top(key: str, value: Any) -> Fault:
    return Fault(config=lambda config: config.update({key: value}))


def run(key: str, value: Any) -> Fault:
    return Fault(config=lambda config: config["config"].update({key: value}))


def child(number: int, **values: Any) -> Fault:
    return Fault(index=lambda index: index["manifests"][number].update(values))


def platform(number: int, key: str, value: Any) -> Fault:
    return Fault(index=lambda index: index["manifests"][number]["platform"].update({key: value}))


def app_layer(path: Path) -> Path:
    index = json.loads((path / "index.json").read_bytes())
    manifest = json.loads(blob(path, index["manifests"][0]).read_bytes())["manifests"][0]
    return blob(path, json.loads(blob(path, manifest).read_bytes())["layers"][1])


def blob(path: Path, found: dict[str, Any]) -> Path:
    return path / "blobs/sha256" / found["digest"].partition(":")[2]


def flip(path: Path) -> None:
    target = app_layer(path)
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(data)


def swap(items: list[Item]) -> None:
    items[5], items[6] = items[6], items[5]


def named(name: str) -> Fault:
    return add(file(f"Files/app/{name}"))


def rename_program(items: list[Item]) -> None:
    change(PROGRAM, name="Files/app/whoami")(items)
    change(HARDLINK, link="Files/app/whoami")(items)
    change(SYMLINK, link="whoami")(items)


NO_DACL = base64.b64encode(
    base64.b64decode("AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA==")
).decode()  # what ko and crane write
STRICT = (ace(FULL, ADMINISTRATORS), ace(FULL, SYSTEM))
GENERIC_WRITE, WRITE_DAC, DELETE_CHILD = 0x40000000, 0x40000, 0x40

TWINS: list[tuple[str, str, Fault]] = [
    ("layout-broken", "index.json without manifests", Fault(layout=lambda p: (p / "index.json").write_text("{}"))),
    ("layout-broken", "no oci-layout", Fault(layout=lambda p: (p / "oci-layout").unlink())),
    ("layout-broken", "config is no JSON", Fault(single=True, manifest=lambda m: m.update(config=m["layers"][1]))),
    ("blob-missing", "the application layer", Fault(layout=lambda p: app_layer(p).unlink())),
    ("blob-digest", "one bit of the layer", Fault(layout=flip)),
    ("blob-size", "a layer", Fault(manifest=lambda m: m["layers"][1].update(size=m["layers"][1]["size"] + 1))),
    ("blob-size", "a manifest", Fault(index=lambda i: i["manifests"][1].update(size=1))),
    ("media-type-disagrees", "manifest", Fault(manifest=lambda m: m.pop("mediaType"))),
    ("media-type-disagrees", "index", Fault(index=lambda i: i.update(mediaType=broken.OCI_MANIFEST))),
    (
        "mixed-family",
        "Docker config in an OCI manifest",
        Fault(manifest=lambda m: m["config"].update(mediaType="application/vnd.docker.container.image.v1+json")),
    ),
    (
        "mixed-family",
        "Docker layer in an OCI manifest",
        Fault(manifest=lambda m: m["layers"][0].update(mediaType="application/vnd.docker.image.rootfs.diff.tar.gzip")),
    ),
    (
        "foreign-layer",
        "ours",
        Fault(
            manifest=lambda m: m["layers"][1].update(
                mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            )
        ),
    ),
    ("layer-corrupt", "gzip cut", Fault(blob=lambda data: data[:-20])),
    ("layer-corrupt", "tar cut", Fault(raw=lambda data: data[:-1500])),
    ("layer-corrupt", "a header's checksum", Fault(raw=lambda data: bytes([data[0] ^ 1]) + data[1:])),
    ("layer-trailing-bytes", "after the last member", Fault(blob=lambda data: data + b"junk")),
    ("gzip-not-neutral", "a time", Fault(compress=lambda raw: gzip.compress(raw, mtime=1))),
    ("diff-id", "other digest", Fault(config=lambda c: c["rootfs"]["diff_ids"].__setitem__(1, broken.digest(b"")))),
    ("hives-missing", "", Fault(items=lambda items: items.__delitem__(slice(-2, None)))),
    ("top-level-name", "a file beside Files", add(file("readme.txt"))),
    ("utility-vm", "", add(folder("UtilityVM"))),
    ("hive-name", "a base hive", add(file("Hives/SYSTEM_BASE"), at=13)),
    ("duplicate-entry", "a file", add(file(PROGRAM, broken.executable()))),
    ("duplicate-entry", "Files twice", add(folder("Files", None))),
    ("case-collision", "ASCII", named("WHOAMI.EXE")),
    ("case-collision", "beyond ASCII", add(file("Files/app/\u00e9"), file("Files/app/\u00c9"))),
    ("parent-missing", "", named("lib/x.dll")),
    ("parent-after-child", "", Fault(items=swap)),
    ("parent-not-directory", "below a symlink", named("config/x.ini")),
    ("parent-not-directory", "below a file", named("whoami.exe/x.ini")),
    ("reserved-name", "NUL", named("nul")),
    ("reserved-name", "with an extension", named("COM7.txt")),
    ("reserved-name", "superscript digit", named("LPT\u00b2")),
    ("trailing-dot-or-space", "dot", named("x.")),
    ("trailing-dot-or-space", "space", named("x ")),
    ("not-relative", "leading slash", add(file("/Files/app/x"))),
    ("backslash-in-name", "", named("a\\b")),
    ("colon-in-name", "a stream", named("whoami.exe:zone")),
    ("invalid-character", "question mark", named("what?")),
    ("invalid-character", "control", named("a\x07b")),
    ("name-too-long", "256 units", named("x" * 256)),
    ("entry-type", "a device", add(windows_item("Files/app/tty", "3", 0x20, STRICT_FILE))),
    ("not-pax", "GNU format", Fault(items=change(PROGRAM, magic=b"ustar  \0"))),
    ("fileattr", "missing", Fault(items=change(PROGRAM, pax={"MSWINDOWS.fileattr": None}))),
    ("fileattr", "not decimal", Fault(items=change(PROGRAM, pax={"MSWINDOWS.fileattr": "0x20"}))),
    ("fileattr", "a directory bit on a file", Fault(items=change(PROGRAM, pax={"MSWINDOWS.fileattr": "16"}))),
    ("fileattr", "none on a directory", Fault(items=change(FOLDER, pax={"MSWINDOWS.fileattr": "32"}))),
    ("fileattr", "a reparse point that is no link", Fault(items=change(PROGRAM, pax={"MSWINDOWS.fileattr": "1056"}))),
    ("times-missing", "atime", Fault(items=change(PROGRAM, pax={"atime": None}))),
    ("times-missing", "creation time", Fault(items=change(PROGRAM, pax={"LIBARCHIVE.creationtime": None}))),
    ("times-unequal", "one of four", Fault(items=change(PROGRAM, pax={"ctime": "1700000001"}))),
    ("times-unequal", "by a nanosecond", Fault(items=change(PROGRAM, pax={"ctime": "1700000000.000000001"}))),
    ("times-unequal", "one entry", Fault(items=lambda items: later(items[2]))),
    ("times-format", "padded", Fault(items=change(PROGRAM, pax={"LIBARCHIVE.creationtime": "1700000000.0"}))),
    ("sd-missing", "", Fault(items=change(PROGRAM, pax={"MSWINDOWS.rawsd": None}))),
    ("sd-missing", "on a directory", Fault(items=change("Files/app/etc/", pax={"MSWINDOWS.rawsd": None}))),
    ("sd-broken", "no base64", rawsd(PROGRAM, "?")),
    ("sd-broken", "cut", rawsd(PROGRAM, base64.b64encode(base64.b64decode(STRICT_FILE)[:-4]).decode())),
    ("sd-broken", "longer", rawsd(PROGRAM, base64.b64encode(base64.b64decode(STRICT_FILE) + b"\0").decode())),
    ("sd-no-owner", "", rawsd(PROGRAM, descriptor(*STRICT, ace(READ_EXECUTE, USERS), owner=None))),
    ("sd-no-group", "", rawsd(PROGRAM, descriptor(*STRICT, ace(READ_EXECUTE, USERS), group=None))),
    ("sd-no-dacl", "as ko and crane write it", rawsd("Files/app/etc/settings.ini", NO_DACL)),
    ("writable-by-users", "the program", rawsd(PROGRAM, descriptor(*STRICT, ace(MODIFY, USERS)))),
    (
        "writable-by-users",
        "by Everyone, generic right",
        rawsd(PROGRAM, descriptor(*STRICT, ace(READ_EXECUTE, USERS), ace(GENERIC_WRITE, EVERYONE))),
    ),
    (
        "writable-by-users",
        "denied too late",
        rawsd(
            PROGRAM,
            descriptor(*STRICT, ace(READ_EXECUTE | 2, (5, 11)), ace(2, (5, 11), kind=1)),
        ),
    ),
    (
        "writable-by-users",
        "the owner may change the DACL",
        rawsd(PROGRAM, descriptor(*STRICT, ace(READ_EXECUTE, USERS), owner=USERS)),
    ),
    (
        "writable-by-users",
        "files can be added to the directory: BuildKit's default",
        rawsd(FOLDER, descriptor(*STRICT, ace(READ_EXECUTE, USERS, 3), ace(4, USERS, 2), ace(2, USERS, 2))),
    ),
    (
        "writable-by-users",
        "inherited by files only",
        rawsd(FOLDER, descriptor(*STRICT, ace(READ_EXECUTE, USERS, 3), ace(MODIFY, USERS, 9))),
    ),
    (
        "writable-by-users",
        "Files lets children be deleted",
        rawsd("Files/", descriptor(*STRICT, ace(READ_EXECUTE | DELETE_CHILD, USERS, 3))),
    ),
    ("writable-by-users", "data directory gives away its DACL", rawsd(DATA, descriptor(ace(FULL, USERS, 3)))),
    ("not-executable-by-users", "", rawsd(PROGRAM, descriptor(*STRICT))),
    (
        "not-executable-by-users",
        "denied first",
        rawsd(PROGRAM, descriptor(ace(0x20, EVERYONE, kind=1), *STRICT, ace(READ_EXECUTE, USERS))),
    ),
    ("data-dir-missing", "", drop(DATA)),
    ("data-dir-not-writable", "read only", rawsd(DATA, broken.STRICT_DIRECTORY)),
    ("data-dir-not-writable", "not inherited", rawsd(DATA, descriptor(*STRICT, ace(MODIFY, USERS)))),
    ("symlink-target", "prefixed as BuildKit does", Fault(items=change(SYMLINK, link="Files/app/whoami.exe"))),
    ("symlink-target", "prefixed, backslash", Fault(items=change(SYMLINK, link="Files\\app\\whoami.exe"))),
    ("symlink-target", "a Linux path", Fault(items=change(SYMLINK, link="/app/whoami.exe"))),
    ("symlink-target", "empty", Fault(items=change(SYMLINK, link=""))),
    ("symlink-attributes", "no reparse bit", Fault(items=change(SYMLINK, pax={"MSWINDOWS.fileattr": "32"}))),
    ("symlink-attributes", "file link to a directory", Fault(items=change(SYMLINK, link="etc"))),
    (
        "symlink-attributes",
        "directory link to a file",
        Fault(items=change(SYMLINK, link="C:\\app\\whoami.exe", pax={"MSWINDOWS.fileattr": "1040"})),
    ),
    ("junction", "relative", Fault(items=change(JUNCTION, link="..\\data"))),
    ("junction", "on a file", Fault(items=change(PROGRAM, pax={"MSWINDOWS.mountpoint": "1"}))),
    ("junction", "record is not 1", Fault(items=change(JUNCTION, pax={"MSWINDOWS.mountpoint": "yes"}))),
    ("hardlink-target", "not prefixed, as crane leaves it", Fault(items=change(HARDLINK, link="app/whoami.exe"))),
    ("hardlink-target", "absent", Fault(items=change(HARDLINK, link="Files/app/other.exe"))),
    ("opaque-whiteout", "", named(".wh..wh..opq")),
    ("whiteout-outside-files", "", add(file("Hives/.wh.SAM_DELTA"), at=13)),
    ("whiteout-of-added", "a file", named(".wh.whoami.exe")),
    ("whiteout-of-added", "a directory with what is below", add(file("Files/.wh.App"))),
    ("config-platform", "no architecture", Fault(single=True, config=lambda c: c.pop("architecture"))),
    ("config-os-version", "three parts", Fault(only=1, config=lambda c: c.update({"os.version": "10.0.20348"}))),
    ("config-os-version", "missing", Fault(only=1, config=lambda c: c.pop("os.version"))),
    ("config-os-version", "not the base's", Fault(only=1, config=lambda c: c.update({"os.version": "10.0.20348.1"}))),
    ("config-os-features", "dropped", Fault(config=lambda c: c.pop("os.features"))),
    ("config-shape", "shell form", run("Entrypoint", "C:\\app\\whoami.exe")),
    ("config-shape", "Env without value", run("Env", ["PATH"])),
    ("entrypoint-missing", "", run("Entrypoint", None)),
    ("entrypoint-not-absolute", "no drive", run("Entrypoint", ["app\\whoami.exe"])),
    ("entrypoint-not-absolute", "slashes", run("Entrypoint", ["C:/app/whoami.exe"])),
    (
        "entrypoint-no-exe",
        "as ko leaves it",
        Fault(items=rename_program, config=lambda c: c["config"].update(Entrypoint=["C:\\app\\whoami"])),
    ),
    ("entrypoint-not-in-layers", "", run("Entrypoint", ["C:\\app\\other.exe"])),
    ("entrypoint-machine", "arm64", Fault(items=change(PROGRAM, data=broken.executable(0xAA64)))),
    ("entrypoint-machine", "no PE", Fault(items=change(PROGRAM, data=b"#!/bin/sh"))),
    ("args-escaped", "", run("ArgsEscaped", True)),
    ("base-cmd-kept", "", run("Cmd", ["C:\\Windows\\System32\\cmd.exe"])),
    ("linux-path", "", run("Env", ["PATH=/usr/local/bin:/usr/bin"])),
    ("linux-path", "beside Windows' own", run("Env", ["Path=/bin;C:\\Windows\\System32"])),
    ("path-loses-system32", "as ko writes it", run("Env", ["PATH=C:\\ko-app"])),
    ("env-duplicate", "in another case", run("Env", ["Path=C:\\Windows\\system32", "PATH=C:\\Windows\\system32"])),
    ("workdir-slash", "", run("WorkingDir", "C:/app")),
    ("history-count", "", Fault(config=lambda c: c["history"].pop())),
    ("diff-id-count", "", Fault(config=lambda c: c["rootfs"]["diff_ids"].append(broken.digest(b"")))),
    ("index-platform", "none", Fault(index=lambda i: i["manifests"][3].pop("platform"))),
    ("index-platform", "other architecture", platform(3, "architecture", "arm64")),
    ("index-os-version", "other revision", platform(1, "os.version", "10.0.20348.1")),
    ("index-os-features", "dropped", platform(1, "os.features", [])),
    ("index-order", "oldest first", Fault(index=lambda i: i["manifests"].reverse())),
    ("index-duplicate-platform", "", Fault(index=lambda i: i["manifests"].insert(2, i["manifests"][1]))),
    ("layer-not-shared", "", Fault(only=1, items=change("Files/app/etc/settings.ini", data=b"other"))),
]


def later(item: Item) -> None:
    item.mtime += 1
    item.pax |= dict.fromkeys(("atime", "ctime", "LIBARCHIVE.creationtime"), str(item.mtime))


def codes(path: Path) -> set[str]:
    return {finding.code for finding in verify_layout(path, bases=BASES, writable=["Files/data"])}


def test_a_good_image_passes(tmp_path: Path) -> None:
    path = broken.write_layout(tmp_path / "good")
    assert verify_layout(path, bases=BASES, writable=["Files/data"], epoch=broken.EPOCH) == []
    assert verify_layout(broken.write_layout(tmp_path / "one", Fault(single=True)), writable=["Files/data"]) == []


@pytest.mark.parametrize(
    ("code", "fault"),
    [pytest.param(code, fault, id=f"{code}-{about}".strip("-")) for code, about, fault in TWINS],
)
def test_each_fault_is_found_alone(tmp_path: Path, code: str, fault: Fault) -> None:
    assert codes(broken.write_layout(tmp_path / "broken", fault)) == {code}


def test_every_code_has_a_twin() -> None:
    assert {code for code, _, _ in TWINS} | {"files-missing"} == set(CODES)


def test_a_layer_without_files(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(broken.tar([folder("Hives", None)]))
    assert [finding.code for finding in verify_layer(tmp_path / "layer")] == ["files-missing"]
    (tmp_path / "layer").write_bytes(broken.tar([folder("Hives", None), folder("Files", None)]))
    assert verify_layer(tmp_path / "layer") == []


def test_the_epoch_is_compared(tmp_path: Path) -> None:
    (tmp_path / "layer").write_bytes(broken.gzip_members(broken.tar(broken.windows_items())))
    assert verify_layer(tmp_path / "layer", writable=["Files/data"], epoch=broken.EPOCH) == []
    found = verify_layer(tmp_path / "layer", writable=["Files/data"], epoch=0)
    assert {finding.code for finding in found} == {"times-unequal"}


def test_base_layers_may_be_absent_from_a_thin_layout_only(tmp_path: Path) -> None:
    path = broken.write_layout(tmp_path / "thin")
    index = json.loads((path / "index.json").read_bytes())
    children = json.loads(blob(path, index["manifests"][0]).read_bytes())["manifests"]
    bases = {blob(path, json.loads(blob(path, each).read_bytes())["layers"][0]) for each in children}
    for each in bases:
        each.unlink()
    assert codes(path) == {"blob-missing"}
    assert verify_layout(path, bases=BASES, writable=["Files/data"], thin=True) == []


# ---- security descriptors, against constants that others wrote ------------------------------------------------------

BUILDKIT_FILE = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEB"
    "AAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)
BUILDKIT_DIRECTORY = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEB"
    "AAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAA"
    "AAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA"
)


def test_the_encoder_of_the_twins_writes_what_buildkit_writes() -> None:
    assert STRICT_FILE == BUILDKIT_FILE


def test_access_of_known_descriptors() -> None:
    program = security.decode(base64.b64decode(BUILDKIT_FILE))
    assert (program.owner, program.group) == ("S-1-5-32-544", "S-1-5-18")
    assert security.granted(program) == READ_EXECUTE
    directory = security.decode(base64.b64decode(BUILDKIT_DIRECTORY))
    assert security.granted(directory) == READ_EXECUTE | 2 | 4
    assert security.inherited(directory, security.OBJECT_INHERIT) == READ_EXECUTE
    open_to_all = security.decode(base64.b64decode(NO_DACL))
    assert (open_to_all.owner, open_to_all.dacl) == ("S-1-5-32-545", None)
    assert security.granted(open_to_all) == FULL


@pytest.mark.parametrize("size", range(len(base64.b64decode(BUILDKIT_FILE))))
def test_no_prefix_of_a_descriptor_is_one(size: int) -> None:
    with pytest.raises(security.BrokenDescriptor):
        security.decode(base64.b64decode(BUILDKIT_FILE)[:size])


def test_the_command_says_what_it_finds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = broken.write_layout(tmp_path / "good")
    assert main([str(good), "--data-dir", "Files/data", "--epoch", str(broken.EPOCH)]) == 0
    assert capsys.readouterr().out == ""
    assert main([str(app_layer(good)), "--data-dir", "Files/data"]) == 0
    bad = broken.write_layout(tmp_path / "bad", named("nul"))
    assert main([str(bad), "--data-dir", "Files/data"]) == 1
    assert "reserved-name" in capsys.readouterr().out
