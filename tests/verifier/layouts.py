"""The rules for an OCI image layout: blobs, manifests, indexes (facts 1.9, 1.10, checks 4 and 5 of section 6)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.verifier.configs import config_findings, matching_base, program_path
from tests.verifier.finding import Finding
from tests.verifier.layers import linux_findings, program_findings, windows_findings
from tests.verifier.streams import CorruptLayer, Layer, read_layer

_INDEXES = {
    "application/vnd.oci.image.index.v1+json": "OCI",
    "application/vnd.docker.distribution.manifest.list.v2+json": "Docker",
}
_MANIFESTS = {
    "application/vnd.oci.image.manifest.v1+json": "OCI",
    "application/vnd.docker.distribution.manifest.v2+json": "Docker",
}
_CONFIGS = {
    "application/vnd.oci.image.config.v1+json": "OCI",
    "application/vnd.docker.container.image.v1+json": "Docker",
}
_MAX_JSON = 4 << 20


def verify_layout(
    path: Path | str,
    *,
    base_layers: int | None = None,
    bases: Sequence[dict[str, Any]] = (),
    writable: Sequence[str] = (),
    epoch: int | None = None,
    thin: bool = False,
) -> list[Finding]:
    """Every broken rule of the images in an OCI layout directory; an empty list for a good one.

    Args:
        path: The directory with `oci-layout` and `index.json`.
        base_layers: How many layers of each image are its base's and judged by their digests only;
            None takes all but the last.
        bases: Configs of the base images, to compare os.version, os.features and Cmd with.
        writable: Tar paths (`Files/data`) which ordinary users may write, for data directories.
        epoch: The time all entries carry, in seconds since 1970; None takes any one time.
        thin: Whether base layers may be absent.
    """
    return _Layout(Path(path), base_layers, bases, writable, epoch, thin).verify()


def verify_layer(
    path: Path | str, *, system: str = "windows", writable: Sequence[str] = (), epoch: int | None = None
) -> list[Finding]:
    """Every broken rule of one application layer, compressed or not."""
    where = Path(path).name
    with Path(path).open("rb") as blob:
        try:
            layer = read_layer(blob)
        except CorruptLayer as error:
            return [Finding("layer-corrupt", where, str(error))]
    found = _stream_findings(layer, where)
    if system == "windows":
        return found + windows_findings(layer.entries, where, writable=writable, epoch=epoch)
    return found + linux_findings(layer.entries, where, epoch=epoch)


def _stream_findings(layer: Layer, where: str) -> list[Finding]:
    found = []
    if layer.trailing:
        found.append(Finding("layer-trailing-bytes", where, "bytes after the last gzip member"))
    if not layer.neutral:
        found.append(Finding("gzip-not-neutral", where, "a time or a name in a gzip header"))
    return found


class _Layout:
    def __init__(
        self,
        path: Path,
        base_layers: int | None,
        bases: Sequence[dict[str, Any]],
        writable: Sequence[str],
        epoch: int | None,
        thin: bool,
    ) -> None:
        self.path = path
        self.base_layers = base_layers
        self.bases = bases
        self.writable = writable
        self.epoch = epoch
        self.thin = thin
        self.found: list[Finding] = []
        self.layers: dict[tuple[str, str, bool], Layer | None] = {}
        self.bad_blobs: dict[str, bool] = {}

    def report(self, code: str, where: str, text: str) -> None:
        self.found.append(Finding(code, where, text))

    def verify(self) -> list[Finding]:
        try:
            version = json.loads((self.path / "oci-layout").read_bytes())["imageLayoutVersion"]
            top = json.loads((self.path / "index.json").read_bytes())
            descriptors = top["manifests"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.report("layout-broken", str(self.path), repr(error))
            return self.found
        if version != "1.0.0" or top.get("schemaVersion") != 2 or not isinstance(descriptors, list) or not descriptors:
            self.report("layout-broken", "index.json", f"layout {version}, {len(descriptors)} manifests")
            return self.found
        for descriptor in descriptors:
            self._artifact(descriptor)
        return self.found

    def _blob(self, descriptor: Any, *, optional: bool = False) -> Path | None:
        """The verified file of a descriptor; None after a report (or silently when it may be absent)."""
        try:
            algorithm, _, encoded = descriptor["digest"].partition(":")
            size = descriptor["size"]
            file = self.path / "blobs" / algorithm / encoded
            if algorithm not in {"sha256", "sha512"} or not encoded.isalnum():
                raise ValueError(descriptor["digest"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self.report("layout-broken", str(descriptor)[:100], repr(error))
            return None
        where = descriptor["digest"]
        if not file.is_file():
            if not optional:
                self.report("blob-missing", where, "no such blob")
            return None
        if file.stat().st_size != size:
            self.report("blob-size", where, f"{file.stat().st_size} bytes, the descriptor says {size}")
        if where not in self.bad_blobs:
            with file.open("rb") as blob:
                self.bad_blobs[where] = hashlib.file_digest(blob, algorithm).hexdigest() != encoded
            if self.bad_blobs[where]:
                self.report("blob-digest", where, "the bytes have another digest")
        return None if self.bad_blobs[where] else file

    def _json(self, descriptor: Any) -> dict[str, Any] | None:
        file = self._blob(descriptor)
        if file is None:
            return None
        try:
            if file.stat().st_size > _MAX_JSON:
                raise ValueError("too large for a JSON document")
            value = json.loads(file.read_bytes())
            if not isinstance(value, dict):
                raise TypeError("no object")
        except (ValueError, TypeError) as error:
            self.report("layout-broken", descriptor["digest"], str(error))
            return None
        return value

    def _artifact(self, descriptor: Any) -> None:
        kind = descriptor.get("mediaType") if isinstance(descriptor, dict) else None
        if kind in _INDEXES:
            self._index(descriptor)
        elif kind in _MANIFESTS:
            self._image(descriptor)
        else:
            self.report("layout-broken", "index.json", f"a descriptor of type {kind}")

    def _index(self, descriptor: dict[str, Any]) -> None:
        where = descriptor["digest"]
        index = self._json(descriptor)
        if index is None:
            return
        if index.get("mediaType") != descriptor["mediaType"]:
            self.report("media-type-disagrees", where, f"{index.get('mediaType')} in the body")
        children = index.get("manifests")
        if not isinstance(children, list) or not all(isinstance(child, dict) for child in children):
            self.report("layout-broken", where, "manifests is no list of descriptors")
            return
        seen: list[tuple[dict[str, Any], dict[str, Any] | None, list[str]]] = []
        for child in children:
            if child.get("artifactType", "").endswith("+json") and child.get("mediaType") not in _MANIFESTS:
                continue
            if (child.get("annotations") or {}).get("vnd.docker.reference.type"):
                self._blob(child)  # an attestation manifest, for no platform
                continue
            if _MANIFESTS.get(child.get("mediaType", "")) != _INDEXES[descriptor["mediaType"]]:
                self.report("mixed-family", where, f"{child.get('mediaType')} under {descriptor['mediaType']}")
            config, layers = self._image(child)
            seen.append((child, config, layers))
            self._platform(child, config)
        self._order([child for child, _, _ in seen], where)
        self._shared(seen, where)

    def _platform(self, child: dict[str, Any], config: dict[str, Any] | None) -> None:
        platform = child.get("platform") or {}
        where = child.get("digest", "?")
        if not platform.get("os") or not platform.get("architecture"):
            self.report("index-platform", where, f"platform {platform}")
            return
        if config is None:
            return
        for key in ("os", "architecture", "variant"):
            if platform.get(key, "") != config.get(key, ""):
                self.report("index-platform", where, f"{key} {platform.get(key)}, its config says {config.get(key)}")
        if platform.get("os.version") != config.get("os.version"):
            text = f"{platform.get('os.version')}, its config says {config.get('os.version')}"
            self.report("index-os-version", where, text)
        if (platform.get("os.features") or []) != (config.get("os.features") or []):
            text = f"{platform.get('os.features')}, its config says {config.get('os.features')}"
            self.report("index-os-features", where, text)

    def _order(self, children: list[dict[str, Any]], where: str) -> None:
        keys: list[tuple[str, ...]] = []
        newest: dict[str, list[int]] = {}
        for child in children:
            platform = child.get("platform") or {}
            key = tuple(str(platform.get(name, "")) for name in ("os", "architecture", "variant", "os.version"))
            if key in keys:
                self.report("index-duplicate-platform", where, "/".join(key))
                continue
            keys.append(key)
            if key[0] != "windows" or not key[3]:
                continue
            version = [int(part) if part.isdecimal() else -1 for part in key[3].split(".")]
            if key[1] in newest and version > newest[key[1]]:
                self.report("index-order", where, f"{key[3]} after an older one")
            newest[key[1]] = version

    def _shared(self, seen: list[tuple[dict[str, Any], dict[str, Any] | None, list[str]]], where: str) -> None:
        first: dict[tuple[str, str], str] = {}
        for _, config, layers in seen:
            if config is None or config.get("os") != "windows" or not layers:
                continue
            key = (config["os"], config.get("architecture", ""))
            if first.setdefault(key, layers[-1]) != layers[-1]:
                self.report("layer-not-shared", where, f"{layers[-1]} beside {first[key]} for {'/'.join(key)}")

    def _image(self, descriptor: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
        manifest = self._json(descriptor)
        if manifest is None:
            return None, []
        where = descriptor["digest"]
        if manifest.get("mediaType") != descriptor["mediaType"]:
            self.report("media-type-disagrees", where, f"{manifest.get('mediaType')} in the body")
        layers, config_descriptor = manifest.get("layers"), manifest.get("config")
        if not isinstance(layers, list) or not isinstance(config_descriptor, dict) or not layers:
            self.report("layout-broken", where, "a manifest without config or layers")
            return None, []
        config = self._json(config_descriptor)
        if config is None:
            return None, []
        family = _MANIFESTS.get(descriptor["mediaType"])
        kinds = [config_descriptor.get("mediaType", ""), *(layer.get("mediaType", "") for layer in layers)]
        if any(kind.startswith(("application/vnd.oci.", "application/vnd.docker.")) for kind in kinds):
            families = {_CONFIGS.get(kinds[0])} | {"OCI" if ".oci." in kind else "Docker" for kind in kinds[1:]}
            if families != {family}:
                self.report("mixed-family", where, f"{family} manifest of {', '.join(sorted(set(kinds)))}")
        base_layers = len(layers) - 1 if self.base_layers is None else self.base_layers
        base = matching_base(config, self.bases)
        shape = config_findings(config, len(layers), f"{where} config", base)
        self.found += shape
        if not any(finding.code == "config-shape" for finding in shape):
            self._layers(config, layers, base_layers, where)
        return config, [layer["digest"] for layer in layers if isinstance(layer, dict) and "digest" in layer]

    def _layers(self, config: dict[str, Any], layers: list[dict[str, Any]], base_layers: int, where: str) -> None:
        program = program_path(config)
        entries = []
        complete = True
        for number, descriptor in enumerate(layers):
            ours = number >= base_layers
            layer = self._layer(descriptor, config, number, ours=ours)
            if layer is None:
                complete = complete and not ours
            elif ours:
                entries += layer.entries
        if program is not None and complete:
            system, machine = config.get("os") or "", config.get("architecture") or ""
            self.found += program_findings(entries, program, where, system=system, machine=machine)

    def _layer(self, descriptor: dict[str, Any], config: dict[str, Any], number: int, *, ours: bool) -> Layer | None:
        """One layer, judged the first time it is met for this operating system."""
        kind = descriptor.get("mediaType", "")
        foreign = "foreign" in kind or "nondistributable" in kind
        digest = str(descriptor.get("digest"))
        if ours and foreign:
            self.report("foreign-layer", digest, kind)
        key = (digest, str(config.get("os")), ours)
        fresh = key not in self.layers
        if fresh:
            self.layers[key] = self._read_layer(descriptor, config, ours=ours, foreign=foreign)
        layer = self.layers[key]
        diff_ids = config["rootfs"]["diff_ids"]
        if layer is not None and number < len(diff_ids) and layer.diff_id != diff_ids[number]:
            self.report("diff-id", digest, f"{layer.diff_id}, the config says {diff_ids[number]}")
        return layer

    def _read_layer(
        self, descriptor: dict[str, Any], config: dict[str, Any], *, ours: bool, foreign: bool
    ) -> Layer | None:
        file = self._blob(descriptor, optional=not ours and (self.thin or foreign))
        if file is None:
            return None
        where = descriptor["digest"]
        with file.open("rb") as blob:
            try:
                layer = read_layer(blob)
            except CorruptLayer as error:
                self.report("layer-corrupt", where, str(error))
                return None
        if ours:
            self.found += _stream_findings(layer, where)
            if config.get("os") == "windows":
                self.found += windows_findings(layer.entries, where, writable=self.writable, epoch=self.epoch)
            else:
                self.found += linux_findings(layer.entries, where, epoch=self.epoch)
        return layer
