"""Local accounts, over the SAM hive of a real Windows (outside the repository) and over one made here."""

from __future__ import annotations

import lzma
import struct

import pytest

from tests.needs import need_vectors
from tests.unit.dockerfile.lowering.stages import lines, plan_stage, ps, refuse, run, stage, system_hive
from wingo.dockerfile.lowering.registry import stage_registry
from wingo.dockerfile.lowering.state import State
from wingo.hive.edit import apply_edits
from wingo.hive.keys import find_key
from wingo.hive.read import open_hive
from wingo.hive.write import write_hive

USERS = r"HKLM\SAM\SAM\Domains\Account\Users"
DOMAIN = "S-1-5-21-1760460187-1592185332-161725925"


@pytest.fixture
def sam() -> State:
    hive = open_hive(lzma.decompress((need_vectors("hives") / "SAM.xz").read_bytes()), allow_dirty=True)
    return stage(registry=stage_registry({"SYSTEM": system_hive(), "SAM": hive.root}))


def value(state: State, path: str, name: str) -> bytes:
    found = state.registry.value(path, name)
    assert found is not None, path
    return found.data


def test_a_user_is_added_as_windows_keeps_one(sam: State) -> None:
    outcome = run("net users /ADD pack /passwordreq:no /expires:never", sam)
    assert lines(outcome) == ["add account pack"]
    assert any("not proven" in note for note in outcome.notes)
    after = outcome.state
    name = after.registry.value(rf"{USERS}\Names\pack", "")
    assert name is not None
    assert (name.type, name.data) == (1001, b"")
    fixed = value(after, rf"{USERS}\000003E9", "F")
    assert len(fixed) == 80
    assert struct.unpack_from("<IIH", fixed, 0x30) == (1001, 513, 0x10 | 0x4 | 0x200)
    variable = value(after, rf"{USERS}\000003E9", "V")
    offset, length, _ = struct.unpack_from("<III", variable, 12)
    assert variable[0xCC + offset : 0xCC + offset + length].decode("utf-16-le") == "pack"
    # Where the password's digests are, there is none, in the form of this base's Guest.
    guest = value(after, rf"{USERS}\000001F5", "V")
    for index in (13, 14):
        assert struct.unpack_from("<III", variable, index * 12)[1] == struct.unpack_from("<III", guest, index * 12)[1]
    assert struct.unpack_from("<I", value(after, r"HKLM\SAM\SAM\Domains\Account", "F"), 0x48) == (1002,)
    none = value(after, r"HKLM\SAM\SAM\Domains\Account\Groups\00000201", "C")
    offset, _, count = struct.unpack_from("<III", none, 0x38)
    assert struct.unpack_from(f"<{count}I", none, 0x44 + offset) == (500, 501, 1000, 1001)
    aliases = rf"HKLM\SAM\SAM\Domains\Builtin\Aliases\Members\{DOMAIN}\000003E9"
    assert struct.unpack("<I", value(after, aliases, "")) == (545,)
    # The delta that comes of it is one that the hive's reader takes.
    root = after.registry.hives["SAM"]
    again = open_hive(write_hive(root))
    assert find_key(again.root, r"SAM\Domains\Account\Users\Names\pack") is not None
    assert apply_edits(sam.registry.bases["SAM"], after.registry.edits_of("SAM")).subkeys()


def test_a_group_gets_a_member_and_the_account_has_a_sid(sam: State) -> None:
    after = run("net user svc /add && net localgroup Administrators svc /add", sam).state
    members = value(after, rf"HKLM\SAM\SAM\Domains\Builtin\Aliases\Members\{DOMAIN}\000003E9", "")
    assert struct.unpack("<2I", members) == (545, 544)
    alias = value(after, r"HKLM\SAM\SAM\Domains\Builtin\Aliases\00000220", "C")
    assert struct.unpack_from("<III", alias, 0x28)[2] == 3
    assert len(alias) == 440 + 28
    granted = run(r"mkdir C:\d && icacls C:\d /grant svc:(OI)(CI)M", after)
    assert f"{DOMAIN}-1001" in (granted.state.tree.find(("d",)).access)
    assert refuse("net user svc /add", after).fails
    assert refuse("net localgroup Administrators svc /add", after).fails
    assert refuse("net localgroup Nowhere svc /add", after).fails
    assert refuse("net localgroup Administrators nobody /add", after).fails
    second = run("net user two /add", after).state
    assert value(second, rf"HKLM\SAM\SAM\Domains\Builtin\Aliases\Members\{DOMAIN}\000003EA", "")


def test_passwords_never_expire_when_asked(sam: State) -> None:
    after = run("net accounts /MaxPWAge:unlimited", sam).state
    domain = value(after, r"HKLM\SAM\SAM\Domains\Account", "F")
    assert struct.unpack_from("<Q", domain, 0x18) == (1 << 63,)
    assert struct.unpack_from(
        "<q", value(run("net accounts /maxpwage:1", sam).state, r"HKLM\SAM\SAM\Domains\Account", "F"), 0x18
    ) == (-864_000_000_000,)


def test_powershell_and_plans(sam: State) -> None:
    state = stage(registry=sam.registry)
    after = ps(
        "New-LocalUser -Name app -NoPassword | Out-Null; Add-LocalGroupMember -Group Users -Member app -ErrorAction Ignore; exit 0",
        state,
    ).state
    assert after.registry.value(rf"{USERS}\Names\app", "") is not None
    planned = run(r"net user zabbix /add & mkdir C:\z & icacls C:\z /grant zabbix:F", plan_stage())
    assert lines(planned)[0] == "add account zabbix"


@pytest.mark.parametrize(
    "command",
    [
        "net user x P@ssw0rd /add",
        "net user x /delete",
        "net localgroup new /add",
        "net use z: \\\\s\\d",
        "net user x /add /times:all",
    ],
)
def test_what_of_accounts_cannot_be_lowered(command: str) -> None:
    assert not refuse(command).fails


def test_a_damaged_sam_is_refused_and_not_written(sam: State) -> None:
    from wingo.hive.edit import DeleteKey, SetValue

    root = apply_edits(
        sam.registry.bases["SAM"], [SetValue(r"SAM\Domains\Account\Users\000001F5", "V", 3, b"\xff" * 0xCC)]
    )
    assert not refuse("net user x /add", stage(registry=stage_registry({"SAM": root}))).fails
    root = apply_edits(sam.registry.bases["SAM"], [DeleteKey(r"SAM\Domains\Account\Users\000001F5")])
    assert not refuse("net user x /add", stage(registry=stage_registry({"SAM": root}))).fails
