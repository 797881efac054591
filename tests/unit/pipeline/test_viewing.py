"""Views of images in places: what is read, what is remembered, which layers are the base's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wingo.errors import ContentError, HostError, RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.model import Image, Index
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.place import parse_place
from wingo.pipeline.base_layers import base_of, flavour_of
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.pipeline.viewing import view_of
from wingo.testing.bases import windows_base
from wingo.testing.host import FakeHost
from wingo.testing.images import directory_entry, file_entry, image_of, index_of, layer_of
from wingo.testing.registry import RegistryServer
from wingo.view.listing import VERSION


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with RegistryServer() as started:
        yield started


@pytest.fixture
def places(tmp_path: Path, server: RegistryServer) -> Iterator[Places]:
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"))
    with Places(host, Settings(insecure=(server.host,))) as opened:
        yield opened


def app_on(base: Image, **annotations: str) -> Image:
    entries = [directory_entry("Hives"), directory_entry("Files"), file_entry("Files/app.exe", b"MZ")]
    added = AddedLayer(layer_of(entries), History(created_by="app"))
    return derive(base, [added], ConfigPatch(), annotations=annotations)


def read(server: RegistryServer, places: Places, name: str) -> Image:
    artifact = places.open(parse_place(f"{server.host}/{name}")).read()
    assert isinstance(artifact, Image)
    return artifact


def fetched(server: RegistryServer, image: Image, number: int) -> bool:
    digest = image.layers[number].descriptor.digest
    return any(digest in request.path for request in server.requests if request.method == "GET")


def test_a_base_in_a_registry_is_left_there(server: RegistryServer, places: Places) -> None:
    base = windows_base()
    server.add(f"{server.host}/windows/nanoserver:ltsc2022", base)
    annotations = {BASE_NAME: f"{server.host}/windows/nanoserver:ltsc2022", BASE_DIGEST: base.digest}
    server.add(f"{server.host}/app:v1", app_on(base, **annotations))
    image = read(server, places, "app:v1")
    view = view_of(image, places, base_layers=False)
    assert [node.path for node in view.walk()] == ["app.exe"]
    assert not view.complete
    assert view.layers[0] is None
    assert not fetched(server, image, 0)
    # With the base's layers asked for, they are fetched, and remembered.
    whole = view_of(image, places, base_layers=True)
    assert whole.complete
    assert whole.find("windows/system32/cmd.exe") is not None
    assert fetched(server, image, 0)
    assert view_of(image, places, base_layers=False).complete


def test_a_listing_is_remembered(server: RegistryServer, places: Places) -> None:
    server.add(f"{server.host}/app:v1", app_on(windows_base()))
    image = read(server, places, "app:v1")
    first = view_of(image, places, base_layers=True)
    server.requests.clear()
    second = view_of(image, places, base_layers=True)
    assert [*second.walk()] == [*first.walk()]
    assert not [request for request in server.requests if "/blobs/" in request.path]


def test_a_damaged_listing_is_made_again(server: RegistryServer, places: Places) -> None:
    server.add(f"{server.host}/app:v1", app_on(windows_base()))
    image = read(server, places, "app:v1")
    first = view_of(image, places, base_layers=True)
    for file in (Path(places.cache.root) / "records" / "listings").iterdir():
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    assert [*view_of(image, places, base_layers=True).walk()] == [*first.walk()]
    assert places.healed == 2


def test_a_listing_that_somebody_else_put_there(server: RegistryServer, places: Places) -> None:
    server.add(f"{server.host}/app:v1", app_on(windows_base()))
    image = read(server, places, "app:v1")
    first = view_of(image, places, base_layers=True)
    for file in (Path(places.cache.root) / "records" / "listings").iterdir():
        places.cache.keep_record("listings", file.name, b"nonsense")
    assert [*view_of(image, places, base_layers=True).walk()] == [*first.walk()]


def test_a_cache_that_cannot_be_written(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise HostError("cannot write the cache")

    monkeypatch.setattr(places.cache, "keep_record", refuse)
    view = view_of(app_on(windows_base()), places, base_layers=True)
    assert view.find("app.exe") is not None


def test_a_damaged_layer(places: Places) -> None:
    layer = layer_of([file_entry("a", b"x")])
    other = layer_of([file_entry("b", b"x")])
    image = image_of([msgspec.structs.replace(layer, open=other.open)], {"os": "linux"})
    with pytest.raises(ContentError):
        view_of(image, places, base_layers=True)


def test_a_thin_layout(tmp_path: Path, places: Places) -> None:
    base = windows_base()
    image = app_on(base)
    target = parse_place(f"oci:{tmp_path / 'out'}:v1")
    places.write(image, [target], "v1")
    whole = places.open(target).read()
    assert isinstance(whole, Image)
    assert view_of(whole, places, base_layers=False).complete
    places.cache.forget_record("listings", f"{VERSION}-windows-{base.layers[0].diff_id[7:]}")
    places.write(
        image,
        [target := parse_place(f"oci:{tmp_path / 'thin'}:v1")],
        "v1",
        leave_out={base.layers[0].descriptor.digest},
    )
    thin = places.open(target).read()
    assert isinstance(thin, Image)
    assert base_of(thin, places).how == "history"
    assert not view_of(thin, places, base_layers=False).complete
    with pytest.raises(RequestError, match="was written without the layer"):
        view_of(thin, places, base_layers=True)


def test_too_many_names(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = [layer_of([file_entry(f"{number}-{name}") for name in range(30)]) for number in range(3)]
    image = image_of(layers, {"os": "linux"})
    assert len(list(view_of(image, places, base_layers=True).walk())) == 90
    monkeypatch.setattr("wingo.pipeline.viewing.MAX_NODES", 80)
    with pytest.raises(ContentError, match="more than 80 names"):
        view_of(image, places, base_layers=True)


# Bases


def test_the_base_that_an_image_names(server: RegistryServer, places: Places) -> None:
    base = windows_base("servercore")
    name = f"{server.host}/mirror/windows/servercore:ltsc2022"
    server.add(name, base)
    found = base_of(app_on(base, **{BASE_NAME: name, BASE_DIGEST: base.digest}), places)
    assert (found.count, found.how, found.name, found.flavour) == (2, "annotation", name, "servercore")
    assert found.digest == base.digest
    assert found.created == base.config.created
    assert found.problem == ""


def test_a_base_named_by_its_index(server: RegistryServer, places: Places) -> None:
    base = windows_base()
    index = index_of([windows_base(release="ltsc2025"), base])
    assert isinstance(index, Index)
    name = f"{server.host}/windows/nanoserver:all"
    server.add(name, index)
    found = base_of(app_on(base, **{BASE_NAME: name, BASE_DIGEST: index.digest}), places)
    assert (found.count, found.how, found.digest) == (1, "annotation", base.digest)


def test_an_image_that_names_a_base_that_it_does_not_stand_on(server: RegistryServer, places: Places) -> None:
    name = f"{server.host}/windows/nanoserver:ltsc2025"
    other = windows_base(release="ltsc2025")
    server.add(name, other)
    found = base_of(app_on(windows_base(), **{BASE_NAME: name, BASE_DIGEST: other.digest}), places)
    assert (found.count, found.how) == (1, "history")
    assert "does not begin with the layers" in found.problem


def test_a_base_that_cannot_be_read(server: RegistryServer, places: Places) -> None:
    annotations = {BASE_NAME: f"{server.host}/gone:v1", BASE_DIGEST: windows_base().digest}
    found = base_of(app_on(windows_base(), **annotations), places)
    assert (found.count, found.how) == (1, "history")
    assert "cannot be read" in found.problem


def test_a_base_in_the_cache(server: RegistryServer, places: Places) -> None:
    base = windows_base()
    server.add(f"{server.host}/windows/nanoserver:ltsc2022", base)
    read(server, places, "windows/nanoserver:ltsc2022")
    found = base_of(app_on(base), places)
    assert (found.count, found.how, found.flavour) == (1, "cache", "nanoserver")
    assert base_of(base, places).how == "history"


def test_a_sibling_in_the_cache_is_no_base(server: RegistryServer, places: Places) -> None:
    layer = layer_of([file_entry("app")])
    images = [image_of([layer], {"os": "linux", "architecture": name}) for name in ("amd64", "arm64")]
    server.add(f"{server.host}/app:v1", index_of(images))
    places.open(parse_place(f"{server.host}/app:v1")).read()
    assert base_of(images[0], places).count == 0
    taller = image_of([layer, layer_of([file_entry("more")])], {"os": "linux", "architecture": "amd64"})
    assert base_of(taller, places).digest == images[0].digest


def test_microsofts_history(places: Places) -> None:
    assert base_of(app_on(windows_base("servercore")), places).count == 2
    own = image_of([layer_of([file_entry("f")])], {"os": "windows", "history": [{"created_by": "mine"}]})
    assert base_of(own, places).count == 0


def test_flavours() -> None:
    assert flavour_of("mcr.microsoft.com/windows/nanoserver:ltsc2022") == "nanoserver"
    assert flavour_of("registry.example/mirror/windows/servercore:x") == "servercore"
    assert flavour_of("registry.example/notwindows/server:x") == ""
    assert flavour_of("not a reference at all") == ""
    assert flavour_of("") == ""
