"""Blobs by digest: whole or not there, checked while read."""

from __future__ import annotations

import errno
import io
import os
import threading

import pytest

from wingo.errors import ContentError, DigestMismatch, HostError, Malformed, SizeMismatch
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, Hasher, sha256_digest
from wingo.stores.blobs import BlobDirectory, NewFile, make_directory

DATA = b"some bytes " * 1000
DIGEST = sha256_digest(DATA)
DESCRIPTOR = Descriptor("application/octet-stream", DIGEST, len(DATA))


@pytest.fixture
def blobs(tmp_path) -> BlobDirectory:
    return BlobDirectory(str(tmp_path / "store"))


def files_of(blobs: BlobDirectory) -> list[str]:
    return sorted(name for _, _, names in os.walk(blobs.root) for name in names)


def test_put_and_read_back(blobs) -> None:
    assert not blobs.has(DIGEST)
    assert blobs.open(DESCRIPTOR) is None
    assert blobs.read(DIGEST, 1 << 20) is None
    assert blobs.put(DATA) == DIGEST
    assert blobs.put(DATA) == DIGEST
    assert blobs.has(DIGEST)
    assert blobs.has(DIGEST, len(DATA))
    assert not blobs.has(DIGEST, len(DATA) - 1)
    assert blobs.read(DIGEST, len(DATA)) == DATA
    with blobs.open(DESCRIPTOR) as stream:
        assert stream.read() == DATA
    assert files_of(blobs) == [DIGEST[7:]]
    assert list(blobs.list()) == [(DIGEST, len(DATA))]
    assert blobs.path(DIGEST) == os.path.join(blobs.root, "blobs", "sha256", DIGEST[7:])


def test_writing_without_knowing_the_digest(blobs) -> None:
    with blobs.writer() as writer:
        for start in range(0, len(DATA), 100):
            writer.write(DATA[start : start + 100])
        assert files_of(blobs) != [DIGEST[7:]]
        assert writer.keep() == DIGEST
    assert blobs.read(DIGEST, len(DATA)) == DATA


def test_leaving_without_keeping_leaves_nothing(blobs) -> None:
    with blobs.writer() as writer:
        writer.write(DATA)
    with pytest.raises(KeyboardInterrupt), blobs.writer() as writer:
        writer.write(DATA)
        raise KeyboardInterrupt
    assert files_of(blobs) == []


def test_a_stream_that_is_right(blobs) -> None:
    counts: list[int] = []
    blobs.put_stream(io.BytesIO(DATA), DESCRIPTOR, counts.append)
    assert sum(counts) == len(DATA)
    assert blobs.read(DIGEST, len(DATA)) == DATA


@pytest.mark.parametrize(
    ("data", "error"),
    [(DATA[:-1], SizeMismatch), (DATA + b"x", SizeMismatch), (b"S" + DATA[1:], DigestMismatch), (b"", SizeMismatch)],
)
def test_a_stream_that_is_not_leaves_nothing(blobs, data, error) -> None:
    with pytest.raises(error):
        blobs.put_stream(io.BytesIO(data), DESCRIPTOR)
    assert files_of(blobs) == []


def damage(blobs: BlobDirectory, data: bytes) -> None:
    with open(blobs.path(DIGEST), "wb") as file:
        file.write(data)


FLIPPED = DATA[:500] + bytes([DATA[500] ^ 1]) + DATA[501:]


@pytest.mark.parametrize(("data", "error"), [(FLIPPED, DigestMismatch), (DATA[:-1], SizeMismatch), (b"", SizeMismatch)])
def test_damage_is_found_and_kept_when_nobody_mends(blobs, data, error) -> None:
    blobs.put(DATA)
    damage(blobs, data)
    with pytest.raises(error), blobs.open(DESCRIPTOR) as stream:
        stream.read()
    with pytest.raises(DigestMismatch):
        blobs.read(DIGEST, 1 << 20)
    assert blobs.has(DIGEST)


@pytest.mark.parametrize("data", [FLIPPED, DATA[:-1], b""])
@pytest.mark.parametrize("how", ["open", "read"])
def test_damage_is_removed_and_said_where_blobs_can_be_had_again(tmp_path, data, how) -> None:
    said: list[tuple[Digest, ContentError]] = []
    blobs = BlobDirectory(str(tmp_path), lambda digest, error: said.append((digest, error)))
    blobs.put(DATA)
    damage(blobs, data)
    if how == "read":
        assert blobs.read(DIGEST, 1 << 20) is None
    else:
        with pytest.raises(ContentError), blobs.open(DESCRIPTOR) as stream:
            stream.read()
    assert not blobs.has(DIGEST)
    assert [digest for digest, _ in said] == [DIGEST]
    blobs.put(DATA)
    assert blobs.read(DIGEST, 1 << 20) == DATA


def test_the_last_bytes_of_a_damaged_blob_are_never_given_out(blobs) -> None:
    blobs.put(DATA)
    damage(blobs, FLIPPED)
    seen = b""
    with pytest.raises(DigestMismatch), blobs.open(DESCRIPTOR) as stream:
        while len(seen) < len(DATA):
            seen += stream.read(1000)
    assert len(seen) < len(DATA)


def test_a_document_that_is_too_large(blobs) -> None:
    blobs.put(DATA)
    with pytest.raises(Malformed, match="more than the 100 bytes"):
        blobs.read(DIGEST, 100)


def test_sha512(blobs) -> None:
    hasher = Hasher("sha512")
    hasher.update(DATA)
    descriptor = Descriptor("x", hasher.digest(), len(DATA))
    blobs.put_stream(io.BytesIO(DATA), descriptor)
    with blobs.open(descriptor) as stream:
        assert stream.read() == DATA
    assert list(blobs.list()) == [(hasher.digest(), len(DATA))]


def test_remove(blobs) -> None:
    blobs.put(DATA)
    assert blobs.remove(DIGEST)
    assert not blobs.remove(DIGEST)
    assert list(blobs.list()) == []


@pytest.mark.parametrize("digest", ["sha256:../../../etc/passwd", "md5:00", "sha256:" + "A" * 64, ""])
def test_what_is_no_digest_is_no_path(blobs, digest) -> None:
    with pytest.raises(Malformed):
        blobs.path(Digest(digest))


def test_strangers_among_the_blobs_are_passed_over(blobs) -> None:
    blobs.put(DATA)
    with open(os.path.join(blobs.root, "blobs", "sha256", "README"), "w") as file:
        file.write("hello")
    assert [digest for digest, _ in blobs.list()] == [DIGEST]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_permissions_do_not_depend_on_the_umask(tmp_path, umask) -> None:
    old = os.umask(umask)
    try:
        blobs = BlobDirectory(str(tmp_path / "a" / "b"))
        blobs.put(DATA)
    finally:
        os.umask(old)
    assert os.stat(blobs.path(DIGEST)).st_mode & 0o777 == 0o644
    for folder in (blobs.root, os.path.dirname(blobs.path(DIGEST))):
        assert os.stat(folder).st_mode & 0o777 == 0o755


def test_a_full_disk_is_named_and_leaves_nothing(blobs, monkeypatch) -> None:
    class Full:
        def __init__(self, file) -> None:
            self.file = file

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

        def __getattr__(self, name):
            return getattr(self.file, name)

    original = NewFile.__init__

    def make(self, folder) -> None:
        original(self, folder)
        self.file = Full(self.file)

    monkeypatch.setattr(NewFile, "__init__", make)
    with pytest.raises(HostError, match="No space left on device") as caught:
        blobs.put(DATA)
    assert blobs.root in str(caught.value)
    assert caught.value.hint == "Make room on the disk that it is on."
    assert files_of(blobs) == []


def test_a_really_full_disk() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with NewFile("/tmp") as file:
        file.file.close()
        file.file = open("/dev/full", "wb", buffering=0)
        with pytest.raises(HostError, match="No space left"):
            file.write(b"x")


def test_a_root_that_is_a_file(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot make the directory"):
        BlobDirectory(str(tmp_path / "file")).put(DATA)
    with pytest.raises(HostError):
        make_directory(str(tmp_path / "file" / "below"))


def test_a_directory_that_may_not_be_written(blobs, monkeypatch) -> None:
    blobs.scratch()

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")  # root, who runs CI, may write everywhere

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(HostError, match="Permission denied") as caught:
        blobs.put(DATA)
    assert "that you may write" in caught.value.hint


def test_many_threads_write_the_same_and_others(blobs) -> None:
    contents = [f"blob {number % 5}".encode() * 1000 for number in range(40)]
    threads = [threading.Thread(target=blobs.put, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {digest for digest, _ in blobs.list()} == {sha256_digest(data) for data in contents}
    assert len(files_of(blobs)) == 5


def test_a_blob_that_somebody_reads_is_not_replaced_on_windows(blobs, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    blobs.put(DATA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with blobs.writer() as writer:
            writer.write(DATA)
            assert writer.keep() == DIGEST
        with pytest.raises(HostError, match="Access is denied"):
            blobs.put(b"other bytes")
    assert files_of(blobs) == [DIGEST[7:]]


def test_what_killed_writers_left_is_removed_after_a_day(blobs) -> None:
    blobs.put(DATA)
    recent, old = blobs.writer(), blobs.writer()
    with recent, old:
        now = os.stat(blobs.path(DIGEST)).st_mtime
        for writer, age in ((recent, 23), (old, 25)):
            os.utime(writer._path, (now - age * 3600, now - age * 3600))
        assert len(files_of(blobs)) == 3
        BlobDirectory(blobs.root).put(b"something else")
        assert not os.path.exists(old._path)
        assert os.path.exists(recent._path)
    assert len(files_of(blobs)) == 2
