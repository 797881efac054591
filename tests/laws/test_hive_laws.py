"""What holds for every hive and every edit."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wingo.errors import Malformed
from wingo.hive.cells import BASE_BLOCK, TOMBSTONE, checksum
from wingo.hive.diff import delta_of, diff, edits_between
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue, apply_edits
from wingo.hive.fsck import fsck
from wingo.hive.keys import TreeKey, walk
from wingo.hive.merge import flatten, merge
from wingo.hive.read import open_hive
from wingo.hive.upcase import upcase
from wingo.hive.values import Value, parse_data, show
from wingo.hive.write import write_delta, write_hive
from wingo.testing.hives import OTHER_SECURITY, SYSTEM_SECURITY, sample_delta, sample_hive

NAMES = st.one_of(
    st.sampled_from(
        [
            "a",
            "A",
            "b",
            "Start",
            "start",
            "Services",
            "ß",
            "ÿ",
            "Ÿ",
            "ключ",
            "Ключ",
            "\U0001f600",
            "\uffee",
            "\u0131",
            "µ",
        ]
    ),
    st.text(st.characters(exclude_characters="\\\0", exclude_categories=()), min_size=1, max_size=8),
)
DATA = st.one_of(st.binary(max_size=9), st.sampled_from([16_344, 16_345, 40_000]).map(bytes))
VALUES = st.builds(Value, st.one_of(st.just(""), NAMES), st.integers(0, 12), DATA)


def unique(things):
    return list({upcase(thing.name): thing for thing in things}.values())


def keys(children):
    return st.builds(
        TreeKey,
        NAMES,
        st.sampled_from([SYSTEM_SECURITY, OTHER_SECURITY]),
        contents=st.lists(VALUES, max_size=4).map(unique).map(tuple),
        children=children,
        class_name=st.sampled_from([b"", "class".encode("utf-16-le")]),
        flags=st.sampled_from([0, 16]),
        last_written=st.integers(0, 2**64 - 1),
    )


def above(children):
    return keys(st.lists(children, max_size=5).map(unique).map(tuple))


TREES = st.recursive(keys(st.just(())), above, max_leaves=12)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("\\".join)
EDITS = st.one_of(
    st.builds(CreateKey, PATHS),
    st.builds(DeleteKey, PATHS),
    st.builds(SetValue, PATHS, NAMES, st.integers(0, 12), DATA),
    st.builds(DeleteValue, PATHS, NAMES),
)


@st.composite
def trees_and_edits(draw):
    """A tree, and edits that mostly meet what is there."""
    tree = draw(TREES)
    paths = [path for path, _ in walk(tree)][1:]
    there = st.sampled_from(paths) if paths else PATHS
    below = st.builds(lambda path, name: f"{path}\\{name}", there, NAMES)
    values = [(path, value.name) for path, key in walk(tree) for value in key.values()]
    close = [
        st.builds(DeleteKey, there),
        st.builds(CreateKey, below),
        st.builds(SetValue, there, NAMES, st.just(4), DATA),
    ]
    if values:
        close.append(st.builds(lambda at: DeleteValue(*at), st.sampled_from(values)))
        close.append(st.builds(lambda at, data: SetValue(*at, 3, data), st.sampled_from(values), DATA))
    return tree, draw(st.lists(st.one_of(*close, EDITS), max_size=8))


def everything(root):
    return [
        (path, key.flags, key.layer, key.last_written, key.security, key.class_name, tuple(key.values()))
        for path, key in walk(root)
    ]


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine making the trees takes its time
@given(TREES)
def test_what_is_written_is_read(tree):
    hive = write_hive(tree)
    assert fsck(hive) == ()
    root = open_hive(hive).root
    assert everything(root)[1:] == everything(tree)[1:]
    assert write_hive(root) == hive


@given(TREES)
def test_writing_does_not_depend_on_the_order_of_children(tree):
    def turned(key):
        return TreeKey(
            key.name,
            key.security,
            key.contents,
            tuple(turned(child) for child in reversed(key.children)),
            key.class_name,
            key.flags,
            last_written=key.last_written,
        )

    assert write_hive(turned(tree)) == write_hive(tree)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(trees_and_edits())
def test_a_layer_makes_the_edited_view(drawn):
    tree, edits = drawn
    base = open_hive(write_hive(tree)).root
    edited = apply_edits(base, edits, timestamp=7)
    delta = write_delta(delta_of(diff(base, edited), base))
    assert fsck(delta) == ()
    merged = merge(base, open_hive(delta).root)
    assert diff(merged, edited) is None
    assert diff(edited, merged) is None
    assert [item[0] for item in everything(merged)] == [item[0] for item in everything(edited)]
    assert open_hive(write_hive(merged)).root.subkeys() is not None


@given(trees_and_edits())
def test_the_short_way_finds_what_the_long_way_finds(drawn):
    """A diff of a view with what it was made from looks at the edits alone; one of two hives looks at everything."""
    tree, edits = drawn
    base = open_hive(write_hive(tree)).root
    edited = apply_edits(base, edits)
    short = list(edits_between(diff(base, edited)))
    long = list(edits_between(diff(base, open_hive(write_hive(edited)).root)))
    assert short == long


@given(trees_and_edits(), st.lists(EDITS, max_size=5))
def test_layers_on_layers_and_back(drawn, more):
    tree, edits = drawn
    base = open_hive(write_hive(tree)).root
    first = apply_edits(base, edits)
    lower = open_hive(write_delta(delta_of(diff(base, first), base))).root
    view = merge(base, lower)
    second = apply_edits(view, more)
    upper = open_hive(write_delta(delta_of(diff(view, second), view))).root
    assert diff(merge(base, lower, upper), apply_edits(base, [*edits, *more])) is None
    back = apply_edits(second, edits_between(diff(second, base)))
    assert not list(edits_between(diff(back, base)))


@given(trees_and_edits())
def test_edits_twice_are_edits_once_when_they_only_set(drawn):
    tree, edits = drawn
    settled = [edit for edit in edits if isinstance(edit, SetValue | CreateKey)]
    once, twice = apply_edits(tree, settled), apply_edits(apply_edits(tree, settled), settled)
    assert diff(once, twice) is None


@given(st.lists(st.tuples(st.integers(0, 8191 * 3), st.integers(0, 255)), min_size=1, max_size=12), st.booleans())
def test_broken_hives_are_refused_or_read_but_never_crash(flips, layered):
    """Bytes replaced anywhere: an error with its place, or a tree; fsck always ends."""
    hive = bytearray(sample_delta() if layered else sample_hive(services=20))
    for offset, byte in flips:
        hive[offset % len(hive)] = byte
    fsck(bytes(hive))
    hive[508:512] = checksum(hive).to_bytes(4, "little")
    fsck(bytes(hive))
    try:
        root = open_hive(bytes(hive), allow_dirty=True).root
        count = 0
        for _, key in walk(flatten(root) if root.layer & 3 != TOMBSTONE else root):
            count += 1
            assert isinstance(key.security, bytes)
            assert isinstance(key.class_name, bytes)
            key.values()
        assert count <= (len(hive) - BASE_BLOCK) // 80
    except Malformed as error:
        where = error.offset
    else:
        where = 0
    assert 0 <= where <= len(hive)


@given(st.builds(Value, st.just("v"), st.integers(0, 15), st.binary(max_size=12)))
def test_what_is_shown_is_read_back(value):
    assert parse_data(show(value)) == (value.type, value.data)


@given(st.text())
def test_upcase_settles_and_keeps_the_units(text):
    upper = upcase(text)
    assert upcase(upper) == upper
    assert len(upper) == len(text.encode("utf-16-le", "surrogatepass")) // 2
