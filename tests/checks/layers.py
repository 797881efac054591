"""Further twins for the rules about layers: each bad one has many things wrong at once, each good one many that are nearly so."""

from __future__ import annotations

import base64
import gzip
import io
from collections.abc import Callable, Mapping

from tests.checks.layouts import EXPIRED, GOOD, Faulty, both, named
from tests.system.test_layers_verifier import (
    DATA,
    FOLDER,
    HARDLINK,
    MODIFY,
    PROGRAM,
    STRICT,
    SYMLINK,
    add,
    change,
)
from tests.verifier.broken import (
    EPOCH,
    FULL,
    STRICT_FILE,
    USERS,
    Fault,
    Item,
    ace,
    descriptor,
    file,
    folder,
    windows_item,
)
from wingo.check.policy import Policy

SETTINGS = "Files/app/etc/settings.ini"
ETC = "Files/app/etc/"
RAW = "MSWINDOWS.rawsd"
WRITE_DAC, DELETE_CHILD = 0x40000, 0x40
CUT_SHORT = base64.b64encode(base64.b64decode(STRICT_FILE)[:30]).decode()
SPARE = base64.b64encode(base64.b64decode(STRICT_FILE) + bytes(4)).decode()
NO_LIST = descriptor(dacl=False)
UNTOLD: Mapping[str, str | None] = {RAW: None}
MODIFIABLE = descriptor(*STRICT, ace(MODIFY, USERS))
TAKEN = descriptor(*STRICT, ace(FULL, USERS))
"""Users may do everything with the file."""
HEIRS = descriptor(*STRICT, ace(FULL, USERS, 9))
"""Of a directory: files in it are everybody's, it is not (inherit only)."""


def each(*hooks: Fault) -> Fault:
    """Several faults of one layer's entries."""
    return Fault(items=both(*(hook.items for hook in hooks)))


def pax(entry: str, **records: str | None) -> Fault:
    """Records of an entry; a name's `__` is a dot."""
    return Fault(items=change(entry, pax={name.replace("__", "."): value for name, value in records.items()}))


def sd(entry: str, text: str | None) -> Fault:
    """An entry's security descriptor."""
    return Fault(items=change(entry, pax={RAW: text}))


def named_(name: str) -> Item:
    """A file beside the program."""
    return file(f"Files/app/{name}")


def deep(units: int) -> str:
    """A path of that many UTF-16 units, none of its names too long."""
    path = "Files/" + "/".join(["d" * 250] * 130)
    return f"{path}/{'e' * (units - len(path) - 1)}"


def linux(*items: Item) -> Fault:
    """Entries behind those of a small layer for Linux."""
    return Fault(items=lambda all_items: all_items.extend(items))


def link(name: str, target: str, attributes: int = 0x420, **records: str) -> Fault:
    """A symbolic link."""
    item = windows_item(f"Files/app/{name}", "2", attributes, STRICT_FILE, link=target)
    item.pax.update(records)
    return add(item)


def undecodable(raw: bytes) -> bytes:
    """Makes bytes that are no UTF-8 of the name's "zz", so that the header's sum stays as it is."""
    return raw.replace(b"zz", b"\xf3\x01")


def compressed(raw: bytes, name: str = "", flags: int = 0) -> bytes:
    """One gzip member without a time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename=name, mode="wb", fileobj=out, mtime=0) as stream:
        stream.write(raw)
    data = bytearray(out.getvalue())
    data[3] |= flags
    return bytes(data)


def plain(manifest: dict[str, list[dict[str, str]]]) -> None:
    """The layer is not compressed."""
    manifest["layers"][1]["mediaType"] = "application/vnd.oci.image.layer.v1.tar"


def entrypoint(word: str) -> Callable[[dict[str, dict[str, list[str]]]], None]:
    """What the config starts."""
    return lambda config: config["config"].update(Entrypoint=[word])


def starting(name: str, *hooks: Fault) -> Fault:
    """Another program is started."""
    return Fault(items=each(*hooks).items, config=entrypoint(f"C:\\app\\{name}"))


CASES: dict[str, list[Faulty]] = {
    "WGO001": [
        Faulty(
            each(named("nul"), add(file("readme.txt"))),
            named("null"),
            policy=Policy(waiver=(EXPIRED,)),
        )
    ],
    "WGO102": [
        Faulty(
            Fault(items=lambda items: items.__setitem__(slice(-2, None), [file("Hives")])),
            Fault(items=lambda items: items.__delitem__(slice(-2, None)), raw=lambda data: data[:-1500]),
        )
    ],
    "WGO103": [
        Faulty(
            add(folder("UtilityVM"), file("UtilityVM/x"), folder("utilityVM")),
            add(file("./x"), file("../y"), file("/z")),
        ),
        Faulty(linux(file("readme.txt")), linux(folder("UtilityVM"), file("UtilityVM/x")), single="windows"),
    ],
    "WGO104": [
        Faulty(
            add(folder("Hives/SAM_DELTA"), file("Hives/SOFTWARE"), file("Hives/x/SYSTEM_DELTA"), at=13),
            add(file("Hives/.wh.SAM_DELTA"), file("Hives/sam_delta"), at=13),
        ),
        Faulty(
            add(file("Hives.txt"), file("Hives/SYSTEM_BASE"), file("Files/app/Hives"), at=13),
            linux(file("Hives/SYSTEM_BASE")),
            good_single="windows",
        ),
    ],
    "WGO105": [
        Faulty(
            add(file("Files/app/lib/x.dll"), file("Files/app/lib/y.dll"), folder("Files/app/lib"), file("Files/no/z")),
            add(file("/Files/lib/x")),
        ),
        Faulty(linux(Item("lib/x", data=b"x"), Item("x")), linux(Item("x")), single="linux"),
    ],
    "WGO106": [
        Faulty(
            add(file("Files/app/a"), file("Files/app/a/b"), file("Files/app/hard.exe/b")),
            add(file("Files/app/a"), file("Files/app/ab")),
        )
    ],
    "WGO109": [
        Faulty(
            add(
                file("Files/app/a\\b"),
                file("Files/app/x.exe:Zone"),
                file("Files/app/y\\z:s"),
                file("Files/app/./x"),
                file("Files/app/../y"),
                file("Files/app//z"),
            ),
            named("a.b..c"),
        ),
        Faulty(
            linux(Item("./x"), Item("app/../y"), Item("/z"), Item("app/./w")),
            linux(Item("app/a\\b:c")),
            single="linux",
        ),
    ],
    "WGO110": [
        Faulty(
            add(folder("Files/app/aux"), file("Files/app/aux/nul"), file("Files/app/.wh.com1"), named_("?" * 255)),
            add(
                named_("a\\b?"),
                named_("a:b?"),
                named_("?" * 256),
                file("./Files/app/x"),
                file("Files/app/../y"),
                file("Files//z"),
                named_(".wh.cone.fig"),
            ),
        )
    ],
    "WGO111": [
        Faulty(
            # "C:\" and 238 characters: one more than the limit; a name of 255; one of 256; a path beyond all limits.
            add(
                named_("x" * 234),
                named_("y" * 255),
                named_("z" * 256),
                named_(".wh." + "w" * 255),
                file(deep(32767)),
                file(deep(32768)),
            ),
            add(named_("x" * 233)),
        ),
        Faulty(
            linux(Item("app/" + "x" * 256), Item("app/" + "é" * 128), Item("app/zz" + "x" * 250)),
            linux(Item("app/" + "x" * 255), Item("y" * 255 + "/x")),
            single="linux",
        ),
        Faulty(
            Fault(items=linux(Item("app/" + "x" * 256)).items),
            Fault(items=linux(Item("app/zz")).items, raw=undecodable),
            single="linux",
        ),
    ],
    "WGO112": [Faulty(linux(Item("null", "3")), linux(Item("link", "2", link="app")), single="linux")],
    "WGO120": [
        Faulty(
            each(
                named("a"), pax("Files/app/a", MSWINDOWS__fileattr="0x20"),
                named("b"), pax("Files/app/b", MSWINDOWS__fileattr="٣٢"),
                named("c"), pax("Files/app/c", MSWINDOWS__fileattr="00000000032"),
                named("d"), pax("Files/app/d", MSWINDOWS__fileattr="4294967296"),
                named("e"), pax("Files/app/e", MSWINDOWS__fileattr="16"),
                named("f"), pax("Files/app/f", MSWINDOWS__fileattr="1056"),
                named("g"), pax("Files/app/g", MSWINDOWS__fileattr=None),
                named("h"), pax("Files/app/h", MSWINDOWS__fileattr=None),
            ),
            each(named("a"), pax("Files/app/a", MSWINDOWS__fileattr=str(0xFFFF_FFFF & ~0x410))),
        ),
        Faulty(pax(SETTINGS, MSWINDOWS__fileattr=None), each(link("l", "etc/settings.ini"))),
        Faulty(
            each(add(folder("Files/app/x")), pax("Files/app/x/", MSWINDOWS__fileattr="4294967295"), pax(ETC, MSWINDOWS__fileattr="0")),
            each(add(folder("Files/app/x")), pax("Files/app/x/", MSWINDOWS__fileattr="16")),
        ),
    ],
    "WGO121": [Faulty(each(pax(PROGRAM, atime=None), pax(SETTINGS, LIBARCHIVE__creationtime=None)), GOOD)],
    "WGO122": [
        Faulty(pax(PROGRAM, mtime=f"{EPOCH}.5"), pax(PROGRAM, LIBARCHIVE__creationtime=f"{EPOCH}.000")),
        Faulty(pax("Files/", atime=str(EPOCH + 5)), pax(PROGRAM, LIBARCHIVE__creationtime="yesterday", atime=None)),
        Faulty(
            each(pax(PROGRAM, ctime=f"-{EPOCH}"), pax(SETTINGS, ctime=f"{EPOCH}.000000001")),
            pax("Files/", ctime="yesterday"),
        ),
    ],
    "WGO123": [
        Faulty(
            each(pax(PROGRAM, mtime=f"{EPOCH}.50"), pax(SETTINGS, atime="1e9", ctime=f"{EPOCH}.0")),
            each(pax(PROGRAM, mtime=f"{EPOCH}.05"), pax(SETTINGS, atime="-1", ctime=f"{EPOCH}.000000001")),
        )
    ],
    "WGO125": [
        Faulty(
            Fault(compress=lambda raw: compressed(raw, "layer.tar")), Fault(compress=lambda raw: compressed(raw, flags=1))
        ),
        Faulty(Fault(compress=lambda raw: gzip.compress(raw, mtime=1 << 24)), Fault(compress=bytes, manifest=plain)),
        Faulty(
            Fault(compress=lambda raw: gzip.compress(raw, mtime=1)), Fault(blob=lambda _: b"\x1f\x8b\x08\x08\1\1\1\1\0")
        ),
    ],
    "WGO130": [
        Faulty(each(sd(SETTINGS, None), sd(ETC, None)), each(sd("Files/app/.wh.gone.dll", None), sd(HARDLINK, None))),
        Faulty(
            each(sd(SETTINGS, None), sd(SYMLINK, None), sd(ETC, None), sd(FOLDER, None), sd(PROGRAM, None)),
            pax(PROGRAM, MSWINDOWS__rawsd=None, MSWINDOWS__sd="O:BAG:SYD:(A;;FA;;;BA)"),
        ),
        Faulty(each(add(folder("Files/x", None), folder("Files/y", None))), add(file("Hives/x", sd=None), at=13)),
    ],
    "WGO131": [
        Faulty(
            each(sd(PROGRAM, SPARE), sd(SETTINGS, None), sd(DATA, "A" * (1 << 18)), sd("Files/app/config", f"{STRICT_FILE[:40]}\n{STRICT_FILE[40:]}"), sd(ETC, "A" * ((1 << 18) + 4))),
            each(sd(PROGRAM, None), sd(SETTINGS, NO_LIST)),
        ),
        Faulty(pax(PROGRAM, MSWINDOWS__rawsd=None, MSWINDOWS__sd="X:"), pax(PROGRAM, MSWINDOWS__sd="X:")),
    ],
    "WGO132": [
        Faulty(
            each(
                sd(PROGRAM, descriptor(*STRICT, group=None)),
                sd(SETTINGS, None),
                sd(ETC, CUT_SHORT),
                sd(DATA, descriptor(*STRICT, owner=None, group=None)),
            ),
            each(sd(SETTINGS, None), sd(ETC, CUT_SHORT)),
        )
    ],
    "WGO133": [Faulty(each(sd(PROGRAM, NO_LIST), sd(SETTINGS, None), sd(ETC, CUT_SHORT)), sd(SETTINGS, CUT_SHORT))],
    "WGO134": [
        Faulty(
            starting("Tool", named("Tool"), sd("Files/app/Tool", MODIFIABLE), named("x.dll"), sd("Files/app/x.dll", MODIFIABLE)),
            each(
                sd(PROGRAM, None), named("a.exe"), sd("Files/app/a.exe", NO_LIST), named("b.exe"), sd("Files/app/b.exe", CUT_SHORT),
                named("c.txt"), sd("Files/app/c.txt", MODIFIABLE), add(folder("Files/app/d.exe", MODIFIABLE)),
                named("exe.x"), sd("Files/app/exe.x", MODIFIABLE), link("e.exe", "x"), sd("Files/app/e.exe", MODIFIABLE),
            ),
        )
    ],
    "WGO135": [
        Faulty(
            each(sd("Files/", descriptor(*STRICT, ace(DELETE_CHILD, USERS))), sd(FOLDER, descriptor(*STRICT, ace(MODIFY, USERS, 9)))),
            each(
                sd("Files/", descriptor(*STRICT, ace(4, USERS, 3), ace(MODIFY, USERS, 9))),
                sd(FOLDER, NO_LIST), sd(ETC, TAKEN), add(file("Files/app", sd=TAKEN)), sd(DATA, MODIFIABLE), sd(PROGRAM, TAKEN),
            ),
        ),
        Faulty(
            each(sd("Files/", descriptor(*STRICT, ace(WRITE_DAC, USERS))), sd(FOLDER, CUT_SHORT)),
            each(sd(FOLDER, None), sd("Files/", None)),
        ),
        # A program in C:\ itself, where Windows lets everybody make files.
        Faulty(
            Fault(items=each(sd("Files/", descriptor(*STRICT, ace(DELETE_CHILD, USERS))), add(file("Files/x.exe"))).items,
                  config=entrypoint("C:\\x.exe")),
            Fault(items=each(sd("Files/", descriptor(*STRICT, ace(4, USERS), ace(MODIFY, USERS, 9))), add(file("Files/x.exe"))).items,
                  config=entrypoint("C:\\x.exe")),
        ),
        # One file whose name is that of a directory on the way.
        Faulty(
            starting("lib\\x.exe", add(folder("Files/app/lib", MODIFIABLE), file("Files/app/lib/x.exe"))),
            starting("lib\\x.exe", add(folder("Files/app/lib", None), file("Files/app/lib/x.exe")), sd(SETTINGS, MODIFIABLE)),
        ),
    ],
    "WGO136": [
        Faulty(
            each(sd(SETTINGS, descriptor(*STRICT, ace(WRITE_DAC, USERS))), sd(ETC, HEIRS), sd(DATA, CUT_SHORT), sd(FOLDER, None)),
            each(
                sd(PROGRAM, TAKEN), sd(SETTINGS, descriptor(*STRICT, ace(FULL, USERS, 9))), sd(ETC, CUT_SHORT), sd(FOLDER, None),
                add(folder("Files/Users"), folder("Files/users/me", TAKEN)), sd(DATA, NO_LIST),
            ),
        ),
    ],
    "WGO140": [
        Faulty(
            each(link("a", ""), link("b", "/app/x"), link("c", "Hives\\x"), link("d", "files")),
            each(link("a", "x/"), link("b", "C:\\app\\x"), link("c", "filesystem")),
        )
    ],
    "WGO141": [
        Faulty(
            each(
                link("a", "etc/settings.ini", 0x20), link("b", "etc", 0x10), link("c", "etc/settings.ini"),
                pax("Files/app/c", MSWINDOWS__fileattr=None), link("d", "C:\\app\\etc"), link("e", "..\\data"),
                link("f", "./etc/../etc/settings.ini", 0x410), link("g", "//?/C:/app/ETC"),
                link("h", "etc"), pax("Files/app/h", MSWINDOWS__fileattr=None),
            ),
            each(
                link("a", "nowhere", 0x410), link("b", "config", 0x410), link("c", "C:/nowhere"), link("d", ""),
                link("e", "..\\..\\..\\..\\Files\\app\\etc", 0x410), link("f", "Files\\app\\etc"), link("g", "\\\\?\\C:\\data", 0x410),
            ),
        )
    ],
    "WGO142": [
        Faulty(
            each(
                named("a"), pax("Files/app/a", MSWINDOWS__mountpoint="1"),
                link("b", "C:\\data", 0x410, **{"MSWINDOWS.mountpoint": "yes"}),
                link("c", "C:\\data", 0x420, **{"MSWINDOWS.mountpoint": "1"}),
                link("d", "C:\\data", 0x410, **{"MSWINDOWS.mountpoint": "1"}), pax("Files/app/d", MSWINDOWS__fileattr=None),
            ),
            each(link("a", "C:/data", 0x410, **{"MSWINDOWS.mountpoint": "1"}), link("b", "data")),
        )
    ],
    "WGO143": [
        Faulty(
            add(*(windows_item(f"Files/app/{name}", "1", 0x20, None, link=target) for name, target in {
                "a": "Files/app/none", "b": "Files/app/etc", "c": "/Files/app/whoami.exe", "d": "UtilityVM/none", "e": SYMLINK,
            }.items())),
            add(*(windows_item(f"Files/app/{name}", "1", 0x20, None, link=target) for name, target in {
                "a": "Files/APP/WHOAMI.exe", "b": HARDLINK,
            }.items())),
        ),
        Faulty(
            linux(Item("a", "1", link="nowhere"), Item("b", "1", link="app"), Item("c", "1", link="APP/WHOAMI")),
            linux(
                Item("a", "1", link="./app/whoami"), Item("b", "1", link="/app/whoami/"),
                Item("Q"), Item("c", "1", link="Q"),
            ),
            single="linux",
        ),
        Faulty(
            add(windows_item("Files/app/a", "1", 0x20, None, link="app/whoami.exe")),
            add(
                folder("UtilityVM"), folder("UtilityVM/Files"), file("UtilityVM/Files/x"),
                windows_item("UtilityVM/Files/y", "1", 0x20, None, link="UtilityVM/Files/x"),
            ),
        ),
    ],
    "WGO145": [
        Faulty(
            Fault(items=add(file("Files/.wh.x"), file("Files/app/.wh..wh..opq")).items),
            Fault(items=lambda items: items.remove(next(i for i in items if i.name == "Files/app/.wh.gone.dll")) or
                  add(file("Files/app/.wh..wh..opq"), at=9).items(items)),
            single="windows",
        ),
        Faulty(
            add(file("UtilityVM/.wh.x"), file("x/.wh.y")),
            add(file("Files/.wh.x"), file("UtilityVM/Files/.wh.x"), file("UtilityVM/Files/x/.wh.y")),
        ),
    ],
    "WGO146": [
        Faulty(
            add(file("Files/app/.wh.ETC"), file("Files/.wh.data"), file("Files/x/y/z"), file("Files/x/.wh.y"), file("Files/.wh.x")),
            add(file("Files/app/.wh."), file("Files/app/.wh..wh..opq"), file("Files/app/.wh.et")),
        )
    ],
}  # fmt: skip
"""By the rule's number."""
