"""ADD's downloads and archives: fetched only when the network is allowed, recorded by digest, unpacked within limits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, cast

from wingo.archive.entry import Content
from wingo.archive.unpack import Limits, MemberKind, decompressed, read_tar, safe_components
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.errors import ContentError, HostError, Malformed, RemoteError, WingoError
from wingo.oci.digest import Digest
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, LINK, SPECIAL, Found

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

Keep = Callable[[BinaryIO, str], Content]
"""Keeps a stream's bytes; the text says where they come from."""
MAX_DOWNLOAD = 4 << 30
_CHUNK = 1 << 20
_MAX_PATH = 4096
"""Linux's PATH_MAX; a longer name cannot be put anywhere, and thousands of directories in each other take for ever."""
_ARCHIVE_LIMITS = Limits(entries=500_000, free_bytes=1 << 30, ratio=200)
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd")


class Downloads:
    """Fetches URLs into the cache.

    Attributes:
        fetched: the digest of everything that was fetched, by URL.
    """

    def __init__(self, places: Places, *, allow_network: bool) -> None:
        self._places, self._allowed = places, allow_network
        self.fetched: dict[str, str] = {}

    def fetch(self, url: str, at: At, checksum: str = "") -> Content:
        """A URL's bytes.

        Raises:
            DockerfileError: the network is not allowed, or it is not what it must be.
            RemoteError: the server refuses or cannot be reached.
        """
        known = self._known(checksum)
        if known is not None:
            return known
        if not self._allowed:
            raise DockerfileError(
                at,
                f"{printable(url)} is to be downloaded, and the build may not use the network",
                hint="Give --allow-network.",
            )
        if not url.startswith(("http://", "https://")):
            raise DockerfileError(at, f"{printable(url)} is no http or https address")
        try:
            digest, size = self._download(url)
        except RemoteError as error:
            raise RemoteError(f"{at}: {error}", status=error.status, hint=error.hint) from error
        except Malformed as error:
            raise DockerfileError(at, f"the address of a download: {error}") from error
        if checksum and digest != checksum:
            raise DockerfileError(at, f"{printable(url)} is {digest}, and --checksum says {checksum}")
        self.fetched[url] = digest
        return self._content(digest, size, url)

    def _known(self, checksum: str) -> Content | None:
        if not checksum.startswith("sha256:"):
            return None
        blobs = self._places.cache.blobs
        if not blobs.has(Digest(checksum)):
            return None
        return self._content(checksum, os.path.getsize(blobs.path(Digest(checksum))), checksum)

    def _content(self, digest: str, size: int, origin: str) -> Content:
        return cached_content(self._places, digest, size, origin)

    def _download(self, url: str) -> tuple[str, int]:
        from wingo.stores.registry.faults import network_fault
        from wingo.stores.registry.http1 import NotHttp
        from wingo.stores.registry.url import parse_url

        address, doing = parse_url(url), f"downloading {printable(url)}"
        hasher, size = hashlib.sha256(), 0
        with self._places.transport() as transport, self._places.cache.blobs.writer() as writer:
            answer = transport.request("GET", address, doing, headers={"Accept-Encoding": "identity"})
            if answer.status != HTTPStatus.OK:
                answer.close()
                raise RemoteError(f"{doing}: {address.authority} says {answer.status}", status=answer.status)

            def read() -> bytes:
                try:
                    return answer.read(_CHUNK)
                except (OSError, NotHttp) as error:
                    raise network_fault(error, doing, address) from error

            while data := read():
                size += len(data)
                if size > MAX_DOWNLOAD:
                    raise RemoteError(f"{printable(url)} has more than {MAX_DOWNLOAD >> 30} GiB")
                hasher.update(data)
                writer.write(data)
            writer.keep()
        return f"sha256:{hasher.hexdigest()}", size


def is_archive(content: Content) -> bool:
    """Whether ADD unpacks it: a tar, compressed or not (as Docker looks: at the first bytes)."""
    with content.open() as stream:
        head = stream.read(262)
    return head.startswith(_MAGIC) or head[257:262] == b"ustar"


def read_archive(content: Content, at: At, keep: Keep, note: Callable[[str], None] = lambda _: None) -> list[Found]:
    """A tar's members, contained in the directory that they go to.

    Args:
        content: of the archive.
        at: for messages.
        keep: keeps a member's bytes.
        note: is told of devices and pipes, which are left out.

    Raises:
        DockerfileError: it is damaged, a bomb, or its names lead out of it.
    """
    try:
        with content.open() as stored:
            limit = max(_ARCHIVE_LIMITS.free_bytes, content.size * _ARCHIVE_LIMITS.ratio)
            members = list(_members(_opened(stored), keep, limit))
    except (EOFError, OSError, ValueError) as error:
        raise DockerfileError(at, f"{printable(content.origin)} is damaged: {error}") from error
    except WingoError as error:
        raise DockerfileError(at, f"{printable(content.origin)}: {error}", hint=error.hint) from error
    if special := [member.path for member in members if member.kind == SPECIAL]:
        more = f" and {len(special) - 1} more" if len(special) > 1 else ""
        note(f"{at}: devices and pipes of an archive are left out: {printable(special[0])}{more}")
    return [member for member in members if member.kind != SPECIAL]


def _opened(stored: BinaryIO) -> BinaryIO:
    """The uncompressed tar; bzip2 and xz are what layers never are, and ADD takes."""
    head = stored.read(6)
    stored.seek(0)
    if head.startswith(b"BZh"):
        import bz2

        return cast("BinaryIO", bz2.open(stored))
    if head.startswith(b"\xfd7zXZ"):
        import lzma

        return cast("BinaryIO", lzma.open(stored))
    return decompressed(stored, _ARCHIVE_LIMITS)


def _components(name: str) -> tuple[str, ...]:
    if len(name) > _MAX_PATH:
        raise Malformed("name", f"{printable(name, 80)} has more than {_MAX_PATH} characters")
    return safe_components(name)


def _members(tar: BinaryIO, keep: Keep, limit: int) -> Iterator[Found]:
    seen: dict[str, Found] = {}
    total = 0
    for member, stream in read_tar(tar, _ARCHIVE_LIMITS):
        parts = _components(member.name)
        if not parts:
            continue
        path = "/".join(parts)
        if any(
            (above := seen.get("/".join(parts[:length]))) is not None and above.kind == LINK
            for length in range(1, len(parts))
        ):
            raise ContentError(f"{printable(path)} lies below a link of the archive")
        kind = {MemberKind.FILE: FILE, MemberKind.DIRECTORY: DIRECTORY, MemberKind.SYMLINK: LINK}.get(member.kind)
        if member.kind is MemberKind.HARDLINK:
            target = seen.get("/".join(safe_components(member.link_target)))
            if target is None or target.kind != FILE:
                raise ContentError(f"{printable(path)} is a hard link to nothing in the archive")
            found = Found(path, FILE, target.mode, target.uid, target.gid, target.content)
        elif kind is None:
            found = Found(path, SPECIAL)
        else:
            total += member.size
            if total > limit:
                raise ContentError(f"it is a bomb: it has more than {limit} bytes in it")
            kept = keep(stream, path) if kind == FILE else None
            found = Found(
                path, kind, member.mode, member.uid, member.gid, kept, member.link_target if kind == LINK else ""
            )
        seen[path] = found
        yield found


def cached_content(places: Places, digest: str, size: int, origin: str) -> Content:
    """Bytes that the cache has."""

    def open_blob() -> BinaryIO:
        from wingo.oci.descriptor import Descriptor

        stream = places.cache.blobs.open(Descriptor("application/octet-stream", Digest(digest), size))
        if stream is None:
            raise HostError(f"{origin} has gone from the cache", hint="Run the same command again.")
        return stream

    return Content(size, open_blob, origin, digest)


def keep_in_cache(places: Places) -> Keep:
    """Keeps bytes in the cache."""

    def keep(stream: BinaryIO, origin: str) -> Content:
        size = 0
        with places.cache.blobs.writer() as writer:
            while data := stream.read(_CHUNK):
                size += len(data)
                writer.write(data)
            digest = writer.keep()
        return cached_content(places, digest, size, origin)

    return keep


def read_zip(content: Content, at: At, keep: Keep) -> Sequence[Found]:
    """A zip's members, contained in the directory that they go to.

    Raises:
        DockerfileError: it is damaged, a bomb, encrypted, or its names lead out of it.
    """
    import shutil
    import tempfile
    import zipfile

    found: list[Found] = []
    total = 0
    try:
        with tempfile.TemporaryFile() as file:
            with content.open() as stored:
                shutil.copyfileobj(stored, file, _CHUNK)
            archive = zipfile.ZipFile(file)
            infos = archive.infolist()
            if len(infos) > _ARCHIVE_LIMITS.entries:
                raise DockerfileError(
                    at, f"{printable(content.origin)} has more than {_ARCHIVE_LIMITS.entries} members"
                )
            for info in infos:
                parts = _components(info.filename.replace("\\", "/"))
                if not parts:
                    continue
                path = "/".join(parts)
                if info.is_dir():
                    found.append(Found(path, DIRECTORY, 0o755))
                    continue
                total += info.file_size
                if total > max(_ARCHIVE_LIMITS.free_bytes, content.size * _ARCHIVE_LIMITS.ratio):
                    raise DockerfileError(
                        at, f"{printable(content.origin)} is a bomb: it has more than {total} bytes in it"
                    )
                with archive.open(info) as stream:
                    found.append(Found(path, FILE, 0o644, content=keep(cast("BinaryIO", stream), path)))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError) as error:
        raise DockerfileError(at, f"{printable(content.origin)} is no zip that can be read: {error}") from error
    except Malformed as error:
        raise DockerfileError(at, f"{printable(content.origin)}: {error.problem}", hint=error.hint) from error
    return found
