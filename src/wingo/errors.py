"""The one error tree: the branch says who can mend it.

```
WingoError         .hint  .temporary
 ├ RequestError    asked for something impossible                     exit 2
 ├ HostError       this machine lacks something                       exit 3
 │  └ ToolFailed   a program that wingo ran exited with an error
 ├ RemoteError     a registry refused or cannot be reached            exit 4
 ├ ContentError    bytes deny what was claimed of them                exit 5
 │  ├ DigestMismatch  SizeMismatch  Malformed
 ├ TrustError      a signature or a policy said no                    exit 6
 └ ChecksFailed    carries the findings                               exit 1
```

Facts are attributes and the message is made from them; ``hint`` is one imperative sentence, or empty. No
credential ever appears in either. A bug is an ``assert_never`` or an ``AssertionError``, not a `WingoError`.
"""

from __future__ import annotations

from collections.abc import Sequence


class WingoError(Exception):
    """Everything that wingo raises on purpose.

    Attributes:
        hint: one imperative sentence that mends it, or "".
        temporary: whether the same call may succeed later; only idempotent calls are tried again.
    """

    hint: str
    temporary: bool

    def __init__(self, message: str, *, hint: str = "", temporary: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.temporary = temporary


class RequestError(WingoError):
    """The caller asked for something impossible: a flag, a setting, a name, a combination."""


class HostError(WingoError):
    """This machine lacks something: a tool, disk space, a permission."""


class ToolFailed(HostError):
    """A program that wingo ran exited with an error.

    Attributes:
        argv: the command line, as run.
        status: its exit status; negative: ended by that signal.
        tail: the last lines that it printed, as text.
    """

    def __init__(self, argv: Sequence[str], status: int, tail: str, *, hint: str = "") -> None:
        self.argv = tuple(argv)
        self.status = status
        self.tail = tail
        how = f"exit status {status}" if status >= 0 else f"signal {-status}"
        printed = f"\n{tail.rstrip()}" if tail.strip() else ""
        super().__init__(f"{' '.join(self.argv[:2])} failed with {how}{printed}", hint=hint)


class RemoteError(WingoError):
    """A registry, proxy or cluster refused, or cannot be reached.

    Attributes:
        status: the HTTP status, or None when no answer came.
    """

    def __init__(self, message: str, *, status: int | None = None, hint: str = "", temporary: bool = False) -> None:
        super().__init__(message, hint=hint, temporary=temporary)
        self.status = status


class ContentError(WingoError):
    """Bytes deny what was claimed of them."""


class DigestMismatch(ContentError):
    """The bytes' digest is not the one they were asked for by.

    Attributes:
        what: the thing that was read, for people.
        expected: the digest claimed.
        actual: the digest of the bytes.
    """

    def __init__(self, what: str, expected: str, actual: str, *, hint: str = "") -> None:
        self.what, self.expected, self.actual = what, expected, actual
        super().__init__(f"{what}: the bytes are {actual}, not {expected}", hint=hint)


class SizeMismatch(ContentError):
    """There are more or fewer bytes than claimed.

    Attributes:
        what: the thing that was read, for people.
        expected: bytes claimed.
        actual: bytes seen; when more came than claimed, the count at which reading stopped.
    """

    def __init__(self, what: str, expected: int, actual: int, *, hint: str = "") -> None:
        self.what, self.expected, self.actual = what, expected, actual
        super().__init__(f"{what}: {actual} bytes, not the {expected} claimed", hint=hint)


class Malformed(ContentError):
    """Bytes that are not what their format says.

    Attributes:
        format: the format's name, for instance "manifest" or "tar".
        problem: what is wrong with them.
        offset: where in the bytes, when known.
    """

    def __init__(self, format: str, problem: str, *, offset: int | None = None, hint: str = "") -> None:
        self.format, self.problem, self.offset = format, problem, offset
        where = f" at byte {offset}" if offset is not None else ""
        super().__init__(f"malformed {format}{where}: {problem}", hint=hint)


class TrustError(WingoError):
    """A signature or a policy said no."""


_MAX_LISTED = 20
"""Findings that a message lists."""


class ChecksFailed(WingoError):
    """A check found errors; the findings say which.

    Attributes:
        findings: what was found, in order.
    """

    def __init__(self, findings: Sequence[object], *, hint: str = "") -> None:
        self.findings = tuple(findings)
        count = len(self.findings)
        listed = [f"\n  {finding}" for finding in self.findings[:_MAX_LISTED]]
        if count > _MAX_LISTED:
            listed.append(f"\n  and {count - _MAX_LISTED} more")
        super().__init__(f"{count} check{'s' if count != 1 else ''} failed{''.join(listed)}", hint=hint)
