"""What the writer writes, as Python's tarfile reads it."""

from __future__ import annotations

import io
import tarfile

import pytest

from wingo.archive.entry import Content, Entry, EntryKind, LayerRecipe
from wingo.archive.tar import entry_headers, tar_size, tar_stream
from wingo.errors import DigestMismatch, HostError, RequestError, SizeMismatch
from wingo.testing.images import content_of, directory_entry, file_entry

WINDOWS_TIMES = (("LIBARCHIVE.creationtime", "7"), ("atime", "7"), ("ctime", "7"))


def tar_of(*entries: Entry, epoch: int = 0) -> bytes:
    return b"".join(tar_stream(LayerRecipe(entries, epoch, "test")))


def read_back(data: bytes) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return tar.getmembers()


def test_plain_entries_are_plain_ustar_headers() -> None:
    data = tar_of(
        directory_entry("app"),
        file_entry("app/program", b"hello", mode=0o755),
        Entry("app/soft", EntryKind.SYMLINK, mode=0o777, link_target="program"),
        Entry("app/hard", EntryKind.HARDLINK, link_target="app/program"),
        epoch=1_700_000_000,
    )
    assert len(data) == 512 * (4 + 1 + 2)
    directory, program, soft, hard = read_back(data)
    assert (directory.name, directory.type, directory.mode) == ("app", tarfile.DIRTYPE, 0o755)
    assert data[:5] == b"app/\0", "a directory's name ends in a slash"
    assert (program.name, program.size, program.mode, program.mtime) == ("app/program", 5, 0o755, 1_700_000_000)
    assert (soft.type, soft.linkname) == (tarfile.SYMTYPE, "program")
    assert (hard.type, hard.linkname, hard.size) == (tarfile.LNKTYPE, "app/program", 0)
    assert {(item.uname, item.gname) for item in (directory, program, soft, hard)} == {("", "")}
    assert not any(item.pax_headers for item in (directory, program, soft, hard))
    assert data.endswith(bytes(1024))


def test_owners_are_as_given() -> None:
    (item,) = read_back(tar_of(Entry("a", EntryKind.DIRECTORY, 0o755, uid=65532, gid=1001)))
    assert (item.uid, item.gid) == (65532, 1001)


@pytest.mark.parametrize(
    "name",
    ["n" * 100, "n" * 101, "d/" * 120 + "file", "Ärger/naïve.txt", "日本語" * 60, "with space", "x" * 5000],
    ids=["100", "101", "deep", "latin", "kanji", "space", "5000"],
)
def test_every_name_comes_back(name: str) -> None:
    items = read_back(tar_of(file_entry(name, b"x"), Entry("link", EntryKind.SYMLINK, link_target=name)))
    assert [items[0].name, items[1].linkname] == [name, name]


def test_a_name_of_100_bytes_needs_no_extended_header_but_a_directory_of_100_does() -> None:
    assert len(entry_headers(file_entry("n" * 100), 0)) == 512
    assert len(entry_headers(directory_entry("n" * 100), 0)) == 3 * 512
    assert len(entry_headers(directory_entry("n" * 99), 0)) == 512


def test_records_are_written_sorted_and_come_back() -> None:
    pax = (("MSWINDOWS.rawsd", "AQAEgBQAAAA="), ("MSWINDOWS.fileattr", "32"), *WINDOWS_TIMES)
    data = tar_of(file_entry("Files/app.exe", b"MZ", pax=pax), epoch=7)
    (item,) = read_back(data)
    assert item.pax_headers == dict(pax)
    body = data[512:1024]
    keys = [line.split(b" ", 1)[1].split(b"=")[0] for line in body.rstrip(b"\0").splitlines()]
    assert keys == sorted(keys)
    assert data[156:157] == b"x"
    assert data == tar_of(file_entry("Files/app.exe", b"MZ", pax=tuple(reversed(pax))), epoch=7)


@pytest.mark.parametrize("length", [*range(1, 30), 80, 90, 91, 92, 93, 94, 990, 991, 992, 993, 994, 9990])
def test_a_record_counts_its_own_length(length: int) -> None:
    (item,) = read_back(tar_of(file_entry("f", b"", pax=[("K", "v" * length)])))
    assert item.pax_headers == {"K": "v" * length}


@pytest.mark.parametrize(
    ("epoch", "uid", "record"),
    [
        (0o77777777777, 0, None),
        (0o77777777777 + 1, 0, "mtime"),
        (-5, 0, "mtime"),
        (0, 0o7777777, None),
        (0, 0o7777777 + 1, "uid"),
    ],
)
def test_a_number_too_large_for_its_field_becomes_a_record(epoch: int, uid: int, record: str | None) -> None:
    (item,) = read_back(tar_of(Entry("f", EntryKind.DIRECTORY, uid=uid), epoch=epoch))
    assert (item.mtime, item.uid) == (epoch, uid)
    assert list(item.pax_headers) == ([record] if record else [])


def test_a_size_beyond_8_gib_becomes_a_record() -> None:
    def entry(size: int) -> Entry:
        return Entry("big", EntryKind.FILE, content=Content(size, io.BytesIO, "big"))

    assert len(entry_headers(entry(8 * 2**30 - 1), 0)) == 512
    headers = entry_headers(entry(8 * 2**30), 0)
    info = tarfile.TarInfo.frombuf(headers[1024:1536], "utf-8", "strict")
    assert b"size=8589934592\n" in headers[512:1024]
    assert info.size == 0, "readers without PAX must not take a wrong size for the right one"


def test_the_size_is_known_without_reading() -> None:
    entries = (directory_entry("d"), file_entry("d/é" + "x" * 200, b"1" * 700, pax=WINDOWS_TIMES), file_entry("e"))
    assert tar_size(LayerRecipe(entries, 7, "")) == len(tar_of(*entries, epoch=7))


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "a/../b",
        "a/..",
        ".",
        "./a",
        "a/./b",
        "a//b",
        "a/",
        "a\0b",
        "\udcff",
        "n" * 40000,
    ],
)
def test_names_that_no_layer_should_have_are_refused(name: str) -> None:
    with pytest.raises(RequestError):
        tar_of(file_entry(name, b""))


@pytest.mark.parametrize("name", ["...", "..a", "a..", "a/...b", ".hidden", "-rf", "a\nb", "a=b", "c:\\d"])
def test_odd_names_that_are_names_are_kept(name: str) -> None:
    (item,) = read_back(tar_of(file_entry(name, b"")))
    assert item.name == name


def test_a_name_that_stands_there_twice_is_refused_and_named() -> None:
    with pytest.raises(RequestError, match="'a/b' stands in the layer twice"):
        tar_of(file_entry("a/b", b"1"), file_entry("a/b", b"2"))


@pytest.mark.parametrize(
    "entry",
    [
        Entry("f", EntryKind.FILE),
        Entry("d", EntryKind.DIRECTORY, content=content_of(b"")),
        Entry("l", EntryKind.SYMLINK),
        Entry("l", EntryKind.HARDLINK),
        Entry("d", EntryKind.DIRECTORY, link_target="x"),
        Entry("l", EntryKind.SYMLINK, link_target="a\0b"),
        Entry("d", EntryKind.DIRECTORY, uid=-1),
        Entry("f", EntryKind.FILE, content=Content(-1, io.BytesIO, "x")),
        directory_entry("d", pax=[("path", "/etc")]),
        directory_entry("d", pax=[("size", "5")]),
        directory_entry("d", pax=[("mtime", "5")]),
        directory_entry("d", pax=[("GNU.sparse.map", "0,1")]),
        directory_entry("d", pax=[("a=b", "c")]),
        directory_entry("d", pax=[("", "c")]),
        directory_entry("d", pax=[("a", "b\0c")]),
        directory_entry("d", pax=[("a", "b"), ("a", "c")]),
    ],
)
def test_entries_that_contradict_themselves_are_refused(entry: Entry) -> None:
    with pytest.raises(RequestError):
        entry_headers(entry, 0)


@pytest.mark.parametrize(("claimed", "actual"), [(3, 2), (3, 4), (0, 1), (2 << 20, (2 << 20) + 1), (2 << 20, 1 << 20)])
def test_a_file_that_changed_its_length_is_named(claimed: int, actual: int) -> None:
    content = Content(claimed, lambda: io.BytesIO(b"x" * actual), "/src/main.exe")
    with pytest.raises(SizeMismatch, match=r"/src/main\.exe") as caught:
        tar_of(Entry("f", EntryKind.FILE, content=content))
    assert "changed while it was read" in caught.value.hint


def test_a_file_that_changed_its_bytes_is_noticed_when_its_digest_is_known() -> None:
    known = content_of(b"before", "/src/main.exe")
    content = Content(known.size, lambda: io.BytesIO(b"after!"), known.origin, known.digest)
    with pytest.raises(DigestMismatch, match=r"/src/main\.exe"):
        tar_of(Entry("f", EntryKind.FILE, content=content))
    assert tar_of(Entry("f", EntryKind.FILE, content=known))


def test_a_file_that_cannot_be_read_is_named() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(HostError, match=r"cannot read /src/main\.exe: Input/output error"):
        tar_of(Entry("f", EntryKind.FILE, content=Content(5, Broken, "/src/main.exe")))


def test_streams_are_closed_also_after_an_error() -> None:
    opened: list[io.BytesIO] = []

    def open_it() -> io.BytesIO:
        opened.append(io.BytesIO(b"abc"))
        return opened[-1]

    tar_of(Entry("f", EntryKind.FILE, content=Content(3, open_it, "x")))
    with pytest.raises(SizeMismatch):
        tar_of(Entry("f", EntryKind.FILE, content=Content(4, open_it, "x")))
    assert [stream.closed for stream in opened] == [True, True]


def test_pieces_are_small_whatever_the_file() -> None:
    size = 5 << 20
    content = Content(size, lambda: io.BytesIO(bytes(size)), "x")
    pieces = list(tar_stream(LayerRecipe((Entry("f", EntryKind.FILE, content=content),), 0, "")))
    assert max(map(len, pieces)) <= 1 << 20
    assert sum(map(len, pieces)) == 512 + size + 1024


def test_extended_attributes_are_bytes() -> None:
    value = bytes(range(256)).decode("utf-8", "surrogateescape")
    (member,) = read_back(tar_of(file_entry("a", b"", pax=[("SCHILY.xattr.security.capability", value)])))
    assert member.pax_headers["SCHILY.xattr.security.capability"].encode("utf-8", "surrogateescape") == bytes(
        range(256)
    )
    for key in ("SCHILY.other", "MSWINDOWS.rawsd"):
        with pytest.raises(RequestError):
            tar_of(file_entry("a", b"", pax=[(key, value)]))
