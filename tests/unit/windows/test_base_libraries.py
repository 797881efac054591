from __future__ import annotations

import pytest

from scripts.base_libraries import contradictions, libraries
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.view.layer import read_layer
from wingo.view.merged import make_view
from wingo.windows.base_libraries import TABLES, Knowledge, is_api_set, library_in


def test_what_is_known_has_a_source():
    for flavour, (present, absent) in TABLES.items():
        assert not set(present) & set(absent), flavour
        for name, source in {**present, **absent}.items():
            assert name == name.lower()
            assert len(source) > 20


@pytest.mark.parametrize(
    ("flavour", "name", "knowledge"),
    [
        ("nanoserver", "NETAPI32.dll", Knowledge.ABSENT),
        ("nanoserver", "KERNEL32.DLL", Knowledge.PRESENT),
        ("nanoserver", "vcruntime140.dll", Knowledge.UNKNOWN),
        ("servercore", "netapi32.dll", Knowledge.PRESENT),
        ("servercore", "opengl32.dll", Knowledge.ABSENT),
        ("alpine", "kernel32.dll", Knowledge.UNKNOWN),
    ],
)
def test_libraries_of_a_base(flavour, name, knowledge):
    found = library_in(flavour, name)
    assert found.knowledge is knowledge
    assert bool(found.source) == (knowledge is not Knowledge.UNKNOWN)


def test_api_sets_are_no_files():
    assert is_api_set("API-MS-Win-Core-File-L1-1-0.dll")
    assert is_api_set("ext-ms-win-gdi-dc-l1-2-0.dll")
    assert not is_api_set("kernel32.dll")


def test_a_bases_own_list():
    names = ["Windows", "Windows/System32", "Windows/System32/Netapi32.DLL", "Windows/System32/cmd.exe"]
    entries = [file_entry(f"Files/{name}", b"x") if "." in name else directory_entry(f"Files/{name}") for name in names]
    layer = layer_of([directory_entry("Files"), *entries])
    image = image_of([layer], {"os": "windows", "architecture": "amd64"})
    view = make_view(image, [read_layer(layer, 0, "windows")])
    assert libraries(view) == ["netapi32.dll"]
    wrong = contradictions(libraries(view), "nanoserver", ["netapi32.dll", "kernel32.dll", "other.dll"])
    assert wrong == ["netapi32.dll: the table says absent", "kernel32.dll: the table says present"]
