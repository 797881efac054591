"""Which of an image's layers are its base's, and what that base is: for images of any tool, as far as they tell.

Nothing is believed that the layers deny: a base's layers are the image's lowest ones, diff_id for diff_id.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import WingoError
from wingo.image.model import Image, Index, images_of
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.digest import parse_digest
from wingo.oci.place import Place, PlaceKind
from wingo.oci.reference import Reference, parse_reference
from wingo.pipeline.places import artifact_in_cache, never_elsewhere
from wingo.windows.bases import FLAVOURS

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_MICROSOFTS = re.compile(r"(?:Apply image|Install update) (?:[0-9A-Za-z_-]+|10\.0\.[0-9.]+)\Z", re.IGNORECASE)
"""The lines in the history of Microsoft's bases, one for each layer."""


class BaseLayers(msgspec.Struct, frozen=True):
    """What is known of an image's base.

    Attributes:
        count: how many of the lowest layers are the base's; 0: none, or nobody knows.
        how: how that is known: "annotation" (the image names its base, whose manifest says the same), "cache" (a base
            that the cache remembers), "history" (Microsoft's lines), "" (it is not).
        name: the base's reference, where it is known; "" otherwise.
        digest: of the base's manifest; "" otherwise.
        flavour: "nanoserver", "servercore", …; "" when it is none of Microsoft's, or not known.
        created: when the base says that it was made, RFC 3339; "" otherwise.
        problem: why what the image says of its base was not taken, a sentence; "" when it was, or it says nothing.
        image: the base, where its documents are at hand.
    """

    count: int = 0
    how: str = ""
    name: str = ""
    digest: str = ""
    flavour: str = ""
    created: str = ""
    problem: str = ""
    image: Image | None = None


def base_of(image: Image, places: Places) -> BaseLayers:
    """Finds out what an image stands on; fetches the base's manifest and config when the image names it.

    The first that holds: the annotations `base.digest` and `base.name` (or labels of those names), the bases in the
    cache, the history. It never fails: what cannot be asked is not known, see `BaseLayers.problem`.
    """
    labels = {**(image.config.settings.labels or {}), **image.manifest.annotations}
    name, digest = labels.get(BASE_NAME, ""), labels.get(BASE_DIGEST, "")
    problem = ""
    if name and digest:
        try:
            reference = parse_reference(name, default_tag="latest")
            artifact = _read(reference.with_digest(parse_digest(digest)), places)
        except WingoError as error:
            problem = f"its base {name[:200]} cannot be read: {error}"
        else:
            base = _longest(image, artifact)
            if base is not None:
                return _known(base, "annotation", str(msgspec.structs.replace(reference, digest=_NO_DIGEST)))
            problem = f"it does not begin with the layers of {name[:200]}, which it says is its base"
    best: tuple[Image, str] | None = None
    for base, reference_text in _in_cache(places):
        # Of the same layers, or for another machine: a sibling, not a base.
        lower = len(base.layers) < len(image.layers) and _machine(base) == _machine(image)
        if lower and _stands_on(image, base) and (best is None or len(base.layers) > len(best[0].layers)):
            best = base, reference_text
    if best is not None:
        return msgspec.structs.replace(_known(best[0], "cache", best[1]), problem=problem)
    count = _by_history(image)
    how = "history" if count else ""
    return BaseLayers(count=count, how=how, name=name if count else "", flavour=flavour_of(name), problem=problem)


def flavour_of(name: str) -> str:
    """Which of Microsoft's bases a reference names, on their registry or a mirror of it; "" for none."""
    try:
        repository = parse_reference(name).repository if name else ""
    except WingoError:
        return ""
    for flavour in FLAVOURS.values():
        if repository == flavour.repository or repository.endswith("/" + flavour.repository):
            return flavour.name
    return ""


_NO_DIGEST = Reference("", "").digest


def _read(pinned: Reference, places: Places) -> Image | Index:
    return places.open(Place(PlaceKind.REGISTRY, reference=pinned)).read()


def _stands_on(image: Image, base: Image) -> bool:
    below = len(base.layers)
    if not 0 < below <= len(image.layers) or base.digest == image.digest:
        return False
    return all(mine.diff_id == its.diff_id for mine, its in zip(image.layers, base.layers, strict=False))


def _machine(image: Image) -> tuple[str, str]:
    return image.config.os, image.config.architecture


def _longest(image: Image, artifact: Image | Index) -> Image | None:
    fitting = [base for base in images_of(artifact) if _stands_on(image, base)]
    return max(fitting, key=lambda base: len(base.layers), default=None)


def _known(base: Image, how: str, name: str) -> BaseLayers:
    return BaseLayers(
        count=len(base.layers),
        how=how,
        name=name,
        digest=base.digest,
        flavour=flavour_of(name),
        created=base.config.created or "",
        image=base,
    )


def _in_cache(places: Places) -> Iterator[tuple[Image, str]]:
    """Every image that the cache remembers under a tag; images that wingo itself has pushed are among them."""
    for seen in places.cache.seen_tags():
        try:
            artifact = artifact_in_cache(places.cache, seen.descriptor.digest, never_elsewhere, partial=True)
        except WingoError:
            continue
        for base in images_of(artifact) if artifact is not None else ():
            yield base, seen.reference


def _by_history(image: Image) -> int:
    count = 0
    if image.config.os != "windows":
        return 0
    for line in image.config.history or ():
        if line.empty_layer:
            continue
        if not _MICROSOFTS.match(line.created_by.strip()):
            break
        count += 1
    return min(count, len(image.layers))
