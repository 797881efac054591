"""SDDL and the bytes: the constants against the bytes that other builders ship, and every refusal."""

from __future__ import annotations

import base64
import struct

import pytest

from wingo.errors import Malformed, RequestError
from wingo.windows.sddl import format_sddl, parse_sddl, sddl_bytes
from wingo.windows.security import (
    CONTAINER_ADMINISTRATOR,
    CONTAINER_USER,
    DATA_DIRECTORY,
    DATA_FILE,
    FILE_ALL,
    READ_ONLY_DIRECTORY,
    READ_ONLY_FILE,
    AccessEntry,
    AccessList,
    SecurityDescriptor,
    allowed_rights,
    decode_descriptor,
    encode_descriptor,
    file_rights,
    inherited,
    may_be_changed_by,
)

# What others ship, in base64 as they have it in their sources (ko, BuildKit, buildah), and what was computed by hand.
KO = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA=="
BUILDKIT_FILE = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAF"
    "EgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)
BUILDKIT_DIRECTORY = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAF"
    "EgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAA"
    "AAIYAAIAAAABAgAAAAAABSAAAAAhAgAA"
)
BUILDKIT_DIRECTORY_SDDL = "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)"
STRICT_DIRECTORY = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAF"
    "EgAAAAADGACpABIAAQIAAAAAAAUgAAAAIQIAAA=="
)
WRITABLE_DIRECTORY = (
    "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAF"
    "EgAAAAADGAC/ARMAAQIAAAAAAAUgAAAAIQIAAA=="
)


@pytest.mark.parametrize(
    ("sddl", "encoded"),
    [
        ("O:BUG:BU", KO),
        (READ_ONLY_FILE, BUILDKIT_FILE),
        (BUILDKIT_DIRECTORY_SDDL, BUILDKIT_DIRECTORY),
        (READ_ONLY_DIRECTORY, STRICT_DIRECTORY),
        (DATA_DIRECTORY, WRITABLE_DIRECTORY),
    ],
)
def test_descriptors_are_the_bytes_that_others_ship(sddl: str, encoded: str) -> None:
    assert base64.b64encode(sddl_bytes(sddl)).decode() == encoded
    assert format_sddl(decode_descriptor(base64.b64decode(encoded))) == sddl


@pytest.mark.parametrize(
    ("sddl", "written"),
    [
        ("O:S-1-5-32-544G:S-1-5-18D:", "O:BAG:SYD:"),
        ("O:ContainerUserG:containeradministratorD:P", f"O:{CONTAINER_USER}G:{CONTAINER_ADMINISTRATOR}D:P"),
        ("D:PARAI(D;ID;WDWO;;;WD)", "D:PARAI(D;ID;0xc0000;;;WD)"),
        ("D:AIP", "D:PAI"),
        ("G:SYO:BA", "O:BAG:SY"),
        ("D:(A;;FRFX;;;AU)", "D:(A;;0x1200a9;;;AU)"),
        ("D:(A;;0X1F01FF;;;AN)", "D:(A;;FA;;;AN)"),
        ("D:(A;;2032127;;;LS)", "D:(A;;FA;;;LS)"),
        ("D:(A;NPIO;KA;;;NS)", "D:(A;NPIO;0xf003f;;;NS)"),
        ("D:(A;;GRGX;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)", None),
        ("O:S-1-0xFFFFFFFFFFFF-1", "O:S-1-0xffffffffffff-1"),
        ("O:S-1-5-4294967295", "O:S-1-5-4294967295"),
        ("D:(D;;GA;;;IU)(A;;FW;;;SU)", "D:(D;;GA;;;IU)(A;;FW;;;SU)"),
    ],
)
def test_sddl_is_read_and_written_in_one_spelling(sddl: str, written: str | None) -> None:
    descriptor = parse_sddl(sddl)
    if written is not None:
        assert format_sddl(descriptor) == written
    assert parse_sddl(format_sddl(descriptor)) == descriptor
    assert decode_descriptor(encode_descriptor(descriptor)) == descriptor


@pytest.mark.parametrize(
    ("sddl", "at", "says"),
    [
        ("", 1, "empty"),
        ("X:BA", 1, "expected O:"),
        ("BA", 1, "expected O:"),
        ("O:BAO:SY", 5, "second time"),
        ("D:D:", 3, "second time"),
        ("O:", 3, "expected a SID"),
        ("O:XX", 3, "expected a SID"),
        ("O:LA", 3, "one machine or domain"),
        ("O:DA", 3, "one machine or domain"),
        ("O:S-1-5", 3, "expected a SID"),
        ("O:S-2-5-18", 3, "expected a SID"),
        ("O:S-1-5-4294967296", 3, "out of range"),
        ("O:S-1-0xfffffffffffff-1", 3, "expected a SID"),
        ("O:S-1-5" + "-1" * 16, 3, "more than 15"),
        ("O:BA ", 5, "expected O:"),
        ("O:BAS:(AU;SAFA;FA;;;WD)", 5, "audit lists"),
        ("D:NO_ACCESS_CONTROL", 3, "null list"),
        ("D:PP", 4, "once each"),
        ("D:Q", 3, "once each"),
        ("D:(A;;FA;;;BA", 3, "not closed"),
        ("D:(XA;;FX;;;WD;(@User.x==1))", 3, "not closed, or is a conditional one"),
        ("D:(A;;FA;;BA)", 4, "six fields"),
        ("D:(A;;FA;;;BA;x)", 4, "six fields"),
        ("D:(OA;;FA;;;BA)", 4, "which images have no use for"),
        ("D:(a;;FA;;;BA)", 4, "which does not exist"),
        ("D:(A;OX;FA;;;BA)", 6, "inheritance flag"),
        ("D:(A;OIC;FA;;;BA)", 8, "inheritance flag"),
        ("D:(A;SA;FA;;;BA)", 6, "inheritance flag"),
        ("D:(A;OICI;QQ;;;BA)", 11, "not a right"),
        ("D:(A;;FAF;;;BA)", 9, "not a right"),
        ("D:(A;;0x100000000;;;BA)", 7, "not a right"),
        ("D:(A;;017;;;BA)", 7, "not a right"),
        ("D:(A;;4294967296;;;BA)", 7, "not a right"),
        ("D:(A;;;;;BA)", 7, "gives no right"),
        ("D:(A;;0x0;;;BA)", 7, "gives no right"),
        ("D:(A;;FA;bf967aba-0de6-11d0-a285-00aa003049e2;;BA)", 10, "object types"),
        ("D:(A;;FA;;x;BA)", 10, "object types"),
        ("D:(A;;FA;;;BAX)", 14, "end of the entry"),
        ("D:(A;;FA;;;)", 12, "expected a SID"),
        ("D:(A;;FA;;;BA)x", 15, "expected O:"),
        ("O:BA" + " " * 40_000, 1, "longer than"),
    ],
)
def test_other_sddl_is_refused_with_its_place(sddl: str, at: int, says: str) -> None:
    with pytest.raises(RequestError, match=f"character {at}:") as caught:
        parse_sddl(sddl)
    assert says in str(caught.value)


def test_the_refusal_points_at_the_character() -> None:
    with pytest.raises(RequestError) as caught:
        parse_sddl("O:BAG:SYD:(A;;FA;;;BA)(A;;QQ;;;BU)")
    _, excerpt, pointer = str(caught.value).split("\n")
    assert excerpt[pointer.index("^") :].startswith("QQ")


def test_a_list_that_does_not_fit_is_refused() -> None:
    entry = AccessEntry(True, 0, FILE_ALL, "S-1-5-32-544")
    most = (0xFFFF - 8) // 24
    assert encode_descriptor(SecurityDescriptor(access=AccessList((entry,) * most)))
    with pytest.raises(RequestError, match="entries"):
        encode_descriptor(SecurityDescriptor(access=AccessList((entry,) * (most + 1))))


GOOD = sddl_bytes(READ_ONLY_FILE)


def patched(offset: int, layout: str, value: int) -> bytes:
    data = bytearray(GOOD)
    struct.pack_into(layout, data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "header"),
        (GOOD[:19], "header"),
        (patched(0, "B", 2), "revision 1"),
        (patched(2, "<H", 0x0004), "self-relative"),
        (patched(2, "<H", 0x8014), "audit list"),
        (patched(16, "<I", 0), "null"),
        (patched(16, "<I", 0xFFFFFFF0), "behind the end"),
        (patched(4, "<I", 8), "outside"),
        (patched(4, "<I", 0xFFFFFFFF), "outside"),
        (patched(8, "<I", len(GOOD) - 4), "outside"),
        (patched(20, "B", 2), "not a SID"),
        (patched(21, "B", 0), "not a SID"),
        (patched(21, "B", 16), "not a SID"),
        (patched(48, "B", 7), "header is wrong"),
        (patched(50, "<H", 4), "header is wrong"),
        (patched(50, "<H", 0xFFFF), "header is wrong"),
        (patched(52, "<H", 4), "behind the access list's end"),
        (patched(56, "B", 5), "neither allow nor deny"),
        (patched(57, "B", 0x40), "flags"),
        (patched(58, "<H", 20), "not a SID"),
        (patched(58, "<H", 28), "length"),
        (GOOD[:-1], "header is wrong"),
    ],
)
def test_broken_bytes_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(Malformed, match="security descriptor") as caught:
        decode_descriptor(data)
    assert says in str(caught.value)


@pytest.mark.parametrize("sddl", [READ_ONLY_FILE, READ_ONLY_DIRECTORY])
def test_the_service_cannot_change_what_is_read_only(sddl: str) -> None:
    descriptor = parse_sddl(sddl)
    assert not may_be_changed_by(descriptor)
    assert may_be_changed_by(descriptor, {CONTAINER_ADMINISTRATOR, "S-1-5-32-544"})
    assert allowed_rights(descriptor, {"S-1-5-32-545"}) == 0x1200A9


@pytest.mark.parametrize("sddl", [DATA_FILE, DATA_DIRECTORY])
def test_the_service_can_change_its_data_but_not_take_it_over(sddl: str) -> None:
    rights = allowed_rights(parse_sddl(sddl), {"S-1-5-32-545"})
    assert rights & 0x10116 == 0x10116
    assert not rights & 0xC0000


@pytest.mark.parametrize(
    ("sddl", "changes"),
    [
        ("O:BUG:BU", True),  # ko's: no list at all
        (BUILDKIT_DIRECTORY_SDDL, True),  # files can be planted
        ("O:BAG:SYD:", False),
        ("O:BAG:SYD:(A;;GA;;;WD)", True),
        ("O:BAG:SYD:(A;;GR;;;WD)", False),
        ("O:BAG:SYD:(A;OICIIO;GA;;;WD)", False),
        ("O:BAG:SYD:(D;;GW;;;BU)(A;;FW;;;BU)", False),
        ("O:BAG:SYD:(A;;FW;;;BU)(D;;GW;;;BU)", True),
        ("O:BAG:SYD:(A;;SD;;;AU)", True),
        ("O:ContainerUserG:SYD:(A;;FR;;;BU)", True),  # an owner replaces the list
        ("O:BAG:SYD:(A;;FA;;;NS)", False),
    ],
)
def test_it_is_known_who_may_change_a_file(sddl: str, changes: bool) -> None:
    assert may_be_changed_by(parse_sddl(sddl)) is changes


def test_completeness() -> None:
    assert parse_sddl(READ_ONLY_FILE).complete
    assert parse_sddl("O:BAG:SYD:").complete
    for sddl in ("O:BAG:SY", "O:BAD:", "G:BAD:"):
        assert not parse_sddl(sddl).complete


@pytest.mark.parametrize(
    ("parent", "directory", "file"),
    [
        (READ_ONLY_DIRECTORY, READ_ONLY_DIRECTORY, READ_ONLY_FILE),
        (DATA_DIRECTORY, DATA_DIRECTORY, DATA_FILE),
        # Nothing is passed on: the directory's own list holds for what is in it.
        ("O:BAG:SYD:P(A;;FA;;;BA)", "O:BAG:SYD:P(A;;FA;;;BA)", "O:BAG:SYD:P(A;;FA;;;BA)"),
        ("O:BAG:SYD:", "O:BAG:SYD:", "O:BAG:SYD:"),
        # To directories alone, to files alone, one level deep, generic rights spelt out, denials.
        ("O:BAG:SYD:(A;CI;FR;;;BU)(A;;FA;;;BA)", "O:BAG:SYD:(A;CI;FR;;;BU)", "O:BAG:SYD:(A;;FR;;;BU)(A;;FA;;;BA)"),
        ("O:BAG:SYD:(A;OI;GR;;;BU)", "O:BAG:SYD:(A;OIIO;FR;;;BU)", "O:BAG:SYD:(A;;FR;;;BU)"),
        ("O:BAG:SYD:(A;OICINP;FA;;;BA)", "O:BAG:SYD:(A;;FA;;;BA)", "O:BAG:SYD:(A;;FA;;;BA)"),
        ("O:BAG:SYD:(A;OINP;FA;;;BA)(A;OICI;FR;;;BU)", "O:BAG:SYD:(A;OICI;FR;;;BU)", "O:BAG:SYD:(A;;FA;;;BA)(A;;FR;;;BU)"),
        ("O:BAG:SYD:(D;OICIIO;FW;;;BU)(A;OICI;FA;;;BU)", "O:BAG:SYD:(D;OICI;FW;;;BU)(A;OICI;FA;;;BU)", "O:BAG:SYD:(D;;FW;;;BU)(A;;FA;;;BU)"),
        # CREATOR OWNER and CREATOR GROUP are whoever made the child.
        ("O:BAG:SYD:(A;OICIIO;GA;;;CO)", "O:BAG:SYD:(A;;FA;;;BA)(A;OICIIO;FA;;;CO)", "O:BAG:SYD:(A;;FA;;;BA)"),
        ("O:BAG:SYD:(A;CI;FR;;;CG)", "O:BAG:SYD:(A;;FR;;;SY)(A;CIIO;FR;;;CG)", "O:BAG:SYD:(A;;FR;;;CG)"),
    ],
)  # fmt: skip
def test_descriptors_are_inherited_as_on_ntfs(parent: str, directory: str, file: str) -> None:
    assert format_sddl(inherited(parse_sddl(parent), directory=True)) == directory
    assert format_sddl(inherited(parse_sddl(parent), directory=False)) == file


def test_nothing_is_inherited_from_a_directory_without_a_list() -> None:
    with pytest.raises(ValueError, match="access list"):
        inherited(parse_sddl("O:BUG:BU"), directory=True)


@pytest.mark.parametrize(("sddl", "control"), [("D:", 0x8004), ("D:P", 0x9004), ("D:AR", 0x8104), ("D:AI", 0x8404)])
def test_control_bits_are_those_of_windows(sddl: str, control: int) -> None:
    assert struct.unpack_from("<H", sddl_bytes(sddl), 2) == (control,)


@pytest.mark.parametrize(
    ("generic", "rights"),
    [(0x10000000, 0x1F01FF), (0x20000000, 0x1200A0), (0x40000000, 0x120116), (0x80000000, 0x120089), (0x7, 0x7)],
)
def test_generic_rights_mean_the_rights_of_files(generic: int, rights: int) -> None:
    assert file_rights(generic) == rights
    assert file_rights(generic | 0x40) == rights | 0x40


def test_rights_are_those_of_winnt_h() -> None:
    # MS-DTYP 2.5.1.1, "rights", in the order of their bits.
    bits = ["CC", "DC", "LC", "SW", "RP", "WP", "DT", "LO", "CR", *[""] * 7, "SD", "RC", "WD", "WO"]
    bits += [*[""] * 8, "GA", "GX", "GW", "GR"]
    for position, name in enumerate(bits):
        if name:
            access = parse_sddl(f"D:(A;;{name};;;BA)").access
            assert access is not None
            assert access.entries[0].mask == 1 << position, name


@pytest.mark.parametrize(
    ("alias", "sid"),
    [
        ("BA", "S-1-5-32-544"), ("BU", "S-1-5-32-545"), ("BG", "S-1-5-32-546"), ("PU", "S-1-5-32-547"),
        ("WD", "S-1-1-0"), ("CO", "S-1-3-0"), ("CG", "S-1-3-1"), ("OW", "S-1-3-4"), ("NU", "S-1-5-2"),
        ("IU", "S-1-5-4"), ("SU", "S-1-5-6"), ("AN", "S-1-5-7"), ("ED", "S-1-5-9"), ("PS", "S-1-5-10"),
        ("AU", "S-1-5-11"), ("RC", "S-1-5-12"), ("SY", "S-1-5-18"), ("LS", "S-1-5-19"), ("NS", "S-1-5-20"),
        ("WR", "S-1-5-33"), ("AC", "S-1-15-2-1"), ("RU", "S-1-5-32-554"), ("RD", "S-1-5-32-555"),
        ("NO", "S-1-5-32-556"), ("MU", "S-1-5-32-558"), ("LU", "S-1-5-32-559"), ("IS", "S-1-5-32-568"),
        ("CY", "S-1-5-32-569"), ("ER", "S-1-5-32-573"), ("CD", "S-1-5-32-574"), ("RA", "S-1-5-32-575"),
        ("ES", "S-1-5-32-576"), ("MS", "S-1-5-32-577"), ("HA", "S-1-5-32-578"), ("AA", "S-1-5-32-579"),
        ("RM", "S-1-5-32-580"), ("AO", "S-1-5-32-548"), ("SO", "S-1-5-32-549"), ("PO", "S-1-5-32-550"),
        ("BO", "S-1-5-32-551"), ("RE", "S-1-5-32-552"),
    ],
)  # fmt: skip
def test_aliases_are_the_well_known_sids(alias: str, sid: str) -> None:
    # MS-DTYP 2.4.2.4, "Well-Known SID Structures".
    assert parse_sddl(f"O:{alias}").owner == sid
    assert format_sddl(parse_sddl(f"O:{sid}")) == f"O:{alias}"
