"""The programs that are built: a small and a large one of others, and five that share a package."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from bench.runs import Command, run

_HTTPBIN = ("github.com/mccutchen/go-httpbin/v2", "v2.15.0")
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
    """mccutchen/go-httpbin: net/http; an executable of 8 MB."""
    directory = _downloaded(_HTTPBIN, scratch / "httpbin")
    return _ready(Program("go-httpbin", directory, ("./cmd/go-httpbin",), directory / "cmd/go-httpbin/main.go"))


def large(scratch: Path) -> Program:
    """caddyserver/caddy: an executable of 59 MB."""
    directory = _downloaded(_CADDY, scratch / "caddy")
    return _ready(Program("caddy", directory, ("./cmd/caddy",), directory / "cmd/caddy/main.go"))


def five(scratch: Path) -> Program:
    """Five services of one module: a shared package, net/http, gRPC."""
    directory = scratch / "shop"
    (directory / "shared").mkdir(parents=True)
    (directory / "go.mod").write_text(_MODULE)
    (directory / "shared/shared.go").write_text(_SHARED)
    for name in _FIVE:
        (directory / "cmd" / name).mkdir(parents=True)
        (directory / "cmd" / name / "main.go").write_text(_SERVICE.replace("NAME", name))
    run(Command(["go", "mod", "tidy"], str(directory), {}))
    targets = tuple(f"./cmd/{name}" for name in _FIVE)
    return _ready(Program("five services", directory, targets, directory / "shared/shared.go"))


def _downloaded(module: tuple[str, str], directory: Path) -> Path:
    """A copy of a published module that may be changed."""
    holder = directory.with_name(directory.name + "-download")
    holder.mkdir()
    run(Command(["go", "mod", "init", "bench.example/download"], str(holder), {}))
    answer = run(Command(["go", "mod", "download", "-json", "@".join(module)], str(holder), {}))
    shutil.copytree(json.loads(answer)["Dir"], directory)
    for path in [directory, *directory.rglob("*")]:
        path.chmod(path.stat().st_mode | 0o200)
    return directory


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


_MODULE = """\
module bench.example/shop

go 1.25

require (
	github.com/gorilla/websocket v1.5.3
	google.golang.org/grpc v1.79.3
)
"""

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
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
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
	rpc := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(rpc, health.NewServer())
	return &http.Server{Addr: ":8080", Handler: mux, ReadHeaderTimeout: time.Second}, rpc
}
"""

_SERVICE = """\
// NAME is one service of the shop.
package main

import (
	"log"

	"bench.example/shop/shared"
)

func main() {
	web, rpc := shared.Server("NAME")
	defer rpc.Stop()
	log.Fatal(web.ListenAndServe())
}
"""
