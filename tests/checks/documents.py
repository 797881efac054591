"""Further twins for the rules about configs, manifests, indexes and hosts."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.checks.layouts import DOCKER_MANIFEST, GOOD, Faulty, base, both, only
from tests.checks.programs import Images
from tests.system.test_layers_verifier import blob, run, top
from tests.verifier.broken import VERSIONS, Fault, digest
from wingo.archive.entry import Entry, EntryKind
from wingo.image.model import Image
from wingo.pipeline.base_layers import BaseLayers
from wingo.testing.bases import windows_base
from wingo.testing.images import content_of, directory_entry, image_of, index_of, layer_of
from wingo.windows.hosts import parse_host

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
Hook = Callable[[dict[str, Any]], Any]


def unknown_base(image: Image) -> BaseLayers:
    """One layer is the base's, and nothing else is known of it."""
    return BaseLayers(count=1, how="a test")


def hostprocess(image: Image) -> BaseLayers:
    """The base is the HostProcess one, and nothing else is known of it."""
    return BaseLayers(count=1, how="a test", flavour="hostprocess")


def said(**settings: Any) -> Fault:
    """Settings of every config."""
    return Fault(config=lambda config: config["config"].update(settings))


def lacking(key: str, **more: Any) -> Fault:
    """A config without one of its members."""
    return Fault(config=lambda config: config.pop(key), **more)


def docker(number: int, *hooks: Hook) -> Fault:
    """One child is of Docker's types, in manifest and index."""
    return Fault(
        only=number,
        manifest=both(lambda manifest: manifest.update(mediaType=DOCKER_MANIFEST), *hooks),
        index=lambda index: index["manifests"][number].update(mediaType=DOCKER_MANIFEST),
    )


def all_dockers(manifest: dict[str, Any]) -> None:
    """Docker's types, and one that is nobody's."""
    manifest["config"].update(mediaType="application/vnd.docker.container.image.v1+json")
    manifest["layers"][0].update(mediaType="application/x")
    manifest["layers"][1].update(mediaType="application/vnd.docker.image.rootfs.diff.tar.gzip")


def entry(number: int, **values: Any) -> Hook:
    """Members of a platform in the index; None takes one away."""

    def hook(index: dict[str, Any]) -> None:
        platform = index["manifests"][number]["platform"]
        platform.update({key.replace("__", "."): value for key, value in values.items() if value is not None})
        for key, value in values.items():
            if value is None:
                platform.pop(key.replace("__", "."))

    return hook


def nameless(number: int) -> Hook:
    """An entry of the index without a platform."""
    return lambda index: index["manifests"][number].pop("platform")


def more(number: int, **values: Any) -> Hook:
    """Another entry like one that is there."""
    return lambda index: index["manifests"].append({**index["manifests"][number], **values})


def artifact(manifest: dict[str, Any]) -> None:
    """Makes something of a child that is no image."""
    manifest.update(config=manifest["layers"][1])


UNKNOWN = {"os": "unknown", "architecture": "unknown"}
ATTESTATION = {"vnd.docker.reference.type": "attestation-manifest"}
CMD = "C:\\Windows\\System32\\cmd.exe"


def config_twice(path: Path) -> None:
    """Says a member of the config twice, with digests that fit."""
    listing = json.loads((path / "index.json").read_bytes())
    manifest = json.loads(blob(path, listing["manifests"][0]).read_bytes())
    data = (
        blob(path, manifest["config"])
        .read_bytes()
        .replace(b'"config": {', b'"config": {"User": "a", "User": "b", "Big": ' + b"1" * 5000 + b", ", 1)
    )
    manifest["config"] = placed(path, manifest["config"], data)
    listing["manifests"][0] = placed(path, listing["manifests"][0], json.dumps(manifest).encode())
    (path / "index.json").write_text(json.dumps(listing))


def dockers_list(path: Path) -> None:
    """Names the index as what it says that it is."""
    listing = json.loads((path / "index.json").read_bytes())
    listing["manifests"][0]["mediaType"] = DOCKER_LIST
    (path / "index.json").write_text(json.dumps(listing))


def placed(path: Path, entry: dict[str, Any], data: bytes) -> dict[str, Any]:
    """Writes a blob, and gives its descriptor."""
    found = {**entry, "digest": digest(data), "size": len(data)}
    blob(path, found).write_bytes(data)
    return found


def child(version: str, sizes: tuple[int, ...], seed: int, os: str = "windows", variant: str = "") -> Image:
    """An image of a base's layer and layers of these sizes."""
    layers = [
        windows_base("nanoserver", "ltsc2022").layers[0],
        *(sized(size, seed + at) for at, size in enumerate(sizes)),
    ]
    config: dict[str, Any] = {
        "os": os,
        "architecture": "arm",
        **({"variant": variant} if variant else {"os.version": version}),
    }
    return image_of(layers, {**config, "config": {"Entrypoint": ["C:\\x.exe"]}})


def sized(size: int, seed: int) -> Any:
    """A layer of exactly that many bytes, a multiple of 512."""
    data = random.Random(seed).randbytes(size)
    for take in range(0, 20 * 512, 512):
        content = content_of(data[: size - take])
        made = layer_of(
            [directory_entry("Files"), Entry("Files/x", EntryKind.FILE, mode=0o644, content=content)],
            compression="none",
        )
        if made.descriptor.size == size:
            return made
    raise AssertionError(size)


def versions(*sizes: tuple[int, ...], seeds: tuple[int, ...] = (1, 2)) -> Any:
    """An index of Windows versions with layers of these sizes."""
    return index_of([child(version, each, seed) for version, each, seed in zip(VERSIONS, sizes, seeds, strict=False)])


CASES: dict[str, list[Faulty | Images]] = {
    "WGO160": [Faulty(Fault(single=True, config=lambda config: config.update(os="", architecture="")))],
    "WGO161": [
        Faulty(lacking("os.version", only=1), lacking("os.version", only=1), below=unknown_base, good_below=hostprocess),
        Faulty(
            Fault(only=1, config=lambda config: config.update({"os.version": "ltsc2022"})),
            lacking("os.version", only=1),
            below=base("nanoserver", **{"os.version": "10.0.20348.1"}),
            good_below=base("nanoserver", **{"os.version": None}),
        ),
        Faulty(lacking("os.version", only=1), below=base("nanoserver", **{"os.version": "10.0.20348.1"})),
    ],
    "WGO162": [
        Faulty(GOOD, GOOD, below=base(**{"os.version": "10.0.17763.1"}), good_below=base(**{"os.version": None})),
        Faulty(GOOD, lacking("os.version"), below=base(**{"os.version": "10.0.17763.1"})),
        Faulty(GOOD, GOOD, below=base(**{"os.version": "10.0.17763.1"}), good_below=unknown_base),
    ],
    "WGO163": [
        Faulty(
            Fault(config=lambda config: config.update({"os.features": ["win32k", "other"]})),
            lacking("os.features"),
            below=base(),
        ),
        Faulty(GOOD, GOOD, below=base(**{"os.features": ["other"]}), good_below=unknown_base),
    ],
    "WGO164": [Faulty(top("history", [{"created_by": "x"}] * 3), lacking("history"))],
    "WGO165": [
        Faulty(docker(0), docker(0, all_dockers)),
    ],
    "WGO167": [
        Faulty(run("Env", ["A", "=x", "B=1\0", "C=1", "C=2"]), run("Env", ["A=", "B==", "C=x y"])),
        Faulty(run("Env", ["A=1", "A=2"]), run("Env", ["Path=1", "PATH=2"]), single="linux"),
    ],
    "WGO168": [
        *(
            Faulty(said(Entrypoint=[bad], ArgsEscaped=True), said(Entrypoint=[good], ArgsEscaped=True))
            for bad, good in (
                ("C:\\x.exe", "C:\\x.Exe -v"),
                ("C:\\x.exes -v", "c:\\x.com -v"),
                ("x.bats -v", "x.bat -v"),
                (".exe.x -v", "x.cmd -v"),
                ("CMD", "Cmd /C x"),
            )
        ),
        Faulty(
            Fault(config=lambda config: config["config"].update(ArgsEscaped=True, Entrypoint=["C:\\my app\\x.exe"])),
            Fault(config=lambda config: config["config"].update(ArgsEscaped=True, Entrypoint=None)),
        ),
        Faulty(
            Fault(config=lambda config: config["config"].update(ArgsEscaped=True, Entrypoint=['"C:\\my app\\x.exe" -v'])),
            Fault(config=lambda config: config["config"].update(Entrypoint=["C:\\my app\\x.exe"])),
        ),
    ],
    "WGO169": [
        Faulty(run("Cmd", ["--x", "y"]), run("Cmd", [CMD]), below=base(config={"Cmd": ["--x", "y"]})),
        Faulty(
            Fault(config=lambda config: config["config"].update(Cmd=["c:/windows/system32/CMD.exe"], Entrypoint=["C:/app/whoami.exe"])),
            Fault(config=lambda config: config["config"].update(Cmd=["powershell"], Entrypoint=["c:/windows/system32/cmd.exe"])),
        ),
        Faulty(
            run("Cmd", ["PowerShell"]),
            Fault(config=lambda config: config["config"].update(Cmd=[CMD], Entrypoint=None)),
            below=base(),
        ),
        Faulty(run("Cmd", [CMD]), run("Cmd", None), below=base()),
        Faulty(
            run("Cmd", ["cmd"]),
            Fault(config=lambda config: config["config"].update(Cmd=["cmd"], Entrypoint=["C:\\windows\\system32\\cmd.exe"])),
        ),
    ],
    "WGO170": [
        Faulty(run("Env", ["PATH=/usr/local/bin:/usr/bin:/bin"]), run("Env", None)),
        Faulty(run("Env", ["Path=C:\\app;D:\\x"]), run("Env", ["PATH", "A=1"])),
    ],
    "WGO171": [
        Faulty(run("WorkingDir", "app"), run("WorkingDir", "\\app")),
        Faulty(run("WorkingDir", "app/"), run("WorkingDir", "/app"), single="linux"),
    ],
    "WGO173": [Faulty(docker(0, lambda manifest: manifest.pop("mediaType")), docker(0))],
    "WGO174": [Faulty(Fault(single=True), Fault(single=True), after=config_twice)],
    "WGO180": [
        Faulty(
            Fault(index=both(nameless(0), entry(1, os=""), entry(2, architecture=""))),
            Fault(index=both(more(0, annotations=ATTESTATION, platform=UNKNOWN), more(0, mediaType="application/x"))),
        ),
        Faulty(
            Fault(only=1, manifest=artifact, index=both(nameless(1), more(0, platform=None, mediaType="application/x"))),
            Fault(only=1, manifest=artifact, index=entry(1, architecture="s390x")),
        ),
        Faulty(
            Fault(only=1, config=lambda config: config.update(architecture="arm64"), index=entry(1, variant="v9")),
            Fault(only=1, config=lambda config: config.update(architecture="arm64"), index=entry(1, variant="v8")),
        ),
        Faulty(
            Fault(only=1, config=lambda config: config.update(architecture="arm", variant="v6"), index=entry(1, variant="")),
            Fault(only=1, config=lambda config: config.update(architecture="arm", variant="v7"), index=entry(1, variant="")),
        ),
        Faulty(
            Fault(only=1, config=lambda config: config.update(variant="v2"), index=entry(1, variant="v1")),
            Fault(only=1, config=lambda config: config.update(variant="v1"), index=entry(1, variant="")),
        ),
        Faulty(Fault(index=entry(0, os="linux")), Fault(single=True)),
        Faulty(
            Fault(only=1, config=lambda config: config.update(architecture="arm64", variant="v9")),
            Fault(only=1, config=lambda config: config.update(architecture="arm64", variant="v9"), index=entry(1, variant="v9")),
        ),
    ],
    "WGO181": [
        Faulty(
            Fault(only=1, config=lambda config: config.pop("os.version"), index=both(
                entry(0, os__version=VERSIONS[0] + "0"), entry(1, os__version="10.0.20348.1"), entry(2, os__version="10.0.17764.8027"),
                nameless(3),
            )),
            Fault(only=1, manifest=artifact, index=both(entry(1, os__version="1"), nameless(0))),
        ),
    ],
    "WGO182": [
        Faulty(
            Fault(only=1, config=lambda config: config.pop("os.features"), index=both(
                entry(0, os__features=["a", "b"]), entry(1, os__features=["c"]), nameless(3),
            )),
            Fault(only=1, manifest=artifact, index=both(entry(1, os__features=["x"]), nameless(0))),
        ),
    ],
    "WGO183": [
        Faulty(
            Fault(index=lambda index: index.update(manifests=[index["manifests"][at] for at in (1, 3, 0, 2)])),
            Fault(index=both(only(3, 0, 1, 1, 2), nameless(0))),
        ),
    ],
    "WGO184": [
        Faulty(
            Fault(index=lambda index: index["manifests"].insert(0, index["manifests"][1])),
            Fault(index=both(more(0, platform=UNKNOWN), more(1, platform=UNKNOWN), nameless(0), nameless(1))),
        ),
    ],
    "WGO185": [
        Faulty(
            Fault(
                only=0,
                manifest=lambda manifest: manifest.update(mediaType=DOCKER_MANIFEST),
                index=both(lambda index: index["manifests"][0].update(mediaType=DOCKER_MANIFEST), nameless(0)),
            ),
            Fault(index=more(0, mediaType="application/x")),
        ),
        Faulty(
            docker(0),
            Fault(index=lambda index: index.update(mediaType=DOCKER_LIST, manifests=[{**index["manifests"][0], "mediaType": "application/x"}])),
            good_after=dockers_list,
        ),
    ],
    "WGO186": [
        # Exactly a tenth larger is nearly one size; more is not.
        Images(versions((11 * 5120,), (10 * 5120,)), versions((11 * 5120 + 512,), (10 * 5120,)), below=unknown_base),
        Images(
            versions((11 * 5120,), (11 * 5120,)),
            versions((11 * 5120, 5120), (11 * 5120, 5120), seeds=(1, 1)),
            below=unknown_base,
        ),
        Images(
            versions((11 * 5120, 5120), (11 * 5120, 5120)),
            index_of([
                child(VERSIONS[0], (5120, 11 * 5120), 7),
                child(VERSIONS[1], (5632, 11 * 5120), 7),
            ]),
            below=unknown_base,
        ),
        Images(
            versions((5120,), (5120,)),
            index_of([windows_base("nanoserver", "ltsc2025"), windows_base("nanoserver", "ltsc2022")]),
        ),
        Images(
            versions((5120,), (5120,)),
            index_of([child("", (5120,), 1, "linux", "v6"), child("", (5120,), 2, "linux", "v7")]),
            below=unknown_base,
        ),
        Images(
            versions((5120,), (5120,)),
            index_of([image_of([sized(5120, at)], {"os": "windows", "architecture": "amd64", "os.version": VERSIONS[at]}) for at in (0, 1)]),
        ),
    ],
    "WGO801": [
        Faulty(
            GOOD, Fault(index=only(0, 1, 2, 3)),
            hosts=[parse_host(each) for each in ("linux/arm64", "windows/arm64:10.0.26100", "10.0.14393", "10.0.26200", "10.0.14393")],
            good_hosts=[parse_host(each) for each in ("linux/amd64", "10.0.17763", "10.0.20348", "10.0.26100")],
        ),
        Faulty(
            Fault(index=only(3)), Fault(single=True), hosts=(parse_host("10.0.17763"),),
        ),
        Faulty(
            Fault(index=both(*(more(1, platform={"os": "windows", "architecture": "amd64", "os.version": f"10.0.20348.{at}"}) for at in (1, 1, 2, 3, 4)), only(1, 4, 5, 6, 7, 8))),
            Fault(index=only(1)), hosts=(parse_host("10.0.26200"),), good_hosts=(parse_host("10.0.26100"),),
        ),
        Faulty(Fault(index=entry(2, os__version="10.0.17764.1")), GOOD, hosts=(parse_host("10.0.17763"),)),
        Faulty(Fault(index=only(1)), Fault(index=both(nameless(0))), hosts=(parse_host("10.0.26200"),), good_hosts=(parse_host("10.0.26100"),)),
        Faulty(
            Fault(only=1, manifest=artifact, index=both(nameless(1), entry(0, os="unknown"), entry(2, os="unknown"))),
            Fault(index=both(nameless(1), entry(0, os="unknown"), entry(2, os=""))),
            hosts=(parse_host("10.0.20348"),), good_hosts=(parse_host("10.0.20348"), parse_host("10.0.17763"), parse_host("10.0.26100")),
        ),
    ],
    "WGO802": [
        Faulty(
            Fault(config=lambda config: config.update({"os.version": "10.0.17763.1"})), GOOD,
            hosts=(parse_host("10.0.26100"),), single="windows",
        ),
        Faulty(
            Fault(single=True), Fault(single=True),
            hosts=[parse_host(each) for each in ("linux/amd64", "windows/arm64:10.0.26100", "10.0.17763", "linux/arm64")],
            good_hosts=(parse_host("10.0.26100"),),
        ),
        Faulty(run("User", "x"), GOOD, hosts=(parse_host("linux/arm64"),), good_hosts=(parse_host("linux/amd64"),), single="linux"),
    ],
    "WGO803": [
        Faulty(
            Fault(index=only(2, 1, 0)), Fault(single=True),
            hosts=[parse_host(each) for each in ("10.0.26100", "10.0.20348", "10.0.26200")],
        ),
        Faulty(
            Fault(index=only(1, 0)), Fault(index=only(2)), hosts=(parse_host("10.0.26100"),),
            good_hosts=[parse_host(each) for each in ("10.0.20348", "linux/amd64", "10.0.17763")],
        ),
        Faulty(Fault(index=nameless(0)), Fault(index=only(1)), hosts=(parse_host("10.0.26100"),), good_hosts=(parse_host("10.0.26200"),)),
    ],
}  # fmt: skip
"""By the rule's number."""
