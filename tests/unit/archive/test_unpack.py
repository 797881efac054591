"""Reading what others made: their dialects, and what hostile ones try."""

from __future__ import annotations

import bz2
import gzip
import io
import tarfile
import zlib
from collections.abc import Callable

import msgspec
import pytest
import zstandard

from wingo.archive.entry import Entry, EntryKind
from wingo.archive.unpack import (
    Limits,
    Member,
    MemberKind,
    check_layer,
    decompressed,
    open_tar,
    read_tar,
    safe_components,
)
from wingo.errors import DigestMismatch, HostError, Malformed
from wingo.image.model import Layer
from wingo.oci.digest import Digest, sha256_digest
from wingo.testing.images import directory_entry, file_entry, layer_of, opener_of


def members(data: bytes, limits: Limits | None = None) -> list[Member]:
    return [member for member, _ in read_tar(io.BytesIO(data), limits or Limits())]


def written(fill: Callable[[tarfile.TarFile], None], format: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        fill(tar)
    return buffer.getvalue()


def info(name: str, size: int = 0, type: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    item = tarfile.TarInfo(name)
    item.size, item.type = size, type
    for key, value in fields.items():
        setattr(item, key, value)
    return item


LONG = "directory/" * 25 + "file"


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes(format: int) -> None:
    name = LONG if format != tarfile.USTAR_FORMAT else "directory/" * 12 + "file"

    def fill(tar: tarfile.TarFile) -> None:
        tar.addfile(info("d", type=tarfile.DIRTYPE, mode=0o700))
        tar.addfile(info(name, 600, mtime=12, uid=1000, gid=2000, mode=0o4755), io.BytesIO(b"a" * 600))
        tar.addfile(info("s", type=tarfile.SYMTYPE, linkname=name[:90]))
        tar.addfile(info("h", type=tarfile.LNKTYPE, linkname="d/x"))
        tar.addfile(info("fifo", type=tarfile.FIFOTYPE))
        tar.addfile(info("last", 1), io.BytesIO(b"z"))

    found = members(written(fill, format))
    assert [(item.name, item.kind) for item in found] == [
        ("d", MemberKind.DIRECTORY),
        (name, MemberKind.FILE),
        ("s", MemberKind.SYMLINK),
        ("h", MemberKind.HARDLINK),
        ("fifo", MemberKind.OTHER),
        ("last", MemberKind.FILE),
    ]
    assert (found[1].size, found[1].mtime, found[1].uid, found[1].gid, found[1].mode) == (600, 12, 1000, 2000, 0o4755)
    assert (found[2].link_target, found[3].link_target) == (name[:90], "d/x")


def test_large_numbers_in_gnus_spelling() -> None:
    item = members(written(lambda tar: tar.addfile(info("f", uid=2**40, mtime=-3)), tarfile.GNU_FORMAT))[0]
    assert (item.uid, item.mtime) == (2**40, -3)


def test_long_link_targets_in_gnus_spelling() -> None:
    data = written(lambda tar: tar.addfile(info("s", type=tarfile.SYMTYPE, linkname=LONG)), tarfile.GNU_FORMAT)
    assert members(data)[0].link_target == LONG


def test_global_records_apply_to_what_follows_and_own_records_win() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "all"}) as tar:
        tar.addfile(info("a"))
        own = info("b")
        own.pax_headers = {"comment": "own"}
        tar.addfile(own)
    assert [item.pax["comment"] for item in members(buffer.getvalue())] == ["all", "own"]


def test_content_is_read_or_skipped() -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for name in "abc":
            tar.addfile(info(name, 700_000), io.BytesIO(name.encode() * 700_000))

    for stream in (io.BytesIO(written(fill)), NotSeekable(written(fill))):
        seen = {member.name: content.read(3) for member, content in read_tar(stream) if member.name != "b"}
        assert seen == {"a": b"aaa", "c": b"ccc"}
    for member, content in read_tar(io.BytesIO(written(fill))):
        assert io.BufferedReader(content).read() == member.name.encode() * 700_000  # type: ignore[type-var]


class NotSeekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: object) -> int:
        raise AssertionError


def test_names_that_are_no_utf8_survive() -> None:
    data = written(lambda tar: tar.addfile(info("caf\udce9")), tarfile.GNU_FORMAT)
    assert members(data)[0].name.encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize("cut", [100, 511, 513, 1000, 1023])
def test_a_tar_that_is_cut_short(cut: int) -> None:
    data = written(lambda tar: tar.addfile(info("f", 900), io.BytesIO(bytes(900))))
    with pytest.raises(Malformed, match="cut short"):
        members(data[:cut])
    with pytest.raises(Malformed, match="cut short"):
        list(read_tar(NotSeekable(data[:cut])))


def test_a_seekable_tar_that_is_cut_in_a_large_file() -> None:
    data = written(lambda tar: tar.addfile(info("f", 3 << 20), io.BytesIO(bytes(3 << 20))))
    assert len(members(data)) == 1
    for cut in (2 << 20, (3 << 20) + 500):
        with pytest.raises(Malformed, match="cut short"):
            members(data[:cut])


def test_the_end_blocks_may_lack() -> None:
    data = written(lambda tar: tar.addfile(info("f", 512), io.BytesIO(bytes(512))))
    assert len(members(data[:1024])) == len(members(data[:1536])) == 1
    assert members(b"") == []


@pytest.mark.parametrize("position", [0, 100, 124, 156, 200, 257])
def test_a_flipped_byte_in_a_header(position: int) -> None:
    data = bytearray(written(lambda tar: tar.addfile(info("f", 5), io.BytesIO(b"12345"))))
    data[position] ^= 1
    with pytest.raises(Malformed, match=r"checksum|octal"):
        members(bytes(data))


def test_random_bytes_are_no_tar() -> None:
    with pytest.raises(Malformed):
        members(bytes(range(256)) * 4)


def patched(fields: dict[tuple[int, int], bytes], body: bytes = b"") -> bytes:
    header = bytearray(tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT))
    for place, value in fields.items():
        header[slice(*place)] = value
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + body + bytes(-len(body) % 512)


SIZE, FLAG = (124, 136), (156, 157)


@pytest.mark.parametrize("flag", [b"S", b"M", b"V", b"D", b"A", b"?"])
def test_types_that_no_layer_has(flag: bytes) -> None:
    with pytest.raises(Malformed, match="which no layer should have"):
        members(patched({FLAG: flag}))


def test_a_sparse_file_in_pax() -> None:
    with pytest.raises(Malformed, match="sparse"):
        members(pax_header(b"GNU.sparse.major=1") + patched({}))


def pax_header(*records: bytes, flag: bytes = b"x", raw: bytes | None = None) -> bytes:
    body = b""
    for record in records:
        length = len(record) + 2
        while len(b"%d" % length) + len(record) + 2 != length:
            length += 1
        body += b"%d %s\n" % (length, record)
    body = body if raw is None else raw
    return patched({FLAG: flag, SIZE: b"%011o\0" % len(body)}, body)


@pytest.mark.parametrize(
    "raw",
    [
        b"x",
        b"5 a=b",
        b"99 a=b\n",
        b"-6 a=b\n",
        b"6 a=bc\n",
        b"5 ab\n",
        b"6 =bc\n",
        b"0 a=b\n",
        b"1111111111111111111 a=b\n",
    ],
)
def test_damaged_records(raw: bytes) -> None:
    with pytest.raises(Malformed, match="extended header"):
        members(pax_header(raw=raw) + patched({}))


@pytest.mark.parametrize("record", [b"size=-1", b"size=x", b"size=", b"size=99999999999999999999999", b"mtime=soon"])
def test_records_that_are_no_numbers(record: bytes) -> None:
    with pytest.raises(Malformed):
        members(pax_header(record) + patched({}))


def test_a_negative_size_in_base_256() -> None:
    with pytest.raises(Malformed, match="size"):
        members(patched({SIZE: b"\xff" * 12}))


@pytest.mark.parametrize("flag", [b"x", b"g", b"L", b"K"])
def test_a_huge_extended_header_is_not_read(flag: bytes) -> None:
    with pytest.raises(Malformed, match="more than 1048576 bytes"):
        members(patched({FLAG: flag, SIZE: b"77777777777\0"}))


def test_many_extended_headers_are_not_read_for_ever() -> None:
    one = pax_header(b"k=" + b"v" * 400_000)
    assert members(one * 2 + patched({}))[0].pax["k"]
    with pytest.raises(Malformed, match="more than 1048576 bytes"):
        members(one * 3 + patched({}))


def test_too_many_entries() -> None:
    with pytest.raises(Malformed, match="more than 10 entries"):
        members(patched({}) * 11, Limits(entries=10))
    assert len(members(patched({}) * 10, Limits(entries=10))) == 10


def test_a_nul_in_a_pax_name() -> None:
    with pytest.raises(Malformed, match="NUL"):
        members(pax_header(b"path=a\0b") + patched({}))


@pytest.mark.parametrize(
    ("name", "parts"),
    [("a/b", ("a", "b")), ("./a//b/", ("a", "b")), ("/a", ("a",)), ("./", ()), ("...", ("...",)), ("a\\b", ("a\\b",))],
)
def test_safe_components(name: str, parts: tuple[str, ...]) -> None:
    assert safe_components(name) == parts


@pytest.mark.parametrize("name", ["..", "../a", "a/../../b", "a/..", "/../etc", "a\0"])
def test_names_that_lead_out(name: str) -> None:
    with pytest.raises(Malformed, match="leads out"):
        safe_components(name)


PLAIN = bytes(range(256)) * 5000
PACKERS = {
    "gzip": gzip.compress,
    "gzip members": lambda data: gzip.compress(data[:1000]) + gzip.compress(b"") + gzip.compress(data[1000:]),
    "zstd": zstandard.compress,
    "zstd frames": lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
    "gzip, zeros behind": lambda data: gzip.compress(data) + bytes(100_000),
    "gzip members, zeros between": lambda data: gzip.compress(data[:1000]) + bytes(9) + gzip.compress(data[1000:]),
    "plain": lambda data: data,
}


@pytest.mark.parametrize("packer", PACKERS)
def test_compression_is_told_from_the_bytes(packer: str) -> None:
    stored = PACKERS[packer](PLAIN)
    assert decompressed(io.BytesIO(stored)).read() == PLAIN
    trickle = decompressed(OneByOne(stored))
    assert trickle.read(5) + trickle.read() == PLAIN


class OneByOne(io.BytesIO):
    """Gives fewer bytes than asked for, as sockets do."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(7, size) if size and size > 0 else size)


def test_nothing_at_all_is_plain_and_empty() -> None:
    assert decompressed(io.BytesIO(b"")).read() == b""


@pytest.mark.parametrize(
    "stored",
    [
        gzip.compress(PLAIN)[:-9],
        gzip.compress(PLAIN)[:50],
        gzip.compress(PLAIN)[:-8] + bytes(8),
        gzip.compress(PLAIN) + b"garbage",
        gzip.compress(PLAIN) + bytes(600) + b"garbage",
        gzip.compress(PLAIN) + b"\x1f",
        gzip.compress(PLAIN) + gzip.compress(PLAIN)[:-1],
        gzip.compress(PLAIN)[:100] + b"\xff" * 100,
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x07" + bytes(20),
        zstandard.compress(PLAIN)[:20] + b"\xff" * 50,
        zstandard.compress(PLAIN) + b"garbage",
        zstandard.compress(PLAIN)[:-1],
        zstandard.compress(PLAIN) * 2 + zstandard.compress(PLAIN)[:7],
    ],
    ids=[
        "cut",
        "cut early",
        "checksum",
        "garbage",
        "zeros and garbage",
        "half a magic",
        "second member cut",
        "damage",
        "header",
        "method",
        "zstd damage",
        "zstd garbage",
        "zstd cut",
        "zstd frame cut",
    ],
)
def test_damaged_compression(stored: bytes) -> None:
    with pytest.raises(Malformed, match=r"malformed (gzip|zstd)"):
        decompressed(io.BytesIO(stored)).read()


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_bomb_is_stopped(pack: Callable[[bytes], bytes]) -> None:
    limits = Limits(free_bytes=1 << 20, ratio=20)
    harmless = pack(bytes(1 << 20))
    assert len(decompressed(io.BytesIO(harmless), limits).read()) == 1 << 20
    stream, seen = decompressed(io.BytesIO(pack(bytes(64 << 20))), limits), 0
    with pytest.raises(Malformed, match="fill the disk"):
        while data := stream.read(1 << 20):
            seen += len(data)
    assert seen < 3 << 20


def test_an_error_of_the_machine_is_not_the_layers_fault() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > 100:
                raise OSError(5, "Input/output error")
            return super().read(min(size or 1, 60))

    with pytest.raises(HostError, match="Input/output error"):
        decompressed(Broken(gzip.compress(zlib.compress(PLAIN)))).read()


LAYER = layer_of([directory_entry("d"), file_entry("d/f", b"x" * 5000)])


@pytest.mark.parametrize("compression", ["gzip", "zstd", "none"])
def test_a_good_layer_passes(compression: str) -> None:
    layer = layer_of([directory_entry("d"), file_entry("d/f", b"x" * 5000)], compression=compression)
    assert check_layer(layer) == 512 + 512 + 5120 + 1024
    with open_tar(layer) as tar:
        assert tar.read(1) == b"d"


def test_a_layer_with_another_diff_id_does_not() -> None:
    lie = msgspec.structs.replace(LAYER, diff_id=sha256_digest(b"something else"))
    with pytest.raises(DigestMismatch, match="the unpacked layer"):
        check_layer(lie)
    with pytest.raises(DigestMismatch), open_tar(lie) as tar:
        tar.read(10)


def test_a_layer_whose_tar_is_none() -> None:
    data = b"this is no tar, but its digest is right" * 50
    descriptor = msgspec.structs.replace(LAYER.descriptor, digest=sha256_digest(data), size=len(data))
    with pytest.raises(Malformed):
        check_layer(Layer(descriptor, sha256_digest(data), opener_of(data)))


def test_an_artifacts_blob_is_no_layer() -> None:
    with pytest.raises(Malformed, match="no image"):
        check_layer(msgspec.structs.replace(LAYER, diff_id=Digest("")))


def test_other_compressions_are_no_tar() -> None:
    with pytest.raises(Malformed):
        members(decompressed(io.BytesIO(bz2.compress(PLAIN))).read())


def test_what_we_write_we_read() -> None:
    pax = (("LIBARCHIVE.creationtime", "7"), ("MSWINDOWS.fileattr", "32"), ("atime", "7"))
    entries = [
        directory_entry("Files"),
        file_entry("Files/app.exe", b"MZ", pax=pax),
        Entry("Files/l", EntryKind.HARDLINK, link_target="Files/app.exe"),
    ]
    with open_tar(layer_of(entries)) as tar:
        found = [(member, content.read()) for member, content in read_tar(tar)]
    assert [(item.name, item.kind, data) for item, data in found] == [
        ("Files", MemberKind.DIRECTORY, b""),
        ("Files/app.exe", MemberKind.FILE, b"MZ"),
        ("Files/l", MemberKind.HARDLINK, b""),
    ]
    assert found[1][0].pax == dict(pax)


def test_an_extended_header_of_a_negative_size() -> None:
    tar = bytearray(written(lambda tar: tar.addfile(info("x" * 120))))
    tar[124:136] = b"\xff" * 12
    tar[148:156] = b" " * 8
    tar[148:156] = b"%06o\0 " % sum(tar[:512])
    with pytest.raises(Malformed, match="extended header"):
        members(bytes(tar))


def test_extended_headers_that_repeat_are_read_as_the_first() -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for number in range(600):
            tar.addfile(info(f"f{number}", pax_headers={"a": str(number % 300), "b": "x"}))

    assert [item.pax for item in members(written(fill))] == [
        {"a": str(number % 300), "b": "x"} for number in range(600)
    ]


def test_a_value_with_line_breaks() -> None:
    value = "1\n5 a=b\n\n"
    (found,) = members(written(lambda tar: tar.addfile(info("f", pax_headers={"comment": value}))))
    assert found.pax == {"comment": value}


def test_records_of_the_same_length_in_another_layout() -> None:
    """An extended header is as long as the one before and is none of its kind: a mark differs, or a value has what looks like one."""
    first = [b"aaaa=1111", b"b=2222"]
    others = [
        [b"aaab=1111", b"b=2222"],
        [b"aaaa=111", b"bb=2222"],
        [b"aaaa=1\n1=", b"b=\n=\n "],
        [b"b=2222", b"aaaa=1111"],
    ]
    data = b"".join(pax_header(*records) + patched({}) for records in (first, *others, first))
    assert [list(item.pax.items()) for item in members(data)] == [
        [tuple(record.decode().split("=", 1)) for record in records] for records in (first, *others, first)
    ]
    with pytest.raises(Malformed, match="damaged extended header"):
        members(pax_header(*first) + patched({}) + pax_header(raw=b"13 aaaa=1111\n9 b=2222x") + patched({}))


def test_a_key_that_stands_twice_and_values_of_other_bytes() -> None:
    data = pax_header(b"k=1", b"k=2") + patched({}) + pax_header(b"k=3", b"k=4") + patched({})
    data += pax_header(b"k=\xff\xff") + patched({}) + pax_header(b"k=\xfe\xfe") + patched({})
    assert [item.pax for item in members(data)] == [
        {"k": "2"},
        {"k": "4"},
        {"k": "\udcff\udcff"},
        {"k": "\udcfe\udcfe"},
    ]


def test_a_time_in_the_records_makes_the_headers_own_of_no_account() -> None:
    header = pax_header(b"mtime=12.5") + patched({(136, 148): b"no number!!\0"})
    assert members(header)[0].mtime == 12
    with pytest.raises(Malformed, match="octal"):
        members(patched({(136, 148): b"no number!!\0"}))
