"""The static methods of .NET that `RUN` steps use: of `[Environment]`, `[IO.File]`, `[IO.Path]`, `[Convert]` and a few more."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.powershell.operators import cast
from wingo.dockerfile.lowering.powershell.values import (
    MAX_MATCHED,
    Terminating,
    Thing,
    Unknown,
    Value,
    format_text,
    is_unknown,
    list_of,
    number_of,
    regex,
    substitution,
    text_of,
    truth_of,
)
from wingo.dockerfile.lowering.state import expand
from wingo.windows.paths import path_text

if TYPE_CHECKING:
    from wingo.dockerfile.lowering.powershell.evaluate import PowerShell


def _unlowered(type_: str, name: str) -> CannotLower:
    return CannotLower(f"[{type_}]::{name} is not lowered", "Use cmdlets alone.")


def _environment(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    session = shell.session
    target = (
        text_of(arguments[-1]).lower() if len(arguments) > (2 if name == "setenvironmentvariable" else 1) else "process"
    )
    target = {"0": "process", "1": "user", "2": "machine"}.get(target, target)
    match name:
        case "setenvironmentvariable":
            variable, value = text_of(arguments[0]), arguments[1]
            text = None if value is None or value == "" else text_of(value)
            if target == "process":
                shell.set(f"env:{variable}", text)
            elif target in ("machine", "user"):
                session.set_variable(variable, text, machine=target == "machine")
            else:
                raise Terminating(f"there is no EnvironmentVariableTarget {target!r}")
            return None
        case "getenvironmentvariable":
            from wingo.dockerfile.lowering.state import registry_variables
            from wingo.hive.upcase import upcase

            wanted = upcase(text_of(arguments[0]))
            if target == "process":
                return shell.get(f"env:{text_of(arguments[0])}")
            found = registry_variables(session.registry, machine=target == "machine")
            value_text = next((value for key, value in found.items() if upcase(key) == wanted), None)
            return None if value_text is None else expand(value_text, session.variables)
        case "expandenvironmentvariables":
            return expand(text_of(arguments[0]), session.variables)
        case "getfolderpath":
            folder = text_of(arguments[0]).lower()
            names = {"programfiles": "ProgramFiles", "system": "SystemRoot", "windows": "SystemRoot", "commonapplicationdata": "ProgramData", "userprofile": "USERPROFILE", "applicationdata": "APPDATA", "localapplicationdata": "LOCALAPPDATA", "programfilesx86": "ProgramFiles(x86)"}  # fmt: skip
            if folder not in names:
                raise _unlowered("Environment", f"GetFolderPath({folder})")
            value_text = session.variables.get(names[folder]) or ""
            return value_text + r"\system32" if folder == "system" else value_text
        case "exit":
            from wingo.dockerfile.lowering.powershell.jumps import ExitScript

            raise ExitScript(int(number_of(arguments[0])))
        case _:
            raise _unlowered("Environment", name)


def _path(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    texts = [text_of(argument) for argument in arguments]
    plain = texts[0].replace("/", "\\") if texts else ""
    folder, _, last = plain.rpartition("\\")
    stem, dot, extension = last.rpartition(".")
    match name:
        case "combine":
            result = ""
            for text in texts:
                if text[1:2] == ":" or text.startswith(("\\", "/")) or not result:
                    result = text
                else:
                    result = result.rstrip("\\/") + "\\" + text
            return result
        case "getfilename":
            return last
        case "getfilenamewithoutextension":
            return stem if dot else last
        case "getextension":
            return dot + extension if dot else ""
        case "getdirectoryname":
            return folder + "\\" if folder.endswith(":") else folder
        case "gettemppath":
            return (shell.session.variables.get("TEMP") or r"C:\Windows\Temp") + "\\"
        case "getfullpath":
            return path_text(shell.session.path(plain)) if not has_hole(plain) else plain
        case "ispathrooted":
            return plain[1:2] == ":" or plain.startswith("\\")
        case "changeextension":
            return (f"{folder}\\" if folder else "") + (stem if dot else last) + "." + texts[1].lstrip(".")
        case _:
            raise _unlowered("IO.Path", name)


def _file(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    from wingo.dockerfile.lowering.powershell.commands import decode
    from wingo.dockerfile.lowering.powershell.content import write_text

    session = shell.session
    path = session.path(text_of(arguments[0]))
    encoding = text_of(arguments[2]).lower() if len(arguments) > 2 and isinstance(arguments[2], Thing) else "utf8nobom"
    encoding = {"utf8": "utf8", "ascii": "ascii", "unicode": "unicode", "default": "default"}.get(encoding, "utf8nobom")
    match name:
        case "exists":
            item = session.find(path)
            return (
                Unknown(f"whether {path_text(path)} is there")
                if item is not None and item.unknown
                else item is not None and item.is_file
            )
        case "readalltext" | "readalllines" | "readallbytes":
            data = session.read(path)
            if data is None:
                return Unknown(f"content of {path[-1]}")
            if name == "readallbytes":
                return data
            text = (
                data.decode("utf-8", "replace")
                if not data.startswith((b"\xff\xfe", b"\xef\xbb\xbf"))
                else decode(data, core=True)
            )
            return text if name == "readalltext" else list(text.splitlines())
        case "writealltext" | "appendalltext":
            text_value: str | None = None if is_unknown(arguments[1]) else text_of(arguments[1])
            write_text(shell, path, text_value, encoding, append=name.startswith("append"))
        case "writealllines":
            lines = list_of(arguments[1])
            whole = None if any(map(is_unknown, lines)) else "".join(f"{text_of(line)}\r\n" for line in lines)
            write_text(shell, path, whole, encoding, append=False)
        case "writeallbytes":
            data_value = arguments[1]
            if not isinstance(data_value, bytes):
                data_value = bytes(int(number_of(item)) & 0xFF for item in list_of(data_value))
            session.write(path, data_value)
        case "delete":
            item = session.find(path, follow=False)
            if item is not None:
                session.remove(item)
        case "copy":
            target = session.path(text_of(arguments[1]))
            there = session.find(target)
            if there is not None and there.is_file and not (len(arguments) > 2 and truth_of(arguments[2])):
                raise CommandFailed(f"the file {path_text(target)} already exists")
            session.copy_file(session.read_item(path), target)
        case "move":
            session.move(session.read_item(path), session.path(text_of(arguments[1])))
        case _:
            raise _unlowered("IO.File", name)
    return None


def _directory(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    session = shell.session
    path = session.path(text_of(arguments[0]))
    item = session.find(path)
    match name:
        case "createdirectory":
            session.make_directory(path)
            return Thing("object", {"FullName": path_text(path)}, path_text(path))
        case "exists":
            return (
                Unknown(f"whether {path_text(path)} is there")
                if item is not None and item.unknown
                else item is not None and item.is_directory
            )
        case "delete":
            if item is None:
                raise CommandFailed(f"could not find a part of the path {path_text(path)}")
            if (
                item.is_directory
                and session.children(item.path)[0]
                and not (len(arguments) > 1 and truth_of(arguments[1]))
            ):
                raise CommandFailed("the directory is not empty")
            session.remove(item)
            return None
        case "move":
            if item is None:
                raise CommandFailed(f"could not find a part of the path {path_text(path)}")
            target = session.path(text_of(arguments[1]))
            there = session.find(target)
            if there is not None and not there.unknown:
                raise CommandFailed(f"cannot create {path_text(target)} because it already exists")
            session.move(item, target)
            return None
        case "getfiles" | "getdirectories":
            children, late = session.children(path)
            if late and not children:
                return [Unknown(f"what is in {path_text(path)}")]
            wanted = name == "getdirectories"
            return [child.text for child in children if child.is_directory == wanted]
        case "getcurrentdirectory":
            return path_text(session.directory)
        case "setcurrentdirectory":
            return None
        case _:
            raise _unlowered("IO.Directory", name)


def _zip_file(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    from wingo.dockerfile.lowering.programs.archives import extract

    if name != "extracttodirectory":
        raise _unlowered("IO.Compression.ZipFile", name)
    session = shell.session
    extract(session, session.path(text_of(arguments[0])), session.path(text_of(arguments[1])), "zip", overwrite=False)
    return None


def _string(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    match name:
        case "isnullorempty" | "isnullorwhitespace":
            if is_unknown(arguments[0]):
                return Unknown("whether a text is empty")
            text = text_of(arguments[0])
            return not (text if name == "isnullorempty" else text.strip())
        case "format":
            rest = arguments[1:] if len(arguments) != 2 or not isinstance(arguments[1], list) else list_of(arguments[1])
            return format_text(text_of(arguments[0]), rest)
        case "join":
            items = list_of(arguments[1]) if len(arguments) == 2 else arguments[1:]
            return shell.session.check_size(text_of(arguments[0]).join(map(text_of, items)))
        case "concat":
            return shell.session.check_size("".join(map(text_of, arguments)))
        case _:
            raise _unlowered("String", name)


def _convert(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    match name:
        case "frombase64string":
            try:
                return base64.b64decode(shell.known_text(arguments[0], "a Base64 text"), validate=True)
            except binascii.Error as error:
                raise Terminating("the input is not a valid Base64 string") from error
        case "tobase64string":
            if isinstance(arguments[0], bytes):
                return base64.b64encode(arguments[0]).decode()
            raise _unlowered("Convert", name)
        case "toint32" | "toint64":
            base = int(number_of(arguments[1])) if len(arguments) > 1 else 10
            try:
                return int(text_of(arguments[0]), base)
            except ValueError as error:
                raise Terminating(f"{text_of(arguments[0])[:40]!r} is no number") from error
        case "toboolean":
            return truth_of(arguments[0])
        case "tostring":
            return text_of(arguments[0])
        case _:
            raise _unlowered("Convert", name)


def _math(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    del shell
    numbers = [number_of(argument) for argument in arguments]
    functions: dict[str, Callable[..., int | float]] = {"max": max, "min": min, "abs": abs, "round": round, "floor": lambda x: int(x // 1), "ceiling": lambda x: int(-(-x // 1)), "pow": lambda x, y: float(x) ** min(float(y), 64.0)}  # fmt: skip
    if name not in functions:
        raise _unlowered("Math", name)
    try:
        return functions[name](*numbers)
    except (TypeError, ValueError, OverflowError) as error:
        raise Terminating(f"[Math]::{name}: {error}") from error


def _ignored(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    """`[Reflection.Assembly]::LoadWithPartialName(…)`, `[GC]::Collect()`."""
    del shell, name, arguments
    return None


def _version(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    if name != "parse":
        raise _unlowered("Version", name)
    del shell
    return cast("version", arguments[0])


def _uri(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    from urllib.parse import quote

    del shell
    if name in ("escapedatastring", "unescapedatastring"):
        text = text_of(arguments[0])
        return text if has_hole(text) else quote(text, safe="-_.~") if name.startswith("escape") else text
    raise _unlowered("Uri", name)


def _enum(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    """`[Enum]::ToObject([type], number)`, `[Enum]::Parse([type], name)`: nobody reads what a number stands for."""
    del shell
    if name in ("toobject", "parse") and len(arguments) >= 2:
        return Thing("enum", {}, text_of(arguments[1]))
    raise _unlowered("Enum", name)


def _event_log(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    from wingo.dockerfile.lowering.powershell.events import call_event_log

    return call_event_log(shell, name, arguments)


def _regex(shell: PowerShell, name: str, arguments: list[Value]) -> Value:
    if any(map(is_unknown, arguments)):
        return Unknown(f"{name} of a text")
    texts = [text_of(argument) for argument in arguments]
    if name == "escape":
        # .NET escapes these and white space, and neither - nor ] nor }.
        spaces = {" ": r"\ ", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\f": r"\f"}
        return "".join("\\" + char if char in r"\*+?|{[()^$.#" else spaces.get(char, char) for char in texts[0])
    options = texts[-1].lower() if len(texts) > (3 if name == "replace" else 2) else ""
    pattern = regex(texts[1], sensitive="ignorecase" not in options)
    if len(texts[0]) > MAX_MATCHED:
        raise CannotLower(f"[regex]::{name} on a text of more than {MAX_MATCHED} characters is not lowered")
    match name:
        case "ismatch":
            return pattern.search(texts[0]) is not None
        case "replace":
            return shell.session.check_size(pattern.sub(substitution(texts[2]), texts[0]))
        case "split":
            return list(pattern.split(texts[0]))
        case "match":
            return _match(pattern.search(texts[0]))
        case "matches":
            return [_match(found) for found in pattern.finditer(texts[0])]
        case _:
            raise _unlowered("regex", name)


def _match(found: re.Match[str] | None) -> Thing:
    if found is None:
        return Thing("match", {"Success": False, "Value": "", "Groups": []})
    groups: list[Value] = [
        Thing("match", {"Success": group is not None, "Value": group or ""}, group or "")
        for group in (found[0], *found.groups())
    ]
    return Thing("match", {"Success": True, "Value": found[0], "Groups": groups, "Index": found.start()}, found[0])


STATICS: dict[str, Callable[[PowerShell, str, list[Value]], Value]] = {
    "environment": _environment,
    "path": _path,
    "file": _file,
    "directory": _directory,
    "zipfile": _zip_file,
    "string": _string,
    "convert": _convert,
    "math": _math,
    "version": _version,
    "uri": _uri,
    "diagnostics.eventlog": _event_log,
    "enum": _enum,
    "regex": _regex,
    "text.regularexpressions.regex": _regex,
    "reflection.assembly": _ignored,
    "gc": _ignored,
    "console": _ignored,
}
