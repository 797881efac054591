"""What rules look at: frozen values with everything in them; a rule never fetches.

Three of them: one of our layers (`LayerSubject`), one image (`ImageSubject`), and everything at one place
(`ArtifactSubject`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec

from wingo.archive.unpack import Member
from wingo.check.rule import Needs
from wingo.image.model import Image, Index
from wingo.oci.config import ContainerConfig, ImageConfig
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.windows.paths import upcase


class LayerSubject(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One layer that is not the base's, entry by entry as it stands there.

    Attributes:
        descriptor: of the layer.
        os: of the images that it is in.
        members: the raw entries, in the tar's order, whiteouts and duplicates included.
        head: the first bytes as stored: the gzip header, when it is one.
        problem: why it could not be read to its end; "" when it could.
        on_base: whether there are layers below.
        system: whether the program's own paths are known: those in `program` may not be changed by users.
        program: the entry of the program that the image starts, "Files/app/x.exe"; "" when it is not in this layer.
    """

    descriptor: Descriptor
    os: str
    members: tuple[Member, ...]
    head: bytes = b""
    problem: str = ""
    on_base: bool = True
    program: str = ""

    @cached_property
    def by_name(self) -> Mapping[str, Member]:
        """The entries by their name; of duplicates, the last."""
        return {member.name: member for member in self.members}

    @cached_property
    def by_fold(self) -> Mapping[str, Member]:
        """The entries by their name as NTFS compares it; of duplicates, the first."""
        found: dict[str, Member] = {}
        for member in self.members:
            found.setdefault(upcase(member.name), member)
        return found


class ImageSubject(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One image.

    Attributes:
        image: its documents.
        base_layers: how many of its lowest layers are the base's.
        base_config: the base's config, when it is at hand.
        base_name: the base's reference; "" when nobody says.
        flavour: of a Windows base: "nanoserver", "servercore", "server", "hostprocess"; "" when not known.
        layers: our own, lowest first; those that were read.
    """

    image: Image
    base_layers: int = 0
    base_config: ImageConfig | None = None
    base_name: str = ""
    flavour: str = ""
    layers: tuple[LayerSubject, ...] = ()

    def has(self, needs: Needs) -> bool:
        """Whether a rule with these needs can look at it."""
        if needs is Needs.OUR_LAYERS:
            return len(self.layers) == len(self.image.layers) - self.base_layers
        return needs is Needs.DOCUMENTS

    @property
    def config(self) -> ImageConfig:
        """The image's config."""
        return self.image.config

    @property
    def settings(self) -> ContainerConfig:
        """How a container of it starts."""
        return self.image.config.settings

    @property
    def os(self) -> str:
        """The system that the config claims."""
        return self.image.config.os


class ArtifactSubject(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """Everything at one place.

    Attributes:
        place: as the user wrote it.
        artifact: the index or image; an index has the children that were asked for.
        images: its images, in the index's order.
        hosts: the machines that it is to run on.
    """

    place: str
    artifact: Image | Index
    images: tuple[ImageSubject, ...]

    @cached_property
    def by_digest(self) -> Mapping[Digest, ImageSubject]:
        """The images by the digest of their manifest."""
        return {subject.image.digest: subject for subject in self.images}
