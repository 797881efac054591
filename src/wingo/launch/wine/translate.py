r"""What a Windows image says is to run, as what a Linux container is to run: Wine, the program, its variables and paths.

The command line reaches the program by Windows' rules: Wine's loader quotes its arguments as CommandLineToArgvW reads them.
"""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from wingo.errors import RequestError
from wingo.launch.rooted import open_in_root
from wingo.launch.spec import Mount, RunSpec
from wingo.launch.wine.drive import DRIVE, Names
from wingo.launch.wine.finding import Wine
from wingo.launch.wine.prefix import wine_environment
from wingo.oci.platform import Platform
from wingo.windows.command import split_command_line
from wingo.windows.init_exe import (
    DIRECTORY_VARIABLE,
    INTERRUPT,
    OWN_VARIABLES,
    RESULT_VARIABLE,
    SHUTDOWN,
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
_LINUX: Final = Platform("linux", "amd64")
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
        platform=_LINUX,
        argv=(*loader_of(wine), *argv),
        env=_environment(spec, wine, account),
        cwd=f"/{DRIVE}",
        user="",
        mounts=(*_machine_mounts(wine), *(_on_drive(mount, names) for mount in spec.mounts)),
        volumes=(),
        stop_signal="SIGTERM",
        args_escaped=False,
    )


def loader_of(wine: Wine) -> tuple[str, ...]:
    """What starts a Windows program."""
    return (wine.loader, _INIT)


def beside(spec: RunSpec) -> RunSpec:
    """The Linux form of what is executed in a container of a Windows image that runs already.

    Args:
        spec: its `argv` begins with `loader_of`, its `env` is the container's, its `cwd` a directory of either system.
    """
    # What it ends with is not how the container ends.
    variables = {name: value for name, value in _pairs(spec.env) if name != RESULT_VARIABLE}
    if not spec.cwd.startswith("/"):
        variables[DIRECTORY_VARIABLE] = spec.cwd
    env = tuple(f"{name}={value}" for name, value in variables.items())
    return msgspec.structs.replace(spec, platform=_LINUX, env=env, cwd=f"/{DRIVE}")


def _pairs(env: Iterable[str]) -> Iterator[tuple[str, str]]:
    for item in env:
        name, _, value = item.partition("=")
        yield (variable_for(name.upper()) if name.upper() in OWN_VARIABLES else name), value


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
        return WindowsExit(number, 126, f"the working directory {spec.cwd[:200]} cannot be entered: {why}")
    return WindowsExit(number, 127 if number in (2, 3) else 126, f"{spec.argv[0][:200]} cannot be started: {why}")


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


SIGNALS: Final[Mapping[int, tuple[str, int]]] = {
    signal.SIGTERM: (SHUTDOWN, signal.SIGINT),
    signal.SIGHUP: (SHUTDOWN, signal.SIGINT),
    signal.SIGINT: (INTERRUPT, signal.SIGINT),
    # Windows has nothing like them, and Wine uses them itself.
    signal.SIGQUIT: ("", 0),
    signal.SIGUSR1: ("", 0),
    signal.SIGUSR2: ("", 0),
}
"""How a Windows program gets signals: see `wingo.windows.init_exe`."""


def exit_of(spec: RunSpec, upper: str) -> WindowsExit | None:
    """How a program ended, by what lies in the writable layer's directory; None when it was killed before.

    Args:
        spec: the Windows one.
        upper: what is in it is the program's, so no link in it is followed.
    """
    return read_exit(_small(upper, RESULT), spec)


def ending_of(spec: RunSpec, status: int, upper: str) -> tuple[int, str]:
    """A container's exit code, and what is to be said of it.

    Args:
        spec: the Windows one.
        status: what Wine's loader ended with; 128 + N by signal N.
        upper: the writable layer's directory; what is in it is the program's, so no link in it is followed.
    """
    ended = exit_of(spec, upper)
    if ended is None:
        return status, "" if status > 128 else "Wine ended without saying how the program ended"
    told = f"the program ended with {show_code(ended.code)}" if ended.code > 255 else ""
    return ended.status, ended.problem or told


def _small(folder: str, path: str) -> bytes:
    root = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        descriptor = open_in_root(root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    finally:
        os.close(root)
    with open(descriptor, "rb") as file:
        return file.read(64) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
