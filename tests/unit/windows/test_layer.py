r"""The layer dialect: names, order, records, links, whiteouts, and what may not stand together in one layer."""

from __future__ import annotations

import io
import itertools
import tarfile

import pytest

from wingo.archive.entry import Content, Entry, EntryKind
from wingo.archive.pack import pack
from wingo.errors import RequestError
from wingo.windows.layer import WindowsLayer, plan_layer
from wingo.windows.requests import (
    DATA,
    READ_ONLY,
    UNSAID,
    Attributes,
    HiveDelta,
    LayerRequest,
    Whiteout,
    WindowsDirectory,
    WindowsFile,
    WindowsHardLink,
    WindowsJunction,
    WindowsSymlink,
)
from wingo.windows.sddl import format_sddl, parse_sddl
from wingo.windows.security import (
    CONTAINER_USER,
    DATA_DIRECTORY,
    DATA_FILE,
    FILE_ALL,
    READ_ONLY_DIRECTORY,
    READ_ONLY_FILE,
    SERVICE_ACCOUNTS,
    allowed_rights,
    decode_descriptor,
)

TIMES = {"atime": "7", "ctime": "7", "LIBARCHIVE.creationtime": "7"}
NOTHING = Content(0, io.BytesIO, "nothing")


def file(path: str, source: str = "", attributes: Attributes = UNSAID) -> WindowsFile:
    return WindowsFile(path=path, content=NOTHING, source=source or f"file {path}", attributes=attributes)


def directory(path: str, source: str = "", attributes: Attributes = UNSAID) -> WindowsDirectory:
    return WindowsDirectory(path=path, source=source or f"directory {path}", attributes=attributes)


def symlink(path: str, target: str, *, directory: bool = False) -> WindowsSymlink:
    return WindowsSymlink(path=path, target=target, directory=directory, source=f"symlink {path}")


def junction(path: str, target: str) -> WindowsJunction:
    return WindowsJunction(path=path, target=target, source=f"junction {path}")


def hard_link(path: str, target: str, *, in_base: bool = False) -> WindowsHardLink:
    return WindowsHardLink(path=path, target=target, in_base=in_base, source=f"hard link {path}")


def whiteout(path: str) -> Whiteout:
    return Whiteout(path=path, source=f"whiteout {path}")


def hive(name: str, source: str = "hives") -> HiveDelta:
    return HiveDelta(name=name, content=NOTHING, source=source)


def plan(*requests: LayerRequest, on_base: bool = True) -> WindowsLayer:
    return plan_layer(requests, epoch=7, created_by="test", comment="why", on_base=on_base)


def names(layer: WindowsLayer) -> list[str]:
    return [entry.name for entry in layer.recipe.entries]


def entry_of(layer: WindowsLayer, name: str) -> Entry:
    (entry,) = (entry for entry in layer.recipe.entries if entry.name == name)
    return entry


def sddl_of(entry: Entry) -> str:
    import base64

    records = dict(entry.pax)
    return (
        format_sddl(decode_descriptor(base64.b64decode(records["MSWINDOWS.rawsd"])))
        if "MSWINDOWS.rawsd" in records
        else ""
    )


def test_an_empty_layer_has_its_two_roots() -> None:
    layer = plan()
    assert names(layer) == ["Hives", "Files"]
    for entry in layer.recipe.entries:
        assert entry.kind is EntryKind.DIRECTORY
        assert dict(entry.pax) == {**TIMES, "MSWINDOWS.fileattr": "16"}, "the roots are the base's: no descriptor"
    assert (layer.recipe.epoch, layer.recipe.created_by, layer.recipe.comment) == (7, "test", "why")
    assert layer.notes == ()


def test_a_program_is_read_only_with_every_directory_before_it() -> None:
    layer = plan(file(r"C:\app\bin\server.exe"))
    assert names(layer) == ["Hives", "Files", "Files/app", "Files/app/bin", "Files/app/bin/server.exe"]
    for name in ("Files/app", "Files/app/bin"):
        entry = entry_of(layer, name)
        assert (entry.kind, sddl_of(entry)) == (EntryKind.DIRECTORY, READ_ONLY_DIRECTORY)
        assert dict(entry.pax).items() >= {**TIMES, "MSWINDOWS.fileattr": "16"}.items()
    program = entry_of(layer, "Files/app/bin/server.exe")
    assert (program.kind, program.content, sddl_of(program)) == (EntryKind.FILE, NOTHING, READ_ONLY_FILE)
    assert dict(program.pax).items() >= {**TIMES, "MSWINDOWS.fileattr": "32"}.items()
    assert layer.notes == ()


def test_records_are_sorted() -> None:
    for entry in plan(file("/a/b"), junction("/c", "/a")).recipe.entries:
        assert list(entry.pax) == sorted(entry.pax)


def test_attributes_become_descriptors_and_bits() -> None:
    layer = plan(
        directory("/data", attributes=DATA),
        file("/data/seed.db", attributes=Attributes("data", 2)),
        directory("/x", attributes=Attributes("O:BAG:SYD:P(A;;FA;;;BA)", 6)),
        file("/y", attributes=Attributes(bits=1)),
    )
    assert sddl_of(entry_of(layer, "Files/data")) == DATA_DIRECTORY
    assert sddl_of(entry_of(layer, "Files/data/seed.db")) == DATA_FILE
    assert dict(entry_of(layer, "Files/data/seed.db").pax)["MSWINDOWS.fileattr"] == "34"
    assert sddl_of(entry_of(layer, "Files/x")) == "O:BAG:SYD:P(A;;FA;;;BA)"
    assert dict(entry_of(layer, "Files/x").pax)["MSWINDOWS.fileattr"] == "22"
    assert dict(entry_of(layer, "Files/y").pax)["MSWINDOWS.fileattr"] == "33"


def test_incomplete_sddl_is_refused_naming_the_source() -> None:
    with pytest.raises(RequestError, match=r"wingo.toml.*owner, group"):
        plan(file("/x", "wingo.toml", Attributes("O:BUG:BU")))
    with pytest.raises(RequestError, match=r"wingo.toml.*character 1"):
        plan(directory("/x", "wingo.toml", Attributes("rubbish")))


def test_the_order_is_by_component_and_not_by_text() -> None:
    # As text, "a b" and "a.b" would come between "a" and "a/c".
    layer = plan(file("/a/c"), file("/a b"), file("/a.b"), file("/B/x"), hive("SYSTEM"), hive("SAM"))
    assert names(layer) == [
        "Hives", "Hives/SAM_DELTA", "Hives/SYSTEM_DELTA", "Files", "Files/B", "Files/B/x", "Files/a", "Files/a/c",
        "Files/a b", "Files/a.b",
    ]  # fmt: skip


def test_hives_are_plain_files() -> None:
    entry = entry_of(plan(hive("SOFTWARE")), "Hives/SOFTWARE_DELTA")
    assert (entry.kind, entry.content) == (EntryKind.FILE, NOTHING)
    assert dict(entry.pax).items() >= {**TIMES, "MSWINDOWS.fileattr": "32"}.items()
    assert sddl_of(entry) == READ_ONLY_FILE


def test_the_first_wrong_path_does_not_depend_on_the_order() -> None:
    for requests in itertools.permutations([file("/b/nul"), file("/a:b"), whiteout("/c/..")]):
        with pytest.raises(RequestError, match="file /a:b"):
            plan(*requests)


def test_unknown_and_double_hives_are_refused() -> None:
    with pytest.raises(RequestError, match="no hive 'software'"):
        plan(hive("software"))
    with pytest.raises(RequestError, match=r"two deltas.*\(one\) and \(two\)"):
        plan(hive("SAM", "two"), hive("SAM", "one"))


def test_symlinks_carry_the_windows_target() -> None:
    layer = plan(
        file("/app/v1/server.exe"),
        symlink("/app/server.exe", "v1/server.exe"),
        symlink("/app/current", "./v1", directory=True),
        symlink("/app/v1/up.exe", r"..\v1\.\server.exe"),
        symlink("/app/hosts", "/windows/system32/drivers/etc/hosts"),
        symlink("/app/abs", r"c:\app/v1", directory=True),
    )
    wanted = {
        "server.exe": (r"v1\server.exe", "1056", READ_ONLY_FILE),
        "current": ("v1", "1040", READ_ONLY_DIRECTORY),
        "v1/up.exe": (r"..\v1\server.exe", "1056", READ_ONLY_FILE),
        "hosts": (r"C:\windows\system32\drivers\etc\hosts", "1056", READ_ONLY_FILE),
        "abs": (r"C:\app\v1", "1040", READ_ONLY_DIRECTORY),
    }
    for name, (target, bits, sddl) in wanted.items():
        entry = entry_of(layer, f"Files/app/{name}")
        assert (entry.kind, entry.link_target, sddl_of(entry)) == (EntryKind.SYMLINK, target, sddl)
        assert dict(entry.pax).items() >= {**TIMES, "MSWINDOWS.fileattr": bits}.items()
        assert "MSWINDOWS.mountpoint" not in dict(entry.pax)


def test_junctions_are_mount_points_with_an_absolute_target() -> None:
    entry = entry_of(plan(directory("/data"), junction("/app/data", "/data")), "Files/app/data")
    assert (entry.kind, entry.link_target) == (EntryKind.SYMLINK, r"C:\data")
    assert dict(entry.pax).items() >= {"MSWINDOWS.fileattr": "1040", "MSWINDOWS.mountpoint": "1"}.items()
    assert sddl_of(entry) == READ_ONLY_DIRECTORY


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([junction("/a", "b")], "relative target"),
        ([junction("/x/a", "../b")], "relative target"),
        ([junction("/a", "")], "empty"),
        ([symlink("/a", "")], "empty"),
        ([symlink("/a", ".", directory=True)], "directory that it is in"),
        ([symlink("/a", "a")], "link to itself"),
        ([symlink("/a/b", "../A/B")], "link to itself"),
        ([junction("/a", "/A")], "link to itself"),
        ([symlink("/a", "../x")], "out of drive C:"),
        ([symlink("/a/b", "../../x")], "out of drive C:"),
        ([symlink("/a", r"D:\x")], "no drive D:"),
        ([symlink("/a", r"\\server\share")], "network"),
        ([symlink("/a", r"\\?\C:\x")], "network"),
        ([symlink("/a", "C:x")], "relative to whatever"),
        ([symlink("/a", "nul")], "device"),
        ([symlink("/a", "xx:y")], "stream"),
        ([symlink("/a", "x\0")], "no Windows file name"),
        ([symlink("/a", "b", directory=True), file("/b")], "is a link to a directory, but C:\\b is a file"),
        ([symlink("/a", "b"), directory("/b")], "is a link to a file, but C:\\b is a directory"),
        ([symlink("/a", "B"), file("/b/c")], "is a link to a file, but C:\\B is a directory"),
        ([junction("/a", "/b"), file("/b")], "is a link to a directory, but C:\\b is a file"),
        ([symlink("/a", "/b"), file("/a/x")], "is a link, and something is to go below it"),
        ([symlink("/a", "/b", directory=True), file("/a/x")], "is a link, and something is to go below it"),
        ([junction("/a", "/b"), directory("/a/x/y")], "is a link, and something is to go below it"),
        ([junction("/a", "/b"), whiteout("/a/x")], "is a link, and something is to go below it"),
        ([junction("/a", "/b"), file("/A/x")], "are the same to Windows"),
        ([file("/a"), file("/a/b")], "is a file, and something is to go below it"),
        ([file("/a"), whiteout("/a/b")], "is a file, and something is to go below it"),
        ([hard_link("/b", "/a"), file("/a"), file("/b/c")], "is a file, and something is to go below it"),
    ],
)
def test_links_that_cannot_work_are_refused(requests: list[LayerRequest], says: str) -> None:
    for permutation in itertools.permutations(requests):
        with pytest.raises(RequestError) as caught:
            plan(*permutation)
        assert says in str(caught.value)
        for request in requests[:1]:
            assert request.source in str(caught.value)


def test_hard_links_come_last_with_a_tar_target() -> None:
    layer = plan(hard_link("/a/first.exe", "/App/Z.exe"), file("/App/Z.exe"), hard_link("/b", r"c:\app\z.EXE"))
    assert names(layer)[-2:] == ["Files/a/first.exe", "Files/b"]
    assert names(layer).index("Files/App/Z.exe") < names(layer).index("Files/a/first.exe")
    for name in ("Files/a/first.exe", "Files/b"):
        entry = entry_of(layer, name)
        assert (entry.kind, entry.link_target) == (EntryKind.HARDLINK, "Files/App/Z.exe"), (
            "the importer wants this spelling"
        )
        assert dict(entry.pax) == {**TIMES, "MSWINDOWS.fileattr": "32"}, "the descriptor is the file's"


def test_hard_links_may_lead_to_the_base() -> None:
    entry = entry_of(plan(hard_link("/app/cmd.exe", "/Windows/System32/cmd.exe", in_base=True)), "Files/app/cmd.exe")
    assert entry.link_target == "Files/Windows/System32/cmd.exe"


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([hard_link("/a", "/b")], "not in this layer"),
        ([hard_link("/a", "/b"), directory("/b")], "is no file"),
        ([hard_link("/a", "/b"), file("/b/c")], "is no file"),
        ([hard_link("/a", "/b"), symlink("/b", "/c")], "is no file"),
        ([hard_link("/a", "/b"), hard_link("/b", "/c"), file("/c")], "is no file"),
        ([hard_link("/a", "/a")], "is no file"),
        ([hard_link("/a", "../b")], "contains .."),
        ([hard_link("/a", "/b", in_base=True), file("/b")], "which this layer replaces"),
        ([hard_link("/a", "/b/c", in_base=True), whiteout("/B")], "which is removed (whiteout /B)"),
        ([hard_link("/a", "/b", in_base=True), whiteout("/b")], "which is removed"),
        ([hard_link("/a", "/b/c", in_base=True), junction("/b", "/d")], "above which this layer puts something else"),
        ([hard_link("/a", "/b/c", in_base=True), file("/b")], "above which this layer puts something else"),
        ([hard_link("/a", "/", in_base=True)], "which is no file"),
    ],
)
def test_hard_links_to_nothing_are_refused(requests: list[LayerRequest], says: str) -> None:
    for permutation in itertools.permutations(requests):
        with pytest.raises(RequestError) as caught:
            plan(*permutation)
        assert says in str(caught.value)
        assert requests[0].source in str(caught.value)


def test_without_a_base_there_is_nothing_to_link_to_or_to_remove() -> None:
    with pytest.raises(RequestError, match="there is no base"):
        plan(hard_link("/a", "/b", in_base=True), on_base=False)
    with pytest.raises(RequestError, match="there is no base"):
        plan(whiteout("/a"), on_base=False)
    assert plan(file("/a"), on_base=False)


def test_whiteouts_come_last_and_are_not_described() -> None:
    layer = plan(file("/app/x"), whiteout("/app/old"), whiteout("/License.txt"), whiteout("/app/old2/y"))
    assert names(layer) == [
        "Hives", "Files", "Files/app", "Files/app/old2", "Files/app/x",
        "Files/.wh.License.txt", "Files/app/.wh.old", "Files/app/old2/.wh.y",
    ]  # fmt: skip
    entry = entry_of(layer, "Files/app/.wh.old")
    assert entry.kind is EntryKind.FILE
    assert entry.content is not None
    assert entry.content.size == 0
    assert dict(entry.pax) == {**TIMES, "MSWINDOWS.fileattr": "32"}
    assert sddl_of(entry_of(layer, "Files/app")) == READ_ONLY_DIRECTORY
    assert sddl_of(entry_of(layer, "Files/app/old2")) == READ_ONLY_DIRECTORY


def test_the_same_whiteout_twice_is_one() -> None:
    assert names(plan(whiteout("/a"), whiteout("/A"))) == ["Hives", "Files", "Files/.wh.A"]


@pytest.mark.parametrize(
    ("requests", "says"),
    [
        ([whiteout("/a"), file("/a")], "both added and removed"),
        ([whiteout("/a"), file("/A")], "both added and removed"),
        ([whiteout("/a"), file("/a/b/c")], "both added and removed"),
        ([whiteout("/a"), directory("/a")], "both added and removed"),
        ([whiteout("/a"), symlink("/a", "/b")], "both added and removed"),
        ([whiteout("/a/b"), whiteout("/a")], "goes already with"),
        ([whiteout("/a/b"), whiteout("/A")], "goes already with"),
        ([whiteout("/A/b"), whiteout("/a")], "goes already with"),
    ],
)
def test_contradicting_whiteouts_are_refused(requests: list[LayerRequest], says: str) -> None:
    messages = set()
    for permutation in itertools.permutations(requests):
        with pytest.raises(RequestError) as caught:
            plan(*permutation)
        messages.add(str(caught.value))
    (message,) = messages
    assert says in message
    for request in requests:
        assert f"({request.source})" in message


@pytest.mark.parametrize("path", [r"C:\app\.wh.x", "/.wh..wh..opq", "/.WH.a/b", "/app.$wcidirs$/x", "/x.$WCIDIRS$"])
def test_names_that_are_instructions_are_refused(path: str) -> None:
    for request in (file(path), directory(path), whiteout(path)):
        with pytest.raises(RequestError, match="instruction") as caught:
            plan(request)
        assert request.source in str(caught.value)


@pytest.mark.parametrize(
    "requests",
    [
        [file("/app/x", "one"), file("/app/x", "two")],
        [file("/app/x", "one"), symlink("/app/x", "/y")],
        [file("/app/x", "one"), file("/app/X", "two")],
        [file("/app/x", "one"), file("/APP/y", "two")],
        [file("/app/É", "one"), file("/app/é", "two")],
        [directory("/app", "one"), file("/App/x", "two")],
        [file("/app", "one"), directory("/app", "two")],
        [file("/app/x", "one"), symlink("/app", "/y")],
        [directory("/app", "one", READ_ONLY), directory("/app", "two", DATA)],
        [directory("/app", "one", DATA), directory("/app", "two", Attributes("O:BAG:SYD:"))],
        [file("/a", "one"), file("/b", "two"), hard_link("/b", "/a")],
    ],
)
def test_two_requests_for_one_path_are_refused_naming_both(requests: list[LayerRequest]) -> None:
    messages = set()
    for permutation in itertools.permutations(requests):
        with pytest.raises(RequestError) as caught:
            plan(*permutation)
        messages.add(str(caught.value))
    (message,) = messages
    for request in requests[-2:]:
        assert f"({request.source})" in message


def test_the_same_directory_twice_is_one() -> None:
    layer = plan(directory("/d", "one", DATA), file("/d/x"), directory("/d", "two", DATA))
    assert names(layer) == ["Hives", "Files", "Files/d", "Files/d/x"]
    assert sddl_of(entry_of(layer, "Files/d")) == DATA_DIRECTORY


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/", "base's"),
        ("C:\\", "base's"),
        (r"D:\x", "drive D:"),
        ("/a/../b", ".."),
        ("/NUL", "device"),
        ("/a:b", "stream"),
        ("", "empty"),
    ],
)
def test_paths_are_refused_naming_the_source(path: str, says: str) -> None:
    for request in (file(path, "from here"), directory(path, "from here"), Whiteout(path=path, source="from here")):
        with pytest.raises(RequestError, match=r"^from here: ") as caught:
            plan(request)
        assert says in str(caught.value)


def test_the_bases_directories_get_what_windows_gives_them() -> None:
    layer = plan(
        file("/Windows/System32/drivers/etc/hosts"),
        file("/Program Files/App/a.exe"),
        file("/programdata/App/b"),
        file("/Users/ContainerUser/app/c"),
    )
    for name in ("Windows", "Windows/System32", "Windows/System32/drivers/etc", "Program Files", "Users"):
        assert sddl_of(entry_of(layer, f"Files/{name}")) == READ_ONLY_DIRECTORY, name
    for name in ("Program Files/App", "programdata/App"):
        assert sddl_of(entry_of(layer, f"Files/{name}")) == READ_ONLY_DIRECTORY, name
    program_data = parse_sddl(sddl_of(entry_of(layer, "Files/programdata")))
    assert allowed_rights(program_data, SERVICE_ACCOUNTS) == 0x1200A9 | 0x116, "create, not delete others' files"
    profile = parse_sddl(sddl_of(entry_of(layer, "Files/Users/ContainerUser")))
    assert allowed_rights(profile, {CONTAINER_USER}) == FILE_ALL
    assert allowed_rights(profile, {"S-1-5-32-545"}) == 0
    assert parse_sddl(sddl_of(entry_of(layer, "Files/Users/ContainerUser/app"))) == profile
    assert layer.notes == (
        r"the layer puts something into C:\Program Files, which belongs to the base",
        r"the layer puts something into C:\Users, which belongs to the base",
        r"the layer puts something into C:\Windows, which belongs to the base",
        r"the layer puts something into C:\programdata, which belongs to the base",
    )


def test_what_nobody_described_takes_after_its_directory() -> None:
    secret = "O:BAG:SYD:P(A;OICI;FA;;;BA)(A;OICIIO;FR;;;NS)"
    layer = plan(
        directory("/data", attributes=DATA),
        file("/data/a/b/seed.db"),
        file("/data/a/c.exe", attributes=READ_ONLY),
        symlink("/data/a/link", "b", directory=True),
        directory("/secret", attributes=Attributes(secret)),
        file("/secret/a/key"),
        directory("/secret/open", attributes=READ_ONLY),
        file("/secret/open/x"),
    )
    wanted = {
        "data/a": DATA_DIRECTORY,
        "data/a/b": DATA_DIRECTORY,
        "data/a/b/seed.db": DATA_FILE,
        "data/a/c.exe": READ_ONLY_FILE,
        "data/a/link": DATA_DIRECTORY,
        "secret/a": "O:BAG:SYD:P(A;OICI;FA;;;BA)(A;OICI;FR;;;NS)",
        "secret/a/key": "O:BAG:SYD:P(A;;FA;;;BA)(A;;FR;;;NS)",
        "secret/open": READ_ONLY_DIRECTORY,
        "secret/open/x": READ_ONLY_FILE,
    }
    assert {name: sddl_of(entry_of(layer, f"Files/{name}")) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [
        (UNSAID, DATA, DATA),
        (UNSAID, UNSAID, UNSAID),
        (Attributes("", 2), DATA, Attributes("data", 2)),
        (Attributes("data", 2), DATA, Attributes("data", 2)),
        (DATA, READ_ONLY, None),
        (Attributes("", 2), Attributes("", 4), None),
    ],
)
def test_two_requests_for_one_directory_are_merged(one: Attributes, two: Attributes, both: Attributes | None) -> None:
    for first, second in ((one, two), (two, one)):
        requests = (directory("/d", "one", first), directory("/d", "two", second))
        if both is None:
            with pytest.raises(RequestError, match=r"two different attributes: \(one\) and \(two\)"):
                plan(*requests)
        else:
            assert plan(*requests).recipe == plan(directory("/d", attributes=both)).recipe


def test_program_data_passes_on_only_what_somebody_says() -> None:
    unsaid = plan(directory("/ProgramData"), file("/ProgramData/App/b"))
    assert sddl_of(entry_of(unsaid, "Files/ProgramData")) != READ_ONLY_DIRECTORY
    assert sddl_of(entry_of(unsaid, "Files/ProgramData/App")) == READ_ONLY_DIRECTORY
    said = plan(directory("/ProgramData", attributes=DATA), file("/ProgramData/App/b"))
    assert sddl_of(entry_of(said, "Files/ProgramData/App")) == DATA_DIRECTORY
    assert sddl_of(entry_of(said, "Files/ProgramData/App/b")) == DATA_FILE


def test_a_packed_layer_says_what_was_planned() -> None:
    name = "/app/" + "ü" * 200 + ".txt"
    content = Content(5, lambda: io.BytesIO(b"hello"), "a test")
    layer = plan(
        WindowsFile(path=name, content=content, source="file"),
        symlink("/app/link", name),
        junction("/app/junction", "/app"),
        hard_link("/app/hard", name),
        whiteout("/app/gone"),
        hive("SYSTEM"),
    )
    buffer = io.BytesIO()
    pack(layer.recipe, buffer, compression="none")
    buffer.seek(0)
    with tarfile.open(fileobj=buffer) as tar:
        found = tar.getmembers()
        file_member = next(member for member in found if member.isreg() and member.name.endswith(".txt"))
        extracted = tar.extractfile(file_member)
        assert extracted is not None
        assert extracted.read() == b"hello"
    assert [member.name for member in found] == names(layer)
    types = {EntryKind.FILE: "0", EntryKind.HARDLINK: "1", EntryKind.SYMLINK: "2", EntryKind.DIRECTORY: "5"}
    for member, entry in zip(found, layer.recipe.entries, strict=True):
        assert (member.type.decode(), member.linkname, member.mtime) == (types[entry.kind], entry.link_target, 7)
        assert member.pax_headers.items() >= dict(entry.pax).items()


def test_describing_a_base_directory_anew_is_noted() -> None:
    layer = plan(directory("/windows/temp", "--data-dir", DATA))
    assert sddl_of(entry_of(layer, "Files/windows/temp")) == DATA_DIRECTORY
    assert layer.notes == (r"C:\windows\temp is the base's own directory, described anew (--data-dir)",)


def test_a_program_that_the_service_may_change_is_noted() -> None:
    layer = plan(
        file("/app/a.exe", "here", DATA), file("/app/b.DLL", "there", DATA), file("/app/c.txt", attributes=DATA)
    )
    assert layer.notes == (
        r"C:\app\a.exe may be changed by the service's account (here)",
        r"C:\app\b.DLL may be changed by the service's account (there)",
    )


def test_a_writable_directory_with_a_program_in_it_is_noted() -> None:
    layer = plan(
        directory("/app", "here", DATA),
        directory("/app/sub", "there", READ_ONLY),
        file("/app/a.exe", attributes=READ_ONLY),
        file("/app/sub/b.exe"),
        file("/app/c.txt"),
    )
    assert layer.notes == (r"the service's account may put a DLL beside C:\app\a.exe (here)",)


def test_long_paths_are_noted() -> None:
    inside = "/" + "x" * 100 + "/" + "y" * 136
    assert plan(file(inside)).notes == ()
    (note,) = plan(file(inside + "z")).notes
    assert "241 characters" in note


def test_the_utility_vm_is_never_touched() -> None:
    assert names(plan(file("/UtilityVM/x"))) == ["Hives", "Files", "Files/UtilityVM", "Files/UtilityVM/x"]


def test_times_before_1970_are_refused() -> None:
    with pytest.raises(RequestError, match="1970"):
        plan_layer([], epoch=-1, created_by="test")
    assert plan_layer([], epoch=0, created_by="test").recipe.epoch == 0


def test_modes_are_sensible_for_readers_that_look_at_them() -> None:
    layer = plan(file("/d/f"), symlink("/d/l", "f"), hard_link("/d/h", "/d/f"))
    assert {entry.name: oct(entry.mode) for entry in layer.recipe.entries} == {
        "Hives": "0o755",
        "Files": "0o755",
        "Files/d": "0o755",
        "Files/d/f": "0o644",
        "Files/d/l": "0o777",
        "Files/d/h": "0o644",
    }
