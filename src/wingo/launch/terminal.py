"""A person's terminal and a program's: raw bytes both ways, the size kept the same."""

from __future__ import annotations

import fcntl
import os
import selectors
import signal
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from wingo.launch.start import Outcome, Running

_CHUNK = 1 << 14
_LAST_SECONDS = 0.2


def open_terminal() -> tuple[int, int]:
    """A new terminal: the end that a person's is connected to, and the program's."""
    return os.openpty()


@contextmanager
def _raw(descriptor: int) -> Iterator[None]:
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)


def copy_size(source: int, target: int) -> None:
    """Gives a terminal the size of another."""
    with suppress(OSError):
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8)))


def relay(running: Running, keyboard: int, screen: int, terminal: int) -> Outcome:
    """Connects a person's terminal with a program's until the program ends.

    Args:
        running: the container.
        keyboard: the person's input.
        screen: the person's output.
        terminal: the program's terminal, from `open_terminal`.
    """
    outcome: Outcome | None = None
    before = signal.signal(signal.SIGWINCH, lambda *_: copy_size(screen, terminal))
    try:
        with _raw(keyboard), selectors.DefaultSelector() as selector:
            for each in (keyboard, terminal, running.fileno()):
                selector.register(each, selectors.EVENT_READ)
            open_ = True
            while outcome is None or open_:
                ready = [key.fd for key, _ in selector.select(None if outcome is None else _LAST_SECONDS)]
                if outcome is not None and terminal not in ready:
                    break
                if keyboard in ready:
                    data = os.read(keyboard, _CHUNK)
                    if data:
                        _write(terminal, data)
                    else:
                        selector.unregister(keyboard)
                if terminal in ready:
                    data = _read(terminal)
                    if data:
                        _write(screen, data)
                    elif open_:
                        open_ = False
                        selector.unregister(terminal)
                if running.fileno() in ready:
                    outcome = running.hear()
                    if outcome is not None:
                        selector.unregister(running.fileno())
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(terminal)
    return outcome


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, _CHUNK)
    except OSError:
        return b""  # nobody has the other end any more


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def relay_until_closed(keyboard: int, screen: int, terminal: int) -> None:
    """Connects two terminals until nobody has the program's end open any more."""
    before = signal.signal(signal.SIGWINCH, lambda *_: copy_size(screen, terminal))
    try:
        with _raw(keyboard), selectors.DefaultSelector() as selector:
            for each in (keyboard, terminal):
                selector.register(each, selectors.EVENT_READ)
            while True:
                ready = [key.fd for key, _ in selector.select()]
                if terminal in ready:
                    data = _read(terminal)
                    if not data:
                        return
                    _write(screen, data)
                if keyboard in ready:
                    typed = os.read(keyboard, _CHUNK)
                    if typed:
                        _write(terminal, typed)
                    else:
                        selector.unregister(keyboard)
    finally:
        signal.signal(signal.SIGWINCH, before)
        os.close(terminal)
