"""Runs programs for the other rooms: the real runner behind `Host.runner`."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from wingo.errors import HostError
from wingo.golang.runner import Completed

_POSIX = os.name == "posix"


class ProcessRunner:
    """Runs programs in process groups of their own, so that stopping one stops what it started too.

    Ctrl-C reaches the main thread only; the thread that waits for a compiler learns of it through `stop`.
    """

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], input: bytes | None = None) -> Completed:
        """Runs a program to its end.

        Args:
            argv: the program's path and its arguments; no shell.
            cwd: its directory.
            env: its whole environment.
            input: its standard input; None: an empty one.

        Raises:
            HostError: it cannot be started, or everything was stopped.
        """
        try:
            with self._lock:
                if self._stopped:
                    raise HostError("stopped")
                process = subprocess.Popen(
                    list(argv),
                    cwd=cwd,
                    env=dict(env),
                    stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    process_group=0 if _POSIX else None,
                )
                self._running.add(process)
        except OSError as error:
            raise HostError(f"cannot run {argv[0]}: {error.strerror or error}") from error
        try:
            with process:
                stdout, stderr = process.communicate(input)
        except BaseException:
            _kill(process)
            raise
        finally:
            with self._lock:
                self._running.discard(process)
        return Completed(process.returncode, stdout, stderr)

    def stop(self) -> None:
        """Kills whatever runs, and lets nothing more start."""
        with self._lock:
            self._stopped = True
            for process in self._running:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        if _POSIX:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except OSError:
        pass  # it ended by itself meanwhile
