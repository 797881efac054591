"""Exit codes: which branch of the error tree ended the command (design, section 5)."""

from __future__ import annotations

from wingo import errors

OK = 0
CHECKS_FAILED = 1
"""As `ChecksFailed`, where the findings were the result and are printed."""
INTERRUPTED = 130
"""As shells report a process that Ctrl-C ended: 128 + SIGINT."""

_CODES = (
    (errors.ChecksFailed, 1),
    (errors.RequestError, 2),
    (errors.HostError, 3),
    (errors.RemoteError, 4),
    (errors.ContentError, 5),
    (errors.TrustError, 6),
)


def exit_code(error: errors.WingoError) -> int:
    """The exit code that says who can mend the error."""
    return next(code for kind, code in _CODES if isinstance(error, kind))
