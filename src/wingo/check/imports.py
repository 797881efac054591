"""Which package imports which, and how a program comes to a package: what `go list -deps` says of its sources."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import msgspec


class ImportGraph(msgspec.Struct, frozen=True, dict=True):
    """The imports of a program's packages, for one system.

    Attributes:
        main: the main package's path.
        imports: by package: what it imports; other programs' packages may be among them.
        standard: Go's own packages among them.
    """

    main: str
    imports: Mapping[str, tuple[str, ...]]
    standard: frozenset[str] = frozenset()

    def chain(self, package: str) -> tuple[str, ...]:
        """A shortest way from the main package to another one, both included; () when there is none."""
        way = [self.main if package == "main" else package]
        if way[0] not in self._came:
            return ()
        while self._came[way[-1]]:
            way.append(self._came[way[-1]])
        return tuple(way[::-1])

    @cached_property
    def _came(self) -> dict[str, str]:
        """Every package of the program, and through which one it was come to first."""
        came = {self.main: ""}
        pending = [self.main]
        for each in pending:
            for other in self.imports.get(each, ()):
                if other not in came:
                    came[other] = each
                    pending.append(other)
        return came

    def importers(self, package: str) -> tuple[str, ...]:
        """The program's packages that are not Go's own and import another one directly, by name."""
        return tuple(
            sorted(each for each in self._came.keys() - self.standard if package in self.imports.get(each, ()))
        )
