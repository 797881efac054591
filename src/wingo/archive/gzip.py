"""Compression that gives the same bytes on every machine: fixed pieces, each compressed by itself.

A layer is a row of gzip members (RFC 1952 §2.2) or zstd frames (RFC 8878 §3.1), one for each MiB of tar. Hence it can
be compressed by several threads with a result that does not depend on their number, in flat memory. Why libdeflate
and not another: docs/adr.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

PIECE = 1 << 20
"""Bytes of tar in each member or frame; the last has the rest."""
GZIP_LEVEL = 1
ZSTD_LEVEL = 3

Compressor: TypeAlias = Callable[[bytes], bytes | bytearray]
"""Makes a whole member or frame of a piece; may be called from several threads at once."""


class Compression(Enum):
    """How a layer is stored; the value is what users write."""

    GZIP = "gzip"
    ZSTD = "zstd"
    NONE = "none"


def compressor(compression: Compression) -> Compressor:
    """The function that compresses one piece."""
    # The encoders are imported here: the warm path never compresses.
    if compression is Compression.GZIP:
        from deflate import gzip_compress

        # libdeflate writes mtime 0 and the operating system "unknown" (255) on every system.
        return lambda piece: gzip_compress(piece, GZIP_LEVEL)
    if compression is Compression.ZSTD:
        from zstandard import ZstdCompressor

        # A fresh context each: they are not to be shared by threads. The content size is in the frame header.
        return lambda piece: ZstdCompressor(level=ZSTD_LEVEL).compress(piece)
    return lambda piece: piece


def encoder_name(compression: Compression) -> str:
    """The encoder, its version and setting, for the provenance and for telling when the bytes may change."""
    if compression is Compression.GZIP:
        import deflate

        return f"deflate {deflate.__version__} (libdeflate) level {GZIP_LEVEL}, members of {PIECE} bytes"
    if compression is Compression.ZSTD:
        import zstandard

        version = ".".join(str(part) for part in zstandard.ZSTD_VERSION)
        return f"zstd {version} level {ZSTD_LEVEL}, frames of {PIECE} bytes"
    return "none"
