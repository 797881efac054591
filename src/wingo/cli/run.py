"""`wingo run`."""

from __future__ import annotations

import argparse
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of, shared
from wingo.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wingo.host import Host
    from wingo.launch.policy import Table
    from wingo.launch.spec import Limits, RunRequest
    from wingo.launch.stack import Storage
    from wingo.launch.start import Outcome, Running
    from wingo.pipeline.run import Started

_DESCRIPTION = """\
Starts an image's program here, without Docker and without root: its layers are unpacked once and stacked, the program gets
namespaces, limits and a seccomp filter of its own. Standard streams, signals and the exit code pass through.
"""

_EPILOG = """\
examples:
  wingo run oci:out -- --help
  wingo run registry.example/team/app:v1 -p 8080:80 -e LEVEL=debug --memory 256m
  wingo run oci:out -d --name app -p 8080:80 && wingo logs app && wingo stop app
  wingo run --debug-step

Without -d and --name, a container leaves nothing behind. Exit codes of wingo's own: 124 after --timeout, 126 when the program
cannot be executed, 127 when it is not there, 128 + N when signal N ended it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo run`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument(
        "place",
        nargs="?",
        metavar="PLACE",
        help="a registry's reference, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]",
    )
    parser.add_argument("args", metavar="ARG", nargs="*", help="after '--': in the place of the image's Cmd")
    what = parser.add_argument_group("what is run")
    what.add_argument("--platform", metavar="PLATFORM", help="the image of an index to start; default: this machine's")
    what.add_argument(
        "-e", "--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable; NAME alone: as here"
    )
    what.add_argument("-u", "--user", metavar="USER[:GROUP]", help="who the program runs as")
    what.add_argument("-w", "--workdir", metavar="PATH", help="the directory that it starts in")
    what.add_argument("--entrypoint", metavar="PROGRAM", help="instead of the image's Entrypoint; '' for none")
    what.add_argument("--name", metavar="NAME", help="the container's name; it is kept when it ends")
    what.add_argument(
        "-d", "--detach", action="store_true", help="print the name and return; see wingo logs and wingo stop"
    )
    what.add_argument("--rm", action="store_true", help="remove the container when it ends, though it has a name or -d")
    what.add_argument(
        "--debug-step",
        nargs="?",
        const="",
        metavar="STEP",
        help="instead of an image: where a step of 'wingo build -f' failed, the last one by default; a shell unless '-- PROGRAM'",
    )
    what.add_argument("--timeout", metavar="TIME", help="end it after this time: 30s, 5m; the exit code is 124 then")
    what.add_argument("--grace", metavar="TIME", help="from the stop signal to SIGKILL; default 10s")
    reach = parser.add_argument_group("what it reaches")
    reach.add_argument(
        "-p",
        "--publish",
        action="append",
        default=[],
        metavar="[[ADDR:]HOST:]PORT",
        help="listen here for a port of it; ADDR is 127.0.0.1 by default, HOST any free port",
    )
    reach.add_argument(
        "-v",
        "--volume",
        action="append",
        default=[],
        metavar="PATH:TARGET[:ro]",
        help="a file or directory of this machine",
    )
    reach.add_argument(
        "--network", choices=("private", "none", "host"), help="default: private; as the step had it for --debug-step"
    )
    reach.add_argument("--read-only", action="store_true", help="the image's files cannot be changed")
    reach.add_argument(
        "--policy", metavar="FILE", help="a table of permissions; what it does not allow is denied and told"
    )
    reach.add_argument("--role", metavar="NAME", help="the role of the table that the program has")
    limits = parser.add_argument_group("how much it may use")
    limits.add_argument("--memory", metavar="SIZE", help="256m for instance")
    limits.add_argument("--cpus", metavar="N", help="processors' worth of time: 0.5, 2")
    limits.add_argument("--pids", metavar="N", help="processes and threads; default 2048, 0 for no limit")
    limits.add_argument("--disk", metavar="SIZE", help="what it may write into its own layer; default 10g")
    how = parser.add_argument_group("how it is started")
    how.add_argument("--explain", action="store_true", help="tell the five steps of the start and their times")
    how.add_argument(
        "--engine",
        default="auto",
        metavar="NAME",
        help="crun, runc, bubblewrap or wingo; default: the first that is installed",
    )
    how.add_argument(
        "--with-base", action="store_true", help="Windows: the base's files too, where Wine has none of its own"
    )
    how.add_argument("--storage", metavar="WAY", help="overlay, fuse-overlayfs or copy; default: the first that works")
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Starts the program, and ends as it does."""
    if args.debug_step is not None:
        return _debug(args, host)
    if args.place is None:
        raise RequestError("there is nothing to run", hint="Name an image: wingo run PLACE.")
    from wingo.launch.spec import plan_streams
    from wingo.oci.place import parse_place
    from wingo.pipeline.places import Places
    from wingo.pipeline.run import RunOptions, run_image

    platform, args.platform = args.platform or "", None
    machine = host.machine
    terminal = not (args.detach or args.json) and _is_terminal(host)
    request, table = _request(args, host, terminal=terminal), _table(args, host)
    person, program = _open_terminal(host) if terminal else (-1, -1)
    options = RunOptions(
        platform=platform,
        engine=args.engine,
        storages=_storages(args.storage),
        stdio=plan_streams(host.stdio, program, detach=args.detach, report_on_stdout=args.json),
        terminal=terminal,
        with_base=args.with_base,
        table=table,
        table_name=args.policy or "",
        role=args.role or "",
        hook=_hook(args, host, table),
    )
    with Places(host, settings_of(shared(args), host)) as places:
        source = parse_place(args.place, default_tag="latest")
        started = run_image(source, request, options, places, machine, host.containers, host.now, lambda: host.runner)
        # The layers are there: nothing is read from anywhere any more.
    if terminal:
        os.close(program)
    return _follow(args, host, started, request.grace, person)


_NOT_FOR_STEPS = ("platform", "name", "detach", "publish", "policy", "role", "with_base", "storage")


def _debug(args: argparse.Namespace, host: Host) -> int:
    """Starts a program where a step of a Dockerfile failed."""
    from wingo.launch.failed_steps import failed_containers
    from wingo.launch.spec import plan_streams
    from wingo.pipeline.debug_step import debug_step, without_shell
    from wingo.pipeline.run import RunOptions

    for field in _NOT_FOR_STEPS:
        if getattr(args, field):
            raise RequestError(f"--{field.replace('_', '-')} is for an image, and means nothing with --debug-step")
    if args.place is not None:
        raise RequestError(
            f"{args.place!r} and --debug-step contradict each other", hint="Write the program after '--'."
        )
    machine = host.machine
    terminal = not args.json and _is_terminal(host)
    request = _request(args, host, terminal=terminal)
    person, program = _open_terminal(host) if terminal else (-1, -1)
    options = RunOptions(
        engine=args.engine,
        stdio=plan_streams(host.stdio, program, detach=False, report_on_stdout=args.json),
        terminal=terminal,
    )
    started = debug_step(args.debug_step, request, options, machine, failed_containers(host.cache_directory), host.now)
    if terminal:
        os.close(program)
    without = without_shell(started.running.name) if not request.args else ""
    return _follow(args, host, started, request.grace, person, without)


def _follow(
    args: argparse.Namespace, host: Host, started: Started, grace: float, terminal: int, without: str = ""
) -> int:
    """Tells of the start, then waits for the end, unless the container is to live on.

    Args:
        args: the flags.
        host: whose console it is.
        started: the container.
        grace: seconds from the stop signal to SIGKILL.
        terminal: its other end; -1: there is none.
        without: what to do when the program is not there.
    """
    running = started.running
    for note in started.notes:
        host.console.note(note)
    with _passing_signals_on(running, grace):
        runs = running.started()
        if args.explain:
            for step in (*started.steps, *running.steps):
                host.console.say(
                    f"  {step.seconds * 1000:8.1f} ms  {step.step.value:<38} {host.console.dim(step.detail)}"
                )
        for note in running.notes:
            host.console.note(note)
        for port in running.ports:
            host.console.say(f"listening on {port}")
        if args.detach and runs:
            running.close()
            return _report(args, host, started, None)
        if terminal >= 0 and runs:
            from wingo.launch.terminal import relay

            return _report(args, host, started, relay(running, host.stdio[0], host.stdio[1], terminal))
        outcome = running.wait()
        if terminal >= 0:
            os.close(terminal)
        if without and not runs:
            import msgspec

            outcome = msgspec.structs.replace(outcome, hint=without)
        return _report(args, host, started, outcome)


def _report(args: argparse.Namespace, host: Host, started: Started, outcome: Outcome | None) -> int:
    for denial in outcome.denied if outcome is not None else ():
        host.console.note(denial_text(denial))
    if outcome is not None and outcome.reason:
        host.console.ended(outcome.reason, outcome.hint)
    if args.json:
        import json

        import msgspec

        report: dict[str, object] = {"name": started.running.name, "ports": msgspec.to_builtins(started.running.ports)}
        report["steps"] = [
            {"step": step.step.name.lower(), "seconds": round(step.seconds, 6), "detail": step.detail}
            for step in (*started.steps, *started.running.steps)
        ]
        report["notes"] = [*started.notes, *started.running.notes]
        if outcome is not None:
            report |= {"exitCode": outcome.exit_code, "reason": outcome.reason, "denied": list(outcome.denied)}
        host.console.result(json.dumps(report, indent=2))
    elif outcome is None:
        host.console.result(started.running.name)
    return OK if outcome is None else outcome.exit_code


def denial_text(denial: Mapping[str, object]) -> str:
    """A denial for people."""
    from wingo.cli.render import one_line

    rule = denial.get("rule")
    why = f"by the rule {rule}" if rule else "as no rule allows it"
    text = f"denied: {denial.get('action')} {denial.get('resource')}, {why} (role {denial.get('role')})"
    return one_line(text)


def _request(args: argparse.Namespace, host: Host, *, terminal: bool) -> RunRequest:
    from wingo.launch.spec import GRACE_SECONDS, Network, RunRequest, anchored, parse_duration, parse_mount, parse_port

    env = tuple(_variable(item, host) for item in args.env)
    if terminal and "TERM" in host.environment:
        env = (f"TERM={host.environment['TERM']}", *env)
    mounts = [parse_mount(text) for text in args.volume]
    return RunRequest(
        name=args.name or "",
        args=tuple(args.args),
        env=env,
        ports=tuple(parse_port(text) for text in args.publish),
        mounts=tuple(anchored(mount, host.path) for mount in mounts),
        user=args.user,
        cwd=args.workdir,
        entrypoint=None if args.entrypoint is None else tuple(filter(None, [args.entrypoint])),
        limits=_limits(args),
        read_only=args.read_only,
        network=Network(args.network) if args.network else None,
        tty=terminal,
        detach=args.detach,
        remove=args.rm,
        timeout=parse_duration(args.timeout, "--timeout") if args.timeout else 0.0,
        grace=parse_duration(args.grace, "--grace") if args.grace else GRACE_SECONDS,
    )


def _variable(text: str, host: Host) -> str:
    from wingo.errors import RequestError

    name, equals, _ = text.partition("=")
    if not name:
        raise RequestError(
            f"-e {text!r} names no variable", hint="Write -e NAME=VALUE, or -e NAME for the value that it has here."
        )
    return text if equals else f"{name}={host.environment.get(name, '')}"


def _limits(args: argparse.Namespace) -> Limits:
    from wingo.launch.spec import Limits, parse_count, parse_cpus, parse_memory, parse_size

    plain = Limits()
    return Limits(
        memory=parse_memory(args.memory) if args.memory else 0,
        cpus=parse_cpus(args.cpus) if args.cpus else 0.0,
        pids=parse_count(args.pids, "--pids") if args.pids else plain.pids,
        disk=parse_size(args.disk, "--disk") if args.disk else plain.disk,
    )


def _table(args: argparse.Namespace, host: Host) -> Table | None:
    from wingo.launch.policy import parse_table

    if bool(args.policy) != bool(args.role):
        raise RequestError("--policy and --role go together", hint="Write --policy FILE --role NAME.")
    if not args.policy:
        return None
    if args.engine not in ("auto", "wingo"):
        raise RequestError(
            f"{args.engine} cannot hold a program to a policy", hint="Leave out --engine: wingo's own then starts it."
        )
    return parse_table(host.read_text(host.path(args.policy)).encode(), args.policy)


def _hook(args: argparse.Namespace, host: Host, table: Table | None) -> str:
    """The text of the script that the table names, beside the table."""
    if table is None or not table.hook:
        return ""
    return host.read_text(os.path.join(host.folder_of(args.policy), table.hook))


def _storages(name: str | None) -> tuple[Storage, ...]:
    from wingo.launch.stack import Storage

    if not name:
        return tuple(Storage)
    names = {storage.value: storage for storage in Storage}
    if name not in names:
        raise RequestError(f"there is no storage {name[:40]!r}", hint=f"Choose one of {', '.join(names)}.")
    return (names[name],)


def _is_terminal(host: Host) -> bool:
    return os.isatty(host.stdio[0]) and os.isatty(host.stdio[1])


def _open_terminal(host: Host) -> tuple[int, int]:
    from wingo.launch.terminal import copy_size, open_terminal

    person, program = open_terminal()
    copy_size(host.stdio[1], person)
    return person, program


@contextmanager
def _passing_signals_on(running: Running, grace: float) -> Iterator[None]:
    """Signals to wingo are the program's: a stop gives it time, the second one does not."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = 0

    def stop(number: int, _: object) -> None:
        nonlocal stops
        stops += 1
        # SIGTERM is the wish that the image has its own signal for.
        running.stop(grace if stops == 1 else 0.0, 0 if number == signal.SIGTERM else number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT):
        before[number] = signal.signal(number, lambda number, _: running.signal(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
