"""Tiny images, good ones and ones that are broken on exactly one point, made by hand for the verifier's tests."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
VERSIONS = ("10.0.26100.7171", "10.0.20348.4405", "10.0.17763.8027")  # newest first
EPOCH = 1_700_000_000
FULL, READ_EXECUTE, MODIFY = 0x1F01FF, 0x1200A9, 0x1301BF
ADMINISTRATORS, SYSTEM, USERS, EVERYONE = (5, 32, 544), (5, 18), (5, 32, 545), (1, 0)


# ---- security descriptors ------------------------------------------------------------------------------------------


def sid(parts: tuple[int, ...]) -> bytes:
    """A SID from its authority and sub-authorities."""
    authority, *rest = parts
    return struct.pack("<BB", 1, len(rest)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(rest)}I", *rest)


def ace(mask: int, who: tuple[int, ...], flags: int = 0, kind: int = 0) -> bytes:
    """An allow entry, or with `kind` 1 a deny entry."""
    body = sid(who)
    return struct.pack("<BBHI", kind, flags, 8 + len(body), mask) + body


def descriptor(
    *aces: bytes,
    owner: tuple[int, ...] | None = ADMINISTRATORS,
    group: tuple[int, ...] | None = SYSTEM,
    dacl: bool = True,
) -> str:
    """A self-relative security descriptor as base64."""
    parts, offsets, at = [], [], 20
    for who in (owner, group):
        offsets.append(at if who else 0)
        parts.append(sid(who) if who else b"")
        at += len(parts[-1])
    body = b"".join(aces)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(body), len(aces), 0) + body if dacl else b""
    head = struct.pack("<BBHIIII", 1, 0, 0x8004 if dacl else 0x8000, *offsets, 0, at if dacl else 0)
    return base64.b64encode(head + b"".join(parts) + acl).decode()


STRICT_FILE = descriptor(ace(FULL, ADMINISTRATORS), ace(FULL, SYSTEM), ace(READ_EXECUTE, USERS))
STRICT_DIRECTORY = descriptor(ace(FULL, ADMINISTRATORS, 3), ace(FULL, SYSTEM, 3), ace(READ_EXECUTE, USERS, 3))
DATA_DIRECTORY = descriptor(ace(FULL, ADMINISTRATORS, 3), ace(FULL, SYSTEM, 3), ace(MODIFY, USERS, 3))


# ---- layers --------------------------------------------------------------------------------------------------------


@dataclass
class Item:
    """One tar entry to be written."""

    name: str
    kind: str = "0"
    data: bytes = b""
    link: str = ""
    mode: int = 0o644
    mtime: int = EPOCH
    magic: bytes = b"ustar\x0000"
    pax: dict[str, str] = field(default_factory=dict)


def windows_item(name: str, kind: str, attributes: int, sd: str | None, data: bytes = b"", link: str = "") -> Item:
    """An entry with the PAX records of Windows."""
    pax = {key: str(EPOCH) for key in ("atime", "ctime", "LIBARCHIVE.creationtime")}
    pax["MSWINDOWS.fileattr"] = str(attributes)
    if sd is not None:
        pax["MSWINDOWS.rawsd"] = sd
    return Item(name, kind, data, link, pax=pax)


def folder(name: str, sd: str | None = STRICT_DIRECTORY) -> Item:
    """A directory."""
    return windows_item(name + "/", "5", 0x10, sd)


def file(name: str, data: bytes = b"", sd: str | None = STRICT_FILE) -> Item:
    """A regular file."""
    return windows_item(name, "0", 0x20, sd, data)


def executable(machine: int = 0x8664) -> bytes:
    """A PE file that has its headers and nothing else: a console program of 64 bits."""
    coff = struct.pack("<HHIIIHH", machine, 0, 0, 0, 0, 0xF0, 0x22)
    optional = struct.pack("<HBBIIIII", 0x20B, 14, 0, 0, 0, 0, 0x1000, 0x1000)
    optional += struct.pack(
        "<QIIHHHHHHIIIIHH", 0x140000000, 0x1000, 0x200, 6, 1, 0, 0, 6, 1, 0, 0x2000, 0x200, 0, 3, 0x8160
    )
    optional += struct.pack("<QQQQII", 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(128)
    return b"MZ" + bytes(0x3A) + struct.pack("<I", 0x40) + b"PE\0\0" + coff + optional + bytes(100)


def elf_program() -> bytes:
    """An ELF file for amd64 that has its header and nothing else."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    return ident + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 0, 0, 64, 56, 0, 64, 0, 0)


def windows_items() -> list[Item]:
    """A layer with one of everything that is allowed."""
    junction = windows_item("Files/app/state", "2", 0x410, STRICT_DIRECTORY, link="C:\\data")
    junction.pax["MSWINDOWS.mountpoint"] = "1"
    return [
        folder("Files", None),
        folder("Files/app"),
        file("Files/app/whoami.exe", executable()),
        windows_item("Files/app/latest.exe", "2", 0x420, STRICT_FILE, link="whoami.exe"),
        windows_item("Files/app/hard.exe", "1", 0x20, None, link="Files/app/whoami.exe"),
        folder("Files/app/etc"),
        file("Files/app/etc/settings.ini", b"x" * 700),
        windows_item("Files/app/config", "2", 0x410, STRICT_DIRECTORY, link="etc"),
        junction,
        file("Files/app/.wh.gone.dll"),
        folder("Files/data", DATA_DIRECTORY),
        folder("Hives", None),
        file("Hives/SYSTEM_DELTA", b"regf"),
    ]


def linux_items() -> list[Item]:
    """A layer for Linux."""
    return [Item("app/", "5", mode=0o755), Item("app/whoami", data=elf_program(), mode=0o755)]


def tar(items: list[Item]) -> bytes:
    """A PAX tar of the items, in their order."""
    return b"".join(map(_entry, items)) + bytes(1024)


def _entry(item: Item) -> bytes:
    pax = dict(item.pax)
    if len(item.name.encode()) > 99:
        pax["path"] = item.name
    out = b""
    if pax:
        records = b"".join(_record(key, value) for key, value in sorted(pax.items()))
        out = _header("PaxHeaders/x", "x", len(records), Item("")) + records + bytes(-len(records) % 512)
    return out + _header(item.name, item.kind, len(item.data), item) + item.data + bytes(-len(item.data) % 512)


def _record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    size = len(body)
    while len(str(size)) + len(body) != size:
        size = len(str(size)) + len(body)
    return str(size).encode() + body


def _header(name: str, kind: str, size: int, item: Item) -> bytes:
    header = bytearray(512)

    def put(at: int, value: bytes) -> None:
        header[at : at + len(value)] = value

    put(0, name.encode()[:99])
    put(100, b"%07o" % item.mode)
    put(108, b"0000000")
    put(116, b"0000000")
    put(124, b"%011o" % size)
    put(136, b"%011o" % item.mtime)
    put(148, b" " * 8)
    put(156, kind.encode())
    put(157, item.link.encode()[:99])
    put(257, item.magic)
    put(148, b"%06o\0 " % sum(header))
    return bytes(header)


def gzip_members(raw: bytes, piece: int = 4096) -> bytes:
    """Gzip in several members, as parallel encoders write it."""
    return b"".join(gzip.compress(raw[at : at + piece], 6, mtime=0) for at in range(0, len(raw), piece))


# ---- images --------------------------------------------------------------------------------------------------------


def digest(data: bytes) -> str:
    """The sha256 digest as descriptors spell it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def base_config(version: str) -> dict[str, Any]:
    """The config of the base image of a Windows version."""
    return {
        "os": "windows",
        "architecture": "amd64",
        "os.version": version,
        "os.features": ["win32k"],
        "config": {"Cmd": ["c:\\windows\\system32\\cmd.exe"]},
    }


BASES = [base_config(version) for version in VERSIONS]


def unchanged(_: Any) -> None:
    """Breaks nothing."""


def same(data: bytes) -> bytes:
    """Breaks nothing."""
    return data


@dataclass
class Fault:
    """Where a broken image departs from the good one; each hook changes its value in place or gives another.

    `only` limits the hooks of layer, config and manifest to one child; without it they change every
    Windows child, so that a broken layer is still one layer.
    """

    items: Callable[[list[Item]], Any] = unchanged
    raw: Callable[[bytes], bytes] = same
    blob: Callable[[bytes], bytes] = same
    compress: Callable[[bytes], bytes] = gzip_members
    config: Callable[[dict[str, Any]], Any] = unchanged
    manifest: Callable[[dict[str, Any]], Any] = unchanged
    index: Callable[[dict[str, Any]], Any] = unchanged
    layout: Callable[[Path], Any] = unchanged
    only: int | None = None
    single: bool = False  # one image in index.json, and no index


class _Writer:
    def __init__(self, path: Path, fault: Fault) -> None:
        self.path = path
        self.fault = fault

    def blob(self, data: bytes, kind: str) -> dict[str, Any]:
        name = digest(data)
        (self.path / "blobs/sha256" / name.partition(":")[2]).write_bytes(data)
        return {"mediaType": kind, "digest": name, "size": len(data)}

    def child(self, number: int, version: str) -> dict[str, Any]:
        fault = self.fault if version and self.fault.only in {None, number} else Fault()
        items = windows_items() if version else linux_items()
        fault.items(items)
        base = tar([Item("Files/", "5"), Item("Hives/", "5")] if version else [Item("etc/", "5")])
        raw = fault.raw(tar(items))
        config: dict[str, Any] = {
            "architecture": "amd64",
            "os": "windows" if version else "linux",
            "config": {"Entrypoint": ["C:\\app\\whoami.exe"] if version else ["/app/whoami"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(base), digest(raw)]},
            "history": [{"created_by": "base"}, {"empty_layer": True}, {"created_by": "app"}],
        }
        if version:
            config |= {"os.version": version, "os.features": ["win32k"]}
            config["config"] |= {"Env": ["PATH=C:\\app;C:\\Windows\\System32;C:\\Windows"], "WorkingDir": "C:\\app"}
        fault.config(config)
        layers = [
            self.blob(gzip_members(base), OCI_LAYER),
            self.blob(fault.blob(fault.compress(raw)), OCI_LAYER),
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.blob(json.dumps(config).encode(), OCI_CONFIG),
            "layers": layers,
        }
        fault.manifest(manifest)
        keys = ("os", "architecture", "os.version", "os.features")
        platform = {key: copy.deepcopy(config[key]) for key in keys if key in config}
        return self.blob(json.dumps(manifest).encode(), OCI_MANIFEST) | {"platform": platform}


def write_layout(path: Path, fault: Fault | None = None) -> Path:
    """Writes an OCI layout of three Windows versions and one Linux, with the fault in it."""
    fault = fault or Fault()
    (path / "blobs/sha256").mkdir(parents=True)
    writer = _Writer(path, fault)
    children = [writer.child(number, version) for number, version in enumerate([*VERSIONS, ""])]
    if fault.single:
        top = children[:1]
    else:
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        fault.index(index)
        top = [writer.blob(json.dumps(index).encode(), OCI_INDEX)]
    (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": top}))
    fault.layout(path)
    return path
