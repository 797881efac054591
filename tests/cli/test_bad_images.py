"""Images that lie, or try to: `inspect`, `ls`, `cat` and `export` say what is wrong, write nothing, and stay small."""

from __future__ import annotations

import gzip
import io
import json
import tarfile

import msgspec
import pytest

from wingo.image.model import Image, Index, Layer
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.manifest import IndexManifest
from wingo.oci.media_types import OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from wingo.oci.wire import encode
from wingo.stores.layout import Layout
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, layer_of, layer_of_tar, opener_of


@pytest.fixture
def host(tmp_path):
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), {"HOME": str(tmp_path)})


def stored(data: bytes, *, diff_id: str = "", media_type: str = OCI_LAYER_GZIP) -> Layer:
    return Layer(
        Descriptor(media_type, sha256_digest(data), len(data)), Digest(diff_id or sha256_digest(b"")), opener_of(data)
    )


def good() -> Layer:
    return layer_of([file_entry("f", b"content" * 1000)])


def cut() -> Layer:
    layer = good()
    return stored(layer.open().read()[:-20], diff_id=layer.diff_id)


def other_tar() -> Layer:
    return stored(good().open().read(), diff_id=sha256_digest(b"something else"))


def encrypted() -> Layer:
    return stored(bytes(range(256)) * 20, media_type=OCI_LAYER_GZIP + "+encrypted")


def no_tar() -> Layer:
    text = b"this is a text, and no archive of any kind.\n" * 40
    return stored(gzip.compress(text), diff_id=sha256_digest(text))


def sparse() -> Layer:
    info = tarfile.TarInfo("huge")
    info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.realsize": "10737418240"}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info)
    return layer_of_tar(buffer.getvalue())


def long_file() -> Layer:
    """A header that promises 10 GB and a tar that ends."""
    info = tarfile.TarInfo("huge")
    info.size = 10 << 30
    return layer_of_tar(info.tobuf(tarfile.GNU_FORMAT) + bytes(4096))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (cut, "cut short"),
        (other_tar, "the bytes are"),
        (encrypted, "is encrypted"),
        (no_tar, "malformed tar"),
        (sparse, "a sparse file"),
        (long_file, "cut short"),
    ],
)
@pytest.mark.parametrize(
    "command", [("ls",), ("cat", "f"), ("export", "-o", "out.tar"), ("inspect", "--html", "out.html")]
)
def test_a_broken_layer(host, tmp_path, make, says, command) -> None:
    layout = Layout(str(tmp_path / "image"))
    layout.write(image_of([make()], {"os": "linux", "architecture": "amd64"}), ["v1"])
    name, *rest = command
    assert host.wingo(name, "oci:image", *rest) == 5
    assert says in host.err.getvalue()
    assert not list(tmp_path.glob("out*"))
    # Its documents can be looked at all the same.
    assert host.wingo("inspect", "oci:image", "--layers") == 0
    assert not (tmp_path / "cache" / "records" / "listings").exists()


def test_a_layer_without_a_byte(host, tmp_path) -> None:
    Layout(str(tmp_path / "image")).write(image_of([stored(b"")], {"os": "linux", "architecture": "amd64"}), ["v1"])
    assert host.wingo("ls", "oci:image") == 0
    assert host.out.getvalue() == ""
    assert host.wingo("ls", "oci:image", "--layer", "1") == 0
    assert "no bytes, not even the end of a tar" in host.err.getvalue()


def test_an_index_that_leads_to_itself(host, tmp_path) -> None:
    """No index can hold its own digest: one that tries names bytes that are not there, or others."""
    Layout(str(tmp_path / "image")).write(image_of([good()], {"os": "linux", "architecture": "amd64"}), ["v1"])
    blobs = tmp_path / "image" / "blobs" / "sha256"
    claimed = sha256_digest(b"the index itself")
    own = encode(
        IndexManifest(schema_version=2, media_type=OCI_INDEX, manifests=(Descriptor(OCI_INDEX, claimed, 300),))
    )
    document = own + b" " * (300 - len(own))
    (blobs / claimed[7:]).write_bytes(document)
    top = {"schemaVersion": 2, "manifests": [{"mediaType": OCI_INDEX, "digest": claimed, "size": 300}]}
    (tmp_path / "image" / "index.json").write_text(json.dumps(top))
    assert host.wingo("inspect", "oci:image") == 5
    assert "the bytes are" in host.err.getvalue()


def test_indexes_nested_too_deeply(host, tmp_path) -> None:
    artifact: Image | Index = image_of([good()], {"os": "linux", "architecture": "amd64"})
    for _ in range(8):
        document = encode(IndexManifest(schema_version=2, media_type=OCI_INDEX, manifests=(artifact.descriptor,)))
        artifact = Index(document, OCI_INDEX, (artifact,))
    Layout(str(tmp_path / "image")).write(artifact, ["v1"])
    assert host.wingo("inspect", "oci:image") == 5
    assert "nested more than" in host.err.getvalue()


def test_a_media_type_that_is_another_documents(host, tmp_path) -> None:
    image = image_of([good()], {"os": "linux", "architecture": "amd64"})
    Layout(str(tmp_path / "image")).write(image, ["v1"])
    index = json.loads((tmp_path / "image" / "index.json").read_text())
    index["manifests"][0]["mediaType"] = OCI_INDEX
    (tmp_path / "image" / "index.json").write_text(json.dumps(index))
    assert host.wingo("inspect", "oci:image") == 5
    assert OCI_MANIFEST in host.err.getvalue()


def test_a_layer_of_another_type_is_told_by_its_bytes(host, tmp_path) -> None:
    layer = good()
    odd = msgspec.structs.replace(layer, descriptor=msgspec.structs.replace(layer.descriptor, media_type="text/plain"))
    Layout(str(tmp_path / "image")).write(image_of([odd], {"os": "linux", "architecture": "amd64"}), ["v1"])
    assert host.wingo("ls", "oci:image") == 0
    assert host.out.getvalue() == "f\n"
