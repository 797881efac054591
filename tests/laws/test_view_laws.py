"""Laws of the merged view: it is what a naive model of the specification says, for any stack of layers."""

from __future__ import annotations

import io
import tarfile

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.archive.unpack import MemberKind
from wingo.oci.digest import Digest
from wingo.testing.images import image_of, layer_of_tar
from wingo.view.layer import LayerFiles, Node, read_layer
from wingo.view.listing import decode_listing, encode_listing
from wingo.view.merged import View, make_view
from wingo.view.names import clean

calmly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.sampled_from(["a", "b", "c", "D"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
KINDS = st.sampled_from(["file", "directory", "whiteout", "opaque", "hardlink"])
LAYERS = st.lists(st.tuples(PATHS, KINDS, st.integers(0, 99), PATHS), max_size=8)


def tar_of(items: list[tuple[str, str, int, str]], prefix: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, kind, number, target in items:
            above, slash, name = path.rpartition("/")
            info = tarfile.TarInfo(prefix + path)
            if kind == "file":
                info.size = 2
                tar.addfile(info, io.BytesIO(b"%02d" % number))
                continue
            if kind == "directory":
                info.type = tarfile.DIRTYPE
            elif kind == "whiteout":
                info.name = f"{prefix}{above}{slash}.wh.{name}"
            elif kind == "opaque":
                info.name = f"{prefix}{path}/.wh..wh..opq"
            else:
                info.type, info.linkname = tarfile.LNKTYPE, prefix + target
            tar.addfile(info)
    return buffer.getvalue()


Model = dict[tuple[str, ...], "bytes | None"]
"""A tree: None for a directory, else the content."""


def remove(model: Model, path: tuple[str, ...]) -> None:
    for other in [other for other in model if other[: len(path)] == path]:
        del model[other]


def stacked(layers: list[list[tuple[str, str, int, str]]], *, windows: bool = False) -> Model:
    """The specification, word for word and without a thought for speed."""
    model: Model = {}
    for items in layers:
        steps = [False, True] if windows else [True, False]
        for removing in steps:
            for path, kind, number, target in items:
                parts = key(path, windows=windows)
                if removing:
                    if kind == "opaque" and not windows:
                        for other in [other for other in model if other[: len(parts)] == parts and other != parts]:
                            del model[other]
                    elif kind == "whiteout":
                        remove(model, parts)
                elif kind in ("file", "directory", "hardlink"):
                    add(model, parts, kind, number, key(target, windows=windows))
    return model


def key(path: str, *, windows: bool) -> tuple[str, ...]:
    return tuple((path.upper() if windows else path).split("/"))


def add(model: Model, parts: tuple[str, ...], kind: str, number: int, target: tuple[str, ...]) -> None:
    for depth in range(1, len(parts)):
        if model.get(parts[:depth], b"") is not None:
            remove(model, parts[:depth])
            model[parts[:depth]] = None
    if kind == "directory":
        if model.get(parts, b"") is not None:
            remove(model, parts)
            model[parts] = None
        return
    content: bytes | None = b"%02d" % number
    if kind == "hardlink":
        if target == parts and parts in model:
            return
        content = model.get(target)
        if content is None or target == parts:
            content = b"dangling"
    remove(model, parts)
    model[parts] = content


def view_of(layers: list[list[tuple[str, str, int, str]]], os: str) -> View:
    made = [layer_of_tar(tar_of(items, "Files/" if os == "windows" else ""), compression="none") for items in layers]
    image = image_of(made, {"os": os})
    return make_view(image, [read_layer(layer, number, os) for number, layer in enumerate(image.layers)])


def as_model(view: View, *, windows: bool = False) -> Model:
    model: Model = {}
    for node in view.walk():
        parts = key(node.path, windows=windows)
        if node.kind is MemberKind.DIRECTORY:
            model[parts] = None
        elif node.kind is MemberKind.HARDLINK:
            model[parts] = b"dangling"
        else:
            model[parts] = view.read(node, 10)
    return model


@calmly
@given(st.lists(LAYERS, max_size=4))
def test_linux_is_the_model(layers: list[list[tuple[str, str, int, str]]]) -> None:
    assert as_model(view_of(layers, "linux")) == stacked(layers)


@calmly
@given(st.lists(LAYERS, max_size=4))
def test_windows_is_the_model(layers: list[list[tuple[str, str, int, str]]]) -> None:
    assert as_model(view_of(layers, "windows"), windows=True) == stacked(layers, windows=True)


@calmly
@given(st.lists(LAYERS, max_size=4), st.sampled_from(["linux", "windows"]))
def test_every_walked_name_is_found(layers: list[list[tuple[str, str, int, str]]], os: str) -> None:
    view = view_of(layers, os)
    for node in view.walk():
        assert view.find(node.path) is node
        assert node in view.children(node.path.rpartition("/")[0])
        if os == "windows":
            assert view.find("C:\\" + node.path.upper().replace("/", "\\")) is node


@calmly
@given(LAYERS, st.sampled_from(["linux", "windows"]))
def test_a_listing_comes_back(items: list[tuple[str, str, int, str]], os: str) -> None:
    files = read_layer(layer_of_tar(tar_of(items), compression="none"), 2, os)
    data = encode_listing(files)
    assert data is not None
    assert decode_listing(data, files.diff_id, os, 2) == files


TEXTS = st.text("ab./\\:C\0", max_size=12)


@calmly
@given(TEXTS)
def test_a_clean_name_stays_inside(name: str) -> None:
    path, _ = clean(name)
    assert not path.startswith("/")
    assert path == "" or not {"", ".", ".."} & set(path.split("/"))
    assert clean(path) == (path, False)


@calmly
@given(st.dictionaries(PATHS, TEXTS, max_size=6), TEXTS, st.sampled_from(["linux", "windows"]))
def test_links_to_anywhere_end(links: dict[str, str], asked: str, os: str) -> None:
    nodes = [Node(path, MemberKind.SYMLINK, link_target=target, offset=0) for path, target in links.items()]
    image = image_of([layer_of_tar(b"")], {"os": os})
    view = make_view(image, [LayerFiles(Digest(""), os, tuple(nodes))])
    view.find(asked)
    for node in view.walk():
        view.find(node.path)
