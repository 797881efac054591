r"""What a stage's own text says of the system that it is written for, where its base does not.

`golang:1.21`, `$BASE`, `someone/app:latest` are names of images for several systems, or of nobody knows which. Docker asks its
daemon; here the instructions tell: a SHELL, an account, a drive, a command that only one system has.
"""

from __future__ import annotations

import re

from wingo.dockerfile.instructions import (
    Add,
    Cmd,
    CommandLine,
    Copy,
    Dockerfile,
    Entrypoint,
    Instruction,
    Run,
    Shell,
    Stage,
    User,
    Volume,
    Workdir,
)

_DRIVE = re.compile(r"\"?[A-Za-z]:(?:[\\/]|\Z)")
_STARTED = re.compile(r"(?:\S*[\\/])?[^\\/\s]+\.(?:exe|cmd|bat|ps1)\Z|[A-Za-z]:[\\/]|\.\\", re.IGNORECASE)
_CMDLETS = (
    "Add-Content|Copy-Item|Expand-Archive|Get-ChildItem|Get-FileHash|Invoke-WebRequest|Move-Item|New-Item|New-ItemProperty|New-Service|"
    "Remove-Item|Rename-Item|Set-Content|Set-ExecutionPolicy|Set-ItemProperty|Set-Location|Set-Service|Start-Process|Write-Host"
)
_COMMAND = re.compile(
    rf"\$env:\w|\[Environment\]::|%[A-Za-z_][\w()]{{2,}}%|(?<![\w/])[A-Za-z]:\\"
    rf"|(?:^|[;&|({{]|&&|\|\|)\s*(?:(?:{_CMDLETS})\b"
    r"|(?:powershell|cmd)(?:\.exe)?\s|(?:setx|reg|icacls|mklink|xcopy|robocopy|choco|msiexec)(?:\.exe)?\s)",
    re.IGNORECASE,
)
"""A command that means nothing to a POSIX shell."""


def windows_evidence(dockerfile: Dockerfile, stage: Stage) -> str:
    """What in a stage, or in one that stands on it, is written for Windows: "its SHELL", "its USER"; "" for nothing."""
    for other in _family(dockerfile, stage):
        for instruction in other.instructions:
            found = _of(instruction)
            if found:
                return found
    return ""


def _family(dockerfile: Dockerfile, stage: Stage) -> list[Stage]:
    names, found = {stage.start.name}, [stage]
    for other in dockerfile.stages[stage.number + 1 :]:
        if other.start.image in names - {""}:
            names.add(other.start.name)
            found.append(other)
    return found


def _of(instruction: Instruction) -> str:
    match instruction:
        case Shell(_, arguments):
            name = arguments[0].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe") if arguments else ""
            return "its SHELL" if name in ("powershell", "pwsh", "cmd") else ""
        case User(_, user):
            name = user.replace("/", "\\").rpartition("\\")[2].lower()
            return "its USER" if name in ("containeradministrator", "containeruser") else ""
        case Workdir(_, path):
            return "its WORKDIR" if _DRIVE.match(path) else ""
        case Volume(_, paths):
            return "its VOLUME" if any(map(_DRIVE.match, paths)) else ""
        case Copy() | Add():
            return "where it copies to" if _DRIVE.match(instruction.destination) else ""
        case Cmd(_, command) | Entrypoint(_, command):
            return "what it starts" if _STARTED.match(_first(command)) else ""
        case Run():
            return "its commands" if _COMMAND.search(instruction.command.text) else ""
        case _:
            return ""


def _first(command: CommandLine) -> str:
    words = command.arguments if command.exec_form else tuple(command.text.split(maxsplit=1))
    return words[0] if words else ""
