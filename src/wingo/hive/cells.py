"""The shapes of regf: base block, hive bins, cells, and the records in them.

Offsets of cells count from the end of the base block, which is 4096 bytes long. Everything is little-endian. The source is
Maxim Suhanov's "Windows registry file format specification" (CC-BY 4.0); its names are ours.
"""

from __future__ import annotations

import struct

BASE_BLOCK = 4096
"""The size of the base block in bytes, and of what bins are multiples of."""

BIN_HEADER = 32
NO_CELL = 0xFFFF_FFFF
"""The offset that stands for "none"."""

MAX_BINS = 0x7FFF_F000
MAX_DEPTH = 512
"""How deep keys may be nested: Windows's own limit."""

MAX_NAME = 255
"""Characters in a key's name."""

MAX_VALUE_NAME = 16_383
SEGMENT = 16_344
"""Bytes of data from which on it is split into segments, in version 1.4 and later."""

LATEST_PLAIN = 5
"""The minor version of a hive without layers, and from which on leaves are `lh`."""

LAYERED = 6
"""The minor version of a hive with layers."""

LAYERED_FLAG = 0x2
"""In the base block's flags: keys have layer bits."""

KEY_VOLATILE, KEY_MOUNT, KEY_ROOT, KEY_NO_DELETE, KEY_LINK, KEY_LATIN, KEY_PREDEFINED = 1, 2, 4, 8, 16, 32, 64
"""The flags of a key node."""

VALUE_LATIN, VALUE_TOMBSTONE = 1, 2
"""The flags of a key value."""

INLINE = 0x8000_0000
"""In a value's data size: the data stands in the offset's place."""

BASE = struct.Struct("<4sIIQIIIIIII64s16s16sI16sI")
"""signature, primary, secondary, written, major, minor, type, format, root, bins, clustering, name, rm, log, flags, tm, signature of the guid."""

HEADER = struct.Struct("<4sIIQQI")
"""A bin: signature, offset, size, reserved, timestamp, spare."""

KEY = struct.Struct("<i2sHQBBHIIIIIIIIIHBBIIIIHH")
"""A key node with its cell's size: size, signature, flags, written, access, layer, spare, parent, subkeys, volatile,
list, volatile list, values, value list, security, class, longest name, user flags, debug, longest class, longest value
name, largest value, work, name bytes, class bytes."""

KEY_READ = struct.Struct("<i2sHQxB2xII4xI4xIIII2xBx16xHH")
"""Of a key node what a reader believes, without what only Windows uses: size, signature, flags, written, layer, parent,
subkeys, list, values, value list, security, class, user flags, name bytes, class bytes."""

KEY_SIZE = 76
VALUE = struct.Struct("<i2sHIIIHH")
"""A key value with its cell's size: size, signature, name bytes, data bytes, data, type, flags, spare."""

VALUE_SIZE = 20
SECURITY = struct.Struct("<i2sHIIII")
"""A security cell with its cell's size: size, signature, reserved, next, previous, references, bytes."""

SECURITY_SIZE = 20
LIST = struct.Struct("<i2sH")
"""A list of subkeys or of segments with its cell's size: size, signature, count."""

MERGE, TOMBSTONE, SUPERSEDE_LOCAL, SUPERSEDE_TREE = 0, 1, 2, 3
"""What a key of a layer does with the same key below, in bits 0 and 1 of the layer byte."""

INHERIT_CLASS = 0x80
"""In the layer byte: the class is that of the key below."""


def checksum(block: bytes | bytearray | memoryview) -> int:
    """The base block's checksum: the exclusive or of its first 127 words, but never 0 or all ones."""
    value = 0
    for word in struct.unpack_from("<127I", block):
        value ^= word
    return {0: 1, 0xFFFF_FFFF: 0xFFFF_FFFE}.get(value, value)
