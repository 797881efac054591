"""Real hives: what we read of them, what we write of them, and what three other readers say."""

from __future__ import annotations

import lzma
import struct
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.needs import missing, need_vectors
from wingo.errors import Malformed
from wingo.hive.cells import BASE_BLOCK, INHERIT_CLASS, KEY, TOMBSTONE, VALUE
from wingo.hive.diff import delta_of, diff, edits_between
from wingo.hive.edit import DeleteKey, DeleteValue, SetValue, apply_edits
from wingo.hive.fsck import fsck
from wingo.hive.keys import TreeKey, find_key, find_value, walk
from wingo.hive.merge import flatten, merge
from wingo.hive.read import open_hive
from wingo.hive.values import DWORD, NONE, number_of
from wingo.hive.write import write_delta, write_hive

CLEAN = [
    "BCD",
    "BigDataHive",
    "EmptyHive",
    "ManySubkeysHive",
    "NTUSER.DAT",
    "SAM",
    "SYSTEM",
    "System_Delta",
    "UnicodeHive",
]
DIRTY = ["SYSTEM_B", "SYSTEM_WIN_10_1709"]
BROKEN = ["BadListHive", "corrupted_system_hive"]
LAYERED = "System_Delta"
LARGE = ["SYSTEM", "SYSTEM_B", "SYSTEM_WIN_10_1709"]
BOTH = [(name, "theirs") for name in CLEAN + DIRTY] + [
    (name, "ours") for name in CLEAN + DIRTY if name not in LARGE[:2]
]
"""Hives as they are, and as we write them: of the large ones that for one, which takes its time."""


@cache
def vector(name: str) -> bytes:
    return lzma.decompress((need_vectors("hives") / f"{name}.xz").read_bytes())


@cache
def hive(name: str):
    """Opened; the dirty one that has no logs is read as it is."""
    if name == "SYSTEM_B":
        return open_hive(vector(name), [vector("SYSTEM_B.LOG1"), vector("SYSTEM_B.LOG2")])
    return open_hive(vector(name), allow_dirty=name in DIRTY)


def write(root, name: str) -> bytes:
    return (write_delta if name == LAYERED else write_hive)(root)


def contents(root) -> list[tuple]:
    """Everything of every key but the root's name, which Windows gives."""
    found = [
        (
            path,
            key.flags,
            key.user_flags,
            key.layer,
            key.last_written,
            key.security,
            key.class_name,
            tuple(key.values()),
        )
        for path, key in walk(root)
    ]
    return [found[0][1:], *found[1:]]


@pytest.mark.parametrize("name", CLEAN + DIRTY)
def test_what_is_written_again_is_the_same(name):
    root = hive(name).root
    written = write(root, name)
    again = open_hive(written).root
    assert contents(again) == contents(root)
    assert fsck(written) == ()
    if name not in LARGE[:2]:
        assert write(again, name) == written


@pytest.mark.parametrize("name", CLEAN)
def test_real_hives_have_no_findings(name):
    assert fsck(vector(name)) == ()


@pytest.mark.parametrize("name", BROKEN)
def test_broken_hives_are_found_broken(name):
    assert any(finding.severe for finding in fsck(vector(name)))
    with pytest.raises(Malformed):
        contents(open_hive(vector(name)).root)


@pytest.mark.parametrize("name", DIRTY)
def test_dirty_hives_are_refused(name):
    with pytest.raises(Malformed, match="dirty") as raised:
        open_hive(vector(name))
    assert "LOG1" in raised.value.hint
    assert {finding.rule for finding in fsck(vector(name))} == {"dirty"}


def test_logs_are_applied():
    recovered = hive("SYSTEM_B")
    assert (recovered.base.primary, recovered.base.secondary) == (2130, 2130)
    assert fsck(bytes(recovered.data)) == ()
    keys = sum(1 for _ in recovered.walk())
    assert keys > sum(1 for _ in open_hive(vector("SYSTEM_B"), allow_dirty=True).walk())


def test_the_second_log_alone_is_enough_for_what_it_holds_and_order_does_not_matter():
    logs = [vector("SYSTEM_B.LOG2"), vector("SYSTEM_B.LOG1")]
    assert bytes(open_hive(vector("SYSTEM_B"), logs).data) == bytes(hive("SYSTEM_B").data)


@pytest.mark.parametrize("at", [512 + 30, 512 + 41, 512 + 5000])
def test_a_log_with_a_flipped_byte_is_not_applied(at):
    log = bytearray(vector("SYSTEM_B.LOG1"))
    log[at] ^= 1
    with pytest.raises(Malformed, match="no log holds"):
        open_hive(vector("SYSTEM_B"), [bytes(log)])


def libregf(data: bytes, path: Path):
    """Every key and value, as libregf reads them."""
    try:
        import pyregf
    except ImportError:
        missing("libregf-python")
    file = pyregf.file()
    path.write_bytes(data)
    file.open(str(path))
    try:
        stack = [("", file.get_root_key())]
        while stack:
            place, key = stack.pop()
            yield (
                place,
                key.get_last_written_time_as_integer(),
                [
                    (value.name or "", value.type, value.data or b"")
                    for value in (key.get_value(index) for index in range(key.number_of_values))
                ],
            )
            prefix = f"{place}\\" if place else ""
            below = [key.get_sub_key(index) for index in range(key.number_of_sub_keys)]
            stack.extend((prefix + child.name, child) for child in reversed(below))
    finally:
        file.close()


@pytest.mark.parametrize(("name", "whose"), [pair for pair in BOTH if pair[0] != LAYERED])
def test_libregf_agrees(name, whose, tmp_path):
    root = hive(name).root
    data = write(root, name) if whose == "ours" else bytes(hive(name).data)
    ours = walk(root)
    count = 0
    for (path, written, values), (our_path, key) in zip(libregf(data, tmp_path / "hive"), ours, strict=True):
        assert (path, written) == (our_path, key.last_written)
        assert [value[:2] for value in values] == [(value.name, value.type) for value in key.values()], path
        for (_, kind, data), value in zip(values, key.values(), strict=True):
            # of a text it leaves out what is behind the NUL
            rest = value.data[len(data) :] if kind in (1, 2, 6) else b""
            # of one to three bytes, which stand in the value's record, it gives the number and other bytes
            assert value.data == data + rest or len(value.data) == len(data) < 4, (path, value.name)
        count += 1
    assert count == sum(1 for _ in walk(root))


def test_libregf_reads_the_keys_of_layers(tmp_path):
    """It knows no layers, and gives a tombstone as a value without data."""
    for data in (vector(LAYERED), write_delta(hive(LAYERED).root)):
        theirs = [(path, [name for name, _, _ in values]) for path, _, values in libregf(data, tmp_path / "hive")]
        assert theirs == [(path, [value.name for value in key.values()]) for path, key in hive(LAYERED).walk()]


def registry_keys(data: bytes, path: Path):
    try:
        from Registry import Registry
    except ImportError:
        missing("python-registry")
    path.write_bytes(data)
    stack = [("", Registry.Registry(str(path)).root())]
    while stack:
        place, key = stack.pop()
        yield place, [(value.name(), value.value_type(), value.raw_data()) for value in key.values()]
        prefix = f"{place}\\" if place else ""
        stack.extend((prefix + child.name(), child) for child in reversed(key.subkeys()))


@pytest.mark.parametrize(("name", "whose"), BOTH)
def test_python_registry_agrees(name, whose, tmp_path):
    root = hive(name).root
    data = write(root, name) if whose == "ours" else bytes(hive(name).data)
    theirs = registry_keys(data, tmp_path / "hive")
    for (path, values), (our_path, key) in zip(theirs, walk(root), strict=True):
        assert path == our_path
        assert len(values) == len(key.values()), path
        for (called, kind, data), value in zip(values, key.values(), strict=True):
            assert (called, kind) == (value.name or "(default)", value.type & 0xFFF), path
            # of data in the value's own record it gives all four bytes, nothing of a multi-string, and the type instead
            # of what is the wrong length for a number
            inline = len(value.data) <= 4 and (
                data[: len(value.data)] == value.data
                or (kind, data) == (7, b"")
                or (kind in (4, 5) and data == value.type.to_bytes(4, "little"))
            )
            assert data == value.data or inline, (path, called)


HIVEX = """
import hivex, sys
h = hivex.Hivex(sys.argv[1])
stack = [h.root()]
while stack:
    node = stack.pop()
    values = [(h.value_key(v), *h.value_value(v)) for v in h.node_values(node)]
    print(ascii((h.node_name(node), h.node_timestamp(node), sorted(values))))
    stack.extend(reversed(h.node_children(node)))
"""


@pytest.mark.parametrize("name", ["BCD", "BigDataHive", "ManySubkeysHive", "NTUSER.DAT", "SAM"])
@pytest.mark.parametrize("whose", ["theirs", "ours"])
def test_hivex_agrees(name, whose, tmp_path):
    system_python = "/usr/bin/python3"
    if (
        not Path(system_python).exists()
        or subprocess.run([system_python, "-c", "import hivex"], check=False, capture_output=True).returncode
    ):
        missing("python3-hivex")
    root = hive(name).root
    (tmp_path / "hive").write_bytes(write(root, name) if whose == "ours" else vector(name))
    run = subprocess.run([system_python, "-c", HIVEX, tmp_path / "hive"], check=True, capture_output=True, text=True)
    theirs = run.stdout.splitlines()
    for line, (_, key) in zip(theirs, walk(root), strict=True):
        ours = sorted((value.name, value.type, value.data) for value in key.values())
        its_name = key.name
        expected = ascii((its_name, key.last_written, ours))
        if not key.name or key is root:
            assert line.partition(",")[2] == expected.partition(",")[2]
        else:
            assert line == expected


# the real layer


def nodes(data: bytes) -> dict[str, tuple]:
    """The fields of each key's record in a layer, as they stand in the file."""
    found = {}
    for path, key in open_hive(data).walk():
        fields = KEY.unpack_from(data, BASE_BLOCK + key.offset)
        flags, layer, volatile = fields[2], fields[5], fields[11]
        counts = (fields[8], fields[12])
        longest = (fields[16] & 0xFFFF, fields[17], fields[19], fields[20], fields[21])
        empty = (fields[10] == 0xFFFF_FFFF, fields[13] == 0xFFFF_FFFF, fields[15] == 0xFFFF_FFFF)
        found[path] = (flags, layer, volatile, counts, longest, empty, fields[23], fields[24])
    return found


def test_our_layer_has_the_fields_of_the_real_one():
    """The same keys written by us: each field of the base block and of each key, but for those named here."""
    theirs = vector(LAYERED)
    ours = write_delta(hive(LAYERED).root, name=open_hive(theirs).base.name)
    for offset, size, what in (
        (0, 4, "signature"),
        (20, 8, "version 1.6"),
        (28, 8, "type and format"),
        (36, 4, "the root's cell"),
        (44, 4, "clustering"),
        (48, 64, "name"),
        (144, 4, "flag 2: layers"),
        (164, 4, "no rmtm"),
    ):
        assert ours[offset : offset + size] == theirs[offset : offset + size], what
    assert struct.unpack_from("<II", ours, 4) == (1, 1)  # theirs were written six times
    assert theirs[176:180] == b"OfRg"  # the mark of offreg.dll, which we are not
    their_nodes, our_nodes = nodes(theirs), nodes(ours)
    assert their_nodes.keys() == our_nodes.keys()
    for path, (flags, layer, volatile, counts, longest, empty, *sizes) in their_nodes.items():
        mine = our_nodes[path]
        assert mine[:2] == (flags, layer), path
        assert mine[2] == 0xFFFF_FFFF, path  # theirs may still name a list that was in memory
        assert volatile == 0xFFFF_FFFF or volatile & 0x8000_0000, path
        assert mine[3] == counts, path
        assert all(a <= b for a, b in zip(mine[4], longest, strict=True)), path  # theirs never shrink
        if not counts[0]:
            assert mine[5][0] == empty[0], path
        assert mine[5][1:] == empty[1:], path
        assert list(mine[6:]) == sizes, path


def test_the_histogram_of_layer_bytes():
    layers: dict[int, int] = {}
    for _, key in hive(LAYERED).walk():
        layers[key.layer] = layers.get(key.layer, 0) + 1
    assert layers == {0x00: 8, 0x80: 514, 0x01: 2, 0x83: 1, 0x03: 61}


def tombstones(data: bytes) -> list[tuple]:
    """The records of deleted values, field by field."""
    found = []
    for _, key in open_hive(data).walk():
        at = BASE_BLOCK + key.offset
        count, listed = struct.unpack_from("<II", data, at + 40)
        for index in range(count):
            cell = struct.unpack_from("<I", data, BASE_BLOCK + listed + 4 + 4 * index)[0]
            record = VALUE.unpack_from(data, BASE_BLOCK + cell)
            if record[6] & 2:
                found.append(record[1:])
    return found


def test_our_tombstones_are_the_real_ones():
    real = tombstones(vector(LAYERED))
    assert len(real) == 3
    for _, _, size, where, kind, flags, _ in real:
        assert (size, where, kind, flags) == (0, 0xFFFF_FFFF, NONE, 3)
    assert sorted(record[:6] for record in tombstones(write_delta(hive(LAYERED).root))) == sorted(r[:6] for r in real)


def test_what_our_differ_makes_has_the_shapes_of_the_real_layer():
    """A base is made of the real layer's own keys; deleting and changing in it gives the shapes that Windows wrote."""
    real = hive(LAYERED).root
    base = open_hive(write_hive(flatten(real))).root
    services = "ControlSet001\\Services"
    start = number_of(find_value(find_key(base, f"{services}\\BITS"), "Start"))
    edits = [SetValue(f"{services}\\BITS", "start", DWORD, (start ^ 1).to_bytes(4, "little"))]
    child = find_key(base, services).subkeys()[-1].name
    edits.append(DeleteKey(f"{services}\\{child}"))
    delta = open_hive(write_delta(delta_of(diff(base, apply_edits(base, edits)), base))).root
    bits, theirs = find_key(delta, f"{services}\\BITS"), find_key(real, f"{services}\\BITS")
    assert (bits.layer, bits.flags, bits.security, [value.name for value in bits.values()]) == (
        theirs.layer,
        theirs.flags,
        theirs.security,
        ["Start"],
    )
    gone = find_key(delta, f"{services}\\{child}")
    real_gone = find_key(real, f"{services}\\XBOXGIP")
    assert (gone.layer, gone.last_written, len(gone.values()), len(gone.subkeys())) == (TOMBSTONE, 0, 0, 0)
    assert (real_gone.layer, real_gone.last_written, len(real_gone.values()), len(real_gone.subkeys())) == (1, 0, 0, 0)
    assert delta.layer == real.layer == 0
    assert find_key(delta, services).layer == find_key(real, services).layer == INHERIT_CLASS


def test_the_container_practice_of_microsoft(tmp_path):
    """`sc delete diagtrack`, as the pause image does, on a real SYSTEM hive: a small layer, and the intended view."""
    base = hive("SYSTEM_WIN_10_1709").root
    services = "ControlSet001\\Services"
    edits = [
        DeleteKey(f"{services}\\diagtrack"),
        SetValue(f"{services}\\Spooler", "Start", DWORD, b"\4\0\0\0"),
        DeleteValue(f"{services}\\BITS", "DelayedAutostart"),
    ]
    edited = apply_edits(base, edits)
    delta = write_delta(delta_of(diff(base, edited), base))
    assert len(delta) <= 3 * 4096
    assert fsck(delta) == ()
    view = merge(base, open_hive(delta).root)
    assert find_key(view, f"{services}\\DiagTrack") is None
    assert number_of(find_value(find_key(view, f"{services}\\Spooler"), "start")) == 4
    assert diff(view, edited) is None
    undo = apply_edits(view, edits_between(diff(view, base)))
    assert not list(edits_between(diff(undo, base)))
    names = [path for path, _, _ in libregf(delta, tmp_path / "hive")]
    assert names == [
        "",
        "ControlSet001",
        services,
        f"{services}\\BITS",
        f"{services}\\DiagTrack",
        f"{services}\\Spooler",
    ]


def test_a_whole_real_delta_folds_onto_a_real_base():
    """Layers of another machine on a real SYSTEM: each value of the layer is seen, and nothing else changes."""
    base, layer = hive("SYSTEM_WIN_10_1709").root, hive(LAYERED).root
    view = merge(base, layer)
    for path, key in walk(flatten(layer)):
        seen = find_key(view, path)
        assert seen is not None, path
        for value in key.values():
            assert find_value(seen, value.name).data == value.data
    change = diff(base, view)
    again = write_delta(delta_of(change, base))
    assert diff(merge(base, open_hive(again).root), view) is None


def test_tree_key_is_a_key():
    assert contents(open_hive(write_hive(TreeKey("x", b""))).root)[0][5] == b""
