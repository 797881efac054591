r"""Which image of an index a host takes, by the rules of each runtime, and whether its kernel can run it: no host is asked.

The runtimes disagree, and changed their minds:

- containerd 1.7 to 2.1 (platforms v0.2.1 to v1.0.0-rc.1) takes the **first** entry that matches; hosts from build 20348 on
  match every build from 20348 to their own.
- containerd 2.2 (rc.2) takes the matching entry whose os.version is the greatest **as text**; hosts after 26100 match from
  26100 on.
- containerd 2.3 (rc.4) leaves out entries that need features that the host does not say it has, `win32k` excepted.
- platforms v1.0.0-rc.5 lets every host from 26100 on match from 20348 on, as Windows itself does.
- Docker's own store (moby) leaves out builds that are newer than the host and prefers the host's own; an older one is
  taken too, and then does not start.

An entry without os.version matches everywhere. The kernel's rule, for process isolation, is `wingo.windows.osversion.matches`.

Sources: containerd/platforms at those versions (`compare.go`, `defaults_windows.go`, `platform_windows_compat.go`);
containerd `core/images/image.go`; moby `daemon/internal/distribution/pull_v2_windows.go`; hcsshim
`osversion/platform_compat_windows.go`; containerd's `go.mod` for which has which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

import msgspec

from wingo.errors import Malformed, RequestError
from wingo.oci.platform import Platform
from wingo.windows.osversion import matches, name_of, parse_os_version

LTSC2022, LTSC2025 = 20348, 26100
MAX_NODES_BYTES = 256 << 20
"""Of `kubectl get nodes -o json`; 5,000 nodes have about 60 MB."""
MAX_HOSTS = 20_000


class Runtime(Enum):
    """What unpacks and starts images; the value is its name for people."""

    CONTAINERD_1_7 = "containerd 1.7 to 2.1"
    CONTAINERD_2_2 = "containerd 2.2"
    CONTAINERD_2_3 = "containerd 2.3"
    CONTAINERD_NEXT = "containerd with platforms rc.5"
    MOBY = "Docker without the containerd store"


class HostProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that is to run the image.

    Attributes:
        name: for people: "10.0.20348", or a node's name.
        platform: what it is; os_version without or with its revision.
        runtime: when it is known; None: all are tried.
    """

    name: str
    platform: Platform
    runtime: Runtime | None = None


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """What one runtime on one host takes.

    Attributes:
        runtime: which; None on Linux, where they agree.
        taken: index into the candidates; None when it takes none.
        why_not: by candidate: why it is not taken; "" for those that could be.
        starts: whether the host's kernel can run what is taken, without Hyper-V; False too when nothing is.
        best: index of the newest candidate that the kernel could run; None when there is none.
    """

    runtime: Runtime | None
    taken: int | None
    why_not: tuple[str, ...]
    starts: bool = False
    best: int | None = None


def parse_host(text: str) -> HostProfile:
    """Reads a host as a person names it: `10.0.17763`, `ltsc2022`, `linux/arm64`, `windows/arm64:10.0.26100`.

    Raises:
        RequestError: it is none.
    """
    from wingo.oci.platform import parse_platform

    asked = text.strip()
    if "/" not in asked:
        version = parse_os_version(asked)
        return HostProfile(name=asked, platform=Platform("windows", "amd64", os_version=str(version)))
    platform = parse_platform(asked)
    if platform.os not in ("windows", "linux"):
        raise RequestError(
            f"the host {asked[:80]!r} is neither Windows nor Linux", hint="Write 10.0.20348 or linux/amd64."
        )
    if platform.os == "windows":
        if not platform.os_version:
            raise RequestError(f"the host {asked[:80]!r} says no build", hint=f"Write {asked[:80]}:10.0.20348.")
        platform = msgspec.structs.replace(platform, os_version=str(parse_os_version(platform.os_version)))
    return HostProfile(name=asked, platform=platform)


# Kubernetes


class _NodeInfo(msgspec.Struct, rename="camel"):
    operating_system: str = ""
    architecture: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""


class _Status(msgspec.Struct, rename="camel"):
    node_info: _NodeInfo = msgspec.field(default_factory=_NodeInfo)


class _Meta(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] = {}


class _Node(msgspec.Struct):
    kind: str = ""
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


class _Nodes(msgspec.Struct):
    kind: str = ""
    items: list[_Node] | None = None
    metadata: _Meta = msgspec.field(default_factory=_Meta)
    status: _Status = msgspec.field(default_factory=_Status)


def read_nodes(data: bytes) -> tuple[HostProfile, ...]:
    """The hosts of a cluster, from `kubectl get nodes -o json` (a list, or one node); equal ones once, under all names.

    Raises:
        Malformed: it is no such document, or has no node that says its system.
    """
    if len(data) > MAX_NODES_BYTES:
        raise Malformed("list of nodes", f"{len(data)} bytes, more than {MAX_NODES_BYTES}")
    try:
        document = msgspec.json.decode(data, type=_Nodes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed("list of nodes", str(error)[:200], hint="Write it with: kubectl get nodes -o json.") from error
    nodes = document.items
    if nodes is None:
        nodes = [_Node(document.kind, document.metadata, document.status)] if document.kind == "Node" else []
    found: dict[tuple[Platform, Runtime | None], list[str]] = {}
    for node in nodes[:MAX_HOSTS]:
        info = node.status.node_info
        labels = node.metadata.labels
        os = info.operating_system or labels.get("kubernetes.io/os", "")
        if os not in ("windows", "linux"):
            continue
        version = info.kernel_version or labels.get("node.kubernetes.io/windows-build", "") if os == "windows" else ""
        architecture = info.architecture or labels.get("kubernetes.io/arch", "amd64")
        platform = Platform(os, architecture, os_version=_build_only(version))
        found.setdefault((platform, runtime_of(info.container_runtime_version)), []).append(node.metadata.name)
    if not found:
        raise Malformed(
            "list of nodes", "no node in it says its operating system", hint="Write it with: kubectl get nodes -o json."
        )
    return tuple(
        HostProfile(name=_names(names), platform=platform, runtime=runtime)
        for (platform, runtime), names in found.items()
    )


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _build_only(version: str) -> str:
    """A node's kernel version without its revision: what runtimes ask Windows for has none."""
    return ".".join(version.split(".")[:3])


def runtime_of(text: str) -> Runtime | None:
    """The runtime that a node names: `containerd://2.1.4`; None for others."""
    matched = re.match(r"(containerd|docker)://v?(\d{1,4})\.(\d{1,4})", text)
    if matched is None:
        return None
    if matched[1] == "docker":
        return Runtime.MOBY
    version = int(matched[2]), int(matched[3])
    if version < (2, 2):
        return Runtime.CONTAINERD_1_7
    # 2.4 is not out; what comes after 2.3 has rc.5 or later.
    return {(2, 2): Runtime.CONTAINERD_2_2, (2, 3): Runtime.CONTAINERD_2_3}.get(version, Runtime.CONTAINERD_NEXT)


# Matching


def _numbers(os_version: str) -> tuple[int, int, int]:
    """Major, minor and build as containerd reads them; zeros for what is no version."""
    parts = os_version.split(".")
    if len(parts) < 3 or not all(part.isascii() and part.isdigit() for part in parts[:3]):
        return 0, 0, 0
    major, minor, build = (int(part[:9]) for part in parts[:3])
    return (major, minor, build) if major < 256 and minor < 256 and build < 65536 else (0, 0, 0)


def _floor_first(build: int) -> int:
    del build
    return LTSC2022


def _floor_strict(build: int) -> int:
    """The newest long-term release before the host's build (rc.2 to rc.4, and hcsshim)."""
    return LTSC2025 if build > LTSC2025 else LTSC2022


def _floor_generation(build: int) -> int:
    """The long-term release before that of the host's generation (rc.5)."""
    del build
    return LTSC2022


def compatible(image: str, host: str, floor: Callable[[int], int]) -> bool:
    """Whether a host takes a build by containerd's rule, with one of its floors."""
    theirs, ours = _numbers(image), _numbers(host)
    if not image or ours == (0, 0, 0):
        return True
    if theirs[:2] != ours[:2]:
        return False
    if ours[2] < LTSC2022:
        return theirs[2] == ours[2]
    return floor(ours[2]) <= theirs[2] <= ours[2]


_FLOORS = {
    Runtime.CONTAINERD_1_7: _floor_first,
    Runtime.CONTAINERD_2_2: _floor_strict,
    Runtime.CONTAINERD_2_3: _floor_strict,
    Runtime.CONTAINERD_NEXT: _floor_generation,
}


def hcsshim_compatible(image: str, host: str) -> bool:
    """Whether hcsshim's own check lets a host run a build (`CheckHostAndContainerCompat`)."""
    theirs, ours = _numbers(image), _numbers(host)
    if theirs[:2] != ours[:2]:
        return False
    if ours[2] < LTSC2022:
        return theirs[2] == ours[2]
    return _floor_strict(ours[2]) <= theirs[2] <= ours[2]


def picks(candidates: Sequence[Platform], host: HostProfile) -> tuple[Pick, ...]:
    """What each runtime on a host takes of an index.

    Args:
        candidates: the platforms of the index's entries, in its order.
        host: the machine.
    """
    if host.platform.os != "windows":
        return (_linux(candidates, host),)
    runtimes = list(Runtime) if host.runtime is None else [host.runtime]
    return tuple(_windows(candidates, host, runtime) for runtime in runtimes)


def _windows(candidates: Sequence[Platform], host: HostProfile, runtime: Runtime) -> Pick:
    reject = _moby_rejects if runtime is Runtime.MOBY else _containerd_rejects
    why_not = tuple(reject(candidate, host.platform, runtime) for candidate in candidates)
    fitting = [number for number, reason in enumerate(why_not) if not reason]
    taken = None
    if fitting:
        taken = min(fitting, key=_preference(candidates, host, runtime))
    starts = taken is not None and _starts(candidates[taken], host.platform)
    return Pick(runtime=runtime, taken=taken, why_not=why_not, starts=starts, best=_best(candidates, host.platform))


def _containerd_rejects(candidate: Platform, host: Platform, runtime: Runtime) -> str:
    if candidate.os != host.os:
        return f"it is for {candidate.os}"
    architectures = {host.architecture}
    if runtime is Runtime.CONTAINERD_1_7 and host.architecture == "amd64":
        architectures.add("386")
    if candidate.architecture not in architectures:
        return f"it is for {candidate.architecture}"
    if not compatible(candidate.os_version, host.os_version, _FLOORS[runtime]):
        return _build_reason(candidate.os_version, host.os_version, _FLOORS[runtime])
    lacking = [feature for feature in candidate.os_features if feature != "win32k"]
    if lacking and runtime in (Runtime.CONTAINERD_2_3, Runtime.CONTAINERD_NEXT):
        return f"it needs the feature {', '.join(lacking)}"
    return ""


def _build_reason(image: str, host: str, floor: Callable[[int], int]) -> str:
    theirs, ours = _numbers(image), _numbers(host)
    if theirs == (0, 0, 0):
        return f"its os.version {image[:40]!r} is no version"
    if theirs[:2] != ours[:2]:
        return f"it is for Windows {theirs[0]}.{theirs[1]}"
    if ours[2] < LTSC2022:
        return f"its build {theirs[2]} is not the host's {ours[2]}, and before {LTSC2022} it must be"
    if theirs[2] > ours[2]:
        return f"its build {theirs[2]} is newer than the host's {ours[2]}"
    return f"its build {theirs[2]} is older than {floor(ours[2])}, the oldest that the runtime lets this host run"


def _moby_rejects(candidate: Platform, host: Platform, runtime: Runtime) -> str:
    del runtime
    if candidate.architecture != host.architecture:
        return f"it is for {candidate.architecture}"
    if candidate.os != "windows":
        return f"it is for {candidate.os}"
    parts = candidate.os_version.split(".")
    build = int(parts[2]) if len(parts) >= 3 and re.fullmatch(r"[0-9]{1,9}", parts[2]) else 0
    ours = _numbers(host.os_version)[2]
    return f"its build {build} is newer than the host's {ours}" if build > ours else ""


def _preference(
    candidates: Sequence[Platform], host: HostProfile, runtime: Runtime
) -> Callable[[int], tuple[object, ...]]:
    """The sort key by which the least one is taken; ties go to the index's order."""

    def key(number: int) -> tuple[object, ...]:
        candidate = candidates[number]
        if runtime is Runtime.CONTAINERD_1_7:
            return candidate.architecture != host.platform.architecture, number
        if runtime is Runtime.MOBY:
            prefix = ".".join(map(str, _numbers(host.platform.os_version)))
            return not candidate.os_version.startswith(prefix + "."), number
        # The greatest as text: each character's code, negated, and an end that comes after every character.
        return (*(-ord(character) for character in candidate.os_version), 1), number

    return key


def _starts(candidate: Platform, host: Platform) -> bool:
    return candidate.architecture in _runs(host.architecture) and matches(candidate.os_version, host.os_version)


def _runs(architecture: str) -> tuple[str, ...]:
    return (architecture, "386") if architecture == "amd64" else (architecture,)


def _best(candidates: Sequence[Platform], host: Platform) -> int | None:
    """The newest that the kernel can run, one of the host's own architecture first."""
    able = [
        number for number, candidate in enumerate(candidates) if candidate.os == host.os and _starts(candidate, host)
    ]

    def rank(number: int) -> tuple[object, ...]:
        version = _numbers(candidates[number].os_version)
        return candidates[number].architecture == host.architecture, version, -number

    return max(able, key=rank, default=None)


# Linux

_ARM = {"v8": ("v8", "v7", "v6", "v5"), "v7": ("v7", "v6", "v5"), "v6": ("v6", "v5"), "v5": ("v5",)}


def _linux(candidates: Sequence[Platform], host: HostProfile) -> Pick:
    accepted = list(_linux_order(host.platform))

    def rank(candidate: Platform) -> int | None:
        if candidate.os != host.platform.os:
            return None
        mine = (candidate.architecture, _variant(candidate))
        return accepted.index(mine) if mine in accepted else None

    ranks = [rank(candidate) for candidate in candidates]
    why_not = tuple(
        ""
        if number is not None
        else f"it is for {candidate.os}/{candidate.architecture}"
        + (f"/{candidate.variant}" if candidate.variant else "")
        for candidate, number in zip(candidates, ranks, strict=True)
    )
    fitting = [(number, position) for position, number in enumerate(ranks) if number is not None]
    taken = min(fitting)[1] if fitting else None
    return Pick(runtime=None, taken=taken, why_not=why_not, starts=taken is not None, best=taken)


def _variant(platform: Platform) -> str:
    """As containerd normalises it (platforms `database.go`): arm is v7, amd64/v1 and arm64/v8 are nothing."""
    if platform.architecture == "arm":
        return platform.variant or "v7"
    return "" if (platform.architecture, platform.variant) in (("arm64", "v8"), ("amd64", "v1")) else platform.variant


def _linux_order(host: Platform) -> Iterable[tuple[str, str]]:
    """What a Linux host runs, the best first (platforms `compare.go`, platformVector)."""
    variant = _variant(host)
    if host.architecture == "amd64":
        level = int(variant[1:]) if re.fullmatch(r"v[1-9]", variant) else 1
        yield from (("amd64", f"v{number}" if number > 1 else "") for number in range(level, 0, -1))
        yield "386", ""
    elif host.architecture == "arm64":
        yield "arm64", variant
        yield from (("arm", each) for each in _ARM["v8"])
    elif host.architecture == "arm":
        yield from (("arm", each) for each in _ARM.get(variant, (variant,)))
    else:
        yield host.architecture, variant


def describe(host: HostProfile) -> str:
    """A host for people: its name, and its release where it is one."""
    version = host.platform.os_version
    if host.platform.os != "windows":
        return f"{host.name} ({host.platform})" if host.name != str(host.platform) else host.name
    release = name_of(version)
    inside = ", ".join(
        filter(None, (version if version not in host.name else "", release if release != host.name else ""))
    )
    return f"{host.name} ({inside})" if inside else host.name
