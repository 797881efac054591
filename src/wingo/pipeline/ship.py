"""Sends results where they were asked to go: registries, and local places."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, Opener
from wingo.oci.digest import Digest
from wingo.oci.place import PlaceKind, parse_place
from wingo.oci.reference import Reference
from wingo.pipeline.places import artifact_in_cache
from wingo.pipeline.report import PlatformReport, ProgramReport

if TYPE_CHECKING:
    from wingo.oci.descriptor import Descriptor
    from wingo.pipeline.places import Places
    from wingo.pipeline.request import BuildRequest


def ship(
    results: Sequence[tuple[ProgramReport, Image | Index | None]], request: BuildRequest, places: Places
) -> tuple[ProgramReport, ...] | None:
    """Sends every result to its names and outputs.

    Args:
        results: what was built, with the index at hand; None: it is taken from the cache when somebody needs it.
        request: says where to.
        places: writes.

    Returns:
        The reports with where everything went; None when the cache lacks a part of a result that is needed.

    Raises:
        RemoteError, HostError: a place cannot be written.
    """
    pushes: list[tuple[Image | Index, list[Reference]]] = []
    shipped = []
    for report, built in results:
        artifact = built
        names = list(request.names_of(report.name)) if request.settings.push else []
        outputs = request.outputs_of(report.name)
        missing = [name for name in names if artifact is not None or not _stands_for(name, report.digest, places)]
        if (missing or outputs or request.exports) and artifact is None:
            artifact = artifact_in_cache(places.cache, report.digest, _base_openers(report, places))
            if artifact is None:
                return None
        if artifact is not None:
            if request.exports:
                from wingo.pipeline.dockerfile_outputs import write_exports

                write_exports(artifact, request.exports, places)
            pushes.append((artifact, missing))
            called = str(request.names_of(report.name)[0]) if request.settings.name else report.name
            for output in outputs:
                # A tree of files is for looking at what was built; the base's gigabytes are not unpacked for that.
                thin = request.settings.thin or output.kind is PlaceKind.FILES
                leave_out = _base_layers(artifact, report) if thin else ()
                # Several programs in one layout are told apart by their names.
                tag = report.name if len(results) > 1 else ""
                places.write(artifact, [output], called, tag=tag, leave_out=leave_out)
        shipped.append(
            msgspec.structs.replace(
                report,
                references=tuple(f"{name}@{report.digest}" for name in names),
                places=(*map(str, outputs), *(export.path for export in request.exports if export.path != "-")),
            )
        )
    places.push_all(pushes)
    return tuple(shipped)


def _stands_for(name: Reference, digest: str, places: Places) -> bool:
    if places.offline:
        raise RequestError("--offline and --push contradict each other", hint="Write to oci:DIR, and push that later.")
    found = places.client.head(name)
    return found is not None and found.digest == digest


def _base_layers(artifact: Image | Index, report: ProgramReport) -> frozenset[Digest]:
    """The layers that wingo did not make."""
    from wingo.image.model import images_of

    own = {digest for image in report.platforms for digest in image.layers}
    return frozenset(
        layer.descriptor.digest
        for image in images_of(artifact)
        for layer in image.layers
        if layer.descriptor.digest not in own
    )


def _base_openers(report: ProgramReport, places: Places) -> Callable[[Descriptor], Opener | None]:
    """How a base's layer is opened that the cache lacks: by looking again where the base is. Our own are made again."""
    own = {digest for image in report.platforms for digest in image.layers}

    def open_elsewhere(descriptor: Descriptor) -> Opener | None:
        if descriptor.digest in own:
            return None

        def open_layer() -> BinaryIO:
            for image in report.platforms:
                # Without a digest there is nothing below: the name is "scratch" or "static".
                for base in _base_images(image, places) if image.base_digest else ():
                    for layer in base.layers:
                        if layer.descriptor.digest == descriptor.digest:
                            return layer.open()
            raise RequestError(f"nobody knows where the layer {descriptor.digest} is")

        return open_layer

    return open_elsewhere


def _base_images(report: PlatformReport, places: Places) -> Iterable[Image]:
    """What an image stands on: one image of a registry, or all that is in a local place."""
    from wingo.image.model import images_of

    place = parse_place(report.base, default_tag="latest")
    if place.reference is not None:
        return (places.read_image(place.reference.with_digest(Digest(report.base_digest))),)
    return images_of(places.open(place).read())
