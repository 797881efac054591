"""Cmdlets for texts in files: `Get-Content`, `Set-Content`, `Add-Content`, `Out-File`."""

from __future__ import annotations

import codecs

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower, CommandFailed
from wingo.dockerfile.lowering.patterns import is_pattern
from wingo.dockerfile.lowering.powershell.binding import Bound, Cmdlet, cmdlet
from wingo.dockerfile.lowering.powershell.commands import decode
from wingo.dockerfile.lowering.powershell.evaluate import PowerShell
from wingo.dockerfile.lowering.powershell.values import (
    Thing,
    Unknown,
    Value,
    is_unknown,
    list_of,
    number_of,
    text_of,
)
from wingo.windows.paths import Components, path_text

_ENCODINGS = {
    "ascii": ("ascii", b""),
    "default": ("cp1252", b""),
    "ansi": ("cp1252", b""),
    "oem": ("cp437", b""),
    "unicode": ("utf-16-le", codecs.BOM_UTF16_LE),
    "bigendianunicode": ("utf-16-be", codecs.BOM_UTF16_BE),
    "utf8": ("utf-8", codecs.BOM_UTF8),
    "utf8bom": ("utf-8", codecs.BOM_UTF8),
    "utf8nobom": ("utf-8", b""),
    "utf32": ("utf-32-le", codecs.BOM_UTF32_LE),
    "utf7": ("utf-7", b""),
    "string": ("utf-16-le", codecs.BOM_UTF16_LE),
    "unknown": ("utf-16-le", codecs.BOM_UTF16_LE),
}


def encode(text: str, encoding: str, *, core: bool, mark: bool = True) -> bytes:
    """A text in an encoding by PowerShell's name.

    Raises:
        CommandFailed: there is no such encoding.
    """
    name = encoding.lower()
    if core and name == "utf8":
        name = "utf8nobom"
    found = _ENCODINGS.get(name)
    if found is None:
        raise CommandFailed(f"there is no encoding {encoding!r}")
    codec, begin = found
    data = text.encode(codec, "replace" if codec in ("ascii", "cp1252", "cp437") else "surrogatepass")
    return (begin if mark else b"") + data


def as_lines(values: list[Value]) -> str | None:
    """Values as lines; None: one of them is not known.

    Raises:
        CannotLower: one has a form of its own, such as a table.
    """
    lines = []
    for value in values:
        if is_unknown(value):
            return None
        if isinstance(value, Thing) and value.kind not in ("file", "version") and not value.text:
            raise CannotLower("an object is written as PowerShell formats it", "Write its properties as texts.")
        lines.append(text_of(value))
    return "".join(f"{line}\r\n" for line in lines)


def write_lines(shell: PowerShell, name: str, values: list[Value], encoding: str, *, append: bool) -> None:
    """Writes values as lines to a file.

    Raises:
        CommandFailed: it cannot be written there.
    """
    write_text(shell, shell.session.path(name), as_lines(values), encoding, append=append)


def write_text(shell: PowerShell, path: Components, text: str | None, encoding: str, *, append: bool) -> None:
    """Writes a text to a file; None: one that a plan does not know."""
    session = shell.session
    item = session.find(path)
    before: bytes | None = b""
    if append and item is not None:
        before = None if item.unknown else session.read(path)
    if text is None or before is None or has_hole(text):
        if not session.planning:
            raise CannotLower(f"what is written to {path_text(path)} is not known")
        session.late = True
        session.write(path, None)
        return
    if append and before:
        session.write(path, before + encode(text, _encoding_of(before, encoding), core=shell.core, mark=False))
    else:
        session.write(path, encode(text, encoding, core=shell.core))


def _encoding_of(data: bytes, encoding: str) -> str:
    """Adding to a file goes on in its encoding, where it has a mark."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf8"
    if data.startswith(codecs.BOM_UTF16_LE):
        return "unicode"
    return encoding


def get_content(bound: Bound) -> list[Value]:
    """`Get-Content`."""
    session = bound.shell.session
    found: list[Value] = []
    for written in bound.paths("LiteralPath", "Path"):
        paths: list[Components]
        if is_pattern(written) and not bound.has("LiteralPath"):
            items, late = session.glob(written)
            if late and not items:
                return [Unknown(f"content of {written}")]
            paths = [item.path for item in items if not item.is_directory]
        else:
            paths = [session.path(written)]
        for path in paths:
            data = session.read(path)
            if data is None:
                found.append(Unknown(f"content of {path[-1] if path else written}"))
                continue
            if text_of(bound.get("Encoding")).lower() == "byte" or bound.switch("AsByteStream"):
                found.append(data)
                continue
            encoding = text_of(bound.get("Encoding")).lower()
            text = (
                data.decode("utf-8", "replace")
                if encoding.startswith("utf8") and not data.startswith(b"\xef\xbb\xbf")
                else decode(data, core=bound.shell.core)
            )
            if bound.switch("Raw"):
                found.append(text)
            else:
                lines: list[Value] = list(text.replace("\r\n", "\n").removesuffix("\n").split("\n")) if text else []
                if bound.has("TotalCount"):
                    lines = lines[: int(number_of(bound.get("TotalCount")))]
                if bound.has("Tail"):
                    count = int(number_of(bound.get("Tail")))
                    lines = lines[-count:] if count else []
                found += lines
    return found


def set_content(bound: Bound) -> list[Value]:
    """`Set-Content` and `Add-Content`: in the machine's code page, with a line's end unless -NoNewline."""
    append = bound.cmdlet == "Add-Content"
    values = list_of(bound.get("Value")) if bound.has("Value") else list(bound.piped or [])
    text = as_lines(values)
    if text is not None and bound.switch("NoNewline"):
        text = "".join(map(text_of, values))
    encoding = bound.text("Encoding", "utf8nobom" if bound.shell.core else "default")
    if encoding.lower() == "byte" or bound.switch("AsByteStream"):
        raise CannotLower(f"{bound.cmdlet} of bytes is not lowered", "COPY the file from the build context.")
    names = bound.texts("LiteralPath") if bound.has("LiteralPath") else bound.texts("Path")
    for name in names:
        write_text(bound.shell, bound.shell.session.path(name), text, encoding, append=append)
    return []


def out_file(bound: Bound) -> list[Value]:
    """`Out-File`: UTF-16 in PowerShell 5.1, UTF-8 in 7."""
    values = list_of(bound.get("InputObject")) if bound.has("InputObject") else list(bound.piped or [])
    text = as_lines(values)
    if text is not None and bound.switch("NoNewline"):
        text = "".join(map(text_of, values))
    encoding = bound.text("Encoding", "utf8nobom" if bound.shell.core else "unicode")
    for name in bound.texts("LiteralPath") or bound.texts("FilePath"):
        path = bound.shell.session.path(name)
        if bound.switch("NoClobber") and bound.shell.session.find(path) is not None:
            raise CommandFailed(f"the file {name} already exists")
        write_text(bound.shell, path, text, encoding, append=bound.switch("Append"))
    return []


def clear_content(bound: Bound) -> list[Value]:
    """`Clear-Content`."""
    for name in bound.paths("LiteralPath", "Path"):
        path = bound.shell.session.path(name)
        bound.shell.session.read_item(path)
        bound.shell.session.write(path, b"")
    return []


CMDLETS: tuple[Cmdlet, ...] = (
    cmdlet("Get-Content", "Path LiteralPath/PSPath Raw! Encoding TotalCount/First/Head Tail/Last Delimiter ReadCount Force! AsByteStream!", get_content, positional="Path"),
    cmdlet("Set-Content", "Path LiteralPath/PSPath Value Encoding NoNewline! Force! PassThru! AsByteStream!", set_content, positional="Path Value"),
    cmdlet("Add-Content", "Path LiteralPath/PSPath Value Encoding NoNewline! Force! PassThru! AsByteStream!", set_content, positional="Path Value"),
    cmdlet("Clear-Content", "Path LiteralPath/PSPath Force!", clear_content, positional="Path"),
    cmdlet("Out-File", "FilePath LiteralPath/PSPath Encoding Append! NoNewline! NoClobber! Force! Width InputObject", out_file, positional="FilePath Encoding"),
)  # fmt: skip
