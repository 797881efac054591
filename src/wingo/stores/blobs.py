"""`BlobDirectory`: bytes under their digest, `blobs/sha256/<hex>` (image-spec `image-layout.md`, "Blobs").

A blob appears by a rename, so it is there whole or not at all, whoever else writes at the same time. Nothing is flushed
to the disk by force: what a crash of the machine damages is found when it is read, as every read is checked.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, cast

from wingo.errors import ContentError, DigestMismatch, HostError, Malformed, SizeMismatch
from wingo.oci.digest import Digest, Hasher, algorithm_of, encoded_of, parse_digest
from wingo.stores.verified import VerifiedReader

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from wingo.oci.descriptor import Descriptor

_COPY_SIZE = 1 << 20
_STALE_SECONDS = 24 * 3600
_DIRECTORY_MODE = 0o755
_FILE_MODE = 0o644
_TEMPORARY = ".wingo-"


@contextmanager
def host_errors(action: str, path: str) -> Iterator[None]:
    """Turns the operating system's errors into ours, naming the path.

    Raises:
        HostError: for every `OSError` in the block.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        denied = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
        hint = ""
        if full:
            hint = "Make room on the disk that it is on."
        elif denied:
            hint = "Choose a place that you may write, or change its permissions."
        raise HostError(f"cannot {action} {path}: {error.strerror or error}", hint=hint) from error


def make_directory(path: str, mode: int = _DIRECTORY_MODE) -> None:
    """Makes a directory and those above it, with the same permissions whatever the umask.

    Args:
        path: of the directory; nothing is changed when it is there.
        mode: of this one; those above it can be read by all.

    Raises:
        HostError: it cannot be made.
    """
    if os.path.isdir(path):
        return
    with host_errors("make the directory", path):
        parent = os.path.dirname(path)
        if parent and parent != path:
            make_directory(parent)
        try:
            os.mkdir(path)
        except FileExistsError:
            if not os.path.isdir(path):
                raise
        else:
            os.chmod(path, mode)


class NewFile:
    """A file that appears under its name by `commit`, or never.

    Used as a context manager: leaving without `commit` removes what was written.
    """

    def __init__(self, folder: str) -> None:
        """Opens a temporary file.

        Args:
            folder: exists, on the file system that the file is to be on.

        Raises:
            HostError: the directory cannot be written.
        """
        self._folder = folder
        self._path = os.path.join(folder, f"{_TEMPORARY}{os.getpid()}-{os.urandom(8).hex()}")
        with host_errors("write in", folder):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
            self.file: BinaryIO = open(os.open(self._path, flags, 0o600), "w+b", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._there = True

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Writes all of the bytes.

        Raises:
            HostError: the disk is full, or broken.
        """
        view = memoryview(data).cast("B")
        with host_errors("write in", self._folder):
            written = 0
            while written < len(view):
                written += self.file.write(view[written:])
        return written

    def commit(self, path: str, mode: int = _FILE_MODE) -> None:
        """Makes the file appear, in the place of one that is there.

        Raises:
            HostError: it cannot be renamed.
        """
        with host_errors("write", path):
            if sys.platform != "win32":
                os.fchmod(self.file.fileno(), mode)
            self.file.close()
            os.replace(self._path, path)
            self._there = False

    def close(self) -> None:
        """Removes the file unless it was committed."""
        with suppress(OSError):
            self.file.close()
        if self._there:
            with suppress(OSError):
                os.unlink(self._path)
            self._there = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class BlobWriter(NewFile):
    """A blob under way: its digest is known when all is written.

    Attributes:
        hasher: of what was written so far.
    """

    def __init__(self, blobs: BlobDirectory, algorithm: str = "sha256") -> None:
        self._blobs = blobs
        self.hasher = Hasher(algorithm)
        super().__init__(blobs.scratch())

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Writes all of the bytes; see `NewFile.write`."""
        self.hasher.update(data)
        return super().write(data)

    def keep(self) -> Digest:
        """Makes the blob appear under the digest of what was written.

        Raises:
            HostError: it cannot be renamed.
        """
        digest = self.hasher.digest()
        self._blobs.prepare(digest)
        try:
            self.commit(self._blobs.path(digest))
        except HostError:
            # Windows does not replace a file that somebody reads; the bytes are the same.
            if not self._blobs.has(digest, self.hasher.size):
                raise
        return digest


class BlobDirectory:
    """Content-addressed files below a directory; several processes may use it at once.

    Attributes:
        root: the directory that has `blobs/` in it; made when something is written.
    """

    def __init__(
        self, root: str, on_damage: Callable[[Digest, ContentError], None] | None = None, *, private: bool = False
    ) -> None:
        """Takes a directory.

        Args:
            root: need not exist yet.
            private: whether only its owner may enter it, when it is made here.
            on_damage: given: a blob that is found damaged is removed, and this is told.
        """
        self.root = root
        self._on_damage = on_damage
        self._root_mode = 0o700 if private else _DIRECTORY_MODE
        self._swept = False

    def make_root(self) -> None:
        """Makes the root, when missing.

        Raises:
            HostError: it cannot be made.
        """
        make_directory(self.root, self._root_mode)

    def path(self, digest: Digest) -> str:
        """Where the blob is, if it is there."""
        parse_digest(digest)
        return os.path.join(self.root, "blobs", algorithm_of(digest), encoded_of(digest))

    def scratch(self) -> str:
        """A directory on the same file system for files that are not finished; made when missing."""
        self.make_root()
        folder = os.path.join(self.root, "blobs")
        make_directory(folder)
        return folder

    def prepare(self, digest: Digest) -> None:
        """Makes the directory that the blob belongs in."""
        self.make_root()
        make_directory(os.path.dirname(self.path(digest)))

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is there, and of that size when one is given; its bytes are not read."""
        try:
            status = os.stat(self.path(digest))
        except OSError:
            return False
        return size is None or status.st_size == size

    def open(self, descriptor: Descriptor) -> BinaryIO | None:
        """Opens a blob's bytes, which are checked while they are read; None when it is not there.

        Raises:
            SizeMismatch: the file has another size.
            HostError: it cannot be read.
        """
        path = self.path(descriptor.digest)
        with host_errors("read", path):
            try:
                file = open(path, "rb", buffering=0)  # noqa: SIM115  (closed by the reader)
            except FileNotFoundError:
                return None
            actual = os.fstat(file.fileno()).st_size
        what = f"the blob {path}"

        def damaged(error: ContentError) -> None:
            self._damaged(descriptor.digest, error)

        if actual != descriptor.size:
            file.close()
            error = SizeMismatch(what, descriptor.size, actual)
            damaged(error)
            raise error
        return cast("BinaryIO", VerifiedReader(file, descriptor.digest, descriptor.size, what, damaged))

    def read(self, digest: Digest, limit: int) -> bytes | None:
        """A small blob's bytes; None when it is not there, or was damaged and could be removed.

        Raises:
            Malformed: it has more than `limit` bytes.
            DigestMismatch: it is damaged, and this directory is not one that mends itself.
            HostError: it cannot be read.
        """
        path = self.path(digest)
        with host_errors("read", path):
            try:
                with open(path, "rb") as file:
                    data = file.read(limit + 1)
            except FileNotFoundError:
                return None
        if len(data) > limit:
            raise Malformed("document", f"{path} has more than the {limit} bytes that wingo reads")
        hasher = Hasher(algorithm_of(digest))
        hasher.update(data)
        if hasher.digest() != digest:
            error = DigestMismatch(f"the blob {path}", digest, hasher.digest())
            self._damaged(digest, error)
            if self._on_damage is None:
                raise error
            return None
        return data

    def put(self, data: bytes) -> Digest:
        """Keeps bytes; they get their sha256 digest.

        Raises:
            HostError: they cannot be written.
        """
        hasher = Hasher()
        hasher.update(data)
        digest = hasher.digest()
        if not self.has(digest, len(data)):
            with self.writer() as writer:
                writer.write(data)
                writer.keep()
        return digest

    def put_stream(
        self, stream: BinaryIO, descriptor: Descriptor, advance: Callable[[int], None] = lambda _count: None
    ) -> None:
        """Copies a stream in that should be what the descriptor says; nothing appears when it is not.

        Args:
            stream: is read to its end.
            descriptor: says what it should be.
            advance: is told of every few bytes written.

        Raises:
            DigestMismatch: its bytes are others.
            SizeMismatch: there are more or fewer.
            HostError: they cannot be written.
        """
        what = f"the blob {descriptor.digest}"
        with self.writer(algorithm_of(descriptor.digest)) as writer:
            while data := stream.read(_COPY_SIZE):
                writer.write(data)
                advance(len(data))
                if writer.hasher.size > descriptor.size:
                    raise SizeMismatch(what, descriptor.size, writer.hasher.size)
            if writer.hasher.size != descriptor.size:
                raise SizeMismatch(what, descriptor.size, writer.hasher.size)
            if writer.hasher.digest() != descriptor.digest:
                raise DigestMismatch(what, descriptor.digest, writer.hasher.digest())
            writer.keep()

    def writer(self, algorithm: str = "sha256") -> BlobWriter:
        """A blob to write into whose digest is not known yet; a context manager.

        Raises:
            HostError: the directory cannot be written.
        """
        writer = BlobWriter(self, algorithm)
        if not self._swept:
            self._swept = True
            self._remove_stale(os.fstat(writer.file.fileno()).st_mtime)
        return writer

    def remove(self, digest: Digest) -> bool:
        """Removes a blob; whether it was there.

        Raises:
            HostError: it cannot be removed.
        """
        path = self.path(digest)
        with host_errors("remove", path):
            try:
                os.unlink(path)
            except FileNotFoundError:
                return False
        return True

    def list(self) -> Iterator[tuple[Digest, int]]:
        """Every blob's digest and size, in no particular order."""
        for algorithm in ("sha256", "sha512"):
            with suppress(OSError), os.scandir(os.path.join(self.root, "blobs", algorithm)) as entries:
                for entry in entries:
                    with suppress(Malformed, OSError):
                        yield parse_digest(f"{algorithm}:{entry.name}"), entry.stat().st_size

    def _remove_stale(self, now: float) -> None:
        """Removes what writers left behind that were killed more than a day ago."""
        with suppress(OSError), os.scandir(os.path.join(self.root, "blobs")) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.name.startswith(_TEMPORARY) and entry.stat().st_mtime < now - _STALE_SECONDS:
                        os.unlink(entry.path)

    def _damaged(self, digest: Digest, error: ContentError) -> None:
        if self._on_damage is None:
            return
        with suppress(HostError):
            self.remove(digest)
        self._on_damage(digest, error)
