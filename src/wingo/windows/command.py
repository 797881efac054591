r"""What a Windows container runs: the program, its command line, its directory and its account.

Sources: Microsoft's "Parsing C++ command-line arguments" and CommandLineToArgvW; CreateProcessW; containerd
`pkg/oci/spec_opts.go` (ArgsEscaped); the Kubernetes API's rules for `runAsUserName`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.windows.paths import parse_path, path_text, utf16_units

MAX_COMMAND_LINE = 32_767
"""UTF-16 units of a command line, its final NUL included (CreateProcessW)."""

SANDBOX = "%CONTAINER_SANDBOX_MOUNT_POINT%"
"""Where a HostProcess container's image lies on the host; the runtime replaces it."""

_RUN, _QUOTED_RUN = re.compile(r'[^\\" \t]+'), re.compile(r'[^\\"]+')
_QUOTED = re.compile(r'[ \t\n\v"]')
_ACCOUNTS = {"CONTAINERUSER": "ContainerUser", "CONTAINERADMINISTRATOR": "ContainerAdministrator"}
_USER_FORBIDDEN = re.compile(r'["/\[\]:;|=,+*?<>\x00-\x1f]')
_MAX_USER = 104
_MAX_DOMAIN = 255


def quote_argument(argument: str) -> str:
    """One argument as CommandLineToArgvW reads it back, quoted only where it must be.

    Raises:
        RequestError: it contains a NUL, which ends a command line.
    """
    if "\0" in argument:
        raise RequestError(f"the argument {argument[:80]!r} contains a NUL character")
    if argument and not _QUOTED.search(argument):
        return argument
    # Backslashes count only before a quote, where each needs a second one; so does the quote itself.
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', argument)
    return '"' + re.sub(r"(\\+)\Z", r"\1\1", escaped) + '"'


def command_line(arguments: Sequence[str]) -> str:
    """A command line that a program reads back as these arguments, the first being the program.

    Raises:
        RequestError: none at all, a quote in the program's name, a NUL, or too long.
    """
    if not arguments or not arguments[0]:
        raise RequestError("a command line needs a program")
    program, *rest = arguments
    # In the program's name a quote always closes or opens and a backslash is a backslash.
    if '"' in program:
        raise RequestError(f"the program's name {program[:80]!r} contains a quote")
    first = f'"{program}"' if re.search(r"[ \t]", program) else program
    line = " ".join((first, *map(quote_argument, rest)))
    if "\0" in line:
        raise RequestError(f"the program's name {program[:80]!r} contains a NUL character")
    if utf16_units(line) >= MAX_COMMAND_LINE:
        raise RequestError(f"the command line has {utf16_units(line)} characters; Windows takes {MAX_COMMAND_LINE - 1}")
    return line


def split_command_line(line: str) -> tuple[str, ...]:
    """The arguments that a Go program sees, and Windows' own programs, which stand on msvcrt.dll: `""` in quotes is `"` and ends them.

    Go's `os/exec_windows.go` says the same ("prior to 2008"). Programs on the C runtime of 2008 and later stay in quotes after `""`.
    """
    text = line.lstrip(" \t")
    if not text:
        return ()
    if text[0] == '"':
        program, _, rest = text[1:].partition('"')
    else:
        program, rest, *_ = (*re.split(r"[ \t]", text, maxsplit=1), "")
    arguments = [program]
    position = 0
    while True:
        while rest[position : position + 1] in (" ", "\t") and position < len(rest):
            position += 1
        if position >= len(rest):
            return tuple(arguments)
        argument, position = _next_argument(rest, position)
        arguments.append(argument)


def _next_argument(text: str, position: int) -> tuple[str, int]:
    argument: list[str] = []
    quoted = False
    while position < len(text):
        character = text[position]
        if character == "\\":
            end = position
            while text[end : end + 1] == "\\":
                end += 1
            count = end - position
            if text[end : end + 1] == '"':
                argument.append("\\" * (count // 2))
                if count % 2:
                    argument.append('"')
                    end += 1
            else:
                argument.append("\\" * count)
            position = end
        elif character == '"':
            if quoted and text[position + 1 : position + 2] == '"':
                argument.append('"')
                position += 1
            quoted = not quoted
            position += 1
        elif character in " \t" and not quoted:
            break
        else:
            run = (_QUOTED_RUN if quoted else _RUN).match(text, position)
            assert run is not None
            argument.append(run[0])
            position = run.end()
    return "".join(argument), position


def plan_entrypoint(program: str, arguments: Sequence[str] = (), *, host_process: bool = False) -> tuple[str, ...]:
    r"""The exec form of an entrypoint: the program's whole path in its one spelling, then its arguments.

    With it `ArgsEscaped` must be false and the base's `Cmd` dropped: otherwise containerd takes the first item for a
    whole command line (`pkg/oci/spec_opts.go`).

    Args:
        program: a Windows path in any spelling, with `.exe`.
        arguments: passed as they are.
        host_process: the image is for HostProcess containers, see `host_process_path`.

    Raises:
        RequestError: not a path in an image, no `.exe` (Windows adds none to a path), an argument with NUL, too long.
    """
    path = parse_path(program)
    name = upcase(path[-1]) if path else ""
    if name.endswith((".BAT", ".CMD", ".PS1")):
        raise RequestError(
            f"{path_text(path)} is a script, which Windows does not start by itself",
            hint=r"Start its interpreter, for instance C:\Windows\System32\cmd.exe with /c and the script.",
        )
    if not name.endswith(".EXE") or name == ".EXE":
        raise RequestError(
            f"{program[:160]!r} has no .exe, and Windows does not add it to a path",
            hint=r"Name the program's file in full, for instance C:\app\server.exe.",
        )
    entrypoint = (host_process_path(program) if host_process else path_text(path), *arguments)
    command_line(entrypoint)
    return entrypoint


def host_process_path(text: str) -> str:
    r"""A path in an image as a HostProcess container finds it: below wherever the host puts the image.

    In such a container `C:\` is the host's drive. The runtime replaces the variable in the command line, the working
    directory and the values of the environment (hcsshim `internal/jobcontainers/jobcontainer.go`).

    Raises:
        RequestError: not a path in an image.
    """
    return "\\".join((SANDBOX, *parse_path(text)))


def working_directory(text: str, *, host_process: bool = False) -> str:
    r"""A working directory in its one spelling, `C:\app`: the host's compute service takes no forward slashes.

    Raises:
        RequestError: not a directory in an image.
    """
    return host_process_path(text) if host_process else path_text(parse_path(text))


def user_name(text: str, *, host_process: bool = False) -> str:
    r"""An account in its one spelling: `ContainerUser`, `ContainerAdministrator`, `NAME` or `DOMAIN\NAME`.

    Raises:
        RequestError: a number or `user:group` as on Linux, a name that Windows does not allow, or one of the containers'
            own accounts for a HostProcess container, which runs as an account of the host.
    """
    name = text.strip()
    hint = "Use ContainerUser, which may change nothing but its data, or ContainerAdministrator."
    if host_process:
        hint = r"Use an account of the host, for instance NT AUTHORITY\SYSTEM or NT AUTHORITY\Local Service."
    if account := _ACCOUNTS.get(upcase(name)):
        if host_process:
            raise RequestError(f"a HostProcess container has no account {account}", hint=hint)
        return account
    if re.fullmatch(r"[0-9]+(?::[0-9]+)?|[^:\\]+:[^:\\]+|root", name):
        raise RequestError(f"the user {text[:80]!r} is one for Linux", hint=hint)
    domain, backslash, account_name = name.rpartition("\\")
    allowed = (
        len(account_name) <= _MAX_USER
        and len(domain) <= _MAX_DOMAIN
        and (domain or not backslash)
        and "\\" not in domain
        and account_name.strip(". ")
        and not _USER_FORBIDDEN.search(name)
    )
    if not allowed:
        raise RequestError(f"{text[:80]!r} is not a Windows account", hint=hint)
    return name
