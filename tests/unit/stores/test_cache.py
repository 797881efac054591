"""The cache: remembers, mends itself, and is shared."""

from __future__ import annotations

import io
import os
import threading

import pytest

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.pack import recipe_key
from wingo.errors import ContentError, HostError, RequestError
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import sha256_digest
from wingo.stores.cache import Cache
from wingo.testing.images import directory_entry, file_entry

NAME = "registry.example.com/windows/nanoserver:ltsc2022"
DESCRIPTOR = Descriptor("application/vnd.oci.image.index.v1+json", sha256_digest(b"index"), 5)


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def cache(tmp_path, notes) -> Cache:
    return Cache(str(tmp_path / "cache"), notes.append)


def recipe(text: bytes = b"program") -> LayerRecipe:
    return LayerRecipe((directory_entry("app"), file_entry("app/program", text, mode=0o755)), 0, "test")


def every_file(cache: Cache) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(cache.root) for name in names]


def test_a_new_cache_knows_nothing_and_makes_nothing(cache) -> None:
    assert cache.document(DESCRIPTOR.digest) is None
    assert cache.seen_tag(NAME) is None
    assert cache.packed("0" * 64) is None
    assert cache.record("build", "key") is None
    assert cache.seen_tags() == []
    assert cache.size() == 0
    assert not cache.forget_tag(NAME)
    assert not os.path.exists(cache.root)


def test_documents(cache) -> None:
    assert cache.keep_document(b"index") == DESCRIPTOR.digest
    assert cache.document(DESCRIPTOR.digest) == b"index"
    assert cache.size() == 5


def test_tags(cache) -> None:
    cache.keep_tag(NAME, DESCRIPTOR, 1000.5)
    seen = cache.seen_tag(NAME)
    assert seen is not None
    assert (seen.reference, seen.descriptor, seen.seen) == (NAME, DESCRIPTOR, 1000.5)
    cache.keep_tag(NAME, DESCRIPTOR, 2000)
    cache.keep_tag("another", DESCRIPTOR, 5)
    assert [(seen.reference, seen.seen) for seen in cache.seen_tags()] == [("another", 5), (NAME, 2000)]
    assert cache.forget_tag("another")
    assert cache.seen_tag("another") is None


def test_records(cache) -> None:
    cache.keep_record("build", "key", b"\0\xff anything")
    assert cache.record("build", "key") == b"\0\xff anything"
    assert cache.record("other", "key") is None
    cache.keep_record("build", "key", b"")
    assert cache.record("build", "key") == b""
    assert cache.forget_record("build", "key")
    assert not cache.forget_record("build", "key")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/etc", ".hidden", "a\0", "x" * 200, "a\n"])
def test_names_that_are_no_file_names(cache, name) -> None:
    with pytest.raises(RequestError):
        cache.keep_record("build", name, b"")
    with pytest.raises(RequestError):
        cache.record(name, "key")
    with pytest.raises(RequestError):
        cache.lock(name)


def test_a_layer_is_packed_once(cache) -> None:
    layer = cache.pack(recipe(), threads=2)
    with layer.open() as stream:
        data = stream.read()
    assert sha256_digest(data) == layer.descriptor.digest

    def open_again() -> io.BytesIO:
        raise AssertionError("the content is not needed any more")

    known = recipe().entries[1].content
    assert known is not None
    content = Content(known.size, open_again, known.origin, known.digest)
    again = LayerRecipe((recipe().entries[0], Entry("app/program", EntryKind.FILE, 0o755, content=content)), 0, "else")
    second = cache.pack(again)
    assert (second.descriptor, second.diff_id) == (layer.descriptor, layer.diff_id)
    packed = cache.packed(recipe_key(recipe()))
    assert packed is not None
    assert packed.descriptor == layer.descriptor
    assert cache.packed(recipe_key(recipe(), compression="zstd")) is None


def test_different_recipes_are_different_layers(cache) -> None:
    layers = [cache.pack(recipe()), cache.pack(recipe(b"Program")), cache.pack(recipe(), compression="zstd")]
    assert len({layer.descriptor.digest for layer in layers}) == 3
    assert layers[0].diff_id == layers[2].diff_id


def test_a_file_that_changes_while_packed_is_not_remembered(cache) -> None:
    known = file_entry("f", b"before").content
    assert known is not None
    content = Content(known.size, lambda: io.BytesIO(b"after!"), "main.exe", known.digest)
    changing = LayerRecipe((Entry("f", EntryKind.FILE, content=content),), 0, "")
    with pytest.raises(ContentError, match=r"main\.exe"):
        cache.pack(changing)
    assert cache.packed(recipe_key(changing)) is None
    assert every_file(cache) == []


def flip(path: str) -> None:
    with open(path, "r+b") as file:
        data = bytearray(file.read())
        data[len(data) // 2] ^= 1
        file.seek(0)
        file.write(data)


def truncate(path: str) -> None:
    os.truncate(path, os.stat(path).st_size // 2)


def empty(path: str) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [flip, truncate, empty])
def test_every_damaged_file_is_mended_and_said(cache, notes, damage) -> None:
    cache.keep_document(b"index")
    cache.keep_tag(NAME, DESCRIPTOR, 1000)
    cache.keep_record("build", "key", b"record")
    key = recipe_key(recipe())
    first = cache.pack(recipe())
    files = every_file(cache)
    assert len(files) == 5
    for path in files:
        damage(path)
    assert cache.document(DESCRIPTOR.digest) is None
    assert cache.seen_tag(NAME) is None
    assert cache.seen_tags() == []
    assert cache.record("build", "key") is None
    assert cache.packed(key) is None
    layer = cache.pack(recipe())
    with layer.open() as stream:
        assert sha256_digest(stream.read()) == first.descriptor.digest
    assert len(notes) == 4
    assert all("damaged" in note for note in notes)
    cache.keep_document(b"index")
    assert cache.document(DESCRIPTOR.digest) == b"index"


@pytest.mark.parametrize("damage", [flip, truncate, empty, os.unlink])
def test_a_damaged_layer_is_packed_again_at_once(cache, notes, damage) -> None:
    layer = cache.pack(recipe())
    damage(cache.blobs.path(layer.descriptor.digest))
    with layer.open() as stream:
        assert sha256_digest(stream.read()) == layer.descriptor.digest
    assert len(notes) == (0 if damage is os.unlink else 1)
    with cache.open_layer(layer.descriptor) as stream:
        assert stream.read()


@pytest.mark.parametrize("damage", [flip, truncate, empty, os.unlink])
def test_a_damaged_layer_of_somebody_else_is_had_elsewhere(cache, damage) -> None:
    data = b"a base's layer" * 1000
    descriptor = Descriptor("x", cache.blobs.put(data), len(data))
    damage(cache.blobs.path(descriptor.digest))
    with cache.open_layer(descriptor, lambda: io.BytesIO(data)) as stream:
        assert stream.read() == data
    with pytest.raises(HostError, match="has gone from the cache") as caught:
        cache.open_layer(descriptor)
    assert "same command again" in caught.value.hint


def test_a_layer_that_cannot_be_packed_again(cache) -> None:
    content = [b"program"]
    changing = Content(7, lambda: io.BytesIO(content[0]), "main.exe")
    layer = cache.pack(LayerRecipe((Entry("f", EntryKind.FILE, content=changing),), 0, ""))
    content[0] = b"PROGRAM"
    cache.blobs.remove(layer.descriptor.digest)
    with pytest.raises(HostError, match="has gone from the cache"):
        layer.open()


def test_what_another_version_wrote_is_not_believed(cache, notes) -> None:
    cache.keep_tag(NAME, DESCRIPTOR, 1000)
    (path,) = every_file(cache)
    name = os.path.basename(path)
    for data in (
        b"{}",
        b"[]",
        b"\xff",
        b'{"reference":"x","descriptor":{"mediaType":"x","digest":"../..","size":1},"seen":1}',
    ):
        cache._write_bytes("tags", name, data)
        assert cache.seen_tag(NAME) is None
    assert len(notes) == 4


def test_a_tag_file_for_another_reference_is_not_believed(cache) -> None:
    cache.keep_tag("another", DESCRIPTOR, 1000)
    (path,) = every_file(cache)
    cache.keep_tag(NAME, DESCRIPTOR, 1000)
    (other,) = set(every_file(cache)) - {path}
    os.replace(path, other)
    assert cache.seen_tag(NAME) is None


def test_two_caches_on_one_directory(cache, notes) -> None:
    """As two processes have it: every answer is right, whoever wrote last."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            mine = Cache(cache.root, notes.append)
            for turn in range(5):
                layer = mine.pack(recipe(f"program {turn}".encode()))
                with layer.open() as stream:
                    assert sha256_digest(stream.read()) == layer.descriptor.digest
                mine.keep_tag(NAME, DESCRIPTOR, number)
                assert mine.seen_tag(NAME) is not None
                mine.keep_record("build", "key", f"{number}".encode() * 1000)
                assert len(mine.record("build", "key") or b"") >= 1000
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert notes == []
    assert len(list(cache.blobs.list())) == 5


def test_locks(cache) -> None:
    with cache.lock("build-1"), cache.lock("build-2"):
        assert sorted(os.listdir(os.path.join(cache.root, "locks"))) == ["build-1", "build-2"]


def test_a_cache_that_cannot_be_written(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    cache = Cache(str(tmp_path / "file" / "cache"))
    with pytest.raises(HostError):
        cache.keep_document(b"x")
    with pytest.raises(HostError):
        cache.keep_record("build", "key", b"x")
    with pytest.raises(HostError):
        cache.pack(recipe())


@pytest.mark.parametrize("first", ["document", "record", "lock", "pack"])
def test_nobody_else_may_look_into_a_new_cache(cache, first) -> None:
    if first == "document":
        cache.keep_document(b"x")
    elif first == "record":
        cache.keep_record("build", "key", b"x")
    elif first == "pack":
        cache.pack(recipe())
    else:
        with cache.lock("build"):
            pass
    assert os.stat(cache.root).st_mode & 0o777 == 0o700


def test_the_permissions_of_a_cache_that_is_there_are_its_owners_choice(cache) -> None:
    os.mkdir(cache.root, 0o755)
    cache.keep_document(b"x")
    assert os.stat(cache.root).st_mode & 0o777 == 0o755
