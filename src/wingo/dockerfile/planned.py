"""What a plan says: its stages with their steps, and what a Windows stage must answer while it is planned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import msgspec

from wingo.dockerfile.bases import BaseFacts
from wingo.dockerfile.graph import Source, SourceKind
from wingo.dockerfile.settings import StageSettings
from wingo.dockerfile.steps import CopyFiles, RunLowered, Step, StepKind
from wingo.oci.platform import Platform


class LoweredStep(msgspec.Struct, frozen=True):
    """What lowering a Windows RUN says of it.

    Attributes:
        reason: why it is impossible; "" when it is not.
        advice: what to write instead.
        edits: one line each.
        notes: what a person should know.
    """

    reason: str = ""
    advice: str = ""
    edits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class WindowsStage(Protocol):
    """A Windows stage while it is planned: what steps did to it, as far as a plan can know."""

    def run(self, action: RunLowered) -> LoweredStep:
        """Lowers a RUN."""

    def copy(self, action: CopyFiles, source: WindowsStage | None = None) -> None:
        """Takes in what a COPY brings, out of another Windows stage where it is one."""

    def make_directory(self, path: str) -> None:
        """Takes in a WORKDIR."""

    def fork(self) -> WindowsStage:
        """Another one, for a stage that stands on this one."""


class StagePlan(msgspec.Struct, frozen=True, kw_only=True):
    """A stage of the plan.

    Attributes:
        number: of the stage.
        name: its name, or its number.
        base: what it stands on.
        platform: its own.
        why: how the platform was found.
        steps: in order.
        facts: of the base below it all.
        config: the members of the config's `config` that the stage and those below it changed.
        settings: how everything stands at its end.
        compiles_only: it is a toolchain whose image is not needed.
        output: the platform of what it compiles.
    """

    number: int
    name: str
    base: Source
    platform: Platform
    why: str
    steps: tuple[Step, ...]
    facts: BaseFacts
    settings: StageSettings
    compiles_only: bool
    output: Platform


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The plan of an image for one platform.

    Attributes:
        file: the Dockerfile's name.
        platform: of the image.
        target: the number of the stage that becomes the image.
        stages: those that are needed, in order.
        left_out: the names of those that are not.
        warnings: of the language.
    """

    file: str
    platform: Platform
    target: int
    stages: tuple[StagePlan, ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]

    def impossible(self) -> Iterator[tuple[StagePlan, Step]]:
        """The steps that cannot be done."""
        for stage in self.stages:
            for step in stage.steps:
                if step.kind is StepKind.IMPOSSIBLE:
                    yield stage, step

    @property
    def final(self) -> StagePlan:
        """The stage that becomes the image."""
        return next(stage for stage in self.stages if stage.number == self.target)

    def chain(self, stage: StagePlan) -> list[StagePlan]:
        """The stages that one stands on, lowest first, and itself."""
        by_number = {item.number: item for item in self.stages}
        found = [stage]
        while found[0].base.kind is SourceKind.STAGE:
            found.insert(0, by_number[found[0].base.stage])
        return found

    def compiles_only(self, stage: StagePlan) -> bool:
        """Whether neither a stage nor one that stands on it needs the toolchain's image."""
        numbers = [[item.number for item in self.chain(other)] for other in self.stages]
        return all(
            other.compiles_only for other, below in zip(self.stages, numbers, strict=True) if stage.number in below
        )
