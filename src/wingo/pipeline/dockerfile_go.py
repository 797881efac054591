"""Runs the commands of a Go step with the local toolchain over a directory that holds the stage's files."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wingo.dockerfile.gosteps import for_here
from wingo.dockerfile.source import At, DockerfileError, printable
from wingo.dockerfile.steps import Command
from wingo.dockerfile.toolchains import ToolchainImage
from wingo.errors import HostError
from wingo.golang.command import GoFlags, build_environment
from wingo.golang.failures import complaint
from wingo.golang.toolchain import Toolchain, find_program, find_toolchain

if TYPE_CHECKING:
    from wingo.host import Host

_OF_THE_MACHINE = (
    "PATH", "HOME", "USER", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "USERPROFILE", "LOCALAPPDATA", "APPDATA", "NETRC", "GOENV", "GOPROXY",
    "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GONOSUMCHECK", "GOPRIVATE", "GOINSECURE", "GOAUTH", "GOCACHE", "GOTMPDIR", "GOVCS",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "GIT_SSL_CAINFO", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "LANG", "LC_ALL",
)  # fmt: skip
_NOT_OF_THE_STAGE = frozenset(
    {"PATH", "HOME", "GOPATH", "GOTOOLCHAIN", "GOROOT", "GOCACHE", "GOMODCACHE", "GOLANG_VERSION", "PWD"}
)
_PATH_FLAGS = frozenset({"-o", "-C", "-modfile", "-overlay", "-pkgdir", "-coverprofile", "-pgo", "-cpuprofile"})
_NO_TOOLCHAIN = re.compile(r"^go: download (go1[0-9a-z.]*)(?: for \S+)?: (.*(?:\n[ \t].*)?)", re.MULTILINE)
"""What the go command says when it cannot fetch the release that GOTOOLCHAIN names."""
_TOO_NEW = re.compile(r"requires go >= (\S+) \(running go (\S+?);")
_FETCHING_GIT = frozenset({"clone", "fetch", "pull", "ls-remote", "submodule", "remote"})


class GoRunner:
    """The local toolchain, as a stage's version of it."""

    def __init__(self, host: Host, *, allow_network: bool) -> None:
        self._host = host
        self._allow_network = allow_network
        self._found: Toolchain | None = None
        self._newer: dict[str, str] = {}

    @property
    def toolchain(self) -> Toolchain:
        """The local toolchain.

        Raises:
            HostError: there is none.
        """
        if self._found is None:
            self._found = find_toolchain(
                self._host.environment, self._host.runner, python_path=sys.path, directory=self._host.directory
            )
        return self._found

    def identity(self, version: str) -> str:
        """What compiles, for the key of a step."""
        return f"{self.toolchain.version} {ToolchainImage(version).toolchain(self.toolchain.version)}"

    def run(
        self,
        command: Command,
        root: str,
        *,
        version: str,
        platform: tuple[str, str, str],
        at: At,
        gopath: str = "go",
    ) -> tuple[int, str]:
        """Runs one command.

        Args:
            command: its paths are the stage's.
            root: the directory that is the stage's root.
            version: of the toolchain; "" for the local one.
            platform: GOOS, GOARCH and variant of what is compiled, where the command does not say.
            at: for messages.
            gopath: the stage's GOPATH, below the root.

        Returns:
            The exit status, and what it printed.

        Raises:
            DockerfileError: the stage's version of Go cannot be had, or is older than go.mod asks for.
            HostError: it cannot be started.
        """
        program = command.argv[0].rpartition("/")[2].removesuffix(".exe")
        directory = self._inside(root, command.directory)
        if not os.path.isdir(directory):
            os.makedirs(directory, exist_ok=True)  # WORKDIR made it
        if program == "mkdir":
            return _make_directories(command.argv[1:], root, directory)
        if program in ("ls", "pwd"):
            return 0, ""
        if program == "git":
            return self._git(command, root, directory, at)
        environment = self._environment(command, root, version, platform, gopath)
        argv = (self.toolchain.path, *_arguments(command.argv[1:], root, directory))
        done = self._host.runner.run(argv, cwd=directory, env=environment)
        if done.status and (newer := _newer(version, done.stderr)):
            environment["GOTOOLCHAIN"] = self._newer[version] = newer
            done = self._host.runner.run(argv, cwd=directory, env=environment)
        output = complaint(done.stderr) or done.stdout[-4000:].decode("utf-8", "replace")
        if done.status:
            _refuse_toolchain(output, at)
        if done.status == 0 and command.argv[1:2] == ("install",):
            _move_cross_compiled(os.path.join(root, gopath, "bin"), environment)
        return done.status, output.replace(root, "")

    def _inside(self, root: str, path: str) -> str:
        plain = path[2:] if path[1:2] == ":" else path
        return os.path.normpath(
            os.path.join(root, *[part for part in plain.replace("\\", "/").split("/") if part and part != ".."])
        )

    def _environment(
        self, command: Command, root: str, version: str, platform: tuple[str, str, str], gopath: str
    ) -> dict[str, str]:
        host = self._host.environment
        machine = {name: value for name, value in host.items() if name in _OF_THE_MACHINE}
        stage = {name: value for name, value in command.environment if name.upper() not in _NOT_OF_THE_STAGE}
        environment = {**machine, **stage}
        environment["GOPATH"] = os.path.join(root, gopath)
        environment["GOMODCACHE"] = module_cache(host)
        image = ToolchainImage(version)
        environment["GOTOOLCHAIN"] = self._newer.get(version) or image.toolchain(self.toolchain.version)
        if image.too_old:
            environment.setdefault("GO111MODULE", "auto")  # as it was by default: GOPATH's packages need no go.mod
        if "-trimpath" not in environment.get("GOFLAGS", ""):
            # The directory that the stage lies in here is nobody's business.
            environment["GOFLAGS"] = f"{environment.get('GOFLAGS', '')} -trimpath".strip()
        said = {name: value for name in ("GOOS", "GOARCH") if (value := stage.get(name))}
        compiles = not for_here(command.argv) and command.argv[1] in ("build", "install", "get")
        if not compiles:
            environment.pop("GOOS", None)
            environment.pop("GOARCH", None)
            return {"CGO_ENABLED": "0", **environment} if command.argv[1] not in ("test", "run") else environment
        goos, goarch = said.get("GOOS", platform[0]), said.get("GOARCH", platform[1])
        variant = (
            platform[2]
            if goarch == platform[1] and not any(name in stage for name in ("GOARM", "GOAMD64", "GOARM64"))
            else ""
        )
        return build_environment(environment, goos, goarch, variant, GoFlags())

    def _git(self, command: Command, root: str, directory: str, at: At) -> tuple[int, str]:
        git = find_program("git", self._host.environment)
        if git is None:
            raise HostError("there is no git on PATH, and the step runs it", hint="Install git.")
        verb = next((word for word in command.argv[1:] if not word.startswith("-")), "")
        if verb in _FETCHING_GIT and not self._allow_network:
            raise DockerfileError(
                at, f"'git {verb}' needs the network, which the step may not use", hint="Give --allow-network."
            )
        home = os.path.join(root, "root")
        os.makedirs(home, exist_ok=True)
        host = self._host.environment
        environment = {name: value for name, value in host.items() if name in _OF_THE_MACHINE}
        system = os.path.join(home, ".gitconfig-system")
        environment |= {
            "HOME": home,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_SYSTEM": system,
            "GIT_CONFIG_GLOBAL": os.path.join(home, ".gitconfig"),
        }
        # Nothing of the local machine may be cloned into an image.
        environment |= {"GIT_ALLOW_PROTOCOL": "https:http:git:ssh"}
        words = [
            self._inside(root, word) if word.startswith("/") or word[1:3] in (":\\", ":/") else word
            for word in command.argv[1:]
        ]
        done = self._host.runner.run((git, *words), cwd=directory, env=environment)
        output = (done.stderr or done.stdout)[-4000:].decode("utf-8", "replace")
        return done.status, output.replace(root, "")


def module_cache(environment: Mapping[str, str]) -> str:
    """Where this machine keeps modules: all stages share them."""
    if chosen := environment.get("GOMODCACHE"):
        return chosen
    home = environment.get("HOME") or environment.get("USERPROFILE") or os.path.expanduser("~")
    path = environment.get("GOPATH", "").split(os.pathsep)[0] or os.path.join(home, "go")
    return os.path.join(path, "pkg", "mod")


def _arguments(words: Sequence[str], root: str, directory: str) -> list[str]:
    """The arguments with the stage's absolute paths below the root."""
    found: list[str] = []
    takes_path = False
    for word in words:
        flag, equals, value = word.partition("=")
        plain = "-" + flag.lstrip("-") if flag.startswith("-") else flag
        if takes_path:
            found.append(_below(word, root))
            takes_path = False
        elif plain in _PATH_FLAGS and word.startswith("-"):
            takes_path = not equals
            found.append(f"{flag}={_below(value, root)}" if equals else word)
        elif word.startswith("-"):
            found.append(word)
        else:
            found.append(_below(word, root))
    del directory
    return found


def _below(path: str, root: str) -> str:
    if path[1:3] in (":\\", ":/"):
        path = path[2:].replace("\\", "/")
    if not path.startswith("/"):
        return path.replace("\\", "/") if "\\" in path else path
    ends = "/" if path.endswith("/") else ""
    parts = [part for part in path.split("/") if part and part != ".."]
    return os.path.join(root, *parts) + ends


def _newer(version: str, stderr: bytes) -> str:
    """The release that an image whose tag moves has today, and go.mod wants; "" for none."""
    wanted = _TOO_NEW.search(stderr[-4000:].decode("utf-8", "replace"))
    return ToolchainImage(version).newer(wanted[1]) if wanted is not None else ""


def _refuse_toolchain(output: str, at: At) -> None:
    missing = _NO_TOOLCHAIN.search(output)
    if missing is not None:
        version, reason = missing[1].removeprefix("go"), " ".join(missing[2].split())
        raise DockerfileError(
            at,
            f"Go {version}, which the image asks for, cannot be fetched: {printable(reason, 400)}",
            hint="See that GOPROXY can be reached, or name an image of another Go:"
            " --build-context IMAGE=docker-image://golang:VERSION.",
        )
    old = _TOO_NEW.search(output)
    if old is not None:
        raise DockerfileError(
            at,
            f"go.mod asks for Go {printable(old[1], 40)}, and the image is for Go {printable(old[2], 40)}",
            hint=f"Name an image of Go {printable(old[1], 40)} or newer in FROM.",
        )


def _make_directories(words: Sequence[str], root: str, directory: str) -> tuple[int, str]:
    for word in words:
        if word.startswith("-"):
            continue
        path = _below(word, root) if word.startswith("/") else os.path.normpath(os.path.join(directory, word))
        if path != root and not path.startswith(root + os.sep):
            return 1, f"mkdir: {word} is outside of the stage"
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            return 1, f"mkdir: {word}: {error.strerror}"
    return 0, ""


def _move_cross_compiled(folder: str, environment: Mapping[str, str]) -> None:
    """`go install` for another platform writes to bin/GOOS_GOARCH; where the stage's image is, it writes to bin."""
    cross = os.path.join(folder, f"{environment.get('GOOS')}_{environment.get('GOARCH')}")
    if os.path.isdir(cross):
        for name in os.listdir(cross):
            shutil.move(os.path.join(cross, name), os.path.join(folder, name))
        os.rmdir(cross)
