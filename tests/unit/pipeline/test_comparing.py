"""`compare`: which images are compared, and how far."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive, make_index
from wingo.image.model import Image, Index, Layer
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.place import parse_place
from wingo.pipeline.comparing import Changed, Difference, compare, config_changes, program_change
from wingo.pipeline.places import Places
from wingo.pipeline.programs import GoProgram
from wingo.pipeline.settings import Settings
from wingo.testing.bases import windows_base
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of
from wingo.testing.registry import RegistryServer


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


@pytest.fixture
def places(tmp_path: Path, server: RegistryServer) -> Iterator[Places]:
    with Places(FakeHost(str(tmp_path), str(tmp_path / "cache")), Settings()) as opened:
        yield opened


def layer(**files: str) -> Layer:
    return layer_of([file_entry(name.replace("_", "/"), data.encode()) for name, data in files.items()])


def linux(*layers: Layer, arch: str = "amd64", **config: object) -> Image:
    return image_of(layers, {"os": "linux", "architecture": arch, "config": config})


def compared(
    server: RegistryServer, places: Places, old: Image | Index, new: Image | Index, *, with_base: bool = False
) -> Difference:
    server.add("old:v1", old)
    server.add("new:v1", new)
    server.forget()
    before, after = (parse_place(f"{server.host}/{name}:v1") for name in ("old", "new"))
    return compare(before, after, "", places, with_base=with_base)


def files(report: Difference, number: int = 0) -> list[tuple[str, str]]:
    rows = []
    for row in report.images[number].files:
        kind = "added" if row.before is None else "removed" if row.after is None else " ".join(row.what)
        rows.append((row.path, kind))
    return rows


def fetched(server: RegistryServer, item: Layer) -> bool:
    return bool(server.asked("GET", item.descriptor.digest))


def test_layers_that_both_begin_with_are_compared_all_the_same(server, places) -> None:
    common, old, new = layer(a="1", b="2"), layer(c="3"), layer(a="9", d="4")
    report = compared(server, places, linux(common, old), linux(common, new))
    assert files(report) == [("a", "content"), ("c", "removed"), ("d", "added")]
    assert [item.change for item in report.images[0].layers] == ["same", "removed", "added"]


def test_the_same_layers_are_not_read(server, places) -> None:
    common = layer(a="1")
    report = compared(server, places, linux(common), linux(common, Env=["A=1"]))
    assert files(report) == []
    assert report.images[0].config == (Changed("env A", None, "1"),)
    assert not fetched(server, common)


def windows(base: Image, name: str, item: Layer) -> Image:
    annotations = {BASE_NAME: name, BASE_DIGEST: base.digest}
    return derive(base, [AddedLayer(item, History())], ConfigPatch(), annotations=annotations)


def test_bases_are_left_alone(server, places) -> None:
    one, two = windows_base(month=0), windows_base(month=1)
    name = f"{server.host}/windows/nanoserver"
    server.add(f"{name}:1", one)
    server.add(f"{name}:2", two)
    old = windows(one, f"{name}:1", layer(Files_a="1", Files_b="2"))
    new = windows(two, f"{name}:2", layer(Files_a="9", Files_b="2"))
    report = compared(server, places, old, new)
    assert files(report) == [("a", "content")]
    assert "bases were not compared" in report.images[0].notes[0]
    assert not fetched(server, one.layers[0])
    assert {item.name: (item.before, item.after) for item in report.images[0].config}["os.version"] == (
        "10.0.20348.2849",
        "10.0.20348.2886",
    )
    whole = compared(server, places, old, new, with_base=True)
    assert ("a", "content") in files(whole)
    assert len(files(whole)) > 1
    assert whole.images[0].notes == ()


def test_one_base_and_what_is_removed_from_it(server, places) -> None:
    base = windows_base()
    name = f"{server.host}/windows/nanoserver:1"
    server.add(name, base)
    gone = layer_of([file_entry("Files/a", b"1"), file_entry("Files/Windows/System32/.wh.cmd.exe")])
    report = compared(server, places, windows(base, name, layer(Files_a="1")), windows(base, name, gone))
    assert files(report) == [("Windows/System32/cmd.exe", "removed")]
    assert not fetched(server, base.layers[0])


def test_a_base_on_one_side_alone(server, places) -> None:
    base = windows_base()
    name = f"{server.host}/windows/nanoserver:1"
    server.add(name, base)
    alone = image_of([layer(Files_a="1")], {"os": "windows", "architecture": "amd64"})
    report = compared(server, places, alone, windows(base, name, layer(Files_a="1")))
    assert files(report) == []
    assert "the base of the second is not at hand" in report.images[0].notes[0]


def test_platforms_are_paired_without_the_months_revision(server, places) -> None:
    def index(month: int, *more: Image) -> Index:
        made = [derive(windows_base(release=name, month=month), [], ConfigPatch()) for name in ("ltsc2025", "ltsc2022")]
        return make_index([*made, *more])

    old, new = index(0, linux(layer(a="1"))), index(1, linux(layer(a="1"), arch="arm64"))
    report = compared(server, places, old, new)
    assert [image.platform for image in report.images] == [
        "windows/amd64:10.0.26100.4098",
        "windows/amd64:10.0.20348.2886",
    ]
    assert (report.removed, report.added) == (("linux/amd64",), ("linux/arm64",))


def test_files_that_differ_alike_are_told_once(server, places) -> None:
    def index(data: str) -> Index:
        return make_index([linux(layer(a=data)), linux(layer(a=data), arch="arm64")])

    report = compared(server, places, index("1"), index("2"))
    assert [len(image.files) for image in report.images] == [1, 0]
    assert report.images[1].same_files_as == "linux/amd64"


def test_two_single_images_are_compared_whatever_they_are_for(server, places) -> None:
    report = compared(server, places, linux(layer(a="1")), linux(layer(a="1"), arch="arm64"))
    assert report.images[0].config == (Changed("architecture", "amd64", "arm64"),)


def test_nothing_in_common(server, places) -> None:
    one = make_index([linux(layer(a="1")), linux(layer(a="1"), arch="arm64")])
    with pytest.raises(RequestError, match="no platform in common"):
        compared(server, places, one, linux(layer(a="1"), arch="s390x"))


def test_every_member_of_a_config() -> None:
    old = linux(User="a", Env=["P=1", "Q=2"], Labels={"x": "1"}, ExposedPorts={"80/tcp": {}}, Cmd=["a"], Tty=False)
    new = linux(Env=["P=9", "Q=2"], Labels={"x": "1", "y": "2"}, Cmd=["a", "b"], Unknown={"k": 1})
    assert config_changes(old, new) == [
        Changed("User", "a", None),
        Changed("env P", "1", "9"),
        Changed("port 80/tcp", "yes", None),
        Changed("Cmd", '["a"]', '["a","b"]'),
        Changed("label y", None, "2"),
        Changed("Unknown", None, '{"k":1}'),
    ]


def test_programs() -> None:
    old = GoProgram("sha256:1", 10, "PE", "go1.22", "x/cmd", "x", modules={"m": "v1", "n": "v1"}, code={"a": 5, "b": 1})
    new = GoProgram("sha256:2", 12, "PE", "go1.23", "x/cmd", "x", modules={"m": "v2"}, code={"a": 9, "c": 2})
    row = program_change("app.exe", old, new)
    assert row.facts == (Changed("go", "go1.22", "go1.23"),)
    assert row.modules == (Changed("m", "v1", "v2"), Changed("n", "v1", None))
    assert [(item.package, item.before, item.after) for item in row.packages] == [("a", 5, 9), ("c", 0, 2), ("b", 1, 0)]


def test_groups_of_packages() -> None:
    program = GoProgram(
        "", 1, "PE", "go1.22", "x.org/app/cmd/run", "x.org/app", modules={"y.org/m": "v1", "y.org/m/v2": "v2"}
    )
    groups = [program.group_of(name) for name in
              ("main", "x.org/app/in", "y.org/m/v2/p", "y.org/mine", "net/http", "vendor/golang.org/x/net", "")]  # fmt: skip
    assert groups == ["x.org/app", "x.org/app", "y.org/m/v2", "y.org/mine", "std", "std", "compiler"]
