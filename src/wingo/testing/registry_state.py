"""What the in-process registry keeps, and what can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from io import BytesIO
from typing import BinaryIO, cast

import msgspec

from wingo.oci.digest import Digest


class Auth(Enum):
    """How the registry wants to know who comes."""

    NONE = "none"
    BASIC = "basic"
    BEARER = "bearer"


class Request(msgspec.Struct, frozen=True):
    """One request that was answered.

    Attributes:
        method: the method.
        path: with the query.
        status: of the answer; 0: it was cut off.
        headers: of the request, by lower-case name.
    """

    method: str
    path: str
    status: int
    headers: dict[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.status}"


class Fault(msgspec.Struct, kw_only=True):
    """Something that goes wrong, for some requests.

    Attributes:
        method: of the requests; "" for every method.
        path: a regular expression that is searched in their path and query.
        times: how many requests; negative: all.
        after: how many matching ones go well before.
        status: answered instead, with `body` and `headers`.
        body: of that answer, or in place of the right one.
        headers: more headers, over the right ones.
        without: headers that are left out, in lower case.
        delay: seconds before the answer.
        hang_up: no answer at all: the connection is closed after the request was read.
        early: answered (or hung up) before the body of the request is read.
        cut_after: bytes of the answer's body after which the connection is closed.
        cut_upload_after: bytes of the request's body after which it is; they are kept.
        flip: one bit of the answer's last byte is turned.
        longer: how many more bytes (fewer when negative) Content-Length claims.
        chunked: the body is sent chunked, without a Content-Length.
    """

    method: str = ""
    path: str = ""
    times: int = 1
    after: int = 0
    status: int = 0
    body: bytes | None = None
    headers: dict[str, str] = {}
    without: tuple[str, ...] = ()
    delay: float = 0.0
    hang_up: bool = False
    early: bool = False
    cut_after: int = -1
    cut_upload_after: int = -1
    flip: bool = False
    longer: int = 0
    chunked: bool = False


class Blob(msgspec.Struct, frozen=True):
    """Bytes that are opened when they are asked for."""

    size: int
    open: Callable[[], BinaryIO]


class StoredRepository:
    """What is in one repository: blobs and manifests by digest, digests by tag."""

    def __init__(self) -> None:
        self.blobs: dict[Digest, Blob] = {}
        self.manifests: dict[Digest, tuple[bytes, str]] = {}
        self.tags: dict[str, Digest] = {}


def held(data: bytes) -> Blob:
    """Bytes in memory as a blob."""
    return Blob(len(data), lambda: cast("BinaryIO", BytesIO(data)))
