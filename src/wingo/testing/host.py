"""A `Host` for tests: streams that can be read back, an environment and a cache of its own."""

from __future__ import annotations

import io
from collections.abc import Mapping

from wingo.cli.main import main
from wingo.cli.render import Console
from wingo.host import Host


class FakeHost(Host):
    """A machine with nothing in its environment but what a test puts there.

    Attributes:
        out: what was printed on stdout.
        err: what was printed on stderr.
    """

    def __init__(
        self, directory: str, cache_directory: str, environment: Mapping[str, str] | None = None, *, processors: int = 2
    ) -> None:
        """Makes one.

        Args:
            directory: the current directory.
            cache_directory: wingo's cache.
            environment: the environment variables; "PATH" too, when programs are to be found.
            processors: how many there are.
        """
        self.out, self.err = io.StringIO(), io.StringIO()
        super().__init__(
            environment=dict(environment or {}),
            directory=directory,
            cache_directory=cache_directory,
            processors=processors,
            console=Console(self.out, self.err),
        )

    def wingo(self, *argv: str) -> int:
        """Runs one command line as if it were typed, and gives its exit code."""
        return main(argv, host=self)
