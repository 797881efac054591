"""What a program changed in Wine's registry, as edits."""

from __future__ import annotations

import pytest

from wingo.errors import Malformed
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue
from wingo.hive.values import Value
from wingo.launch.wine.changes import MACHINE, registry_changes, value_in
from wingo.launch.wine.registry import WineRegistry

HEAD = "WINE REGISTRY Version 2\n;; All keys relative to \\\\Machine\n\n#arch=win64\n\n"
BEFORE = (
    HEAD
    + '[Software\\\\Kept] 1\n#time=1d\n@="default"\n"A"="same"\n"B"=dword:00000001\n\n'
    + '[Software\\\\Gone\\\\Below] 1\n"A"="x"\n\n'
    + "[Software\\\\Gone\\\\Other] 1\n\n"
    + '[Software\\\\Wine\\\\Fonts] 1\n"A"="x"\n\n'
    + '[System\\\\CurrentControlSet\\\\Enum\\\\X] 1\n"A"="x"\n\n'
)


def test_values_of_every_type_are_read_as_wine_writes_them() -> None:
    after = BEFORE + (
        "[Software\\\\New \\xe4\\\\[Sub\\]] 2\n#time=2d\n"
        '"Text"="w\\xfcrt \\"q\\" \\\\"\n"Expand"=str(2):"%PATH%;x"\n"Several"=str(7):"a\\0b\\0"\n'
        '"Number"=dword:0000000a\n"Long"=hex(b):07,00,00,00,\\\n  00,00,00,00\n"Bytes"=hex:00,01,ff\n"Smile"="\\xd83d\\xde00"\n\n'
    )
    edits = registry_changes(BEFORE, after, MACHINE)
    path = f"{MACHINE}\\Software\\New ä\\[Sub]"
    assert {edit.path for edit in edits} == {path}
    found = {edit.name: (edit.type, edit.data) for edit in edits if isinstance(edit, SetValue)}
    assert found == {
        "Text": (1, 'würt "q" \\\0'.encode("utf-16-le")),
        "Expand": (2, "%PATH%;x\0".encode("utf-16-le")),
        "Several": (7, "a\0b\0\0".encode("utf-16-le")),
        "Number": (4, b"\x0a\0\0\0"),
        "Long": (11, b"\x07" + bytes(7)),
        "Bytes": (3, b"\0\1\xff"),
        "Smile": (1, "\U0001f600\0".encode("utf-16-le")),
    }


def test_what_is_written_is_read_again() -> None:
    registry = WineRegistry(BEFORE)
    edits = [
        SetValue(f"{MACHINE}\\Software\\Kept", "A", 1, "ä\0".encode("utf-16-le")),
        SetValue(f"{MACHINE}\\Software\\Kept\\Deep \\x".replace("\\x", "x"), "", 7, b"a\0\0\0\0\0"),
        DeleteValue(f"{MACHINE}\\Software\\Kept", "B"),
        CreateKey(f"{MACHINE}\\Software\\Empty"),
        DeleteKey(f"{MACHINE}\\Software\\Gone"),
    ]
    for edit in edits:
        registry.change(edit, tuple(edit.path.split("\\")[1:]))
    assert sorted(registry_changes(BEFORE, registry.text(), MACHINE), key=repr) == sorted(edits, key=repr)
    assert value_in(registry.text(), ("SOFTWARE", "KEPT"), "a") == Value("A", 1, "ä\0".encode("utf-16-le"))
    assert value_in(registry.text(), ("SOFTWARE", "NOWHERE"), "a").data == b""


def test_a_key_goes_as_a_whole_and_a_part_of_it_alone() -> None:
    whole = BEFORE.replace('[Software\\\\Gone\\\\Below] 1\n"A"="x"\n\n', "")
    assert registry_changes(BEFORE, whole, MACHINE) == [DeleteKey(f"{MACHINE}\\Software\\Gone\\Below")]
    whole = whole.replace("[Software\\\\Gone\\\\Other] 1\n\n", "")
    assert registry_changes(BEFORE, whole, MACHINE) == [DeleteKey(f"{MACHINE}\\Software\\Gone")]


def test_times_and_what_is_wines_own_are_no_change() -> None:
    after = BEFORE.replace("#time=1d", "#time=2d").replace('Fonts] 1\n"A"="x"', 'Fonts] 2\n"A"="y"')
    after = after.replace('[System\\\\CurrentControlSet\\\\Enum\\\\X] 1\n"A"="x"\n\n', "")
    assert registry_changes(BEFORE, after, MACHINE) == []


@pytest.mark.parametrize("text", ["", "REGEDIT4\n", HEAD + '[Software] 1\n"A"=nonsense\n', HEAD + "[Software\n"])
def test_what_is_no_registry_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        registry_changes(BEFORE, text, MACHINE)


def test_a_program_cannot_change_without_end() -> None:
    after = BEFORE + "".join(f"[Software\\\\N{number}] 1\n\n" for number in range(20_001))
    with pytest.raises(Malformed, match="20001 changes"):
        registry_changes(BEFORE, after, MACHINE)
