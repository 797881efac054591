"""What every local place promises: layouts, OCI archives, Docker archives, plain trees."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable

import msgspec
import pytest

from wingo.errors import ContentError, HostError, RequestError
from wingo.image.model import Image, Index, Layer, images_of
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.media_types import DOCKER_FOREIGN_LAYER, Family
from wingo.oci.platform import Platform
from wingo.stores.archives import DockerArchive, OciArchive
from wingo.stores.blobs import NewFile
from wingo.stores.files import FileTree
from wingo.stores.layout import Layout
from wingo.testing.images import (
    directory_entry,
    file_entry,
    image_of,
    index_of,
    layer_of,
    random_image,
    random_index,
    random_layer,
)

Store = Layout | OciArchive | DockerArchive
READABLE = {"oci": Layout, "oci-archive": OciArchive, "docker-archive": DockerArchive}
WITH_MANIFESTS = ["oci", "oci-archive"]
ALL = {**READABLE, "files": FileTree}
TAG = "example.com/app:v1"


def windows_image() -> Image:
    layers = [
        random_layer(1, family=Family.DOCKER),
        layer_of([directory_entry("Hives"), directory_entry("Files"), file_entry("Files/a.txt", b"x")]),
    ]
    return image_of(layers, {"os": "windows", "architecture": "amd64", "os.version": "10.0.20348.2849"})


ARTIFACTS: dict[str, Callable[[], Image | Index]] = {
    "image": lambda: random_image(1, layers=3),
    "no layers": lambda: random_image(2, layers=0),
    "docker": lambda: random_image(3, layers=2, family=Family.DOCKER),
    "zstd": lambda: random_image(4, layers=2, compression="zstd"),
    "uncompressed": lambda: random_image(5, layers=2, compression="none"),
    "windows": windows_image,
    "index": lambda: random_index(6, layers=2),
    "docker index": lambda: random_index(7, family=Family.DOCKER),
    "nested": lambda: random_index(8, count=2, depth=2),
    "same layer twice": lambda: image_of([random_layer(9)] * 2, {"os": "linux", "architecture": "amd64"}),
    "spread over lines": lambda: image_of([random_layer(9)], {"os": "linux", "architecture": "amd64"}, indent=3),
}


def bytes_of(layer: Layer) -> bytes:
    with layer.open() as stream:
        return stream.read()


def assert_same(actual: Image | Index, expected: Image | Index) -> None:
    assert (actual.manifest_bytes, actual.media_type) == (expected.manifest_bytes, expected.media_type)
    if isinstance(expected, Index):
        assert isinstance(actual, Index)
        for mine, theirs in zip(actual.children, expected.children, strict=True):
            assert_same(mine, theirs)
        return
    assert isinstance(actual, Image)
    assert actual.config_bytes == expected.config_bytes
    assert [layer.descriptor for layer in actual.layers] == [layer.descriptor for layer in expected.layers]
    assert [layer.diff_id for layer in actual.layers] == [layer.diff_id for layer in expected.layers]
    assert [bytes_of(layer) for layer in actual.layers] == [bytes_of(layer) for layer in expected.layers]


@pytest.mark.parametrize("artifact", ARTIFACTS)
@pytest.mark.parametrize("kind", WITH_MANIFESTS)
def test_what_is_written_is_read_back_to_the_byte(tmp_path, kind, artifact) -> None:
    path, made = str(tmp_path / "place"), ARTIFACTS[artifact]()
    descriptor = READABLE[kind](path).write(made, [TAG])
    assert (descriptor.digest, descriptor.size) == (made.digest, len(made.manifest_bytes))
    assert_same(READABLE[kind](path, TAG).read(), made)
    assert_same(READABLE[kind](path).read(), made)


@pytest.mark.parametrize("artifact", [name for name in ARTIFACTS if name != "nested"])
def test_a_docker_archive_keeps_configs_and_layers(tmp_path, artifact) -> None:
    path, made = str(tmp_path / "place"), ARTIFACTS[artifact]()
    DockerArchive(path).write(made, [TAG])
    found, expected = list(images_of(DockerArchive(path).read())), list(images_of(made))
    assert [image.config_bytes for image in found] == [image.config_bytes for image in expected]
    for mine, theirs in zip(found, expected, strict=True):
        assert [bytes_of(layer) for layer in mine.layers] == [bytes_of(layer) for layer in theirs.layers]
        assert [layer.descriptor.digest for layer in mine.layers] == [x.descriptor.digest for x in theirs.layers]


def contents(path: str) -> dict[str, bytes]:
    if os.path.isfile(path):
        with open(path, "rb") as file:
            return {"": file.read()}
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as file:
                found[os.path.relpath(os.path.join(folder, name), path)] = file.read()
    return found


def attestation(config: dict[str, object]) -> Image:
    """As buildx attaches them: a manifest among the images whose platform is unknown."""
    return image_of([random_layer(5, compression="none", media_type="application/vnd.in-toto+json")], config)


@pytest.mark.parametrize("kind", ALL)
def test_attestations_travel_in_layouts_and_are_no_images(tmp_path, kind) -> None:
    image = random_image(1)
    unknown = attestation({"os": "unknown", "architecture": "unknown"})
    made = index_of([image, unknown])
    ALL[kind](str(tmp_path / "place")).write(made, [TAG])
    if kind in WITH_MANIFESTS:
        assert_same(READABLE[kind](str(tmp_path / "place")).read(), made)
    elif kind == "docker-archive":
        assert DockerArchive(str(tmp_path / "place")).read().config_bytes == image.config_bytes
    else:
        assert len(os.listdir(tmp_path / "place")) == 2, "the tree of the one image, not a directory for each"
    if kind not in WITH_MANIFESTS:
        with pytest.raises(RequestError, match="no image"):
            ALL[kind](str(tmp_path / "other")).write(unknown, [TAG])


@pytest.mark.parametrize("kind", WITH_MANIFESTS)
def test_artifacts_that_are_no_images_travel(tmp_path, kind) -> None:
    """A signature: its config is none, and need not be JSON that we understand."""
    image = random_image(1)
    manifest = json.loads(image.manifest_bytes)
    config = b'{"os": 5, "anything": []}'
    manifest["config"] = {
        "mediaType": "application/vnd.example.config+json",
        "digest": sha256_digest(config),
        "size": len(config),
    }
    layers = tuple(msgspec.structs.replace(layer, diff_id=Digest("")) for layer in image.layers)
    artifact = Image(json.dumps(manifest).encode(), image.media_type, config, layers)
    READABLE[kind](str(tmp_path / "place")).write(artifact, [TAG])
    assert_same(READABLE[kind](str(tmp_path / "place")).read(), artifact)


@pytest.mark.parametrize("kind", ALL)
def test_the_same_is_written_to_the_same_bytes(tmp_path, kind) -> None:
    made = random_index(6, layers=2)
    for name in ("one", "two"):
        ALL[kind](str(tmp_path / name)).write(made, [TAG])
    assert contents(str(tmp_path / "one")) == contents(str(tmp_path / "two"))
    ALL[kind](str(tmp_path / "one")).write(made, [TAG])
    assert contents(str(tmp_path / "one")) == contents(str(tmp_path / "two"))


@pytest.mark.parametrize("kind", READABLE)
def test_every_flipped_byte_of_a_layer_is_found(tmp_path, kind) -> None:
    path = str(tmp_path / "place")
    made = random_image(1, layers=1, compression="none")
    READABLE[kind](path).write(made, [TAG])
    stored = bytes_of(made.layers[0])
    file = path if os.path.isfile(path) else Layout(path).blobs.path(made.layers[0].descriptor.digest)
    with open(file, "rb") as stream:
        data = bytearray(stream.read())
    at = bytes(data).index(stored) + len(stored) // 2
    data[at] ^= 0x10
    with open(file, "wb") as stream:
        stream.write(data)

    def read_all() -> None:
        for image in images_of(READABLE[kind](path).read()):
            for layer in image.layers:
                bytes_of(layer)

    with pytest.raises(ContentError):
        read_all()
    data[at] ^= 0x10
    with open(file, "wb") as stream:
        stream.write(data)
    read_all()


@pytest.mark.parametrize("document", ["manifest", "config", "index"])
@pytest.mark.parametrize("kind", WITH_MANIFESTS)
def test_every_flipped_byte_of_a_document_is_found(tmp_path, kind, document) -> None:
    path, made = str(tmp_path / "place"), random_index(6, count=1)
    READABLE[kind](path).write(made, [TAG])
    (child,) = made.children
    assert isinstance(child, Image)
    data = {"manifest": child.manifest_bytes, "config": child.config_bytes, "index": made.manifest_bytes}[document]
    files = [path] if os.path.isfile(path) else [entry for entry, _, _ in os.walk(path)]
    for folder in files:
        for name in os.listdir(folder) if os.path.isdir(folder) else [""]:
            file = os.path.join(folder, name) if name else folder
            if os.path.isfile(file):
                with open(file, "rb") as stream:
                    old = stream.read()
                with open(file, "wb") as stream:
                    stream.write(old.replace(data, data.replace(b"sha256", b"sha257", 1)))
    with pytest.raises(ContentError):
        READABLE[kind](path).read()


class Interrupted(BaseException):
    """As Ctrl-C: no error of ours, and no `Exception`."""


def breaking_off(made: Image, error: BaseException) -> Image:
    def open_layer() -> io.BytesIO:
        class Stream(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                if self.tell() > 300:
                    raise error
                return super().read(300)

        return Stream(bytes_of(made.layers[-1]))

    last = msgspec.structs.replace(made.layers[-1], open=open_layer)
    return msgspec.structs.replace(made, layers=(*made.layers[:-1], last))


@pytest.mark.parametrize("error", [Interrupted(), HostError("the network is gone")], ids=["Ctrl-C", "error"])
@pytest.mark.parametrize("before", ["nothing", "something"])
@pytest.mark.parametrize("kind", ALL)
def test_a_write_that_breaks_off_leaves_what_was_there(tmp_path, kind, before, error) -> None:
    path = str(tmp_path / "place")
    if before == "something":
        ALL[kind](path).write(random_image(1), [TAG])
    old = contents(path)
    with pytest.raises(type(error)):
        ALL[kind](path).write(breaking_off(random_image(2, layers=2), error), [TAG])
    new = contents(path)
    if kind == "oci":
        # Blobs of the broken write may stay in a layout that was there; nothing points to them.
        new = {name: data for name, data in new.items() if name in old}
    assert new == old
    assert os.listdir(tmp_path) == (["place"] if before == "something" else [])


@pytest.mark.parametrize("kind", ALL)
def test_a_full_disk_leaves_nothing(tmp_path, kind, monkeypatch) -> None:
    if kind == "files":
        monkeypatch.setattr("os.utime", full)
    else:
        monkeypatch.setattr(NewFile, "commit", full)
    with pytest.raises((HostError, OSError), match="No space left"):
        ALL[kind](str(tmp_path / "place")).write(random_image(2, layers=2), [TAG])
    assert os.listdir(tmp_path) == []


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("kind", READABLE)
def test_two_writers_at_once(tmp_path, kind) -> None:
    path = str(tmp_path / "place")
    images = [random_image(number, layers=2) for number in range(6)]
    failures: list[BaseException] = []

    def write(number: int) -> None:
        try:
            READABLE[kind](path).write(images[number], [f"app:{number}"])
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    if kind == "oci":
        for number, image in enumerate(images):
            assert_same(Layout(path, f"app:{number}").read(), image)
    else:
        found = READABLE[kind](path).read()
        assert isinstance(found, Image)
        assert found.config_bytes in {image.config_bytes for image in images}
        assert [bytes_of(layer) for layer in found.layers]


@pytest.mark.parametrize("kind", READABLE)
def test_a_thin_place_is_read_and_says_what_it_lacks(tmp_path, kind) -> None:
    path, made = str(tmp_path / "place"), random_image(1, layers=2)
    base, own = made.layers
    READABLE[kind](path).write(made, [TAG], leave_out={base.descriptor.digest})
    found = READABLE[kind](path).read()
    assert isinstance(found, Image)
    assert found.manifest_bytes == made.manifest_bytes
    assert bytes_of(found.layers[1]) == bytes_of(own)
    with pytest.raises(RequestError, match="was written without the layer") as caught:
        found.layers[0].open()
    assert "--thin" in caught.value.hint


@pytest.mark.parametrize("kind", WITH_MANIFESTS)
def test_layers_that_must_not_be_distributed_are_not_written(tmp_path, kind) -> None:
    path = str(tmp_path / "place")
    foreign = random_layer(1, media_type=DOCKER_FOREIGN_LAYER)
    made = image_of([foreign, random_layer(2)], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER)
    READABLE[kind](path).write(made, [TAG])
    found = READABLE[kind](path).read()
    assert isinstance(found, Image)
    assert found.manifest_bytes == made.manifest_bytes
    with pytest.raises(RequestError):
        found.layers[0].open()


@pytest.mark.parametrize("kind", READABLE)
def test_only_wanted_children_are_read(tmp_path, kind) -> None:
    path, made = str(tmp_path / "place"), random_index(6)
    READABLE[kind](path).write(made, [TAG])
    found = READABLE[kind](path).read(lambda entry: entry.platform == Platform("linux", "arm64"))
    assert isinstance(found, Index)
    assert [image.platform for image in images_of(found)] == [Platform("linux", "arm64")]
    assert len(found.manifest.manifests) == 3


@pytest.mark.parametrize("kind", WITH_MANIFESTS)
def test_an_index_without_all_its_images_is_refused(tmp_path, kind) -> None:
    made = random_index(6)
    part = Index(made.manifest_bytes, made.media_type, made.children[:2])
    with pytest.raises(RequestError, match="were not read with it"):
        READABLE[kind](str(tmp_path / "place")).write(part, [TAG])
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", READABLE)
def test_a_place_that_is_not_there(tmp_path, kind) -> None:
    with pytest.raises(RequestError):
        READABLE[kind](str(tmp_path / "nowhere")).read()


@pytest.mark.parametrize("kind", READABLE)
def test_a_tag_that_is_not_there_lists_those_that_are(tmp_path, kind) -> None:
    path = str(tmp_path / "place")
    READABLE[kind](path).write(random_image(1), ["app:v1"])
    with pytest.raises(RequestError, match="app:v2") as caught:
        READABLE[kind](path, "app:v2").read()
    assert "app:v1" in caught.value.hint


@pytest.mark.parametrize("kind", ALL)
def test_below_a_file_nothing_can_be_written(tmp_path, kind) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((HostError, RequestError)):
        ALL[kind](str(tmp_path / "file" / "place")).write(random_image(1), [TAG])
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("kind", ALL)
def test_progress_is_told(tmp_path, kind) -> None:
    events: list[str] = []

    class Recorder:
        def start(self, what: str, total: int | None = None) -> Recorder:
            events.append(f"start {what}")
            return self

        def advance(self, count: int) -> None:
            events.append("advance")

        def done(self, note: str = "") -> None:
            events.append("done")

        def note(self, text: str) -> None:
            events.append(text)

    ALL[kind](str(tmp_path / "place"), progress=Recorder()).write(random_image(1), [TAG])
    assert events[0].startswith("start ")
    assert events[-1] == "done"
