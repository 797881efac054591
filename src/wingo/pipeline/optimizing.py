"""`wingo optimize`: analyse, plan, back up, apply, verify, undo: the registry of Windows images.

What is applied is one layer (`wingo.pipeline.registry_layers`). Its backup is an undo file beside the result: the former
documents, so that the former digest comes back exactly, and the edits both ways; nothing of it is in the image.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import ContentError, Malformed, RequestError, WingoError
from wingo.hive.edit import Edit
from wingo.hive.paths import HIVES
from wingo.hive.write import write_hive
from wingo.image.model import Image, Index, Opener, images_of
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest, parse_digest, sha256_digest
from wingo.oci.place import Place
from wingo.oci.wire import decode
from wingo.pipeline.choosing import runnable_images
from wingo.pipeline.image_hives import ImageHives, hives_at_hand, read_image_hives
from wingo.pipeline.registry_layers import ChangedImage, change_artifact, change_image, registry_position
from wingo.pipeline.transfer import TransferReport, completed, read_platform, send
from wingo.stores.reading import read_artifact
from wingo.windows.profile import Plan, Profile, Step, plan_profiles, steps_of_edits
from wingo.windows.registry import Registry, changes, edited, edits_to
from wingo.windows.registry_analysis import Analysis, Totals, analyse, totals, win_of, wins_of

if TYPE_CHECKING:
    from wingo.pipeline.places import Places
    from wingo.view.merged import View

MAX_UNDO_BYTES = 64 << 20
_UNDO_VERSION = 1
_MAX_LEFT_OUT = 24 << 20


class Wanted(msgspec.Struct, frozen=True):
    """What is to be changed.

    Attributes:
        profiles: in order, those that they extend included.
        edits: asked for one by one, after the profiles; with where each comes from.
    """

    profiles: tuple[Profile, ...]
    edits: tuple[tuple[str, tuple[Edit, ...]], ...] = ()

    def plan(self, registry: Registry) -> Plan:
        """What it comes to in a registry.

        Raises:
            RequestError: a path is none, or its hive is not there.
        """
        more = [step for origin, edits in self.edits for step in steps_of_edits(edits, registry, origin)]
        return plan_profiles(self.profiles, registry, more)


class AnalysedImage(msgspec.Struct, frozen=True, rename="camel"):
    """One image's analysis.

    Attributes:
        platform: of the image.
        digest: of its manifest.
        analysis: what is in its registry.
        steps: what the profiles would do.
        wins: what each step wins, in their order; "" where nothing starts less. Counted, not measured.
        objections: what speaks against that.
        win: what that would win, in a sentence; counted, not measured.
    """

    platform: str
    digest: str
    analysis: Analysis
    steps: tuple[Step, ...]
    wins: tuple[str, ...]
    objections: tuple[str, ...]
    win: str


class PlannedImage(msgspec.Struct, frozen=True, rename="camel"):
    """What is going to be done to one image.

    Attributes:
        platform: of the image.
        digest: of its manifest.
        steps: one for each rule.
        wins: what each step wins, in their order; "" where nothing starts less. Counted, not measured.
        objections: what speaks against it.
        win: what it wins, in a sentence; counted, not measured.
    """

    platform: str
    digest: str
    steps: tuple[Step, ...]
    wins: tuple[str, ...]
    objections: tuple[str, ...]
    win: str


class UndoImage(msgspec.Struct, frozen=True, rename="camel"):
    """One image in an undo file.

    Attributes:
        platform: of the image.
        former: its digest as it was.
        result: its digest now; the same when nothing was changed.
        position: how many layers are below the one that was put in; -1 when none was.
        steps: what was done and why.
        edits: what was done.
        inverse: what does the opposite.
    """

    platform: str
    former: str
    result: str
    position: int
    steps: tuple[Step, ...]
    edits: tuple[Edit, ...]
    inverse: tuple[Edit, ...]


class Undo(msgspec.Struct, frozen=True, rename="camel"):
    """An undo file.

    Attributes:
        undo: the version of the file.
        source: where the former image was.
        former: its digest.
        media_type: of the former document.
        result: the digest of what it became.
        documents: the former index, manifests and configs in Base64, by digest; and the blobs of attestations about the
            former images, which the result does not have.
        images: those that were looked at.
    """

    undo: int
    source: str
    former: str
    media_type: str
    result: str
    documents: dict[str, str]
    images: tuple[UndoImage, ...]


class VerifiedImage(msgspec.Struct, frozen=True, rename="camel"):
    """One image, compared with its undo file.

    Attributes:
        platform: of the image.
        before: its registry without the layer.
        after: its registry with it.
        delta_bytes: of the layer's hives.
        differs: the hives that do not show what was meant.
    """

    platform: str
    before: Totals
    after: Totals
    delta_bytes: int
    differs: tuple[str, ...]


def analyse_images(source: Place, platform: str, wanted: Wanted, places: Places) -> tuple[AnalysedImage, ...]:
    """Analyses every Windows image at a place.

    Raises:
        RequestError: there is none, or it has no hives.
        ContentError: a layer or a hive is not what it claims to be.
    """
    images = _windows_images(_read(source, platform, places))
    return tuple(analyse_image(image, wanted, places) for image in images)


def analyse_image(image: Image, wanted: Wanted, places: Places) -> AnalysedImage:
    """Analyses one Windows image.

    Raises:
        RequestError: it has no hives.
        ContentError: a layer or a hive is not what it claims to be.
    """
    from wingo.pipeline.viewing import view_of

    registry = _readable(read_image_hives(image, places), places)
    view = view_of(image, places, base_layers=True)
    analysis = analyse(registry, partial(_has_file, view) if view.complete else None)
    plan = wanted.plan(registry)
    return AnalysedImage(
        str(image.platform),
        image.digest,
        analysis,
        plan.steps,
        wins_of(plan, registry),
        tuple(map(str, plan.objections)),
        win_of(plan, registry, edited(registry, plan.edits)),
    )


def analyse_at_hand(images: Iterable[Image], wanted: Wanted, places: Places) -> tuple[list[AnalysedImage], list[str]]:
    """Analyses those Windows images whose registry can be seen without fetching a layer from a registry.

    Returns:
        The analyses; and notes about images that were left out.
    """
    found, notes = [], []
    for image in {image.digest: image for image in images if image.config.os == "windows"}.values():
        if not hives_at_hand(image, places):
            notes.append(
                f"the registry of {image.platform} is not shown: its layers are not at hand; "
                "'wingo optimize analyze' fetches them"
            )
            continue
        try:
            found.append(analyse_image(image, wanted, places))
        except WingoError as error:
            notes.append(f"the registry of {image.platform} is not shown: {error}")
    return found, notes


def plan_images(source: Place, platform: str, wanted: Wanted, places: Places) -> tuple[PlannedImage, ...]:
    """Plans what would be done to every Windows image at a place; nothing is refused.

    Raises:
        RequestError: there is none, it has no hives, or a rule is about a hive that it has not.
    """
    found = []
    for image in _windows_images(_read(source, platform, places)):
        registry = _readable(read_image_hives(image, places), places)
        plan = wanted.plan(registry)
        win = win_of(plan, registry, edited(registry, plan.edits))
        objections, wins = tuple(map(str, plan.objections)), wins_of(plan, registry)
        found.append(PlannedImage(str(image.platform), image.digest, plan.steps, wins, objections, win))
    return tuple(found)


def apply_to(
    source: Place,
    platform: str,
    targets: Sequence[Place],
    wanted: Wanted,
    places: Places,
    *,
    epoch: int,
    back_up: Callable[[Undo], None],
) -> TransferReport:
    """Applies a plan to every Windows image at a place, and writes the result; what was made is read back first.

    Args:
        source: where the image or index is.
        platform: one platform of an index, whose image alone is written; "" for all.
        targets: where the result goes.
        wanted: what is to be changed.
        places: where things are read from and written to.
        epoch: the layer's times, in seconds since 1970.
        back_up: keeps what undoes it; called before anything is written.

    Raises:
        RequestError: a change is unsafe, or cannot lie on the base; nothing is written.
    """
    artifact = _read(source, platform, places)
    steps: dict[Digest, tuple[Step, ...]] = {}

    def change(image: Image) -> ChangedImage:
        hives = read_image_hives(image, places)
        plan = safe_plan(wanted, _readable(hives, places), str(image.platform))
        steps[image.digest] = plan.steps
        return change_image(image, plan.edits, places, created_by="wingo optimize", epoch=epoch, hives=hives)

    result, changed = change_artifact(artifact, change)
    undo = Undo(
        undo=_UNDO_VERSION,
        source=str(source),
        former=artifact.digest,
        media_type=artifact.media_type,
        result=result.digest,
        documents={**dict(_documents(artifact)), **_left_out(artifact, result)},
        images=tuple(_undo_image(item, steps[item.image.digest]) for item in changed),
    )
    back_up(undo)
    return send(result, source, targets, places)


def rewrite_hives(source: Place, platform: str, wanted: Wanted, places: Places) -> dict[str, bytes]:
    r"""The base's hives as they would be with a plan in them, whole, by the name that they have in `System32\config`.

    Raises:
        RequestError: there is more than one Windows image, or a change is unsafe.
    """
    images = _windows_images(_read(source, platform, places))
    if len(images) > 1:
        listed = ", ".join(str(image.platform) for image in images)
        raise RequestError(f"{source} has {len(images)} Windows images", hint=f"Add --platform with one of {listed}.")
    hives = read_image_hives(images[0], places)
    registry = _readable(hives, places)
    plan = safe_plan(wanted, registry, str(images[0].platform))
    below = hives.registry(registry_position(hives))
    after = edited(below, plan.edits)
    return {hive: write_hive(after.hives[hive], name=hives.bases[hive].base.name) for hive in changes(below, after)}


def undo_at(place: Place, undo: Undo, targets: Sequence[Place], places: Places) -> TransferReport:
    """Writes what was there before, from the result and its undo file; the digest is the former one.

    Raises:
        RequestError: the file belongs to another image.
        ContentError: the file is damaged.
    """
    artifact = _result_of(place, undo, places)
    layers = {layer.descriptor.digest: layer.open for image in images_of(artifact) for layer in image.layers}

    def document(descriptor: Descriptor, limit: int) -> bytes:
        text = undo.documents.get(descriptor.digest, "")
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            data = b""
        if sha256_digest(data) != descriptor.digest or len(data) > limit:
            raise ContentError(f"the undo file does not hold {descriptor.digest} as it was")
        return data

    def open_layer(descriptor: Descriptor) -> Opener:
        opener = layers.get(descriptor.digest)
        if opener is None and descriptor.digest in undo.documents:
            return lambda: io.BytesIO(document(descriptor, MAX_UNDO_BYTES))
        if opener is None:
            raise ContentError(f"{place} does not have the layer {descriptor.digest}, which the former image had")
        return opener

    top = parse_digest(undo.former)
    size = len(base64.b64decode(undo.documents.get(top, "")))
    former = read_artifact(Descriptor(undo.media_type, top, size), document, open_layer)
    assert former.digest == undo.former
    return send(former, place, targets, places)


def verify_at(place: Place, undo: Undo, places: Places) -> tuple[VerifiedImage, ...]:
    """Reads a result anew, merges its layers, and compares its registry with what the undo file says was meant.

    Raises:
        RequestError: the file belongs to another image.
        ContentError: a layer or a hive is not what it claims to be.
    """
    artifact = _result_of(place, undo, places)
    images = {image.digest: image for image in images_of(artifact)}
    found = []
    for item in undo.images:
        image = images.get(parse_digest(item.result))
        if image is None:
            raise RequestError(f"{place} has no image {item.result}, which the undo file is about")
        hives = read_image_hives(image, places)
        now, before = hives.registry(), hives.without(item.position).registry()
        differs = changes(edited(before, item.edits), now)
        size = sum(
            len(upper.data) for layers in hives.uppers.values() for number, upper in layers if number == item.position
        )
        found.append(
            VerifiedImage(item.platform, totals(before), totals(now), size, tuple(HIVES[hive] for hive in differs))
        )
    return tuple(found)


def encode_undo(undo: Undo) -> bytes:
    """The bytes of an undo file: JSON, over several lines."""
    return msgspec.json.format(msgspec.json.encode(undo), indent=1) + b"\n"


def decode_undo(data: bytes, path: str) -> Undo:
    """Reads an undo file.

    Raises:
        Malformed: it is none, or of another version.
    """
    try:
        undo = decode(data, Undo, path, limit=MAX_UNDO_BYTES)
    except Malformed as error:
        raise Malformed(
            f"undo file {path}", error.problem, hint="'wingo optimize apply' writes it beside its result."
        ) from error
    if undo.undo != _UNDO_VERSION:
        raise Malformed(f"undo file {path}", f"it is of version {undo.undo}, and this wingo knows {_UNDO_VERSION}")
    return undo


def _read(source: Place, platform: str, places: Places) -> Image | Index:
    artifact = read_platform(source, platform, places)
    return completed(artifact, places) if source.reference is None else artifact


def _has_file(view: View, path: str) -> bool:
    return view.find(path) is not None


def _windows_images(artifact: Image | Index) -> tuple[Image, ...]:
    images = tuple(image for image in runnable_images(artifact) if image.config.os == "windows")
    if not images:
        raise RequestError("there is no Windows image, and so no registry")
    return images


def _readable(hives: ImageHives, places: Places) -> Registry:
    for error in hives.problems.values():
        places.progress.note(f"left out: {error}")
    if not hives.bases:
        hives.raise_problem(HIVES)
    return hives.registry()


def safe_plan(wanted: Wanted, registry: Registry, platform: str) -> Plan:
    """A plan that nothing speaks against.

    Raises:
        RequestError: something does; the message lists it, with the chains of services.
    """
    plan = wanted.plan(registry)
    if plan.objections:
        listed = "\n".join(f"  {objection}" for objection in plan.objections[:20])
        raise RequestError(
            f"the image for {platform} would be changed in a way that is not safe:\n{listed}",
            hint="Leave these out, or disable those that need it as well.",
        )
    return plan


def _documents(artifact: Image | Index) -> list[tuple[str, str]]:
    """Every document of an artifact, in Base64, by digest."""
    found = [(str(artifact.digest), _base64(artifact.manifest_bytes))]
    if isinstance(artifact, Image):
        return [*found, (str(artifact.manifest.config.digest), _base64(artifact.config_bytes))]
    return found + [item for child in artifact.children for item in _documents(child)]


def _left_out(artifact: Image | Index, result: Image | Index) -> dict[str, str]:
    """The layers that the result does not have: those of attestations about the former images."""
    there = {layer.descriptor.digest for image in images_of(result) for layer in image.layers}
    found: dict[str, str] = {}
    left = _MAX_LEFT_OUT
    for image in images_of(artifact):
        for layer in image.layers:
            if layer.descriptor.digest in there or layer.descriptor.digest in found:
                continue
            left -= layer.descriptor.size
            if left < 0:
                raise RequestError(
                    f"the attestations of {artifact.digest} have more than {_MAX_LEFT_OUT} bytes, too many for an undo file",
                    hint="Choose one image with --platform.",
                )
            with layer.open() as stream:
                found[str(layer.descriptor.digest)] = _base64(stream.read())
    return found


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _undo_image(item: ChangedImage, steps: tuple[Step, ...]) -> UndoImage:
    plan = item.plan
    inverse = tuple(edits_to(plan.after, plan.before)) if plan is not None else ()
    position = plan.position if plan is not None else -1
    platform = str(item.image.platform)
    return UndoImage(platform, item.image.digest, item.result.digest, position, steps, item.edits, inverse)


def _result_of(place: Place, undo: Undo, places: Places) -> Image | Index:
    artifact = _read(place, "", places)
    if artifact.digest != undo.result:
        raise RequestError(
            f"the undo file is about {undo.result}, and {place} is {artifact.digest}",
            hint="Give the place that 'wingo optimize apply' wrote to, or the undo file beside it.",
        )
    return artifact
