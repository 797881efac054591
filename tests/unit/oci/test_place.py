"""Places."""

from __future__ import annotations

import pytest

from wingo.errors import RequestError
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.oci.reference import parse_reference

LAYOUT, OCI, DOCKER, FILES = PlaceKind.LAYOUT, PlaceKind.OCI_ARCHIVE, PlaceKind.DOCKER_ARCHIVE, PlaceKind.FILES


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("oci:out", Place(LAYOUT, "out")),
        ("oci:out:v1", Place(LAYOUT, "out", "v1")),
        ("oci:./a/b", Place(LAYOUT, "./a/b")),
        ("oci:/abs/dir:v1", Place(LAYOUT, "/abs/dir", "v1")),
        (r"oci:C:\out", Place(LAYOUT, r"C:\out")),
        (r"oci:C:\out:v1", Place(LAYOUT, r"C:\out", "v1")),
        ("oci:d:/out:v1", Place(LAYOUT, "d:/out", "v1")),
        ("oci:c:v1", Place(LAYOUT, "c", "v1")),
        ("oci-archive:app.tar", Place(OCI, "app.tar")),
        (r"oci-archive:C:\x.tar:v1", Place(OCI, r"C:\x.tar", "v1")),
        ("docker-archive:app.tar", Place(DOCKER, "app.tar")),
        ("docker-archive:app.tar:r.io:5000/team/app:v1", Place(DOCKER, "app.tar", "r.io:5000/team/app:v1")),
        ("files:tree", Place(FILES, "tree")),
        ("files:a:b", Place(FILES, "a:b")),
        (r"files:C:\tree", Place(FILES, r"C:\tree")),
    ],
)
def test_local_places(text, place):
    assert parse_place(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text", ["r.io/app:v1", "localhost:5000/app", "app:v1", "oci", "files", "ocix:v1", "team/oci:v1"]
)
def test_everything_else_is_a_reference(text):
    assert parse_place(text) == Place(PlaceKind.REGISTRY, reference=parse_reference(text))
    assert str(parse_place(text)) == str(parse_reference(text))


def test_the_default_tag_is_for_references():
    assert str(parse_place("r.io/app", default_tag="latest")) == "r.io/app:latest"
    assert parse_place("oci:out", default_tag="latest").tag == ""


@pytest.mark.parametrize("text", ["oci:", "oci::v1", "oci-archive:", "docker-archive::x", "files:"])
def test_a_place_without_a_path_is_refused(text):
    with pytest.raises(RequestError, match=r"names no (path|tag)") as caught:
        parse_place(text)
    assert caught.value.hint.startswith("Write ")


@pytest.mark.parametrize("text", ["oci:out:", r"oci:C:\out:", "docker-archive:x.tar:"])
def test_a_colon_without_a_tag_is_refused(text):
    with pytest.raises(RequestError, match="names no tag") as caught:
        parse_place(text)
    assert text[:-1] in caught.value.hint


@pytest.mark.parametrize("text", ["oci://r.io/app", "docker://r.io/app", "https://r.io/app", "", "Oci:out/x"])
def test_what_is_neither_is_refused(text):
    with pytest.raises(RequestError):
        parse_place(text)
