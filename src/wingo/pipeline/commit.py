"""`wingo commit`: a container's writable layer on top of its image, as a new image."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from wingo.archive.entry import LayerRecipe
from wingo.errors import RequestError
from wingo.image.derive import ConfigPatch, derive
from wingo.image.model import Image, images_of
from wingo.launch.capture import capture
from wingo.launch.containers import Container, Containers, State
from wingo.launch.stack import Storage
from wingo.oci.digest import parse_digest
from wingo.oci.media_types import DOCKER_MANIFEST, Family
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.pipeline.assemble import added_layer, rfc3339
from wingo.pipeline.places import Places
from wingo.pipeline.viewing import view_of

"""A directory that hides what is below it; Windows has no such sign, and Wine makes none where the image has something."""


class CommitReport(msgspec.Struct, frozen=True, rename="camel"):
    """What was made.

    Attributes:
        digest: of the image.
        layer: the digest of the new layer, as stored.
        entries: how many there are in it.
        references: digest references, where it was pushed.
        places: local places that were written.
    """

    digest: str
    layer: str
    entries: int
    references: tuple[str, ...] = ()
    places: tuple[str, ...] = ()


def commit(
    name: str, targets: Sequence[Place], changes: Sequence[str], places: Places, containers: Containers, epoch: int
) -> CommitReport:
    """Makes an image of a container and writes it.

    Args:
        name: of the container; it may run.
        targets: where the image goes.
        changes: `NAME=value` variables that the new image has.
        places: where the container's image is read from, and the new one written to.
        containers: where the container is.
        epoch: the time of everything in the new layer, in seconds since 1970.

    Raises:
        RequestError: there is no such container, or its image has gone.
        HostError: something of the container cannot be read.
    """
    container, state = containers.read(name)
    base = image_of(container, places)
    recipe = plan_capture(base, container, state, containers.directory(name), epoch, places)
    layer = places.cache.pack(recipe)
    family = Family.DOCKER if base.media_type == DOCKER_MANIFEST else Family.OCI
    settings: dict[str, object] = {}
    if changes:
        variables = dict(item.partition("=")[::2] for item in (*(base.config.settings.env or ()), *changes))
        settings["env"] = tuple(f"{key}={value}" for key, value in variables.items())
    patch = ConfigPatch(created=rfc3339(epoch), settings=settings)
    image = derive(
        base,
        [added_layer(layer, recipe.created_by, recipe.comment, epoch)],
        patch,
        family=family,
        annotations=base.manifest.annotations,
    )
    references = tuple(target.reference for target in targets if target.reference is not None)
    local = tuple(target for target in targets if target.kind is not PlaceKind.REGISTRY)
    places.write(image, local, "latest")
    return CommitReport(
        image.digest,
        layer.descriptor.digest,
        len(recipe.entries),
        places.push(image, references),
        tuple(str(place) for place in local),
    )


def plan_capture(
    image: Image, container: Container, state: State, directory: str, epoch: int, places: Places
) -> LayerRecipe:
    """The recipe of a container's layer, in the dialect of its image's system.

    Raises:
        RequestError: a name that Windows cannot have.
        HostError: something cannot be read.
    """
    storage = Storage(state.storage) if state.storage else Storage.OVERLAY
    entries = capture(
        os.path.join(directory, "upper"),
        container.identity,
        storage=storage,
        lowers=container.lowers,
        made=state.made,
    )
    if container.platform.startswith("windows"):
        from wingo.pipeline.commit_windows import plan_windows_capture

        view = view_of(image, places, base_layers=False)
        recipe, notes = plan_windows_capture(entries, view, container.name, epoch)
        for note in notes:
            places.progress.note(note)
        return recipe
    return LayerRecipe(entries, epoch, f"wingo commit {container.name}", "what a container wrote")


def image_of(container: Container, places: Places) -> Image:
    """The image that a container was started from.

    Raises:
        RequestError: its place has another image by now.
    """
    if not container.digest:
        raise RequestError(
            f"{container.name!r} is a step of {container.image}, and has no image",
            hint="Mend the step, and build: wingo build -f.",
        )
    place = parse_place(container.image, default_tag="latest")
    pinned = places.open_pinned(place, parse_digest(container.digest)) if place.reference else places.open(place)
    artifact = pinned.read()
    for image in images_of(artifact):
        if image.digest == container.digest:
            return image
    raise RequestError(
        f"{container.image} has another image by now than {container.digest}, which {container.name!r} was started from",
        hint="Put that image back, or start the container anew from the one that is there.",
    )
