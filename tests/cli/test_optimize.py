"""`wingo optimize`, in process: analyze, plan, apply, verify, undo."""

from __future__ import annotations

import json

import msgspec
import pytest

from wingo.hive.fsck import fsck
from wingo.hive.keys import find_key, find_value
from wingo.hive.read import open_hive
from wingo.hive.regfile import parse_reg
from wingo.hive.values import number_of
from wingo.hive.write import write_hive
from wingo.image.model import Index, images_of
from wingo.stores.layout import Layout
from wingo.testing.bases import windows_base
from wingo.testing.hives import registry_trees, service_key
from wingo.testing.host import FakeHost
from wingo.testing.images import file_entry, image_of, index_of, layer_of

HIVES = {name: write_hive(root, name=name) for name, root in registry_trees().items()}
FILES = ("Windows/System32/svchost.exe", "Windows/System32/diagtrack.dll", "Windows/System32/dnsrslvr.dll")
BASE = windows_base(hives=HIVES, files=FILES)
SERVICES = "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services"


def application(base=BASE):
    layer = layer_of([file_entry("Files/app.exe", b"MZ")])
    return image_of([*base.layers, layer], json.loads(base.config_bytes))


@pytest.fixture
def host(tmp_path):
    Layout(str(tmp_path / "app")).write(application(), ["latest"])
    return FakeHost(str(tmp_path), str(tmp_path / "cache"))


def result(host, *argv) -> str:
    assert host.wingo("optimize", *argv) == 0, host.err.getvalue()
    text = host.out.getvalue()
    host.out.truncate(0)
    host.out.seek(0)
    return text


def refused(host, *argv, code=2) -> str:
    assert host.wingo("optimize", *argv) == code, host.err.getvalue()
    return host.err.getvalue()


def image_at(tmp_path, name):
    return Layout(str(tmp_path / name), "latest").read()


def test_analyze(host):
    text = result(host, "analyze", "oci:app", "--profile", "web")
    assert "HKEY_LOCAL_MACHINE\\SYSTEM: " in text
    assert "Spooler (auto): C:\\Windows\\System32\\spoolsv.exe" in text
    assert "Lonely (demand): service Nowhere" in text
    assert "started by triggers: W32Time" in text
    assert "kept: cexecsvc starts every process of a container (cexecsvc needs nsi)" in text
    assert "service DiagTrack: auto → disabled" in text
    assert "1 fewer services start by themselves" in text
    assert "service UsoSvc: this image does not have it" in text
    (image,) = json.loads(result(host, "analyze", "oci:app", "--json"))
    assert image["analysis"]["filesKnown"] is True
    assert {hive["hive"] for hive in image["analysis"]["hives"]} >= {
        "HKEY_LOCAL_MACHINE\\SYSTEM",
        "HKEY_USERS\\.DEFAULT",
    }


def test_apply_verify_undo(host, tmp_path):
    before = image_at(tmp_path, "app")
    printed = result(host, "apply", "oci:app", "--profile", "web", "-o", "oci:smaller")
    after = image_at(tmp_path, "smaller")
    assert printed.strip() == f"oci:smaller@{after.digest}"
    assert [layer.diff_id for layer in after.layers if layer.diff_id in {item.diff_id for item in before.layers}] == [
        layer.diff_id for layer in before.layers
    ]
    assert after.layers[1].diff_id not in {layer.diff_id for layer in before.layers}
    inverse = parse_reg((tmp_path / "smaller.undo.reg").read_bytes())
    assert f"{SERVICES}\\DiagTrack" in {edit.path for edit in inverse}
    table = result(host, "verify", "oci:smaller")
    assert "as meant" in table
    assert ["services", "auto", "9", "8"] in [line.split() for line in table.splitlines()]
    back = result(host, "undo", "oci:smaller", "-o", "oci:back")
    assert back.strip() == f"oci:back@{before.digest}"
    restored = image_at(tmp_path, "back")
    assert restored.manifest_bytes == before.manifest_bytes
    assert restored.config_bytes == before.config_bytes
    assert "the result is" not in host.err.getvalue()


def test_every_image_of_an_index_and_back(host, tmp_path):
    linux = image_of([layer_of([file_entry("a", b"")])], {"os": "linux", "architecture": "amd64"})
    index = index_of([application(), application(windows_base("servercore", "ltsc2025", hives=HIVES)), linux])
    Layout(str(tmp_path / "index")).write(index, ["latest"])
    result(host, "apply", "oci:index", "-o", "oci-archive:smaller.tar:v1")
    verified = json.loads(result(host, "verify", "oci-archive:smaller.tar:v1", "--json"))
    assert [(image["differs"], image["after"]["services"]["auto"]) for image in verified] == [([], 8), ([], 8)]
    result(host, "undo", "oci-archive:smaller.tar:v1", "-o", "oci:back:latest")
    assert image_at(tmp_path, "back").digest == index.digest
    assert len(list(images_of(image_at(tmp_path, "back")))) == 3


def test_the_same_again_is_the_same(host, tmp_path):
    result(host, "apply", "oci:app", "-o", "oci:one")
    result(host, "apply", "oci:app", "-o", "oci:two")
    assert image_at(tmp_path, "one").digest == image_at(tmp_path, "two").digest
    result(host, "apply", "oci:one", "-o", "oci:three")
    assert image_at(tmp_path, "three").digest == image_at(tmp_path, "one").digest
    assert "nothing was to be changed" in host.err.getvalue()


def test_an_unsafe_change_is_refused_with_its_chain(host, tmp_path):
    problem = refused(host, "apply", "oci:app", "--disable-service", "nsiproxy", "-o", "oci:x")
    assert "cexecsvc needs nsi needs nsiproxy" in problem
    assert not (tmp_path / "x").exists()
    assert not (tmp_path / "x.undo.json").exists()
    assert "Fax needs Print2 needs Print" in refused(
        host, "apply", "oci:app", "--disable-service", "Print", "-o", "oci:x"
    )
    assert "REFUSED" in result(host, "plan", "oci:app", "--disable-service", "Print")
    both = ("--disable-service", "Print", "--disable-service", "Print2", "--disable-service", "Fax")
    assert result(host, "apply", "oci:app", *both, "-o", "oci:x")


def test_what_a_container_ignores_is_refused(host, tmp_path):
    (tmp_path / "tcp.reg").write_bytes(
        b'REGEDIT4\n[HKEY_LOCAL_MACHINE\\SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters]\n"MaxUserPort"=dword:1\n'
    )
    problem = refused(host, "apply", "oci:app", "--reg", "tcp.reg", "-o", "oci:x")
    assert "set it on the host" in problem
    assert "MaxUserPort" in problem


def test_a_profile_of_ones_own(host, tmp_path):
    (tmp_path / "own.toml").write_text(
        'name = "own"\n[[service]]\nname = "Spooler"\nstart = "delete"\nreason = "r"\nsource = "s"\n'
        '[[service]]\nname = "Print"\nmay-break = ["Print2", "Fax"]\nreason = "r"\nsource = "s"\n'
        "[[value]]\nkey = 'HKLM\\SOFTWARE\\Own'\nname = 'a'\ndata = 'sz:b'\nreason = 'r'\nsource = 's'\n"
        "[[value]]\nkey = 'HKLM\\SYSTEM\\CurrentControlSet\\Services\\Dnscache'\nname = 'Start'\ndata = 'delete'\n"
        "reason = 'r'\nsource = 's'\n"
    )
    text = result(host, "plan", "oci:app", "--profile", "own.toml")
    assert "service Spooler: auto → deleted" in text
    result(host, "apply", "oci:app", "--profile", "own.toml", "-o", "oci:x")
    assert host.wingo("hive", "get", "oci:x", "HKLM\\SOFTWARE\\Own", "a") == 0
    assert host.out.getvalue() == "b\n"
    host.out.truncate(0)
    host.out.seek(0)
    result(host, "undo", "oci:x", "-o", "oci:back")
    assert image_at(tmp_path, "back").digest == image_at(tmp_path, "app").digest


def test_full_hives(host, tmp_path):
    written = result(host, "apply", "oci:app", "--full-hive", "hives").splitlines()
    assert written == [str(tmp_path / "hives" / "SYSTEM")]
    data = (tmp_path / "hives" / "SYSTEM").read_bytes()
    assert fsck(data) == ()
    key = find_key(open_hive(data).root, "ControlSet001\\Services\\DiagTrack")
    assert number_of(find_value(key, "Start")) == 4
    assert "licence" in host.err.getvalue()
    assert "--full-hive makes no image" in refused(host, "apply", "oci:app", "--full-hive", "h", "-o", "oci:x")


def test_profiles_are_listed(host):
    text = result(host, "profiles")
    assert [line.partition(":")[0] for line in text.splitlines() if not line.startswith(" ")] == [
        "minimal",
        "servercore",
        "web",
    ]


def test_an_undo_file_of_another_image(host, tmp_path):
    result(host, "apply", "oci:app", "-o", "oci:one")
    assert "is about" in refused(host, "undo", "oci:app", "--undo", "one.undo.json", "-o", "oci:x")
    assert "is about" in refused(host, "verify", "oci:app", "--undo", "one.undo.json")


@pytest.mark.parametrize("what", ["documents", "version", "no JSON"])
def test_a_damaged_undo_file(host, tmp_path, what):
    result(host, "apply", "oci:app", "-o", "oci:one")
    path = tmp_path / "one.undo.json"
    undo = json.loads(path.read_text())
    if what == "documents":
        undo["documents"] = {digest: text[:-8] + "AAAA" + text[-4:] for digest, text in undo["documents"].items()}
    elif what == "version":
        undo["undo"] = 9
    path.write_text(json.dumps(undo) if what != "no JSON" else "{")
    refused(host, "undo", "oci:one", "-o", "oci:x", code=5)
    assert not (tmp_path / "x").exists()


def test_a_result_that_is_not_as_meant(host, tmp_path):
    result(host, "apply", "oci:app", "-o", "oci:one")
    path = tmp_path / "one.undo.json"
    undo = json.loads(path.read_text())
    undo["images"][0]["edits"] = []
    path.write_text(json.dumps(undo))
    refused(host, "verify", "oci:one", code=1)
    assert "NOT as meant" in host.out.getvalue()


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (("apply", "oci:app"), "-o PLACE"),
        (("apply", "oci:app", "-o", "x"), "oci:x"),
        (("apply", "app", "-o", "oci:x"), "oci:app"),
        (("plan", "oci:app", "--profile", "wen"), "Did you mean web?"),
        (("plan", "oci:app", "--profile", "bad.toml"), "no profile"),
        (("plan", "oci:app", "--profile", "odd.toml"), "start type"),
        (("plan", "oci:app", "--profile", "loop.toml"), "extends itself"),
        (("verify", "oci:app"), "undo file"),
        (("undo", "oci:app", "-o", "oci:x"), "undo file"),
        (("analyze", "oci:linux"), "no Windows image"),
        (("plan", "oci:app", "--reg", "user.reg"), "HKCU"),
    ],
)
def test_wrong_use(host, tmp_path, argv, problem):
    linux = image_of([layer_of([file_entry("a", b"")])], {"os": "linux", "architecture": "amd64"})
    Layout(str(tmp_path / "linux")).write(linux, ["latest"])
    (tmp_path / "bad.toml").write_text('name = "bad"\n[[service]]\nname = "x"\n')
    (tmp_path / "odd.toml").write_text(
        'name = "odd"\n[[service]]\nname = "x"\nstart = "x"\nreason = "r"\nsource = "s"\n'
    )
    (tmp_path / "loop.toml").write_text('name = "loop"\nextends = ["./loop.toml"]\n')
    (tmp_path / "user.reg").write_bytes(b"REGEDIT4\n[HKEY_CURRENT_USER\\x]\n")
    assert problem in refused(host, *argv)


@pytest.mark.parametrize(
    ("argv", "hint"),
    [
        (("oci:app",), "the action comes first: wingo optimize analyze oci:app"),
        (("analyse", "oci:app"), "Did you mean analyze?"),
    ],
)
def test_an_action_comes_first(host, argv, hint):
    assert hint in refused(host, *argv)


def test_the_page(host, tmp_path):
    from html.parser import HTMLParser

    assert result(host, "analyze", "oci:app", "--html", "page.html").strip() == str(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()

    class Reader(HTMLParser):
        open_tags: list[str]

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "br"):
                self.open_tags.append(tag)

        def handle_endtag(self, tag):
            assert self.open_tags.pop() == tag

    reader = Reader()
    reader.open_tags = []
    reader.feed(text)
    assert reader.open_tags == []
    assert "Registry of oci:app" in text
    assert "HKEY_LOCAL_MACHINE\\SYSTEM\\ControlSet001\\Services" in text
    assert "C:\\Windows\\System32\\spoolsv.exe" in text
    assert "auto → disabled" in text
    assert "<script" not in text
    assert host.wingo("inspect", "oci:app", "--html", "whole.html") == 0, host.err.getvalue()
    assert "Registry of windows/amd64" in (tmp_path / "whole.html").read_text()


def test_names_in_a_registry_do_not_become_markup(host, tmp_path):
    trees = registry_trees()
    services = trees["SYSTEM"].children[0].children[1]
    evil = service_key("<script>alert(1)</script>\x1b[31m", start=2)
    control, _ = trees["SYSTEM"].children[0].children
    current = msgspec.structs.replace(
        trees["SYSTEM"].children[0],
        children=(control, msgspec.structs.replace(services, children=(*services.children, evil))),
    )
    system = write_hive(msgspec.structs.replace(trees["SYSTEM"], children=(current, trees["SYSTEM"].children[1])))
    Layout(str(tmp_path / "evil")).write(windows_base(hives={**HIVES, "SYSTEM": system}), ["latest"])
    result(host, "analyze", "oci:evil", "--html", "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text + result(host, "analyze", "oci:evil")


def test_a_result_that_is_changed_again_in_its_place_can_be_undone_twice(host, tmp_path):
    result(host, "apply", "oci:app", "-o", "oci:x")
    result(host, "apply", "oci:x", "--profile", "web", "-o", "oci:x")
    (aside,) = tmp_path.glob("x.undo-*.json")
    result(host, "undo", "oci:x", "-o", "oci:x")
    result(host, "undo", "oci:x", "--undo", str(aside), "-o", "oci:x")
    assert image_at(tmp_path, "x").digest == image_at(tmp_path, "app").digest


def test_attestations_come_back(host, tmp_path):
    """They are about the former images, so the result has none; the undo file keeps them."""
    statement = layer_of([file_entry("statement", b"{}")], media_type="application/vnd.in-toto+json")
    index = index_of([application(), image_of([statement], {"os": "unknown", "architecture": "unknown"})])
    document = json.loads(index.manifest_bytes)
    document["manifests"][1]["annotations"] = {"vnd.docker.reference.digest": document["manifests"][0]["digest"]}
    with_attestation = Index(json.dumps(document).encode(), index.media_type, index.children)
    Layout(str(tmp_path / "attested")).write(with_attestation, ["latest"])
    result(host, "apply", "oci:attested", "-o", "oci:x")
    assert len(image_at(tmp_path, "x").children) == 1
    result(host, "undo", "oci:x", "-o", "oci:back")
    back = image_at(tmp_path, "back")
    assert back.digest == with_attestation.digest
    with back.children[1].layers[0].open() as stream:
        assert len(stream.read()) == statement.descriptor.size
