"""Profiles by name, from wingo's own, or from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wingo.errors import RequestError
from wingo.windows.profile import Profile, parse_profile, with_extended


def profile_names() -> tuple[str, ...]:
    """The names of wingo's own profiles."""
    from importlib.resources import files

    folder = files("wingo.windows").joinpath("profiles")
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def load_profiles(names: Sequence[str], read_text: Callable[[str], str]) -> tuple[Profile, ...]:
    """Profiles with those that they extend, in order.

    Args:
        names: a name of wingo's own, or a file's path: one with a `/` or that ends with `.toml`.
        read_text: reads a file.

    Raises:
        RequestError: there is no such profile, or it is none.
        HostError: a file cannot be read.
    """
    return with_extended([_load(name, read_text) for name in names], lambda name: _load(name, read_text))


def _load(name: str, read_text: Callable[[str], str]) -> Profile:
    if "/" in name or "\\" in name or name.endswith(".toml"):
        return parse_profile(read_text(name), name)
    known = profile_names()
    if name not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}; or write a file's path."
        raise RequestError(f"there is no profile {name[:80]!r}", hint=hint)
    from importlib.resources import files

    text = files("wingo.windows").joinpath("profiles").joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_profile(text, f"the profile {name}")
