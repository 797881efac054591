"""Layers by their semantics, one by one; and logs made by hand, in both formats."""

from __future__ import annotations

from struct import pack

import pytest

from wingo.errors import Malformed
from wingo.hive.cells import BASE_BLOCK, INHERIT_CLASS, SUPERSEDE_LOCAL, SUPERSEDE_TREE, TOMBSTONE, checksum
from wingo.hive.diff import diff
from wingo.hive.keys import TreeKey, find_key, find_value, walk
from wingo.hive.logs import marvin32
from wingo.hive.merge import flatten, merge
from wingo.hive.read import open_hive
from wingo.hive.values import Value, number_of
from wingo.testing.hives import at_key, dword, make_dirty, sample_delta, sample_hive

LOWER = TreeKey(
    "root",
    b"low",
    children=(
        TreeKey(
            "Key",
            b"low",
            contents=(dword("One", 1), dword("Two", 2)),
            class_name=b"c\0",
            last_written=50,
            children=(TreeKey("Below", b"low", contents=(dword("Three", 3),)),),
        ),
    ),
)


def over(layer: int, **fields) -> TreeKey:
    return TreeKey("root", b"up", children=(TreeKey("KEY", b"up", layer=layer, **fields),))


def names(key) -> list[str]:
    return [value.name for value in key.values()]


def test_merge_keeps_what_is_below():
    view = merge(LOWER, over(INHERIT_CLASS, contents=(dword("TWO", 5), dword("New", 6)), last_written=40))
    key = find_key(view, "key")
    assert [(value.name, number_of(value)) for value in key.values()] == [("One", 1), ("Two", 5), ("New", 6)]
    assert (key.name, key.security, key.class_name, key.last_written) == ("Key", b"up", b"c\0", 50)
    assert find_key(view, "Key\\Below") is not None
    assert {each.layer for _, each in walk(view)} == {0}


def test_without_the_bit_the_class_is_the_uppers():
    assert find_key(merge(LOWER, over(0)), "Key").class_name == b""


def test_a_tombstone_hides_the_key():
    assert find_key(merge(LOWER, over(TOMBSTONE)), "Key") is None
    assert [path for path, _ in walk(flatten(over(TOMBSTONE)))] == [""]


def test_a_tombstone_of_a_value_hides_the_value():
    gone = Value("one", 0, b"", tombstone=True)
    view = merge(LOWER, over(INHERIT_CLASS, contents=(gone, Value("never", 0, b"", tombstone=True))))
    assert names(find_key(view, "Key")) == ["Two"]


def test_supersede_local_hides_values_and_keeps_keys():
    view = merge(LOWER, over(SUPERSEDE_LOCAL, contents=(dword("New", 1),)))
    assert names(find_key(view, "Key")) == ["New"]
    assert find_key(view, "Key\\Below") is not None


def test_supersede_tree_hides_everything():
    view = merge(LOWER, over(SUPERSEDE_TREE, children=(TreeKey("Other", b"up", layer=SUPERSEDE_TREE),)))
    assert names(find_key(view, "Key")) == []
    assert [key.name for key in find_key(view, "Key").subkeys()] == ["Other"]
    assert find_key(view, "Key").class_name == b""


def test_layers_on_layers():
    """What a layer deleted and a higher one makes again has nothing of what was deleted."""
    view = merge(LOWER, over(TOMBSTONE), over(0, contents=(dword("New", 1),)))
    assert names(find_key(view, "Key")) == ["New"]
    assert find_key(view, "Key\\Below") is None


def test_the_sample_layer():
    view = merge(open_hive(sample_hive()).root, open_hive(sample_delta()).root)
    services = "ControlSet001\\Services"
    assert number_of(find_value(find_key(view, f"{services}\\Svc0001"), "start")) == 4
    assert find_key(view, f"{services}\\Svc0002") is None
    assert names(find_key(view, f"{services}\\Svc0003")) == []
    assert find_value(find_key(view, f"{services}\\Svc0004"), "Start") is None
    assert len(find_key(view, services).subkeys()) == 600
    assert diff(view, view) is None


# logs

HIVE = sample_hive(services=3)
AT = at_key(HIVE, "ControlSet001\\Services\\Svc0001", 76) - BASE_BLOCK
"""Where a key's name is, in the bins."""

PAGE = AT & ~4095
CHANGED = bytearray(HIVE[BASE_BLOCK + PAGE : BASE_BLOCK + PAGE + 4096])
CHANGED[AT - PAGE : AT - PAGE + 3] = b"New"


def log_head(hive: bytes, kind: int, sequence: int) -> bytearray:
    head = bytearray(hive[:512])
    head[4:12] = pack("<II", sequence, sequence)
    head[28:32] = pack("<I", kind)
    head[508:512] = pack("<I", checksum(head))
    return head


def entry(sequence: int, pages, bins: int = len(HIVE) - BASE_BLOCK) -> bytes:
    body = b"".join(pack("<II", offset, len(page)) for offset, page in pages) + b"".join(page for _, page in pages)
    body += bytes(-(40 + len(body)) % 512)
    head = pack("<4sIIIII", b"HvLE", 40 + len(body), 0, sequence, bins, len(pages)) + pack("<Q", marvin32(body))
    return head + pack("<Q", marvin32(head)) + body


def new_log(*entries: bytes, sequence: int = 2) -> bytes:
    return bytes(log_head(HIVE, 6, sequence)) + b"".join(entries)


def old_log(hive: bytes = HIVE, kind: int = 1) -> bytes:
    bits = (len(HIVE) - BASE_BLOCK) // 512
    first = PAGE // 512
    bitmap = sum(1 << page for page in range(first, first + 8)).to_bytes(bits // 8, "little")
    vector = b"DIRT" + bitmap
    return bytes(log_head(hive, kind, 2)) + vector + bytes(-len(vector) % 512) + bytes(CHANGED)


def services(data: bytes, *logs: bytes) -> list[str]:
    hive = open_hive(data, logs)
    assert not hive.base.is_dirty
    return [key.name for key in find_key(hive.root, "ControlSet001\\Services").subkeys()]


@pytest.mark.parametrize("log", [new_log(entry(2, [(PAGE, bytes(CHANGED))])), old_log(), old_log(kind=2)])
def test_a_log_is_applied(log):
    assert services(make_dirty(HIVE), log) == ["Svc0000", "New0001", "Svc0002"]
    assert services(make_dirty(HIVE), b"", log) == ["Svc0000", "New0001", "Svc0002"]


def test_a_clean_hive_needs_no_log():
    assert services(HIVE, new_log(entry(2, [(PAGE, bytes(CHANGED))]))) == ["Svc0000", "Svc0001", "Svc0002"]


def test_a_damaged_base_block_comes_from_the_log():
    torn = bytearray(HIVE)
    torn[40:44] = b"\xff\xff\xff\xff"
    for log in (new_log(entry(2, [(PAGE, bytes(CHANGED))])), old_log()):
        assert services(bytes(torn), log) == ["Svc0000", "New0001", "Svc0002"]


def test_entries_go_on_over_two_logs_in_any_order():
    back = bytearray(CHANGED)
    back[AT - PAGE : AT - PAGE + 3] = b"Svc"
    first = new_log(entry(2, [(PAGE, bytes(CHANGED))]))
    second = new_log(entry(3, [(PAGE, bytes(back))]), sequence=3)
    assert services(make_dirty(HIVE), second, first) == ["Svc0000", "Svc0001", "Svc0002"]
    hive = open_hive(make_dirty(HIVE), [first, second])
    assert (hive.base.primary, hive.base.secondary) == (3, 3)


def test_a_gap_ends_the_entries():
    late = new_log(entry(4, [(PAGE, b"x" * 4096)]), sequence=4)
    assert services(make_dirty(HIVE), new_log(entry(2, [(PAGE, bytes(CHANGED))])), late)[1] == "New0001"


@pytest.mark.parametrize(
    ("logs", "problem"),
    [
        ([b""], "no log has a base block"),
        ([b"regf" + bytes(600)], "no log has a base block"),
        ([new_log()], "no log holds"),
        ([new_log(entry(1, [(PAGE, bytes(CHANGED))]))], "no log holds"),
        ([new_log(entry(2, [(PAGE, bytes(CHANGED))])[:-512])], "no log holds"),
        ([new_log(entry(2, [(1 << 30, bytes(CHANGED))]))], "no log holds"),
        ([old_log()[:-1]], "ends within"),
        ([old_log(sample_hive(services=3)[:12] + b"later..." + sample_hive(services=3)[20:])], "another time"),
    ],
)
def test_logs_that_do_not_help(logs, problem):
    with pytest.raises(Malformed, match=problem):
        open_hive(make_dirty(HIVE), logs)


def test_the_log_of_another_hive():
    other = log_head(HIVE, 6, 2)
    other[48:54] = "SAM".encode("utf-16-le")
    other[508:512] = pack("<I", checksum(other))
    with pytest.raises(Malformed, match="another hive"):
        open_hive(make_dirty(HIVE), [bytes(other) + entry(2, [(PAGE, bytes(CHANGED))])])


@pytest.mark.parametrize("flip", [24, 32, 45, 300])
def test_an_entry_with_a_flipped_byte_is_not_applied(flip):
    broken = bytearray(entry(2, [(PAGE, bytes(CHANGED))]))
    broken[flip] ^= 1
    with pytest.raises(Malformed, match="no log holds"):
        open_hive(make_dirty(HIVE), [new_log(bytes(broken))])
