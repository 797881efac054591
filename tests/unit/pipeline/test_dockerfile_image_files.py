"""Single files out of large Windows images."""

from __future__ import annotations

import io
import random
from pathlib import Path

import msgspec
import pytest

from wingo.archive.entry import Entry, EntryKind
from wingo.errors import ContentError
from wingo.image.model import Image
from wingo.pipeline.dockerfile_files import DIRECTORY, Found, follow
from wingo.pipeline.dockerfile_image_files import ImageFiles, image_tree
from wingo.pipeline.dockerfile_stages import ViewTree
from wingo.pipeline.places import Places
from wingo.pipeline.settings import Settings
from wingo.testing.bases import static_base
from wingo.testing.host import FakeHost
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of

DLL = "Windows/System32/netapi32.dll"
CONFIG = {"os": "windows", "architecture": "amd64"}
TREE = [directory_entry(name) for name in ("Files", "Files/Windows", "Files/Windows/System32", "Files/Windows/WinSxS")]


class Counting(io.RawIOBase):
    def __init__(self, stream, counted: Counted, number: int) -> None:
        self.stream, self.counted, self.number = stream, counted, number

    def read(self, size: int = -1) -> bytes:
        data: bytes = self.stream.read(size)
        self.counted.bytes[self.number] += len(data)
        return data

    def close(self) -> None:
        self.stream.close()
        super().close()


class Counted:
    """An image that counts how often each layer is opened, and how many of its bytes are read."""

    def __init__(self, *layers: list[Entry]) -> None:
        plain = image_of([layer_of(entries) for entries in layers], CONFIG)
        self.opened, self.bytes = [0] * len(layers), [0] * len(layers)
        self.image: Image = msgspec.structs.replace(
            plain, layers=tuple(self._counted(number, layer) for number, layer in enumerate(plain.layers))
        )

    def _counted(self, number, layer):
        def open_layer():
            self.opened[number] += 1
            return Counting(layer.open(), self, number)

        return msgspec.structs.replace(layer, open=open_layer)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(FakeHost(str(tmp_path), str(tmp_path / "cache"), {}), Settings())


def content(found: Found | None) -> bytes:
    assert found is not None
    assert found.content is not None
    with found.content.open() as stream:
        return stream.read()


def test_only_the_layers_down_to_the_file_are_read(places: Places) -> None:
    counted = Counted([*TREE, file_entry(f"Files/{DLL}", b"old")], [*TREE, file_entry(f"Files/{DLL}", b"new")])
    tree = ImageFiles(counted.image, places)
    assert content(follow(tree, DLL)) == b"new"
    assert content(tree.find("windows/SYSTEM32/NetApi32.dll")) == b"new"
    assert counted.opened == [0, 1]
    again = Counted([*TREE, file_entry(f"Files/{DLL}", b"old")], [*TREE, file_entry(f"Files/{DLL}", b"new")])
    assert content(ImageFiles(again.image, places).find(DLL)) == b"new"
    assert again.opened == [0, 0]


@pytest.mark.parametrize("swapped", [False, True])
def test_a_hard_link_is_resolved_in_the_same_pass(places: Places, swapped: bool) -> None:
    names = [f"Files/{DLL}", "Files/Windows/WinSxS/amd64_x_1/netapi32.dll"]
    first, second = names[::-1] if swapped else names
    entries = [*TREE, directory_entry("Files/Windows/WinSxS/amd64_x_1"), file_entry(first, b"the library")]
    counted = Counted([*entries, Entry(second, EntryKind.HARDLINK, link_target=first)], [*TREE])
    assert content(ImageFiles(counted.image, places).find(DLL)) == b"the library"
    assert counted.opened == [1, 1]


OTHER = "Windows/System32/dsrole.dll"
NOISE = random.Random(7).randbytes(2 << 20)


def large() -> Counted:
    """A layer with what is wanted at its beginning and at its end, and much in between."""
    return Counted(
        [
            *TREE,
            file_entry(f"Files/{DLL}", b"first"),
            file_entry("Files/Windows/System32/large.dll", NOISE),
            file_entry(f"Files/{OTHER}", b"last"),
        ]
    )


def test_all_that_a_build_wants_is_taken_in_one_pass(places: Places) -> None:
    counted = large()
    size = counted.image.layers[0].descriptor.size
    tree = ImageFiles(counted.image, places, [DLL, "windows/system32/DSROLE.dll", "app/x.exe"])
    assert (content(tree.find(OTHER)), content(tree.find(DLL))) == (b"last", b"first")
    assert (counted.opened, counted.bytes) == ([1], [size])


def test_what_nobody_had_announced_is_read_up_to_its_end_and_no_further(places: Places) -> None:
    counted = large()
    size = counted.image.layers[0].descriptor.size
    tree = ImageFiles(counted.image, places)
    assert content(tree.find(OTHER)) == b"last"
    # The first time all of it, as nothing of a layer is right before its digest is.
    assert counted.bytes == [size]
    assert content(tree.find(DLL)) == b"first"
    assert counted.opened == [2]
    assert counted.bytes[0] - size < size // 4
    at_the_end = large()
    again = ImageFiles(at_the_end.image, Places(FakeHost("/", str(Path(places.cache.root)), {}), Settings()))
    assert content(again.find(DLL)) == b"first"
    assert at_the_end.bytes == [0], "it is in the cache"


def test_nothing_of_a_damaged_layer_is_kept(places: Places) -> None:
    good = large().image
    other = layer_of([*TREE, file_entry(f"Files/{DLL}", b"wrong"), file_entry(f"Files/{OTHER}", b"last")])
    bad = msgspec.structs.replace(good, layers=(msgspec.structs.replace(good.layers[0], open=other.open),))
    tree = ImageFiles(bad, places, [DLL, OTHER])
    for _ in range(2):
        with pytest.raises(ContentError):
            tree.find(DLL)


def test_a_hard_link_to_a_lower_layer(places: Places) -> None:
    target = "Files/Windows/WinSxS/n.dll"
    counted = Counted(
        [*TREE, file_entry(target, b"below")], [*TREE, Entry(f"Files/{DLL}", EntryKind.HARDLINK, link_target=target)]
    )
    assert content(ImageFiles(counted.image, places).find(DLL)) == b"below"


def test_what_an_upper_layer_removed_is_not_there(places: Places) -> None:
    counted = Counted(
        [*TREE, file_entry(f"Files/{DLL}", b"old")], [*TREE, file_entry("Files/Windows/System32/.wh.netapi32.dll", b"")]
    )
    assert ImageFiles(counted.image, places).find(DLL) is None
    assert ImageFiles(Counted([*TREE]).image, places).find(DLL) is None


def test_directories_and_patterns_look_at_everything(places: Places) -> None:
    counted = Counted([*TREE, file_entry("Files/a.txt", b"a")], [*TREE, file_entry(f"Files/{DLL}", b"x")])
    tree = ImageFiles(counted.image, places)
    found = tree.find("Windows/System32")
    assert found is not None
    assert found.kind == DIRECTORY
    assert content(tree.find("a.txt")) == b"a"
    assert [item.name for item in tree.children("Windows/System32")] == ["netapi32.dll"]


def test_a_damaged_layer_gives_nothing(places: Places) -> None:
    good = image_of([layer_of([*TREE, file_entry(f"Files/{DLL}", b"x" * 100)])], CONFIG)
    other = layer_of([*TREE, file_entry(f"Files/{DLL}", b"y" * 100)])
    bad = msgspec.structs.replace(good, layers=(msgspec.structs.replace(good.layers[0], open=other.open),))
    with pytest.raises(ContentError):
        ImageFiles(bad, places).find(DLL)


def test_linux_images_have_their_whole_view(places: Places) -> None:
    assert isinstance(image_tree(static_base(), places), ViewTree)
