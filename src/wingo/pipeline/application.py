r"""One program for one operating system: what goes into its layer, and where.

A path that a user writes in `--copy`, `--data-dir`, `--volume` or `--workdir` can mean both systems or one:

- relative: below the program's own directory, `C:\\app` or `/app`;
- absolute without a drive, `/data`: `C:\\data` on Windows, `/data` on Linux;
- with a drive, `C:\\data`: Windows only, left out elsewhere with a note.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from wingo.archive.entry import Content, LayerRecipe
from wingo.pipeline.content import Item
from wingo.pipeline.settings import Settings

CREATED_BY = "wingo build"
_DIRECTORY = {"windows": "C:\\app", "linux": "/app"}


class Application(msgspec.Struct, frozen=True):
    """One program for one operating system and processor.

    Attributes:
        name: the program's, without `.exe`.
        os: "windows" or "linux".
        binary: the program's bytes.
        items: what is copied beside it.
        data_variables: environment variables that lead to directories of the items, by name.
        settings: the user's.
        epoch: all times, in seconds since 1970.
    """

    name: str
    os: str
    binary: Content
    items: tuple[Item, ...]
    data_variables: Mapping[str, str]
    settings: Settings
    epoch: int

    @property
    def program(self) -> str:
        """The program's path in the image."""
        return program_path(self.name, self.os)


def program_path(name: str, os: str) -> str:
    """Where a program stands in an image."""
    return f"C:\\app\\{name}.exe" if os == "windows" else f"/app/{name}"


def has_drive(path: str) -> bool:
    """Whether a path begins with a drive letter."""
    return len(path) > 1 and path[0].isalpha() and path[1] == ":"


def path_for(path: str, os: str) -> str | None:
    """What a path of the user's means on a system; None: it is not for that system."""
    if has_drive(path):
        return path if os == "windows" else None
    if path.startswith(("/", "\\")):
        return f"C:{path}" if os == "windows" else path.replace("\\", "/")
    separator = "\\" if os == "windows" else "/"
    return _DIRECTORY[os] + separator + path


class PlannedLayer(msgspec.Struct, frozen=True):
    """A layer before packing.

    Attributes:
        recipe: what to pack.
        notes: what a person should know.
    """

    recipe: LayerRecipe
    notes: tuple[str, ...] = ()


def plan_application(application: Application) -> PlannedLayer:
    """The layer of a program with all that is copied beside it; the same for every version of its system.

    Raises:
        RequestError: a path that the system cannot have, or two things at one path; both sources are named.
    """
    if application.os == "windows":
        from wingo.pipeline.windows_image import plan_windows_layer

        return plan_windows_layer(application)
    from wingo.pipeline.linux_image import plan_linux_layer

    return plan_linux_layer(application)


def placed_items(application: Application) -> tuple[list[Item], list[str]]:
    """The items with their paths on the application's system, and notes on those that are for another one."""
    placed: list[Item] = []
    notes: dict[str, None] = {}
    for item in application.items:
        path = path_for(item.target, application.os)
        if path is None:
            notes[f"{item.target.partition('/')[0]} has a drive letter and is left out on {application.os}"] = None
        else:
            placed.append(msgspec.structs.replace(item, target=path))
    return placed, list(notes)


def placed_paths(paths: tuple[str, ...], os: str) -> list[str]:
    """Paths of the user's as they are on a system, without those that are for another one."""
    return [placed for path in paths if (placed := path_for(path, os)) is not None]
