"""From layers to images and their index: configs, annotations, history, order. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive, make_index
from wingo.image.model import Image, Index, Layer
from wingo.oci import annotations as keys
from wingo.oci.config import ContainerConfig, History
from wingo.oci.media_types import Family
from wingo.pipeline.application import Application
from wingo.pipeline.bases import Base
from wingo.pipeline.settings import Settings
from wingo.windows.osversion import index_order

_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?\Z")
_MAX_PORT = 65535
REGISTRY_COMMENT = "changes of the registry: "
"""How the line of history begins of a layer that changes the base's registry."""


class Origin(msgspec.Struct, frozen=True):
    """Where a program comes from, for annotations; "" for what is not known.

    Attributes:
        source: the repository's address.
        revision: the commit.
        version: the module's version.
    """

    source: str = ""
    revision: str = ""
    version: str = ""


def assemble(
    application: Application, base: Base, layers: Sequence[AddedLayer], origin: Origin, family: Family
) -> tuple[Image, list[str]]:
    """The image of one program on one base.

    Args:
        application: the program, with the user's settings.
        base: what it stands on.
        layers: wingo's own, lowest first; shared by every base of the same system.
        origin: for the annotations.
        family: how the documents are written.

    Returns:
        The image, and notes.

    Raises:
        RequestError: a setting that the system cannot have.
    """
    below = base.image.config.settings if base.image is not None else ContainerConfig()
    members, notes = _system_settings(application, below, base.image)
    settings = application.settings
    created = rfc3339(application.epoch)
    annotations = _annotations(application, origin, base)
    labels = {**(below.labels or {}), **settings.label}
    if family is Family.DOCKER:
        # Docker's manifests have no annotations; its users look at labels.
        labels = {**annotations, **labels}
    members["labels"] = labels
    members["exposed_ports"] = {**(below.exposed_ports or {}), **{_port(text): {} for text in settings.expose}}
    patch = ConfigPatch(created=created, settings=members)
    if base.image is None:
        platform = base.platform
        patch = msgspec.structs.replace(
            patch,
            os=platform.os,
            architecture=platform.architecture,
            variant=platform.variant,
            os_version=platform.os_version,
        )
    return derive(base.image, layers, patch, family=family, annotations=annotations), notes


def added_layer(layer: Layer, created_by: str, comment: str, epoch: int) -> AddedLayer:
    """A packed layer with its line of history."""
    return AddedLayer(layer, History(created=rfc3339(epoch), created_by=created_by, comment=comment))


def assemble_index(images: Sequence[Image], settings: Settings, origin: Origin, epoch: int, family: Family) -> Index:
    """The index over a program's images: Windows first and newest first, since old readers take the first that fits.

    Images that came out the same (a base that fits every Windows version) stand there once.
    """
    unique = {image.digest: image for image in images}
    ordered = sorted(unique.values(), key=lambda image: index_order(image.platform))
    return make_index(ordered, family=family, annotations={**_common(origin, epoch), **settings.annotation})


def rfc3339(epoch: int) -> str:
    """A time as the specification writes it."""
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _system_settings(
    application: Application, below: ContainerConfig, base: Image | None
) -> tuple[dict[str, object], list[str]]:
    if application.os == "windows":
        from wingo.pipeline.windows_image import windows_settings

        # Only HostProcess bases are without os.version (facts §1.11).
        host_process = base is not None and not base.platform.os_version
        return windows_settings(application, below, host_process=host_process)
    from wingo.pipeline.linux_image import linux_settings

    return linux_settings(application, below, has_base=base is not None)


def _common(origin: Origin, epoch: int) -> dict[str, str]:
    known = {
        keys.CREATED: rfc3339(epoch),
        keys.SOURCE: origin.source,
        keys.REVISION: origin.revision,
        keys.VERSION: origin.version,
    }
    return {key: value for key, value in known.items() if value}


def _annotations(application: Application, origin: Origin, base: Base) -> dict[str, str]:
    annotations = {keys.TITLE: application.name, **_common(origin, application.epoch)}
    if base.image is not None:
        annotations[keys.BASE_DIGEST] = base.image.digest
        if base.reference:
            annotations[keys.BASE_NAME] = base.reference
    return {**annotations, **application.settings.annotation}


def _port(text: str) -> str:
    matched = _PORT.match(text)
    numbers = [int(number) for number in matched.groups()[:2] if number] if matched else []
    if matched is None or not all(0 < number <= _MAX_PORT for number in numbers) or numbers != sorted(numbers):
        raise RequestError(f"--expose {text!r} is not a port", hint="Write 8080, 53/udp or 8000-8010/tcp.")
    return text if matched[3] else f"{text}/tcp"
