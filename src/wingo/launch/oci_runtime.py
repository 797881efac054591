"""crun and runc: the container as an OCI runtime-spec `config.json`, in namespaces that the keeper has made.

The network namespace and the cgroup are inherited; the runtime makes the others, mounts /proc, /dev and /sys, takes
capabilities away, installs the seccomp filter and becomes the user.

Source: runtime-spec 1.0 `config.md`, `config-linux.md`.
"""

from __future__ import annotations

import json

from wingo.launch.capabilities import DEFAULT
from wingo.launch.runtime import Place, Program, Runtime
from wingo.launch.seccomp import oci_seccomp
from wingo.launch.spec import Network, RunSpec
from wingo.launch.users import Account

MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""What tells of the machine, hidden as Docker hides it."""
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""What changes the machine, read-only as Docker has it."""


class OciRuntime:
    """crun or runc."""

    def __init__(self, name: str, path: str, architecture: str, otherwise: Runtime, *, single: bool) -> None:
        """Takes a runtime.

        Args:
            name: "crun" or "runc".
            path: of the program.
            architecture: as GOARCH.
            otherwise: takes the starts that this one cannot make.
            single: whether the account has one user number only; then no other user can be had this way.
        """
        self.name = name
        self.sees_cgroups = name == "runc"
        self._path = path
        self._architecture = architecture
        self._otherwise = otherwise
        self._single = single

    def plan(self, spec: RunSpec, account: Account, place: Place) -> Program:
        """The runtime's command line and its `config.json`."""
        # With a terminal, a runtime would make a second one behind the one that wingo has made, of no size.
        if spec.tty or (self._single and account.uid):
            return self._otherwise.plan(spec, account, place)
        own = ["--cgroup-manager=disabled"] if self.name == "crun" else []
        argv = (self._path, *own, "--root", f"{place.scratch}/state", "run", "--bundle", place.scratch, spec.name)
        config = json.dumps(runtime_config(spec, account, place, self._architecture, single=self._single)).encode()
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "XDG_RUNTIME_DIR": place.scratch}
        return Program(argv, environment, cwd=place.scratch, files={"config.json": config})


def runtime_config(
    spec: RunSpec, account: Account, place: Place, architecture: str, *, single: bool
) -> dict[str, object]:
    """A container as runtime-spec `config.md` has it."""
    hardened = ["nosuid", "noexec", "nodev"]
    mounts: list[dict[str, object]] = [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": hardened},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
            + ([] if single else ["gid=5"]),
        },
        {
            "destination": "/dev/shm",  # noqa: S108  (in the container)
            "type": "tmpfs",
            "source": "shm",
            "options": [*hardened, "mode=1777", "size=65536k"],
        },
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": hardened},
    ]
    if spec.network is Network.HOST:
        mounts.append({"destination": "/sys", "type": "tmpfs", "source": "sys", "options": [*hardened, "ro"]})
    else:
        mounts.append({"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": [*hardened, "ro"]})
    capabilities = [f"CAP_{name}" for name in DEFAULT]
    own = capabilities if account.uid == 0 else []
    user: dict[str, object] = {"uid": account.uid, "gid": account.gid}
    if not single:
        user["additionalGids"] = list(account.groups)
    return {
        "ociVersion": "1.0.0",
        "process": {
            "terminal": False,
            "user": user,
            "args": list(spec.argv),
            "env": list(spec.env),
            "cwd": spec.cwd,
            "capabilities": {"bounding": capabilities, "effective": own, "permitted": own},
            "noNewPrivileges": True,
        },
        "root": {"path": place.root, "readonly": spec.read_only},
        "hostname": spec.hostname,
        "mounts": mounts,
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
            "seccomp": oci_seccomp(architecture),
        },
    }
