r"""What a container of an image starts: from Entrypoint and Cmd to a file of the view.

Windows (CreateProcessW): a word with a path is taken as it stands, nothing is appended; a plain name gets `.exe` and is
looked for in the working directory, in System32 and Windows, and along PATH. A config with ArgsEscaped has a whole command
line in its first word (containerd `pkg/oci/spec_opts.go`). Linux (runc): a word with a slash as it stands, from the working
directory; else along the config's PATH, or the default one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from wingo.check.subject import BinarySubject, Start
from wingo.hive.upcase import upcase
from wingo.oci.config import ImageConfig
from wingo.view.merged import View
from wingo.windows.command import SANDBOX, split_command_line
from wingo.windows.environment import path_of

LINUX_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""What containerd sets where the config has no PATH (`pkg/oci/spec.go`)."""
SHELLS = frozenset({"cmd", "powershell", "pwsh", "sh", "bash", "ash", "dash", "zsh", "busybox"})
_COMMAND_FLAGS = frozenset({"/c", "/s", "/k", "-c", "-command", "-commandwithargs", "-encodedcommand", "-file", "sh"})
_MAX_DIRECTORIES = 200


def find_start(
    config: ImageConfig, view: View | None, binaries: Mapping[str, BinarySubject], scripts: Mapping[str, str]
) -> Start:
    """What a container starts, as far as the config and the files that are at hand say."""
    argv = (*(config.settings.entrypoint or ()), *(config.settings.cmd or ()))
    if not argv:
        return Start()
    word, rest = _first_word(argv, config)
    candidates = list(_windows(word, config) if config.os == "windows" else _linux(word, config))
    shell = is_shell(word) and any(item.lower() in _COMMAND_FLAGS for item in rest[:3])
    for path in candidates:
        node = view.find(path) if view is not None else None
        if node is not None:
            binary, script = binaries.get(node.path), scripts.get(node.path, "")
            return Start(argv=argv, path=path, node=node, binary=binary, script=script, shell=shell)
    first, searched = (candidates[0] if candidates else ""), len(candidates) > 1
    return Start(argv=argv, path=first, shell=shell, searched=searched)


def is_shell(word: str) -> bool:
    """Whether a word names a shell."""
    name = re.split(r"[\\/]", word)[-1].lower()
    return name.removesuffix(".exe") in SHELLS


def _first_word(argv: tuple[str, ...], config: ImageConfig) -> tuple[str, tuple[str, ...]]:
    if config.os == "windows" and config.settings.args_escaped:
        split = split_command_line(argv[0])
        if split:
            return split[0], (*split[1:], *argv[1:])
    return argv[0].strip('"') if config.os == "windows" else argv[0], argv[1:]


def _windows(word: str, config: ImageConfig) -> Iterator[str]:
    plain = word.replace("/", "\\")
    if upcase(plain).startswith(upcase(SANDBOX) + "\\"):
        yield "C:\\" + plain[len(SANDBOX) + 1 :]
        return
    directory = config.settings.working_dir.replace("/", "\\") or "C:\\"
    if re.match(r"[A-Za-z]:\\|\\", plain):
        yield plain
    elif "\\" in plain:
        yield f"{directory}\\{plain}"
    else:
        name = plain if "." in plain else f"{plain}.exe"
        searched = (directory, r"C:\Windows\System32", r"C:\Windows", *(path_of(config.settings.env or ()) or ()))
        yield from (f"{folder}\\{name}" for folder in searched[:_MAX_DIRECTORIES])


def _linux(word: str, config: ImageConfig) -> Iterator[str]:
    directory = config.settings.working_dir or "/"
    if word.startswith("/"):
        yield word
    elif "/" in word:
        yield f"{directory}/{word}"
    else:
        path = next((item[5:] for item in config.settings.env or () if item.startswith("PATH=")), LINUX_PATH)
        for folder in path.split(":")[:_MAX_DIRECTORIES]:
            yield f"{folder if folder.startswith('/') else directory}/{word}"
