"""The pages of `wingo inspect --html` and `wingo diff --html` of a real program, in a real browser: axe finds nothing wrong,
light or dark, wide or narrow; and without scripts everything is there.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.needs import missing, need_tool
from wingo.testing.bases import microsoft_catalogue
from wingo.testing.host import FakeHost
from wingo.testing.registry import RegistryServer

PLATFORMS = "ltsc2022,ltsc2025,linux/amd64"
MAIN = """package main

import "fmt"

func main() { fmt.Println("hello") }
"""
MORE = """package main

import (
\t"encoding/json"
\t"fmt"
\t"os"
)

func main() {
\tfmt.Println("hello")
\tjson.NewEncoder(os.Stdout).Encode(map[string]int{"a": 1})
}
"""


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two pages, made once."""
    need_tool("go")
    folder = tmp_path_factory.mktemp("pages")
    (folder / "go.mod").write_text("module example.com/hello\n\ngo 1.21\n")
    with RegistryServer() as server:
        for name, artifact in microsoft_catalogue().items():
            server.add(name, artifact)
        names = ("PATH", "GOPATH", "GOMODCACHE", "GOCACHE")
        environment = {name: os.environ[name] for name in names if name in os.environ}
        environment |= {"HOME": str(folder), "GOENV": "off", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
        environment["WINGO_MIRRORS"] = f"mcr.microsoft.com={server.host}"

        def wingo(*argv: str) -> FakeHost:
            host = FakeHost(str(folder), str(folder / "cache"), environment)
            assert host.wingo(*argv) == 0, host.err.getvalue()
            return host

        for tag, source, user in (("v1", MAIN, "ContainerUser"), ("v2", MORE, "ContainerAdministrator")):
            (folder / "main.go").write_text(source)
            place = f"{server.host}/team/hello:{tag}"
            wingo(
                "build",
                ".",
                "--platform",
                PLATFORMS,
                "--env",
                f"TAG={tag}",
                "--label",
                f"user={user}",
                "--push",
                "-t",
                place,
            )
        first, second = (f"{server.host}/team/hello:{tag}" for tag in ("v1", "v2"))
        wingo("inspect", second, "--html", "inspect.html")
        wingo("diff", first, second, "--html", "diff.html")
        told = json.loads(wingo("diff", first, second, "--json").out.getvalue())
    (folder / "diff.json").write_text(json.dumps(told))
    return {name: folder / f"{name}.html" for name in ("inspect", "diff")} | {"json": folder / "diff.json"}


def axe_source() -> str:
    found = find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("the package axe-playwright-python")
    return (Path(found.origin).parent / "axe.min.js").read_text()


FRAME = '<iframe src="page-NUMBER.html" width="WIDTH" height="3000"></iframe>'
HARNESS = """<!doctype html><html lang="en"><head><title>t</title></head><body style="margin:0">
<pre id="result"></pre>FRAMES<script>
const found = [];
addEventListener("message", e => { found.push(e.data); if (found.length == COUNT) result.textContent = JSON.stringify(found); });
</script></body></html>
"""
RUN = """<script>AXE</script><script>
document.querySelectorAll("details").forEach(d => d.open = true);
axe.run(document, {resultTypes: ["violations"]}).then(r => parent.postMessage({
  page: NUMBER, width: innerWidth, wide: document.documentElement.scrollWidth,
  dark: matchMedia("(prefers-color-scheme: dark)").matches, passes: r.passes.length,
  violations: r.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))])}, "*"),
  e => parent.postMessage({page: NUMBER, error: String(e)}, "*"));
</script>"""


def in_browser(pages: list[Path], folder: Path, *, width: int, dark: bool) -> list[dict]:
    """What axe says of pages in a window of some width; their own policy, which forbids scripts, is taken out."""
    chromium = need_tool("chromium")
    for number, page in enumerate(pages):
        text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
        assert "<script" not in text
        run = RUN.replace("NUMBER", str(number)).replace("AXE", axe_source())
        (folder / f"page-{number}.html").write_text(text.replace("</body>", run + "</body>"))
    frames = "".join(FRAME.replace("NUMBER", str(number)) for number in range(len(pages)))
    harness = HARNESS.replace("FRAMES", frames).replace("COUNT", str(len(pages))).replace("WIDTH", str(width))
    (folder / "harness.html").write_text(harness)
    colours = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    argv = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *colours,
        f"--user-data-dir={folder / 'profile'}", "--window-size=1500,3000", "--virtual-time-budget=60000", "--dump-dom",
        (folder / "harness.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=300, cwd=folder)
    found = re.search(r'<pre id="result">([^<]+)</pre>', done.stdout)
    assert found is not None, done.stdout[-2000:] + done.stderr[-2000:]
    return sorted(json.loads(html.unescape(found[1])), key=lambda report: report["page"])


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (360, True)])
def test_axe_finds_nothing(pages, tmp_path, width, dark) -> None:
    for report in in_browser([pages["inspect"], pages["diff"]], tmp_path, width=width, dark=dark):
        assert report.get("violations") == [], report
        assert report["passes"] > 10
        assert (report["width"], report["dark"]) == (width, dark)
        assert report["wide"] <= width, "the page is wider than its window"


def test_axe_finds_what_is_wrong(pages, tmp_path) -> None:
    """The check itself: a page that is broken in four ways is told so."""
    text = pages["diff"].read_text()
    broken = tmp_path / "broken.html"
    broken.write_text(
        text.replace('<html lang="en">', "<html>")
        .replace("<title>", "<title hidden>", 1)
        .replace("--ink: #1c2128; --soft: #57606a", "--ink: #c9c9c9; --soft: #c9c9c9")
        .replace("<h1>", '<img src="x"><h1>')
    )
    found = {item[0] for item in in_browser([broken], tmp_path, width=1000, dark=False)[0]["violations"]}
    assert {"html-has-lang", "image-alt", "color-contrast"} <= found


def test_everything_is_there_without_scripts(pages) -> None:
    text = pages["inspect"].read_text()
    assert "<script" not in text
    for said in (
        "ltsc2025",
        "net" if False else "runtime",
        "standard library",
        "What each host takes",
        "10.0.20348.",
        "fmt",
    ):
        assert said in text
    assert text.count("<svg") == 4  # two programs, wide and narrow
    assert text.count("<table") > 8


def test_the_program_is_told_package_by_package(pages) -> None:
    told = json.loads(pages["json"].read_text())
    windows = told["images"][0]
    (program,) = windows["programs"]
    assert program["path"] == "app/hello.exe"
    changed = {item["package"]: item["after"] - item["before"] for item in program["packages"]}
    assert changed["encoding/json"] > 10_000
    assert changed["reflect"] > 0
    assert told["images"][1]["sameFilesAs"] == windows["platform"]
    text = pages["diff"].read_text()
    assert "encoding/json" in text
