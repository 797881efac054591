"""Builds other people's Dockerfiles whole, from their sources, checks the images and starts their programs.

    scripts/run python scripts/build_dockerfiles.py FOLDER [NAME...] [--json] [--keep DIR] [--hives DIR]

Each folder below FOLDER with a `build.json` is one, or those that are named. All of that file is optional:

    {"repository": "whose", "level": "L1",
     "context": "context", "dockerfile": "context/Dockerfile", "target": "", "platform": "",
     "arguments": {"VERSION": "1.0"}, "contexts": {"golang:1.15": "docker-image://golang:1.16"}, "environment": {},
     "downloads": {"https://example.com/tool.zip": "tool.zip", "https://example.com/repository.git/": "bare/"},
     "bases": {"docker.io/library/golang:1.26": "golang.tar"},
     "program": "", "start": ["--version"], "status": 0, "port": 8080, "path": "/",
     "assumed": "what had to be put in the place of something"}

Paths are relative to the folder. The context is what the author's build has: a checkout, and what was compiled before.
What steps download is served from files, through HTTPS_PROXY and --ca-file. With `start` the image is started with these
arguments, a Windows one under Wine, and must end with `status`, or with `port` answer there and stop when asked;
`program` stands in the place of its Entrypoint.

Bases are not pulled: for each that the plan names, a stand-in is served on loopback (`wingo.testing.stand_ins`), Linux
ones made of Debian's busybox-static or, with `bases`, of the tar of a root directory. `--hives DIR` has registry hives of your own for the Windows ones: DIR/SAM, …. A
base that is pinned by a digest is replaced by its tag with --build-context.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import msgspec

from wingo.cli.render import Console
from wingo.dockerfile.bases import assume_facts
from wingo.dockerfile.graph import SourceKind
from wingo.dockerfile.planned import Plan
from wingo.dockerfile.source import printable
from wingo.dockerfile.steps import CopyFiles
from wingo.host import Host
from wingo.oci.digest import Digest
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference
from wingo.pipeline.dockerfile_planning import plan_request
from wingo.pipeline.dockerfile_request import Asked, read_dockerfile_request
from wingo.testing.downloads import DownloadProxy, certificate_for
from wingo.testing.images import image_of, layer_of_tar
from wingo.testing.registry import RegistryServer
from wingo.testing.stand_ins import stand_in

WINGO = (sys.executable, "-c", "from wingo.cli.main import entry; entry()")
TIMEOUT = 124
_HIVES = ("DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM")


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `build.json`; see above."""

    repository: str = ""
    level: str = ""
    context: str = "context"
    dockerfile: str = "context/Dockerfile"
    target: str = ""
    platform: str = ""
    arguments: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    downloads: Mapping[str, str] = {}
    bases: Mapping[str, str] = {}
    program: str = ""
    start: tuple[str, ...] | None = None
    status: int = 0
    port: int = 0
    path: str = "/"
    assumed: str = ""


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one.

    Attributes:
        result: "built", or the first line of what is wrong.
        steps: how many of each kind ran.
        size: of wingo's own layers, compressed, in bytes.
        seconds: of the build, of which `processor` is time of processors.
        check: the rules that `wingo check` found broken.
        started: what the program printed first, and how it ended; "" when it was not started.
        bases: what stood in for what.
    """

    name: str
    case: Case
    result: str
    output: str = ""
    steps: Mapping[str, int] = {}
    size: int = 0
    seconds: float = 0
    processor: float = 0
    check: tuple[str, ...] = ()
    started: str = ""
    bases: tuple[str, ...] = ()


class Site:
    """A registry of stand-ins, and wingo with a cache of its own."""

    def __init__(self, server: RegistryServer, folder: Path, hives: Mapping[str, bytes]) -> None:
        self.server, self.folder, self.hives = server, folder, hives
        self.mirrors: dict[str, None] = {}
        self._added: set[str] = set()
        self._busybox: tuple[bytes, tuple[str, ...]] = (b"", ())

    def build(self, name: str, folder: Path, *, timeout: float) -> Built:
        """Builds, checks and starts one."""
        case = msgspec.json.decode((folder / "build.json").read_bytes(), type=Case)
        environment = {**os.environ, "WINGO_CACHE_DIR": str(self.folder / "cache"), **case.environment}
        plans = plan_request(read_dockerfile_request(_asked(case, folder), self._host()), None)
        bases, contexts = self._bases(plans, folder, case)
        output = self.folder / "images" / name
        argv = ["build", str(folder / case.context), "-f", str(folder / case.dockerfile), "-o", f"oci:{output}:t"]
        argv += ["--json", "--allow-network", *self._mirrors()]
        argv += [word for item in contexts for word in ("--build-context", item)]
        argv += [word for item in case.contexts.items() for word in ("--build-context", "=".join(item))]
        argv += [word for item in case.arguments.items() for word in ("--build-arg", "=".join(item))]
        for flag in ("target", "platform"):
            if value := getattr(case, flag):
                argv += [f"--{flag}", value]
        began, used = time.monotonic(), _processor_seconds()
        try:
            with ExitStack() as stack:
                if case.downloads:
                    files = {url: folder / name for url, name in case.downloads.items()}
                    authority, tls = certificate_for(files, Path(stack.enter_context(tempfile.TemporaryDirectory())))
                    proxy = stack.enter_context(DownloadProxy(files, tls)).url
                    modules = {"proxy.golang.org", "sum.golang.org", *_hosts(os.environ.get("GOPROXY", ""))}
                    environment |= {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "NO_PROXY": ",".join(sorted(modules))}
                    environment["GIT_SSL_CAINFO"] = str(authority)
                    argv += ["--ca-file", str(authority)]
                done = _wingo(argv, environment, timeout)
        except subprocess.TimeoutExpired:
            return Built(name=name, case=case, result=f"not done after {timeout:.0f} s", bases=bases)
        seconds, processor = time.monotonic() - began, _processor_seconds() - used
        if done.returncode:
            return Built(
                name=name, case=case, result=_first_error(done.stderr), output=done.stderr, seconds=seconds, bases=bases
            )
        report = json.loads(done.stdout)
        place = f"oci:{output}:t"
        checked = _wingo(["check", "--json", place], environment)
        return Built(
            name=name,
            case=case,
            result="built",
            output=done.stderr,
            steps=_steps(plans),
            size=report["programs"][0].get("layerBytes", 0),
            seconds=round(seconds, 1),
            processor=round(processor, 1),
            check=_codes(checked.stdout) if checked.returncode in {0, 1} else (_first_error(checked.stderr),),
            started=self._start(case, place, environment) if case.start is not None else "",
            bases=bases,
        )

    def _host(self) -> Host:
        return Host(
            environment=os.environ,
            directory=os.getcwd(),
            cache_directory=str(self.folder / "cache"),
            processors=os.cpu_count() or 1,
            console=Console(sys.stderr, sys.stderr),
        )

    def _bases(self, plans: Sequence[Plan], folder: Path, case: Case) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Serves what the plan's FROM and --from name; what it is, and the --build-context of what is pinned."""
        contexts: dict[str, None] = {}
        found: dict[str, None] = {}
        for plan in plans:
            above = all(stage.compiles_only for stage in plan.stages if stage.base.kind is SourceKind.STAGE)
            for stage in plan.stages:
                pulled = stage.base.kind is SourceKind.IMAGE and not (stage.compiles_only and above)
                images = [stage.base.image] if pulled else []
                images += [
                    step.action.source.image
                    for step in stage.steps
                    if isinstance(step.action, CopyFiles) and step.action.source.kind is SourceKind.IMAGE
                ]
                for image in images:
                    assert image is not None
                    if image.digest:
                        tagged = msgspec.structs.replace(image, digest=Digest(""), tag=image.tag or "latest")
                        contexts[f"{image}=docker-image://{tagged}"] = None
                        image = tagged  # noqa: PLW2901
                    root = case.bases.get(str(image), "")
                    found[self._add(image, stage.platform, folder / root if root else None)] = None
        return tuple(found), tuple(contexts)

    def _add(self, reference: Reference, platform: Platform, root: Path | None) -> str:
        place = f"{reference.registry}/{reference.repository}:{reference.tag}"
        self.mirrors[reference.registry] = None
        if platform.os != "windows" and not self._busybox[0]:
            program = "/bin/busybox"
            names = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout.split()
            self._busybox = (Path(program).read_bytes(), tuple(names))
        if place not in self._added:
            self._added.add(place)
            program_bytes, applets = self._busybox
            image = stand_in(reference, platform, busybox=program_bytes, applets=applets, hives=self.hives)
            if root is not None:
                known = assume_facts(reference, platform).config.settings
                settings = {"Env": known.env, "WorkingDir": known.working_dir}
                config = {"os": platform.os, "architecture": platform.architecture, "config": settings}
                image = image_of([layer_of_tar(root.read_bytes())], config)
            self.server.add(f"{self.server.host}/{place}", image)
        return str(reference)

    def _mirrors(self) -> list[str]:
        return [word for name in self.mirrors for word in ("--mirrors", f"{name}={self.server.host}/{name}")]

    def _start(self, case: Case, place: str, environment: Mapping[str, str]) -> str:
        environment = {**environment, "WINGO_STATE_DIR": str(self.folder / "state")}
        if case.port:
            return self._ask(case, place, environment)
        argv = ["run", "--rm", "--timeout", "20s", *(["--entrypoint", case.program] if case.program else [])]
        done = _wingo([*argv, place, "--", *(case.start or ())], environment)
        said = [printable(line.strip()) for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        if done.returncode != case.status:
            return f"ended with {done.returncode} instead of {case.status}: {' | '.join(said[-3:])}"
        said = [line for line in said if not line.startswith(("note: ", "warning: ", "ended: "))]
        ended = "runs until it is stopped" if done.returncode == TIMEOUT else f"exit code {done.returncode}"
        return f"{said[0][:80]!r}, {ended}" if said else ended

    def _ask(self, case: Case, place: str, environment: Mapping[str, str]) -> str:
        name, words = f"asked-{os.getpid()}", ["--", *(case.start or ())] if case.start else []
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        argv = ["run", place, "-d", "--name", name, "-p", f"{port}:{case.port}"]
        argv += ["--entrypoint", case.program] if case.program else []
        started = _wingo([*argv, *words], environment)
        try:
            if started.returncode:
                return f"ended with {started.returncode}: {_first_error(started.stderr)}"
            answer = _answer(f"http://127.0.0.1:{port}{case.path}")
            stopped = _wingo(["stop", name, "--json"], environment)
            return f"{answer}; stopped with {json.loads(stopped.stdout)[0]['exitCode']}"
        finally:
            _wingo(["stop", "--rm", name], environment)


def _asked(case: Case, folder: Path) -> Asked:
    return Asked(
        file=str(folder / case.dockerfile),
        context=str(folder / case.context),
        target=case.target,
        platforms=(case.platform,) if case.platform else (),
        build_args=tuple("=".join(item) for item in case.arguments.items()),
        contexts=tuple("=".join(item) for item in case.contexts.items()),
    )


def _steps(plans: Sequence[Plan]) -> dict[str, int]:
    kinds = [step.kind.value for plan in plans for stage in plan.stages for step in stage.steps]
    return {kind: kinds.count(kind) for kind in sorted(set(kinds))}


def _wingo(
    argv: Sequence[str], environment: Mapping[str, str], timeout: float | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WINGO, *argv], env=environment, timeout=timeout, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", check=False,
    )  # fmt: skip


def _answer(url: str, seconds: float = 60) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urlopen(url, timeout=5) as answer:
                return (
                    f"answers {answer.status} {answer.read(60).decode('utf-8', 'replace').split(chr(10))[0].strip()!r}"
                )
        except HTTPError as error:
            return f"answers {error.code}"
        except OSError as error:
            if time.monotonic() > deadline:
                return f"ended with no answer: {error}"
            time.sleep(0.2)


def _hosts(addresses: str) -> list[str]:
    return [host for word in addresses.replace("|", ",").split(",") if (host := urlsplit(word).hostname)]


def _first_error(text: str) -> str:
    lines = [line for line in text.splitlines() if line.startswith("error: ")]
    return lines[0] if lines else (text.strip().splitlines() or ["failed, and said nothing"])[-1]


def _codes(report: str) -> tuple[str, ...]:
    findings = [item for place in json.loads(report)["places"] for item in place.get("findings", ())]
    return tuple(
        dict.fromkeys(item["rule"] if item["severity"] != "error" else f"error {item['rule']}" for item in findings)
    )


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def table(results: Sequence[Built]) -> str:
    """The results as a Markdown table."""
    lines = ["| | level | repository | steps | layers | time | check | started | assumed |", "| " + " --- |" * 9]
    for item in results:
        case = item.case
        if item.result != "built":
            lines.append(f"| {item.name} | {case.level} | {case.repository} | {item.result} | | | | | {case.assumed} |")
            continue
        steps = ", ".join(f"{count} {kind}" for kind, count in item.steps.items())
        cells = (
            *(item.name, case.level, case.repository, steps, f"{item.size / 1e6:.1f} MB"),
            f"{item.seconds:.0f} s ({item.processor:.0f} s)",
            *(", ".join(item.check) or "clean", item.started, case.assumed),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def main(argv: Sequence[str]) -> int:
    """Builds and prints; the exit code is 1 when one could not be built or started."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--keep", type=Path, help="the cache and the images, for the next time")
    parser.add_argument("--hives", type=Path, help="registry hives of Windows bases")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one build")
    args = parser.parse_args(argv)
    names = args.names or sorted(path.parent.name for path in args.folder.glob("*/build.json"))
    given = {name: args.hives / name for name in _HIVES} if args.hives is not None else {}
    hives = {name: path.read_bytes() for name, path in given.items() if path.is_file()}
    results: list[Built] = []
    with ExitStack() as stack:
        keep = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        site = Site(stack.enter_context(RegistryServer()), keep, hives)
        for name in names:
            results.append(site.build(name, args.folder.resolve() / name, timeout=args.timeout))
            print(f"{name}: {results[-1].result}", file=sys.stderr, flush=True)
    print(msgspec.json.format(msgspec.json.encode(results)).decode() if args.json else table(results))
    good = all(item.result == "built" and not item.started.startswith("ended with") for item in results)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
