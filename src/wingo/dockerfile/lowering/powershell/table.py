"""Every cmdlet by its name in lower case, and the aliases."""

from __future__ import annotations

from wingo.dockerfile.lowering.powershell import (
    acl,
    content,
    dates,
    events,
    items,
    network,
    objects,
    places,
    registry,
    system,
    users,
)
from wingo.dockerfile.lowering.powershell.binding import Cmdlet

CMDLETS: dict[str, Cmdlet] = {
    command.name.lower(): command
    for command in (
        *acl.CMDLETS,
        *content.CMDLETS,
        *dates.CMDLETS,
        *events.CMDLETS,
        *items.CMDLETS,
        *network.CMDLETS,
        *objects.CMDLETS,
        *places.CMDLETS,
        *registry.CMDLETS,
        *system.CMDLETS,
        *users.CMDLETS,
    )
}

ALIASES = {
    "%": "ForEach-Object", "?": "Where-Object", "ac": "Add-Content", "cat": "Get-Content", "cd": "Set-Location", "chdir": "Set-Location",
    "clc": "Clear-Content", "clear": "Clear-Host", "cls": "Clear-Host", "copy": "Copy-Item", "cp": "Copy-Item", "cpi": "Copy-Item",
    "curl": "Invoke-WebRequest", "cvpa": "Convert-Path", "del": "Remove-Item", "dir": "Get-ChildItem", "echo": "Write-Output",
    "erase": "Remove-Item", "fl": "Format-List", "foreach": "ForEach-Object", "ft": "Format-Table", "gc": "Get-Content",
    "gci": "Get-ChildItem", "gcm": "Get-Command", "gi": "Get-Item", "gl": "Get-Location", "gp": "Get-ItemProperty",
    "gpv": "Get-ItemPropertyValue", "gsv": "Get-Service", "gv": "Get-Variable", "gwmi": "Get-WmiObject", "icm": "Invoke-Command",
    "iex": "Invoke-Expression", "ipmo": "Import-Module", "irm": "Invoke-RestMethod", "iwr": "Invoke-WebRequest", "kill": "Stop-Process",
    "ls": "Get-ChildItem", "man": "Get-Help", "md": "mkdir", "measure": "Measure-Object", "mi": "Move-Item", "move": "Move-Item",
    "mv": "Move-Item", "ni": "New-Item", "nv": "New-Variable", "oh": "Out-Host", "popd": "Pop-Location", "ps": "Get-Process",
    "pushd": "Push-Location", "pwd": "Get-Location", "rd": "Remove-Item", "ren": "Rename-Item", "ri": "Remove-Item", "rm": "Remove-Item",
    "rmdir": "Remove-Item", "rni": "Rename-Item", "rp": "Remove-ItemProperty", "rv": "Remove-Variable", "rvpa": "Resolve-Path",
    "sajb": "Start-Job", "sal": "Set-Alias", "saps": "Start-Process", "sasv": "Start-Service", "sc": "Set-Content", "select": "Select-Object",
    "set": "Set-Variable", "si": "Set-Item", "sl": "Set-Location", "sleep": "Start-Sleep", "sls": "Select-String", "sort": "Sort-Object",
    "sp": "Set-ItemProperty", "spps": "Stop-Process", "spsv": "Stop-Service", "start": "Start-Process", "sv": "Set-Variable",
    "tee": "Tee-Object", "type": "Get-Content", "wget": "Invoke-WebRequest", "where": "Where-Object", "write": "Write-Output",
}  # fmt: skip
"""Of Windows PowerShell 5.1 (`Get-Alias`)."""

CORE_ALIASES_GONE = frozenset({"curl", "wget", "sc", "gwmi"})
"""Those that PowerShell 7 no longer has."""
