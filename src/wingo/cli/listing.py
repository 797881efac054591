"""What `wingo ls`, `cat` and `export` have in common: a place, a platform, and how far its layers are read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.errors import RequestError
    from wingo.host import Host
    from wingo.oci.place import Place
    from wingo.pipeline.choosing import Chosen
    from wingo.pipeline.places import Places

PLACE_HELP = "REGISTRY/NAME:TAG, oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME]"


def add_image(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that choose an image and say how much of it is read."""
    parser.add_argument("--platform", metavar="PLATFORM", help="which image of an index")
    parser.add_argument(
        "--with-base",
        action="store_true",
        help="read the base's layers too, from a registry if need be; else only those that are at hand",
    )
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def open_places(args: argparse.Namespace, host: Host) -> tuple[Places, str]:
    """Where things are read from, and the platform that was asked for."""
    from wingo.pipeline.places import Places

    platform, args.platform = args.platform or "", None
    return Places(host, settings_of(args, host)), platform


def place_of(text: str) -> Place:
    """A place to read from; a reference without tag and digest is `latest`."""
    from wingo.oci.place import parse_place

    return parse_place(text, default_tag="latest")


def chosen_of(args: argparse.Namespace, platform: str, places: Places) -> Chosen:
    """The image, and its file system as far as it is read."""
    from wingo.pipeline.choosing import choose

    return choose(place_of(args.place), platform, places, with_base=args.with_base)


def unread_text(chosen: Chosen) -> str:
    """What was not read, as a clause; "" when everything was."""
    from wingo.cli.findings import size_text

    if chosen.view.complete:
        return ""
    count = sum(files is None for files in chosen.view.layers)
    layers = "a layer" if count == 1 else f"{count} layers"
    name = f" {chosen.base.name}" if chosen.base.name else ""
    return f"{layers} of the base{name} ({size_text(chosen.unread)}) {'was' if count == 1 else 'were'} not read"


def missing_path(chosen: Chosen, path: str, unread: str) -> RequestError:
    """The error for a path that is not there, with what may have been meant."""
    from difflib import get_close_matches

    from wingo.errors import RequestError

    shown = path or "/"
    if unread:
        return RequestError(f"{shown} is not in the layers that were read", hint=f"{unread}: add --with-base.")
    view = chosen.view
    parts = path.replace("\\", "/").strip("/").split("/")
    above = "/".join(parts[:-1])
    link = view.find(path, follow=False)
    if link is not None:
        hint = f"It is a link to {link.link_target}, which leads to nothing in the image."
    else:
        near = get_close_matches(parts[-1], [node.name for node in view.children(above)][:5000], n=1)
        hint = f"Did you mean {near[0]}?" if near else f"'wingo ls PLACE {above or '/'}' shows what is there."
    return RequestError(f"there is no {shown} in the image", hint=hint)


def layer_of(number: int, chosen: Chosen) -> int:
    """The index of a layer that a user counted from 1.

    Raises:
        RequestError: there is none, or it was not read.
    """
    from wingo.errors import RequestError

    count = len(chosen.image.layers)
    if not 1 <= number <= count:
        raise RequestError(
            f"there is no layer {number}", hint=f"The image has {count}: 1 to {count}, the base's first."
        )
    if chosen.view.layers[number - 1] is None:
        raise RequestError(f"layer {number} is the base's and was not read", hint="Add --with-base.")
    return number - 1
