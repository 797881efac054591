"""Stages for the tests of lowering: bases in memory, and steps one after the other."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from wingo.archive.entry import Content
from wingo.dockerfile.lowering import (
    Answer,
    Impossible,
    Item,
    Kind,
    Lowered,
    State,
    Tree,
    UnpackedFile,
    UnreadBase,
    lower,
)
from wingo.dockerfile.lowering.contents import content_of
from wingo.dockerfile.lowering.edits import Edit, describe
from wingo.dockerfile.lowering.registry import stage_registry
from wingo.hive.edit import CreateKey, SetValue, apply_edits
from wingo.hive.keys import Key, TreeKey
from wingo.hive.values import DWORD, EXPAND_SZ, SZ, encode_text
from wingo.testing.hives import SYSTEM_SECURITY
from wingo.windows.paths import Components, fold, parse_path

POWERSHELL = ("powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';")
_PROGRAMS = [
    "Windows/System32/cmd.exe",
    "Windows/System32/reg.exe",
    "Windows/System32/sc.exe",
    "Windows/System32/setx.exe",
    "Windows/System32/curl.exe",
    "Windows/System32/tar.exe",
    "Windows/System32/icacls.exe",
    "Windows/System32/net.exe",
    "Windows/System32/xcopy.exe",
    "Windows/System32/robocopy.exe",
    "Windows/System32/attrib.exe",
    "Windows/System32/where.exe",
    "Windows/System32/find.exe",
    "Windows/System32/findstr.exe",
    "Windows/System32/more.com",
    "Windows/System32/certutil.exe",
    "Windows/System32/WindowsPowerShell/v1.0/powershell.exe",
    "Windows/System32/timeout.exe",
    "Windows/System32/ping.exe",
    "Windows/System32/msiexec.exe",
]
PATH = r"C:\Windows\system32;C:\Windows;C:\Windows\System32\WindowsPowerShell\v1.0"


class MemoryBase:
    """A base whose files are these."""

    known = True

    def __init__(self, files: Mapping[str, bytes | None] | None = None, *, programs: bool = True) -> None:
        self._items: dict[Components, Item] = {(): Item((), Kind.DIRECTORY, in_base=True)}
        named: dict[str, bytes | None] = dict.fromkeys(_PROGRAMS, b"MZ") if programs else {}
        named.update(dict.fromkeys(("Windows/Temp", "Program Files", "Users/ContainerAdministrator", "ProgramData")))
        for name, data in {**named, **(files or {})}.items():
            path = parse_path("/" + name)
            for length in range(1, len(path)):
                self._items.setdefault(fold(path[:length]), Item(path[:length], Kind.DIRECTORY, in_base=True))
            if data is None:
                self._items[fold(path)] = Item(path, Kind.DIRECTORY, in_base=True)
            else:
                self._items[fold(path)] = Item(path, Kind.FILE, content_of(data, name), in_base=True)

    def find(self, path: Components) -> Item | None:
        return self._items.get(fold(path))

    def children(self, path: Components) -> Sequence[Item]:
        key = fold(path)
        return [item for other, item in self._items.items() if other and other[:-1] == key]

    def load(self) -> bool:
        return False


def system_hive() -> Key:
    variables = r"ControlSet001\Control\Session Manager\Environment"
    services = r"ControlSet001\Services"
    return apply_edits(
        TreeKey("ROOT", SYSTEM_SECURITY),
        [
            SetValue("Select", "Current", DWORD, b"\1\0\0\0"),
            SetValue(variables, "Path", EXPAND_SZ, encode_text(PATH)),
            SetValue(variables, "PATHEXT", SZ, encode_text(".COM;.EXE;.BAT;.CMD")),
            SetValue(variables, "TEMP", EXPAND_SZ, encode_text(r"%SystemRoot%\TEMP")),
            SetValue(f"{services}\\WSearch", "Start", DWORD, b"\2\0\0\0"),
            SetValue(f"{services}\\WSearch", "Type", DWORD, b"\x10\0\0\0"),
            SetValue(f"{services}\\cexecsvc", "Start", DWORD, b"\2\0\0\0"),
            SetValue(f"{services}\\cexecsvc", "Type", DWORD, b"\x10\0\0\0"),
        ],
    )


def software_hive() -> Key:
    return apply_edits(
        TreeKey("ROOT", SYSTEM_SECURITY),
        [
            CreateKey(r"Microsoft\Windows\CurrentVersion"),
            SetValue(r"Microsoft\Known", "Text", SZ, encode_text("before")),
        ],
    )


def stage(
    files: Mapping[str, bytes | None] | None = None, *, programs: bool = True, user_hive: bool = True, **more
) -> State:
    """A stage on a servercore whose files and hives are known."""
    registry = stage_registry(
        {"SYSTEM": system_hive(), "SOFTWARE": software_hive()},
        TreeKey("ROOT", SYSTEM_SECURITY) if user_hive else None,
    )
    return State(
        **{"tree": Tree(MemoryBase(files, programs=programs)), "registry": registry, "flavour": "servercore", **more}
    )


def plan_stage(**more) -> State:
    """A stage of a plan, whose base was not read."""
    return State(**{"tree": Tree(UnreadBase()), "planning": True, **more})


def run(command, state: State | None = None, *, shell=("cmd", "/S", "/C"), answers: Sequence[Answer] = ()) -> Lowered:
    """A step that must be lowered."""
    outcome = lower(command, shell, state or stage(), answers=answers)
    assert isinstance(outcome, Lowered), outcome
    return outcome


def ps(command, state: State | None = None, *, answers: Sequence[Answer] = (), shell=POWERSHELL) -> Lowered:
    return run(command, state, shell=shell, answers=answers)


def refuse(
    command, state: State | None = None, *, shell=("cmd", "/S", "/C"), answers: Sequence[Answer] = ()
) -> Impossible:
    """A step that must be impossible."""
    outcome = lower(command, shell, state or stage(), answers=answers)
    assert isinstance(outcome, Impossible), outcome
    return outcome


def ps_refuse(command, state: State | None = None, *, answers: Sequence[Answer] = ()) -> Impossible:
    return refuse(command, state, shell=POWERSHELL, answers=answers)


def text_of(state: State, path: str) -> bytes | None:
    """A file's bytes, None when there is no such file."""
    item = state.tree.find(parse_path(path))
    if item is None or item.content is None:
        return None
    with item.content.open() as stream:
        return stream.read()


def there(state: State, path: str) -> bool:
    return state.tree.find(parse_path(path), follow=False) is not None


def lines(outcome: Lowered) -> list[str]:
    """The edits for people."""
    return [describe(edit) for edit in outcome.edits]


def only(outcome: Lowered) -> Edit:
    assert len(outcome.edits) == 1, lines(outcome)
    return outcome.edits[0]


def fetched(data: bytes) -> Answer:
    """What a download gave."""
    return Answer((UnpackedFile("x", content_of(data, "download")),))


def unpacked(**files: bytes) -> Answer:
    return Answer(tuple(UnpackedFile(name, content_of(data, name)) for name, data in files.items()))


def content(data: bytes) -> Content:
    return Content(len(data), lambda: io.BytesIO(data), "test")
