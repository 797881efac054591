r"""Which changes of an image's registry are unsafe, and which a container does not notice.

`objections` compares two registries, whatever made the one of the other: a profile, a .reg file, `sc config`. Every
objection says why. Where the reasons come from: what a container's start needs is the closure of `cexecsvc`, the service
that starts its processes; the list beyond it is a judgement (docs/explanation/optimizing.md). What is read by the
kernel and its drivers comes from the host's registry (Windows-Containers#303, #552, #644).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

import msgspec

from wingo.hive.edit import CreateKey, DeleteKey, Edit
from wingo.hive.paths import SAM, SECURITY, SOFTWARE, SYSTEM
from wingo.hive.upcase import upcase
from wingo.windows.registry import Registry, edits_to
from wingo.windows.services import Service, Services, Start, read_services

STARTER = "cexecsvc"
"""The service that starts a container's processes."""

KEPT = {
    "RpcSs": "nearly every service is reached through it",
    "RpcEptMapper": "RpcSs needs it",
    "DcomLaunch": "it starts the other services' hosts",
    "LSM": "it makes the session; with it disabled the teardown of containers hung",
    "BrokerInfrastructure": "it runs what triggers start",
    "SystemEventsBroker": "it passes on the events that triggers wait for",
    "CoreMessagingRegistrar": "processes talk to each other through it",
    "ProfSvc": "it makes the user's profile before a process starts",
    "UserManager": "it makes the user's session before a process starts",
    "nsi": "the network's interfaces are known through it",
    "nsiproxy": "the network's interfaces are known through it",
    "Afd": "it is what sockets are made of",
    "Tcpip": "it is the network",
    "Tcpip6": "it is the network",
    "condrv": "it is the console",
    "SamSs": "it is where accounts are looked up",
    "KeyIso": "TLS keys are kept in it",
    "CryptSvc": "it checks certificates",
    "EventLog": "services fail to start without it",
    "Dhcp": "it takes over the addresses that the host gives",
    "NetSetupSvc": "it sets up the network's interfaces",
    "HTTP": "HTTP.sys is below IIS and WinRM",
    "wcifs": "it is the container's file system",
    "bindflt": "it is the container's file system",
    "unionfs": "it is the container's file system",
    "gpsvc": "group-managed service accounts need it",
    "Netlogon": "group-managed service accounts need it",
    "TrustedInstaller": "updates of the base are installed by it",
    "Power": "it is asked at every start",
}
"""Services that are never changed, with the reason; besides all that `STARTER` needs and drivers that start with the kernel."""

_DECIDING = frozenset(
    map(
        upcase,
        ("Start", "Type", "ImagePath", "ObjectName", "DependOnService", "DependOnGroup", "Group", "DelayedAutostart"),
    )
)
_KERNEL = "the kernel and its drivers read the host's registry, not the container's"
_IGNORED: tuple[tuple[str, str, str, str], ...] = (
    (
        SYSTEM,
        r"SERVICES\\TCPIP6?\\PARAMETERS(\\|\Z)",
        "",
        f"{_KERNEL}: set it on the host (Windows-Containers#303, #644)",
    ),
    (SYSTEM, r"CONTROL\\SESSION MANAGER\\(MEMORY MANAGEMENT|KERNEL|EXECUTIVE)(\\|\Z)", "", _KERNEL),
    (SYSTEM, r"CONTROL\\CRASHCONTROL(\\|\Z)", "", f"{_KERNEL}, and a container has no crash dumps of its own"),
    (
        SYSTEM,
        r"CONTROL\\FILESYSTEM\Z",
        r"(?!LONGPATHSENABLED\Z)",
        f"{_KERNEL}; LongPathsEnabled alone is read by programs",
    ),
    (
        SYSTEM,
        r"CONTROL\Z",
        r"WAITTOKILLSERVICETIMEOUT\Z",
        "the container runtime writes its own when a container starts",
    ),
    (
        SYSTEM,
        r"CONTROL\\TIMEZONEINFORMATION(\\|\Z)",
        "",
        "the time zone of a container is virtual: set it in the running container; Go programs take TZ and -tags timetzdata",
    ),
)
_PROTECTED: tuple[tuple[str, str, str], ...] = (
    (SAM, "", "accounts are in it, encrypted by a key that is elsewhere"),
    (SECURITY, "", "secrets are in it, encrypted by a key that is elsewhere"),
    (
        SYSTEM,
        r"CONTROL\\LSA\\(JD|SKEW1|GBG|DATA)(\\|\Z)",
        "its class is a part of the key that SAM and SECURITY are encrypted by",
    ),
    (SYSTEM, r"CONTROL\\PRODUCTOPTIONS(\\|\Z)", "Windows stops when the product's policy is changed"),
    (SYSTEM, r"\ASETUP(\\|\Z)", "it says how far the installation of Windows has come"),
    (SYSTEM, r"\ASELECT(\\|\Z)", "it says which control set is used"),
    (SYSTEM, r"\ADRIVERDATABASE(\\|\Z)", "it is made by the installation of drivers"),
    (SYSTEM, r"ENUM(\\|\Z)", "it is made by the kernel, and only the kernel may write it"),
    (SOFTWARE, r"MICROSOFT\\WINDOWS NT\\CURRENTVERSION\\SVCHOST(\\|\Z)", "it says which services share a process"),
)
_CONTROL_SET = re.compile(r"CONTROLSET\d{3}\\")


class Objection(msgspec.Struct, frozen=True):
    """Why a change must not be made.

    Attributes:
        subject: what is changed: `service RpcSs`, or a key's path with the value's name.
        reason: a sentence without a full stop.
        chain: the services that lead from one that stays to the one that is changed; () when there is none.
    """

    subject: str
    reason: str
    chain: tuple[str, ...] = ()

    def __str__(self) -> str:
        chain = f" ({' needs '.join(self.chain)})" if len(self.chain) > 1 else ""
        return f"{self.subject}: {self.reason}{chain}"


def objections(before: Registry, after: Registry, *, may_break: Collection[str] = ()) -> tuple[Objection, ...]:
    """Everything that speaks against making `after` of `before`.

    Args:
        before: what is there.
        after: what is wanted.
        may_break: services that start on demand only, and may be left without one that they need.

    Raises:
        Malformed: a hive is not what its format says.
    """
    edits = tuple(edits_to(before, after))
    return tuple(dict.fromkeys((*_of_services(before, after, edits, may_break), *_of_edits(before, edits))))


def ignored_reason(registry: Registry, path: str, name: str = "") -> str:
    """Why a container does not notice a value, or a key; "" when it does, as far as is known.

    Raises:
        RequestError: the path is in no hive that is at hand.
    """
    hive, below = _plain(registry, path)
    for wanted, pattern, names, reason in _IGNORED:
        if hive == wanted and re.match(pattern, below) and (not names or re.match(names, upcase(name))):
            return reason
    parts = below.split("\\")
    if hive == SYSTEM and parts[0] == "SERVICES" and len(parts) > 2:
        service = read_services(registry).find(parts[1]) if parts[2] == "PARAMETERS" else None
        if service is not None and service.is_driver:
            return f"{service.name} is a driver: {_KERNEL}"
    return ""


def protected_reason(registry: Registry, path: str) -> str:
    """Why a key must be left alone; "" when it need not.

    Raises:
        RequestError: the path is in no hive that is at hand.
    """
    hive, below = _plain(registry, path)
    for wanted, pattern, reason in _PROTECTED:
        if hive == wanted and re.match(pattern, below):
            return reason
    return ""


def never_touched(services: Services) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The services that must stay as they are: by upper-cased name, the reason and the chain that leads to it."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for upper, chain in services.needs(STARTER).items():
        found[upper] = f"{STARTER} starts every process of a container", chain
    for name, reason in KEPT.items():
        known = services.find(name)
        if known is not None:
            found.setdefault(upcase(known.name), (reason, ()))
    for service in services:
        if service.is_driver and service.start in (Start.BOOT, Start.SYSTEM):
            found.setdefault(upcase(service.name), ("it is a driver that starts with the kernel", ()))
    return found


def stopped_services(before: Services, after: Services) -> tuple[Service, ...]:
    """The services that were not disabled before, and are disabled or gone after."""
    return tuple(
        service
        for service in before
        if service.start not in (None, Start.DISABLED)
        and ((now := after.find(service.name)) is None or now.start in (None, Start.DISABLED))
    )


def _of_services(
    before: Registry, after: Registry, edits: Collection[Edit], may_break: Collection[str]
) -> Iterator[Objection]:
    if SYSTEM not in before.hives:
        return
    touched = dict.fromkeys(filter(None, (_service_of(before, edit) for edit in edits)))
    if not touched:
        return
    old, new = read_services(before), read_services(after)
    kept = never_touched(old)
    for name in touched:
        known = old.find(name)
        if known is not None and upcase(name) in kept:
            reason, chain = kept[upcase(name)]
            yield Objection(f"service {known.name}", f"it is never changed: {reason}", chain)
    stopped = [service.name for service in stopped_services(old, new) if upcase(service.name) not in kept]
    allowed = {upcase(name) for name in may_break}
    for upper, chain in old.broken_by(stopped).items():
        left = new.find(upper)
        if left is None or left.start in (None, Start.DISABLED):
            continue
        if upper in allowed and left.start is Start.DEMAND and not left.triggers:
            continue
        how = "by itself" if left.starts_itself else "on demand"
        reason = f"{left.name}, which starts {how}, could not start any more"
        yield Objection(f"service {chain[-1]}", reason, chain)


def _service_of(registry: Registry, edit: Edit) -> str:
    """The service that an edit starts, stops or moves; "" for one that changes other data."""
    hive, below = _plain(registry, edit.path)
    parts = below.split("\\")
    if hive != SYSTEM or parts[0] != "SERVICES":
        return ""
    if len(parts) == 1:
        return ""
    if isinstance(edit, DeleteKey):
        return parts[1] if len(parts) == 2 or parts[2] == "TRIGGERINFO" else ""
    if isinstance(edit, CreateKey) or len(parts) > 2:
        return ""
    return parts[1] if upcase(edit.name) in _DECIDING else ""


def _of_edits(before: Registry, edits: Collection[Edit]) -> Iterator[Objection]:
    for edit in edits:
        name = "" if isinstance(edit, CreateKey | DeleteKey) else edit.name or "(default)"
        subject = f"{edit.path}\\{name}" if name else edit.path
        if reason := protected_reason(before, edit.path):
            yield Objection(subject, f"it must be left alone: {reason}")
        elif isinstance(edit, CreateKey):
            continue
        elif reason := ignored_reason(before, edit.path, name):
            yield Objection(subject, f"a container does not notice it: {reason}")


def _plain(registry: Registry, path: str) -> tuple[str, str]:
    """The hive, and the path in upper case below the control set."""
    hive, below = registry.locate(path)
    upper = upcase(below)
    if hive == SYSTEM and (matched := _CONTROL_SET.match(upper)):
        return hive, upper[matched.end() :]
    return hive, upper
