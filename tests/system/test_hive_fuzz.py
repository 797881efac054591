"""Mutated hives through the reader, the merge, the writer and fsck: no unhandled error, no hang, flat memory.

`WINGO_FUZZ=1000000` sets how many; without it, enough to notice.
"""

from __future__ import annotations

import os
import random
import resource
import time

import pytest

from wingo.errors import Malformed, RequestError
from wingo.hive.cells import BASE_BLOCK, checksum
from wingo.hive.fsck import fsck
from wingo.hive.keys import walk
from wingo.hive.merge import merge
from wingo.hive.read import open_hive
from wingo.hive.write import write_hive
from wingo.testing.hives import sample_delta, sample_hive

COUNT = int(os.environ.get("WINGO_FUZZ") or 3_000)
"""Read when the module is, before the tests' environment is cleaned."""

INTERESTING = (
    0,
    1,
    4,
    0x20,
    0x7F,
    0x80,
    0xFF,
    0xFFF8,
    0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000,
    0x8000_0004,
    0xFFFF_FFF8,
    0xFFFF_FFFF,
)


def mutated(hive: bytes, rng: random.Random) -> bytes:
    data = bytearray(hive)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(data)) if rng.random() < 0.3 else BASE_BLOCK + rng.randrange(0, 6000)
        match rng.randrange(5):
            case 0:
                data[at % len(data)] = rng.randrange(256)
            case 1:
                at = at % (len(data) - 4) & ~3
                data[at : at + 4] = rng.choice(INTERESTING).to_bytes(4, "little")
            case 2:  # another reference of the same hive
                at, source = at % (len(data) - 4) & ~3, (BASE_BLOCK + rng.randrange(0, 6000)) & ~3
                data[at : at + 4] = data[source : source + 4]
            case 3:  # a reference to some cell
                at = at % (len(data) - 4) & ~3
                data[at : at + 4] = (rng.randrange(0x20, 6000) & ~7).to_bytes(4, "little")
            case 4 if rng.random() < 0.05:
                del data[rng.randrange(512, len(data)) :]
    if len(data) >= BASE_BLOCK and rng.random() < 0.9:
        data[508:512] = checksum(data).to_bytes(4, "little")
    return bytes(data)


def look(data: bytes, base, *, deep: bool) -> int:
    fsck(data)
    keys = 0
    try:
        root = open_hive(data, allow_dirty=True).root
        for view in (root, merge(base, root)):
            for _, key in walk(view):
                keys += 1
                key.values()
                assert key.security is not None
                assert key.class_name is not None
        rewritten = write_hive(root)
        assert not deep or not any(finding.severe for finding in fsck(rewritten))
    except (Malformed, RequestError):
        pass  # what cannot be read, or what no hive can hold
    return keys


@pytest.mark.timeout(120 + COUNT // 50)
def test_mutated_hives():
    rng = random.Random(4)
    hives = [sample_hive(services=8), sample_delta()]
    base = open_hive(hives[0]).root
    slowest = 0.0
    refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(COUNT):
        data = mutated(hives[number % 2], rng)
        start = time.process_time()
        refused += not look(data, base, deep=number % 16 < 2)
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 2
    assert 0 < refused < COUNT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB
    print(COUNT, "looked at,", refused, "refused at once; the slowest took", slowest)
