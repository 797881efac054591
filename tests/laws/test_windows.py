"""Laws of the Windows room: what is written is read back, and every accepted layer is one that the importer takes."""

from __future__ import annotations

import base64
import io

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.verifier.layers import windows_findings
from tests.verifier.streams import read_layer
from wingo.archive.entry import Content, EntryKind
from wingo.archive.pack import pack
from wingo.errors import Malformed, RequestError
from wingo.hive.upcase import upcase
from wingo.windows.command import command_line, quote_argument, split_command_line
from wingo.windows.environment import SYSTEM_PATH, keeps_system, merge_environment, path_of
from wingo.windows.layer import WindowsLayer, plan_layer
from wingo.windows.osversion import OsVersion, matches, parse_os_version, satisfies
from wingo.windows.paths import Components, fold, parse_path, path_text, utf16_units
from wingo.windows.requests import (
    DATA,
    HIVES,
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
    AccessEntry,
    AccessList,
    SecurityDescriptor,
    allowed_rights,
    decode_descriptor,
    encode_descriptor,
    file_rights,
    inherited,
)

# --- security descriptors

SIDS = st.one_of(
    st.sampled_from(["S-1-5-32-544", "S-1-5-18", "S-1-5-32-545", "S-1-3-0", "S-1-5-93-2-2", "S-1-1-0"]),
    st.builds(
        lambda authority, numbers: "-".join(
            ["S-1", str(authority) if authority < 1 << 32 else f"0x{authority:012x}", *map(str, numbers)]
        ),
        st.integers(0, (1 << 48) - 1),
        st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=15),
    ),
)
CONTROLS = st.sets(st.sampled_from([0x1000, 0x0100, 0x0400])).map(sum)
ENTRIES = st.builds(AccessEntry, st.booleans(), st.integers(0, 0x1F), st.integers(1, 0xFFFFFFFF), SIDS)
LISTS = st.builds(AccessList, st.lists(ENTRIES, max_size=8).map(tuple), CONTROLS)
DESCRIPTORS = st.builds(SecurityDescriptor, st.just("") | SIDS, st.just("") | SIDS, st.none() | LISTS)


@given(DESCRIPTORS)
def test_descriptors_survive_their_bytes(descriptor: SecurityDescriptor) -> None:
    assert decode_descriptor(encode_descriptor(descriptor)) == descriptor


@given(DESCRIPTORS)
def test_descriptors_survive_their_text(descriptor: SecurityDescriptor) -> None:
    assume(descriptor != SecurityDescriptor())
    assert parse_sddl(format_sddl(descriptor)) == descriptor


@given(st.binary(max_size=120), st.integers(0, 200), st.binary(max_size=4))
def test_any_bytes_are_a_descriptor_or_malformed(data: bytes, position: int, patch: bytes) -> None:
    good = encode_descriptor(parse_sddl("O:BAG:SYD:P(A;OICI;FA;;;BA)(D;;FW;;;BU)"))
    for candidate in (data, good[:position] + patch + good[position + len(patch) :]):
        try:
            descriptor = decode_descriptor(candidate)
        except Malformed:
            continue
        assert decode_descriptor(encode_descriptor(descriptor)) == descriptor


@given(st.text(alphabet="OGDSABUYWPIR:();x0123456789-", max_size=60))
def test_any_text_is_sddl_or_refused(text: str) -> None:
    try:
        descriptor = parse_sddl(text)
    except RequestError as error:
        assert "character" in str(error)  # noqa: PT017  (either way is fine; this is what the refusal must have)
        return
    assert parse_sddl(format_sddl(descriptor)) == descriptor


@given(LISTS, st.sets(SIDS, max_size=4), SIDS)
def test_more_groups_never_matter_to_a_list_without_denials(access: AccessList, sids: set[str], more: str) -> None:
    allowing = AccessList(tuple(entry for entry in access.entries if entry.allow), access.control)
    descriptor = SecurityDescriptor("", "", allowing)
    before, after = allowed_rights(descriptor, sids), allowed_rights(descriptor, sids | {more})
    assert before & after == before


@given(LISTS, st.sets(SIDS, max_size=4), st.booleans())
def test_who_inherits_nothing_extra_gets_no_more_than_was_passed_on(
    access: AccessList, sids: set[str], directory: bool
) -> None:
    child = inherited(SecurityDescriptor("S-1-5-18", "S-1-5-18", access), directory=directory)
    assert child.access is not None
    passed = 0
    for entry in access.entries:
        if entry.allow and (entry.sid in sids or entry.sid in ("S-1-3-0", "S-1-3-1")):
            passed |= file_rights(entry.mask)
    owned = 0x60000 if "S-1-5-18" in sids else 0
    assert allowed_rights(child, sids) & ~passed & ~owned == 0
    assert decode_descriptor(encode_descriptor(child)) == child


# --- versions

VERSIONS = st.builds(
    OsVersion,
    st.just(10),
    st.just(0),
    st.sampled_from([14393, 17763, 19045, 20348, 22621, 25398, 26100, 26200]) | st.integers(0, 0xFFFF),
    st.integers(-1, 0xFFFF),
)


@given(VERSIONS)
def test_versions_survive_their_text(version: OsVersion) -> None:
    assert parse_os_version(str(version)) == version
    assert satisfies(str(version), str(version)) == (version.complete or satisfies(str(version), version.prefix))
    assert satisfies(str(version), version.prefix)


@given(VERSIONS, VERSIONS)
def test_a_host_takes_its_own_build_and_never_a_newer_one(host: OsVersion, image: OsVersion) -> None:
    assert matches(str(host), str(host))
    if image.build > host.build:
        assert not matches(str(image), str(host))
    if matches(str(image), str(host)):
        assert matches(image.prefix, host.prefix), "the revision decides nothing"


# --- paths

NAMES = st.one_of(
    st.sampled_from(["app", "App", "APP", "a", "A", "b", "data", "server.exe", "é", "É", "Windows", "System32"]),
    st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='<>:"|?*\\/'), min_size=1, max_size=12),
)


@given(st.lists(NAMES, max_size=5))
def test_paths_survive_their_text(names: list[str]) -> None:
    try:
        path = parse_path("C:\\" + "\\".join(names))
    except RequestError:
        return
    assert parse_path(path_text(path)) == path
    assert parse_path(path_text(path).replace("\\", "/")) == path
    assert parse_path(path_text(path)[2:]) == path
    if path:
        assert parse_path("\\".join(path)) == path
    assert fold(fold(path)) == fold(path)


@given(st.text(max_size=40))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        path = parse_path(text)
    except RequestError:
        return
    assert parse_path(path_text(path)) == path
    assert not any(set(name) & set('<>:"|?*\\/\0') or name in ("", ".", "..") for name in path)


@given(st.text())
def test_folding_is_a_projection(text: str) -> None:
    assert upcase(upcase(text)) == upcase(text)
    assert utf16_units(upcase(text)) == utf16_units(text)


# --- commands and environments

ARGUMENTS = st.text(alphabet='ab \t"\\%^&', max_size=12) | st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12
)


@given(st.lists(ARGUMENTS, max_size=6))
def test_command_lines_are_read_back(arguments: list[str]) -> None:
    argv = (r"C:\Program Files\app\x.exe", *arguments)
    assert split_command_line(command_line(argv)) == argv
    assert split_command_line("x.exe " + " ".join(map(quote_argument, arguments))) == ("x.exe", *arguments)


VARIABLES = st.tuples(
    st.sampled_from(["PATH", "Path", "path", "TEMP", "Temp", "A"]),
    st.sampled_from(["", r"C:\app", r"C:\app;%PATH%", r"C:\Windows;C:\x", r"c:/windows/system32", "x=y", ";;"]),
)


@given(st.none() | st.lists(VARIABLES.map("=".join)), st.lists(VARIABLES))
def test_environments_have_each_name_once_and_keep_windows(
    base: list[str] | None, changes: list[tuple[str, str]]
) -> None:
    planned = merge_environment(base, changes)
    names = [upcase(item.partition("=")[0]) for item in planned.variables]
    assert len(set(names)) == len(names)
    path = path_of(planned.variables)
    assert (path is None) == ("PATH" not in names)
    if path is not None:
        assert keeps_system(path)
        assert any(upcase(directory).endswith("WINDOWS") for directory in path)
        assert len(path) >= len(SYSTEM_PATH)
    again = merge_environment(planned.variables, [])
    assert (again.variables, again.notes) == (planned.variables, ()), "what was mended needs no mending"


# --- layers

CONTENT = Content(0, io.BytesIO, "nothing")
SIMPLE = st.sampled_from(["a", "A", "b", "c.exe", "é", "É", "Windows", "program files"])
PATHS = st.lists(SIMPLE, min_size=1, max_size=4).map("/".join)
SOURCES = st.sampled_from(["one", "two", "three"])
ATTRIBUTES = st.sampled_from([UNSAID, READ_ONLY, DATA, Attributes("data", 2), Attributes("O:BAG:SYD:P(A;;FA;;;SY)")])
REQUESTS = st.one_of(
    st.builds(
        lambda path, attributes, source: WindowsFile(path=path, content=CONTENT, attributes=attributes, source=source),
        PATHS,
        ATTRIBUTES,
        SOURCES,
    ),
    st.builds(
        lambda path, attributes, source: WindowsDirectory(path=path, attributes=attributes, source=source),
        PATHS,
        ATTRIBUTES,
        SOURCES,
    ),
    st.builds(
        lambda path, target, directory, source: WindowsSymlink(
            path=path, target=target, directory=directory, source=source
        ),
        PATHS,
        PATHS | PATHS.map("/".__add__) | PATHS.map("../".__add__),
        st.booleans(),
        SOURCES,
    ),
    st.builds(
        lambda path, target, source: WindowsJunction(path=path, target=f"/{target}", source=source),
        PATHS,
        PATHS,
        SOURCES,
    ),
    st.builds(
        lambda path, target, in_base, source: WindowsHardLink(path=path, target=target, in_base=in_base, source=source),
        PATHS,
        PATHS,
        st.booleans(),
        SOURCES,
    ),
    st.builds(lambda path, source: Whiteout(path=path, source=source), PATHS, SOURCES),
    st.builds(
        lambda name, source: HiveDelta(name=name, content=CONTENT, source=source), st.sampled_from(HIVES), SOURCES
    ),
)


def plan(requests: list[LayerRequest]) -> WindowsLayer | str:
    try:
        return plan_layer(requests, epoch=3, created_by="law")
    except RequestError as error:
        return str(error)


@given(st.lists(REQUESTS, max_size=6), st.data())
def test_the_order_of_requests_decides_nothing(requests: list[LayerRequest], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(requests))
    assert plan(shuffled) == plan(requests)


@given(st.lists(REQUESTS, max_size=8))
def test_every_accepted_layer_is_one_that_the_importer_takes(requests: list[LayerRequest]) -> None:
    # Drop what contradicts the requests before it, so that nearly every example ends in a layer.
    accepted: list[LayerRequest] = []
    for request in requests:
        if isinstance(plan([*accepted, request]), WindowsLayer):
            accepted.append(request)
    layer = plan(accepted)
    assert isinstance(layer, WindowsLayer)
    assert_importable(layer)
    wanted = {fold(parse_path(request.path)) for request in accepted if not isinstance(request, HiveDelta)}
    there = {
        fold((*parts[1:-1], parts[-1].removeprefix(".wh.")))
        for parts in (tuple(entry.name.split("/")) for entry in layer.recipe.entries)
        if parts[0] == "Files" and parts[1:]
    }
    assert wanted <= there


def of_this_layer_alone(request: LayerRequest) -> bool:
    """Whether a request gives nothing to the service's account and needs nothing of the base."""
    if isinstance(request, WindowsHardLink):
        return not request.in_base
    return not isinstance(request, WindowsFile | WindowsDirectory) or not request.attributes.access.startswith("data")


@given(st.lists(REQUESTS.filter(of_this_layer_alone), max_size=8))
def test_every_accepted_layer_passes_the_independent_verifier(requests: list[LayerRequest]) -> None:
    accepted: list[LayerRequest] = []
    for request in requests:
        if isinstance(plan([*accepted, request]), WindowsLayer):
            accepted.append(request)
    layer = plan(accepted)
    assert isinstance(layer, WindowsLayer)
    packed = io.BytesIO()
    pack(layer.recipe, packed)
    packed.seek(0)
    assert windows_findings(read_layer(packed).entries, "layer", epoch=layer.recipe.epoch) == []


def assert_importable(layer: WindowsLayer) -> None:
    """Acts the importer out: directories must be there, names must be new, links must lead somewhere."""
    entries = layer.recipe.entries
    kinds: dict[Components, EntryKind] = {}
    names: set[str] = set()
    removed: set[Components] = set()
    roots = [entry.name for entry in entries if "/" not in entry.name]
    assert sorted(roots) == ["Files", "Hives"]
    for entry in entries:
        path = tuple(entry.name.split("/"))
        records = dict(entry.pax)
        assert records["atime"] == records["ctime"] == records["LIBARCHIVE.creationtime"] == str(layer.recipe.epoch)
        for length in range(1, len(path)):
            assert kinds.get(fold(path[:length])) is EntryKind.DIRECTORY
            assert "/".join(path[:length]) in names, "in the same spelling"
        if path[-1].startswith(".wh."):
            removed.add(fold((*path[:-1], path[-1][4:])))
            continue
        assert fold(path) not in kinds
        kinds[fold(path)] = entry.kind
        names.add(entry.name)
        attributes = int(records.get("MSWINDOWS.fileattr", "0"))
        directory = bool(attributes & 0x10)
        if entry.kind is EntryKind.HARDLINK:
            assert entry.link_target.startswith("Files/")
            assert fold(tuple(entry.link_target.split("/"))) not in kinds or entry.link_target in names
            continue
        assert bool(attributes & 0x400) == (entry.kind is EntryKind.SYMLINK)
        assert directory == (entry.kind is EntryKind.DIRECTORY) or entry.kind is EntryKind.SYMLINK
        if entry.kind is EntryKind.SYMLINK:
            assert not entry.link_target.startswith("Files")
            assert "/" not in entry.link_target
            assert "MSWINDOWS.mountpoint" not in records or (directory and entry.link_target.startswith("C:\\"))
        if "MSWINDOWS.rawsd" in records:
            assert decode_descriptor(base64.b64decode(records["MSWINDOWS.rawsd"])).complete
        else:
            assert len(path) == 1
    for gone in removed:
        assert not any(fold(tuple(name.split("/")))[: len(gone)] == gone for name in names)
