"""Hives wherever they are: a file, a directory with the hives of an image, an image; opened with their logs and layers, written whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import ContentError, HostError, Malformed, RequestError
from wingo.hive.diff import delta_of, diff
from wingo.hive.edit import CreateKey, DeleteKey, DeleteValue, Edit, SetValue, apply_edits
from wingo.hive.keys import Key
from wingo.hive.merge import merge
from wingo.hive.paths import HIVES, parse_where, resolve_control_set
from wingo.hive.read import Hive, open_hive
from wingo.hive.write import write_delta, write_hive
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.windows.registry import LAYER_NAMES

if TYPE_CHECKING:
    from wingo.image.model import Image
    from wingo.pipeline.places import Places

_MAX_BYTES = 1 << 30
_LOGS = (".LOG1", ".LOG2", ".LOG")
_FOLDERS = ("", "Hives", "Windows/System32/config", "Files/Windows/System32/config")
_LOCAL_PREFIXES = tuple(f"{kind.value}:" for kind in PlaceKind if kind.value)


class OpenHive(msgspec.Struct, frozen=True):
    """A hive that can be read.

    Attributes:
        name: one of `wingo.hive.paths.HIVES`, as far as the file's name tells; else "".
        file: where it is.
        hive: its bytes, and what its first block says.
        root: its root key; with a layer beside it, that of the merged view.
        layers: the files of its layers.
    """

    name: str
    file: str
    hive: Hive
    root: Key
    layers: tuple[str, ...] = ()

    @property
    def shown_root(self) -> str:
        """What stands before its paths."""
        return HIVES.get(self.name, self.name or os.path.basename(self.file))


def read_hive_file(path: str) -> bytes:
    """A file's bytes.

    Raises:
        HostError: it cannot be read, or is larger than a hive is.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise HostError(f"cannot read {path}: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise HostError(f"{path} has more than {_MAX_BYTES} bytes")
    return data


def open_hives(path: str, *, allow_dirty: bool = False) -> tuple[OpenHive, ...]:
    r"""Opens a hive file, or the hives of a directory: below it, in `Hives` or in `Windows\System32\config`.

    A dirty hive is read with the .LOG1, .LOG2 or .LOG beside it. `System_Delta` and its like are layers: they are merged
    onto the hive of that name, or onto `System_Base`.

    Raises:
        HostError: a file cannot be read.
        RequestError: the directory has no hive.
        Malformed: a file is no hive, or is dirty and its logs do not help.
    """
    if not os.path.isdir(path):
        return (_open_file(path, _hive_name(os.path.basename(path)), allow_dirty=allow_dirty),)
    bases, layers = _hives_in(path)
    if not bases:
        more = " (layers alone cannot be merged)" if layers else ""
        raise RequestError(f"{path} has no hive{more}", hint=f"A hive is called {', '.join(HIVES)}, or System_Base.")
    return tuple(
        _open_file(bases[name], name, layers.get(name, ""), allow_dirty=allow_dirty) for name in HIVES if name in bases
    )


def image_place(text: str, path: str) -> Place | None:
    """The place of an image, when what a person wrote is one and no file or directory.

    Args:
        text: as written.
        path: the same as a path, absolute.

    Raises:
        RequestError: it begins like a place and is none.
    """
    if os.path.exists(path):
        return None
    return parse_place(text, default_tag="latest") if _looks_like_place(text) else None


def target_place(text: str) -> Place:
    """Where a changed image goes.

    Raises:
        RequestError: it is no place; a bare word, which would be a name on Docker Hub, included.
    """
    if not _looks_like_place(text):
        raise RequestError(f"{text!r} is no place for an image", hint=f"Write oci:{text}, or REGISTRY/NAME:TAG.")
    return parse_place(text, default_tag="latest")


def _looks_like_place(text: str) -> bool:
    host = text.partition("/")[0]
    named = "/" in text and host not in ("", ".", "..") and ("." in host or ":" in host or host == "localhost")
    return named or text.startswith(_LOCAL_PREFIXES)


def one_windows_image(source: Place, platform: str, places: Places) -> Image:
    """The image at a place whose registry is meant.

    Args:
        source: where it is.
        platform: one platform of an index; "" when there is one Windows image only.
        places: reads it.

    Raises:
        RequestError: there is none, or several and no platform; the hint lists them.
    """
    from wingo.pipeline.choosing import runnable_images
    from wingo.pipeline.transfer import completed, read_platform

    artifact = read_platform(source, platform, places)
    if source.reference is None:
        artifact = completed(artifact, places)
    images = [image for image in runnable_images(artifact) if image.config.os == "windows"]
    if len(images) == 1:
        return images[0]
    if not images:
        raise RequestError(f"{source} has no Windows image, and so no registry")
    listed = ", ".join(str(image.platform) for image in images)
    raise RequestError(f"{source} has {len(images)} Windows images", hint=f"Add --platform with one of {listed}.")


def open_image_hives(
    source: Place, platform: str, places: Places, *, allow_dirty: bool = False
) -> tuple[OpenHive, ...]:
    """The hives of an image, its layers' merged onto its base's.

    Raises:
        RequestError: see `one_windows_image`; or it has no hives.
        ContentError: a hive is dirty without its logs, or none.
    """
    from wingo.pipeline.image_hives import read_image_hives

    image = one_windows_image(source, platform, places)
    found = read_image_hives(image, places, allow_dirty=allow_dirty)
    if not found.bases:
        found.raise_problem(HIVES)
    for error in found.problems.values():
        places.progress.note(f"left out: {error}")
    registry = found.registry()
    return tuple(
        OpenHive(
            name,
            f"{source}",
            found.bases[name],
            registry.hives[name],
            tuple(f"layer {number}: Hives/{LAYER_NAMES[name]}_Delta" for number, _ in found.uppers.get(name, ())),
        )
        for name in HIVES
        if name in found.bases
    )


def find_hive_files(path: str) -> tuple[str, ...]:
    """The hive file, or the hives and layers in a directory, as `open_hives` looks for them."""
    if not os.path.isdir(path):
        return (path,)
    bases, layers = _hives_in(path)
    return (*bases.values(), *layers.values())


def locate(hives: Sequence[OpenHive], text: str) -> tuple[OpenHive, str]:
    """The hive that a path is in, and the path below its root, with `CurrentControlSet` resolved.

    Raises:
        RequestError: the path is none, or its hive is not there.
    """
    where = parse_where(text)
    if not where.hive:
        if len(hives) > 1:
            raise RequestError(
                f"{text!r} does not say which hive it is in", hint="Begin it with HKLM\\SYSTEM, for instance."
            )
        found = hives[0]
    elif len(hives) == 1 and hives[0].name in ("", where.hive):
        found = hives[0]
    else:
        match = next((hive for hive in hives if hive.name == where.hive), None)
        if match is None:
            there = ", ".join(hive.shown_root for hive in hives)
            raise RequestError(f"the hive of {text} is not there", hint=f"There is {there}.")
        found = match
    return found, resolve_control_set(found.root, where.path)


def route(hives: Sequence[OpenHive], edits: Iterable[Edit]) -> list[tuple[OpenHive, list[Edit]]]:
    """Edits whose paths begin with a root, by the hive that each is of.

    Raises:
        RequestError: a path is none, or its hive is not there.
    """
    routed: dict[str, tuple[OpenHive, list[Edit]]] = {}
    for edit in edits:
        hive, path = locate(hives, edit.path)
        routed.setdefault(hive.file, (hive, []))[1].append(_moved(edit, path))
    return list(routed.values())


def edited_hive(hive: OpenHive, edits: Sequence[Edit], *, as_layer: bool) -> bytes | None:
    """A hive with edits: whole, or as a layer on what is there; None when the edits change nothing.

    Raises:
        RequestError: an edit cannot be made, or the hive is a layer, which is edited with its base.
        Malformed: the hive is not what its format says.
    """
    if hive.hive.base.is_layered:
        raise RequestError(
            f"{hive.file} is a layer: what is in it depends on what it lies on",
            hint="Give a directory with the base's hive and the layer beside it.",
        )
    view = apply_edits(hive.root, edits)
    change = diff(hive.root, view)
    if change is None:
        return None
    base = hive.hive.base
    if as_layer:
        return write_delta(delta_of(change, hive.root), name=f"{LAYER_NAMES.get(hive.name, 'Hive')}_Delta")
    return write_hive(view, name=base.name, last_written=base.last_written)


def layer_name(hive: OpenHive) -> str:
    """What the file of a hive's layer is called in an image."""
    return f"{LAYER_NAMES.get(hive.name, os.path.basename(hive.file))}_Delta"


def write_whole(path: str, data: bytes, *, never: Iterable[str] = ()) -> None:
    """Writes a file, whole or not at all.

    Args:
        path: where to.
        data: its bytes.
        never: files that were read and must not be replaced.

    Raises:
        HostError: it cannot be written.
        RequestError: it is one of those that were read.
    """
    for source in never:
        if os.path.exists(path) and os.path.samefile(path, source):
            raise RequestError(
                f"{path} is the hive that was read", hint="Write to another file; hives are not changed in place."
            )
    temporary = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise HostError(f"cannot write {path}: {error.strerror}", hint="Choose a place that you may write.") from error


def _hives_in(path: str) -> tuple[dict[str, str], dict[str, str]]:
    """The hives and the layers in a directory, by name."""
    bases: dict[str, str] = {}
    layers: dict[str, str] = {}
    for folder in _FOLDERS:
        place = _folder(path, folder)
        for entry in sorted(os.listdir(place)) if place else ():
            name, is_layer = _hive_name(entry), entry.lower().endswith("_delta")
            if name and os.path.isfile(os.path.join(place, entry)):
                (layers if is_layer else bases).setdefault(name, os.path.join(place, entry))
    return bases, layers


def _open_file(path: str, name: str, layer: str = "", *, allow_dirty: bool) -> OpenHive:
    try:
        hive = open_hive(read_hive_file(path), _logs_of(path), allow_dirty=allow_dirty)
        root: Key = hive.root
    except Malformed as error:
        raise _at(path, error) from error
    if not layer:
        return OpenHive(name, path, hive, root)
    try:
        upper = open_hive(read_hive_file(layer), allow_dirty=allow_dirty)
        return OpenHive(name, path, hive, merge(root, upper.root), (layer,))
    except Malformed as error:
        raise _at(layer, error) from error


def _at(path: str, error: Malformed) -> ContentError:
    return Malformed(f"{error.format} {path}", error.problem, offset=error.offset, hint=error.hint)


def _logs_of(path: str) -> list[bytes]:
    folder, name = os.path.split(path)
    wanted = {(name + end).lower() for end in _LOGS}
    entries = sorted(os.listdir(folder or "."))
    return [read_hive_file(os.path.join(folder, entry)) for entry in entries if entry.lower() in wanted]


def _hive_name(file: str) -> str:
    plain = file.lower()
    for ending in ("_delta", "_base"):
        plain = plain.removesuffix(ending)
    plain = {"defaultuser": "default"}.get(plain, plain)
    return plain.upper() if plain.upper() in HIVES else ""


def _folder(path: str, below: str) -> str:
    """A directory below another, its names in any case; "" when there is none."""
    for part in below.split("/") if below else ():
        entries = os.listdir(path)
        match = next((entry for entry in entries if entry.lower() == part.lower()), None)
        if match is None or not os.path.isdir(os.path.join(path, match)):
            return ""
        path = os.path.join(path, match)
    return path


def _moved(edit: Edit, path: str) -> Edit:
    match edit:
        case CreateKey():
            return CreateKey(path, edit.security, edit.class_name)
        case DeleteKey():
            return DeleteKey(path)
        case SetValue():
            return SetValue(path, edit.name, edit.type, edit.data)
        case DeleteValue():
            return DeleteValue(path, edit.name)
