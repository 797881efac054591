"""The rules for an image config (facts 1.8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tests.verifier.finding import Finding

_OS_VERSION = re.compile(r"10\.0\.\d{4,}\.\d+")
_SYSTEM32 = re.compile(r"(?i)(c:|%systemdrive%|%systemroot%)?(\\windows)?\\system32\\?")


def config_findings(config: dict[str, Any], layers: int, where: str, base: dict[str, Any] | None) -> list[Finding]:
    """What is wrong with a config; `base` is the config of the base image when it is known."""
    found: list[Finding] = []

    def report(code: str, text: str) -> None:
        found.append(Finding(code, where, text))

    if problem := _shape(config):
        report("config-shape", problem)
        return found
    if not config.get("os") or not config.get("architecture"):
        report("config-platform", f"os {config.get('os')!r}, architecture {config.get('architecture')!r}")
    diff_ids = config["rootfs"]["diff_ids"]
    if len(diff_ids) != layers:
        report("diff-id-count", f"{len(diff_ids)} diff_ids for {layers} layers")
    history = [entry for entry in config.get("history") or [] if not entry.get("empty_layer")]
    if len(history) != layers:
        report("history-count", f"{len(history)} entries for {layers} layers")
    run = config.get("config") or {}
    if not run.get("Entrypoint"):
        report("entrypoint-missing", "no Entrypoint")
    if run.get("ArgsEscaped"):
        report("args-escaped", "ArgsEscaped is true")
    if config.get("os") == "windows":
        _windows(config, run, base, report)
    elif run.get("Entrypoint") and not run["Entrypoint"][0].startswith("/"):
        report("entrypoint-not-absolute", run["Entrypoint"][0])
    return found


def program_path(config: dict[str, Any]) -> str | None:
    """Where the Entrypoint's program is in a layer's tar, or None when the config does not say."""
    command = (config.get("config") or {}).get("Entrypoint")
    if not isinstance(command, list) or not command or not isinstance(command[0], str):
        return None
    first: str = command[0]
    if config.get("os") != "windows":
        return first.lstrip("/")
    return "Files/" + re.sub(r"^[A-Za-z]:", "", first).replace("\\", "/").lstrip("/")


def _shape(config: dict[str, Any]) -> str:
    run = config.get("config")
    rootfs = config.get("rootfs")
    if not isinstance(rootfs, dict) or rootfs.get("type") != "layers" or not _texts(rootfs.get("diff_ids")):
        return "rootfs is not {type: layers, diff_ids: [...]}"
    if run is not None and not isinstance(run, dict):
        return "config is no object"
    run = run or {}
    for key in ("Entrypoint", "Cmd", "Env"):
        if run.get(key) is not None and not _texts(run[key]):
            return f"{key} is no list of texts"
    for key in ("ExposedPorts", "Volumes", "Labels"):
        if run.get(key) is not None and not isinstance(run[key], dict):
            return f"{key} is no object"
    if any("=" not in pair[1:] for pair in run.get("Env") or []):
        return "Env holds more than NAME=VALUE"
    if config.get("os.features") is not None and not _texts(config["os.features"]):
        return "os.features is no list of texts"
    return ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _windows(config: dict[str, Any], run: dict[str, Any], base: dict[str, Any] | None, report: Any) -> None:
    version = config.get("os.version")
    if not (isinstance(version, str) and _OS_VERSION.fullmatch(version)) and not (base and "os.version" not in base):
        report("config-os-version", f"{version!r}")
    if base is not None:
        if version != base.get("os.version"):
            report("config-os-version", f"{version!r}, the base has {base.get('os.version')!r}")
        if (config.get("os.features") or []) != (base.get("os.features") or []):
            report("config-os-features", f"{config.get('os.features')}, the base has {base.get('os.features')}")
    entrypoint = run.get("Entrypoint") or []
    if entrypoint:
        if not re.match(r"[A-Za-z]:\\[^/]*$", entrypoint[0]):
            report("entrypoint-not-absolute", entrypoint[0])
        if not entrypoint[0].lower().endswith(".exe"):
            report("entrypoint-no-exe", entrypoint[0])
    base_command = ((base or {}).get("config") or {}).get("Cmd") or ["c:\\windows\\system32\\cmd.exe"]
    if [word.lower() for word in run.get("Cmd") or []] == [word.lower() for word in base_command]:
        report("base-cmd-kept", str(run["Cmd"]))
    names: set[str] = set()
    for pair in run.get("Env") or []:
        name, _, value = pair.partition("=")
        if name.upper() in names:
            report("env-duplicate", name)
        names.add(name.upper())
        if name.upper() == "PATH":
            _path(value, report)
    if "/" in (run.get("WorkingDir") or ""):
        report("workdir-slash", run["WorkingDir"])


def _path(value: str, report: Any) -> None:
    if re.search(r"(^|[:;])/", value):
        report("linux-path", value)
    elif not any(_SYSTEM32.fullmatch(part.strip()) for part in value.split(";")):
        report("path-loses-system32", value)


def matching_base(config: dict[str, Any], bases: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The base config of the same platform, by build number; a base without os.version fits every version."""
    build = str(config.get("os.version", "")).split(".")[:3]
    for base in bases:
        if (base.get("os"), base.get("architecture")) != (config.get("os"), config.get("architecture")):
            continue
        if "os.version" not in base or str(base["os.version"]).split(".")[:3] == build:
            return base
    return None
