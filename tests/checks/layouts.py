"""Twins for the rules about layers, configs, indexes, starting and hosts: what they are built of is made by hand, byte by byte."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.checks.twins import TODAY, Subject, asked, gathered
from tests.system.test_layers_verifier import (
    DATA,
    FOLDER,
    HARDLINK,
    JUNCTION,
    MODIFY,
    PROGRAM,
    READ_EXECUTE,
    STRICT,
    SYMLINK,
    add,
    change,
    later,
    named,
    rawsd,
    run,
)
from tests.verifier import broken
from tests.verifier.broken import FULL, STRICT_FILE, USERS, Fault, Item, ace, descriptor, file, folder, windows_item
from wingo.check.catalogue import RULES
from wingo.check.finding import Finding
from wingo.check.policy import Policy, Waiver
from wingo.check.rule import Rule, Scope
from wingo.check.rules.waivers import waiver_expired
from wingo.image.model import Image
from wingo.pipeline.base_layers import BaseLayers
from wingo.testing.programs import make_elf, make_pe
from wingo.windows.hosts import HostProfile, parse_host

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
GOOD = Fault()
KERNEL = {"KERNEL32.dll": ["ExitProcess"]}


@dataclass
class Faulty:
    """A layout that is broken on one point, and one that is not."""

    bad: Fault
    good: Fault = field(default_factory=Fault)
    below: Callable[[Image], BaseLayers] | None = None
    good_below: Callable[[Image], BaseLayers] | None = None
    policy: Policy = field(default_factory=Policy)
    good_policy: Policy | None = None
    hosts: Sequence[HostProfile] = ()
    good_hosts: Sequence[HostProfile] | None = None
    after: Callable[[Path], None] | None = None  # done to the bad one's layout
    good_after: Callable[[Path], None] | None = None
    single: str = ""  # "linux", "windows": one image without a base, in place of the index of four
    good_single: str | None = None  # the same for the good one

    def write(self, folder: Path, *, bad: bool) -> None:
        fault = self.bad if bad else self.good
        single = self.single if bad or self.good_single is None else self.good_single
        if single:
            write_single(folder, fault, single)
        else:
            broken.write_layout(folder, fault)
        after = self.after if bad else self.good_after
        if after is not None:
            after(folder)

    def read(self, folder: Path, *, bad: bool) -> Subject:
        hosts = self.hosts if bad or self.good_hosts is None else self.good_hosts
        below = self.below if bad or self.good_below is None else self.good_below
        return gathered(folder, below, hosts=hosts)

    def findings(self, subject: Subject, rule: Rule[Any], *, bad: bool) -> Sequence[Finding]:
        policy = self.policy if bad or self.good_policy is None else self.good_policy
        if rule.scope is not Scope.WAIVERS:
            return asked(subject, rule, policy)
        return asked(subject, rule, policy, [item for item in RULES if item.id != waiver_expired.id])


def write_single(path: Path, fault: Fault, system: str) -> None:
    """One image without a base, changed by the fault's hooks."""
    (path / "blobs/sha256").mkdir(parents=True)

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        name = broken.digest(data)
        (path / "blobs/sha256" / name.partition(":")[2]).write_bytes(data)
        return {"mediaType": kind, "digest": name, "size": len(data)}

    items = broken.linux_items() if system == "linux" else broken.windows_items()
    fault.items(items)
    raw = fault.raw(broken.tar(items))
    config: dict[str, Any] = {
        "architecture": "amd64",
        "os": system,
        **({"os.version": broken.VERSIONS[0]} if system == "windows" else {}),
        "config": {"Entrypoint": ["/app/whoami"] if system == "linux" else ["C:\\app\\whoami.exe"]},
        "rootfs": {"type": "layers", "diff_ids": [broken.digest(raw)]},
        "history": [{"created_by": "app"}],
    }
    fault.config(config)
    manifest = {
        "schemaVersion": 2,
        "mediaType": broken.OCI_MANIFEST,
        "config": blob(json.dumps(config).encode(), broken.OCI_CONFIG),
        "layers": [blob(broken.gzip_members(raw), broken.OCI_LAYER)],
    }
    entry = blob(json.dumps(manifest).encode(), broken.OCI_MANIFEST)
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def base(flavour: str = "", **config: Any) -> Callable[[Image], BaseLayers]:
    """A base of one layer, of which the config is known."""

    def below(image: Image) -> BaseLayers:
        document = {"os": "windows", "architecture": "amd64", "os.version": image.config.os_version, **config}
        document = {key: value for key, value in document.items() if value is not None}
        known = Image(b"{}", broken.OCI_MANIFEST, json.dumps(document).encode(), image.layers[:1])
        return BaseLayers(count=1, how="a test", flavour=flavour, image=known)

    return below


def same_manifest_twice(path: Path) -> None:
    """Says the schema version twice in the manifest, with a digest that fits."""
    listing = json.loads((path / "index.json").read_bytes())
    entry = listing["manifests"][0]
    data = (path / "blobs/sha256" / entry["digest"].partition(":")[2]).read_bytes()
    data = data.replace(b"{", b'{"schemaVersion": 2, ', 1)
    entry["digest"], entry["size"] = broken.digest(data), len(data)
    (path / "blobs/sha256" / entry["digest"].partition(":")[2]).write_bytes(data)
    (path / "index.json").write_text(json.dumps(listing))


def program(data: bytes) -> Callable[[list[Item]], None]:
    """The Windows program's bytes."""
    return change(PROGRAM, data=data)


def linux_program(**values: Any) -> Callable[[list[Item]], None]:
    """The Linux program's fields."""
    return change("app/whoami", **values)


def both(*hooks: Callable[[Any], Any]) -> Callable[[Any], None]:
    """Several hooks, one after another."""

    def hook(value: Any) -> None:
        for each in hooks:
            each(value)

    return hook


WAIVED = Waiver(rule="WGO110", until=TODAY, reason="for a while")
EXPIRED = Waiver(rule="WGO110", until=TODAY - dt.timedelta(1), reason="for a while")
NANO = base("nanoserver")
DELAYED = make_pe(KERNEL, {"netapi32.dll": ["NetUserGetInfo"]})
LOADER = "/lib64/ld-linux-x86-64.so.2"


def only(*versions: int) -> Callable[[dict[str, Any]], None]:
    """Keeps some entries of the index, in this order."""
    return lambda index: index.update(manifests=[index["manifests"][number] for number in versions])


CASES: dict[str, Faulty | list[Faulty]] = {
    "WGO001": Faulty(
        named("nul"), named("nul"), policy=Policy(waiver=(EXPIRED,)), good_policy=Policy(waiver=(WAIVED,))
    ),
    # names
    "WGO101": Faulty(Fault(raw=lambda data: data[:-1500])),
    "WGO102": Faulty(Fault(items=lambda items: items.__delitem__(slice(-2, None)))),
    "WGO103": Faulty(add(file("readme.txt")), add(file("Files/app/readme.txt"))),
    "WGO104": Faulty(add(file("Hives/SYSTEM_BASE"), at=13), add(file("Hives/SAM_DELTA"), at=13)),
    "WGO105": Faulty(named("lib/x.dll"), add(folder("Files/app/lib"), file("Files/app/lib/x.dll"))),
    "WGO106": Faulty(named("config/x.ini"), named("etc/x.ini")),
    "WGO107": Faulty(add(file(PROGRAM, broken.executable())), named("other.exe")),
    "WGO108": Faulty(named("WHOAMI.EXE"), named("WHOAMI2.EXE")),
    "WGO109": Faulty(add(file("/Files/app/x")), add(file("Files/app/x"))),
    "WGO110": Faulty(named("nul"), named("null")),
    "WGO111": Faulty(named("x" * 256), named("x" * 200)),
    "WGO112": Faulty(add(windows_item("Files/app/tty", "3", 0x20, STRICT_FILE)), named("tty")),
    # records
    "WGO120": Faulty(Fault(items=change(FOLDER, pax={"MSWINDOWS.fileattr": "32"}))),
    "WGO121": Faulty(Fault(items=change(PROGRAM, pax={"atime": None}))),
    "WGO122": Faulty(Fault(items=lambda items: later(items[2]))),
    "WGO123": Faulty(
        Fault(items=change(PROGRAM, pax={"LIBARCHIVE.creationtime": "yesterday"})),
        Fault(items=change(PROGRAM, pax={"LIBARCHIVE.creationtime": "1700000000.5"})),
    ),
    "WGO124": Faulty(Fault(items=change(PROGRAM, magic=b"ustar  \0"))),
    "WGO125": Faulty(Fault(compress=lambda raw: gzip.compress(raw, mtime=1))),
    # access
    "WGO130": Faulty(Fault(items=change(PROGRAM, pax={"MSWINDOWS.rawsd": None}))),
    "WGO131": Faulty(rawsd(PROGRAM, "AQAEgBQA")),
    "WGO132": Faulty(rawsd(PROGRAM, descriptor(*STRICT, ace(READ_EXECUTE, USERS), owner=None))),
    "WGO133": Faulty(rawsd("Files/app/etc/settings.ini", descriptor(dacl=False))),
    "WGO134": Faulty(rawsd(PROGRAM, descriptor(*STRICT, ace(MODIFY, USERS)))),
    "WGO135": Faulty(rawsd(FOLDER, descriptor(*STRICT, ace(READ_EXECUTE, USERS, 3), ace(4, USERS, 2)))),
    "WGO136": Faulty(rawsd(DATA, descriptor(ace(FULL, USERS, 3)))),
    # links
    "WGO140": Faulty(Fault(items=change(SYMLINK, link="Files/app/whoami.exe"))),
    "WGO141": Faulty(Fault(items=change(SYMLINK, link="etc"))),
    "WGO142": Faulty(Fault(items=change(JUNCTION, link="..\\data"))),
    "WGO143": Faulty(Fault(items=change(HARDLINK, link="app/whoami.exe"))),
    "WGO144": Faulty(named(".wh..wh..opq"), named(".wh.old.dll")),
    "WGO145": Faulty(add(file("Hives/.wh.SAM_DELTA"), at=13), named(".wh.old.dll")),
    "WGO146": Faulty(named(".wh.whoami.exe"), named(".wh.old.exe")),
    # config
    "WGO160": Faulty(Fault(single=True, config=lambda config: config.update(architecture=""))),
    "WGO161": Faulty(Fault(only=1, config=lambda config: config.update({"os.version": "10.0.20348"}))),
    "WGO162": Faulty(
        Fault(only=1, config=lambda config: config.update({"os.version": "10.0.20348.1"})),
        below=lambda image: base(
            **{"os.version": "10.0.20348.4405"} if image.config.os_version.startswith("10.0.20348") else {}
        )(image),
    ),
    "WGO163": Faulty(Fault(config=lambda config: config.pop("os.features")), below=base(**{"os.features": ["win32k"]})),
    "WGO164": Faulty(Fault(config=lambda config: config["history"].pop())),
    "WGO165": Faulty(
        Fault(manifest=lambda m: m["config"].update(mediaType="application/vnd.docker.container.image.v1+json"))
    ),
    "WGO166": Faulty(
        Fault(
            manifest=lambda m: m["layers"][1].update(
                mediaType="application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
            )
        )
    ),
    "WGO167": Faulty(
        run("Env", ["Path=C:\\Windows\\system32", "PATH=C:\\Windows\\system32"]), run("Env", ["A=1", "B=2"])
    ),
    "WGO168": Faulty(run("ArgsEscaped", True)),
    "WGO169": Faulty(run("Cmd", ["C:\\Windows\\System32\\cmd.exe"]), run("Cmd", ["--verbose"])),
    "WGO170": Faulty(run("Env", ["PATH=C:\\app"]), run("Env", ["PATH=C:\\app;C:\\WINDOWS\\system32"])),
    "WGO171": Faulty(run("WorkingDir", "C:/app"), run("WorkingDir", "C:\\app")),
    "WGO172": Faulty(run("StopSignal", "SIGINT")),
    "WGO173": Faulty(Fault(manifest=lambda manifest: manifest.pop("mediaType"))),
    "WGO174": Faulty(Fault(single=True), Fault(single=True), after=same_manifest_twice),
    # index
    "WGO180": Faulty(Fault(index=lambda index: index["manifests"][3]["platform"].update(architecture="arm64"))),
    "WGO181": Faulty(Fault(index=lambda index: index["manifests"][1]["platform"].pop("os.version"))),
    "WGO182": Faulty(Fault(index=lambda index: index["manifests"][1]["platform"].pop("os.features"))),
    "WGO183": Faulty(Fault(index=lambda index: index["manifests"].reverse())),
    "WGO184": Faulty(Fault(index=lambda index: index["manifests"].insert(2, index["manifests"][1]))),
    "WGO185": Faulty(
        Fault(
            only=0,
            manifest=lambda manifest: manifest.update(mediaType=DOCKER_MANIFEST),
            index=lambda index: index["manifests"][0].update(mediaType=DOCKER_MANIFEST),
        )
    ),
    "WGO186": Faulty(Fault(only=1, items=change("Files/app/etc/settings.ini", data=b"other" * 140))),
    "WGO187": Faulty(Fault(single=True, manifest=lambda manifest: manifest.update(config=manifest["layers"][1]))),
    # starting
    "WGO201": Faulty(run("Entrypoint", None)),
    "WGO202": Faulty(run("Entrypoint", ["C:/app/whoami.exe"])),
    "WGO203": Faulty(run("Entrypoint", ["C:\\app\\other.exe"]), run("Entrypoint", ["c:\\APP\\WhoAmI.exe"])),
    "WGO204": Faulty(
        Fault(
            items=add(file("Files/app/tool", broken.executable())).items,
            config=lambda config: config["config"].update(Entrypoint=["C:\\app\\tool"]),
        ),
        Fault(
            items=add(file("Files/app/tool.exe", broken.executable())).items,
            config=lambda config: config["config"].update(Entrypoint=["C:\\app\\tool.exe"]),
        ),
    ),
    "WGO205": Faulty(rawsd(PROGRAM, descriptor(*STRICT))),
    "WGO206": Faulty(Fault(items=program(broken.elf_program())), Fault(items=program(make_pe(KERNEL)))),
    "WGO207": Faulty(Fault(items=program(make_pe(KERNEL, arch="arm64"))), Fault(items=program(make_pe(KERNEL)))),
    "WGO208": Faulty(Fault(items=program(make_pe(KERNEL, subsystem=2))), Fault(items=program(make_pe(KERNEL)))),
    "WGO209": Faulty(
        Fault(items=program(make_pe({"NETAPI32.dll": ["NetUserGetInfo"]}))),
        Fault(
            items=both(
                program(make_pe({"own.dll": ["f"]})), add(file("Files/app/OWN.DLL", make_pe(library=True))).items
            )
        ),
        below=NANO,
    ),
    "WGO210": Faulty(
        Fault(items=program(DELAYED)),
        Fault(items=both(program(DELAYED), named("netapi32.dll").items)),
        below=NANO,
    ),
    "WGO211": Faulty(
        Fault(items=linux_program(data=make_elf(interpreter=LOADER))),
        Fault(
            items=both(
                linux_program(data=make_elf(interpreter=LOADER)),
                lambda items: items.extend([Item("lib64/", "5", mode=0o755), Item(LOADER[1:], data=b"x", mode=0o755)]),
            )
        ),
        single="linux",
    ),
    "WGO212": Faulty(
        Fault(items=linux_program(data=make_elf(needed=["libother.so.1"]))),
        Fault(
            items=both(
                linux_program(data=make_elf(needed=["libother.so.1"])),
                lambda items: items.extend(
                    [Item("lib/", "5", mode=0o755), Item("lib/libother.so.1", data=b"x", mode=0o755)]
                ),
            )
        ),
        single="linux",
    ),
    "WGO213": Faulty(run("WorkingDir", "C:\\nowhere"), run("WorkingDir", "C:\\APP\\Etc")),
    "WGO214": Faulty(
        run("ExposedPorts", {"8080/http": {}}), run("ExposedPorts", {"8080": {}, "53/udp": {}, "8000-8010/tcp": {}})
    ),
    "WGO215": Faulty(run("User", "1000:1000"), run("User", "ContainerUser")),
    "WGO216": Faulty(run("Entrypoint", ["powershell", "-Command", "whoami"]), below=NANO),
    "WGO217": Faulty(
        run("Volumes", {"C:\\": {}}),
        Fault(
            items=add(folder("Files/empty"), at=1).items,
            config=lambda config: config["config"].update(Volumes={"C:\\empty": {}}),
        ),
    ),
    "WGO218": Faulty(
        GOOD,
        Fault(
            items=add(
                folder("Files/Windows"),
                folder("Files/Windows/System32"),
                file("Files/Windows/System32/ntdll.dll"),
                at=1,
            ).items
        ),
        single="windows",
    ),
    # hosts
    "WGO801": Faulty(Fault(index=only(0, 1)), hosts=(parse_host("10.0.17763"), parse_host("linux/amd64"))),
    "WGO802": Faulty(Fault(index=only(2)), Fault(index=only(1)), hosts=(parse_host("10.0.20348"),)),
    "WGO803": Faulty(Fault(index=only(1, 0)), Fault(index=only(0, 1)), hosts=(parse_host("10.0.26100"),)),
}
"""By the rule's number."""
