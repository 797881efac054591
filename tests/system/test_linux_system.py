"""The layers for Linux, unpacked and lived in: a real Go program looks for what wingo has put there."""

from __future__ import annotations

import io
import json
import os
import platform
import stat
import subprocess
import tarfile

import pytest

from tests.needs import missing, need_tool
from wingo.archive.entry import Content
from wingo.archive.pack import pack
from wingo.linux.layer import plan_layer
from wingo.linux.requests import DATA, LinuxDirectory, LinuxFile
from wingo.linux.system_files import plan_system_layer
from wingo.linux.users import DEFAULT_USER
from wingo.pipeline.system_data import read_system_data

PROGRAM = r"""
package main

import (
	"crypto/x509"
	"encoding/json"
	"os"
	"os/user"
	"time"
)

func main() {
	found := map[string]any{}
	pool, err := x509.SystemCertPool()
	found["authorities"] = err == nil && !pool.Equal(x509.NewCertPool())
	zone, err := time.LoadLocation("Europe/Paris")
	if err == nil {
		found["summer"] = time.Unix(1720000000, 0).In(zone).Format("-07:00 MST")
	}
	if me, err := user.Current(); err == nil {
		found["user"] = me.Username + " " + me.Uid + ":" + me.Gid + " " + me.HomeDir
	}
	if group, err := user.LookupGroupId("65532"); err == nil {
		found["group"] = group.Name
	}
	writable := []string{}
	for _, path := range []string{"/tmp/x", "/home/nonroot/x", "/data/x", "/app/x", "/app/server", "/etc/passwd", "/x"} {
		if file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600); err == nil {
			file.Close()
			writable = append(writable, path)
		}
	}
	found["writable"] = writable
	json.NewEncoder(os.Stdout).Encode(found)
}
"""


@pytest.fixture(scope="module")
def binary(tmp_path_factory):
    go = need_tool("go")
    folder = tmp_path_factory.mktemp("program")
    (folder / "go.mod").write_text("module example.test/server\n\ngo 1.21\n")
    (folder / "main.go").write_text(PROGRAM)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOPROXY": "off", "GOTOOLCHAIN": "local"}
    subprocess.run([go, "build", "-o", "server", "."], cwd=folder, env=environment, check=True, timeout=600)
    return folder / "server"


def content(path):
    return Content(path.stat().st_size, lambda: path.open("rb"), str(path))


@pytest.fixture
def root(binary, tmp_path):
    """A root file system of wingo's two layers, unpacked by Python's tarfile."""
    if os.geteuid() != 0 or platform.system() != "Linux":
        missing("root on Linux, which chroot needs,")
    data = read_system_data()
    recipes = [
        plan_system_layer(data.certificates, data.zones, epoch=0, created_by="a test"),
        plan_layer(
            [
                LinuxFile(path="/app/server", content=content(binary), executable=True, source="the program"),
                LinuxDirectory(path="/data", attributes=DATA, source="--data-dir"),
            ],
            epoch=0,
            created_by="a test",
        ).recipe,
    ]
    folder = tmp_path / "root"
    folder.mkdir()
    for recipe in recipes:
        buffer = io.BytesIO()
        pack(recipe, buffer)
        buffer.seek(0)
        with tarfile.open(fileobj=buffer, mode="r:gz") as tar:
            tar.extraction_filter = staticmethod(lambda member, _: member)  # `filter=` is not in Debian 12's Python
            tar.extractall(folder, numeric_owner=True)
    return folder


def live(root, user, env=None):
    uid, gid = (int(number) for number in user.split(":"))

    def enter():
        os.chroot(root)
        os.chdir("/")
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)

    done = subprocess.run(["/app/server"], preexec_fn=enter, env=env or {}, capture_output=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_a_program_finds_everything_and_may_write_only_what_is_its(root):
    found = live(root, DEFAULT_USER, {"HOME": "/home/nonroot"})
    assert found == {
        "authorities": True,
        "summer": "+02:00 CEST",
        "user": "nonroot 65532:65532 /home/nonroot",
        "group": "nonroot",
        "writable": ["/tmp/x", "/home/nonroot/x", "/data/x"],
    }


def test_the_same_program_finds_nothing_where_there_is_nothing(root):
    for path in ("etc/ssl/certs/ca-certificates.crt", "usr/share/zoneinfo/Europe/Paris", "etc/passwd", "etc/group"):
        (root / path).unlink()
    found = live(root, DEFAULT_USER)
    assert not found["authorities"]
    assert "summer" not in found
    assert "group" not in found


def test_owners_and_modes_arrive_as_planned(root):
    def state(path):
        status = (root / path).lstat()
        return stat.filemode(status.st_mode), status.st_uid, status.st_gid

    assert state("app/server") == ("-r-xr-xr-x", 0, 0)
    assert state("app") == ("drwxr-xr-x", 0, 0)
    assert state("data") == ("drwxr-x---", 65532, 65532)
    assert state("tmp") == ("drwxrwxrwt", 0, 0)
    assert state("root") == ("drwx------", 0, 0)
    assert state("home/nonroot") == ("drwx------", 65532, 65532)
    assert state("etc/passwd") == ("-rw-r--r--", 0, 0)
    assert state("usr/share/zoneinfo/UTC") == ("-rw-r--r--", 0, 0)
