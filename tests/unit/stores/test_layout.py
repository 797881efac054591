"""Image layouts: tags, what others wrote, what is hostile."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from wingo.errors import ContentError, Malformed, RequestError
from wingo.image.model import Image
from wingo.oci.media_types import OCI_INDEX
from wingo.stores.layout import Layout
from wingo.stores.reading import MAX_DEPTH
from wingo.testing.images import random_image, random_index

ONE, TWO, THREE = (random_image(number) for number in (1, 2, 3))


@pytest.fixture
def path(tmp_path) -> str:
    return str(tmp_path / "layout")


def listed(path: str) -> list[tuple[str, str]]:
    with open(os.path.join(path, "index.json"), "rb") as file:
        entries = json.load(file)["manifests"]
    return [(e.get("annotations", {}).get("org.opencontainers.image.ref.name", ""), e["digest"]) for e in entries]


def test_a_layout_is_what_the_specification_says(path) -> None:
    Layout(path).write(ONE, ["v1"])
    with open(os.path.join(path, "oci-layout"), "rb") as file:
        assert file.read() == b'{"imageLayoutVersion":"1.0.0"}'
    with open(os.path.join(path, "index.json"), "rb") as file:
        index = json.load(file)
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == OCI_INDEX
    (entry,) = index["manifests"]
    assert entry["platform"] == {"os": "linux", "architecture": "amd64"}
    assert sorted(os.listdir(path)) == ["blobs", "index.json", "oci-layout"]
    assert os.listdir(os.path.join(path, "blobs")) == ["sha256"]


def test_a_tag_moves_and_the_newest_is_last(path) -> None:
    Layout(path).write(ONE, ["v1", "latest"])
    Layout(path).write(TWO, ["v2"])
    assert listed(path) == [("v1", ONE.digest), ("latest", ONE.digest), ("v2", TWO.digest)]
    Layout(path).write(THREE, ["latest"])
    assert listed(path) == [("v1", ONE.digest), ("v2", TWO.digest), ("latest", THREE.digest)]
    assert Layout(path, "latest").read().digest == THREE.digest
    assert Layout(path, "v1").read().digest == ONE.digest


def test_without_a_tag(path) -> None:
    Layout(path).write(ONE)
    Layout(path).write(ONE)
    assert listed(path) == [("", ONE.digest)]
    assert Layout(path).read().digest == ONE.digest
    Layout(path).write(TWO)
    with pytest.raises(RequestError, match="2 images, and no tag says which"):
        Layout(path).read()


def test_two_tags_for_one_image_are_one_image(path) -> None:
    Layout(path).write(ONE, ["a", "b"])
    assert Layout(path).read().digest == ONE.digest


def test_members_that_others_wrote_stay(path) -> None:
    Layout(path).write(ONE, ["v1"])
    file = os.path.join(path, "index.json")
    with open(file, "rb") as stream:
        index = json.load(stream)
    index["com.example.extra"] = {"kept": True}
    index["manifests"][0]["com.example.more"] = [1, 2]
    index["manifests"][0]["annotations"]["io.containerd.image.name"] = "docker.io/library/app:v1"
    with open(file, "w") as stream:
        json.dump(index, stream, indent=2)
    Layout(path).write(TWO, ["v2"])
    with open(file, "rb") as stream:
        after = json.load(stream)
    assert after["com.example.extra"] == {"kept": True}
    assert after["manifests"][0] == index["manifests"][0]


def test_blobs_that_are_there_are_not_read_again(path) -> None:
    Layout(path).write(ONE, ["v1"])

    def open_layer() -> None:
        raise AssertionError

    import msgspec

    closed = Image(
        ONE.manifest_bytes,
        ONE.media_type,
        ONE.config_bytes,
        tuple(msgspec.structs.replace(layer, open=open_layer) for layer in ONE.layers),
    )
    Layout(path).write(closed, ["v2"])
    assert Layout(path, "v2").read().digest == ONE.digest


def test_writing_the_same_again_changes_no_file(path) -> None:
    made = random_index(4)
    Layout(path).write(made, ["v1"])
    before = {
        folder: [os.stat(os.path.join(folder, name)).st_mtime_ns for name in names]
        for folder, _, names in os.walk(path)
    }
    Layout(path).write(made, ["v1"])
    assert before == {
        folder: [os.stat(os.path.join(folder, name)).st_mtime_ns for name in names]
        for folder, _, names in os.walk(path)
    }


@pytest.mark.parametrize("tag", ["", " ", "a b", "a\nb", "\x1b[31m", "x" * 600])
def test_tags_that_no_layout_should_have(path, tag) -> None:
    with pytest.raises(RequestError, match="cannot be a tag"):
        Layout(path).write(ONE, [tag])
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.json", b""),
        ("index.json", b"[]"),
        ("index.json", b"{}"),
        ("index.json", b'{"schemaVersion":2,"manifests":{}}'),
        ("index.json", b'{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:../../etc","size":1}]}'),
        ("index.json", b'{"schemaVersion":2,"manifests":' + b"[" * 100_000),
        ("index.json", b" " * (5 << 20)),
        ("oci-layout", b""),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}'),
        ("oci-layout", b'{"imageLayoutVersion":1}'),
        ("oci-layout", b" " * 5000),
    ],
)
def test_damaged_or_hostile_files(path, name, content) -> None:
    Layout(path).write(ONE, ["v1"])
    with open(os.path.join(path, name), "wb") as file:
        file.write(content)
    with pytest.raises(Malformed):
        Layout(path).read()
    if name == "index.json":
        with pytest.raises(Malformed):
            Layout(path).write(TWO, ["v2"])
        with open(os.path.join(path, name), "rb") as file:
            assert file.read() == content, "what cannot be understood is not replaced"


def test_a_document_that_is_missing(path) -> None:
    Layout(path).write(ONE, ["v1"])
    os.unlink(Layout(path).blobs.path(ONE.digest))
    with pytest.raises(ContentError, match="lacks"):
        Layout(path).read()


def test_indexes_that_lead_to_themselves_through_many_are_stopped(path) -> None:
    """An index of 1000 times the same index of 1000 times the same …: few bytes, much work."""
    Layout(path).write(ONE, ["v1"])
    blobs = Layout(path).blobs
    inner, media_type = ONE.manifest_bytes, ONE.media_type
    for _ in range(4):
        entry = {"mediaType": media_type, "digest": blobs.put(inner), "size": len(inner)}
        inner = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] * 1000}).encode()
        media_type = OCI_INDEX
    with open(os.path.join(path, "index.json"), "wb") as file:
        file.write(inner.replace(b", ".join([json.dumps(entry).encode()] * 2), json.dumps(entry).encode()))
    with pytest.raises(Malformed, match="more than 4096 manifests"):
        Layout(path).read()


def test_indexes_nested_too_deeply(path) -> None:
    made = random_index(1, count=1, depth=9)
    Layout(path).write(made, ["v1"])
    with pytest.raises(Malformed, match=f"nested more than {MAX_DEPTH}"):
        Layout(path).read()


def test_a_descriptor_that_claims_a_huge_document_is_not_read(path) -> None:
    Layout(path).write(ONE, ["v1"])
    file = os.path.join(path, "index.json")
    with open(file, "rb") as stream:
        index = json.load(stream)
    index["manifests"][0]["size"] = 1 << 40
    with open(file, "w") as stream:
        json.dump(index, stream)
    with pytest.raises(Malformed, match="more than"):
        Layout(path).read()


def test_a_file_is_no_layout(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="is not an OCI image layout"):
        Layout(str(tmp_path / "file")).read()
    with pytest.raises(RequestError, match="is not an OCI image layout"):
        Layout(str(tmp_path)).read()


WRITE = """
import sys
from wingo.stores.layout import Layout
from wingo.testing.images import random_image
for number in range(4):
    Layout(sys.argv[1]).write(random_image(number + int(sys.argv[2]), layers=2), [f"{sys.argv[2]}-{number}"])
"""


def test_two_processes_at_once_lose_nothing(path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITE, path, start]) for start in ("100", "200")]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert sorted(tag for tag, _ in listed(path)) == sorted(f"{start}-{n}" for start in (100, 200) for n in range(4))
    for start in (100, 200):
        for number in range(4):
            found = Layout(path, f"{start}-{number}").read()
            assert found.digest == random_image(start + number, layers=2).digest
            for layer in found.layers:
                with layer.open() as stream:
                    assert stream.read()


HANG = """
import io, sys
import msgspec
from wingo.stores.layout import Layout
from wingo.testing.images import random_image
class Stream(io.BytesIO):
    def read(self, size=-1):
        if self.tell():
            print("in the middle", flush=True)
            sys.stdin.read()
        return super().read(100)
image = random_image(2)
(layer,) = image.layers
with layer.open() as stream:
    data = stream.read()
layer = msgspec.structs.replace(layer, open=lambda: Stream(data))
Layout(sys.argv[1]).write(msgspec.structs.replace(image, layers=(layer,)), ["v2"])
"""


def test_a_writer_that_is_killed_is_as_if_it_had_not_begun(path) -> None:
    Layout(path).write(ONE, ["v1"])
    with subprocess.Popen(
        [sys.executable, "-c", HANG, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "in the middle\n"
        writer.kill()
    assert listed(path) == [("v1", ONE.digest)]
    assert Layout(path).read().digest == ONE.digest
    Layout(path).write(TWO, ["v2"])
    assert Layout(path, "v2").read().digest == TWO.digest
