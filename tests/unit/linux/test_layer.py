"""The layer for Linux."""

from __future__ import annotations

import io
import itertools

import pytest

from wingo.archive.entry import Content, Entry, EntryKind
from wingo.errors import RequestError
from wingo.linux.layer import plan_layer
from wingo.linux.requests import (
    DATA,
    READ_ONLY,
    UNSAID,
    Attributes,
    LinuxDirectory,
    LinuxFile,
    LinuxHardLink,
    LinuxSymlink,
)
from wingo.linux.users import NONROOT, ROOT, Owner

BYTES = Content(3, lambda: io.BytesIO(b"abc"), "a test")


def file(path, attributes=UNSAID, *, executable=False, source="a file"):
    return LinuxFile(path=path, content=BYTES, attributes=attributes, executable=executable, source=source)


def directory(path, attributes=UNSAID, source="a directory"):
    return LinuxDirectory(path=path, attributes=attributes, source=source)


def link(path, target, source="a link"):
    return LinuxSymlink(path=path, target=target, source=source)


def hard_link(path, target, source="a hard link"):
    return LinuxHardLink(path=path, target=target, source=source)


def planned(*requests, **options):
    return plan_layer(requests, **{"epoch": 0, "created_by": "a test", **options})


def entries(*requests, **options):
    return {entry.name: entry for entry in planned(*requests, **options).recipe.entries}


def names(*requests, **options):
    return [entry.name for entry in planned(*requests, **options).recipe.entries]


def test_the_program_belongs_to_root_and_nobody_may_write_it():
    plan = planned(file("/app/server", executable=True))
    assert plan.recipe.entries == (
        Entry("app", EntryKind.DIRECTORY, 0o755),
        Entry("app/server", EntryKind.FILE, 0o555, 0, 0, BYTES),
    )
    assert plan.notes == ()


def test_a_file_that_is_no_program_can_be_read_by_everybody():
    assert entries(file("/app/x"))["app/x"].mode == 0o444


def test_the_recipe_carries_what_it_was_told():
    recipe = planned(file("/x"), epoch=7, created_by="by", comment="why").recipe
    assert (recipe.epoch, recipe.created_by, recipe.comment) == (7, "by", "why")


def test_a_time_before_1970_is_refused():
    with pytest.raises(RequestError, match="before 1970"):
        planned(epoch=-1)


def test_every_directory_stands_once_and_before_what_is_in_it():
    found = names(file("/a/b/c/d"), file("/a/b/e"), file("/a/a"), file("/z"))
    assert found == ["a", "a/a", "a/b", "a/b/c", "a/b/c/d", "a/b/e", "z"]


def test_the_order_is_by_component_not_by_text():
    # As text, "a-b/x" sorts between "a" and "a/x": "-" is before "/".
    assert names(file("/a/x"), file("/a-b/x"), file("/a.b")) == ["a", "a/x", "a-b", "a-b/x", "a.b"]


def test_the_order_of_the_requests_does_not_matter():
    requests = [file("/b/x"), directory("/b", DATA), link("/a", "b"), hard_link("/c", "/b/x")]
    recipes = {planned(*order).recipe.entries for order in itertools.permutations(requests)}
    assert len(recipes) == 1


def test_nothing_asked_for_is_an_empty_layer():
    assert names() == []


@pytest.mark.parametrize(
    ("attributes", "executable", "mode", "owner"),
    [
        (DATA, False, 0o640, NONROOT),
        (DATA, True, 0o750, NONROOT),
        (Attributes(mode=0o600), False, 0o600, ROOT),
        (Attributes(mode=0o600), True, 0o600, ROOT),
        (Attributes(owner=Owner(5, 6)), False, 0o444, Owner(5, 6)),
        (Attributes("data", owner=Owner(5, 6)), False, 0o640, Owner(5, 6)),
        (Attributes("data", mode=0o400), False, 0o400, NONROOT),
    ],
)
def test_the_attributes_of_a_file(attributes, executable, mode, owner):
    entry = entries(file("/x", attributes, executable=executable))["x"]
    assert (entry.mode, entry.uid, entry.gid) == (mode, owner.uid, owner.gid)


@pytest.mark.parametrize(
    ("attributes", "mode", "owner"),
    [
        (Attributes(), 0o755, ROOT),
        (DATA, 0o750, NONROOT),
        (Attributes(mode=0o640), 0o750, ROOT),
        (Attributes(mode=0o444), 0o555, ROOT),
        (Attributes(mode=0o200), 0o200, ROOT),
        (Attributes(mode=0o1777), 0o1777, ROOT),
        (Attributes(mode=0o2770, owner=Owner(1, 2)), 0o2770, Owner(1, 2)),
    ],
)
def test_the_attributes_of_a_directory(attributes, mode, owner):
    entry = entries(directory("/x", attributes))["x"]
    assert (entry.kind, entry.mode, entry.uid, entry.gid) == (EntryKind.DIRECTORY, mode, owner.uid, owner.gid)


def test_data_belongs_to_whoever_the_service_runs_as():
    found = entries(directory("/data", DATA), file("/data/x", DATA), service=Owner(7, 8))
    assert {(entry.uid, entry.gid) for entry in found.values()} == {(7, 8)}


def test_the_way_to_data_is_roots():
    found = entries(directory("/var/lib/app", DATA))
    assert [(entry.mode, entry.uid) for entry in found.values()] == [(0o755, 0), (0o755, 0), (0o750, 65532)]


@pytest.mark.parametrize(
    ("below", "name", "mode", "uid"),
    [
        ("/tmp/x", "tmp", 0o1777, 0),
        ("/var/tmp/x", "var/tmp", 0o1777, 0),
        ("/root/x", "root", 0o700, 0),
        ("/home/nonroot/x", "home/nonroot", 0o700, 65532),
    ],
)
def test_a_file_in_a_known_directory_does_not_change_its_mode(below, name, mode, uid):
    entry = entries(file(below))[name]
    assert (entry.mode, entry.uid, entry.gid) == (mode, uid, uid)


def test_a_known_directory_that_is_asked_for_is_as_asked():
    assert entries(directory("/tmp", Attributes(mode=0o700)))["tmp"].mode == 0o700


@pytest.mark.parametrize("path", ["/bin/x", "/sbin/x", "/lib/x", "/lib64/x", "/var/run/x", "/usr/lib64/x"])
def test_a_directory_that_may_be_a_link_in_the_base_is_not_put_in_its_place(path):
    parent = path.rpartition("/")[0][1:]
    assert parent not in names(file(path))
    assert path[1:] in names(file(path))
    assert parent in names(file(path), on_base=False)


def test_below_such_a_directory_everything_is_as_usual():
    assert names(file("/lib/a/b")) == ["lib/a", "lib/a/b"]
    assert names(file("/var/lib/x")) == ["var", "var/lib", "var/lib/x"]


def test_such_a_directory_is_made_when_asked_for_and_said():
    plan = planned(directory("/bin"), file("/bin/x"))
    assert [entry.name for entry in plan.recipe.entries] == ["bin", "bin/x"]
    assert plan.notes == ("/bin is a link in many bases; a directory takes its place here",)
    assert planned(directory("/bin"), on_base=False).notes == ()


def test_a_symbolic_link_keeps_its_text():
    entry = entries(link("/app/current", "../releases/./1"))["app/current"]
    assert entry == Entry("app/current", EntryKind.SYMLINK, 0o777, link_target="../releases/./1")


@pytest.mark.parametrize("target", ["", "a\0b", "\udc80", "x" * 4096])
def test_a_target_that_no_link_can_have_is_refused(target):
    with pytest.raises(RequestError, match=r"the docs: .* cannot be the target"):
        planned(link("/x", target, source="the docs"))


def test_the_longest_target_is_taken():
    assert len(entries(link("/x", "x" * 4095))["x"].link_target) == 4095


def test_hard_links_come_last_with_the_metadata_of_their_file():
    plan = planned(hard_link("/a", "/z/program"), file("/z/program", DATA, executable=True))
    assert [entry.name for entry in plan.recipe.entries] == ["z", "z/program", "a"]
    assert plan.recipe.entries[-1] == Entry("a", EntryKind.HARDLINK, 0o750, 65532, 65532, link_target="z/program")
    assert len(plan.notes) == 1


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/nowhere", "is not in this layer"),
        ("/d", "is no file"),
        ("/l", "is no file"),
        ("/h", "is no file"),
        ("/d/..", r"contains \.\."),
        ("x", "not absolute"),
    ],
)
def test_a_hard_link_to_no_file_of_the_layer_is_refused(target, problem):
    with pytest.raises(RequestError, match=problem) as caught:
        planned(file("/f"), directory("/d"), link("/l", "f"), hard_link("/h", target, source="the docs"))
    assert str(caught.value).startswith("the docs: ")


@pytest.mark.parametrize(
    "pair",
    [
        (file("/x", source="one"), file("/x", source="two")),
        (file("/x", source="one"), file("//x/", source="two")),
        (file("/x", source="one"), link("/x", "y", source="two")),
        (file("/x", source="one"), directory("/x", source="two")),
        (link("/x", "y", source="one"), link("/x", "y", source="two")),
        (hard_link("/x", "/y", source="one"), file("/x", source="two")),
        (file("/x", source="one"), file("/x/y", source="two")),
        (link("/x", "y", source="one"), file("/x/y", source="two")),
        (hard_link("/x", "/y", source="one"), file("/x/y/z", source="two")),
        (directory("/x", DATA, source="one"), directory("/x", READ_ONLY, source="two")),
        (directory("/x", Attributes(mode=0o700), source="one"), directory("/x", Attributes(mode=0), source="two")),
        (
            directory("/x", Attributes(owner=Owner(1, 1)), source="one"),
            directory("/x", Attributes(owner=ROOT), source="two"),
        ),
    ],
)
def test_two_things_in_one_place_are_refused_naming_both(pair):
    messages = set()
    for order in (pair, pair[::-1]):
        with pytest.raises(RequestError) as caught:
            planned(file("/y"), *order)
        messages.add(str(caught.value))
    assert len(messages) == 1
    assert "(one)" in messages.copy().pop()
    assert "(two)" in messages.pop()


def test_a_directory_may_be_asked_for_twice_alike():
    assert names(directory("/x", DATA, "one"), directory("/x", DATA, "two"), file("/x/y")) == ["x", "x/y"]


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        (UNSAID, DATA, DATA),
        (UNSAID, READ_ONLY, READ_ONLY),
        (DATA, Attributes(mode=0o700), Attributes("data", 0o700)),
        (Attributes(mode=0), Attributes(owner=ROOT), Attributes("", 0, ROOT)),
        (Attributes("data", 0o700, Owner(1, 2)), UNSAID, Attributes("data", 0o700, Owner(1, 2))),
    ],
)
def test_what_two_requests_say_of_a_directory_is_put_together(first, second, together):
    wanted = entries(directory("/x", together))
    for one, other in ((first, second), (second, first)):
        assert entries(directory("/x", one, "one"), directory("/x", other, "two")) == wanted
        assert entries(file("/x/y"), directory("/x", one, "one"), directory("/x", other, "two"))["x"] == wanted["x"]


def test_what_nobody_said_anything_of_is_as_its_directory():
    found = entries(
        directory("/data", DATA),
        file("/data/seed"),
        file("/data/a/b/run", executable=True),
        file("/data/kept", READ_ONLY),
        directory("/data/ro", READ_ONLY),
        file("/data/ro/x"),
        file("/data/mode", Attributes(mode=0o600)),
        file("/data2/x"),
        hard_link("/link", "/data/seed"),
    )
    states = {name: (entry.mode, entry.uid) for name, entry in found.items()}
    assert states == {
        "data": (0o750, 65532),
        "data/a": (0o750, 65532),
        "data/a/b": (0o750, 65532),
        "data/a/b/run": (0o750, 65532),
        "data/kept": (0o444, 0),
        "data/mode": (0o600, 65532),
        "data/ro": (0o755, 0),
        "data/ro/x": (0o444, 0),
        "data/seed": (0o640, 65532),
        "data2": (0o755, 0),
        "data2/x": (0o444, 0),
        "link": (0o640, 65532),
    }


def test_names_that_differ_in_case_are_two_files():
    assert names(file("/README"), file("/readme")) == ["README", "readme"]


def test_the_root_may_be_copied_to_but_not_changed():
    assert names(directory("/"), directory("/", READ_ONLY), file("/x")) == ["x"]
    for request in (directory("/", DATA, "me"), file("/", source="me"), link("/", "x", "me")):
        with pytest.raises(RequestError, match="me: / itself"):
            planned(request)


def test_a_path_that_is_refused_names_its_source():
    with pytest.raises(RequestError, match=r"^--copy a:b: ") as caught:
        planned(file("b", source="--copy a:b"))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("attributes", "service", "said"),
    [
        (Attributes(), NONROOT, False),
        (DATA, NONROOT, True),
        (DATA, ROOT, False),
        (Attributes(mode=0o775), NONROOT, False),
        (Attributes(mode=0o775, owner=Owner(0, 65532)), NONROOT, True),
        (Attributes(mode=0o757), NONROOT, True),
        (Attributes(mode=0o555, owner=NONROOT), NONROOT, True),
        (Attributes(mode=0o666), NONROOT, False),
    ],
)
def test_a_program_that_the_service_may_change_is_said(attributes, service, said):
    notes = planned(file("/x", attributes, executable=True, source="me"), service=service).notes
    assert notes == (("/x may be changed by the service's user (me)",) if said else ())


@pytest.mark.parametrize(("mode", "said"), [(0o4755, True), (0o2755, True), (0o1755, False)])
def test_a_set_id_program_is_said(mode, said):
    notes = planned(file("/x", Attributes(mode=mode), source="me")).notes
    assert notes == (("/x runs with the rights of its owner or group (me)",) if said else ())
