"""Laws of the archive room: what goes in comes out, and nothing crashes otherwise than with our errors."""

from __future__ import annotations

import gzip
import io
import tarfile

import msgspec
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from wingo.archive.entry import Entry, EntryKind, LayerRecipe
from wingo.archive.pack import pack, recipe_key
from wingo.archive.tar import tar_size, tar_stream
from wingo.archive.unpack import Limits, MemberKind, decompressed, open_tar, read_tar, safe_components
from wingo.errors import ContentError, Malformed, RequestError
from wingo.testing.images import content_of, layer_of

unhurried = settings(deadline=None)
"""A busy machine is no failure."""
KINDS = {
    EntryKind.FILE: MemberKind.FILE,
    EntryKind.DIRECTORY: MemberKind.DIRECTORY,
    EntryKind.SYMLINK: MemberKind.SYMLINK,
    EntryKind.HARDLINK: MemberKind.HARDLINK,
}
text = st.text(st.characters(exclude_characters="\0/", exclude_categories=("Cs",)), min_size=1, max_size=60)
component = text.filter(lambda part: part not in (".", ".."))
names = st.lists(component, min_size=1, max_size=6).map("/".join)
records = st.dictionaries(
    st.text(st.characters(exclude_characters="\0=", exclude_categories=("Cs",)), min_size=1, max_size=30).map(
        "X.".__add__
    ),
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=300),
    max_size=3,
).map(lambda found: tuple(found.items()))


@st.composite
def entries(draw) -> Entry:
    kind = draw(st.sampled_from(list(EntryKind)))
    is_link = kind in (EntryKind.SYMLINK, EntryKind.HARDLINK)
    return Entry(
        draw(names),
        kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**40)),
        gid=draw(st.integers(0, 2**40)),
        content=content_of(draw(st.binary(max_size=2000))) if kind is EntryKind.FILE else None,
        link_target=draw(text) if is_link else "",
        pax=draw(records),
    )


recipes = st.builds(
    LayerRecipe,
    st.lists(entries(), max_size=5, unique_by=lambda entry: entry.name).map(tuple),
    st.integers(-(2**33), 2**36),
    st.just(""),
)


def content_bytes(entry: Entry) -> bytes:
    return entry.content.open().read() if entry.content is not None else b""


@unhurried
@given(recipes)
def test_a_recipe_comes_back_from_its_tar(recipe: LayerRecipe) -> None:
    tar = b"".join(tar_stream(recipe))
    assert len(tar) == tar_size(recipe)
    assert len(tar) % 512 == 0
    found = [(member, content.read()) for member, content in read_tar(io.BytesIO(tar))]
    for (member, data), entry in zip(found, recipe.entries, strict=True):
        assert (member.name, member.kind) == (entry.name.rstrip("/") or entry.name, KINDS[entry.kind])
        assert (member.mode, member.uid, member.gid, member.mtime) == (entry.mode, entry.uid, entry.gid, recipe.epoch)
        assert member.link_target == entry.link_target
        assert {key: value for key, value in member.pax.items() if key.startswith("X.")} == dict(entry.pax)
        assert data == content_bytes(entry)
        assert "/".join(safe_components(member.name)) == entry.name


@unhurried
@given(recipes)
def test_pythons_tarfile_agrees(recipe: LayerRecipe) -> None:
    # It splits records at the first newline-terminated length as we do, but strips slashes and blanks of its own accord.
    assume(all(entry.name == entry.name.rstrip("/") for entry in recipe.entries))
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_stream(recipe))), mode="r:") as tar:
        for item, entry in zip(tar.getmembers(), recipe.entries, strict=True):
            assert (item.name, item.type) == (entry.name, entry.kind.value.encode())
            assert (item.mode, item.uid, item.gid, item.mtime) == (entry.mode, entry.uid, entry.gid, recipe.epoch)
            assert item.linkname == entry.link_target
            if item.isfile():
                assert tar.extractfile(item).read() == content_bytes(entry)


@unhurried
@given(recipes, st.sampled_from(["gzip", "zstd", "none"]), st.integers(1, 4))
def test_packing_is_the_tar_and_does_not_depend_on_threads(recipe, compression, threads) -> None:
    one, many = io.BytesIO(), io.BytesIO()
    packed = pack(recipe, one, compression=compression)
    assert pack(recipe, many, compression=compression, threads=threads) == packed
    assert one.getvalue() == many.getvalue()
    assert decompressed(io.BytesIO(one.getvalue())).read() == b"".join(tar_stream(recipe))


@unhurried
@given(recipes, recipes)
def test_keys_are_equal_exactly_when_the_layers_are(first: LayerRecipe, second: LayerRecipe) -> None:
    same = b"".join(tar_stream(first)) == b"".join(tar_stream(second))
    assert (recipe_key(first) == recipe_key(second)) == same


@unhurried
@given(st.lists(entries(), max_size=4, unique_by=lambda entry: entry.name), st.data())
def test_a_flipped_bit_of_a_stored_layer_never_passes(made, data) -> None:
    layer = layer_of(made)
    stored = bytearray(layer.open().read())
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= 1 << data.draw(st.integers(0, 7))
    damaged = msgspec.structs.replace(layer, open=lambda: io.BytesIO(bytes(stored)))
    with open_tar(layer) as tar:
        expected = tar.read()
    try:
        with open_tar(damaged) as tar:
            found = tar.read()
    except ContentError:
        return
    assert found == expected, "only bits of the header that mean nothing may differ"


@unhurried
@given(st.binary(max_size=3000))
@example(gzip.compress(b"x" * 1000)[:-3])
@example(b"\x28\xb5\x2f\xfd")
def test_no_bytes_crash_the_readers(data: bytes) -> None:
    limits = Limits(entries=100, header_bytes=1 << 16, free_bytes=1 << 24)
    try:
        for _, content in read_tar(decompressed(io.BytesIO(data), limits), limits):
            content.read()
    except Malformed:
        pass


@unhurried
@given(st.lists(st.one_of(st.just(b""), st.binary(min_size=512, max_size=512)), max_size=4), recipes, st.data())
def test_no_damaged_tar_crashes_the_reader(blocks, recipe, data) -> None:
    tar = bytearray(b"".join(tar_stream(recipe)))
    for block in blocks:
        at = data.draw(st.integers(0, len(tar) // 512)) * 512
        tar[at : at + data.draw(st.sampled_from([0, 512]))] = block
    try:
        for _, content in read_tar(io.BytesIO(bytes(tar))):
            content.read()
    except Malformed:
        pass


@unhurried
@given(st.text(max_size=40))
@example("../a")
@example("a/./../..")
def test_components_never_lead_out(name: str) -> None:
    try:
        parts = safe_components(name)
    except Malformed:
        return
    assert not {"", ".", ".."} & set(parts)
    assert not any("/" in part or "\0" in part for part in parts)


@unhurried
@given(st.text(max_size=40))
def test_a_name_is_written_as_it_is_or_refused(name: str) -> None:
    try:
        tar = b"".join(tar_stream(LayerRecipe((Entry(name, EntryKind.DIRECTORY),), 0, "")))
    except RequestError:
        return
    ((member, _),) = read_tar(io.BytesIO(tar))
    assert member.name == name
