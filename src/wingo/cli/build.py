"""`wingo build`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.findings import say_warnings
from wingo.cli.flags import add_output, add_settings, settings_of
from wingo.cli.plan import add_dockerfile, asked_of

if TYPE_CHECKING:
    from wingo.cli.render import Console
    from wingo.host import Host
    from wingo.pipeline.report import BuildReport, ProgramReport
    from wingo.pipeline.settings import Layer, Settings

_DESCRIPTION = """\
Compiles Go programs, once per system and processor, puts them on base images and ships the result: one image per
platform, one index over them, one application layer that every Windows version shares.

A TARGET is a directory (.), packages of the current module (./cmd/app, ./cmd/...), or a published program
(github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@latest). Without one, the current directory is built.

With -f, a Dockerfile is built as it stands, and TARGET is its build context: Go steps by the local toolchain, Linux RUN
steps in a sandbox, Windows RUN steps as edits of files and registry ('wingo plan' says which is which). There -o may also be
as for 'docker buildx build': DIR or type=local,dest=DIR for the files, type=tar, type=oci, type=docker, type=registry, or -.
"""

_EPILOG = """\
examples:
  wingo build . --push -t registry.example/team/app:v1
  wingo build ./cmd/... --push -t registry.example/team/{name}:v1
  wingo build . --platform ltsc2022,ltsc2025,linux/amd64 -o oci:out
  wingo build . --base servercore --base linux=static --platform all -o docker-archive:app.tar -t app:v1
  wingo build -f Dockerfile . --build-arg VERSION=1.2 --push -t registry.example/team/app:v1

The result on stdout is the digest reference of what was pushed, one line per program, so that
docker run $(wingo build . --push -t registry.example/app) works.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo build`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to build; default: the current directory")
    add_dockerfile(parser)
    group = parser.add_argument_group("how a Dockerfile's steps are done")
    group.add_argument("--allow-network", action="store_true", help="steps that fetch something may")
    group.add_argument("--no-cache", action="store_true", help="do every step anew")
    group.add_argument(
        "--cache-from", action="append", metavar="PLACE", help="take steps' results from there: a reference or oci:DIR"
    )
    group.add_argument("--cache-to", action="append", metavar="PLACE", help="write steps' results to there")
    group.add_argument(
        "--step-timeout", metavar="TIME", help="a RUN that takes longer fails: 90s, 10m; default: none, 30m under Wine"
    )
    group.add_argument("--explain", action="store_true", help="print the plan as it goes")
    add_settings(parser)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Builds, ships and reports."""
    from wingo.pipeline.request import read_request

    targets = tuple(args.targets)
    args.targets = None
    if args.file:
        return _report(_of_dockerfile(args, targets, host), args, host)
    _refuse_dockerfile_flags(args)
    start = next((target for target in targets if host.is_directory(target)), "")
    settings = settings_of(args, host, start, below=_of_ko(targets, host, start))
    request = read_request(targets or settings.targets or (".",), settings, host)
    from wingo.pipeline.build import build

    return _report((build(request, host), settings), args, host)


def _report(built: tuple[BuildReport, Settings], args: argparse.Namespace, host: Host) -> int:
    report, settings = built
    if settings.metadata_file:
        from wingo.pipeline.report import as_json

        host.write_text(settings.metadata_file, as_json(report) + "\n")
    if args.json:
        from wingo.pipeline.report import as_json

        host.console.result(as_json(report))
    else:
        _say(report, host.console)
        for program in report.programs if getattr(args, "printed", True) else ():
            host.console.result(program.references[0] if program.references else program.digest)
    return OK


_WITHOUT_MEANING = (
    "base", "tags", "ldflags", "gcflags", "go_env", "keep_symbols", "user", "workdir", "env", "arg", "expose", "volume",
    "stop_signal", "copy", "data_dir", "reg", "disable_service",
)  # fmt: skip
"""Flags for what a Dockerfile says itself."""
_OF_DOCKERFILES = (
    "target",
    "build_arg",
    "build_context",
    "secret",
    "ssh",
    "run_windows",
    "step_timeout",
    "allow_network",
    "no_cache",
    "cache_from",
    "cache_to",
    "explain",
)


def _of_dockerfile(args: argparse.Namespace, targets: tuple[str, ...], host: Host) -> tuple[BuildReport, Settings]:
    """Builds a Dockerfile."""
    import msgspec

    from wingo.errors import RequestError
    from wingo.launch.spec import parse_duration
    from wingo.pipeline.dockerfile_build import DockerfileBuild, build_dockerfile
    from wingo.pipeline.dockerfile_cache import cache_places
    from wingo.pipeline.dockerfile_outputs import Outputs, read_outputs
    from wingo.pipeline.dockerfile_request import read_dockerfile_request
    from wingo.pipeline.request import read_request

    if len(targets) > 1:
        raise RequestError(f"a Dockerfile has one build context, not {len(targets)}", hint="Name one directory.")
    for field in _WITHOUT_MEANING:
        if getattr(args, field, None):
            flag = f"--{field.replace('_', '-')}"
            raise RequestError(f"{flag} and -f contradict each other", hint="Say it in the Dockerfile.")
    context = targets[0] if targets else "."
    outputs = read_outputs(args.output) if args.output else Outputs()
    args.output = list(outputs.places) or None
    args.name = [*(args.name or ()), *outputs.names] or None
    args.push = args.push or outputs.push
    if outputs.exports and not outputs.places and not args.push:
        args.name = None  # files have no name
    args.printed = not any(export.path == "-" for export in outputs.exports)
    if args.json and not args.printed:
        raise RequestError("both the tar and JSON would go to standard output", hint="Write -o type=tar,dest=FILE.")
    settings = settings_of(args, host, context)
    asked = asked_of(args, context, settings.platform)
    request = DockerfileBuild(
        dockerfile=read_dockerfile_request(asked, host),
        build=msgspec.structs.replace(read_request((".",), settings, host), exports=outputs.exports),
        allow_network=args.allow_network,
        no_cache=args.no_cache,
        explain=args.explain,
        step_timeout=parse_duration(args.step_timeout, "--step-timeout") if args.step_timeout else 0.0,
        cache_from=cache_places(args.cache_from or (), "--cache-from"),
        cache_to=cache_places(args.cache_to or (), "--cache-to"),
    )
    return build_dockerfile(request, host), settings


def _refuse_dockerfile_flags(args: argparse.Namespace) -> None:
    from wingo.errors import RequestError

    for field in _OF_DOCKERFILES:
        if getattr(args, field):
            flag = f"--{field.replace('_', '-')}"
            raise RequestError(f"{flag} is for building a Dockerfile", hint="Name it: -f Dockerfile.")


def _of_ko(targets: tuple[str, ...], host: Host, start: str) -> Layer:
    """What a .ko.yaml says, below everything that is wingo's own."""
    path = host.find_settings(start, ".ko.yaml")
    if path is None:
        return {}
    from wingo.pipeline.ko import from_ko

    values, notes = from_ko(host.read_text(path), path, targets or (".",), host.directory)
    for note in notes:
        host.console.note(note)
    return values


def _say(report: BuildReport, console: Console) -> None:
    for program in report.programs:
        console.say(_heading(program, console))
        for image in program.platforms:
            base = f"  on {image.base.rpartition('/')[2]}" if image.base else ""
            console.say(f"  {image.platform:<34} {console.dim(image.digest[7:19])}{console.dim(base)}")
        for reference in program.references:
            console.say(f"  {console.good('pushed')} {reference.partition('@')[0]}")
        for place in program.places:
            console.say(f"  {console.good('wrote')} {place}")
    say_warnings(report.findings, console)
    if not any(program.references or program.places for program in report.programs):
        console.note("nothing was shipped: add --push -t REGISTRY/NAME:TAG, or -o oci:DIR")
    built = "built from the cache" if report.from_cache else "built"
    how = "nothing had changed" if report.unchanged else built
    console.say(console.dim(f"{how} in {report.timings.get('total', 0):.2f} s"))


def _heading(program: ProgramReport, console: Console) -> str:
    size = f"{program.layer_bytes / 1e6:.1f} MB" if program.layer_bytes else ""
    return f"{console.strong(program.name)}  {console.dim(program.import_path)}  {size}"
