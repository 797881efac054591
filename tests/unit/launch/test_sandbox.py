"""The filter, the identities, the OCI configuration and bubblewrap's arguments: values that can be asked without a kernel."""

from __future__ import annotations

import errno
import json
import struct

import msgspec
import pytest

from wingo.errors import HostError, RequestError
from wingo.launch.audit import ASKED
from wingo.launch.bubblewrap import Bubblewrap
from wingo.launch.cgroups import make_cgroup, remove, wanted_controllers
from wingo.launch.engines import choose_engine
from wingo.launch.identity import SHIFT, Identity, IdRange, choose_identity
from wingo.launch.machine import Machine
from wingo.launch.oci_runtime import OciRuntime, runtime_config
from wingo.launch.own import Own
from wingo.launch.runtime import Place
from wingo.launch.seccomp import CALLS, filter_program, oci_seccomp
from wingo.launch.spec import Limits, Network, RunSpec
from wingo.launch.users import Account
from wingo.oci.platform import Platform

_AUDIT = {"amd64": 0xC000_003E, "arm64": 0xC000_00B7}
ALLOW, ERRNO, KILL, NOTIFY = 0x7FFF_0000, 0x0005_0000, 0x8000_0000, 0x7FC0_0000


def evaluate(program: bytes, number: int, *arguments: int, machine: int) -> int:
    """What the kernel's interpreter returns for a call (Documentation/networking/filter.rst)."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    data = struct.pack("<iIQ6Q", number, machine, 0, *padded)
    instructions = [struct.unpack_from("<HBBI", program, at) for at in range(0, len(program), 8)]
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif code == 0x54:
            accumulator &= value
        elif code == 0x06:
            return value
        else:
            taken = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[code]
            at += if_true if taken else if_false


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_filter_refuses_what_the_table_names_and_nothing_else(architecture):
    program, machine = filter_program(architecture), _AUDIT[architecture]
    column = ["amd64", "arm64"].index(architecture)
    refused = {numbers[column] for numbers in CALLS.values()} - {-1}
    clone3, socket, ioctl, clone = 435, (41, 198)[column], (16, 29)[column], (56, 220)[column]
    for number in range(480):
        found = evaluate(program, number, machine=machine)
        if number in refused:
            assert found == ERRNO | errno.EPERM, number
        elif number == clone3:
            assert found == ERRNO | errno.ENOSYS
        else:
            assert found == ALLOW, number
    assert evaluate(program, clone, 0x10000000, machine=machine) == ERRNO | errno.EPERM
    assert evaluate(program, clone, 0x3D0F00, machine=machine) == ALLOW  # a thread
    assert evaluate(program, ioctl, 0, 0x5412, machine=machine) == ERRNO | errno.EPERM
    assert evaluate(program, ioctl, 0, 0x5413, machine=machine) == ALLOW
    assert evaluate(program, socket, 40, 1, machine=machine) == ERRNO | errno.EPERM
    assert evaluate(program, socket, 2, 1, machine=machine) == ALLOW
    assert evaluate(program, 1, machine=0x4000_0003) == KILL  # i386's numbers on amd64
    assert evaluate(program, 0x4000_0000 + 165, machine=machine) == ERRNO | errno.ENOSYS


def test_datagrams_and_notices():
    program, machine = filter_program("amd64", [257], datagrams=False), _AUDIT["amd64"]
    assert evaluate(program, 257, machine=machine) == NOTIFY
    for family in (2, 10):
        assert evaluate(program, 41, family, 1 | 0o2000000, machine=machine) == ALLOW
        assert evaluate(program, 41, family, 2 | 0o4000, machine=machine) == ERRNO | errno.EPERM
        assert evaluate(program, 41, family, 3, machine=machine) == ERRNO | errno.EPERM
    assert evaluate(program, 41, 1, 2, machine=machine) == ALLOW
    assert evaluate(program, 165, machine=machine) == ERRNO | errno.EPERM


def test_a_filter_fits_into_the_kernel():
    for architecture in ASKED:
        assert len(filter_program(architecture, tuple(ASKED[architecture]))) // 8 < 4096


def test_both_spellings_name_the_same_calls():
    named = {name for entry in oci_seccomp("amd64")["syscalls"] for name in entry["names"]}
    assert named == {*CALLS, "clone", "clone3", "ioctl", "socket"}


SUB = "somebody:100000:65536\n1000:5:10\n"


def test_identities():
    root = choose_identity(0, 0, "root", SUB, SUB, has_helpers=True)
    assert (root.way, root.uid_outside(0), root.uid_outside(65532)) == ("shifted", SHIFT, SHIFT + 65532)
    assert root.uid_outside(70_000) == SHIFT + 65534
    assert (root.uid_inside(SHIFT + 5), root.uid_inside(0)) == (5, 65534)
    some = choose_identity(1000, 1001, "somebody", SUB, SUB, has_helpers=True)
    assert (some.way, some.uid_outside(0), some.uid_outside(1), some.gid_outside(0)) == (
        "subordinate",
        1000,
        100_000,
        1001,
    )
    assert choose_identity(1000, 1001, "other", SUB, SUB, has_helpers=True).uids[1] == IdRange(1, 5, 10)
    for has_helpers, text in ((False, SUB), (True, ""), (True, "x:a:b\nother:1:2\n")):
        alone = choose_identity(1002, 1001, "else", text, text, has_helpers=has_helpers)
        assert (alone.way, alone.uid_outside(0), alone.uid_outside(65532)) == ("single", 1002, 1002)


SPEC = RunSpec(
    name="box", platform=Platform("linux", "amd64"), argv=("/app", "-x"), env=("A=b=c", "S=t"), cwd="/w", hostname="h"
)
PLACE = Place("/mnt/root", "/mnt/scratch")


class Other:
    name, sees_cgroups = "other", False

    def plan(self, spec, account, place):
        return "otherwise"


def test_an_oci_configuration():
    config = runtime_config(SPEC, Account(5, 6, (7,)), PLACE, "amd64", single=False)
    assert config["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [7]}
    assert config["process"]["capabilities"]["effective"] == []
    assert config["process"]["noNewPrivileges"] is True
    assert config["root"] == {"path": "/mnt/root", "readonly": False}
    assert {item["type"] for item in config["linux"]["namespaces"]} == {"pid", "ipc", "uts", "mount"}
    root = runtime_config(SPEC, Account(), PLACE, "amd64", single=True)
    assert "CAP_SYS_ADMIN" not in root["process"]["capabilities"]["bounding"]
    assert "additionalGids" not in root["process"]["user"]
    assert not any("gid=5" in item.get("options", ()) for item in root["mounts"])


def test_runtimes_hand_over_what_they_cannot():
    crun = OciRuntime("crun", "/usr/bin/crun", "amd64", Other(), single=True)
    assert crun.plan(SPEC, Account(5), PLACE) == "otherwise"
    assert crun.plan(msgspec.structs.replace(SPEC, tty=True), Account(), PLACE) == "otherwise"
    program = crun.plan(SPEC, Account(), PLACE)
    assert program.argv[:2] == ("/usr/bin/crun", "--cgroup-manager=disabled")
    assert json.loads(program.files["config.json"])["process"]["args"] == ["/app", "-x"]
    several = Bubblewrap("/usr/bin/bwrap", "amd64", Other(), single=False)
    assert several.plan(SPEC, Account(5), PLACE) == "otherwise"
    alone = Bubblewrap("/usr/bin/bwrap", "amd64", Other(), single=True).plan(SPEC, Account(5), PLACE)
    arguments = alone.inputs["arguments"].split(b"\0")
    assert alone.env == {}, "bubblewrap itself must not load what the image's variables say"
    assert arguments[arguments.index(b"--uid") + 1] == b"5"
    assert arguments[arguments.index(b"A") - 1 : arguments.index(b"A") + 2] == [b"--setenv", b"A", b"b=c"]
    assert "b=c" not in " ".join(alone.argv)


def test_engines():
    identity = Identity("single", (IdRange(0, 1000, 1),), (IdRange(0, 1000, 1),))
    tools = {name: f"/usr/bin/{name}" for name in ("crun", "runc", "bwrap")}
    for left, name in (
        (tools, "crun"),
        ({"runc": "r", "bwrap": "b"}, "runc"),
        ({"bwrap": "b"}, "bubblewrap"),
        ({}, "wingo"),
    ):
        assert choose_engine("auto", Machine("amd64", identity, left)).name == name
    assert isinstance(choose_engine("wingo", Machine("arm64", identity, tools)), Own)
    with pytest.raises(HostError, match="crun is not installed") as refused:
        choose_engine("crun", Machine("amd64", identity))
    assert "apt-get install crun" in refused.value.hint
    with pytest.raises(HostError, match="riscv64"):
        choose_engine("auto", Machine("riscv64", identity))
    with pytest.raises(RequestError, match="no engine"):
        choose_engine("podman", Machine("amd64", identity))


def fake_tree(tmp_path, own: str, folders: dict[str, dict[str, str]]) -> tuple[str, str]:
    for folder, files in folders.items():
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (tmp_path / folder / name).write_text(text)
    (tmp_path / "own").write_text(own)
    return str(tmp_path), str(tmp_path / "own")


def test_where_no_cgroup_can_be_made_every_limit_is_missing(tmp_path):
    root, own = fake_tree(tmp_path, "0::/user\n", {"user": {}})
    limits = Limits(memory=1 << 20, cpus=0.5, pids=5)
    assert wanted_controllers(limits) == ("memory", "cpus", "pids")
    assert make_cgroup("x", limits, root, own).missing == ("memory", "cpus", "pids")
    root, own = fake_tree(tmp_path / "two", "0::/a/b\n", {".": {"cgroup.controllers": "memory pids"}, "a/b": {}})
    found = make_cgroup("x", limits, root, own)
    assert (found.version, found.missing, dict(found.directories)) == (2, ("memory", "cpus", "pids"), {})
    remove(found.directories.values())


def test_network_decides_the_view_of_the_machine():
    host = msgspec.structs.replace(SPEC, network=Network.HOST)
    kinds = {
        item["destination"]: item["type"]
        for item in runtime_config(host, Account(), PLACE, "amd64", single=False)["mounts"]
    }
    assert kinds["/sys"] == "tmpfs"
