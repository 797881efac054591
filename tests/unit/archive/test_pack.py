"""Packing: two digests in one pass, the same bytes whatever the threads."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import threading

import pytest
import zstandard

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.gzip import PIECE, Compression, encoder_name
from wingo.archive.pack import pack, recipe_key
from wingo.archive.tar import tar_stream
from wingo.errors import SizeMismatch
from wingo.oci.media_types import OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD
from wingo.testing.images import content_of, directory_entry, file_entry


def recipe_of(*sizes: int, epoch: int = 0) -> LayerRecipe:
    source = random.Random(f"{sizes}")
    words = [source.randbytes(40) for _ in range(200)]
    entries = []
    for number, size in enumerate(sizes):
        data = b"".join(source.choices(words, k=size // 40 + 1))[:size]
        entries.append(file_entry(f"file{number}", data))
    return LayerRecipe((directory_entry("d"), *entries), epoch, "test")


RECIPE = recipe_of(100, 3 * PIECE + 17, 0, PIECE - 4096)
MEDIA_TYPES = {"gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD, "none": OCI_LAYER}


def unpacked(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.decompress(data)
    if compression == "zstd":
        return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True).read()
    return data


@pytest.mark.parametrize("compression", MEDIA_TYPES)
def test_both_digests_are_of_the_bytes(compression: str) -> None:
    out = io.BytesIO()
    packed = pack(RECIPE, out, compression=compression)
    data = out.getvalue()
    tar = unpacked(data, compression)
    assert tar == b"".join(tar_stream(RECIPE))
    assert packed.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert packed.uncompressed_size == len(tar)
    assert packed.descriptor.digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert packed.descriptor.size == len(data)
    assert packed.descriptor.media_type == MEDIA_TYPES[compression]


@pytest.mark.parametrize("compression", MEDIA_TYPES)
def test_the_bytes_do_not_depend_on_the_threads(compression: str) -> None:
    outputs = set()
    for threads in (0, 1, 2, 3, 16, 100):
        out = io.BytesIO()
        pack(RECIPE, out, compression=compression, threads=threads)
        outputs.add(out.getvalue())
    assert len(outputs) == 1


def test_members_are_of_one_mib_of_tar_each_and_say_nothing_of_the_machine() -> None:
    out = io.BytesIO()
    packed = pack(RECIPE, out)
    data, lengths = out.getvalue(), []
    while data:
        assert data[:10] == bytes.fromhex("1f8b0800000000 00 04ff".replace(" ", "")), "mtime 0, no name, system unknown"
        stream = gzip.zlib.decompressobj(wbits=31)
        lengths.append(len(stream.decompress(data)))
        assert stream.eof
        data = stream.unused_data
    assert lengths == [PIECE] * (packed.uncompressed_size // PIECE) + [packed.uncompressed_size % PIECE]


@pytest.mark.parametrize("size", [PIECE - 1536, PIECE - 1536 - 512, PIECE - 1536 + 512])
def test_a_tar_that_ends_with_its_piece(size: int) -> None:
    recipe = LayerRecipe((file_entry("f", bytes(size)),), 0, "")
    out = io.BytesIO()
    packed = pack(recipe, out)
    assert gzip.decompress(out.getvalue()) == b"".join(tar_stream(recipe))
    assert packed.uncompressed_size == 512 + size + 1024


def test_an_empty_recipe_is_an_empty_tar() -> None:
    out = io.BytesIO()
    assert pack(LayerRecipe((), 0, ""), out, compression="none").uncompressed_size == 1024
    assert out.getvalue() == bytes(1024)


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_of_a_file_comes_out_and_threads_end(threads: int) -> None:
    content = Content(9 * PIECE, lambda: io.BytesIO(bytes(8 * PIECE)), "short")
    before = threading.active_count()
    with pytest.raises(SizeMismatch):
        pack(LayerRecipe((Entry("f", EntryKind.FILE, content=content),), 0, ""), io.BytesIO(), threads=threads)
    assert threading.active_count() == before


def test_an_error_of_the_output_comes_out_and_threads_end() -> None:
    class Full(io.BytesIO):
        def write(self, data: object, /) -> int:
            raise OSError(28, "No space left on device")

    before = threading.active_count()
    with pytest.raises(OSError, match="No space left"):
        pack(RECIPE, Full(), threads=4)
    assert threading.active_count() == before


@pytest.mark.parametrize("threads", [1, 2])
def test_little_is_read_ahead(threads: int) -> None:
    read = written = behind = 0

    class Source(io.RawIOBase):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal read, behind
            data = bytes(min(size or 0, 40 * PIECE - read))
            read += len(data)
            behind = max(behind, read // PIECE - written)
            return data

    class Sink:
        def write(self, data: object, /) -> None:
            nonlocal written
            written += 1

    content = Content(40 * PIECE, Source, "x")  # type: ignore[arg-type]
    pack(LayerRecipe((Entry("f", EntryKind.FILE, content=content),), 0, ""), Sink(), threads=threads)
    assert behind <= threads + 5, "in pieces of 1 MiB"


def test_an_unknown_compression_is_no_compression() -> None:
    with pytest.raises(ValueError, match="bzip2"):
        pack(RECIPE, io.BytesIO(), compression="bzip2")


def test_a_key_is_equal_for_equal_layers_only() -> None:
    def key(entry: Entry, epoch: int = 0, created_by: str = "", compression: str = "gzip") -> str:
        return recipe_key(LayerRecipe((entry,), epoch, created_by), compression=compression)

    base = file_entry("f", b"content", pax=[("k", "v")])
    undigested = Entry(
        "f", EntryKind.FILE, content=Content(7, lambda: io.BytesIO(b"content"), "elsewhere"), pax=(("k", "v"),)
    )
    assert key(base) == key(undigested) == key(base, created_by="another history line")
    others = [
        key(file_entry("g", b"content", pax=[("k", "v")])),
        key(file_entry("f", b"Content", pax=[("k", "v")])),
        key(file_entry("f", b"content", pax=[("k", "w")])),
        key(file_entry("f", b"content", mode=0o755, pax=[("k", "v")])),
        key(base, epoch=1),
        key(base, compression="zstd"),
        key(directory_entry("f")),
    ]
    assert len({key(base), *others}) == len(others) + 1
    assert len(key(base)) == 64


def test_a_key_tells_where_one_entry_ends() -> None:
    one = LayerRecipe((file_entry("a", b"1"), file_entry("b", b"2")), 0, "")
    other = LayerRecipe((file_entry("a", b"2"), file_entry("b", b"1")), 0, "")
    assert recipe_key(one) != recipe_key(other)


def test_the_encoder_is_named() -> None:
    assert "libdeflate" in encoder_name(Compression.GZIP)
    assert encoder_name(Compression.ZSTD).startswith("zstd ")
    assert content_of(b"").digest.startswith("sha256:")
