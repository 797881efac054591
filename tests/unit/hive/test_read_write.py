"""Reading and writing: the kinds of lists, names, data and descriptors, and what is refused."""

from __future__ import annotations

from struct import pack, unpack_from

import pytest

from wingo.errors import Malformed, RequestError
from wingo.hive.cells import BASE_BLOCK, KEY_LATIN, NO_CELL
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue, apply_edits
from wingo.hive.fsck import fsck
from wingo.hive.keys import TreeKey, find_key, find_value, split_path, walk
from wingo.hive.read import open_hive
from wingo.hive.upcase import name_hash, upcase
from wingo.hive.values import Value
from wingo.hive.write import write_delta, write_hive
from wingo.testing.hives import (
    FAULTS,
    OTHER_SECURITY,
    SYSTEM_SECURITY,
    at_cell,
    at_key,
    dword,
    make_dirty,
    patched,
    sample_delta,
    sample_hive,
    sample_tree,
)

HIVE = sample_hive()


def values_of(hive: bytes, path: str) -> dict[str, Value]:
    return {value.name: value for value in find_key(open_hive(hive).root, path).values()}


def test_everything_in_the_sample_is_read():
    root = open_hive(memoryview(bytearray(HIVE))).root
    control = values_of(HIVE, "controlset001\\CONTROL")
    assert control[""].data == "default\0".encode("utf-16-le")
    assert control["Large"].data == bytes(range(256)) * 140
    assert control["Empty"] == Value("Empty", 0, b"")
    assert control["Имя"].type == 1
    assert find_key(root, "ControlSet001\\Control\\LSA").class_name == "8d2b1f".encode("utf-16-le")
    assert find_key(root, "ControlSet001\\Control\\КЛЮЧ").name == "Ключ"
    assert find_key(root, "ControlSet001\\Services\\Svc0007").security == OTHER_SECURITY
    assert len(find_key(root, "ControlSet001\\Services").subkeys()) == 600
    assert find_key(root, "ControlSet001\\Services\\Svc0600") is None
    assert find_key(root, "") == root


def test_more_than_a_leaf_of_keys_makes_an_index():
    listed = at_cell(HIVE, at_key(HIVE, "ControlSet001\\Services", 28))
    assert HIVE[listed : listed + 4] == b"ri\x02\x00"
    assert unpack_from("<II", HIVE, 40) == (len(HIVE) - BASE_BLOCK, 1)


@pytest.mark.parametrize("kind", [b"li", b"lf"])
def test_other_kinds_of_lists_are_read(kind):
    """The list of a key's two subkeys, rewritten in place."""
    at = at_cell(HIVE, at_key(HIVE, "", 28))
    first, _, second, _ = unpack_from("<IIII", HIVE, at + 4)
    entries = pack("<II", first, second) if kind == b"li" else pack("<I4sI4s", first, b"Cont", second, b"Sele")
    other = patched(HIVE, at, kind + b"\x02\x00" + entries)
    assert [key.name for key in open_hive(other).root.subkeys()] == ["ControlSet001", "Select"]
    assert find_key(open_hive(other).root, "select\\") is not None
    assert fsck(other) == ()


def test_the_same_keys_give_the_same_bytes():
    assert sample_hive() == HIVE
    assert unpack_from("<Q", HIVE, 12) == (0,)
    assert unpack_from("<II", HIVE, 4) == (1, 1)
    stamped = write_hive(sample_tree(), name="SYSTEM", last_written=5)
    assert open_hive(stamped).base.last_written == 5


def test_a_descriptor_is_written_once():
    counts = {}
    for _, key in open_hive(HIVE).walk():
        counts[key.security] = counts.get(key.security, 0) + 1
    cell = at_cell(HIVE, at_key(HIVE, "", 44))
    assert unpack_from("<I", HIVE, cell + 12)[0] == counts[SYSTEM_SECURITY]
    assert HIVE.count(SYSTEM_SECURITY) == 1


@pytest.mark.parametrize("size", [0, 1, 4, 5, 16_344, 16_345, 32_688, 32_689])
def test_data_of_every_size(size):
    data = bytes(index % 251 for index in range(size))
    hive = write_hive(TreeKey("r", b"", contents=(Value("v", 3, data),)))
    assert open_hive(hive).root.values()[0].data == data
    assert fsck(hive) == ()


def test_every_segment_has_a_cell_of_the_same_size():
    """As in the hives that Windows wrote; other readers count on it."""
    hive = write_hive(TreeKey("r", b"", contents=(Value("v", 3, bytes(16_345)),)))
    record = at_cell(hive, at_cell(hive, at_cell(hive, at_key(hive, "", 40)), 8), 4)
    segments = at_cell(hive, record)
    sizes = [unpack_from("<i", hive, at_cell(hive, segments + 4 * index) - 4)[0] for index in range(2)]
    assert sizes == [-16_352, -16_352]


def test_names_that_fit_one_byte_are_stored_so():
    for name, flag in (("é", KEY_LATIN), ("я", 0), ("\U0001f600", 0)):
        hive = write_hive(TreeKey("r", b"", children=(TreeKey(name, b""),)))
        assert unpack_from("<H", hive, at_key(hive, name, 2))[0] & KEY_LATIN == flag
        assert open_hive(hive).root.subkeys()[0].name == name


def test_order_is_by_utf_16_unit():
    """Beyond the basic plane a surrogate stands first, which is below U+E000."""
    names = ["\ufb01", "\U0001f600", "a", "Z"]
    hive = write_hive(TreeKey("r", b"", children=tuple(TreeKey(name, b"") for name in names)))
    assert [key.name for key in open_hive(hive).root.subkeys()] == ["a", "Z", "\U0001f600", "\ufb01"]


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("straße", "STRAßE"),
        ("ÿ", "Ÿ"),
        ("µ", "µ"),
        ("\u0131", "\u0131"),
        ("ключ", "КЛЮЧ"),
        ("ς", "ς"),
        ("ǆ", "Ǆ"),
        ("ა", "ა"),
    ],
)
def test_upper_case_is_that_of_nt(lower, upper):
    assert upcase(lower) == upper


def test_the_hash():
    assert name_hash("A") == 65
    assert name_hash("AB") == 65 * 37 + 66
    assert name_hash("Z" * 40) < 1 << 32


@pytest.mark.parametrize(
    "tree",
    [
        TreeKey("r", b"", children=(TreeKey("a", b""), TreeKey("A", b""))),
        TreeKey("r", b"", children=(TreeKey("", b""),)),
        TreeKey("r", b"", children=(TreeKey("a\\b", b""),)),
        TreeKey("r", b"", children=(TreeKey("a" * 256, b""),)),
        TreeKey("r", b"", contents=(dword("a", 1), dword("A", 2))),
        TreeKey("r", b"", contents=(dword("a" * 16_384, 1),)),
        TreeKey("r", b"", contents=(Value("a", 0, b"", tombstone=True),)),
        TreeKey("r", b"", class_name=bytes(65_536)),
    ],
)
def test_what_no_hive_holds_is_not_written(tree):
    with pytest.raises(RequestError):
        write_hive(tree)


def test_names_at_the_limit_are_written():
    hive = write_hive(TreeKey("r", b"", children=(TreeKey("a" * 255, b""), TreeKey("я" * 255, b""))))
    assert fsck(hive) == ()


def test_depth_has_a_limit():
    key = TreeKey("k", b"")
    for _ in range(512):
        key = TreeKey("k", b"", children=(key,))
    assert fsck(write_hive(key)) == ()
    with pytest.raises(RequestError, match="512"):
        write_hive(TreeKey("k", b"", children=(key,)))


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "base block"),
        (b"PK\x03\x04" + bytes(9000), "base block"),
        (HIVE[:4096], "ends"),
        (HIVE[:-1], "ends"),
        (make_dirty(HIVE), "dirty"),
        (patched(HIVE, 300, b"x", seal=False), "checksum"),
        (patched(HIVE, 36, b"\xff\xff\xff\x7f"), "a key is said to be"),
    ],
)
def test_what_is_no_hive(data, problem):
    with pytest.raises(Malformed, match=problem) as raised:
        _ = open_hive(data).root
    assert raised.value.offset is not None


def test_a_dirty_hive_can_be_looked_at():
    assert open_hive(make_dirty(HIVE), allow_dirty=True).root.name == "ROOT"


def test_two_owners_of_large_data():
    """Data that many values name would be read again and again."""
    tree = TreeKey("r", b"", contents=(Value("a", 3, b"x" * 2000), Value("b", 3, b"y" * 2000)))
    hive = write_hive(tree)
    listed = at_cell(hive, at_key(hive, "", 40))
    first, second = at_cell(hive, listed), at_cell(hive, listed + 4)
    with pytest.raises(Malformed, match="two owners"):
        open_hive(patched(hive, second + 8, hive[first + 8 : first + 12])).root.values()


def test_edits():
    root = open_hive(HIVE).root
    edited = apply_edits(
        root,
        [
            CreateKey("New\\Deep", class_name=b"c\0"),
            SetValue("select", "CURRENT", 4, b"\2\0\0\0"),
            SetValue("Select", "Zed", 1, b""),
            DeleteValue("Select", "default"),
            DeleteValue("Select", "not there"),
            DeleteKey("ControlSet001\\Services\\svc0001"),
            DeleteKey("not\\there"),
            SetValue("ControlSet001\\Services\\svc0002\\Parameters", "x", 4, b"\0\0\0\0"),
            DeleteKey("ControlSet001\\Services\\svc0002"),
            CreateKey("ControlSet001\\Services\\Svc0002"),
        ],
        timestamp=9,
    )
    assert [(value.name, value.data) for value in find_key(edited, "Select").values()] == [
        ("Current", b"\2\0\0\0"),
        ("Zed", b""),
    ]
    assert find_key(edited, "new\\deep").class_name == b"c\0"
    assert find_key(edited, "New").security == root.security
    assert find_key(edited, "New").last_written == 9
    assert find_key(edited, "not") is None
    assert find_key(edited, "ControlSet001\\Services\\Svc0001") is None
    assert list(find_key(edited, "ControlSet001\\Services\\Svc0002").values()) == []
    assert find_value(find_key(root, "Select"), "Current").data == b"\1\0\0\0"
    with pytest.raises(RequestError, match="root"):
        apply_edits(root, [DeleteKey("")])
    with pytest.raises(RequestError):
        apply_edits(root, [CreateKey("a\\\\b")])
    with pytest.raises(RequestError):
        apply_edits(root, [SetValue("a", "b", -1, b"")])


def test_paths():
    assert split_path("\\a\\b\\") == ("a", "b")
    assert [path for path, _ in walk(TreeKey("r", b"", children=(TreeKey("b", b""), TreeKey("A", b""))))] == [
        "",
        "A",
        "b",
    ]


def test_a_layer_says_so():
    delta = write_delta(TreeKey("r", b"", layer=0x80))
    base = open_hive(delta).base
    assert (base.minor, base.flags, base.is_layered) == (6, 2, True)
    assert open_hive(delta).root.layer == 0
    assert unpack_from("<I", delta, at_key(delta, "", 44))[0] == NO_CELL


class Plain:
    """A key that is nobody's own: it is taken apart and written anew, not copied."""

    def __init__(self, key):
        self.key = key

    def __getattr__(self, name):
        return getattr(self.key, name)

    def subkeys(self):
        return [Plain(key) for key in self.key.subkeys()]


def written(data, wrap):
    try:
        return write_hive(wrap(open_hive(data).root))
    except (Malformed, RequestError) as error:
        return type(error)


@pytest.mark.parametrize("name", ["", *FAULTS])
def test_what_is_copied_is_what_would_be_written(name):
    """Broken hives as well: nothing gets through the one way that the other refuses."""
    data = FAULTS[name][1](HIVE) if name else HIVE
    copied = written(data, lambda root: root)
    assert copied == written(data, Plain)
    assert isinstance(copied, bytes) or copied in (Malformed, RequestError)


def test_what_is_out_of_the_ordinary_is_written_in_order():
    """What other writers do and we do not: a name in UTF-16 that fits one byte, short data in a cell of its own."""
    at = at_cell(HIVE, at_cell(HIVE, at_key(HIVE, "Select", 40)))
    wide = patched(patched(HIVE, at + 20, "Cur".encode("utf-16-le") + b"\0"), at + 16, b"\0\0")
    wide = patched(wide, at + 2, b"\6\0")
    assert [value.name for value in find_key(open_hive(wide).root, "Select").values()] == ["Cur", "Default"]
    assert written(wide, lambda root: root) == written(wide, Plain)
    garbage = patched(HIVE, at + 4, b"\2\0\0\x80\1\2\3\4")
    assert written(garbage, lambda root: root) == written(garbage, Plain)
    cell = at_cell(HIVE, at_cell(HIVE, at_cell(HIVE, at_key(HIVE, "ControlSet001\\Control", 40), 12), 8))
    short = patched(HIVE, at + 4, pack("<II", 3, cell - 4 - 4096))
    assert find_key(open_hive(short).root, "Select").values()[0].data == HIVE[cell : cell + 3]
    assert written(short, lambda root: root) == written(short, Plain)


def test_keys_of_two_hives_are_written():
    one, two = (open_hive(write_hive(sample_tree(services=count))).root for count in (3, 5))
    both = TreeKey("r", SYSTEM_SECURITY, children=(TreeKey("A", b"", children=tuple(one.subkeys())), *two.subkeys()))
    hive = write_hive(both)
    assert fsck(hive) == ()
    assert hive == write_hive(Plain(both))
    layered = open_hive(sample_delta()).root
    assert write_delta(layered) == write_delta(Plain(layered))


@pytest.mark.parametrize("size", [20, 400, 3000])
def test_the_buffer_grows_wherever_it_is_full(size):
    """Descriptors, data and keys by turns, so that each of them is once the one that does not fit any more."""
    keys = tuple(
        TreeKey(
            f"{number:04}",
            number.to_bytes(4, "little") + bytes(size - 4),
            contents=(Value("v", 3, bytes(number * 7 % 900)),),
            class_name=b"c\0" * (number % 9),
        )
        for number in range(400)
    )
    tree = TreeKey("r", SYSTEM_SECURITY, children=keys)
    hive = write_hive(tree)
    assert fsck(hive) == ()
    assert hive == write_hive(open_hive(hive).root) == write_hive(Plain(open_hive(hive).root))
    assert [key.security for key in open_hive(hive).root.subkeys()] == [key.security for key in keys]
    delta = write_delta(tree)
    assert fsck(delta) == ()


def test_a_descriptor_that_is_none_is_not_written():
    with pytest.raises(RequestError, match="descriptor"):
        write_hive(TreeKey("r", bytes(19)))
