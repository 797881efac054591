"""`wingo base`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.cli.exit_codes import OK
from wingo.cli.flags import add_output, add_settings, settings_of

if TYPE_CHECKING:
    from wingo.cli.render import Console
    from wingo.host import Host
    from wingo.pipeline.base_cache import CachedBase
    from wingo.pipeline.places import Places

_DESCRIPTION = """\
Lists, fetches and shows the base images in the cache. A build keeps their manifests and configs there; 'pull' fetches
the layers too, so that 'wingo build --offline' can write whole images on a machine without a network.
"""

_EPILOG = """\
examples:
  wingo base pull nanoserver --platform ltsc2022,ltsc2025
  wingo base list
  wingo base show mcr.microsoft.com/windows/nanoserver:ltsc2022
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo base`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("action", choices=("list", "pull", "show"), help="what to do")
    parser.add_argument("names", nargs="*", metavar="BASE", help="for pull and show: a short name or a reference")
    parser.add_argument(
        "--platform", action="append", metavar="PLATFORM,…", help="for pull; default: ltsc2022,ltsc2025"
    )
    add_settings(parser, everywhere_only=True)
    add_output(parser)


def run(args: argparse.Namespace, host: Host) -> int:
    """Does it, and prints the bases."""
    from wingo.errors import RequestError
    from wingo.pipeline.places import Places
    from wingo.pipeline.request import DEFAULT_PLATFORMS

    settings = settings_of(args, host)
    if (args.action == "list") == bool(args.names):
        takes = "takes no BASE" if args.names else "needs a BASE"
        raise RequestError(f"wingo base {args.action} {takes}", hint="Run 'wingo base --help' to see examples.")
    with Places(host, settings) as places:
        bases = _chosen(args.action, args.names, settings.platform or DEFAULT_PLATFORMS, places)
    if args.json:
        import msgspec

        host.console.result(msgspec.json.format(msgspec.json.encode(bases), indent=2).decode())
        return OK
    for base in bases:
        _print(base, host.console)
    if not bases:
        host.console.say("the cache has no bases yet: 'wingo base pull nanoserver' fetches one")
    return OK


def _chosen(action: str, names: list[str], platforms: tuple[str, ...], places: Places) -> tuple[CachedBase, ...]:
    from wingo.errors import RequestError
    from wingo.oci.reference import parse_reference
    from wingo.pipeline.base_cache import list_bases, pull_bases, short_names, show_base

    if action == "list":
        return list_bases(places)
    if action == "pull":
        return pull_bases(names, platforms, places)
    shown = []
    for name in names:
        references = short_names(name, places) or (parse_reference(name, default_tag="latest"),)
        bases = [base for base in (show_base(reference, places) for reference in references) if base is not None]
        if not bases:
            known = ", ".join(item.reference for item in list_bases(places)[:10])
            raise RequestError(f"{name} is not in the cache", hint=f"It has {known or 'nothing yet'}.")
        shown.extend(bases)
    return tuple(shown)


def _print(base: CachedBase, console: Console) -> None:
    console.result(f"{base.reference}  {base.digest}")
    for image in base.images:
        here = "whole" if image.layers_here == image.layers else f"{image.layers_here} of {image.layers} layers"
        console.result(f"  {image.platform:<34} {image.digest[7:19]}  {image.size / 1e6:8.1f} MB  {here}")
