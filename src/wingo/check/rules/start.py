"""Whether a container of the image would start: the program, its rights, its directory, its user."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wingo.archive.unpack import MemberKind
from wingo.binary.facts import Format, Kind, Subsystem
from wingo.check.accounts import SERVERCORE_LIKE, account_of, linux_account, may
from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, Needs, image_rule
from wingo.check.rules.layer_access import READ_ONLY_SDDL, described
from wingo.check.starting import is_shell
from wingo.check.subject import ImageSubject
from wingo.hive.upcase import upcase
from wingo.windows.command import SANDBOX
from wingo.windows.security import allowed_rights

_READ_AND_EXECUTE = {0x1: "read", 0x20: "execute"}
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?\Z")
_BATCH = (".CMD", ".BAT")
"""CreateProcess hands these to cmd.exe by itself, which its documentation does not say ("BatBadBut", CVE-2024-24576)."""
_SCRIPTS = (".PS1", ".VBS", ".JS", ".SH")
_IN_WINDOWS = re.compile(r"(?i)(?:C:)?\\Windows\\")


def _named(image: ImageSubject) -> str:
    return image.start.argv[0][:200]


@image_rule("WGO201", Severity.WARNING, Group.START)
def something_starts(image: ImageSubject) -> Iterator[Problem]:
    """An image says what it starts.

    Why:
        Without Entrypoint and Cmd, a container ends with "no command specified" unless whoever starts it gives a command.

    Example:
        A config that was written by hand, or a base that is meant to be built upon.
    Mend:
        Set Entrypoint to the program's whole path; ignore this rule for images that are bases.
    """
    if not image.start.argv:
        yield Problem(
            message="the config has neither Entrypoint nor Cmd", hint="Set Entrypoint to the program's whole path."
        )


@image_rule("WGO202", Severity.WARNING, Group.START)
def whole_path(image: ImageSubject) -> Iterator[Problem]:
    r"""The program is named by its whole path, on Windows with a drive and backslashes.

    Why:
        A plain name is looked for in several directories, of which some may be written by others, and which PATH decides;
        a relative path depends on WorkingDir. Forward slashes are switches to some of Windows' own programs.

    Example:
        `app.exe`, `C:/app/app.exe`, `./app`.
    Mend:
        Write `C:\app\app.exe`; on Linux `/app/app`.
    """
    if not image.start.argv or image.start.shell:
        return
    word = _named(image).strip('"')
    if image.os == "windows":
        if upcase(word).startswith(SANDBOX) or re.match(r"[A-Za-z]:\\", word):
            if "/" in word:
                yield Problem(message=f"the program {word} is named with forward slashes", hint="Write backslashes.")
        elif "/" in word or not image.settings.args_escaped:
            what = "is named with forward slashes" if "/" in word else "is not named by its whole path"
            yield Problem(message=f"the program {word} {what}", hint=r"Write for instance C:\app\app.exe.")
    elif not word.startswith("/") and not is_shell(word):
        yield Problem(
            message=f"the program {word} is not named by its whole path",
            hint="Write for instance /app/app.",
            severity=Severity.NOTE,
        )


@image_rule("WGO203", Severity.ERROR, Group.START, needs=Needs.OUR_LAYERS)
def program_exists(image: ImageSubject) -> Iterator[Problem]:
    r"""The program is in the image.

    Why:
        A container whose program is not there ends at once: "The system cannot find the file specified" (0x2), "no such
        file or directory". Names are compared as the system does: on Windows in any case, and `app` finds `app.exe`,
        although CreateProcess is documented not to look for it beside a path (official images of traefik start so).

    Example:
        Entrypoint `C:\app\server.exe`, and the file is `Files/app/server`.
    Mend:
        Name the file as it is in the image; `wingo ls` lists it.
    """
    start = image.start
    if not start.argv or start.node is not None or (start.shell and not image.complete):
        return
    word = _named(image)
    near = _near(image)
    hint = f"Did you mean {near}?" if near else "Name a file that is in the image."
    if image.os == "windows" and upcase(near) == f"{upcase(start.path)}.EXE":
        yield Problem(
            message=f"the program {word} is in the image as {near.rpartition(chr(92))[2]}, which Windows finds all the same",
            hint=hint,
            severity=Severity.NOTE,
        )
        return
    if image.complete:
        yield Problem(message=f"the program {word} is not in the image", hint=hint)
    elif _only_ours(image):
        yield Problem(
            message=f"the program {word} is not in our layers, and a base of Microsoft has nothing there", hint=hint
        )
    else:
        yield Problem(
            message=f"the program {word} is not in our layers; whether the base has it is not known",
            hint=hint,
            severity=Severity.NOTE if near == "" else Severity.WARNING,
        )


def _only_ours(image: ImageSubject) -> bool:
    r"""Whether what is started can be in our layers alone: Microsoft's bases have nothing that runs outside of `C:\Windows`."""
    path = image.start.path
    others = image.base_name and not image.flavour  # a base that others made may have it anywhere
    return bool(
        not image.start.searched and not others and re.match(r"[A-Za-z]:\\", path) and not _IN_WINDOWS.match(path)
    )


def _near(image: ImageSubject) -> str:
    """A program of our layers whose name differs in its extension, its directory or on Linux in its case."""
    wanted = re.split(r"[\\/]", upcase(image.start.path))[-1].removesuffix(".EXE")
    for path in image.binaries:
        name = upcase(path.rpartition("/")[2]).removesuffix(".EXE")
        if name == wanted and wanted:
            return "C:\\" + path.replace("/", "\\") if image.os == "windows" else f"/{path}"
    return ""


@image_rule("WGO204", Severity.WARNING, Group.START, os="windows")
def program_has_extension(image: ImageSubject) -> Iterator[Problem]:
    r"""The program's name on Windows ends with `.exe`.

    Why:
        A file without an extension starts only where it is named exactly so; whatever looks at names does not see a
        program in it: PATHEXT, `where`, scanners, policies. Batch files are run by cmd.exe, which does not hand the
        stop on; other scripts are not started at all.

    Example:
        ko names the program `C:\ko-app\app` (ko#400).
    Mend:
        Name the file `app.exe`, and the Entrypoint too.
    """
    start = image.start
    if not start.argv or start.shell:
        return
    name = upcase(start.path)
    if name.endswith(_BATCH):
        yield Problem(
            message=f"{_named(image)} is a batch file: cmd.exe runs it, and does not hand the stop on to the program",
            hint="Start the program itself.",
            severity=Severity.NOTE,
        )
    elif name.endswith(_SCRIPTS):
        yield Problem(
            message=f"{_named(image)} is a script, which Windows does not start by itself",
            hint=r"Start its interpreter, for instance C:\Windows\System32\cmd.exe /c with the script.",
            severity=Severity.ERROR,
        )
    elif not name.endswith((".EXE", ".COM")):
        yield Problem(
            message=f"the program {_named(image)} has no .exe at the end of its name",
            hint=f"Name it {start.path.rpartition(chr(92))[2]}.exe.",
        )


@image_rule("WGO205", Severity.ERROR, Group.START, needs=Needs.OUR_LAYERS)
def user_may_start_it(image: ImageSubject) -> Iterator[Problem]:
    """The image's user may read and run the program.

    Why:
        Windows starts it only if the file's security descriptor lets the user read and execute it (else "Access is
        denied", 0x5); Linux only if the mode's x bit is set for him (else "permission denied").

    Example:
        A descriptor for administrators alone, on nanoserver, whose user is ContainerUser; mode 0644 on Linux.
    Mend:
        Add (A;;0x1200a9;;;BU) to the descriptor; on Linux set mode 0755.
    """
    node = image.start.node
    if node is None or node.layer < image.base_layers or node.kind is not MemberKind.FILE:
        return
    if image.os == "windows":
        found = described(node.pax)
        if found is None or found.listed is None:
            return  # WGO130, WGO131 and WGO133 tell of these
        account = account_of(image.settings.user, image.flavour)
        lacking = sum(_READ_AND_EXECUTE) & ~allowed_rights(found.listed, account.sids)
        if lacking:
            rights = " and ".join(word for bit, word in _READ_AND_EXECUTE.items() if lacking & bit)
            yield Problem(
                message=f"{account.name} may not run {node.path}: its descriptor gives no right to {rights} it",
                hint=f"Give it {READ_ONLY_SDDL}.",
                path=node.path,
            )
        return
    user = linux_account(image.settings.user, image.passwd, image.group)
    if user is not None and not may(user, node, 0o5 if image.start.script else 0o1):
        name = image.settings.user or "root"
        yield Problem(
            message=f"{name} may not run /{node.path}, whose mode is {node.mode:04o}",
            hint="Set its mode to 0755.",
            path=node.path,
        )


@image_rule("WGO206", Severity.ERROR, Group.START, needs=Needs.OUR_LAYERS)
def program_of_the_system(image: ImageSubject) -> Iterator[Problem]:
    """The program is one of the image's system: PE on Windows, ELF or a script on Linux.

    Why:
        A Linux program called `app.exe` ends with "is not a valid Win32 application" (0xc1), a Windows program on Linux
        with "exec format error".

    Example:
        `go build -o app.exe` without `GOOS=windows`.
    Mend:
        Build it for the system: `GOOS=windows go build`.
    """
    start = image.start
    if start.node is None or start.node.layer < image.base_layers:
        return
    if start.node.kind is not MemberKind.FILE:
        yield Problem(
            message=f"{_named(image)} is a {start.node.kind.value} and no program",
            hint="Name the program itself.",
            path=start.node.path,
        )
        return
    if image.os == "windows" and upcase(start.node.path).endswith(_BATCH):
        return  # cmd.exe runs it: WGO204 tells of it
    wanted = Format.PE if image.os == "windows" else Format.ELF
    what = "Windows (PE)" if wanted is Format.PE else "Linux (ELF)"
    binary, facts = start.binary, start.facts
    if binary is not None and binary.problem:
        yield Problem(
            message=f"{_named(image)} cannot be read as a program: {binary.problem}",
            hint="Build it again.",
            path=start.node.path,
        )
    elif facts is not None and facts.format is not wanted:
        yield Problem(
            message=f"{_named(image)} is a {facts.format.value} file, and no program for {what}",
            hint=f"Build it with GOOS={image.os}.",
            path=start.node.path,
        )
    elif facts is not None and facts.kind is not Kind.EXECUTABLE:
        yield Problem(
            message=f"{_named(image)} is no executable but a file of the kind {facts.kind.value}",
            hint="Name the program itself.",
            path=start.node.path,
            severity=Severity.WARNING if facts.format is Format.ELF else None,
        )
    elif facts is None and not (image.os == "linux" and start.script):
        script = ", nor a script with an interpreter" if image.os == "linux" else ""
        yield Problem(
            message=f"{_named(image)} is no program for {what}{script}",
            hint=f"Build it with GOOS={image.os}." if image.os == "windows" else 'Begin it with "#!/bin/sh".',
            path=start.node.path,
        )


@image_rule("WGO207", Severity.ERROR, Group.START, needs=Needs.OUR_LAYERS)
def program_of_the_processor(image: ImageSubject) -> Iterator[Problem]:
    """The program is for the processor that the image says.

    Why:
        Hosts pick the image by its architecture, and then cannot run what is in it: "exec format error", "not a valid
        Win32 application". Programs of 32 bits (386) run on amd64 where the kernel and the image let them: on Linux, and
        on Server Core, but not on Nano Server (microsoft/Windows-Containers#569).

    Example:
        One exe for amd64 in the images for amd64 and arm64.
    Mend:
        Build it with the image's GOARCH.
    """
    node, facts = image.start.node, image.start.facts
    if node is None or facts is None or facts.format is Format.MACHO or not facts.arch:
        return
    wanted = image.config.architecture
    narrow = wanted == "amd64" and facts.arch == "386"
    if facts.arch == wanted or (narrow and (image.os == "linux" or image.flavour in SERVERCORE_LIKE)):
        return
    yield Problem(
        message=f"{_named(image)} is for {facts.arch}, and the image says {wanted}"
        + (": nanoserver runs programs of 64 bits only" if narrow and image.flavour == "nanoserver" else ""),
        hint=f"Build it with GOARCH={wanted}.",
        path=node.path,
        severity=Severity.WARNING if narrow and not image.flavour else None,
    )


@image_rule("WGO208", Severity.WARNING, Group.START, needs=Needs.OUR_LAYERS, os="windows")
def console_program(image: ImageSubject) -> Iterator[Problem]:
    """The program is a console program.

    Why:
        A program of the graphical subsystem has no console: what it prints goes nowhere, and `docker logs` stays empty.
        nanoserver has no graphics at all.

    Example:
        `go build -ldflags -H=windowsgui`.
    Mend:
        Build without that flag.
    """
    node, facts = image.start.node, image.start.facts
    if node is None or facts is None or facts.pe is None or facts.kind is not Kind.EXECUTABLE:
        return
    subsystem = facts.pe.subsystem
    if subsystem is not Subsystem.CONSOLE:
        gui = subsystem is Subsystem.GUI
        yield Problem(
            message=f"{_named(image)} is of the subsystem {subsystem.name}, not CONSOLE"
            + (": what it prints is lost" if gui else ""),
            hint="Build it without -H=windowsgui." if gui else "Build it as a console program.",
            path=node.path,
            severity=None if gui else Severity.ERROR,
        )


@image_rule("WGO213", Severity.WARNING, Group.START, needs=Needs.OUR_LAYERS)
def working_directory_exists(image: ImageSubject) -> Iterator[Problem]:
    r"""The working directory is in the image.

    Why:
        Windows does not start a program in a directory that is not there ("The directory name is invalid", 0x10b). Linux
        runtimes make it, as root, so that another user cannot write it.

    Example:
        `WorkingDir: C:\data` in an image whose volume for it is mounted elsewhere.
    Mend:
        Put the directory into a layer, or mount it there always.
    """
    directory = image.settings.working_dir
    if image.os == "windows" and SANDBOX.lower() in directory.lower():
        return
    node = image.files.find(directory)
    if node is not None and node.kind is not MemberKind.DIRECTORY:
        yield Problem(
            message=f"WorkingDir {directory[:120]} is a {node.kind.value}",
            hint="Name a directory.",
            severity=Severity.ERROR,
        )
    elif node is None and image.complete:
        yield Problem(
            message=f"WorkingDir {directory[:120]} is not in the image",
            hint="Put it into a layer.",
            severity=Severity.ERROR if image.os == "windows" else Severity.NOTE,
        )
    elif node is None and image.os == "windows" and not _IN_WINDOWS.match(directory):
        yield Problem(
            message=f"WorkingDir {directory[:120]} is not in our layers; whether the base has it is not known",
            hint="Put it into a layer.",
        )


@image_rule("WGO214", Severity.WARNING, Group.START)
def ports_make_sense(image: ImageSubject) -> Iterator[Problem]:
    """Exposed ports are numbers from 1 to 65535, with tcp, udp or sctp behind them.

    Why:
        Docker refuses to start a container with a port that it cannot read, and tools that publish all ports trip over
        it. sctp is not there on Windows.

    Example:
        `8080/http`, `0/tcp`, `70000`.
    Mend:
        Write `8080/tcp`.
    """
    for text in image.settings.exposed_ports or {}:
        matched = _PORT.match(text)
        numbers = [int(number) for number in matched.groups()[:2] if number] if matched else []
        if matched is None or not all(0 < number < 65536 for number in numbers) or numbers != sorted(numbers):
            yield Problem(message=f"the exposed {text[:60]!r} is no port", hint="Write for instance 8080/tcp.")
        elif matched[3] == "sctp" and image.os == "windows":
            yield Problem(
                message=f"the exposed port {text[:60]} needs SCTP, which Windows has not", hint="Use tcp or udp."
            )


@image_rule("WGO215", Severity.ERROR, Group.START)
def user_exists(image: ImageSubject) -> Iterator[Problem]:
    """The image's user is there.

    Why:
        Linux runtimes look names up in the image's `/etc/passwd` and end with "unable to find user"; a number needs no
        entry. Windows has ContainerUser and ContainerAdministrator, and knows no numbers.

    Example:
        `User: app` on scratch; `User: 1000` or `root` on Windows.
    Mend:
        Give a number on Linux; ContainerUser on Windows.
    """
    user = image.settings.user
    if image.os == "windows":
        if re.fullmatch(r"\d+(?::\d+)?|[^\\]+:[^\\]+|root|nonroot|nobody", user):
            yield Problem(
                message=f"the user {user[:60]!r} is one for Linux",
                hint="Use ContainerUser or ContainerAdministrator.",
            )
        elif upcase(user) == "CONTAINERADMINISTRATOR" and image.flavour not in SERVERCORE_LIKE:
            yield Problem(
                message="the program runs as ContainerAdministrator, who may change everything in the container",
                hint="Use ContainerUser, and a data directory that it may write.",
                severity=Severity.NOTE,
            )
        return
    if not image.complete:
        return
    name, _, group = user.partition(":")
    for what, wanted, file, text in (
        ("user", name, "/etc/passwd", image.passwd),
        ("group", group, "/etc/group", image.group),
    ):
        listed = {line.partition(":")[0] for line in text.splitlines()}
        if wanted and not wanted.isdecimal() and wanted not in listed:
            yield Problem(
                message=f"the {what} {wanted[:60]!r} is not in the image's {file}",
                hint="Give a number, or add the entry.",
            )


@image_rule("WGO216", Severity.ERROR, Group.START)
def shell_exists(image: ImageSubject) -> Iterator[Problem]:
    r"""An image that starts a shell has it.

    Why:
        The shell form of CMD and ENTRYPOINT starts `/bin/sh -c`, or on Windows `cmd /S /C`: scratch and distroless bases
        have no sh, nanoserver has no PowerShell.

    Example:
        `CMD ["powershell", "-Command", "app.exe"]` on nanoserver; `CMD app` on scratch.
    Mend:
        Use the exec form: `ENTRYPOINT ["C:\\app\\app.exe"]`.
    """
    start = image.start
    hint = 'Use the exec form, ["PROGRAM", "ARGUMENT"], which needs no shell.'
    name = re.split(r"[\\/]", start.path)[-1].lower().removesuffix(".exe")
    if start.node is None and image.complete and start.shell:
        yield Problem(message=f"the image starts the shell {name}, which is not in it", hint=hint)
    elif start.node is None and image.flavour == "nanoserver" and name == "powershell":
        yield Problem(message="the image starts powershell, which nanoserver has not", hint=hint)


@image_rule("WGO217", Severity.WARNING, Group.START)
def volumes_make_sense(image: ImageSubject) -> Iterator[Problem]:
    r"""Volumes are whole paths, and on Windows neither `C:\` nor below `C:\Windows`.

    Why:
        Docker refuses `C:\` as a volume, and on Windows one over a directory that has files; the files of the image are
        not copied into it.

    Example:
        `VOLUME C:/`, `VOLUME data`.
    Mend:
        Name an empty directory of its own, for instance `C:\data`.
    """
    for path in image.settings.volumes or {}:
        if image.os == "windows":
            plain = path.replace("/", "\\").rstrip("\\")
            if not re.match(r"[A-Za-z]:(\\|\Z)", plain):
                yield Problem(
                    message=f"the volume {path[:120]!r} is no whole path", hint=r"Write for instance C:\data."
                )
            elif upcase(plain) == "C:" or _IN_WINDOWS.match(f"{plain}\\"):
                yield Problem(
                    message=f"the volume {path[:120]} would lie over Windows itself",
                    hint=r"Name an empty directory, for instance C:\data.",
                    severity=Severity.ERROR,
                )
            elif image.view is not None and image.view.children(plain):
                yield Problem(
                    message=f"the volume {path[:120]} has files in the image, which Windows does not copy into it",
                    hint="Name an empty directory.",
                )
        elif not path.startswith("/"):
            yield Problem(message=f"the volume {path[:120]!r} is no whole path", hint="Write for instance /data.")


@image_rule("WGO218", Severity.WARNING, Group.START, needs=Needs.OUR_LAYERS, os="windows")
def windows_below(image: ImageSubject) -> Iterator[Problem]:
    """A Windows image has Windows in it.

    Why:
        A Windows container needs the base's system files and registry; on "scratch" there is nothing to start. Layers
        alone are for others to copy from, or for HostProcess pods on their own base.

    Example:
        `FROM scratch` in a Dockerfile for Windows.
    Mend:
        Build it on nanoserver, servercore or the HostProcess base.
    """
    if image.base_layers or image.flavour == "hostprocess":
        return
    if not image.files.children("C:\\Windows\\System32"):
        yield Problem(message="there is no Windows below the image's layers", hint="Build it on nanoserver.")
