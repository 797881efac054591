"""Long actions, drawn: bars on a terminal, a line at each end elsewhere, nothing when quiet.

Nothing is drawn before a second has passed: most of what wingo does is over by then, and `rich` costs 60 ms to import.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol, TextIO

from wingo.image.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from wingo.cli.render import Console
    from wingo.image.progress import Task

_PATIENCE = 1.0
"""Seconds that a thing may take before it is worth a line."""


class Drawing(Progress, Protocol):
    """A progress that shares its stream with the console's messages."""

    def above(self, text: str) -> bool:
        """Writes a message above what is drawn; False: nothing is drawn, the console may write it itself."""

    def close(self) -> None:
        """Ends the drawing, whatever is still under way."""


def progress_on(console: Console, stream: TextIO) -> Drawing:
    """The progress that suits the stream."""
    return _Bars(console, stream) if console.drawing and not console.quiet else _Lines(console)


class _LineTask:
    def __init__(self, owner: _Lines, what: str, total: int | None) -> None:
        self._owner, self._what, self._total = owner, what, total
        self._begun = self._said = time.monotonic()
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._said < 10 * _PATIENCE:
                return
            self._said = now
        share = f" {100 * self._done // self._total} %" if self._total else ""
        self._owner.say(f"{self._what} …{share}")

    def done(self, note: str = "") -> None:
        passed = time.monotonic() - self._begun
        if passed >= _PATIENCE:
            self._owner.say(f"{self._what}: {note or 'done'} ({passed:.1f} s)")


class _Lines:
    """For logs: a line for what took long, and one every ten seconds while it lasts."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, what: str, total: int | None = None) -> Task:
        return _LineTask(self, what, total)

    def note(self, text: str) -> None:
        self._console.note(text)

    def say(self, text: str) -> None:
        self._console.say(text)

    def above(self, text: str) -> bool:  # noqa: ARG002  (the protocol's)
        return False

    def close(self) -> None:
        pass


class _BarTask:
    def __init__(self, owner: _Bars, what: str, total: int | None) -> None:
        self._owner = owner
        self.what, self.total, self.completed = what, total, 0
        self.begun = time.monotonic()
        self.bar: int | None = None

    def advance(self, count: int) -> None:
        self.completed += count

    def done(self, note: str = "") -> None:
        self._owner.finish(self, note)


class _Bars:
    """For a terminal: `rich` bars for what has lasted a while, drawn by one thread, gone when over."""

    def __init__(self, console: Console, stream: TextIO) -> None:
        self._console, self._stream = console, stream
        self._tasks: list[_BarTask] = []
        self._lock = threading.Lock()
        self._rich: RichProgress | None = None
        self._painter: threading.Thread | None = None
        self._closed = False

    def start(self, what: str, total: int | None = None) -> Task:
        task = _BarTask(self, what, total)
        with self._lock:
            if self._closed:
                return task
            self._tasks.append(task)
            if self._painter is None:
                self._painter = threading.Thread(target=self._paint, daemon=True)
                self._painter.start()
        return task

    def note(self, text: str) -> None:
        self._console.note(text)

    def above(self, text: str) -> bool:
        with self._lock:
            if self._rich is None:
                return False
            from rich.text import Text

            self._rich.console.print(Text.from_ansi(text), soft_wrap=True)
            return True

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._tasks.clear()
            self._stop()

    def finish(self, task: _BarTask, note: str) -> None:
        passed = time.monotonic() - task.begun
        with self._lock:
            if task not in self._tasks:
                return
            self._tasks.remove(task)
            if self._rich is not None and task.bar is not None:
                self._rich.remove_task(task.bar)  # type: ignore[arg-type]
            if passed >= _PATIENCE and self._rich is not None:
                line = f"{task.what}: {note or 'done'} ({passed:.1f} s)"
                self._rich.console.print(line, style="dim", markup=False, highlight=False)
            if not self._tasks:
                self._stop()

    def _paint(self) -> None:
        while True:
            time.sleep(0.1)
            with self._lock:
                if not self._tasks:
                    self._painter = None
                    return
                late = [task for task in self._tasks if time.monotonic() - task.begun >= _PATIENCE / 2]
                if late and self._rich is None:
                    self._begin()
                for task in late:
                    self._draw(task)

    def _begin(self) -> None:
        import atexit

        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._rich = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=RichConsole(file=self._stream),
            transient=True,
        )
        self._rich.start()
        # The cursor is hidden from now on: however wingo ends, it is to come back.
        atexit.register(self.close)

    def _draw(self, task: _BarTask) -> None:
        assert self._rich is not None
        if task.bar is None:
            task.bar = int(self._rich.add_task(task.what, total=task.total))
        self._rich.update(task.bar, completed=task.completed)  # type: ignore[arg-type]

    def _stop(self) -> None:
        if self._rich is not None:
            self._rich.stop()
            self._rich = None
