"""PE, ELF and Mach-O made byte by byte, and their facts; each check has its bad twin."""

from __future__ import annotations

import io
from struct import pack_into

import pytest

from wingo.binary.facts import Format, Import, Kind, Linking, Subsystem, VersionNeed
from wingo.binary.read import read_binary
from wingo.errors import Malformed
from wingo.testing.programs import ELF_BASE, MACHO_BASE, PE_BASE, make_elf, make_fat, make_macho, make_pe

KERNEL = {"KERNEL32.dll": ["ExitProcess", "#7"], "bcrypt.dll": ["BCryptGenRandom"]}
MANIFEST = b'\xef\xbb\xbf<?xml version="1.0"?><assembly/>'


def facts(data):
    found = read_binary(data)
    assert found is not None
    assert read_binary(io.BytesIO(data)) == found
    return found


@pytest.mark.parametrize(
    ("arch", "bits", "machine"), [("amd64", 64, 0x8664), ("386", 32, 0x14C), ("arm64", 64, 0xAA64)]
)
def test_pe(arch, bits, machine):
    binary = facts(make_pe(KERNEL, {"shell32.dll": ["ShellExecuteW"]}, arch=arch, manifest=MANIFEST, debug=b"D" * 700))
    assert (binary.format, binary.kind, binary.os) == (Format.PE, Kind.EXECUTABLE, "windows")
    assert (binary.arch, binary.bits, binary.machine, binary.big_endian) == (arch, bits, machine, False)
    assert binary.imports == (Import("KERNEL32.dll", ("ExitProcess", "#7")), Import("bcrypt.dll", ("BCryptGenRandom",)))
    assert binary.pe is not None
    assert binary.entry == binary.pe.image_base + 0x1000
    assert binary.pe.delay_imports == (Import("shell32.dll", ("ShellExecuteW",)),)
    assert binary.pe.subsystem is Subsystem.CONSOLE
    assert binary.pe.subsystem_version == (6, 1)
    assert binary.pe.manifest == '<?xml version="1.0"?><assembly/>'
    assert (binary.pe.aslr, binary.pe.high_entropy, binary.pe.dep, binary.pe.control_flow_guard) == (
        True,
        True,
        True,
        False,
    )
    assert binary.signature is None
    assert binary.symbols.debug_bytes == 1024
    assert binary.linking is Linking.DYNAMIC
    assert [each.name for each in binary.sections][:2] == [".text", ".data"]


def test_pe_flags_are_read_one_by_one():
    for flags, expected in (
        (0x40, (True, False, False)),
        (0x100, (False, True, False)),
        (0x4000, (False, False, True)),
    ):
        found = facts(make_pe(flags=flags)).pe
        assert found is not None
        assert (found.aslr, found.dep, found.control_flow_guard) == expected


def test_pe_library_and_gui():
    binary = facts(make_pe(library=True, subsystem=2))
    assert binary.kind is Kind.LIBRARY
    assert binary.pe is not None
    assert binary.pe.subsystem is Subsystem.GUI
    assert binary.linking is Linking.STATIC


def test_pe_signature_in_and_out_of_range():
    whole = make_pe(signature=b"S" * 64)
    assert facts(whole).signature is not None
    assert facts(whole).signature.in_range
    cut = facts(whole[:-1])
    assert cut.signature is not None
    assert not cut.signature.in_range


@pytest.mark.parametrize("problem", ["name", "table", "directory", "manifest", "sections"])
def test_pe_that_leads_out_of_the_file(problem):
    data = bytearray(make_pe(KERNEL, manifest=MANIFEST))
    if problem == "sections":
        pack_into("<H", data, 0x46, 0x7FFF)
    elif problem == "manifest":
        at = data.rindex(MANIFEST) - 16
        pack_into("<I", data, at + 4, 0x7FFF_0000)
    else:
        directory = 0x58 + 112 + 8
        if problem == "directory":
            pack_into("<I", data, directory, 0x7FFF_0000)
        else:
            records = 0x800  # .idata, behind the headers, .text and .data
            pack_into("<I", data, records + (12 if problem == "name" else 0), 0x7FFF_0000)
    with pytest.raises(Malformed) as caught:
        read_binary(bytes(data))
    assert caught.value.format == "PE"
    assert caught.value.offset is None or 0 <= caught.value.offset <= len(data)


def test_a_program_for_dos_is_no_pe():
    with pytest.raises(Malformed, match="no PE header") as caught:
        read_binary(b"MZ" + bytes(200))
    assert "DOS" in caught.value.hint


@pytest.mark.parametrize("arch", ["amd64", "386", "arm64", "ppc64", "s390x"])
def test_elf(arch):
    binary = facts(
        make_elf(
            arch=arch,
            interpreter="/lib64/ld-linux-x86-64.so.2",
            needed=["libc.so.6", "libm.so.6"],
            runpath="$ORIGIN/../lib:/opt/lib",
            versions={"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.34"], "libm.so.6": ["GLIBC_2.29"]},
            sections={".debug_info": b"x" * 100},
        )
    )
    assert (binary.format, binary.kind, binary.arch) == (Format.ELF, Kind.EXECUTABLE, arch)
    assert binary.big_endian == (arch in ("ppc64", "s390x"))
    assert binary.bits == (32 if arch == "386" else 64)
    assert binary.imports == (Import("libc.so.6"), Import("libm.so.6"))
    assert binary.linking is Linking.DYNAMIC
    assert binary.os == "linux"
    assert binary.elf is not None
    assert binary.elf.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert binary.elf.runpath == ("$ORIGIN/../lib", "/opt/lib")
    assert binary.elf.version_needs == (
        VersionNeed("libc.so.6", ("GLIBC_2.2.5", "GLIBC_2.34")),
        VersionNeed("libm.so.6", ("GLIBC_2.29",)),
    )
    assert not binary.elf.executable_stack
    assert binary.symbols.debug_bytes == 100
    assert binary.entry == ELF_BASE


def test_elf_linking():
    assert facts(make_elf()).linking is Linking.STATIC
    assert facts(make_elf()).os == ""
    assert facts(make_elf(osabi=9)).os == "freebsd"
    pie = facts(make_elf(pie=True))
    assert (pie.kind, pie.linking) == (Kind.EXECUTABLE, Linking.STATIC_PIE)
    dynamic = facts(make_elf(pie=True, interpreter="/lib/ld-musl-x86_64.so.1", needed=["libc.musl-x86_64.so.1"]))
    assert (dynamic.kind, dynamic.linking, dynamic.os) == (Kind.EXECUTABLE, Linking.DYNAMIC, "linux")
    library = facts(make_elf(soname="libx.so.1", needed=["libc.so.6"]))
    assert (library.kind, library.elf.soname) == (Kind.LIBRARY, "libx.so.1")


def test_elf_cut_short():
    data = make_elf(interpreter="/lib/ld.so", needed=["libc.so.6"])
    with pytest.raises(Malformed, match=r"ELF at byte \d+"):
        read_binary(data[: len(data) - 60])
    with pytest.raises(Malformed, match="the header"):
        read_binary(data[:30])


def test_elf_with_a_name_that_is_nowhere():
    data = bytearray(make_elf(needed=["libc.so.6"]))
    at = bytes(data).index(b"\1" + bytes(7) + b"\1" + bytes(7))
    pack_into("<Q", data, at + 8, 0x7FFF_FFFF)
    with pytest.raises(Malformed, match="a dynamic entry names the text"):
        read_binary(bytes(data))


@pytest.mark.parametrize("arch", ["amd64", "arm64"])
def test_macho(arch):
    binary = facts(make_macho(arch=arch, libraries=["/usr/lib/libSystem.B.dylib"], data=b"d" * 64, signature=b"s" * 32))
    assert (binary.format, binary.kind, binary.arch, binary.os) == (Format.MACHO, Kind.EXECUTABLE, arch, "darwin")
    assert binary.imports == (Import("/usr/lib/libSystem.B.dylib"),)
    assert binary.entry == MACHO_BASE + 0x800
    assert binary.macho is not None
    assert binary.macho.minimum_os == "12.0"
    assert binary.signature is not None
    assert binary.signature.in_range


def test_macho_with_a_damaged_command():
    data = bytearray(make_macho(libraries=["/usr/lib/libSystem.B.dylib"]))
    pack_into("<I", data, 36, 4)
    with pytest.raises(Malformed, match="a load command of 4 bytes"):
        read_binary(bytes(data))


def test_fat_macho():
    binary = facts(make_fat({"amd64": make_macho(arch="amd64"), "arm64": make_macho(arch="arm64")}))
    assert binary.arch == "amd64"
    assert [each.arch for each in binary.slices] == ["amd64", "arm64"]
    with pytest.raises(Malformed, match="a program in it would end"):
        read_binary(make_fat({"amd64": make_macho(arch="amd64")})[:-1])


@pytest.mark.parametrize(
    "data", [b"", b"#!/bin/sh\n", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(20), b"PK\x03\x04", b"\x7fEL"]
)
def test_other_formats_are_none(data):
    """A Java class begins as a fat Mach-O does."""
    assert read_binary(data) is None


def test_sections_have_addresses_with_the_image_base():
    section = facts(make_pe()).section(".data")
    assert section is not None
    assert section.address == PE_BASE + 0x3000
