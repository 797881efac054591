r"""What a Windows `RUN` step becomes: plain edits, as frozen values that a plan shows and JSON can say.

An edit holds no content; that is in the tree (`wingo.dockerfile.lowering.tree`) of the state after the step. Paths are
spelt `C:\app\x`. In a plan, what is known only while building stands between `HOLE` and `END_OF_HOLE` in a text: see `shown`.
"""

from __future__ import annotations

import re
from typing import TypeAlias

import msgspec

from wingo.hive.edit import Edit as HiveEdit

HOLE, END_OF_HOLE = "\ue000", "\ue001"
"""Around the description of a text that a plan cannot know (two characters of the private use area)."""

_STAND_INS = 0xE100
"""In a hole every character that separates words or parts of a path has a stand-in, so that the hole stays one word."""
_UNFIT = re.compile(r'[\s\\/:*?"<>|%;,=&^()\ue000\ue001]')
_STAND_IN = re.compile(f"[{chr(_STAND_INS)}-{chr(_STAND_INS + 0xFF)}]")
_HOLE = re.compile(f"{HOLE}([^{END_OF_HOLE}]*){END_OF_HOLE}?")


def hole(about: str) -> str:
    """A text that is not known before the build, by what it will be."""
    plain = about.replace(HOLE, "").replace(END_OF_HOLE, "")
    return f"{HOLE}{_UNFIT.sub(lambda found: chr(_STAND_INS + min(ord(found[0]), 0xFF)), plain)}{END_OF_HOLE}"


def has_hole(text: str) -> bool:
    """Whether a part of a text is not known before the build."""
    return HOLE in text or END_OF_HOLE in text


def shown(text: str) -> str:
    """A text for people: what is not known in `« »`."""
    return _HOLE.sub(lambda found: f"«{_STAND_IN.sub(_original, found[1])}»", text).replace(END_OF_HOLE, "")


def _original(found: re.Match[str]) -> str:
    return chr(ord(found[0]) - _STAND_INS)


class _Edit(msgspec.Struct, frozen=True, tag_field="edit", rename="kebab"):
    pass


class MakeDirectory(_Edit, frozen=True, tag="make-directory"):
    """Makes a directory, and those above it."""

    path: str


class WriteFile(_Edit, frozen=True, tag="write-file"):
    """Writes a file, replacing one that is there.

    Attributes:
        size: in bytes; None: not known before the build.
        digest: "sha256:…" of what is written, "" when not known before the build.
        text: the beginning of it, when it is short text.
    """

    path: str
    size: int | None = None
    digest: str = ""
    text: str = ""


class CopyPath(_Edit, frozen=True, tag="copy"):
    """Copies a file, or a directory with what is in it."""

    source: str
    target: str


class MovePath(_Edit, frozen=True, tag="move"):
    """Moves or renames a file or directory; it keeps who may do what with it."""

    source: str
    target: str


class RemovePath(_Edit, frozen=True, tag="remove"):
    """Removes a file, or a directory with what is in it."""

    path: str


class MakeLink(_Edit, frozen=True, tag="link"):
    """Makes a link.

    Attributes:
        kind: "symbolic", "junction" or "hard".
        directory: it leads to a directory.
    """

    path: str
    target: str
    kind: str = "symbolic"
    directory: bool = False


class SetSecurity(_Edit, frozen=True, tag="set-security"):
    """Says who may do what with a file or directory.

    Attributes:
        sddl: the whole descriptor afterwards; "" when it is not known before the build.
        change: what was asked for, for people.
    """

    path: str
    sddl: str
    change: str = ""


class SetAttributes(_Edit, frozen=True, tag="set-attributes"):
    """Sets DOS attributes: the sum of read-only 1, hidden 2, system 4."""

    path: str
    bits: int


class SetVariable(_Edit, frozen=True, tag="set-variable"):
    """Sets an environment variable in the registry, where every process finds it.

    Attributes:
        value: None: the variable is removed.
        scope: "machine" or "user".
        expand: it is kept as REG_EXPAND_SZ: `%NAME%` in it is expanded whenever it is read.
    """

    name: str
    value: str | None
    scope: str = "machine"
    expand: bool = False


class ChangeRegistry(_Edit, frozen=True, tag="registry"):
    r"""Changes a key or value.

    Attributes:
        change: `CreateKey`, `DeleteKey`, `SetValue` or `DeleteValue`, whose path begins with its root: `HKLM\SYSTEM\…`,
            `HKU\.DEFAULT\…`, or `HKCU\…` for the hive of the step's user. `CurrentControlSet` is not resolved.
    """

    change: HiveEdit


class ChangeService(_Edit, frozen=True, tag="service"):
    """Makes, changes or removes a service; the edits of the registry that it comes to follow it.

    Attributes:
        what: "create", "configure" or "delete".
        settings: names and values, as shown.
    """

    name: str
    what: str
    settings: tuple[tuple[str, str], ...] = ()


class Download(_Edit, frozen=True, tag="download"):
    """Fetches a file; the builder does it, and only when it may use the network.

    Attributes:
        url: from where.
        target: where it is written.
        expected: "sha256:…" that the step itself checks, "" when it checks none.
        headers: what the request says beyond the usual.
    """

    url: str
    target: str
    expected: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class ExtractArchive(_Edit, frozen=True, tag="extract"):
    """Unpacks an archive that is in the image.

    Attributes:
        archive: its path.
        target: the directory.
        format: as the program reads it: "zip"; "any" for bsdtar, which looks (zip, tar, compressed or not); "inno" and
            "7z" for installers and archives that only innoextract and 7-Zip read.
        members: patterns of the members wanted; none: all.
        strip: how many leading components of each name are left out.
    """

    archive: str
    target: str
    format: str
    members: tuple[str, ...] = ()
    strip: int = 0


class RunGo(_Edit, frozen=True, tag="go"):
    """Runs the local Go toolchain over the stage's files, as the Windows one would run, with settings of the stage's own.

    Attributes:
        argv: `go` and its arguments.
        directory: where it runs.
        environment: what the step and the image say of `GO…`, `CGO…` and the like.
    """

    argv: tuple[str, ...]
    directory: str
    environment: tuple[tuple[str, str], ...] = ()


class RunGit(_Edit, frozen=True, tag="git"):
    """Runs the local git over the stage's files; only when it may use the network, if it needs it.

    Neither this machine's settings nor its credentials are to be used: HOME and GIT_CONFIG_SYSTEM belong to the stage.
    """

    argv: tuple[str, ...]
    directory: str
    environment: tuple[tuple[str, str], ...] = ()


class RunProgram(_Edit, frozen=True, tag="program"):
    """Runs a Windows program over the stage's files and registry, where the build has something that runs it.

    Attributes:
        argv: the program and its arguments.
        directory: where it runs.
        environment: all of its variables.
        input: what it reads.
    """

    argv: tuple[str, ...]
    directory: str
    environment: tuple[tuple[str, str], ...] = ()
    input: str = ""


class CheckProgram(_Edit, frozen=True, tag="check-program"):
    """A command that shows something and changes nothing (`x.exe --version`): the program must be there.

    Attributes:
        path: where it was found; as it is written when the plan cannot know.
        argv: the command.
    """

    path: str
    argv: tuple[str, ...]


class ImportCertificate(_Edit, frozen=True, tag="certificate"):
    r"""Adds a certificate to a store of the machine.

    Attributes:
        path: the file.
        store: as in `Cert:\LocalMachine\Root`: "Root".
        thumbprint: SHA-1 in upper-case hexadecimal, "" when it is not known before the build.
    """

    path: str
    store: str
    thumbprint: str = ""


class AddAccount(_Edit, frozen=True, tag="add-account"):
    """Adds a local account, in the SAM hive."""

    name: str


class AddMember(_Edit, frozen=True, tag="add-member"):
    """Adds an account to a local group, in the SAM hive."""

    group: str
    account: str


class SetAccountPolicy(_Edit, frozen=True, tag="account-policy"):
    """Sets a policy of all local accounts, in the SAM hive."""

    name: str
    value: str


Edit: TypeAlias = (
    MakeDirectory
    | WriteFile
    | CopyPath
    | MovePath
    | RemovePath
    | MakeLink
    | SetSecurity
    | SetAttributes
    | SetVariable
    | ChangeRegistry
    | ChangeService
    | Download
    | ExtractArchive
    | RunGo
    | RunGit
    | RunProgram
    | CheckProgram
    | ImportCertificate
    | AddAccount
    | AddMember
    | SetAccountPolicy
)

Operation: TypeAlias = Download | ExtractArchive | RunGo | RunGit | RunProgram
"""The edits that somebody else must perform, because this room touches nothing."""


def describe(edit: Edit) -> str:
    """One line for people."""
    text = ""
    match edit:
        case MakeDirectory(path):
            text = f"make directory {path}"
        case WriteFile(path, size):
            text = f"write {path}" + (f" ({size} bytes)" if size is not None else "")
        case CopyPath(source, target):
            text = f"copy {source} to {target}"
        case MovePath(source, target):
            text = f"move {source} to {target}"
        case RemovePath(path):
            text = f"remove {path}"
        case MakeLink(path, target, kind, directory):
            what = f"{kind} link" if kind != "junction" else "junction"
            text = f"make {what} {path} to {'directory ' if directory and kind == 'symbolic' else ''}{target}"
        case SetSecurity(path, sddl, change):
            text = f"set access of {path}: {change or sddl}"
        case SetAttributes(path, bits):
            names = [name for bit, name in ((1, "read-only"), (2, "hidden"), (4, "system")) if bits & bit]
            text = f"set attributes of {path}: {', '.join(names) or 'none'}"
        case SetVariable(name, value, scope):
            text = f"set {scope} variable {name}={value}" if value is not None else f"remove {scope} variable {name}"
        case ChangeRegistry(change):
            text = _describe_change(change)
        case ChangeService(name, what, settings):
            said = ", ".join(f"{key} {value}" for key, value in settings)
            text = f"{what} service {name}" + (f": {said}" if said else "")
        case Download(url, target, expected):
            text = f"download {url} to {target}" + (f" (must be {expected})" if expected else "")
        case ExtractArchive(archive, target, _, members):
            text = f"extract {' '.join(members)}{' of ' if members else ''}{archive} into {target}"
        case RunGo(argv, directory) | RunGit(argv, directory):
            text = f"run {' '.join(argv)} in {directory}"
        case RunProgram(argv, directory):
            text = f"run the Windows program {' '.join(argv)} in {directory}"
        case CheckProgram(path, argv):
            text = f"check that {path} is there ({' '.join(argv)})"
        case ImportCertificate(path, store):
            text = f"import certificate {path} into the machine's store {store}"
        case AddAccount(name):
            text = f"add account {name}"
        case AddMember(group, account):
            text = f"add {account} to the group {group}"
        case SetAccountPolicy(name, value):
            text = f"set the {name} of accounts to {value}"
    plain = shown(text)
    if plain.isprintable():
        return plain
    return "".join(character if character.isprintable() or ord(character) >> 8 == 0xE0 else "·" for character in plain)


def _describe_change(change: HiveEdit) -> str:
    from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, SetValue
    from wingo.hive.values import Value, show

    match change:
        case CreateKey(path):
            return f"create key {path}"
        case DeleteKey(path):
            return f"delete key {path}"
        case SetValue(path, name, type_, data):
            return f"set {path} {name or '(default)'} = {show(Value(name, type_, data))}"
        case DeleteValue(path, name):
            return f"delete value {path} {name or '(default)'}"
