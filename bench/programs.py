"""The programs that are built: a small and a large one of others, and five that share a package."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.runs import Command, run

ROOT = Path(__file__).resolve().parents[1]
_CADDY = ("github.com/caddyserver/caddy/v2", "v2.11.9")
_FIVE = ("gateway", "orders", "prices", "reports", "stock")


class Program(NamedTuple):
    """A module ready to build: where, the targets as each tool names them, and the file whose line changes."""

    name: str
    directory: Path
    targets: tuple[str, ...]
    edited: Path

    def edit(self, number: int) -> None:
        """Changes one line of Go so that the executable differs; the same number gives the same line."""
        text = self.edited.read_text()
        head, _, _ = text.partition(_MARK)
        self.edited.write_text(f'{head}{_MARK}\nfunc init() {{ benchEdit = "{number:012d}" }}\n')


_MARK = "\nvar benchEdit string\n"


def small(scratch: Path) -> Program:
    """traefik/whoami: HTTP, WebSocket and gRPC; an executable of 12 MB."""
    directory = scratch / "whoami"
    shutil.copytree(ROOT / "tests/data/programs/whoami", directory)
    return _ready(Program("whoami", directory, (".",), directory / "app.go"))


def large(scratch: Path) -> Program:
    """caddyserver/caddy: an executable of 59 MB."""
    holder = scratch / "download"
    holder.mkdir()
    run(Command(["go", "mod", "init", "bench.example/download"], str(holder), {}))
    answer = run(Command(["go", "mod", "download", "-json", "@".join(_CADDY)], str(holder), {}))
    directory = scratch / "caddy"
    shutil.copytree(json.loads(answer)["Dir"], directory)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    return _ready(Program("caddy", directory, ("./cmd/caddy",), directory / "cmd/caddy/main.go"))


def five(scratch: Path) -> Program:
    """Five services of one module: a shared package, net/http, gRPC."""
    directory = scratch / "shop"
    (directory / "shared").mkdir(parents=True)
    whoami = ROOT / "tests/data/programs/whoami"
    module = (whoami / "go.mod").read_text().replace("github.com/traefik/whoami", "bench.example/shop")
    (directory / "go.mod").write_text(module)
    shutil.copy(whoami / "go.sum", directory)
    shutil.copytree(whoami / "grpc", directory / "grpc")
    (directory / "shared/shared.go").write_text(_SHARED)
    for name in _FIVE:
        (directory / "cmd" / name).mkdir(parents=True)
        (directory / "cmd" / name / "main.go").write_text(_SERVICE.replace("NAME", name))
    targets = tuple(f"./cmd/{name}" for name in _FIVE)
    return _ready(Program("five services", directory, targets, directory / "shared/shared.go"))


def _ready(program: Program) -> Program:
    """With the line that will change, and under version control, as in life."""
    program.edit(0)
    for arguments in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qm", "b"],
    ):
        subprocess.run(["git", *arguments], cwd=program.directory, check=True)
    run(Command(["go", "mod", "download"], str(program.directory), {}))
    return program


_SHARED = """\
// Package shared is what all services have.
package shared

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/gorilla/websocket"
	"google.golang.org/grpc"
)

// Answer is what every service says.
type Answer struct {
	Service string    `json:"service"`
	Host    string    `json:"host"`
	Time    time.Time `json:"time"`
	Edit    string    `json:"edit"`
}

// Server makes the HTTP and gRPC servers of a service.
func Server(name string) (*http.Server, *grpc.Server) {
	upgrader := websocket.Upgrader{}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		host, _ := os.Hostname()
		if err := json.NewEncoder(w).Encode(Answer{name, host, time.Now(), benchEdit}); err != nil {
			slog.Error("answer", "error", err)
		}
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		connection, err := upgrader.Upgrade(w, r, nil)
		if err == nil {
			connection.Close()
		}
	})
	return &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Second}, grpc.NewServer()
}
"""

_SERVICE = """\
// NAME is one service of the shop.
package main

import (
	"log"

	"bench.example/shop/grpc"
	"bench.example/shop/shared"
)

type whoami struct {
	grpc.UnimplementedWhoamiServer
}

func main() {
	web, rpc := shared.Server("NAME")
	grpc.RegisterWhoamiServer(rpc, whoami{})
	log.Fatal(web.ListenAndServe())
}
"""
