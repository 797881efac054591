"""What `RegistryClient` promises, with every registry at hand: ours in this process, Debian's, and one with referrers."""

from __future__ import annotations

import io
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.needs import need_tool
from wingo.errors import DigestMismatch, RemoteError, RequestError
from wingo.image.model import Image, Index, Layer
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.manifest import Manifest
from wingo.oci.media_types import DOCKER_FOREIGN_LAYER, DOCKER_LIST, OCI_EMPTY, OCI_MANIFEST, Family
from wingo.oci.reference import Reference
from wingo.oci.wire import encode
from wingo.stores.registry import RegistryClient, Shipment
from wingo.stores.registry.upload import Pieces
from wingo.testing.images import image_of, layer_of, random_image, random_index
from wingo.testing.registry import RegistryServer
from wingo.testing.registry_client import make_client

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.timeout(60)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def _serving(argv: list[str], port: int, log: Path) -> Iterator[str]:
    """A server process that is ended with the test."""
    with log.open("wb") as output, subprocess.Popen(argv, stdout=output, stderr=output) as process:
        try:
            for _ in range(200):
                if process.poll() is not None:
                    break
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            assert process.poll() is None, log.read_text()
            yield f"127.0.0.1:{port}"
        finally:
            process.kill()


@contextmanager
def _docker_registry(path: Path) -> Iterator[str]:
    port = _free_port()
    config = path / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {path / 'registry'}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        "validation: {manifests: {urls: {allow: ['^https://layers.example/']}}}\n"
    )
    with _serving([need_tool("docker-registry"), "serve", str(config)], port, path / "log") as host:
        yield host


@contextmanager
def _olareg(path: Path) -> Iterator[str]:
    port = _free_port()
    argv = [need_tool("olareg"), "serve", "--addr", "127.0.0.1", "--port", str(port), "--dir", str(path / "olareg")]
    with _serving(argv, port, path / "log") as host:
        yield host


@contextmanager
def _in_process(path: Path) -> Iterator[str]:
    with RegistryServer() as server:
        yield server.host


@contextmanager
def _in_process_plain(path: Path) -> Iterator[str]:
    with RegistryServer(referrers_api=False, mounts=False, least_chunk=4096, page=2) as server:
        yield server.host


_REGISTRIES: dict[str, Callable[[Path], object]] = {
    "in-process": _in_process,
    "in-process-plain": _in_process_plain,
    "docker-registry": _docker_registry,
    "olareg": _olareg,
}


@pytest.fixture(scope="module", params=list(_REGISTRIES))
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ExitStack() as stack:
        yield stack.enter_context(_REGISTRIES[request.param](tmp_path_factory.mktemp("registry")))  # type: ignore[arg-type]


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with make_client() as made:
        yield made


@pytest.fixture
def to(host: str, request: pytest.FixtureRequest) -> Reference:
    """A repository of the test's own."""
    return Reference(host, "contracts/" + request.node.originalname.removeprefix("test_"), tag="v1")


def _bytes(layer: Layer) -> bytes:
    with layer.open() as stream:
        return stream.read()


def _artifact(
    subject: Descriptor, artifact_type: str = "application/vnd.example.sbom", data: bytes = b"hello"
) -> Image:
    layer = Descriptor("text/plain", sha256_digest(data), len(data))
    manifest = Manifest(
        schema_version=2,
        media_type=OCI_MANIFEST,
        artifact_type=artifact_type,
        config=Descriptor(OCI_EMPTY, sha256_digest(b"{}"), 2),
        layers=(layer,),
        subject=subject,
        annotations={"org.example.seed": data.decode()},
    )
    return Image(encode(manifest), OCI_MANIFEST, b"{}", (Layer(layer, Digest(""), lambda: io.BytesIO(data)),))


@pytest.mark.parametrize("family", [Family.OCI, Family.DOCKER], ids=["oci", "docker"])
def test_an_index_comes_back_byte_for_byte(client: RegistryClient, to: Reference, family: Family) -> None:
    index = random_index(7, count=3, layers=2, family=family)
    to = to.with_tag(family.value)

    assert client.write([Shipment(to, index)]) == [index.descriptor]

    with make_client() as another:
        read = another.read(to)
        assert isinstance(read, Index)
        assert (read.manifest_bytes, read.media_type) == (index.manifest_bytes, index.media_type)
        assert (read.media_type == DOCKER_LIST) == (family is Family.DOCKER)
        for ours, theirs in zip(index.children, read.children, strict=True):
            assert isinstance(ours, Image)
            assert isinstance(theirs, Image)
            assert theirs.manifest_bytes == ours.manifest_bytes
            assert theirs.config_bytes == ours.config_bytes
            assert [_bytes(layer) for layer in theirs.layers] == [_bytes(layer) for layer in ours.layers]
        head = another.head(to)
        assert head is not None
        assert (head.digest, head.size, head.media_type) == (index.digest, len(index.manifest_bytes), index.media_type)
        assert another.resolve(to) == to.with_digest(index.digest)
        assert another.read(to.with_digest(index.digest)).digest == index.digest


def test_only_wanted_children_are_read(client: RegistryClient, to: Reference) -> None:
    index = random_index(8, count=3)
    client.write([Shipment(to, index)])
    chosen = index.manifest.manifests[1]

    read = client.read(to, lambda entry: entry.platform == chosen.platform)

    assert isinstance(read, Index)
    assert [child.digest for child in read.children] == [chosen.digest]
    assert read.manifest_bytes == index.manifest_bytes
    assert not read.complete


def test_indexes_within_indexes(client: RegistryClient, to: Reference) -> None:
    index = random_index(9, count=2, depth=1)
    client.write([Shipment(to, index)])
    with make_client() as another:
        read = another.read(to)
    assert isinstance(read, Index)
    assert read.manifest_bytes == index.manifest_bytes
    assert [child.digest for child in read.children] == [child.digest for child in index.children]


def test_several_tags_and_a_new_one_for_what_is_there(client: RegistryClient, to: Reference) -> None:
    image = random_image(10)
    client.write([Shipment(to, image, ("v1.0", "latest"))])
    client.write([Shipment(to.with_tag("v1.0.1"), image)])
    assert sorted(client.tags(to)) == ["latest", "v1", "v1.0", "v1.0.1"]
    assert {client.resolve(to.with_tag(tag)).digest for tag in client.tags(to)} == {image.digest}


def test_a_tag_moves(client: RegistryClient, to: Reference) -> None:
    first, second = random_image(11), random_image(12)
    client.write([Shipment(to, first)])
    client.write([Shipment(to, second)])
    assert client.resolve(to).digest == second.digest
    assert client.read(to.with_digest(first.digest)).digest == first.digest


def test_without_a_tag_it_is_there_by_digest(client: RegistryClient, to: Reference) -> None:
    image = random_image(13)
    bare = Reference(to.registry, to.repository)
    client.write([Shipment(bare, image)])
    assert client.read(bare.with_digest(image.digest)).digest == image.digest


def test_a_layer_is_mounted_from_where_the_base_was_read(client: RegistryClient, to: Reference) -> None:
    image = random_image(14, layers=2, size=100_000)
    client.write([Shipment(to, image)])
    elsewhere = Reference(to.registry, to.repository + "-copy", tag="v1")
    with make_client() as another:
        another.write([Shipment(elsewhere, another.read(to))])
    with make_client() as third:
        read = third.read(elsewhere)
        assert isinstance(read, Image)
        assert [_bytes(layer) for layer in read.layers] == [_bytes(layer) for layer in image.layers]


@pytest.mark.parametrize("chunk", [0, 4096, 100_000], ids=["whole", "small", "uneven"])
def test_large_blobs_go_in_pieces(to: Reference, chunk: int) -> None:
    image = random_image(15 + chunk, size=250_000)
    with make_client(pieces=Pieces(1000, chunk)) as client:
        client.write([Shipment(to.with_tag(f"c{chunk}"), image)])
        read = client.read(to.with_tag(f"c{chunk}"))
        assert isinstance(read, Image)
        assert [_bytes(layer) for layer in read.layers] == [_bytes(layer) for layer in image.layers]


class _Interrupting:
    """Progress that stops the push after some bytes of some layers."""

    def __init__(self, after: int, error: type[BaseException]) -> None:
        self.left = after
        self.error = error

    def start(self, what: str, total: int | None = None) -> _Interrupting:
        return self

    def note(self, text: str) -> None:
        pass

    def advance(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise self.error

    def done(self, note: str = "") -> None:
        pass


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("after", [0, 150_000, 450_000])
def test_an_interrupted_push_leaves_no_tag_and_goes_on(to: Reference, after: int, jobs: int) -> None:
    index = random_index(20 + after + jobs, count=3, size=200_000)
    to = to.with_tag(f"a{after}-{jobs}")
    with make_client(jobs=jobs) as client:
        with pytest.raises(KeyboardInterrupt):
            client.write([Shipment(to, index)], progress=_Interrupting(after, KeyboardInterrupt))
        assert client.head(to) is None
    with make_client(jobs=jobs) as client:
        client.write([Shipment(to, index)])
        read = client.read(to)
        assert isinstance(read, Index)
        for child in read.children:
            assert isinstance(child, Image)
            for layer in child.layers:
                _bytes(layer)


def test_a_layer_that_lies_is_not_pushed(client: RegistryClient, to: Reference) -> None:
    image = random_image(30)
    assert isinstance(image, Image)
    data = _bytes(image.layers[0])
    flipped = data[:-1] + bytes([data[-1] ^ 1])
    lying = msgspec.structs.replace(
        image, layers=(msgspec.structs.replace(image.layers[0], open=lambda: io.BytesIO(flipped)),)
    )
    with pytest.raises(RemoteError):
        client.write([Shipment(to, lying)])
    assert client.head(to) is None


def test_a_layer_that_ends_early_is_not_pushed(client: RegistryClient, to: Reference) -> None:
    image = random_image(31)
    data = _bytes(image.layers[0])
    lying = msgspec.structs.replace(
        image, layers=(msgspec.structs.replace(image.layers[0], open=lambda: io.BytesIO(data[:-5])),)
    )
    with pytest.raises(Exception, match="bytes"):
        client.write([Shipment(to, lying)])
    assert client.head(to) is None


def test_foreign_layers_stay_where_they_are(client: RegistryClient, to: Reference) -> None:
    url = "https://layers.example/windows"
    foreign = layer_of([], media_type=DOCKER_FOREIGN_LAYER, urls=[url])
    own = layer_of([], family=Family.DOCKER)
    image = image_of([foreign, own], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER)
    client.write([Shipment(to, image)])
    with make_client() as another:
        read = another.read(to)
        assert isinstance(read, Image)
        assert read.manifest_bytes == image.manifest_bytes
        assert read.layers[0].descriptor.urls == (url,)


def test_foreign_layers_are_sent_when_asked(to: Reference) -> None:
    foreign = layer_of([], media_type=DOCKER_FOREIGN_LAYER, urls=["https://layers.example/windows"])
    image = image_of([foreign], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER)
    with make_client(push_foreign=True) as client:
        client.write([Shipment(to, image)])
        read = client.read(to)
        assert isinstance(read, Image)
        assert _bytes(read.layers[0]) == _bytes(foreign)


def test_an_incomplete_index_is_refused_before_anything_is_sent(client: RegistryClient, to: Reference) -> None:
    index = random_index(40, count=2)
    with pytest.raises(RequestError, match="was not read and is not in"):
        client.write([Shipment(to, msgspec.structs.replace(index, children=index.children[:1]))])
    assert client.head(to) is None


def test_an_incomplete_index_goes_where_its_children_are(client: RegistryClient, to: Reference) -> None:
    index = random_index(41, count=2)
    for child in index.children:
        client.write([Shipment(Reference(to.registry, to.repository), child)])
    client.write([Shipment(to, msgspec.structs.replace(index, children=index.children[:1]))])
    assert client.resolve(to).digest == index.digest


def test_referrers_are_found_with_and_without_the_api(client: RegistryClient, to: Reference) -> None:
    image = random_image(50)
    sbom = _artifact(image.descriptor)
    other = _artifact(image.descriptor, "application/vnd.example.signature", b"signed")

    client.write([Shipment(to, image, referrers=(sbom, other))])
    client.write([Shipment(Reference(to.registry, to.repository), sbom)])

    found = client.referrers(to, image.digest)
    assert {(item.digest, item.artifact_type) for item in found} == {
        (sbom.digest, "application/vnd.example.sbom"),
        (other.digest, "application/vnd.example.signature"),
    }
    assert len(found) == 2
    only = client.referrers(to, image.digest, "application/vnd.example.signature")
    assert [item.digest for item in only] == [other.digest]
    assert only[0].annotations == {"org.example.seed": "signed"}
    assert client.referrers(to, sha256_digest(b"nothing")) == ()
    read = client.read(to.with_digest(sbom.digest))
    assert isinstance(read, Image)
    assert _bytes(read.layers[0]) == b"hello"


def test_a_referrer_that_comes_later_is_added(client: RegistryClient, to: Reference) -> None:
    image = random_image(51)
    client.write([Shipment(to, image)])
    first, second = _artifact(image.descriptor, data=b"one"), _artifact(image.descriptor, data=b"two")
    client.write([Shipment(to, image, referrers=(first,))])
    client.write([Shipment(to, image, referrers=(second,))])
    assert {item.digest for item in client.referrers(to, image.digest)} == {first.digest, second.digest}


def test_several_repositories_share_what_they_have_in_common(client: RegistryClient, to: Reference) -> None:
    images = [random_image(60, size=50_000), random_image(60, size=50_000), random_image(61)]
    shipments = [
        Shipment(Reference(to.registry, f"{to.repository}-{at}", tag="v1"), image) for at, image in enumerate(images)
    ]
    assert client.write(shipments) == [image.descriptor for image in images]
    with make_client() as another:
        for shipment in shipments:
            read = another.read(shipment.to)
            assert isinstance(read, Image)
            for layer in read.layers:
                _bytes(layer)


def test_what_is_not_there(client: RegistryClient, to: Reference) -> None:
    assert client.head(to) is None
    with pytest.raises(RemoteError, match="404"):
        client.read(to)
    with pytest.raises(RemoteError, match="there is no"):
        client.resolve(to)
    client.write([Shipment(to.with_tag("ltsc2022"), random_image(70))])
    with pytest.raises(RemoteError) as caught:
        client.read(to.with_tag("ltsc2023"))
    assert caught.value.status == 404
    assert "ltsc2022" in caught.value.hint
    with pytest.raises(RemoteError, match="404"):
        client.read(to.with_digest(sha256_digest(b"nothing")))


def test_a_blob_that_is_not_the_registrys(client: RegistryClient, to: Reference) -> None:
    image = random_image(80, size=5000)
    client.write([Shipment(to, image)])
    read = client.read(to)
    assert isinstance(read, Image)
    blob = read.layers[0].open
    lied = sha256_digest(b"another")
    blob.descriptor = msgspec.structs.replace(blob.descriptor, digest=lied)  # type: ignore[attr-defined]
    with pytest.raises((RemoteError, DigestMismatch)):
        _bytes(read.layers[0])
