"""One program built in the ways that the field compares: on which base, with or without symbols, static or dynamic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from wingo.errors import RequestError

_WINDOWS_BASES = ("nanoserver", "servercore")


class Variant(msgspec.Struct, frozen=True):
    """One way to build.

    Attributes:
        name: what it is called in the table.
        flags: of `wingo build`, by the names of its settings.
    """

    name: str
    flags: Mapping[str, object]


def parse_bases(texts: Sequence[str]) -> dict[str, str]:
    """Reads `--base NAME=PLACE`, a name for the table and where the base is; `PLACE` alone is its own name.

    Raises:
        RequestError: one has no place, or two have one name.
    """
    found: dict[str, str] = {}
    for text in texts:
        name, equals, place = text.partition("=")
        name, place = (name, place) if equals else (text, text)
        if not name or not place:
            raise RequestError(f"--base {text[:80]!r} is no base", hint="Write for instance --base alpine=oci:alpine.")
        if name in found:
            raise RequestError(f"two bases are called {name!r}", hint="Give them names: --base NAME=PLACE.")
        found[name] = place
    return found


def plan_variants(platform: str, bases: Mapping[str, str], *, cgo: bool) -> tuple[Variant, ...]:
    """The variants for a platform.

    Args:
        platform: "linux/amd64", "ltsc2022".
        bases: more bases by their names in the table; for Windows: instead of nanoserver and servercore.
        cgo: whether a C compiler is there, for programs that are linked dynamically.
    """

    def variant(base: str, place: str, how: str, **flags: object) -> Variant:
        return Variant(f"{base}: {how}", {"platform": [platform], "base": [place], **flags})

    if not platform.startswith("linux"):
        chosen = bases or {name: name for name in _WINDOWS_BASES}
        first, *_ = chosen
        stripped = [variant(name, place, "stripped") for name, place in chosen.items()]
        return (*stripped, variant(first, chosen[first], "with symbols", keep_symbols=True))
    plan = [
        variant("scratch", "scratch", "static, stripped"),
        variant("scratch", "scratch", "static, with symbols", keep_symbols=True),
    ]
    for name, place in bases.items():
        plan.append(variant(name, place, "static, stripped"))
        if cgo:
            plan.append(variant(name, place, "dynamic, with symbols", keep_symbols=True, go_env=["CGO_ENABLED=1"]))
    return tuple(plan)
