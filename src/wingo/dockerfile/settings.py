r"""The config of a stage while its instructions are read: what ENV, WORKDIR, USER, CMD … make of the base's.

As BuildKit's `dockerfile2llb/convert.go`, but for Windows: variables' names have no case, a directory is spelt `C:\app`,
and a command that Docker on Windows would start verbatim is one (`ArgsEscaped`, image-spec#892).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from wingo.dockerfile.bases import LINUX_PATH, BaseFacts
from wingo.dockerfile.ignore import clean_path
from wingo.dockerfile.instructions import CommandLine, Healthcheck
from wingo.errors import RequestError
from wingo.hive.upcase import upcase
from wingo.oci.config import History
from wingo.windows.command import user_name
from wingo.windows.paths import parse_path, path_text

WINDOWS_SHELL = ("cmd", "/S", "/C")
LINUX_SHELL = ("/bin/sh", "-c")
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?(?:/(tcp|udp|sctp))?\Z", re.IGNORECASE)
_SIGNAL = re.compile(r"(?:SIG)?[A-Z][A-Z0-9]{1,9}(?:[+-][0-9]{1,2})?\Z|[1-9][0-9]?\Z", re.IGNORECASE)
_MAX_PORT = 65535


class StageSettings:
    """A stage's config; `variables` are what its instructions may name."""

    def __init__(self, facts: BaseFacts) -> None:
        settings = facts.config.settings
        self.windows = facts.platform.os == "windows"
        self.env: dict[str, str] = dict(item.partition("=")[::2] for item in settings.env or ())
        if not self.windows and "PATH" not in self.env:
            self.env["PATH"] = LINUX_PATH
        self.variables: dict[str, str] = dict(self.env)
        self.arguments: dict[str, str] = {}
        self.directory = settings.working_dir or ("C:\\" if self.windows else "/")
        self.user = settings.user
        self.shell: tuple[str, ...] = settings.shell or ()
        self.entrypoint: CommandLine | None = _as_found(settings.entrypoint, settings.args_escaped)
        self.cmd: CommandLine | None = _as_found(settings.cmd, settings.args_escaped and not settings.entrypoint)
        self.cmd_is_own = False
        self.labels: dict[str, str] = dict(settings.labels or {})
        self.ports: dict[str, object] = dict(settings.exposed_ports or {})
        self.volumes: dict[str, object] = dict(settings.volumes or {})
        self.stop_signal = settings.stop_signal
        self.healthcheck: Healthcheck | None = None
        self.triggers: list[str] = []
        self.author = ""
        self.changed: set[str] = set()
        self.history: list[History] = []

    def copy(self) -> StageSettings:
        """Another one, for a stage that stands on this one."""
        other = StageSettings.__new__(StageSettings)
        other.__dict__.update(self.__dict__)
        for name in ("env", "variables", "labels", "ports", "volumes", "changed", "history", "arguments"):
            setattr(other, name, self.__dict__[name].copy())
        other.triggers, other.cmd_is_own = [], False
        return other

    @property
    def running_shell(self) -> tuple[str, ...]:
        """What RUN and the shell forms are run by."""
        return self.shell or (WINDOWS_SHELL if self.windows else LINUX_SHELL)

    def set_variable(self, name: str, value: str) -> None:
        """ENV."""
        spelling = name
        if self.windows:
            spelling = next((known for known in self.env if upcase(known) == upcase(name)), name)
        self.env[spelling] = value
        self.variables[name] = value
        self.changed.add("env")

    def set_argument(self, name: str, value: str | None) -> None:
        """ARG: a variable of the instructions that follow, and of what RUN runs."""
        if value is not None:
            self.variables[name] = value
            self.arguments[name] = value

    def set_directory(self, text: str) -> str:
        """WORKDIR; gives the new directory.

        Raises:
            RequestError: no path of the system.
        """
        path = self.absolute(text)
        stripped = path.rstrip("/\\")
        self.directory = path if stripped in ("", "C:") else stripped
        self.changed.add("working_dir")
        return self.directory

    def absolute(self, text: str) -> str:
        r"""A path in the stage, seen from its directory: `/a/b`, or `C:\a\b` on Windows; a slash at the end stays.

        Raises:
            RequestError: no path of the system.
        """
        if not self.windows:
            joined = text if text.startswith("/") else f"{self.directory}/{text}"
            path = clean_path("/" + joined)
            return path + "/" if text.endswith(("/", "/.")) and path != "/" else path
        return windows_path(text, self.directory)

    def set_user(self, text: str) -> None:
        """USER.

        Raises:
            RequestError: no account of the system.
        """
        self.user = text
        if self.windows and text:
            self.user = user_name(text)
        self.changed.add("user")

    def add_volume(self, path: str) -> None:
        """VOLUME; on Windows a whole drive other than C: too, which is nothing but a volume.

        Raises:
            RequestError: no path of the system.
        """
        drive = self.windows and re.fullmatch(r"[D-Zd-z]:[\\/]?", path)
        self.volumes[path if drive or not self.windows else self.absolute(path)] = {}
        self.changed.add("volumes")

    def set_command(self, command: CommandLine) -> None:
        """CMD."""
        self.cmd, self.cmd_is_own = self._with_shell(command), True
        self.changed.add("cmd")

    def set_entrypoint(self, command: CommandLine) -> None:
        """ENTRYPOINT: the base's CMD goes."""
        self.entrypoint = self._with_shell(command)
        if not self.cmd_is_own:
            self.cmd = None
        self.changed |= {"entrypoint", "cmd"}

    def _with_shell(self, command: CommandLine) -> CommandLine:
        """A shell form with the shell of now, as its words; later SHELLs change nothing of it."""
        if command.exec_form:
            return command
        return CommandLine((*self.running_shell, command.text) if command.arguments else (), exec_form=False)

    def expose(self, port: str) -> None:
        """EXPOSE.

        Raises:
            RequestError: no port.
        """
        matched = _PORT.match(port)
        numbers = [int(number) for number in matched.groups()[:2] if number] if matched else []
        if matched is None or not all(0 < number <= _MAX_PORT for number in numbers) or numbers != sorted(numbers):
            raise RequestError(f"{port[:80]!r} is not a port", hint="Write 8080, 53/udp or 8000-8010/tcp.")
        protocol = (matched[3] or "tcp").lower()
        for number in range(numbers[0], numbers[-1] + 1):
            self.ports[f"{number}/{protocol}"] = {}
        self.changed.add("exposed_ports")

    def set_stop_signal(self, signal: str) -> None:
        """STOPSIGNAL.

        Raises:
            RequestError: no signal.
        """
        if not _SIGNAL.match(signal):
            raise RequestError(f"{signal[:80]!r} is not a signal", hint="Write for instance SIGTERM or 15.")
        self.stop_signal = signal
        self.changed.add("stop_signal")

    def say(self, created_by: str, *, layer: bool = False) -> None:
        """Adds a line of history."""
        self.history.append(History(created_by=created_by, empty_layer=not layer))

    def members(self) -> dict[str, object]:
        """The members of the config's `config` that were changed, by their names in `ContainerConfig`."""
        first = self.entrypoint if self.entrypoint is not None and self.entrypoint.arguments else self.cmd
        verbatim = self.windows and first is not None and bool(first.arguments) and not first.exec_form
        values: dict[str, object] = {
            "env": tuple(f"{name}={value}" for name, value in self.env.items()),
            "working_dir": self.directory,
            "user": self.user,
            "shell": self.shell,
            "labels": self.labels,
            "exposed_ports": self.ports,
            "volumes": self.volumes,
            "stop_signal": self.stop_signal,
            "entrypoint": _words(self.entrypoint, verbatim=verbatim and first is self.entrypoint),
            "cmd": _words(self.cmd, verbatim=verbatim and first is self.cmd),
        }
        found = {name: values[name] for name in sorted(self.changed)}
        if self.changed & {"cmd", "entrypoint"}:
            found |= {"entrypoint": values["entrypoint"], "cmd": values["cmd"], "args_escaped": verbatim or None}
        return found


def _as_found(words: Sequence[str] | None, verbatim: bool) -> CommandLine | None:
    if not words:
        return None
    return CommandLine(tuple(words), exec_form=not verbatim)


def _words(command: CommandLine | None, *, verbatim: bool) -> tuple[str, ...] | None:
    if command is None:
        return None
    # Windows has one command line: a shell's is given as it is written, because cmd does not read quotes as others do.
    return (" ".join(command.arguments),) if verbatim else command.arguments


def windows_path(text: str, directory: str = "C:\\") -> str:
    r"""A path of a Dockerfile as `C:\a\b`: `c:/a`, `C:`, `\a`, `/a` and `a` are read, `..` goes up; a slash at the end stays.

    Raises:
        RequestError: another drive, or a name that Windows cannot have.
    """
    plain = text.replace("/", "\\")
    if plain[1:2] == ":" and plain[:1].upper() == "C":
        plain = plain[2:] if plain[2:3] == "\\" else "\\" + plain[2:]
    elif plain[1:2] == ":":
        parse_path(plain)  # says which drive there is
    if not plain.startswith("\\"):
        plain = f"{directory[2:]}\\{plain}"
    ends = plain.endswith(("\\", "\\."))
    cleaned = clean_path(plain.replace("\\", "/"))
    path = path_text(parse_path(cleaned))
    return path + "\\" if ends and len(path) > 3 else path


def healthcheck_document(check: Healthcheck) -> Mapping[str, object]:
    """As Docker's config spells it; times in nanoseconds."""
    numbers = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    }
    return {"Test": list(check.test), **{name: value for name, value in numbers.items() if value}}
