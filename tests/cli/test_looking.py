"""`wingo inspect`, `ls`, `cat` and `export`: what is in an image, without unpacking it."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from wingo.image.derive import AddedLayer, ConfigPatch, derive, make_index
from wingo.image.model import Image, Index
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.digest import sha256_digest
from wingo.testing.bases import windows_base
from wingo.testing.host import FakeHost
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of, layer_of_tar, random_image
from wingo.testing.registry import RegistryServer


@pytest.fixture
def registry():
    with RegistryServer() as server:
        yield server


@pytest.fixture
def host(tmp_path, registry):
    environment = {"HOME": str(tmp_path), "WINGO_MIRRORS": f"mcr.microsoft.com={registry.host}/mcr"}
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"), environment)
    host.now = lambda: 1_704_758_400.0 + 10 * 86_400  # ten days after the test bases
    return host


def windows_app(registry: RegistryServer, release: str) -> Image:
    base = windows_base(release=release)
    name = f"windows/nanoserver:{release}"
    registry.add(f"mcr/{name}", base)
    entries = [
        *(directory_entry(entry) for entry in ("Hives", "Files", "Files/app")),
        file_entry("Files/app/app.exe", b"MZ program", pax=[("MSWINDOWS.fileattr", "32")]),
        file_entry("Hives/System_Delta", b"regf"),
    ]
    annotations = {BASE_NAME: f"mcr.microsoft.com/{name}", BASE_DIGEST: base.digest}
    patch = ConfigPatch(settings={"entrypoint": ("C:\\app\\app.exe", "serve it"), "user": "ContainerUser", "cmd": ()})
    return derive(base, [AddedLayer(layer_of(entries), History(created_by="app"))], patch, annotations=annotations)


def linux_app(*more: tuple[str, bytes]) -> Image:
    lower = [directory_entry("etc"), file_entry("etc/motd", b"old\n"), file_entry("etc/gone", b"")]
    upper = [file_entry("etc/motd", b"hello\n", mode=0o4755), file_entry("etc/.wh.gone"), *(
        file_entry(name, data) for name, data in more
    )]  # fmt: skip
    return image_of([layer_of(lower), layer_of(upper)], {"os": "linux", "architecture": "amd64"})


@pytest.fixture
def index(registry) -> Index:
    made = make_index([windows_app(registry, "ltsc2025"), windows_app(registry, "ltsc2022"), linux_app()])
    registry.add("team/app:v1", made)
    return made


@pytest.fixture
def place(registry, index) -> str:
    return f"{registry.host}/team/app:v1"


def out(host: FakeHost) -> str:
    text = host.out.getvalue()
    host.out.seek(0)
    host.out.truncate()
    return text


def layers_fetched(registry: RegistryServer, image: Image) -> list[int]:
    digests = [layer.descriptor.digest for layer in image.layers]
    asked = {request.path.rpartition("/")[2] for request in registry.asked("GET")}
    return [number for number, digest in enumerate(digests) if digest in asked]


# inspect


def test_an_index_as_a_tree(host, registry, index, place):
    assert host.wingo("inspect", place) == 0
    text = out(host)
    assert text.startswith(f"{place}\nOCI index  {index.digest}\n3 images, ")
    assert "├─ windows/amd64:10.0.26100.4061 (ltsc2025)" in text
    assert '│    starts  C:\\app\\app.exe "serve it"  as ContainerUser' in text
    assert "mcr.microsoft.com/windows/nanoserver:ltsc2022, 10 days old" in text
    assert "shared with other images here" in text
    assert "└─ linux/amd64" in text
    # Documents only.
    assert [layers_fetched(registry, child) for child in index.children] == [[], [], []]


def test_as_json(host, index, place):
    assert host.wingo("inspect", place, "--json") == 0
    report = json.loads(out(host))
    assert report["digest"] == index.digest
    first, second, third = report["images"]
    assert first["base"] == {
        "layers": 1,
        "size": first["layers"][0]["size"],
        "how": "annotation",
        "name": "mcr.microsoft.com/windows/nanoserver:ltsc2025",
        "digest": windows_base(release="ltsc2025").digest,
        "flavour": "nanoserver",
        "created": "2024-01-09T00:00:00Z",
        "ageDays": 10,
    }
    assert [layer.get("shared", 0) for layer in second["layers"]] == [0, 1]
    assert first["ownSize"] == first["layers"][1]["size"]
    assert "base" not in third
    once = {layer["digest"]: layer["size"] for image in report["images"] for layer in image["layers"]}
    assert report["size"] == sum(once.values())


def test_layers_with_the_commands_that_made_them(host, place):
    assert host.wingo("inspect", place, "--layers", "--platform", "ltsc2022") == 0
    text = out(host)
    assert "base  Apply image 10.0.20348.2849" in text
    assert text.count("diff_id sha256:") == 2


def test_raw_is_every_byte(host, index, place):
    assert host.wingo("inspect", place, "--raw") == 0
    assert out(host).encode() == index.manifest_bytes
    assert host.wingo("inspect", place, "--raw", "--platform", "linux/amd64") == 0
    assert out(host).encode() == index.children[2].manifest_bytes


def test_the_config(host, index, place):
    assert host.wingo("inspect", place, "--config", "--json", "--platform", "ltsc2022") == 0
    assert out(host).encode() == index.children[1].config_bytes
    assert host.wingo("inspect", place, "--config", "--platform", "ltsc2022") == 0
    assert json.loads(out(host)) == json.loads(index.children[1].config_bytes)


def test_several_images_where_one_is_wanted(host, place):
    for command in (("inspect", place, "--config"), ("ls", place), ("cat", place, "x"), ("export", place, "-o", "-")):
        assert host.wingo(*command) == 2
        assert "Choose one: --platform windows/amd64:10.0.26100.4061, " in host.err.getvalue()


def test_referrers_and_attestations(host, registry, index, place):
    from wingo.oci.descriptor import Descriptor
    from wingo.oci.manifest import Manifest
    from wingo.oci.media_types import OCI_EMPTY, OCI_MANIFEST
    from wingo.oci.wire import encode

    registry.add_blob("team/app", b"{}")
    signature = Manifest(
        schema_version=2,
        media_type=OCI_MANIFEST,
        artifact_type="application/vnd.example.signature",
        config=Descriptor(OCI_EMPTY, sha256_digest(b"{}"), 2),
        layers=(),
        subject=index.descriptor,
    )
    registry.add_manifest("team/app", encode(signature), OCI_MANIFEST)
    assert host.wingo("inspect", place) == 0
    assert f"application/vnd.example.signature of {index.digest[:19]}" in out(host)


def test_an_attestation_in_an_index(host, registry):
    image = random_image(1)
    attestation = image_of(
        random_image(2).layers,
        {"os": "unknown", "architecture": "unknown"},
        annotations={"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest},
    )
    registry.add("team/attested:v1", make_index([image, attestation]))
    assert host.wingo("inspect", f"{registry.host}/team/attested:v1") == 0
    text = out(host)
    assert "1 image, " in text
    assert f"attestation-manifest of {image.digest[:19]}" in text
    assert host.wingo("ls", f"{registry.host}/team/attested:v1") == 0


def test_names_of_others_do_not_steer_the_terminal(host, tmp_path, registry):
    evil = image_of([layer_of([file_entry("a\x1b[2Jb")])], {"os": "linux", "config": {"Cmd": ["\x1b]0;x\x07"]}})
    registry.add("team/evil:v1", evil)
    assert host.wingo("inspect", f"{registry.host}/team/evil:v1") == 0
    assert host.wingo("ls", f"{registry.host}/team/evil:v1") == 0
    assert "\x1b" not in out(host)


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (("inspect", "oci:nowhere"), 2, "nowhere"),
        (("inspect", "oci:nowhere", "--raw", "--config"), 2, "not allowed with"),
        (("inspect", "files:x"), 2, "files:DIR is for writing only"),
        (("ls", "PLACE", "--platform", "linux/arm64"), 2, "has no images for linux/arm64"),
        (("ls", "PLACE", "/nope", "--platform", "linux/amd64"), 2, "there is no /nope in the image"),
        (("ls", "PLACE", "/etc/mot", "--platform", "linux/amd64"), 2, "Did you mean motd?"),
        (("ls", "PLACE", "--layer", "9", "--platform", "linux/amd64"), 2, "The image has 2"),
        (("ls", "PLACE", "--layer", "1", "--platform", "ltsc2022"), 2, "Add --with-base"),
        (("ls", "PLACE", "c:\\windows", "--platform", "ltsc2022"), 2, "add --with-base"),
        (("cat", "PLACE", "/etc", "--platform", "linux/amd64"), 2, "is a directory"),
        (("cat", "PLACE", "etc/gone", "--platform", "linux/amd64"), 2, "there is no etc/gone"),
        (("cat", "PLACE", "x", "--layer", "2", "--platform", "linux/amd64"), 2, "layer 2 has no entry x"),
        (("export", "PLACE", "-o", "x.tar", "--platform", "ltsc2022"), 2, "Add --with-base"),
        (("export", "PLACE", "/etc", "-o", "dir", "--platform", "linux/amd64"), 2, "to a tar only"),
        (("export", "PLACE", "/nope", "-o", "x.tar", "--platform", "linux/amd64"), 2, "there is no /nope"),
        (("export", "PLACE", "-o", "missing/x.tar", "--platform", "linux/amd64"), 3, "cannot write in"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(host, place, tmp_path, argv, code, says):
    assert host.wingo(*(place if word == "PLACE" else word for word in argv)) == code
    assert says in host.err.getvalue()
    assert not (tmp_path / "x.tar").exists()


# ls


def test_ls(host, place):
    assert host.wingo("ls", place, "--platform", "linux/amd64") == 0
    assert out(host) == "etc/\n"
    assert host.wingo("ls", place, "etc", "--platform", "linux/amd64") == 0
    assert out(host) == "motd\n"
    assert host.wingo("ls", place, "-r", "-l", "--platform", "linux/amd64") == 0
    assert out(host).splitlines() == [
        "drwxr-xr-x 0:0           - 2024-01-09 00:00   1  etc/",
        "-rwsr-xr-x 0:0           6 2024-01-09 00:00   2  etc/motd",
    ]
    assert host.wingo("ls", place, "/etc/motd", "--json", "--platform", "linux/amd64") == 0
    (entry,) = json.loads(out(host))
    assert entry["digest"] == sha256_digest(b"hello\n")
    assert (entry["layer"], entry["mode"]) == (2, "4755")


def test_ls_of_a_windows_image_leaves_the_base_alone(host, registry, index, place):
    assert host.wingo("ls", place, "C:\\APP", "-l", "--platform", "ltsc2022") == 0
    assert out(host) == "----a-          10 2024-01-09 00:00   2  app.exe\n"
    assert "was not read: --with-base reads all" in host.err.getvalue()
    assert layers_fetched(registry, index.children[1]) == [1]
    assert host.wingo("ls", place, "C:\\windows\\system32", "--platform", "ltsc2022", "--with-base") == 0
    assert "cmd.exe\n" in out(host)
    assert layers_fetched(registry, index.children[1]) == [0, 1]


def test_ls_of_a_layer(host, place):
    assert host.wingo("ls", place, "--layer", "2", "--platform", "linux/amd64") == 0
    assert out(host) == "etc/motd\nremoved: etc/gone\n"
    assert host.wingo("ls", place, "--layer", "2", "--platform", "ltsc2022", "--json") == 0
    report = json.loads(out(host))
    assert [entry["path"] for entry in report["entries"]] == [
        "Files", "Files/app", "Files/app/app.exe", "Hives/System_Delta"
    ]  # fmt: skip


def test_links_are_shown(host, registry):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("f"))
        for name, kind in (("s", tarfile.SYMTYPE), ("h", tarfile.LNKTYPE), ("broken", tarfile.SYMTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "nothing" if name == "broken" else "f"
            tar.addfile(info)
    registry.add("team/links:v1", image_of([layer_of_tar(buffer.getvalue())], {"os": "linux"}))
    place = f"{registry.host}/team/links:v1"
    assert host.wingo("ls", place, "-l") == 0
    text = out(host)
    assert "h = f\n" in text
    assert "s -> f\n" in text
    assert host.wingo("cat", place, "broken") == 2
    assert "It is a link to nothing, which leads to nothing in the image" in host.err.getvalue()


# cat


def test_cat(host, place):
    assert host.wingo("cat", place, "/etc/motd", "etc/./motd", "--platform", "linux/amd64") == 0
    assert out(host) == "hello\nhello\n"
    assert host.wingo("cat", place, "Hives/System_Delta", "--layer", "2", "--platform", "ltsc2022") == 0
    assert out(host) == "regf"
    assert host.wingo("cat", place, "c:/app/APP.exe", "--json", "--platform", "ltsc2022") == 0
    assert json.loads(out(host))[0]["text"] == "MZ program"


def test_cat_follows_into_the_base_only_when_asked(host, registry, index, place):
    assert host.wingo("cat", place, "C:\\License.txt", "--platform", "ltsc2022") == 2
    assert "6.6 kB) was not read: add --with-base" in host.err.getvalue()


# export


def test_export_to_a_tar(host, place, tmp_path):
    assert host.wingo("export", place, "--platform", "linux/amd64", "-o", "all.tar") == 0
    assert out(host) == f"{tmp_path / 'all.tar'}\n"
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert [(item.name, item.mode, item.mtime) for item in tar] == [
            ("etc", 0o755, 1_704_758_400), ("etc/motd", 0o4755, 1_704_758_400)
        ]  # fmt: skip
        member = tar.extractfile("etc/motd")
        assert member is not None
        assert member.read() == b"hello\n"
    first = (tmp_path / "all.tar").read_bytes()
    assert host.wingo("export", place, "--platform", "linux/amd64", "-o", "again.tar") == 0
    assert (tmp_path / "again.tar").read_bytes() == first


def test_export_of_a_part(host, place, tmp_path):
    assert host.wingo("export", place, "/etc", "--platform", "linux/amd64", "-o", "etc.tar") == 0
    with tarfile.open(tmp_path / "etc.tar") as tar:
        assert tar.getnames() == ["motd"]
    assert host.wingo("export", place, "/etc/motd", "--platform", "linux/amd64", "-o", "file.tar") == 0
    with tarfile.open(tmp_path / "file.tar") as tar:
        assert tar.getnames() == ["motd"]


def test_export_of_a_windows_image_keeps_its_records(host, place, tmp_path):
    assert host.wingo("export", place, "--platform", "ltsc2022", "--with-base", "-o", "all.tar") == 0
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert tar.getmember("app/app.exe").pax_headers["MSWINDOWS.fileattr"] == "32"
        assert "Windows/System32/cmd.exe" in tar.getnames()


def test_export_to_a_directory(host, place, tmp_path):
    assert host.wingo("export", place, "--platform", "linux/amd64", "-o", "rootfs", "--json") == 0
    assert (tmp_path / "rootfs" / "etc" / "motd").read_bytes() == b"hello\n"
    assert not (tmp_path / "rootfs" / "etc" / "gone").exists()
    assert json.loads(out(host))["written"] == str(tmp_path / "rootfs")


def test_a_damaged_layer_leaves_no_tar(host, registry, tmp_path, place):
    assert host.wingo("pull", place, "oci:local", "--platform", "linux/amd64") == 0
    for blob in (Path(tmp_path) / "local" / "blobs" / "sha256").iterdir():
        data = bytearray(blob.read_bytes())
        if data[:2] == b"\x1f\x8b":
            data[len(data) // 2] ^= 0xFF
            blob.write_bytes(data)
    assert host.wingo("export", "oci:local", "-o", "all.tar") == 5
    assert not list(tmp_path.glob("*.tar"))
    assert not list(tmp_path.glob(".wingo-*"))
