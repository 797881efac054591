"""Mutated programs through everything that reads them: no unhandled error, no hang, flat memory.

`WINGO_FUZZ=1000000` sets how many; without it, enough to notice.
"""

from __future__ import annotations

import io
import os
import random
import resource
import time
from struct import pack

import pytest

from wingo.binary.buildinfo import read_build_info
from wingo.binary.functions import read_functions
from wingo.binary.lazy import lazy_libraries
from wingo.binary.read import open_program, read_binary
from wingo.check.capabilities import capabilities
from wingo.errors import Malformed
from wingo.testing.programs import (
    ELF_BASE,
    PE_BASE,
    go_build_info,
    go_build_info_pointers,
    go_functions,
    make_elf,
    make_fat,
    make_macho,
    make_pe,
)

COUNT = int(os.environ.get("WINGO_FUZZ") or 5_000)
"""Read when the module is, before the tests' environment is cleaned."""

MODULES = (
    'path\tx/y\nmod\tx\tv1\th1:a=\ndep\tz\tv2\n=>\t../z\t(devel)\t\nbuild\t-ldflags="-s -w"\nbuild\tGOOS=windows\n'
)
FUNCTIONS = [("main.main", 64), ("os.StartProcess", 32), ("syscall.NetUserGetInfo", 32), ("x/y%2ez.F[...]", 16)]
INTERESTING = (
    0,
    1,
    2,
    4,
    8,
    0x10,
    0x7F,
    0x80,
    0xFF,
    0xFFFF,
    0x10000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFF0,
    0xFFFF_FFFF,
)


def samples() -> list[bytes]:
    texts = b"\0wlanapi.dll\0" + "dwmapi.dll\0".encode("utf-16-le")
    libraries = {"KERNEL32.dll": ["ExitProcess", "#7"], "ws2_32.dll": ["WSAStartup"]}
    info = go_build_info("go1.26.1", MODULES)
    pe_table = go_functions(FUNCTIONS, text=PE_BASE + 0x1000, inlined=["strings.Cut"])
    code = b"\xe8" + pack("<i", 59) + b"\x48\x8d\x05" + pack("<i", 0x4000 - 12) + b"\xbb\x0b\0\0\0" + b"\x90" * 100
    elf = {"interpreter": "/lib/ld-linux.so.2", "needed": ["libc.so.6"], "versions": {"libc.so.6": ["GLIBC_2.2.5"]}}
    made = [
        make_pe(
            libraries,
            {"shell32.dll": ["x"]},
            data=info,
            rdata=texts + pe_table,
            code=code,
            manifest=b"<m/>",
            signature=b"s" * 16,
        ),
        make_pe(libraries, arch="386", rdata=texts, debug=b"d" * 64),
        make_pe(
            data=go_build_info_pointers("go1.17", MODULES, PE_BASE + 0x3000),
            rdata=b"prefixwlanapi.dll" + pe_table,
            arch="arm64",
            code=code,
        ),
        make_elf(data=info, sections={".debug_info": b"d" * 64, ".gopclntab": go_functions(FUNCTIONS, 16)}, **elf),
        make_elf(
            arch="s390x",
            data=go_build_info_pointers("go1.17", MODULES, ELF_BASE + 0x10000, big=True),
            sections={".gopclntab": go_functions(FUNCTIONS, 2, big=True)},
            **elf,
        ),
        make_elf(arch="386", data=info, sections={".gopclntab": go_functions(FUNCTIONS, 18, width=4)}, pie=True),
        make_macho(
            libraries=["/usr/lib/libSystem.B.dylib"],
            data=info + go_functions(FUNCTIONS, 20, text=0x1_0000_0800),
            signature=b"s" * 8,
        ),
    ]
    return [*made, make_fat({"amd64": make_macho(arch="amd64", data=info), "arm64": made[-1]})]


def mutated(data: bytes, places: list[int], rng: random.Random, order: str) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = min(max(rng.choice(places) + rng.randrange(-4, 5), 0), len(changed) - 9)
        match rng.randrange(6):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                changed[at : at + 4] = rng.choice(INTERESTING).to_bytes(4, order)
            case 2:
                changed[at : at + 8] = rng.choice((*INTERESTING, 1 << 32, 1 << 63, (1 << 64) - 1)).to_bytes(8, order)
            case 3:  # another number of the same file
                source = min(rng.choice(places), len(changed) - 9)
                changed[at : at + 4] = changed[source : source + 4]
            case 4:  # a little more or less
                value = int.from_bytes(changed[at : at + 4], order) + rng.choice((-8, -4, -1, 1, 4, 8, 4096))
                changed[at : at + 4] = (value & 0xFFFF_FFFF).to_bytes(4, order)
            case 5 if rng.random() < 0.1:
                del changed[rng.randrange(16, len(changed)) :]
                if len(changed) < 32:
                    break
    return bytes(changed)


def look(data: bytes, *, stream: bool) -> bool:
    """Whether it was read to the end; each part for itself, so that damage in one does not hide the next."""
    whole = True
    try:
        program = open_program(io.BytesIO(data) if stream else data)
    except Malformed as error:
        if error.offset is not None and not 0 <= error.offset <= len(data):
            pytest.fail(f"{error} is not in {len(data)} bytes")
        return False
    if program is None:
        return False
    table = info = None
    try:
        info = read_build_info(program)
    except Malformed:
        whole = False
    try:
        table = read_functions(program)
    except Malformed:
        whole = False
    try:
        lazy_libraries(program, table)
    except Malformed:
        whole = False
    if table is not None:
        table.packages()
        capabilities(program, table, info)
    if info is not None:
        info.text()
    return whole


def test_the_samples_are_whole():
    for data in samples():
        assert look(data, stream=False)
        assert look(data, stream=True)


@pytest.mark.timeout(120 + COUNT // 50)
def test_mutated_programs():
    rng = random.Random(3)
    programs = samples()
    places = [[at for at, byte in enumerate(data) if byte] for data in programs]
    slowest = 0.0
    refused = 0
    for data in programs:  # what is imported and compiled once is no leak
        look(data, stream=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    for number in range(COUNT):
        kind = number % len(programs)
        data = mutated(programs[kind], places[kind], rng, "big" if kind == 4 else "little")
        start = time.process_time()
        refused += not look(data, stream=number % 7 == 0)
        slowest = max(slowest, time.process_time() - start)
    rate = COUNT / max(time.process_time() - started, 1e-9)
    assert slowest < 2
    assert 0 < refused < COUNT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB
    print(COUNT, "looked at,", refused, "refused in part;", round(rate), "a second; the slowest took", slowest)


def test_claims_cost_nothing():
    """A table that claims four million functions; 100 libraries that share one table of 1,000 names."""
    table = bytearray(go_functions(FUNCTIONS))
    table[8:16] = (4_000_000).to_bytes(8, "little")
    with pytest.raises(Malformed):
        read_functions(open_program(make_elf(sections={".gopclntab": bytes(table)})))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    names = 1_000
    data = make_pe({"a.dll": ["N" * 8] * names, **{f"{number}.dll": ["f"] for number in range(120)}})
    records = 0x800  # the import directory; its first record names the first table
    assert data[records + 12 : records + 20] != bytes(8)
    shared = data[records : records + 20]
    with pytest.raises(Malformed, match="imported names"):
        read_binary(data[:records] + shared * 100 + data[records + 20 * 100 :])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
    assert time.process_time() - start < 2


def test_a_sparse_file_of_ten_gigabytes(tmp_path):
    path = tmp_path / "sparse.exe"
    with path.open("wb") as file:
        file.write(make_pe({"KERNEL32.dll": ["ExitProcess"]}))
        file.truncate(10 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with path.open("rb") as file:
        start = time.process_time()
        program = open_program(file)
        assert program is not None
        assert read_build_info(program) is None
        assert time.process_time() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 << 10
