"""`wingo bench`: images measured side by side: sizes, and what a start takes until the program is ready.

A run is measured as `wingo run` makes it, from the call that starts it to the program's first output or first answer.
The first run of an image unpacks its layers and stands by itself; the median is of the runs after it.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import msgspec

from wingo.errors import HostError, RequestError, WingoError
from wingo.image.model import Image
from wingo.launch.metering import Sample, sample
from wingo.launch.spec import Port, RunRequest
from wingo.launch.start import Outcome, Running
from wingo.launch.stopping import find_process
from wingo.launch.wine.finding import NoWine
from wingo.oci.place import Place
from wingo.pipeline.base_layers import base_of
from wingo.pipeline.run import RunOptions, Started, read_runnable, run_image
from wingo.pipeline.viewing import layer_files

if TYPE_CHECKING:
    from wingo.launch.containers import Containers
    from wingo.launch.machine import Machine
    from wingo.launch.wine.finding import Runner
    from wingo.pipeline.places import Places

_POLL_SECONDS = 0.002
_SAMPLE_SECONDS = 0.02
_SETTLE_SECONDS = 0.15
"""After a server is ready: what it allocates at its first answer is measured too."""
_TAIL = 2000
_HTTP = re.compile(r"http://(?:localhost|127\.0\.0\.1)?(?::([0-9]{1,5}))?(/[^\s]*)?\Z")


class Ready(msgspec.Struct, frozen=True):
    """When a program counts as started.

    Attributes:
        kind: "output" (it prints something, or ends well), "http", "tcp" or "stdout".
        port: the program's, for "http" and "tcp".
        path: asked for by "http"; every status below 500 will do.
        pattern: for "stdout": a regular expression that its output matches.
    """

    kind: str = "output"
    port: int = 0
    path: str = "/"
    pattern: str = ""


class Numbers(msgspec.Struct, frozen=True):
    """Values of several runs.

    Attributes:
        median: of them.
        low: the least.
        high: the greatest.
        values: all, in their order.
    """

    median: float
    low: float
    high: float
    values: tuple[float, ...]


class BenchRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One image.

    Attributes:
        name: what it is called in the table.
        place: where it was read.
        platform: the image's.
        digest: of its manifest.
        download: bytes of the config and of the layers as stored.
        disk: bytes of the layers unpacked; None when a layer is not at hand.
        layers: how many.
        base_layers: how many of them are the base's.
        base_download: bytes of those, as stored.
        first: seconds of the first start, which unpacks; None when it was not started.
        start: seconds until it was ready.
        memory: bytes, see `wingo.launch.metering`.
        cpu: seconds of processor time until then.
        notes: what is to be known of this row.
    """

    name: str
    place: str
    platform: str
    digest: str
    download: int
    disk: int | None
    layers: int
    base_layers: int = 0
    base_download: int = 0
    first: float | None = None
    start: Numbers | None = None
    memory: Numbers | None = None
    cpu: Numbers | None = None
    notes: tuple[str, ...] = ()


class BenchReport(msgspec.Struct, frozen=True, rename="camel"):
    """What `wingo bench` measured.

    Attributes:
        rows: in the order asked for.
        runs: how many each median is of.
        ready: when a start counted as done.
        machine: where: kernel and processors.
        notes: what was left out, and why.
    """

    rows: tuple[BenchRow, ...]
    runs: int
    ready: Ready
    machine: str
    notes: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """What is to be measured.

    Attributes:
        name: what it is called.
        place: where it is.
        platform: which of an index; "": what `wingo run` would take.
        notes: what is to be known of it.
    """

    name: str
    place: Place
    platform: str = ""
    notes: tuple[str, ...] = ()


class Bench(msgspec.Struct, frozen=True):
    """How to measure.

    Attributes:
        request: what is run; its ports are added here.
        ready: when it has started.
        runs: how many after the first.
        seconds: the longest that a start may take.
        options: how it is started.
        tolerant: whether an image that does not start has a row with its sizes, and the reason; without Wine it always has.
    """

    request: RunRequest
    ready: Ready
    runs: int
    seconds: float
    options: RunOptions = RunOptions()
    tolerant: bool = False


class World(msgspec.Struct, frozen=True):
    """Where it is measured."""

    places: Places
    machine: Machine
    containers: Containers
    runner: Runner
    now: Callable[[], float]


def parse_ready(text: str) -> Ready:
    """Reads `--ready`.

    Raises:
        RequestError: it is none.
    """
    if not text:
        return Ready()
    if matched := _HTTP.match(text):
        return Ready("http", _port(matched[1] or "0", text), matched[2] or "/")
    kind, _, rest = text.partition(":")
    if kind == "tcp":
        return Ready("tcp", _port(rest or "0", text))
    if kind == "stdout" and rest:
        try:
            re.compile(rest.encode())
        except re.error as error:
            raise RequestError(f"--ready {text[:80]!r} is no regular expression: {error}") from error
        return Ready("stdout", pattern=rest)
    raise RequestError(
        f"--ready {text[:80]!r} says nothing that can be waited for",
        hint="Write http://:8080/healthz (the program itself is asked, no other host), tcp:8080 or stdout:PATTERN; without a "
        "port, the only one that the image exposes.",
    )


def _port(text: str, whole: str) -> int:
    if not text.isdigit() or int(text) > 65_535:
        raise RequestError(f"--ready {whole[:80]!r} has no port in it", hint="Write for instance tcp:8080.")
    return int(text)


def measure(
    candidates: Sequence[Candidate], bench: Bench, world: World, tell: Callable[[str], None], machine: str
) -> BenchReport:
    """Measures images one after another.

    Args:
        candidates: what is measured.
        bench: how.
        world: where.
        tell: is told which image is at hand.
        machine: how the report calls it.

    Raises:
        RequestError: an image is not there, or nothing says which port it is asked at.
        HostError: a program did not become ready.
    """
    rows = []
    for candidate in candidates:
        tell(f"measuring {candidate.name}")
        rows.append(_row(candidate, bench, world))
    return BenchReport(tuple(rows), bench.runs, bench.ready, machine)


def _row(candidate: Candidate, bench: Bench, world: World) -> BenchRow:
    image = read_runnable(candidate.place, candidate.platform, world.places, world.machine)
    base = base_of(image, world.places)
    layers = image.manifest.layers
    row = BenchRow(
        name=candidate.name,
        place=str(candidate.place),
        platform=str(image.platform),
        digest=image.digest,
        download=image.manifest.config.size + sum(layer.size for layer in layers),
        disk=_disk(image, world.places),
        layers=len(layers),
        base_layers=base.count,
        base_download=sum(layer.size for layer in layers[: base.count]),
        notes=candidate.notes,
    )
    ready = _with_port(bench.ready, image, candidate)
    try:
        first, *runs = [_once(candidate, ready, bench, world) for _ in range(bench.runs + 1)]
    except HostError as error:
        if not bench.tolerant and not isinstance(error, NoWine):
            raise
        return msgspec.structs.replace(row, notes=(*row.notes, f"not started: {error}"))
    return msgspec.structs.replace(
        row,
        first=first[0],
        start=_numbers([seconds for seconds, _ in runs]),
        memory=_numbers([float(used.memory) for _, used in runs]) if any(used.memory for _, used in runs) else None,
        cpu=_numbers([used.cpu for _, used in runs]) if any(used.cpu for _, used in runs) else None,
    )


def _disk(image: Image, places: Places) -> int | None:
    total = 0
    for number in range(len(image.layers)):
        files = layer_files(image, number, places, fetch=False)
        if files is None:
            return None
        total += sum(node.size for node in files.all_nodes())
    return total


def _numbers(values: Sequence[float]) -> Numbers:
    return Numbers(statistics.median(values), min(values), max(values), tuple(values))


def _with_port(ready: Ready, image: Image, candidate: Candidate) -> Ready:
    if ready.kind not in ("http", "tcp") or ready.port:
        return ready
    exposed = sorted(
        {int(port) for name in image.config.settings.exposed_ports or {} if (port := name.partition("/")[0]).isdigit()}
    )
    if len(exposed) != 1:
        has = f"exposes {', '.join(map(str, exposed))}" if exposed else "exposes no port"
        raise RequestError(
            f"{candidate.name} {has}, so --ready must say which", hint="Write for instance --ready http://:8080/."
        )
    return msgspec.structs.replace(ready, port=exposed[0])


def _once(candidate: Candidate, ready: Ready, bench: Bench, world: World) -> tuple[float, Sample]:
    """One start: seconds until ready, and what it had used by then."""
    read_end, write_end = os.pipe()
    nothing = os.open(os.devnull, os.O_RDONLY)
    options = msgspec.structs.replace(bench.options, platform=candidate.platform, stdio=(nothing, write_end, write_end))
    request = bench.request
    if ready.port:
        request = msgspec.structs.replace(request, ports=(Port(ready.port),))
    began = time.perf_counter()
    try:
        started = run_image(
            candidate.place,
            request,
            options,
            world.places,
            world.machine,
            world.containers,
            world.now,
            lambda: world.runner,
        )
    except BaseException:
        os.close(read_end)
        raise
    finally:
        os.close(write_end)
        os.close(nothing)
    with _Watched(started, read_end, candidate, bench, world) as watched:
        return watched.until_ready(ready, began)


class _Watched:
    """A start that is watched until it is ready; then it is ended, whatever happens."""

    def __init__(self, started: Started, output: int, candidate: Candidate, bench: Bench, world: World) -> None:
        self._running: Running = started.running
        self._output = output
        self._candidate = candidate
        self._bench = bench
        self._world = world
        self._text = b""
        self._outcome: Outcome | None = None
        self._process = 0
        self._used = Sample()
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> Self:
        os.set_blocking(self._output, False)
        self._selector.register(self._output, selectors.EVENT_READ)
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            if self._outcome is None:
                self._running.stop(2.0, 0 if exc[0] is None else signal.SIGKILL)
                while self._outcome is None:
                    # Its output must have somewhere to go, or it does not end.
                    self._hear(0.05)
        except WingoError:
            pass  # what went wrong before is said
        finally:
            self._selector.close()
            os.close(self._output)

    def until_ready(self, ready: Ready, began: float) -> tuple[float, Sample]:
        deadline = began + self._bench.seconds
        if not self._running.started():
            self._outcome = self._running.wait()
            raise self._ended_early()
        self._selector.register(self._running, selectors.EVENT_READ)
        with suppress(WingoError):
            self._process = find_process(self._world.containers, self._running.name)
        host_port = self._running.ports[0].host_port if ready.port else 0
        sampled = 0.0
        while not (host_port and self._outcome is None and _answers(ready, host_port)):
            now = time.perf_counter()
            if now > deadline:
                raise HostError(
                    f"{self._candidate.name} was not ready within {self._bench.seconds:g} seconds{self._printed()}",
                    hint="Look at --ready, or give it more with --timeout.",
                )
            if now - sampled > _SAMPLE_SECONDS:
                sampled = now
                self._measure()
            self._hear(_POLL_SECONDS)
            if not host_port and self._is_ready(ready):
                break
            if self._outcome is not None:
                if ready.kind != "output" or self._outcome.exit_code:
                    raise self._ended_early()
                break
        seconds = time.perf_counter() - began
        settled = time.perf_counter() + _SETTLE_SECONDS
        self._measure()
        while self._outcome is None and time.perf_counter() < settled:
            self._hear(_SAMPLE_SECONDS)
            self._measure()
        return seconds, self._used

    def _is_ready(self, ready: Ready) -> bool:
        if ready.kind == "output":
            return bool(self._text)
        return ready.kind == "stdout" and re.search(ready.pattern.encode(), self._text) is not None

    def _measure(self) -> None:
        if self._process and self._outcome is None:
            self._used = self._used.highest(sample(self._process))

    def _hear(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._running:
                self._outcome = self._running.hear()
                if self._outcome is not None:
                    self._selector.unregister(self._running)
                    self._read_all()
            else:
                self._read_all()

    def _read_all(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._output, 1 << 16):
                self._text = (self._text + data)[-(1 << 20) :]
            if self._output in self._selector.get_map():
                self._selector.unregister(self._output)

    def _ended_early(self) -> HostError:
        outcome = self._outcome
        assert outcome is not None
        why = f": {outcome.reason}" if outcome.reason else ""
        return HostError(
            f"{self._candidate.name} ended with {outcome.exit_code} before it was ready{why}{self._printed()}",
            hint=outcome.hint or "Start it with 'wingo run' and look at what it says.",
        )

    def _printed(self) -> str:
        tail = self._text[-_TAIL:].decode("utf-8", "replace").strip()
        return f"\n{tail}" if tail else ""


def _answers(ready: Ready, port: int) -> bool:
    """Whether a program answers at a port of this machine."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as made:
            if ready.kind == "tcp":
                # A forwarder takes the connection whoever is behind it, and closes it when nobody is.
                made.settimeout(0.05)
                try:
                    return bool(made.recv(1, socket.MSG_PEEK))
                except TimeoutError:
                    return True
            made.sendall(f"GET {ready.path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            made.settimeout(5.0)
            head = made.recv(64)
    except OSError:
        return False
    words = head.split(b" ")
    return head.startswith(b"HTTP/") and len(words) > 1 and words[1][:3].isdigit() and int(words[1][:3]) < 500
