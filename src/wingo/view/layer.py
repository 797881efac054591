"""One layer, read once: what it adds and what it removes, and where each file's bytes are.

What a layer says is kept as it says it; what becomes of it over the layers below is `wingo.view.merged`. Whatever is
odd about it is a `Problem` and no error, so that a broken image can still be looked at; only what is no tar, or not the
bytes that were promised, raises.

Sources: image-spec `layer.md`; hcsshim `pkg/ociwclayer/import.go`, `internal/wclayer/legacy.go`; go-winio
`backuptar/tar.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

import msgspec

from wingo.archive.unpack import DEFAULT_LIMITS, Limits, Member, MemberKind, open_tar, read_tar
from wingo.errors import Malformed
from wingo.oci.digest import Digest
from wingo.view.names import MAX_DEPTH, clean

if TYPE_CHECKING:
    from wingo.image.model import Layer

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
MAX_KEPT = 256 << 20
"""Characters of names and records, of one layer and of all of an image; a Windows base has some 20 million."""
MAX_PROBLEMS = 1000
"""Of one layer; more say nothing new."""
IMPLIED = -1
"""The `offset` of a directory that no entry made: it only lies on the way to one."""

_READ_SIZE = 1 << 18
_IN_NODE = frozenset({"path", "linkpath", "size", "uid", "gid", "uname", "gname", "hdrcharset", "charset"})
"""Records that say what a `Node` has in its own fields, or nothing of use."""
_NO_RECORDS: Mapping[str, str] = {}
"""One for all: nodes with equal records share them."""
_REPEATED = ("MSWINDOWS.rawsd", "MSWINDOWS.sd")


class Node(msgspec.Struct, frozen=True, gc=False):
    """One file, directory or link.

    Attributes:
        path: as spelt in its layer, "/" between, no slash at the ends; on Windows without "Files/":
            "Windows/System32/cmd.exe". Bytes that are no UTF-8 are surrogates. In a view: where it is, which is another
            path when a directory above is a link, or spelt otherwise below.
        kind: what it is.
        size: of a file's content, in bytes.
        mode: permission bits, set-id bits included.
        uid: the owner's number.
        gid: the group's number.
        mtime: in whole seconds since 1970.
        link_target: of a hard link, a path as in `path`; of a symbolic link, the text. In a view, a hard link is a
            FILE whose `link_target` is not empty.
        pax: extended records, `MSWINDOWS.…` and `SCHILY.xattr.…` among them; those that are fields here are left out.
            Not to be changed: nodes with equal records share them.
        layer: index into `image.layers`; in a view, of a hard link: that of its content.
        offset: of the content in that layer's uncompressed tar; `IMPLIED`: no entry is there for this directory.
        sha256: of the content; b"" for all but files, and for an empty one.
    """

    path: str
    kind: MemberKind
    size: int = 0
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    link_target: str = ""
    pax: Mapping[str, str] = {}
    layer: int = 0
    offset: int = IMPLIED
    sha256: bytes = b""

    @property
    def name(self) -> str:
        """The last component."""
        return self.path.rpartition("/")[2]

    @property
    def digest(self) -> Digest:
        """Of a file's content."""
        return Digest("sha256:" + self.sha256.hex()) if self.sha256 else _EMPTY

    @property
    def implied(self) -> bool:
        """Whether no entry made this directory."""
        return self.offset == IMPLIED

    @property
    def attributes(self) -> int | None:
        """The Win32 file attributes, where the entry says them (`MSWINDOWS.fileattr`)."""
        text = self.pax.get("MSWINDOWS.fileattr", "")
        return int(text) if text.isdecimal() and len(text) < 12 else None

    @property
    def junction(self) -> bool:
        """Whether a symbolic link is a Windows mount point (`MSWINDOWS.mountpoint`)."""
        return self.kind is MemberKind.SYMLINK and self.pax.get("MSWINDOWS.mountpoint") == "1"


_EMPTY = Digest("sha256:" + sha256().hexdigest())


class Problem(msgspec.Struct, frozen=True):
    """Something about a layer that is not as it should be.

    Attributes:
        rule: a word that says which kind, for instance "duplicate".
        path: as in the tar.
        text: a sentence for people, without the path.
        offset: in the uncompressed tar.
        layer: index into `image.layers`.
    """

    rule: str
    path: str
    text: str
    offset: int = 0
    layer: int = 0


class LayerFiles(msgspec.Struct, frozen=True):
    """What one layer says.

    Attributes:
        diff_id: the layer's.
        os: whose rules it was read by: "windows" or "linux".
        nodes: what it adds, in the tar's order; a name that stands there twice is here twice.
        whiteouts: paths that it removes.
        opaque: directories of which it removes what lower layers have in them.
        hives: on Windows, what is below `Hives/`, by its whole name: "Hives/System_Delta".
        other: on Windows, what is neither below `Files/` nor below `Hives/` (`UtilityVM/…`), and alternate data
            streams; by their whole names.
        problems: what is odd, the first thousand.
        size: of the uncompressed tar, in bytes.
        kept: characters of all names and records.
    """

    diff_id: Digest
    os: str
    nodes: tuple[Node, ...]
    whiteouts: tuple[str, ...] = ()
    opaque: tuple[str, ...] = ()
    hives: tuple[Node, ...] = ()
    other: tuple[Node, ...] = ()
    problems: tuple[Problem, ...] = ()
    size: int = 0
    kept: int = 0

    def all_nodes(self) -> tuple[Node, ...]:
        """Every entry but the whiteouts."""
        return (*self.nodes, *self.hives, *self.other)


Watch: TypeAlias = Callable[[Member, BinaryIO], BinaryIO]
"""Sees every entry of a layer as it is read, as it stands there, and gives the stream of its content, which is read to
its end for files: the same, or one that looks at what goes by."""


def read_layer(
    layer: Layer, number: int, os: str, limits: Limits = DEFAULT_LIMITS, watch: Watch | None = None
) -> LayerFiles:
    """Reads a layer's listing; its bytes are checked against the diff_id and go by without being kept.

    Args:
        layer: from an image.
        number: its index in the image.
        os: of the image's config; everything but "windows" is read by the rules of Linux.
        limits: where reading stops.
        watch: sees the entries go by.

    Raises:
        ContentError: not the bytes that were promised, damaged, encrypted, no tar, or beyond the limits.
    """
    reading = _Reading(number, windows=os == "windows")
    with open_tar(layer, limits) as tar:
        for member, content in read_tar(tar, limits):
            reading.add(member, content if watch is None else watch(member, content))
        while tar.read(_READ_SIZE):
            pass
        size = tar.tell()
    if not size:
        reading.problem("empty-layer", "", "the layer has no bytes, not even the end of a tar", 0)
    return reading.done(layer.diff_id, size)


class _Reading:
    def __init__(self, number: int, *, windows: bool) -> None:
        self.number = number
        self.windows = windows
        self.nodes: list[Node] = []
        self.whiteouts: list[str] = []
        self.opaque: list[str] = []
        self.hives: list[Node] = []
        self.other: list[Node] = []
        self.problems: list[Problem] = []
        self.same: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
        self.texts: dict[str, str] = {}
        self.kept = 0

    def problem(self, rule: str, path: str, text: str, offset: int) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(rule, path, text, offset, self.number))

    def add(self, member: Member, content: BinaryIO) -> None:
        path, escapes = clean(member.name)
        if escapes:
            self.problem("escape", member.name, "the name leads out of the image, and is contained", member.offset)
        if len(path) > MAX_DEPTH and path.count("/") >= MAX_DEPTH:
            raise Malformed("tar", f"a path with {path.count('/') + 1} components", offset=member.offset)
        if self.windows:
            below = path[6:] if path.startswith("Files/") else None
            if below is None:
                self.outside(path, member, content)
                return
            path = below
            if ":" in path:
                self.other.append(self.node(f"Files/{path}", member, content))
                return
        if WHITEOUT in path and (name := path[path.rfind("/") + 1 :]).startswith(WHITEOUT):
            self.white_out(path, name, member)
        elif path:
            self.nodes.append(self.node(path, member, content))
        elif member.kind is not MemberKind.DIRECTORY:
            self.problem(
                "root", member.name, "the root of the image is a directory and cannot be replaced", member.offset
            )
        else:
            # Linux: the mode and owner of `/` itself.
            self.nodes.append(self.node("", member, content))

    def outside(self, path: str, member: Member, content: BinaryIO) -> None:
        """On Windows: what is not below `Files/`."""
        if path in ("Files", "Hives"):
            if member.kind is not MemberKind.DIRECTORY:
                self.problem("root", member.name, f"{path} is no directory", member.offset)
            elif path == "Files":
                self.nodes.append(self.node("", member, content))
            return
        node = self.node(path, member, content)
        if path.startswith("Hives/"):
            self.hives.append(node)
            return
        self.other.append(node)
        if path != "UtilityVM" and not path.startswith("UtilityVM/"):
            self.problem(
                "outside", member.name, "it is outside of Files, Hives and UtilityVM, and the importer refuses it",
                member.offset,
            )  # fmt: skip

    def white_out(self, path: str, name: str, member: Member) -> None:
        above = path[: -len(name)].rstrip("/")
        if name == OPAQUE:
            if self.windows:
                self.problem(
                    "opaque", member.name, "opaque whiteouts mean nothing on Windows: nothing is removed", member.offset
                )
            else:
                self.opaque.append(above)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in ("", ".", "..") or hidden.startswith(WHITEOUT):
            # AUFS kept its own records under such names.
            self.problem("whiteout", member.name, "a whiteout of nothing that has a name", member.offset)
            return
        self.whiteouts.append(f"{above}/{hidden}" if above else hidden)

    def keep(self, size: int, offset: int) -> None:
        self.kept += size
        if self.kept > MAX_KEPT:
            raise Malformed("tar", f"names and records of more than {MAX_KEPT} characters", offset=offset)

    def node(self, path: str, member: Member, content: BinaryIO) -> Node:
        target = member.link_target
        self.keep(len(path) + len(target), member.offset)
        digest = b""
        if left := member.size:
            # Most files are small, and come at once.
            data = content.read(min(_READ_SIZE, left))
            hasher = sha256(data)
            left -= len(data)
            while left:
                data = content.read(min(left, _READ_SIZE))
                hasher.update(data)
                left -= len(data)
            digest = hasher.digest()
        if not target:
            pass
        elif member.kind is MemberKind.HARDLINK:
            target = self.hard_target(target, member)
        elif member.kind is not MemberKind.SYMLINK:
            target = ""
        return Node(
            path,
            member.kind,
            member.size,
            member.mode,
            member.uid,
            member.gid,
            member.mtime,
            target,
            self.shared(member.pax, member.offset) if member.pax else _NO_RECORDS,
            self.number,
            member.offset,
            digest,
        )

    def hard_target(self, target: str, member: Member) -> str:
        path, escapes = clean(target)
        if escapes:
            self.problem("escape", member.name, f"its target {target[:200]!r} leads out of the image", member.offset)
        if self.windows and not member.name.startswith("UtilityVM/"):
            if path.startswith("Files/"):
                return path[6:]
            self.problem(
                "link-target", member.name, f"its target {target[:200]!r} does not begin with Files/", member.offset
            )
        return path

    def shared(self, pax: dict[str, str], offset: int) -> Mapping[str, str]:
        """Records without those that a node has as fields; repeated ones (security descriptors) are kept once."""
        same = self.same.get(id(pax))
        if same is not None and same[0] is pax:
            return same[1]
        found = pax
        if not _IN_NODE.isdisjoint(pax):
            found = {key: value for key, value in pax.items() if key not in _IN_NODE}
        size = sum(map(len, found.values()))
        for key in _REPEATED:
            value = found.get(key)
            if value is None:
                continue
            known = self.texts.get(value)
            if known is None:
                self.texts[value] = value
                continue
            size -= len(value)
            if known is not value:
                # An equal text: nobody can tell.
                found[key] = known
        self.keep(size, offset)
        if len(self.same) > 256:
            self.same.clear()
        self.same[id(pax)] = pax, found
        return found

    def done(self, diff_id: Digest, size: int) -> LayerFiles:
        return LayerFiles(
            diff_id=diff_id,
            os="windows" if self.windows else "linux",
            nodes=tuple(self.nodes),
            whiteouts=tuple(self.whiteouts),
            opaque=tuple(self.opaque),
            hives=tuple(self.hives),
            other=tuple(self.other),
            problems=tuple(self.problems),
            size=size,
            kept=self.kept,
        )
