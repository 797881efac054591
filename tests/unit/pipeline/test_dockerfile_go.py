"""Which Go a step of a toolchain image gets, and what is said when it cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from wingo.dockerfile.source import At, DockerfileError
from wingo.dockerfile.steps import Command
from wingo.golang.runner import Completed
from wingo.pipeline.dockerfile_go import GoRunner
from wingo.testing.host import FakeHost

FORBIDDEN = (
    "go: download go1.15.10: golang.org/toolchain@v0.0.1-go1.15.10.linux-amd64: reading https://proxy.example/x.zip: 403 Forbidden\n"
    "\tserver response: This module version is not available.\n"
)


class FakeGo:
    """A go that answers by GOTOOLCHAIN, and remembers what it was asked."""

    def __init__(self, answer: Callable[[str], str]) -> None:
        self.answer = answer
        self.environments: list[Mapping[str, str]] = []

    def run(self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> Completed:
        self.environments.append(dict(env))
        error = self.answer(env["GOTOOLCHAIN"])
        return Completed(1 if error else 0, b"", error.encode())

    @property
    def toolchains(self) -> list[str]:
        return [env["GOTOOLCHAIN"] for env in self.environments]


def run(tmp_path: Path, go: FakeGo, *versions: str, environment: tuple[tuple[str, str], ...] = ()) -> int:
    root = tmp_path / "go"
    (root / "bin").mkdir(parents=True, exist_ok=True)
    (root / "VERSION").write_text("go1.26.8\n")
    (root / "bin/go").write_text("")
    (root / "bin/go").chmod(0o755)
    host = FakeHost(str(tmp_path), str(tmp_path / "cache"), {"PATH": str(root / "bin")})
    host.__dict__["runner"] = go
    runner = GoRunner(host, allow_network=False)
    status = 0
    for version in versions:
        command = Command(("go", "build", "."), environment, "/app")
        status, _ = runner.run(
            command, str(tmp_path), version=version, platform=("windows", "amd64", ""), at=At("Dockerfile", 4)
        )
    return status


def test_the_version_is_the_images(tmp_path: Path) -> None:
    go = FakeGo(lambda _: "")
    assert run(tmp_path, go, "1.21.13", "", "1.26", "1.12.1") == 0
    assert go.toolchains == ["go1.21.13", "local", "local", "local"]
    assert [env.get("GO111MODULE") for env in go.environments] == [None, None, None, "auto"]
    run(tmp_path, go, "1.12.1", environment=(("GO111MODULE", "off"),))
    assert go.environments[-1]["GO111MODULE"] == "off"


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (FORBIDDEN, "reading https://proxy.example/x.zip: 403 Forbidden server response: This module version is not available."),
        ("go: download go1.15.10 for linux/amd64: toolchain not available\n", "toolchain not available"),
        ("go: download go1.15.10: golang.org/toolchain@v0: module lookup disabled by GOPROXY=off\n", "disabled by GOPROXY=off"),
    ],
)  # fmt: skip
def test_a_toolchain_that_cannot_be_had(tmp_path: Path, printed: str, reason: str) -> None:
    with pytest.raises(DockerfileError, match=r"Go 1.15.10, which the image asks for, cannot be fetched: ") as caught:
        run(tmp_path, FakeGo(lambda _: printed), "1.15.10")
    assert reason in str(caught.value)
    assert str(caught.value).startswith("Dockerfile:4: ")
    assert "GOPROXY" in caught.value.hint


def too_old(running: str) -> str:
    return f"go: go.mod requires go >= 1.26.9 (running go {running}; GOTOOLCHAIN=local)\n"


def test_a_tag_that_moves_has_what_go_mod_wants(tmp_path: Path) -> None:
    go = FakeGo(lambda asked: too_old("1.26.8") if asked == "local" else "")
    assert run(tmp_path, go, "1.26", "1.26") == 0
    assert go.toolchains == ["local", "go1.26.9", "go1.26.9"]


def test_a_tag_that_does_not_move_has_not(tmp_path: Path) -> None:
    go = FakeGo(lambda asked: too_old(asked.removeprefix("go")))
    with pytest.raises(DockerfileError, match=r"go.mod asks for Go 1.26.9, and the image is for Go 1.25.1") as caught:
        run(tmp_path, go, "1.25.1")
    assert caught.value.hint == "Name an image of Go 1.26.9 or newer in FROM."
    assert go.toolchains == ["go1.25.1"]


def test_other_failures_are_the_steps(tmp_path: Path) -> None:
    assert run(tmp_path, FakeGo(lambda _: "main.go:3: undefined: x\n"), "1.21.13") == 1
