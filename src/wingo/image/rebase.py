"""Another base under an image's own layers, without building it again: only documents change.

What the image took over from its old base is taken from the new one; what it set itself stays. It is refused where the
configs say that the program would start differently.
"""

from __future__ import annotations

from collections.abc import Mapping

from wingo.errors import RequestError
from wingo.image.derive import AddedLayer, ConfigPatch, derive, history_below, raw_settings
from wingo.image.model import Image
from wingo.oci.annotations import BASE_DIGEST, BASE_NAME
from wingo.oci.config import History
from wingo.oci.media_types import Family, family_of
from wingo.oci.wire import MAX_CONFIG_BYTES, document

_DECIDES_THE_START = ("user", "working_dir", "entrypoint", "cmd", "shell")
_BUILD_PARTS = 3
"""Of `10.0.20348.2849`, the parts that name the Windows version; the last is the month's update."""


def rebase(image: Image, old: Image, new: Image, *, new_name: str, family: Family | None = None) -> Image:
    """The image on `new` in place of `old`.

    Args:
        image: made on `old`.
        old: the base that it was made on.
        new: the base that it is to stand on.
        new_name: the new base's reference, for the annotation.
        family: as `image` by default.

    Raises:
        RequestError: the image does not stand on `old`, or the configs say that it would not be safe.
    """
    below = len(old.layers)
    if [layer.diff_id for layer in image.layers[:below]] != [layer.diff_id for layer in old.layers]:
        raise RequestError(
            f"the image for {image.platform} does not begin with the layers of its base {old.digest}",
            hint="Build it again on the new base.",
        )
    _check_safe(image, old, new)
    own_history = (image.config.history or ())[len(history_below(old)) :]
    added = _added(image, below, own_history)
    merged = _merged(image, old, new)
    annotations = {**image.manifest.annotations, BASE_DIGEST: new.digest, BASE_NAME: new_name}
    patch = ConfigPatch(created=image.config.created or "", author=image.config.author, raw_settings=merged)
    return derive(new, added, patch, family=family or family_of(image.media_type), annotations=annotations)


def _added(image: Image, below: int, history: tuple[History, ...]) -> list[AddedLayer]:
    """The image's own layers with their lines of history."""
    lines = iter(line for line in history if not line.empty_layer)
    return [
        AddedLayer(layer, next(lines, History(comment="a layer without history"))) for layer in image.layers[below:]
    ]


def _check_safe(image: Image, old: Image, new: Image) -> None:
    problem = _problem(image, old, new)
    if problem:
        raise RequestError(
            f"the image for {image.platform} cannot be moved to {new.digest}: {problem}",
            hint="Build it again on the new base, and look at what differs.",
        )


def _problem(image: Image, old: Image, new: Image) -> str:
    was, becomes = image.config, new.config
    if (was.os, was.architecture, was.variant) != (becomes.os, becomes.architecture, becomes.variant):
        return f"that is for {new.platform}"
    if was.os_version.split(".")[:_BUILD_PARTS] != becomes.os_version.split(".")[:_BUILD_PARTS]:
        return f"its Windows version is {becomes.os_version or 'not known'}, not {was.os_version or 'not known'}"
    lost = set(was.os_features or ()) - set(becomes.os_features or ())
    if lost:
        return f"it lacks {', '.join(sorted(lost))}, which the old base has"
    for field in _DECIDES_THE_START:
        mine, before, after = (getattr(item.settings, field) for item in (was, old.config, becomes))
        if mine == before and before != after and mine:
            return f"the image takes {field} from its base, and there it changes from {before!r} to {after!r}"
    return ""


def _merged(mine: Image, before: Image, after: Image) -> dict[str, object]:
    """The members of the new config: a three-way merge, member by member and variable by variable."""
    own, old, new = (
        raw_settings(document(image.config_bytes, "config", limit=MAX_CONFIG_BYTES)) for image in (mine, before, after)
    )
    merged: dict[str, object] = {}
    for name in [*new, *(name for name in own if name not in new)]:
        values = own.get(name), old.get(name), new.get(name)
        if name == "Env":
            environments = (image.config.settings.env or () for image in (mine, before, after))
            merged[name] = _merged_environment(*environments)
        elif any(isinstance(value, dict) for value in values):
            merged[name] = _merged_map(*(value if isinstance(value, dict) else {} for value in values))
        else:
            merged[name] = values[2] if values[0] == values[1] else values[0]
    return {name: value for name, value in merged.items() if value not in (None, [], {})}


def _merged_environment(own: tuple[str, ...], old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    merged = _merged_map(*(dict(item.partition("=")[::2] for item in items) for items in (own, old, new)))
    return tuple(f"{name}={value}" for name, value in merged.items())


def _merged_map(own: Mapping[str, object], old: Mapping[str, object], new: Mapping[str, object]) -> dict[str, object]:
    changed = {key: value for key, value in own.items() if key not in old or old[key] != value}
    removed = {key for key in old if key not in own}
    return {**{key: value for key, value in new.items() if key not in removed}, **changed}
