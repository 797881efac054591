"""Long actions, drawn on a stream that only looks like a terminal."""

from __future__ import annotations

import io
import re
import threading
import time

import pytest

from wingo.cli import progress
from wingo.cli.render import Console
from wingo.errors import RequestError

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Stream(io.StringIO):
    """Looks like a terminal."""

    def isatty(self):
        return True


class Clock:
    """The time, moved by hand."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        raise AssertionError("lines never sleep")


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def logged(**options):
    stream = io.StringIO()
    return Console(io.StringIO(), stream, **options), stream


# Lines, for logs


def test_what_is_quick_is_not_worth_a_line(clock):
    console, stream = logged()
    task = console.progress.start("a layer", 100)
    task.advance(100)
    clock.now += 0.99
    task.done("sent")
    assert stream.getvalue() == ""


def test_what_took_long_gets_a_line_at_its_end(clock):
    console, stream = logged()
    first, second = console.progress.start("a layer", 100), console.progress.start("go build")
    clock.now += 1.25
    first.done("already there")
    second.done()
    assert stream.getvalue() == "a layer: already there (1.2 s)\ngo build: done (1.2 s)\n"


def test_what_lasts_gets_a_line_every_ten_seconds(clock):
    console, stream = logged()
    task = console.progress.start("a layer", 200)
    for _ in range(25):
        clock.now += 1
        task.advance(5)
    assert stream.getvalue() == "a layer … 25 %\na layer … 50 %\n"


def test_without_a_total_there_is_no_share(clock):
    console, stream = logged()
    for total in (None, 0):
        task = console.progress.start("go build", total)
        clock.now += 11
        task.advance(1)
    assert stream.getvalue() == "go build …\ngo build …\n"


def test_lines_have_no_control_characters(clock):
    console, stream = logged()
    task = console.progress.start("a layer", 10)
    clock.now += 11
    task.advance(1)
    task.done()
    console.progress.note("a note")
    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()
    assert "note: a note\n" in stream.getvalue()


def test_several_threads_may_advance_one_task(clock):
    console, stream = logged()
    task = console.progress.start("a layer", 4000)
    threads = [threading.Thread(target=lambda: [task.advance(1) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.now += 11
    task.advance(0)
    assert stream.getvalue() == "a layer … 100 %\n"


def test_quiet_draws_nothing(clock):
    for colour in (False, True):
        console, stream = logged(quiet=True, colour=colour)
        task = console.progress.start("a layer", 10)
        clock.now += 60
        task.advance(1)
        task.done()
        console.progress.note("a note")
        assert stream.getvalue() == ""


# Bars, for terminals


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    stream = Stream()
    console = Console(io.StringIO(), stream, drawing=True, colour=True)
    yield console, stream
    console.progress.close()


def wait_for(stream, text):
    limit = time.monotonic() + 20
    while text not in stream.getvalue():
        assert time.monotonic() < limit, f"{text!r} was never drawn: {stream.getvalue()!r}"
        time.sleep(0.01)


def plain(text):
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_bar_is_drawn_for_what_lasts_and_gone_when_over(terminal):
    console, stream = terminal
    task = console.progress.start("a layer", 10)
    task.advance(5)
    wait_for(stream, "a layer")
    assert HIDE in stream.getvalue()
    task.done("sent")
    wait_for(stream, SHOW)
    assert re.search(r"a layer: sent \(\d+\.\d s\)", plain(stream.getvalue()))


def test_what_is_quick_draws_nothing(terminal, monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 60)
    console, stream = terminal
    task = console.progress.start("a layer", 10)
    time.sleep(0.25)
    task.done()
    time.sleep(0.25)
    assert stream.getvalue() == ""


def test_there_is_one_drawing_however_many_ask(terminal):
    console, _ = terminal
    found = []
    threads = [threading.Thread(target=lambda: found.append(console.progress)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(item) for item in found}) == 1


def test_messages_stand_above_the_bars(terminal):
    console, stream = terminal
    task = console.progress.start("a layer", 10)
    wait_for(stream, "a layer")
    console.say(f"{console.good('pushed')} [bold]app[/bold]")
    console.progress.note("a note " + "x" * 200)
    drawn = plain(stream.getvalue())
    assert "pushed [bold]app[/bold]\n" in drawn
    assert "note: a note " + "x" * 200 + "\n" in drawn
    # The bar is drawn again below.
    assert drawn.rindex("a layer") > drawn.index("x" * 200)
    task.done()


def test_two_tasks_have_two_bars_and_the_last_one_ends_the_drawing(terminal):
    console, stream = terminal
    first, second = console.progress.start("first", 10), console.progress.start("second")
    wait_for(stream, "second")
    wait_for(stream, "first")
    first.done()
    assert SHOW not in stream.getvalue()
    second.done()
    wait_for(stream, SHOW)


@pytest.mark.parametrize("end", ["error", "interrupted"])
def test_an_error_ends_the_bars_first(terminal, end):
    console, stream = terminal
    task = console.progress.start("a layer", 10)
    wait_for(stream, "a layer")
    if end == "error":
        console.error(RequestError("it went wrong", hint="Mend it."))
    else:
        console.interrupted()
    text = stream.getvalue()
    assert text.index(SHOW) < text.index(f"{end}:")
    # Threads that have not heard of it yet draw no more.
    task.advance(1)
    task.done()
    console.progress.start("a late one")
    time.sleep(0.25)
    assert stream.getvalue() == text


def test_a_task_that_ends_twice_ends_once(terminal):
    console, stream = terminal
    task = console.progress.start("a layer", 10)
    wait_for(stream, "a layer")
    task.done("sent")
    task.done("sent")
    assert plain(stream.getvalue()).count("a layer: sent") == 1


def test_after_everything_is_over_it_can_begin_again(terminal):
    console, stream = terminal
    for name in ("one", "two"):
        task = console.progress.start(name)
        wait_for(stream, name)
        task.done()
    assert stream.getvalue().count(HIDE) == stream.getvalue().count(SHOW) == 2
