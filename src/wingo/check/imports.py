"""Which package imports which, and how a program comes to a package: what `go list -deps` says of its sources."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class ImportGraph(msgspec.Struct, frozen=True):
    """The imports of a program's packages, for one system.

    Attributes:
        main: the main package's path.
        imports: by package: what it imports.
        standard: Go's own packages among them.
    """

    main: str
    imports: Mapping[str, tuple[str, ...]]
    standard: frozenset[str] = frozenset()

    def chain(self, package: str) -> tuple[str, ...]:
        """A shortest way from the main package to another one, both included; () when there is none."""
        target = self.main if package == "main" else package
        came: dict[str, str] = {self.main: ""}
        pending = [self.main]
        for each in pending:
            if each == target:
                way = [each]
                while came[way[-1]]:
                    way.append(came[way[-1]])
                return tuple(way[::-1])
            for other in self.imports.get(each, ()):
                if other not in came:
                    came[other] = each
                    pending.append(other)
        return ()

    def importers(self, package: str) -> tuple[str, ...]:
        """The packages that are not Go's own and import another one directly, by name."""
        return tuple(
            sorted(each for each, imports in self.imports.items() if package in imports and each not in self.standard)
        )
