"""Archives: what Docker and others write and read."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile

import msgspec
import pytest

from wingo.errors import ContentError, DigestMismatch, Malformed, RequestError
from wingo.image.model import Image, Index
from wingo.oci.descriptor import Descriptor
from wingo.oci.media_types import DOCKER_FOREIGN_LAYER, OCI_LAYER, OCI_LAYER_GZIP, Family
from wingo.oci.platform import Platform
from wingo.stores.archives import DockerArchive, OciArchive, platform_tags
from wingo.testing.images import image_of, random_image, random_index, random_layer

LINUX = {"os": "linux", "architecture": "amd64"}


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "image.tar")


def names_in(path: str) -> list[str]:
    with tarfile.open(path) as tar:
        return tar.getnames()


def read_json(path: str, name: str) -> object:
    with tarfile.open(path) as tar:
        return json.load(tar.extractfile(name))


def write_tar(path: str, files: dict[str, bytes | tuple[bytes, str]]) -> None:
    """Files, or (type, link target)."""
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            item = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                item.size = len(content)
                tar.addfile(item, io.BytesIO(content))
            else:
                item.type, item.linkname = content
                tar.addfile(item)


def test_an_oci_archive_is_the_tar_of_a_layout(path) -> None:
    image = random_image(1)
    OciArchive(path).write(image, ["v1"])
    names = names_in(path)
    assert names[:4] == ["oci-layout", "index.json", "blobs", "blobs/sha256"]
    assert sorted(names[4:]) == sorted(
        f"blobs/sha256/{digest[7:]}"
        for digest in (image.digest, image.manifest.config.digest, image.layers[0].descriptor.digest)
    )
    assert read_json(path, "oci-layout") == {"imageLayoutVersion": "1.0.0"}
    with tarfile.open(path) as tar:
        assert {(item.mtime, item.uid, item.uname) for item in tar} == {(0, 0, "")}


def test_an_oci_archive_with_dots_before_its_names(path, tmp_path) -> None:
    """As `tar -C layout -c .` writes it."""
    image = random_image(1)
    OciArchive(path).write(image, ["v1"])
    other = str(tmp_path / "other.tar")
    with tarfile.open(path) as tar:
        files = {f"./{item.name}": tar.extractfile(item).read() for item in tar if item.isfile()}
    write_tar(other, dict(reversed(files.items())))
    assert OciArchive(other, "v1").read().digest == image.digest


def test_a_docker_archive_is_what_docker_load_wants(path) -> None:
    image = random_image(1, layers=2)
    DockerArchive(path).write(image, ["example.com/app:v1", "app:latest"])
    (saved,) = read_json(path, "manifest.json")
    config = hashlib.sha256(image.config_bytes).hexdigest()
    assert saved == {
        "Config": f"{config}.json",
        "RepoTags": ["example.com/app:v1", "app:latest"],
        "Layers": [f"{layer.descriptor.digest[7:]}.tar.gz" for layer in image.layers],
    }
    assert set(names_in(path)) == {"manifest.json", saved["Config"], *saved["Layers"]}


def test_several_images_get_their_platforms_in_their_names(path) -> None:
    images = [
        image_of([random_layer(1)], {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.1"}),
        image_of([random_layer(1)], {"os": "windows", "architecture": "amd64", "os.version": "10.0.26100.1"}),
        image_of([random_layer(2)], {"os": "linux", "architecture": "arm", "variant": "v7"}),
    ]
    from wingo.testing.images import index_of

    DockerArchive(path).write(index_of(images), ["app:v1", "localhost:5000/app"])
    tags = [item["RepoTags"] for item in read_json(path, "manifest.json")]
    assert tags == [
        ["app:v1-windows-amd64-10.0.20348.1", "localhost:5000/app:latest-windows-amd64-10.0.20348.1"],
        ["app:v1-windows-amd64-10.0.26100.1", "localhost:5000/app:latest-windows-amd64-10.0.26100.1"],
        ["app:v1-linux-arm-v7", "localhost:5000/app:latest-linux-arm-v7"],
    ]
    assert len(names_in(path)) == 1 + 3 + 2, "a layer that images share is there once"
    one = DockerArchive(path, "app:v1-linux-arm-v7").read()
    assert isinstance(one, Image)
    assert one.platform == Platform("linux", "arm", variant="v7")
    everything = DockerArchive(path).read()
    assert isinstance(everything, Index)
    assert [image.platform.os_version for image in everything.children] == ["10.0.20348.1", "10.0.26100.1", ""]


def test_a_lone_image_keeps_its_name() -> None:
    image = random_image(1)
    assert platform_tags(["app:v1"], image, [image]) == ("app:v1",)
    assert platform_tags(["app:v1"], image, [image, image]) == ("app:v1",)


def test_the_caller_may_say_the_names(path) -> None:
    index = random_index(1, count=2)
    first, second = index.children
    DockerArchive(path).write(index, [], tags_of={first.digest: ["app:one"], second.digest: []})
    assert [item["RepoTags"] for item in read_json(path, "manifest.json")] == [["app:one"], []]


@pytest.mark.parametrize("name", ["", "App:v1", "app:", "app@sha256:" + "0" * 64, "a b:c"])
def test_names_that_docker_does_not_take(path, name) -> None:
    with pytest.raises(RequestError):
        DockerArchive(path).write(random_image(1), [name])
    assert not os.path.exists(path)


def test_a_name_without_a_tag_is_latest(path) -> None:
    DockerArchive(path).write(random_image(1), ["localhost:5000/app"])
    assert read_json(path, "manifest.json")[0]["RepoTags"] == ["localhost:5000/app:latest"]


def test_a_name_may_be_written_short_or_in_full(path) -> None:
    DockerArchive(path).write(random_image(1), ["app:latest"])
    for name in ("app", "app:latest", "docker.io/library/app:latest"):
        assert DockerArchive(path, name).read()
    with pytest.raises(RequestError):
        DockerArchive(path, "other").read()


def test_layers_that_must_not_be_distributed_are_there_and_have_their_source(path) -> None:
    """go-containerregistry's `LayerSources`, which Docker reads as well."""
    foreign = random_layer(1, media_type=DOCKER_FOREIGN_LAYER)
    descriptor = msgspec.structs.replace(foreign.descriptor, urls=("https://example.com/layer",))
    foreign = msgspec.structs.replace(foreign, descriptor=descriptor)
    image = image_of([foreign, random_layer(2)], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER)
    DockerArchive(path).write(image, ["app:v1"])
    (saved,) = read_json(path, "manifest.json")
    source = saved["LayerSources"][foreign.diff_id]
    assert source == {
        "mediaType": DOCKER_FOREIGN_LAYER,
        "digest": descriptor.digest,
        "size": descriptor.size,
        "urls": ["https://example.com/layer"],
    }
    found = DockerArchive(path).read()
    assert isinstance(found, Image)
    assert found.layers[0].descriptor == descriptor
    DockerArchive(path).write(image, ["app:v1"], leave_out={descriptor.digest})
    found = DockerArchive(path).read()
    assert isinstance(found, Image)
    assert found.layers[0].descriptor == descriptor


def old_docker_save(image: Image, path: str, **changed: object) -> bytes:
    """An archive as Docker wrote it before version 25: directories by old ids, tars not compressed, links for doubles."""
    (layer,) = image.layers
    with layer.open() as stream:
        tar = gzip.decompress(stream.read())
    config = json.loads(image.config_bytes)
    config["rootfs"]["diff_ids"] *= 3
    files: dict[str, bytes | tuple[bytes, str]] = {
        "aaa/VERSION": b"1.0",
        "aaa/layer.tar": tar,
        "bbb/layer.tar": (tarfile.SYMTYPE, "../aaa/layer.tar"),
        "ccc/layer.tar": (tarfile.LNKTYPE, "aaa/layer.tar"),
        "config.json": json.dumps(config).encode(),
        "manifest.json": json.dumps(
            [
                {
                    "Config": "config.json",
                    "RepoTags": None,
                    "Layers": [f"{name}/layer.tar" for name in ("aaa", "bbb", "ccc")],
                }
            ]
        ).encode(),
        "repositories": b"{}",
        **changed,  # type: ignore[dict-item]
    }
    write_tar(path, files)
    return tar


def test_what_docker_wrote_before_version_25(path) -> None:
    image = random_image(1)
    tar = old_docker_save(image, path)
    found = DockerArchive(path).read()
    assert isinstance(found, Image)
    assert [layer.descriptor for layer in found.layers] == [
        Descriptor(OCI_LAYER, image.layers[0].diff_id, len(tar)) for _ in range(3)
    ]
    for layer in found.layers:
        with layer.open() as stream:
            assert stream.read() == tar


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"aaa/layer.tar": b"other bytes"}, DigestMismatch),
        ({"bbb/layer.tar": (tarfile.SYMTYPE, "layer.tar")}, Malformed),
        ({"bbb/layer.tar": (tarfile.SYMTYPE, "../../../../etc/passwd")}, Malformed),
        ({"bbb/layer.tar": (tarfile.SYMTYPE, "/etc/passwd")}, Malformed),
        ({"config.json": b"{}"}, Malformed),
        ({"config.json": b" " * (9 << 20)}, Malformed),
        ({"manifest.json": b"{}"}, Malformed),
        ({"manifest.json": b'[{"Config":"../../etc/passwd","Layers":[]}]'}, Malformed),
        ({"manifest.json": b"[]"}, RequestError),
        ({"../escape": b""}, Malformed),
    ],
)
def test_docker_archives_that_lie(path, changed, error) -> None:
    old_docker_save(random_image(1), path, **changed)
    with pytest.raises(error):
        DockerArchive(path).read()


def test_what_docker_writes_since_version_25(path, tmp_path) -> None:
    """A layout with a manifest.json beside its index.json: read either way."""
    image = random_image(1)
    OciArchive(path).write(image, ["v1"])
    with tarfile.open(path) as tar:
        files = {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}
    saved = {
        "Config": f"blobs/sha256/{image.manifest.config.digest[7:]}",
        "RepoTags": ["app:v1"],
        "Layers": [f"blobs/sha256/{image.layers[0].descriptor.digest[7:]}"],
    }
    write_tar(path, {**files, "manifest.json": json.dumps([saved]).encode()})
    assert OciArchive(path).read().digest == image.digest
    found = DockerArchive(path, "app:v1").read()
    assert isinstance(found, Image)
    assert found.config_bytes == image.config_bytes
    assert found.layers[0].descriptor.media_type == OCI_LAYER_GZIP


def test_each_kind_says_what_the_other_is(path) -> None:
    OciArchive(path).write(random_image(1), ["v1"])
    with pytest.raises(RequestError, match="no docker-archive") as caught:
        DockerArchive(path).read()
    assert "oci-archive" in caught.value.hint
    DockerArchive(path).write(random_image(1), ["app:v1"])
    with pytest.raises(RequestError, match="no OCI archive") as caught:
        OciArchive(path).read()
    assert "docker-archive" in caught.value.hint


@pytest.mark.parametrize("store", [OciArchive, DockerArchive])
def test_a_compressed_archive_is_told(path, store) -> None:
    with gzip.open(path, "wb") as file:
        file.write(b"x" * 1000)
    with pytest.raises(RequestError, match="is compressed") as caught:
        store(path).read()
    assert "gunzip" in caught.value.hint


@pytest.mark.parametrize("store", [OciArchive, DockerArchive])
@pytest.mark.parametrize("content", [b"not a tar" * 100, b"x"])
def test_what_is_no_tar(path, store, content) -> None:
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(ContentError):
        store(path).read()


@pytest.mark.parametrize("store", [OciArchive, DockerArchive])
def test_a_cut_archive(path, store) -> None:
    store(path).write(random_image(1, size=400_000), ["app:v1"])
    os.truncate(path, os.stat(path).st_size // 2)
    with pytest.raises(ContentError):
        store(path).read()


@pytest.mark.parametrize("store", [OciArchive, DockerArchive])
def test_a_directory_or_device_is_not_replaced(tmp_path, store) -> None:
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for place in ("directory", "pipe"):
        with pytest.raises(RequestError):
            store(str(tmp_path / place)).write(random_image(1), ["app:v1"])
    assert sorted(os.listdir(tmp_path)) == ["directory", "pipe"]
    with pytest.raises(RequestError, match="is a directory"):
        store(str(tmp_path / "directory")).read()


@pytest.mark.parametrize("store", [OciArchive, DockerArchive])
def test_a_link_is_written_through(tmp_path, store) -> None:
    (tmp_path / "real.tar").write_bytes(b"")
    (tmp_path / "link.tar").symlink_to("real.tar")
    store(str(tmp_path / "link.tar")).write(random_image(1), ["app:v1"])
    assert (tmp_path / "link.tar").is_symlink()
    assert tarfile.is_tarfile(tmp_path / "real.tar")


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_permissions_do_not_depend_on_the_umask(path, umask) -> None:
    old = os.umask(umask)
    try:
        OciArchive(path).write(random_image(1), ["v1"])
    finally:
        os.umask(old)
    assert os.stat(path).st_mode & 0o777 == 0o644
