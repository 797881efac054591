"""One image of a place: what `wingo ls`, `cat`, `export` and `diff` look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.image.model import Image, Index, images_of
from wingo.oci.place import Place
from wingo.pipeline.base_layers import BaseLayers, base_of
from wingo.pipeline.transfer import completed, read_platform
from wingo.pipeline.viewing import view_of
from wingo.stores.reading import is_runnable
from wingo.view.merged import View

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_LISTED = 20


class Chosen(msgspec.Struct, frozen=True):
    """An image and its file system.

    Attributes:
        image: the image.
        base: what is known of its base.
        view: as far as its layers were read.
        unread: bytes of the layers that were not, as stored.
    """

    image: Image
    base: BaseLayers
    view: View
    unread: int


def runnable_images(artifact: Image | Index) -> list[Image]:
    """The images in it that could run somewhere, each once."""
    return list({image.digest: image for image in images_of(artifact) if is_runnable(image)}.values())


def one_image(place: Place, platform: str, places: Places) -> Image:
    """The image at a place, or the one for a platform.

    Raises:
        RequestError: there is none, or there are several; the hint lists them.
    """
    artifact = read_platform(place, platform, places)
    images = runnable_images(artifact)
    if not images:
        raise RequestError(f"there is no image at {place}, but {_what(artifact)}")
    if len(images) > 1:
        raise RequestError(
            f"there are {len(images)} images at {place}", hint=f"Choose one: --platform {_names(images)}."
        )
    return images[0]


def choose(place: Place, platform: str, places: Places, *, with_base: bool) -> Chosen:
    """An image with its file system.

    Args:
        place: where it is.
        platform: which one of an index; "" when there is only one.
        places: where things are read from.
        with_base: the base's layers too, whatever it takes; else those only that are at hand.

    Raises:
        RequestError: there is none, or several.
        ContentError: a layer is damaged.
    """
    image = one_image(place, platform, places)
    if with_base and place.reference is None:
        whole = completed(image, places)
        assert isinstance(whole, Image)
        image = whole
    base = base_of(image, places)
    view = view_of(image, places, base_layers=with_base, base=base)
    unread = sum(layer.descriptor.size for layer, files in zip(image.layers, view.layers, strict=True) if files is None)
    return Chosen(image, base, view, unread)


def _names(images: Sequence[Image]) -> str:
    names = [str(msgspec.structs.replace(image.platform, os_features=())) for image in images[:_LISTED]]
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _what(artifact: Image | Index) -> str:
    if isinstance(artifact, Index):
        return f"an index of {len(artifact.manifest.manifests)} other things"
    kind = artifact.manifest.artifact_type or artifact.manifest.config.media_type
    return f"an artifact of the type {kind[:160]!r}"
