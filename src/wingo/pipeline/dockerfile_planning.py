"""`wingo plan`: a Dockerfile's plan for each platform, with what bases say where they can be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from wingo.dockerfile.bases import assume_facts
from wingo.dockerfile.graph import SourceKind, make_graph
from wingo.dockerfile.plan import Facts, plan_dockerfile
from wingo.dockerfile.planned import Plan
from wingo.dockerfile.source import At
from wingo.errors import WingoError
from wingo.pipeline.dockerfile_bases import DockerfileBases
from wingo.pipeline.dockerfile_copy import LINK, place
from wingo.pipeline.dockerfile_files import Context
from wingo.pipeline.dockerfile_request import DockerfileRequest

if TYPE_CHECKING:
    from wingo.archive.entry import Content
    from wingo.dockerfile.steps import CopyFiles
    from wingo.dockerfile.windows_stage import Brings
    from wingo.pipeline.places import Places


def plan_request(request: DockerfileRequest, places: Places | None) -> tuple[Plan, ...]:
    """One plan for each platform.

    Args:
        request: what is asked for.
        places: where bases are asked; None: nobody is, and their names say what they are.

    Raises:
        RequestError: the Dockerfile cannot be planned.
    """
    facts = DockerfileBases(places, layouts=request.layouts).facts_or_names if places is not None else assume_facts
    brings = context_brings(Context(request.context, request.path))
    return tuple(_plan(request, number, facts, brings) for number in range(len(request.options)))


def _plan(request: DockerfileRequest, number: int, facts: Facts, brings: Brings) -> Plan:
    from wingo.dockerfile.windows_stage import begin_stage

    options = request.options[number]
    graph = make_graph(request.dockerfile, options)
    return plan_dockerfile(
        request.dockerfile,
        options,
        facts=facts,
        windows=lambda found: begin_stage(found, brings, runs_programs=request.run_windows),
        graph=graph,
    )


def context_brings(context: Context) -> Brings:
    """What COPY brings from the build context, for the lowering of a plan."""

    def brings(action: CopyFiles, is_directory: Callable[[str], bool]) -> Sequence[tuple[str, Content | None]] | None:
        if action.source.kind is not SourceKind.CONTEXT or action.source.name or action.unpack:
            return None
        try:
            placed = place(action, context, is_directory, _NOWHERE, from_context=True)
        except WingoError:
            return None  # the build says what is wrong
        found = [item for item in placed if item.found.kind != LINK]
        return [(f"C:\\{item.path}", item.found.content) for item in found]

    return brings


_NOWHERE = At("", 0)
