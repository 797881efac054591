r"""Changes of an image's registry as one layer: where it goes, what is in it, and whether the whole then shows what was meant.

The layer lies directly on the base's last layer, below the application's, and has only hives that the layer below it
has: containerd's CimFS importer merges each `X_Delta` with the `X_Base` that the layer directly below left behind, and
fails without one (hcsshim `internal/wclayer/cim/process.go`). It has a delta of every such hive, changed or not, so that
another one can lie on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.hive.edit import Edit
from wingo.hive.merge import merge
from wingo.hive.paths import HIVES
from wingo.hive.read import open_hive
from wingo.image.insert import insert_layer, replace_images
from wingo.image.model import Image, Index, Layer
from wingo.oci.place import Place
from wingo.pipeline.assemble import REGISTRY_COMMENT, added_layer
from wingo.pipeline.choosing import runnable_images
from wingo.pipeline.image_hives import ImageHives, delta_files, read_image_hives
from wingo.pipeline.transfer import TransferReport, completed, read_platform, send
from wingo.windows.layer import plan_layer
from wingo.windows.registry import Registry, changes, delta_hives, edited, hive_requests
from wingo.windows.registry_policy import objections

if TYPE_CHECKING:
    from wingo.pipeline.places import Places


class RegistryPlan(msgspec.Struct, frozen=True):
    """A layer that changes the registry, before it is packed.

    Attributes:
        position: how many layers are below it.
        deltas: the layer's hives, by name.
        before: what the whole image showed.
        after: what it is to show.
    """

    position: int
    deltas: dict[str, bytes]
    before: Registry
    after: Registry

    @property
    def changed(self) -> tuple[str, ...]:
        """The hives in which something changes."""
        return tuple(changes(self.before, self.after))


class ChangedImage(msgspec.Struct, frozen=True):
    """An image, and what became of it.

    Attributes:
        image: as it was.
        result: with the layer; the same image when nothing was to be changed.
        plan: None when nothing was to be changed.
        edits: what was asked for.
    """

    image: Image
    result: Image
    plan: RegistryPlan | None
    edits: tuple[Edit, ...]

    @property
    def unnoticed(self) -> tuple[str, ...]:
        """What a container does not notice of it, or had better be left alone: a sentence each."""
        return tuple(map(str, objections(self.plan.before, self.plan.after))) if self.plan is not None else ()


def plan_registry(hives: ImageHives, edits: Sequence[Edit]) -> RegistryPlan | None:
    """Plans the layer that makes edits; None when they change nothing.

    Args:
        hives: of the image.
        edits: paths begin with their root.

    Raises:
        RequestError: an edit cannot be made, the layer below has not the hive, or a layer above would undo an edit.
        ContentError: a hive that is to be changed cannot be read.
    """
    position = registry_position(hives)
    whole, below = hives.registry(), hives.registry(position)
    hives.raise_problem([hive for edit in edits if (hive := _hive_of(edit))])
    after = edited(whole, edits)
    changed = changes(below, edited(below, edits))
    if not changed and not changes(whole, after):
        return None
    under = hives.layers[position - 1]
    for hive in changed:
        if not under.has(hive):
            raise RequestError(
                f"{HIVES[hive]} cannot be changed: layer {position - 1}, on which the change would lie, does not have it",
                hint="containerd's CimFS importer merges a hive with that of the layer directly below, which must be there.",
            )
    there = [hive for hive in HIVES if under.has(hive)]
    deltas = delta_hives(below, edited(below, edits), there)
    plan = RegistryPlan(position, deltas, whole, after)
    shown = with_deltas(hives, plan)
    if different := changes(after, shown):
        name = next(iter(different))
        above = [number for number, _ in hives.uppers.get(name, ()) if number >= position]
        raise RequestError(
            f"layer {above[0] if above else position} lies above and changes the same of {HIVES[name]}: it would win",
            hint="Change what made that layer.",
        )
    return plan


def with_deltas(hives: ImageHives, plan: RegistryPlan) -> Registry:
    """What an image shows once the plan's layer lies in it."""
    views = {}
    for hive, base in hives.bases.items():
        uppers = hives.uppers.get(hive, ())
        roots = [upper.root for number, upper in uppers if number < plan.position]
        if hive in plan.deltas:
            roots.append(open_hive(plan.deltas[hive]).root)
        roots.extend(upper.root for number, upper in uppers if number >= plan.position)
        views[hive] = merge(base.root, *roots)
    return Registry(views)


def pack_registry_layer(plan: RegistryPlan, places: Places, *, created_by: str, epoch: int) -> Layer:
    """Packs the layer of a plan.

    Raises:
        HostError: the cache cannot be written.
    """
    requests = hive_requests(plan.deltas, created_by)
    recipe = plan_layer(requests, epoch=epoch, created_by=created_by).recipe
    return places.cache.pack(recipe)


def change_image(
    image: Image, edits: Sequence[Edit], places: Places, *, created_by: str, epoch: int, hives: ImageHives | None = None
) -> ChangedImage:
    """An image with one more layer, which makes edits of its registry; read back and compared.

    Raises:
        RequestError: see `plan_registry`.
    """
    hives = hives if hives is not None else read_image_hives(image, places)
    plan = plan_registry(hives, edits)
    if plan is None:
        return ChangedImage(image, image, None, tuple(edits))
    layer = pack_registry_layer(plan, places, created_by=created_by, epoch=epoch)
    comment = REGISTRY_COMMENT + ", ".join(HIVES[hive] for hive in plan.changed)
    result = insert_layer(image, plan.position, added_layer(layer, created_by, comment, epoch))
    verify_layer(layer, hives, plan, places)
    return ChangedImage(image, result, plan, tuple(edits))


def verify_layer(layer: Layer, hives: ImageHives, plan: RegistryPlan, places: Places) -> None:
    """Reads a packed layer back, merges it with the image's other hives, and compares.

    Raises:
        AssertionError: it is not what was meant: a bug of wingo's.
    """
    packed = msgspec.structs.replace(plan, deltas=delta_files(layer, places))
    if found := changes(plan.after, with_deltas(hives, packed)):
        raise AssertionError(f"the registry that was written differs in {', '.join(found)}")


def change_artifact(
    artifact: Image | Index, change: Callable[[Image], ChangedImage]
) -> tuple[Image | Index, tuple[ChangedImage, ...]]:
    """Changes every Windows image of an artifact.

    Raises:
        RequestError: there is none.
    """
    images = [image for image in runnable_images(artifact) if image.config.os == "windows"]
    if not images:
        raise RequestError("there is no Windows image to change")
    changed = tuple(change(image) for image in images)
    return replace_images(artifact, {item.image.digest: item.result for item in changed}), changed


def write_registry(
    source: Place,
    platform: str,
    targets: Sequence[Place],
    edits_of: Callable[[Registry], Sequence[Edit]],
    places: Places,
    *,
    created_by: str,
    epoch: int,
) -> tuple[TransferReport, tuple[ChangedImage, ...]]:
    """Writes an image, or every Windows image of an index, with another registry.

    Args:
        source: where it is.
        platform: one platform of an index, whose image alone is written; "" for all.
        targets: where the result goes.
        edits_of: the edits for an image's registry.
        places: where things are read from and written to.
        created_by: the layer's line of history.
        epoch: the layer's times, in seconds since 1970.

    Raises:
        RequestError: see `plan_registry`; or nothing changes.
    """
    artifact = read_platform(source, platform, places)
    if source.reference is None:
        artifact = completed(artifact, places)

    def change(image: Image) -> ChangedImage:
        hives = read_image_hives(image, places)
        edits = edits_of(hives.registry())
        return change_image(image, edits, places, created_by=created_by, epoch=epoch, hives=hives)

    result, changed = change_artifact(artifact, change)
    return send(result, source, targets, places), changed


def registry_position(hives: ImageHives) -> int:
    """How many layers are below the one that a change of the registry goes into.

    Microsoft's bases have hives in each of their layers, applications in none: so it goes directly on the lowest layers
    that have them, which are the base's, and a layer of the registry that lies on it already.
    """
    position = 1
    while position < len(hives.layers) and hives.layers[position].deltas:
        position += 1
    return position


def _hive_of(edit: Edit) -> str:
    from wingo.hive.paths import parse_where

    return parse_where(edit.path).hive
