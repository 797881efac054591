"""An image's config and manifest (image-spec `config.md`, `manifest.md`; containerd `pkg/oci/spec_opts.go`)."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator

from wingo.check.finding import Problem, Severity
from wingo.check.rule import Group, image_rule
from wingo.check.subject import ImageSubject
from wingo.hive.upcase import upcase
from wingo.oci.media_types import DOCKER_MANIFEST, family_of, is_foreign
from wingo.windows.environment import keeps_system, path_of

_FOUR_PARTS = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,5}\.\d{1,5}\Z")
_THREE_PARTS = re.compile(r"\d{1,5}\.\d{1,5}\.\d{1,5}\Z")
_LINUX_PATH = re.compile(r"(?:\A|[:;])/(?:usr/|s?bin|opt/|ko-app|go/|root|home/|app)")
_SHELLS = ("CMD.EXE", "CMD", "POWERSHELL.EXE", "POWERSHELL", "PWSH.EXE", "PWSH")


@image_rule("WGO160", Severity.ERROR, Group.CONFIG)
def platform_given(image: ImageSubject) -> Iterator[Problem]:
    """A config says for which system and processor the image is.

    Why:
        Runtimes pick images by `os` and `architecture`, and refuse or guess where they are not there.

    Example:
        A config written by hand without `architecture`.
    Mend:
        Write both, as GOOS and GOARCH.
    """
    for field, value in (("os", image.config.os), ("architecture", image.config.architecture)):
        if not value:
            yield Problem(
                message=f"the config has no {field}",
                hint=f"Write {field}, as go env GO{'OS' if field == 'os' else 'ARCH'} says it.",
            )


@image_rule("WGO161", Severity.WARNING, Group.CONFIG, os="windows")
def os_version_whole(image: ImageSubject) -> Iterator[Problem]:
    """A Windows config has an `os.version` of four numbers.

    Why:
        The kernel interface changes from build to build: a host picks by os.version, and takes an image without one for
        its own, only to fail when it starts (azuredisk-csi-driver#519, ko#534, containerd#8101).

    Example:
        No `os.version`; `ltsc2022`; `10.0.20348`.
    Mend:
        Copy it from the base's config: `10.0.20348.2849`.
    """
    version = image.config.os_version
    if not version:
        if image.flavour == "hostprocess" or (image.base_config is not None and not image.base_config.os_version):
            return  # a base for every build
        yield Problem(
            message="the config has no os.version: every host takes it for its own, and only some can run it",
            hint="Copy os.version from the base's config.",
        )
    elif not _FOUR_PARTS.match(version):
        good = bool(_THREE_PARTS.match(version))
        yield Problem(
            message=f"the config's os.version is {version[:60]!r}, "
            + ("without its revision" if good else "no version"),
            hint="Copy it from the base's config: 10.0.BUILD.REVISION.",
            severity=None if good else Severity.ERROR,
        )


@image_rule("WGO162", Severity.WARNING, Group.CONFIG, os="windows")
def os_version_of_base(image: ImageSubject) -> Iterator[Problem]:
    """A Windows config has the os.version of its base.

    Why:
        What the layers hold decides where the image runs. With another build in the config, hosts that could run it
        refuse it, and hosts that take it cannot start it (0xc0370101).

    Example:
        A base of 10.0.17763 below a config that says 10.0.20348.
    Mend:
        Copy it from the base, or build again on the base that was meant.
    """
    base = image.base_config
    if base is None or not base.os_version or not image.config.os_version:
        return
    if image.config.os_version != base.os_version:
        same = image.config.os_version.split(".")[:3] == base.os_version.split(".")[:3]
        yield Problem(
            message=f"the config's os.version is {image.config.os_version}, its base's is {base.os_version}",
            hint="Copy it from the base.",
            severity=None if same else Severity.ERROR,
        )


@image_rule("WGO163", Severity.WARNING, Group.CONFIG, os="windows")
def os_features_of_base(image: ImageSubject) -> Iterator[Problem]:
    """A Windows config has the `os.features` of its base.

    Why:
        `win32k` says that the image needs the graphics part of the kernel, which not every host has (containerd#6989).

    Example:
        A program on servercore whose config lost `win32k`.
    Mend:
        Copy `os.features` from the base.
    """
    base = image.base_config
    if base is not None and tuple(base.os_features or ()) != tuple(image.config.os_features or ()):
        yield Problem(
            message=f"the config's os.features are {_listed(image.config.os_features)}, its base's {_listed(base.os_features)}",
            hint="Copy them from the base.",
        )


def _listed(features: tuple[str, ...] | None) -> str:
    return ", ".join(features or ()) or "none"


@image_rule("WGO164", Severity.WARNING, Group.CONFIG)
def history_matches(image: ImageSubject) -> Iterator[Problem]:
    """A config has one line of history for each layer, besides the empty ones.

    Why:
        Docker shows no history at all where the counts differ, and builders that add to such an image go wrong.

    Example:
        A tool that adds a layer and no line.
    Mend:
        Add a line for each layer; say `empty_layer` of the others.
    """
    lines = sum(not line.empty_layer for line in image.config.history or ())
    if lines != len(image.image.layers) and image.config.history is not None:
        yield Problem(
            message=f"the config has {lines} lines of history for {len(image.image.layers)} layers",
            hint="Write one for each layer.",
        )


@image_rule("WGO165", Severity.WARNING, Group.CONFIG)
def one_family(image: ImageSubject) -> Iterator[Problem]:
    """A manifest, its config and its layers are all of OCI's types, or all of Docker's.

    Why:
        Some registries refuse a mixture, and some runtimes do.

    Example:
        An OCI manifest over the layers of a base from Microsoft, whose types are Docker's.
    Mend:
        Write all types in one vocabulary; layers and their digests stay the same.
    """
    manifest = image.image.manifest
    family = family_of(image.image.media_type)
    others = {
        item.media_type
        for item in (manifest.config, *manifest.layers)
        if item.media_type.startswith(("application/vnd.docker.", "application/vnd.oci."))
        and family_of(item.media_type) is not family
    }
    if others:
        yield Problem(
            message=f"the manifest is {family.value.upper() if family.value == 'oci' else 'Docker'}'s, and has {', '.join(sorted(others))}",
            hint="Write all types in one vocabulary.",
        )


@image_rule("WGO166", Severity.WARNING, Group.CONFIG)
def layers_distributable(image: ImageSubject) -> Iterator[Problem]:
    """An application's layer is one that may be pushed.

    Why:
        Layers of "foreign" or "nondistributable" types are not uploaded: whoever pulls the image asks the addresses in
        `urls`, where ours is not. The types are deprecated; Microsoft's bases have not had them since 2023.

    Example:
        An application's layer whose type was copied from an old base.
    Mend:
        Give it the plain type, and push again.
    """
    for descriptor in image.image.manifest.layers[image.base_layers :]:
        if is_foreign(descriptor.media_type):
            yield Problem(
                message=f"a layer above the base is of the type {descriptor.media_type}, which is not uploaded",
                hint="Give it the type of a plain layer.",
                layer=descriptor.digest,
            )


@image_rule("WGO167", Severity.WARNING, Group.CONFIG)
def environment_well_formed(image: ImageSubject) -> Iterator[Problem]:
    r"""Every item of the environment is `NAME=value`, and no name is there twice.

    Why:
        Windows takes `Path` and `PATH` for one; which of two values holds is the runtime's choice. An item without "="
        is dropped, or ends the start.

    Example:
        `Path=C:\Windows\system32` from a base and `PATH=C:\app` from a tool.
    Mend:
        Write each name once.
    """
    seen: dict[str, str] = {}
    for item in image.settings.env or ():
        name, equals, _ = item.partition("=")
        key = upcase(name) if image.os == "windows" else name
        if not equals or not name or "\0" in item:
            yield Problem(
                message=f"the environment item {name[:60]!r} is no NAME=value", hint="Give it a value, or leave it out."
            )
        elif key in seen:
            other = seen[key]
            what = f"{name} twice" if other == name else f"{other} and {name}, one name to Windows"
            yield Problem(message=f"the environment has {what}", hint="Write it once.")
        seen.setdefault(key, name)


def _is_command_line(text: str) -> bool:
    """Whether a text is a program with its arguments: what the shell form of ENTRYPOINT comes to on Windows."""
    word, space, _ = text.partition(" ")
    return bool(space) and (upcase(word) in _SHELLS or upcase(word).endswith((".EXE", ".COM", ".BAT", ".CMD")))


@image_rule("WGO168", Severity.WARNING, Group.CONFIG, os="windows")
def arguments_not_escaped(image: ImageSubject) -> Iterator[Problem]:
    """`ArgsEscaped` is not set beside an Entrypoint in exec form.

    Why:
        It says that the first word is a whole command line already: containerd puts it in front as it stands and quotes
        the rest alone, so a path with a space falls apart (containerd#5067, #6479, #8198; image-spec#892).

    Example:
        A config that inherits ArgsEscaped from a base with a shell-form CMD, and sets its own Entrypoint.
    Mend:
        Remove ArgsEscaped where Entrypoint is a list of words.
    """
    entrypoint = image.settings.entrypoint
    if image.settings.args_escaped and entrypoint and not _is_command_line(entrypoint[0]):
        broken = " " in entrypoint[0] and not entrypoint[0].startswith('"')
        yield Problem(
            message="ArgsEscaped is set, so the Entrypoint's first word is taken for a whole command line"
            + (f": {entrypoint[0]!r} falls apart at its space" if broken else ""),
            hint="Remove ArgsEscaped.",
            severity=Severity.ERROR if broken else None,
        )


@image_rule("WGO169", Severity.WARNING, Group.CONFIG, os="windows")
def base_command_dropped(image: ImageSubject) -> Iterator[Problem]:
    r"""The base's Cmd is not left behind an Entrypoint.

    Why:
        Cmd is added to Entrypoint as its arguments: the program is started with `c:\windows\system32\cmd.exe` as its
        first one.

    Example:
        A tool that sets Entrypoint and keeps the rest of nanoserver's config.
    Mend:
        Remove Cmd, or set the arguments that are meant.
    """
    command = image.settings.cmd
    if not image.settings.entrypoint or not command:
        return
    base = image.base_config.settings.cmd if image.base_config is not None else None
    first = upcase(command[0]).replace("/", "\\").rpartition("\\")[2]
    started = upcase(image.settings.entrypoint[0]).replace("/", "\\").rpartition("\\")[2]
    if (base and tuple(base) == tuple(command)) or (base is None and first in _SHELLS and started not in _SHELLS):
        yield Problem(
            message=f"the program is given {' '.join(command)[:120]!r} as its arguments, which is the base's Cmd",
            hint="Remove Cmd.",
        )


@image_rule("WGO170", Severity.WARNING, Group.CONFIG, os="windows")
def path_keeps_windows(image: ImageSubject) -> Iterator[Problem]:
    r"""A PATH in a Windows config still finds Windows.

    Why:
        The bases have PATH in the registry. A PATH in the config takes its place: without System32, no program of
        Windows is found by its name (buildkit#5445). Directories of Linux mean nothing there (buildkit#616, #1560).

    Example:
        `PATH=C:\ko-app`; `PATH=/usr/local/sbin:/usr/local/bin:/usr/bin`.
    Mend:
        Leave PATH out, or end it with `;C:\Windows\System32;C:\Windows`.
    """
    directories = path_of(item for item in image.settings.env or () if "=" in item)
    if directories is None:
        return
    whole = ";".join(directories)
    hint = r"Leave PATH out, or write for instance PATH=C:\app;C:\Windows\System32;C:\Windows."
    if _LINUX_PATH.search(whole):
        yield Problem(message=f"PATH={whole[:120]} is for Linux", hint=hint)
    elif not keeps_system(directories):
        yield Problem(message=f"PATH={whole[:120]} replaces the registry's and lacks C:\\Windows\\System32", hint=hint)


@image_rule("WGO171", Severity.WARNING, Group.CONFIG)
def working_directory_well_written(image: ImageSubject) -> Iterator[Problem]:
    r"""WorkingDir is a whole path, on Windows with backslashes.

    Why:
        The Windows container service does not take forward slashes for a working directory (buildkit `util/system/path.go`);
        a relative one means something else to each runtime.

    Example:
        `C:/app`, `app`.
    Mend:
        Write `C:\app`; on Linux `/app`.
    """
    directory = image.settings.working_dir
    if not directory:
        return
    if image.os == "windows":
        if "/" in directory:
            mended = directory.replace("/", "\\")
            yield Problem(message=f"WorkingDir {directory[:120]} has forward slashes", hint=f"Write {mended[:120]}.")
        elif not re.match(r"[A-Za-z]:\\|\\", directory):
            yield Problem(message=f"WorkingDir {directory[:120]} is no whole path", hint=r"Write for instance C:\app.")
    elif not directory.startswith("/"):
        yield Problem(message=f"WorkingDir {directory[:120]} is no whole path", hint="Write for instance /app.")


@image_rule("WGO172", Severity.NOTE, Group.CONFIG, os="windows")
def no_stop_signal(image: ImageSubject) -> Iterator[Problem]:
    """A Windows config has no StopSignal.

    Why:
        Windows has no signals: a container is stopped with CTRL_SHUTDOWN_EVENT, which Go hands to the program as SIGTERM,
        whatever the config says (moby#25982, golang/go#33311).

    Example:
        `STOPSIGNAL SIGINT` in a Dockerfile for both systems.
    Mend:
        Leave it out, and handle SIGTERM.
    """
    if image.settings.stop_signal:
        yield Problem(
            message=f"StopSignal {image.settings.stop_signal[:40]} means nothing on Windows", hint="Leave it out."
        )


@image_rule("WGO173", Severity.NOTE, Group.CONFIG)
def media_type_in_body(image: ImageSubject) -> Iterator[Problem]:
    """A manifest says its own type.

    Why:
        A manifest that does not say what it is can be taken for an index where only the bytes are at hand
        (CVE-2021-41190). Docker's format demands it.

    Example:
        A manifest written by an old tool without `mediaType`.
    Mend:
        Write `mediaType` as the descriptor has it.
    """
    if not image.image.manifest.media_type:
        docker = image.image.media_type == DOCKER_MANIFEST
        yield Problem(
            message="the manifest does not say its mediaType",
            hint=f"Write {image.image.media_type}.",
            severity=Severity.WARNING if docker else None,
        )


@image_rule("WGO174", Severity.WARNING, Group.CONFIG)
def members_once(image: ImageSubject) -> Iterator[Problem]:
    """No member stands in a manifest or config twice.

    Why:
        Readers of JSON take the first or the last of two: one tool checks what another does not run.

    Example:
        Two `config` members in a document that was put together by hand.
    Mend:
        Write each member once.
    """
    for what, data in (("manifest", image.image.manifest_bytes), ("config", image.image.config_bytes)):
        twice: dict[str, None] = {}

        def pairs(items: list[tuple[str, object]], twice: dict[str, None] = twice) -> dict[str, object]:
            counted = Counter(name for name, _ in items)
            twice.update((name, None) for name, count in counted.items() if count > 1)
            return dict(items)

        try:
            json.loads(data, object_pairs_hook=pairs, parse_int=str, parse_float=str)  # of any length
        except RecursionError:
            continue
        for name in twice:
            yield Problem(
                message=f"the {what} has the member {name[:60]!r} twice",
                hint="Write it once.",
            )
