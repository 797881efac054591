"""What rules look at, gathered while a layer is read: every entry as it stands there, and the programs among them."""

from __future__ import annotations

from io import BytesIO
from typing import BinaryIO, cast

from wingo.archive.streams import Stream
from wingo.archive.unpack import Member, MemberKind
from wingo.check.secrets import MAX_FILE, Secret, secrets_in
from wingo.image.model import Opener

HEAD = 10
"""Stored bytes that are kept of a layer: a gzip header."""
MAX_PROGRAM = 768 << 20
"""Bytes of one program; the largest Go programs have a few hundred million."""
MAX_PROGRAMS = 1 << 30
"""Bytes of all programs of one layer that are held at a time."""
MAX_RATIO = 40
"""Bytes of programs for each stored byte of their layer, beyond `FREE`: real programs shrink to a third or a tenth."""
FREE = 32 << 20
MAX_SCRIPTS = 100_000
MAX_SECRETS = 1_000
"""Files of one layer with secrets in them; more say nothing new."""
MAX_LINE = 256
"""Bytes of a script's first line; Linux reads as many."""

_MAGIC = (b"MZ", b"\x7fELF", b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe")
_MAGIC_BYTES = 4


class LayerWatch:
    """Sees a layer go by (`wingo.view.layer.read_layer`).

    Attributes:
        members: the entries so far.
        head: the first stored bytes.
        programs: bytes of PE, ELF and Mach-O files, by where their content begins in the tar.
        scripts: first lines of scripts, "#!/bin/sh", by the same.
        left_out: programs that were too large to keep, by the same.
        secrets: keys and tokens in small files, by the same.
    """

    def __init__(self, stored: int) -> None:
        """Watches a layer of that many stored bytes."""
        self._most = max(FREE, stored * MAX_RATIO)
        self.members: list[Member] = []
        self.head = b""
        self.programs: dict[int, bytes] = {}
        self.scripts: dict[int, str] = {}
        self.left_out: dict[int, int] = {}
        self.secrets: dict[int, tuple[Secret, ...]] = {}
        self._kept = 0

    def __call__(self, member: Member, content: BinaryIO) -> BinaryIO:
        """Takes in the next entry."""
        self.members.append(member)
        if member.kind is not MemberKind.FILE or member.size <= _MAGIC_BYTES:
            return content
        return cast("BinaryIO", _Looked(content, member, self))

    def over(self, opener: Opener) -> Opener:
        """An opener of the same stored bytes, whose first are kept."""

        def opened() -> BinaryIO:
            return cast("BinaryIO", _Headed(opener(), self))

        return opened

    def may_keep(self, member: Member) -> bool:
        """Whether there is room for a program; if so, it is taken."""
        if member.size > MAX_PROGRAM or self._kept + member.size > min(MAX_PROGRAMS, self._most):
            self.left_out[member.offset] = member.size
            return False
        self._kept += member.size
        return True


class _Looked(Stream):
    """A file's content, kept when it is a program."""

    def __init__(self, content: BinaryIO, member: Member, watch: LayerWatch) -> None:
        super().__init__()
        self._content, self._member, self._watch = content, member, watch
        self._program: BytesIO | None = None
        self._text: list[bytes] | None = None
        self._started = False
        self._left = member.size

    def some(self, size: int) -> bytes:
        data = self._content.read(size)
        if not self._started:
            while len(data) < _MAGIC_BYTES and (more := self._content.read(_MAGIC_BYTES - len(data))):
                data += more
            self._started = True
            if data.startswith(b"#!") and len(self._watch.scripts) < MAX_SCRIPTS:
                line = data[:MAX_LINE].partition(b"\n")[0]
                self._watch.scripts[self._member.offset] = line.decode("utf-8", "surrogateescape").strip()
            if data.startswith(_MAGIC):
                self._program = BytesIO() if self._watch.may_keep(self._member) else None
            elif self._member.size <= MAX_FILE:
                self._text = []
        if self._text is not None:
            self._text.append(data)
            self._left -= len(data)
            if not self._left:
                found = secrets_in(b"".join(self._text))
                if found and len(self._watch.secrets) < MAX_SECRETS:
                    self._watch.secrets[self._member.offset] = found
                self._text = None
        elif self._program is not None:
            self._program.write(data)
            self._left -= len(data)
            if not self._left:
                # Its own bytes, not a copy of them: programs are large.
                self._watch.programs[self._member.offset] = self._program.getvalue()
                self._program = None
        return data


class _Headed(Stream):
    """Stored bytes, the first of which are kept."""

    def __init__(self, stored: BinaryIO, watch: LayerWatch) -> None:
        super().__init__()
        self._stored, self._watch = stored, watch
        watch.head = b""

    def some(self, size: int) -> bytes:
        data = self._stored.read(size)
        if len(self._watch.head) < HEAD:
            self._watch.head += data[: HEAD - len(self._watch.head)]
        return data

    def close(self) -> None:
        self._stored.close()
        super().close()
