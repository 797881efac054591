"""A plan for people, as lines, and for programs, as JSON."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from wingo.dockerfile.graph import SourceKind
from wingo.dockerfile.planned import Plan, StagePlan
from wingo.dockerfile.source import printable
from wingo.dockerfile.steps import Step, StepKind


class StepReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One step.

    Attributes:
        line: in the Dockerfile.
        kind: "go", "sandbox", "lowered", "wine", "files", "metadata" or "impossible".
        edits: of a lowered step.
    """

    line: int
    instruction: str
    kind: str
    why: str
    advice: str = ""
    edits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class StageReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One stage that the image needs.

    Attributes:
        base: an image, a stage or "scratch".
        image_needed: the base is pulled; not so for a Go toolchain that only compiles.
        assumed: what is known of the base comes from its name.
    """

    name: str
    base: str
    platform: str
    why: str
    steps: tuple[StepReport, ...]
    image_needed: bool = False
    assumed: bool = False


class PlanReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A plan.

    Attributes:
        platform: of the image.
        target: the name of the stage that becomes the image.
        left_out: stages that it does not need.
        possible: there is no impossible step.
    """

    file: str
    platform: str
    target: str
    stages: tuple[StageReport, ...]
    possible: bool
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def report_plan(plan: Plan) -> PlanReport:
    """A plan as a report."""
    return PlanReport(
        file=plan.file,
        platform=str(plan.platform),
        target=plan.final.name,
        stages=tuple(_stage(plan, stage) for stage in plan.stages),
        possible=next(plan.impossible(), None) is None,
        left_out=plan.left_out,
        warnings=plan.warnings,
    )


def _stage(plan: Plan, stage: StagePlan) -> StageReport:
    return StageReport(
        name=stage.name,
        base=str(stage.base),
        platform=str(stage.platform),
        why=stage.why,
        steps=tuple(step_report(step) for step in stage.steps),
        image_needed=stage.base.kind is SourceKind.IMAGE and not plan.compiles_only(stage),
        assumed=stage.base.kind is SourceKind.IMAGE and stage.facts.assumed,
    )


def step_report(step: Step) -> StepReport:
    """A step as a report."""
    return StepReport(step.at.line, step.text, step.kind.value, step.why, step.advice, step.edits, step.notes)


def plan_lines(report: PlanReport) -> Iterator[str]:
    """A plan as text, one line at a time."""
    yield f"{printable(report.file)}: an image for {report.platform}"
    for stage in report.stages:
        pulled = (
            "" if stage.image_needed or stage.base.startswith(("stage ", "scratch")) else "; its image is not pulled"
        )
        yield f"stage {stage.name}: {printable(stage.base)} on {stage.platform} ({stage.why}{pulled})"
        for step in stage.steps:
            yield from step_lines(step)
    if report.left_out:
        yield f"left out, because nothing needs it: {', '.join(report.left_out)}"
    yield from (f"warning: {warning}" for warning in report.warnings)


def step_lines(step: StepReport) -> Iterator[str]:
    """A step as text."""
    yield f"{step.line:>5}  {step.kind:<10}  {step.instruction}"
    indent = " " * 19
    if step.kind != StepKind.METADATA.value:
        yield f"{indent}{printable(step.why, 1000)}"
    for edit in step.edits:
        yield f"{indent}- {printable(edit, 400)}"
    for note in step.notes:
        yield f"{indent}note: {printable(note, 1000)}"
    if step.advice:
        yield f"{indent}instead: {printable(step.advice, 1000)}"
