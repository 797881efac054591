"""Archives that only programs of others read: Inno Setup installers by `innoextract`, 7-Zip's by `7z`.

A Dockerfile that runs such a program inside the image gets the one of this machine over the same file. It runs with an empty
environment in a directory of its own, and what it leaves is taken in as an archive's members are: no links, no devices, no
names that lead out, within limits.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wingo.archive.entry import Content
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.pipeline.dockerfile_downloads import Keep
from wingo.pipeline.dockerfile_files import DIRECTORY, FILE, Found

if TYPE_CHECKING:
    from wingo.host import Host

_MAX_FILES = 200_000
_MAX_BYTES = 8 << 30
_COPY = 1 << 20
_PROGRAMS = {
    "inno": (("innoextract",), ("--silent", "--output-dir", "{target}", "{archive}"), "innoextract"),
    "7z": (("7z", "7zz", "7za"), ("x", "-y", "-bd", "-o{target}", "{archive}"), "p7zip-full"),
}
"""By format: names of the program, its arguments, the Debian package that has it."""


def extract_by_program(content: Content, format_: str, host: Host, at: At, keep: Keep) -> Sequence[Found]:
    """An archive's members, by this machine's program for its format.

    Args:
        content: of the archive.
        format_: "inno" or "7z".
        host: runs the program.
        at: for messages.
        keep: keeps a member's bytes.

    Raises:
        DockerfileError: the program is missing or fails, or there is too much in the archive.
    """
    names, arguments, package = _PROGRAMS[format_]
    path = host.environment.get("PATH", os.defpath)
    program = next((found for name in names if (found := shutil.which(name, path=path))), None)
    if program is None:
        raise DockerfileError(
            at,
            f"{printable(content.origin)} is unpacked by {names[0]}, which this machine does not have",
            hint=f"Install it, for instance Debian's package {package}.",
        )
    with tempfile.TemporaryDirectory(prefix="wingo-extract-") as scratch:
        archive, target = os.path.join(scratch, "archive.exe"), os.path.join(scratch, "target")
        os.mkdir(target)
        with content.open() as source, open(archive, "wb") as copy:
            shutil.copyfileobj(source, copy, _COPY)
        filled = [word.format(archive=archive, target=target) for word in arguments]
        environment = {"PATH": path, "LC_ALL": "C.UTF-8", "HOME": scratch}
        done = host.runner.run([program, *filled], cwd=scratch, env=environment)
        if done.status:
            said = printable((done.stderr or done.stdout).decode("utf-8", "replace")[-400:])
            raise DockerfileError(at, f"{names[0]} cannot unpack {printable(content.origin)}: {said.strip()}")
        return _taken_in(target, at, keep)


def _taken_in(root: str, at: At, keep: Keep) -> list[Found]:
    found: list[Found] = []
    total = 0
    for folder, directories, files in os.walk(root):
        directories.sort()
        for name in sorted((*directories, *files)):
            path = os.path.join(folder, name)
            inside = os.path.relpath(path, root).replace(os.sep, "/")
            info = os.lstat(path)
            if len(found) >= _MAX_FILES:
                raise DockerfileError(at, f"the archive has more than {_MAX_FILES} members")
            if stat.S_ISDIR(info.st_mode):
                found.append(Found(inside, DIRECTORY, 0o755))
            elif stat.S_ISREG(info.st_mode):
                total += info.st_size
                if total > _MAX_BYTES:
                    raise DockerfileError(at, f"the archive has more than {_MAX_BYTES} bytes in it")
                with open(path, "rb") as stream:
                    found.append(Found(inside, FILE, 0o644, content=keep(stream, inside)))
    return found
