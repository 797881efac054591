"""Cmdlets for services, programs and the system; those that cannot be lowered say what to write instead."""

from __future__ import annotations

import msgspec

from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.objects import nothing
from wingo.dockerfile.lowering.powershell.values import Thing, Unknown, Value, list_of, text_of
from wingo.dockerfile.lowering.programs import services
from wingo.dockerfile.lowering.programs.calls import Output
from wingo.errors import RequestError
from wingo.windows.services import SERVICES, ServiceChange, parse_start, read_services


def _names(bound: Bound) -> list[str]:
    names = bound.texts("Name") or bound.texts("DisplayName")
    if not names:
        names = [
            text_of(value.properties.get("name")) if isinstance(value, Thing) else text_of(value)
            for value in [*list_of(bound.get("InputObject")), *(bound.piped or [])]
        ]
    return names


def get_service(bound: Bound) -> list[Value]:
    """`Get-Service`."""
    session = bound.shell.session
    found: list[Value] = []
    for name in _names(bound) or ["*"]:
        if session.registry.is_assumed(SERVICES):
            if is_pattern(name):
                session.late = True
                return [Unknown("the services of the base")]
            services.assume(session, name)
            found.append(_service(name, Unknown(f"start type of {name}")))
            continue
        known = read_services(session.registry)
        if is_pattern(name):
            from wingo.dockerfile.lowering.patterns import compile_pattern

            pattern = compile_pattern(name)
            found += [
                _service(one.name, one.start.name if one.start else "") for one in known if pattern.match(one.name)
            ]
            continue
        service = known.find(name)
        if service is None:
            raise CommandFailed(f"cannot find any service with service name {name!r}")
        found.append(_service(service.name, service.start.name.capitalize() if service.start else ""))
    return found


def _service(name: str, start: Value) -> Thing:
    status = Unknown(f"status of {name}")
    return Thing("service", {"Name": name, "ServiceName": name, "Status": status, "StartType": start}, name)


def set_service(bound: Bound) -> list[Value]:
    """`Set-Service`."""
    session = bound.shell.session
    change = _change(bound)
    if bound.has("Status"):
        session.note("Set-Service -Status does nothing to an image: services run in a container alone")
    for name in _names(bound):
        if change == ServiceChange():
            services.require(session, name)
        else:
            services.configure(session, name, change, create=False)
    return []


def new_service(bound: Bound) -> list[Value]:
    """`New-Service`: it starts automatically when nothing is said."""
    session = bound.shell.session
    change = _change(bound)
    if change.start is None:
        change = msgspec.structs.replace(change, start=parse_start("auto")[0])
    if change.display_name is None:
        change = msgspec.structs.replace(change, display_name=bound.text("Name"))
    depends = tuple(bound.texts("DependsOn"))
    change = msgspec.structs.replace(change, image=bound.text("BinaryPathName"), depends_on=depends or None)
    if bound.has("Credential"):
        raise CannotLower("New-Service -Credential keeps a password in the running system", "Use LocalSystem.")
    services.configure(session, bound.text("Name"), change, create=True)
    return [_service(bound.text("Name"), "Automatic")]


def _change(bound: Bound) -> ServiceChange:
    change = ServiceChange()
    if bound.has("StartupType"):
        try:
            start, delayed = parse_start(bound.text("StartupType"))
        except RequestError as error:
            raise CommandFailed(str(error)) from error
        change = msgspec.structs.replace(change, start=start, delayed=delayed)
    if bound.has("DisplayName") and bound.cmdlet != "Get-Service":
        change = msgspec.structs.replace(change, display_name=bound.text("DisplayName"))
    if bound.has("Description"):
        change = msgspec.structs.replace(change, description=bound.text("Description"))
    return change


def control_service(bound: Bound) -> list[Value]:
    """`Stop-Service`, `Start-Service` and the like: an image has no running services."""
    for name in _names(bound):
        if not is_pattern(name):
            services.require(bound.shell.session, name)
    verb = bound.cmdlet
    bound.shell.session.note(
        f"{verb} {' '.join(_names(bound))} does nothing to an image: services run in a container alone"
    )
    return []


def remove_service(bound: Bound) -> list[Value]:
    """`Remove-Service`, of PowerShell 6 and later."""
    if not bound.shell.core:
        raise CommandFailed("the term 'Remove-Service' is not recognized in this version of PowerShell", 9009)
    for name in _names(bound):
        services.remove(bound.shell.session, name)
    return []


def start_process(bound: Bound) -> list[Value]:
    """`Start-Process`: with -Wait as the program itself."""
    from wingo.dockerfile.lowering.programs.running import run_line

    name = bound.text("FilePath")
    words = [name if " " not in name or name.startswith('"') else f'"{name}"', *bound.texts("ArgumentList")]
    if bound.text("Verb").lower() == "runas":
        bound.shell.session.note("Start-Process -Verb RunAs: the step's account has what rights it has")
    session = bound.shell.session
    before = session.directory
    if bound.has("WorkingDirectory"):
        session.directory = session.path(bound.text("WorkingDirectory"))
    try:
        status = run_line(session, " ".join(words), Output())
    finally:
        session.directory = before
    if not bound.switch("Wait"):
        session.note(f"Start-Process {name} without -Wait may not be done when the step ends")
    bound.shell.succeeded = True
    if bound.switch("PassThru"):
        return [Thing("process", {"ExitCode": status, "HasExited": True, "Id": Unknown("a process id")}, name)]
    return []


def start_sleep(bound: Bound) -> list[Value]:
    """`Start-Sleep`: nothing happens meanwhile."""
    bound.shell.slept = True
    return []


def get_command(bound: Bound) -> list[Value]:
    """`Get-Command`: a program's place."""
    from wingo.dockerfile.lowering.powershell.table import ALIASES, CMDLETS
    from wingo.dockerfile.lowering.programs.running import find_program

    found: list[Value] = []
    for name in bound.texts("Name"):
        if name.lower() in CMDLETS or name.lower() in bound.shell.functions or name.lower() in ALIASES:
            found.append(Thing("command", {"Name": name, "Source": "", "Definition": name}, name))
            continue
        item = find_program(bound.shell.session, name, here_first=False)
        if item is None:
            raise CommandFailed(f"the term {name!r} is not recognized as the name of a cmdlet or program")
        text: Value = Unknown(f"place of {name}") if item.unknown else item.text
        found.append(Thing("command", {"Name": name, "Source": text, "Path": text, "Definition": text}, name))
    return found


def add_type(bound: Bound) -> list[Value]:
    """`Add-Type -AssemblyName`."""
    if bound.has("TypeDefinition") or bound.has("MemberDefinition") or bound.has("Path"):
        raise CannotLower("Add-Type compiles or loads code", "Use cmdlets alone.")
    return []


def new_object(bound: Bound) -> list[Value]:
    """`New-Object`."""
    from wingo.dockerfile.lowering.powershell import dotnet

    arguments = list_of(bound.get("ArgumentList"))
    return [dotnet.make(bound.shell, bound.text("TypeName"), arguments)]


_SERVICE = "Name/ServiceName DisplayName InputObject Force! PassThru! NoWait! Include Exclude RequiredServices! DependentServices! ComputerName"
CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Get-Service", _SERVICE, get_service, positional="Name"),
    cmdlet("Set-Service", "Name/ServiceName DisplayName Description StartupType/StartMode/ST Status InputObject PassThru! Force! Credential", set_service, positional="Name"),
    cmdlet("New-Service", "Name/ServiceName BinaryPathName/Path DisplayName Description StartupType Credential DependsOn", new_service, positional="Name BinaryPathName"),
    *(cmdlet(f"{verb}-Service", _SERVICE, control_service, positional="Name") for verb in ("Stop", "Start", "Restart", "Suspend", "Resume")),
    cmdlet("Remove-Service", _SERVICE, remove_service, positional="Name"),
    cmdlet("Start-Process", "FilePath/PSPath ArgumentList/Args Wait! NoNewWindow! PassThru! Verb WorkingDirectory WindowStyle RedirectStandardOutput/RSO RedirectStandardError/RSE RedirectStandardInput Credential UseNewEnvironment! LoadUserProfile!", start_process, positional="FilePath ArgumentList*"),
    cmdlet("Get-Command", "Name CommandType Module All!", get_command, positional="Name"),
    cmdlet("Add-Type", "AssemblyName/AN TypeDefinition MemberDefinition Name Namespace Path Language ReferencedAssemblies PassThru!", add_type, positional="TypeDefinition"),
    cmdlet("New-Object", "TypeName ArgumentList/Args Property ComObject", new_object, positional="TypeName ArgumentList"),
    cmdlet("Start-Sleep", "Seconds Milliseconds/ms Duration", start_sleep, positional="Seconds"),
    cmdlet("Set-ExecutionPolicy", "ExecutionPolicy Scope Force!", nothing, positional="ExecutionPolicy Scope"),
    cmdlet("Unblock-File", "Path LiteralPath", nothing, positional="Path"),
    cmdlet("Set-PSDebug", "Trace Step! Strict! Off!", nothing),
    cmdlet("Set-StrictMode", "Version Off!", nothing),
    cmdlet("Set-PSRepository", "Name InstallationPolicy SourceLocation", nothing, positional="Name"),
    cmdlet("Import-Module", "Name Force! Global! Prefix Function Cmdlet DisableNameChecking! Scope PassThru! SkipEditionCheck!", nothing, positional="Name"),
    cmdlet("Get-ExecutionPolicy", "Scope List!", nothing),
    cmdlet("Stop-Process", "Name Id Force! InputObject PassThru!", nothing, positional="Id"),
    cmdlet("Wait-Process", "Name Id Timeout InputObject", nothing, positional="Name"),
    cmdlet("Clear-Host", "", nothing),
    cmdlet("refreshenv", "", nothing),
    cmdlet("Update-SessionEnvironment", "", nothing),
    cmdlet("Get-Help", "Name", nothing, positional="Name"),
)  # fmt: skip
