r"""`git config` and `git lfs install` where the image has a git of its own: what they write into its configuration files.

Which file: git-config(1), FILES; Git for Windows keeps the system's in `etc\gitconfig` of its directory. How it is written:
git's `config.c`, git_config_set_multivar_in_file_gently.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from wingo.dockerfile.lowering.edits import has_hole
from wingo.dockerfile.lowering.outcome import CannotLower
from wingo.dockerfile.lowering.programs.calls import Call
from wingo.dockerfile.lowering.session import Session
from wingo.windows.paths import Components

NOT_SET = 5
"""The exit status of `git config --unset` of what is not there."""
_NAME = re.compile(r"([A-Za-z0-9-]+)(?:\.(.+))?\.([A-Za-z][A-Za-z0-9-]*)")
_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9.-]+)(?:\s+\"((?:[^\"\\]|\\.)*)\")?\s*\]")
_KEY = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=|\Z|[#;])")
_LFS = (
    ("filter.lfs.clean", "git-lfs clean -- %f"),
    ("filter.lfs.smudge", "git-lfs smudge -- %f"),
    ("filter.lfs.process", "git-lfs filter-process"),
    ("filter.lfs.required", "true"),
)
"""What `git lfs install` sets (git-lfs-install(1))."""


def set_value(text: str, name: str, value: str) -> str:
    """A configuration file with one more value, or another one in its place.

    Raises:
        CannotLower: the name is none of git's.
    """
    wanted, key = _split(name)
    lines = text.splitlines()
    line = f"\t{key} = {_quoted(value)}"
    places = _places(lines, wanted, key)
    if places:
        lines[places[-1]] = line
    elif (end := _end_of_section(lines, wanted)) is not None:
        lines.insert(end, line)
    else:
        section, subsection = wanted
        escaped = subsection.replace("\\", "\\\\").replace('"', '\\"')
        lines += [f'[{section} "{escaped}"]' if subsection else f"[{section}]", line]
    return "".join(f"{item}\n" for item in lines)


def unset_all(text: str, name: str) -> str | None:
    """A configuration file without a value; None: it has none of that name.

    Raises:
        CannotLower: the name is none of git's.
    """
    wanted, key = _split(name)
    lines = text.splitlines()
    places = set(_places(lines, wanted, key))
    if not places:
        return None
    return "".join(f"{line}\n" for number, line in enumerate(lines) if number not in places)


def _split(name: str) -> tuple[tuple[str, str], str]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise CannotLower(f"{name[:60]!r} is no name of a setting of git's", "Write section.key.")
    return (found[1].lower(), found[2] or ""), found[3]


def _sections(lines: Sequence[str]) -> list[tuple[str, str]]:
    """For each line, the section that it is in."""
    current = ("", "")
    found = []
    for line in lines:
        if header := _SECTION.match(line):
            current = (header[1].lower(), re.sub(r"\\(.)", r"\1", header[2] or ""))
        found.append(current)
    return found


def _places(lines: Sequence[str], wanted: tuple[str, str], key: str) -> list[int]:
    return [
        number
        for number, section in enumerate(_sections(lines))
        if section == wanted and (found := _KEY.match(lines[number])) and found[1].lower() == key.lower()
    ]


def _end_of_section(lines: Sequence[str], wanted: tuple[str, str]) -> int | None:
    inside = [number for number, section in enumerate(_sections(lines)) if section == wanted]
    return inside[-1] + 1 if inside else None


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"' if value != value.strip() or re.search(r"[#;]", value) else escaped


def configure(session: Session, call: Call, words: Sequence[str]) -> int:
    """`git config --system|--global …`, with the words behind `config`.

    Raises:
        CannotLower: a form that is not lowered, or nobody knows where git is.
    """
    options = [word for word in words if word.startswith("-")]
    plain = [word for word in words if not word.startswith("-")]
    scope = "system" if "--system" in options else "global"
    removes = bool({"--unset", "--unset-all"} & set(options))
    unknown = set(options) - {"--system", "--global", "--unset", "--unset-all", "--add", "--replace-all", "--bool"}
    if unknown or len(plain) != (1 if removes else 2):
        raise CannotLower(
            f"git config {' '.join(words)[:80]} is not lowered", "git config --system NAME VALUE is, and --unset-all."
        )
    path = _file(session, call, scope)
    text = _text(session, path)
    if text is None:
        session.write(path, None)
        return 0
    changed = unset_all(text, plain[0]) if removes else set_value(text, plain[0], plain[1])
    if changed is None:
        return NOT_SET
    session.write(path, changed.encode())
    return 0


def install_lfs(session: Session, call: Call, words: Sequence[str]) -> int:
    """`git lfs install`, with the words behind `install`.

    Raises:
        CannotLower: an option that is not lowered.
    """
    if unknown := set(words) - {"--system", "--skip-repo", "--force", "-f"}:
        raise CannotLower(f"git lfs install {min(unknown)} is not lowered", "Leave it out.")
    path = _file(session, call, "system" if "--system" in words else "global")
    text = _text(session, path)
    if text is None:
        session.write(path, None)
        return 0
    for name, value in _LFS:
        text = set_value(text, name, value)
    session.write(path, text.encode())
    return 0


def _text(session: Session, path: Components) -> str | None:
    """What a configuration file has, "" where there is none; None: a plan does not know it."""
    if session.find(path) is None:
        session.make_directory(path[:-1])
        return ""
    data = session.read(path)
    return None if data is None else data.decode("utf-8", "surrogateescape")


def _file(session: Session, call: Call, scope: str) -> Components:
    variables = session.variables
    if scope == "global":
        home = variables.get("HOME") or (variables.get("HOMEDRIVE") or "") + (variables.get("HOMEPATH") or "")
        return (*session.path(home or variables.get("USERPROFILE") or "C:\\"), ".gitconfig")
    return (*_directory(session, call), "etc", "gitconfig")


def _directory(session: Session, call: Call) -> Components:
    r"""Where Git for Windows is: `cmd`, `bin` or `mingw64\bin` with its programs is there."""
    written = call.name.replace("/", "\\")
    places = [session.path(written.rpartition("\\")[0])] if "\\" in written else _on_path(session)
    for place in places:
        last = tuple(part.lower() for part in place[-2:])
        if last[-1:] in (("cmd",), ("bin",)):
            return place[:-2] if last[:1] in (("mingw64",), ("mingw32",), ("usr",)) else place[:-1]
    raise CannotLower(
        "which git of the image git config changes is not known", r"Call it by its path: C:\git\cmd\git.exe config …"
    )


def _on_path(session: Session) -> list[Components]:
    """The directories of PATH that have a git, or may have one; Windows' own have none."""
    found = []
    for text in (session.variables.get("PATH") or "").split(";"):
        if has_hole(text) or not text.strip('" ') or "git" not in text.lower():
            continue
        path = session.path(text.strip('" '), ())
        item = session.find((*path, "git.exe")) or session.find((*path, "git-lfs.exe"))
        if item is not None:
            found.append(path)
    return found
