"""What a command did, as a value: printed for people, or as JSON with `--json` and `--metadata-file`."""

from __future__ import annotations

import msgspec

from wingo.check.finding import Finding


class PlatformReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image of the result.

    Attributes:
        platform: as `os/arch[/variant][:os.version]`.
        os_version: the base's, all four parts; "" on Linux.
        digest: of the image's manifest.
        size: of all layers as stored, in bytes, base included.
        base: the base's reference; "" for none.
        base_digest: of the base's manifest.
        layers: the digests of wingo's own layers.
    """

    platform: str
    digest: str
    size: int
    os_version: str = ""
    base: str = ""
    base_digest: str = ""
    layers: tuple[str, ...] = ()


class ProgramReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One program's image.

    Attributes:
        name: the program's.
        import_path: of its main package.
        digest: of the index, or of the image when there is only one platform without an index.
        media_type: of that.
        references: digest references, where it was pushed.
        places: local outputs that were written.
        platforms: in the order of the index.
        layer_bytes: the bytes of wingo's own layers, as stored; what a push moves when the base is already there.
    """

    name: str
    import_path: str
    digest: str
    media_type: str
    references: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    platforms: tuple[PlatformReport, ...] = ()
    layer_bytes: int = 0


class BuildReport(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What `wingo build` did.

    Attributes:
        programs: in the order of the targets.
        notes: what a person should know.
        timings: seconds by step: "bases", "compile", "pack", "ship", "total".
        unchanged: nothing had changed since the last build, and no compiler was run.
        from_cache: of a Dockerfile: no step was run, because earlier builds, here or elsewhere, had run all that there are.
        findings: what the checks found that is no error, worst first.
    """

    programs: tuple[ProgramReport, ...]
    notes: tuple[str, ...] = ()
    timings: dict[str, float] = {}
    unchanged: bool = False
    from_cache: bool = False
    findings: tuple[Finding, ...] = ()


def as_json(report: msgspec.Struct) -> str:
    """A report as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()
