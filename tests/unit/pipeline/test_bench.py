from __future__ import annotations

import http.server
import socket
import threading

import pytest

from wingo.cli.bench import markdown
from wingo.cli.html.bench_page import bench_page
from wingo.errors import RequestError
from wingo.pipeline.bench import BenchReport, BenchRow, Numbers, Ready, _answers, _numbers, parse_ready
from wingo.pipeline.bench_variants import parse_bases, plan_variants


@pytest.mark.parametrize(
    ("text", "ready"),
    [
        ("", Ready()),
        ("http://:8080/healthz?x=1", Ready("http", 8080, "/healthz?x=1")),
        ("http://localhost", Ready("http", 0, "/")),
        ("tcp", Ready("tcp")),
        ("tcp:53", Ready("tcp", 53)),
        ("stdout:listening on .*:80", Ready("stdout", pattern="listening on .*:80")),
    ],
)
def test_when_it_is_ready(text: str, ready: Ready) -> None:
    assert parse_ready(text) == ready


@pytest.mark.parametrize(
    "text", ["https://x", "tcp:x", "tcp:99999", "stdout:", "stdout:[", "soon", "http://:99999/", "http://other:80/"]
)
def test_what_cannot_be_waited_for(text: str) -> None:
    with pytest.raises(RequestError):
        parse_ready(text)


def test_medians_and_their_spread() -> None:
    assert _numbers([3.0, 1.0, 2.0]) == Numbers(2.0, 1.0, 3.0, (3.0, 1.0, 2.0))


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(500 if self.path == "/broken" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_an_answer_is_one_that_is_no_error_of_the_server() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.server_address[1]
        assert _answers(Ready("http", 80, "/"), port)
        assert not _answers(Ready("http", 80, "/broken"), port)
        assert _answers(Ready("tcp", 80), port)
        server.shutdown()
    assert not _answers(Ready("http", 80, "/"), port)
    assert not _answers(Ready("tcp", 80), port)


def test_a_connection_that_is_closed_at_once_is_no_answer() -> None:
    """As the forwarder of a published port does while nobody listens behind it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def close_one() -> None:
            listening.accept()[0].close()

        thread = threading.Thread(target=close_one, daemon=True)
        thread.start()
        assert not _answers(Ready("tcp", 80), listening.getsockname()[1])
        thread.join()


def test_variants_on_linux() -> None:
    plan = plan_variants("linux/amd64", {"alpine": "oci:alpine"}, cgo=True)
    assert [variant.name for variant in plan] == [
        "scratch: static, stripped",
        "scratch: static, with symbols",
        "alpine: static, stripped",
        "alpine: dynamic, with symbols",
    ]
    assert plan[3].flags["go_env"] == ["CGO_ENABLED=1"]
    assert len(plan_variants("linux/amd64", {"alpine": "oci:alpine"}, cgo=False)) == 3


def test_variants_on_windows() -> None:
    plan = plan_variants("ltsc2022", {}, cgo=True)
    assert [variant.name for variant in plan] == [
        "nanoserver: stripped",
        "servercore: stripped",
        "nanoserver: with symbols",
    ]
    mine = plan_variants("ltsc2022", {"nano": "oci:n"}, cgo=True)
    assert [variant.flags["base"] for variant in mine] == [["oci:n"], ["oci:n"]]


def test_bases_have_names() -> None:
    assert parse_bases(["alpine=oci:a:v1", "static"]) == {"alpine": "oci:a:v1", "static": "static"}
    for texts in (["=x"], ["x="], ["a=1", "a=2"]):
        with pytest.raises(RequestError):
            parse_bases(texts)


def report(name: str = "slim") -> BenchReport:
    full = BenchRow(
        name="full",
        place="oci:full",
        platform="linux/amd64",
        digest="sha256:1",
        download=40 << 20,
        disk=90 << 20,
        layers=2,
        base_layers=1,
        first=1.5,
        start=Numbers(0.2, 0.1, 0.3, (0.1, 0.2, 0.3)),
        memory=Numbers(9e6, 9e6, 9e6, (9e6,)),
        cpu=Numbers(0.02, 0.02, 0.02, (0.02,)),
    )
    slim = BenchRow(
        name=name,
        place="oci:slim",
        platform="linux/amd64",
        digest="sha256:2",
        download=3 << 20,
        disk=None,
        layers=1,
        notes=("not started: no Wine\nhere",),
    )
    return BenchReport((full, slim), 3, Ready("http", 80, "/"), "linux/amd64, 2 processor(s)", ("something",))


def test_the_table_is_markdown_whatever_a_name_has() -> None:
    lines = markdown(report("sl|im\x1b[31m"))
    assert lines[0].startswith("| image | download |")
    assert "| 200 ms (100 ms to 300 ms) |" in lines[2]
    assert "sl\\|im" in lines[3]
    assert "| not at hand |" in lines[3]
    assert "\x1b" not in "\n".join(lines)
    assert all(line.count("|") - line.count("\\|") == 9 for line in lines[:4])
    assert "Median of 3 starts" in lines[5]
    assert "not started: no Wine here" in lines[6]


def test_the_page_has_a_chart_for_what_was_measured() -> None:
    page = bench_page(report("<script>alert(1)</script>"))
    assert page.count("<svg") == 8  # for a wide window and a narrow one
    assert "<script>" not in page
    assert "0.07 of the first" in page
    assert "200 ms" in page
    assert "nothing of it was run" not in page
    assert "measured on the machine" in page
