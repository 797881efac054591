"""Cmdlets that cannot be lowered, and what to write instead."""

from __future__ import annotations

import re

from wingo.dockerfile.lowering.outcome import CannotLower

_REFUSED = {
    "Get-Random": ("a random number", "Write a fixed value."),
    "New-Guid": ("a random number", "Write a fixed value."),
    "Get-Process": ("the processes of the machine that builds", "Leave it out."),
    "Get-WmiObject": ("what the running system says", "Write the value itself."),
    "Get-CimInstance": ("what the running system says", "Write the value itself."),
    "Get-ComputerInfo": ("what the running system says", "Write the value itself."),
    "Get-NetAdapter": ("the network of the machine that builds", "Leave it out."),
    "Read-Host": ("input, which a build has not", "Use ARG."),
    "Install-WindowsFeature": ("a Windows feature, which Windows' own installer adds", "Use a base that has it."),
    "Add-WindowsFeature": ("a Windows feature, which Windows' own installer adds", "Use a base that has it."),
    "Uninstall-WindowsFeature": ("a Windows feature, which Windows' own installer removes", "Use a base without it."),
    "Remove-WindowsFeature": ("a Windows feature, which Windows' own installer removes", "Use a base without it."),
    "Enable-WindowsOptionalFeature": ("a Windows feature, which Windows' own installer adds", "Use a base that has it."),
    "Disable-WindowsOptionalFeature": ("a Windows feature, which Windows' own installer removes", "Use a base without it."),
    "Add-WindowsCapability": ("a Windows capability, which Windows' own installer adds", "Use a base that has it."),
    "Add-WindowsPackage": ("a Windows package, which Windows' own installer adds", "Use a base that has it."),
    "Install-Module": ("a module of the PowerShell gallery", "Download its .nupkg, which is a zip, and Expand-Archive it."),
    "Install-Package": ("a package, which runs code of its own", "Download its zip and use Expand-Archive."),
    "Install-PackageProvider": ("a package provider", "Download what is needed and use Expand-Archive."),
    "Save-Module": ("a module of the PowerShell gallery", "Download its .nupkg, which is a zip, and Expand-Archive it."),
    "Register-PSRepository": ("a package source", "Download what is needed."),
    "Register-ScheduledTask": ("a scheduled task", "Start it when the container starts."),
    "New-WebSite": ("IIS, which is configured by its own modules", "COPY applicationHost.config."),
    "New-NetFirewallRule": ("the firewall of the running system", "Leave it out: a container has none of its own."),
    "Start-Job": ("a job beside the step", "Do it in the step itself."),
    "Import-PfxCertificate": ("a private key, which the running system keeps", "Mount it when the container starts."),
    "New-SelfSignedCertificate": ("a private key and random numbers", "Make it outside the image."),
    "Set-TimeZone": ("the time zone of the running system", "Set TZ with ENV, which Go programs read."),
    "Restart-Computer": ("a restart", "Leave it out."),
}  # fmt: skip
_VERBS = frozenset(
    [
        "add",
        "backup",
        "clear",
        "close",
        "compress",
        "confirm",
        "connect",
        "convert",
        "convertfrom",
        "convertto",
        "copy",
        "disable",
        "disconnect",
        "dismount",
        "enable",
        "enter",
        "exit",
        "expand",
        "export",
        "find",
        "format",
        "get",
        "grant",
        "import",
        "initialize",
        "install",
        "invoke",
        "join",
        "limit",
        "lock",
        "measure",
        "merge",
        "mount",
        "move",
        "new",
        "open",
        "out",
        "publish",
        "push",
        "read",
        "receive",
        "register",
        "remove",
        "rename",
        "repair",
        "reset",
        "resolve",
        "restart",
        "restore",
        "resume",
        "revoke",
        "save",
        "search",
        "select",
        "send",
        "set",
        "show",
        "split",
        "start",
        "stop",
        "suspend",
        "switch",
        "sync",
        "test",
        "trace",
        "unblock",
        "uninstall",
        "unlock",
        "unpublish",
        "unregister",
        "update",
        "use",
        "wait",
        "watch",
        "write",
    ]
)
"""The verbs of cmdlets (`Get-Verb`)."""
_BY_NAME = {name.lower(): (name, *said) for name, said in _REFUSED.items()}


def refuse(written: str) -> None:
    """Says of a cmdlet that it is not lowered; of a program's name nothing.

    Raises:
        CannotLower: it is a cmdlet's.
    """
    lower = written.lower()
    if lower in _BY_NAME:
        name, what, advice = _BY_NAME[lower]
        raise CannotLower(f"{name} needs {what}", advice)
    if re.fullmatch(r"[a-z]+-[a-z][a-z0-9]+", lower) and lower.partition("-")[0] in _VERBS:
        raise CannotLower(
            f"the cmdlet {written} is not lowered", "Write what it changes with cmdlets for files and the registry."
        )
