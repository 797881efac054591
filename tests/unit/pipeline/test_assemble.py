from __future__ import annotations

import io

import pytest

from wingo.archive.entry import Content
from wingo.errors import RequestError
from wingo.oci import annotations as keys
from wingo.oci.media_types import Family
from wingo.oci.platform import Platform
from wingo.pipeline.application import Application
from wingo.pipeline.assemble import Origin, added_layer, assemble, assemble_index, rfc3339
from wingo.pipeline.bases import Base, BaseChoice
from wingo.pipeline.settings import Settings
from wingo.testing.bases import static_base, windows_base
from wingo.testing.images import file_entry, layer_of

ORIGIN = Origin("https://forge.example/app", "a" * 40, "v1.2.3")


def _base(image=None, platform=None):
    platform = platform or image.platform
    return Base(BaseChoice(platform, "a base", None), image, platform, "registry.example/base:v1" if image else "")


def _assemble(base, family=Family.OCI, variables=None, **settings):
    binary = Content(2, lambda: io.BytesIO(b"MZ"), "a test")
    application = Application("app", base.platform.os, binary, (), variables or {}, Settings(**settings), 0)
    layer = added_layer(layer_of([file_entry("Files/x")]), "wingo build", "", 0)
    return assemble(application, base, [layer], ORIGIN, family)


NANO = windows_base("nanoserver", "ltsc2022")
CORE = windows_base("servercore", "ltsc2022")


def test_a_windows_config_by_the_rules():
    image, _ = _assemble(_base(NANO), arg=("--config", "a b"), label={"team": "x"}, expose=("8080", "53/udp"))
    config, settings = image.config, image.config.settings
    assert config.platform == NANO.platform
    assert settings.entrypoint == (r"C:\app\app.exe", "--config", "a b")
    assert settings.cmd is None
    assert settings.args_escaped is False
    assert settings.env is None
    assert settings.user == NANO.config.settings.user
    assert settings.exposed_ports == {"53/udp": {}, "8080/tcp": {}}
    assert settings.labels["team"] == "x"
    lines = [line for line in config.history if not line.empty_layer]
    assert len(lines) == len(image.layers) == len(config.diff_ids)


def test_os_features_are_copied():
    image, _ = _assemble(_base(CORE))
    assert image.config.os_features == CORE.config.os_features == ("win32k",)


def test_a_path_keeps_system32_and_is_never_linux():
    image, notes = _assemble(_base(NANO), env={"Path": r"C:\app"})
    assert image.config.settings.env == (r"Path=C:\app;C:\Windows\System32;C:\Windows",)
    assert notes
    with pytest.raises(RequestError, match="Linux"):
        _assemble(_base(NANO), env={"PATH": "/usr/local/bin:/usr/bin"})


def test_users_of_one_system_are_not_for_the_other():
    linux = _base(static_base())
    assert _assemble(_base(NANO), user="1000:1000")[0].config.settings.user == NANO.config.settings.user
    assert _assemble(linux, user="1000:1000")[0].config.settings.user == "1000:1000"
    assert _assemble(_base(NANO), user="ContainerAdministrator")[0].config.settings.user == "ContainerAdministrator"
    assert _assemble(linux, user="ContainerAdministrator")[0].config.settings.user != "ContainerAdministrator"


def test_without_a_base_linux_gets_a_user_and_a_path():
    image, _ = _assemble(_base(platform=Platform("linux", "arm64")))
    settings = image.config.settings
    assert settings.user == "65532:65532"
    assert settings.working_dir == "/"
    assert settings.env[0].startswith("PATH=/usr/local/sbin:")
    assert (image.config.os, image.config.architecture) == ("linux", "arm64")


def test_stop_signals_mean_nothing_on_windows_and_that_is_said():
    image, notes = _assemble(_base(NANO), stop_signal="SIGINT")
    assert image.config.settings.stop_signal == ""
    assert any("SIGTERM" in note for note in notes)
    assert _assemble(_base(static_base()), stop_signal="SIGINT")[0].config.settings.stop_signal == "SIGINT"


def test_annotations_say_where_it_comes_from():
    image, _ = _assemble(_base(NANO), annotation={"a": "b"})
    annotations = image.manifest.annotations
    assert annotations[keys.BASE_DIGEST] == NANO.digest
    assert annotations[keys.BASE_NAME] == "registry.example/base:v1"
    assert annotations[keys.SOURCE] == ORIGIN.source
    assert annotations[keys.REVISION] == ORIGIN.revision
    assert annotations[keys.VERSION] == ORIGIN.version
    assert annotations[keys.CREATED] == "1970-01-01T00:00:00Z"
    assert annotations["a"] == "b"


def test_docker_images_say_it_in_labels():
    image, _ = _assemble(_base(NANO), Family.DOCKER)
    assert image.manifest.annotations == {}
    assert image.config.settings.labels[keys.REVISION] == ORIGIN.revision


@pytest.mark.parametrize("port", ["0", "65536", "http", "80/icmp", "9000-8000", "80/tcp/udp", ""])
def test_wrong_ports_are_refused(port):
    with pytest.raises(RequestError, match="not a port"):
        _assemble(_base(NANO), expose=(port,))


def test_an_index_is_newest_first_and_has_nothing_twice():
    images = [_assemble(_base(windows_base("nanoserver", name)))[0] for name in ("ltsc2019", "ltsc2025", "ltsc2022")]
    linux = _assemble(_base(static_base()))[0]
    index = assemble_index([linux, *images, images[0]], Settings(annotation={"x": "y"}), ORIGIN, 0, Family.OCI)
    builds = [entry.platform.os_version.split(".")[2:3] for entry in index.manifest.manifests]
    assert builds == [["26100"], ["20348"], ["17763"], []]
    assert [entry.platform for entry in index.manifest.manifests] == [child.platform for child in index.children]
    assert index.manifest.annotations["x"] == "y"


def test_times_are_utc():
    assert rfc3339(1700000000) == "2023-11-14T22:13:20Z"
