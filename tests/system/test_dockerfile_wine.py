"""`wingo build -f … --run-windows=wine`: what real Windows programs do in a RUN, files and registry, becomes layers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.needs import missing, need_tool
from tests.system.test_dockerfile import GO, Layout, Site, faults, system_hive
from wingo.errors import HostError
from wingo.hive.edit import SetValue, apply_edits
from wingo.hive.keys import TreeKey
from wingo.hive.values import SZ, encode_text
from wingo.hive.write import write_hive
from wingo.launch.wine.finding import find_wine
from wingo.processes import ProcessRunner
from wingo.testing.bases import windows_base
from wingo.testing.registry import RegistryServer

RECORDER = Path(__file__).parent / "go" / "recorder"
TOOLS = f"# escape=`\nFROM golang:{GO} AS tools\nWORKDIR /src\nCOPY recorder .\nRUN go build -o /recorder.exe .\n"
BASE = "FROM mcr.microsoft.com/windows/servercore:ltsc2022\nCOPY --from=tools /recorder.exe C:/tools/\n"
FILES = [f"Windows/System32/{name}.exe" for name in ("msiexec", "reg", "WindowsPowerShell/v1.0/powershell")]
KEY = "HKLM\\SOFTWARE\\Acme\\Tool ä"
ENVIRONMENT = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Environment"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all: Wine's prefix is made once."""
    try:
        find_wine(os.environ, ProcessRunner())
    except HostError as error:
        missing(f"Wine ({error})")
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    software = write_hive(
        apply_edits(TreeKey("ROOT", b""), [SetValue("Microsoft", "Product", SZ, encode_text("Windows"))])
    )
    with RegistryServer() as server:
        hives = {"SYSTEM": system_hive(), "SOFTWARE": software}
        server.add("mcr/windows/servercore:ltsc2022", windows_base("servercore", "ltsc2022", hives=hives, files=FILES))
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer, cache: Path) -> Site:
    site = Site(tmp_path, registry)
    site.cache = cache
    shutil.copytree(RECORDER, site.context / "recorder")
    return site


def value(site: Site, layout: Layout, key: str, name: str) -> str:
    assert site.run("hive", "get", f"oci:{layout.folder}:t", key, name) == 0, site.said
    return site.host.out.getvalue().strip()


def everything(layout: Layout) -> set[str]:
    return {name for number in range(2, len(layout.manifest["layers"])) for name in layout.names(number)}


INSTALL = (
    TOOLS
    + BASE
    + "RUN reg add HKLM\\SOFTWARE\\Before /v A /d one /f && reg add HKLM\\SOFTWARE\\Gone /f && mkdir C:\\data && echo x> C:\\data\\old.txt\n"
    + "ENV DATA=C:\\data\n"
    + "RUN C:\\tools\\recorder.exe install %DATA%\\new && copy C:\\data\\new\\out.txt C:\\data\\copy.txt && del C:\\tools\\recorder.exe\n"
    + 'CMD ["cmd"]\n'
)


def test_files_and_registry_become_layers(site: Site) -> None:
    layout = site.build(INSTALL, "--run-windows=wine", "--allow-network")
    assert "installed into C:\\data\\new" in site.said
    assert "recorder is run by Wine, which is not Windows" in site.said
    last = len(layout.manifest["layers"]) - 1
    assert layout.read(last, "Files/data/new/out.txt") == b"before: one\n"
    assert layout.read(last, "Files/data/copy.txt") == b"before: one\n"
    assert {"Files/data/.wh.old.txt", "Files/tools/.wh.recorder.exe"} <= set(layout.names(last))
    assert value(site, layout, KEY, "Name") == 'wert "ü" \\'
    assert value(site, layout, KEY, "Number") == "7"
    assert value(site, layout, KEY, "Where") == r"%ProgramFiles%\Acme"
    assert value(site, layout, KEY, "List").split() == ["a", "b", "c"]
    assert value(site, layout, ENVIRONMENT, "ACME_HOME") == r"C:\Acme"
    # The image's own PATH, and not Wine's, with what the program added.
    path = value(site, layout, ENVIRONMENT, "Path")
    assert path.startswith(r"%SystemRoot%\system32;%SystemRoot%;%SystemRoot%\System32\W")
    assert path.endswith(r";C:\Acme\bin")
    assert "c:\\windows" not in path.lower()
    assert site.run("hive", "get", f"oci:{layout.folder}:t", r"HKLM\SOFTWARE\Gone") != 0
    # Nothing of Wine's own is in the image.
    assert not [name for name in everything(layout) if "wine" in name.lower() or "Windows/" in name]
    history = layout.config["history"]
    comments = [line.get("comment", "") for line in history]
    assert any(comment.startswith("run by wine-") and comment.endswith("not by Windows") for comment in comments)
    assert any("some of it by wine-" in comment for comment in comments)
    assert faults(layout) == []
    assert os.listdir(site.cache / "dockerfile" / "steps") == []
    again = site.build(INSTALL, "--run-windows=wine", "--allow-network")
    assert "nothing had changed" in site.said
    assert again.manifest == layout.manifest


def test_what_changes_nothing_makes_no_layer(site: Site) -> None:
    layout = site.build(TOOLS + BASE + "RUN C:\\tools\\recorder.exe nothing\n", "--run-windows=wine", "--allow-network")
    names = [name for number in range(2, len(layout.manifest["layers"])) for name in layout.names(number)]
    assert {name for name in names if "." in name} == {"Files/tools/recorder.exe"}
    assert not any(name.startswith("Hives/") and not name.endswith("/") and "_Delta" in name for name in names)


def test_codes_output_input_and_timeouts_count(site: Site) -> None:
    flags = ("--run-windows=wine", "--allow-network")
    site.build(TOOLS + BASE + "RUN C:\\tools\\recorder.exe exit 3010\n", *flags, status=2)
    assert "the step fails with exit code 3010: ending with 3010" in site.said
    assert "which is not Windows" in site.said
    layout = site.build(
        TOOLS + BASE + "RUN C:\\tools\\recorder.exe exit 3010 || echo it failed> C:\\failed.txt\n"
        "RUN echo hello| C:\\tools\\recorder.exe read > C:\\read.txt\n",
        *flags,
    )
    assert layout.read(-2, "Files/failed.txt") == b"it failed\r\n"
    assert layout.read(-1, "Files/read.txt").startswith(b'read "hello')
    site.build(TOOLS + BASE + "RUN C:\\tools\\recorder.exe hang\n", *flags, "--step-timeout", "5s", status=2)
    assert "it ran longer than the 5 seconds allowed" in site.said


def test_it_is_denied_by_default(site: Site) -> None:
    dockerfile = TOOLS + BASE + "RUN C:\\tools\\recorder.exe install C:\\data\n"
    site.build(dockerfile, "--allow-network", status=2)
    assert "this step is impossible" in site.said
    assert "--run-windows=wine" in site.said
    assert site.run("plan", "-f", "app/Dockerfile", "app", "--run-windows=wine", "--json") == 0
    steps = json.loads(site.host.out.getvalue())[0]["stages"][-1]["steps"]
    assert steps[-1]["kind"] == "wine"
    for command in ("dism /online /enable-feature", "choco install x", "netsh x"):
        site.write("Dockerfile", BASE.replace("COPY --from=tools", "COPY").splitlines()[0] + f"\nRUN {command}\n")
        assert site.run("plan", "-f", "app/Dockerfile", "app", "--run-windows=wine") == 1
        assert "--run-windows" not in site.host.out.getvalue()


MSI = """<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
  <Product Id="*" Name="Tool" UpgradeCode="0f1d6d2b-5b9a-4a7e-9d29-5d1f5c6b8a01" Language="1033" Version="1.2.3" Manufacturer="Acme">
    <Package InstallerVersion="200" Compressed="yes" InstallScope="perMachine" Platform="x64"/>
    <Media Id="1" Cabinet="cab.cab" EmbedCab="yes"/>
    <Directory Id="TARGETDIR" Name="SourceDir">
      <Directory Id="ProgramFiles64Folder">
        <Directory Id="INSTALLDIR" Name="Acme">
          <Component Id="Main" Guid="5d1d1d5c-6d63-4a5b-8d5c-0c8f6a1b2c01" Win64="yes">
            <File Id="ReadMe" Source="readme.txt" KeyPath="yes"/>
            <RegistryValue Root="HKLM" Key="SOFTWARE\\Acme\\Msi" Name="Version" Value="1.2.3" Type="string"/>
          </Component>
        </Directory>
      </Directory>
    </Directory>
    <Feature Id="Complete" Level="1"><ComponentRef Id="Main"/></Feature>
  </Product>
</Wix>
"""


def test_an_msi_is_installed(site: Site) -> None:
    need_tool("wixl")
    site.write("readme.txt", "read me\n")
    site.write("tool.wxs", MSI)
    subprocess.run(["wixl", "--arch", "x64", "-o", "tool.msi", "tool.wxs"], cwd=site.context, check=True)
    layout = site.build(
        "# escape=`\nFROM mcr.microsoft.com/windows/servercore:ltsc2022\nCOPY tool.msi C:/\n"
        'SHELL ["powershell", "-Command", "$ErrorActionPreference = \'Stop\';"]\n'
        "RUN Start-Process msiexec.exe -ArgumentList '/i', 'C:\\tool.msi', '/qn' -Wait; Remove-Item C:\\tool.msi\n"
        'CMD ["cmd"]\n',
        "--run-windows=wine",
    )
    assert layout.read(-1, "Files/Program Files/Acme/readme.txt") == b"read me\n"
    assert value(site, layout, r"HKLM\SOFTWARE\Acme\Msi", "Version") == "1.2.3"
    assert "Files/.wh.tool.msi" in layout.names(-1)
    assert faults(layout) == []
