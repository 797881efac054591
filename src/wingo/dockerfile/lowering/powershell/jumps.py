"""How PowerShell leaves a block before its end."""

from __future__ import annotations

from wingo.dockerfile.lowering.powershell.values import Value


class ExitScript(Exception):
    """`exit`."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Return(Exception):
    """`return`."""

    def __init__(self, values: list[Value]) -> None:
        super().__init__("return")
        self.values = values


class LoopJump(Exception):
    """`break` and `continue`."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
