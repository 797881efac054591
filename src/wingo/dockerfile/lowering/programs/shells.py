"""`cmd` and `powershell` as programs: their own command lines."""

from __future__ import annotations

import base64
import binascii
import re

from wingo.dockerfile.lowering.edits import CheckProgram
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.programs.calls import Call, Program
from wingo.dockerfile.lowering.session import Session


def cmd(session: Session, call: Call) -> int:
    """`cmd [/S] /C TEXT`; `/K` is the same without a keyboard."""
    from wingo.dockerfile.lowering.cmd.interpreter import Cmd

    found = re.match(r"(?:\s*/(?![ck])[a-z](?::\w+)?)*\s*/[ck]", call.line, re.IGNORECASE)
    if found is None:
        session.note("cmd without /C waits for input: it does nothing here")
        return 0
    switches, text = found[0], call.line[found.end() :]
    inner = Cmd(session, call.output)
    inner.stdin = call.stdin
    before, variables = session.directory, session.variables.copy()
    try:
        return inner.run_line(unquoted(text, strict=bool(re.search(r"/s\b", switches, re.IGNORECASE))))
    finally:
        session.directory, session.variables = before, variables


def unquoted(text: str, *, strict: bool) -> str:
    """The text behind `/C` without the quotes around all of it (`help cmd`)."""
    plain = text.lstrip(" \t")
    if not plain.startswith('"'):
        return text
    if not strict and plain.count('"') == 2 and not re.search(r"[&<>()@^|]", plain) and " " in plain.partition('"')[2]:
        inside, _, behind = plain[1:].partition('"')
        if not behind.strip() and re.search(r"\.(exe|cmd|bat|com)\Z", inside, re.IGNORECASE):
            return plain
    last = plain.rfind('"')
    return plain[1:last] + plain[last + 1 :] if last > 0 else plain[1:]


_VALUED = ("executionpolicy", "ep", "ex", "exec", "inputformat", "outputformat", "psconsolefile", "version", "windowstyle", "configurationname", "workingdirectory", "wd", "w")  # fmt: skip
_PLAIN = ("noprofile", "nop", "nologo", "noninteractive", "noni", "sta", "mta", "noexit", "login", "l")


def powershell(session: Session, call: Call) -> int:
    """`powershell [-NoProfile …] [-Command TEXT | -File SCRIPT ARGUMENTS | -EncodedCommand BASE64]`."""
    from wingo.dockerfile.lowering.powershell.running import run_command, run_file

    core = "pwsh" in call.name.lower()
    arguments = list(call.arguments)
    if len(arguments) == 1 and arguments[0].lower() in ("--version", "-version", "-v", "--help", "-help", "-?", "/?"):
        session.add(CheckProgram(call.name, (call.name, *arguments)))
        call.output.unknown = call.name
        return 0
    while arguments:
        word = arguments[0]
        name = word.lstrip("-/\u2013").lower()
        if not word.startswith(("-", "/", "\u2013")) or not name:
            break
        if name in _VALUED or (len(name) >= 2 and "executionpolicy".startswith(name)):
            del arguments[:2]
        elif name in _PLAIN or (len(name) >= 4 and any(known.startswith(name) for known in _PLAIN)):
            del arguments[0]
        elif "command".startswith(name):
            return run_command(session, " ".join(arguments[1:]), call, core=core)
        elif "file".startswith(name):
            if len(arguments) < 2:
                raise CommandFailed("powershell -File has no script")
            return run_file(session, arguments[1], tuple(arguments[2:]), call, core=core)
        elif name in ("ec", "e") or "encodedcommand".startswith(name):
            if len(arguments) < 2:
                raise CommandFailed("powershell -EncodedCommand has no text")
            return run_command(session, _decoded(arguments[1]), call, core=core)
        elif "help".startswith(name) or name == "?":
            return 0
        else:
            raise CannotLower(f"powershell has no option {word}")
    if not arguments:
        if call.stdin is not None:
            return run_command(session, call.stdin, call, core=core)
        session.note("powershell without a command waits for input: it does nothing here")
        return 0
    if core:
        return run_file(session, arguments[0], tuple(arguments[1:]), call, core=True)
    return run_command(session, " ".join(arguments), call, core=core)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-16-le")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise CommandFailed("powershell -EncodedCommand wants UTF-16LE in Base64") from error


PROGRAMS: dict[str, Program] = {"cmd": cmd, "powershell": powershell, "pwsh": powershell}
