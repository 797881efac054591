"""`wingo rebase` on an index in which not every image has a base."""

import json

import pytest

from wingo.cli.main import main
from wingo.image.derive import AddedLayer, ConfigPatch, derive
from wingo.image.model import images_of
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.manifest import decode_index
from wingo.oci.media_types import OCI_INDEX, Family
from wingo.testing.bases import microsoft_catalogue, windows_base
from wingo.testing.images import file_entry, image_of, index_of, layer_of
from wingo.testing.registry import RegistryServer


@pytest.fixture
def registry():
    with RegistryServer() as server:
        yield server


def publish(server, month):
    for name, artifact in microsoft_catalogue(month).items():
        server.add(f"{server.host}/mcr/{name}", artifact)


def windows_image():
    base = windows_base("nanoserver", "ltsc2022")
    layer = AddedLayer(layer_of([file_entry("Files/app/a.exe", b"program")]), History(created_by="a test"))
    annotations = {BASE_NAME: "mcr.microsoft.com/windows/nanoserver:ltsc2022", BASE_DIGEST: base.digest}
    return derive(
        base, [layer], ConfigPatch(created="1970-01-01T00:00:00Z"), family=Family.OCI, annotations=annotations
    )


def linux_image():
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app/a"]}}
    return image_of([layer_of([file_entry("app/a", b"program", mode=0o755)])], config)


def run(server, capsys, *arguments):
    mirrors = f"mcr.microsoft.com={server.host}/mcr"
    status = main(["rebase", f"{server.host}/app:v1", "--mirrors", mirrors, *arguments])
    return status, *capsys.readouterr()


def test_an_image_without_a_base_stays_as_it_is_beside_others(registry, capsys):
    publish(registry, 0)
    windows, linux = windows_image(), linux_image()
    registry.add(f"{registry.host}/app:v1", index_of([windows, linux]))
    publish(registry, 1)
    status, out, err = run(registry, capsys, "--json")
    assert status == 0, err
    assert "linux/amd64 names no base and stays as it is" in json.loads(out)["notes"][0]
    data, media_type = registry.repository("app").manifests[registry.tag("app", "v1")]
    assert media_type == OCI_INDEX
    children = [entry.digest for entry in decode_index(data).manifests]
    assert linux.digest in children
    assert windows.digest not in children
    assert len(children) == 2


def test_an_index_in_which_nothing_names_a_base_is_refused(registry, capsys):
    registry.add(f"{registry.host}/app:v1", index_of([linux_image()]))
    before = registry.tag("app", "v1")
    status, out, err = run(registry, capsys)
    assert (status, out) == (2, "")
    assert "does not say what its base was" in err
    assert registry.tag("app", "v1") == before


def test_on_the_newest_base_nothing_changes(registry, capsys):
    publish(registry, 0)
    index = index_of([windows_image(), linux_image()])
    registry.add(f"{registry.host}/app:v1", index)
    status, out, err = run(registry, capsys)
    assert status == 0, err
    assert out.strip() == f"{registry.host}/app:v1@{index.digest}"
    assert len(list(images_of(index))) == 2
