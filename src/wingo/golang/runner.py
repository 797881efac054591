"""What this room needs of the machine to run `go` and `git`; `wingo.processes` has the real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec


class Completed(msgspec.Struct, frozen=True):
    """A program that ended.

    Attributes:
        status: its exit status; negative: ended by that signal.
        stdout: what it printed.
        stderr: what it complained about.
    """

    status: int
    stdout: bytes
    stderr: bytes


class Runner(Protocol):
    """Runs programs to their end; called from several threads.

    Interrupting (Ctrl-C, or a stop from another thread) ends the program with all that it started, and `run` raises.
    """

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        """Runs a program.

        Args:
            argv: the program's path and its arguments; no shell.
            cwd: its directory.
            env: its whole environment.
            input: its standard input; None: an empty one.

        Raises:
            HostError: it cannot be started.
        """
