"""Windows `RUN` steps from a Dockerfile to an image, read back by readers that share no code with the writer."""

from __future__ import annotations

import hashlib
import io
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyregf
import pytest

from tests.needs import need_tool
from tests.system.test_dockerfile import Site, faults
from wingo.hive.keys import TreeKey
from wingo.hive.write import write_hive
from wingo.image.model import Image
from wingo.testing.bases import windows_base
from wingo.testing.registry import RegistryServer
from wingo.testing.stand_ins import system_hive
from wingo.windows.sddl import parse_sddl
from wingo.windows.security import decode_descriptor

PROGRAMS = tuple(
    f"Windows/System32/{name}"
    for name in ("setx.exe", "reg.exe", "icacls.exe", "tar.exe", "curl.exe", "WindowsPowerShell/v1.0/powershell.exe")
)
HEAD = 'FROM mcr.microsoft.com/windows/servercore:ltsc2022\nSHELL ["powershell", "-Command", "$ErrorActionPreference = \'Stop\';"]\n'


def base() -> Image:
    software = write_hive(TreeKey("ROOT", b"", children=(TreeKey("Microsoft", b""),)))
    return windows_base(
        "servercore",
        "ltsc2022",
        hives={"SYSTEM": system_hive(), "SOFTWARE": software},
        files=(*PROGRAMS, "Program Files/desktop.ini"),
    )


@pytest.fixture
def registry() -> Iterator[RegistryServer]:
    with RegistryServer() as server:
        server.add("mcr/windows/servercore:ltsc2022", base())
        server.add(
            "mcr/windows/nanoserver:ltsc2022", windows_base("nanoserver", "ltsc2022", hives={"SYSTEM": system_hive()})
        )
        yield server


@pytest.fixture
def site(tmp_path: Path, registry: RegistryServer) -> Site:
    return Site(tmp_path, registry)


def archive() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("tool-1.0/tool.exe", b"MZ the tool")
        file.writestr("tool-1.0/sub/readme.txt", b"read me")
    return data.getvalue()


@pytest.fixture
def address() -> Iterator[str]:
    body = archive()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/tool-1.0.zip"
    server.shutdown()
    server.server_close()
    thread.join()


def find_layer(layout, name: str) -> int:
    """The topmost layer that has a name."""
    for number in range(len(layout.manifest["layers"]) - 1, -1, -1):
        if name in layout.names(number):
            return number
    raise AssertionError(name)


def test_the_download_idiom_services_path_and_access(site: Site, address: str) -> None:
    digest = hashlib.sha256(archive()).hexdigest()
    layout = site.build(
        HEAD + f"ENV TOOL_URL {address}\nENV TOOL_SHA256 {digest}\n"
        "RUN Write-Host ('Downloading {0} ...' -f $env:TOOL_URL); \\\n"
        "    Invoke-WebRequest -Uri $env:TOOL_URL -OutFile 'tool.zip'; \\\n"
        "    if ((Get-FileHash tool.zip -Algorithm sha256).Hash -ne $env:TOOL_SHA256) { exit 1 }; \\\n"
        "    Expand-Archive -Path tool.zip -DestinationPath C:\\.; \\\n"
        "    Move-Item tool-* 'C:\\Program Files\\tool'; Remove-Item tool.zip -Force\n"
        "RUN setx /M PATH $('C:\\Program Files\\tool;' + $env:PATH)\n"
        "RUN New-Item -ItemType Directory -Force C:\\data | Out-Null; icacls C:\\data /grant 'Users:(OI)(CI)M'\n"
        'RUN Stop-Service -Name "WSearch" -Force; Set-Service -Name "WSearch" -StartupType Disabled; '
        "reg add HKLM\\SOFTWARE\\Tool /v Mode /t REG_DWORD /d 7 /f\n"
        "RUN tool --version\n"
        'CMD ["C:\\\\Program Files\\\\tool\\\\tool.exe"]\n',
        "--allow-network",
    )  # fmt: skip
    tool = find_layer(layout, "Files/Program Files/tool/tool.exe")
    assert layout.read(tool, "Files/Program Files/tool/tool.exe") == b"MZ the tool"
    assert layout.read(tool, "Files/Program Files/tool/sub/readme.txt") == b"read me"
    everything = [name for number in range(2, len(layout.manifest["layers"])) for name in layout.names(number)]
    assert not [name for name in everything if "tool.zip" in name or "tool-1.0" in name]
    data = find_layer(layout, "Files/data")
    with layout.layer(data) as tar:
        import base64

        descriptor = decode_descriptor(base64.b64decode(tar.getmember("Files/data").pax_headers["MSWINDOWS.rawsd"]))
    modify = parse_sddl("O:BAG:BAD:(A;OICI;0x1301bf;;;BU)").access
    assert modify is not None
    assert any(
        (entry.sid, entry.flags) == (modify.entries[0].sid, 3)
        and entry.mask & modify.entries[0].mask == modify.entries[0].mask
        for entry in (descriptor.access.entries if descriptor.access else ())
    )
    hives = find_layer(layout, next(name for name in everything if name.upper() == "HIVES/SYSTEM_DELTA"))
    names = {name.upper(): name for name in layout.names(hives)}
    system = opened(layout.read(hives, names["HIVES/SYSTEM_DELTA"]))
    start = system.get_key_by_path("\\ControlSet001\\Services\\WSearch").get_value_by_name("Start")
    assert start.get_data_as_integer() == 4
    path = system.get_key_by_path("\\ControlSet001\\Control\\Session Manager\\Environment").get_value_by_name("Path")
    # The spelling and all of what the base's PATH was while building.
    assert path.get_data_as_string().startswith("C:\\Program Files\\tool;C:\\Windows\\system32;C:\\Windows;")
    software = opened(layout.read(hives, names["HIVES/SOFTWARE_DELTA"]))
    assert software.get_key_by_path("\\Tool").get_value_by_name("Mode").get_data_as_integer() == 7
    assert faults(layout) == []


def opened(hive: bytes) -> pyregf.file:
    file = pyregf.file()
    file.open_file_object(io.BytesIO(hive))
    return file


def test_cmd_steps_over_the_bases_own_files(site: Site) -> None:
    layout = site.build(
        "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nUSER ContainerAdministrator\nWORKDIR C:\\\\app\n"
        "RUN echo one>a.txt && copy C:\\License.txt . && del C:\\License.txt\n"
        "RUN mklink link.txt a.txt & if exist a.txt (mkdir logs) else exit /b 1\n"
        'CMD ["C:\\\\app\\\\x.exe"]\n'
    )
    number = find_layer(layout, "Files/app/License.txt")
    assert layout.read(number, "Files/app/License.txt") == b"A placeholder for a licence.\r\n"
    assert layout.read(number, "Files/app/a.txt") == b"one \r\n"
    assert "Files/.wh.License.txt" in layout.names(number)
    with layout.layer(find_layer(layout, "Files/app/link.txt")) as tar:
        assert tar.getmember("Files/app/link.txt").linkname == "a.txt"
    assert find_layer(layout, "Files/app/logs")
    assert faults(layout) == []


@pytest.mark.parametrize(
    ("steps", "flags", "message"),
    [
        ("RUN exit 3\n", (), "exit code 3"),
        ("RUN mkdir C:\\Windows\n", (), "already exists"),
        ("RUN Invoke-WebRequest ADDRESS -OutFile x\n", (), "--allow-network"),
        (
            "RUN Invoke-WebRequest ADDRESS -OutFile x; if ((Get-FileHash x).Hash -ne 'ab') { exit 1 }\n",
            ("--allow-network",),
            "exit code 1",
        ),
        ("RUN Expand-Archive nothing.zip C:\\x\n", (), "nothing.zip"),
        ("RUN iex (Invoke-WebRequest ADDRESS)\n", ("--allow-network",), "downloaded"),
        ("RUN nothere --version\n", (), "not recognised"),
        ("RUN Set-Service Nowhere -StartupType Disabled\n", (), "no service"),
    ],
)
def test_a_step_that_fails_leaves_no_image(
    site: Site, address: str, steps: str, flags: tuple[str, ...], message: str
) -> None:
    site.write("Dockerfile", HEAD + steps.replace("ADDRESS", address))
    out = site.folder / "failed"
    assert site.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{out}:t", *flags) != 0
    assert message in site.said
    assert not (out / "index.json").exists()


def test_nanoserver_has_no_powershell(site: Site) -> None:
    site.write(
        "Dockerfile", "FROM mcr.microsoft.com/windows/nanoserver:ltsc2022\nRUN powershell -Command mkdir C:\\x\n"
    )
    assert site.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{site.folder / 'no'}:t") != 0
    assert "nanoserver has no powershell" in site.said


def test_archives_of_7_zip_and_inno_setup_are_unpacked_by_this_machines_programs(site: Site, tmp_path: Path) -> None:
    program = need_tool("7z")
    need_tool("innoextract")
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "x.txt").write_text("seven")
    (tmp_path / "in" / "link").symlink_to("/etc/passwd")
    subprocess.run(
        [program, "a", "-snl", site.context / "a.7z", "sub", "link"],
        cwd=tmp_path / "in",
        check=True,
        stdout=subprocess.DEVNULL,
    )
    site.write("7z.exe", "MZ")
    site.write("innoextract.exe", "MZ")
    head = "FROM mcr.microsoft.com/windows/servercore:ltsc2022\nWORKDIR C:\\\\t\nCOPY 7z.exe innoextract.exe a.7z ./\n"
    layout = site.build(head + 'RUN 7z x a.7z -oC:\\out -y\nCMD ["C:\\\\t\\\\7z.exe"]\n')
    number = find_layer(layout, "Files/out/sub/x.txt")
    assert layout.read(number, "Files/out/sub/x.txt") == b"seven"
    assert "Files/out/link" not in layout.names(number)
    site.write("Dockerfile", head + "RUN innoextract -d C:\\out a.7z\n")
    assert site.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{tmp_path / 'no'}:t") != 0
    assert "innoextract cannot unpack" in site.said


def test_a_dll_out_of_servercore_needs_no_more_layers_than_the_one_that_has_it(
    site: Site, registry: RegistryServer
) -> None:
    image = windows_base("servercore", "ltsc2022", files=("Windows/System32/netapi32.dll",))
    registry.add("mcr/windows/servercore:dll", image)
    layout = site.build(
        "FROM mcr.microsoft.com/windows/servercore:dll AS core\nFROM mcr.microsoft.com/windows/nanoserver:ltsc2022\n"
        "COPY --from=core /Windows/System32/netapi32.dll /Windows/System32/\n"
        "COPY --from=mcr.microsoft.com/windows/servercore:dll C:\\\\Windows\\\\System32\\\\kernel32.dll C:\\\\x\\\\k.dll\n"
        'CMD ["C:\\\\x.exe"]\n'
    )
    number = find_layer(layout, "Files/Windows/System32/netapi32.dll")
    assert layout.read(number, "Files/Windows/System32/netapi32.dll") == b"a placeholder"
    kernel = find_layer(layout, "Files/x/k.dll")
    assert layout.read(kernel, "Files/x/k.dll").startswith(b"MZ placeholder for a newer kernel32.dll")
    # One pass over each layer for the first file; one more over the upper layer for the second, whose place is known by then.
    blobs = [request.path for request in registry.requests if "servercore/blobs/" in request.path]
    read = [len([path for path in blobs if layer.descriptor.digest in path]) for layer in image.layers]
    assert read == [1, 2]
    registry.forget()
    site.write(
        "Dockerfile",
        (site.context / "Dockerfile").read_text().replace("kernel32.dll C:", "kernel32.dll C:") + "LABEL a=b\n",
    )
    assert site.run("build", "-f", "app/Dockerfile", "app", "-o", f"oci:{site.folder / 'again'}:t") == 0
    assert not [
        request
        for request in registry.requests
        if "servercore/blobs/" in request.path
        and any(layer.descriptor.digest in request.path for layer in image.layers)
    ]
