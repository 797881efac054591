"""`wingo commit`: a container's writable layer on top of its image, as a new image."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from wingo.archive.entry import Entry, EntryKind, LayerRecipe
from wingo.errors import RequestError
from wingo.image.derive import ConfigPatch, derive
from wingo.image.model import Image, images_of
from wingo.launch.capture import capture
from wingo.launch.containers import Container, Containers, State
from wingo.launch.stack import Storage
from wingo.launch.wine.drive import DRIVE
from wingo.linux.paths import WHITEOUT_PREFIX
from wingo.oci.digest import parse_digest
from wingo.oci.media_types import DOCKER_MANIFEST, Family
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.pipeline.assemble import added_layer, rfc3339
from wingo.pipeline.places import Places
from wingo.windows.layer import plan_layer
from wingo.windows.requests import DATA, LayerRequest, Whiteout, WindowsDirectory, WindowsFile, WindowsHardLink

OPAQUE_NAME = ".wh..wh..opq"
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
    recipe = _captured(base, container, state, containers.directory(name), epoch, places)
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


def _captured(
    image: Image, container: Container, state: State, directory: str, epoch: int, places: Places
) -> LayerRecipe:
    recipe = plan_capture(container, state, directory, epoch)
    if not container.platform.startswith("windows"):
        return recipe
    from wingo.pipeline.commit_windows import plan_windows_capture
    from wingo.pipeline.viewing import view_of

    view = view_of(image, places, base_layers=False)
    recipe, notes = plan_windows_capture(recipe.entries, view, container.name, epoch)
    for note in notes:
        places.progress.note(note)
    return recipe


def plan_capture(container: Container, state: State, directory: str, epoch: int) -> LayerRecipe:
    """The recipe of a container's layer, as Linux has it.

    Raises:
<<<<<<< HEAD
        RequestError: a name that Windows cannot have.
=======
>>>>>>> 336a292 (wingo commit: what a Windows program wrote under Wine, as a layer in Windows' dialect)
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
    created_by, comment = f"wingo commit {container.name}", "what a container wrote"
    if container.platform.startswith("windows"):
        requests = windows_requests(entries)
        return plan_layer(requests, epoch=epoch, created_by=created_by, comment=comment).recipe
    return LayerRecipe(entries, epoch, created_by, comment)


def windows_requests(entries: Sequence[Entry]) -> list[LayerRequest]:
    r"""What a Windows program wrote under Wine, as requests for a layer of the Windows dialect.

    Taken is what lies on drive C: outside of `C:\Windows`, which is Wine's own there. Wine's registry is not a hive, and is
    left out. Files belong to the service's account, as it is the one that wrote them.
    """
    requests: list[LayerRequest] = []
    filled = {entry.name.rpartition("/")[0] for entry in entries}
    for entry in entries:
        if not entry.name.startswith(f"{DRIVE}/"):
            continue
        *folders, name = entry.name.removeprefix(f"{DRIVE}/").split("/")
        if (folders or [name])[0].lower() == "windows":
            continue
        removed = name.startswith(WHITEOUT_PREFIX)
        path = "C:\\" + "\\".join((*folders, name.removeprefix(WHITEOUT_PREFIX)))
        if name == OPAQUE_NAME:
            continue
        if removed:
            requests.append(Whiteout(path=path, source="the container"))
        elif entry.kind is EntryKind.FILE and entry.content is not None:
            requests.append(WindowsFile(path=path, content=entry.content, attributes=DATA, source="the container"))
        elif entry.kind is EntryKind.HARDLINK:
            target = "C:\\" + entry.link_target.removeprefix(f"{DRIVE}/").replace("/", "\\")
            requests.append(WindowsHardLink(path=path, target=target, source="the container"))
        elif entry.kind is EntryKind.DIRECTORY and entry.name not in filled:
            requests.append(WindowsDirectory(path=path, attributes=DATA, source="the container"))
    return requests


def image_of(container: Container, places: Places) -> Image:
    """The image that a container was started from.

    Raises:
        RequestError: its place has another image by now.
    """
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
