"""The part of `wingo build -f Dockerfile` that has something to do: plan, refuse what is impossible, build stages, ship.

Nothing is done before the whole plan is possible, and nothing is shipped before every platform is built.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.dockerfile.bases import BaseFacts, assume_facts
from wingo.dockerfile.graph import Graph, Options, SourceKind, make_graph
from wingo.dockerfile.plan import plan_dockerfile
from wingo.dockerfile.planned import Plan, StagePlan
from wingo.dockerfile.report import step_lines, step_report
from wingo.dockerfile.settings import healthcheck_document
from wingo.dockerfile.source import DockerfileError, printable
from wingo.dockerfile.steps import CopyFiles, MakeDirectory, RunGo, RunLowered, RunSandbox, Step, StepKind
from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, common_family, derive, make_index, raw_settings
from wingo.image.model import Image, Index
from wingo.oci import annotations as keys
from wingo.oci.config import History
from wingo.oci.digest import Digest
from wingo.oci.place import Place
from wingo.oci.platform import Platform
from wingo.oci.reference import Reference
from wingo.oci.wire import MAX_CONFIG_BYTES, document
from wingo.pipeline.assemble import rfc3339
from wingo.pipeline.dockerfile_actions import Actions
from wingo.pipeline.dockerfile_bases import DockerfileBases
from wingo.pipeline.dockerfile_planning import context_brings
from wingo.pipeline.dockerfile_request import DockerfileRequest
from wingo.pipeline.dockerfile_stages import BuiltStage, LinuxStage, ToolchainStage
from wingo.pipeline.report import BuildReport, PlatformReport, ProgramReport
from wingo.pipeline.ship import ship
from wingo.windows.osversion import index_order

if TYPE_CHECKING:
    from wingo.dockerfile.windows_stage import PlannedWindowsStage
    from wingo.host import Host
    from wingo.pipeline.dockerfile_build import DockerfileBuild
    from wingo.pipeline.dockerfile_windows import WindowsStage
    from wingo.pipeline.places import Places


class Building:
    """One build.

    Attributes:
        bases: what was read of base images.
        actions: what does steps.
    """

    def __init__(
        self, request: DockerfileBuild, host: Host, places: Places, known: Mapping[Place, Digest] | None = None
    ) -> None:
        """Does nothing yet.

        Args:
            request: what is built.
            host: the machine.
            places: reads and writes.
            known: what bases' tags stand for, as far as somebody has asked already.
        """
        self.request, self.host, self.places = request, host, places
        self.bases = DockerfileBases(places, known, request.dockerfile.layouts)
        self.actions = Actions(request, host, places, self.bases)
        self.notes: dict[str, None] = {}
        self.below: dict[Digest, tuple[Reference, Image]] = {}
        """The base of every image, by the image's digest."""

    def run(self) -> BuildReport:
        """Builds and ships.

        Raises:
            WingoError: see `wingo.pipeline.dockerfile_build.build_dockerfile`.
        """
        plans = [self._plan(options) for options in self.request.dockerfile.options]
        for _, plan in plans:
            _refuse_impossible(plan, allow_network=self.request.allow_network)
            if any(step.kind is StepKind.WINE for stage in plan.stages for step in stage.steps):
                self.actions.find_wine()
            for reference, path in _copied_from_images(plan):
                self.actions.wanted.setdefault(reference, set()).add(path)
        images = [self._image(graph, plan) for graph, plan in plans]
        for url, digest in self.actions.downloads.fetched.items():
            self.notes[f"downloaded {printable(url)}: {digest}"] = None
        for name, commit in self.actions.cloned.items():
            self.notes[f"fetched {printable(name)}: commit {commit}"] = None
        for note in self.notes:
            self.host.console.note(note)
        report, artifact = self._assemble(images)
        shipped = ship([(report, artifact)], self.request.build, self.places)
        assert shipped is not None
        for place in self.request.cache_to:
            self.actions.cache.write(place)
        self._forget_failures()
        from_cache = self.actions.recalled > 0 and not self.actions.ran
        return BuildReport(shipped, tuple(self.notes), from_cache=from_cache)

    def _forget_failures(self) -> None:
        """What failed in this Dockerfile before is mended."""
        if os.path.isdir(os.path.join(self.host.cache_directory, "dockerfile", "failed")):
            from wingo.launch.failed_steps import failed_containers, forget_failed

            containers, path = failed_containers(self.host.cache_directory), self.request.dockerfile.path
            forget_failed(containers, path, self.host.machine.tools)

    # The plan

    def _plan(self, options: Options) -> tuple[Graph, Plan]:
        dockerfile = self.request.dockerfile.dockerfile
        graph = make_graph(dockerfile, options)
        brings = context_brings(self.actions.context)

        def facts(reference: Reference, platform: Platform) -> BaseFacts:
            wanted = assume_facts(reference, platform)
            # A toolchain that only compiles is not needed; whether one is, the plan says.
            if wanted.toolchain is not None and (reference, platform) not in needed:
                return wanted
            return self.bases.facts(reference, platform)

        needed: set[tuple[Reference, Platform]] = set()
        runs_programs = self.request.dockerfile.run_windows

        def begin(found: BaseFacts) -> PlannedWindowsStage:
            from wingo.dockerfile.windows_stage import begin_stage

            return begin_stage(found, brings, runs_programs=runs_programs)

        plan = plan_dockerfile(dockerfile, options, facts=facts, windows=begin, graph=graph)
        for stage in plan.stages:
            if stage.base.kind is SourceKind.IMAGE and stage.base.image is not None and not plan.compiles_only(stage):
                needed.add((stage.base.image, stage.platform))
        if any(facts_of.facts.assumed and not facts_of.compiles_only for facts_of in plan.stages):
            plan = plan_dockerfile(dockerfile, options, facts=facts, windows=begin, graph=graph)
        return graph, plan

    # One image

    def _image(self, graph: Graph, plan: Plan) -> tuple[Image, StagePlan]:
        built: dict[int, BuiltStage] = {}
        for stage in plan.stages:
            built[stage.number] = self._stage(graph, plan, stage, built)
        final = plan.final
        stage_built = built[final.number]
        if isinstance(stage_built, LinuxStage):
            return self._linux_image(plan, final, stage_built), final
        from wingo.pipeline.dockerfile_windows import WindowsStage

        assert isinstance(stage_built, WindowsStage)
        self.notes.update(dict.fromkeys(stage_built.notes))
        return self._windows_image(plan, final, stage_built), final

    def _stage(self, graph: Graph, plan: Plan, stage: StagePlan, built: dict[int, BuiltStage]) -> BuiltStage:
        result = self._begin(graph, plan, stage, built)
        for step in stage.steps:
            if self.request.explain:
                for line in step_lines(step_report(step)):
                    self.host.console.say(line)
            self.notes.update(dict.fromkeys(f"{step.at}: {note}" for note in step.notes))
            if step.action is not None:
                self._act(step, stage, result, built)
        return result

    def _begin(self, graph: Graph, plan: Plan, stage: StagePlan, built: dict[int, BuiltStage]) -> BuiltStage:
        del graph
        if stage.base.kind is SourceKind.STAGE:
            below = built[stage.base.stage]
            if isinstance(below, ToolchainStage):
                return ToolchainStage(type(below.files)(below.files.found))
            if isinstance(below, LinuxStage):
                return below.fork()
            from wingo.pipeline.dockerfile_windows import WindowsStage

            assert isinstance(below, WindowsStage)
            return below.fork()
        epoch, threads = self.request.build.epoch, self.host.processors
        if stage.base.kind is SourceKind.CONTEXT:
            raise RequestError(
                f"the stage {stage.name} stands on the context {stage.base.name}, which is a directory",
                hint="Stand on an image, and COPY --from the context.",
            )
        image = None
        only = plan.compiles_only(stage)
        if stage.base.kind is SourceKind.IMAGE and not only:
            assert stage.base.image is not None
            image = self.bases.image(stage.base.image, stage.platform)
        if stage.settings.windows:
            from wingo.pipeline.dockerfile_windows import WindowsStage

            runs_programs = self.request.dockerfile.run_windows
            begun = WindowsStage(image, stage.facts, self.places, epoch, threads, runs_programs=runs_programs)
            if stage.base.image is not None:
                begun.wanted = self.actions.wanted.get(stage.base.image, ())
            return begun
        if only:
            return ToolchainStage()
        return LinuxStage(image, stage.platform, self.places, epoch, threads)

    def _act(self, step: Step, stage: StagePlan, result: BuiltStage, built: dict[int, BuiltStage]) -> None:
        created_by = step.history.created_by if step.history is not None else "wingo build"
        action = step.action
        match action:
            case CopyFiles():
                tree, from_context = self.actions.source(action.source, stage.platform, built, step.at)
                changed = self.actions.copy(action, result, tree, step.at, created_by, from_context=from_context)
            case MakeDirectory():
                changed = result.make_directory(action, step.at, created_by)
            case RunGo():
                changed = self.actions.run_go(action, result, stage, step.at, created_by)
            case RunSandbox():
                changed = self.actions.run_sandbox(action, result, stage, built, step.at, created_by)
            case RunLowered():
                changed, notes = self.actions.run_lowered(action, result, stage, step.at, created_by)
                self.notes.update(dict.fromkeys(f"{step.at}: {note}" for note in notes))
            case _:
                raise AssertionError(action)
        del changed

    # Config and manifest

    def _linux_image(self, plan: Plan, final: StagePlan, stage: LinuxStage) -> Image:
        patch = self._patch(final, stage.base, plan.platform)
        return self._derived(stage.base, stage.added, patch, plan, final)

    def _windows_image(self, plan: Plan, final: StagePlan, stage: WindowsStage) -> Image:
        registry = stage.registry_layer()
        added = [*([registry] if registry is not None else []), *stage.added]
        return self._derived(stage.base, added, self._patch(final, stage.base, plan.platform), plan, final)

    def _patch(self, final: StagePlan, base: Image | None, platform: Platform) -> ConfigPatch:
        settings = final.settings
        raw = raw_settings(document(base.config_bytes, "config", limit=MAX_CONFIG_BYTES)) if base is not None else {}
        raw = {name: value for name, value in raw.items() if name != "OnBuild"}
        if settings.healthcheck is not None:
            raw["Healthcheck"] = healthcheck_document(settings.healthcheck)
        if settings.triggers:
            raw["OnBuild"] = settings.triggers
        patch = ConfigPatch(
            created=rfc3339(self.request.build.epoch),
            author=settings.author or None,
            settings={**settings.members(), **self._labels(settings.labels)},
            raw_settings=raw,
        )
        if base is None:
            patch = msgspec.structs.replace(
                patch,
                os=platform.os,
                architecture=platform.architecture,
                variant=platform.variant,
                os_version=platform.os_version,
            )
        return patch

    def _labels(self, labels: dict[str, str]) -> dict[str, object]:
        more = self.request.build.settings.label
        return {"labels": {**labels, **more}} if more else {}

    def _derived(
        self, base: Image | None, added: Sequence[AddedLayer], patch: ConfigPatch, plan: Plan, final: StagePlan
    ) -> Image:
        annotations = dict(self.request.build.settings.annotation)
        reference = _root_image(plan, final)
        if base is not None and reference is not None and not self.bases.is_local(reference):
            annotations = {keys.BASE_DIGEST: base.digest, keys.BASE_NAME: str(reference), **annotations}
        annotations = {keys.CREATED: rfc3339(self.request.build.epoch), **annotations}
        family = common_family([base])
        lines = self._history(plan, final, added)
        image = derive(base, added, patch, family=family, annotations=annotations, history=lines)
        if base is not None and reference is not None:
            self.below[image.digest] = (reference, base)
        return image

    def _history(self, plan: Plan, final: StagePlan, added: Sequence[AddedLayer]) -> list[History]:
        """Every step's line, those that made no layer said to be empty."""
        made = [item.history for item in added]
        lines: list[History] = []
        for step in (step for stage in plan.chain(final) for step in stage.steps):
            if step.history is None:
                continue
            line = msgspec.structs.replace(step.history, created=rfc3339(self.request.build.epoch))
            mine = next((item for item in made if item.created_by == line.created_by), None)
            if step.history.empty_layer or mine is None:
                lines.append(msgspec.structs.replace(line, empty_layer=True))
            else:
                made.remove(mine)
                lines.append(mine)
        # What no step's line stands for, the registry's layer, lies lowest.
        return [*made, *lines]

    def _assemble(self, images: Sequence[tuple[Image, StagePlan]]) -> tuple[ProgramReport, Image | Index]:
        unique = {image.digest: image for image, _ in images}
        artifact: Image | Index = next(iter(unique.values()))
        if len(unique) > 1 or len(self.request.dockerfile.options) > 1:
            ordered = sorted(unique.values(), key=lambda image: index_order(image.platform))
            artifact = make_index(
                ordered, family=common_family(ordered), annotations=dict(self.request.build.settings.annotation)
            )
        for image in unique.values():
            self.places.cache.keep_document(image.config_bytes)
            self.places.cache.keep_document(image.manifest_bytes)
        self.places.cache.keep_document(artifact.manifest_bytes)
        reports = tuple(self._platform_report(image) for image in unique.values())
        report = ProgramReport(
            name=_name(self.request.dockerfile),
            import_path=self.request.dockerfile.dockerfile.file,
            digest=artifact.digest,
            media_type=artifact.media_type,
            platforms=reports,
            layer_bytes=sum(
                {key: size for image in unique.values() for key, size in self._own(image).items()}.values()
            ),
        )
        return report, artifact

    def _platform_report(self, image: Image) -> PlatformReport:
        reference, base = self.below.get(image.digest, (None, None))
        return PlatformReport(
            platform=str(image.platform),
            digest=image.digest,
            size=sum(layer.descriptor.size for layer in image.layers),
            os_version=image.platform.os_version,
            base=str(reference) if reference is not None else "",
            base_digest=base.digest if base is not None else "",
            layers=tuple(self._own(image)),
        )

    def _own(self, image: Image) -> dict[Digest, int]:
        """The layers that the build added, with their sizes; Docker's manifests do not say it themselves."""
        _, base = self.below.get(image.digest, (None, None))
        own = image.layers[len(base.layers) if base is not None else 0 :]
        return {layer.descriptor.digest: layer.descriptor.size for layer in own}


def _refuse_impossible(plan: Plan, *, allow_network: bool) -> None:
    found = next(plan.impossible(), None)
    if found is not None:
        _, step = found
        raise DockerfileError(step.at, f"this step is impossible: {step.why}", hint=step.advice)
    for stage in plan.stages:
        for step in stage.steps:
            if isinstance(step.action, RunSandbox) and step.action.network == "host" and not allow_network:
                raise DockerfileError(
                    step.at, "--network=host: the step wants this machine's network", hint="Give --allow-network."
                )


def _copied_from_images(plan: Plan) -> Iterator[tuple[Reference, str]]:
    """What is copied of base images, one path each; patterns and directories are left to whoever meets them."""
    by_number = {stage.number: stage for stage in plan.stages}
    for stage in plan.stages:
        for step in stage.steps:
            if not isinstance(step.action, CopyFiles):
                continue
            source = step.action.source
            image = source.image
            if source.kind is SourceKind.STAGE and source.stage in by_number:
                image = _root_image(plan, by_number[source.stage])
            for path in step.action.sources if image is not None else ():
                plain = path.replace("\\", "/").removeprefix("C:").removeprefix("c:").strip("/")
                if plain and image is not None:
                    yield image, plain


def _root_image(plan: Plan, final: StagePlan) -> Reference | None:
    return plan.chain(final)[0].base.image


def _name(request: DockerfileRequest) -> str:
    name = request.context.rstrip("/\\").replace("\\", "/").rpartition("/")[2]
    return printable(name) or "image"
