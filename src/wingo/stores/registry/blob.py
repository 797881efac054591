"""Blobs of a registry as streams: opened when they are read, checked while they are read, resumed when cut."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

from wingo.errors import RemoteError, SizeMismatch
from wingo.oci.descriptor import Descriptor
from wingo.oci.media_types import is_foreign
from wingo.stores.registry.api import NOT_FOUND, OK, PARTIAL, Repository
from wingo.stores.registry.faults import Refusal, network_fault, refusal
from wingo.stores.registry.http1 import NotHttp, Response
from wingo.stores.registry.url import parse_url
from wingo.stores.verified import VerifiedReader

if TYPE_CHECKING:
    from typing import BinaryIO

    from wingo.stores.registry.url import Url

_MAX_CUTS = 4
_PIECE = 1 << 20


class RegistryBlob:
    """Opens one blob; what a layer that was read from a registry carries.

    Attributes:
        repository: where it is.
        descriptor: what it is.
    """

    __slots__ = ("_fetch_urls", "descriptor", "repository")

    def __init__(self, repository: Repository, descriptor: Descriptor, *, fetch_urls: bool = False) -> None:
        self.repository = repository
        self.descriptor = descriptor
        self._fetch_urls = fetch_urls

    def __call__(self) -> BinaryIO:
        """A stream of its bytes, checked while they are read.

        Raises:
            RemoteError: the registry does not give it.
        """
        stream = cast("BinaryIO", ResumedStream(self))
        descriptor = self.descriptor
        return cast("BinaryIO", VerifiedReader(stream, descriptor.digest, descriptor.size, str(self)))

    @property
    def url(self) -> Url:
        """Where the registry has it."""
        return self.repository.url(f"blobs/{self.descriptor.digest}")

    @property
    def doing(self) -> str:
        """What fetching it is called in errors."""
        return f"reading {self}"

    def __str__(self) -> str:
        return f"the blob {self.descriptor.digest} of {self.repository.name}"

    def fetch(self, start: int) -> Response:
        """Asks for the bytes from an offset on; unverified.

        Raises:
            RemoteError: they are refused.
        """
        descriptor = self.descriptor
        try:
            return self.repository.get_blob(descriptor.digest, start=start)
        except Refusal as error:
            if error.status != NOT_FOUND or not is_foreign(descriptor.media_type) or not descriptor.urls:
                raise
            if not self._fetch_urls:
                error.hint = (
                    "It is a layer that is kept elsewhere; allow wingo to fetch such layers from their own addresses."
                )
                raise
            return self._from_urls(start)

    def _from_urls(self, start: int) -> Response:
        """The same bytes from where the manifest says; no credentials go there."""
        transport = self.repository.registry.transport
        problem: RemoteError | None = None
        for text in self.descriptor.urls:
            url = parse_url(text)
            doing = f"reading the layer {self.descriptor.digest}"
            headers = {"Range": f"bytes={start}-"} if start else {}
            try:
                response = transport.request("GET", url, doing, headers=headers)
            except RemoteError as error:
                problem = error
                continue
            if response.status in (OK, PARTIAL):
                return response
            problem = refusal(response, doing, url)
        assert problem is not None, "called with at least one address"
        raise problem


class ResumedStream(io.RawIOBase):
    """A blob's bytes as they come, unverified; asked for anew from where the connection was cut."""

    def __init__(self, blob: RegistryBlob) -> None:
        """Asks for the first bytes.

        Raises:
            RemoteError: they are refused.
            SizeMismatch: the answer announces another size.
        """
        super().__init__()
        self._blob = blob
        self._at = 0
        self._cuts = 0
        self._response: Response | None = None
        self._response = self._ask()

    def readable(self) -> bool:
        """It is."""
        return True

    def close(self) -> None:
        """Gives the connection back, or ends it when bytes are left."""
        response, self._response = self._response, None
        if response is not None:
            response.close()
        super().close()

    def read(self, size: int | None = -1, /) -> bytes:
        """The next bytes, at most `size`; b"" at the end.

        Raises:
            RemoteError: the connection is cut again and again.
        """
        count = _PIECE if size is None or size < 0 else min(size, _PIECE)
        while True:
            try:
                if self._response is None:
                    self._response = self._ask()
                data = self._response.read(count)
            except (OSError, NotHttp) as error:
                self._response = None
                if self._at >= self._blob.descriptor.size:
                    return b""  # we have what we came for; what stands behind it would be a lie anyway
                self._cuts += 1
                if self._cuts > _MAX_CUTS:
                    raise network_fault(error, self._blob.doing, self._blob.url) from error
                self._blob.repository.registry.transport.rest(self._cuts)
                continue
            if data:
                self._cuts = 0
                self._at += len(data)
            return data

    def _ask(self) -> Response:
        """The bytes from where we are.

        A server may answer the wish for a part with the whole; then what we have is read over.
        """
        response = self._blob.fetch(self._at)
        skip = self._at if response.status == OK else 0
        if response.length is not None and response.length != self._blob.descriptor.size - self._at + skip:
            announced = response.length + self._at - skip
            response.close()
            raise SizeMismatch(str(self._blob), self._blob.descriptor.size, announced)
        try:
            if response.status == PARTIAL and not response.headers.get("content-range", "").startswith(
                f"bytes {self._at}-"
            ):
                raise NotHttp("a part that was not asked for")
            while skip:
                skipped = response.read(min(skip, _PIECE))
                if not skipped:
                    raise NotHttp("fewer bytes than before")
                skip -= len(skipped)
        except BaseException:
            response.close()
            raise
        return response
