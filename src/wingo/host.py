"""The one reader of the machine: clock, environment, processes, directories (design, decision 6). No decisions here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from wingo.errors import HostError, RequestError
from wingo.version import VERSION

if TYPE_CHECKING:
    from wingo.cli.render import Console
    from wingo.launch.containers import Containers
    from wingo.launch.machine import Machine
    from wingo.pipeline.settings import Settings
    from wingo.processes import ProcessRunner
    from wingo.stores.registry import RegistryClient, Transport
    from wingo.stores.registry.credentials import Credentials, FileCredentials
    from wingo.stores.registry.read import DocumentCache

SETTINGS_FILE = "wingo.toml"
_MAX_SETTINGS_BYTES = 1 << 20
_CERTIFICATES = ("/etc/docker/certs.d", "/etc/containers/certs.d")
_MAX_CREDENTIALS_BYTES = 4 << 20
_REQUESTS = 6
"""Requests at once where nobody says how many; they wait more than they work, so processors do not count."""


class Host:
    """What wingo knows of the machine that it runs on.

    Attributes:
        environment: the environment variables.
        directory: the current directory.
        cache_directory: where wingo keeps what it can make or fetch again.
        processors: how many may be used.
        console: where people are told things.
        now: gives the seconds since 1970.
        stdio: the descriptors of the standard streams, for programs that wingo starts.
    """

    stdio: tuple[int, int, int] = (0, 1, 2)

    def __init__(
        self,
        *,
        environment: Mapping[str, str],
        directory: str,
        cache_directory: str,
        processors: int,
        console: Console,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.environment = environment
        self.directory = directory
        self.cache_directory = cache_directory
        self.processors = processors
        self.console = console
        self.now = now

    def path(self, text: str) -> str:
        """A path that a user wrote, as an absolute one."""
        return os.path.normpath(os.path.join(self.directory, os.path.expanduser(text)))

    def is_directory(self, text: str) -> bool:
        """Whether a path that a user wrote is a directory."""
        return os.path.isdir(self.path(text))

    def find_settings(self, start: str = "", name: str = SETTINGS_FILE) -> str | None:
        """The nearest wingo.toml at or above a directory, but not above the module or repository that it is in."""
        folder = self.path(start or ".")
        while True:
            candidate = os.path.join(folder, name)
            if os.path.isfile(candidate):
                return candidate
            parent = os.path.dirname(folder)
            if parent == folder or any(os.path.exists(os.path.join(folder, top)) for top in ("go.mod", ".git")):
                return None
            folder = parent

    def folder_of(self, path: str) -> str:
        """The directory that a file is in."""
        return os.path.dirname(self.path(path))

    def has_program(self, name: str) -> bool:
        """Whether a program is on PATH."""
        import shutil

        return shutil.which(name, path=self.environment.get("PATH")) is not None

    def read_text(self, path: str) -> str:
        """A small text file.

        Raises:
            HostError: it cannot be read, is too large, or is not UTF-8.
        """
        try:
            with open(path, "rb") as file:
                data = file.read(_MAX_SETTINGS_BYTES + 1)
            if len(data) > _MAX_SETTINGS_BYTES:
                raise HostError(f"{path} has more than {_MAX_SETTINGS_BYTES} bytes")
            return data.decode()
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise HostError(f"{path} is not UTF-8 text") from error

    def read_bytes(self, path: str, limit: int) -> bytes:
        """A file that a user named; `-` is standard input.

        Raises:
            HostError: it cannot be read.
            RequestError: it has more bytes than that.
        """
        try:
            if path == "-":
                data = sys.stdin.buffer.read(limit + 1)
            else:
                with open(self.path(path), "rb") as file:
                    data = file.read(limit + 1)
        except OSError as error:
            raise HostError(f"cannot read {path}: {error.strerror}") from error
        if len(data) > limit:
            raise RequestError(f"{path} has more than {limit} bytes")
        return data

    @cached_property
    def runner(self) -> ProcessRunner:
        """Runs programs."""
        from wingo.processes import ProcessRunner

        return ProcessRunner()

    @cached_property
    def machine(self) -> Machine:
        """What starting containers needs to know of this machine.

        Raises:
            HostError: this is no Linux.
        """
        from wingo.pipeline.run import require_linux

        require_linux(sys.platform)
        import platform

        from wingo.launch.identity import choose_identity
        from wingo.launch.machine import TOOLS, Machine

        folders = [*self.environment.get("PATH", os.defpath).split(os.pathsep), "/usr/sbin", "/sbin"]
        tools: dict[str, str] = {}
        for name in TOOLS:
            paths = (os.path.join(folder, name) for folder in folders if os.path.isabs(folder))
            found = next((path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)), None)
            if found is not None:
                tools[name] = found
        uid, gid = os.geteuid(), os.getegid()
        texts = [(_read_small(path) or b"").decode("utf-8", "replace") for path in ("/etc/subuid", "/etc/subgid")]
        return Machine(
            {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
            choose_identity(uid, gid, _account_name(uid), *texts, has_helpers={"newuidmap", "newgidmap"} <= {*tools}),
            tools,
            self.environment,
            uid,
        )

    @cached_property
    def containers(self) -> Containers:
        """Where containers are written down.

        Raises:
            HostError: this is no Linux.
        """
        from wingo.pipeline.run import require_linux

        require_linux(sys.platform)
        from wingo.launch.containers import Containers
        from wingo.launch.failed_steps import failed_directory

        root = os.path.join(state_directory(self.environment, self.cache_directory), "containers")
        return Containers(root, failed_directory(self.cache_directory))

    def registry_client(
        self, settings: Settings, documents: DocumentCache | None = None, credentials: Credentials | None = None
    ) -> RegistryClient:
        """Reaches registries the way this machine does: its proxies, certificates and credentials.

        Args:
            settings: insecure registries, mirrors, more certificate authorities.
            documents: where manifests and configs are kept; by default nowhere.
            credentials: who we are; by default what this machine's files say.
        """
        from wingo.stores.registry import RegistryClient

        return RegistryClient(
            self.transport(settings),
            now=self.now,
            credentials=credentials or self.credentials,
            cache=documents,
            mirrors=settings.mirrors,
            jobs=settings.jobs or _REQUESTS,
        )

    def transport(self, settings: Settings) -> Transport:
        """Sends requests the way this machine does: its proxies, its certificates and those of the settings."""
        from wingo.stores.registry import Transport
        from wingo.stores.registry.certificates import certificate_directories
        from wingo.stores.registry.proxies import read_proxies

        return Transport(
            clock=time.monotonic,
            sleep=time.sleep,
            random=_random,
            proxies=read_proxies(self.environment),
            tls=certificate_directories(
                _CERTIFICATES, extra_ca=self.path(settings.ca_file) if settings.ca_file else ""
            ),
            insecure=settings.insecure,
            user_agent=f"wingo/{VERSION}",
        )

    def stop(self) -> None:
        """Ends every program that is still running; afterwards none can be started."""
        if "runner" in self.__dict__:
            self.runner.stop()

    def write_text(self, path: str, text: str) -> None:
        """Writes a small file, whole or not at all.

        Raises:
            HostError: it cannot be written.
        """
        full = self.path(path)
        temporary = f"{full}.{os.getpid()}.new"
        try:
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(temporary, full)
        except OSError as error:
            with suppress(OSError):
                os.unlink(temporary)
            raise HostError(
                f"cannot write {full}: {error.strerror}", hint="Choose a place that you may write."
            ) from error

    @cached_property
    def credentials(self) -> FileCredentials:
        """What this machine's files and helpers know of registries; read when first asked for."""
        from wingo.stores.registry.credentials import FileCredentials, credential_paths

        return FileCredentials(credential_paths(self.environment, self.home), _read_small, self.run_helper)

    def ask(self, question: str) -> str:
        """Asks a person at the terminal for a line; "" when there is none."""
        if not sys.stdin.isatty():
            return ""
        sys.stderr.write(question)
        sys.stderr.flush()
        return sys.stdin.readline().strip()

    def read_secret(self, *, from_stdin: bool) -> str:
        """A password: from standard input, or from the terminal without showing it; "" when there is neither."""
        if from_stdin:
            return sys.stdin.readline(1 << 16).rstrip("\r\n")
        if not sys.stdin.isatty():
            return ""
        from getpass import getpass

        return getpass("Password: ", stream=sys.stderr)

    @property
    def home(self) -> str:
        """The user's home directory."""
        return self.environment.get("HOME") or self.environment.get("USERPROFILE") or os.path.expanduser("~")

    def run_helper(self, helper: str, verb: str, data: bytes) -> tuple[int, bytes, bytes]:
        """Runs `docker-credential-HELPER VERB`.

        Raises:
            HostError: there is no such program.
        """
        import shutil

        program = shutil.which(f"docker-credential-{helper}", path=self.environment.get("PATH"))
        if program is None:
            raise HostError(
                f"there is no docker-credential-{helper}, which the credentials file names",
                hint="Install it, or take its name out of the file.",
            )
        done = self.runner.run([program, verb], cwd=self.directory, env=self.environment, input=data)
        return done.status, done.stdout, done.stderr


def this_host(console: Console) -> Host:
    """The machine that wingo runs on.

    Raises:
        HostError: there is no current directory, or no home to keep a cache in.
    """
    try:
        directory = os.getcwd()
    except OSError as error:
        raise HostError("the current directory does not exist any more", hint="Change to one that does.") from error
    environment = dict(os.environ)
    return Host(
        environment=environment,
        directory=directory,
        cache_directory=cache_directory(environment, sys.platform),
        processors=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        console=console,
    )


def cache_directory(environment: Mapping[str, str], system: str) -> str:
    """Where the platform keeps caches: `WINGO_CACHE_DIR`, else XDG's, macOS's or Windows's place.

    Raises:
        HostError: none of the variables that could tell is set.
    """
    if chosen := environment.get("WINGO_CACHE_DIR"):
        return os.path.abspath(chosen)
    home = environment.get("HOME") or environment.get("USERPROFILE")
    if system == "win32" and environment.get("LOCALAPPDATA"):
        return os.path.join(environment["LOCALAPPDATA"], "wingo", "cache")
    if environment.get("XDG_CACHE_HOME"):
        return os.path.join(environment["XDG_CACHE_HOME"], "wingo")
    if not home:
        raise HostError(
            "there is no place for the cache: neither HOME nor WINGO_CACHE_DIR is set",
            hint="Set WINGO_CACHE_DIR to a directory that wingo may write.",
        )
    if system == "darwin":
        return os.path.join(home, "Library", "Caches", "wingo")
    return os.path.join(home, ".cache", "wingo")


def state_directory(environment: Mapping[str, str], otherwise: str) -> str:
    """Where what lives on is kept, running containers for instance: `WINGO_STATE_DIR`, else XDG's place (XDG Base Directory
    Specification), else a directory in `otherwise`.
    """
    if chosen := environment.get("WINGO_STATE_DIR"):
        return os.path.abspath(chosen)
    if state := environment.get("XDG_STATE_HOME"):
        return os.path.join(state, "wingo")
    if home := environment.get("HOME"):
        return os.path.join(home, ".local", "state", "wingo")
    return os.path.join(otherwise, "state")


def _account_name(uid: int) -> str:
    """The name of a user of this machine; its number when it has none."""
    if sys.platform == "win32" or uid == 0:
        return str(uid)
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _random() -> float:
    """A number from 0 up to 1; `random` would cost 10 ms to import."""
    return int.from_bytes(os.urandom(4)) / (1 << 32)


def _read_small(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_CREDENTIALS_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
