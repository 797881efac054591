"""From two states to a layer, over a real image's view."""

from __future__ import annotations

import pytest

from tests.unit.dockerfile.lowering.stages import PATH, ps, run, stage, system_hive
from wingo.archive.unpack import MemberKind
from wingo.dockerfile.lowering import (
    LazyBase,
    State,
    Tree,
    ViewBase,
    layer_requests,
    read_user_hive,
    registry_edits,
    with_user_hive,
)
from wingo.dockerfile.lowering.edits import SetVariable
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.registry import stage_registry
from wingo.dockerfile.lowering.security import ROOT
from wingo.hive.edit import SetValue, apply_edits
from wingo.hive.keys import TreeKey, find_key, find_value
from wingo.hive.values import EXPAND_SZ, encode_text
from wingo.hive.values import text_of as text_of_value
from wingo.hive.write import write_hive
from wingo.image.model import Image
from wingo.testing.bases import windows_base
from wingo.testing.hives import SYSTEM_SECURITY
from wingo.testing.images import image_of, layer_of
from wingo.view.layer import read_layer
from wingo.view.merged import View, make_view
from wingo.windows.layer import plan_layer
from wingo.windows.requests import Whiteout, WindowsDirectory, WindowsFile, WindowsHardLink
from wingo.windows.sddl import parse_sddl
from wingo.windows.security import decode_descriptor

PROGRAMS = ("Windows/System32/setx.exe", "Windows/System32/tar.exe", "Windows/System32/icacls.exe")


def view_of_image(image: Image) -> View:
    return make_view(image, [read_layer(layer, number, "windows") for number, layer in enumerate(image.layers)])


def base_state(**more) -> tuple[Image, State]:
    image = windows_base("servercore", files=PROGRAMS)
    state = State(
        tree=Tree(ViewBase(view_of_image(image))),
        registry=stage_registry({"SYSTEM": system_hive()}),
        flavour="servercore",
        **more,
    )
    return image, state


def built(image: Image, before: State, after: State) -> View:
    """The view of the image with the layer between two states."""
    planned = plan_layer(layer_requests(before.tree, after.tree, "RUN"), epoch=0, created_by="RUN")
    layer = layer_of(planned.recipe.entries)
    return view_of_image(image_of([*image.layers, layer], config={"os": "windows", "architecture": "amd64"}))


def test_what_steps_did_is_what_the_image_has() -> None:
    image, before = base_state()
    after = run(
        r"mkdir C:\app\data && echo hello>C:\app\hello.txt && copy C:\License.txt C:\app\ && del C:\License.txt "
        r"&& ren C:\Windows\System32\drivers\etc\hosts hosts.old && mklink C:\app\link.txt hello.txt",
        before,
    ).state
    view = built(image, before, after)
    node = view.find(r"C:\app\hello.txt")
    assert node is not None
    assert view.read(node, 100) == b"hello \r\n"
    assert view.find(r"C:\License.txt") is None
    copied = view.find(r"C:\app\License.txt")
    assert copied is not None
    assert view.read(copied, 100) == b"A placeholder for a licence.\r\n"
    assert view.find(r"C:\Windows\System32\drivers\etc\hosts") is None
    moved = view.find(r"C:\Windows\System32\drivers\etc\hosts.old")
    assert moved is not None
    assert view.read(moved, 100) == b"# placeholder\r\n"
    link = view.find(r"C:\app\link.txt", follow=False)
    assert link is not None
    assert link.kind is MemberKind.SYMLINK
    assert view.find(r"C:\app\data") is not None


def test_descriptors_are_those_that_windows_would_give() -> None:
    image, before = base_state()
    after = run(r"mkdir C:\app\data && echo x>C:\app\x && icacls C:\app\data /grant Users:(OI)(CI)M", before).state
    view = built(image, before, after)
    import base64

    app, data, file = (view.find(path) for path in (r"C:\app", r"C:\app\data", r"C:\app\x"))
    assert app is not None
    assert data is not None
    assert file is not None
    decoded = decode_descriptor(base64.b64decode(app.pax["MSWINDOWS.rawsd"]))
    # Below C:\ users may make files and directories of their own, as BuildKit's directories say too.
    assert {entry.mask for entry in decoded.access.entries if entry.sid == "S-1-5-32-545"} >= {0x1200A9, 0x2, 0x4}
    of_data = decode_descriptor(base64.b64decode(data.pax["MSWINDOWS.rawsd"]))
    assert any(entry.sid == "S-1-5-32-545" and entry.mask & 0x1301BF == 0x1301BF for entry in of_data.access.entries)
    of_file = decode_descriptor(base64.b64decode(file.pax["MSWINDOWS.rawsd"]))
    assert not any(entry.flags & 3 for entry in of_file.access.entries)
    assert parse_sddl(ROOT).complete


def test_a_directory_that_is_made_anew_hides_what_the_base_had_in_it() -> None:
    image, before = base_state()
    after = run(r"rmdir /s /q C:\Windows\System32\drivers & mkdir C:\Windows\System32\drivers\new", before).state
    view = built(image, before, after)
    assert view.find(r"C:\Windows\System32\drivers\new") is not None
    assert view.find(r"C:\Windows\System32\drivers\etc") is None


def test_what_a_step_made_and_the_next_removed_is_gone_from_an_image_of_two_layers() -> None:
    _, before = base_state()
    first = run(r"mkdir C:\a && echo x>C:\a\x", before).state
    second = run(r"del C:\a\x & rmdir C:\a", first).state
    assert layer_requests(before.tree, second.tree, "RUN") == []
    removed = layer_requests(first.tree, second.tree, "RUN")
    assert removed == [Whiteout(path=r"C:\a", source="RUN")]


def test_a_directory_of_an_earlier_step_is_described_again_and_not_weakened() -> None:
    _, before = base_state()
    first = run(r"mkdir C:\a && icacls C:\a /inheritance:r /grant Administrators:(OI)(CI)F", before).state
    second = run(r"echo x>C:\a\x", first).state
    requests = layer_requests(first.tree, second.tree, "RUN")
    directory = next(request for request in requests if isinstance(request, WindowsDirectory))
    assert directory.path == r"C:\a"
    assert "BU" not in directory.attributes.access
    file = next(request for request in requests if isinstance(request, WindowsFile))
    assert "BU" not in file.attributes.access


def test_a_hard_link_says_where_its_file_is() -> None:
    _, before = base_state()
    after = run(r"echo x>C:\x && mklink /h C:\y C:\x && mklink /h C:\z C:\License.txt", before).state
    links = {
        request.path: request
        for request in layer_requests(before.tree, after.tree, "RUN")
        if isinstance(request, WindowsHardLink)
    }
    assert not links[r"C:\y"].in_base
    assert links[r"C:\z"].in_base


def test_hkcu_is_a_file_of_the_profile() -> None:
    hive = write_hive(TreeKey("ROOT", SYSTEM_SECURITY), name="NTUSER.DAT")
    state = stage({"Users/Default/NTUSER.DAT": hive})
    user = read_user_hive(state.tree, "ContainerAdministrator")
    assert user is not None
    state = stage({"Users/Default/NTUSER.DAT": hive}, registry=stage_registry({"SYSTEM": system_hive()}, user))
    after = run(r"setx TOOL C:\tool & reg add HKCU\Software\X /v N /d text /f", state).state
    assert registry_edits(after) == []
    written = with_user_hive(after)
    root = read_user_hive(written.tree, "ContainerAdministrator")
    assert root is not None
    key = find_key(root, "Environment")
    assert key is not None
    value = find_value(key, "TOOL")
    assert value is not None
    assert text_of_value(value) == r"C:\tool"
    with pytest.raises(CannotLower, match="no hive of"):
        with_user_hive(run(r"setx TOOL C:\tool", stage(user_hive=True)).state)


def test_registry_changes_come_out_in_order() -> None:
    after = ps('Set-Service -Name "WSearch" -StartupType Disabled; setx /M A B', stage()).state
    assert [edit.path.rpartition("\\")[2] for edit in registry_edits(after)] == ["WSearch", "Environment"]


def test_a_base_is_read_when_a_step_asks_for_what_no_windows_is_sure_to_have() -> None:
    image = windows_base("servercore", files=PROGRAMS)
    opened: list[int] = []

    def open_view() -> View:
        opened.append(1)
        return view_of_image(image)

    hives = stage_registry({"SYSTEM": system_hive()})
    state = State(tree=Tree(LazyBase(open_view)), registry=hives, flavour="servercore")
    run("echo hello & reg add HKLM\\SYSTEM\\X /f", state)
    assert opened == []
    assert run("if not exist C:\\License.txt exit 1", state).edits == ()
    assert opened == [1]
    run("mkdir C:\\x & copy C:\\License.txt C:\\x\\", state)
    assert opened == [1]


def test_the_accounts_own_path_is_behind_the_machines() -> None:
    root = apply_edits(
        TreeKey("ROOT", SYSTEM_SECURITY),
        [SetValue("Environment", "Path", EXPAND_SZ, encode_text(r"%USERPROFILE%\bin"))],
    )
    state = stage({"Users/Default/NTUSER.DAT": write_hive(root)}, user_hive=False)
    edit = run(r'setx /M PATH "%PATH%;C:\x"', state).edits[0]
    assert isinstance(edit, SetVariable)
    assert edit.value == rf"{PATH};C:\Users\ContainerAdministrator\bin;C:\x"
    own = stage({"Users/Default/NTUSER.DAT": write_hive(root)}, user_hive=False, environment=(("PATH", r"C:\own"),))
    command = r'C:\Windows\System32\setx.exe /M PATH "%PATH%;C:\x"'
    shell = (r"C:\Windows\System32\cmd.exe", "/S", "/C")
    assert run(command, own, shell=shell).edits == (SetVariable("PATH", r"C:\own;C:\x"),)


def test_a_directory_made_anew_in_another_case_has_one_spelling_in_the_layer() -> None:
    image, before = base_state()
    after = run(r"rmdir /s /q C:\Windows\System32\drivers & mkdir C:\Windows\System32\DRIVERS", before).state
    view = built(image, before, after)
    assert view.find(r"C:\Windows\System32\drivers") is not None
    assert view.find(r"C:\Windows\System32\drivers\etc") is None
