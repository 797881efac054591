"""Flags made from the table of settings, and the settings that they and everything else give."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from wingo.pipeline.settings import SETTINGS, Kind, Settings, anchored, from_environment, from_flags, from_toml, merge

if TYPE_CHECKING:
    from wingo.host import Host
    from wingo.pipeline.settings import Layer


def add_settings(parser: argparse.ArgumentParser, *, everywhere_only: bool = False) -> None:
    """Adds the settings' flags; only those of every command if asked."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for setting in SETTINGS:
        if not setting.flag or (everywhere_only and not setting.everywhere):
            continue
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        names = [f"-{setting.short}"] if setting.short else []
        names.append(f"--{setting.name}")
        group = groups[setting.group]
        if setting.kind is Kind.SWITCH:
            group.add_argument(*names, dest=setting.field, action="store_true", help=setting.help)
        elif setting.kind in (Kind.TEXT, Kind.NUMBER):
            group.add_argument(*names, dest=setting.field, metavar=setting.metavar, help=setting.help)
        else:
            group.add_argument(*names, dest=setting.field, metavar=setting.metavar, action="append", help=setting.help)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Adds what every command has: `--json` and `--quiet`."""
    group = parser.add_argument_group("what is printed")
    group.add_argument("--json", action="store_true", help="print the result as JSON")
    group.add_argument("-q", "--quiet", action="store_true", help="print the result and errors only")


def shared(args: argparse.Namespace) -> argparse.Namespace:
    """The arguments without those that are a build's settings by name and something else in this command: `wingo run -e`."""
    own = {setting.field for setting in SETTINGS if not setting.everywhere}
    return argparse.Namespace(**{name: value for name, value in vars(args).items() if name not in own})


def settings_of(args: argparse.Namespace, host: Host, start: str = "", below: Layer | None = None) -> Settings:
    """The settings: `below`, the wingo.toml that is nearest above `start`, then the environment, then the flags.

    Raises:
        RequestError: an unknown key or a wrong value, naming where it stands.
    """
    path = host.find_settings(start)
    layers = [] if path is None else [anchored(from_toml(host.read_text(path), path), host.folder_of(path))]
    return merge(below or {}, *layers, from_environment(host.environment), from_flags(vars(args)))
