"""`make demo`: builds images of a real Go program for three Windows versions and Linux, and shows what is in them.

The program comes through the Go module proxy, the bases from Microsoft's registry. Where that cannot be reached, the
demo says so and serves bases of the same shape itself: real manifests and configs, layers with placeholders in them.
What was made is read back here with the standard library, not with wingo.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wingo.testing.bases import microsoft_catalogue
from wingo.testing.registry import RegistryServer
from wingo.windows.sddl import format_sddl
from wingo.windows.security import decode_descriptor

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / ".tools" / "demo"
LAYOUT = DEMO / "go-httpbin"
PROGRAM = "github.com/mccutchen/go-httpbin/v2/cmd/go-httpbin@latest"
PLATFORMS = "ltsc2019,ltsc2022,ltsc2025,linux/amd64"
MICROSOFT = "mcr.microsoft.com"
SECONDS_TO_REACH = 5
SHOWN = 12
COLOURS = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def main() -> int:
    """Runs the demo; the exit code is wingo's if it fails."""
    shutil.rmtree(DEMO, ignore_errors=True)
    DEMO.mkdir(parents=True)
    title("wingo builds go-httpbin")
    with bases() as (arguments, registry, next_month):
        command = ["wingo", "build", PROGRAM, "--platform", PLATFORMS, "--data-dir", "data", *arguments]
        command += ["--thin", "-o", f"oci:{LAYOUT.relative_to(ROOT)}:demo"]
        if registry:
            command += ["--push", "-t", f"{registry}/demo/go-httpbin:v1"]
        status, first = run(command)
        if status != 0:
            return status
        show_index()
        title("The same again")
        status, again = run(command)
        if status != 0:
            return status
        say(f"\nThe first build took {first:.1f} s, this one {again:.2f} s: no input had changed, so no compiler ran.")
        if registry:
            title("A month later: new bases, the same program")
            next_month()
            status, moved = run(["wingo", "rebase", f"{registry}/demo/go-httpbin:v1", *arguments])
            if status != 0:
                return status
            say(f"\nEvery Windows image stands on the new base, {moved:.2f} s later: nothing was compiled.")
        for note in closing_notes(synthetic=bool(registry)):
            say(note)
    return 0


@contextmanager
def bases() -> Iterator[tuple[list[str], str, Callable[[], None]]]:
    """Where bases come from: arguments for wingo; the demo's own registry, if it is needed, and its next month."""
    if reachable(MICROSOFT):
        say(f"Bases come from {MICROSOFT}: their manifests and configs only, a few KB.\n")
        yield [], "", lambda: None
        return
    say(
        bold(f"{MICROSOFT} cannot be reached from here.")
        + "\nSo this demo serves bases of the same shape itself, from a registry in this process: Docker manifests, an"
        "\nos.version each, one layer; but there is no Windows in them. `wingo build` never does that by itself.\n"
    )
    with RegistryServer() as server:

        def publish(month: int) -> None:
            for name, artifact in microsoft_catalogue(month).items():
                server.add(f"{server.host}/mcr/{name}", artifact)

        publish(0)
        yield ["--mirrors", f"{MICROSOFT}={server.host}/mcr"], server.host, lambda: publish(1)


def reachable(host: str) -> bool:
    """Whether a registry answers at all; one that wants credentials does."""
    try:
        with urllib.request.urlopen(f"https://{host}/v2/", timeout=SECONDS_TO_REACH):
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False


def run(command: list[str]) -> tuple[int, float]:
    """Shows a command and runs it: its exit code and the seconds it took."""
    say(f"{dim('$')} {bold(printable(command))}")
    start = time.monotonic()
    environment = {**os.environ, "WINGO_CACHE_DIR": str(DEMO / "cache")}
    status = subprocess.call(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL)
    return status, time.monotonic() - start


def printable(command: list[str]) -> str:
    """A command line as one would type it, over several lines."""
    lines = [" ".join(command[:3])]
    for word in command[3:]:
        if word.startswith("-"):
            lines.append(word)
        else:
            lines[-1] += f" {word}"
    return " \\\n      ".join(lines)


# What was made


def show_index() -> None:
    """The index, its images, and the two layers that they share."""
    entry = json.loads((LAYOUT / "index.json").read_bytes())["manifests"][0]
    index = document(entry["digest"])
    title("The index")
    say(f"{entry['digest']}  {index['mediaType']}\n")
    say(dim(f"{'platform':<36}{'manifest':<16}{'base layers':<24}{'own layers':<24}"))
    own: dict[str, dict[str, Any]] = {}
    for child in index["manifests"]:
        manifest = document(child["digest"])
        below = [layer for layer in manifest["layers"] if not blob(layer["digest"]).exists()]
        above = [layer for layer in manifest["layers"] if layer not in below]
        own.update({layer["digest"]: child["platform"] for layer in above})
        say(f"{platform_text(child['platform']):<36}{short(child['digest']):<16}{sizes(below):<24}{sizes(above):<24}")
    say("\nThe three Windows images have one layer in common; only configs and manifests differ.")
    child = index["manifests"][0]
    manifest = document(child["digest"])
    title(f"The config for {platform_text(child['platform'])}")
    show_config(document(manifest["config"]["digest"]))
    for digest, platform in own.items():
        os_name = str(platform["os"])
        title(f"A layer of the {os_name.capitalize()} image{'s' if os_name == 'windows' else ''}: {short(digest)}")
        show_layer(blob(digest))


def show_config(config: dict[str, Any]) -> None:
    """What decides how the program starts."""
    settings = config["config"]
    assert isinstance(settings, dict)
    rows = {
        "os.version": config.get("os.version"),
        "os.features": config.get("os.features"),
        **{name: settings.get(name) for name in ("User", "Entrypoint", "Cmd", "Env", "WorkingDir", "ArgsEscaped")},
    }
    for name, value in rows.items():
        text = "none: the registry's PATH holds" if name == "Env" and not value else json.dumps(value)
        say(f"{name:<14}{text}")


def show_layer(path: Path) -> None:
    """The entries of a layer, as another reader sees them; no more than a dozen."""
    with tarfile.open(path) as tar:
        members = tar.getmembers()
    for member in members[:SHOWN]:
        kind = "d" if member.isdir() else "l" if member.issym() or member.islnk() else "-"
        if "MSWINDOWS.fileattr" in member.pax_headers:
            raw = member.pax_headers.get("MSWINDOWS.rawsd", "")
            access = format_sddl(decode_descriptor(base64.b64decode(raw))) if raw else "none: the base's holds"
            say(f"{kind} {size(member.size):>9}  {member.name:<26} {dim(access)}")
        else:
            say(f"{kind} {size(member.size):>9}  {member.mode:04o} {member.uid}:{member.gid}  {member.name}")
    if len(members) > SHOWN:
        say(f"  … and {len(members) - SHOWN} more")


def closing_notes(*, synthetic: bool) -> list[str]:
    """What to look at next."""
    notes = [f"\nLook at it: {LAYOUT.relative_to(ROOT)} is an OCI layout, which crane, skopeo, umoci and wingo read."]
    if synthetic:
        notes.append("Where Microsoft's registry can be reached, the same command makes images with Windows in them.")
    notes.append("Nothing here has run on Windows: docs/explanation/windows-fidelity.md says what is known, and how.")
    return notes


def blob(digest: str) -> Path:
    """Where the layout keeps a blob."""
    return LAYOUT / "blobs" / digest.replace(":", "/")


def document(digest: str) -> dict[str, Any]:
    """A JSON document of the layout."""
    loaded: dict[str, Any] = json.loads(blob(digest).read_bytes())
    return loaded


def platform_text(platform: dict[str, Any]) -> str:
    """os/arch and os.version."""
    version = f" {platform['os.version']}" if "os.version" in platform else ""
    return f"{platform['os']}/{platform['architecture']}{version}"


def sizes(layers: list[dict[str, Any]]) -> str:
    """The digests of layers, or their sum when there are several."""
    return ", ".join(f"{short(str(layer['digest']))} {size(int(str(layer['size'])))}" for layer in layers) or "none"


def short(digest: str) -> str:
    """A digest for people."""
    return digest.partition(":")[2][:12]


def size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} KB" if count >= 1e3 else f"{count} B"


def title(text: str) -> None:
    """A heading."""
    say(f"\n{bold(text)}\n{'─' * len(text) if COLOURS else '-' * len(text)}")


def bold(text: str) -> str:
    """Louder, on a terminal."""
    return f"\x1b[1m{text}\x1b[0m" if COLOURS else text


def dim(text: str) -> str:
    """Less loud, on a terminal."""
    return f"\x1b[2m{text}\x1b[0m" if COLOURS else text


def say(text: str) -> None:
    """Prints, at once, so that the order holds with what wingo prints."""
    print(text, flush=True)


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.exit(main())
