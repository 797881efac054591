"""The settings of a build: one table that makes the flags, the keys of wingo.toml and the `WINGO_…` variables.

A setting has one name everywhere: `--data-dir`, `data-dir = [...]`, `WINGO_DATA_DIR`. A flag wins over a variable, a
variable over wingo.toml. Maps are merged key by key in that order; anything else is replaced.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from enum import Enum

import msgspec

from wingo.errors import RequestError
from wingo.oci.place import PlaceKind


class Kind(Enum):
    """How a setting is written."""

    TEXT = "text"
    NUMBER = "number"
    SWITCH = "switch"
    WORDS = "words"
    """A list; in a variable, and in one flag, items may be separated by commas."""
    LINES = "lines"
    """A list whose items may have commas; in a variable one item per line."""
    MAP = "map"
    """`KEY=VALUE` items; in a variable one item per line."""
    TABLE = "table"
    """A table that another room reads; in wingo.toml alone."""


class Setting(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        name: as in the flag and in wingo.toml.
        kind: how it is written.
        help: its line in the help and in the reference.
        group: the heading above it.
        metavar: what stands for its value in the help.
        short: a one-letter flag.
        everywhere: whether every command has it, not `build` alone.
        flag: whether there is a flag; a few are for wingo.toml only.
    """

    name: str
    kind: Kind
    help: str
    group: str
    metavar: str = ""
    short: str = ""
    everywhere: bool = False
    flag: bool = True

    @property
    def field(self) -> str:
        """The attribute of `Settings`."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """The environment variable; "" for what stands in wingo.toml alone."""
        return "" if self.kind is Kind.TABLE else "WINGO_" + self.field.upper()


_LOCAL_PLACES = frozenset(kind.value for kind in PlaceKind if kind.value)
_GO, _PLACE, _START, _CONTENT, _CHECK, _SHIP, _RUN = (
    "compiling",
    "platforms and bases",
    "how it starts",
    "content",
    "checks",
    "where it goes",
    "running wingo",
)

SETTINGS = (
    Setting("targets", Kind.WORDS, "what to build when no TARGET is given", _GO, flag=False),
    Setting("platform", Kind.WORDS, "platforms, or 'all'; default ltsc2022,ltsc2025", _PLACE, "PLATFORM,…"),
    Setting(
        "base",
        Kind.MAP,
        "nanoserver, servercore, hostprocess, static, scratch, a reference or a place; for some platforms: linux=static",
        _PLACE,
        "[PLATFORM=]BASE",
    ),
    Setting("tags", Kind.WORDS, "Go build tags", _GO, "TAG,…"),
    Setting("ldflags", Kind.LINES, "more flags for the linker; {{.Version}} and the like are filled in", _GO, "FLAGS"),
    Setting("gcflags", Kind.LINES, "more flags for the compiler", _GO, "FLAGS"),
    Setting("go-env", Kind.MAP, "a variable for the compilation, for instance CGO_ENABLED=1", _GO, "NAME=VALUE"),
    Setting("keep-symbols", Kind.SWITCH, "keep the symbol table and the debug information", _GO),
    Setting("user", Kind.TEXT, "the user that the program runs as", _START, "USER"),
    Setting("workdir", Kind.TEXT, "the directory that the program starts in", _START, "PATH"),
    Setting("env", Kind.MAP, "a variable of the container", _START, "NAME=VALUE"),
    Setting("arg", Kind.LINES, "an argument that the program is always given", _START, "ARG"),
    Setting("expose", Kind.WORDS, "a port that the program listens on, for instance 8080 or 53/udp", _START, "PORT"),
    Setting("volume", Kind.WORDS, "a path that holds data of its own", _START, "PATH"),
    Setting("stop-signal", Kind.TEXT, "the signal that stops it (Linux)", _START, "SIGNAL"),
    Setting("label", Kind.MAP, "a label of the config", _START, "NAME=VALUE"),
    Setting("annotation", Kind.MAP, "an annotation of the manifests and the index", _START, "NAME=VALUE"),
    Setting("copy", Kind.LINES, "a file or directory to add, with its attributes", _CONTENT, "SRC:DST[:ATTRIBUTES]"),
    Setting("data-dir", Kind.LINES, "a directory that the program may write", _CONTENT, "PATH"),
    Setting("files", Kind.MAP, "DST = SRC, files and directories to add", _CONTENT, flag=False),
    Setting("permissions", Kind.MAP, "PATH = SDDL, security descriptors on Windows", _CONTENT, flag=False),
    Setting(
        "services",
        Kind.MAP,
        "NAME = START, when a Windows service starts: disabled, manual, auto, delayed-auto",
        _CONTENT,
        flag=False,
    ),
    Setting("disable-service", Kind.WORDS, "disable a service of the Windows base", _CONTENT, "NAME,…"),
    Setting(
        "registry",
        Kind.TABLE,
        "values of the Windows registry, by key: TYPE:DATA, a number, or delete",
        _CONTENT,
        flag=False,
    ),
    Setting("reg", Kind.LINES, "make the changes of a .reg file in the Windows registry", _CONTENT, "FILE.reg"),
    Setting("no-check", Kind.SWITCH, "ship without looking for what would fail (wingo check)", _CHECK),
    Setting(
        "check", Kind.TABLE, "rules to ignore, severities, waivers; see docs/reference/checks.md", _CHECK, flag=False
    ),
    Setting("policy", Kind.TABLE, "capabilities, packages and modules that programs must not have", _CHECK, flag=False),
    Setting("vuln-db", Kind.TEXT, "a copy of Go's vulnerability database: vulndb.zip or its directory", _CHECK, "PATH"),
    Setting("name", Kind.WORDS, "the image's name, REGISTRY/NAME:TAG", _SHIP, "NAME", "t"),
    Setting("push", Kind.SWITCH, "push the image under its names", _SHIP),
    Setting(
        "output",
        Kind.LINES,
        "write it to oci:DIR, oci-archive:FILE, docker-archive:FILE or files:DIR",
        _SHIP,
        "PLACE",
        "o",
    ),
    Setting("thin", Kind.SWITCH, "leave base layers out of local outputs", _SHIP),
    Setting("metadata-file", Kind.TEXT, "write the report as JSON to a file too", _SHIP, "FILE"),
    Setting("jobs", Kind.NUMBER, "how much is done at a time; default: the number of processors", _RUN, "N", "j", True),
    Setting("offline", Kind.SWITCH, "take base images from the cache only", _RUN, everywhere=True),
    Setting("insecure", Kind.WORDS, "a registry to reach without TLS, or without checking it", _RUN, "HOST", "", True),
    Setting("mirrors", Kind.MAP, "read REGISTRY from another place: REGISTRY=HOST[/PATH]", _RUN, "FROM=TO", "", True),
    Setting("ca-file", Kind.TEXT, "more certificate authorities, as a PEM file", _RUN, "FILE", "", True),
)
"""Every setting, in the order of the help."""

_MAX_DIGITS = 9
_NEVER_EMPTY = ("data-dir", "copy", "output", "reg", "disable-service")

BY_NAME = {setting.name: setting for setting in SETTINGS}


def _kebab(field: str) -> str:
    return field.replace("_", "-")


class Settings(msgspec.Struct, frozen=True, kw_only=True, rename=_kebab):
    """What the user asked for; the fields are the table's, with "_" for "-"."""

    targets: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()
    base: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    gcflags: tuple[str, ...] = ()
    go_env: dict[str, str] = {}
    keep_symbols: bool = False
    user: str = ""
    workdir: str = ""
    env: dict[str, str] = {}
    arg: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    volume: tuple[str, ...] = ()
    stop_signal: str = ""
    label: dict[str, str] = {}
    annotation: dict[str, str] = {}
    copy: tuple[str, ...] = ()
    data_dir: tuple[str, ...] = ()
    files: dict[str, str] = {}
    permissions: dict[str, str] = {}
    services: dict[str, str] = {}
    disable_service: tuple[str, ...] = ()
    registry: dict[str, object] = {}
    reg: tuple[str, ...] = ()
    no_check: bool = False
    check: dict[str, object] = {}
    policy: dict[str, object] = {}
    vuln_db: str = ""
    name: tuple[str, ...] = ()
    push: bool = False
    output: tuple[str, ...] = ()
    thin: bool = False
    metadata_file: str = ""
    jobs: int = 0
    offline: bool = False
    insecure: tuple[str, ...] = ()
    mirrors: dict[str, str] = {}
    ca_file: str = ""


Layer = dict[str, object]
"""One source of settings: values by setting name, in the shapes of `Settings`."""


def from_toml(text: str, origin: str) -> Layer:
    """Reads a wingo.toml.

    Raises:
        RequestError: not TOML, an unknown key (with the nearest known one), or a value of the wrong type.
    """
    import tomllib

    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError is a ValueError, and so is a number with thousands of digits.
        problem = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:300]
        raise RequestError(f"{origin}: {problem}") from error
    return _checked({name: _read_toml(name, value, origin) for name, value in document.items()}, origin)


def anchored(values: Layer, folder: str) -> Layer:
    """Settings of a file whose relative paths are seen from the file's directory, wherever wingo was started."""

    def path(text: str) -> str:
        return text if os.path.isabs(text) else os.path.join(folder, text)

    changed = dict(values)
    for name in ("ca-file", "metadata-file", "vuln-db"):
        if isinstance(value := values.get(name), str) and value:
            changed[name] = path(value)
    for name in ("copy", "reg"):
        if isinstance(items := values.get(name), list):
            changed[name] = [path(item) for item in items]
    if isinstance(items := values.get("output"), list):
        changed["output"] = [_anchored_place(item, path) for item in items]
    if isinstance(table := values.get("files"), dict):
        changed["files"] = {target: path(source) for target, source in table.items()}
    if isinstance(table := values.get("base"), dict):
        changed["base"] = {pattern: _anchored_place(base, path) for pattern, base in table.items()}
    return changed


def _anchored_place(text: str, path: Callable[[str], str]) -> str:
    prefix, colon, rest = text.partition(":")
    return f"{prefix}:{path(rest)}" if colon and prefix in _LOCAL_PLACES else text


_DIRECTORIES = ("CACHE_DIR", "STATE_DIR")
"""Variables that are no settings: `host.py` reads them before there are any."""


def from_environment(environment: Mapping[str, str]) -> Layer:
    """Reads the `WINGO_…` variables.

    Raises:
        RequestError: a value of the wrong kind, or a name that is nearly a setting's. Other names are somebody else's.
    """
    known = {setting.variable.removeprefix("WINGO_") for setting in SETTINGS if setting.variable}
    for name in environment:
        ours, prefix, word = name.rpartition("WINGO_")
        if prefix and not ours and word not in known and word not in _DIRECTORIES:
            from difflib import get_close_matches

            if near := get_close_matches(word, known, n=1, cutoff=0.8):
                hint = f"Did you mean WINGO_{near[0]}?"
                raise RequestError(f"the environment has {name}, which is no setting", hint=hint)
    values: Layer = {}
    for setting in SETTINGS:
        text = environment.get(setting.variable) if setting.variable else ""
        if text:
            values[setting.name] = _read_text(setting, text, setting.variable)
    return _checked(values, "the environment")


def from_flags(flags: Mapping[str, object]) -> Layer:
    """Takes the flags as argparse left them: lists of texts, switches; None when not given.

    Raises:
        RequestError: a value of the wrong kind.
    """
    values: Layer = {}
    for setting in SETTINGS:
        # A command may have a word of the same name as a setting without a flag: `wingo login REGISTRY`.
        value = flags.get(setting.field) if setting.flag else None
        if value is None or value is False:
            continue
        if isinstance(value, list):
            value = _read_items(setting, value, f"--{setting.name}")
        elif isinstance(value, str):
            value = _read_text(setting, value, f"--{setting.name}")
        values[setting.name] = value
    return _checked(values, "the command line")


def merge(*layers: Layer) -> Settings:
    """Puts sources together; a later one wins."""
    merged: Layer = {}
    for layer in layers:
        for name, value in layer.items():
            old = merged.get(name)
            merged[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return msgspec.convert(merged, Settings)


def _checked(values: Layer, origin: str) -> Layer:
    for name in values:
        if name not in BY_NAME:
            from difflib import get_close_matches

            near = get_close_matches(name, BY_NAME, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "See docs/reference/settings.md for the keys."
            raise RequestError(f"{origin}: unknown key {name!r}", hint=hint)
    try:
        msgspec.convert(values, Settings)
    except msgspec.ValidationError as error:
        raise RequestError(f"{origin}: {_in_words(str(error))}") from error
    for name in _NEVER_EMPTY:
        items = values.get(name)
        if isinstance(items, list) and not all(item.strip() for item in items):
            # An unset variable of a shell, mostly; as a path it would be the program's own directory.
            raise RequestError(f"{origin}: {name} is empty", hint="Leave it out, or give it a value.")
    mirrors = values.get("mirrors")
    for name, mirror in mirrors.items() if isinstance(mirrors, dict) else ():
        if not mirror.strip() or "://" in mirror:
            raise RequestError(
                f"{origin}: the mirror of {name} is {mirror[:80]!r}, not HOST[:PORT][/PATH]",
                hint="Write for instance mcr.microsoft.com=mirror.example/microsoft.",
            )
    jobs = values.get("jobs")
    if isinstance(jobs, int) and jobs < 0:
        raise RequestError(f"{origin}: jobs must not be less than 0, which is as many as there are processors")
    return values


_WORDS = {
    "array": "a list",
    "object": "a table",
    "str": "a text",
    "int": "a number",
    "float": "a number with a fraction",
    "bool": "true or false",
}


def _in_words(problem: str) -> str:
    """What msgspec says of a wrong type, in TOML's words: "platform must be a list, not a number"."""
    matched = re.fullmatch(r"Expected `(\w+)`, got `(\w+)` - at `\$\.([\w-]+)(.*)`", problem)
    if matched is None:
        return problem
    what = f"what stands in {matched[3]}" if matched[4] else matched[3]
    return f"{what} must be {_WORDS.get(matched[1], matched[1])}, not {_WORDS.get(matched[2], f'a {matched[2]}')}"


def _read_toml(name: str, value: object, origin: str) -> object:
    setting = BY_NAME.get(name)
    if setting is None:
        return value
    if setting.kind in (Kind.WORDS, Kind.LINES) and isinstance(value, str):
        return _read_items(setting, [value], origin)
    if setting.kind is Kind.TEXT and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if setting.name == "base" and isinstance(value, str):
        return {"": value}
    if setting.name == "files" and isinstance(value, dict):
        return {target: _file_source(target, source, origin) for target, source in value.items()}
    if setting.kind is Kind.MAP and isinstance(value, dict):
        return {
            key: str(item) if isinstance(item, int) and not isinstance(item, bool) else item
            for key, item in value.items()
        }
    return value


def _file_source(target: str, source: object, origin: str) -> object:
    """`DST = "SRC"` or `DST = { source = "SRC", attributes = "data" }`; kept as `SRC` + NUL + attributes."""
    if not isinstance(source, dict):
        return source
    unknown = set(source) - {"source", "attributes"}
    if unknown or not all(isinstance(item, str) for item in source.values()) or "source" not in source:
        raise RequestError(f"{origin}: files.{target!r} must be a path or {{ source = PATH, attributes = TEXT }}")
    attributes = source.get("attributes", "")
    return source["source"] + (f"\0{attributes}" if attributes else "")


def _read_text(setting: Setting, text: str, origin: str) -> object:
    kind = setting.kind
    if kind is Kind.TEXT:
        return text
    if kind is Kind.NUMBER:
        if not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
            raise RequestError(f"{origin} must be a whole number, not {text[:80]!r}")
        return int(text)
    if kind is Kind.SWITCH:
        known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
        if text.lower() not in known:
            raise RequestError(f"{origin} must be true or false, not {text[:80]!r}")
        return known[text.lower()]
    return _read_items(setting, [line for line in text.split("\n") if line.strip()], origin)


def _read_items(setting: Setting, items: list[str], origin: str) -> object:
    """A list's items, each as it was written: in one flag, or in one line of a variable."""
    if setting.kind is Kind.WORDS:
        return [word for item in items for word in _split_commas(item)]
    if setting.kind is Kind.MAP:
        return dict(_key_value(setting, item, origin) for item in items)
    return list(items)


def _split_commas(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _key_value(setting: Setting, line: str, origin: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if setting.name == "base":
        # A base for every platform has no key; a reference or a place has no "=" in it.
        return (key.strip(), value) if equals else ("", line.strip())
    if not equals or not key.strip():
        raise RequestError(f"{origin} takes {setting.metavar or 'KEY=VALUE'}, not {line[:80]!r}")
    return key.strip(), value
