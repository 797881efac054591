"""Which runtime starts Linux programs: an OCI runtime where one is installed, bubblewrap else, wingo's own otherwise.

Why so, and why three: docs/adr/0015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.errors import HostError, RequestError
from wingo.launch.machine import Machine
from wingo.launch.own import Own
from wingo.launch.runtime import Runtime

if TYPE_CHECKING:
    from wingo.launch.audit import Auditor
    from wingo.launch.policy import Policy

ENGINES = ("auto", "crun", "runc", "bubblewrap", "wingo")
"""What `--engine` takes."""
_TOOL = {"crun": "crun", "runc": "runc", "bubblewrap": "bwrap"}
_PACKAGE = {"crun": "crun", "runc": "runc", "bubblewrap": "bubblewrap"}


def policy_engine(policy: Policy, machine: Machine, auditor: Auditor) -> Runtime:
    """The runtime that holds a program to a policy; only wingo's own can.

    Args:
        policy: the role's rules.
        machine: this one.
        auditor: writes down what it denies.

    Raises:
        HostError: the kernel has no Landlock, or wingo does not know this machine's system calls.
    """
    from wingo.launch.enforce import has_datagrams
    from wingo.launch.landlock import landlock_abi, require_landlock, restrict

    choose_engine("wingo", machine)
    abi = landlock_abi()
    require_landlock(abi)
    return Own(
        machine.architecture,
        single=machine.identity.way == "single",
        restrict=lambda: restrict(policy, abi),
        auditor=auditor,
        datagrams=has_datagrams(policy),
    )


def choose_engine(name: str, machine: Machine) -> Runtime:
    """A runtime for Linux programs.

    Args:
        name: one of `ENGINES`.
        machine: whose tools are looked at.

    Raises:
        RequestError: there is no engine of that name.
        HostError: it is not installed, or wingo does not know this machine's system calls.
    """
    if name not in ENGINES:
        raise RequestError(f"there is no engine {name[:40]!r}", hint=f"Choose one of {', '.join(ENGINES)}.")
    if machine.architecture not in ("amd64", "arm64"):
        raise HostError(
            f"wingo starts no containers on {machine.architecture}",
            hint="Use a machine with amd64 or arm64: the system calls of others are not in its table.",
        )
    single = machine.identity.way == "single"
    own = Own(machine.architecture, single=single)
    if name == "auto":
        name = next((each for each, tool in _TOOL.items() if tool in machine.tools), "wingo")
    if name == "wingo":
        return own
    path = machine.tools.get(_TOOL[name])
    if path is None:
        raise HostError(
            f"{name} is not installed",
            hint=f"Install it (Debian: apt-get install {_PACKAGE[name]}), or leave out --engine.",
        )
    if name == "bubblewrap":
        from wingo.launch.bubblewrap import Bubblewrap

        return Bubblewrap(path, machine.architecture, own, single=single)
    from wingo.launch.oci_runtime import OciRuntime

    return OciRuntime(name, path, machine.architecture, own, single=single)
