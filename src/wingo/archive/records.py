"""The records of PAX extended headers (POSIX.1-2017 pax, "pax Extended Header"): `30 mtime=1704758400.1234567`, a line each.

Of a hundred thousand entries, most have the same keys with values of the same lengths: such records are taken apart by the layout of earlier ones,
all at once, which is as strict as taking them one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

import msgspec

from wingo.errors import Malformed

SPARSE = "GNU.sparse"
"""Stands for every key of a sparse file."""
_MAX_KEYS = 1024
_MAX_KNOWN = 256
_MAX_KNOWN_BYTES = 4096
"""Headers, layouts and long values are remembered: so many, of so many bytes each."""
_LONG = 48
"""Bytes of a value that is likely to come again: a security descriptor, not a time."""
_MAX_DIGITS = 11
"""Of a record's length."""


class _Layout(msgspec.Struct, frozen=True):
    r"""Where the values are in a header of some length.

    Attributes:
        keys: of the records.
        marks: what stands before each value, and behind the last: `30 mtime=`, `\n30 atime=`, `\n`.
        split: cuts such a header into marks and values, in turns.
    """

    keys: tuple[str, ...]
    marks: tuple[bytes, ...]
    split: Callable[[bytes], tuple[bytes, ...]]


class Records:
    """Reads the records of one tar."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}
        self._known: dict[bytes, dict[str, str]] = {}
        self._layouts: dict[int, _Layout] = {}
        self._texts: dict[bytes, str] = {}

    def read(self, data: bytes, offset: int) -> dict[str, str]:
        """The records of an extended header, by key: of one that was there before, the same object. Not to be changed.

        Args:
            data: of the header.
            offset: of its block in the tar, for the error.

        Raises:
            Malformed: it is damaged.
        """
        known = self._known.get(data)
        if known is not None:
            return known
        layout = self._layouts.get(len(data))
        if layout is not None and data.isascii() and (parts := layout.split(data))[::2] == layout.marks:
            # There may be a hundred thousand of these.
            records = {
                key: value.decode() if len(value) < _LONG else self._value(value)
                for key, value in zip(layout.keys, parts[1::2], strict=True)
            }
        else:
            records = self._one_by_one(data, offset)
        if len(data) <= _MAX_KNOWN_BYTES:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[data] = records
        return records

    def _one_by_one(self, data: bytes, offset: int) -> dict[str, str]:
        records: dict[str, str] = {}
        ends: list[tuple[int, int]] = []
        position = 0
        while position < len(data):
            space = data.find(b" ", position, position + _MAX_DIGITS + 1)
            digits = data[position:space] if space > 0 else b""
            end = position + int(digits) if digits.isdigit() else 0
            if end <= space or end > len(data) or data[end - 1 : end] != b"\n":
                if not data[position:].strip(b"\0"):
                    break
                raise _damaged(offset)
            equals = data.find(b"=", space + 1, end - 1)
            if equals <= space + 1:
                raise _damaged(offset)
            records[self._key(text(data[space + 1 : equals]))] = self._value(data[equals + 1 : end - 1])
            ends.append((equals + 1, end - 1))
            position = end
        if position == len(data) <= _MAX_KNOWN_BYTES and len(records) == len(ends):
            self._learn(data, tuple(records), ends)
        return records

    def _learn(self, data: bytes, keys: tuple[str, ...], values: list[tuple[int, int]]) -> None:
        if len(self._layouts) >= _MAX_KNOWN:
            self._layouts.clear()
        marks, fields, at = [], "", 0
        for start, end in values:
            marks.append(data[at:start])
            fields += f"{start - at}s{end - start}s"
            at = end
        split = Struct(f"{fields}{len(data) - at}s").unpack
        self._layouts[len(data)] = _Layout(keys, (*marks, data[at:]), split)

    def _key(self, name: str) -> str:
        """A record's key, the same object each time."""
        key = self._keys.get(name)
        if key is None:
            key = SPARSE if name.startswith(SPARSE) else name
            if len(self._keys) < _MAX_KEYS:
                self._keys[name] = key
        return key

    def _value(self, value: bytes) -> str:
        """A value; of long ones that come again, the same object."""
        if len(value) < _LONG:
            return text(value)
        found = self._texts.get(value)
        if found is None:
            found = text(value)
            if len(value) <= _MAX_KNOWN_BYTES:
                if len(self._texts) >= _MAX_KNOWN:
                    self._texts.clear()
                self._texts[value] = found
        return found


def text(data: bytes) -> str:
    """Text of a header: bytes that are no UTF-8 are surrogates."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("utf-8", "surrogateescape")


def _damaged(offset: int) -> Malformed:
    return Malformed("tar", "a damaged extended header", offset=offset)
