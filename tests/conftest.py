"""What holds for every test: a clean environment, an empty home, and time limits by suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_SYSTEM = Path(__file__).parent / "system"
_SYSTEM_SECONDS = 900

_PERSONAL = (
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLUMNS",
    "DOCKER_CONFIG",
    "FORCE_COLOR",
    "GIT_CONFIG",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "KO_CONFIG_PATH",
    "KO_DOCKER_REPO",
    "NETRC",
    "NO_COLOR",
    "REGISTRY_AUTH_FILE",
    "SOURCE_DATE_EPOCH",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_RUNTIME_DIR",
)
"""Variables that would let the person's machine decide what a test sees."""


def _go_caches() -> dict[str, str]:
    """Where Go keeps what it fetched and compiled: shared by all tests, so named before HOME is moved."""
    home = Path.home()
    path = os.environ.get("GOPATH", "").split(os.pathsep)[0] or str(home / "go")
    cache = os.environ.get("XDG_CACHE_HOME") or str(home / ".cache")
    return {
        "GOPATH": path,
        "GOMODCACHE": os.environ.get("GOMODCACHE") or os.path.join(path, "pkg", "mod"),
        "GOCACHE": os.environ.get("GOCACHE") or os.path.join(cache, "go-build"),
    }


_GO_CACHES = _go_caches()


@pytest.fixture(autouse=True)
def _clean_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keeps os.environ clean for every test: no settings, no credentials, an empty home."""
    for name in list(os.environ):
        if (
            name.startswith("WINGO_")
            or name in _PERSONAL
            or (name.lower() in ("http_proxy", "https_proxy", "all_proxy") and not _is_system(request.node))
        ):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GOENV", "off")
    for name in ("GOFLAGS", "GOTOOLCHAIN", "GOOS", "GOARCH", "GOWORK", "CGO_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in _GO_CACHES.items():
        monkeypatch.setenv(name, value)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """System tests compile real programs: they get more time, unless one says how much."""
    for item in items:
        if _is_system(item) and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_SYSTEM_SECONDS))


def _is_system(item: pytest.Item) -> bool:
    return _SYSTEM in item.path.parents
