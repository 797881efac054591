"""`BuildRequest`: everything that was asked of `wingo build`, checked before anything is done."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from wingo.errors import RequestError
from wingo.oci.place import Place, PlaceKind, parse_place
from wingo.oci.reference import Reference, parse_reference
from wingo.pipeline.settings import Settings

if TYPE_CHECKING:
    from wingo.host import Host

_MAX_EPOCH = 0o77777777777
"""The last second that a ustar header can hold, in the year 2242."""
DEFAULT_PLATFORMS = ("windows/amd64:ltsc2022", "windows/amd64:ltsc2025")
"""What is built when nobody names a platform."""
NAME_FIELD = "{name}"
"""Stands for the program's name in `--name` and `--output`."""


class Export(msgspec.Struct, frozen=True):
    """All files of an image, to be written somewhere.

    Attributes:
        path: as written; "-": standard output.
        tar: one tar, and no directory.
    """

    path: str
    tar: bool = False


class BuildRequest(msgspec.Struct, frozen=True):
    """One `wingo build`.

    Attributes:
        targets: as the user wrote them.
        settings: everything else that was asked for.
        directory: where relative paths and packages are looked up, absolute.
        epoch: the time of every file, in seconds since 1970.
        exports: where the files of the image go, of a Dockerfile.
    """

    targets: tuple[str, ...]
    settings: Settings
    directory: str
    epoch: int
    exports: tuple[Export, ...] = ()

    @property
    def reg_files(self) -> tuple[str, ...]:
        """The .reg files, absolute."""
        return tuple(os.path.normpath(os.path.join(self.directory, path)) for path in self.settings.reg)

    @property
    def changes_registry(self) -> bool:
        """Whether a Windows base is to get another registry."""
        settings = self.settings
        return bool(settings.registry or settings.services or settings.reg or settings.disable_service)

    def names_of(self, program: str) -> tuple[Reference, ...]:
        """The names of one program's image, `{name}` filled in."""
        return tuple(
            parse_reference(name.replace(NAME_FIELD, program), default_tag="latest") for name in self.settings.name
        )

    def outputs_of(self, program: str) -> tuple[Place, ...]:
        """The local places of one program's image, `{name}` filled in; paths as written."""
        return tuple(parse_place(output.replace(NAME_FIELD, program)) for output in self.settings.output)


def read_request(targets: tuple[str, ...], settings: Settings, host: Host) -> BuildRequest:
    """Checks what can be checked without the network or the compiler.

    Raises:
        RequestError: a name, an output or `SOURCE_DATE_EPOCH` is wrong, or they contradict each other.
    """
    request = BuildRequest(targets, settings, host.directory, source_date_epoch(host.environment))
    names = request.names_of("program")
    for name in names:
        if name.digest:
            raise RequestError(f"{name} has a digest, which only the build can tell", hint="Give a tag only.")
    for place in request.outputs_of("program"):
        if place.kind is PlaceKind.REGISTRY:
            raise RequestError(
                f"--output {place} is no local place",
                hint=f"Write oci:DIR, oci-archive:FILE, docker-archive:FILE or files:DIR; or --push -t {place}.",
            )
    if settings.push and not names:
        raise RequestError("--push needs a name", hint="Add -t REGISTRY/NAME:TAG.")
    if names and not settings.push and not settings.output:
        raise RequestError(
            f"{names[0]} is a name, but nothing says where the image goes",
            hint="Add --push, or -o docker-archive:FILE for Docker to load.",
        )
    return request


def check_one_name_each(request: BuildRequest, programs: int) -> None:
    """With several programs, names and single-image outputs must tell them apart.

    Raises:
        RequestError: two images would have one name.
    """
    if programs <= 1:
        return
    for flag, texts in (("-t", request.settings.name), ("-o", request.settings.output)):
        for text in texts:
            if NAME_FIELD not in text and not (flag == "-o" and _holds_many(text)):
                raise RequestError(
                    f"{programs} programs would all go to {flag} {text}",
                    hint=f"Put {NAME_FIELD} where the program's name belongs, for instance {_with_field(flag, text)}.",
                )


def _holds_many(output: str) -> bool:
    """An OCI layout holds many images, each under its own tag."""
    place = parse_place(output)
    return place.kind is PlaceKind.LAYOUT and not place.tag


def _with_field(flag: str, text: str) -> str:
    if flag == "-o":
        return f"{text.rstrip('/')}-{NAME_FIELD}"
    reference = parse_reference(text)
    return f"{reference.name}/{NAME_FIELD}" + (f":{reference.tag}" if reference.tag else "")


def source_date_epoch(environment: Mapping[str, str]) -> int:
    """The time of everything that is written: `SOURCE_DATE_EPOCH`, 0 by default; in seconds since 1970.

    Raises:
        RequestError: it is none.
    """
    text = environment.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _MAX_EPOCH:
        raise RequestError(
            f"SOURCE_DATE_EPOCH is {text[:40]!r}, not a number of seconds since 1970",
            hint="Set it for instance to $(git log -1 --format=%ct).",
        )
    return int(text)
