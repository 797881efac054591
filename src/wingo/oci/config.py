"""Image configs (image-spec `config.md`): the typed view. Changes are made on the raw document, see `wingo.image.derive`."""

from __future__ import annotations

import msgspec

from wingo.errors import Malformed
from wingo.oci.digest import Digest, parse_digest
from wingo.oci.platform import Platform
from wingo.oci.wire import MAX_CONFIG_BYTES, decode, rename_config, rename_settings


class ContainerConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename_settings):
    """How a container of the image starts; the members that wingo knows.

    Attributes:
        user: on Windows a name such as "ContainerUser"; "" is the base's default.
        env: `NAME=value` items.
        args_escaped: a Windows flag, deprecated: `cmd[0]` is a whole command line (image-spec#892).
    """

    user: str = ""
    exposed_ports: dict[str, object] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, object] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    args_escaped: bool = False
    shell: tuple[str, ...] | None = None


class RootFs(msgspec.Struct, frozen=True, rename=rename_config):
    """The layers' uncompressed digests, base first."""

    type: str = "layers"
    diff_ids: tuple[Digest, ...] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename_config):
    """How one layer (or none) came to be.

    Attributes:
        created: RFC 3339 time.
        empty_layer: the step made no layer.
    """

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename=rename_config, kw_only=True):
    """One image's config, as far as wingo reads it."""

    created: str | None = None
    author: str = ""
    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] | None = None
    config: ContainerConfig | None = None
    rootfs: RootFs = RootFs()
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        """The platform that the config claims."""
        return Platform(
            self.os,
            self.architecture,
            os_version=self.os_version,
            os_features=self.os_features or (),
            variant=self.variant,
        )

    @property
    def settings(self) -> ContainerConfig:
        """`config`, or one with nothing set."""
        return self.config or ContainerConfig()

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers' uncompressed digests, base first."""
        return self.rootfs.diff_ids or ()


def decode_config(data: bytes) -> ImageConfig:
    """Reads an image config.

    Raises:
        Malformed: not a config, or a broken diff_id.
    """
    config = decode(data, ImageConfig, "config", limit=MAX_CONFIG_BYTES)
    for diff_id in config.diff_ids:
        try:
            parse_digest(diff_id)
        except Malformed as error:
            raise Malformed("config", f"diff_id: {error.problem}") from error
    return config
