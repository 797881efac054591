"""The small PE images: what is in them, byte for byte, read by code that shares nothing with the writer."""

from __future__ import annotations

import hashlib
import struct

import pytest

from wingo.windows.init_exe import INTERRUPT, SHUTDOWN, Ending, init_exe, read_result, unix_path
from wingo.windows.prng_dll import prng_dll
from wingo.windows.small_pe import Code, small_pe


class Pe:
    """Just enough of a reader."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.start = struct.unpack_from("<I", data, 0x3C)[0]
        assert data[:2] == b"MZ"
        assert data[self.start : self.start + 4] == b"PE\0\0"
        self.machine, count, self.time, _, _, optional, self.flags = struct.unpack_from(
            "<HHIIIHH", data, self.start + 4
        )
        self.entry = struct.unpack_from("<I", data, self.start + 24 + 16)[0]
        self.directories = [struct.unpack_from("<II", data, self.start + 24 + 112 + 8 * n) for n in range(16)]
        table = self.start + 24 + optional
        self.sections = [struct.unpack_from("<8sIIII", data, table + 40 * n) for n in range(count)]

    def at(self, address: int, size: int) -> bytes:
        for _, length, begin, _, offset in self.sections:
            if begin <= address < begin + length:
                assert address + size <= begin + length
                return self.data[offset + address - begin : offset + address - begin + size]
        raise AssertionError(f"no section has {address:#x}")

    def text(self, address: int) -> str:
        found = b""
        while (char := self.at(address + len(found), 1)) != b"\0":
            found += char
        return found.decode()

    def number(self, address: int) -> int:
        return struct.unpack("<I", self.at(address, 4))[0]

    def imports(self) -> dict[str, dict[int, str]]:
        found: dict[str, dict[int, str]] = {}
        at = self.directories[1][0]
        while name := self.number(at + 12):
            lookup, addresses = self.number(at), self.number(at + 16)
            functions = {}
            while hint := self.number(lookup):
                assert self.at(lookup, 8) == self.at(addresses, 8)
                functions[addresses] = self.text(hint + 2)
                lookup, addresses = lookup + 8, addresses + 8
            found[self.text(name)] = functions
            at += 20
        return found


DIGESTS = {
    "prng": "7856f10ddaae4a739795ec17239ed110d38a25edaad436a9cca687b6b1bd34f3",
    "init": "fc5fa10d53055878eaf143a34030accbd9a6dde3d8b637931c6397bf0e95025a",
}


@pytest.mark.parametrize(
    ("name", "data"),
    [("prng", prng_dll()), ("init", init_exe())],
)
def test_the_bytes_never_change(name: str, data: bytes) -> None:
    assert hashlib.sha256(data).hexdigest() == DIGESTS[name]


def test_the_dll_exports_process_prng_and_imports_its_source() -> None:
    pe = Pe(prng_dll())
    assert (pe.machine, pe.time, pe.flags & 0x2000, pe.entry) == (0x8664, 0, 0x2000, 0)
    export, size = pe.directories[0]
    assert pe.text(pe.number(export + 12)) == "bcryptprimitives.dll"
    assert (pe.number(export + 20), pe.number(export + 24)) == (1, 1)
    assert pe.number(pe.number(export + 28)) == 0x1000
    assert pe.text(pe.number(pe.number(export + 32))) == "ProcessPrng"
    # A function's address inside the export directory would be taken for a forwarder.
    assert not export <= 0x1000 < export + size
    assert list(pe.imports()["advapi32.dll"].values()) == ["SystemFunction036"]


def test_calls_go_through_the_import_table() -> None:
    pe = Pe(init_exe())
    imported = pe.imports()["kernel32.dll"]
    length = next(size for name, size, *_ in pe.sections if name.startswith(b".text"))
    code = pe.at(0x1000, length)
    called = set()
    for place in range(length - 5):
        if code[place : place + 2] == b"\xff\x15":
            (distance,) = struct.unpack_from("<i", code, place + 2)
            called.add(imported[0x1000 + place + 6 + distance])
    assert called == set(imported.values()) - {"CtrlRoutine"}
    assert pe.entry == 0x1000
    assert pe.flags & 0x2000 == 0


def test_the_frame_can_be_unwound() -> None:
    for data in (prng_dll(), init_exe()):
        pe = Pe(data)
        table, size = pe.directories[3]
        begin, end, unwind = struct.unpack("<III", pe.at(table, size))
        assert (begin, size, unwind % 4) == (0x1000, 12, 0)
        length = next(length for name, length, *_ in pe.sections if name.startswith(b".text"))
        # The handler behind the main function of init.exe is not described.
        assert end - begin == length or pe.at(end, 4) == bytes.fromhex("4883EC48")
        version, prologue, codes, _ = pe.at(unwind, 4)
        assert (version, codes) == (1, 3)
        frame = pe.at(0x1000 + prologue - 1, 1)[0]
        assert pe.at(unwind + 4, 6) == bytes([prologue, (frame // 8 - 1) << 4 | 2, 2, 0x60, 1, 0x30])


def test_the_files_that_say_which_event_is_meant_are_in_it() -> None:
    for path in (SHUTDOWN, INTERRUPT):
        assert (unix_path(path) + "\0").encode("utf-16-le") in init_exe()
    assert unix_path(SHUTDOWN) == r"\\?\unix\run\wingo-shutdown"


def test_a_reference_before_an_immediate_counts_it() -> None:
    code = Code(frame=40)
    code.refer("C7 05", "place+4", "01000000")
    pe = Pe(small_pe(code, {"kernel32.dll": ["ExitProcess"]}, variables={"other": bytes(3), "place": bytes(8)}))
    (distance,) = struct.unpack("<i", pe.at(0x1000 + len(code.prologue) + 2, 4))
    assert 0x1000 + len(code) + distance == 0x3000 + 16 + 4


def test_a_frame_that_would_misalign_calls_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="multiple of 16"):
        Code(frame=48)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (struct.pack("<II", 1, 0xC0000005), (Ending.EXITED, 0xC0000005)),
        (struct.pack("<II", 2, 2), (Ending.NOT_STARTED, 2)),
        (struct.pack("<II", 4, 2), None),
        (b"", None),
        (bytes(9), None),
    ],
)
def test_a_result_is_read(data: bytes, expected: tuple[Ending, int] | None) -> None:
    assert read_result(data) == expected
