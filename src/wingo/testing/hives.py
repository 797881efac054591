"""Registry hives for tests: a sample that has everything in it, and one broken hive for each way to break one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import pack, unpack_from

from wingo.hive.cells import BASE_BLOCK, INHERIT_CLASS, NO_CELL, SUPERSEDE_TREE, TOMBSTONE, checksum
from wingo.hive.keys import TreeKey, find_key
from wingo.hive.read import KeyNode, open_hive
from wingo.hive.values import DWORD, EXPAND_SZ, MULTI_SZ, NONE, SZ, Value, encode_text, encode_texts
from wingo.hive.write import write_delta, write_hive
from wingo.windows.registry import Registry

SYSTEM_SECURITY = bytes.fromhex(
    "0100048014000000200000000000000030000000"  # self-relative; owner, group, no SACL, DACL
    "010100000000000512000000"  # S-1-5-18
    "01020000000000052000000020020000"  # S-1-5-32-544
    "0200080000000000"  # no entries
)
"""A descriptor: the system owns it, the group is the administrators, and the access list is empty."""

OTHER_SECURITY = SYSTEM_SECURITY[:-8] + bytes.fromhex("0300080000000000")
"""Another, which differs in a byte only."""


def sample_tree(*, services: int = 600) -> TreeKey:
    r"""The root of a small SYSTEM hive: services, a class, large and empty values, names beyond Latin-1, a default value."""
    names = [f"Svc{number:04}" for number in range(services)]
    service_keys = tuple(
        TreeKey(name, OTHER_SECURITY if index % 7 == 0 else SYSTEM_SECURITY, contents=(dword("Start", 2),))
        for index, name in enumerate(names)
    )
    control = TreeKey(
        "Control",
        SYSTEM_SECURITY,
        contents=(
            Value("", SZ, encode_text("default")),
            Value("Large", 3, bytes(range(256)) * 140),
            Value("Empty", NONE, b""),
            Value("Medium", 3, b"medium" * 20),
            Value("Texts", MULTI_SZ, encode_texts(("a", "b"))),
            Value("Имя", SZ, encode_text("имя")),
        ),
        children=(
            TreeKey("Lsa", SYSTEM_SECURITY, class_name="8d2b1f".encode("utf-16-le")),
            TreeKey("Ключ", SYSTEM_SECURITY, contents=(dword("Number", 1),)),
        ),
    )
    current = TreeKey(
        "ControlSet001",
        SYSTEM_SECURITY,
        children=(control, TreeKey("Services", SYSTEM_SECURITY, children=service_keys)),
    )
    select = TreeKey("Select", SYSTEM_SECURITY, contents=(dword("Current", 1), dword("Default", 1)))
    return TreeKey("ROOT", SYSTEM_SECURITY, children=(current, select))


def sample_hive(*, services: int = 600) -> bytes:
    """`sample_tree`, written."""
    return write_hive(sample_tree(services=services), name="SYSTEM")


def sample_delta() -> bytes:
    """A layer on `sample_hive`: a changed and a deleted value, a new, a deleted and a replaced key."""
    replaced = TreeKey(
        "Svc0003",
        SYSTEM_SECURITY,
        layer=SUPERSEDE_TREE,
        children=(TreeKey("Parameters", SYSTEM_SECURITY, layer=SUPERSEDE_TREE),),
    )
    services = TreeKey(
        "Services",
        SYSTEM_SECURITY,
        layer=INHERIT_CLASS,
        children=(
            TreeKey("New", SYSTEM_SECURITY, contents=(dword("Start", 2),)),
            TreeKey("Svc0001", SYSTEM_SECURITY, layer=INHERIT_CLASS, contents=(dword("Start", 4),)),
            TreeKey("Svc0002", SYSTEM_SECURITY, layer=TOMBSTONE),
            replaced,
            TreeKey(
                "Svc0004", SYSTEM_SECURITY, layer=INHERIT_CLASS, contents=(Value("Start", NONE, b"", tombstone=True),)
            ),
        ),
    )
    current = TreeKey("ControlSet001", SYSTEM_SECURITY, layer=INHERIT_CLASS, children=(services,))
    return write_delta(TreeKey("ROOT", SYSTEM_SECURITY, children=(current,)), name="System_Delta")


def service_key(
    name: str,
    *,
    start: int,
    type: int = 0x20,
    image: str = "%SystemRoot%\\system32\\svchost.exe -k netsvcs",
    library: str = "",
    depends_on: Sequence[str] = (),
    depends_on_groups: Sequence[str] = (),
    group: str = "",
    triggers: int = 0,
) -> TreeKey:
    """The key of a service, as Windows writes it."""
    values = [dword("Type", type), dword("Start", start), dword("ErrorControl", 1)]
    if image:
        values.append(Value("ImagePath", EXPAND_SZ, encode_text(image)))
    if depends_on:
        values.append(Value("DependOnService", MULTI_SZ, encode_texts(depends_on)))
    if depends_on_groups:
        values.append(Value("DependOnGroup", MULTI_SZ, encode_texts(depends_on_groups)))
    if group:
        values.append(Value("Group", SZ, encode_text(group)))
    below = []
    if library:
        dll = Value("ServiceDll", EXPAND_SZ, encode_text(library))
        below.append(TreeKey("Parameters", SYSTEM_SECURITY, contents=(dll,)))
    if triggers:
        events = tuple(TreeKey(str(number), SYSTEM_SECURITY) for number in range(triggers))
        below.append(TreeKey("TriggerInfo", SYSTEM_SECURITY, children=events))
    return TreeKey(name, SYSTEM_SECURITY, contents=tuple(values), children=tuple(below))


def service_keys() -> tuple[TreeKey, ...]:
    """The services of a small server: some that a container cannot do without, some that it can, and chains of them."""
    spooler = "%SystemRoot%\\System32\\spoolsv.exe"
    return (
        TreeKey("Data", SYSTEM_SECURITY, contents=(dword("Anything", 1),)),
        service_key("cexecsvc", start=2, type=0x10, depends_on=("condrv", "nsi", "ProfSvc"), image="cexecsvc.exe"),
        service_key("condrv", start=1, type=1, image="System32\\drivers\\condrv.sys"),
        service_key("nsi", start=2, depends_on=("rpcss", "nsiproxy")),
        service_key("nsiproxy", start=1, type=1, image=""),
        service_key("ProfSvc", start=2, depends_on=("RpcSs",)),
        service_key("RpcSs", start=2),
        service_key("disk", start=0, type=1, image=""),
        service_key("http", start=3, type=1, image="System32\\drivers\\HTTP.sys"),
        service_key("Tcpip", start=0, type=1, image="System32\\drivers\\tcpip.sys"),
        service_key("DiagTrack", start=2, library="%SystemRoot%\\system32\\diagtrack.dll"),
        service_key("Dnscache", start=2, library="%SystemRoot%\\System32\\dnsrslvr.dll"),
        service_key("Spooler", start=2, type=0x10, image=spooler, depends_on=("RPCSS", "http")),
        service_key("W32Time", start=3, triggers=1),
        service_key("Print", start=3),
        service_key("Print2", start=3, depends_on=("Print",)),
        service_key("Fax", start=3, depends_on=("Print2",)),
        service_key("Base", start=2),
        service_key("Above", start=2, depends_on=("BASE",)),
        service_key("Member1", start=3, group="Twins"),
        service_key("Member2", start=3, group="Twins"),
        service_key("OfGroup", start=3, depends_on_groups=("Twins",)),
        service_key("Lonely", start=3, depends_on=("Nowhere",)),
    )


def registry_trees() -> dict[str, TreeKey]:
    """The roots of SYSTEM and SOFTWARE of a small server."""
    environment = TreeKey("Environment", SYSTEM_SECURITY, contents=(Value("OS", SZ, encode_text("Windows_NT")),))
    manager = TreeKey("Session Manager", SYSTEM_SECURITY, children=(environment,))
    control = TreeKey("Control", SYSTEM_SECURITY, children=(manager,))
    services = TreeKey("Services", SYSTEM_SECURITY, children=service_keys())
    select = TreeKey("Select", SYSTEM_SECURITY, contents=(dword("Current", 1), dword("Default", 1)))
    current = TreeKey("ControlSet001", SYSTEM_SECURITY, children=(control, services))
    microsoft = TreeKey("Microsoft", SYSTEM_SECURITY, children=(TreeKey("Rpc", SYSTEM_SECURITY),))
    return {
        "SYSTEM": TreeKey("ROOT", SYSTEM_SECURITY, children=(current, select)),
        "SOFTWARE": TreeKey("ROOT", SYSTEM_SECURITY, children=(microsoft,)),
    }


def sample_registry() -> Registry:
    """`registry_trees`, as a registry."""
    return Registry({name: open_hive(write_hive(root)).root for name, root in registry_trees().items()})


def dword(name: str, number: int) -> Value:
    """A number."""
    return Value(name, DWORD, number.to_bytes(4, "little"))


def patched(hive: bytes, offset: int, content: bytes, *, seal: bool = True) -> bytes:
    """A hive with bytes replaced; `seal` makes the base block's checksum right again."""
    changed = bytearray(hive)
    changed[offset : offset + len(content)] = content
    if seal:
        changed[508:512] = pack("<I", checksum(changed))
    return bytes(changed)


def make_dirty(hive: bytes) -> bytes:
    """A hive in which a change was begun and not finished."""
    return patched(hive, 4, pack("<I", unpack_from("<I", hive, 8)[0] + 1))


def at_key(hive: bytes, path: str, field: int = 0) -> int:
    """Where in the file a key's record starts, or a field of it."""
    key = find_key(open_hive(hive).root, path)
    assert isinstance(key, KeyNode), path
    return BASE_BLOCK + key.offset + 4 + field


def at_cell(hive: bytes, pointer: int, field: int = 0) -> int:
    """Where in the file the content starts of the cell that the offset at `pointer` names."""
    return int(BASE_BLOCK + unpack_from("<I", hive, pointer)[0] + 4 + field)


_CONTROL, _SERVICES, _LSA, _CURRENT = (
    "ControlSet001\\Control",
    "ControlSet001\\Services",
    "ControlSet001\\Control\\Lsa",
    "ControlSet001",
)
_SUBKEYS, _LIST, _VALUES, _VALUE_LIST, _SECURITY, _CLASS = 20, 28, 36, 40, 44, 48


def _at_value(hive: bytes, path: str, index: int, field: int = 0) -> int:
    return at_cell(hive, at_cell(hive, at_key(hive, path, _VALUE_LIST), 4 * index), field)


def _at_list(hive: bytes, path: str, field: int = 0) -> int:
    return at_cell(hive, at_key(hive, path, _LIST), field)


def _number(find: Callable[[bytes], int], number: int, *, size: int = 4, seal: bool = True) -> Callable[[bytes], bytes]:
    return lambda hive: patched(hive, find(hive), number.to_bytes(size, "little"), seal=seal)


def _copied(source: Callable[[bytes], int], target: Callable[[bytes], int], size: int) -> Callable[[bytes], bytes]:
    return lambda hive: patched(hive, target(hive), hive[source(hive) : source(hive) + size])


def _freed(find: Callable[[bytes], int]) -> Callable[[bytes], bytes]:
    def free(hive: bytes) -> bytes:
        at = find(hive) - 4
        return patched(hive, at, pack("<i", -unpack_from("<i", hive, at)[0]))

    return free


def _swapped(hive: bytes) -> bytes:
    at = _at_list(hive, "", 4)
    return patched(hive, at, hive[at + 8 : at + 16] + hive[at : at + 8])


def _deep(_: bytes) -> bytes:
    key = TreeKey("k", SYSTEM_SECURITY)
    for _level in range(510):
        key = TreeKey("k", SYSTEM_SECURITY, children=(key,))
    shallow = write_hive(key)
    # the deepest key's list is that of a second chain, which goes on from there
    return _longer(shallow)


def _longer(hive: bytes) -> bytes:
    """A chain of 511 keys, to whose end six more are added by hand, in a bin of their own."""
    path = "\\".join(["k"] * 510)
    last = at_key(hive, path)
    start = len(hive) - BASE_BLOCK
    content = bytearray(b"hbin" + pack("<IIQQI", start, 4096, 0, 0, 0))
    parent, links = last - 4 - BASE_BLOCK, []
    key_bytes = hive[last - 4 : last - 4 + 88]
    for _ in range(6):
        offset = start + len(content)
        links.append((parent, offset + 88))
        node = bytearray(key_bytes)
        node[20:24] = pack("<I", parent)
        content += node + pack("<i2sHII", -16, b"lh", 1, offset, ord("K"))
        parent = offset
    content += pack("<i", 4096 - len(content)) + bytes(4096 - len(content) - 4)
    changed = bytearray(hive + content)
    for above, listed in links:
        changed[BASE_BLOCK + above + 4 + _SUBKEYS : BASE_BLOCK + above + 8 + _SUBKEYS] = pack("<I", 1)
        changed[BASE_BLOCK + above + 4 + _LIST : BASE_BLOCK + above + 8 + _LIST] = pack("<I", listed)
    return patched(bytes(changed), 40, pack("<I", len(changed) - BASE_BLOCK))


FAULTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "no base block": ("base-block", _number(lambda _: 0, 0, seal=False)),
    "version of the future": ("base-block", _number(lambda _: 24, 9)),
    "a log's file type": ("base-block", _number(lambda _: 28, 6)),
    "one byte of the base block flipped": ("checksum", _number(lambda _: 200, 1, seal=False)),
    "dirty": ("dirty", make_dirty),
    "layers in version 1.5": ("layered-version", _number(lambda _: 144, 2)),
    "bins of an odd size": ("bins-size", _number(lambda _: 40, 4097)),
    "cut off": ("truncated", lambda hive: hive[:-4096]),
    "a bin without its signature": ("bin", _number(lambda _: 8192, 0)),
    "a bin elsewhere": ("bin", _number(lambda _: 8196, 0)),
    "a bin beyond the end": ("bin", _number(lambda _: 8200, 1 << 30)),
    "a cell larger than its bin": ("cell", _number(lambda hive: at_key(hive, _CURRENT) - 4, 1 << 16)),
    "a cell of no size": ("cell", _number(lambda hive: at_key(hive, _CURRENT) - 4, 0)),
    "a list between cells": ("reference", _number(lambda hive: at_key(hive, _CURRENT, _LIST), 0x24)),
    "a value far away": (
        "reference",
        _number(lambda hive: at_cell(hive, at_key(hive, "Select", _VALUE_LIST)), 1 << 30),
    ),
    "a key in a free cell": ("free-cell", _freed(lambda hive: at_key(hive, "Select"))),
    "two lists with one value": (
        "shared-cell",
        _copied(
            lambda hive: at_cell(hive, at_key(hive, "Select", _VALUE_LIST)),
            lambda hive: at_cell(hive, at_key(hive, _CONTROL, _VALUE_LIST)),
            4,
        ),
    ),
    "a key above itself": (
        "shared-cell",
        lambda hive: patched(hive, _at_list(hive, _CONTROL, 4), pack("<I", at_key(hive, _CURRENT) - 4 - BASE_BLOCK)),
    ),
    "more values than the list has": ("small-cell", _number(lambda hive: at_key(hive, "Select", _VALUES), 99)),
    "a key's name beyond its cell": ("small-cell", _number(lambda hive: at_key(hive, "Select", 72), 200, size=2)),
    "a key with another signature": ("signature", _number(lambda hive: at_key(hive, "Select"), 0x6B76, size=2)),
    "a value with another signature": ("signature", _number(lambda hive: _at_value(hive, "Select", 0), 0, size=2)),
    "a list with another signature": ("signature", _number(lambda hive: _at_list(hive, _CONTROL), 0, size=2)),
    "keys nested too deep": ("depth", _deep),
    "another parent": ("parent", _number(lambda hive: at_key(hive, "Select", 16), 0x20_0000)),
    "a name with a backslash": ("key-name", _number(lambda hive: at_key(hive, "Select", 76), ord("\\"), size=1)),
    "half a character": ("name", _number(lambda hive: at_key(hive, "ControlSet001\\Control\\Ключ", 72), 7, size=2)),
    "a root that is none": ("root-flags", _number(lambda hive: at_key(hive, "", 2), 0x20, size=2)),
    "a second root": ("root-flags", _number(lambda hive: at_key(hive, "Select", 2), 0x24, size=2)),
    "a volatile key": ("volatile", _number(lambda hive: at_key(hive, "Select", 2), 0x21, size=2)),
    "a mount point": ("volatile", _number(lambda hive: at_key(hive, "Select", 2), 0x22, size=2)),
    "a predefined handle": ("volatile", _number(lambda hive: at_key(hive, "Select", 2), 0x60, size=2)),
    "a list of values that nobody counts": ("value-list", _number(lambda hive: at_key(hive, "Select", _VALUES), 0)),
    "a billion values": ("value-list", _number(lambda hive: at_key(hive, "Select", _VALUES), 1 << 30)),
    "two values of one name": (
        "value-name",
        lambda hive: patched(
            patched(hive, _at_value(hive, "Select", 1, 20), b"Current"), _at_value(hive, "Select", 1, 2), b"\x07\x00"
        ),
    ),
    "five bytes in four": ("value-data", _number(lambda hive: _at_value(hive, "Select", 0, 4), 0x8000_0005)),
    "a value of two gigabytes": ("value-data", _number(lambda hive: _at_value(hive, _CONTROL, 3, 4), 0x7FFF_FFFF)),
    "a segment too few": (
        "big-data",
        _number(lambda hive: at_cell(hive, _at_value(hive, _CONTROL, 1, 8), 2), 2, size=2),
    ),
    "a name longer than the longest": ("longest", _number(lambda hive: at_key(hive, "", 52), 2, size=2)),
    "a value larger than the largest": ("longest", _number(lambda hive: at_key(hive, "Select", 64), 1)),
    "an empty list": ("subkey-list", _number(lambda hive: _at_list(hive, _CONTROL, 2), 0, size=2)),
    "a list of keys that nobody counts": ("subkey-list", _number(lambda hive: at_key(hive, _CONTROL, _SUBKEYS), 0)),
    "a list longer than its cell": ("subkey-list", _number(lambda hive: _at_list(hive, _CONTROL, 2), 999, size=2)),
    "a key too many": ("subkey-count", _number(lambda hive: at_key(hive, _CONTROL, _SUBKEYS), 3)),
    "a wrong hash": ("hash", _number(lambda hive: _at_list(hive, _CONTROL, 8), 1)),
    "keys out of order": ("order", _swapped),
    "a reference too many": (
        "reference-count",
        _number(lambda hive: at_cell(hive, at_key(hive, "", _SECURITY), 12), 1),
    ),
    "a descriptor beyond its cell": (
        "security",
        _number(lambda hive: at_cell(hive, at_key(hive, "", _SECURITY), 16), 5000),
    ),
    "a circle of one": (
        "security-list",
        lambda hive: patched(
            hive, at_cell(hive, at_key(hive, "", _SECURITY), 4), hive[at_key(hive, "", _SECURITY) :][:4]
        ),
    ),
    "a class that nobody has": ("unreachable", _number(lambda hive: at_key(hive, _LSA, _CLASS), NO_CELL)),
    "a layer in a hive without": (
        "layer",
        lambda hive: patched(patched(hive, 24, b"\x06"), at_key(hive, "Select", 13), b"\x80"),
    ),
}
"""Ways to break `sample_hive`: for each, the rule of `fsck` that finds it, and what makes the broken one."""

DELTA_FAULTS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "a root with a layer": ("layer", _number(lambda hive: at_key(hive, "", 13), 0x80, size=1)),
    "unknown bits": ("layer", _number(lambda hive: at_key(hive, _CURRENT, 13), 0x84, size=1)),
    "a tombstone with values": (
        "tombstone",
        _number(lambda hive: at_key(hive, _SERVICES + "\\Svc0001", 13), TOMBSTONE, size=1),
    ),
    "a value's tombstone with a type": (
        "tombstone",
        _number(lambda hive: _at_value(hive, _SERVICES + "\\Svc0004", 0, 12), 4),
    ),
    "a merge below a replacement": (
        "supersede",
        _number(lambda hive: at_key(hive, _SERVICES + "\\Svc0003\\Parameters", 13), 0, size=1),
    ),
}
"""The same for `sample_delta`."""
