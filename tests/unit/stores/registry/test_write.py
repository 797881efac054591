"""Writing: the order, the number of requests, what is shared, what goes wrong on the way."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

import msgspec
import pytest

from wingo.errors import DigestMismatch, HostError, RemoteError, RequestError, SizeMismatch
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.model import Image, Index, images_of
from wingo.oci.config import History
from wingo.oci.reference import Reference
from wingo.stores.parallel import each
from wingo.stores.registry import RegistryClient, Shipment
from wingo.stores.registry.upload import Pieces
from wingo.testing.images import index_of, random_image, random_index, random_layer
from wingo.testing.registry import Fault, RegistryServer
from wingo.testing.registry_client import make_client

SMALL = Pieces(at_once=1000)


@pytest.fixture
def to(server: RegistryServer) -> Reference:
    return Reference(server.host, "a/b", tag="v1")


def _whole(server: RegistryServer, path: str, artifact: Image | Index) -> None:
    """Asserts that a repository has every byte of an artifact."""
    for image in images_of(artifact):
        assert server.blob(path, image.manifest.config.digest) == image.config_bytes
        for layer in image.layers:
            with layer.open() as stream:
                assert server.blob(path, layer.descriptor.digest) == stream.read()
        assert image.digest in server.repository(path).manifests
    assert server.repository(path).manifests[artifact.digest] == (artifact.manifest_bytes, artifact.media_type)


# Order and number of requests


def test_everything_is_there_before_what_names_it(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    index = random_index(1, count=3, depth=1)
    client.write([Shipment(to, index, ("latest",))])
    puts = [request.path for request in server.asked("PUT")]
    blobs = [at for at, path in enumerate(puts) if "/blobs/" in path]
    manifests = [at for at, path in enumerate(puts) if "/manifests/" in path]
    assert max(blobs) < min(manifests)
    assert puts[-2:] == ["/v2/a/b/manifests/v1", "/v2/a/b/manifests/latest"]
    assert all("/manifests/sha256:" in puts[at] for at in manifests[:-2])
    assert server.tag("a/b", "v1") == server.tag("a/b", "latest") == index.digest
    _whole(server, "a/b", index)


def test_a_tag_that_is_right_costs_one_request(server: RegistryServer, to: Reference) -> None:
    index = random_index(1)
    server.add(to, index)
    with make_client() as client:
        assert client.write([Shipment(to, index)]) == [index.descriptor]
    assert [str(request) for request in server.requests] == ["HEAD /v2/a/b/manifests/v1 200"]


def test_a_new_tag_for_what_is_there_costs_three(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    index = random_index(1)
    server.add(to, index)
    client.write([Shipment(to.with_tag("v2"), index)])
    assert [request.method for request in server.requests] == ["HEAD", "HEAD", "PUT"]
    assert server.tag("a/b", "v2") == index.digest


def test_blobs_that_are_there_are_not_sent(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    base = random_image(1, size=100_000)
    server.add(to, base)
    derived = derive(base, [AddedLayer(random_layer(5), History())], ConfigPatch())
    client.write([Shipment(to.with_tag("v2"), derived)])
    assert len(server.asked("POST")) == 2
    assert not server.asked("POST", "mount=")
    _whole(server, "a/b", derived)


def test_a_layer_shared_by_the_children_is_sent_once(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    shared = AddedLayer(random_layer(5, size=50_000), History())
    bases = list(images_of(random_index(1, count=4)))
    index = index_of([derive(base, [shared], ConfigPatch()) for base in bases])
    client.write([Shipment(to, index)])
    digest = shared.layer.descriptor.digest
    assert len(server.asked("HEAD", str(digest))) == 1
    assert len([request for request in server.asked("PUT") if digest.partition(":")[2] in request.path]) == 1
    _whole(server, "a/b", index)


def test_nothing_is_asked_twice_in_one_process(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    image = random_image(1)
    client.write([Shipment(to, image)])
    server.forget()
    more = derive(image, [AddedLayer(random_layer(9), History())], ConfigPatch())
    client.write([Shipment(to, more)])
    assert not server.asked("HEAD", str(image.layers[0].descriptor.digest))


def test_what_was_seen_and_has_gone_is_sent_after_all(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    image = random_image(1)
    client.write([Shipment(to, image)])
    repository = server.repository("a/b")
    repository.blobs.clear()
    repository.manifests.clear()
    repository.tags.clear()
    client.write([Shipment(to, image)])
    _whole(server, "a/b", image)


def test_a_digest_that_is_not_the_artifacts_is_refused(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    first, second = random_image(1), random_image(2)
    with pytest.raises(RequestError, match="names another digest"):
        client.write([Shipment(to.with_digest(first.digest), second)])
    assert server.requests == []
    client.write([Shipment(to.with_digest(second.digest), second)])
    _whole(server, "a/b", second)


def test_the_same_thing_twice_in_one_call(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    image = random_image(1, size=50_000)
    client.write([Shipment(to, image), Shipment(to.with_tag("v2"), image), Shipment(to, image)])
    assert len(server.asked("POST")) == 2
    assert len(server.asked("PUT", "/manifests/")) == 2
    assert server.tag("a/b", "v1") == server.tag("a/b", "v2") == image.digest


def test_children_that_two_indexes_share_are_written_once(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    shared, first, second = random_image(1), random_image(2), random_image(3)
    indexes = [index_of([shared, first]), index_of([shared, second])]
    client.write([Shipment(to.with_tag(f"v{at}"), index) for at, index in enumerate(indexes)])
    assert len(server.asked("PUT", f"/manifests/{shared.digest}")) == 1
    for index in indexes:
        _whole(server, "a/b", index)


# Several at once


def test_repositories_share_a_blob_by_mounting_it(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    image = random_image(1, size=50_000)
    digest = image.layers[0].descriptor.digest
    client.write([Shipment(Reference(server.host, name, tag="v1"), image) for name in ("p/a", "p/b", "p/c")])
    assert len([request for request in server.asked("PUT", "/blobs/") if digest.partition(":")[2] in request.path]) == 1
    assert len(server.asked("POST", "mount=sha256%3A" + digest.partition(":")[2])) == 2
    for name in ("p/a", "p/b", "p/c"):
        _whole(server, name, image)


def test_registries_do_not_share(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    image = random_image(1)
    with RegistryServer() as other:
        client.write([Shipment(to, image), Shipment(Reference(other.host, "a/b", tag="v1"), image)])
        _whole(server, "a/b", image)
        _whole(other, "a/b", image)
        assert not server.asked("POST", "mount=")
        assert not other.asked("POST", "mount=")


# Mounting


def _based(client: RegistryClient, server: RegistryServer) -> tuple[Image, Image]:
    base = random_image(1, size=50_000)
    server.add("base/os:v1", base)
    read = client.read(Reference(server.host, "base/os", tag="v1"))
    assert isinstance(read, Image)
    server.forget()
    return base, derive(read, [AddedLayer(random_layer(5), History())], ConfigPatch())


def test_base_layers_are_mounted_and_not_fetched(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    base, derived = _based(client, server)
    client.write([Shipment(to, derived)])
    assert [request.status for request in server.asked("POST", "mount=.*&from=base%2Fos")] == [201]
    assert not server.asked("GET", str(base.layers[0].descriptor.digest))
    _whole(server, "a/b", derived)


def test_a_mount_that_is_not_done_goes_on_as_an_upload(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    base, derived = _based(client, server)
    server.mounts = False
    client.write([Shipment(to, derived)])
    assert [request.status for request in server.asked("POST", "mount=")] == [202]
    assert len(server.asked("POST")) == 3
    assert len(server.asked("GET", str(base.layers[0].descriptor.digest))) == 1
    _whole(server, "a/b", derived)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_mount_that_is_refused_is_an_upload(
    server: RegistryServer, client: RegistryClient, to: Reference, status: int
) -> None:
    _, derived = _based(client, server)
    server.fail(Fault(method="POST", path="mount=", status=status, times=-1))
    client.write([Shipment(to, derived)])
    _whole(server, "a/b", derived)


def test_layers_go_from_one_registry_to_another_as_a_stream(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    with RegistryServer() as source:
        image = random_image(1, size=200_000)
        source.add("x:v1", image)
        source.fail(
            Fault(path="/blobs/sha256:" + image.layers[0].descriptor.digest.partition(":")[2], cut_after=100_000)
        )
        client.write([Shipment(to, client.read(Reference(source.host, "x", tag="v1")))])
        assert not server.asked("POST", "mount=")
    _whole(server, "a/b", image)


# Uploads that fail on the way


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="POST", status=503),
        Fault(method="POST", status=429, headers={"Retry-After": "1"}),
        Fault(method="PUT", path="/blobs/", status=502),
        Fault(method="PUT", path="/blobs/", hang_up=True),
        Fault(method="PUT", path="/blobs/", hang_up=True, early=True),
        Fault(method="PUT", path="/blobs/", cut_upload_after=5_000),
        Fault(method="PUT", path="/blobs/", status=404),
        Fault(method="PUT", path="/manifests/", status=503),
        Fault(method="PUT", path="/manifests/", hang_up=True),
        Fault(method="HEAD", status=503),
        Fault(method="HEAD", hang_up=True),
    ],
    ids=lambda fault: (
        f"{fault.method}{fault.path} {fault.status or 'cut'}{' early' if fault.early else ''}{fault.cut_upload_after}"
    ),
)
@pytest.mark.parametrize("after", [0, 1])
def test_a_push_survives(
    server: RegistryServer, client: RegistryClient, to: Reference, fault: Fault, after: int
) -> None:
    index = random_index(1, count=2, size=100_000)
    server.fail(msgspec.structs.replace(fault, after=after))
    client.write([Shipment(to, index)])
    _whole(server, "a/b", index)
    assert server.tag("a/b", "v1") == index.digest


@pytest.mark.parametrize("pieces", [Pieces(), SMALL])
def test_an_upload_waits_as_long_as_it_is_asked_to(server: RegistryServer, to: Reference, pieces: Pieces) -> None:
    pauses: list[float] = []
    for method in ("PUT", "PATCH"):
        server.fail(Fault(method=method, path="/blobs/", status=429, headers={"Retry-After": "7"}))
    server.fail(Fault(method="PUT", path="/manifests/", status=503, headers={"Retry-After": "9"}))
    image = random_image(1, size=100_000)
    with make_client(pauses=pauses, pieces=pieces) as client:
        client.write([Shipment(to, image)])
    assert pauses.count(7.0) == (2 if pieces is SMALL else 1)
    assert pauses.count(10.0) == 1
    _whole(server, "a/b", image)


def test_tags_that_are_none_are_refused_before_anything_is_asked(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    with pytest.raises(RequestError, match="is not a tag"):
        client.write([Shipment(to, random_image(1), ("../../x",))])
    assert server.requests == []


def test_an_answer_that_was_lost_is_not_a_blob_that_was_lost(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    """The registry has the blob and its answer is cut: it is found there, and not sent again."""
    image = random_image(1, size=100_000)
    server.fail(Fault(method="PUT", path="/blobs/", cut_after=0, headers={"Content-Length": "5"}, times=1))
    client.write([Shipment(to, image)])
    _whole(server, "a/b", image)


@pytest.mark.parametrize("piece", [0, 30_000])
@pytest.mark.parametrize("cuts", [[0], [1], [10_000], [20_000, 20_000, 5]])
def test_a_piece_that_is_cut_goes_on_where_it_was_cut(
    server: RegistryServer, to: Reference, cuts: list[int], piece: int
) -> None:
    image = random_image(1, size=100_000)
    for cut in cuts:
        server.fail(Fault(method="PATCH", cut_upload_after=cut))
    with make_client(pieces=Pieces(1000, piece)) as client:
        client.write([Shipment(to, image)])
    _whole(server, "a/b", image)
    assert len(server.asked("GET", "/uploads/")) == len(cuts)
    # After one byte the registry says "0-0", which may be none: that session is given up.
    assert len({request.path for request in server.asked("PATCH")}) == (2 if cuts == [1] else 1)
    ranges = [request.headers.get("content-range", "") for request in server.asked("PATCH")]
    if piece == 0 and cuts != [1]:
        assert ranges[0] == ""
        assert ranges[-1].startswith(f"{sum(max(cut, 1) for cut in cuts)}-") or cuts == [0]


def test_a_session_that_is_lost_is_begun_anew(server: RegistryServer, to: Reference) -> None:
    image = random_image(1, size=100_000)
    server.fail(Fault(method="PATCH", cut_upload_after=50_000))
    server.fail(Fault(method="GET", path="/uploads/", status=404))
    with make_client(pieces=SMALL) as client:
        client.write([Shipment(to, image)])
    _whole(server, "a/b", image)


def test_a_registry_that_lost_bytes(server: RegistryServer, to: Reference) -> None:
    """416: the registry has less than we believe; it is asked how much."""
    image = random_image(1, size=100_000)
    server.fail(Fault(method="PATCH", status=202, headers={"Range": "0-29999", "Location": "/lost"}))
    with make_client(pieces=Pieces(1000, 30_000)) as client:
        client.write([Shipment(to, image)])
    _whole(server, "a/b", image)


def test_a_registry_that_finds_blobs_too_large_gets_them_in_pieces(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    layer = random_layer(1, size=9 << 20, compression="none")
    image = derive(None, [AddedLayer(layer, History())], ConfigPatch(os="linux", architecture="amd64"))
    server.fail(Fault(method="PUT", path=layer.descriptor.digest.partition(":")[2], status=413))
    client.write([Shipment(to, image)])
    assert len(server.asked("PATCH")) == 2
    _whole(server, "a/b", image)


def test_the_least_size_of_pieces_is_kept(to: Reference) -> None:
    with RegistryServer(least_chunk=40_000) as server, make_client(pieces=Pieces(1000, 10)) as client:
        image = random_image(1, size=100_000)
        client.write([Shipment(Reference(server.host, "a/b", tag="v1"), image)])
        assert len(server.asked("PATCH")) == 3
        _whole(server, "a/b", image)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(method="PUT", path="/blobs/", status=500, times=-1),
        Fault(method="PUT", path="/blobs/", hang_up=True, times=-1),
        Fault(method="POST", status=403, times=-1),
        Fault(method="POST", status=202, times=-1),
        Fault(method="POST", status=202, headers={"Location": "file:///etc"}, times=-1),
        Fault(method="PUT", path="/manifests/sha256", status=400, times=-1),
        Fault(method="PUT", path="/manifests/sha256", status=429, headers={"Retry-After": "9999"}, times=-1),
        Fault(method="HEAD", path="/blobs/", status=401, times=-1),
    ],
    ids=lambda fault: f"{fault.method}{fault.path} {fault.status or 'cut'}",
)
def test_a_push_that_fails_leaves_no_tag(
    server: RegistryServer, client: RegistryClient, to: Reference, fault: Fault
) -> None:
    index = random_index(1, count=2)
    server.fail(fault)
    with pytest.raises(RemoteError) as caught:
        client.write([Shipment(to, index)])
    assert server.host in str(caught.value)
    assert server.tag("a/b", "v1") is None
    server.heal()
    client.write([Shipment(to, index)])
    _whole(server, "a/b", index)


def test_a_registry_that_stores_something_else(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    server.fail(Fault(method="PUT", path="/manifests/", headers={"Docker-Content-Digest": "sha256:" + "0" * 64}))
    with pytest.raises(DigestMismatch, match="as written"):
        client.write([Shipment(to, random_image(1))])


def test_bytes_that_cannot_be_read_are_our_problem(
    server: RegistryServer, client: RegistryClient, to: Reference
) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    image = random_image(1)
    broken = msgspec.structs.replace(image, layers=(msgspec.structs.replace(image.layers[0], open=Broken),))
    with pytest.raises(HostError, match="cannot be read: Input/output error"):
        client.write([Shipment(to, broken)])
    assert server.tag("a/b", "v1") is None


def test_a_layer_that_is_too_short(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    image = random_image(1)
    short = msgspec.structs.replace(
        image, layers=(msgspec.structs.replace(image.layers[0], open=lambda: io.BytesIO(b"x")),)
    )
    with pytest.raises(SizeMismatch):
        client.write([Shipment(to, short)])
    assert len(server.asked("PUT", "/blobs/")) <= 2


class Recorder:
    """Progress that remembers."""

    def __init__(self) -> None:
        self.tasks: list[Recorder] = []
        self.what, self.total, self.advanced, self.notes = "", 0, 0, [""]
        self.lock = threading.Lock()

    def start(self, what: str, total: int | None = None) -> Recorder:
        task = Recorder()
        task.what, task.total, task.notes = what, total or 0, []
        with self.lock:
            self.tasks.append(task)
        return task

    def note(self, text: str) -> None:
        pass

    def advance(self, count: int) -> None:
        self.advanced += count

    def done(self, note: str = "") -> None:
        self.notes.append(note)


def test_progress_is_told(server: RegistryServer, client: RegistryClient, to: Reference) -> None:
    base = random_image(1, size=100_000)
    server.add("base/os:v1", base)
    server.add("a/b:old", random_image(2, size=100_000))
    read = client.read(Reference(server.host, "base/os", tag="v1"))
    assert isinstance(read, Image)
    there = random_image(2, size=100_000).layers[0]
    sent = random_layer(77, size=100_000)
    derived = derive(read, [AddedLayer(there, History()), AddedLayer(sent, History())], ConfigPatch())
    progress = Recorder()
    client.write([Shipment(to, derived)], progress=progress)
    notes = {task.what.split()[1]: (task.notes, task.advanced, task.total) for task in progress.tasks}
    size = sent.descriptor.size
    assert notes[sent.descriptor.digest[:19]] == ([""], size, size)
    assert notes[there.descriptor.digest[:19]] == (["already there"], 0, there.descriptor.size)
    assert notes[base.layers[0].descriptor.digest[:19]][0] == ["mounted from base/os"]


# Threads


def test_each_keeps_the_order() -> None:
    assert each(4, lambda item: item * 2, range(100)) == list(range(0, 200, 2))
    assert each(4, str, []) == []
    assert each(1, str, [1, 2]) == ["1", "2"]


def test_each_runs_no_more_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()
    three = threading.Barrier(3)

    def work(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        three.wait(5)
        with lock:
            running -= 1

    each(3, work, range(9))
    assert most == 3


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_each_raises_the_first_error_and_stops(error: type[BaseException]) -> None:
    seen: list[int] = []

    def work(item: int) -> None:
        seen.append(item)
        if item == 3:
            raise error

    with pytest.raises(error):
        each(2, work, range(1000))
    assert len(seen) < 1000


def test_an_interrupt_in_the_main_thread_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wingo.stores.parallel._JOIN_SECONDS", 0.05)
    release = threading.Event()
    joined: list[float | None] = []
    real: Callable[..., None] = threading.Thread.join

    def join(self: threading.Thread, timeout: float | None = None) -> None:
        joined.append(timeout)
        real(self, timeout)

    def wait(self: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread() is threading.main_thread():
            waits.append(timeout)
            if len(waits) > 2:  # the first two wait for the threads to start
                raise KeyboardInterrupt
        return waiting(self, timeout)

    waits: list[float | None] = []
    waiting = threading.Event.wait
    monkeypatch.setattr(threading.Thread, "join", join)
    monkeypatch.setattr(threading.Event, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        each(2, lambda _item: release.wait(10), range(10))
    release.set()
    assert joined == [0.025, 0.025]
