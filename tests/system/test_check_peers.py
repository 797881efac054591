"""`wingo check` over images of the same program that other tools made: what each gets wrong, rule by rule, and ours nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.servers import docker_registry
from tests.checks.peers import Site, found, with_buildah, with_crane, with_ko, with_wingo
from tests.needs import need_tool

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "other-tools.md"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    need_tool("docker-registry")
    folder = tmp_path_factory.mktemp("peers")
    (folder / "registry").mkdir()
    with docker_registry(folder / "registry") as port:
        yield Site(folder, port)


def column(tool: str) -> dict[str, str]:
    """What the page says of a tool."""
    header: list[str] = []
    said = {}
    for line in PAGE.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == "rule":
            header = cells
        matched = re.match(r"\[(WGO\d{3})\]", cells[0])
        word = cells[header.index(tool)] if matched and tool in header else ""
        if matched and word:
            said[matched[1]] = word
    return said


def test_what_wingo_builds_is_clean(site: Site) -> None:
    assert found(site, with_wingo(site)) == {} == column("wingo")


def test_crane_protects_nothing_and_gives_no_times(site: Site) -> None:
    assert found(site, with_crane(site)) == column("crane")


def test_ko_loses_system32_the_extension_and_the_order(site: Site) -> None:
    need_tool("ko")
    assert found(site, with_ko(site)) == column("ko")


def test_an_old_buildah_makes_a_linux_layer_in_a_windows_image(site: Site) -> None:
    version = re.search(r"(\d+)\.(\d+)", site.run("buildah", "--version"))
    assert version is not None
    name = with_buildah(site)
    if (int(version[1]), int(version[2])) < (1, 44):
        assert found(site, name) == column("buildah 1.28")
    else:
        assert "WGO102" not in found(site, name)
