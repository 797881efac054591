"""An image's `View`: its layers read in parallel, each layer's listing remembered by its diff_id.

A listing is kept in the cache only after the layer's bytes were found to be those of its diff_id, and the cache digests
what it keeps: what comes back is what was read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wingo.archive.unpack import DEFAULT_LIMITS, Limits
from wingo.errors import HostError, Malformed, RequestError
from wingo.image.model import Image
from wingo.oci.digest import encoded_of
from wingo.pipeline.base_layers import BaseLayers, base_of
from wingo.stores.parallel import each
from wingo.stores.registry.blob import RegistryBlob
from wingo.view.layer import MAX_KEPT, LayerFiles, Watch, read_layer
from wingo.view.listing import VERSION, decode_listing, encode_listing
from wingo.view.merged import MAX_NODES, View, make_view

if TYPE_CHECKING:
    from wingo.pipeline.places import Places

_KIND = "listings"


def view_of(
    image: Image,
    places: Places,
    *,
    base_layers: bool,
    base: BaseLayers | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> View:
    """An image's file system.

    Args:
        image: with its layers' openers.
        places: its cache remembers listings; a layer that is not at hand is fetched by its own opener.
        base_layers: also the base's layers, whatever it takes; else those only whose listing is remembered, or whose
            bytes are at hand (a local place, the cache): no base layer is fetched from a registry.
        base: what `base_of` said, when the caller has it.
        limits: where reading a layer stops.

    Raises:
        ContentError: a layer is damaged, encrypted, or beyond the limits.
        RemoteError: a registry does not give a layer.
    """
    below = 0 if base_layers else (base or base_of(image, places)).count
    names = kept = 0

    def read(number: int) -> LayerFiles | None:
        nonlocal names, kept
        files = layer_files(image, number, places, fetch=number >= below, limits=limits)
        if files is not None:
            names, kept = names + len(files.nodes), kept + files.kept
            if names > MAX_NODES or kept > MAX_KEPT:
                raise Malformed("image", f"its layers have more than {MAX_NODES} names, or {MAX_KEPT} bytes of them")
        return files

    return make_view(image, each(places.jobs, read, range(len(image.layers))))


def layer_files(
    image: Image,
    number: int,
    places: Places,
    *,
    fetch: bool,
    limits: Limits = DEFAULT_LIMITS,
    watch: Watch | None = None,
) -> LayerFiles | None:
    """One layer's listing: remembered, else read.

    Args:
        image: whose layer it is.
        number: its index.
        places: see `view_of`.
        fetch: from a registry too, and an error when nobody has it; else None.
        limits: where reading stops.
        watch: sees the entries go by: the layer is read, remembered or not.
    """
    layer = image.layers[number]
    os = "windows" if image.config.os == "windows" else "linux"
    if not layer.diff_id:
        raise Malformed("layer", f"{layer.descriptor.digest} belongs to an artifact that is no image")
    key = f"{VERSION}-{os}-{encoded_of(layer.diff_id)}"
    remembered = remembered_files(image, number, places) if watch is None else None
    if remembered is not None:
        return remembered
    if not fetch and isinstance(layer.open, RegistryBlob):
        return None
    try:
        files = read_layer(layer, number, os, limits, watch)
    except RequestError:
        # A thin layout does not have it.
        if fetch:
            raise
        return None
    data = encode_listing(files)
    if data is not None:
        _keep(places, key, data)
    return files


def remembered_files(image: Image, number: int, places: Places) -> LayerFiles | None:
    """One layer's listing, if the cache remembers it."""
    layer = image.layers[number]
    os = "windows" if image.config.os == "windows" else "linux"
    key = f"{VERSION}-{os}-{encoded_of(layer.diff_id)}"
    remembered = places.cache.record(_KIND, key)
    if remembered is None:
        return None
    try:
        return decode_listing(remembered, layer.diff_id, os, number)
    except Malformed:
        places.cache.forget_record(_KIND, key)
        return None


def _keep(places: Places, key: str, data: bytes) -> None:
    try:
        places.cache.keep_record(_KIND, key, data)
    except HostError as error:
        # A cache that cannot be written (a read-only home, a full disk) costs time, not the result.
        places.progress.note(f"the listing of a layer is not remembered: {error}")
