"""Further twins for the rules about starting a program and about what it loads."""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Any

from tests.checks.documents import said
from tests.checks.layers import CUT_SHORT, NO_LIST, each, entrypoint, sd
from tests.checks.layouts import GOOD, KERNEL, NANO, Faulty, both, linux_program, program
from tests.checks.programs import Images, elf, linux, windows
from tests.system.test_layers_verifier import PROGRAM, STRICT, add
from tests.verifier.broken import (
    USERS,
    Fault,
    Item,
    ace,
    descriptor,
    executable,
    file,
    folder,
)
from wingo.image.model import Image
from wingo.pipeline.base_layers import BaseLayers
from wingo.testing.images import directory_entry, file_entry, image_of, layer_of
from wingo.testing.programs import PE_BASE, go_build_info, go_functions, make_elf, make_macho, make_pe

GLIBC, MUSL = "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"
PASSWD = b"root:x:0:0:root:/:/sh\napp:x:7:8:app:/:/sh\nlast:x:9:9:l:/:/sh\n"
GROUP = b"root:x:0:\nstaff:x:8:app\n"
ACCOUNTS = {"etc/passwd": PASSWD, "etc/group": GROUP}
SANDBOX = "%CONTAINER_SANDBOX_MOUNT_POINT%"


def lazy(*dlls: str, **more: Any) -> bytes:
    """A Go program that asks for DLLs by functions of Go's packages that call into them."""
    table = go_functions([(name, 16) for name in ("main.main", *dlls)], text=PE_BASE + 0x1000)
    return make_pe(KERNEL, data=go_build_info("go1.27.1", "path\tx\n"), rdata=table, **more)


def on(name: str, count: int = 1, flavour: str = "") -> Callable[[Image], BaseLayers]:
    """The lowest layer is a base's of that name."""
    return lambda image: BaseLayers(count=count, how="a test", name=name, flavour=flavour)


def based(data: bytes, base: dict[str, bytes] | None = None, **settings: Any) -> Image:
    """A program for Linux over a base's layer."""
    return linux(base or {"etc/x": b"x"}, {"app/app": data}, **settings)


def modes(mode: int, data: bytes = b"", *, uid: int = 0, gid: int = 0, **settings: Any) -> Image:
    """A program for Linux with a mode."""
    from wingo.archive.entry import Entry, EntryKind
    from wingo.testing.images import content_of

    entries = [
        directory_entry("app"),
        Entry("app/app", EntryKind.FILE, mode=mode, uid=uid, gid=gid, content=content_of(data or make_elf())),
        directory_entry("etc"),
        *(file_entry(name, content) for name, content in ACCOUNTS.items()),
    ]
    config = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["/app/app"], **settings}}
    return image_of([layer_of(entries)], config)


def needing(*libraries: str, **more: Any) -> bytes:
    """A dynamic ELF."""
    return make_elf(interpreter=GLIBC, needed=libraries, **more)


def with_loader(data: bytes, files: dict[str, bytes], **settings: Any) -> Image:
    """A dynamic ELF in a whole image."""
    return linux({"app/app": data, GLIBC[1:]: b"x", **files}, **settings)


def starting_(*items: Item, word: str) -> Fault:
    """Entries, and what is started."""
    return Fault(items=add(*items).items, config=entrypoint(word))


def named_data(name: str, data: bytes) -> Item:
    """A file beside the program."""
    return file(f"Files/app/{name}", data)


def named_in_text(name: str) -> bytes:
    """A program one of whose variables is a Go text of a DLL's name."""
    text = name.encode()
    table = go_functions([("main.main", 16)], text=PE_BASE + 0x1000)
    info = go_build_info("go1.27.1", "path\tx\n")
    rdata = text + bytes(-len(text) % 16) + table
    return make_pe(KERNEL, data=info + bytes(-len(info) % 16) + pack("<QQ", PE_BASE + 0x5000, len(text)), rdata=rdata)


NTDLL = (folder("Files/Windows"), folder("Files/Windows/System32"), file("Files/Windows/System32/ntdll.dll"))

CASES: dict[str, list[Faulty | Images]] = {
    "WGO202": [
        Faulty(said(Entrypoint=["whoami.exe"]), said(Entrypoint=["cmd", "/S", "/C", "whoami.exe"])),
        Faulty(said(Entrypoint=[f"{SANDBOX}/app/x.exe"]), said(Entrypoint=[f"{SANDBOX.lower()}\\app\\x.exe"])),
        Faulty(
            said(Entrypoint=["app/whoami.exe -v"], ArgsEscaped=True), said(Entrypoint=["whoami.exe -v"], ArgsEscaped=True)
        ),
        Faulty(said(Entrypoint=["app\\whoami.exe"]), said(Entrypoint=['"C:\\app\\whoami.exe"'])),
        Faulty(said(Entrypoint=["app/whoami"]), said(Entrypoint=None), single="linux"),
        Faulty(said(Entrypoint=["whoami"]), said(Entrypoint=["sh"]), single="linux"),
        Faulty(said(Entrypoint=["whoami"]), said(Entrypoint=["/app/whoami"]), single="linux"),
    ],
    "WGO203": [
        Faulty(said(Entrypoint=["sh", "-c", "x"]), said(Entrypoint=None)),
        Faulty(said(Entrypoint=["C:\\app\\WHOAMI"]), said(Entrypoint=["whoami"])),
        Faulty(said(Entrypoint=["/bin/WhoAmI"]), said(Entrypoint=["/app/whoami"]), single="linux"),
        Images(linux({"app/app.exe": elf()}), linux({"app/app": elf()})),
        # The base is not at hand.
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\other\\App"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["cmd", "/C", "x"]),
            thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\Windows\\System32\\ping.exe"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\APP\\app.EXE"]),
            thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["\\\\server\\app.exe"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["\\app\\app.exe"]),
            thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\other\\app.exe"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:/app/app.exe"]),
            thin=True,
        ),
        Images(
            windows({"app/.exe": make_pe()}, Entrypoint=["C:\\none\\"]), windows({"app/app.exe": make_pe()}), thin=True
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["ping"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["app"], WorkingDir="C:\\app"),
            thin=True,
        ),
        # A base of others may have it anywhere.
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\Python\\python.exe"]),
            windows({"app/app.exe": make_pe()}),
            below=on("registry.example/python:3"),
            thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\Python\\python.exe"]),
            windows({"app/app.exe": make_pe()}),
            below=on(""),
            thin=True,
        ),
        Images(
            based(make_elf(), Entrypoint=["/usr/bin/APP"]),
            based(make_elf(), Entrypoint=["/app/app"]),
            below=on("alpine"),
            thin=True,
        ),
        Images(
            based(make_elf(), Entrypoint=["/usr/bin/python"]),
            based(make_elf(), Entrypoint=["/bin/sh", "-c", "x"]),
            below=on("alpine"),
            thin=True,
        ),
    ],
    "WGO204": [
        Faulty(
            starting_(file("Files/app/run.ps1"), word="C:\\app\\run.ps1"),
            starting_(file("Files/app/x.com"), word="C:\\app\\x.com"),
        ),
        Faulty(starting_(file("Files/app/run.Cmd"), word="C:\\app\\run.Cmd"), starting_(file("Files/app/x.exe"), word="C:\\app\\x.exe")),
        Faulty(said(Entrypoint=["C:\\app\\cmd.x"]), said(Entrypoint=["cmd", "/C", "x.sh"])),
        Faulty(said(Entrypoint=["C:\\app\\MyTool"]), said(Entrypoint=None)),
        Faulty(said(Entrypoint=["C:\\app\\x"]), said(Entrypoint=["C:\\tools\\bash", "-c", "x"])),
        Faulty(said(Entrypoint=["app\\.ps1x"]), said(Entrypoint=["C:\\app\\.ps1x.exe"])),
    ],
    "WGO205": [
        Faulty(each(sd(PROGRAM, descriptor())), each(sd(PROGRAM, None))),
        Faulty(each(sd(PROGRAM, descriptor(*STRICT, ace(0x20, USERS)))), each(sd(PROGRAM, descriptor(*STRICT, ace(0x21, USERS))))),
        Faulty(each(sd(PROGRAM, descriptor(*STRICT, ace(0x1, USERS)))), GOOD),
        Faulty(each(sd(PROGRAM, descriptor(*STRICT))), each(sd(PROGRAM, CUT_SHORT))),
        Faulty(each(sd(PROGRAM, descriptor(*STRICT))), each(sd(PROGRAM, NO_LIST))),
        Faulty(
            each(sd(PROGRAM, descriptor(*STRICT))),
            Fault(items=each(add(folder("Files/app/x", descriptor(*STRICT)))).items, config=entrypoint("C:\\app\\x")),
        ),
        Faulty(each(sd(PROGRAM, descriptor(*STRICT))), said(Entrypoint=["C:\\app\\none.exe"])),
        Images(modes(0o644), modes(0o700)),
        Images(modes(0o754, User="last"), modes(0o755, User="last")),
        Images(modes(0o711, b"#!/bin/sh\n", User="7"), modes(0o711, User="7")),
        Images(modes(0o640, User="app"), modes(0o644, User="nobody-there")),
        Images(modes(0o711, b"#!/bin/sh\n", User="app"), modes(0o755, b"#!/bin/sh\n", User="app")),
        # What is the base's is not judged.
        Images(
            linux({"app/app": make_elf()}, {"app/app": make_elf()}), linux({"app/app": make_elf()}, {"x": b"x"}),
            below=on("x"),
        ),
    ],
    "WGO206": [
        Faulty(said(Entrypoint=["C:\\app\\etc"]), said(Entrypoint=["C:\\none.exe"])),
        Faulty(Fault(items=program(executable()[:200])), Fault(items=program(make_pe()))),
        Faulty(Fault(items=program(make_pe(library=True))), GOOD),
        Faulty(Fault(items=program(b"@echo off\n")), starting_(named_data("run.bat", b"@echo off\n"), word="C:\\app\\run.bat")),
        Faulty(Fault(items=program(b"#!/bin/sh\n")), GOOD),
        Faulty(
            Fault(items=linux_program(data=make_pe())), Fault(items=linux_program(data=b"#!/bin/sh\n")), single="linux"
        ),
        Faulty(Fault(items=linux_program(data=b"echo\n")), GOOD, single="linux"),
        Faulty(
            Fault(items=lambda items: items.append(Item("x.bat", data=b"echo")), config=lambda config: config["config"].update(Entrypoint=["/x.bat"])),
            GOOD, single="linux",
        ),
        Faulty(Fault(items=linux_program(data=make_elf(soname="libx.so.1", needed=["libc.so.6"]))), GOOD, single="linux"),
        Faulty(Fault(items=linux_program(data=make_macho())), GOOD, single="linux"),
        Images(
            linux({"app/app": b"text"}, {"app/app": b"text"}), linux({"app/app": b"text"}, {"x": b"x"}), below=on("x")
        ),
    ],
    "WGO207": [
        Faulty(
            Fault(items=linux_program(data=make_elf(arch="arm64"))),
            Fault(items=linux_program(data=make_elf(arch="386"))),
            single="linux",
        ),
        Faulty(
            Fault(items=linux_program(data=make_elf()), config=lambda config: config.update(architecture="arm64")),
            Fault(items=linux_program(data=b"text")),
            single="linux",
        ),
        Faulty(
            Fault(items=linux_program(data=make_elf(arch="386")), config=lambda config: config.update(architecture="arm64")),
            Fault(items=linux_program(data=make_macho(arch="arm64"))),
            single="linux",
        ),
        Faulty(Fault(items=program(make_pe(arch="386"))), said(Entrypoint=["C:\\none"]), below=NANO),
        Faulty(Fault(items=program(make_pe(arch="arm64"))), GOOD, below=NANO),
        Faulty(
            Fault(items=linux_program(data=make_elf(arch="arm64"))),
            Fault(items=linux_program(data=make_elf()[:18] + b"\x77\x77" + make_elf()[20:])),
            single="linux",
        ),
        Faulty(
            Fault(items=program(make_pe(arch="386"))), Fault(items=program(make_pe(arch="386"))),
            good_below=on("", flavour="servercore"),
        ),
        Faulty(
            Fault(items=program(make_pe(arch="arm64"))), GOOD, below=on("", flavour="servercore"),
        ),
    ],
    "WGO208": [
        Faulty(Fault(items=program(make_pe(subsystem=1))), Fault(items=program(make_pe(subsystem=2, library=True)))),
        Faulty(Fault(items=program(make_pe(subsystem=2))), Fault(items=program(make_elf()))),
        Faulty(Fault(items=program(make_pe(subsystem=2))), said(Entrypoint=["C:\\none.exe"])),
        Faulty(Fault(items=program(make_pe(subsystem=2))), Fault(items=program(b"text"))),
    ],
    "WGO209": [
        # A DLL of ours that needs another one; the whole base is at hand, and has no such DLL.
        Faulty(
            Fault(items=both(program(make_pe({"own.dll": ["f"], "KERNEL32.dll": ["x"]})), add(
                named_data("own.dll", make_pe({"Netapi32.dll": ["f"], "gdiplus.dll": ["g"], "own.dll": ["f"]}, library=True))).items)),
            Fault(items=both(
                program(make_pe({"sub.dll": ["f"]})), add(folder("Files/lib"), file("Files/lib/sub.dll", make_pe(library=True))).items),
                config=lambda config: config["config"].update(Env=["Path=C:\\lib"])),
            below=NANO,
        ),
        Faulty(
            Fault(items=both(program(make_pe({"mine.dll": ["f"]})), add(*NTDLL, at=1).items)),
            Fault(items=both(program(make_pe({"mine.dll": ["f"], "api-ms-win-core-x-l1-1-0.dll": ["f"]})), add(*NTDLL, file("Files/Windows/mine.dll"), at=1).items)),
        ),
        Faulty(Fault(items=program(make_pe({"some.dll": ["f"]}))), Fault(items=program(make_pe({"kernel32.dll": ["f"]}))), below=NANO),
        Faulty(
            Fault(items=program(make_pe({"some.dll": ["f"]}))), Fault(items=program(make_pe({"some.dll": ["f"]}))),
            below=on("", flavour="servercore"), good_below=on("", flavour="server"),
        ),
        Faulty(
            Fault(items=program(make_pe({"some.dll": ["f"]}))), Fault(items=program(make_pe({"some.dll": ["f"]}))),
            below=NANO, good_below=on(""),
        ),
        Faulty(
            Fault(items=program(make_pe({"opengl32.dll": ["f"]}))), Fault(items=program(make_elf(needed=["x.dll"]))),
            below=on("", flavour="servercore"),
        ),
        Faulty(
            Fault(items=program(make_pe({"x.dll": ["f"]}))), said(Entrypoint=["C:\\none"], Env=None), below=NANO,
        ),
        Faulty(Fault(items=program(make_pe({"x.dll": ["f"]}))), Fault(items=program(executable()[:200])), below=NANO),
        Images(
            windows({"app/app.exe": make_pe({"some.dll": ["f"]}), "Windows/System32/ntdll.dll": b"x"}),
            windows({"app/app.exe": make_pe({"kernel32.dll": ["f"]}), "Windows/System32/ntdll.dll": b"x"}),
            thin=True,
        ),
        Faulty(
            Fault(items=program(make_pe({"x.dll": ["f"]}))),
            Fault(
                items=add(
                    folder("Files/app/bin"), folder("Files/app/bin/x"),
                    named_data("bin/x/a.exe", make_pe({"own.dll": ["f"]})), named_data("bin/x/own.dll", make_pe(library=True)),
                ).items,
                config=lambda config: config["config"].update(Entrypoint=["C:\\app\\bin\\x\\a.exe"], Env=None),
            ),
            below=NANO,
        ),
        Images(
            windows({"app/app.exe": make_pe({"some.dll": ["f"]})}, flavour="nanoserver"),
            windows({"app/app.exe": make_pe({"some.dll": ["f"]}), "app/some.dll": make_pe(library=True)}, flavour="nanoserver"),
            thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe({"netapi32.dll": ["f"]})}, flavour="nanoserver"),
            windows({"app/app.exe": make_pe({"netapi32.dll": ["f"]})}, flavour="servercore"),
            thin=True,
        ),
    ],
    "WGO210": [
        Faulty(Fault(items=program(lazy("syscall.NetUserGetInfo"))), Fault(items=program(lazy("syscall.RegOpenKeyEx"))), below=NANO),
        Faulty(
            Fault(items=both(program(lazy("syscall.NetUserGetInfo")), add(*NTDLL, at=1).items)),
            Fault(items=both(program(lazy("syscall.NetUserGetInfo")), add(*NTDLL, file("Files/Windows/System32/NETAPI32.dll"), at=1).items)),
        ),
        Faulty(
            Fault(items=program(make_pe(KERNEL, {"SOME.dll": ["f"]}))), said(Entrypoint=["C:\\none"]), below=NANO,
        ),
        Faulty(
            Fault(items=program(make_pe(KERNEL, {"SOME.dll": ["f"]}))),
            Fault(items=program(make_pe(KERNEL, rdata=b"\0netapi32.dll\0"))), below=NANO,
        ),
        Faulty(Fault(items=program(named_in_text("wlanapi.dll"))), Fault(items=program(executable()[:200])), below=NANO),
        Faulty(
            Fault(items=program(lazy("syscall.NetUserGetInfo"))), Fault(items=program(make_elf())), below=NANO,
        ),
    ],
    "WGO211": [
        Images(based(make_elf(interpreter=GLIBC)), based(make_elf(interpreter=MUSL)), below=on("registry.example/alpine:3"), thin=True),
        Images(
            based(make_elf(interpreter=MUSL)), based(make_elf(interpreter=MUSL)),
            below=on("gcr.io/distroless/static:nonroot"), good_below=on("gcr.io/distroless/base"), thin=True,
        ),
        Images(
            based(make_elf(interpreter=GLIBC)), based(make_elf(interpreter=GLIBC)),
            below=on("registry.example/static"), good_below=on("registry.example/debian"), thin=True,
        ),
        Images(
            based(make_elf(interpreter=GLIBC)), based(make_elf()), below=on("registry.example/static-debian12"), thin=True,
        ),
        Images(
            linux({"app/app": b"#!/bin/bash -e\n"}), linux({"app/app": b"#!/bin/sh\n", "bin/sh": b"x"}),
        ),
        Images(linux({"app/app": make_elf(interpreter=GLIBC)}), linux({"app/app": b"#!\necho"})),
        Images(linux({"app/app": make_elf(interpreter=GLIBC)}), linux({"app/app": make_pe()})),
        Images(linux({"app/app": make_elf(interpreter=GLIBC)}), linux({"app/x": b"x"})),
    ],
    "WGO212": [
        Images(with_loader(needing("libz.so"), {}), linux({"app/app": make_elf(needed=["libz.so"], soname="x")}, Entrypoint=["/none"])),
        Images(
            with_loader(needing("libz.so"), {"opt/libz.so": b"x"}),
            with_loader(needing("libz.so"), {"opt/libz.so": b"x"}, env=["A=1", "LD_LIBRARY_PATH=/opt:/x"]),
        ),
        Images(
            with_loader(needing("libz.so", runpath="$ORIGIN/none"), {"app/lib/libz.so": b"x"}),
            with_loader(needing("libz.so", runpath="$ORIGIN/lib"), {"app/lib/libz.so": b"x"}),
        ),
        Images(
            with_loader(needing("libz.so"), {"lib/x/libz.so": b"x"}),
            with_loader(needing("libz.so", runpath="${ORIGIN}/lib"), {"app/lib/libz.so": b"x"}),
        ),
        Images(
            with_loader(needing("/opt/libz.so"), {"lib/libz.so": b"x"}),
            with_loader(needing("/opt/libz.so"), {"opt/libz.so": b"x"}),
        ),
        Images(
            with_loader(needing("libz.so"), {"usr/lib/other/libz.so": b"x"}),
            with_loader(needing("libz.so"), {"usr/lib/x86_64-linux-gnu/libz.so": b"x"}),
        ),
        Images(with_loader(needing("libz.so"), {}), linux({"app/app": make_macho(libraries=["/usr/lib/libz.dylib"])})),
        Images(with_loader(needing("libz.so"), {}), linux({"app/app": make_pe({"z.dll": ["f"]})})),
        Images(with_loader(needing("libz.so"), {}), linux({"app/app": b"#!/bin/sh"})),
    ],
    "WGO213": [
        Faulty(said(WorkingDir="C:\\app\\whoami.exe"), said(WorkingDir="C:\\")),
        Faulty(said(WorkingDir="C:\\none"), said(WorkingDir="c:/")),
        Faulty(said(WorkingDir="C:\\none"), said(WorkingDir="")),
        Faulty(said(WorkingDir="C:\\none"), said(WorkingDir="C:")),
        Faulty(said(WorkingDir="C:\\none"), said(WorkingDir=f"{SANDBOX}\\none")),
        Faulty(said(WorkingDir="C:\\none"), said(WorkingDir=f"{SANDBOX.lower()}\\none")),
        Faulty(said(WorkingDir="/none"), said(WorkingDir="/app"), single="linux"),
        Faulty(said(WorkingDir="/app/whoami"), said(WorkingDir="/"), single="linux"),
        Faulty(said(WorkingDir=f"/{SANDBOX}"), said(WorkingDir=""), single="linux"),
        Images(
            windows({"app/app.exe": make_pe()}, WorkingDir="C:\\data"),
            windows({"app/app.exe": make_pe()}, WorkingDir="C:\\Windows\\x"), thin=True,
        ),
        Images(
            based(make_elf(), {"x": b"x"}, WorkingDir="/none"),
            based(make_elf(), {"x": b"x"}, WorkingDir="/none"), below=on("x"), thin_good=True,
        ),
    ],
    "WGO214": [
        Faulty(
            said(ExposedPorts={"0/tcp": {}, "65536": {}, "8010-8000": {}, "8000-70000": {}, "80/sctp": {}, "1-0": {}, "70000-70001/tcp": {}}),
            said(ExposedPorts={"1/tcp": {}, "65535": {}}),
        ),
        Faulty(said(ExposedPorts={"x": {}}), said(ExposedPorts={"80/sctp": {}}), single="linux"),
    ],
    "WGO215": [
        Faulty(said(User="root"), said(User="")),
        Faulty(said(User="nobody"), said(User="nobodyelse")),
        Faulty(said(User="1000"), said(User="x\\1000")),
        Faulty(said(User="app:staff"), said(User="x\\app:staff")),
        Faulty(said(User="nonroot"), said(User="NT AUTHORITY\\SYSTEM")),
        Faulty(said(User="containeradministrator"), said(User="ContainerAdministrator"), below=NANO, good_below=on("", flavour="servercore")),
        Images(linux({"app/app": elf(), **ACCOUNTS}, User="nobody:none"), linux({"app/app": elf(), **ACCOUNTS}, User="app:staff")),
        Images(linux({"app/app": elf(), **ACCOUNTS}, User="app:wheel"), linux({"app/app": elf(), **ACCOUNTS}, User="1:2")),
        Images(linux({"app/app": elf()}, User="app"), linux({"app/app": elf()}, User="65532:app"[:5])),
        Images(
            based(elf(), ACCOUNTS, User="nobody"), based(elf(), ACCOUNTS, User="nobody"), below=on("x"), thin_good=True,
        ),
    ],
    "WGO216": [
        Faulty(said(Entrypoint=["PowerShell.exe", "-File", "x"]), said(Entrypoint=["powershell", "-v"])),
        Faulty(said(Entrypoint=["C:\\x\\bash", "-c", "x"]), said(Entrypoint=None)),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["C:\\Windows\\PowerShell.EXE"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["cmd", "/C", "x"]), thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["powershell"]),
            windows({"app/app.exe": make_pe()}, Entrypoint=["powershell"], flavour="servercore"), thin=True,
        ),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["powershell"]),
            windows({"app/app.exe": make_pe(), "app/powershell.exe": make_pe()}, Entrypoint=["C:\\app\\powershell"+".exe"]), thin=True,
        ),
        Images(linux({"app/app": elf()}, Entrypoint=["/bin/sh", "-c", "app"]), linux({"app/app": elf(), "bin/sh": b"x"}, Entrypoint=["/bin/sh", "-c", "app"])),
        Images(linux({"app/app": elf()}, Entrypoint=["sh", "-c", "app"]), linux({"app/app": elf()}, Entrypoint=["/app/none"])),
        Images(based(elf(), Entrypoint=["sh", "-c", "x"]), based(elf(), Entrypoint=["sh", "-c", "x"]), below=on("x"), thin_good=True),
        Images(linux({"app/app": elf()}, Entrypoint=["sh", "-c", "app"]), linux({"app/app": elf()}, Entrypoint=["sh"])),
        Images(
            windows({"app/app.exe": make_pe()}, Entrypoint=["powershell -Command x"], ArgsEscaped=True),
            windows({"app/app.exe": make_pe()}, Entrypoint=["cmd /C powershell"], ArgsEscaped=True), thin=True,
        ),
    ],
    "WGO217": [
        Faulty(
            said(Volumes={"data": {}, "c:/": {}, "C:\\Windows\\Temp": {}, "C:/windows": {}, "C:\\app\\": {}, "C:data": {}}),
            said(Volumes={"D:\\": {}, "C:\\data\\": {}, "c:/empty/": {}, "C:\\app\\whoami.exe": {}}),
        ),
        Faulty(said(Volumes={"data/": {}}), said(Volumes={"/data": {}, "/app": {}}), single="linux"),
        Faulty(
            Fault(items=lambda items: items.__delitem__(slice(3, None)), config=lambda config: config["config"].update(Volumes={"C:\\": {}})),
            Fault(raw=lambda data: data[:-1500], config=lambda config: config["config"].update(Volumes={"C:\\app": {}}) if config["os"] == "windows" else None),
        ),
    ],
    "WGO218": [
        Faulty(GOOD, GOOD, single="windows", good_single=""),
        Faulty(GOOD, GOOD, single="windows", good_below=on("", 0, "hostprocess")),
        Faulty(
            GOOD,
            Fault(items=lambda items: items.__delitem__(slice(-2, None)), raw=lambda data: data[:-1500]),
            single="windows",
        ),
    ],
}  # fmt: skip
"""By the rule's number."""
