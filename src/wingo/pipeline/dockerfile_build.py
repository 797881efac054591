"""`wingo build -f Dockerfile CONTEXT`: look whether anything changed since the last build, else build, and remember.

A build in which nothing changed looks at what the last one read of the context and asks the registry what the bases' tags
stand for; what it does not need, planning and building among it, it does not import (`wingo.pipeline.dockerfile`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import HostError
from wingo.oci.digest import Digest
from wingo.oci.place import Place, parse_place
from wingo.pipeline.dockerfile_request import DockerfileRequest
from wingo.pipeline.healing import build_healing
from wingo.pipeline.memo import Beginning, Memo, begin, content_unchanged, keep_memo, memo_key, observed, read_memo
from wingo.pipeline.places import Places
from wingo.pipeline.report import BuildReport
from wingo.pipeline.unchanged import Asking, ship_again

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.dockerfile import Building
    from wingo.pipeline.request import BuildRequest

_NOT_IN_KEY = (
    "dockerfile",
    "build",
    "secrets",
    "agents",
    "no_cache",
    "explain",
    "step_timeout",
    "cache_from",
    "cache_to",
)
"""What says how to work, or is in the key in another form: the Dockerfile by its digest. A secret's value never counts, and neither does where an agent is."""


class DockerfileBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One build of a Dockerfile.

    Attributes:
        dockerfile: the Dockerfile and its flags.
        build: names, outputs and the other settings.
        allow_network: steps that fetch something may.
        no_cache: every step is done anew.
        explain: the plan is told as it goes.
        step_timeout: seconds that a RUN may take; 0: no limit in the sandbox, half an hour under Wine.
        cache_from: places that steps' results are taken from.
        cache_to: places that they are written to.
    """

    dockerfile: DockerfileRequest
    build: BuildRequest
    allow_network: bool = False
    no_cache: bool = False
    explain: bool = False
    step_timeout: float = 0.0
    cache_from: tuple[Place, ...] = ()
    cache_to: tuple[Place, ...] = ()


def build_dockerfile(request: DockerfileBuild, host: Host) -> BuildReport:
    """Builds a Dockerfile and ships the result.

    Raises:
        RequestError: the Dockerfile is wrong, a step is impossible or fails.
        HostError: this machine lacks something.
        RemoteError: a registry refuses or cannot be reached.
        ContentError: a base is not what it claims to be.
    """
    return build_healing(host, request.build.settings, lambda places: _build(request, host, places))


def _build(request: DockerfileBuild, host: Host, places: Places) -> BuildReport:
    key = memo_key(request.build, *_deciding(request, host))
    # Who wants to see steps, or takes and gives them away, wants them done, if only from the cache.
    steps_matter = request.no_cache or request.explain or request.cache_from or request.cache_to
    before = read_memo(places.cache, _slot(request))
    memo = before if before is not None and before.programs == (key,) and not steps_matter else None
    beginning = begin(places.cache)
    known: Mapping[Place, Digest] = {}
    if memo is not None:
        asking = Asking([parse_place(name) for name in memo.bases], places)
        asking.begin()
        if content_unchanged(memo) and asking.digests() == memo.bases:
            report = ship_again(memo, request.build, places)
            if report is not None:
                for note in memo.notes:
                    host.console.note(note)
                return report
        known = asking.found
    from wingo.pipeline.dockerfile import Building

    building = Building(request, host, places, known)
    report = building.run()
    same = before is not None and [last.digest for last in before.results] == [new.digest for new in report.programs]
    _remember(building, report, key, beginning, places)
    return msgspec.structs.replace(report, unchanged=same and not building.actions.ran)


def _slot(request: DockerfileBuild) -> str:
    """Names the memo: one for each image of a Dockerfile, whatever it says, so that edits and arguments do not fill the cache."""
    asked = request.dockerfile
    images = [(options.target, str(options.platform or "")) for options in asked.options]
    return sha256(msgspec.json.encode(("Dockerfile", asked.context, asked.path, images))).hexdigest()


def _deciding(request: DockerfileBuild, host: Host) -> list[object]:
    """What decides the result beside the context, the bases and the build's other settings."""
    from wingo.golang.toolchain import find_toolchain

    found: list[object] = [
        {name: getattr(part, name) for name in part.__struct_fields__ if name not in _NOT_IN_KEY}
        for part in (request, request.dockerfile)
    ]
    found.append((sorted(request.dockerfile.secrets), sorted(request.dockerfile.agents)))
    try:
        runner, directory = host.runner, host.directory
        toolchain = find_toolchain(host.environment, runner, python_path=sys.path, directory=directory)
        found.append(toolchain.identity)
    except HostError:
        pass  # the build says so when it needs one
    return found


def _remember(building: Building, report: BuildReport, key: str, beginning: Beginning, places: Places) -> None:
    actions = building.actions
    seen = None if actions.asks_again else observed(actions.watch(), beginning, actions.read)
    results = tuple(msgspec.structs.replace(program, references=(), places=()) for program in report.programs)
    # Without a key it is no shortcut, and only tells what the last build became.
    memo = Memo((), {}, (), (), results, ())
    if seen is not None:
        memo = Memo((key,), building.bases.digests(), *seen, results, report.notes)
    keep_memo(places.cache, _slot(building.request), memo)
