from __future__ import annotations

import pytest

from wingo.errors import Malformed
from wingo.hive.cells import SUPERSEDE_LOCAL, SUPERSEDE_TREE, TOMBSTONE
from wingo.hive.keys import TreeKey
from wingo.hive.values import Value, encode_text
from wingo.launch.wine.registry import WineRegistry

FILE = r"""WINE REGISTRY Version 2
;; All keys relative to REGISTRY\\Machine

#arch=win64

[Software\\Acme] 1795617973
#time=1dd7cebb7e40e2c
@="default"
"Long"=hex:01,02,\
  03
"Name"="C:\\Program Files"
"Start"=dword:00000002

[Software\\Acme\\Below\\Deep] 1795617973
"x"="y"

[System\\CurrentControlSet\\Services\\A \[b\] \x00e9] 1795617973
"Start"=dword:00000003

"""


def key(name: str, *children: TreeKey, values: tuple[Value, ...] = (), layer: int = 0) -> TreeKey:
    return TreeKey(name, b"", values, children, layer=layer)


def test_what_is_not_touched_stays_byte_for_byte() -> None:
    assert WineRegistry(FILE).text() == FILE


def test_a_value_is_replaced_in_any_case_and_its_neighbours_stay() -> None:
    registry = WineRegistry(FILE)
    registry.set_number(("software", "ACME"), "start", 4)
    assert registry.number(("Software", "Acme"), "Start") == 4
    assert '"Long"=hex:01,02,\\\n  03\n"Name"="C:\\\\Program Files"\n' in registry.text()
    assert "dword:00000002" not in registry.text()


def test_a_delta_adds_replaces_and_deletes() -> None:
    registry = WineRegistry(FILE)
    values = (
        Value("NAME", 1, encode_text("new")),
        Value("Long", 0, b"", tombstone=True),
        Value("", 2, encode_text("%x%")),
        Value('q"\\[\u00e9\U0001f600', 4, bytes([1, 0, 0, 0])),
    )
    registry.apply(key("ROOT", key("Acme", values=values), key("New", key("Sub"))), ("Software",))
    text = registry.text()
    assert '"NAME"=hex(1):6e,00,65,00,77,00,00,00\n' in text
    assert '"Name"' not in text
    assert '"Long"' not in text
    assert "  03" not in text
    assert "@=hex(2):25,00" in text
    assert '@="default"' not in text
    assert r'"q\"\\\[\x00e9\xd83d\xde00"=hex(4):01,00,00,00' in text
    assert '"Start"=dword:00000002' in text
    assert registry.has("Software", "New", "Sub")
    assert WineRegistry(text).text() == text


@pytest.mark.parametrize("layer", [TOMBSTONE, SUPERSEDE_TREE])
def test_a_tombstone_and_a_new_tree_remove_what_is_below(layer: int) -> None:
    registry = WineRegistry(FILE)
    registry.apply(key("ROOT", key("acme", layer=layer)), ("Software",))
    assert not registry.has("Software", "Acme", "Below")
    assert registry.has("Software", "Acme") == (layer == SUPERSEDE_TREE)


def test_a_superseded_key_loses_its_values_and_keeps_its_keys() -> None:
    registry = WineRegistry(FILE)
    registry.apply(key("ROOT", key("Acme", layer=SUPERSEDE_LOCAL, values=(Value("v", 3, b"\1"),))), ("Software",))
    assert registry.number(("Software", "Acme"), "Start") is None
    assert '"v"=hex(3):01' in registry.text()
    assert registry.has("Software", "Acme", "Below", "Deep")


def test_a_renamed_key_is_renamed_below_the_root_alone() -> None:
    registry = WineRegistry(FILE)
    delta = key("ROOT", key("ControlSet001", key("ControlSet001", values=(Value("v", 3, b"\1"),))))
    registry.apply(delta, ("System",), {"ControlSet001": "CurrentControlSet"})
    assert registry.has("System", "CurrentControlSet", "ControlSet001")
    assert not registry.has("System", "ControlSet001")


def test_names_with_brackets_and_letters_beyond_ascii_are_read() -> None:
    registry = WineRegistry(FILE)
    assert registry.keys_below("System", "CurrentControlSet", "Services") == ["A [B] \u00c9"]
    assert registry.number(("System", "CurrentControlSet", "Services", "a [b] \u00e9"), "Start") == 3


@pytest.mark.parametrize("text", ["", "REGEDIT4\n", "WINE REGISTRY Version 2\n\n[Software\\\\x\n"])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        WineRegistry(text)
