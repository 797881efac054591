"""Every rule that looks at images, by number. A module of rules is named here, and nowhere else."""

from __future__ import annotations

from typing import Any, cast

from wingo.check.policy import WaiverSubject
from wingo.check.rule import Rule, Scope
from wingo.check.rules import (
    config,
    go,
    hosts,
    index,
    layer_access,
    layer_links,
    layer_names,
    layer_records,
    libraries,
    policy,
    secrets,
    size,
    start,
    waivers,
)
from wingo.check.subject import ArtifactSubject, ImageSubject, LayerSubject

MODULES = (
    layer_names,
    layer_records,
    layer_access,
    layer_links,
    config,
    index,
    start,
    libraries,
    go,
    size,
    secrets,
    policy,
    hosts,
    waivers,
)

RULES: tuple[Rule[Any], ...] = tuple(
    sorted((item for module in MODULES for item in vars(module).values() if isinstance(item, Rule)), key=lambda r: r.id)
)
LAYER_RULES = cast("tuple[Rule[LayerSubject], ...]", tuple(item for item in RULES if item.scope is Scope.LAYER))
IMAGE_RULES = cast("tuple[Rule[ImageSubject], ...]", tuple(item for item in RULES if item.scope is Scope.IMAGE))
ARTIFACT_RULES = cast(
    "tuple[Rule[ArtifactSubject], ...]", tuple(item for item in RULES if item.scope is Scope.ARTIFACT)
)
WAIVER_RULES = cast("tuple[Rule[WaiverSubject], ...]", tuple(item for item in RULES if item.scope is Scope.WAIVERS))
BY_ID = {item.id: item for item in RULES}
