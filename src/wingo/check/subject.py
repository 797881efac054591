"""What rules look at: frozen values with everything in them; a rule never fetches.

Three of them: one of our layers (`LayerSubject`), one image (`ImageSubject`), and everything at one place
(`ArtifactSubject`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from functools import cached_property

import msgspec

from wingo.archive.unpack import Member
from wingo.binary.buildinfo import BuildInfo, read_build_info
from wingo.binary.facts import Binary
from wingo.binary.functions import FunctionTable, read_functions
from wingo.binary.lazy import LazyLibrary, lazy_libraries
from wingo.binary.program import Program
from wingo.check.capabilities import Found, Packages, capabilities
from wingo.check.demands import NOTHING, Demands
from wingo.check.rule import Needs
from wingo.check.secrets import Secret
from wingo.errors import Malformed
from wingo.hive.upcase import upcase
from wingo.image.model import Image, Index
from wingo.oci.config import ContainerConfig, ImageConfig
from wingo.oci.descriptor import Descriptor
from wingo.oci.digest import Digest
from wingo.view.layer import Node
from wingo.view.merged import View
from wingo.windows.hosts import HostProfile


class LayerSubject(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One layer that is not the base's, entry by entry as it stands there.

    Attributes:
        descriptor: of the layer.
        os: of the images that it is in.
        members: the raw entries, in the tar's order, whiteouts and duplicates included.
        head: the first bytes as stored: the gzip header, when it is one.
        problem: why it could not be read to its end; "" when it could.
        on_base: whether there are layers below.
        program: the entry of the program that the image starts, "Files/app/x.exe"; "" when it is not in this layer.
        secrets: keys and tokens that are in its files, by where a file's content begins in the tar.
    """

    descriptor: Descriptor
    os: str
    members: tuple[Member, ...]
    head: bytes = b""
    problem: str = ""
    on_base: bool = True
    program: str = ""
    secrets: Mapping[int, tuple[Secret, ...]] = {}

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


class Inspected(msgspec.Struct, frozen=True, dict=True):
    """A program and what can be read in it; everything is read once, when somebody asks.

    Attributes:
        program: its bytes and facts.
    """

    program: Program

    @property
    def facts(self) -> Binary:
        """What its headers say."""
        return self.program.facts

    @cached_property
    def build_info(self) -> BuildInfo | None:
        """How a Go program was built; None when it is none, or what it says is damaged."""
        try:
            return read_build_info(self.program)
        except Malformed:
            return None

    @cached_property
    def functions(self) -> FunctionTable | None:
        """A Go program's functions; None when it has no table, or a damaged one."""
        try:
            return read_functions(self.program)
        except Malformed:
            return None

    @cached_property
    def names(self) -> frozenset[str]:
        """Of a Go program's functions, inlined ones too."""
        return frozenset() if self.functions is None else frozenset(self.functions.all_names())

    @cached_property
    def packages(self) -> frozenset[str]:
        """Of a Go program's functions; of Go's own, those with code: some of the runtime's functions bear others' names."""
        if self.functions is None:
            return frozenset()
        found = self.functions.packages().items()
        return frozenset(name for name, code in found if code.functions or "." in name.partition("/")[0])

    @cached_property
    def modules(self) -> frozenset[str]:
        """Of a Go program's packages: those that something was compiled in of."""
        packages = Packages(self.build_info)
        return frozenset(map(packages.module_of, self.packages)) - {""}

    @cached_property
    def capabilities(self) -> tuple[Found, ...]:
        """What a Go program can do; () when it is none, or has no table of functions."""
        if self.functions is None:
            return ()
        return capabilities(self.program, self.functions, self.build_info)

    @cached_property
    def libraries(self) -> tuple[LazyLibrary, ...]:
        """DLLs that a PE may load while it runs; () when what would tell is damaged."""
        try:
            return lazy_libraries(self.program, self.functions)
        except Malformed:
            return ()


class BinarySubject(msgspec.Struct, frozen=True, kw_only=True):
    """A PE, ELF or Mach-O file of one of our layers.

    Attributes:
        node: where it is in the image.
        inspected: what can be read in it; None when it cannot be read.
        problem: why not: it begins as a program and is none, or is too large.
        layer: the digest of its layer.
    """

    node: Node
    inspected: Inspected | None = None
    problem: str = ""
    layer: Digest = Digest("")

    @property
    def facts(self) -> Binary | None:
        """What its headers say."""
        return None if self.inspected is None else self.inspected.facts


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a container of the image starts.

    Attributes:
        argv: the config's Entrypoint and Cmd; () when there is neither.
        path: the first word as a path in the image, "app/x.exe"; "" when it cannot be told.
        node: what is there; None when nothing is, or when it may be in a layer that was not read.
        binary: when it is a program of our layers.
        script: of a script, its first line, "#!/bin/sh"; "" for others.
        shell: whether the first word is a shell that runs the rest as a command line.
        searched: whether the first word is a plain name, which is looked for in several directories; `path` is then the
            first of them where it is in none.
    """

    argv: tuple[str, ...] = ()
    path: str = ""
    node: Node | None = None
    binary: BinarySubject | None = None
    script: str = ""
    shell: bool = False
    searched: bool = False

    @property
    def facts(self) -> Binary | None:
        """What the headers of a program of our layers say; None when it is none, or cannot be read."""
        return None if self.binary is None else self.binary.facts


class ImageSubject(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """One image.

    Attributes:
        image: its documents.
        base_layers: how many of its lowest layers are the base's.
        base_config: the base's config, when it is at hand.
        base_name: the base's reference; "" when nobody says.
        flavour: of a Windows base: "nanoserver", "servercore", "server", "hostprocess"; "" when not known.
        layers: our own, lowest first; () when they were not asked for.
        view: the merged file system, as far as it was read.
        binaries: the programs and libraries in our layers, by path.
        scripts: the first lines of scripts in our layers, "#!/bin/sh", by path.
        start: what a container of it starts.
        passwd: the text of /etc/passwd; "" when there is none, or it is not at hand.
        group: that of /etc/group.
        demands: what the user wants of its programs.
        today: the day of the check, UTC; the first of all days when nobody says.
    """

    image: Image
    base_layers: int = 0
    base_config: ImageConfig | None = None
    base_name: str = ""
    flavour: str = ""
    layers: tuple[LayerSubject, ...] = ()
    view: View | None = None
    binaries: Mapping[str, BinarySubject] = {}
    scripts: Mapping[str, str] = {}
    start: Start = Start()
    passwd: str = ""
    group: str = ""
    demands: Demands = NOTHING
    today: dt.date = dt.date.min

    def has(self, needs: Needs) -> bool:
        """Whether a rule with these needs can look at it."""
        if needs is Needs.DOCUMENTS:
            return True
        if self.view is None or any(layer.problem for layer in self.layers):
            return False
        if needs is Needs.BASE_FILES:
            return self.view.complete
        return True

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

    @property
    def files(self) -> View:
        """The merged file system: it is there for every rule that needs our layers."""
        assert self.view is not None
        return self.view

    @property
    def complete(self) -> bool:
        """Whether every layer was read, so that what is not found is not there."""
        return self.view is not None and self.view.complete


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
    hosts: tuple[HostProfile, ...] = ()

    @cached_property
    def by_digest(self) -> Mapping[Digest, ImageSubject]:
        """The images by the digest of their manifest."""
        return {subject.image.digest: subject for subject in self.images}
