"""A layer's tar to a directory, as overlayfs wants it: nothing in the tar reaches out of the directory.

Every name is taken apart, and every directory on the way is opened by itself without following links; where a layer has a
link in the middle of a path, the kernel resolves it inside the directory (`RESOLVE_IN_ROOT`). Whiteouts become devices
0:0, opaque directories get overlayfs's attribute (`Documentation/filesystems/overlayfs.rst`, "userxattr"). Devices, pipes
and sockets are left out, and so are extended attributes: a program that runs without new privileges has no use for them.

Source: image-spec `layer.md`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

import msgspec

from wingo.archive.unpack import DEFAULT_LIMITS, Limits, Member, MemberKind, read_tar, safe_components
from wingo.errors import HostError, Malformed
from wingo.launch.rooted import open_in_root
from wingo.launch.stack import OPAQUE, is_whiteout

Components: TypeAlias = tuple[str, ...]
Placing: TypeAlias = Callable[[Components], "Components | None"]
"""Where a member goes: its own components to those below the directory; None: it is left out."""

_CHUNK = 1 << 20
_WHITEOUT, _OPAQUE, _AUFS = ".wh.", ".wh..wh..opq", ".wh..wh."
_OPEN_DIRECTORIES = 48
_MAX_DEPTH = 256
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Owned(msgspec.Struct, frozen=True):
    """What belongs to somebody else than the container's root, by its path below the directory."""

    path: str
    uid: int
    gid: int


class Unpacked(msgspec.Struct, frozen=True):
    """What came out of a layer.

    Attributes:
        files: how many.
        size: their bytes.
        owned: what belongs to somebody else than root.
        left_out: devices, pipes and sockets.
    """

    files: int
    size: int
    owned: tuple[Owned, ...]
    left_out: int


def unpack(
    tar: BinaryIO,
    directory: str,
    *,
    owner: Callable[[int, int], tuple[int, int]] | None = None,
    place: Placing = lambda parts: parts,
    limits: Limits = DEFAULT_LIMITS,
) -> Unpacked:
    """Unpacks an uncompressed tar into an empty directory.

    Args:
        tar: is read to its end.
        directory: exists; nobody else changes it meanwhile.
        owner: this machine's user and group for a member's; None: everything is this account's.
        place: where members go.
        limits: where reading stops.

    Raises:
        Malformed: a member leads out of the directory, or what it says cannot be.
        HostError: the disk is full, or refuses.
    """
    target = _Target(directory, owner)
    try:
        for member, content in read_tar(tar, limits):
            parts = place(safe_components(member.name))
            if parts is None:
                continue
            try:
                target.add(member, parts, content, place)
            except OSError as error:
                raise _translated(error, member.name) from error
        try:
            target.finish()
        except OSError as error:
            raise _translated(error, directory) from error
    finally:
        target.close()
    return Unpacked(target.files, target.size, tuple(target.owned), target.left_out)


def _translated(error: OSError, name: str) -> HostError | Malformed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE):
        hint = "Make room on the disk that the cache is on." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        return HostError(f"cannot unpack {name[:200]!r}: {error.strerror}", hint=hint)
    return Malformed("layer", f"{name[:200]!r} cannot be unpacked: {error.strerror or error}")


class _Target:
    """The directory that is filled."""

    def __init__(self, directory: str, owner: Callable[[int, int], tuple[int, int]] | None) -> None:
        self._root = os.open(directory, _FOLDER)
        self._owner = owner
        self._open: dict[Components, int] = {}
        self._folders: dict[Components, tuple[int, int]] = {}
        self.owned: list[Owned] = []
        self.files = self.size = self.left_out = 0

    def add(self, member: Member, parts: Components, content: BinaryIO, place: Placing) -> None:
        """Makes one member."""
        if len(parts) > _MAX_DEPTH:
            raise Malformed("layer", f"{member.name[:120]!r}… is more than {_MAX_DEPTH} directories deep")
        if not parts:
            if member.kind is MemberKind.DIRECTORY:
                self._own(member, parts, self._root)
                self._folders[()] = (stat.S_IMODE(member.mode), member.mtime)
            return
        folder, name = self._folder(parts[:-1]), parts[-1]
        if name.startswith(_WHITEOUT):
            self._whiteout(folder, name)
        elif member.kind is MemberKind.DIRECTORY:
            self._directory(member, parts, folder)
        elif member.kind is MemberKind.FILE:
            self._file(member, parts, folder, content)
        elif member.kind is MemberKind.SYMLINK:
            self._clear(folder, parts)
            os.symlink(member.link_target, name, dir_fd=folder)
            self._own_name(member, parts, folder)
            os.utime(name, (member.mtime, member.mtime), dir_fd=folder, follow_symlinks=False)
        elif member.kind is MemberKind.HARDLINK:
            self._link(member, parts, place)
        else:
            self.left_out += 1

    def finish(self) -> None:
        """Gives directories their permissions and times, the deepest first."""
        for parts in sorted(self._folders, key=len, reverse=True):
            mode, mtime = self._folders[parts]
            descriptor = self._folder(parts)
            os.fchmod(descriptor, mode)
            os.utime(descriptor, (mtime, mtime))

    def close(self) -> None:
        """Closes what is open."""
        for descriptor in (*self._open.values(), self._root):
            os.close(descriptor)

    def _folder(self, parts: Components) -> int:
        """A directory's descriptor; it is made where it is missing."""
        if not parts:
            return self._root
        if parts in self._open:
            # The one that was used last is the last to be closed.
            self._open[parts] = self._open.pop(parts)
            return self._open[parts]
        above = self._folder(parts[:-1])
        try:
            descriptor = os.open(parts[-1], _FOLDER, dir_fd=above)
        except FileNotFoundError:
            os.mkdir(parts[-1], 0o700, dir_fd=above)
            descriptor = os.open(parts[-1], _FOLDER, dir_fd=above)
            self._folders[parts] = (0o755, 0)
            if self._owner is not None:
                os.chown(descriptor, *self._owner(0, 0))
        except OSError as error:
            # What is there is a link, a file or a whiteout. A link may be followed, inside.
            if stat.S_ISLNK(os.lstat(parts[-1], dir_fd=above).st_mode):
                descriptor = open_in_root(self._root, "/".join(parts), os.O_RDONLY | os.O_DIRECTORY)
            elif is_whiteout(os.lstat(parts[-1], dir_fd=above)):
                os.unlink(parts[-1], dir_fd=above)
                return self._folder(parts)
            else:
                raise Malformed("layer", f"{'/'.join(parts)[:200]!r} is a file and a directory at once") from error
        if len(self._open) >= _OPEN_DIRECTORIES:
            oldest = next(iter(self._open))
            os.close(self._open.pop(oldest))
        self._open[parts] = descriptor
        return descriptor

    def _clear(self, folder: int, parts: Components) -> None:
        """Removes what has the name already: a later member of a layer wins."""
        name = parts[-1]
        try:
            status = os.lstat(name, dir_fd=folder)
        except FileNotFoundError:
            return
        for known in [known for known in self._open if known[: len(parts)] == parts]:
            os.close(self._open.pop(known))
        for known in [known for known in self._folders if known[: len(parts)] == parts]:
            del self._folders[known]
        if stat.S_ISDIR(status.st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)

    def _whiteout(self, folder: int, name: str) -> None:
        if name == _OPAQUE:
            os.setxattr(folder, OPAQUE, b"y")
            return
        if name.startswith(_AUFS):
            return
        hidden = name[len(_WHITEOUT) :]
        if hidden in ("", ".", ".."):
            raise Malformed("layer", f"a whiteout of {hidden!r}")
        try:
            os.mknod(hidden, stat.S_IFCHR | 0o000, os.makedev(0, 0), dir_fd=folder)
        except FileExistsError:
            # A whiteout is of the layers below: what this layer has itself stays, and hides what is below too.
            if stat.S_ISDIR(os.lstat(hidden, dir_fd=folder).st_mode):
                descriptor = os.open(hidden, _FOLDER, dir_fd=folder)
                os.setxattr(descriptor, OPAQUE, b"y")
                os.close(descriptor)

    def _directory(self, member: Member, parts: Components, folder: int) -> None:
        name = parts[-1]
        opaque = False
        try:
            os.mkdir(name, 0o700, dir_fd=folder)
        except FileExistsError:
            status = os.lstat(name, dir_fd=folder)
            if not stat.S_ISDIR(status.st_mode):
                opaque = is_whiteout(status)
                self._clear(folder, parts)
                os.mkdir(name, 0o700, dir_fd=folder)
        descriptor = self._folder(parts)
        if opaque:
            os.setxattr(descriptor, OPAQUE, b"y")
        self._own(member, parts, descriptor)
        self._folders[parts] = (stat.S_IMODE(member.mode), member.mtime)

    def _file(self, member: Member, parts: Components, folder: int, content: BinaryIO) -> None:
        try:
            descriptor = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=folder)
        except FileExistsError:
            self._clear(folder, parts)
            descriptor = os.open(parts[-1], _NEW_FILE, 0o600, dir_fd=folder)
        try:
            while data := content.read(_CHUNK):
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
            self._own(member, parts, descriptor)
            os.fchmod(descriptor, stat.S_IMODE(member.mode))
            os.utime(descriptor, (member.mtime, member.mtime))
        finally:
            os.close(descriptor)
        self.files += 1
        self.size += member.size

    def _link(self, member: Member, parts: Components, place: Placing) -> None:
        target = place(safe_components(member.link_target))
        if not target:
            raise Malformed("layer", f"the hard link {member.name[:200]!r} leads to what is left out")
        if target == parts:
            return
        source = os.dup(self._folder(target[:-1]))
        try:
            self._check_link(member, target[-1], source)
            folder = self._folder(parts[:-1])
            self._clear(folder, parts)
            os.link(target[-1], parts[-1], src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(source)

    @staticmethod
    def _check_link(member: Member, name: str, folder: int) -> None:
        what = f"the hard link {member.name[:200]!r} leads to {member.link_target[:200]!r}"
        try:
            status = os.lstat(name, dir_fd=folder)
        except FileNotFoundError as error:
            raise Malformed("layer", f"{what}, which the layer does not have") from error
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode)):
            raise Malformed("layer", f"{what}, which is no file")

    def _own(self, member: Member, parts: Components, descriptor: int) -> None:
        if self._owner is not None:
            os.chown(descriptor, *self._owner(member.uid, member.gid))
        elif member.uid or member.gid:
            self.owned.append(Owned("/".join(parts), member.uid, member.gid))

    def _own_name(self, member: Member, parts: Components, folder: int) -> None:
        if self._owner is not None:
            uid, gid = self._owner(member.uid, member.gid)
            os.chown(parts[-1], uid, gid, dir_fd=folder, follow_symlinks=False)
        elif member.uid or member.gid:
            self.owned.append(Owned("/".join(parts), member.uid, member.gid))
