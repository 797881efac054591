r"""What a Windows image says is to run, as what a Linux container is to run: Wine, the program, its variables and paths.

The command line reaches the program by Windows' rules: Wine's loader quotes its arguments as CommandLineToArgvW reads them.
"""

from __future__ import annotations

import os
from typing import Final

import msgspec

from wingo.errors import HostError, RequestError
from wingo.launch.spec import Mount, RunSpec
from wingo.launch.wine.drive import DRIVE, Names
from wingo.launch.wine.finding import Wine
from wingo.launch.wine.prefix import wine_environment
from wingo.oci.platform import Platform
from wingo.windows.command import split_command_line
from wingo.windows.init_exe import (
    DIRECTORY_VARIABLE,
    OWN_VARIABLES,
    RESULT_VARIABLE,
    Ending,
    read_result,
    unix_path,
    variable_for,
)
from wingo.windows.paths import parse_path

NOTICE: Final = (
    "Wine is a smoke test, not Windows: its system files, accounts and services are its own; "
    "what starts here may fail there, and the other way round"
)
"""Said on every start."""
RESULT: Final = "run/result"
"""What `init_exe` writes, below the container's root."""

_INIT: Final = "/wingo/init.exe"
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/wine")
_FILES: Final = ("/etc/ld.so.cache",)
_ERRORS: Final = {
    2: "there is no such file",
    3: "there is no such directory",
    5: "access is denied",
    193: "it is no Windows program",
    216: "it is a program for another machine",
    267: "it is no directory",
    740: "it asks for elevation",
}
"""Windows' error numbers that a start ends with (winerror.h)."""


def translate(spec: RunSpec, wine: Wine, names: Names, account: str) -> RunSpec:
    """The Linux container that runs a Windows program.

    Args:
        spec: made from a Windows image.
        wine: the machine's.
        names: how files on drive C: are spelt.
        account: of `drive.account_of`.

    Raises:
        RequestError: what Windows containers or Wine cannot do.
    """
    if spec.platform.architecture != "amd64":
        raise RequestError(
            f"Wine runs Windows programs for amd64 here, and the image is for {spec.platform.architecture}",
            hint="Choose the image's variant with --platform windows/amd64.",
        )
    if spec.read_only:
        raise RequestError("Windows containers cannot be read-only", hint="Leave out --read-only.")
    argv = spec.argv
    if spec.args_escaped:
        argv = (*split_command_line(argv[0]), *argv[1:])
    return msgspec.structs.replace(
        spec,
        platform=Platform("linux", "amd64"),
        argv=(wine.loader, _INIT, *argv),
        env=_environment(spec, wine, account),
        cwd=f"/{DRIVE}",
        user="",
        mounts=(*_machine_mounts(wine), *(_on_drive(mount, names) for mount in spec.mounts)),
        volumes=(),
        args_escaped=False,
    )


def _environment(spec: RunSpec, wine: Wine, account: str) -> tuple[str, ...]:
    variables = {**wine_environment(wine, "/prefix", account), "HOME": "/tmp", "PATH": "/usr/bin"}  # noqa: S108
    variables[RESULT_VARIABLE] = unix_path(f"/{RESULT}")
    variables[DIRECTORY_VARIABLE] = spec.cwd
    for item in spec.env:
        name, _, value = item.partition("=")
        if name.upper() in OWN_VARIABLES:
            variables[variable_for(name.upper())] = value
        elif name.upper().startswith("WINE") or name in variables:
            raise RequestError(f"{name} is a variable of Wine's own", hint="Give the program another name for it.")
        else:
            variables[name] = value
    return tuple(f"{name}={value}" for name, value in variables.items())


def _machine_mounts(wine: Wine) -> list[Mount]:
    """The machine's libraries and Wine, read-only: nothing else of this machine is seen."""
    found: list[str] = []
    for path in (*_LIBRARIES, *wine.directories):
        if os.path.isdir(path) and not any(path == above or path.startswith(above + "/") for above in found):
            found.append(path)
    files = [path for path in _FILES if os.path.isfile(path)]
    return [Mount(path, os.path.realpath(path), read_only=True) for path in (*found, *files)]


def _on_drive(mount: Mount, names: Names) -> Mount:
    real = names.real(parse_path(mount.target))
    return msgspec.structs.replace(mount, target="/" + "/".join((DRIVE, *real)))


class WindowsExit(msgspec.Struct, frozen=True):
    """How a Windows program ended.

    Attributes:
        code: its exit code, 32 bits without a sign.
        status: the same as a Unix exit status: itself up to 255; else 1, because the low 8 bits may be 0.
        problem: why it did not start; "" when it did.
    """

    code: int
    status: int
    problem: str = ""


def read_exit(data: bytes, spec: RunSpec) -> WindowsExit | None:
    """How the program ended, by what `init_exe` wrote; None when it was killed before.

    Args:
        data: the bytes of `RESULT`.
        spec: the Windows one.
    """
    result = read_result(data)
    if result is None:
        return None
    ending, number = result
    if ending is Ending.EXITED:
        return WindowsExit(number, number if number < 256 else 1)
    why = _ERRORS.get(number, f"Windows error {number}")
    if ending is Ending.NO_DIRECTORY:
        return WindowsExit(number, 126, f"the working directory {spec.cwd[:200]!r} cannot be entered: {why}")
    return WindowsExit(number, 127 if number in (2, 3) else 126, f"{spec.argv[0][:200]!r} cannot be started: {why}")


def show_code(code: int) -> str:
    """An exit code for people: those of exceptions in hexadecimal with their names."""
    name = _EXCEPTIONS.get(code, "")
    shown = f"0x{code:08X}" if code > 0xFFFF else str(code)
    return f"{shown} ({name})" if name else shown


_EXCEPTIONS: Final = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC00000FD: "stack overflow",
    0xC0000135: "a DLL was not found",
    0xC0000139: "a function was not found in a DLL",
    0xC000013A: "ended by Ctrl-C",
    0xC0000142: "a DLL could not be initialised",
    0xC0000409: "it ended itself after a fatal error",
}
"""NTSTATUS codes that programs end with (ntstatus.h)."""


def check_started(outcome: WindowsExit | None) -> None:
    """Refuses what did not start.

    Raises:
        HostError: with the reason and a hint.
    """
    if outcome is not None and outcome.problem:
        raise HostError(outcome.problem, hint="Look with 'wingo ls' what the image has.")
