"""Reading from registries that lie, cut, nest and overflow; and how few requests it takes when they do not."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import BinaryIO

import msgspec
import pytest

from wingo.errors import DigestMismatch, Malformed, RemoteError, SizeMismatch, WingoError
from wingo.image.model import Image, Index
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, sha256_digest
from wingo.oci.media_types import DOCKER_FOREIGN_LAYER, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Family
from wingo.oci.reference import Reference
from wingo.stores.reading import MAX_DEPTH
from wingo.stores.registry import RegistryClient
from wingo.testing.images import image_of, layer_of, random_image, random_index
from wingo.testing.registry import Fault, RegistryServer
from wingo.testing.registry_client import make_client


class Memory:
    """A document cache in memory."""

    class Seen(msgspec.Struct):
        descriptor: Descriptor

    def __init__(self) -> None:
        self.documents: dict[Digest, bytes] = {}
        self.tags: dict[str, Memory.Seen] = {}

    def document(self, digest: Digest) -> bytes | None:
        return self.documents.get(digest)

    def keep_document(self, data: bytes) -> Digest:
        digest = sha256_digest(data)
        self.documents[digest] = data
        return digest

    def seen_tag(self, reference: str) -> Seen | None:
        return self.tags.get(reference)

    def keep_tag(self, reference: str, descriptor: Descriptor, now: float) -> None:
        self.tags[reference] = self.Seen(descriptor)


@pytest.fixture
def at(server: RegistryServer) -> Reference:
    return Reference(server.host, "a/b", tag="v1")


def _document(server: RegistryServer, document: object, media_type: str = OCI_MANIFEST) -> Digest:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return server.add_manifest("a/b", data, media_type, "v1")


def _entry(digest: str, size: int, media_type: str) -> Mapping[str, object]:
    return {"mediaType": media_type, "digest": digest, "size": size}


# How many requests


def test_a_tag_whose_documents_are_kept_costs_one_request(server: RegistryServer, at: Reference) -> None:
    index = random_index(1)
    server.add(at, index)
    cache = Memory()
    with make_client(cache=cache) as client:
        client.read(at)
    assert len(server.requests) == 1 + 3 + 3
    server.forget()
    with make_client(cache=cache) as client:
        assert client.read(at).manifest_bytes == index.manifest_bytes
    assert [str(request) for request in server.requests] == ["HEAD /v2/a/b/manifests/v1 200"]


def test_a_digest_whose_documents_are_kept_costs_none(server: RegistryServer, at: Reference) -> None:
    index = random_index(1)
    server.add(at, index)
    cache = Memory()
    with make_client(cache=cache) as client:
        client.read(at.with_digest(index.digest))
        server.forget()
        assert client.read(at.with_digest(index.digest)).digest == index.digest
    assert server.requests == []


def test_a_tag_that_moved_is_read_anew(server: RegistryServer, at: Reference) -> None:
    cache = Memory()
    first, second = random_image(1), random_image(2)
    with make_client(cache=cache) as client:
        server.add(at, first)
        assert client.read(at).digest == first.digest
        server.add(at, second)
        assert client.read(at).digest == second.digest
        server.add(at, first)
        server.forget()
        assert client.read(at).digest == first.digest
        assert [request.method for request in server.requests] == ["HEAD"]
        server.forget()
        assert client.read(at).digest == first.digest
        assert [request.method for request in server.requests] == ["HEAD"]


def test_a_tag_that_has_gone_is_not_read_from_the_cache(server: RegistryServer, at: Reference) -> None:
    with make_client(cache=Memory()) as client:
        server.add(at, random_image(1))
        client.read(at)
        server.repository("a/b").tags.clear()
        with pytest.raises(RemoteError, match="404"):
            client.read(at)


def test_a_damaged_cache_is_healed(server: RegistryServer, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    cache = Memory()
    with make_client(cache=cache) as client:
        client.read(at)
        assert cache.documents
        for digest in cache.documents:
            cache.documents[digest] = b"{}"
        read = client.read(at)
        assert isinstance(read, Image)
        assert (read.manifest_bytes, read.config_bytes) == (image.manifest_bytes, image.config_bytes)
        assert all(sha256_digest(data) == digest for digest, data in cache.documents.items())


def test_the_same_child_twice_is_read_once(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    entry = _entry(image.digest, len(image.manifest_bytes), OCI_MANIFEST)
    _document(server, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] * 100}, OCI_INDEX)
    read = client.read(at)
    assert isinstance(read, Index)
    assert len(read.children) == 100
    assert len(server.requests) == 3


def test_unwanted_children_cost_nothing(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    server.add(at, random_index(1, count=5))
    client.read(at, lambda _entry: False)
    assert len(server.requests) == 1


def test_layers_cost_nothing_until_they_are_opened(
    server: RegistryServer, client: RegistryClient, at: Reference
) -> None:
    image = random_image(1, layers=2)
    server.add(at, image)
    read = client.read(at)
    assert isinstance(read, Image)
    assert len(server.requests) == 2
    with read.layers[1].open() as stream:
        stream.read(1)
    assert len(server.requests) == 3


def test_mirrors_are_read_instead(server: RegistryServer) -> None:
    index = random_index(1)
    server.add("mcr.microsoft.com/windows/nanoserver:ltsc2022", index)
    server.add("x/mirror/windows/nanoserver:ltsc2022", index)
    reference = Reference("mcr.microsoft.com", "windows/nanoserver", tag="ltsc2022")
    with make_client(mirrors={"mcr.microsoft.com": server.host}) as client:
        assert client.read(reference).digest == index.digest
        assert client.resolve(reference) == reference.with_digest(index.digest)
    with make_client(mirrors={"mcr.microsoft.com": f"{server.host}/x/mirror/"}) as client:
        assert client.read(reference).digest == index.digest


# Lies


def test_a_manifest_that_is_another(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    server.fail(Fault(path="/manifests/", flip=True, times=-1))
    with pytest.raises(DigestMismatch, match="the manifest of"):
        client.read(at.with_digest(image.digest))
    with pytest.raises(DigestMismatch):
        client.read(at)  # the registry's header denies its own bytes


def test_a_tag_without_the_header_is_what_its_bytes_are(
    server: RegistryServer, client: RegistryClient, at: Reference
) -> None:
    image = random_image(1)
    server.add(at, image)
    server.fail(Fault(path="/manifests/", without=("docker-content-digest",), times=-1))
    assert client.read(at).digest == image.digest
    head = client.head(at)
    assert head is not None
    assert head == image.descriptor


@pytest.mark.parametrize("header", ["sha256:xyz", "md5:" + "0" * 32, "../../etc/passwd", "sha256:" + "A" * 64])
def test_a_header_that_is_no_digest_is_not_believed(
    server: RegistryServer, client: RegistryClient, at: Reference, header: str
) -> None:
    image = random_image(1)
    server.add(at, image)
    server.fail(Fault(path="/manifests/", headers={"Docker-Content-Digest": header}, times=-1))
    assert client.resolve(at).digest == image.digest
    assert client.read(at).digest == image.digest


def test_a_config_that_is_another(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    server.add(at, random_image(1))
    server.fail(Fault(path="/blobs/", flip=True))
    with pytest.raises(DigestMismatch, match="the config sha256:"):
        client.read(at)


@pytest.mark.parametrize("body", [b"{}", b"x" * 10_000])
def test_a_config_of_another_size(server: RegistryServer, client: RegistryClient, at: Reference, body: bytes) -> None:
    server.add(at, random_image(1))
    server.fail(Fault(path="/blobs/", body=body))
    with pytest.raises(SizeMismatch, match="the config sha256:"):
        client.read(at)


def test_a_child_of_another_size_or_type(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    size = len(image.manifest_bytes)
    for entry, error in (
        (_entry(image.digest, size + 1, OCI_MANIFEST), SizeMismatch),
        (_entry(image.digest, size, OCI_INDEX), Malformed),
        (_entry(image.digest, size, DOCKER_MANIFEST), Malformed),
        (_entry(image.digest, size, "text/html"), Malformed),
        (_entry(image.digest, 5 << 20, OCI_MANIFEST), Malformed),
        (_entry(image.digest, -1, OCI_MANIFEST), Malformed),
        (_entry("sha256:..", 1, OCI_MANIFEST), Malformed),
        (_entry(sha256_digest(b"gone"), 1, OCI_MANIFEST), RemoteError),
    ):
        _document(server, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}, OCI_INDEX)
        with pytest.raises(error):
            client.read(at)


# Documents that are not what they should be


def _manifest(**changes: object) -> dict[str, object]:
    config = _entry(sha256_digest(b"{}"), 2, OCI_CONFIG)
    return {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": [], **changes}


@pytest.mark.parametrize(
    "document, problem",
    [
        (b"", ""),
        (b"<html>", ""),
        (b"null", ""),
        (b"[]", ""),
        (b"\xff\xfe", ""),
        (b"[" * 100_000, ""),
        (b'{"a":' * 50_000, ""),
        (b" " * (5 << 20), "more than the 4194304 bytes"),
        ({}, "schemaVersion"),
        ({"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": []}, "schema 1"),
        (_manifest(schemaVersion="2"), ""),
        (_manifest(manifests=[]), "both an index and an image"),
        (_manifest(layers={}), ""),
        (_manifest(layers=[5]), ""),
        (_manifest(config=5), ""),
        (_manifest(mediaType="text/html"), "unexpected type"),
        (_manifest(layers=[_entry(sha256_digest(b""), 0, "x")] * 1100), "1100 layers"),
        (_manifest(layers=[_entry(sha256_digest(b""), 2**70, "x")]), ""),
        (_manifest(config=_entry(sha256_digest(b""), 100 << 20, OCI_CONFIG)), "more than the 8388608"),
        (_manifest(layers=[_entry(sha256_digest(b""), 0, "x")]), ""),
    ],
)
def test_hostile_manifests(
    server: RegistryServer, client: RegistryClient, at: Reference, document: object, problem: str
) -> None:
    server.add_blob("a/b", b"{}")
    _document(server, document)
    with pytest.raises(Malformed) as caught:
        client.read(at)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_schema_1_by_its_content_type(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    _document(server, {"schemaVersion": 1, "fsLayers": []}, "application/vnd.docker.distribution.manifest.v1+prettyjws")
    with pytest.raises(Malformed, match="schema 1") as caught:
        client.read(at)
    assert caught.value.hint


def test_a_content_type_that_contradicts(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    for media_type in (OCI_INDEX, DOCKER_MANIFEST, DOCKER_MANIFEST + "; charset=utf-8"):
        server.fail(Fault(path="/manifests/v1", headers={"Content-Type": media_type}))
        with pytest.raises(Malformed, match="it says"):
            client.read(at)


@pytest.mark.parametrize(
    "media_type", ["", "application/json", "text/plain; charset=utf-8", OCI_MANIFEST + "; charset=utf-8"]
)
def test_a_content_type_that_says_little(
    server: RegistryServer, client: RegistryClient, at: Reference, media_type: str
) -> None:
    image = random_image(1)
    server.add(at, image)
    server.fail(Fault(path="/manifests/v1", headers={"Content-Type": media_type}))
    read = client.read(at)
    assert (read.digest, read.media_type) == (image.digest, OCI_MANIFEST)


def test_too_deep(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    digest, size, media_type = image.digest, len(image.manifest_bytes), OCI_MANIFEST
    for depth in range(1, MAX_DEPTH + 2):
        data = json.dumps(
            {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_entry(digest, size, media_type)]}
        ).encode()
        digest, size, media_type = server.add_manifest("a/b", data, OCI_INDEX, "v1"), len(data), OCI_INDEX
        if depth <= MAX_DEPTH:
            assert client.read(at).digest == digest
    with pytest.raises(Malformed, match="deep"):
        client.read(at)


def test_too_many_children(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    entries = [_entry(sha256_digest(str(number).encode()), 1, OCI_MANIFEST) for number in range(1025)]
    _document(server, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}, OCI_INDEX)
    with pytest.raises(Malformed, match="1025 manifests"):
        client.read(at)
    assert len(server.requests) == 1


def test_too_many_documents_in_all(
    server: RegistryServer, client: RegistryClient, at: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(at, random_index(1, count=4))
    monkeypatch.setattr("wingo.stores.reading.MAX_DOCUMENTS", 9)
    client.read(at)
    monkeypatch.setattr("wingo.stores.reading.MAX_DOCUMENTS", 8)
    with pytest.raises(Malformed, match="more than 8 manifests and configs"):
        client.read(at)


def test_too_many_bytes_in_all(
    server: RegistryServer, client: RegistryClient, at: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add(at, random_index(1, count=4))
    monkeypatch.setattr("wingo.stores.reading.MAX_TOTAL_BYTES", 1000)
    with pytest.raises(Malformed, match="more than 1000 bytes"):
        client.read(at)


# Errors that say what to do


@pytest.mark.parametrize(
    "status, code, said",
    [
        (401, "UNAUTHORIZED", "wingo login"),
        (403, "DENIED", "wingo login"),
        (404, "NAME_UNKNOWN", "repository"),
        (429, "TOOMANYREQUESTS", "Wait"),
        (500, "UNKNOWN", "Try again later"),
    ],
)
def test_refusals(
    server: RegistryServer, client: RegistryClient, at: Reference, status: int, code: str, said: str
) -> None:
    body = json.dumps({"errors": [{"code": code, "message": "the registry's words", "detail": {"a": []}}]}).encode()
    server.fail(Fault(status=status, body=body, times=-1))
    with pytest.raises(RemoteError) as caught:
        client.read(at)
    text = str(caught.value)
    assert str(status) in text
    assert f"{code}: the registry's words" in text
    assert server.host in text
    assert caught.value.status == status
    assert said in caught.value.hint


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>gateway</html>", b'{"errors": 5}', b'{"errors": [5]}', b"\xff", b"[" * 60_000, b"x" * (1 << 20)],
)
def test_refusals_without_a_document(
    server: RegistryServer, client: RegistryClient, at: Reference, body: bytes
) -> None:
    server.fail(Fault(status=500, body=body, times=-1))
    with pytest.raises(RemoteError, match="500") as caught:
        client.read(at)
    assert len(str(caught.value)) < 300


def test_a_registrys_words_cannot_reach_the_terminal(
    server: RegistryServer, client: RegistryClient, at: Reference
) -> None:
    message = "\x1b[2J\x1b]0;owned\x07\r\nnew line\u202e" + "x" * 100_000
    server.fail(
        Fault(
            status=400,
            body=json.dumps({"errors": [{"code": "\x1b[31m", "message": message[:2000]}] * 10}).encode(),
            times=-1,
        )
    )
    with pytest.raises(RemoteError) as caught:
        client.read(at)
    text = str(caught.value)
    assert text.isprintable()
    assert "owned" in text
    assert len(text) < 2000


def test_near_tags_are_named(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    for tag in ("ltsc2019", "ltsc2022", "ltsc2025", "latest"):
        server.add(at.with_tag(tag), image)
    with pytest.raises(RemoteError) as caught:
        client.read(at.with_tag("ltsc2021"))
    assert "ltsc2022" in caught.value.hint
    assert "latest" not in caught.value.hint
    assert len(server.asked("GET", "tags/list")) == 1


def test_a_tag_list_that_fails_does_not_hide_the_error(
    server: RegistryServer, client: RegistryClient, at: Reference
) -> None:
    server.add(at.with_tag("x"), random_image(1))
    server.fail(Fault(path="tags/list", status=500, times=-1))
    with pytest.raises(RemoteError, match="404"):
        client.read(at)


def test_tags_come_in_pages() -> None:
    with RegistryServer(page=3) as server, make_client() as client:
        image = random_image(1)
        for number in range(10):
            server.add(f"a/b:v{number}", image)
        assert client.tags(Reference(server.host, "a/b")) == tuple(f"v{number}" for number in range(10))
        assert len(server.asked("GET", "tags/list")) == 4


@pytest.mark.parametrize(
    "link",
    ['</v2/a/b/tags/list?n=1000>; rel="next"', '<http://evil.example/>; rel="next"', "<>", "x", '<\\>; rel="next"'],
)
def test_pages_without_end_or_elsewhere(
    server: RegistryServer, client: RegistryClient, at: Reference, link: str
) -> None:
    server.add(at, random_image(1))
    server.fail(Fault(path="tags/list", headers={"Link": link}, times=-1))
    try:
        client.tags(at)
    except WingoError:
        pass
    assert len(server.requests) < 20


# Layers


def _open(client: RegistryClient, at: Reference) -> BinaryIO:
    read = client.read(at)
    assert isinstance(read, Image)
    return read.layers[0].open()


def _layer_path(image: Image) -> str:
    return f"/blobs/{image.layers[0].descriptor.digest}"


def _right(image: Image) -> bytes:
    with image.layers[0].open() as stream:
        return stream.read()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("cuts", [[0], [1], [70_000], [1, 1, 1], [99_999, 0, 0, 5]])
def test_a_cut_layer_goes_on_where_it_was_cut(
    server: RegistryServer, client: RegistryClient, at: Reference, cuts: list[int], chunked: bool
) -> None:
    image = random_image(1, size=100_000)
    server.add(at, image)
    for cut in cuts:
        server.fail(Fault(path=_layer_path(image), cut_after=cut, chunked=chunked))
    with _open(client, at) as stream:
        assert stream.read() == _right(image)
    ranges = [request.headers.get("range", "") for request in server.asked("GET", _layer_path(image))]
    assert len(ranges) == len(cuts) + 1
    assert ranges[-1] == (f"bytes={sum(cuts)}-" if sum(cuts) else "")


def test_a_server_that_does_not_know_ranges(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1, size=100_000)
    server.add(at, image)
    right = _right(image)
    server.fail(Fault(path=_layer_path(image), cut_after=50_000))
    server.fail(Fault(path=_layer_path(image), status=200, body=right))
    with _open(client, at) as stream:
        assert stream.read() == right


def test_a_server_that_sends_another_part(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1, size=100_000)
    server.add(at, image)
    right = _right(image)
    server.fail(Fault(path=_layer_path(image), cut_after=50_000))
    server.fail(
        Fault(
            path=_layer_path(image),
            status=206,
            body=right[49_999:-1],
            headers={"Content-Range": "bytes 49999-1/2"},
            times=-1,
        )
    )
    with _open(client, at) as stream, pytest.raises(RemoteError):
        stream.read()


def test_a_layer_that_is_cut_again_and_again(server: RegistryServer, at: Reference) -> None:
    pauses: list[float] = []
    image = random_image(1, size=100_000)
    server.add(at, image)
    server.fail(Fault(path=_layer_path(image), cut_after=0, times=-1))
    with (
        make_client(pauses=pauses) as client,
        _open(client, at) as stream,
        pytest.raises(RemoteError, match="reading the blob sha256:"),
    ):
        stream.read()
    assert 0 < len(pauses) < 10


@pytest.mark.parametrize("piece", [1000, 1 << 20])
def test_a_layer_that_is_another(server: RegistryServer, client: RegistryClient, at: Reference, piece: int) -> None:
    image = random_image(1, size=100_000)
    server.add(at, image)
    server.fail(Fault(path=_layer_path(image), flip=True))
    pieces: list[bytes] = []
    with _open(client, at) as stream, pytest.raises(DigestMismatch):
        pieces.extend(iter(lambda: stream.read(piece), b""))
    assert sum(map(len, pieces)) < len(_right(image)), "the last bytes must not be given out"


@pytest.mark.parametrize("longer", [-1, 1, 1000])
def test_a_layer_whose_length_is_a_lie(
    server: RegistryServer, client: RegistryClient, at: Reference, longer: int
) -> None:
    image = random_image(1, size=10_000)
    server.add(at, image)
    server.fail(Fault(path=_layer_path(image), longer=longer, times=-1))
    with pytest.raises(SizeMismatch), _open(client, at) as stream:
        stream.read()


@pytest.mark.parametrize("change", [b"", b"x"])
def test_chunked_layers_of_another_size(
    server: RegistryServer, client: RegistryClient, at: Reference, change: bytes
) -> None:
    image = random_image(1, size=10_000)
    server.add(at, image)
    right = _right(image)
    server.fail(Fault(path=_layer_path(image), chunked=True, body=right + change if change else right[:-1]))
    with _open(client, at) as stream, pytest.raises(SizeMismatch):
        stream.read()


def test_reading_in_every_way(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1, size=100_000)
    server.add(at, image)
    right = _right(image)
    with _open(client, at) as stream:
        assert io.BufferedReader(stream).read() == right  # type: ignore[type-var]
    with _open(client, at) as stream:
        buffer = bytearray(1000)
        assert stream.readinto(buffer) == 1000  # type: ignore[attr-defined]
        assert bytes(buffer) + stream.read() == right
        assert stream.read() == stream.read(5) == b""


def test_a_layer_that_is_gone(server: RegistryServer, client: RegistryClient, at: Reference) -> None:
    image = random_image(1)
    server.add(at, image)
    del server.repository("a/b").blobs[image.layers[0].descriptor.digest]
    with pytest.raises(RemoteError, match="404"):
        _open(client, at)


def test_foreign_layers_are_only_fetched_from_elsewhere_when_asked(server: RegistryServer, at: Reference) -> None:
    with RegistryServer() as elsewhere:
        path = "/v2/far/blobs/"
        plain = layer_of([], family=Family.DOCKER)
        with plain.open() as stream:
            digest = elsewhere.add_blob("far", stream.read())
        urls = [f"{elsewhere.url}{path}{sha256_digest(b'gone')}", f"{elsewhere.url}{path}{digest}"]
        foreign = layer_of([], media_type=DOCKER_FOREIGN_LAYER, urls=urls)
        server.add(at, image_of([foreign], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER))
        with make_client() as client, pytest.raises(RemoteError, match="404") as caught:
            _open(client, at)
        assert "kept elsewhere" in caught.value.hint
        assert elsewhere.requests == []
        with make_client(fetch_urls=True) as client, _open(client, at) as theirs, foreign.open() as ours:
            assert theirs.read() == ours.read()
        assert [request.status for request in elsewhere.requests] == [404, 200]


def test_foreign_layers_that_the_registry_has_come_from_it(
    server: RegistryServer, client: RegistryClient, at: Reference
) -> None:
    foreign = layer_of([], media_type=DOCKER_FOREIGN_LAYER, urls=["https://nowhere.example/"])
    server.add(at, image_of([foreign], {"os": "windows", "architecture": "amd64"}, family=Family.DOCKER))
    with foreign.open() as ours:
        server.add_blob("a/b", ours.read())
    with _open(client, at) as theirs, foreign.open() as ours:
        assert theirs.read() == ours.read()


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_a_document_that_is_cut_off_is_asked_for_again(
    server: RegistryServer, client: RegistryClient, at: Reference, path: str
) -> None:
    image = random_image(3)
    server.add("a/b:v1", image)
    server.fail(Fault(path=path, cut_after=20))
    assert client.read(at).digest == image.digest
    server.fail(Fault(path=path, cut_after=20, times=-1))
    with pytest.raises(RemoteError, match="cut"):
        client.read(at)
