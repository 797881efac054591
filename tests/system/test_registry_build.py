"""`wingo build` with another registry than the base's: one layer on each base, the application's on top, as before."""

from __future__ import annotations

import json

import pytest

from tests.system.test_build import Site
from tests.verifier import verify_layout
from wingo.hive.write import write_hive
from wingo.image.model import images_of
from wingo.stores.layout import Layout
from wingo.testing.bases import static_base, windows_base
from wingo.testing.hives import registry_trees
from wingo.testing.registry import RegistryServer

HIVES = {name: write_hive(root, name=name) for name, root in registry_trees().items()}
SERVICES = "HKLM\\SYSTEM\\CurrentControlSet\\Services"
DNS = "HKLM\\SYSTEM\\CurrentControlSet\\Services\\Dnscache\\Parameters"


@pytest.fixture(scope="module")
def server():
    with RegistryServer() as server:
        for release in ("ltsc2022", "ltsc2025"):
            server.add(f"windows/nanoserver:{release}", windows_base(release=release, hives=HIVES))
        yield server


@pytest.fixture
def site(tmp_path, server):
    server.forget()
    return Site(tmp_path, server)


def built(site, name="out"):
    return Layout(str(site.module / name)).read()


def got(site, key, value, place="oci:out", release="ltsc2022") -> str:
    host = site.host()
    assert host.wingo("hive", "get", place, key, value, "--platform", release) == 0, host.err.getvalue()
    return host.out.getvalue().strip()


def test_tables_files_and_flags(site):
    site.write(
        "wingo.toml",
        '[services]\nSpooler = "manual"\nNoSuch = "disabled"\n\n'
        f"[registry.'{DNS}']\nMaxCacheTtl = 5\nMode = \"sz:short\"\n\n[registry]\n'-HKLM\\SOFTWARE\\Microsoft\\Rpc' = {{}}\n",
    )
    site.write("dcom.reg", 'REGEDIT4\n[HKEY_LOCAL_MACHINE\\software\\microsoft\\ole]\n"EnableDCOM"="N"\n')
    host = site.build(".", "-o", "oci:out", "--reg", "dcom.reg", "--disable-service", "diagtrack,W32Time")
    assert "service NoSuch: this image does not have it" in host.err.getvalue()
    for release in ("ltsc2022", "ltsc2025"):
        assert got(site, f"{SERVICES}\\Spooler", "Start", release=release) == "3"
        assert got(site, f"{SERVICES}\\DiagTrack", "Start", release=release) == "4"
    assert got(site, f"{SERVICES}\\W32Time", "Start") == "4"
    assert got(site, DNS, "MaxCacheTtl") == "5"
    assert got(site, DNS, "Mode") == "short"
    assert got(site, "HKLM\\SOFTWARE\\Microsoft\\Ole", "EnableDCOM") == "N"
    gone = site.host()
    assert gone.wingo("hive", "ls", "oci:out", "HKLM\\SOFTWARE\\Microsoft", "--platform", "ltsc2025") == 0
    assert gone.out.getvalue() == "ole\\\n"
    images = list(images_of(built(site)))
    assert [len(image.layers) for image in images] == [3, 3]
    assert len({image.layers[-1].diff_id for image in images}) == 1
    assert images[0].config.history[1].comment == (
        "changes of the registry: HKEY_LOCAL_MACHINE\\SYSTEM, HKEY_LOCAL_MACHINE\\SOFTWARE"
    )
    assert verify_layout(site.module / "out") == []


def test_the_bases_layers_are_fetched_once(site):
    site.build(".", "--push", "-t", site.name(), "--disable-service", "DiagTrack")
    fetched = [
        request.path for request in site.registry.asked() if "/blobs/" in request.path and request.method == "GET"
    ]
    assert len([path for path in fetched if "nanoserver" in path]) == 4  # a config and a layer each
    site.registry.forget()
    site.build(".", "--push", "-t", site.name("v2"), "--disable-service", "DiagTrack,Spooler")
    fetched = [
        request.path for request in site.registry.asked() if "/blobs/" in request.path and request.method == "GET"
    ]
    assert fetched == []
    site.build(".", "--push", "-t", site.name("v2"), "--disable-service", "DiagTrack,Spooler")
    assert site.go_runs() == []


def test_every_input_counts(site):
    site.write("a.reg", 'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n"a"=dword:1\n')
    arguments = [".", "-o", "oci:out", "--reg", "a.reg"]
    first = site.report(*arguments)["programs"][0]["digest"]
    assert site.report(*arguments)["unchanged"] is True
    site.write("a.reg", 'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SOFTWARE\\A]\n"a"=dword:2\n')
    second = site.report(*arguments)["programs"][0]["digest"]
    assert second != first
    assert site.report(*arguments, "--disable-service", "Spooler")["programs"][0]["digest"] != second
    assert site.report(*arguments, WINGO_SERVICES="Spooler=manual")["programs"][0]["digest"] != second
    assert site.go_runs() == []


def test_what_is_so_already_adds_no_layer(site):
    plain = site.report(".", "-o", "oci:plain")["programs"][0]
    site.write("wingo.toml", f"[registry.'{SERVICES}\\Spooler']\nStart = 2\n")
    same = site.report(".", "-o", "oci:out")["programs"][0]
    assert same["digest"] == plain["digest"]


def test_linux_is_not_concerned(site):
    site.registry.add("linux/base:v1", static_base())
    base = f"linux={site.registry.host}/linux/base:v1"
    arguments = (".", "--platform", "linux/amd64,ltsc2022", "--base", base, "--disable-service", "DiagTrack")
    site.build(*arguments, "-o", "oci:out")
    assert sorted(len(image.layers) for image in images_of(built(site))) == [2, 3]
    host = site.build(".", "--platform", "linux/amd64", "--disable-service", "DiagTrack", "-o", "oci:linux")
    assert "for Windows, which is not built for" in host.err.getvalue()


@pytest.mark.parametrize(
    ("toml", "argv", "problem"),
    [
        ("", ("--disable-service", "nsi"), "cexecsvc needs nsi"),
        ("", ("--disable-service", "Print"), "Fax needs Print2 needs Print"),
        ("", ("--reg", "none.reg"), "none.reg"),
        ("", ("--reg", "bad.reg"), "bad.reg"),
        ("", ("--reg", "user.reg"), "HKCU"),
        ("", ("--disable-service", "a", "--base", "scratch"), "without a base"),
        ('[services]\nSpooler = "never"\n', (), "no start type"),
        ('[services]\nSpooler = "boot"\n', ("--disable-service", "RpcSs"), "never changed"),
        ('[registry]\n"HKLM\\\\SOFTWARE\\\\A" = 1\n', (), "a table of values"),
        ('[registry."HKLM\\\\SOFTWARE\\\\A"]\na = true\n', (), "a text or a number"),
        ('[registry."HKLM\\\\SOFTWARE\\\\A"]\na = "4"\n', (), "not a type and data"),
        ('[registry."-HKLM\\\\SOFTWARE\\\\A"]\na = "dword:4"\n', (), "it is deleted"),
        ('[registry."HKCU\\\\A"]\na = "dword:4"\n', (), "HKCU"),
        (f"[registry.'{SERVICES}\\Tcpip\\Parameters']\nMaxUserPort = 1\n", (), "does not notice"),
    ],
)
def test_wrong_requests_are_explained(site, toml, argv, problem):
    site.write("wingo.toml", toml)
    site.write("bad.reg", "[nothing]\n")
    site.write("user.reg", "REGEDIT4\n[HKEY_CURRENT_USER\\A]\n")
    host = site.host()
    assert host.wingo("build", ".", "-o", "oci:out", *argv) in (2, 3, 5)
    assert problem in host.err.getvalue()
    assert not (site.module / "out").exists()


def test_the_undo_of_optimize_on_such_an_image(site):
    before = site.report(".", "-o", "oci:out", "--disable-service", "DiagTrack")["programs"][0]["digest"]
    host = site.host()
    assert host.wingo("optimize", "apply", "oci:out", "--profile", "web", "-o", "oci:smaller") == 0, host.err.getvalue()
    assert host.wingo("optimize", "verify", "oci:smaller") == 0, host.err.getvalue()
    assert host.wingo("optimize", "undo", "oci:smaller", "-o", "oci:back", "--json") == 0
    assert json.loads((site.module / "back" / "index.json").read_text())["manifests"][0]["digest"] == before


def test_a_rebase_keeps_the_layer_and_says_what_it_is_worth(site):
    site.build(".", "--push", "-t", site.name(), "--platform", "ltsc2022", "--disable-service", "DiagTrack")
    site.registry.add("windows/nanoserver:newer", windows_base(month=1, hives=HIVES))
    host = site.host()
    base = f"{site.registry.host}/windows/nanoserver:newer"
    assert host.wingo("rebase", site.name(), "--base", base) == 0, host.err.getvalue()
    assert "was made for the old base" in host.err.getvalue()
    assert got(site, f"{SERVICES}\\DiagTrack", "Start", place=site.name()) == "4"


def test_optimize_from_one_tag_to_another(site):
    """Layers that the registry has are not sent again."""
    reference = site.build(".", "--push", "-t", site.name()).out.getvalue().strip()
    site.registry.forget()
    host = site.host()
    assert host.wingo("optimize", "apply", site.name(), "-o", site.name("opt")) == 0, host.err.getvalue()
    sent = [
        request for request in site.registry.asked() if request.method in ("PUT", "PATCH") and "/blobs/" in request.path
    ]
    assert len({request.path.partition("digest=")[2] for request in sent if "digest=" in request.path}) <= 3
    assert host.wingo("optimize", "verify", site.name("opt")) == 0, host.err.getvalue()
    host.out.truncate(0)
    host.out.seek(0)
    assert host.wingo("optimize", "undo", site.name("opt"), "-o", site.name("back")) == 0, host.err.getvalue()
    assert host.out.getvalue().strip().partition("@")[2] == reference.partition("@")[2]
