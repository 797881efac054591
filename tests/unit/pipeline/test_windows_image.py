"""A HostProcess container's config: its image is not at `C:\\`."""

from __future__ import annotations

import io

import pytest

from wingo.archive.entry import Content
from wingo.errors import RequestError
from wingo.oci.config import ContainerConfig
from wingo.oci.media_types import Family
from wingo.pipeline.application import Application
from wingo.pipeline.assemble import Origin, assemble
from wingo.pipeline.bases import Base, BaseChoice
from wingo.pipeline.settings import Settings
from wingo.pipeline.windows_image import windows_settings
from wingo.testing.bases import hostprocess_base, windows_base

ROOT = "%CONTAINER_SANDBOX_MOUNT_POINT%"


def application(settings: Settings) -> Application:
    binary = Content(2, lambda: io.BytesIO(b"MZ"), "a test")
    return Application("app", "windows", binary, (), {"KO_DATA_PATH": r"C:\app\kodata"}, settings, 0)


@pytest.mark.parametrize(
    ("base", "root"), [(hostprocess_base(), ROOT), (windows_base(), "C:"), (windows_base("servercore"), "C:")]
)
def test_the_entrypoint_is_where_the_host_puts_the_image(base, root):
    found = Base(BaseChoice(base.platform, "a base", None), base, base.platform, "")
    image, _ = assemble(application(Settings(workdir="/app")), found, [], Origin(), Family.OCI)
    settings = image.config.settings
    assert settings.entrypoint == (rf"{root}\app\app.exe",)
    assert settings.working_dir == rf"{root}\app"
    assert settings.env == (rf"KO_DATA_PATH={root}\app\kodata",)
    assert settings.cmd is None


def test_a_host_process_has_an_account_of_the_host():
    asked = application(Settings(user="ContainerUser"))
    assert windows_settings(asked, ContainerConfig())[0]["user"] == "ContainerUser"
    with pytest.raises(RequestError, match="HostProcess"):
        windows_settings(asked, ContainerConfig(), host_process=True)
