"""What a detached program prints: a JSON line for each piece, whole bytes, never more than two files of a size."""

from __future__ import annotations

import binascii
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import BinaryIO

import msgspec

MAX_BYTES = 32 << 20
"""A log is begun anew at this size; the one before is kept."""


class Record(msgspec.Struct, frozen=True):
    """One piece.

    Attributes:
        time: seconds since 1970.
        stream: "stdout" or "stderr".
        data: the bytes.
    """

    time: float
    stream: str
    data: bytes


class LogWriter:
    """Writes a log."""

    def __init__(self, path: str, now: Callable[[], float], limit: int = MAX_BYTES) -> None:
        self._path, self._now, self._limit = path, now, limit
        self._file: BinaryIO = open(path, "ab", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._size = self._file.tell()

    def write(self, stream: str, data: bytes) -> None:
        """Adds a piece; what the disk has no room for is lost."""
        text = binascii.b2a_base64(data, newline=False).decode()
        line = json.dumps({"time": round(self._now(), 3), "stream": stream, "data": text})
        with suppress(OSError):
            self._size += self._file.write(line.encode() + b"\n")
        if self._size > self._limit:
            self._file.close()
            os.replace(self._path, f"{self._path}.1")
            self._file = open(self._path, "ab", buffering=0)  # noqa: SIM115  (closed by `close`)
            self._size = 0

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_log(path: str, *, position: int = 0, older: bool = True) -> Iterator[tuple[Record, int]]:
    """The pieces of a log, each with the place where the next one begins.

    Args:
        path: of the log.
        position: where to begin in the newest file.
        older: whether the file before it is read first.
    """
    if older and os.path.exists(f"{path}.1"):
        for record, _ in read_log(f"{path}.1", older=False):
            yield record, 0
    with suppress(FileNotFoundError), open(path, "rb") as file:
        file.seek(position)
        for line in file:
            if not line.endswith(b"\n"):
                return
            position += len(line)
            with suppress(ValueError, KeyError):
                found = json.loads(line)
                data = binascii.a2b_base64(found["data"])
                yield Record(float(found["time"]), str(found["stream"]), data), position


def last_lines(records: list[Record], count: int) -> list[Record]:
    """The end of a log: its last lines, whichever stream they are on."""
    found: list[Record] = []
    left = count
    for record in reversed(records):
        lines = record.data.splitlines(keepends=True)
        if left <= 0:
            break
        found.append(msgspec.structs.replace(record, data=b"".join(lines[-left:])))
        left -= len(lines)
    return found[::-1]
