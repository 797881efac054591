"""What people write: data, paths and .reg files."""

from __future__ import annotations

import pytest

from wingo.errors import Malformed, RequestError
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue, apply_edits
from wingo.hive.keys import TreeKey, walk
from wingo.hive.paths import Where, parse_where, resolve_control_set
from wingo.hive.regfile import encode_reg, format_edits, format_reg, parse_reg
from wingo.hive.values import Value, number_of, parse_data, show, text_of, texts_of
from wingo.testing.hives import dword, sample_tree

KEYLIGHT = b"""Windows Registry Editor Version 5.00
[HKEY_LOCAL_MACHINE\\software\\microsoft\\rpc]
"DCOM Protocols"=hex(7):00,00
"EpMapDisallowedProtocols"="ncacn_ip_tcp"
"UuidSequenceNumber"=dword:3a72c1b0
[HKEY_LOCAL_MACHINE\\software\\microsoft\\ole]
"EnableDCOM"="N"
"""


@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ("dword:4", 4, b"\4\0\0\0"),
        ("REG_DWORD:0xff", 4, b"\xff\0\0\0"),
        ("dword_big_endian:1", 5, b"\0\0\0\1"),
        ("qword:1", 11, b"\1" + bytes(7)),
        ("sz:", 1, b"\0\0"),
        ("sz:a:b", 1, b"a\0:\0b\0\0\0"),
        ("expand_sz:%X%", 2, b"%\0X\0%\0\0\0"),
        ("multi_sz:a|b", 7, b"a\0\0\0b\0\0\0\0\0"),
        ("multi_sz:", 7, b"\0\0"),
        ("hex:00ff", 3, b"\0\xff"),
        ("binary:00,ff", 3, b"\0\xff"),
        ("hex(2):", 2, b""),
        ("hex(FFFF0001):01", 0xFFFF0001, b"\1"),
        ("none:", 0, b""),
    ],
)
def test_data(text, kind, data):
    assert parse_data(text) == (kind, data)


@pytest.mark.parametrize(
    "text",
    [
        "4",
        "dword:",
        "dword:-1",
        "dword:4294967296",
        "dword:x",
        "string:a",
        "hex:0",
        "hex(x):00",
        "multi_sz:a||b",
        "sz:a\0b",
    ],
)
def test_data_that_is_none(text):
    with pytest.raises(RequestError):
        parse_data(text)


def test_data_is_read_as_it_is_meant():
    assert text_of(Value("", 1, b"a\0\0\0b\0")) == "a"
    assert texts_of(Value("", 7, b"a\0\0\0b\0")) == ("a", "b")  # real hives lack the last NULs
    assert texts_of(Value("", 7, b"\0\0")) == ()
    assert number_of(Value("", 4, b"\1\0\0")) is None
    assert show(Value("", 4, b"\1\0\0")) == "hex(4):010000"
    assert show(Value("", 1, b"a\0")) == "hex(1):6100"
    assert show(Value("", 99, b"")) == "hex(63):"


@pytest.mark.parametrize(
    ("text", "hive", "path"),
    [
        ("HKLM\\SYSTEM\\Select", "SYSTEM", "Select"),
        ("hklm:\\software", "SOFTWARE", ""),
        ("HKEY_LOCAL_MACHINE\\System", "SYSTEM", ""),
        ("Registry::HKEY_LOCAL_MACHINE\\SAM\\x", "SAM", "x"),
        ("Microsoft.PowerShell.Core\\Registry::HKEY_USERS\\.Default\\a", "DEFAULT", "a"),
        ("Computer\\HKEY_CLASSES_ROOT\\.txt", "SOFTWARE", "Classes\\.txt"),
        ("ControlSet001\\Control", "", "ControlSet001\\Control"),
        ("", "", ""),
    ],
)
def test_paths(text, hive, path):
    assert parse_where(text) == Where(hive, path)


@pytest.mark.parametrize(
    "text", ["HKCU\\Software", "HKCC\\x", "HKLM", "HKLM\\HARDWARE\\x", "HKU\\S-1-5-18", "HKXX:\\a", "HKLM\\DEFAULT"]
)
def test_paths_that_no_hive_has(text):
    with pytest.raises(RequestError):
        parse_where(text)


def test_the_current_control_set():
    root = sample_tree(services=1)
    assert resolve_control_set(root, "currentcontrolset\\Control") == "ControlSet001\\Control"
    assert resolve_control_set(root, "ControlSet002\\Control") == "ControlSet002\\Control"
    third = TreeKey("r", b"", children=(TreeKey("Select", b"", contents=(dword("Current", 3),)),))
    assert resolve_control_set(third, "CurrentControlSet") == "ControlSet003"
    with pytest.raises(RequestError, match="Select"):
        resolve_control_set(TreeKey("r", b""), "CurrentControlSet\\x")


def test_the_file_of_microsofts_pause_image():
    software = "HKEY_LOCAL_MACHINE\\software\\microsoft"
    assert parse_reg(KEYLIGHT) == (
        CreateKey(f"{software}\\rpc"),
        SetValue(f"{software}\\rpc", "DCOM Protocols", 7, b"\0\0"),
        SetValue(f"{software}\\rpc", "EpMapDisallowedProtocols", 1, "ncacn_ip_tcp\0".encode("utf-16-le")),
        SetValue(f"{software}\\rpc", "UuidSequenceNumber", 4, bytes.fromhex("b0c1723a")),
        CreateKey(f"{software}\\ole"),
        SetValue(f"{software}\\ole", "EnableDCOM", 1, b"N\0\0\0"),
    )


@pytest.mark.parametrize("encode", ["utf-16", "utf-8-sig", "utf-8", "utf-16-be"])
def test_encodings_and_everything_else(encode):
    text = (
        "Windows Registry Editor Version 5.00\r\n\r\n; a comment\r\n[-HKEY_USERS\\.DEFAULT\\Gone]\r\n[HKEY_USERS\\.DEFAULT\\Ä]\r\n"
        '@="with \\"quotes\\" and \\\\"\r\n"gone"=-\r\n"b" = hex:01,\\\r\n  02,\\\r\n  03 ; yes\r\n"two\r\nlines"="x\r\ny"\r\n'
        '"q"=hex(b):01,00,00,00,00,00,00,00\r\n'
    )
    mark = b"\xfe\xff" if encode == "utf-16-be" else b""
    key = "HKEY_USERS\\.DEFAULT\\Ä"
    assert parse_reg(mark + text.encode(encode)) == (
        DeleteKey("HKEY_USERS\\.DEFAULT\\Gone"),
        CreateKey(key),
        SetValue(key, "", 1, 'with "quotes" and \\\0'.encode("utf-16-le")),
        DeleteValue(key, "gone"),
        SetValue(key, "b", 3, b"\1\2\3"),
        SetValue(key, "two\r\nlines", 1, "x\r\ny\0".encode("utf-16-le")),
        SetValue(key, "q", 11, b"\1" + bytes(7)),
    )


def test_the_old_dialect_has_bytes_of_the_code_page():
    edits = parse_reg(b'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SYSTEM\\\xc4]\n"x"=hex(2):25,41,00\n"y"=hex:25\n')
    assert edits[0].path.endswith("Ä")
    assert edits[1].data == b"%\0A\0\0\0"
    assert edits[2].data == b"%"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("[HKLM]", 1),
        ("REGEDIT5\n", 1),
        ('REGEDIT4\n"a"="b"\n', 2),
        ("REGEDIT4\n[a\n", 2),
        ("REGEDIT4\n[]\n", 2),
        ("REGEDIT4\n[a] b\n", 2),
        ('REGEDIT4\n[a]\n"a"\n', 3),
        ('REGEDIT4\n[a]\n"a"="b\n', 3),
        ('REGEDIT4\n[a]\n"a"="b" c\n', 3),
        ('REGEDIT4\n[a]\n"a"=dword:123456789\n', 3),
        ('REGEDIT4\n[a]\n"a"=hex:0x\n', 3),
        ('REGEDIT4\n[a]\n"a"=hex:100\n', 3),
        ('REGEDIT4\n[a]\n"a"=text\n', 3),
        ('REGEDIT4\n[-a]\n"a"=dword:1\n', 3),
        ("REGEDIT4\n[a]\na=dword:1\n", 3),
    ],
)
def test_files_that_are_none(text, line):
    with pytest.raises(Malformed, match=f"line {line}:"):
        parse_reg(text.encode())


def test_what_is_written_is_read():
    root = "HKEY_LOCAL_MACHINE\\SYSTEM"
    tree = sample_tree(services=3)
    edits = parse_reg(encode_reg(format_reg(root, walk(tree))))
    made = apply_edits(TreeKey("", b""), edits)
    found = {path: list(key.values()) for path, key in walk(made)}
    assert found == {"": [], "HKEY_LOCAL_MACHINE": []} | {
        f"{root}\\{path}" if path else root: list(key.values()) for path, key in walk(tree)
    }


def test_edits_are_written_and_read():
    edits = (
        DeleteKey("HKEY_LOCAL_MACHINE\\SYSTEM\\a"),
        CreateKey("HKEY_LOCAL_MACHINE\\SYSTEM\\b"),
        SetValue("HKEY_LOCAL_MACHINE\\SYSTEM\\b", "", 3, bytes(100)),
        DeleteValue("HKEY_LOCAL_MACHINE\\SYSTEM\\b", 'q"\\'),
    )
    assert parse_reg(format_edits(edits).encode()) == edits
    assert max(map(len, format_edits(edits).splitlines())) <= 80
