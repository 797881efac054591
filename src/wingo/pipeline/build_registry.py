"""What `wingo build` changes in the registry of a Windows base: the `registry` and `services` tables, `--reg`, `--disable-service`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import Malformed, RequestError
from wingo.hive.edit import DeleteKey, Edit
from wingo.hive.paths import HIVES
from wingo.hive.regfile import parse_reg
from wingo.image.derive import AddedLayer
from wingo.pipeline.assemble import REGISTRY_COMMENT, added_layer
from wingo.pipeline.hives import read_hive_file
from wingo.pipeline.image_hives import read_image_hives
from wingo.pipeline.optimizing import Wanted, safe_plan
from wingo.pipeline.registry_layers import pack_registry_layer, plan_registry, verify_layer
from wingo.windows.profile import Profile, ServiceRule, ValueRule, check_profile

if TYPE_CHECKING:
    from wingo.image.model import Image
    from wingo.pipeline.places import Places
    from wingo.pipeline.request import BuildRequest


class RegistryLayer(msgspec.Struct, frozen=True):
    """The layer of one base.

    Attributes:
        added: what goes directly on the base; None when everything is so already.
        notes: what a person should know.
    """

    added: AddedLayer | None
    notes: tuple[str, ...]


def registry_wanted(request: BuildRequest) -> Wanted:
    """What is asked for.

    Raises:
        RequestError: a path, a start type or data is none.
        HostError: a .reg file cannot be read.
        Malformed: a .reg file is none.
    """
    settings = request.settings
    asked = dict.fromkeys(settings.disable_service, "disabled")
    services = tuple(
        ServiceRule(name=name, start=start, reason="asked for", source=source)
        for source, table in (("services", settings.services), ("--disable-service", asked))
        for name, start in table.items()
    )
    values = tuple(
        ValueRule(key=key, name=name, data=data, reason="asked for", source="registry")
        for key, table in settings.registry.items()
        for name, data in _values(key, table)
    )
    deleted = tuple(DeleteKey(key[1:]) for key in settings.registry if key.startswith("-"))
    profile = Profile("the build's settings", services=services, values=values)
    check_profile(profile, "the build's settings")
    edits: list[tuple[str, tuple[Edit, ...]]] = [("registry", deleted)] if deleted else []
    for path in request.reg_files:
        try:
            edits.append((path, parse_reg(read_hive_file(path))))
        except Malformed as error:
            raise Malformed(f"{error.format} {path}", error.problem, hint=error.hint) from error
    return Wanted((profile,), tuple(edits))


def _values(key: str, table: object) -> Iterator[tuple[str, str]]:
    r"""The values of `[registry.'HKLM\...']` as TYPE:DATA; `'-HKLM\...' = {}`, which deletes the key, has none."""
    if not isinstance(table, dict) or (key.startswith("-") and table):
        problem = "{}, for it is deleted" if key.startswith("-") else "a table of values"
        raise RequestError(f"registry.{key!r} must be {problem}")
    for name, value in table.items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield name, f"dword:{value}"
        elif isinstance(value, str):
            yield name, value
        else:
            raise RequestError(
                f"registry.{key!r}.{name!r} must be a text or a number",
                hint="Write TYPE:DATA, for instance sz:text or multi_sz:a|b; or delete.",
            )


def plan_for_base(base: Image | None, wanted: Wanted, places: Places, *, epoch: int) -> RegistryLayer:
    """The layer that makes what is wanted on a base; the base's layers are read for it the first time.

    Args:
        base: None: nothing is below.
        wanted: what is asked for.
        places: opens the base's layers, and has the cache.
        epoch: the layer's times, in seconds since 1970.

    Raises:
        RequestError: there is no base or no hive, a change is unsafe, or it cannot lie on the base.
        ContentError: a layer or a hive of the base is not what it claims to be.
    """
    if base is None:
        raise RequestError(
            "the registry cannot be changed without a base", hint="Leave the registry and services out, or name a base."
        )
    hives = read_image_hives(base, places)
    plan = safe_plan(wanted, hives.registry(), str(base.platform))
    notes = tuple(
        f"{step.subject}: {step.skipped} ({base.platform})" for step in plan.steps if step.skipped and not step.after
    )
    layer = plan_registry(hives, plan.edits)
    if layer is None:
        return RegistryLayer(None, notes)
    packed = pack_registry_layer(layer, places, created_by="wingo build", epoch=epoch)
    verify_layer(packed, hives, layer, places)
    comment = REGISTRY_COMMENT + ", ".join(HIVES[hive] for hive in layer.changed)
    return RegistryLayer(added_layer(packed, "wingo build", comment, epoch), notes)
