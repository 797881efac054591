"""Calls and addresses in machine code, and the libraries that a program loads while it runs."""

from __future__ import annotations

from struct import pack

import pytest

from wingo.binary.code import Code
from wingo.binary.functions import read_functions
from wingo.binary.lazy import Evidence, lazy_libraries
from wingo.binary.read import examine, open_program
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_pe

TEXT = PE_BASE + 0x1000
RDATA = PE_BASE + 0x5000
FUNCTIONS = [("main.main", 64), ("os/exec.(*Cmd).Start", 64), ("example.com/x.F", 64), ("syscall.init", 64)]


def code_of(placed: dict[int, bytes]) -> bytes:
    code = bytearray(b"\xcc" * 256)
    for at, part in placed.items():
        code[at : at + len(part)] = part
    return bytes(code)


def go_pe(code: bytes, texts: bytes = b"", functions=FUNCTIONS, arch="amd64", data: bytes = b"", **more) -> bytes:
    table = go_functions(functions, text=TEXT, **more)
    return make_pe(code=code, rdata=texts.ljust(0x800, b"\xee") + table, arch=arch, data=data or b"\0" * 16)


def test_calls_x86():
    code = code_of(
        {3: b"\xe8" + pack("<i", 64 - 8), 150: b"\xe8" + pack("<i", 64 - 155), 200: b"\xe8" + pack("<i", 65 - 205)}
    )
    program = open_program(go_pe(code))
    found = Code(program, read_functions(program))
    assert found.understood
    assert found.callers(["os/exec.(*Cmd).Start", "main.main"]) == {
        "os/exec.(*Cmd).Start": frozenset({"main.main", "example.com/x.F"})
    }


def test_calls_arm64():
    code = code_of({8: pack("<I", 0x9400_0000 | 14), 128: pack("<I", 0x9400_0000 | (-16 & 0x3FF_FFFF))})
    program = open_program(go_pe(code, arch="arm64"))
    assert Code(program, read_functions(program)).callers(["os/exec.(*Cmd).Start"]) == {
        "os/exec.(*Cmd).Start": frozenset({"main.main", "example.com/x.F"})
    }


def test_code_that_is_not_understood():
    functions = go_functions(FUNCTIONS, text=0x40_0000, big=True)
    program = open_program(make_elf(arch="s390x", sections={".gopclntab": functions}))
    code = Code(program, read_functions(program))
    assert not code.understood
    assert code.callers(["main.main"]) == {}


def lea(at: int, target: int, length: int) -> bytes:
    return b"\x48\x8d\x05" + pack("<i", target - (TEXT + at + 7)) + b"\xbb" + pack("<I", length)


def names(data: bytes):
    found = examine(data)
    assert found is not None
    return {each.name: each for each in found.libraries}


def test_a_name_that_code_refers_to():
    texts = b"prefixwlanapi.dllother.dllrest"
    code = code_of({130: lea(130, RDATA + 6, 11), 10: lea(10, RDATA + 17, 4)})
    found = names(go_pe(code, texts))
    assert set(found) == {"wlanapi.dll"}
    assert found["wlanapi.dll"].evidence is Evidence.NAMED
    assert found["wlanapi.dll"].functions == ("example.com/x.F",)


@pytest.mark.parametrize(
    "move",
    [
        b"\xb9",
        b"\x41\xb8",
        b"\xc7\x00",
        b"\x48\xc7\x40\x18",
        b"\x48\xc7\x44\x24\x08",
        b"\xc7\x81\0\1\0\0",
        b"\xc7\x84\x24\0\1\0\0",
    ],
)
def test_the_ways_to_write_a_length(move):
    code = code_of({130: lea(130, RDATA, 0)[:7] + move + pack("<I", 11)})
    assert set(names(go_pe(code, b"wlanapi.dll"))) == {"wlanapi.dll"}
    code = code_of({130: lea(130, RDATA, 0)[:7] + b"\x3d" + pack("<I", 11)})  # a comparison is none
    assert names(go_pe(code, b"wlanapi.dll")) == {}


def test_the_length_must_stand_there():
    assert names(go_pe(code_of({130: lea(130, RDATA + 6, 12)}), b"prefixwlanapi.dllother.dllrest")) == {}


def test_arm64_address_and_length():
    add = 0x9100_0000 | 6 << 10 | 1 << 5 | 1
    page = (RDATA >> 12) - (TEXT >> 12)
    adrp = 0x9000_0000 | (page & 3) << 29 | page >> 2 << 5 | 1
    placed = {128: pack("<III", adrp, add, 0xD280_0000 | 11 << 5 | 2)}
    assert set(names(go_pe(code_of(placed), b"prefixwlanapi.dllrest", arch="arm64"))) == {"wlanapi.dll"}
    # 12 is written as a pattern of bits: ORR x2, xzr, #12
    placed = {128: pack("<III", adrp, add, 0xB27E_07E2)}
    assert set(names(go_pe(code_of(placed), b"prefixdwmapi12.dll...", arch="arm64"))) == {"dwmapi12.dll"}


def test_names_that_only_the_start_of_syscall_mentions_load_nothing():
    texts = b"netapi32.dll"
    code = code_of({200: lea(200, RDATA, 12)})
    assert names(go_pe(code, texts)) == {}
    found = names(go_pe(code, texts, [*FUNCTIONS, ("syscall.NetUserGetInfo", 32)]))
    assert found["netapi32.dll"].evidence is Evidence.CALLED
    assert found["netapi32.dll"].functions == ("syscall.NetUserGetInfo",)
    inlined = names(go_pe(code, texts, inlined=["syscall.NetUserGetInfo"]))
    assert inlined["netapi32.dll"].evidence is Evidence.CALLED


def test_a_name_that_data_refers_to():
    texts = b"prefixwlanapi.dlluser32.dll"
    data = pack("<QQ", RDATA + 6, 11) + pack("<QQ", RDATA + 17, 10)
    found = names(go_pe(b"\xc3", texts, data=data))
    # One variable for user32.dll is that of x/sys, which every program has that uses x/sys.
    assert set(found) == {"wlanapi.dll"}
    assert found["wlanapi.dll"].functions == ()
    assert set(names(go_pe(b"\xc3", texts, data=data + data[16:]))) == {"wlanapi.dll", "user32.dll"}
    assert names(go_pe(b"\xc3", texts, data=pack("<QQ", RDATA + 6, 10))) == {}


def test_the_runtime_itself():
    wide = b"".join(f"{name}\0".encode("utf-16-le") for name in ("ntdll.dll", "powrprof.dll", "foo.dll"))
    found = names(go_pe(b"\xc3", data=b"\0\0" + wide))
    assert {name: each.evidence for name, each in found.items()} == {
        "ntdll.dll": Evidence.CALLED,
        "foo.dll": Evidence.WRITTEN,
    }


def test_c_programs():
    text = b"\0wlanapi.dll\0not a nameuser32.dll\0kernel32.dll\0see user32.dll \0" + "Dwm.dll\0".encode("utf-16-le")
    found = names(make_pe({"KERNEL32.dll": ["ExitProcess"]}, rdata=text))
    assert {name: each.evidence for name, each in found.items()} == {
        "wlanapi.dll": Evidence.WRITTEN,
        "dwm.dll": Evidence.WRITTEN,
    }


def test_other_formats_load_none():
    program = open_program(make_elf(data=b"\0wlanapi.dll\0"))
    assert lazy_libraries(program, None) == ()


@pytest.mark.parametrize("data", [b"#!/bin/sh", b""])
def test_examine_of_no_program(data):
    assert examine(data) is None


def test_examine_takes_everything():
    found = examine(go_pe(b"\xc3", data=go_build_info("go1.26.1", "path\tx\n")))
    assert found is not None
    assert found.go is not None
    assert found.go.path == "x"
    assert found.functions is not None
    assert found.functions.names[0] == "main.main"
